//! The only rooms that touch the machine.

pub mod inspect;
