//! Which files C code names in `#include`, found by reading it.
//!
//! The compiler is not asked; lines are. So a file behind a condition counts too, and one whose
//! name a macro makes does not. A name in quotes is looked for beside the file that holds it, then,
//! as one in angle brackets is, in the `-I` folders; what is in none of them is the system's.

use crate::effects::machine::Machine;
use crate::words::digest::Digest;
use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

/// More than any program includes; a bound on a walk over files that name one another.
const LIMIT: usize = 100_000;

/// Digests every file that `sources` include, directly or not, by path.
///
/// # Errors
///
/// Returns the first file that cannot be read.
pub fn included(
    machine: &Machine,
    sources: Vec<PathBuf>,
    folders: &[PathBuf],
) -> Result<BTreeMap<PathBuf, Digest>, (PathBuf, io::Error)> {
    let mut found = BTreeMap::new();
    let mut open = sources;
    while let Some(source) = open.pop() {
        let text = std::fs::read(&source).map_err(|error| (source.clone(), error))?;
        for (name, beside) in names(&String::from_utf8_lossy(&text)) {
            let own = source.parent().filter(|_| beside);
            let places = own.into_iter().chain(folders.iter().map(PathBuf::as_path));
            let path = places.map(|it| plain(&it.join(name))).find(|it| it.is_file());
            let Some(path) = path.filter(|it| !found.contains_key(it)) else { continue };
            let digest = machine.digests.digest(&path).map_err(|error| (path.clone(), error))?;
            found.insert(path.clone(), digest);
            if found.len() < LIMIT {
                open.push(path);
            }
        }
    }
    Ok(found)
}

/// Finds the names in include lines, and whether each is looked for beside its file first. In a
/// Go file the lines stand in comments.
fn names(text: &str) -> impl Iterator<Item = (&str, bool)> {
    text.lines().filter_map(|line| {
        let line = line.trim_start().trim_start_matches("//").trim_start();
        let line = line.strip_prefix('#')?.trim_start().strip_prefix("include")?.trim_start();
        let (end, beside) = match line.chars().next()? {
            '"' => ('"', true),
            '<' => ('>', false),
            _ => return None,
        };
        let name = line.get(1..)?.split(end).next()?;
        (!name.is_empty()).then_some((name, beside))
    })
}

/// Takes `.` and `..` out of a path, as text, so that one file has one name.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn include_lines_are_found_in_c_and_in_go_comments() {
        let text = "#include <stdio.h>\n  #  include \"a/b.h\" // why\n// #include \"c.h\"\n\
                    #include MACRO\n#define include \"no\"\n/* x\n#include \"d.data\"\n*/\n";
        let found: Vec<_> = names(text).collect();
        assert_eq!(found, [("stdio.h", false), ("a/b.h", true), ("c.h", true), ("d.data", true)]);
    }

    #[test]
    fn a_path_has_one_name() {
        assert_eq!(plain(Path::new("/m/pkg/../include/./x.h")), Path::new("/m/include/x.h"));
    }
}
