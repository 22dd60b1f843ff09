//! Pinned Go toolchains, kept in the store: fetched once, checked, and never believed unread.
//!
//! ```text
//! <store>/v1/sdk/go1.26.8.linux-amd64.<16 hex>/go/      GOROOT
//! <store>/v1/sdk/go1.26.8.linux-amd64.<16 hex>/kept     its digest, written before it had its name
//! <store>/v1/sdk/go1.26.8.linux-amd64.<16 hex>.lock     held by the one who fetches
//! <store>/v1/sdk/go1.26.8.linux-amd64.<16 hex>.damaged/ the last one that was found changed
//! ```
//!
//! The hexadecimal digits are of the declared sum, so that another sum is another toolchain. The
//! time of `kept` is that of its last use, by which `cache gc` goes. What comes from the network
//! is a file without a name until it is unpacked; what is unpacked has no
//! name that anybody looks for until its sum agrees and it says that it is the version asked for.
//! `kept` is the digest of the toolchain then, against which it is held whenever it is used: one
//! that changed since is set aside, and fetched again.
//!
//! No `go` is asked to fetch: which one stands on PATH, and whether one does, is what a pinned
//! toolchain does away with.

use crate::effects::fetch::{Bounds, FetchError, Network, fetch};
use crate::effects::file::{read_own, write_new};
use crate::effects::go_root::identity_of;
use crate::effects::lock::{self, Busy, LockError, Patience, Share};
use crate::effects::machine::Machine;
use crate::effects::store::mark_used;
use crate::effects::unpack::{Room, UnpackError, unpack_archive, unpack_module};
use crate::formats::module_proxy::{
    Place, TOOLCHAIN, places, setting, toolchain_url, toolchain_version, without_password,
};
use crate::model::go_sdk::{GoSdk, SdkSource};
use crate::words::digest::Digest;
use sha2::{Digest as _, Sha256};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the archive of a toolchain may take: the largest so far has 80 MB.
const BOUNDS: Bounds = Bounds {
    connecting: Duration::from_secs(30),
    silence: Duration::from_secs(30),
    whole: Duration::from_mins(30),
    bytes: 1 << 30,
};

/// What may be in one: the largest so far has 16,000 files of 250 MB.
const ROOM: Room = Room { files: 100_000, bytes: 4 << 30 };

/// The longest `kept`, and the longest file of a user's Go settings, that is read.
const TEXT_LIMIT: u64 = 1 << 20;

/// A toolchain in the store.
#[derive(Debug)]
pub struct KeptSdk {
    /// `GOROOT`.
    pub root: PathBuf,
    /// The digest that it had when its sum was checked.
    pub identity: Digest,
}

/// What is told while a toolchain is fetched, and whether it may be.
pub struct Fetching<'a> {
    /// Told before something is fetched: what, and the URL.
    pub begins: &'a dyn Fn(&str, &str),
    /// Told after it: whether it came.
    pub ended: &'a dyn Fn(bool),
    /// Told who else fetches, when that takes long.
    pub waiting: &'a dyn Fn(&str),
    /// Whether anything may be fetched at all.
    pub allowed: bool,
}

/// Why a pinned toolchain is not here.
#[derive(Debug, thiserror::Error)]
pub enum SdkError {
    /// It is not here, and this run may not fetch it.
    #[error("{0} is pinned and not here, and a dry run fetches nothing")]
    DryRun(String),
    /// It is not here, and nothing says what it must be.
    #[error(
        "{version} is pinned, and is neither on PATH{on_path} nor fetched unchecked: `{name}` says no sum for `{platform}`"
    )]
    NoSum {
        /// The toolchain's name in the workspace.
        name: String,
        /// `go1.26.8`.
        version: String,
        /// What is on PATH, as a clause.
        on_path: String,
        /// This machine's.
        platform: String,
    },
    /// `GOPROXY` says that nothing is to be fetched.
    #[error("{0} is pinned and not here, and GOPROXY is `off`")]
    Off(String),
    /// No place had it.
    #[error("{version} is pinned and cannot be fetched: {}", .errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Fetch {
        /// `go1.26.8`.
        version: String,
        /// Whether module proxies were asked, not a URL.
        by_proxy: bool,
        /// Why, place by place.
        errors: Vec<FetchError>,
    },
    /// Something else came than the rules say.
    #[error("`{url}` is not what `{name}` says: its sum is `{found}`, not `{declared}`")]
    WrongSum {
        /// The toolchain's name in the workspace.
        name: String,
        /// Where it came from.
        url: String,
        /// What the rules say.
        declared: String,
        /// What came.
        found: String,
    },
    /// The archive is none, or holds what could do harm.
    #[error("`{0}` is not taken: {1}")]
    Unpack(String, UnpackError),
    /// It is another Go than it is called.
    #[error("`{url}` holds {found}, not {version}")]
    WrongVersion {
        /// Where it came from.
        url: String,
        /// What `VERSION` in it says.
        found: String,
        /// What was asked for.
        version: String,
    },
    /// The store has no room for it, or cannot be written.
    #[error("cannot keep {0} in the store")]
    Keep(String, #[source] io::Error),
    /// Another linkwright fetches it, for too long.
    #[error(transparent)]
    Busy(Busy),
    /// The run was interrupted.
    #[error("interrupted")]
    Stopped,
}

/// Returns this machine's platform in Go's words, without asking a `go`.
#[must_use]
pub fn own_platform() -> String {
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let is_little = cfg!(target_endian = "little");
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" if is_little => "ppc64le",
        "powerpc64" => "ppc64",
        "mips64" if is_little => "mips64le",
        "mips" if is_little => "mipsle",
        "loongarch64" => "loong64",
        other => other,
    };
    format!("{os}/{arch}")
}

/// Returns the toolchain from the store, or fetches it; `on_path` is the version there, if any.
///
/// # Errors
///
/// Returns [`SdkError`] if it is not here and cannot be had.
pub fn kept_or_fetched(
    machine: &Machine,
    sdk: &GoSdk,
    on_path: Option<&str>,
    fetching: &Fetching<'_>,
) -> Result<KeptSdk, SdkError> {
    let platform = own_platform();
    let Some(source) = sdk.sources.get(&platform) else {
        let on_path = on_path.map(|it| format!(" (there is {it})")).unwrap_or_default();
        let (name, version) = (sdk.name.clone(), sdk.go_version());
        return Err(SdkError::NoSum { name, version, on_path, platform });
    };
    let shelf = Shelf { machine, sdk, source, platform: &platform };
    if let Some(kept) = shelf.kept() {
        return Ok(kept);
    }
    if !fetching.allowed {
        return Err(SdkError::DryRun(sdk.go_version()));
    }
    let keep = |it: io::Error| SdkError::Keep(sdk.go_version(), it);
    fs::create_dir_all(shelf.folder()).map_err(keep)?;
    let (waiting, stop) = (fetching.waiting, &|| machine.interrupt.is_set());
    let patience = Patience { limit: BOUNDS.whole, waiting, stop };
    let lock = with_added(&shelf.place(), ".lock");
    let _lock = lock::take(&lock, Share::Alone, &patience).map_err(|error| match error {
        LockError::Busy(busy) => SdkError::Busy(busy),
        LockError::Stopped => SdkError::Stopped,
        LockError::Io(_, error) => keep(error),
    })?;
    // Whoever held the lock may have fetched it.
    if let Some(kept) = shelf.kept() {
        return Ok(kept);
    }
    shelf.clear().map_err(keep)?;
    shelf.fetch(fetching)
}

/// The place of one toolchain.
struct Shelf<'a> {
    machine: &'a Machine,
    sdk: &'a GoSdk,
    source: &'a SdkSource,
    platform: &'a str,
}

impl Shelf<'_> {
    fn folder(&self) -> PathBuf {
        self.machine.store.root().join("sdk")
    }

    fn place(&self) -> PathBuf {
        let sum = Digest::of(self.source.sum().as_bytes()).to_string();
        let (version, platform) = (self.sdk.go_version(), self.platform.replace('/', "-"));
        let sum = sum.get(..16).unwrap_or_default();
        self.folder().join(format!("{version}.{platform}.{sum}"))
    }

    /// Returns the toolchain if it is here, and is what it was.
    fn kept(&self) -> Option<KeptSdk> {
        let place = self.place();
        let text = read_own(&place.join("kept"), TEXT_LIMIT).ok()?;
        let identity: Digest = std::str::from_utf8(&text).ok()?.trim().parse().ok()?;
        let root = place.join("go");
        let found = identity_of(&self.machine.digests, &root.join("bin/go"), &root).ok()?;
        if found != identity {
            return None;
        }
        if let Ok(kept) = File::open(place.join("kept")) {
            mark_used(&kept);
        }
        Some(KeptSdk { root, identity })
    }

    /// Makes the place free: what is there is damaged, or was never finished.
    fn clear(&self) -> io::Result<()> {
        let place = self.place();
        if fs::symlink_metadata(&place).is_ok() {
            let aside = with_added(&place, ".damaged");
            let _ = fs::remove_dir_all(&aside);
            move_folder(&place, &aside)?;
        }
        let partial = with_added(&place, ".partial");
        match fs::remove_dir_all(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn fetch(&self, fetching: &Fetching<'_>) -> Result<KeptSdk, SdkError> {
        let mut errors = Vec::new();
        for Place { url, goes_on } in self.places() {
            let Some(url) = url else {
                if errors.is_empty() {
                    return Err(SdkError::Off(self.sdk.go_version()));
                }
                break;
            };
            (fetching.begins)(&self.sdk.go_version(), &without_password(&url).0);
            let came = self.fetch_from(&url);
            (fetching.ended)(came.is_ok());
            match came {
                Err(Missed::Place(error)) => {
                    let is_absent = matches!(error, FetchError::NotThere(..));
                    errors.push(error);
                    if !(goes_on || is_absent) {
                        break;
                    }
                }
                Err(Missed::All(error)) => return Err(error),
                Ok(kept) => return Ok(kept),
            }
        }
        let by_proxy = matches!(self.source, SdkSource::Proxy(_));
        Err(SdkError::Fetch { version: self.sdk.go_version(), by_proxy, errors })
    }

    /// Returns the archive's URLs, in the order in which they are asked for it.
    fn places(&self) -> Vec<Place> {
        match self.source {
            SdkSource::Module(url, _) | SdkSource::Archive(url, _) => {
                vec![Place { url: Some(url.clone()), goes_on: false }]
            }
            SdkSource::Proxy(_) => {
                let of = |url: String| toolchain_url(&url, &self.sdk.go_version(), self.platform);
                let archive = |it: Place| Place { url: it.url.map(of), goes_on: it.goes_on };
                places(&proxies(self.machine)).into_iter().map(archive).collect()
            }
        }
    }

    /// Fetches, checks and keeps the toolchain from one place.
    fn fetch_from(&self, url: &str) -> Result<KeptSdk, Missed> {
        let Self { machine, sdk, .. } = self;
        let keep = |it: io::Error| Missed::All(SdkError::Keep(sdk.go_version(), it));
        let mut archive = tempfile::tempfile_in(self.folder()).map_err(keep)?;
        let network = Network { caller: &machine.caller, stop: &|| machine.interrupt.is_set() };
        fetch(url, &mut archive, &BOUNDS, &network).map_err(|error| match error {
            FetchError::Write(error) => keep(error),
            FetchError::Stopped => Missed::All(SdkError::Stopped),
            other => Missed::Place(other),
        })?;
        let partial = with_added(&self.place(), ".partial");
        let root = partial.join("go");
        fs::create_dir_all(&root).map_err(keep)?;
        let shown = without_password(url).0;
        let kept = self.unpack(archive, &root, &shown).and_then(|()| {
            let identity = identity_of(&machine.digests, &root.join("bin/go"), &root);
            let identity = identity.map_err(|it| SdkError::Keep(sdk.go_version(), it.1))?;
            write_new(&partial.join("kept"), format!("{identity}\n").as_bytes())
                .and_then(|()| move_folder(&partial, &self.place()))
                .map_err(|it| SdkError::Keep(sdk.go_version(), it))?;
            Ok(KeptSdk { root: self.place().join("go"), identity })
        });
        kept.map_err(|error| {
            // What is left is removed before the next attempt too.
            let _ = fs::remove_dir_all(&partial);
            Missed::All(error)
        })
    }

    /// Unpacks an archive into `root`; what it is and says of itself must be what was asked for.
    fn unpack(&self, mut archive: File, root: &Path, url: &str) -> Result<(), SdkError> {
        let keep = |it: io::Error| SdkError::Keep(self.sdk.go_version(), it);
        let unfit = |it: UnpackError| match it {
            UnpackError::Write(_, error) => keep(error),
            other => SdkError::Unpack(url.to_owned(), other),
        };
        let declared = self.source.sum();
        let wrong = |found: String| {
            let (name, url, declared) = (self.sdk.name.clone(), url.to_owned(), declared.clone());
            SdkError::WrongSum { name, url, declared, found }
        };
        let holds = |found| if found == declared { Ok(()) } else { Err(wrong(found)) };
        archive.rewind().map_err(keep)?;
        let version = self.sdk.go_version();
        match self.source {
            SdkSource::Archive(..) => {
                holds(format!("sha256:{}", sha256_of(&mut archive).map_err(keep)?))?;
                archive.rewind().map_err(keep)?;
                unpack_archive(archive, root, ROOM).map_err(unfit)?;
            }
            SdkSource::Proxy(_) | SdkSource::Module(..) => {
                let module = toolchain_version(&version, self.platform);
                let prefix = format!("{TOOLCHAIN}@{module}/");
                holds(unpack_module(archive, &prefix, root, ROOM).map_err(unfit)?)?;
            }
        }
        let text = read_own(&root.join("VERSION"), TEXT_LIMIT).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let found = text.split_whitespace().next().unwrap_or("no `VERSION`").to_owned();
        if found == version {
            return Ok(());
        }
        Err(SdkError::WrongVersion { url: url.to_owned(), found, version })
    }
}

/// Why one place was in vain.
enum Missed {
    /// The next one may have it.
    Place(FetchError),
    /// No other one would help.
    All(SdkError),
}

#[expect(clippy::disallowed_methods, reason = "a whole folder of the store gets its name")]
fn move_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

fn with_added(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Returns what the user says of module proxies: the variable, else Go's own file of settings.
fn proxies(machine: &Machine) -> String {
    let get = |name: &str| machine.caller.get(OsStr::new(name)).filter(|it| !it.is_empty());
    if let Some(list) = get("GOPROXY") {
        return list.to_string_lossy().into_owned();
    }
    let texts = go_settings(machine).into_iter().filter_map(|it| read_own(&it, TEXT_LIMIT).ok());
    let texts = texts.map(|it| String::from_utf8_lossy(&it).into_owned());
    let mut lists = texts.filter_map(|it| setting(&it, "GOPROXY").map(str::to_owned));
    lists.next_back().unwrap_or_default()
}

/// Returns where Go keeps settings of the user. # Source: `EnvFile`, `cmd/go/internal/cfg/cfg.go`.
#[must_use]
pub fn go_settings(machine: &Machine) -> Vec<PathBuf> {
    let get = |name: &str| machine.caller.get(OsStr::new(name)).filter(|it| !it.is_empty());
    match get("GOENV") {
        Some(path) if path == "off" => Vec::new(),
        Some(path) => vec![PathBuf::from(path)],
        None => {
            let config = get("XDG_CONFIG_HOME").map(PathBuf::from);
            let config = config.or_else(|| Some(Path::new(get("HOME")?).join(".config")));
            config.map(|it| it.join("go/env")).into_iter().collect()
        }
    }
}

fn sha256_of(file: &mut File) -> io::Result<String> {
    let mut hasher = Sha256::new();
    io::copy(file, &mut hasher)?;
    let mut text = String::with_capacity(64);
    for byte in hasher.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}
