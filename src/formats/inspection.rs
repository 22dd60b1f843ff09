//! Everything that is read from a finished file, in one place: `linkwright verify FILE` and a build
//! look at a file through this alone.

use crate::formats::build_info;
use crate::formats::bytes::Bytes;
use crate::formats::elf;
use crate::formats::elf::error::ElfError;
use crate::formats::linkage::{BuildInfo, Linkage};

/// What the bytes of one file show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// How it is linked.
    pub linkage: Linkage,
    /// What Go wrote into it, if Go made it.
    pub build_info: Option<BuildInfo>,
}

/// Reads what `bytes`, a whole file, shows. A slice is given as `&&bytes[..]`.
///
/// # Errors
///
/// Returns [`ElfError`] if the file begins as ELF and its linkage cannot be read. Build info that
/// cannot be read is absent, not an error: nothing is decided by it.
pub fn inspect(bytes: &dyn Bytes) -> Result<Inspection, ElfError> {
    let linkage = elf::linkage_of(bytes)?;
    Ok(Inspection { linkage, build_info: build_info::build_info(bytes) })
}
