//! A second module beside the main one, and the way in which Go finds it.

use crate::random::Random;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _};

/// A module `example.com/s` of one package, which the program `a` imports.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sibling {
    /// How it is found: `replace`, `work` or `vendor`.
    pub way: &'static str,
    /// What it says.
    pub value: String,
}

impl Sibling {
    /// Makes one, or none.
    #[must_use]
    pub fn random(random: &mut Random) -> Option<Self> {
        let way = *random.one(&["replace", "work", "vendor", "none"])?;
        (way != "none").then(|| Self { way, value: "s0".to_owned() })
    }

    pub(super) fn hash_into(&self, hasher: &mut DefaultHasher) {
        self.hash(hasher);
    }

    pub(super) fn render(&self, files: &mut BTreeMap<String, String>) {
        let go_line = "\ngo 1.22\n";
        let folder = if self.way == "vendor" { "vendor/example.com/s" } else { "sibling" };
        let mut put = |name: String, text: String| files.insert(name, text);
        put(format!("{folder}/s.go"), format!("package s\n\nconst Value = {:?}\n", self.value));
        let import = "package main\n\nimport \"example.com/s\"\n\n\
                      func init() { parts[\"s\"] = s.Value }\n";
        put("cmd/a/sibling.go".to_owned(), import.to_owned());
        match self.way {
            "vendor" => {
                let list = "# example.com/s v1.0.0\n## explicit; go 1.22\nexample.com/s\n";
                put("vendor/modules.txt".to_owned(), list.to_owned());
            }
            _ => {
                put("sibling/go.mod".to_owned(), format!("module example.com/s\n{go_line}"));
            }
        }
        if self.way == "work" {
            put("go.work".to_owned(), "go 1.24\n\nuse (\n\t.\n\t./sibling\n)\n".to_owned());
        }
        if let Some(go_mod) = files.get_mut("go.mod") {
            *go_mod += "\nrequire example.com/s v1.0.0\n";
            if self.way == "replace" {
                *go_mod += "\nreplace example.com/s => ./sibling\n";
            }
        }
    }
}
