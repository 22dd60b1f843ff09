//! What the C side reads, by the word of the system: a build runs under `strace`, and each file
//! that a compiler, assembler or linker opened, and each that it looked for in vain, must count.
//!
//! The programs print what they are made of, so what they must say is known without a compiler.

use crate::support::{has, machine};
use crate::workspace::{Run, Workspace, prints_c, shared};
use linkwright::effects::c_tools::CTools;
use linkwright::effects::machine::Machine;
use linkwright::effects::store::Store;
use linkwright::engine::go_settle::Made;
use linkwright::model::toolchain::Toolchain;
use linkwright::words::digest::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

/// Fewer than these would mean that the judge saw nothing.
const LEAST_FILES: usize = 150;
pub(crate) const LEAST_ABSENT: usize = 300;

/// Files that hold one number each, and what they hold it as.
pub(crate) const NUMBERS: [(&str, Form); 15] = [
    ("w/include/inside.h", Form::Macro("INSIDE")),
    ("w/tables/odd.name", Form::Macro("ODD")),
    ("out/inc/plain.h", Form::Macro("PLAIN")),
    ("out/inc/by_macro.data", Form::Macro("BY_MACRO")),
    ("out/inc/by_flag.data", Form::Macro("BY_FLAG")),
    ("out/inc/forced.h", Form::Macro("FORCED")),
    ("out/inc2/next.h", Form::Macro("NEXT")),
    ("out/pc/packaged.h", Form::Macro("PACKAGED")),
    ("out/inc/wide.hpp", Form::Macro("WIDE")),
    ("out/inc/blob.bin", Form::Bytes),
    ("out/inc/joined.bin", Form::Bytes),
    ("out/lib/libarchive_of_one.a", Form::Archive("archived")),
    ("out/lib/parts/thin_member.o", Form::Object("thin")),
    ("out/lib/parts/scripted.o", Form::Object("scripted")),
    ("out/lib/named.o", Form::Object("named")),
];

#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// `#define NAME number`
    Macro(&'static str),
    /// Four bytes, the lowest first.
    Bytes,
    /// A function of this name.
    Object(&'static str),
    /// The same, in an archive.
    Archive(&'static str),
}

const MAIN: &str = r#"package main

/*
#cgo CPPFLAGS: -I${SRCDIR}/../../../out/inc -I${SRCDIR}/../../../out/inc2
#cgo CFLAGS: -include forced.h
#cgo LDFLAGS: -L${SRCDIR}/../../../out/lib -larchive_of_one -lthin -lscript ${SRCDIR}/../../../out/lib/named.o
#cgo pkg-config: packaged
#include <stdio.h>
#include "../../include/inside.h"
#include "../../tables/odd.name"
#include <plain.h>
#define CHOSEN "by_macro.data"
#include CHOSEN
#include FLAG
#include <next.h>
#include <packaged.h>
#if __has_include(<optional.h>)
#include <optional.h>
#else
#define OPTIONAL 0
#endif
int blob(void); int joined(void); int wide(void);
int archived(void); int thin(void); int scripted(void); int named(void);
static void out(const char *name, int value) { printf("%s %d\n", name, value); fflush(stdout); }
static void all(void) {
	out("w/include/inside.h", INSIDE); out("w/tables/odd.name", ODD);
	out("out/inc/plain.h", PLAIN); out("out/inc/by_macro.data", BY_MACRO);
	out("out/inc/by_flag.data", BY_FLAG); out("out/inc/forced.h", FORCED);
	out("out/inc2/next.h", NEXT); out("out/pc/packaged.h", PACKAGED);
	out("out/inc/wide.hpp", wide()); out("out/inc/blob.bin", blob());
	out("out/inc/joined.bin", joined()); out("out/lib/libarchive_of_one.a", archived());
	out("out/lib/parts/thin_member.o", thin()); out("out/lib/parts/scripted.o", scripted());
	out("out/lib/named.o", named()); out("optional", OPTIONAL); out("pc", PC);
}
*/
import "C"

func main() { C.all() }
"#;

/// The workspace, and around it the folder `out` of files that are not its own.
pub(crate) struct Fixture {
    pub(crate) workspace: Workspace,
    pub(crate) numbers: BTreeMap<&'static str, u32>,
    optional: u32,
    packaged: u32,
}

impl Fixture {
    pub(crate) fn new() -> Option<Self> {
        let tools = ["g++", "pkg-config", "ar"].iter().all(|it| has(it));
        let files = [
            ("cmd/p/main.go", MAIN),
            (
                "cmd/p/blob_amd64.S",
                ".text\n.globl blob\nblob: mov v(%rip), %eax\n ret\nv: .incbin \"blob.bin\"\n\
                 .section .note.GNU-stack,\"\",@progbits\n",
            ),
            (
                "cmd/p/joined.c",
                "#define FILE_OF_BYTES \"joined.bin\"\n\
                 __asm__(\".data\\nbytes: .incbin \\\"\" FILE_OF_BYTES \"\\\"\\n.text\");\n\
                 extern int bytes __asm__(\"bytes\") __attribute__((visibility(\"hidden\")));\n\
                 int joined(void) { return bytes; }\n",
            ),
            (
                "cmd/p/wide.cc",
                "#include <vector>\n#include \"wide.hpp\"\n\
                 extern \"C\" int wide() { std::vector<int> all(1, WIDE); return all.back(); }\n",
            ),
        ];
        let workspace = Workspace::with_c(&files).filter(|_| tools)?;
        let numbers = NUMBERS.iter().zip(10..).map(|(it, number)| (it.0, number)).collect();
        let this = Self { workspace, numbers, optional: 0, packaged: 1 };
        let out = this.path("out");
        this.write("out/inc/next.h", "#include_next <next.h>\n");
        this.write("out/lib/libscript.so", "INPUT ( parts/scripted.o )\n");
        for (name, form) in NUMBERS {
            this.put(name, form);
        }
        // Made once: the member's bytes are the member's.
        let ar = Command::new("ar")
            .args(["rcT", "libthin.a", "parts/thin_member.o"])
            .current_dir(out.join("lib"))
            .status()
            .unwrap();
        assert!(ar.success());
        this.put_packaged();
        let build = format!(
            "build(defaults: (env: {{\"PKG_CONFIG_PATH\": \"{}\",\n\
             \"CGO_CFLAGS\": \"-O1 -DFLAG=<by_flag.data>\"}}),\n\
             targets: [go_binary(name: \"p\", package: \"./cmd/p\", link: \"partly_static\")])\n",
            out.join("pc").display()
        );
        this.workspace.file("BUILD.ron", &build);
        Some(this)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.workspace.home().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn put_packaged(&self) {
        let folder = self.path("out/pc");
        let text = format!(
            "Name: packaged\nDescription: x\nVersion: 1\nCflags: -I{} -DPC={}\n",
            folder.display(),
            self.packaged
        );
        self.write("out/pc/packaged.pc", text);
    }

    /// Writes a file with the number that it holds.
    pub(crate) fn put(&self, name: &str, form: Form) {
        let number = self.numbers[name];
        match form {
            Form::Macro(define) => self.write(name, format!("#define {define} {number}\n")),
            Form::Bytes => self.write(name, number.to_le_bytes()),
            Form::Object(function) => self.object(name, function, number),
            Form::Archive(function) => {
                let (object, path) = (format!("{name}.o.tmp"), self.path(name));
                self.object(&object, function, number);
                let _ = fs::remove_file(&path);
                let ar = Command::new("ar").arg("rcD").arg(&path).arg(self.path(&object)).status();
                assert!(ar.unwrap().success());
                fs::remove_file(self.path(&object)).unwrap();
            }
        }
    }

    fn object(&self, name: &str, function: &str, number: u32) {
        let source = format!("{name}.c");
        self.write(&source, format!("int {function}(void) {{ return {number}; }}\n"));
        let mut gcc = Command::new("gcc");
        gcc.args(["-O1", "-fPIC", "-c", "-o"]).arg(self.path(name)).arg(self.path(&source));
        assert!(gcc.status().unwrap().success());
        fs::remove_file(self.path(&source)).unwrap();
    }

    /// What the program must say.
    fn expected(&self) -> String {
        let numbers = NUMBERS.iter().map(|it| (it.0, self.numbers[it.0]));
        let all = numbers.chain([("optional", self.optional), ("pc", self.packaged)]);
        all.map(|(name, number)| format!("{name} {number}\n")).collect::<Vec<_>>().concat()
    }

    /// Tells whether a build would run a `go build`: whether the key is another one.
    #[track_caller]
    fn would_build(&self) -> bool {
        let run = self.workspace.build(&["--dry-run"]);
        assert_eq!(run.code, 0, "{run:#?}");
        !run.links().is_empty()
    }

    #[track_caller]
    fn builds(&self, why: &str) -> Vec<u8> {
        let run = self.workspace.build(&[]);
        assert_eq!(run.code, 0, "{why}: {run:#?}");
        run.came("built 1");
        assert_eq!(self.workspace.says("p"), self.expected(), "{why}");
        self.workspace.bytes("p")
    }

    /// What Go makes of the same, by objects that nobody compiled before.
    fn clean_build(&self) -> Vec<u8> {
        let record = self.workspace.record("//:p");
        let strings = |it: &serde_json::Value| it.as_str().unwrap().to_owned();
        let command: Vec<_> =
            record["commands"][0].as_array().unwrap().iter().map(strings).collect();
        let output = self.path("clean");
        let mut go = self.workspace.command(&command[0]);
        let named = command[1..].iter().map(|it| {
            let is_output = it.ends_with("linkwright-out/bin/p");
            if is_output { output.to_string_lossy().into_owned() } else { it.clone() }
        });
        go.args(named).env("GOCACHE", shared("plain-go-cache")).env("GOTOOLCHAIN", "local");
        for (name, value) in record["environment"].as_object().unwrap() {
            go.env(name, strings(value));
        }
        let own = self.workspace.home().file_name().unwrap().display().to_string();
        go.env("CGO_CPPFLAGS", format!("-DJUDGE_{}", own.replace('.', "_")));
        let ended = go.output().unwrap();
        assert!(ended.status.success(), "{ended:?}");
        fs::read(output).unwrap()
    }

    /// Another compiler, assembler or linker before the old one: each is another toolchain.
    #[track_caller]
    fn upgrade_tools(&self) {
        for name in ["gcc", "g++", "as", "ld"] {
            let bin = self.path(&format!("upgraded-{name}"));
            fs::create_dir(&bin).unwrap();
            let path = std::env::var_os("PATH").unwrap();
            let old = std::env::split_paths(&path).map(|it| it.join(name)).find(|it| it.is_file());
            let script = format!("#!/bin/sh\nexec {} \"$@\"\n", old.unwrap().display());
            fs::write(bin.join(name), script).unwrap();
            fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
            let folders = std::iter::once(bin).chain(std::env::split_paths(&path));
            let mut command = self.workspace.linkwright(&["build", "--json", "--dry-run"]);
            command.env("PATH", std::env::join_paths(folders).unwrap());
            let run = Run::of(&command.output().unwrap());
            assert_eq!((run.code, run.links().len()), (0, 1), "{name}: {run:#?}");
        }
    }

    /// Makes a file that was looked for in vain, and that leads to what is found without it.
    pub(crate) fn appear(&self, path: &Path) {
        let folders = ["w/cmd/p", "out/inc", "out/inc2", "out/pc"].map(|it| self.path(it));
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let same = NUMBERS.iter().find(|it| it.0.ends_with(&format!("/{name}")));
        let header =
            folders.iter().find_map(|it| path.strip_prefix(it.canonicalize().unwrap()).ok());
        let text = match (same, header) {
            (Some((same, _)), _) => fs::read(self.path(same)).unwrap(),
            _ if name == "optional.h" => b"#define OPTIONAL 7\n".to_vec(),
            (None, Some(header)) => {
                let header = header.display();
                format!("#if __has_include_next(<{header}>)\n#include_next <{header}>\n#endif\n")
                    .into()
            }
            (None, None) => self.stand_in(&name).into_bytes(),
        };
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A linker script that leads to the library of this name, or to the archive where there is no
    /// shared one.
    fn stand_in(&self, name: &str) -> String {
        let archive = name.replace(".so", ".a");
        for name in [name, &archive] {
            let own = self.path("out/lib").join(name);
            let told =
                Command::new("gcc").arg(format!("-print-file-name={name}")).output().unwrap();
            let told = PathBuf::from(String::from_utf8(told.stdout).unwrap().trim());
            if let Some(found) = [own, told].iter().find(|it| it.is_absolute() && it.exists()) {
                return format!("INPUT ( {} )\n", found.display());
            }
        }
        "/* nothing */\n".to_owned()
    }

    /// The name of a file in the manifest.
    fn name(&self, path: &Path) -> String {
        match path.strip_prefix(self.workspace.root().canonicalize().unwrap()) {
            Ok(rest) => format!("example.com/m: {}", rest.display()),
            Err(_) => path.display().to_string(),
        }
    }

    /// The inputs that were kept with the result.
    fn inputs(&self) -> BTreeMap<String, Digest> {
        let record = self.workspace.record("//:p");
        let key = serde_json::from_value(record["key"].clone()).unwrap();
        let made: Made = Store::new(&self.workspace.store()).action(&key).unwrap();
        let inputs = made.inputs;
        let maps = [inputs.c_files, inputs.c_libraries, inputs.files];
        maps.into_iter().flatten().collect()
    }
}

/// What one process asked the system for.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) opened: BTreeSet<PathBuf>,
    pub(crate) absent: BTreeSet<PathBuf>,
}

/// Programs of the C side.
const C_SIDE: [&str; 8] = ["gcc", "g++", "cc1", "cc1plus", "as", "ld", "collect2", "lto-wrapper"];

/// Runs a build under `strace`, one file for each process.
pub(crate) fn watched(it: &Workspace) -> (Run, Seen) {
    let traces = it.home().join("traces");
    fs::create_dir(&traces).unwrap();
    fs::create_dir(it.home().join("tmp")).unwrap();
    let plain = it.linkwright(&["build", "--json"]);
    let mut command = it.command("strace");
    command.args(["-ff", "--seccomp-bpf", "-y", "-s", "4096", "-e", "trace=%file", "-o"]);
    command.arg(traces.join("t")).arg(plain.get_program()).args(plain.get_args());
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("TMPDIR", it.home().join("tmp"));
    let run = Run::of(&command.output().unwrap());
    let mut seen = Seen::default();
    for entry in fs::read_dir(&traces).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        read_trace(&text, &mut seen);
    }
    fs::remove_dir_all(&traces).unwrap();
    (run, seen)
}

/// Reads the trace of one process, if it is one of the C side.
fn read_trace(text: &str, seen: &mut Seen) {
    let mut is_c = false;
    let mut folder = PathBuf::from("/");
    for line in text.lines() {
        let Some((call, rest)) = line.split_once('(') else { continue };
        let Some((_, answer)) = rest.rsplit_once(" = ") else { continue };
        let Some(path) = rest.split('"').nth(1) else { continue };
        // Where the process runs stands in each call that may be relative to another folder.
        if let Some(at) = rest.strip_prefix("AT_FDCWD<").and_then(|it| it.split('>').next()) {
            folder = PathBuf::from(at);
        }
        let succeeded = !answer.starts_with('-');
        if call == "execve" && succeeded {
            let name = Path::new(path).file_name().unwrap().to_string_lossy();
            is_c = C_SIDE.iter().any(|it| name == *it || name.ends_with(&format!("-{it}")));
        }
        let path = folder.join(path);
        match call {
            "open" | "openat" | "execve" if is_c && succeeded => drop(seen.opened.insert(path)),
            "open" | "openat" | "access" | "stat" | "newfstatat" | "faccessat2"
                if is_c && answer.starts_with("-1 ENOENT") =>
            {
                seen.absent.insert(path);
            }
            _ => {}
        }
    }
}

/// Takes `.` and `..` out, as the system does where no link is on the way; else `None`.
pub(crate) fn real(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            other => plain.push(other),
        }
    }
    plain
}

/// The machine as linkwright sees it in the workspace's environment.
pub(crate) fn machine_of(it: &Workspace) -> Machine {
    let path = std::env::var_os("PATH").unwrap();
    let caller = BTreeMap::from([("PATH".into(), path)]);
    machine(caller, &it.home().join("unused"), &it.store(), &it.home().join("stamps"))
}

/// gcc and its tools.
pub(crate) fn tools(machine: &Machine) -> CTools {
    CTools::find(machine, &Toolchain::of_programs("gcc", None).compilers("amd64", None)).unwrap()
}

/// Which system files are no inputs, each with the reason.
pub(crate) fn decides_nothing(path: &Path) -> bool {
    let folders = [
        // What the kernel says of itself.
        "/proc",
        "/sys",
        "/dev",
        // Messages are in English (`LC_ALL=C`).
        "/usr/lib/locale",
        "/usr/share/locale",
    ];
    // The loader's index: the libraries that it leads to count themselves.
    let files = ["/etc/ld.so.cache", "/etc/ld.so.preload"];
    let gconv = "gconv-modules.cache";
    // Not files: how cgo calls lines of its own in what it gives the compiler.
    let lines =
        ["completed", "not-declared", "not-int-const", "not-num-const", "not-str-lit", "not-type"];
    folders.iter().any(|it| path.starts_with(it))
        || files.iter().any(|it| path == Path::new(it))
        || path.ends_with(gconv)
        || lines.iter().any(|it| path.ends_with(it))
}

#[test]
fn what_strace_sees_the_c_side_read_or_miss_counts() {
    if !has("strace") {
        return;
    }
    let Some(mut it) = Fixture::new() else { return };
    let (run, seen) = watched(&it.workspace);
    assert_eq!(run.code, 0, "{run:#?}");
    assert_eq!(it.workspace.says("p"), it.expected());
    let first = it.workspace.bytes("p");
    assert!(!it.would_build(), "the key is settled");

    let home = it.workspace.home().canonicalize().unwrap();
    let root = String::from_utf8(it.workspace.go(&["env", "GOROOT"]).stdout).unwrap();
    let passing = [home.join("tmp"), home.join("store"), home.join("w/linkwright-out")];
    let passing: Vec<_> = passing.into_iter().chain([PathBuf::from(root.trim())]).collect();
    let counts =
        |it: &PathBuf| !decides_nothing(it) && !passing.iter().any(|folder| it.starts_with(folder));

    // Files of the system: in the identity of the tools, or below the folders of headers.
    let tools = tools(&machine_of(&it.workspace));
    let known: BTreeSet<_> = tools.files.iter().map(|it| real(&it.0)).collect();
    let is_known = |it: &PathBuf| {
        known.contains(it) || tools.folders.headers.iter().any(|folder| it.starts_with(folder))
    };
    let opened: BTreeSet<_> = seen.opened.iter().map(|it| real(it)).collect();
    let opened: Vec<_> = opened.into_iter().filter(|it| it.is_file() && counts(it)).collect();
    let (own, system): (Vec<_>, Vec<_>) = opened.into_iter().partition(|it| it.starts_with(&home));
    let unknown: Vec<_> = system.iter().filter(|it| !is_known(it)).collect();
    assert!(unknown.is_empty(), "read, and no input: {unknown:#?}");

    // Files of ours: kept with the result, by content.
    let inputs = it.inputs();
    for path in &own {
        let name = it.name(path);
        let digest = Digest::of(&fs::read(path).unwrap());
        let by_go = format!("example.com/m/cmd/p: {}", path.file_name().unwrap().display());
        let kept = inputs.get(&name).or_else(|| inputs.get(&by_go));
        assert_eq!(kept, Some(&digest), "`{name}` was read: {inputs:#?}");
    }
    // Files that were looked for in vain: all of them appear, without changing what they stand for.
    let absent: BTreeSet<_> = seen.absent.iter().map(|it| real(it)).collect();
    let is_ours = |it: &&PathBuf| it.starts_with(&home) && counts(it) && !it.exists();
    let absent: Vec<_> = absent.iter().filter(is_ours).collect();
    let files = own.len() + system.len();
    println!("C inputs: {files} files read, {} of them ours; {} absent", own.len(), absent.len());
    assert!(files >= LEAST_FILES && own.len() > NUMBERS.len() && absent.len() >= LEAST_ABSENT);
    for path in &absent {
        it.appear(path);
    }
    it.optional = 7;
    it.builds("all that was absent is there");
    let inputs = it.inputs();
    for path in &absent {
        let name = it.name(path);
        assert!(inputs.contains_key(&name), "`{name}` was looked for: {inputs:#?}");
    }
    for path in &absent {
        fs::remove_file(path).unwrap();
    }
    it.optional = 0;
    it.workspace.built().came("restored 1");
    assert_eq!(it.workspace.bytes("p"), first);
}

#[test]
fn an_edit_of_what_c_reads_is_in_the_program_and_a_revert_is_restored() {
    let Some(mut it) = Fixture::new() else { return };
    let first = it.builds("the first");
    // One of each way to be compiled, assembled and linked alone, then all together.
    let alone = ["out/inc/by_macro.data", "out/inc/joined.bin", "out/lib/parts/scripted.o"];
    for (name, form) in NUMBERS.into_iter().filter(|it| alone.contains(&it.0)) {
        let old = it.numbers.insert(name, 100).unwrap();
        it.put(name, form);
        it.builds(name);
        it.numbers.insert(name, old);
        it.put(name, form);
        it.workspace.built().came("restored 1");
        assert_eq!(it.workspace.bytes("p"), first);
    }
    it.numbers = NUMBERS.iter().zip(200..).map(|(it, number)| (it.0, number)).collect();
    // What only the caller's variables name is not seen.
    it.write("unseen/optional.h", "#error\n");
    for (name, form) in NUMBERS {
        it.put(name, form);
    }
    it.packaged = 2;
    it.put_packaged();
    let mut command = it.workspace.linkwright(&["build", "--json"]);
    for name in ["CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH", "COMPILER_PATH"] {
        command.env(name, it.path("unseen"));
    }
    Run::of(&command.output().unwrap()).came("built 1");
    assert_eq!(it.workspace.says("p"), it.expected());
    let all = it.workspace.bytes("p");
    assert_eq!(it.clean_build(), all, "nothing stale, and no trace of how that is");
    it.upgrade_tools();
}

#[test]
fn outside_the_module_a_shadow_counts_and_a_header_that_nobody_includes_does_not() {
    let main = prints_c("#cgo CPPFLAGS: -I${SRCDIR}/../a -I${SRCDIR}/../b\n#include <x.h>", "C.X");
    let build = r#"build(targets: [go_binary(name: "p")])"#;
    let files = [("BUILD.ron", build), ("main.go", main.as_str())];
    let Some(it) = Workspace::with_c(&files) else { return };
    let write = |name: &str, text: &str| {
        let path = it.home().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("b/x.h", "#define X 1\n");
    it.built().came("built 1");
    assert_eq!(it.says("p"), "1\n");
    for text in ["#define UNUSED 1\n", "#define UNUSED 2\n"] {
        write("a/unused.h", text);
        it.built().came("up_to_date 1");
    }
    write("a/x.h", "#define X 2\n");
    it.built().came("built 1");
    assert_eq!(it.says("p"), "2\n");
    fs::remove_file(it.home().join("a/x.h")).unwrap();
    it.built().came("restored 1");
    assert_eq!(it.says("p"), "1\n");
}
