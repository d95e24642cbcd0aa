//! The symlinks of the user's repo, found by walking its directories, and their destinations.

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

/// The most links that are followed in one path, as in the system.
const MOST_LINKS: usize = 40;
/// The bytes of directory entries that are read at once.
const DIR_BUFFER: usize = 32 << 10;
/// More threads than this would wait for each other in the kernel.
const MOST_THREADS: usize = 4;
/// The length of the queue above which further threads are started.
const WORTH_A_THREAD: usize = 16;
/// git's own directory is large, holds no links of the user's, and is never composed.
const SKIPPED: &[u8] = b".git";

/// Symlinks by their path below the root, each with its target as written. No path passes another
/// link.
///
/// The walk takes time in a large repo and needs nothing but the repo, so it is best made in
/// parallel with other work. A link that appears or disappears between the walk and the staging
/// does no harm: it is linked like any file, or not at all.
#[derive(Debug, Default)]
pub struct Links(HashMap<PathBuf, PathBuf>);

/// The destination of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A path below the root, which may not exist and passes no link; and the first link on the way
    /// to it.
    Inside(PathBuf, Option<PathBuf>),
    /// Outside of the repo, by this link.
    Outside(PathBuf),
}

impl Links {
    /// Finds the links of a repo, except below the directories in `skip`. Directories that cannot
    /// be listed are skipped; the copy of the repo reports them.
    pub fn of(root: &Path, skip: &[PathBuf]) -> Self {
        let walk = LinkWalk {
            root,
            skip,
            state: Mutex::new(WalkState {
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
                    // If no thread can be started, this one does the work alone.
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

    /// Removes a link: a directory or a file takes its place.
    pub(crate) fn forget(&mut self, path: &Path) {
        self.0.remove(path);
    }

    /// Follows a path relative to the directory `from`, which passes no link.
    pub(crate) fn follow(&self, from: &Path, path: &Path) -> Destination {
        let mut current = from.to_owned();
        let mut first = None;
        let mut left = MOST_LINKS;
        // The remaining components, last one first, each with the link that it comes from.
        let mut rest: Vec<(Component<'_>, Option<&Path>)> = path
            .components()
            .rev()
            .map(|component| (component, None))
            .collect();
        while let Some((component, by)) = rest.pop() {
            let outside = |from: &Path| Destination::Outside(by.unwrap_or(from).to_owned());
            match component {
                Component::CurDir => {}
                Component::ParentDir => {
                    if !current.pop() {
                        return outside(from);
                    }
                }
                Component::RootDir | Component::Prefix(_) => return outside(from),
                Component::Normal(name) => {
                    current.push(name);
                    let Some((link, target)) = self.0.get_key_value(&current) else {
                        continue;
                    };
                    first.get_or_insert_with(|| link.clone());
                    if left == 0 {
                        return Destination::Outside(link.clone());
                    }
                    left -= 1;
                    current.pop();
                    rest.extend(
                        target
                            .components()
                            .rev()
                            .map(|component| (component, Some(link.as_path()))),
                    );
                }
            }
        }
        Destination::Inside(current, first)
    }
}

/// A walk by several threads that take directories from one queue.
struct LinkWalk<'a> {
    root: &'a Path,
    skip: &'a [PathBuf],
    state: Mutex<WalkState>,
    changed: Condvar,
}

struct WalkState {
    queue: Vec<PathBuf>,
    /// The threads that may still find directories.
    busy: usize,
    found: HashMap<PathBuf, PathBuf>,
}

impl LinkWalk<'_> {
    /// Takes directories until all threads are done. `start_threads` is called once if the queue
    /// gets long.
    fn work<'s>(&'s self, start_threads: &dyn Fn(&'s Self)) {
        let mut buffer = vec![MaybeUninit::uninit(); DIR_BUFFER];
        let mut alone = true;
        let mut state = self.lock();
        loop {
            let Some(dir) = state.queue.pop() else {
                if state.busy == 0 {
                    // Wakes the threads that wait for more directories.
                    self.changed.notify_all();
                    return;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.busy += 1;
            drop(state);
            let mut found = FoundEntries::default();
            self.list(&dir, &mut buffer, &mut found);
            state = self.lock();
            state.busy -= 1;
            state.queue.append(&mut found.dirs);
            state.found.extend(found.links);
            if alone && state.queue.len() > WORTH_A_THREAD {
                alone = false;
                start_threads(self);
            }
            if !state.queue.is_empty() {
                self.changed.notify_all();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, WalkState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn list(&self, dir: &Path, buffer: &mut [MaybeUninit<u8>], found: &mut FoundEntries) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // The root itself may be reached by links.
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
struct FoundEntries {
    dirs: Vec<PathBuf>,
    links: Vec<(PathBuf, PathBuf)>,
}

#[cfg(test)]
impl Links {
    /// Creates links that do not exist on disk.
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
    fn all_links_are_found_and_none_is_followed() {
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
    fn paths_are_followed_as_by_the_system() {
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
            Destination::Inside(place, first) => Some((
                place.display().to_string(),
                first.map(|first| first.display().to_string()),
            )),
            Destination::Outside(_) => None,
        };
        let expected = |place: &str, first: Option<&str>| Some((place.to_owned(), first.map(str::to_owned)));
        assert_eq!(inside("", "prod/x"), expected("prod/x", None));
        assert_eq!(inside("", "dev/x"), expected("environments/dev/x", Some("dev")));
        assert_eq!(inside("", "dev/mods/m"), expected("modules/m", Some("dev")));
        // `..` after a link is relative to the link's target, not to its name.
        assert_eq!(inside("", "dev/../x"), expected("environments/x", Some("dev")));
        assert_eq!(
            inside("environments/dev", "up/./y"),
            expected("environments/y", Some("environments/dev/up"))
        );
        assert_eq!(inside("environments", "../z"), expected("z", None));
        for path in ["out/x", "dev2", "a", "../x", "/etc"] {
            assert_eq!(inside("", path), None, "{path}");
        }
        assert_eq!(
            links.follow(Path::new(""), Path::new("out/x")),
            Destination::Outside("out".into())
        );
    }
}
