//! Paths that cannot leave the workspace.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder of outputs, in the workspace root.
pub const OUTPUT_FOLDER: &str = "linkwright-out";

/// A `/`-separated path relative to the workspace root (or to the output folder), never empty.
///
/// # Invariants
///
/// No segment is empty, `.` or `..`, and none holds a control character or `\`, so joining it to
/// a folder stays below that folder as long as no link on the way leads out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(Arc<str>);

/// Why a text is not a path inside the workspace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a path inside the workspace: it must be relative, without empty, `.` or `..` parts"
)]
pub struct RelPathError(pub String);

impl RelPath {
    /// Parses `text`, which is already relative to the root.
    ///
    /// # Errors
    ///
    /// Returns [`RelPathError`] if a segment breaks the invariant.
    pub fn parse(text: &str) -> Result<Self, RelPathError> {
        let plain = |it: &str| {
            !matches!(it, "" | "." | "..") && !it.chars().any(|it| it.is_control() || it == '\\')
        };
        if text.split('/').all(plain) {
            Ok(Self(Arc::from(text)))
        } else {
            Err(RelPathError(text.to_owned()))
        }
    }

    /// Returns the path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path below `folder`.
    #[must_use]
    pub fn below(&self, folder: &Path) -> PathBuf {
        folder.join(&*self.0)
    }

    /// Tells whether `self` is `other` or a folder that holds it.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.0.strip_prefix(&*self.0).is_some_and(|it| it.is_empty() || it.starts_with('/'))
    }
}

/// Shows a path below the workspace's `root` as one relative to it; `.` is the root.
#[must_use]
pub fn shown_below(root: &Path, path: &Path) -> String {
    match path.strip_prefix(root) {
        Ok(rest) if rest.as_os_str().is_empty() => ".".to_owned(),
        Ok(rest) => rest.to_string_lossy().into_owned(),
        Err(_) => path.to_string_lossy().into_owned(),
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for RelPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Read where it lies, if it can be.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for RelPath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for RelPath {
    fn schema_name() -> Cow<'static, str> {
        "RelPath".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "description": "`/`-separated, relative, no `..`"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_leaves_the_root_is_a_path() {
        for bad in ["", "/etc", "..", "a/../b", "a//b", "./a", "a/", "a\\b", "a\nb"] {
            assert!(RelPath::parse(bad).is_err(), "{bad:?}");
        }
        assert!(RelPath::parse("a/..b/c").is_ok());
    }

    #[test]
    fn containment_is_by_whole_segments() {
        let path = |it| RelPath::parse(it).unwrap();
        assert!(path("a/b").contains(&path("a/b/c")));
        assert!(path("a/b").contains(&path("a/b")));
        assert!(!path("a/b").contains(&path("a/bc")));
    }
}
