//! A run of tests in which nothing changed, told from one look at the files, without any process.
//!
//! [`remember`] writes down what the tests saw, and which memory of the build they belong to
//! ([`crate::engine::recall`]). If both hold, the build would end the same, and each test too.
//!
//! | not remembered | because |
//! |---|---|
//! | a run in which a binary did not pass, or whose pass is not kept | it is to be run again |
//! | one after a build that is not remembered | it has more to do |
//! | one that looked at something younger than itself | it may have changed during the run |
//! | tests in a root with files that are chosen from the machine's | which these are no look tells |
//!
//! What a test looked at is held to its stamp here, be it that it read it or not. Where that is
//! another one, the result's own key decides ([`crate::plan::test_inputs`]).

use crate::effects::folders::Links;
use crate::effects::last_run::LastRun;
use crate::effects::machine::Machine;
use crate::effects::observe;
use crate::effects::scene::Scene;
use crate::effects::sight::Sights;
use crate::effects::test_process;
use crate::engine::event::{Counts, Event, Sink, TestFinished};
use crate::engine::recall::{self, Remembered};
use crate::engine::request::{BuildRequest, Effort, Shard, TestRequest};
use crate::engine::test_job::{Judged, Saw};
use crate::formats::cover_profile::Profile;
use crate::model::run_in::RunIn;
use crate::model::target::Target;
use crate::model::targets::Targets;
use crate::plan::fingerprint::Framed;
use crate::plan::test_account::{Case, CaseOutcome, Outcome};
use crate::words::digest::Digest;
use crate::words::label::Label;
use crate::words::path::OUTPUT_FOLDER;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::SystemTime;

/// What is remembered of a run: the digest of the memory of its build, and what it told of tests.
type Run = LastRun<Digest, ToldTest>;

/// What a run told of one test binary.
#[derive(Debug, Serialize, Deserialize)]
struct ToldTest {
    label: Label,
    go_package: String,
    platform: Option<String>,
    source_folder: Option<String>,
    outcome: Outcome,
    ran_in: Option<RunIn>,
    milliseconds: u64,
    profile: Option<String>,
    /// Name, outcome, milliseconds and output of each test.
    cases: Vec<(String, CaseOutcome, u64, String)>,
}

/// What is remembered of a run of tests, and of the build before it.
#[derive(Debug)]
pub enum Recalled {
    /// A run today would be the same, and was told, but for its end: the counts of its build, and
    /// its tests.
    Told(Counts, Vec<TestFinished>),
    /// The build, if that would be the same; nothing was told.
    Build(Option<Remembered>),
    /// These requests are not to be told from memory, and nothing was looked at.
    Unasked,
}

/// Looks once at what the last run with these requests saw, and tells it if a run today would be
/// the same.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "held against file times, never shown or stored")]
pub fn recall(build: &BuildRequest, tests: &TestRequest, sink: Sink<'_>) -> Recalled {
    let Some(question) = question(build, tests) else { return Recalled::Unasked };
    let values = |names: &[String]| recall::values(build, names);
    let now = SystemTime::now();
    let Some(remembered) = recall::that_holds(build) else { return Recalled::Build(None) };
    let held = Run::that_holds(&recall::last_runs(build), &question, values, now);
    let held = held.filter(|it| remembered.digest == it.about);
    let tests = held.and_then(|it| it.told.into_iter().map(ToldTest::finished).collect());
    let Some(tests): Option<Vec<_>> = tests else { return Recalled::Build(Some(remembered)) };
    let Some(counts) = recall::tell(build, remembered.told, sink) else {
        return Recalled::Build(None);
    };
    for it in &tests {
        sink(Event::TestFinished(Box::new(it.clone())));
    }
    Recalled::Told(counts, tests)
}

/// Writes down what a run saw and told after the build whose memory has the digest `remembered`, if
/// all of its tests passed and are kept. A run that is not is only longer the next time.
pub fn remember(
    (build, tests): (&BuildRequest, &TestRequest),
    (targets, machine): (&Targets, &Machine),
    remembered: Digest,
    judged: &[Judged],
) {
    let told: Option<Vec<_>> = judged.iter().map(|it| ToldTest::of(&it.finished)).collect();
    let saw: Option<Vec<_>> = judged.iter().map(|it| it.saw.as_ref()).collect();
    let labels: BTreeSet<_> = judged.iter().map(|it| &it.finished.label).collect();
    let targets: Vec<_> = labels.into_iter().filter_map(|it| targets.get(it)).collect();
    if let (Some(question), Some(tests), Some(saw)) = (question(build, tests), told, saw)
        && let Some(sights) = sights(build, machine, (&targets, &saw))
    {
        let passed =
            targets.iter().filter_map(|it| it.rule.tests()).flat_map(|it| &it.run.pass_env);
        let mut names: BTreeSet<String> = passed.cloned().collect();
        names.extend(test_process::PASSED.map(str::to_owned));
        let names: Vec<_> = names.into_iter().collect();
        let values = recall::values(build, &names);
        let (drawn, variables) = (machine.began, (names, values));
        let (about, told) = (remembered, tests);
        let run = Run { question, variables, drawn, sights, about, told };
        let _ = run.write(&build.root.join(OUTPUT_FOLDER));
    }
}

/// Draws the binaries, what the tests saw, and what globs of `data` look through; `None` if
/// something is too young.
fn sights(
    build: &BuildRequest,
    Machine { began, digests, .. }: &Machine,
    (targets, saw): (&[&Target], &[&Saw]),
) -> Option<Sights> {
    let mut scene = Scene::empty(*began);
    for it in saw {
        let testdata = it.folder.join("testdata");
        for path in observe::below(&testdata).iter().filter(|it| it.is_dir()) {
            scene.folder(path);
        }
        if !testdata.is_dir() {
            scene.nothing(&testdata);
        }
        for (path, manner) in &it.paths {
            scene.looked(path, *manner);
        }
    }
    scene.outputs(saw.iter().map(|it| it.program.clone()).collect(), digests);
    let has_data = |it: &&&Target| it.rule.tests().is_some_and(|it| !it.run.data.is_empty());
    for it in targets.iter().filter(has_data) {
        let folder = build.root.join(it.label.package().as_str());
        scene.tree((&folder, Links::Left), digests, recall::is_entered, |_| false);
    }
    scene.clear().ok()
}

/// Digests what is asked and who is asked; `None` if it is not to be told from memory.
fn question(build: &BuildRequest, tests: &TestRequest) -> Option<Digest> {
    // How often one that fails is run again makes no difference to those that passed.
    let TestRequest { filter, shard, retries: _, timeout, run_in, effort, fresh } = tests;
    if *effort != Effort::Once || *fresh {
        return None;
    }
    let mut framed = Framed::new("linkwright test question 2");
    framed.digest(&recall::question(build, recall::asking(build)?));
    framed.optional(filter.as_ref(), |framed, it| framed.text(it));
    framed.optional(shard.as_ref(), |framed, Shard { index, count }| {
        framed.count(*index);
        framed.count(count.get());
    });
    framed.optional(timeout.as_ref(), |framed, it| framed.text(&it.as_nanos().to_string()));
    framed.optional(run_in.as_ref(), |framed, it| framed.count(usize::from(*it == RunIn::Sealed)));
    Some(framed.finish())
}

impl ToldTest {
    fn of(finished: &TestFinished) -> Option<Self> {
        let TestFinished {
            label,
            go_package,
            platform,
            source_folder,
            outcome: outcome @ (Outcome::Passed | Outcome::NoTests),
            ran_in,
            kept: _,
            flaky: false,
            runs: _,
            milliseconds,
            reason: None,
            coverage: _,
            profile,
            notes: _,
            cases,
            output: _,
        } = finished.clone()
        else {
            return None;
        };
        let case = |it: Case| {
            let Case { name, outcome, milliseconds, output } = it;
            (name, outcome, milliseconds, output)
        };
        let cases = cases.into_iter().map(case).collect();
        let profile = profile.map(|it| it.text());
        Some(Self {
            label,
            go_package,
            platform,
            source_folder,
            outcome,
            ran_in,
            milliseconds,
            profile,
            cases,
        })
    }

    fn finished(self) -> Option<TestFinished> {
        let case =
            |(name, outcome, milliseconds, output)| Case { name, outcome, milliseconds, output };
        let profile = self.profile.map(|it| Profile::parse(&it)).transpose().ok()?;
        let finished = TestFinished {
            label: self.label,
            go_package: self.go_package,
            platform: self.platform,
            source_folder: self.source_folder,
            outcome: self.outcome,
            ran_in: self.ran_in,
            kept: true,
            flaky: false,
            runs: 0,
            milliseconds: self.milliseconds,
            reason: None,
            coverage: None,
            profile: None,
            notes: Vec::new(),
            cases: self.cases.into_iter().map(case).collect(),
            output: String::new(),
        };
        Some(finished.covering(profile))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pass_that_needs_no_more_words_is_told_again() {
        let case = |name: &str, outcome, output: &str| Case {
            name: name.to_owned(),
            outcome,
            milliseconds: 7,
            output: output.to_owned(),
        };
        let passed = ToldTest {
            label: Label::parse("//:tests", &crate::words::label::PackagePath::root()).unwrap(),
            go_package: "m/a".to_owned(),
            platform: None,
            source_folder: Some("a".to_owned()),
            outcome: Outcome::Passed,
            ran_in: Some(RunIn::Host),
            milliseconds: 8,
            profile: Some("mode: set\nm/a/a.go:1.1,2.2 1 1\n".to_owned()),
            cases: Vec::new(),
        };
        let mut passed = passed.finished().unwrap();
        passed.cases = vec![
            case("TestA", CaseOutcome::Passed, ""),
            case("TestB", CaseOutcome::Skipped, "why"),
        ];
        let told = postcard::to_stdvec(&ToldTest::of(&passed).unwrap()).unwrap();
        let again = postcard::from_bytes::<ToldTest>(&told).unwrap().finished().unwrap();
        assert_eq!(again, passed);
        assert!(again.coverage.is_some() && again.kept);
        let flaky = TestFinished { flaky: true, ..passed.clone() };
        let failed = TestFinished { outcome: Outcome::Failed, ..passed.clone() };
        let odd = TestFinished { reason: Some("why".to_owned()), ..passed };
        assert!([flaky, failed, odd].iter().all(|it| ToldTest::of(it).is_none()));
    }
}
