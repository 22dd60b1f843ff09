//! Coverage: the merged profile is the one that `go test -coverprofile` writes, `go tool cover`
//! reads the same in both, and a kept pass keeps it.

use crate::workspace::{Run, Workspace, holds, text};
use std::collections::BTreeMap;
use std::fs;

const RULES: &str = r#"build(defaults: (link: "netgo", vet: false), targets: [
    go_tests(name: "set", packages: ["./a", "./b", "container/ring"], cover: true),
    go_tests(name: "count", packages: ["./a", "./b"], covermode: "count"),
    go_tests(name: "wide", packages: ["./a", "./b"], coverpkg: ["./..."], covermode: "atomic"),
    go_tests(name: "plain", packages: ["./a"]),
])"#;

const FILES: [(&str, &str); 6] = [
    ("BUILD.ron", RULES),
    (
        "a/a.go",
        "package a\n\nimport \"example.com/m/c\"\n\nfunc Half(n int) int {\n\tif n < 0 {\n\t\treturn -1\n\t}\n\tfor range n {\n\t\tc.Tick()\n\t}\n\treturn n / 2\n}\n",
    ),
    (
        "a/a_test.go",
        "package a\n\nimport \"testing\"\n\nfunc TestHalf(t *testing.T) {\n\tif Half(4) != 2 {\n\t\tt.Fatal()\n\t}\n}\n",
    ),
    (
        "b/b.go",
        "package b\n\nimport \"example.com/m/a\"\n\nfunc Never() int { return a.Half(-1) }\n\nfunc Some() int {\n\tx := 1\n\treturn x + a.Half(6)\n}\n\nfunc InChild() { println(\"child\") }\n",
    ),
    // A copy of the test binary runs what the test itself does not, and ends in the midst of it.
    (
        "b/b_test.go",
        "package b\n\nimport (\n\t\"os\"\n\t\"os/exec\"\n\t\"testing\"\n)\n\nfunc TestSome(t *testing.T) { Some() }\n\nfunc TestChild(t *testing.T) {\n\tif os.Getenv(\"CHILD\") != \"\" {\n\t\tInChild()\n\t\tos.Exit(0)\n\t}\n\tchild := exec.Command(os.Args[0], \"-test.run=TestChild\")\n\tchild.Env = append(os.Environ(), \"CHILD=1\")\n\tif out, err := child.CombinedOutput(); err != nil {\n\t\tt.Fatal(string(out))\n\t}\n}\n",
    ),
    (
        "c/c.go",
        "package c\n\nvar ticks int\n\nfunc Tick() { ticks++ }\n\nfunc Tock() { ticks-- }\n",
    ),
];

/// The mode of a profile, and its blocks with their statements and counts, summed up.
fn blocks(profile: &str) -> (String, BTreeMap<String, (u64, u64)>) {
    let mut lines = profile.lines();
    let mode = lines.next().unwrap().to_owned();
    let mut blocks = BTreeMap::new();
    for line in lines {
        let words: Vec<_> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        let known = blocks.entry(words[0].to_owned()).or_insert((number(1), 0));
        known.1 += number(2);
        if mode == "mode: set" {
            known.1 = known.1.min(1);
        }
    }
    (mode, blocks)
}

/// The profile of a run of linkwright, and what it told.
#[track_caller]
fn profile(it: &Workspace, target: &str) -> (String, Run) {
    let arguments = ["test", "--json", "--coverprofile", "own.out", target];
    let run = Run::of(&it.linkwright(&arguments).output().unwrap());
    (it.read("own.out"), run)
}

#[test]
fn the_profile_is_that_of_go_test() {
    let Some(it) = Workspace::new(&FILES) else { return };
    // A file that is as young as the run that reads it is not trusted.
    std::thread::sleep(std::time::Duration::from_millis(250));
    let cases: [(&str, &[&str]); 3] = [
        (":set", &["./a", "./b", "container/ring"]),
        (":count", &["-covermode=count", "./a", "./b"]),
        (":wide", &["-covermode=atomic", "-coverpkg=./...", "./a", "./b"]),
    ];
    for (target, arguments) in cases {
        let (own, run) = profile(&it, target);
        assert_eq!(run.code, 0, "{run:#?}");
        let words = [&["test", "-vet=off", "-coverprofile=go.out"], arguments].concat();
        let by_go = it.go(&words);
        assert!(by_go.status.success(), "{by_go:?}");
        assert_eq!(blocks(&own), blocks(&it.read("go.out")), "{target}");
        assert!(
            own.lines()
                .skip(1)
                .collect::<Vec<_>>()
                .is_sorted_by_key(|it| it.rsplit_once(':').unwrap().0)
        );
        let read = |name: &str| text(&it.go(&["tool", "cover", "-func", name]));
        let (ours, theirs) = (read("own.out"), read("go.out"));
        assert_eq!(ours, theirs, "{target}");
        holds(&ours, &["example.com/m/b/b.go:5:", "total:"]);
        // The share of all statements is Go's.
        let tests = &run.done()["tests"]["coverage"];
        let share =
            100.0 * tests["covered"].as_f64().unwrap() / tests["statements"].as_f64().unwrap();
        let total = ours.lines().last().unwrap().split_whitespace().last().unwrap();
        assert_eq!(format!("{share:.1}%"), total);

        let (again, warm) = profile(&it, target);
        assert!(warm.all("test_finished").all(|it| it["kept"] == true), "{warm:#?}");
        assert_eq!(again, own, "a kept pass keeps its profile");
        assert_eq!(&warm.done()["tests"]["coverage"], tests);
        counts_the_same_in_a_sealed_root(&it, target, &own);
    }
    // What is counted in a child is counted: by Go too, or the profiles would differ. In which
    // column a block begins, each Go says for itself.
    holds(&it.read("own.out"), &["example.com/m/b/b.go:12.", ",12.36 1 1\n", "m/c/c.go:5."]);
    let wide = Run::of(&it.run(&["build", "--json", "--paranoid", ":wide"]));
    assert_eq!(wide.done()["up_to_date"], 2);
    each_wide_binary_has_a_process_of_its_own(&it);
    what_counts_nothing_has_no_profile(&it);
}

/// Where it can be made, the profile is the one thing that leaves it.
fn counts_the_same_in_a_sealed_root(it: &Workspace, target: &str, plain: &str) {
    for kept in [false, true] {
        let arguments =
            ["test", "--json", "--run-in", "sealed", "--coverprofile", "sealed.out", target];
        let run = Run::of(&it.linkwright(&arguments).output().unwrap());
        if run.code == 36 && std::env::var_os("REQUIRE_ALL").is_none() {
            return;
        }
        assert_eq!(run.code, 0, "{run:#?}");
        assert!(run.all("test_finished").all(|it| it["kept"] == kept && it["ran_in"] == "sealed"));
        assert_eq!(it.read("sealed.out"), plain, "{target}");
    }
}

/// Its bytes do not depend on which others are linked with it.
fn each_wide_binary_has_a_process_of_its_own(it: &Workspace) {
    let names = ["a", "b"].map(|name| format!("wide/example.com/m/{name}.test"));
    let before = names.each_ref().map(|it_name| it.bytes(it_name));
    fs::remove_dir_all(it.store()).unwrap();
    fs::remove_dir_all(it.path("linkwright-out")).unwrap();
    let run = it.build(&[":wide"]);
    assert_eq!(run.links().len(), 2, "{run:#?}");
    assert!(before == names.each_ref().map(|it_name| it.bytes(it_name)));
    it.file("BUILD.ron", &RULES.replace("[\"./a\", \"./b\"], coverpkg", "[\"./a\"], coverpkg"));
    fs::remove_dir_all(it.store()).unwrap();
    fs::remove_dir_all(it.path("linkwright-out")).unwrap();
    it.build(&[":wide"]);
    assert!(before[0] == it.bytes(&names[0]));
    it.file("BUILD.ron", RULES);
}

fn what_counts_nothing_has_no_profile(it: &Workspace) {
    let refused = it.run(&["test", "--coverprofile", "none.out", ":plain"]);
    assert_eq!(refused.status.code(), Some(2));
    holds(&text(&refused), &["none of these tests counts", "hint: write `cover: true`"]);
    let shown = text(&it.run(&["test", ":set", ":plain"]));
    holds(&shown, &["SKIPPED  COVERAGE\n", "% of statements covered"]);
    let plain = text(&it.run(&["test", ":plain"]));
    assert!(!plain.contains("COVERAGE") && !plain.contains("covered"), "{plain}");
    // A failure has a profile as well, and is run again; a crash has none.
    let test =
        "package a\n\nimport \"testing\"\n\nfunc TestHalf(t *testing.T) { Half(-1); t.Fail() }\n";
    it.file("a/a_test.go", test);
    let (own, run) = profile(it, ":count");
    assert_eq!(run.code, 3);
    it.go(&["test", "-vet=off", "-covermode=count", "-coverprofile=go.out", "./a", "./b"]);
    assert_eq!(blocks(&own), blocks(&it.read("go.out")));
    it.file("a/a_test.go", &test.replace("t.Fail()", "panic(1)"));
    let (own, run) = profile(it, ":count");
    let a = run.all("test_finished").find(|it| it["go_package"] == "example.com/m/a").unwrap();
    assert_eq!((&a["outcome"], a.get("coverage")), (&"crashed".into(), None));
    assert!(!own.contains("/a/a.go") && own.contains("/b/b.go"), "{own}");

    it.file("BUILD.ron", &RULES.replace("\"count\")", "\"counts\")"));
    let wrong = text(&it.run(&["test", ":count"]));
    holds(&wrong, &["`counts` is no `covermode`", "did you mean `count`?"]);
    it.file("BUILD.ron", &RULES.replace("cover: true", "covermode: \"set\", link: \"race\""));
    let wrong = text(&it.run(&["test", ":set"]));
    holds(&wrong, &["`set` counts wrong under the race detector"]);
}
