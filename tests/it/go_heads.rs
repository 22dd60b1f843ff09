//! Where the head of a Go file ends, and what it imports, held against Go's own parser: on every
//! file of GOROOT.

use crate::support::has;
use linkwright::formats::go_header::head_of;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Prints, for each file that parses whole, where its first declaration begins that is no import,
/// and the imports.
const JUDGE: &str = r#"package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

type told struct {
	Path    string
	End     int
	Imports []string
}

func main() {
	out := json.NewEncoder(os.Stdout)
	filepath.WalkDir(os.Args[1], func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, text, parser.SkipObjectResolution)
		if err != nil {
			return nil
		}
		it := told{Path: path, End: len(text), Imports: []string{}}
		for _, decl := range file.Decls {
			if general, is := decl.(*ast.GenDecl); !is || general.Tok != token.IMPORT {
				it.End = set.PositionFor(decl.Pos(), false).Offset
				break
			}
		}
		for _, spec := range file.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			it.Imports = append(it.Imports, path)
		}
		return out.Encode(it)
	})
}
"#;

#[test]
fn the_head_of_every_file_of_goroot_ends_where_gos_parser_says() {
    if !has("go") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let judge = folder.path().join("judge.go");
    fs::write(&judge, JUDGE).unwrap();
    let ask = |words: &[&str]| {
        let mut go = Command::new("go");
        go.args(words).env("GOFLAGS", "").env("GO111MODULE", "off").current_dir(folder.path());
        let output = go.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let root = ask(&["env", "GOROOT"]);
    let sources = Path::new(root.trim()).join("src").canonicalize().unwrap();
    let told = ask(&["run", "judge.go", sources.to_str().unwrap()]);
    let (mut files, mut unsure) = (0, Vec::new());
    for line in told.lines() {
        let judged: Value = serde_json::from_str(line).unwrap();
        let path = judged["Path"].as_str().unwrap();
        files += 1;
        let Some(head) = head_of(&fs::read(path).unwrap()) else {
            // Then all of the file counts, which is never wrong.
            unsure.push(path.to_owned());
            continue;
        };
        assert_eq!(Value::from(head.end), judged["End"], "{path}");
        assert_eq!(Value::from(head.imports), judged["Imports"], "{path}");
    }
    println!("{files} files; {} are taken whole: {unsure:?}", unsure.len());
    assert!(files > 5000, "{files} files");
    assert!(unsure.len() * 100 < files, "{unsure:#?}");
}
