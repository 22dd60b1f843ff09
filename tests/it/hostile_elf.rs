//! Files made to fool or to break the reader: each is an error with an offset, soon.

use crate::truth_table::sample_files;
use linkwright::formats::elf::error::{ElfError, ElfErrorKind};
use linkwright::formats::elf::linkage;
use linkwright::formats::inspection::inspect;
use linkwright::formats::linkage::{Class, Linkage};
use linkwright::model::strategy::Promise;
use linkwright::plan::verify::verify;
use std::time::{Duration, Instant};

const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_STRSZ: u64 = 10;
const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;
/// Where the first byte of the file is loaded.
const BASE: u64 = 0x10000;

/// Writes ELF files of either class and byte order.
#[derive(Clone)]
struct Maker {
    wide: bool,
    big: bool,
    interpreter: Vec<u8>,
    names: Vec<u8>,
    dynamic: Vec<(u64, u64)>,
    segments: Vec<[u64; 4]>,
}

impl Maker {
    fn new(wide: bool, big: bool) -> Self {
        Self {
            wide,
            big,
            interpreter: b"/lib/ld.so.1\0".to_vec(),
            names: b"\0libc.so.6\0".to_vec(),
            dynamic: vec![(DT_NEEDED, 1)],
            segments: Vec::new(),
        }
    }

    fn number(&self, to: &mut Vec<u8>, number: u64, size: usize) {
        let bytes = number.to_be_bytes();
        let bytes = &bytes[8 - size..];
        if self.big { to.extend(bytes) } else { to.extend(bytes.iter().rev()) }
    }

    /// Header, program headers, interpreter, names, dynamic segment; all in one loaded segment.
    fn image(&self) -> Vec<u8> {
        let word = if self.wide { 8 } else { 4 };
        let (header, entry) = if self.wide { (64, 56) } else { (52, 32) };
        let count = 3 + self.segments.len() as u64;
        let interpreter = header + entry * count;
        let names = interpreter + self.interpreter.len() as u64;
        let dynamic = (names + self.names.len() as u64).next_multiple_of(8);
        let mut entries = self.dynamic.clone();
        entries.extend([(DT_STRTAB, BASE + names), (DT_STRSZ, self.names.len() as u64), (0, 0)]);
        let dynamic_size = entries.len() as u64 * 2 * word as u64;
        let size = dynamic + dynamic_size;

        let mut image = b"\x7fELF".to_vec();
        image.extend([
            1 + u8::from(self.wide),
            1 + u8::from(self.big),
            1,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
        ]);
        // MIPS has every combination.
        for (number, size) in [(2, 2), (8, 2), (1, 4), (0, word), (header, word), (0, word)] {
            self.number(&mut image, number, size);
        }
        for (number, size) in [(0, 4), (header, 2), (entry, 2), (count, 2), (0, 2), (0, 2), (0, 2)]
        {
            self.number(&mut image, number, size);
        }
        let mut segments = vec![
            [PT_LOAD, 0, BASE, size],
            [PT_INTERP, interpreter, BASE + interpreter, self.interpreter.len() as u64],
            [PT_DYNAMIC, dynamic, BASE + dynamic, dynamic_size],
        ];
        segments.extend(&self.segments);
        for [kind, offset, address, size] in segments {
            self.number(&mut image, kind, 4);
            if self.wide {
                self.number(&mut image, 6, 4);
            }
            for field in [offset, address, address, size, size] {
                self.number(&mut image, field, word);
            }
            if !self.wide {
                self.number(&mut image, 6, 4);
            }
            self.number(&mut image, 1, word);
        }
        image.extend(&self.interpreter);
        image.extend(&self.names);
        image.resize(usize::try_from(dynamic).unwrap(), 0);
        for (tag, value) in entries {
            self.number(&mut image, tag, word);
            self.number(&mut image, value, word);
        }
        image
    }

    fn judge(&self) -> Result<Linkage, ElfError> {
        linkage(&self.image())
    }
}

fn makers() -> impl Iterator<Item = Maker> {
    [(true, true), (true, false), (false, true), (false, false)]
        .into_iter()
        .map(|(wide, big)| Maker::new(wide, big))
}

#[track_caller]
fn check(kind: ElfErrorKind, change: impl Fn(&mut Maker)) {
    for mut maker in makers() {
        change(&mut maker);
        let error = maker.judge().expect_err("an error");
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.to_string().contains(" (at byte 0x"), "{error}");
    }
}

#[test]
fn both_classes_and_both_byte_orders_are_read() {
    for (maker, machine) in makers().zip(["mips64", "mips64le", "mips", "mipsle"]) {
        let linkage = maker.judge().unwrap();
        assert_eq!(linkage.class, Class::Dynamic);
        assert_eq!(linkage.machine.as_deref(), Some(machine));
        assert_eq!(linkage.interpreter.as_deref(), Some("/lib/ld.so.1"));
        assert_eq!(linkage.needed, ["libc.so.6"]);
    }
}

#[test]
fn an_interpreter_that_the_kernel_would_not_open_as_shown_is_an_error() {
    let too_long = [&vec![b'a'; 4096][..], b"\0"].concat();
    for bad in [&b""[..], b"\0", b"/lib/x", b"/lib/x\0/lib64/ld-linux-x86-64.so.2\0", &too_long] {
        check(ElfErrorKind::Interpreter, |it| it.interpreter = bad.to_vec());
    }
}

#[test]
fn names_outside_their_table_or_without_an_end_are_errors() {
    check(ElfErrorKind::Name, |it| it.dynamic = vec![(DT_NEEDED, 11)]);
    check(ElfErrorKind::Name, |it| it.dynamic = vec![(DT_NEEDED, u64::from(u32::MAX))]);
    check(ElfErrorKind::Name, |it| it.names = b"\0libc.so.6".to_vec());
    check(ElfErrorKind::Name, |it| it.names.clear());
}

#[test]
fn two_answers_to_one_question_are_an_error() {
    check(ElfErrorKind::SecondSegment, |it| it.segments.push([PT_INTERP, 0, BASE, 4]));
    check(ElfErrorKind::SecondSegment, |it| it.segments.push([PT_DYNAMIC, 0, BASE, 16]));
    check(ElfErrorKind::SecondValue, |it| it.dynamic.push((DT_STRTAB, BASE + 1)));
    check(ElfErrorKind::Ambiguous, |it| it.segments.push([PT_LOAD, 8, BASE, 4096]));
}

#[test]
fn addresses_that_lead_nowhere_are_errors() {
    let dt_verneed = 0x6fff_fffe;
    check(ElfErrorKind::Unmapped, |it| {
        it.dynamic = vec![(dt_verneed, 0x7000_0000), (0x6fff_ffff, 1)];
    });
    check(ElfErrorKind::Unmapped, |it| it.dynamic = vec![(dt_verneed, 0), (0x6fff_ffff, 1)]);
}

/// Judges a file of 64 bits with some bytes changed.
fn patched(at: usize, bytes: &[u8]) -> Result<Linkage, ElfError> {
    let mut image = Maker::new(true, false).image();
    image[at..at + bytes.len()].copy_from_slice(bytes);
    linkage(&image)
}

#[test]
fn headers_that_the_kernel_refuses_are_errors_that_say_where() {
    let fails = |at, bytes: &[u8], kind: ElfErrorKind, offset| {
        assert_eq!(patched(at, bytes), Err(kind.at(offset)), "{at}: {bytes:?}");
    };
    fails(4, &[0], ElfErrorKind::Class, 4);
    fails(5, &[3], ElfErrorKind::ByteOrder, 5);
    // An i386 file that says it has 64 bits.
    fails(18, &[3], ElfErrorKind::Contradiction, 4);
    fails(32, &[0xff; 8], ElfErrorKind::Truncated, u64::MAX);
    for size in [0, 1, 55, 57] {
        fails(54, &[size], ElfErrorKind::ProgramHeaderSize, 54);
    }
    for count in [[0, 0], [0xff, 0xff], [0x93, 0x04]] {
        fails(56, &count, ElfErrorKind::ProgramHeaderCount, 56);
    }
    // The dynamic segment: elsewhere than its address says, longer than the file, without an end.
    let dynamic = 64 + 2 * 56;
    fails(dynamic + 8, &[8], ElfErrorKind::DynamicMisplaced, 0x108);
    fails(dynamic + 32 + 7, &[0x80], ElfErrorKind::Truncated, 0x100);
    fails(dynamic + 32, &[16], ElfErrorKind::DynamicUnterminated, 0x100);
}

/// A million `DT_NEEDED` that share one name would be a terabyte of names.
#[test]
fn a_million_libraries_are_refused_soon() {
    let mut maker = Maker::new(true, false);
    maker.dynamic = vec![(DT_NEEDED, 1); 1_000_000];
    let image = maker.image();
    let start = Instant::now();
    assert_eq!(linkage(&image).unwrap_err().kind, ElfErrorKind::TooMuch);
    let long = [&b"\0"[..], &vec![b'x'; 60_000], b"\0"].concat();
    let maker = Maker { names: long, dynamic: vec![(DT_NEEDED, 1); 4000], ..maker };
    let image = maker.image();
    assert_eq!(linkage(&image).unwrap_err().kind, ElfErrorKind::TooMuch);
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
}

/// A small generator of numbers; the same seed gives the same run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}

/// Where numbers stand that a reader follows: offset and size, in one file; and bytes of names.
fn fields(image: &[u8]) -> [Vec<(usize, usize)>; 2] {
    let (wide, big) = (image[4] == 2, image[5] == 2);
    let number = |at: usize, size: usize| -> usize {
        let bytes = image.get(at..at + size).unwrap_or(&[]);
        let join = |sum: usize, it: &u8| sum << 8 | usize::from(*it);
        if big { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) }
    };
    let word = if wide { 8 } else { 4 };
    let mut fields = vec![(4, 1), (5, 1), (16, 2), (18, 2)];
    fields.extend(if wide { [(32, 8), (40, 8)] } else { [(28, 4), (32, 4)] });
    let counts = if wide { 52 } else { 40 };
    fields.extend((0..6).map(|it| (counts + 2 * it, 2)));
    let (table, entry) = if wide { (number(32, 8), 56) } else { (number(28, 4), 32) };
    let mut structs = Vec::new();
    for index in 0..number(counts + 4, 2) {
        let at = table + index * entry;
        fields.extend((0..entry / 4).map(|it| (at + 4 * it, 4)));
        fields.extend((1..entry / word).map(|it| (at + word * it, word)));
        let kind = number(at, 4);
        let (offset, size) = if wide { (at + 8, at + 32) } else { (at + 4, at + 16) };
        if [2, 3, 4].contains(&kind) {
            structs.push((number(offset, word), number(size, word)));
        }
    }
    let sections = if wide { number(40, 8) } else { number(32, 4) };
    structs.push((sections, 64 * number(counts + 8, 2)));
    for (offset, size) in structs {
        fields.extend((0..size.min(4096) / word).map(|it| (offset + it * word, word)));
    }
    // Names and version lists lie near the start of what linkers make.
    let names: Vec<_> = (0x60..image.len().min(0x800)).map(|at| (at, 1)).collect();
    fields.retain(|(at, size)| at + size <= image.len());
    [fields, names]
}

fn value(random: &mut Random, old: u64, length: u64) -> u64 {
    match random.below(12) {
        0 => 0,
        1 => 1,
        2 => u64::MAX,
        3 => old.wrapping_add(1),
        4 => old.wrapping_sub(1),
        5 => length,
        6 => length.wrapping_sub(1),
        7 => 1 << 63,
        8 => 0x7fff_ffff,
        9 => random.below(length),
        10 => random.below(256),
        _ => random.next(),
    }
}

/// Changes one field in place and says how to undo it.
fn mutate(
    random: &mut Random,
    image: &mut [u8],
    [numbers, names]: &[Vec<(usize, usize)>; 2],
) -> (usize, Vec<u8>) {
    let fields = if random.below(4) == 0 { names } else { numbers };
    let index = usize::try_from(random.below(fields.len() as u64)).unwrap();
    let (at, size) = fields[index];
    let old = image[at..at + size].to_vec();
    let number = old.iter().rev().fold(0, |sum, it| sum << 8 | u64::from(*it));
    let new = value(random, number, image.len() as u64).to_le_bytes();
    image[at..at + size].copy_from_slice(&new[..size]);
    (at, old)
}

/// Structure-aware: one to three numbers that the reader follows, or the file's end, are changed.
#[test]
fn no_mutant_of_a_real_file_makes_the_reader_panic_or_dawdle() {
    let fresh = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let mut images: Vec<Vec<u8>> = makers().map(|it| it.image()).collect();
    images.extend(sample_files().map(|it| std::fs::read(it).unwrap()));
    images.retain(|it| it.starts_with(b"\x7fELF"));
    for seed in [0x1234_5678_9abc_def1, fresh.as_secs() << 20 | 1] {
        println!("seed {seed:#x}");
        let mut random = Random(seed);
        let (start, mut mutants, mut errors) = (Instant::now(), 0_u32, 0_u32);
        let mut slowest = Duration::ZERO;
        for image in &mut images {
            let fields = fields(image);
            let rounds = if image.len() < 4096 { 3000 } else { 200 };
            for _ in 0..rounds {
                let changes = 1 + random.below(3);
                let undo: Vec<_> =
                    (0..changes).map(|_| mutate(&mut random, image, &fields)).collect();
                let whole = image.len();
                let cut = random.below(whole as u64);
                let end = if random.below(8) == 0 { usize::try_from(cut).unwrap() } else { whole };
                let begin = Instant::now();
                match inspect(&&image[..end]) {
                    Ok(inspection) => drop(verify(inspection.into(), Promise::Static, None)),
                    Err(error) => {
                        errors += 1;
                        drop(error.to_string());
                    }
                }
                slowest = slowest.max(begin.elapsed());
                mutants += 1;
                for (at, old) in undo.into_iter().rev() {
                    image[at..at + old.len()].copy_from_slice(&old);
                }
            }
        }
        println!("{mutants} mutants, {errors} refused, {:?}, slowest {slowest:?}", start.elapsed());
        assert!(slowest < Duration::from_secs(1), "{slowest:?}");
        assert!(mutants >= 12_000);
    }
}
