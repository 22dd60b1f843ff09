//! The lane `power`: the power fails. A workspace and its store lie on a file system of their own,
//! in a file; at a random moment of a build it is shut down as a power loss does it
//! (`FS_IOC_SHUTDOWN`), mounted again, and the contract held against what is left.
//!
//! | chosen at random | from |
//! |---|---|
//! | file system | ext4; ext4 that writes data after its metadata; xfs, where it can be made |
//! | before it | nothing was built; the sources changed; the outputs were lost |
//! | what reaches the disk last | nothing more; the journal without the data |
//! | in between | up to three moments at which everything is written out |
//!
//! What is published may be lost or damaged by this, since nothing waits for the disk: but then the
//! next build must see it. All mounts are in a namespace of the lane's own thread, so that nothing
//! is left of one that is stopped. Where nobody may mount, there are no cases.

use super::{Came, Cases};
use crate::bench::Programs;
use crate::faults::contract::{Oracle, Oracles, recovers};
use crate::faults::subject::{Make, Subject, Version};
use crate::random::Random;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

/// The lane.
#[derive(Default)]
pub(super) struct PowerLosses {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    oracles: Oracles,
    /// Empty file systems, by their kind; they go with the lane.
    images: HashMap<Kind, PathBuf>,
    folder: Option<tempfile::TempDir>,
}

/// A kind of file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Ext4,
    Xfs,
}

/// A mounted one.
struct Mounted {
    at: PathBuf,
}

mod ioctl {
    //! The one call that no library has.

    #![allow(missing_docs, reason = "the macro writes functions without documentation")]

    // `FS_IOC_SHUTDOWN`: `_IOR('X', 125, __u32)`, which reads a number all the same.
    nix::ioctl_read!(shutdown, b'X', 125, u32);
}

impl Cases for PowerLosses {
    fn run(&self, programs: &Programs, seed: u64) -> Came {
        let make = Make::in_turn(seed);
        let random = Random::new(seed);
        let prepared = self.prepare(programs, make, seed);
        let (oracle, image, kind) = match prepared {
            Ok(Some(prepared)) => prepared,
            Ok(None) => return (0, Ok(())),
            Err(error) => return (0, Err(error)),
        };
        // Mounts belong to a thread: this one and its children alone see them.
        let cycle = || cycle(programs, make, &oracle, (&image, kind), random);
        let ended = std::thread::scope(|it| it.spawn(cycle).join());
        (1, ended.unwrap_or_else(|_| Err("the lane itself failed".to_owned())))
    }
}

impl PowerLosses {
    fn prepare(
        &self,
        programs: &Programs,
        make: Make,
        seed: u64,
    ) -> Result<Option<(Oracle, PathBuf, Kind)>, String> {
        let mut known = self.known.lock().unwrap();
        if !nix::unistd::geteuid().is_root() || !Path::new("/dev/loop-control").exists() {
            return Ok(None);
        }
        let oracle = known.oracles.of(programs, make)?;
        let kind = if seed % 3 == 2 && has_xfs() { Kind::Xfs } else { Kind::Ext4 };
        if known.folder.is_none() {
            known.folder = Some(tempfile::tempdir().map_err(|it| it.to_string())?);
        }
        if let Some(image) = known.images.get(&kind) {
            return Ok(Some((oracle, image.clone(), kind)));
        }
        let folder = known.folder.as_ref().map(|it| it.path().to_owned()).unwrap_or_default();
        let image = kind.format(&folder)?;
        known.images.insert(kind, image.clone());
        Ok(Some((oracle, image, kind)))
    }
}

impl Kind {
    fn format(self, folder: &Path) -> Result<PathBuf, String> {
        let (name, size, program, arguments): (_, u64, _, &[&str]) = match self {
            Self::Ext4 => ("ext4", 48 << 20, "mkfs.ext4", &["-q", "-F", "-J", "size=4"]),
            Self::Xfs => ("xfs", 320 << 20, "mkfs.xfs", &["-q", "-f"]),
        };
        let image = folder.join(name);
        let made = File::create(&image).and_then(|it| it.set_len(size));
        made.map_err(|it| format!("no image: {it}"))?;
        said(Command::new(program).args(arguments).arg(&image))?;
        Ok(image)
    }

    fn options(self, random: &mut Random) -> &'static str {
        match self {
            Self::Xfs => "",
            Self::Ext4 => random.one(&["data=ordered", "data=writeback", "commit=1"]).unwrap(),
        }
    }
}

fn cycle(
    programs: &Programs,
    make: Make,
    oracle: &Oracle,
    (image, kind): (&Path, Kind),
    mut random: Random,
) -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(|it| format!("no namespace: {it}"))?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).map_err(|it| it.to_string())?;
    let folder = tempfile::Builder::new().prefix("fault-").tempdir();
    let folder = folder.map_err(|it| it.to_string())?;
    let disk = folder.path().join("disk");
    fs::copy(image, &disk).map_err(|it| it.to_string())?;
    let at = folder.path().join("at");
    fs::create_dir(&at).map_err(|it| it.to_string())?;
    let options = kind.options(&mut random);
    let mounted = Mounted::mount(&disk, &at, options)?;
    let home = at.join("home");
    fs::create_dir(&home).map_err(|it| it.to_string())?;
    let subject = Subject::at(programs, make, home.clone()).map_err(|it| it.to_string())?;
    let mut version = Version::A;
    let before = random.below(3);
    if before > 0 {
        subject.bring(version);
        let ended = subject.build();
        if ended.code != Some(0) {
            return Err(format!("nothing to cut off: {ended:#?}"));
        }
    }
    match before {
        1 => version = Version::B,
        2 => subject.lose_outputs(),
        _ => {}
    }
    subject.bring(version);
    // The user's own work is safe on the disk.
    mounted.write_out()?;
    let told = lose_power(&subject, &mounted, &mut random)?;
    drop(mounted);
    let _again = Mounted::mount(&disk, &at, options)?;
    let subject = Subject::at(programs, make, home).map_err(|it| it.to_string())?;
    recovers(&subject, oracle.expected(version))
        .map_err(|it| format!("{make:?} on {kind:?} {options}, {before}, {told}: {it}"))
}

/// Starts a build and ends the file system under it; tells when and how.
fn lose_power(
    subject: &Subject<'_>,
    mounted: &Mounted,
    random: &mut Random,
) -> Result<String, String> {
    let mut command = subject.linkwright(&["build", "--json"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|it| it.to_string())?;
    let mut told = String::new();
    for _ in 0..random.below(4) {
        let wait = Duration::from_micros(random.next() % 25_000);
        std::thread::sleep(wait);
        mounted.write_out()?;
        let _ = write!(told, "written out after {wait:?}, ");
    }
    let wait = Duration::from_micros(random.next() % 60_000);
    std::thread::sleep(wait);
    // 2: nothing more reaches the disk; 1: the journal does.
    let flags = if random.once_in(3) { 1 } else { 2 };
    mounted.shut_down(flags)?;
    end(&mut child);
    Ok(format!("{told}shut down after {wait:?} with {flags}"))
}

/// Ends what can do nothing any more.
fn end(child: &mut Child) {
    for _ in 0..2000 {
        if child.try_wait().is_ok_and(|it| it.is_some()) {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let _ = child.kill();
    let _ = child.wait();
}

impl Mounted {
    fn mount(disk: &Path, at: &Path, options: &str) -> Result<Self, String> {
        let options =
            if options.is_empty() { "loop".to_owned() } else { format!("loop,{options}") };
        said(Command::new("mount").args(["-o", &options]).arg(disk).arg(at))?;
        Ok(Self { at: at.to_owned() })
    }

    fn write_out(&self) -> Result<(), String> {
        let folder = File::open(&self.at).map_err(|it| it.to_string())?;
        nix::unistd::syncfs(&folder).map_err(|it| format!("syncfs: {it}"))
    }

    fn shut_down(&self, mut flags: u32) -> Result<(), String> {
        let folder = File::open(&self.at).map_err(|it| it.to_string())?;
        #[expect(unsafe_code, reason = "a call that no library has")]
        // SAFETY: the descriptor is open, and the kernel reads one number, which is there.
        let done = unsafe { ioctl::shutdown(folder.as_raw_fd(), &raw mut flags) };
        done.map(drop).map_err(|it| format!("the file system cannot be shut down: {it}"))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Children that have not ended yet hold it for a moment.
        for _ in 0..2000 {
            if umount2(&self.at, MntFlags::empty()).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = umount2(&self.at, MntFlags::MNT_DETACH);
    }
}

fn has_xfs() -> bool {
    let folders = ["/usr/sbin", "/sbin", "/usr/bin"];
    folders.iter().any(|it| Path::new(it).join("mkfs.xfs").exists())
}

/// Runs a tool that must succeed.
fn said(command: &mut Command) -> Result<(), String> {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = command.env("PATH", path).output().map_err(|it| format!("{command:?}: {it}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
