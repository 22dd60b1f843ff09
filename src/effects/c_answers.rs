//! What C compilers and linkers say of themselves (their target, version, folders, programs), kept
//! in the store: asking takes some twenty processes, one after the other.
//!
//! All that one program said is a sheet. It holds as long as what the program named is the same:
//! each file by its content, each folder by the names in it, each path at which there was nothing,
//! and the folders that these lie in, since what appears there may be found first.
//!
//! | not kept | because |
//! |---|---|
//! | what a script said | it may run another program the next time |
//! | a sheet that names something younger than the run | it may have changed since it was told |
//!
//! A paranoid run asks.

use crate::effects::digests::Digests;
use crate::effects::process::Ended;
use crate::effects::scene::Scene;
use crate::effects::sight::{Folder, Sight};
use crate::effects::store::Store;
use crate::words::digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

/// What a program said to one question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// It ended well.
    pub success: bool,
    /// What it printed.
    pub stdout: String,
    /// What it printed besides.
    pub stderr: String,
}

/// The answers of this run, by what was asked.
#[derive(Debug, Default)]
pub struct Answers(Mutex<BTreeMap<Digest, Sheet>>);

/// All that one program said.
#[derive(Debug)]
struct Sheet {
    program: PathBuf,
    answers: BTreeMap<Vec<String>, Answer>,
    /// It has answers that are not in the store.
    is_new: bool,
}

/// A sheet in the store.
#[derive(Serialize, Deserialize)]
struct Kept {
    answers: Vec<(Vec<String>, Answer)>,
    sights: Vec<(PathBuf, Sight)>,
}

impl Answers {
    /// Returns what the program at `program` said to `question`; its sheet is kept under `key`.
    #[must_use]
    pub fn known(
        &self,
        (key, program): (&Digest, &Path),
        question: &[String],
        (store, digests): (&Store, &Digests),
    ) -> Option<Answer> {
        let mut sheets = self.0.lock().ok()?;
        let asks = || digests.is_paranoid() || is_script(program);
        let open = || Sheet::of(program, if asks() { None } else { store.action(key) });
        sheets.entry(*key).or_insert_with(open).answers.get(question).cloned()
    }

    /// Adds what a program said to the sheet that was looked at under `key`.
    pub fn learn(&self, key: &Digest, question: Vec<String>, answer: Answer) {
        let Ok(mut sheets) = self.0.lock() else { return };
        if let Some(sheet) = sheets.get_mut(key) {
            sheet.is_new = true;
            sheet.answers.insert(question, answer);
        }
    }

    /// Keeps what was asked in this run, which began at `began`.
    pub fn save(&self, (store, digests): (&Store, &Digests), began: SystemTime) {
        let Ok(mut sheets) = self.0.lock() else { return };
        for (key, sheet) in sheets.iter_mut().filter(|it| it.1.is_new) {
            sheet.is_new = false;
            if let Some(kept) = sheet.kept(digests, began) {
                store.put_action(key, &kept);
            }
        }
    }
}

impl From<Ended> for Answer {
    fn from(ended: Ended) -> Self {
        Self {
            success: ended.status.success(),
            stdout: ended.stdout_text(),
            stderr: ended.stderr_text(),
        }
    }
}

impl Sheet {
    /// Takes the sheet that is kept, if it holds, or an empty one.
    fn of(program: &Path, kept: Option<Kept>) -> Self {
        let program = program.to_owned();
        let held = kept.and_then(|it| Some((it.holding()?, it.answers)));
        let Some((holding, answers)) = held else {
            return Self { program, answers: BTreeMap::new(), is_new: false };
        };
        // With the stamps of today nothing is read again the next time.
        let is_new = holding == Holding::ByContent;
        Self { program, answers: answers.into_iter().collect(), is_new }
    }

    /// Returns what is to be kept, if it can be.
    fn kept(&self, digests: &Digests, began: SystemTime) -> Option<Kept> {
        if is_script(&self.program) {
            return None;
        }
        let mut scene = Scene::empty(began);
        let texts = self.answers.values().flat_map(|it| [&it.stdout, &it.stderr]);
        let named = texts.flat_map(|it| paths(it)).chain([self.program.as_path()]);
        for path in named.collect::<BTreeSet<_>>() {
            if path.is_file() {
                scene.file(path, digests);
            } else if path.is_dir() {
                scene.names(path);
            } else {
                scene.nothing(path);
            }
            if let Some(holder) = path.parent().filter(|it| it.is_dir()) {
                scene.names(holder);
            }
        }
        let sights = scene.clear().ok()?.into_iter().map(|(path, it)| (path.into(), it)).collect();
        let answers = self.answers.iter().map(|(asked, it)| (asked.clone(), it.clone())).collect();
        Some(Kept { answers, sights })
    }
}

/// How it shows that what a sheet names is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holding {
    /// By stamps alone.
    ByStamps,
    /// Something has another stamp, and was read.
    ByContent,
}

impl Kept {
    /// Tells how all that was named is as it was; `None` if it is not.
    fn holding(&self) -> Option<Holding> {
        let root = Folder::open(Path::new("/"));
        let mut holding = Holding::ByStamps;
        for (path, sight) in &self.sights {
            // Only an output is held against a moment, and there is none.
            let now = sight.again(root.spot(path.as_os_str()), SystemTime::UNIX_EPOCH)?;
            if now != *sight {
                holding = Holding::ByContent;
            }
        }
        Some(holding)
    }
}

fn is_script(program: &Path) -> bool {
    let mut start = [0; 2];
    let read = std::fs::File::open(program).and_then(|mut it| it.read_exact(&mut start));
    read.is_err() || start == *b"#!"
}

/// Finds the absolute paths that a text names, but for devices and what the kernel tells.
fn paths(text: &str) -> impl Iterator<Item = &Path> {
    let between = |it: char| it.is_whitespace() || "\"'`:=;,()".contains(it);
    let words = text.split(between).filter(|it| it.starts_with('/'));
    let system = ["/dev", "/proc", "/sys"].map(Path::new);
    words.map(Path::new).filter(move |it| !system.iter().any(|at| it.starts_with(at)))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test lays out the files it needs")]
mod tests {
    use super::*;
    use crate::effects::testing::later;
    use std::fs;

    /// Looks for what `program` said, and says it; returns whether it was kept.
    fn is_kept(home: &Path, program: &Path, said: &Path, began: SystemTime) -> bool {
        let store = Store::new(&home.join("store"));
        let digests = Digests::open(&home.join("stamps"), false);
        let (key, answers) = (Digest::of(b"cc"), Answers::default());
        let (of, question) = ((&key, program), [said.to_string_lossy().into_owned()]);
        let known = answers.known(of, &question, (&store, &digests));
        let is_known = known.is_some();
        let stdout = said.to_string_lossy().into_owned();
        let answer = Answer { success: true, stdout, stderr: String::new() };
        assert_eq!(known.unwrap_or_else(|| answer.clone()), answer);
        answers.learn(&key, question.into(), answer);
        answers.save((&store, &digests), began);
        is_known
    }

    #[test]
    fn an_answer_holds_as_long_as_what_it_names_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        let named = dir.path().join("gcc/12");
        let program = dir.path().join("bin/cc");
        for it in [&home, &named, &dir.path().join("bin")] {
            fs::create_dir_all(it).unwrap();
        }
        fs::write(&program, "\x7fELF").unwrap();
        let is_kept = |said: &Path| is_kept(&home, &program, said, later());
        assert!(!is_kept(&named), "nobody asked before");
        assert!(is_kept(&named));
        fs::write(named.join("cc1"), "").unwrap();
        assert!(!is_kept(&named), "a name in a folder that it named");
        assert!(is_kept(&named));
        fs::create_dir(dir.path().join("gcc/13")).unwrap();
        assert!(!is_kept(&named), "a folder beside one that it named");
        let file = named.join("cc1");
        assert!(!is_kept(&file), "another question");
        assert!(is_kept(&file) && is_kept(&named));
        fs::write(&file, "another").unwrap();
        assert!(!is_kept(&file), "the content of a file that it named");
        let absent = dir.path().join("none/14");
        assert!(!is_kept(&absent));
        assert!(is_kept(&absent));
        fs::create_dir_all(&absent).unwrap();
        assert!(!is_kept(&absent), "what it did not find");
        assert!(is_kept(&absent));
        fs::write(&program, "\x7fELF, another").unwrap();
        assert!(!is_kept(&absent), "the program itself");
    }

    #[test]
    fn a_sheet_that_holds_though_stamps_differ_is_kept_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (home, program) = (dir.path().join("home"), dir.path().join("cc"));
        fs::create_dir(&home).unwrap();
        fs::write(&program, "\x7fELF").unwrap();
        let store = Store::new(&home);
        let digests = Digests::open(&dir.path().join("stamps"), false);
        let key = Digest::of(b"cc");
        let holding = || store.action::<Kept>(&key).unwrap().holding();
        let question = || {
            let answers = Answers::default();
            let known = answers.known((&key, &program), &[], (&store, &digests));
            let answer = Answer { success: true, stdout: String::new(), stderr: String::new() };
            known.is_none().then(|| answers.learn(&key, Vec::new(), answer));
            answers.save((&store, &digests), later());
        };
        question();
        assert_eq!(holding(), Some(Holding::ByStamps));
        let touch = fs::File::options().append(true).open(&program).unwrap();
        touch.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(holding(), Some(Holding::ByContent));
        question();
        assert_eq!(holding(), Some(Holding::ByStamps));
    }

    #[test]
    fn what_a_script_says_or_a_run_could_not_be_sure_of_is_asked_again() {
        let dir = tempfile::tempdir().unwrap();
        let (home, program) = (dir.path().join("home"), dir.path().join("cc"));
        fs::create_dir(&home).unwrap();
        fs::write(&program, "\x7fELF").unwrap();
        let said = Path::new("/nothing");
        let is_kept = |began| is_kept(&home, &program, said, began);
        assert!(!is_kept(SystemTime::UNIX_EPOCH));
        assert!(!is_kept(later()), "the program was younger than the run");
        assert!(is_kept(later()));
        fs::write(&program, "#!/bin/sh\necho /nothing\n").unwrap();
        assert!(!is_kept(later()));
        assert!(!is_kept(later()));
    }

    #[test]
    fn paths_are_found_in_the_words_of_compilers() {
        let text = "install: /usr/lib/gcc/12/\nlibraries: =/usr/lib/:/lib/../lib/\nSEARCH_DIR(\"=/a/b\"); SEARCH_DIR(\"/c\") x/y /dev/null";
        let found: Vec<_> = paths(text).map(|it| it.to_string_lossy().into_owned()).collect();
        assert_eq!(found, ["/usr/lib/gcc/12/", "/usr/lib/", "/lib/../lib/", "/a/b", "/c"]);
    }
}
