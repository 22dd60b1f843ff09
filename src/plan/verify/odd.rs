//! Odd values: what no honest build asks for, and what lets somebody else decide what runs.
//!
//! | value | because |
//! |---|---|
//! | an interpreter that is no ABI path of the machine | the kernel runs whatever lies there, as the user who starts the program |
//! | `DT_AUDIT`, `DT_DEPAUDIT` | the loader runs those libraries before the program, `ldd` as well |
//! | a library search path in a folder that anybody can write to | whoever puts a library there is run |
//! | an empty or relative library search path | it is looked for in the folder that the program is started in |
//! | a Mach-O library by a path in one of these folders, or by a relative one | dyld opens that path |
//! | `LC_DYLD_ENVIRONMENT` | it sets variables that tell dyld where else to look |
//!
//! They break every promise, `any` too. A policy that names the interpreter lifts the first.

use crate::formats::linkage::{Class, Linkage};
use crate::model::policy::Policy;
use crate::plan::verify::{Breach, BrokenRule};

/// Folders that anybody can write to, wherever Linux runs.
const WRITABLE: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

/// ABI paths of the loader that do not depend on the machine: the BSDs', illumos's and Android's.
const ANY_MACHINE: [&str; 8] = [
    "/lib/ld.so.1",
    "/libexec/ld-elf.so.1",
    "/libexec/ld-elf.so.2",
    "/system/bin/linker",
    "/system/bin/linker64",
    "/usr/lib/ld.so.1",
    "/usr/libexec/ld.elf_so",
    "/usr/libexec/ld.so",
];

/// ABI paths of the loader on Linux by machine, glibc's and musl's.
///
/// # Source
///
/// Go's `cmd/link/internal/{amd64,arm64,…}/obj.go` (`LinuxdynldMusl` and its sisters), glibc's
/// `shlib-versions` files, musl's `configure`.
const BY_MACHINE: [(&str, &[&str]); 13] = [
    ("386", &["/lib/ld-linux.so.2", "/lib/ld-musl-i386.so.1"]),
    ("amd64", &["/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1", "/lib/amd64/ld.so.1"]),
    (
        "arm",
        &[
            "/lib/ld-linux.so.3",
            "/lib/ld-linux-armhf.so.3",
            "/lib/ld-musl-arm.so.1",
            "/lib/ld-musl-armhf.so.1",
        ],
    ),
    ("arm64", &["/lib/ld-linux-aarch64.so.1", "/lib/ld-musl-aarch64.so.1"]),
    ("loong64", &["/lib64/ld-linux-loongarch-lp64d.so.1", "/lib/ld-musl-loongarch64.so.1"]),
    ("mips", &["/lib/ld-musl-mips.so.1", "/lib/ld-musl-mips-sf.so.1"]),
    ("mipsle", &["/lib/ld-musl-mipsel.so.1", "/lib/ld-musl-mipsel-sf.so.1"]),
    ("mips64", &["/lib64/ld64.so.1", "/lib64/ld.so.1", "/lib/ld-musl-mips64.so.1"]),
    ("mips64le", &["/lib64/ld64.so.1", "/lib64/ld.so.1", "/lib/ld-musl-mips64el.so.1"]),
    ("ppc64", &["/lib64/ld64.so.1", "/lib64/ld64.so.2", "/lib/ld-musl-powerpc64.so.1"]),
    ("ppc64le", &["/lib64/ld64.so.2", "/lib/ld-musl-powerpc64le.so.1"]),
    (
        "riscv64",
        &[
            "/lib/ld-linux-riscv64-lp64d.so.1",
            "/lib/ld-linux-riscv64-lp64.so.1",
            "/lib/ld-musl-riscv64.so.1",
        ],
    ),
    ("s390x", &["/lib/ld64.so.1", "/lib/ld-musl-s390x.so.1"]),
];

/// Returns a breach for each odd value.
pub(super) fn odd_values(linkage: &Linkage, policy: Option<&Policy>) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut odd = |clause: String, hint| {
        breaches.push(Breach { rule: BrokenRule::OddValue, clause, hint: Some(hint) });
    };
    let named = policy.and_then(|it| it.interpreters.as_deref()).unwrap_or(&[]);
    if let Some(loader) = &linkage.interpreter
        && !named.contains(loader)
        && !is_loader_of(linkage, loader)
    {
        odd(
            format!("it asks for the loader `{loader}`, which is none of its platform's"),
            "look for `--dynamic-linker` in the linker's flags, or name the loader in the policy's `interpreters`",
        );
    }
    let is_mach_o = linkage.format == "mach_o";
    for setting in linkage.audit.iter().filter(|_| is_mach_o) {
        odd(
            format!("it sets `{setting}` for its loader"),
            "look for `-dyld_env` in the linker's flags",
        );
    }
    for library in linkage.needed.iter().filter(|_| is_mach_o) {
        if let Some(why) = oddity(library) {
            let what = format!("it needs `{library}`, {}", why.library());
            odd(what, "link with a library whose install name is absolute, or begins with `@`");
        }
    }
    for library in linkage.audit.iter().filter(|_| !is_mach_o) {
        odd(
            format!("it makes the loader run the audit library `{library}`"),
            "look for `--audit` or `--depaudit` in the linker's flags",
        );
    }
    for entry in linkage.rpath.iter().filter(|_| linkage.class != Class::NotElf) {
        if let Some(why) = oddity(entry) {
            odd(
                format!("it looks for libraries in `{entry}`, {}", why.folder()),
                "look for `-rpath` in the linker's flags and LDFLAGS",
            );
        }
    }
    breaches
}

fn is_loader_of(linkage: &Linkage, loader: &str) -> bool {
    match &*linkage.format {
        "mach_o" => loader == "/usr/lib/dyld",
        _ => is_abi_path(loader, linkage.machine.as_deref()),
    }
}

fn is_abi_path(loader: &str, machine: Option<&str>) -> bool {
    let by_machine = BY_MACHINE.iter().filter(|it| machine.is_none_or(|machine| machine == it.0));
    ANY_MACHINE.contains(&loader) || by_machine.flat_map(|it| it.1).any(|it| *it == loader)
}

/// What is odd about a place of libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Oddity {
    /// It is the folder that the program is started in.
    Started,
    /// It lies below that.
    Below,
    /// Anybody can write there.
    Writable,
}

impl Oddity {
    fn folder(self) -> &'static str {
        match self {
            Self::Started => "the folder that it is started in",
            Self::Below => "below the folder that it is started in",
            Self::Writable => "where anybody can put some",
        }
    }

    fn library(self) -> &'static str {
        match self {
            Self::Started | Self::Below => "which is looked for where it is started",
            Self::Writable => "where anybody can put another one",
        }
    }
}

/// Says what is odd about an entry of a library search path.
fn oddity(entry: &str) -> Option<Oddity> {
    let path = normal(entry);
    let is_in = |folder: &&str| {
        path.strip_prefix(*folder).is_some_and(|it| it.is_empty() || it.starts_with('/'))
    };
    if entry.is_empty() {
        Some(Oddity::Started)
    } else if ["$ORIGIN", "${ORIGIN}", "@executable_path", "@loader_path", "@rpath"]
        .iter()
        .any(|it| entry.starts_with(it))
    {
        None
    } else if !path.starts_with('/') {
        Some(Oddity::Below)
    } else if WRITABLE.iter().any(is_in) {
        Some(Oddity::Writable)
    } else {
        None
    }
}

/// Resolves empty parts, `.` and `..`, without looking at the file system.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_path_is_odd_where_somebody_else_can_put_a_library() {
        for odd in [
            "",
            ".",
            "lib",
            "../lib",
            "/tmp",
            "/tmp/x",
            "//var//tmp/./a",
            "/usr/../tmp/b",
            "$LIB",
            "/dev/shm",
        ] {
            assert!(oddity(odd).is_some(), "{odd:?}");
        }
        for fine in ["/usr/lib", "/tmpfs", "$ORIGIN", "$ORIGIN/../lib", "${ORIGIN}/x", "/opt/tmp"] {
            assert!(oddity(fine).is_none(), "{fine:?}");
        }
    }

    #[test]
    fn a_loader_belongs_to_its_machine() {
        assert!(is_abi_path("/lib64/ld-linux-x86-64.so.2", Some("amd64")));
        assert!(!is_abi_path("/lib64/ld-linux-x86-64.so.2", Some("arm64")));
        assert!(!is_abi_path("/tmp/ld-linux-x86-64.so.2", Some("amd64")));
        assert!(!is_abi_path("lib64/ld-linux-x86-64.so.2", Some("amd64")));
        assert!(!is_abi_path("", None));
    }
}
