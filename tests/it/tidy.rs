//! The house rules that no compiler checks.
//!
//! Each rule is a pure function from text to a list of complaints. It is held against the whole
//! tree, and against a bad sample that shows that it bites. Functions of more than 60 lines, ways
//! to panic, writes and spawns in the wrong room are clippy's (`Cargo.toml`, `clippy.toml`).

use crate::support::manifest_dir;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Every module in a total order, lowest first: one may use only what stands before it.
const ROOMS: &[(&str, &str)] = &[
    ("words", "amount defect digest exit_code label near path pattern span problem"),
    (
        "formats",
        "linkage bytes magic c_text c_words linker_text elf image macho pe build_info inspection link_errors link_warnings go_events go_header go_constraint go_source go_list cacheprog test_stream test_log test_names cover_profile \
         ron_lexer ron_syntax ron_fields go_sdk_spec sealed_spec build_file rules_file tool_limits module_proxy",
    ),
    (
        "model",
        "flag_lists flags platform policy toolchain strategy rules go_release go_sdk run_in target settings command c_library test_run cycle outputs bundle_tests \
         targets resolve",
    ),
    (
        "plan",
        "configuration fingerprint c_dependencies bundle difference go_choice go_folder go_compose go_graph predict record ladder explanation origin query starter test_account test_inputs verify",
    ),
    (
        "effects",
        "limits lock file stamp store compile_cache cache_server digests looked folders sight scene last_run proc_table guard_words guard process c_answers c_names machine observe inspect sealed test_process \
         c_folders c_includes c_libraries c_compiler c_probe c_tools out_folder c_files workspace globs fetch unpack go_root go_memory go_sdk go_env go_tool go_modules go_tree go_embeds go_folder outputs bundle",
    ),
    (
        "engine",
        "event request scheduler listing kept_listing native_listing memory listings session found_tools go_unit salt c_dependencies c_build go_look c_side go_inputs go_batch go_left_out go_settle go_advice smoke go_job \
         test_told test_root test_job bundle_runner bundle_job \
         command_job recall build test_run test_recall test_list why packages discover probe",
    ),
    (
        "report",
        "escape paint command_line diagnostic outcome failure table test_table test_list junit annotation terminal reporter doctor why \
         graph packages verify cache schema",
    ),
    (
        "cli",
        "environment flags settings console examination seal rooms test_rooms build test run why verify query graph init \
         doctor cache clean cacheprog completions man arguments",
    ),
];

/// Lines of a file before its tests.
const MOST_LINES: usize = 600;

/// Columns of a comment line; tables and drawings are as wide as what they show.
const MOST_COLUMNS: usize = 100;

/// A source file: its path below the project's folder, and its text.
type Source = (String, String);

fn files_below(folder: &str, wanted: impl Fn(&Path) -> bool) -> Vec<Source> {
    let root = manifest_dir();
    let walk = walkdir::WalkDir::new(root.join(folder)).sort_by_file_name().into_iter();
    let walk = walk.filter_entry(|it| {
        let name = it.file_name().to_string_lossy();
        it.depth() == 0 || !(name.starts_with('.') || name == "target" || name == "linkwright-out")
    });
    let files = walk.map(|it| it.unwrap()).filter(|it| it.file_type().is_file());
    let files = files.map(walkdir::DirEntry::into_path).filter(|it| wanted(it));
    let source = |it: PathBuf| {
        let text =
            fs::read_to_string(&it).unwrap_or_else(|error| panic!("{}: {error}", it.display()));
        (it.strip_prefix(root).unwrap().to_string_lossy().into_owned(), text)
    };
    files.map(source).collect()
}

fn with_extension(extension: &'static str) -> impl Fn(&Path) -> bool {
    move |it| it.extension().is_some_and(|it| it == extension)
}

fn sources() -> Vec<Source> {
    files_below("src", with_extension("rs"))
}

fn is_test_file(path: &str) -> bool {
    ["_tests.rs", "/tests.rs", "/testing.rs"].iter().any(|it| path.ends_with(it))
}

/// Holds a rule against sources, and fails with every complaint.
#[track_caller]
fn hold(sources: &[Source], rule: impl Fn(&str, &str) -> Vec<String>) {
    assert!(!sources.is_empty(), "there are no files to check");
    let complaints: Vec<_> = sources.iter().flat_map(|(path, text)| rule(path, text)).collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// Holds a rule against a bad sample, of which it must complain once.
#[track_caller]
fn bites(path: &str, sample: &str, rule: impl Fn(&str, &str) -> Vec<String>) {
    let complaints = rule(path, sample);
    assert_eq!(complaints.len(), 1, "{path}: {sample:?}: {complaints:?}");
    let good: Vec<_> = rule("src/words/span.rs", "//! A sentence.\n\npub struct Span;\n");
    assert_eq!(good, Vec::<String>::new(), "the rule complains of everything");
}

/// The text before its tests.
fn before_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]").next().unwrap_or(text)
}

/// The lines of code before the tests, numbered, comments left out.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = before_tests(text).lines().enumerate().map(|(at, line)| (at + 1, line));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn order() -> Vec<String> {
    let modules = ROOMS.iter().flat_map(|(room, modules)| {
        modules.split_whitespace().map(move |it| format!("{room}::{it}"))
    });
    modules.collect()
}

/// Returns the module of a file: `src/plan/verify/odd.rs` is a part of `plan::verify`.
fn module_of(path: &str) -> Option<String> {
    let mut parts = path.strip_prefix("src/")?.strip_suffix(".rs")?.split('/');
    match (parts.next()?, parts.next()) {
        ("lib" | "main", None) | (_, Some("mod")) => None,
        (room, Some(module)) => Some(format!("{room}::{module}")),
        (file, None) => Some(file.to_owned()),
    }
}

/// Returns the first two words of each `crate::…` path in a line, `pub(in crate::room)` left out.
fn used(line: &str) -> impl Iterator<Item = String> {
    let line = line.replace("(in crate::", "(in ");
    let paths: Vec<_> = line.split("crate::").skip(1).map(str::to_owned).collect();
    paths.into_iter().map(|rest| {
        let end = rest.find(|it: char| !(it.is_alphanumeric() || it == '_' || it == ':'));
        let path = rest[..end.unwrap_or(rest.len())].trim_end_matches(':');
        path.split("::").take(2).collect::<Vec<_>>().join("::")
    })
}

fn layers(path: &str, text: &str) -> Vec<String> {
    let order = order();
    let Some(own) = module_of(path).filter(|_| !is_test_file(path)) else { return Vec::new() };
    let Some(level) = order.iter().position(|it| *it == own) else {
        return vec![format!("{path}: `{own}` has no place in ROOMS (tests/it/tidy.rs)")];
    };
    let in_folder = path.matches('/').count() > 2;
    let mut complaints = Vec::new();
    for (line, words) in code(text) {
        if words.contains("super::") && !in_folder {
            complaints.push(format!("{path}:{line}: say `crate::…`, so that its layer is seen"));
        }
        for used in used(words) {
            match order.iter().position(|it| *it == used) {
                None => complaints.push(format!("{path}:{line}: `{used}` names no module")),
                Some(it) if it > level => {
                    complaints.push(format!("{path}:{line}: `{own}` uses `{used}`, above it"));
                }
                Some(_) => {}
            }
        }
    }
    complaints
}

#[test]
fn a_module_uses_only_what_stands_below_it() {
    hold(&sources(), layers);
    bites("src/plan/record.rs", "use crate::engine::event::Event;\n", layers);
    bites("src/words/path.rs", "fn f() -> crate::words::pattern::Pattern;\n", layers);
    bites("src/plan/record.rs", "use crate::{words, engine};\n", layers);
    bites("src/plan/record.rs", "use super::ladder::Climb;\n", layers);
    bites("src/plan/fresh.rs", "", layers);
}

/// A module that is gone must not keep its place.
#[test]
fn the_order_holds_only_modules_that_are_there_and_each_once() {
    let there: BTreeSet<_> = sources().iter().filter_map(|(path, _)| module_of(path)).collect();
    let mut order = order();
    for it in &order {
        assert!(there.contains(it), "`{it}` is no module");
    }
    let length = order.len();
    order.sort();
    order.dedup();
    assert_eq!(order.len(), length, "a module stands in ROOMS twice");
}

fn shape(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if !text.starts_with("//! ") {
        complaints.push(format!("{path}: its first line does not say what it is for"));
    }
    let lines = before_tests(text).lines().count();
    if lines > MOST_LINES {
        complaints.push(format!("{path}: {lines} lines before its tests; split it by concept"));
    }
    // What the other rules read ends where the tests begin.
    let tests = text.get(before_tests(text).len()..).unwrap_or_default();
    let items = ["pub ", "fn ", "impl", "struct ", "enum ", "const "];
    if tests.lines().any(|line| items.iter().any(|it| line.starts_with(it))) {
        complaints.push(format!("{path}: code stands behind the tests"));
    }
    complaints
}

#[test]
fn every_file_says_what_it_is_for_and_stays_small() {
    let all = [sources(), files_below("tests", with_extension("rs"))].concat();
    hold(&all, shape);
    bites("src/plan/record.rs", "use std::fs;\n", shape);
    let behind = "//! A.\n\n#[cfg(test)]\nmod tests {}\n\nfn f() {}\n";
    bites("src/plan/record.rs", behind, shape);
    bites("src/plan/record.rs", &format!("//! Long.\n{}", "\n".repeat(MOST_LINES)), shape);
}

/// The compiler does not see a file that no `mod` names; it just lies there.
fn orphans(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, _) in sources.iter().filter(|it| !matches!(&*it.0, "src/lib.rs" | "src/main.rs")) {
        let file = Path::new(path);
        let (folder, stem) = (file.parent().unwrap(), file.file_stem().unwrap().to_string_lossy());
        let (folder, name) = match &*stem {
            "mod" => (folder.parent().unwrap(), folder.file_name().unwrap().to_string_lossy()),
            _ => (folder, stem.clone()),
        };
        let named = sources.iter().any(|(other, text)| {
            let other = Path::new(other);
            let parents =
                [folder.join("mod.rs"), folder.join("lib.rs"), folder.with_extension("rs")];
            let is_parent = parents.iter().any(|it| it == other);
            let by_name = is_parent && text.lines().any(|it| it.ends_with(&format!("mod {name};")));
            let by_path = other.parent() == Some(folder)
                && text.contains(&format!("#[path = \"{stem}.rs\"]"));
            by_name || by_path
        });
        if !named {
            complaints.push(format!("{path}: no `mod` names it"));
        }
    }
    complaints
}

#[test]
fn every_file_is_a_module() {
    assert_eq!(orphans(&sources()), Vec::<String>::new());
    let sample = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let lib = sample("src/lib.rs", "pub mod plan;\n");
    let forgotten = [lib, sample("src/plan/mod.rs", "\n"), sample("src/plan/lost.rs", "")];
    assert_eq!(orphans(&forgotten).len(), 1);
}

fn names(path: &str, text: &str) -> Vec<String> {
    let vague = ["Manager", "Handler", "Helper", "Service", "Context", "Data", "Info"];
    let mut complaints = Vec::new();
    for (line, words) in code(text) {
        let mut words = words.split(|it: char| !(it.is_alphanumeric() || it == '_'));
        while let Some(word) = words.next() {
            if !matches!(word, "struct" | "enum" | "trait" | "type" | "union") {
                continue;
            }
            let name = words.next().unwrap_or_default();
            // `BuildInfo` is Go's own word for what it writes into a binary.
            if name != "BuildInfo" && vague.iter().any(|it| name.ends_with(it)) {
                complaints.push(format!("{path}:{line}: `{name}` says nothing"));
            }
        }
    }
    complaints
}

#[test]
fn no_type_has_a_name_that_says_nothing() {
    hold(&sources(), names);
    bites("src/plan/record.rs", "pub struct RecordManager;\n", names);
    bites("src/plan/record.rs", "    type LinkInfo = ();\n", names);
}

fn lines(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let mut complain = |what: &str| complaints.push(format!("{path}:{}: {what}", at + 1));
        let trimmed = line.trim_start();
        let is_use = trimmed.starts_with("use ") || trimmed.starts_with("pub use ");
        if is_use && trimmed.ends_with("::*;") && trimmed != "use super::*;" {
            complain("a glob import hides what the file depends on");
        }
        if trimmed == "use super::*;" && !text[..text.find(line).unwrap_or(0)].contains("cfg(test)")
        {
            let is_test = is_test_file(path);
            if !is_test {
                complain("a glob import outside a test module");
            }
        }
        // Put together here, or this file would be the first to fail.
        for word in [["TO", "DO"], ["FIX", "ME"], ["dbg", "!("], ["XX", "X"]] {
            if line.contains(&word.concat()) {
                complain("an unfinished thing is an issue, not a comment");
            }
        }
        let drawing = ['|', '─', '│', '▶', '┌', '└'];
        // Behind it, what looks like a comment may be a text that a test expects.
        let in_code = at < before_tests(text).lines().count();
        let is_prose = in_code && trimmed.starts_with("//") && !line.contains(drawing);
        let is_link = line.contains("://");
        if is_prose && !is_link && line.chars().count() > MOST_COLUMNS {
            complain("a comment wider than 100 columns");
        }
    }
    complaints
}

#[test]
fn imports_are_named_comments_are_narrow_and_nothing_is_left_for_later() {
    let all = [sources(), files_below("tests", with_extension("rs"))].concat();
    hold(&all, lines);
    bites("src/plan/record.rs", "use crate::plan::ladder::*;\n", lines);
    bites("src/plan/record.rs", "use super::*;\n", lines);
    bites("src/plan/record.rs", &["// TO", "DO: later\n"].concat(), lines);
    bites("src/plan/record.rs", &["    dbg", "!(it);\n"].concat(), lines);
    bites("src/plan/record.rs", &format!("    // {}\n", "word ".repeat(20)), lines);
}

/// Every child has its streams, its environment and its end looked after in one place; and what
/// `ldd` says is wrong where it matters, while it may run the file's own code.
fn spawns(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (line, words) in code(text) {
        let spawns = ["src/effects/guard.rs", "src/effects/process/", "src/effects/sealed/"];
        if words.contains("Command::new") && !spawns.iter().any(|it| path.starts_with(it)) {
            complaints.push(format!("{path}:{line}: only `process`, `guard` and `sealed` spawn"));
        }
        if words.split(|it: char| !it.is_alphanumeric()).any(|it| it == "ldd") {
            complaints.push(format!("{path}:{line}: nothing here asks `ldd`"));
        }
    }
    complaints
}

#[test]
fn only_effects_spawn_and_nobody_asks_ldd() {
    hold(&sources(), spawns);
    hold(&files_below("scripts", |_| true), spawns);
    bites("src/engine/build.rs", "let it = Command::new(\"go\");\n", spawns);
    bites("scripts/demo", "ldd \"$file\"\n", spawns);
}

/// The rooms below `effects` are functions of their arguments.
fn purity(path: &str, text: &str) -> Vec<String> {
    let pure = ["words", "formats", "model", "plan"].map(|it| format!("src/{it}/"));
    if !pure.iter().any(|it| path.starts_with(it)) || is_test_file(path) {
        return Vec::new();
    }
    let world = ["std::fs", "std::env", "std::net", "std::process", "std::thread", "std::time"];
    // Planted defects are in no release, and unit tests have no edge that could read a variable.
    let is_planted = |it: &str| path == "src/words/defect.rs" && it.contains("LINKWRIGHT_DEFECT");
    let found = code(text).filter(|(_, words)| world.iter().any(|it| words.contains(it)));
    let found = found.filter(|(_, words)| !is_planted(words));
    found.map(|(line, words)| format!("{path}:{line}: not pure: {}", words.trim())).collect()
}

#[test]
fn below_effects_nothing_touches_the_machine() {
    hold(&sources(), purity);
    bites("src/plan/record.rs", "use std::fs::File;\n", purity);
    bites("src/model/rules.rs", "    let now = std::time::Instant::now();\n", purity);
}

fn reasons(path: &str, text: &str) -> Vec<String> {
    let (mut complaints, mut in_dependencies, mut before) = (Vec::new(), false, "");
    for line in text.lines() {
        if line.starts_with('[') {
            in_dependencies = line.ends_with("dependencies]");
        } else if in_dependencies && line.contains(" = ") && !before.starts_with("# ") {
            complaints.push(format!("{path}: no reason stands above `{line}`"));
        }
        before = line;
    }
    complaints
}

#[test]
fn every_dependency_has_its_reason() {
    hold(&files_below("Cargo.toml", |_| true), reasons);
    bites("Cargo.toml", "[dependencies]\n# For regexes.\na = \"1\"\nb = \"1\"\n", reasons);
}

/// A test file that `main.rs` does not name is never run, and an ignored test is none.
fn unrun(files: &[Source]) -> Vec<String> {
    let main = files.iter().find(|it| it.0 == "tests/it/main.rs");
    let main = main.map(|it| it.1.as_str()).unwrap_or_default();
    let mut complaints = Vec::new();
    for (path, text) in files {
        let name = path.trim_start_matches("tests/it/").trim_end_matches(".rs");
        let is_top = !name.contains('/') && name != "main";
        if is_top && !main.lines().any(|it| it == format!("mod {name};")) {
            complaints.push(format!("{path}: tests/it/main.rs does not name it"));
        }
        if text.contains(&["#[ig", "nore"].concat()) {
            complaints.push(format!("{path}: a test that is ignored is none"));
        }
    }
    complaints
}

#[test]
fn every_test_is_run() {
    assert_eq!(unrun(&files_below("tests", with_extension("rs"))), Vec::<String>::new());
    let ignored: Vec<_> = sources().into_iter().map(|(_, text)| ("main".into(), text)).collect();
    assert_eq!(unrun(&ignored), Vec::<String>::new());
    let sample = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let main = sample("tests/it/main.rs", "mod a;\n");
    assert_eq!(unrun(&[main.clone(), sample("tests/it/b.rs", "")]).len(), 1);
    let ignored = ["#[ig", "nore]\nfn f() {}\n"].concat();
    assert_eq!(unrun(&[main, sample("tests/it/a.rs", &ignored)]).len(), 1);
}

/// Returns what the code map of `text` does not name: each module in its room's section.
fn unmapped(text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (room, modules) in ROOMS {
        let section = text.split(&format!("\n### `{room}`")).nth(1).unwrap_or_default();
        let section = section.split("\n#").next().unwrap_or_default();
        let missing = modules.split_whitespace().filter(|it| !section.contains(&format!("`{it}`")));
        complaints.extend(missing.map(|it| format!("`{room}::{it}` is not in the code map")));
    }
    complaints
}

#[test]
fn the_code_map_names_every_module_and_fits_in_a_sitting() {
    let path = manifest_dir().join("ARCHITECTURE.md");
    let text = fs::read_to_string(path).unwrap();
    assert_eq!(unmapped(&text), Vec::<String>::new());
    let lines = text.lines().count();
    assert!(lines <= 250, "ARCHITECTURE.md has {lines} lines; 250 is the most");
    assert!(text.matches("**Invariant:**").count() >= 8);
    let without = text.replace("`scheduler`", "the scheduler");
    assert_eq!(unmapped(&without).len(), 1);
}

fn markdown() -> Vec<Source> {
    files_below(".", with_extension("md"))
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    text.chars().filter(|it| it.is_alphanumeric() || matches!(it, '-' | '_')).collect()
}

/// Returns the links of `text` that lead nowhere; `read` returns the text behind a path, if there
/// is something.
fn dead_links(path: &str, text: &str, read: impl Fn(&Path) -> Option<String>) -> Vec<String> {
    let mut complaints = Vec::new();
    for link in text.split("](").skip(1).filter_map(|it| it.split(')').next()) {
        if link.contains("://") || link.contains(char::is_whitespace) {
            continue;
        }
        let (file, wanted) = link.split_once('#').unwrap_or((link, ""));
        let folder = Path::new(path).parent().unwrap_or(Path::new(""));
        let there = if file.is_empty() { Some(text.into()) } else { read(&folder.join(file)) };
        let has_anchor = |text: &String| {
            wanted.is_empty() || text.lines().any(|it| it.starts_with('#') && anchor(it) == wanted)
        };
        if !there.as_ref().is_some_and(has_anchor) {
            complaints.push(format!("{path}: `{link}` leads nowhere"));
        }
    }
    complaints
}

#[test]
fn links_between_documents_lead_somewhere() {
    let read = |it: &Path| {
        let path = manifest_dir().join(it);
        path.exists().then(|| fs::read_to_string(path).unwrap_or_default())
    };
    hold(&markdown(), |path, text| dead_links(path, text, read));
    let rule = |path: &str, text: &str| dead_links(path, text, read);
    bites("README.md", "[the story](docs/history.md)\n", rule);
    bites("README.md", "[the story](docs/story.md#no-such-part)\n", rule);
}

/// A path of somebody's machine tells a reader nothing, and dates at once.
fn machine_paths(path: &str, text: &str) -> Vec<String> {
    let roots = ["/work/", "/root/", "/home/", "/Users/", "/tmp/bash"];
    let found =
        text.lines().enumerate().filter(|(_, line)| roots.iter().any(|it| line.contains(it)));
    found.map(|(at, line)| format!("{path}:{}: {line}", at + 1)).collect()
}

#[test]
fn documents_name_no_machines_paths() {
    hold(&markdown(), machine_paths);
    bites("README.md", "$ cd /home/ada/src\n", machine_paths);
}

#[test]
fn scripts_can_be_run() {
    for folder in ["scripts", ".ci"] {
        for entry in fs::read_dir(manifest_dir().join(folder)).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o111, 0o111, "{} is not executable", entry.path().display());
        }
    }
}
