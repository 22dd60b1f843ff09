//! Everything a person or a pipeline sees.

pub mod diagnostic;
