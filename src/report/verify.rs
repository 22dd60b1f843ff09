//! What `verify` says of each file: a block for people, or a line of JSON.

use crate::formats::linkage::{
    BuildInfo, Class, Hazard, HazardBasis, HazardKind, Libc, Linkage, MachOFacts, PeFacts, Relro,
};
use crate::report::escape;
use crate::report::paint::{Paint, Tone};
use crate::words::exit_code::ExitCode;
use schemars::JsonSchema;
use serde::Serialize;
use std::io::{self, Write};

/// What was found out about one file; one line of `verify --json`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Inspection {
    /// The file as named on the command line.
    pub file: String,
    /// What it shows, or why it could not be read.
    #[serde(flatten)]
    pub finding: Finding,
}

/// What one file shows.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Finding {
    /// It was read.
    Read(Box<FileFacts>),
    /// It was not.
    Unreadable {
        /// Why not.
        error: FileError,
    },
}

/// The facts of a file that was read.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FileFacts {
    /// How it is linked.
    pub linkage: Linkage,
    /// What Go wrote into it; `null` if Go did not make it.
    pub build_info: Option<BuildInfo>,
    /// The policy it was held against; `null` if none was asked for.
    pub policy: Option<String>,
    /// Each clause of the policy that it breaks, as one sentence.
    pub violations: Vec<String>,
}

/// Why a file could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FileError {
    /// One sentence, with the offset where bytes are at fault.
    pub message: String,
}

/// Returns the exit code that these findings give: an unreadable file before a broken policy.
#[must_use]
pub fn exit_code(inspections: &[Inspection]) -> ExitCode {
    let code = |it: &Inspection| match &it.finding {
        Finding::Unreadable { .. } => ExitCode::BadInput,
        Finding::Read(facts) if !facts.violations.is_empty() => ExitCode::PromiseBroken,
        Finding::Read(_) => ExitCode::Done,
    };
    let codes: Vec<ExitCode> = inspections.iter().map(code).collect();
    let order = [ExitCode::BadInput, ExitCode::PromiseBroken];
    order.into_iter().find(|it| codes.contains(it)).unwrap_or(ExitCode::Done)
}

/// Writes one file's block: facts to `out`, an error to `err`.
///
/// # Errors
///
/// Returns a writer's error.
pub fn write_block(
    inspection: &Inspection,
    paint: Paint,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<()> {
    let file = escape::line(&inspection.file);
    let facts = match &inspection.finding {
        Finding::Read(facts) => facts,
        Finding::Unreadable { error } => {
            out.flush()?;
            return writeln!(err, "error: cannot read `{file}`: {}", escape::line(&error.message));
        }
    };
    let linkage = &facts.linkage;
    let class = linkage.class.as_str();
    let class = paint.say(Tone::Strong, class);
    writeln!(out, "{file}: {class}: {}", class_in_words(linkage.class))?;
    for (word, values) in fact_lines(facts) {
        for (index, value) in values.iter().enumerate() {
            let word = if index == 0 { word } else { "" };
            writeln!(out, "  {word:<12}  {}", escape::line(value))?;
        }
    }
    if facts.policy.is_none() && facts.violations.is_empty() {
        return Ok(());
    }
    let (tone, verdict) = match facts.violations.len() {
        0 => (Tone::Good, "kept"),
        _ => (Tone::Bad, "broken"),
    };
    let verdict = paint.say(tone, verdict);
    match &facts.policy {
        Some(policy) => writeln!(out, "  {:<12}  {}: {verdict}", "policy", escape::line(policy))?,
        // What no policy needs to forbid: an interpreter under /tmp, an audit library.
        None => writeln!(out, "  {:<12}  {verdict}", "safety")?,
    }
    facts.violations.iter().try_for_each(|it| writeln!(out, "    {}", escape::line(it)))
}

fn class_in_words(class: Class) -> &'static str {
    match class {
        Class::Static => "starts without a loader or libraries",
        Class::StaticPie => "starts without a loader or libraries, at any address",
        Class::SystemLibraries => "needs the system's own libraries and no others",
        Class::NeedsLoader => "needs no library, but does not start without its loader",
        Class::Dynamic => "needs a loader and libraries",
        Class::Shared => "a library",
        Class::NotExecutable => "nothing that is started",
        Class::NotElf => "not an ELF file, nor Mach-O, nor PE",
    }
}

/// Returns the lines of a block; a word without values is left out.
fn fact_lines(facts: &FileFacts) -> Vec<(&'static str, Vec<String>)> {
    let linkage = &facts.linkage;
    let machine = linkage.machine.as_ref().map_or_else(String::new, |it| format!(", {it}"));
    let mut lines = vec![("format", vec![format!("{}{machine}", linkage.format)])];
    if linkage.class == Class::NotElf {
        return lines;
    }
    let asked = [("GLIBC", &linkage.glibc_max), ("GLIBCXX", &linkage.glibcxx_max)];
    let asked: Vec<String> = asked
        .into_iter()
        .filter_map(|(name, version)| Some(format!("{name} {}", version.as_ref()?)))
        .collect();
    let libc = linkage.libc.map(|it| match it {
        Libc::Glibc => "glibc".to_owned(),
        Libc::Musl => "musl".to_owned(),
    });
    lines.extend([
        ("interpreter", linkage.interpreter.iter().cloned().collect()),
        ("needs", needs(linkage)),
        ("asks for", if asked.is_empty() { vec![] } else { vec![asked.join(", ")] }),
        ("C library", libc.into_iter().collect()),
        ("search path", linkage.rpath.clone()),
        ("audit", linkage.audit.clone()),
        ("filters", linkage.filters.clone()),
        ("packed by", linkage.packer.iter().cloned().collect()),
        ("soname", linkage.soname.iter().cloned().collect()),
        ("system", system(linkage).into_iter().collect()),
        ("hardening", vec![hardening(linkage)]),
        ("hazards", linkage.hazards.iter().map(hazard_in_words).collect()),
        ("parts", linkage.parts.iter().map(part_in_words).collect()),
    ]);
    if let Some(info) = &facts.build_info {
        let path = info.path.as_ref().map_or_else(String::new, |it| format!(", {it}"));
        lines.push(("Go", vec![format!("{}{path}", info.go_version)]));
    }
    lines
}

/// The libraries, those that may be missing at the start marked.
fn needs(linkage: &Linkage) -> Vec<String> {
    let weak = linkage.mach_o.iter().flat_map(|it| &it.weak);
    let delayed = linkage.pe.iter().flat_map(|it| &it.delayed);
    let (weak, delayed): (Vec<_>, Vec<_>) = (weak.collect(), delayed.collect());
    let marked = |it: &String| {
        if weak.contains(&it) {
            format!("{it} (may be missing)")
        } else if delayed.contains(&it) {
            format!("{it} (at first use)")
        } else {
            it.clone()
        }
    };
    linkage.needed.iter().map(marked).collect()
}

/// What Mach-O and PE say of the system that they are for, and whether they are signed.
fn system(linkage: &Linkage) -> Option<String> {
    let signed = |it| if it { ", signed (not checked)" } else { ", not signed" };
    if let Some(MachOFacts { platform, minimum_os, weak: _, signed: is }) = &linkage.mach_o {
        let platform = platform.as_deref().unwrap_or("none named");
        let oldest = minimum_os.as_ref().map(|it| format!(" {it} or later")).unwrap_or_default();
        return Some(format!("{platform}{oldest}{}", signed(*is)));
    }
    let PeFacts { subsystem, signed: is, .. } = linkage.pe.as_ref()?;
    Some(format!("Windows, subsystem {subsystem}{}", signed(*is)))
}

fn part_in_words(part: &Linkage) -> String {
    let machine = part.machine.as_deref().unwrap_or("another machine");
    format!("{machine}: {}", part.class.as_str())
}

fn hardening(linkage: &Linkage) -> String {
    let relro = match linkage.relro {
        Relro::None => "no relro",
        Relro::Partial => "partial relro",
        Relro::Full => "full relro",
    };
    let mut words = vec![
        if linkage.pie { "position-independent" } else { "fixed address" },
        if linkage.nx { "stack not executable" } else { "EXECUTABLE STACK" },
    ];
    if let Some(PeFacts { high_entropy, guard_cf, .. }) = &linkage.pe {
        words.extend(high_entropy.then_some("64-bit randomisation"));
        words.extend(guard_cf.then_some("control-flow guard"));
    } else if linkage.mach_o.is_none() {
        words.push(relro);
    }
    if linkage.textrel {
        words.push("TEXT RELOCATIONS");
    }
    words.join(", ")
}

fn hazard_in_words(hazard: &Hazard) -> String {
    let Hazard { kind, symbol, basis } = hazard;
    let what = match kind {
        HazardKind::Nss => "loads name-service libraries at run time",
        HazardKind::Dlopen => "loads libraries at run time",
    };
    match basis {
        HazardBasis::LinkerWarning => format!("`{symbol}` {what} (the linker said so)"),
        HazardBasis::Symbol => format!("`{symbol}` {what} (inferred: the function is inside)"),
        HazardBasis::Text => format!("{what} (inferred: `{symbol}` is named inside)"),
    }
}

/// Makes linkages for tests.
#[cfg(test)]
pub(crate) fn sample_linkage(class: Class) -> Linkage {
    Linkage {
        class,
        format: "elf64".to_owned(),
        machine: Some("amd64".to_owned()),
        interpreter: None,
        needed: Vec::new(),
        glibc_max: None,
        glibcxx_max: None,
        rpath: Vec::new(),
        audit: Vec::new(),
        filters: Vec::new(),
        packer: None,
        soname: None,
        libc: None,
        hazards: Vec::new(),
        pie: false,
        nx: true,
        relro: Relro::None,
        textrel: false,
        mach_o: None,
        pe: None,
        parts: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::reporter::write_json_line;
    use expect_test::expect;

    fn samples() -> Vec<Inspection> {
        let facts = |linkage, violations: &[&str]| {
            Finding::Read(Box::new(FileFacts {
                linkage,
                build_info: Some(BuildInfo {
                    go_version: "go1.26.8".to_owned(),
                    path: Some("example.com/m/cmd/server".to_owned()),
                    ..BuildInfo::default()
                }),
                policy: Some("release".to_owned()),
                violations: violations.iter().map(|it| (*it).to_owned()).collect(),
            }))
        };
        let dynamic = Linkage {
            interpreter: Some("/lib64/ld-linux-x86-64.so.2".to_owned()),
            needed: vec!["libc.so.6".to_owned(), "lib\x1b[2J.so".to_owned()],
            glibc_max: Some("2.34".to_owned()),
            libc: Some(Libc::Glibc),
            hazards: vec![Hazard {
                kind: HazardKind::Nss,
                symbol: "getaddrinfo".to_owned(),
                basis: HazardBasis::LinkerWarning,
            }],
            ..sample_linkage(Class::Dynamic)
        };
        let not_elf =
            Linkage { format: "script".to_owned(), machine: None, ..sample_linkage(Class::NotElf) };
        let broken = ["its class is `dynamic`; `static` or `static_pie` is demanded"];
        let message = "the program header table ends behind the file, at offset 64".to_owned();
        let unreadable = Finding::Unreadable { error: FileError { message } };
        [
            ("bin/server", facts(sample_linkage(Class::Static), &[])),
            ("bin/dynamic", facts(dynamic, &broken)),
            ("Makefile", facts(not_elf, &[])),
            ("cut\n.elf", unreadable),
        ]
        .map(|(file, finding)| Inspection { file: file.to_owned(), finding })
        .into()
    }

    #[test]
    fn each_file_is_a_block() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        for it in samples() {
            write_block(&it, Paint::Plain, &mut out, &mut err).unwrap();
        }
        let text = |it| String::from_utf8(it).unwrap();
        expect![[r#"
            bin/server: static: starts without a loader or libraries
              format        elf64, amd64
              hardening     fixed address, stack not executable, no relro
              Go            go1.26.8, example.com/m/cmd/server
              policy        release: kept
            bin/dynamic: dynamic: needs a loader and libraries
              format        elf64, amd64
              interpreter   /lib64/ld-linux-x86-64.so.2
              needs         libc.so.6
                            lib\u{1b}[2J.so
              asks for      GLIBC 2.34
              C library     glibc
              hardening     fixed address, stack not executable, no relro
              hazards       `getaddrinfo` loads name-service libraries at run time (the linker said so)
              Go            go1.26.8, example.com/m/cmd/server
              policy        release: broken
                its class is `dynamic`; `static` or `static_pie` is demanded
            Makefile: not_elf: not an ELF file, nor Mach-O, nor PE
              format        script
              policy        release: kept
            --- stderr
            error: cannot read `cut\n.elf`: the program header table ends behind the file, at offset 64
        "#]].assert_eq(&format!("{}--- stderr\n{}", text(out), text(err)));
    }

    #[test]
    fn each_file_is_a_line_of_json() {
        let mut out = Vec::new();
        for it in &samples()[1..] {
            write_json_line(it, &mut out).unwrap();
        }
        expect![[r#"
            {"file":"bin/dynamic","linkage":{"class":"dynamic","format":"elf64","machine":"amd64","interpreter":"/lib64/ld-linux-x86-64.so.2","needed":["libc.so.6","lib\u001b[2J.so"],"glibc_max":"2.34","glibcxx_max":null,"rpath":[],"audit":[],"filters":[],"soname":null,"packer":null,"libc":"glibc","hazards":[{"kind":"nss","symbol":"getaddrinfo","basis":"linker_warning"}],"pie":false,"nx":true,"relro":"none","textrel":false,"mach_o":null,"pe":null,"parts":[]},"build_info":{"go_version":"go1.26.8","path":"example.com/m/cmd/server","main_module":null,"settings":[],"modules":[]},"policy":"release","violations":["its class is `dynamic`; `static` or `static_pie` is demanded"]}
            {"file":"Makefile","linkage":{"class":"not_elf","format":"script","machine":null,"interpreter":null,"needed":[],"glibc_max":null,"glibcxx_max":null,"rpath":[],"audit":[],"filters":[],"soname":null,"packer":null,"libc":null,"hazards":[],"pie":false,"nx":true,"relro":"none","textrel":false,"mach_o":null,"pe":null,"parts":[]},"build_info":{"go_version":"go1.26.8","path":"example.com/m/cmd/server","main_module":null,"settings":[],"modules":[]},"policy":"release","violations":[]}
            {"file":"cut\n.elf","error":{"message":"the program header table ends behind the file, at offset 64"}}
        "#]].assert_eq(&String::from_utf8(out).unwrap());
    }

    #[test]
    fn an_unreadable_file_outweighs_a_broken_policy() {
        let all = samples();
        assert_eq!(exit_code(&all), ExitCode::BadInput);
        assert_eq!(exit_code(&all[..2]), ExitCode::PromiseBroken);
        assert_eq!(exit_code(&all[..1]), ExitCode::Done);
    }
}
