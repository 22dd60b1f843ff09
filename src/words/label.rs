//! Target names: the one way the rest of the program refers to a target.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// The folder of a `BUILD.ron`, relative to the workspace root, `/`-separated; `""` is the root.
///
/// # Invariants
///
/// Its segments are not empty, `.` or `..`, hold no control character, `:` or `\`, and the first
/// does not begin with `-`, so that neither a label nor a path made from it reads as an option.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackagePath(Arc<str>);

/// The name of one target in one package, written `//dir/sub:name`.
///
/// A label is absolute and canonical: two labels are the same target exactly when they are equal.
/// It orders by package, then name; ledgers and reports rely on that order.
///
/// # Invariants
///
/// `name` holds only ASCII letters, digits, `_`, `-`, `.`, `+` and `=`, does not begin with `-`,
/// and is not `.` or `..`: it is safe as a file name and never needs quoting.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    package: PackagePath,
    name: Arc<str>,
}

/// Why a text is not a label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Neither `//package:name` nor `:name`.
    #[error("`{0}` is not a label; write `//folder:name`, or `:name` for a target of this folder")]
    Shape(String),
    /// The part before the colon is no folder of a workspace.
    #[error(
        "`{0}` is not a folder of the workspace: no empty, `.` or `..` part, no leading `-`, no `\\`"
    )]
    Package(String),
    /// The part after the colon is no target name.
    #[error(
        "`{0}` is not a target name; use letters, digits, `_`, `-`, `.`, `+` and `=`, and do not begin with `-`"
    )]
    Name(String),
}

impl PackagePath {
    /// Returns the package at the workspace root.
    #[must_use]
    pub fn root() -> Self {
        Self(Arc::from(""))
    }

    /// Parses a `/`-separated folder relative to the workspace root.
    ///
    /// # Errors
    ///
    /// Returns [`LabelError::Package`] if a segment breaks the invariant.
    pub fn parse(text: &str) -> Result<Self, LabelError> {
        let plain = |segment: &str| {
            !matches!(segment, "" | "." | "..")
                && !segment.chars().any(|it| it.is_control() || matches!(it, ':' | '\\'))
        };
        if text.is_empty() || (!text.starts_with('-') && text.split('/').all(plain)) {
            Ok(Self(Arc::from(text)))
        } else {
            Err(LabelError::Package(text.to_owned()))
        }
    }

    /// Returns the folder, `""` for the root.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns `name` below this folder, relative to the workspace root.
    #[must_use]
    pub fn join(&self, name: &str) -> String {
        if self.0.is_empty() { name.to_owned() } else { format!("{}/{name}", self.0) }
    }

    /// Tells whether this folder is `parent` or lies below it.
    #[must_use]
    pub fn is_within(&self, parent: &Self) -> bool {
        parent.0.is_empty()
            || self
                .0
                .strip_prefix(&*parent.0)
                .is_some_and(|it| it.is_empty() || it.starts_with('/'))
    }
}

impl Label {
    /// Makes the label of `name` in `package`.
    ///
    /// # Errors
    ///
    /// Returns [`LabelError::Name`] if `name` breaks the invariant.
    pub fn new(package: PackagePath, name: &str) -> Result<Self, LabelError> {
        let allowed = |it: char| it.is_ascii_alphanumeric() || "_-.+=".contains(it);
        if matches!(name, "" | "." | "..") || name.starts_with('-') || !name.chars().all(allowed) {
            return Err(LabelError::Name(name.to_owned()));
        }
        Ok(Self { package, name: Arc::from(name) })
    }

    /// Parses `//dir:name`, `//dir` (short for `//dir:dir`'s last segment) or `:name`, the last
    /// being a target of `here`.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with `text`.
    pub fn parse(text: &str, here: &PackagePath) -> Result<Self, LabelError> {
        if let Some(name) = text.strip_prefix(':') {
            return Self::new(here.clone(), name);
        }
        let Some(absolute) = text.strip_prefix("//") else {
            return Err(LabelError::Shape(text.to_owned()));
        };
        match absolute.split_once(':') {
            Some((package, name)) => Self::new(PackagePath::parse(package)?, name),
            None if absolute.is_empty() => Err(LabelError::Shape(text.to_owned())),
            None => {
                let package = PackagePath::parse(absolute)?;
                let last = absolute.rsplit('/').next().unwrap_or(absolute).to_owned();
                Self::new(package, &last)
            }
        }
    }

    /// Returns the folder of the `BUILD.ron` that declares the target.
    #[must_use]
    pub fn package(&self) -> &PackagePath {
        &self.package
    }

    /// Returns the target's own name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns `<package>/<name>`, the path of its output below `bin/`.
    #[must_use]
    pub fn output_path(&self) -> String {
        self.package.join(&self.name)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "//{}:{}", self.package.0, self.name)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Label {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Read where it lies, if it can be.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Label {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        Self::parse(&text, &PackagePath::root()).map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Label {
    fn schema_name() -> Cow<'static, str> {
        "Label".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^//[^:]*:[A-Za-z0-9_.+=-]+$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(text: &str, expect: Expect) {
        let here = PackagePath::parse("cmd/api").unwrap();
        let result =
            Label::parse(text, &here).map_or_else(|it| it.to_string(), |it| it.to_string());
        expect.assert_eq(&result);
    }

    #[test]
    fn labels_are_canonical() {
        check("//cmd/api:server", expect!["//cmd/api:server"]);
        check(":server", expect!["//cmd/api:server"]);
        check("//:root", expect!["//:root"]);
        check("//lib/go", expect!["//lib/go:go"]);
    }

    #[test]
    fn what_could_leave_the_workspace_or_read_as_an_option_is_refused() {
        check(
            "server",
            expect![
                "`server` is not a label; write `//folder:name`, or `:name` for a target of this folder"
            ],
        );
        check(
            "//../x:y",
            expect![
                "`../x` is not a folder of the workspace: no empty, `.` or `..` part, no leading `-`, no `\\`"
            ],
        );
        check(
            "//-o:y",
            expect![
                "`-o` is not a folder of the workspace: no empty, `.` or `..` part, no leading `-`, no `\\`"
            ],
        );
        check(
            ":-o",
            expect![
                "`-o` is not a target name; use letters, digits, `_`, `-`, `.`, `+` and `=`, and do not begin with `-`"
            ],
        );
        check(
            ":a/b",
            expect![
                "`a/b` is not a target name; use letters, digits, `_`, `-`, `.`, `+` and `=`, and do not begin with `-`"
            ],
        );
    }
}
