//! The only places that touch the machine: read the workspace, spawn tools, write the store and
//! the outputs. Each returns small typed errors and formats nothing for people.

pub mod c_files;
pub mod c_includes;
pub mod c_tools;
pub mod digests;
pub mod file;
pub mod globs;
pub mod go_tool;
pub mod inspect;
pub mod limits;
pub mod lock;
pub mod machine;
pub mod out_folder;
pub mod outputs;
pub mod process;
pub mod store;
pub mod workspace;
