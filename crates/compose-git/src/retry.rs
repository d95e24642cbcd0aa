//! When a failed step is tried again.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

/// Waits. The real one is tokio's; tests put one in that returns at once and remembers.
pub trait Sleep: Send + Sync {
    /// Resolves after `duration`.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

struct RealSleep;

impl Sleep for RealSleep {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Exponential backoff with jitter.
#[derive(Clone)]
pub struct RetryPolicy {
    /// Tries in all. Four span about two seconds: long enough for a restarting server or a dropped route, short
    /// enough that a host that is really gone is reported while the user still looks.
    pub attempts: u32,
    /// The first wait, doubled each time.
    pub base: Duration,
    /// No wait of our own is longer.
    pub longest: Duration,
    /// A server's `Retry-After` is honoured up to here; one that asks for more is not waited for, and the error says so.
    pub longest_retry_after: Duration,
    /// Who waits.
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

/// Whether a failure may pass by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// No.
    Never,
    /// Perhaps.
    Yes,
    /// Perhaps, and the server says when.
    After(Duration),
}

impl RetryPolicy {
    /// How long to wait before the next try, when there is one. `attempt` counts from 1.
    pub(crate) fn wait(&self, attempt: u32, again: Again) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        match again {
            Again::Never => None,
            Again::After(wait) if wait > self.longest_retry_after => None,
            Again::After(wait) => Some(wait.max(self.base)),
            Again::Yes => {
                let full = self
                    .base
                    .saturating_mul(1 << (attempt - 1).min(16))
                    .min(self.longest);
                // Between half and the whole, so that many runs that failed together do not come back together.
                Some(full.mul_f64(fastrand::f64().mul_add(0.5, 0.5)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_with_jitter_and_end() {
        let policy = RetryPolicy::default();
        for (attempt, millis) in [(1, 250), (2, 500), (3, 1000)] {
            let full = Duration::from_millis(millis);
            let wait = policy.wait(attempt, Again::Yes).unwrap();
            assert!(wait >= full / 2 && wait <= full, "{attempt}: {wait:?}");
        }
        assert_eq!(policy.wait(4, Again::Yes), None);
        assert_eq!(policy.wait(1, Again::Never), None);
    }

    #[test]
    fn a_server_may_ask_for_a_while_but_not_for_an_hour() {
        let policy = RetryPolicy::default();
        let after = |seconds| policy.wait(1, Again::After(Duration::from_secs(seconds)));
        assert_eq!(after(7), Some(Duration::from_secs(7)));
        assert_eq!(after(0), Some(policy.base));
        assert_eq!(after(3600), None);
    }
}
