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

/// Bars where somebody looks at stderr, else nothing. Log lines of a CI are no place for them.
pub(crate) fn reporter(masks: &Arc<Masks>) -> Arc<dyn Reporter> {
    if std::io::stderr().is_terminal() {
        Arc::new(Bars {
            masks: Arc::clone(masks),
            all: MultiProgress::default(),
            bars: Mutex::default(),
        })
    } else {
        Arc::new(Silent)
    }
}

/// One line a repo: what is being done, how much was received, for how long.
struct Bars {
    masks: Arc<Masks>,
    all: MultiProgress,
    bars: Mutex<HashMap<String, ProgressBar>>,
}

impl Bars {
    fn with(&self, repo: &RepoUrl, act: impl FnOnce(&ProgressBar)) {
        // A panic while a bar was drawn is no reason for another one.
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
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
