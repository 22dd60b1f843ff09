//! The toolbox of the lanes that put faults into runs of the program.
//!
//! ```text
//! subject   a workspace at one of several versions      scene     what was built before
//! tracer    a run that is struck at one system call     calls     system calls as words
//! contract  what must hold after any fault
//! ```

pub mod calls;
pub mod contract;
pub mod scene;
pub mod subject;
pub mod tracer;
