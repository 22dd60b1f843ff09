//! Why an ELF file's linkage cannot be read, and where in the file.

use crate::formats::bytes::ReadError;
use std::io;

/// Why, and where.
///
/// A file that gives one is not judged at all: whatever a reader of another persuasion would make
/// of it, nothing can be promised about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} (at byte {offset:#x})")]
pub struct ElfError {
    /// What is wrong.
    pub kind: ElfErrorKind,
    /// The offset in the file of what is wrong; where the ABI gives an address instead, that.
    pub offset: u64,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ElfErrorKind {
    /// Something that a header names lies outside the file.
    #[error("the file ends before what its headers name")]
    Truncated,
    /// The system could not read the file.
    #[error("the file could not be read: {0}")]
    Unreadable(io::ErrorKind),
    /// `EI_CLASS` is neither 32 nor 64 bits.
    #[error("the ELF class is neither 32 nor 64 bits")]
    Class,
    /// `EI_DATA` is neither little nor big endian.
    #[error("the ELF byte order is neither little nor big endian")]
    ByteOrder,
    /// `EI_CLASS` or `EI_DATA` is not what the machine has; the kernel believes the machine.
    #[error("the ELF class or byte order is not that of the machine it names")]
    Contradiction,
    /// `e_phentsize` is not the size of a program header; the kernel refuses such a file.
    #[error("the size of a program header is wrong")]
    ProgramHeaderSize,
    /// `e_phnum` is 0 or more than 64 KiB of headers; the kernel refuses such a file.
    #[error("it has no program headers, or more than the kernel accepts")]
    ProgramHeaderCount,
    /// A second `PT_INTERP` or `PT_DYNAMIC`: kernel and loader disagree about which one counts.
    #[error("a segment that may occur once occurs twice")]
    SecondSegment,
    /// `PT_INTERP` is shorter than 2 bytes, longer than 4,096, or does not end in its first NUL.
    #[error(
        "the interpreter's path is too short, too long, or does not end where its segment ends"
    )]
    Interpreter,
    /// `PT_DYNAMIC` has a file offset and an address that are not the same place.
    #[error("the dynamic segment is not where its address says")]
    DynamicMisplaced,
    /// The dynamic segment does not end in `DT_NULL`.
    #[error("the dynamic segment has no end")]
    DynamicUnterminated,
    /// Two entries of the dynamic segment give different values where one may be.
    #[error("the dynamic segment gives two values where one may be")]
    SecondValue,
    /// An address that no loaded segment holds.
    #[error("an address lies in no loaded segment")]
    Unmapped,
    /// An address that two loaded segments hold, at different places of the file.
    #[error("an address lies in two loaded segments")]
    Ambiguous,
    /// A name that lies outside the string table or has no end in it.
    #[error("a name lies outside the string table or has no end")]
    Name,
    /// More names than any linker writes, or longer ones than any file system takes.
    #[error("it names more or longer libraries than linkwright reads")]
    TooMuch,
    /// The list of needed symbol versions is not a list.
    #[error("the list of needed versions is broken")]
    Versions,
}

impl ElfErrorKind {
    /// Says where.
    #[must_use]
    pub fn at(self, offset: u64) -> ElfError {
        ElfError { kind: self, offset }
    }
}

impl ElfError {
    pub(super) fn reading(error: ReadError, offset: u64) -> Self {
        match error {
            ReadError::Outside => ElfErrorKind::Truncated.at(offset),
            ReadError::Io(kind) => ElfErrorKind::Unreadable(kind).at(offset),
        }
    }
}
