//! Work that never waits for the network.

use std::future::Future;

use compose_model::{Diagnostic, ExitCode, Failure};

/// Begins it on the blocking pool, so that a signal is heard meanwhile. The future is its end.
pub fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> impl Future<Output = Result<T, Failure>> {
    let task = tokio::task::spawn_blocking(work);
    async {
        task.await.unwrap_or_else(|error| {
            Err(
                Diagnostic::new(ExitCode::Bug, "a stage ended in an unexpected way")
                    .because(error)
                    .into(),
            )
        })
    }
}
