//! Reads the files of git's configuration with those that they include: regular files within a bound,
//! however they include each other.

use std::{
    ffi::OsStr,
    io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use gix::{bstr::BStr, config::file::SectionRef};

use super::is_true;
use crate::{bounded::read_bounded, options::Options};

/// The bytes of all files together.
const MAX_SIZE: u64 = 4 << 20;
/// The files that are read in all.
const MOST: usize = 1000;
/// The deepest include that is followed, as in git.
const DEEPEST: usize = 10;

/// Returns the existing configuration files in git's order, lowest precedence first.
pub(super) fn of_user(options: &Options, home: Option<&Path>) -> Vec<PathBuf> {
    let path = |name: &str| options.variable(name).map(PathBuf::from);
    let mut files = Vec::new();
    let no_system = options.utf8_variable("GIT_CONFIG_NOSYSTEM").is_some_and(is_true);
    if !no_system {
        files.push(path("GIT_CONFIG_SYSTEM").unwrap_or_else(|| "/etc/gitconfig".into()));
    }
    match path("GIT_CONFIG_GLOBAL") {
        Some(global) => files.push(global),
        None => {
            let xdg = path("XDG_CONFIG_HOME").or_else(|| home.map(|home| home.join(".config")));
            files.extend(xdg.map(|xdg| xdg.join("git/config")));
            files.extend(home.map(|home| home.join(".gitconfig")));
        }
    }
    files.retain(|file| file.is_file());
    files
}

/// Why a configuration file is ignored.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// Its syntax is wrong.
    #[error(transparent)]
    Invalid(#[from] gix::Error),
    #[error("it is included by a chain of more than {DEEPEST} files")]
    TooDeep,
    #[error("more than {MOST} files are included")]
    TooMany,
}

/// Reads files within bounds for all of them together.
pub(super) struct Reader<'a> {
    home: Option<&'a Path>,
    files: usize,
    bytes: u64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(home: Option<&'a Path>) -> Self {
        Self {
            home,
            files: 0,
            bytes: 0,
        }
    }

    /// Calls `take` with each section of a file and, after a section that includes others, with
    /// theirs. A file that cannot be read or parsed is skipped with a warning: git would stop, but
    /// most repos do not need it.
    pub(super) fn read(&mut self, path: &Path, take: &mut dyn FnMut(&SectionRef<'_>)) {
        self.read_at(path, 0, take);
    }

    fn read_at(&mut self, path: &Path, depth: usize, take: &mut dyn FnMut(&SectionRef<'_>)) {
        let file = match self.file(path, depth) {
            Ok(file) => file,
            // As in git, an included file may be missing.
            Err(Unusable::Unreadable(error)) if depth > 0 && error.kind() == io::ErrorKind::NotFound => {
                return;
            }
            // One warning stands for all files beyond the bound.
            Err(Unusable::TooMany) if self.files > MOST + 1 => return,
            Err(why) => {
                return tracing::warn!(path = %path.display(), %why, "git's configuration is ignored");
            }
        };
        for section in file.sections() {
            take(&section);
            let header = section.header();
            // What conditions there are, such as `includeIf.gitdir`, is about a checkout.
            if header.subsection_name().is_some() || !header.name().eq_ignore_ascii_case(b"include") {
                continue;
            }
            for included in section.values("path") {
                match self.included(included.as_ref(), path) {
                    Some(included) => self.read_at(&included, depth + 1, take),
                    None => tracing::warn!(
                        path = %path.display(),
                        "git's configuration includes a file of another user, of an unknown home or of git's own, which is not read"
                    ),
                }
            }
        }
    }

    fn file(&mut self, path: &Path, depth: usize) -> Result<gix::config::File, Unusable> {
        self.files += 1;
        if self.files > MOST {
            return Err(Unusable::TooMany);
        }
        if depth > DEEPEST {
            return Err(Unusable::TooDeep);
        }
        let bytes = read_bounded(path, MAX_SIZE - self.bytes)?;
        self.bytes += bytes.len() as u64;
        let metadata = gix::config::file::Metadata::from(gix::config::Source::User).at(path);
        let file = gix::config::File::from_bytes_no_includes(&bytes, metadata, Default::default())?;
        Ok(file)
    }

    /// Returns the path that a file's `include.path` means, or `None` for `~user/…` and `%(prefix)/…`.
    fn included(&self, value: &BStr, from: &Path) -> Option<PathBuf> {
        if let Some(rest) = value.strip_prefix(b"~/") {
            return Some(self.home?.join(OsStr::from_bytes(rest)));
        }
        if value.starts_with(b"~") || value.starts_with(b"%(prefix)") {
            return None;
        }
        let dir = from.parent().unwrap_or(Path::new("/"));
        Some(dir.join(OsStr::from_bytes(value)))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, fs::File, time::Instant};

    use crate::gitconfig::tests::in_home;

    const REWRITE: &str = "[url \"https://b/\"]\n insteadOf = https://a/\n";

    /// Returns what the user's configuration makes of an address. `make` adds files to the home.
    fn rewritten(text: &str, make: impl Fn(&std::path::Path)) -> Option<String> {
        let (dir, _) = in_home("");
        make(dir.path());
        crate::gitconfig::tests::reread(&dir, text).rewrite("https://a/x")
    }

    #[test]
    fn what_is_included_is_a_regular_file_within_the_bound() {
        let make = |home: &std::path::Path| {
            let mode = rustix::fs::Mode::from(0o600);
            let fifo = home.join("fifo");
            rustix::fs::mknodat(rustix::fs::CWD, fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
            File::create(home.join("large"))
                .unwrap()
                .set_len(1 << 40)
                .unwrap();
            fs::write(home.join("broken"), "[url \"\n").unwrap();
            fs::write(home.join("good"), REWRITE).unwrap();
        };
        let started = Instant::now();
        for other in [
            "fifo",
            "/dev/zero",
            "large",
            "missing",
            "broken",
            "~nobody/x",
            "%(prefix)/x",
            "",
        ] {
            let text = format!("[include]\n path = {other}\n path = good\n");
            assert_eq!(rewritten(&text, make).as_deref(), Some("https://b/x"), "{other}");
            let text = format!("[include]\n path = {other}\n{REWRITE}");
            assert_eq!(rewritten(&text, make).as_deref(), Some("https://b/x"), "{other}");
        }
        assert!(started.elapsed().as_secs() < 30);
    }

    #[test]
    fn files_that_include_each_other_end() {
        let make = |home: &std::path::Path| {
            let each = "[include]\n path = one\n path = other\n".repeat(50);
            fs::write(home.join("one"), &each).unwrap();
            fs::write(home.join("other"), &each).unwrap();
        };
        let text = format!("[include]\n path = one\n{REWRITE}");
        assert_eq!(rewritten(&text, make).as_deref(), Some("https://b/x"));
    }

    #[test]
    fn all_files_together_have_a_bound() {
        let make = |home: &std::path::Path| {
            let half = format!("#{}\n", "x".repeat(3 << 20));
            fs::write(home.join("half"), &half).unwrap();
            fs::write(home.join("other"), format!("{half}{REWRITE}")).unwrap();
        };
        assert!(rewritten("[include]\n path = other\n", make).is_some());
        assert!(rewritten("[include]\n path = half\n path = other\n", make).is_none());
    }

    #[test]
    fn the_last_value_wins_wherever_it_stands() {
        let make = |home: &std::path::Path| {
            fs::create_dir(home.join("below")).unwrap();
            fs::write(
                home.join("below/more"),
                "[core]\n askPass = more\n[include]\n path = last\n",
            )
            .unwrap();
            fs::write(home.join("below/last"), "[core]\n sshCommand = last\n").unwrap();
        };
        let (dir, _) = in_home("");
        make(dir.path());
        let text = "[core]\n askPass = first\n[include]\n path = below/more\n[core]\n sshCommand = own\n";
        let config = crate::gitconfig::tests::reread(&dir, text);
        assert_eq!(
            (config.askpass(), config.ssh_command()),
            (Some("more"), Some("own"))
        );
        let text = "[core]\n sshCommand = own\n[include]\n path = ~/below/more\n";
        let config = crate::gitconfig::tests::reread(&dir, text);
        assert_eq!(config.ssh_command(), Some("last"));
    }
}
