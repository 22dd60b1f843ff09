//! Bytes in, facts out: no meaning, no I/O.

pub mod go_events;
pub mod go_list;
