//! Go packages read by linkwright itself, held against `go list -deps -test -json`, field by field:
//! on the standard library and `cmd`, for several platforms.

use crate::support::has;
use linkwright::effects::go_folder;
use linkwright::formats::go_list::{FIELDS, GENERATED, GoPackage, parse};
use linkwright::plan::configuration::{GoPlatform, Selection};
use linkwright::plan::go_choice::GoChoice;
use linkwright::plan::go_compose::{KnownPackage, compose};
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One way to choose files.
struct Case {
    platform: &'static str,
    tags: &'static [&'static str],
    cgo: bool,
    race: bool,
    /// What is listed; `cmd` takes most of the time.
    patterns: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case { platform: "linux/amd64", tags: &[], cgo: true, race: false, patterns: &["std", "cmd"] },
    Case {
        platform: "linux/amd64",
        tags: &["netgo", "osusergo"],
        cgo: true,
        race: true,
        patterns: &["std"],
    },
    Case {
        platform: "linux/arm64",
        tags: &["purego"],
        cgo: false,
        race: false,
        patterns: &["std"],
    },
    Case {
        platform: "windows/amd64",
        tags: &["race", "compiler_bootstrap"],
        cgo: false,
        race: false,
        patterns: &["std", "cmd"],
    },
    Case { platform: "darwin/arm64", tags: &[], cgo: true, race: false, patterns: &["std"] },
    Case {
        platform: "illumos/amd64",
        tags: &["math_big_pure_go"],
        cgo: true,
        race: false,
        patterns: &["std"],
    },
    Case { platform: "linux/arm", tags: &["faketime"], cgo: true, race: false, patterns: &["std"] },
    Case { platform: "wasip1/wasm", tags: &[], cgo: false, race: false, patterns: &["std"] },
];

impl Case {
    fn selection(&self) -> Selection {
        let (goos, goarch) = self.platform.split_once('/').unwrap();
        let platform = GoPlatform { goos: goos.into(), goarch: goarch.into(), level: None };
        let tags = self.tags.iter().map(|it| (*it).to_owned()).collect();
        Selection { platform, cgo: self.cgo, tags, race: self.race, env: BTreeMap::new() }
    }

    fn go(&self, folder: &Path, args: &[&str]) -> Vec<u8> {
        let mut command = Command::new("go");
        command.arg("list").args(self.selection().flags()).args(args).current_dir(folder);
        command.envs(self.selection().environment());
        for (name, value) in
            [("GOFLAGS", ""), ("GOENV", "off"), ("GOWORK", "off"), ("GOTOOLCHAIN", "local")]
        {
            command.env(name, value);
        }
        let out = command.output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    }
}

/// What two listings differ in, each difference as a line.
pub(crate) fn differences(
    go: &BTreeMap<String, GoPackage>,
    own: &BTreeMap<String, GoPackage>,
) -> Vec<String> {
    let mut lines = Vec::new();
    for (path, package) in go {
        match own.get(path) {
            None => lines.push(format!("{path}: is not read")),
            Some(own) if own == package => {}
            Some(own) => {
                let [go, own] = [package, own].map(|it| serde_json::to_value(it).unwrap());
                for (field, value) in go.as_object().unwrap() {
                    if *value != own[field] {
                        lines.push(format!("{path}: {field}: go {value}, read {}", own[field]));
                    }
                }
            }
        }
    }
    lines.extend(own.keys().filter(|it| !go.contains_key(*it)).map(|it| format!("{it}: is read")));
    lines
}

/// Reads packages of GOROOT: their paths are folders, but for what is vendored.
fn read(
    case: &Case,
    choice: &GoChoice,
    sources: &Path,
    go: &BTreeMap<String, GoPackage>,
) -> Result<BTreeMap<String, GoPackage>, Vec<String>> {
    let plain: Vec<_> = go
        .values()
        .filter(|it| {
            it.for_test.is_empty()
                && it.files.compiled_go().next().map(String::as_str) != Some(GENERATED)
        })
        .collect();
    let known: Vec<_> = plain
        .par_iter()
        .map(|it| {
            let path = it.import_path.as_str();
            let resolve = |import: &str| {
                let vendor = if path.starts_with("cmd/") { "cmd/vendor" } else { "vendor" };
                let is_vendored = import.split('/').next().unwrap().contains('.');
                Some(if is_vendored { format!("{vendor}/{import}") } else { import.to_owned() })
            };
            let folder = sources.join(path);
            let read = go_folder::read(choice, &folder)??;
            let known = go_folder::package(
                read,
                &folder,
                (path, it.module.clone()),
                (!it.dep_only, &resolve),
            )?;
            let package = GoPackage { standard: it.standard, ..known.package };
            Some((path.to_owned(), KnownPackage { package, ..known }))
        })
        .collect();
    let unread: Vec<_> = plain.iter().zip(&known).filter(|it| it.1.is_none()).collect();
    if !unread.is_empty() {
        return Err(unread
            .iter()
            .map(|it| format!("{}: not understood", it.0.import_path))
            .collect());
    }
    let roots = plain.iter().filter(|it| !it.dep_only);
    let roots = roots.map(|it| (it.import_path.clone(), it.matched.clone())).collect();
    let known = known.into_iter().flatten().collect();
    compose(known, &roots, choice, true).ok_or_else(|| vec![format!("{}: asks", case.platform)])
}

#[test]
fn the_standard_library_and_cmd_are_read_as_go_list_does() {
    if !has("go") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let text = |args: &[&str]| {
        String::from_utf8(Command::new("go").args(args).output().unwrap().stdout).unwrap()
    };
    let (root, version) = (text(&["env", "GOROOT"]), text(&["env", "GOVERSION"]));
    let sources = PathBuf::from(root.trim()).canonicalize().unwrap().join("src");
    for case in CASES {
        // The compiler has a profile, for which all that it is made of is listed again.
        let args = ["-pgo=off", "-e", "-deps", "-test", &format!("-json={FIELDS}"), "--"];
        let args = [&args[..], case.patterns].concat();
        let go = parse(&case.go(home.path(), &args)).unwrap();
        let tool =
            String::from_utf8(case.go(home.path(), &["-f", "{{context.ToolTags}}", "unsafe"]))
                .unwrap();
        let tool = tool.trim().trim_matches(['[', ']']).split_whitespace().map(str::to_owned);
        let choice = GoChoice::new(&case.selection(), version.trim().split(' ').next().unwrap());
        let choice = choice.unwrap().with_tool_tags(tool);
        let read = read(case, &choice, &sources, &go);
        let lines = read.as_ref().map_or_else(Clone::clone, |own| differences(&go, own));
        assert!(
            lines.is_empty(),
            "{}: {} differ:\n{}",
            case.platform,
            lines.len(),
            lines.join("\n")
        );
        println!("{}: {} packages and variants are the same", case.platform, go.len());
        assert!(go.len() > 900, "{}", go.len());
    }
}
