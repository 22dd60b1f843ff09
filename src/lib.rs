//! linkwright: builds Go programs and test binaries, proves how they are linked, and records it.
//!
//! The rooms, lowest first; a module uses only what stands below it (`tests/it/tidy.rs` holds
//! that, `ARCHITECTURE.md` explains it). Data flows upwards through `engine::build`.

pub mod words;

pub mod formats;

pub mod model;

pub mod plan;

pub mod effects;

pub mod engine;

pub mod report;

pub mod cli;
