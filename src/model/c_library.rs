//! What a `c_library(…)` and a `pkg_config(…)` say, checked: files, folders, macros, words.
//!
//! Their words reach the same C tools as those of a Go target's `env`, so they are held against the
//! same lists (`model::flags`).

use crate::formats::build_file::CLibrarySpec;
use crate::model::command::glob;
use crate::model::flags::{Tool, check as check_flags};
use crate::model::rules::values;
use crate::model::target::{CLibrary, Files};
use crate::words::label::PackagePath;
use crate::words::path::RelPath;
use crate::words::problem::Problem;
use crate::words::span::{Span, Spanned};

/// A checked library, and everything that is wrong with it.
#[derive(Debug)]
pub struct CheckedLibrary {
    /// The library; the labels that it uses are not looked up.
    pub library: CLibrary,
    /// Its files without wildcards, from the root.
    pub literals: Vec<Spanned<RelPath>>,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// Checked globs.
#[derive(Debug, Default)]
pub(in crate::model) struct CheckedFiles {
    /// What they hold.
    pub(in crate::model) files: Files,
    /// The files without wildcards, from the root.
    pub(in crate::model) literals: Vec<Spanned<RelPath>>,
    /// What is wrong.
    pub(in crate::model) problems: Vec<Problem>,
}

/// Checks a library of `package`; labels are not looked up.
#[must_use]
pub fn check(spec: CLibrarySpec, name: &Span, package: &PackagePath) -> CheckedLibrary {
    let sources = files((&spec.srcs, &spec.exclude), package);
    let headers = files((&spec.hdrs, &[]), package);
    let mut problems = [sources.problems, headers.problems].concat();
    let mut literals = [sources.literals, headers.literals].concat();
    let archive = spec.archive.as_ref().and_then(|it| archive(it, package, &mut problems));
    literals.extend(archive.clone());
    if let (Some(archive), Some(source)) = (&spec.archive, spec.srcs.first()) {
        let problem = Problem::new("a library is compiled from `srcs`, or is an `archive`");
        let problem = problem.at(archive.span.clone(), "here").at(source.span.clone(), "and here");
        problems.push(problem.hint("declare two, and let one name the other in `c_deps`"));
    }
    if spec.archive.is_none() && spec.srcs.is_empty() && spec.hdrs.is_empty() {
        let problem = Problem::new("a C library without files").at(name.clone(), "");
        problems.push(problem.hint("write `srcs`, an `archive`, or at least `hdrs`"));
    }
    let folder = |it: &Spanned<String>| folder(it, package, &mut problems);
    let includes = match &spec.includes {
        Some(them) => them.iter().filter_map(folder).collect(),
        None => vec![package.as_str().to_owned()],
    };
    problems.extend(spec.defines.iter().filter_map(define));
    for (tool, field, words) in [
        (Tool::CCompiler, "copts", &spec.copts),
        (Tool::CCompiler, "cxxopts", &spec.cxxopts),
        (Tool::CLinker, "linkopts", &spec.linkopts),
    ] {
        problems.extend(check_flags(tool, field, words));
    }
    let library = CLibrary {
        sources: sources.files,
        headers: headers.files,
        archive: archive.map(|it| it.value),
        includes,
        defines: values(spec.defines),
        copts: values(spec.copts),
        cxxopts: values(spec.cxxopts),
        linkopts: values(spec.linkopts),
        c_deps: Vec::new(),
    };
    CheckedLibrary { library, literals, problems }
}

/// Checks what pkg-config is to be asked for: names alone, never an option or a path.
#[must_use]
pub fn check_packages(names: &[Spanned<String>], target: &Span) -> Vec<Problem> {
    let is_name = |it: &str| {
        !it.starts_with(['-', '.'])
            && !it.is_empty()
            && it.chars().all(|it| it.is_ascii_alphanumeric() || "._+-".contains(it))
    };
    let wrong = names.iter().filter(|it| !is_name(&it.value));
    let mut problems: Vec<_> = wrong
        .map(|it| {
            let problem = Problem::new(format!("`{}` is no name of a package", it.value));
            let problem = problem.at(it.span.clone(), "").refused();
            problem.hint("write the name of its `.pc` file without the ending, as `sqlite3`")
        })
        .collect();
    if names.is_empty() {
        let problem = Problem::new("`packages` is empty").at(target.clone(), "");
        problems.push(problem.hint("write the names of `.pc` files, as `sqlite3`"));
    }
    problems
}

/// Checks globs with what is left out of them.
pub(in crate::model) fn files(
    (globs, exclude): (&[Spanned<String>], &[Spanned<String>]),
    package: &PackagePath,
) -> CheckedFiles {
    let mut checked = CheckedFiles::default();
    for text in globs {
        let Some(glob) = glob(text, &mut checked.problems) else { continue };
        if glob.is_literal()
            && let Ok(path) = RelPath::parse(&package.join(glob.as_str()))
        {
            checked.literals.push(Spanned { value: path, span: text.span.clone() });
        }
        checked.files.globs.push(glob);
        checked.files.globs_at.push(text.span.clone());
    }
    let exclude = exclude.iter().filter_map(|it| glob(it, &mut checked.problems));
    checked.files.exclude = exclude.collect();
    checked
}

fn archive(
    text: &Spanned<String>,
    package: &PackagePath,
    problems: &mut Vec<Problem>,
) -> Option<Spanned<RelPath>> {
    let path = RelPath::parse(&package.join(&text.value)).ok();
    let path = path.filter(|_| {
        text.value.rsplit_once('.').is_some_and(|it| it.1 == "a") && !text.value.starts_with('/')
    });
    if path.is_none() {
        let problem = Problem::new(format!("`{}` is no archive of this folder", text.value));
        let hint = "write the path of a `.a` file, relative to this BUILD.ron";
        problems.push(problem.at(text.span.clone(), "").hint(hint));
    }
    Some(Spanned { value: path?, span: text.span.clone() })
}

/// Returns a folder of headers as seen from the root.
fn folder(
    text: &Spanned<String>,
    package: &PackagePath,
    problems: &mut Vec<Problem>,
) -> Option<String> {
    if text.value == "." {
        return Some(package.as_str().to_owned());
    }
    if RelPath::parse(&text.value).is_ok() && !text.value.starts_with('-') {
        return Some(package.join(&text.value));
    }
    let problem = Problem::new(format!("`{}` is no folder below this one", text.value));
    let problem = problem.at(text.span.clone(), "");
    problems.push(problem.hint("write it relative to this BUILD.ron; `.` is its own folder"));
    None
}

/// Refuses what is no macro, and values that a word of a flag could not hold.
fn define(text: &Spanned<String>) -> Option<Problem> {
    let (name, value) = text.value.split_once('=').unwrap_or((&text.value, ""));
    let is_word = |it: char| it.is_ascii_alphanumeric() || it == '_';
    let is_name = !name.is_empty()
        && name.chars().all(is_word)
        && !name.starts_with(|it: char| it.is_ascii_digit());
    let is_plain = !value.contains(['\n', '\r', '\0', '\'', '\\', '@']);
    if is_name && is_plain {
        return None;
    }
    let problem = Problem::new(format!("`{}` is no macro", text.value.escape_debug()));
    let problem = problem.at(text.span.clone(), "").refused();
    Some(problem.hint("write `NAME` or `NAME=value`; a value holds no `'`, `@` or `\\`"))
}

#[cfg(test)]
#[path = "c_library_tests.rs"]
mod tests;
