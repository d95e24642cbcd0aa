//! The symlinks of the user's repo: found by one walk over its names, and where each leads.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    mem::MaybeUninit,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Component, Path, PathBuf},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};

/// As many links as the system follows in one path.
const MOST_LINKS: usize = 40;
/// A directory's names are read in pieces of this size.
const BUFFER: usize = 32 << 10;
/// More threads wait for each other in the kernel.
const MOST_THREADS: usize = 4;
/// Directories in the queue that are worth another thread.
const WORTH_A_THREAD: usize = 16;
/// git's own directory is large, holds no link of the user's, and is nothing that a source composes.
const SKIPPED: &[u8] = b".git";

/// Symlinks by their path below the root, each with its target as written. No path passes another link.
///
/// The walk takes its time where a repo is large, and needs nothing but the repo: it is best made beside other work. A link that
/// comes or goes between the walk and the staging does no harm: it is then linked as any file is, or not at all.
#[derive(Debug, Default)]
pub struct Links(HashMap<PathBuf, PathBuf>);

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// To this path below the root, there or not, which passes no link; with the first link on the way.
    Inside(PathBuf, Option<PathBuf>),
    /// Out of the repo, by this link.
    Outside(PathBuf),
}

impl Links {
    /// Those of a repo, but for what is below the directories to `skip`. What cannot be listed has none: whoever copies the repo tells
    /// that better.
    pub fn of(root: &Path, skip: &[PathBuf]) -> Self {
        let walk = Walk {
            root,
            skip,
            state: Mutex::new(State {
                queue: vec![PathBuf::new()],
                busy: 0,
                found: HashMap::new(),
            }),
            changed: Condvar::new(),
        };
        let threads = thread::available_parallelism()
            .map_or(1, usize::from)
            .min(MOST_THREADS);
        thread::scope(|scope| {
            walk.work(&|walk| {
                for _ in 1..threads {
                    // Where no thread is left this one does it alone.
                    let _ = thread::Builder::new().spawn_scoped(scope, move || walk.work(&|_| ()));
                }
            });
        });
        Self(
            walk.state
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner)
                .found,
        )
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Path, &Path)> {
        self.0
            .iter()
            .map(|(path, target)| (path.as_path(), target.as_path()))
    }

    /// From now on a directory or a file stands there.
    pub(crate) fn forget(&mut self, path: &Path) {
        self.0.remove(path);
    }

    /// Follows a path that is relative to the directory `from`, which passes no link.
    pub(crate) fn follow(&self, from: &Path, path: &Path) -> Place {
        let mut at = from.to_owned();
        let mut first = None;
        let mut left = MOST_LINKS;
        // What is still to go, last component first; each with the link that brought it.
        let mut rest: Vec<(Component<'_>, Option<&Path>)> = path
            .components()
            .rev()
            .map(|component| (component, None))
            .collect();
        while let Some((component, by)) = rest.pop() {
            let outside = |at: &Path| Place::Outside(by.unwrap_or(at).to_owned());
            match component {
                Component::CurDir => {}
                Component::ParentDir => {
                    if !at.pop() {
                        return outside(from);
                    }
                }
                Component::RootDir | Component::Prefix(_) => return outside(from),
                Component::Normal(name) => {
                    at.push(name);
                    let Some((link, target)) = self.0.get_key_value(&at) else {
                        continue;
                    };
                    first.get_or_insert_with(|| link.clone());
                    if left == 0 {
                        return Place::Outside(link.clone());
                    }
                    left -= 1;
                    at.pop();
                    rest.extend(
                        target
                            .components()
                            .rev()
                            .map(|component| (component, Some(link.as_path()))),
                    );
                }
            }
        }
        Place::Inside(at, first)
    }
}

/// A walk by several threads, each of which takes directories from one queue.
struct Walk<'a> {
    root: &'a Path,
    skip: &'a [PathBuf],
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    queue: Vec<PathBuf>,
    /// Threads that may still find directories.
    busy: usize,
    found: HashMap<PathBuf, PathBuf>,
}

impl Walk<'_> {
    /// Works until the queue stays empty; `many` is called once when it is long.
    fn work<'s>(&'s self, many: &dyn Fn(&'s Self)) {
        let mut buffer = vec![MaybeUninit::uninit(); BUFFER];
        let mut alone = true;
        let mut state = self.lock();
        loop {
            let Some(dir) = state.queue.pop() else {
                if state.busy == 0 {
                    // The others wait for what this one might have found.
                    self.changed.notify_all();
                    return;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.busy += 1;
            drop(state);
            let mut found = Found::default();
            self.list(&dir, &mut buffer, &mut found);
            state = self.lock();
            state.busy -= 1;
            state.queue.append(&mut found.dirs);
            state.found.extend(found.links);
            if alone && state.queue.len() > WORTH_A_THREAD {
                alone = false;
                many(self);
            }
            if !state.queue.is_empty() {
                self.changed.notify_all();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn list(&self, dir: &Path, buffer: &mut [MaybeUninit<u8>], found: &mut Found) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // Links on the way to the root itself are the user's.
        let flags = if dir.as_os_str().is_empty() {
            flags
        } else {
            flags | OFlags::NOFOLLOW
        };
        let Ok(opened) = rustix::fs::open(self.root.join(dir), flags, Mode::empty()) else {
            return;
        };
        let mut entries = RawDir::new(&opened, buffer);
        while let Some(Ok(entry)) = entries.next() {
            let name = entry.file_name();
            let bytes = name.to_bytes();
            if matches!(bytes, b"." | b".." | SKIPPED) {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => rustix::fs::statat(&opened, name, AtFlags::SYMLINK_NOFOLLOW)
                    .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode)),
                kind => kind,
            };
            match kind {
                FileType::Directory => {
                    let path = dir.join(OsStr::from_bytes(bytes));
                    if !self.skip.contains(&path) {
                        found.dirs.push(path);
                    }
                }
                FileType::Symlink => {
                    if let Ok(target) = rustix::fs::readlinkat(&opened, name, Vec::new()) {
                        let target = OsString::from_vec(target.into_bytes()).into();
                        found.links.push((dir.join(OsStr::from_bytes(bytes)), target));
                    }
                }
                _ => {}
            }
        }
    }
}

#[derive(Default)]
struct Found {
    dirs: Vec<PathBuf>,
    links: Vec<(PathBuf, PathBuf)>,
}

#[cfg(test)]
impl Links {
    /// Links that are nowhere on disk.
    pub(crate) fn from_pairs(pairs: &[(&str, &str)]) -> Self {
        Self(
            pairs
                .iter()
                .map(|(path, target)| (path.into(), target.into()))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn every_link_is_found_and_none_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        symlink("x", outside.path().join("not-ours")).unwrap();
        let mut expected = Vec::new();
        for n in 0..200 {
            let path = format!("d{}/e{n}", n % 7);
            fs::create_dir_all(dir.path().join(&path)).unwrap();
            fs::write(dir.path().join(&path).join("file"), "").unwrap();
            if n % 3 == 0 {
                symlink(format!("../{n}"), dir.path().join(&path).join("l")).unwrap();
                expected.push((PathBuf::from(path).join("l"), PathBuf::from(format!("../{n}"))));
            }
        }
        for skipped in [".git", "d1/.git", "cache"] {
            fs::create_dir_all(dir.path().join(skipped)).unwrap();
            symlink("x", dir.path().join(skipped).join("l")).unwrap();
        }
        symlink(outside.path(), dir.path().join("out")).unwrap();
        expected.push(("out".into(), outside.path().into()));
        let links = Links::of(dir.path(), &["cache".into()]);
        let mut found: Vec<_> = links.0.into_iter().collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        assert!(Links::of(&dir.path().join("nowhere"), &[]).0.is_empty());
    }

    #[test]
    fn paths_are_followed_as_the_system_does() {
        let links = Links::from_pairs(&[
            ("dev", "environments/dev"),
            ("environments/dev/mods", "../../modules"),
            ("environments/dev/up", ".."),
            ("out", "/etc"),
            ("dev2", "../repo/dev"),
            ("a", "b"),
            ("b", "a"),
        ]);
        let inside = |from: &str, path: &str| match links.follow(Path::new(from), Path::new(path)) {
            Place::Inside(place, first) => Some((
                place.display().to_string(),
                first.map(|first| first.display().to_string()),
            )),
            Place::Outside(_) => None,
        };
        let at = |place: &str, first: Option<&str>| Some((place.to_owned(), first.map(str::to_owned)));
        assert_eq!(inside("", "prod/x"), at("prod/x", None));
        assert_eq!(inside("", "dev/x"), at("environments/dev/x", Some("dev")));
        assert_eq!(inside("", "dev/mods/m"), at("modules/m", Some("dev")));
        // `..` leads from where a link led, not back over its name.
        assert_eq!(inside("", "dev/../x"), at("environments/x", Some("dev")));
        assert_eq!(
            inside("environments/dev", "up/./y"),
            at("environments/y", Some("environments/dev/up"))
        );
        assert_eq!(inside("environments", "../z"), at("z", None));
        for path in ["out/x", "dev2", "a", "../x", "/etc"] {
            assert_eq!(inside("", path), None, "{path}");
        }
        assert_eq!(
            links.follow(Path::new(""), Path::new("out/x")),
            Place::Outside("out".into())
        );
    }
}
