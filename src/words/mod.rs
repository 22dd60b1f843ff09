//! Values that mean something, each with its invariant; no I/O, nothing about Go.

pub mod amount;
pub mod digest;
pub mod exit_code;
pub mod label;
pub mod near;
pub mod path;
pub mod pattern;
pub mod problem;
pub mod span;
