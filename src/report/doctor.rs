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
    /// The platform that the probe was made for: `linux/arm64`.
    pub platform: String,
    /// How the probe ended.
    #[serde(flatten)]
    pub outcome: CheckOutcome,
}

/// How a linking probe ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum CheckOutcome {
    /// A probe was linked, its linkage is what the strategy promises, and where this machine can
    /// start it, it starts.
    Works {
        /// What came out, in a few words: `static, 1.4 MiB, starts`.
        detail: String,
    },
    /// It cannot work as the machine is.
    Missing {
        /// What is missing or went wrong, one sentence.
        what: String,
        /// What to install, in the words of a build that fails for the same reason.
        install: Vec<String>,
        /// The packages of this machine's distribution that bring it, where known.
        packages: Vec<String>,
        /// The tool's own words, where it spoke.
        detail: Option<String>,
    },
}

impl Check {
    /// Tells whether the strategy can work.
    #[must_use]
    pub fn works(&self) -> bool {
        matches!(self.outcome, CheckOutcome::Works { .. })
    }
}

impl Diagnosis {
    /// Returns the packages that are missing, sorted.
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
    let columns = [Lean::Left, Lean::Left, Lean::Left, Lean::Left];
    writeln!(out, "{}", paint.say(Tone::Strong, "this machine"))?;
    let facts: Vec<Vec<Cell>> = diagnosis.facts.iter().map(fact_row).collect();
    write_aligned(&columns, &facts, paint, out)?;
    writeln!(out, "\n{}", paint.say(Tone::Strong, "strategies, each tried by linking a probe"))?;
    let checks: Vec<Vec<Cell>> = diagnosis.strategies.iter().map(check_row).collect();
    write_aligned(&columns, &checks, paint, out)?;
    let told = diagnosis.strategies.iter().filter_map(|it| match &it.outcome {
        CheckOutcome::Missing { detail: Some(detail), .. } => Some((it, detail)),
        _ => None,
    });
    for (Check { strategy, platform, .. }, detail) in told {
        let detail = escape::block(detail.trim_end()).replace('\n', "\n  ");
        let (strategy, platform) = (escape::line(strategy), escape::line(platform));
        writeln!(out, "\n{strategy} for {platform}:\n  {detail}")?;
    }
    let (all, working) =
        (&diagnosis.strategies, diagnosis.strategies.iter().filter(|it| it.works()).count());
    let total = count(all.len(), "probe");
    writeln!(out, "\n{total}: {working} can work, {} cannot", all.len() - working)?;
    let packages: Vec<&str> = diagnosis.missing_packages().into_iter().collect();
    if packages.is_empty() {
        return Ok(());
    }
    let install = format!("install {}", packages.join(" "));
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
        CheckOutcome::Missing { what, install, .. } if install.is_empty() => {
            ("missing", Tone::Caution, what.clone())
        }
        CheckOutcome::Missing { what, install, .. } => {
            ("missing", Tone::Caution, format!("{what} ({})", install.join("; ")))
        }
    };
    let word = Cell { text: word.to_owned(), tone: Some(tone) };
    vec![plain(&format!("  {}", check.strategy)), plain(&check.platform), word, plain(&why)]
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
        let check = |strategy: &str, outcome| Check {
            strategy: strategy.to_owned(),
            platform: "linux/arm64".to_owned(),
            outcome,
        };
        let missing = |what: &str, package: &str, detail: Option<&str>| CheckOutcome::Missing {
            what: what.to_owned(),
            install: vec![format!("install `{package}` (Debian)")],
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
        expect![[r#"
            this machine
              go        go1.26.8 at /usr/local/go/bin/go
              musl-gcc  not found

            strategies, each tried by linking a probe
              netgo          linux/arm64  works    static, 1.4 MiB
              static_musl    linux/arm64  missing  there is no `musl-gcc` (install `musl-tools` (Debian))
              partly_static  linux/arm64  missing  a probe does not link (install `libstdc++-12-dev` (Debian))

            partly_static for linux/arm64:
              ld: cannot find -lstdc++

            3 probes: 1 can work, 2 cannot
            hint: install libstdc++-12-dev musl-tools
        "#]]
        .assert_eq(&String::from_utf8(out).unwrap());
        assert!(sample().strategies[0].works() && !sample().strategies[1].works());
    }

    #[test]
    fn the_json_names_the_outcome() {
        let json = serde_json::to_string(&sample().strategies[1]).unwrap();
        expect![[r#"{"strategy":"static_musl","platform":"linux/arm64","outcome":"missing","what":"there is no `musl-gcc`","install":["install `musl-tools` (Debian)"],"packages":["musl-tools"],"detail":null}"#]].assert_eq(&json);
    }
}
