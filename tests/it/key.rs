//! The key is complete: whatever the caller's environment says, either the key is another or the
//! bytes are the same.
//!
//! Every variable that `go env` knows gets an odd value, and so do settings that change what plain
//! `go build` makes. Most must not reach a tool at all, which is seen by a `go` that writes its
//! environment down: these are set some at a time, and halved where one of them does. With each
//! that reaches a tool everything is built anew with an empty store, and the bytes are compared. At
//! the end all of them at once, with nothing compiled before.

use crate::support::has;
use crate::workspace::{Workspace, text};
use linkwright::effects::go_env::{NETWORK, PLACES};
use linkwright::effects::machine::PASSED;
use linkwright::model::settings::GO_ENV;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

/// A program that imports `net`, and one of C.
const BUILD: &str = r#"build(defaults: (link: "static"), targets: [
    go_binary(name: "net", package: "./net"), go_binary(name: "c", package: "./c"),
])"#;
const NET: &str = "package main\n\nimport \"net\"\n\nfunc main() { _, e := net.LookupPort(\"tcp\", \"http\"); println(e == nil) }\n";
const C: &str = "package main\n\n/*\n#include <stdio.h>\n#ifndef X\n#define X 1\n#endif\n*/\nimport \"C\"\n\nfunc main() { println(C.X + C.BUFSIZ/C.BUFSIZ) }\n";

/// A `go` that writes down what it sees, beside the folder that it is in. It is the same program in
/// each workspace, so that what it compiles is compiled once.
const SAW: &str = "/usr/bin/env >> \"${0%/*}/../saw\"\nexec REAL \"$@\"";

/// Flags that change what plain `go build` makes.
const GOFLAGS: [&str; 12] = [
    "-tags=netcgo,x",
    "-ldflags=-s",
    "-gcflags=all=-N",
    "-asmflags=-D=X",
    "-race",
    "-trimpath=false",
    "-buildvcs=true",
    "-buildmode=pie",
    "-mod=vendor",
    "-a",
    "-cover",
    "-pgo=off",
];

/// Variables of other tools, each with a value that means something to one of them.
const OTHERS: [(&str, &str); 25] = [
    ("CFLAGS", "-DX=7"),
    ("CPPFLAGS", "-DX=7"),
    ("LDFLAGS", "-s"),
    ("CPATH", "/nowhere"),
    ("C_INCLUDE_PATH", "/nowhere"),
    ("LIBRARY_PATH", "/nowhere"),
    ("COMPILER_PATH", "/nowhere"),
    ("GCC_EXEC_PREFIX", "/nowhere/"),
    ("DEPENDENCIES_OUTPUT", "deps"),
    ("LD_LIBRARY_PATH", "/nowhere"),
    ("LD_PRELOAD", "/nowhere.so"),
    ("LD_RUN_PATH", "/nowhere"),
    ("PKG_CONFIG_PATH", "/nowhere"),
    ("GO_EXTLINK_ENABLED", "1"),
    ("GOGC", "37"),
    ("GOMAXPROCS", "1"),
    ("GOTRACEBACK", "crash"),
    ("SOURCE_DATE_EPOCH", "7"),
    ("ZERO_AR_DATE", "1"),
    ("TZ", "Asia/Kathmandu"),
    ("LANG", "tr_TR.UTF-8"),
    ("LC_ALL", "tr_TR.UTF-8"),
    ("PWD", "/"),
    ("USER", "somebody"),
    ("COLUMNS", "7"),
];

/// What is known of a build: key and bytes of each output, and what its `go` processes saw.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Made {
    outputs: BTreeMap<String, (String, String)>,
    saw: BTreeSet<String>,
}

/// A change to the caller's surroundings.
struct Odd {
    name: String,
    /// Variables to set.
    env: Vec<(String, String)>,
    /// What a shell does before it starts linkwright.
    shell: &'static str,
}

fn odd(name: &str, value: &str) -> Odd {
    let env = vec![(name.to_owned(), value.to_owned())];
    Odd { name: format!("{name}={value}"), env, shell: "" }
}

/// The workspace, with a `go` that writes down what it sees.
fn workspace() -> Option<Workspace> {
    let files = [("BUILD.ron", BUILD), ("net/main.go", NET), ("c/main.go", C)];
    let it = Workspace::with_c(&files)?;
    Some(it.instead_of("go", SAW))
}

/// Builds everything in odd surroundings, anew with a store of its own where `store` names one.
/// Nothing is told from memory, since no run remembers what a script in place of `go` said.
#[track_caller]
fn made(it: &Workspace, odd: &Odd, store: Option<&str>) -> Made {
    let log = it.home().join("saw");
    let _ = fs::remove_file(&log);
    let mut command = it.linkwright(&[]);
    let script = format!("{} exec \"$0\" build", odd.shell);
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &script]).arg(command.get_program()).current_dir(it.root()).env_clear();
    if let Some(store) = store {
        let _ = fs::remove_dir_all(it.path("linkwright-out"));
        let store = it.home().join(store);
        // The digests of the toolchain's files are the same, and need not be made again.
        fs::create_dir_all(store.join("v1")).unwrap();
        for name in ["format", "v1/stamps"] {
            fs::copy(it.store().join(name), store.join(name)).unwrap();
        }
        command.env("LINKWRIGHT_STORE", store);
    }
    let known = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    shell.envs(known).envs(odd.env.iter().cloned());
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{}: {output:?}", odd.name);
    let ledger = it.ledger();
    let record = |it: &Value| {
        let field = |name: &str| it[name].as_str().unwrap().to_owned();
        (field("label"), (field("key"), field("blake3")))
    };
    let outputs = ledger["records"].as_array().unwrap().iter().map(record).collect();
    let saw = fs::read_to_string(&log).unwrap();
    // Each process has a folder for temporary files, and each run one for what it compiles: their
    // names are new each time.
    let plain = |it: &str| match it.split_once('=') {
        Some(("TMPDIR" | "GOTMPDIR", path)) => {
            path.rsplit_once("/linkwright-").map(|it| it.0.into())
        }
        Some(("LINKWRIGHT_GO_PENDING" | "_", _)) => None,
        _ => Some(it.to_owned()),
    };
    let saw = saw.lines().filter_map(plain).collect();
    Made { outputs, saw }
}

/// A valid value that is none of those that one would find, for each variable of `go env`.
fn odd_value(name: &str, home: &Path) -> String {
    let folder = |it: &str| home.join(it).to_string_lossy().into_owned();
    match name {
        "AR" | "CC" | "CXX" | "FC" | "GCCGO" | "GOCACHEPROG" | "PKG_CONFIG" => "/bin/false".into(),
        "CGO_ENABLED" => "0".into(),
        "CGO_LDFLAGS" => "-Wl,--build-id=sha1".into(),
        "GO111MODULE" | "GOPROXY" | "GOSUMDB" | "GOTELEMETRY" | "GOVCS" => "off".into(),
        "GOAMD64" => "v3".into(),
        "GOARM64" => "v8.1".into(),
        "GOARCH" | "GOHOSTARCH" => "riscv64".into(),
        "GOOS" | "GOHOSTOS" => "plan9".into(),
        "GODEBUG" => "netdns=cgo,http2client=0".into(),
        "GOEXPERIMENT" => "nogreenteagc,jsonv2".into(),
        "GOFIPS140" => "latest".into(),
        "GOFLAGS" => "-race".into(),
        "GOTOOLCHAIN" => "go1.99.0".into(),
        "GOWORK" => folder("elsewhere/go.work"),
        "GOENV" => folder("env"),
        it if it.starts_with("CGO_") => "-DX=7 -O0".into(),
        it if ["DIR", "PATH", "ROOT", "CACHE", "BIN", "MOD"]
            .iter()
            .any(|end| it.ends_with(end)) =>
        {
            let folder = folder(&format!("odd {it}"));
            fs::create_dir_all(&folder).unwrap();
            folder
        }
        _ => "example.com/odd".into(),
    }
}

/// Every odd surrounding: the variables that this `go` knows, and settings of other kinds.
fn surroundings(it: &Workspace) -> Vec<Odd> {
    let home = it.home();
    let folder = |name: &str| {
        let folder = home.join(name);
        fs::create_dir_all(&folder).unwrap();
        folder.to_string_lossy().into_owned()
    };
    let settings =
        "GOFLAGS=-tags=x\nCGO_CFLAGS=-DX=7\nGOEXPERIMENT=jsonv2\nCC=/bin/false\nGOAMD64=v3\n";
    fs::write(home.join("env"), settings).unwrap();
    // What `go env -w` writes, in a home and a configuration folder of its own.
    for (home, below) in [("home", ".config/go"), ("config", "go")] {
        let below = format!("{}/{below}", folder(home));
        fs::create_dir_all(&below).unwrap();
        fs::write(format!("{below}/env"), settings).unwrap();
    }
    let known: BTreeMap<String, String> =
        serde_json::from_slice(&it.go(&["env", "-json"]).stdout).unwrap();
    let mut all: Vec<_> = known.keys().map(|it| odd(it, &odd_value(it, home))).collect();
    for flags in GOFLAGS {
        all.push(odd("GOFLAGS", flags));
    }
    for (name, value) in OTHERS {
        all.push(odd(name, value));
    }
    all.push(odd("HOME", &folder("home")));
    all.push(odd("XDG_CONFIG_HOME", &folder("config")));
    all.push(odd("TMPDIR", &folder("odd temporary")));
    let mut path: Vec<_> = std::env::split_paths(it.search_path()).collect();
    path[1..].reverse();
    path.push("/nowhere".into());
    let path = std::env::join_paths(path).unwrap().into_string().unwrap();
    all.push(Odd { name: "PATH in another order".into(), ..odd("PATH", &path) });
    for shell in ["umask 077;", "umask 0;", "ulimit -c 0; ulimit -n 512;", "exec 9</dev/null;"] {
        all.push(Odd { name: shell.to_owned(), env: Vec::new(), shell });
    }
    all
}

/// Puts those together that are not meant to reach a tool, a variable once in each group.
fn grouped(cases: Vec<Odd>) -> Vec<Vec<Odd>> {
    let mut groups: Vec<Vec<Odd>> = Vec::new();
    let (alone, others): (Vec<_>, Vec<_>) = cases.into_iter().partition(|it| {
        let passed = |name: &str| [&PASSED[..], &NETWORK, &PLACES].concat().contains(&name);
        it.env.is_empty() || it.env.iter().any(|(name, _)| passed(name))
    });
    for case in others {
        let fits = |group: &&mut Vec<Odd>| {
            group.len() < 8 && group.iter().all(|it| it.env[0].0 != case.env[0].0)
        };
        match groups.iter_mut().find(fits) {
            Some(group) => group.push(case),
            None => groups.push(vec![case]),
        }
    }
    groups.extend(alone.into_iter().map(|it| vec![it]));
    groups
}

/// All that is odd in a group at once.
fn together(group: &[Odd]) -> Odd {
    Odd {
        name: group.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(" "),
        env: group.iter().flat_map(|it| it.env.iter().cloned()).collect(),
        shell: group[0].shell,
    }
}

/// Holds a build in odd surroundings against the plain one: another key, or the same bytes.
#[track_caller]
fn hold(name: &str, plain: &Made, odd: &Made) {
    assert_eq!(plain.outputs.len(), odd.outputs.len(), "{name}");
    for (label, (key, bytes)) in &plain.outputs {
        let (odd_key, odd_bytes) = &odd.outputs[label];
        assert!(
            key != odd_key || bytes == odd_bytes,
            "{name}: {label} has the key of the plain build and other bytes"
        );
    }
}

#[test]
fn whatever_the_callers_environment_says_shows_in_the_key_or_changes_no_byte() {
    let Some(it) = workspace() else { return };
    let nothing = Odd { name: "nothing".into(), env: Vec::new(), shell: "" };
    made(&it, &nothing, None);
    // What `go` sees where nothing is linked: the first time it is asked about more.
    let plain = made(&it, &nothing, None);
    let cases = surroundings(&it);
    let count = cases.len();
    let (mut reached, mut rebuilt) = (0, 0);
    let mut groups = grouped(cases);
    while let Some(mut group) = groups.pop() {
        let odd = together(&group);
        let seen = made(&it, &odd, None);
        hold(&odd.name, &plain, &seen);
        if seen.saw == plain.saw && odd.shell.is_empty() {
            continue;
        }
        if group.len() > 1 {
            let half = group.split_off(group.len() / 2);
            groups.extend([group, half]);
            continue;
        }
        reached += 1;
        if seen.outputs.iter().all(|(label, it)| plain.outputs[label].0 == it.0) {
            rebuilt += 1;
            hold(&odd.name, &plain, &made(&it, &odd, Some(&format!("store {rebuilt}"))));
        }
    }
    println!("{count} surroundings: {reached} reach a tool, {rebuilt} built anew");
    assert!(count >= 80, "{count} cases");
    assert!((10..count / 2).contains(&rebuilt), "{rebuilt} built anew: does `go` write?");
}

/// With nothing compiled before, so that Go's own cache hides nothing.
#[test]
fn all_odd_surroundings_at_once_change_no_byte() {
    let Some(it) = workspace() else { return };
    let nothing = Odd { name: "nothing".into(), env: Vec::new(), shell: "" };
    let plain = made(&it, &nothing, None);
    let mut all = Odd { name: "all".into(), env: Vec::new(), shell: "umask 077;" };
    for case in surroundings(&it) {
        all.env.extend(case.env);
    }
    let cache = it.home().join("go cache").to_string_lossy().into_owned();
    all.env.push(("LINKWRIGHT_GO_CACHE".into(), cache));
    let odd = made(&it, &all, Some("another store"));
    assert_eq!(odd.outputs, plain.outputs);
}

/// That the comparison above can fail: what a strategy or a target names does change the bytes.
#[test]
fn what_a_target_names_in_env_is_in_the_key() {
    let Some(it) = workspace() else { return };
    let nothing = Odd { name: "nothing".into(), env: Vec::new(), shell: "" };
    made(&it, &nothing, None);
    let mut names = Vec::new();
    for (name, _) in GO_ENV {
        let value = match name {
            "CGO_LDFLAGS" => "-Wl,--build-id=sha1",
            "GOEXPERIMENT" => "jsonv2",
            "GOFIPS140" => "latest",
            it if it.starts_with("CGO_") => "-DX=7",
            _ => "/nowhere",
        };
        let env = format!("env: {{{name:?}: {value:?}}}, package: \"./c\"");
        it.file("BUILD.ron", &BUILD.replace("package: \"./c\"", &env));
        let output = it.run(&["why", "--json", "//:c"]);
        assert!(output.status.success(), "{name}: {}", text(&output));
        let why: Value = serde_json::from_slice(&output.stdout).unwrap();
        let changes = why["changes"].as_array().unwrap();
        let input = format!("variable {name}");
        let change = changes.iter().find(|it| it["input"] == input.as_str());
        assert_eq!(change.unwrap()["new"], value, "{why:#}");
        assert_eq!(why["state"], "would_be_built", "no build was stored under this key: {name}");
        names.push(name);
    }
    println!("{} variables of a target", names.len());
    assert!(names.len() >= 13 && has("go"), "{names:?}");
}

/// What is found first on PATH is what is run, so its content is an input.
#[test]
fn another_go_or_c_compiler_on_path_is_another_key() {
    let Some(it) = workspace() else { return };
    let nothing = Odd { name: "nothing".into(), env: Vec::new(), shell: "" };
    let plain = made(&it, &nothing, None);
    let it = it.instead_of("gcc", "exec REAL \"$@\"");
    let other = made(&it, &nothing, None);
    assert_eq!(other.outputs["//:net"].0, plain.outputs["//:net"].0, "no C takes part");
    assert_ne!(other.outputs["//:c"].0, plain.outputs["//:c"].0);
    let it = it.instead_of("go", &format!("# Another.\n{SAW}"));
    let third = made(&it, &nothing, None);
    for label in ["//:net", "//:c"] {
        assert_ne!(third.outputs[label].0, other.outputs[label].0, "{label}");
        assert_eq!(third.outputs[label].1, plain.outputs[label].1, "{label}: the same tools");
    }
}
