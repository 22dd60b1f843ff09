//! What is inside a file that no loader completes: which C library, and which of its functions
//! look for `.so` files at run time.
//!
//! Program headers say nothing of this, so it is inference, and marked so. In this order:
//!
//! | mark | says | because |
//! |---|---|---|
//! | `NT_GNU_ABI_TAG` in a `PT_NOTE` | glibc | it is in glibc's `crt1.o`, which every program linked with glibc begins with; survives stripping |
//! | a Go build ID note, or Go's build info near the start of the writable data, and no `PT_TLS` | no C library | Go's own linker made it, and that links no archive of C; an external link always has thread-local storage for `runtime/cgo`. With `-buildid=` there is no note |
//! | `.symtab` defines `__libc_start_main` and `__init_libc` | musl | musl's start code, which is in each of its static programs |
//! | `.symtab` defines `__libc_start_main` and `_dl_relocate_static_pie` | glibc | the same of glibc, should its note be gone |
//! | no `.symtab`, the text `glibc.malloc.` | glibc | the names of glibc's tunables, there since 2.26 |
//! | no `.symtab`, the text `No error information` | musl | musl's `strerror` of 0, which `runtime/cgo` calls; a stripped musl program that never calls it goes unrecognised |
//!
//! Hazards are looked for in static files with glibc only: musl has no name service modules, and
//! its static `dlopen` fails always. A function of [`NAME_SERVICE`] that `.symtab` defines is a
//! hazard of basis `symbol`. Where the symbols are stripped, the text `/etc/nsswitch.conf` is one
//! of basis `text`: in glibc only the name service's own code reads that file.
//!
//! `dlopen` is left out: glibc 2.34 and later define it in *every* static program, `puts("hi")`
//! included, for their own use. Only the linker's warning tells that somebody else calls it.

use crate::formats::bytes::{self, ReadError};
use crate::formats::elf::header::{Image, Segment};
use crate::formats::linkage::{Hazard, HazardBasis, HazardKind, Libc};
use object::elf;

/// The functions of glibc that ask the name service, sorted; the linker warns about each of them.
///
/// # Source
///
/// glibc 2.36, `nss/getXXbyYY.c`, `nss/getXXbyYY_r.c`, `nss/getXXent_r.c`, `grp/initgroups.c`,
/// `posix/getaddrinfo.c` and their `link_warning` lines, plus `getnameinfo`, which calls them.
const NAME_SERVICE: [&str; 53] = [
    "getaddrinfo",
    "getaliasbyname",
    "getaliasbyname_r",
    "getaliasent",
    "getaliasent_r",
    "getgrent",
    "getgrent_r",
    "getgrgid",
    "getgrgid_r",
    "getgrnam",
    "getgrnam_r",
    "getgrouplist",
    "gethostbyaddr",
    "gethostbyaddr_r",
    "gethostbyname",
    "gethostbyname2",
    "gethostbyname2_r",
    "gethostbyname_r",
    "gethostent",
    "gethostent_r",
    "getnameinfo",
    "getnetbyaddr",
    "getnetbyaddr_r",
    "getnetbyname",
    "getnetbyname_r",
    "getnetent",
    "getnetent_r",
    "getprotobyname",
    "getprotobyname_r",
    "getprotobynumber",
    "getprotobynumber_r",
    "getprotoent",
    "getprotoent_r",
    "getpwent",
    "getpwent_r",
    "getpwnam",
    "getpwnam_r",
    "getpwuid",
    "getpwuid_r",
    "getrpcbyname",
    "getrpcbyname_r",
    "getrpcbynumber",
    "getrpcbynumber_r",
    "getservbyname",
    "getservbyname_r",
    "getservbyport",
    "getservbyport_r",
    "getservent",
    "getservent_r",
    "getspent",
    "getspnam",
    "getspnam_r",
    "initgroups",
];

/// Functions that glibc's own code brings along: the first is no sign of a caller where one of the
/// others is defined.
const BROUGHT_ALONG: [(&str, &[&str]); 11] = [
    ("gethostbyaddr_r", &["getnameinfo", "gethostbyaddr"]),
    ("gethostbyname2_r", &["getaddrinfo", "gethostbyname2"]),
    ("gethostbyname_r", &["getnameinfo", "gethostbyname"]),
    ("getservbyname_r", &["getaddrinfo", "getservbyname"]),
    ("getservbyport_r", &["getnameinfo", "getservbyport"]),
    ("getgrgid_r", &["getgrgid"]),
    ("getgrnam_r", &["getgrnam"]),
    ("getpwnam_r", &["getpwnam"]),
    ("getpwuid_r", &["getpwuid"]),
    ("initgroups", &["getgrouplist"]),
    ("getspnam_r", &["getspnam"]),
];

/// What Go's build info begins with.
///
/// # Source
///
/// `buildInfoMagic` in Go's `debug/buildinfo/buildinfo.go`.
const GO_BUILD_INFO: &[u8] = b"\xff Go buildinf:";

/// How far into the writable data it is looked for. Go's own linker begins the data with it
/// (`.go.buildinfo` in `cmd/link/internal/ld/data.go`).
const NEAR: u64 = 4096;

/// The most bytes of one note segment that are looked at.
const MAX_NOTES: u64 = 65536;

/// The most symbols that are looked at; the largest programs known have a third of it.
const MAX_SYMBOLS: u64 = 4 << 20;

/// What the marks say.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) libc: Option<Libc>,
    pub(super) hazards: Vec<Hazard>,
}

#[derive(Default)]
struct Notes {
    glibc: bool,
    go: bool,
}

/// What `.symtab` defines, of the names that matter here.
#[derive(Default)]
struct Defined {
    name_service: Vec<&'static str>,
    start: bool,
    musl: bool,
    glibc: bool,
}

/// Looks for the marks in a static file.
///
/// What is broken in the parts that only this looks at counts as absent: it changes no verdict.
pub(super) fn marks(image: &Image<'_>) -> Marks {
    let notes = notes(image);
    let is_go = || image.segment(elf::PT_TLS.0).is_none() && (notes.go || has_build_info(image));
    if !notes.glibc && is_go() {
        return Marks::default();
    }
    let defined = symbols(image);
    let libc = match &defined {
        _ if notes.glibc => Some(Libc::Glibc),
        Some(it) if it.start && it.musl => Some(Libc::Musl),
        Some(it) if it.start && it.glibc => Some(Libc::Glibc),
        None if holds(image, b"glibc.malloc.") => Some(Libc::Glibc),
        None if holds(image, b"No error information") => Some(Libc::Musl),
        _ => None,
    };
    let hazards = match &defined {
        _ if libc != Some(Libc::Glibc) => Vec::new(),
        Some(defined) => from_symbols(&defined.name_service),
        None if holds(image, b"/etc/nsswitch.conf") => {
            let symbol = "nsswitch.conf".to_owned();
            vec![Hazard { kind: HazardKind::Nss, symbol, basis: HazardBasis::Text }]
        }
        None => Vec::new(),
    };
    Marks { libc, hazards }
}

/// Tells whether writable data begins as Go's own linker begins it.
fn has_build_info(image: &Image<'_>) -> bool {
    let is_data = |it: &&Segment| it.kind == elf::PT_LOAD.0 && it.flags & elf::PF_W.0 != 0;
    let holds = |it: &Segment| {
        let near = it.offset..it.offset.saturating_add(it.file_size.min(NEAR));
        matches!(bytes::find(image.bytes, near, GO_BUILD_INFO, |_| true), Ok(Some(_)))
    };
    image.segments.iter().filter(is_data).any(holds)
}

fn from_symbols(defined: &[&str]) -> Vec<Hazard> {
    let called = |name: &str| {
        let by = BROUGHT_ALONG.iter().find(|it| it.0 == name).map_or(&[][..], |it| it.1);
        !by.iter().any(|it| defined.contains(it))
    };
    let hazard = |name: &&str| Hazard {
        kind: HazardKind::Nss,
        symbol: (*name).to_owned(),
        basis: HazardBasis::Symbol,
    };
    defined.iter().filter(|it| called(it)).map(hazard).collect()
}

fn notes(image: &Image<'_>) -> Notes {
    let mut notes = Notes::default();
    for segment in image.segments.iter().filter(|it| it.kind == elf::PT_NOTE.0).take(16) {
        let Ok(data) = image.read(segment.offset, segment.file_size.min(MAX_NOTES)) else {
            continue;
        };
        let mut rest = &*data;
        while rest.len() >= 12 {
            let word = |at: usize| image.layout.word(rest, at);
            let (name_size, text_size, kind) = (word(0) as usize, word(4) as usize, word(8));
            let name = rest.get(12..).and_then(|it| it.get(..name_size));
            let Some(name) = name else { break };
            notes.glibc |= name == b"GNU\0" && kind == elf::NT_GNU_ABI_TAG.0;
            notes.go |= name == b"Go\0\0";
            // Each part is padded to four bytes; so is the one kind of note padded to eight, whose
            // text is a multiple of eight already.
            let padded =
                name_size.next_multiple_of(4).saturating_add(text_size.next_multiple_of(4));
            let Some(next) = rest.get(padded.saturating_add(12)..) else { break };
            rest = next;
        }
    }
    notes
}

/// Reads `.symtab`; `None` if there is none that can be read.
fn symbols(image: &Image<'_>) -> Option<Defined> {
    let layout = image.layout;
    let (table, size, count) = image.sections;
    let entry: u64 = if layout.wide { 64 } else { 40 };
    if table == 0 || size != entry {
        return None;
    }
    let section = |data: &[u8]| {
        let offset = layout.address(data, 16, 24);
        (layout.word(data, 4), offset, layout.address(data, 20, 32))
    };
    // With 65,280 sections and more, the count is the first section's size.
    let count = if count > 0 {
        count
    } else {
        section(&image.read(table, entry).ok()?).2.min(image.bytes.size() / entry)
    };
    let headers = image.read(table, entry.checked_mul(count)?).ok()?;
    let mut headers = headers.chunks_exact(usize::try_from(entry).ok()?);
    let all = headers.clone();
    let found = headers.find(|it| layout.word(it, 4) == elf::SHT_SYMTAB.0)?;
    let link = layout.word(found, if layout.wide { 40 } else { 24 });
    let (_, offset, size) = section(all.clone().nth(usize::try_from(link).ok()?)?);
    let names = image.read(offset, size).ok()?;
    let (_, offset, size) = section(found);
    Some(defined(image, &image.read(offset, size).ok()?, &names))
}

fn defined(image: &Image<'_>, symbols: &[u8], names: &[u8]) -> Defined {
    let layout = image.layout;
    let (entry, info_at, section_at) = if layout.wide { (24, 4, 6) } else { (16, 12, 14) };
    let mut defined = Defined::default();
    let most = usize::try_from(MAX_SYMBOLS).unwrap_or(usize::MAX);
    for symbol in symbols.chunks_exact(entry).take(most) {
        let info = symbol.get(info_at).copied().unwrap_or(0);
        let is_function = matches!(info & 0xf, 2 | 10);
        let is_global = matches!(info >> 4, 1 | 2);
        if !is_function || layout.half(symbol, section_at) == 0 {
            continue;
        }
        let name = names.get(layout.word(symbol, 0) as usize..).unwrap_or(&[]);
        match name {
            // It is hidden, which lld makes local.
            [b'_', b'_', b'i', ..] => defined.musl |= name.starts_with(b"__init_libc\0"),
            _ if !is_global => {}
            [b'_', b'_', b'l', ..] => defined.start |= name.starts_with(b"__libc_start_main\0"),
            [b'_', b'd', ..] => defined.glibc |= name.starts_with(b"_dl_relocate_static_pie\0"),
            [b'g', b'e', b't', ..] | [b'i', b'n', b'i', ..] => {
                let name =
                    name.get(..name.len().min(24)).and_then(|it| it.split(|it| *it == 0).next());
                let name = name.and_then(|it| std::str::from_utf8(it).ok()).unwrap_or("");
                if let Ok(index) = NAME_SERVICE.binary_search(&name) {
                    defined.name_service.push(NAME_SERVICE[index]);
                }
            }
            _ => {}
        }
    }
    defined.name_service.sort_unstable();
    defined.name_service.dedup();
    defined
}

/// Tells whether `text` occurs anywhere in the file.
fn holds(image: &Image<'_>, text: &[u8]) -> bool {
    let found: Result<Option<u64>, ReadError> =
        bytes::find(image.bytes, 0..u64::MAX, text, |_| true);
    matches!(found, Ok(Some(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_service_functions_are_sorted_and_what_brings_along_is_one_of_them() {
        assert!(NAME_SERVICE.is_sorted());
        for (name, by) in BROUGHT_ALONG {
            assert!(NAME_SERVICE.binary_search(&name).is_ok(), "{name}");
            for name in by {
                assert!(NAME_SERVICE.binary_search(name).is_ok(), "{name}");
            }
        }
    }

    #[test]
    fn what_getaddrinfo_brings_along_is_not_told_beside_it() {
        let names = |defined: &[&str]| {
            from_symbols(defined).into_iter().map(|it| it.symbol).collect::<Vec<_>>()
        };
        assert_eq!(names(&["getaddrinfo", "gethostbyname2_r"]), ["getaddrinfo"]);
        assert_eq!(names(&["gethostbyname2_r"]), ["gethostbyname2_r"]);
    }
}
