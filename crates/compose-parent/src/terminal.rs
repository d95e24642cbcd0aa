//! Control of the terminal, and Ctrl-Z.
//!
//! Ctrl-C goes to the terminal's whole foreground process group. BitOps' Python would die of it,
//! and its tools of the pipe that it closes. Therefore the pipeline's group stays in the
//! background, and the parent, which keeps the foreground, handles the interrupt as any other. A
//! background group may not read or configure the terminal: the kernel stops it with SIGTTIN or
//! SIGTTOU, and the parent then hands the terminal over and continues the group. From then on the
//! terminal's keys reach the pipeline directly, as without a parent.

use rustix::{
    fd::OwnedFd,
    fs::{Mode, OFlags},
    process::{Pid, Signal, getpid, kill_process_group},
    termios::{tcgetpgrp, tcsetpgrp},
};

use crate::{processes, signals};

/// The controlling terminal, if there is one, and the pipeline's process group.
#[derive(Debug)]
pub(crate) struct Terminal {
    tty: Option<OwnedFd>,
    /// The parent's own group; `None` if its leader is outside of this process's namespace.
    own: Option<Pid>,
    group: Pid,
    /// Whether the terminal was handed over to the pipeline.
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

    /// Returns whether the pipeline had the terminal, so that Ctrl-C reached it directly.
    pub(crate) fn was_given(&self) -> bool {
        self.given
    }

    /// Handles SIGTSTP: all processes stop, and the shell continues. Without job control they could
    /// not be continued, so Ctrl-Z does nothing, as without a parent; a signal that was sent by
    /// hand is passed on.
    pub(crate) fn suspend(&mut self, by_kernel: bool) {
        if processes::has_job_control(getpid()) {
            self.signal(Signal::TSTP);
            signals::take_default(Signal::TSTP);
        } else if !by_kernel {
            self.signal(Signal::TSTP);
        }
    }

    /// Handles SIGCONT: the job continues.
    pub(crate) fn resume(&mut self) {
        if self.given && self.is_in_foreground() {
            self.give();
        }
        self.signal(Signal::CONT);
    }

    /// Handles the pipeline's main process being stopped by a signal.
    pub(crate) fn stopped(&mut self, by: i32) {
        let wants_terminal = by == Signal::TTIN.as_raw() || by == Signal::TTOU.as_raw();
        if wants_terminal && self.is_in_foreground() {
            self.give();
            self.signal(Signal::CONT);
        } else if wants_terminal && self.tty.is_some() {
            // The job is in the background: the shell reports that it needs the terminal.
            signals::take_default(Signal::TTIN);
        } else if by == Signal::TSTP.as_raw() && self.given {
            if processes::has_job_control(getpid()) {
                signals::take_default(Signal::TSTP);
            } else {
                self.signal(Signal::CONT);
            }
        }
    }

    /// Sends a signal to the pipeline's process group.
    pub(crate) fn signal(&self, signal: Signal) {
        let _ = kill_process_group(self.group, signal);
    }

    /// Takes the terminal back at the pipeline's end, unless another group has it.
    pub(crate) fn take_back(&self) {
        if let (Some(tty), Some(own)) = (self.tty.as_ref().filter(|_| self.given), self.own)
            && tcgetpgrp(tty).is_ok_and(|group| group == self.group)
        {
            // This works from the background because SIGTTOU is blocked.
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
