//! A home that other users may write to: what they put there, and what they put in the place of a
//! run's own directory, is neither followed nor read nor removed.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown, lchown, symlink},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use compose_model::FileMode;
use rustix::fs::{FileType, Mode, mknodat};

use crate::{
    Attempt, Error, Located, Mount, Settled, Switched,
    names::{COMPOSITION, RECORD},
    record::Record,
    testing::{Fixture, begin, fixture, located, repo, switch, written},
};

/// Another user of the machine: Debian's `nobody`.
const OTHER: u32 = 65_534;

const FILE: (&str, FileMode, &[u8]) = ("dev/y", FileMode::Regular, b"composed");

#[allow(clippy::print_stderr, reason = "a skipped test says why")]
fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: only root can have files of another user");
    }
    root
}

/// A directory of the user's with a tree like a composition's, which no run may touch.
fn victim(f: &Fixture) -> PathBuf {
    let victim = f.root.path().join("victim");
    fs::create_dir_all(victim.join("tree/dev")).unwrap();
    fs::write(victim.join("tree/dev/precious"), "precious").unwrap();
    victim
}

#[track_caller]
fn assert_untouched(victim: &Path) {
    let names = |dir: &Path| fs::read_dir(dir).unwrap().count();
    assert_eq!((names(victim), names(&victim.join("tree"))), (1, 1));
    assert_eq!(names(&victim.join("tree/dev")), 1);
    let text = fs::read_to_string(victim.join("tree/dev/precious")).unwrap();
    assert_eq!(text, "precious");
}

/// What takes the place of a run's directory.
#[derive(Clone, Copy, Debug)]
enum Swap {
    /// A link to the victim.
    Link,
    /// The victim itself.
    Directory,
}

/// Renames a composition away, as another user can, and puts something else there.
fn swap(f: &Fixture, composition: &Path, victim: &Path, what: Swap) -> PathBuf {
    let away = f.mount.home().join("away");
    fs::rename(composition, &away).unwrap();
    match what {
        Swap::Link => symlink(victim, composition).unwrap(),
        Swap::Directory => fs::rename(victim, composition).unwrap(),
    }
    away
}

/// Returns where the victim is after a swap.
fn now(composition: &Path, victim: PathBuf, what: Swap) -> PathBuf {
    match what {
        Swap::Link => victim,
        Swap::Directory => composition.to_owned(),
    }
}

/// Returns the only composition in the home.
fn begun(mount: &Mount) -> PathBuf {
    let mut found = fs::read_dir(mount.home()).unwrap().flatten();
    found
        .find(|found| found.file_name().to_string_lossy().starts_with(COMPOSITION))
        .unwrap()
        .path()
}

#[test]
fn a_directory_that_is_swapped_while_it_is_written_gets_nothing() {
    for what in [Swap::Link, Swap::Directory] {
        let f = fixture(&["dev/x"]);
        let victim = victim(&f);
        let staging = begin(&f.mount);
        let path = begun(&f.mount);
        let away = swap(&f, &path, &victim, what);
        let victim = now(&path, victim, what);
        let staged = written(staging, &[FILE]);
        assert_untouched(&victim);
        assert_eq!(fs::read(away.join("tree/dev/y")).unwrap(), b"composed");
        let Attempt::Locked(lock) = f.mount.try_lock().unwrap() else {
            panic!("no other run is switching")
        };
        let error = staged.switch(&f.mount, lock).unwrap_err();
        assert!(
            matches!(&error, Error::Foreign { path: named } if *named == path),
            "{error}"
        );
        assert!(
            f.ops_repo().join("dev/x").exists(),
            "{what:?}: nothing is switched in"
        );
        assert!(!f.ops_repo().join("dev/precious").exists(), "{what:?}");
        assert_untouched(&victim);
    }
}

#[test]
fn a_directory_that_is_swapped_while_it_is_switched_in_is_neither_swept_nor_removed() {
    for what in [Swap::Link, Swap::Directory] {
        for end in ["swept", "dropped", "taken over"] {
            let f = fixture(&["dev/x"]);
            let victim = victim(&f);
            let switched = f.switched(&["dev/y"]);
            let path = switched.manifest().parent().unwrap().to_owned();
            let away = swap(&f, &path, &victim, what);
            let victim = now(&path, victim, what);
            let what = format!("{what:?}, {end}");
            match end {
                "swept" => {
                    fs::write(away.join("tree/dev/written"), "by the pipeline").unwrap();
                    let mut back = switched.switch_back().unwrap();
                    let sweep = back.sweep();
                    assert_eq!(sweep.moved, [Path::new("dev/written")], "{what}");
                    assert!(f.users().join("dev/written").exists(), "{what}");
                    back.empty();
                    back.forget();
                }
                "dropped" => drop(switched),
                _ => {
                    let words = switched.into_words().unwrap();
                    assert!(Switched::from_words(&words).is_err(), "{what}");
                    continue;
                }
            }
            assert_untouched(&victim);
            assert_eq!(
                fs::read_dir(&away).unwrap().count(),
                0,
                "{what}: its own is emptied"
            );
            assert!(f.ops_repo().join("dev/x").exists(), "{what}");
        }
    }
}

/// As another user who renames whatever appears in the home, as often as possible.
#[test]
fn no_swap_between_two_steps_leads_a_run_elsewhere() {
    let f = fixture(&["dev/x"]);
    let victim = victim(&f);
    let (home, ended) = (f.mount.home().to_owned(), AtomicBool::new(false));
    let (mut done, mut refused) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut count = 0;
            while !ended.load(Ordering::Relaxed) {
                for found in fs::read_dir(&home).into_iter().flatten().flatten() {
                    let is_staged = found.file_name().to_string_lossy().starts_with(COMPOSITION);
                    if is_staged && found.file_type().is_ok_and(|kind| kind.is_dir()) {
                        count += 1;
                        let away = home.join(format!("away.{count}"));
                        if fs::rename(found.path(), away).is_ok() {
                            _ = symlink(&victim, found.path());
                        }
                    }
                }
            }
        });
        for _ in 0..100 {
            let staged = crate::Staging::begin(&f.mount, &compose_model::TreePath::new("dev").unwrap());
            let staged = match staged {
                Ok(staging) => written(staging, &[FILE]),
                Err(Error::Foreign { .. }) => {
                    refused += 1;
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            let Attempt::Locked(lock) = f.mount.try_lock().unwrap() else {
                panic!("no other run is switching")
            };
            match staged.switch(&f.mount, lock) {
                Ok(switched) => {
                    done += 1;
                    drop(switched);
                }
                Err(Error::Foreign { .. }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        ended.store(true, Ordering::Relaxed);
    });
    assert_eq!(done + refused, 100);
    assert_untouched(&victim);
}

#[test]
fn what_another_user_put_into_the_home_stays() {
    if !is_root() {
        return;
    }
    let f = fixture(&["dev/x"]);
    let home = f.mount.home();
    fs::set_permissions(home, fs::Permissions::from_mode(0o777)).unwrap();
    let victim = victim(&f);
    symlink(&victim, home.join("composition.link")).unwrap();
    let foreign = home.join("composition.foreign");
    fs::create_dir_all(foreign.join("tree/of-root")).unwrap();
    chown(&foreign, Some(OTHER), Some(OTHER)).unwrap();
    let own = home.join("composition.own");
    fs::create_dir(&own).unwrap();
    f.mount.remove_old();
    assert_untouched(&victim);
    assert!(foreign.join("tree/of-root").exists());
    assert!(!own.exists());

    // In a home that only its owner can write to, the owner's are removed as well.
    chown(home, Some(OTHER), Some(OTHER)).unwrap();
    fs::set_permissions(home, fs::Permissions::from_mode(0o755)).unwrap();
    f.mount.remove_old();
    assert!(!foreign.exists());
}

#[test]
fn the_record_of_another_user_decides_nothing() {
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| fs::canonicalize(dir.path()).unwrap().join(name);
    for name in ["repo/dev", "evil/dev", "home"] {
        fs::create_dir_all(path(name)).unwrap();
    }
    let ops = path("ops");
    symlink(path("repo"), &ops).unwrap();
    let mount = repo(&ops, &path("home"), None, &[]);
    let switched = switch(&mount, written(begin(&mount), &[FILE]));
    let composition = switched.manifest().parent().unwrap().to_owned();
    let mut record = Record::read(&composition).unwrap();
    record.root = path("evil");
    let none = std::iter::empty::<(&Path, std::iter::Empty<_>)>();
    record.write(&composition, none).unwrap();
    chown(composition.join(RECORD), Some(OTHER), Some(OTHER)).unwrap();
    let found = located(&ops, &path("home"), None, &[]);
    assert!(matches!(found, Err(Error::Lost { .. })), "{found:?}");
    // Nor for a path into it, where other users may have put the whole composition.
    let tree = composition.join("tree/dev");
    let set_mode = |mode| fs::set_permissions(path("home"), fs::Permissions::from_mode(mode)).unwrap();
    set_mode(0o777);
    assert_eq!(crate::users_path(&tree), tree);
    chown(path("home"), Some(OTHER), Some(OTHER)).unwrap();
    assert_eq!(crate::users_path(&tree), tree);
    // A home that only its owner can write to vouches for the owner.
    set_mode(0o755);
    assert_eq!(crate::users_path(&tree), path("evil/dev"));
    chown(path("home"), Some(0), Some(0)).unwrap();
    // The link's owner could have named any directory.
    lchown(&ops, Some(OTHER), Some(OTHER)).unwrap();
    let Located::Repo(found) = located(&ops, &path("home"), None, &[]).unwrap() else {
        panic!("a repo is there")
    };
    assert_eq!(found.root(), path("evil"));
    lchown(&ops, Some(0), Some(0)).unwrap();
    drop(switched);
}

#[test]
fn a_fifo_in_place_of_a_record_is_not_waited_for() {
    let f = fixture(&["dev/x"]);
    let switched = f.switched(&["dev/y"]);
    let record = switched.manifest().with_file_name(RECORD);
    fs::remove_file(&record).unwrap();
    let mode = Mode::from_raw_mode(0o666);
    mknodat(rustix::fs::CWD, &record, FileType::Fifo, mode, 0).unwrap();
    let Settled::Busy(busy) = f.mount.settle().unwrap() else {
        panic!("the composition is held")
    };
    assert_eq!(busy.environment, None);
    assert!(
        busy.process
            .unwrap()
            .starts_with(&format!("process {} (", std::process::id()))
    );
}
