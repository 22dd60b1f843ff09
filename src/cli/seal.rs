//! What `run --sealed` is told of the root, as flags.

use crate::cli::environment::Environment;
use crate::effects::sealed::{Extra, Network, Root, SealedError};
use crate::report::failure::Failure;
use crate::words::exit_code::ExitCode;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

/// Flags that describe a sealed root.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SealOptions {
    /// Start it in a root that holds nothing but the program and what the flags below put there
    ///
    /// It sees no file, process or network of this machine, and has no rights. Its variables are
    /// HOME, PATH and TMPDIR. See docs/sealed.md.
    #[arg(long, conflicts_with = "dry_run")]
    pub sealed: bool,

    /// Show a file or folder of this machine, read-only, at a place of the root
    #[arg(long, value_name = "PLACE=PATH", requires = "sealed")]
    pub file: Vec<String>,

    /// Add what programs look for
    #[arg(long, value_name = "WHAT", requires = "sealed", value_delimiter = ',')]
    pub with: Vec<With>,

    /// Add a line to /etc/hosts
    #[arg(long, value_name = "NAME=ADDRESS", requires = "sealed")]
    pub host: Vec<String>,

    /// Say the host's name
    #[arg(long, value_name = "NAME", requires = "sealed")]
    pub host_name: Option<String>,

    /// Set a variable; without a value, to what it is here
    #[arg(long, value_name = "NAME[=VALUE]", requires = "sealed")]
    pub env: Vec<String>,

    /// Join the network of the sealed run with this process number
    #[arg(long, value_name = "PID", requires = "sealed")]
    pub network_of: Option<u32>,
}

/// What a root can hold besides files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum With {
    /// `/etc/hosts` with localhost
    Hosts,
    /// This machine's `/etc/resolv.conf`
    Resolver,
    /// This machine's CA certificates
    Certificates,
    /// `/etc/passwd` and `/etc/group`
    Users,
}

/// Makes the root that the flags describe; relative paths start in `folder`.
///
/// # Errors
///
/// Blames the input for a flag that cannot be read and a file that is not there.
pub fn root(options: &SealOptions, folder: &Path) -> Result<Root, Failure> {
    let SealOptions { sealed: _, file, with, host, host_name, env: _, network_of } = options;
    let mut root = Root::default();
    if let Some(name) = host_name {
        root.host_name.clone_from(name);
    }
    for word in host {
        let (name, address) = halves(word, "host", "NAME=ADDRESS")?;
        root.add_host(address, name);
    }
    for with in with {
        let extra = match with {
            With::Hosts => Extra::Hosts,
            With::Resolver => Extra::Resolver,
            With::Certificates => Extra::Certificates,
            With::Users => Extra::Users,
        };
        root.add(extra).map_err(|it| failure(&it))?;
    }
    for word in file {
        let (place, path) = halves(word, "file", "PLACE=PATH")?;
        root.files.insert(place.into(), folder.join(path));
    }
    if let Some(pid) = network_of {
        root.network = Network::Of(*pid);
    }
    Ok(root)
}

/// Returns the variables of a sealed program.
///
/// # Errors
///
/// Blames the input for a variable that is to be as it is here and is not set.
pub fn variables(
    options: &SealOptions,
    environment: &Environment,
) -> Result<BTreeMap<OsString, OsString>, Failure> {
    let fixed = [("HOME", "/tmp"), ("PATH", "/bin"), ("TMPDIR", "/tmp")];
    let mut variables: BTreeMap<OsString, OsString> =
        fixed.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    for word in &options.env {
        if let Some((name, value)) = word.split_once('=') {
            variables.insert(name.into(), value.into());
            continue;
        }
        let value = environment.variables.get(&OsString::from(word)).ok_or_else(|| {
            Failure::new(ExitCode::BadInput, format!("the variable `{word}` is not set here"))
                .hint(format!("say `--env {word}=VALUE`"))
        })?;
        variables.insert(word.into(), value.clone());
    }
    Ok(variables)
}

/// Says whose fault it is that a program did not run in a sealed root.
#[must_use]
pub fn failure(error: &SealedError) -> Failure {
    let code = match error {
        SealedError::Loader { .. } => ExitCode::PromiseBroken,
        SealedError::Missing { .. } | SealedError::Place { .. } => ExitCode::BadInput,
        SealedError::NotSealed(_) | SealedError::NotStarted { .. } | SealedError::Process(_) => {
            ExitCode::MachineLacks
        }
    };
    let failure = Failure::new(code, error.to_string());
    let failure = match std::error::Error::source(error) {
        Some(source) => failure.because(source),
        None => failure,
    };
    error.hint().into_iter().fold(failure, Failure::hint)
}

fn halves<'a>(word: &'a str, flag: &str, form: &str) -> Result<(&'a str, &'a str), Failure> {
    word.split_once('=').filter(|(a, b)| !a.is_empty() && !b.is_empty()).ok_or_else(|| {
        let message = format!("`--{flag} {word}` is not `{form}`");
        Failure::new(ExitCode::BadInput, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::environment::sample;

    #[test]
    fn flags_become_a_root_and_variables() {
        let options = SealOptions {
            file: vec!["/etc/app=conf/a=b".to_owned()],
            host: vec!["alpha=127.0.0.2".to_owned()],
            with: vec![With::Hosts],
            env: vec!["A=b=c".to_owned(), "B".to_owned()],
            network_of: Some(7),
            ..SealOptions::default()
        };
        let root = root(&options, Path::new("/w")).unwrap();
        assert_eq!(root.files[Path::new("/etc/app")], Path::new("/w/conf/a=b"));
        assert!(root.texts[Path::new("/etc/hosts")].starts_with("127.0.0.2 alpha\n127.0.0.1 "));
        assert_eq!(root.network, Network::Of(7));
        let found = variables(&options, &sample(&[("B", "2"), ("C", "3")])).unwrap();
        let found: Vec<_> =
            found.iter().map(|(name, value)| (name.to_str(), value.to_str())).collect();
        let expected =
            [("A", "b=c"), ("B", "2"), ("HOME", "/tmp"), ("PATH", "/bin"), ("TMPDIR", "/tmp")];
        assert_eq!(found, expected.map(|(name, value)| (Some(name), Some(value))));
        assert!(variables(&options, &sample(&[])).is_err());
        for bad in ["a", "=b", "a="] {
            assert!(halves(bad, "file", "PLACE=PATH").is_err(), "{bad}");
        }
    }
}
