//! A real `sshd` (Debian: `openssh-server`) on the loopback interface, for one user with one key.
//!
//! OpenSSH looks for the user's files in the home directory of the password database, whatever
//! `HOME` says. To keep tests away from them, the `ssh` that clients run is a script that calls the
//! real one with another configuration file.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running daemon, which ends when this value is dropped.
#[derive(Debug)]
pub struct Sshd {
    child: Child,
    port: u16,
    dir: PathBuf,
}

impl Sshd {
    /// Starts a daemon with its keys, log and configuration in `dir`, which is created.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start(dir: &Path) -> Self {
        fs::create_dir(dir).unwrap_or_else(|error| panic!("cannot make {}: {error}", dir.display()));
        let host = key(&dir.join("host"));
        write(&dir.join("authorized"), &key(&dir.join("user")));
        let port = free_port();
        write(&dir.join("known_hosts"), &format!("[127.0.0.1]:{port} {host}\n"));
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {0}/host\nAuthorizedKeysFile {0}/authorized\nPidFile none\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nAcceptEnv GIT_PROTOCOL\n",
            dir.display()
        );
        write(&dir.join("sshd_config"), &config);
        // The daemon needs this directory if it runs as root.
        _ = fs::create_dir_all("/run/sshd");
        let sshd = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"]
            .into_iter()
            .find(|path| Path::new(path).exists());
        let child = Command::new(sshd.expect("sshd is installed (Debian: openssh-server)"))
            .args(["-D", "-e", "-f"])
            .arg(dir.join("sshd_config"))
            .stderr(Stdio::from(
                File::create(dir.join("log")).expect("the directory was just made"),
            ))
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start sshd: {error}"));
        let mut sshd = Self {
            child,
            port,
            dir: dir.to_owned(),
        };
        sshd.wait();
        sshd
    }

    fn wait(&mut self) {
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            let ended = self.child.try_wait().is_ok_and(|status| status.is_some());
            assert!(!ended, "sshd ended: {log}");
            assert!(Instant::now() < until, "sshd does not listen: {log}");
            std::thread::yield_now();
        }
    }

    /// Returns the directory with `user` (the accepted key) and `known_hosts`.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the port on the loopback interface.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the user who may log in: the one who runs the test.
    pub fn user(&self) -> String {
        run("id", &["-un"]).trim().to_owned()
    }

    /// Returns the address of a repo on this machine's disk.
    pub fn url(&self, repo: &Path) -> String {
        format!("ssh://{}@127.0.0.1:{}{}", self.user(), self.port, repo.display())
    }

    /// Creates a directory for the front of a client's `PATH`, with an `ssh` that is configured by
    /// `lines` alone.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    pub fn client(&self, lines: &str) -> PathBuf {
        write(
            &self.dir.join("config"),
            &format!("GlobalKnownHostsFile none\n{lines}"),
        );
        let bin = self.dir.join("bin");
        fs::create_dir_all(&bin).unwrap_or_else(|error| panic!("cannot make {}: {error}", bin.display()));
        let real = run("sh", &["-c", "command -v ssh"]);
        let script = format!(
            "#!/bin/sh\nexec {} -F {}/config \"$@\"\n",
            real.trim(),
            self.dir.display()
        );
        write(&bin.join("ssh"), &script);
        fs::set_permissions(bin.join("ssh"), fs::Permissions::from_mode(0o755)).expect("it was just written");
        bin
    }

    /// Returns the lines for [`Sshd::client`] that make the host known.
    pub fn known(&self) -> String {
        format!("UserKnownHostsFile {}/known_hosts\n", self.dir.display())
    }

    /// Returns the lines for [`Sshd::client`] that select the accepted key only.
    pub fn identity(&self) -> String {
        format!("IdentityFile {}/user\nIdentitiesOnly yes\n", self.dir.display())
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // The daemon may have ended by itself.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener
        .unwrap_or_else(|error| panic!("cannot take a port: {error}"))
        .port()
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}

fn key(path: &Path) -> String {
    let file = path.to_str().expect("a temporary directory's name is text");
    run(
        "ssh-keygen",
        &["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", file],
    );
    let public = path.with_extension("pub");
    let text = fs::read_to_string(&public);
    text.unwrap_or_else(|error| panic!("cannot read {}: {error}", public.display()))
        .trim()
        .to_owned()
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
