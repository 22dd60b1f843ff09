//! The platforms that Go knows, and the sub-levels of their architectures, as data.
//!
//! # Source
//!
//! `go tool dist list` of Go 1.26, and `internal/buildcfg/cfg.go` for the levels.

use crate::words::near::suggestion;

/// `GOOS/GOARCH`, sorted.
pub const PLATFORMS: [&str; 47] = [
    "aix/ppc64",
    "android/386",
    "android/amd64",
    "android/arm",
    "android/arm64",
    "darwin/amd64",
    "darwin/arm64",
    "dragonfly/amd64",
    "freebsd/386",
    "freebsd/amd64",
    "freebsd/arm",
    "freebsd/arm64",
    "illumos/amd64",
    "ios/amd64",
    "ios/arm64",
    "js/wasm",
    "linux/386",
    "linux/amd64",
    "linux/arm",
    "linux/arm64",
    "linux/loong64",
    "linux/mips",
    "linux/mips64",
    "linux/mips64le",
    "linux/mipsle",
    "linux/ppc64",
    "linux/ppc64le",
    "linux/riscv64",
    "linux/s390x",
    "netbsd/386",
    "netbsd/amd64",
    "netbsd/arm",
    "netbsd/arm64",
    "openbsd/386",
    "openbsd/amd64",
    "openbsd/arm",
    "openbsd/arm64",
    "openbsd/ppc64",
    "openbsd/riscv64",
    "plan9/386",
    "plan9/amd64",
    "plan9/arm",
    "solaris/amd64",
    "wasip1/wasm",
    "windows/386",
    "windows/amd64",
    "windows/arm64",
];

/// How the words of a sub-level are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grammar {
    /// One of the words.
    One,
    /// One of the words, then any of the options, each after a comma.
    OneWith(&'static [&'static str]),
    /// Any of the words, with commas between them.
    Some,
}

/// The sub-levels of some architectures.
#[derive(Debug)]
struct Levels {
    architectures: &'static [&'static str],
    variable: &'static str,
    words: &'static [&'static str],
    grammar: Grammar,
}

const LEVELS: [Levels; 9] = [
    Levels {
        architectures: &["amd64"],
        variable: "GOAMD64",
        words: &["v1", "v2", "v3", "v4"],
        grammar: Grammar::One,
    },
    Levels {
        architectures: &["arm"],
        variable: "GOARM",
        words: &["5", "6", "7"],
        grammar: Grammar::OneWith(&["softfloat", "hardfloat"]),
    },
    Levels {
        architectures: &["arm64"],
        variable: "GOARM64",
        words: &[
            "v8.0", "v8.1", "v8.2", "v8.3", "v8.4", "v8.5", "v8.6", "v8.7", "v8.8", "v8.9", "v9.0",
            "v9.1", "v9.2", "v9.3", "v9.4", "v9.5",
        ],
        grammar: Grammar::OneWith(&["lse", "crypto"]),
    },
    Levels {
        architectures: &["386"],
        variable: "GO386",
        words: &["sse2", "softfloat"],
        grammar: Grammar::One,
    },
    Levels {
        architectures: &["mips", "mipsle"],
        variable: "GOMIPS",
        words: &["hardfloat", "softfloat"],
        grammar: Grammar::One,
    },
    Levels {
        architectures: &["mips64", "mips64le"],
        variable: "GOMIPS64",
        words: &["hardfloat", "softfloat"],
        grammar: Grammar::One,
    },
    Levels {
        architectures: &["ppc64", "ppc64le"],
        variable: "GOPPC64",
        words: &["power8", "power9", "power10"],
        grammar: Grammar::One,
    },
    Levels {
        architectures: &["riscv64"],
        variable: "GORISCV64",
        words: &["rva20u64", "rva22u64", "rva23u64"],
        grammar: Grammar::One,
    },
    Levels {
        architectures: &["wasm"],
        variable: "GOWASM",
        words: &["satconv", "signext"],
        grammar: Grammar::Some,
    },
];

/// The parts of a written platform: `GOOS`, `GOARCH`, and the sub-level if it names one.
pub type Parts<'a> = (&'a str, &'a str, Option<&'a str>);

/// Why a word of a platform is refused, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PlatformError {
    /// One sentence.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// Returns the variable that the sub-level of `goarch` is given in: `GOAMD64` for `amd64`.
#[must_use]
pub fn level_variable(goarch: &str) -> Option<&'static str> {
    levels(goarch).map(|it| it.variable)
}

fn levels(goarch: &str) -> Option<&'static Levels> {
    LEVELS.iter().find(|it| it.architectures.contains(&goarch))
}

/// Returns the parts of the known platforms: the `GOOS` ones or the `GOARCH` ones, each once.
fn parts(choose: fn(&'static str) -> Option<&'static str>) -> Vec<&'static str> {
    let mut parts: Vec<_> = PLATFORMS.iter().filter_map(|it| choose(it)).collect();
    parts.sort_unstable();
    parts.dedup();
    parts
}

/// Checks a `goos`.
///
/// # Errors
///
/// Returns an error if Go has no platform with it.
pub fn check_goos(goos: &str) -> Result<(), PlatformError> {
    check(goos, "operating system", "goos", &parts(|it| Some(it.split_once('/')?.0)))
}

/// Checks a `goarch`.
///
/// # Errors
///
/// Returns an error if Go has no platform with it.
pub fn check_goarch(goarch: &str) -> Result<(), PlatformError> {
    check(goarch, "architecture", "goarch", &parts(|it| Some(it.split_once('/')?.1)))
}

fn check(word: &str, noun: &str, field: &str, known: &[&str]) -> Result<(), PlatformError> {
    if known.contains(&word) {
        return Ok(());
    }
    let message = format!("`{word}` is no {noun} that Go knows (`{field}`)");
    Err(PlatformError { message, hint: suggestion(word, known) })
}

/// Checks that a `goos` and a `goarch`, each known, are a platform together.
///
/// # Errors
///
/// Returns an error if they are not.
pub fn check_pair(goos: &str, goarch: &str) -> Result<(), PlatformError> {
    let pair = format!("{goos}/{goarch}");
    if PLATFORMS.contains(&pair.as_str()) {
        return Ok(());
    }
    let message = format!("Go has no platform `{pair}`");
    let prefix = format!("{goos}/");
    let there: Vec<_> = PLATFORMS.iter().filter_map(|it| it.strip_prefix(&prefix)).collect();
    let hint = format!("for `{goos}` there is {}", crate::words::near::list(&there));
    Err(PlatformError { message, hint })
}

/// Reads a platform as one word: `linux/arm64`, `linux/amd64/v3`, `linux/arm/7`.
///
/// # Errors
///
/// Returns an error if it has other parts, or Go has no such platform or level.
pub fn parse(text: &str) -> Result<Parts<'_>, PlatformError> {
    let mut parts = text.splitn(3, '/');
    let (Some(goos), Some(goarch), level) = (parts.next(), parts.next(), parts.next()) else {
        let message = format!("`{text}` is no platform");
        let hint = "write an operating system and an architecture: `linux/arm64`".to_owned();
        return Err(PlatformError { message, hint });
    };
    check_goos(goos).and_then(|()| check_goarch(goarch)).map_err(|it| PlatformError {
        message: format!("in `{text}` {}", it.message.split(" (").next().unwrap_or_default()),
        hint: it.hint,
    })?;
    check_pair(goos, goarch)?;
    if let Some(level) = level {
        check_level(level, goarch)?;
    }
    Ok((goos, goarch, level))
}

/// Checks a sub-level against its architecture, which is a known one.
///
/// # Errors
///
/// Returns an error if the architecture has no such level, or none at all.
pub fn check_level(level: &str, goarch: &str) -> Result<(), PlatformError> {
    let Some(levels) = levels(goarch) else {
        let message = format!("`{goarch}` has no levels, so `{level}` means nothing");
        return Err(PlatformError { message, hint: "leave `level` out".to_owned() });
    };
    let mut parts = level.split(',');
    let first = parts.next().unwrap_or("");
    let rest: Vec<_> = parts.collect();
    let fine = levels.words.contains(&first)
        && match levels.grammar {
            Grammar::One => rest.is_empty(),
            Grammar::OneWith(options) => rest.iter().all(|it| options.contains(it)),
            Grammar::Some => rest.iter().all(|it| levels.words.contains(it)),
        };
    if fine {
        return Ok(());
    }
    let message = format!("`{level}` is no level of `{goarch}` ({})", levels.variable);
    let mut hint = suggestion(first, levels.words);
    if let Grammar::OneWith(options) = levels.grammar {
        let options: Vec<_> = options.iter().map(|it| format!("`,{it}`")).collect();
        hint = format!("{hint} (it may be followed by {})", options.join(", "));
    }
    Err(PlatformError { message, hint })
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn told(result: Result<(), PlatformError>) -> String {
        result.map_or_else(|it| format!("{it}; {}\n", it.hint), |()| "fine\n".to_owned())
    }

    #[test]
    fn every_listed_platform_is_one_and_the_list_is_sorted() {
        for platform in PLATFORMS {
            let (goos, goarch) = platform.split_once('/').unwrap();
            assert_eq!(check_goos(goos), Ok(()));
            assert_eq!(check_goarch(goarch), Ok(()));
            assert_eq!(check_pair(goos, goarch), Ok(()));
        }
        assert!(PLATFORMS.is_sorted());
    }

    #[test]
    fn unknown_platforms_are_told_with_near_or_possible_ones() {
        let out = told(check_goos("linx")) + &told(check_goarch("x86_64"));
        let out = out + &told(check_pair("darwin", "386"));
        expect![[r#"
            `linx` is no operating system that Go knows (`goos`); did you mean `linux`?
            `x86_64` is no architecture that Go knows (`goarch`); write one of `386`, `amd64`, `arm`, `arm64`, `loong64`, `mips`, `mips64`, `mips64le`, `mipsle`, `ppc64`, `ppc64le`, `riscv64`, `s390x`, `wasm`
            Go has no platform `darwin/386`; for `darwin` there is `amd64`, `arm64`
        "#]].assert_eq(&out);
    }

    #[test]
    fn a_level_must_be_one_of_its_architecture() {
        for (level, goarch) in [
            ("v1", "amd64"),
            ("7,softfloat", "arm"),
            ("v8.2,lse,crypto", "arm64"),
            ("satconv,signext", "wasm"),
            ("power10", "ppc64le"),
        ] {
            assert_eq!(check_level(level, goarch), Ok(()));
        }
        let bad =
            [("v5", "amd64"), ("v3", "arm64"), ("7,neon", "arm"), ("v1", "loong64"), ("", "386")];
        let out: String = bad.iter().map(|(level, arch)| told(check_level(level, arch))).collect();
        expect![[r#"
            `v5` is no level of `amd64` (GOAMD64); did you mean `v1`?
            `v3` is no level of `arm64` (GOARM64); write one of `v8.0`, `v8.1`, `v8.2`, `v8.3`, `v8.4`, `v8.5`, `v8.6`, `v8.7`, `v8.8`, `v8.9`, `v9.0`, `v9.1`, `v9.2`, `v9.3`, `v9.4`, `v9.5` (it may be followed by `,lse`, `,crypto`)
            `7,neon` is no level of `arm` (GOARM); did you mean `7`? (it may be followed by `,softfloat`, `,hardfloat`)
            `loong64` has no levels, so `v1` means nothing; leave `level` out
            `` is no level of `386` (GO386); write one of `sse2`, `softfloat`
        "#]].assert_eq(&out);
    }

    #[test]
    fn a_platform_is_read_as_one_word() {
        assert_eq!(parse("linux/arm64"), Ok(("linux", "arm64", None)));
        assert_eq!(parse("linux/arm/7,softfloat"), Ok(("linux", "arm", Some("7,softfloat"))));
        let bad = [
            "linux",
            "",
            "linx/amd64",
            "linux/amd46",
            "darwin/386",
            "linux/amd64/v9",
            "linux/arm64/",
        ];
        let out: String = bad.iter().map(|it| told(parse(it).map(drop))).collect();
        expect![[r#"
            `linux` is no platform; write an operating system and an architecture: `linux/arm64`
            `` is no platform; write an operating system and an architecture: `linux/arm64`
            in `linx/amd64` `linx` is no operating system that Go knows; did you mean `linux`?
            in `linux/amd46` `amd46` is no architecture that Go knows; did you mean `amd64`?
            Go has no platform `darwin/386`; for `darwin` there is `amd64`, `arm64`
            `v9` is no level of `amd64` (GOAMD64); did you mean `v1`?
            `` is no level of `arm64` (GOARM64); write one of `v8.0`, `v8.1`, `v8.2`, `v8.3`, `v8.4`, `v8.5`, `v8.6`, `v8.7`, `v8.8`, `v8.9`, `v9.0`, `v9.1`, `v9.2`, `v9.3`, `v9.4`, `v9.5` (it may be followed by `,lse`, `,crypto`)
        "#]].assert_eq(&out);
    }

    #[test]
    fn the_variable_of_a_level_follows_the_architecture() {
        assert_eq!(level_variable("amd64"), Some("GOAMD64"));
        assert_eq!(level_variable("mips64le"), Some("GOMIPS64"));
        assert_eq!(level_variable("s390x"), None);
    }
}
