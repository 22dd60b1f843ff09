//! The processes of this machine, as `/proc` lists them: who is whose child.
//!
//! The whole table is read, not `/proc/PID/task/TID/children`: that list is complete only while
//! nothing changes (`man 5 proc`), and a kernel may be built without it. A table that cannot be
//! read is an empty one.

use rustix::process::Pid;
use std::collections::BTreeMap;

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: Pid,
    /// The number of its parent; 0 has none.
    pub parent: i32,
    /// The number of its session.
    pub session: i32,
}

/// Returns every process.
#[must_use]
pub fn read() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|it| it.file_name().to_str()?.parse::<i32>().ok());
    numbers
        .filter_map(|pid| parse(pid, &std::fs::read(format!("/proc/{pid}/stat")).ok()?))
        .collect()
}

/// Returns the processes below `root`, itself not included, however many generations down.
#[must_use]
pub fn below(root: Pid) -> Vec<Pid> {
    let mut children: BTreeMap<i32, Vec<Pid>> = BTreeMap::new();
    for it in read() {
        children.entry(it.parent).or_default().push(it.pid);
    }
    let (mut found, mut open) = (Vec::new(), vec![root]);
    while let Some(pid) = open.pop() {
        // Taken out, so that a table that was read while pids changed hands cannot lead in a ring.
        let next = children.remove(&pid.as_raw_nonzero().get()).unwrap_or_default();
        found.extend(&next);
        open.extend(next);
    }
    found
}

/// Returns the processes of the session that `leader` began.
#[must_use]
pub fn of_session(leader: Pid) -> Vec<Pid> {
    let number = leader.as_raw_nonzero().get();
    read().into_iter().filter(|it| it.session == number).map(|it| it.pid).collect()
}

/// Reads `/proc/PID/stat`: `PID (NAME) STATE PARENT GROUP SESSION …`. The name may hold anything,
/// brackets and line ends included; the last bracket ends it.
fn parse(pid: i32, stat: &[u8]) -> Option<Process> {
    let end = stat.iter().rposition(|it| *it == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    let mut words = rest.split_whitespace().skip(1);
    let parent = words.next()?.parse().ok()?;
    let session = words.nth(1)?.parse().ok()?;
    Some(Process { pid: Pid::from_raw(pid)?, parent, session })
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests start a child of their own")]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_hides_nothing() {
        let stat = b"17 (a) S 1 2 3 (b\n) R 5 6 7 8 9\n";
        let process = parse(17, stat).unwrap();
        assert_eq!((process.parent, process.session), (5, 7));
        assert_eq!(parse(17, b"17 (a"), None);
        assert_eq!(parse(17, b"17 (a) R 5"), None);
    }

    /// The parent of this process and the leader of its session may stand outside of its pid
    /// namespace, where both numbers read as 0; so a child is looked for.
    #[test]
    fn a_child_stands_below_its_parent_and_in_the_session_that_it_began() {
        let mut child = std::process::Command::new("setsid").args(["sleep", "60"]).spawn().unwrap();
        let pid = Pid::from_child(&child);
        let own = rustix::process::getpid();
        let children = below(own);
        let nothing_below = !below(pid).contains(&own);
        let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while of_session(pid).is_empty() && std::time::Instant::now() < end {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let session = of_session(pid);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(children.contains(&pid));
        assert!(nothing_below);
        assert_eq!(session, [pid]);
    }
}
