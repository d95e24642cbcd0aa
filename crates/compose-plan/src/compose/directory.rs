//! The files that lie together in one composed directory, whichever layers they come from.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use compose_merge::{DefinitionsFile, Dialect, Syntax};
use compose_model::TreePath;

use super::{
    Request,
    bytes::Bytes,
    composition::{ComposedFile, Holds, Party, Provenance},
};
use crate::layer::{ContentsError, LocalKind, Origin};

/// A file of a composed directory.
pub(super) struct ListedFile<'a> {
    /// The contribution that decides.
    pub(super) from: Provenance,
    /// The composed path.
    pub(super) path: TreePath,
    /// The composed file, or `None` if it is the user's own and the composition does not list it.
    pub(super) composed: Option<&'a ComposedFile>,
}

impl ListedFile<'_> {
    /// Returns the composed bytes.
    pub(super) fn read(&self, request: &Request<'_>, bytes: &Bytes<'_>) -> Result<Arc<[u8]>, ContentsError> {
        match self.composed {
            Some(file) => Ok(bytes.composed(file)?.0),
            None => request.local.read(&self.path),
        }
    }

    /// Returns the contribution that decides as one side of a conflict.
    pub(super) fn party(&self) -> Party {
        Party {
            origin: self.from.origin,
            path: self.from.path.clone(),
            holds: Holds::File,
            line: None,
        }
    }
}

/// Returns the directories in which a source has a file with a wanted name.
pub(super) fn of_sources(files: &[ComposedFile], is_wanted: fn(&str) -> bool) -> BTreeSet<TreePath> {
    let decider = |file: &ComposedFile| file.from.last().map(|from| from.origin);
    files
        .iter()
        .filter(|file| is_wanted(file.path.file_name()) && decider(file) != Some(Origin::Local))
        .filter_map(|file| file.path.parent())
        .collect()
}

/// Returns the files of a directory with wanted names, sorted by name: the composed ones, and the
/// user's own that the composition does not list. `files` are sorted by path.
pub(super) fn list<'a>(
    request: &Request<'_>,
    files: &'a [ComposedFile],
    dir: &TreePath,
    is_wanted: fn(&str) -> bool,
) -> Result<Vec<ListedFile<'a>>, ContentsError> {
    let below = format!("{dir}/");
    let start = files.partition_point(|file| file.path.as_str() < below.as_str());
    let composed = files[start..]
        .iter()
        .take_while(|file| file.path.as_str().starts_with(&below))
        .filter(|file| file.path.parent().as_ref() == Some(dir));
    let mut all = Vec::new();
    let mut names = BTreeSet::new();
    for file in composed {
        let name = file.path.file_name();
        names.insert(name);
        let Some(from) = file.from.last().filter(|_| is_wanted(name)) else {
            continue;
        };
        all.push(ListedFile {
            from: from.clone(),
            path: file.path.clone(),
            composed: Some(file),
        });
    }
    for (name, kind) in request.local.list(Some(dir))? {
        if !matches!(kind, LocalKind::File(_)) || !is_wanted(&name) || names.contains(name.as_str()) {
            continue;
        }
        let Ok(path) = TreePath::new(format!("{dir}/{name}")) else {
            continue;
        };
        all.push(ListedFile {
            from: Provenance {
                origin: Origin::Local,
                path: path.clone(),
            },
            path,
            composed: None,
        });
    }
    all.sort_by(|a, b| a.path.file_name().cmp(b.path.file_name()));
    Ok(all)
}

/// Returns the names in a directory, each with whether it is a directory: the composed ones and the
/// user's own. `files` are sorted by path.
pub(super) fn entries(
    request: &Request<'_>,
    files: &[ComposedFile],
    dir: &TreePath,
) -> Result<BTreeMap<String, bool>, ContentsError> {
    let mut found = BTreeMap::new();
    for (name, is_directory, _) in composed_entries(files, dir) {
        found.insert(name.to_owned(), is_directory);
    }
    for (name, kind) in request.local.list(Some(dir))? {
        if kind != LocalKind::Other {
            found.insert(name, kind == LocalKind::Directory);
        }
    }
    Ok(found)
}

/// Returns the composed names in a directory, each with whether it is a directory and with the file,
/// or a file below it. `files` are sorted by path.
pub(super) fn composed_entries<'f>(
    files: &'f [ComposedFile],
    dir: &TreePath,
) -> impl Iterator<Item = (&'f str, bool, &'f ComposedFile)> {
    let below = format!("{dir}/");
    let start = files.partition_point(|file| file.path.as_str() < below.as_str());
    files[start..].iter().map_while(move |file| {
        let rest = file.path.as_str().strip_prefix(&below)?;
        Some(match rest.split_once('/') {
            Some((name, _)) => (name, true, file),
            None => (rest, false, file),
        })
    })
}

/// Returns the OpenTofu file for which OpenTofu ignores a Terraform file: the one with the same stem
/// and syntax.
pub(super) fn shadow<'f, 'a>(
    files: &'f [ListedFile<'a>],
    file: &ListedFile<'_>,
) -> Option<&'f ListedFile<'a>> {
    let of = |file: &ListedFile<'_>, dialect| {
        let name = DefinitionsFile::of_name(file.path.file_name())?;
        (name.dialect == dialect).then(|| (name.stem.to_owned(), name.syntax == Syntax::Json))
    };
    let own = of(file, Dialect::Terraform)?;
    files
        .iter()
        .find(|other| of(other, Dialect::OpenTofu).as_ref() == Some(&own))
}

/// Returns what Terraform and what OpenTofu read of a directory's definitions, as indexes, or a
/// single list if both read all files.
pub(super) fn views(files: &[ListedFile<'_>]) -> Vec<Vec<usize>> {
    let is_tofu = |file: &ListedFile<'_>| {
        DefinitionsFile::of_name(file.path.file_name()).is_some_and(|name| name.dialect == Dialect::OpenTofu)
    };
    let all = 0..files.len();
    if !files.iter().any(is_tofu) {
        return vec![all.collect()];
    }
    vec![
        all.clone().filter(|index| !is_tofu(&files[*index])).collect(),
        all.filter(|index| shadow(files, &files[*index]).is_none())
            .collect(),
    ]
}
