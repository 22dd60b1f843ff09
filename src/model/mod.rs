//! What the user said, checked: strategies, policies and targets, with every name resolved.

pub mod flags;
pub mod linkage;
pub mod platform;
pub mod policy;
pub mod strategy;
pub mod target;
