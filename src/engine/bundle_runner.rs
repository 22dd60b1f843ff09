//! Makes the program that runs a bundle where there is no shell.
//!
//! It is a Go program whose source linkwright brings. As with a probe, it is a workspace of its own
//! in a temporary folder, built, verified and kept by the same code as every other program: what is
//! in the store for its source, toolchain and platform is taken from there.

use crate::effects::file::write_new;
use crate::effects::lock::Patience;
use crate::effects::outputs::Outputs;
use crate::effects::workspace::load_rules;
use crate::engine::event::{Event, Finished};
use crate::engine::go_job;
use crate::engine::go_unit::Unfit;
use crate::engine::request::BuildRequest;
use crate::engine::session::{Delivered, Recorded, Session};
use crate::formats::build_file::parse;
use crate::model::go_sdk::GoSdk;
use crate::model::resolve::resolve;
use crate::model::strategy::RuleSet;
use crate::model::target::{GoSettings, Rule, Target};
use crate::model::targets::Targets;
use crate::plan::bundle::RUNNER;
use crate::words::digest::Digest;
use crate::words::exit_code::ExitCode;
use crate::words::label::PackagePath;
use crate::words::span::Source;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};

/// The module that the source is put into; the oldest Go that is driven compiles it.
const GO_MOD: &str = "module linkwright.bundle/run\n\ngo 1.19\n";

/// A program that was made; its file goes with the value.
#[derive(Debug)]
pub struct Runner {
    /// The file.
    pub file: PathBuf,
    /// Its bytes.
    pub digest: Digest,
    _folder: tempfile::TempDir,
}

/// Makes the runner for a platform, two words of Go, by the toolchain `go`, or by the one on PATH.
///
/// # Errors
///
/// Returns why it did not come out, or not as a static program.
pub fn make(
    session: &Session<'_>,
    go: Option<&Arc<GoSdk>>,
    platform: (&str, &str),
) -> Result<Runner, Unfit> {
    let folder = tempfile::Builder::new().prefix("linkwright-bundle-").tempdir();
    let folder = folder.map_err(|it| no_place(&it))?;
    let root = folder.path().canonicalize().map_err(|it| no_place(&it))?;
    write_new(&root.join("go.mod"), GO_MOD.as_bytes()).map_err(|it| no_place(&it))?;
    write_new(&root.join("main.go"), RUNNER.as_bytes()).map_err(|it| no_place(&it))?;
    // The workspace's own rules may say `pure` and mean something else.
    let rules = load_rules(None).map_err(|it| ours(&it.to_string()))?;
    let targets = declared(&rules, platform)?;
    let mut wanted: Vec<Target> = targets.iter().cloned().collect();
    for target in &mut wanted {
        if let Rule::GoBinary(it) = &mut target.rule {
            let settings = it.settings.iter().cloned();
            it.settings = settings.map(|it| GoSettings { go: go.cloned(), ..it }).collect();
        }
    }
    let machine = session.machine;
    let (limit, stop) = (session.request.lock_limit, &|| machine.interrupt.is_set());
    let outputs = Outputs::open(&root, &Patience { limit, waiting: &|_| {}, stop });
    let outputs = outputs.map_err(|it| Unfit::of_output(&it))?;
    let request = BuildRequest { root: root.clone(), smoke: false, ..session.request.clone() };
    let steps = Mutex::new(BTreeMap::new());
    let sink = |event: Event| pass_on(session, &steps, event);
    let (deliveries, delivered) = mpsc::channel();
    let tools = (machine, Some(&outputs));
    let inner = Session::new(&request, (&targets, &rules), tools, &sink, deliveries);
    let _ = go_job::run(&inner, &wanted.iter().collect::<Vec<_>>());
    drop(inner);
    match delivered.into_iter().next() {
        Some(Delivered { record: Some(Recorded::Linkage(record)), .. }) => Ok(Runner {
            file: record.output.below(outputs.folder()),
            digest: record.blake3,
            _folder: folder,
        }),
        Some(Delivered { finished, .. }) => Err(unmade(Arc::unwrap_or_clone(finished))),
        None => Err(ours("nothing was made")),
    }
}

/// Declares the program.
fn declared(rules: &RuleSet, (goos, goarch): (&str, &str)) -> Result<Targets, Unfit> {
    let text = format!(
        "build(targets: [go_binary(name: \"run\", link: \"pure\", ldflags: [\"-s\", \"-w\"], \
         goos: {goos:?}, goarch: {goarch:?})])"
    );
    let source = Arc::new(Source { name: "BUILD.ron".to_owned(), text });
    let (spec, problems) = parse(&source, &PackagePath::root());
    if !problems.is_empty() {
        return Err(Unfit::of_problems(problems));
    }
    resolve(vec![spec], rules).map_err(Unfit::of_problems)
}

/// Tells of the processes of the inner build, by numbers of the outer one.
fn pass_on(session: &Session<'_>, steps: &Mutex<BTreeMap<usize, usize>>, event: Event) {
    let Ok(mut steps) = steps.lock() else { return };
    match event {
        Event::StepStarted { step, what, argv, env, .. } => {
            let env = env.iter().filter_map(|it| it.split_once('='));
            let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let [program, args @ ..] = argv.as_slice() else { return };
            let what = format!("{what}, which runs bundles");
            let own = session.step(what, program, args, &env, &session.request.root);
            steps.insert(step, own);
        }
        Event::StepFinished { step, ok } => {
            if let Some(own) = steps.remove(&step) {
                session.step_ended(own, ok);
            }
        }
        _ => {}
    }
}

fn unmade(finished: Finished) -> Unfit {
    let Finished { error, hints, exit_code, .. } = finished;
    let code = ExitCode::ALL.into_iter().find(|it| it.number() == exit_code);
    Unfit {
        error: format!("the program that runs the bundle: {}", error.unwrap_or_default()),
        hints,
        code: code.unwrap_or(ExitCode::Bug),
    }
}

fn no_place(error: &io::Error) -> Unfit {
    Unfit {
        error: format!("there is no place for the program that runs the bundle: {error}"),
        hints: vec!["free some space where temporary files go".to_owned()],
        code: ExitCode::Disk,
    }
}

fn ours(what: &str) -> Unfit {
    let error = format!("the program that runs the bundle: {what}; this is a bug");
    Unfit { error, hints: Vec::new(), code: ExitCode::Bug }
}
