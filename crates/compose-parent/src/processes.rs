//! The tree of processes, from `/proc`.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use rustix::process::{Pid, Signal, kill_process};

/// Identifies a process even if its number is reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ProcessId {
    pub(crate) pid: Pid,
    /// The start time in clock ticks since boot.
    started: u64,
}

/// The fields of proc_pid_stat(5) that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) id: ProcessId,
    pub(crate) parent: i32,
    group: i32,
    session: i32,
    state: u8,
}

impl Process {
    pub(crate) fn read(pid: Pid) -> Option<Self> {
        parse(pid, &fs::read(proc_path(pid, "stat")).ok()?)
    }

    /// Returns whether the process has ended and only waits to be reaped.
    fn is_over(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }

    /// Sends a signal. Returns whether it was sent: the process may be gone, or belong to another
    /// user.
    pub(crate) fn signal(&self, signal: Signal) -> bool {
        kill_process(self.id.pid, signal).is_ok()
    }

    /// Returns whether the process ignores SIGINT, as daemons and a shell's background jobs do.
    pub(crate) fn ignores_interrupts(&self) -> bool {
        let status = fs::read_to_string(proc_path(self.id.pid, "status")).unwrap_or_default();
        let mask = status
            .lines()
            .find_map(|line| line.strip_prefix("SigIgn:"))
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask & (1 << (Signal::INT.as_raw() - 1)) != 0)
    }

    /// Returns whether the process is a child that `main` has forked and that has not called exec
    /// yet.
    pub(crate) fn is_copy_of(&self, main: Pid) -> bool {
        let exe = |pid| fs::read_link(proc_path(pid, "exe")).ok();
        let words = |pid| fs::read(proc_path(pid, "cmdline")).ok();
        self.parent == main.as_raw_pid() && exe(self.id.pid) == exe(main) && words(self.id.pid) == words(main)
    }

    /// Returns the process's name and number, for messages.
    pub(crate) fn shown(&self) -> String {
        let name = fs::read(proc_path(self.id.pid, "comm")).unwrap_or_default();
        let name = String::from_utf8_lossy(&name);
        let plain: String = name.trim_end().chars().filter(|c| !c.is_control()).collect();
        format!("{plain} ({})", self.id.pid.as_raw_pid())
    }
}

/// Returns all processes, or none if `/proc` belongs to another PID namespace, where the numbers
/// mean other processes.
fn all_processes() -> impl Iterator<Item = Process> {
    let own = rustix::process::getpid().as_raw_pid().to_string();
    let is_ours = fs::read_link("/proc/self").is_ok_and(|name| name.as_os_str() == own.as_str());
    let proc = is_ours.then(|| fs::read_dir("/proc").ok()).flatten();
    let numbers = proc.into_iter().flatten().flatten();
    let numbers = numbers.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
    numbers.filter_map(Process::read)
}

/// Returns all running descendants of a process, parents before their children.
pub(crate) fn descendants(ancestor: Pid) -> Vec<Process> {
    let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
    for process in all_processes() {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = children.remove(&ancestor.as_raw_pid()).unwrap_or_default();
    let mut next = 0;
    while let Some(process) = found.get(next) {
        let below = children.remove(&process.id.pid.as_raw_pid());
        found.extend(below.into_iter().flatten());
        next += 1;
    }
    found.retain(|process| !process.is_over());
    found
}

/// Returns a process's group. `None` if the group's leader is outside of this process's namespace:
/// getpgrp(2) then returns 0, which rustix does not expect.
pub(crate) fn group(pid: Pid) -> Option<Pid> {
    Process::read(pid).and_then(|process| Pid::from_raw(process.group))
}

/// Returns whether this process is PID 1 and all other processes descend from it. Processes that
/// enter a container from outside have no parent in it.
pub(crate) fn are_ours_alone() -> bool {
    rustix::process::getpid() == Pid::INIT
        && all_processes().filter(|process| process.parent == 0).count() == 1
}

/// Returns the bytes that a process has written so far, to files and everything else
/// (proc_pid_io(5)).
pub(crate) fn bytes_written(pid: Pid) -> Option<u64> {
    let io = fs::read_to_string(proc_path(pid, "io")).ok()?;
    io.lines()
        .find_map(|line| line.strip_prefix("wchar: "))?
        .trim()
        .parse()
        .ok()
}

/// Returns whether a shell with job control could continue this process if it were stopped. The
/// kernel stops no member of a group whose members' parents are all in the group or in other
/// sessions.
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

/// Returns whether `main` reads the output of one of these tools, through a pipe or a
/// pseudo-terminal. Then it must not be stopped: a full pipe would block the tool.
pub(crate) fn reads_from(main: Pid, tools: &[Process]) -> bool {
    let Ok(open) = fs::read_dir(proc_path(main, "fd")) else {
        // Assumes that it reads, as BitOps does.
        return true;
    };
    let read: Vec<PathBuf> = open
        .flatten()
        // Standard input is not the output of a tool.
        .filter(|entry| entry.file_name() != "0")
        .filter_map(|entry| {
            let target = fs::read_link(entry.path()).ok()?;
            let name = entry.file_name();
            let info = || fs::read_to_string(proc_path(main, "fdinfo").join(&name)).ok();
            let is_pipe = target.as_os_str().as_encoded_bytes().starts_with(b"pipe:");
            (is_terminal(&target) || (is_pipe && is_for_reading(&info()?))).then_some(target)
        })
        .collect();
    read.iter().any(|target| {
        is_terminal(target)
            || tools.iter().any(|tool| {
                ["1", "2"].iter().any(|fd| {
                    fs::read_link(proc_path(tool.id.pid, "fd").join(fd))
                        .is_ok_and(|written| written == *target)
                })
            })
    })
}

/// Returns whether the target is the controlling side of a pseudo-terminal, from which output is
/// read.
fn is_terminal(target: &Path) -> bool {
    target.ends_with("ptmx")
}

/// Returns whether the access mode in `flags` of proc_pid_fdinfo(5) is `O_RDONLY`.
fn is_for_reading(info: &str) -> bool {
    info.lines()
        .find_map(|line| line.strip_prefix("flags:"))
        .and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok())
        .is_some_and(|flags| flags & 0b11 == 0)
}

// The path of a process's file in `/proc`.
fn proc_path(pid: Pid, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/{name}", pid.as_raw_pid()))
}

/// Parses proc_pid_stat(5). The name in parentheses may contain any characters, including
/// parentheses.
fn parse(pid: Pid, stat: &[u8]) -> Option<Process> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&stat[end + 1..]).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().take(20).collect();
    let number = |index: usize| fields.get(index)?.parse().ok();
    Some(Process {
        id: ProcessId {
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
    fn a_name_with_parentheses_and_spaces_is_skipped() {
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
    fn only_descriptors_for_reading_count() {
        assert!(is_for_reading("pos:\t0\nflags:\t02000000\n"));
        assert!(!is_for_reading("pos:\t0\nflags:\t02000001\n"));
        assert!(!is_for_reading(""));
    }
}
