//! ssh against a real `sshd` (Debian: `openssh-server`), with a key and with an agent.
//!
//! OpenSSH looks for the user's files in the home of the password database, whatever `HOME` says; so that a test touches none of them,
//! the `ssh` on its `PATH` hands the real one another configuration file, and everything else on.

mod support;

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use compose_git::{Error, Git, Options};
use compose_model::ExitCode;
use support::{Lab, contents, url, want};

struct Sshd {
    child: Child,
    port: u16,
    dir: PathBuf,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // It may have ended by itself.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn key(path: &Path) -> String {
    run(
        "ssh-keygen",
        &[
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            "",
            "-f",
            path.to_str().unwrap(),
        ],
    );
    fs::read_to_string(path.with_extension("pub"))
        .unwrap()
        .trim()
        .to_owned()
}

impl Sshd {
    fn start(lab: &Lab) -> Self {
        let dir = lab.dir.path().join("ssh");
        fs::create_dir(&dir).unwrap();
        let host = key(&dir.join("host"));
        let user = key(&dir.join("user"));
        fs::write(dir.join("authorized"), user).unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        fs::write(dir.join("known_hosts"), format!("[127.0.0.1]:{port} {host}\n")).unwrap();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {0}/host\nAuthorizedKeysFile {0}/authorized\nPidFile none\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nAcceptEnv GIT_PROTOCOL\n",
            dir.display()
        );
        fs::write(dir.join("sshd_config"), config).unwrap();
        // The daemon wants this directory when it runs as root.
        _ = fs::create_dir_all("/run/sshd");
        let sshd = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"]
            .into_iter()
            .find(|path| Path::new(path).exists());
        let mut child = Command::new(sshd.expect("sshd is installed (Debian: openssh-server)"))
            .args(["-D", "-e", "-f"])
            .arg(dir.join("sshd_config"))
            .stderr(Stdio::from(fs::File::create(dir.join("log")).unwrap()))
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = || fs::read_to_string(dir.join("log")).unwrap();
            assert!(child.try_wait().unwrap().is_none(), "sshd ended: {}", log());
            assert!(Instant::now() < until, "sshd does not listen: {}", log());
            std::thread::yield_now();
        }
        Self { child, port, dir }
    }

    /// Options whose `ssh` uses these lines of configuration.
    fn options(&self, lab: &Lab, lines: &str) -> Options {
        let bin = lab.dir.path().join("bin");
        fs::create_dir_all(&bin).unwrap();
        let config = format!("GlobalKnownHostsFile none\n{lines}");
        fs::write(self.dir.join("config"), config).unwrap();
        let real = run("sh", &["-c", "command -v ssh"]);
        let script = format!(
            "#!/bin/sh\nexec {} -F {}/config \"$@\"\n",
            real.trim(),
            self.dir.display()
        );
        fs::write(bin.join("ssh"), script).unwrap();
        fs::set_permissions(bin.join("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
        let mut options = lab.options();
        let path = std::env::var("PATH").unwrap();
        options
            .environment
            .insert("PATH".into(), format!("{}:{path}", bin.display()).into());
        options
    }

    async fn fetch(&self, lab: &Lab, options: Options, commit: &str) -> Result<Vec<String>, Error> {
        _ = fs::remove_dir_all(lab.cache());
        let user = run("id", &["-un"]);
        let address = format!(
            "ssh://{}@127.0.0.1:{}{}/srv/repo",
            user.trim(),
            self.port,
            lab.dir.path().display()
        );
        let repo = Git::new(options).unwrap().repo(&url(address));
        assert_eq!(
            repo.refs(&["refs/heads/".to_owned()])
                .await?
                .branch("main")
                .unwrap()
                .target
                .to_string(),
            commit
        );
        let got = repo.fetch(&[want(commit, &["env"])]).await?;
        Ok(contents(&got[0], "env"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_or_an_agent_opens_the_door_and_a_stranger_host_does_not() {
    let lab = Lab::new();
    let catalog = lab.catalog("repo");
    catalog.git(&["config", "uploadpack.allowFilter", "true"]);
    catalog.write("env/x", "x").write("other/x", "y");
    let commit = catalog.commit();
    let sshd = Sshd::start(&lab);
    let dir = sshd.dir.display().to_string();
    let known = format!("UserKnownHostsFile {dir}/known_hosts\n");

    let by_key = sshd.options(
        &lab,
        &format!("{known}IdentityFile {dir}/user\nIdentitiesOnly yes\n"),
    );
    assert_eq!(sshd.fetch(&lab, by_key, &commit).await.unwrap(), ["x=x"]);

    let socket = format!("{dir}/agent");
    let mut agent = Command::new("ssh-agent")
        .args(["-D", "-a", &socket])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while !Path::new(&socket).exists() {
        assert!(Instant::now() < until, "the agent does not start");
        std::thread::yield_now();
    }
    let added = Command::new("ssh-add")
        .args(["-q", &format!("{dir}/user")])
        .env("SSH_AUTH_SOCK", &socket)
        .status()
        .unwrap();
    assert!(added.success());
    let mut by_agent = sshd.options(&lab, &format!("{known}IdentityFile none\n"));
    by_agent.environment.insert("SSH_AUTH_SOCK".into(), socket.into());
    let got = sshd.fetch(&lab, by_agent, &commit).await;
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert_eq!(got.unwrap(), ["x=x"]);

    let no_key = sshd.options(&lab, &format!("{known}IdentityFile none\n"));
    let error = sshd.fetch(&lab, no_key, &commit).await.unwrap_err();
    assert!(
        matches!(error, Error::Unauthenticated { .. }) && error.exit_code() == ExitCode::Refused,
        "{error:?}"
    );

    let stranger = sshd.options(
        &lab,
        &format!("UserKnownHostsFile /dev/null\nIdentityFile {dir}/user\n"),
    );
    let error = sshd.fetch(&lab, stranger, &commit).await.unwrap_err();
    assert!(matches!(error, Error::Untrusted { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("known_hosts"));
    assert!(
        lab.waits.0.lock().unwrap().is_empty(),
        "none of it passes by itself"
    );
}
