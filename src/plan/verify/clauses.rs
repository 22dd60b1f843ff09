//! The clauses of a policy, one function call each; every broken one is told.

use crate::formats::elf::compare_versions;
use crate::formats::linkage::{Class, Hazard, HazardBasis, HazardKind, Linkage, Relro};
use crate::model::policy::{Demand, Policy};
use crate::plan::verify::{Breach, BrokenRule, LINK_IN, listed};
use std::cmp::Ordering;

/// Collects the broken clauses of one policy.
struct Clauses<'a> {
    policy: &'a Policy,
    broken: Vec<Breach>,
}

/// Returns a breach for each clause of `policy` that `linkage` does not keep.
pub(super) fn broken_clauses(linkage: &Linkage, policy: &Policy) -> Vec<Breach> {
    let mut clauses = Clauses { policy, broken: Vec::new() };
    let class = linkage.class;
    // The other clauses are about what only ELF has. A policy that speaks of it accepts a file that
    // cannot show it by name or not at all.
    if class == Class::NotElf {
        if !policy.class.contains(&class) {
            let what = format!("it is class `not_elf` (`{}`)", linkage.format);
            clauses.add("class", what, Some("list `not_elf` in the policy's `class` to accept it"));
        }
        return clauses.broken;
    }
    if !policy.class.is_empty() && !policy.class.contains(&class) {
        clauses.add("class", format!("it is class `{}`", class.as_str()), None);
    }
    if let Some(packer) = &linkage.packer {
        let what = format!("it is packed with `{packer}`, which hides what is inside");
        clauses.add("class", what, Some("verify the file before it is packed"));
    }
    clauses.hazards(linkage);
    clauses.features(linkage);
    clauses.libraries(linkage);
    clauses.versions(linkage);
    clauses.broken
}

impl Clauses<'_> {
    fn add(&mut self, field: &'static str, clause: String, hint: Option<&'static str>) {
        let rule = BrokenRule::Policy { policy: self.policy.name.clone(), field };
        self.broken.push(Breach { rule, clause, hint });
    }

    fn hazards(&mut self, linkage: &Linkage) {
        let policy = self.policy;
        let kinds = [
            (
                "nss",
                policy.nss,
                HazardKind::Nss,
                "add the tags `netgo,osusergo`, or link with musl",
            ),
            (
                "dlopen",
                policy.dlopen,
                HazardKind::Dlopen,
                "leave out what calls it, or link dynamically",
            ),
        ];
        for (field, demand, kind, hint) in kinds {
            let mut found = linkage.hazards.iter().filter(|it| it.kind == kind).peekable();
            match demand {
                Demand::Require if found.peek().is_none() => {
                    self.add(field, format!("it has no `{field}` hazard"), None);
                }
                Demand::Allow | Demand::Require => {}
                Demand::Deny => found.for_each(|it| self.add(field, hazard_clause(it), Some(hint))),
            }
        }
    }

    fn features(&mut self, linkage: &Linkage) {
        let policy = self.policy;
        let mut feature =
            |field, demand, is_there, (with, without): (&str, &str), hint| match (demand, is_there)
            {
                (Demand::Deny, true) => self.add(field, with.to_owned(), None),
                (Demand::Require, false) => self.add(field, without.to_owned(), Some(hint)),
                _ => {}
            };
        let words = ("its stack is not executable", "its stack is executable");
        let hint = "an object without a `.note.GNU-stack` section does that: assemble with `-Wa,--noexecstack`";
        feature("nx", policy.nx, linkage.nx, words, hint);
        let words = ("it is position-independent", "it is not position-independent");
        feature("pie", policy.pie, linkage.pie, words, "take a strategy with `buildmode: pie`");
        let words = ("it has relocations in its code", "it has no relocations in its code");
        feature("textrel", policy.textrel, linkage.textrel, words, "");
        let paths: Vec<&str> = linkage.rpath.iter().map(String::as_str).collect();
        let with = format!("it looks for libraries in {}", listed(&paths));
        let words = (&*with, "it has no library search path");
        feature(
            "rpath",
            policy.rpath,
            !paths.is_empty(),
            words,
            "add `-Wl,-rpath` to `extldflags`",
        );
        if let Some(least) = policy.relro
            && linkage.relro < least
        {
            let what = format!("its read-only relocations are `{}`", relro_word(linkage.relro));
            self.add("relro", what, Some("add `-Wl,-z,relro,-z,now` to `extldflags`"));
        }
    }

    fn libraries(&mut self, linkage: &Linkage) {
        if let Some(allowed) = &self.policy.needed {
            let others = linkage.needed.iter().filter(|it| !allowed.contains(it));
            let others: Vec<&str> = others.map(String::as_str).collect();
            if !others.is_empty() {
                self.add("needed", format!("it needs {}", listed(&others)), Some(LINK_IN));
            }
        }
        if let (Some(allowed), Some(loader)) = (&self.policy.interpreters, &linkage.interpreter)
            && !allowed.contains(loader)
        {
            self.add("interpreters", format!("it asks for the loader `{loader}`"), None);
        }
    }

    fn versions(&mut self, linkage: &Linkage) {
        let policy = self.policy;
        let hint = "build where an older one is installed, or link it in";
        for (field, what, most, found) in [
            ("glibc_max", "glibc", &policy.glibc_max, &linkage.glibc_max),
            ("glibcxx_max", "libstdc++ version GLIBCXX", &policy.glibcxx_max, &linkage.glibcxx_max),
        ] {
            if let (Some(most), Some(found)) = (most, found)
                && compare_versions(found, most) == Ordering::Greater
            {
                self.add(field, format!("it needs {what} {found}, above {most}"), Some(hint));
            }
        }
    }
}

fn hazard_clause(hazard: &Hazard) -> String {
    let does = match hazard.kind {
        HazardKind::Nss => "asks the name service at run time",
        HazardKind::Dlopen => "loads libraries at run time",
    };
    let symbol = &hazard.symbol;
    match hazard.basis {
        HazardBasis::LinkerWarning => {
            format!("it calls `{symbol}`, which {does} (the linker says so)")
        }
        HazardBasis::Symbol => format!("it holds `{symbol}`, which {does} (seen in its symbols)"),
        HazardBasis::Text => {
            format!("it reads `{symbol}`: some function in it {does} (its symbols are stripped)")
        }
    }
}

/// Returns the word that reports print, the same as in JSON.
fn relro_word(relro: Relro) -> &'static str {
    match relro {
        Relro::None => "none",
        Relro::Partial => "partial",
        Relro::Full => "full",
    }
}
