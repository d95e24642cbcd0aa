//! A git repo in a temporary directory, and keys to sign with.

use std::{
    ffi::OsStr,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use compose_model::CommitId;
use compose_signatures::Keys;
use tempfile::TempDir;

/// The time of every signature unless a test says otherwise: 2024-06-01T12:00:00Z.
pub(crate) const SIGNED_AT: i64 = 1_717_243_200;

pub(crate) struct Repo {
    dir: TempDir,
}

/// An ssh key pair on disk.
pub(crate) struct SshKey {
    pub(crate) path: PathBuf,
    /// `KEYTYPE KEY`
    pub(crate) public: String,
    /// As `ssh-keygen -l` prints it.
    pub(crate) fingerprint: String,
}

impl Repo {
    pub(crate) fn new() -> Self {
        let repo = Self {
            dir: TempDir::new().unwrap(),
        };
        repo.git(["init", "-q", "-b", "main"]);
        repo
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Returns a command that runs in the repo without any settings of this machine.
    pub(crate) fn command(&self, program: &str, time: i64) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("GNUPGHOME", self.path().join("gnupg"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "Ada")
            .env("GIT_AUTHOR_EMAIL", "ada@example.org")
            .env("GIT_AUTHOR_DATE", format!("{time} +0000"))
            .env("GIT_COMMITTER_NAME", "Ada")
            .env("GIT_COMMITTER_EMAIL", "ada@example.org")
            .env("GIT_COMMITTER_DATE", format!("{time} +0200"))
            .current_dir(self.path());
        command
    }

    pub(crate) fn git<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Vec<u8> {
        done(self.command("git", SIGNED_AT).args(args), b"", "git").stdout
    }

    pub(crate) fn ssh_key(&self, name: &str, kind: &[&str]) -> SshKey {
        let path = self.path().join(name);
        let mut command = self.command("ssh-keygen", SIGNED_AT);
        done(
            command
                .args(["-q", "-N", "", "-C", name, "-f"])
                .arg(&path)
                .arg("-t")
                .args(kind),
            b"",
            "openssh-client",
        );
        let public = fs::read_to_string(path.with_extension("pub")).unwrap();
        let public = public.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        let listed = done(
            self.command("ssh-keygen", SIGNED_AT).arg("-lf").arg(&path),
            b"",
            "openssh-client",
        )
        .stdout;
        let fingerprint = String::from_utf8(listed)
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .to_owned();
        SshKey {
            path,
            public,
            fingerprint,
        }
    }

    pub(crate) fn ed25519(&self, name: &str) -> SshKey {
        self.ssh_key(name, &["ed25519"])
    }

    /// Creates a commit with this message, signed by the key at this time, and returns its raw content.
    pub(crate) fn commit_at(&self, key: &SshKey, message: &[u8], time: i64) -> Vec<u8> {
        let mut command = self.command("git", time);
        command
            .args(["-c", "gpg.format=ssh", "-c"])
            .arg(format!("user.signingkey={}", key.path.display()));
        command.args([
            "commit",
            "-q",
            "-S",
            "--allow-empty",
            "--allow-empty-message",
            "--cleanup=verbatim",
            "-F",
            "-",
        ]);
        done(&mut command, message, "git");
        self.git(["cat-file", "commit", "HEAD"])
    }

    pub(crate) fn commit(&self, key: &SshKey) -> Vec<u8> {
        self.commit_at(key, b"message\n", SIGNED_AT)
    }

    pub(crate) fn unsigned_commit(&self) -> Vec<u8> {
        self.git(["commit", "-q", "--allow-empty", "-m", "message"]);
        self.git(["cat-file", "commit", "HEAD"])
    }

    /// Creates a tag of `target`, signed by the key at this time, and returns its raw content.
    pub(crate) fn tag_at(
        &self,
        key: &SshKey,
        name: &str,
        target: &str,
        message: &[u8],
        time: i64,
    ) -> Vec<u8> {
        let mut command = self.command("git", time);
        command
            .args(["-c", "gpg.format=ssh", "-c"])
            .arg(format!("user.signingkey={}", key.path.display()));
        command.args(["tag", "-s", "--cleanup=verbatim", "-F", "-", name, target]);
        done(&mut command, message, "git");
        self.git(["cat-file", "tag", name])
    }

    pub(crate) fn tag(&self, key: &SshKey, name: &str) -> Vec<u8> {
        self.tag_at(key, name, "HEAD", b"message\n", SIGNED_AT)
    }

    pub(crate) fn id(&self, revision: &str) -> CommitId {
        String::from_utf8(self.git(["rev-parse", revision]))
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    }

    /// Returns whether git itself verifies this object with the allowed-signers file.
    pub(crate) fn git_verifies(&self, kind: &str, raw: &[u8], allowed: &str) -> bool {
        let allowed = self.write("allowed_signers", allowed);
        let mut write = self.command("git", SIGNED_AT);
        let id = done(
            write.args(["hash-object", "-w", "--literally", "--stdin", "-t", kind]),
            raw,
            "git",
        )
        .stdout;
        let mut verify = self.command("git", SIGNED_AT);
        verify
            .arg("-c")
            .arg(format!("gpg.ssh.allowedSignersFile={}", allowed.display()));
        verify
            .arg(format!("verify-{kind}"))
            .arg(String::from_utf8(id).unwrap().trim());
        output(&mut verify, b"", "git").status.success()
    }

    /// Returns a signature by `ssh-keygen -Y sign` of these bytes.
    pub(crate) fn ssh_sign(&self, key: &Path, namespace: &str, options: &[&str], payload: &[u8]) -> String {
        let mut command = self.command("ssh-keygen", SIGNED_AT);
        command
            .args(["-q", "-Y", "sign", "-n", namespace])
            .args(options)
            .arg("-f")
            .arg(key);
        String::from_utf8(done(&mut command, payload, "openssh-client").stdout).unwrap()
    }
}

impl SshKey {
    /// Returns the line that trusts the key.
    pub(crate) fn trusted(&self) -> String {
        self.trusted_with("")
    }

    /// Returns the line that trusts the key with options.
    pub(crate) fn trusted_with(&self, options: &str) -> String {
        format!("ada@example.org {options} {}\n", self.public)
    }

    pub(crate) fn keys(&self) -> Keys {
        keys(&self.trusted())
    }
}

pub(crate) fn keys(text: &str) -> Keys {
    Keys::parse("allowed_signers", text.as_bytes()).unwrap_or_else(|errors| panic!("{text}: {errors:#?}"))
}

/// Returns a commit without its `gpgsig`.
pub(crate) fn without_signature(commit: &[u8]) -> Vec<u8> {
    let start = find(commit, b"\ngpgsig ").unwrap() + 1;
    let end = start + find(&commit[start..], b"-----END ").unwrap();
    let end = end + find(&commit[end..], b"\n").unwrap() + 1;
    // OpenSSH's armour ends with a line break of its own, which git keeps as a line of one blank.
    let end = if commit[end..].starts_with(b" \n") {
        end + 2
    } else {
        end
    };
    [&commit[..start], &commit[end..]].concat()
}

/// Returns a commit with this signature as its `gpgsig`, at the end of its headers.
pub(crate) fn with_signature(payload: &[u8], signature: &str) -> Vec<u8> {
    let end = find(payload, b"\n\n").unwrap() + 1;
    let header = format!("gpgsig {}\n", signature.trim_end().replace('\n', "\n "));
    [&payload[..end], header.as_bytes(), &payload[end..]].concat()
}

pub(crate) fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

pub(crate) fn replace(text: &[u8], from: &str, to: &str) -> Vec<u8> {
    let at = find(text, from.as_bytes()).unwrap_or_else(|| panic!("{from:?} is not there"));
    [&text[..at], to.as_bytes(), &text[at + from.len()..]].concat()
}

/// Runs a program, which must succeed. `package` is the Debian package that is named if the program is missing.
pub(crate) fn done(command: &mut Command, stdin: &[u8], package: &str) -> Output {
    let output = output(command, stdin, package);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {stderr}");
    output
}

pub(crate) fn output(command: &mut Command, stdin: &[u8], package: &str) -> Output {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| {
        panic!(
            "{:?} cannot be run ({error}): install the package `{package}`",
            command.get_program()
        )
    });
    // A program may end without reading its input.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    child.wait_with_output().unwrap()
}
