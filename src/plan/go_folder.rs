//! From the files of one folder to what Go makes of them: a package, or none.
//!
//! Pure: who reads the files hands them over one by one, in the order of their names.
//!
//! | not understood, so that Go is asked | because |
//! |---|---|
//! | two package names in one folder | which one it is, and the error, is Go's to say |
//! | `import "C"` in a test | an error |
//! | C files, but no cgo | an error |
//! | names that differ in case only, or begin oddly | an error |
//! | a `#cgo` line that Go would refuse | an error |
//!
//! # Source
//!
//! `Context.Import` in `go/build/build.go`; `Package.load` in `cmd/go/internal/load/pkg.go`.

use crate::formats::go_constraint::Constraint;
use crate::formats::go_list::GoFiles;
use crate::formats::go_source::{CgoLine, GoSource};
use crate::plan::go_choice::{GoChoice, Named, kind_of};
use std::collections::BTreeSet;

/// What a folder holds of Go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoFolder {
    /// The package's name.
    pub name: String,
    /// Its files by kind; those that are embedded are yet to be found.
    pub files: GoFiles,
    /// What it imports, its tests, and its external tests: sorted, as written.
    pub imports: [BTreeSet<String>; 3],
    /// The patterns of files that the same three embed.
    pub embeds: [BTreeSet<String>; 3],
    /// `CFLAGS`, `CPPFLAGS`, `CXXFLAGS`, `FFLAGS`, `LDFLAGS`, `pkg-config`.
    pub cgo: [Vec<String>; 6],
}

/// The verbs of `#cgo` lines, in the order of [`GoFolder::cgo`].
const VERBS: [&str; 6] = ["CFLAGS", "CPPFLAGS", "CXXFLAGS", "FFLAGS", "LDFLAGS", "pkg-config"];

/// Takes the files of a folder.
#[derive(Debug)]
pub struct GoFolderReader<'c> {
    choice: &'c GoChoice,
    folder: &'c str,
    found: GoFolder,
    /// `.S` and `.sx` files, which count with cgo only.
    with_cgo: Vec<String>,
    /// The names of all source files in small letters, ignored ones too.
    names: BTreeSet<String>,
}

impl<'c> GoFolderReader<'c> {
    /// Begins with `folder`, whose path `${SRCDIR}` stands for.
    #[must_use]
    pub fn new(choice: &'c GoChoice, folder: &'c str) -> Self {
        let (found, with_cgo, names) = (GoFolder::default(), Vec::new(), BTreeSet::new());
        Self { choice, folder, found, with_cgo, names }
    }

    /// Says how a file is to be handed over, by its name; `None` if the name alone is odd.
    pub fn named(&mut self, name: &str) -> Option<Named> {
        if name.starts_with(['_', '.']) || kind_of(name).is_none() {
            return Some(Named::Out);
        }
        let is_safe = name.is_ascii() && name.starts_with(|it: char| it.is_ascii_alphanumeric());
        let is_new = self.names.insert(name.to_ascii_lowercase());
        let named = self.choice.by_name(name);
        if named == Named::Out && kind_of(name) == Some("go") {
            self.found.files.ignored_go_files.push(name.to_owned());
        }
        (is_safe && is_new).then_some(named)
    }

    /// Takes a file that is no Go.
    pub fn other(&mut self, name: &str, constraint: &Constraint) -> Option<()> {
        if !self.choice.holds(constraint)? {
            return Some(());
        }
        let files = &mut self.found.files;
        let list = match kind_of(name)? {
            "c" => &mut files.c_files,
            "cc" | "cpp" | "cxx" => &mut files.cxx_files,
            "m" => &mut files.m_files,
            "h" | "hh" | "hpp" | "hxx" => &mut files.h_files,
            "f" | "F" | "for" | "f90" => &mut files.f_files,
            "s" => &mut files.s_files,
            "S" | "sx" => &mut self.with_cgo,
            "swig" => &mut files.swig_files,
            "swigcxx" => &mut files.swig_cxx_files,
            "syso" => &mut files.syso_files,
            _ => return None,
        };
        list.push(name.to_owned());
        Some(())
    }

    /// Takes a Go file.
    pub fn go(&mut self, name: &str, source: &GoSource) -> Option<()> {
        if !self.choice.holds(&source.constraint)? || source.package == "documentation" {
            self.found.files.ignored_go_files.push(name.to_owned());
            return Some(());
        }
        let is_test = name.ends_with("_test.go");
        let mut package = source.package.as_str();
        let mut of = usize::from(is_test);
        if is_test && package != self.found.name && package.ends_with("_test") {
            (package, of) = (package.strip_suffix("_test")?, 2);
        }
        if self.found.name.is_empty() {
            package.clone_into(&mut self.found.name);
        }
        if package.is_empty() || package != self.found.name {
            return None;
        }
        let files = &mut self.found.files;
        let list = if source.imports.iter().any(|it| it == "C") {
            if is_test {
                return None;
            }
            for line in &source.cgo {
                cgo_line(self.choice, self.folder, line, &mut self.found.cgo)?;
            }
            if !self.choice.cgo {
                files.ignored_go_files.push(name.to_owned());
                return Some(());
            }
            &mut files.cgo_files
        } else {
            match of {
                0 => &mut files.go_files,
                1 => &mut files.test_go_files,
                _ => &mut files.x_test_go_files,
            }
        };
        list.push(name.to_owned());
        self.found.imports[of].extend(source.imports.iter().cloned());
        self.found.embeds[of].extend(source.embeds.iter().cloned());
        Some(())
    }

    /// Returns what the folder holds: `Some(None)` if that is no package.
    #[must_use]
    pub fn finish(self) -> Option<Option<GoFolder>> {
        let Self { choice, mut found, with_cgo, .. } = self;
        let files = &mut found.files;
        // Whoever leaves a file out by its name may not have read those before it.
        files.ignored_go_files.sort();
        if files.compiled_go().next().is_none() && !files.have_tests() {
            return Some(None);
        }
        if !files.cgo_files.is_empty() {
            files.s_files.extend(with_cgo);
            files.s_files.sort();
        }
        if !choice.cgo {
            for list in [
                &mut files.c_files,
                &mut files.cxx_files,
                &mut files.m_files,
                &mut files.swig_files,
                &mut files.swig_cxx_files,
            ] {
                list.clear();
            }
        }
        let of_c = [&files.c_files, &files.cxx_files, &files.m_files, &files.f_files];
        let is_well = files.use_cgo() || of_c.iter().all(|it| it.is_empty());
        is_well.then_some(Some(found))
    }
}

/// Adds the words of a `#cgo` line that counts.
fn cgo_line(
    choice: &GoChoice,
    folder: &str,
    line: &CgoLine,
    found: &mut [Vec<String>; 6],
) -> Option<()> {
    let counts = |it: &String| Constraint::of_cgo(it).and_then(|it| choice.holds(&it));
    let conditions: Vec<_> = line.conditions.iter().map(counts).collect();
    if !conditions.is_empty() && !conditions.contains(&Some(true)) {
        return conditions.iter().all(Option::is_some).then_some(());
    }
    let verb = VERBS.iter().position(|it| *it == line.verb)?;
    let words = line.words.iter().map(|it| with_folder(it, folder));
    let mut words: Vec<_> = words.collect::<Option<_>>()?;
    let mut is_path = false;
    for word in words.iter_mut().filter(|_| VERBS[verb] != "pkg-config") {
        let (switch, path) = match word.get(..2) {
            _ if is_path => ("", word.as_str()),
            Some(switch @ ("-I" | "-L")) => (switch, word.get(2..)?),
            _ => continue,
        };
        is_path = !is_path && path.is_empty();
        if !is_path && !path.starts_with('/') {
            *word = format!("{switch}{}", joined(folder, path)?);
        }
    }
    found[verb].extend(words);
    Some(())
}

/// Puts the folder's path for `${SRCDIR}`; `None` if Go refuses a character.
fn with_folder(word: &str, folder: &str) -> Option<String> {
    let is_safe =
        |it: char| !it.is_ascii() || it.is_ascii_alphanumeric() || "+-.,/=_:$@%! ~^".contains(it);
    let is_whole = !word.is_empty() && word.replace("${SRCDIR}", "").chars().all(is_safe);
    let is_used = word.contains("${SRCDIR}");
    let is_well = is_whole && (!is_used || folder.chars().all(is_safe));
    is_well.then(|| word.replace("${SRCDIR}", folder))
}

/// Joins two paths as Go does, by their words; `None` where that leads out at the top.
fn joined(folder: &str, path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            it => parts.push(it),
        }
    }
    Some(format!("/{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::go_source::constraint_of_other;
    use crate::plan::configuration::{GoPlatform, Selection};
    use std::collections::BTreeMap;

    fn choice(cgo: bool) -> GoChoice {
        let platform = GoPlatform { goos: "linux".into(), goarch: "amd64".into(), level: None };
        let selection =
            Selection { platform, cgo, tags: vec![], race: false, env: BTreeMap::new() };
        GoChoice::new(&selection, "go1.26.8").unwrap()
    }

    /// Reads files, given as names and texts; an error says that something was not understood.
    fn read(choice: &GoChoice, files: &[(&str, &str)]) -> Result<Option<GoFolder>, ()> {
        let read = || {
            let mut reader = GoFolderReader::new(choice, "/m");
            for (name, text) in files {
                match reader.named(name)? {
                    Named::Out => {}
                    Named::Go => reader.go(name, &GoSource::read(text.as_bytes())?)?,
                    Named::Other => reader.other(name, &constraint_of_other(text.as_bytes())?)?,
                    Named::Object => reader.other(name, &Constraint::All(vec![]))?,
                }
            }
            reader.finish()
        };
        read().ok_or(())
    }

    #[test]
    fn files_are_sorted_by_what_they_are() {
        let files = [
            ("a.go", "package p\n\nimport \"fmt\"\n"),
            ("a_test.go", "package p\n\nimport \"testing\"\n"),
            ("b.S", ""),
            ("c.c", ""),
            (
                "c.go",
                "package p\n\n// #cgo LDFLAGS: -L. -L lib -lm -L${SRCDIR}/x/../y\n// #cgo windows LDFLAGS: -lw\nimport \"C\"\n",
            ),
            ("d.go", "package documentation\n"),
            ("x_test.go", "package p_test\n\nimport \"m/p\"\n"),
        ];
        let found = read(&choice(true), &files).unwrap().unwrap();
        assert_eq!(found.files.compiled().collect::<Vec<_>>(), ["a.go", "c.go", "c.c", "b.S"]);
        assert_eq!(found.files.tested().collect::<Vec<_>>(), ["a_test.go", "x_test.go"]);
        assert_eq!(found.cgo[4], ["-L/m", "-L", "/m/lib", "-lm", "-L/m/x/../y"]);
        let found = read(&choice(false), &files).unwrap().unwrap();
        assert_eq!(found.files.compiled().collect::<Vec<_>>(), ["a.go"]);
        assert_eq!(found.imports[0].iter().collect::<Vec<_>>(), ["fmt"]);
    }

    #[test]
    fn files_that_a_name_or_a_constraint_leaves_out_are_told_in_order_however_they_were_read() {
        let choice = choice(true);
        let mut reader = GoFolderReader::new(&choice, "/m");
        for name in ["a.go", "b.go", "c_windows.go"] {
            reader.named(name).unwrap();
        }
        let text = |it: &str| GoSource::read(it.as_bytes()).unwrap();
        reader.go("a.go", &text("//go:build ignore\n\npackage p\n")).unwrap();
        reader.go("b.go", &text("package p\n")).unwrap();
        let found = reader.finish().unwrap().unwrap();
        assert_eq!(found.files.ignored_go_files, ["a.go", "c_windows.go"]);
    }

    #[test]
    fn a_folder_may_hold_no_package_or_one_that_go_refuses() {
        let with = choice(true);
        assert_eq!(
            read(&with, &[("a.go", "//go:build ignore\n\npackage p\n"), ("a.c", "")]),
            Ok(None)
        );
        for files in [
            [("a.go", "package p\n"), ("b.go", "package q\n")],
            [("a.go", "package p\n"), ("b.c", "")],
            [("a.go", "package p\n"), ("A.go", "//go:build ignore\n\npackage p\n")],
            [("a.go", "package p\n"), ("b_test.go", "package p\n\nimport \"C\"\n")],
            [("a.go", "package p\n"), ("b_test.go", "package q_test\n")],
            [("a.go", "package p\n"), ("+b.go", "package p\n")],
            [
                ("a.go", "package p\n"),
                ("b.go", "package p\n\n// #cgo CFLAGS: -D`x\nimport \"C\"\n"),
            ],
            [("a.go", "package p\n"), ("b.go", "package p\n\n// #cgo XFLAGS: -x\nimport \"C\"\n")],
            [("a.go", "package p\n"), ("b.go", "//go:build goexperiment.x\n\npackage p\n")],
        ] {
            assert_eq!(read(&with, &files), Err(()), "{files:?}");
        }
    }
}
