//! The files of a model, as the real Go and the stand-in both read them.

use super::{File, MODULE, Model, Package, Target};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What every package has: it says what it was built from.
const BASE: &str = r#"
import "sort"

var parts = map[string]string{}
var children = map[string]func(map[string]bool) string{}

// State tells what the package was built from, once.
func State(seen map[string]bool) string {
	if seen[own] {
		return own
	}
	seen[own] = true
	text, names, separator := own+":", []string{}, ""
	for name, value := range parts {
		names = append(names, name+"="+value)
	}
	sort.Strings(names)
	for _, it := range names {
		text += separator + it
		separator = ","
	}
	names, separator = nil, ""
	text += "("
	for name := range children {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, it := range names {
		text += separator + children[it](seen)
		separator = " "
	}
	return text + ")"
}
"#;

const EMBED: &str = r#"
//go:embed data/*.txt
var data embed.FS

func init() {
	entries, _ := data.ReadDir("data")
	for _, it := range entries {
		text, _ := data.ReadFile("data/" + it.Name())
		parts["data/"+it.Name()] = string(text)
	}
}
"#;

const MAIN: &str = "
var version string

func main() { println(State(map[string]bool{}), version) }
";

impl Model {
    /// Returns every file of the workspace with its bytes.
    #[must_use]
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for (folder, package) in &self.packages {
            files.insert(format!("{folder}/base.go"), base(folder, package));
            for (name, text) in &package.data {
                files.insert(format!("{folder}/data/{name}"), text.clone());
            }
            for (name, file) in &package.files {
                files.insert(format!("{folder}/{name}"), source(folder, name, file));
            }
        }
        files.insert("BUILD.ron".to_owned(), self.rules());
        let strips = if self.own_strips { "\"-s\"" } else { "" };
        let own =
            format!("strategy(name: \"own\", cgo: off, ldflags: [{strips}], promise: static)");
        files.insert("rules/own.ron".to_owned(), format!("rules(strategies: [{own}])\n"));
        let note = &self.go_mod_note;
        let go_mod = format!("module {MODULE}\n\ngo {}\n\n// {note}\n", self.go_line);
        files.insert("go.mod".to_owned(), go_mod);
        if let Some(it) = &self.c_side {
            it.render(&mut files);
        }
        if let Some(it) = &self.sibling {
            it.render(&mut files);
        }
        let mut files: BTreeMap<_, _> =
            files.into_iter().map(|(name, text)| (name, text.into_bytes())).collect();
        if let Some(it) = &self.c_side {
            files.insert("lib/libx.a".to_owned(), it.archive_bytes());
        }
        files
    }

    fn rules(&self) -> String {
        let mut text = "build(targets: [\n".to_owned();
        for (name, target) in &self.targets {
            if target.package.is_none() && !self.has_tests(target) {
                continue;
            }
            let _ = writeln!(text, "    {},", self.target(name, target));
        }
        text + "])\n"
    }

    fn target(&self, name: &str, target: &Target) -> String {
        let Target { package, tags, version, level, is_stripped, link } = target;
        let mut text = match package {
            Some(it) => format!("go_binary(name: {name:?}, package: \"./{it}\""),
            None => format!("go_tests(name: {name:?}, packages: [\"./...\"]"),
        };
        let c_is_in = self.c_side.is_some() && package.as_deref() == Some("cmd/a");
        let link = if c_is_in { "static_glibc" } else { link };
        let _ = write!(text, ", link: {link:?}");
        if !tags.is_empty() {
            let tags: Vec<_> = tags.iter().map(|it| format!("{it:?}")).collect();
            let _ = write!(text, ", tags: [{}]", tags.join(", "));
        }
        if let Some(it) = version {
            let _ = write!(text, ", x_defs: {{\"main.version\": {it:?}}}");
        }
        if let Some(it) = level {
            let _ = write!(text, ", goarch: \"amd64\", level: {it:?}");
        }
        if *is_stripped {
            text += ", ldflags: [\"-s\"]";
        }
        text + ")"
    }
}

fn package_name(folder: &str) -> &str {
    if folder.starts_with("cmd/") { "main" } else { folder }
}

fn base(folder: &str, package: &Package) -> String {
    let is_main = folder.starts_with("cmd/");
    let mut text = format!("package {}\n", package_name(folder));
    if !package.data.is_empty() {
        text += "\nimport \"embed\"\n";
    }
    text += BASE;
    let _ = write!(text, "\nvar own = {folder:?}\n");
    if !package.data.is_empty() {
        text += EMBED;
    }
    if is_main {
        text += MAIN;
    }
    text
}

fn source(folder: &str, name: &str, file: &File) -> String {
    let File { id, value, imports, constraint, note, is_broken } = file;
    let mut text = String::new();
    if let Some(it) = constraint {
        let _ = writeln!(text, "//go:build {it}\n");
    }
    let _ = writeln!(text, "package {}\n", package_name(folder));
    let is_test = name.ends_with("_test.go");
    if is_test {
        text += "import \"testing\"\n";
    }
    for it in imports {
        let _ = writeln!(text, "import {} \"{MODULE}/{it}\"", it.replace('/', "_"));
    }
    let _ = writeln!(text, "\n// It says {note}.");
    if *is_broken {
        let _ = writeln!(text, "const c{id} string = 1");
    } else {
        let _ = writeln!(text, "const c{id} = {value:?}");
    }
    let _ = writeln!(text, "\nfunc init() {{\n\tparts[\"c{id}\"] = c{id}");
    for it in imports {
        let _ = writeln!(text, "\tchildren[{it:?}] = {}.State", it.replace('/', "_"));
    }
    text += "}\n";
    if is_test {
        let test = "println(State(map[string]bool{}))";
        let _ = writeln!(text, "\nfunc Test{id}(t *testing.T) {{ {test} }}");
    }
    text
}
