//! What SIGTERM, SIGINT, SIGHUP and SIGQUIT do.
//!
//! ```text
//! signal ─▶ every tool is interrupted, the main process is kept from starting more (`freeze`)
//!            │ all tools are gone                           │ the grace is over, or a second signal
//!            ▼                                              ▼
//!           the main process reads what is left,           SIGTERM to them, a second, SIGKILL to all
//!           then SIGTERM, then SIGKILL
//! ```

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, getpid, kill_process};

use crate::{
    Host,
    freeze::{self, Brake, Interrupted},
    processes::{self, Id, Process},
    signals,
};

/// The same signal within this time is the same request: timeout(1) and some runners send to the process and to its group.
const ECHO: Duration = Duration::from_millis(100);
/// How long the main process may read what its tools have left, log it and end by itself.
const DRAIN: Duration = Duration::from_secs(1);
/// From SIGTERM to SIGKILL. With the grace's default the end is within docker's ten seconds.
const KILL_AFTER: Duration = Duration::from_secs(1);
/// How long what was killed may take to be gone. A process in the kernel's hands may take for ever.
const DEAD_AFTER: Duration = Duration::from_millis(500);
/// Between two looks at who is left.
const LOOK: Duration = Duration::from_millis(10);

/// What the user should know.
#[derive(Debug)]
pub enum Note {
    /// The end of the copy cannot be seen.
    NotWatched(std::io::Error),
    /// A signal asked for the end.
    Stopping {
        /// `SIGTERM`.
        signal: &'static str,
        /// What runs, and has been interrupted.
        tools: Vec<String>,
        /// How long it may take.
        grace: Duration,
    },
    /// The pipeline was interrupted at the terminal, and its tools still run.
    Waiting {
        /// What runs.
        tools: Vec<String>,
        /// How long it may take.
        grace: Duration,
    },
    /// They took too long, or a second signal came, and get SIGTERM.
    Terminating(Vec<String>),
    /// They did not end by that, and get SIGKILL.
    Killing(Vec<String>),
}

/// A run that is being ended.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) signal: Signal,
    began: Instant,
    /// The end of the grace.
    deadline: Instant,
    /// Set once it is over.
    kill_at: Option<Instant>,
    phase: Phase,
    interrupted: Option<Interrupted>,
    /// Left in the background, and asked by SIGTERM.
    asked: HashSet<Id>,
    /// Between two looks: longer where looking takes long.
    pub(crate) look: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The tools finish.
    Waiting,
    /// They are gone; the main process may end by itself.
    Draining { until: Instant },
    /// The main process has got SIGTERM.
    Ending { until: Instant },
    /// The tools have.
    Terminating { until: Instant },
    /// All have got SIGKILL.
    Killing { until: Instant },
}

impl Stop {
    /// Begins by interrupting the tools.
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

    /// The main process was interrupted at the terminal, as its tools were: they only have to be waited for.
    pub(crate) fn after_main(signal: Signal, grace: Duration, host: &mut dyn Host) -> Self {
        host.say(&Note::Waiting {
            tools: shown(&processes::descendants(getpid())),
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
            look: LOOK,
        }
    }

    /// A further signal asks for haste.
    pub(crate) fn again(&mut self, signal: Signal, main: Option<Pid>, host: &mut dyn Host) {
        if signal == self.signal && self.began.elapsed() < ECHO {
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

    /// Looks who is left, and does what the time asks for. `true`: nobody is.
    pub(crate) fn is_over(&mut self, main: Option<Pid>, host: &mut dyn Host) -> bool {
        let now = Instant::now();
        let running = processes::descendants(getpid());
        self.look = (now.elapsed() * 4).clamp(LOOK, LOOK * 50);
        if running.is_empty() && main.is_none() {
            // Who changed parents while they were listed may have been missed.
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
        let brake = self.interrupted.as_ref().map(|interrupted| interrupted.brake);
        if brake == Some(Brake::NoFiles) {
            let until = self.kill_at.map_or(self.deadline, |at| at - KILL_AFTER / 2);
            self.phase = Phase::Draining {
                until: until.min(now + DRAIN),
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

    /// The main process is spared: without it the tools would have nobody to talk to, and die of that.
    fn terminate(&mut self, running: &[Process], main: Option<Pid>, host: &mut dyn Host) {
        let until = Instant::now() + KILL_AFTER;
        let tools: Vec<Process> = running
            .iter()
            .filter(|process| Some(process.id.pid) != main)
            .copied()
            .collect();
        if !tools.is_empty() {
            host.say(&Note::Terminating(shown(&tools)));
        }
        signal_all(&tools, Signal::TERM);
        signal_all(&tools, Signal::CONT);
        self.kill_at = Some(until);
        self.phase = Phase::Terminating { until };
    }

    fn kill(&mut self, running: &[Process], main: Option<Pid>, host: &mut dyn Host) {
        if !running.is_empty() {
            host.say(&Note::Killing(shown(running)));
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

/// All that run, if they are what nobody waits for and what no interrupt ends: daemons, and jobs that a script has left in the
/// background. They would take the whole grace.
fn left_in_background(running: &[Process], main: Option<Pid>) -> Option<Vec<Process>> {
    let mut below: HashSet<i32> = main.into_iter().map(Pid::as_raw_pid).collect();
    let mut left = Vec::new();
    // Parents stand before their children.
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

fn shown(processes: &[Process]) -> Vec<String> {
    processes.iter().map(Process::shown).collect()
}
