//! Brings up the loopback interface of a new network namespace, by one message to the kernel.
//!
//! A new network namespace holds `lo` alone, as interface 1, and it is down. Once it is up the
//! kernel gives it 127.0.0.1/8 and `::1`.
//!
//! # Source
//!
//! `man 7 rtnetlink`, `man 7 netlink`; `struct nlmsghdr`, `struct ifinfomsg` of `linux/netlink.h`
//! and `linux/rtnetlink.h`. Numbers are in the machine's own byte order.

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto,
    socket_with,
};
use std::io;

/// Protocol 0 of netlink is routing.
const NETLINK_ROUTE: Option<Protocol> = None;
const RTM_NEWLINK: u16 = 16;
const NLMSG_ERROR: u16 = 2;
/// `NLM_F_REQUEST | NLM_F_ACK`.
const FLAGS: u16 = 1 | 4;
const IFF_UP: u32 = 1;
const LOOPBACK: i32 = 1;
/// `nlmsghdr` and `ifinfomsg`.
const LENGTH: u32 = 32;

/// Brings `lo` up.
///
/// # Errors
///
/// Returns the system's error.
pub(super) fn bring_up() -> io::Result<()> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, NETLINK_ROUTE)?;
    sendto(&socket, &request(), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut answer = [0; 256];
    let (length, _) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
    match verdict(answer.get(..length).unwrap_or_default()) {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(error.saturating_neg())),
        None => Err(Errno::PROTO.into()),
    }
}

/// Interface 1 is to be up, and nothing else of it changes.
fn request() -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(LENGTH.to_ne_bytes());
    bytes.extend(RTM_NEWLINK.to_ne_bytes());
    bytes.extend(FLAGS.to_ne_bytes());
    // Sequence and sender.
    bytes.extend([0; 8]);
    // Family, padding and type.
    bytes.extend([0; 4]);
    bytes.extend(LOOPBACK.to_ne_bytes());
    bytes.extend(IFF_UP.to_ne_bytes());
    // The flags that are meant.
    bytes.extend(IFF_UP.to_ne_bytes());
    bytes
}

/// Returns the number of an acknowledgement, 0 or a negative error; `None` if it is none.
fn verdict(answer: &[u8]) -> Option<i32> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let number = i32::from_ne_bytes(answer.get(16..20)?.try_into().ok()?);
    (kind == NLMSG_ERROR).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_as_long_as_it_says_and_an_answer_is_read_with_care() {
        assert_eq!(request().len(), usize::try_from(LENGTH).unwrap());
        let mut answer = vec![0; 36];
        answer[4] = 2;
        assert_eq!(verdict(&answer), Some(0));
        answer[16..20].copy_from_slice(&(-1_i32).to_ne_bytes());
        assert_eq!(verdict(&answer), Some(-1));
        assert_eq!(verdict(&answer[..19]), None);
        answer[4] = 3;
        assert_eq!(verdict(&answer), None);
    }
}
