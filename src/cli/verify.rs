//! `linkwright verify`: what any binary shows about its linkage.

use crate::cli::console::{Console, Stopped};
use crate::cli::rooms;
use crate::model::policy::Policy;
use crate::model::strategy::RuleSet;
use crate::report::failure::Failure;
use crate::report::reporter::write_json_line;
use crate::report::verify::{FileError, Finding, Inspection, exit_code, write_block};
use crate::words::exit_code::ExitCode;
use std::path::PathBuf;
use std::sync::Arc;

/// Say how any binary is linked, from its bytes
///
/// Needs no workspace and never runs the file. The class is read from what the loader reads of an
/// ELF, Mach-O or PE file: static, `static_pie`, `system_libraries`, `needs_loader`, dynamic,
/// shared; beside it the libraries and versions asked for, hardening, what may fail at run time,
/// and what Go wrote into the file.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct VerifyArgs {
    /// The files
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// Fail (exit code 6) if a file does not keep this policy
    #[arg(long, value_name = "NAME")]
    pub policy: Option<String>,

    /// Print one JSON object a line for each file
    #[arg(long)]
    pub json: bool,
}

/// Runs `verify`.
///
/// # Errors
///
/// Blames the input for an unknown policy. An unreadable file is not an error but a finding.
pub fn run(args: VerifyArgs, console: &mut Console<'_>) -> Result<u8, Stopped> {
    let VerifyArgs { files, policy, json } = args;
    let policy = match policy {
        Some(name) => Some(find_policy(&name, &rooms::rules_at(&console.settings.folder)?)?),
        None => None,
    };
    let paths: Vec<_> = files.iter().map(|it| console.settings.folder.join(it)).collect();
    let facts = rooms::inspect_all(&paths, policy.as_deref());
    let mut inspections = Vec::with_capacity(files.len());
    for (file, read) in files.iter().zip(facts) {
        let finding = match read {
            Ok(facts) => Finding::Read(Box::new(facts)),
            Err(error) => Finding::Unreadable { error: FileError { message: error.to_string() } },
        };
        let inspection = Inspection { file: file.to_string_lossy().into_owned(), finding };
        if json {
            write_json_line(&inspection, console.out)?;
        } else {
            write_block(&inspection, console.settings.out_paint, console.out, console.err)?;
        }
        inspections.push(inspection);
    }
    Ok(exit_code(&inspections).number())
}

fn find_policy(name: &str, rules: &RuleSet) -> Result<Arc<Policy>, Failure> {
    rules.policies.get(name).cloned().ok_or_else(|| {
        let known: Vec<String> = rules.policies.keys().map(|it| format!("`{it}`")).collect();
        Failure::new(ExitCode::BadInput, format!("no policy is called `{name}`"))
            .hint(format!("the policies are {}", known.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_policy_is_refused_with_the_known_ones() {
        let mut rules = RuleSet::default();
        rules.policies.insert("release".to_owned(), Arc::new(Policy::default()));
        assert!(find_policy("release", &rules).is_ok());
        let failure = find_policy("relaese", &rules).unwrap_err();
        assert_eq!(failure.hints, ["the policies are `release`"]);
    }
}
