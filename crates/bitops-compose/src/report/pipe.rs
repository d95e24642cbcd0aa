//! Stderr, written so that a reader who stopped reading cannot keep the process from ending.

use std::{
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::progress::without_bars;
use crate::signals;

/// A pipe that is writable takes so much at once (`PIPE_BUF`, pipe(7)).
const AT_ONCE: usize = 4096;
/// How long a signal may go unseen: it may be another thread that it interrupts.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// Nobody waits for a reader any more.
static HURRY: AtomicBool = AtomicBool::new(false);

/// From here on a reader has a moment for each piece, and what it does not take is dropped: the parent of a running pipeline must not
/// stand still.
pub(crate) fn hurry() {
    HURRY.store(true, Ordering::Relaxed);
}

/// Writes all of it to stderr. Once SIGTERM or SIGINT came, only as much as is taken without waiting.
pub(crate) fn write_stderr(bytes: &[u8]) -> io::Result<()> {
    without_bars(|| write_all(bytes))
}

fn write_all(mut bytes: &[u8]) -> io::Result<()> {
    // One message at a time, as `eprint!` has it.
    let mut stderr = io::stderr().lock();
    while !bytes.is_empty() {
        if !wait_until_writable(&stderr)? {
            return Ok(());
        }
        match stderr.write(&bytes[..bytes.len().min(AT_ONCE)]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
                ) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// `false`: it is not, and the run is to end.
fn wait_until_writable(stderr: &io::StderrLock<'_>) -> io::Result<bool> {
    loop {
        let mut fds = [PollFd::new(stderr, PollFlags::OUT)];
        match poll(&mut fds, Some(&LOOK)) {
            // What is not open or broken is told by the write.
            Ok(1..) => return Ok(true),
            Ok(0) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if HURRY.load(Ordering::Relaxed) || signals::stopped().is_some() {
            return Ok(false);
        }
    }
}
