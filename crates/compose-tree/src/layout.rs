//! Which directories of a composed tree are real, and where the composed files stand in it.
//!
//! A copy of the tree must be what a copy of a repo would be into which somebody had copied the sources' files by hand:
//!
//! - a file that goes to `dev/x` where the user has `dev -> environments/dev` goes to `environments/dev/x`;
//! - a link that leads to something composed (`terraform-b -> terraform`, `mods -> ../modules`) must lead to the composed one, so
//!   it is made again as it is written, in a real directory, whatever directory it is in;
//! - everything else is a link to the user's own file or directory.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    ffi::{OsStr, OsString},
    fs, io,
    path::{Component, Path, PathBuf},
};

use crate::{
    Error,
    links::{Links, Place},
    write::NewFile,
};

/// Real directories by their path below the tree; the tree's root is "".
pub(crate) type Layout = BTreeMap<PathBuf, Dir>;

/// A real directory.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Dir {
    /// Composed files, by index.
    pub(crate) files: Vec<usize>,
    /// Real directories in it.
    pub(crate) dirs: BTreeSet<OsString>,
    /// Names that are left out.
    pub(crate) left_out: BTreeSet<OsString>,
    /// The user's links that are made again, each with what it names.
    pub(crate) links: BTreeMap<OsString, PathBuf>,
}

/// What is laid out beside the composed files. Paths are relative to the operations repo's root.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Not linked.
    pub(crate) left_out: Vec<PathBuf>,
    /// Real directories, where they are directories.
    pub(crate) real: Vec<PathBuf>,
}

impl Dir {
    /// Names at which nothing of the user's is linked.
    pub(crate) fn taken<'a>(&'a self, files: &'a [(&str, u32)]) -> HashSet<&'a OsStr> {
        let composed = self.files.iter().map(|at| OsStr::new(files[*at].0));
        let others = self.dirs.iter().chain(&self.left_out);
        composed.chain(others.map(OsString::as_os_str)).collect()
    }
}

/// Lays out a tree for the user's links.
pub(crate) fn lay_out(files: &[NewFile<'_>], wanted: &Wanted, mut links: Links) -> Layout {
    let mut layout = place_files(files, &mut links);
    for path in &wanted.left_out {
        let dir = enter(&mut layout, path.parent().unwrap_or(Path::new("")));
        dir.left_out.extend(path.file_name().map(OsStr::to_owned));
    }
    for path in &wanted.real {
        enter(&mut layout, path);
    }
    enter(&mut layout, Path::new(""));
    if !links.is_empty() {
        for (dir, inside) in &layout {
            // A composed file stands where the user has a link.
            let names = inside.files.iter().map(|at| files[*at].0.file_name());
            names.for_each(|name| links.forget(&dir.join(name)));
        }
        lead_links(&mut layout, files, &links);
    }
    layout
}

/// The directory of each file, with links of the user's followed that stay in the repo. A link that leads out of it, or to where
/// another file goes already, is a real directory instead.
fn place_files(files: &[NewFile<'_>], links: &mut Links) -> Layout {
    loop {
        match try_place(files, links) {
            Ok(layout) => return layout,
            Err(link) => links.forget(&link),
        }
    }
}

fn try_place(files: &[NewFile<'_>], links: &Links) -> Result<Layout, PathBuf> {
    let mut layout = Layout::new();
    let mut by_links = Vec::new();
    let mut first = 0;
    // A composition's files are sorted, so that those of a directory mostly stand together.
    for together in files.chunk_by(|(one, _), (next, _)| above(one.as_str()) == above(next.as_str())) {
        let next = first + together.len();
        let dir = Path::new(above(together[0].0.as_str()));
        match links.follow(Path::new(""), dir) {
            Place::Inside(place, None) => enter(&mut layout, &place).files.extend(first..next),
            // After all others: what has the place by its own name keeps it.
            Place::Inside(place, Some(link)) => by_links.push((place, link, first..next)),
            Place::Outside(link) => return Err(link),
        }
        first = next;
    }
    for (place, link, indexes) in by_links {
        let dir = enter(&mut layout, &place);
        let taken: HashSet<&str> = dir.files.iter().map(|at| files[*at].0.file_name()).collect();
        let mut names = indexes.clone().map(|at| files[at].0.file_name());
        if names.any(|name| taken.contains(name) || dir.dirs.contains(OsStr::new(name))) {
            return Err(link);
        }
        dir.files.extend(indexes);
    }
    Ok(layout)
}

/// Makes a directory real, and all above it.
fn enter<'l>(layout: &'l mut Layout, dir: &Path) -> &'l mut Dir {
    if !layout.contains_key(dir)
        && let (Some(above), Some(name)) = (dir.parent(), dir.file_name())
    {
        enter(layout, above).dirs.insert(name.to_owned());
    }
    layout.entry(dir.to_owned()).or_default()
}

/// Lets each link of the user's that leads to something composed lead to the composed one. Its directory becomes a real one by that,
/// and other links may lead there.
fn lead_links(layout: &mut Layout, files: &[NewFile<'_>], links: &Links) {
    let mut open: Vec<(&Path, &Path)> = links.iter().collect();
    loop {
        let before = open.len();
        open.retain(|(path, target)| {
            let dir = path.parent().unwrap_or(Path::new(""));
            let Place::Inside(place, _) = links.follow(dir, target) else {
                return false;
            };
            if !is_composed(layout, files, &place) {
                return true;
            }
            let written = as_written(dir, target, &place);
            if let Some(name) = path.file_name() {
                enter(layout, dir).links.insert(name.to_owned(), written);
            }
            false
        });
        if open.len() == before {
            return;
        }
    }
}

/// Is it a real directory, a composed file or a link that is made again?
fn is_composed(layout: &Layout, files: &[NewFile<'_>], place: &Path) -> bool {
    let in_dir = || {
        let dir = layout.get(place.parent()?)?;
        let name = place.file_name()?;
        let composed = dir
            .files
            .iter()
            .any(|at| OsStr::new(files[*at].0.file_name()) == name);
        Some(composed || dir.links.contains_key(name))
    };
    layout.contains_key(place) || in_dir().unwrap_or(false)
}

/// What the new link names. A way down and up again may pass a directory that is a link in the tree: then the straight one.
fn as_written(dir: &Path, target: &Path, place: &Path) -> PathBuf {
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

/// The directory that a path is in; "" for the tree itself.
fn above(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(above, _)| above)
}

/// What the user has where a directory is made.
#[derive(Debug)]
pub(crate) struct Users {
    /// Its permission bits.
    pub(crate) mode: u32,
    /// The names in it.
    pub(crate) names: Vec<OsString>,
}

/// Lists a directory of the user's; `None`: there is nothing at all.
pub(crate) fn users(path: &Path) -> Result<Option<Users>, Error> {
    use std::os::unix::fs::PermissionsExt as _;

    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("list", path)(error)),
    };
    let entries = fs::read_dir(path).map_err(Error::io("list", path))?;
    let names = entries.map(|entry| Ok(entry.map_err(Error::io("list", path))?.file_name()));
    Ok(Some(Users {
        mode: meta.permissions().mode() & 0o7777,
        names: names.collect::<Result<_, Error>>()?,
    }))
}

#[cfg(test)]
mod tests {
    use compose_model::{FileMode, TreePath};

    use super::*;

    fn laid_out(files: &[&str], pairs: &[(&str, &str)], wanted: &Wanted) -> Vec<String> {
        let paths: Vec<TreePath> = files.iter().map(|path| TreePath::new(path).unwrap()).collect();
        let files: Vec<NewFile<'_>> = paths.iter().map(|path| (path, FileMode::Regular)).collect();
        let layout = lay_out(&files, wanted, Links::from_pairs(pairs));
        let mut lines = Vec::new();
        for (dir, inside) in &layout {
            lines.push(format!("{}/", dir.display()));
            for at in &inside.files {
                lines.push(format!(
                    "{}: {}",
                    dir.join(paths[*at].file_name()).display(),
                    paths[*at]
                ));
            }
            for (name, target) in &inside.links {
                lines.push(format!("{} -> {}", dir.join(name).display(), target.display()));
            }
        }
        lines
    }

    #[test]
    fn a_link_to_something_composed_is_made_again_wherever_it_is() {
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
            laid_out(&files, &pairs, &Wanted::default()),
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
    fn files_go_where_the_users_links_lead() {
        let pairs = [
            ("dev", "environments/dev"),
            ("environments/dev/tf", "../../shared-tf"),
        ];
        assert_eq!(
            laid_out(&["dev/tf/a.tf", "dev/x"], &pairs, &Wanted::default()),
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
    fn a_link_out_of_the_repo_or_to_another_files_place_is_a_real_directory() {
        let pairs = [("dev/out", "/srv/x"), ("dev/b", "a"), ("dev/c", "a")];
        assert_eq!(
            laid_out(
                &["dev/a/f", "dev/b/f", "dev/c/g", "dev/out/f"],
                &pairs,
                &Wanted::default()
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
    fn a_composed_file_stands_where_the_user_has_a_link() {
        let pairs = [
            ("dev/values.yaml", "../common.yaml"),
            ("prod/values.yaml", "../dev/values.yaml"),
        ];
        assert_eq!(
            laid_out(&["dev/values.yaml"], &pairs, &Wanted::default()),
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
    fn what_is_left_out_and_what_must_be_real() {
        let wanted = Wanted {
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
