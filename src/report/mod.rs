//! What a person or a pipeline sees: failures, progress, tables, JSON lines, graphs.
//!
//! Nothing here decides anything or opens a file; every function writes to the writer it is given.
//! Text from outside (rule files, tools, inspected binaries) passes through [`escape`] first.

pub mod annotation;
pub mod cache;
pub mod command_line;
pub mod diagnostic;
pub mod doctor;
pub mod escape;
pub mod failure;
pub mod graph;
pub mod junit;
pub mod outcome;
pub mod packages;
pub mod paint;
pub mod reporter;
pub mod schema;
pub mod table;
pub mod terminal;
pub mod test_list;
pub mod test_table;
pub mod verify;
pub mod why;
