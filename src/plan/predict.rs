//! Says before building what will come of an attempt.
//!
//! Pure. Each forecast rests on a rule of the Go tools, named beside it; the finished file still
//! decides. A rung that is forecast to break its promise is passed over while another may hold it,
//! and built when none is left, so that the verdict comes from a file.
//!
//! | rule | because |
//! |---|---|
//! | cgo on needs a C compiler for the platform | `cmd/go` runs it |
//! | C++ needs a C++ compiler that belongs to the C compiler | another one brings another C library |
//! | race needs cgo | `cmd/go/internal/work/init.go`, `instrumentInit` |
//! | race and PIE do not go together on Linux | the same |
//! | what does not load with these tags and cgo setting cannot be built | `go list -e` |
//! | cgo in the graph, and Go's own linker: dynamic | `runtime/cgo` imports libc symbols |
//! | PIE by Go's own linker asks for a loader | `cmd/link/internal/ld/elf.go`, `.interp` |
//! | on AIX, illumos, OpenBSD and Solaris every program needs the C library | `runtime/sys_libc.go` |
//! | android (but `arm64`) and ios need the C linker | `MustLinkExternal`, `internal/platform` |
//! | C outside the standard library forces the C linker | `internalpkg`, `cmd/link/internal/ld/lib.go` |

use crate::model::strategy::{BuildMode, Cgo, LinkMode, Promise, Strategy};
use crate::model::toolchain::{Need, Toolchain};
use crate::plan::configuration::Selection;
use crate::plan::go_graph::GoGraph;
use std::collections::BTreeSet;

/// What is known of the C tools that a strategy would use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CFacts<'a> {
    /// The C compiler that is used, or looked for first.
    pub cc: &'a str,
    /// What it calls its own target; `None` if none of the strategy's is on this machine.
    pub machine: Option<&'a str>,
    /// It makes code for the platform of the attempt.
    pub serves: bool,
    /// In what it lies about its target.
    pub untruth: Option<&'a str>,
    /// A compiler of the strategy's that would serve and is not here.
    pub absent: Option<&'a str>,
    /// What to install for that.
    pub install: &'a str,
    /// What it belongs to.
    pub toolchain: Option<&'a Toolchain>,
    /// What of the needs it was seen to meet.
    pub meets: &'a BTreeSet<Need>,
    /// Why the linker that the strategy wants cannot be taken, and what would help.
    pub linker: Option<(&'a str, &'a str)>,
}

/// Whose fault it is that an attempt is impossible; decides the exit code when all are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The machine lacks a tool or a library.
    Machine,
    /// Go cannot load the package this way.
    Load,
    /// The strategy contradicts itself or the target.
    Rule,
}

/// What will come of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forecast {
    /// Nothing known speaks against it.
    Holds,
    /// It will build, and not be as promised.
    Breaks {
        /// Why, as a clause.
        reason: String,
    },
    /// It cannot be built.
    Impossible {
        /// Why, as a clause.
        reason: String,
        /// Whose fault.
        obstacle: Obstacle,
        /// What would make it possible, if that is known.
        hint: Option<String>,
    },
}

/// Tells whether `strategy` can be tried at all for `selection` on this machine, before any Go
/// package is looked at.
#[must_use]
pub fn needs(strategy: &Strategy, selection: &Selection, c: CFacts<'_>) -> Forecast {
    let (cc, install) = (c.cc, c.install.to_owned());
    let platform = format!("{}/{}", selection.platform.goos, selection.platform.goarch);
    let wants_c = strategy.cgo == Cgo::On || strategy.needs.contains(&Need::CCompiler);
    if selection.race && !selection.cgo {
        if c.machine.is_none() {
            return lacks(format!("there is no C compiler `{cc}` here"), install);
        }
        return rule("the race detector needs cgo, and this strategy has it off".to_owned());
    }
    if selection.race && strategy.buildmode == BuildMode::Pie {
        return rule("Go refuses `-race` with `-buildmode=pie`".to_owned());
    }
    if selection.race && !race_platform(&selection.platform.goos, &selection.platform.goarch) {
        return rule(format!("the race detector does not exist for {platform}"));
    }
    if strategy.linkmode == LinkMode::External && !selection.cgo && !wants_c {
        return rule("the C linker needs cgo, and this strategy has it off".to_owned());
    }
    if !selection.cgo && needs_c_linker(&selection.platform.goos, &selection.platform.goarch) {
        let reason = format!("Go links programs for {platform} with a C linker alone");
        let hint = format!("name a toolchain for {platform} in a strategy's `toolchains`");
        return Forecast::Impossible { reason, obstacle: Obstacle::Machine, hint: Some(hint) };
    }
    if !wants_c {
        return Forecast::Holds;
    }
    let Some(target) = c.machine else {
        return lacks(format!("there is no C compiler `{cc}` here"), install);
    };
    if let Some(untruth) = c.untruth {
        let hint = "take it off `PATH`, or name another toolchain in the strategy's `toolchains`";
        return lacks(untruth.to_owned(), hint.to_owned());
    }
    if !c.serves {
        let reason = format!("`{cc}` makes code for {target}, not for {platform}");
        if let Some(absent) = c.absent {
            return lacks(format!("{reason}, and there is no `{absent}` here"), install);
        }
        let hint = format!("name a toolchain for {platform} in the strategy's `toolchains`");
        return lacks(reason, hint);
    }
    if let Some((reason, hint)) = c.linker {
        return lacks(reason.to_owned(), hint.to_owned());
    }
    let Some(need) = strategy.needs.iter().find(|it| !c.meets.contains(it)) else {
        return Forecast::Holds;
    };
    let what = match need {
        Need::CCompiler => return Forecast::Holds,
        Need::StaticLibc => "static C library",
        Need::StaticPieStart => "start files of a static PIE",
        Need::StaticLibstdcxx => "static C++ library",
    };
    let install = c.toolchain.map(|it| it.install_part(*need, &selection.platform.goarch));
    lacks(format!("`{cc}` finds no {what}"), install.unwrap_or_default())
}

/// Says what will come of `strategy` for the program or test binary `root`.
#[must_use]
pub fn forecast(
    strategy: &Strategy,
    selection: &Selection,
    graph: &GoGraph,
    root: &str,
) -> Forecast {
    let errors = graph.load_errors(root);
    if !errors.is_empty() {
        let hint = None;
        return Forecast::Impossible { reason: errors.join("\n"), obstacle: Obstacle::Load, hint };
    }
    let wants_static = matches!(strategy.promise, Promise::Static | Promise::StaticPie);
    match dynamic_cause(strategy, selection, graph, root).filter(|_| wants_static) {
        Some(cause) => breaks(cause.clause()),
        None => Forecast::Holds,
    }
}

/// Says that `root` holds C++, which the C compiler `cc` has no compiler for, if it does;
/// `install` says what would bring one.
#[must_use]
pub fn without_cxx(
    (cc, install): (&str, Option<&str>),
    graph: &GoGraph,
    root: &str,
) -> Option<Forecast> {
    let chain = graph.chain_to(root, |it| it.files.use_cgo() && it.files.hold_cxx())?;
    let package = chain.last()?;
    let reason = format!("`{package}` holds C++, and no C++ compiler belongs to `{cc}`");
    let hint =
        install.unwrap_or("take a strategy whose toolchain has one: `zig_musl`, `static_glibc`");
    Some(lacks(reason, hint.to_owned()))
}

/// Why what a strategy makes of a Go package will need a loader at run time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The shortest import chain to the package that brings cgo, both ends included; empty if none
    /// does.
    pub chain: Vec<String>,
    /// What Go's tools make of that.
    pub rule: CauseRule,
}

/// The rule of Go's tools behind a [`Cause`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CauseRule {
    /// cgo in the graph, and Go's own linker.
    Internal,
    /// The same, with `-extldflags` that reach nobody.
    InternalIgnores,
    /// The C linker, not told to link statically.
    External,
    /// A position-independent program by Go's own linker.
    InternalPie,
    /// A system that Go calls through its C library alone.
    System,
}

impl CauseRule {
    /// Returns the rule as a clause.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "Go's own linker can only link that dynamically",
            Self::InternalIgnores => "Go links it with its own linker, which ignores `-extldflags`",
            Self::External => "the C linker is not told to link statically",
            Self::System => "on this system every Go program needs the C library",
            Self::InternalPie => "a PIE by Go's own linker asks for a loader",
        }
    }
}

impl Cause {
    fn clause(&self) -> String {
        let rule = self.rule.as_str();
        match self.rule {
            CauseRule::Internal | CauseRule::InternalIgnores => {
                format!("{}; {rule}", cgo_clause(&self.chain))
            }
            CauseRule::External | CauseRule::InternalPie | CauseRule::System => rule.to_owned(),
        }
    }
}

/// Says why what `strategy` makes of the program or test binary `root` will need a loader; `None`
/// if nothing known makes it so. Only Linux is known.
#[must_use]
pub fn dynamic_cause(
    strategy: &Strategy,
    selection: &Selection,
    graph: &GoGraph,
    root: &str,
) -> Option<Cause> {
    if needs_its_libc(&selection.platform.goos) {
        return Some(Cause { chain: Vec::new(), rule: CauseRule::System });
    }
    if selection.platform.goos != "linux" {
        return None;
    }
    let forced = graph.chain_to_external_linking(root);
    let external = match strategy.linkmode {
        LinkMode::Internal => false,
        LinkMode::External => true,
        LinkMode::Auto => selection.cgo && (forced.is_some() || selection.race),
    };
    let linked_in = strategy.extldflags.iter().any(|it| it == "-static" || it == "-static-pie");
    if external && linked_in {
        return None;
    }
    if external {
        let chain = forced.or_else(|| graph.chain_to_cgo(root)).unwrap_or_default();
        return Some(Cause { chain, rule: CauseRule::External });
    }
    if selection.cgo
        && let Some(chain) = graph.chain_to_cgo(root)
    {
        let rule = if linked_in { CauseRule::InternalIgnores } else { CauseRule::Internal };
        return Some(Cause { chain, rule });
    }
    let is_pie = strategy.buildmode == BuildMode::Pie;
    is_pie.then(|| Cause { chain: Vec::new(), rule: CauseRule::InternalPie })
}

/// Returns `` `net` uses cgo (imported by `m` → `net/http`) ``.
#[must_use]
pub fn cgo_clause(chain: &[String]) -> String {
    let (last, before) = chain.split_last().map_or(("", &chain[..0]), |(it, rest)| (it, rest));
    if before.is_empty() {
        return format!("`{last}` itself uses cgo");
    }
    let steps: Vec<_> = before.iter().map(|it| format!("`{it}`")).collect();
    format!("`{last}` uses cgo (imported by {})", steps.join(" → "))
}

/// # Source
///
/// `RaceDetectorSupported`, `internal/platform/supported.go` of Go 1.26.
fn race_platform(goos: &str, goarch: &str) -> bool {
    match goos {
        "linux" => {
            matches!(goarch, "amd64" | "arm64" | "loong64" | "ppc64le" | "riscv64" | "s390x")
        }
        "darwin" => matches!(goarch, "amd64" | "arm64"),
        "freebsd" | "netbsd" | "windows" => goarch == "amd64",
        _ => false,
    }
}

/// # Source
///
/// `MustLinkExternal`, `internal/platform/supported.go` of Go 1.26.
fn needs_c_linker(goos: &str, goarch: &str) -> bool {
    matches!((goos, goarch), ("android", "386" | "amd64" | "arm") | ("ios", "arm64"))
}

/// Tells whether Go calls the system through its C library alone there.
///
/// # Source
///
/// `runtime/sys_libc.go` and its build constraint, Go 1.26; macOS and Windows, where nothing less
/// can be promised, are not among them.
fn needs_its_libc(goos: &str) -> bool {
    matches!(goos, "aix" | "illumos" | "openbsd" | "solaris")
}

fn lacks(reason: String, hint: String) -> Forecast {
    Forecast::Impossible { reason, obstacle: Obstacle::Machine, hint: Some(hint) }
}

fn rule(reason: String) -> Forecast {
    Forecast::Impossible { reason, obstacle: Obstacle::Rule, hint: None }
}

fn breaks(reason: String) -> Forecast {
    Forecast::Breaks { reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::go_list::parse;
    use crate::model::toolchain::Packages;
    use crate::plan::configuration::GoPlatform;
    use expect_test::{Expect, expect};
    use std::collections::BTreeMap;
    use std::sync::Arc;

    fn strategy() -> Strategy {
        Strategy { name: "s".into(), promise: Promise::Static, ..Strategy::default() }
    }

    fn selection(cgo: bool, race: bool) -> Selection {
        let platform = GoPlatform { goos: "linux".into(), goarch: "amd64".into(), level: None };
        Selection { platform, cgo, tags: vec![], race, env: BTreeMap::new() }
    }

    fn shown(forecast: &Forecast) -> String {
        match forecast {
            Forecast::Holds => "holds".to_owned(),
            Forecast::Breaks { reason } => format!("breaks: {reason}"),
            Forecast::Impossible { reason, hint, .. } => {
                let hint = hint.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
                format!("impossible: {reason}{hint}")
            }
        }
    }

    #[track_caller]
    fn check_needs(strategy: &Strategy, cgo: bool, meets: &[Need], expect: Expect) {
        let meets: BTreeSet<_> = meets.iter().copied().collect();
        let machine = (!meets.is_empty()).then_some("x86_64-linux-gnu");
        let first = strategy.toolchains.first();
        let install = first.map(|it| it.install("amd64")).unwrap_or_default();
        let c = CFacts {
            cc: first.map_or("gcc", |it| &it.cc),
            machine,
            serves: machine.is_some(),
            untruth: None,
            absent: None,
            install: &install,
            toolchain: first.map(|it| &**it),
            meets: &meets,
            linker: None,
        };
        expect.assert_eq(&shown(&needs(strategy, &selection(cgo, strategy.race), c)));
    }

    #[test]
    fn what_the_machine_lacks_is_named_with_what_to_install() {
        let needs = vec![Need::CCompiler, Need::StaticLibc];
        let packages = |debian: &[&str], fedora: &[&str]| Packages {
            debian: debian.iter().map(|it| (*it).to_owned()).collect(),
            fedora: fedora.iter().map(|it| (*it).to_owned()).collect(),
        };
        let packages_of_libc = packages(&["libc6-dev"], &["glibc-static"]);
        let toolchain = |cc: &str, debian: &[&str], fedora: &[&str]| {
            let (cc, packages) = (cc.to_owned(), packages(debian, fedora));
            let parts = [(Need::StaticLibc, packages_of_libc.clone())].into();
            vec![Arc::new(Toolchain { cc, packages, parts, ..Toolchain::default() })]
        };
        let gcc = toolchain("gcc", &["gcc", "libc6-dev"], &["gcc", "glibc-devel"]);
        let glibc = Strategy { cgo: Cgo::On, needs, toolchains: gcc, ..strategy() };
        check_needs(
            &glibc,
            true,
            &[],
            expect![
                "impossible: there is no C compiler `gcc` here (install `gcc` and `libc6-dev` (Debian), `gcc` and `glibc-devel` (Fedora))"
            ],
        );
        check_needs(
            &glibc,
            true,
            &[Need::CCompiler],
            expect![
                "impossible: `gcc` finds no static C library (install `libc6-dev` (Debian), `glibc-static` (Fedora))"
            ],
        );
        check_needs(&glibc, true, &[Need::CCompiler, Need::StaticLibc], expect!["holds"]);
        let toolchains = toolchain("musl-gcc", &["musl-tools"], &["musl-gcc"]);
        let musl = Strategy { toolchains, ..glibc };
        check_needs(
            &musl,
            true,
            &[],
            expect![
                "impossible: there is no C compiler `musl-gcc` here (install `musl-tools` (Debian), `musl-gcc` (Fedora))"
            ],
        );
    }

    #[test]
    fn a_compiler_for_another_platform_and_one_that_lies_are_refused() {
        let meets = BTreeSet::from([Need::CCompiler]);
        let cgo = Strategy { cgo: Cgo::On, ..strategy() };
        let c = CFacts {
            cc: "gcc",
            machine: Some("aarch64-linux-gnu"),
            serves: false,
            untruth: None,
            absent: Some("x86_64-linux-gnu-gcc"),
            install: "install `gcc-x86-64-linux-gnu` (Debian)",
            toolchain: None,
            meets: &meets,
            linker: None,
        };
        let said = |c| shown(&needs(&cgo, &selection(true, false), c));
        expect!["impossible: `gcc` makes code for aarch64-linux-gnu, not for linux/amd64, and there is no `x86_64-linux-gnu-gcc` here (install `gcc-x86-64-linux-gnu` (Debian))"].assert_eq(&said(c));
        expect!["impossible: `gcc` makes code for aarch64-linux-gnu, not for linux/amd64 (name a toolchain for linux/amd64 in the strategy's `toolchains`)"].assert_eq(&said(CFacts { absent: None, ..c }));
        let lie = CFacts { untruth: Some("`gcc` says one thing"), ..c };
        expect!["impossible: `gcc` says one thing (take it off `PATH`, or name another toolchain in the strategy's `toolchains`)"].assert_eq(&said(lie));
        let linker = CFacts {
            serves: true,
            linker: Some(("there is no `ld.mold` here", "install `mold` (Debian)")),
            ..c
        };
        expect!["impossible: there is no `ld.mold` here (install `mold` (Debian))"]
            .assert_eq(&said(linker));
    }

    #[test]
    fn strategies_that_contradict_themselves_are_refused() {
        let race = Strategy { race: true, cgo: Cgo::Off, ..strategy() };
        let c = [Need::CCompiler];
        check_needs(
            &race,
            false,
            &c,
            expect!["impossible: the race detector needs cgo, and this strategy has it off"],
        );
        let pie = Strategy { race: true, cgo: Cgo::On, buildmode: BuildMode::Pie, ..strategy() };
        check_needs(
            &pie,
            true,
            &c,
            expect!["impossible: Go refuses `-race` with `-buildmode=pie`"],
        );
        let external = Strategy { linkmode: LinkMode::External, cgo: Cgo::Off, ..strategy() };
        check_needs(
            &external,
            false,
            &c,
            expect!["impossible: the C linker needs cgo, and this strategy has it off"],
        );
    }

    fn graph() -> GoGraph {
        let text = br#"
            {"ImportPath": "pure", "Name": "main", "Imports": ["fmt"]}
            {"ImportPath": "fmt", "Standard": true}
            {"ImportPath": "web", "Name": "main", "Imports": ["net/http"]}
            {"ImportPath": "net/http", "Standard": true, "Imports": ["net"]}
            {"ImportPath": "net", "Standard": true, "CgoFiles": ["cgo.go"]}
            {"ImportPath": "db", "Name": "main", "Imports": ["db/c"]}
            {"ImportPath": "db/c", "CgoFiles": ["c.go"]}
            {"ImportPath": "self", "Name": "main", "CgoFiles": ["main.go"]}
            {"ImportPath": "rocks", "Name": "main", "Imports": ["rocks/cc"]}
            {"ImportPath": "rocks/cc", "CgoFiles": ["c.go"], "CXXFiles": ["c.cc"]}
            {"ImportPath": "bad", "Error": {"Err": "build constraints exclude all Go files in /x"}}
        "#;
        GoGraph::new(parse(text).unwrap())
    }

    #[track_caller]
    fn check(strategy: &Strategy, cgo: bool, root: &str, expect: Expect) {
        let selection = selection(cgo, strategy.race);
        expect.assert_eq(&shown(&forecast(strategy, &selection, &graph(), root)));
    }

    #[test]
    fn cxx_without_a_compiler_for_it_is_impossible() {
        assert_eq!(without_cxx(("musl-gcc", None), &graph(), "db"), None);
        let said = without_cxx(("musl-gcc", None), &graph(), "rocks").unwrap();
        expect!["impossible: `rocks/cc` holds C++, and no C++ compiler belongs to `musl-gcc` (take a strategy whose toolchain has one: `zig_musl`, `static_glibc`)"].assert_eq(&shown(&said));
    }

    #[test]
    fn go_s_own_linker_makes_cgo_dynamic_and_ignores_extldflags() {
        let plain = strategy();
        check(&plain, true, "pure", expect!["holds"]);
        check(
            &plain,
            true,
            "web",
            expect![
                "breaks: `net` uses cgo (imported by `web` → `net/http`); Go's own linker can only link that dynamically"
            ],
        );
        let seed = Strategy { extldflags: vec!["-static".into()], ..strategy() };
        check(
            &seed,
            true,
            "web",
            expect![
                "breaks: `net` uses cgo (imported by `web` → `net/http`); Go links it with its own linker, which ignores `-extldflags`"
            ],
        );
        check(&seed, true, "db", expect!["holds"]);
        check(&plain, true, "db", expect!["breaks: the C linker is not told to link statically"]);
        let internal = Strategy { linkmode: LinkMode::Internal, ..strategy() };
        check(
            &internal,
            true,
            "self",
            expect![
                "breaks: `self` itself uses cgo; Go's own linker can only link that dynamically"
            ],
        );
    }

    #[test]
    fn a_pie_by_go_s_own_linker_asks_for_a_loader() {
        let pie = Strategy { buildmode: BuildMode::Pie, cgo: Cgo::Off, ..strategy() };
        check(&pie, false, "pure", expect!["breaks: a PIE by Go's own linker asks for a loader"]);
        let any = Strategy { promise: Promise::Any, ..pie };
        check(&any, false, "pure", expect!["holds"]);
    }

    #[test]
    fn what_does_not_load_is_impossible_in_go_s_own_words() {
        check(
            &strategy(),
            false,
            "bad",
            expect!["impossible: build constraints exclude all Go files in /x"],
        );
    }

    #[test]
    fn what_other_systems_demand_is_known() {
        let on = |goos: &str, goarch: &str| {
            let mut selection = selection(false, false);
            (selection.platform.goos, selection.platform.goarch) = (goos.into(), goarch.into());
            selection
        };
        let pure = Strategy { cgo: Cgo::Off, ..strategy() };
        let nothing = BTreeSet::new();
        let c = CFacts {
            cc: "gcc",
            machine: None,
            serves: false,
            untruth: None,
            absent: None,
            install: "",
            toolchain: None,
            meets: &nothing,
            linker: None,
        };
        let needs = |goos, goarch| shown(&needs(&pure, &on(goos, goarch), c));
        let reason = "impossible: Go links programs for android/arm with a C linker alone \
                      (name a toolchain for android/arm in a strategy's `toolchains`)";
        assert_eq!(needs("android", "arm"), reason);
        assert_eq!(needs("android", "arm64"), "holds");
        let graph = GoGraph::new(parse(b"{\"ImportPath\": \"m\", \"Dir\": \"/m\"}").unwrap());
        let told = |goos| shown(&forecast(&pure, &on(goos, "amd64"), &graph, "m"));
        assert_eq!(told("openbsd"), "breaks: on this system every Go program needs the C library");
        assert_eq!(told("freebsd"), "holds");
        assert_eq!(told("windows"), "holds");
    }
}
