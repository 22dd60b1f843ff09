//! The calls that the compiler cannot check, each with the reason why it is sound.
//!
//! All of them are made by `lw-sealed`, a process that has one thread and knows every descriptor
//! that it holds.

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;

/// Moves this process into new namespaces.
///
/// # Errors
///
/// Returns the system's error.
pub(super) fn unshare(namespaces: UnshareFlags) -> io::Result<()> {
    let namespaces = namespaces - UnshareFlags::FILES;
    // SAFETY: only a table of descriptors that is no longer shared could harm other threads, and
    // that flag has just been taken out.
    #[expect(unsafe_code, reason = "the flags are checked")]
    unsafe { unshare_unsafe(namespaces) }.map_err(Into::into)
}

/// Takes the descriptor that the parent, this same program, left open under `number` for us.
pub(super) fn inherited(number: RawFd) -> OwnedFd {
    // SAFETY: the parent keeps it open over the start, and nobody else here asks for it.
    #[expect(unsafe_code, reason = "an inherited descriptor has a number and no owner")]
    unsafe {
        OwnedFd::from_raw_fd(number)
    }
}

/// Puts bytes into a file without a name, which the next program that this one starts or becomes
/// finds at the path that is returned, as long as the descriptor is open.
///
/// # Errors
///
/// Returns the system's error.
pub(super) fn handed_on(bytes: &[u8]) -> io::Result<(File, PathBuf)> {
    // Without `MFD_CLOEXEC`: it is to be found there.
    let mut file = File::from(memfd_create("lw-sealed", MemfdFlags::empty())?);
    file.write_all(bytes)?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd()).into();
    Ok((file, path))
}

/// Sees to it that no descriptor but the three streams reaches the program: an open folder would
/// lead out of its root.
///
/// # Errors
///
/// Returns the system's error.
pub(super) fn close_on_start() -> io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_str().and_then(|it| it.parse::<RawFd>().ok());
        let Some(number) = number.filter(|it| *it > 2) else { continue };
        // SAFETY: it is borrowed for one call, which an unused number fails.
        #[expect(unsafe_code, reason = "descriptors that nobody here owns count too")]
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        fcntl_setfd(descriptor, FdFlags::CLOEXEC)?;
    }
    Ok(())
}
