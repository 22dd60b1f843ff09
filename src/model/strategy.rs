//! Ways to link, as data: strategies, and ladders of them; C toolchains stand in `toolchain`.
//!
//! Adding a strategy is a line in `rules/*.ron`; nothing here names one.

use crate::model::policy::Policy;
use crate::model::toolchain::{LinkerChoice, Need, Packages, Toolchain};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whether cgo is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cgo {
    /// On where the platform is this machine's and a C compiler is here, as Go itself decides.
    #[default]
    Auto,
    /// `CGO_ENABLED=1`; impossible without a C compiler.
    On,
    /// `CGO_ENABLED=0`.
    Off,
}

/// Go's `-linkmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkMode {
    /// Go's linker decides (`cmd/link/internal/ld/config.go`).
    #[default]
    Auto,
    /// Go's linker alone.
    Internal,
    /// The C compiler's linker finishes.
    External,
}

/// Go's `-buildmode`, as far as programs go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildMode {
    /// What Go does by itself on the platform; `exe` on Linux.
    #[default]
    Default,
    /// Position-dependent.
    Exe,
    /// Position-independent.
    Pie,
}

/// What a strategy promises of the file it makes; the verdict that must come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Promise {
    /// Nothing: any linkage is accepted and recorded.
    #[default]
    Any,
    /// Class `static` or `static_pie`: starts in an empty root.
    Static,
    /// Class `static_pie`.
    StaticPie,
    /// At most the C library and its loader are needed at run time.
    LibcOnly,
}

/// One way to link.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Strategy {
    /// Its name, unique among strategies and ladders.
    pub name: String,
    /// One sentence for people: what it does and when to take it.
    pub doc: String,
    /// Whether cgo is used.
    pub cgo: Cgo,
    /// Build tags, added to the target's own.
    pub tags: Vec<String>,
    /// `-linkmode`.
    pub linkmode: LinkMode,
    /// `-buildmode`.
    pub buildmode: BuildMode,
    /// `-race`.
    pub race: bool,
    /// The C toolchains that serve it, in the order to look for them.
    pub toolchains: Vec<Arc<Toolchain>>,
    /// The C linker, where it is not the compiler's own choice.
    pub linker: Option<LinkerChoice>,
    /// Further words for `-ldflags`.
    pub ldflags: Vec<String>,
    /// Words for `-ldflags=-extldflags`: the C compiler's when it links.
    pub extldflags: Vec<String>,
    /// Further `go build` flags, from a closed list (`-a`, `-installsuffix X`).
    pub go_flags: Vec<String>,
    /// What the machine must have.
    pub needs: Vec<Need>,
    /// What must come out.
    pub promise: Promise,
    /// The highest version of glibc that the result may ask for; part of the promise.
    pub glibc_max: Option<String>,
}

/// Strategies in the order to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ladder {
    /// Its name, unique among strategies and ladders.
    pub name: String,
    /// One sentence for people.
    pub doc: String,
    /// The rungs, at least one.
    pub tries: Vec<Arc<Strategy>>,
}

/// Every strategy, ladder and policy that a workspace can name.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    /// What brings the tools beside C toolchains, by the tool's name.
    pub tools: BTreeMap<String, Packages>,
    /// By name.
    pub toolchains: BTreeMap<String, Arc<Toolchain>>,
    /// By name.
    pub strategies: BTreeMap<String, Arc<Strategy>>,
    /// By name; a strategy is also a ladder of one rung, and is not repeated here.
    pub ladders: BTreeMap<String, Arc<Ladder>>,
    /// By name.
    pub policies: BTreeMap<String, Arc<Policy>>,
}

impl RuleSet {
    /// Says what to install to have a tool on a machine of the platform `own`.
    #[must_use]
    pub fn install(&self, tool: &str, own: &str) -> String {
        let goarch = own.rsplit('/').next().unwrap_or(own);
        let known = self.tools.get(tool).and_then(|it| it.install(goarch));
        known.unwrap_or_else(|| format!("install `{tool}`"))
    }

    /// Returns the rungs that `link: "name"` stands for; `None` if nothing has that name.
    #[must_use]
    pub fn ladder(&self, name: &str) -> Option<Arc<Ladder>> {
        self.ladders.get(name).cloned().or_else(|| {
            let strategy = self.strategies.get(name)?;
            let (name, doc) = (strategy.name.clone(), strategy.doc.clone());
            Some(Arc::new(Ladder { name, doc, tries: vec![Arc::clone(strategy)] }))
        })
    }
}
