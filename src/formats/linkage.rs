//! What a finished file shows about how it is linked: the words of the verdict.
//!
//! `formats::elf`, `macho` and `pe` read these facts from the bytes, `plan::verify` holds them
//! against a promise and a policy, the ledger and `verify --json` print them under these names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The verdict, from what kernel and loader read of a file.
///
/// Later ones are weaker: of a file of several parts the weakest counts.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// No `PT_INTERP`, not position-independent.
    Static,
    /// No `PT_INTERP`, `ET_DYN` with `DF_1_PIE`.
    StaticPie,
    /// Mach-O and PE: needs the system's own libraries and no others. Every program there does.
    SystemLibraries,
    /// `PT_INTERP` and no `DT_NEEDED`: `CGO_ENABLED=0 -buildmode=pie`.
    NeedsLoader,
    /// `PT_INTERP` and `DT_NEEDED`; also a program with `DT_NEEDED` that names no loader.
    Dynamic,
    /// A library: `ET_DYN` without `PT_INTERP` and without `DF_1_PIE`.
    Shared,
    /// A relocatable object or a core file: nothing that is started.
    NotExecutable,
    /// Neither ELF nor Mach-O nor PE.
    NotElf,
}

/// How far the loader makes relocated data read-only.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Relro {
    /// No `PT_GNU_RELRO`.
    None,
    /// `PT_GNU_RELRO`, lazy binding.
    Partial,
    /// `PT_GNU_RELRO` with `DF_BIND_NOW`, `DF_1_NOW`, or a dynamic segment that binds nothing
    /// lazily. A static file without a dynamic segment does not show it and is `partial`.
    Full,
}

/// What may go wrong at run time although the class is as promised.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum HazardKind {
    /// A static glibc binary calls the name service switch, which loads `.so` files at run time.
    Nss,
    /// A static binary calls `dlopen`.
    Dlopen,
}

/// How a hazard is known.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum HazardBasis {
    /// The linker said so; a fact.
    LinkerWarning,
    /// The symbol table holds the function; an inference.
    Symbol,
    /// The symbols are stripped, but a text is there that only such code holds; an inference.
    Text,
}

/// One hazard.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Hazard {
    /// What kind.
    pub kind: HazardKind,
    /// The C function; for basis `text` the file that the code reads, `nsswitch.conf`.
    pub symbol: String,
    /// How it is known.
    pub basis: HazardBasis,
}

/// Which C library is inside, or asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Libc {
    /// The GNU C library.
    Glibc,
    /// musl.
    Musl,
}

/// What only Mach-O shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachOFacts {
    /// The system that it is for, as `macos`; `null` if it does not say.
    pub platform: Option<String>,
    /// The oldest version of the system that it is for, as `12.0`.
    pub minimum_os: Option<String>,
    /// Those of `needed` without which it starts too.
    pub weak: Vec<String>,
    /// There is a code signature. Whether it is valid is not looked at.
    pub signed: bool,
}

/// What only PE shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PeFacts {
    /// `console`, `windows`, `native`, `efi` or `other`.
    pub subsystem: String,
    /// The libraries that are loaded at first use; those of them that are in no other list are in
    /// `needed` too.
    pub delayed: Vec<String>,
    /// Address-space randomisation with 64 bits.
    pub high_entropy: bool,
    /// Control-flow guard.
    pub guard_cf: bool,
    /// There is a signature. Whether it is valid is not looked at.
    pub signed: bool,
}

/// The linkage of one file.
///
/// For a file of class `not_elf` only `class` and `format` mean anything; the rest is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Linkage {
    /// The verdict.
    pub class: Class,
    /// What the file is: `elf64`, `elf32`, `pe`, `mach_o`, `wasm`, `script`, `archive`, `gzip`,
    /// `zip`, `empty`, `unknown`.
    pub format: String,
    /// The machine it is for, in Go's words where Go has one (`amd64`, `arm64`), else `null`.
    pub machine: Option<String>,
    /// `PT_INTERP`; `LC_LOAD_DYLINKER`.
    pub interpreter: Option<String>,
    /// `DT_NEEDED`; the libraries of Mach-O's load commands; imports of PE. In file order.
    pub needed: Vec<String>,
    /// The highest `GLIBC_x.y` version asked for, as `2.34`.
    pub glibc_max: Option<String>,
    /// The highest `GLIBCXX_x.y.z` version asked for, as `3.4.30`.
    pub glibcxx_max: Option<String>,
    /// `DT_RPATH` and `DT_RUNPATH` entries; `LC_RPATH`. In file order.
    pub rpath: Vec<String>,
    /// `DT_AUDIT` and `DT_DEPAUDIT` entries: libraries that the loader runs first. For Mach-O what
    /// `LC_DYLD_ENVIRONMENT` sets for the loader.
    pub audit: Vec<String>,
    /// `DT_FILTER` and `DT_AUXILIARY` entries: libraries whose symbols take the place of this
    /// one's.
    #[serde(default)]
    pub filters: Vec<String>,
    /// `DT_SONAME`; `LC_ID_DYLIB`.
    pub soname: Option<String>,
    /// The program that packed the file, `upx`; everything else here then tells of its stub only.
    #[serde(default)]
    pub packer: Option<String>,
    /// The C library inside or asked for; `null` where there is none.
    pub libc: Option<Libc>,
    /// What may fail at run time, sorted.
    pub hazards: Vec<Hazard>,
    /// Position-independent program: `MH_PIE`, `DYNAMIC_BASE` with relocations.
    pub pie: bool,
    /// The stack is not executable: `PT_GNU_STACK` is there and says so; no
    /// `MH_ALLOW_STACK_EXECUTION`; `NX_COMPAT`.
    pub nx: bool,
    /// Read-only relocations.
    pub relro: Relro,
    /// `DT_TEXTREL` or `DF_TEXTREL`: relocations in code.
    pub textrel: bool,
    /// What only Mach-O shows.
    #[serde(default)]
    pub mach_o: Option<MachOFacts>,
    /// What only PE shows.
    #[serde(default)]
    pub pe: Option<PeFacts>,
    /// The parts of a universal file, each for one architecture; empty for any other file.
    #[serde(default)]
    pub parts: Vec<Linkage>,
}

/// What Go wrote about its own build into the file (`runtime/debug.BuildInfo`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct BuildInfo {
    /// The Go version, `go1.26.8`.
    pub go_version: String,
    /// Import path of the main package.
    pub path: Option<String>,
    /// The main module, `path@version`.
    pub main_module: Option<String>,
    /// Build settings (`-tags`, `CGO_ENABLED`, `GOARCH`, …), in file order.
    pub settings: Vec<(String, String)>,
    /// Modules linked in, `path@version`, in file order.
    pub modules: Vec<String>,
}

impl Linkage {
    /// Makes the linkage of a file of which nothing but class and format is known.
    #[must_use]
    pub fn of_class(class: Class, format: &str) -> Self {
        Self {
            class,
            format: format.to_owned(),
            machine: None,
            interpreter: None,
            needed: Vec::new(),
            glibc_max: None,
            glibcxx_max: None,
            rpath: Vec::new(),
            audit: Vec::new(),
            filters: Vec::new(),
            soname: None,
            packer: None,
            libc: None,
            hazards: Vec::new(),
            pie: false,
            nx: false,
            relro: Relro::None,
            textrel: false,
            mach_o: None,
            pe: None,
            parts: Vec::new(),
        }
    }
}

impl Class {
    /// Every class, in order, for documentation and its test.
    pub const ALL: [Self; 8] = [
        Self::Static,
        Self::StaticPie,
        Self::SystemLibraries,
        Self::NeedsLoader,
        Self::Dynamic,
        Self::Shared,
        Self::NotExecutable,
        Self::NotElf,
    ];

    /// Returns the word that reports print, the same as in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::StaticPie => "static_pie",
            Self::SystemLibraries => "system_libraries",
            Self::NeedsLoader => "needs_loader",
            Self::Dynamic => "dynamic",
            Self::Shared => "shared",
            Self::NotExecutable => "not_executable",
            Self::NotElf => "not_elf",
        }
    }
}
