//! Blobs that come in pieces, are read in place, or come from another store.

use super::{Copied, Store, digest_of, open_regular, rename};
use crate::words::digest::Digest;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A blob that is being written; dropped before its end it leaves nothing.
#[derive(Debug)]
pub struct NewBlob {
    file: tempfile::NamedTempFile,
    hasher: blake3::Hasher,
    size: u64,
}

impl Store {
    /// Begins a blob whose bytes come in pieces.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn begin_blob(&self) -> io::Result<NewBlob> {
        if !self.usable {
            return Err(io::Error::other("the store is of another format"));
        }
        Ok(NewBlob { file: self.fresh()?, hasher: blake3::Hasher::new(), size: 0 })
    }

    /// Ends a blob and returns what it is and where.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn finish_blob(&self, blob: NewBlob) -> io::Result<(Copied, PathBuf)> {
        let NewBlob { file, hasher, size } = blob;
        let copied = Copied { digest: Digest::from_hasher(&hasher), size };
        let path = self.path("blobs", &copied.digest);
        self.commit(file, &path)?;
        Ok((copied, path))
    }

    /// Finds the blob `digest`, hashes it, and returns its file and length.
    ///
    /// The file is read-only and is never written again, so what was hashed is what is read later,
    /// unless somebody damages it in between.
    #[must_use]
    pub fn blob(&self, digest: &Digest) -> Option<(PathBuf, u64)> {
        if !self.usable {
            return None;
        }
        let path = self.path("blobs", digest);
        let read = open_regular(&path).and_then(|mut it| digest_of(&mut it, &mut io::sink()));
        let copied = self.sound(&path, read)?;
        if copied.digest == *digest {
            return Some((path, copied.size));
        }
        self.set_aside(&path, &format!("the blob `{}` is damaged", path.display()));
        None
    }

    /// Returns where the blob `digest` is, if it is here.
    #[must_use]
    pub fn place_of(&self, digest: &Digest) -> PathBuf {
        self.path("blobs", digest)
    }

    /// Moves everything that `other` holds here: first all blobs, then the records.
    ///
    /// Both are named by what is in them, so what is here already is only replaced by its equal.
    pub fn take_over(&self, other: &Self) {
        if !self.usable {
            return;
        }
        for room in ["blobs", "actions"] {
            let walk = walkdir::WalkDir::new(other.root.join(room)).min_depth(1).max_depth(2);
            for from in walk.into_iter().filter_map(Result::ok) {
                let name = from.file_name().to_string_lossy();
                // A temporary file of something that did not come to its end.
                if name.starts_with('.') || !from.file_type().is_file() {
                    continue;
                }
                let to = self.root.join(room).join(name.get(..2).unwrap_or_default()).join(&*name);
                let folder = to.parent().unwrap_or(&self.root).to_owned();
                let moved = make_folder_for(&folder, || rename(from.path(), &to));
                if let Err(error) = moved {
                    self.unkept(&to, &error);
                    return;
                }
            }
        }
    }
}

impl NewBlob {
    /// Returns how many bytes it has so far.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds bytes.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        self.file.write_all(bytes)
    }
}

/// Does what needs `folder`, which is made if it turns out to be missing.
fn make_folder_for<T>(folder: &Path, act: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match act() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(folder)?;
            act()
        }
        done => done,
    }
}
