//! What the stand-in's `go list -json` prints.

use super::Call;
use super::source::{File, Module, Package};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Returns the objects that tell of the packages that `call` names, and all that they import.
pub(super) fn told(call: &Call, module: &Module) -> String {
    let mut matched: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut missing = Vec::new();
    for pattern in &call.names {
        let found = found(module, pattern);
        if found.is_empty() && !pattern.ends_with("...") {
            missing.push(pattern);
        }
        for path in found {
            matched.entry(path).or_default().push(pattern.clone());
        }
    }
    let mut reached = BTreeSet::new();
    for root in matched.keys() {
        reached.extend(module.closure(root, call.tests));
    }
    let mut objects = Vec::new();
    for path in reached {
        let package = &module.packages[&path];
        let patterns = matched.get(&path);
        objects.push(object(module, &path, package, patterns));
        if call.tests && patterns.is_some() && !package.tests.is_empty() {
            objects.extend(variants(module, &path, package, patterns));
        }
    }
    for pattern in missing {
        let error = json!({"Err": format!("package {pattern} is not there")});
        objects.push(json!({"ImportPath": pattern, "Match": [pattern], "Error": error}));
    }
    let mut text = String::new();
    for it in objects {
        let _ = writeln!(text, "{it:#}");
    }
    text
}

/// Returns the import paths that a pattern matches. One without `...` is not held against every
/// package: there may be a hundred thousand of both.
fn found(module: &Module, pattern: &str) -> Vec<String> {
    let wanted = match pattern.strip_prefix("./") {
        Some(it) => it,
        None if pattern == "." => "",
        None => pattern.strip_prefix(&module.path).unwrap_or(pattern).trim_start_matches('/'),
    };
    if let Some(start) = wanted.strip_suffix("...") {
        let rest = |it: &str| it.strip_prefix(&module.path).unwrap_or(it).to_owned();
        let start = start.trim_end_matches('/');
        let fits = |it: &&String| rest(it).trim_start_matches('/').starts_with(start);
        return module.packages.keys().filter(fits).cloned().collect();
    }
    let own = format!("{}/{wanted}", module.path);
    let candidates = [if wanted.is_empty() { module.path.clone() } else { own }, wanted.to_owned()];
    candidates.into_iter().filter(|it| module.packages.contains_key(it)).collect()
}

fn object(module: &Module, path: &str, package: &Package, patterns: Option<&Vec<String>>) -> Value {
    let names = |it: &[File]| it.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
    json!({
        "ImportPath": path, "Dir": package.folder, "Name": package.name,
        "DepOnly": patterns.is_none(), "Match": patterns.cloned().unwrap_or_default(),
        "Module": {"Path": module.path, "Main": true, "Dir": module.folder,
                   "GoMod": module.folder.join("go.mod"), "GoVersion": module.go_line},
        "Imports": package.imports(false), "GoFiles": names(&package.files),
        "TestGoFiles": names(&package.tests), "EmbedFiles": package.embeds,
        "EmbedPatterns": if package.embeds.is_empty() { vec![] } else { vec!["data/*.txt"] },
    })
}

/// The package compiled with its tests, and the main package of its test binary.
fn variants(
    module: &Module,
    path: &str,
    package: &Package,
    patterns: Option<&Vec<String>>,
) -> [Value; 2] {
    let tested = format!("{path} [{path}.test]");
    let mut own = object(module, path, package, patterns);
    own["ImportPath"] = json!(tested);
    own["ForTest"] = json!(path);
    own["Imports"] = json!(package.imports(true));
    let names = package.files.iter().chain(&package.tests).map(|it| it.name.clone());
    own["GoFiles"] = json!(names.collect::<Vec<_>>());
    let mut main = object(module, path, package, patterns);
    main["ImportPath"] = json!(format!("{path}.test"));
    main["Name"] = json!("main");
    main["Imports"] = json!([tested]);
    main["GoFiles"] = json!(["_testmain.go"]);
    for list in ["TestGoFiles", "EmbedFiles", "EmbedPatterns"] {
        main[list] = json!([]);
    }
    [own, main]
}
