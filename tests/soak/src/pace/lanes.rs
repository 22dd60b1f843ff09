//! The questions: what each side does, and how often.

use crate::bench::{Bench, Programs};
use crate::pace::inputs::{self, FLAGS, PROGRAMS, TESTS};
use crate::pace::{Curve, LOOK, Side, Table, fleet, list, million, race, race_turned, take};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Every lane, in the order of the table.
pub const LANES: [&str; 13] = [
    "noop",
    "scale",
    "million",
    "edit",
    "revert",
    "clone",
    "cold",
    "makefile",
    "cacheprog",
    "list",
    "verify",
    "test",
    "fleet",
];

/// What came of a lane.
#[derive(Debug, Default)]
pub struct Measured {
    /// Questions that were answered.
    pub tables: Vec<Table>,
    /// Curves of time and memory.
    pub curves: Vec<Curve>,
}

/// Where things are.
#[derive(Debug)]
pub struct Ground {
    /// The programs under test.
    pub programs: Programs,
    /// How many targets the largest generated tree has.
    pub most: usize,
    /// How often.
    pub rounds: usize,
}

/// Runs one lane.
///
/// # Errors
///
/// Says what did not work.
pub fn run(lane: &str, ground: &Ground) -> Result<Measured, String> {
    match lane {
        "noop" => noop(ground),
        "scale" => scale(ground),
        "million" => million::lane(ground),
        "edit" => edit(ground),
        "revert" => revert(ground),
        "clone" => clone(ground),
        "cold" => cold(ground),
        "makefile" => makefile(ground),
        "cacheprog" => cacheprog(ground),
        "list" => list::lane(ground),
        "verify" => verify(ground),
        "test" => fleet::small(ground),
        "fleet" => fleet::large(ground),
        _ => Err(format!("`{lane}` is none of {}", LANES.join(", "))),
    }
}

/// Lets every file become older than a tick of the file system's clock.
pub(super) fn age() {
    std::thread::sleep(Duration::from_millis(300));
}

/// Runs until it takes no less: once to build, once to remember.
pub(super) fn warm(sides: &[Side<'_>]) -> Result<(), String> {
    for _ in 0..2 {
        for side in sides {
            for command in &side.commands {
                take(command).map_err(|it| format!("{}: {it}", side.name))?;
            }
        }
        age();
    }
    Ok(())
}

fn linkwright(bench: &Bench) -> Command {
    bench.command(&["build", "--quiet"])
}

/// A `go` command in the workspace, with what a shell has and a cache of its own.
pub(super) fn go(bench: &Bench, words: &[&str], cache: &str) -> Command {
    let mut command = Command::new("go");
    command.args(words).current_dir(bench.root());
    with_shells_variables(&mut command, bench).env("GOCACHE", bench.home().join(cache));
    command
}

fn shell(bench: &Bench, script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-ec", script]).current_dir(bench.root());
    with_shells_variables(&mut command, bench);
    command
}

fn with_shells_variables<'c>(command: &'c mut Command, bench: &Bench) -> &'c mut Command {
    command.env("PATH", path()).env("HOME", bench.home()).env("GOFLAGS", "");
    command.env("GOTOOLCHAIN", "local").env("GOCACHE", bench.home().join("plain-cache"))
}

fn path() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

/// The loop that people write: each package by a process of its own, then a look by `ldd`.
fn the_loop(bench: &Bench, cache: &str) -> Command {
    the_loop_with(bench, cache, &[])
}

fn the_loop_with(bench: &Bench, cache: &str, more: &[&str]) -> Command {
    let flags: Vec<_> = more.iter().chain(&FLAGS).map(|it| format!("'{it}'")).collect();
    let flags = flags.join(" ");
    let script = format!(
        "mkdir -p out/loop
         for at in $(seq 0 {}); do go build {flags} -o out/loop/p$at ./cmd/p$at
           ldd out/loop/p$at >out/loop/p$at.ldd 2>&1 || true; done
         for at in $(seq 0 {}); do go test -c {flags} -o out/loop/t$at ./lib$at
           ldd out/loop/t$at >out/loop/t$at.ldd 2>&1 || true; done",
        PROGRAMS - 1,
        TESTS - 1
    );
    let mut command = shell(bench, &script);
    command.env("GOCACHE", bench.home().join(cache));
    command
}

/// The best that Go does by itself: one process for all programs, one for all tests.
fn the_one(bench: &Bench, cache: &str) -> Vec<Command> {
    let programs: Vec<_> = (0..PROGRAMS).map(|at| format!("./cmd/p{at}")).collect();
    let tests: Vec<_> = (0..TESTS).map(|at| format!("./lib{at}")).collect();
    let (build, test) = (["build", "-o", "out/one/"], ["test", "-c", "-o", "out/one/"]);
    fs::create_dir_all(bench.root().join("out/one")).unwrap();
    let one = |verb: &[&str], names: &[String]| {
        let words = verb.iter().copied().chain(FLAGS).chain(names.iter().map(String::as_str));
        go(bench, &words.collect::<Vec<_>>(), cache)
    };
    vec![one(&build, &programs), one(&test, &tests)]
}

/// `ninja`, `make` and `task` over files that were written for them, those that are here.
fn runners(root: &Path, tools: &Path) -> Vec<Side<'static>> {
    let command = |program: PathBuf, words: &[&str]| {
        let mut command = Command::new(program);
        command.args(words).current_dir(root).env("PATH", path()).env("HOME", root);
        command
    };
    let mut sides = Vec::new();
    for (name, words) in [("ninja", &["--quiet"][..]), ("make", &["-s"])] {
        match on_path(name) {
            Some(it) => sides.push(Side::new(name, vec![command(it, words)])),
            None => eprintln!("`{name}` is not here: left out"),
        }
    }
    let task = tools.join("bin/task");
    if task.is_file() && root.join("Taskfile.yml").is_file() {
        sides.push(Side::new("go-task", vec![command(task, &["--silent"])]));
    } else if !task.is_file() {
        eprintln!("`go-task` is not here: left out");
    }
    sides
}

fn on_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&path()).map(|it| it.join(name)).find(|it| it.is_file())
}

/// Nothing changed, in a module that the real Go builds.
fn noop(ground: &Ground) -> Result<Measured, String> {
    let bench = inputs::real(&ground.programs);
    let sources = |at: usize| {
        let own = if at < PROGRAMS { format!("cmd/p{at}/main.go") } else { String::new() };
        let lib = at % PROGRAMS;
        let mut names =
            vec!["go.mod".into(), "common/common.go".into(), format!("lib{lib}/lib.go")];
        names.push(if own.is_empty() { format!("lib{lib}/lib_test.go") } else { own });
        names
    };
    inputs::peers_files(&bench.root(), PROGRAMS + TESTS, sources);
    inputs::task_file(&bench.root(), PROGRAMS + TESTS, sources);
    let mut sides = vec![
        Side::new("linkwright", vec![linkwright(&bench)]),
        Side::new("one `go build`, one `go test -c`", the_one(&bench, "plain-cache")),
        Side::new("loop of `go build`, `go test -c`, `ldd`", vec![the_loop(&bench, "plain-cache")]),
    ];
    sides.extend(runners(&bench.root(), &ground.programs.target.join("tools")));
    warm(&sides)?;
    let title = format!("nothing changed: {PROGRAMS} programs and {TESTS} test binaries");
    let table = race("noop", &title, ground.rounds, &mut sides)?;
    Ok(Measured { tables: vec![table], curves: Vec::new() })
}

/// Nothing changed, in trees of more and more targets of five files, with the stand-in for `go`.
fn scale(ground: &Ground) -> Result<Measured, String> {
    let mut measured = Measured::default();
    let sizes = [100, 1000, 10_000, 100_000].into_iter().filter(|it| *it <= ground.most);
    for targets in sizes {
        let bench = inputs::generated(&ground.programs, targets);
        inputs::peers_files(&bench.root(), targets, |at| inputs::sources_of(at).collect());
        let tools = ground.programs.target.join("tools");
        if targets <= 1000 {
            inputs::task_file(&bench.root(), targets, |at| inputs::sources_of(at).collect());
        }
        let mut sides = vec![Side::new("linkwright", vec![linkwright(&bench)])];
        // One look of make at the largest tree would take minutes.
        let is_fit = |it: &Side<'_>| targets <= 10_000 || it.name != "make";
        sides.extend(runners(&bench.root(), &tools).into_iter().filter(is_fit));
        warm(&sides)?;
        sides.push(look_at_each(&bench, targets)?);
        let title = format!("nothing changed: {targets} targets, {} files", 5 * targets);
        let table = race("scale", &title, ground.rounds, &mut sides)?;
        for row in &table.rows {
            let known = measured.curves.iter().position(|it| it.name == row.name);
            let at = known.unwrap_or_else(|| {
                measured.curves.push(Curve { name: row.name.clone(), points: Vec::new() });
                measured.curves.len() - 1
            });
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52 targets")]
            measured.curves[at].points.push((targets as f64, row.median));
        }
        measured.tables.push(table);
        // The stand-in links in no time, and reads all packages before, as `go build` does.
        if (1000..=10_000).contains(&targets) {
            let peers = runners(&bench.root(), &tools).into_iter();
            let ninja = peers.filter(|it| it.name == "ninja");
            measured.tables.push(edit_of_many(&bench, targets, ground.rounds, ninja)?);
        }
    }
    Ok(measured)
}

/// Looks at each source and each output of a tree, and does no more.
fn look_at_each(bench: &Bench, targets: usize) -> Result<Side<'static>, String> {
    let list = bench.home().join("list");
    let outputs = |at: usize| format!("linkwright-out/bin/g{}/p{at}", at / 1000);
    let of_one = |at| inputs::sources_of(at).chain([outputs(at)]);
    let names: Vec<_> = (0..targets).flat_map(of_one).collect();
    fs::write(&list, names.join("\n")).map_err(|it| it.to_string())?;
    let own = std::env::current_exe().map_err(|it| it.to_string())?;
    let mut command = Command::new(own);
    command.arg(LOOK).arg(list).current_dir(bench.root());
    Ok(Side::new("a look at each file, no more", vec![command]))
}

/// One file of one target changes, among many: linkwright and ninja, which both make it anew.
fn edit_of_many(
    bench: &Bench,
    targets: usize,
    rounds: usize,
    ninja: impl Iterator<Item = Side<'static>>,
) -> Result<Table, String> {
    let file = inputs::sources_of(targets / 2).last().unwrap();
    let counter = std::cell::Cell::new(0);
    let change = || {
        counter.set(counter.get() + 1);
        let text = format!("package main\n\nconst d = \"{}\"\n", counter.get());
        fs::write(bench.root().join(&file), text).unwrap();
        age();
    };
    let own = std::iter::once(Side::new("linkwright", vec![linkwright(bench)]));
    let mut sides: Vec<_> =
        own.chain(ninja).map(|it| Side { before: Box::new(change), ..it }).collect();
    let title = format!("one file changed: {targets} targets, {} files", 5 * targets);
    race("scale", &title, rounds, &mut sides)
}

/// The body of a function in one package changes: one program and one test binary depend on it.
fn edit(ground: &Ground) -> Result<Measured, String> {
    let bench = inputs::real(&ground.programs);
    let counter = std::cell::Cell::new(1000);
    let change = || {
        counter.set(counter.get() + 1);
        let text = inputs::library(3, counter.get());
        fs::write(bench.root().join("lib3/lib.go"), text).unwrap();
        age();
    };
    let side =
        |name: &str, commands| Side { name: name.into(), before: Box::new(change), commands };
    let mut sides = [
        side("linkwright", vec![linkwright(&bench)]),
        side("one `go build`, one `go test -c`", the_one(&bench, "plain-cache")),
        side("loop of `go build`, `go test -c`, `ldd`", vec![the_loop(&bench, "plain-cache")]),
    ];
    warm(&sides)?;
    let title = "the body of a function changed, on which one program and one test depend";
    let table = race("edit", title, ground.rounds, &mut sides)?;
    drop(sides);
    let tables = vec![table, edit_of_c(ground)?];
    Ok(Measured { tables, curves: Vec::new() })
}

/// A header changes that the C of one program reads. It lies beside the Go files, where Go sees it.
fn edit_of_c(ground: &Ground) -> Result<Table, String> {
    let bench = inputs::with_c(&ground.programs);
    let counter = std::cell::Cell::new(1000);
    let change = || {
        counter.set(counter.get() + 1);
        fs::write(bench.root().join("code.h"), inputs::header(counter.get())).unwrap();
        age();
    };
    let words = ["build", "-o", "out/p", "-trimpath", "-buildvcs=false", "-tags=netgo,osusergo"];
    let flags = "-ldflags=-buildid= -linkmode=external -extldflags=-static";
    let by_go = go(&bench, &[&words[..], &[flags, "."]].concat(), "plain-cache");
    let side =
        |name: &str, commands| Side { name: name.into(), before: Box::new(change), commands };
    let mut sides = [side("linkwright", vec![linkwright(&bench)]), side("`go build`", vec![by_go])];
    warm(&sides)?;
    let title = "a header changed that the C code of a static program with net/http reads";
    race("edit", title, ground.rounds, &mut sides)
}

/// The text of a package changes to and fro between two that were built before; then outputs are
/// removed.
fn revert(ground: &Ground) -> Result<Measured, String> {
    let bench = inputs::real(&ground.programs);
    // Each side has a counter of its own, so that each comes from the other text.
    let flip = || {
        let (bench, counter) = (&bench, std::cell::Cell::new(0));
        move || {
            counter.set(counter.get() + 1);
            let number = 1 + counter.get() % 2;
            let text = format!("package common\n\nfunc One() int {{ return {number} }}\n");
            fs::write(bench.root().join("common/common.go"), text).unwrap();
            age();
        }
    };
    let own = flip();
    for _ in 0..2 {
        own();
        take(&linkwright(&bench))?;
    }
    let one = "one `go build`, one `go test -c`";
    warm(&[Side::new(one, the_one(&bench, "plain-cache"))])?;
    let mut sides = [
        Side {
            name: "linkwright".into(),
            before: Box::new(own),
            commands: vec![linkwright(&bench)],
        },
        Side {
            name: one.into(),
            before: Box::new(flip()),
            commands: the_one(&bench, "plain-cache"),
        },
    ];
    let title = format!("an edit of what all {} outputs depend on is taken back", PROGRAMS + TESTS);
    let taken_back = race("revert", &title, ground.rounds, &mut sides)?;
    let gone = || {
        for folder in ["linkwright-out", "out/one"] {
            let _ = fs::remove_dir_all(bench.root().join(folder));
        }
        fs::create_dir_all(bench.root().join("out/one")).unwrap();
    };
    for side in &mut sides {
        side.before = Box::new(gone);
    }
    let removed = race("revert", "all outputs were removed", ground.rounds, &mut sides)?;
    Ok(Measured { tables: vec![taken_back, removed], curves: Vec::new() })
}

/// A fresh clone in another folder, the store warm, Go's caches empty; against a build from
/// nothing.
fn clone(ground: &Ground) -> Result<Measured, String> {
    let bench = inputs::real(&ground.programs);
    warm(&[Side::new("linkwright", vec![linkwright(&bench)])])?;
    let fresh = |clone: &str| {
        let clone = inputs::clone_of(&bench, clone);
        let mut command = linkwright(&bench);
        command.current_dir(clone).env("LINKWRIGHT_GO_CACHE", bench.home().join("empty-cache"));
        command
    };
    let empty = || {
        let _ = fs::remove_dir_all(bench.home().join("empty-cache"));
        let _ = inputs::clone_of(&bench, "one");
        let _ = inputs::clone_of(&bench, "two");
    };
    let cold = || {
        empty();
        let _ = fs::remove_dir_all(bench.home().join("cold-store"));
    };
    let mut from_nothing = fresh("two");
    from_nothing.env("LINKWRIGHT_STORE", bench.home().join("cold-store"));
    let mut sides = [
        Side { name: "linkwright".into(), before: Box::new(empty), commands: vec![fresh("one")] },
        Side {
            name: "linkwright with an empty store".into(),
            before: Box::new(cold),
            commands: vec![from_nothing],
        },
    ];
    let title = "a fresh clone with a warm store; the compile cache is empty";
    let table = race("clone", title, ground.rounds.min(2), &mut sides)?;
    Ok(Measured { tables: vec![table], curves: Vec::new() })
}

/// Removes what the names lead to in the home of `bench`; the folder that Go writes to is there,
/// and empty if it was removed.
pub(super) fn cleared(bench: &Bench, names: &'static [&'static str]) -> impl Fn() {
    move || {
        for name in names {
            let _ = Command::new("rm").arg("-rf").arg(bench.home().join(name)).status();
        }
        fs::create_dir_all(bench.root().join("out/one")).unwrap();
    }
}

/// A side that begins without what the names lead to.
fn after_clearing<'b>(
    bench: &'b Bench,
    name: &str,
    commands: Vec<Command>,
    names: &'static [&'static str],
) -> Side<'b> {
    Side { name: name.into(), before: Box::new(cleared(bench, names)), commands }
}

/// linkwright without a store and without a compile cache.
fn from_nothing(bench: &Bench) -> Side<'_> {
    let mut ours = linkwright(bench);
    ours.env("LINKWRIGHT_GO_CACHE", bench.home().join("cold-go-cache"));
    let names = &["store", "cold-go-cache", "w/linkwright-out"];
    after_clearing(bench, "linkwright", vec![ours], names)
}

/// From nothing: no store, no compile cache.
fn cold(ground: &Ground) -> Result<Measured, String> {
    let bench = inputs::real(&ground.programs);
    let side = |name, commands, names| after_clearing(&bench, name, commands, names);
    let mut sides = [
        from_nothing(&bench),
        side(
            "one `go build`, one `go test -c`",
            the_one(&bench, "cold-plain-cache"),
            &["cold-plain-cache", "w/out"],
        ),
        side(
            "loop of `go build`, `go test -c`, `ldd`",
            vec![the_loop(&bench, "cold-loop-cache")],
            &["cold-loop-cache", "w/out"],
        ),
    ];
    let title = format!("from nothing: {PROGRAMS} programs and {TESTS} test binaries");
    let table = race_turned("cold", &title, ground.rounds.min(3), &mut sides)?;
    Ok(Measured { tables: vec![table], curves: Vec::new() })
}

/// From nothing, against the loop as Makefiles have it that were bitten by a stale object: `-a`
/// compiles everything for each package again.
fn makefile(ground: &Ground) -> Result<Measured, String> {
    let bench = inputs::real(&ground.programs);
    let again = vec![the_loop_with(&bench, "again-cache", &["-a"])];
    let name = "loop of `go build -a`, `go test -c -a`, `ldd`";
    let mut sides =
        [from_nothing(&bench), after_clearing(&bench, name, again, &["again-cache", "w/out"])];
    let title = format!("from nothing, beside `-a`: {PROGRAMS} programs and {TESTS} test binaries");
    let table = race("makefile", &title, 1, &mut sides)?;
    Ok(Measured { tables: vec![table], curves: Vec::new() })
}

/// Go's compile cache served by `linkwright cacheprog`, against Go's own: cold, then warm.
fn cacheprog(ground: &Ground) -> Result<Measured, String> {
    let bench = inputs::real(&ground.programs);
    let mut served = the_one(&bench, "unused-cache");
    for command in &mut served {
        command.env("GOCACHEPROG", format!("{} cacheprog", ground.programs.linkwright.display()));
        command.env("LINKWRIGHT_GO_CACHE", bench.home().join("served-cache"));
    }
    let own = the_one(&bench, "own-cache");
    let side = |name, commands, names| after_clearing(&bench, name, commands, names);
    let mut sides = [
        side("`GOCACHEPROG=\"linkwright cacheprog\"`", served, &["served-cache", "w/out"]),
        side("Go's own cache", own, &["own-cache", "w/out"]),
    ];
    let title = "one `go build` and one `go test -c`, the cache empty";
    let empty = race_turned("cacheprog", title, ground.rounds, &mut sides)?;
    for side in &mut sides {
        side.before = Box::new(cleared(&bench, &["w/out"]));
    }
    let title = "the same with what they need in the cache";
    let full = race("cacheprog", title, ground.rounds, &mut sides)?;
    Ok(Measured { tables: vec![empty, full], curves: Vec::new() })
}

/// The verdict about a thousand files.
fn verify(ground: &Ground) -> Result<Measured, String> {
    const COUNT: usize = 1000;
    let bench = inputs::real(&ground.programs);
    take(&linkwright(&bench))?;
    let many = bench.home().join("many");
    inputs::many(&bench.outputs().join("bin"), &many, COUNT);
    let names: Vec<_> = (0..COUNT).map(|at| format!("f{at}")).collect();
    let mut ours = bench.command(&["verify"]);
    ours.args(&names).current_dir(&many);
    let mut theirs = shell(&bench, "for it in f*; do readelf -lWd $it >/dev/null; done");
    theirs.current_dir(&many);
    let mut sides = [
        Side::new("linkwright verify", vec![ours]),
        Side::new("loop of `readelf -lWd`", vec![theirs]),
    ];
    let title = format!("the linkage of {COUNT} programs");
    let table = race("verify", &title, ground.rounds, &mut sides)?;
    Ok(Measured { tables: vec![table], curves: Vec::new() })
}
