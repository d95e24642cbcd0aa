//! Nothing that the pipeline starts runs before the end of its copy has been looked for, by ptrace(2).
//!
//! The end of the copy is seen by inotify, which is asynchronous: on a busy machine the pipeline's first hook would run before
//! this process is woken. So the pipeline's main process is traced until the copy is seen. It stops for each process that it
//! forks, before that one has run, and for nothing else: no system call is traced, so the copy takes as long as ever. An own child
//! can be traced without any privilege. Where it is refused all the same (`kernel.yama.ptrace_scope`, a seccomp profile), inotify
//! alone has to do.
//!
//! Every new process is traced from its first moment, and let go at once. Threads are not.

use nix::{
    errno::Errno,
    sys::{
        ptrace::{self, Options},
        signal::Signal as Named,
    },
    unistd::Pid as NixPid,
};
use rustix::process::{Pid, WaitOptions, WaitStatus};

/// What the status of a traced process has above its lower 16 bits (`linux/ptrace.h`).
const EVENT_FORK: i32 = 1;
const EVENT_VFORK: i32 = 2;
const EVENT_STOP: i32 = 128;

/// The main process while it is traced.
#[derive(Debug)]
pub(crate) struct Hold {
    main: Pid,
    /// It stands still; with the signal that it was about to get, if there was one.
    still: Option<Option<Named>>,
}

/// What a status means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// The main process stands still before something that it starts: it goes on by [`Hold::go_on`] or [`Hold::release`].
    Starting,
    /// It was about tracing alone, and is done with.
    Done,
    /// It is about something else.
    Other,
}

impl Hold {
    /// Begins; `None`: it is refused.
    pub(crate) fn begin(main: Pid) -> Option<Self> {
        let options = Options::PTRACE_O_TRACEFORK | Options::PTRACE_O_TRACEVFORK;
        ptrace::seize(nix_pid(main), options).ok()?;
        Some(Self { main, still: None })
    }

    /// Acts on what wait(2) tells of a process.
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
            // It gets a signal only now.
            0 => self.still = Some(named(signal)),
            // The whole group was stopped by a signal: it stays so, as without a tracer.
            EVENT_STOP if signal != Named::SIGTRAP as i32 => return Held::Other,
            _ => {}
        }
        self.go_on();
        Held::Done
    }

    /// Lets the main process go on, still held.
    pub(crate) fn go_on(&mut self) {
        if let Some(signal) = self.still.take() {
            // Fails where it was killed.
            let _ = ptrace::cont(nix_pid(self.main), signal);
        }
    }

    /// Stops the main process, wherever it is. Every status that is about something else is returned.
    pub(crate) fn stop(&mut self) -> Vec<(Pid, WaitStatus)> {
        let mut others = Vec::new();
        if self.still.is_some() || ptrace::interrupt(nix_pid(self.main)).is_err() {
            return others;
        }
        // It stops at once, or when what it has forked has become its own program, which needs to be let go for that.
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

    /// Lets go of the main process, wherever it is. Every status that is about something else is returned.
    pub(crate) fn release(mut self) -> Vec<(Pid, WaitStatus)> {
        let others = self.stop();
        if let Some(signal) = self.still {
            let _ = ptrace::detach(nix_pid(self.main), signal);
        }
        others
    }
}

/// A real-time signal has no name here; nobody sends one to a pipeline that copies.
fn named(signal: i32) -> Option<Named> {
    Named::try_from(signal).ok()
}

/// Lets go of a process that the main process has started, at its first stop.
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
