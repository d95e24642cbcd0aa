//! Receives all signals through a file descriptor, so that one thread can wait for all of them.
//!
//! The signals are blocked and read from a signalfd(2). PID 1 receives blocked signals as well,
//! while the kernel does not deliver it any whose action is the default. The pipeline is started
//! with an empty signal mask (`child`).

use nix::sys::{
    signal::{self, SigSet, Signal as NixSignal},
    signalfd::{SfdFlags, SignalFd},
};
use rustix::{
    fd::{AsFd, BorrowedFd},
    process::Signal,
};

use crate::{Error, error::io};

/// The signals that are not blocked: two cannot be, and the others mean that this program is
/// broken.
const NOT_BLOCKED: [NixSignal; 9] = [
    NixSignal::SIGKILL,
    NixSignal::SIGSTOP,
    NixSignal::SIGSEGV,
    NixSignal::SIGBUS,
    NixSignal::SIGILL,
    NixSignal::SIGFPE,
    NixSignal::SIGTRAP,
    NixSignal::SIGSYS,
    NixSignal::SIGABRT,
];

/// The descriptor that the blocked signals are read from.
#[derive(Debug)]
pub(crate) struct Signals(SignalFd);

/// A received signal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceivedSignal {
    pub(crate) signal: Signal,
    /// Whether the kernel sent the signal: to a whole process group (because of a key, a resize or
    /// a hangup of the terminal), or to this process (about its children or a broken pipe).
    pub(crate) by_kernel: bool,
}

impl Signals {
    pub(crate) fn block() -> Result<Self, Error> {
        hold_signals()?;
        SignalFd::with_flags(&blocked_set(), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map(Self)
            .map_err(io)
            .map_err(Error::Signals)
    }

    /// Returns the next pending signal, if any.
    pub(crate) fn next(&self) -> Option<ReceivedSignal> {
        loop {
            let info = self.0.read_signal().ok()??;
            let number = i32::try_from(info.ssi_signo).unwrap_or_default();
            // The set contains only signals with a name.
            if let Some(signal) = Signal::from_named_raw(number) {
                // SI_USER, SI_QUEUE, SI_TKILL and the like are not positive (sigaction(2)).
                return Some(ReceivedSignal {
                    signal,
                    by_kernel: info.ssi_code > 0,
                });
            }
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Blocks the signals that the parent handles, so that one that comes before [`run`](crate::run),
/// even before an exec, stays pending until then.
///
/// For a process with one thread.
pub fn hold_signals() -> Result<(), Error> {
    blocked_set().thread_block().map_err(io).map_err(Error::Signals)
}

/// Unblocks all signals, whatever was inherited, for a program that is about to be exec'd and
/// inherits the mask.
pub fn release_signals() -> Result<(), Error> {
    SigSet::empty()
        .thread_set_mask()
        .map_err(io)
        .map_err(Error::Signals)
}

fn blocked_set() -> SigSet {
    let mut set = SigSet::empty();
    NixSignal::iterator()
        .filter(|signal| !NOT_BLOCKED.contains(signal))
        .for_each(|signal| set.add(signal));
    set
}

/// Applies a blocked signal's default action to this process: stops it until it is continued, or
/// ends it. The kernel does not stop a process that no shell could continue, and does not end PID
/// 1.
pub(crate) fn take_default(signal: Signal) {
    let Ok(named) = NixSignal::try_from(signal.as_raw()) else {
        return;
    };
    let mut set = SigSet::empty();
    set.add(named);
    // If this fails, the process simply keeps running.
    if signal::raise(named).is_ok() && set.thread_unblock().is_ok() {
        let _ = set.thread_block();
    }
}

/// Returns whether the signal asks for the end of the run.
pub(crate) fn stops(signal: Signal) -> bool {
    matches!(signal, Signal::TERM | Signal::INT | Signal::HUP | Signal::QUIT)
}

/// Returns the signal's name, such as `SIGTERM`.
pub(crate) fn name(signal: Signal) -> &'static str {
    NixSignal::try_from(signal.as_raw()).map_or("a signal", NixSignal::as_str)
}
