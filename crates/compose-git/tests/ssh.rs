//! ssh against a real `sshd`, with a key and with an agent.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::support::{Lab, contents, prepend_path, url, want};
use compose_git::{Error, Git, Options};
use compose_model::{Cause, ExitCode};
use compose_testkit::Sshd;

/// Options whose `ssh` uses these lines of configuration.
fn options(sshd: &Sshd, lab: &Lab, lines: &str) -> Options {
    let bin = sshd.client(lines);
    let mut options = lab.options();
    prepend_path(&mut options, &bin);
    options
}

async fn fetch(sshd: &Sshd, lab: &Lab, options: Options, commit: &str) -> Result<Vec<String>, Error> {
    _ = fs::remove_dir_all(lab.cache());
    let address = sshd.url(&lab.dir.path().join("srv/repo"));
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

#[tokio::test(flavor = "multi_thread")]
async fn a_key_or_an_agent_gives_access_and_an_unknown_host_is_refused() {
    let lab = Lab::new();
    let catalog = lab.catalog("repo");
    catalog.git(&["config", "uploadpack.allowFilter", "true"]);
    catalog.write("env/x", "x").write("other/x", "y");
    let commit = catalog.commit();
    let sshd = Sshd::start(&lab.dir.path().join("ssh"));
    let dir = sshd.dir().display().to_string();
    let known = sshd.known();

    let by_key = options(&sshd, &lab, &format!("{known}{}", sshd.identity()));
    assert_eq!(fetch(&sshd, &lab, by_key, &commit).await.unwrap(), ["x=x"]);

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
    let mut by_agent = options(&sshd, &lab, &format!("{known}IdentityFile none\n"));
    by_agent.environment.insert("SSH_AUTH_SOCK".into(), socket.into());
    let got = fetch(&sshd, &lab, by_agent, &commit).await;
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert_eq!(got.unwrap(), ["x=x"]);

    let no_key = options(&sshd, &lab, &format!("{known}IdentityFile none\n"));
    let error = fetch(&sshd, &lab, no_key, &commit).await.unwrap_err();
    assert!(
        matches!(error, Error::Unauthenticated { .. }) && error.exit_code() == ExitCode::Refused,
        "{error:?}"
    );

    let stranger = options(
        &sshd,
        &lab,
        &format!("UserKnownHostsFile /dev/null\nIdentityFile {dir}/user\n"),
    );
    let error = fetch(&sshd, &lab, stranger, &commit).await.unwrap_err();
    assert!(matches!(error, Error::Untrusted { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("known_hosts"));
    assert!(
        lab.waits.0.lock().unwrap().is_empty(),
        "none of it passes by itself"
    );
}

/// OpenSSH itself reads the files of the entry in /etc/passwd.
#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_home_are_used_where_passwd_names_another_directory() {
    let (lab, sshd, commit) = elsewhere();
    let ssh = lab.home().join(".ssh");
    fs::copy(sshd.dir().join("known_hosts"), ssh.join("known_hosts")).unwrap();
    fs::copy(sshd.dir().join("user"), ssh.join("id_ed25519")).unwrap();
    let got = fetch(&sshd, &lab, lab.options(), &commit).await.unwrap();
    assert_eq!(got, ["x=x"]);
    fs::remove_file(ssh.join("known_hosts")).unwrap();
    let error = fetch(&sshd, &lab, lab.options(), &commit).await.unwrap_err();
    assert!(matches!(error, Error::Untrusted { .. }), "{error:?}");
}

/// A lab whose `HOME` is not the directory in /etc/passwd, with a catalog behind a real sshd.
fn elsewhere() -> (Lab, Sshd, String) {
    let lab = Lab::new();
    let catalog = lab.catalog("repo");
    catalog.git(&["config", "uploadpack.allowFilter", "true"]);
    catalog.write("env/x", "x");
    let commit = catalog.commit();
    let sshd = Sshd::start(&lab.dir.path().join("ssh"));
    fs::create_dir(lab.home().join(".ssh")).unwrap();
    (lab, sshd, commit)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_of_home_chooses_its_own_files() {
    let (lab, sshd, commit) = elsewhere();
    let ssh = lab.home().join(".ssh");
    fs::copy(sshd.dir().join("known_hosts"), ssh.join("known")).unwrap();
    fs::copy(sshd.dir().join("user"), ssh.join("deploy")).unwrap();
    // Keys that the configuration does not name are not offered before those that it names: a host may
    // accept them for another user.
    let other = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(ssh.join("id_ed25519"))
        .status();
    assert!(other.unwrap().success());
    let config =
        "Host 127.0.0.1\nUserKnownHostsFile ~/.ssh/known\nIdentityFile ~/.ssh/deploy\nIdentitiesOnly yes\n";
    fs::write(ssh.join("config"), config).unwrap();
    let got = fetch(&sshd, &lab, lab.options(), &commit).await.unwrap();
    assert_eq!(got, ["x=x"]);
    let offered = fs::read_to_string(sshd.dir().join("log")).unwrap();
    assert!(!offered.contains("Failed publickey"), "{offered}");
    // The error names what was read, of both directories.
    fs::write(ssh.join("config"), config.replace("/deploy", "/id_ed25519")).unwrap();
    let error = fetch(&sshd, &lab, lab.options(), &commit).await.unwrap_err();
    assert!(matches!(error, Error::Unauthenticated { .. }), "{error:?}");
    let expected = format!(
        "ssh was given config, known, id_ed25519 of {}, the directory of HOME",
        ssh.display()
    );
    assert!(error.to_string().contains(&expected), "{error}");
    assert!(error.to_string().contains(", that in /etc/passwd"), "{error}");
    // A configuration that ssh cannot use is a fault of this machine.
    fs::write(ssh.join("config"), "Hots x\n").unwrap();
    let error = fetch(&sshd, &lab, lab.options(), &commit).await.unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::CannotWrite, "{error}");
    assert!(error.to_string().contains("bad configuration option"), "{error}");
    assert!(lab.waits.0.lock().unwrap().is_empty(), "no retry helps");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_of_the_user_reads_the_files_of_passwd_and_the_error_says_so() {
    let (lab, sshd, commit) = elsewhere();
    let ssh = lab.home().join(".ssh");
    fs::copy(sshd.dir().join("known_hosts"), ssh.join("known_hosts")).unwrap();
    fs::copy(sshd.dir().join("user"), ssh.join("id_ed25519")).unwrap();
    let mut own = lab.options();
    own.environment.insert("GIT_SSH_COMMAND".into(), "ssh -v".into());
    let error = fetch(&sshd, &lab, own, &commit).await.unwrap_err();
    assert!(matches!(error, Error::Untrusted { .. }), "{error:?}");
    let none = format!("and not in {}, that of HOME", ssh.display());
    assert!(error.to_string().contains(&none), "{error}");
    // The same holds where `HOME` has no such directory.
    fs::remove_dir_all(&ssh).unwrap();
    let error = fetch(&sshd, &lab, lab.options(), &commit).await.unwrap_err();
    assert!(error.to_string().contains(&none), "{error}");
}

/// ssh refuses to start then, before it connects.
#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stderr, reason = "a skipped test says why")]
async fn a_user_without_an_entry_in_passwd_is_a_fault_of_this_machine() {
    if !is_root() {
        eprintln!("skipped: only root can become a user without an entry");
        return;
    }
    let (lab, sshd, commit) = elsewhere();
    let bin = lab.dir.path().join("no-user");
    fs::create_dir(&bin).unwrap();
    let real = Command::new("sh")
        .args(["-c", "command -v ssh"])
        .output()
        .unwrap();
    let real = String::from_utf8(real.stdout).unwrap();
    let script = format!(
        "#!/bin/sh\nexec setpriv --reuid 424242 --clear-groups {} \"$@\"\n",
        real.trim()
    );
    fs::write(bin.join("ssh"), script).unwrap();
    fs::set_permissions(bin.join("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut of_path = lab.options();
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", bin.display());
    of_path.environment.insert("PATH".into(), path.into());
    let mut of_command = lab.options();
    let command = bin.join("ssh").display().to_string();
    of_command
        .environment
        .insert("GIT_SSH_COMMAND".into(), command.into());
    for options in [of_path, of_command] {
        let error = fetch(&sshd, &lab, options, &commit).await.unwrap_err();
        assert!(
            matches!(error, Error::Program { .. }) && error.exit_code() == ExitCode::CannotWrite,
            "{error:?}"
        );
        assert!(
            error.to_string().contains("No user exists for uid 424242"),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("/etc/passwd"), "{error}");
    }
    assert!(lab.waits.0.lock().unwrap().is_empty(), "no retry helps");
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_of_sshs_configuration_is_found_by_the_spelling_that_the_user_wrote() {
    let lab = Lab::new();
    let catalog = lab.catalog("repo");
    catalog.write("env/x", "x");
    let commit = catalog.commit();
    let sshd = Sshd::start(&lab.dir.path().join("ssh"));
    // `ssh` compares patterns of `Host` by case.
    let lines = format!(
        "Host Catalogs-Work\nHostName 127.0.0.1\nPort {}\nUser {}\n{}{}",
        sshd.port(),
        sshd.user(),
        sshd.known(),
        sshd.identity()
    );
    let options = options(&sshd, &lab, &lines);
    let path = lab.dir.path().join("srv/repo");
    let user = sshd.user();
    let rewritten = "https://Git.Example.com/Org/repo";
    std::fs::write(
        lab.home().join(".gitconfig"),
        format!(
            "[url \"{user}@Catalogs-Work:{}\"]\n insteadOf = {rewritten}\n",
            path.display()
        ),
    )
    .unwrap();
    for address in [
        format!("{user}@Catalogs-Work:{}", path.display()),
        format!("ssh://{user}@Catalogs-Work{}", path.display()),
        rewritten.to_owned(),
    ] {
        _ = fs::remove_dir_all(lab.cache());
        let repo = Git::new(options.clone()).unwrap().repo(&url(&address));
        let got = repo.fetch(&[want(&commit, &["env"])]).await;
        let got = got.unwrap_or_else(|error| panic!("{address}: {error}"));
        assert_eq!(contents(&got[0], "env"), ["x=x"], "{address}");
    }
    // The message names the host as the user wrote it.
    let repo = Git::new(options)
        .unwrap()
        .repo(&url("me@Catalogs-Work.invalid:x"));
    let error = repo.fetch(&[want(&commit, &["env"])]).await.unwrap_err();
    assert!(
        error.to_string().starts_with("me@Catalogs-Work.invalid:x: "),
        "{error}"
    );
}
