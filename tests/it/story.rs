//! The old story, step by step, with plain `go`: what its recipe does with the Go that is here.
//!
//! `docs/story.md` tells the story and names a test for each step. Nothing of linkwright runs here:
//! these are the facts about Go, C and ELF that its strategies stand on, so each is judged by
//! others: `readelf`, the exit code of `go`, and a start in a root that holds nothing but the file.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// The recipe's words for the C linker.
const STATIC_2015: &str = r#"-extldflags "-lm -lstdc++ -static""#;
/// What makes Go call the C linker, and the C linker take everything in.
const STATIC_TODAY: &str = r#"-linkmode external -extldflags "-static""#;

/// A program that asks for a name and for a user.
const NET_AND_USER: &[(&str, &str)] =
    &[("main.go", include_str!("../../examples/net-and-user/main.go"))];

/// A program with C++ in it.
const CPP: &[(&str, &str)] = &[
    (
        "main.go",
        "package main\n\n// int answer(void);\nimport \"C\"\nimport _ \"net\"\n\n\
         func main() { println(\"answer\", C.answer()) }\n",
    ),
    (
        "answer.cc",
        "#include <string>\nextern \"C\" int answer() { return std::stoi(std::string(\"42\")); }\n",
    ),
];

#[test]
fn extldflags_are_dropped_without_a_word_while_go_links_by_itself() {
    let Some(module) = Module::new(NET_AND_USER) else { return };
    let build = module.go(&["build", "-ldflags", r#"-extldflags "-static""#, "-o", "out", "."]);
    assert!(build.status.success() && build.stderr.is_empty(), "{build:?}");
    assert_eq!(module.linkage("out"), Linkage::Dynamic(vec!["libc.so.6".to_owned()]));

    module.build(&["-ldflags", STATIC_TODAY]);
    assert_eq!(module.linkage("out"), Linkage::Static);
}

#[test]
fn netgo_alone_has_no_effect_where_os_user_is() {
    let Some(module) = Module::new(NET_AND_USER) else { return };
    for (tags, linkage) in [
        ("netgo", Linkage::Dynamic(vec!["libc.so.6".to_owned()])),
        ("osusergo", Linkage::Dynamic(vec!["libc.so.6".to_owned()])),
        ("netgo,osusergo", Linkage::Static),
    ] {
        module.build(&["-tags", tags]);
        assert_eq!(module.linkage("out"), linkage, "-tags {tags}");
    }

    let only_net = "package main\n\nimport \"net\"\n\nfunc main() { net.ParseIP(\"\") }\n";
    let Some(module) = Module::new(&[("main.go", only_net)]) else { return };
    module.build(&["-tags", "netgo"]);
    assert_eq!(module.linkage("out"), Linkage::Static);
}

#[test]
fn the_whole_recipe_is_dynamic_today_and_the_old_magic_flag_changes_nothing() {
    let Some(module) = Module::new(NET_AND_USER) else { return };
    let recipe = ["-trimpath", "-buildvcs=false", "-tags", "netgo", "-ldflags", STATIC_2015];
    module.build(&recipe);
    assert_eq!(module.linkage("out"), Linkage::Dynamic(vec!["libc.so.6".to_owned()]));
    let plain = fs::read(module.path("out")).unwrap();

    module.build(&[&["-a", "-installsuffix", "netgo"], &recipe[..]].concat());
    assert!(plain == fs::read(module.path("out")).unwrap(), "-a -installsuffix changed the file");
}

#[test]
fn a_tag_takes_effect_at_once_without_a_and_installsuffix() {
    let Some(module) = Module::new(NET_AND_USER) else { return };
    module.build(&[]);
    assert_ne!(module.linkage("out"), Linkage::Static);
    module.build(&["-tags", "netgo,osusergo"]);
    assert_eq!(module.linkage("out"), Linkage::Static);
}

#[test]
fn glibc_warns_where_it_is_linked_in_and_the_tags_end_that() {
    let Some(module) = Module::new(NET_AND_USER) else { return };
    let build = module.go(&["build", "-ldflags", STATIC_TODAY, "-o", "out", "."]);
    let warnings = String::from_utf8_lossy(&build.stderr).into_owned();
    assert!(build.status.success(), "{warnings}");
    for function in ["getaddrinfo", "getpwuid_r", "getpwnam_r"] {
        let warning = format!("Using '{function}' in statically linked applications");
        assert!(warnings.contains(&warning), "no warning of {function}:\n{warnings}");
    }
    let (code, verdict) = module.verdict("out");
    assert!(code == Some(6) && verdict.starts_with("out: static: "), "{verdict}");
    assert!(verdict.contains("getaddrinfo"), "{verdict}");

    let tags = ["build", "-tags", "netgo,osusergo", "-ldflags", STATIC_TODAY, "-o", "out", "."];
    let build = module.go(&tags);
    assert!(build.status.success() && build.stderr.is_empty(), "{build:?}");
    assert_eq!(module.linkage("out"), Linkage::Static);
    assert_eq!(module.verdict("out").0, Some(0));
}

/// A root whose `nsswitch.conf` names a module, with the module and the C library beside it.
///
/// The module prints when it is loaded and knows every user as `story`. It stands for `libnss_sss`,
/// `libnss_ldap` or `libnss_systemd` of a machine that a binary is carried to.
fn root_with_a_name_service(module: &Module) -> Option<TempDir> {
    let root = tempfile::tempdir().unwrap();
    let libraries = root.path().join("lib/x86_64-linux-gnu");
    fs::create_dir_all(&libraries).unwrap();
    fs::create_dir_all(root.path().join("etc")).unwrap();
    fs::write(root.path().join("etc/nsswitch.conf"), "passwd: story\nhosts: files\n").unwrap();
    fs::write(root.path().join("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
    fs::write(root.path().join("etc/passwd"), "filed:x:0:0::/:/bin/sh\n").unwrap();
    fs::write(
        module.path("service.txt"),
        r#"#include <nss.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>
__attribute__((constructor)) static void loaded(void) {
  static const char line[] = "a shared library was loaded\n";
  (void)!write(1, line, sizeof line - 1);
}
enum nss_status _nss_story_getpwuid_r(uid_t uid, struct passwd *out, char *buffer, size_t size,
                                      int *error) {
  (void)size, (void)error;
  strcpy(buffer, "story");
  *out = (struct passwd){buffer, buffer, uid, uid, buffer, buffer, buffer};
  return NSS_STATUS_SUCCESS;
}
"#,
    )
    .unwrap();
    let service = libraries.join("libnss_story.so.2");
    gcc(module, &["-shared", "-fPIC", "-x", "c", "service.txt", "-o"], &service);
    for name in ["libc.so.6", "ld-linux-x86-64.so.2"] {
        let here = Path::new("/lib/x86_64-linux-gnu").join(name);
        if !here.exists() {
            lacking("glibc's libraries where Debian on amd64 keeps them");
            return None;
        }
        fs::copy(here, libraries.join(name)).unwrap();
    }
    Some(root)
}

#[test]
fn a_static_glibc_program_loads_the_machines_shared_libraries_all_the_same() {
    let Some(module) = Module::new(NET_AND_USER) else { return };
    let Some(root) = root_with_a_name_service(&module) else { return };

    module.build(&["-ldflags", STATIC_TODAY]);
    assert_eq!(module.linkage("out"), Linkage::Static);
    let Some(start) = start_in(root.path(), &module.path("out")) else { return };
    let said = String::from_utf8_lossy(&start.stdout).into_owned();
    assert!(said.contains("a shared library was loaded"), "{start:?}");
    assert!(said.contains("user: uid 0, story"), "{start:?}");

    module.build(&["-tags", "netgo,osusergo", "-ldflags", STATIC_TODAY]);
    let Some(start) = start_in(root.path(), &module.path("out")) else { return };
    let said = String::from_utf8_lossy(&start.stdout).into_owned();
    assert_eq!(said, "localhost: 127.0.0.1\nuser: uid 0, filed\n", "{start:?}");
}

#[test]
fn a_static_glibc_program_crashes_where_the_c_library_is_another() {
    let Some(module) = Module::new(NET_AND_USER) else { return };
    let Some(root) = root_with_a_name_service(&module) else { return };
    // A `libc.so.6` without glibc's symbol versions, as musl's or an older glibc's are not these.
    fs::write(
        module.path("libc.txt"),
        "char *strcpy(char *to, const char *from) { (void)from; return to; }\n\
         long write(int to, const void *from, unsigned long size) { (void)to, (void)from; return size; }\n",
    )
    .unwrap();
    let library = root.path().join("lib/x86_64-linux-gnu/libc.so.6");
    let words = [
        "-shared",
        "-nostdlib",
        "-fno-builtin",
        "-Wl,-soname,libc.so.6",
        "-x",
        "c",
        "libc.txt",
        "-o",
    ];
    gcc(&module, &words, &library);

    module.build(&["-ldflags", STATIC_TODAY]);
    let Some(start) = start_in(root.path(), &module.path("out")) else { return };
    assert!(!start.status.success(), "{start:?}");
    let said = String::from_utf8_lossy(&start.stderr).into_owned();
    assert!(said.contains("signal arrived during cgo execution"), "{said}");

    module.build(&["-tags", "netgo,osusergo", "-ldflags", STATIC_TODAY]);
    let Some(start) = start_in(root.path(), &module.path("out")) else { return };
    assert!(start.status.success(), "{start:?}");
}

#[test]
fn a_test_binary_is_dynamic_because_of_what_its_test_imports() {
    let Some(module) = Module::new(&[
        ("quiet/quiet.go", "package quiet\n"),
        (
            "quiet/quiet_test.go",
            "package quiet\n\nimport \"testing\"\n\nfunc TestIt(t *testing.T) {}\n",
        ),
        ("served/served.go", "package served\n"),
        (
            "served/served_test.go",
            "package served\n\nimport (\n\t\"net/http/httptest\"\n\t\"testing\"\n)\n\n\
             func TestIt(t *testing.T) { httptest.NewRecorder() }\n",
        ),
    ]) else {
        return;
    };
    let test = |words: &[&str], package: &str| {
        let output = module.go(&[&["test", "-c", "-o", "out"], words, &[package]].concat());
        assert!(output.status.success(), "{output:?}");
        module.linkage("out")
    };
    assert_eq!(test(&[], "./quiet"), Linkage::Static);
    let dynamic = Linkage::Dynamic(vec!["libc.so.6".to_owned()]);
    assert_eq!(test(&[], "./served"), dynamic);
    assert_eq!(test(&["-ldflags", r#"-extldflags "-static""#], "./served"), dynamic);
    assert_eq!(test(&["-tags", "netgo,osusergo"], "./served"), Linkage::Static);
}

#[test]
fn cpp_forces_the_c_linker_and_then_the_same_flags_count() {
    let Some(module) = Module::new(CPP) else { return };
    module.build(&[]);
    let Linkage::Dynamic(needed) = module.linkage("out") else { panic!("C++ is static by itself") };
    assert!(needed.contains(&"libstdc++.so.6".to_owned()), "{needed:?}");

    module.build(&["-tags", "netgo", "-ldflags", STATIC_2015]);
    assert_eq!(module.linkage("out"), Linkage::Static);
    let Some(start) = start_alone(&module.path("out")) else { return };
    assert_eq!(String::from_utf8_lossy(&start.stderr), "answer 42\n");
}

#[test]
fn the_way_out_without_cgo_is_closed_to_a_cpp_program() {
    let Some(module) = Module::new(CPP) else { return };
    let build = module.go_with(&[("CGO_ENABLED", "0")], &["build", "-o", "out", "."]);
    assert!(!build.status.success());
    let said = String::from_utf8_lossy(&build.stderr).into_owned();
    assert!(
        said.contains("build constraints exclude all Go files")
            || said.contains("C++ source files not allowed when not using cgo"),
        "{said}"
    );
}

#[test]
fn the_race_detector_needs_cgo_and_is_static_with_it() {
    let race = "package main\n\nimport \"sync\"\n\nfunc main() {\n\tvar done sync.WaitGroup\n\tcount := 0\n\
                \tfor range 2 {\n\t\tdone.Add(1)\n\t\tgo func() {\n\t\t\tdefer done.Done()\n\
                \t\t\tcount++\n\t\t}()\n\t}\n\tdone.Wait()\n\tprintln(count)\n}\n";
    let Some(module) = Module::new(&[("main.go", race)]) else { return };
    let without = module.go_with(&[("CGO_ENABLED", "0")], &["build", "-race", "-o", "out", "."]);
    assert!(!without.status.success());
    let said = String::from_utf8_lossy(&without.stderr).into_owned();
    assert!(said.contains("-race requires cgo"), "{said}");

    module.build(&["-race", "-ldflags", STATIC_TODAY]);
    assert_eq!(module.linkage("out"), Linkage::Static);
    let Some(start) = start_alone(&module.path("out")) else { return };
    // 66 is the race detector's own exit code.
    assert_eq!(start.status.code(), Some(66), "{start:?}");
    assert!(String::from_utf8_lossy(&start.stderr).contains("WARNING: DATA RACE"), "{start:?}");
}

#[test]
fn external_linking_without_cgo_is_refused() {
    let Some(module) = Module::new(NET_AND_USER) else { return };
    let words = ["build", "-ldflags", "-linkmode external", "-o", "out", "."];
    let build = module.go_with(&[("CGO_ENABLED", "0")], &words);
    assert!(!build.status.success());
    let said = String::from_utf8_lossy(&build.stderr).into_owned();
    assert!(said.contains("requires external (cgo) linking, but cgo is not enabled"), "{said}");
}

#[test]
fn a_pie_without_cgo_is_static_to_ldd_and_does_not_start_alone() {
    let hello = "package main\n\nfunc main() { println(\"hello\") }\n";
    let Some(module) = Module::new(&[("main.go", hello)]) else { return };
    let words = ["build", "-buildmode=pie", "-o", "out", "."];
    let build = module.go_with(&[("CGO_ENABLED", "0")], &words);
    assert!(build.status.success(), "{build:?}");
    // `ldd` may run code of the file it is asked about; this test has just built the file itself.
    let ldd = Command::new("ldd").arg(module.path("out")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ldd.stdout).trim(), "statically linked");
    assert_eq!(module.linkage("out"), Linkage::NeedsLoader);
    let Some(start) = start_alone(&module.path("out")) else { return };
    assert_eq!(start.status.code(), Some(127), "{start:?}");
    let (code, verdict) = module.verdict("out");
    assert!(code == Some(6) && verdict.starts_with("out: needs_loader: "), "{verdict}");

    module.build(&[
        "-buildmode=pie",
        "-ldflags",
        r#"-linkmode external -extldflags "-static-pie""#,
    ]);
    assert_eq!(module.linkage("out"), Linkage::Static);
    assert!(module.verdict("out").1.starts_with("out: static_pie: "));
    let Some(start) = start_alone(&module.path("out")) else { return };
    assert_eq!(String::from_utf8_lossy(&start.stderr), "hello\n");
}

/// What `readelf` says of a file, as far as the story asks.
#[derive(Debug, PartialEq, Eq)]
enum Linkage {
    /// No interpreter, no library.
    Static,
    /// An interpreter, and no library.
    NeedsLoader,
    /// An interpreter, and these libraries.
    Dynamic(Vec<String>),
}

/// A Go module in a folder of its own.
struct Module {
    folder: TempDir,
}

impl Module {
    /// Writes `files`; `None` if this machine cannot build them.
    fn new(files: &[(&str, &str)]) -> Option<Self> {
        for tool in ["go", "gcc", "g++", "readelf"] {
            if Command::new(tool).arg("--help").output().is_err() {
                lacking(tool);
                return None;
            }
        }
        if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
            lacking("Linux on amd64, where the story happened");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("go.mod"), "module example.com/story\n\ngo 1.24\n").unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Some(Self { folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `go` with cgo on and nothing else of the caller's environment that steers Go or C.
    fn go(&self, words: &[&str]) -> Output {
        self.go_with(&[("CGO_ENABLED", "1")], words)
    }

    fn go_with(&self, environment: &[(&str, &str)], words: &[&str]) -> Output {
        let shared = Path::new(env!("CARGO_TARGET_TMPDIR"));
        Command::new("go")
            .args(words)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", shared)
            // Shared by all steps and kept for the next run: most of the time goes to the library.
            .env("GOCACHE", shared.join("plain-go-cache"))
            .env("GOFLAGS", "")
            .env("GOENV", "off")
            .env("GOWORK", "off")
            .env("GOTOOLCHAIN", "local")
            .envs(environment.iter().copied())
            .output()
            .unwrap()
    }

    /// Builds the program in the module's folder as `out`.
    fn build(&self, words: &[&str]) {
        let output = self.go(&[&["build", "-o", "out"], words, &["."]].concat());
        assert!(output.status.success(), "{words:?}: {output:?}");
    }

    /// Asks linkwright about a file, under the policy `release`: its exit code and what it says.
    fn verdict(&self, name: &str) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_linkwright"));
        command.args(["verify", "--policy", "release", name]).env_clear();
        let output = command.current_dir(self.folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    fn linkage(&self, name: &str) -> Linkage {
        let output =
            Command::new("readelf").args(["-lWd", "--"]).arg(self.path(name)).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let needed: Vec<_> = text
            .lines()
            .filter(|line| line.contains("(NEEDED)"))
            .filter_map(|line| Some(line.split_once('[')?.1.trim_end_matches(']').to_owned()))
            .collect();
        match (text.contains("INTERP"), needed.is_empty()) {
            (false, true) => Linkage::Static,
            (true, true) => Linkage::NeedsLoader,
            (_, false) => Linkage::Dynamic(needed),
        }
    }
}

fn gcc(module: &Module, words: &[&str], out: impl AsRef<OsStr>) {
    let output = Command::new("gcc")
        .args(words)
        .arg(out)
        .current_dir(module.folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Starts `program` in a root that holds nothing else.
fn start_alone(program: &Path) -> Option<Output> {
    start_in(tempfile::tempdir().unwrap().path(), program)
}

/// Starts `program` as the user with the number 0 in `root`; `None` if this machine does not allow
/// it.
fn start_in(root: &Path, program: &Path) -> Option<Output> {
    fs::copy(program, root.join("program")).unwrap();
    // `unshare` gives each user a namespace in which to be root and to change the root.
    let start = |root: &Path, program: &str| {
        Command::new("unshare")
            .args(["--map-root-user", "chroot"])
            .arg(root)
            .arg(program)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .output()
    };
    match start(Path::new("/"), "/bin/true") {
        Ok(output) if output.status.success() => Some(start(root, "/program").unwrap()),
        _ => {
            lacking("a way to start a program in a root of its own");
            None
        }
    }
}

/// Says what this machine lacks, or fails where nothing may be lacking.
fn lacking(what: &str) {
    assert!(std::env::var_os("REQUIRE_ALL").is_none(), "this machine lacks {what}");
    eprintln!("skipped: this machine lacks {what}");
}
