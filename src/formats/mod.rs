//! Bytes in, facts out: the formats that linkwright reads. No meaning, no I/O.

pub mod build_file;
pub mod build_info;
pub mod bytes;
pub mod c_text;
pub mod c_words;
pub mod cacheprog;
pub mod cover_profile;
pub mod elf;
pub mod go_constraint;
pub mod go_events;
pub mod go_header;
pub mod go_list;
pub mod go_sdk_spec;
pub mod go_source;
pub mod image;
pub mod inspection;
pub mod link_errors;
pub mod link_warnings;
pub mod linkage;
pub mod linker_text;
pub mod macho;
pub mod magic;
pub mod module_proxy;
pub mod pe;
pub mod ron_fields;
pub mod ron_lexer;
pub mod ron_syntax;
pub mod rules_file;
pub mod sealed_spec;
pub mod test_log;
pub mod test_names;
pub mod test_stream;
pub mod tool_limits;

#[cfg(test)]
pub(crate) mod testing;
