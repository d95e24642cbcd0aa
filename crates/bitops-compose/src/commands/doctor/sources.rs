//! An environment's config and lock, and the hosts of its sources.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use compose_git::{Answer, Approach};
use compose_model::{Diagnostic, Failure, RepoUrl, SourceSpec, env, text::counted};
use compose_sources::{Gatherer, check_lock};
use tokio::task::JoinSet;

use super::check::{Checks, Group};
use crate::{job::Job, pipeline, report::Printer};

/// The answers of repos, by [`RepoUrl::key`].
pub(super) type Answers = HashMap<String, Result<Answer, Diagnostic>>;

/// One environment, as far as this machine knows it.
pub(super) struct Environment {
    pub(super) name: String,
    pub(super) checks: Checks,
    /// The repos of the config and of the lock, each once.
    pub(super) repos: Vec<RepoUrl>,
    printer: Printer,
}

impl Environment {
    /// Looks at the config and the lock.
    pub(super) fn read(
        name: String,
        job: Result<Arc<Job>, Failure>,
        gatherer: &Gatherer,
        printer: &Printer,
    ) -> Self {
        let mut environment = Self {
            name,
            checks: Checks::new(Group::Sources),
            repos: Vec::new(),
            printer: printer.clone(),
        };
        match job {
            Ok(job) => {
                environment.printer = job.printer.clone();
                environment.config(&job, gatherer);
            }
            Err(failure) => environment.fail("config", failure.diagnostics()),
        }
        environment
    }

    fn config(&mut self, job: &Job, gatherer: &Gatherer) {
        let (sources, warning) = match pipeline::examined_config(job) {
            Ok(read) => read,
            Err(failure) => return self.fail("config", failure.diagnostics()),
        };
        if sources.is_empty() {
            match warning {
                Some(warning) => self.fail("config", &[warning]),
                None => self.checks.ok("config", format!("{} names no sources", job.file)),
            }
            return;
        }
        let count = counted(sources.len(), "source");
        self.checks
            .ok("config", format!("{} names {count}, without mistakes", job.file));
        self.lock(job, &sources);
        if let Err(failure) = gatherer.check_keys(&sources) {
            self.fail("keys", failure.diagnostics());
        }
    }

    fn lock(&mut self, job: &Job, sources: &[SourceSpec]) {
        self.add_repos(sources.iter().map(|source| &source.repo));
        let file = job.lock_file();
        match check_lock(&file, job.settings.locked, sources) {
            Err(failure) => return self.fail("lock", failure.diagnostics()),
            Ok(warnings) if !warnings.is_empty() => self.fail("lock", &warnings),
            Ok(_) => match file.read() {
                Ok(Some(lock)) => {
                    let name = file.name();
                    let pinned = counted(lock.sources.len(), "source");
                    self.checks
                        .ok("lock", format!("{name} pins {pinned}, nested ones included"));
                    self.add_repos(lock.sources.iter().map(|locked| &locked.repo));
                    return;
                }
                Ok(None) => self
                    .checks
                    .ok("lock", "no lock: each run resolves the versions anew"),
                Err(failure) => self.fail("lock", failure.diagnostics()),
            },
        }
        self.checks.ok(
            "nested",
            "nested sources are not checked: they are known only after fetching, or from a lock",
        );
    }

    fn add_repos<'a>(&mut self, repos: impl Iterator<Item = &'a RepoUrl>) {
        for repo in repos {
            if !self.repos.contains(repo) {
                self.repos.push(repo.clone());
            }
        }
    }

    fn fail(&mut self, name: &'static str, problems: &[Diagnostic]) {
        self.checks.problems(name, &self.printer, problems);
        self.printer.annotations(problems);
    }

    /// Says what would be sent to each host.
    pub(super) fn approaches(&mut self, gatherer: &Gatherer) {
        let mut hosts: BTreeMap<String, Approach> = BTreeMap::new();
        for repo in &self.repos {
            match gatherer.approach(repo) {
                Err(problem) => self.checks.problem("credential", &self.printer, &problem),
                Ok(approach) => {
                    if let Some(to) = &approach.rewritten {
                        let message =
                            format!("{repo} is fetched from {to}, by url.*.insteadOf of git's configuration");
                        self.checks.ok("rewritten", message);
                    }
                    if let Some(host) = &approach.host {
                        let what = format!("{host} {:?}", (&approach.credentials, approach.proxy));
                        hosts.entry(what).or_insert(approach);
                    }
                }
            }
        }
        for approach in hosts.values() {
            self.approach(approach);
        }
    }

    fn approach(&mut self, approach: &Approach) {
        let host = approach.host.as_deref().unwrap_or_default();
        let by = if approach.is_ssh { " by ssh" } else { "" };
        let proxy = approach
            .proxy
            .map(|name| format!(", through the proxy of {name}"))
            .unwrap_or_default();
        if approach.is_unprotected {
            self.checks.warning(
                "credential",
                format!("{host}{proxy}: no credential is sent, because http:// is not encrypted"),
                "use an https:// address",
            );
            return;
        }
        if approach.is_ssh && approach.credentials.is_empty() {
            self.checks.warning(
                "credential",
                format!("{host} by ssh: there is neither an agent (SSH_AUTH_SOCK) nor the file of a key"),
                "give this machine a key for the host, or mount one: `-v ~/.ssh:/root/.ssh:ro`",
            );
            return;
        }
        let message = match approach.credentials.as_slice() {
            [] => format!("{host}{proxy}: there is no credential{}", how_to_set(host)),
            [one] => format!("{host}{by}{proxy}: {one}"),
            many => format!("{host}{by}{proxy}: in this order, {}", many.join("; ")),
        };
        self.checks.ok("credential", message);
    }

    /// Says whether the repos answer.
    pub(super) fn answers(&mut self, answers: &Answers) {
        for repo in &self.repos {
            match answers.get(repo.key()) {
                None => {}
                Some(Ok(answer)) => {
                    let with = match &answer.credential {
                        Some(name) => format!(", with {name}"),
                        None => String::new(),
                    };
                    let tags = counted(answer.tags, "tag");
                    let branches = match answer.branches {
                        1 => "1 branch".to_owned(),
                        many => format!("{many} branches"),
                    };
                    self.checks
                        .ok("answer", format!("{repo} answers{with}: {tags}, {branches}"));
                }
                Some(Err(problem)) => self.checks.problem("answer", &self.printer, problem),
            }
        }
    }
}

/// Says which variable takes a host's token.
fn how_to_set(host: &str) -> String {
    let name = host.split(':').next().unwrap_or_default();
    match env::token_variable(name) {
        Some(variable) => format!("; {variable} takes one"),
        None => String::new(),
    }
}

/// Asks all repos at once, each one once.
pub(super) async fn ask(gatherer: &Arc<Gatherer>, repos: Vec<RepoUrl>) -> Answers {
    let mut tasks = JoinSet::new();
    for repo in repos {
        let gatherer = Arc::clone(gatherer);
        tasks.spawn(async move {
            let answer = gatherer.answer(&repo).await;
            (repo.key().to_owned(), answer)
        });
    }
    let mut answers = Answers::new();
    while let Some(done) = tasks.join_next().await {
        // A task that panicked has no answer.
        answers.extend(done.ok());
    }
    answers
}
