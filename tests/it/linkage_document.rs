//! `docs/linkage.md` speaks of everything that a verdict can say.

use crate::support::manifest_dir;
use linkwright::formats::linkage::{Class, Linkage};
use linkwright::model::policy::Policy;
use serde_json::{Value, to_value};

fn document() -> String {
    std::fs::read_to_string(manifest_dir().join("docs/linkage.md")).unwrap()
}

/// The words of an enum, from its JSON Schema.
fn words<T: schemars::JsonSchema>() -> Vec<String> {
    let schema = to_value(schemars::schema_for!(T)).unwrap();
    let variants = schema["oneOf"].as_array().or(schema["enum"].as_array()).unwrap();
    let word = |it: &Value| it.get("const").unwrap_or(it).as_str().unwrap().to_owned();
    variants.iter().map(word).collect()
}

fn fields<T: serde::Serialize>(of: &T) -> Vec<String> {
    to_value(of).unwrap().as_object().unwrap().keys().cloned().collect()
}

#[test]
fn every_word_of_the_verdict_is_explained() {
    use linkwright::formats::linkage::{HazardBasis, HazardKind, Libc, Relro};
    use linkwright::model::strategy::Promise;
    let text = document();
    let mut expected = fields(&Linkage::of_class(Class::Static, "elf64"));
    expected.extend(Class::ALL.map(|it| it.as_str().to_owned()));
    let policy = fields(&Policy::default());
    expected.extend(policy.into_iter().filter(|it| it != "name" && it != "doc"));
    expected.extend(words::<Class>());
    expected.extend(words::<HazardKind>());
    expected.extend(words::<HazardBasis>());
    expected.extend(words::<Relro>());
    expected.extend(words::<Libc>());
    expected.extend(words::<Promise>());
    assert!(expected.len() > 50, "{expected:?}");
    for word in expected {
        let explained = text.contains(&format!("`{word}`")) || word == "class";
        assert!(explained, "docs/linkage.md does not explain `{word}`");
    }
}

/// `ldd` runs code of the file it looks at; it is named in comments and never in code.
#[test]
fn ldd_is_never_run() {
    let sources = walkdir::WalkDir::new(manifest_dir().join("src"));
    for file in sources.into_iter().filter_map(Result::ok).filter(|it| it.file_type().is_file()) {
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert!(!text.contains("\"ldd\""), "{}", file.path().display());
    }
}
