//! System calls as numbers in registers, read as words: which family they belong to, and what they
//! touch.
//!
//! | family | holds | because |
//! |---|---|---|
//! | `Change` | what alters names, bytes, modes, or asks for them to be kept | between any two of them a crash may fall |
//! | `Grow` | what needs room: writes, new names | a full disk, a quota |
//! | `Alter` | `Change`, opening for writing, locks apart | a read-only file system |
//! | `Open` | every opening | no more descriptors; no permission |
//! | `Any` | all of these, reads and looks | a dying disk |

use crate::faults::tracer::Registers;
use nix::libc;
use nix::unistd::Pid;
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A set of system calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// What changes the disk.
    Change,
    /// What needs room on it.
    Grow,
    /// What a read-only file system refuses.
    Alter,
    /// What needs a descriptor.
    Open,
    /// Everything with a file in it.
    Any,
}

impl Family {
    const ALL: [Self; 5] = [Self::Change, Self::Grow, Self::Alter, Self::Open, Self::Any];
}

/// One call.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its name.
    pub name: &'static str,
    /// The file that it touches; of two, the second.
    pub path: PathBuf,
    /// The sets that it is in.
    pub families: Vec<Family>,
}

/// What a call does, as far as the families go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Needs room.
    Grows,
    /// Changes without need of room.
    Changes,
    /// Opens; what it is follows from the flags.
    Opens,
    /// Neither.
    Looks,
}

/// Where a call says what it touches: numbers of arguments.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// A path.
    Path(usize),
    /// A path below the folder of a descriptor.
    At(usize, usize),
    /// An open file.
    Descriptor(usize),
}

type Row = (libc::c_long, &'static str, Kind, Place);

const ROWS: &[Row] = &[
    (libc::SYS_rename, "rename", Kind::Grows, Place::Path(1)),
    (libc::SYS_renameat, "renameat", Kind::Grows, Place::At(2, 3)),
    (libc::SYS_renameat2, "renameat2", Kind::Grows, Place::At(2, 3)),
    (libc::SYS_link, "link", Kind::Grows, Place::Path(1)),
    (libc::SYS_linkat, "linkat", Kind::Grows, Place::At(2, 3)),
    (libc::SYS_symlink, "symlink", Kind::Grows, Place::Path(1)),
    (libc::SYS_symlinkat, "symlinkat", Kind::Grows, Place::At(1, 2)),
    (libc::SYS_mkdir, "mkdir", Kind::Grows, Place::Path(0)),
    (libc::SYS_mkdirat, "mkdirat", Kind::Grows, Place::At(0, 1)),
    (libc::SYS_write, "write", Kind::Grows, Place::Descriptor(0)),
    (libc::SYS_writev, "writev", Kind::Grows, Place::Descriptor(0)),
    (libc::SYS_pwrite64, "pwrite64", Kind::Grows, Place::Descriptor(0)),
    (libc::SYS_pwritev, "pwritev", Kind::Grows, Place::Descriptor(0)),
    (libc::SYS_copy_file_range, "copy_file_range", Kind::Grows, Place::Descriptor(2)),
    (libc::SYS_sendfile, "sendfile", Kind::Grows, Place::Descriptor(0)),
    (libc::SYS_fallocate, "fallocate", Kind::Grows, Place::Descriptor(0)),
    (libc::SYS_fsync, "fsync", Kind::Grows, Place::Descriptor(0)),
    (libc::SYS_fdatasync, "fdatasync", Kind::Grows, Place::Descriptor(0)),
    (libc::SYS_syncfs, "syncfs", Kind::Grows, Place::Descriptor(0)),
    (libc::SYS_ftruncate, "ftruncate", Kind::Changes, Place::Descriptor(0)),
    (libc::SYS_truncate, "truncate", Kind::Changes, Place::Path(0)),
    (libc::SYS_unlink, "unlink", Kind::Changes, Place::Path(0)),
    (libc::SYS_unlinkat, "unlinkat", Kind::Changes, Place::At(0, 1)),
    (libc::SYS_rmdir, "rmdir", Kind::Changes, Place::Path(0)),
    (libc::SYS_chmod, "chmod", Kind::Changes, Place::Path(0)),
    (libc::SYS_fchmod, "fchmod", Kind::Changes, Place::Descriptor(0)),
    (libc::SYS_fchmodat, "fchmodat", Kind::Changes, Place::At(0, 1)),
    (libc::SYS_utimensat, "utimensat", Kind::Changes, Place::At(0, 1)),
    (libc::SYS_ioctl, "ioctl", Kind::Looks, Place::Descriptor(0)),
    (libc::SYS_flock, "flock", Kind::Looks, Place::Descriptor(0)),
    (libc::SYS_open, "open", Kind::Opens, Place::Path(0)),
    (libc::SYS_creat, "creat", Kind::Grows, Place::Path(0)),
    (libc::SYS_openat, "openat", Kind::Opens, Place::At(0, 1)),
    (libc::SYS_read, "read", Kind::Looks, Place::Descriptor(0)),
    (libc::SYS_pread64, "pread64", Kind::Looks, Place::Descriptor(0)),
    (libc::SYS_readv, "readv", Kind::Looks, Place::Descriptor(0)),
    (libc::SYS_getdents64, "getdents64", Kind::Looks, Place::Descriptor(0)),
    (libc::SYS_statx, "statx", Kind::Looks, Place::At(0, 1)),
    (libc::SYS_newfstatat, "newfstatat", Kind::Looks, Place::At(0, 1)),
    (libc::SYS_stat, "stat", Kind::Looks, Place::Path(0)),
    (libc::SYS_lstat, "lstat", Kind::Looks, Place::Path(0)),
    (libc::SYS_readlink, "readlink", Kind::Looks, Place::Path(0)),
];

/// Reads calls of one program.
pub struct Calls {
    leader: Pid,
    memory: Option<File>,
}

impl Call {
    /// Returns the call as a message shows it.
    #[must_use]
    pub fn words(&self) -> String {
        format!("{} {}", self.name, self.path.display())
    }
}

impl Calls {
    /// Reads the calls of the program `leader`, which is loaded and has not run yet.
    #[must_use]
    pub fn of(leader: Pid) -> Self {
        Self { leader, memory: File::open(format!("/proc/{leader}/mem")).ok() }
    }

    /// Returns the call that a thread is about to make, if it is one of these and touches a file.
    #[must_use]
    pub fn read(&self, registers: &Registers) -> Option<Call> {
        let number = registers.orig_rax.cast_signed();
        let (_, name, kind, place) = *ROWS.iter().find(|it| it.0 == number)?;
        let arguments = [
            registers.rdi,
            registers.rsi,
            registers.rdx,
            registers.r10,
            registers.r8,
            registers.r9,
        ];
        let path = match place {
            Place::Path(at) => self.below(libc::AT_FDCWD, &self.text(arguments[at])?)?,
            Place::At(folder, at) => {
                self.below(descriptor(arguments[folder]), &self.text(arguments[at])?)?
            }
            Place::Descriptor(at) => self.link(descriptor(arguments[at]))?,
        };
        let families = Family::ALL.into_iter().filter(|it| holds(*it, number, kind, arguments));
        let families: Vec<_> = families.collect();
        (!families.is_empty()).then_some(Call { name, path, families })
    }

    /// The text at an address of the program.
    fn text(&self, address: u64) -> Option<PathBuf> {
        let mut bytes = vec![0; 4096];
        let read = self.memory.as_ref()?.read_at(&mut bytes, address).ok()?;
        bytes.truncate(read);
        bytes.truncate(bytes.iter().position(|it| *it == 0)?);
        Some(PathBuf::from(OsString::from_vec(bytes)))
    }

    fn below(&self, folder: i32, path: &Path) -> Option<PathBuf> {
        if path.is_absolute() {
            return Some(path.to_owned());
        }
        let folder = self.link(folder)?;
        Some(if path.as_os_str().is_empty() { folder } else { folder.join(path) })
    }

    fn link(&self, descriptor: i32) -> Option<PathBuf> {
        let leader = self.leader;
        let link = match descriptor {
            libc::AT_FDCWD => format!("/proc/{leader}/cwd"),
            it if it < 0 => return None,
            it => format!("/proc/{leader}/fd/{it}"),
        };
        std::fs::read_link(link).ok()
    }
}

/// The low half of a register, as the kernel reads a descriptor.
fn descriptor(argument: u64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "the kernel reads the low half")]
    let low = argument as u32;
    low.cast_signed()
}

fn holds(family: Family, number: i64, kind: Kind, arguments: [u64; 6]) -> bool {
    let flags = match number {
        libc::SYS_open => descriptor(arguments[1]),
        libc::SYS_openat => descriptor(arguments[2]),
        _ => 0,
    };
    let makes = flags & (libc::O_CREAT | libc::O_TRUNC) != 0;
    let writes = makes || flags & libc::O_ACCMODE != libc::O_RDONLY;
    // `FICLONE`: the one of all `ioctl`s that changes a file.
    let clones = number == libc::SYS_ioctl && arguments[1] == 0x4004_9409;
    let opens = kind == Kind::Opens;
    match family {
        Family::Grow => kind == Kind::Grows || makes || clones,
        Family::Change => matches!(kind, Kind::Grows | Kind::Changes) || makes || clones,
        Family::Alter => matches!(kind, Kind::Grows | Kind::Changes) || writes || clones,
        Family::Open => opens,
        // A terminal is asked for its width by `ioctl`; that is no file.
        Family::Any => number != libc::SYS_ioctl || clones,
    }
}
