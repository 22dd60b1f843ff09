//! Pure functions between what was declared and what is done: what to do, what it is keyed by,
//! what was proved.

pub mod bundle;
pub mod c_dependencies;
pub mod configuration;
pub mod difference;
pub mod explanation;
pub mod fingerprint;
pub mod go_choice;
pub mod go_compose;
pub mod go_folder;
pub mod go_graph;
pub mod ladder;
pub mod origin;
pub mod predict;
pub mod query;
pub mod record;
pub mod starter;
pub mod test_account;
pub mod test_inputs;
pub mod verify;
