//! When a failed step is retried.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

/// Waits for a duration. The default uses tokio's timer; tests inject one that returns at once and
/// records the calls.
pub trait Sleep: Send + Sync {
    /// Returns a future that resolves after `duration`.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

struct RealSleep;

impl Sleep for RealSleep {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A policy of retries with exponential backoff and jitter.
#[derive(Clone)]
pub struct RetryPolicy {
    /// The number of tries in all. Four span about two seconds: long enough for a restarting server
    /// or a dropped route, short enough to report a host that is down while the user is still
    /// watching.
    pub attempts: u32,
    /// The wait before the first retry. It doubles with each retry.
    pub base: Duration,
    /// The longest wait that the backoff reaches.
    pub longest: Duration,
    /// The longest `Retry-After` that is honoured. If a server asks for more, the step is not
    /// retried, and the error says so.
    pub longest_retry_after: Duration,
    /// The timer.
    pub sleep: Arc<dyn Sleep>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 4,
            base: Duration::from_millis(250),
            longest: Duration::from_secs(8),
            longest_retry_after: Duration::from_secs(60),
            sleep: Arc::new(RealSleep),
        }
    }
}

impl fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryPolicy")
            .field("attempts", &self.attempts)
            .field("base", &self.base)
            .field("longest", &self.longest)
            .field("longest_retry_after", &self.longest_retry_after)
            .finish_non_exhaustive()
    }
}

/// Whether a failure may go away by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retryable {
    /// A retry cannot succeed.
    Never,
    /// A retry may succeed.
    Yes,
    /// A retry may succeed after the time that the server gave.
    After(Duration),
}

impl RetryPolicy {
    /// Returns how long to wait before the next try, or `None` if there is none. `attempt` counts
    /// from 1.
    pub(crate) fn wait(&self, attempt: u32, again: Retryable) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        match again {
            Retryable::Never => None,
            Retryable::After(wait) if wait > self.longest_retry_after => None,
            Retryable::After(wait) => Some(wait.max(self.base)),
            Retryable::Yes => {
                let full = self
                    .base
                    .saturating_mul(1 << (attempt - 1).min(16))
                    .min(self.longest);
                // Between half and the whole, so that runs that failed together do not retry
                // together.
                Some(full.mul_f64(fastrand::f64().mul_add(0.5, 0.5)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_with_jitter_until_the_tries_are_used_up() {
        let policy = RetryPolicy::default();
        for (attempt, millis) in [(1, 250), (2, 500), (3, 1000)] {
            let full = Duration::from_millis(millis);
            let wait = policy.wait(attempt, Retryable::Yes).unwrap();
            assert!(wait >= full / 2 && wait <= full, "{attempt}: {wait:?}");
        }
        assert_eq!(policy.wait(4, Retryable::Yes), None);
        assert_eq!(policy.wait(1, Retryable::Never), None);
    }

    #[test]
    fn retry_after_is_honoured_up_to_a_limit() {
        let policy = RetryPolicy::default();
        let after = |seconds| policy.wait(1, Retryable::After(Duration::from_secs(seconds)));
        assert_eq!(after(7), Some(Duration::from_secs(7)));
        assert_eq!(after(0), Some(policy.base));
        assert_eq!(after(3600), None);
    }
}
