//! The test binaries that there are, with their tests: as a list for people, and as one object.

use crate::engine::test_list::Listed;
use crate::formats::test_names::TestKind;
use crate::report::escape;
use crate::report::paint::{Paint, Tone};
use crate::report::table::count;
use schemars::JsonSchema;
use serde::Serialize;
use std::io::{self, Write};

/// The format of the JSON form; raised when a field changes its meaning.
pub const TESTS_FORMAT: &str = "linkwright-tests/1";

/// What `test --list --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TestsDocument<'a> {
    /// [`TESTS_FORMAT`].
    pub format: &'static str,
    /// Sorted by label, Go package and platform.
    pub binaries: &'a [Listed],
}

/// Writes the one object.
///
/// # Errors
///
/// Returns the writer's error.
pub fn write_json(binaries: &[Listed], out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &TestsDocument { format: TESTS_FORMAT, binaries })?;
    writeln!(out)
}

/// Writes the list, and a line that sums it up.
///
/// # Errors
///
/// Returns the writer's error.
pub fn write_list(binaries: &[Listed], paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let mut group = None;
    for it in binaries {
        if group != Some(&it.label) {
            writeln!(out, "{}", it.label)?;
        }
        group = Some(&it.label);
        write_binary(it, paint, out)?;
    }
    let binary = if binaries.len() == 1 { "binary" } else { "binaries" };
    let tests = || binaries.iter().filter_map(|it| it.tests.as_ref()).flatten();
    let kinds = [
        (TestKind::Test, "test"),
        (TestKind::Benchmark, "benchmark"),
        (TestKind::Fuzz, "fuzz test"),
        (TestKind::Example, "example"),
    ];
    let counted = kinds.map(|(kind, word)| (tests().filter(|it| it.kind == kind).count(), word));
    let counted = counted.iter().filter(|it| it.0 > 0).map(|(number, word)| count(*number, word));
    let counted: Vec<_> = counted.collect();
    let colon = if counted.is_empty() { "" } else { ": " };
    writeln!(out, "{} test {binary}{colon}{}", binaries.len(), counted.join(", "))
}

fn write_binary(it: &Listed, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let words = [it.go_package.as_deref(), it.platform.as_deref()];
    let words: Vec<_> = words.into_iter().flatten().map(escape::line).collect();
    write!(out, "  {}", words.join(" "))?;
    if let (Some(class), Some(strategy)) = (&it.class, &it.strategy) {
        let linked = format!("{} by {}", escape::line(class), escape::line(strategy));
        write!(out, "  {}", paint.say(Tone::Faint, &linked))?;
    }
    if let Some(reason) = &it.reason {
        let tone = if it.failed { Tone::Bad } else { Tone::Caution };
        write!(out, "  {}", paint.say(tone, &format!("not asked: {}", escape::line(reason))))?;
    }
    writeln!(out)?;
    for test in it.tests.iter().flatten() {
        writeln!(out, "    {}", escape::line(&test.name))?;
    }
    Ok(())
}

/// Makes listed binaries for tests.
#[cfg(test)]
pub(crate) mod samples {
    use super::*;
    use crate::formats::test_names::TestName;
    use crate::report::outcome::samples::label;
    use crate::words::exit_code::ExitCode;
    use crate::words::path::RelPath;

    pub(crate) fn listed() -> Vec<Listed> {
        let name = |name: &str, kind| TestName { name: name.to_owned(), kind };
        let a = Listed {
            label: label("//:tests"),
            go_package: Some("m/a".to_owned()),
            platform: None,
            output: Some(RelPath::parse("bin/tests/m/a.test").unwrap()),
            source_folder: Some("a".to_owned()),
            class: Some("static".to_owned()),
            strategy: Some("netgo".to_owned()),
            size: Some(5_367_336),
            tests: Some(vec![name("TestA", TestKind::Test), name("FuzzB", TestKind::Fuzz)]),
            reason: None,
            failed: false,
            code: ExitCode::Done,
        };
        let foreign = Listed {
            platform: Some("linux/arm64".to_owned()),
            tests: None,
            reason: Some("it is built for another platform".to_owned()),
            ..a.clone()
        };
        let empty = Listed { tests: Some(vec![]), label: label("//b:tests"), ..a.clone() };
        let bad = Listed {
            label: label("//c:tests"),
            go_package: None,
            class: None,
            strategy: None,
            failed: true,
            reason: Some("it was not built".to_owned()),
            ..foreign.clone()
        };
        vec![a, foreign, empty, bad]
    }
}

#[cfg(test)]
mod tests {
    use super::samples::listed;
    use super::*;
    use expect_test::expect;

    #[test]
    fn each_binary_is_told_with_its_linkage_and_its_tests() {
        let mut out = Vec::new();
        write_list(&listed(), Paint::Plain, &mut out).unwrap();
        write_list(&listed()[2..3], Paint::Plain, &mut out).unwrap();
        expect![[r"
            //:tests
              m/a  static by netgo
                TestA
                FuzzB
              m/a linux/arm64  static by netgo  not asked: it is built for another platform
            //b:tests
              m/a  static by netgo
            //c:tests
              linux/arm64  not asked: it was not built
            4 test binaries: 1 test, 1 fuzz test
            //b:tests
              m/a  static by netgo
            1 test binary
        "]]
        .assert_eq(&String::from_utf8(out).unwrap());
    }
}
