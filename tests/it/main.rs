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

mod rules_doc;
mod tidy;
