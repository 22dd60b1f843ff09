//! Reads the folder of a Go package as Go reads it.
//!
//! `None` where anything is not plain: a file that cannot be read, a name that is no text, a text
//! that is not understood. Then `go list` is asked, and finds its own words for it.

use crate::effects::go_embeds::embedded;
use crate::formats::go_constraint::Constraint;
use crate::formats::go_list::{GoFiles, GoModule, GoPackage};
use crate::formats::go_source::{GoSource, constraint_of_other};
use crate::plan::go_choice::{GoChoice, Named};
use crate::plan::go_compose::KnownPackage;
use crate::plan::go_folder::{GoFolder, GoFolderReader};
use crate::words::digest::Digest;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// How much of a file is read to find its head: of few it is longer.
const START: usize = 16 << 10;

/// A folder as it was read.
#[derive(Debug)]
pub struct ReadFolder {
    /// What it holds.
    pub found: GoFolder,
    /// The digests of its test files.
    pub tests: Vec<Digest>,
    /// Whether more than one of these may have a `TestMain`.
    pub has_mains: bool,
}

/// Reads a folder: `Some(None)` if it holds no Go package.
#[must_use]
pub fn read(choice: &GoChoice, folder: &Path) -> Option<Option<ReadFolder>> {
    let mut reader = GoFolderReader::new(choice, folder.to_str()?);
    let mut entries: Vec<_> = fs::read_dir(folder).ok()?.collect::<Result<_, _>>().ok()?;
    entries.sort_by_cached_key(fs::DirEntry::file_name);
    let mut files = Vec::new();
    for entry in entries {
        let mut kind = entry.file_type().ok()?;
        let leads = |it: &Path| fs::metadata(it).is_ok_and(|it| it.is_dir());
        if kind.is_dir() || kind.is_symlink() && leads(&entry.path()) {
            continue;
        }
        let name = entry.file_name().into_string().ok()?;
        let named = reader.named(&name)?;
        if named == Named::Out {
            continue;
        }
        if kind.is_symlink() {
            kind = fs::metadata(entry.path()).ok()?.file_type();
        }
        kind.is_file().then_some(())?;
        files.push((name, named));
    }
    let read = |(name, named): &(String, Named)| ReadFile::of(&folder.join(name), *named);
    let read: Option<Vec<_>> = files.par_iter().map(read).collect();
    let mut texts = Vec::new();
    for ((name, _), read) in files.into_iter().zip(read?) {
        match read {
            ReadFile::Other(constraint) => reader.other(&name, &constraint)?,
            ReadFile::Go(source, None) => reader.go(&name, &source)?,
            ReadFile::Go(source, Some((digest, is_main))) => {
                reader.go(&name, &source)?;
                texts.push((name, digest, is_main));
            }
        }
    }
    let Some(found) = reader.finish()? else { return Some(None) };
    // Those that a constraint leaves out are not parsed.
    let GoFiles { test_go_files, x_test_go_files, .. } = &found.files;
    texts.retain(|(name, ..)| test_go_files.contains(name) || x_test_go_files.contains(name));
    let has_mains = texts.iter().filter(|it| it.2).count() > 1;
    let tests = texts.into_iter().map(|it| it.1).collect();
    Some(Some(ReadFolder { found, tests, has_mains }))
}

/// What a file of a folder says.
enum ReadFile {
    Other(Constraint),
    /// Of a test file also its digest, and whether it may have a `TestMain`.
    Go(Box<GoSource>, Option<(Digest, bool)>),
}

impl ReadFile {
    fn of(path: &Path, named: Named) -> Option<Self> {
        match named {
            Named::Out | Named::Object => Some(Self::Other(Constraint::All(Vec::new()))),
            Named::Other => Some(Self::Other(constraint_of_other(&fs::read(path).ok()?)?)),
            Named::Go => {
                let file = File::open(path).ok()?;
                let mut text = Vec::with_capacity(START);
                (&file).take(START as u64).read_to_end(&mut text).ok()?;
                let is_test = path.to_str()?.ends_with("_test.go");
                let start = Some(&text).filter(|it| !is_test && it.len() == START);
                if let Some(source) = start.and_then(|it| GoSource::read_start(it)) {
                    return Some(Self::Go(Box::new(source), None));
                }
                (&file).read_to_end(&mut text).ok()?;
                let has_main = || memchr::memmem::find(&text, b"TestMain").is_some();
                let of_test = is_test.then(|| (Digest::of(&text), has_main()));
                Some(Self::Go(Box::new(GoSource::read(&text)?), of_test))
            }
        }
    }
}

/// Says what an import path means; `None` if that is not known.
pub type Resolve<'r> = dyn Fn(&str) -> Option<String> + 'r;

/// Makes a package of a folder, with what its tests are made of if they are listed.
#[must_use]
pub fn package(
    read: ReadFolder,
    folder: &Path,
    (path, module): (&str, Option<GoModule>),
    (tests, resolve): (bool, &Resolve<'_>),
) -> Option<KnownPackage> {
    let GoFolder { name, mut files, imports, embeds, cgo } = read.found;
    let resolved = |of: usize| imports[of].iter().map(|it| resolve(it)).collect::<Option<Vec<_>>>();
    files.embed_files = embedded(folder, &embeds[0])?;
    let others: Vec<_> =
        files.compiled().chain(files.tested()).map(|it| it.to_ascii_lowercase()).collect();
    let is_twice = |it: &&String| {
        others.contains(&it.to_ascii_lowercase())
            && !files.compiled().chain(files.tested()).any(|other| other == *it)
    };
    if files.embed_files.iter().any(|it| is_twice(&it)) {
        return None;
    }
    let test_embeds = if tests {
        [embedded(folder, &embeds[1])?, embedded(folder, &embeds[2])?]
    } else {
        Default::default()
    };
    let (test_imports, x_test_imports) =
        if tests { (resolved(1)?, resolved(2)?) } else { Default::default() };
    let [cgo_cflags, cgo_cppflags, cgo_cxxflags, cgo_fflags, cgo_ldflags, cgo_pkg_config] = cgo;
    let package = GoPackage {
        import_path: path.to_owned(),
        dir: folder.to_str()?.to_owned(),
        standard: module.is_none(),
        imports: resolved(0)?,
        module,
        name,
        files,
        cgo_cflags,
        cgo_cppflags,
        cgo_cxxflags,
        cgo_fflags,
        cgo_ldflags,
        cgo_pkg_config,
        ..GoPackage::default()
    };
    Some(KnownPackage { package, test_imports, x_test_imports, test_embeds, is_opaque: false })
}
