//! What `doctor` says: the tools of this machine, which strategies can work on it, what to install.

use crate::report::escape;
use crate::report::paint::{Paint, Tone};
use crate::report::table::{Cell, Lean, count, write_aligned};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::{self, Write};

/// Everything `doctor` found out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Diagnosis {
    /// The tools and places, in the order to show.
    pub facts: Vec<Fact>,
    /// The strategies, each tried.
    pub strategies: Vec<Check>,
}

/// One thing of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Fact {
    /// What it is: `go`, `C compiler`, `static libc`, `store`, …
    pub name: String,
    /// What was found; `null` if nothing was.
    pub found: Option<String>,
}

/// Whether one strategy can work here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Check {
    /// Its name.
    pub strategy: String,
    /// How the probe ended.
    #[serde(flatten)]
    pub outcome: CheckOutcome,
}

/// How a linking probe ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum CheckOutcome {
    /// A probe was linked and its linkage is what the strategy promises.
    Works {
        /// What came out, in a few words: `static, 1.4 MiB`.
        detail: String,
    },
    /// It cannot work as the machine is.
    Missing {
        /// What is missing or went wrong, one sentence.
        what: String,
        /// The Debian packages that bring it, where known.
        packages: Vec<String>,
        /// The tool's own words, where it spoke.
        detail: Option<String>,
    },
}

impl Diagnosis {
    /// Tells whether every strategy that was tried works.
    #[must_use]
    pub fn all_work(&self) -> bool {
        self.strategies.iter().all(|it| matches!(it.outcome, CheckOutcome::Works { .. }))
    }

    /// Tells whether any strategy works.
    #[must_use]
    pub fn any_works(&self) -> bool {
        self.strategies.iter().any(|it| matches!(it.outcome, CheckOutcome::Works { .. }))
    }

    /// Returns the Debian packages that are missing, sorted.
    #[must_use]
    pub fn missing_packages(&self) -> BTreeSet<&str> {
        let packages = self.strategies.iter().filter_map(|it| match &it.outcome {
            CheckOutcome::Missing { packages, .. } => Some(packages),
            CheckOutcome::Works { .. } => None,
        });
        packages.flatten().map(String::as_str).collect()
    }
}

/// Writes the diagnosis for people.
///
/// # Errors
///
/// Returns the writer's error.
pub fn write_text(diagnosis: &Diagnosis, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let columns = [Lean::Left, Lean::Left, Lean::Left];
    writeln!(out, "{}", paint.say(Tone::Strong, "this machine"))?;
    let facts: Vec<Vec<Cell>> = diagnosis.facts.iter().map(fact_row).collect();
    write_aligned(&columns, &facts, paint, out)?;
    writeln!(out, "\n{}", paint.say(Tone::Strong, "strategies, each tried by linking a probe"))?;
    let checks: Vec<Vec<Cell>> = diagnosis.strategies.iter().map(check_row).collect();
    write_aligned(&columns, &checks, paint, out)?;
    let told = diagnosis.strategies.iter().filter_map(|it| match &it.outcome {
        CheckOutcome::Missing { detail: Some(detail), .. } => Some((&it.strategy, detail)),
        _ => None,
    });
    for (strategy, detail) in told {
        let detail = escape::block(detail.trim_end()).replace('\n', "\n  ");
        writeln!(out, "\n{}:\n  {detail}", escape::line(strategy))?;
    }
    let works = |it: &&Check| matches!(it.outcome, CheckOutcome::Works { .. });
    let (all, working) = (&diagnosis.strategies, diagnosis.strategies.iter().filter(works).count());
    let total = count(all.len(), "strategy").replace("strategys", "strategies");
    writeln!(out, "\n{total}: {working} can work here, {} cannot", all.len() - working)?;
    let packages: Vec<&str> = diagnosis.missing_packages().into_iter().collect();
    if packages.is_empty() {
        return Ok(());
    }
    let install = format!("apt-get install {}", packages.join(" "));
    writeln!(out, "{} {}", paint.say(Tone::Hint, "hint:"), escape::line(&install))
}

fn fact_row(fact: &Fact) -> Vec<Cell> {
    let found = fact.found.as_deref();
    let tone = if found.is_none() { Some(Tone::Caution) } else { None };
    vec![plain(&format!("  {}", fact.name)), Cell { tone, ..plain(found.unwrap_or("not found")) }]
}

fn check_row(check: &Check) -> Vec<Cell> {
    let (word, tone, why) = match &check.outcome {
        CheckOutcome::Works { detail } => ("works", Tone::Good, detail.clone()),
        CheckOutcome::Missing { what, packages, .. } if packages.is_empty() => {
            ("missing", Tone::Caution, what.clone())
        }
        CheckOutcome::Missing { what, packages, .. } => {
            ("missing", Tone::Caution, format!("{what} (in {})", packages.join(", ")))
        }
    };
    let word = Cell { text: word.to_owned(), tone: Some(tone) };
    vec![plain(&format!("  {}", check.strategy)), word, plain(&why)]
}

fn plain(text: &str) -> Cell {
    Cell { text: escape::line(text).into_owned(), tone: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn sample() -> Diagnosis {
        let fact = |name: &str, found: Option<&str>| Fact {
            name: name.to_owned(),
            found: found.map(str::to_owned),
        };
        let check = |strategy: &str, outcome| Check { strategy: strategy.to_owned(), outcome };
        let missing = |what: &str, package: &str, detail: Option<&str>| CheckOutcome::Missing {
            what: what.to_owned(),
            packages: vec![package.to_owned()],
            detail: detail.map(str::to_owned),
        };
        Diagnosis {
            facts: vec![
                fact("go", Some("go1.26.8 at /usr/local/go/bin/go")),
                fact("musl-gcc", None),
            ],
            strategies: vec![
                check("netgo", CheckOutcome::Works { detail: "static, 1.4 MiB".to_owned() }),
                check("static_musl", missing("there is no `musl-gcc`", "musl-tools", None)),
                check(
                    "partly_static",
                    missing(
                        "a probe does not link",
                        "libstdc++-12-dev",
                        Some("ld: cannot find -lstdc++\n"),
                    ),
                ),
            ],
        }
    }

    #[test]
    fn a_diagnosis_tells_what_to_install() {
        let mut out = Vec::new();
        write_text(&sample(), Paint::Plain, &mut out).unwrap();
        expect![[r"
            this machine
              go        go1.26.8 at /usr/local/go/bin/go
              musl-gcc  not found

            strategies, each tried by linking a probe
              netgo          works    static, 1.4 MiB
              static_musl    missing  there is no `musl-gcc` (in musl-tools)
              partly_static  missing  a probe does not link (in libstdc++-12-dev)

            partly_static:
              ld: cannot find -lstdc++

            3 strategies: 1 can work here, 2 cannot
            hint: apt-get install libstdc++-12-dev musl-tools
        "]]
        .assert_eq(&String::from_utf8(out).unwrap());
        assert!(sample().any_works() && !sample().all_work());
    }

    #[test]
    fn the_json_names_the_outcome() {
        let json = serde_json::to_string(&sample().strategies[1]).unwrap();
        expect![[r#"{"strategy":"static_musl","outcome":"missing","what":"there is no `musl-gcc`","packages":["musl-tools"],"detail":null}"#]].assert_eq(&json);
    }
}
