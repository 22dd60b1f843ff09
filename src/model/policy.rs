//! What a team demands of a linkage beyond a strategy's promise, as data.

use crate::formats::linkage::{Class, Relro};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a clause that looks at one feature says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Demand {
    /// Either is fine.
    #[default]
    Allow,
    /// It must not be there.
    Deny,
    /// It must be there.
    Require,
}

/// A named list of clauses; every one that is said must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// One sentence for people.
    pub doc: String,
    /// Classes that are accepted; empty accepts any.
    pub class: Vec<Class>,
    /// Name-service hazards (`nss`).
    pub nss: Demand,
    /// `dlopen` hazards.
    pub dlopen: Demand,
    /// RPATH and RUNPATH entries.
    pub rpath: Demand,
    /// A non-executable stack.
    pub nx: Demand,
    /// Position independence.
    pub pie: Demand,
    /// Text relocations.
    pub textrel: Demand,
    /// The least read-only relocation level.
    pub relro: Option<Relro>,
    /// The libraries that may be needed, by soname; `None` accepts any.
    pub needed: Option<Vec<String>>,
    /// The interpreters that may be asked for; `None` accepts those of the platform's ABI.
    pub interpreters: Option<Vec<String>>,
    /// The highest GLIBC version that may be asked for, `2.17`.
    pub glibc_max: Option<String>,
    /// The highest GLIBCXX version that may be asked for, `3.4.19`.
    pub glibcxx_max: Option<String>,
}
