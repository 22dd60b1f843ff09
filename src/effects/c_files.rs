//! The C side of a module that Go does not look at: headers, sources and archives in folders that
//! are no Go package, and what pkg-config answers.

use crate::effects::c_includes::CWalkError;
use crate::effects::machine::Machine;
use crate::effects::process::{Invocation, OUTPUT_LIMIT};
use crate::model::flags::is_pkg_config_flag;
use crate::words::digest::Digest;
use crate::words::path::OUTPUT_FOLDER;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

/// Endings of files that a C or C++ compiler, assembler or linker may read.
const ENDINGS: [&str; 37] = [
    "h", "H", "hh", "hpp", "hxx", "h++", "inc", "inl", "ipp", "tcc", "def", "gch", "pch", "c",
    "cc", "cpp", "cxx", "c++", "m", "mm", "i", "swg", "swig", "swigcxx", "f", "F", "for", "f90",
    "s", "S", "sx", "a", "o", "so", "syso", "ld", "pc",
];

/// Why the C side could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CFilesError {
    /// A file could not be read.
    #[error("cannot read `{0}`")]
    Unreadable(PathBuf, #[source] io::Error),
    /// What C includes could not be walked.
    #[error(transparent)]
    Walk(#[from] CWalkError),
    /// `#cgo pkg-config` names something, and there is no pkg-config.
    #[error("`{0}` is to be asked of `pkg-config`, which is not on PATH")]
    NoPkgConfig(String),
    /// `#cgo pkg-config` holds a flag that may write a file, or read words from one.
    #[error("`#cgo pkg-config` may not hold `{0}`")]
    RefusedFlag(String),
    /// pkg-config does not know it.
    #[error("`pkg-config {0}` failed: {1}")]
    PkgConfig(String, String),
}

/// Digests the C files below the module `folder`, by path relative to it.
///
/// # Errors
///
/// Returns the first file that cannot be read.
pub fn of_module(
    machine: &Machine,
    folder: &Path,
) -> Result<BTreeMap<String, Digest>, CFilesError> {
    let walk = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter();
    let entered = walk.filter_entry(|it| {
        let name = it.file_name();
        it.depth() == 0 || !(name == OUTPUT_FOLDER || name.as_encoded_bytes().starts_with(b"."))
    });
    let is_c = |it: &Path| {
        let ending = it.extension().and_then(OsStr::to_str);
        ending.is_some_and(|it| ENDINGS.contains(&it))
    };
    let files = entered.filter_map(Result::ok).filter(|it| !it.file_type().is_dir());
    let paths: Vec<_> = files.map(walkdir::DirEntry::into_path).filter(|it| is_c(it)).collect();
    // A link that leads nowhere cannot be read by the compiler either.
    let paths: Vec<_> = paths.into_iter().filter(|it| it.is_file()).collect();
    let digests = machine.digests.digest_all(&paths);
    let digests = digests.map_err(|(path, error)| CFilesError::Unreadable(path, error))?;
    let name = |it: &Path| it.strip_prefix(folder).unwrap_or(it).to_string_lossy().into_owned();
    Ok(paths.iter().map(|it| name(it)).zip(digests).collect())
}

/// Asks pkg-config for what `#cgo pkg-config: WORDS` will put into the flags of a Go package in
/// `folder`, under the variables `env` that the `go` command will see.
///
/// # Errors
///
/// Returns [`CFilesError`] if there is no pkg-config, or it does not know a package.
///
/// # Source
///
/// `getPkgConfigFlags`, `cmd/go/internal/work/exec.go`: words that begin with `-` go before `--`.
pub fn pkg_config(
    machine: &Machine,
    words: &[String],
    env: &BTreeMap<String, String>,
    folder: &Path,
) -> Result<String, CFilesError> {
    let (flags, packages): (Vec<_>, Vec<_>) = words.iter().partition(|it| it.starts_with('-'));
    // Go refuses the same (CVE-2025-61731), but asks later than we do.
    if let Some(flag) = flags.iter().find(|it| !is_pkg_config_flag(it)) {
        return Err(CFilesError::RefusedFlag((*flag).clone()));
    }
    // Whoever asks for one kind of words says so.
    let is_kind = |it: &&String| matches!(it.as_str(), "--cflags" | "--libs");
    let all = if flags.iter().any(is_kind) { [].as_slice() } else { &["--cflags", "--libs"] };
    let asked = all.iter().copied().chain(words.iter().map(String::as_str));
    let asked = asked.collect::<Vec<_>>().join(" ");
    let program = machine.program("pkg-config");
    let program = program.ok_or_else(|| CFilesError::NoPkgConfig(words.join(" ")))?;
    let mut args: Vec<OsString> = flags.into_iter().map(OsString::from).collect();
    args.extend(all.iter().chain(&["--"]).map(OsString::from));
    args.extend(packages.into_iter().map(OsString::from));
    let mut variables = machine.base_environment();
    variables.extend(env.iter().map(|(name, value)| (name.into(), value.into())));
    variables.insert("PWD".into(), folder.into());
    let limit = std::time::Duration::from_mins(2);
    let folder = folder.to_owned();
    let most_output = OUTPUT_LIMIT;
    let env = variables;
    let invocation = Invocation { program, args, env, folder, limit, most_output };
    let failed = |words: String| CFilesError::PkgConfig(asked.clone(), words);
    look_at_packages(machine, &invocation);
    let ended = machine.run(&invocation).map_err(|it| failed(it.to_string()))?;
    if ended.status.success() {
        Ok(ended.stdout_text().trim().to_owned())
    } else {
        Err(failed(ended.stderr_text().trim().to_owned()))
    }
}

/// Notes all that decides the answer to a question: every `.pc` file where pkg-config looks.
///
/// # Source
///
/// `pkg-config(1)`: `PKG_CONFIG_PATH` comes before `PKG_CONFIG_LIBDIR`, or before the folders that
/// were built in; a word that is a path of a `.pc` file stands for this file.
fn look_at_packages(machine: &Machine, question: &Invocation) {
    let args = ["--variable=pc_path", "pkg-config"].map(OsString::from).to_vec();
    let built_in = machine.run(&Invocation { args, ..question.clone() });
    let built_in = built_in.map(|it| it.stdout_text().trim().to_owned()).unwrap_or_default();
    let variables = ["PKG_CONFIG_PATH", "PKG_CONFIG_LIBDIR"].map(OsStr::new);
    let said = variables.iter().filter_map(|it| question.env.get(*it)).map(OsString::as_os_str);
    let folders = said.chain([OsStr::new(&built_in)]).flat_map(std::env::split_paths);
    let folders: Vec<_> = folders.map(|it| question.folder.join(it)).collect();
    machine.looked.in_folders(&folders);
    let entries = folders.iter().filter_map(|it| std::fs::read_dir(it).ok()).flatten();
    let files = entries.filter_map(Result::ok).map(|it| it.path());
    let paths = question.args.iter().map(|it| question.folder.join(it));
    for path in files.chain(paths).filter(|it| it.extension().is_some_and(|it| it == "pc")) {
        machine.looked.for_file(&path);
        // One that is not to be read here says nothing to pkg-config either.
        let _ = machine.digests.digest(&path);
    }
}

/// Splits what pkg-config answers: at white space, a backslash or quotes keep it in a word.
#[must_use]
pub fn split_answer(answer: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut characters = answer.chars();
    while let Some(it) = characters.next() {
        match (it, quote) {
            ('\\', _) => word.get_or_insert_default().extend(characters.next()),
            (it, Some(open)) if it == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(it);
                word.get_or_insert_default();
            }
            (it, None) if it.is_whitespace() => words.extend(word.take()),
            (it, _) => word.get_or_insert_default().push(it),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_pkg_config_is_split_as_go_splits_it() {
        let answer = r#"-I/a\ b -DX="y z" '-L/c d'  -lq "" "#;
        assert_eq!(split_answer(answer), ["-I/a b", "-DX=y z", "-L/c d", "-lq", ""]);
        assert_eq!(split_answer(""), [""; 0]);
    }
}
