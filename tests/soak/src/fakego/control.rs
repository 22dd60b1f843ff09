//! What the stand-in is told to do wrong: the file `control` in its root, one order a line.
//!
//! | order | does |
//! |---|---|
//! | `sleep MS` | waits before it writes |
//! | `fail` | writes half of an output, says that the package failed, exits with 1 |
//! | `fail-silently` | writes half of an output and exits with 1, without a word |
//! | `die` | writes half of an output and ends itself with SIGKILL |
//! | `edit PATH=HEX` | writes a file of the workspace after it has read all sources |
//! | `edit-first PATH=HEX` | writes a file of the workspace before it reads a source |
//! | `crash-list` | ends itself with SIGKILL in the middle of `go list` |
//! | `orphan PATH` | leaves a child behind that writes PATH when it is let live for 3 s |
//!
//! An order is carried out once: the file goes when a command that it concerns has read it.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The orders of one call.
#[derive(Debug, Default)]
pub(super) struct Told {
    orders: Vec<(String, String)>,
}

/// Takes the orders, if they concern `command`: those of `list` name it, all others are `build`'s.
pub(super) fn take(root: &Path, command: &str) -> Told {
    let path = root.join("control");
    let Ok(text) = fs::read_to_string(&path) else { return Told::default() };
    let is_for_list = text.starts_with("crash-list");
    if is_for_list != (command == "list") || fs::remove_file(&path).is_err() {
        return Told::default();
    }
    let order = |it: &str| {
        let (name, rest) = it.split_once(' ').unwrap_or((it, ""));
        (name.to_owned(), rest.to_owned())
    };
    Told { orders: text.lines().map(order).collect() }
}

impl Told {
    fn order(&self, name: &str) -> Option<&str> {
        self.orders.iter().find(|it| it.0 == name).map(|it| it.1.as_str())
    }

    /// Before `go list` prints.
    pub(super) fn before_output(&self) {
        if self.order("crash-list").is_some() {
            print!("{{\"ImportPath\": \"cut");
            let _ = std::io::stdout().flush();
            die();
        }
    }

    /// Before a source is read.
    pub(super) fn before_reading(&self, folder: &Path) {
        self.edit("edit-first", folder);
    }

    fn edit(&self, order: &str, folder: &Path) {
        let edits = self.orders.iter().filter(|it| it.0 == order);
        for (path, hex) in edits.filter_map(|it| it.1.split_once('=')) {
            let path = folder.join(path);
            let _ = path.parent().map(fs::create_dir_all);
            let _ = fs::write(path, from_hex(hex));
        }
    }

    /// Between reading the sources and writing anything.
    pub(super) fn after_reading(&self, folder: &Path) {
        self.edit("edit", folder);
        if let Some(path) = self.order("orphan") {
            let script = format!("sleep 3; echo alive > '{path}'");
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", &script]).stdin(Stdio::null());
            let _ = shell.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        }
        if let Some(time) = self.order("sleep").and_then(|it| it.parse().ok()) {
            std::thread::sleep(Duration::from_millis(time));
        }
    }

    /// Writes an output, or half of it; returns the exit code.
    pub(super) fn write(&self, path: &Path, bytes: &[u8], package: &str) -> u8 {
        let half = &bytes[..bytes.len() / 2];
        let (bytes, code) = if self.order("fail").is_some() {
            super::complain(package, "the disk is on fire");
            (half, 1)
        } else if self.order("fail-silently").is_some() {
            (half, 1)
        } else if self.order("die").is_some() {
            (half, 0)
        } else {
            (bytes, 0)
        };
        if let Err(error) = fs::write(path, bytes) {
            super::complain(package, &format!("{}: {error}", path.display()));
            return 1;
        }
        code
    }

    /// After everything was written.
    pub(super) fn at_end(&self) {
        if self.order("die").is_some() {
            die();
        }
    }
}

/// Ends this process as the system does when memory runs out.
fn die() {
    let own = std::process::id().to_string();
    let _ = Command::new("/bin/sh").args(["-c", "kill -9 \"$1\"", "sh", &own]).status();
}

fn from_hex(text: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).filter_map(byte).collect()
}

/// Writes bytes as an order holds them.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}
