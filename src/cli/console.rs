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

/// A writer whose reader may be gone or full: then it is not told, and nobody else suffers.
pub struct Lenient<'a>(pub &'a mut (dyn Write + Send));

impl Write for Lenient<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Ok(bytes.len()),
            other => other,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}
