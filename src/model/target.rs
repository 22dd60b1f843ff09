//! Targets: declared things to make, with every label, strategy and path resolved.
//!
//! A [`Target`] comes only out of resolution (`formats::build_file` gives what was written;
//! `model::resolve` checks it), so whoever holds one need not look at names again.

use crate::formats::cover_profile::CoverMode;
use crate::model::go_sdk::GoSdk;
use crate::model::policy::Policy;
use crate::model::run_in::SealedRoot;
use crate::model::strategy::Ladder;
use crate::words::label::Label;
use crate::words::path::RelPath;
use crate::words::span::Span;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One declared thing to make.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name.
    pub label: Label,
    /// Where it is declared.
    pub span: Span,
    /// What must be made before it; sorted, without repetition.
    pub dependencies: Vec<Label>,
    /// The kind, with its attributes.
    pub rule: Rule,
}

/// The kinds of targets.
#[derive(Debug, Clone)]
pub enum Rule {
    /// A Go program.
    GoBinary(Box<GoBinary>),
    /// One test binary for each Go package that has tests.
    GoTests(Box<GoTests>),
    /// C or C++ for Go targets to link.
    CLibrary(Box<CLibrary>),
    /// Libraries of the machine that pkg-config knows.
    PkgConfig(PkgConfig),
    /// A program run on declared inputs that makes declared outputs.
    Command(Box<Command>),
    /// A named glob.
    Files(Box<Files>),
    /// A named group; its members are its dependencies.
    Suite,
    /// Test binaries with all that they need elsewhere.
    Bundle(Box<Bundle>),
}

/// A Go program.
#[derive(Debug, Clone)]
pub struct GoBinary {
    /// The Go package: `./dir` relative to the declaring folder, or an import path.
    pub go_package: GoPattern,
    /// C libraries that it links, in the order written.
    pub c_deps: Vec<Label>,
    /// How it is started to see that it starts, if it says.
    pub smoke: Option<Box<Smoke>>,
    /// How it is built and linked: once, or once for each of its platforms. Targets that say the
    /// same share it.
    pub settings: Arc<[GoSettings]>,
}

/// One start of a program, which must end by itself, and as it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smoke {
    /// Its arguments.
    pub args: Vec<String>,
    /// What its standard output holds.
    pub stdout: Option<String>,
    /// The code that it ends with.
    pub exit: u8,
    /// The longest it may take.
    pub timeout: Duration,
}

impl Default for Smoke {
    fn default() -> Self {
        Self { args: Vec::new(), stdout: None, exit: 0, timeout: Duration::from_secs(10) }
    }
}

/// Test binaries.
#[derive(Debug, Clone)]
pub struct GoTests {
    /// Go package patterns, `...` allowed.
    pub go_packages: Vec<GoPattern>,
    /// Go package patterns to leave out.
    pub exclude: Vec<GoPattern>,
    /// C libraries that they link, in the order written.
    pub c_deps: Vec<Label>,
    /// Whether `go test -c` runs its part of `go vet` (it fails the build on a finding).
    pub vet: bool,
    /// Whether they count what they run, and how.
    pub cover: Option<Cover>,
    /// How they are run.
    pub run: TestRun,
    /// How they are built and linked: once, or once for each of their platforms.
    pub settings: Arc<[GoSettings]>,
}

/// What test binaries count while they run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cover {
    /// What is counted, if the target says; else what Go takes: `set`, and `atomic` with the race
    /// detector.
    pub mode: Option<CoverMode>,
    /// In which Go packages, `...` allowed; none: in the package under test.
    pub go_packages: Vec<GoPattern>,
}

/// How test binaries are run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestRun {
    /// How long one may take, if the target says so.
    pub timeout: Option<Duration>,
    /// Arguments that each is given, after our own.
    pub args: Vec<String>,
    /// Files that they read besides `testdata`, as globs in the declaring folder.
    pub data: Vec<Glob>,
    /// Where each of `data` is written.
    pub data_at: Vec<Span>,
    /// Names of variables that are passed through from the caller; sorted, without repetition.
    pub pass_env: Vec<String>,
    /// The root that they run in, if it is one of their own.
    pub sealed: Option<SealedRoot>,
}

/// A Go package pattern as the `go` command reads it from the declaring folder; never an option.
///
/// # Invariants
///
/// Begins with `./`, is `.`, or is an import path; has no `..` segment and no leading `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoPattern(Arc<str>);

/// How a Go target is built and linked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoSettings {
    /// The Go toolchain that `go:` names; `None` is the one on PATH.
    pub go: Option<Arc<GoSdk>>,
    /// What `link:` names.
    pub ladder: Arc<Ladder>,
    /// What `policy:` names.
    pub policy: Option<Arc<Policy>>,
    /// Build tags, besides the strategy's.
    pub tags: Vec<String>,
    /// Words for `-ldflags`.
    pub ldflags: Vec<String>,
    /// Words for `-gcflags`.
    pub gcflags: Vec<String>,
    /// Words for the external linker.
    pub extldflags: Vec<String>,
    /// Environment of the `go` command, from a closed list of names.
    pub env: BTreeMap<String, String>,
    /// `-X name=value`.
    pub x_defs: BTreeMap<String, String>,
    /// The platform, where it is not this machine's.
    pub platform: Platform,
    /// `-trimpath`.
    pub trimpath: bool,
    /// `-buildvcs`.
    pub buildvcs: bool,
}

/// A platform as far as a target names it; what is `None` is this machine's or Go's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// `GOOS`.
    pub goos: Option<String>,
    /// `GOARCH`.
    pub goarch: Option<String>,
    /// The sub-level: `GOAMD64=v3`, `GOARM=7`, … by the architecture.
    pub level: Option<String>,
    /// It is one of the target's `platforms`, so that outputs lie in a folder of its name.
    pub is_listed: bool,
}

/// C or C++ that is compiled by whoever links it, or an archive that is there.
#[derive(Debug, Clone)]
pub struct CLibrary {
    /// Its sources.
    pub sources: Files,
    /// Its headers.
    pub headers: Files,
    /// An archive that is there already or that a command makes, from the root.
    pub archive: Option<RelPath>,
    /// Folders of headers for itself and its users, from the root; the root itself is empty.
    pub includes: Vec<String>,
    /// Macros for itself and its users: `NAME` or `NAME=value`.
    pub defines: Vec<String>,
    /// Words for the C compiler.
    pub copts: Vec<String>,
    /// Words for the C++ compiler.
    pub cxxopts: Vec<String>,
    /// Words for whoever links it.
    pub linkopts: Vec<String>,
    /// C libraries that it uses, in the order written.
    pub c_deps: Vec<Label>,
}

/// Libraries of the machine.
#[derive(Debug, Clone)]
pub struct PkgConfig {
    /// What pkg-config is asked for.
    pub packages: Vec<String>,
}

/// A program run on declared inputs.
#[derive(Debug, Clone)]
pub struct Command {
    /// Program and arguments; each argument a list of pieces.
    pub argv: Vec<Vec<ArgPiece>>,
    /// Files it reads, as globs in the declaring folder.
    pub inputs: Vec<Glob>,
    /// Where each of `inputs` is written.
    pub inputs_at: Vec<Span>,
    /// Targets whose outputs it reads.
    pub input_labels: Vec<Label>,
    /// Files it makes, relative to the workspace root; below the declaring folder.
    pub outputs: Vec<RelPath>,
    /// Names of variables passed through from the caller's environment, and keyed.
    pub pass_env: Vec<String>,
    /// Variables with fixed values.
    pub env: BTreeMap<String, String>,
}

/// A piece of an argument of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArgPiece {
    /// Literal text.
    Text(String),
    /// `{:name}` or `{//dir:name}`: the path of that target's single output.
    OutputOf(Label),
}

/// A named glob.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// What it holds.
    pub globs: Vec<Glob>,
    /// Where each of `globs` is written.
    pub globs_at: Vec<Span>,
    /// What is left out.
    pub exclude: Vec<Glob>,
}

/// Test binaries with all that they need elsewhere.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// The tests; sorted, without repetition.
    pub tests: Vec<Label>,
    /// What is made.
    pub form: BundleForm,
    /// The path below `linkwright-out/` of what is made.
    pub output: RelPath,
}

/// What a bundle is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BundleForm {
    /// A folder.
    Folder,
    /// An archive.
    Tar,
}

/// A glob relative to the declaring folder: `*` and `?` stay in one folder, `**` crosses folders.
///
/// # Invariants
///
/// Relative, without `..`, and accepted by globset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Glob(Arc<str>);

/// Why a text is not a Go package pattern or a glob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It could be read as an option, leaves the folder, or is no import path.
    #[error(
        "`{0}` is not a Go package: write `./folder` (relative to this BUILD.ron) or an import path"
    )]
    GoPackage(String),
    /// It leaves the folder or is no glob.
    #[error("`{0}` is not a glob inside this folder: {1}")]
    Glob(String, String),
}

impl GoPattern {
    /// Parses what a rule file says.
    ///
    /// # Errors
    ///
    /// Returns [`PatternError::GoPackage`] if `text` breaks the invariant.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let segment = |it: &str| {
            !it.is_empty()
                && it != ".."
                && it.chars().all(|it| it.is_alphanumeric() || "._-~+!".contains(it))
        };
        let rest = text.strip_prefix("./").unwrap_or(text);
        let fine = text == "."
            || text == "./..."
            || text == "..."
            || (!rest.starts_with(['-', '/']) && rest.split('/').all(segment));
        if fine { Ok(Self(Arc::from(text))) } else { Err(PatternError::GoPackage(text.to_owned())) }
    }

    /// Returns the pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether it names folders of the workspace rather than import paths.
    #[must_use]
    pub fn is_relative(&self) -> bool {
        &*self.0 == "." || self.0.starts_with("./")
    }

    /// Returns the pattern as seen from the workspace folder `package` lies in.
    #[must_use]
    pub fn from_root(&self, package: &crate::words::label::PackagePath) -> String {
        match self.0.strip_prefix("./") {
            Some(rest) => format!("./{}", package.join(rest)),
            None if &*self.0 == "." && package.as_str().is_empty() => ".".to_owned(),
            None if &*self.0 == "." => format!("./{}", package.as_str()),
            None => self.0.to_string(),
        }
    }
}

impl Glob {
    /// Parses what a rule file says.
    ///
    /// # Errors
    ///
    /// Returns [`PatternError::Glob`] if `text` breaks the invariant.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let fail = |why: &str| PatternError::Glob(text.to_owned(), why.to_owned());
        if text.is_empty() || text.starts_with('/') {
            return Err(fail("it must be a relative path"));
        }
        if text.split('/').any(|it| matches!(it, "" | "." | "..")) {
            return Err(fail("no empty, `.` or `..` parts"));
        }
        match globset::GlobBuilder::new(text).literal_separator(true).build() {
            Ok(_) => Ok(Self(Arc::from(text))),
            Err(error) => Err(fail(&error.kind().to_string())),
        }
    }

    /// Returns the glob as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether it matches `path`, which is relative to the declaring folder.
    ///
    /// It compiles the glob; to match many paths, make a [`globset::GlobSet`] of
    /// [`Glob::matcher`]s.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        self.matcher().compile_matcher().is_match(path)
    }

    /// Returns the glob in the form that matches.
    #[must_use]
    pub fn matcher(&self) -> globset::Glob {
        let built = globset::GlobBuilder::new(&self.0).literal_separator(true).build();
        built.unwrap_or_else(|_| unreachable!("invariant: `parse` has built the same glob"))
    }

    /// Tells whether it holds no wildcard, so that it names exactly one file.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        !self.0.contains(['*', '?', '[', '{', '\\'])
    }
}

impl Platform {
    /// Returns the path of what is made for it below `bin/`: the target's own, or a folder there.
    #[must_use]
    pub fn folder(&self, label: &Label) -> String {
        let own = label.output_path();
        match (&self.goos, &self.goarch) {
            (Some(goos), Some(goarch)) if self.is_listed => {
                let level = self.level.as_ref().map(|it| format!("_{}", it.replace(',', "-")));
                format!("{own}/{goos}_{goarch}{}", level.unwrap_or_default())
            }
            _ => own,
        }
    }

    /// Returns the path below `bin/` of the program that the target `label` makes for it.
    #[must_use]
    pub fn program(&self, label: &Label) -> String {
        let folder = self.folder(label);
        let name = if self.is_listed { format!("{folder}/{}", label.name()) } else { folder };
        format!("{name}{}", self.suffix())
    }

    /// Returns what the names of programs end in.
    #[must_use]
    pub fn suffix(&self) -> &'static str {
        if self.goos.as_deref() == Some("windows") { ".exe" } else { "" }
    }

    /// Tells whether a target names it, whole or in part.
    #[must_use]
    pub fn is_named(&self) -> bool {
        *self != Self::default()
    }
}

impl Rule {
    /// Every kind of target, by its word.
    pub const KINDS: [&'static str; 8] =
        ["go_binary", "go_tests", "c_library", "pkg_config", "command", "files", "suite", "bundle"];

    /// Returns the word that a `BUILD.ron` uses for the kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::GoBinary(_) => "go_binary",
            Self::GoTests(_) => "go_tests",
            Self::CLibrary(_) => "c_library",
            Self::PkgConfig(_) => "pkg_config",
            Self::Command(_) => "command",
            Self::Files(_) => "files",
            Self::Suite => "suite",
            Self::Bundle(_) => "bundle",
        }
    }

    /// Returns the Go settings of a rule that has them, one for each platform; none of any other.
    #[must_use]
    pub fn go_settings(&self) -> &[GoSettings] {
        match self {
            Self::GoBinary(it) => &it.settings,
            Self::GoTests(it) => &it.settings,
            _ => &[],
        }
    }

    /// Returns the C libraries that it links or uses, in the order written.
    #[must_use]
    pub fn c_deps(&self) -> &[Label] {
        match self {
            Self::GoBinary(it) => &it.c_deps,
            Self::GoTests(it) => &it.c_deps,
            Self::CLibrary(it) => &it.c_deps,
            Self::PkgConfig(_)
            | Self::Command(_)
            | Self::Files(_)
            | Self::Suite
            | Self::Bundle(_) => &[],
        }
    }

    /// Returns the Go toolchain that makes it, where it is not the one on PATH: the same for each
    /// of its platforms.
    #[must_use]
    pub fn pin(&self) -> Option<&Arc<GoSdk>> {
        self.go_settings().first()?.go.as_ref()
    }

    /// Tells whether the Go command makes it.
    #[must_use]
    pub fn is_go(&self) -> bool {
        matches!(self, Self::GoBinary(_) | Self::GoTests(_))
    }

    /// Returns what a group of tests says of itself.
    #[must_use]
    pub fn tests(&self) -> Option<&GoTests> {
        match self {
            Self::GoTests(it) => Some(it),
            _ => None,
        }
    }

    /// Returns what a command says of itself.
    #[must_use]
    pub fn command(&self) -> Option<&Command> {
        match self {
            Self::Command(it) => Some(it),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_go_pattern_is_never_an_option_and_never_leaves_the_folder() {
        for bad in
            ["", "-o", "../x", "./../x", "./-x/../y", "/abs", "a b", "x@latest", "a//b", "@file"]
        {
            assert!(GoPattern::parse(bad).is_err(), "{bad:?}");
        }
        for good in [
            ".",
            "./...",
            "./cmd/server",
            "golang.org/x/tools/cmd/stringer",
            "./internal/...",
            "net/http",
        ] {
            assert!(GoPattern::parse(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn a_glob_stays_in_its_folder() {
        for bad in ["", "/etc/*", "../*", "a/../b", "[", "a//b"] {
            assert!(Glob::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Glob::parse("**/*.proto").is_ok());
    }
}
