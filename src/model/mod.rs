//! What the user said, checked: strategies, policies and targets, with every name resolved.

pub mod cycle;
pub mod flags;
pub mod linkage;
pub mod platform;
pub mod policy;
pub mod rules;
pub mod settings;
pub mod strategy;
pub mod target;
