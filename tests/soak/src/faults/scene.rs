//! The situations in which a fault can meet a run.
//!
//! | scene | was built | then | what is run |
//! |---|---|---|---|
//! | `Cold` | nothing | | build |
//! | `Edit` | A | the sources become B | build |
//! | `Restore` | A | all outputs are lost | build, from the store |
//! | `Revert` | A, B | the sources become A | build, from the store over the outputs of B |
//! | `Less` | B | a target goes | build, which removes its output |
//! | `Heal` | A | every blob is damaged, the outputs are lost | build, which sets aside |
//! | `Idle` | A | | build, which has nothing to do |
//! | `Collect` | A, B | | `cache gc` to the smallest size |

use crate::faults::subject::{Subject, Version};
use std::fs;
use std::path::{Path, PathBuf};

/// A situation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scene {
    /// Nothing was built.
    Cold,
    /// The sources changed.
    Edit,
    /// The outputs are lost.
    Restore,
    /// The sources changed back.
    Revert,
    /// A target is gone.
    Less,
    /// The store is damaged.
    Heal,
    /// Everything is up to date.
    Idle,
    /// The store is cleaned.
    Collect,
}

impl Scene {
    /// Every scene.
    pub const ALL: [Self; 8] = [
        Self::Cold,
        Self::Edit,
        Self::Restore,
        Self::Revert,
        Self::Less,
        Self::Heal,
        Self::Idle,
        Self::Collect,
    ];

    /// Sets the scene; returns the version that its run is to publish.
    ///
    /// # Errors
    ///
    /// Returns what failed where no fault was.
    pub fn set(self, subject: &Subject<'_>) -> Result<Version, String> {
        let build = |version| {
            subject.bring(version);
            let ended = subject.build();
            if ended.code == Some(0) { Ok(()) } else { Err(format!("no scene: {ended:#?}")) }
        };
        let version = match self {
            Self::Cold => Version::A,
            Self::Edit => {
                build(Version::A)?;
                Version::B
            }
            Self::Restore => {
                build(Version::A)?;
                subject.lose_outputs();
                Version::A
            }
            Self::Revert => {
                build(Version::A)?;
                build(Version::B)?;
                Version::A
            }
            Self::Less => {
                build(Version::B)?;
                Version::Less
            }
            Self::Heal => {
                build(Version::A)?;
                subject.lose_outputs();
                for file in files_below(&subject.store()) {
                    if file.to_string_lossy().contains("/blobs/") {
                        damage(&file);
                    }
                }
                Version::A
            }
            Self::Idle => {
                build(Version::A)?;
                Version::A
            }
            Self::Collect => {
                build(Version::A)?;
                build(Version::B)?;
                Version::B
            }
        };
        subject.bring(version);
        Ok(version)
    }

    /// The arguments of what is run.
    #[must_use]
    pub fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Collect => &["cache", "gc", "--max-size", "1"],
            _ => &["build", "--json"],
        }
    }
}

/// Every file below a folder, links and all that is no folder included, in order.
#[must_use]
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let (mut files, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
            let is_folder = entry.file_type().is_ok_and(|it| it.is_dir());
            if is_folder { &mut open } else { &mut files }.push(entry.path());
        }
    }
    files.sort();
    files
}

/// Flips a bit in the middle of a file; its size and its mode stay.
fn damage(path: &Path) {
    let Ok(mut bytes) = fs::read(path) else { return };
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    let _ = fs::remove_file(path);
    let _ = fs::write(path, bytes);
}
