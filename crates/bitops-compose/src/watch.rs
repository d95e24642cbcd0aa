//! Watches over the work of a run, and ends it with a signal, at its deadline, or when it takes too
//! much memory.
//!
//! The work has a thread of its own, so that nothing in it can keep the watch from ending the run: it
//! may parse, compare or wait for as long as it likes. Work that does not notice its end is left
//! behind, and ends with the process.

use std::{
    fs,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU8, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use compose_model::{Cancel, Diagnostic, ExitCode, Failure, Settings, env};

use crate::{settings, signals};

/// How long work that was ended may take to remove what it staged. Blocked sockets are not waited for.
pub(crate) const GRACE: Duration = Duration::from_millis(700);
/// How long work may go on after the deadline, because what it reports itself tells more.
const SLACK: Duration = Duration::from_millis(300);
/// How long a signal may go unnoticed, and memory may grow.
const LOOK: Duration = Duration::from_millis(5);

/// Whether a result is complete and only has to be written. Time for its reader is not limited.
static RESULT: AtomicBool = AtomicBool::new(false);

/// Whether the run has been ended. What is not written by now is not waited for.
static OVER: AtomicBool = AtomicBool::new(false);

/// Returns whether the run has been ended before its work was done.
pub(crate) fn is_over() -> bool {
    OVER.load(Ordering::Relaxed)
}

/// Says that a result is complete and is being written.
pub(crate) fn result_is_complete() {
    RESULT.store(true, Ordering::Relaxed);
}

/// What a run is doing, for the message about its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    Config,
    Fetch,
    Compose,
    Write,
    /// It waits for another run, which has a limit of its own.
    Wait,
}

impl Stage {
    const ALL: [Self; 5] = [Self::Config, Self::Fetch, Self::Compose, Self::Write, Self::Wait];

    fn words(self) -> &'static str {
        match self {
            Self::Config => "while the config was read",
            Self::Fetch => "while sources were resolved and fetched",
            Self::Compose => "while files were composed and reported",
            Self::Write | Self::Wait => "while the composition was written",
        }
    }
}

/// The run: this process has one.
static RUN: LazyLock<Limits> = LazyLock::new(|| Limits::of(settings::read().ok().as_ref()));

/// What a run may take. Clones share the flag and the stage.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Raised when the run is to end.
    cancel: Cancel,
    /// When the run began.
    started: Instant,
    timeout: Duration,
    /// In bytes.
    memory: u64,
    stage: Arc<AtomicU8>,
    /// Whether nothing ends the run now.
    undisturbed: Arc<AtomicBool>,
}

/// Returns the flag that is raised when the run is to end.
pub(crate) fn cancel() -> Cancel {
    RUN.cancel.clone()
}

/// Returns when the run began.
pub(crate) fn started() -> Instant {
    RUN.started
}

/// Records what the run does from now on.
pub(crate) fn enter(stage: Stage) {
    RUN.enter(stage);
}

/// Does the work of the run on a thread of its own until it is done, or until the run must end.
pub(crate) fn watched<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    RUN.watch(work)
}

/// Does something short that must not be left half done, such as moving files of the user. A signal
/// and the deadline wait for it. It does not begin once the run has been ended.
pub(crate) fn undisturbed<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    RUN.undisturbed(work)
}

impl Limits {
    /// Returns the limits of a run that begins now. Invalid settings limit nothing: they are errors
    /// wherever they matter.
    fn of(settings: Option<&Settings>) -> Self {
        Self {
            cancel: Cancel::new(),
            started: Instant::now(),
            timeout: settings.map_or(Duration::MAX, |settings| settings.timeout),
            memory: settings.map_or(u64::MAX, |settings| settings.memory),
            stage: Arc::default(),
            undisturbed: Arc::default(),
        }
    }

    /// Records what the run does from now on.
    fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    fn stage(&self) -> Stage {
        let stage = self.stage.load(Ordering::Relaxed);
        Stage::ALL[usize::from(stage).min(Stage::ALL.len() - 1)]
    }

    fn undisturbed<T>(&self, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
        self.undisturbed.store(true, Ordering::SeqCst);
        let done = if self.cancel.is_cancelled() {
            Err(Diagnostic::new(ExitCode::Bug, "the run has been ended").into())
        } else {
            work()
        };
        self.undisturbed.store(false, Ordering::SeqCst);
        done
    }

    fn is_late(&self) -> bool {
        self.stage() != Stage::Wait
            && !RESULT.load(Ordering::Relaxed)
            && self.started.elapsed() >= self.timeout
    }

    /// Returns why the run must end now, and the time that it has for it.
    fn end(&self) -> Option<(Diagnostic, Duration)> {
        if self.undisturbed.load(Ordering::SeqCst) {
            return None;
        }
        if let Some(stopped) = signals::stopped() {
            return Some((stopped, GRACE));
        }
        if anonymous_memory().is_some_and(|bytes| bytes > self.memory) {
            // Each moment takes more, unless only files are being written.
            let grace = if self.stage() == Stage::Write {
                GRACE
            } else {
                Duration::ZERO
            };
            return Some((self.too_large(), grace));
        }
        self.is_late().then(|| (self.too_late(), GRACE))
    }

    fn too_late(&self) -> Diagnostic {
        let (timeout, stage) = (self.timeout.as_secs_f64(), self.stage().words());
        Diagnostic::new(
            ExitCode::TimedOut,
            format!("the run was not finished after {timeout} s; the time ran out {stage}"),
        )
        .hint(format!(
            "set {} to more seconds, or leave out what takes so long",
            env::TIMEOUT
        ))
    }

    fn too_large(&self) -> Diagnostic {
        let (memory, stage) = (self.memory, self.stage().words());
        Diagnostic::error(format!(
            "the run needs more than {memory} bytes of memory; they were used up {stage}"
        ))
        .hint(format!(
            "leave out what is so large (`exclude` in a source's entry), or set {} to more bytes",
            env::MAX_MEMORY
        ))
    }
}

/// Returns the bytes of memory that this process uses, without those of mapped files.
fn anonymous_memory() -> Option<u64> {
    // `size resident shared …`, in pages: proc_pid_statm(5).
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = text.split(' ').skip(1).map(str::parse::<u64>);
    let (resident, shared) = (pages.next()?.ok()?, pages.next()?.ok()?);
    Some(resident.saturating_sub(shared) * rustix::param::page_size() as u64)
}

impl Limits {
    fn watch<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        signals::watch();
        let (send, result) = mpsc::channel();
        let thread = thread::Builder::new()
            .spawn(move || {
                // This fails only where the result is no longer waited for.
                let _ = send.send(work());
            })
            .map_err(no_thread)?;
        let done = wait(self, &result)?;
        // The thread ends now, so that a signal which follows can only wait for this one.
        let _ = thread.join();
        done
    }
}

fn wait<T>(limits: &Limits, result: &Receiver<Result<T, Failure>>) -> Result<Result<T, Failure>, Failure> {
    loop {
        match result.recv_timeout(LOOK) {
            Ok(done) => return Ok(done),
            Err(RecvTimeoutError::Disconnected) => return Err(unexpected_end().into()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        let Some((problem, grace)) = limits.end() else {
            continue;
        };
        if problem.code == ExitCode::TimedOut
            && let Ok(done) = result.recv_timeout(SLACK)
        {
            return Ok(done);
        }
        OVER.store(true, Ordering::Relaxed);
        limits.cancel.cancel();
        // What must not be left half done may have begun just before. Its result counts.
        let mut is_result = false;
        while limits.undisturbed.load(Ordering::SeqCst) {
            is_result = true;
            match result.recv_timeout(LOOK) {
                Ok(done) => return Ok(done),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        // Whatever else the work returns now, the run ends; the work only gets the time to clean up.
        return match result.recv_timeout(grace) {
            Ok(done) if is_result => Ok(done),
            _ => Err(problem.into()),
        };
    }
}

fn unexpected_end() -> Diagnostic {
    Diagnostic::new(ExitCode::Bug, "the run ended in an unexpected way")
}

/// Describes that no thread can be started.
pub(crate) fn no_thread(error: std::io::Error) -> Diagnostic {
    Diagnostic::new(ExitCode::CannotWrite, "no thread can be started")
        .because(error)
        .hint("allow more processes: `ulimit -u`, or `docker run --pids-limit`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(timeout: Duration, memory: u64) -> Limits {
        Limits {
            timeout,
            memory,
            cancel: Cancel::new(),
            started: Instant::now(),
            stage: Arc::default(),
            undisturbed: Arc::default(),
        }
    }

    fn code<T: Send + 'static>(limits: &Limits, work: fn() -> Result<T, Failure>) -> Option<ExitCode> {
        limits.watch(work).err().map(|failure| failure.code())
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn work_that_never_ends_is_left_behind_at_the_deadline() {
        let limits = limits(Duration::from_millis(10), u64::MAX);
        let started = Instant::now();
        let code = code::<()>(&limits, || {
            loop {
                std::hint::spin_loop();
            }
        });
        assert_eq!(code, Some(ExitCode::TimedOut));
        assert!(limits.cancel.is_cancelled());
        assert!(started.elapsed() < LONG);
    }

    #[test]
    fn work_that_takes_too_much_memory_is_ended() {
        let code = code::<()>(&limits(LONG, 0), || {
            std::thread::sleep(LONG);
            Ok(())
        });
        assert_eq!(code, Some(ExitCode::Config));
    }

    #[test]
    fn what_must_not_be_left_half_done_is_not_disturbed_and_does_not_begin_too_late() {
        let limits = limits(Duration::ZERO, u64::MAX);
        assert!(limits.end().is_some());
        let is_quiet = limits.undisturbed(|| Ok(limits.end().is_none()));
        assert!(is_quiet.unwrap());
        assert!(limits.end().is_some());

        limits.cancel.cancel();
        let mut begun = false;
        let end = limits.undisturbed(|| {
            begun = true;
            Ok(())
        });
        assert!(end.is_err() && !begun);
    }

    #[test]
    fn what_begins_between_the_deadline_and_the_end_is_finished() {
        let limits = limits(Duration::ZERO, u64::MAX);
        let (inner, finished) = (limits.clone(), Arc::new(AtomicBool::new(false)));
        let done = Arc::clone(&finished);
        let spin_until = |inner: &Limits, moment: Duration| {
            while inner.started.elapsed() < moment {
                std::hint::spin_loop();
            }
        };
        let end = limits.watch(move || {
            // The deadline is over, and the watch waits for a result a little longer.
            spin_until(&inner, SLACK / 2);
            inner.undisturbed(|| {
                spin_until(&inner, SLACK + GRACE + 10 * LOOK);
                done.store(true, Ordering::SeqCst);
                Ok(())
            })
        });
        assert!(finished.load(Ordering::SeqCst));
        assert!(end.is_ok());
    }

    #[test]
    fn a_result_in_time_is_returned_and_so_is_one_shortly_after_the_deadline() {
        assert_eq!(limits(LONG, u64::MAX).watch(|| Ok(1)).unwrap(), 1);
        let late = limits(Duration::ZERO, u64::MAX).watch(|| {
            std::thread::sleep(4 * LOOK);
            Ok(2)
        });
        assert_eq!(late.unwrap(), 2);
    }

    #[test]
    fn the_deadline_does_not_hold_while_another_run_is_waited_for() {
        let limits = limits(Duration::ZERO, u64::MAX);
        limits.enter(Stage::Wait);
        assert!(limits.end().is_none());
        limits.enter(Stage::Compose);
        let (problem, _) = limits.end().unwrap();
        assert_eq!(
            problem.message,
            "the run was not finished after 0 s; the time ran out while files were composed and reported"
        );
    }

    #[test]
    fn work_that_panics_is_a_bug() {
        let work = || -> Result<(), Failure> { std::panic::panic_any(()) };
        assert_eq!(code(&limits(LONG, u64::MAX), work), Some(ExitCode::Bug));
    }
}
