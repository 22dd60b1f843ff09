//! A C compiler that can be run: where its program is, the words and variables that it always gets,
//! and whether what it says of its target is true.
//!
//! A program is looked for on `PATH`, then in the package of Python that a toolchain names. zig
//! keeps what it compiled for itself (its C library, start files) in a folder; that folder lies in
//! our compile cache and not in the user's home, where a build would neither read nor write.

use crate::effects::c_answers::Answer;
use crate::effects::inspect::linkage_of_file;
use crate::effects::machine::Machine;
use crate::effects::process::{Ended, ProcessError};
use crate::model::toolchain::{Compilers, Family, platform_of};
use crate::plan::configuration::quoted;
use crate::plan::fingerprint::Framed;
use crate::words::digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest that one compilation of a line may take: zig compiles a whole C library before it.
const LIMIT: Duration = Duration::from_mins(15);

/// Says where Python has a package, without running any of it.
const WHERE: &str = "import sys, importlib.util as u\nsys.path = [p for p in sys.path if p]\ns = u.find_spec(sys.argv[1])\nprint(s.submodule_search_locations[0] if s else '')";

/// A compiler and what it always gets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Compiler {
    /// The program, by its absolute path.
    pub program: PathBuf,
    /// Words that stand before all others.
    pub words: Vec<String>,
    /// Variables that it needs.
    pub variables: BTreeMap<String, String>,
}

impl Compiler {
    /// Finds the C compiler that is looked for, and the C++ compiler, if there is one.
    #[must_use]
    pub fn find(machine: &Machine, wanted: &Compilers) -> Option<(Self, Option<Self>)> {
        let program = |name: &str| {
            let other = || in_python(machine, wanted.python.as_deref()?, name);
            machine.program(name).or_else(other)
        };
        let mut variables = BTreeMap::new();
        if wanted.family == Family::Zig {
            let folder = machine.compile_cache.folder().join("zig").to_string_lossy().into_owned();
            variables.insert("ZIG_GLOBAL_CACHE_DIR".to_owned(), folder.clone());
            variables.insert("ZIG_LOCAL_CACHE_DIR".to_owned(), folder);
        }
        let with = |program, words| Self { program, words, variables: variables.clone() };
        let cc = program(&wanted.cc)?;
        let customary: &[&str] = match (&wanted.cxx, wanted.guess_cxx) {
            (Some(name), _) => &[name.as_str()],
            (None, true) if wanted.cc == "clang" => &["clang++", "g++", "c++"],
            (None, true) => &["g++", "clang++", "c++"],
            (None, false) => &[],
        };
        let cxx = customary.iter().find_map(|it| program(it));
        Some((with(cc, wanted.cc_words()), cxx.map(|it| with(it, wanted.cxx_words()))))
    }

    /// Runs it to its end.
    ///
    /// # Errors
    ///
    /// Returns [`ProcessError`] if it did not end by itself.
    pub fn ask(
        &self,
        machine: &Machine,
        args: &[&OsStr],
        folder: &Path,
    ) -> Result<Ended, ProcessError> {
        let mut all: Vec<&OsStr> = self.words.iter().map(OsStr::new).collect();
        all.extend(args);
        machine.ask_with(&self.program, &all, folder, (&self.variables, LIMIT))
    }

    /// Returns what it prints for one word, without white space around it.
    #[must_use]
    pub fn says(&self, machine: &Machine, arg: &str) -> Option<String> {
        let Answer { success, stdout, stderr: _ } = self.answer(machine, &[OsStr::new(arg)])?;
        let text = stdout.trim().to_owned();
        (success && !text.is_empty()).then_some(text)
    }

    /// Returns what it says of itself, asked now or kept; `None` if it does not end by itself.
    #[must_use]
    pub fn answer(&self, machine: &Machine, args: &[&OsStr]) -> Option<Answer> {
        let key = self.sheet(machine);
        let question: Vec<_> = args.iter().map(|it| it.to_string_lossy().into_owned()).collect();
        let places = (&machine.store, &machine.digests);
        let known = machine.answers.known((&key, &self.program), &question, places);
        known.or_else(|| {
            let answer = Answer::from(self.ask(machine, args, Path::new("/")).ok()?);
            machine.answers.learn(&key, question, answer.clone());
            Some(answer)
        })
    }

    /// Returns the key of all that it says: which program, with which words and variables.
    fn sheet(&self, machine: &Machine) -> Digest {
        let mut framed = Framed::new("linkwright c answers 1");
        framed.text(env!("CARGO_PKG_VERSION"));
        framed.bytes(self.program.as_os_str().as_encoded_bytes());
        framed.list(&self.words);
        framed.texts(&self.variables);
        for (name, value) in machine.base_environment() {
            framed.bytes(name.as_encoded_bytes());
            framed.bytes(value.as_encoded_bytes());
        }
        framed.finish()
    }

    /// Finds a program where the compiler does, else on `PATH`.
    #[must_use]
    pub fn tool(&self, machine: &Machine, name: &str) -> Option<PathBuf> {
        let text = self.says(machine, &format!("-print-prog-name={name}"))?;
        let path = PathBuf::from(&text);
        if path.is_absolute() { Some(path) } else { machine.program(&text) }
    }

    /// Returns program and words as `CC` holds them.
    #[must_use]
    pub fn command(&self) -> String {
        let program = self.program.to_string_lossy().into_owned();
        let all: Vec<_> = std::iter::once(program).chain(self.words.iter().cloned()).collect();
        quoted(&all)
    }

    /// Returns the digest of what it is: program and words.
    ///
    /// # Errors
    ///
    /// Returns the reader's error.
    pub fn digest(&self, machine: &Machine, domain: &str) -> std::io::Result<Digest> {
        let mut hasher = blake3::Hasher::new_derive_key(domain);
        hasher.update(machine.digests.digest(&self.program)?.as_bytes());
        hasher.update(self.program.as_os_str().as_encoded_bytes());
        for word in &self.words {
            hasher.update(&(word.len() as u64).to_le_bytes());
            hasher.update(word.as_bytes());
        }
        Ok(Digest::from_hasher(&hasher))
    }

    /// Says in what it lies about its target, which it calls `machine_name`: it is not what the
    /// rules say, or not what comes out.
    #[must_use]
    pub fn untruth(
        &self,
        machine: &Machine,
        wanted: &Compilers,
        machine_name: &str,
    ) -> Option<String> {
        let Compilers { cc, toolchain, target, .. } = wanted;
        let said = platform_of(machine_name);
        if let Some(target) = target.as_ref().filter(|it| platform_of(it) != said) {
            return Some(format!(
                "`{cc}` says that it makes code for {machine_name}, and the toolchain `{toolchain}` that it does for {target}"
            ));
        }
        let made = self.made_for(machine)?;
        (made != said.1).then(|| {
            format!("`{cc}` says that it makes code for {machine_name}, and makes it for {made}")
        })
    }

    /// Compiles a line and returns the architecture that came out, in Go's words; `None` where
    /// nothing came out, or no ELF: others will say so.
    fn made_for(&self, machine: &Machine) -> Option<String> {
        #[derive(Serialize, Deserialize)]
        struct Made {
            machine: String,
        }
        let key = self.digest(machine, "linkwright c object 1").ok()?;
        if let Some(Made { machine }) = machine.store.action(&key) {
            return Some(machine);
        }
        let folder = tempfile::Builder::new().prefix("linkwright-probe-").tempdir().ok()?;
        let (source, object) = (folder.path().join("p.c"), folder.path().join("p.o"));
        let mut file = std::fs::File::create(&source).ok()?;
        file.write_all(b"int answer(void) { return 42; }\n").ok()?;
        let args = [OsStr::new("-c"), OsStr::new("-o"), object.as_os_str(), source.as_os_str()];
        self.ask(machine, &args, folder.path()).ok()?;
        let made = linkage_of_file(&object).ok()?.machine?;
        machine.store.put_action(&key, &Made { machine: made.clone() });
        Some(made)
    }
}

/// Finds a program in the folder of a package of Python.
fn in_python(machine: &Machine, package: &str, name: &str) -> Option<PathBuf> {
    let python = machine.program("python3")?;
    let args = ["-c", WHERE, package].map(OsStr::new);
    let said = machine.ask(&python, &args, Path::new("/")).ok()?.stdout_text();
    let program = Path::new(said.trim()).join(name);
    machine.looked.for_file(&program);
    (program.is_absolute() && program.is_file()).then_some(program)
}
