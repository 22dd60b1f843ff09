//! Everything that is read from a finished file, in one place: `linkwright verify FILE` and a build
//! look at a file through this alone.

use crate::formats::build_info;
use crate::formats::bytes::{Bytes, ReadError};
use crate::formats::elf;
use crate::formats::elf::error::{ElfError, ElfErrorKind};
use crate::formats::image::ImageError;
use crate::formats::linkage::{BuildInfo, Linkage};
use crate::formats::macho;
use crate::formats::magic;
use crate::formats::pe;

/// What the bytes of one file show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// How it is linked.
    pub linkage: Linkage,
    /// What Go wrote into it, if Go made it.
    pub build_info: Option<BuildInfo>,
}

/// Why a file of a format that is judged cannot be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unjudged {
    /// It begins as ELF.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// It begins as Mach-O or PE.
    #[error(transparent)]
    Image(#[from] ImageError),
}

/// Reads what `bytes`, a whole file, shows. A slice is given as `&&bytes[..]`.
///
/// # Errors
///
/// As [`linkage_of`]. Build info that cannot be read is absent, not an error: nothing is decided
/// by it.
pub fn inspect(bytes: &dyn Bytes) -> Result<Inspection, Unjudged> {
    let linkage = linkage_of(bytes)?;
    Ok(Inspection { linkage, build_info: build_info::build_info(bytes) })
}

/// Reads how `bytes`, a whole file, is linked.
///
/// A file of none of the formats that are judged has class `not_elf` and its format.
///
/// # Errors
///
/// Returns [`Unjudged`] if the file begins as ELF, Mach-O or PE and its linkage cannot be read.
pub fn linkage_of(bytes: &dyn Bytes) -> Result<Linkage, Unjudged> {
    match magic::format(bytes) {
        Ok("mach_o") => Ok(macho::linkage_of(bytes)?),
        Ok("pe") => Ok(pe::linkage_of(bytes)?),
        Ok(_) => Ok(elf::linkage_of(bytes)?),
        Err(ReadError::Io(kind)) => Err(ElfErrorKind::Unreadable(kind).at(0).into()),
        Err(ReadError::Outside) => Err(ElfErrorKind::Truncated.at(0).into()),
    }
}
