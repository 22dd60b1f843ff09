//! The Go packages that targets are made of: a list, one object, or DOT.

use crate::engine::packages::{Listed, PackageGraphs, Rooted};
use crate::formats::go_events::plain;
use crate::formats::go_list::GoPackage;
use crate::plan::configuration::Selection;
use crate::report::escape;
use crate::report::graph::{Form, quote_dot};
use crate::words::label::Label;
use crate::words::path::shown_below;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;

/// The format of the JSON form; raised when a field changes its meaning.
pub const PACKAGES_FORMAT: &str = "linkwright-packages/1";

/// What `query --packages --output json` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PackagesDocument<'a> {
    /// [`PACKAGES_FORMAT`].
    pub format: &'static str,
    /// What is made of them, sorted by label and root.
    pub outputs: Vec<OutputNode<'a>>,
    /// Packages, by how they were chosen.
    pub selections: Vec<SelectionNode<'a>>,
}

/// One program or test binary.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OutputNode<'a> {
    /// The target.
    pub label: &'a Label,
    /// The Go package.
    pub go_package: &'a str,
    /// The import path of the package that leads to all others: its own, or that of the main
    /// package of its tests.
    pub root: &'a str,
    /// The index of its selection.
    pub selection: usize,
}

/// Packages that are chosen in one way.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SelectionNode<'a> {
    /// The folder from which they are looked up, relative to the workspace root if it lies below.
    pub module_folder: String,
    /// `GOOS/GOARCH`, and the level where one is named.
    pub platform: String,
    /// Whether cgo is on.
    pub cgo: bool,
    /// Whether the race detector is.
    pub race: bool,
    /// Build tags.
    pub tags: &'a [String],
    /// Sorted by import path.
    pub packages: Vec<PackageNode<'a>>,
}

/// One Go package.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PackageNode<'a> {
    /// Its import path, with ` [p.test]` behind it for a variant that is compiled for tests.
    pub import_path: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its folder, relative to the workspace root if it lies below.
    pub folder: String,
    /// Whether it is of the standard library.
    pub standard: bool,
    /// The path of its module.
    pub module: Option<&'a str>,
    /// The version of that; null for a module of the workspace.
    pub version: Option<&'a str>,
    /// Whether it has files that import "C".
    pub uses_cgo: bool,
    /// The import paths of what it imports, variants resolved.
    pub imports: &'a [String],
    /// What it brings in without importing it: what cgo needs, and what comes with a program.
    pub unsaid: Vec<&'static str>,
    /// Why Go cannot load it.
    pub error: Option<&'a str>,
}

/// Writes the packages in the form that is asked for; `root` is that of the workspace.
///
/// # Errors
///
/// Returns the writer's error.
pub fn write(
    graphs: &PackageGraphs,
    form: Form,
    root: &Path,
    out: &mut dyn Write,
) -> io::Result<()> {
    match form {
        Form::Text => write_list(graphs, out),
        Form::Json => write_json(graphs, root, out),
        Form::Dot => write_dot(graphs, out),
    }
}

fn write_list(graphs: &PackageGraphs, out: &mut dyn Write) -> io::Result<()> {
    let named = named(graphs);
    named.keys().try_for_each(|it| writeln!(out, "{}", escape::line(it)))
}

fn write_json(graphs: &PackageGraphs, root: &Path, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &document(graphs, root))?;
    writeln!(out)
}

fn write_dot(graphs: &PackageGraphs, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "digraph packages {{\n  rankdir = LR;\n  node [shape = box];")?;
    let named = named(graphs);
    for (path, imports) in &named {
        writeln!(out, "  \"{}\";", quote_dot(path))?;
        for import in imports.iter().filter(|it| named.contains_key(*it)) {
            writeln!(out, "  \"{}\" -> \"{}\";", quote_dot(path), quote_dot(import))?;
        }
    }
    writeln!(out, "}}")
}

/// Import paths without variants, each with what it imports; made-up main packages are left out.
fn named(graphs: &PackageGraphs) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut named: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for listing in 0..graphs.listings.len() {
        let packages = graphs.packages(listing);
        let is_made_up =
            |it: &GoPackage| it.name == "main" && it.import_path.strip_suffix(".test").is_some();
        for package in packages.into_values().filter(|it| !is_made_up(it)) {
            let path = plain(&package.import_path);
            let imports = package.imports.iter().map(|it| plain(it));
            let imports = imports.chain(graphs.listings[listing].unsaid(package));
            named.entry(path).or_default().extend(imports.filter(|it| *it != path));
        }
    }
    named
}

fn document<'a>(graphs: &'a PackageGraphs, root: &Path) -> PackagesDocument<'a> {
    let output = |it: &'a Rooted| OutputNode {
        label: &it.label,
        go_package: &it.go_package,
        root: &it.root,
        selection: it.listing,
    };
    let selection = |number: usize| {
        let listed = &graphs.listings[number];
        let question = &listed.question;
        let Selection { platform, cgo, race, tags, .. } = &question.selection;
        let packages = graphs.packages(number).into_values();
        SelectionNode {
            module_folder: shown_below(root, &question.module.folder),
            platform: platform.to_string(),
            cgo: *cgo,
            race: *race,
            tags,
            packages: packages.map(|it| node(listed, it, root)).collect(),
        }
    };
    PackagesDocument {
        format: PACKAGES_FORMAT,
        outputs: graphs.outputs.iter().map(output).collect(),
        selections: (0..graphs.listings.len()).map(selection).collect(),
    }
}

fn node<'a>(listed: &Listed, package: &'a GoPackage, root: &Path) -> PackageNode<'a> {
    let module = package.module.as_ref();
    let version = module.map(|it| it.version.as_str()).filter(|it| !it.is_empty());
    PackageNode {
        import_path: &package.import_path,
        name: &package.name,
        folder: shown_below(root, Path::new(&package.dir)),
        standard: package.standard,
        module: module.map(|it| it.path.as_str()),
        version,
        uses_cgo: package.files.use_cgo(),
        imports: &package.imports,
        unsaid: listed.unsaid(package),
        error: package.error.as_ref().map(|it| it.err.as_str()),
    }
}
