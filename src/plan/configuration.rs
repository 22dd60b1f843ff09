//! What one way to link means for the `go` command: its environment and its flags, as data.
//!
//! Pure: the same strategy, settings and tools give the same words, and the words are what the key
//! holds. Everything the `go` command would read from elsewhere is said here outright (`GOFLAGS`,
//! `GOENV`, `GOTOOLCHAIN`, `CC`, `CGO_CFLAGS`, …), so nothing is inherited.

use crate::formats::cover_profile::CoverMode;
use crate::model::platform::level_variable;
use crate::model::strategy::{BuildMode, Cgo, LinkMode, Strategy};
use crate::model::target::{GoSettings, Platform};
use crate::model::toolchain::Linker;
use std::collections::BTreeMap;
use std::fmt;

/// The platform of a build, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoPlatform {
    /// `GOOS`.
    pub goos: String,
    /// `GOARCH`.
    pub goarch: String,
    /// The sub-level, where one is asked for: variable (`GOAMD64`) and value.
    pub level: Option<(String, String)>,
}

/// What is known of this machine that decides how cgo stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CgoFacts {
    /// The strategy's C compiler is here and makes code for the platform.
    pub compiler: bool,
}

/// How Go packages are chosen: what must be equal for two targets to share one `go list`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selection {
    /// The platform.
    pub platform: GoPlatform,
    /// Whether cgo is on.
    pub cgo: bool,
    /// Build tags, sorted, without repetition.
    pub tags: Vec<String>,
    /// Whether the race detector is on (it is a build constraint too).
    pub race: bool,
    /// The target's own environment.
    pub env: BTreeMap<String, String>,
}

/// The C compilers as variables of the `go` command.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CompilerVariables {
    /// `CC`
    pub cc: String,
    /// `CXX`
    pub cxx: String,
    /// What the compilers themselves want: where zig keeps what it compiled.
    pub own: BTreeMap<String, String>,
}

/// Words for the C tools that C libraries bring, with places of this machine in them.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CWordsOfLibraries {
    /// For each C compiler, behind the target's own `CGO_CPPFLAGS`.
    pub compile: Vec<String>,
    /// For the C linker, behind the target's own `CGO_LDFLAGS`.
    pub link: Vec<String>,
    /// The root of the workspace, which a record shows as `.`.
    pub root: String,
}

/// Everything that `go build` is told; equal configurations can share one process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Configuration {
    /// How packages are chosen.
    pub selection: Selection,
    /// What the C compilers are to the `go` command, where cgo is on.
    pub compilers: Option<CompilerVariables>,
    /// What C libraries bring, where cgo is on; they count by their content.
    pub libraries: CWordsOfLibraries,
    /// The flags, in a fixed order, without `-json` and `-o`.
    pub flags: Vec<String>,
}

impl GoPlatform {
    /// Fills what `asked` leaves open from the machine's own platform.
    #[must_use]
    pub fn of(asked: &Platform, host: (&str, &str)) -> Self {
        let goos = asked.goos.clone().unwrap_or_else(|| host.0.to_owned());
        let goarch = asked.goarch.clone().unwrap_or_else(|| host.1.to_owned());
        let level = asked.level.clone().and_then(|it| Some((level_variable(&goarch)?.into(), it)));
        Self { goos, goarch, level }
    }
}

impl fmt::Display for GoPlatform {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.goos, self.goarch)?;
        self.level.as_ref().map_or(Ok(()), |(_, level)| write!(out, "/{level}"))
    }
}

impl Selection {
    /// Says how `strategy` chooses packages for a target.
    #[must_use]
    pub fn new(
        strategy: &Strategy,
        settings: &GoSettings,
        host: (&str, &str),
        facts: CgoFacts,
    ) -> Self {
        let platform = GoPlatform::of(&settings.platform, host);
        let mut tags: Vec<_> = strategy.tags.iter().chain(&settings.tags).cloned().collect();
        tags.sort();
        tags.dedup();
        let cgo = match strategy.cgo {
            Cgo::On => true,
            Cgo::Off => false,
            Cgo::Auto => facts.compiler,
        };
        Self { platform, cgo, tags, race: strategy.race, env: settings.env.clone() }
    }

    /// Returns the variables that say all this to the `go` command.
    #[must_use]
    pub fn environment(&self) -> BTreeMap<String, String> {
        let Self { platform: GoPlatform { goos, goarch, level }, cgo, tags: _, race: _, env } =
            self;
        let mut variables = env.clone();
        variables.insert("CGO_ENABLED".into(), if *cgo { "1" } else { "0" }.into());
        variables.insert("GOOS".into(), goos.clone());
        variables.insert("GOARCH".into(), goarch.clone());
        variables.extend(level.clone());
        variables
    }

    /// Says in what it differs from what `go` does by itself on a machine with a C compiler, as
    /// words behind a sentence; nothing if it does not.
    #[must_use]
    pub fn unlike_plain(&self, host: (&str, &str)) -> String {
        let Self { platform: GoPlatform { goos, goarch, level }, cgo, tags, race, env } = self;
        let mut words = Vec::new();
        if (goos.as_str(), goarch.as_str()) != host {
            words.push(format!("for {goos}/{goarch}"));
        }
        words.extend((!tags.is_empty()).then(|| format!("tags {}", tags.join(","))));
        words.extend((!cgo).then(|| "without cgo".to_owned()));
        words.extend(race.then(|| "race detector".to_owned()));
        let variables = level.iter().map(|(name, value)| (name, value)).chain(env);
        words.extend(variables.map(|(name, value)| format!("{name}={value}")));
        if words.is_empty() { String::new() } else { format!(" ({})", words.join("; ")) }
    }

    /// Returns the flags that say all this to the `go` command.
    #[must_use]
    pub fn flags(&self) -> Vec<String> {
        let mut flags = Vec::new();
        if !self.tags.is_empty() {
            flags.push(format!("-tags={}", self.tags.join(",")));
        }
        if self.race {
            flags.push("-race".to_owned());
        }
        flags
    }
}

impl Configuration {
    /// Says what `strategy` means for a target with `settings`.
    #[must_use]
    pub fn new(
        strategy: &Strategy,
        settings: &GoSettings,
        selection: Selection,
        (compilers, linker): (Option<CompilerVariables>, Option<Linker>),
    ) -> Self {
        let mut flags = vec![format!("-buildvcs={}", settings.buildvcs)];
        if settings.trimpath {
            flags.push("-trimpath".to_owned());
        }
        flags.extend(selection.flags());
        match strategy.buildmode {
            BuildMode::Default => {}
            BuildMode::Exe => flags.push("-buildmode=exe".to_owned()),
            BuildMode::Pie => flags.push("-buildmode=pie".to_owned()),
        }
        flags.extend(strategy.go_flags.iter().cloned());
        if !settings.gcflags.is_empty() {
            flags.push(format!("-gcflags={}", quoted(&settings.gcflags)));
        }
        flags.push(format!("-ldflags={}", quoted(&linker_words(strategy, settings, linker))));
        let compilers = if selection.cgo { compilers } else { None };
        Self { selection, compilers, libraries: CWordsOfLibraries::default(), flags }
    }

    /// Returns it with what C libraries bring.
    #[must_use]
    pub fn with_libraries(self, libraries: CWordsOfLibraries) -> Self {
        Self { libraries, ..self }
    }

    /// Lets test binaries count what they run: how, if that is said, and in which packages, if not
    /// in the one under test alone.
    #[must_use]
    pub fn covering(mut self, mode: Option<CoverMode>, packages: &[String]) -> Self {
        self.flags.push("-cover".to_owned());
        self.flags.extend(mode.map(|it| format!("-covermode={}", it.as_str())));
        let all = (!packages.is_empty()).then(|| format!("-coverpkg={}", packages.join(",")));
        self.flags.extend(all);
        self
    }

    /// Tells whether test binaries count in other packages than their own. `go` writes into such a
    /// binary which packages of the whole process are covered, so it gets a process of its own.
    #[must_use]
    pub fn covers_others(&self) -> bool {
        self.flags.iter().any(|it| it.starts_with("-coverpkg="))
    }

    /// Returns the variables of the `go` command that differ from the fixed base.
    #[must_use]
    pub fn environment(&self) -> BTreeMap<String, String> {
        let mut variables = self.selection.environment();
        if let Some(CompilerVariables { cc, cxx, own }) = &self.compilers {
            variables.insert("CC".into(), cc.clone());
            variables.insert("CXX".into(), cxx.clone());
            variables.extend(own.clone());
        }
        self.libraries.add_to(&mut variables);
        variables
    }

    /// Returns the variables without what names places of this machine: the compilers count by
    /// their content.
    #[must_use]
    pub fn keyed_environment(&self) -> BTreeMap<String, String> {
        self.selection.environment()
    }

    /// Returns the variables with the compilers as programs on PATH, for a record.
    #[must_use]
    pub fn shown_environment(&self) -> BTreeMap<String, String> {
        let mut variables = self.selection.environment();
        if let Some(CompilerVariables { cc, cxx, own: _ }) = &self.compilers {
            for (name, value) in [("CC", cc), ("CXX", cxx)] {
                let (program, words) = value.split_once(' ').unwrap_or((value, ""));
                let program = program.rsplit('/').next().unwrap_or(program);
                variables.insert(name.into(), format!("{program} {words}").trim_end().to_owned());
            }
        }
        self.libraries.shown().add_to(&mut variables);
        variables
    }
}

impl CWordsOfLibraries {
    /// Returns the words without the path of the workspace.
    fn shown(&self) -> Self {
        let show = |it: &String| it.replace(&self.root, ".");
        let [compile, link] = [&self.compile, &self.link].map(|it| it.iter().map(show).collect());
        Self { compile, link, root: String::new() }
    }

    /// Adds the words to the variables of the `go` command, behind what these hold; `-O2 -g` is
    /// what Go takes for the linker where nothing is said.
    fn add_to(&self, variables: &mut BTreeMap<String, String>) {
        for (name, words, otherwise) in
            [("CGO_CPPFLAGS", &self.compile, ""), ("CGO_LDFLAGS", &self.link, "-O2 -g")]
        {
            if words.is_empty() {
                continue;
            }
            let value = variables.entry(name.to_owned()).or_insert_with(|| otherwise.to_owned());
            let space = if value.is_empty() { "" } else { " " };
            *value = format!("{value}{space}{}", quoted(words));
        }
    }
}

/// The words of `-ldflags`. The empty `-buildid=` makes the output depend on its inputs alone, not
/// on Go's action IDs, which hold flags that do not change a byte.
fn linker_words(strategy: &Strategy, settings: &GoSettings, linker: Option<Linker>) -> Vec<String> {
    let mut words = vec!["-buildid=".to_owned()];
    match strategy.linkmode {
        LinkMode::Auto => {}
        LinkMode::Internal => words.push("-linkmode=internal".to_owned()),
        LinkMode::External => words.push("-linkmode=external".to_owned()),
    }
    words.extend(strategy.ldflags.iter().chain(&settings.ldflags).cloned());
    for (name, value) in &settings.x_defs {
        words.extend(["-X".to_owned(), format!("{name}={value}")]);
    }
    let own = strategy.extldflags.iter().chain(&settings.extldflags).cloned();
    let linker = linker.map(|it| format!("-fuse-ld={}", it.as_str()));
    let external: Vec<_> = linker.into_iter().chain(own).collect();
    if !external.is_empty() {
        words.extend(["-extldflags".to_owned(), quoted(&external)]);
    }
    words
}

/// Joins words as `cmd/internal/quoted` splits them: a word with white space or a quote stands in
/// single or double quotes, whichever it does not hold.
///
/// A word that holds both kinds cannot be written; rule files refuse it, so that it does not come
/// here.
#[must_use]
pub fn quoted(words: &[String]) -> String {
    let quote = |word: &String| {
        let plain = !word.is_empty() && !word.contains([' ', '\t', '\n', '\r', '\'', '"']);
        match (plain, word.contains('\'')) {
            (true, _) => word.clone(),
            (false, false) => format!("'{word}'"),
            (false, true) => format!("\"{word}\""),
        }
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::strategy::{Ladder, Promise};
    use expect_test::expect;
    use std::sync::Arc;

    fn strategy() -> Strategy {
        Strategy {
            name: "s".into(),
            doc: String::new(),
            cgo: Cgo::On,
            tags: vec!["osusergo".into(), "netgo".into()],
            linkmode: LinkMode::External,
            buildmode: BuildMode::Pie,
            race: false,
            toolchains: vec![],
            linker: None,
            ldflags: vec!["-s".into()],
            extldflags: vec!["-static-pie".into()],
            go_flags: vec!["-a".into()],
            needs: vec![],
            promise: Promise::StaticPie,
            glibc_max: None,
        }
    }

    fn settings() -> GoSettings {
        let ladder = Ladder { name: "l".into(), doc: String::new(), tries: vec![] };
        GoSettings {
            go: None,
            ladder: Arc::new(ladder),
            policy: None,
            tags: vec!["netgo".into(), "extra".into()],
            ldflags: vec!["-w".into()],
            gcflags: vec!["all=-N -l".into()],
            extldflags: vec!["-lfoo".into()],
            env: BTreeMap::from([("GOEXPERIMENT".into(), "jsonv2".into())]),
            x_defs: BTreeMap::from([("main.v".into(), "it's 1".into())]),
            platform: Platform { level: Some("v3".into()), ..Platform::default() },
            trimpath: true,
            buildvcs: false,
        }
    }

    fn compilers() -> CompilerVariables {
        let own = BTreeMap::from([("ZIG_GLOBAL_CACHE_DIR".to_owned(), "/zig".to_owned())]);
        CompilerVariables { cc: "/bin/zig cc -target x".into(), cxx: "/bin/g++".into(), own }
    }

    #[test]
    fn a_key_and_a_record_hold_no_place_of_this_machine() {
        let (host, facts) = (("linux", "amd64"), CgoFacts { compiler: true });
        let selection = Selection::new(&strategy(), &settings(), host, facts);
        let linker = Some(Linker::Mold);
        let made =
            Configuration::new(&strategy(), &settings(), selection, (Some(compilers()), linker));
        assert!(made.flags.iter().any(|it| it.contains("-extldflags '-fuse-ld=mold -static-pie")));
        assert_eq!(made.environment()["CC"], "/bin/zig cc -target x");
        let shown = made.shown_environment();
        assert_eq!((&*shown["CC"], &*shown["CXX"]), ("zig cc -target x", "g++"));
        let keyed = made.keyed_environment();
        for name in ["CC", "CXX", "ZIG_GLOBAL_CACHE_DIR"] {
            assert!(!keyed.contains_key(name), "{name}");
        }
        assert!(!shown.contains_key("ZIG_GLOBAL_CACHE_DIR"));
    }

    #[test]
    fn a_strategy_and_a_target_become_exact_words() {
        let selection = Selection::new(
            &strategy(),
            &settings(),
            ("linux", "amd64"),
            CgoFacts { compiler: true },
        );
        let configuration =
            Configuration::new(&strategy(), &settings(), selection, (Some(compilers()), None));
        let mut text: Vec<_> = configuration
            .environment()
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        text.extend(configuration.flags);
        expect![[r#"
            CC=/bin/zig cc -target x
            CGO_ENABLED=1
            CXX=/bin/g++
            GOAMD64=v3
            GOARCH=amd64
            GOEXPERIMENT=jsonv2
            GOOS=linux
            ZIG_GLOBAL_CACHE_DIR=/zig
            -buildvcs=false
            -trimpath
            -tags=extra,netgo,osusergo
            -buildmode=pie
            -a
            -gcflags='all=-N -l'
            -ldflags=-buildid= -linkmode=external -s -w -X "main.v=it's 1" -extldflags '-static-pie -lfoo'"#]]
        .assert_eq(&text.join("\n"));
    }

    #[test]
    fn what_differs_from_plain_go_is_said() {
        let host = ("linux", "amd64");
        let facts = CgoFacts { compiler: true };
        let mut selection = Selection::new(&strategy(), &settings(), host, facts);
        assert_eq!(
            selection.unlike_plain(host),
            " (tags extra,netgo,osusergo; GOAMD64=v3; GOEXPERIMENT=jsonv2)"
        );
        (selection.tags, selection.platform.level) = (vec![], None);
        selection.env.clear();
        assert_eq!(selection.unlike_plain(host), "");
        (selection.cgo, selection.race) = (false, true);
        let other = ("linux", "arm64");
        assert_eq!(selection.unlike_plain(other), " (for linux/amd64; without cgo; race detector)");
    }

    #[test]
    fn what_is_counted_is_among_the_flags() {
        let facts = CgoFacts { compiler: true };
        let selection = Selection::new(&strategy(), &settings(), ("linux", "amd64"), facts);
        let plain = Configuration::new(&strategy(), &settings(), selection, (None, None));
        let flags = |mode, packages: &[&str]| {
            let packages: Vec<_> = packages.iter().map(ToString::to_string).collect();
            let covering = plain.clone().covering(mode, &packages);
            let more = covering.flags[plain.flags.len()..].join(" ");
            (more, covering.covers_others())
        };
        assert_eq!(flags(None, &[]), ("-cover".to_owned(), false));
        let all = "-cover -covermode=atomic -coverpkg=./...,std";
        assert_eq!(flags(Some(CoverMode::Atomic), &["./...", "std"]), (all.to_owned(), true));
        assert!(!plain.covers_others());
    }

    #[test]
    fn without_cgo_no_compiler_is_named() {
        let off = Strategy { cgo: Cgo::Off, ..strategy() };
        let selection =
            Selection::new(&off, &settings(), ("linux", "amd64"), CgoFacts { compiler: true });
        assert!(!selection.cgo);
        let configuration =
            Configuration::new(&off, &settings(), selection, (Some(compilers()), None));
        assert_eq!(configuration.compilers, None);
    }
}
