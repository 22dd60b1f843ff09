//! The only places that touch the machine: read the workspace, spawn tools, write the store and
//! the outputs. Each returns small typed errors and formats nothing for people.

pub mod bundle;
pub mod c_answers;
pub mod c_compiler;
pub mod c_files;
pub(crate) mod c_folders;
pub mod c_includes;
pub mod c_libraries;
pub mod c_names;
pub mod c_probe;
pub mod c_tools;
pub mod cache_server;
pub mod compile_cache;
pub mod digests;
pub mod fetch;
pub mod file;
pub mod folders;
pub mod globs;
pub mod go_embeds;
pub mod go_env;
pub mod go_folder;
pub mod go_memory;
pub mod go_modules;
pub mod go_root;
pub mod go_sdk;
pub mod go_tool;
pub mod go_tree;
pub mod guard;
pub mod guard_words;
pub mod inspect;
pub mod last_run;
pub mod limits;
pub mod lock;
pub mod looked;
pub mod machine;
pub mod observe;
pub mod out_folder;
pub mod outputs;
pub mod proc_table;
pub mod process;
pub mod scene;
pub mod sealed;
pub mod sight;
pub mod stamp;
pub mod store;
pub mod test_process;
pub mod unpack;
pub mod workspace;

#[cfg(test)]
pub(crate) mod testing;
