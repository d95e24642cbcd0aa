//! The cache: warm, concurrent and offline runs, damage, and pruning.

mod foreign;
mod limit;
mod living;

use std::{
    fs,
    os::unix::fs::{FileExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::support::{Lab, contents, server::Server, url, want};
use compose_git::{Cache, Error, Git, Prune, Root};
use compose_model::{Cause, ExitCode};

struct Scene {
    lab: Lab,
    server: Server,
    commit: String,
}

fn scene() -> Scene {
    let lab = Lab::new();
    let catalog = lab.catalog("repo");
    catalog.git(&["config", "uploadpack.allowFilter", "true"]);
    catalog
        .write("env/main.tf", "one")
        .write("env/link.tf", "two")
        .write("other/x", "x");
    let commit = catalog.commit();
    catalog.git(&["tag", "1.0.0"]);
    let server = Server::start(&lab.dir.path().join("srv"));
    Scene { lab, server, commit }
}

impl Scene {
    async fn fetch(&self, git: &Git) -> Result<Vec<String>, Error> {
        let repo = git.repo(&url(self.server.url("repo")));
        let got = repo.fetch(&[want(&self.commit, &["env"])]).await?;
        Ok(contents(&got[0], "env"))
    }

    fn files(&self, extension: &str) -> Vec<PathBuf> {
        let entry = &Cache::at(self.lab.cache()).list().unwrap()[0];
        let packs = fs::read_dir(entry.path.join("objects/pack")).unwrap();
        packs
            .map(|file| file.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == extension))
            .collect()
    }
}

const FILES: [&str; 2] = ["link.tf=two", "main.tf=one"];

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_run_costs_no_network_and_no_client() {
    let scene = scene();
    let cold = scene.lab.git();
    assert_eq!(scene.fetch(&cold).await.unwrap(), FILES);
    assert!(cold.used_http());
    let before = scene.server.count();
    let warm = scene.lab.git();
    assert_eq!(scene.fetch(&warm).await.unwrap(), FILES);
    assert_eq!(scene.server.count(), before);
    assert!(!warm.used_http());
    // Another directory of a known commit costs only its own content.
    let repo = warm.repo(&url(scene.server.url("repo")));
    let got = repo
        .fetch(&[want(&scene.commit, &["env", "other"])])
        .await
        .unwrap();
    assert_eq!(contents(&got[0], "other"), ["x=x"]);
    assert_eq!(
        scene.server.count() - before,
        2,
        "the handshake, and the directory"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_damaged_byte_leads_to_wrong_content() {
    let scene = scene();
    scene.fetch(&scene.lab.git()).await.unwrap();
    let mut options = scene.lab.options();
    options.offline = true;
    let (mut found, mut harmless) = (0, 0);
    for path in scene.files("pack").into_iter().chain(scene.files("idx")) {
        let good = fs::read(&path).unwrap();
        // A prime step, so that bytes of every kind are damaged.
        for offset in (0..good.len()).step_by(7) {
            let mut bytes = good.clone();
            bytes[offset] ^= 1 << (offset % 8);
            replace(&path, &bytes);
            match scene.fetch(&Git::new(options.clone()).unwrap()).await {
                // The byte belongs to a final checksum or to an unused slot of the fan-out.
                Ok(files) => {
                    assert_eq!(files, FILES, "byte {offset} of {}", path.display());
                    harmless += 1;
                }
                Err(error) => {
                    assert!(
                        matches!(error, Error::Offline { .. }),
                        "byte {offset} of {}: {error:?}",
                        path.display()
                    );
                    found += 1;
                }
            }
        }
        replace(&path, &good);
    }
    assert!(found > 50 && harmless > 10, "{found} found, {harmless} harmless");
    assert_eq!(scene.fetch(&Git::new(options).unwrap()).await.unwrap(), FILES);
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_tasks_of_one_run_share_one_connection() {
    let scene = scene();
    let git = scene.lab.git();
    let tasks = (0..8).map(|_| {
        let repo = git.repo(&url(scene.server.url("repo")));
        let commit = scene.commit.clone();
        tokio::spawn(async move {
            repo.refs(&["refs/tags/".to_owned()]).await.unwrap();
            contents(&repo.fetch(&[want(&commit, &["env"])]).await.unwrap()[0], "env")
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        assert_eq!(task.await.unwrap(), FILES);
    }
    assert_eq!(
        scene.server.count(),
        4,
        "the handshake, the refs, the commit, its files"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_cache_is_fetched_again_once() {
    let flip: &dyn Fn(&Path) = &|path| {
        let mut bytes = fs::read(path).unwrap();
        // Inside an object: after the header, before the checksum.
        let offset = bytes.len() - 25;
        bytes[offset] ^= 0x10;
        replace(path, &bytes);
    };
    let truncate: &dyn Fn(&Path) = &|path| replace(path, &fs::read(path).unwrap()[..20]);
    let empty: &dyn Fn(&Path) = &|path| replace(path, b"");
    let remove: &dyn Fn(&Path) = &|path| fs::remove_file(path).unwrap();
    for (extension, damage, what) in [
        ("pack", flip, "flipped bit"),
        ("pack", truncate, "torn pack"),
        ("pack", empty, "empty pack"),
        ("pack", remove, "no pack"),
        ("idx", truncate, "torn index"),
        ("idx", empty, "empty index"),
        ("idx", remove, "no index"),
    ] {
        let scene = scene();
        scene.fetch(&scene.lab.git()).await.unwrap();
        for path in scene.files(extension) {
            damage(&path);
        }
        let again = scene.fetch(&scene.lab.git()).await;
        assert_eq!(
            again.unwrap_or_else(|error| panic!("{what}: {error:?}")),
            FILES,
            "{what}"
        );
        let before = scene.server.count();
        assert_eq!(scene.fetch(&scene.lab.git()).await.unwrap(), FILES, "{what}");
        assert_eq!(scene.server.count(), before, "{what}: healed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn small_files_are_read_once_and_large_ones_are_verified_whenever_they_are_read() {
    let lab = Lab::new();
    let catalog = lab.catalog("repo");
    // The content does not compress: a flipped bit in the pack is then a flipped bit of the text,
    // which only zlib's checksum reveals.
    let large: String = (0_u64..40_000)
        .map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .collect();
    catalog.write("env/large", &large).write("env/small", "small");
    let commit = catalog.commit();
    let server = Server::start(&lab.dir.path().join("srv"));
    let scene = Scene { lab, server, commit };
    let git = scene.lab.git();
    let repo = git.repo(&url(scene.server.url("repo")));
    let snapshot = repo
        .fetch(&[want(&scene.commit, &["env"])])
        .await
        .unwrap()
        .remove(0);
    let files = snapshot.files(&Root::whole(crate::support::path("env"))).unwrap();
    let blob = |name: &str| files.iter().find(|file| file.path.as_str() == name).unwrap().blob;
    assert_eq!(snapshot.read(&blob("large")).unwrap(), large.as_bytes());
    for path in scene.files("pack") {
        // In place, because the pack is already mapped.
        let bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[bytes[middle] ^ 0x10], middle as u64).unwrap();
    }
    assert_eq!(snapshot.read(&blob("small")).unwrap(), b"small");
    let damaged = snapshot.read(&blob("large")).unwrap_err();
    assert!(matches!(damaged, Error::Damaged { .. }), "{damaged:?}");
}

fn replace(path: &Path, bytes: &[u8]) {
    // Packs are read-only.
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_of_killed_runs_do_not_hinder_a_fetch() {
    let scene = scene();
    scene.fetch(&scene.lab.git()).await.unwrap();
    let entry = Cache::at(scene.lab.cache()).list().unwrap().remove(0).path;
    for path in scene.files("idx").into_iter().chain(scene.files("pack")) {
        fs::remove_file(path).unwrap();
    }
    fs::write(entry.join("lock"), "4711").unwrap();
    fs::write(entry.join("objects/pack/tmp_pack_x"), "half").unwrap();
    fs::create_dir(entry.join("incoming/dead")).unwrap();
    fs::write(entry.join("incoming/dead/shallow.lock"), "").unwrap();
    let old = SystemTime::now() - Duration::from_secs(7200);
    fs::File::open(entry.join("incoming/dead"))
        .unwrap()
        .set_modified(old)
        .unwrap();
    assert_eq!(scene.fetch(&scene.lab.git()).await.unwrap(), FILES);
    assert!(!entry.join("incoming/dead").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_concurrent_runs_fetch_once() {
    let scene = scene();
    let mut tasks = Vec::new();
    for _ in 0..8 {
        // Each has its own locks, as a process does.
        let git = scene.lab.git();
        let (address, commit) = (url(scene.server.url("repo")), scene.commit.clone());
        tasks.push(tokio::spawn(async move {
            let got = git
                .repo(&address)
                .fetch(&[want(&commit, &["env"])])
                .await
                .unwrap();
            contents(&got[0], "env")
        }));
    }
    for task in tasks {
        assert_eq!(task.await.unwrap(), FILES);
    }
    assert_eq!(scene.server.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_never_released_only_costs_a_wait() {
    let scene = scene();
    let git = scene.lab.git();
    // Creates the entry and fails because there is no such commit.
    git.repo(&url(scene.server.url("repo")))
        .fetch(&[want(&"9".repeat(40), &[])])
        .await
        .unwrap_err();
    let entry = Cache::at(scene.lab.cache()).list().unwrap().remove(0).path;
    let lock = fs::File::open(entry.join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mut options = scene.lab.options();
    options.tuning.lock_wait = Duration::from_millis(50);
    assert_eq!(scene.fetch(&Git::new(options).unwrap()).await.unwrap(), FILES);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unwritable_cache_is_replaced_for_the_run() {
    let scene = scene();
    let mut options = scene.lab.options();
    // root may write anywhere, but cannot create a directory below a file.
    fs::write(scene.lab.dir.path().join("file"), "").unwrap();
    options.cache_dir = scene.lab.dir.path().join("file/cache");
    let temporary = scene.lab.dir.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    options
        .environment
        .insert("TMPDIR".into(), temporary.clone().into());
    let git = Git::new(options.clone()).unwrap();
    assert_eq!(scene.fetch(&git).await.unwrap(), FILES);
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 1);
    drop(git);
    assert_eq!(
        fs::read_dir(&temporary).unwrap().count(),
        0,
        "nothing is left behind"
    );
    // If neither can be written, the error says what to do.
    options
        .environment
        .insert("TMPDIR".into(), scene.lab.dir.path().join("nowhere").into());
    let error = scene.fetch(&Git::new(options).unwrap()).await.unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::CannotWrite);
    assert!(error.hint().unwrap().contains("BITOPS_COMPOSE_CACHE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn offline_runs_use_the_cache_and_name_what_is_missing() {
    let scene = scene();
    let mut options = scene.lab.options();
    options.offline = true;
    let offline = || Git::new(options.clone()).unwrap();
    let address = url(scene.server.url("repo"));
    let tags = ["refs/tags/".to_owned()];
    let error = offline().repo(&address).refs(&tags).await.unwrap_err();
    assert!(
        matches!(&error, Error::Offline { .. }) && error.exit_code() == ExitCode::Unreachable,
        "{error:?}"
    );
    let error = offline()
        .repo(&address)
        .fetch(&[want(&scene.commit, &["env"])])
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains(&scene.commit[..9])
            && error.hint().unwrap().contains("BITOPS_COMPOSE_OFFLINE"),
        "{error}"
    );

    let git = scene.lab.git();
    git.repo(&address).refs(&tags).await.unwrap();
    scene.fetch(&git).await.unwrap();
    let before = scene.server.count();
    let git = offline();
    let refs = git
        .repo(&address)
        .refs(&["refs/tags/1.0.0".to_owned()])
        .await
        .unwrap();
    assert_eq!(refs.tag("1.0.0").unwrap().target.to_string(), scene.commit);
    assert_eq!(scene.fetch(&git).await.unwrap(), FILES);
    assert!(
        git.repo(&address)
            .refs(&["refs/heads/".to_owned()])
            .await
            .is_err(),
        "nobody looked at branches"
    );
    let error = git
        .repo(&address)
        .fetch(&[want(&scene.commit, &["other"])])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("other of"), "{error}");
    assert_eq!(scene.server.count(), before);
    // A catalog on this machine's disk needs no network.
    let catalog = format!("file://{}", scene.lab.dir.path().join("srv/repo").display());
    offline()
        .repo(&url(catalog))
        .fetch(&[want(&scene.commit, &["env"])])
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_listed_and_pruned_by_age_and_size_unless_they_are_read() {
    let lab = Lab::new();
    let mut commits = Vec::new();
    for name in ["a", "b", "c"] {
        let catalog = lab.catalog(name);
        catalog.write("env/x", name.repeat(1000));
        commits.push((name, catalog.commit()));
    }
    let address = |name: &str| {
        url(format!(
            "file://{}",
            lab.dir.path().join("srv").join(name).display()
        ))
    };
    let cache = Cache::at(lab.cache());
    assert_eq!(cache.list().unwrap(), [], "no cache is an empty one");
    for (name, commit) in &commits {
        lab.git()
            .repo(&address(name))
            .fetch(&[want(commit, &["env"])])
            .await
            .unwrap();
    }
    let entries = cache.list().unwrap();
    assert_eq!(
        entries
            .iter()
            .map(|entry| entry.repo.as_str())
            .collect::<Vec<_>>(),
        ["a", "b", "c"].map(|name| address(name).key().to_owned())
    );
    assert!(
        entries
            .iter()
            .all(|entry| entry.bytes > 100 && entry.last_used.elapsed().unwrap() < Duration::from_secs(60))
    );
    // `a` was used longest ago, then `b`.
    for (index, hours) in [(0, 100), (1, 50)] {
        let used = SystemTime::now() - Duration::from_secs(hours * 3600);
        fs::File::options()
            .write(true)
            .open(entries[index].path.join("in-use"))
            .unwrap()
            .set_modified(used)
            .unwrap();
    }
    let pruned = cache
        .prune(&Prune {
            unused_for: Some(Duration::from_secs(80 * 3600)),
            max_bytes: None,
        })
        .unwrap();
    assert_eq!(
        pruned.removed.iter().map(|entry| &entry.path).collect::<Vec<_>>(),
        [&entries[0].path]
    );
    let pruned = cache
        .prune(&Prune {
            unused_for: None,
            max_bytes: Some(entries[2].bytes),
        })
        .unwrap();
    assert_eq!(
        pruned.removed.iter().map(|entry| &entry.path).collect::<Vec<_>>(),
        [&entries[1].path]
    );
    assert_eq!(pruned.remaining, cache.list().unwrap()[0].bytes);

    let git = lab.git();
    let snapshot = git
        .repo(&address("c"))
        .fetch(&[want(&commits[2].1, &["env"])])
        .await
        .unwrap()
        .remove(0);
    let cleared = cache.clear().unwrap();
    assert_eq!((cleared.removed.len(), cleared.in_use.len()), (0, 1));
    drop(git);
    assert_eq!(
        contents(&snapshot, "env").len(),
        1,
        "a snapshot keeps what it reads"
    );
    drop(snapshot);
    assert_eq!(cache.clear().unwrap().removed.len(), 1);
    assert_eq!(cache.list().unwrap(), []);
    lab.git()
        .repo(&address("c"))
        .fetch(&[want(&commits[2].1, &["env"])])
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_cannot_be_written_is_read() {
    let scene = scene();
    scene.fetch(&scene.lab.git()).await.unwrap();
    let entry = Cache::at(scene.lab.cache()).list().unwrap().remove(0).path;
    // A directory cannot be locked as a file, and this user cannot remove it: root may write anything,
    // but only repairs its own files.
    fs::remove_file(entry.join("in-use")).unwrap();
    fs::create_dir(entry.join("in-use")).unwrap();
    if rustix::process::geteuid().is_root() {
        for path in [scene.lab.cache(), entry.join("in-use")] {
            std::os::unix::fs::lchown(path, Some(65_534), Some(65_534)).unwrap();
        }
    } else {
        fs::set_permissions(&entry, fs::Permissions::from_mode(0o555)).unwrap();
    }
    let before = scene.server.count();
    let git = scene.lab.git();
    assert_eq!(scene.fetch(&git).await.unwrap(), FILES);
    assert_eq!(scene.server.count(), before);
    // Missing objects are fetched into a private directory.
    let got = git
        .repo(&url(scene.server.url("repo")))
        .fetch(&[want(&scene.commit, &["other"])])
        .await
        .unwrap();
    assert_eq!(contents(&got[0], "other"), ["x=x"]);
    // A damaged entry is not read again.
    for pack in fs::read_dir(entry.join("objects/pack")).unwrap() {
        replace(&pack.unwrap().path(), b"broken");
    }
    assert_eq!(scene.fetch(&scene.lab.git()).await.unwrap(), FILES);
}
