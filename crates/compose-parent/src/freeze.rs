//! Interrupts all tools at the same moment, and keeps the pipeline's main process from starting
//! others.
//!
//! The main process must not be interrupted (it would exit and close the pipe from its tools, which
//! would die of that), and must not start anything more. It must not stay stopped either while it
//! reads its tools' output: a pipe holds 64 KiB, and a tool with more output would wait for ever.
//! So it is stopped only briefly, and then:
//!
//! - if it reads a tool's output, it continues without the right to open further files. It can then
//!   neither create the pipe that a new tool needs, nor can a new process load its files;
//! - otherwise (it is a shell, or no tool runs) it stays stopped, because nothing waits for it.
//!
//! All other processes are stopped until all of them are found: one that is just being forked could
//! be missed, or be interrupted twice, once as a copy of its parent and once by itself. terraform
//! takes a second interrupt as a request to exit at once, without saving.

use std::{
    collections::HashSet,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, getpid, kill_process, prlimit};

use crate::processes::{self, Process, ProcessId};

/// The time that a child which the main process has just forked may take to exec its program.
const EXEC_TIMEOUT: Duration = Duration::from_millis(50);
/// The interval at which such a child is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// How the main process is kept from starting anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restraint {
    /// It runs but cannot open files.
    NoFiles,
    /// It is stopped.
    Stopped,
}

/// The processes that received the interrupt.
#[derive(Debug)]
pub(crate) struct Interrupted {
    ids: HashSet<ProcessId>,
    pub(crate) restraint: Restraint,
    /// The names of the interrupted tools.
    pub(crate) tools: Vec<String>,
}

/// Restrains `main`, and interrupts every other descendant of this process once.
pub(crate) fn interrupt(main: Pid) -> Interrupted {
    let _ = kill_process(main, Signal::STOP);
    let (ids, tools) = stop_all(main);
    let restraint = restrain(main, &tools);
    let shown = tools.iter().map(Process::shown).collect();
    for tool in &tools {
        tool.signal(Signal::INT);
    }
    // Children first: a process that watches its child must not see it stopped.
    for tool in tools.iter().rev() {
        tool.signal(Signal::CONT);
    }
    if restraint == Restraint::NoFiles {
        let _ = kill_process(main, Signal::CONT);
    }
    Interrupted {
        ids,
        restraint,
        tools: shown,
    }
}

impl Interrupted {
    /// Interrupts tools that the main process has started in spite of the restraint, and then stops
    /// it.
    pub(crate) fn interrupt_late(&mut self, main: Pid, running: &[Process]) {
        for process in running {
            let started_by_main = process.parent == main.as_raw_pid();
            if started_by_main && process.id.pid != main && self.ids.insert(process.id) {
                let _ = kill_process(main, Signal::STOP);
                self.restraint = Restraint::Stopped;
                process.signal(Signal::INT);
            }
        }
    }
}

/// Stops all descendants except `main`, until no new ones are found.
fn stop_all(main: Pid) -> (HashSet<ProcessId>, Vec<Process>) {
    let (mut ids, mut tools) = (HashSet::new(), Vec::new());
    let began = Instant::now();
    loop {
        let (mut found, mut forked) = (false, false);
        for process in processes::descendants(getpid()) {
            if process.id.pid == main || ids.contains(&process.id) {
                continue;
            }
            // It has not become a tool yet. An interrupt now might get lost, or end the process
            // before its exec.
            if process.is_copy_of(main) && began.elapsed() < EXEC_TIMEOUT {
                forked = true;
                continue;
            }
            found = true;
            process.signal(Signal::STOP);
            ids.insert(process.id);
            tools.push(process);
        }
        if forked {
            thread::sleep(POLL_INTERVAL);
        } else if !found {
            return (ids, tools);
        }
    }
}

fn restrain(main: Pid, tools: &[Process]) -> Restraint {
    if !processes::reads_from(main, tools) {
        return Restraint::Stopped;
    }
    // The hard limit is lowered as well, so that a new program cannot raise it again. Files that
    // are open stay open. The limit is one rather than zero because poll(2) accepts no more files
    // than the limit.
    let limit = Rlimit {
        current: Some(1),
        maximum: Some(1),
    };
    match prlimit(Some(main), Resource::Nofile, limit) {
        Ok(_) => Restraint::NoFiles,
        Err(_) => Restraint::Stopped,
    }
}
