//! Puts together a `bundle`: test binaries that were verified, with all that they need elsewhere.
//!
//! ```text
//! gather    the tests of this run, testdata and declared data by content ▶ BundleInputs ▶ key
//! in place  the output folder holds what was made under that key
//! restore   the store does
//! compose   the runner for no shell ▶ files, hashed while they are copied ▶ store
//! ```
//!
//! `why` looks in the same way, and makes nothing.
//!
//! What is in a bundle lies as in a sealed root ([`crate::engine::test_root`]): a test that finds
//! its files there finds them here.

use crate::effects::bundle::{Content, ContentError, Contents, From, holds};
use crate::effects::limits::is_machines;
use crate::effects::machine::Machine;
use crate::effects::observe;
use crate::effects::outputs::Outputs;
use crate::effects::store::RestoreError;
use crate::engine::bundle_runner::{self, Runner};
use crate::engine::event::{Finished, State};
use crate::engine::go_look::no_go;
use crate::engine::go_unit::Unfit;
use crate::engine::session::{Delivery, Recorded, Session, finished};
use crate::engine::test_job::TIMEOUT;
use crate::engine::test_root::{data, place};
use crate::model::go_release::{Ability, GoRelease};
use crate::model::go_sdk::GoSdk;
use crate::model::target::{Bundle, BundleForm, Target, TestRun};
use crate::plan::bundle::{BundleInputs, BundledTest, RUNNER, index, script};
use crate::plan::explanation::Prospect;
use crate::plan::record::BundleRecord;
use crate::words::digest::Digest;
use crate::words::exit_code::ExitCode;
use crate::words::label::Label;
use crate::words::path::{OUTPUT_FOLDER, RelPath};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the store keeps of a bundle under its key.
#[derive(Debug, Serialize, Deserialize)]
pub struct Made {
    /// Of what.
    pub inputs: BundleInputs,
    /// By path below the folder: digest and permission bits; an archive by no path.
    files: BTreeMap<String, (Digest, u32)>,
    /// Folders, empty ones too.
    folders: BTreeSet<String>,
}

/// Makes the bundle of `target`, or finds it made; tells whether it is in place.
#[must_use]
pub fn run_bundle(session: &Session<'_>, target: &Target, bundle: &Bundle) -> bool {
    session.plan(1);
    let Some(outputs) = session.outputs else {
        // What is in it is known when the tests are built.
        session.deliver(Delivery { finished: finished(target, State::Skipped), record: None });
        return true;
    };
    let tests = |it: &Label| session.tests_of(it);
    let look = Look { session, target, bundle, tests: &tests };
    match (Job { look, outputs }).bring() {
        Ok((state, record, warnings)) => {
            let size = size(&record, outputs);
            let output = Some(bundle.output.clone());
            let finished = Finished { output, size, warnings, ..finished(target, state) };
            session
                .deliver(Delivery { finished, record: Some(Recorded::Bundle(Box::new(record))) });
            true
        }
        Err(unfit) => {
            session.fail(target, unfit.error, unfit.hints, unfit.code);
            false
        }
    }
}

/// Says what a build would do with the bundle of `target`, whose test binaries are `tests`, and
/// what it is to be made of; nothing is made.
///
/// # Errors
///
/// Returns what keeps it from being put together.
pub fn foretold(
    session: &Session<'_>,
    (target, bundle): (&Target, &Bundle),
    tests: &TestsOf<'_>,
) -> Result<(Prospect, BundleInputs), Unfit> {
    let look = Look { session, target, bundle, tests };
    let inputs = look.gather()?.inputs;
    let store = &session.machine.store;
    let state = match store.action::<Made>(&inputs.key()) {
        Some(made) if look.is_in_place(&made) => Prospect::UpToDate,
        Some(made) if made.files.values().all(|it| store.blob(&it.0).is_some()) => {
            Prospect::WouldBeRestored
        }
        _ => Prospect::WouldBeBuilt,
    };
    Ok((state, inputs))
}

/// Tells whether a bundle is still what its record says.
#[must_use]
pub fn is_in_place(outputs: &Outputs, machine: &Machine, record: &BundleRecord) -> bool {
    let files = record.files.iter().map(|(name, digest)| (name.clone(), (*digest, None)));
    holds(&machine.digests, &record.output.below(outputs.folder()), &files.collect())
}

/// Refuses a test binary whose output a bundle's runners would not understand.
fn marks_tests(built: &Finished) -> Result<(), Unfit> {
    let go = built.go.as_deref().unwrap_or_default();
    if GoRelease::read(go).is_none_or(|it| it.can(Ability::MarkedTests)) {
        return Ok(());
    }
    let error = format!("test binaries of {go} do not mark what they say of tests");
    let hints = vec!["make them by Go 1.20 or later, which their `go` names".to_owned()];
    Err(Unfit { error, hints, code: ExitCode::BadInput })
}

fn size(record: &BundleRecord, outputs: &Outputs) -> Option<u64> {
    let place = record.output.below(outputs.folder());
    let path = |it: &String| if it.is_empty() { place.clone() } else { place.join(it) };
    record.files.keys().map(|it| Some(std::fs::metadata(path(it)).ok()?.len())).sum()
}

/// Finds the test binaries of a target, with their digests, sorted by Go package.
pub type TestsOf<'s> = dyn Fn(&Label) -> Vec<(Finished, Digest)> + 's;

/// A bundle, and what it would hold now.
#[derive(Clone, Copy)]
struct Look<'s, 'a> {
    session: &'s Session<'a>,
    target: &'s Target,
    bundle: &'s Bundle,
    tests: &'s TestsOf<'s>,
}

/// A bundle that is to be made.
struct Job<'s, 'a> {
    look: Look<'s, 'a>,
    outputs: &'s Outputs,
}

/// What goes into a bundle, but for the runner that needs no shell.
struct Gathered {
    contents: Contents,
    inputs: BundleInputs,
    platform: (String, String),
    warnings: Vec<String>,
}

impl Look<'_, '_> {
    /// Returns where an output is, or would be.
    fn place(&self, output: &RelPath) -> PathBuf {
        output.below(&self.session.request.root.join(OUTPUT_FOLDER))
    }

    fn gather(&self) -> Result<Gathered, Unfit> {
        let Self { session, target, bundle, .. } = self;
        let go = session.go(self.pin());
        let go = (*go).as_ref().map_err(no_go)?;
        let platform = self.platform(go.host())?;
        let (mut contents, mut tests) = (Contents::default(), Vec::new());
        let mut warnings = Vec::new();
        for label in &bundle.tests {
            let Some(of) = session.targets.get(label) else { continue };
            let Some(run) = of.rule.tests().map(|it| &it.run) else { continue };
            self.add_data(of, &mut contents)?;
            for (built, digest) in (self.tests)(label) {
                marks_tests(&built)?;
                if built.class.as_deref() == Some("dynamic") {
                    let package = built.go_package.as_deref().unwrap_or_default();
                    warnings.push(format!("`{package}` is dynamic: it needs its libraries there"));
                }
                tests.extend(self.add_test((label, run), (&built, digest), &mut contents)?);
            }
        }
        if tests.is_empty() {
            return Err(input("its tests make no test binary".to_owned()));
        }
        let json = index(&target.label, &tests).map_err(|it| input(it.to_string()))?;
        for (name, text, mode) in [("index.json", json, 0o644), ("run.sh", script(&tests), 0o755)] {
            let digest = Digest::of(text.as_bytes());
            let content = Content { from: From::Text(text), digest, mode };
            contents.files.insert(name.to_owned(), content);
        }
        let files = contents.files.iter();
        let inputs = BundleInputs {
            linkwright: env!("CARGO_PKG_VERSION").to_owned(),
            runner: Digest::of(RUNNER.as_bytes()),
            form: match bundle.form {
                BundleForm::Folder => "folder".to_owned(),
                BundleForm::Tar => "tar".to_owned(),
            },
            name: target.label.name().to_owned(),
            files: files.map(|(name, it)| (name.clone(), (it.digest, it.mode))).collect(),
            folders: contents.folders.clone(),
            go: go.identity,
            platform: format!("{}/{}", platform.0, platform.1),
        };
        Ok(Gathered { contents, inputs, platform, warnings })
    }

    /// Returns the Go toolchain that the first of the tests names.
    fn pin(&self) -> Option<&Arc<GoSdk>> {
        let targets = self.bundle.tests.iter().filter_map(|it| self.session.targets.get(it));
        targets.flat_map(|it| it.rule.go_settings()).next()?.go.as_ref()
    }

    /// Returns the one platform that all tests are for.
    fn platform(&self, host: (&str, &str)) -> Result<(String, String), Unfit> {
        let targets = self.bundle.tests.iter().filter_map(|it| self.session.targets.get(it));
        let platforms = targets.flat_map(|it| it.rule.go_settings()).map(|it| {
            let word = |own: &Option<String>, host: &str| own.as_deref().unwrap_or(host).to_owned();
            (word(&it.platform.goos, host.0), word(&it.platform.goarch, host.1))
        });
        let mut platforms: Vec<_> = platforms.collect();
        let count = platforms.len();
        platforms.sort();
        platforms.dedup();
        match platforms.as_slice() {
            [one] if one.0 == "linux" && count >= self.bundle.tests.len() => Ok(one.clone()),
            [one] => {
                Err(input(format!("its tests are for {}/{}; bundles are for Linux", one.0, one.1)))
            }
            many => {
                let names: Vec<_> = many.iter().map(|it| format!("{}/{}", it.0, it.1)).collect();
                let error = format!("its tests are for {}", names.join(", "));
                let hints = vec!["declare a bundle, and its tests, for each of them".to_owned()];
                Err(Unfit { hints, ..input(error) })
            }
        }
    }

    /// Adds what `data` of tests stands for.
    fn add_data(&self, tests: &Target, contents: &mut Contents) -> Result<(), Unfit> {
        let root = &self.session.request.root;
        for it in data((root, tests)).map_err(|it| input(it.reason))? {
            self.add_file(format!("src/{it}"), &it.below(root), contents)?;
        }
        Ok(())
    }

    /// Adds a test binary with the `testdata` beside its sources.
    fn add_test(
        &self,
        (label, run): (&Label, &TestRun),
        (built, digest): (&Finished, Digest),
        contents: &mut Contents,
    ) -> Result<Option<BundledTest>, Unfit> {
        let root = &self.session.request.root;
        let (Some(output), Some(folder), Some(package)) =
            (&built.output, &built.source_folder, &built.go_package)
        else {
            return Ok(None);
        };
        let folder: PathBuf = root.join(folder).components().collect();
        let there = place((root, &folder), package);
        let there = there.strip_prefix("/").unwrap_or(&there).to_string_lossy().into_owned();
        let testdata = folder.join("testdata");
        for path in observe::below(&testdata) {
            let below = path.strip_prefix(&folder).unwrap_or(&path).to_string_lossy();
            let name = format!("{there}/{below}");
            if path.is_dir() {
                contents.folders.insert(name);
                self.session.machine.looked.in_folders([&path]);
            } else if path.is_file() {
                self.add_file(name, &path, contents)?;
            } else {
                self.session.machine.looked.in_folders([&path]);
            }
        }
        contents.folders.insert(there.clone());
        let from = From::File(self.place(output));
        contents.files.insert(output.to_string(), Content { from, digest, mode: 0o755 });
        Ok(Some(BundledTest {
            label: label.clone(),
            go_package: package.clone(),
            binary: output.to_string(),
            folder: there,
            timeout_seconds: run.timeout.unwrap_or(TIMEOUT).as_secs(),
            args: run.args.clone(),
            pass_env: run.pass_env.clone(),
        }))
    }

    fn add_file(&self, name: String, path: &Path, contents: &mut Contents) -> Result<(), Unfit> {
        let unreadable = |error: io::Error| {
            let code = if is_machines(&error) { ExitCode::Disk } else { ExitCode::BadInput };
            let path = self.session.relative(path);
            Unfit { code, ..input(format!("cannot read `{path}`: {error}")) }
        };
        let digest = self.session.machine.digests.digest(path).map_err(unreadable)?;
        let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode();
        let mode = if mode & 0o100 == 0 { 0o644 } else { 0o755 };
        contents.files.insert(name, Content { from: From::File(path.to_owned()), digest, mode });
        Ok(())
    }

    fn is_in_place(&self, made: &Made) -> bool {
        let place = self.place(&self.bundle.output);
        let files = made.files.iter().map(|(name, it)| (name.clone(), (it.0, Some(it.1))));
        let folders = || made.folders.iter().all(|it| place.join(it).is_dir());
        holds(&self.session.machine.digests, &place, &files.collect()) && folders()
    }
}

impl Job<'_, '_> {
    fn bring(&self) -> Result<(State, BundleRecord, Vec<String>), Unfit> {
        let Gathered { contents, inputs, platform, warnings } = self.look.gather()?;
        let key = inputs.key();
        let store = &self.look.session.machine.store;
        let told = |state, made: &Made| Ok((state, self.record(key, made), warnings.clone()));
        if let Some(made) = store.action::<Made>(&key) {
            if self.look.is_in_place(&made) {
                return told(State::UpToDate, &made);
            }
            if self.restore(&made)? {
                return told(State::Restored, &made);
            }
        }
        let words = (platform.0.as_str(), platform.1.as_str());
        let runner = bundle_runner::make(self.look.session, self.look.pin(), words)?;
        let made = self.compose(contents, inputs, runner)?;
        store.put_action(&key, &made);
        told(State::Built, &made)
    }

    fn record(&self, key: Digest, made: &Made) -> BundleRecord {
        let files = made.files.iter().map(|(name, (digest, _))| (name.clone(), *digest)).collect();
        BundleRecord {
            label: self.look.target.label.clone(),
            key,
            output: self.look.bundle.output.clone(),
            files,
        }
    }

    /// Puts back what was made before; `false` if the store does not hold it whole.
    fn restore(&self, made: &Made) -> Result<bool, Unfit> {
        let scratch = self.outputs.scratch().map_err(|it| Unfit::of_output(&it))?;
        let to = scratch.path().join("bundle");
        for (name, (digest, mode)) in &made.files {
            let path = if name.is_empty() { to.clone() } else { to.join(name) };
            let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
            folder.map_err(|it| disk(&path, &it))?;
            match self.look.session.machine.store.restore(digest, &path, *mode) {
                Ok(_) => {}
                Err(RestoreError::Missing(_)) => return Ok(false),
                Err(RestoreError::Output { path, source }) => return Err(disk(&path, &source)),
            }
        }
        for folder in &made.folders {
            std::fs::create_dir_all(to.join(folder)).map_err(|it| disk(&to, &it))?;
        }
        self.place(&to).map(|()| true)
    }

    fn compose(
        &self,
        mut contents: Contents,
        inputs: BundleInputs,
        runner: Runner,
    ) -> Result<Made, Unfit> {
        let Runner { file, digest, .. } = &runner;
        let content = Content { from: From::File(file.clone()), digest: *digest, mode: 0o755 };
        contents.files.insert("run".to_owned(), content);
        let scratch = self.outputs.scratch().map_err(|it| Unfit::of_output(&it))?;
        let to = scratch.path().join("bundle");
        let mut made = Made { inputs, files: BTreeMap::new(), folders: BTreeSet::new() };
        let store = &self.look.session.machine.store;
        match self.look.bundle.form {
            BundleForm::Tar => {
                let name = self.look.target.label.name();
                contents.write_tar(&to, name).map_err(unwritten)?;
                let copied = store.put_file(&to).map_err(|it| disk(&to, &it))?;
                made.files.insert(String::new(), (copied.digest, 0o644));
            }
            BundleForm::Folder => {
                std::fs::create_dir(&to).map_err(|it| disk(&to, &it))?;
                contents.write_folder(&to).map_err(unwritten)?;
                for (name, it) in &contents.files {
                    store.put_file(&to.join(name)).map_err(|it| disk(&to, &it))?;
                    made.files.insert(name.clone(), (it.digest, it.mode));
                }
                made.folders = contents.folders;
            }
        }
        self.place(&to)?;
        Ok(made)
    }

    fn place(&self, made: &Path) -> Result<(), Unfit> {
        let placed = self.outputs.place_all(made, &self.look.bundle.output);
        placed.map_err(|it| Unfit::of_output(&it))
    }
}

fn unwritten(error: ContentError) -> Unfit {
    let (code, hint) = match &error {
        ContentError::Changed(_) => (ExitCode::InputsChanged, "build again when the tree is quiet"),
        ContentError::Read(..) => (ExitCode::BadInput, "make it readable"),
        ContentError::Write(..) => (ExitCode::Disk, "free some space, or make the folder writable"),
    };
    Unfit { error: error.to_string(), hints: vec![hint.to_owned()], code }
}

fn disk(path: &Path, error: &io::Error) -> Unfit {
    let hints = vec!["free some space, or make the folder writable".to_owned()];
    Unfit {
        error: format!("cannot write `{}`: {error}", path.display()),
        hints,
        code: ExitCode::Disk,
    }
}

fn input(error: String) -> Unfit {
    Unfit { error, hints: Vec::new(), code: ExitCode::BadInput }
}
