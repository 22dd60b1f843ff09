//! A tiny deterministic stand-in for the `go` command: what linkwright asks of it and no more.
//!
//! ```text
//! <root>/bin/go            a link to the program `fakego`; <root> is GOROOT
//! <root>/VERSION           the toolchain's name; it is in every program
//! <root>/control           what it is to do wrong, a word a line; see `control`
//! ```
//!
//! It reads a trivial part of Go: `package`, single-line imports, `const NAME = "VALUE"`,
//! `//go:build TAG`, `//go:embed GLOB`, names that end in a platform. A program that it links is an
//! ELF file for Linux on x86-64 that prints the state of its sources, which so stands in its bytes.
//!
//! | command | does |
//! |---|---|
//! | `go env -json` | tells where and what it is |
//! | `go list -e -deps [-test] -json=… -- PATTERN…` | reads packages of the main module |
//! | `go build -json -o DIR/ FLAG… PACKAGE…` | links programs |
//! | `go test -c … -json -o DIR/ FLAG… PACKAGE…` | links test binaries |

pub mod control;
pub mod image;
mod list;
mod source;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One call of the stand-in.
#[derive(Debug)]
struct Call {
    /// Its own root.
    root: PathBuf,
    /// The folder of the main module.
    folder: PathBuf,
    /// Build tags.
    tags: BTreeSet<String>,
    /// Every flag that is not told apart here, in order.
    flags: Vec<String>,
    /// Where links go.
    output: PathBuf,
    /// What is named at the end.
    names: Vec<String>,
    /// With tests.
    tests: bool,
}

/// Runs the stand-in with the words behind its own name; returns its exit code.
#[must_use]
pub fn run(own: &Path, words: &[String]) -> u8 {
    let root = own.parent().and_then(Path::parent).unwrap_or(Path::new("/")).to_owned();
    match words.first().map(String::as_str) {
        Some("env") => env(&root),
        Some("list") => Call::parse(root, &words[1..]).list(),
        Some("build") => Call::parse(root, &words[1..]).build(false),
        Some("test") => Call::parse(root, &words[1..]).build(true),
        other => {
            eprintln!("fakego: unknown command {other:?}");
            2
        }
    }
}

fn env(root: &Path) -> u8 {
    let text = serde_json::json!({
        "GOROOT": root, "GOVERSION": "go1.99.0", "GOHOSTOS": "linux", "GOHOSTARCH": "amd64",
        "GOMODCACHE": root.join("modules"), "GOPATH": root.join("path"), "GOPROXY": "off",
        "GOOS": "linux", "GOARCH": "amd64", "GOEXPERIMENT": "", "GOFIPS140": "off",
    });
    println!("{text:#}");
    0
}

impl Call {
    fn parse(root: PathBuf, words: &[String]) -> Self {
        let folder = std::env::current_dir().unwrap_or_default();
        let mut this = Self {
            root,
            folder,
            tags: BTreeSet::new(),
            flags: Vec::new(),
            output: PathBuf::new(),
            names: Vec::new(),
            tests: false,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "-e" | "-deps" | "-json" | "-c" | "-vet=off" | "--" => {}
                "-test" => this.tests = true,
                "-o" => this.output = words.next().map(PathBuf::from).unwrap_or_default(),
                it if it.starts_with("-json=") => {}
                it if it.starts_with("-tags=") => {
                    this.tags.extend(it["-tags=".len()..].split(',').map(str::to_owned));
                }
                it if it.starts_with('-') => this.flags.push(it.to_owned()),
                it => this.names.push(it.to_owned()),
            }
        }
        this
    }

    fn list(&self) -> u8 {
        let told = control::take(&self.root, "list");
        let modules = source::Module::read(self);
        told.before_output();
        print!("{}", list::told(self, &modules));
        0
    }

    fn build(&self, tests: bool) -> u8 {
        let told = control::take(&self.root, "build");
        told.before_reading(&self.folder);
        let module = source::Module::read(self);
        told.after_reading(&self.folder);
        let mut code = 0;
        for name in &self.names {
            match module.state(name, tests) {
                Ok(state) => {
                    let text = self.text(&module, name, tests, &state);
                    let base = name.rsplit('/').next().unwrap_or(name);
                    let path =
                        self.output.join(if tests { format!("{base}.test") } else { base.into() });
                    code = code.max(told.write(&path, &image::program(&text), name));
                }
                Err((package, words)) => {
                    complain(&package, &words);
                    code = 1;
                }
            }
        }
        told.at_end();
        code
    }

    fn linker_words(&self) -> impl Iterator<Item = &str> {
        let words = self.flags.iter().filter_map(|it| it.strip_prefix("-ldflags="));
        words.flat_map(str::split_whitespace)
    }

    /// Everything that the output depends on, as text.
    fn text(&self, module: &source::Module, name: &str, tests: bool, state: &str) -> String {
        let variable = |it: &str| std::env::var(it).unwrap_or_default();
        let facts = image::Facts {
            state: state.to_owned(),
            files: module.files(name, tests),
            toolchain: std::fs::read_to_string(self.root.join("VERSION")).unwrap_or_default(),
            go_line: module.go_line.clone(),
            level: variable("GOAMD64"),
            tags: self.tags.iter().cloned().collect(),
            is_stripped: self.linker_words().any(|it| it == "-s"),
        };
        facts.text()
    }
}

/// Says in `go build -json`'s words that a package did not compile.
fn complain(package: &str, words: &str) {
    let output = format!("# {package}\n{words}\n");
    let line = |it: serde_json::Value| println!("{it}");
    line(serde_json::json!({"ImportPath": package, "Action": "build-output", "Output": output}));
    line(serde_json::json!({"ImportPath": package, "Action": "build-fail"}));
}
