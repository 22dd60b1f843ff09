//! The program as a shell sees it: streams, exit codes, and what needs no workspace.

use expect_test::{Expect, expect};
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs the program with an empty environment and these arguments, in `folder`.
fn linkwright(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linkwright"));
    command.current_dir(folder).env_clear().args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    linkwright(folder.path(), arguments).output().unwrap()
}

/// Compares code, stdout and stderr of a run.
#[track_caller]
fn check(arguments: &[&str], expect: Expect) {
    let output = run(arguments);
    let text = |it: &[u8]| String::from_utf8(it.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    expect.assert_eq(&format!(
        "exit {}\n--- stdout\n{out}--- stderr\n{err}",
        output.status.code().unwrap()
    ));
}

#[test]
fn help_is_data_and_no_error() {
    check(
        &["-h"],
        expect![[r#"
            exit 0
            --- stdout
            Build Go programs the way they must be linked, and prove it

            Usage: linkwright [OPTIONS] <COMMAND>

            Commands:
              build        Build targets, verify how they are linked, and record it
              test         Build test binaries and run them
              run          Build one target, then run it
              verify       Say how any binary is linked, from its bytes
              why          Say what changed since a target was built, and why it is linked as it is
              query        List targets, what they need, what needs them
              graph        Draw targets and what they need
              init         Write a BUILD.ron for the Go module in this folder
              doctor       Say which strategies can work on this machine, and what to install
              cache        Look after the store: what is in it, whether it is sound, make room
              clean        Remove the workspace's linkwright-out folder
              cacheprog    Serve Go's compile cache to a go command
              completions  Print a completion script for a shell
              man          Print the manual page, or write all of them into a folder
              help         Print this message or the help of the given subcommand(s)

            Options:
              -h, --help     Print help (see more with '--help')
              -V, --version  Print version

            Global options:
              -C, --directory <DIR>  Run as if started in DIR
              -j, --jobs <N>         Run at most N steps at a time; `auto` is one for each processor [default: auto]
                  --color <WHEN>     Colour what is printed [default: auto] [possible values: auto, always, never]
                  --store <DIR>      Keep artefacts in DIR [env: LINKWRIGHT_STORE]
                  --go-cache <DIR>   Keep Go's compile cache in DIR [env: LINKWRIGHT_GO_CACHE]
              -q, --quiet            Say nothing but what fails
              -v, --verbose          Say each command and each warning in full

            Patterns: //... everything, //dir/... below a folder, //dir:all in one, //dir:name one target,
            :name and ./... seen from here, and - before any of these to leave it out.
            --- stderr
        "#]],
    );
    check(
        &["--version"],
        expect![[r"
        exit 0
        --- stdout
        linkwright 0.1.0
        --- stderr
    "]],
    );
}

#[test]
fn the_long_help_tells_more_than_the_short_one() {
    let long = run(&["build", "--help"]).stdout;
    let short = run(&["build", "-h"]).stdout;
    assert_eq!(long, run(&["help", "build"]).stdout);
    assert!(long.len() > short.len() && !short.is_empty());
}

#[test]
fn no_command_is_a_mistake() {
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty() && !output.stderr.is_empty());
}

#[test]
fn what_is_misspelt_is_refused_with_a_suggestion() {
    check(
        &["build", "//...", "--keep-gonig"],
        expect![[r"
        exit 2
        --- stdout
        --- stderr
        error: unexpected argument '--keep-gonig' found

          tip: a similar argument exists: '--keep-going'

        Usage: linkwright build --keep-going <PATTERN>...

        For more information, try '--help'.
    "]],
    );
    check(
        &["biuld"],
        expect![[r"
        exit 2
        --- stdout
        --- stderr
        error: unrecognized subcommand 'biuld'

          tip: a similar subcommand exists: 'build'

        Usage: linkwright [OPTIONS] <COMMAND>

        For more information, try '--help'.
    "]],
    );
    check(
        &["build", "-j", "0"],
        expect![[r"
        exit 2
        --- stdout
        --- stderr
        error: invalid value '0' for '--jobs <N>': a number from 1 on, or `auto`

        For more information, try '--help'.
    "]],
    );
    check(
        &["query", "--deps", "--rdeps"],
        expect![[r"
        exit 2
        --- stdout
        --- stderr
        error: the argument '--deps' cannot be used with '--rdeps'

        Usage: linkwright query --deps [PATTERN]...

        For more information, try '--help'.
    "]],
    );
}

#[test]
fn a_flag_that_does_nothing_for_a_command_is_refused() {
    for arguments in [["clean", "--json"], ["query", "--dry-run"], ["verify", "--keep-going"]] {
        assert_eq!(run(&arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn a_folder_that_is_not_there_is_a_mistake() {
    check(
        &["-C", "/nowhere/at/all", "query"],
        expect![[r"
            exit 2
            --- stdout
            --- stderr
            error: `/nowhere/at/all` is not a folder
            hint: `-C` takes a folder
        "]],
    );
}

#[test]
fn every_shell_gets_its_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = run(&["completions", shell]);
        assert!(output.status.success() && output.stderr.is_empty(), "{shell}");
        let script = String::from_utf8(output.stdout).unwrap();
        for word in ["linkwright", "verify", "keep-going", "go-cache"] {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
    }
    assert_eq!(run(&["completions", "tcsh"]).status.code(), Some(2));
}

#[test]
fn the_bash_completions_can_be_read_by_bash() {
    let script = run(&["completions", "bash"]).stdout;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("completions");
    std::fs::write(&file, script).unwrap();
    let output = Command::new("bash").arg("-n").arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn there_is_a_manual_page_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let output = linkwright(folder.path(), &["man", "--dir", "share/man1"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let pages = std::fs::read_dir(folder.path().join("share/man1")).unwrap();
    let mut names: Vec<String> =
        pages.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    expect![[r#"
        linkwright-build.1
        linkwright-cache-gc.1
        linkwright-cache-stats.1
        linkwright-cache-verify.1
        linkwright-cache.1
        linkwright-cacheprog.1
        linkwright-clean.1
        linkwright-completions.1
        linkwright-doctor.1
        linkwright-graph.1
        linkwright-init.1
        linkwright-man.1
        linkwright-query.1
        linkwright-run.1
        linkwright-test.1
        linkwright-verify.1
        linkwright-why.1
        linkwright.1"#]]
    .assert_eq(&names.join("\n"));
    let page = std::fs::read_to_string(folder.path().join("share/man1/linkwright-build.1"));
    assert!(page.unwrap().contains("keep\\-going"));
    let printed = run(&["man"]).stdout;
    let written = std::fs::read(folder.path().join("share/man1/linkwright.1")).unwrap();
    assert_eq!(printed, written);
}

#[test]
fn colour_is_for_who_asks_for_it() {
    let escaped = |arguments: &[&str], variables: &[(&str, &str)]| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = linkwright(folder.path(), arguments);
        let output = command.envs(variables.iter().copied()).output().unwrap();
        output.stderr.contains(&0x1b)
    };
    assert!(!escaped(&["--nope"], &[]));
    assert!(escaped(&["--nope"], &[("CLICOLOR_FORCE", "1")]));
    assert!(!escaped(&["--nope"], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    assert!(escaped(&["--color=always", "--nope"], &[("NO_COLOR", "1")]));
    assert!(escaped(&["-C", "nowhere", "--color", "always", "clean"], &[]));
}

#[test]
fn a_reader_that_goes_away_ends_the_program_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = linkwright(folder.path(), &["completions", "zsh"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}

#[test]
fn a_full_disk_is_told() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let output = linkwright(folder.path(), &["man"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(12));
    assert!(
        String::from_utf8(output.stderr).unwrap().starts_with("error: cannot write the output\n")
    );
}

#[test]
fn verify_reads_any_file_and_goes_on_after_one_that_it_cannot_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("run.sh"), "#!/bin/sh\n").unwrap();
    let output = linkwright(folder.path(), &["verify", "gone", "run.sh"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = |it: Vec<u8>| String::from_utf8(it).unwrap();
    expect![[r"
        run.sh: not_elf: not an ELF file, nor Mach-O, nor PE
          format        script
        error: cannot read `gone`: No such file or directory (os error 2)
    "]]
    .assert_eq(&(text(output.stdout) + &text(output.stderr)));
    let output = linkwright(folder.path(), &["verify", "--json", "run.sh"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&line["file"], &line["linkage"]["class"]), (&"run.sh".into(), &"not_elf".into()));
}

#[test]
fn a_json_stream_ends_with_done_even_where_there_is_nothing_to_build() {
    let output = run(&["--store", "store", "build", "--json", "//...", "-//a:b"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"], "done");
    assert_eq!(last["exit_code"].as_i64(), output.status.code().map(i64::from));
}
