//! `BUILD.ron`: what one folder declares, as written, with places.
//!
//! Nothing is looked up here. Names of targets are checked, since they become labels; whether what
//! they refer to exists, and whether a flag is allowed, is `model::resolve`'s to say. Each target
//! is read by itself, so one that is wrong hides nothing in another.

use crate::formats::go_sdk_spec::{GoSdkSpec, read_go_sdk};
use crate::formats::ron_fields::{Entry, Fields, Reader, Table};
use crate::formats::ron_syntax::{Node, parse as parse_ron};
use crate::formats::sealed_spec::{SealedSpec, read_run_in};
use crate::words::label::{Label, PackagePath};
use crate::words::problem::Problem;
use crate::words::span::{Source, Span, Spanned};
use std::sync::Arc;

/// The fields of `build(…)`.
pub const BUILD_FIELDS: [&str; 4] = ["workspace", "go_sdks", "defaults", "targets"];

/// The kinds of targets.
pub const KINDS: [&str; 8] =
    ["go_binary", "go_tests", "c_library", "pkg_config", "command", "files", "suite", "bundle"];

/// The settings of Go targets, which `defaults` may hold too.
pub const SETTINGS: [&str; 14] = [
    "go",
    "link",
    "policy",
    "tags",
    "ldflags",
    "gcflags",
    "extldflags",
    "env",
    "x_defs",
    "goos",
    "goarch",
    "level",
    "trimpath",
    "buildvcs",
];

/// What `defaults` may hold.
pub const DEFAULTS_FIELDS: [&str; 15] = with(["vet"]);

/// The fields of `go_binary(…)`.
pub const GO_BINARY_FIELDS: [&str; 20] =
    with(["name", "package", "platforms", "c_deps", "deps", "smoke"]);

/// The fields of `smoke: (…)`.
pub const SMOKE_FIELDS: [&str; 4] = ["args", "stdout", "exit", "timeout"];

/// The fields of `go_tests(…)`.
pub const GO_TESTS_FIELDS: [&str; 29] = with([
    "name",
    "packages",
    "exclude",
    "platforms",
    "vet",
    "c_deps",
    "deps",
    "timeout",
    "args",
    "data",
    "pass_env",
    "run_in",
    "cover",
    "covermode",
    "coverpkg",
]);

/// The fields of `c_library(…)`.
pub const C_LIBRARY_FIELDS: [&str; 12] = [
    "name", "srcs", "exclude", "hdrs", "archive", "includes", "defines", "copts", "cxxopts",
    "linkopts", "c_deps", "deps",
];

/// The fields of `pkg_config(…)`.
pub const PKG_CONFIG_FIELDS: [&str; 3] = ["name", "packages", "deps"];

/// The fields of `command(…)`.
pub const COMMAND_FIELDS: [&str; 7] =
    ["name", "argv", "inputs", "outputs", "pass_env", "env", "deps"];

/// The fields of `files(…)`.
pub const FILES_FIELDS: [&str; 3] = ["name", "globs", "exclude"];

/// The fields of `suite(…)`.
pub const SUITE_FIELDS: [&str; 2] = ["name", "targets"];

/// The fields of `bundle(…)`.
pub const BUNDLE_FIELDS: [&str; 3] = ["name", "tests", "form"];

/// What a bundle can be.
pub const FORMS: [&str; 2] = ["folder", "tar"];

/// A file that declares one thing, for the message about an empty one.
pub const EXAMPLE: &str = "build(targets: [go_binary(name: \"app\")])";

/// Returns `own`, then [`SETTINGS`].
const fn with<const OWN: usize, const ALL: usize>(own: [&'static str; OWN]) -> [&'static str; ALL] {
    assert!(OWN + SETTINGS.len() == ALL, "the length counts both");
    let mut all = [""; ALL];
    let mut at = 0;
    while at < ALL {
        all[at] = if at < OWN { own[at] } else { SETTINGS[at - OWN] };
        at += 1;
    }
    all
}

/// One `BUILD.ron`.
#[derive(Debug, Clone)]
pub struct BuildSpec {
    /// Its folder.
    pub package: PackagePath,
    /// Whether the folder is the root of a workspace of its own, whatever lies above it.
    pub is_root: bool,
    /// The Go toolchains that it pins.
    pub go_sdks: Vec<GoSdkSpec>,
    /// What holds for the Go targets of this folder and of those below it.
    pub defaults: SettingsSpec,
    /// The targets that could be read, in the order written.
    pub targets: Vec<TargetSpec>,
}

/// One target.
#[derive(Debug, Clone)]
pub struct TargetSpec {
    /// Its name.
    pub label: Label,
    /// Where the name is written.
    pub span: Span,
    /// Its kind.
    pub rule: RuleSpec,
}

/// The kinds of targets, as written.
#[derive(Debug, Clone)]
pub enum RuleSpec {
    /// `go_binary(…)`
    GoBinary(Box<GoBinarySpec>),
    /// `go_tests(…)`
    GoTests(Box<GoTestsSpec>),
    /// `c_library(…)`
    CLibrary(Box<CLibrarySpec>),
    /// `pkg_config(…)`
    PkgConfig(Box<PkgConfigSpec>),
    /// `command(…)`
    Command(Box<CommandSpec>),
    /// `files(…)`
    Files(Box<FilesSpec>),
    /// `suite(…)`: its members.
    Suite(Vec<Spanned<String>>),
    /// `bundle(…)`
    Bundle(Box<BundleSpec>),
}

/// `go_binary(…)`
#[derive(Debug, Clone)]
pub struct GoBinarySpec {
    /// The Go package; `.` if not said.
    pub package: Spanned<String>,
    /// The platforms to build for, one output each.
    pub platforms: Option<Vec<Spanned<String>>>,
    /// Labels of C libraries that it links.
    pub c_deps: Vec<Spanned<String>>,
    /// Labels of what must be made before.
    pub deps: Vec<Spanned<String>>,
    /// How it is started to see that it starts.
    pub smoke: Option<Box<SmokeSpec>>,
    /// How it is linked.
    pub settings: SettingsSpec,
}

/// `smoke: (…)`
#[derive(Debug, Clone)]
pub struct SmokeSpec {
    /// Its arguments.
    pub args: Vec<Spanned<String>>,
    /// What its standard output holds.
    pub stdout: Option<Spanned<String>>,
    /// The code that it ends with.
    pub exit: Option<Spanned<String>>,
    /// The longest it may take.
    pub timeout: Option<Spanned<String>>,
}

/// `go_tests(…)`
#[derive(Debug, Clone)]
pub struct GoTestsSpec {
    /// Go package patterns.
    pub packages: Vec<Spanned<String>>,
    /// Go package patterns to leave out.
    pub exclude: Vec<Spanned<String>>,
    /// The platforms to build for, one output of each Go package for each.
    pub platforms: Option<Vec<Spanned<String>>>,
    /// Labels of C libraries that they link.
    pub c_deps: Vec<Spanned<String>>,
    /// Labels of what must be made before.
    pub deps: Vec<Spanned<String>>,
    /// How long one of them may run.
    pub timeout: Option<Spanned<String>>,
    /// Arguments that each of them is given.
    pub args: Vec<Spanned<String>>,
    /// Globs of files that they read.
    pub data: Vec<Spanned<String>>,
    /// Names of variables that they are given.
    pub pass_env: Vec<Spanned<String>>,
    /// The root that they run in, if it is one of their own.
    pub sealed: Option<SealedSpec>,
    /// Whether they count what they run.
    pub cover: Option<bool>,
    /// How they count it.
    pub covermode: Option<Spanned<String>>,
    /// Go package patterns: in which packages they count.
    pub coverpkg: Vec<Spanned<String>>,
    /// How they are linked.
    pub settings: SettingsSpec,
}

/// `c_library(…)`
#[derive(Debug, Clone)]
pub struct CLibrarySpec {
    /// Globs of C, C++ and assembly sources.
    pub srcs: Vec<Spanned<String>>,
    /// Globs to leave out of them.
    pub exclude: Vec<Spanned<String>>,
    /// Globs of headers.
    pub hdrs: Vec<Spanned<String>>,
    /// An archive that is there already, or that a command makes.
    pub archive: Option<Spanned<String>>,
    /// Folders in which its users find its headers.
    pub includes: Option<Vec<Spanned<String>>>,
    /// Macros, for itself and its users.
    pub defines: Vec<Spanned<String>>,
    /// Words for the C compiler.
    pub copts: Vec<Spanned<String>>,
    /// Words for the C++ compiler.
    pub cxxopts: Vec<Spanned<String>>,
    /// Words for whoever links it.
    pub linkopts: Vec<Spanned<String>>,
    /// Labels of C libraries that it uses.
    pub c_deps: Vec<Spanned<String>>,
    /// Labels of what must be made before.
    pub deps: Vec<Spanned<String>>,
}

/// `pkg_config(…)`
#[derive(Debug, Clone)]
pub struct PkgConfigSpec {
    /// What pkg-config is asked for.
    pub packages: Vec<Spanned<String>>,
    /// Labels of what must be made before.
    pub deps: Vec<Spanned<String>>,
}

/// `command(…)`
#[derive(Debug, Clone)]
pub struct CommandSpec {
    /// Program and arguments, at least the program.
    pub argv: Vec<Spanned<String>>,
    /// Globs and labels.
    pub inputs: Vec<Spanned<String>>,
    /// Paths relative to the folder.
    pub outputs: Vec<Spanned<String>>,
    /// Names of variables.
    pub pass_env: Vec<Spanned<String>>,
    /// Variables with values.
    pub env: Table,
    /// Labels of what must be made before.
    pub deps: Vec<Spanned<String>>,
}

/// `files(…)`
#[derive(Debug, Clone)]
pub struct FilesSpec {
    /// What it holds.
    pub globs: Vec<Spanned<String>>,
    /// What is left out.
    pub exclude: Vec<Spanned<String>>,
}

/// `bundle(…)`
#[derive(Debug, Clone)]
pub struct BundleSpec {
    /// Labels of the tests in it.
    pub tests: Vec<Spanned<String>>,
    /// One of [`FORMS`], if it is said.
    pub form: Option<Spanned<String>>,
}

/// Settings of Go targets; what is `None` is not said. Most targets say little, and there may be a
/// million of them, so what is said lies elsewhere.
#[derive(Debug, Clone, Default)]
pub struct SettingsSpec {
    /// A Go toolchain of the workspace.
    pub go: Option<Box<Spanned<String>>>,
    /// A strategy or ladder.
    pub link: Option<Box<Spanned<String>>>,
    /// A policy.
    pub policy: Option<Box<Spanned<String>>>,
    /// Build tags.
    pub tags: Option<Box<[Spanned<String>]>>,
    /// Words for Go's linker.
    pub ldflags: Option<Box<[Spanned<String>]>>,
    /// Words for Go's compiler.
    pub gcflags: Option<Box<[Spanned<String>]>>,
    /// Words for the C compiler when it links.
    pub extldflags: Option<Box<[Spanned<String>]>>,
    /// Environment of the `go` command.
    pub env: Option<Box<[Entry]>>,
    /// `-X name=value`.
    pub x_defs: Option<Box<[Entry]>>,
    /// `GOOS`
    pub goos: Option<Box<Spanned<String>>>,
    /// `GOARCH`
    pub goarch: Option<Box<Spanned<String>>>,
    /// The architecture's sub-level.
    pub level: Option<Box<Spanned<String>>>,
    /// `-trimpath`
    pub trimpath: Option<bool>,
    /// `-buildvcs`
    pub buildvcs: Option<bool>,
    /// `go vet` in `go test -c`; for tests alone.
    pub vet: Option<bool>,
}

/// Reads the `BUILD.ron` of `package`: what could be read, and everything that is wrong.
#[must_use]
pub fn parse(source: &Arc<Source>, package: &PackagePath) -> (BuildSpec, Vec<Problem>) {
    let mut spec = BuildSpec {
        package: package.clone(),
        is_root: false,
        go_sdks: Vec::new(),
        defaults: SettingsSpec::default(),
        targets: Vec::new(),
    };
    let root = match parse_ron(source, EXAMPLE) {
        Ok(root) => root,
        Err(problems) => return (spec, problems),
    };
    let mut reader = Reader::new(source);
    if reader.kind(&root, &["build"]).is_some()
        && let Some(fields) = reader.fields(&root, "build", &BUILD_FIELDS)
    {
        let is_root = fields.get("workspace").and_then(|it| reader.flag("workspace", it));
        spec.is_root = is_root.unwrap_or(false);
        let sdks = fields.get("go_sdks");
        let nodes = sdks.and_then(|it| reader.list("go_sdks", "a list of Go toolchains", it));
        let sdks = nodes.unwrap_or_default().iter();
        spec.go_sdks = sdks.filter_map(|it| read_go_sdk(&mut reader, it)).collect();
        if let Some(node) = fields.get("defaults")
            && let Some(defaults) = reader.fields(node, "defaults", &DEFAULTS_FIELDS)
        {
            spec.defaults = settings(&mut reader, &defaults);
        }
        let targets = fields.get("targets");
        let nodes = targets.and_then(|it| reader.list("targets", "a list of targets", it));
        let nodes = nodes.unwrap_or_default();
        spec.targets.reserve_exact(nodes.len());
        spec.targets.extend(nodes.iter().filter_map(|it| target(&mut reader, it, package)));
    }
    (spec, reader.into_problems())
}

fn target<'s>(
    reader: &mut Reader<'s>,
    node: &Node<'s>,
    package: &PackagePath,
) -> Option<TargetSpec> {
    let kind = reader.kind(node, &KINDS)?;
    let fields = reader.fields(node, kind, fields_of(kind))?;
    let name = reader.required(&fields, "name").and_then(|it| reader.text("name", it));
    // The rest is read even where the name is wrong, for the sake of its errors.
    let rule = match kind {
        "go_binary" => go_binary(reader, &fields),
        "go_tests" => Some(go_tests(reader, &fields)),
        "c_library" => Some(c_library(reader, &fields)),
        "pkg_config" => pkg_config(reader, &fields),
        "command" => command(reader, &fields),
        "files" => files(reader, &fields),
        "bundle" => {
            let tests = reader.required(&fields, "tests").and_then(|it| reader.texts("tests", it));
            let form = fields.get("form").and_then(|it| reader.word("form", it));
            tests.map(|tests| RuleSpec::Bundle(Box::new(BundleSpec { tests, form })))
        }
        _ => {
            let members = reader.required(&fields, "targets");
            members.and_then(|it| reader.texts("targets", it)).map(RuleSpec::Suite)
        }
    };
    let name = name?;
    match Label::new(package.clone(), &name.value) {
        Ok(label) => Some(TargetSpec { label, span: name.span, rule: rule? }),
        Err(error) => {
            reader.report(Problem::new(error.to_string()).at(name.span, ""));
            None
        }
    }
}

/// Returns the fields of a kind of targets.
#[must_use]
pub fn fields_of(kind: &str) -> &'static [&'static str] {
    match kind {
        "go_binary" => &GO_BINARY_FIELDS,
        "go_tests" => &GO_TESTS_FIELDS,
        "c_library" => &C_LIBRARY_FIELDS,
        "pkg_config" => &PKG_CONFIG_FIELDS,
        "command" => &COMMAND_FIELDS,
        "files" => &FILES_FIELDS,
        "bundle" => &BUNDLE_FIELDS,
        _ => &SUITE_FIELDS,
    }
}

fn go_binary<'s>(reader: &mut Reader<'s>, fields: &Fields<'_, 's>) -> Option<RuleSpec> {
    let settings = settings(reader, fields);
    let deps = texts(reader, fields, "deps");
    let smoke = fields.get("smoke").and_then(|it| reader.fields(it, "smoke", &SMOKE_FIELDS));
    let smoke = smoke.map(|fields| SmokeSpec {
        args: texts(reader, &fields, "args"),
        stdout: fields.get("stdout").and_then(|it| reader.text("stdout", it)),
        exit: fields.get("exit").and_then(|it| reader.text("exit", it)),
        timeout: fields.get("timeout").and_then(|it| reader.text("timeout", it)),
    });
    let package = match fields.get("package") {
        Some(node) => reader.text("package", node)?,
        None => Spanned { value: ".".to_owned(), span: reader.span(fields.range.clone()) },
    };
    let platforms = fields.get("platforms").and_then(|it| reader.texts("platforms", it));
    let c_deps = texts(reader, fields, "c_deps");
    let spec =
        GoBinarySpec { package, platforms, c_deps, deps, smoke: smoke.map(Box::new), settings };
    Some(RuleSpec::GoBinary(Box::new(spec)))
}

fn go_tests<'s>(reader: &mut Reader<'s>, fields: &Fields<'_, 's>) -> RuleSpec {
    let packages = reader.required(fields, "packages");
    RuleSpec::GoTests(Box::new(GoTestsSpec {
        packages: packages.and_then(|it| reader.texts("packages", it)).unwrap_or_default(),
        exclude: texts(reader, fields, "exclude"),
        platforms: fields.get("platforms").and_then(|it| reader.texts("platforms", it)),
        c_deps: texts(reader, fields, "c_deps"),
        deps: texts(reader, fields, "deps"),
        timeout: fields.get("timeout").and_then(|it| reader.text("timeout", it)),
        args: texts(reader, fields, "args"),
        data: texts(reader, fields, "data"),
        pass_env: texts(reader, fields, "pass_env"),
        sealed: fields.get("run_in").and_then(|it| read_run_in(reader, it)),
        cover: fields.get("cover").and_then(|it| reader.flag("cover", it)),
        covermode: fields.get("covermode").and_then(|it| reader.text("covermode", it)),
        coverpkg: texts(reader, fields, "coverpkg"),
        settings: settings(reader, fields),
    }))
}

fn c_library<'s>(reader: &mut Reader<'s>, fields: &Fields<'_, 's>) -> RuleSpec {
    RuleSpec::CLibrary(Box::new(CLibrarySpec {
        srcs: texts(reader, fields, "srcs"),
        exclude: texts(reader, fields, "exclude"),
        hdrs: texts(reader, fields, "hdrs"),
        archive: fields.get("archive").and_then(|it| reader.text("archive", it)),
        includes: fields.get("includes").and_then(|it| reader.texts("includes", it)),
        defines: texts(reader, fields, "defines"),
        copts: texts(reader, fields, "copts"),
        cxxopts: texts(reader, fields, "cxxopts"),
        linkopts: texts(reader, fields, "linkopts"),
        c_deps: texts(reader, fields, "c_deps"),
        deps: texts(reader, fields, "deps"),
    }))
}

fn pkg_config<'s>(reader: &mut Reader<'s>, fields: &Fields<'_, 's>) -> Option<RuleSpec> {
    let packages = reader.required(fields, "packages").and_then(|it| reader.texts("packages", it));
    let deps = texts(reader, fields, "deps");
    Some(RuleSpec::PkgConfig(Box::new(PkgConfigSpec { packages: packages?, deps })))
}

fn command<'s>(reader: &mut Reader<'s>, fields: &Fields<'_, 's>) -> Option<RuleSpec> {
    let argv = reader.required(fields, "argv").and_then(|it| reader.texts("argv", it));
    let outputs = reader.required(fields, "outputs").and_then(|it| reader.texts("outputs", it));
    let inputs = texts(reader, fields, "inputs");
    let pass_env = texts(reader, fields, "pass_env");
    let env = fields.get("env").and_then(|it| reader.table("env", it)).unwrap_or_default();
    let deps = texts(reader, fields, "deps");
    let (argv, outputs) = (argv?, outputs?);
    Some(RuleSpec::Command(Box::new(CommandSpec { argv, inputs, outputs, pass_env, env, deps })))
}

fn files<'s>(reader: &mut Reader<'s>, fields: &Fields<'_, 's>) -> Option<RuleSpec> {
    let globs = reader.required(fields, "globs").and_then(|it| reader.texts("globs", it));
    let exclude = texts(reader, fields, "exclude");
    Some(RuleSpec::Files(Box::new(FilesSpec { globs: globs?, exclude })))
}

fn texts<'s>(reader: &mut Reader<'s>, fields: &Fields<'_, 's>, name: &str) -> Vec<Spanned<String>> {
    fields.get(name).and_then(|it| reader.texts(name, it)).unwrap_or_default()
}

fn settings<'s>(reader: &mut Reader<'s>, fields: &Fields<'_, 's>) -> SettingsSpec {
    let mut text = |name| fields.get(name).and_then(|it| reader.text(name, it)).map(Box::new);
    let (go, link, policy) = (text("go"), text("link"), text("policy"));
    let (goos, goarch, level) = (text("goos"), text("goarch"), text("level"));
    let mut list = |name| {
        let texts = fields.get(name).and_then(|it| reader.texts(name, it));
        texts.map(Vec::into_boxed_slice)
    };
    let (tags, ldflags) = (list("tags"), list("ldflags"));
    let (gcflags, extldflags) = (list("gcflags"), list("extldflags"));
    let mut table = |name| {
        let table = fields.get(name).and_then(|it| reader.table(name, it));
        table.map(Vec::into_boxed_slice)
    };
    let (env, x_defs) = (table("env"), table("x_defs"));
    let mut flag = |name| fields.get(name).and_then(|it| reader.flag(name, it));
    let (trimpath, buildvcs, vet) = (flag("trimpath"), flag("buildvcs"), flag("vet"));
    SettingsSpec {
        go,
        link,
        policy,
        tags,
        ldflags,
        gcflags,
        extldflags,
        env,
        x_defs,
        goos,
        goarch,
        level,
        trimpath,
        buildvcs,
        vet,
    }
}

impl SettingsSpec {
    /// Returns these settings, with what they do not say taken from `outer`.
    #[must_use]
    pub fn or(self, outer: &Self) -> Self {
        Self {
            go: self.go.or_else(|| outer.go.clone()),
            link: self.link.or_else(|| outer.link.clone()),
            policy: self.policy.or_else(|| outer.policy.clone()),
            tags: self.tags.or_else(|| outer.tags.clone()),
            ldflags: self.ldflags.or_else(|| outer.ldflags.clone()),
            gcflags: self.gcflags.or_else(|| outer.gcflags.clone()),
            extldflags: self.extldflags.or_else(|| outer.extldflags.clone()),
            env: self.env.or_else(|| outer.env.clone()),
            x_defs: self.x_defs.or_else(|| outer.x_defs.clone()),
            goos: self.goos.or_else(|| outer.goos.clone()),
            goarch: self.goarch.or_else(|| outer.goarch.clone()),
            level: self.level.or_else(|| outer.level.clone()),
            trimpath: self.trimpath.or(outer.trimpath),
            buildvcs: self.buildvcs.or(outer.buildvcs),
            vet: self.vet.or(outer.vet),
        }
    }
}

#[cfg(test)]
#[path = "build_file_tests.rs"]
mod tests;
