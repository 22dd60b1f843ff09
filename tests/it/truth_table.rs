//! The truth table: real programs from real linkers, judged by linkwright, by `readelf`, and by
//! starting each in a root folder that holds nothing else.
//!
//! The programs are built once into `target/tmp/truth-table` and kept while their recipe and the
//! tools stay the same.

use crate::readelf::{Facts, readelf};
use crate::support::{has, manifest_dir};
use crate::workspace::shared;
use linkwright::formats::inspection::{Inspection, inspect};
use linkwright::formats::link_warnings::link_warnings;
use linkwright::formats::linkage::{Class, Libc, Linkage};
use linkwright::model::strategy::Promise;
use linkwright::plan::verify::verify;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

const GO_SOURCES: [(&str, &str); 5] = [
    ("go.mod", "module example.com/truth\n\ngo 1.24\n"),
    ("plain/main.go", "package main\n\nfunc main() { println(\"hi\") }\n"),
    (
        "lookup/main.go",
        "package main\n\nimport (\n\t\"net\"\n\t\"os\"\n)\n\nfunc main() {\n\tif len(os.Args) > 1 {\n\t\tprintln(net.LookupHost(os.Args[1]))\n\t}\n}\n",
    ),
    (
        "user/main.go",
        "package main\n\nimport (\n\t\"os\"\n\t\"os/user\"\n)\n\nfunc main() {\n\tif len(os.Args) > 1 {\n\t\tprintln(user.Lookup(os.Args[1]))\n\t}\n}\n",
    ),
    (
        "native/main.go",
        "package main\n\n// static int answer(void) { return 42; }\nimport \"C\"\n\nfunc main() { println(C.answer()) }\n",
    ),
];

const C_SOURCES: [(&str, &str); 5] = [
    ("hello.c", "#include <stdio.h>\nint main(void) { puts(\"hi\"); return 0; }\n"),
    (
        "names.c",
        "#include <netdb.h>\nint main(int n, char **v) { struct addrinfo *r; return n > 1 ? getaddrinfo(v[1], 0, 0, &r) : 0; }\n",
    ),
    (
        "opens.c",
        "#include <dlfcn.h>\nint main(int n, char **v) { return n > 1 ? dlopen(v[1], 1) != 0 : 0; }\n",
    ),
    // No C library at all: the system call `exit(0)` by hand.
    (
        "bare.c",
        "void _start(void) { __asm__ volatile(\"mov $60, %eax\\n xor %edi, %edi\\n syscall\"); }\n",
    ),
    ("library.c", "int answer(void) { return 42; }\n"),
];

/// One build of some Go packages: folder, environment, flags, packages.
struct GoBuild(
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
);

const STATIC: &str = "-ldflags=-linkmode=external -extldflags=-static";
const STATIC_PIE: &str = "-ldflags=-linkmode=external -extldflags=-static-pie";
const STRIPPED: &str = "-ldflags=-s -w -linkmode=external -extldflags=-static";

const GO_BUILDS: [GoBuild; 13] = [
    GoBuild("cgo", &[], &[], &["plain", "lookup", "native"]),
    GoBuild("netgo", &[], &["-tags=netgo"], &["lookup", "user"]),
    GoBuild("netgo,osusergo", &[], &["-tags=netgo,osusergo"], &["user"]),
    GoBuild("static", &[], &[STATIC], &["lookup", "native"]),
    GoBuild("static,stripped", &[], &[STRIPPED], &["lookup"]),
    GoBuild("static-pie", &[], &["-buildmode=pie", STATIC_PIE], &["native"]),
    GoBuild("pie,no cgo", &["CGO_ENABLED=0"], &["-buildmode=pie"], &["plain"]),
    GoBuild("static,musl", &["CC=musl-gcc"], &[STATIC], &["native"]),
    GoBuild("386", &["CGO_ENABLED=0", "GOARCH=386"], &[], &["plain"]),
    GoBuild("s390x", &["CGO_ENABLED=0", "GOARCH=s390x"], &[], &["plain"]),
    GoBuild("mips", &["CGO_ENABLED=0", "GOARCH=mips"], &[], &["plain"]),
    GoBuild("windows", &["CGO_ENABLED=0", "GOOS=windows"], &[], &["plain"]),
    GoBuild("darwin", &["CGO_ENABLED=0", "GOOS=darwin", "GOARCH=arm64"], &[], &["plain"]),
];

/// One build of a C file: name, compiler, words.
struct CBuild(&'static str, &'static str, &'static [&'static str]);

const C_BUILDS: [CBuild; 24] = [
    CBuild("plain", "gcc", &["hello.c", "-pie", "-fPIE"]),
    CBuild("no-pie", "gcc", &["hello.c", "-no-pie"]),
    CBuild("static", "gcc", &["hello.c", "-static"]),
    CBuild("static-pie", "gcc", &["hello.c", "-static-pie"]),
    CBuild("static, names", "gcc", &["names.c", "-static"]),
    CBuild("static, names, stripped", "gcc", &["names.c", "-static", "-s"]),
    CBuild("static, stripped", "gcc", &["hello.c", "-static", "-s"]),
    CBuild("static, dlopen", "gcc", &["opens.c", "-static"]),
    CBuild("no libc", "gcc", &["bare.c", "-static", "-nostdlib"]),
    CBuild("no libc, pie", "gcc", &["bare.c", "-nostdlib", "-pie"]),
    CBuild("no loader, libc", "gcc", &["hello.c", "-pie", "-fPIE", "-Wl,--no-dynamic-linker"]),
    CBuild("shared", "gcc", &["library.c", "-shared", "-fPIC", "-Wl,-soname,libanswer.so.1"]),
    CBuild("filter", "gcc", &["library.c", "-shared", "-fPIC", "-Wl,-F,libreal.so"]),
    CBuild("stripped", "gcc", &["hello.c", "-pie", "-fPIE", "-s"]),
    CBuild("loader in /tmp", "gcc", &["hello.c", "-no-pie", "-Wl,--dynamic-linker=/tmp/x"]),
    CBuild("relative loader", "gcc", &["hello.c", "-no-pie", "-Wl,--dynamic-linker=lib/x"]),
    CBuild("audit", "gcc", &["hello.c", "-no-pie", "-Wl,--audit=/opt/a.so"]),
    CBuild("depaudit", "gcc", &["hello.c", "-no-pie", "-Wl,--depaudit=/opt/a.so"]),
    CBuild("rpath", "gcc", &["hello.c", "-no-pie", "-Wl,-rpath,/opt/lib:$ORIGIN/../lib"]),
    CBuild(
        "rpath in /tmp",
        "gcc",
        &["hello.c", "-no-pie", "-Wl,-rpath,/tmp/lib,--disable-new-dtags"],
    ),
    CBuild("executable stack", "gcc", &["hello.c", "-no-pie", "-z", "execstack"]),
    CBuild("bound late", "gcc", &["hello.c", "-no-pie", "-Wl,-z,lazy,-z,norelro"]),
    CBuild("musl", "musl-gcc", &["hello.c", "-no-pie"]),
    CBuild("musl, static", "musl-gcc", &["names.c", "-static"]),
];

/// A built program: the row's name and the file.
struct Sample {
    name: String,
    path: PathBuf,
}

/// The files of every sample.
pub(crate) fn sample_files() -> impl Iterator<Item = PathBuf> {
    SAMPLES.iter().map(|it| it.path.clone())
}

/// Every sample that this machine can make, built once for all tests of this file.
static SAMPLES: LazyLock<Vec<Sample>> = LazyLock::new(|| {
    let mut samples = go_samples();
    samples.extend(c_samples());
    samples
});

fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("truth-table")
}

/// Writes `text` unless it is there already, so that times stay as they are.
fn keep(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    if fs::read_to_string(path).ok().as_deref() != Some(text) {
        fs::write(path, text).unwrap();
    }
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Runs `build` unless `stamp` says that the same was done before; keeps what it printed.
fn once(stamp: &Path, recipe: &str, outputs: &[PathBuf], build: impl FnOnce() -> Output) -> String {
    let (said, done) = (stamp.with_extension("said"), stamp.with_extension("recipe"));
    let fresh = fs::read_to_string(&done).ok().as_deref() == Some(recipe);
    if !fresh || outputs.iter().any(|it| !it.exists()) {
        let output = build();
        keep(&said, &String::from_utf8_lossy(&output.stderr));
        keep(&done, recipe);
    }
    fs::read_to_string(said).unwrap()
}

fn version(program: &str) -> String {
    let flag = if program == "go" { "version" } else { "--version" };
    let output = run(Command::new(program).arg(flag).env("GOTOOLCHAIN", "local"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn go_samples() -> Vec<Sample> {
    if !has("go") || !has("gcc") {
        return Vec::new();
    }
    let source = folder().join("go");
    for (path, text) in GO_SOURCES {
        keep(&source.join(path), text);
    }
    let tools = version("go") + &version("gcc");
    let mut samples = Vec::new();
    for GoBuild(name, env, flags, packages) in &GO_BUILDS {
        if env.iter().any(|it| it.contains("musl")) && !has("musl-gcc") {
            continue;
        }
        let out = folder().join("go-out").join(name);
        fs::create_dir_all(&out).unwrap();
        let suffix = if *name == "windows" { ".exe" } else { "" };
        let file = |package: &&str| out.join(format!("{package}{suffix}"));
        let outputs: Vec<PathBuf> = packages.iter().map(file).collect();
        let recipe = format!("{tools}{env:?}{flags:?}{packages:?}{GO_SOURCES:?}");
        once(&out.with_extension("go"), &recipe, &outputs, || {
            let mut command = go(&source);
            command
                .args(["build", "-trimpath", "-buildvcs=false"])
                .args(*flags)
                .arg("-o")
                .arg(&out);
            command.args(packages.iter().map(|it| format!("./{it}")));
            command.envs(env.iter().map(|it| it.split_once('=').unwrap()));
            run(&mut command)
        });
        let row = |(package, path): (&&str, PathBuf)| Sample {
            name: format!("go {package}: {name}"),
            path,
        };
        samples.extend(packages.iter().zip(outputs).map(row));
    }
    samples
}

/// The `go` command with an environment of our own and a compile cache that is kept.
fn go(folder_of_module: &Path) -> Command {
    let mut command = Command::new("go");
    command.current_dir(folder_of_module).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", folder()).env("GOCACHE", shared("plain-go-cache"));
    command.envs([("GOFLAGS", ""), ("GOTOOLCHAIN", "local"), ("GOENV", "off"), ("GOWORK", "off")]);
    command
}

fn c_samples() -> Vec<Sample> {
    let source = folder().join("c");
    for (path, text) in C_SOURCES {
        keep(&source.join(path), text);
    }
    let out = folder().join("c-out");
    fs::create_dir_all(&out).unwrap();
    let mut samples = Vec::new();
    for CBuild(name, compiler, words) in &C_BUILDS {
        if !has(compiler) {
            continue;
        }
        let path = out.join(name.replace(['/', ' ', ','], "-"));
        let recipe = format!("{}{words:?}{C_SOURCES:?}", version(compiler));
        once(&path.with_extension("c"), &recipe, std::slice::from_ref(&path), || {
            run(Command::new(compiler).current_dir(&source).args(*words).arg("-o").arg(&path))
        });
        samples.push(Sample { name: format!("{compiler}: {name}"), path });
    }
    samples
}

/// Starts a program in a root folder that holds nothing but it; `None` if it is not for this
/// machine.
fn starts_in_an_empty_root(sample: &Sample, linkage: &Linkage) -> Option<bool> {
    if linkage.machine.as_deref() != Some("amd64") || std::env::consts::ARCH != "x86_64" {
        return None;
    }
    let is_library = matches!(linkage.class, Class::Shared | Class::NotExecutable);
    if is_library || !linkage.format.starts_with("elf") {
        return None;
    }
    let root = tempfile::tempdir().unwrap();
    fs::copy(&sample.path, root.path().join("program")).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    let mut command = Command::new(if is_root { "chroot" } else { "unshare" });
    if !is_root {
        command.args(["-r", "chroot"]);
    }
    let output = command.arg(root.path()).arg("/program").env_clear();
    let output = output.env("PATH", std::env::var_os("PATH").unwrap_or_default()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    // `chroot` ends with 127 if the kernel does not find what the program asks for.
    let missing = output.status.code() == Some(127) && errors.contains("No such file or directory");
    assert!(
        output.status.success() || missing || linkage.interpreter.is_none(),
        "{}: {errors}",
        sample.name
    );
    Some(output.status.success())
}

fn look(sample: &Sample) -> Inspection {
    let bytes = fs::read(&sample.path).unwrap();
    inspect(&&bytes[..]).unwrap_or_else(|error| panic!("{}: {error}", sample.name))
}

/// One row as `docs/linkage.md` shows it.
fn row(sample: &Sample, linkage: &Linkage, starts: Option<bool>) -> String {
    let dash =
        |it: Option<String>| it.filter(|it| !it.is_empty()).unwrap_or_else(|| "–".to_owned());
    let hazards = linkage.hazards.iter();
    let hazards = hazards.map(|it| format!("{} ({:?})", it.symbol, it.basis).to_lowercase());
    format!(
        "| {} | `{}` | {} | {} | {} | {} | {} |",
        sample.name,
        linkage.class.as_str(),
        dash(linkage.interpreter.clone()),
        dash(Some(linkage.needed.join(", "))),
        dash(linkage.libc.map(|it| format!("{it:?}").to_lowercase())),
        dash(Some(hazards.collect::<Vec<_>>().join(", "))),
        dash(starts.map(|it| if it { "yes" } else { "**no**" }.to_owned())),
    )
}

/// What a file shows is what it does: no loader asked for, no loader missed.
#[test]
fn the_verdict_is_what_readelf_shows_and_what_an_empty_root_proves() {
    let can_start = has("chroot") && (rustix::process::geteuid().is_root() || has("unshare"));
    if !has("readelf") || !can_start {
        return;
    }
    let files: Vec<PathBuf> = SAMPLES.iter().map(|it| it.path.clone()).collect();
    let judged = readelf(&files);
    let document = fs::read_to_string(manifest_dir().join("docs/linkage.md")).unwrap();
    let mut missing = Vec::new();
    for sample in SAMPLES.iter() {
        let linkage = look(sample).linkage;
        if linkage.format.starts_with("elf") {
            assert_eq!(Facts::from(&linkage), judged[&sample.path], "{}", sample.name);
        }
        let starts = starts_in_an_empty_root(sample, &linkage);
        if let Some(starts) = starts {
            let whole = matches!(linkage.class, Class::Static | Class::StaticPie);
            assert_eq!(starts, whole, "{}", sample.name);
            let kept = verify(look(sample).into(), Promise::Static, None).is_ok();
            assert_eq!(kept, whole, "{}", sample.name);
        }
        let row = row(sample, &linkage, starts);
        if !document.contains(&row) {
            missing.push(row);
        }
    }
    assert!(missing.is_empty(), "rows that docs/linkage.md does not have:\n{}", missing.join("\n"));
}

/// Program headers are enough: a file without section headers gets the same verdict.
#[test]
fn a_file_without_section_headers_gets_the_same_verdict() {
    for sample in SAMPLES.iter() {
        let whole = look(sample).linkage;
        let mut bytes = fs::read(&sample.path).unwrap();
        let fields: &[std::ops::Range<usize>] = match &*whole.format {
            "elf64" => &[0x28..0x30, 0x3a..0x40],
            "elf32" => &[0x20..0x24, 0x2e..0x34],
            _ => continue,
        };
        for field in fields {
            bytes[field.clone()].fill(0);
        }
        let without = inspect(&&bytes[..]).unwrap().linkage;
        let mut same = Linkage { hazards: whole.hazards.clone(), ..without };
        // What is inside is inference: without symbols, musl shows only in programs that call its
        // `strerror`.
        if whole.libc == Some(Libc::Musl) && same.interpreter.is_none() {
            same.libc = whole.libc;
        }
        assert_eq!(same, whole, "{}", sample.name);
    }
}

/// Whatever was promised, and in these samples alone.
#[test]
fn what_no_honest_build_asks_for_is_refused_under_any_promise() {
    let odd = SAMPLES.iter().filter(|it| verify(look(it).into(), Promise::Any, None).is_err());
    let odd: Vec<&str> = odd.map(|it| it.name.as_str()).collect();
    let expected = ["loader in /tmp", "relative loader", "audit", "depaudit", "rpath in /tmp"];
    let expected: Vec<String> = expected.iter().map(|it| format!("gcc: {it}")).collect();
    assert!(odd.is_empty() && !has("gcc") || odd == expected, "{odd:?}");
}

#[test]
fn the_build_info_is_what_go_version_prints() {
    if !has("go") {
        return;
    }
    for sample in SAMPLES.iter().filter(|it| it.name.starts_with("go ")) {
        let output = run(go(&folder()).args(["version", "-m", "-json"]).arg(&sample.path));
        let theirs: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let ours = look(sample).build_info.unwrap_or_else(|| panic!("{}: none", sample.name));
        assert_eq!(theirs["GoVersion"], ours.go_version, "{}", sample.name);
        assert_eq!(theirs["Path"].as_str(), ours.path.as_deref(), "{}", sample.name);
        let text = |it: &serde_json::Value| it.as_str().unwrap_or_default().to_owned();
        let settings = theirs["Settings"].as_array().unwrap();
        let settings: Vec<_> =
            settings.iter().map(|it| (text(&it["Key"]), text(&it["Value"]))).collect();
        assert_eq!(settings, ours.settings, "{}", sample.name);
    }
}

/// The linker's word and the symbols agree about the name service.
#[test]
fn the_linkers_warnings_are_read_as_hazards() {
    let _built = SAMPLES.len();
    let said = |path: &str| fs::read_to_string(folder().join(path)).ok();
    let symbols = |path: &str| {
        let warnings = link_warnings(&said(path).unwrap_or_default());
        warnings.hazards.into_iter().map(|it| it.symbol).collect::<Vec<_>>()
    };
    if has("gcc") {
        assert_eq!(symbols("c-out/static--names.said"), ["getaddrinfo"]);
        assert_eq!(symbols("c-out/static--dlopen.said"), ["dlopen"]);
        assert!(symbols("c-out/static.said").is_empty());
    }
    if has("go") && has("gcc") {
        assert!(symbols("go-out/static.said").contains(&"getaddrinfo".to_owned()));
    }
}
