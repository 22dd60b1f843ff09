//! One module and its edits.

use crate::bench::{Bench, Programs, Run, Toolchain};
use crate::edit::{Edit, Fault};
use crate::fakego::control::to_hex;
use crate::model::{Expected, Model, Size};
use crate::random::Random;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

/// A workspace on its way.
pub(super) struct Sequence {
    bench: Bench,
    toolchain: Toolchain,
    seed: u64,
    model: Model,
    history: Vec<Model>,
    /// What was linked, by output and inputs, since the store was last damaged.
    linked: BTreeSet<(String, u64)>,
    /// Bytes of outputs after the step before.
    before: BTreeMap<String, Vec<u8>>,
    steps: usize,
}

impl Sequence {
    /// Makes the module of a seed.
    pub(super) fn new(programs: &Programs, toolchain: Toolchain, seed: u64) -> Self {
        let is_real = toolchain == Toolchain::Real;
        let size = Size { packages: if is_real { 6 } else { 40 }, is_real };
        let mut random = Random::at(seed, u64::MAX);
        let model = Model::random(&mut random, size);
        Self {
            bench: Bench::new(programs, toolchain),
            toolchain,
            seed,
            model,
            history: Vec::new(),
            linked: BTreeSet::new(),
            before: BTreeMap::new(),
            steps: 0,
        }
    }

    /// Says what it begins with.
    pub(super) fn begun(&self) -> String {
        let (packages, targets) = (self.model.packages.len(), self.model.targets.len());
        let (c, sibling) = (self.model.c_side.is_some(), self.model.sibling.as_ref());
        let sibling = sibling.map_or("none", |it| it.way);
        format!("{packages} packages, {targets} targets, C {c}, second module {sibling}")
    }

    /// Builds for the first time.
    pub(super) fn first(&mut self) -> Result<(), String> {
        self.bench.sync(&self.model.files());
        self.check()
    }

    /// Makes one edit and checks what came of it.
    pub(super) fn step(&mut self, step: usize) -> (String, Result<(), String>) {
        let mut random = Random::at(self.seed, step as u64);
        let edit = Edit::choose(&mut random, &self.model, &self.history, self.toolchain);
        self.steps += 1;
        let what = edit.what.clone();
        let ended = self.apply(edit, &mut random).and_then(|()| self.check());
        (what, ended)
    }

    fn apply(&mut self, edit: Edit, random: &mut Random) -> Result<(), String> {
        let Edit { what: _, model, fault } = edit;
        self.history.push(std::mem::replace(&mut self.model, model));
        let files = self.model.files();
        if self.toolchain == Toolchain::Stub {
            let version = self.bench.go_root().join("VERSION");
            let text = format!("{}\n", self.model.toolchain);
            if fs::read_to_string(&version).is_ok_and(|it| it != text) {
                fs::write(version, text).unwrap();
            }
        }
        match fault {
            Fault::None => self.bench.sync(&files),
            Fault::Touch(path) => self.touch(&path),
            Fault::Swap(one, two) => self.swap(&one, &two, &files),
            Fault::KeepTimes => self.keep_times(&files),
            Fault::DeleteOutput(number) => {
                let _ = self.output(number).map(fs::remove_file);
            }
            Fault::SpoilOutput(number) => {
                if let Some(path) = self.output(number) {
                    let _ = fs::remove_file(&path);
                    fs::write(path, "spoilt").unwrap();
                }
            }
            Fault::DamageStore(number) => self.damage(number),
            Fault::Kill(time) => {
                self.bench.sync(&files);
                self.kill(time);
            }
            Fault::Twice => {
                self.bench.sync(&files);
                self.twice()?;
            }
            Fault::During { first } => self.during(random, first)?,
            Fault::Order(order) => {
                self.bench.sync(&files);
                self.order(order)?;
            }
        }
        Ok(())
    }

    fn touch(&self, path: &str) {
        let path = self.bench.root().join(path);
        if let Ok(bytes) = fs::read(&path) {
            fs::write(path, bytes).unwrap();
        }
    }

    fn swap(&self, one: &str, two: &str, files: &BTreeMap<String, Vec<u8>>) {
        let root = self.bench.root();
        let (one, two, aside) = (root.join(one), root.join(two), self.bench.home().join("aside"));
        fs::rename(&one, &aside).unwrap();
        fs::rename(&two, &one).unwrap();
        fs::rename(&aside, &two).unwrap();
        self.bench.sync(files);
    }

    fn keep_times(&self, files: &BTreeMap<String, Vec<u8>>) {
        let modified = |it: &Path| fs::metadata(it).and_then(|it| it.modified()).ok();
        let root = self.bench.root();
        let times: Vec<(PathBuf, Option<SystemTime>)> =
            files.keys().map(|it| root.join(it)).map(|it| (it.clone(), modified(&it))).collect();
        self.bench.sync(files);
        for (path, time) in times {
            if let Some(time) = time.filter(|it| modified(&path) != Some(*it)) {
                File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
            }
        }
    }

    fn output(&self, number: usize) -> Option<PathBuf> {
        let names: Vec<_> = self.before.keys().collect();
        let name = names.get(number % names.len().max(1))?;
        Some(self.bench.outputs().join(name))
    }

    /// Changes one file of the store.
    fn damage(&mut self, number: u64) {
        let mut files = Vec::new();
        below(&self.bench.store(), &mut files);
        files.sort();
        let mut random = Random::new(number);
        let Some(path) = random.one(&files) else { return };
        let mut bytes = fs::read(path).unwrap_or_default();
        let _ = fs::remove_file(path);
        match random.below(4) {
            0 => {}
            1 => fs::write(path, "").unwrap(),
            2 => {
                bytes.truncate(random.below(bytes.len().max(1)));
                fs::write(path, bytes).unwrap();
            }
            _ => {
                let at = random.below(bytes.len().max(1));
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1;
                }
                fs::write(path, bytes).unwrap();
            }
        }
        // What was linked before may now have to be linked again.
        self.linked.clear();
    }

    fn kill(&self, time: u64) {
        let factor = if self.toolchain == Toolchain::Real { 25 } else { 1 };
        let mut child = self.bench.start();
        std::thread::sleep(Duration::from_millis(time * factor));
        let _ = child.kill();
        let _ = child.wait_with_output();
    }

    fn twice(&self) -> Result<(), String> {
        let code = self.code();
        let both = [self.bench.start(), self.bench.start()];
        for child in both {
            let run = Run::of(&child.wait_with_output().unwrap());
            if run.code != Some(code) {
                return Err(format!("one of two at a time: {}", run.told()));
            }
        }
        Ok(())
    }

    /// Lets the stand-in make the edit: what comes out must be of the new sources, and nothing may
    /// be kept under the old ones that is not of them.
    fn during(&mut self, random: &mut Random, first: bool) -> Result<(), String> {
        let version = Some(format!("during {}", random.next()).replace(' ', "-"));
        let mut old = self.history.last().cloned().unwrap_or_else(|| self.model.clone());
        for model in [&mut old, &mut self.model] {
            if let Some(target) = model.targets.get_mut("a") {
                target.version.clone_from(&version);
            }
        }
        let (before, after) = (old.files(), self.model.files());
        self.bench.sync(&before);
        let changed = after.iter().filter(|(name, bytes)| before.get(*name) != Some(bytes));
        let order = if first { "edit-first" } else { "edit" };
        let orders: Vec<_> =
            changed.map(|(name, bytes)| format!("{order} {name}={}", to_hex(bytes))).collect();
        self.bench.order(&orders.join("\n"));
        let run = self.bench.build();
        let was_asked = !self.bench.cancel();
        let built = run.states().get("bin/a").is_some_and(|it| it == "built");
        // What was added can be asked of the stand-in, what was removed cannot.
        let is_whole = before.keys().all(|it| after.contains_key(it));
        self.bench.sync(&after);
        let expected = self.model.expected();
        if was_asked && built && is_whole && run.code == Some(0) {
            let bytes = fs::read(self.bench.outputs().join("bin/a")).unwrap_or_default();
            let it = &expected["bin/a"];
            let state = it.state.clone().unwrap_or_default();
            let ended = self.says("bin/a", it, &state, &bytes);
            ended.map_err(|error| format!("the sources changed meanwhile: {error}"))?;
        }
        if !matches!(run.code, Some(0 | 1 | 10)) {
            return Err(format!("an edit meanwhile: {}", run.told()));
        }
        self.bench.sync(&before);
        let run = self.bench.build();
        let bytes = fs::read(self.bench.outputs().join("bin/a")).unwrap_or_default();
        if let (Some(0 | 1), Some(it)) = (run.code, old.expected().get("bin/a"))
            && let Some(state) = &it.state
        {
            let ended = self.says("bin/a", it, state, &bytes);
            ended.map_err(|error| format!("kept under sources that changed: {error}"))?;
        }
        self.bench.sync(&after);
        Ok(())
    }

    /// Lets the stand-in go wrong: the build must fail, and leave old outputs or whole new ones.
    fn order(&mut self, order: &str) -> Result<(), String> {
        let expected = self.model.expected();
        let read = |output: &String| fs::read(self.bench.outputs().join(output)).ok();
        let then: BTreeMap<_, _> = expected.keys().map(|it| (it.clone(), read(it))).collect();
        self.bench.order(order);
        let run = self.bench.build();
        let was_asked = !self.bench.cancel();
        if was_asked && run.code == Some(0) {
            return Err(format!("`{order}` did not fail: {}", run.told()));
        }
        for (output, expected) in expected {
            let now = fs::read(self.bench.outputs().join(&output)).ok();
            let is_old = now.as_ref() == then.get(&output).and_then(Option::as_ref);
            if was_asked && !is_old && now.as_deref() != Some(&expected.bytes[..]) {
                return Err(format!("`{order}` left a bad {output}: {}", run.told()));
            }
        }
        Ok(())
    }

    fn code(&self) -> i32 {
        i32::from(self.model.expected().values().any(|it| it.state.is_none()))
    }

    /// Builds, and holds everything against the model.
    fn check(&mut self) -> Result<(), String> {
        let expected = self.model.expected();
        let read = |output: &String| fs::read(self.bench.outputs().join(output)).ok();
        let then: BTreeMap<_, _> = expected.keys().map(|it| (it.clone(), read(it))).collect();
        let run = self.bench.build();
        if run.code != Some(self.code()) {
            return Err(format!("exit code {} was expected: {}", self.code(), run.told()));
        }
        let states = run.states();
        for (output, it) in &expected {
            let bytes = read(output);
            let Some(state) = &it.state else {
                if bytes != then[output] {
                    return Err(format!("{output} does not compile, and its file changed"));
                }
                continue;
            };
            let Some(bytes) = bytes else { return Err(format!("there is no {output}")) };
            self.says(output, it, state, &bytes)?;
            let way = states.get(output).map_or("not told", String::as_str);
            let is_known = self.linked.contains(&(output.clone(), it.inputs));
            if !matches!(way, "built" | "restored" | "up_to_date") || (way == "built" && is_known) {
                return Err(format!("{output} is {way}; linked before: {is_known}"));
            }
            // What is in place says nothing of the store, which may have been damaged.
            if way != "up_to_date" {
                self.linked.insert((output.clone(), it.inputs));
            }
            self.before.insert(output.clone(), bytes);
        }
        self.before.retain(|output, _| expected.contains_key(output));
        self.extra(&expected)?;
        self.ledger(&expected)?;
        self.repeat()?;
        let stride = if self.toolchain == Toolchain::Real { 4 } else { 20 };
        if self.steps % stride == stride - 1 { self.clean(&expected) } else { Ok(()) }
    }

    fn says(&self, output: &str, it: &Expected, state: &str, bytes: &[u8]) -> Result<(), String> {
        if self.toolchain == Toolchain::Stub {
            if it.bytes != bytes {
                let text = String::from_utf8_lossy(bytes.get(150..).unwrap_or_default());
                let wanted = String::from_utf8_lossy(&it.bytes[150..]);
                return Err(format!("{output} is\n{text}\nand not\n{wanted}"));
            }
            return Ok(());
        }
        let words = if it.is_test { &["-test.v"][..] } else { &[] };
        let said = Command::new(self.bench.outputs().join(output)).args(words).output();
        let said = said.map_err(|error| format!("{output} does not start: {error}"))?;
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        if text.lines().any(|line| line.trim_end() == state.trim_end()) {
            return Ok(());
        }
        Err(format!("{output} says\n{text}\nand not\n{state}"))
    }

    /// Finds outputs that no target makes.
    fn extra(&self, expected: &BTreeMap<String, Expected>) -> Result<(), String> {
        let (mut files, outputs) = (Vec::new(), self.bench.outputs());
        below(&outputs.join("bin"), &mut files);
        let names = files.iter().filter_map(|it| it.strip_prefix(&outputs).ok());
        let names = names.map(|it| it.to_string_lossy().into_owned());
        let extra: Vec<_> = names.filter(|it| !expected.contains_key(it)).collect();
        if extra.is_empty() || self.code() != 0 {
            Ok(())
        } else {
            Err(format!("{extra:?} is left"))
        }
    }

    fn ledger(&self, expected: &BTreeMap<String, Expected>) -> Result<(), String> {
        let ledger: Value = serde_json::from_slice(&self.ledger_bytes()).unwrap_or_default();
        let records = ledger["records"].as_array().cloned().unwrap_or_default();
        for output in expected.iter().filter(|it| it.1.state.is_some()).map(|it| it.0) {
            let size = self.before.get(output).map(Vec::len);
            let record = records.iter().find(|it| it["output"] == **output);
            let fits = record.is_some_and(|it| {
                it["size"].as_u64() == size.map(|it| it as u64)
                    && it["linkage"]["class"] == "static"
            });
            if !fits {
                return Err(format!("the ledger does not tell of {output}: {record:?}"));
            }
        }
        Ok(())
    }

    fn ledger_bytes(&self) -> Vec<u8> {
        fs::read(self.bench.outputs().join("ledger.json")).unwrap_or_default()
    }

    /// A second run does nothing.
    fn repeat(&self) -> Result<(), String> {
        let ledger = self.ledger_bytes();
        let run = self.bench.build();
        let linked = run.count("built") + run.count("restored");
        let tries = if self.code() == 0 { run.batches() } else { 0 };
        if run.code != Some(self.code()) || linked != 0 || tries != 0 {
            return Err(format!("a second run did something: {}", run.told()));
        }
        if self.ledger_bytes() != ledger {
            return Err("a second run changed the ledger".to_owned());
        }
        Ok(())
    }

    /// A build elsewhere, from nothing.
    fn clean(&self, expected: &BTreeMap<String, Expected>) -> Result<(), String> {
        let (home, run) = self.bench.clean(&self.model.files());
        if run.code != Some(self.code()) {
            return Err(format!("a clean build: {}", run.told()));
        }
        for output in expected.iter().filter(|it| it.1.state.is_some()).map(|it| it.0) {
            let there = fs::read(home.path().join("w/linkwright-out").join(output));
            if there.ok().as_ref() != self.before.get(output) {
                return Err(format!("{output} is not what a clean build gives"));
            }
        }
        Ok(())
    }
}

fn below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        if entry.file_type().is_ok_and(|it| it.is_dir()) {
            below(&entry.path(), files);
        } else {
            files.push(entry.path());
        }
    }
}
