//! What `go build -json` and `go test -c -json` print, one JSON object a line; and what a Go before
//! 1.24 prints in their place.
//!
//! # Source
//!
//! `go help buildjson` (Go 1.24). A line that is no such object is kept as a loose line: loading
//! errors come as plain text.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// What a run of the tool said, by Go package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildOutput {
    /// Import path (as the tool names it, test variants included) to the text printed for it.
    pub texts: BTreeMap<String, String>,
    /// Import paths whose build failed.
    pub failed: BTreeSet<String>,
    /// Lines that belong to no package.
    pub loose: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Line {
    #[serde(default)]
    import_path: String,
    action: String,
    #[serde(default)]
    output: String,
}

impl BuildOutput {
    /// Reads what the tool printed on both streams.
    #[must_use]
    pub fn parse(stdout: &str, stderr: &str) -> Self {
        let mut this = Self::default();
        for line in stdout.lines().chain(stderr.lines()).filter(|it| !it.trim().is_empty()) {
            match serde_json::from_str::<Line>(line) {
                Ok(Line { import_path, action, output }) if action == "build-output" => {
                    this.texts.entry(import_path).or_default().push_str(&output);
                }
                Ok(Line { import_path, action, .. }) if action == "build-fail" => {
                    this.failed.insert(import_path);
                }
                Ok(_) => {}
                Err(_) => this.loose.push(line.to_owned()),
            }
        }
        this
    }

    /// Reads what a tool printed that knows no `-json`: a heading `# package` stands before the
    /// text of each package. It looks the same whether the package failed or a tool had a word of
    /// warning, so of a process that did not succeed nothing is attributed.
    #[must_use]
    pub fn of_text(stderr: &str, succeeded: bool) -> Self {
        let mut this = Self::default();
        let mut package = None;
        for line in stderr.lines().filter(|it| !it.trim().is_empty()) {
            match (line.strip_prefix("# "), &package) {
                (Some(path), _) => package = Some(path.to_owned()),
                (None, Some(path)) if succeeded => {
                    let text = this.texts.entry(String::clone(path)).or_default();
                    text.extend([line, "\n"]);
                }
                (None, _) => this.loose.push(line.to_owned()),
            }
        }
        this
    }

    /// Returns everything that was said.
    #[must_use]
    pub fn all_text(&self) -> String {
        let lines = self.texts.values().chain(&self.loose).map(|it| it.trim_end());
        lines.flat_map(|it| [it, "\n"]).collect()
    }

    /// Returns the text of the package `path` in any variant, without the `# package` headings.
    #[must_use]
    pub fn text_of(&self, path: &str) -> String {
        let variants = self.texts.iter().filter(|(it, _)| plain(it) == path);
        let lines = variants.flat_map(|(_, text)| text.lines());
        let told = lines.filter(|it| !it.starts_with("# ") && !it.trim().is_empty());
        told.collect::<Vec<_>>().join("\n")
    }
}

/// Returns the import path without the test variant behind it.
#[must_use]
pub fn plain(path: &str) -> &str {
    path.split_once(" [").map_or(path, |(it, _)| it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_and_texts_are_told_apart_by_package() {
        let stdout = r##"{"ImportPath":"m/b","Action":"build-output","Output":"# m/b\n"}
{"ImportPath":"m/b","Action":"build-output","Output":"b.go:2:14: undefined: x\n"}
{"ImportPath":"m/b","Action":"build-fail"}
{"ImportPath":"m/u [m/u.test]","Action":"build-output","Output":"warning\n"}
{"Action":"start"}"##;
        let output = BuildOutput::parse(stdout, "go: loading failed\n");
        assert_eq!(output.text_of("m/b"), "b.go:2:14: undefined: x");
        assert_eq!(output.text_of("m/u"), "warning");
        assert!(output.failed.contains("m/b") && output.failed.len() == 1);
        assert_eq!(output.loose, ["go: loading failed"]);
    }

    #[test]
    fn text_belongs_to_the_package_of_its_heading_unless_something_failed() {
        let text = "go: downloading x\n# m/b\nld: warning: y\n# m/b [m/b.test]\nld: z\n";
        let output = BuildOutput::of_text(text, true);
        assert_eq!(output.text_of("m/b"), "ld: warning: y\nld: z");
        assert_eq!(output.loose, ["go: downloading x"]);
        let output = BuildOutput::of_text(text, false);
        assert!(output.texts.is_empty() && output.failed.is_empty());
        assert_eq!(output.loose, ["go: downloading x", "ld: warning: y", "ld: z"]);
    }
}
