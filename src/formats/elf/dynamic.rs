//! The dynamic segment: what the loader is told.
//!
//! It is found through `PT_DYNAMIC`, its strings and version lists through the addresses in it and
//! `PT_LOAD`, as the loader finds them. Section headers play no part: they can be stripped or lie.
//!
//! Names are capped at [`MAX_NAMES`] of [`MAX_NAME`] bytes each and, together, at the file's size:
//! a file of a million `DT_NEEDED` that share one long string would else take a terabyte.

use crate::formats::elf::error::{ElfError, ElfErrorKind};
use crate::formats::elf::header::Image;
use object::elf;

/// The most names that are read from one file.
pub(super) const MAX_NAMES: usize = 4096;

/// The longest name that is read: sixteen times Linux's `PATH_MAX`, as search paths join several.
const MAX_NAME: u64 = 65536;

/// The dynamic segment's part that matters.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own; any may be true")]
pub(super) struct Dynamic {
    pub(super) present: bool,
    pub(super) needed: Vec<String>,
    pub(super) soname: Option<String>,
    pub(super) rpath: Vec<String>,
    pub(super) audit: Vec<String>,
    pub(super) filters: Vec<String>,
    /// Names of the versions asked for, `GLIBC_2.34`.
    pub(super) versions: Vec<String>,
    /// Every symbol is bound at start.
    pub(super) bind_now: bool,
    /// There are symbols that could be bound at first use.
    pub(super) has_plt: bool,
    /// `DF_1_PIE`.
    pub(super) pie: bool,
    pub(super) textrel: bool,
}

/// Tag and value pairs up to `DT_NULL`.
struct Entries(Vec<(u64, u64)>);

/// The dynamic strings, with what is left of the budget for copies of them.
struct Strings<'i, 'a> {
    image: &'i Image<'a>,
    offset: u64,
    size: u64,
    budget: u64,
    count: usize,
}

impl Dynamic {
    /// Reads the dynamic segment, if there is one.
    pub(super) fn parse(image: &Image<'_>) -> Result<Self, ElfError> {
        let Some(entries) = Entries::parse(image)? else { return Ok(Self::default()) };
        let value =
            |tag: elf::DynamicTag| entries.only(u64::try_from(tag.0).unwrap_or(u64::MAX), image);
        let flags = value(elf::DT_FLAGS)?.unwrap_or(0);
        let flags_1 = value(elf::DT_FLAGS_1)?.unwrap_or(0);
        let mut strings = Strings::parse(image, value(elf::DT_STRTAB)?, value(elf::DT_STRSZ)?)?;
        let mut dynamic = Self {
            present: true,
            bind_now: value(elf::DT_BIND_NOW)?.is_some()
                || flags & elf::DF_BIND_NOW.0 != 0
                || flags_1 & elf::DF_1_NOW.0 != 0,
            has_plt: value(elf::DT_JMPREL)?.is_some(),
            pie: flags_1 & elf::DF_1_PIE.0 != 0,
            textrel: value(elf::DT_TEXTREL)?.is_some() || flags & elf::DF_TEXTREL.0 != 0,
            ..Self::default()
        };
        for (tag, name) in &entries.0 {
            dynamic.take_name(*tag, *name, &mut strings)?;
        }
        if let Some(list) = value(elf::DT_VERNEED)? {
            let count = value(elf::DT_VERNEEDNUM)?.unwrap_or(0);
            dynamic.versions = versions(image, list, count, &mut strings)?;
        }
        Ok(dynamic)
    }

    fn take_name(
        &mut self,
        tag: u64,
        name: u64,
        strings: &mut Strings<'_, '_>,
    ) -> Result<(), ElfError> {
        let is = |it: elf::DynamicTag| u64::try_from(it.0) == Ok(tag);
        if is(elf::DT_NEEDED) {
            self.needed.push(strings.get(name)?);
        } else if is(elf::DT_RPATH) || is(elf::DT_RUNPATH) {
            self.rpath.extend(strings.get(name)?.split(':').map(str::to_owned));
        } else if is(elf::DT_AUDIT) || is(elf::DT_DEPAUDIT) {
            self.audit.extend(strings.get(name)?.split(':').map(str::to_owned));
        } else if is(elf::DT_FILTER) || is(elf::DT_AUXILIARY) {
            self.filters.push(strings.get(name)?);
        } else if is(elf::DT_SONAME) {
            self.soname = Some(strings.get(name)?);
        }
        Ok(())
    }
}

impl Entries {
    fn parse(image: &Image<'_>) -> Result<Option<Self>, ElfError> {
        let Some(segment) = image.segment(elf::PT_DYNAMIC.0) else { return Ok(None) };
        // The loader looks at the address, `readelf` at the offset. A file in which they differ
        // shows one table to people and another to the loader.
        if image.place(segment.address)?.0 != segment.offset {
            return Err(ElfErrorKind::DynamicMisplaced.at(segment.offset));
        }
        let layout = image.layout;
        let data = image.read(segment.offset, segment.file_size)?;
        let half = if layout.wide { 8 } else { 4 };
        let mut entries = Vec::new();
        for entry in data.chunks_exact(2 * half) {
            let tag = layout.number(entry, 0, half);
            if tag == 0 {
                return Ok(Some(Self(entries)));
            }
            if entries.len() == 4 * MAX_NAMES {
                return Err(ElfErrorKind::TooMuch.at(segment.offset));
            }
            entries.push((tag, layout.number(entry, half, half)));
        }
        Err(ElfErrorKind::DynamicUnterminated.at(segment.offset))
    }

    /// Returns the value of a tag that gives one.
    fn only(&self, tag: u64, image: &Image<'_>) -> Result<Option<u64>, ElfError> {
        let mut values = self.0.iter().filter(|it| it.0 == tag).map(|it| it.1);
        let first = values.next();
        if values.all(|it| Some(it) == first) {
            return Ok(first);
        }
        let place = image.segment(elf::PT_DYNAMIC.0).map_or(0, |it| it.offset);
        Err(ElfErrorKind::SecondValue.at(place))
    }
}

impl<'i, 'a> Strings<'i, 'a> {
    fn parse(
        image: &'i Image<'a>,
        address: Option<u64>,
        size: Option<u64>,
    ) -> Result<Self, ElfError> {
        let budget = image.bytes.size();
        let (offset, size) = match (address, size) {
            (Some(address), Some(size)) if size > 0 => {
                let (offset, rest) = image.place(address)?;
                if size > rest {
                    return Err(ElfErrorKind::Truncated.at(offset));
                }
                (offset, size)
            }
            _ => (0, 0),
        };
        Ok(Self { image, offset, size, budget, count: 0 })
    }

    /// Returns the name at `index`, bytes that are not UTF-8 replaced.
    fn get(&mut self, index: u64) -> Result<String, ElfError> {
        let rest = self.size.checked_sub(index).filter(|it| *it > 0);
        let rest = rest.ok_or(ElfErrorKind::Name.at(self.offset))?;
        let offset = self.offset + index;
        let mut length = rest.min(128);
        loop {
            let data = self.image.read(offset, length)?;
            if let Some(end) = memchr::memchr(0, &data) {
                self.count += 1;
                let left = self.budget.checked_sub(end as u64 + 1);
                self.budget = left.ok_or(ElfErrorKind::TooMuch.at(offset))?;
                if self.count > MAX_NAMES {
                    return Err(ElfErrorKind::TooMuch.at(offset));
                }
                return Ok(String::from_utf8_lossy(&data[..end]).into_owned());
            }
            if length == rest {
                return Err(ElfErrorKind::Name.at(offset));
            }
            if length >= MAX_NAME {
                return Err(ElfErrorKind::TooMuch.at(offset));
            }
            length = rest.min(length * 16);
        }
    }
}

/// Reads the names of the symbol versions that the file needs of its libraries.
///
/// # Source
///
/// Linux Standard Base, "Symbol Versioning": `Verneed` and `Vernaux` have 16 bytes in both classes.
fn versions(
    image: &Image<'_>,
    address: u64,
    count: u64,
    strings: &mut Strings<'_, '_>,
) -> Result<Vec<String>, ElfError> {
    let layout = image.layout;
    let entry = |address: u64| {
        let (offset, rest) = image.place(address)?;
        if rest < 16 {
            return Err(ElfErrorKind::Versions.at(offset));
        }
        image.read(offset, 16)
    };
    let step =
        |from: u64, by: u32| from.checked_add(u64::from(by)).ok_or(ElfErrorKind::Versions.at(from));
    let mut names = Vec::new();
    let mut need_at = address;
    for _ in 0..count {
        let need = entry(need_at)?;
        let mut name_at = step(need_at, layout.word(&need, 8))?;
        for _ in 0..layout.half(&need, 2) {
            let name = entry(name_at)?;
            names.push(strings.get(u64::from(layout.word(&name, 8)))?);
            match layout.word(&name, 12) {
                0 => break,
                next => name_at = step(name_at, next)?,
            }
        }
        match layout.word(&need, 12) {
            0 => break,
            next => need_at = step(need_at, next)?,
        }
        // Every list names a version, so the cap on names ends a list that runs in a circle; one
        // that names none cannot be told from it.
        if layout.half(&need, 2) == 0 {
            return Err(ElfErrorKind::Versions.at(need_at));
        }
    }
    Ok(names)
}
