//! Work for the blocking pool.

use std::future::Future;

use compose_model::Failure;

use crate::wording;

/// Starts work that never waits for the network on the blocking pool, so that signals are handled
/// in the meantime. The returned future resolves to the result of the work.
pub fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> impl Future<Output = Result<T, Failure>> {
    let task = tokio::task::spawn_blocking(work);
    async {
        task.await
            .unwrap_or_else(|error| Err(wording::unexpected_end("a stage", error).into()))
    }
}
