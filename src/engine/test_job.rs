//! One test binary: its kept result, or runs of it until there is a verdict.
//!
//! ```text
//! prepare    the binary and the declared files by content, its root ▶ TestInputs ▶ key
//! recall     what a run with this key looked at, as it is today ▶ the pass that is kept, if one is
//! once       a folder of its own, the process, its stream ▶ Account
//! keep       all that the run read, looked at again: only if it was the same all the time
//! ```
//!
//! A pass is kept if the first run of a call gives it; one that follows a failure never is.

use crate::effects::digests::Stamps;
use crate::effects::file::read_own;
use crate::effects::machine::Machine;
use crate::effects::observe;
use crate::effects::sealed::Root;
use crate::effects::test_process::{self, Scratch, TestCommand};
use crate::engine::event::{Event, Finished, Sink, TestFinished};
use crate::engine::request::{Effort, TestRequest};
use crate::engine::test_root::{self, Unrun};
use crate::engine::test_told::{Naming, is_failure, millis, unknown};
use crate::formats::cover_profile::Profile;
use crate::formats::test_log::{Manner, TestLog};
use crate::formats::test_stream::{Said, TestStream};
use crate::model::go_release::{Ability, GoRelease};
use crate::model::run_in::RunIn;
use crate::model::target::{Target, TestRun};
use crate::plan::test_account::{Account, Books, Outcome};
use crate::plan::test_inputs::{Observed, Pass, TestInputs, result_key};
use crate::words::digest::Digest;
use crate::words::path::OUTPUT_FOLDER;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// How long a test may take if nobody says so; Go's own.
pub const TIMEOUT: Duration = Duration::from_mins(10);

/// The longest coverage profile that is read: one of a million blocks.
const LONGEST_PROFILE: u64 = 256 << 20;

/// How many names a note tells before it only counts.
const MOST_NAMES: usize = 5;

/// What the jobs of a run of tests share.
pub struct TestSession<'a> {
    /// The root of the workspace.
    pub root: &'a Path,
    /// How they are run.
    pub request: &'a TestRequest,
    /// The machine.
    pub machine: &'a Machine,
    /// Where events go.
    pub sink: Sink<'a>,
}

/// A test binary that is there.
pub struct TestBinary<'a> {
    /// Its target.
    pub target: &'a Target,
    /// How the target says that it is run.
    pub run: &'a TestRun,
    /// What the build told of it.
    pub built: &'a Finished,
    /// The Go package.
    pub go_package: String,
    /// The file.
    pub program: PathBuf,
    /// The folder that it runs in.
    pub folder: PathBuf,
    /// Whether it counts what it runs.
    pub covers: bool,
}

/// A test binary that was judged.
#[derive(Debug)]
pub struct Judged {
    /// How it ended.
    pub finished: TestFinished,
    /// What it saw, if its pass is kept and looking tells whether it still holds.
    pub saw: Option<Saw>,
}

/// What decides a kept pass, besides the rules and the variables.
#[derive(Debug)]
pub struct Saw {
    /// The binary, and its content.
    pub program: (PathBuf, Digest),
    /// The folder of the sources.
    pub folder: PathBuf,
    /// Declared files, and what the run looked at.
    pub paths: Vec<(PathBuf, Manner)>,
}

/// A binary with all that is known before it runs.
struct Prepared {
    inputs: TestInputs,
    /// The binary and the declared files, with what their inodes say.
    paths: Vec<PathBuf>,
    stamps: Stamps,
    env: BTreeMap<OsString, OsString>,
    /// The root that it runs in, if it is not the machine's, and the folder there.
    root: Option<(Root, PathBuf)>,
    limit: Duration,
}

/// One run that came to its end.
struct Ran {
    account: Account,
    /// What it counted.
    profile: Option<Profile>,
    time: Duration,
    notes: Vec<String>,
    /// Why a pass would not be kept, or where it is kept.
    keeps: Result<Keep, String>,
}

/// What is written down of a pass.
struct Keep {
    key: Digest,
    observed: Observed,
    /// What that was.
    seen: Digest,
}

impl<'a> TestBinary<'a> {
    /// Finds the place of a built test binary; `None` if it is none.
    #[must_use]
    pub fn of(root: &Path, target: &'a Target, built: &'a Finished) -> Option<Self> {
        let tests = target.rule.tests()?;
        let (run, covers) = (&tests.run, tests.cover.is_some());
        let program = built.output.as_ref()?.below(&root.join(OUTPUT_FOLDER));
        let folder = root.join(built.source_folder.as_ref()?);
        // `.` would show in the working folder.
        let folder = folder.components().collect();
        let go_package = built.go_package.clone()?;
        Some(Self { target, run, built, go_package, program, folder, covers })
    }

    /// Runs it as often as is asked for, or takes its kept result.
    #[must_use]
    pub fn judge(&self, session: &TestSession<'_>) -> Judged {
        let prepared = match self.prepare(session) {
            Ok(prepared) => prepared,
            Err(unrun) => return self.not_run(unrun).into(),
        };
        let recalls = session.request.effort == Effort::Once && !session.request.fresh;
        if recalls
            && let Some((pass, observed)) = recall(session, &prepared.inputs.key())
            && let Some(finished) = self.kept(&prepared, pass)
        {
            return Judged { finished, saw: self.saw(&prepared, &observed) };
        }
        match session.request.effort {
            Effort::Once => self.try_again_and_again(session, &prepared),
            Effort::Repeat(times) => {
                self.repeat(session, &prepared, |runs, _| runs < times.get(), false).into()
            }
            Effort::Stress(time) => {
                self.repeat(session, &prepared, |_, began| began.elapsed() < time, true).into()
            }
        }
    }

    /// Says what decides a pass; `None` if looking at paths does not tell all of it: what else is
    /// put into a root is chosen from the machine's files.
    fn saw(&self, prepared: &Prepared, observed: &Observed) -> Option<Saw> {
        let chooses = self.run.sealed.as_ref().is_some_and(|it| !it.with.is_empty());
        if prepared.root.is_some() && chooses {
            return None;
        }
        let declared = prepared.paths.iter().skip(1).map(|it| (it.clone(), Manner::Open));
        Some(Saw {
            program: (self.program.clone(), prepared.inputs.binary),
            folder: self.folder.clone(),
            paths: declared.chain(observed.paths.iter().cloned()).collect(),
        })
    }

    /// Returns how long it may run.
    #[must_use]
    pub fn limit(&self, request: &TestRequest) -> Duration {
        request.timeout.or(self.run.timeout).unwrap_or(TIMEOUT)
    }

    /// Returns the root that it runs in and the folder there, if it is not the machine's.
    ///
    /// # Errors
    ///
    /// Returns what this machine does not have of what is to be in it.
    pub fn own_root(
        &self,
        workspace: &Path,
        request: &TestRequest,
    ) -> Result<Option<(Root, PathBuf)>, Unrun> {
        let sealed = match (request.run_in, &self.run.sealed) {
            (Some(RunIn::Host), _) | (None, None) => return Ok(None),
            (_, sealed) => sealed.clone().unwrap_or_default(),
        };
        let place = test_root::place((workspace, &self.folder), &self.go_package);
        let whose = (workspace, self.target);
        Ok(Some((test_root::root(&sealed, whose, (&self.folder, &place))?, place)))
    }

    /// Returns the variables that it is given, and the folder that it runs in.
    #[must_use]
    pub fn surroundings<'r>(
        &'r self,
        machine: &Machine,
        root: Option<&'r (Root, PathBuf)>,
    ) -> (BTreeMap<OsString, OsString>, &'r Path) {
        let pass = &self.run.pass_env;
        match root {
            None => (test_process::environment(machine, pass, &self.folder), &self.folder),
            Some((_, there)) => (test_process::sealed_environment(machine, pass, there), there),
        }
    }

    fn prepare(&self, session: &TestSession<'_>) -> Result<Prepared, Unrun> {
        let machine = session.machine;
        let digests = &machine.digests;
        let unreadable = |path: &Path, error: &std::io::Error| {
            format!("cannot read `{}`: {error}", path.display())
        };
        let root = self.own_root(session.root, session.request)?;
        let declared = self.declared(session, root.as_ref())?;
        let paths: Vec<_> = std::iter::once(&self.program).chain(&declared).cloned().collect();
        // Before anything is read: what is written meanwhile must show.
        let stamps = Stamps::of(&paths);
        let binary =
            digests.digest_apart(&self.program).map_err(|it| unreadable(&self.program, &it))?;
        let read =
            digests.digest_all_apart(&declared).map_err(|(path, it)| unreadable(&path, &it))?;
        let limit = self.limit(session.request);
        let (env, folder) = self.surroundings(machine, root.as_ref());
        let version = || std::iter::once(env!("CARGO_PKG_VERSION").to_owned());
        let words = |it: &Root| version().chain(it.words().iter().map(|it| exact(it))).collect();
        let inputs = TestInputs {
            binary,
            folder: exact(folder.as_os_str()),
            arguments: self.arguments(session.request, limit),
            environment: env.iter().map(|(name, value)| (exact(name), exact(value))).collect(),
            declared: declared.iter().map(|it| exact(it.as_os_str())).zip(read).collect(),
            root: root.as_ref().map(|it| words(&it.0)),
        };
        Ok(Prepared { inputs, paths, stamps, env, root, limit })
    }

    /// Returns all files that it is known to read before it runs.
    fn declared(
        &self,
        session: &TestSession<'_>,
        root: Option<&(Root, PathBuf)>,
    ) -> Result<Vec<PathBuf>, Unrun> {
        let shown = root.iter().flat_map(|it| it.0.files.values());
        test_root::declared((session.root, self.target), &self.folder, shown)
    }

    /// Tells whether it marks what it says of tests, which a binary of an old Go does not.
    fn marks_tests(&self) -> bool {
        let release = self.built.go.as_deref().and_then(GoRelease::read);
        release.is_none_or(|it| it.can(Ability::MarkedTests))
    }

    fn arguments(&self, request: &TestRequest, limit: Duration) -> Vec<String> {
        let mut args = vec![
            "-test.paniconexit0".to_owned(),
            format!("-test.timeout={}s", limit.as_secs()),
            (if self.marks_tests() { "-test.v=test2json" } else { "-test.v=true" }).to_owned(),
        ];
        args.extend(request.filter.as_ref().map(|it| format!("-test.run={it}")));
        args.extend(self.run.args.iter().cloned());
        args
    }

    /// Tells a kept pass; `None` if what it counted is not kept with it.
    fn kept(&self, prepared: &Prepared, pass: Pass) -> Option<TestFinished> {
        let Pass { milliseconds, cases, profile } = pass;
        let profile = match profile {
            Some(text) => Some(Profile::parse(&text).ok()?),
            None if self.covers => return None,
            None => None,
        };
        let outcome = if cases.is_empty() { Outcome::NoTests } else { Outcome::Passed };
        let rest = TestFinished { kept: true, ran_in: prepared.ran_in(), ..self.finished() };
        Some(TestFinished { outcome, milliseconds, cases, ..rest }.covering(profile))
    }

    fn try_again_and_again(&self, session: &TestSession<'_>, prepared: &Prepared) -> Judged {
        let (mut runs, mut first) = (0, None);
        loop {
            runs += 1;
            let ran = match self.once(session, prepared, runs) {
                Ok(ran) => ran,
                Err(unrun) => return self.not_run(unrun).into(),
            };
            let passed = matches!(ran.account.outcome, Outcome::Passed | Outcome::NoTests);
            if passed && runs == 1 {
                return self.keep(session, prepared, ran);
            }
            let flaky = passed && runs > 1;
            let again = !passed && runs <= session.request.retries;
            if again {
                first.get_or_insert(ran);
                continue;
            }
            let why = first.as_ref().filter(|_| flaky).map(|it: &Ran| failure_of(&it.account));
            let mut finished = self.told(prepared, ran, runs);
            finished.flaky = flaky;
            finished.notes.extend(why.map(|it| format!("it failed before it passed: {it}")));
            return finished.into();
        }
    }

    fn repeat(
        &self,
        session: &TestSession<'_>,
        prepared: &Prepared,
        goes_on: impl Fn(usize, Instant) -> bool,
        until_failure: bool,
    ) -> TestFinished {
        let began = Instant::now();
        let (mut runs, mut failures, mut bad, mut last) = (0, 0, None, None);
        while runs == 0 || goes_on(runs, began) {
            runs += 1;
            let ran = match self.once(session, prepared, runs) {
                Ok(ran) => ran,
                Err(unrun) => return self.not_run(unrun),
            };
            if matches!(ran.account.outcome, Outcome::Passed | Outcome::NoTests) {
                last = Some(ran);
                continue;
            }
            failures += 1;
            bad.get_or_insert(ran);
            if until_failure {
                break;
            }
        }
        let Some(ran) = bad.or(last) else { unreachable!("invariant: it was run once") };
        let mut finished = self.told(prepared, ran, runs);
        let note = format!("{failures} of {runs} runs did not pass");
        finished.notes.extend((failures > 0).then_some(note));
        finished
    }

    /// Runs it once.
    fn once(
        &self,
        session: &TestSession<'_>,
        prepared: &Prepared,
        run: usize,
    ) -> Result<Ran, Unrun> {
        let no_folder = |error| format!("cannot make a folder for it: {error}");
        let scratch = Scratch::new(session.machine).map_err(no_folder)?;
        let (mut args, mut env) = (Vec::new(), prepared.env.clone());
        let mut root = prepared.root.as_ref().map(|it| it.0.clone());
        // What a sealed root holds is known, and a log would stay in it.
        if prepared.root.is_none() {
            args.push(format!("-test.testlogfile={}", scratch.log().display()));
        }
        if self.covers {
            let (counters, profile) = scratch.counting(root.as_mut()).map_err(no_folder)?;
            args.push(format!("-test.gocoverdir={}", counters.display()));
            args.push(format!("-test.coverprofile={}", profile.display()));
            // For what it starts, as under `go test`.
            env.insert("GOCOVERDIR".into(), counters.into());
        }
        let args = args.iter().chain(&prepared.inputs.arguments);
        let there = prepared.root.as_ref().map(|it| &it.1);
        let command = TestCommand {
            program: self.program.clone(),
            args: args.map(OsString::from).collect(),
            env,
            folder: there.unwrap_or(&self.folder).clone(),
            root,
            limit: prepared.limit,
        };
        let step = self.tell_start(session, prepared, run);
        let before = observe::sources(&self.folder);
        let (began, clock) = (now(), Instant::now());
        let naming = Naming::of(self.built);
        let stream =
            if self.marks_tests() { TestStream::default() } else { TestStream::unmarked() };
        let (mut stream, mut books) = (stream, Books::default());
        let mut note = |said: Said| {
            books.note(&said);
            naming.tell(session.sink, said);
        };
        let ended = test_process::run(session.machine, &command, &scratch, &mut |bytes| {
            stream.feed(bytes, &mut note);
        });
        stream.finish(&mut note);
        let time = clock.elapsed();
        let account = ended.map(|it| (books.close_with(it.end), it.left_behind));
        let is_well = account.as_ref().is_ok_and(|it| !is_failure(it.0.outcome));
        (session.sink)(Event::StepFinished { step, ok: is_well });
        let (account, left_behind) = account.map_err(|it| Unrun::of(&it))?;
        let mut notes = Vec::new();
        let left = "it left processes behind, which were ended";
        notes.extend(left_behind.then(|| left.to_owned()));
        let written = self.written(&before);
        let home = scratch.in_home();
        if !home.is_empty() {
            notes.push(format!("it wrote into its home, which is gone: {}", listed(&home)));
        }
        let counted = self.covers.then(|| counted(&scratch)).transpose();
        let keeps = match (&counted, written.as_slice()) {
            (Err(why), _) => Err(why.clone()),
            (_, []) => self.may_be_kept(session, prepared, &scratch, began),
            (_, names) => Err(format!("files beside its sources changed: {}", listed(names))),
        };
        Ok(Ran { account, profile: counted.ok().flatten(), time, notes, keeps })
    }

    /// Returns what differs in the folder of the sources from what was there `before`.
    fn written(&self, before: &[(PathBuf, Option<crate::effects::stamp::Stamp>)]) -> Vec<String> {
        let after = observe::sources(&self.folder);
        let changed = after.iter().filter(|it| !before.contains(it)).map(|it| &it.0);
        let gone =
            before.iter().filter(|it| !after.iter().any(|now| now.0 == it.0)).map(|it| &it.0);
        let name = |it: &PathBuf| {
            it.strip_prefix(&self.folder).unwrap_or(it).to_string_lossy().into_owned()
        };
        changed.chain(gone).map(name).collect()
    }

    /// Looks again at all that the run read.
    fn may_be_kept(
        &self,
        session: &TestSession<'_>,
        prepared: &Prepared,
        scratch: &Scratch,
        began: SystemTime,
    ) -> Result<Keep, String> {
        let touched = prepared.stamps.touched(&prepared.paths);
        if let Some(path) = touched.first() {
            return Err(format!("`{}` changed while it ran", path.display()));
        }
        let declared = self.declared(session, prepared.root.as_ref());
        if declared.map_err(|it| it.reason)? != prepared.paths[1..] {
            return Err("files were added or removed while it ran".to_owned());
        }
        let paths = if prepared.root.is_none() {
            self.read(scratch)?
        } else {
            // It sees these and the declared files, and nothing besides.
            let all = observe::below(&self.folder.join("testdata")).into_iter();
            all.map(|it| (it, Manner::Open)).collect()
        };
        // Looked at first, so that what changes now is too young.
        let seen = observe::look(&paths, &session.machine.digests);
        let declared = prepared.paths.iter().skip(1).map(|it| (it.clone(), Manner::Open));
        let all: Vec<_> = paths.iter().cloned().chain(declared).collect();
        observe::settled(&all, began)
            .map_err(|it| format!("`{}` was changed while it ran, or just before", it.display()))?;
        Ok(Keep { key: prepared.inputs.key(), seen, observed: Observed { paths } })
    }

    /// Returns what a run on the machine read, as Go tells it.
    fn read(&self, scratch: &Scratch) -> Result<Vec<(PathBuf, Manner)>, String> {
        let log = std::fs::read(scratch.log()).ok();
        let log = log.and_then(|it| TestLog::parse(&it, &self.folder));
        let Some(log) = log else { return Err("Go did not tell what it read".to_owned()) };
        let all = log.paths.into_iter();
        // It is known by content, and new to each build.
        let is_own = |path: &Path| path == self.program;
        Ok(all.filter(|(path, _)| !is_own(path) && observe::counts(path, scratch.path())).collect())
    }

    /// Keeps a pass, and tells it.
    fn keep(&self, session: &TestSession<'_>, prepared: &Prepared, ran: Ran) -> Judged {
        let (mut notes, mut saw) = (Vec::new(), None);
        match &ran.keeps {
            Ok(Keep { key, observed, seen }) => {
                let store = &session.machine.store;
                let milliseconds = millis(ran.time);
                let (cases, profile) = (ran.account.cases.clone(), ran.profile.as_ref());
                let pass = Pass { milliseconds, cases, profile: profile.map(Profile::text) };
                store.put_action(&result_key(key, seen), &pass);
                store.put_action(key, observed);
                saw = self.saw(prepared, observed);
            }
            Err(why) => notes.push(format!("the pass is not kept: {why}")),
        }
        let mut finished = self.told(prepared, ran, 1);
        finished.notes.extend(notes);
        Judged { finished, saw }
    }

    fn told(&self, prepared: &Prepared, ran: Ran, runs: usize) -> TestFinished {
        let Account { outcome, reason, cases, output } = ran.account;
        let output = if is_failure(outcome) { output } else { String::new() };
        let (milliseconds, notes) = (millis(ran.time), ran.notes);
        let (ran_in, rest) = (prepared.ran_in(), self.finished());
        TestFinished { outcome, ran_in, runs, milliseconds, reason, notes, cases, output, ..rest }
            .covering(ran.profile)
    }

    fn not_run(&self, Unrun { outcome, reason }: Unrun) -> TestFinished {
        TestFinished { outcome, reason: Some(reason), ..self.finished() }
    }

    fn finished(&self) -> TestFinished {
        unknown(self.built)
    }

    fn tell_start(&self, session: &TestSession<'_>, prepared: &Prepared, run: usize) -> usize {
        let step = session.machine.next_step();
        let program = self.program.strip_prefix(session.root).unwrap_or(&self.program);
        let program = match self.folder.strip_prefix(session.root) {
            // Relative to the folder that it runs in, so that the line can be pasted.
            Ok(below) => Path::new(&"../".repeat(below.components().count())).join(program),
            Err(_) => self.program.clone(),
        };
        let words = std::iter::once(program.to_string_lossy().into_owned());
        let argv = words.chain(prepared.inputs.arguments.iter().cloned()).collect();
        let own = |it: &&String| self.run.pass_env.contains(it);
        let env = prepared.inputs.environment.iter().filter(|it| own(&it.0));
        let env = env.map(|(name, value)| format!("{name}={value}")).collect();
        let folder = self.built.source_folder.clone().unwrap_or_default();
        let again = if run > 1 { format!(" (run {run})") } else { String::new() };
        let sealed = if prepared.root.is_some() { " in a sealed root" } else { "" };
        let Naming { label, go_package, platform } = Naming::of(self.built);
        let on = platform.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
        let what = format!("test {go_package}{on}{sealed}{again}");
        (session.sink)(Event::StepStarted { step, what, argv, env, folder });
        (session.sink)(Event::TestStarted { label, go_package, platform, run });
        step
    }
}

/// Reads what a test binary counted.
fn counted(scratch: &Scratch) -> Result<Profile, String> {
    // The test could have put anything in its place.
    let text = read_own(&scratch.profile(), LONGEST_PROFILE);
    let text = text.map_err(|error| format!("it wrote no coverage profile: {error}"))?;
    if text.is_empty() {
        return Err("it wrote no coverage profile".to_owned());
    }
    Profile::parse(&String::from_utf8_lossy(&text)).map_err(|error| error.to_string())
}

/// Returns the pass that is kept under `key`, if what its run looked at is as it was, and that.
fn recall(session: &TestSession<'_>, key: &Digest) -> Option<(Pass, Observed)> {
    let store = &session.machine.store;
    let observed: Observed = store.action(key)?;
    let seen = observe::look(&observed.paths, &session.machine.digests);
    Some((store.action(&result_key(key, &seen))?, observed))
}

impl From<TestFinished> for Judged {
    /// Nothing of it is kept.
    fn from(finished: TestFinished) -> Self {
        Self { finished, saw: None }
    }
}

fn failure_of(account: &Account) -> String {
    use crate::plan::test_account::CaseOutcome::{Failed, Unfinished};
    let bad = account.cases.iter().filter(|it| matches!(it.outcome, Failed | Unfinished));
    let names: Vec<_> = bad.map(|it| it.name.clone()).collect();
    match (&account.reason, names.as_slice()) {
        (Some(reason), []) => reason.clone(),
        (_, names) => listed(names),
    }
}

impl Prepared {
    #[expect(clippy::unnecessary_wraps, reason = "it is told so")]
    fn ran_in(&self) -> Option<RunIn> {
        Some(if self.root.is_some() { RunIn::Sealed } else { RunIn::Host })
    }
}

fn listed(names: &[String]) -> String {
    let shown: Vec<_> = names.iter().take(MOST_NAMES).map(|it| format!("`{it}`")).collect();
    match names.len().saturating_sub(MOST_NAMES) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Returns a text that no other one has, be it UTF-8 or not.
fn exact(text: &OsStr) -> String {
    let escaped = || format!("bytes {}", text.as_encoded_bytes().escape_ascii());
    text.to_str().map_or_else(escaped, str::to_owned)
}

#[expect(clippy::disallowed_methods, reason = "held against file times, never shown or stored")]
fn now() -> SystemTime {
    SystemTime::now()
}
