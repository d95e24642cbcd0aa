//! Holds each process that the pipeline starts until the end of its copy has been checked, by
//! ptrace(2).
//!
//! inotify reports the end of the copy asynchronously: on a busy machine the pipeline's first hook
//! could run before this process is woken. Therefore the pipeline's main process is traced until
//! the end of the copy is detected. It stops for each process that it forks, before the child has
//! run, and for nothing else: system calls are not traced, so the copy takes no longer than without
//! tracing. Tracing one's own child needs no privileges. If it is refused nevertheless (by
//! `kernel.yama.ptrace_scope` or a seccomp profile), inotify alone has to suffice.
//!
//! Every new process is traced from its start and released at once. Threads are not traced.

use nix::{
    errno::Errno,
    sys::{
        ptrace::{self, Options},
        signal::Signal as NixSignal,
    },
    unistd::Pid as NixPid,
};
use rustix::process::{Pid, WaitOptions, WaitStatus};

/// The events in the upper bits of a traced process's status (`linux/ptrace.h`).
const EVENT_FORK: i32 = 1;
const EVENT_VFORK: i32 = 2;
const EVENT_STOP: i32 = 128;

/// The main process while it is traced.
#[derive(Debug)]
pub(crate) struct Hold {
    main: Pid,
    /// Set while the process is stopped, with the signal that it was about to receive, if any.
    still: Option<Option<NixSignal>>,
}

/// The meaning of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// The main process is stopped before a process that it starts runs. [`Hold::go_on`] or
    /// [`Hold::release`] continues it.
    Starting,
    /// The status concerned only the tracing and has been handled.
    Done,
    /// The status is unrelated to the tracing.
    Other,
}

impl Hold {
    /// Starts tracing. Returns `None` if that is refused.
    pub(crate) fn begin(main: Pid) -> Option<Self> {
        let options = Options::PTRACE_O_TRACEFORK | Options::PTRACE_O_TRACEVFORK;
        ptrace::seize(nix_pid(main), options).ok()?;
        Some(Self { main, still: None })
    }

    /// Handles a status of wait(2).
    pub(crate) fn on_status(&mut self, pid: Pid, status: WaitStatus) -> Held {
        let Some(signal) = status.stopping_signal() else {
            return Held::Other;
        };
        let event = status.as_raw() >> 16;
        if pid != self.main {
            return let_go_of_new(pid, event);
        }
        self.still = Some(None);
        match event {
            EVENT_FORK | EVENT_VFORK => return Held::Starting,
            // The process is about to receive a signal, which is delivered when it continues.
            0 => self.still = Some(named(signal)),
            // A signal stopped the whole group: it stays stopped, as without a tracer.
            EVENT_STOP if signal != NixSignal::SIGTRAP as i32 => return Held::Other,
            _ => {}
        }
        self.go_on();
        Held::Done
    }

    /// Continues the main process, still traced.
    pub(crate) fn go_on(&mut self) {
        if let Some(signal) = self.still.take() {
            // This fails if the process was killed.
            let _ = ptrace::cont(nix_pid(self.main), signal);
        }
    }

    /// Stops the main process, wherever it is. Returns every status that is unrelated to the
    /// tracing.
    pub(crate) fn stop(&mut self) -> Vec<(Pid, WaitStatus)> {
        let mut others = Vec::new();
        if self.still.is_some() || ptrace::interrupt(nix_pid(self.main)).is_err() {
            return others;
        }
        // It stops at once, or after its forked child has called exec, for which the child has to
        // be released.
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::UNTRACED) {
            match (pid == self.main, status.stopping_signal()) {
                (true, Some(signal)) => {
                    let delivered = status.as_raw() >> 16 == 0;
                    self.still = Some(delivered.then(|| named(signal)).flatten());
                    return others;
                }
                (true, None) => {
                    others.push((pid, status));
                    return others;
                }
                (false, _) if self.on_status(pid, status) == Held::Other => others.push((pid, status)),
                (false, _) => {}
            }
        }
        others
    }

    /// Stops tracing the main process, wherever it is. Returns every status that is unrelated to
    /// the tracing.
    pub(crate) fn release(mut self) -> Vec<(Pid, WaitStatus)> {
        let others = self.stop();
        if let Some(signal) = self.still {
            let _ = ptrace::detach(nix_pid(self.main), signal);
        }
        others
    }
}

/// Converts a signal's number. Real-time signals have no name here and get lost; nothing sends one
/// to a pipeline that copies.
fn named(signal: i32) -> Option<NixSignal> {
    NixSignal::try_from(signal).ok()
}

/// Releases a process that the main process has started, at its first stop.
pub(crate) fn let_go_of_new(pid: Pid, event: i32) -> Held {
    if event != EVENT_STOP {
        return Held::Other;
    }
    match ptrace::detach(nix_pid(pid), None) {
        Ok(()) | Err(Errno::ESRCH) => Held::Done,
        Err(_) => Held::Other,
    }
}

fn nix_pid(pid: Pid) -> NixPid {
    NixPid::from_raw(pid.as_raw_pid())
}
