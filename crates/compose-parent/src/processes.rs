//! Who descends from whom, from `/proc`.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use rustix::process::{Pid, Signal, kill_process};

/// A process, also when its number is given to another one later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id {
    pub(crate) pid: Pid,
    /// When it started, in clock ticks since the machine did.
    started: u64,
}

/// What proc_pid_stat(5) tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) id: Id,
    pub(crate) parent: i32,
    group: i32,
    session: i32,
    state: u8,
}

impl Process {
    pub(crate) fn read(pid: Pid) -> Option<Self> {
        parse(pid, &fs::read(of(pid, "stat")).ok()?)
    }

    /// It has ended, and only its parent has not asked how.
    fn is_over(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }

    /// Sends a signal; `false`: it is gone, or another user's.
    pub(crate) fn signal(&self, signal: Signal) -> bool {
        kill_process(self.id.pid, signal).is_ok()
    }

    /// Does it ignore SIGINT? The shell's background jobs do, and daemons.
    pub(crate) fn ignores_interrupts(&self) -> bool {
        let status = fs::read_to_string(of(self.id.pid, "status")).unwrap_or_default();
        let mask = status
            .lines()
            .find_map(|line| line.strip_prefix("SigIgn:"))
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask & (1 << (Signal::INT.as_raw() - 1)) != 0)
    }

    /// Is it a child that `main` has forked and that has not become its own program yet?
    pub(crate) fn is_copy_of(&self, main: Pid) -> bool {
        let exe = |pid| fs::read_link(of(pid, "exe")).ok();
        let words = |pid| fs::read(of(pid, "cmdline")).ok();
        self.parent == main.as_raw_pid() && exe(self.id.pid) == exe(main) && words(self.id.pid) == words(main)
    }

    /// Its name and number, for messages.
    pub(crate) fn shown(&self) -> String {
        let name = fs::read(of(self.id.pid, "comm")).unwrap_or_default();
        let name = String::from_utf8_lossy(&name);
        let plain: String = name.trim_end().chars().filter(|c| !c.is_control()).collect();
        format!("{plain} ({})", self.id.pid.as_raw_pid())
    }
}

/// Nobody where `/proc` shows another namespace: its numbers would be other processes here.
fn all() -> impl Iterator<Item = Process> {
    let own = rustix::process::getpid().as_raw_pid().to_string();
    let is_ours = fs::read_link("/proc/self").is_ok_and(|name| name.as_os_str() == own.as_str());
    let proc = is_ours.then(|| fs::read_dir("/proc").ok()).flatten();
    let numbers = proc.into_iter().flatten().flatten();
    let numbers = numbers.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
    numbers.filter_map(Process::read)
}

/// Everybody below this process who has not ended, parents before their children.
pub(crate) fn descendants(ancestor: Pid) -> Vec<Process> {
    let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
    for process in all() {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = children.remove(&ancestor.as_raw_pid()).unwrap_or_default();
    let mut at = 0;
    while let Some(process) = found.get(at) {
        let below = children.remove(&process.id.pid.as_raw_pid());
        found.extend(below.into_iter().flatten());
        at += 1;
    }
    found.retain(|process| !process.is_over());
    found
}

/// A process's group; `None` where its leader is outside of this process's namespace, which getpgrp(2) yields as 0 and rustix does not
/// expect.
pub(crate) fn group(pid: Pid) -> Option<Pid> {
    Process::read(pid).and_then(|process| Pid::from_raw(process.group))
}

/// Is this PID 1, and every other process one of its own? Those that come into a container from outside have no parent in it.
pub(crate) fn are_ours_alone() -> bool {
    rustix::process::getpid() == Pid::INIT && all().filter(|process| process.parent == 0).count() == 1
}

/// What a process has written so far, to files and everything else, in bytes (proc_pid_io(5)).
pub(crate) fn bytes_written(pid: Pid) -> Option<u64> {
    let io = fs::read_to_string(of(pid, "io")).ok()?;
    io.lines()
        .find_map(|line| line.strip_prefix("wchar: "))?
        .trim()
        .parse()
        .ok()
}

/// Could somebody continue this process if it were stopped? The kernel stops no member of a group whose members' parents are
/// all in the group or in other sessions: no shell with job control is there.
pub(crate) fn has_job_control(own: Pid) -> bool {
    let Some(process) = Process::read(own) else {
        return false;
    };
    let mut above = process;
    while above.group == process.group {
        match Pid::from_raw(above.parent).and_then(Process::read) {
            Some(parent) => above = parent,
            None => return false,
        }
    }
    above.session == process.session
}

/// Does `main` read what one of these writes, through a pipe or a terminal of its own? Then it must not stand still: a full
/// pipe would keep the writer.
pub(crate) fn reads_from(main: Pid, tools: &[Process]) -> bool {
    let Ok(open) = fs::read_dir(of(main, "fd")) else {
        // As BitOps does.
        return true;
    };
    let read: Vec<PathBuf> = open
        .flatten()
        // Its standard input is somebody else's output.
        .filter(|entry| entry.file_name() != "0")
        .filter_map(|entry| {
            let target = fs::read_link(entry.path()).ok()?;
            let name = entry.file_name();
            let info = || fs::read_to_string(of(main, "fdinfo").join(&name)).ok();
            let is_pipe = target.as_os_str().as_encoded_bytes().starts_with(b"pipe:");
            (is_terminal(&target) || (is_pipe && is_for_reading(&info()?))).then_some(target)
        })
        .collect();
    read.iter().any(|target| {
        is_terminal(target)
            || tools.iter().any(|tool| {
                ["1", "2"].iter().any(|fd| {
                    fs::read_link(of(tool.id.pid, "fd").join(fd)).is_ok_and(|written| written == *target)
                })
            })
    })
}

/// The side of a pseudo-terminal from which its output is read.
fn is_terminal(target: &Path) -> bool {
    target.ends_with("ptmx")
}

/// The access mode in `flags` of proc_pid_fdinfo(5) is `O_RDONLY`.
fn is_for_reading(info: &str) -> bool {
    info.lines()
        .find_map(|line| line.strip_prefix("flags:"))
        .and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok())
        .is_some_and(|flags| flags & 0b11 == 0)
}

fn of(pid: Pid, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/{name}", pid.as_raw_pid()))
}

/// The name in brackets may hold anything, brackets too.
fn parse(pid: Pid, stat: &[u8]) -> Option<Process> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&stat[end + 1..]).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().take(20).collect();
    let number = |at: usize| fields.get(at)?.parse().ok();
    Some(Process {
        id: Id {
            pid,
            started: fields.get(19)?.parse().ok()?,
        },
        state: *fields.first()?.as_bytes().first()?,
        parent: number(1)?,
        group: number(2)?,
        session: number(3)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_disturb() {
        let pid = Pid::from_raw(7).unwrap();
        let stat = b"7 (a) S (b c) T 3 4 5 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 9";
        let process = parse(pid, stat).unwrap();
        assert_eq!(
            (process.state, process.parent, process.group, process.session),
            (b'T', 3, 4, 5)
        );
        assert_eq!(process.id.started, 4711);
        assert_eq!(parse(pid, b"7 (x) S 1"), None);
    }

    #[test]
    fn a_pipe_for_writing_is_not_read() {
        assert!(is_for_reading("pos:\t0\nflags:\t02000000\n"));
        assert!(!is_for_reading("pos:\t0\nflags:\t02000001\n"));
        assert!(!is_for_reading(""));
    }
}
