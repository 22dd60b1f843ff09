//! Where the bytes of a Go package come from, which decides how they stand in the key.

use crate::formats::go_list::GoPackage;
use std::path::{Path, PathBuf};

/// Where a package's bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The toolchain, which has a digest of its own.
    Toolchain,
    /// Files that people edit: a main module, a replacement by a folder, `vendor`; and Go's own
    /// commands, which the toolchain's digest leaves out.
    Local,
    /// A module that `go.sum` pins: its path, and its version with what replaces it.
    Module(String, String),
}

impl Origin {
    /// Says where the bytes of `package` come from.
    #[must_use]
    pub fn of(package: &GoPackage) -> Self {
        let Some(module) = &package.module else {
            // Tests of the standard library are built from files that the toolchain's digest
            // holds, but for what they embed from `testdata`.
            let is_digested = package.for_test.is_empty() && !is_command(package);
            return if is_digested { Self::Toolchain } else { Self::Local };
        };
        let replace = module.replace.as_deref();
        let replaced_by_folder = replace.is_some_and(|it| it.version.is_empty());
        // A vendored package stands outside its module's folder, which Go does not name then.
        let vendored = !package.dir.is_empty() && module.dir.is_empty() && replace.is_none();
        if module.main || replaced_by_folder || vendored || in_vendor(package) {
            return Self::Local;
        }
        let version = match replace {
            Some(it) => format!("{} => {} {}", module.version, it.path, it.version),
            None => module.version.clone(),
        };
        Self::Module(module.path.clone(), version)
    }

    /// Returns the folder of the package's module, where Go names one.
    #[must_use]
    pub fn module_folder(package: &GoPackage) -> Option<PathBuf> {
        let module = package.module.as_ref()?;
        let folder = module.replace.as_ref().map_or(&module.dir, |it| &it.dir);
        (!folder.is_empty()).then(|| PathBuf::from(folder))
    }
}

/// Tells whether a package is one of Go's own commands, or a part of them.
#[must_use]
pub fn is_command(package: &GoPackage) -> bool {
    package.standard && is_of_commands(&package.import_path)
}

/// Tells whether an import path, or a pattern, names Go's own commands.
#[must_use]
pub fn is_of_commands(path: &str) -> bool {
    path == "cmd" || path.starts_with("cmd/") || path.starts_with("cmd.")
}

fn in_vendor(package: &GoPackage) -> bool {
    let vendor = Path::new("vendor").join(&package.import_path);
    Path::new(&package.dir).ends_with(vendor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::go_list::parse;

    #[track_caller]
    fn check(json: &str, expected: Origin) {
        let packages = parse(json.as_bytes()).unwrap();
        assert_eq!(Origin::of(packages.values().next().unwrap()), expected);
    }

    #[test]
    fn only_what_go_sum_pins_is_opaque() {
        check(r#"{"ImportPath": "net", "Standard": true}"#, Origin::Toolchain);
        check(r#"{"ImportPath": "cmd/gofmt", "Standard": true}"#, Origin::Local);
        check(r#"{"ImportPath": "cmdline", "Standard": true}"#, Origin::Toolchain);
        check(r#"{"ImportPath": "net [net.test]", "ForTest": "net"}"#, Origin::Local);
        check(
            r#"{"ImportPath": "m", "Dir": "/w", "Module": {"Path": "m", "Main": true, "Dir": "/w"}}"#,
            Origin::Local,
        );
        check(
            r#"{"ImportPath": "d/p", "Dir": "/c/d@v1/p", "Module": {"Path": "d", "Version": "v1.0.0", "Dir": "/c/d@v1"}}"#,
            Origin::Module("d".into(), "v1.0.0".into()),
        );
        check(
            r#"{"ImportPath": "d", "Dir": "/x", "Module": {"Path": "d", "Version": "v1.0.0", "Replace": {"Path": "../x", "Dir": "/x"}}}"#,
            Origin::Local,
        );
        check(
            r#"{"ImportPath": "d", "Dir": "/c/e", "Module": {"Path": "d", "Version": "v1.0.0", "Dir": "/c/e",
                "Replace": {"Path": "e", "Version": "v2.0.0", "Dir": "/c/e"}}}"#,
            Origin::Module("d".into(), "v1.0.0 => e v2.0.0".into()),
        );
        check(
            r#"{"ImportPath": "d/p", "Dir": "/w/vendor/d/p", "Module": {"Path": "d", "Version": "v1.0.0"}}"#,
            Origin::Local,
        );
    }
}
