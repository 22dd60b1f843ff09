//! What is built while it is measured: a module that the real Go compiles, and trees of any size
//! for the stand-in.

use crate::bench::{Bench, Programs, Toolchain};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How many programs the real module has, and how many packages with tests.
pub const PROGRAMS: usize = 20;
/// Packages with tests.
pub const TESTS: usize = 10;

/// The flags that every side links the real module with.
pub const FLAGS: [&str; 4] =
    ["-trimpath", "-buildvcs=false", "-tags=netgo,osusergo", "-ldflags=-buildid="];

/// A workspace for the real Go: programs that serve HTTP, each with a package of its own, all with
/// one in common, and packages with tests.
#[must_use]
pub fn real(programs: &Programs) -> Bench {
    let bench = Bench::new(programs, Toolchain::Real);
    let mut files = BTreeMap::new();
    let mut add = |name: String, text: String| files.insert(name, text.into_bytes());
    add("go.mod".into(), "module example.com/pace\n\ngo 1.24\n".into());
    let mut rules = String::from("build(defaults: (link: \"netgo\"), targets: [\n");
    for at in 0..PROGRAMS {
        let _ = writeln!(rules, "go_binary(name: \"p{at}\", package: \"./cmd/p{at}\"),");
        add(
            format!("cmd/p{at}/main.go"),
            format!(
                "package main\n\nimport (\n\t\"net/http\"\n\n\t\"example.com/pace/lib{at}\"\n)\n\n\
                 func main() {{\n\tprintln(http.StatusText(lib{at}.Code()))\n\
                 \tif lib{at}.Code() == 0 {{\n\t\t_ = http.ListenAndServe(\":1\", nil)\n\t}}\n}}\n"
            ),
        );
        add(format!("lib{at}/lib.go"), library(at, 200 + at));
        let test = format!(
            "package lib{at}\n\nimport \"testing\"\n\nfunc TestCode(t *testing.T) {{\n\
             \tif Code() == 0 {{\n\t\tt.Fatal()\n\t}}\n}}\n"
        );
        if at < TESTS {
            add(format!("lib{at}/lib_test.go"), test);
        }
    }
    rules += "go_tests(name: \"tests\", packages: [\"./...\"]),\n])\n";
    add("BUILD.ron".into(), rules);
    add("common/common.go".into(), "package common\n\nfunc One() int { return 1 }\n".into());
    bench.sync(&files);
    bench
}

/// A workspace for the real Go: one static program that serves HTTP, with C in it and a header
/// beside that.
#[must_use]
pub fn with_c(programs: &Programs) -> Bench {
    let bench = Bench::new(programs, Toolchain::Real);
    let main = "package main\n\n/*\n#include \"code.h\"\nstatic int code(void) { return CODE; }\n*/\n\
                import \"C\"\n\nimport \"net/http\"\n\nfunc main() {\n\
                \tprintln(http.StatusText(int(C.code())))\n\
                \tif C.code() == 0 {\n\t\t_ = http.ListenAndServe(\":1\", nil)\n\t}\n}\n";
    let rules = "build(targets: [go_binary(name: \"p\", link: \"static_glibc\")])\n";
    let files = [
        ("go.mod", "module example.com/pace\n\ngo 1.24\n"),
        ("main.go", main),
        ("code.h", &header(200)),
        ("BUILD.ron", rules),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
    bench.sync(&files.into());
    bench
}

/// The header of [`with_c`].
#[must_use]
pub fn header(code: usize) -> String {
    format!("#define CODE {code}\n")
}

/// Packages of the standard library whose tests are run: some take seconds, most none. None of them
/// starts `go`, which would compile anew where it finds no cache.
pub const STANDARD: [&str; 15] = [
    "bufio",
    "bytes",
    "container/heap",
    "container/list",
    "container/ring",
    "encoding/csv",
    "encoding/json",
    "errors",
    "html",
    "mime",
    "path",
    "strings",
    "text/scanner",
    "text/tabwriter",
    "unicode/utf8",
];

/// The module of [`real`] with nothing to build but its tests and those of [`STANDARD`], linked
/// without symbols, as `go test` links what it only runs.
#[must_use]
pub fn tested(programs: &Programs) -> Bench {
    let bench = real(programs);
    let names: Vec<_> = STANDARD.iter().map(|it| format!("{it:?}")).collect();
    let rules = format!(
        "build(targets: [go_tests(name: \"tests\", link: \"netgo\", vet: false, \
         ldflags: [\"-s\", \"-w\"], packages: [\"./...\", {}])])\n",
        names.join(", ")
    );
    fs::write(bench.root().join("BUILD.ron"), rules).unwrap();
    bench
}

/// Most packages of the standard library whose tests need no network and start no `go`.
pub const MORE_STANDARD: [&str; 46] = [
    "bufio",
    "bytes",
    "cmp",
    "container/heap",
    "container/list",
    "container/ring",
    "context",
    "encoding/ascii85",
    "encoding/base32",
    "encoding/base64",
    "encoding/binary",
    "encoding/csv",
    "encoding/hex",
    "encoding/json",
    "encoding/pem",
    "encoding/xml",
    "errors",
    "flag",
    "fmt",
    "hash/adler32",
    "hash/crc32",
    "hash/fnv",
    "hash/maphash",
    "html",
    "html/template",
    "io",
    "io/fs",
    "iter",
    "log",
    "maps",
    "math/bits",
    "math/cmplx",
    "mime",
    "net/mail",
    "net/url",
    "path",
    "path/filepath",
    "regexp",
    "slices",
    "sort",
    "strconv",
    "strings",
    "text/scanner",
    "text/tabwriter",
    "unicode",
    "unicode/utf8",
];

/// The packages of two modules that others wrote, as their copies lie in the workspace.
pub const OTHERS: [&str; 6] = [
    "./go-cmp/...",
    "./net/bpf",
    "./net/html/...",
    "./net/http/httpguts",
    "./net/http2/hpack",
    "./net/idna",
];

/// The modules, with the folders of their copies.
const MODULES: [(&str, &str); 2] =
    [("go-cmp", "github.com/google/go-cmp@v0.7.0"), ("net", "golang.org/x/net@v0.48.0")];

/// A workspace with copies of two modules, that runs their tests and those of [`MORE_STANDARD`];
/// returns it with the cache that holds what they depend on.
///
/// # Errors
///
/// Returns what `go` says if they are not to be had.
pub fn fleet(programs: &Programs) -> Result<(Bench, String), String> {
    let bench = Bench::new(programs, Toolchain::Real);
    let modules = ModuleCache::of(&bench);
    for (name, module) in MODULES {
        modules.copy(module, &bench.root().join(name))?;
    }
    let quoted =
        |them: &[&str]| them.iter().map(|it| format!("{it:?}")).collect::<Vec<_>>().join(", ");
    let files = [
        ("go.mod", "module example.com/fleet\n\ngo 1.26\n".to_owned()),
        ("go.work", "go 1.26.0\n\nuse (\n\t.\n\t./go-cmp\n\t./net\n)\n".to_owned()),
        (
            "BUILD.ron",
            format!(
                "build(targets: [go_tests(name: \"tests\", link: \"netgo\", vet: false, \
                 ldflags: [\"-s\", \"-w\"], packages: [{}, {}])])\n",
                quoted(&OTHERS),
                quoted(&MORE_STANDARD)
            ),
        ),
    ];
    for (name, text) in files {
        fs::write(bench.root().join(name), text).unwrap();
    }
    modules.fill(&OTHERS)?;
    Ok((bench, modules.folder))
}

/// The packages of the module of [`net`] that have tests, and whose tests need no others.
pub const OF_NET: [&str; 5] = ["./bpf", "./html/...", "./http/httpguts", "./http2/hpack", "./idna"];

/// A workspace that is a copy of golang.org/x/net, with the tests of [`OF_NET`]; returns it with
/// the cache that holds what they depend on.
///
/// # Errors
///
/// Returns what `go` says if it is not to be had.
pub fn net(programs: &Programs) -> Result<(Bench, String), String> {
    let bench = Bench::new(programs, Toolchain::Real);
    let modules = ModuleCache::of(&bench);
    // The folder is there, and the copy takes its place.
    fs::remove_dir(bench.root()).map_err(|it| it.to_string())?;
    modules.copy(MODULES[1].1, &bench.root())?;
    let rules = format!(
        "build(targets: [go_tests(name: \"tests\", link: \"netgo\", vet: false, packages: [{}])])\n",
        OF_NET.map(|it| format!("{it:?}")).join(", ")
    );
    fs::write(bench.root().join("BUILD.ron"), rules).map_err(|it| it.to_string())?;
    modules.fill(&OF_NET)?;
    Ok((bench, modules.folder))
}

/// Go's cache of modules, in the home of a bench.
struct ModuleCache {
    home: PathBuf,
    root: PathBuf,
    folder: String,
}

impl ModuleCache {
    fn of(bench: &Bench) -> Self {
        let folder = bench.home().join("modules").to_string_lossy().into_owned();
        Self { home: bench.home().to_owned(), root: bench.root(), folder }
    }

    fn go(&self, words: &[&str], folder: &Path) -> Result<Vec<u8>, String> {
        let mut command = Command::new("go");
        command.args(words).current_dir(folder).env("GOMODCACHE", &self.folder);
        let output = command.env("GOFLAGS", "-modcacherw").output().map_err(|it| it.to_string())?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(output.stdout) } else { Err(said) }
    }

    /// Fetches a module, and makes `to` a copy of its folder.
    fn copy(&self, module: &str, to: &Path) -> Result<(), String> {
        let told = self.go(&["mod", "download", "-json", module], &self.home)?;
        let told: serde_json::Value = serde_json::from_slice(&told).map_err(|it| it.to_string())?;
        let folder = told["Dir"].as_str().unwrap_or_default();
        let status = Command::new("cp").arg("-r").arg(folder).arg(to).status();
        let is_copied = status.is_ok_and(|it| it.success());
        is_copied.then_some(()).ok_or_else(|| format!("cannot copy `{folder}`"))
    }

    /// Fetches what packages of the workspace depend on: then nothing needs the network.
    fn fill(&self, packages: &[&str]) -> Result<(), String> {
        let words = [&["list", "-deps", "-test"][..], packages].concat();
        self.go(&words, &self.root).map(drop)
    }
}

/// The text of the library `at`, whose code is `code`.
#[must_use]
pub fn library(at: usize, code: usize) -> String {
    format!(
        "package lib{at}\n\nimport \"example.com/pace/common\"\n\n\
         // Code is a number.\nfunc Code() int {{ return {code} * common.One() }}\n"
    )
}

/// A workspace of `targets` programs for the stand-in, each of five files in a folder of its own, a
/// thousand to a rule file.
#[must_use]
pub fn generated(programs: &Programs, targets: usize) -> Bench {
    let bench = Bench::new(programs, Toolchain::Stub);
    let root = bench.root();
    fs::write(root.join("go.mod"), "module example.com/m\n\ngo 1.24\n").unwrap();
    fs::write(root.join("BUILD.ron"), "build(workspace: true, targets: [])\n").unwrap();
    let mut rules = String::new();
    for at in 0..targets {
        let (group, own) = (at / 1000, format!("g{}/p{at}", at / 1000));
        let folder = root.join(&own);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("main.go"), "package main\n\nfunc main() {}\n").unwrap();
        for name in ["a", "b", "c", "d"] {
            let text = format!("package main\n\nconst {name} = \"{at}\"\n");
            fs::write(folder.join(format!("{name}.go")), text).unwrap();
        }
        let _ =
            writeln!(rules, "go_binary(name: \"p{at}\", package: \"./p{at}\", link: \"pure\"),");
        if (at + 1) % 1000 == 0 || at + 1 == targets {
            let text = format!("build(targets: [\n{rules}])\n");
            fs::write(root.join(format!("g{group}/BUILD.ron")), text).unwrap();
            rules.clear();
        }
    }
    bench
}

/// The sources of the program `at` of a generated tree, below its root.
pub fn sources_of(at: usize) -> impl Iterator<Item = String> {
    ["main", "a", "b", "c", "d"].into_iter().map(move |it| format!("g{}/p{at}/{it}.go", at / 1000))
}

/// Writes `build.ninja` and a `Makefile` of `targets` edges over `sources`, with outputs in place.
pub fn peers_files(root: &Path, targets: usize, sources: impl Fn(usize) -> Vec<String>) {
    let mut ninja = String::from("rule touch\n  command = touch $out\n");
    let mut make = String::from("all:\n");
    let mut all = String::new();
    for at in 0..targets {
        let inputs = sources(at).join(" ");
        let _ = writeln!(ninja, "build out/{at}: touch {inputs}");
        let _ = writeln!(make, "out/{at}: {inputs}\n\ttouch out/{at}");
        let _ = write!(all, " out/{at}");
    }
    let _ = writeln!(make, "all:{all}");
    fs::write(root.join("build.ninja"), ninja).unwrap();
    fs::write(root.join("Makefile"), make).unwrap();
    fs::create_dir_all(root.join("out")).unwrap();
}

/// Writes a `Taskfile.yml` of `targets` tasks with checksums over `sources`.
pub fn task_file(root: &Path, targets: usize, sources: impl Fn(usize) -> Vec<String>) {
    let mut text = String::from("version: '3'\ntasks:\n  default:\n    deps: [");
    let names: Vec<_> = (0..targets).map(|at| format!("t{at}")).collect();
    let _ = writeln!(text, "{}]", names.join(", "));
    for at in 0..targets {
        let _ = writeln!(text, "  t{at}:\n    method: checksum\n    sources:");
        for source in sources(at) {
            let _ = writeln!(text, "      - {source}");
        }
        let _ =
            writeln!(text, "    generates:\n      - out/{at}\n    cmds:\n      - touch out/{at}");
    }
    fs::write(root.join("Taskfile.yml"), text).unwrap();
}

/// A copy of the workspace of `bench` without its outputs, in a folder of its own.
#[must_use]
pub fn clone_of(bench: &Bench, name: &str) -> PathBuf {
    let to = bench.home().join(name);
    let _ = fs::remove_dir_all(&to);
    let status = Command::new("cp").arg("-r").arg(bench.root()).arg(&to).status();
    assert!(status.is_ok_and(|it| it.success()), "cannot copy the workspace");
    let _ = fs::remove_dir_all(to.join("linkwright-out"));
    to
}

/// A folder with `count` names of the files in `folder`, in turn.
pub fn many(folder: &Path, to: &Path, count: usize) {
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    let files: Vec<_> = files.into_iter().filter(|it| it.is_file()).collect();
    fs::create_dir_all(to).unwrap();
    for (at, file) in files.iter().cycle().take(count).enumerate() {
        fs::hard_link(file, to.join(format!("f{at}"))).unwrap();
    }
}
