//! The files that choose modules and language versions for a link.

use crate::effects::digests::Digests;
use crate::effects::go_tool::GoModuleFolder;
use crate::words::digest::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

/// Those of one module.
const CHOOSERS: [&str; 3] = ["go.mod", "go.sum", "vendor/modules.txt"];

/// Which files these are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModuleQuestion {
    /// Where packages are looked up from.
    pub module: GoModuleFolder,
    /// The folders of the local modules that packages come from, with their paths: the language
    /// version of each is in its own file.
    pub local: BTreeSet<(String, PathBuf)>,
    /// The folder of Go's own commands, where they take part: it is a module, too.
    pub commands: Option<PathBuf>,
}

/// The files as they are.
#[derive(Debug)]
pub struct ModuleFiles {
    /// Their digests, by what they are.
    pub digests: BTreeMap<String, Digest>,
    /// Where they are.
    pub paths: Vec<PathBuf>,
}

impl ModuleQuestion {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// Returns the first that cannot be read, with the system's error.
    pub fn read(&self, digests: &Digests) -> Result<ModuleFiles, (PathBuf, io::Error)> {
        let (names, paths): (Vec<_>, Vec<_>) = self.files().into_iter().unzip();
        let digests = names.into_iter().zip(digests.digest_all(&paths)?).collect();
        Ok(ModuleFiles { digests, paths })
    }

    fn files(&self) -> BTreeMap<String, PathBuf> {
        let Self { module, local, commands } = self;
        let mut files = BTreeMap::new();
        for name in CHOOSERS {
            files.insert(name.to_owned(), module.folder.join(name));
        }
        if let Some(work) = &module.work {
            files.insert("go.work".to_owned(), work.clone());
            files.insert("go.work.sum".to_owned(), work.with_extension("work.sum"));
        }
        for (path, folder) in local {
            files.insert(format!("{path}: go.mod"), folder.join("go.mod"));
        }
        if let Some(top) = commands {
            files.extend(CHOOSERS.map(|it| (format!("cmd: {it}"), top.join(it))));
        }
        files.retain(|_, path| path.is_file());
        files
    }
}
