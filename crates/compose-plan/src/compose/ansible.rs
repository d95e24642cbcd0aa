//! Where Ansible looks for variables and for the parts of roles, and which of several files it reads
//! there: the rules of `find_vars_files` in its `DataLoader`.

use compose_model::TreePath;

/// The extensions of the files that Ansible reads in a directory of variables.
pub(super) const EXTENSIONS: [&str; 4] = ["", ".yml", ".yaml", ".json"];

/// The extensions of a role's files, in the order in which Ansible looks for them.
const OF_ROLES: [&str; 4] = [".yml", ".yaml", ".json", ""];

/// The directories with the variables of groups and hosts.
const VARIABLES: [&str; 2] = ["group_vars", "host_vars"];

/// The file of a role's part that Ansible reads.
const MAIN: &str = "main";

/// How Ansible finds the one file or directory that it reads of several with one name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lookup {
    /// The extensions. The first one that exists counts.
    pub(super) extensions: &'static [&'static str; 4],
    /// The only name that it looks for; `None` for any.
    pub(super) stem: Option<&'static str>,
    /// Whether a name without an extension may be a directory, whose files are all read.
    pub(super) directories: bool,
    /// Whether the files hold lists, of which the highest layer's is taken as a whole.
    pub(super) lists: bool,
}

impl Lookup {
    /// Returns how Ansible finds files in a directory; `None` if it does not look there by itself.
    pub(super) fn of(dir: &TreePath) -> Option<Self> {
        if VARIABLES.contains(&dir.file_name()) {
            return Some(Self {
                extensions: &EXTENSIONS,
                stem: None,
                directories: true,
                lists: false,
            });
        }
        let (directories, lists) = match dir.file_name() {
            "defaults" | "vars" => (true, false),
            "handlers" | "tasks" => (false, true),
            "meta" => (false, false),
            _ => return None,
        };
        let is_role = dir.parent()?.parent()?.file_name() == "roles";
        is_role.then_some(Self {
            extensions: &OF_ROLES,
            stem: Some(MAIN),
            directories,
            lists,
        })
    }

    /// Splits the name of an entry into its stem and the place of its extension in the order.
    /// Returns `None` if Ansible does not look for it.
    pub(super) fn split<'n>(&self, name: &'n str, is_directory: bool) -> Option<(&'n str, usize)> {
        let extension = EXTENSIONS
            .into_iter()
            .rfind(|extension| name.ends_with(extension) && !is_directory)
            .unwrap_or_default();
        let stem = &name[..name.len() - extension.len()];
        let is_found = self.stem.is_none_or(|only| only == stem) && (self.directories || !is_directory);
        let place = self.extensions.iter().position(|one| *one == extension)?;
        is_found.then_some((stem, place))
    }
}

/// Returns whether Ansible reads all files of a directory: `group_vars/web`, `roles/web/vars/main`.
pub(super) fn is_directory_of_variables(dir: &TreePath) -> bool {
    let Some(lookup) = dir.parent().as_ref().and_then(Lookup::of) else {
        return false;
    };
    lookup.split(dir.file_name(), true).is_some()
}
