//! What makes Go forget objects of other C files compiles no more than it must, and shows nowhere.

use crate::support::has;
use crate::workspace::{Workspace, prints_c, text};
use std::fs;

/// A program, tests and one that embeds their sources; packages with C of two modules, of which one
/// reads a header of its module.
fn of_two_modules() -> Option<Workspace> {
    let c =
        |value: &str| format!("#include \"../x/x.h\"\nstatic int f(void) {{ return {value}; }}");
    let main = prints_c(&c("X"), "int(C.f()) + lib.F() + other.F()");
    let main = main.replace(
        "import \"C\"",
        "import \"C\"\nimport (\n\t\"m.org/other\"\n\t\"example.com/m/e/lib\"\n)",
    );
    let package = |name: &str, preamble: &str| {
        format!(
            "package {name}\n\n/*\n{preamble}\n*/\nimport \"C\"\n\nfunc F() int {{ return int(C.f()) }}\n"
        )
    };
    let embeds = "package main\n\nimport \"embed\"\n\n//go:embed lib/*.go\nvar files embed.FS\n\nfunc main() {\n\tall, _ := files.ReadDir(\"lib\")\n\tprintln(len(all))\n}\n";
    let rules = "build(defaults: (link: \"static_glibc\"), targets: [
        go_binary(name: \"a\", package: \"./a\"),
        go_binary(name: \"e\", package: \"./e\"),
        go_tests(name: \"t\", packages: [\"./e/lib\"]),
    ])";
    let files = [
        ("BUILD.ron", rules),
        ("a/main.go", &main),
        ("e/main.go", embeds),
        ("e/lib/lib.go", &package("lib", &c("10 * X").replace("../x", "../../x"))),
        (
            "e/lib/lib_test.go",
            "package lib\n\nimport \"testing\"\n\nfunc TestF(t *testing.T) {\n\tif F() != 10 {\n\t\tt.Fatal(F())\n\t}\n}\n",
        ),
        ("x/x.h", "#define X 1\n"),
        ("other/go.mod", "module m.org/other\n"),
        ("other/other.go", &package("other", "static int f(void) { return 100; }")),
    ];
    let it = Workspace::new(&files)?;
    let go_mod =
        it.read("go.mod") + "\nrequire m.org/other v0.0.0\n\nreplace m.org/other => ./other\n";
    it.file("go.mod", &go_mod);
    Some(it)
}

/// The judges are the compiler, behind a script that writes down what it is asked for, and a plain
/// `go build` with an empty cache.
#[test]
fn an_edit_of_a_header_compiles_the_packages_of_its_module_and_no_others() {
    if !has("gcc") {
        return;
    }
    let Some(it) = of_two_modules() else { return };
    let log = it.home().join("asked");
    // A file that a script names counts as a part of it.
    let it = it.instead_of("gcc", "echo \"$@\" >> \"$HOME/asked\"\nexec REAL \"$@\"");
    let cache = it.home().join("cache");
    let build = |says: &str| {
        let _ = fs::remove_file(&log);
        let run = it.build(&["--go-cache", cache.to_str().unwrap()]);
        assert_eq!(run.code, 0, "{run:#?}");
        let asked = fs::read_to_string(&log).unwrap_or_default();
        assert_eq!(it.says("a"), format!("{says}\n"));
        // What it is shown is embedded by nobody.
        assert_eq!(it.says("e"), "2\n");
        ["_cgo_export.c", "gcc_util.c"].map(|it| asked.matches(it).count())
    };
    let [_, of_runtime] = build("111");
    assert_ne!(of_runtime, 0, "Go's own package with C is compiled once");
    it.file("x/x.h", "#define X 2\n");
    let [own, of_runtime] = build("122");
    assert_ne!(own, 0);
    assert_eq!(of_runtime, 0, "and not for a header of ours");
    let mut plain = it.command("go");
    plain.args(["build", "-trimpath", "-buildvcs=false", "-o", "plain", "-tags=netgo,osusergo"]);
    plain.args(["-ldflags=-buildid= -linkmode=external -extldflags=-static", "./a"]);
    let plain = plain.env("GOCACHE", it.home().join("empty")).output().unwrap();
    assert!(plain.status.success(), "{}", text(&plain));
    assert!(it.bytes("a") == fs::read(it.path("plain")).unwrap(), "other bytes than Go's");
}
