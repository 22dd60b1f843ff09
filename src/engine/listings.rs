//! The Go packages that one run has listed, each question answered once.

use crate::effects::go_tool::{GoModuleFolder, GoTool, GoToolError};
use crate::engine::listing::{Choice, Listing, ListingKey};
use crate::engine::memory::Memory;
use crate::formats::go_list::GoPackage;
use crate::plan::origin::{Origin, is_command, is_of_commands};
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The answers of one run.
pub struct Listings {
    known: Memory<ListingKey, Arc<Listing>>,
    failed: AtomicBool,
    distrusts: AtomicBool,
}

impl Listings {
    /// Begins without any; with `distrusts`, Go itself is asked each time.
    #[must_use]
    pub fn new(distrusts: bool) -> Self {
        let (failed, distrusts) = (AtomicBool::new(false), AtomicBool::new(distrusts));
        Self { known: Memory::default(), failed, distrusts }
    }

    /// Returns the answer to a question, asked once.
    ///
    /// # Errors
    ///
    /// Returns what `ask` does.
    pub fn get_or(
        &self,
        question: &ListingKey,
        ask: impl FnOnce() -> Result<Arc<Listing>, GoToolError>,
    ) -> Result<Arc<Listing>, GoToolError> {
        self.known.get_or(question, ask)
    }

    /// Notes that `go list` was asked, and whether it gave no answer.
    pub fn note_asked(&self, failed: bool) {
        self.failed.fetch_or(failed, Ordering::Relaxed);
    }

    /// Returns a listing that holds the package `root`, if one was made.
    #[must_use]
    pub fn listing_of(&self, go: &GoTool, choice: Choice<'_>, root: &str) -> Option<Arc<Listing>> {
        self.find_listing(go, choice, root, |_, it| Arc::clone(it))
    }

    /// Returns the question that this listing answers: it may name each target of a workspace.
    #[must_use]
    pub fn question_of(&self, go: &GoTool, choice: Choice<'_>, root: &str) -> Option<ListingKey> {
        self.find_listing(go, choice, root, |key, _| key.clone())
    }

    fn find_listing<T>(
        &self,
        go: &GoTool,
        choice: Choice<'_>,
        root: &str,
        take: impl FnOnce(&ListingKey, &Arc<Listing>) -> T,
    ) -> Option<T> {
        let fits = |key: &ListingKey| {
            let Choice { module, selection, written } = choice;
            let is_of_now = key.go == go.identity && key.written == written;
            is_of_now && key.module == *module && key.selection == *selection
        };
        // Its patterns may be as many as there are targets: no key is looked up, none is cloned.
        let holds = |(key, it): &(&ListingKey, &Arc<Listing>)| {
            fits(key) && it.graph.package(root).is_some()
        };
        let first = |known: &HashMap<_, _>| {
            let first = known.iter().filter(holds).min_by_key(|(key, _)| *key)?;
            Some(take(first.0, first.1))
        };
        self.known.read(first)?
    }

    /// Returns the modules that packages were looked up from, and the folders of local packages
    /// with those of their modules.
    #[must_use]
    pub fn seen(&self) -> (BTreeSet<GoModuleFolder>, BTreeSet<PathBuf>) {
        let seen = |known: &HashMap<ListingKey, Arc<Listing>>| {
            let packages = known.values().flat_map(|it| it.graph.packages());
            let local = packages.filter(|it| Origin::of(it) == Origin::Local);
            let folders = |it: &GoPackage| [Some(it.dir.clone().into()), Origin::module_folder(it)];
            let modules = known.keys().map(|it| it.module.clone()).collect();
            (modules, local.flat_map(folders).flatten().collect())
        };
        self.known.read(seen).unwrap_or_default()
    }

    /// Tells whether packages were looked up among Go's own commands.
    #[must_use]
    pub fn saw_commands(&self) -> bool {
        let of_commands = |(question, it): (&ListingKey, &Arc<Listing>)| {
            let names_them = question.patterns.iter().any(|it| is_of_commands(it));
            names_them || it.graph.packages().any(is_command)
        };
        self.known.read(|it| it.iter().any(of_commands)).unwrap_or(true)
    }

    /// Tells whether `go list` failed, or a package that it told of cannot be loaded.
    #[must_use]
    pub fn is_troubled(&self) -> bool {
        let has_error = |it: &GoPackage| it.error.is_some();
        let any = |known: &HashMap<_, Arc<Listing>>| {
            known.values().any(|it| it.graph.packages().any(has_error))
        };
        self.known.read(any).unwrap_or(true) || self.failed.load(Ordering::Relaxed)
    }

    /// Forgets what was read of a module, because its files changed meanwhile; from here on, Go
    /// itself is asked.
    pub fn forget(&self, module: &GoModuleFolder) {
        self.distrusts.store(true, Ordering::SeqCst);
        self.known.forget(|it| it.module == *module);
    }

    /// Tells whether Go itself is asked each time.
    #[must_use]
    pub fn distrusts(&self) -> bool {
        self.distrusts.load(Ordering::SeqCst)
    }
}
