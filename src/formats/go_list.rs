//! What `go list -json` prints: one JSON object for each Go package, one after the other.
//!
//! # Source
//!
//! `go help list`; `cmd/go/internal/load` `PackagePublic`. Under `-test` a package under test has
//! variants: `p` as it is, `p [p.test]` compiled with its own test files, `p_test [p.test]` the
//! external test package, and `p.test` the generated main package of the test binary.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;

/// The fields that are asked for, as `-json=` wants them.
pub const FIELDS: &str = "ImportPath,Dir,Name,ForTest,Standard,DepOnly,Match,Module,Imports,\
ImportMap,GoFiles,CgoFiles,IgnoredGoFiles,CFiles,CXXFiles,MFiles,HFiles,FFiles,SFiles,SwigFiles,SwigCXXFiles,\
SysoFiles,EmbedFiles,TestGoFiles,XTestGoFiles,TestEmbedFiles,XTestEmbedFiles,CgoCFLAGS,\
CgoCPPFLAGS,CgoCXXFLAGS,CgoFFLAGS,CgoLDFLAGS,CgoPkgConfig,Error,DepsErrors,Incomplete";

/// One Go package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GoPackage {
    /// The import path, with ` [p.test]` behind it for a test variant.
    pub import_path: String,
    /// The folder of its files, absolute.
    pub dir: String,
    /// The package name: `main` for a program.
    pub name: String,
    /// The package under test, for test variants.
    pub for_test: String,
    /// Part of the standard library.
    pub standard: bool,
    /// Matched by no pattern; only a dependency.
    pub dep_only: bool,
    /// The patterns that matched it.
    #[serde(rename = "Match")]
    pub matched: Vec<String>,
    /// Its module; `None` for the standard library.
    pub module: Option<GoModule>,
    /// Import paths of what it imports, resolved (vendor and test variants included).
    pub imports: Vec<String>,
    /// Files by kind, relative to `dir`.
    #[serde(flatten)]
    pub files: GoFiles,
    /// The words of `#cgo CFLAGS`.
    #[serde(rename = "CgoCFLAGS")]
    pub cgo_cflags: Vec<String>,
    /// The words of `#cgo CPPFLAGS`.
    #[serde(rename = "CgoCPPFLAGS")]
    pub cgo_cppflags: Vec<String>,
    /// The words of `#cgo CXXFLAGS`.
    #[serde(rename = "CgoCXXFLAGS")]
    pub cgo_cxxflags: Vec<String>,
    /// The words of `#cgo FFLAGS`.
    #[serde(rename = "CgoFFLAGS")]
    pub cgo_fflags: Vec<String>,
    /// The words of `#cgo LDFLAGS`.
    #[serde(rename = "CgoLDFLAGS")]
    pub cgo_ldflags: Vec<String>,
    /// The words of `#cgo pkg-config`.
    pub cgo_pkg_config: Vec<String>,
    /// What is wrong with the package itself.
    pub error: Option<GoListError>,
    /// What is wrong with it or with a package that it imports.
    pub deps_errors: Vec<GoListError>,
}

/// A package as it is kept: without the names of fields, which takes a quarter of the time to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackedPackage(#[serde(with = "Packed")] pub GoPackage);

/// A package as it is kept among many, of which few are asked for: taken apart when it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPackage(ByteBuf);

impl KeptPackage {
    /// Keeps a package; `None` if it cannot be written, which would be a bug.
    #[must_use]
    pub fn of(package: GoPackage) -> Option<Self> {
        postcard::to_stdvec(&PackedPackage(package)).ok().map(|it| Self(ByteBuf::from(it)))
    }

    /// Returns the package; `None` if it was not kept by [`KeptPackage::of`].
    #[must_use]
    pub fn package(&self) -> Option<GoPackage> {
        let PackedPackage(package) = postcard::from_bytes(&self.0).ok()?;
        Some(package)
    }
}

/// The fields of [`GoPackage`] in their order; its files are a field like the others.
#[derive(Serialize, Deserialize)]
#[serde(remote = "GoPackage")]
struct Packed {
    import_path: String,
    dir: String,
    name: String,
    for_test: String,
    standard: bool,
    dep_only: bool,
    matched: Vec<String>,
    module: Option<GoModule>,
    imports: Vec<String>,
    files: GoFiles,
    cgo_cflags: Vec<String>,
    cgo_cppflags: Vec<String>,
    cgo_cxxflags: Vec<String>,
    cgo_fflags: Vec<String>,
    cgo_ldflags: Vec<String>,
    cgo_pkg_config: Vec<String>,
    error: Option<GoListError>,
    deps_errors: Vec<GoListError>,
}

/// The files of a package by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GoFiles {
    /// `.go` files without `import "C"`.
    pub go_files: Vec<String>,
    /// `.go` files with it.
    pub cgo_files: Vec<String>,
    /// `.go` files that constraints, names, or cgo being off, leave out.
    pub ignored_go_files: Vec<String>,
    /// `.c` files.
    pub c_files: Vec<String>,
    /// `.cc`, `.cpp` and `.cxx` files.
    #[serde(rename = "CXXFiles")]
    pub cxx_files: Vec<String>,
    /// `.m` files.
    pub m_files: Vec<String>,
    /// `.h`, `.hh`, `.hpp` and `.hxx` files.
    pub h_files: Vec<String>,
    /// Fortran files.
    pub f_files: Vec<String>,
    /// Files for the assembler.
    pub s_files: Vec<String>,
    /// `.swig` files.
    pub swig_files: Vec<String>,
    /// `.swigcxx` files.
    #[serde(rename = "SwigCXXFiles")]
    pub swig_cxx_files: Vec<String>,
    /// Objects that are linked as they are.
    pub syso_files: Vec<String>,
    /// Files that are embedded.
    pub embed_files: Vec<String>,
    /// `_test.go` files of the package itself.
    pub test_go_files: Vec<String>,
    /// `_test.go` files of the external test package.
    #[serde(rename = "XTestGoFiles")]
    pub x_test_go_files: Vec<String>,
    /// Files that `test_go_files` embed.
    pub test_embed_files: Vec<String>,
    /// Files that `x_test_go_files` embed.
    #[serde(rename = "XTestEmbedFiles")]
    pub x_test_embed_files: Vec<String>,
}

/// The module of a package.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GoModule {
    /// The module path.
    pub path: String,
    /// Its version; empty for a main module.
    pub version: String,
    /// Whether it is a main module of the workspace.
    pub main: bool,
    /// Its folder; empty where it is vendored or not downloaded.
    pub dir: String,
    /// What stands in its place.
    pub replace: Option<Box<GoModule>>,
}

/// One error of loading.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GoListError {
    /// Import paths from a package that was asked for to the one that fails.
    pub import_stack: Vec<String>,
    /// `file:line:column`, or empty.
    pub pos: String,
    /// Go's own words.
    pub err: String,
}

impl GoPackage {
    /// Lists the words that `#cgo` lines hand to the C compilers.
    pub fn c_words(&self) -> impl Iterator<Item = &String> {
        let flags = [&self.cgo_cflags, &self.cgo_cppflags, &self.cgo_cxxflags, &self.cgo_fflags];
        flags.into_iter().flatten()
    }
}

impl GoFiles {
    /// Lists every file that goes into the package itself.
    pub fn compiled(&self) -> impl Iterator<Item = &String> {
        let Self {
            go_files,
            cgo_files,
            // Left out by constraints, by cgo being off among others.
            ignored_go_files: _,
            c_files,
            cxx_files,
            m_files,
            h_files,
            f_files,
            s_files,
            swig_files,
            swig_cxx_files,
            syso_files,
            embed_files,
            // In a test variant Go moves these into the lists above.
            test_go_files: _,
            x_test_go_files: _,
            test_embed_files: _,
            x_test_embed_files: _,
        } = self;
        [
            go_files,
            cgo_files,
            c_files,
            cxx_files,
            m_files,
            h_files,
            f_files,
            s_files,
            swig_files,
            swig_cxx_files,
            syso_files,
            embed_files,
        ]
        .into_iter()
        .flatten()
    }

    /// Lists the Go files that constraints, or cgo being off, leave out.
    pub fn ignored(&self) -> impl Iterator<Item = &String> {
        self.ignored_go_files.iter()
    }

    /// Lists the Go files that go into the package itself.
    pub fn compiled_go(&self) -> impl Iterator<Item = &String> {
        self.go_files.iter().chain(&self.cgo_files)
    }

    /// Lists the files that the C toolchain or SWIG reads.
    pub fn read_by_c(&self) -> impl Iterator<Item = &String> {
        [
            &self.cgo_files,
            &self.c_files,
            &self.cxx_files,
            &self.m_files,
            &self.h_files,
            &self.f_files,
            &self.s_files,
            &self.swig_files,
            &self.swig_cxx_files,
        ]
        .into_iter()
        .flatten()
    }

    /// Lists every file that goes into the test binary of the package besides the package itself.
    pub fn tested(&self) -> impl Iterator<Item = &String> {
        [
            &self.test_go_files,
            &self.x_test_go_files,
            &self.test_embed_files,
            &self.x_test_embed_files,
        ]
        .into_iter()
        .flatten()
    }

    /// Lists every embedded file, those of the tests too.
    pub fn embedded(&self) -> impl Iterator<Item = &String> {
        [&self.embed_files, &self.test_embed_files, &self.x_test_embed_files].into_iter().flatten()
    }

    /// Tells whether a file imports "C" (or is SWIG's), which brings the C side in.
    #[must_use]
    pub fn use_cgo(&self) -> bool {
        !self.cgo_files.is_empty() || !self.swig_files.is_empty() || !self.swig_cxx_files.is_empty()
    }

    /// Tells whether there is C++ among the files.
    #[must_use]
    pub fn hold_cxx(&self) -> bool {
        !self.cxx_files.is_empty() || !self.swig_cxx_files.is_empty()
    }

    /// Tells whether the package has test files.
    #[must_use]
    pub fn have_tests(&self) -> bool {
        !self.test_go_files.is_empty() || !self.x_test_go_files.is_empty()
    }
}

impl GoListError {
    /// Returns the error as one text, its place first where it has one.
    #[must_use]
    pub fn text(&self) -> String {
        match self.pos.as_str() {
            "" => self.err.clone(),
            pos => format!("{pos}: {}", self.err),
        }
    }
}

/// What the generated file of a test binary is called here, whatever file of Go's compile cache
/// holds it.
pub const GENERATED: &str = "_testmain.go";

/// Parses the whole output of `go list -json`.
///
/// # Errors
///
/// Returns serde's error, with line and column, if the text is not such output.
pub fn parse(text: &[u8]) -> Result<BTreeMap<String, GoPackage>, serde_json::Error> {
    let packages = serde_json::Deserializer::from_slice(text).into_iter::<GoPackage>();
    let told = |mut it: GoPackage| {
        // All others are relative to the package's folder.
        for file in it.files.go_files.iter_mut().filter(|it| it.starts_with('/')) {
            GENERATED.clone_into(file);
        }
        (it.import_path.clone(), it)
    };
    packages.map(|it| it.map(told)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_stream_of_objects() {
        let text = br#"
            {"ImportPath": "a", "Name": "main", "Imports": ["C", "net"], "CgoFiles": ["c.go"], "GoFiles": ["a.go"],
             "Match": ["./a"], "Module": {"Path": "m", "Main": true, "Dir": "/w"}, "Unknown": 1}
            {"ImportPath": "b", "Error": {"Pos": "x.go:1:2", "Err": "expected 'package'"}, "DepOnly": true}
        "#;
        let packages = parse(text).unwrap();
        assert!(packages["a"].files.use_cgo() && !packages["a"].files.have_tests());
        assert_eq!(packages["a"].files.compiled().collect::<Vec<_>>(), ["a.go", "c.go"]);
        assert_eq!(packages["b"].error.as_ref().unwrap().text(), "x.go:1:2: expected 'package'");
    }

    #[test]
    fn output_that_is_cut_is_an_error() {
        assert!(parse(br#"{"ImportPath": "a"} {"ImportPa"#).is_err());
    }
}
