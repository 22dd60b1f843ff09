//! The files that `//go:embed` patterns mean.
//!
//! `None` where Go would find an error, or a name or pattern is not plain: letters beyond ASCII,
//! classes of letters, links on the way.
//!
//! # Source
//!
//! `resolveEmbed` in `cmd/go/internal/load/pkg.go`; `CheckFilePath` in `x/mod/module`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Returns the files below `folder` that patterns mean, sorted.
#[must_use]
pub fn embedded(folder: &Path, patterns: &BTreeSet<String>) -> Option<Vec<String>> {
    let mut files = BTreeSet::new();
    for pattern in patterns {
        let (all, glob) = match pattern.strip_prefix("all:") {
            Some(glob) => (true, glob),
            None => (false, pattern.as_str()),
        };
        let mut found = vec![String::new()];
        for part in glob.split('/') {
            let mut next = Vec::new();
            for above in &found {
                next.extend(matched(folder, above, part)?);
            }
            found = next;
        }
        // A pattern that means nothing is an error.
        found.first()?;
        for path in found {
            take(folder, &path, all, &mut files)?;
        }
    }
    let folded: BTreeSet<_> = files.iter().map(|it| it.to_ascii_lowercase()).collect();
    let is_safe =
        |it: &String| it.starts_with(|it: char| it.is_ascii_alphanumeric() || "._".contains(it));
    (folded.len() == files.len() && files.iter().all(is_safe)).then(|| files.into_iter().collect())
}

/// Returns what one part of a pattern means in the folder `above`.
fn matched(folder: &Path, above: &str, part: &str) -> Option<Vec<String>> {
    if matches!(part, "" | "." | "..") || part.contains(['[', ']', '\\']) || !part.is_ascii() {
        return None;
    }
    let below =
        |name: &str| if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") };
    if !part.contains(['*', '?']) {
        let path = below(part);
        return Some(folder.join(&path).symlink_metadata().map(|_| vec![path]).unwrap_or_default());
    }
    let at = folder.join(above);
    let metadata = at.symlink_metadata().ok()?;
    if metadata.is_symlink() {
        return None;
    }
    if !metadata.is_dir() {
        return Some(Vec::new());
    }
    let names = names(&at)?;
    Some(
        names
            .iter()
            .filter(|it| fits(part.as_bytes(), it.as_bytes()))
            .map(|it| below(it))
            .collect(),
    )
}

/// Adds what one match means: a file, or the files of a folder.
fn take(folder: &Path, path: &str, all: bool, files: &mut BTreeSet<String>) -> Option<()> {
    for (end, _) in path.match_indices('/').chain([(path.len(), "")]) {
        let above = folder.join(path.get(..end)?);
        let is_whole = end == path.len();
        let is_well = is_plain(above.file_name()?.to_str()?)
            && !above.join("go.mod").exists()
            && (is_whole || above.symlink_metadata().ok()?.is_dir());
        is_well.then_some(())?;
    }
    let kind = folder.join(path).symlink_metadata().ok()?.file_type();
    if kind.is_file() {
        files.insert(path.to_owned());
        return Some(());
    }
    kind.is_dir().then_some(())?;
    let (mut open, mut count) = (vec![path.to_owned()], 0);
    while let Some(above) = open.pop() {
        if above != path && folder.join(&above).join("go.mod").exists() {
            continue;
        }
        for name in names(&folder.join(&above))? {
            let is_folder_of_vcs = matches!(name.as_str(), ".git" | ".hg" | ".svn" | ".bzr");
            if name.starts_with(['.', '_']) && !all || is_folder_of_vcs {
                continue;
            }
            is_plain(&name).then_some(())?;
            let below = format!("{above}/{name}");
            let kind = folder.join(&below).symlink_metadata().ok()?.file_type();
            if kind.is_dir() {
                open.push(below);
            } else if kind.is_file() {
                count += 1;
                files.insert(below);
            }
        }
    }
    (count > 0).then_some(())
}

fn names(folder: &Path) -> Option<Vec<String>> {
    let entries = fs::read_dir(folder).ok()?;
    entries.map(|it| it.ok()?.file_name().into_string().ok()).collect()
}

/// Tells whether a name is one that may be in a module, on all systems.
fn is_plain(name: &str) -> bool {
    let is_fit = |it: char| it.is_ascii_alphanumeric() || "+,-._=@ ".contains(it);
    let stem = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let is_device = matches!(stem.as_str(), "con" | "aux" | "nul" | "prn")
        || stem.len() == 4 && (stem.starts_with("com") || stem.starts_with("lpt"));
    let is_odd = name.ends_with(['.', ' ']) || name.starts_with(' ') || is_device;
    name.chars().all(is_fit) && !is_odd && !matches!(name, "" | ".git" | ".hg" | ".svn" | ".bzr")
}

/// Tells whether a name fits a pattern of `*` and `?`.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut star) = ((0, 0), None);
    while at.1 < name.len() {
        match pattern.get(at.0) {
            Some(b'*') => {
                star = Some(at);
                at.0 += 1;
            }
            Some(it) if *it == b'?' || *it == name[at.1] => at = (at.0 + 1, at.1 + 1),
            _ => {
                // The last star takes one letter more.
                let Some((of_pattern, of_name)) = star else { return false };
                star = Some((of_pattern, of_name + 1));
                at = (of_pattern + 1, of_name + 1);
            }
        }
    }
    pattern.get(at.0..).is_some_and(|it| it.iter().all(|it| *it == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_letters() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*", ".x", true),
            ("*.txt", "a.txt", true),
            ("*.txt", "a.txt.b", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("**", "ab", true),
            ("a", "ab", false),
        ] {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }
}
