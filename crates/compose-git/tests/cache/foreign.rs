//! A cache in a directory that is open to everybody, with what another user put into it.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::{PermissionsExt as _, lchown, symlink},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use compose_git::{Cache, Error, Git, Options, Prune};
use rustix::fs::{FileType, FlockOperation, Mode, flock, mknodat};

use crate::support::{Lab, contents, server::Server, url, want};

/// Another user of the machine: Debian's `nobody`.
const OTHER: u32 = 65_534;

struct Scene {
    lab: Lab,
    commit: String,
    server: Server,
}

impl Scene {
    /// A cache of mode 1777 that holds the repo.
    async fn new() -> Self {
        let lab = Lab::new();
        let catalog = lab.catalog("repo");
        catalog.write("env/x", "x");
        let commit = catalog.commit();
        let server = Server::start(&lab.dir.path().join("srv"));
        fs::create_dir(lab.cache()).unwrap();
        fs::set_permissions(lab.cache(), Permissions::from_mode(0o1777)).unwrap();
        let scene = Self { lab, commit, server };
        scene.run(scene.lab.options()).await.unwrap();
        scene
    }

    async fn run(&self, options: Options) -> Result<Vec<String>, Error> {
        let repo = Git::new(options).unwrap().repo(&url(self.server.url("repo")));
        repo.refs(&["refs/heads/".to_owned()]).await?;
        let got = repo.fetch(&[want(&self.commit, &["env"])]).await?;
        Ok(contents(&got[0], "env"))
    }

    fn layout(&self) -> PathBuf {
        self.lab.cache().join("v1")
    }

    fn entry(&self) -> PathBuf {
        let mut found = fs::read_dir(self.layout()).unwrap().flatten();
        found
            .find(|found| found.file_name().to_string_lossy().starts_with("repo-"))
            .unwrap()
            .path()
    }

    /// Checks that a run works, without the entry and without a wait.
    async fn avoids_the_entry(&self, what: &str) {
        let before = self.server.requests().len();
        let start = Instant::now();
        let got = self.run(self.lab.options()).await;
        assert_eq!(got.unwrap_or_else(|error| panic!("{what}: {error}")), ["x=x"]);
        assert!(start.elapsed() < Duration::from_secs(15), "{what}");
        // Warm, only the refs are requested.
        let requests = self.server.requests().len() - before;
        assert!(
            requests > 2,
            "{what}: the objects are not taken from there ({requests})"
        );
    }
}

#[allow(clippy::print_stderr, reason = "a skipped test says why")]
fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: only root can have files of another user");
    }
    root
}

fn remove(path: &Path) {
    if path.is_dir() {
        fs::remove_dir_all(path).unwrap();
    } else {
        _ = fs::remove_file(path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_is_open_to_everybody_serves_its_own_user() {
    let scene = Scene::new().await;
    let before = scene.server.requests().len();
    assert_eq!(scene.run(scene.lab.options()).await.unwrap(), ["x=x"]);
    assert!(scene.server.requests().len() - before <= 2, "only the refs");
    let mode = fs::metadata(scene.entry()).unwrap().permissions().mode();
    assert_eq!(mode & 0o002, 0, "closed to others, whatever the umask");
}

#[tokio::test(flavor = "multi_thread")]
async fn links_and_fifos_are_neither_followed_nor_waited_for() {
    for place in [
        "",
        "in-use",
        "lock",
        "refs",
        "url",
        "incoming",
        "objects",
        "objects/pack",
        "objects/info",
        "objects/info/alternates",
    ] {
        for fifo in [false, true] {
            let scene = Scene::new().await;
            let path = match place {
                "" => scene.entry(),
                place => scene.entry().join(place),
            };
            let victim = scene.lab.dir.path().join("victim");
            let is_dir = path.is_dir() || place == "objects/info";
            fs::create_dir(&victim).unwrap();
            fs::create_dir(victim.join("old")).unwrap();
            fs::write(victim.join("file"), "precious").unwrap();
            // Old enough for what removes the remains of killed fetches.
            let long_ago = std::time::SystemTime::now() - Duration::from_secs(7200);
            File::open(victim.join("old"))
                .unwrap()
                .set_modified(long_ago)
                .unwrap();
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            remove(path.as_path());
            let to = if is_dir {
                victim.clone()
            } else {
                victim.join("file")
            };
            if fifo {
                mknodat(
                    rustix::fs::CWD,
                    &path,
                    FileType::Fifo,
                    Mode::from_raw_mode(0o666),
                    0,
                )
                .unwrap();
            } else {
                symlink(to, &path).unwrap();
            }
            let what = format!("{place:?}, fifo: {fifo}");
            scene.avoids_the_entry(&what).await;
            let cache = Cache::at(scene.lab.cache());
            _ = cache.list();
            _ = cache.prune(&Prune {
                unused_for: None,
                max_bytes: Some(0),
            });
            _ = cache.clear();
            assert_eq!(
                fs::read_to_string(victim.join("file")).unwrap(),
                "precious",
                "{what}"
            );
            assert_eq!(fs::read_dir(&victim).unwrap().count(), 2, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_another_user_are_not_used() {
    if !is_root() {
        return;
    }
    for place in ["..", "", "in-use", "lock", "refs", "objects/pack", "pack file"] {
        let scene = Scene::new().await;
        let path = match place {
            "pack file" => {
                let mut packs = fs::read_dir(scene.entry().join("objects/pack"))
                    .unwrap()
                    .flatten();
                packs.next().unwrap().path()
            }
            "lock" => {
                let path = scene.entry().join("lock");
                File::create(&path).unwrap();
                path
            }
            ".." => scene.layout(),
            place => scene.entry().join(place),
        };
        lchown(&path, Some(OTHER), Some(OTHER)).unwrap();
        // Offline, nothing else is there: the refs of another user do not decide.
        let mut offline = scene.lab.options();
        offline.offline = true;
        let error = scene.run(offline).await.unwrap_err();
        assert!(matches!(error, Error::Offline { .. }), "{place}: {error}");
        scene.avoids_the_entry(place).await;
    }
}

/// As when a CI restores a cache and mounts it into a container of root.
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_directory_vouches_for_its_owner() {
    if !is_root() {
        return;
    }
    let scene = Scene::new().await;
    let mut all = vec![scene.lab.cache()];
    while let Some(path) = all.pop() {
        lchown(&path, Some(OTHER), Some(OTHER)).unwrap();
        if path.is_dir() {
            all.extend(fs::read_dir(&path).unwrap().flatten().map(|found| found.path()));
        }
    }
    scene.avoids_the_entry("open to everybody").await;
    fs::set_permissions(scene.lab.cache(), Permissions::from_mode(0o755)).unwrap();
    let before = scene.server.requests().len();
    assert_eq!(scene.run(scene.lab.options()).await.unwrap(), ["x=x"]);
    assert!(scene.server.requests().len() - before <= 2, "only the refs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_never_released_is_waited_for_within_a_bound() {
    let scene = Scene::new().await;
    // To read a file is enough to lock it.
    let held = File::open(scene.entry().join("in-use")).unwrap();
    flock(&held, FlockOperation::LockExclusive).unwrap();
    scene.avoids_the_entry("locked").await;
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test(flavor = "multi_thread")]
async fn below_a_directory_in_which_everybody_may_rename_only_an_own_cache_is_used_by_its_handle() {
    let scene = Scene::new().await;
    let above = scene.lab.cache().parent().unwrap().to_owned();
    set_mode(&above, 0o777);
    let before = scene.server.requests().len();
    assert_eq!(scene.run(scene.lab.options()).await.unwrap(), ["x=x"]);
    assert!(scene.server.requests().len() - before <= 2, "only the refs");
    if is_root() {
        lchown(scene.lab.cache(), Some(OTHER), Some(OTHER)).unwrap();
        scene.avoids_the_entry("another user's, above the cache").await;
        lchown(scene.lab.cache(), Some(0), Some(0)).unwrap();
    }
    assert_eq!(Cache::reached(scene.lab.cache()).list().unwrap().len(), 1);
    let cache = Cache::at(scene.lab.cache());
    cache.clear().unwrap_err();
    cache.prune(&Prune::default()).unwrap_err();
    assert!(scene.entry().join("in-use").exists());
    // Neither as it was named nor as a link leads to it.
    let link = tempfile::tempdir().unwrap();
    symlink(scene.lab.cache(), link.path().join("cache")).unwrap();
    Cache::at(link.path().join("cache")).list().unwrap_err();
    set_mode(&above, 0o700);
    set_mode(link.path(), 0o777);
    Cache::at(link.path().join("cache")).list().unwrap_err();
    set_mode(link.path(), 0o1777);
    assert_eq!(Cache::at(link.path().join("cache")).list().unwrap().len(), 1);
}

/// As a volume may be that a container gets.
#[tokio::test(flavor = "multi_thread")]
async fn a_cache_in_which_everybody_may_rename_is_mended_by_its_owner_and_not_used_by_others() {
    let scene = Scene::new().await;
    set_mode(&scene.lab.cache(), 0o777);
    let before = scene.server.requests().len();
    assert_eq!(scene.run(scene.lab.options()).await.unwrap(), ["x=x"]);
    assert!(scene.server.requests().len() - before <= 2, "only the refs");
    assert_eq!(mode(&scene.lab.cache()), 0o1777);
    if is_root() {
        set_mode(&scene.lab.cache(), 0o777);
        lchown(scene.lab.cache(), Some(OTHER), Some(OTHER)).unwrap();
        scene.avoids_the_entry("another user's").await;
        assert_eq!(mode(&scene.lab.cache()), 0o777);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_cache_works_where_everybody_may_rename() {
    let scene = Scene::new().await;
    let temporary = tempfile::tempdir().unwrap();
    set_mode(temporary.path(), 0o777);
    let mut options = scene.lab.options();
    options.cache_dir = temporary.path().join("cache");
    options
        .environment
        .insert("TMPDIR".into(), temporary.path().into());
    assert_eq!(scene.run(options).await.unwrap(), ["x=x"]);
    let left: Vec<_> = fs::read_dir(temporary.path()).unwrap().flatten().collect();
    let names: Vec<_> = left.iter().map(fs::DirEntry::file_name).collect();
    assert!(names.iter().all(|name| name == "cache"), "{names:?}");
}
