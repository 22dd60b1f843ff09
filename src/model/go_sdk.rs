//! Go toolchains that a workspace pins, so that not PATH decides which Go makes its programs.
//!
//! | written | means |
//! |---|---|
//! | `version` | which Go it is; a `go` on PATH that is this one is taken |
//! | `sums`, `h1:…` | what the module `golang.org/toolchain` of the version must be, as `go.sum` says it |
//! | `sums`, `sha256:…` | what the archive at `urls` must be: a `.tar.gz` as go.dev publishes it |
//!
//! Nothing is taken from anywhere without a sum: a toolchain runs with the user's rights.

use crate::formats::build_file::BuildSpec;
use crate::formats::go_sdk_spec::GoSdkSpec;
use crate::model::platform;
use crate::words::near::suggestion;
use crate::words::problem::Problem;
use crate::words::span::Spanned;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The name of the toolchain that is on PATH, whichever it is.
pub const ON_PATH: &str = "path";

/// A Go toolchain of a certain version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoSdk {
    /// What targets call it.
    pub name: String,
    /// `1.26.8`.
    pub version: String,
    /// By platform (`linux/amd64`), where it comes from, and what it must be.
    pub sources: BTreeMap<String, SdkSource>,
}

/// Where a toolchain for one platform comes from, and what its archive must be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SdkSource {
    /// The module proxy: the sum of the module's files, `h1:` and base64.
    Proxy(String),
    /// A module's `.zip` at a URL: the URL, and its sum as above.
    Module(String, String),
    /// A `.tar.gz` at a URL: the URL, and the archive's SHA-256 in hexadecimal.
    Archive(String, String),
}

/// The toolchains of a workspace, by name.
#[derive(Debug, Clone, Default)]
pub struct Sdks(BTreeMap<String, Arc<GoSdk>>);

impl GoSdk {
    /// Returns what `go env GOVERSION` says of it.
    #[must_use]
    pub fn go_version(&self) -> String {
        format!("go{}", self.version)
    }
}

impl SdkSource {
    /// Returns what the archive must be, as it is written.
    #[must_use]
    pub fn sum(&self) -> String {
        match self {
            Self::Proxy(sum) | Self::Module(_, sum) => sum.clone(),
            Self::Archive(_, sum) => format!("{SHA256}{sum}"),
        }
    }
}

const H1: &str = "h1:";
const SHA256: &str = "sha256:";

impl Sdks {
    /// Checks the toolchains of all packages: the root alone may pin any.
    #[must_use]
    pub fn check(packages: &[BuildSpec]) -> (Self, Vec<Problem>) {
        let (mut sdks, mut problems) = (BTreeMap::<String, Arc<GoSdk>>::new(), Vec::new());
        let mut places = BTreeMap::new();
        for package in packages {
            for spec in &package.go_sdks {
                let GoSdkSpec { name, version, sums, urls } = spec;
                if !package.package.as_str().is_empty() {
                    let message = "`go_sdks` belongs into the `BUILD.ron` of the workspace's root";
                    let problem = Problem::new(message).at(name.span.clone(), "");
                    problems.push(problem.hint("targets here name it: `go: \"…\"`"));
                    continue;
                }
                problems.extend(check_name(name));
                problems.extend(check_version(version));
                if let Some(first) = places.insert(name.value.clone(), name.span.clone()) {
                    let message = format!("the Go toolchain `{}` is declared twice", name.value);
                    let problem = Problem::new(message).at(name.span.clone(), "again here");
                    problems.push(problem.at(first, "first here"));
                }
                let sources = sources(sums, urls, &mut problems);
                let (name, version) = (name.value.clone(), version.value.clone());
                sdks.insert(name.clone(), Arc::new(GoSdk { name, version, sources }));
            }
        }
        (Self(sdks), problems)
    }

    /// Returns one of them.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<GoSdk>> {
        self.0.get(name).cloned()
    }

    /// Says that a name is none of them.
    #[must_use]
    pub fn unknown(&self, name: &Spanned<String>) -> Problem {
        let problem = Problem::new(format!("no Go toolchain `{}`", name.value));
        let problem = problem.at(name.span.clone(), "");
        if self.0.is_empty() {
            return problem.hint(
                "pin one in the root's BUILD.ron: `go_sdks: [go_sdk(name: \"…\", version: \"…\")]`",
            );
        }
        let names: Vec<_> = self.0.keys().map(String::as_str).chain([ON_PATH]).collect();
        problem.hint(suggestion(&name.value, &names))
    }
}

/// Joins what is written of each platform, and reports what does not go together.
fn sources(
    sums: &[(Spanned<String>, Spanned<String>)],
    urls: &[(Spanned<String>, Spanned<String>)],
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, SdkSource> {
    for (platform, _) in sums.iter().chain(urls) {
        problems.extend(check_platform(platform));
    }
    let mut sources = BTreeMap::new();
    for (platform, url) in urls {
        problems.extend(check_url(url));
        if !sums.iter().any(|it| it.0.value == platform.value) {
            let message =
                format!("`sums` does not say what the archive for `{}` is", platform.value);
            let problem = Problem::new(message).at(platform.span.clone(), "").refused();
            problems.push(problem.hint("nothing is taken unchecked; write its `sha256:…`"));
        }
    }
    for (platform, sum) in sums {
        let url = urls.iter().find(|it| it.0.value == platform.value).map(|it| it.1.value.clone());
        match source(&sum.value, url) {
            Ok(source) => {
                sources.insert(platform.value.clone(), source);
            }
            Err((message, hint)) => {
                problems.push(Problem::new(message).at(sum.span.clone(), "").hint(hint));
            }
        }
    }
    sources
}

fn source(sum: &str, url: Option<String>) -> Result<SdkSource, (String, &'static str)> {
    let is_archive = url.as_ref().is_some_and(|it| it.ends_with(".tar.gz"));
    if let Some(digest) = sum.strip_prefix(SHA256) {
        let is_hex = digest.len() == 64
            && digest.bytes().all(|it| it.is_ascii_digit() || (b'a'..=b'f').contains(&it));
        return match url {
            _ if !is_hex => {
                let message =
                    format!("`{sum}` is no SHA-256: 64 hexadecimal digits, small letters");
                Err((message, "go.dev/dl tells that of each archive"))
            }
            Some(url) if is_archive => Ok(SdkSource::Archive(url, digest.to_owned())),
            _ => Err((
                format!("`{sum}` is of an archive, and `urls` names no `.tar.gz` for it"),
                "a module, from the proxy or a `.zip`, has a sum that begins with `h1:`",
            )),
        };
    }
    let is_h1 = sum.strip_prefix(H1).is_some_and(|it| {
        let known = |it: u8| it.is_ascii_alphanumeric() || it == b'+' || it == b'/';
        it.len() == 44 && it.ends_with('=') && it.bytes().take(43).all(known)
    });
    match url {
        _ if !is_h1 => Err((
            format!("`{sum}` is no sum: `h1:` with 44 characters of base64, or `sha256:`"),
            "`go mod download -json golang.org/toolchain@v0.0.1-goVERSION.OS-ARCH` tells it",
        )),
        Some(_) if is_archive => Err((
            format!("`{sum}` is of a module, and the URL names a `.tar.gz`"),
            "write `sha256:` and the archive's SHA-256",
        )),
        Some(url) => Ok(SdkSource::Module(url, sum.to_owned())),
        None => Ok(SdkSource::Proxy(sum.to_owned())),
    }
}

fn check_name(name: &Spanned<String>) -> Option<Problem> {
    let fits = |it: char| it.is_ascii_alphanumeric() || "_-.".contains(it);
    let (message, hint) = match name.value.as_str() {
        ON_PATH => (format!("`{ON_PATH}` is the name of the Go on PATH"), "give it another name"),
        text if text.is_empty() || text.starts_with('-') || !text.chars().all(fits) => (
            format!("`{text}` is no name for a Go toolchain"),
            "a name holds ASCII letters, digits, `_`, `-` and `.`",
        ),
        _ => return None,
    };
    Some(Problem::new(message).at(name.span.clone(), "").hint(hint))
}

fn check_version(version: &Spanned<String>) -> Option<Problem> {
    if is_version(&version.value) {
        return None;
    }
    let problem = Problem::new(format!("`{}` is no version of Go", version.value));
    let problem = problem.at(version.span.clone(), "");
    Some(problem.hint("write a whole one, without `go`: `1.26.8`, `1.20`, `1.27rc1`"))
}

/// Tells whether `text` is `1.N`, `1.N.P`, or one of these with `rcN` or `betaN`.
fn is_version(text: &str) -> bool {
    let number =
        |it: &str| !it.is_empty() && it.len() <= 3 && it.bytes().all(|it| it.is_ascii_digit());
    let Some(rest) = text.strip_prefix("1.") else { return false };
    let (numbers, before) = ["rc", "beta"]
        .iter()
        .find_map(|it| rest.split_once(it))
        .map_or((rest, None), |(numbers, before)| (numbers, Some(before)));
    let mut parts = numbers.split('.');
    let is_short = numbers.matches('.').count() < 2;
    is_short && parts.all(number) && before.is_none_or(number)
}

fn check_platform(text: &Spanned<String>) -> Option<Problem> {
    let (message, hint) = match platform::parse(&text.value) {
        Ok((_, _, None)) => return None,
        Ok(_) => (
            format!("`{}` names a level, and a toolchain runs on any", text.value),
            "write `linux/amd64`".to_owned(),
        ),
        Err(error) => (error.message, error.hint),
    };
    Some(Problem::new(message).at(text.span.clone(), "").hint(hint))
}

fn check_url(url: &Spanned<String>) -> Option<Problem> {
    let text = &url.value;
    let is_known = ["https://", "http://", "file:///"].iter().any(|it| text.starts_with(it));
    let is_plain = text.chars().all(|it| it.is_ascii_graphic());
    let is_archive = [".tar.gz", ".zip"].iter().any(|it| text.ends_with(it));
    if is_known && is_plain && is_archive {
        return None;
    }
    let problem = Problem::new(format!("`{text}` is no URL of a Go toolchain"));
    let problem = problem.at(url.span.clone(), "");
    Some(problem.hint("it begins with `https://`, `http://` or `file:///`, and ends in `.tar.gz` (go.dev/dl) or `.zip` (a module)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_whole_and_without_a_prefix() {
        for text in ["1.26.8", "1.20", "1.27rc1", "1.21.0", "1.22beta2", "1.9.2rc2"] {
            assert!(is_version(text), "{text}");
        }
        for text in [
            "", "go1.26.8", "1", "1.", "2.0", "1.26.8.1", "1.26.x", "1.26rc", "1.26.8 ", "1.1/../x",
        ] {
            assert!(!is_version(text), "{text}");
        }
    }

    #[test]
    fn a_sum_fits_what_it_is_of() {
        let h1 = "h1:wVC9wx2XOcP5gHiN8ZzfyTfjlrDLSS7Hu1wjI01n68U=";
        let sha = format!("sha256:{}", "ab".repeat(32));
        let (tar, zip) = ("https://x/go.tar.gz".to_owned(), "https://x/go.zip".to_owned());
        assert_eq!(source(h1, None), Ok(SdkSource::Proxy(h1.to_owned())));
        assert_eq!(
            source(h1, Some(zip.clone())),
            Ok(SdkSource::Module(zip.clone(), h1.to_owned()))
        );
        let archive = SdkSource::Archive(tar.clone(), "ab".repeat(32));
        assert_eq!(source(&sha, Some(tar.clone())), Ok(archive.clone()));
        assert_eq!(archive.sum(), sha);
        for (sum, url) in [
            (h1, Some(tar.clone())),
            (&sha, None),
            (&sha, Some(zip)),
            ("h1:short=", None),
            ("md5:00", None),
            ("sha256:AB", Some(tar.clone())),
            ("", Some(tar)),
        ] {
            assert!(source(sum, url.clone()).is_err(), "{sum} {url:?}");
        }
    }
}
