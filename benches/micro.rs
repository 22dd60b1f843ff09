//! How long the pieces take, each by itself.
//!
//! ```text
//! cargo bench --package linkwright-bench [-- FILTER]
//! ```

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box, black_box_drop};
use linkwright::effects::inspect::inspect_file;
use linkwright::effects::last_run::{LastRun, LastRuns};
use linkwright::effects::store::digest_of;
use linkwright::effects::workspace::load_rules;
use linkwright::formats::build_file;
use linkwright::formats::go_header::decisive;
use linkwright::model::resolve::resolve;
use linkwright::words::digest::Digest;
use linkwright::words::label::PackagePath;
use linkwright_bench::{link_inputs, remembered_tree, rule_file};
use std::io;
use std::time::SystemTime;

fn main() {
    divan::main();
}

/// `BUILD.ron` to what it says, with places.
#[divan::bench(args = [100, 1000, 10_000])]
fn parse_rule_file(bencher: Bencher<'_, '_>, targets: usize) {
    let source = rule_file(targets);
    let bencher = bencher.counter(ItemsCount::new(targets));
    bencher.bench(|| build_file::parse(&source, &PackagePath::root()));
}

/// What rule files say to targets: labels looked up, settings settled, cycles looked for.
#[divan::bench(args = [100, 1000, 10_000])]
fn resolve_targets(bencher: Bencher<'_, '_>, targets: usize) {
    let rules = load_rules(None).unwrap();
    let spec = build_file::parse(&rule_file(targets), &PackagePath::root()).0;
    bencher
        .counter(ItemsCount::new(targets))
        .with_inputs(|| vec![spec.clone()])
        .bench_values(|it| resolve(it, &rules).unwrap());
}

/// Inputs of a link to its key.
#[divan::bench(args = [100, 1000, 10_000])]
fn fingerprint(bencher: Bencher<'_, '_>, files: usize) {
    let inputs = link_inputs(files);
    bencher.counter(ItemsCount::new(files)).bench(|| black_box(&inputs).key());
}

/// A second look at all that a run saw.
#[divan::bench(args = [500, 5000, 50_000])]
#[expect(clippy::disallowed_methods, reason = "held against file times")]
fn look_again(bencher: Bencher<'_, '_>, files: usize) {
    let folder = tempfile::tempdir().unwrap();
    let question = remembered_tree(folder.path(), files);
    let runs = LastRuns { folder: folder.path().to_owned(), is_written: true };
    bencher.counter(ItemsCount::new(files)).bench(|| {
        let values = |_: &[String]| Digest::of(b"");
        let told = LastRun::<usize, ()>::that_holds(&runs, &question, values, SystemTime::now());
        assert_eq!(told.map(|it| it.about), Some(files));
    });
}

/// Bytes to their digest, as they are read.
#[divan::bench(args = [1 << 16, 1 << 20, 1 << 26])]
fn hash(bencher: Bencher<'_, '_>, length: usize) {
    let bytes = vec![7; length];
    bencher
        .counter(BytesCount::new(length))
        .bench(|| digest_of(&mut black_box(&bytes[..]), &mut io::sink()).unwrap().digest);
}

/// A file to its linkage: this program, which is dynamic.
#[divan::bench]
fn inspect_this_program(bencher: Bencher<'_, '_>) {
    let own = std::env::current_exe().unwrap();
    bencher.bench(|| inspect_file(&own).unwrap());
}

/// A Go file to the part of it that decides what `go list` says.
#[divan::bench]
fn head_of_a_go_file(bencher: Bencher<'_, '_>) {
    let imports = "\t\"example.com/m/lib\"\n".repeat(20);
    let body = "func f() { println(1) }\n".repeat(1000);
    let text = format!("// Package m.\npackage m\n\nimport (\n{imports})\n\n{body}");
    bencher.counter(ItemsCount::new(1_usize)).bench(|| {
        black_box_drop(decisive(black_box(text.as_bytes())).len());
    });
}
