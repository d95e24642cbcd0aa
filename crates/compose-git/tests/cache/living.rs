//! A cache that lives on: it is removed in part while it is used, damaged in its shape, and cleaned by
//! several processes at once.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use compose_git::{Cache, Git, Prune};

use super::{FILES, Scene, scene};
use crate::support::{
    Lab, contents,
    server::{Action, Server},
    url, want,
};

fn entry_of(lab: &Lab) -> PathBuf {
    Cache::at(lab.cache()).list().unwrap().remove(0).path
}

fn remove(path: &Path) {
    if path.is_dir() {
        _ = fs::remove_dir_all(path);
    } else {
        _ = fs::remove_file(path);
    }
}

/// Removes a part of the cache while the server has a request. `""` is the whole cache.
fn remove_part(cache: &Path, part: &str) {
    let entry = fs::read_dir(cache.join("v1"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|found| found.path())
        .find(|path| path.is_dir());
    match (part, entry) {
        ("", _) => remove(cache),
        ("packs", Some(entry)) => {
            for found in fs::read_dir(entry.join("objects/pack"))
                .into_iter()
                .flatten()
                .flatten()
            {
                remove(&found.path());
            }
        }
        ("entry", Some(entry)) => remove(&entry),
        (part, Some(entry)) => remove(&entry.join(part)),
        (_, None) => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_is_removed_during_a_run_does_not_fail_it() {
    for part in [
        "",
        "entry",
        "objects",
        "objects/pack",
        "packs",
        "incoming",
        "in-use",
        "lock",
    ] {
        // The last number stands for every request.
        for when in 0..6 {
            let scene = scene();
            let (cache, count) = (scene.lab.cache(), AtomicUsize::new(0));
            let server = Server::with(&scene.lab.dir.path().join("srv"), move |_| {
                let number = count.fetch_add(1, Ordering::SeqCst);
                if number == when || when == 5 {
                    remove_part(&cache, part);
                }
                Action::Serve
            });
            let scene = Scene { server, ..scene };
            let git = scene.lab.git();
            let repo = git.repo(&url(scene.server.url("repo")));
            let what = format!("{part:?} is removed at request {when}");
            let refs = repo.refs(&["refs/tags/".to_owned()]).await;
            refs.unwrap_or_else(|error| panic!("{what}: {error}"));
            let got = repo.fetch(&[want(&scene.commit, &["env"])]).await;
            let got = got.unwrap_or_else(|error| panic!("{what}: {error}"));
            // What a snapshot holds is there to stay.
            remove_part(&scene.lab.cache(), part);
            assert_eq!(contents(&got[0], "env"), FILES, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_in_place_of_a_file_heals_and_the_other_way_around() {
    for place in [
        "in-use",
        "lock",
        "refs",
        "url",
        "incoming",
        "objects",
        "objects/pack",
        "idx",
        "",
    ] {
        let scene = scene();
        let git = scene.lab.git();
        let address = url(scene.server.url("repo"));
        git.repo(&address).refs(&["refs/tags/".to_owned()]).await.unwrap();
        scene.fetch(&git).await.unwrap();
        drop(git);
        let entry = entry_of(&scene.lab);
        let path = match place {
            "idx" => scene.files("idx").remove(0),
            "" => entry,
            place => entry.join(place),
        };
        let was_dir = path.is_dir();
        remove(&path);
        if was_dir {
            fs::write(&path, "").unwrap();
        } else {
            fs::create_dir_all(path.join("deep/er")).unwrap();
            fs::write(path.join("deep/file"), "").unwrap();
        }
        for run in ["the next run", "the one after it"] {
            let git = scene.lab.git();
            let refs = git.repo(&address).refs(&["refs/tags/".to_owned()]).await;
            refs.unwrap_or_else(|error| panic!("{place}, {run}: {error}"));
            assert_eq!(scene.fetch(&git).await.unwrap(), FILES, "{place}, {run}");
        }
        // The cache knows everything again.
        let mut options = scene.lab.options();
        options.offline = true;
        let offline = Git::new(options).unwrap();
        offline
            .repo(&address)
            .refs(&["refs/tags/".to_owned()])
            .await
            .unwrap();
        assert_eq!(scene.fetch(&offline).await.unwrap(), FILES, "{place}, offline");
        assert_eq!(path.is_dir(), was_dir, "{place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_refs_that_was_cut_does_not_decide_offline() {
    let scene = scene();
    let catalog = crate::support::Catalog {
        dir: scene.lab.dir.path().join("srv/repo"),
    };
    catalog.git(&["tag", "1.1.0"]);
    let address = url(scene.server.url("repo"));
    let tags = ["refs/tags/".to_owned()];
    scene.lab.git().repo(&address).refs(&tags).await.unwrap();
    let path = entry_of(&scene.lab).join("refs");
    let text = fs::read_to_string(&path).unwrap();
    let mut options = scene.lab.options();
    options.offline = true;
    let refs = || async {
        let offline = Git::new(options.clone()).unwrap();
        offline.repo(&address).refs(&tags).await
    };
    assert!(refs().await.unwrap().tag("1.1.0").is_some());
    let ends = text.match_indices('\n').map(|(at, _)| at + 1);
    let cuts: Vec<usize> = ends.filter(|end| *end < text.len()).collect();
    assert!(cuts.len() > 2, "{text}");
    for end in cuts {
        fs::write(&path, &text[..end]).unwrap();
        assert!(refs().await.is_err(), "{end} of {} bytes", text.len());
    }
}

fn set_age(path: &Path, modified: SystemTime) {
    File::open(path).unwrap().set_modified(modified).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_files_older_layouts_and_entries_of_the_future_are_removed() {
    let scene = scene();
    scene.fetch(&scene.lab.git()).await.unwrap();
    let (cache, entry) = (scene.lab.cache(), entry_of(&scene.lab));
    let (layout, now) = (cache.join("v1"), SystemTime::now());
    let long_ago = now - Duration::from_secs(7200);
    let future = now + Duration::from_secs(1_000_000);
    let mut left = Vec::new();
    for dir in [&cache, &layout, &entry] {
        for (name, modified) in [
            (".tmp-old", long_ago),
            (".tmpOlder", long_ago),
            (".tmp-future", future),
        ] {
            let path = dir.join(name);
            fs::write(&path, "half").unwrap();
            set_age(&path, modified);
            // A file directly in the layout belongs to no entry.
            left.extend((dir != &layout).then_some(path));
        }
    }
    for path in [cache.join("v0/repo"), layout.join("half-made")] {
        fs::create_dir_all(&path).unwrap();
        set_age(&path, long_ago);
        left.push(path);
    }
    let kept = [
        cache.join("v2/repo"),
        cache.join("vault"),
        layout.join("being-made"),
    ];
    kept.iter().for_each(|path| fs::create_dir_all(path).unwrap());
    let young = entry.join(".tmp-young");
    fs::write(&young, "").unwrap();
    Cache::at(&cache).prune(&Prune::default()).unwrap();
    for path in left {
        assert!(!path.exists(), "{}", path.display());
    }
    for path in kept.iter().chain([&young, &entry]) {
        assert!(path.exists(), "{}", path.display());
    }

    // A clock was wrong when the entry was last used.
    File::options()
        .write(true)
        .open(entry.join("in-use"))
        .unwrap()
        .set_modified(future)
        .unwrap();
    let a_day = Prune {
        unused_for: Some(Duration::from_secs(24 * 3600)),
        max_bytes: None,
    };
    let pruned = Cache::at(&cache).prune(&a_day).unwrap();
    assert_eq!(pruned.removed.len(), 1);
}

/// As `cache prune` beside `cache clear` beside a run that keeps the limit.
#[tokio::test(flavor = "multi_thread")]
async fn several_processes_remove_at_once() {
    let lab = Arc::new(Lab::new());
    let catalog = lab.catalog("repo");
    catalog.write("env/x", "x");
    let commit = catalog.commit();
    let address = url(catalog.url());
    lab.git()
        .repo(&address)
        .fetch(&[want(&commit, &["env"])])
        .await
        .unwrap();
    let entry = entry_of(&lab);
    let model = lab.dir.path().join("model");
    fs::rename(&entry, &model).unwrap();
    for round in 0..40 {
        for number in 0..12 {
            let to = lab.cache().join(format!("v1/{round}-{number}"));
            fs::create_dir_all(to.join("objects/pack")).unwrap();
            for file in ["in-use", "url"] {
                fs::copy(model.join(file), to.join(file)).unwrap();
            }
        }
        let at_once: Vec<_> = (0..4)
            .map(|number| {
                let lab = Arc::clone(&lab);
                std::thread::spawn(move || {
                    let cache = Cache::at(lab.cache());
                    let all = Prune {
                        unused_for: None,
                        max_bytes: Some(0),
                    };
                    match number {
                        0 | 1 => cache.clear(),
                        // Somebody removes everything by hand.
                        2 if round % 4 == 0 => {
                            _ = fs::remove_dir_all(lab.cache());
                            cache.clear()
                        }
                        _ => cache.prune(&all),
                    }
                })
            })
            .collect();
        for removed in at_once {
            let removed = removed.join().unwrap();
            removed.unwrap_or_else(|error| panic!("round {round}: {error}"));
        }
    }
}
