//! What makes Go forget objects that were compiled from other C files than those of today.
//!
//! Go sees the C files of a package's own folder, and nothing else that C reads. So what else may
//! be read stands where Go looks, by digest, and where no output shows it:
//!
//! | what is read | stands | and compiles anew |
//! |---|---|---|
//! | by a local package | in a Go file without declarations that is shown to Go beside the package's own (`-overlay`) | that package |
//! | by all (the C tools, their headers), by packages of others, or where no file may be shown | in a macro in `CGO_CPPFLAGS` that no code reads | every package with C, Go's own among them |
//!
//! No file is shown where somebody embeds files of the folder, nor to tools of Go that look for it
//! on the disk: `cover`, and `vet` before Go 1.26.

use crate::effects::file::{make_folder, write_new};
use crate::effects::go_tool::GoTool;
use crate::engine::go_unit::Kind;
use crate::formats::go_list::GoPackage;
use crate::model::go_release::GoRelease;
use crate::plan::configuration::Configuration;
use crate::plan::fingerprint::Framed;
use crate::plan::origin::Origin;
use crate::words::digest::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// The name of the file that is shown: behind all others, and for every platform.
const NAME: &str = "zz_linkwright_c_inputs.go";

/// What is told to Go of the C inputs of links.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Salt {
    /// To all packages with C.
    pub all: Option<String>,
    /// To local packages, by folder: the text of a Go file.
    shown: BTreeMap<PathBuf, String>,
    /// The folders that files are embedded from.
    embedded: BTreeSet<PathBuf>,
}

/// What a local package is, and what its C code may read.
#[derive(Debug)]
pub struct OfPackage {
    /// Its name in Go.
    pub name: String,
    /// Its import path.
    pub import_path: String,
    /// The digests of what it, and its variants for tests, may read.
    pub files: BTreeSet<Digest>,
}

impl Salt {
    /// Makes it of what all packages depend on, and of what each of the local ones does; `closure`
    /// are the packages of the link.
    #[must_use]
    pub fn new(
        mut all: Framed,
        packages: &BTreeMap<PathBuf, OfPackage>,
        (closure, may_show): (&[&GoPackage], bool),
    ) -> Self {
        let embedded = folders_embedded(closure);
        let mut shown = BTreeMap::new();
        for (folder, OfPackage { name, import_path, files }) in packages {
            let mut framed = Framed::new("linkwright c salt of a package 1");
            framed.text(import_path);
            for it in files {
                framed.digest(it);
            }
            let digest = framed.finish();
            if may_show && !embedded.contains(folder) && is_free(folder) {
                let text = format!("package {name}\n\n// {}\n", short(&digest));
                shown.insert(folder.clone(), text);
            } else {
                all.digest(&digest);
            }
        }
        Self { all: Some(short(&all.finish())), shown, embedded }
    }

    /// Tells whether links with these can share a process.
    #[must_use]
    pub fn goes_with(&self, other: &Self) -> bool {
        let is_same = |(folder, text): (&PathBuf, &String)| {
            other.shown.get(folder).is_none_or(|it| it == text)
        };
        let meets = |one: &Self, two: &Self| one.shown.keys().any(|it| two.embedded.contains(it));
        let is_told_the_same = self.all == other.all && self.shown.iter().all(is_same);
        is_told_the_same && !meets(self, other) && !meets(other, self)
    }

    /// Adds what is told for another link that [goes with](Self::goes_with) this one.
    pub fn add(&mut self, other: &Self) {
        self.all = self.all.take().or_else(|| other.all.clone());
        self.shown.extend(other.shown.iter().map(|(folder, it)| (folder.clone(), it.clone())));
        self.embedded.extend(other.embedded.iter().cloned());
    }

    /// Writes the files that are to be shown below `folder`, and what says where Go is to see them;
    /// returns the word for `go`, if there are any.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    ///
    /// # Source
    ///
    /// `OverlayJSON` in Go's `cmd/go/internal/fsys`.
    pub fn write(&self, folder: &Path) -> io::Result<Option<String>> {
        if self.shown.is_empty() {
            return Ok(None);
        }
        let folder = folder.join(".overlay");
        make_folder(&folder)?;
        let mut replace = BTreeMap::new();
        for (number, (package, text)) in self.shown.iter().enumerate() {
            let file = folder.join(format!("{number}.go"));
            write_new(&file, text.as_bytes())?;
            replace.insert(package.join(NAME), file);
        }
        let file = folder.join("overlay.json");
        write_new(&file, &serde_json::to_vec(&BTreeMap::from([("Replace", replace)]))?)?;
        Ok(Some(format!("-overlay={}", file.display())))
    }
}

/// Tells whether all tools that take part in making an output see a file that is only shown.
#[must_use]
pub fn may_show(go: &GoTool, kind: Kind, configuration: &Configuration) -> bool {
    let vets = matches!(kind, Kind::Test { vet: true }) && go.release < GoRelease::VETS_SHOWN_FILES;
    let covers = configuration.flags.iter().any(|it| it.starts_with("-cover"));
    !vets && !covers
}

fn short(digest: &Digest) -> String {
    digest.to_string().chars().take(16).collect()
}

/// Tells whether nothing has the name of the file that would be shown, and the way to it is text.
fn is_free(folder: &Path) -> bool {
    let path = folder.join(NAME);
    path.to_str().is_some() && path.symlink_metadata().is_err()
}

/// Returns the folders that local packages embed files from.
fn folders_embedded(closure: &[&GoPackage]) -> BTreeSet<PathBuf> {
    let local = closure.iter().filter(|it| Origin::of(it) == Origin::Local);
    let files = local.flat_map(|package| {
        let own = Path::new(&package.dir);
        package.files.embedded().map(|it| own.join(it))
    });
    files.filter_map(|it| Some(it.parent()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::go_list::parse;

    fn salt(all: &str, files: &[(&Path, &str)], json: &str, may_show: bool) -> Salt {
        let package = |(folder, text): &(&Path, &str)| {
            let files = BTreeSet::from([Digest::of(text.as_bytes())]);
            let (name, import_path) = ("a".to_owned(), "m/a".to_owned());
            (folder.to_path_buf(), OfPackage { name, import_path, files })
        };
        let mut framed = Framed::new("tests");
        framed.text(all);
        let packages = parse(json.as_bytes()).unwrap();
        let closure: Vec<_> = packages.values().collect();
        Salt::new(framed, &files.iter().map(package).collect(), (&closure, may_show))
    }

    #[test]
    fn what_a_local_package_reads_is_told_to_it_alone_unless_no_file_may_be_shown() {
        let home = tempfile::tempdir().unwrap();
        let a = home.path().join("a");
        std::fs::create_dir(&a).unwrap();
        let embeds = format!(
            r#"{{"ImportPath": "m", "Dir": {dir:?}, "EmbedFiles": ["a/data.txt"],
                "Module": {{"Path": "m", "Main": true, "Dir": {dir:?}}}}}"#,
            dir = home.path()
        );
        let of = |text, json: &str, may_show| salt("tools", &[(&a, text)], json, may_show);
        assert_eq!(of("1", "", true).all, of("2", "", true).all);
        assert_ne!(of("1", "", true), of("2", "", true));
        assert!(!of("1", "", true).goes_with(&of("2", "", true)));
        for (json, may_show) in [("", false), (&*embeds, true)] {
            assert_ne!(of("1", json, may_show).all, of("2", json, may_show).all);
            assert_eq!(of("1", json, may_show).write(home.path()).unwrap(), None);
        }
        // Whoever embeds files of the folder must not see one more.
        assert!(!of("1", "", true).goes_with(&salt("tools", &[], &embeds, true)));
        assert!(!salt("tools", &[], &embeds, true).goes_with(&of("1", "", true)));
        std::os::unix::fs::symlink("nowhere", a.join(NAME)).unwrap();
        assert_ne!(of("1", "", true).all, of("2", "", true).all);
    }

    #[test]
    fn links_share_a_process_that_is_told_of_the_packages_of_all() {
        let home = tempfile::tempdir().unwrap();
        let (a, b) = (home.path().join("a"), home.path().join("b"));
        let one = salt("tools", &[(&a, "1")], "", true);
        let two = salt("tools", &[(&b, "1")], "", true);
        assert!(one.goes_with(&two) && !one.goes_with(&salt("others", &[(&b, "1")], "", true)));
        let mut both = Salt::default();
        both.add(&one);
        both.add(&two);
        assert_eq!(both, salt("tools", &[(&a, "1"), (&b, "1")], "", true));
        let word = both.write(home.path()).unwrap().unwrap();
        let text = std::fs::read(word.strip_prefix("-overlay=").unwrap()).unwrap();
        let told: BTreeMap<String, BTreeMap<PathBuf, PathBuf>> =
            serde_json::from_slice(&text).unwrap();
        assert_eq!(told["Replace"].keys().collect::<Vec<_>>(), [&a.join(NAME), &b.join(NAME)]);
        for file in told["Replace"].values() {
            let text = std::fs::read_to_string(file).unwrap();
            assert!(text.starts_with("package a\n\n// "), "{text}");
        }
    }
}
