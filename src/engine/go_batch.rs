//! Few processes: links that share a configuration go into one `go build` or one `go test -c`.
//!
//! A batch holds links of one module, one configuration and one kind, whose outputs have different
//! base names; with `-coverpkg` those of one Go package, since `go` writes into each test binary
//! which packages of the whole process are covered, and its bytes would depend on its neighbours.
//! What fails in a batch is attributed to its packages (`-json`), the others still come out. If the
//! tool refuses the whole batch without naming a package, each link is run alone; so it is where an
//! older Go names packages in no way that could be read.

use crate::effects::compile_cache::Pending;
use crate::effects::go_tool::{GoModuleFolder, GoTool};
use crate::effects::outputs::{OutputError, Outputs};
use crate::effects::process::{Ended, ProcessError};
use crate::engine::go_inputs::Planned;
use crate::engine::go_unit::{Kind, Unit};
use crate::engine::salt::Salt;
use crate::engine::session::Session;
use crate::formats::go_events::{BuildOutput, plain};
use crate::formats::tool_limits::{ToolLimit, tool_limit};
use crate::model::go_release::{Ability, GoRelease};
use crate::plan::configuration::Configuration;
use crate::plan::fingerprint::Framed;
use crate::words::defect::{Defect, planted};
use crate::words::digest::Digest;
use crate::words::path::OUTPUT_FOLDER;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many bytes of package names a process gets: half of what Linux takes with the usual stack of
/// 8 MiB.
///
/// # Source
///
/// `bprm_stack_limits` in `fs/exec.c`: a quarter of the stack, variables included.
const LONGEST_LINE: usize = 1 << 20;

/// How many test binaries one process makes at the most: to start one more costs about a third of
/// a second.
const MOST_TESTS: usize = 16;

/// What must be equal for two links to share a process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Shared {
    module: GoModuleFolder,
    configuration: Configuration,
    salt: Option<String>,
    kind: Kind,
    /// The Go package that must have a process of its own.
    alone: Option<String>,
}

/// Links for one process: units by number, with their plans.
#[derive(Debug)]
pub struct Batch {
    shared: Shared,
    /// Numbers into the list of units, and their plans.
    pub links: Vec<(usize, Planned)>,
}

/// Links that one process can make.
#[derive(Default)]
struct Round {
    /// A base name may stand in it once, unless it is the same package's.
    taken: BTreeMap<String, String>,
    salt: Salt,
    links: Vec<(usize, Planned)>,
}

/// What came of one link of a batch.
#[derive(Debug)]
pub enum Linked {
    /// A file came out.
    File {
        /// Where it is; below the scratch folder that the caller holds.
        path: PathBuf,
        /// What the tools printed about it.
        text: String,
        /// It is another link's file, too.
        is_shared: bool,
    },
    /// The tools could not build it.
    Failed(String),
    /// The machine got in the way; that says nothing about the link.
    Limited(ToolLimit, String),
    /// It did not end by itself.
    Stopped(Arc<ProcessError>),
    /// There is no room to build in.
    NoRoom(Arc<OutputError>),
}

/// A finished batch; the files lie in `scratch`, which goes with it.
#[derive(Debug)]
pub struct Finished {
    /// By number of the unit.
    pub links: Vec<(usize, Planned, Linked)>,
    /// Where the files are.
    pub scratch: Option<tempfile::TempDir>,
}

/// Sorts links into as few batches as can be, the largest first.
#[must_use]
pub fn sort(release: GoRelease, units: &[Unit<'_>], links: Vec<(usize, Planned)>) -> Vec<Batch> {
    let mut sorted: BTreeMap<Shared, Vec<(usize, Planned)>> = BTreeMap::new();
    for (index, planned) in links {
        let is_alone = planned.configuration.covers_others()
            || (units[index].kind != Kind::Program && !release.can(Ability::ManyTests));
        let shared = Shared {
            module: units[index].of.module.clone(),
            configuration: planned.configuration.clone(),
            salt: planned.salt.all.clone(),
            kind: units[index].kind,
            alone: is_alone.then(|| units[index].go_package.clone()),
        };
        sorted.entry(shared).or_default().push((index, planned));
    }
    let mut batches = Vec::new();
    for (shared, links) in sorted {
        let mut rounds: Vec<Round> = Vec::new();
        for (index, planned) in links {
            let (name, package) = (units[index].tool_name(), &units[index].go_package);
            let fits = |it: &Round| {
                let is_free = it.taken.get(&name).is_none_or(|it| it == package);
                is_free && (it.links.is_empty() || it.salt.goes_with(&planned.salt))
            };
            let at = rounds.iter().position(fits).unwrap_or(rounds.len());
            if at == rounds.len() {
                rounds.push(Round::default());
            }
            rounds[at].taken.insert(name, package.clone());
            rounds[at].salt.add(&planned.salt);
            rounds[at].links.push((index, planned));
        }
        let shared = |it: Round| Batch { shared: shared.clone(), links: it.links };
        batches.extend(rounds.into_iter().map(shared));
    }
    batches.sort_by_key(|it| std::cmp::Reverse(it.links.len()));
    batches
}

/// Returns the arguments of the `go` process that makes `packages` into `output`.
#[must_use]
pub fn arguments(
    kind: Kind,
    configuration: &Configuration,
    output: &str,
    packages: &[&str],
) -> Vec<String> {
    let mut args: Vec<String> = match kind {
        Kind::Program => vec!["build".into()],
        Kind::Test { vet: true } => vec!["test".into(), "-c".into()],
        Kind::Test { vet: false } => vec!["test".into(), "-c".into(), "-vet=off".into()],
    };
    args.extend(["-o".to_owned(), output.to_owned()]);
    args.extend(configuration.flags.iter().cloned());
    args.extend(packages.iter().map(|it| (*it).to_owned()));
    args
}

impl Batch {
    /// Cuts test binaries into parts for a process each, so that some can be run while others are
    /// built. Programs stay together, as far as a command line is long enough: nobody waits for one
    /// of them.
    #[must_use]
    pub fn parts(self, units: &[Unit<'_>]) -> Vec<Self> {
        let Self { shared, links } = self;
        let words = links.iter().map(|(index, _)| units[*index].go_package.len() + 1);
        let count = match shared.kind {
            Kind::Test { .. } => links.len().div_ceil(MOST_TESTS),
            Kind::Program => words.sum::<usize>().div_ceil(LONGEST_LINE),
        };
        let count = count.max(1);
        let each = links.len().div_ceil(count).max(1);
        let mut links = links.into_iter();
        let part =
            || Some(links.by_ref().take(each).collect()).filter(|it: &Vec<_>| !it.is_empty());
        let parts = std::iter::from_fn(part);
        parts.map(|links| Self { shared: shared.clone(), links }).collect()
    }

    /// Tells what would be run, without running it.
    pub fn tell(&self, session: &Session<'_>, go: &GoTool, units: &[Unit<'_>]) {
        let folder = format!("{OUTPUT_FOLDER}/tmp/");
        let (args, env) = self.command(go.release, units, &folder);
        let step = session.step(self.what(units), "go", &args, &env, &self.shared.module.folder);
        session.step_ended(step, true);
    }

    /// Runs the batch; what Go puts into its compile cache is `pending`.
    #[must_use]
    pub fn run(
        self,
        session: &Session<'_>,
        go: &GoTool,
        units: &[Unit<'_>],
        pending: &Pending<'_>,
    ) -> Vec<Finished> {
        let (links, output) = match self.attempt(session, go, units, pending) {
            Ok(done) => done,
            Err(whole) => return vec![whole],
        };
        let nothing = links.links.iter().all(|(_, _, it)| matches!(it, Linked::Failed(_)));
        if links.links.len() > 1 && nothing && output.failed.is_empty() {
            // The tool refused the batch as a whole. Alone, each link gets its own reason.
            let alone = links.links.into_iter().map(|(index, planned, _)| Self {
                shared: self.shared.clone(),
                links: vec![(index, planned)],
            });
            return alone.flat_map(|it| it.run(session, go, units, pending)).collect();
        }
        vec![links]
    }

    fn attempt(
        &self,
        session: &Session<'_>,
        go: &GoTool,
        units: &[Unit<'_>],
        pending: &Pending<'_>,
    ) -> Result<(Finished, BuildOutput), Finished> {
        let Some(outputs) = session.outputs else {
            unreachable!("invariant: a dry run starts no batch")
        };
        let (scratch, shown) = match self.prepare(outputs) {
            Ok(it) => it,
            Err(error) => {
                let error = Arc::new(error);
                return Err(self.all(|| Linked::NoRoom(Arc::clone(&error))));
            }
        };
        let folder = format!("{}/", scratch.path().display());
        let (mut args, env) = self.command(go.release, units, &folder);
        let module = &self.shared.module;
        pending.expect(&self.likeness());
        let step = session.step(self.what(units), "go", &args, &env, &module.folder);
        // That is not told: whoever types the command has nothing to forget.
        if let Some(word) = shown {
            args.insert(flags_at(&args), word);
        }
        let ended = go.build(session.machine, module, &env, &args, pending);
        session.step_ended(step, ended.as_ref().is_ok_and(|it| it.status.success()));
        let ended = match ended {
            Ok(ended) => ended,
            Err(error) => {
                let error = Arc::new(error);
                return Err(self.all(|| Linked::Stopped(Arc::clone(&error))));
            }
        };
        let output = if go.release.can(Ability::Messages) {
            BuildOutput::parse(&ended.stdout_text(), &ended.stderr_text())
        } else {
            BuildOutput::of_text(&ended.stderr_text(), ended.status.success())
        };
        if ended.was_killed() {
            // What lies in the scratch folder may be half of a file.
            let text = format!("`go {}`: {}", args[0], ended.how());
            return Err(self.all(|| Linked::Limited(ToolLimit::Killed, text.clone())));
        }
        let links = self.linked(units, (&output, &ended), scratch.path());
        Ok((Finished { links, scratch: Some(scratch) }, output))
    }

    /// Makes room to link in, and writes there what Go is to be shown; returns the word for it.
    fn prepare(
        &self,
        outputs: &Outputs,
    ) -> Result<(tempfile::TempDir, Option<String>), OutputError> {
        let scratch = outputs.scratch()?;
        let mut salt = Salt::default();
        for (_, planned) in &self.links {
            salt.add(&planned.salt);
        }
        let written = salt.write(scratch.path());
        let shown =
            written.map_err(|error| OutputError::Write(scratch.path().to_owned(), error))?;
        Ok((scratch, shown))
    }

    /// Says what came of each link of a process that ended, and left its files in `scratch`.
    fn linked(
        &self,
        units: &[Unit<'_>],
        (output, ended): (&BuildOutput, &Ended),
        scratch: &Path,
    ) -> Vec<(usize, Planned, Linked)> {
        let said = output.all_text() + &ended.how();
        // A tool that ends without naming a culprit (no memory, no room) may have cut any file.
        let names_culprits = ended.status.code().is_some() && !output.failed.is_empty();
        let is_whole = ended.status.success() || names_culprits || planted(Defect::TrustCutFiles);
        let mut makers: BTreeMap<String, usize> = BTreeMap::new();
        for (index, _) in &self.links {
            *makers.entry(units[*index].tool_name()).or_default() += 1;
        }
        let links = self.links.iter().map(|(index, planned)| {
            let unit = &units[*index];
            let name = unit.tool_name();
            let path = scratch.join(&name);
            let linked = if is_whole && path.is_file() && !failed(output, unit) {
                let is_shared = makers.get(&name).is_some_and(|it| *it > 1);
                Linked::File { path, text: told(output, unit), is_shared }
            } else {
                let reason = reason(output, unit, planned, &ended.how());
                match tool_limit(&said) {
                    Some((limit, line)) if reason.contains(line) => Linked::Limited(limit, reason),
                    Some((limit, line)) => Linked::Limited(limit, line.to_owned()),
                    None => Linked::Failed(reason),
                }
            };
            (*index, planned.clone(), linked)
        });
        links.collect()
    }

    /// Ends the batch without a process: there is nowhere to put what it would compile.
    #[must_use]
    pub fn no_room(self, folder: &Path, error: io::Error) -> Finished {
        let error = Arc::new(OutputError::Write(folder.to_owned(), error));
        self.all(|| Linked::NoRoom(Arc::clone(&error)))
    }

    /// The same for each link: the process as a whole did not come to an end.
    fn all(&self, linked: impl Fn() -> Linked) -> Finished {
        let links = self.links.iter().map(|(index, planned)| (*index, planned.clone(), linked()));
        Finished { links: links.collect(), scratch: None }
    }

    fn command(
        &self,
        release: GoRelease,
        units: &[Unit<'_>],
        folder: &str,
    ) -> (Vec<String>, BTreeMap<String, String>) {
        let packages: BTreeSet<_> =
            self.links.iter().map(|(index, _)| units[*index].go_package.as_str()).collect();
        let packages: Vec<_> = packages.into_iter().collect();
        let Shared { module: _, configuration, salt, kind, alone: _ } = &self.shared;
        let mut output = folder.to_owned();
        if *kind != Kind::Program
            && !release.can(Ability::ManyTests)
            && let [(index, _), ..] = self.links.as_slice()
        {
            output += &units[*index].tool_name();
        }
        let mut args = arguments(*kind, configuration, &output, &packages);
        if release.can(Ability::Messages) {
            args.insert(flags_at(&args), "-json".to_owned());
        }
        let mut env = configuration.environment();
        if let Some(salt) = salt {
            let flags = env.entry("CGO_CPPFLAGS".to_owned()).or_default();
            let space = if flags.is_empty() { "" } else { " " };
            flags.extend([space, "-DLINKWRIGHT_C_INPUTS=0x", salt]);
        }
        (args, env)
    }

    /// Digests what runs of `go` have in common that need nearly the same objects.
    fn likeness(&self) -> Digest {
        let Shared { module, configuration, salt: _, kind, alone: _ } = &self.shared;
        let mut framed = Framed::new("linkwright runs of go that are alike 1");
        framed.bytes(module.folder.as_os_str().as_encoded_bytes());
        framed.list(&arguments(*kind, configuration, "", &[]));
        framed.texts(&configuration.environment());
        framed.finish()
    }

    fn what(&self, units: &[Unit<'_>]) -> String {
        let strategies: BTreeSet<_> = self
            .links
            .iter()
            .map(|(index, planned)| units[*index].of.rungs[planned.rung].strategy.name.as_str())
            .collect();
        let strategies = strategies.into_iter().collect::<Vec<_>>().join(", ");
        let things = match self.shared.kind {
            Kind::Program => "program",
            Kind::Test { .. } => "test binary",
        };
        match self.links.as_slice() {
            [(index, _)] => format!("link {things} {} by {strategies}", units[*index].go_package),
            many => {
                let things = things.replace("binary", "binarie");
                format!("link {} {things}s by {strategies}", many.len())
            }
        }
    }
}

/// Says where flags may stand in the words for `go`.
fn flags_at(args: &[String]) -> usize {
    args.iter().position(|it| it == "-o").unwrap_or(1)
}

/// Tells whether the tool said that the output itself, or a package in it, failed.
fn failed(output: &BuildOutput, unit: &Unit<'_>) -> bool {
    if planted(Defect::CacheFailedAction) {
        return false;
    }
    let own = |it: &&String| plain(it) == unit.go_package || plain(it) == unit.root;
    output.failed.iter().any(|it| own(&it))
}

/// Returns what the tools said of an output that came out: of its package and, where that is
/// another one, of the program made of it, to which a test binary's linker warnings belong.
fn told(output: &BuildOutput, unit: &Unit<'_>) -> String {
    let names = BTreeSet::from([unit.go_package.as_str(), unit.root.as_str()]);
    names.into_iter().map(|it| output.text_of(it)).collect::<Vec<_>>().join("\n")
}

/// Returns why a link failed: the words of its own packages, else those of any, since Go's own fail
/// too (a header of C is missing), else those of nobody's.
fn reason(output: &BuildOutput, unit: &Unit<'_>, planned: &Planned, how: &str) -> String {
    let failed: BTreeSet<_> = output.failed.iter().map(|it| plain(it)).collect();
    let is_part = |package: &str| {
        let prefix = format!("{package}: ");
        let is_own = package == unit.go_package || package == unit.root;
        let is_inside = planned.inputs.files.keys().any(|it| plain_key(it).starts_with(&prefix));
        is_own
            || is_inside
            || planned.inputs.modules.keys().any(|it| package.starts_with(it.as_str()))
    };
    let told = failed.into_iter().map(|it| (is_part(it), output.text_of(it)));
    let told: Vec<_> = told.filter(|it| !it.1.is_empty()).collect();
    let any_part = told.iter().any(|it| it.0);
    let of_parts = told.into_iter().filter(|it| it.0 || !any_part);
    let mut texts: Vec<_> = of_parts.map(|it| it.1).collect();
    if texts.is_empty() {
        texts.extend(output.loose.iter().cloned());
    }
    if texts.is_empty() {
        texts.push(format!("the `go` command gave no reason; {how}"));
    }
    texts.join("\n")
}

/// Returns a name of an input file without the test variant of its package.
fn plain_key(name: &str) -> String {
    match (name.find(" ["), name.find("]: ")) {
        (Some(start), Some(end)) if start < end => {
            format!("{}{}", &name[..start], &name[end + 1..])
        }
        _ => name.to_owned(),
    }
}
