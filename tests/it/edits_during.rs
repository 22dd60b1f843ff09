//! Edits while a build runs.
