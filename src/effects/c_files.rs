//! The C side of a module that Go does not look at: headers, sources and archives in folders that
//! are no Go package, libraries that cgo flags name, and what pkg-config answers.

use crate::effects::c_tools::CTools;
use crate::effects::machine::Machine;
use crate::words::digest::Digest;
use crate::words::path::OUTPUT_FOLDER;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

/// Endings of files that a C or C++ compiler, assembler or linker may read.
const ENDINGS: [&str; 22] = [
    "h", "hh", "hpp", "hxx", "h++", "inc", "inl", "ipp", "tcc", "def", "c", "cc", "cpp", "cxx",
    "c++", "s", "S", "a", "o", "so", "syso", "pc",
];

/// Why the C side could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CFilesError {
    /// A file could not be read.
    #[error("cannot read `{0}`")]
    Unreadable(PathBuf, #[source] io::Error),
    /// `#cgo pkg-config` names something, and there is no pkg-config.
    #[error("`#cgo pkg-config: {0}` needs `pkg-config`, which is not on PATH")]
    NoPkgConfig(String),
    /// pkg-config does not know it.
    #[error("`pkg-config --cflags --libs {0}` failed: {1}")]
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

/// Digests the libraries that linker words name: `-lNAME` (looked for in the `-L` folders before
/// it, then where the compiler looks) and archives and objects named by path.
///
/// A library that is nowhere is left out; the linker will say so.
#[must_use]
pub fn libraries(machine: &Machine, tools: &CTools, words: &[String]) -> BTreeMap<String, Digest> {
    let mut folders = Vec::new();
    let mut found = BTreeMap::new();
    for word in words {
        if let Some(folder) = word.strip_prefix("-L") {
            folders.push(PathBuf::from(folder));
        } else if let Some(name) = word.strip_prefix("-l") {
            let near = |suffix: &str| {
                let named = folders.iter().map(|it| it.join(format!("lib{name}.{suffix}")));
                { named }.find(|it| it.is_file())
            };
            let (archive, shared) = tools.library(machine, name);
            for (suffix, path) in [("a", near("a").or(archive)), ("so", near("so").or(shared))] {
                if let Some(digest) = path.and_then(|it| machine.digests.digest(&it).ok()) {
                    found.insert(format!("{word} ({suffix})"), digest);
                }
            }
        } else if !word.starts_with('-')
            && let Ok(digest) = machine.digests.digest(Path::new(word))
        {
            // Named without its folder, which is this machine's; two may have one name.
            let name = Path::new(word).file_name().unwrap_or_default().to_string_lossy();
            found.insert(format!("{name} ({})", found.len()), digest);
        }
    }
    found
}

/// Asks pkg-config for what `#cgo pkg-config: WORDS` will put into the flags.
///
/// # Errors
///
/// Returns [`CFilesError`] if there is no pkg-config, or it does not know a package.
///
/// # Source
///
/// `getPkgConfigFlags`, `cmd/go/internal/work/exec.go`: words that begin with `-` go before `--`.
pub fn pkg_config(machine: &Machine, words: &[String]) -> Result<String, CFilesError> {
    let asked = words.join(" ");
    let program = machine.program("pkg-config");
    let program = program.ok_or_else(|| CFilesError::NoPkgConfig(asked.clone()))?;
    let (flags, packages): (Vec<_>, Vec<_>) = words.iter().partition(|it| it.starts_with('-'));
    let mut args: Vec<&OsStr> = flags.into_iter().map(OsStr::new).collect();
    args.extend(["--cflags", "--libs", "--"].map(OsStr::new));
    args.extend(packages.into_iter().map(OsStr::new));
    let failed = |words: String| CFilesError::PkgConfig(asked.clone(), words);
    let ended = machine.ask(&program, &args, Path::new("/"));
    let ended = ended.map_err(|it| failed(it.to_string()))?;
    if ended.status.success() {
        Ok(ended.stdout_text().trim().to_owned())
    } else {
        Err(failed(ended.stderr_text().trim().to_owned()))
    }
}
