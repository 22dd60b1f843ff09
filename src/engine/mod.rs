//! The pipeline: `build`, the scheduler under it, and the events that tell what happens.

pub mod build;
pub mod c_side;
pub mod command_job;
pub mod discover;
pub mod event;
pub mod go_advice;
pub mod go_batch;
pub mod go_inputs;
pub mod go_job;
pub mod go_look;
pub mod go_settle;
pub mod go_unit;
pub mod kept_listing;
pub mod listing;
pub mod probe;
pub mod recall;
pub mod request;
pub mod scheduler;
pub mod session;
pub mod smoke;
pub mod test_job;
pub mod test_list;
pub mod test_root;
pub mod test_run;
pub mod test_told;
pub mod why;
