//! Who has the terminal, and Ctrl-Z.
//!
//! The terminal's Ctrl-C goes to its whole foreground process group at once. BitOps' Python would die of it, and its tools of
//! the pipe that it leaves. So the pipeline's group stays in the background, and the parent, which keeps the foreground, acts
//! as for any interrupt. What the background may not do is read the terminal and set it: the kernel then stops the group with
//! SIGTTIN or SIGTTOU, and the parent hands the terminal over and continues it. From then on the terminal's keys are between
//! the kernel and the pipeline, as without a parent.

use rustix::{
    fd::OwnedFd,
    fs::{Mode, OFlags},
    process::{Pid, Signal, getpid, kill_process_group},
    termios::{tcgetpgrp, tcsetpgrp},
};

use crate::{processes, signals};

/// The controlling terminal, if there is one, and the pipeline's group.
#[derive(Debug)]
pub(crate) struct Terminal {
    tty: Option<OwnedFd>,
    /// Where it is in this process's namespace.
    own: Option<Pid>,
    group: Pid,
    /// The pipeline has asked for the terminal.
    given: bool,
}

impl Terminal {
    pub(crate) fn new(group: Pid) -> Self {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        Self {
            tty: rustix::fs::open("/dev/tty", flags, Mode::empty()).ok(),
            own: processes::group(getpid()),
            group,
            given: false,
        }
    }

    /// Ctrl-C at the terminal reached the pipeline itself.
    pub(crate) fn was_given(&self) -> bool {
        self.given
    }

    /// A key asks to stop: all stop, and the shell goes on. Without job control nobody could continue them, and the key does
    /// nothing, as without a parent; who sends the signal by hand means the pipeline.
    pub(crate) fn suspend(&mut self, by_kernel: bool) {
        if processes::has_job_control(getpid()) {
            self.signal(Signal::TSTP);
            signals::take_default(Signal::TSTP);
        } else if !by_kernel {
            self.signal(Signal::TSTP);
        }
    }

    /// Somebody continues the job.
    pub(crate) fn resume(&mut self) {
        if self.given && self.is_in_foreground() {
            self.give();
        }
        self.signal(Signal::CONT);
    }

    /// The pipeline's main process has been stopped.
    pub(crate) fn stopped(&mut self, by: i32) {
        let wants_terminal = by == Signal::TTIN.as_raw() || by == Signal::TTOU.as_raw();
        if wants_terminal && self.is_in_foreground() {
            self.give();
            self.signal(Signal::CONT);
        } else if wants_terminal && self.tty.is_some() {
            // A background job: the shell shows it as stopped for want of the terminal.
            signals::take_default(Signal::TTIN);
        } else if by == Signal::TSTP.as_raw() && self.given {
            if processes::has_job_control(getpid()) {
                signals::take_default(Signal::TSTP);
            } else {
                self.signal(Signal::CONT);
            }
        }
    }

    /// A signal to all of the pipeline that is in its first group.
    pub(crate) fn signal(&self, signal: Signal) {
        let _ = kill_process_group(self.group, signal);
    }

    /// At the pipeline's end: the terminal is the parent's again, unless somebody else has it.
    pub(crate) fn take_back(&self) {
        if let (Some(tty), Some(own)) = (self.tty.as_ref().filter(|_| self.given), self.own)
            && tcgetpgrp(tty).is_ok_and(|group| group == self.group)
        {
            // From the background: SIGTTOU is blocked.
            let _ = tcsetpgrp(tty, own);
        }
    }

    fn is_in_foreground(&self) -> bool {
        self.tty
            .as_ref()
            .is_some_and(|tty| tcgetpgrp(tty).is_ok_and(|group| Some(group) == self.own))
    }

    fn give(&mut self) {
        if let Some(tty) = &self.tty {
            self.given = tcsetpgrp(tty, self.group).is_ok();
        }
    }
}
