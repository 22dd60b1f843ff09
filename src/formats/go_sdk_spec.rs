//! `go_sdk(…)` in `BUILD.ron`: a Go toolchain that a workspace pins, as written, with places.

use crate::formats::ron_fields::{Reader, Table};
use crate::formats::ron_syntax::Node;
use crate::words::span::Spanned;

/// The fields of `go_sdk(…)`.
pub const GO_SDK_FIELDS: [&str; 4] = ["name", "version", "sums", "urls"];

/// `go_sdk(…)`
#[derive(Debug, Clone)]
pub struct GoSdkSpec {
    /// What targets call it.
    pub name: Spanned<String>,
    /// Which Go it is: `1.26.8`.
    pub version: Spanned<String>,
    /// By platform, what the archive must be.
    pub sums: Table,
    /// By platform, where the archive is, if not at the module proxy.
    pub urls: Table,
}

/// Reads one; what is wrong with it is reported.
pub fn read_go_sdk<'s>(reader: &mut Reader<'s>, node: &Node<'s>) -> Option<GoSdkSpec> {
    reader.kind(node, &["go_sdk"])?;
    let fields = reader.fields(node, "go_sdk", &GO_SDK_FIELDS)?;
    let name = reader.required(&fields, "name").and_then(|it| reader.text("name", it));
    let version = reader.required(&fields, "version").and_then(|it| reader.text("version", it));
    let mut table = |name| fields.get(name).and_then(|it| reader.table(name, it));
    let (sums, urls) = (table("sums"), table("urls"));
    let (sums, urls) = (sums.unwrap_or_default(), urls.unwrap_or_default());
    Some(GoSdkSpec { name: name?, version: version?, sums, urls })
}
