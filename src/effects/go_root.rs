//! What a Go toolchain is made of, as one digest: all that a build can read of it.

use crate::effects::digests::Digests;
use crate::effects::folders::{Links, each_below, entries, parted};
use crate::words::digest::Digest;
use std::io;
use std::path::{Path, PathBuf};

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
    let mut files: Vec<_> =
        ["bin", "lib", "pkg", "src"].iter().flat_map(|it| files_below(&root.join(it))).collect();
    files
        .extend(["VERSION", "go.env"].map(|it| root.join(it)).into_iter().filter(|it| it.exists()));
    files.sort();
    let paths: Vec<_> = std::iter::once(program.to_owned()).chain(files).collect();
    let found = digests.digest_all(&paths)?;
    let mut hasher = blake3::Hasher::new_derive_key("linkwright go toolchain 3");
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
fn files_below(root: &Path) -> Vec<PathBuf> {
    let look = |folder: &Path| {
        let mut all = entries(folder).unwrap_or_default();
        all.retain(|(name, _)| name != "testdata");
        let (below, files) = parted(folder, &all, Links::Followed);
        (files, below)
    };
    each_below(root, &look).into_iter().flatten().collect()
}

/// Tells whether `program` is the `go` of the toolchain at `root`, and no script that chooses one
/// of several and may choose another the next time.
#[must_use]
pub fn leads_to(program: &Path, root: &Path) -> bool {
    let own = root.join("bin/go").canonicalize();
    own.is_ok_and(|own| program.canonicalize().is_ok_and(|it| it == own))
}
