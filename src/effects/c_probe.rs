//! Programs of one line, linked to see what a C compiler and its linkers can make.
//!
//! A probe that worked is remembered with the files that the linker read, and holds as long as each
//! of them is unchanged; one that failed is tried again each time, since the cure is to install
//! something. A linker is believed only after what it made was read, and started.

use crate::effects::c_compiler::Compiler;
use crate::effects::inspect::linkage_of_file;
use crate::effects::machine::Machine;
use crate::formats::linkage::Class;
use crate::model::toolchain::{Linker, Need};
use crate::words::digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What the linker says when a probe does not link; the last line of its words.
pub type ProbeFailure = String;

/// A link to try.
pub struct Probe {
    /// What it shows if it links.
    pub shows: Need,
    /// It is C++.
    pub cxx: bool,
    flags: &'static [&'static str],
}

/// What is tried of each compiler.
pub const PROBES: [Probe; 3] = [
    Probe { shows: Need::StaticLibc, cxx: false, flags: &["-static"] },
    Probe { shows: Need::StaticPieStart, cxx: false, flags: &["-static-pie", "-fPIE"] },
    Probe {
        shows: Need::StaticLibstdcxx,
        cxx: true,
        flags: &["-static-libstdc++", "-static-libgcc"],
    },
];

#[derive(Serialize, Deserialize)]
struct Remembered {
    files: Vec<(PathBuf, Digest)>,
}

/// Tries whether a linker makes with a compiler what `flags` ask for: links a program, reads
/// what came out, and starts it where this machine can.
///
/// # Errors
///
/// Returns why not, as a clause.
pub fn try_linker(
    cc: &Compiler,
    machine: &Machine,
    linker: Linker,
    (flags, can_start): (&[&str], bool),
) -> Result<(), String> {
    let name = format!("ld.{}", linker.as_str());
    let Some(program) = cc.tool(machine, &name).filter(|it| it.is_file()) else {
        return Err(format!("there is no `{name}` here"));
    };
    let choice = format!("-fuse-ld={}", linker.as_str());
    let key = linker_key(machine, cc, &program, (flags, can_start)).map_err(|it| it.to_string())?;
    if machine.store.action::<Remembered>(&key).is_some() {
        return Ok(());
    }
    let words: Vec<_> = std::iter::once(choice.as_str()).chain(flags.iter().copied()).collect();
    let (folder, made) = link_one(machine, cc, (false, &words)).map_err(|it| it.to_string())??;
    let class = linkage_of_file(&made).map(|it| it.class);
    let wants_static = flags.iter().any(|it| it.starts_with("-static"));
    let is_static = matches!(class, Ok(Class::Static | Class::StaticPie));
    if wants_static && !is_static {
        return Err(format!("`{name}` did not link statically, as it was told"));
    }
    if can_start {
        let ended = machine.ask(&made, &[], folder.path());
        if !ended.is_ok_and(|it| it.status.success() && it.stdout_text() == "x\n") {
            return Err(format!("what `{name}` links does not start"));
        }
    }
    machine.store.put_action(&key, &Remembered { files: Vec::new() });
    Ok(())
}

/// Links a program of one line and returns what the linker read, by content.
///
/// # Errors
///
/// Returns what the linker says if it does not link.
pub fn probe(
    machine: &Machine,
    compiler: &Compiler,
    probe: &Probe,
    is_zig: bool,
) -> Result<Vec<(PathBuf, Digest)>, ProbeFailure> {
    let key = probe_key(machine, compiler, probe).map_err(|it| it.to_string())?;
    if let Some(Remembered { files }) = machine.store.action(&key)
        && files.iter().all(|(path, digest)| machine.digests.digest(path).ok() == Some(*digest))
    {
        return Ok(files);
    }
    let mut words = probe.flags.to_vec();
    // zig knows no `--trace`, and reads nothing outside its own folder. It compiles its libc once
    // for each way to optimise: here as cgo asks for it (`defaultCFlags` in `cmd/go`), or a build
    // would compile it again.
    words.extend_from_slice(if is_zig { &["-O2", "-g"] } else { &["-Wl,--trace"] });
    let linked = link_one_traced(machine, compiler, (probe.cxx, &words));
    let files = linked.map_err(|it| it.to_string())??;
    machine.store.put_action(&key, &Remembered { files: files.clone() });
    Ok(files)
}

fn probe_key(machine: &Machine, compiler: &Compiler, probe: &Probe) -> std::io::Result<Digest> {
    let mut hasher = blake3::Hasher::new_derive_key("linkwright c probe 2");
    hasher.update(compiler.digest(machine, "linkwright c compiler 1")?.as_bytes());
    for flag in probe.flags {
        hasher.update(&(flag.len() as u64).to_le_bytes());
        hasher.update(flag.as_bytes());
    }
    Ok(Digest::from_hasher(&hasher))
}

fn linker_key(
    machine: &Machine,
    compiler: &Compiler,
    linker: &Path,
    (flags, can_start): (&[&str], bool),
) -> std::io::Result<Digest> {
    let mut hasher = blake3::Hasher::new_derive_key("linkwright c linker 1");
    hasher.update(compiler.digest(machine, "linkwright c compiler 1")?.as_bytes());
    hasher.update(machine.digests.digest(linker)?.as_bytes());
    hasher.update(&[u8::from(can_start)]);
    for flag in flags {
        hasher.update(&(flag.len() as u64).to_le_bytes());
        hasher.update(flag.as_bytes());
    }
    Ok(Digest::from_hasher(&hasher))
}

type Program = (tempfile::TempDir, PathBuf);

/// Links a program of one line, C or C++.
fn link_one(
    machine: &Machine,
    compiler: &Compiler,
    how: (bool, &[&str]),
) -> std::io::Result<Result<Program, ProbeFailure>> {
    Ok(run_link(machine, compiler, how)?.map(|(folder, made, _)| (folder, made)))
}

/// The same, and returns what the linker read, by content.
fn link_one_traced(
    machine: &Machine,
    compiler: &Compiler,
    how: (bool, &[&str]),
) -> std::io::Result<Result<Vec<(PathBuf, Digest)>, ProbeFailure>> {
    let linked = run_link(machine, compiler, how)?;
    let read = |(folder, _, text): (tempfile::TempDir, PathBuf, String)| {
        let paths: BTreeSet<_> = text.lines().filter_map(|it| traced(it, folder.path())).collect();
        digested(machine, paths).collect()
    };
    Ok(linked.map(read))
}

fn run_link(
    machine: &Machine,
    compiler: &Compiler,
    (is_cxx, words): (bool, &[&str]),
) -> std::io::Result<Result<(tempfile::TempDir, PathBuf, String), ProbeFailure>> {
    let folder = tempfile::Builder::new().prefix("linkwright-probe-").tempdir()?;
    let source = folder.path().join(if is_cxx { "p.cc" } else { "p.c" });
    let text = if is_cxx {
        "int main() { int *p = new int(0); int r = *p; delete p; return r; }\n"
    } else {
        "#include <stdio.h>\nint main(void) { return puts(\"x\") < 0; }\n"
    };
    std::fs::File::create(&source)?.write_all(text.as_bytes())?;
    let output = folder.path().join("p");
    let mut args: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
    args.extend([OsStr::new("-o"), output.as_os_str(), source.as_os_str()]);
    let Ok(ended) = compiler.ask(machine, &args, folder.path()) else {
        return Ok(Err("the compiler did not end".to_owned()));
    };
    if !ended.status.success() {
        let text = ended.stderr_text();
        return Ok(Err(text.lines().last().unwrap_or_default().to_owned()));
    }
    Ok(Ok((folder, output, ended.stdout_text())))
}

/// Reads one line of `--trace`: `path`, `path(member)` or `(path)member`.
fn traced(line: &str, own: &Path) -> Option<PathBuf> {
    let line = line.trim();
    let path = match line.strip_prefix('(') {
        Some(rest) => rest.split(')').next()?,
        None => line.split('(').next()?,
    };
    let path = std::fs::canonicalize(path).ok()?;
    (path.is_absolute() && !path.starts_with(own) && !path.starts_with(std::env::temp_dir()))
        .then_some(path)
}

/// Digests files; what is not to be read is left out.
pub fn digested(
    machine: &Machine,
    files: impl IntoIterator<Item = PathBuf>,
) -> impl Iterator<Item = (PathBuf, Digest)> {
    let digest = |it: PathBuf| machine.digests.digest(&it).ok().map(|digest| (it, digest));
    files.into_iter().filter_map(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_line_names_a_file_with_or_without_a_member() {
        let own = Path::new("/nowhere");
        let expected = std::fs::canonicalize("/bin/sh").ok();
        assert_eq!(traced("/bin/sh", own), expected);
        assert_eq!(traced("(/bin/sh)printf.o", own), expected);
        assert_eq!(traced("/bin/sh(printf.o)", own), expected);
        assert_eq!(traced("/no/such/file.o", own), None);
    }
}
