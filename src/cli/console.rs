//! What a command has to work with: its surroundings, its settings, and two writers.

use crate::cli::environment::Environment;
use crate::cli::settings::Settings;
use crate::report::failure::Failure;
use std::io::{self, Write};

/// What a command has to work with.
pub struct Console<'a> {
    /// The process's surroundings.
    pub environment: &'a Environment,
    /// What holds for the command.
    pub settings: Settings,
    /// For data.
    pub out: &'a mut (dyn Write + Send),
    /// For everything else.
    pub err: &'a mut (dyn Write + Send),
}

/// Why a command ends without having done its work.
#[derive(Debug)]
pub enum Stopped {
    /// The user is told.
    Failure(Box<Failure>),
    /// What it has to say cannot be written; nobody listens, or there is no space.
    Output(io::Error),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failure(Box::new(failure))
    }
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}
