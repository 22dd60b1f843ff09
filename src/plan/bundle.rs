//! A bundle as data: what is in it, the key of that, and the texts from which its runners work.
//!
//! ```text
//! run             runs the tests, without a shell: a static program
//! run.sh          the same, by a POSIX shell
//! index.json      what there is to run
//! bin/…           test binaries, as below `linkwright-out/`
//! src/…           working folders, with `testdata` and declared data, as in the workspace
//! go/src/…        those of packages from elsewhere
//! ```
//!
//! | input of the key | because |
//! |---|---|
//! | every file, by its path in the bundle, content, and whether it can be run | it is in there |
//! | folders | a test finds them, empty ones too |
//! | the form | a folder is no archive |
//! | the source of `run`, the Go toolchain that compiles it, the platform | they make it |
//! | linkwright's version | it says how `run` is linked, and how an archive is written |
//!
//! Left out: owners and times of files, which a bundle does not keep.

use crate::plan::fingerprint::Framed;
use crate::words::digest::Digest;
use crate::words::label::Label;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The format of an index; raised when a field changes its meaning.
pub const FORMAT: &str = "linkwright-bundle/1";

/// The source of the runner that needs no shell.
pub const RUNNER: &str = include_str!("../../runner/main.go");

/// The runner for a shell, without what there is to run.
const SCRIPT: &str = include_str!("../../runner/run.sh");

/// Where in [`SCRIPT`] that goes.
const PLACE: &str = "@TESTS@\n";

/// One test binary in a bundle; paths are relative to the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BundledTest {
    /// The target.
    pub label: Label,
    /// The Go package.
    pub go_package: String,
    /// The file.
    pub binary: String,
    /// The folder that it runs in.
    pub folder: String,
    /// How long it may take.
    pub timeout_seconds: u64,
    /// Its arguments, after the runner's own.
    pub args: Vec<String>,
    /// Names of variables that it is given.
    pub pass_env: Vec<String>,
}

/// Everything that decides the bytes of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleInputs {
    /// The linkwright that makes it, by version.
    pub linkwright: String,
    /// Digest of [`RUNNER`].
    pub runner: Digest,
    /// `folder` or `tar`.
    pub form: String,
    /// The name of the bundle, with which paths in an archive begin.
    pub name: String,
    /// By path in the bundle: content, and permission bits. `run` is not among them.
    pub files: BTreeMap<String, (Digest, u32)>,
    /// Folders in the bundle.
    pub folders: BTreeSet<String>,
    /// The Go toolchain.
    pub go: Digest,
    /// `GOOS/GOARCH` of the tests.
    pub platform: String,
}

#[derive(Serialize)]
struct Index<'a> {
    format: &'static str,
    name: &'a Label,
    tests: &'a [BundledTest],
}

impl BundleInputs {
    /// Returns the key under which the bundle stands in the store.
    #[must_use]
    pub fn key(&self) -> Digest {
        let Self { linkwright, runner, form, name, files, folders, go, platform } = self;
        let mut framed = Framed::new("linkwright bundle 2");
        framed.text(linkwright);
        framed.digest(runner);
        framed.text(form);
        framed.text(name);
        framed.count(files.len());
        for (path, (digest, mode)) in files {
            framed.text(path);
            framed.digest(digest);
            framed.bytes(&mode.to_le_bytes());
        }
        framed.list(&folders.iter().cloned().collect::<Vec<_>>());
        framed.digest(go);
        framed.text(platform);
        framed.finish()
    }
}

/// Returns the index of the bundle `name`.
///
/// # Errors
///
/// Returns serde's error, which would be a bug: every field is plain data.
pub fn index(name: &Label, tests: &[BundledTest]) -> Result<String, serde_json::Error> {
    let index = Index { format: FORMAT, name, tests };
    Ok(serde_json::to_string_pretty(&index)? + "\n")
}

/// Returns the runner for a shell.
#[must_use]
pub fn script(tests: &[BundledTest]) -> String {
    let mut calls = String::new();
    for it in tests {
        let BundledTest { label, go_package, binary, folder, timeout_seconds, args, pass_env } = it;
        // A shell has no other variables.
        let names = pass_env.iter().filter(|it| is_shell_name(it));
        let names = names.map(String::as_str).collect::<Vec<_>>().join(" ");
        let words = [&label.to_string(), go_package, binary, folder, &timeout_seconds.to_string()];
        let words = words.into_iter().chain(std::iter::once(&names)).chain(args);
        let words: Vec<_> = words.map(|it| quoted(it)).collect();
        let _ = writeln!(calls, "binary {}", words.join(" "));
    }
    SCRIPT.replace(PLACE, &calls)
}

/// Returns a word as a shell reads it, whatever is in it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

fn is_shell_name(name: &str) -> bool {
    let letter = |it: char| it.is_ascii_alphabetic() || it == '_';
    name.starts_with(letter) && name.chars().all(|it| letter(it) || it.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::difference::of_bundles;
    use crate::words::label::PackagePath;
    use expect_test::expect;

    fn sample() -> BundledTest {
        BundledTest {
            label: Label::new(PackagePath::root(), "tests").unwrap(),
            go_package: "m/a".to_owned(),
            binary: "bin/tests/m/a.test".to_owned(),
            folder: "src/a b".to_owned(),
            timeout_seconds: 600,
            args: vec!["-x=it's $HOME\n".to_owned()],
            pass_env: vec!["A_1".to_owned(), "B-2;rm".to_owned()],
        }
    }

    #[test]
    fn no_word_of_a_rule_file_is_more_than_a_word_to_a_shell() {
        let text = script(&[sample()]);
        let start = text.find("\nbinary '").unwrap();
        let call = text[start..].split("[ -z").next().unwrap();
        expect![[r#"

            binary '//:tests' 'm/a' 'bin/tests/m/a.test' 'src/a b' '600' 'A_1' '-x=it'\''s $HOME
            '
        "#]]
        .assert_eq(call);
        assert!(!text.contains("@TESTS@") && SCRIPT.matches(PLACE).count() == 1);
    }

    #[test]
    fn the_index_tells_all_that_a_runner_needs() {
        expect![[r#"
            {
              "format": "linkwright-bundle/1",
              "name": "//:tests",
              "tests": [
                {
                  "label": "//:tests",
                  "go_package": "m/a",
                  "binary": "bin/tests/m/a.test",
                  "folder": "src/a b",
                  "timeout_seconds": 600,
                  "args": [
                    "-x=it's $HOME\n"
                  ],
                  "pass_env": [
                    "A_1",
                    "B-2;rm"
                  ]
                }
              ]
            }
        "#]]
        .assert_eq(&index(&sample().label, &[sample()]).unwrap());
    }

    #[test]
    fn each_field_alone_changes_the_key_and_is_told() {
        type Alteration = fn(&mut BundleInputs);
        let inputs = || BundleInputs {
            linkwright: "1".to_owned(),
            runner: Digest::of(b"runner"),
            form: "tar".to_owned(),
            name: "fleet".to_owned(),
            files: BTreeMap::from([("a".to_owned(), (Digest::of(b"1"), 0o644))]),
            folders: BTreeSet::from(["src".to_owned()]),
            go: Digest::of(b"go"),
            platform: "linux/amd64".to_owned(),
        };
        let changes: [(&str, Alteration); 10] = [
            ("linkwright", |it| it.linkwright.push('0')),
            ("source of `run`", |it| it.runner = Digest::of(b"other")),
            ("form", |it| it.form = "folder".to_owned()),
            ("name", |it| it.name.push('s')),
            ("platform", |it| it.platform.push('x')),
            ("Go toolchain", |it| it.go = Digest::of(b"other")),
            ("folder src/a", |it| _ = it.folders.insert("src/a".to_owned())),
            ("file a", |it| _ = it.files.insert("a".to_owned(), (Digest::of(b"2"), 0o644))),
            ("permissions of a", |it| {
                it.files.insert("a".to_owned(), (Digest::of(b"1"), 0o755));
            }),
            ("file b", |it| _ = it.files.insert("b".to_owned(), (Digest::of(b"1"), 0o644))),
        ];
        let mut keys = BTreeSet::from([inputs().key()]);
        for (name, change) in changes {
            let mut altered = inputs();
            change(&mut altered);
            assert!(keys.insert(altered.key()), "{name} does not show in the key");
            for told in [of_bundles(&inputs(), &altered), of_bundles(&altered, &inputs())] {
                assert_eq!(told.iter().map(|it| it.input.as_str()).collect::<Vec<_>>(), [name]);
            }
        }
        assert_eq!(of_bundles(&inputs(), &inputs()), []);
    }
}
