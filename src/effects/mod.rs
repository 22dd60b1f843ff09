//! The only places that touch the machine: reading the workspace, running tools, writing the store.

pub mod globs;
pub mod workspace;
