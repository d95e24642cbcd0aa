//! Every signal as something to read, so that one thread waits for all of them at once.
//!
//! The signals are blocked and read from a signalfd(2). A blocked signal reaches PID 1 too, to which the kernel delivers
//! none that is at its default. The pipeline is started with an empty mask (`child`).

use nix::sys::{
    signal::{self, SigSet, Signal as Named},
    signalfd::{SfdFlags, SignalFd},
};
use rustix::{
    fd::{AsFd, BorrowedFd},
    process::Signal,
};

use crate::{Error, error::io};

/// Those that stay with the parent itself: two cannot be had, and the rest says that this very program is broken.
const OWN: [Named; 9] = [
    Named::SIGKILL,
    Named::SIGSTOP,
    Named::SIGSEGV,
    Named::SIGBUS,
    Named::SIGILL,
    Named::SIGFPE,
    Named::SIGTRAP,
    Named::SIGSYS,
    Named::SIGABRT,
];

/// The blocked signals.
#[derive(Debug)]
pub(crate) struct Signals(SignalFd);

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived {
    pub(crate) signal: Signal,
    /// The kernel sent it, to a whole process group: a key of the terminal, its size, its end. Or about the parent itself
    /// (a broken pipe), or its children.
    pub(crate) by_kernel: bool,
}

impl Signals {
    pub(crate) fn block() -> Result<Self, Error> {
        hold_signals()?;
        SignalFd::with_flags(&all(), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map(Self)
            .map_err(io)
            .map_err(Error::Signals)
    }

    /// The next one; `None` where none is there.
    pub(crate) fn next(&self) -> Option<Arrived> {
        loop {
            let info = self.0.read_signal().ok()??;
            let number = i32::try_from(info.ssi_signo).unwrap_or_default();
            // The set holds signals with a name only.
            if let Some(signal) = Signal::from_named_raw(number) {
                // SI_USER, SI_QUEUE, SI_TKILL and the like are not above 0 (sigaction(2)).
                return Some(Arrived {
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

/// Blocks the signals that the parent acts on, so that one which comes before [`run`](crate::run) waits for it, also through an exec.
///
/// For a process with one thread.
pub fn hold_signals() -> Result<(), Error> {
    all().thread_block().map_err(io).map_err(Error::Signals)
}

/// Blocks no signal any more, whatever was inherited: for a program that is exec'd, which gets the mask as it is.
pub fn release_signals() -> Result<(), Error> {
    SigSet::empty()
        .thread_set_mask()
        .map_err(io)
        .map_err(Error::Signals)
}

fn all() -> SigSet {
    let mut set = SigSet::empty();
    Named::iterator()
        .filter(|signal| !OWN.contains(signal))
        .for_each(|signal| set.add(signal));
    set
}

/// Lets a signal do to this process what it does by default, though it is blocked: stop it, until somebody continues it, or
/// end it. The kernel stops no process that nobody could continue, and ends no PID 1.
pub(crate) fn take_default(signal: Signal) {
    let Ok(named) = Named::try_from(signal.as_raw()) else {
        return;
    };
    let mut set = SigSet::empty();
    set.add(named);
    // Where it fails the process simply runs on.
    if signal::raise(named).is_ok() && set.thread_unblock().is_ok() {
        let _ = set.thread_block();
    }
}

/// Does this signal ask for the end?
pub(crate) fn stops(signal: Signal) -> bool {
    matches!(signal, Signal::TERM | Signal::INT | Signal::HUP | Signal::QUIT)
}

/// The name as people write it.
pub(crate) fn name(signal: Signal) -> &'static str {
    Named::try_from(signal.as_raw()).map_or("a signal", Named::as_str)
}
