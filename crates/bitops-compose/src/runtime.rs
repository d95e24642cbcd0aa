//! tokio, and the signals that end a run.
//!
//! As PID 1 of a container a process has no default handlers: without ours `docker stop` would wait ten seconds
//! and then kill. The handlers end with the exec of the pipeline, which has its own ideas about signals.

use std::{future::Future, time::Duration};

use compose_model::{Cancel, ExitCode};
use tokio::signal::unix::{SignalKind, signal};

use crate::problem::{Failure, Problem};

/// How long a cancelled run may take to remove what it staged. Blocked sockets are not waited for.
const GRACE: Duration = Duration::from_millis(700);

/// Runs `work` to its end, or to SIGTERM or SIGINT.
///
/// The runtime has one thread of its own; gix and the file system work on its blocking pool, `blocking` threads at
/// most. Threads that are still blocked at the end are left behind: the process exits or execs.
pub(crate) fn run<T>(
    cancel: &Cancel,
    blocking: usize,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(blocking)
        .build()
        .map_err(|error| {
            Problem::from_error(ExitCode::CannotWrite, &error).hint("are there threads and files left?")
        })?;
    let result = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
        tokio::pin!(work);
        let (name, code) = tokio::select! {
            biased;
            _ = terminate.recv() => ("SIGTERM", ExitCode::Terminated),
            _ = interrupt.recv() => ("SIGINT", ExitCode::Interrupted),
            result = &mut work => return result,
        };
        cancel.cancel();
        // Whatever the work yields now, the run ends; it only gets the time to clean up.
        let _ = tokio::time::timeout(GRACE, work).await;
        Err(Problem::new(code, format!("stopped by {name} before the pipeline was started")).into())
    });
    runtime.shutdown_background();
    result
}

fn no_signals(error: std::io::Error) -> Problem {
    Problem::new(ExitCode::Bug, "signal handlers cannot be installed").because(error)
}
