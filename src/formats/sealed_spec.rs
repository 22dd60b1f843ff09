//! `run_in` of tests in `BUILD.ron`: the root that they run in, as written, with places.

use crate::formats::ron_fields::{Reader, Table};
use crate::formats::ron_syntax::{Node, Shape};
use crate::words::span::Spanned;

/// Where tests can run.
pub const RUN_IN: [&str; 2] = ["host", "sealed"];

/// The fields of `run_in: sealed(…)`: what is in the root, then the [`SEALED_LIMITS`].
pub const SEALED_FIELDS: [&str; 9] = [
    "with",
    "hosts",
    "host_name",
    "address_space",
    "processes",
    "open_files",
    "file_size",
    "tmp_size",
    "cpu_time",
];

/// The limits among the [`SEALED_FIELDS`].
pub const SEALED_LIMITS: [&str; 6] =
    ["address_space", "processes", "open_files", "file_size", "tmp_size", "cpu_time"];

/// `run_in: sealed(…)`
#[derive(Debug, Clone, Default)]
pub struct SealedSpec {
    /// What the root holds besides.
    pub with: Vec<Spanned<String>>,
    /// Names to addresses.
    pub hosts: Table,
    /// The host's name.
    pub host_name: Option<Spanned<String>>,
    /// Limits by name, each of [`SEALED_LIMITS`] at most once.
    pub limits: Vec<(&'static str, Spanned<String>)>,
}

/// Reads `host`, `sealed` or `sealed(…)`; `None` for the first, and for what is none of them.
pub fn read_run_in<'s>(reader: &mut Reader<'s>, node: &Node<'s>) -> Option<SealedSpec> {
    let word = reader.kind(node, &RUN_IN)?;
    if matches!(node.shape, Shape::Word(_)) {
        return (word == "sealed").then(SealedSpec::default);
    }
    let known: &[&str] = if word == "sealed" { &SEALED_FIELDS } else { &[] };
    let fields = reader.fields(node, word, known).filter(|_| word == "sealed")?;
    let mut limits = Vec::new();
    for name in SEALED_LIMITS {
        let limit = fields.get(name).and_then(|it| reader.text(name, it));
        limits.extend(limit.map(|it| (name, it)));
    }
    Some(SealedSpec {
        with: fields.get("with").and_then(|it| reader.words("with", it)).unwrap_or_default(),
        hosts: fields.get("hosts").and_then(|it| reader.table("hosts", it)).unwrap_or_default(),
        host_name: fields.get("host_name").and_then(|it| reader.text("host_name", it)),
        limits,
    })
}
