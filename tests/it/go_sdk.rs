//! Pinned Go toolchains: fetched from a module proxy that behaves, and from those that do not.

use crate::support::{has, manifest_dir};
use crate::test_runs::test_file;
use crate::workspace::{Run, Workspace, holds, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use zip::write::SimpleFileOptions;

/// The real toolchains that `scripts/setup` fetches, with their sums in Go's checksum database.
const OTHER: (&str, &str) = ("1.21.13", "h1:THKeCuuOK6mnQhbTbvvH9CKU3D4lwUERQax+yRXCVJk=");

/// A toolchain that never was.
const NONE: &str = "1.99.0";

const TELLS: &str =
    "package main\n\nimport \"runtime\"\n\nfunc main() { println(runtime.Version()) }\n";

/// What a proxy answers.
#[derive(Clone)]
enum Answer {
    /// This file, whole.
    Whole(Arc<Vec<u8>>),
    /// Its first half, and the end of the connection.
    Half(Arc<Vec<u8>>),
    /// Its first half, and nothing more.
    Stalls(Arc<Vec<u8>>),
    /// A status.
    Status(u16),
}

/// A module proxy on this machine; counts who asks it for a toolchain.
struct Proxy {
    url: String,
    asked: Arc<AtomicUsize>,
}

impl Proxy {
    fn answers(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, counter) = (answer.clone(), Arc::clone(&counter));
                std::thread::spawn(move || serve(stream, &answer, &counter));
            }
        });
        Self { url, asked }
    }
}

fn serve(mut stream: TcpStream, answer: &Answer, counter: &AtomicUsize) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    while lines.next().is_some_and(|it| it.is_ok_and(|it| !it.is_empty())) {}
    let is_toolchain = first.starts_with("GET /golang.org/toolchain/@v/v0.0.1-go1.");
    assert!(is_toolchain && first.contains(".linux-"), "{first}");
    counter.fetch_add(1, Ordering::SeqCst);
    let (status, body, sent) = match answer {
        Answer::Whole(it) => (200, it.as_slice(), it.len()),
        Answer::Half(it) | Answer::Stalls(it) => (200, it.as_slice(), it.len() / 2),
        Answer::Status(it) => (*it, &[][..], 0),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body[..sent]));
    if matches!(answer, Answer::Stalls(_)) {
        // Until the other side goes.
        let _ = stream.read(&mut [0]);
    }
}

/// A zip file of a toolchain module with these files, and its sum.
fn module(version: &str, files: &[(&str, &str)]) -> (Arc<Vec<u8>>, String) {
    let prefix =
        format!("golang.org/toolchain@v0.0.1-go{version}.{}/", platform().replace('/', "-"));
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = zip::ZipWriter::new(&mut bytes);
    let mut lines = Vec::new();
    for (name, text) in files {
        let name = format!("{prefix}{name}");
        let method = zip::CompressionMethod::Deflated;
        writer.start_file(&*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
        let mut line = String::new();
        for byte in Sha256::digest(text) {
            write!(line, "{byte:02x}").unwrap();
        }
        lines.push((name.clone(), format!("{line}  {name}\n")));
    }
    writer.finish().unwrap();
    lines.sort();
    let all: String = lines.into_iter().map(|it| it.1).collect();
    (Arc::new(bytes.into_inner()), format!("h1:{}", STANDARD.encode(Sha256::digest(all))))
}

fn platform() -> &'static str {
    if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" }
}

/// A zip file that `scripts/setup` has fetched; `None` if it has not.
#[track_caller]
pub(crate) fn fetched(version: &str) -> Option<PathBuf> {
    let name = format!("v0.0.1-go{version}.{}.zip", platform().replace('/', "-"));
    let path = proxy_folder().join("golang.org/toolchain/@v").join(name);
    let required = std::env::var_os("REQUIRE_ALL").is_some();
    let is_here = path.is_file() && platform() == "linux/amd64";
    assert!(is_here || !required, "REQUIRE_ALL is set and `{}` is missing", path.display());
    if !is_here {
        println!("passed over: no `{}`", path.display());
    }
    is_here.then_some(path)
}

pub(crate) fn proxy_folder() -> PathBuf {
    manifest_dir().join("target/tools/go-proxy")
}

/// A workspace that pins `version`; `pinned` takes it, `path` the one on PATH.
#[track_caller]
fn pinning(version: &str, fields: &str) -> Option<Workspace> {
    let rules = format!(
        "build(\n    go_sdks: [go_sdk(name: \"it\", version: \"{version}\", {fields})],\n    \
         defaults: (go: \"it\"),\n    targets: [go_binary(name: \"pinned\", link: \"static\"), \
         go_binary(name: \"path\", link: \"static\", go: \"path\")],\n)\n"
    );
    let go_mod = "module example.com/m\n\ngo 1.19\n";
    Workspace::new(&[("BUILD.ron", &rules), ("main.go", TELLS), ("go.mod", go_mod)])
}

pub(crate) fn sums(sum: &str) -> String {
    format!("sums: {{\"{}\": \"{sum}\"}}", platform())
}

fn command(it: &Workspace, store: &Path, proxy: &str, arguments: &[&str]) -> Command {
    let mut command = it.linkwright(&[&["build", "--json"], arguments].concat());
    command.env("GOPROXY", proxy).env("LINKWRIGHT_STORE", store);
    command
}

fn build(it: &Workspace, proxy: &str, arguments: &[&str]) -> Run {
    Run::of(&command(it, &it.store(), proxy, arguments).output().unwrap())
}

/// The toolchains in a store, by the names of their folders.
fn kept(store: &Path) -> Vec<String> {
    let entries = fs::read_dir(store.join("v1/sdk")).into_iter().flatten().flatten();
    let folders = entries.filter(|it| it.path().is_dir());
    folders.map(|it| it.file_name().into_string().unwrap()).collect()
}

#[track_caller]
fn several_test_binaries_by_one_process(it: &Workspace) {
    let rules = it.read("BUILD.ron");
    let tests = "go_tests(name: \"tests\", packages: [\"./...\"], link: \"static\"), go_binary(name: \"path\"";
    it.file("BUILD.ron", &rules.replace("go_binary(name: \"path\"", tests));
    for name in ["a", "b"] {
        let body = "func TestIt(t *testing.T) {}";
        it.file(&format!("{name}/{name}_test.go"), &test_file(name, "", body));
    }
    let mut test = it.linkwright(&["test", "--json"]);
    let run = Run::of(&test.env("GOPROXY", "off").output().unwrap());
    assert_eq!((run.code, run.done()["tests"]["passed"].as_u64()), (0, Some(2)), "{run:#?}");
    assert_eq!(run.links().len(), 1, "{run:#?}");
    it.file("BUILD.ron", &rules);
}

#[test]
fn two_go_versions_in_one_workspace_fetched_once_by_two_linkwrights_and_kept() {
    let Some(zip) = fetched(OTHER.0) else { return };
    let bytes = Arc::new(fs::read(zip).unwrap());
    let proxy = Proxy::answers(Answer::Whole(bytes));
    let Some(it) = pinning(OTHER.0, &sums(OTHER.1)) else { return };
    let Some(twin) = pinning(OTHER.0, &sums(OTHER.1)) else { return };
    let store = it.store();
    let start = |it: &Workspace| {
        let mut command = command(it, &store, &proxy.url, &[]);
        // What would make a plain `go` another one.
        command.env("GOTOOLCHAIN", "go1.98.0").stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let (one, two) = (start(&it), start(&twin));
    for ended in [one, two] {
        let run = Run::of(&ended.wait_with_output().unwrap());
        assert_eq!(run.code, 0, "{run:#?}");
    }
    assert_eq!(proxy.asked.load(Ordering::SeqCst), 1, "it was fetched twice");
    let names = kept(&store);
    assert!(names.len() == 1 && names[0].starts_with("go1.21.13.linux-amd64."), "{names:?}");
    let own = it.go(&["env", "GOVERSION"]);
    let own = text(&own).trim().to_owned();
    assert_eq!(it.says("pinned"), "go1.21.13\n");
    assert_eq!(it.says("path"), format!("{own}\n"));
    let (pinned, path) = (it.record("//:pinned"), it.record("//:path"));
    assert_eq!(
        (&pinned["toolchain"]["go"], &path["toolchain"]["go"]),
        (&"go1.21.13".into(), &own.into())
    );
    assert_eq!(pinned["build_info"]["go_version"], "go1.21.13");
    assert_ne!(pinned["key"], path["key"]);
    assert_eq!(it.bytes("pinned"), twin.bytes("pinned"), "the place of the toolchain got into it");

    // One that asks no program for what was compiled, and makes several test binaries at once.
    assert_eq!(pinned["toolchain"]["go_lacks"].as_array().unwrap().len(), 2, "{pinned:#}");
    several_test_binaries_by_one_process(&it);

    // Nothing changed: no process, and no network either.
    std::thread::sleep(Duration::from_millis(300));
    build(&it, "off", &[]).came("up_to_date 2");
    let idle = build(&it, "off", &[]);
    idle.came("up_to_date 2");
    assert_eq!(idle.done()["recalled"], true, "{idle:#?}");
    let why = it.linkwright(&["why", "//:pinned"]).env("GOPROXY", "off").output().unwrap();
    assert!(why.status.success(), "{}", text(&why));

    // A toolchain that was changed makes nothing; it is set aside, and fetched again.
    let place = store.join("v1/sdk").join(&names[0]);
    let file = place.join("go/src/runtime/extern.go");
    let sound = fs::read_to_string(&file).unwrap();
    fs::write(&file, sound.clone() + "\n// x\n").unwrap();
    let run = build(&it, "off", &["//:pinned"]);
    assert_eq!(run.code, 36, "{run:#?}");
    holds(&run.error("//:pinned"), &["go1.21.13 is pinned and not here", "GOPROXY is `off`"]);
    let folder = format!("file://{}", proxy_folder().display());
    let run = build(&it, &folder, &["//:pinned"]);
    assert_eq!(run.code, 0, "{run:#?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), sound);
    let aside = place.with_file_name(format!("{}.damaged", names[0]));
    assert_ne!(fs::read_to_string(aside.join("go/src/runtime/extern.go")).unwrap(), sound);
}

#[test]
fn what_is_not_the_go_that_was_declared_is_not_taken() {
    let (good, sum) = module(NONE, &[("VERSION", "go1.99.0\n"), ("bin/go", "#!/bin/sh\nexit 1\n")]);
    let (other, other_sum) = module(NONE, &[("VERSION", "go1.25.0\n"), ("bin/go", "x")]);
    let (slip, slip_sum) = module(NONE, &[("VERSION", "go1.99.0\n"), ("../../../evil", "x")]);
    let garbage = Arc::new(b"<html>a portal</html>".to_vec());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let closed = format!("http://me:secret@{closed}");
    let at = |answer: Answer| Proxy::answers(answer).url;
    let absent = || at(Answer::Status(404));
    let broken = || at(Answer::Status(500));
    let whole = |bytes: &Arc<Vec<u8>>| at(Answer::Whole(Arc::clone(bytes)));
    let cases = [
        (absent(), sums(&sum), 36, "is not there (404)"),
        (broken(), sums(&sum), 36, "answers 500"),
        (format!("{},{}", broken(), whole(&good)), sums(&sum), 36, "answers 500"),
        (closed.clone(), sums(&sum), 36, "GOPROXY=file:///"),
        ("off".to_owned(), sums(&sum), 36, "GOPROXY is `off`"),
        (
            whole(&good),
            String::new(),
            36,
            "go mod download -json golang.org/toolchain@v0.0.1-go1.99.0.linux-",
        ),
        (at(Answer::Half(Arc::clone(&good))), sums(&sum), 36, "broke off"),
        (whole(&good), sums(OTHER.1), 11, "its sum is `h1:"),
        (format!("{}|{}", broken(), whole(&other)), sums(&sum), 11, "its sum is `h1:"),
        (
            format!("{},{}", absent(), whole(&other)),
            sums(&other_sum),
            11,
            "holds go1.25.0, not go1.99.0",
        ),
        (whole(&slip), sums(&slip_sum), 11, "could lie outside of its folder"),
        (whole(&garbage), sums(&sum), 11, "the archive is damaged"),
    ];
    for (proxy, fields, code, words) in cases {
        let Some(it) = pinning(NONE, &fields) else { return };
        let run = build(&it, &proxy, &["//:pinned"]);
        let error = run.error("//:pinned");
        assert_eq!(run.code, code, "{words}: {run:#?}");
        holds(&error, &[words]);
        assert!(!format!("{run:?}").contains("secret"), "{run:#?}");
        assert_eq!(kept(&it.store()), Vec::<String>::new(), "{words}");
        assert!(!it.home().join("evil").exists() && !it.store().join("evil").exists());
    }
}

#[test]
fn a_whole_archive_is_kept_though_its_go_does_not_run_and_a_dry_run_fetches_none() {
    let (good, sum) = module(NONE, &[("VERSION", "go1.99.0\n"), ("bin/go", "#!/bin/sh\nexit 3\n")]);
    let proxy = Proxy::answers(Answer::Whole(good));
    let Some(it) = pinning(NONE, &sums(&sum)) else { return };
    let run = build(&it, &proxy.url, &["--dry-run", "//:pinned"]);
    assert_eq!((run.code, proxy.asked.load(Ordering::SeqCst)), (36, 0), "{run:#?}");
    holds(&run.error("//:pinned"), &["a dry run fetches nothing", "`linkwright build` fetches it"]);
    let run = build(&it, &proxy.url, &["//:pinned"]);
    assert_eq!(run.code, 1, "{run:#?}");
    holds(&run.error("//:pinned"), &["`go env -json` failed"]);
    assert_eq!(kept(&it.store()).len(), 1);
}

/// A server of the folder `at` by TLS, with a certificate that an authority of its own signed.
struct Secure {
    server: std::process::Child,
    url: String,
}

impl Secure {
    fn of(at: &Path) -> Self {
        let openssl = |words: &str| {
            let mut command = Command::new("openssl");
            let new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
            command.args(new.split(' ')).args(words.split(' ')).current_dir(at);
            let output = command.output().unwrap();
            assert!(output.status.success(), "{output:?}");
        };
        for authority in ["ours", "another"] {
            let files =
                format!("-keyout {authority}.key -out {authority}.pem -subj /CN={authority}");
            openssl(&format!("{files} -addext basicConstraints=critical,CA:TRUE"));
        }
        openssl(
            "-CA ours.pem -CAkey ours.key -keyout own.key -out own.pem -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE",
        );
        let mut command = Command::new("openssl");
        command.args("s_server -accept 127.0.0.1:0 -cert own.pem -key own.key -WWW".split(' '));
        command.current_dir(at).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = command.spawn().unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let address = lines.find_map(|it| Some(it.unwrap().strip_prefix("ACCEPT ")?.to_owned()));
        let url = format!("https://{}", address.unwrap());
        // It goes on to tell what it is asked.
        std::thread::spawn(move || lines.for_each(drop));
        Self { server, url }
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}

/// As from go.dev: a `.tar.gz` by HTTPS, from a server that a known authority vouches for, and with
/// the sum that was declared.
#[test]
fn an_archive_by_https_is_taken_from_a_server_that_is_known_and_no_other() {
    if !has("openssl") || !has("tar") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::create_dir_all(at.join("go/bin")).unwrap();
    fs::write(at.join("go/VERSION"), "go1.99.0\n").unwrap();
    fs::write(at.join("go/bin/go"), "#!/bin/sh\nexit 3\n").unwrap();
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(at.join("go/bin/go"), mode).unwrap();
    let tar = Command::new("tar").args(["-czf", "go.tar.gz", "go"]).current_dir(at).status();
    assert!(tar.unwrap().success());
    let mut sum = "sha256:".to_owned();
    for byte in Sha256::digest(fs::read(at.join("go.tar.gz")).unwrap()) {
        write!(sum, "{byte:02x}").unwrap();
    }
    let secure = Secure::of(at);
    let urls = format!("urls: {{\"{}\": \"{}/go.tar.gz\"}}", platform(), secure.url);
    let wrong = format!("sha256:{}", "0".repeat(64));
    for (authority, sum, code, words, count) in [
        ("another.pem", &sum, 36, "certificate", 0),
        ("ours.pem", &wrong, 11, "its sum is `sha256:", 0),
        // It is there, and ends as it says.
        ("ours.pem", &sum, 1, "`go env -json` failed", 1),
    ] {
        let Some(it) = pinning(NONE, &format!("{}, {urls}", sums(sum))) else { return };
        let mut command = command(&it, &it.store(), "off", &["//:pinned"]);
        let run = Run::of(&command.env("SSL_CERT_FILE", at.join(authority)).output().unwrap());
        assert_eq!(run.code, code, "{words}: {run:#?}");
        holds(&run.error("//:pinned"), &[words]);
        assert_eq!(kept(&it.store()).len(), count, "{words}");
    }
}

#[test]
fn a_go_on_path_that_is_the_pinned_one_is_taken_without_a_sum() {
    let Some(it) = Workspace::new(&[]) else { return };
    let own = text(&it.go(&["env", "GOVERSION"])).trim().to_owned();
    let Some(it) = pinning(own.trim_start_matches("go"), "") else { return };
    let run = build(&it, "off", &[]);
    assert_eq!(run.code, 0, "{run:#?}");
    assert_eq!(it.record("//:pinned")["toolchain"]["go"], own);
    assert_eq!(it.record("//:pinned")["key"], it.record("//:path")["key"].clone());
}

#[test]
fn an_interrupt_ends_a_wait_for_a_server_that_says_no_more() {
    let (good, sum) = module(NONE, &[("VERSION", "go1.99.0\n"), ("bin/go", "x")]);
    let proxy = Proxy::answers(Answer::Stalls(good));
    let Some(it) = pinning(NONE, &sums(&sum)) else { return };
    let mut command = command(&it, &it.store(), &proxy.url, &["//:pinned"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while proxy.asked.load(Ordering::SeqCst) == 0 {
        assert!(begun.elapsed() < Duration::from_mins(1), "nobody asked");
        std::thread::sleep(Duration::from_millis(20));
    }
    let process = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    // Not SIGINT, which what runs in the background of a script ignores.
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    let asked = Instant::now();
    let run = Run::of(&child.wait_with_output().unwrap());
    assert_eq!(run.code, 8, "{run:#?}");
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    assert_eq!(kept(&it.store()), Vec::<String>::new());
}
