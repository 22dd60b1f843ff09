//! Test results as `JUnit` XML, which pipelines read.
//!
//! One `testsuite` for each test binary, one `testcase` for each test; what befell the binary as a
//! whole is a case of its own, named `(binary)`, with an `error`. Where a target names platforms,
//! the platform stands behind the Go package, and as a property: readers that merge suites by name
//! keep them apart. Characters that XML 1.0 cannot hold are replaced.

use crate::engine::event::TestFinished;
use crate::model::run_in::RunIn;
use crate::plan::test_account::{Case, CaseOutcome, Outcome};
use crate::report::test_table::shown_package;
use std::fmt::Write as _;

/// Returns the document.
#[must_use]
pub fn document(tests: &[TestFinished]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for it in tests {
        suite(it, &mut out);
    }
    out.push_str("</testsuites>\n");
    out
}

fn suite(it: &TestFinished, out: &mut String) {
    let whole = whole(it);
    let number = |outcome| it.cases.iter().filter(|it| it.outcome == outcome).count();
    let _ = writeln!(
        out,
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{}\">",
        escaped(&shown_package(it)),
        it.cases.len() + usize::from(whole.is_some()),
        number(CaseOutcome::Failed),
        number(CaseOutcome::Unfinished) + usize::from(whole.is_some()),
        number(CaseOutcome::Skipped),
        seconds(it.milliseconds),
    );
    let ran_in = match it.ran_in {
        Some(RunIn::Host) => "host",
        Some(RunIn::Sealed) => "sealed",
        None => "",
    };
    let platform = it.platform.iter().map(|it| ("platform", it.clone()));
    let properties = [
        ("label", it.label.to_string()),
        ("ran_in", ran_in.to_owned()),
        ("runs", it.runs.to_string()),
        ("flaky", it.flaky.to_string()),
        ("kept", it.kept.to_string()),
    ];
    out.push_str("    <properties>\n");
    for (name, value) in properties.into_iter().chain(platform) {
        let value = escaped(&value);
        let _ = writeln!(out, "      <property name=\"{name}\" value=\"{value}\"/>");
    }
    out.push_str("    </properties>\n");
    for case in &it.cases {
        write_case(&shown_package(it), case, out);
    }
    if let Some((message, text)) = whole {
        let package = escaped(&shown_package(it));
        let _ = writeln!(
            out,
            "    <testcase name=\"(binary)\" classname=\"{package}\" time=\"0.000\">"
        );
        element("error", &message, &text, out);
        out.push_str("    </testcase>\n");
    }
    out.push_str("  </testsuite>\n");
}

/// Returns what befell the binary as a whole, if no test tells it.
fn whole(it: &TestFinished) -> Option<(String, String)> {
    match it.outcome {
        Outcome::Passed | Outcome::NoTests => None,
        Outcome::Failed if it.reason.is_none() => None,
        _ => Some((it.reason.clone().unwrap_or_default(), it.output.clone())),
    }
}

fn write_case(package: &str, case: &Case, out: &mut String) {
    let (name, package, time) = (escaped(&case.name), escaped(package), seconds(case.milliseconds));
    let _ = write!(out, "    <testcase name=\"{name}\" classname=\"{package}\" time=\"{time}\"");
    match case.outcome {
        CaseOutcome::Passed => {
            out.push_str("/>\n");
            return;
        }
        CaseOutcome::Failed => {
            out.push_str(">\n");
            element("failure", "failed", &case.output, out);
        }
        CaseOutcome::Unfinished => {
            out.push_str(">\n");
            element("error", "did not end", &case.output, out);
        }
        CaseOutcome::Skipped => {
            out.push_str(">\n");
            element("skipped", "skipped", &case.output, out);
        }
    }
    out.push_str("    </testcase>\n");
}

fn element(name: &str, message: &str, text: &str, out: &mut String) {
    let (message, text) = (escaped(message), escaped(text));
    let _ = writeln!(out, "      <{name} message=\"{message}\">{text}</{name}>");
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}

/// # Source
///
/// XML 1.0, 2.2: which characters a document may hold; 2.4: which stand for markup.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\r' => out.push_str("&#13;"),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(it),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::test_table::samples::{case, tested};
    use expect_test::expect;

    #[test]
    fn every_outcome_has_its_element_and_nothing_breaks_the_markup() {
        use CaseOutcome as C;
        let nasty = "a<b> & \"c\"\n\u{1b}]]>";
        let cases = vec![
            case("TestA", C::Passed, ""),
            case("TestB/<x>", C::Failed, nasty),
            case("TestC", C::Skipped, "why"),
            case("TestD", C::Unfinished, ""),
        ];
        let mut crashed = tested("m/a", Outcome::Crashed, cases);
        crashed.reason = Some("panic: \"boom\"".to_owned());
        crashed.platform = Some("linux/arm/7".to_owned());
        expect![[r#"
            <?xml version="1.0" encoding="UTF-8"?>
            <testsuites>
              <testsuite name="m/a linux/arm/7" tests="5" failures="1" errors="2" skipped="1" time="2.340">
                <properties>
                  <property name="label" value="//:tests"/>
                  <property name="ran_in" value="host"/>
                  <property name="runs" value="1"/>
                  <property name="flaky" value="false"/>
                  <property name="kept" value="false"/>
                  <property name="platform" value="linux/arm/7"/>
                </properties>
                <testcase name="TestA" classname="m/a linux/arm/7" time="1.250"/>
                <testcase name="TestB/&lt;x&gt;" classname="m/a linux/arm/7" time="1.250">
                  <failure message="failed">a&lt;b&gt; &amp; &quot;c&quot;&#10;�]]&gt;</failure>
                </testcase>
                <testcase name="TestC" classname="m/a linux/arm/7" time="1.250">
                  <skipped message="skipped">why</skipped>
                </testcase>
                <testcase name="TestD" classname="m/a linux/arm/7" time="1.250">
                  <error message="did not end"></error>
                </testcase>
                <testcase name="(binary)" classname="m/a linux/arm/7" time="0.000">
                  <error message="panic: &quot;boom&quot;"></error>
                </testcase>
              </testsuite>
            </testsuites>
        "#]]
        .assert_eq(&document(&[crashed]));
    }
}
