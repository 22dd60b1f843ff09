//! Bytes in, facts out: no meaning, no I/O.

pub mod build_file;
pub mod ron_fields;
pub mod ron_lexer;
pub mod ron_syntax;
pub mod rules_file;
#[cfg(test)]
pub(crate) mod testing;
