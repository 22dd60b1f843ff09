//! The JSON Schemas of the formats that others read, from the types themselves.
//!
//! They stand under `docs/schema/`; a test holds the files against this module, and
//! `UPDATE_EXPECT=1 cargo test` rewrites them.

use crate::engine::event::Event;
use crate::plan::record::Ledger;
use crate::report::doctor::Diagnosis;
use crate::report::graph::GraphDocument;
use crate::report::verify::Inspection;
use schemars::Schema;

/// Returns each published schema with the name of its file, `<name>.schema.json`.
#[must_use]
pub fn published() -> [(&'static str, Schema); 5] {
    [
        ("ledger", schemars::schema_for!(Ledger)),
        ("event", schemars::schema_for!(Event)),
        ("verify", schemars::schema_for!(Inspection)),
        ("query-graph", schemars::schema_for!(GraphDocument<'static>)),
        ("doctor", schemars::schema_for!(Diagnosis)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect_file;
    use std::path::Path;

    #[test]
    fn the_schemas_in_docs_are_those_of_the_types() {
        for (name, schema) in published() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema");
            let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
            expect_file![folder.join(format!("{name}.schema.json"))].assert_eq(&text);
        }
    }
}
