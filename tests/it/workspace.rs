//! A workspace in a folder of its own, and what the program says and does there.

use crate::support::has;
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// The `go.mod` of a workspace that brings none.
pub(crate) const GO_MOD: &str = "module example.com/m\n\ngo 1.24\n";

/// A workspace with a home and a store of its own; Go's compile cache is shared by all of them, so
/// that the standard library is compiled once on a machine.
#[derive(Debug)]
pub(crate) struct Workspace {
    folder: TempDir,
    path: OsString,
}

/// One run of `linkwright build --json`.
#[derive(Debug)]
pub(crate) struct Run {
    /// The exit code.
    pub(crate) code: i32,
    /// Every event.
    pub(crate) events: Vec<Value>,
    /// What went to stderr.
    pub(crate) stderr: String,
}

impl Workspace {
    /// Writes `files`, and a `go.mod` if none is among them; `None` if this machine has no `go`.
    #[track_caller]
    pub(crate) fn new(files: &[(&str, &str)]) -> Option<Self> {
        if !has("go") {
            return None;
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let this = Self { folder: tempfile::tempdir().unwrap(), path };
        fs::create_dir(this.root()).unwrap();
        this.file("go.mod", GO_MOD);
        for (name, text) in files {
            this.file(name, text);
        }
        Some(this)
    }

    /// The same for programs with C in them; `None` too if this machine has no `gcc`.
    #[track_caller]
    pub(crate) fn with_c(files: &[(&str, &str)]) -> Option<Self> {
        if has("gcc") && has("readelf") { Self::new(files) } else { None }
    }

    /// Lets PATH hold these programs of this machine's and no others.
    pub(crate) fn only_with(mut self, programs: &[&str]) -> Self {
        let bin = self.home().join("bin");
        fs::create_dir(&bin).unwrap();
        for program in programs {
            let mut places = std::env::split_paths(&self.path);
            let found = places.find_map(|it| Some(it.join(program)).filter(|it| it.is_file()));
            symlink(found.unwrap(), bin.join(program)).unwrap();
        }
        self.path = bin.into_os_string();
        self
    }

    /// Puts a program of these lines of shell before all others on PATH; `REAL` in them is the path
    /// of the one that it hides.
    pub(crate) fn instead_of(mut self, program: &str, lines: &str) -> Self {
        let bin = self.home().join("instead");
        fs::create_dir_all(&bin).unwrap();
        let mut places = std::env::split_paths(&self.path).filter(|it| *it != bin);
        let real = places.find_map(|it| Some(it.join(program)).filter(|it| it.is_file()));
        // The program itself: a link would be looked up by the name under which it is started.
        let real = fs::canonicalize(real.unwrap()).unwrap();
        let text = format!("#!/bin/sh\n{}\n", lines.replace("REAL", &real.to_string_lossy()));
        let _ = fs::remove_file(bin.join(program));
        fs::write(bin.join(program), text).unwrap();
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(bin.join(program), mode).unwrap();
        let rest = std::env::split_paths(&self.path).filter(|it| *it != bin);
        self.path = std::env::join_paths(std::iter::once(bin.clone()).chain(rest)).unwrap();
        self
    }

    /// The PATH of everything that is run here.
    pub(crate) fn search_path(&self) -> &OsStr {
        &self.path
    }

    /// The folder around the workspace: its home.
    pub(crate) fn home(&self) -> &Path {
        self.folder.path()
    }

    /// The workspace's root.
    pub(crate) fn root(&self) -> PathBuf {
        self.home().join("w")
    }

    /// The store.
    pub(crate) fn store(&self) -> PathBuf {
        self.home().join("store")
    }

    /// A path in the workspace.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// An output.
    pub(crate) fn bin(&self, name: &str) -> PathBuf {
        self.path("linkwright-out/bin").join(name)
    }

    /// Writes a file of the workspace; what was there is replaced, whatever its mode.
    pub(crate) fn file(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        fs::write(path, text).unwrap();
    }

    /// Removes a file of the workspace.
    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// Reads a file of the workspace.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Reads an output.
    #[track_caller]
    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.bin(name)).unwrap()
    }

    /// The same variables for linkwright and for what is held against it.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.root()).env_clear().stdin(Stdio::null());
        command.env("PATH", &self.path).env("HOME", self.home());
        command
    }

    /// The program in the workspace's root.
    pub(crate) fn linkwright(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_linkwright"));
        command.args(arguments).env("LINKWRIGHT_STORE", self.store());
        command.env("LINKWRIGHT_GO_CACHE", shared("go-cache"));
        // For `scripts/planted`; without its feature the program does not read it.
        command.envs(std::env::var_os("LINKWRIGHT_DEFECT").map(|it| ("LINKWRIGHT_DEFECT", it)));
        command
    }

    /// Runs the program.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.linkwright(arguments).output().unwrap()
    }

    /// Runs `build --json`.
    #[track_caller]
    pub(crate) fn build(&self, arguments: &[&str]) -> Run {
        let arguments = [&["build", "--json"], arguments].concat();
        Run::of(&self.linkwright(&arguments).output().unwrap())
    }

    /// Builds everything, which must succeed.
    #[track_caller]
    pub(crate) fn built(&self) -> Run {
        let run = self.build(&[]);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:#?}");
        run
    }

    /// What a plain `go` says, with a compile cache that linkwright has no part in.
    pub(crate) fn go(&self, arguments: &[&str]) -> Output {
        let mut command = self.command("go");
        command.args(arguments).env("GOCACHE", shared("plain-go-cache"));
        command.env("GOTOOLCHAIN", "local").env("GOFLAGS", "").env("GOENV", "off");
        command.output().unwrap()
    }

    /// What an output prints on its two streams.
    #[track_caller]
    pub(crate) fn says(&self, name: &str) -> String {
        let output = self.command(self.bin(name)).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        text(&output)
    }

    /// The ledger.
    #[track_caller]
    pub(crate) fn ledger(&self) -> Value {
        serde_json::from_str(&self.read("linkwright-out/ledger.json")).unwrap()
    }

    /// The only record of a target.
    #[track_caller]
    pub(crate) fn record(&self, label: &str) -> Value {
        let ledger = self.ledger();
        let mut records = ledger["records"].as_array().unwrap().iter();
        let found = records.find(|it| it["label"] == label);
        found.unwrap_or_else(|| panic!("no record of {label}: {ledger:#}")).clone()
    }
}

impl Run {
    /// Reads what a run with `--json` printed.
    #[track_caller]
    pub(crate) fn of(output: &Output) -> Self {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let lines = String::from_utf8(output.stdout.clone()).unwrap();
        let events = lines.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
        let code = output.status.code().unwrap();
        let run = Self { code, events, stderr };
        assert_eq!(run.done()["event"], "done", "{run:#?}");
        assert_eq!(run.done()["exit_code"], code, "{run:#?}");
        run
    }

    /// The last event.
    #[track_caller]
    pub(crate) fn done(&self) -> &Value {
        self.events.last().unwrap_or_else(|| panic!("no event: {self:#?}"))
    }

    /// Asserts the counts that are not zero: `built 1, restored 2`.
    #[track_caller]
    pub(crate) fn came(&self, expected: &str) {
        let done = self.done();
        let names = ["built", "restored", "up_to_date", "failed", "skipped"];
        let counts = names.iter().filter(|it| done[**it] != 0);
        let counts: Vec<_> = counts.map(|it| format!("{it} {}", done[*it])).collect();
        assert_eq!(counts.join(", "), expected, "{self:#?}");
    }

    /// Events of a kind.
    pub(crate) fn all<'a>(&'a self, event: &'a str) -> impl Iterator<Item = &'a Value> {
        self.events.iter().filter(move |it| it["event"] == event)
    }

    /// The one finished output of a target.
    #[track_caller]
    pub(crate) fn finished(&self, label: &str) -> &Value {
        let mut found = self.all("finished").filter(|it| it["label"] == label);
        match (found.next(), found.next()) {
            (Some(it), None) => it,
            _ => panic!("not one output of {label}: {self:#?}"),
        }
    }

    /// Argument vectors of the `go` processes that linked something.
    pub(crate) fn links(&self) -> Vec<Vec<&str>> {
        let argv = |it: &'static str| {
            let steps = self.all("step_started");
            let argv = steps.map(|it| it["argv"].as_array().unwrap());
            let argv = argv.map(|it| it.iter().map(|it| it.as_str().unwrap()).collect());
            argv.filter(move |argv: &Vec<&str>| argv.get(1) == Some(&it))
        };
        argv("build").chain(argv("test")).collect()
    }

    /// The error of a target, or of the run where `label` is empty, with its hints below.
    #[track_caller]
    pub(crate) fn error(&self, label: &str) -> String {
        let (event, field) =
            if label.is_empty() { ("error", "message") } else { ("finished", "error") };
        let mut found = self.all(event).filter(|it| label.is_empty() || it["label"] == label);
        let found = found.find(|it| it[field].is_string());
        let found = found.unwrap_or_else(|| panic!("no error of `{label}`: {self:#?}"));
        let mut lines = vec![found[field].as_str().unwrap().to_owned()];
        let more = ["because", "hints"].into_iter().filter_map(|it| found[it].as_array()).flatten();
        lines.extend(more.map(|it| it.as_str().unwrap().to_owned()));
        let problems = found["problems"].as_array().into_iter().flatten();
        lines.extend(problems.map(ToString::to_string));
        lines.join("\n")
    }
}

/// A folder of this machine that all tests and all their runs share.
pub(crate) fn shared(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// A program that prints `text`.
pub(crate) fn prints(text: &str) -> String {
    format!("package main\n\nfunc main() {{ println({text:?}) }}\n")
}

/// A program whose C part prints through Go what `expression` is worth.
pub(crate) fn prints_c(preamble: &str, expression: &str) -> String {
    format!(
        "package main\n\n/*\n{preamble}\n*/\nimport \"C\"\n\nfunc main() {{ println(int({expression})) }}\n"
    )
}

/// Both streams as text.
pub(crate) fn text(output: &Output) -> String {
    let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Asserts that `text` holds all of `parts`.
#[track_caller]
pub(crate) fn holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
}

/// What `readelf` shows: the needed libraries and the interpreter.
#[track_caller]
pub(crate) fn needs(file: &Path) -> Vec<String> {
    let output = Command::new("readelf").args(["-lWd", "--"]).arg(file).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = text(&output);
    let lines = said.lines().filter(|it| it.contains("(NEEDED)") || it.contains("interpreter:"));
    let name = |it: &str| it.rsplit_once(['[', ' ']).unwrap().1.trim_end_matches(']').to_owned();
    lines.map(name).collect()
}

/// Starts a program in a root that holds nothing else; `None` if this machine does not allow it.
pub(crate) fn start_alone(program: &Path) -> Option<Output> {
    let root = tempfile::tempdir().unwrap();
    fs::copy(program, root.path().join("program")).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    let tool = if is_root { "chroot" } else { "unshare" };
    if !has(tool) {
        return None;
    }
    let mut command = Command::new(tool);
    if !is_root {
        command.args(["--map-root-user", "chroot"]);
    }
    command.arg(root.path()).arg("/program").env_clear().env("PATH", "/usr/sbin:/usr/bin:/bin");
    Some(command.output().unwrap())
}
