//! A workspace on which faults are tried: its sources at one of several versions, what each of them
//! must make, and one run of the program there.
//!
//! ```text
//! home/w        the workspace: commands, programs, both
//! home/store    the store
//! home/tmp      TMPDIR;   home/h   HOME
//! ```
//!
//! What a command must make is computed here. What a program must be is taken from a clean build in
//! a fresh home, and must hold the words of its version.

use crate::bench::Programs;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a workspace is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Make {
    /// Two commands, the second on what the first makes.
    Commands,
    /// Two programs, linked by the stand-in.
    Programs,
    /// One program, linked by the real Go.
    RealGo,
}

/// A state of the sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// The first.
    A,
    /// The second.
    B,
    /// The second without its second target.
    Less,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code, if it ended by itself.
    pub code: Option<i32>,
    /// What it printed as data.
    pub stdout: String,
    /// What it printed besides.
    pub stderr: String,
    /// It had to be killed.
    pub hung: bool,
}

/// Output files by path below the workspace; `None` where there is none.
pub type Published = BTreeMap<String, Option<Vec<u8>>>;

/// A workspace in a folder of its own.
#[derive(Debug)]
pub struct Subject<'a> {
    programs: &'a Programs,
    make: Make,
    home: PathBuf,
    store: PathBuf,
    is_bounded: bool,
    _folder: Option<tempfile::TempDir>,
}

/// The longest that one run may take.
pub const LIMIT: Duration = Duration::from_mins(1);

/// The memory of a bounded run, most of it addresses that are never used.
const MEMORY: &str = "--as=4294967296";

impl<'a> Subject<'a> {
    /// Makes one in a folder that goes with it.
    ///
    /// # Errors
    ///
    /// Returns what the system says.
    pub fn new(programs: &'a Programs, make: Make) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("fault-").tempdir();
        let folder = folder.map_err(|it| format!("no folder for a case: {it}"))?;
        let home = folder.path().canonicalize().map_err(|it| it.to_string())?;
        let this = Self::at(programs, make, home);
        this.map(|it| Self { _folder: Some(folder), ..it }).map_err(|it| it.to_string())
    }

    /// Makes one in the folder `home`, which stays.
    ///
    /// # Errors
    ///
    /// Returns what the system says.
    pub fn at(programs: &'a Programs, make: Make, home: PathBuf) -> std::io::Result<Self> {
        for name in ["w", "h", "tmp", "log"] {
            fs::create_dir_all(home.join(name))?;
        }
        if make == Make::Programs {
            let root = home.join("go");
            fs::create_dir_all(root.join("bin"))?;
            fs::write(root.join("VERSION"), "go1.99.0\n")?;
            let link = root.join("bin/go");
            if !link.is_symlink() {
                std::os::unix::fs::symlink(&programs.fakego, link)?;
            }
        }
        let store = home.join("store");
        Ok(Self { programs, make, home, store, is_bounded: false, _folder: None })
    }

    /// The folder around everything.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// A path in the workspace.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.join("w").join(name)
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.store.clone()
    }

    /// Lets it use the store of another.
    pub fn share(&mut self, store: &Path) {
        store.clone_into(&mut self.store);
    }

    /// Lets every run have no more memory than a build can need: a file without an end must not
    /// take the machine's.
    #[must_use]
    pub fn bounded(self) -> Self {
        Self { is_bounded: true, ..self }
    }

    /// Brings the sources to a version.
    pub fn bring(&self, version: Version) {
        for (name, text) in sources(self.make, version) {
            let path = self.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            if fs::read(&path).is_ok_and(|it| it == text.as_bytes()) {
                continue;
            }
            fs::write(path, text).unwrap();
        }
    }

    /// Removes all that was published.
    pub fn lose_outputs(&self) {
        let _ = fs::remove_dir_all(self.path("linkwright-out"));
        for name in outputs(self.make) {
            let _ = fs::remove_file(self.path(name));
        }
    }

    /// The program in the workspace's root, its streams in files.
    #[must_use]
    pub fn linkwright(&self, arguments: &[&str]) -> Command {
        self.linkwright_as(0, arguments)
    }

    /// The same for one of several that run at the same time.
    #[must_use]
    pub fn linkwright_as(&self, number: usize, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.programs.linkwright);
        if self.is_bounded {
            command = Command::new("prlimit");
            command.arg(MEMORY).arg("--").arg(&self.programs.linkwright);
        }
        let path = match self.make {
            Make::Programs => format!("{}:/usr/bin:/bin", self.home.join("go/bin").display()),
            Make::RealGo => std::env::var("PATH").unwrap_or_default(),
            Make::Commands => "/usr/bin:/bin".to_owned(),
        };
        command.current_dir(self.path("")).env_clear().args(arguments).stdin(Stdio::null());
        command.env("PATH", path).env("HOME", self.home.join("h"));
        command.env("TMPDIR", self.home.join("tmp")).env("LINKWRIGHT_STORE", self.store());
        let go_cache = match self.make {
            // What the end-to-end tests compiled need not be compiled again.
            Make::RealGo => self.programs.target.join("tmp/go-cache"),
            Make::Programs | Make::Commands => self.home.join("go-cache"),
        };
        command.env("LINKWRIGHT_GO_CACHE", go_cache);
        if let Some(defect) = std::env::var_os("LINKWRIGHT_DEFECT") {
            command.env("LINKWRIGHT_DEFECT", defect);
        }
        let out = |name: &str| {
            File::create(self.home.join("log").join(format!("{name}.{number}"))).unwrap()
        };
        command.stdout(out("stdout")).stderr(out("stderr"));
        command
    }

    /// What the last run printed, its end apart.
    #[must_use]
    pub fn said(&self, code: Option<i32>, hung: bool) -> Ended {
        self.said_as(0, code, hung)
    }

    /// The same for one of several that ran at the same time.
    #[must_use]
    pub fn said_as(&self, number: usize, code: Option<i32>, hung: bool) -> Ended {
        let read = |name: &str| {
            let name = format!("{name}.{number}");
            let bytes = fs::read(self.home.join("log").join(name)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Ended { code, stdout: read("stdout"), stderr: read("stderr"), hung }
    }

    /// Runs the program to its end, or to the limit.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Ended {
        let mut child = self.linkwright(arguments).spawn().unwrap();
        let began = Instant::now();
        let mut nap = Duration::from_millis(1);
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return self.said(status.code(), false);
            }
            if began.elapsed() > LIMIT {
                let _ = child.kill();
                let _ = child.wait();
                return self.said(None, true);
            }
            std::thread::sleep(nap);
            nap = (nap * 2).min(Duration::from_millis(20));
        }
    }

    /// Builds everything.
    #[must_use]
    pub fn build(&self) -> Ended {
        self.run(&["build", "--json"])
    }

    /// What is published.
    #[must_use]
    pub fn published(&self) -> Published {
        let read = |it: &&str| ((*it).to_owned(), read_regular(&self.path(it)));
        outputs(self.make).iter().map(read).collect()
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> Option<Vec<u8>> {
        read_regular(&self.path("linkwright-out/ledger.json"))
    }

    /// Where the outputs `name` may be while its command runs: in place, or set aside.
    #[must_use]
    pub fn aside(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.path(name);
        let file = path.file_name()?.to_string_lossy().into_owned();
        fs::read(path.with_file_name(format!(".{file}.linkwright-old"))).ok()
    }

    /// Files in the home that nobody should have left there.
    #[must_use]
    pub fn strays(&self) -> Vec<String> {
        let known: BTreeSet<String> = [Version::A, Version::B]
            .iter()
            .flat_map(|it| sources(self.make, *it))
            .map(|it| it.0)
            .chain(outputs(self.make).iter().copied())
            .map(|it| format!("w/{it}"))
            .collect();
        let mut strays = Vec::new();
        let mut open = vec![self.home.clone()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder).unwrap().filter_map(Result::ok) {
                let path = entry.path();
                let name = path.strip_prefix(&self.home).unwrap().to_string_lossy().into_owned();
                let ours =
                    ["store", "w/linkwright-out", "log", "go", "go-cache"].contains(&name.as_str());
                if ours || known.contains(&name) {
                    continue;
                }
                if entry.file_type().unwrap().is_dir() {
                    open.push(path);
                } else {
                    strays.push(name);
                }
            }
        }
        // Go's own files: its settings and its counters.
        strays.retain(|it| self.make != Make::RealGo || !it.starts_with("h/"));
        strays
    }
}

impl Make {
    /// Returns commands and programs of the stand-in in turn.
    #[must_use]
    pub fn in_turn(number: u64) -> Self {
        if number.is_multiple_of(2) { Self::Commands } else { Self::Programs }
    }

    /// What a clean build of each version publishes, and its ledger.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with a clean build.
    pub fn expected(
        self,
        programs: &Programs,
        version: Version,
    ) -> Result<(Published, Option<Vec<u8>>), String> {
        let subject = Subject::new(programs, self)?;
        subject.bring(version);
        let ended = subject.build();
        if ended.code != Some(0) {
            return Err(format!("a clean build failed: {ended:#?}"));
        }
        let published = subject.published();
        for (name, bytes) in &published {
            let right = match words(self, version, name) {
                Words::Whole(it) => bytes.as_deref() == Some(it.as_bytes()),
                Words::Part(it) => bytes.as_ref().is_some_and(|all| contains(all, it.as_bytes())),
                Words::Gone => bytes.is_none(),
            };
            if !right {
                return Err(format!("a clean build of {self:?} {version:?} made a wrong {name}"));
            }
        }
        Ok((published, subject.ledger()))
    }
}

/// Reads a file, unless it is a link, a device or the like.
#[must_use]
pub fn read_regular(path: &Path) -> Option<Vec<u8>> {
    let is_file = fs::symlink_metadata(path).is_ok_and(|it| it.is_file());
    if is_file { fs::read(path).ok() } else { None }
}

/// What must be in an output.
enum Words {
    Whole(String),
    Part(String),
    Gone,
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|it| it == part)
}

fn outputs(make: Make) -> &'static [&'static str] {
    match make {
        Make::Commands => &["upper.out", "sub/joined.out", "twice.out"],
        Make::Programs => &["linkwright-out/bin/one/one", "linkwright-out/bin/two/two"],
        Make::RealGo => &["linkwright-out/bin/p"],
    }
}

/// What a version says of itself.
fn word(version: Version) -> &'static str {
    match version {
        Version::A => "alpha",
        Version::B | Version::Less => "beta-longer",
    }
}

fn words(make: Make, version: Version, output: &str) -> Words {
    let word = word(version);
    let upper = word.to_uppercase();
    let is_first = output == outputs(make)[0];
    match make {
        _ if version == Version::Less && !is_first => Words::Gone,
        Make::Commands => Words::Whole(match output {
            "upper.out" => format!("{upper}\n"),
            "sub/joined.out" => format!("{upper}\nend {word}\n"),
            _ => format!("end {word}\nend {word}\n"),
        }),
        Make::Programs | Make::RealGo => Words::Part(word.to_owned()),
    }
}

fn sources(make: Make, version: Version) -> Vec<(&'static str, String)> {
    let word = word(version);
    let first_only = version == Version::Less;
    match make {
        Make::Commands => {
            let upper = r#"    command(name: "upper", argv: ["sh", "upper.sh"],
        inputs: ["upper.sh", "a.txt"], outputs: ["upper.out"]),
"#;
            let join = r#"    command(name: "join", argv: ["sh", "join.sh"],
        inputs: ["join.sh", "b.txt", ":upper"], outputs: ["sub/joined.out", "twice.out"]),
"#;
            let join = if first_only { "" } else { join };
            vec![
                ("BUILD.ron", format!("build(targets: [\n{upper}{join}])\n")),
                ("upper.sh", "tr a-z A-Z < a.txt > upper.out\n".to_owned()),
                ("a.txt", format!("{word}\n")),
                ("b.txt", format!("end {word}\n")),
                (
                    "join.sh",
                    "cat upper.out b.txt > sub/joined.out\ncat b.txt b.txt > twice.out\n"
                        .to_owned(),
                ),
            ]
        }
        Make::Programs => {
            let build = |name: &str| {
                format!(
                    "build(defaults: (link: \"pure\"), targets: [go_binary(name: \"{name}\")])\n"
                )
            };

            let two = if first_only { "build(targets: [])\n".to_owned() } else { build("two") };
            let main = |name: &str| {
                format!(
                    "package main\n\nimport \"example.com/m/lib\"\n\nconst {} = \"{word}\"\n\nfunc main() {{ println({}, lib.L) }}\n",
                    name.to_uppercase(),
                    name.to_uppercase()
                )
            };
            vec![
                ("BUILD.ron", "build(targets: [])\n".to_owned()),
                ("go.mod", "module example.com/m\n\ngo 1.24\n".to_owned()),
                ("lib/lib.go", format!("package lib\n\nconst L = \"{word}\"\n")),
                ("one/BUILD.ron", build("one")),
                ("one/main.go", main("one")),
                ("two/BUILD.ron", two),
                ("two/main.go", main("two")),
            ]
        }
        Make::RealGo => vec![
            ("BUILD.ron", "build(targets: [go_binary(name: \"p\", link: \"pure\")])\n".to_owned()),
            ("go.mod", "module example.com/m\n\ngo 1.24\n".to_owned()),
            ("main.go", format!("package main\n\nfunc main() {{ println({word:?}) }}\n")),
        ],
    }
}
