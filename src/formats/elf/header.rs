//! The file header and the program headers, of both classes and byte orders.
//!
//! | refused | because |
//! |---|---|
//! | `e_phentsize` other than the struct's size, no headers, more than 64 KiB of them | the kernel refuses it too (`load_elf_phdrs`), so nothing hides behind it; `PN_XNUM` is for core files |
//! | a class or byte order that the machine does not have | the kernel looks at the machine alone and reads its own layout, `readelf` looks at the class: they would see different files |
//! | a second `PT_INTERP` or `PT_DYNAMIC` | the kernel takes the first interpreter, the loader the last dynamic segment |
//!
//! `EI_VERSION`, `e_version`, `e_ehsize` and `e_flags` are left out: nothing here depends on them.

use crate::formats::bytes::Bytes;
use crate::formats::elf::error::{ElfError, ElfErrorKind};
use object::elf;
use std::borrow::Cow;

/// The most bytes of program headers that Linux accepts (`load_elf_phdrs` in `fs/binfmt_elf.c`).
const MAX_PROGRAM_HEADERS: u64 = 65536;

/// How numbers are laid out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// Whether addresses have 64 bits.
    pub(super) wide: bool,
    /// Whether the most significant byte comes first.
    pub(super) big: bool,
}

/// One program header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    pub(super) kind: u32,
    pub(super) flags: u32,
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) file_size: u64,
}

/// The file header's part that matters, with the bytes it heads.
pub(super) struct Image<'a> {
    pub(super) bytes: &'a dyn Bytes,
    pub(super) layout: Layout,
    pub(super) kind: u16,
    pub(super) machine: u16,
    /// Empty unless the kind is `ET_EXEC` or `ET_DYN`.
    pub(super) segments: Vec<Segment>,
    /// Where the program headers end.
    pub(super) headers_end: u64,
    /// Offset, entry size and count of the section headers, unchecked.
    pub(super) sections: (u64, u64, u64),
}

impl Layout {
    /// Reads the number of `size` bytes at `at`; bytes that are not there count as none.
    pub(super) fn number(self, data: &[u8], at: usize, size: usize) -> u64 {
        let bytes = data.iter().skip(at).take(size);
        let join = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        if self.big { bytes.fold(0, join) } else { bytes.rev().fold(0, join) }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the number has two bytes")]
    pub(super) fn half(self, data: &[u8], at: usize) -> u16 {
        self.number(data, at, 2) as u16
    }

    #[expect(clippy::cast_possible_truncation, reason = "the number has four bytes")]
    pub(super) fn word(self, data: &[u8], at: usize) -> u32 {
        self.number(data, at, 4) as u32
    }

    /// Reads the address-sized number that lies at `wide` in ELF64 and at `narrow` in ELF32.
    pub(super) fn address(self, data: &[u8], narrow: usize, wide: usize) -> u64 {
        if self.wide { self.number(data, wide, 8) } else { self.number(data, narrow, 4) }
    }
}

impl<'a> Image<'a> {
    /// Reads the headers of a file that begins with the ELF magic.
    pub(super) fn parse(bytes: &'a dyn Bytes) -> Result<Self, ElfError> {
        let ident = bytes.read(0, 16).map_err(|it| ElfError::reading(it, 0))?;
        let wide = match ident.get(4) {
            Some(1) => false,
            Some(2) => true,
            _ => return Err(ElfErrorKind::Class.at(4)),
        };
        let big = match ident.get(5) {
            Some(1) => false,
            Some(2) => true,
            _ => return Err(ElfErrorKind::ByteOrder.at(5)),
        };
        let layout = Layout { wide, big };
        let size = if wide { 64 } else { 52 };
        let header = bytes.read(0, size).map_err(|it| ElfError::reading(it, 0))?;
        let half = |narrow: usize, wider: usize| {
            u64::from(layout.half(&header, if wide { wider } else { narrow }))
        };
        let mut image = Image {
            bytes,
            layout,
            kind: layout.half(&header, 16),
            machine: layout.half(&header, 18),
            segments: Vec::new(),
            headers_end: size,
            sections: (layout.address(&header, 32, 40), half(46, 58), half(48, 60)),
        };
        if contradicts(image.machine, layout) {
            return Err(ElfErrorKind::Contradiction.at(4));
        }
        if image.is_program_or_library() {
            let table = layout.address(&header, 28, 32);
            image.read_segments(table, half(42, 54), half(44, 56))?;
        }
        Ok(image)
    }

    /// Tells whether the kernel or the loader maps such a file: `ET_EXEC` or `ET_DYN`.
    pub(super) fn is_program_or_library(&self) -> bool {
        self.kind == elf::ET_EXEC.0 || self.kind == elf::ET_DYN.0
    }

    /// Returns the segment of a kind that occurs at most once.
    pub(super) fn segment(&self, kind: u32) -> Option<&Segment> {
        self.segments.iter().find(|it| it.kind == kind)
    }

    /// Reads a range of the file.
    pub(super) fn read(&self, offset: u64, length: u64) -> Result<Cow<'a, [u8]>, ElfError> {
        self.bytes.read(offset, length).map_err(|it| ElfError::reading(it, offset))
    }

    /// Returns where in the file the byte at `address` comes from, and how many follow it there.
    pub(super) fn place(&self, address: u64) -> Result<(u64, u64), ElfError> {
        let mut found: Option<(u64, u64)> = None;
        for load in self.segments.iter().filter(|it| it.kind == elf::PT_LOAD.0) {
            let Some(inside) = address.checked_sub(load.address) else { continue };
            if inside >= load.file_size {
                continue;
            }
            let offset = load.offset.checked_add(inside);
            let offset = offset.ok_or(ElfErrorKind::Truncated.at(load.offset))?;
            if found.is_some_and(|(earlier, _)| earlier != offset) {
                return Err(ElfErrorKind::Ambiguous.at(address));
            }
            found = Some((offset, load.file_size - inside));
        }
        found.ok_or(ElfErrorKind::Unmapped.at(address))
    }

    fn read_segments(&mut self, table: u64, size: u64, count: u64) -> Result<(), ElfError> {
        let wide = self.layout.wide;
        let (size_at, count_at) = if wide { (54, 56) } else { (42, 44) };
        if size != if wide { 56 } else { 32 } {
            return Err(ElfErrorKind::ProgramHeaderSize.at(size_at));
        }
        let length = size * count;
        if count == 0 || length > MAX_PROGRAM_HEADERS {
            return Err(ElfErrorKind::ProgramHeaderCount.at(count_at));
        }
        let data = self.read(table, length)?;
        let layout = self.layout;
        let entry = usize::from(if wide { 56_u8 } else { 32 });
        self.segments.reserve_exact(data.len() / entry);
        for (index, data) in data.chunks_exact(entry).enumerate() {
            let segment = Segment {
                kind: layout.word(data, 0),
                flags: layout.word(data, if wide { 4 } else { 24 }),
                offset: layout.address(data, 4, 8),
                address: layout.address(data, 8, 16),
                file_size: layout.address(data, 16, 32),
            };
            let once = [elf::PT_INTERP.0, elf::PT_DYNAMIC.0].contains(&segment.kind);
            if once && self.segment(segment.kind).is_some() {
                return Err(ElfErrorKind::SecondSegment.at(table + (index * entry) as u64));
            }
            self.segments.push(segment);
        }
        self.headers_end = table + length;
        Ok(())
    }
}

/// Names the machine in Go's words (`GOARCH`), where Go has one.
pub(super) fn machine(machine: u16, layout: Layout) -> Option<&'static str> {
    let Layout { wide, big } = layout;
    let is = |it: elf::Machine| machine == it.0;
    Some(if is(elf::EM_X86_64) {
        "amd64"
    } else if is(elf::EM_386) {
        "386"
    } else if is(elf::EM_AARCH64) && !big {
        "arm64"
    } else if is(elf::EM_ARM) && !big {
        "arm"
    } else if is(elf::EM_RISCV) && wide {
        "riscv64"
    } else if is(elf::EM_LOONGARCH) && wide {
        "loong64"
    } else if is(elf::EM_S390) && wide {
        "s390x"
    } else if is(elf::EM_PPC64) {
        if big { "ppc64" } else { "ppc64le" }
    } else if is(elf::EM_MIPS) {
        match (wide, big) {
            (true, true) => "mips64",
            (true, false) => "mips64le",
            (false, true) => "mips",
            (false, false) => "mipsle",
        }
    } else {
        return None;
    })
}

/// Tells whether no kernel would read a file for `machine` in this layout.
///
/// x32 and the ILP32 form of `arm64` fall under it: a 64-bit kernel without them reads such files
/// as 64-bit ones, and Go makes neither.
fn contradicts(machine: u16, layout: Layout) -> bool {
    let is = |it: elf::Machine| machine == it.0;
    let Layout { wide, big } = layout;
    if is(elf::EM_X86_64) {
        !wide || big
    } else if is(elf::EM_386) {
        wide || big
    } else if is(elf::EM_AARCH64) || is(elf::EM_PPC64) {
        !wide
    } else if is(elf::EM_ARM) {
        wide
    } else if is(elf::EM_RISCV) || is(elf::EM_LOONGARCH) {
        big
    } else {
        is(elf::EM_S390) && !big
    }
}
