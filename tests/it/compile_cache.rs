//! Go's compile cache: damage, edits under the compiler, full disks and stalls, never a wrong byte.

use crate::support::has;
use crate::workspace::{Run, Workspace, holds, prints, text};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

const ONE: &str = r#"build(targets: [go_binary(name: "p", link: "pure")])"#;

/// A program whose text is in a package of its own, so that it is compiled alone.
fn files(text: &str) -> [(&'static str, String); 3] {
    [
        ("BUILD.ron", ONE.to_owned()),
        (
            "main.go",
            "package main\n\nimport \"example.com/m/lib\"\n\nfunc main() { println(lib.Text()) }\n"
                .to_owned(),
        ),
        ("lib/lib.go", library(text)),
    ]
}

fn library(text: &str) -> String {
    format!("package lib\n\nfunc Text() string {{ return {text:?} }}\n")
}

/// A word that no other test, and no earlier run, has compiled.
fn fresh_word(what: &str) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    format!("{what}-{}-{}", std::process::id(), now.as_nanos())
}

fn workspace(text: &str) -> Option<Workspace> {
    let files = files(text);
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    Workspace::new(&files)
}

/// A compile cache in which a build has left the runtime, to be copied.
fn seed() -> &'static Path {
    static SEED: OnceLock<tempfile::TempDir> = OnceLock::new();
    let seed = SEED.get_or_init(|| {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let it = workspace("seed").unwrap();
        build(&it, &folder.path().join("cache")).came("built 1");
        folder
    });
    seed.path()
}

/// A compile cache of this test's own, with the runtime in it.
fn own_cache(it: &Workspace) -> PathBuf {
    let to = it.home().join("cache");
    let mut copy = Command::new("cp");
    let copied = copy.args(["-a", "--reflink=auto"]).arg(seed().join("cache")).arg(&to).status();
    assert!(copied.unwrap().success());
    to
}

fn with_cache(it: &Workspace, cache: &Path) -> Command {
    let mut command = it.linkwright(&["build", "--json"]);
    command.env("LINKWRIGHT_GO_CACHE", cache);
    command
}

#[track_caller]
fn build(it: &Workspace, cache: &Path) -> Run {
    let run = Run::of(&with_cache(it, cache).output().unwrap());
    assert_eq!(run.code, 0, "{run:#?}");
    run
}

fn warnings(run: &Run) -> Vec<&str> {
    run.all("warning").map(|it| it["message"].as_str().unwrap()).collect()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let walk = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter();
    let files = walk.map(Result::unwrap).filter(|it| it.file_type().is_file());
    files.map(walkdir::DirEntry::into_path).collect()
}

/// Replaces the bytes of a cached file, which is read-only; its length stays.
fn overwrite(path: &Path, from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(path).unwrap();
    let places: Vec<_> = memchr::memmem::find_iter(&bytes, from).collect();
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

fn holds_word(path: &Path, word: &str) -> bool {
    memchr::memmem::find(&fs::read(path).unwrap(), word.as_bytes()).is_some()
}

#[test]
fn a_damaged_object_is_compiled_again_and_told_of() {
    let Some(it) = workspace("right-text") else { return };
    let cache = own_cache(&it);
    build(&it, &cache);
    let blobs = files_below(&cache.join("v1/blobs"));
    let objects: Vec<_> = blobs.iter().filter(|it| holds_word(it, "right-text")).collect();
    assert!(!objects.is_empty());
    for object in objects {
        overwrite(object, "right-text", "wrong-text");
    }
    it.file("main.go", &it.read("main.go").replace("println(", "println(\"-\", "));
    let run = build(&it, &cache);
    run.came("built 1");
    assert_eq!(it.says("p"), "- right-text\n");
    let warnings = warnings(&run);
    // That of `lib`, and perhaps that of `main` as it was: the last run asked for it.
    assert!((1..=2).contains(&warnings.len()), "{warnings:#?}");
    for it in warnings {
        holds(it, &["Go's compile cache", "damaged", "set aside"]);
    }
    // It has healed.
    it.file("main.go", &it.read("main.go").replace("\"-\"", "\"+\""));
    let run = build(&it, &cache);
    assert_eq!(it.says("p"), "+ right-text\n");
    assert!(run.all("warning").next().is_none(), "{run:#?}");
}

/// The same with every file that the compile cache has.
#[test]
fn nothing_of_a_compile_cache_that_is_damaged_throughout_is_used() {
    let Some(it) = workspace("through") else { return };
    let cache = own_cache(&it);
    build(&it, &cache);
    let bytes = it.bytes("p");
    for path in files_below(&cache.join("v1")) {
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes.get_mut(middle).into_iter().for_each(|it| *it ^= 1);
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
    }
    fs::remove_dir_all(it.store()).unwrap();
    fs::remove_dir_all(it.path("linkwright-out")).unwrap();
    let run = build(&it, &cache);
    run.came("built 1");
    assert_eq!(it.bytes("p"), bytes);
    assert!(!warnings(&run).is_empty());
}

/// Lets the compiler of `lib` read `lib.go.other` in place of `lib.go`, once: `how` says what
/// happens after Go hashed the file, with `$@` the compiler. Returns PATH.
fn racing_go(it: &Workspace, how: &str) -> String {
    let bin = it.home().join("bin");
    fs::create_dir_all(&bin).unwrap();
    let script = |name: &str, text: &str| {
        fs::write(bin.join(name), format!("#!/bin/sh\n{text}")).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    };
    let (home, root) = (it.home().display().to_string(), it.root().display().to_string());
    script(
        "race",
        &format!(
            "case \"$*\" in *compile*' -p example.com/m/lib '*)\n\
             if [ -e {home}/armed ]; then rm {home}/armed; cd {root}/lib\n{how}\nfi;;\nesac\n\
             exec \"$@\"\n"
        ),
    );
    let path = std::env::var("PATH").unwrap();
    script(
        "go",
        &format!(
            "PATH={path}\ncase $1 in build) shift; exec go build -toolexec={home}/bin/race \"$@\";;\n\
             esac\nexec go \"$@\"\n"
        ),
    );
    fs::write(it.home().join("armed"), "").unwrap();
    format!("{}:{path}", bin.display())
}

const EDITED: &str = "cp lib.go ../../lib.before; cp ../../lib.other lib.go";

const EDITED_AND_BACK: &str = "cp lib.go ../../lib.before; cp ../../lib.other lib.go\n\
                               \"$@\"; code=$?; cp ../../lib.before lib.go; exit $code";

/// What this file is about: `go` itself keeps the wrong object for ever.
#[test]
fn a_source_that_is_edited_under_the_compiler_poisons_the_cache_of_go_itself() {
    let Some(it) = workspace("before") else { return };
    let path = racing_go(&it, EDITED_AND_BACK);
    fs::write(it.home().join("lib.other"), library("during")).unwrap();
    let go = || {
        let mut command = it.command("go");
        let cache = crate::workspace::shared("plain-go-cache");
        command.args(["build", "-o", "out", "."]).env("PATH", &path).env("GOCACHE", cache);
        command.env("GOTOOLCHAIN", "local").env("GOFLAGS", "").env("GOENV", "off");
        assert!(command.status().unwrap().success());
        text(&it.command(it.path("out")).output().unwrap())
    };
    // Its text is new each time, so that it is compiled at all.
    let before = fresh_word("before");
    it.file("lib/lib.go", &library(&before));
    assert_eq!(go(), "during\n");
    assert!(!it.home().join("armed").exists());
    assert_eq!(go(), "during\n", "the source says {before}");
}

#[test]
fn a_source_that_is_edited_under_the_compiler_poisons_nothing() {
    for how in [EDITED, EDITED_AND_BACK] {
        let (before, during) = (fresh_word("before"), fresh_word("during"));
        let Some(it) = workspace(&before) else { return };
        let path = racing_go(&it, how);
        fs::write(it.home().join("lib.other"), library(&during)).unwrap();
        let build =
            || Run::of(&it.linkwright(&["build", "--json"]).env("PATH", &path).output().unwrap());
        let run = build();
        assert!(!it.home().join("armed").exists(), "the compiler ran: {run:#?}");
        assert_eq!(run.code, 0, "{run:#?}");
        assert_eq!(run.links().len(), 2, "it was linked again: {run:#?}");
        let now = if how == EDITED { &during } else { &before };
        assert_eq!(it.read("lib/lib.go"), library(now));
        assert_eq!(it.says("p"), format!("{now}\n"));
        // The object that was compiled from the other source is not what Go gets for this one.
        it.file("lib/lib.go", &library(&before));
        it.file("main.go", &it.read("main.go").replace("println(", "println(\"-\", "));
        assert_eq!(build().code, 0);
        assert_eq!(it.says("p"), format!("- {before}\n"));
    }
}

/// A `go` in a shell, with the command alone as its cache; `None` if this machine has no `go`.
struct Shell(Workspace);

impl Shell {
    fn new(files: &[(&str, &str)]) -> Option<Self> {
        let it = Workspace::new(files)?;
        // Go does not index what was written just now; that would differ from run to run.
        let old = SystemTime::now() - Duration::from_hours(1);
        for path in files_below(&it.root()) {
            File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
        }
        Some(Self(it))
    }

    fn command(&self, server: &str, output: &str) -> Command {
        let home = self.0.home();
        let mut command = self.0.command("go");
        command.args(["build", "-trimpath", "-o"]).arg(home.join(output)).arg(".");
        command.env("GOCACHE", home.join("plain")).env("LINKWRIGHT_GO_CACHE", home.join("alone"));
        command.env("GOTOOLCHAIN", "local").env("GOFLAGS", "").env("GOENV", "off");
        command.env("CGO_ENABLED", "0").env("GOCACHEPROG", server);
        command
    }

    /// Builds, and returns what was counted.
    #[track_caller]
    fn build(&self, server: &str, output: &str) -> Vec<(String, u64)> {
        let output = self.command(server, output).output().unwrap();
        let said = text(&output);
        assert!(output.status.success(), "{said}");
        let line = said.lines().find_map(|it| it.strip_prefix("linkwright cacheprog: hits "));
        let line = format!("hits {}", line.unwrap_or_else(|| panic!("no statistics: {said}")));
        let counts = line.split(", ").map(|it| it.rsplit_once(' ').unwrap());
        counts.map(|(name, count)| (name.to_owned(), count.parse().unwrap())).collect()
    }

    fn bytes(&self, output: &str) -> Vec<u8> {
        fs::read(self.0.home().join(output)).unwrap()
    }
}

fn server() -> String {
    format!("'{}' cacheprog --stats", env!("CARGO_BIN_EXE_linkwright"))
}

#[track_caller]
fn counted(counts: &[(String, u64)], name: &str) -> u64 {
    counts.iter().find(|it| it.0 == name).unwrap_or_else(|| panic!("no {name}: {counts:?}")).1
}

#[test]
fn the_command_alone_serves_go_in_a_shell() {
    let Some(it) = Shell::new(&[("main.go", &prints("alone"))]) else { return };
    let cold = it.build(&server(), "cold");
    assert_eq!(counted(&cold, "hits"), 0);
    assert!(counted(&cold, "puts") > 20, "{cold:?}");
    let warm = it.build(&server(), "warm");
    // All but the link itself, which Go keeps in no cache; it puts what the linker said: nothing.
    assert_eq!((counted(&warm, "misses"), counted(&warm, "puts")), (1, 1), "{warm:?}");
    assert_eq!(counted(&warm, "bytes written"), 0, "{warm:?}");
    assert!(counted(&warm, "hits") > 20, "{warm:?}");
    let plain = it.command("", "plain-output").output().unwrap();
    assert!(plain.status.success(), "{plain:?}");
    let bytes = it.bytes("plain-output");
    assert!(it.bytes("cold") == bytes && it.bytes("warm") == bytes);
    // Only this architecture has a system call by which stored files alone are opened.
    if !cfg!(target_arch = "x86_64") || !has("strace") {
        return;
    }
    // A disk that does not answer: each thread of the server stands still for six seconds, once.
    let stalling = "strace -f -qq -o /dev/null -e trace=open \
                    -e inject=open:delay_enter=6000000:when=5";
    let stalling = format!("{stalling} {}", server().replace('\'', ""));
    let stalled = it.build(&stalling, "stalled");
    assert!(counted(&stalled, "late") > 0, "{stalled:?}");
    assert!(it.bytes("stalled") == bytes);
}

#[test]
fn what_the_command_alone_has_kept_is_not_read_by_a_build() {
    let Some(it) = workspace("builds") else { return };
    let cache = own_cache(&it);
    let mut go = it.command("go");
    go.args(["build", "-o", "/dev/null", "./lib"]).env("GOCACHE", it.home().join("plain"));
    go.env("GOCACHEPROG", server()).env("LINKWRIGHT_GO_CACHE", &cache).env("GOTOOLCHAIN", "local");
    let said = text(&go.env("GOENV", "off").output().unwrap());
    // The build has compiled all that this needs, and yet:
    holds(&said, &["linkwright cacheprog: hits 0,"]);
}

#[test]
fn words_that_are_no_protocol_end_the_server_cleanly() {
    let Some(it) = Workspace::new(&[("main.go", &prints("x"))]) else { return };
    let put =
        "{\"ID\":2,\"Command\":\"put\",\"ActionID\":\"AAEC\",\"OutputID\":\"AAE=\",\"BodySize\":5}";
    let greeting = "{\"ID\":0,\"KnownCommands\":[\"get\",\"put\",\"close\"]}\n";
    let close = "{\"ID\":9,\"Command\":\"close\"}\n";
    let wrong = "{\"ID\":2,\"Err\":\"the body is not what was announced: its digest differs\"}\n{\"ID\":9}\n";
    let cases = [
        ("", ""),
        ("\n\n", ""),
        ("garbage\n\u{0}\n{}\n[1,2]\n", ""),
        (close, "{\"ID\":9}\n"),
        (&format!("{put}\n\"aGVs"), ""),
        (&format!("{put}\n"), ""),
        (&format!("{put}\n\"aGVsbG8=\"\n{close}"), wrong),
        (&format!("{put}\n\"aGVsbG8="), ""),
        ("{\"ID\":3,\"Command\":\"get\",\"ActionID\":\"AAEC\"}", "{\"ID\":3,\"Miss\":true}\n"),
    ];
    for (input, expected) in cases {
        let file = it.home().join("input");
        fs::write(&file, input).unwrap();
        let mut command = it.linkwright(&["cacheprog"]);
        command.env("LINKWRIGHT_GO_CACHE", it.home().join("cache"));
        let output = command.stdin(File::open(&file).unwrap()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{input:?}: {output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said, format!("{greeting}{expected}"), "{input:?}");
    }
}

/// Runs a build in mounts of its own, which `script` makes; `None` where that is not allowed.
fn in_mounts(build: Command, script: &str) -> Option<Output> {
    if !rustix::process::geteuid().is_root() || !has("unshare") {
        return None;
    }
    let probe = Command::new("unshare").args(["-m", "true"]).output().unwrap();
    if !probe.status.success() {
        println!("passed over: no mounts of one's own");
        return None;
    }
    let program = build.get_program().to_owned();
    let arguments: Vec<_> = build.get_args().map(ToOwned::to_owned).collect();
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-euc", &format!("{script}\nexec \"$@\""), "sh"]);
    command.arg(program).args(arguments).env_clear().stdin(Stdio::null());
    for (name, value) in build.get_envs() {
        command.env(name, value.unwrap());
    }
    command.current_dir(build.get_current_dir().unwrap());
    Some(command.output().unwrap())
}

#[test]
fn a_full_disk_costs_warnings_and_no_build() {
    let Some(it) = workspace("full") else { return };
    let small = it.home().join("small");
    fs::create_dir(&small).unwrap();
    let mut command = with_cache(&it, &small.join("cache"));
    command.env("LINKWRIGHT_STORE", small.join("store"));
    let mount = format!("mount -t tmpfs -o size=2m,nr_inodes=2k tmpfs {}", small.display());
    let Some(output) = in_mounts(command, &mount) else { return };
    let run = Run::of(&output);
    assert_eq!(run.code, 0, "{run:#?}");
    run.came("built 1");
    assert_eq!(it.says("p"), "full\n");
    let warnings = warnings(&run);
    holds(&warnings.join("\n"), &["Go's compile cache", "No space left on device"]);
    assert!(warnings.len() < 20, "{warnings:#?}");
}

#[test]
fn a_compile_cache_that_cannot_be_written_is_read_all_the_same() {
    let Some(it) = workspace("read-only") else { return };
    let cache = own_cache(&it);
    let before = files_below(&cache);
    let mount = format!("mount --bind {0} {0}; mount -o remount,ro,bind {0}", cache.display());
    let Some(output) = in_mounts(with_cache(&it, &cache), &mount) else { return };
    let run = Run::of(&output);
    assert_eq!(run.code, 0, "{run:#?}");
    assert_eq!(it.says("p"), "read-only\n");
    holds(&warnings(&run).join("\n"), &["Go's compile cache", "Read-only file system"]);
    assert_eq!(files_below(&cache), before);
}

#[test]
fn two_builds_at_once_share_a_compile_cache() {
    let (Some(a), Some(b)) = (workspace("shared"), workspace("shared")) else { return };
    let cache = own_cache(&a);
    let spawn = |it: &Workspace| {
        let mut command = with_cache(it, &cache);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    for child in [spawn(&a), spawn(&b)] {
        let run = Run::of(&child.wait_with_output().unwrap());
        assert_eq!((run.code, warnings(&run)), (0, vec![]), "{run:#?}");
    }
    assert_eq!(a.bytes("p"), b.bytes("p"));
    assert_eq!(a.says("p"), "shared\n");
    assert_eq!(fs::read_dir(cache.join("v1/pending")).unwrap().count(), 0);
}

/// Killed with it, the server can promote nothing; what it had put is swept by a later build.
#[test]
fn a_killed_build_leaves_nothing_in_the_compile_cache() {
    let Some(it) = workspace("killed") else { return };
    let cache = own_cache(&it);
    for wait in [300, 700, 1100] {
        let mut command = with_cache(&it, &cache);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    build(&it, &cache);
    assert_eq!(it.says("p"), "killed\n");
    let Some(clean) = workspace("killed") else { return };
    clean.built();
    assert_eq!(it.bytes("p"), clean.bytes("p"));
}

/// The words that look after the store look after this one too.
#[test]
fn a_compile_cache_is_counted_checked_and_cleaned() {
    let word = fresh_word("counted");
    let Some(it) = workspace(&word) else { return };
    let cache = own_cache(&it);
    build(&it, &cache).came("built 1");
    let look_after = |words: &[&str]| {
        let words = [&["cache"], words, &["--go", "--json"]].concat();
        let output = it.linkwright(&words).env("LINKWRIGHT_GO_CACHE", &cache).output().unwrap();
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code().unwrap(), said)
    };
    let (code, stats) = look_after(&["stats"]);
    assert!(code == 0 && stats["blobs"]["files"].as_u64() > Some(0), "{stats:#}");
    assert!(stats["served"]["hits"].as_u64() > Some(0), "{stats:#}");
    assert_eq!(stats["store"], cache.display().to_string().as_str());
    assert_eq!(look_after(&["verify"]).0, 0);
    let objects = files_below(&cache.join("v1/blobs"));
    let object = objects.iter().find(|it| holds_word(it, &word)).unwrap();
    overwrite(object, &word, &word.to_uppercase());
    let (code, check) = look_after(&["verify"]);
    let name = object.file_name().unwrap().to_str().unwrap();
    let damaged = check["damaged"].as_array().unwrap();
    let is_told = damaged.iter().any(|it| it["path"].as_str().unwrap().contains(name));
    assert!(code == 12 && is_told, "{check:#}");
    let (code, gone) = look_after(&["gc", "--max-size", "0"]);
    assert!(code == 0 && gone["kept"]["files"] == 0, "{gone:#}");
    assert!(files_below(&cache.join("v1/actions")).is_empty());
    fs::remove_dir_all(it.store()).unwrap();
    build(&it, &cache).came("built 1");
    assert_eq!(it.says("p"), format!("{word}\n"));
}
