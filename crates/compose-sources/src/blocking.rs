//! Work that never waits for the network.

use compose_model::{ExitCode, Failure, Problem};

/// Runs it on the blocking pool, so that a signal is heard meanwhile.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(Problem::new(ExitCode::Bug, "a stage ended in an unexpected way")
            .because(error)
            .into())
    })
}
