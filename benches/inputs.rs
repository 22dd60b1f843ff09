//! What the benchmarks work on: rule files, keys and trees of any size.

use linkwright::effects::digests::Digests;
use linkwright::effects::folders::Links;
use linkwright::effects::last_run::LastRun;
use linkwright::effects::scene::Scene;
use linkwright::plan::fingerprint::LinkInputs;
use linkwright::words::digest::Digest;
use linkwright::words::span::Source;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A rule file of `count` targets, each after the one before it.
#[must_use]
pub fn rule_file(count: usize) -> Arc<Source> {
    let target = |at: usize| {
        let dependency = at.checked_sub(1).map(|it| format!("\":p{it}\"")).unwrap_or_default();
        format!(
            "    go_binary(name: \"p{at}\", package: \"./cmd/p{at}\", link: \"static\",\n        \
             tags: [\"one\", \"two\"], deps: [{dependency}]),\n"
        )
    };
    let targets: String = (0..count).map(target).collect();
    let text = format!("build(targets: [\n{targets}])\n");
    Arc::new(Source { name: "BUILD.ron".to_owned(), text })
}

/// The inputs of a link of `count` files.
#[must_use]
pub fn link_inputs(count: usize) -> LinkInputs {
    let digest = |at: usize| Digest::of(&at.to_le_bytes());
    let file = |at: usize| (format!("example.com/m/lib{}: file{at}.go", at / 10), digest(at));
    let module = |at: usize| (format!("example.com/other{at}"), format!("v1.{at}.0"));
    LinkInputs {
        go_package: "example.com/m/cmd/server".to_owned(),
        kind: "program".to_owned(),
        environment: [("CGO_ENABLED".to_owned(), "1".to_owned())].into(),
        flags: vec!["-trimpath".to_owned(), "-tags=netgo,osusergo".to_owned()],
        go: digest(0),
        c_tools: Some(digest(1)),
        c_headers: Some(digest(2)),
        c_libraries: (0..count / 10).map(file).collect(),
        c_deps: [].into(),
        pkg_config: [].into(),
        modules: (0..count / 10).map(module).collect(),
        module_files: [("go.mod".to_owned(), digest(3))].into(),
        files: (0..count).map(file).collect(),
        c_files: (0..count / 10).map(file).collect(),
        folder: None,
        vcs: None,
    }
}

/// Makes a tree of `count` files, five to a folder, and remembers in it a run that saw all of them.
/// Returns what that run was asked.
///
/// # Panics
///
/// Panics if the machine refuses.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "files are made, and held against their times")]
pub fn remembered_tree(root: &Path, count: usize) -> Digest {
    let digests = Digests::open(&root.join("stamps"), true);
    // Later than the files, so that what is drawn is old.
    let mut scene = Scene::new(SystemTime::now() + Duration::from_mins(1), &digests, |_| false);
    for folder in (0..count.div_ceil(5)).map(|it| root.join(format!("g{}/p{it}", it / 100))) {
        fs::create_dir_all(&folder).unwrap();
        for name in ["a.go", "b.go", "c.go", "d.go", "main.go"] {
            fs::write(folder.join(name), name).unwrap();
        }
        scene.tree((&folder, Links::Left), &digests, |_| true, |_| true);
    }
    let question = Digest::of(b"what?");
    let run = LastRun {
        question,
        variables: (Vec::new(), Digest::of(b"")),
        drawn: SystemTime::now(),
        sights: scene.clear().unwrap(),
        about: count,
        told: Vec::<()>::new(),
    };
    run.write(root).unwrap();
    question
}
