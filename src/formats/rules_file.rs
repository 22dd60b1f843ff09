//! `rules/*.ron`: C toolchains, tools, strategies, ladders and policies as written, with places.
//!
//! What the words mean, and whether names exist, is `model::rules`' to say.

use crate::formats::ron_fields::{Fields, Reader};
use crate::formats::ron_syntax::{Node, parse as parse_ron};
use crate::words::problem::Problem;
use crate::words::span::{Source, Spanned};
use std::sync::Arc;

/// The C toolchains, strategies, ladders and policies that linkwright brings.
pub const BUILT_IN: &str = include_str!("../../rules/builtin.ron");

/// The name under which [`BUILT_IN`] is shown.
pub const BUILT_IN_NAME: &str = "<built-in>/rules/builtin.ron";

/// The fields of `rules(…)`.
pub const RULES_FIELDS: [&str; 5] = ["toolchains", "tools", "strategies", "ladders", "policies"];

/// The fields of `c_toolchain(…)`.
pub const TOOLCHAIN_FIELDS: [&str; 12] = [
    "name",
    "doc",
    "cc",
    "cxx",
    "python",
    "family",
    "target",
    "platforms",
    "linkers",
    "debian",
    "fedora",
    "parts",
];

/// The fields of `part(…)`.
pub const PART_FIELDS: [&str; 3] = ["need", "debian", "fedora"];

/// The fields of `tool(…)`.
pub const TOOL_FIELDS: [&str; 4] = ["name", "doc", "debian", "fedora"];

/// The fields of `strategy(…)`.
pub const STRATEGY_FIELDS: [&str; 17] = [
    "name",
    "doc",
    "cgo",
    "tags",
    "linkmode",
    "buildmode",
    "race",
    "cc",
    "cxx",
    "toolchains",
    "linker",
    "ldflags",
    "extldflags",
    "go_flags",
    "needs",
    "promise",
    "glibc_max",
];

/// The fields of `ladder(…)`.
pub const LADDER_FIELDS: [&str; 3] = ["name", "doc", "tries"];

/// The fields of `policy(…)`.
pub const POLICY_FIELDS: [&str; 14] = [
    "name",
    "doc",
    "class",
    "nss",
    "dlopen",
    "rpath",
    "nx",
    "pie",
    "textrel",
    "relro",
    "needed",
    "interpreters",
    "glibc_max",
    "glibcxx_max",
];

/// A file that declares one thing, for the message about an empty one.
pub const EXAMPLE: &str = "rules(ladders: [ladder(name: \"shipped\", tries: [\"pure\"])])";

/// One rules file.
#[derive(Debug, Clone, Default)]
pub struct RulesSpec {
    /// In the order written.
    pub toolchains: Vec<ToolchainSpec>,
    /// In the order written.
    pub tools: Vec<ToolSpec>,
    /// In the order written.
    pub strategies: Vec<StrategySpec>,
    /// In the order written.
    pub ladders: Vec<LadderSpec>,
    /// In the order written.
    pub policies: Vec<PolicySpec>,
}

/// `c_toolchain(…)`; bare words are not looked at yet.
#[derive(Debug, Clone)]
pub struct ToolchainSpec {
    /// Its name.
    pub name: Spanned<String>,
    /// One sentence for people.
    pub doc: String,
    /// The C compiler's program name.
    pub cc: Spanned<String>,
    /// The C++ compiler's.
    pub cxx: Option<Spanned<String>>,
    /// The package of Python that holds it.
    pub python: Option<Spanned<String>>,
    /// `gnu`, `clang`, `zig`
    pub family: Option<Spanned<String>>,
    /// What it makes code for.
    pub target: Option<Spanned<String>>,
    /// What it serves.
    pub platforms: Vec<Spanned<String>>,
    /// `bfd`, `gold`, `lld`, `mold`, the fastest first.
    pub linkers: Vec<Spanned<String>>,
    /// What brings it.
    pub packages: PackagesSpec,
    /// What brings its libraries: the need that each meets.
    pub parts: Vec<(Spanned<String>, PackagesSpec)>,
}

/// `tool(…)`
#[derive(Debug, Clone)]
pub struct ToolSpec {
    /// Its name.
    pub name: Spanned<String>,
    /// What brings it.
    pub packages: PackagesSpec,
}

/// `debian: […], fedora: […]`
#[derive(Debug, Clone)]
pub struct PackagesSpec {
    /// Debian packages.
    pub debian: Vec<Spanned<String>>,
    /// Fedora packages.
    pub fedora: Vec<Spanned<String>>,
}

/// `strategy(…)`; bare words are not looked at yet.
#[derive(Debug, Clone)]
pub struct StrategySpec {
    /// Its name.
    pub name: Spanned<String>,
    /// One sentence for people.
    pub doc: String,
    /// `auto`, `on`, `off`
    pub cgo: Option<Spanned<String>>,
    /// Build tags.
    pub tags: Vec<Spanned<String>>,
    /// `auto`, `internal`, `external`
    pub linkmode: Option<Spanned<String>>,
    /// `default`, `exe`, `pie`
    pub buildmode: Option<Spanned<String>>,
    /// `-race`
    pub race: bool,
    /// The C compiler.
    pub cc: Option<Spanned<String>>,
    /// The C++ compiler.
    pub cxx: Option<Spanned<String>>,
    /// Names of C toolchains.
    pub toolchains: Option<Vec<Spanned<String>>>,
    /// `bfd`, `gold`, `lld`, `mold`, `fastest`
    pub linker: Option<Spanned<String>>,
    /// Words for Go's linker.
    pub ldflags: Vec<Spanned<String>>,
    /// Words for the C compiler when it links.
    pub extldflags: Vec<Spanned<String>>,
    /// Words for `go build`.
    pub go_flags: Vec<Spanned<String>>,
    /// What the machine must have.
    pub needs: Vec<Spanned<String>>,
    /// What must come out.
    pub promise: Option<Spanned<String>>,
    /// The highest GLIBC version that may be asked for.
    pub glibc_max: Option<Spanned<String>>,
}

/// `ladder(…)`
#[derive(Debug, Clone)]
pub struct LadderSpec {
    /// Its name.
    pub name: Spanned<String>,
    /// One sentence for people.
    pub doc: String,
    /// Names of strategies.
    pub tries: Vec<Spanned<String>>,
}

/// `policy(…)`; bare words are not looked at yet.
#[derive(Debug, Clone)]
pub struct PolicySpec {
    /// Its name.
    pub name: Spanned<String>,
    /// One sentence for people.
    pub doc: String,
    /// Classes that are accepted.
    pub class: Vec<Spanned<String>>,
    /// The clauses of `allow`, `deny` and `require` that are said: field and word.
    pub demands: Vec<(&'static str, Spanned<String>)>,
    /// `none`, `partial`, `full`
    pub relro: Option<Spanned<String>>,
    /// Libraries that may be needed.
    pub needed: Option<Vec<Spanned<String>>>,
    /// Interpreters that may be asked for.
    pub interpreters: Option<Vec<Spanned<String>>>,
    /// The highest GLIBC version.
    pub glibc_max: Option<Spanned<String>>,
    /// The highest GLIBCXX version.
    pub glibcxx_max: Option<Spanned<String>>,
}

/// The fields of a policy that say `allow`, `deny` or `require`.
pub const DEMANDS: [&str; 6] = ["nss", "dlopen", "rpath", "nx", "pie", "textrel"];

/// Returns the embedded rules as a file.
#[must_use]
pub fn built_in() -> Arc<Source> {
    Arc::new(Source { name: BUILT_IN_NAME.to_owned(), text: BUILT_IN.to_owned() })
}

/// Reads one rules file: what could be read, and everything that is wrong.
#[must_use]
pub fn parse(source: &Arc<Source>) -> (RulesSpec, Vec<Problem>) {
    let mut spec = RulesSpec::default();
    let root = match parse_ron(source, EXAMPLE) {
        Ok(root) => root,
        Err(problems) => return (spec, problems),
    };
    let mut reader = Reader::new(source);
    if reader.kind(&root, &["rules"]).is_some()
        && let Some(fields) = reader.fields(&root, "rules", &RULES_FIELDS)
    {
        let toolchains = records(&mut reader, &fields, "toolchains", "c_toolchain");
        spec.toolchains = toolchains.filter_map(|it| toolchain(&mut reader, it)).collect();
        let tools = records(&mut reader, &fields, "tools", "tool");
        spec.tools = tools.filter_map(|it| tool(&mut reader, it)).collect();
        let strategies = records(&mut reader, &fields, "strategies", "strategy");
        spec.strategies = strategies.filter_map(|it| strategy(&mut reader, it)).collect();
        let ladders = records(&mut reader, &fields, "ladders", "ladder");
        spec.ladders = ladders.filter_map(|it| ladder(&mut reader, it)).collect();
        let policies = records(&mut reader, &fields, "policies", "policy");
        spec.policies = policies.filter_map(|it| policy(&mut reader, it)).collect();
    }
    (spec, reader.into_problems())
}

fn records<'n, 's: 'n>(
    reader: &mut Reader<'s>,
    fields: &Fields<'n, 's>,
    name: &'static str,
    kind: &'static str,
) -> impl Iterator<Item = &'n Node<'s>> + use<'n, 's> {
    let wanted = format!("a list of `{kind}(…)`");
    let nodes = fields.get(name).and_then(|it| reader.list(name, &wanted, it)).unwrap_or_default();
    let right: Vec<_> = nodes.iter().filter(|it| reader.kind(it, &[kind]).is_some()).collect();
    right.into_iter()
}

/// Takes the fields of one record by name.
struct Taker<'r, 'n, 's> {
    reader: &'r mut Reader<'s>,
    fields: Fields<'n, 's>,
}

impl<'r, 'n, 's> Taker<'r, 'n, 's> {
    fn new(
        reader: &'r mut Reader<'s>,
        node: &'n Node<'s>,
        noun: &str,
        known: &[&str],
    ) -> Option<Self> {
        let fields = reader.fields(node, noun, known)?;
        Some(Self { reader, fields })
    }

    fn name(&mut self) -> Option<Spanned<String>> {
        let node = self.reader.required(&self.fields, "name")?;
        self.reader.text("name", node)
    }

    fn text(&mut self, name: &str) -> Option<Spanned<String>> {
        self.fields.get(name).and_then(|it| self.reader.text(name, it))
    }

    fn word(&mut self, name: &str) -> Option<Spanned<String>> {
        self.fields.get(name).and_then(|it| self.reader.word(name, it))
    }

    fn texts(&mut self, name: &str) -> Option<Vec<Spanned<String>>> {
        self.fields.get(name).and_then(|it| self.reader.texts(name, it))
    }

    fn words(&mut self, name: &str) -> Option<Vec<Spanned<String>>> {
        self.fields.get(name).and_then(|it| self.reader.words(name, it))
    }

    fn packages(&mut self) -> PackagesSpec {
        let debian = self.texts("debian").unwrap_or_default();
        PackagesSpec { debian, fedora: self.texts("fedora").unwrap_or_default() }
    }

    fn flag(&mut self, name: &str) -> Option<bool> {
        self.fields.get(name).and_then(|it| self.reader.flag(name, it))
    }

    fn doc(&mut self) -> String {
        self.text("doc").map_or_else(String::new, |it| it.value)
    }
}

fn toolchain<'s>(reader: &mut Reader<'s>, node: &Node<'s>) -> Option<ToolchainSpec> {
    let mut take = Taker::new(reader, node, "c_toolchain", &TOOLCHAIN_FIELDS)?;
    let name = take.name();
    let doc = take.doc();
    let cc = take.reader.required(&take.fields, "cc");
    let cc = cc.and_then(|it| take.reader.text("cc", it));
    let (cxx, python) = (take.text("cxx"), take.text("python"));
    let (family, target) = (take.word("family"), take.text("target"));
    let platforms = take.texts("platforms").unwrap_or_default();
    let linkers = take.words("linkers").unwrap_or_default();
    let packages = take.packages();
    let nodes = records(take.reader, &take.fields, "parts", "part");
    let parts = nodes.filter_map(|it| part(take.reader, it)).collect();
    Some(ToolchainSpec {
        name: name?,
        doc,
        cc: cc?,
        cxx,
        python,
        family,
        target,
        platforms,
        linkers,
        packages,
        parts,
    })
}

fn part<'s>(reader: &mut Reader<'s>, node: &Node<'s>) -> Option<(Spanned<String>, PackagesSpec)> {
    let mut take = Taker::new(reader, node, "part", &PART_FIELDS)?;
    let need = take.reader.required(&take.fields, "need");
    let need = need.and_then(|it| take.reader.word("need", it));
    let packages = take.packages();
    Some((need?, packages))
}

fn tool<'s>(reader: &mut Reader<'s>, node: &Node<'s>) -> Option<ToolSpec> {
    let mut take = Taker::new(reader, node, "tool", &TOOL_FIELDS)?;
    let (name, _) = (take.name(), take.doc());
    let packages = take.packages();
    Some(ToolSpec { name: name?, packages })
}

fn strategy<'s>(reader: &mut Reader<'s>, node: &Node<'s>) -> Option<StrategySpec> {
    let mut take = Taker::new(reader, node, "strategy", &STRATEGY_FIELDS)?;
    let name = take.name();
    let doc = take.doc();
    let (cgo, linkmode) = (take.word("cgo"), take.word("linkmode"));
    let (buildmode, promise) = (take.word("buildmode"), take.word("promise"));
    let (cc, cxx) = (take.text("cc"), take.text("cxx"));
    let (toolchains, linker) = (take.texts("toolchains"), take.word("linker"));
    let glibc_max = take.text("glibc_max");
    let race = take.flag("race").unwrap_or(false);
    let tags = take.texts("tags").unwrap_or_default();
    let ldflags = take.texts("ldflags").unwrap_or_default();
    let extldflags = take.texts("extldflags").unwrap_or_default();
    let go_flags = take.texts("go_flags").unwrap_or_default();
    let needs = take.words("needs").unwrap_or_default();
    Some(StrategySpec {
        name: name?,
        doc,
        cgo,
        tags,
        linkmode,
        buildmode,
        race,
        cc,
        cxx,
        toolchains,
        linker,
        ldflags,
        extldflags,
        go_flags,
        needs,
        promise,
        glibc_max,
    })
}

fn ladder<'s>(reader: &mut Reader<'s>, node: &Node<'s>) -> Option<LadderSpec> {
    let mut take = Taker::new(reader, node, "ladder", &LADDER_FIELDS)?;
    let (name, doc) = (take.name(), take.doc());
    let tries = take.reader.required(&take.fields, "tries")?;
    let tries = take.reader.texts("tries", tries);
    Some(LadderSpec { name: name?, doc, tries: tries? })
}

fn policy<'s>(reader: &mut Reader<'s>, node: &Node<'s>) -> Option<PolicySpec> {
    let mut take = Taker::new(reader, node, "policy", &POLICY_FIELDS)?;
    let (name, doc) = (take.name(), take.doc());
    let class = take.words("class").unwrap_or_default();
    let demands = DEMANDS.into_iter().filter_map(|it| Some((it, take.word(it)?))).collect();
    let relro = take.word("relro");
    let (needed, interpreters) = (take.texts("needed"), take.texts("interpreters"));
    let (glibc_max, glibcxx_max) = (take.text("glibc_max"), take.text("glibcxx_max"));
    Some(PolicySpec {
        name: name?,
        doc,
        class,
        demands,
        relro,
        needed,
        interpreters,
        glibc_max,
        glibcxx_max,
    })
}

#[cfg(test)]
#[path = "rules_file_tests.rs"]
mod tests;
