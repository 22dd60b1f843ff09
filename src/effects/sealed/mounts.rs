//! Makes the file system that the program sees, and leaves the machine's behind.
//!
//! ```text
//! /            tmpfs, read-only: the folders and texts that were declared, and nothing else
//! /bin/NAME    the program; other declared files and folders at their places, read-only
//! /dev         null, zero, full, random, urandom; fd, stdin, stdout, stderr lead to /proc
//! /proc        of the new pid namespace
//! /tmp         tmpfs of its own, of a limited size
//! /cover       of a program that counts what it runs: a tmpfs for counters, and one file of the
//!              machine, which may be written
//! ```
//!
//! Done as pid 1 of new mount and pid namespaces, in steps of which none can be undone from inside:
//!
//! 1. Nothing that is mounted here is seen elsewhere (`MS_PRIVATE`).
//! 2. A tmpfs becomes the root, with the machine's tree below it as `/old`: from there everything
//!    is reached, whatever it is called and whatever lies over it.
//! 3. The new tree is put together in `/new`. A file is bound, then made read-only by itself: its
//!    mount keeps the flags that the machine gave it, which a user namespace may not take away.
//! 4. `/new` becomes the root, and what was there is unmounted, `/old` with it.
//!
//! # Source
//!
//! `man 2 pivot_root` (for `pivot_root(".", ".")`), `man 2 mount`, `man 7 mount_namespaces`
//! ("Restrictions on mount namespaces").

use super::init::{Broken, Step as _};
use super::{COUNTERS, PROFILE, Root};
use rustix::fs::{StatVfsMountFlags, statvfs};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change,
    mount_remount, unmount,
};
use rustix::process::{chdir, pivot_root};
use std::ffi::CString;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink};
use std::path::Path;

/// Devices that hold nothing of this machine.
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// Where a first tmpfs may be put; it hides nothing for longer than two calls.
const PLACES: [&str; 2] = ["/tmp", "/proc"];

/// Room for folders and links in the root itself.
const ROOT_SIZE: u64 = 4 << 20;

/// Room for one more place in it, with folders above.
const PLACE_SIZE: u64 = 16 << 10;

/// Makes `root` the root of this process.
pub(super) fn enter(root: &Root) -> Result<(), Broken> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).step(|| "cannot keep mounts to itself".into())?;
    let place = PLACES.into_iter().find(|it| Path::new(it).is_dir()).unwrap_or("/");
    tmpfs(place, ROOT_SIZE, "0755")?;
    for name in ["old", "new"] {
        make_folder(&Path::new(place).join(name))?;
    }
    chdir(place).step(|| "cannot enter the new root".into())?;
    pivot_root(".", "old").step(|| "cannot change the root (pivot_root)".into())?;
    chdir("/").step(|| "cannot enter the new root".into())?;
    furnish(root)?;
    chdir("/new").step(|| "cannot enter the new root".into())?;
    pivot_root(".", ".").step(|| "cannot change the root (pivot_root)".into())?;
    unmount(".", UnmountFlags::DETACH).step(|| "cannot leave the machine's files".into())?;
    chdir("/").step(|| "cannot enter the new root".into())
}

fn furnish(root: &Root) -> Result<(), Broken> {
    let text: u64 = root.texts.values().map(|it| it.len() as u64).sum();
    let places = (root.files.len() + root.folders.len()) as u64;
    let more = text.saturating_mul(2).saturating_add(places.saturating_mul(PLACE_SIZE));
    tmpfs("/new", ROOT_SIZE.saturating_add(more), "0755")?;
    let new = Path::new("/new");
    for name in ["tmp", "proc", "dev"] {
        make_folder(&new.join(name))?;
    }
    tmpfs("/new/tmp", root.tmp_size, "1777")?;
    let quiet = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/new/proc", "proc", quiet, None).step(|| "cannot mount `/proc`".into())?;
    for name in DEVICES {
        let (from, to) = (Path::new("/old/dev").join(name), new.join("dev").join(name));
        make_file(&to, b"")?;
        mount_bind(&from, &to).step(|| format!("cannot show `/dev/{name}`"))?;
    }
    let links = [("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")];
    for (name, to) in links {
        let to = format!("/proc/self/fd{to}");
        symlink(to, new.join("dev").join(name)).step(|| format!("cannot make `/dev/{name}`"))?;
    }
    for inside in &root.folders {
        make_folder(&below(new, inside))?;
    }
    for (inside, outside) in &root.files {
        declared(&below(new, inside), &below(Path::new("/old"), outside), outside)?;
    }
    if let Some(outside) = &root.profile {
        let (counters, profile) = (Path::new(COUNTERS), Path::new(PROFILE));
        make_folder(&below(new, counters))?;
        tmpfs("/new/cover/counters", root.tmp_size, "1777")?;
        let flags = MountFlags::BIND | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        shown_by(&below(new, profile), &below(Path::new("/old"), outside), (outside, flags))?;
    }
    for (inside, text) in &root.texts {
        let place = below(new, inside);
        place.parent().map_or(Ok(()), make_folder)?;
        make_file(&place, text.as_bytes())?;
    }
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    mount_remount("/new", flags, "").step(|| "cannot make the root read-only".into())
}

/// Shows a file or folder of the machine at a place of the root, read-only.
fn declared(place: &Path, source: &Path, name: &Path) -> Result<(), Broken> {
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    shown_by(place, source, (name, flags))
}

/// Shows a file or folder of the machine at a place of the root, by a mount with `flags`.
fn shown_by(place: &Path, source: &Path, (name, flags): (&Path, MountFlags)) -> Result<(), Broken> {
    let name = name.display();
    let kind = std::fs::metadata(source).step(|| format!("cannot look at `{name}`"))?;
    if kind.is_dir() {
        make_folder(place)?;
    } else {
        place.parent().map_or(Ok(()), make_folder)?;
        if std::fs::symlink_metadata(place).is_err() {
            make_file(place, b"")?;
        }
    }
    mount_bind(source, place).map_err(|error| match error {
        Errno::INVAL => Broken::of(
            format!("cannot show `{name}`: something else is mounted in it; declare what is needed of it piece by piece"),
            &error.into(),
        ),
        _ => Broken::of(format!("cannot show `{name}`"), &error.into()),
    })?;
    let kept = kept_flags(statvfs(place).step(|| format!("cannot look at `{name}`"))?.f_flag);
    mount_remount(place, flags | kept, "").step(|| format!("cannot limit what is done to `{name}`"))
}

/// The flags of a mount that a user namespace may not take away, and that no remount keeps.
fn kept_flags(flags: StatVfsMountFlags) -> MountFlags {
    if flags.contains(StatVfsMountFlags::NOEXEC) { MountFlags::NOEXEC } else { MountFlags::empty() }
}

fn tmpfs(place: &str, size: u64, mode: &str) -> Result<(), Broken> {
    // A name costs the kernel about a kilobyte that `size` does not count.
    let names = 1024 + size / 1024;
    let options = CString::new(format!("size={size},nr_inodes={names},mode={mode}"));
    let options = options.unwrap_or_default();
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    let made = mount("tmpfs", place, "tmpfs", flags, options.as_c_str());
    made.step(|| format!("cannot mount a tmpfs on `{place}`"))
}

fn make_folder(path: &Path) -> Result<(), Broken> {
    let made = DirBuilder::new().mode(0o755).recursive(true).create(path);
    made.step(|| format!("cannot make the folder `{}`", shown(path)))
}

fn make_file(path: &Path, bytes: &[u8]) -> Result<(), Broken> {
    let open = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o644).open(path)?.write_all(bytes)
    };
    open().step(|| format!("cannot make `{}`", shown(path)))
}

/// The place as the program would see it.
fn shown(path: &Path) -> String {
    let inside = path.strip_prefix("/new").unwrap_or(path);
    format!("/{}", inside.display()).replace("//", "/")
}

fn below(root: &Path, path: &Path) -> std::path::PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}
