//! Real repositories, made by git.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

pub struct Catalog {
    pub dir: PathBuf,
}

impl Catalog {
    pub fn new(dir: &Path) -> Self {
        Self::with_format(dir, "sha1")
    }

    pub fn with_format(dir: &Path, format: &str) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        let catalog = Self { dir: dir.to_owned() };
        catalog.git(&["init", "-q", "-b", "main", "--object-format", format]);
        catalog
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        self.git_with(arguments, b"")
    }

    pub fn git_with(&self, arguments: &[&str], input: &[u8]) -> String {
        let mut child = Command::new("git")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_NAME"), "A")))
            .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_EMAIL"), "a@b")))
            .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_DATE"), "1700000000 +0000")))
            .current_dir(&self.dir)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "git {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    pub fn link(&self, path: &str, target: &str) -> &Self {
        let path = self.dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
        self
    }

    /// Commits everything and returns the commit's id.
    pub fn commit(&self) -> String {
        self.git(&["add", "-A", "-f"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "x"]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Writes an object without any checks and returns its id.
    pub fn object(&self, kind: &str, bytes: &[u8]) -> String {
        self.git_with(
            &["hash-object", "-w", "--literally", "-t", kind, "--stdin"],
            bytes,
        )
    }

    /// Writes a tree of raw entries (mode, name, id) and returns its id.
    pub fn tree(&self, entries: &[(&str, &[u8], &str)]) -> String {
        let mut bytes = Vec::new();
        for (mode, name, id) in entries {
            bytes.extend_from_slice(mode.as_bytes());
            bytes.push(b' ');
            bytes.extend_from_slice(name);
            bytes.push(0);
            bytes.extend((0..20).map(|byte| u8::from_str_radix(&id[2 * byte..2 * byte + 2], 16).unwrap()));
        }
        self.object("tree", &bytes)
    }

    /// Commits a tree, on a branch so that it is reachable.
    pub fn commit_tree(&self, tree: &str) -> String {
        let text = format!("tree {tree}\nauthor A <a@b> 0 +0000\ncommitter A <a@b> 0 +0000\n\nx\n");
        let commit = self.object("commit", text.as_bytes());
        self.git(&["update-ref", &format!("refs/heads/{}", &commit[..9]), &commit]);
        commit
    }

    pub fn url(&self) -> String {
        format!("file://{}", self.dir.display())
    }
}
