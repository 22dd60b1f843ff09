//! `readelf` as an independent judge of linkage, and every ELF file of the machine as its cases.

use crate::support::has;
use linkwright::effects::inspect::{InspectError, inspect_file};
use linkwright::formats::bytes::{Bytes, ReadError};
use linkwright::formats::elf::compare_versions;
use linkwright::formats::elf::error::ElfErrorKind;
use linkwright::formats::inspection::{Unjudged, linkage_of};
use linkwright::formats::linkage::{Class, Linkage, Relro};
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What both judges say of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) class: Option<Class>,
    interpreter: Option<String>,
    needed: Vec<String>,
    soname: Option<String>,
    rpath: Vec<String>,
    audit: Vec<String>,
    glibc_max: Option<String>,
    glibcxx_max: Option<String>,
    nx: bool,
    has_relro: bool,
    textrel: bool,
}

impl From<&Linkage> for Facts {
    fn from(it: &Linkage) -> Self {
        Self {
            class: Some(it.class),
            interpreter: it.interpreter.clone(),
            needed: it.needed.clone(),
            soname: it.soname.clone(),
            rpath: it.rpath.clone(),
            audit: it.audit.clone(),
            glibc_max: it.glibc_max.clone(),
            glibcxx_max: it.glibcxx_max.clone(),
            nx: it.nx,
            has_relro: it.relro != Relro::None,
            textrel: it.textrel,
        }
    }
}

/// Asks `readelf` about all of `files` in one go.
pub(crate) fn readelf(files: &[PathBuf]) -> BTreeMap<PathBuf, Facts> {
    // A second file makes it name each.
    let mut command = Command::new("readelf");
    command.arg("-lWdV").args(files).arg("/dev/null").env("LC_ALL", "C");
    let output = command.output().expect("readelf");
    let text = String::from_utf8_lossy(&output.stdout);
    let parts = text.split("\nFile: ").skip(1);
    parts
        .filter_map(|part| {
            let (name, text) = part.split_once('\n')?;
            Some((PathBuf::from(name), facts(text)?))
        })
        .collect()
}

/// Reads the facts of one file; `None` if it is not a program or library.
fn facts(text: &str) -> Option<Facts> {
    let kind = text.lines().find_map(|it| it.strip_prefix("Elf file type is "))?;
    let mut facts = Facts::default();
    let (mut pie, mut in_needs) = (false, false);
    for line in text.lines() {
        let value = || line.split_once('[').and_then(|it| it.1.rsplit_once(']')).map(|it| it.0);
        let text = |it: Option<&str>| it.unwrap_or_default().to_owned();
        let list = |it: Option<&str>| text(it).split(':').map(str::to_owned).collect::<Vec<_>>();
        let entry = line.split_once('(').and_then(|it| it.1.split_once(')')).map_or("", |it| it.0);
        in_needs =
            if line.contains(" section '") { line.starts_with("Version needs") } else { in_needs };
        match entry {
            "NEEDED" => facts.needed.push(text(value())),
            "SONAME" => facts.soname = Some(text(value())),
            "RPATH" | "RUNPATH" => facts.rpath.extend(list(value())),
            "AUDIT" | "DEPAUDIT" => facts.audit.extend(list(value())),
            "TEXTREL" => facts.textrel = true,
            "FLAGS" => facts.textrel |= line.contains("TEXTREL"),
            "FLAGS_1" => pie |= line.contains("PIE"),
            _ => {}
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        match &words[..] {
            ["[Requesting", "program", "interpreter:", ..] => {
                facts.interpreter =
                    Some(text(line.split_once(": ").map(|it| it.1.trim_end_matches(']'))));
            }
            ["GNU_STACK", rest @ ..] => {
                facts.nx = !rest[5..].contains(&"E") && !rest.contains(&"RWE");
            }
            ["GNU_RELRO", ..] => facts.has_relro = true,
            [_, "Name:", name, "Flags:", ..] if in_needs => {
                raise(&mut facts.glibc_max, name.strip_prefix("GLIBC_"));
                raise(&mut facts.glibcxx_max, name.strip_prefix("GLIBCXX_"));
            }
            _ => {}
        }
    }
    let is_program = pie || kind.starts_with("EXEC");
    facts.class = Some(match (&facts.interpreter, facts.needed.is_empty()) {
        (Some(_), true) => Class::NeedsLoader,
        (None, _) if !is_program => Class::Shared,
        (_, false) => Class::Dynamic,
        (None, true) if pie => Class::StaticPie,
        (None, true) => Class::Static,
    });
    Some(facts)
}

fn raise(highest: &mut Option<String>, version: Option<&str>) {
    let Some(version) = version.filter(|it| it.starts_with(|it: char| it.is_ascii_digit())) else {
        return;
    };
    if highest.as_deref().is_none_or(|it| compare_versions(it, version).is_lt()) {
        *highest = Some(version.to_owned());
    }
}

/// Finds every regular ELF file below the system's folders, each once, in a fixed order.
///
/// Separate debug information is left out: its headers name contents that it does not hold, so
/// there is nothing to judge, and linkwright says so.
fn system_files() -> Vec<PathBuf> {
    let roots = ["/usr/bin", "/usr/sbin", "/usr/lib", "/usr/libexec", "/usr/local/go/pkg/tool"];
    let walks = roots.iter().flat_map(|it| walkdir::WalkDir::new(it).sort_by_file_name());
    let is_elf = |path: &Path| {
        use std::io::Read;
        let mut magic = [0; 4];
        let read = std::fs::File::open(path).and_then(|mut it| it.read_exact(&mut magic));
        read.is_ok() && magic == *b"\x7fELF"
    };
    walks
        .filter_map(Result::ok)
        .filter(|it| it.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .filter(|it| !it.starts_with("/usr/lib/debug"))
        .filter(|it| !matches!(it.extension(), Some(it) if it == "o" || it == "py"))
        .filter(|it| is_elf(it))
        .collect()
}

/// A sample by default; every file with `ALL_SYSTEM_FILES=1`.
#[test]
fn the_verdict_on_the_systems_own_files_agrees_with_readelf() {
    if !has("readelf") {
        return;
    }
    let all = system_files();
    let every = std::env::var_os("ALL_SYSTEM_FILES").is_some();
    let step = if every { 1 } else { (all.len() / 200).max(1) };
    let files: Vec<PathBuf> = all.into_iter().step_by(step).collect();
    assert!(files.len() >= 100, "only {} ELF files are here", files.len());
    let judged = readelf(&files);
    let (mut compared, mut wrong) = (0, Vec::new());
    for file in &files {
        match (judged.get(file), inspect_file(file)) {
            (Some(theirs), Ok(ours)) if Facts::from(&ours.linkage) == *theirs => compared += 1,
            (None, Ok(ours)) if ours.linkage.class == Class::NotExecutable => compared += 1,
            (None, Err(_)) => {}
            // x32, which linkwright refuses to judge: see `formats::elf::header`.
            (_, Err(InspectError::Unjudged(Unjudged::Elf(it))))
                if it.kind == ElfErrorKind::Contradiction => {}
            (theirs, Ok(ours)) => {
                let ours = Facts::from(&ours.linkage);
                wrong.push(format!("{}\n  ours {ours:?}\n  readelf {theirs:?}", file.display()));
            }
            (Some(_), Err(error)) => wrong.push(format!("{}: {error}", file.display())),
        }
    }
    assert!(wrong.is_empty(), "{} disagreements:\n{}", wrong.len(), wrong.join("\n"));
    println!("{compared} of {} files compared", files.len());
    assert!(compared >= files.len() * 9 / 10);
}

/// A file that counts what is read of it.
struct Counted<'a>(&'a [u8], Cell<u64>);

impl Bytes for Counted<'_> {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, offset: u64, length: u64) -> Result<Cow<'_, [u8]>, ReadError> {
        self.1.set(self.1.get() + length);
        let end = offset.checked_add(length).filter(|it| *it <= self.size());
        let range = usize::try_from(offset).unwrap()
            ..usize::try_from(end.ok_or(ReadError::Outside)?).unwrap();
        Ok(Cow::Borrowed(&self.0[range]))
    }
}

#[test]
fn a_program_of_gos_own_linker_is_known_by_its_headers_and_a_page_of_data() {
    if !has("go") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("main.go"), "package main\n\nfunc main() {}\n").unwrap();
    // No build ID leaves no note; no symbols leave nothing but texts.
    for flags in ["-buildid=", "-buildid= -s -w", "-s -w"] {
        let program = folder.path().join("program");
        let mut go = Command::new("go");
        go.args(["build", "-ldflags", flags, "-o"]).arg(&program).arg("main.go");
        let output = go.current_dir(folder.path()).env("CGO_ENABLED", "0").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let bytes = std::fs::read(&program).unwrap();
        let counted = Counted(&bytes, Cell::new(0));
        let linkage = linkage_of(&counted).unwrap();
        assert_eq!((linkage.class, linkage.libc), (Class::Static, None), "{flags}");
        assert!(counted.1.get() < 32 << 10, "{flags}: {} bytes were read", counted.1.get());
    }
}
