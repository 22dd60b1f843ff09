//! One random step: a change of the model, or something that goes wrong, or both.

use crate::bench::Toolchain;
use crate::model::{File, Model, Target};
use crate::random::Random;

/// A step.
#[derive(Debug, Clone)]
pub struct Edit {
    /// What is done, for people.
    pub what: String,
    /// The model behind it.
    pub model: Model,
    /// How it comes about, or what goes wrong meanwhile.
    pub fault: Fault,
}

/// How an edit comes about, and what goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Files are written, and the program is started.
    None,
    /// A file gets a new time and the same bytes.
    Touch(String),
    /// Two files change their names, so that they keep their times.
    Swap(String, String),
    /// The changed files get back the modification times that they had.
    KeepTimes,
    /// An output is deleted.
    DeleteOutput(usize),
    /// An output is overwritten.
    SpoilOutput(usize),
    /// A file of the store is changed, cut, emptied or deleted.
    DamageStore(u64),
    /// The program is killed in the middle.
    Kill(u64),
    /// The model changes only after the packages were listed: before Go reads the sources to
    /// compile them, or when it has read them.
    During {
        /// Before.
        first: bool,
    },
    /// Two builds at the same time.
    Twice,
    /// The stand-in gets this order.
    Order(&'static str),
}

/// Kinds of steps with how often they come.
const WEIGHTS: &[(&str, usize, bool)] = &[
    ("constant", 20, true),
    ("same size, same times", 8, true),
    ("revert", 12, true),
    ("add file", 4, true),
    ("delete file", 2, true),
    ("rename file", 2, true),
    ("import", 8, true),
    ("touch", 4, true),
    ("comment", 4, true),
    ("swap", 3, true),
    ("tag line", 4, true),
    ("test", 2, true),
    ("embed", 5, true),
    ("go.mod", 3, true),
    ("sibling", 3, true),
    ("attribute", 6, true),
    ("c", 8, true),
    ("delete output", 3, true),
    ("spoil output", 2, true),
    ("damage store", 4, true),
    ("kill", 3, true),
    ("during", 4, false),
    ("twice", 3, true),
    ("break", 3, true),
    ("toolchain", 1, false),
    ("go fails", 2, false),
    ("go fails silently", 1, false),
    ("go dies", 2, false),
    ("list dies", 1, false),
];

impl Edit {
    /// Chooses a step for `model`, whose earlier states are `history`.
    #[must_use]
    pub fn choose(
        random: &mut Random,
        model: &Model,
        history: &[Model],
        toolchain: Toolchain,
    ) -> Self {
        let total = WEIGHTS.iter().map(|it| it.1).sum();
        loop {
            let mut at = random.below(total);
            let chosen = WEIGHTS.iter().find(|(_, weight, _)| {
                let is_it = at < *weight;
                at = at.saturating_sub(*weight);
                is_it
            });
            let Some((kind, _, in_real)) = chosen else { continue };
            if toolchain == Toolchain::Real && !in_real {
                continue;
            }
            if let Some(edit) = Self::make(random, kind, model, history) {
                return edit;
            }
        }
    }

    fn make(random: &mut Random, kind: &str, model: &Model, history: &[Model]) -> Option<Self> {
        let mut next = model.clone();
        let (what, fault) = match kind {
            "revert" => {
                next = random.one(history)?.clone();
                (String::new(), Fault::None)
            }
            "touch" | "swap" | "delete output" | "spoil output" | "damage store" => {
                (String::new(), fault(random, kind, &mut next)?)
            }
            "kill" | "twice" | "during" | "go fails" | "go fails silently" | "go dies"
            | "list dies" => {
                let mut what = constant(random, &mut next)?;
                let fault = match kind {
                    "kill" => Fault::Kill(random.next() % 40),
                    "twice" => Fault::Twice,
                    "during" if random.once_in(3) => {
                        next = model.clone();
                        what = embed(random, &mut next)?;
                        Fault::During { first: random.once_in(2) }
                    }
                    "during" => Fault::During { first: random.once_in(2) },
                    "go fails" => Fault::Order("fail"),
                    "go fails silently" => Fault::Order("fail-silently"),
                    "go dies" => Fault::Order("die"),
                    _ => Fault::Order("crash-list"),
                };
                (what, fault)
            }
            "same size, same times" => (constant(random, &mut next)?, Fault::KeepTimes),
            _ => (change(random, kind, &mut next)?, Fault::None),
        };
        let what = if what.is_empty() {
            format!("{kind}; {fault:?}")
        } else {
            format!("{kind} {what}; {fault:?}")
        };
        Some(Self { what, model: next, fault })
    }
}

/// Faults that leave the model as it is, or nearly.
fn fault(random: &mut Random, kind: &str, model: &mut Model) -> Option<Fault> {
    let sources = model.sources();
    let path = |it: &(String, String)| format!("{}/{}", it.0, it.1);
    Some(match kind {
        "touch" => Fault::Touch(path(random.one(&sources)?)),
        "swap" => {
            let (one, two) = (random.one(&sources)?.clone(), random.one(&sources)?.clone());
            let is_test = |it: &str| it.ends_with("_test.go");
            if one == two || one.0 != two.0 || is_test(&one.1) != is_test(&two.1) {
                return None;
            }
            let first = model.file(&one)?.clone();
            let second = std::mem::replace(model.file(&two)?, first);
            *model.file(&one)? = second;
            Fault::Swap(path(&one), path(&two))
        }
        "delete output" => Fault::DeleteOutput(random.below(100)),
        "spoil output" => Fault::SpoilOutput(random.below(100)),
        _ => Fault::DamageStore(random.next()),
    })
}

fn constant(random: &mut Random, model: &mut Model) -> Option<String> {
    let place = random.one(&model.sources())?.clone();
    let file = model.file(&place)?;
    // All values have the same length.
    file.value = format!("v{:03}", random.below(1000));
    Some(format!("{}/{} to {}", place.0, place.1, file.value))
}

/// Changes of the model alone.
fn change(random: &mut Random, kind: &str, model: &mut Model) -> Option<String> {
    let sources = model.sources();
    let folders: Vec<_> = model.packages.keys().cloned().collect();
    match kind {
        "constant" => return constant(random, model),
        "add file" => {
            let ending = *random.one(&[".go", ".go", "_linux_amd64.go", "_windows.go"])?;
            let folder = random.one(&folders)?;
            model.add_file(random, folder, ending);
            return Some(format!("{folder}/*{ending}"));
        }
        "test" => {
            let libraries: Vec<_> = folders.iter().filter(|it| !it.contains('/')).collect();
            let folder = (*random.one(&libraries)?).clone();
            model.add_file(random, &folder, "_test.go");
            return Some(folder);
        }
        "delete file" | "rename file" => {
            let (folder, name) = random.one(&sources)?.clone();
            let files = &mut model.packages.get_mut(&folder)?.files;
            let file = files.remove(&name)?;
            if kind == "rename file" {
                let ending = name.split_once('_').map_or("", |it| it.1).trim_end_matches(".go");
                let sign = if ending.is_empty() { "" } else { "_" };
                let new = format!("g{}{sign}{ending}.go", random.below(1000));
                files.insert(new, file);
            }
            return Some(format!("{folder}/{name}"));
        }
        "import" => {
            let place = random.one(&sources)?.clone();
            let layer = model.packages.get(&place.0)?.layer;
            let above = model.importable(layer);
            let import = random.one(&above)?;
            let file = model.file(&place)?;
            if !file.imports.remove(import) {
                file.imports.insert(import.clone());
            }
            return Some(format!("{}/{} {import}", place.0, place.1));
        }
        "comment" | "tag line" | "break" => {
            let place = random.one(&sources)?.clone();
            let file = model.file(&place)?;
            file_change(random, kind, file);
            return Some(format!("{}/{}", place.0, place.1));
        }
        "embed" => return embed(random, model),
        "go.mod" if random.once_in(2) => {
            let other = if model.go_line == "1.24" { "1.23" } else { "1.24" };
            other.clone_into(&mut model.go_line);
        }
        "go.mod" => model.go_mod_note = format!("note {}", random.below(100)),
        "sibling" => model.sibling.as_mut()?.value = format!("s{}", random.below(100)),
        "toolchain" => model.toolchain = format!("go1.99.{}", random.below(4)),
        "c" => {
            let c = model.c_side.as_mut()?;
            let number = u32::try_from(random.below(100)).unwrap_or(0);
            let places = [&mut c.source, &mut c.header, &mut c.outer];
            let at = random.below(places.len());
            *places.into_iter().nth(at)? = number;
            return Some(format!("number {at} to {number}"));
        }
        _ => return attribute(random, model),
    }
    Some(String::new())
}

fn file_change(random: &mut Random, kind: &str, file: &mut File) {
    match kind {
        "comment" => file.note = format!("note {:03}", random.below(1000)),
        "tag line" => {
            let lines = [None, Some("ta"), Some("!ta"), Some("tb")];
            file.constraint = random.one(&lines).copied().flatten().map(str::to_owned);
        }
        _ => file.is_broken = !file.is_broken,
    }
}

fn embed(random: &mut Random, model: &mut Model) -> Option<String> {
    let folders: Vec<_> = model.packages.keys().cloned().collect();
    let folder = random.one(&folders)?;
    let data = &mut model.packages.get_mut(folder)?.data;
    let name = format!("{}.txt", random.one(&["one", "two", "three"])?);
    if random.once_in(3) {
        data.remove(&name)?;
    } else {
        data.insert(name.clone(), random.below(1000).to_string());
    }
    Some(format!("{folder}/data/{name}"))
}

fn attribute(random: &mut Random, model: &mut Model) -> Option<String> {
    if random.once_in(6) {
        model.own_strips = !model.own_strips;
        return Some("own strategy".to_owned());
    }
    let names: Vec<_> = model.targets.keys().cloned().collect();
    let name = random.one(&names)?;
    let Target { package, tags, version, level, is_stripped, link } =
        model.targets.get_mut(name)?;
    match random.below(5) {
        0 => {
            let tag = (*random.one(&["ta", "tb"])?).to_owned();
            if !tags.remove(&tag) {
                tags.insert(tag);
            }
        }
        1 if package.is_some() => *version = Some(format!("1.{}", random.below(5))),
        1 => return None,
        2 => {
            *level =
                random.one(&[None, Some("v1"), Some("v2")]).copied().flatten().map(str::to_owned)
        }
        3 => *is_stripped = !*is_stripped,
        _ => (*random.one(&["pure", "netgo", "own"])?).clone_into(link),
    }
    Some(format!("of {name}"))
}
