//! Ends a run after SIGTERM, SIGINT, SIGHUP or SIGQUIT.
//!
//! ```text
//! signal ─▶ all tools are interrupted, the main process cannot start others (`freeze`)
//!            │ all tools have ended                         │ the grace is over, or a second signal
//!            ▼                                              ▼
//!           the main process reads the remaining output,   SIGTERM to the tools, after a second
//!           then SIGTERM, then SIGKILL                     SIGKILL to all
//! ```

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, getpid, kill_process};

use crate::{
    Host,
    freeze::{self, Interrupted, Restraint},
    processes::{self, Process, ProcessId},
    signals,
};

/// The same signal within this time is the same request: timeout(1) and some runners signal the
/// process and then its group.
const REPEAT_WINDOW: Duration = Duration::from_millis(100);
/// The time that the main process may take to read its tools' remaining output, log it and exit.
const DRAIN_TIME: Duration = Duration::from_secs(1);
/// The time from SIGTERM to SIGKILL. With the default grace, the run ends within docker's ten
/// seconds.
const KILL_AFTER: Duration = Duration::from_secs(1);
/// The time that killed processes may take to disappear. One that is blocked in the kernel may
/// never do so.
const DEAD_AFTER: Duration = Duration::from_millis(500);
/// The shortest interval at which remaining processes are listed.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A note for the user.
#[derive(Debug)]
pub enum Note {
    /// The end of the copy cannot be detected.
    NotWatched(std::io::Error),
    /// A signal asked for the end.
    Stopping {
        /// The signal's name, such as `SIGTERM`.
        signal: &'static str,
        /// The running tools, which have been interrupted.
        tools: Vec<String>,
        /// The time that they may take.
        grace: Duration,
    },
    /// The pipeline was interrupted at the terminal, and its tools are still running.
    Waiting {
        /// The running tools.
        tools: Vec<String>,
        /// The time that they may take.
        grace: Duration,
    },
    /// These tools took too long, or a second signal came; they get SIGTERM.
    Terminating(Vec<String>),
    /// These processes did not end after SIGTERM and get SIGKILL.
    Killing(Vec<String>),
}

/// The ending of a run.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) signal: Signal,
    began: Instant,
    /// The end of the grace.
    deadline: Instant,
    /// The time of SIGKILL, once the grace is over.
    kill_at: Option<Instant>,
    phase: Phase,
    interrupted: Option<Interrupted>,
    /// Processes that were left in the background and have received SIGTERM.
    asked: HashSet<ProcessId>,
    /// The interval at which processes are listed; longer if listing takes long.
    pub(crate) poll_interval: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The tools may finish.
    Waiting,
    /// The tools have ended; the main process may exit by itself.
    Draining { until: Instant },
    /// The main process has received SIGTERM.
    Ending { until: Instant },
    /// The tools have received SIGTERM.
    Terminating { until: Instant },
    /// All processes have received SIGKILL.
    Killing { until: Instant },
}

impl Stop {
    /// Starts the ending by interrupting the tools.
    pub(crate) fn begin(signal: Signal, grace: Duration, main: Pid, host: &mut dyn Host) -> Self {
        let interrupted = freeze::interrupt(main);
        host.say(&Note::Stopping {
            signal: signals::name(signal),
            tools: interrupted.tools.clone(),
            grace,
        });
        Self {
            interrupted: Some(interrupted),
            ..Self::new(signal, grace)
        }
    }

    /// Starts the ending after the main process and its tools were interrupted at the terminal. The
    /// tools only have to be waited for.
    pub(crate) fn after_main(signal: Signal, grace: Duration, host: &mut dyn Host) -> Self {
        host.say(&Note::Waiting {
            tools: shown_names(&processes::descendants(getpid())),
            grace,
        });
        Self::new(signal, grace)
    }

    fn new(signal: Signal, grace: Duration) -> Self {
        let began = Instant::now();
        Self {
            signal,
            began,
            deadline: began + grace,
            kill_at: None,
            phase: Phase::Waiting,
            interrupted: None,
            asked: HashSet::new(),
            poll_interval: POLL_INTERVAL,
        }
    }

    /// Handles a further signal, which asks to hurry.
    pub(crate) fn on_further_signal(&mut self, signal: Signal, main: Option<Pid>, host: &mut dyn Host) {
        if signal == self.signal && self.began.elapsed() < REPEAT_WINDOW {
            return;
        }
        let (now, running) = (Instant::now(), processes::descendants(getpid()));
        match self.phase {
            Phase::Waiting => self.terminate(&running, main, host),
            Phase::Draining { .. } => {
                self.kill_at = Some(now + KILL_AFTER);
                self.end_main(main, now);
            }
            _ => self.kill(&running, main, host),
        }
    }

    /// Lists the remaining processes and takes the next step. Returns whether none is left.
    pub(crate) fn is_over(&mut self, main: Option<Pid>, host: &mut dyn Host) -> bool {
        let now = Instant::now();
        let running = processes::descendants(getpid());
        self.poll_interval = (now.elapsed() * 4).clamp(POLL_INTERVAL, POLL_INTERVAL * 50);
        if running.is_empty() && main.is_none() {
            // A process whose parent changed during the listing may have been missed.
            return processes::descendants(getpid()).is_empty();
        }
        let is_late = |until: Instant| now >= until;
        let only_main = running.iter().all(|process| Some(process.id.pid) == main);
        match self.phase {
            Phase::Killing { until } if is_late(until) => return true,
            Phase::Killing { .. } => signal_all(&running, Signal::KILL),
            Phase::Ending { until } | Phase::Terminating { until } if is_late(until) => {
                self.kill(&running, main, host);
            }
            Phase::Waiting | Phase::Terminating { .. } if only_main => self.tools_are_gone(main, now),
            Phase::Waiting if is_late(self.deadline) => self.terminate(&running, main, host),
            Phase::Waiting => self.wait(&running, main),
            Phase::Draining { until } if is_late(until) => self.end_main(main, now),
            Phase::Draining { .. } | Phase::Ending { .. } | Phase::Terminating { .. } => {}
        }
        false
    }

    fn wait(&mut self, running: &[Process], main: Option<Pid>) {
        if let (Some(interrupted), Some(main)) = (&mut self.interrupted, main) {
            interrupted.interrupt_late(main, running);
        }
        for process in left_in_background(running, main).into_iter().flatten() {
            if self.asked.insert(process.id) {
                process.signal(Signal::TERM);
            }
        }
    }

    fn tools_are_gone(&mut self, main: Option<Pid>, now: Instant) {
        let restraint = self.interrupted.as_ref().map(|interrupted| interrupted.restraint);
        if restraint == Some(Restraint::NoFiles) {
            let until = self
                .kill_at
                .map_or(self.deadline, |kill_at| kill_at - KILL_AFTER / 2);
            self.phase = Phase::Draining {
                until: until.min(now + DRAIN_TIME),
            };
        } else {
            self.end_main(main, now);
        }
    }

    fn end_main(&mut self, main: Option<Pid>, now: Instant) {
        if let Some(main) = main {
            let _ = kill_process(main, Signal::TERM);
            let _ = kill_process(main, Signal::CONT);
        }
        let until = self.kill_at.unwrap_or(self.deadline.max(now + KILL_AFTER));
        self.phase = Phase::Ending { until };
    }

    /// Sends SIGTERM to the tools, but not to the main process: without a reader of their output,
    /// the tools would die of that.
    fn terminate(&mut self, running: &[Process], main: Option<Pid>, host: &mut dyn Host) {
        let until = Instant::now() + KILL_AFTER;
        let tools: Vec<Process> = running
            .iter()
            .filter(|process| Some(process.id.pid) != main)
            .copied()
            .collect();
        if !tools.is_empty() {
            host.say(&Note::Terminating(shown_names(&tools)));
        }
        signal_all(&tools, Signal::TERM);
        signal_all(&tools, Signal::CONT);
        self.kill_at = Some(until);
        self.phase = Phase::Terminating { until };
    }

    fn kill(&mut self, running: &[Process], main: Option<Pid>, host: &mut dyn Host) {
        if !running.is_empty() {
            host.say(&Note::Killing(shown_names(running)));
        }
        signal_all(running, Signal::KILL);
        if let Some(main) = main {
            let _ = kill_process(main, Signal::KILL);
        }
        self.phase = Phase::Killing {
            until: Instant::now() + DEAD_AFTER,
        };
    }
}

/// Returns all running processes if each of them is a daemon or a background job of a script: no
/// process waits for it, and it ignores interrupts. Such processes would use up the whole grace.
fn left_in_background(running: &[Process], main: Option<Pid>) -> Option<Vec<Process>> {
    let mut below: HashSet<i32> = main.into_iter().map(Pid::as_raw_pid).collect();
    let mut left = Vec::new();
    // Parents precede their children in the list.
    for process in running {
        let pid = process.id.pid;
        if Some(pid) == main {
            continue;
        }
        if below.contains(&process.parent) || !process.ignores_interrupts() {
            return None;
        }
        below.remove(&pid.as_raw_pid());
        left.push(*process);
    }
    Some(left)
}

fn signal_all(processes: &[Process], signal: Signal) {
    for process in processes {
        process.signal(signal);
    }
}

fn shown_names(processes: &[Process]) -> Vec<String> {
    processes.iter().map(Process::shown).collect()
}
