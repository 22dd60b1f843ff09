//! What `lw-sealed` is told: words in a file that it alone may read. A command line has less room
//! than thousands of declared files take, and every user of the machine can see it.
//!
//! ```text
//! linkwright lw-sealed outer FILE
//! linkwright lw-sealed init FD UID FILE
//!
//! FILE: [WORD VALUE…]… -- PROGRAM ARGS…, a NUL behind each
//! ```
//!
//! Both ends are one program, so there are no versions. Every setting is said, defaults included.

use super::{Limits, Network, Root};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A program and the root that it is to be started in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) root: Root,
    /// Its place in the root.
    pub(super) program: PathBuf,
    pub(super) args: Vec<OsString>,
    /// Its whole environment.
    pub(super) env: BTreeMap<OsString, OsString>,
    /// Its working folder in the root.
    pub(super) folder: PathBuf,
    /// Where it is told, outside, why there was no sealed run; without one, on stderr.
    pub(super) report: Option<PathBuf>,
}

impl Order {
    /// Returns the words that [`Order::from_words`] understands.
    fn to_words(&self) -> Vec<OsString> {
        let Self { root, program, args, env, folder, report } = self;
        let mut words = of_root(root);
        for (name, value) in env {
            say(&mut words, "env", &[name, value]);
        }
        say(&mut words, "folder", &[folder.as_os_str()]);
        if let Some(report) = report {
            say(&mut words, "report", &[report.as_os_str()]);
        }
        say(&mut words, "--", &[program.as_os_str()]);
        words.extend(args.iter().cloned());
        words
    }

    /// Returns what is in the file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in self.to_words() {
            bytes.extend_from_slice(word.as_encoded_bytes());
            bytes.push(0);
        }
        bytes
    }

    /// Reads the file; `None` if it is not there, or not what [`Order::to_bytes`] says.
    pub(super) fn read(file: &Path) -> Option<Self> {
        let bytes = std::fs::read(file).ok()?;
        let words = bytes.strip_suffix(b"\0")?.split(|it| *it == 0);
        Self::from_words(words.map(|it| OsStr::from_bytes(it).to_owned()))
    }

    /// Reads words; `None` if they are not what [`Order::to_words`] says.
    fn from_words(words: impl Iterator<Item = OsString>) -> Option<Self> {
        let mut words = words;
        let mut order = Self {
            root: Root { limits: Limits::NONE, ..Root::default() },
            program: PathBuf::new(),
            args: Vec::new(),
            env: BTreeMap::new(),
            folder: PathBuf::new(),
            report: None,
        };
        loop {
            let name = words.next()?;
            let value = words.next()?;
            match name.to_str()? {
                "file" => drop(order.root.files.insert(value.into(), words.next()?.into())),
                "empty" => drop(order.root.folders.insert(value.into())),
                "profile" => order.root.profile = Some(value.into()),
                "text" => {
                    let text = words.next()?.into_string().ok()?;
                    order.root.texts.insert(value.into(), text);
                }
                "network" => order.root.network = Network::Of(number(&value)?),
                "host_name" => order.root.host_name = value.into_string().ok()?,
                "user" => order.root.user = number(&value)?,
                "group" => order.root.group = number(&value)?,
                "tmp_size" => order.root.tmp_size = number(&value)?,
                "env" => drop(order.env.insert(value, words.next()?)),
                "folder" => order.folder = value.into(),
                "report" => order.report = Some(value.into()),
                "--" => {
                    order.program = value.into();
                    order.args = words.collect();
                    return Some(order);
                }
                limit => order.root.limits.set(limit, number(&value)?)?,
            }
        }
    }
}

/// Returns the words that say what is in a root.
pub(super) fn of_root(root: &Root) -> Vec<OsString> {
    let Root { files, texts, folders, profile, network, host_name, user, group, tmp_size, limits } =
        root;
    let mut words = Vec::new();
    let mut say = |name: &str, values: &[&OsStr]| say(&mut words, name, values);
    for (inside, outside) in files {
        say("file", &[inside.as_os_str(), outside.as_os_str()]);
    }
    for (inside, text) in texts {
        say("text", &[inside.as_os_str(), text.as_ref()]);
    }
    for inside in folders {
        say("empty", &[inside.as_os_str()]);
    }
    if let Some(outside) = profile {
        say("profile", &[outside.as_os_str()]);
    }
    if let Network::Of(pid) = network {
        say("network", &[pid.to_string().as_ref()]);
    }
    say("host_name", &[host_name.as_ref()]);
    say("user", &[user.to_string().as_ref()]);
    say("group", &[group.to_string().as_ref()]);
    say("tmp_size", &[tmp_size.to_string().as_ref()]);
    for (name, limit) in limits.by_name() {
        if let Some(limit) = limit {
            say(name, &[limit.to_string().as_ref()]);
        }
    }
    words
}

fn say(words: &mut Vec<OsString>, name: &str, values: &[&OsStr]) {
    words.push(name.into());
    words.extend(values.iter().map(|it| (*it).to_owned()));
}

fn number<T: FromStr>(word: &OsStr) -> Option<T> {
    word.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::io::Write as _;
    use std::os::unix::ffi::OsStringExt as _;

    #[test]
    fn what_is_said_is_what_is_heard() {
        let odd = OsString::from_vec(vec![b'/', 0xff, b'\n']);
        let root = Root {
            files: BTreeMap::from([("/bin/a".into(), odd.clone().into())]),
            texts: BTreeMap::from([("/etc/hosts".into(), "127.0.0.1 a\n".to_owned())]),
            folders: BTreeSet::from(["/src".into()]),
            profile: Some("/tmp/p".into()),
            network: Network::Of(7),
            host_name: "alpha".to_owned(),
            user: 5,
            group: 6,
            tmp_size: 7,
            limits: Limits { cpu_seconds: Some(1), open_files: None, ..Limits::default() },
        };
        let order = Order {
            root,
            program: "/bin/a".into(),
            args: vec!["--".into(), "".into(), odd.clone()],
            env: BTreeMap::from([("A".into(), odd)]),
            folder: "/src".into(),
            report: Some("/tmp/r".into()),
        };
        assert_eq!(Order::from_words(order.to_words().into_iter()), Some(order.clone()));
        let plain = Order { root: Root::default(), report: None, args: vec![], ..order.clone() };
        assert_eq!(Order::from_words(plain.to_words().into_iter()), Some(plain.clone()));
        for it in [&order, &plain] {
            let file = tempfile::NamedTempFile::new().unwrap();
            file.as_file().write_all(&it.to_bytes()).unwrap();
            assert_eq!(Order::read(file.path()).as_ref(), Some(it));
        }
        assert_eq!(Order::read(Path::new("/no/such/file")), None);
        let words = plain.to_words();
        for end in 0..words.len() {
            assert_eq!(Order::from_words(words[..end].iter().cloned()), None, "{end} words");
        }
        let odd = ["no_such_word", "1", "--", "/a"].map(OsString::from);
        assert_eq!(Order::from_words(odd.into_iter()), None);
    }
}
