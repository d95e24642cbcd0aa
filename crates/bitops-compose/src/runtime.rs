//! The tokio runtime of a run.
//!
//! As PID 1 of a container, a process has no default handlers: without this program's own,
//! `docker stop` would wait ten seconds and then kill it. The handlers end with the exec of the
//! pipeline, which handles signals in its own way.

use std::{future::Future, time::Duration};

use compose_model::{Diagnostic, ExitCode, Failure};

use crate::{
    report::end_progress,
    signals,
    watch::{self, GRACE},
};

/// How long idle threads are kept for the next piece of work. Once a thread exists, work waits for
/// it where no other can be started.
const KEEP_THREADS: Duration = Duration::from_secs(3600);

/// Runs the `work` of a command for people.
///
/// What follows is its result on stdout; a signal then ends the process at once.
pub(crate) fn run<T>(blocking: usize, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let result = run_before_launch(blocking, work);
    signals::leave_at_once();
    result
}

/// Runs `work` on a runtime.
///
/// The runtime has one thread of its own; gix and the file system work on its blocking pool, with
/// at most `blocking` threads. If the work fails, threads that are still blocked are left behind:
/// the process exits or execs.
pub(crate) fn run_before_launch<T>(
    blocking: usize,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    a_thread_can_be_started()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(blocking)
        .thread_keep_alive(KEEP_THREADS)
        .build()
        .map_err(|error| {
            Diagnostic::new(ExitCode::CannotWrite, "the run cannot be started")
                .because(error)
                .hint("allow more open files: `ulimit -n`")
        })?;
    let result = runtime.block_on(work);
    end_progress();
    if result.is_ok() {
        // All work is done. Once its threads are gone, a signal can only wait for the main thread,
        // and is not lost in the exec that follows.
        runtime.shutdown_timeout(GRACE);
    } else {
        runtime.shutdown_background();
    }
    result
}

/// Checks that a thread can be started, and returns an error if not.
///
/// tokio panics where it cannot start the first thread of its pool.
fn a_thread_can_be_started() -> Result<(), Diagnostic> {
    let started = std::thread::Builder::new().stack_size(64 << 10).spawn(|| ());
    started
        .map(|thread| drop(thread.join()))
        .map_err(watch::no_thread)
}
