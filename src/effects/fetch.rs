//! Files from elsewhere: `https`, `http` and `file` URLs, into a file that the caller checks.
//!
//! | bound | what it ends |
//! |---|---|
//! | connecting | a host that does not answer |
//! | silence | a server that stops in the middle |
//! | the whole | one that sends a byte a minute |
//! | bytes | one that never stops |
//!
//! What came is only bytes: whoever asked holds a digest against them. The request runs on a thread
//! of its own, so that a wait can be ended, by an interrupt too; one that hangs ends with us.
//!
//! Certificates are those of the machine, found as Go finds them; proxies are those that the
//! caller's variables name.

use crate::formats::module_proxy::{is_reached_directly, without_password};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

/// How often a wait looks whether it must end.
const TICK: Duration = Duration::from_millis(50);

/// The longest file of certificates that is read.
const CERTIFICATES_LIMIT: u64 = 16 << 20;

/// Where systems keep the certificates that they trust.
///
/// # Source
///
/// `crypto/x509/root_linux.go`.
const CERTIFICATES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What a fetch may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Until the connection stands.
    pub connecting: Duration,
    /// Without a byte.
    pub silence: Duration,
    /// For all of it.
    pub whole: Duration,
    /// Bytes.
    pub bytes: u64,
}

/// How a URL is reached: the caller's variables, and a word that ends a wait.
pub struct Network<'a> {
    /// The variables.
    pub caller: &'a BTreeMap<OsString, OsString>,
    /// Tells whether the wait must end at once.
    pub stop: &'a dyn Fn() -> bool,
}

/// Why a file did not come.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The server says that there is no such file.
    #[error("`{0}` is not there ({1})")]
    NotThere(String, u16),
    /// The server says another thing than the file.
    #[error("`{0}`: the server answers {1}")]
    Refused(String, u16),
    /// It cannot be reached, or what it sends breaks off.
    #[error("`{0}`: {1}")]
    Broken(String, String),
    /// It takes too long.
    #[error("`{url}`: {what} for {} seconds", .limit.as_secs_f32())]
    TooLong {
        /// The URL.
        url: String,
        /// What it did so long.
        what: &'static str,
        /// How long.
        limit: Duration,
    },
    /// It is longer than it may be.
    #[error("`{0}` is longer than {1} bytes")]
    TooLarge(String, u64),
    /// The file cannot be written here.
    #[error("cannot write what is fetched")]
    Write(#[source] io::Error),
    /// The run was interrupted.
    #[error("interrupted")]
    Stopped,
}

/// What the thread tells.
enum Told {
    /// The status, and the length if it is said.
    Head(u16, Option<u64>),
    Bytes(Vec<u8>),
    End,
    Failed(String),
}

/// Fetches `url` into `file`; returns how many bytes came.
///
/// # Errors
///
/// Returns [`FetchError`] if it did not come whole, or not in time.
pub fn fetch(
    url: &str,
    file: &mut File,
    bounds: &Bounds,
    network: &Network<'_>,
) -> Result<u64, FetchError> {
    let (shown, user) = without_password(url);
    let broken = |why: String| FetchError::Broken(shown.clone(), why);
    if let Some(path) = url.strip_prefix("file://") {
        return copy(Path::new(&percent_decoded(path)), &shown, file, bounds);
    }
    let agent = agent(&shown, bounds, network).map_err(broken)?;
    let (tell, told) = sync_channel(16);
    let asked = shown.clone();
    // Left to itself where it hangs: the global limit of the request ends it, or our own end does.
    std::thread::spawn(move || ask(&agent, &asked, user.as_deref(), &tell));
    receive(&told, &shown, file, bounds, network)
}

/// Takes what the thread tells, for as long as the bounds allow.
fn receive(
    told: &Receiver<Told>,
    url: &str,
    file: &mut File,
    bounds: &Bounds,
    network: &Network<'_>,
) -> Result<u64, FetchError> {
    let broken = |why: String| FetchError::Broken(url.to_owned(), why);
    let too_long = |what, limit| FetchError::TooLong { url: url.to_owned(), what, limit };
    let begun = Instant::now();
    let mut heard = begun;
    let (mut length, mut came) = (None, 0_u64);
    loop {
        if (network.stop)() {
            return Err(FetchError::Stopped);
        }
        if begun.elapsed() > bounds.whole {
            return Err(too_long("it has been coming", bounds.whole));
        }
        let it = match told.recv_timeout(TICK) {
            Ok(it) => it,
            Err(RecvTimeoutError::Timeout) if heard.elapsed() > bounds.silence => {
                return Err(too_long("nothing came", bounds.silence));
            }
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return Err(broken("it broke off".to_owned())),
        };
        heard = Instant::now();
        match it {
            Told::Head(200, said) => length = said,
            Told::Head(code @ (404 | 410), _) => {
                return Err(FetchError::NotThere(url.to_owned(), code));
            }
            Told::Head(code, _) => return Err(FetchError::Refused(url.to_owned(), code)),
            Told::Bytes(bytes) => {
                came += bytes.len() as u64;
                if came > bounds.bytes {
                    return Err(FetchError::TooLarge(url.to_owned(), bounds.bytes));
                }
                file.write_all(&bytes).map_err(FetchError::Write)?;
            }
            Told::Failed(why) if came == 0 => return Err(broken(why)),
            Told::Failed(why) => {
                return Err(broken(format!("it broke off after {came} bytes: {why}")));
            }
            Told::End => match length.filter(|it| *it != came) {
                Some(said) => {
                    return Err(broken(format!("it broke off after {came} of {said} bytes")));
                }
                None => return Ok(came),
            },
        }
    }
}

/// Asks for a URL and tells what comes, until nobody listens.
fn ask(agent: &ureq::Agent, url: &str, user: Option<&str>, tell: &SyncSender<Told>) {
    let mut request = agent.get(url);
    if let Some(user) = user {
        let word = STANDARD.encode(percent_decoded(user).as_encoded_bytes());
        request = request.header("Authorization", format!("Basic {word}"));
    }
    let response = match request.call() {
        Ok(response) => response,
        Err(error) => {
            let _ = tell.send(Told::Failed(error.to_string()));
            return;
        }
    };
    let header = response.headers().get("content-length");
    let length = header.and_then(|it| it.to_str().ok()).and_then(|it| it.trim().parse().ok());
    if tell.send(Told::Head(response.status().as_u16(), length)).is_err() {
        return;
    }
    let mut body = response.into_body().into_reader();
    loop {
        let mut bytes = vec![0; 64 << 10];
        let told = match body.read(&mut bytes) {
            Ok(0) => Told::End,
            Ok(count) => {
                bytes.truncate(count);
                Told::Bytes(bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Told::Failed(error.to_string()),
        };
        let is_last = !matches!(told, Told::Bytes(_));
        if tell.send(told).is_err() || is_last {
            return;
        }
    }
}

/// Makes what asks: the machine's certificates, the caller's proxy.
fn agent(url: &str, bounds: &Bounds, network: &Network<'_>) -> Result<ureq::Agent, String> {
    let get = |name: &str| network.caller.get(OsStr::new(name)).filter(|it| !it.is_empty());
    let is_secure = url.starts_with("https://");
    let host = url.split("://").nth(1).and_then(|it| it.split('/').next()).unwrap_or_default();
    let no_proxy = get("NO_PROXY").or_else(|| get("no_proxy"));
    let no_proxy = no_proxy.map(|it| it.to_string_lossy()).unwrap_or_default();
    let names =
        if is_secure { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
    let proxy =
        names.iter().find_map(|it| get(it)).filter(|_| !is_reached_directly(&no_proxy, host));
    let proxy = match proxy.map(|it| it.to_string_lossy()) {
        Some(text) => Some(ureq::Proxy::new(&text).map_err(|it| format!("{}: {it}", names[0]))?),
        None => None,
    };
    let mut config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_resolve(Some(bounds.connecting))
        .timeout_connect(Some(bounds.connecting))
        .timeout_recv_response(Some(bounds.silence))
        // Ends the thread; whoever waits for it has gone by then.
        .timeout_global(Some(bounds.whole + bounds.silence))
        .user_agent(concat!("linkwright/", env!("CARGO_PKG_VERSION")))
        .proxy(proxy);
    // A redirection may lead from one to the other.
    match certificates(get("SSL_CERT_FILE").map(PathBuf::from), get("SSL_CERT_DIR")) {
        Ok(roots) => {
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        Err(why) if is_secure => return Err(why),
        Err(_) => {}
    }
    Ok(config.build().into())
}

/// Reads the certificates that the machine trusts.
fn certificates(file: Option<PathBuf>, folder: Option<&OsString>) -> Result<RootCerts, String> {
    let mut files: Vec<PathBuf> = match file {
        Some(file) => vec![file],
        None => CERTIFICATES.iter().map(PathBuf::from).filter(|it| it.is_file()).take(1).collect(),
    };
    let folders = folder.map(std::env::split_paths).into_iter().flatten();
    let mut found = read_certificates(&files);
    if found.is_empty() {
        let entries = folders.filter_map(|it| std::fs::read_dir(it).ok()).flatten().flatten();
        files = entries.map(|it| it.path()).filter(|it| it.is_file()).collect();
        found = read_certificates(&files);
    }
    if found.is_empty() {
        let hint = "install `ca-certificates`, or name a file by SSL_CERT_FILE";
        return Err(format!(
            "there are no certificates on this machine to know a server by; {hint}"
        ));
    }
    Ok(RootCerts::new_with_certs(&found))
}

fn read_certificates(files: &[PathBuf]) -> Vec<ureq::tls::Certificate<'static>> {
    let read = |path: &PathBuf| {
        let mut bytes = Vec::new();
        let file = File::open(path).ok()?;
        file.take(CERTIFICATES_LIMIT).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    };
    let mut found = Vec::new();
    for bytes in files.iter().filter_map(read) {
        found.extend(parse_pem(&bytes).filter_map(|it| match it {
            Ok(PemItem::Certificate(it)) => Some(it),
            _ => None,
        }));
    }
    found
}

fn copy(path: &Path, url: &str, to: &mut File, bounds: &Bounds) -> Result<u64, FetchError> {
    use rustix::fs::{Mode, OFlags};
    let broken = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => FetchError::NotThere(url.to_owned(), 404),
        _ => FetchError::Broken(url.to_owned(), error.to_string()),
    };
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|it| broken(it.into()))?;
    let file = File::from(file);
    if !file.metadata().map_err(broken)?.is_file() {
        return Err(broken(io::Error::other("not a regular file")));
    }
    let mut file = file.take(bounds.bytes + 1);
    let mut buffer = vec![0; 1 << 20];
    let mut came = 0;
    loop {
        let count = file.read(&mut buffer).map_err(broken)?;
        came += count as u64;
        if came > bounds.bytes {
            return Err(FetchError::TooLarge(url.to_owned(), bounds.bytes));
        }
        if count == 0 {
            return Ok(came);
        }
        to.write_all(buffer.get(..count).unwrap_or_default()).map_err(FetchError::Write)?;
    }
}

/// Reads `%2F` as `/`; what is no such word stays.
fn percent_decoded(text: &str) -> OsString {
    use std::os::unix::ffi::OsStringExt as _;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let code = behind.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|it| std::str::from_utf8(it).ok());
        let byte = code.and_then(|it| u8::from_str_radix(it, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { behind.get(2..).unwrap_or_default() } else { behind };
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek as _, SeekFrom};
    use std::net::TcpListener;

    const BOUNDS: Bounds = Bounds {
        connecting: Duration::from_secs(5),
        silence: Duration::from_millis(400),
        whole: Duration::from_secs(2),
        bytes: 1000,
    };

    /// Serves one answer to each of `answers`; each part of it after a pause of so many
    /// milliseconds. The connection stays open for as long as the last part's pause.
    fn serve(answers: Vec<Vec<(u64, &'static str)>>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/a.zip", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                for (pause, part) in answer {
                    std::thread::sleep(Duration::from_millis(pause));
                    let _ = stream.write_all(part.as_bytes());
                }
            }
        });
        url
    }

    fn came(url: &str, stop: &dyn Fn() -> bool) -> Result<String, String> {
        let mut file = tempfile::tempfile().unwrap();
        let caller = BTreeMap::new();
        let network = Network { caller: &caller, stop };
        let count = fetch(url, &mut file, &BOUNDS, &network).map_err(|it| it.to_string())?;
        let mut text = String::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text.len() as u64, count);
        Ok(text)
    }

    #[track_caller]
    fn fails(answer: Vec<(u64, &'static str)>, words: &str) {
        let url = serve(vec![answer]);
        let begun = Instant::now();
        let error = came(&url, &|| false).unwrap_err();
        assert!(error.contains(words), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    }

    #[test]
    fn a_whole_answer_comes_whole_after_a_redirection_too() {
        let url = serve(vec![
            vec![(
                0,
                "HTTP/1.1 302 Found\r\nLocation: /b.zip\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            )],
            vec![(0, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"), (50, "llo")],
        ]);
        assert_eq!(came(&url, &|| false).unwrap(), "hello");
        let url = serve(vec![vec![(0, "HTTP/1.0 200 OK\r\n\r\nuntil the end")]]);
        assert_eq!(came(&url, &|| false).unwrap(), "until the end");
    }

    #[test]
    fn an_answer_that_is_cut_stalls_trickles_or_never_ends_is_none() {
        fails(
            vec![(0, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")],
            "is not there (404)",
        );
        fails(vec![(0, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")], "answers 500");
        fails(vec![(0, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")], "");
        fails(
            vec![(0, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), (3000, "")],
            "nothing came",
        );
        fails(vec![(3000, "")], "");
        let head = vec![(0, "HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n")];
        let trickle = head.into_iter().chain((0..15).map(|_| (250, "x"))).collect();
        fails(trickle, "for 2 seconds");
        let long: &'static str = Box::leak("x".repeat(2000).into_boxed_str());
        fails(vec![(0, "HTTP/1.0 200 OK\r\n\r\n"), (0, long)], "longer than 1000 bytes");
        fails(vec![(0, "no http at all\r\n\r\n")], "");
    }

    #[test]
    fn an_interrupt_ends_a_wait_and_a_closed_port_is_told() {
        let url = serve(vec![vec![(3000, "")]]);
        let begun = Instant::now();
        let stop = || begun.elapsed() > Duration::from_millis(100);
        assert_eq!(came(&url, &stop).unwrap_err(), "interrupted");
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = came(&format!("http://me:secret@{closed}/x"), &|| false).unwrap_err();
        assert!(error.contains(&closed.to_string()) && !error.contains("secret"), "{error}");
    }

    #[test]
    fn a_file_is_copied_and_what_is_none_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a b.zip");
        crate::effects::file::write_new(&path, b"bytes").unwrap();
        let url = format!("file://{}/a%20b.zip", folder.path().display());
        assert_eq!(came(&url, &|| false).unwrap(), "bytes");
        assert!(came(&format!("{url}x"), &|| false).unwrap_err().contains("not there"));
        assert!(came("file:///dev/zero", &|| false).unwrap_err().contains("not a regular file"));
        crate::effects::file::write_over(&path, &[b'x'; 1001]).unwrap();
        assert!(came(&url, &|| false).unwrap_err().contains("longer than"));
    }
}
