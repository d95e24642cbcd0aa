//! The files of variables that deployments name for Terraform's `-var-file`, as a set.

use std::collections::{BTreeMap, BTreeSet};

use compose_merge::{Class, Tfvars, TfvarsJson};
use compose_model::TreePath;

/// The files that deployments name for `-var-file`, each with the directories of those deployments.
#[derive(Debug, Default)]
pub(super) struct NamedFiles(pub(super) BTreeMap<TreePath, BTreeSet<TreePath>>);

impl NamedFiles {
    /// Returns the directories of all deployments that name a file.
    pub(super) fn directories(&self) -> impl Iterator<Item = &TreePath> {
        self.0.values().flatten()
    }

    /// Returns the files that the deployment in a directory names.
    pub(super) fn of<'n>(&'n self, dir: &TreePath) -> impl Iterator<Item = &'n TreePath> {
        let named = self.0.iter().filter(|(_, dirs)| dirs.contains(dir));
        named.map(|(file, _)| file)
    }

    /// Returns the class of a file that a deployment names: it holds variables, whatever its name.
    pub(super) fn class(&self, path: &TreePath) -> Option<Class> {
        let is_json = path.file_name().ends_with(".json");
        self.0.contains_key(path).then_some(if is_json {
            Class::Merge(&TfvarsJson)
        } else {
            Class::Merge(&Tfvars)
        })
    }
}
