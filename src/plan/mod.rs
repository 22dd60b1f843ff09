//! Pure functions between what was declared and what is done: what to do, what it is keyed by,
//! what was proved.

pub mod query;
pub mod record;
pub mod starter;
pub mod verify;
