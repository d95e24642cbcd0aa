//! Writes to stderr such that a reader that has stopped reading cannot keep the process from
//! ending.

use std::{
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::progress::without_bars;
use crate::{signals, watch};

/// The number of bytes that a writable pipe accepts at once (`PIPE_BUF`, pipe(7)).
const AT_ONCE: usize = 4096;
/// How long a signal may go unnoticed. Polling is necessary because the signal may interrupt
/// another thread.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// Whether writes no longer wait for a slow reader.
static HURRY: AtomicBool = AtomicBool::new(false);

/// Limits the wait for a reader from now on. The reader has a moment for each piece, and what it
/// does not read is dropped, because the parent of a running pipeline must not stand still.
pub(crate) fn hurry() {
    HURRY.store(true, Ordering::Relaxed);
}

/// Writes all bytes to stderr. Once the run was ended (by SIGTERM or SIGINT, for example), writes only
/// as many as are accepted without waiting.
pub(crate) fn write_stderr(bytes: &[u8]) -> io::Result<()> {
    without_bars(|| write_all(bytes))
}

fn write_all(mut bytes: &[u8]) -> io::Result<()> {
    // The lock keeps messages apart, as in `eprint!`.
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

/// Waits until stderr is writable. Returns `false` if it is not writable and the run is to end.
fn wait_until_writable(stderr: &io::StderrLock<'_>) -> io::Result<bool> {
    loop {
        let mut fds = [PollFd::new(stderr, PollFlags::OUT)];
        match poll(&mut fds, Some(&LOOK)) {
            // The write reports a closed or broken stderr.
            Ok(1..) => return Ok(true),
            Ok(0) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if HURRY.load(Ordering::Relaxed) || watch::is_over() || signals::stopped().is_some() {
            return Ok(false);
        }
    }
}
