//! One repo in one run: its requests, in order, with retries.

use std::{fmt, sync::Arc};

use compose_model::{RefEntry, Refs, RepoUrl, Stage};
use tokio::{runtime::Handle, sync::Mutex};

use crate::{
    error::Error,
    fetch, refs,
    run::Run,
    shared::{Shared, Work},
    snapshot::Snapshot,
    want::Want,
    wire::MAX_SHOWN_MESSAGE,
};

/// One repo. Calls are processed one after the other, over one connection.
pub struct Repo {
    pub(crate) shared: Arc<Shared>,
    work: Arc<Mutex<Work>>,
}

/// The refs of a repo as seen in this run.
#[derive(Clone, Debug)]
pub struct ObservedRefs {
    /// The refs that the cache held before this run asked for them; `None` if it held none or the
    /// run is offline.
    pub before: Option<Arc<Refs>>,
    /// The current refs.
    pub now: Arc<Refs>,
}

impl Repo {
    pub(crate) fn new(run: Arc<Run>, url: RepoUrl) -> Self {
        Self {
            shared: Arc::new(Shared::new(run, url)),
            work: Arc::default(),
        }
    }

    /// Returns the repo's address.
    pub fn url(&self) -> &RepoUrl {
        &self.shared.url
    }

    /// Returns the number of requests sent in this run (for ssh and files: programs started) and of
    /// bytes received.
    pub fn traffic(&self) -> (u64, u64) {
        self.shared.traffic.counts()
    }

    /// Returns all refs seen in this run, including those that start with `prefixes`. Only prefixes
    /// that were not requested before cost a request, and a name keeps the value that it was first
    /// seen with. Offline, the refs are those that the cache holds from the last run that looked.
    pub async fn refs(&self, prefixes: &[String]) -> Result<Arc<Refs>, Error> {
        Ok(self.observe_refs(prefixes).await?.now)
    }

    /// Returns the refs as [`Repo::refs`] does, together with those that the cache held before.
    pub async fn observe_refs(&self, prefixes: &[String]) -> Result<ObservedRefs, Error> {
        let prefixes = prefixes.to_vec();
        self.step(move |shared, work, runtime| request_refs(shared, work, runtime, &prefixes))
            .await
    }

    /// Fetches all files of the wanted directories, and the files that symlinks there point to,
    /// into the cache. Objects that the cache holds are verified and not requested; the rest takes
    /// one request for the commits and one for their content (more only if symlinks or a filter
    /// make content depend on other content). A directory that does not exist is not an error here;
    /// [`Snapshot::files`] reports it.
    ///
    /// Returns one snapshot per want, in order.
    pub async fn fetch(&self, wants: &[Want]) -> Result<Vec<Snapshot>, Error> {
        let wants: Arc<[Want]> = wants.into();
        let done = self
            .step(move |shared, work, runtime| fetch::fetch(shared, work, runtime, &wants))
            .await;
        self.done("fetched", done.is_ok());
        done
    }

    /// Ends the progress of the repo, and logs what it took so far.
    pub(crate) fn done(&self, what: &str, ok: bool) {
        self.shared.run.options.reporter.done(&self.shared.url);
        let (requests, bytes) = self.traffic();
        tracing::debug!(repo = %self.shared.url, requests, bytes, ok, "{what}");
    }

    /// Runs a blocking step on the blocking pool, and retries it as the policy allows.
    pub(crate) async fn step<T, F>(&self, step: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Fn(&Arc<Shared>, &mut Work, &Handle) -> Result<T, Error> + Send + Sync + 'static,
    {
        let (run, url) = (&self.shared.run, &self.shared.url);
        let step = Arc::new(step);
        for attempt in 1.. {
            let done = tokio::select! {
                biased;
                done = self.attempt(Arc::clone(&step)) => done,
                // A thread that does not return (because of a hanging disk) is left behind.
                error = run.interrupted(url) => Err(error),
            };
            let error = match done {
                Ok(value) => return Ok(value),
                Err(error) => self.shared.placed(error),
            };
            let wait = run.options.tuning.retry.wait(attempt, error.retryable());
            let Some(wait) = wait.filter(|wait| *wait < run.left()) else {
                return Err(error);
            };
            let why = error.to_string();
            tracing::info!(
                repo = %url,
                why = why.strip_prefix(&format!("{url}: ")).unwrap_or(&why),
                "trying again in {:.1} s (try {} of {})",
                wait.as_secs_f32(),
                attempt + 1,
                run.options.tuning.retry.attempts,
            );
            run.options.reporter.stage(url, Stage::Retrying);
            tokio::select! {
                biased;
                error = run.interrupted(url) => return Err(self.shared.placed(error)),
                () = run.options.tuning.retry.sleep.sleep(wait) => {}
            }
        }
        Err(Error::Bug {
            repo: url.clone(),
            what: "the tries ran out".to_owned(),
        })
    }

    async fn attempt<T, F>(&self, step: Arc<F>) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Fn(&Arc<Shared>, &mut Work, &Handle) -> Result<T, Error> + Send + Sync + 'static,
    {
        let mut work = Arc::clone(&self.work).lock_owned().await;
        let permit = Arc::clone(&self.shared.run.jobs).acquire_owned().await;
        let shared = Arc::clone(&self.shared);
        let runtime = Handle::current();
        let url = self.shared.url.clone();
        let span = tracing::debug_span!("repo", repo = %url, requests = tracing::field::Empty, bytes = tracing::field::Empty);
        let task = tokio::task::spawn_blocking(move || {
            let _entered = span.enter();
            let _permit = permit;
            let done = step(&shared, &mut work, &runtime);
            let (requests, bytes) = shared.traffic.counts();
            span.record("requests", requests).record("bytes", bytes);
            if done.is_err() {
                // The state of the conversation is unknown after an error.
                work.session = None;
            }
            done
        });
        task.await.unwrap_or_else(|error| {
            // A panic's message may quote the server. The other repos go on.
            Err(Error::Bug {
                repo: url,
                what: compose_model::text::escape(&error.to_string(), MAX_SHOWN_MESSAGE),
            })
        })
    }
}

fn request_refs(
    shared: &Arc<Shared>,
    work: &mut Work,
    runtime: &Handle,
    prefixes: &[String],
) -> Result<ObservedRefs, Error> {
    let mut new: Vec<String> = prefixes
        .iter()
        .filter(|prefix| !refs::is_covered(prefix, &work.asked))
        .cloned()
        .collect();
    new.sort();
    new.dedup();
    if !new.is_empty() {
        let found = if shared.is_offline() {
            remembered(shared, &new)?
        } else {
            shared.session(work, runtime)?.refs(&new)?
        };
        let is_first = work.asked.is_empty();
        let known = Refs::new(std::mem::take(&mut work.refs));
        work.refs = known
            .iter()
            .cloned()
            .chain(found.into_iter().filter(|found| known.get(&found.name).is_none()))
            .collect();
        work.asked.extend(new);
        if !shared.is_offline() {
            // Refs that this run did not look at keep the values that the last run saw.
            let entry = shared.entry()?;
            let (mut asked, mut all) = (work.asked.clone(), work.refs.clone());
            if let Some((before, old)) = entry.remembered() {
                let stays = |name: &str| !refs::is_covered(name, &work.asked);
                asked.extend(before.into_iter().filter(|prefix| stays(prefix)));
                all.extend(old.iter().filter(|entry| stays(&entry.name)).cloned());
                if is_first {
                    work.before = Some(Arc::new(old));
                }
            }
            entry.remember(&asked, &Refs::new(all));
        }
    }
    Ok(ObservedRefs {
        before: work.before.clone(),
        now: Arc::new(Refs::new(work.refs.clone())),
    })
}

fn remembered(shared: &Shared, prefixes: &[String]) -> Result<Vec<RefEntry>, Error> {
    let remembered = shared.entry()?.remembered();
    let (asked, refs) = remembered.unwrap_or_default();
    match prefixes.iter().find(|prefix| !refs::is_covered(prefix, &asked)) {
        None => Ok(refs::select(refs.iter().cloned(), prefixes)),
        Some(prefix) => {
            let missing = format!(
                "a list of its refs ({})",
                compose_model::text::escape(prefix, 100)
            );
            Err(Error::Offline {
                repo: shared.url.clone(),
                missing,
            })
        }
    }
}

impl fmt::Debug for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repo")
            .field("url", &self.shared.url)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use compose_model::{Cause as _, ExitCode};

    use super::*;
    use crate::{Git, Options};

    #[tokio::test]
    async fn a_panic_is_the_error_of_one_repo() {
        let git = Git::new(Options::new("unused")).unwrap();
        let repo = |address: &str| git.repo(&RepoUrl::parse(address).unwrap());
        let broken = repo("https://host/broken");
        let panics = || -> Result<(), Error> { panic!("the server said \u{1b}[2J") };
        let error = broken.step(move |_, _, _| panics()).await.unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::Bug);
        let text = error.to_string();
        assert!(text.starts_with("https://host/broken: "), "{text}");
        assert!(!text.chars().any(char::is_control), "{text}");
        // Neither this repo nor another one is blocked by it.
        for address in ["https://host/broken", "https://host/other"] {
            repo(address).step(|_, _, _| Ok(())).await.unwrap();
        }
    }
}
