//! However linkwright ends, nothing that it started lives on, what was there is still there, and
//! the next build is right.
//!
//! Every child of a build is known by its `HOME`, which no other process has; a guard, which has no
//! variables, by its folder. Nothing here is said about time but that survivors are gone within
//! five seconds.

use crate::support::has;
use crate::workspace::{Run, Workspace, holds, prints, text};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ONE: &str = r#"build(targets: [go_binary(name: "p", link: "pure")])"#;

/// A step that ignores SIGTERM, with processes that left its group, its session and their parent.
const STUBBORN: &str = "trap '' TERM
setsid sleep 1001 &
(setsid sh -c 'trap \"\" TERM; sleep 1002; sleep 1003' &)
(sleep 1004 &)
echo half > gen.txt
echo begun > ../begun
sleep 1005
sleep 1006
";

fn slow(script: &str) -> Option<Workspace> {
    let build = r#"build(targets: [
        command(name: "slow", argv: ["sh", "slow.sh"], inputs: ["slow.sh"], outputs: ["gen.txt"]),
    ])"#;
    if !has("setsid") || !has("env") {
        return None;
    }
    Workspace::new(&[("BUILD.ron", build), ("slow.sh", script), ("gen.txt", "old\n")])
}

/// The program, with the signals as a shell gives them: who runs the tests may ignore some.
fn linkwright(it: &Workspace, arguments: &[&str]) -> Command {
    let plain = it.linkwright(arguments);
    let mut command = it.command("env");
    command.args(["--default-signal=INT,HUP,TERM"]).arg(plain.get_program());
    command.args(plain.get_args());
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// The processes that belong to a workspace: command lines by number.
fn alive(it: &Workspace) -> BTreeMap<i32, String> {
    let mark = format!("HOME={}\0", it.home().display()).into_bytes();
    let mut found = BTreeMap::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|it| it.parse().ok()) else { continue };
        let Ok(variables) = fs::read(entry.path().join("environ")) else { continue };
        let folder = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        let is_marked = variables.windows(mark.len()).any(|it| it == mark);
        if is_marked || folder.starts_with(it.home()) {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            // A process that has ended and waits for its parent has no command line.
            if !line.is_empty() {
                found.insert(pid, String::from_utf8_lossy(&line).replace('\0', " "));
            }
        }
    }
    found
}

/// Waits until `what` is so, for at most `limit`.
#[track_caller]
fn becomes<T>(limit: Duration, what: impl Fn() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match what() {
            Ok(it) => return it,
            Err(told) => assert!(start.elapsed() < limit, "{told}"),
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Asserts that nothing of a workspace's builds survives.
#[track_caller]
fn all_gone(it: &Workspace) {
    becomes(Duration::from_secs(5), || {
        let left = alive(it);
        if left.is_empty() { Ok(()) } else { Err(format!("still alive: {left:#?}")) }
    });
}

#[track_caller]
fn appears(path: &Path) {
    becomes(Duration::from_mins(1), || {
        path.exists().then_some(()).ok_or_else(|| format!("no {}", path.display()))
    });
}

/// Starts the stubborn step and waits until all of its processes are there.
#[track_caller]
fn begun(it: &Workspace, mut command: Command) -> Child {
    let _ = fs::remove_file(it.home().join("begun"));
    let child = command.spawn().unwrap();
    appears(&it.home().join("begun"));
    becomes(Duration::from_mins(1), || {
        let lines: Vec<_> = alive(it).into_values().collect();
        let sleeps = lines.iter().filter(|it| it.starts_with("sleep 100")).count();
        if sleeps == 4 { Ok(()) } else { Err(format!("{lines:#?}")) }
    });
    child
}

#[test]
fn a_signal_ends_whole_trees_and_the_old_output_is_put_back() {
    let Some(it) = slow(STUBBORN) else { return };
    for which in [Signal::INT, Signal::TERM, Signal::HUP] {
        let child = begun(&it, linkwright(&it, &["build", "--json"]));
        signal(&child, which);
        let run = Run::of(&child.wait_with_output().unwrap());
        assert_eq!(run.code, 8, "{which:?}: {run:#?}");
        all_gone(&it);
        assert_eq!(it.read("gen.txt"), "old\n", "{which:?}");
    }
    it.file("slow.sh", "echo new > gen.txt\n");
    it.built().came("built 1");
    assert_eq!(it.read("gen.txt"), "new\n");
    it.built().came("up_to_date 1");
}

#[test]
fn a_second_signal_ends_everything_at_once() {
    let Some(it) = slow(STUBBORN) else { return };
    let child = begun(&it, linkwright(&it, &["build"]));
    signal(&child, Signal::INT);
    std::thread::sleep(Duration::from_millis(200));
    signal(&child, Signal::INT);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(Signal::INT.as_raw()), "{output:?}");
    all_gone(&it);
}

#[test]
fn a_killed_linkwright_takes_whole_trees_with_it() {
    let Some(it) = slow(STUBBORN) else { return };
    let mut child = begun(&it, linkwright(&it, &["build"]));
    signal(&child, Signal::KILL);
    child.wait().unwrap();
    all_gone(&it);
    // The half-made output was never the old one: when the step fails, that is put back.
    it.file("slow.sh", "echo worse > gen.txt\nexit 1\n");
    assert_eq!(it.build(&[]).code, 1);
    assert_eq!(it.read("gen.txt"), "old\n");
    it.file("slow.sh", "echo new > gen.txt\n");
    it.built().came("built 1");
    it.built().came("up_to_date 1");
    assert_eq!(it.read("gen.txt"), "new\n");
    let names = fs::read_dir(it.root()).unwrap().map(|it| it.unwrap().file_name());
    let left: Vec<_> = names.filter(|it| it.to_string_lossy().contains("-old")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_killed_guard_fails_the_step_and_what_stayed_in_its_session_ends() {
    let Some(it) = slow("sleep 1001 &\necho begun > ../begun\nsleep 1005\n") else { return };
    let child = linkwright(&it, &["build", "--json"]).spawn().unwrap();
    appears(&it.home().join("begun"));
    let processes = alive(&it);
    let guard = processes.iter().find(|(_, line)| line.trim() == "lw-guard").unwrap();
    kill_process(Pid::from_raw(*guard.0).unwrap(), Signal::KILL).unwrap();
    let run = Run::of(&child.wait_with_output().unwrap());
    assert_eq!(run.code, 1, "{run:#?}");
    holds(&run.error("//:slow"), &["signal 9"]);
    all_gone(&it);
}

#[test]
fn a_closed_terminal_ends_the_build() {
    let Some(it) = slow(STUBBORN) else { return };
    if !has("script") {
        return;
    }
    let plain = linkwright(&it, &["build"]);
    let words = [plain.get_program()].into_iter().chain(plain.get_args());
    let words: Vec<_> = words.map(|it| format!("'{}'", it.to_string_lossy())).collect();
    let mut command = it.command("script");
    command.args(["-q", "-e", "-c", &format!("exec {}", words.join(" ")), "/dev/null"]);
    command.env("SHELL", "/bin/sh");
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = begun(&it, command);
    // With it goes the terminal's other side.
    signal(&child, Signal::KILL);
    child.wait().unwrap();
    all_gone(&it);
    becomes(Duration::from_secs(5), || match it.read("gen.txt").as_str() {
        "old\n" => Ok(()),
        other => Err(other.to_owned()),
    });
}

#[test]
fn a_signal_that_the_caller_ignores_is_ignored() {
    let script = "echo begun > ../begun\nsleep 2\necho new > gen.txt\n";
    let Some(it) = slow(script) else { return };
    let plain = it.linkwright(&["build", "--json"]);
    let mut command = it.command("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(plain.get_program());
    command.args(plain.get_args());
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    appears(&it.home().join("begun"));
    signal(&child, Signal::HUP);
    Run::of(&child.wait_with_output().unwrap()).came("built 1");
}

#[test]
fn what_a_step_leaves_running_is_ended_and_does_not_hold_the_build() {
    let script = "setsid sleep 1001 &\n(setsid sh -c 'trap \"\" TERM; sleep 1002' &)\n\
                  (sleep 0.1; echo late) &\necho new > gen.txt\n";
    let Some(it) = slow(script) else { return };
    it.built().came("built 1");
    all_gone(&it);
    assert_eq!(it.read("gen.txt"), "new\n");
}

#[test]
fn a_step_that_a_signal_ends_fails_and_is_not_kept() {
    let Some(it) = slow("echo half > gen.txt\nkill -9 $$\n") else { return };
    let run = it.build(&[]);
    assert_eq!(run.code, 1, "{run:#?}");
    holds(&run.error("//:slow"), &["signal 9"]);
    assert_eq!(it.read("gen.txt"), "old\n");
    it.file("slow.sh", "echo new > gen.txt\n");
    it.built().came("built 1");
}

/// Builds, and kills the first process of the build whose command line holds `wanted`.
fn kill_one(it: &Workspace, wanted: &str) -> Run {
    let mut child = it.linkwright(&["build", "--json"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut killed = false;
    while !killed && child.try_wait().unwrap().is_none() {
        let pid = alive(it).into_iter().find(|(_, line)| line.contains(wanted)).map(|it| it.0);
        let kill = |it| kill_process(Pid::from_raw(it).unwrap(), Signal::KILL).is_ok();
        killed = pid.is_some_and(kill);
    }
    Run::of(&child.wait_with_output().unwrap())
}

/// A program that takes a second to compile, and prints `text`.
fn large(text: &str) -> String {
    let functions = (0..1000).map(|it| {
        format!("func f{it}(s []string, m map[string]int) int {{ for i, x := range s {{ m[x] += i*{it} }}; return len(m) }}\n")
    });
    let calls = (0..1000).map(|it| format!("f{it}, "));
    let all = format!("var All = []any{{{}}}\n", calls.collect::<String>());
    prints(text) + &functions.collect::<String>() + &all
}

/// On a ladder: what was killed has not said that its strategy does not hold.
#[test]
fn a_killed_tool_fails_the_target_and_no_other_strategy_is_tried() {
    let build = r#"build(targets: [go_binary(name: "p", link: "static")])"#;
    let Some(it) = Workspace::new(&[("BUILD.ron", build), ("main.go", &large("one"))]) else {
        return;
    };
    for tool in ["/link -o", "go build -", "/compile -o"] {
        // Another text each time, or there would be nothing to do. On a machine that is busy the
        // tool may be gone before it is seen.
        let hit = (0..10).map(|it| format!("{tool} {it}")).find_map(|text| {
            it.file("main.go", &large(&text));
            let run = kill_one(&it, tool);
            (run.code != 0).then_some((text, run))
        });
        let Some((text, run)) = hit else { panic!("no `{tool}` was seen in time") };
        assert_eq!(run.code, 1, "{tool}: {run:#?}");
        holds(&run.error("//:p"), &["signal"]);
        assert_eq!(run.links().len(), 1, "{tool}: {run:#?}");
        it.built().came("built 1");
        assert_eq!(it.record("//:p")["strategy"], "netgo", "{tool}");
        assert_eq!(it.says("p"), text + "\n");
    }
    all_gone(&it);
}

#[test]
fn a_build_killed_at_any_time_leaves_nothing_that_counts() {
    let Some(it) = Workspace::new(&[("BUILD.ron", ONE), ("main.go", &prints("zero"))]) else {
        return;
    };
    it.built();
    let scratch = it.home().join("tmp");
    fs::create_dir(&scratch).unwrap();
    let mut seed = 20_u64;
    for round in 0..8 {
        let old = it.bytes("p");
        it.file("main.go", &prints(&format!("round {round}")));
        // Knuth's generator: the same times in every run, none of them special.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut child = it.linkwright(&["build"]);
        child.env("TMPDIR", &scratch);
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis((seed >> 33) % 1200));
        let _ = kill_process(Pid::from_child(&child), Signal::KILL);
        child.wait().unwrap();
        all_gone(&it);
        let temporary = fs::read_dir(&scratch).unwrap().map(|it| it.unwrap().path());
        assert_eq!(temporary.collect::<Vec<_>>(), Vec::<PathBuf>::new(), "round {round}");
        let said = it.says("p");
        assert!(it.bytes("p") == old || said == format!("round {round}\n"), "{said}");
    }
    it.built();
    let Some(clean) = Workspace::new(&[("BUILD.ron", ONE), ("main.go", &prints("round 7"))]) else {
        return;
    };
    clean.built();
    assert_eq!(it.bytes("p"), clean.bytes("p"));
    assert_eq!(it.read("linkwright-out/ledger.json"), clean.read("linkwright-out/ledger.json"));
    let run = it.built();
    run.came("up_to_date 1");
    assert!(run.links().is_empty(), "{run:#?}");
    let left = fs::read_dir(it.path("linkwright-out/tmp")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "scratch folders");
}

#[test]
fn eight_builds_of_one_target_link_it_once() {
    let Some(it) = Workspace::new(&[("BUILD.ron", ONE), ("main.go", &prints("one"))]) else {
        return;
    };
    let start = |_| linkwright(&it, &["build", "--json"]).spawn().unwrap();
    let children: Vec<_> = (0..8).map(start).collect();
    let runs: Vec<_> =
        children.into_iter().map(|it| Run::of(&it.wait_with_output().unwrap())).collect();
    assert!(runs.iter().all(|it| it.code == 0), "{runs:#?}");
    assert_eq!(runs.iter().map(|it| it.links().len()).sum::<usize>(), 1, "{runs:#?}");
    assert_eq!(it.says("p"), "one\n");
    let Some(other) = Workspace::new(&[("BUILD.ron", ONE), ("main.go", &prints("one"))]) else {
        return;
    };
    other.built();
    assert_eq!(it.bytes("p"), other.bytes("p"));
}

#[test]
fn two_workspaces_that_share_a_store_never_mix() {
    let files = [("BUILD.ron", ONE), ("main.go", "")];
    let (Some(a), Some(b)) = (Workspace::new(&files), Workspace::new(&files)) else { return };
    for round in 0..5 {
        // Sometimes the same text, sometimes the one that the other had a round ago.
        let texts = [format!("text {}", round / 2), format!("text {}", (round + 1) / 2)];
        let start = |(it, text): (&Workspace, &String)| {
            it.file("main.go", &prints(text));
            let mut command = linkwright(it, &["build", "--json"]);
            command.env("LINKWRIGHT_STORE", a.store()).spawn().unwrap()
        };
        let children = [(&a, &texts[0]), (&b, &texts[1])].map(start);
        for child in children {
            let run = Run::of(&child.wait_with_output().unwrap());
            assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:#?}");
        }
        assert_eq!([a.says("p"), b.says("p")], texts.map(|it| it + "\n"), "round {round}");
    }
}

#[test]
fn closed_streams_are_no_reason_to_panic() {
    let Some(it) = Workspace::new(&[("BUILD.ron", ONE), ("main.go", &prints("one"))]) else {
        return;
    };
    it.built();
    let shell = |script: &str| {
        let plain = it.linkwright(&["build"]);
        let mut command = it.command("sh");
        command.args(["-c", script]).arg(plain.get_program());
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = command.output().unwrap();
        (output.status.code().unwrap(), text(&output))
    };
    for (script, expected) in [
        ("\"$0\" build <&-", 0),
        ("\"$0\" build >&-", 0),
        ("\"$0\" build 2>&-", 0),
        ("\"$0\" build <&- >&- 2>&-", 0),
        ("\"$0\" build --json <&- >&- 2>&-", 0),
        ("{ \"$0\" build --json; echo $? >&2; } | true", 0),
        ("{ \"$0\" build --json; echo $? >&2; } | head -1", 0),
        ("\"$0\" build > /dev/full", 12),
        ("\"$0\" build --json > /dev/full", 12),
        ("\"$0\" build 2> /dev/full", 0),
        ("\"$0\" build //none:such <&- >&- 2>&-", 2),
        ("\"$0\" build //none:such 2> /dev/full", 2),
        ("\"$0\" query //... > /dev/full", 12),
    ] {
        for main in ["one", "two"] {
            it.file("main.go", &prints(main));
            let (code, said) = shell(script);
            assert_eq!(code, expected, "{script}: {said}");
            assert!(!said.contains("panicked"), "{script}: {said}");
            if script.contains('|') {
                assert!(said.ends_with("0\n"), "{script}: {said}");
            }
        }
    }
    it.built().came("up_to_date 1");
}

/// The guard is started from the file that runs, not from its path.
#[test]
fn a_linkwright_that_is_replaced_while_it_runs_goes_on() {
    let build = r#"build(targets: [
        command(name: "a", argv: ["sh", "a.sh"], inputs: ["a.sh"], outputs: ["a.txt"]),
        command(name: "b", argv: ["cp", "a.txt", "b.txt"], inputs: [":a"], outputs: ["b.txt"]),
    ])"#;
    let wait =
        "echo begun > ../begun\nwhile ! test -e ../go-on; do sleep 0.05; done\necho a > a.txt\n";
    let Some(it) = Workspace::new(&[("BUILD.ron", build), ("a.sh", wait)]) else { return };
    let copy = it.home().join("copy");
    fs::copy(env!("CARGO_BIN_EXE_linkwright"), &copy).unwrap();
    let plain = it.linkwright(&["build", "--json"]);
    let mut command = it.command(&copy);
    command.args(plain.get_args());
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    appears(&it.home().join("begun"));
    let other = it.home().join("other");
    fs::write(&other, "#!/bin/sh\nexit 3\n").unwrap();
    fs::set_permissions(&other, fs::metadata(&copy).unwrap().permissions()).unwrap();
    fs::rename(&other, &copy).unwrap();
    fs::write(it.home().join("go-on"), "").unwrap();
    Run::of(&child.wait_with_output().unwrap()).came("built 2");
    assert_eq!(it.read("b.txt"), "a\n");
}

const TRAPS: &str = r#"package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	fmt.Println(os.Getpid())
	<-signals
	fmt.Println("tidied up")
	os.Exit(5)
}
"#;

#[test]
fn a_program_that_is_run_gets_the_signals_and_has_the_last_word() {
    let Some(it) = Workspace::new(&[("BUILD.ron", ONE), ("main.go", TRAPS)]) else { return };
    it.built();
    for (which, code) in [(Signal::TERM, Some(5)), (Signal::KILL, None)] {
        let mut child = linkwright(&it, &["run", "//:p"]).spawn().unwrap();
        let mut said = String::new();
        let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut out, &mut said).unwrap();
        assert_eq!(said.trim(), child.id().to_string(), "nobody stands between");
        signal(&child, which);
        std::io::Read::read_to_string(&mut out, &mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), code);
        assert_eq!(said.contains("tidied up"), code.is_some());
        all_gone(&it);
    }
}

#[test]
fn a_machine_without_room_for_processes_is_told_and_nothing_is_kept() {
    let build = r#"build(targets: [
        command(name: "a", argv: ["cp", "in", "a.txt"], inputs: ["in"], outputs: ["a.txt"]),
        command(name: "b", argv: ["cp", "in", "b.txt"], inputs: ["in"], outputs: ["b.txt"]),
    ])"#;
    let tools = ["setpriv", "prlimit", "chown"];
    if !rustix::process::geteuid().is_root() || !tools.iter().all(|it| has(it)) {
        return;
    }
    let Some(it) = Workspace::new(&[("BUILD.ron", build), ("in", "x\n")]) else { return };
    // A number that no user of this machine has: the limit counts a user's processes.
    let user = "64317";
    let program = it.home().join("linkwright");
    fs::copy(env!("CARGO_BIN_EXE_linkwright"), &program).unwrap();
    let owned = it.command("chown").args(["-R", user]).arg(it.home()).status().unwrap();
    assert!(owned.success());
    let mut codes = Vec::new();
    for limit in [1, 2, 4, 5, 6, 100] {
        let mut command = it.command("prlimit");
        command.args([&format!("--nproc={limit}"), "setpriv", "--reuid", user, "--clear-groups"]);
        command.arg(&program).args(["build", "--json", "--jobs", "2"]);
        command.env("LINKWRIGHT_STORE", it.store());
        let output = command.output().unwrap();
        let said = text(&output);
        assert!(!said.contains("panicked"), "{limit}: {said}");
        let code = output.status.code().unwrap();
        if code != 0 {
            // Threads of our own, or processes and what these start.
            assert!(matches!(code, 12 | 36), "{limit}: {said}");
            holds(&said, &["--jobs"]);
        }
        codes.push(code);
    }
    assert_eq!((codes[0], codes[codes.len() - 1]), (36, 0), "{codes:?}");
    assert_eq!((it.read("a.txt"), it.read("b.txt")), ("x\n".into(), "x\n".into()));
}
