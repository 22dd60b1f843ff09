//! Each class and each clause of a policy, kept and broken.

use super::*;
use crate::formats::linkage::{HazardBasis, HazardKind, Relro};
use crate::model::policy::Demand;
use expect_test::{Expect, expect};

const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

fn linkage(class: Class, needed: &[&str]) -> Linkage {
    let asks = matches!(class, Class::NeedsLoader | Class::Dynamic);
    Linkage {
        machine: Some("amd64".to_owned()),
        interpreter: asks.then(|| LOADER.to_owned()),
        needed: needed.iter().map(ToString::to_string).collect(),
        nx: true,
        ..Linkage::of_class(class, if class == Class::NotElf { "wasm" } else { "elf64" })
    }
}

fn hazard(symbol: &str, basis: HazardBasis) -> Hazard {
    Hazard { kind: HazardKind::Nss, symbol: symbol.to_owned(), basis }
}

fn judge(
    linkage: Linkage,
    promise: Promise,
    policy: Option<&Policy>,
) -> Result<Verified, Mismatch> {
    verify(Inspection { linkage, build_info: None }.into(), promise, policy)
}

#[track_caller]
fn check(linkage: Linkage, promise: Promise, policy: Option<&Policy>, expect: Expect) {
    let lines: Vec<String> = match judge(linkage, promise, policy) {
        Ok(_) => vec!["kept".to_owned()],
        Err(it) => it.breaches.iter().map(|it| format!("{}: {}", it.rule, it.clause)).collect(),
    };
    let text = lines.join("\n") + "\n";
    expect.assert_eq(&text);
}

#[test]
fn every_promise_accepts_exactly_its_classes() {
    let classes = Class::ALL
        .map(|class| linkage(class, if class == Class::Dynamic { &["libc.so.6"] } else { &[] }));
    let kept = |promise| -> Vec<&str> {
        let kept = |it: &&Linkage| judge((*it).clone(), promise, None).is_ok();
        classes.iter().filter(kept).map(|it| it.class.as_str()).collect()
    };
    assert_eq!(kept(Promise::Any), Class::ALL.map(Class::as_str));
    assert_eq!(kept(Promise::Static), ["static", "static_pie", "system_libraries", "not_elf"]);
    assert_eq!(kept(Promise::StaticPie), ["static_pie", "not_elf"]);
    let kept_by_libc_only =
        ["static", "static_pie", "system_libraries", "needs_loader", "dynamic", "not_elf"];
    assert_eq!(kept(Promise::LibcOnly), kept_by_libc_only);
}

#[test]
fn a_broken_promise_says_what_the_file_shows_instead() {
    let libc = linkage(Class::Dynamic, &["libc.so.6"]);
    check(
        libc,
        Promise::Static,
        None,
        expect![[r"
        promise `static`: it needs `libc.so.6`
    "]],
    );
    let three = linkage(Class::Dynamic, &["libz.so.1", "libm.so.6", "libc.so.6"]);
    check(
        three.clone(),
        Promise::Static,
        None,
        expect![[r"
        promise `static`: it needs `libz.so.1`, `libm.so.6` and `libc.so.6`
    "]],
    );
    check(
        three,
        Promise::LibcOnly,
        None,
        expect![[r"
        promise `libc_only`: it needs `libz.so.1`
    "]],
    );
    check(
        linkage(Class::NeedsLoader, &[]),
        Promise::Static,
        None,
        expect![[r"
        promise `static`: it asks for the loader `/lib64/ld-linux-x86-64.so.2`
    "]],
    );
    check(
        linkage(Class::Shared, &["libc.so.6"]),
        Promise::LibcOnly,
        None,
        expect![[r"
        promise `libc_only`: it is class `shared`
    "]],
    );
    check(
        linkage(Class::Static, &[]),
        Promise::StaticPie,
        None,
        expect![[r"
        promise `static_pie`: it is class `static`
    "]],
    );
}

#[test]
fn what_hides_its_content_or_is_no_program_keeps_no_promise() {
    check(
        Linkage::of_class(Class::NotElf, "script"),
        Promise::Static,
        None,
        expect![[r"
        promise `static`: it is no program: its format is `script`
    "]],
    );
    let packed = Linkage { packer: Some("upx".to_owned()), ..linkage(Class::Static, &[]) };
    check(
        packed.clone(),
        Promise::Any,
        None,
        expect![[r"
        kept
    "]],
    );
    check(
        packed,
        Promise::Static,
        None,
        expect![[r"
        promise `static`: it is packed with `upx`, which hides what is inside
    "]],
    );
}

#[test]
fn odd_values_break_every_promise_unless_the_policy_names_the_loader() {
    let odd = Linkage {
        interpreter: Some("/tmp/ld.so".to_owned()),
        audit: vec!["/tmp/a.so".to_owned()],
        rpath: vec![String::new(), "/opt/lib".to_owned(), "/var/tmp/x".to_owned()],
        ..linkage(Class::Dynamic, &["libc.so.6"])
    };
    check(
        odd.clone(),
        Promise::Any,
        None,
        expect![[r"
        odd value: it asks for the loader `/tmp/ld.so`, which is none of its platform's
        odd value: it makes the loader run the audit library `/tmp/a.so`
        odd value: it looks for libraries in ``, the folder that it is started in
        odd value: it looks for libraries in `/var/tmp/x`, where anybody can put some
    "]],
    );
    let names = Policy { interpreters: Some(vec!["/tmp/ld.so".to_owned()]), ..Policy::default() };
    let only_loader = Linkage { audit: Vec::new(), rpath: Vec::new(), ..odd };
    check(
        only_loader,
        Promise::Any,
        Some(&names),
        expect![[r"
        kept
    "]],
    );
}

#[test]
fn a_policy_tells_every_broken_clause() {
    let policy = Policy {
        name: "p".to_owned(),
        class: vec![Class::Static],
        nss: Demand::Deny,
        rpath: Demand::Deny,
        nx: Demand::Require,
        pie: Demand::Require,
        textrel: Demand::Deny,
        relro: Some(Relro::Full),
        needed: Some(vec!["libc.so.6".to_owned()]),
        interpreters: Some(vec!["/lib/ld-musl-x86_64.so.1".to_owned()]),
        glibc_max: Some("2.17".to_owned()),
        glibcxx_max: Some("3.4.19".to_owned()),
        ..Policy::default()
    };
    let worst = Linkage {
        nx: false,
        textrel: true,
        relro: Relro::Partial,
        rpath: vec!["/opt/lib".to_owned()],
        glibc_max: Some("2.34".to_owned()),
        glibcxx_max: Some("3.4.30".to_owned()),
        hazards: vec![hazard("getaddrinfo", HazardBasis::Symbol)],
        ..linkage(Class::Dynamic, &["libc.so.6", "libz.so.1"])
    };
    check(
        worst,
        Promise::Any,
        Some(&policy),
        expect![[r"
        policy `p`, `class`: it is class `dynamic`
        policy `p`, `nss`: it holds `getaddrinfo`, which asks the name service at run time (seen in its symbols)
        policy `p`, `nx`: its stack is executable
        policy `p`, `pie`: it is not position-independent
        policy `p`, `textrel`: it has relocations in its code
        policy `p`, `rpath`: it looks for libraries in `/opt/lib`
        policy `p`, `relro`: its read-only relocations are `partial`
        policy `p`, `needed`: it needs `libz.so.1`
        policy `p`, `interpreters`: it asks for the loader `/lib64/ld-linux-x86-64.so.2`
        policy `p`, `glibc_max`: it needs glibc 2.34, above 2.17
        policy `p`, `glibcxx_max`: it needs libstdc++ version GLIBCXX 3.4.30, above 3.4.19
    "]],
    );
    let good = Linkage { pie: true, relro: Relro::Full, ..linkage(Class::Static, &[]) };
    check(
        good,
        Promise::Static,
        Some(&policy),
        expect![[r"
        kept
    "]],
    );
    check(
        linkage(Class::NotElf, &[]),
        Promise::Static,
        Some(&policy),
        expect![[r"
        policy `p`, `class`: it is class `not_elf` (`wasm`)
    "]],
    );
}

#[test]
fn the_linkers_word_replaces_an_inference_about_the_same_function() {
    let inspection = Inspection {
        linkage: Linkage {
            hazards: vec![
                hazard("getaddrinfo", HazardBasis::Symbol),
                hazard("getpwnam", HazardBasis::Symbol),
            ],
            ..linkage(Class::Static, &[])
        },
        build_info: None,
    };
    let linker_hazards = vec![hazard("getaddrinfo", HazardBasis::LinkerWarning)];
    let verified = verify(Evidence { inspection, linker_hazards }, Promise::Static, None).unwrap();
    assert_eq!(
        verified.linkage().hazards,
        [
            hazard("getaddrinfo", HazardBasis::LinkerWarning),
            hazard("getpwnam", HazardBasis::Symbol)
        ]
    );
}

#[test]
fn a_mismatch_gives_its_first_clause_as_the_reason_and_says_whose_rule_it_is() {
    let policy = Policy { name: "p".to_owned(), class: vec![Class::Static], ..Policy::default() };
    let dynamic = linkage(Class::Dynamic, &["libc.so.6"]);
    let both = judge(dynamic.clone(), Promise::Static, Some(&policy)).unwrap_err();
    assert_eq!(both.reason(), "it needs `libc.so.6`");
    assert_eq!(
        both.to_string(),
        "it needs `libc.so.6`; it is class `dynamic` (policy `p`, `class`)"
    );
    assert!(both.breaks_promise() && !both.breaks_only_policy());
    let policy_only = judge(dynamic, Promise::Any, Some(&policy)).unwrap_err();
    assert!(!policy_only.breaks_promise() && policy_only.breaks_only_policy());
}

#[test]
fn a_newer_glibc_than_promised_breaks_the_promise() {
    let needs = |version: &str| Linkage {
        needed: vec!["libc.so.6".into()],
        glibc_max: Some(version.into()),
        ..Linkage::of_class(Class::Dynamic, "elf64")
    };
    let held = |version: &str| {
        let inspection = Inspection { linkage: needs(version), build_info: None };
        let promised = Promised { promise: Promise::LibcOnly, glibc_max: Some("2.17") };
        verify(inspection.into(), promised, None)
    };
    assert!(held("2.17").is_ok() && held("2.3.2").is_ok());
    let broken = held("2.34").unwrap_err();
    assert_eq!(broken.reason(), "it needs glibc 2.34, and the strategy promises 2.17 at most");
    assert!(broken.breaks_promise());
}

#[test]
fn on_macos_and_windows_the_systems_own_libraries_are_the_least() {
    let own = Linkage {
        format: "mach_o".to_owned(),
        interpreter: Some("/usr/lib/dyld".to_owned()),
        ..linkage(Class::SystemLibraries, &["/usr/lib/libSystem.B.dylib"])
    };
    for promise in [Promise::Any, Promise::Static, Promise::LibcOnly] {
        assert!(judge(own.clone(), promise, None).is_ok());
    }
    assert!(judge(own.clone(), Promise::StaticPie, None).is_err());
    assert!(judge(Linkage { pie: true, ..own.clone() }, Promise::StaticPie, None).is_ok());
    let other = Linkage {
        class: Class::Dynamic,
        needed: vec!["/usr/lib/libSystem.B.dylib".to_owned(), "@rpath/libz.dylib".to_owned()],
        ..own.clone()
    };
    let windows = Linkage {
        format: "pe".to_owned(),
        ..linkage(Class::Dynamic, &["KERNEL32.dll", "libstdc++-6.dll"])
    };
    let odd = Linkage {
        needed: vec!["/tmp/libz.dylib".to_owned(), "libz.dylib".to_owned()],
        audit: vec!["DYLD_LIBRARY_PATH=/opt".to_owned()],
        interpreter: Some("/opt/dyld".to_owned()),
        ..other.clone()
    };
    check(
        other,
        Promise::Static,
        None,
        expect![[r#"
        promise `static`: it needs `@rpath/libz.dylib`
    "#]],
    );
    check(
        windows,
        Promise::Static,
        None,
        expect![[r#"
        promise `static`: it needs `libstdc++-6.dll`
    "#]],
    );
    check(
        odd,
        Promise::Any,
        None,
        expect![[r#"
        odd value: it asks for the loader `/opt/dyld`, which is none of its platform's
        odd value: it sets `DYLD_LIBRARY_PATH=/opt` for its loader
        odd value: it needs `/tmp/libz.dylib`, where anybody can put another one
        odd value: it needs `libz.dylib`, which is looked for where it is started
    "#]],
    );
}
