//! C toolchains, as data: what one is called, how it is found and recognised, what it serves.
//!
//! Adding one is a line in `rules/*.ron`; nothing here names one. A strategy lists toolchains, and
//! the first that serves the platform and is on this machine is taken.
//!
//! | field | decides |
//! |---|---|
//! | `cc`, `cxx` | which programs are looked for on `PATH`; without `cxx` it compiles no C++ |
//! | `python` | the package of Python that holds the program where `PATH` does not |
//! | `family` | how the compiler is told its target, and what of it counts as its content |
//! | `target` | what `-dumpmachine` must say; one that says otherwise is refused |
//! | `platforms` | what it serves; empty: what it says itself |
//! | `linkers` | which linkers it can be told to take, the fastest first |
//! | `debian`, `fedora` | what to install where it is missing |
//! | `parts` | what to install where it is here, and a library of it is not |

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a compiler is told its target, and what of it counts as its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Family {
    /// One target for each program; the programs that it runs, and what its links read.
    #[default]
    Gnu,
    /// `--target=`; the same content.
    Clang,
    /// `zig cc -target`; the program and the whole of its `lib` folder.
    Zig,
}

/// A C linker that a compiler can be told to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Linker {
    /// GNU ld.
    Bfd,
    /// GNU gold.
    Gold,
    /// LLVM's.
    Lld,
    /// mold.
    Mold,
}

/// Something that a strategy needs of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// A C compiler: one of the strategy's toolchains.
    CCompiler,
    /// `libc.a` where that compiler looks for it.
    StaticLibc,
    /// `libstdc++.a` where that compiler looks for it.
    StaticLibstdcxx,
    /// `rcrt1.o`, the start file of a static PIE.
    StaticPieStart,
}

/// Packages that bring one thing, by distribution. In their names `{arch}` is the architecture in
/// GNU words, with dashes, and `{debian_arch}` what Debian calls it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Packages {
    /// Debian's.
    pub debian: Vec<String>,
    /// Fedora's.
    pub fedora: Vec<String>,
}

/// Which linker a strategy wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkerChoice {
    /// This one.
    Named(Linker),
    /// The first of the toolchain's that makes on this machine what the strategy wants.
    Fastest,
}

/// A C compiler with its linker and libraries, as rules name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Toolchain {
    /// Its name.
    pub name: String,
    /// One sentence for people.
    pub doc: String,
    /// The C compiler's program name; `{arch}` in it is the platform's architecture in GNU words.
    pub cc: String,
    /// The C++ compiler's.
    pub cxx: Option<String>,
    /// Take the C++ compiler that stands beside such a compiler by custom, if it names none.
    pub guess_cxx: bool,
    /// The package of Python that holds the program where `PATH` does not.
    pub python: Option<String>,
    /// What kind of compiler it is.
    pub family: Family,
    /// Its target in GNU words; `{arch}` as in `cc`.
    pub target: Option<String>,
    /// What it serves, `os/architecture`; empty: what it says itself.
    pub platforms: Vec<String>,
    /// The linkers that it can be told to take, the fastest first.
    pub linkers: Vec<Linker>,
    /// What brings it.
    pub packages: Packages,
    /// What brings its libraries, where that is not the same.
    pub parts: BTreeMap<Need, Packages>,
}

/// What to look for on a machine: a toolchain, for one platform.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Compilers {
    /// The toolchain's name.
    pub toolchain: String,
    /// The C compiler's program name.
    pub cc: String,
    /// The C++ compiler's.
    pub cxx: Option<String>,
    /// Whether a customary C++ compiler is taken where none is named.
    pub guess_cxx: bool,
    /// The package of Python that may hold the program.
    pub python: Option<String>,
    /// What kind of compiler it is.
    pub family: Family,
    /// What it is told to make code for, or must say that it does.
    pub target: Option<String>,
    /// Words that always stand before all others.
    pub words: Vec<String>,
    /// The linkers that it can be told to take, the fastest first.
    pub linkers: Vec<Linker>,
}

impl Linker {
    /// Every linker.
    pub const ALL: [(&'static str, Self); 4] =
        [("bfd", Self::Bfd), ("gold", Self::Gold), ("lld", Self::Lld), ("mold", Self::Mold)];

    /// Returns its name, as behind `-fuse-ld=`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bfd => "bfd",
            Self::Gold => "gold",
            Self::Lld => "lld",
            Self::Mold => "mold",
        }
    }
}

impl Toolchain {
    /// Makes one of a bare program name, as `cc` and `cxx` of a strategy say it.
    #[must_use]
    pub fn of_programs(cc: &str, cxx: Option<&str>) -> Self {
        Self {
            name: cc.to_owned(),
            cc: cc.to_owned(),
            cxx: cxx.map(str::to_owned),
            guess_cxx: true,
            linkers: vec![Linker::Mold, Linker::Lld, Linker::Gold, Linker::Bfd],
            ..Self::default()
        }
    }

    /// Tells whether it may serve a platform, as far as the rules know.
    #[must_use]
    pub fn may_serve(&self, goos: &str, goarch: &str) -> bool {
        let own = |it: &String| it.split_once('/') == Some((goos, goarch));
        self.platforms.is_empty() || self.platforms.iter().any(own)
    }

    /// Says what to look for to serve an architecture; a C library of the GNU kind is asked for in
    /// the version `glibc`, where the compiler can be told one.
    #[must_use]
    pub fn compilers(&self, goarch: &str, glibc: Option<&str>) -> Compilers {
        let arch = gnu_arch(goarch);
        let filled = |it: &String| it.replace("{arch}", arch);
        let target = self.target.as_ref().map(filled);
        let told = target.as_ref().map(|target| match glibc {
            Some(version) if target.ends_with("-gnu") => format!("{target}.{version}"),
            _ => target.clone(),
        });
        let words = match (self.family, told) {
            (Family::Zig, Some(told)) => vec!["-target".to_owned(), told],
            (Family::Clang, Some(_)) => target.iter().map(|it| format!("--target={it}")).collect(),
            _ => Vec::new(),
        };
        Compilers {
            toolchain: self.name.clone(),
            cc: filled(&self.cc),
            cxx: self.cxx.as_ref().map(filled),
            guess_cxx: self.guess_cxx,
            python: self.python.clone(),
            family: self.family,
            target,
            words,
            linkers: self.linkers.clone(),
        }
    }

    /// Says what to install to have it for an architecture.
    #[must_use]
    pub fn install(&self, goarch: &str) -> String {
        let python = self.python.as_ref().map(|it| format!("`{it}` (PyPI)"));
        sentence(self.packages.ways(goarch).chain(python))
            .unwrap_or_else(|| format!("install `{}`, or take another strategy", self.cc))
    }

    /// Says what to install where it is here and does not meet a need.
    #[must_use]
    pub fn install_part(&self, need: Need, goarch: &str) -> String {
        let part = self.parts.get(&need).and_then(|it| it.install(goarch));
        let is_known = self.python.is_some() || self.packages != Packages::default();
        part.or_else(|| is_known.then(|| self.install(goarch))).unwrap_or_else(|| {
            format!("install what of it belongs to `{}`, or take another strategy", self.cc)
        })
    }
}

impl Packages {
    /// Says what to install to have it for an architecture; `None` if no package is known.
    #[must_use]
    pub fn install(&self, goarch: &str) -> Option<String> {
        sentence(self.ways(goarch))
    }

    /// Returns the packages of each distribution: `` `gcc` and `g++` (Debian) ``.
    fn ways(&self, goarch: &str) -> impl Iterator<Item = String> {
        let (gnu, debian) = (gnu_arch(goarch).replace('_', "-"), debian_arch(goarch));
        let name = |it: &String| {
            format!("`{}`", it.replace("{arch}", &gnu).replace("{debian_arch}", debian))
        };
        let listed = |it: &[String]| it.iter().map(name).collect::<Vec<_>>().join(" and ");
        let all = [(&self.debian, "Debian"), (&self.fedora, "Fedora")];
        let known = all.into_iter().filter(|it| !it.0.is_empty());
        let ways: Vec<_> = known.map(|(it, whose)| format!("{} ({whose})", listed(it))).collect();
        ways.into_iter()
    }
}

/// Says that one of these ways is to be taken; `None` if there is none.
fn sentence(ways: impl Iterator<Item = String>) -> Option<String> {
    let ways: Vec<_> = ways.collect();
    (!ways.is_empty()).then(|| format!("install {}", ways.join(", ")))
}

impl Compilers {
    /// Returns the words behind the program that make it a C compiler.
    #[must_use]
    pub fn cc_words(&self) -> Vec<String> {
        self.with_mode("cc")
    }

    /// Returns the words behind the program that make it a C++ compiler.
    #[must_use]
    pub fn cxx_words(&self) -> Vec<String> {
        self.with_mode("c++")
    }

    fn with_mode(&self, mode: &str) -> Vec<String> {
        let mode = (self.family == Family::Zig).then(|| mode.to_owned());
        mode.into_iter().chain(self.words.iter().cloned()).collect()
    }
}

/// Returns the name that GNU tools have for an architecture of Go's.
#[must_use]
pub fn gnu_arch(goarch: &str) -> &str {
    match goarch {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        "386" => "i686",
        "ppc64le" => "powerpc64le",
        "mipsle" => "mipsel",
        "mips64le" => "mips64el",
        "loong64" => "loongarch64",
        other => other,
    }
}

/// Returns the name that Debian has for an architecture of Go's.
fn debian_arch(goarch: &str) -> &str {
    match goarch {
        "386" => "i386",
        "arm" => "armhf",
        "ppc64le" => "ppc64el",
        "mipsle" => "mipsel",
        "mips64le" => "mips64el",
        other => other,
    }
}

/// Returns the platform, operating system and architecture in Go's words, that a compiler means by
/// what it says of its target (`aarch64-linux-gnu`).
#[must_use]
pub fn platform_of(machine: &str) -> (&'static str, &str) {
    let goarch = match machine.split('-').next().unwrap_or_default() {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "i386" | "i486" | "i586" | "i686" | "x86" => "386",
        "armv7l" | "arm" => "arm",
        "powerpc64le" => "ppc64le",
        "mipsel" => "mipsle",
        "mips64el" => "mips64le",
        "loongarch64" => "loong64",
        other => other,
    };
    let goos = if machine.contains("mingw") || machine.contains("windows") {
        "windows"
    } else if machine.contains("darwin") || machine.contains("apple") {
        "darwin"
    } else if machine.contains("freebsd") {
        "freebsd"
    } else {
        "linux"
    };
    (goos, goarch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn debian(name: &str) -> Packages {
        Packages { debian: vec![name.into()], fedora: vec![] }
    }

    #[test]
    fn a_toolchain_is_filled_in_for_a_platform() {
        let cross = Toolchain {
            name: "gcc_cross".into(),
            cc: "{arch}-linux-gnu-gcc".into(),
            target: Some("{arch}-linux-gnu".into()),
            platforms: vec!["linux/arm64".into(), "linux/amd64".into()],
            packages: debian("gcc-{arch}-linux-gnu"),
            parts: BTreeMap::from([(Need::StaticLibc, debian("libc6-dev-{debian_arch}-cross"))]),
            ..Toolchain::default()
        };
        assert!(cross.may_serve("linux", "arm64") && !cross.may_serve("linux", "riscv64"));
        let arm = cross.compilers("arm64", Some("2.17"));
        assert_eq!((arm.cc.as_str(), arm.cc_words()), ("aarch64-linux-gnu-gcc", vec![]));
        assert_eq!(arm.target.as_deref(), Some("aarch64-linux-gnu"));
        assert_eq!(cross.install("amd64"), "install `gcc-x86-64-linux-gnu` (Debian)");
        let libc = cross.install_part(Need::StaticLibc, "ppc64le");
        assert_eq!(libc, "install `libc6-dev-ppc64el-cross` (Debian)");
        let unknown = cross.install_part(Need::StaticPieStart, "s390x");
        assert_eq!(unknown, "install `gcc-s390x-linux-gnu` (Debian)", "the whole of it");
    }

    #[test]
    fn zig_is_told_the_target_and_the_version_of_glibc() {
        let zig = Toolchain {
            cc: "zig".into(),
            cxx: Some("zig".into()),
            family: Family::Zig,
            target: Some("{arch}-linux-gnu".into()),
            ..Toolchain::default()
        };
        let words = zig.compilers("amd64", Some("2.17")).cxx_words();
        assert_eq!(words, ["c++", "-target", "x86_64-linux-gnu.2.17"]);
        assert_eq!(zig.compilers("arm64", None).cc_words(), ["cc", "-target", "aarch64-linux-gnu"]);
        let musl = Toolchain { target: Some("{arch}-linux-musl".into()), ..zig };
        let words = musl.compilers("arm64", Some("2.17")).cc_words();
        assert_eq!(words, ["cc", "-target", "aarch64-linux-musl"], "musl has no versions");
    }

    #[test]
    fn what_to_install_is_said_from_data() {
        let own = Toolchain::of_programs("tcc", None);
        assert_eq!(own.install("amd64"), "install `tcc`, or take another strategy");
        let part = own.install_part(Need::StaticLibc, "amd64");
        assert_eq!(part, "install what of it belongs to `tcc`, or take another strategy");
        let zig = Toolchain { python: Some("ziglang".into()), ..own };
        assert_eq!(zig.install("amd64"), "install `ziglang` (PyPI)");
    }
}
