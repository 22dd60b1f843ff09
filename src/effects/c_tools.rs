//! The C compiler and what it links with: found, asked, tried, and identified by content.
//!
//! Whether `-static` works is not guessed from paths: a program of one line is linked, with the
//! linker's `--trace`, and what the linker then read (start files, `libc.a`, `libgcc.a`, …) belongs
//! to the identity, as do the start files and libraries that any link may bring in, and the shared
//! libraries that the tools themselves are made of. A probe that worked is remembered and holds as
//! long as every file of its trace is unchanged; one that failed is tried again each time, since
//! the cure is to install something.

use crate::effects::c_compiler::Compiler;
use crate::effects::c_libraries::{linked, with_libraries};
use crate::effects::c_probe::{PROBES, Probe, digested, probe};
use crate::effects::machine::{Machine, side_by_side};
use crate::formats::c_words::CWords;
use crate::model::toolchain::{Compilers, Family, Linker, Need, platform_of};
use crate::plan::c_dependencies::CProgram;
use crate::words::digest::Digest;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// A C compiler with its linker and libraries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CTools {
    /// The C compiler.
    pub cc: Compiler,
    /// The C++ compiler; the C compiler itself where there is none.
    pub cxx: Compiler,
    /// There is a C++ compiler.
    pub has_cxx: bool,
    /// For people: `gcc 12.2.0`.
    pub name: String,
    /// What `-dumpmachine` says: `x86_64-linux-gnu`.
    pub machine: String,
    /// In what that is not true; such tools are not used.
    pub untruth: Option<String>,
    /// Digest of `files`, by name and content, and of the words that the compilers always get.
    pub identity: Digest,
    /// The programs with their libraries, what the probes' links read, and what others may.
    pub files: BTreeSet<(PathBuf, Digest)>,
    /// A folder whose whole content belongs to the identity.
    pub own_folder: Option<PathBuf>,
    /// Where it looks, unless a switch says otherwise.
    pub folders: CFolders,
    /// What a probe has shown to link.
    pub meets: BTreeSet<Need>,
    /// The linkers that it can be told to take, the fastest first.
    pub linkers: Vec<Linker>,
}

/// The folders in which a C toolchain looks without being told.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CFolders {
    /// For headers, those of C++ as well; sorted, as they really are.
    pub headers: Vec<PathBuf>,
    /// Those among them in which the compiler for C looks.
    pub headers_of_c: Vec<PathBuf>,
    /// For libraries and start files.
    pub libraries: Vec<PathBuf>,
}

impl CFolders {
    /// Returns where headers are looked for, by the compiler for C++ as well if it takes part.
    #[must_use]
    pub fn headers_for(&self, has_cxx: bool) -> &[PathBuf] {
        if has_cxx { &self.headers } else { &self.headers_of_c }
    }
}

impl CTools {
    /// Finds the compilers that are looked for.
    ///
    /// Returns `None` if there is no C compiler, or if it does not answer `-dumpmachine`.
    #[must_use]
    pub fn find(machine: &Machine, wanted: &Compilers) -> Option<Self> {
        let (cc, cxx) = Compiler::find(machine, wanted)?;
        let (has_cxx, cxx) = (cxx.is_some(), cxx.unwrap_or_else(|| cc.clone()));
        let is_zig = wanted.family == Family::Zig;
        let target = match &wanted.target {
            // It has every target, and takes the one that it is told.
            Some(target) if is_zig => target.clone(),
            _ => cc.says(machine, "-dumpmachine")?,
        };
        let is_glibc = target.ends_with("-gnu");
        // zig has no static glibc, and compiles a C++ library for minutes before it links one.
        let tried =
            PROBES.iter().filter(|it| !is_zig || (it.shows == Need::StaticLibc && !is_glibc));
        let try_it = |it: &Probe| {
            let read = probe(machine, if it.cxx { &cxx } else { &cc }, it, is_zig);
            Some((it.shows, read.ok()?))
        };
        let show = || {
            let untruth = cc.untruth(machine, wanted, &target);
            let tried = tried.filter(|it| untruth.is_none() && (has_cxx || !it.cxx));
            let shown: Vec<_> = tried.filter_map(try_it).collect();
            (untruth, shown)
        };
        let say = || {
            let look = || folders_of(machine, &cc, &cxx, (&[], is_zig));
            let name = || {
                let tools = if is_zig { BTreeSet::new() } else { tools_of(machine, &cc) };
                (version_of(machine, &cc, is_zig), tools)
            };
            side_by_side(look, name)
        };
        let ((folders, (version, tools)), (untruth, shown)) = side_by_side(say, show);
        let own_folder = cc.program.parent().map(|it| it.join("lib")).filter(|_| is_zig);
        let mut files = match &own_folder {
            Some(lib) => whole(machine, &cc.program, lib),
            None => programs(machine, [&cc, &cxx], tools, &folders),
        };
        if !is_zig {
            files.extend(brought_in(machine, &folders));
        }
        let mut meets = BTreeSet::from([Need::CCompiler]);
        for (need, read) in shown {
            meets.insert(need);
            files.extend(read);
        }
        Some(Self {
            identity: identity_of(&files, [&cc.words, &cxx.words]),
            name: format!("{} {version}", wanted.cc).trim_end().to_owned(),
            machine: target,
            linkers: wanted.linkers.clone(),
            untruth,
            has_cxx,
            meets,
            files,
            own_folder,
            folders,
            cc,
            cxx,
        })
    }

    /// Tells whether it makes code for a platform, from its own word for its target.
    #[must_use]
    pub fn serves(&self, goos: &str, goarch: &str) -> bool {
        self.untruth.is_none() && platform_of(&self.machine) == (goos, goarch)
    }

    /// Returns the folders in which it looks when it is told `switches`.
    #[must_use]
    pub fn folders(&self, machine: &Machine, switches: &[String]) -> CFolders {
        if switches.is_empty() {
            return self.folders.clone();
        }
        folders_of(machine, &self.cc, &self.cxx, (switches, self.own_folder.is_some()))
    }

    /// Returns what the linker calls itself, the compiler's own where none is named; `None` where
    /// the compiler is its own linker.
    #[must_use]
    pub fn linker_name(&self, machine: &Machine, linker: Option<Linker>) -> Option<String> {
        if self.own_folder.is_some() {
            return None;
        }
        let name = linker.map_or_else(|| "ld".to_owned(), |it| format!("ld.{}", it.as_str()));
        let program = self.cc.tool(machine, &name)?;
        ask(machine, &program, "--version")?.lines().next().map(str::to_owned)
    }

    /// Finds what makes archives: the compiler's own `ar`, with its digest; zig is one itself.
    #[must_use]
    pub fn archiver(&self, machine: &Machine) -> Option<(CProgram, Digest)> {
        if self.own_folder.is_some() {
            let Compiler { program, words: _, variables } = self.cc.clone();
            let archiver = CProgram { program, words: vec!["ar".to_owned()], variables };
            return Some((archiver, self.identity));
        }
        let program = self.cc.tool(machine, "ar").filter(|it| it.is_file())?;
        let own = BTreeSet::from([program.clone()]);
        let files = with_libraries(machine, own, &loader_folders(&self.folders));
        let files: BTreeSet<_> = digested(machine, files).collect();
        let archiver = CProgram { program, words: Vec::new(), variables: BTreeMap::new() };
        Some((archiver, identity_of(&files, [&Vec::new(), &Vec::new()])))
    }

    /// Digests the linker that `-fuse-ld=NAME` means, and its libraries.
    #[must_use]
    pub fn linker(&self, machine: &Machine, name: &str) -> BTreeMap<PathBuf, Digest> {
        let program = self.cc.tool(machine, &format!("ld.{name}"));
        let files =
            with_libraries(machine, program.into_iter().collect(), &loader_folders(&self.folders));
        digested(machine, files).collect()
    }
}

fn ask(machine: &Machine, program: &Path, arg: &str) -> Option<String> {
    let (words, variables) = (Vec::new(), BTreeMap::new());
    Compiler { program: program.to_owned(), words, variables }.says(machine, arg)
}

fn version_of(machine: &Machine, cc: &Compiler, is_zig: bool) -> String {
    if is_zig {
        return ask(machine, &cc.program, "version").unwrap_or_default();
    }
    let version = cc.says(machine, "-dumpfullversion");
    version.or_else(|| cc.says(machine, "-dumpversion")).unwrap_or_default()
}

/// Asks compilers and linker where they look; zig looks for libraries in its own folder only.
fn folders_of(
    machine: &Machine,
    cc: &Compiler,
    cxx: &Compiler,
    (switches, is_zig): (&[String], bool),
) -> CFolders {
    let switches: Vec<_> = switches.iter().map(OsStr::new).collect();
    let (mut of_each, mut absent) = ([Vec::new(), Vec::new()], Vec::new());
    for (headers, (compiler, language)) in of_each.iter_mut().zip([(cc, "c"), (cxx, "c++")]) {
        let args = [&switches[..], &["-E", "-v", "-x", language, "/dev/null"].map(OsStr::new)];
        let said = compiler.answer(machine, &args.concat());
        let words = said.map(|it| it.stderr).unwrap_or_default();
        let named = words.lines().skip_while(|it| !it.starts_with("#include <")).skip(1);
        let named = named.take_while(|it| it.starts_with(' ')).map(|it| PathBuf::from(it.trim()));
        headers.extend(named);
        let said =
            words.lines().filter_map(|it| it.strip_prefix("ignoring nonexistent directory \""));
        absent.extend(said.map(|it| PathBuf::from(it.trim_end_matches('"'))));
    }
    let args = [&switches[..], &[OsStr::new("-print-search-dirs")]];
    let said = if is_zig { None } else { cc.answer(machine, &args.concat()) };
    let said = said.map(|it| it.stdout).unwrap_or_default();
    let line = |name: &str| said.lines().find_map(|it| it.strip_prefix(name)).unwrap_or_default();
    let mut libraries: Vec<_> = std::env::split_paths(line("libraries: =")).collect();
    let programs = std::env::split_paths(line("programs: ="));
    // A linker of the GNU kind has folders of its own besides, in the script that it brings.
    let ld = if is_zig { None } else { cc.tool(machine, "ld") };
    let script = ld.and_then(|it| ask(machine, &it, "--verbose"));
    let script = script.unwrap_or_default();
    let named = script.split("SEARCH_DIR(\"").skip(1).filter_map(|it| it.split('"').next());
    libraries.extend(named.map(|it| PathBuf::from(it.trim_start_matches('='))));
    let all = of_each.iter().flatten().chain(&libraries).cloned().chain(absent).chain(programs);
    machine.looked.in_folders(all);
    let real = |it: &PathBuf| it.canonicalize().ok().filter(|it| it.is_absolute());
    let sorted = |folders: &mut dyn Iterator<Item = &PathBuf>| -> Vec<_> {
        folders.filter_map(real).collect::<BTreeSet<_>>().into_iter().collect()
    };
    CFolders {
        headers: sorted(&mut of_each.iter().flatten()),
        headers_of_c: sorted(&mut of_each[0].iter()),
        libraries: sorted(&mut libraries.iter()),
    }
}

/// Returns the digest of every file below `folders`: one that changed, and one that is new and
/// stands before another, both count.
///
/// The run remembers what it saw there only if these are inputs of what it builds.
#[must_use]
pub fn headers_below(machine: &Machine, folders: &[PathBuf], are_inputs: bool) -> Digest {
    let mut folders = folders.to_vec();
    folders.sort();
    // A folder below another is walked with it.
    folders.dedup_by(|later, earlier| later.starts_with(earlier));
    let mut hasher = blake3::Hasher::new_derive_key("linkwright c headers 1");
    for folder in &folders {
        hasher.update(tree(machine, folder, (Path::new(""), are_inputs)).as_bytes());
    }
    Digest::from_hasher(&hasher)
}

/// Returns the digest of every file below `folder`, named as below `base`.
fn tree(machine: &Machine, folder: &Path, (base, are_inputs): (&Path, bool)) -> Digest {
    // In the order of the paths, component by component.
    let walk = walkdir::WalkDir::new(folder).follow_links(true).sort_by_file_name();
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in walk {
        match entry {
            Ok(it) if it.file_type().is_dir() => folders.push(it.into_path()),
            Ok(it) => files.extend(it.file_type().is_file().then_some(it)),
            Err(error) => folders.extend(error.path().map(Path::to_owned)),
        }
    }
    let paths: Vec<_> = files.into_iter().map(walkdir::DirEntry::into_path).collect();
    let digests = &machine.digests;
    let digest = |it: &PathBuf| {
        if are_inputs { digests.digest(it).ok() } else { digests.digest_apart(it).ok() }
    };
    let digests: Vec<_> = paths.par_iter().map(digest).collect();
    if are_inputs {
        machine.looked.in_folders(folders);
    }
    let mut hasher = blake3::Hasher::new_derive_key("linkwright c tree 1");
    for (path, digest) in paths.iter().zip(digests) {
        let name = path.strip_prefix(base).unwrap_or(path).as_os_str().as_encoded_bytes();
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name);
        // A file that cannot be read here cannot be read by the compiler either.
        hasher.update(digest.as_ref().map_or(&[][..], |it| it.as_bytes()));
    }
    Digest::from_hasher(&hasher)
}

/// Where the system's loader looks for the tools' own libraries.
fn loader_folders(own: &CFolders) -> Vec<PathBuf> {
    let fixed = ["/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib"];
    own.libraries.iter().cloned().chain(fixed.map(PathBuf::from)).collect()
}

/// The programs and the plugin that a C compiler runs, wherever it finds them.
fn tools_of(machine: &Machine, cc: &Compiler) -> BTreeSet<PathBuf> {
    let names = ["cc1", "cc1plus", "as", "ld", "collect2", "lto1", "lto-wrapper"];
    let mut paths: BTreeSet<_> = names.iter().filter_map(|it| cc.tool(machine, it)).collect();
    let plugin = cc.says(machine, "-print-file-name=liblto_plugin.so").map(PathBuf::from);
    paths.extend(plugin.filter(|it| it.is_absolute()));
    paths
}

/// Compilers and the `tools` that they run, with the libraries that they are made of, by content.
fn programs(
    machine: &Machine,
    compilers: [&Compiler; 2],
    tools: BTreeSet<PathBuf>,
    folders: &CFolders,
) -> BTreeSet<(PathBuf, Digest)> {
    let mut paths = tools;
    paths.extend(compilers.map(|it| it.program.clone()));
    paths.extend(compilers.into_iter().flat_map(|it| named_by_script(machine, &it.program)));
    let all = with_libraries(machine, paths, &loader_folders(folders));
    digested(machine, all).collect()
}

/// A program and a folder in which all that it may bring lies, under one digest.
fn whole(machine: &Machine, program: &Path, folder: &Path) -> BTreeSet<(PathBuf, Digest)> {
    let mut files: BTreeSet<_> = digested(machine, [program.to_owned()]).collect();
    files.insert((folder.to_owned(), tree(machine, folder, (folder, true))));
    files
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

/// The identity is content alone: a compiler that was moved is the same compiler.
fn identity_of(files: &BTreeSet<(PathBuf, Digest)>, words: [&Vec<String>; 2]) -> Digest {
    let named: BTreeSet<_> = files
        .iter()
        .map(|(path, digest)| (path.file_name().unwrap_or_default().as_encoded_bytes(), digest))
        .collect();
    let mut hasher = blake3::Hasher::new_derive_key("linkwright c tools 2");
    for (name, digest) in named {
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name);
        hasher.update(digest.as_bytes());
    }
    // What a compiler is told each time decides what it makes as much as what it is.
    for words in words {
        hasher.update(&(words.len() as u64).to_le_bytes());
        for word in words {
            hasher.update(&(word.len() as u64).to_le_bytes());
            hasher.update(word.as_bytes());
        }
    }
    Digest::from_hasher(&hasher)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::testing::machine;
    use std::io::Write as _;

    fn compiler(program: &Path) -> Compiler {
        let (words, variables) = (Vec::new(), BTreeMap::new());
        Compiler { program: program.to_owned(), words, variables }
    }

    fn tools(machine: &str) -> CTools {
        let cc = compiler(Path::new(""));
        CTools {
            cxx: cc.clone(),
            cc,
            has_cxx: false,
            name: String::new(),
            machine: machine.to_owned(),
            untruth: None,
            identity: Digest::of(b""),
            files: BTreeSet::new(),
            own_folder: None,
            folders: CFolders::default(),
            meets: BTreeSet::new(),
            linkers: Vec::new(),
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
        let cc = compiler(&cc);
        let folders = || folders_of(&machine, &cc, &cc, (&[], false));
        let headers = || headers_below(&machine, &folders().headers, true);
        let first = headers();
        assert_eq!(headers(), first);
        write("include/sub/a.h", "2");
        let second = headers();
        assert_ne!(second, first, "its content changed");
        write("include/stdio.h", "");
        assert_ne!(headers(), second, "it may stand before another of its name");
    }
}
