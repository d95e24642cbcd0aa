//! One interrupt for every tool at one moment, and the brake on the pipeline's main process.
//!
//! The main process must neither be interrupted (it would end, close the pipe from its tools, and they would die of that)
//! nor start anything more. It must not stand still either while it reads what its tools say: a pipe holds 64 KiB, and a
//! tool that has more to say would wait for ever. So it is stopped for the moment only, and then:
//!
//! - where it reads a tool's output it goes on without the right to open any further file. That takes the pipe that a new
//!   tool would need, and from whatever is started nevertheless the files that it would have to load;
//! - otherwise (a shell, or nothing runs) it stays stopped, and nobody waits for it.
//!
//! All others are stopped until all are found, for a process that is being forked would be missed or interrupted twice,
//! once as its parent's key press and once as its own. terraform takes a second interrupt as "at once, without saving".

use std::{
    collections::HashSet,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, getpid, kill_process, prlimit};

use crate::processes::{self, Id, Process};

/// How long a child that the main process has just forked may take to become its own program.
const EXEC: Duration = Duration::from_millis(50);
/// Between two looks at such a child.
const LOOK: Duration = Duration::from_millis(1);

/// What keeps the main process from starting anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Brake {
    /// It runs, and cannot open anything.
    NoFiles,
    /// It is stopped.
    Stopped,
}

/// Who has got the interrupt.
#[derive(Debug)]
pub(crate) struct Interrupted {
    ids: HashSet<Id>,
    pub(crate) brake: Brake,
    /// Their names.
    pub(crate) tools: Vec<String>,
}

/// Puts the brake on `main` and interrupts everybody else below this process, once.
pub(crate) fn interrupt(main: Pid) -> Interrupted {
    let _ = kill_process(main, Signal::STOP);
    let (ids, tools) = stop_all(main);
    let brake = brake(main, &tools);
    let shown = tools.iter().map(Process::shown).collect();
    for tool in &tools {
        tool.signal(Signal::INT);
    }
    // Children first: one that watches its child must not see it stopped.
    for tool in tools.iter().rev() {
        tool.signal(Signal::CONT);
    }
    if brake == Brake::NoFiles {
        let _ = kill_process(main, Signal::CONT);
    }
    Interrupted {
        ids,
        brake,
        tools: shown,
    }
}

impl Interrupted {
    /// Interrupts what the main process has started in spite of the brake, which is then put on as tight as can be.
    pub(crate) fn interrupt_late(&mut self, main: Pid, running: &[Process]) {
        for process in running {
            let started_by_main = process.parent == main.as_raw_pid();
            if started_by_main && process.id.pid != main && self.ids.insert(process.id) {
                let _ = kill_process(main, Signal::STOP);
                self.brake = Brake::Stopped;
                process.signal(Signal::INT);
            }
        }
    }
}

/// Stops everybody but `main`, until no look finds anybody new.
fn stop_all(main: Pid) -> (HashSet<Id>, Vec<Process>) {
    let (mut ids, mut tools) = (HashSet::new(), Vec::new());
    let began = Instant::now();
    loop {
        let (mut found, mut forked) = (false, false);
        for process in processes::descendants(getpid()) {
            if process.id.pid == main || ids.contains(&process.id) {
                continue;
            }
            // Not a tool yet. Interrupted now it might lose the signal, or die as what it is not.
            if process.is_copy_of(main) && began.elapsed() < EXEC {
                forked = true;
                continue;
            }
            found = true;
            process.signal(Signal::STOP);
            ids.insert(process.id);
            tools.push(process);
        }
        if forked {
            thread::sleep(LOOK);
        } else if !found {
            return (ids, tools);
        }
    }
}

fn brake(main: Pid, tools: &[Process]) -> Brake {
    if !processes::reads_from(main, tools) {
        return Brake::Stopped;
    }
    // The hard limit too, or the next program would raise it again. What is open stays open. One, not none: poll(2)
    // takes as many files as the limit has.
    let limit = Rlimit {
        current: Some(1),
        maximum: Some(1),
    };
    match prlimit(Some(main), Resource::Nofile, limit) {
        Ok(_) => Brake::NoFiles,
        Err(_) => Brake::Stopped,
    }
}
