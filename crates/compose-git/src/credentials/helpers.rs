//! Asks git's credential helpers and its askpass program, as git does.

use std::{
    ffi::{OsStr, OsString},
    process::Stdio,
    time::Duration,
};

use compose_model::env;
use percent_encoding::percent_decode_str;
use reqwest::Url;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
};

use super::credential::{Credential, TOKEN_LOGIN};
use crate::{options::Options, run::Run};

/// A program that has not answered after this time is waiting for a person.
const HELPER_TIMEOUT: Duration = Duration::from_secs(15);

/// The variables that tie git to one repository (`git rev-parse --local-env-vars`), except those of
/// configuration: `GIT_CONFIG_COUNT` and the like are the user's settings, which helpers need.
const OF_ONE_REPOSITORY: [&str; 14] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_OBJECT_DIRECTORY",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
];

/// Returns the environment for the user's own programs (credential helpers, askpass,
/// `GIT_SSH_COMMAND`): the user's, without git's variables of one repository and without our
/// tokens.
pub(crate) fn environment(options: &Options) -> impl Iterator<Item = (&OsString, &OsString)> {
    options.environment.iter().filter(|(name, _)| {
        let name = name.to_string_lossy();
        !OF_ONE_REPOSITORY.contains(&name.as_ref()) && !name.starts_with(env::TOKEN_PREFIX)
    })
}

/// Asks git's credential helpers in their order.
pub(super) async fn query(run: &Run, url: &Url, user: Option<&str>) -> Option<Credential> {
    let config = run.git_config().credential(url, user);
    let mut question = format!("protocol={}\nhost={}", url.scheme(), url.host_str()?);
    if let Some(port) = url.port() {
        question.push_str(&format!(":{port}"));
    }
    if config.use_path {
        let path = url.path().trim_matches('/').trim_end_matches("/info/refs");
        // A decoded line end would start another line of the question.
        let path = percent_decode_str(path)
            .decode_utf8_lossy()
            .replace(['\n', '\0'], "");
        question.push_str(&format!("\npath={path}"));
    }
    let user = user.or(config.username.as_deref());
    if let Some(name) = user {
        question.push_str(&format!("\nusername={name}"));
    }
    question.push_str("\n\n");
    for helper in &config.helpers {
        let answer = tokio::time::timeout(HELPER_TIMEOUT, run_helper(run, helper, &question)).await;
        match answer {
            Ok(Some(answer)) => {
                let field = |name: &str| {
                    answer
                        .lines()
                        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
                };
                if let Some(secret) = field("password") {
                    let login = field("username").or(user).unwrap_or(TOKEN_LOGIN);
                    return Some(Credential::new(login, secret));
                }
                if matches!(field("quit"), Some("1" | "true")) {
                    return None;
                }
            }
            Ok(None) => tracing::debug!("a git credential helper had no login"),
            Err(_) => tracing::warn!("a git credential helper did not answer in time"),
        }
    }
    None
}

async fn run_helper(run: &Run, helper: &str, question: &str) -> Option<String> {
    let program = gix::credentials::Program::from_custom_definition(helper)
        .ok()?
        .suppress_stderr();
    let action = gix::credentials::helper::Action::Get(gix::credentials::protocol::Context::default());
    let mut command = Command::from(program.to_command(&action).ok()?);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .env_clear();
    // A helper never prompts.
    command
        .envs(environment(&run.options))
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ASKPASS", "true")
        .env("SSH_ASKPASS", "true")
        .env("GCM_INTERACTIVE", "never");
    let mut child = command.spawn().ok()?;
    let mut stdin = child.stdin.take()?;
    let mut stdout = child.stdout.take()?;
    // A helper that needs no input may have exited already.
    _ = stdin.write_all(question.as_bytes()).await;
    drop(stdin);
    let mut answer = String::new();
    stdout.read_to_string(&mut answer).await.ok()?;
    child.wait().await.ok()?.success().then_some(answer)
}

/// Asks `GIT_ASKPASS`, or else `core.askPass`, for a user name and a password.
pub(super) async fn ask(run: &Run, url: &Url, user: Option<&str>) -> Option<Credential> {
    let configured = run.git_config().askpass();
    let program = run
        .options
        .variable("GIT_ASKPASS")
        .or_else(|| configured.map(OsStr::new))?;
    let place = |user: Option<&str>| {
        let user = user.map(|user| format!("{user}@")).unwrap_or_default();
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Some(format!("{}://{user}{}{port}", url.scheme(), url.host_str()?))
    };
    let answered = async {
        let config = run.git_config().credential(url, user);
        let user = match user.map(str::to_owned).or(config.username) {
            Some(user) => user,
            None => ask_one(run, program, &format!("Username for '{}': ", place(None)?)).await?,
        };
        let secret = ask_one(run, program, &format!("Password for '{}': ", place(Some(&user))?)).await?;
        Some(Credential::new(user, secret))
    };
    match tokio::time::timeout(HELPER_TIMEOUT, answered).await {
        Ok(found) => found,
        Err(_) => {
            tracing::warn!("git's askpass program did not answer in time");
            None
        }
    }
}

async fn ask_one(run: &Run, program: &OsStr, question: &str) -> Option<String> {
    let answer = Command::new(program)
        .arg(question)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .env_clear()
        .envs(environment(&run.options))
        .output()
        .await
        .ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    let line = text.lines().next().unwrap_or_default();
    (answer.status.success() && !line.is_empty()).then(|| line.to_owned())
}
