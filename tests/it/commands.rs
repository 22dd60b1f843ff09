//! `command` targets: programs on declared inputs that make declared outputs.

use crate::workspace::{Run, Workspace, holds, text};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A Go program of a generated and a written file.
const GENERATED: &str = r#"build(defaults: (link: "pure"), targets: [
    command(name: "gen", argv: ["sh", "gen.sh", "out.go"], inputs: ["gen.sh", "value.txt"], outputs: ["out.go"]),
    go_binary(name: "p", deps: [":gen"]),
])"#;

const GEN: &str =
    "echo \"package main\n\nconst X = $(cat value.txt)\" > \"$1\"\necho ran >> ../log\n";

fn generated() -> Option<Workspace> {
    Workspace::new(&[
        ("BUILD.ron", GENERATED),
        ("gen.sh", GEN),
        ("value.txt", "1"),
        ("main.go", "package main\n\nfunc main() { println(X) }\n"),
    ])
}

/// A workspace of one command with these fields.
fn command(fields: &str, files: &[(&str, &str)]) -> Option<Workspace> {
    let build = format!("build(targets: [command(name: \"c\", {fields})])");
    Workspace::new(&[&[("BUILD.ron", build.as_str())], files].concat())
}

/// How often the generator ran.
fn runs(it: &Workspace) -> usize {
    fs::read_to_string(it.home().join("log")).unwrap_or_default().lines().count()
}

#[test]
fn generated_code_feeds_a_program() {
    let Some(it) = generated() else { return };
    it.built().came("built 2");
    assert_eq!((it.says("p"), runs(&it)), ("1\n".into(), 1));
    it.built().came("up_to_date 2");
    assert_eq!(runs(&it), 1, "the same inputs: nothing to run");
    it.file("value.txt", "2");
    it.built().came("built 2");
    assert_eq!((it.says("p"), runs(&it)), ("2\n".into(), 2));
    it.file("value.txt", "1");
    it.built().came("restored 2");
    assert_eq!((it.says("p"), runs(&it)), ("1\n".into(), 2));
}

#[test]
fn a_generator_that_writes_the_same_changes_nothing_above() {
    let Some(it) = generated() else { return };
    it.built();
    it.file("gen.sh", &format!("# A remark.\n{GEN}"));
    it.built().came("built 1, up_to_date 1");
    assert_eq!(runs(&it), 2);
}

#[test]
fn outputs_are_restored_after_a_deletion_or_an_edit() {
    let Some(it) = generated() else { return };
    it.built();
    let made = it.read("out.go");
    it.remove("out.go");
    it.built().came("restored 1, up_to_date 1");
    assert_eq!(it.read("out.go"), made);
    it.file("out.go", "edited");
    it.built().came("restored 1, up_to_date 1");
    assert_eq!((it.read("out.go"), runs(&it)), (made, 1));
}

#[test]
fn an_output_that_was_not_made_fails_and_the_old_one_is_still_there() {
    let Some(it) = generated() else { return };
    it.built();
    let made = it.read("out.go");
    it.file("gen.sh", "true\n");
    let run = it.build(&[]);
    assert_eq!(run.code, 1, "{run:#?}");
    run.came("failed 1, skipped 1");
    holds(&run.error("//:gen"), &["did not make its output `out.go`"]);
    assert_eq!(it.read("out.go"), made);
    assert!(!it.path(".out.go.linkwright-old").exists());
    // A killed build may have left this behind.
    it.file(".out.go.linkwright-old", "left over");
    it.file("gen.sh", GEN);
    it.built();
    assert_eq!((it.read("out.go"), it.path(".out.go.linkwright-old").exists()), (made, false));
}

#[test]
fn a_failing_command_shows_its_output_and_leaves_the_old_one() {
    let Some(it) = generated() else { return };
    it.built();
    let made = it.read("out.go");
    it.file("gen.sh", "echo half > out.go; echo 'on stdout'; echo 'on stderr' >&2; exit 7\n");
    let run = it.build(&[]);
    assert_eq!(run.code, 1, "{run:#?}");
    holds(&run.error("//:gen"), &["`sh`: it ended with code 7", "on stdout", "on stderr"]);
    assert_eq!(it.read("out.go"), made);
    assert_eq!(run.finished("//:p")["state"], "skipped");
}

#[test]
fn passed_variables_are_inputs_and_others_are_not_seen() {
    let fields = r#"argv: ["sh", "-c", "echo $A-$B-$C-$LD_PRELOAD > o"], outputs: ["o"],
        pass_env: ["A"], env: {"B": "fixed"}"#;
    let Some(it) = command(fields, &[]) else { return };
    let build = |value: &str, other: &str| {
        let mut command = it.linkwright(&["build", "--json"]);
        command.env("A", value).env("B", other).env("C", other);
        let run = Run::of(&command.output().unwrap());
        assert_eq!(run.code, 0, "{run:#?}");
        (run.finished("//:c")["state"].as_str().unwrap().to_owned(), it.read("o"))
    };
    assert_eq!(build("1", "x"), ("built".into(), "1-fixed--\n".into()));
    assert_eq!(build("1", "y"), ("up_to_date".into(), "1-fixed--\n".into()));
    assert_eq!(build("2", "y"), ("built".into(), "2-fixed--\n".into()));
    assert_eq!(build("1", "y"), ("restored".into(), "1-fixed--\n".into()));
    it.build(&[]).came("built 1");
    assert_eq!(it.read("o"), "-fixed--\n", "an unset variable is not an empty one");
}

#[test]
fn arguments_reach_the_program_as_they_are_written() {
    let odd =
        ["a b", "$(touch hacked)", "; touch hacked", "`touch hacked`", "&& x", "*", "é\u{202e}"];
    let words: Vec<_> = odd.iter().map(|it| format!("{it:?}")).collect();
    let words = words.join(", ").replace("\\u{202e}", "\u{202e}");
    let fields = format!(
        "argv: [\"sh\", \"print.sh\", {words}, \"a\\nb\", \"'\\\"\", \"{{{{x}}}}\", \"\", \"--\", \"-x\"], \
         inputs: [\"print.sh\"], outputs: [\"o\"]"
    );
    let script = "for it in \"$@\"; do printf '%s\\0' \"$it\"; done > o\n";
    let Some(it) = command(&fields, &[("print.sh", script)]) else { return };
    let run = it.build(&[]);
    assert_eq!(run.code, 0, "{run:#?}");
    let mut expected = odd.map(str::to_owned).to_vec();
    expected.extend(["a\nb", "'\"", "{x}", "", "--", "-x"].map(str::to_owned));
    let got = it.read("o");
    let got: Vec<_> = got.strip_suffix('\0').unwrap().split('\0').collect();
    assert_eq!(got, expected);
    assert!(!it.path("hacked").exists());
}

#[test]
fn a_built_program_can_be_the_command_or_an_argument() {
    let build = r#"build(defaults: (link: "pure"), targets: [
        go_binary(name: "gen", package: "./gen"),
        command(name: "by", argv: ["{:gen}", "x"], outputs: ["by.txt"]),
        command(name: "of", argv: ["sh", "-c", "cp \"$0\" of.txt", "{:by}"], outputs: ["of.txt"]),
    ])"#;
    let gen_go = |text: &str| {
        format!(
            "package main\n\nimport \"os\"\n\nfunc main() {{ os.WriteFile(\"by.txt\", []byte({text:?}+os.Args[1]), 0o644) }}\n"
        )
    };
    let files = [("BUILD.ron", build), ("gen/main.go", &gen_go("one "))];
    let Some(it) = Workspace::new(&files) else { return };
    it.built().came("built 3");
    assert_eq!(it.read("of.txt"), "one x");
    it.file("gen/main.go", &gen_go("two "));
    it.built().came("built 3");
    assert_eq!(it.read("of.txt"), "two x");
    it.built().came("up_to_date 3");
}

#[test]
fn a_program_of_the_workspace_is_run_and_is_an_input() {
    let fields = r#"argv: ["./gen.sh", "o"], inputs: ["gen.sh"], outputs: ["o"]"#;
    let Some(it) = command(fields, &[]) else { return };
    let script = |text: &str| {
        it.file("gen.sh", &format!("#!/bin/sh\necho {text} > \"$1\"\n"));
        fs::set_permissions(it.path("gen.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    };
    script("one");
    it.built().came("built 1");
    script("two");
    it.built().came("built 1");
    assert_eq!(it.read("o"), "two\n");
}

#[test]
fn a_glob_sees_a_file_more_and_a_file_less() {
    let fields = r#"argv: ["sh", "-c", "cat in/*.txt > o"], inputs: ["in/*.txt"], outputs: ["o"]"#;
    let Some(it) = command(fields, &[("in/a.txt", "a")]) else { return };
    it.built();
    it.file("in/b.txt", "b");
    it.built().came("built 1");
    assert_eq!(it.read("o"), "ab");
    it.remove("in/b.txt");
    it.built().came("restored 1");
    assert_eq!(it.read("o"), "a");
    it.remove("in/a.txt");
    let run = it.build(&[]);
    assert_eq!(run.code, 2, "{run:#?}");
    holds(&run.error("//:c"), &["in/*.txt"]);
}

#[test]
fn files_and_suites_name_other_things() {
    let build = r#"build(targets: [
        files(name: "src", globs: ["*.txt"], exclude: ["b.txt"]),
        command(name: "c", argv: ["sh", "-c", "cat *.txt > o"], inputs: [":src"], outputs: ["o"]),
        suite(name: "s", targets: [":c"]),
    ])"#;
    let files = [("BUILD.ron", build), ("a.txt", "a"), ("b.txt", "b")];
    let Some(it) = Workspace::new(&files) else { return };
    let run = it.build(&[":s"]);
    assert_eq!((run.code, it.read("o")), (0, "ab".to_owned()));
    it.file("b.txt", "other");
    it.build(&[":s"]).came("up_to_date 1");
    it.file("a.txt", "other");
    it.build(&[":s"]).came("built 1");
}

#[test]
fn a_program_that_is_not_there_is_the_machines_fault() {
    let fields = r#"argv: ["no-such-program-here"], outputs: ["o"]"#;
    let Some(it) = command(fields, &[]) else { return };
    let run = it.build(&[]);
    assert_eq!(run.code, 36, "{run:#?}");
    holds(&run.error("//:c"), &["no program `no-such-program-here`", "install"]);
}

#[test]
fn an_input_that_changes_while_the_command_runs_is_told() {
    let fields =
        r#"argv: ["sh", "-c", "cat in > o; echo x >> in"], inputs: ["in"], outputs: ["o"]"#;
    let Some(it) = command(fields, &[("in", "1\n")]) else { return };
    let run = it.build(&[]);
    assert_eq!(run.code, 10, "{run:#?}");
    holds(&run.error("//:c"), &["its inputs changed while it ran\n  file in"]);
}

#[test]
fn generated_c_code_feeds_a_cgo_program() {
    let build = r##"build(targets: [
        command(name: "gen", argv: ["sh", "-c", "echo \"#define X $(cat v)\" > gen/x.h"], inputs: ["v"], outputs: ["gen/x.h"]),
        go_binary(name: "p", package: "./cmd", deps: [":gen"]),
    ])"##;
    let main = crate::workspace::prints_c("#include \"../gen/x.h\"", "C.X");
    let files = [("BUILD.ron", build), ("v", "1"), ("cmd/main.go", &main)];
    let Some(it) = Workspace::with_c(&files) else { return };
    it.built().came("built 2");
    assert_eq!(it.says("p"), "1\n");
    it.file("v", "2");
    it.built().came("built 2");
    assert_eq!(it.says("p"), "2\n");
}

#[test]
fn a_command_that_prints_escapes_cannot_play_with_the_terminal() {
    let fields = r#"argv: ["sh", "-c", "printf '\\033[2Jgone' >&2; exit 1"], outputs: ["o"]"#;
    let Some(it) = command(fields, &[]) else { return };
    let output = it.run(&["build"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!output.stderr.contains(&0x1b), "{output:?}");
    holds(&text(&output), &["gone"]);
}

/// Waits until the program `early` is in place, so that what it is made of was read before.
const WAIT: &str =
    "for i in $(seq 600); do [ -e linkwright-out/bin/early ] && break; sleep 0.1; done
[ -e linkwright-out/bin/early ] && cp tick.txt tick.out\n";

/// Two programs, of which one waits for a generator, which waits for the other one: its target says
/// nothing of the generator, though it reads what that makes.
fn read_too_early(output: &str, packages: [&str; 2], files: &[(&str, &str)]) -> Option<Workspace> {
    let [early, late] = packages;
    let build = format!(
        r#"build(defaults: (link: "default"), targets: [
        command(name: "wait", argv: ["sh", "wait.sh"], inputs: ["wait.sh", "tick.txt"], outputs: ["tick.out"]),
        command(name: "gen", argv: ["cp", "made.txt", "{output}"], inputs: ["made.txt", ":wait"], outputs: ["{output}"]),
        go_binary(name: "early", package: "{early}"),
        go_binary(name: "late", package: "{late}", deps: [":gen"]),
        ])"#
    );
    let own =
        [("BUILD.ron", build.as_str()), ("wait.sh", WAIT), ("tick.txt", "0"), ("made.txt", "")];
    Workspace::new(&[&own, files].concat())
}

/// Builds with other text to generate, everything in place but `early`; returns what `late` says.
fn says_late(it: &Workspace, tick: usize, made: &str) -> String {
    it.file("made.txt", made);
    it.file("tick.txt", &tick.to_string());
    let _ = fs::remove_file(it.path("linkwright-out/bin/early"));
    it.built();
    it.says("late")
}

#[test]
fn a_header_that_was_read_before_a_command_wrote_it_is_read_again_for_those_who_wait_for_it() {
    let lib = "package lib\n\n// #include \"../made/made.h\"\n// int made(void) { return MADE; }\n\
               import \"C\"\n\nfunc Made() int { return int(C.made()) }\n";
    let main = |name: &str| {
        format!(
            "package main\n\nimport \"example.com/m/lib\"\n\n\
             func main() {{ println(lib.Made()) }}\n\nconst name = \"{name}\"\n"
        )
    };
    let (early, late) = (main("early"), main("late"));
    let files = [
        ("lib/lib.go", lib),
        ("made/made.h", "#define MADE 0\n"),
        ("early/main.go", early.as_str()),
        ("late/main.go", late.as_str()),
    ];
    let Some(it) = read_too_early("made/made.h", ["./early", "./late"], &files) else { return };
    for (tick, made) in [1, 2, 1, 2].into_iter().enumerate() {
        let text = format!("#define MADE {made}\n");
        assert_eq!(says_late(&it, tick, &text), format!("{made}\n"), "build {tick}");
    }
}

#[test]
fn packages_that_were_listed_before_a_command_wrote_a_file_are_listed_again_for_those_who_wait() {
    let main = "package main\n\nvar made = 0\n\nfunc main() { println(made) }\n";
    let files = [("both/main.go", main)];
    let Some(it) = read_too_early("both/made.go", ["./both", "./both"], &files) else { return };
    for (tick, made) in [1, 2, 1, 2].into_iter().enumerate() {
        let _ = fs::remove_file(it.path("both/made.go"));
        let text = format!("package main\n\nfunc init() {{ made = {made} }}\n");
        assert_eq!(says_late(&it, tick, &text), format!("{made}\n"), "build {tick}");
    }
}
