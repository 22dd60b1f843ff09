//! What a Go toolchain is made of, as one digest: all that a build can read of it.
//!
//! The sources of Go's own commands, `src/cmd`, are a third of its files, and nothing imports them:
//! only who builds a command reads them, or a `go` that lacks a tool and builds it for itself. So
//! they are no part of a toolchain that has its [tools](TOOLS), and its commands are packages like
//! local ones (`plan::origin`).
//!
//! Nor are the [test files](is_test_file) of the standard library, a quarter of the rest: only who
//! tests a package of it reads them, and has them among its own inputs.

use crate::effects::digests::Digests;
use crate::effects::folders::{Links, each_below, entries, parted};
use crate::words::digest::Digest;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// Where the sources of Go's own commands are, below its root.
pub const COMMANDS: &str = "src/cmd";

/// The tools that `go build`, `go test -c` and `go vet` start. One that is not there is built from
/// `src/cmd` when it is needed (since Go 1.25).
const TOOLS: [&str; 7] = ["asm", "cgo", "compile", "cover", "link", "preprofile", "vet"];

/// The folders of a toolchain that a build reads.
pub const PARTS: [&str; 4] = ["bin", "lib", "pkg", "src"];

/// The files beside them.
pub const FILES: [&str; 2] = ["VERSION", "go.env"];

/// Hashes a toolchain's programs, tools, headers and sources. The program that is started may be a
/// script around the one in the toolchain, so it counts by itself.
///
/// # Errors
///
/// Returns the first part that cannot be read.
pub fn identity_of(
    digests: &Digests,
    program: &Path,
    root: &Path,
) -> Result<Digest, (PathBuf, io::Error)> {
    let left_out = unread_sources(root);
    let parts = PARTS.iter().flat_map(|it| files_below(&root.join(it), left_out.as_deref()));
    let mut files: Vec<_> = parts.collect();
    files.extend(FILES.map(|it| root.join(it)).into_iter().filter(|it| it.exists()));
    // By bytes: to compare thousands of paths part by part takes longer than to look at the files.
    files.sort_unstable_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    let paths: Vec<_> = std::iter::once(program.to_owned()).chain(files).collect();
    let found = digests.digest_all(&paths)?;
    let mut hasher = blake3::Hasher::new_derive_key("linkwright go toolchain 6");
    for (at, (path, digest)) in paths.iter().zip(found).enumerate() {
        // Where the program is found changes nothing.
        let name = if at == 0 { Path::new("go") } else { path };
        let name = name.strip_prefix(root).unwrap_or(name).as_os_str().as_encoded_bytes();
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name);
        hasher.update(digest.as_bytes());
    }
    Ok(Digest::from_hasher(&hasher))
}

/// Returns what is no folder at and below `root`. Debian has the sources, and folders of headers,
/// behind links. Tests of the standard library read `testdata`; what one embeds is an input of its
/// own.
fn files_below(root: &Path, left_out: Option<&Path>) -> Vec<PathBuf> {
    let look = |folder: &Path| {
        let mut all = entries(folder).unwrap_or_default();
        all.retain(|(name, _)| name != "testdata" && !is_test_file(Path::new(name)));
        let (mut below, files) = parted(folder, &all, Links::Followed);
        below.retain(|it| Some(it.as_path()) != left_out);
        (files, below)
    };
    each_below(root, &look).into_iter().flatten().map(|it| it.0).collect()
}

/// Tells whether a file of a toolchain is read by nobody but who tests its package.
#[must_use]
pub fn is_test_file(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"_test.go")
}

/// Returns the folder of sources that no build but one of Go's own commands reads.
#[must_use]
pub fn unread_sources(root: &Path) -> Option<PathBuf> {
    let platforms = entries(&root.join("pkg/tool")).unwrap_or_default();
    let is_whole = |name: &OsString| {
        let folder = root.join("pkg/tool").join(name);
        TOOLS.iter().all(|it| folder.join(it).is_file())
    };
    let all_whole = !platforms.is_empty() && platforms.iter().all(|(name, _)| is_whole(name));
    all_whole.then(|| root.join(COMMANDS))
}

/// Tells whether `program` is the `go` of the toolchain at `root`, and no script that chooses one
/// of several and may choose another the next time.
#[must_use]
pub fn leads_to(program: &Path, root: &Path) -> bool {
    let own = root.join("bin/go").canonicalize();
    own.is_ok_and(|own| program.canonicalize().is_ok_and(|it| it == own))
}
