//! The lane `corrupt`: files of linkwright's own are damaged at random, a few times in a row in one
//! workspace, and each time the contract is held against the next two builds.
//!
//! | what | which |
//! |---|---|
//! | file | a blob, a record, the stamps, any other of the store's, the ledger, an output |
//! | damage | a bit, a cut at any length, more bytes, zeros, none at all, another's bytes, gone, a folder, links, a FIFO, a device, a socket, no permission |
//! | besides | nothing; the outputs are lost, so that the store is read; the sources change or change back |

use super::{Came, Cases};
use crate::bench::Programs;
use crate::faults::contract::{Oracles, recovers};
use crate::faults::scene::files_below;
use crate::faults::subject::{Make, Subject, Version, read_regular};
use crate::random::Random;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// How many damages follow on each other in one workspace.
const ROUNDS: u64 = 10;

/// The lane.
#[derive(Default)]
pub(super) struct Damages(Oracles);

impl Cases for Damages {
    fn run(&self, programs: &Programs, seed: u64) -> Came {
        let make = Make::in_turn(seed);
        let oracle = match self.0.of(programs, make) {
            Ok(oracle) => oracle,
            Err(error) => return (0, Err(error)),
        };
        let subject = match Subject::new(programs, make) {
            Ok(subject) => subject.bounded(),
            Err(error) => return (0, Err(error)),
        };
        let mut version = Version::A;
        for first in [Version::B, Version::A] {
            subject.bring(first);
            let ended = subject.build();
            if ended.code != Some(0) {
                return (0, Err(format!("nothing to damage: {ended:#?}")));
            }
        }
        for round in 0..ROUNDS {
            let mut random = Random::at(seed, round);
            let mut told = Vec::new();
            for _ in 0..=random.below(3) {
                told.push(damage(&subject, &mut random));
            }
            match random.below(3) {
                0 => {}
                1 => {
                    subject.lose_outputs();
                    told.push("the outputs are lost".to_owned());
                }
                _ => {
                    version = if version == Version::A { Version::B } else { Version::A };
                    subject.bring(version);
                    told.push(format!("the sources are {version:?}"));
                }
            }
            let ended = recovers(&subject, oracle.expected(version));
            if let Err(what) = ended {
                let told = told.join("; ");
                return (round + 1, Err(format!("{make:?}, round {round}: {told}: {what}")));
            }
        }
        (ROUNDS, Ok(()))
    }
}

/// Damages one file; tells what was done.
fn damage(subject: &Subject<'_>, random: &mut Random) -> String {
    // A marker that says another format is respected for good, and a damaged one is such.
    let mut all = files_below(&subject.store());
    all.retain(|it| !it.ends_with("format"));
    let of = |part: &str| {
        let part = part.to_owned();
        let chosen = all.iter().filter(move |it| it.to_string_lossy().contains(&part));
        chosen.cloned().collect::<Vec<_>>()
    };
    let files = match random.below(8) {
        0 | 1 => of("/blobs/"),
        2 | 3 => of("/actions/"),
        4 => of("/stamps"),
        5 => all.clone(),
        6 => vec![subject.path("linkwright-out/ledger.json")],
        _ => files_below(&subject.path("linkwright-out/bin")),
    };
    let Some(path) = random.one(&files).cloned() else { return "nothing is there".to_owned() };
    let name = path.strip_prefix(subject.home()).unwrap_or(&path).display().to_string();
    let what = if random.once_in(2) { alter(&path, random) } else { replace(&path, &all, random) };
    if path.starts_with(subject.path("linkwright-out/bin")) && path.is_dir() {
        // A folder with something in it is somebody's: it stays, and the build says so.
        let _ = fs::remove_file(path.join("x"));
    }
    format!("{name}: {what}")
}

/// Changes the bytes of a file; its mode stays.
fn alter(path: &Path, random: &mut Random) -> String {
    let Some(mut bytes) = read_regular(path) else { return "it is no file".to_owned() };
    let mode = fs::metadata(path).map_or(0o644, |it| it.permissions().mode());
    let what = match random.below(5) {
        0 if !bytes.is_empty() => {
            let bit = random.below(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            format!("bit {bit} flipped")
        }
        1 => {
            bytes.truncate(random.below(bytes.len()));
            format!("cut to {}", bytes.len())
        }
        2 => {
            let more = 1 + random.below(100);
            bytes.resize(bytes.len() + more, b'x');
            format!("{more} bytes more")
        }
        3 => {
            bytes.fill(0);
            "all zeros".to_owned()
        }
        _ => {
            bytes.clear();
            "empty".to_owned()
        }
    };
    // In place at times, as a failing disk does it; else as a new file.
    let in_place =
        random.once_in(2) && fs::set_permissions(path, fs::Permissions::from_mode(0o644)).is_ok();
    if !in_place {
        let _ = fs::remove_file(path);
    }
    let written = fs::write(path, &bytes);
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(mode));
    format!("{what}{}", if written.is_ok() { "" } else { ", in vain" })
}

/// Puts something else in the place of a file.
fn replace(path: &Path, all: &[PathBuf], random: &mut Random) -> String {
    let node = |kind: SFlag, device| {
        let mode = Mode::from_bits_truncate(0o644);
        mknod(path, kind, mode, device).map_err(std::io::Error::from)
    };
    if let (0, Some(other)) = (random.below(9), random.one(all)) {
        // Two whole files, each under the other's name.
        let between = path.with_extension("between");
        let swapped = fs::rename(path, &between)
            .and_then(|()| fs::rename(other, path))
            .and_then(|()| fs::rename(&between, other));
        return format!("swapped with {} ({swapped:?})", other.display());
    }
    let _ = fs::remove_file(path);
    let (what, done) = match random.below(9) {
        0 => ("gone", Ok(())),
        1 => ("a folder", fs::create_dir(path)),
        2 => {
            let made = fs::create_dir(path);
            ("a folder with a file in it", made.and_then(|()| fs::write(path.join("x"), "x")))
        }
        3 => ("a link to a file", symlink("/etc/passwd", path)),
        4 => ("a link to nowhere", symlink("nowhere", path)),
        5 => ("a link to a device without end", symlink("/dev/zero", path)),
        6 => ("a FIFO", node(SFlag::S_IFIFO, 0)),
        7 => ("a device without end", node(SFlag::S_IFCHR, makedev(1, 5))),
        _ => ("a socket", UnixListener::bind(path).map(drop)),
    };
    match done {
        Ok(()) => what.to_owned(),
        Err(error) => format!("{what}, in vain: {error}"),
    }
}
