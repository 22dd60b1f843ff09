//! Headers of the system: those that C code may read count, by content, and no others.

use crate::c_inputs::{machine_of, real, tools, watched};
use crate::support::has;
use crate::workspace::{Workspace, prints_c, text};
use linkwright::effects::c_includes::CWalk;
use linkwright::formats::go_list::parse;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// Fewer than these would mean that the judge saw nothing.
const LEAST_HEADERS: usize = 150;

fn with_cflags(words: &str) -> String {
    format!(
        "build(targets: [go_binary(name: \"p\", link: \"default\", env: {{\"CGO_CFLAGS\": \"{words}\"}})])"
    )
}

/// What C and C++ of the workspace and Go's own C read of the system, by the word of `strace`, is
/// what a walk through their texts finds, or part of it.
#[test]
fn every_header_of_the_system_that_compilers_open_is_found() {
    let main = prints_c("#include <math.h>\n#include <poll.h>\nint wide(void);", "C.wide()");
    let main =
        main.replace("import \"C\"\n", "import \"C\"\nimport (\n_ \"net\"\n_ \"os/user\"\n)\n");
    let wide = "#include <vector>\n#include <thread>\nextern \"C\" int wide() { return 7; }\n";
    // A word that nobody said before, so that Go's own C is compiled as well.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let build = with_cflags(&format!("-O1 -DNOW={now}"));
    let files = [("BUILD.ron", build.as_str()), ("main.go", &main), ("wide.cc", wide)];
    let tools_are_here = has("strace") && has("g++");
    let Some(it) = Workspace::with_c(&files).filter(|_| tools_are_here) else { return };
    let (run, seen) = watched(&it);
    assert_eq!(run.code, 0, "{run:#?}");
    assert_eq!(it.says("p"), "7\n");

    let machine = machine_of(&it);
    let folders = tools(&machine).folders;
    let is_header = |it: &PathBuf| folders.headers.iter().any(|folder| it.starts_with(folder));
    let opened = seen.opened.iter().map(|it| real(it)).filter(|it| is_header(it) && it.is_file());
    let opened: BTreeSet<_> = opened.collect();
    println!("headers of the system: {} opened", opened.len());
    assert!(opened.len() >= LEAST_HEADERS, "{opened:#?}");

    let listed = it.go(&["list", "-json", "-deps", "."]);
    let packages = parse(&listed.stdout).unwrap();
    let mut found = BTreeSet::new();
    for package in packages.values().filter(|it| it.files.use_cgo()) {
        let own = PathBuf::from(&package.dir);
        let walk = CWalk {
            sources: package.files.read_by_c().map(|it| own.join(it)).collect(),
            system: folders.headers_for(package.files.hold_cxx()).to_vec(),
            own,
            ..CWalk::default()
        };
        let read = walk.digests(&machine).unwrap();
        assert!(!read.any_header, "{}", package.import_path);
        found.extend(read.headers.into_keys().map(|it| real(&it)));
    }
    let missed: Vec<_> = opened.difference(&found).collect();
    assert!(missed.is_empty(), "opened, and not found: {missed:#?}");
}

/// The machine's headers, where they can be edited.
struct System(PathBuf);

impl System {
    fn copied(to: &Path) -> Self {
        let include = to.join("usr/include");
        fs::create_dir_all(&include).unwrap();
        let of_machine = Path::new("/usr/include");
        let parts = fs::read_dir(of_machine).unwrap().map(|it| it.unwrap().path());
        let folders = ["arpa", "asm-generic", "linux", "net", "netinet", "rpc", "x86_64-linux-gnu"];
        let folders = folders.map(|it| of_machine.join(it));
        let parts = parts.filter(|it| it.is_file() || folders.contains(it));
        let mut copy = Command::new("cp");
        let copied = copy.arg("-rL").args(parts).arg(&include).status().unwrap();
        assert!(copied.success());
        Self(include)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }
}

#[test]
fn an_edit_of_a_header_of_the_system_is_news_for_whose_c_names_it() {
    let main = prints_c("#include <math.h>\n#ifndef NUMBER\n#define NUMBER 1\n#endif", "C.NUMBER");
    let main = main.replace("import \"C\"\n", "import \"C\"\nimport _ \"net\"\n");
    let Some(it) = Workspace::with_c(&[("main.go", &main)]) else { return };
    let system = System::copied(&it.home().join("system"));
    let root = it.home().join("system");
    it.file("BUILD.ron", &with_cflags(&format!("-O1 -isysroot {}", root.display())));
    it.built().came("built 1");
    assert_eq!(it.says("p"), "1\n");
    let is_news = || !it.build(&["--dry-run"]).links().is_empty();
    assert!(!is_news());

    // The program's own, what `net` and `runtime/cgo` name, and one that these lead to.
    for name in ["math.h", "netdb.h", "signal.h", "x86_64-linux-gnu/bits/sigaction.h"] {
        let before = system.text(name);
        system.write(name, &(before.clone() + "// x\n"));
        assert!(is_news(), "{name}");
        system.write(name, &before);
        assert!(!is_news(), "{name}");
    }
    // What nobody names, and what nobody has a name for yet.
    for name in ["aio.h", "linux/cdrom.h", "new.h"] {
        system.write(name, "#error nobody reads this\n");
        assert!(!is_news(), "{name}");
    }
    // One that appears before another shadows it.
    system.write("x86_64-linux-gnu/math.h", "#include_next <math.h>\n#define NUMBER 2\n");
    it.built().came("built 1");
    assert_eq!(it.says("p"), "2\n");
    let number = system.text("math.h") + "#undef NUMBER\n#define NUMBER 3\n";
    system.write("math.h", &number);
    system.write("x86_64-linux-gnu/math.h", "#include_next <math.h>\n");
    it.built().came("built 1");
    assert_eq!(it.says("p"), "3\n", "an object of before is not taken");

    // What Go's own package says of a header that is gone is shown.
    let netdb = system.text("netdb.h");
    fs::remove_file(system.0.join("netdb.h")).unwrap();
    let run = it.build(&[]);
    assert_eq!(run.code, 1, "{run:#?}");
    let error = run.finished("//:p")["error"].as_str().unwrap();
    assert!(error.contains("netdb.h: No such file or directory"), "{error}");
    system.write("netdb.h", &netdb);
    it.built().came("up_to_date 1");

    // A macro makes a name: from here on, all of them count.
    let computed = main.replace("#include <math.h>", "#define H <math.h>\n#include H");
    it.file("main.go", &computed);
    it.built().came("built 1");
    assert!(!is_news());
    system.write("aio.h", "#error nor this\n");
    assert!(is_news());
    let why = text(&it.linkwright(&["why", "//:p"]).output().unwrap());
    assert!(why.contains("C headers of the compiler"), "{why}");
    it.built().came("built 1");
}
