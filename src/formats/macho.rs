//! Reads from a Mach-O file how it is linked: the load commands, which are what the kernel and dyld
//! read. `docs/linkage.md` explains each field.
//!
//! | class | dyld | libraries | type | because |
//! |---|---|---|---|---|
//! | `system_libraries` | yes | all below `/usr/lib/`, `/System/Library/` | `MH_EXECUTE` | they belong to the system, which has no other stable interface |
//! | `dynamic` | yes | others | `MH_EXECUTE` | dyld looks for them |
//! | `dynamic` | no | any | `MH_EXECUTE` | nobody completes it |
//! | `needs_loader` | yes | none | `MH_EXECUTE` | the kernel starts dyld, or nothing |
//! | `static`, `static_pie` | no | none | `MH_EXECUTE` without and with `MH_PIE` | |
//! | `shared` | | | `MH_DYLIB`, `MH_BUNDLE`, `MH_DYLINKER`, `MH_DYLIB_STUB` | |
//! | `not_executable` | | | any other | |
//!
//! A universal file holds one part for each architecture. Its verdict is the weakest of theirs, its
//! libraries are all of theirs; each part is told by itself besides.
//!
//! **Invariants:** no input makes it panic; no allocation is larger than the file; a universal file
//! has at most 42 parts and no part is one.
//!
//! # Source
//!
//! `mach-o/loader.h` and `mach-o/fat.h` of Apple's cctools; XNU `bsd/kern/mach_loader.c`.

use crate::formats::bytes::{Bytes, ReadError};
use crate::formats::image::{
    ImageError, ImageErrorKind, MAX_NAMES, Numbers, name as name_in, read,
};
use crate::formats::linkage::{Class, Linkage, MachOFacts};
use crate::formats::magic;
use object::macho;
use std::borrow::Cow;

/// Reads the linkage of `bytes`, a Mach-O file, thin or universal.
///
/// # Errors
///
/// Returns [`ImageError`] if what it says of itself cannot be true.
pub fn linkage_of(bytes: &dyn Bytes) -> Result<Linkage, ImageError> {
    let head = read(bytes, 0, bytes.size().min(8))?;
    let magic = Numbers { data: &head, big: true }.word(0);
    match magic {
        macho::FAT_MAGIC => universal(bytes, false),
        macho::FAT_MAGIC_64 => universal(bytes, true),
        _ => thin(bytes),
    }
}

/// One part of a universal file, as a file.
struct Part<'a> {
    whole: &'a dyn Bytes,
    start: u64,
    size: u64,
}

impl Bytes for Part<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, offset: u64, length: u64) -> Result<Cow<'_, [u8]>, ReadError> {
        let end = offset.checked_add(length).filter(|it| *it <= self.size);
        let start = end.and_then(|_| self.start.checked_add(offset)).ok_or(ReadError::Outside)?;
        self.whole.read(start, length)
    }
}

fn universal(bytes: &dyn Bytes, wide: bool) -> Result<Linkage, ImageError> {
    let (entry, word) = if wide { (32, 8) } else { (20, 4) };
    let head = read(bytes, 0, 8)?;
    // `magic::format` has seen that there are fewer than 43.
    let count = u64::from(Numbers { data: &head, big: true }.word(4));
    let table = read(bytes, 8, count.saturating_mul(entry))?;
    let (mut parts, mut taken): (Vec<Linkage>, Vec<(u64, u64)>) = (Vec::new(), Vec::new());
    for (index, data) in (0_u64..).zip(table.chunks_exact(if wide { 32 } else { 20 })) {
        let (at, numbers) = (8 + index * entry, Numbers { data, big: true });
        let (start, size) = (numbers.number(8, word), numbers.number(8 + word, word));
        let end = start.checked_add(size).filter(|it| *it <= bytes.size());
        let end = end.ok_or(ImageErrorKind::Truncated.at(at))?;
        let overlaps = taken.iter().any(|it| start < it.1 && it.0 < end);
        if overlaps || start < 8 + count * entry {
            return Err(ImageErrorKind::Parts.at(at));
        }
        taken.push((start, end));
        let part = Part { whole: bytes, start, size };
        parts.push(part_linkage(&part, numbers.word(0), at)?);
    }
    let Some(weakest) = parts.iter().max_by_key(|it| it.class) else {
        return Err(ImageErrorKind::Parts.at(4));
    };
    let mut whole = weakest.clone();
    whole.machine = None;
    whole.pie = parts.iter().all(|it| it.pie);
    whole.nx = parts.iter().all(|it| it.nx);
    if let Some(facts) = &mut whole.mach_o {
        facts.signed = parts.iter().all(|it| it.mach_o.as_ref().is_some_and(|it| it.signed));
    }
    for part in &parts {
        let both = [(&mut whole.needed, &part.needed), (&mut whole.rpath, &part.rpath)];
        for (all, own) in both {
            let new: Vec<_> = own.iter().filter(|it| !all.contains(it)).cloned().collect();
            all.extend(new);
        }
        whole.audit.extend(part.audit.iter().cloned());
    }
    whole.parts = parts;
    Ok(whole)
}

/// Reads one part, which must be for the processor that the list says.
fn part_linkage(part: &Part<'_>, processor: u32, at: u64) -> Result<Linkage, ImageError> {
    let format = magic::format(part).map_err(|_| ImageErrorKind::Truncated.at(at))?;
    if format == "archive" {
        let machine = machine(processor).map(str::to_owned);
        return Ok(Linkage { machine, ..Linkage::of_class(Class::NotExecutable, "mach_o") });
    }
    let header = Header::read(part)?;
    if format != "mach_o" || header.is_universal || header.processor != processor {
        return Err(ImageErrorKind::Parts.at(at));
    }
    thin(part)
}

/// The header of one architecture's file.
struct Header {
    big: bool,
    is_universal: bool,
    processor: u32,
    kind: u32,
    flags: u32,
    /// Where the load commands begin, how many they are, and their size together.
    commands: (u64, u32, u32),
}

impl Header {
    fn read(bytes: &dyn Bytes) -> Result<Self, ImageError> {
        let data = read(bytes, 0, 28)?;
        let (big, wide) = match data.get(..4) {
            Some([0xfe, 0xed, 0xfa, last]) => (true, *last == 0xcf),
            Some([first, 0xfa, 0xed, 0xfe]) => (false, *first == 0xcf),
            _ => (true, false),
        };
        let numbers = Numbers { data: &data, big };
        Ok(Self {
            big,
            is_universal: data.starts_with(&[0xca, 0xfe]),
            processor: numbers.word(4),
            kind: numbers.word(12),
            flags: numbers.word(24),
            commands: (if wide { 32 } else { 28 }, numbers.word(16), numbers.word(20)),
        })
    }

    fn has(&self, flag: macho::FileFlags) -> bool {
        self.flags & flag.0 != 0
    }
}

/// What the load commands say.
#[derive(Default)]
struct Commands {
    loader: Option<String>,
    needed: Vec<String>,
    weak: Vec<String>,
    rpath: Vec<String>,
    environment: Vec<String>,
    id: Option<String>,
    platform: Option<(&'static str, String)>,
    signed: bool,
}

fn thin(bytes: &dyn Bytes) -> Result<Linkage, ImageError> {
    let header = Header::read(bytes)?;
    if header.is_universal {
        return Err(ImageErrorKind::Header.at(0));
    }
    let commands = Commands::read(bytes, &header)?;
    let class = class(&header, &commands);
    let (platform, minimum_os) = commands.platform.unzip();
    Ok(Linkage {
        machine: machine(header.processor).map(str::to_owned),
        interpreter: commands.loader,
        needed: commands.needed,
        rpath: commands.rpath,
        audit: commands.environment,
        soname: commands.id,
        pie: header.kind == macho::MH_EXECUTE.0 && header.has(macho::MH_PIE),
        nx: !header.has(macho::MH_ALLOW_STACK_EXECUTION),
        mach_o: Some(MachOFacts {
            platform: platform.map(str::to_owned),
            minimum_os,
            weak: commands.weak,
            signed: commands.signed,
        }),
        ..Linkage::of_class(class, "mach_o")
    })
}

fn class(header: &Header, commands: &Commands) -> Class {
    let kind = header.kind;
    let is = |it: macho::FileType| kind == it.0;
    if !is(macho::MH_EXECUTE) {
        let libraries =
            [macho::MH_DYLIB, macho::MH_BUNDLE, macho::MH_DYLINKER, macho::MH_DYLIB_STUB];
        let is_library = libraries.into_iter().any(is);
        return if is_library { Class::Shared } else { Class::NotExecutable };
    }
    match (commands.loader.is_some(), commands.needed.is_empty()) {
        (false, true) if header.has(macho::MH_PIE) => Class::StaticPie,
        (false, true) => Class::Static,
        (true, true) => Class::NeedsLoader,
        (true, false) if commands.needed.iter().all(|it| is_system_library(it)) => {
            Class::SystemLibraries
        }
        (_, false) => Class::Dynamic,
    }
}

/// Tells whether a library is one of the system's own, by the path that dyld is told.
///
/// These folders lie on the sealed system volume; nobody can add to them.
#[must_use]
pub fn is_system_library(path: &str) -> bool {
    let is_below = path.starts_with("/usr/lib/") || path.starts_with("/System/");
    is_below && !path.split('/').any(|it| it == "..")
}

impl Commands {
    fn read(bytes: &dyn Bytes, header: &Header) -> Result<Self, ImageError> {
        let (start, count, size) = header.commands;
        let data = read(bytes, start, u64::from(size))?;
        let mut commands = Self::default();
        let mut rest = &*data;
        for _ in 0..count {
            let at = start + (data.len() - rest.len()) as u64;
            let numbers = Numbers { data: rest, big: header.big };
            let length = usize::try_from(numbers.word(4)).unwrap_or(usize::MAX);
            if rest.len() < 8 || length < 8 || length % 4 != 0 || length > rest.len() {
                return Err(ImageErrorKind::CommandSize.at(at));
            }
            let (own, next) = rest.split_at(length);
            commands.take(Numbers { data: own, big: header.big }, at)?;
            rest = next;
        }
        Ok(commands)
    }

    fn take(&mut self, command: Numbers<'_>, at: u64) -> Result<(), ImageError> {
        let kind = command.word(0);
        let is = |it: macho::LoadCommandType| kind == it.0;
        let loads = [
            macho::LC_LOAD_DYLIB,
            macho::LC_LOAD_WEAK_DYLIB,
            macho::LC_REEXPORT_DYLIB,
            macho::LC_LAZY_LOAD_DYLIB,
            macho::LC_LOAD_UPWARD_DYLIB,
            macho::LC_PREBOUND_DYLIB,
            macho::LC_LOADFVMLIB,
        ];
        if loads.into_iter().any(is) {
            let name = text(command, at)?;
            if is(macho::LC_LOAD_WEAK_DYLIB) {
                self.weak.push(name.clone());
            }
            self.needed.push(name);
        } else if is(macho::LC_RPATH) {
            self.rpath.push(text(command, at)?);
        } else if is(macho::LC_DYLD_ENVIRONMENT) {
            self.environment.push(text(command, at)?);
        } else if is(macho::LC_LOAD_DYLINKER) {
            once(&mut self.loader, text(command, at)?, at)?;
        } else if is(macho::LC_ID_DYLIB) {
            once(&mut self.id, text(command, at)?, at)?;
        } else if is(macho::LC_CODE_SIGNATURE) {
            self.signed = true;
        } else if let Some((platform, version)) = platform(command) {
            let known = self.platform.get_or_insert_with(|| (platform, dotted(version)));
            if known.0 != platform && !known.0.starts_with("mac") {
                return Err(ImageErrorKind::Twice.at(at));
            }
        }
        let names = self.needed.len() + self.rpath.len() + self.environment.len();
        if names > MAX_NAMES { Err(ImageErrorKind::TooMuch.at(at)) } else { Ok(()) }
    }
}

fn once(place: &mut Option<String>, value: String, at: u64) -> Result<(), ImageError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(ImageErrorKind::Twice.at(at)),
    }
}

/// Reads the text of a command: the word behind its head says where in the command it begins.
fn text(command: Numbers<'_>, at: u64) -> Result<String, ImageError> {
    let start = usize::try_from(command.word(8)).unwrap_or(usize::MAX);
    let data = command.data.get(start..).filter(|_| start >= 12);
    name_in(data.ok_or(ImageErrorKind::Name.at(at))?, at)
}

/// Reads for which system, and from which version on, if this command says it.
fn platform(command: Numbers<'_>) -> Option<(&'static str, u32)> {
    let kind = command.word(0);
    let old = [
        (macho::LC_VERSION_MIN_MACOSX, "macos"),
        (macho::LC_VERSION_MIN_IPHONEOS, "ios"),
        (macho::LC_VERSION_MIN_TVOS, "tvos"),
        (macho::LC_VERSION_MIN_WATCHOS, "watchos"),
    ];
    if let Some((_, word)) = old.iter().find(|it| kind == it.0.0) {
        return Some((word, command.word(8)));
    }
    (kind == macho::LC_BUILD_VERSION.0).then(|| {
        let names = [
            (macho::PLATFORM_MACOS, "macos"),
            (macho::PLATFORM_IOS, "ios"),
            (macho::PLATFORM_TVOS, "tvos"),
            (macho::PLATFORM_WATCHOS, "watchos"),
            (macho::PLATFORM_MACCATALYST, "maccatalyst"),
            (macho::PLATFORM_IOSSIMULATOR, "iossimulator"),
            (macho::PLATFORM_DRIVERKIT, "driverkit"),
            (macho::PLATFORM_VISIONOS, "visionos"),
        ];
        let number = command.word(8);
        let name = names.iter().find(|it| it.0.0 == number).map_or("other", |it| it.1);
        (name, command.word(12))
    })
}

/// `0x000d0100` as `13.1`; a third number where it is not 0.
fn dotted(version: u32) -> String {
    let [patch, minor, ..] = version.to_le_bytes();
    let patch = if patch == 0 { String::new() } else { format!(".{patch}") };
    format!("{}.{minor}{patch}", version >> 16)
}

/// Names the processor in Go's words (`GOARCH`), where Go has one.
fn machine(processor: u32) -> Option<&'static str> {
    let words = [
        (macho::CPU_TYPE_X86_64, "amd64"),
        (macho::CPU_TYPE_ARM64, "arm64"),
        (macho::CPU_TYPE_X86, "386"),
        (macho::CPU_TYPE_ARM, "arm"),
        (macho::CPU_TYPE_POWERPC64, "ppc64"),
    ];
    words.iter().find(|it| it.0.0 == processor).map(|it| it.1)
}
