//! How `ssh` is called, and how its messages become errors.

use std::os::unix::fs::PermissionsExt as _;

use compose_git::{Error, Options};
use compose_model::{Cause, ExitCode};

use super::{fetch, lab};
use crate::support::{Lab, prepend_path};

/// Installs a replacement for `ssh` that records its arguments and environment and then runs
/// `script`.
fn fake_ssh(lab: &Lab, script: &str) -> Options {
    let bin = lab.dir.path().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let called = lab.dir.path().join("called");
    std::fs::write(
        bin.join("ssh"),
        format!(
            "#!/bin/sh\necho \"$@\" > {0}\nenv >> {0}\n{script}\n",
            called.display()
        ),
    )
    .unwrap();
    std::fs::set_permissions(bin.join("ssh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut options = lab.options();
    prepend_path(&mut options, &bin);
    options
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_gets_only_the_variables_that_it_needs() {
    let (lab, commit) = lab();
    let mut options = fake_ssh(&lab, "for last; do :; done\nexec sh -c \"$last\"");
    for name in [
        "AWS_SECRET_ACCESS_KEY",
        "GITHUB_TOKEN",
        "BITOPS_COMPOSE_TOKEN_HOST",
        "GIT_DIR",
    ] {
        options.environment.insert(name.into(), "s3cret".into());
    }
    options
        .environment
        .insert("SSH_AUTH_SOCK".into(), "/agent".into());
    let address = format!("ssh://git@host:2222{}/repo", lab.dir.path().join("srv").display());
    assert_eq!(fetch(&options, &address, &commit).await.unwrap(), ["x=x"]);
    let called = std::fs::read_to_string(lab.dir.path().join("called")).unwrap();
    assert!(called.starts_with("-o BatchMode=yes -o ConnectTimeout=10 -o SendEnv=GIT_PROTOCOL -T -p 2222 -- git@host git-upload-pack '/"), "{called}");
    assert!(
        !called.contains("s3cret")
            && called.contains("SSH_AUTH_SOCK=/agent")
            && called.contains("GIT_PROTOCOL=version=2"),
        "{called}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_ssh_become_errors_with_its_message() {
    let (lab, commit) = lab();
    let address = "git@host:repo";
    for (said, code, waits) in [
        ("Host key verification failed.", ExitCode::Unreachable, 0),
        ("git@host: Permission denied (publickey).", ExitCode::Refused, 0),
        ("ERROR: Repository not found.", ExitCode::Unreachable, 0),
        (
            "ssh: connect to host host port 22: Connection refused",
            ExitCode::Unreachable,
            3,
        ),
    ] {
        lab.waits.0.lock().unwrap().clear();
        let options = fake_ssh(
            &lab,
            &format!("echo '{said}' >&2; printf '\\033[2J' >&2; exit 255"),
        );
        let error = fetch(&options, address, &commit).await.unwrap_err();
        assert_eq!(
            (error.exit_code(), lab.waits.0.lock().unwrap().len()),
            (code, waits),
            "{error:?}"
        );
        assert!(
            error.to_string().contains(said) && !error.to_string().contains('\u{1b}'),
            "{error}"
        );
    }
    // A process that never answers is ended by the deadline and does not stay behind.
    let mut options = fake_ssh(
        &lab,
        &format!(
            "echo $$ > {}; exec sleep 1000",
            lab.dir.path().join("pid").display()
        ),
    );
    options.timeout = std::time::Duration::from_millis(700);
    let error = fetch(&options, address, &commit).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error:?}");
    let pid = std::fs::read_to_string(lab.dir.path().join("pid")).unwrap();
    let process = std::path::PathBuf::from(format!("/proc/{}", pid.trim()));
    let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while process.join("exe").exists() {
        assert!(std::time::Instant::now() < until, "ssh is still running");
        tokio::task::yield_now().await;
    }
}
