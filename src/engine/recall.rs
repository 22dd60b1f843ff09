//! A run in which nothing changed, told from one look at the files and without any process.
//!
//! [`remember`] draws, after a run that succeeded, the scene of all that it saw: rule files, Go
//! sources with their folders, programs on PATH, outputs. Of toolchains it says which they were;
//! what they are made of is kept beside it ([`crate::effects::go_memory`]). [`recall`] looks again
//! at both, and if all is the same the run would end the same.
//!
//! | not remembered | because |
//! |---|---|
//! | a run with something skipped or failed | it has more to do |
//! | one that looked at something younger than itself | it may have changed during the run |
//! | one in which `go list` told errors | what it could not load may be there the next time |
//! | outputs stamped with the state of a repository | `git` decides that |
//! | one whose `go` is a script that leads to a toolchain | it may lead to another the next time |

use crate::effects::digests::Digests;
use crate::effects::folders::Links;
use crate::effects::go_env::{NETWORK, PLACES};
use crate::effects::go_memory::{self, UsedGo};
use crate::effects::go_root::COMMANDS;
use crate::effects::go_sdk::go_settings;
use crate::effects::go_tool::{GoModuleFolder, GoTool};
use crate::effects::last_run::{Holds, LastRun, LastRuns};
use crate::effects::machine::{Machine, PASSED};
use crate::effects::outputs::Outputs;
use crate::effects::scene::Scene;
use crate::effects::workspace;
use crate::engine::event::{Counts, Event, Finished, Sink, State};
use crate::engine::request::{BuildRequest, Mode};
use crate::engine::session::{Delivered, Recorded, Session};
use crate::model::target::{Bundle, Rule, Target};
use crate::plan::fingerprint::Framed;
use crate::plan::record::Record;
use crate::words::digest::Digest;
use crate::words::label::Label;
use crate::words::path::{OUTPUT_FOLDER, RelPath};
use crate::words::pattern::Pattern;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// What is remembered of a run: the Go toolchains that it used, and what it told.
type Run = LastRun<Vec<UsedGo>, Told>;

/// What a run told, if one today would tell the same.
#[derive(Debug)]
pub struct Remembered {
    /// What it told.
    pub told: Vec<Told>,
    /// Tells one memory from another.
    pub digest: Digest,
}

/// How a build ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// What it counted.
    pub counts: Counts,
    /// The digest of what is remembered of it, if it is.
    pub remembered: Option<Digest>,
}

/// What a run told of one output that was in place.
#[derive(Debug, Serialize, Deserialize)]
pub struct Told {
    label: Label,
    /// Its place in [`Rule::KINDS`].
    rule: u8,
    go_package: Option<String>,
    platform: Option<String>,
    output: Option<RelPath>,
    source_folder: Option<String>,
    class: Option<String>,
    strategy: Option<String>,
    size: Option<u64>,
    go: Option<String>,
    warnings: Vec<String>,
}

/// What a run saw besides the files that were digested in it.
#[derive(Debug)]
pub struct Seen<'a> {
    /// The targets that were asked for, and all that they need.
    pub targets: Vec<&'a Target>,
    /// The Go modules that packages were looked up from.
    pub modules: BTreeSet<GoModuleFolder>,
    /// Folders of local Go packages, and those of their modules.
    pub folders: BTreeSet<PathBuf>,
    /// The Go toolchains that were used.
    pub toolchains: Vec<GoTool>,
    /// Whether packages were looked up among Go's own commands.
    pub commands: bool,
    /// Whether `go list` told errors, or which toolchain there is cannot be told by looking.
    pub troubled: bool,
}

/// Tells the last run with this request, if a run today would be the same; returns how it ended.
#[must_use]
pub fn recall(request: &BuildRequest, sink: Sink<'_>) -> Option<Ended> {
    told_again(request, that_holds(request)?, sink)
}

/// Tells a run that is remembered and would be the same today; returns how it ended.
#[must_use]
pub fn told_again(request: &BuildRequest, held: Remembered, sink: Sink<'_>) -> Option<Ended> {
    let counts = tell(request, held.told, sink)?;
    sink(Event::Done(counts));
    Some(Ended { counts, remembered: Some(held.digest) })
}

/// Returns what is remembered of the last run with this request, if a run today would be the same.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "held against file times, never shown or stored")]
pub fn that_holds(request: &BuildRequest) -> Option<Remembered> {
    let runs = last_runs(request);
    let question = question(request, asking(request)?);
    let values = |names: &[String]| values(request, names);
    let now = SystemTime::now();
    let Holds { about: toolchains, told, digest } = Run::that_holds(&runs, &question, values, now)?;
    let is_kept = |it: &UsedGo| go_memory::kept(&runs, &it.program, &it.root) == Some(it.identity);
    toolchains.iter().all(is_kept).then_some(Remembered { told, digest })
}

/// Says where a run that is told from memory looks.
#[must_use]
pub fn last_runs(request: &BuildRequest) -> LastRuns {
    LastRuns { folder: request.root.join(OUTPUT_FOLDER), is_written: true }
}

/// Returns the program whose runs are remembered, if this one may be told from memory.
#[must_use]
pub fn asking(request: &BuildRequest) -> Option<&Path> {
    let plain = request.mode == Mode::Build && !request.paranoid;
    request.program.as_deref().filter(|_| plain)
}

/// Tells outputs that are as they were, as a build tells them, but for its end; returns the counts.
#[must_use]
pub fn tell(request: &BuildRequest, told: Vec<Told>, sink: Sink<'_>) -> Option<Counts> {
    let finished: Option<Vec<_>> = told.into_iter().map(Told::finished).collect();
    let finished = finished?;
    let mut targets: Vec<_> = finished.iter().map(|it| &it.label).collect();
    // They are almost in order: outputs are told target by target.
    targets.sort();
    targets.dedup();
    sink(Event::Started { targets: targets.len(), jobs: request.jobs.get() });
    sink(Event::Planned { outputs: finished.len() });
    let counts = Counts { up_to_date: finished.len(), recalled: true, ..Counts::default() };
    for it in finished {
        sink(Event::Finished(Arc::new(it)));
    }
    Some(counts)
}

/// Writes down what a run saw and told, if it succeeded and all of it can be told by looking;
/// returns the digest of what is remembered.
pub fn remember(
    request: &BuildRequest,
    (machine, outputs): (&Machine, &Outputs),
    seen: &Seen<'_>,
    results: &[Delivered],
    ledger: &str,
) -> Option<Digest> {
    let program = request.program.as_ref()?;
    if !results.iter().all(is_there) || seen.troubled {
        return None;
    }
    let told: Option<Vec<_>> = results.iter().map(Told::of).collect();
    let toolchains: Option<Vec<_>> = seen.toolchains.iter().map(|it| it.keep(machine)).collect();
    let (told, about) = (told?, toolchains?);
    let parts: Vec<_> = seen.toolchains.iter().map(|it| go_memory::is_part(&it.root)).collect();
    let is_elsewhere = |path: &Path| parts.iter().any(|it| it(path));
    let question = question(request, program);
    let before = Run::sights(outputs.folder(), &question);
    let mut scene = Scene::new(machine.began, &machine.digests, is_elsewhere).after(before);
    draw_rules(&mut scene, request, &machine.digests);
    draw_go(&mut scene, machine, seen, is_elsewhere);
    draw_program(&mut scene, program, machine);
    draw_targets(&mut scene, request, machine, seen);
    let linked = results.iter().filter_map(linkage_of);
    let mut files: Vec<_> =
        linked.map(|it| (it.output.below(outputs.folder()), it.blake3)).collect();
    files.push((outputs.folder().join("ledger.json"), Digest::of(ledger.as_bytes())));
    scene.outputs(files, &machine.digests);
    let sights = scene.clear().ok()?;
    let commands = seen.targets.iter().filter_map(|it| it.rule.command());
    let mut names: BTreeSet<&str> = PASSED.into_iter().chain(NETWORK).chain(PLACES).collect();
    names.extend(commands.flat_map(|it| it.pass_env.iter().map(String::as_str)));
    let names: Vec<_> = names.into_iter().map(str::to_owned).collect();
    let values = values(request, &names);
    let run =
        Run { question, variables: (names, values), drawn: machine.began, sights, about, told };
    // Without it the next run only takes longer.
    run.write(outputs.folder()).ok()
}

/// Digests what is asked and who is asked.
#[must_use]
pub fn question(request: &BuildRequest, program: &Path) -> Digest {
    let mut framed = Framed::new("linkwright question 4");
    framed.text(env!("CARGO_PKG_VERSION"));
    for path in [program, &request.root, &request.store] {
        framed.bytes(path.as_os_str().as_encoded_bytes());
    }
    framed.optional(request.go_cache.as_ref(), |framed, it| {
        framed.bytes(it.as_os_str().as_encoded_bytes());
    });
    let texts = |them: &[Pattern]| -> Vec<_> { them.iter().map(ToString::to_string).collect() };
    framed.list(&texts(&request.patterns.wanted));
    framed.list(&texts(&request.patterns.left_out));
    framed.count(usize::from(request.only_tests));
    framed.finish()
}

/// Digests the caller's values of the variables `names`.
#[must_use]
pub fn values(request: &BuildRequest, names: &[String]) -> Digest {
    let mut framed = Framed::new("linkwright variables 1");
    for name in names {
        framed.text(name);
        let value = request.variables.get(OsStr::new(name));
        framed.optional(value, |framed, it| framed.bytes(it.as_encoded_bytes()));
    }
    framed.finish()
}

/// Tells whether what a folder holds may be an input.
#[must_use]
pub fn is_entered(folder: &Path) -> bool {
    folder.file_name().is_none_or(|it| it != ".git" && it != OUTPUT_FOLDER)
}

/// Rule files, the folders that are searched for them, and the folder of rules.
fn draw_rules(scene: &mut Scene, request: &BuildRequest, digests: &Digests) {
    let is_rule = |it: &Path| it.file_name().is_some_and(|it| it == workspace::BUILD_FILE);
    scene.tree((&request.root, Links::Left), digests, workspace::is_searched, is_rule);
    let rules = request.root.join("rules");
    let ron = |it: &Path| it.extension().is_some_and(|it| it == "ron");
    if rules.is_dir() {
        scene.tree((&rules, Links::Left), digests, |_| false, ron);
    }
}

/// Go's settings, and every folder in which Go looks for packages, with the files that may be or
/// become a part of one; but not what is kept elsewhere.
fn draw_go(
    scene: &mut Scene,
    machine: &Machine,
    seen: &Seen<'_>,
    is_elsewhere: impl Fn(&Path) -> bool,
) {
    if seen.toolchains.is_empty() {
        return;
    }
    let digests = &machine.digests;
    for go in &seen.toolchains {
        let commands = go.root.join(COMMANDS);
        if seen.commands && commands.is_dir() {
            scene.tree((&commands, Links::Followed), digests, is_entered, |_| true);
        }
    }
    for path in go_settings(machine) {
        scene.perhaps(&path, digests);
    }
    let is_go = |it: &Path| it.extension().is_some_and(|it| it == "go");
    for module in &seen.modules {
        let go_mod = module.folder.join("go.mod");
        for (name, found) in [("go.mod", Some(&go_mod)), ("go.work", module.work.as_ref())] {
            draw_search(scene, &module.folder, (name, found), digests);
        }
        if let Some(work) = &module.work {
            scene.perhaps(&work.with_extension("work.sum"), digests);
        }
    }
    // A module comes before its packages, and has drawn most of them.
    let roots: BTreeSet<_> =
        seen.modules.iter().map(|it| &it.folder).chain(&seen.folders).collect();
    // Where one of these is absent, the names in its folder say so.
    let is_read = |it: &Path| is_go(it) || it.ends_with("go.mod") || it.ends_with("go.sum");
    let mut drawn = HashSet::new();
    for root in roots.into_iter().filter(|it| !is_elsewhere(it)) {
        if !drawn.contains(root) {
            drawn.extend(scene.tree((root, Links::Left), digests, is_entered, is_read));
        }
    }
}

/// Draws where `name` is not, in `folder` and above it, up to where it was found.
fn draw_search(
    scene: &mut Scene,
    folder: &Path,
    (name, found): (&str, Option<&PathBuf>),
    digests: &Digests,
) {
    for path in folder.ancestors().map(|it| it.join(name)) {
        if found == Some(&path) {
            return scene.file(&path, digests);
        }
        scene.nothing(&path);
    }
}

/// linkwright itself, and every program that was looked for.
fn draw_program(scene: &mut Scene, program: &Path, machine: &Machine) {
    scene.file(program, &machine.digests);
    let folders = machine.search_path();
    for name in machine.looked.programs() {
        scene.search(&folders, &name);
    }
    let (there, absent) = machine.looked.folders();
    for folder in there {
        scene.folder(&folder);
    }
    for path in absent {
        scene.nothing(&path);
    }
}

/// What globs look through, and what commands make.
fn draw_targets(scene: &mut Scene, request: &BuildRequest, machine: &Machine, seen: &Seen<'_>) {
    for target in &seen.targets {
        let folder = request.root.join(target.label.package().as_str());
        match &target.rule {
            Rule::Files(_) | Rule::CLibrary(_) => {
                scene.tree((&folder, Links::Left), &machine.digests, is_entered, |_| false);
            }
            Rule::Command(it) => {
                scene.tree((&folder, Links::Left), &machine.digests, is_entered, |_| false);
                for output in &it.outputs {
                    scene.output_as_found(&output.below(&request.root), &machine.digests);
                }
            }
            rule if rule.go_settings().iter().any(|it| it.buildvcs) => scene.unclear(&folder),
            Rule::Bundle(it) => draw_bundle(scene, request, machine, it),
            Rule::GoBinary(_) | Rule::GoTests(_) | Rule::PkgConfig(_) | Rule::Suite => {}
        }
    }
}

/// A bundle with exactly its files, and what globs look through for the data of its tests. Which
/// folders of `testdata` there are was noted when they were looked through.
fn draw_bundle(scene: &mut Scene, request: &BuildRequest, machine: &Machine, bundle: &Bundle) {
    let digests = &machine.digests;
    let place = bundle.output.below(&request.root.join(OUTPUT_FOLDER));
    let walk = walkdir::WalkDir::new(&place);
    for entry in walk {
        match entry {
            Ok(it) if it.file_type().is_dir() => scene.folder(it.path()),
            Ok(it) => scene.output_as_found(it.path(), digests),
            Err(_) => scene.unclear(&place),
        }
    }
    for label in &bundle.tests {
        let folder = request.root.join(label.package().as_str());
        scene.tree((&folder, Links::Left), digests, is_entered, |_| false);
    }
}

fn linkage_of(delivery: &Delivered) -> Option<&Record> {
    match &delivery.record {
        Some(Recorded::Linkage(it)) => Some(it),
        Some(Recorded::Command(_) | Recorded::Bundle(_)) | None => None,
    }
}

fn is_there(delivery: &Delivered) -> bool {
    matches!(delivery.finished.state, State::Built | State::Restored | State::UpToDate)
}

impl<'a> Seen<'a> {
    /// Takes it from the session, before that ends.
    #[must_use]
    pub fn of(session: &Session<'_>, targets: Vec<&'a Target>) -> Self {
        let (modules, folders) = session.listings.seen();
        let pins: BTreeSet<_> =
            targets.iter().filter(|it| it.rule.is_go()).map(|it| it.rule.pin()).collect();
        let found: Vec<_> = pins.into_iter().map(|it| session.go(it)).collect();
        let found = found.iter().filter_map(|it| it.as_ref().as_ref().ok().cloned());
        let toolchains: Vec<_> = found.collect();
        let commands = session.listings.saw_commands();
        let troubled =
            session.listings.is_troubled() || toolchains.iter().any(|it| !it.is_its_own());
        Self { targets, modules, folders, toolchains, commands, troubled }
    }
}

impl Told {
    fn of(delivery: &Delivered) -> Option<Self> {
        let Finished {
            label,
            rule,
            go_package,
            platform,
            output,
            source_folder,
            state: _,
            class,
            strategy,
            size,
            go,
            smoke: _,
            warnings,
            error,
            hints: _,
            exit_code,
        } = delivery.finished.as_ref().clone();
        let rule = Rule::KINDS.into_iter().position(|it| it == rule)?;
        let rule = u8::try_from(rule).ok()?;
        (error.is_none() && exit_code == 0).then_some(Self {
            label,
            rule,
            go_package,
            platform,
            output,
            source_folder,
            class,
            strategy,
            size,
            go,
            warnings,
        })
    }

    fn finished(self) -> Option<Finished> {
        let Self {
            label,
            rule,
            go_package,
            platform,
            output,
            source_folder,
            class,
            strategy,
            size,
            go,
            warnings,
        } = self;
        let rule = *Rule::KINDS.get(usize::from(rule))?;
        Some(Finished {
            label,
            rule,
            go_package,
            platform,
            output,
            source_folder,
            state: State::UpToDate,
            class,
            strategy,
            size,
            go,
            smoke: None,
            warnings,
            error: None,
            hints: Vec::new(),
            exit_code: 0,
        })
    }
}
