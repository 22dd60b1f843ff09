//! The only rooms that touch the machine.

pub mod file;
pub mod out_folder;
