//! Holds a finished file against its promise and its policy. Nothing is recorded that has not
//! passed through here.

use crate::model::linkage::{BuildInfo, Linkage};

/// A file whose linkage was read from its bytes and is as promised.
///
/// `verify` is the only way to get one, and a record can be made only from one.
#[derive(Debug, Clone)]
pub struct Verified {
    linkage: Linkage,
    build_info: Option<BuildInfo>,
}

impl Verified {
    /// Returns what the bytes show.
    #[must_use]
    pub fn linkage(&self) -> &Linkage {
        &self.linkage
    }

    /// Returns what Go wrote into the file, if Go made it.
    #[must_use]
    pub fn build_info(&self) -> Option<&BuildInfo> {
        self.build_info.as_ref()
    }
}
