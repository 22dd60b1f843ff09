//! Reads from an ELF file how it is linked.
//!
//! The verdict comes from the file header, the program headers and the dynamic segment alone, which
//! are what the kernel and the loader read. Nothing is run. `docs/linkage.md` explains each field.
//!
//! | class | `PT_INTERP` | `DT_NEEDED` | type | because |
//! |---|---|---|---|---|
//! | `dynamic` | yes | yes | any | the kernel starts the loader, the loader looks for the libraries |
//! | `needs_loader` | yes | no | any | the kernel starts the loader, or fails with `ENOENT` |
//! | `dynamic` | no | yes | `ET_EXEC`, or `ET_DYN` with `DF_1_PIE` | nobody completes it; it is not whole either |
//! | `static` | no | no | `ET_EXEC` | |
//! | `static_pie` | no | no | `ET_DYN` with `DF_1_PIE` | |
//! | `shared` | no | any | `ET_DYN` without `DF_1_PIE` | only that flag tells a program from a library |
//! | `not_executable` | | | any other type | the kernel does not start it |
//!
//! Two things are inference and come from elsewhere (`marks`): the C library inside a static file,
//! and hazards.
//!
//! **Invariants:** no input makes it panic; no allocation is larger than the file; the work is
//! bounded whatever the file says of itself.

pub mod error;

mod dynamic;
mod header;
mod marks;

use crate::formats::bytes::Bytes;
use crate::formats::elf::dynamic::Dynamic;
use crate::formats::elf::error::{ElfError, ElfErrorKind};
use crate::formats::elf::header::Image;
use crate::formats::linkage::{Class, Libc, Linkage, Relro};
use crate::formats::magic;
use crate::words::defect::{Defect, planted};
use object::elf;

/// How far behind the program headers a packer's mark is looked for.
const PACKER_WINDOW: u64 = 256;

/// Reads the linkage of `bytes`, a whole file.
///
/// A file that is not ELF has class `not_elf` and its format; see [`crate::formats::magic`].
///
/// # Errors
///
/// Returns [`ElfError`] if the file begins as ELF and what it says of itself cannot be true, or is
/// what kernel, loader and people would read differently.
///
/// # Source
///
/// System V ABI, "Program Loading and Dynamic Linking"; elf(5); Linux `fs/binfmt_elf.c`.
pub fn linkage(bytes: &[u8]) -> Result<Linkage, ElfError> {
    linkage_of(&bytes)
}

/// Reads the linkage of `bytes`, piece by piece.
///
/// # Errors
///
/// As [`linkage`]; also if the system cannot read.
pub fn linkage_of(bytes: &dyn Bytes) -> Result<Linkage, ElfError> {
    let format = magic::format(bytes).map_err(|it| ElfError::reading(it, 0))?;
    if !format.starts_with("elf") {
        return Ok(Linkage::of_class(Class::NotElf, format));
    }
    let image = Image::parse(bytes)?;
    let machine = header::machine(image.machine, image.layout).map(str::to_owned);
    if !image.is_program_or_library() {
        return Ok(Linkage { machine, ..Linkage::of_class(Class::NotExecutable, format) });
    }
    let interpreter = interpreter(&image)?;
    let dynamic = Dynamic::parse(&image)?;
    let class = class(&image, interpreter.is_some(), &dynamic);
    let relro = relro(&image, &dynamic);
    let stack = image.segment(elf::PT_GNU_STACK.0);
    let mut linkage = Linkage {
        class,
        format: format.to_owned(),
        machine,
        libc: libc_asked_for(interpreter.as_deref(), &dynamic),
        interpreter,
        glibc_max: highest(&dynamic.versions, "GLIBC_"),
        glibcxx_max: highest(&dynamic.versions, "GLIBCXX_"),
        needed: dynamic.needed,
        rpath: dynamic.rpath,
        audit: dynamic.audit,
        filters: dynamic.filters,
        soname: dynamic.soname,
        packer: packer(&image)?.map(str::to_owned),
        hazards: Vec::new(),
        pie: image.kind == elf::ET_DYN.0 && class != Class::Shared,
        nx: stack.is_some_and(|it| it.flags & elf::PF_X.0 == 0),
        relro,
        textrel: dynamic.textrel,
        mach_o: None,
        pe: None,
        parts: Vec::new(),
    };
    if matches!(class, Class::Static | Class::StaticPie) {
        let marks = marks::marks(&image);
        (linkage.libc, linkage.hazards) = (marks.libc, marks.hazards);
    }
    Ok(linkage)
}

/// A part of the file that is loaded where it can be written to: where Go keeps its build info.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSegment {
    /// Where it lies in the file.
    pub range: std::ops::Range<u64>,
    /// What to add to an offset in the file to get the address, modulo 2^64.
    pub address_shift: u64,
}

/// Returns the writable loaded segments of an ELF file; none for any other file.
///
/// # Errors
///
/// Returns [`ElfError`] if the headers cannot be read.
pub fn data_segments(bytes: &dyn Bytes) -> Result<Vec<DataSegment>, ElfError> {
    let is_data = |it: &&header::Segment| {
        it.kind == elf::PT_LOAD.0 && it.flags & (elf::PF_W.0 | elf::PF_X.0) == elf::PF_W.0
    };
    let data = |it: &header::Segment| DataSegment {
        range: it.offset..it.offset.saturating_add(it.file_size),
        address_shift: it.address.wrapping_sub(it.offset),
    };
    Ok(Image::parse(bytes)?.segments.iter().filter(is_data).map(data).collect())
}

/// Compares two dotted versions by their numbers: `2.4` is lower than `2.34`.
///
/// A part that is not a number counts as 0, a missing part as lower than any.
#[must_use]
pub fn compare_versions(left: &str, right: &str) -> std::cmp::Ordering {
    let parts =
        |it: &str| -> Vec<u64> { it.split('.').map(|it| it.parse().unwrap_or(0)).collect() };
    parts(left).cmp(&parts(right))
}

fn class(image: &Image<'_>, has_interpreter: bool, dynamic: &Dynamic) -> Class {
    let is_program = image.kind == elf::ET_EXEC.0 || dynamic.pie;
    let has_interpreter = has_interpreter && !planted(Defect::NeededOnlyVerdict);
    match (has_interpreter, dynamic.needed.is_empty()) {
        (true, true) => Class::NeedsLoader,
        (false, _) if !is_program => Class::Shared,
        (_, false) => Class::Dynamic,
        (false, true) if dynamic.pie => Class::StaticPie,
        (false, true) => Class::Static,
    }
}

/// Reads `PT_INTERP` as the kernel does, and refuses what the kernel refuses.
fn interpreter(image: &Image<'_>) -> Result<Option<String>, ElfError> {
    let Some(segment) = image.segment(elf::PT_INTERP.0) else { return Ok(None) };
    let wrong = ElfErrorKind::Interpreter.at(segment.offset);
    if !(2..=4096).contains(&segment.file_size) {
        return Err(wrong);
    }
    let data = image.read(segment.offset, segment.file_size)?;
    // The kernel opens what stands before the first NUL, and demands only that the last byte is
    // one. A path that ends early is a way to show people another path than the kernel opens.
    match memchr::memchr(0, &data) {
        Some(end) if end + 1 == data.len() => {
            Ok(Some(String::from_utf8_lossy(&data[..end]).into_owned()))
        }
        _ => Err(wrong),
    }
}

/// `Full` only where it is shown: told to bind at start, or nothing is left to bind later.
///
/// A static file without a dynamic segment is `Partial` at best: its `IRELATIVE` slots may lie
/// outside the protected part, and nothing in the headers tells.
fn relro(image: &Image<'_>, dynamic: &Dynamic) -> Relro {
    if image.segment(elf::PT_GNU_RELRO.0).is_none() {
        Relro::None
    } else if dynamic.bind_now || (dynamic.present && !dynamic.has_plt) {
        Relro::Full
    } else {
        Relro::Partial
    }
}

/// Tells which C library the file asks for, by its loader, its libraries and their versions.
fn libc_asked_for(interpreter: Option<&str>, dynamic: &Dynamic) -> Option<Libc> {
    let loader = interpreter.and_then(|it| it.rsplit('/').next()).unwrap_or("");
    let needs = |test: fn(&str) -> bool| dynamic.needed.iter().any(|it| test(it));
    if loader.starts_with("ld-musl-") || needs(|it| it == "libc.so" || it.starts_with("libc.musl-"))
    {
        Some(Libc::Musl)
    } else if loader.starts_with("ld-linux")
        || loader.starts_with("ld64.so.")
        || needs(|it| it.starts_with("libc.so.6"))
        || dynamic.versions.iter().any(|it| it.starts_with("GLIBC_"))
    {
        Some(Libc::Glibc)
    } else {
        None
    }
}

fn highest(versions: &[String], prefix: &str) -> Option<String> {
    versions
        .iter()
        .filter_map(|it| it.strip_prefix(prefix))
        .filter(|it| it.split('.').all(|it| it.parse::<u64>().is_ok()))
        .max_by(|left, right| compare_versions(left, right))
        .map(str::to_owned)
}

/// Names the program that packed the file, if one left its mark where it does.
///
/// UPX puts `UPX!` right behind the program headers of its stub, which is always static, whatever
/// is packed inside.
fn packer(image: &Image<'_>) -> Result<Option<&'static str>, ElfError> {
    let rest = image.bytes.size().saturating_sub(image.headers_end);
    let data = image.read(image.headers_end.min(image.bytes.size()), rest.min(PACKER_WINDOW))?;
    Ok(memchr::memmem::find(&data, b"UPX!").map(|_| "upx"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Ordering;

    #[test]
    fn versions_compare_by_number_and_not_by_letter() {
        assert_eq!(compare_versions("2.4", "2.34"), Ordering::Less);
        assert_eq!(compare_versions("3.4.30", "3.4.9"), Ordering::Greater);
        assert_eq!(compare_versions("2.2", "2.2.5"), Ordering::Less);
        assert_eq!(compare_versions("2.34", "2.34"), Ordering::Equal);
        let versions = ["GLIBC_2.4", "GLIBC_2.34", "GLIBC_PRIVATE", "GLIBCXX_3.4", "GLIBC_2.ABI"];
        let versions: Vec<String> = versions.iter().map(ToString::to_string).collect();
        assert_eq!(highest(&versions, "GLIBC_").as_deref(), Some("2.34"));
        assert_eq!(highest(&versions, "GLIBCXX_").as_deref(), Some("3.4"));
    }

    /// A program for x86-64 whose one segment is the name of its loader.
    fn with_loader(loader: &[u8]) -> Vec<u8> {
        let (start, length) = (64 + 56, loader.len() as u64);
        let mut image = b"\x7fELF\x02\x01\x01".to_vec();
        image.resize(16, 0);
        // Type, machine and version; entry and the offsets of the headers; their sizes and numbers.
        image.extend([2_u16, 62, 1, 0].iter().flat_map(|it| it.to_le_bytes()));
        image.extend([0_u64, 64, 0].iter().flat_map(|it| it.to_le_bytes()));
        image.extend([0_u16, 0, 64, 56, 1, 64, 0, 0].iter().flat_map(|it| it.to_le_bytes()));
        // PT_INTERP, to be read; where it is in the file and in memory, and how long.
        image.extend([3_u32, 4].iter().flat_map(|it| it.to_le_bytes()));
        image.extend(
            [start, start, start, length, length, 1].iter().flat_map(|it| it.to_le_bytes()),
        );
        image.extend_from_slice(loader);
        image
    }

    #[test]
    fn what_needs_no_library_and_asks_for_a_loader_is_not_static() {
        let linkage = linkage(&with_loader(b"/lib/ld.so\0")).unwrap();
        assert_eq!((linkage.class, linkage.needed.len()), (Class::NeedsLoader, 0));
        assert_eq!(linkage.interpreter.as_deref(), Some("/lib/ld.so"));
    }

    #[test]
    fn rubbish_behind_the_magic_is_an_error_and_not_a_panic() {
        for length in 5..512 {
            let mut image = vec![0xff; length];
            for (to, from) in image.iter_mut().zip(b"\x7fELF\x02\x01\x01") {
                *to = *from;
            }
            let linkage = linkage(&image);
            assert!(linkage.map_or(true, |it| it.class == Class::NotExecutable), "{length}");
        }
    }
}
