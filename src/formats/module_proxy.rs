//! Where Go modules come from: the list in `GOPROXY`, and what a proxy calls a Go toolchain.
//!
//! | in the list | means | # Source: `proxyList`, `cmd/go/internal/modfetch/proxy.go` |
//! |---|---|---|
//! | `https://…`, `http://…`, `file:///…` | a module proxy | without a scheme: `https://` |
//! | `direct` | where the module itself is published: [`GO_DEV`] | |
//! | `off` | nothing is fetched, and nothing behind it counts | |
//! | `,` | go on where the module is not there (404, 410) | `TryProxies` |
//! | `\|` | go on after any error | |

/// Where the toolchains are published, in the form of a module proxy.
pub const GO_DEV: &str = "https://go.dev/dl/mod";

/// What Go takes where nobody says another list.
pub const DEFAULT: &str = "https://proxy.golang.org,direct";

/// The module that holds Go toolchains.
pub const TOOLCHAIN: &str = "golang.org/toolchain";

/// One place of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The URL of a proxy, without a slash at its end; `None` for `off`.
    pub url: Option<String>,
    /// Whether the next place is tried after any error, not only where the module is not there.
    pub goes_on: bool,
}

/// Reads a list as Go does; an empty one is Go's own.
#[must_use]
pub fn places(list: &str) -> Vec<Place> {
    let list = if list.trim().is_empty() { DEFAULT } else { list };
    let mut places = Vec::new();
    let mut rest = list;
    while !rest.is_empty() {
        let end = rest.find([',', '|']).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        let goes_on = behind.starts_with('|');
        rest = behind.get(1..).unwrap_or_default();
        let url = match word.trim() {
            "" | "noproxy" => continue,
            "off" => {
                places.push(Place { url: None, goes_on: false });
                break;
            }
            "direct" => GO_DEV.to_owned(),
            word if word.contains(":/") => word.trim_end_matches('/').to_owned(),
            word if word.starts_with('/') => format!("file://{}", word.trim_end_matches('/')),
            word => format!("https://{}", word.trim_end_matches('/')),
        };
        places.push(Place { url: Some(url), goes_on });
    }
    places
}

/// Returns the version that the module of toolchains has for a Go: `v0.0.1-go1.26.8.linux-amd64`.
#[must_use]
pub fn toolchain_version(go: &str, platform: &str) -> String {
    format!("v0.0.1-{go}.{}", platform.replace('/', "-"))
}

/// Returns the URL of the toolchain's archive at a proxy.
#[must_use]
pub fn toolchain_url(proxy: &str, go: &str, platform: &str) -> String {
    format!("{proxy}/{TOOLCHAIN}/@v/{}.zip", toolchain_version(go, platform))
}

/// Returns a setting from the file in which `go env -w` keeps what a user says.
#[must_use]
pub fn setting<'t>(file: &'t str, name: &str) -> Option<&'t str> {
    let value = |line: &'t str| line.trim().strip_prefix(name)?.strip_prefix('=');
    file.lines().filter_map(value).next_back()
}

/// Returns a URL without the name and password that it may hold, and those as they are written.
#[must_use]
pub fn without_password(url: &str) -> (String, Option<String>) {
    let Some((scheme, rest)) = url.split_once("://") else { return (url.to_owned(), None) };
    let end = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    match host.rsplit_once('@') {
        Some((user, host)) => (format!("{scheme}://{host}{path}"), Some(user.to_owned())),
        None => (url.to_owned(), None),
    }
}

/// Tells whether `NO_PROXY` says that a host is reached without a proxy; this machine always is.
///
/// # Source
///
/// `golang.org/x/net/http/httpproxy`, ranges of addresses left out.
#[must_use]
pub fn is_reached_directly(no_proxy: &str, host: &str) -> bool {
    let bare = host.rsplit_once(':').map_or(host, |it| it.0);
    let is_own = bare == "localhost" || bare.starts_with("127.") || host.starts_with("[::1]");
    let fits = |entry: &str| match entry {
        "*" => true,
        "" => false,
        _ if entry == host || entry == bare => true,
        _ => {
            let domain = entry.strip_prefix('*').unwrap_or(entry);
            let domain = domain.strip_prefix('.').unwrap_or(domain);
            bare.strip_suffix(domain).is_some_and(|it| it.ends_with('.'))
        }
    };
    is_own || no_proxy.split(',').map(str::trim).any(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(list: &str) -> Vec<String> {
        let told = |it: Place| {
            format!(
                "{}{}",
                it.url.unwrap_or_else(|| "off".into()),
                if it.goes_on { " |" } else { "" }
            )
        };
        places(list).into_iter().map(told).collect()
    }

    #[test]
    fn a_list_is_read_as_go_reads_it() {
        assert_eq!(read(""), ["https://proxy.golang.org", GO_DEV]);
        assert_eq!(read("direct"), [GO_DEV]);
        assert_eq!(read("off"), ["off"]);
        assert_eq!(
            read("https://a.example/x/|file:///srv/p,off,direct"),
            ["https://a.example/x |", "file:///srv/p", "off"]
        );
        assert_eq!(
            read("a.example, http://b:80 ,,noproxy,/srv/p"),
            ["https://a.example", "http://b:80", "file:///srv/p"]
        );
        assert_eq!(read(",|,"), Vec::<String>::new());
    }

    #[test]
    fn the_archive_of_a_toolchain_has_the_name_that_go_gives_it() {
        assert_eq!(
            toolchain_url("https://p", "go1.25.0", "linux/amd64"),
            "https://p/golang.org/toolchain/@v/v0.0.1-go1.25.0.linux-amd64.zip"
        );
    }

    #[test]
    fn the_last_word_of_the_users_settings_counts() {
        let file = "GOPROXY=one\nGOPROXYX=no\n  GOPROXY=two,direct\n#GOPROXY=three\n";
        assert_eq!(setting(file, "GOPROXY"), Some("two,direct"));
        assert_eq!(setting(file, "GOSUMDB"), None);
    }

    #[test]
    fn a_password_is_taken_out_of_what_is_told() {
        let (url, user) = without_password("https://me:se@cret@host:1/a@b");
        assert_eq!((url.as_str(), user.as_deref()), ("https://host:1/a@b", Some("me:se@cret")));
        assert_eq!(without_password("https://host/a@b"), ("https://host/a@b".to_owned(), None));
    }

    #[test]
    fn no_proxy_names_hosts_and_domains() {
        for (list, host, direct) in [
            ("", "example.com:443", false),
            ("", "127.0.0.1:8080", true),
            ("", "localhost", true),
            ("*", "example.com", true),
            ("a, example.com", "example.com:443", true),
            ("example.com", "www.example.com", true),
            (".example.com", "www.example.com", true),
            ("example.com", "badexample.com", false),
            ("example.com:80", "example.com:443", false),
        ] {
            assert_eq!(is_reached_directly(list, host), direct, "{list} {host}");
        }
    }
}
