//! Full, read-only and broken disks, and limits of the system, under a build with real Go.
//!
//! Trouble with the store is a warning; trouble with an output fails with exit code 12, the path
//! and the free space, and leaves the old output. Nothing of it is remembered: the next build is
//! right, and the one after that does nothing.
//!
//! Small file systems are mounted in a mount namespace of their own, so that nothing of them is
//! left, whatever becomes of the test.

use crate::store_faults::{built_one, settles, warnings};
use crate::support::has;
use crate::workspace::{Run, Workspace, holds, prints};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

/// A mount namespace; it goes with the value, and with the test's process.
struct Mounts {
    holder: Child,
}

impl Mounts {
    /// Makes one and runs a shell script of mounts in it, with `it` as its folder; `None` if this
    /// machine does not allow it.
    fn new(it: &Workspace, script: &str) -> Option<Self> {
        if !has("unshare") || !has("nsenter") || !has("mount") {
            return None;
        }
        let flags = if rustix::process::geteuid().is_root() { "-m" } else { "-rm" };
        let script = format!("set -e; cd \"$1\"; {script}; echo ready; exec cat >/dev/null");
        let mut command = Command::new("unshare");
        command.args([flags, "sh", "-c", &script, "sh"]).arg(it.home());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line == "ready\n" || std::env::var_os("REQUIRE_ALL").is_none(), "no mounts here");
        (line == "ready\n").then_some(Self { holder })
    }

    /// A command in the namespace.
    fn command(&self, like: &Command) -> Command {
        let mut command = Command::new("nsenter");
        if !rustix::process::geteuid().is_root() {
            command.args(["-U", "--preserve-credentials"]);
        }
        command.arg("-m").args(["-t", &self.holder.id().to_string(), "--"]);
        command.args(["sh", "-c", "cd \"$1\"; shift; exec \"$@\"", "sh"]);
        command.arg(like.get_current_dir().unwrap()).arg(like.get_program()).args(like.get_args());
        command.env_clear().stdin(Stdio::null());
        let set = like.get_envs().filter_map(|(name, value)| Some((name, value?)));
        command.envs(set);
        command
    }

    fn shell(&self, it: &Workspace, script: &str) {
        let mut shell = it.command("sh");
        shell.current_dir(it.home()).args(["-ec", script]);
        let output = self.command(&shell).output().unwrap();
        assert!(output.status.success(), "{script}: {output:?}");
    }

    #[track_caller]
    fn build(&self, it: &Workspace) -> Run {
        Run::of(&self.command(&it.linkwright(&["build", "--json"])).output().unwrap())
    }

    /// Reads a file as the namespace sees it.
    fn read(&self, path: &Path) -> Vec<u8> {
        let root = format!("/proc/{}/root{}", self.holder.id(), path.display());
        fs::read(root).unwrap()
    }

    /// Builds with the fault gone: the first is right, the second does nothing.
    #[track_caller]
    fn recovers(&self, it: &Workspace, came: &str, bytes: &[u8]) {
        let run = self.build(it);
        assert_eq!((run.code, warnings(&run).len()), (0, 0), "{run:#?}");
        run.came(came);
        assert!(self.read(&it.bin("p")) == bytes, "not the bytes of a clean build");
        let again = self.build(it);
        again.came("up_to_date 1");
        assert_eq!((again.links().len(), warnings(&again).len()), (0, 0), "{again:#?}");
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// The bytes of a clean build of the program that prints `text`; every test's module is the same.
fn clean(text: &str) -> Vec<u8> {
    static BUILT: Mutex<BTreeMap<String, Vec<u8>>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || {
        let it = one(text).unwrap();
        it.built();
        it.bytes("p")
    };
    built.entry(text.to_owned()).or_insert_with(make).clone()
}

fn one(text: &str) -> Option<Workspace> {
    let build = r#"build(targets: [go_binary(name: "p", link: "static")])"#;
    Workspace::new(&[("BUILD.ron", build), ("main.go", &prints(text))])
}

/// A build with a broken store is right and warns once.
#[track_caller]
fn is_only_warned(mounts: &Mounts, it: &Workspace, bytes: &[u8], words: &[&str]) {
    let run = mounts.build(it);
    assert_eq!(run.code, 0, "{run:#?}");
    run.came("built 1");
    assert!(mounts.read(&it.bin("p")) == bytes, "not the bytes of a clean build");
    let warned = warnings(&run);
    assert_eq!(warned.len(), 1, "{warned:#?}");
    holds(&warned[0], words);
}

#[test]
fn a_full_disk_under_the_store_costs_a_warning() {
    let Some(it) = one("one") else { return };
    let mount = "mkdir store; mount -t tmpfs -o size=1M tmpfs store";
    let Some(mounts) = Mounts::new(&it, mount) else { return };
    let bytes = clean("one");
    let words = ["No space left on device", "free of 1.0 MiB there"];
    is_only_warned(&mounts, &it, &bytes, &words);
    let left = mounts.command(&it.linkwright(&["cache", "verify"])).output().unwrap();
    assert_eq!(left.status.code(), Some(0), "no half of a file has a name: {left:?}");
    mounts.shell(&it, "mount -o remount,size=100M store");
    mounts.recovers(&it, "built 1", &bytes);
}

#[test]
fn a_store_without_inodes_costs_a_warning() {
    let Some(it) = one("one") else { return };
    let mount = "mkdir store; mount -t tmpfs -o nr_inodes=4 tmpfs store";
    let Some(mounts) = Mounts::new(&it, mount) else { return };
    let bytes = clean("one");
    let words = ["No space left on device", "room for 0 files"];
    is_only_warned(&mounts, &it, &bytes, &words);
    mounts.shell(&it, "mount -o remount,nr_inodes=1000 store");
    mounts.recovers(&it, "built 1", &bytes);
}

#[test]
fn a_read_only_store_gives_what_it_has_and_takes_nothing() {
    let Some((it, bytes)) = built_one() else { return };
    let mount = "mount --bind store store; mount -o remount,ro,bind store";
    let Some(mounts) = Mounts::new(&it, mount) else { return };
    mounts.shell(&it, "rm -r w/linkwright-out");
    let run = mounts.build(&it);
    run.came("restored 1");
    assert_eq!((run.code, warnings(&run).len()), (0, 0), "{run:#?}");
    assert_eq!(mounts.read(&it.bin("p")), bytes);
    for command in [&["cache", "gc"][..], &["cache", "verify", "--repair"]] {
        let output = mounts.command(&it.linkwright(command)).output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 12)), "{output:?}");
    }
    it.file("main.go", &prints("two"));
    is_only_warned(&mounts, &it, &clean("two"), &["Read-only file system"]);
    mounts.shell(&it, "umount store");
    let run = mounts.build(&it);
    assert_eq!((run.code, warnings(&run).len()), (0, 0), "{run:#?}");
    settles(&it);
}

/// Go needs a cache that it can write to begin at all.
#[test]
fn a_read_only_store_that_would_hold_gos_cache_too_stops_no_build() {
    let Some(it) = one("one") else { return };
    let mount = "mkdir store; mount -t tmpfs -o ro tmpfs store";
    let Some(mounts) = Mounts::new(&it, mount) else { return };
    let mut command = it.linkwright(&["build", "--json"]);
    command.env_remove("LINKWRIGHT_GO_CACHE").env("TMPDIR", it.home());
    let run = Run::of(&mounts.command(&command).output().unwrap());
    assert_eq!(run.code, 0, "{run:#?}");
    let warned = warnings(&run);
    assert_eq!(warned.len(), 2, "{warned:#?}");
    holds(&warned.join("\n"), &["Go's compile cache", "Read-only file system"]);
    assert_eq!(it.says("p"), "one\n");
    let left = fs::read_dir(it.home()).unwrap().map(|it| it.unwrap().file_name());
    assert!(!left.into_iter().any(|it| it.to_string_lossy().contains("go-cache")));
}

/// An output that cannot be written: exit code 12, the path, the free space, and `old` stays.
#[track_caller]
fn is_refused(run: &Run, label: &str, words: &[&str]) {
    assert_eq!(run.code, 12, "{run:#?}");
    holds(&run.error(label), words);
    // One strategy could not be tried for want of space; that is no reason to try another one.
    let tried: Vec<_> = run.all("attempt").map(|it| it["strategy"].clone()).collect();
    assert!(tried.len() <= 1, "{run:#?}");
}

#[test]
fn a_full_disk_under_the_outputs_fails_and_leaves_the_old_one() {
    let Some(it) = one("one") else { return };
    let mount = "mkdir w/linkwright-out; mount -t tmpfs -o size=12M tmpfs w/linkwright-out";
    let Some(mounts) = Mounts::new(&it, mount) else { return };
    mounts.recovers(&it, "built 1", &clean("one"));
    mounts.shell(&it, "head -c 20M /dev/zero > w/linkwright-out/filler || true");
    it.file("main.go", &prints("two"));
    let run = mounts.build(&it);
    is_refused(&run, "//:p", &["o space left on device", "linkwright-out", "free of 12.0 MiB"]);
    assert_eq!(mounts.read(&it.bin("p")), clean("one"));
    mounts.shell(&it, "rm w/linkwright-out/filler");
    mounts.recovers(&it, "built 1", &clean("two"));
    // The same where it is restored and not made.
    mounts.shell(&it, "head -c 20M /dev/zero > w/linkwright-out/filler || true");
    it.file("main.go", &prints("one"));
    is_refused(&mounts.build(&it), "//:p", &["linkwright-out", "free of 12.0 MiB"]);
    assert_eq!(mounts.read(&it.bin("p")), clean("two"));
    mounts.shell(&it, "rm w/linkwright-out/filler");
    mounts.recovers(&it, "restored 1", &clean("one"));
}

#[test]
fn a_read_only_tree_is_built_and_a_read_only_output_folder_is_not() {
    let Some(it) = one("one") else { return };
    let mount = "mount --bind w w; mount -o remount,ro,bind w";
    let Some(mounts) = Mounts::new(&it, mount) else { return };
    let run = mounts.build(&it);
    is_refused(&run, "", &["linkwright-out", "Read-only file system", "free of"]);
    drop(mounts);
    it.built().came("built 1");
    it.file("main.go", &prints("two"));
    let Some(mounts) = Mounts::new(&it, mount) else { return };
    is_refused(&mounts.build(&it), "", &["linkwright-out", "Read-only file system", "free of"]);
    assert_eq!(it.says("p"), "one\n");
    drop(mounts);
    let mount = "mount --bind w w; mount --bind w/linkwright-out w/linkwright-out; \
                 mount -o remount,ro,bind w";
    let Some(mounts) = Mounts::new(&it, mount) else { return };
    mounts.recovers(&it, "built 1", &clean("two"));
}

#[test]
fn a_tool_that_runs_out_of_space_is_no_failed_target() {
    let Some(it) = one("one") else { return };
    let mount = "mkdir tmp; mount -t tmpfs -o size=64K tmpfs tmp";
    let Some(mounts) = Mounts::new(&it, mount) else { return };
    let mut command = it.linkwright(&["build", "--json"]);
    command.env("TMPDIR", it.home().join("tmp"));
    let run = Run::of(&mounts.command(&command).output().unwrap());
    is_refused(&run, "//:p", &["no space left on device", "tmp`: ", "free of 64.0 KiB"]);
    mounts.recovers(&it, "built 1", &clean("one"));
}

/// A `go` that speaks as the real one does when its linker is refused something, as long as a file
/// `fault` is there.
fn with_fault(it: &Workspace) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let go = std::env::split_paths(&path).map(|it| it.join("go")).find(|it| it.is_file());
    let bin = it.home().join("fault-bin");
    fs::create_dir(&bin).unwrap();
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = build ] && [ -e \"$HOME/fault\" ]; then\n\
         printf '# example.com/m\\n%s\\n' \"$(cat \"$HOME/fault\")\" >&2; exit 1; fi\n\
         exec '{}' \"$@\"\n",
        go.unwrap().display()
    );
    let wrapper = bin.join("go");
    fs::write(&wrapper, script).unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    bin
}

#[test]
fn a_tool_that_is_killed_or_starved_is_not_remembered_and_not_replaced() {
    let Some(it) = one("one") else { return };
    let bin = with_fault(&it);
    let build = || {
        let mut command = it.linkwright(&["build", "--json"]);
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", bin.display()));
        Run::of(&command.output().unwrap())
    };
    for (said, code) in [
        ("/go/pkg/tool/link: signal: killed", 1),
        ("fork/exec /go/pkg/tool/compile: too many open files", 12),
        ("open /t/b001/_pkg_.a: input/output error", 12),
        ("fork/exec /go/pkg/tool/link: resource temporarily unavailable", 12),
    ] {
        fs::write(it.home().join("fault"), said).unwrap();
        let run = build();
        assert_eq!(run.code, code, "{run:#?}");
        holds(&run.error("//:p"), &[said]);
        assert_eq!(run.all("attempt").count(), 0, "it says nothing of a strategy: {run:#?}");
        assert!(!it.bin("p").exists());
    }
    fs::remove_file(it.home().join("fault")).unwrap();
    let run = build();
    run.came("built 1");
    assert_eq!(it.bytes("p"), clean("one"));
    build().came("up_to_date 1");
}

/// Runs a build under a program that takes something from it.
fn under(it: &Workspace, program: &str, arguments: &[&str]) -> Output {
    let like = it.linkwright(&["build", "--json"]);
    let mut command = it.command(program);
    command.args(arguments).arg(like.get_program()).args(like.get_args());
    command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.output().unwrap()
}

#[test]
fn a_limit_on_open_files_gives_the_right_bytes_or_says_so() {
    let Some(it) = one("one") else { return };
    if !has("prlimit") {
        return;
    }
    let bytes = clean("one");
    for limit in ["10", "16", "24", "64"] {
        let run = Run::of(&under(&it, "prlimit", &[&format!("--nofile={limit}:{limit}")]));
        match run.code {
            0 => assert_eq!(it.bytes("p"), bytes, "{limit}"),
            12 => holds(&format!("{run:?}"), &["oo many open files"]),
            code => panic!("exit code {code} with {limit} files: {run:#?}"),
        }
    }
    assert_eq!(it.built().code, 0);
    assert_eq!(it.bytes("p"), bytes);
    settles(&it);
}

#[test]
fn a_limit_on_the_size_of_files_fails_and_leaves_no_half_of_one() {
    let Some(it) = one("one") else { return };
    if !has("prlimit") {
        return;
    }
    it.built();
    let old = it.bytes("p");
    it.file("main.go", &prints("two"));
    let run = Run::of(&under(&it, "prlimit", &["--fsize=600000"]));
    is_refused(&run, "//:p", &["ile too large"]);
    assert_eq!(it.bytes("p"), old);
    assert_eq!(it.run(&["cache", "verify"]).status.code(), Some(0));
    it.built().came("built 1");
    assert_eq!(it.bytes("p"), clean("two"));
    settles(&it);
}

/// `strace` that makes system calls fail on a path.
fn inject(it: &Workspace, path: Option<&Path>, fault: &str) -> Option<Run> {
    if !has("strace") {
        return None;
    }
    let (trace, inject) = (fault.split(':').next().unwrap(), format!("inject={fault}"));
    let trace = format!("trace={trace}");
    let mut arguments = vec!["-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", &trace, "-e"];
    arguments.push(&inject);
    let path = path.map(|it| it.to_str().unwrap());
    arguments.extend(path.iter().flat_map(|it| ["-P", it]));
    Some(Run::of(&under(it, "strace", &arguments)))
}

#[test]
fn a_blob_that_the_disk_cannot_read_is_made_again() {
    let Some((it, bytes)) = built_one() else { return };
    fs::remove_dir_all(it.path("linkwright-out")).unwrap();
    let blobs = walkdir::WalkDir::new(it.store().join("v1/blobs")).into_iter();
    let mut blobs = blobs.map(|it| it.unwrap().into_path()).filter(|it| it.is_file());
    let blob = blobs.find(|it| fs::read(it).unwrap() == bytes).unwrap();
    let Some(run) = inject(&it, Some(&blob), "read:error=EIO") else { return };
    assert_eq!(run.code, 0, "{run:#?}");
    run.came("built 1");
    let warned = warnings(&run);
    assert_eq!(warned.len(), 1, "{warned:#?}");
    holds(&warned[0], &["Input/output error", "set aside"]);
    assert_eq!(it.bytes("p"), bytes);
    settles(&it);
}

#[test]
fn a_ledger_that_the_disk_cannot_sync_fails_and_leaves_the_old_one() {
    let Some((it, _)) = built_one() else { return };
    let ledger = it.read("linkwright-out/ledger.json");
    it.file("main.go", &prints("two"));
    let Some(run) = inject(&it, None, "fsync:error=EIO") else { return };
    is_refused(&run, "", &["ledger.json", "Input/output error", "free of"]);
    assert_eq!(it.read("linkwright-out/ledger.json"), ledger);
    assert_eq!(it.built().code, 0);
    assert_eq!(it.says("p"), "two\n");
    assert_ne!(it.read("linkwright-out/ledger.json"), ledger);
    settles(&it);
}

/// Makes everything in a folder unchangeable, until the value goes.
struct Frozen(PathBuf);

impl Frozen {
    fn new(folder: PathBuf) -> Option<Self> {
        if !has("chattr") {
            return None;
        }
        let this = Self(folder);
        this.chattr("+i").then_some(this)
    }

    fn chattr(&self, change: &str) -> bool {
        let output = Command::new("chattr").args(["-R", change]).arg(&self.0).output().unwrap();
        output.status.success()
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.chattr("-i");
    }
}

#[test]
fn a_blob_that_cannot_get_its_name_leaves_no_record_behind() {
    let Some((it, _)) = built_one() else { return };
    let Some(frozen) = Frozen::new(it.store().join("v1/blobs")) else { return };
    it.file("main.go", &prints("two"));
    let run = it.built();
    run.came("built 1");
    let warned = warnings(&run);
    assert_eq!(warned.len(), 1, "{warned:#?}");
    holds(&warned[0], &["v1/blobs", "Operation not permitted"]);
    assert_eq!(it.bytes("p"), clean("two"));
    assert_eq!(fs::read_dir(it.store().join("v1/tmp")).unwrap().count(), 0);
    assert_eq!(it.run(&["cache", "verify"]).status.code(), Some(0), "no record of a lost blob");
    drop(frozen);
    it.built().came("built 1");
    settles(&it);
}

/// On a file system that can, bytes are shared and verified all the same.
#[test]
fn clones_are_verified_like_copies() {
    let Some(it) = one("one") else { return };
    if !has("mkfs.xfs") || !rustix::process::geteuid().is_root() {
        return;
    }
    let mount = "truncate -s 320M image; mkfs.xfs -q -m reflink=1 image; mkdir disk; \
                 mount -o loop image disk; mkdir disk/store disk/out store w/linkwright-out; \
                 mount --bind disk/store store; mount --bind disk/out w/linkwright-out";
    let Some(mounts) = Mounts::new(&it, mount) else { return };
    let bytes = clean("one");
    mounts.recovers(&it, "built 1", &bytes);
    mounts.shell(&it, "rm -r w/linkwright-out/bin");
    mounts.recovers(&it, "restored 1", &bytes);
    let damage = "rm -r w/linkwright-out/bin; for it in store/v1/blobs/*/*; do \
                  chmod u+w \"$it\"; printf X | dd of=\"$it\" bs=1 seek=9 conv=notrunc 2>/dev/null; \
                  done";
    mounts.shell(&it, damage);
    let run = mounts.build(&it);
    run.came("built 1");
    assert!(!warnings(&run).is_empty(), "{run:#?}");
    mounts.recovers(&it, "up_to_date 1", &bytes);
}
