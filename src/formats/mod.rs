//! Bytes in, facts out: no meaning, no I/O.
//! Bytes in, facts out: the formats that linkwright reads. No meaning, no I/O.

pub mod build_info;
pub mod bytes;
pub mod elf;
pub mod go_events;
pub mod go_list;
pub mod inspection;
pub mod link_warnings;
pub mod magic;
