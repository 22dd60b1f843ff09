//! Drives the `linkwright` program as a user does, for as long as it is given, and holds what comes
//! out against a model that shares neither code nor caches with it.
//!
//! ```text
//! random ▶ model ▶ edit ▶ bench ▶ lane ▶ lanes/… ▶ bin/soak (for hours), tests/lanes.rs (for CI)
//!                   fakego (a stand-in for `go`, deterministic, told to misbehave by a file)
//! ```
//!
//! * `model` is a Go module as a value; it renders its files and computes what its programs say.
//! * `edit` is one random change of the model, or one fault.
//! * `bench` is a workspace on disk, and one run of the program in it.
//! * `faults` is the toolbox of the lanes that kill, refuse, damage and cut off.
//! * `lane` is one kind of case that can be run any number of times from a seed.
//! * `pace` measures time and memory, beside others that do the same.

pub mod bench;
pub mod edit;
pub mod fakego;
pub mod faults;
pub mod lane;
pub mod lanes;
pub mod ledger;
pub mod model;
pub mod pace;
pub mod random;
