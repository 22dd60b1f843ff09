//! What the user said, checked: strategies, policies and targets, with every name resolved.

pub mod bundle_tests;
pub mod c_library;
pub mod command;
pub mod cycle;
pub mod flag_lists;
pub mod flags;
pub mod go_release;
pub mod go_sdk;
pub mod outputs;
pub mod platform;
pub mod policy;
pub mod resolve;
pub mod rules;
pub mod run_in;
pub mod settings;
pub mod strategy;
pub mod target;
pub mod targets;
pub mod test_run;
pub mod toolchain;
