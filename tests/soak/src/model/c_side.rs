//! C beside Go: a cgo package with a source and a header of its own, a header outside the module,
//! and a static archive.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _};

/// The numbers that C code is made of, each in a file of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct CSide {
    /// In `c.c`.
    pub source: u32,
    /// In a header beside it.
    pub header: u32,
    /// In a header in another folder of the module.
    pub outer: u32,
}

impl CSide {
    /// Returns what the program says of it.
    #[must_use]
    pub fn state(&self) -> String {
        format!("{}.{}.{}", self.source, self.header, self.outer)
    }

    pub(super) fn hash_into(&self, hasher: &mut DefaultHasher) {
        self.hash(hasher);
    }

    pub(super) fn render(&self, files: &mut BTreeMap<String, String>) {
        let Self { source, header, outer } = self;
        let mut put = |name: &str, text: String| files.insert(name.to_owned(), text);
        put(
            "cmd/a/c.c",
            format!(
                "#include \"c.h\"\n#include \"../../include/outer.h\"\n\
             int source(void) {{ return {source}; }}\nint header(void) {{ return HEADER; }}\n\
             int outer(void) {{ return OUTER; }}\n",
            ),
        );
        let declared = "int source(void);\nint header(void);\nint outer(void);\n";
        put("cmd/a/c.h", format!("#define HEADER {header}\n{declared}"));
        put("include/outer.h", format!("#define OUTER {outer}\n"));
        put(
            "cmd/a/c.go",
            "package main\n\n// #include \"c.h\"\nimport \"C\"\nimport \"strconv\"\n\n\
             func init() {\n\tn := func(it C.int) string { return strconv.Itoa(int(it)) }\n\
             \tparts[\"c\"] = n(C.source()) + \".\" + n(C.header()) + \".\" + n(C.outer())\n}\n"
                .to_owned(),
        );
    }
}
