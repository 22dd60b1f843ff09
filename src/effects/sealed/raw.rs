//! The calls that the compiler cannot check, each with the reason why it is sound.
//!
//! All of them are made by `lw-sealed`, a process that has one thread and knows every descriptor
//! that it holds.

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

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
