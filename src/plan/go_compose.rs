//! From packages, each known by itself, to what `go list -deps -test` would tell of all of them:
//! test binaries, and the variants of packages that are compiled anew for each.
//!
//! ```text
//! p [p.test]        p with its own test files
//! p_test [p.test]   the external tests
//! q [p.test]        a package that imports p, and is imported by one of these
//! p.test            the generated program
//! ```
//!
//! Pure. `None` where Go would find an error, which is Go's to word: a cycle, an import of a
//! program, of a folder that is internal to another, or of one that has tests alone.
//!
//! # Source
//!
//! `TestPackagesAndErrors` and `recompileForTest` in `cmd/go/internal/load/test.go`; `load`,
//! `disallowInternal` and `LinkerDeps` in `cmd/go/internal/load/pkg.go`; `runList` in
//! `cmd/go/internal/list/list.go`.

use crate::formats::go_list::{GENERATED, GoFiles, GoPackage};
use crate::plan::go_choice::GoChoice;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

/// A package by itself, with import paths that are resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPackage {
    /// What is told of it, but for patterns and what hangs on others.
    pub package: GoPackage,
    /// What its tests import.
    pub test_imports: Vec<String>,
    /// What its external tests import.
    pub x_test_imports: Vec<String>,
    /// What its tests, and its external tests, embed.
    pub test_embeds: [Vec<String>; 2],
    /// It imports nothing that can be edited.
    pub is_opaque: bool,
}

/// What the generated program of a test binary imports.
pub const OF_TEST_MAIN: [&str; 4] = ["os", "reflect", "testing", "testing/internal/testdeps"];

/// A package or a variant of one.
struct Node {
    package: GoPackage,
    imports: Vec<usize>,
    is_opaque: bool,
}

/// What is made of packages.
pub struct Composition {
    /// What is not yet a node; of one that is, what its tests are made of.
    known: BTreeMap<String, KnownPackage>,
    of_linker: Vec<&'static str>,
    nodes: Vec<Node>,
    places: HashMap<String, usize>,
}

/// Returns what the linker brings into each program; `None` where Go refuses, or more decides.
#[must_use]
pub fn of_linker(choice: &GoChoice) -> Option<Vec<&'static str>> {
    let mut packages = vec!["runtime"];
    if matches!(choice.system.as_str(), "android" | "ios") {
        return None;
    }
    packages.extend((choice.architecture == "arm").then_some("math"));
    packages.extend(choice.race.then_some("runtime/race"));
    Some(packages)
}

/// Returns what a package imports without saying so.
#[must_use]
pub fn unsaid(package: &GoPackage, of_linker: &[&'static str]) -> Vec<&'static str> {
    let files = &package.files;
    let is = |it: &[&str]| package.standard && it.contains(&package.import_path.as_str());
    let mut unsaid = Vec::new();
    if files.use_cgo() {
        unsaid.push("unsafe");
        unsaid.extend((!is(&["runtime/cgo"])).then_some("runtime/cgo"));
        let without = ["runtime/cgo", "runtime/race", "runtime/msan", "runtime/asan"];
        unsaid.extend((!is(&without)).then_some("syscall"));
    }
    if !files.swig_files.is_empty() || !files.swig_cxx_files.is_empty() {
        unsaid.push("sync");
    }
    if package.name == "main" {
        unsaid.extend(of_linker);
    }
    unsaid
}

/// Returns every package of a listing: `roots` are those that patterns name, with the patterns.
#[must_use]
pub fn compose(
    known: BTreeMap<String, KnownPackage>,
    roots: &BTreeMap<String, Vec<String>>,
    choice: &GoChoice,
    tests: bool,
) -> Option<BTreeMap<String, GoPackage>> {
    let of_linker = of_linker(choice)?;
    let mut this = Composition { known, of_linker, nodes: Vec::new(), places: HashMap::new() };
    let mut named = BTreeSet::new();
    for path in roots.keys() {
        named.insert(this.reach(path)?);
    }
    this.order(named.iter().copied())?;
    for (path, patterns) in roots {
        let place = this.reach(path)?;
        this.nodes[place].package.matched.clone_from(patterns);
    }
    let tested: Vec<_> = named.iter().copied().filter(|_| tests).collect();
    let mut made = Vec::new();
    for place in tested {
        if this.nodes[place].package.files.have_tests() {
            made.push((place, this.test(place)?));
        }
    }
    for (place, variants) in made {
        let [main, own, external] = variants;
        this.recompile(place, variants.map(|it| it.unwrap_or(place)))?;
        named.extend([main, own, external].into_iter().flatten());
    }
    let listed = this.order(named.iter().copied())?;
    this.told(&listed, &named)
}

impl Composition {
    /// Returns the node of a package, made with all that it imports.
    fn reach(&mut self, path: &str) -> Option<usize> {
        let (mut open, of_linker) = (Vec::new(), self.of_linker.clone());
        let reached = self.place(path, &mut open)?;
        while let Some(place) = open.pop() {
            // It is out of its node while nodes of others are made.
            let package = std::mem::take(&mut self.nodes[place].package);
            let mut imports = Vec::new();
            for path in imported(&package, &of_linker) {
                imports.push(self.place(path, &mut open)?);
            }
            let node = &mut self.nodes[place];
            (node.package, node.imports) = (package, imports);
        }
        Some(reached)
    }

    fn place(&mut self, path: &str, open: &mut Vec<usize>) -> Option<usize> {
        if let Some(place) = self.places.get(path) {
            return Some(*place);
        }
        let known = self.known.get_mut(path)?;
        let (package, is_opaque) = (std::mem::take(&mut known.package), known.is_opaque);
        let place = self.add(package, Vec::new(), is_opaque);
        self.places.insert(path.to_owned(), place);
        open.push(place);
        Some(place)
    }

    fn add(&mut self, package: GoPackage, imports: Vec<usize>, is_opaque: bool) -> usize {
        self.nodes.push(Node { package, imports, is_opaque });
        self.nodes.len() - 1
    }

    /// Returns what is reached from `starts`, imports first; `None` if there is a cycle, or an
    /// import that is not allowed.
    fn order(&self, starts: impl Iterator<Item = usize>) -> Option<Vec<usize>> {
        let (mut order, mut state) = (Vec::new(), vec![0_u8; self.nodes.len()]);
        for start in starts {
            let mut open = vec![(start, 0)];
            while let Some((place, next)) = open.pop() {
                let node = &self.nodes[place];
                if next == 0 {
                    match state[place] {
                        2 => continue,
                        1 => return None,
                        _ => state[place] = 1,
                    }
                }
                let Some(import) = node.imports.get(next) else {
                    state[place] = 2;
                    order.push(place);
                    continue;
                };
                if state[*import] == 1 || !self.may_import(place, *import) {
                    return None;
                }
                open.push((place, next + 1));
                if state[*import] == 0 {
                    open.push((*import, 0));
                }
            }
        }
        Some(order)
    }

    /// Tells whether Go allows an import. What Go told of opaque packages was well.
    fn may_import(&self, from: usize, to: usize) -> bool {
        let is_opaque = self.nodes[from].is_opaque;
        let (from, to) = (&self.nodes[from].package, &self.nodes[to].package);
        let is_program = to.name == "main" && to.dir != from.dir;
        if is_opaque || from.standard || from.files.go_files == [GENERATED] {
            return !is_program;
        }
        // One with tests alone cannot be compiled for others.
        let has_code = to.files.compiled_go().next().is_some() || from.dir == to.dir;
        has_code && !is_program && is_visible(from, to)
    }

    /// Adds the test binary of a package: the generated program, the package with its tests if that
    /// is another one, and the external tests if there are some.
    fn test(&mut self, place: usize) -> Option<[Option<usize>; 3]> {
        let path = self.nodes[place].package.import_path.clone();
        let known = self.known.get_mut(&path)?;
        let [embeds, x_embeds] = std::mem::take(&mut known.test_embeds);
        let test_imports = std::mem::take(&mut known.test_imports);
        let x_test_imports = std::mem::take(&mut known.x_test_imports);
        let mut imports = Vec::new();
        for import in &test_imports {
            imports.push(self.reach(import)?);
        }
        let package = &mut self.nodes[place].package;
        package.files.test_embed_files.clone_from(&embeds);
        package.files.x_test_embed_files.clone_from(&x_embeds);
        let package = package.clone();
        let mut own = None;
        if !package.files.test_go_files.is_empty() || package.name == "main" {
            let mut variant = GoPackage { for_test: path.clone(), ..package.clone() };
            variant.files.go_files.extend(package.files.test_go_files.iter().cloned());
            variant.files.embed_files.extend(embeds);
            variant.imports = [test_imports, package.imports.clone()].concat();
            imports.extend(&self.nodes[place].imports);
            own = Some(self.add(variant, imports, false));
        }
        let tested = own.unwrap_or(place);
        let mut external = None;
        if !package.files.x_test_go_files.is_empty() {
            let mut imports = Vec::new();
            for import in &x_test_imports {
                imports.push(if *import == path { tested } else { self.reach(import)? });
            }
            let variant = GoPackage {
                import_path: format!("{path}_test"),
                name: format!("{}_test", package.name),
                imports: x_test_imports,
                files: GoFiles {
                    go_files: package.files.x_test_go_files.clone(),
                    embed_files: x_embeds,
                    ..GoFiles::default()
                },
                for_test: path.clone(),
                dir: package.dir.clone(),
                module: package.module.clone(),
                ..GoPackage::default()
            };
            external = Some(self.add(variant, imports, false));
        }
        let main = self.test_main(&path, &package, (tested, external))?;
        Some([Some(main), own, external])
    }

    fn test_main(
        &mut self,
        path: &str,
        package: &GoPackage,
        (tested, external): (usize, Option<usize>),
    ) -> Option<usize> {
        let mut imports = Vec::new();
        for import in OF_TEST_MAIN.iter().chain(&self.of_linker.clone()) {
            imports.push(if *import == path { tested } else { self.reach(import)? });
        }
        let mut names: BTreeSet<_> = OF_TEST_MAIN.iter().map(|it| (*it).to_owned()).collect();
        if self.nodes[tested].package.files.compiled_go().next().is_some() {
            imports.push(tested);
            names.insert(path.to_owned());
        }
        if let Some(external) = external {
            imports.push(external);
            names.insert(format!("{path}_test"));
        }
        let main = GoPackage {
            import_path: format!("{path}.test"),
            name: "main".to_owned(),
            dir: package.dir.clone(),
            files: GoFiles { go_files: vec![GENERATED.to_owned()], ..GoFiles::default() },
            imports: names.into_iter().collect(),
            module: package.module.clone(),
            ..GoPackage::default()
        };
        Some(self.add(main, imports, false))
    }

    /// Puts copies in place of packages that import the package under test, and of those that
    /// import these.
    fn recompile(&mut self, real: usize, [main, tested, external]: [usize; 3]) -> Option<()> {
        let path = self.nodes[real].package.import_path.clone();
        let mut copies = HashMap::from([(real, tested)]);
        // What is opaque imports nothing that is under test.
        for place in self.order(std::iter::once(main))? {
            if place == real || self.nodes[place].is_opaque {
                continue;
            }
            let node = &self.nodes[place];
            let changed = |it: &usize| copies.get(it).copied().filter(|copy| copy != it);
            let is_own = place == main || place == external || place == tested;
            let is_program = node.package.name == "main" && place != main && place != tested;
            if !is_program && !node.imports.iter().any(|it| changed(it).is_some()) {
                continue;
            }
            let imports = node.imports.iter().map(|it| changed(it).unwrap_or(*it)).collect();
            if is_own {
                self.nodes[place].imports = imports;
            } else {
                let package = GoPackage { for_test: path.clone(), ..node.package.clone() };
                let copy = self.add(package, imports, false);
                copies.insert(place, copy);
            }
        }
        Some(())
    }

    /// Tells of all that is listed, by the names that variants have.
    fn told(
        mut self,
        listed: &[usize],
        named: &BTreeSet<usize>,
    ) -> Option<BTreeMap<String, GoPackage>> {
        let paths: BTreeSet<_> =
            listed.iter().map(|it| self.nodes[*it].package.import_path.as_str()).collect();
        let folded: HashSet<_> = paths.iter().map(|it| it.to_ascii_lowercase()).collect();
        if folded.len() < paths.len() {
            return None;
        }
        // Packages are taken out one by one, and what imports one still asks for its name.
        let of_variant = |it: &Node| {
            let it = &it.package;
            (!it.for_test.is_empty()).then(|| (it.import_path.clone(), variant_name(it)))
        };
        let variants: Vec<_> = self.nodes.iter().map(of_variant).collect();
        let mut told = BTreeMap::new();
        for place in listed {
            let node = &mut self.nodes[*place];
            let mut package = std::mem::take(&mut node.package);
            let imported = node.imports.iter().filter_map(|it| variants[*it].as_ref());
            let variants: HashMap<_, _> = imported.map(|(path, name)| (path, name)).collect();
            for import in &mut package.imports {
                if let Some(variant) = variants.get(import) {
                    import.clone_from(variant);
                }
            }
            package.dep_only = !named.contains(place);
            package.import_path = variant_name(&package);
            told.insert(package.import_path.clone(), package);
        }
        Some(told)
    }
}

/// Returns all that a package imports, as it says and as it does not.
#[must_use]
pub fn imported<'p>(package: &'p GoPackage, of_linker: &'p [&'static str]) -> Vec<&'p str> {
    let said = package.imports.iter().map(String::as_str).filter(|it| *it != "C");
    let mut all: Vec<_> = said.collect();
    for path in unsaid(package, of_linker) {
        if !all.contains(&path) {
            all.push(path);
        }
    }
    all
}

/// Tells whether a package that is internal to a part of a tree is imported from there.
fn is_visible(from: &GoPackage, to: &GoPackage) -> bool {
    let path = format!("/{}/", to.import_path);
    if path.contains("/vendor/") && !to.standard {
        return false;
    }
    let Some(above) = path.rfind("/internal/").map(|it| path.get(1..it).unwrap_or_default()) else {
        return true;
    };
    if to.module.is_none() {
        // By its folder: `…/src/` for `internal/…` of the standard library.
        let below = to.import_path.len() - above.len();
        let folder = to.dir.len().checked_sub(below).and_then(|it| to.dir.get(..it));
        return folder.is_some_and(|it| Path::new(&from.dir).starts_with(it));
    }
    // External tests stand where the package does.
    let is_external = from.import_path == format!("{}_test", from.for_test);
    let own = if is_external { &from.for_test } else { &from.import_path };
    Path::new(own).starts_with(above)
}

fn variant_name(package: &GoPackage) -> String {
    match package.for_test.as_str() {
        "" => package.import_path.clone(),
        of => format!("{} [{of}.test]", package.import_path),
    }
}
