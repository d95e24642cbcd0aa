//! Progress bars on a terminal.

use std::{
    collections::HashMap,
    io::IsTerminal,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use compose_model::{RepoUrl, Reporter, Stage, report::Silent};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::mask::Masks;
use crate::flags;

/// The bars that are on the terminal.
static SHOWN: Mutex<Option<Arc<Bars>>> = Mutex::new(None);

/// Returns a reporter that shows bars if stderr is a terminal. Otherwise nothing is shown, because
/// lines of progress have no place in a CI's log.
pub(crate) fn reporter(masks: &Arc<Masks>) -> Arc<dyn Reporter> {
    let flags = flags::get();
    if flags.quiet || flags.no_progress || !std::io::stderr().is_terminal() {
        return Arc::new(Silent);
    }
    let bars = Arc::new(Bars {
        masks: Arc::clone(masks),
        all: MultiProgress::default(),
        bars: Mutex::new(Some(HashMap::new())),
    });
    *lock(&SHOWN) = Some(Arc::clone(&bars));
    bars
}

/// Removes the bars from the terminal for good. Work that is still running shows no new ones.
pub(crate) fn end_progress() {
    let Some(shown) = lock(&SHOWN).take() else {
        return;
    };
    for bar in lock(&shown.bars).take().unwrap_or_default().into_values() {
        bar.finish_and_clear();
    }
    // This fails if the terminal is gone, and then the bars are gone, too.
    let _ = shown.all.clear();
}

/// Calls `write`, which writes to the terminal, while the bars are hidden.
pub(super) fn without_bars<T>(write: impl FnOnce() -> T) -> T {
    let shown = lock(&SHOWN).clone();
    match shown {
        Some(shown) => shown.all.suspend(write),
        None => write(),
    }
}

/// Locks a mutex. A panic while a bar was drawn does not cause another one.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The bars, one line per repo: the current stage, the bytes received and the time elapsed.
struct Bars {
    masks: Arc<Masks>,
    all: MultiProgress,
    /// The bars by repo; `None` after the work has ended.
    bars: Mutex<Option<HashMap<String, ProgressBar>>>,
}

impl Bars {
    fn with(&self, repo: &RepoUrl, act: impl FnOnce(&ProgressBar)) {
        let mut bars = lock(&self.bars);
        let Some(bars) = bars.as_mut() else { return };
        let bar = bars.entry(repo.key().to_owned()).or_insert_with(|| {
            let style =
                ProgressStyle::with_template("{spinner} {prefix:<24!} {msg:<14} {bytes:>10} {elapsed:>4}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = self.all.add(
                ProgressBar::no_length()
                    .with_style(style)
                    .with_prefix(self.masks.apply(repo.name()).into_owned()),
            );
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        act(bar);
    }
}

impl Reporter for Bars {
    fn stage(&self, repo: &RepoUrl, stage: Stage) {
        self.with(repo, |bar| bar.set_message(stage.to_string()));
    }

    fn bytes(&self, repo: &RepoUrl, received: u64) {
        self.with(repo, |bar| bar.set_position(received));
    }

    fn done(&self, repo: &RepoUrl) {
        self.with(repo, ProgressBar::finish_and_clear);
    }
}
