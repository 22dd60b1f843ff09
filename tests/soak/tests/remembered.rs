//! When a run may be told from what the last one saw, shown with the stand-in for `go`.

use linkwright_soak::bench::{Bench, Programs, Run, Toolchain};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

fn bench() -> Bench {
    let bench = Bench::new(&Programs::find().unwrap(), Toolchain::Stub);
    let rules = "build(targets: [go_binary(name: \"m\", package: \".\", link: \"pure\")])\n";
    let files = [
        ("BUILD.ron", rules),
        ("go.mod", "module example.com/m\n\ngo 1.24\n"),
        ("main.go", "package main\n\nfunc main() {}\n"),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
    bench.sync(&BTreeMap::from(files));
    bench
}

/// Builds with `path` as PATH, once everything is older than a tick of the file system's clock.
fn build(bench: &Bench, path: &str) -> Run {
    std::thread::sleep(Duration::from_millis(300));
    let mut command = bench.command(&["build", "--json"]);
    let run = Run::of(&command.env("PATH", path).output().unwrap());
    assert_eq!(run.code, Some(0), "{}", run.told());
    run
}

/// As the shims of version managers do, the script leads to the toolchain that a file elsewhere
/// names, and linkwright cannot know which file.
#[test]
fn a_script_in_place_of_go_is_asked_each_time() {
    let bench = bench();
    let own = bench.go_root().join("bin");
    let own = own.to_str().unwrap();
    build(&bench, own);
    build(&bench, own);
    assert_eq!(build(&bench, own).count("go_processes"), 0, "nothing changed");

    let shims = bench.home().join("shims");
    fs::create_dir(&shims).unwrap();
    let script = format!("#!/bin/sh\nexec \"{own}/go\" \"$@\"\n");
    fs::write(shims.join("go"), script).unwrap();
    fs::set_permissions(shims.join("go"), fs::Permissions::from_mode(0o755)).unwrap();
    for _ in 0..3 {
        let run = build(&bench, shims.to_str().unwrap());
        assert_ne!(run.count("go_processes"), 0, "{}", run.told());
    }
}
