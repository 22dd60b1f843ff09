//! Edits while a build runs, and times that lie: the output is always that of its inputs.
//!
//! The edit is made by a `go` on PATH that is a script around the real one, at a moment that is the
//! same each time: after linkwright has read the inputs, before the compiler does.

use crate::workspace::{Run, Workspace, holds, prints, prints_c, shared};
use std::fs::{self, File};
use std::path::Path;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

const ONE: &str = r#"build(targets: [go_binary(name: "p", link: "pure")])"#;

/// A program that prints `one`, with a `go` that does `lines` when it is to build; `HOME` in them
/// is the workspace's home, where `one.go` and `two.go` lie.
fn with_edit(lines: &str) -> Option<Workspace> {
    static WARM: Once = Once::new();
    // The same bytes in every test: it is one toolchain, whose library is compiled once.
    let script = "real=REAL\nhook=${0%/*}/../hook\n\
                  if [ \"$1\" = build ] && [ -e \"$hook\" ]; then . \"$hook\"; fi\n\
                  exec \"$real\" \"$@\"";
    let new = || {
        let it = Workspace::new(&[("BUILD.ron", ONE), ("main.go", &prints("one"))])?;
        Some(it.instead_of("go", script))
    };
    let it = new()?;
    WARM.call_once(|| drop(new().map(|it| it.built())));
    for text in ["one", "two"] {
        fs::write(it.home().join(format!("{text}.go")), prints(text)).unwrap();
    }
    let lines = lines.replace("HOME", &it.home().to_string_lossy()).replace("REAL", "\"$real\"");
    fs::write(it.home().join("hook"), lines).unwrap();
    Some(it)
}

/// The same, but `lines` are done for the first build alone.
fn with_one_edit(lines: &str) -> Option<Workspace> {
    with_edit(&format!("if [ ! -e HOME/done ]; then\ntouch HOME/done\n{lines}\nfi"))
}

/// The bytes of a program that prints `text`, built in a quiet place.
fn clean(text: &str) -> Vec<u8> {
    let it = Workspace::new(&[("BUILD.ron", ONE), ("main.go", &prints(text))]).unwrap();
    it.built();
    it.bytes("p")
}

/// Builds under an edit that is taken back, and asserts that the edited text got nowhere.
#[track_caller]
fn never_keeps_what_was_there_meanwhile(it: &Workspace) {
    let run = it.built();
    run.came("built 1");
    assert_eq!(run.links().len(), 2, "what the first one made is not believed: {run:#?}");
    assert_eq!((it.says("p"), it.bytes("p")), ("one\n".into(), clean("one")));
    it.built().came("up_to_date 1");
    it.file("main.go", &prints("two"));
    it.built().came("built 1");
    assert_eq!((it.says("p"), it.bytes("p")), ("two\n".into(), clean("two")));
    it.file("main.go", &prints("one"));
    it.built().came("restored 1");
    assert_eq!(it.bytes("p"), clean("one"));
}

#[test]
fn d01_a_source_edited_before_it_is_compiled_and_then_reverted_gives_the_right_bytes() {
    let edit = "cp HOME/two.go main.go\nREAL \"$@\"\ncode=$?\ncp HOME/one.go main.go\nexit $code";
    let Some(it) = with_one_edit(edit) else { return };
    never_keeps_what_was_there_meanwhile(&it);
}

/// The size is the same, and so is the modification time.
#[test]
fn d02_a_source_reverted_with_its_old_time_gives_the_right_bytes() {
    let edit = "cp -p main.go HOME/kept\ncp HOME/two.go main.go\ntouch -r HOME/kept main.go\n\
                REAL \"$@\"\ncode=$?\ncp -p HOME/kept main.go\nexit $code";
    let Some(it) = with_one_edit(edit) else { return };
    let modified = || fs::metadata(it.path("main.go")).unwrap().modified().unwrap();
    let before = modified();
    let run = it.built();
    assert_eq!(modified(), before, "the edit left no trace in the modification time");
    assert_eq!(run.links().len(), 2, "{run:#?}");
    assert_eq!((it.says("p"), it.bytes("p")), ("one\n".into(), clean("one")));
}

/// A source that was replaced by rename and put back is another inode.
#[test]
fn d02_a_source_that_was_renamed_away_and_back_gives_the_right_bytes() {
    let edit = "mv main.go HOME/kept\ncp HOME/two.go main.go\n\
                REAL \"$@\"\ncode=$?\nmv HOME/kept main.go\nexit $code";
    let Some(it) = with_one_edit(edit) else { return };
    never_keeps_what_was_there_meanwhile(&it);
}

fn set_modified(path: &Path, time: SystemTime) {
    File::open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn d03_edits_of_one_size_and_one_time_are_all_seen() {
    let Some(it) = Workspace::new(&[("BUILD.ron", ONE), ("main.go", "")]) else { return };
    let time = SystemTime::now();
    for text in ["aaa", "bbb", "ccc", "aaa", "bbb"] {
        fs::write(it.path("main.go"), prints(text)).unwrap();
        set_modified(&it.path("main.go"), time);
        it.built();
        assert_eq!(it.says("p"), format!("{text}\n"));
    }
}

#[test]
fn d05_times_in_the_future_and_before_1970_decide_nothing() {
    let Some(it) = Workspace::new(&[("BUILD.ron", ONE), ("main.go", &prints("0"))]) else { return };
    it.built();
    let year = Duration::from_hours(24 * 365);
    let epoch = SystemTime::UNIX_EPOCH;
    let times = [epoch + 130 * year, epoch - 68 * year, epoch - Duration::from_secs(1), epoch];
    for (number, time) in times.into_iter().enumerate() {
        let stamp = || {
            for name in ["main.go", "go.mod", "BUILD.ron", "."] {
                set_modified(&it.path(name), time);
            }
        };
        stamp();
        it.built().came("up_to_date 1");
        let text = (number + 1).to_string();
        it.file("main.go", &prints(&text));
        stamp();
        it.built().came("built 1");
        assert_eq!(it.says("p"), format!("{text}\n"));
    }
}

/// A thread replaces files and removes folders as fast as it can, while builds walk over them. The
/// text of every file is the same each time, so that each build that ends well is right.
#[test]
fn d07_files_and_folders_that_come_and_go_under_the_walk_break_nothing() {
    let main = prints_c("#include \"inc/x.h\"", "C.X");
    let header = "#define X 7\n";
    let files = [
        ("BUILD.ron", r#"build(targets: [go_binary(name: "p")])"#),
        ("main.go", main.as_str()),
        ("inc/x.h", header),
    ];
    let Some(it) = Workspace::with_c(&files) else { return };
    let (quiet, swaps) = (AtomicBool::new(false), AtomicUsize::new(0));
    let churn = || {
        while !quiet.load(Ordering::SeqCst) {
            for (name, text) in [("inc/x.h", header), ("main.go", main.as_str())] {
                let new = it.path("new.tmp");
                fs::write(&new, text).unwrap();
                fs::rename(&new, it.path(name)).unwrap();
            }
            let folder = it.path(&format!("junk{}/deep", swaps.load(Ordering::SeqCst) % 5));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("y.h"), "").unwrap();
            fs::remove_dir_all(folder.parent().unwrap()).unwrap();
            swaps.fetch_add(1, Ordering::SeqCst);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(churn);
        for _ in 0..3 {
            let run = it.build(&[]);
            match run.code {
                0 => assert_eq!(it.says("p"), "7\n"),
                10 => holds(&run.error("//:p"), &["keep changing while it is built"]),
                _ => {
                    quiet.store(true, Ordering::SeqCst);
                    panic!("{run:#?}")
                }
            }
        }
        quiet.store(true, Ordering::SeqCst);
    });
    println!("{} rounds of replacing", swaps.load(Ordering::SeqCst));
    assert!(swaps.load(Ordering::SeqCst) > 30);
    it.built();
    assert_eq!(it.says("p"), "7\n");
    it.built().came("up_to_date 1");
}

#[test]
fn d09_a_go_mod_that_changes_meanwhile_is_the_one_that_counts() {
    let edit = "sed -i 's/^go 1.24/go 1.21/' go.mod";
    let Some(it) = with_one_edit(edit) else { return };
    let main = "package main\n\nfunc main() {\n\tvar all []func() int\n\
                \tfor i := 0; i < 3; i++ {\n\t\tall = append(all, func() int { return i })\n\t}\n\
                \tprintln(all[0]())\n}\n";
    it.file("main.go", main);
    let run = it.built();
    assert_eq!(run.links().len(), 2, "{run:#?}");
    assert_eq!(it.says("p"), "3\n", "before Go 1.22 a loop has one variable for all rounds");
    it.built().came("up_to_date 1");
    it.file("go.mod", crate::workspace::GO_MOD);
    it.built().came("built 1");
    assert_eq!(it.says("p"), "0\n");
}

/// The rules are read once: a run is true to those that it read, the next one to the new ones.
#[test]
fn d09_rules_that_change_meanwhile_count_for_the_next_build() {
    let other =
        "build(targets: [go_binary(name: \"p\", link: \"pure\", x_defs: {\"main.x\": \"new\"})])";
    let Some(it) = with_one_edit("cp HOME/other.ron BUILD.ron") else { return };
    fs::write(it.home().join("other.ron"), other).unwrap();
    it.file("main.go", "package main\n\nvar x = \"old\"\n\nfunc main() { println(x) }\n");
    it.built().came("built 1");
    assert_eq!(it.says("p"), "old\n");
    assert_eq!(it.read("BUILD.ron"), other);
    it.built().came("built 1");
    assert_eq!(it.says("p"), "new\n");
    it.built().came("up_to_date 1");
}

#[test]
fn d10_a_toolchain_that_is_replaced_meanwhile_makes_nothing_that_is_kept_under_the_old_one() {
    let Some(it) = with_one_edit("echo '# Another one.' >> \"$0\"") else { return };
    let run = it.built();
    run.came("built 1");
    assert_eq!(run.links().len(), 2, "built again by the new one: {run:#?}");
    let key = it.record("//:p")["key"].clone();
    it.built().came("up_to_date 1");
    assert_eq!(it.record("//:p")["key"], key, "it is the key of the new toolchain");
    assert_eq!(it.bytes("p"), clean("one"));
}

#[test]
fn d11_generated_code_that_is_older_than_its_generator_is_not_made_again() {
    let build = r#"build(defaults: (link: "pure"), targets: [
        command(name: "gen", argv: ["sh", "gen.sh"], inputs: ["gen.sh"], outputs: ["gen.go"]),
        go_binary(name: "p", deps: [":gen"]),
    ])"#;
    let gen_sh = |value: &str| {
        format!("echo 'package main\n\nconst X = {value:?}' > gen.go\necho ran >> ../log\n")
    };
    let main = "package main\n\nfunc main() { println(X) }\n";
    let files = [("BUILD.ron", build), ("gen.sh", &gen_sh("1")), ("main.go", main)];
    let Some(it) = Workspace::new(&files) else { return };
    it.built();
    let old = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 365 * 30);
    set_modified(&it.path("gen.go"), old);
    it.built().came("up_to_date 2");
    // And one that changed counts, however old it looks.
    it.file("gen.sh", &gen_sh("2"));
    set_modified(&it.path("gen.sh"), old - Duration::from_hours(24));
    it.built().came("built 2");
    assert_eq!(it.says("p"), "2\n");
    assert_eq!(fs::read_to_string(it.home().join("log")).unwrap().lines().count(), 2);
}

/// Inputs that never settle: the error names what changed, the store keeps nothing of it.
#[track_caller]
fn gives_up(it: &Workspace, named: &[&str]) -> Run {
    let run = it.build(&[]);
    assert_eq!(run.code, 10, "{run:#?}");
    assert_eq!(run.links().len(), 4, "it was tried again three times: {run:#?}");
    holds(&run.error("//:p"), &["files of `.` keep changing while it is built\n"]);
    holds(&run.error("//:p"), named);
    assert!(!it.bin("p").exists());
    run
}

#[test]
fn a_source_that_never_settles_is_named() {
    let Some(it) = with_edit("echo '// More.' >> main.go") else { return };
    gives_up(&it, &["\n  file example.com/m: main.go\nbuild again when the tree is quiet"]);
}

#[test]
fn a_source_that_is_always_written_again_is_named() {
    let Some(it) = with_edit("cp main.go HOME/same; cp HOME/same main.go") else { return };
    gives_up(&it, &["\n  file main.go\n"]);
}

#[test]
fn files_that_come_and_go_are_named_and_many_are_counted() {
    let edit = "for n in 1 2 3 4 5 6 7 8 9 10 11 12; do echo 'package main' > new-$$-$n.go; done";
    let Some(it) = with_edit(edit) else { return };
    let run = gives_up(&it, &["\n  file new-", "-1.go\n", "\n  and 2 more\n"]);
    assert_eq!(run.error("//:p").matches("\n  file ").count(), 10);
    let Some(it) = with_edit("rm -f new*.go; echo 'package main' > new$$.go") else { return };
    gives_up(&it, &["\n  file new"]);
}

#[test]
fn a_toolchain_that_never_settles_is_named() {
    // Linkwright keeps no object of one toolchain for another: Go's own cache, which does not tell
    // them apart, spares compiling the library for each.
    let cache = shared("plain-go-cache");
    let own = format!("unset GOCACHEPROG; export GOCACHE='{}'", cache.display());
    let Some(it) = with_edit(&format!("echo '# Another one.' >> \"$0\"; {own}")) else { return };
    gives_up(&it, &["\n  Go toolchain\n"]);
}

#[test]
fn an_input_of_a_command_that_is_reverted_meanwhile_gives_the_right_output() {
    let build = r#"build(targets: [
        command(name: "c", argv: ["sh", "../run"], inputs: ["in"], outputs: ["o"]),
    ])"#;
    let Some(it) = Workspace::new(&[("BUILD.ron", build), ("in", "1\n")]) else { return };
    // The first time somebody edits the input before it is read, and takes the edit back.
    let run = "if [ -e ../done ]; then cat in > o\n\
               else touch ../done; echo 2 > in; cat in > o; echo 1 > in; fi\n";
    fs::write(it.home().join("run"), run).unwrap();
    it.built().came("built 1");
    assert_eq!(it.read("o"), "1\n");
    it.built().came("up_to_date 1");
}
