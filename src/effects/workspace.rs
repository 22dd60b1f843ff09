//! A workspace on disk: where its root is, which folders are packages, and what its rules say.
//!
//! | what | rule | because |
//! |---|---|---|
//! | the root | of the folders above (and at) the current one that hold a `BUILD.ron`, the topmost one below the nearest `.git` | a nested workspace is part of the outer one; a repository is no part of another |
//! | packages | folders below the root with a `BUILD.ron`, links not followed | a link to a parent would never end |
//! | not looked into | hidden folders, `linkwright-out`, `node_modules`, `testdata`, `vendor`, folders with a `.git` of their own | what lies there is made by tools, or belongs to others |
//! | rules | `rules/*.ron` of the root, by name | a workspace has one set of rules |
//! | a rule file | a regular file of at most 16 MiB | a pipe would hang, a device would never end, a link may lead out |
//!
//! A target of a nested workspace gets its labels from the outermost root.

use crate::effects::folders::{FOLDER, each_below, entries};
use crate::formats::build_file::{BuildSpec, parse as parse_build};
use crate::formats::ron_syntax::{MAX_BYTES, source_of};
use crate::formats::rules_file::{RulesSpec, built_in, parse as parse_rules};
use crate::model::resolve::resolve;
use crate::model::rules::assemble;
use crate::model::strategy::RuleSet;
use crate::model::targets::Targets;
use crate::words::exit_code::ExitCode;
use crate::words::label::PackagePath;
use crate::words::path::OUTPUT_FOLDER;
use crate::words::problem::{Problem, exit_code, sort};
use crate::words::span::Source;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The name of the file that makes a folder a package.
pub const BUILD_FILE: &str = "BUILD.ron";

/// Folders that are not looked into, besides hidden ones and other repositories.
pub const SKIPPED: [&str; 4] = [OUTPUT_FOLDER, "node_modules", "testdata", "vendor"];

/// Where a workspace is, and where in it the user stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The folder of the root `BUILD.ron`; absolute, without links.
    pub root: PathBuf,
    /// The folder that relative labels and patterns are seen from; it need not be a package.
    pub here: PackagePath,
}

/// Why no workspace was found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// No folder above holds a `BUILD.ron`.
    #[error("no `BUILD.ron` in `{}` or a folder above it", .0.display())]
    NoWorkspace(PathBuf),
    /// The folder to start from cannot be used.
    #[error("cannot look for a workspace from `{}`", folder.display())]
    Unusable {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder to start from has a name that no label can hold.
    #[error("the folder `{}` cannot be named in labels", .0.display())]
    Unnameable(PathBuf),
}

/// A workspace whose rules are right.
#[derive(Debug)]
pub struct Loaded {
    /// The folder of the root `BUILD.ron`.
    pub root: PathBuf,
    /// Every target.
    pub targets: Targets,
    /// Every strategy, ladder and policy.
    pub rules: RuleSet,
    /// The packages, sorted.
    pub packages: Vec<PackagePath>,
    /// The rule files that were read, without the built-in one: packages first, each by name.
    pub sources: Vec<Arc<Source>>,
}

/// Why a workspace could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A folder could not be read.
    #[error("cannot read the folder `{}`", path.display())]
    Walk {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Rule files are wrong; in the order of the files.
    #[error("{} in the rule files", if .0.len() == 1 { "a mistake" } else { "mistakes" })]
    Rules(Vec<Problem>),
}

impl LoadError {
    /// Returns the exit code that goes with it.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Walk { .. } => ExitCode::BadInput,
            Self::Rules(problems) => exit_code(problems),
        }
    }
}

/// Finds the workspace that `from`, an existing folder, lies in.
///
/// # Errors
///
/// Returns [`FindError`] if there is none, or if `from` is no folder that labels can name.
pub fn find(from: &Path) -> Result<Place, FindError> {
    let unusable = |source| FindError::Unusable { folder: from.to_owned(), source };
    let from = from.canonicalize().map_err(unusable)?;
    if !from.is_dir() {
        let source = io::Error::from(io::ErrorKind::NotADirectory);
        return Err(FindError::Unusable { folder: from, source });
    }
    let mut root = None;
    for folder in from.ancestors() {
        if is_there(&folder.join(BUILD_FILE)) {
            // Of one alone it makes no difference, and rules may be long.
            if root.is_some_and(says_it_is_a_root) {
                break;
            }
            root = Some(folder);
        }
        if is_there(&folder.join(".git")) {
            break;
        }
    }
    let Some(root) = root else { return Err(FindError::NoWorkspace(from)) };
    let Some(here) = package_of(root, &from) else { return Err(FindError::Unnameable(from)) };
    Ok(Place { root: root.to_owned(), here })
}

/// Returns the label's way to write a folder at or below `root`; `None` if it has none.
#[must_use]
pub fn package_of(root: &Path, folder: &Path) -> Option<PackagePath> {
    let below = folder.strip_prefix(root).ok()?.to_str()?;
    PackagePath::parse(below).ok()
}

/// Reads, parses and resolves the workspace at `root`.
///
/// # Errors
///
/// Returns [`LoadError::Rules`] with everything that one stage found wrong: parsing first, then the
/// rules' names, then the targets.
pub fn load(root: &Path) -> Result<Loaded, LoadError> {
    let (read, (brought, brought_problems)) = rayon::join(
        || packages(root).map(|it| read_packages(root, it)),
        || parse_rules(&built_in()),
    );
    let (packages, builds): (Vec<_>, Vec<_>) = read?.into_iter().unzip();
    let (builds, mut problems): (Vec<_>, Vec<_>) = builds.into_iter().unzip();
    let own: Vec<_> = rule_files(root)?.iter().map(|name| read_rules(root, name)).collect();
    let (rules, rule_problems): (Vec<_>, Vec<_>) = own.into_iter().unzip();
    problems.extend(rule_problems);
    problems.push(brought_problems);
    let mut problems = problems.concat();
    if !problems.is_empty() {
        sort(&mut problems);
        return Err(LoadError::Rules(problems));
    }
    let mut sources = Vec::new();
    let mut specs = Vec::new();
    for (spec, source) in builds.into_iter().flatten() {
        specs.push(spec);
        sources.push(source);
    }
    let mut own = Vec::new();
    for (spec, source) in rules.into_iter().flatten() {
        own.push(spec);
        sources.push(source);
    }
    let rules = assemble(brought, own).map_err(LoadError::Rules)?;
    let targets = resolve(specs, &rules).map_err(LoadError::Rules)?;
    Ok(Loaded { root: root.to_owned(), targets, rules, packages, sources })
}

/// Tells whether the `BUILD.ron` of `folder` says `workspace: true`.
fn says_it_is_a_root(folder: &Path) -> bool {
    read_build(folder, &PackagePath::root()).0.is_some_and(|(spec, _)| spec.is_root)
}

/// Reads the `BUILD.ron` of each package, leaving out workspaces of their own and what lies below
/// them.
fn read_packages(root: &Path, packages: Vec<PackagePath>) -> Vec<(PackagePath, Parsed<BuildSpec>)> {
    let read: Vec<_> = packages.par_iter().map(|it| read_build(root, it)).collect();
    let is_root = |it: &Parsed<BuildSpec>| it.0.as_ref().is_some_and(|(spec, _)| spec.is_root);
    let named = packages.iter().zip(&read).filter(|(it, _)| !it.as_str().is_empty());
    let roots: Vec<_> = named.filter(|(_, it)| is_root(it)).map(|(it, _)| it.clone()).collect();
    let belongs = |it: &PackagePath| !roots.iter().any(|root| it.is_within(root));
    packages.into_iter().zip(read).filter(|(it, _)| belongs(it)).collect()
}

/// Reads and puts together the rules of the workspace at `root`, or the built-in ones alone, for
/// commands that need no targets.
///
/// # Errors
///
/// Returns [`LoadError`] as [`load`] does.
pub fn load_rules(root: Option<&Path>) -> Result<RuleSet, LoadError> {
    let mut own = Vec::new();
    let mut problems = Vec::new();
    if let Some(root) = root {
        for name in rule_files(root)? {
            let (spec, wrong) = read_rules(root, &name);
            own.extend(spec.map(|it| it.0));
            problems.extend(wrong);
        }
    }
    let (brought, brought_problems) = parse_rules(&built_in());
    problems.extend(brought_problems);
    if !problems.is_empty() {
        sort(&mut problems);
        return Err(LoadError::Rules(problems));
    }
    assemble(brought, own).map_err(LoadError::Rules)
}

/// Returns the packages below `root`, sorted; the root is one even if it holds no `BUILD.ron`.
///
/// # Errors
///
/// Returns [`LoadError`] if a folder cannot be read, or if a package cannot be named.
fn packages(root: &Path) -> Result<Vec<PackagePath>, LoadError> {
    let look = |folder: &Path| match searched(root, folder) {
        Ok((is_package, below)) => (Ok(is_package.then(|| folder.to_owned())), below),
        Err(source) => (Err(LoadError::Walk { path: folder.to_owned(), source }), Vec::new()),
    };
    let mut packages = Vec::new();
    let mut problems = Vec::new();
    for folder in each_below(root, &look) {
        let Some(folder) = folder? else { continue };
        if let Some(package) = package_of(root, &folder) {
            packages.push(package);
        } else {
            let folder = folder.strip_prefix(root).unwrap_or(&folder).display();
            let message = format!("the folder `{folder}` cannot be named in labels");
            let hint = "rename it: no `:`, `\\` or control characters, valid UTF-8, no leading `-`";
            problems.push(Problem::new(message).hint(hint));
        }
    }
    packages.sort();
    if problems.is_empty() { Ok(packages) } else { Err(LoadError::Rules(problems)) }
}

/// Tells whether a folder is a package, and which of those in it are searched too.
fn searched(root: &Path, folder: &Path) -> io::Result<(bool, Vec<PathBuf>)> {
    let is_below = folder != root;
    let entries = match entries(folder) {
        // Somebody removed the folder since the one above it was read.
        Err(error) if is_below && error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(_) if is_below && is_there(&folder.join(".git")) => Vec::new(),
        entries => entries?,
    };
    if is_below && entries.iter().any(|it| it.0 == ".git") {
        return Ok((false, Vec::new()));
    }
    let is_package = entries.iter().any(|it| it.0 == BUILD_FILE);
    let below = entries.iter().filter(|(name, kind)| *kind == FOLDER && !is_passed_over(name));
    Ok((is_package, below.map(|it| folder.join(&it.0)).collect()))
}

/// Tells whether a folder below the root is searched for packages.
#[must_use]
pub fn is_searched(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default();
    !is_passed_over(name) && !is_there(&folder.join(".git"))
}

/// Tells whether folders with this name are not looked into.
fn is_passed_over(name: &OsStr) -> bool {
    // A directory named `BUILD.ron` must be told, not searched; reading it does that.
    name.as_encoded_bytes().starts_with(b".") || SKIPPED.iter().any(|it| name == *it)
}

/// Tells whether anything, a dangling link too, has this path.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Returns the names of the workspace's own rule files, sorted, relative to `root`.
fn rule_files(root: &Path) -> Result<Vec<String>, LoadError> {
    let folder = root.join("rules");
    if !folder.symlink_metadata().is_ok_and(|it| it.is_dir()) {
        return Ok(Vec::new());
    }
    let fail = |source| LoadError::Walk { path: folder.clone(), source };
    let mut names = Vec::new();
    for entry in folder.read_dir().map_err(fail)? {
        let name = entry.map_err(fail)?.file_name();
        let Some(name) = name.to_str() else { continue };
        let is_ron = Path::new(name).extension().is_some_and(|it| it == "ron");
        // A folder of Go code named `rules` may be a package of its own.
        if is_ron && !name.starts_with('.') && name != BUILD_FILE {
            names.push(format!("rules/{name}"));
        }
    }
    names.sort();
    Ok(names)
}

type Parsed<S> = (Option<(S, Arc<Source>)>, Vec<Problem>);

fn read_build(root: &Path, package: &PackagePath) -> Parsed<BuildSpec> {
    match read(root, &package.join(BUILD_FILE)) {
        Ok(source) => {
            let (spec, problems) = parse_build(&source, package);
            (Some((spec, source)), problems)
        }
        Err(problem) => (None, vec![*problem]),
    }
}

fn read_rules(root: &Path, name: &str) -> Parsed<RulesSpec> {
    match read(root, name) {
        Ok(source) => {
            let (spec, problems) = parse_rules(&source);
            (Some((spec, source)), problems)
        }
        Err(problem) => (None, vec![*problem]),
    }
}

/// Reads a rule file without ever waiting for it: no pipe, no device, no link.
fn read(root: &Path, name: &str) -> Result<Arc<Source>, Box<Problem>> {
    let unreadable = |error: Errno| {
        let problem = Problem::new(format!("cannot read `{name}`: {}", io::Error::from(error)));
        Box::new(problem)
    };
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match open(root.join(name), flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::LOOP) => {
            let problem = Problem::new(format!("`{name}` is a symbolic link"));
            return Err(Box::new(problem.hint("put the file itself there")));
        }
        Err(Errno::NXIO) => return Err(Box::new(irregular(name, "a socket"))),
        Err(error) => return Err(unreadable(error)),
    };
    match FileType::from_raw_mode(fstat(&file).map_err(unreadable)?.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return Err(Box::new(irregular(name, "a folder"))),
        FileType::Fifo => return Err(Box::new(irregular(name, "a pipe"))),
        _ => return Err(Box::new(irregular(name, "a device"))),
    }
    let mut bytes = Vec::new();
    // One byte more than is allowed shows that there are too many, however long the file is.
    let limit = MAX_BYTES as u64 + 1;
    match File::from(file).take(limit).read_to_end(&mut bytes) {
        Ok(_) => source_of(name, bytes),
        Err(error) => Err(Box::new(Problem::new(format!("cannot read `{name}`: {error}")))),
    }
}

fn irregular(name: &str, what: &str) -> Problem {
    Problem::new(format!("`{name}` is {what}, not a file"))
}

#[cfg(test)]
#[path = "workspace_tests.rs"]
mod tests;
