//! Work that never waits for the network.

use compose_model::{Diagnostic, ExitCode, Failure};

/// Runs it on the blocking pool, so that a signal is heard meanwhile.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(
            Diagnostic::new(ExitCode::Bug, "a stage ended in an unexpected way")
                .because(error)
                .into(),
        )
    })
}
