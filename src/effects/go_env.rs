//! What a `go` tells of itself and of its user's settings, by `go env`; kept in the store, and used
//! as long as all that decides it is the same.
//!
//! The key holds the program with its place, the variables that it sees, and the two files in
//! which settings stand: the user's, and the toolchain's `go.env`.
//!
//! | not kept | because |
//! |---|---|
//! | what a script around a toolchain told | it may lead to another one the next time |
//! | settings in which a password may stand | a store can be shared |
//! | what was told while the key changed | it may be of either state |
//!
//! A paranoid run asks.
//!
//! # Source
//!
//! `findGOROOT` and `EnvFile` in cmd/go/internal/cfg.

use crate::effects::go_root::leads_to;
use crate::effects::go_sdk::go_settings;
use crate::effects::machine::{Machine, PASSED};
use crate::effects::process::{Ended, Invocation, OUTPUT_LIMIT, ProcessError};
use crate::plan::fingerprint::Framed;
use crate::words::digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The user's settings that say where modules come from; `go.sum` says what they must be.
pub const NETWORK: [&str; 11] = [
    "GOPROXY",
    "GOSUMDB",
    "GONOSUMDB",
    "GONOPROXY",
    "GOPRIVATE",
    "GOINSECURE",
    "GOVCS",
    "GOAUTH",
    "GOMODCACHE",
    "GOPATH",
    "GOTMPDIR",
];

/// What is asked besides. Asked for nothing by name, Go tries eight flags of the C compiler.
///
/// # Source
///
/// `needCostly` in `cmd/go/internal/envcmd/env.go`.
const ASKED: [&str; 4] = ["GOROOT", "GOVERSION", "GOHOSTOS", "GOHOSTARCH"];

/// The variables that decide the rest: where the user's file of settings is.
pub const PLACES: [&str; 2] = ["GOENV", "XDG_CONFIG_HOME"];

/// What a `go` told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoEnv {
    /// `GOROOT`.
    pub root: PathBuf,
    /// `go1.26.8`.
    pub version: String,
    /// This machine's `GOOS` and `GOARCH`.
    pub host: (String, String),
    /// Its values of [`NETWORK`].
    pub network: BTreeMap<String, String>,
}

/// Why a `go` told nothing.
#[derive(Debug, thiserror::Error)]
pub enum GoEnvError {
    /// It did not end by itself.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It failed, or what it printed was not understood.
    #[error("{0}")]
    Failed(String),
}

impl GoEnv {
    /// Asks the `go` at `program`, or takes what it told before; `root` is its `GOROOT` where that
    /// is decided.
    ///
    /// # Errors
    ///
    /// Returns [`GoEnvError`] if it is asked and does not answer.
    pub fn of(machine: &Machine, program: &Path, root: Option<&Path>) -> Result<Self, GoEnvError> {
        let key = || key(machine, program, root).ok();
        let before = Some(()).filter(|()| !machine.digests.is_paranoid()).and_then(|()| key());
        let kept = before.and_then(|it| machine.store.action::<Self>(&it));
        if let Some(kept) = kept.filter(|it| leads_to(program, &it.root)) {
            return Ok(kept);
        }
        let told = Self::ask(machine, program, root)?;
        if let Some(before) = before
            && leads_to(program, &told.root)
            && !told.holds_secrets()
            && key() == Some(before)
        {
            machine.store.put_action(&before, &told);
        }
        Ok(told)
    }

    /// Tells whether a setting may hold a password, or name a command that does.
    fn holds_secrets(&self) -> bool {
        let is_plain = |name: &str, value: &str| match name {
            "GOAUTH" => ["", "netrc", "off"].contains(&value),
            _ => !value.contains('@'),
        };
        !self.network.iter().all(|(name, value)| is_plain(name, value))
    }

    fn ask(machine: &Machine, program: &Path, root: Option<&Path>) -> Result<Self, GoEnvError> {
        let mut env = machine.base_environment();
        for name in NETWORK.iter().chain(&PLACES) {
            if let Some((name, value)) = machine.caller.get_key_value(OsStr::new(name)) {
                env.insert(name.clone(), value.clone());
            }
        }
        env.insert("GOTOOLCHAIN".into(), "local".into());
        env.insert("GOWORK".into(), "off".into());
        env.extend(root.map(|it| ("GOROOT".into(), it.into())));
        // A guard gives this process a folder of its own by that name, which is not the user's.
        let temporary = env.remove(OsStr::new("GOTMPDIR")).filter(|it| !it.is_empty());
        let invocation = Invocation {
            program: program.to_owned(),
            args: ["env", "-json"]
                .into_iter()
                .chain(ASKED)
                .chain(NETWORK)
                .map(OsString::from)
                .collect(),
            env,
            folder: PathBuf::from("/"),
            limit: Duration::from_mins(1),
            most_output: OUTPUT_LIMIT,
        };
        machine.count_go();
        let told = Self::read(&machine.run(&invocation)?)?;
        Ok(told.with_temporary(temporary))
    }

    fn read(ended: &Ended) -> Result<Self, GoEnvError> {
        if !ended.status.success() {
            return Err(GoEnvError::Failed(ended.words()));
        }
        let mut all: BTreeMap<String, String> = serde_json::from_slice(&ended.stdout)
            .map_err(|it| GoEnvError::Failed(it.to_string()))?;
        let mut take = |name: &str| {
            let missing = || GoEnvError::Failed(format!("it does not say `{name}`"));
            all.remove(name).filter(|it| !it.is_empty()).ok_or_else(missing)
        };
        let root = take("GOROOT")?.into();
        let version = take("GOVERSION")?;
        let host = (take("GOHOSTOS")?, take("GOHOSTARCH")?);
        // A user's own `go env -w GOEXPERIMENT=…` stands behind it, and reaches no build.
        let version = version.split(" X:").next().unwrap_or_default().to_owned();
        let network = NETWORK.iter().filter_map(|it| all.remove_entry(*it)).collect();
        Ok(Self { root, version, host, network })
    }

    fn with_temporary(mut self, folder: Option<OsString>) -> Self {
        let text = folder.map(|it| it.to_string_lossy().into_owned());
        self.network.extend(text.map(|it| ("GOTMPDIR".to_owned(), it)));
        self
    }
}

/// Digests all that decides what `program` tells.
fn key(machine: &Machine, program: &Path, root: Option<&Path>) -> io::Result<Digest> {
    let own = program.canonicalize()?;
    let mut framed = Framed::new("linkwright go env 1");
    framed.text(env!("CARGO_PKG_VERSION"));
    framed.bytes(program.as_os_str().as_encoded_bytes());
    framed.bytes(own.as_os_str().as_encoded_bytes());
    framed.digest(&machine.digests.digest(&own)?);
    framed.optional(root.as_ref(), |framed, it| framed.bytes(it.as_os_str().as_encoded_bytes()));
    for name in PASSED.iter().chain(&NETWORK).chain(&PLACES) {
        framed.text(name);
        let value = machine.caller.get(OsStr::new(name));
        framed.optional(value, |framed, it| framed.bytes(it.as_encoded_bytes()));
    }
    let own_settings = own.parent().and_then(Path::parent).map(|it| it.join("go.env"));
    for path in own_settings.into_iter().chain(go_settings(machine)) {
        framed.bytes(path.as_os_str().as_encoded_bytes());
        let digest = match machine.digests.digest(&path) {
            Ok(it) => Some(it),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        framed.optional(digest.as_ref(), Framed::digest);
    }
    Ok(framed.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: &str) -> GoEnv {
        GoEnv {
            root: "/go".into(),
            version: "go1.26.8".into(),
            host: ("linux".into(), "amd64".into()),
            network: BTreeMap::from([(name.into(), value.into())]),
        }
    }

    #[test]
    fn settings_with_a_password_or_a_command_are_not_for_a_store_that_others_read() {
        assert!(with("GOPROXY", "https://me:word@proxy.example/,direct").holds_secrets());
        assert!(with("GOAUTH", "git /home/me").holds_secrets());
        assert!(!with("GOPROXY", "https://proxy.example/,direct").holds_secrets());
        assert!(!with("GOAUTH", "netrc").holds_secrets());
    }
}
