//! What several tests need: whether a program is here, and where things are.

use std::path::Path;

/// Returns whether `program` is here. With `REQUIRE_ALL=1`, as in CI, its absence fails the test:
/// a green run there means that nothing was passed over.
#[must_use]
#[track_caller]
pub(crate) fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    let required = std::env::var_os("REQUIRE_ALL").is_some();
    assert!(found || !required, "REQUIRE_ALL is set and `{program}` is missing");
    if !found {
        println!("passed over: no `{program}`");
    }
    found
}

/// The project's folder.
pub(crate) fn manifest_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
