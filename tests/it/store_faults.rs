//! The store damaged, swapped, replaced, foreign, cleaned and locked: the build after it is right,
//! and the one after that does nothing.

use crate::support::has;
use crate::workspace::{Run, Workspace, holds, prints, text};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const TWO: &str = r#"build(defaults: (link: "pure"), targets: [
    go_binary(name: "p"),
    go_binary(name: "q", package: "./q"),
])"#;

/// One program, built.
pub(crate) fn built_one() -> Option<(Workspace, Vec<u8>)> {
    let build = r#"build(targets: [go_binary(name: "p", link: "static")])"#;
    let it = Workspace::new(&[("BUILD.ron", build), ("main.go", &prints("one"))])?;
    it.built().came("built 1");
    let bytes = it.bytes("p");
    Some((it, bytes))
}

/// The files of one room of the store.
fn stored(it: &Workspace, room: &str) -> Vec<PathBuf> {
    let walk = walkdir::WalkDir::new(it.store().join("v1").join(room)).sort_by_file_name();
    let files = walk.into_iter().map(Result::unwrap).filter(|it| it.file_type().is_file());
    files.map(walkdir::DirEntry::into_path).collect()
}

/// The stored file that holds these bytes.
fn blob_of(it: &Workspace, bytes: &[u8]) -> PathBuf {
    let mut blobs = stored(it, "blobs").into_iter();
    blobs.find(|it| fs::read(it).unwrap() == bytes).unwrap()
}

/// The record of the link that made a program.
fn record_of(it: &Workspace, label: &str) -> PathBuf {
    let key = it.record(label)["key"].as_str().unwrap().to_owned();
    it.store().join("v1/actions").join(&key[..2]).join(key)
}

fn replace(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

pub(crate) fn warnings(run: &Run) -> Vec<String> {
    run.all("warning").map(|it| it["message"].as_str().unwrap().to_owned()).collect()
}

fn forget_outputs(it: &Workspace) {
    fs::remove_dir_all(it.path("linkwright-out")).unwrap();
}

/// Lets the next build look for itself, though nothing changed.
fn forget_runs(it: &Workspace) {
    let _ = fs::remove_dir_all(it.path("linkwright-out/.last-runs"));
}

/// Builds after a fault, with so many warnings, and once more: the first gives `bytes` and the
/// second has nothing to do.
#[track_caller]
fn recovers(it: &Workspace, bytes: &[u8], came: &str, warned: usize) {
    let run = it.built();
    run.came(came);
    assert_eq!(warnings(&run).len(), warned, "{run:#?}");
    assert_eq!(it.bytes("p"), bytes);
    settles(it);
}

/// Builds with nothing to do: nothing is run but questions, nothing is warned of.
#[track_caller]
pub(crate) fn settles(it: &Workspace) {
    let again = it.built();
    let done = again.done();
    assert_eq!((&done["built"], &done["restored"]), (&0.into(), &0.into()), "{again:#?}");
    assert_eq!((again.links().len(), warnings(&again).len()), (0, 0), "{again:#?}");
}

#[test]
fn no_damage_of_a_blob_reaches_an_output() {
    let Some((it, bytes)) = built_one() else { return };
    let blob = blob_of(&it, &bytes);
    let flipped = [&[bytes[0] ^ 1], &bytes[1..]].concat();
    let damages = [flipped, Vec::new(), vec![0; bytes.len()]];
    for damaged in damages {
        forget_outputs(&it);
        replace(&blob, &damaged);
        recovers(&it, &bytes, "built 1", 1);
    }
    forget_outputs(&it);
    fs::remove_file(&blob).unwrap();
    recovers(&it, &bytes, "built 1", 0);
    forget_outputs(&it);
    recovers(&it, &bytes, "restored 1", 0);
}

#[test]
fn no_damage_of_a_record_makes_a_hit() {
    let Some((it, bytes)) = built_one() else { return };
    let record = record_of(&it, "//:p");
    let whole = fs::read(&record).unwrap();
    let middle = whole.len() / 2;
    let flipped = [&whole[..middle], &[whole[middle] ^ 4], &whole[middle + 1..]].concat();
    for damaged in [flipped, Vec::new()] {
        forget_outputs(&it);
        replace(&record, &damaged);
        recovers(&it, &bytes, "built 1", 1);
    }
    assert_eq!(fs::read(&record).unwrap(), whole, "the same record is made again");
    fs::remove_file(&record).unwrap();
    forget_runs(&it);
    recovers(&it, &bytes, "built 1", 0);
}

#[test]
fn swapped_blobs_and_swapped_records_are_no_hits() {
    let files =
        [("BUILD.ron", TWO), ("main.go", &prints("one")), ("q/main.go", &prints("another"))];
    let Some(it) = Workspace::new(&files) else { return };
    it.built().came("built 2");
    let (p, q) = (it.bytes("p"), it.bytes("q/q".trim_start_matches("q/")));
    let swap = |a: &Path, b: &Path| {
        let aside = a.with_extension("swapped");
        fs::rename(a, &aside).unwrap();
        fs::rename(b, a).unwrap();
        fs::rename(aside, b).unwrap();
    };
    for (a, b) in
        [(blob_of(&it, &p), blob_of(&it, &q)), (record_of(&it, "//:p"), record_of(&it, "//:q"))]
    {
        forget_outputs(&it);
        swap(&a, &b);
        let verified = it.run(&["cache", "verify"]);
        assert_eq!(verified.status.code(), Some(12));
        recovers(&it, &p, "built 2", 2);
        assert_eq!(it.bytes("q"), q);
        assert_eq!((it.says("p").as_str(), it.says("q").as_str()), ("one\n", "another\n"));
    }
}

#[test]
fn what_is_no_file_is_set_aside() {
    let Some((it, bytes)) = built_one() else { return };
    let blob = blob_of(&it, &bytes);
    let copy = it.home().join("copy");
    fs::write(&copy, &bytes).unwrap();
    let make: [&dyn Fn(&Path); 3] = [
        // The right bytes, but somebody else's: they may change after they were checked.
        &|path| symlink(&copy, path).unwrap(),
        &|path| fs::create_dir(path).unwrap(),
        &|path| {
            let mode = rustix::fs::Mode::from_raw_mode(0o644);
            let kind = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
        },
    ];
    for make in make {
        forget_outputs(&it);
        fs::remove_file(&blob).unwrap();
        make(&blob);
        recovers(&it, &bytes, "built 1", 1);
        assert!(fs::symlink_metadata(&blob).unwrap().is_file());
    }
    assert_eq!(fs::read(&copy).unwrap(), bytes);
}

/// A record that is sealed as it should be and says a wrong size: what a mistake would write.
#[test]
fn a_right_record_that_names_a_blob_of_another_size_is_no_hit() {
    let Some((it, bytes)) = built_one() else { return };
    let ledger = it.read("linkwright-out/ledger.json");
    let record = record_of(&it, "//:p");
    let mut sealed = fs::read(&record).unwrap();
    let says = format!("\"size\":{}", bytes.len());
    let at = sealed.windows(says.len()).position(|it| it == says.as_bytes()).unwrap();
    let last = at + says.len() - 1;
    sealed[last] = if sealed[last] == b'1' { b'2' } else { b'1' };
    let body = sealed.len() - 32;
    let seal = blake3::hash(&sealed[..body]);
    sealed[body..].copy_from_slice(seal.as_bytes());
    for in_place in [true, false] {
        if !in_place {
            forget_outputs(&it);
        }
        replace(&record, &sealed);
        recovers(&it, &bytes, "built 1", 0);
        assert_eq!(it.read("linkwright-out/ledger.json"), ledger);
    }
}

#[test]
fn an_output_shares_no_inode_with_the_store() {
    let Some((it, bytes)) = built_one() else { return };
    if !has("strip") {
        return;
    }
    forget_outputs(&it);
    it.built().came("restored 1");
    let (output, blob) = (it.bin("p"), blob_of(&it, &bytes));
    let inode = |it: &Path| fs::metadata(it).unwrap().ino();
    assert_ne!(inode(&output), inode(&blob));
    for path in [&output, &blob] {
        assert_eq!(fs::metadata(path).unwrap().nlink(), 1);
    }
    let stripped = it.command("strip").arg(&output).output().unwrap();
    assert!(stripped.status.success(), "{stripped:?}");
    assert_ne!(it.bytes("p"), bytes);
    assert_eq!(it.run(&["cache", "verify"]).status.code(), Some(0));
    recovers(&it, &bytes, "restored 1", 0);
}

#[test]
fn a_store_of_another_format_is_left_as_it_is() {
    let Some((it, bytes)) = built_one() else { return };
    let marker = it.store().join("format");
    let ours = fs::read_to_string(&marker).unwrap();
    fs::write(&marker, "linkwright-store/9\n").unwrap();
    let listed = || -> Vec<_> {
        let walk = walkdir::WalkDir::new(it.store()).sort_by_file_name().into_iter();
        let entries = walk.map(Result::unwrap);
        entries.map(|it| (it.path().to_owned(), it.metadata().unwrap().mtime_nsec())).collect()
    };
    let before = listed();
    forget_outputs(&it);
    let run = it.built();
    run.came("built 1");
    assert_eq!(it.bytes("p"), bytes);
    let warned = warnings(&run);
    assert_eq!(warned.len(), 1, "{warned:#?}");
    holds(&warned[0], &["linkwright-store/9", "linkwright-store/1"]);
    for command in [["cache", "gc"], ["cache", "verify"], ["cache", "stats"]] {
        let refused = it.run(&command);
        assert_eq!(refused.status.code(), Some(12));
        holds(&text(&refused), &["linkwright-store/9"]);
    }
    assert_eq!(listed(), before, "nothing was written");
    fs::write(&marker, ours).unwrap();
    forget_outputs(&it);
    recovers(&it, &bytes, "restored 1", 0);
}

#[test]
fn a_store_that_is_a_link_or_goes_while_it_is_used_is_still_a_store() {
    let build = r#"build(targets: [
        command(name: "gone", argv: ["sh", "gone.sh"], inputs: ["gone.sh"], outputs: ["made.go"],
                pass_env: ["HOME"]),
        go_binary(name: "p", link: "pure", deps: [":gone"]),
    ])"#;
    let gone = "rm -rf \"$HOME/elsewhere\"\necho 'package main\n\nconst X = \"one\"' > made.go\n";
    let main = "package main\n\nfunc main() { println(X) }\n";
    let files = [("BUILD.ron", build), ("gone.sh", gone), ("main.go", main)];
    let Some(it) = Workspace::new(&files) else { return };
    let elsewhere = it.home().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, it.store()).unwrap();
    let run = it.build(&[]);
    assert_eq!(run.code, 0, "{run:#?}");
    assert_eq!(it.says("p"), "one\n");
    assert!(!warnings(&run).is_empty(), "a link to nothing holds nothing: {run:#?}");
    fs::create_dir(&elsewhere).unwrap();
    it.file("gone.sh", "echo 'package main\n\nconst X = \"one\"' > made.go\n");
    assert_eq!(warnings(&it.built()), Vec::<String>::new());
    assert_eq!(it.says("p"), "one\n");
    settles(&it);
}

fn json(it: &Workspace, arguments: &[&str], code: i32) -> Value {
    let output = it.run(arguments);
    assert_eq!(output.status.code(), Some(code), "{}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_check_of_the_store_finds_damage_and_repairs_it() {
    let Some((it, bytes)) = built_one() else { return };
    let sound = json(&it, &["cache", "verify", "--json"], 0);
    assert_eq!(sound["damaged"].as_array().unwrap().len(), 0);
    assert_eq!(sound["orphans"]["files"], 0);
    let blob = blob_of(&it, &bytes);
    replace(&blob, b"other bytes");
    let found = json(&it, &["cache", "verify", "--json"], 12);
    let paths: Vec<_> =
        found["damaged"].as_array().unwrap().iter().map(|it| it["path"].clone()).collect();
    let below = |path: &Path| path.strip_prefix(it.store()).unwrap().to_str().unwrap().to_owned();
    let record = record_of(&it, "//:p");
    assert_eq!(paths, [below(&record), below(&blob)]);
    let repaired = it.run(&["cache", "verify", "--repair"]);
    assert_eq!(repaired.status.code(), Some(0));
    holds(&text(&repaired), &["set aside: v1/blobs/", "removed: v1/actions/", "2 mended"]);
    assert_eq!(json(&it, &["cache", "verify", "--json"], 0)["damaged"], Value::Array(vec![]));
    assert_eq!(json(&it, &["cache", "stats", "--json"], 0)["aside"]["files"], 1);
    recovers(&it, &bytes, "built 1", 0);
}

#[test]
fn cleaning_makes_room_and_the_next_build_is_right() {
    let Some((it, bytes)) = built_one() else { return };
    let stats = json(&it, &["cache", "stats", "--json"], 0);
    assert!(stats["blobs"]["bytes"].as_u64().unwrap() >= bytes.len() as u64);
    let kept = json(&it, &["cache", "gc", "--json"], 0);
    assert_eq!((&kept["records"]["files"], &kept["blobs"]["files"]), (&0.into(), &0.into()));
    settles(&it);
    let rehearsed = json(&it, &["cache", "gc", "-n", "--max-size", "1K", "--json"], 0);
    assert_eq!(json(&it, &["cache", "stats", "--json"], 0)["blobs"], stats["blobs"]);
    let done = json(&it, &["cache", "gc", "--max-size", "1K", "--json"], 0);
    assert_eq!(done, rehearsed);
    assert_eq!(json(&it, &["cache", "stats", "--json"], 0)["blobs"]["files"], 0);
    assert_eq!(it.bytes("p"), bytes, "outputs are not the store's");
    forget_outputs(&it);
    recovers(&it, &bytes, "built 1", 0);
    let nowhere = it.home().join("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    for command in ["stats", "verify", "gc"] {
        let output = it.run(&["--store", nowhere, "cache", command]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    }
    assert!(!Path::new(nowhere).exists(), "looking after nothing makes nothing");
}

/// A workspace whose build goes on only when `go_on` is called.
struct Held {
    it: Workspace,
    child: Option<Child>,
}

impl Held {
    fn new() -> Option<Self> {
        let build = r#"build(targets: [
            command(name: "held", argv: ["sh", "held.sh"], inputs: ["held.sh"], outputs: ["made"],
                    pass_env: ["HOME"]),
        ])"#;
        // Ends by itself, whatever becomes of those who started it.
        let held = "echo > \"$HOME/begun\"\nfor _ in $(seq 600); do\n\
                    [ -e \"$HOME/go_on\" ] && break\nsleep 0.1\ndone\necho > made\n";
        let it = Workspace::new(&[("BUILD.ron", build), ("held.sh", held)])?;
        let mut command = it.linkwright(&["build", "--json"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let begun = Instant::now();
        while !it.home().join("begun").exists() {
            assert!(begun.elapsed() < Duration::from_mins(1), "the build does not begin");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self { it, child: Some(child) })
    }

    fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    fn go_on(&mut self) {
        fs::write(self.it.home().join("go_on"), "").unwrap();
        let ended = self.child.take().unwrap().wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = fs::write(self.it.home().join("go_on"), "");
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn cleaning_waits_for_a_build() {
    let Some(mut held) = Held::new() else { return };
    let it = &held.it;
    let who = format!("`linkwright build --json` (pid {})", held.pid());
    for command in [&["cache", "gc"][..], &["cache", "verify", "--repair"], &["clean"]] {
        let refused = it.run(&[command, &["--lock-timeout", "0"]].concat());
        assert_eq!(refused.status.code(), Some(9), "{command:?}: {}", text(&refused));
        holds(&text(&refused), &[&who, "gave up"]);
    }
    assert_eq!(it.run(&["cache", "verify"]).status.code(), Some(0), "it only reads");
    assert_eq!(it.run(&["cache", "gc", "--dry-run"]).status.code(), Some(0), "it only counts");
    let mut waits = it.linkwright(&["cache", "gc", "--max-size", "0"]);
    let waits = waits.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    held.go_on();
    let ended = waits.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", text(&ended));
    holds(
        &text(&ended),
        &[&format!("waiting for {who}, which uses the store"), "removed 1 record"],
    );
    held.it.built().came("built 1");
    settles(&held.it);
}

#[test]
fn a_build_waits_for_cleaning_and_for_another_build() {
    let Some((it, bytes)) = built_one() else { return };
    for lock in [it.store().join("v1/lock"), it.path("linkwright-out/.lock")] {
        let cleaner = fs::File::options().append(true).open(&lock).unwrap();
        cleaner.lock().unwrap();
        forget_runs(&it);
        let run = it.build(&["--lock-timeout", "0"]);
        assert_eq!(run.code, 9, "{run:#?}");
        holds(&run.error(""), &["another linkwright still works on", "gave up after 0 seconds"]);
        let mut waits = it.linkwright(&["build", "--json"]);
        let waits = waits.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(2500));
        drop(cleaner);
        let run = Run::of(&waits.wait_with_output().unwrap());
        run.came("up_to_date 1");
        assert!(warnings(&run)[0].starts_with("waiting for another linkwright"), "{run:#?}");
        assert_eq!(it.bytes("p"), bytes);
        settles(&it);
    }
}

#[test]
fn a_killed_holder_holds_nothing() {
    let Some(mut held) = Held::new() else { return };
    let mut child = held.child.take().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    fs::write(held.it.home().join("go_on"), "").unwrap();
    let run = held.it.build(&["--lock-timeout", "0"]);
    assert_eq!(run.code, 0, "{run:#?}");
    let cleaned = held.it.run(&["cache", "gc", "--lock-timeout", "0"]);
    assert_eq!(cleaned.status.code(), Some(0), "{}", text(&cleaned));
    settles(&held.it);
}

#[test]
fn a_removed_output_folder_is_made_again_under_a_waiting_build() {
    let Some((it, bytes)) = built_one() else { return };
    let lock = it.path("linkwright-out/.lock");
    let cleaner = fs::File::options().append(true).open(&lock).unwrap();
    cleaner.lock().unwrap();
    let mut waits = it.linkwright(&["build", "--json"]);
    let waits = waits.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    forget_outputs(&it);
    drop(cleaner);
    let run = Run::of(&waits.wait_with_output().unwrap());
    assert_eq!(run.code, 0, "{run:#?}");
    recovers(&it, &bytes, "up_to_date 1", 0);
    assert_eq!(it.run(&["clean"]).status.code(), Some(0));
    assert!(!it.path("linkwright-out").exists());
}
