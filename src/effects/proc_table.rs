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

    #[test]
    fn this_process_stands_below_its_parent() {
        let own = rustix::process::getpid();
        let parent = rustix::process::getppid().unwrap();
        assert!(below(parent).contains(&own));
        assert!(!below(own).contains(&parent));
        let session = rustix::process::getsid(None).unwrap();
        assert!(of_session(session).contains(&own));
    }
}
