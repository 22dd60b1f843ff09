//! Mach-O and PE: real programs and made ones, judged by `llvm-readobj` too; and files made to fool
//! or to break the readers, each an error with an offset, soon.

use crate::support::has;
use crate::truth_table::sample_files;
use linkwright::formats::image::{ImageError, ImageErrorKind};
use linkwright::formats::inspection::{Unjudged, inspect, linkage_of};
use linkwright::formats::linkage::{Class, Linkage};
use linkwright::model::strategy::Promise;
use linkwright::plan::verify::verify;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const SYSTEM: &str = "/usr/lib/libSystem.B.dylib";
const LOAD_DYLIB: u32 = 0xc;
const ID_DYLIB: u32 = 0xd;
const LOAD_DYLINKER: u32 = 0xe;
const WEAK_DYLIB: u32 = 0x8000_0018;
const RPATH: u32 = 0x8000_001c;
const SIGNATURE: u32 = 0x1d;
const ENVIRONMENT: u32 = 0x27;
const BUILD_VERSION: u32 = 0x32;

fn judge(image: &[u8]) -> Result<Linkage, ImageError> {
    linkage_of(&image).map_err(|error| match error {
        Unjudged::Image(error) => error,
        Unjudged::Elf(error) => panic!("{error}"),
    })
}

/// Writes Mach-O files for `arm64`, or for big-endian `ppc64`.
#[derive(Clone)]
struct MachO {
    big: bool,
    kind: u32,
    flags: u32,
    commands: Vec<Vec<u8>>,
}

impl MachO {
    fn program() -> Self {
        let mut this = Self { big: false, kind: 2, flags: 0x20_0085, commands: Vec::new() };
        this.text(LOAD_DYLINKER, 12, "/usr/lib/dyld");
        this.text(LOAD_DYLIB, 24, SYSTEM);
        this
    }

    fn put(&self, number: u32) -> [u8; 4] {
        if self.big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    /// A command with a text at `offset`, padded to eight bytes.
    fn text(&mut self, kind: u32, offset: u32, text: &str) -> &mut Self {
        let mut body = self.put(offset).to_vec();
        body.resize(usize::try_from(offset).unwrap() - 8, 0);
        body.extend(text.as_bytes());
        body.push(0);
        body.resize((body.len() + 8).next_multiple_of(8) - 8, 0);
        self.command(kind, &body)
    }

    fn command(&mut self, kind: u32, body: &[u8]) -> &mut Self {
        let size = u32::try_from(body.len() + 8).unwrap();
        let command = [&self.put(kind)[..], &self.put(size), body].concat();
        self.commands.push(command);
        self
    }

    fn image(&self) -> Vec<u8> {
        let processor = if self.big { 0x0100_0012 } else { 0x0100_000c };
        let size: usize = self.commands.iter().map(Vec::len).sum();
        let (count, size) = (self.commands.len().try_into().unwrap(), size.try_into().unwrap());
        let words = [0xfeed_facf, processor, 0, self.kind, count, size, self.flags, 0];
        let mut image: Vec<u8> = words.iter().flat_map(|it| self.put(*it)).collect();
        image.extend(self.commands.concat());
        image
    }
}

/// Joins images into a universal file; `processors` is what its list says of them.
fn universal(images: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let (mut table, mut data) = (Vec::new(), Vec::new());
    let start = 4096;
    for (processor, image) in images {
        let offset = start + data.len();
        for number in
            [*processor, 0, offset.try_into().unwrap(), image.len().try_into().unwrap(), 12]
        {
            table.extend(u32::to_be_bytes(number));
        }
        data.extend(image);
        data.resize(data.len().next_multiple_of(4096), 0);
    }
    let count = u32::try_from(images.len()).unwrap();
    let mut file = [&[0xca, 0xfe, 0xba, 0xbe][..], &count.to_be_bytes(), &table].concat();
    file.resize(start, 0);
    file.extend(data);
    file
}

/// Writes PE files: headers, then one section at address 0x1000 with the imports.
#[derive(Clone)]
struct Pe {
    wide: bool,
    characteristics: u16,
    allows: u16,
    imports: Vec<&'static str>,
    delayed: Vec<&'static str>,
}

const RVA: u32 = 0x1000;
const RAW: usize = 0x400;

impl Pe {
    fn program(imports: &[&'static str]) -> Self {
        let imports = imports.to_vec();
        Self { wide: true, characteristics: 0x22, allows: 0x160, imports, delayed: Vec::new() }
    }

    /// Both lists, then the names and for each library an empty table of functions.
    fn section(&self) -> (Vec<u8>, u32) {
        let lists = 20 * (self.imports.len() + 1) + 32 * (self.delayed.len() + 1);
        let mut names = Vec::new();
        let mut address = |name: &str| {
            let place = RVA + u32::try_from(lists + names.len()).unwrap();
            names.extend(name.as_bytes());
            names.push(0);
            place
        };
        let (mut section, table) = (Vec::new(), address(&"\0".repeat(15)));
        for name in &self.imports {
            let words = [table, 0, 0, address(name), table];
            section.extend(words.iter().flat_map(|it| it.to_le_bytes()));
        }
        section.extend([0; 20]);
        let delayed = u32::try_from(section.len()).unwrap();
        for name in &self.delayed {
            let words = [1, address(name), table, table, table, 0, 0, 0];
            section.extend(words.iter().flat_map(|it| it.to_le_bytes()));
        }
        section.extend([0; 32]);
        section.extend(names);
        (section, RVA + delayed)
    }

    fn image(&self) -> Vec<u8> {
        let (mut section, delayed) = self.section();
        let size = u32::try_from(section.len()).unwrap();
        section.resize(section.len().next_multiple_of(512), 0);
        let raw = u32::try_from(section.len()).unwrap();
        let mut image = b"MZ".to_vec();
        image.resize(0x3c, 0);
        image.extend([0x40, 0, 0, 0]);
        image.extend(b"PE\0\0");
        let (machine, optional) = if self.wide { (0x8664_u16, 240_u16) } else { (0x14c, 224) };
        for half in [machine, 1, 0, 0, 0, 0, 0, 0, optional, self.characteristics] {
            image.extend(half.to_le_bytes());
        }
        let mut header = vec![0; usize::from(optional)];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &if self.wide { 0x20b_u16 } else { 0x10b }.to_le_bytes());
        for (at, word) in [(32, 0x1000), (36, 0x200), (56, 0x3000), (60, 0x400_u32)] {
            put(at, &word.to_le_bytes());
        }
        put(68, &3_u16.to_le_bytes());
        put(70, &self.allows.to_le_bytes());
        let count = if self.wide { 108 } else { 92 };
        put(count, &16_u32.to_le_bytes());
        for (index, address) in [(1, RVA), (13, delayed)] {
            put(count + 4 + 8 * index, &address.to_le_bytes());
            put(count + 8 + 8 * index, &64_u32.to_le_bytes());
        }
        image.extend(header);
        image.extend(b".idata\0\0");
        for word in [size, RVA, raw, RAW.try_into().unwrap(), 0, 0, 0, 0xc000_0040_u32] {
            image.extend(word.to_le_bytes());
        }
        image.resize(RAW, 0);
        image.extend(section);
        image
    }
}

#[test]
fn the_class_of_a_mach_o_file_follows_its_libraries() {
    let class = |change: fn(&mut MachO)| {
        let mut made = MachO::program();
        change(&mut made);
        judge(&made.image()).unwrap().class
    };
    let with = |library: &str| {
        judge(&MachO::program().text(LOAD_DYLIB, 24, library).image()).unwrap().class
    };
    assert_eq!(class(|_| ()), Class::SystemLibraries);
    assert_eq!(
        with("/System/Library/Frameworks/Security.framework/Security"),
        Class::SystemLibraries
    );
    for other in ["/usr/local/lib/libz.dylib", "/usr/lib/../local/lib/x", "@rpath/x", "libz.dylib"]
    {
        assert_eq!(with(other), Class::Dynamic, "{other}");
    }
    assert_eq!(class(|it| it.commands.truncate(1)), Class::NeedsLoader);
    assert_eq!(class(|it| it.commands.clear()), Class::StaticPie);
    assert_eq!(class(|it| (it.flags, it.commands) = (5, Vec::new())), Class::Static);
    assert_eq!(class(|it| drop(it.commands.remove(0))), Class::Dynamic);
    assert_eq!(class(|it| it.kind = 6), Class::Shared);
    assert_eq!(class(|it| it.kind = 1), Class::NotExecutable);
}

#[test]
fn every_fact_of_a_mach_o_file_is_read_in_both_byte_orders() {
    for big in [false, true] {
        let mut made = MachO { big, ..MachO::program() };
        made.commands.clear();
        made.text(LOAD_DYLINKER, 12, "/usr/lib/dyld").text(
            WEAK_DYLIB,
            24,
            "/usr/lib/libweak.dylib",
        );
        made.text(RPATH, 12, "@executable_path/../lib").text(ENVIRONMENT, 12, "DYLD_X=/opt");
        made.text(ID_DYLIB, 24, "@rpath/own.dylib");
        let version: Vec<u8> =
            [1, 0x000d_0102, 0, 0].into_iter().flat_map(|it| made.put(it)).collect();
        made.command(BUILD_VERSION, &version).command(SIGNATURE, &[0; 8]);
        let linkage = judge(&made.image()).unwrap();
        let facts = linkage.mach_o.as_ref().unwrap();
        assert_eq!(linkage.machine.as_deref(), Some(if big { "ppc64" } else { "arm64" }));
        assert_eq!(linkage.interpreter.as_deref(), Some("/usr/lib/dyld"));
        assert_eq!(linkage.needed, ["/usr/lib/libweak.dylib"]);
        assert_eq!(facts.weak, linkage.needed);
        assert_eq!(linkage.rpath, ["@executable_path/../lib"]);
        assert_eq!(linkage.audit, ["DYLD_X=/opt"]);
        assert_eq!(linkage.soname.as_deref(), Some("@rpath/own.dylib"));
        assert_eq!(facts.platform.as_deref(), Some("macos"));
        assert_eq!(facts.minimum_os.as_deref(), Some("13.1.2"));
        assert!(facts.signed && linkage.pie && linkage.nx);
        made.flags |= 0x20000;
        assert!(!judge(&made.image()).unwrap().nx);
    }
}

#[test]
fn a_universal_file_is_as_weak_as_its_weakest_part() {
    let (arm, ppc) = (0x0100_000c, 0x0100_0012);
    let good = MachO::program().image();
    let mut big = MachO { big: true, ..MachO::program() };
    big.commands.clear();
    big.text(LOAD_DYLINKER, 12, "/usr/lib/dyld").text(LOAD_DYLIB, 24, "@rpath/libz.dylib");
    let both = [(arm, good.clone()), (ppc, big.image())];
    let linkage = judge(&universal(&both)).unwrap();
    assert_eq!((linkage.class, linkage.machine.as_deref()), (Class::Dynamic, None));
    let needed: std::collections::BTreeSet<_> = linkage.needed.iter().map(String::as_str).collect();
    assert_eq!(needed, [SYSTEM, "@rpath/libz.dylib"].into());
    let parts: Vec<_> = linkage.parts.iter().map(|it| (it.machine.as_deref(), it.class)).collect();
    assert_eq!(parts, [(Some("arm64"), Class::SystemLibraries), (Some("ppc64"), Class::Dynamic)]);

    let kind = |file: &[u8]| judge(file).unwrap_err().kind;
    assert_eq!(kind(&universal(&[])), ImageErrorKind::Parts);
    // The list says one processor, the part another.
    assert_eq!(kind(&universal(&[(ppc, good.clone())])), ImageErrorKind::Parts);
    assert_eq!(kind(&universal(&[(arm, universal(&both))])), ImageErrorKind::Parts);
    let mut same = universal(&[(arm, good.clone()), (arm, good)]);
    same.copy_within(8 + 8..8 + 12, 28 + 8);
    assert_eq!(kind(&same), ImageErrorKind::Parts);
    same[28 + 8] = 0xff;
    assert_eq!(kind(&same), ImageErrorKind::Truncated);
}

#[test]
fn a_mach_o_file_that_cannot_be_so_is_an_error() {
    let kind = |change: fn(&mut MachO)| {
        let mut made = MachO::program();
        change(&mut made);
        judge(&made.image()).unwrap_err().kind
    };
    let twice = |it: &mut MachO| {
        it.text(LOAD_DYLINKER, 12, "/opt/dyld");
    };
    assert_eq!(kind(twice), ImageErrorKind::Twice);
    // Longer than the commands, shorter than a command, not aligned.
    for size in [0, 4, 57, 0x7fff_fff0] {
        let mut made = MachO::program();
        made.commands[1][4..8].copy_from_slice(&u32::to_le_bytes(size));
        assert_eq!(judge(&made.image()).unwrap_err().kind, ImageErrorKind::CommandSize, "{size}");
    }
    // Its name begins in its head, behind it, or has no end.
    assert_eq!(kind(|it| it.commands[1][8] = 4), ImageErrorKind::Name);
    assert_eq!(kind(|it| it.commands[1][8] = 0xff), ImageErrorKind::Name);
    assert_eq!(kind(|it| it.commands[1][24..].fill(b'x')), ImageErrorKind::Name);
    let mut image = MachO::program().image();
    image[20..24].fill(0xff);
    assert_eq!(judge(&image).unwrap_err().kind, ImageErrorKind::Truncated);
    let mut many = MachO::program();
    for _ in 0..5000 {
        many.text(LOAD_DYLIB, 24, SYSTEM);
    }
    assert_eq!(judge(&many.image()).unwrap_err().kind, ImageErrorKind::TooMuch);
}

#[test]
fn the_class_of_a_pe_file_follows_its_imports() {
    for wide in [true, false] {
        let class = |imports: &[&'static str], delayed: &[&'static str]| {
            let made = Pe { wide, delayed: delayed.to_vec(), ..Pe::program(imports) };
            judge(&made.image()).unwrap().class
        };
        let own = ["KERNEL32.dll", "api-ms-win-crt-runtime-l1-1-0.dll", "WINSPOOL.DRV"];
        assert_eq!(class(&own, &["ws2_32.dll"]), Class::SystemLibraries);
        assert_eq!(class(&[], &[]), Class::SystemLibraries);
        assert_eq!(class(&["kernel32.dll"], &["libstdc++-6.dll"]), Class::Dynamic);
        assert_eq!(class(&["kernel32.dll.dll"], &[]), Class::Dynamic);
        assert_eq!(class(&["kernel32"], &[]), Class::Dynamic);
    }
    let delayed = vec!["WS2_32.dll", "Kernel32.DLL"];
    let made = Pe { delayed, characteristics: 0x23, ..Pe::program(&["kernel32.dll"]) };
    let linkage = judge(&made.image()).unwrap();
    assert_eq!(linkage.needed, ["kernel32.dll", "WS2_32.dll"]);
    let facts = linkage.pe.unwrap();
    assert_eq!((&*facts.subsystem, facts.delayed.len()), ("console", 2));
    // Without its relocations it cannot be moved, whatever it allows.
    assert!(linkage.nx && facts.high_entropy && !linkage.pie && !facts.signed);
    let class =
        |characteristics| judge(&Pe { characteristics, ..Pe::program(&[]) }.image()).unwrap().class;
    assert_eq!(class(0x2022), Class::Shared);
    assert_eq!(class(0x20), Class::NotExecutable);
}

#[test]
fn a_pe_file_that_cannot_be_so_is_an_error() {
    let image = Pe::program(&["kernel32.dll"]).image();
    let kind = |at: usize, bytes: &[u8]| {
        let mut image = image.clone();
        image[at..at + bytes.len()].copy_from_slice(bytes);
        judge(&image).unwrap_err().kind
    };
    let optional = 0x40 + 24;
    assert_eq!(kind(optional, &[0x07, 0x01]), ImageErrorKind::Header);
    assert_eq!(kind(0x40 + 20, &[16, 0]), ImageErrorKind::Header);
    assert_eq!(kind(0x40 + 20, &[0xff, 0xff]), ImageErrorKind::Truncated);
    // The list of imports lies nowhere; a name lies nowhere, or has no end.
    assert_eq!(kind(optional + 108 + 4 + 8, &[0, 0, 0x70, 0]), ImageErrorKind::Unmapped);
    assert_eq!(kind(RAW + 12, &[0, 0, 0x70, 0]), ImageErrorKind::Unmapped);
    assert_eq!(kind(RAW + 72 + 16, &[b'x'; 424]), ImageErrorKind::Name);
    // Windows takes an entry without a table for the end; what stands behind it would be hidden.
    assert_eq!(kind(RAW + 16, &[0; 4]), ImageErrorKind::Ambiguous);
}

/// What `llvm-readobj` says of `files`: format, architecture, and libraries of each.
fn readobj(files: &[PathBuf]) -> Vec<(String, Vec<String>)> {
    let output = Command::new("llvm-readobj").arg("--needed-libs").args(files).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let value = |part: &str, field: &str| {
        let line = part.lines().find_map(|it| it.strip_prefix(field));
        line.unwrap_or_default().trim().to_owned()
    };
    let of = |part: &str| {
        let libraries = part.split_once("NeededLibraries [").map_or("", |it| it.1);
        let lines = libraries.lines().map(str::trim).take_while(|it| *it != "]");
        (value(part, "Arch:"), lines.filter(|it| !it.is_empty()).map(str::to_owned).collect())
    };
    text.split("\nFile: ").skip(1).map(of).collect()
}

#[test]
fn llvm_reads_the_same_libraries() {
    if !has("llvm-readobj") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let is_other = |it: &PathBuf| {
        let bytes = std::fs::read(it).unwrap();
        !bytes.starts_with(b"\x7fELF")
    };
    let mut files: Vec<_> = sample_files().filter(is_other).collect();
    assert!(files.len() >= 2 || !has("go"), "{files:?}");
    let mut other = MachO::program();
    other.text(WEAK_DYLIB, 24, "/usr/lib/w.dylib").text(LOAD_DYLIB, 24, "@rpath/z.dylib");
    let narrow = Pe { wide: false, ..Pe::program(&["kernel32.dll", "libz.dll"]) };
    let wide = Pe::program(&["kernel32.dll", "user32.dll"]);
    for (name, image) in
        [("m", other.image()), ("narrow.exe", narrow.image()), ("wide.exe", wide.image())]
    {
        let path = folder.path().join(name);
        std::fs::write(&path, image).unwrap();
        files.push(path);
    }
    let theirs = readobj(&files);
    assert_eq!(theirs.len(), files.len());
    for (file, (machine, needed)) in files.iter().zip(theirs) {
        let linkage = ours(file);
        let word = match &*machine {
            "x86_64" => "amd64",
            "i386" => "386",
            "aarch64" => "arm64",
            other => other,
        };
        assert_eq!(linkage.machine.as_deref(), Some(word), "{}", file.display());
        let sorted = |mut it: Vec<String>| {
            it.sort();
            it
        };
        assert_eq!(sorted(linkage.needed), sorted(needed), "{}", file.display());
    }
}

fn ours(file: &Path) -> Linkage {
    let bytes = std::fs::read(file).unwrap();
    linkage_of(&&bytes[..]).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// A small generator of numbers; the same seed gives the same run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16;
        usize::try_from(number).unwrap() % limit.max(1)
    }
}

/// Numbers in the headers, commands and lists are changed, or the file ends early.
#[test]
fn no_mutant_makes_the_readers_panic_or_dawdle() {
    let fresh = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let delayed = vec!["ws2_32.dll"];
    let mut images = vec![
        MachO::program().text(RPATH, 12, "@rpath").command(BUILD_VERSION, &[1; 16]).image(),
        universal(&[(0x0100_000c, MachO::program().image()), (7, vec![0; 64])]),
        Pe { delayed, ..Pe::program(&["kernel32.dll", "x.dll"]) }.image(),
        Pe { wide: false, ..Pe::program(&["kernel32.dll"]) }.image(),
    ];
    images.extend(sample_files().map(|it| std::fs::read(it).unwrap()));
    images.retain(|it| !it.starts_with(b"\x7fELF"));
    for seed in [0x1234_5678_9abc_def1, fresh.as_secs() << 20 | 1] {
        println!("seed {seed:#x}");
        let mut random = Random(seed);
        let (mut errors, mut mutants, mut slowest) = (0_u32, 0_u32, Duration::ZERO);
        for image in &mut images {
            let head = image.len().min(2048);
            let rounds = if image.len() > 1 << 16 { 300 } else { 4000 };
            for _ in 0..rounds {
                let mut undo = Vec::new();
                for _ in 0..=random.below(3) {
                    let size = [1, 2, 4, 4, 8][random.below(5)];
                    let at = random.below(head - size) & !(size - 1);
                    undo.push((at, image[at..at + size].to_vec()));
                    let old = image[at];
                    let length = u64::try_from(image.len()).unwrap();
                    let number = match random.below(8) {
                        0 => 0,
                        1 => u64::MAX,
                        2 => u64::from(old).wrapping_add(1),
                        3 => u64::from(old).wrapping_sub(1),
                        4 => length,
                        5 => 0x7fff_ffff,
                        6 => u64::try_from(random.below(image.len())).unwrap(),
                        _ => u64::try_from(random.below(256)).unwrap(),
                    };
                    image[at..at + size].copy_from_slice(&number.to_le_bytes()[..size]);
                }
                let end =
                    if random.below(8) == 0 { random.below(image.len()) } else { image.len() };
                let begin = Instant::now();
                match inspect(&&image[..end]) {
                    Ok(inspection) => drop(verify(inspection.into(), Promise::Static, None)),
                    Err(error) => {
                        errors += 1;
                        assert!(error.to_string().contains(" (at byte 0x"), "{error}");
                    }
                }
                slowest = slowest.max(begin.elapsed());
                mutants += 1;
                for (at, old) in undo.into_iter().rev() {
                    image[at..at + old.len()].copy_from_slice(&old);
                }
            }
        }
        println!("{mutants} mutants, {errors} refused, slowest {slowest:?}");
        assert!(slowest < Duration::from_secs(1), "{slowest:?}");
        assert!(errors > 1000, "only {errors} of {mutants} were refused");
    }
}
