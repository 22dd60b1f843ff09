//! A bug of ours in the middle of a build: one target fails, and nothing is half done.

use crate::support::machine;
use crate::workspace::{Workspace, prints, shared};
use linkwright::effects::machine::Machine;
use linkwright::effects::store::Store;
use linkwright::engine::build::build;
use linkwright::engine::event::{Counts, Event};
use linkwright::engine::request::{AfterFailure, BuildRequest, Mode};
use linkwright::words::label::PackagePath;
use linkwright::words::pattern::PatternSet;
use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::time::Duration;

/// Builds as the program does, in this process, without a guard.
fn build_here(it: &Workspace, sink: &(dyn Fn(Event) + Sync)) -> Counts {
    let loaded = linkwright::effects::workspace::load(&it.root()).unwrap();
    let variables: BTreeMap<_, _> =
        it.linkwright(&[]).get_envs().filter_map(|it| Some((it.0.into(), it.1?.into()))).collect();
    let stamps = Store::new(&it.store()).root().join("stamps");
    let machine = Machine {
        step_limit: Duration::from_mins(5),
        ..machine(variables.clone(), &shared("go-cache"), &it.store(), &stamps)
    };
    let request = BuildRequest {
        root: it.root(),
        patterns: PatternSet::parse::<String>(&[], &PackagePath::root()).unwrap(),
        jobs: NonZeroUsize::new(2).unwrap(),
        after_failure: AfterFailure::KeepGoing,
        mode: Mode::Build,
        store: it.store(),
        lock_limit: Duration::from_mins(1),
        program: None,
        only_tests: false,
        paranoid: false,
        smoke: false,
        go_cache: None,
        variables,
        guard: None,
    };
    build(&request, (&loaded.targets, &loaded.rules), &machine, sink).unwrap().counts
}

/// The panic is planted in what hears of events, which a worker calls in the middle of its work.
#[test]
fn a_panic_in_a_worker_is_told_with_its_target_and_commits_nothing() {
    let rules = r#"build(defaults: (link: "pure"), targets: [
        command(name: "gen", argv: ["cp", "in", "gen.txt"], inputs: ["in"], outputs: ["gen.txt"]),
        go_binary(name: "p"),
    ])"#;
    let files = [("BUILD.ron", rules), ("in", "x\n"), ("main.go", &*prints("one"))];
    let Some(it) = Workspace::new(&files) else { return };
    for (planted, victim) in [("link program", "//:p"), ("run //:gen", "//:gen")] {
        let told = Mutex::new(Vec::new());
        let counts = build_here(&it, &|event| {
            let step = match &event {
                Event::StepStarted { what, .. } => what.clone(),
                _ => String::new(),
            };
            if let Event::Finished(it) = event {
                told.lock().unwrap().push(it);
            }
            assert!(!step.contains(planted), "planted");
        });
        assert_eq!((counts.exit_code, counts.failed, counts.built), (37, 1, 1), "{planted}");
        let told = told.into_inner().unwrap();
        let failed = told.iter().find(|it| it.exit_code == 37).unwrap();
        assert_eq!(failed.label.to_string(), victim);
        let is_there = [it.bin("p").exists(), it.path("gen.txt").exists()];
        assert_eq!(is_there, [victim != "//:p", victim != "//:gen"], "{planted}");
        let counts = build_here(&it, &|_| ());
        assert_eq!((counts.exit_code, counts.failed), (0, 0), "{planted}");
        assert_eq!((it.says("p"), it.read("gen.txt")), ("one\n".into(), "x\n".into()));
        it.built().came("up_to_date 2");
        fs::remove_dir_all(it.path("linkwright-out")).unwrap();
        fs::remove_dir_all(it.store()).unwrap();
        it.remove("gen.txt");
    }
}
