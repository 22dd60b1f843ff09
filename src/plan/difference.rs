//! What changed between two manifests, in words that a person knows.
//!
//! Pure. A manifest is destructured without `..`: an input that is new in it does not compile until
//! someone decides how its change is told. Two manifests that differ have at least one change, and
//! equal ones have none.

use crate::formats::go_events::plain;
use crate::plan::bundle::BundleInputs;
use crate::plan::fingerprint::{CommandInputs, LinkInputs};
use crate::words::digest::Digest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How many digits of a digest are shown.
const SHOWN_DIGITS: usize = 12;

/// How many changed inputs an error names before the rest is only counted.
const NAMED: usize = 10;

/// One input with other values than before.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Change {
    /// The input: `file example.com/m/lib: lib.go`, `variable GOAMD64`, `Go toolchain`.
    pub input: String,
    /// Its value before, a content's digest cut short; `null` if it was not there.
    pub old: Option<String>,
    /// Its value now; `null` if it is not there.
    pub new: Option<String>,
}

/// Returns what changed between the inputs of two links, sorted, each change once.
#[must_use]
pub fn of_links(old: &LinkInputs, new: &LinkInputs) -> Vec<Change> {
    let LinkInputs {
        go_package,
        kind,
        environment,
        flags,
        go,
        c_tools,
        c_headers,
        c_libraries,
        pkg_config,
        modules,
        module_files,
        files,
        c_files,
        c_deps,
        folder,
        vcs,
    } = new;
    let mut changes = Changes::default();
    changes.text("Go package", &old.go_package, go_package);
    changes.text("kind of output", &old.kind, kind);
    changes.texts("variable", &old.environment, environment);
    changes.flags(&old.flags, flags);
    changes.digest("Go toolchain", Some(&old.go), Some(go));
    changes.digest("C compiler and linker", old.c_tools.as_ref(), c_tools.as_ref());
    changes.digest("C headers of the compiler", old.c_headers.as_ref(), c_headers.as_ref());
    changes.digests("library", &old.c_libraries, c_libraries);
    changes.texts("pkg-config", &old.pkg_config, pkg_config);
    changes.texts("module", &old.modules, modules);
    changes.digests("file", &old.module_files, module_files);
    changes.digests("file", &old.files, files);
    changes.digests("C file", &old.c_files, c_files);
    changes.digests("C library", &old.c_deps, c_deps);
    changes.value("folder", old.folder.as_deref(), folder.as_deref());
    changes.value("state of the repository", old.vcs.as_deref(), vcs.as_deref());
    changes.sorted()
}

/// Returns what changed between the inputs of two runs of a command, sorted, each change once.
#[must_use]
pub fn of_commands(old: &CommandInputs, new: &CommandInputs) -> Vec<Change> {
    let CommandInputs { folder, argv, program, environment, files, outputs } = new;
    let mut changes = Changes::default();
    changes.text("folder", &old.folder, folder);
    changes.list("argv", &old.argv, argv);
    changes.digest("program", old.program.as_ref(), program.as_ref());
    changes.texts("variable", &old.environment, environment);
    changes.digests("file", &old.files, files);
    changes.list("outputs", &old.outputs, outputs);
    changes.sorted()
}

/// Returns what changed between what two bundles are made of, sorted, each change once.
#[must_use]
pub fn of_bundles(old: &BundleInputs, new: &BundleInputs) -> Vec<Change> {
    let BundleInputs { linkwright, runner, form, name, files, folders, go, platform } = new;
    let mut changes = Changes::default();
    changes.text("linkwright", &old.linkwright, linkwright);
    changes.digest("source of `run`", Some(&old.runner), Some(runner));
    changes.text("form", &old.form, form);
    changes.text("name", &old.name, name);
    for path in old.files.keys().chain(files.keys()) {
        let [before, now] = [old.files.get(path), files.get(path)];
        let [digest_before, digest_now] = [before, now].map(|it| it.map(|it| &it.0));
        changes.digest(&format!("file {path}"), digest_before, digest_now);
        if let (Some((_, before)), Some((_, now))) = (before, now) {
            let [before, now] = [before, now].map(|it| format!("{it:03o}"));
            changes.text(&format!("permissions of {path}"), &before, &now);
        }
    }
    for path in old.folders.iter().chain(folders) {
        let [before, now] = [&old.folders, folders].map(|it| it.contains(path).then_some("there"));
        changes.value(&format!("folder {path}"), before, now);
    }
    changes.digest("Go toolchain", Some(&old.go), Some(go));
    changes.text("platform", &old.platform, platform);
    changes.sorted()
}

/// Returns the changes that all of `lists` hold, sorted.
#[must_use]
pub fn shared(lists: &[&[Change]]) -> Vec<Change> {
    let Some((first, rest)) = lists.split_first() else { return Vec::new() };
    let rest: Vec<BTreeSet<&Change>> = rest.iter().map(|it| it.iter().collect()).collect();
    let in_all = |it: &&Change| rest.iter().all(|list| list.contains(*it));
    first.iter().filter(in_all).cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

/// Returns the names of what changed as lines below a sentence, [`NAMED`] at most; nothing if
/// nothing is named.
#[must_use]
pub fn changed_lines(changes: &[Change]) -> String {
    let names: BTreeSet<&str> = changes.iter().map(|it| it.input.as_str()).collect();
    let mut lines: Vec<_> = names.iter().take(NAMED).map(|it| format!("\n  {it}")).collect();
    if names.len() > NAMED {
        lines.push(format!("\n  and {} more", names.len() - NAMED));
    }
    lines.concat()
}

#[derive(Default)]
struct Changes(BTreeSet<Change>);

impl Changes {
    fn sorted(self) -> Vec<Change> {
        self.0.into_iter().collect()
    }

    fn value(&mut self, input: &str, old: Option<&str>, new: Option<&str>) {
        if old != new {
            let (old, new) = (old.map(str::to_owned), new.map(str::to_owned));
            self.0.insert(Change { input: input.to_owned(), old, new });
        }
    }

    fn text(&mut self, input: &str, old: &str, new: &str) {
        self.value(input, Some(old), Some(new));
    }

    fn list(&mut self, input: &str, old: &[String], new: &[String]) {
        // Neighbours must stay apart, so that two lists that differ are shown to differ.
        if old != new {
            self.text(input, &format!("{old:?}"), &format!("{new:?}"));
        }
    }

    fn digest(&mut self, input: &str, old: Option<&Digest>, new: Option<&Digest>) {
        if old != new {
            let (long_old, long_new) = (old.map(Digest::to_string), new.map(Digest::to_string));
            let cut = |it: &Option<String>| it.as_ref().map(|it| it[..SHOWN_DIGITS].to_owned());
            match (cut(&long_old), cut(&long_new)) {
                // As good as impossible; but what changed must be shown to change.
                (old, new) if old == new => {
                    self.value(input, long_old.as_deref(), long_new.as_deref());
                }
                (old, new) => self.value(input, old.as_deref(), new.as_deref()),
            }
        }
    }

    fn texts(
        &mut self,
        kind: &str,
        old: &BTreeMap<String, String>,
        new: &BTreeMap<String, String>,
    ) {
        for name in old.keys().chain(new.keys()) {
            let [old, new] = [old, new].map(|it| it.get(name).map(String::as_str));
            self.value(&format!("{kind} {name}"), old, new);
        }
    }

    fn digests(
        &mut self,
        kind: &str,
        old: &BTreeMap<String, Digest>,
        new: &BTreeMap<String, Digest>,
    ) {
        for name in old.keys().chain(new.keys()) {
            self.digest(&format!("{kind} {}", shown(name)), old.get(name), new.get(name));
        }
    }

    /// Tells flags by name, each name's words before and now; if only the order is another, the
    /// whole lists.
    fn flags(&mut self, old: &[String], new: &[String]) {
        if old == new {
            return;
        }
        let before = self.0.len();
        let [told_old, told_new] = [by_name(old), by_name(new)];
        self.texts("flag", &told_old, &told_new);
        if self.0.len() == before {
            self.list("order of flags", old, new);
        }
    }
}

/// Sorts flags by name: `-tags=a,b` under `-tags`; a word without `-` belongs to the flag before.
fn by_name(flags: &[String]) -> BTreeMap<String, String> {
    let mut named: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut name = "";
    for flag in flags {
        if flag.starts_with('-') {
            name = flag.split_once('=').map_or(flag.as_str(), |it| it.0);
        }
        named.entry(name.to_owned()).or_default().push(flag);
    }
    named.into_iter().map(|(name, words)| (name, words.join(" "))).collect()
}

/// Returns a file's name without the test variant of its package: a variant is made of the same
/// files, and its change is told once.
fn shown(name: &str) -> String {
    match name.split_once(": ") {
        Some((package, file)) => format!("{}: {file}", plain(package)),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fingerprint::tests::{command_changes, command_inputs, inputs, link_changes};
    use expect_test::{Expect, expect};

    fn told(changes: &[Change]) -> String {
        let value = |it: &Option<String>| it.clone().unwrap_or_else(|| "-".to_owned());
        let line = |it: &Change| format!("{}: {} > {}\n", it.input, value(&it.old), value(&it.new));
        changes.iter().map(line).collect()
    }

    #[track_caller]
    fn check(old: &LinkInputs, new: &LinkInputs, expect: Expect) {
        expect.assert_eq(&told(&of_links(old, new)));
    }

    /// The same changes that show in the key.
    #[test]
    fn every_change_that_shows_in_the_key_is_told() {
        for (index, change) in link_changes().into_iter().enumerate() {
            let mut altered = inputs();
            change(&mut altered, "changed".to_owned(), Digest::of(b"changed"));
            assert!(!of_links(&inputs(), &altered).is_empty(), "change {index} of a link");
            assert!(!of_links(&altered, &inputs()).is_empty(), "change {index} of a link, back");
        }
        for (index, change) in command_changes().into_iter().enumerate() {
            let mut altered = command_inputs();
            change(&mut altered, "changed".to_owned(), Digest::of(b"changed"));
            let changes = of_commands(&command_inputs(), &altered);
            assert!(!changes.is_empty(), "change {index} of a command");
        }
        assert_eq!(of_links(&inputs(), &inputs()), []);
        assert_eq!(of_commands(&command_inputs(), &command_inputs()), []);
    }

    #[test]
    fn changes_are_named_as_a_person_knows_them() {
        let mut new = inputs();
        new.files = BTreeMap::from([("example.com/m: new.go".into(), Digest::of(b"n"))]);
        new.go = Digest::of(b"other go");
        new.modules.insert("example.com/d".into(), "v1.1.0".into());
        new.environment.insert("GOAMD64".into(), "v3".into());
        new.c_headers = None;
        check(
            &inputs(),
            &new,
            expect![[r#"
                C headers of the compiler: 93d2b9afdaaa > -
                Go toolchain: c0e199065eef > 6d60b697d828
                file example.com/m: main.go: bb5ad6a65f19 > -
                file example.com/m: new.go: - > a74e0b1433b5
                module example.com/d: v1.0.0 > v1.1.0
                variable GOAMD64: - > v3
            "#]],
        );
    }

    #[test]
    fn flags_are_told_by_name_and_a_word_belongs_to_the_flag_before_it() {
        let with = |flags: &[&str]| LinkInputs {
            flags: flags.iter().map(ToString::to_string).collect(),
            ..inputs()
        };
        check(
            &with(&["-trimpath", "-tags=a", "-installsuffix", "x"]),
            &with(&["-tags=a,b", "-installsuffix", "y", "-race"]),
            expect![[r"
                flag -installsuffix: -installsuffix x > -installsuffix y
                flag -race: - > -race
                flag -tags: -tags=a > -tags=a,b
                flag -trimpath: -trimpath > -
            "]],
        );
        check(
            &with(&["-a", "-b"]),
            &with(&["-b", "-a"]),
            expect![[r#"
                order of flags: ["-a", "-b"] > ["-b", "-a"]
            "#]],
        );
    }

    #[test]
    fn a_file_of_a_package_and_of_its_test_variant_is_told_once() {
        let with = |text: &str| LinkInputs {
            files: ["m: a.go", "m [m.test]: a.go"]
                .map(|it| (it.to_owned(), Digest::of(text.as_bytes())))
                .into(),
            ..inputs()
        };
        assert_eq!(of_links(&with("1"), &with("2")).len(), 1);
    }

    #[test]
    fn what_all_share_is_found() {
        let change = |input: &str| Change { input: input.to_owned(), old: None, new: None };
        let list = |inputs: &[&str]| inputs.iter().map(|it| change(it)).collect::<Vec<_>>();
        let lists = [list(&["a", "b", "c"]), list(&["b", "c"]), list(&["c", "d", "b"])];
        let lists: Vec<_> = lists.iter().map(Vec::as_slice).collect();
        assert_eq!(shared(&lists), list(&["b", "c"]));
        assert_eq!(shared(&lists[..1]), list(&["a", "b", "c"]));
        assert_eq!(shared(&[]), []);
    }

    #[test]
    fn names_are_cut_and_the_rest_is_counted() {
        let change = |at: usize| Change { input: format!("f{at:02}"), old: None, new: None };
        let changes: Vec<_> = (0..3).chain(0..2).map(change).collect();
        assert_eq!(changed_lines(&changes), "\n  f00\n  f01\n  f02");
        let changes: Vec<_> = (0..12).map(change).collect();
        assert!(changed_lines(&changes).ends_with("\n  f09\n  and 2 more"));
        assert_eq!(changed_lines(&[]), "");
    }
}
