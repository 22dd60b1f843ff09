//! A workspace on disk, and one run of the program in it.

use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// Which `go` a lane builds with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toolchain {
    /// The deterministic stand-in.
    Stub,
    /// The `go` and the C compiler of this machine.
    Real,
}

/// Where the programs are, and what all benches of this machine share.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The program under test.
    pub linkwright: PathBuf,
    /// The stand-in for `go`.
    pub fakego: PathBuf,
    /// A folder that is kept between runs: compile caches, repros.
    pub target: PathBuf,
}

/// A workspace `w` with a home and a store of its own.
#[derive(Debug)]
pub struct Bench {
    home: TempDir,
    programs: Programs,
    toolchain: Toolchain,
}

/// One run of `linkwright … --json`.
#[derive(Debug, Clone)]
pub struct Run {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Every event.
    pub events: Vec<Value>,
    /// What went to stderr.
    pub stderr: String,
}

impl Toolchain {
    /// Returns its name in the ledger.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stub => "stub",
            Self::Real => "real",
        }
    }
}

impl Programs {
    /// Finds them: `$LINKWRIGHT` and `$FAKEGO`, else beside this program.
    pub fn find() -> Result<Self, String> {
        let own = std::env::current_exe().map_err(|it| it.to_string())?;
        let mut folder = own.parent().unwrap_or(Path::new("/"));
        if folder.ends_with("deps") {
            folder = folder.parent().unwrap_or(folder);
        }
        let place = |variable: &str, name: &str| {
            let path = std::env::var_os(variable).map_or_else(|| folder.join(name), PathBuf::from);
            let whole = path.canonicalize();
            whole.map_err(|it| format!("`{}`: {it}; build the workspace first", path.display()))
        };
        Ok(Self {
            linkwright: place("LINKWRIGHT", "linkwright")?,
            fakego: place("FAKEGO", "fakego")?,
            target: folder.parent().unwrap_or(folder).to_owned(),
        })
    }
}

impl Bench {
    /// Makes an empty one.
    ///
    /// # Panics
    ///
    /// Panics if the machine's temporary folder cannot be written.
    #[must_use]
    pub fn new(programs: &Programs, toolchain: Toolchain) -> Self {
        let home = tempfile::Builder::new().prefix("soak-").tempdir().unwrap();
        let this = Self { home, programs: programs.clone(), toolchain };
        fs::create_dir(this.root()).unwrap();
        if toolchain == Toolchain::Stub {
            let root = this.go_root();
            fs::create_dir_all(root.join("bin")).unwrap();
            fs::create_dir_all(root.join("src/sort")).unwrap();
            fs::write(root.join("src/sort/sort.go"), "package sort\n").unwrap();
            fs::write(root.join("VERSION"), "go1.99.0\n").unwrap();
            symlink(&this.programs.fakego, root.join("bin/go")).unwrap();
        }
        this
    }

    /// The folder around the workspace.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The workspace's root.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.home().join("w")
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.home().join("store")
    }

    /// The stand-in's root.
    #[must_use]
    pub fn go_root(&self) -> PathBuf {
        self.home().join("go")
    }

    /// The output folder.
    #[must_use]
    pub fn outputs(&self) -> PathBuf {
        self.root().join("linkwright-out")
    }

    /// Tells the stand-in what to do wrong the next time; `fakego::control` lists the orders.
    ///
    /// # Panics
    ///
    /// Panics if the file cannot be written.
    pub fn order(&self, orders: &str) {
        fs::write(self.go_root().join("control"), orders).unwrap();
    }

    /// Takes back an order that nothing has read; tells whether there was one.
    #[must_use]
    pub fn cancel(&self) -> bool {
        fs::remove_file(self.go_root().join("control")).is_ok()
    }

    /// Makes the files of the workspace these: writes what differs, removes what is more.
    ///
    /// # Panics
    ///
    /// Panics if the machine refuses.
    pub fn sync(&self, files: &BTreeMap<String, Vec<u8>>) {
        let root = self.root();
        let mut there = Vec::new();
        list(&root, &root, &mut there);
        for name in there.iter().filter(|it| !files.contains_key(*it)) {
            fs::remove_file(root.join(name)).unwrap();
            // The folder goes with its last file.
            let _ = fs::remove_dir(root.join(name).parent().unwrap());
        }
        for (name, bytes) in files {
            let path = root.join(name);
            if fs::read(&path).is_ok_and(|it| it == *bytes) {
                continue;
            }
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, bytes).unwrap();
        }
    }

    /// Returns the program with these words, in the workspace, with nothing but its own variables.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.programs.linkwright);
        command.args(words).current_dir(self.root()).env_clear().stdin(Stdio::null());
        let path = match self.toolchain {
            Toolchain::Stub => self.go_root().join("bin").into_os_string(),
            Toolchain::Real => std::env::var_os("PATH").unwrap_or_default(),
        };
        command.env("PATH", path).env("HOME", self.home());
        for name in ["LINKWRIGHT_DEFECT", "TMPDIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("LINKWRIGHT_STORE", self.store());
        command.env("LINKWRIGHT_GO_CACHE", self.go_cache());
        command
    }

    /// Runs `build --json --keep-going` to its end.
    ///
    /// # Panics
    ///
    /// Panics if the program cannot be started.
    #[must_use]
    pub fn build(&self) -> Run {
        Run::of(&self.command(&["build", "--json", "--keep-going"]).output().unwrap())
    }

    /// Starts `build` and does not wait.
    ///
    /// # Panics
    ///
    /// Panics if the program cannot be started.
    #[must_use]
    pub fn start(&self) -> Child {
        let mut command = self.command(&["build", "--json", "--keep-going"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Builds a copy of `files` elsewhere with a store of its own, and returns its outputs' folder.
    ///
    /// # Panics
    ///
    /// Panics if the machine refuses.
    #[must_use]
    pub fn clean(&self, files: &BTreeMap<String, Vec<u8>>) -> (TempDir, Run) {
        let home = tempfile::Builder::new().prefix("clean-").tempdir().unwrap();
        let root = home.path().join("w");
        for (name, bytes) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let mut command = self.command(&["build", "--json", "--keep-going"]);
        command.current_dir(root).env("LINKWRIGHT_STORE", home.path().join("store"));
        command.env("LINKWRIGHT_GO_CACHE", self.shared("soak-clean-cache"));
        let run = Run::of(&command.output().unwrap());
        (home, run)
    }

    /// Returns a folder that is kept between runs.
    #[must_use]
    pub fn shared(&self, name: &str) -> OsString {
        self.programs.target.join("tmp").join(name).into_os_string()
    }

    fn go_cache(&self) -> OsString {
        match self.toolchain {
            Toolchain::Stub => self.home().join("go-cache").into_os_string(),
            Toolchain::Real => self.shared("soak-go-cache"),
        }
    }
}

impl Run {
    /// Reads what a run with `--json` printed.
    #[must_use]
    pub fn of(output: &Output) -> Self {
        let lines = String::from_utf8_lossy(&output.stdout);
        let events = lines.lines().filter_map(|it| serde_json::from_str(it).ok()).collect();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { code: output.status.code(), events, stderr }
    }

    /// Returns a count of the last event.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        let done = self.events.last().filter(|it| it["event"] == "done");
        done.and_then(|it| it[name].as_u64()).unwrap_or(u64::MAX)
    }

    /// Returns labels (with the Go package behind them, for tests) and states of all outputs.
    #[must_use]
    pub fn states(&self) -> BTreeMap<String, String> {
        let finished = self.events.iter().filter(|it| it["event"] == "finished");
        let one = |it: &Value| {
            let name = it["output"].as_str().or(it["label"].as_str()).unwrap_or_default();
            (name.to_owned(), it["state"].as_str().unwrap_or_default().to_owned())
        };
        finished.map(one).collect()
    }

    /// Returns how many `go` processes linked something.
    #[must_use]
    pub fn batches(&self) -> usize {
        let steps = self.events.iter().filter(|it| it["event"] == "step_started");
        steps.filter(|it| it["argv"][1] == "build" || it["argv"][1] == "test").count()
    }

    /// Returns the run for people, short.
    #[must_use]
    pub fn told(&self) -> String {
        let errors = self.events.iter().filter(|it| it["error"].is_string());
        let errors: Vec<_> = errors.map(|it| it["error"].to_string()).collect();
        let last = self.events.last().map(ToString::to_string).unwrap_or_default();
        format!("exit {:?}; {last}; {}; {}", self.code, errors.join("; "), self.stderr.trim())
    }
}

fn list(root: &Path, folder: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if !entry.file_type().unwrap().is_dir() {
            names.push(path.strip_prefix(root).unwrap().to_string_lossy().into_owned());
        } else if !path.ends_with("linkwright-out") {
            list(root, &path, names);
        }
    }
}
