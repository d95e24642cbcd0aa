//! Signals as flags, for code that cannot wait on the runtime, and their reset for the pipeline.
//!
//! The runtime hears SIGTERM and SIGINT only between two steps of its own thread. That thread also
//! writes to stderr, where a reader that stopped reading can block it indefinitely, without hearing
//! a signal. Code that writes therefore checks these flags meanwhile.

use std::{
    fs,
    sync::{
        Once,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use compose_model::{Diagnostic, ExitCode};
use rustix::process::Signal;
use signal_hook::flag;

/// The number of the signal that asked for the end; 0 if none did.
static STOP: AtomicUsize = AtomicUsize::new(0);
/// Whether nothing is left to clean up, so that a signal ends the process at once, as without any
/// handler.
static LEAVE: AtomicBool = AtomicBool::new(false);
/// The flag of signals that only need a handler. Nothing reads it.
static IGNORED: AtomicBool = AtomicBool::new(false);

/// The signals that end a run.
const STOPPING: [(Signal, &str, ExitCode); 2] = [
    (Signal::TERM, "SIGTERM", ExitCode::Terminated),
    (Signal::INT, "SIGINT", ExitCode::Interrupted),
];

/// Installs the handlers, once. Exec restores the defaults.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Where a handler cannot be installed, the default remains, which is to end. The runtime's
        // own handlers report that.
        for (signal, _, code) in STOPPING {
            let number = signal.as_raw();
            let code = i32::from(code.code());
            let _ = flag::register_usize(number, &STOP, usize::try_from(number).unwrap_or_default());
            let _ = flag::register_conditional_shutdown(number, code, &LEAVE);
        }
        // With a handler, a file over the size limit (`ulimit -f`) is an error with a path instead
        // of a silent end.
        let _ = flag::register(Signal::XFSZ.as_raw(), &IGNORED);
    });
}

/// Lets SIGTERM and SIGINT end the process at once from here on.
///
/// The work is done, and only its result is being printed.
pub(crate) fn leave_at_once() {
    LEAVE.store(true, Ordering::SeqCst);
}

/// Returns the end that a signal asked for, if any.
pub(crate) fn stopped() -> Option<Diagnostic> {
    let number = STOP.load(Ordering::SeqCst);
    STOPPING
        .into_iter()
        .find(|(signal, ..)| usize::try_from(signal.as_raw()) == Ok(number))
        .map(|(_, name, code)| stopped_by(name, code))
}

/// Describes the end of a run that a signal stopped.
pub(crate) fn stopped_by(name: &str, code: ExitCode) -> Diagnostic {
    Diagnostic::new(code, format!("stopped by {name} before the pipeline was started"))
}

/// Lets the next process that is exec'd start with no signal ignored, whatever was inherited.
///
/// Exec keeps ignored signals and resets handled ones, so every ignored signal gets a handler.
/// SIGPIPE is left to the standard library, which ignores it and puts it back.
pub(crate) fn reset_ignored() {
    for number in ignored(&fs::read_to_string("/proc/self/status").unwrap_or_default()) {
        if number != Signal::PIPE.as_raw() && !signal_hook::consts::FORBIDDEN.contains(&number) {
            // The system reserves some signals, which cannot have a handler.
            let _ = flag::register(number, &IGNORED);
        }
    }
}

/// Returns the numbers in `SigIgn` of proc_pid_status(5).
fn ignored(status: &str) -> Vec<i32> {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default();
    (1..=64)
        .filter(|number| mask & (1 << (number - 1)) != 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        let status = "Name:\tx\nSigBlk:\t00000000ffffffff\nSigIgn:\t8000000000001001\nSigCgt:\t0\n";
        assert_eq!(ignored(status), [1, 13, 64]);
        assert!(ignored("").is_empty());
    }
}
