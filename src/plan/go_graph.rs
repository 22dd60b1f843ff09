//! The Go package graph of one selection, and the questions that linking asks of it.
//!
//! Pure: made from what `go list` printed. Import chains are shortest ones, and among equals the
//! first by name, so that messages repeat.

use crate::formats::go_events::plain;
use crate::formats::go_list::GoPackage;
use fixedbitset::FixedBitSet;
use std::collections::BTreeMap;

/// Go packages by import path, test variants included.
#[derive(Debug, Clone, Default)]
pub struct GoGraph {
    /// In the order of their import paths.
    packages: Vec<(String, GoPackage)>,
    /// The places in `packages` of what each of them imports, as far as it is there.
    imports: Vec<Vec<usize>>,
    /// A package has an error of its own.
    has_errors: bool,
    /// Import paths by the patterns that matched them.
    matched: BTreeMap<String, Vec<String>>,
}

/// The standard library's packages whose cgo the Go linker can link by itself.
///
/// # Source
///
/// `internalpkg` in `cmd/link/internal/ld/lib.go`.
const INTERNAL: [&str; 11] = [
    "crypto/internal/boring",
    "crypto/internal/boring/syso",
    "crypto/x509",
    "net",
    "os/user",
    "plugin",
    "runtime/asan",
    "runtime/cgo",
    "runtime/msan",
    "runtime/race",
    "runtime/race/internal",
];

impl GoGraph {
    /// Takes what `go list` printed.
    #[must_use]
    pub fn new(packages: BTreeMap<String, GoPackage>) -> Self {
        let mut matched: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for package in packages.values().filter(|it| !it.dep_only) {
            for pattern in &package.matched {
                matched.entry(pattern.clone()).or_default().push(package.import_path.clone());
            }
        }
        let packages: Vec<_> = packages.into_iter().collect();
        let places = |(_, package): &(String, GoPackage)| {
            package.imports.iter().filter_map(|it| place(&packages, it)).collect()
        };
        let imports = packages.iter().map(places).collect();
        let has_errors = packages.iter().any(|(_, it)| it.error.is_some());
        Self { packages, imports, has_errors, matched }
    }

    /// Returns a package by import path.
    #[must_use]
    pub fn package(&self, path: &str) -> Option<&GoPackage> {
        Some(&self.packages[place(&self.packages, path)?].1)
    }

    /// Returns every package, by import path.
    pub fn packages(&self) -> impl Iterator<Item = &GoPackage> {
        self.packages.iter().map(|(_, it)| it)
    }

    /// Returns the packages that a pattern matched: `pattern` as it was given to `go list`.
    pub fn matched_by(&self, pattern: &str) -> impl Iterator<Item = &GoPackage> + use<'_> {
        let paths = self.matched.get(pattern).into_iter().flatten();
        paths.filter_map(|it| self.package(it))
    }

    /// Returns every package that `root` is made of, itself included, by import path.
    #[must_use]
    pub fn closure(&self, root: &str) -> BTreeMap<&str, &GoPackage> {
        self.closure_of([root])
    }

    /// Returns every package that one of `roots` is made of, them included, by import path.
    pub fn closure_of<'r>(
        &self,
        roots: impl IntoIterator<Item = &'r str>,
    ) -> BTreeMap<&str, &GoPackage> {
        // There may be a hundred thousand packages, each a root of few: no step is one for each.
        let (mut is_reached, mut reached) = (self.no_package(), Vec::new());
        let mut open: Vec<_> =
            roots.into_iter().filter_map(|it| place(&self.packages, it)).collect();
        while let Some(at) = open.pop() {
            if !is_reached.put(at) {
                reached.push(at);
                open.extend(self.imports[at].iter().filter(|it| !is_reached.contains(**it)));
            }
        }
        reached.sort_unstable();
        let packages = reached.into_iter().map(|it| &self.packages[it]);
        packages.map(|(path, package)| (path.as_str(), package)).collect()
    }

    /// Returns the shortest import chain from `root` to a package that `wanted` accepts, both ends
    /// included, without test variants in the names.
    #[must_use]
    pub fn chain_to(&self, root: &str, wanted: impl Fn(&GoPackage) -> bool) -> Option<Vec<String>> {
        let root = place(&self.packages, root)?;
        let mut is_met = self.no_package();
        is_met.insert(root);
        // Each package that was met, and the step that led to it.
        let mut steps = vec![(root, None)];
        let mut next = 0;
        while let Some((at, _)) = steps.get(next).copied() {
            if wanted(&self.packages[at].1) {
                let back = std::iter::successors(Some(next), |it| steps[*it].1);
                let name = |it: usize| plain(&self.packages[steps[it].0].0).to_owned();
                let mut chain: Vec<_> = back.map(name).collect();
                chain.reverse();
                chain.dedup();
                return Some(chain);
            }
            let met = self.imports[at].iter().filter(|it| !is_met.put(**it));
            steps.extend(met.map(|it| (*it, Some(next))));
            next += 1;
        }
        None
    }

    /// A set of packages by their places, with none in it.
    fn no_package(&self) -> FixedBitSet {
        FixedBitSet::with_capacity(self.packages.len())
    }

    /// Returns the shortest chain to a package that uses cgo, if one does.
    #[must_use]
    pub fn chain_to_cgo(&self, root: &str) -> Option<Vec<String>> {
        self.chain_to(root, |it| it.files.use_cgo())
    }

    /// Returns the shortest chain to a package whose cgo makes Go call the C linker by itself.
    #[must_use]
    pub fn chain_to_external_linking(&self, root: &str) -> Option<Vec<String>> {
        let forces = |it: &GoPackage| {
            it.files.use_cgo() && !(it.standard && INTERNAL.contains(&plain(&it.import_path)))
        };
        self.chain_to(root, forces)
    }

    /// Returns what keeps `root` from being loaded: Go's own words, each once, the nearest first.
    #[must_use]
    pub fn load_errors(&self, root: &str) -> Vec<String> {
        let mut told = Vec::new();
        let Some(package) = self.package(root) else {
            return vec![format!("Go does not know the package `{root}`")];
        };
        let own = package.error.iter().chain(&package.deps_errors);
        let below = if self.has_errors { self.closure(root) } else { BTreeMap::new() };
        let below = below.into_values().filter_map(|it| it.error.as_ref());
        for error in own.chain(below) {
            let text = error.text().trim().to_owned();
            if !told.contains(&text) {
                told.push(text);
            }
        }
        told
    }
}

/// Finds a package among all.
fn place(packages: &[(String, GoPackage)], path: &str) -> Option<usize> {
    packages.binary_search_by(|(it, _)| it.as_str().cmp(path)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::go_list::parse;

    fn graph() -> GoGraph {
        let text = br#"
            {"ImportPath": "m", "Name": "main", "Imports": ["m/a", "net/http"], "Match": ["."]}
            {"ImportPath": "m/a", "DepOnly": true, "Imports": ["os/user"]}
            {"ImportPath": "net/http", "DepOnly": true, "Standard": true, "Imports": ["net"]}
            {"ImportPath": "net", "DepOnly": true, "Standard": true, "CgoFiles": ["cgo.go"], "Imports": ["C"]}
            {"ImportPath": "os/user", "DepOnly": true, "Standard": true, "CgoFiles": ["cgo.go"]}
            {"ImportPath": "m/c", "CgoFiles": ["c.go"], "Error": {"Pos": "c.go:1:1", "Err": "bad"}}
            {"ImportPath": "m/d", "Imports": ["m/c"], "DepsErrors": [{"Pos": "c.go:1:1", "Err": "bad"}]}
        "#;
        GoGraph::new(parse(text).unwrap())
    }

    #[test]
    fn the_shortest_chain_to_cgo_is_named() {
        let graph = graph();
        assert_eq!(graph.chain_to_cgo("m").unwrap(), ["m", "m/a", "os/user"]);
        assert_eq!(graph.chain_to_cgo("net/http").unwrap(), ["net/http", "net"]);
        assert_eq!(graph.chain_to_external_linking("m"), None, "the standard library does not");
        assert_eq!(graph.chain_to_external_linking("m/d").unwrap(), ["m/d", "m/c"]);
    }

    #[test]
    fn a_closure_holds_each_package_once() {
        let graph = graph();
        let closure: Vec<_> = graph.closure("m").into_keys().collect();
        assert_eq!(closure, ["m", "m/a", "net", "net/http", "os/user"]);
    }

    #[test]
    fn errors_of_dependencies_are_told_once() {
        assert_eq!(graph().load_errors("m/d"), ["c.go:1:1: bad"]);
        assert_eq!(graph().load_errors("nope"), ["Go does not know the package `nope`"]);
        assert!(graph().load_errors("m").is_empty());
    }

    #[test]
    fn patterns_match_what_go_said() {
        let graph = graph();
        let matched: Vec<_> = graph.matched_by(".").map(|it| it.import_path.as_str()).collect();
        assert_eq!(matched, ["m"]);
    }
}
