//! Decides which directories of a composed tree are real, and where the composed files are placed.
//!
//! A copy of the tree must equal a copy of the user's repo into which the sources' files had been
//! copied by hand:
//!
//! - a file for `dev/x`, where the user has `dev -> environments/dev`, is placed at
//!   `environments/dev/x`;
//! - a link that leads to something composed (`terraform-b -> terraform`, `mods -> ../modules`) must
//!   lead to the composed one, so it is recreated as the user wrote it, in a real directory;
//! - everything else is a link to the user's own file or directory.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ffi::{OsStr, OsString},
    fs, io,
    path::{Component, Path, PathBuf},
};

use crate::{
    Action, Error,
    links::{Destination, Links},
    write::NewFile,
};

/// The real directories by their path below the tree; "" is the tree's root.
pub(crate) type Layout = BTreeMap<PathBuf, RealDir>;

/// A real directory.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct RealDir {
    /// The indices of composed files in it.
    pub(crate) files: Vec<usize>,
    /// The real directories in it.
    pub(crate) dirs: BTreeSet<OsString>,
    /// The names that are left out.
    pub(crate) left_out: BTreeSet<OsString>,
    /// The user's links that are recreated, each with its target.
    pub(crate) links: BTreeMap<OsString, PathBuf>,
}

/// What to lay out besides the composed files. Paths are relative to the operations repo's root.
#[derive(Debug, Default)]
pub(crate) struct LayoutOptions {
    /// Paths that are left out.
    pub(crate) left_out: Vec<PathBuf>,
    /// Paths that become real directories.
    pub(crate) real: Vec<PathBuf>,
}

impl RealDir {
    /// Returns the names at which nothing of the user's is linked.
    pub(crate) fn taken<'a>(&'a self, files: &'a [(&str, u32)]) -> HashSet<&'a OsStr> {
        let composed = self.files.iter().map(|index| OsStr::new(files[*index].0));
        let others = self.dirs.iter().chain(&self.left_out);
        composed.chain(others.map(OsString::as_os_str)).collect()
    }
}

/// Lays out a tree around the user's links.
pub(crate) fn lay_out(files: &[NewFile<'_>], wanted: &LayoutOptions, mut links: Links) -> Layout {
    let mut layout = place_files(files, &mut links);
    for path in &wanted.left_out {
        let dir = make_real(&mut layout, path.parent().unwrap_or(Path::new("")));
        dir.left_out.extend(path.file_name().map(OsStr::to_owned));
    }
    for path in &wanted.real {
        make_real(&mut layout, path);
    }
    make_real(&mut layout, Path::new(""));
    if !links.is_empty() {
        for (dir, inside) in &layout {
            // A composed file replaces a link of the user's.
            let names = inside.files.iter().map(|index| files[*index].0.file_name());
            names.for_each(|name| links.forget(&dir.join(name)));
        }
        redirect_links(&mut layout, files, &links);
    }
    layout
}

/// Places each file in a directory, following the user's links that stay in the repo. A link that
/// leads out of the repo, or to the place of another file, becomes a real directory instead.
fn place_files(files: &[NewFile<'_>], links: &mut Links) -> Layout {
    loop {
        match try_place(files, links) {
            Ok(layout) => return layout,
            Err(link) => links.forget(&link),
        }
    }
}

// Places the files. Returns the link that has to become a real directory if the files cannot be
// placed through it.
fn try_place(files: &[NewFile<'_>], links: &Links) -> Result<Layout, PathBuf> {
    let mut layout = Layout::new();
    let mut by_links = Vec::new();
    let mut first = 0;
    // The files are sorted, so those of one directory are mostly adjacent.
    for together in files.chunk_by(|(one, _), (next, _)| parent_of(one.as_str()) == parent_of(next.as_str()))
    {
        let next = first + together.len();
        let dir = Path::new(parent_of(together[0].0.as_str()));
        match links.follow(Path::new(""), dir) {
            Destination::Inside(place, None) => make_real(&mut layout, &place).files.extend(first..next),
            // Files that go through a link come last: a file with that path of its own takes
            // precedence.
            Destination::Inside(place, Some(link)) => by_links.push((place, link, first..next)),
            Destination::Outside(link) => return Err(link),
        }
        first = next;
    }
    for (place, link, indexes) in by_links {
        let dir = make_real(&mut layout, &place);
        let taken: HashSet<&str> = dir
            .files
            .iter()
            .map(|index| files[*index].0.file_name())
            .collect();
        let mut names = indexes.clone().map(|index| files[index].0.file_name());
        if names.any(|name| taken.contains(name) || dir.dirs.contains(OsStr::new(name))) {
            return Err(link);
        }
        dir.files.extend(indexes);
    }
    Ok(layout)
}

/// Makes a directory and all directories above it real.
fn make_real<'l>(layout: &'l mut Layout, dir: &Path) -> &'l mut RealDir {
    if !layout.contains_key(dir)
        && let (Some(above), Some(name)) = (dir.parent(), dir.file_name())
    {
        make_real(layout, above).dirs.insert(name.to_owned());
    }
    layout.entry(dir.to_owned()).or_default()
}

/// Recreates each of the user's links that leads to something composed. The link's directory
/// becomes real, and other links may lead to it, so this is repeated until nothing changes.
fn redirect_links(layout: &mut Layout, files: &[NewFile<'_>], links: &Links) {
    let mut open: Vec<(&Path, &Path)> = links.iter().collect();
    let composed = names_of_files(layout, files);
    loop {
        let before = open.len();
        open.retain(|(path, target)| {
            let dir = path.parent().unwrap_or(Path::new(""));
            let Destination::Inside(place, _) = links.follow(dir, target) else {
                return false;
            };
            if !is_composed(layout, &composed, &place) {
                return true;
            }
            let written = recreated_target(dir, target, &place);
            if let Some(name) = path.file_name() {
                make_real(layout, dir).links.insert(name.to_owned(), written);
            }
            false
        });
        if open.len() == before {
            return;
        }
    }
}

/// Returns the names of the composed files in each directory.
fn names_of_files<'f>(layout: &Layout, files: &[NewFile<'f>]) -> HashMap<PathBuf, HashSet<&'f OsStr>> {
    let names = |dir: &RealDir| {
        let names = dir
            .files
            .iter()
            .map(|index| OsStr::new(files[*index].0.file_name()));
        names.collect::<HashSet<_>>()
    };
    let dirs = layout.iter().filter(|(_, dir)| !dir.files.is_empty());
    dirs.map(|(path, dir)| (path.clone(), names(dir))).collect()
}

/// Returns whether a path is a real directory, a composed file or a recreated link.
fn is_composed(layout: &Layout, composed: &HashMap<PathBuf, HashSet<&OsStr>>, place: &Path) -> bool {
    let in_dir = || {
        let (dir, name) = (place.parent()?, place.file_name()?);
        let is_file = composed.get(dir).is_some_and(|names| names.contains(name));
        Some(is_file || layout.get(dir)?.links.contains_key(name))
    };
    layout.contains_key(place) || in_dir().unwrap_or(false)
}

/// Returns the target of a recreated link. A target that leads down and up again may pass a
/// directory that is a link in the tree, so it is straightened.
fn recreated_target(dir: &Path, target: &Path, place: &Path) -> PathBuf {
    let mut down = false;
    let winds = target.components().any(|component| match component {
        Component::Normal(_) => {
            down = true;
            false
        }
        Component::ParentDir => down,
        _ => false,
    });
    if !winds {
        return target.to_owned();
    }
    let same = dir
        .components()
        .zip(place.components())
        .take_while(|(a, b)| a == b)
        .count();
    let up = dir.components().skip(same).map(|_| Component::ParentDir);
    let straight: PathBuf = up.chain(place.components().skip(same)).collect();
    if straight.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        straight
    }
}

/// Returns the directory of a path; "" is the tree's root.
fn parent_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(above, _)| above)
}

/// A directory of the user's for which a real one is made.
#[derive(Debug)]
pub(crate) struct UsersDir {
    /// Its permission bits.
    pub(crate) mode: u32,
    /// The names in it.
    pub(crate) names: Vec<OsString>,
}

/// Lists a directory of the user's. Returns `None` if there is none.
pub(crate) fn list_users_dir(path: &Path) -> Result<Option<UsersDir>, Error> {
    use std::os::unix::fs::PermissionsExt as _;

    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(Action::List, path)(error)),
    };
    let entries = fs::read_dir(path).map_err(Error::io(Action::List, path))?;
    let names = entries.map(|entry| Ok(entry.map_err(Error::io(Action::List, path))?.file_name()));
    Ok(Some(UsersDir {
        mode: meta.permissions().mode() & 0o7777,
        names: names.collect::<Result<_, Error>>()?,
    }))
}

#[cfg(test)]
mod tests {
    use compose_model::{FileMode, TreePath};

    use super::*;

    fn laid_out(files: &[&str], pairs: &[(&str, &str)], wanted: &LayoutOptions) -> Vec<String> {
        let paths: Vec<TreePath> = files.iter().map(|path| TreePath::new(path).unwrap()).collect();
        let files: Vec<NewFile<'_>> = paths.iter().map(|path| (path, FileMode::Regular)).collect();
        let layout = lay_out(&files, wanted, Links::from_pairs(pairs));
        let mut lines = Vec::new();
        for (dir, inside) in &layout {
            lines.push(format!("{}/", dir.display()));
            for index in &inside.files {
                lines.push(format!(
                    "{}: {}",
                    dir.join(paths[*index].file_name()).display(),
                    paths[*index]
                ));
            }
            for (name, target) in &inside.links {
                lines.push(format!("{} -> {}", dir.join(name).display(), target.display()));
            }
        }
        lines
    }

    #[test]
    fn links_to_composed_paths_are_recreated() {
        let pairs = [
            ("dev/terraform-b", "terraform"),
            ("dev/mods", "../modules"),
            ("prod/deep/down/mods", "../../../modules/vpc"),
            ("prod/other", "deep"),
            ("prod/own", "../prod/x"),
            ("tools/winding", "lib/../../modules"),
            ("outside", "../x"),
        ];
        let files = ["dev/terraform/main.tf", "modules/vpc/a.tf"];
        assert_eq!(
            laid_out(&files, &pairs, &LayoutOptions::default()),
            [
                "/",
                "dev/",
                "dev/mods -> ../modules",
                "dev/terraform-b -> terraform",
                "dev/terraform/",
                "dev/terraform/main.tf: dev/terraform/main.tf",
                "modules/",
                "modules/vpc/",
                "modules/vpc/a.tf: modules/vpc/a.tf",
                "prod/",
                // It leads to a directory that holds a link to something composed.
                "prod/other -> deep",
                "prod/deep/",
                "prod/deep/down/",
                "prod/deep/down/mods -> ../../../modules/vpc",
                "tools/",
                "tools/winding -> ../modules",
            ]
        );
    }

    #[test]
    fn files_are_placed_through_the_users_links() {
        let pairs = [
            ("dev", "environments/dev"),
            ("environments/dev/tf", "../../shared-tf"),
        ];
        assert_eq!(
            laid_out(&["dev/tf/a.tf", "dev/x"], &pairs, &LayoutOptions::default()),
            [
                "/",
                "dev -> environments/dev",
                "environments/",
                "environments/dev/",
                "environments/dev/x: dev/x",
                "environments/dev/tf -> ../../shared-tf",
                "shared-tf/",
                "shared-tf/a.tf: dev/tf/a.tf",
            ]
        );
    }

    #[test]
    fn a_link_out_of_the_repo_or_to_another_files_place_becomes_a_real_directory() {
        let pairs = [("dev/out", "/srv/x"), ("dev/b", "a"), ("dev/c", "a")];
        assert_eq!(
            laid_out(
                &["dev/a/f", "dev/b/f", "dev/c/g", "dev/out/f"],
                &pairs,
                &LayoutOptions::default()
            ),
            [
                "/",
                "dev/",
                "dev/c -> a",
                "dev/a/",
                "dev/a/f: dev/a/f",
                "dev/a/g: dev/c/g",
                "dev/b/",
                "dev/b/f: dev/b/f",
                "dev/out/",
                "dev/out/f: dev/out/f",
            ]
        );
    }

    #[test]
    fn a_composed_file_replaces_the_users_link() {
        let pairs = [
            ("dev/values.yaml", "../common.yaml"),
            ("prod/values.yaml", "../dev/values.yaml"),
        ];
        assert_eq!(
            laid_out(&["dev/values.yaml"], &pairs, &LayoutOptions::default()),
            [
                "/",
                "dev/",
                "dev/values.yaml: dev/values.yaml",
                "prod/",
                "prod/values.yaml -> ../dev/values.yaml"
            ]
        );
    }

    #[test]
    fn paths_can_be_left_out_or_made_real() {
        let wanted = LayoutOptions {
            left_out: vec![".cache/compose".into()],
            real: vec!["prod".into()],
        };
        let paths = [TreePath::new("dev/x").unwrap()];
        let files: Vec<NewFile<'_>> = vec![(&paths[0], FileMode::Regular)];
        let layout = lay_out(&files, &wanted, Links::default());
        let dirs: Vec<_> = layout.keys().map(|dir| dir.display().to_string()).collect();
        assert_eq!(dirs, ["", ".cache", "dev", "prod"]);
        assert!(
            layout[Path::new(".cache")]
                .left_out
                .contains(OsStr::new("compose"))
        );
        assert!(layout[Path::new(".cache")].files.is_empty());
    }
}
