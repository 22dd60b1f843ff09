//! What a run saw of the machine, so that the next one can tell in one look that it would see the
//! same.
//!
//! What a sight is, and how long it holds, `effects::sight` says.
//!
//! **Invariant:** a scene is clear only if everything in it but the outputs is older than the run
//! that drew it. So whenever in the run something was looked at, it was as it is drawn, and no two
//! looks differ. What is too young makes the scene unclear, and the next run looks for itself.

use crate::effects::digests::Digests;
use crate::effects::folders::{FILE, LINK, Links, Other, each_below, entries, parted};
use crate::effects::sight::{Sight, Sights, digest_of_names, leads_to};
use crate::effects::stamp::Stamp;
use crate::formats::test_log::Manner;
use crate::words::defect::{Defect, planted};
use crate::words::digest::Digest;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::ops::Bound::{Excluded, Unbounded};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

/// How many links to neighbours are followed.
const MOST_LINKS: usize = 4;

/// Sights by path; nothing is looked at twice.
#[derive(Debug)]
pub struct Scene {
    began: SystemTime,
    sights: Sights,
    /// What an earlier run saw.
    before: Sights,
    /// What the folders of trees hold.
    listed: HashMap<PathBuf, Vec<(OsString, u8)>>,
    unclear: Option<PathBuf>,
}

impl Scene {
    /// Begins the scene of a run that began at `began`, with every file that it read, but for those
    /// that are kept elsewhere.
    #[must_use]
    pub fn new(
        began: SystemTime,
        digests: &Digests,
        is_elsewhere: impl Fn(&Path) -> bool + Sync,
    ) -> Self {
        let seen = digests.seen().into_par_iter().filter(|(path, _)| !is_elsewhere(path));
        let sight = |(path, (stamp, digest)): (PathBuf, (Stamp, Digest))| {
            (path.into_os_string(), Sight::File(stamp, *digest.as_bytes()))
        };
        let mut sights: Vec<_> = seen.map(sight).collect();
        sights.par_sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Self { sights: sights.into_iter().collect(), ..Self::empty(began) }
    }

    /// Begins the scene of a run that began at `began`, with nothing in it.
    #[must_use]
    pub fn empty(began: SystemTime) -> Self {
        let (sights, before, listed) = (Sights::new(), Sights::new(), HashMap::new());
        Self { began, sights, before, listed, unclear: None }
    }

    /// Lets it take from what an earlier run saw the names in folders whose stamps are the same.
    #[must_use]
    pub fn after(self, before: Sights) -> Self {
        Self { before, ..self }
    }

    /// Adds what a test looked at, be it there or not.
    pub fn looked(&mut self, path: &Path, manner: Manner) {
        let Ok(own) = fs::symlink_metadata(path) else { return self.nothing(path) };
        if own.is_dir() && manner == Manner::Stat {
            // What was opened, too, says more.
            let mode = Sight::Mode(own.permissions().mode());
            self.sights.entry(path.as_os_str().to_owned()).or_insert(mode);
            return;
        }
        match fs::metadata(path) {
            Ok(it) => {
                let link = own.is_symlink().then(|| Stamp::of(&own));
                self.add(path, Sight::Looked(Stamp::of(&it), link));
            }
            Err(_) => self.unclear(path),
        }
    }

    /// Adds a file, by its content.
    pub fn file(&mut self, path: &Path, digests: &Digests) {
        if self.sights.contains_key(path.as_os_str()) {
            return;
        }
        match fs::metadata(path).and_then(|it| Ok((Stamp::of(&it), digests.digest(path)?))) {
            Ok((stamp, digest)) => self.add(path, Sight::File(stamp, *digest.as_bytes())),
            Err(_) => self.unclear(path),
        }
    }

    /// Adds a file, or that there is none.
    pub fn perhaps(&mut self, path: &Path, digests: &Digests) {
        if path.is_file() { self.file(path, digests) } else { self.nothing(path) }
    }

    /// Adds a folder, by the names in it.
    pub fn folder(&mut self, path: &Path) {
        if !self.sights.contains_key(path.as_os_str()) {
            let drawn = self.as_before(path).unwrap_or_else(|| Drawn::of(path, None));
            self.drawn(drawn);
        }
    }

    /// Draws a folder from what an earlier run saw, if it and what its links lead to is the same.
    fn as_before(&self, path: &Path) -> Option<Drawn> {
        let sight = *self.before.get(path.as_os_str())?;
        let Sight::Folder(then, _) = sight else { return None };
        if Stamp::of(&fs::metadata(path).ok()?) != then {
            return None;
        }
        let first = path.join("").into_os_string();
        let below = self.before.range::<OsStr, _>((Excluded(&*first), Unbounded));
        let below = below.take_while(|it| it.0.as_bytes().starts_with(first.as_bytes()));
        let is_in_it = |it: &OsStr| !it.as_bytes()[first.len()..].contains(&b'/');
        let mut links = Vec::new();
        for (place, sight) in below.filter(|it| is_in_it(it.0)) {
            let place = Path::new(place);
            match sight {
                Sight::Link(kind) if leads_to(place) == *kind => {
                    links.push((place.to_owned(), *kind));
                }
                // It leads to something else now.
                Sight::Link(_) => return None,
                // It may be a link of which the earlier run saw more than that it is one.
                _ if self.sights.contains_key(place.as_os_str()) || !place.is_symlink() => {}
                _ => return None,
            }
        }
        Some(Drawn { path: path.to_owned(), sight: Some(sight), entries: Vec::new(), links })
    }

    /// Adds a folder by the names in it, whatever the links among them lead to.
    pub fn names(&mut self, path: &Path) {
        if !self.sights.contains_key(path.as_os_str()) {
            self.drawn(Drawn { links: Vec::new(), ..Drawn::of(path, None) });
        }
    }

    /// Adds every folder at and below `root` that `enter` lets in, and of the files there those
    /// that `reads` names. The root may be a link; of those below, `links` says what they are.
    /// Returns the folders. Of two trees that share some, these are listed once.
    pub fn tree(
        &mut self,
        (root, links): (&Path, Links),
        digests: &Digests,
        enter: impl Fn(&Path) -> bool + Sync,
        reads: impl Fn(&Path) -> bool + Sync,
    ) -> Vec<PathBuf> {
        // Below it no link is followed, or each folder is asked where it is.
        let place = if links == Links::Left { root.canonicalize().ok() } else { None };
        let place = |folder: &Path| match folder.strip_prefix(root).ok()? {
            below if below == Path::new("") => place.clone(),
            below => Some(place.as_ref()?.join(below)),
        };
        let listed = &self.listed;
        let look = |folder: &Path| {
            let known = listed.get(folder);
            let drawn = known.is_none().then(|| Drawn::of(folder, place(folder)));
            let entries = known.or(drawn.as_ref().map(|it| &it.entries));
            let entries = entries.map(Vec::as_slice).unwrap_or_default();
            let (mut below, mut files) = parted(folder, entries, links);
            below.retain(|it| enter(it));
            let is_file = |(path, kind): &Other| *kind == FILE || *kind == LINK && path.is_file();
            files.retain(|it| reads(&it.0) && is_file(it));
            ((folder.to_owned(), drawn, files), below)
        };
        let looked = each_below(root, &look);
        let mut folders = Vec::with_capacity(looked.len());
        for (folder, drawn, files) in looked {
            if let Some(mut drawn) = drawn {
                self.listed.insert(folder.clone(), std::mem::take(&mut drawn.entries));
                self.drawn(drawn);
            }
            for (path, _) in files {
                self.file(&path, digests);
            }
            folders.push(folder);
        }
        folders
    }

    /// Adds a folder, unless it was added before.
    fn drawn(&mut self, Drawn { path, entries: _, sight, links }: Drawn) {
        match sight {
            Some(sight) => {
                for (link, kind) in links {
                    self.sights.entry(link.into_os_string()).or_insert(Sight::Link(kind));
                }
                // What it holds says more than that a link leads to it.
                if matches!(self.sights.get(path.as_os_str()), None | Some(Sight::Link(_))) {
                    self.add(&path, sight);
                }
            }
            None => self.unclear(&path),
        }
    }

    /// Adds that nothing is at `path`.
    pub fn nothing(&mut self, path: &Path) {
        if is_nothing(path) {
            self.add(path, Sight::Nothing);
        } else {
            self.unclear(path);
        }
    }

    /// Adds a search for a program in the folders of PATH: where it is not, and where it is.
    pub fn search(&mut self, folders: &[PathBuf], name: &str) {
        for path in folders.iter().map(|it| it.join(name)) {
            match fs::metadata(&path) {
                Ok(it) => {
                    self.programs(&path, Stamp::of(&it));
                    if it.is_file() && it.permissions().mode() & 0o111 != 0 {
                        return;
                    }
                }
                Err(_) => self.nothing(&path),
            }
        }
    }

    fn programs(&mut self, path: &Path, stamp: Stamp) {
        // One that was read, too, is held to its content; that it is the same file is enough here.
        if !self.sights.contains_key(path.as_os_str()) {
            self.add(path, Sight::Program(stamp));
        }
    }

    /// Adds files that this run made or found in place, each of which must hold its digest.
    pub fn outputs(&mut self, outputs: Vec<(PathBuf, Digest)>, digests: &Digests) {
        let look =
            |(path, digest): (PathBuf, Digest)| (look_at_output(&path, digests, &digest), path);
        for (sight, path) in outputs.into_par_iter().map(look).collect::<Vec<_>>() {
            match sight {
                Some(sight) => self.add(&path, sight),
                None => self.unclear(&path),
            }
        }
    }

    /// Adds a file that this run made or found in place, whatever it holds.
    pub fn output_as_found(&mut self, path: &Path, digests: &Digests) {
        match digests.digest(path) {
            Ok(digest) => self.outputs(vec![(path.to_owned(), digest)], digests),
            Err(_) => self.unclear(path),
        }
    }

    /// Makes the scene unclear: something at `path` cannot be told by looking.
    pub fn unclear(&mut self, path: &Path) {
        self.unclear.get_or_insert_with(|| path.to_owned());
    }

    /// Returns the sights, if they are all that the run saw.
    ///
    /// # Errors
    ///
    /// Returns the path of one that is too young, or could not be looked at.
    pub fn clear(self) -> Result<Sights, PathBuf> {
        if let Some(path) = self.unclear {
            return Err(path);
        }
        match self.sights.iter().find(|(_, it)| !it.is_settled(self.began)) {
            Some((path, _)) if !planted(Defect::SceneOfYoungFiles) => Err(path.into()),
            _ => Ok(self.sights),
        }
    }

    fn add(&mut self, path: &Path, sight: Sight) {
        self.sights.insert(path.as_os_str().to_owned(), sight);
    }
}

/// Looks at an output; `None` if it does not hold `digest`.
fn look_at_output(path: &Path, digests: &Digests, digest: &Digest) -> Option<Sight> {
    let metadata = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file)?;
    let is_well = digests.digest(path).is_ok_and(|it| it == *digest);
    let sight = Sight::Output(Stamp::of(&metadata), *digest.as_bytes(), is_program(&metadata));
    is_well.then_some(sight)
}

/// A folder as it was seen.
struct Drawn {
    path: PathBuf,
    /// `None` if it cannot be looked at.
    sight: Option<Sight>,
    /// The names in it, with the kind of each.
    entries: Vec<(OsString, u8)>,
    /// The links out of it, with the kind of what each leads to.
    links: Vec<(PathBuf, u8)>,
}

impl Drawn {
    /// Looks at a folder; `place` is where it really is, if that is known.
    fn of(path: &Path, place: Option<PathBuf>) -> Self {
        Self::look(path, place).unwrap_or_else(|_| Self {
            path: path.to_owned(),
            sight: None,
            entries: Vec::new(),
            links: Vec::new(),
        })
    }

    /// Looks at the stamp first: a name that appears meanwhile makes it another.
    fn look(path: &Path, place: Option<PathBuf>) -> io::Result<Self> {
        let stamp = Stamp::of(&fs::metadata(path)?);
        let entries = entries(path)?;
        let links = entries.iter().filter(|(name, _)| leads_out(path, name, &entries));
        let links = links.map(|(name, _)| path.join(name));
        let links = links.map(|it| (leads_to(&it), it)).map(|(kind, it)| (it, kind)).collect();
        let sight = Some(Sight::Folder(stamp, digest_of_names((path, place), &entries)?));
        Ok(Self { path: path.to_owned(), sight, entries, links })
    }
}

/// Tells whether `name`, one of the `entries` of `folder`, is a link to something that is not
/// beside it: libraries are often behind one or two links to their neighbours.
fn leads_out(folder: &Path, name: &OsStr, entries: &[(OsString, u8)]) -> bool {
    let mut name = name.to_owned();
    for _ in 0..=MOST_LINKS {
        match entries.binary_search_by(|(it, _)| it.cmp(&name)) {
            Ok(at) if entries.get(at).is_some_and(|it| it.1 == LINK) => {}
            _ => return false,
        }
        let Ok(next) = fs::read_link(folder.join(&name)) else { return true };
        let mut parts = next.components();
        match (parts.next(), parts.next()) {
            (Some(Component::Normal(it)), None) if it == next.as_os_str() => {
                it.clone_into(&mut name);
            }
            _ => return true,
        }
    }
    true
}

/// Tells whether no file, folder or link has this path.
fn is_nothing(path: &Path) -> bool {
    let absent = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
    fs::symlink_metadata(path).is_err_and(|it| absent.contains(&it.kind()))
}

fn is_program(metadata: &fs::Metadata) -> bool {
    metadata.permissions().mode() & 0o111 != 0
}

#[cfg(test)]
#[path = "scene_tests.rs"]
mod tests;
