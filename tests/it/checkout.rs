//! A copy of a workspace of this repository, in a temporary folder, with a store of its own.
//!
//! Go's compile cache is shared by all copies and kept for the next run: most of the time goes to
//! Go's own library. The caller's environment reaches linkwright only as far as it says where
//! modules come from.

use crate::readelf::{Facts, readelf};
use crate::support::manifest_dir;
use crate::workspace::shared;
use linkwright::effects::inspect::inspect_file;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// Variables that say where Go modules come from and lie.
const MODULES: [&str; 14] = [
    "HOME",
    "GOPATH",
    "GOMODCACHE",
    "GOPROXY",
    "GONOPROXY",
    "GOSUMDB",
    "GONOSUMDB",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
];

/// A copy of a workspace.
pub(crate) struct Checkout {
    folder: TempDir,
    go_cache: PathBuf,
}

impl Checkout {
    /// Copies `folder` of this repository, without what builds have left there.
    pub(crate) fn of(folder: &str) -> Self {
        let copy = tempfile::tempdir().unwrap();
        let from = manifest_dir().join(folder);
        let ignored = ignored(&from);
        let walk = walkdir::WalkDir::new(&from).min_depth(1).into_iter();
        let entries = walk.filter_entry(|it| {
            let path = it.path().strip_prefix(&from).unwrap();
            let hidden = it.depth() == 1 && it.file_name() == ".git";
            !hidden && !path.ends_with("target") && !ignored.contains(path)
        });
        for entry in entries.map(Result::unwrap) {
            let to = copy.path().join("tree").join(entry.path().strip_prefix(&from).unwrap());
            if entry.file_type().is_dir() {
                fs::create_dir_all(to).unwrap();
            } else {
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::copy(entry.path(), to).unwrap();
            }
        }
        Self { folder: copy, go_cache: shared("go-cache") }
    }

    /// Returns a path in the copy.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("tree").join(name)
    }

    /// Returns `program`, to be run in the copy with only what it must know.
    pub(crate) fn command(&self, program: &str) -> Command {
        let variable = |it: &str| std::env::var_os(it);
        let mut command = Command::new(program);
        command.current_dir(self.path("")).stdin(Stdio::null()).env_clear();
        command.env("PATH", variable("PATH").unwrap_or_default());
        command.envs(MODULES.into_iter().filter_map(|it| Some((it, variable(it)?))));
        command
    }

    /// Runs linkwright in the copy.
    pub(crate) fn linkwright(&self, arguments: &[&str]) -> Output {
        let mut command = self.linkwright_by(env!("CARGO_BIN_EXE_linkwright"));
        command.args(arguments).output().unwrap()
    }

    /// Returns a program that runs linkwright in the copy, or linkwright itself.
    pub(crate) fn linkwright_by(&self, program: &str) -> Command {
        let mut command = self.command(program);
        command.env("LINKWRIGHT", env!("CARGO_BIN_EXE_linkwright"));
        command.env("LINKWRIGHT_STORE", self.folder.path().join("store"));
        command.env("LINKWRIGHT_GO_CACHE", &self.go_cache);
        command
    }

    /// Runs linkwright and returns its exit code, its table, and with exit codes other than 0 what
    /// failed; sizes and the number of processes are left out, and so is how wide the columns are.
    #[track_caller]
    pub(crate) fn report(&self, arguments: &[&str]) -> String {
        let output = self.linkwright(arguments);
        let code = output.status.code().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        let failures = match code {
            0 => "",
            _ => err.find("failed: ").map_or(err.as_str(), |at| &err[at..]),
        };
        let out = String::from_utf8(output.stdout).unwrap();
        let lines = out.lines().map(without_sizes).chain(failures.lines().map(str::to_owned));
        let text: String = lines.map(|it| it + "\n").collect();
        format!("exit {code}\n{text}")
    }

    /// Runs `build --json` and returns its events.
    #[track_caller]
    pub(crate) fn events(&self, arguments: &[&str]) -> Vec<serde_json::Value> {
        let output = self.linkwright(&[&["build", "--json"], arguments].concat());
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        assert!(output.status.success(), "{output:#?}");
        text.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
    }

    /// Returns the records of the ledger.
    pub(crate) fn records(&self) -> Vec<serde_json::Value> {
        let text = fs::read(self.path("linkwright-out/ledger.json")).unwrap();
        let ledger: serde_json::Value = serde_json::from_slice(&text).unwrap();
        ledger["records"].as_array().unwrap().clone()
    }

    /// Holds each record against `readelf`, and returns the outputs.
    #[track_caller]
    pub(crate) fn judge(&self) -> Vec<PathBuf> {
        let records = self.records();
        let path = |it: &serde_json::Value| {
            self.path("linkwright-out").join(it["output"].as_str().unwrap())
        };
        let files: Vec<_> = records.iter().map(path).collect();
        let judged = readelf(&files);
        for (record, file) in records.iter().zip(&files) {
            let theirs = judged.get(file).unwrap_or_else(|| panic!("no program: {record:#}"));
            let ours = inspect_file(file).unwrap().linkage;
            assert_eq!(Facts::from(&ours), *theirs, "{record:#}");
            // The ledger says what was read; hazards come from the linker as well.
            let mut ours = serde_json::to_value(&ours).unwrap();
            ours["hazards"] = record["linkage"]["hazards"].clone();
            assert_eq!(ours, record["linkage"], "{record:#}");
        }
        files
    }
}

/// Returns what the `.gitignore` files below `folder` name, relative to it.
fn ignored(folder: &Path) -> BTreeSet<PathBuf> {
    let files = walkdir::WalkDir::new(folder).into_iter().filter_map(Result::ok);
    let files = files.filter(|it| it.file_name() == ".gitignore");
    let mut ignored = BTreeSet::from([PathBuf::from("linkwright-out")]);
    for file in files {
        let below = file.path().parent().unwrap().strip_prefix(folder).unwrap();
        let text = fs::read_to_string(file.path()).unwrap();
        ignored.extend(text.lines().map(|it| below.join(it.trim_matches('/'))));
    }
    ignored
}

/// Returns a line with `#` for sizes and for the number of processes, columns two blanks apart.
pub(crate) fn without_sizes(line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    let is_size = |it: &str| {
        let (number, unit) = it.split_once(' ').unwrap_or_default();
        number.parse::<f64>().is_ok() && ["B", "KiB", "MiB"].contains(&unit)
    };
    let cells = line.split("  ").map(str::trim).filter(|it| !it.is_empty());
    let cells: Vec<_> = cells.map(|it| if is_size(it) { "#" } else { it }).collect();
    let text = format!("{:indent$}{}", "", cells.join("  "));
    match text.rsplit_once("; ") {
        Some((counts, processes)) if processes.contains(" go process") => counts.to_owned(),
        _ => text,
    }
}

/// Starts `program` in a root that holds nothing else; `None` if this machine does not allow it.
pub(crate) fn start_alone(program: &Path, arguments: &[&str]) -> Option<Output> {
    let root = tempfile::tempdir().unwrap();
    fs::copy(program, root.path().join("program")).unwrap();
    // `unshare` gives each user a namespace in which to be root and to change the root.
    let start = |root: &Path, program: &str, arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "chroot"]).arg(root).arg(program).args(arguments);
        let path = "/usr/sbin:/usr/bin:/sbin:/bin";
        command.env_clear().env("PATH", path).stdin(Stdio::null()).output()
    };
    match start(Path::new("/"), "/bin/true", &[]) {
        Ok(output) if output.status.success() => {
            Some(start(root.path(), "/program", arguments).unwrap())
        }
        _ => {
            lacking("a way to start a program in a root of its own");
            None
        }
    }
}

/// Tells whether the tools are here that every example needs.
pub(crate) fn can_build() -> bool {
    let missing = ["go", "gcc", "g++", "readelf"].into_iter().find(|it| !crate::support::has(it));
    let here = cfg!(all(target_os = "linux", target_arch = "x86_64"));
    if !here {
        lacking("Linux on amd64, of which the snapshots tell");
    }
    missing.is_none() && here
}

/// Says what this machine lacks, or fails where nothing may be lacking.
fn lacking(what: &str) {
    assert!(std::env::var_os("REQUIRE_ALL").is_none(), "this machine lacks {what}");
    eprintln!("passed over: this machine lacks {what}");
}
