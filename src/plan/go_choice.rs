//! Which files of a folder Go chooses: by their names and by their constraints.
//!
//! # Source
//!
//! `goodOSArchFile` and `matchTag` in `go/build/build.go`; `internal/syslist`.

use crate::formats::go_constraint::Constraint;
use crate::plan::configuration::Selection;
use std::collections::BTreeSet;

/// Systems that a file's name can end with: those of today, of yesterday, and promised ones.
const SYSTEMS: [&str; 18] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "wasip1",
    "windows",
    "zos",
];

/// Those of them for which the tag `unix` holds.
const UNIX: [&str; 12] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "linux",
    "netbsd",
    "openbsd",
    "solaris",
];

/// Architectures that a file's name can end with.
const ARCHITECTURES: [&str; 24] = [
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "arm64",
    "arm64be",
    "armbe",
    "loong64",
    "mips",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "mipsle",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
];

/// The minor versions of Go whose answers were compared; what another one does is not known.
const KNOWN: std::ops::RangeInclusive<u32> = 24..=27;

/// What decides which files of a folder count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoChoice {
    /// `GOOS`.
    pub system: String,
    /// `GOARCH`.
    pub architecture: String,
    /// Whether cgo is on.
    pub cgo: bool,
    /// Whether the race detector is on.
    pub race: bool,
    tags: BTreeSet<String>,
    /// The `26` of Go 1.26.
    minor: u32,
    /// The tags that hold by the toolchain's own settings (`goexperiment.…`, `amd64.v1`), where
    /// they are known.
    tool: Option<BTreeSet<String>>,
}

/// What becomes of a file, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// It is no source file, or one for another platform.
    Out,
    /// It is Go, and its text decides.
    Go,
    /// It is another language, and its text decides.
    Other,
    /// It counts, whatever is in it.
    Object,
}

impl GoChoice {
    /// Says what a selection chooses by a toolchain of this version (`go1.26.8`); `None` if it is
    /// none that is known, or variables may say more than the selection.
    #[must_use]
    pub fn new(selection: &Selection, version: &str) -> Option<Self> {
        let numbers = version.strip_prefix("go1.")?;
        let released = numbers.bytes().all(|it| it.is_ascii_digit() || it == b'.');
        let minor = numbers.split('.').next()?.parse().ok()?;
        let Selection { platform, cgo, tags, race, env } = selection;
        // They may be Go's own, which set experiments, flags and the like.
        if !released || !KNOWN.contains(&minor) || env.keys().any(|it| it.starts_with("GO")) {
            return None;
        }
        Some(Self {
            system: platform.goos.clone(),
            architecture: platform.goarch.clone(),
            cgo: *cgo,
            race: *race,
            tags: tags.iter().cloned().collect(),
            minor,
            tool: None,
        })
    }

    /// Adds the tags that hold by the toolchain's own settings.
    #[must_use]
    pub fn with_tool_tags(self, tags: impl IntoIterator<Item = String>) -> Self {
        Self { tool: Some(tags.into_iter().collect()), ..self }
    }

    /// Says what becomes of a file of this name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Named {
        if name.starts_with(['_', '.']) {
            return Named::Out;
        }
        let named = match kind_of(name) {
            Some("go") => Named::Go,
            Some("syso") => Named::Object,
            Some(_) => Named::Other,
            None => return Named::Out,
        };
        if self.fits(name) { named } else { Named::Out }
    }

    /// Tells whether a constraint holds; `None` where that hangs on a tag that is not known.
    #[must_use]
    pub fn holds(&self, constraint: &Constraint) -> Option<bool> {
        constraint.eval(&|it| self.tag(it))
    }

    /// Tells whether the name ends with no other platform.
    fn fits(&self, name: &str) -> bool {
        let stem = name.split('.').next().unwrap_or_default();
        let Some((_, rest)) = stem.split_once('_') else { return true };
        // From the end: nothing is put aside for thousands of names.
        let mut parts = rest.rsplit('_').peekable();
        parts.next_if_eq(&"test");
        let Some(last) = parts.next() else { return true };
        // A tag may be called like a platform.
        let is = |it: &str| self.platform(it) || self.tags.contains(it);
        match parts.next() {
            Some(system) if SYSTEMS.contains(&system) && ARCHITECTURES.contains(&last) => {
                is(system) && is(last)
            }
            _ if SYSTEMS.contains(&last) || ARCHITECTURES.contains(&last) => is(last),
            _ => true,
        }
    }

    fn platform(&self, word: &str) -> bool {
        let also = match self.system.as_str() {
            "android" => "linux",
            "illumos" => "solaris",
            "ios" => "darwin",
            _ => "",
        };
        word == self.system || word == self.architecture || word == also
    }

    fn tag(&self, tag: &str) -> Option<bool> {
        let tag = if tag == "boringcrypto" { "goexperiment.boringcrypto" } else { tag };
        let of_release = tag.strip_prefix("go1.").and_then(|it| {
            let is_plain = !it.starts_with('0') && it.bytes().all(|it| it.is_ascii_digit());
            it.parse().ok().filter(|it| is_plain && (1..=self.minor).contains(it))
        });
        if self.platform(tag)
            || self.cgo && tag == "cgo"
            || self.race && tag == "race"
            || tag == "gc"
            || tag == "unix" && UNIX.contains(&self.system.as_str())
            || self.tags.contains(tag)
            || of_release.is_some()
        {
            return Some(true);
        }
        match &self.tool {
            Some(tool) => Some(tool.contains(tag)),
            // The toolchain's own tags have a dot in them, all but those of sanitizers.
            None if tag.contains('.') && !tag.starts_with("go1.") => None,
            None => Some(false),
        }
    }
}

/// Returns the extension of a file that may be part of a package.
#[must_use]
pub fn kind_of(name: &str) -> Option<&str> {
    let extension = name.rsplit_once('.')?.1;
    let kinds = [
        "go", "c", "cc", "cpp", "cxx", "m", "h", "hh", "hpp", "hxx", "f", "F", "for", "f90", "s",
        "S", "sx", "swig", "swigcxx", "syso",
    ];
    kinds.contains(&extension).then_some(extension)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::go_constraint::of_file;
    use crate::plan::configuration::GoPlatform;
    use std::collections::BTreeMap;

    fn selection(goos: &str, goarch: &str, tags: &[&str]) -> Selection {
        let platform = GoPlatform { goos: goos.into(), goarch: goarch.into(), level: None };
        let tags = tags.iter().map(|it| (*it).to_owned()).collect();
        Selection { platform, cgo: true, tags, race: false, env: BTreeMap::new() }
    }

    #[test]
    fn names_end_with_platforms_old_and_new() {
        let choice =
            |system: &str| GoChoice::new(&selection(system, "amd64", &[]), "go1.26.8").unwrap();
        for (name, linux, android) in [
            ("a.go", true, true),
            ("linux.go", true, true),
            ("windows.go", true, true),
            ("a_linux.go", true, true),
            ("a_android.go", false, true),
            ("a_windows.go", false, false),
            ("a_windows_test.go", false, false),
            ("linux_test.go", true, true),
            ("windows_test.go", true, true),
            ("a_amd64.s", true, true),
            ("a_arm64.s", false, false),
            ("a_linux_amd64.go", true, true),
            ("a_linux_arm64.go", false, false),
            ("a_windows_amd64_test.go", false, false),
            ("a_amd64_linux.go", true, true),
            ("a_windows_linux.go", true, true),
            ("a_unix.go", true, true),
            ("a_nacl.go", false, false),
            ("a_sparc.go", false, false),
            ("a_zos.c", false, false),
            ("a_linux.x_windows.go", true, true),
            ("a_windows.x.go", false, false),
            ("a_test_windows.go", false, false),
            ("a__windows.go", false, false),
            ("amd64.go", true, true),
            ("_linux.go", false, false),
            (".a.go", false, false),
            ("a.txt", false, false),
            ("go", false, false),
        ] {
            let is_in = |system| choice(system).by_name(name) != Named::Out;
            assert_eq!((is_in("linux"), is_in("android")), (linux, android), "{name}");
        }
        assert_eq!(choice("linux").by_name("a.syso"), Named::Object);
    }

    #[test]
    fn tags_hold_by_platform_version_and_word() {
        let choice = GoChoice::new(&selection("linux", "amd64", &["own"]), "go1.26.8").unwrap();
        let holds = |choice: &GoChoice, tag: &str| {
            choice.holds(&of_file(format!("//go:build {tag}\n\npackage p\n").as_bytes()).unwrap())
        };
        for (tag, expected) in [
            ("linux", Some(true)),
            ("amd64", Some(true)),
            ("unix", Some(true)),
            ("gc", Some(true)),
            ("gccgo", Some(false)),
            ("cgo", Some(true)),
            ("own", Some(true)),
            ("ignore", Some(false)),
            ("race", Some(false)),
            ("go1.1", Some(true)),
            ("go1.26", Some(true)),
            ("go1.27", Some(false)),
            ("go1.026", Some(false)),
            ("go1.26.8", Some(false)),
            ("go1", Some(false)),
            ("goexperiment.x", None),
            ("boringcrypto", None),
            ("amd64.v1", None),
        ] {
            assert_eq!(holds(&choice, tag), expected, "{tag}");
        }
        let choice = choice.with_tool_tags(["amd64.v1".to_owned()]);
        assert_eq!(holds(&choice, "amd64.v1"), Some(true));
        assert_eq!(holds(&choice, "boringcrypto"), Some(false));
    }

    #[test]
    fn what_a_toolchain_does_that_nobody_looked_at_is_not_known() {
        let plain = selection("linux", "amd64", &[]);
        for version in ["go1.23.1", "go1.99", "go1.26rc1", "devel go1.26-abc", "gccgo 12"] {
            assert_eq!(GoChoice::new(&plain, version), None, "{version}");
        }
        let mut other = plain.clone();
        other.env.insert("GOEXPERIMENT".into(), "x".into());
        assert_eq!(GoChoice::new(&other, "go1.26.8"), None);
        assert!(GoChoice::new(&plain, "go1.24").is_some());
    }
}
