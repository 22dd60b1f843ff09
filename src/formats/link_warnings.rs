//! Reads the linker's warnings from what a build printed.
//!
//! glibc says in its own archive, in sections named `.gnu.warning.NAME`, what to print when `NAME`
//! is linked in, so the sentence is the same wherever it is printed; what stands before it is not:
//!
//! | linker | line |
//! |---|---|
//! | GNU ld (bfd) | ``/usr/bin/ld: a.o: in function `f':`` and, on the next line, `a.c:(.text+0x29): warning: Using 'getaddrinfo' in …` |
//! | gold | `a.o:a.c:function f: warning: Using 'getaddrinfo' in …` |
//! | lld, mold | nothing: they pass over these sections. Silence is no proof; the symbols are looked at as well |
//!
//! Other linker warnings are kept as one line each: bfd and gold write `FILE: warning: TEXT`,
//! lld `ld.lld: warning: TEXT`, mold `mold: warning: TEXT`. A compiler's warnings, which have a
//! line and a column, are left out: they are about code, not linkage.
//!
//! **Invariant:** temporary folders, whose names change with each run, do not get into a result.

use crate::formats::linkage::{Hazard, HazardBasis, HazardKind};

/// What the linker said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkWarnings {
    /// The hazards among the warnings, sorted, each once.
    pub hazards: Vec<Hazard>,
    /// One line for each warning, for people, in the order of the output, each once.
    pub lines: Vec<String>,
}

/// Reads the warnings from `output`, everything that a build printed.
#[must_use]
pub fn link_warnings(output: &str) -> LinkWarnings {
    let mut warnings = LinkWarnings::default();
    let mut caller = None;
    for line in output.lines() {
        if let Some(found) = between(line, "n function `", '\'') {
            caller = Some(found);
        }
        let Some((before, message)) = line.split_once("warning: ") else { continue };
        if is_compiler_warning(before) {
            continue;
        }
        let caller = between(before, ":function ", ':').or(caller.take());
        let told = match between(message, "Using '", '\'') {
            Some(symbol) if message.contains("in statically linked applications") => {
                let basis = HazardBasis::LinkerWarning;
                let hazard = Hazard { kind: kind(symbol), symbol: symbol.to_owned(), basis };
                warnings.hazards.push(hazard);
                let caller = caller.map_or_else(String::new, |it| format!(", called by `{it}`"));
                format!("`{symbol}` loads glibc's shared libraries at run time{caller}")
            }
            _ => without_temporary_folders(message.trim_end()),
        };
        if !warnings.lines.contains(&told) {
            warnings.lines.push(told);
        }
    }
    warnings.hazards.sort();
    warnings.hazards.dedup();
    warnings
}

/// glibc warns about the name service, about `dlopen`, and about `iconv_open`, which loads
/// converters as `dlopen` does. What a later glibc adds is most likely a name service function.
fn kind(symbol: &str) -> HazardKind {
    match symbol {
        "dlopen" | "dlmopen" | "iconv_open" => HazardKind::Dlopen,
        _ => HazardKind::Nss,
    }
}

fn between<'a>(text: &'a str, start: &str, end: char) -> Option<&'a str> {
    let from = text.find(start)? + start.len();
    let rest = &text[from..];
    Some(&rest[..rest.find(end)?])
}

/// `before` is what stands before `warning: `; compilers end it in line and column.
fn is_compiler_warning(before: &str) -> bool {
    let mut parts = before.trim_end().trim_end_matches(':').rsplit(':');
    let mut is_number = || {
        parts.next().is_some_and(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()))
    };
    is_number() && is_number()
}

/// Reduces paths in the go command's temporary folders to their last part.
fn without_temporary_folders(text: &str) -> String {
    let word = |it: &str| {
        let temporary = ["/go-link-", "/go-build", "/cc"].iter().any(|mark| it.contains(mark));
        match it.rsplit_once('/') {
            Some((folder, name)) if temporary || folder == "/tmp" => name.to_owned(),
            _ => it.to_owned(),
        }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(output: &str, expect: Expect) {
        let warnings = link_warnings(output);
        let hazards = warnings.hazards.iter();
        let hazards = hazards.map(|it| format!("{:?} {} {:?}\n", it.kind, it.symbol, it.basis));
        let text: String =
            hazards.chain(warnings.lines.iter().map(|it| format!("{it}\n"))).collect();
        expect.assert_eq(&text);
    }

    #[test]
    fn gnu_ld_names_the_caller_on_the_line_before() {
        check(
            "# example.com/m/net\n\
             /usr/bin/ld: /tmp/go-link-3943401430/000004.o: in function `_cgo_77133bf98b3a_C2func_getaddrinfo':\n\
             /tmp/go-build/cgo_unix_cgo.cgo2.c:60: warning: Using 'getaddrinfo' in statically linked applications requires at runtime the shared libraries from the glibc version used for linking\n\
             /usr/bin/ld: /tmp/go-link-3943401430/000019.o: in function `unixDlOpen':\n\
             /home/user/go/pkg/mod/github.com/mattn/go-sqlite3@v1.14.22/sqlite3-binding.c:44843: warning: Using 'dlopen' in statically linked applications requires at runtime the shared libraries from the glibc version used for linking\n",
            expect![[r"
                Nss getaddrinfo LinkerWarning
                Dlopen dlopen LinkerWarning
                `getaddrinfo` loads glibc's shared libraries at run time, called by `_cgo_77133bf98b3a_C2func_getaddrinfo`
                `dlopen` loads glibc's shared libraries at run time, called by `unixDlOpen`
            "]],
        );
    }

    #[test]
    fn gold_names_the_caller_on_the_same_line() {
        check(
            "/tmp/ccAVjb7u.o:n.c:function main: warning: Using 'getpwnam_r' in statically linked applications requires at runtime the shared libraries from the glibc version used for linking\n",
            expect![[r"
                Nss getpwnam_r LinkerWarning
                `getpwnam_r` loads glibc's shared libraries at run time, called by `main`
            "]],
        );
    }

    #[test]
    fn other_linker_warnings_are_kept_without_temporary_names_and_said_once() {
        check(
            "/usr/bin/ld: warning: /tmp/go-link-12/000007.o: missing .note.GNU-stack section implies executable stack\n\
             /usr/bin/ld: warning: /tmp/go-link-34/000007.o: missing .note.GNU-stack section implies executable stack\n\
             ld.lld: warning: cannot find entry symbol _start\n\
             mold: warning: unsupported relocation\n\
             a.c:(.text+0xe): warning: the use of `tmpnam' is dangerous, better use `mkstemp'\n\
             x.c:3:5: warning: unused variable 'x' [-Wunused-variable]\n",
            expect![[r"
                000007.o: missing .note.GNU-stack section implies executable stack
                cannot find entry symbol _start
                unsupported relocation
                the use of `tmpnam' is dangerous, better use `mkstemp'
            "]],
        );
    }
}
