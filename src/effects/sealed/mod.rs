//! Starts a program in a root that holds what was declared and nothing else.
//!
//! [`Root`] says what is in it. [`run`] starts a program in one and waits; [`Sealed`] turns any
//! [`Invocation`] into one that does the same, for whoever waits in another way:
//!
//! ```text
//! let sealed = Sealed::new(&root, &invocation, guard)?;
//! let ended = process::run(&sealed.invocation, Some(guard), interrupt)?; // or another way to wait
//! let ended = sealed.judge(ended)?; // was it sealed, was it started?
//! ```
//!
//! Between linkwright and the program stand two processes, both this program under another word
//! ([`NAME`]): one outside, which makes the namespaces, and one inside, their first process.
//!
//! ```text
//! linkwright ── guard ── lw-sealed outer ─┊─ lw-sealed init (pid 1) ── the program
//! `run --sealed` becomes  lw-sealed outer ─┊─ lw-sealed init (pid 1) ── the program
//! ```
//!
//! Whichever of them ends, the kernel ends all that is inside: pid 1 is the parent of everything
//! there, and it ends when the socket to the outside does. What is promised, and by what, is in
//! `docs/sealed.md`.

mod init;
mod loopback;
mod mounts;
mod news;
mod outer;
mod raw;
mod words;

use crate::effects::inspect::linkage_of_file;
use crate::effects::process::{self, Ended, Guard, Interrupt, Invocation, ProcessError};
use crate::effects::sealed::news::News;
use crate::effects::sealed::words::Order;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};
use tempfile::NamedTempFile;

/// The first word after the program's name of whoever is a part of a sealed run.
pub const NAME: &str = "lw-sealed";

/// What to do where no sealed root can be made.
pub const SETUP_HINT: &str = "it takes Linux with user, mount, pid, network, ipc and uts \
    namespaces: as a plain user see `user.max_user_namespaces` and \
    `kernel.apparmor_restrict_unprivileged_userns`; a container must allow `unshare`, `mount` and \
    a new `/proc`";

/// Whom root becomes inside.
const NOBODY: u32 = 65534;

/// Places in a root that are not the caller's to fill.
const OWN_PLACES: [&str; 4] = ["/cover", "/dev", "/proc", "/tmp"];

/// Where a program that counts what it runs, and what it starts, counts; gone with the root.
pub const COUNTERS: &str = "/cover/counters";

/// Where it writes what all of them counted.
pub const PROFILE: &str = "/cover/profile";

/// The longest text: the kernel takes no longer word.
const LONGEST_TEXT: usize = 120 << 10;

/// What a program finds around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Files and folders of this machine, by their places in the root; read-only there.
    pub files: BTreeMap<PathBuf, PathBuf>,
    /// Small files that are made for the run, by their places; read-only.
    pub texts: BTreeMap<PathBuf, String>,
    /// Folders that are there, whether something is in them or not.
    pub folders: BTreeSet<PathBuf>,
    /// A file of this machine that the program writes its coverage profile to, at [`PROFILE`]; the
    /// one thing that leaves the root.
    pub profile: Option<PathBuf>,
    /// Which network it sees.
    pub network: Network,
    /// The name of the host.
    pub host_name: String,
    /// Its user.
    pub user: u32,
    /// Its group.
    pub group: u32,
    /// The most bytes in its `/tmp`.
    pub tmp_size: u64,
    /// What it may use.
    pub limits: Limits,
}

/// Which network a program sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// One of its own, which holds the loopback interface and nothing else.
    Own,
    /// That of another sealed run, by the number of the process that was started for it.
    Of(u32),
}

/// What a program, and each process that it starts, may use; `None` is what the caller may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of address space of one process. The race detector asks for terabytes.
    pub address_space: Option<u64>,
    /// Processes and threads, all together.
    pub processes: Option<u64>,
    /// Open files of one process.
    pub open_files: Option<u64>,
    /// Bytes of one file that it writes.
    pub file_size: Option<u64>,
    /// Seconds of processor time of one process.
    pub cpu_seconds: Option<u64>,
}

/// What more a root can hold, each of which programs of the wider world look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// `/etc/hosts` with localhost and the host's own name.
    Hosts,
    /// This machine's `/etc/resolv.conf`.
    Resolver,
    /// This machine's CA certificates, at `/etc/ssl/certs/ca-certificates.crt`.
    Certificates,
    /// `/etc/passwd` and `/etc/group` with root, the program's user, and nobody.
    Users,
}

/// A program that is ready to be started in a root.
#[derive(Debug)]
pub struct Sealed {
    /// What to start, under a guard.
    pub invocation: Invocation,
    program: PathBuf,
    report: NamedTempFile,
    /// What is to be started, and in what root.
    _order: NamedTempFile,
}

/// Why a program did not run in a sealed root.
#[derive(Debug, thiserror::Error)]
pub enum SealedError {
    /// It is dynamic, which its bytes show, and its loader was not declared.
    #[error("`{}` asks for the loader `{interpreter}`, which is not in the sealed root", program.display())]
    Loader {
        /// The program.
        program: PathBuf,
        /// The loader.
        interpreter: String,
    },
    /// Something declared is not there.
    #[error("cannot put `{}` into the sealed root", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// A place that cannot be.
    #[error("`{}` is no place for a file in a sealed root: {why}", place.display())]
    Place {
        /// The place.
        place: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// This machine does not allow it.
    #[error("no sealed root can be made here: {0}")]
    NotSealed(String),
    /// The root was made, and the program could not be started in it.
    #[error("cannot start `{}` in a sealed root: {why}", program.display())]
    NotStarted {
        /// The program.
        program: PathBuf,
        /// Why.
        why: String,
    },
    /// It took too long, or the run was interrupted.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

impl Default for Root {
    fn default() -> Self {
        Self {
            files: BTreeMap::new(),
            texts: BTreeMap::new(),
            folders: BTreeSet::new(),
            profile: None,
            network: Network::Own,
            host_name: "sealed".to_owned(),
            user: 1000,
            group: 1000,
            tmp_size: 256 << 20,
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            processes: Some(4096),
            open_files: Some(65536),
            file_size: Some(1 << 30),
            ..Self::NONE
        }
    }
}

impl Limits {
    /// None but the caller's own.
    pub const NONE: Self = Self {
        address_space: None,
        processes: None,
        open_files: None,
        file_size: None,
        cpu_seconds: None,
    };

    fn by_name(&self) -> [(&'static str, Option<u64>); 5] {
        let Self { address_space, processes, open_files, file_size, cpu_seconds } = *self;
        [
            ("address_space", address_space),
            ("processes", processes),
            ("open_files", open_files),
            ("file_size", file_size),
            ("cpu_seconds", cpu_seconds),
        ]
    }

    /// Sets the limit of that name; `None` if there is none.
    fn set(&mut self, name: &str, limit: u64) -> Option<()> {
        let place = match name {
            "address_space" => &mut self.address_space,
            "processes" => &mut self.processes,
            "open_files" => &mut self.open_files,
            "file_size" => &mut self.file_size,
            "cpu_seconds" => &mut self.cpu_seconds,
            _ => return None,
        };
        *place = Some(limit);
        Some(())
    }
}

impl Root {
    /// Adds what programs of the wider world look for.
    ///
    /// # Errors
    ///
    /// Returns [`SealedError::Missing`] if this machine does not have it either.
    pub fn add(&mut self, extra: Extra) -> Result<(), SealedError> {
        let Self { host_name, user, group, .. } = self;
        match extra {
            Extra::Hosts => {
                let text = format!("127.0.0.1 localhost {host_name}\n::1 localhost {host_name}\n");
                // What was said before of single hosts stays, and is found first.
                let hosts = self.texts.entry("/etc/hosts".into()).or_default();
                hosts.push_str(&text);
            }
            Extra::Users => {
                let passwd = format!(
                    "root:x:0:0:root:/:/bin/sh\nsealed:x:{user}:{group}:sealed:/tmp:/bin/sh\nnobody:x:{NOBODY}:{NOBODY}:nobody:/:/bin/false\n"
                );
                let groups = format!("root:x:0:\nsealed:x:{group}:\nnogroup:x:{NOBODY}:\n");
                self.texts.insert("/etc/passwd".into(), passwd);
                self.texts.insert("/etc/group".into(), groups);
            }
            Extra::Resolver => self.add_first("/etc/resolv.conf", &["/etc/resolv.conf"])?,
            Extra::Certificates => {
                // Debian, Fedora, SUSE, Alpine: where Go's `crypto/x509` looks, in its order.
                let places = [
                    "/etc/ssl/certs/ca-certificates.crt",
                    "/etc/pki/tls/certs/ca-bundle.crt",
                    "/etc/ssl/ca-bundle.pem",
                    "/etc/ssl/cert.pem",
                ];
                self.add_first("/etc/ssl/certs/ca-certificates.crt", &places)?;
            }
        }
        Ok(())
    }

    fn add_first(&mut self, inside: &str, places: &[&str]) -> Result<(), SealedError> {
        let found = places.iter().map(PathBuf::from).find(|it| it.is_file());
        let missing =
            || SealedError::Missing { path: inside.into(), source: io::ErrorKind::NotFound.into() };
        self.files.insert(inside.into(), found.ok_or_else(missing)?);
        Ok(())
    }

    /// Adds a line to `/etc/hosts`.
    pub fn add_host(&mut self, address: &str, name: &str) {
        let hosts = self.texts.entry("/etc/hosts".into()).or_default();
        hosts.extend([address, " ", name, "\n"]);
    }

    /// Returns all that is said of it, as words: equal roots have equal ones, and no others do.
    #[must_use]
    pub fn words(&self) -> Vec<OsString> {
        words::of_root(self)
    }
}

impl Sealed {
    /// Makes `invocation` ready to be started in `root`, by the program that is `guard` too. Its
    /// program is a file of this machine, its folder a place in the root.
    ///
    /// # Errors
    ///
    /// Returns [`SealedError`] if the program asks for a loader that is not declared, or something
    /// that is declared is not there.
    pub fn new(root: &Root, invocation: &Invocation, guard: &Guard) -> Result<Self, SealedError> {
        let missing = |source| SealedError::Missing { path: std::env::temp_dir(), source };
        let file = || tempfile::Builder::new().prefix("linkwright-").tempfile().map_err(missing);
        let (report, mut told) = (file()?, file()?);
        let order = order(root, invocation, Some(report.path().to_owned()))?;
        told.write_all(&order.to_bytes()).map_err(missing)?;
        let Invocation { limit, most_output, .. } = *invocation;
        let invocation = Invocation {
            program: guard.program().to_owned(),
            args: outer_words(told.path()),
            env: BTreeMap::new(),
            folder: PathBuf::from("/"),
            limit,
            most_output,
        };
        Ok(Self { invocation, program: order.program, report, _order: told })
    }

    /// Says of a run that has ended whether it was one.
    ///
    /// # Errors
    ///
    /// Returns [`SealedError::NotSealed`] or [`SealedError::NotStarted`] if the program never ran.
    pub fn judge(&self, ended: Ended) -> Result<Ended, SealedError> {
        self.left_behind().map(|_| ended)
    }

    /// Says of a run that has ended whether it left processes behind, which were killed.
    ///
    /// # Errors
    ///
    /// As [`Sealed::judge`].
    pub fn left_behind(&self) -> Result<bool, SealedError> {
        let report = std::fs::read(self.report.path()).unwrap_or_default();
        match News::of(&report) {
            Some(News::NotSealed(why)) => Err(SealedError::NotSealed(why)),
            Some(News::NotStarted(why)) => {
                Err(SealedError::NotStarted { program: self.program.clone(), why })
            }
            Some(News::EndedLeaving(_)) => Ok(true),
            Some(News::Ended(_)) | None => Ok(false),
        }
    }
}

impl SealedError {
    /// Returns what may help, if something is known to.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Loader { .. } => Some(
                "link it statically (`link: \"static\"`; `linkwright why` says what keeps it \
                 dynamic), or declare the loader and every library",
            ),
            Self::NotSealed(_) => Some(SETUP_HINT),
            Self::Process(error) => error.hint(),
            Self::Missing { .. } | Self::Place { .. } | Self::NotStarted { .. } => None,
        }
    }
}

/// Runs the program of `invocation`, a file of this machine, in `root` to its end. Its folder is a
/// place in the root.
///
/// # Errors
///
/// Returns [`SealedError`] if it did not run there to its end. A program that ends with a non-zero
/// code is no error here.
pub fn run(
    root: &Root,
    invocation: &Invocation,
    guard: &Guard,
    interrupt: &Interrupt,
) -> Result<Ended, SealedError> {
    let sealed = Sealed::new(root, invocation, guard)?;
    sealed.judge(process::run(&sealed.invocation, Some(guard), interrupt)?)
}

/// Becomes the program of `invocation` in `root`, with this process's streams and terminal.
///
/// Its time is not limited. Returns only if that fails, with the reasons of [`Sealed::new`]. What
/// goes wrong later the new process tells on stderr, and ends with 36.
#[must_use]
pub fn become_sealed(root: &Root, invocation: &Invocation, own: &Guard) -> SealedError {
    let order = match order(root, invocation, None) {
        Ok(order) => order,
        Err(error) => return error,
    };
    let source = match raw::handed_on(&order.to_bytes()) {
        Ok((_open, file)) => {
            let (words, none) = (outer_words(&file), BTreeMap::new());
            process::become_program(own.program(), &words, &none, Path::new("/"))
        }
        Err(error) => error,
    };
    SealedError::Process(ProcessError::Spawn { program: own.program().to_owned(), source })
}

/// Tells whether this process was started as a part of a sealed run.
#[must_use]
pub fn is_called(word: Option<&OsStr>) -> bool {
    word == Some(OsStr::new(NAME))
}

/// Is a part of a sealed run, as the words after [`NAME`] say; returns the exit code.
#[must_use]
pub fn serve(words: impl Iterator<Item = OsString>) -> u8 {
    let _ = rustix::thread::set_name(c"lw-sealed");
    let mut words = words;
    let part = words.next();
    match part.as_deref().and_then(OsStr::to_str) {
        Some("outer") => {
            let order = words.next().and_then(|it| Order::read(Path::new(&it)));
            order.map(|it| outer::serve(&it))
        }
        Some("init") => {
            let mut number = || words.next().and_then(|it| it.into_string().ok());
            let (control, user) = (number().and_then(|it| it.parse().ok()), number());
            let user = user.and_then(|it| it.parse().ok());
            let order = words.next().and_then(|it| Order::read(Path::new(&it)));
            control.zip(order).map(|(control, order)| {
                init::serve(control, user, &order);
                0
            })
        }
        _ => None,
    }
    .unwrap_or(2)
}

fn outer_words(order: &Path) -> Vec<OsString> {
    vec![NAME.into(), "outer".into(), order.into()]
}

fn order(
    root: &Root,
    invocation: &Invocation,
    report: Option<PathBuf>,
) -> Result<Order, SealedError> {
    let Invocation { program, args, env, folder, limit: _, most_output: _ } = invocation;
    let missing = |path: &Path, source| SealedError::Missing { path: path.to_owned(), source };
    let mut root = root.clone();
    for (place, outside) in &mut root.files {
        check_place(place)?;
        // Links of this machine mean nothing in the root.
        *outside = std::fs::canonicalize(&*outside).map_err(|it| missing(outside, it))?;
    }
    for place in &root.folders {
        check_place(place)?;
    }
    for (place, text) in &root.texts {
        check_place(place)?;
        if text.len() > LONGEST_TEXT || text.contains('\0') || root.files.contains_key(place) {
            let why = "a text is short, without NUL, and no file stands at its place";
            return Err(SealedError::Place { place: place.clone(), why });
        }
    }
    let real = std::fs::canonicalize(program).map_err(|it| missing(program, it))?;
    check_loader(program, &real, &root)?;
    let inside = Path::new("/bin").join(program.file_name().unwrap_or(OsStr::new("program")));
    root.files.insert(inside.clone(), real);
    Ok(Order {
        root,
        program: inside,
        args: args.clone(),
        env: env.clone(),
        folder: folder.clone(),
        report,
    })
}

/// What asks for a loader that is not there does not start, and the kernel only says that
/// *something* is missing. A file that is no ELF file is the kernel's to judge.
fn check_loader(program: &Path, real: &Path, root: &Root) -> Result<(), SealedError> {
    let Ok(linkage) = linkage_of_file(real) else { return Ok(()) };
    let Some(interpreter) = linkage.interpreter else { return Ok(()) };
    let loader = Path::new(&interpreter);
    if root.files.keys().any(|it| loader.starts_with(it)) {
        return Ok(());
    }
    Err(SealedError::Loader { program: program.to_owned(), interpreter })
}

fn check_place(place: &Path) -> Result<(), SealedError> {
    let refuse = |why| Err(SealedError::Place { place: place.to_owned(), why });
    let mut parts = place.components();
    if parts.next() != Some(Component::RootDir) || place == Path::new("/") {
        return refuse("it must begin with `/` and name something below it");
    }
    if !parts.all(|it| matches!(it, Component::Normal(_))) {
        return refuse("it may not contain `..`");
    }
    if OWN_PLACES.iter().any(|it| place.starts_with(it)) {
        return refuse("`/cover`, `/dev`, `/proc` and `/tmp` are the root's own");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_lies_in_the_root_and_in_nothing_of_its_own() {
        for good in ["/a", "/etc/hosts", "/src/a/testdata", "/tmpx"] {
            assert!(check_place(Path::new(good)).is_ok(), "{good}");
        }
        for bad in ["", "/", "a", "/a/../b", "/..", "/tmp", "/tmp/a", "/proc/1", "/dev/null"] {
            assert!(check_place(Path::new(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_was_said_of_single_hosts_stands_first() {
        let mut root = Root { host_name: "alpha".to_owned(), ..Root::default() };
        root.add_host("127.0.0.2", "beta");
        root.add(Extra::Hosts).unwrap();
        let hosts = &root.texts[Path::new("/etc/hosts")];
        assert_eq!(hosts, "127.0.0.2 beta\n127.0.0.1 localhost alpha\n::1 localhost alpha\n");
    }
}
