//! C beside Go: a cgo package with a source and a header of its own, a header outside the module,
//! and a static archive.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::hash::{DefaultHasher, Hash as _};
use std::process::Command;
use std::sync::{LazyLock, Mutex, PoisonError};

/// The numbers that C code is made of, each in a file of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct CSide {
    /// In `c.c`.
    pub source: u32,
    /// In a header beside it.
    pub header: u32,
    /// In a header in another folder of the module.
    pub outer: u32,
    /// In a static archive that the linker is given.
    pub archive: u32,
}

impl CSide {
    /// Returns what the program says of it.
    #[must_use]
    pub fn state(&self) -> String {
        format!("{}.{}.{}.{}", self.source, self.header, self.outer, self.archive)
    }

    pub(super) fn hash_into(&self, hasher: &mut DefaultHasher) {
        self.hash(hasher);
    }

    pub(super) fn render(&self, files: &mut BTreeMap<String, String>) {
        let Self { source, header, outer, archive: _ } = self;
        let mut put = |name: &str, text: String| files.insert(name.to_owned(), text);
        put(
            "cmd/a/c.c",
            format!(
                "#include \"c.h\"\n#include \"../../include/outer.h\"\n\
             int source(void) {{ return {source}; }}\nint header(void) {{ return HEADER; }}\n\
             int outer(void) {{ return OUTER; }}\n",
            ),
        );
        let declared =
            "int source(void);\nint header(void);\nint outer(void);\nint archived(void);\n";
        put("cmd/a/c.h", format!("#define HEADER {header}\n{declared}"));
        put("include/outer.h", format!("#define OUTER {outer}\n"));
        put(
            "cmd/a/c.go",
            "package main\n\n// #cgo LDFLAGS: ${SRCDIR}/../../lib/libx.a\n// #include \"c.h\"\n\
             import \"C\"\nimport \"strconv\"\n\n\
             func init() {\n\tn := func(it C.int) string { return strconv.Itoa(int(it)) }\n\
             \tparts[\"c\"] = n(C.source()) + \".\" + n(C.header()) + \".\" + n(C.outer()) + \
             \".\" + n(C.archived())\n}\n"
                .to_owned(),
        );
    }

    /// Returns the archive's bytes.
    pub(super) fn archive_bytes(&self) -> Vec<u8> {
        static MADE: LazyLock<Mutex<HashMap<u32, Vec<u8>>>> = LazyLock::new(Mutex::default);
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        made.entry(self.archive).or_insert_with(|| compile(self.archive)).clone()
    }
}

/// Makes an archive of one function that returns `number`.
fn compile(number: u32) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.c"), format!("int archived(void) {{ return {number}; }}\n"))
        .unwrap();
    for words in [["gcc", "-c", "x.c", "-O1"], ["ar", "rcD", "libx.a", "x.o"]] {
        let status = Command::new(words[0]).args(&words[1..]).current_dir(folder.path()).status();
        assert!(status.is_ok_and(|it| it.success()), "{words:?} failed");
    }
    fs::read(folder.path().join("libx.a")).unwrap()
}
