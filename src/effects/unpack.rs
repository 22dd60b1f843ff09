//! Archives of Go toolchains, unpacked so that nothing in them can reach out of its folder.
//!
//! | refused | because |
//! |---|---|
//! | a name with `..`, an empty part, a backslash, or that begins elsewhere | it would be written elsewhere |
//! | a link, a device, anything but files and folders | what is written through it may be anything |
//! | a name that was there before, or below a file | the second one would be run, the first hashed |
//! | more files or bytes than a toolchain has | small archives can be very large ones |
//!
//! Names of a zip file are read as what they are hashed as. Its files have no modes: those that are
//! programs stand where toolchains keep programs. Nothing unpacked is run before its sum was held
//! against the declared one, which is the caller's to do.

use flate2::read::GzDecoder;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// What an archive may hold.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Files.
    pub files: u64,
    /// Bytes of all of them together.
    pub bytes: u64,
}

/// Why an archive is not taken.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It cannot be read as what it is called.
    #[error("the archive is damaged: {0}")]
    Damaged(String),
    /// It holds what it must not.
    #[error("the archive holds `{0}`, which {1}")]
    Refused(String, &'static str),
    /// It is too large.
    #[error("the archive holds more than {0}")]
    TooLarge(String),
    /// The files cannot be written.
    #[error("cannot write `{0}`")]
    Write(PathBuf, #[source] io::Error),
}

/// Where files go, and how much more may.
struct Sink<'a> {
    folder: &'a Path,
    room: Room,
    left: Room,
}

/// Unpacks a module's zip file, whose names all begin with `prefix`, into `folder`; returns its
/// sum as `go.sum` says it.
///
/// # Errors
///
/// Returns [`UnpackError`] if it is damaged, too large, or holds what could do harm.
///
/// # Source
///
/// The sum: `HashZip` and `Hash1`, `golang.org/x/mod/sumdb/dirhash`.
pub fn unpack_module(
    zip: File,
    prefix: &str,
    folder: &Path,
    room: Room,
) -> Result<String, UnpackError> {
    let damaged = |it: zip::result::ZipError| UnpackError::Damaged(it.to_string());
    let mut archive = zip::ZipArchive::new(BufReader::new(zip)).map_err(damaged)?;
    let mut sink = Sink { folder, room, left: room };
    let mut sums = BTreeMap::new();
    for index in 0..archive.len() {
        let file = archive.by_index(index).map_err(damaged)?;
        let name = file.name().map_err(damaged)?.into_owned();
        let refused = |why| UnpackError::Refused(name.clone(), why);
        let kind = file.unix_mode().unwrap_or_default() & 0o170_000;
        if !matches!(kind, 0 | 0o100_000) || file.is_dir() {
            return Err(refused("is no regular file"));
        }
        let below = name.strip_prefix(prefix).ok_or_else(|| refused("is not of the module"))?;
        let is_program = below.starts_with("bin/") || below.starts_with("pkg/tool/");
        let sum = sink.file(below, is_program, file)?;
        sums.insert(name, sum);
    }
    // The form of a module's zip file allows no `go.mod` below its root, so they are renamed there.
    for name in sums.keys().filter_map(|it| it.strip_prefix(prefix)) {
        if Path::new(name).file_name().is_some_and(|it| it == "_go.mod") {
            let from = folder.join(name);
            let to = from.with_file_name("go.mod");
            if !to.exists() {
                fs::copy(&from, &to).map_err(|it| UnpackError::Write(to, it))?;
            }
        }
    }
    Ok(sum_of(&sums))
}

/// Unpacks an archive as go.dev publishes it, all in a folder `go`, into `folder`.
///
/// # Errors
///
/// Returns [`UnpackError`] if it is damaged, too large, or holds what could do harm.
pub fn unpack_archive(tar_gz: File, folder: &Path, room: Room) -> Result<(), UnpackError> {
    let damaged = |it: io::Error| UnpackError::Damaged(it.to_string());
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(tar_gz)));
    let mut sink = Sink { folder, room, left: room };
    for entry in archive.entries().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let refused = |why| UnpackError::Refused(name.clone(), why);
        let below = name.strip_prefix("go/").ok_or_else(|| refused("is not below `go/`"))?;
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            sink.count(&name, 0)?;
            if !below.is_empty() {
                sink.folder_of(below.trim_end_matches('/'), &name)?;
            }
        } else if kind.is_file() {
            let is_program = entry.header().mode().map_err(damaged)? & 0o111 != 0;
            sink.file(below, is_program, entry)?;
        } else {
            return Err(refused("is no regular file"));
        }
    }
    Ok(())
}

impl Sink<'_> {
    /// Writes one file and returns its SHA-256.
    fn file(
        &mut self,
        name: &str,
        is_program: bool,
        mut from: impl Read,
    ) -> Result<[u8; 32], UnpackError> {
        check_name(name).map_err(|why| UnpackError::Refused(name.to_owned(), why))?;
        self.count(name, 1)?;
        let path = self.folder.join(name);
        let fault = |it: io::Error| UnpackError::Write(path.clone(), it);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|it| taken(name, parent, it))?;
        }
        let mode = if is_program { 0o755 } else { 0o644 };
        let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        let mut file = opened.map_err(|it| taken(name, &path, it))?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 128 << 10];
        loop {
            let count = match from.read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(UnpackError::Damaged(format!("`{name}`: {error}"))),
            };
            if count == 0 {
                return Ok(hasher.finalize().into());
            }
            let bytes = buffer.get(..count).unwrap_or_default();
            let left = self.left.bytes.checked_sub(count as u64);
            self.left.bytes =
                left.ok_or_else(|| UnpackError::TooLarge(format!("{} bytes", self.room.bytes)))?;
            hasher.update(bytes);
            file.write_all(bytes).map_err(fault)?;
        }
    }

    fn folder_of(&self, name: &str, whole: &str) -> Result<(), UnpackError> {
        check_name(name).map_err(|why| UnpackError::Refused(whole.to_owned(), why))?;
        let path = self.folder.join(name);
        fs::create_dir_all(&path).map_err(|it| taken(whole, &path, it))
    }

    /// Counts an entry; one of no bytes counts too, as a name that was read.
    fn count(&mut self, name: &str, files: u64) -> Result<(), UnpackError> {
        if name.len() > 4096 {
            return Err(UnpackError::Refused("a name".to_owned(), "is longer than any path"));
        }
        let left = self.left.files.checked_sub(files.max(1));
        self.left.files =
            left.ok_or_else(|| UnpackError::TooLarge(format!("{} files", self.room.files)))?;
        Ok(())
    }
}

/// Says that a name cannot be made: it is there already, or the system refuses.
fn taken(name: &str, path: &Path, error: io::Error) -> UnpackError {
    let is_taken = [io::ErrorKind::AlreadyExists, io::ErrorKind::NotADirectory];
    if is_taken.contains(&error.kind()) {
        return UnpackError::Refused(name.to_owned(), "stands there twice");
    }
    UnpackError::Write(path.to_owned(), error)
}

/// Tells why a name may not be written below a folder.
fn check_name(name: &str) -> Result<(), &'static str> {
    let is_odd = |it: char| it.is_control() || it == '\\';
    match () {
        () if name.chars().any(is_odd) => Err("holds a backslash or a control character"),
        () if name.split('/').any(|it| matches!(it, "" | "." | "..")) => {
            Err("could lie outside of its folder")
        }
        () => Ok(()),
    }
}

fn sum_of(sums: &BTreeMap<String, [u8; 32]>) -> String {
    use base64::Engine as _;
    let mut hasher = Sha256::new();
    for (name, sum) in sums {
        let mut line = String::with_capacity(64 + 3 + name.len());
        for byte in sum {
            let _ = write!(line, "{byte:02x}");
        }
        let _ = writeln!(line, "  {name}");
        hasher.update(line.as_bytes());
    }
    format!("h1:{}", base64::engine::general_purpose::STANDARD.encode(hasher.finalize()))
}

#[cfg(test)]
#[path = "unpack_tests.rs"]
mod tests;
