//! The files that globs stand for, found on disk.
//!
//! | case | outcome |
//! |---|---|
//! | a glob without wildcards that names no file | an error |
//! | a glob with wildcards that matches nothing | an error |
//! | a folder on the way that is a link | not entered by a wildcard; an error if it leads out of the workspace |
//! | a file that is a link | the file it leads to, if that lies in the workspace; else refused (exit code 11) |
//! | `.git`, `linkwright-out` | not entered: they hold what tools make |
//! | hidden files, files that Git ignores | matched as all others: a build does not depend on Git |
//! | a name that is not UTF-8, or holds a control character | an error, if a wildcard matches it |
//!
//! The result is sorted and depends on the names alone, not on the order of the disk.

use crate::model::target::{Glob, Rule, Target};
use crate::words::label::PackagePath;
use crate::words::path::{OUTPUT_FOLDER, RelPath};
use crate::words::problem::Problem;
use globset::{GlobSet, GlobSetBuilder};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// Why globs stand for no files.
#[derive(Debug, thiserror::Error)]
pub enum ExpandError {
    /// A literal names nothing.
    #[error("no file `{0}`")]
    NoFile(String),
    /// A literal names a folder, or something stranger.
    #[error("`{0}` is no file")]
    NotAFile(String),
    /// Wildcards match nothing.
    #[error("`{0}` matches no file")]
    NoMatch(String),
    /// A link leads out of the workspace.
    #[error("`{0}` is a link that leads out of the workspace")]
    LeadsOut(String),
    /// A matched name is no text that a rule file could hold.
    #[error("the file name `{}` is not UTF-8 or holds a control character", .0.display())]
    BadName(PathBuf),
    /// The disk.
    #[error("cannot read `{}`: {source}", path.display())]
    Unreadable {
        /// What could not be read.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// All globs together are too large to be matched.
    #[error("the globs cannot be matched: {0}")]
    TooLarge(globset::Error),
}

/// What is wrong with globs: the position of the glob (if it is one glob's fault), and the error.
type At = (Option<usize>, ExpandError);

/// Returns the files below `package` that `globs` match and `exclude` does not, relative to `root`.
///
/// # Errors
///
/// Returns an error for each glob at fault, with its position in `globs`. A glob whose matches are
/// all excluded is none of these.
pub fn expand(
    root: &Path,
    package: &PackagePath,
    globs: &[Glob],
    exclude: &[Glob],
) -> Result<Vec<RelPath>, Vec<At>> {
    let excluded = set(exclude).map_err(|it| vec![(None, it)])?;
    let search = Search { root, package, excluded };
    let mut files = BTreeSet::new();
    let mut errors = Vec::new();
    let mut by_base: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, glob) in globs.iter().enumerate() {
        if !glob.is_literal() {
            by_base.entry(base(glob)).or_default().push(index);
            continue;
        }
        match search.literal(glob.as_str()) {
            Ok(found) => files.extend(found),
            Err(error) => errors.push((Some(index), error)),
        }
    }
    for (base, indices) in by_base {
        let these: Vec<_> = indices.iter().map(|it| globs[*it].clone()).collect();
        match search.below(&base, &these) {
            Ok((found, matched)) => {
                files.extend(found);
                let missed = indices.iter().zip(matched).filter(|it| !it.1);
                errors.extend(missed.map(|(index, _)| {
                    (Some(*index), ExpandError::NoMatch(globs[*index].as_str().to_owned()))
                }));
            }
            Err(error) => errors.push((indices.first().copied(), error)),
        }
    }
    if errors.is_empty() { Ok(files.into_iter().collect()) } else { Err(errors) }
}

/// Returns the files that a `files` target holds, that are a C library's sources, that a `command`
/// names as inputs, or that tests read; none for other targets.
///
/// # Errors
///
/// Returns a problem for each glob at fault, at its place in the rule file.
pub fn expand_target(root: &Path, target: &Target) -> Result<Vec<RelPath>, Vec<Problem>> {
    let (globs, places, exclude) = match &target.rule {
        Rule::Files(it) => (&it.globs, &it.globs_at, it.exclude.as_slice()),
        Rule::Command(it) => (&it.inputs, &it.inputs_at, [].as_slice()),
        Rule::GoTests(it) => (&it.run.data, &it.run.data_at, [].as_slice()),
        Rule::CLibrary(it) => {
            (&it.sources.globs, &it.sources.globs_at, it.sources.exclude.as_slice())
        }
        Rule::GoBinary(_) | Rule::PkgConfig(_) | Rule::Suite | Rule::Bundle(_) => {
            return Ok(Vec::new());
        }
    };
    let package = target.label.package();
    expand(root, package, globs, exclude).map_err(|mut errors| {
        errors.sort_by_key(|it| it.0);
        let problem = |(index, error): At| {
            let span = index.and_then(|it| places.get(it)).unwrap_or(&target.span);
            let problem = Problem::new(error.to_string()).at(span.clone(), "");
            match error {
                ExpandError::NoFile(_) | ExpandError::NoMatch(_) => {
                    let folder = package.join("");
                    let folder = if folder.is_empty() { "the root" } else { folder.as_str() };
                    problem.hint(format!("paths and globs are relative to `{folder}`"))
                }
                ExpandError::LeadsOut(_) => problem.refused().hint("put the file itself there"),
                _ => problem,
            }
        };
        errors.into_iter().map(problem).collect()
    })
}

/// Returns the leading folders of a glob that hold no wildcard.
fn base(glob: &Glob) -> String {
    let text = glob.as_str();
    let wild = text.find(['*', '?', '[', '{', '\\']).unwrap_or(text.len());
    text.get(..wild).and_then(|it| it.rsplit_once('/')).map_or("", |it| it.0).to_owned()
}

fn set(globs: &[Glob]) -> Result<GlobSet, ExpandError> {
    let mut builder = GlobSetBuilder::new();
    for glob in globs {
        builder.add(glob.matcher());
    }
    builder.build().map_err(ExpandError::TooLarge)
}

struct Search<'a> {
    root: &'a Path,
    package: &'a PackagePath,
    excluded: GlobSet,
}

impl Search<'_> {
    fn literal(&self, text: &str) -> Result<Option<RelPath>, ExpandError> {
        let path = self.folder().join(text);
        match path.metadata() {
            Ok(it) if it.is_file() => {}
            Ok(_) => return Err(ExpandError::NotAFile(text.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ExpandError::NoFile(text.to_owned()));
            }
            Err(source) => return Err(ExpandError::Unreadable { path, source }),
        }
        self.stays_inside(&path, text)?;
        if self.excluded.is_match(text) {
            return Ok(None);
        }
        RelPath::parse(&self.package.join(text)).map(Some).map_err(|_| ExpandError::BadName(path))
    }

    fn folder(&self) -> PathBuf {
        self.root.join(self.package.as_str())
    }

    fn stays_inside(&self, path: &Path, name: &str) -> Result<(), ExpandError> {
        let unreadable = |source| ExpandError::Unreadable { path: path.to_owned(), source };
        let root = self.root.canonicalize().map_err(unreadable)?;
        if path.canonicalize().map_err(unreadable)?.starts_with(root) {
            Ok(())
        } else {
            Err(ExpandError::LeadsOut(name.to_owned()))
        }
    }

    /// Returns the files below `base` that `globs` match, and which of the globs matched.
    fn below(&self, base: &str, globs: &[Glob]) -> Result<(Vec<RelPath>, Vec<bool>), ExpandError> {
        let mut matched = vec![false; globs.len()];
        let mut files = Vec::new();
        let folder = self.folder();
        let start = if base.is_empty() { folder.clone() } else { folder.join(base) };
        if !start.is_dir() {
            return Ok((files, matched));
        }
        self.stays_inside(&start, base)?;
        let set = set(globs)?;
        let walk = WalkDir::new(&start).follow_links(false).max_depth(depth(globs, base));
        for entry in walk.into_iter().filter_entry(is_entered) {
            let entry = entry.map_err(|error| ExpandError::Unreadable {
                path: error.path().unwrap_or(&start).to_owned(),
                source: error
                    .into_io_error()
                    .unwrap_or_else(|| io::Error::other("a loop of links")),
            })?;
            let here = entry.path().strip_prefix(&folder).unwrap_or(entry.path());
            let hits = set.matches(here);
            if hits.is_empty() || entry.file_type().is_dir() || !self.is_file(&entry)? {
                continue;
            }
            for hit in hits {
                matched[hit] = true;
            }
            if self.excluded.is_match(here) {
                continue;
            }
            let path = here.to_str().and_then(|it| RelPath::parse(&self.package.join(it)).ok());
            files.push(path.ok_or_else(|| ExpandError::BadName(here.to_owned()))?);
        }
        Ok((files, matched))
    }

    /// Tells whether an entry is a file or leads to one in the workspace.
    fn is_file(&self, entry: &DirEntry) -> Result<bool, ExpandError> {
        if !entry.file_type().is_symlink() {
            return Ok(entry.file_type().is_file());
        }
        // Editors leave links to nowhere as locks; no wildcard means them.
        let Ok(target) = entry.path().metadata() else { return Ok(false) };
        if !target.is_file() {
            return Ok(false);
        }
        let name = entry.path().strip_prefix(self.root).unwrap_or(entry.path());
        self.stays_inside(entry.path(), &name.display().to_string())?;
        Ok(true)
    }
}

/// Returns how deep below `base` the globs can match.
fn depth(globs: &[Glob], base: &str) -> usize {
    let segments = |it: &str| it.split('/').filter(|it| !it.is_empty()).count();
    let deepest = |glob: &Glob| {
        // A `/` inside braces makes a glob deeper than its slashes show.
        let unbounded = glob.as_str().contains("**") || glob.as_str().contains('{');
        if unbounded { usize::MAX } else { segments(glob.as_str()) - segments(base) }
    };
    globs.iter().map(deepest).max().unwrap_or(0)
}

fn is_entered(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    let kept_out = entry.file_type().is_dir() && (name == ".git" || name == OUTPUT_FOLDER);
    entry.depth() == 0 || !kept_out
}

#[cfg(test)]
#[path = "globs_tests.rs"]
mod tests;
