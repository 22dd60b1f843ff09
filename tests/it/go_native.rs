//! Listings that linkwright reads by itself, held against those of `go list`: the same, or none.

use crate::go_packages::differences;
use crate::nasty_packages::{ROWS, Row};
use crate::support::{has, machine};
use linkwright::effects::go_tool::{GoModuleFolder, GoTool, Trust};
use linkwright::effects::go_tree::roots;
use linkwright::effects::machine::Machine;
use linkwright::engine::listing::ListingKey;
use linkwright::engine::native_listing::NativeListing;
use linkwright::formats::go_list::GoPackage;
use linkwright::plan::configuration::{GoPlatform, Selection};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

type Packages = BTreeMap<String, GoPackage>;

/// A module, and a machine that lists it.
struct Place {
    home: tempfile::TempDir,
    machine: Machine,
    go: GoTool,
}

impl Place {
    fn new(files: &[(&str, &str)]) -> Option<Self> {
        if !has("go") {
            return None;
        }
        let home = tempfile::tempdir().unwrap();
        let own = home.path().join(".machine");
        let caller = std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "HOME");
        let [cache, store, stamps] = ["go", "store", "stamps"].map(|it| own.join(it));
        let machine = machine(caller.collect(), &cache, &store, &stamps);
        let go = GoTool::find(&machine, Trust::Look).unwrap();
        let this = Self { home, machine, go };
        for (name, text) in files {
            this.file(name, text);
        }
        Some(this)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().canonicalize().unwrap().join(name)
    }

    fn file(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text.strip_prefix("-> ") {
            Some(target) => symlink(target, path).unwrap(),
            None => fs::write(path, text.replace("HELP", "example.com/m/help")).unwrap(),
        }
    }

    fn question(&self, module: &str, patterns: &[&str], cgo: bool) -> ListingKey {
        let platform = GoPlatform { goos: "linux".into(), goarch: "amd64".into(), level: None };
        let (tags, env) = (Vec::new(), BTreeMap::new());
        ListingKey {
            go: self.go.identity,
            module: GoModuleFolder::of(&self.path(module)).unwrap(),
            selection: Selection { platform, cgo, tags, race: false, env },
            patterns: patterns.iter().map(|it| (*it).to_owned()).collect(),
            tests: true,
            written: 0,
        }
    }

    fn listed(&self, question: &ListingKey) -> Packages {
        let patterns: Vec<_> = question.patterns.iter().cloned().collect();
        let ListingKey { module, selection, tests, .. } = question;
        self.go.list(&self.machine, module, selection, &patterns, *tests).unwrap()
    }

    /// Does something with a native listing, if the tree can have one.
    fn native<T>(
        &self,
        question: &ListingKey,
        what: impl FnOnce(&NativeListing<'_>) -> T,
    ) -> Option<T> {
        NativeListing::of(&self.go, question, &roots(&question.module)).as_ref().map(what)
    }

    fn learn(&self, question: &ListingKey, packages: &Packages) {
        self.native(question, |it| it.learn(&self.machine.store, packages)).unwrap();
    }

    fn read(&self, question: &ListingKey) -> Option<Packages> {
        self.native(question, |it| it.packages(&self.machine.store)).flatten()
    }

    /// Reads, or if that cannot be, asks and learns; returns whether it was read. What is read must
    /// be what Go tells.
    #[track_caller]
    fn same(&self, question: &ListingKey, what: &str) -> bool {
        let go = self.listed(question);
        let is_well = go.values().all(|it| it.error.is_none() && it.deps_errors.is_empty());
        if let Some(own) = self.read(question) {
            let lines = differences(&go, &own);
            assert!(lines.is_empty(), "{what}:\n{}", lines.join("\n"));
            return true;
        }
        if is_well {
            self.learn(question, &go);
        }
        false
    }
}

const GO_MOD: (&str, &str) = ("go.mod", "module example.com/m\n\ngo 1.24\n");

/// What rows import and others teach.
const TEACHERS: [(&str, &str); 3] = [
    ("help/help.go", "package help\n"),
    (
        "teach/teach.go",
        "package teach\n\nimport (\n\t_ \"embed\"\n\t_ \"fmt\"\n\t_ \"io\"\n\t_ \"os\"\n\t_ \"sort\"\n)\n",
    ),
    ("teachc/teach.go", "package teachc\n\nimport \"C\"\n"),
];

fn of_row(packages: &Packages, folder: &Path) -> Packages {
    let here = packages.iter().filter(|(_, it)| Path::new(&it.dir).starts_with(folder));
    let bare = |(path, it): (&String, &GoPackage)| {
        let matched = it.matched.iter().map(|_| "./...".to_owned()).collect();
        (path.clone(), GoPackage { matched, ..it.clone() })
    };
    here.map(bare).collect()
}

/// What is wrong with a row: nothing if it is read as Go lists it, or asks where it should.
fn complaints(place: &Place, row: &Row, go: &Packages, cgo: bool) -> Vec<String> {
    let go = of_row(go, &place.path(row.name));
    let is_well =
        !go.is_empty() && go.values().all(|it| it.error.is_none() && it.deps_errors.is_empty());
    let question = place.question(".", &[&format!("./{}/...", row.name)], cgo);
    let lines = match place.read(&question) {
        None if row.is_read && cgo => vec!["asks, and should not".to_owned()],
        None => Vec::new(),
        Some(_) if !is_well => vec!["is read, and Go tells of an error".to_owned()],
        Some(_) if !row.is_read && cgo => {
            vec!["is read, though the table says that it asks".to_owned()]
        }
        Some(own) => differences(&go, &of_row(&own, &place.path(row.name))),
    };
    lines.into_iter().map(|it| format!("{} (cgo: {cgo}): {it}", row.name)).collect()
}

#[test]
fn nasty_packages_are_read_as_go_lists_them_or_not_at_all() {
    let files: Vec<_> = [GO_MOD].into_iter().chain(TEACHERS).collect();
    let Some(place) = Place::new(&files) else { return };
    for row in ROWS {
        for (name, text) in row.files {
            place.file(&format!("{}/{name}", row.name), text);
        }
    }
    for cgo in [true, false] {
        let question = place.question(".", &["./..."], cgo);
        let go = place.listed(&question);
        // Answers with errors teach nothing.
        let mut taught = go.clone();
        for row in ROWS {
            let here = of_row(&go, &place.path(row.name));
            if here.values().any(|it| it.error.is_some() || !it.deps_errors.is_empty()) {
                taught.retain(|path, _| !here.contains_key(path));
            }
        }
        place.learn(&question, &taught);
        let lines: Vec<_> = ROWS.iter().flat_map(|it| complaints(&place, it, &go, cgo)).collect();
        assert!(lines.is_empty(), "{} rows:\n{}", ROWS.len(), lines.join("\n"));
    }
    let names: BTreeSet<_> = ROWS.iter().map(|it| it.name).collect();
    assert_eq!(names.len(), ROWS.len());
}

/// Numbers that look random, and are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// The packages of generated modules: those of two modules in turn.
fn package(number: usize) -> (String, String) {
    let module = if number.is_multiple_of(3) { "lib" } else { "m" };
    (format!("{module}/p{number}"), format!("example.com/{module}/p{number}"))
}

/// Makes a Go file of package `number`, which imports packages of smaller numbers.
fn go_file(dice: &mut Dice, number: usize, (name, is_test): (&str, bool)) -> String {
    let constraint = dice.of(&[
        "",
        "",
        "",
        "//go:build linux\n\n",
        "// +build !linux\n\n",
        "//go:build cgo\n\n",
    ]);
    let mut imports: BTreeSet<String> = BTreeSet::new();
    for _ in 0..dice.below(4) {
        let other = dice.below(number.clamp(1, 10));
        // A library knows nothing of those that use it.
        if other < number && (!number.is_multiple_of(3) || other.is_multiple_of(3)) {
            imports.insert(package(other).1);
        }
    }
    for _ in 0..dice.below(3) {
        imports.insert(dice.of(&["fmt", "os", "sort", "io", "testing", "net"]).to_owned());
    }
    if name.ends_with("_test") {
        imports.insert(package(number).1);
    }
    if is_test {
        imports.insert("testing".to_owned());
    }
    let embeds = dice.below(4) == 0;
    imports.extend(embeds.then(|| "embed".to_owned()));
    let imports: Vec<_> = imports.iter().map(|it| format!("import _ {it:?}")).collect();
    let imports = imports.join("\n");
    let embed = if embeds {
        dice.of(&["//go:embed data\n", "//go:embed *.txt data/x*\n", "//go:embed all:data\n"])
    } else {
        ""
    };
    format!("{constraint}package {name}\n\n{imports}\n{embed}var _ int\n")
}

/// Writes the files of package `number` anew.
fn generate(place: &Place, dice: &mut Dice, number: usize, with_tests: bool) {
    let (folder, _) = package(number);
    let name = if number > 9 { "main" } else { "p" };
    for (file, text) in [
        ("data/x.txt", ""),
        ("data/.y", ""),
        ("z.txt", ""),
        ("base.go", &*format!("package {name}\n")),
    ] {
        place.file(&format!("{folder}/{file}"), text);
    }
    for (file, name, is_test) in [
        ("a.go", name, false),
        ("b_linux.go", name, false),
        ("c_windows.go", name, false),
        ("d_test.go", name, true),
        ("e_test.go", &*format!("{name}_test"), true),
    ] {
        if is_test && !with_tests {
            continue;
        }
        let _ = fs::remove_file(place.path(&format!("{folder}/{file}")));
        if dice.below(3) > 0 {
            let text = go_file(dice, number, (name, is_test));
            place.file(&format!("{folder}/{file}"), &text);
        }
    }
}

#[test]
fn generated_modules_are_read_as_go_lists_them() {
    let files = [
        (
            "m/go.mod",
            "module example.com/m\n\ngo 1.24\n\nrequire example.com/lib v0.0.0\n\nreplace example.com/lib => ../lib\n",
        ),
        ("lib/go.mod", "module example.com/lib\n\ngo 1.24\n"),
        ("lib/go.work.off", ""),
        (
            "m/teach/teach.go",
            "package teach\n\nimport (\n\t_ \"example.com/lib/p0\"\n\t_ \"net\"\n\t_ \"embed\"\n)\n",
        ),
    ];
    let Some(place) = Place::new(&files) else { return };
    let (mut dice, mut read, mut at_once) = (Dice(7), 0, 0);
    for number in 0..14 {
        generate(&place, &mut dice, number, true);
    }
    let rounds: usize = 24;
    for round in 0..rounds {
        if round == rounds / 2 {
            // From here on both are main modules.
            place.file("go.work", "go 1.24\n\nuse (\n\t./m\n\t./lib\n)\n");
        }
        let cgo = !round.is_multiple_of(3);
        let mut question = place.question(
            "m",
            dice.of(&[
                &["./..."][..],
                &["./p1", "./p10", "./..."],
                &["example.com/m/p11", "./p2/..."],
                &["./p13"],
            ]),
            cgo,
        );
        question.tests = !round.is_multiple_of(4);
        let what = format!("round {round}");
        // What was not known before is learned, unless it has errors.
        let first = place.same(&question, &what);
        read += usize::from(first || place.same(&question, &what));
        let with_tests = round % 5 == 4;
        generate(&place, &mut dice, [1, 2, 4, 5, 7, 8, 10, 11, 13][round % 9], with_tests);
        generate(&place, &mut dice, [0, 3, 6, 9][round % 4], with_tests);
        at_once += usize::from(first);
    }
    println!("{read} of {rounds} were read, {at_once} of them at once");
    assert!(at_once > rounds / 3 && read > rounds / 2, "{read}, {at_once}");
}
