//! The JSON Schemas of the formats that others read, from the types themselves.
//!
//! They stand under `docs/schema/`; a test holds the files against this module, and
//! `UPDATE_EXPECT=1 cargo test` rewrites them.

use crate::effects::store::check::Check;
use crate::effects::store::collect::Collected;
use crate::engine::event::Event;
use crate::plan::explanation::Explanation;
use crate::plan::record::Ledger;
use crate::report::cache::CacheStats;
use crate::report::doctor::Diagnosis;
use crate::report::graph::GraphDocument;
use crate::report::packages::PackagesDocument;
use crate::report::test_list::TestsDocument;
use crate::report::verify::Inspection;
use schemars::Schema;

/// Returns each published schema with the name of its file, `<name>.schema.json`.
#[must_use]
pub fn published() -> [(&'static str, Schema); 11] {
    [
        ("ledger", schemars::schema_for!(Ledger)),
        ("event", schemars::schema_for!(Event)),
        ("verify", schemars::schema_for!(Inspection)),
        ("query-graph", schemars::schema_for!(GraphDocument<'static>)),
        ("query-packages", schemars::schema_for!(PackagesDocument<'static>)),
        ("tests", schemars::schema_for!(TestsDocument<'static>)),
        ("doctor", schemars::schema_for!(Diagnosis)),
        ("why", schemars::schema_for!(Explanation)),
        ("cache-stats", schemars::schema_for!(CacheStats)),
        ("cache-verify", schemars::schema_for!(Check)),
        ("cache-gc", schemars::schema_for!(Collected)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::{Counts, ErrorEvent, State};
    use crate::formats::linkage::Class;
    use crate::plan::explanation::samples::{explanation, output};
    use crate::plan::query::{TargetGraph, suites};
    use crate::plan::record::AttemptOutcome;
    use crate::report::cache::damaged;
    use crate::report::graph::write_json;
    use crate::report::outcome::samples::{attempt, finished};
    use crate::report::test_list::TESTS_FORMAT;
    use crate::report::test_list::samples::listed;
    use crate::report::verify::{FileFacts, Finding, sample_linkage};
    use expect_test::expect_file;
    use std::path::Path;
    use std::sync::Arc;

    /// Holds a value against a published schema, as a reader in another language would.
    #[track_caller]
    fn check(name: &str, value: &impl serde::Serialize) {
        let schema = published().into_iter().find(|it| it.0 == name).unwrap().1;
        let validator = jsonschema::validator_for(schema.as_value()).unwrap();
        let value = serde_json::to_value(value).unwrap();
        let errors: Vec<String> = validator.iter_errors(&value).map(|it| it.to_string()).collect();
        assert!(errors.is_empty(), "{value} is no {name}: {errors:?}");
    }

    #[test]
    fn what_we_print_is_valid() {
        check("event", &Event::Started { targets: 1, jobs: 2 });
        check("event", &Event::Finished(Arc::new(finished("//:a", "m/a", State::Built))));
        check("event", &attempt("//:a", "m/a", ("netgo", AttemptOutcome::Failed, "why")));
        check("event", &Event::Error(ErrorEvent::default()));
        check("event", &Event::Done(Counts::default()));
        let linkage = sample_linkage(Class::Dynamic);
        let (build_info, policy, violations) = (None, None, vec![]);
        let facts = FileFacts { linkage, build_info, policy, violations };
        let finding = Finding::Read(Box::new(facts));
        check("verify", &Inspection { file: "a".to_owned(), finding });
        let binaries = &listed()[..];
        check("tests", &TestsDocument { format: TESTS_FORMAT, binaries });
        check("doctor", &Diagnosis::default());
        check("why", &explanation(vec![output("m/a", &["x"]), output("m/b", &[])]));
        check("cache-stats", &CacheStats::default());
        check("cache-verify", &damaged(Some("set aside")));
        check("cache-gc", &Collected::default());
        let targets = suites("//:a //:b\n//:b");
        let graph = TargetGraph::new(targets.values());
        let mut out = Vec::new();
        write_json(&graph, &graph.nodes(), &mut out).unwrap();
        check("query-graph", &serde_json::from_slice::<serde_json::Value>(&out).unwrap());
    }

    #[test]
    fn the_schemas_in_docs_are_those_of_the_types() {
        for (name, schema) in published() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema");
            let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
            expect_file![folder.join(format!("{name}.schema.json"))].assert_eq(&text);
        }
    }
}
