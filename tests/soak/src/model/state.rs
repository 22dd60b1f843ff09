//! What comes out of a model: which files, what they say, and what they are made of.

use super::{Expected, File, MODULE, Model, Package, Target};
use crate::fakego::image::{Facts, program};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// A target's view: which files take part.
struct View<'a> {
    model: &'a Model,
    tags: BTreeSet<String>,
    /// The package whose tests take part.
    tested: Option<&'a str>,
}

impl Model {
    /// Returns what must come out, by output below `linkwright-out/`.
    #[must_use]
    pub fn expected(&self) -> BTreeMap<String, Expected> {
        let mut all = BTreeMap::new();
        for (name, target) in &self.targets {
            let tags = self.tags(target);
            if let Some(folder) = &target.package {
                let view = View { model: self, tags, tested: None };
                all.insert(format!("bin/{name}"), view.expected(folder, target));
                continue;
            }
            for (folder, package) in &self.packages {
                let view = View { model: self, tags: tags.clone(), tested: Some(folder) };
                if view.files(folder, package).any(|(name, _)| name.ends_with("_test.go")) {
                    let output = format!("bin/{name}/{MODULE}/{folder}.test");
                    all.insert(output, view.expected(folder, target));
                }
            }
        }
        all
    }

    /// Returns the tags of a target, its strategy's included.
    #[must_use]
    pub fn tags(&self, target: &Target) -> BTreeSet<String> {
        let mut tags = target.tags.clone();
        if matches!(target.link.as_str(), "netgo" | "static_glibc") {
            tags.extend(["netgo", "osusergo"].map(str::to_owned));
        }
        tags
    }

    /// Tells whether a target of tests has something to test.
    #[must_use]
    pub fn has_tests(&self, target: &Target) -> bool {
        self.packages.iter().any(|(folder, package)| {
            let view = View { model: self, tags: self.tags(target), tested: Some(folder) };
            view.files(folder, package).any(|(name, _)| name.ends_with("_test.go"))
        })
    }
}

impl<'a> View<'a> {
    /// Returns the files of a package that take part, by name.
    fn files(
        &self,
        folder: &str,
        package: &'a Package,
    ) -> impl Iterator<Item = (&'a String, &'a File)> {
        let has = |it: &str| self.tags.contains(it);
        let is_tested = self.tested == Some(folder);
        package.files.iter().filter(move |(name, file)| {
            let fits = file.constraint.as_deref().is_none_or(|it| match it.strip_prefix('!') {
                Some(it) => !has(it),
                None => has(it),
            });
            let is_in = is_tested || !name.ends_with("_test.go");
            fits && is_in && !name.ends_with("_windows.go")
        })
    }

    fn imports(&self, folder: &str) -> BTreeSet<&'a String> {
        let Some(package) = self.model.packages.get(folder) else { return BTreeSet::new() };
        self.files(folder, package).flat_map(|(_, it)| &it.imports).collect()
    }

    fn closure(&self, root: &'a str) -> BTreeMap<&'a str, &'a Package> {
        let mut reached = BTreeMap::new();
        let mut open = vec![root];
        while let Some(folder) = open.pop() {
            let Some(package) = self.model.packages.get(folder) else { continue };
            if reached.insert(folder, package).is_none() {
                open.extend(self.imports(folder).into_iter().map(String::as_str));
            }
        }
        reached
    }

    fn state(&self, folder: &str, seen: &mut BTreeSet<String>) -> String {
        let Some(package) = self.model.packages.get(folder) else { return folder.to_owned() };
        if !seen.insert(folder.to_owned()) {
            return folder.to_owned();
        }
        let mut parts: Vec<_> =
            self.files(folder, package).map(|(_, it)| format!("c{}={}", it.id, it.value)).collect();
        parts.extend(package.data.iter().map(|(name, text)| format!("data/{name}={text}")));
        if folder == "cmd/a" && self.tested.is_none() {
            parts.extend(self.model.c_side.as_ref().map(|it| format!("c={}", it.state())));
            parts.extend(self.model.sibling.as_ref().map(|it| format!("s={}", it.value)));
        }
        parts.sort();
        let children: Vec<_> =
            self.imports(folder).into_iter().map(|it| self.state(it, seen)).collect();
        format!("{folder}:{}({})", parts.join(","), children.join(" "))
    }

    fn expected(&self, root: &'a str, target: &Target) -> Expected {
        let is_test = self.tested.is_some();
        let closure = self.closure(root);
        let mut hasher = DefaultHasher::new();
        let mut names = Vec::new();
        let mut is_broken = false;
        for (folder, package) in &closure {
            package.data.hash(&mut hasher);
            for (name, file) in self.files(folder, package) {
                names.push(format!("{MODULE}/{folder}/{name}"));
                is_broken |= file.is_broken;
                file.hash_into(&mut hasher);
            }
            // The file that every package has besides.
            names.push(format!("{MODULE}/{folder}/base.go"));
        }
        names.sort();
        let state = self.state(root, &mut BTreeSet::new());
        let version = target.version.clone().unwrap_or_default();
        let state = if is_test { state } else { format!("{state} {version}") };
        let facts = Facts {
            state: state.clone(),
            files: names.clone(),
            toolchain: self.model.toolchain.clone(),
            go_line: self.model.go_line.clone(),
            level: target.level.clone().unwrap_or_default(),
            tags: self.tags.iter().cloned().collect(),
            is_stripped: target.is_stripped || (target.link == "own" && self.model.own_strips),
        };
        (facts.text(), target, &self.model.go_mod_note, is_test).hash(&mut hasher);
        (target.link == "own" && self.model.own_strips).hash(&mut hasher);
        if let Some(c) = &self.model.c_side {
            c.hash_into(&mut hasher);
        }
        if let Some(it) = &self.model.sibling {
            it.hash_into(&mut hasher);
        }
        Expected {
            state: (!is_broken).then_some(state),
            inputs: hasher.finish(),
            bytes: program(&facts.text()),
            is_test,
        }
    }
}

impl File {
    fn hash_into(&self, hasher: &mut DefaultHasher) {
        let Self { id, value, imports, constraint, note, is_broken } = self;
        (id, value, imports, constraint, note, is_broken).hash(hasher);
    }
}
