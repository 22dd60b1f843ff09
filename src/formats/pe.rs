//! Reads from a PE file how it is linked: headers, the import table and the table of delayed
//! imports, which are what Windows' loader reads. `docs/linkage.md` explains each field.
//!
//! | class | shown by | because |
//! |---|---|---|
//! | `system_libraries` | a program that imports from Windows' own DLLs alone, or from none | `ntdll.dll` is in every process, and Windows has no other stable interface |
//! | `dynamic` | a program that imports from others | the loader looks for them |
//! | `shared` | `IMAGE_FILE_DLL` | |
//! | `not_executable` | no `IMAGE_FILE_EXECUTABLE_IMAGE` | the loader refuses it |
//!
//! What a program loads by itself while it runs (`LoadLibrary`, which Go's `syscall` uses for most
//! of Windows) does not show.
//!
//! **Invariants:** no input makes it panic; no allocation is larger than the file.
//!
//! # Source
//!
//! Microsoft, "PE Format".

use crate::formats::bytes::Bytes;
use crate::formats::image::{
    ImageError, ImageErrorKind, MAX_NAMES, Numbers, name as name_in, read,
};
use crate::formats::linkage::{Class, Linkage, PeFacts};
use object::pe;

/// The longest name of a DLL that is read.
const MAX_NAME: u64 = 1024;

/// The size of a page: images whose sections are not aligned to it are mapped as they lie.
const PAGE: u64 = 4096;

/// DLLs that are part of Windows, without their extension.
///
/// # Source
///
/// The registry's `KnownDLLs` of Windows 10 and Server 2022, and what Go's `syscall`,
/// `golang.org/x/sys/windows` and mingw-w64's import libraries name of `System32`.
const WINDOWS: [&str; 66] = [
    "advapi32",
    "authz",
    "avrt",
    "bcrypt",
    "bcryptprimitives",
    "cfgmgr32",
    "combase",
    "comctl32",
    "comdlg32",
    "credui",
    "crypt32",
    "cryptbase",
    "d3d11",
    "dbghelp",
    "dnsapi",
    "dwmapi",
    "dxgi",
    "fwpuclnt",
    "gdi32",
    "gdi32full",
    "gdiplus",
    "hid",
    "imagehlp",
    "imm32",
    "iphlpapi",
    "kernel32",
    "kernelbase",
    "mpr",
    "msimg32",
    "msvcrt",
    "mswsock",
    "ncrypt",
    "netapi32",
    "normaliz",
    "ntdll",
    "ole32",
    "oleacc",
    "oleaut32",
    "opengl32",
    "pdh",
    "powrprof",
    "profapi",
    "propsys",
    "psapi",
    "rpcrt4",
    "sechost",
    "secur32",
    "setupapi",
    "shcore",
    "shell32",
    "shlwapi",
    "ucrtbase",
    "user32",
    "userenv",
    "usp10",
    "uxtheme",
    "version",
    "win32u",
    "winhttp",
    "wininet",
    "winmm",
    "winspool",
    "wintrust",
    "wldap32",
    "ws2_32",
    "wtsapi32",
];

/// Reads the linkage of `bytes`, a PE file.
///
/// # Errors
///
/// Returns [`ImageError`] if what it says of itself cannot be true.
pub fn linkage_of(bytes: &dyn Bytes) -> Result<Linkage, ImageError> {
    let image = Image::read(bytes)?;
    let needed = image.imports(pe::IMAGE_DIRECTORY_ENTRY_IMPORT, DIRECT)?;
    let delayed = image.imports(pe::IMAGE_DIRECTORY_ENTRY_DELAY_IMPORT, DELAYED)?;
    let new = |it: &&String| !needed.iter().any(|known| known.eq_ignore_ascii_case(it));
    let all: Vec<_> = needed.iter().chain(delayed.iter().filter(new)).cloned().collect();
    let class = if !image.has(pe::IMAGE_FILE_EXECUTABLE_IMAGE) {
        Class::NotExecutable
    } else if image.has(pe::IMAGE_FILE_DLL) {
        Class::Shared
    } else if all.iter().all(|it| is_windows(it)) {
        Class::SystemLibraries
    } else {
        Class::Dynamic
    };
    let allows = |it: pe::DllFlags| image.allows & it.0 != 0;
    let moves = allows(pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE);
    Ok(Linkage {
        machine: machine(image.machine).map(str::to_owned),
        needed: all,
        pie: class != Class::Shared && moves && !image.has(pe::IMAGE_FILE_RELOCS_STRIPPED),
        nx: allows(pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT),
        pe: Some(PeFacts {
            subsystem: subsystem(image.subsystem).to_owned(),
            delayed,
            high_entropy: allows(pe::IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA),
            guard_cf: allows(pe::IMAGE_DLLCHARACTERISTICS_GUARD_CF),
            signed: image.directory(pe::IMAGE_DIRECTORY_ENTRY_SECURITY).is_some(),
        }),
        ..Linkage::of_class(class, "pe")
    })
}

/// Tells whether a DLL is part of Windows.
#[must_use]
pub fn is_windows(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let stem = name.strip_suffix(".dll").or_else(|| name.strip_suffix(".drv"));
    stem.is_some_and(|it| {
        WINDOWS.contains(&it) || it.starts_with("api-ms-win-") || it.starts_with("ext-ms-win-")
    })
}

/// How a list of imports is laid out.
#[derive(Clone, Copy)]
struct List {
    entry: u64,
    /// Where in an entry the name's address stands.
    name: usize,
    /// Where the address of the table stands that the loader fills; the list ends where it is 0.
    table: usize,
    /// Whether old files give addresses there that count from 0, and how that is told.
    absolute: bool,
}

const DIRECT: List = List { entry: 20, name: 12, table: 16, absolute: false };
const DELAYED: List = List { entry: 32, name: 4, table: 12, absolute: true };

struct Section {
    address: u64,
    offset: u64,
    size: u64,
}

struct Image<'a> {
    bytes: &'a dyn Bytes,
    machine: u16,
    characteristics: u16,
    subsystem: u16,
    allows: u16,
    base: u64,
    /// Address and size of each data directory.
    directories: Vec<(u64, u64)>,
    sections: Vec<Section>,
    /// How much of the file's start is mapped as it lies.
    headers: u64,
}

impl<'a> Image<'a> {
    fn read(bytes: &'a dyn Bytes) -> Result<Self, ImageError> {
        let number = |data: &[u8], at, size| Numbers { data, big: false }.number(at, size);
        // `magic::format` has seen the marks.
        let start = number(&read(bytes, 0x3c, 4)?, 0, 4);
        let file = read(bytes, start, 24)?;
        let optional = read(bytes, start + 24, number(&file, 20, 2))?;
        let header = Numbers { data: &optional, big: false };
        let (wide, at) = match header.half(0) {
            pe::IMAGE_NT_OPTIONAL_HDR64_MAGIC => (true, 108),
            pe::IMAGE_NT_OPTIONAL_HDR32_MAGIC => (false, 92),
            _ => return Err(ImageErrorKind::Header.at(start + 24)),
        };
        let count = usize::from(header.half(at)).min(16);
        if optional.len() < at + 4 || header.word(at) > 0xffff {
            return Err(ImageErrorKind::Header.at(start + 24 + at as u64));
        }
        let directory = |it: &[u8]| (number(it, 0, 4), number(it, 4, 4));
        let directories = optional.get(at + 4..).unwrap_or(&[]).chunks_exact(8).take(count);
        let as_it_lies = header.number(32, 4) < PAGE;
        let table = start + 24 + optional.len() as u64;
        let sections = read(bytes, table, 40 * number(&file, 6, 2))?;
        let section = |it: &[u8]| Section {
            address: number(it, 12, 4),
            // The loader reads whole sectors.
            offset: number(it, 20, 4) & !511,
            size: number(it, 16, 4),
        };
        Ok(Self {
            bytes,
            machine: Numbers { data: &file, big: false }.half(4),
            characteristics: Numbers { data: &file, big: false }.half(22),
            subsystem: header.half(68),
            allows: header.half(70),
            base: if wide { header.number(24, 8) } else { header.number(28, 4) },
            directories: directories.map(directory).collect(),
            sections: if as_it_lies {
                Vec::new()
            } else {
                sections.chunks_exact(40).map(section).collect()
            },
            headers: if as_it_lies { bytes.size() } else { header.number(60, 4) },
        })
    }

    fn has(&self, flag: pe::FileFlags) -> bool {
        self.characteristics & flag.0 != 0
    }

    fn directory(&self, index: usize) -> Option<(u64, u64)> {
        self.directories.get(index).copied().filter(|it| it.0 != 0)
    }

    /// Returns where in the file the byte at `address` comes from, and how many follow it there.
    fn place(&self, address: u64) -> Result<(u64, u64), ImageError> {
        if address < self.headers {
            let left = self.headers.min(self.bytes.size()).checked_sub(address);
            return Ok((address, left.ok_or(ImageErrorKind::Truncated.at(address))?));
        }
        let inside = |it: &Section| {
            let inside = address.checked_sub(it.address).filter(|inside| *inside < it.size)?;
            Some((it.offset + inside, it.size - inside))
        };
        let mut found = self.sections.iter().filter_map(inside);
        let first = found.next().ok_or(ImageErrorKind::Unmapped.at(address))?;
        // Sections that overlap: which one counts is for the loader to know.
        if found.any(|it| it.0 != first.0) {
            return Err(ImageErrorKind::Ambiguous.at(address));
        }
        Ok(first)
    }

    /// Reads the names of the DLLs that a list names, each once, in its order.
    fn imports(&self, index: usize, list: List) -> Result<Vec<String>, ImageError> {
        let Some((mut address, _)) = self.directory(index) else { return Ok(Vec::new()) };
        let mut names: Vec<String> = Vec::new();
        for _ in 0..=MAX_NAMES {
            let (offset, _) = self.place(address)?;
            let data = read(self.bytes, offset, list.entry)?;
            let entry = Numbers { data: &data, big: false };
            let (name, table) = (entry.word(list.name), entry.word(list.table));
            match (name, table) {
                (0, _) => return Ok(names),
                // Windows stops here, and others go on.
                (_, 0) => return Err(ImageErrorKind::Ambiguous.at(offset)),
                _ => {}
            }
            let is_relative = !list.absolute || entry.word(0) & 1 != 0;
            let name = u64::from(name);
            let name = if is_relative { Some(name) } else { name.checked_sub(self.base) };
            let (at, left) = self.place(name.ok_or(ImageErrorKind::Unmapped.at(offset))?)?;
            let left = left.min(self.bytes.size().saturating_sub(at)).min(MAX_NAME);
            let name = name_in(&read(self.bytes, at, left)?, at)?;
            if !names.iter().any(|it| it.eq_ignore_ascii_case(&name)) {
                names.push(name);
            }
            address += list.entry;
        }
        Err(ImageErrorKind::TooMuch.at(address))
    }
}

fn subsystem(number: u16) -> &'static str {
    let words = [
        (pe::IMAGE_SUBSYSTEM_NATIVE, "native"),
        (pe::IMAGE_SUBSYSTEM_WINDOWS_GUI, "windows"),
        (pe::IMAGE_SUBSYSTEM_WINDOWS_CUI, "console"),
        (pe::IMAGE_SUBSYSTEM_EFI_APPLICATION, "efi"),
        (pe::IMAGE_SUBSYSTEM_EFI_BOOT_SERVICE_DRIVER, "efi"),
        (pe::IMAGE_SUBSYSTEM_EFI_RUNTIME_DRIVER, "efi"),
    ];
    words.iter().find(|it| it.0.0 == number).map_or("other", |it| it.1)
}

/// Names the machine in Go's words (`GOARCH`), where Go has one.
fn machine(number: u16) -> Option<&'static str> {
    let words = [
        (pe::IMAGE_FILE_MACHINE_AMD64, "amd64"),
        (pe::IMAGE_FILE_MACHINE_ARM64, "arm64"),
        (pe::IMAGE_FILE_MACHINE_I386, "386"),
        (pe::IMAGE_FILE_MACHINE_ARMNT, "arm"),
    ];
    words.iter().find(|it| it.0.0 == number).map(|it| it.1)
}
