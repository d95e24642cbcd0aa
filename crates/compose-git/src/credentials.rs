//! Credentials: found, kept for the host they are for, and never shown.
//!
//! In this order: `BITOPS_COMPOSE_TOKEN_<HOST>`; `GITHUB_TOKEN` for the host of `GITHUB_SERVER_URL`; a login that
//! `url.*.insteadOf` put into the address. These are sent at once, which saves the round trip of a 401. When the server asks
//! nevertheless: git's credential helpers, then `~/.netrc`. Helpers are only asked: what they hold is neither stored
//! nor erased by us. Over plain `http://` a credential goes to this machine only.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use compose_model::env;
use reqwest::{Url, header::HeaderValue};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
};

use crate::{git::Run, options::Options, wire::lock};

/// A helper that says nothing for so long waits for a person.
const HELPER_PATIENCE: Duration = Duration::from_secs(15);
/// What GitHub takes beside a token; GitLab, Gitea and Bitbucket take anything.
const TOKEN_LOGIN: &str = "x-access-token";

/// A login. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credential {
    login: String,
    secret: String,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

impl Credential {
    pub(crate) fn new(login: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            login: login.into(),
            secret: secret.into(),
        }
    }

    fn token(secret: &str) -> Self {
        Self::new(TOKEN_LOGIN, secret)
    }

    fn header(&self) -> Option<HeaderValue> {
        let text = format!(
            "Basic {}",
            BASE64_STANDARD.encode(format!("{}:{}", self.login, self.secret))
        );
        let mut header = HeaderValue::from_str(&text).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

/// The variable that holds a host's token: `git.example-corp.com` → `BITOPS_COMPOSE_TOKEN_GIT_EXAMPLE_CORP_COM`.
pub(crate) fn token_variable(host: &str) -> String {
    let host: String = host
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect();
    format!("{}{host}", env::TOKEN_PREFIX)
}

/// The credentials of one repo's connection, per host and port.
pub(crate) struct Keyring {
    run: Arc<Run>,
    /// From the address itself, as git's configuration rewrote it.
    given: Option<(String, Credential)>,
    slots: Mutex<HashMap<String, Slot>>,
}

#[derive(Clone)]
struct Slot {
    current: Option<Credential>,
    left: VecDeque<Candidate>,
}

#[derive(Clone)]
enum Candidate {
    Known(Credential),
    Helpers,
    Netrc,
}

impl Keyring {
    pub(crate) fn new(run: Arc<Run>, given: Option<(Url, Credential)>) -> Self {
        Self {
            run,
            given: given.map(|(url, credential)| (authority(&url), credential)),
            slots: Mutex::default(),
        }
    }

    /// The header for a request to `url`, if there is a credential for its host.
    pub(crate) fn authorization(&self, url: &Url) -> Option<HeaderValue> {
        lock(&self.slots)
            .entry(authority(url))
            .or_insert_with(|| self.slot(url))
            .current
            .as_ref()?
            .header()
    }

    /// Was one sent?
    pub(crate) fn has_credential(&self, url: &Url) -> bool {
        lock(&self.slots)
            .get(&authority(url))
            .is_some_and(|slot| slot.current.is_some())
    }

    /// The host refused what it was sent: is there another credential to try?
    pub(crate) async fn next(&self, run: &Run, url: &Url) -> bool {
        let authority = authority(url);
        loop {
            let candidate = lock(&self.slots)
                .get_mut(&authority)
                .and_then(|slot| slot.left.pop_front());
            let found = match candidate {
                None => return false,
                Some(Candidate::Known(credential)) => Some(credential),
                Some(Candidate::Helpers) => ask_helpers(run, url).await,
                Some(Candidate::Netrc) => netrc(&run.options, url),
            };
            let Some(found) = found else { continue };
            let mut slots = lock(&self.slots);
            if let Some(slot) = slots
                .get_mut(&authority)
                .filter(|slot| slot.current.as_ref() != Some(&found))
            {
                slot.current = Some(found);
                return true;
            }
        }
    }

    fn slot(&self, url: &Url) -> Slot {
        if !may_carry(url) {
            return Slot {
                current: None,
                left: VecDeque::new(),
            };
        }
        let host = url.host_str().unwrap_or_default();
        let options = &self.run.options;
        let token = options.text(&token_variable(host)).map(Credential::token);
        let github = options
            .text(env::GITHUB_TOKEN)
            .filter(|_| is_github(options, url))
            .map(Credential::token);
        let given = self
            .given
            .as_ref()
            .filter(|(of, _)| *of == authority(url))
            .map(|(_, given)| given.clone());
        let mut left: VecDeque<Candidate> = [token, github, given]
            .into_iter()
            .flatten()
            .map(Candidate::Known)
            .collect();
        let current = match left.pop_front() {
            Some(Candidate::Known(credential)) => Some(credential),
            _ => None,
        };
        left.extend([Candidate::Helpers, Candidate::Netrc]);
        Slot { current, left }
    }
}

fn authority(url: &Url) -> String {
    format!(
        "{}://{}:{}",
        url.scheme(),
        url.host_str().unwrap_or_default(),
        url.port_or_known_default().unwrap_or_default()
    )
}

/// Plain http shows a credential to everyone on the way, unless there is no way.
pub(crate) fn may_carry(url: &Url) -> bool {
    let host = url
        .host_str()
        .unwrap_or_default()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let loopback = host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    url.scheme() == "https" || loopback
}

fn is_github(options: &Options, url: &Url) -> bool {
    let server = options
        .text(env::GITHUB_SERVER_URL)
        .unwrap_or("https://github.com");
    Url::parse(server).is_ok_and(|server| authority(&server) == authority(url))
}

async fn ask_helpers(run: &Run, url: &Url) -> Option<Credential> {
    let config = run.git_config().credential(url);
    let mut question = format!("protocol={}\nhost={}", url.scheme(), url.host_str()?);
    if let Some(port) = url.port() {
        question.push_str(&format!(":{port}"));
    }
    if config.use_path {
        let path = url.path().trim_start_matches('/').trim_end_matches("/info/refs");
        question.push_str(&format!("\npath={path}"));
    }
    if let Some(name) = &config.username {
        question.push_str(&format!("\nusername={name}"));
    }
    question.push_str("\n\n");
    for helper in &config.helpers {
        let answer = tokio::time::timeout(HELPER_PATIENCE, ask(run, helper, &question)).await;
        match answer {
            Ok(Some(answer)) => {
                let field = |name: &str| {
                    answer
                        .lines()
                        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
                };
                if let Some(secret) = field("password") {
                    let login = field("username")
                        .or(config.username.as_deref())
                        .unwrap_or(TOKEN_LOGIN);
                    return Some(Credential::new(login, secret));
                }
                if matches!(field("quit"), Some("1" | "true")) {
                    return None;
                }
            }
            Ok(None) => tracing::debug!("a git credential helper had no answer"),
            Err(_) => tracing::warn!("a git credential helper did not answer in time"),
        }
    }
    None
}

async fn ask(run: &Run, helper: &str, question: &str) -> Option<String> {
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
    // A helper is the user's own program: it gets their environment, but no repository, no way to ask, and none of our tokens.
    command.envs(run.options.environment.iter().filter(|(name, _)| {
        let name = name.to_string_lossy();
        !name.starts_with("GIT_") && !name.starts_with(env::TOKEN_PREFIX)
    }));
    command
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ASKPASS", "true")
        .env("SSH_ASKPASS", "true")
        .env("GCM_INTERACTIVE", "never");
    for name in ["GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"] {
        if let Some(value) = run.options.variable(name) {
            command.env(name, value);
        }
    }
    let mut child = command.spawn().ok()?;
    let mut stdin = child.stdin.take()?;
    let mut stdout = child.stdout.take()?;
    // One that needs no question may be gone already.
    _ = stdin.write_all(question.as_bytes()).await;
    drop(stdin);
    let mut answer = String::new();
    stdout.read_to_string(&mut answer).await.ok()?;
    child.wait().await.ok()?.success().then_some(answer)
}

/// `~/.netrc`, the entry of the host, else `default`.
fn netrc(options: &Options, url: &Url) -> Option<Credential> {
    let path = PathBuf::from(options.variable("HOME")?).join(".netrc");
    from_netrc(&std::fs::read_to_string(path).ok()?, url.host_str()?)
}

fn from_netrc(text: &str, host: &str) -> Option<Credential> {
    let mut words = words_of(text).into_iter();
    let mut default = None;
    let mut entry: Option<(bool, Option<String>, Option<String>)> = None;
    let mut found = None;
    let mut close = |entry: Option<(bool, Option<String>, Option<String>)>| {
        if let Some((of_host, login, Some(secret))) = entry {
            let slot = if of_host { &mut found } else { &mut default };
            slot.get_or_insert(Credential::new(login.unwrap_or_default(), secret));
        }
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "machine" => {
                close(entry.take());
                // Another host's entry is read over.
                entry = words
                    .next()
                    .is_some_and(|name| name == host)
                    .then_some((true, None, None));
            }
            "default" => close(entry.replace((false, None, None))),
            "login" => {
                let value = words.next();
                if let Some(entry) = &mut entry {
                    entry.1 = value;
                }
            }
            "password" => {
                let value = words.next();
                if let Some(entry) = &mut entry {
                    entry.2 = value;
                }
            }
            _ => {}
        }
    }
    close(entry);
    found.or(default)
}

/// Words, `"quoted ones"`, without comments and macros.
fn words_of(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with("macdef") {
            // A macro ends at an empty line.
            lines.by_ref().find(|line| line.trim().is_empty());
            continue;
        }
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                c if c.is_whitespace() => {}
                '#' => break,
                '"' => {
                    let mut word = String::new();
                    while let Some(c) = chars.next() {
                        match c {
                            '"' => break,
                            '\\' => word.extend(chars.next()),
                            c => word.push(c),
                        }
                    }
                    words.push(word);
                }
                c => {
                    let mut word = String::from(c);
                    while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
                        word.push(c);
                    }
                    words.push(word);
                }
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn keyring(variables: &[(&str, &str)]) -> Keyring {
        let mut options = Options::new("/nowhere");
        for (name, value) in variables {
            options.environment.insert(name.into(), value.into());
        }
        Keyring::new(Arc::new(Run::new(options)), None)
    }

    #[test]
    fn a_token_goes_to_its_host_only() {
        let keyring = keyring(&[
            ("BITOPS_COMPOSE_TOKEN_GIT_EXAMPLE_CORP_COM", "t"),
            ("GITHUB_TOKEN", "g"),
        ]);
        let sent = |text: &str| keyring.authorization(&url(text)).is_some();
        assert!(sent("https://git.example-corp.com/x") && sent("https://github.com/x"));
        assert!(
            !sent("https://git.example.com/x")
                && !sent("https://api.github.com/x")
                && !sent("https://github.com:8443/x")
        );
        assert!(!sent("http://git.example-corp.com/x"), "not over plain http");
    }

    #[test]
    fn github_is_where_github_says_it_is() {
        let keyring = keyring(&[("GITHUB_TOKEN", "g"), ("GITHUB_SERVER_URL", "https://ghe.corp")]);
        assert!(keyring.authorization(&url("https://ghe.corp/x")).is_some());
        assert!(keyring.authorization(&url("https://github.com/x")).is_none());
    }

    #[test]
    fn plain_http_carries_credentials_on_this_machine_only() {
        for (text, may) in [
            ("http://127.0.0.1:80/x", true),
            ("http://[::1]/x", true),
            ("http://localhost/x", true),
            ("http://localhost.evil/x", false),
            ("http://127.0.0.1.evil/x", false),
            ("http://10.0.0.1/x", false),
            ("https://10.0.0.1/x", true),
        ] {
            assert_eq!(may_carry(&url(text)), may, "{text}");
        }
    }

    #[test]
    fn netrc_is_read_as_curl_reads_it() {
        let text = "# mine\nmachine a login me password one\nmacdef init\n machine b password no\n\n\
                    machine b\n  login you\n  password \"two \\\"words\"\ndefault login any password rest";
        let of = |host: &str| from_netrc(text, host).map(|found| (found.login, found.secret));
        let pair = |login: &str, secret: &str| Some((login.to_owned(), secret.to_owned()));
        assert_eq!(of("a"), pair("me", "one"));
        assert_eq!(of("b"), pair("you", "two \"words"));
        assert_eq!(of("c"), pair("any", "rest"));
        assert_eq!(from_netrc("machine a login x password y", "b"), None);
    }

    #[test]
    fn a_secret_is_never_shown() {
        let credential = Credential::token("s3cret");
        let header = credential.header().unwrap();
        let shown = format!(
            "{credential:?} {header:?} {:?}",
            Options {
                cache_dir: "/c".into(),
                ..Options::new("/c")
            }
        );
        assert!(
            !shown.contains("s3cret") && !shown.contains(&BASE64_STANDARD.encode("x-access-token:s3cret")),
            "{shown}"
        );
    }
}
