//! Where tests run: on the machine as it is, or in a root of their own, and what that holds.

use crate::formats::sealed_spec::SealedSpec;
use crate::words::amount::{parse_size, parse_time};
use crate::words::near::suggestion;
use crate::words::problem::Problem;
use crate::words::span::Spanned;
use core::net::IpAddr;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Where a program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunIn {
    /// On the machine as it is.
    Host,
    /// In a root that holds what was declared and nothing else.
    Sealed,
}

/// What programs of the wider world look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum With {
    /// `/etc/hosts` with localhost.
    Hosts,
    /// The machine's `/etc/resolv.conf`.
    Resolver,
    /// The machine's CA certificates.
    Certificates,
    /// `/etc/passwd` and `/etc/group`.
    Users,
}

/// The words of `with`.
pub const WITH: [(&str, With); 4] = [
    ("hosts", With::Hosts),
    ("resolver", With::Resolver),
    ("certificates", With::Certificates),
    ("users", With::Users),
];

/// What the root of a test holds besides the test and its files; what is `None` is as always.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SealedRoot {
    /// What programs of the wider world look for.
    pub with: BTreeSet<With>,
    /// Addresses by name, for `/etc/hosts`.
    pub hosts: BTreeMap<String, String>,
    /// The host's name.
    pub host_name: Option<String>,
    /// Bytes of address space of one process.
    pub address_space: Option<u64>,
    /// Processes and threads, all together.
    pub processes: Option<u64>,
    /// Open files of one process.
    pub open_files: Option<u64>,
    /// Bytes of one file.
    pub file_size: Option<u64>,
    /// Bytes in `/tmp`.
    pub tmp_size: Option<u64>,
    /// Seconds of processor time of one process.
    pub cpu_seconds: Option<u64>,
}

impl SealedRoot {
    /// Checks what a rule file says.
    pub(in crate::model) fn check(spec: &SealedSpec, problems: &mut Vec<Problem>) -> Self {
        let SealedSpec { with, hosts, host_name, limits } = spec;
        let mut this = Self::default();
        for word in with {
            if let Some((_, it)) = WITH.iter().find(|it| it.0 == word.value) {
                this.with.insert(*it);
            } else {
                let names = WITH.map(|it| it.0);
                let message = format!("`{}` is nothing that a root can hold", word.value);
                let problem = Problem::new(message).at(word.span.clone(), "");
                problems.push(problem.hint(suggestion(&word.value, &names)));
            }
        }
        for (name, address) in hosts {
            let is_address = address.value.parse::<IpAddr>().is_ok();
            if is_host(name, problems) && is_address {
                this.hosts.insert(name.value.clone(), address.value.clone());
            } else if !is_address {
                let message = format!("`{}` is no address", address.value);
                let problem = Problem::new(message).at(address.span.clone(), "");
                problems.push(problem.hint("write one as `127.0.0.2` or `::1`"));
            }
        }
        let host_name = host_name.as_ref().filter(|it| is_host(it, problems));
        this.host_name = host_name.map(|it| it.value.clone());
        for (name, text) in limits {
            this.limit(name, text, problems);
        }
        this
    }

    fn limit(&mut self, name: &str, text: &Spanned<String>, problems: &mut Vec<Problem>) {
        let number = |it: &str| it.parse::<u64>().map_err(|_| "a number, as in `100`".to_owned());
        let size = |it: &str| parse_size(it).map_err(|it| it.to_string());
        let value = text.value.as_str();
        let (place, read) = match name {
            "address_space" => (&mut self.address_space, size(value)),
            "processes" => (&mut self.processes, number(value)),
            "open_files" => (&mut self.open_files, number(value)),
            "file_size" => (&mut self.file_size, size(value)),
            "tmp_size" => (&mut self.tmp_size, size(value)),
            _ => {
                let time = parse_time(value).map(|it| it.as_secs());
                (&mut self.cpu_seconds, time.map_err(|it| it.to_string()))
            }
        };
        match read {
            Ok(limit) if limit > 0 => *place = Some(limit),
            other => {
                let wanted = other.err().unwrap_or_else(|| "more than nothing".to_owned());
                let message = format!("`{}` is no limit for `{name}`", text.value);
                let problem = Problem::new(message).at(text.span.clone(), "");
                problems.push(problem.hint(format!("write {wanted}")));
            }
        }
    }
}

/// Tells whether a text can name a host, and reports one that cannot.
fn is_host(name: &Spanned<String>, problems: &mut Vec<Problem>) -> bool {
    let text = name.value.as_str();
    let fits = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '.' | '_');
    // The kernel takes no longer one.
    let is_fine = (1..=64).contains(&text.len()) && text.chars().all(fits);
    if !is_fine {
        let message = format!("`{}` is no name of a host", text.escape_debug());
        let problem = Problem::new(message).at(name.span.clone(), "");
        problems.push(problem.hint("write at most 64 letters, digits, `-`, `.` and `_`"));
    }
    is_fine
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::build_file::{RuleSpec, parse};
    use crate::words::label::PackagePath;
    use crate::words::span::Source;
    use std::sync::Arc;

    /// What `run_in` says, and the messages about it.
    fn checked(run_in: &str) -> (Option<SealedRoot>, Vec<String>) {
        let text =
            format!("build(targets: [go_tests(name: \"t\", packages: [\".\"], run_in: {run_in})])");
        let source = Arc::new(Source { name: String::new(), text });
        let (spec, mut problems) = parse(&source, &PackagePath::root());
        let RuleSpec::GoTests(tests) = &spec.targets[0].rule else { panic!("no tests") };
        let root = tests.sealed.as_ref().map(|it| SealedRoot::check(it, &mut problems));
        (root, problems.into_iter().map(|it| it.message).collect())
    }

    #[test]
    fn a_root_is_what_is_said_of_it() {
        assert_eq!(checked("host"), (None, vec![]));
        assert_eq!(checked("sealed"), (Some(SealedRoot::default()), vec![]));
        assert_eq!(checked("sealed()"), (Some(SealedRoot::default()), vec![]));
        let all = "sealed(with: [users, hosts], hosts: {\"beta\": \"127.0.0.2\"}, \
            host_name: \"alpha\", address_space: \"8G\", processes: \"100\", open_files: \"64\", \
            file_size: \"1M\", tmp_size: \"2M\", cpu_time: \"1m\")";
        let expected = SealedRoot {
            with: BTreeSet::from([With::Hosts, With::Users]),
            hosts: BTreeMap::from([("beta".to_owned(), "127.0.0.2".to_owned())]),
            host_name: Some("alpha".to_owned()),
            address_space: Some(8 << 30),
            processes: Some(100),
            open_files: Some(64),
            file_size: Some(1 << 20),
            tmp_size: Some(2 << 20),
            cpu_seconds: Some(60),
        };
        assert_eq!(checked(all), (Some(expected), vec![]));
    }

    #[test]
    fn what_no_root_can_be_is_refused() {
        for (written, message) in [
            ("docker", "`docker` is not known here"),
            ("\"sealed\"", "here stands a string, not `host(…)`, `sealed(…)`"),
            ("sealed(memory: \"1G\")", "`sealed` has no field `memory`"),
            ("host(with: [hosts])", "`host` has no field `with`"),
            ("sealed(with: [host])", "`host` is nothing that a root can hold"),
            ("sealed(hosts: {\"a\": \"b\"})", "`b` is no address"),
            ("sealed(hosts: {\"a b\": \"::1\"})", "`a b` is no name of a host"),
            ("sealed(host_name: \"\")", "`` is no name of a host"),
            ("sealed(processes: \"0\")", "`0` is no limit for `processes`"),
            ("sealed(processes: \"1G\")", "`1G` is no limit for `processes`"),
            ("sealed(cpu_time: \"1G\")", "`1G` is no limit for `cpu_time`"),
        ] {
            assert_eq!(checked(written).1, [message], "{written}");
        }
    }
}
