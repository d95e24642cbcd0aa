//! The location of the operations repo in the repository that was checked out.

use std::{
    ffi::OsString,
    fs,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

use compose_model::env;

/// Converts paths in the operations repo to paths in the checkout, which annotations use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checkout {
    root: Option<PathBuf>,
    prefix: PathBuf,
}

impl Checkout {
    /// Finds the checkout of the operations repo at `root`.
    ///
    /// The repo may be mounted outside of the checkout, as with
    /// `docker run -v "$PWD/operations:/opt/bitops_deployment"`. In that case, its path in the
    /// checkout is derived from the checkout's path on the host (`GITHUB_WORKSPACE`) and the
    /// kernel's list of mounts.
    pub(crate) fn of(root: &Path) -> Self {
        let real = fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
        let workspace = std::env::var_os(env::GITHUB_WORKSPACE)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from);
        let mounts = || fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let prefix = workspace
            .as_deref()
            .and_then(|workspace| {
                below_workspace(&real, workspace)
                    .or_else(|| below_mounted(&host_path(&real, &mounts())?, workspace))
            })
            .or_else(|| below_git(&real, None))
            .unwrap_or_default();
        Self {
            root: Some(root.to_owned()),
            prefix,
        }
    }

    /// Returns a checkout in which every path is a file.
    #[cfg(test)]
    pub(super) fn everything(prefix: &str) -> Self {
        Self {
            root: None,
            prefix: prefix.into(),
        }
    }

    /// Returns the path of a file of the operations repo, relative to the checkout. Returns `None`
    /// if the operations repo has no such file.
    pub(super) fn file(&self, file: &str) -> Option<String> {
        let there = match &self.root {
            Some(root) => root.join(file).is_file(),
            None => !file.contains(" @ "),
        };
        let path = self.prefix.join(file);
        there.then(|| path.to_string_lossy().into_owned())
    }
}

/// Returns the path of the operations repo in a workspace that is visible here. A workspace that is
/// not itself a checkout may contain several (`actions/checkout` with `path`). In that case, the
/// path is relative to the one that contains the operations repo.
fn below_workspace(real: &Path, workspace: &Path) -> Option<PathBuf> {
    let workspace = fs::canonicalize(workspace).ok()?;
    let below = real.strip_prefix(&workspace).ok()?.to_owned();
    if workspace.join(".git").exists() {
        return Some(below);
    }
    Some(below_git(real, Some(&workspace)).unwrap_or(below))
}

/// Returns the path in the nearest checkout at or above the directory, which must be below
/// `within`.
fn below_git(real: &Path, within: Option<&Path>) -> Option<PathBuf> {
    let checkout = real
        .ancestors()
        .take_while(|path| within.is_none_or(|within| path.starts_with(within)))
        .find(|path| path.join(".git").exists())?;
    real.strip_prefix(checkout).ok().map(Path::to_owned)
}

/// Returns the path of a directory on the file system that it was mounted from: field 4 of
/// proc_pid_mountinfo(5), followed by the path below the mount point.
fn host_path(real: &Path, mountinfo: &str) -> Option<PathBuf> {
    let mounts = mountinfo.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let (from, at) = (unescaped(fields.next()?), unescaped(fields.next()?));
        let below = real.strip_prefix(&at).ok()?;
        Some((at.as_os_str().len(), from.join(below)))
    });
    // The deepest mount applies, and the last of several at the same place.
    mounts.max_by_key(|(depth, _)| *depth).map(|(_, path)| path)
}

/// Returns the path below the workspace for `mounted`, a path on one of the host's file systems.
/// That file system may itself be mounted below the host's root, and then the first directories of
/// the workspace are missing from the path. The path may also begin with further directories (a
/// subvolume).
fn below_mounted(mounted: &Path, workspace: &Path) -> Option<PathBuf> {
    let mounted: Vec<_> = mounted.iter().filter(|name| *name != "/").collect();
    let workspace: Vec<_> = workspace.iter().filter(|name| *name != "/").collect();
    let whole = (0..mounted.len()).find_map(|skip| mounted[skip..].strip_prefix(&*workspace));
    let end = || (1..workspace.len()).find_map(|skip| mounted.strip_prefix(&workspace[skip..]));
    whole.or_else(end).map(|rest| rest.iter().collect())
}

/// Decodes a path of mountinfo, in which space, tab, newline and backslash are octal escapes.
fn unescaped(field: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = field.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_tells_where_it_is_from() {
        let mountinfo = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
            700 600 8:1 /home/runner/work/app/app/my\\040ops /opt/bitops-compose/mount rw - ext4 /dev/sda1 rw\n\
            701 600 8:1 /other /opt/bitops-compose/mounted rw - ext4 /dev/sda1 rw\n";
        let path = |real| host_path(Path::new(real), mountinfo);
        assert_eq!(
            path("/opt/bitops-compose/mount/dev"),
            Some("/home/runner/work/app/app/my ops/dev".into())
        );
        assert_eq!(path("/elsewhere"), Some("/elsewhere".into()));
        assert_eq!(host_path(Path::new("/x"), "nonsense"), None);
    }

    #[test]
    fn the_workspace_is_found_in_what_was_mounted() {
        let below = |mounted, workspace| {
            below_mounted(Path::new(mounted), Path::new(workspace))
                .map(|path| path.to_string_lossy().into_owned())
        };
        let workspace = "/home/runner/work/app/app";
        for (mounted, expected) in [
            ("/home/runner/work/app/app/operations", Some("operations")),
            ("/home/runner/work/app/app", Some("")),
            // The workspace's file system is mounted at /home/runner.
            ("/work/app/app/a/b", Some("a/b")),
            ("/app/operations", Some("operations")),
            // The path begins with a subvolume.
            ("/@/home/runner/work/app/app/operations", Some("operations")),
            ("/home/runner/work/apple/operations", None),
            ("/var/lib/docker/volumes/v/_data", None),
        ] {
            assert_eq!(below(mounted, workspace).as_deref(), expected, "{mounted}");
        }
    }

    #[test]
    fn the_checkout_is_the_workspace_or_what_it_holds() {
        let dir = tempfile::tempdir().unwrap();
        let workspace = fs::canonicalize(dir.path()).unwrap();
        let real = workspace.join("repo/operations");
        fs::create_dir_all(&real).unwrap();
        let below = || below_workspace(&real, &workspace).unwrap();
        assert_eq!(below(), Path::new("repo/operations"));
        fs::create_dir(workspace.join("repo/.git")).unwrap();
        assert_eq!(below(), Path::new("operations"));
        fs::create_dir(workspace.join(".git")).unwrap();
        assert_eq!(below(), Path::new("repo/operations"));
        assert_eq!(below_git(&real, None).unwrap(), Path::new("operations"));
    }
}
