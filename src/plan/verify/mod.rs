//! Holds a finished file against its promise and its policy. Nothing is recorded that has not
//! passed through here.
//!
//! Three kinds of rules, each told apart in a [`Mismatch`]:
//!
//! | rule | comes from | broken when |
//! |---|---|---|
//! | promise | the strategy | the class, or what is needed, is not what the strategy said would come out |
//! | odd value | linkwright | the file asks for something that no honest build asks for, whatever was promised (`odd`) |
//! | policy | the workspace | a clause of the target's policy does not hold (`clauses`) |
//!
//! On macOS and Windows there is nothing below the system's own libraries: a program that needs no
//! others (class `system_libraries`) keeps `static` and `libc_only` there, and `static_pie` if it
//! is position-independent. A wasm program shows nothing that a promise speaks of: it is accepted
//! as class `not_elf`, so that `pure` builds of it can be made. A policy accepts it only where its
//! `class` lists `not_elf`. What no Go toolchain makes (a script, an archive, an empty file) keeps
//! no promise but `any`.
//!
//! **Invariant:** a [`Verified`] is made in [`verify`] alone.

mod clauses;
mod odd;

use crate::formats::elf::compare_versions;
use crate::formats::inspection::Inspection;
use crate::formats::linkage::{BuildInfo, Class, Hazard, Linkage};
use crate::formats::macho;
use crate::formats::magic::UNJUDGED_PROGRAM_FORMATS;
use crate::formats::pe;
use crate::model::policy::Policy;
use crate::model::strategy::{Promise, Strategy};
use std::cmp::Ordering;
use std::fmt;

/// A file whose linkage was read from its bytes and is as promised.
///
/// [`verify`] is the only way to get one, and a record can be made only from one.
#[derive(Debug, Clone)]
pub struct Verified {
    linkage: Linkage,
    build_info: Option<BuildInfo>,
}

/// What is known of a finished file.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// What its bytes show.
    pub inspection: Inspection,
    /// What the linker said when it was made ([`crate::formats::link_warnings`]).
    pub linker_hazards: Vec<Hazard>,
}

/// A file that is not as promised. A result to report, not an error of linkwright.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What the bytes show.
    pub linkage: Box<Linkage>,
    /// Every broken rule, at least one; the promise first, then odd values, then the policy.
    pub breaches: Vec<Breach>,
}

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Whose rule.
    pub rule: BrokenRule,
    /// What the file shows instead, as a clause: "it needs `libc.so.6`".
    pub clause: String,
    /// The smallest change that would help, where one is known.
    pub hint: Option<&'static str>,
}

/// Whose rule is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BrokenRule {
    /// The strategy's.
    Promise(Promise),
    /// linkwright's own, which nothing but a policy that names the interpreter lifts.
    OddValue,
    /// The policy's.
    Policy {
        /// The policy's name.
        policy: String,
        /// The field of the policy.
        field: &'static str,
    },
}

/// What a strategy promises of a file.
#[derive(Debug, Clone, Copy)]
pub struct Promised<'a> {
    /// The verdict that must come out.
    pub promise: Promise,
    /// The highest version of glibc that may be asked for.
    pub glibc_max: Option<&'a str>,
}

impl From<Promise> for Promised<'_> {
    fn from(promise: Promise) -> Self {
        Self { promise, glibc_max: None }
    }
}

impl<'a> From<&'a Strategy> for Promised<'a> {
    fn from(strategy: &'a Strategy) -> Self {
        Self { promise: strategy.promise, glibc_max: strategy.glibc_max.as_deref() }
    }
}

/// Checks `evidence` against `promise` and, where there is one, `policy`.
///
/// The hazards that the linker told of are added to those that the bytes show; the linker's word
/// replaces an inference about the same function.
///
/// # Errors
///
/// Returns the [`Mismatch`] with every broken rule.
pub fn verify<'p>(
    evidence: Evidence,
    promise: impl Into<Promised<'p>>,
    policy: Option<&Policy>,
) -> Result<Verified, Mismatch> {
    let Evidence { inspection: Inspection { mut linkage, build_info }, linker_hazards } = evidence;
    linkage.hazards = joined(linkage.hazards, linker_hazards);
    let breaches = breaches_of(&linkage, promise, policy);
    if breaches.is_empty() {
        Ok(Verified { linkage, build_info })
    } else {
        Err(Mismatch { linkage: Box::new(linkage), breaches })
    }
}

/// Returns what a linkage that nobody is to build on breaks.
#[must_use]
pub fn breaches_of<'p>(
    linkage: &Linkage,
    promise: impl Into<Promised<'p>>,
    policy: Option<&Policy>,
) -> Vec<Breach> {
    let Promised { promise, glibc_max } = promise.into();
    let mut breaches = Vec::new();
    breaches.extend(broken_promise(linkage, promise));
    breaches.extend(above_floor(linkage, promise, glibc_max));
    breaches.extend(odd::odd_values(linkage, policy));
    if let Some(policy) = policy {
        breaches.extend(clauses::broken_clauses(linkage, policy));
    }
    breaches
}

impl Verified {
    /// Returns what the bytes show.
    #[must_use]
    pub fn linkage(&self) -> &Linkage {
        &self.linkage
    }

    /// Returns what Go wrote into the file, if Go made it.
    #[must_use]
    pub fn build_info(&self) -> Option<&BuildInfo> {
        self.build_info.as_ref()
    }
}

impl From<Inspection> for Evidence {
    fn from(inspection: Inspection) -> Self {
        Self { inspection, linker_hazards: Vec::new() }
    }
}

impl Mismatch {
    /// Returns the first broken rule's clause: the reason that a record of the attempt gives.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.breaches.first().map_or("", |it| &it.clause)
    }

    /// Tells whether the strategy did not keep its word, so that the next one may be tried.
    #[must_use]
    pub fn breaks_promise(&self) -> bool {
        self.breaches.iter().any(|it| matches!(it.rule, BrokenRule::Promise(_)))
    }

    /// Tells whether the file is as promised and only a policy forbids it.
    #[must_use]
    pub fn breaks_only_policy(&self) -> bool {
        self.breaches.iter().all(|it| matches!(it.rule, BrokenRule::Policy { .. }))
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, breach) in self.breaches.iter().enumerate() {
            let comma = if index == 0 { "" } else { "; " };
            write!(out, "{comma}{}", breach.clause)?;
            if let rule @ BrokenRule::Policy { .. } = &breach.rule {
                write!(out, " ({rule})")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Mismatch {}

impl fmt::Display for BrokenRule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Promise(promise) => write!(out, "promise `{}`", promise_word(*promise)),
            Self::OddValue => write!(out, "odd value"),
            Self::Policy { policy, field } => write!(out, "policy `{policy}`, `{field}`"),
        }
    }
}

/// Returns the word that rule files and ledgers use for a promise.
#[must_use]
pub fn promise_word(promise: Promise) -> &'static str {
    match promise {
        Promise::Any => "any",
        Promise::Static => "static",
        Promise::StaticPie => "static_pie",
        Promise::LibcOnly => "libc_only",
    }
}

/// Joins two lists of hazards; of two about the same function the better known one is kept.
fn joined(shown: Vec<Hazard>, told: Vec<Hazard>) -> Vec<Hazard> {
    let mut all: Vec<Hazard> = told.into_iter().chain(shown).collect();
    all.sort();
    all.dedup_by(|later, earlier| later.kind == earlier.kind && later.symbol == earlier.symbol);
    all
}

fn broken_promise(linkage: &Linkage, promise: Promise) -> Option<Breach> {
    let broken = |clause: String, hint| {
        Some(Breach { rule: BrokenRule::Promise(promise), clause, hint: Some(hint) })
    };
    if promise == Promise::Any {
        return None;
    }
    if let Some(packer) = &linkage.packer {
        let clause = format!("it is packed with `{packer}`, which hides what is inside");
        return broken(clause, "verify the file before it is packed");
    }
    if linkage.class == Class::NotElf {
        if UNJUDGED_PROGRAM_FORMATS.contains(&&*linkage.format) {
            return None;
        }
        let clause = format!("it is no program: its format is `{}`", linkage.format);
        return broken(clause, "give the program itself");
    }
    let foreign: Vec<&str> = match promise {
        Promise::LibcOnly => {
            linkage.needed.iter().map(String::as_str).filter(|it| !is_c_library(it)).collect()
        }
        _ => linkage.needed.iter().map(String::as_str).collect(),
    };
    let foreign: Vec<&str> =
        foreign.into_iter().filter(|it| !is_the_systems(linkage, it)).collect();
    let kept = match promise {
        Promise::Any => true,
        Promise::Static => {
            matches!(linkage.class, Class::Static | Class::StaticPie | Class::SystemLibraries)
        }
        Promise::StaticPie => {
            linkage.class == Class::StaticPie
                || (linkage.class == Class::SystemLibraries && linkage.pie)
        }
        Promise::LibcOnly => match linkage.class {
            Class::Static | Class::StaticPie | Class::SystemLibraries | Class::NeedsLoader => true,
            Class::Dynamic => foreign.is_empty(),
            Class::Shared | Class::NotExecutable | Class::NotElf => false,
        },
    };
    if kept {
        return None;
    }
    let is_library = matches!(linkage.class, Class::Shared | Class::NotExecutable);
    match (foreign.is_empty(), &linkage.interpreter) {
        (false, _) if !is_library => broken(format!("it needs {}", listed(&foreign)), LINK_IN),
        (true, Some(loader)) if !is_library => {
            let hint =
                "leave out `-buildmode=pie`, or link with `-static-pie` (strategy `static_pie`)";
            broken(format!("it asks for the loader `{loader}`"), hint)
        }
        _ => {
            let clause = format!("it is class `{}`", linkage.class.as_str());
            broken(clause, "choose a strategy that makes the class it promises")
        }
    }
}

/// Returns the breach of a file that asks for a newer glibc than its strategy promises.
fn above_floor(linkage: &Linkage, promise: Promise, most: Option<&str>) -> Option<Breach> {
    let (most, found) = most.zip(linkage.glibc_max.as_deref())?;
    if compare_versions(found, most) != Ordering::Greater {
        return None;
    }
    let clause = format!("it needs glibc {found}, and the strategy promises {most} at most");
    let hint = "take a toolchain that is told the version to link against (`zig_gnu`), or build where an older glibc is";
    Some(Breach { rule: BrokenRule::Promise(promise), clause, hint: Some(hint) })
}

/// Tells whether a library is part of a system below which there is nothing.
fn is_the_systems(linkage: &Linkage, library: &str) -> bool {
    match &*linkage.format {
        "mach_o" => macho::is_system_library(library),
        "pe" => pe::is_windows(library),
        _ => false,
    }
}

const LINK_IN: &str = "link it in: the tags `netgo,osusergo` where only Go's own packages use C, \
                       else external linking with `-static` (strategy `static_glibc`)";

/// Joins names as a sentence does: `a`, `b` and `c`.
fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|it| format!("`{it}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// Tells whether `name` is one of the C library's own sonames, glibc's or musl's.
fn is_c_library(name: &str) -> bool {
    const NAMES: [&str; 11] = [
        "libanl.so.1",
        "libc.so",
        "libc.so.6",
        "libc.so.6.1",
        "libdl.so.2",
        "libm.so.6",
        "libm.so.6.1",
        "libpthread.so.0",
        "libresolv.so.2",
        "librt.so.1",
        "libutil.so.1",
    ];
    const LOADERS: [&str; 4] = ["ld-linux", "ld64.so.", "ld.so.", "libc.musl-"];
    !name.contains('/') && (NAMES.contains(&name) || LOADERS.iter().any(|it| name.starts_with(it)))
}

#[cfg(test)]
mod tests;
