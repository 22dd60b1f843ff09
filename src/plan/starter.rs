//! The `BUILD.ron` files that `init` writes, from what `go list` knows of the Go modules.
//!
//! Each module gets one file in its root. It declares a `go_binary` for every program and one
//! `go_tests` for all tests. A repository whose root is no module gets an empty root file, so that
//! the folders below belong to one workspace.
//!
//! | name | is taken from | because |
//! |---|---|---|
//! | a program's | the last element of its import path, a `/v2` passed over | `go install` names it so |
//! | where two agree | as many elements as tell them apart, joined by `-` | it says which is which |
//! | never | `all`, the first folder of a module below, `tests` where there are tests | `:all` is a pattern; `bin/<name>` may not be a folder of another target's outputs |

use crate::words::label::{Label, PackagePath};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// A Go module and the Go packages in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoModule {
    /// Its folder relative to the workspace root, `""` for the root itself.
    pub folder: String,
    /// Its path, as `go.mod` says it.
    pub path: String,
    /// Its Go packages, in any order.
    pub packages: Vec<GoPackage>,
}

/// A Go package as far as a `BUILD.ron` is concerned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoPackage {
    /// Its import path.
    pub import_path: String,
    /// Its folder relative to the module's, `""` for the module's own.
    pub folder: String,
    /// The name after `package`; `main` is a program.
    pub name: String,
    /// Whether it has tests, external ones included.
    pub has_tests: bool,
    /// Whether it uses cgo itself.
    pub uses_cgo: bool,
    /// Why it cannot be built here, if it cannot: `build constraints exclude all Go files`.
    pub excluded: Option<String>,
}

/// A file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StarterFile {
    /// Relative to the workspace root.
    pub path: String,
    /// The whole text.
    pub text: String,
}

/// Returns the files for a repository with these modules, linked by `link`; the root's first.
///
/// `modules` is not empty, and `link` is the name of a strategy or a ladder.
#[must_use]
pub fn starter_files(modules: &[GoModule], link: &str) -> Vec<StarterFile> {
    let shipped = modules.iter().filter(|it| can_be_a_package(&it.folder));
    let by_folder: BTreeMap<&str, &GoModule> = shipped.map(|it| (it.folder.as_str(), it)).collect();
    let mut files = Vec::new();
    if !by_folder.contains_key("") {
        files.push(StarterFile {
            path: "BUILD.ron".to_owned(),
            text: ROOT_WITHOUT_MODULE.to_owned(),
        });
    }
    for (folder, module) in &by_folder {
        let below: BTreeSet<&str> =
            by_folder.keys().filter_map(|it| first_folder_below(folder, it)).collect();
        let path =
            if folder.is_empty() { "BUILD.ron".to_owned() } else { format!("{folder}/BUILD.ron") };
        files.push(StarterFile { path, text: module_file(module, link, &below) });
    }
    files
}

const ROOT_WITHOUT_MODULE: &str = "\
// The root of the workspace. The Go modules in the folders below declare their own targets.
build(
    targets: [],
)
";

/// Tells whether a module in `folder` is meant to be built (the `go` command passes over the same
/// folders), and whether a label can name it.
fn can_be_a_package(folder: &str) -> bool {
    let passed_over = |it: &str| it.starts_with(['.', '_']) || matches!(it, "testdata" | "vendor");
    !folder.split('/').any(passed_over) && PackagePath::parse(folder).is_ok()
}

/// Returns the first segment of `inner` below `outer`, if it lies below.
fn first_folder_below<'a>(outer: &str, inner: &'a str) -> Option<&'a str> {
    let rest = match outer {
        "" => inner,
        _ => inner.strip_prefix(outer)?.strip_prefix('/')?,
    };
    rest.split('/').next().filter(|it| !it.is_empty())
}

fn module_file(module: &GoModule, link: &str, below: &BTreeSet<&str>) -> String {
    let mut packages: Vec<&GoPackage> = module.packages.iter().collect();
    packages.sort_by(|a, b| a.folder.cmp(&b.folder));
    let has_tests = packages.iter().any(|it| it.has_tests && it.excluded.is_none());
    let mut taken: BTreeSet<String> = below.iter().map(|it| (*it).to_owned()).collect();
    taken.insert("all".to_owned());
    let tests_name = ["tests", "go_tests", "all_tests"].into_iter().find(|it| !taken.contains(*it));
    if has_tests {
        taken.extend(tests_name.map(str::to_owned));
    }
    let (programs, left_out): (Vec<&GoPackage>, Vec<&GoPackage>) = packages
        .iter()
        .filter(|it| it.name == "main")
        .partition(|it| it.excluded.is_none() && can_be_written(&it.folder));
    let names = unique_names(&programs, &mut taken);

    let mut text = String::new();
    let _ = writeln!(text, "// The targets of the Go module {}.", comment(&module.path));
    let _ = writeln!(text, "// `linkwright build` makes and verifies all of them.");
    let _ = writeln!(text, "build(\n    defaults: (link: {}),\n    targets: [", quoted(link));
    for (program, name) in programs.iter().zip(&names) {
        let package = relative(&program.folder);
        let note = if program.uses_cgo { " // uses cgo" } else { "" };
        let (name, package) = (quoted(name), quoted(&package));
        let _ = writeln!(text, "        go_binary(name: {name}, package: {package}),{note}");
    }
    for program in left_out {
        let why = program.excluded.as_deref().unwrap_or("its folder's name cannot be written here");
        let package = comment(&relative(&program.folder)).into_owned();
        let _ = writeln!(text, "        // left out: {package}: {}", comment(why));
    }
    if has_tests {
        let name = quoted(tests_name.unwrap_or("go-tests"));
        let _ = writeln!(text, "        // One test binary for each Go package that has tests.");
        let _ = writeln!(text, "        go_tests(name: {name}, packages: [\"./...\"]),");
    }
    text.push_str("    ],\n)\n");
    text
}

/// Returns the name of each program, in their order, none of them `taken`.
fn unique_names(programs: &[&GoPackage], taken: &mut BTreeSet<String>) -> Vec<String> {
    let elements: Vec<Vec<&str>> = programs.iter().map(|it| name_elements(it)).collect();
    let mut claims: BTreeMap<(usize, String), usize> = BTreeMap::new();
    for own in &elements {
        for count in 1..=own.len() {
            *claims.entry((count, joined(own, count))).or_default() += 1;
        }
    }
    let mut names = Vec::with_capacity(programs.len());
    for own in &elements {
        let is_own = |count: &usize| {
            let name = joined(own, *count);
            !taken.contains(&name) && claims.get(&(*count, name)) == Some(&1)
        };
        let count = (1..=own.len()).find(is_own).unwrap_or(own.len());
        let candidate = joined(own, count);
        let numbered = (2..).map(|it: u64| format!("{candidate}-{it}"));
        let free =
            std::iter::once(candidate.clone()).chain(numbered).find(|it| !taken.contains(it));
        let name = free.unwrap_or(candidate);
        taken.insert(name.clone());
        names.push(name);
    }
    names
}

/// Returns the elements of a program's import path that can name it, the version passed over.
fn name_elements(program: &GoPackage) -> Vec<&str> {
    let mut elements: Vec<&str> =
        program.import_path.split('/').filter(|it| !it.is_empty()).collect();
    let is_version = |it: &&str| {
        it.strip_prefix('v').is_some_and(|it| {
            !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()) && !matches!(it, "0" | "1")
        })
    };
    if elements.len() > 1 && elements.last().is_some_and(is_version) {
        elements.pop();
    }
    elements
}

/// Joins the last `count` elements to a target's name.
fn joined(elements: &[&str], count: usize) -> String {
    let from = elements.len().saturating_sub(count);
    let joined = elements[from..].join("-");
    let fits = |it: char| if it.is_ascii_alphanumeric() || "_-.+=".contains(it) { it } else { '_' };
    let name: String = joined.chars().map(fits).collect();
    let name = name.trim_start_matches('-');
    match Label::new(PackagePath::root(), name) {
        Ok(_) => name.to_owned(),
        Err(_) => "program".to_owned(),
    }
}

/// Tells whether a folder can stand in `package: "./folder"`.
fn can_be_written(folder: &str) -> bool {
    crate::model::target::GoPattern::parse(&relative(folder)).is_ok()
}

fn relative(folder: &str) -> String {
    if folder.is_empty() { ".".to_owned() } else { format!("./{folder}") }
}

/// Writes a RON string.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}

/// Keeps a text from ending the comment it stands in.
fn comment(text: &str) -> std::borrow::Cow<'_, str> {
    let first = text.lines().next().unwrap_or("");
    if first.chars().any(char::is_control) {
        first.escape_debug().to_string().into()
    } else {
        first.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn package(import_path: &str, folder: &str, name: &str) -> GoPackage {
        GoPackage {
            import_path: import_path.to_owned(),
            folder: folder.to_owned(),
            name: name.to_owned(),
            ..GoPackage::default()
        }
    }

    /// Makes a module whose programs stand in these folders.
    fn module(folder: &str, path: &str, programs: &[&str]) -> GoModule {
        let program = |it: &&str| {
            let import_path = if it.is_empty() { path.to_owned() } else { format!("{path}/{it}") };
            package(&import_path, it, "main")
        };
        let packages = programs.iter().map(program).collect();
        GoModule { folder: folder.to_owned(), path: path.to_owned(), packages }
    }

    #[track_caller]
    fn check(modules: &[GoModule], expect: Expect) {
        let files = starter_files(modules, "static");
        let shown = files.into_iter().map(|it| format!("== {}\n{}", it.path, it.text));
        expect.assert_eq(&shown.collect::<String>());
    }

    #[test]
    fn a_module_gets_its_programs_and_its_tests() {
        let mut shop = module("", "example.com/shop", &["cmd/server", "cmd/client", "cmd/gui"]);
        shop.packages[1].uses_cgo = true;
        shop.packages[2].excluded = Some("build constraints exclude all Go files\nin x".to_owned());
        shop.packages.push(GoPackage {
            has_tests: true,
            ..package("example.com/shop/internal/store", "internal/store", "store")
        });
        check(
            &[shop],
            expect![[r#"
            == BUILD.ron
            // The targets of the Go module example.com/shop.
            // `linkwright build` makes and verifies all of them.
            build(
                defaults: (link: "static"),
                targets: [
                    go_binary(name: "client", package: "./cmd/client"), // uses cgo
                    go_binary(name: "server", package: "./cmd/server"),
                    // left out: ./cmd/gui: build constraints exclude all Go files
                    // One test binary for each Go package that has tests.
                    go_tests(name: "tests", packages: ["./..."]),
                ],
            )
        "#]],
        );
    }

    #[test]
    fn a_program_at_the_module_root_is_named_after_the_module() {
        check(
            &[module("", "example.com/tool/v2", &[""])],
            expect![[r#"
            == BUILD.ron
            // The targets of the Go module example.com/tool/v2.
            // `linkwright build` makes and verifies all of them.
            build(
                defaults: (link: "static"),
                targets: [
                    go_binary(name: "tool", package: "."),
                ],
            )
        "#]],
        );
    }

    #[test]
    fn names_are_unique_and_say_which_is_which() {
        let folders = ["a/server", "b/server", "all", "tests", "größe", "x/y/tool", "z/y/tool"];
        let mut many = module("", "m", &folders);
        many.packages[0].has_tests = true;
        check(
            &[many],
            expect![[r#"
            == BUILD.ron
            // The targets of the Go module m.
            // `linkwright build` makes and verifies all of them.
            build(
                defaults: (link: "static"),
                targets: [
                    go_binary(name: "a-server", package: "./a/server"),
                    go_binary(name: "m-all", package: "./all"),
                    go_binary(name: "b-server", package: "./b/server"),
                    go_binary(name: "gr__e", package: "./größe"),
                    go_binary(name: "m-tests", package: "./tests"),
                    go_binary(name: "x-y-tool", package: "./x/y/tool"),
                    go_binary(name: "z-y-tool", package: "./z/y/tool"),
                    // One test binary for each Go package that has tests.
                    go_tests(name: "tests", packages: ["./..."]),
                ],
            )
        "#]],
        );
    }

    #[test]
    fn outputs_of_nested_modules_have_room() {
        let root = module("", "m", &["cmd/tools", "x/tests"]);
        let mut tests = module("tests", "m/tests", &["run"]);
        tests.packages[0].has_tests = true;
        check(
            &[module("tools/gen", "m/tools/gen", &[""]), root, tests],
            expect![[r#"
            == BUILD.ron
            // The targets of the Go module m.
            // `linkwright build` makes and verifies all of them.
            build(
                defaults: (link: "static"),
                targets: [
                    go_binary(name: "cmd-tools", package: "./cmd/tools"),
                    go_binary(name: "x-tests", package: "./x/tests"),
                ],
            )
            == tests/BUILD.ron
            // The targets of the Go module m/tests.
            // `linkwright build` makes and verifies all of them.
            build(
                defaults: (link: "static"),
                targets: [
                    go_binary(name: "run", package: "./run"),
                    // One test binary for each Go package that has tests.
                    go_tests(name: "tests", packages: ["./..."]),
                ],
            )
            == tools/gen/BUILD.ron
            // The targets of the Go module m/tools/gen.
            // `linkwright build` makes and verifies all of them.
            build(
                defaults: (link: "static"),
                targets: [
                    go_binary(name: "gen", package: "."),
                ],
            )
        "#]],
        );
    }

    #[test]
    fn a_root_without_a_module_is_still_the_root() {
        check(
            &[module("go/app", "example.com/app", &[""])],
            expect![[r#"
            == BUILD.ron
            // The root of the workspace. The Go modules in the folders below declare their own targets.
            build(
                targets: [],
            )
            == go/app/BUILD.ron
            // The targets of the Go module example.com/app.
            // `linkwright build` makes and verifies all of them.
            build(
                defaults: (link: "static"),
                targets: [
                    go_binary(name: "app", package: "."),
                ],
            )
        "#]],
        );
    }

    #[test]
    fn modules_that_go_itself_passes_over_are_not_declared() {
        let modules = ["", "a/testdata/m", "vendor/x", "_old", ".cache/m", "-odd"];
        let files = starter_files(&modules.map(|it| module(it, "m", &[])), "static");
        assert_eq!(files.len(), 1);
    }

    #[test]
    fn nothing_that_go_list_says_ends_a_comment_or_a_string() {
        let mut odd = module("", "m", &["a b", "quote\"d"]);
        odd.packages[0].excluded = Some("x\u{1b}[2J\ntargets: []".to_owned());
        check(
            &[odd],
            expect![[r#"
            == BUILD.ron
            // The targets of the Go module m.
            // `linkwright build` makes and verifies all of them.
            build(
                defaults: (link: "static"),
                targets: [
                    // left out: ./a b: x\u{1b}[2J
                    // left out: ./quote"d: its folder's name cannot be written here
                ],
            )
        "#]],
        );
    }
}
