//! The key of a link: every input that can change the bytes of its output, as one typed struct.
//!
//! | input | because |
//! |---|---|
//! | Go package, and whether it is its test binary | they name what is built |
//! | flags and environment of the `go` command | they are its arguments; what is not said is fixed |
//! | the Go toolchain by content | its compiler, linker and standard library are in the output |
//! | the C tools and their headers by content, where they take part | they compile, link, and are linked in |
//! | libraries, archives and scripts that words for the linker name, and what these lead to, by content | they are linked in |
//! | pkg-config's answers | they become flags |
//! | every file of every local Go package of the closure, by content | they are compiled |
//! | modules by path and version; `go.mod`, `go.sum`, `go.work`, `vendor/modules.txt` by content | `go.sum` pins their bytes; the rest chooses them |
//! | C headers, sources and archives of the module where cgo code is local; what any cgo code may read outside | C includes what Go does not see |
//! | C libraries that are targets: their files by content, words and tools by a digest | they are compiled and linked in |
//! | the folder, where a path gets into the output | without `-trimpath`, or with `${SRCDIR}` in cgo flags |
//!
//! Left out, because the output does not depend on them (`-trimpath`, `-buildvcs=false`,
//! `-buildid=`): times, host, user, the path of the workspace, the paths of the tools, `-p`, other
//! targets of the same `go` process, and the promise and policy, which are held against the bytes
//! each time. With `buildvcs: true` the state of the repository is asked of `git` and is in `vcs`.

use crate::words::defect::{Defect, planted};
use crate::words::digest::Digest;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The domain of the key; raised when the meaning of a field changes.
const DOMAIN: &str = "linkwright link 3";

/// Every input of one link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkInputs {
    /// Import path.
    pub go_package: String,
    /// `program` or `test`.
    pub kind: String,
    /// Variables of the `go` command, without the paths of the compilers.
    pub environment: BTreeMap<String, String>,
    /// Flags of the `go` command, in order.
    pub flags: Vec<String>,
    /// The Go toolchain's digest.
    pub go: Digest,
    /// The C tools' digest, where they take part.
    pub c_tools: Option<Digest>,
    /// The digest of what may be read in the C compiler's own folders, where it takes part.
    pub c_headers: Option<Digest>,
    /// What the linker may read because words name it, by path.
    pub c_libraries: BTreeMap<String, Digest>,
    /// What pkg-config answered, by package.
    pub pkg_config: BTreeMap<String, String>,
    /// Modules that are not local: path to version, with the replacement behind it.
    pub modules: BTreeMap<String, String>,
    /// `go.mod`, `go.sum`, `go.work`, `vendor/modules.txt`, by name.
    pub module_files: BTreeMap<String, Digest>,
    /// Files of local packages: `import path: file`.
    pub files: BTreeMap<String, Digest>,
    /// What C compilers and assembler may read: relative to its module, else by path.
    pub c_files: BTreeMap<String, Digest>,
    /// C libraries that are targets: `label: file`, and how each is made.
    #[serde(default)]
    pub c_deps: BTreeMap<String, Digest>,
    /// The module's folder, where it can get into the output.
    pub folder: Option<String>,
    /// Revision and state of the repository, where `buildvcs` stamps them.
    pub vcs: Option<String>,
}

impl LinkInputs {
    /// Returns the key: equal exactly when all inputs are equal.
    ///
    /// Each string stands behind its length as eight little-endian bytes, each list and map behind
    /// its number of entries, so that no two different values have one encoding.
    #[must_use]
    pub fn key(&self) -> Digest {
        // Name every field: a new one does not compile until someone decides how it is hashed.
        let Self {
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
        } = &*as_planted(self);
        let mut framed = Framed(blake3::Hasher::new_derive_key(DOMAIN));
        framed.text(go_package);
        framed.text(kind);
        framed.texts(environment);
        framed.list(flags);
        framed.digest(go);
        framed.optional(c_tools.as_ref(), Framed::digest);
        framed.optional(c_headers.as_ref(), Framed::digest);
        framed.digests(c_libraries);
        framed.texts(pkg_config);
        framed.texts(modules);
        framed.digests(module_files);
        framed.digests(files);
        framed.digests(c_files);
        framed.digests(c_deps);
        framed.optional(folder.as_ref(), |framed, it| framed.text(it));
        framed.optional(vcs.as_ref(), |framed, it| framed.text(it));
        framed.finish()
    }
}

/// Returns the inputs without what a planted defect forgets.
fn as_planted(inputs: &LinkInputs) -> Cow<'_, LinkInputs> {
    use Defect as D;
    type Forget = (Defect, fn(&mut LinkInputs));
    let forget: [Forget; 16] = [
        (D::KeyWithoutPackage, |it| it.go_package.clear()),
        (D::KeyWithoutKind, |it| it.kind.clear()),
        (D::KeyWithoutEnvironment, |it| it.environment.clear()),
        (D::KeyWithoutFlags, |it| it.flags.clear()),
        (D::KeyWithoutTags, |it| it.flags.retain(|it| !it.starts_with("-tags"))),
        (D::KeyWithoutLinkerFlags, |it| it.flags.retain(|it| !it.starts_with("-ldflags"))),
        (D::KeyWithoutToolchain, |it| it.go = Digest::of(b"")),
        (D::KeyWithoutCTools, |it| it.c_tools = None),
        (D::KeyWithoutLibraries, |it| it.c_libraries.clear()),
        (D::KeyWithoutModules, |it| it.modules.clear()),
        (D::KeyWithoutModuleFiles, |it| it.module_files.clear()),
        (D::KeyWithoutFiles, |it| it.files.clear()),
        (D::KeyWithoutCFiles, |it| it.c_files.clear()),
        (D::KeyWithoutCLibraries, |it| it.c_deps.clear()),
        (D::KeyWithoutEmbeds, |it| it.files.retain(|it, _| it.contains(".go"))),
        (D::KeyWithoutTests, |it| it.files.retain(|it, _| !it.contains("_test.go"))),
    ];
    let mut inputs = Cow::Borrowed(inputs);
    for (_, forget) in forget.iter().filter(|(defect, _)| planted(*defect)) {
        forget(inputs.to_mut());
    }
    inputs
}

/// A hasher that frames what it is given.
#[derive(Clone)]
pub struct Framed(blake3::Hasher);

impl Framed {
    /// Begins a hash in a domain of its own.
    #[must_use]
    pub fn new(domain: &str) -> Self {
        Self(blake3::Hasher::new_derive_key(domain))
    }

    /// Adds a number of entries.
    pub fn count(&mut self, count: usize) {
        self.0.update(&(count as u64).to_le_bytes());
    }

    /// Adds a text behind its length.
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Adds bytes behind their number.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.update(bytes);
    }

    /// Adds a digest, which has a fixed length.
    pub fn digest(&mut self, digest: &Digest) {
        self.0.update(digest.as_bytes());
    }

    /// Adds a list of texts.
    pub fn list(&mut self, texts: &[String]) {
        self.count(texts.len());
        for text in texts {
            self.text(text);
        }
    }

    /// Adds a map of texts.
    pub fn texts(&mut self, map: &BTreeMap<String, String>) {
        self.count(map.len());
        for (name, value) in map {
            self.text(name);
            self.text(value);
        }
    }

    /// Adds a map of digests.
    pub fn digests(&mut self, map: &BTreeMap<String, Digest>) {
        self.count(map.len());
        for (name, value) in map {
            self.text(name);
            self.digest(value);
        }
    }

    /// Adds whether there is a value, and the value.
    pub fn optional<T>(&mut self, value: Option<&T>, add: impl FnOnce(&mut Self, &T)) {
        self.count(usize::from(value.is_some()));
        if let Some(value) = value {
            add(self, value);
        }
    }

    /// Returns the digest of all that was added.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest::from_hasher(&self.0)
    }
}

/// Every input of a `command` target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandInputs {
    /// The folder it runs in, relative to the workspace root.
    pub folder: String,
    /// The argument vector as written, labels in braces.
    pub argv: Vec<String>,
    /// The program's content, where it is found on PATH or in the workspace.
    pub program: Option<Digest>,
    /// Variables that it sees, besides the base that every child sees.
    pub environment: BTreeMap<String, String>,
    /// Input files, by path relative to the workspace root.
    pub files: BTreeMap<String, Digest>,
    /// Names of its outputs.
    pub outputs: Vec<String>,
}

impl CommandInputs {
    /// Returns the key: equal exactly when all inputs are equal.
    #[must_use]
    pub fn key(&self) -> Digest {
        let Self { folder, argv, program, environment, files, outputs } = self;
        let mut framed = Framed::new("linkwright command 1");
        framed.text(folder);
        framed.list(if planted(Defect::CommandKeyWithoutWords) { &[] } else { argv });
        framed.optional(program.as_ref(), Framed::digest);
        framed.texts(environment);
        framed.digests(files);
        framed.list(outputs);
        framed.finish()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use expect_test::expect;
    use std::collections::BTreeSet;

    pub(crate) fn inputs() -> LinkInputs {
        let one = |name: &str| BTreeMap::from([(name.to_owned(), Digest::of(name.as_bytes()))]);
        LinkInputs {
            go_package: "example.com/m".into(),
            kind: "program".into(),
            environment: BTreeMap::from([("CGO_ENABLED".into(), "1".into())]),
            flags: vec!["-trimpath".into()],
            go: Digest::of(b"go"),
            c_tools: Some(Digest::of(b"gcc")),
            c_headers: Some(Digest::of(b"stdio.h")),
            c_libraries: one("-lm"),
            pkg_config: BTreeMap::from([("zlib".into(), "-lz".into())]),
            modules: BTreeMap::from([("example.com/d".into(), "v1.0.0".into())]),
            module_files: one("go.mod"),
            files: one("example.com/m: main.go"),
            c_files: one("x.h"),
            c_deps: one("//c:lib: x.c"),
            folder: None,
            vcs: None,
        }
    }

    pub(crate) fn command_inputs() -> CommandInputs {
        CommandInputs {
            folder: "api".into(),
            argv: vec!["protoc".into(), "api.proto".into()],
            program: Some(Digest::of(b"protoc")),
            environment: BTreeMap::from([("LANG".into(), "C".into())]),
            files: BTreeMap::from([("api/api.proto".into(), Digest::of(b"message"))]),
            outputs: vec!["api/api.pb.go".into()],
        }
    }

    /// Alters inputs: a text and a digest are given that stand nowhere in them.
    type Alteration<T> = fn(&mut T, String, Digest);

    /// Each alters one field of a link, in each way in which it can be altered.
    pub(crate) fn link_changes() -> Vec<Alteration<LinkInputs>> {
        vec![
            |it, text, _| it.go_package = text,
            |it, text, _| it.kind = text,
            |it, text, _| {
                it.environment.insert("CGO_ENABLED".into(), text);
            },
            |it, text, _| {
                it.environment.insert(text, "1".into());
            },
            |it, text, _| it.flags.push(text),
            |it, text, _| it.flags = vec![text],
            |it, _, other| it.go = other,
            |it, _, other| it.c_tools = Some(other),
            |it, _, _| it.c_tools = None,
            |it, _, other| it.c_headers = Some(other),
            |it, _, _| it.c_headers = None,
            |it, _, other| {
                it.c_libraries.insert("-lm".into(), other);
            },
            |it, text, _| {
                it.pkg_config.insert("zlib".into(), text);
            },
            |it, text, _| {
                it.modules.insert("example.com/d".into(), text);
            },
            |it, _, other| {
                it.module_files.insert("go.mod".into(), other);
            },
            |it, _, other| {
                it.files.insert("example.com/m: main.go".into(), other);
            },
            |it, text, other| {
                it.files.insert(text, other);
            },
            |it, _, other| {
                it.c_files.insert("x.h".into(), other);
            },
            |it, _, other| {
                it.c_deps.insert("//c:lib: x.c".into(), other);
            },
            |it, text, other| {
                it.c_deps.insert(text, other);
            },
            |it, text, _| it.folder = Some(text),
            |it, text, _| it.vcs = Some(text),
        ]
    }

    /// The same for a command.
    pub(crate) fn command_changes() -> Vec<Alteration<CommandInputs>> {
        vec![
            |it, text, _| it.folder = text,
            |it, text, _| it.argv.push(text),
            |it, text, _| it.argv = vec![text],
            |it, _, _| it.argv.reverse(),
            |it, _, other| it.program = Some(other),
            |it, _, _| it.program = None,
            |it, text, _| {
                it.environment.insert("LANG".into(), text);
            },
            |it, text, _| {
                it.environment.insert(text, "C".into());
            },
            |it, _, _| it.environment.clear(),
            |it, _, other| {
                it.files.insert("api/api.proto".into(), other);
            },
            |it, text, other| {
                it.files.insert(text, other);
            },
            |it, _, _| it.files.clear(),
            |it, text, _| it.outputs.push(text),
            |it, text, _| it.outputs = vec![text],
        ]
    }

    /// Changes each field alone; together with the exhaustive destructuring this is the proof that
    /// no input is forgotten.
    #[test]
    fn each_field_alone_changes_the_key() {
        let changed = || ("changed".to_owned(), Digest::of(b"changed"));
        let mut keys = BTreeSet::from([inputs().key()]);
        for (index, change) in link_changes().iter().enumerate() {
            let (mut altered, (text, other)) = (inputs(), changed());
            change(&mut altered, text, other);
            assert!(keys.insert(altered.key()), "change {index} does not show in the key");
        }
        // In the same set: no command has the key of a link.
        assert!(keys.insert(command_inputs().key()));
        for (index, change) in command_changes().iter().enumerate() {
            let (mut altered, (text, other)) = (command_inputs(), changed());
            change(&mut altered, text, other);
            assert!(keys.insert(altered.key()), "change {index} of a command does not show");
        }
    }

    #[test]
    fn each_field_of_a_command_alone_changes_its_key() {
        let inputs = || CommandInputs {
            folder: "dir".into(),
            argv: vec!["gen".into()],
            program: Some(Digest::of(b"gen")),
            environment: BTreeMap::from([("A".into(), "1".into())]),
            files: BTreeMap::from([("in".into(), Digest::of(b"in"))]),
            outputs: vec!["out".into()],
        };
        let changes: [fn(&mut CommandInputs); 7] = [
            |it| it.folder.push('x'),
            |it| it.argv.push("x".into()),
            |it| it.program = Some(Digest::of(b"x")),
            |it| it.program = None,
            |it| it.environment = BTreeMap::from([("A".into(), "x".into())]),
            |it| it.files = BTreeMap::from([("in".into(), Digest::of(b"x"))]),
            |it| it.outputs.push("x".into()),
        ];
        let mut keys = BTreeSet::from([inputs().key()]);
        for (index, change) in changes.iter().enumerate() {
            let mut altered = inputs();
            change(&mut altered);
            assert!(keys.insert(altered.key()), "change {index} does not show in the key");
        }
    }

    #[test]
    fn a_frame_separates_neighbours() {
        let with = |flags: &[&str]| {
            let flags = flags.iter().map(ToString::to_string).collect();
            LinkInputs { flags, ..inputs() }.key()
        };
        assert_ne!(with(&["ab", "c"]), with(&["a", "bc"]));
        assert_ne!(with(&["a", ""]), with(&["a"]));
    }

    /// Pins the meaning of stored keys: if this fails, raise the domain.
    #[test]
    fn the_key_of_known_inputs_is_known() {
        expect!["be14bf5d3dbd2a1c"].assert_eq(&inputs().key().to_string()[..16]);
        expect!["029520a1f575a708"].assert_eq(&command_inputs().key().to_string()[..16]);
    }
}
