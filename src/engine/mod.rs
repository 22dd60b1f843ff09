//! The pipeline: `build`, the scheduler under it, and the events that tell what happens.

pub mod event;
pub mod request;
