//! Patterns over labels: `//...`, `//dir/...`, `//dir:all`, `//dir:name`, `:name`, and `-` before
//! one to leave out what it matches.
//!
//! `./...`, `./dir/...` and `./dir:name`, as Go users type them, are relative to the folder one is
//! in.

use crate::words::label::{Label, LabelError, PackagePath};
use std::fmt;

/// One pattern, without its sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// `//dir/...`: every target at or below a folder.
    Below(PackagePath),
    /// `//dir:all` or `//dir:*`: every target of one `BUILD.ron`.
    AllOf(PackagePath),
    /// `//dir:name`: one target, which must exist.
    One(Label),
}

/// A list of patterns as typed: what the positive ones match, less what the negative ones match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternSet {
    /// What is asked for; never empty.
    pub wanted: Vec<Pattern>,
    /// What is left out of it.
    pub left_out: Vec<Pattern>,
}

impl Pattern {
    /// Parses `text`, seen from the folder `here`: `...` and `:name` are relative to it.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with `text`.
    pub fn parse(text: &str, here: &PackagePath) -> Result<Self, LabelError> {
        if matches!(text, "..." | "./...") {
            return Ok(Self::Below(here.clone()));
        }
        if let Some(relative) = text.strip_prefix("./") {
            return Self::parse(&format!("//{}", here.join(relative)), here);
        }
        if let Some(folder) = text.strip_suffix("/...").filter(|it| it.starts_with("//")) {
            return Ok(Self::Below(PackagePath::parse(&folder[2..])?));
        }
        match text {
            "//..." => return Ok(Self::Below(PackagePath::root())),
            ":all" | ":*" => return Ok(Self::AllOf(here.clone())),
            _ => {}
        }
        let all = text.strip_suffix(":all").or_else(|| text.strip_suffix(":*"));
        match all.and_then(|it| it.strip_prefix("//")) {
            Some(folder) => Ok(Self::AllOf(PackagePath::parse(folder)?)),
            None => Label::parse(text, here).map(Self::One),
        }
    }

    /// Tells whether `label` is matched.
    #[must_use]
    pub fn matches(&self, label: &Label) -> bool {
        match self {
            Self::Below(folder) => label.package().is_within(folder),
            Self::AllOf(folder) => label.package() == folder,
            Self::One(one) => label == one,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Below(folder) if folder.as_str().is_empty() => f.write_str("//..."),
            Self::Below(folder) => write!(f, "//{}/...", folder.as_str()),
            Self::AllOf(folder) => write!(f, "//{}:all", folder.as_str()),
            Self::One(label) => label.fmt(f),
        }
    }
}

impl PatternSet {
    /// Parses patterns as typed in the folder `here`; none, or only negative ones, means `//...`.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with the first bad one.
    pub fn parse<S: AsRef<str>>(texts: &[S], here: &PackagePath) -> Result<Self, LabelError> {
        let (mut wanted, mut left_out) = (Vec::new(), Vec::new());
        for text in texts.iter().map(AsRef::as_ref) {
            match text.strip_prefix('-') {
                Some(negative) => left_out.push(Pattern::parse(negative, here)?),
                None => wanted.push(Pattern::parse(text, here)?),
            }
        }
        if wanted.is_empty() {
            wanted.push(Pattern::Below(PackagePath::root()));
        }
        Ok(Self { wanted, left_out })
    }

    /// Tells whether it names one target, and nothing else.
    #[must_use]
    pub fn is_one_target(&self) -> bool {
        self.left_out.is_empty() && matches!(self.wanted[..], [Pattern::One(_)])
    }

    /// Tells whether `label` is asked for and not left out.
    #[must_use]
    pub fn matches(&self, label: &Label) -> bool {
        self.wanted.iter().any(|it| it.matches(label))
            && !self.left_out.iter().any(|it| it.matches(label))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(patterns: &[&str]) -> Vec<&'static str> {
        let here = PackagePath::parse("cmd").unwrap();
        let set = PatternSet::parse(patterns, &here).unwrap();
        let labels = ["//:root", "//cmd:a", "//cmd:b", "//cmd/api:server", "//cmdx:c"];
        let parse = |it: &&str| Label::parse(it, &here).unwrap();
        labels.into_iter().filter(|it| set.matches(&parse(it))).collect()
    }

    #[test]
    fn patterns_select_by_folder_and_name() {
        assert_eq!(matched(&[]).len(), 5);
        assert_eq!(matched(&["//..."]).len(), 5);
        assert_eq!(matched(&["//cmd/..."]), ["//cmd:a", "//cmd:b", "//cmd/api:server"]);
        assert_eq!(matched(&["..."]), ["//cmd:a", "//cmd:b", "//cmd/api:server"]);
        assert_eq!(matched(&["./..."]), ["//cmd:a", "//cmd:b", "//cmd/api:server"]);
        assert_eq!(matched(&["./api/..."]), ["//cmd/api:server"]);
        assert_eq!(matched(&["./api:server"]), ["//cmd/api:server"]);
        assert_eq!(matched(&[":a"]), ["//cmd:a"]);
        assert_eq!(matched(&["//cmd:all"]), ["//cmd:a", "//cmd:b"]);
        assert_eq!(matched(&["//cmd/...", "-:a", "-//cmd/api:server"]), ["//cmd:b"]);
        assert_eq!(matched(&["-//cmd/..."]), ["//:root", "//cmdx:c"]);
    }
}
