//! The bounds on the cache's size: which entries are removed, which are kept, and when the size is
//! checked.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use compose_git::{Cache, Git, Options, Snapshot};

use crate::support::{Catalog, Lab, contents, url, want};

/// Repos on disk, so that the cache takes the same number of bytes every time.
struct LocalRepos {
    lab: Lab,
    commits: Vec<(&'static str, String)>,
}

fn local_repos(names: &[&'static str]) -> LocalRepos {
    let lab = Lab::new();
    let commits = names
        .iter()
        .map(|name| {
            let catalog = lab.catalog(name);
            catalog.write("env/x", *name);
            (*name, catalog.commit())
        })
        .collect();
    LocalRepos { lab, commits }
}

impl LocalRepos {
    fn options(&self, limit: Option<u64>) -> Options {
        Options {
            cache_limit: limit,
            ..self.lab.options()
        }
    }

    /// Fetches one environment in a new run with a limit.
    async fn fetch(&self, limit: Option<u64>, name: &str) -> (Git, Snapshot) {
        let git = Git::new(self.options(limit)).unwrap();
        let snapshot = self.fetch_with(&git, name).await;
        (git, snapshot)
    }

    async fn fetch_with(&self, git: &Git, name: &str) -> Snapshot {
        let commit = &self.commits.iter().find(|known| known.0 == name).unwrap().1;
        let path = self.lab.dir.path().join("srv").join(name);
        let repo = git.repo(&url(format!("file://{}", path.display())));
        let got = repo.fetch(&[want(commit, &["env"])]).await.unwrap();
        assert_eq!(contents(&got[0], "env"), [format!("x={name}")]);
        got[0].clone()
    }

    fn cache(&self) -> Cache {
        Cache::at(self.lab.cache())
    }

    /// Returns the names of the repos in the cache.
    fn kept(&self) -> Vec<String> {
        let entries = self.cache().list().unwrap();
        let name = |repo: &str| repo.rsplit('/').next().unwrap().to_owned();
        entries.iter().map(|entry| name(&entry.repo)).collect()
    }

    fn bytes(&self) -> u64 {
        self.cache().list().unwrap().iter().map(|entry| entry.bytes).sum()
    }

    fn entry(&self, name: &str) -> PathBuf {
        let entries = self.cache().list().unwrap();
        let entry = entries.iter().find(|entry| entry.repo.ends_with(name)).unwrap();
        entry.path.clone()
    }

    fn stamp(&self, name: &str) -> SystemTime {
        fs::metadata(self.entry(name).join("in-use"))
            .unwrap()
            .modified()
            .unwrap()
    }

    fn used_before(&self, name: &str, hours: u64) -> SystemTime {
        let time = SystemTime::now() - Duration::from_secs(hours * 3600);
        let file = fs::File::options()
            .write(true)
            .open(self.entry(name).join("in-use"));
        file.unwrap().set_modified(time).unwrap();
        self.stamp(name)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_fetch_the_least_recently_used_entries_go_and_those_of_the_run_stay() {
    let shelf = local_repos(&["a", "b", "c", "d"]);
    for name in ["a", "b", "c"] {
        let (git, _) = shelf.fetch(None, name).await;
        assert!(git.tidy().is_none(), "there is no limit");
    }
    shelf.used_before("a", 10);
    shelf.used_before("b", 30);
    shelf.used_before("c", 20);
    // One byte less than the old entries take: removing the oldest is not enough once the new one
    // is there.
    let (git, snapshot) = shelf.fetch(Some(shelf.bytes() - 1), "d").await;
    git.tidy().unwrap().finish();
    assert_eq!(shelf.kept(), ["a", "d"], "b is the oldest, c the next one");
    assert!(git.tidy().is_none(), "once is enough");
    drop((git, snapshot));

    // A run whose own entry exceeds the limit keeps it.
    let (git, snapshot) = shelf.fetch(Some(1), "b").await;
    drop(snapshot);
    git.tidy().unwrap().finish();
    assert_eq!(shelf.kept(), ["b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn warm_and_offline_runs_remove_nothing_and_write_once_an_hour() {
    let shelf = local_repos(&["a", "b"]);
    for name in ["a", "b"] {
        shelf.fetch(None, name).await;
    }
    let before = shelf.stamp("a");
    let (git, _) = shelf.fetch(Some(1), "a").await;
    assert!(git.tidy().is_none());
    assert_eq!(shelf.stamp("a"), before, "it is fresh enough");
    let old = shelf.used_before("a", 2);
    shelf.fetch(Some(1), "a").await;
    assert!(shelf.stamp("a") > old, "the use is noted");
    let future = SystemTime::now() + Duration::from_secs(1_000_000);
    let file = fs::File::options()
        .write(true)
        .open(shelf.entry("a").join("in-use"));
    file.unwrap().set_modified(future).unwrap();
    shelf.fetch(Some(1), "a").await;
    assert!(
        shelf.stamp("a") < future,
        "a wrong clock does not keep it for ever"
    );

    shelf.cache().clear().unwrap();
    shelf.fetch(None, "a").await;
    // A catalog on this machine's disk is fetched from even when offline.
    let git = Git::new(Options {
        offline: true,
        ..shelf.options(Some(1))
    })
    .unwrap();
    shelf.fetch_with(&git, "b").await;
    assert!(git.tidy().is_none());
    assert_eq!(shelf.kept(), ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_another_run_reads_are_kept() {
    let shelf = local_repos(&["a", "b", "c"]);
    let (other, theirs) = shelf.fetch(None, "a").await;
    drop(other);
    shelf.fetch(None, "b").await;
    shelf.used_before("a", 10);
    let (git, _) = shelf.fetch(Some(1), "c").await;
    git.tidy().unwrap().finish();
    assert_eq!(shelf.kept(), ["a", "c"]);
    assert_eq!(contents(&theirs, "env"), ["x=a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_of_a_killed_run_are_removed_and_only_one_run_prunes() {
    let shelf = local_repos(&["a", "b"]);
    shelf.fetch(None, "a").await;
    let layout = shelf.lab.cache().join("v1");
    // The run was killed between the rename and the deletion.
    fs::create_dir(layout.join(".trash-dead")).unwrap();
    fs::rename(shelf.entry("a"), layout.join(".trash-dead/entry")).unwrap();
    shelf.fetch(None, "a").await;
    shelf.used_before("a", 10);

    let lock = fs::File::create(layout.join("prune.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let (git, _) = shelf.fetch(Some(1), "b").await;
    git.tidy().unwrap().finish();
    assert_eq!(shelf.kept(), ["a", "b"], "another run is at it");
    drop(lock);

    shelf.cache().prune(&compose_git::Prune::default()).unwrap();
    assert!(!layout.join(".trash-dead").exists());
    assert_eq!(shelf.kept(), ["a", "b"], "and nothing else went");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_runs_that_fetch_and_prune_all_get_their_files() {
    let names = ["a", "b", "c", "d"];
    let shelf = std::sync::Arc::new(local_repos(&names));
    let mut tasks = Vec::new();
    for task in 0..6 {
        let shelf = std::sync::Arc::clone(&shelf);
        tasks.push(tokio::spawn(async move {
            for round in 0..12 {
                let name = names[(task + round) % names.len()];
                // Every entry that is not being read is over the limit.
                let (git, snapshot) = shelf.fetch(Some(1), name).await;
                if let Some(tidying) = git.tidy() {
                    tidying.finish();
                }
                assert_eq!(contents(&snapshot, "env"), [format!("x={name}")]);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let layout = fs::read_dir(shelf.lab.cache().join("v1")).unwrap();
    let left: Vec<_> = layout
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert_eq!(left, [""; 0], "no trash");
}

fn packs(entry: &Path) -> usize {
    let files = fs::read_dir(entry.join("objects/pack")).unwrap();
    files
        .filter(|file| file.as_ref().unwrap().path().extension().unwrap() == "idx")
        .count()
}

/// Commits a new version that changes one of the two wanted files.
fn release(catalog: &Catalog, version: usize) -> (String, Vec<String>) {
    catalog
        .write("env/changes", version.to_string())
        .write("env/stays", "the same")
        .write("other/x", version.to_string());
    let files = vec![format!("changes={version}"), "stays=the same".to_owned()];
    (catalog.commit(), files)
}

#[tokio::test(flavor = "multi_thread")]
async fn superseded_packs_are_dropped_and_needed_ones_are_kept() {
    let lab = Lab::new();
    let catalog = lab.catalog("repo");
    catalog.git(&["config", "uploadpack.allowFilter", "true"]);
    let server = crate::support::server::Server::start(&lab.dir.path().join("srv"));
    let address = url(server.url("repo"));
    let options = |offline| {
        let mut options = lab.options();
        options.tuning.most_packs = 6;
        options.offline = offline;
        options
    };
    let first = release(&catalog, 0);
    for version in 1..=12 {
        let (commit, files) = release(&catalog, version);
        let git = Git::new(options(false)).unwrap();
        let repo = git.repo(&address);
        // An old version beside each new one, so that old packs are needed as well.
        let wants = [want(&first.0, &["env"]), want(&commit, &["env"])];
        let got = repo.fetch(&wants).await.unwrap();
        assert_eq!(contents(&got[0], "env"), first.1);
        assert_eq!(contents(&got[1], "env"), files);
        let entry = Cache::at(lab.cache()).list().unwrap().remove(0).path;
        assert!(packs(&entry) <= 8, "{} after version {version}", packs(&entry));
        // Everything that the run needed is still there afterwards.
        let before = server.count();
        let git = Git::new(options(true)).unwrap();
        let got = git.repo(&address).fetch(&wants).await.unwrap();
        assert_eq!(contents(&got[1], "env"), files);
        assert_eq!(server.count(), before);
    }

    // While a snapshot of an old version is alive, no pack is dropped.
    let entry = Cache::at(lab.cache()).list().unwrap().remove(0).path;
    let git = Git::new(options(true)).unwrap();
    let reader = git
        .repo(&address)
        .fetch(&[want(&first.0, &["env"])])
        .await
        .unwrap();
    for version in 13..=18 {
        let (commit, files) = release(&catalog, version);
        let git = Git::new(options(false)).unwrap();
        let got = git
            .repo(&address)
            .fetch(&[want(&commit, &["env"])])
            .await
            .unwrap();
        assert_eq!(contents(&got[0], "env"), files);
    }
    assert!(packs(&entry) > 8, "{}", packs(&entry));
    assert_eq!(contents(&reader[0], "env"), first.1);
    drop((git, reader));

    // With a small limit, an entry keeps only what the last run needed.
    let (commit, files) = release(&catalog, 19);
    let git = Git::new(Options {
        cache_limit: Some(100),
        ..options(false)
    })
    .unwrap();
    let got = git
        .repo(&address)
        .fetch(&[want(&commit, &["env"])])
        .await
        .unwrap();
    assert_eq!(contents(&got[0], "env"), files);
    assert_eq!(packs(&entry), 2, "the commit's, and the directory's");
}
