//! Every end-to-end test, in one binary: one link instead of one per file.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, says what it did, and is the edge of the world"
)]

mod batches;
mod bundles;
mod c_headers;
mod c_inputs;
mod c_libraries;
mod causes;
mod checkout;
mod command_line;
mod commands;
mod compile_cache;
mod coverage;
mod disk;
mod documents;
mod edges;
mod edits_during;
mod evidence;
mod examples;
mod faults;
mod forecast;
mod go_commands;
mod go_heads;
mod go_native;
mod go_packages;
mod go_sdk;
mod guards;
mod hostile_elf;
mod incremental;
mod interrupts;
mod kept_listing;
mod key;
mod ledger;
mod linkage_document;
mod nasty_packages;
mod old_go;
mod other_formats;
mod panics;
mod platforms;
mod policies;
mod readelf;
mod real;
mod recall;
mod refusals;
mod rules_doc;
mod salt;
mod scale;
mod sealed;
mod sealed_tests;
mod smoke;
mod store_faults;
mod story;
mod strategies_doc;
mod support;
mod test_list;
mod test_recall;
mod test_runs;
mod tidy;
mod toolchains;
mod truth_table;
mod why;
mod workspace;
