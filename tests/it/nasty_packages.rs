//! Packages that are read wrong easily. A text that begins with `-> ` is a link; `HELP` is an
//! import of a package that is there.

/// One folder of files, and whether it is read natively; else `go list` is asked.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) is_read: bool,
    pub(crate) files: &'static [(&'static str, &'static str)],
}

const fn read(name: &'static str, files: &'static [(&'static str, &'static str)]) -> Row {
    Row { name, is_read: true, files }
}

const fn asks(name: &'static str, files: &'static [(&'static str, &'static str)]) -> Row {
    Row { name, is_read: false, files }
}

const T: &str = "package p\n\nimport \"testing\"\n\nfunc TestA(*testing.T) {}\n";
const X: &str =
    "package p_test\n\nimport (\n\t\"testing\"\n\n\t_ \"HELP\"\n)\n\nfunc TestX(*testing.T) {}\n";

pub(crate) const ROWS: &[Row] = &[
    read(
        "bom",
        &[
            ("a.go", "\u{feff}package p\n\nimport \"fmt\"\n"),
            ("b.go", "\u{feff}//go:build never\n\npackage p\n"),
        ],
    ),
    asks("bom_inside", &[("a.go", "package p\n// \u{feff}\nimport \"fmt\"\n")]),
    read(
        "crlf",
        &[("a.go", "//go:build linux\r\n\r\npackage p\r\n\r\nimport (\r\n\t\"fmt\"\r\n)\r\n")],
    ),
    read(
        "crlf_out",
        &[("a.go", "//go:build !linux\r\n\r\npackage p\r\n"), ("b.go", "package p\r\n")],
    ),
    read(
        "comments_before",
        &[(
            "a.go",
            "// One.\n\n/* two\nimport \"os\"\n*/ // three\npackage p // four\nimport \"fmt\"\n",
        )],
    ),
    read("build_after_package", &[("a.go", "package p\n\n//go:build never\n\nimport \"fmt\"\n")]),
    read("build_in_block", &[("a.go", "/*\n//go:build never\n*/\n\npackage p\n")]),
    read(
        "build_after_block",
        &[("a.go", "/* c */\n//go:build never\n\npackage p\n"), ("b.go", "package p\n")],
    ),
    read(
        "build_without_blank",
        &[("a.go", "//go:build never\npackage p\n"), ("b.go", "package p\n")],
    ),
    read("plus_without_blank", &[("a.go", "// +build never\npackage p\n")]),
    read(
        "plus_old",
        &[
            ("a.go", "// +build linux,amd64 darwin\n// +build !never\n\npackage p\n"),
            ("b.go", "// +build never\n\npackage p\n"),
        ],
    ),
    read("plus_and_new", &[("a.go", "//go:build linux\n// +build never\n\npackage p\n")]),
    read("plus_broken", &[("a.go", "// +build a&&b\n\npackage q\n"), ("b.go", "package p\n")]),
    asks("build_twice", &[("a.go", "//go:build linux\n//go:build amd64\n\npackage p\n")]),
    asks("build_broken", &[("a.go", "//go:build linux &&\n\npackage p\n")]),
    read(
        "build_broken_elsewhere",
        &[("a_windows.go", "//go:build linux &&\n\npackage p\n"), ("b.go", "package p\n")],
    ),
    read(
        "versions",
        &[
            ("a.go", "//go:build go1.18\n\npackage p\n\nimport \"fmt\"\n"),
            ("b.go", "//go:build go1.99\n\npackage p\n\nimport \"os\"\n"),
            ("c.go", "//go:build !go1.21\n\npackage p\n"),
        ],
    ),
    asks(
        "experiment",
        &[("a.go", "//go:build goexperiment.jsonv2\n\npackage p\n"), ("b.go", "package p\n")],
    ),
    read(
        "unix",
        &[
            ("a.go", "//go:build unix && gc && !gccgo\n\npackage p\n"),
            ("x_unix.go", "package p\n\nimport \"os\"\n"),
        ],
    ),
    read("ignored", &[("a.go", "//go:build ignore\n\npackage main\n"), ("b.go", "package p\n")]),
    asks("all_ignored", &[("a.go", "//go:build ignore\n\npackage main\n")]),
    read(
        "raw_strings",
        &[
            ("a.go", "package p\n\nconst s = `\nimport \"os\"\n`\n"),
            ("b.go", "package p\n\nimport `fmt`\n"),
        ],
    ),
    read("no_space", &[("a.go", "package p;import\"fmt\";import(`os`;_\"HELP\")\n")]),
    read(
        "dots_and_names",
        &[("a.go", "package p\n\nimport . \"fmt\"\nimport _ \"os\"\nimport x \"HELP\"\n")],
    ),
    read("no_newline", &[("a.go", "package p")]),
    read("empty_group", &[("a.go", "package p\n\nimport ()\n\nimport (\n)\n")]),
    read("syntax_error_in_body", &[("a.go", "package p\n\nimport \"fmt\"\n\nfunc f( {\n")]),
    asks("syntax_error_in_head", &[("a.go", "package p\n\nimport fmt\n")]),
    asks("no_package", &[("a.go", "// nothing\n"), ("b.go", "package p\n")]),
    asks("empty_file", &[("a.go", ""), ("b.go", "package p\n")]),
    asks("nul_in_head", &[("a.go", "package p\n// \0\nimport \"fmt\"\n")]),
    read("nul_in_body", &[("a.go", "package p\n\nimport \"fmt\"\n\nvar x = \"\0\"\n")]),
    asks("unicode_package", &[("a.go", "package \u{e4}\n")]),
    read("unicode_body", &[("a.go", "package p\n\nvar \u{e4} = 1\n")]),
    asks("unicode_file", &[("\u{e4}.go", "package p\n")]),
    asks("escaped_import", &[("a.go", "package p\n\nimport \"\\x66mt\"\n")]),
    asks("bad_import", &[("a.go", "package p\n\nimport \"a b\"\n")]),
    asks(
        "relative_import",
        &[("a.go", "package p\n\nimport \"./q\"\n"), ("q/q.go", "package q\n")],
    ),
    asks("missing_import", &[("a.go", "package p\n\nimport \"example.com/gone\"\n")]),
    asks("missing_local", &[("a.go", "package p\n\nimport \"example.com/m/gone\"\n")]),
    asks("vendored_std", &[("a.go", "package p\n\nimport \"vendor/golang.org/x/net/idna\"\n")]),
    asks("internal_std", &[("a.go", "package p\n\nimport \"internal/abi\"\n")]),
    asks(
        "late_import",
        &[("a.go", "package p\n\nvar x = 1\n\nimport \"fmt\"\n"), ("b.go", "package q\n")],
    ),
    read("late_import_unseen", &[("a.go", "package p\n\nvar x = 1\n\nimport \"fmt\"\n")]),
    asks("two_packages", &[("a.go", "package p\n"), ("b.go", "package q\n")]),
    read(
        "documentation",
        &[("a.go", "package p\n"), ("doc.go", "package documentation\n\nimport \"os\"\n")],
    ),
    read(
        "names",
        &[
            ("a.go", "package p\n"),
            ("linux_test.go", T),
            ("_linux.go", "package q\n"),
            (".b.go", "package q\n"),
            ("windows.go", "package p\n\nimport \"fmt\"\n"),
            ("x_amd64_test.go", "package p\n\nimport \"os\"\n"),
            ("x_arm64_test.go", "package p\n\nimport \"io\"\n"),
            ("x_linux_amd64.go", "package p\n\nimport \"sort\"\n"),
            ("x_windows_amd64.go", "package q\n"),
            ("x_plan9.go", "package q\n"),
            ("x_nacl.go", "package q\n"),
            ("y.linux.go", "package p\n"),
            ("z_linux_x.go", "package p\n"),
        ],
    ),
    asks("names_fold", &[("a.go", "package p\n"), ("A.go", "package p\n")]),
    asks("odd_name", &[("a.go", "package p\n"), ("-b.go", "package p\n")]),
    read(
        "other_files",
        &[
            ("a.go", "package p\n"),
            ("README.md", ""),
            ("a.go.orig", "package q\n"),
            ("go", ""),
            ("a.h", ""),
            ("x.s", ""),
            ("y.S", ""),
            ("z_windows.s", ""),
            ("o_linux_amd64.syso", ""),
        ],
    ),
    asks("c_without_cgo", &[("a.go", "package p\n"), ("a.c", "")]),
    read(
        "c_left_out",
        &[
            ("a.go", "package p\n"),
            ("a.c", "//go:build never\n\nint x;\n"),
            ("b.c", "// +build never\n\nint x;\n"),
        ],
    ),
    read(
        "cgo",
        &[
            (
                "a.go",
                "package p\n\n// #cgo CFLAGS: -I${SRCDIR}/include -DX=1 \"-DY=a b\"\n// #cgo linux LDFLAGS: -L. -lm\n// #cgo windows LDFLAGS: -lw\n// #cgo !linux,amd64 LDFLAGS: -lx\n// #cgo pkg-config: libx liby\n// #include <x.h>\nimport \"C\"\n\nimport \"fmt\"\n",
            ),
            ("a.c", ""),
            ("b.cc", ""),
            ("c.S", ""),
            ("d.m", "//go:build darwin\n"),
            ("e.hpp", ""),
            ("b.go", "package p\n"),
        ],
    ),
    read(
        "cgo_in_group",
        &[(
            "a.go",
            "package p\n\n// #cgo CFLAGS: -Da\nimport (\n\t\"fmt\" // #cgo CFLAGS: -Db\n\t// #cgo CFLAGS: -Dc\n\n\t// #cgo CFLAGS: -Dd\n\t/*\n#cgo CFLAGS: -De\n*/\n\t\"C\"\n)\n",
        )],
    ),
    read(
        "cgo_group_of_one",
        &[("a.go", "package p\n\n/*\n#cgo CFLAGS: -Da\n*/\nimport (\n\t\"C\"\n)\n")],
    ),
    read("cgo_comment_apart", &[("a.go", "package p\n\n// #cgo CFLAGS: -Da\n\nimport \"C\"\n")]),
    read(
        "cgo_comment_behind",
        &[(
            "a.go",
            "package p\n\nimport \"fmt\" // #cgo CFLAGS: -Da\nimport \"C\" // #cgo CFLAGS: -Db\n",
        )],
    ),
    read(
        "cgo_crlf",
        &[("a.go", "package p\r\n\r\n/*\r\n#cgo CFLAGS: -Da\r\n*/\r\nimport \"C\"\r\n")],
    ),
    read(
        "cgo_noescape",
        &[("a.go", "package p\n\n// #cgo noescape f\n// #cgo nocallback f\nimport \"C\"\n")],
    ),
    asks("cgo_bad_line", &[("a.go", "package p\n\n// #cgo CFLAGS -Da\nimport \"C\"\n")]),
    asks("cgo_bad_word", &[("a.go", "package p\n\n// #cgo CFLAGS: -Da;b\nimport \"C\"\n")]),
    asks("cgo_in_test", &[("a.go", "package p\n"), ("a_test.go", "package p\n\nimport \"C\"\n")]),
    read("tests", &[("a.go", "package p\n"), ("a_test.go", T), ("x_test.go", X)]),
    read("tests_alone", &[("a_test.go", T)]),
    read("external_tests_alone", &[("x_test.go", X)]),
    read(
        "external_tests_import_it",
        &[
            ("a.go", "package p\n"),
            (
                "x_test.go",
                "package p_test\n\nimport _ \"example.com/m/external_tests_import_it\"\n",
            ),
        ],
    ),
    read("package_like_a_test", &[("a.go", "package p_test\n"), ("a_test.go", "package p_test\n")]),
    read(
        "main_with_tests",
        &[
            ("a.go", "package main\n\nfunc main() {}\n"),
            ("a_test.go", "package main\n\nimport \"testing\"\n\nfunc TestA(*testing.T) {}\n"),
        ],
    ),
    asks("test_of_another", &[("a.go", "package p\n"), ("a_test.go", "package q\n")]),
    asks("test_broken", &[("a.go", "package p\n"), ("a_test.go", "package p\n\nfunc TestA(\n")]),
    asks(
        "test_signature",
        &[("a.go", "package p\n"), ("a_test.go", "package p\n\nfunc TestA() {}\n")],
    ),
    asks(
        "test_cycle",
        &[
            ("a/a.go", "package a\n\nimport _ \"example.com/m/test_cycle/b\"\n"),
            ("b/b.go", "package b\n"),
            ("b/b_test.go", "package b\n\nimport _ \"example.com/m/test_cycle/a\"\n"),
        ],
    ),
    read(
        "test_recompiles",
        &[
            ("a/a.go", "package a\n\nimport _ \"example.com/m/test_recompiles/b\"\n"),
            ("b/b.go", "package b\n"),
            ("b/b_test.go", "package b\n"),
            ("b/x_test.go", "package b_test\n\nimport _ \"example.com/m/test_recompiles/a\"\n"),
        ],
    ),
    asks(
        "cycle",
        &[
            ("a/a.go", "package a\n\nimport _ \"example.com/m/cycle/b\"\n"),
            ("b/b.go", "package b\n\nimport _ \"example.com/m/cycle/a\"\n"),
        ],
    ),
    asks("imports_itself", &[("a.go", "package p\n\nimport _ \"example.com/m/imports_itself\"\n")]),
    asks(
        "imports_program",
        &[
            ("a.go", "package p\n\nimport _ \"example.com/m/imports_program/q\"\n"),
            ("q/q.go", "package main\n"),
        ],
    ),
    read(
        "inner",
        &[
            ("a.go", "package p\n\nimport _ \"example.com/m/inner/internal/q\"\n"),
            ("internal/q/q.go", "package q\n"),
            ("x_test.go", "package p_test\n\nimport _ \"example.com/m/inner/internal/q\"\n"),
        ],
    ),
    asks(
        "internal_of_another",
        &[
            ("a.go", "package p\n\nimport _ \"example.com/m/internal_of_another/q/internal/r\"\n"),
            ("q/internal/r/r.go", "package r\n"),
        ],
    ),
    asks(
        "internal_of_a_namesake",
        &[
            (
                "q_r/a.go",
                "package q_r\n\nimport _ \"example.com/m/internal_of_a_namesake/q/internal/s\"\n",
            ),
            ("q/internal/s/s.go", "package s\n"),
        ],
    ),
    read(
        "embed",
        &[
            (
                "a.go",
                "package p\n\nimport \"embed\"\n\n//go:embed a.txt \"b c.txt\" `d.txt` sub all:more x*.dat\nvar f embed.FS\n",
            ),
            ("a.txt", ""),
            ("b c.txt", ""),
            ("d.txt", ""),
            ("sub/e.txt", ""),
            ("sub/.hidden", ""),
            ("sub/_under/f", ""),
            ("sub/nested/go.mod", ""),
            ("sub/nested/g", ""),
            ("more/.hidden", ""),
            ("more/_under/h", ""),
            ("x1.dat", ""),
            ("x.dat", ""),
        ],
    ),
    read("embed_unimported", &[("a.go", "package p\n\n//go:embed gone.txt\nvar s string\n")]),
    read(
        "embed_in_strings",
        &[
            (
                "a.go",
                "package p\n\nimport _ \"embed\"\n\nvar s = `\n//go:embed gone\n`\nvar t = \"//go:embed gone\"\nvar r = '\"' //go:embed a.txt\n/*\n//go:embed gone\n*/\n",
            ),
            ("a.txt", ""),
        ],
    ),
    read(
        "embed_dot_file",
        &[
            ("a.go", "package p\n\nimport _ \"embed\"\n\n//go:embed .a */.b\nvar s string\n"),
            (".a", ""),
            ("sub/.b", ""),
        ],
    ),
    read(
        "embed_in_tests",
        &[
            ("a.go", "package p\n"),
            ("a_test.go", "package p\n\nimport _ \"embed\"\n\n//go:embed a.txt\nvar s string\n"),
            (
                "x_test.go",
                "package p_test\n\nimport _ \"embed\"\n\n//go:embed *.txt\nvar s string\n",
            ),
            ("a.txt", ""),
            ("b.txt", ""),
        ],
    ),
    read(
        "embed_go_file",
        &[
            ("a.go", "package p\n\nimport _ \"embed\"\n\n//go:embed *.go\nvar s string\n"),
            ("b.go", "package p\n"),
        ],
    ),
    asks(
        "embed_nothing",
        &[("a.go", "package p\n\nimport _ \"embed\"\n\n//go:embed gone.txt\nvar s string\n")],
    ),
    asks(
        "embed_empty_folder",
        &[
            ("a.go", "package p\n\nimport _ \"embed\"\n\n//go:embed sub\nvar s string\n"),
            ("sub/.hidden", ""),
        ],
    ),
    asks(
        "embed_upwards",
        &[
            ("q/a.go", "package p\n\nimport _ \"embed\"\n\n//go:embed ../x\nvar s string\n"),
            ("x", ""),
        ],
    ),
    asks(
        "embed_other_module",
        &[
            ("a.go", "package p\n\nimport _ \"embed\"\n\n//go:embed q/x\nvar s string\n"),
            ("q/go.mod", ""),
            ("q/x", ""),
        ],
    ),
    asks(
        "embed_link",
        &[
            ("a.go", "package p\n\nimport _ \"embed\"\n\n//go:embed x\nvar s string\n"),
            ("y", ""),
            ("x", "-> y"),
        ],
    ),
    asks(
        "embed_class",
        &[
            ("a.go", "package p\n\nimport _ \"embed\"\n\n//go:embed [a-c].txt\nvar s string\n"),
            ("a.txt", ""),
        ],
    ),
    asks(
        "embed_escape",
        &[
            ("a.go", "package p\n\nimport _ \"embed\"\n\n//go:embed \"\\x61.txt\"\nvar s string\n"),
            ("a.txt", ""),
        ],
    ),
    read(
        "nested_module",
        &[
            ("a.go", "package p\n"),
            ("q/go.mod", "module example.com/q\n"),
            ("q/q.go", "package q\n"),
            ("q/r/r.go", "package r\n"),
        ],
    ),
    asks(
        "imports_nested_module",
        &[
            ("a.go", "package p\n\nimport _ \"example.com/m/imports_nested_module/q\"\n"),
            ("q/go.mod", "module example.com/q\n"),
            ("q/q.go", "package q\n"),
        ],
    ),
    read(
        "skipped_folders",
        &[
            ("a.go", "package p\n"),
            ("_q/q.go", "package q\n"),
            (".r/r.go", "package r\n"),
            ("testdata/s/s.go", "package s\n"),
        ],
    ),
    read(
        "imports_testdata",
        &[
            ("a.go", "package p\n\nimport _ \"example.com/m/imports_testdata/testdata/s\"\n"),
            ("testdata/s/s.go", "package s\n"),
        ],
    ),
    asks("vendor_inside", &[("a.go", "package p\n"), ("vendor/q/q.go", "package q\n")]),
    read(
        "linked_file",
        &[
            ("a.go", "package p\n"),
            ("b.go", "-> c.txt"),
            ("c.txt", "package p\n\nimport \"fmt\"\n"),
        ],
    ),
    asks("dangling_link", &[("a.go", "package p\n"), ("b.go", "-> gone.go")]),
    read(
        "linked_folder",
        &[("a.go", "package p\n"), ("q/q.go", "package q\n"), ("r", "-> q"), ("s.go", "-> q")],
    ),
    asks(
        "imports_linked_folder",
        &[
            ("a.go", "package p\n\nimport _ \"example.com/m/imports_linked_folder/r\"\n"),
            ("q/q.go", "package q\n"),
            ("r", "-> q"),
        ],
    ),
    asks("line_directive", &[("a.go", "//line x.go:10\npackage p\n")]),
    asks("profile", &[("a.go", "package main\n\nfunc main() {}\n"), ("default.pgo", "")]),
    asks("binary_only", &[("a.go", "//go:binary-only-package\n\npackage p\n")]),
    asks(
        "imports_tests_alone",
        &[
            ("a.go", "package p\n\nimport _ \"example.com/m/imports_tests_alone/q\"\n"),
            ("q/q_test.go", "package q\n"),
        ],
    ),
    read("folder_named_go", &[("x.go/a.go", "package p\n"), ("a.go", "package p\n")]),
];
