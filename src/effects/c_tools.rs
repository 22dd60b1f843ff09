//! The C compiler and what it links with: found, asked, tried, and identified by content.
//!
//! Whether `-static` works is not guessed from paths: a program of one line is linked, with the
//! linker's `--trace`, and what the linker then read (start files, `libc.a`, `libgcc.a`, …) belongs
//! to the identity, as do the start files and libraries that any link may bring in, and the shared
//! libraries that the tools themselves are made of. A probe that worked is remembered and holds as
//! long as every file of its trace is unchanged; one that failed is tried again each time, since
//! the cure is to install something.

use crate::effects::c_libraries::{linked, with_libraries};
use crate::effects::machine::Machine;
use crate::formats::c_words::CWords;
use crate::model::strategy::Need;
use crate::words::digest::Digest;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A C compiler with its linker and libraries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CTools {
    /// What `CC` is set to: the program's absolute path.
    pub cc: PathBuf,
    /// What `CXX` is set to; the C compiler itself where there is no C++ one.
    pub cxx: PathBuf,
    /// For people: `gcc 12.2.0`.
    pub name: String,
    /// What `-dumpmachine` says: `x86_64-linux-gnu`.
    pub machine: String,
    /// Digest of `files`, by name and content.
    pub identity: Digest,
    /// The programs with their libraries, what the probes' links read, and what others may.
    pub files: BTreeSet<(PathBuf, Digest)>,
    /// Where it looks, unless a switch says otherwise.
    pub folders: CFolders,
    /// What a probe has shown to link.
    pub meets: BTreeSet<Need>,
}

/// The folders in which a C toolchain looks without being told.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CFolders {
    /// For headers, those of C++ as well; sorted, as they really are.
    pub headers: Vec<PathBuf>,
    /// For libraries and start files.
    pub libraries: Vec<PathBuf>,
}

/// What the linker says when a probe does not link; the last line of its words.
type ProbeFailure = String;

/// A link to try.
struct Probe {
    shows: Need,
    cxx: bool,
    flags: &'static [&'static str],
}

const PROBES: [Probe; 3] = [
    Probe { shows: Need::StaticLibc, cxx: false, flags: &["-static"] },
    Probe { shows: Need::StaticPieStart, cxx: false, flags: &["-static-pie", "-fPIE"] },
    Probe {
        shows: Need::StaticLibstdcxx,
        cxx: true,
        flags: &["-static-libstdc++", "-static-libgcc"],
    },
];

#[derive(Serialize, Deserialize)]
struct Remembered {
    files: Vec<(PathBuf, Digest)>,
}

impl CTools {
    /// Finds the compiler `cc` (`gcc`, else `clang`, else `cc` where none is named) on PATH.
    ///
    /// Returns `None` if there is none, or if it does not answer `-dumpmachine`.
    #[must_use]
    pub fn find(machine: &Machine, cc: Option<&str>, cxx: Option<&str>) -> Option<Self> {
        let candidates: &[&str] = if cc.is_some() { &[] } else { &["gcc", "clang", "cc"] };
        let mut names = cc.into_iter().chain(candidates.iter().copied());
        let (name, cc) = names.find_map(|it| Some((it, machine.program(it)?)))?;
        let default_cxx: &[&str] =
            if name == "clang" { &["clang++", "g++", "c++"] } else { &["g++", "clang++", "c++"] };
        let cxx = match cxx {
            Some(cxx) => machine.program(cxx),
            None => default_cxx.iter().find_map(|it| machine.program(it)),
        };
        let cxx = cxx.unwrap_or_else(|| cc.clone());
        let target = ask(machine, &cc, "-dumpmachine")?;
        let version = ask(machine, &cc, "-dumpfullversion")
            .or_else(|| ask(machine, &cc, "-dumpversion"))
            .unwrap_or_default();
        let folders = folders_of(machine, &cc, &cxx, &[]);
        let mut files = programs(machine, &cc, &cxx, &folders);
        files.extend(brought_in(machine, &folders));
        let mut meets = BTreeSet::from([Need::CCompiler]);
        for it in &PROBES {
            if let Ok(read) = probe(machine, &cc, &cxx, it) {
                meets.insert(it.shows);
                files.extend(read);
            }
        }
        Some(Self {
            identity: identity_of(&files),
            name: format!("{name} {version}").trim_end().to_owned(),
            machine: target,
            meets,
            files,
            folders,
            cc,
            cxx,
        })
    }

    /// Tells whether it makes code for a platform, from its own word for its target.
    #[must_use]
    pub fn serves(&self, goos: &str, goarch: &str) -> bool {
        let arch = self.machine.split('-').next().unwrap_or_default();
        let goarch_of = match arch {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "i386" | "i486" | "i586" | "i686" => "386",
            "armv7l" | "arm" => "arm",
            "powerpc64le" => "ppc64le",
            "mipsel" => "mipsle",
            "mips64el" => "mips64le",
            other => other,
        };
        let os = if self.machine.contains("mingw") {
            "windows"
        } else if self.machine.contains("darwin") || self.machine.contains("apple") {
            "darwin"
        } else if self.machine.contains("freebsd") {
            "freebsd"
        } else {
            "linux"
        };
        goarch_of == goarch && os == goos
    }

    /// Returns the folders in which it looks when it is told `switches`.
    #[must_use]
    pub fn folders(&self, machine: &Machine, switches: &[String]) -> CFolders {
        if switches.is_empty() {
            return self.folders.clone();
        }
        folders_of(machine, &self.cc, &self.cxx, switches)
    }

    /// Digests the linker that `-fuse-ld=NAME` means, and its libraries.
    #[must_use]
    pub fn linker(&self, machine: &Machine, name: &str) -> BTreeMap<PathBuf, Digest> {
        let program = program(machine, &self.cc, &format!("ld.{name}"));
        let files =
            with_libraries(machine, program.into_iter().collect(), &loader_folders(&self.folders));
        digested(machine, files).collect()
    }
}

fn ask(machine: &Machine, program: &Path, arg: &str) -> Option<String> {
    let ended = machine.ask(program, &[OsStr::new(arg)], Path::new("/")).ok()?;
    let text = ended.stdout_text().trim().to_owned();
    (ended.status.success() && !text.is_empty()).then_some(text)
}

/// Asks compilers and linker where they look.
fn folders_of(machine: &Machine, cc: &Path, cxx: &Path, switches: &[String]) -> CFolders {
    let switches: Vec<_> = switches.iter().map(OsStr::new).collect();
    let (mut headers, mut absent) = (Vec::new(), Vec::new());
    for (compiler, language) in [(cc, "c"), (cxx, "c++")] {
        let args = [&switches[..], &["-E", "-v", "-x", language, "/dev/null"].map(OsStr::new)];
        let ended = machine.ask(compiler, &args.concat(), Path::new("/"));
        let words = ended.map(|it| it.stderr_text()).unwrap_or_default();
        let named = words.lines().skip_while(|it| !it.starts_with("#include <")).skip(1);
        let named = named.take_while(|it| it.starts_with(' ')).map(|it| PathBuf::from(it.trim()));
        headers.extend(named);
        let said =
            words.lines().filter_map(|it| it.strip_prefix("ignoring nonexistent directory \""));
        absent.extend(said.map(|it| PathBuf::from(it.trim_end_matches('"'))));
    }
    let args = [&switches[..], &[OsStr::new("-print-search-dirs")]];
    let said = machine.ask(cc, &args.concat(), Path::new("/"));
    let said = said.map(|it| it.stdout_text()).unwrap_or_default();
    let line = |name: &str| said.lines().find_map(|it| it.strip_prefix(name)).unwrap_or_default();
    let mut libraries: Vec<_> = std::env::split_paths(line("libraries: =")).collect();
    let programs = std::env::split_paths(line("programs: ="));
    // A linker of the GNU kind has folders of its own besides, in the script that it brings.
    let script = program(machine, cc, "ld").and_then(|it| ask(machine, &it, "--verbose"));
    let script = script.unwrap_or_default();
    let named = script.split("SEARCH_DIR(\"").skip(1).filter_map(|it| it.split('"').next());
    libraries.extend(named.map(|it| PathBuf::from(it.trim_start_matches('='))));
    let all = headers.iter().chain(&libraries).cloned().chain(absent).chain(programs);
    machine.looked.in_folders(all);
    let real = |it: PathBuf| it.canonicalize().ok().filter(|it| it.is_absolute());
    let mut headers: Vec<_> = headers.into_iter().filter_map(real).collect();
    headers.sort();
    headers.dedup();
    let mut libraries: Vec<_> = libraries.into_iter().filter_map(real).collect();
    libraries.sort();
    libraries.dedup();
    CFolders { headers, libraries }
}

/// Returns the digest of every file below `folders`: one that changed, and one that is new and
/// stands before another, both count.
#[must_use]
pub fn headers_below(machine: &Machine, folders: &[PathBuf]) -> Digest {
    let mut folders = folders.to_vec();
    folders.sort();
    // A folder below another is walked with it.
    folders.dedup_by(|later, earlier| later.starts_with(earlier));
    let walks = folders.iter().map(|it| walkdir::WalkDir::new(it).follow_links(true));
    let mut files = Vec::new();
    for entry in walks.flatten() {
        match entry {
            Ok(it) if it.file_type().is_dir() => machine.looked.in_folders([it.path()]),
            Ok(it) => files.extend(it.file_type().is_file().then_some(it)),
            Err(error) => machine.looked.in_folders(error.path()),
        }
    }
    let mut paths: Vec<_> = files.into_iter().map(walkdir::DirEntry::into_path).collect();
    paths.sort();
    let digests: Vec<_> = paths.par_iter().map(|it| machine.digests.digest(it).ok()).collect();
    let mut hasher = blake3::Hasher::new_derive_key("linkwright c headers 1");
    for (path, digest) in paths.iter().zip(digests) {
        let name = path.as_os_str().as_encoded_bytes();
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name);
        // A file that cannot be read here cannot be read by the compiler either.
        hasher.update(digest.as_ref().map_or(&[][..], |it| it.as_bytes()));
    }
    Digest::from_hasher(&hasher)
}

fn digested(
    machine: &Machine,
    files: impl IntoIterator<Item = PathBuf>,
) -> impl Iterator<Item = (PathBuf, Digest)> {
    let digest = |it: PathBuf| machine.digests.digest(&it).ok().map(|digest| (it, digest));
    files.into_iter().filter_map(digest)
}

/// Finds a program where the compiler does, else on PATH.
fn program(machine: &Machine, cc: &Path, name: &str) -> Option<PathBuf> {
    let text = ask(machine, cc, &format!("-print-prog-name={name}"))?;
    let path = PathBuf::from(&text);
    if path.is_absolute() { Some(path) } else { machine.program(&text) }
}

/// Where the system's loader looks for the tools' own libraries.
fn loader_folders(own: &CFolders) -> Vec<PathBuf> {
    let fixed = ["/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib"];
    own.libraries.iter().cloned().chain(fixed.map(PathBuf::from)).collect()
}

/// The programs that compile and link, with the libraries that they are made of, by content.
fn programs(
    machine: &Machine,
    cc: &Path,
    cxx: &Path,
    folders: &CFolders,
) -> BTreeSet<(PathBuf, Digest)> {
    let mut paths = BTreeSet::from([cc.to_owned(), cxx.to_owned()]);
    paths.extend([cc, cxx].into_iter().flat_map(|it| named_by_script(machine, it)));
    for name in ["cc1", "cc1plus", "as", "ld", "collect2", "lto1", "lto-wrapper"] {
        paths.extend(program(machine, cc, name));
    }
    let plugin = ask(machine, cc, "-print-file-name=liblto_plugin.so").map(PathBuf::from);
    paths.extend(plugin.filter(|it| it.is_absolute()));
    let all = with_libraries(machine, paths, &loader_folders(folders));
    digested(machine, all).collect()
}

/// Returns what a compiler that is a script (`musl-gcc`) may run and read: each word of it that is
/// a file's path or a program's name.
fn named_by_script(machine: &Machine, compiler: &Path) -> Vec<PathBuf> {
    let text = std::fs::read(compiler).ok().filter(|it| it.starts_with(b"#!"));
    let text = text.map(|it| String::from_utf8_lossy(&it).into_owned()).unwrap_or_default();
    let between = |it: char| it.is_whitespace() || "\"'`$(){};|&<>=:,".contains(it);
    let words =
        text.split(between).map(|it| it.trim_start_matches('-')).filter(|it| !it.is_empty());
    let path = |it: &str| {
        let path = Path::new(it);
        if path.is_absolute() { Some(path.to_owned()) } else { machine.program(it) }
    };
    words
        .filter_map(path)
        .inspect(|it| machine.looked.for_file(it))
        .filter(|it| it.is_file())
        .collect()
}

/// What a link may bring in without being told: start files, the compiler's and the C library's
/// parts, `specs`, wherever they lie in the linker's own folders.
fn brought_in(machine: &Machine, folders: &CFolders) -> BTreeMap<PathBuf, Digest> {
    let is_start = |it: &Path| {
        let name = it.file_name().unwrap_or_default().to_string_lossy();
        let is_object = it.extension().is_some_and(|it| it.eq_ignore_ascii_case("o"));
        is_object && name.contains("crt") || name == "specs" || name.ends_with(".spec")
    };
    let entries = folders.libraries.iter().filter_map(|it| std::fs::read_dir(it).ok()).flatten();
    let paths = entries.filter_map(Result::ok).map(|it| it.path()).filter(|it| is_start(it));
    let mut files: BTreeMap<_, _> = digested(machine, paths).collect();
    files.extend(linked(machine, &CWords::default(), &[], &folders.libraries));
    files
}

/// Links a program of one line and returns what the linker read, by content.
fn probe(
    machine: &Machine,
    cc: &Path,
    cxx: &Path,
    probe: &Probe,
) -> Result<Vec<(PathBuf, Digest)>, ProbeFailure> {
    let compiler = if probe.cxx { cxx } else { cc };
    let key = probe_key(machine, compiler, probe).map_err(|it| it.to_string())?;
    if let Some(Remembered { files }) = machine.store.action(&key)
        && files.iter().all(|(path, digest)| machine.digests.digest(path).ok() == Some(*digest))
    {
        return Ok(files);
    }
    let files = link(machine, compiler, probe).map_err(|it| it.to_string())??;
    machine.store.put_action(&key, &Remembered { files: files.clone() });
    Ok(files)
}

fn probe_key(machine: &Machine, compiler: &Path, probe: &Probe) -> std::io::Result<Digest> {
    let mut hasher = blake3::Hasher::new_derive_key("linkwright c probe 1");
    hasher.update(machine.digests.digest(compiler)?.as_bytes());
    hasher.update(compiler.as_os_str().as_encoded_bytes());
    for flag in probe.flags {
        hasher.update(&(flag.len() as u64).to_le_bytes());
        hasher.update(flag.as_bytes());
    }
    Ok(Digest::from_hasher(&hasher))
}

fn link(
    machine: &Machine,
    compiler: &Path,
    probe: &Probe,
) -> std::io::Result<Result<Vec<(PathBuf, Digest)>, ProbeFailure>> {
    let folder = tempfile::Builder::new().prefix("linkwright-probe-").tempdir()?;
    let source = folder.path().join(if probe.cxx { "p.cc" } else { "p.c" });
    let text = if probe.cxx {
        "int main() { int *p = new int(0); int r = *p; delete p; return r; }\n"
    } else {
        "#include <stdio.h>\nint main(void) { return puts(\"x\") < 0; }\n"
    };
    std::fs::File::create(&source)?.write_all(text.as_bytes())?;
    let output = folder.path().join("p");
    let mut args: Vec<&OsStr> = probe.flags.iter().map(OsStr::new).collect();
    args.extend([OsStr::new("-Wl,--trace"), OsStr::new("-o"), output.as_os_str()]);
    args.push(source.as_os_str());
    let Ok(ended) = machine.ask(compiler, &args, folder.path()) else {
        return Ok(Err("the compiler did not end".to_owned()));
    };
    if !ended.status.success() {
        let text = ended.stderr_text();
        return Ok(Err(text.lines().last().unwrap_or_default().to_owned()));
    }
    let text = ended.stdout_text();
    let paths: BTreeSet<_> = text.lines().filter_map(|it| traced(it, folder.path())).collect();
    let digest = |it: PathBuf| machine.digests.digest(&it).ok().map(|digest| (it, digest));
    Ok(Ok(paths.into_iter().filter_map(digest).collect()))
}

/// Reads one line of `--trace`: `path`, `path(member)` or `(path)member`.
fn traced(line: &str, own: &Path) -> Option<PathBuf> {
    let line = line.trim();
    let path = match line.strip_prefix('(') {
        Some(rest) => rest.split(')').next()?,
        None => line.split('(').next()?,
    };
    let path = std::fs::canonicalize(path).ok()?;
    (path.is_absolute() && !path.starts_with(own) && !path.starts_with(std::env::temp_dir()))
        .then_some(path)
}

/// The identity is content alone: a compiler that was moved is the same compiler.
fn identity_of(files: &BTreeSet<(PathBuf, Digest)>) -> Digest {
    let named: BTreeSet<_> = files
        .iter()
        .map(|(path, digest)| (path.file_name().unwrap_or_default().as_encoded_bytes(), digest))
        .collect();
    let mut hasher = blake3::Hasher::new_derive_key("linkwright c tools 1");
    for (name, digest) in named {
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name);
        hasher.update(digest.as_bytes());
    }
    Digest::from_hasher(&hasher)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::testing::machine;

    fn tools(machine: &str) -> CTools {
        CTools {
            cc: PathBuf::new(),
            cxx: PathBuf::new(),
            name: String::new(),
            machine: machine.to_owned(),
            identity: Digest::of(b""),
            files: BTreeSet::new(),
            folders: CFolders::default(),
            meets: BTreeSet::new(),
        }
    }

    #[test]
    fn a_compiler_serves_the_platform_of_its_target() {
        for (machine, goos, goarch) in [
            ("x86_64-linux-gnu", "linux", "amd64"),
            ("x86_64-linux-musl", "linux", "amd64"),
            ("aarch64-linux-gnu", "linux", "arm64"),
            ("x86_64-w64-mingw32", "windows", "amd64"),
            ("riscv64-linux-gnu", "linux", "riscv64"),
        ] {
            assert!(tools(machine).serves(goos, goarch), "{machine}");
            assert!(!tools(machine).serves("darwin", goarch), "{machine}");
            assert!(!tools(machine).serves(goos, "s390x"), "{machine}");
        }
    }

    /// A compiler that says where it looks for headers, in the words of gcc and clang.
    #[test]
    fn a_header_that_changes_or_appears_where_the_compiler_looks_counts() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let mut file = std::fs::File::create(dir.path().join(name)).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        std::fs::create_dir_all(dir.path().join("include/sub")).unwrap();
        write("include/sub/a.h", "1");
        let folder = dir.path().join("include").display().to_string();
        write(
            "cc",
            &format!(
                "#!/bin/sh\nprintf 'x\\n#include <...> search starts here:\\n {folder}\\nEnd of search list.\\n' >&2\n"
            ),
        );
        let cc = dir.path().join("cc");
        std::fs::set_permissions(&cc, std::fs::Permissions::from_mode(0o755)).unwrap();
        let machine = machine(dir.path());
        let headers = || headers_below(&machine, &folders_of(&machine, &cc, &cc, &[]).headers);
        let first = headers();
        assert_eq!(headers(), first);
        write("include/sub/a.h", "2");
        let second = headers();
        assert_ne!(second, first, "its content changed");
        write("include/stdio.h", "");
        assert_ne!(headers(), second, "it may stand before another of its name");
    }

    #[test]
    fn a_trace_line_names_a_file_with_or_without_a_member() {
        let own = Path::new("/nowhere");
        let expected = std::fs::canonicalize("/bin/sh").ok();
        assert_eq!(traced("/bin/sh", own), expected);
        assert_eq!(traced("(/bin/sh)printf.o", own), expected);
        assert_eq!(traced("/bin/sh(printf.o)", own), expected);
        assert_eq!(traced("/no/such/file.o", own), None);
    }
}
