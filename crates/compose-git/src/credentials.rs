//! Finds credentials, sends each only to the host it is for, and never shows them.
//!
//! They are tried in this order: `BITOPS_COMPOSE_TOKEN_<HOST>`; `GITHUB_TOKEN` for the host of
//! `GITHUB_SERVER_URL`; a login that `url.*.insteadOf` put into the address; an `Authorization`
//! header of `http.<address>.extraHeader`. The first of these is sent with the first request, which
//! saves the round trip of a 401. If the server still asks for credentials, git's credential
//! helpers follow, then `~/.netrc`. Helpers are only queried: credentials are neither stored in
//! them nor erased from them. Over plain `http://`, credentials are only sent to this machine.

use std::{
    collections::{HashMap, VecDeque},
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use compose_model::env;
use reqwest::{
    Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
};

use crate::{error::Access, options::Options, run::Run, sync::lock_unpoisoned};
use credential::TOKEN_LOGIN;
use netrc::netrc;

mod credential;
mod netrc;

pub(crate) use credential::Credential;

/// A helper that has not answered after this time is waiting for a person.
const HELPER_TIMEOUT: Duration = Duration::from_secs(15);
/// Headers that belong to the connection; HTTP/2 treats them as errors.
const HOP_BY_HOP_HEADERS: [&str; 8] = [
    "host",
    "connection",
    "content-length",
    "content-type",
    "keep-alive",
    "te",
    "transfer-encoding",
    "upgrade",
];
/// The credentials of one repo's connection, per host and port.
pub(crate) struct Keyring {
    run: Arc<Run>,
    /// The login in the address, after git's configuration rewrote it, with the host it is for.
    given: Option<(String, Credential)>,
    slots: Mutex<HashMap<String, HostCredentials>>,
}

#[derive(Clone)]
struct HostCredentials {
    current: Option<NamedCredential>,
    left: VecDeque<Candidate>,
}

/// A credential and its origin, in words that may be shown.
#[derive(Clone)]
struct NamedCredential {
    of: String,
    credential: Credential,
}

#[derive(Clone)]
enum Candidate {
    Known(NamedCredential),
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

    /// Returns the `Authorization` header for a request to `url`, if there is a credential for its
    /// host.
    pub(crate) fn authorization(&self, url: &Url) -> Option<HeaderValue> {
        lock_unpoisoned(&self.slots)
            .entry(authority(url))
            .or_insert_with(|| self.slot(url))
            .current
            .as_ref()
            .map(|current| current.credential.0.clone())
    }

    /// Returns the headers of `http.<address>.extraHeader` except `Authorization`, which is handled
    /// as a credential. The others may be secret as well.
    pub(crate) fn extra_headers(&self, url: &Url) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if !may_carry(url) {
            return headers;
        }
        for (name, value) in self.run.git_config().extra_headers(url) {
            let (Ok(name), Ok(mut value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value))
            else {
                tracing::debug!(name, "http.extraHeader of git's configuration is not a header");
                continue;
            };
            if name == AUTHORIZATION || HOP_BY_HOP_HEADERS.contains(&name.as_str()) {
                continue;
            }
            value.set_sensitive(true);
            headers.append(name, value);
        }
        headers
    }

    /// Returns whether a credential was sent to the host.
    pub(crate) fn has_credential(&self, url: &Url) -> bool {
        lock_unpoisoned(&self.slots)
            .get(&authority(url))
            .is_some_and(|slot| slot.current.is_some())
    }

    /// Describes the access that was tried, for error messages.
    pub(crate) fn access(&self, url: &Url) -> Access {
        let slots = lock_unpoisoned(&self.slots);
        let current = slots.get(&authority(url)).and_then(|slot| slot.current.as_ref());
        Access {
            sent: current.map(|current| current.of.clone()),
            is_github: is_github(&self.run.options, url),
            variable: env::token_variable(url.host_str().unwrap_or_default()),
        }
    }

    /// Switches to the next credential after the host refused the current one. Returns whether
    /// there is another one.
    pub(crate) async fn next(&self, run: &Run, url: &Url) -> bool {
        let authority = authority(url);
        loop {
            let candidate = lock_unpoisoned(&self.slots)
                .get_mut(&authority)
                .and_then(|slot| slot.left.pop_front());
            let found = match candidate {
                None => return false,
                Some(Candidate::Known(named)) => Some(named),
                Some(Candidate::Helpers) => {
                    let found = query_helpers(run, url).await;
                    found.map(|credential| named("the login from git's credential helper", credential))
                }
                Some(Candidate::Netrc) => {
                    netrc(&run.options, url).map(|credential| named("the login from ~/.netrc", credential))
                }
            };
            let Some(found) = found else { continue };
            let mut slots = lock_unpoisoned(&self.slots);
            if let Some(slot) = slots.get_mut(&authority).filter(|slot| {
                slot.current
                    .as_ref()
                    .is_none_or(|current| current.credential != found.credential)
            }) {
                slot.current = Some(found);
                return true;
            }
        }
    }

    fn slot(&self, url: &Url) -> HostCredentials {
        if !may_carry(url) {
            return HostCredentials {
                current: None,
                left: VecDeque::new(),
            };
        }
        let host = url.host_str().unwrap_or_default();
        let options = &self.run.options;
        let variable = |name: &str| {
            let value = options.utf8_variable(name)?.trim();
            (!value.is_empty()).then(|| named(name, Credential::of_variable(value)))
        };
        let token = env::token_variable(host).and_then(|name| variable(&name));
        let github = is_github(options, url)
            .then(|| variable(env::GITHUB_TOKEN))
            .flatten();
        let given = self
            .given
            .as_ref()
            .filter(|(of, _)| *of == authority(url))
            .map(|(_, given)| named("the login from git's url.*.insteadOf", given.clone()));
        let configured = self
            .run
            .git_config()
            .extra_headers(url)
            .into_iter()
            .rfind(|(name, _)| name == AUTHORIZATION.as_str())
            .and_then(|(_, value)| Credential::header(&value))
            .map(|credential| named("git's http.extraHeader", credential));
        let mut left: VecDeque<Candidate> = [token, github, given, configured]
            .into_iter()
            .flatten()
            .map(Candidate::Known)
            .collect();
        let current = match left.pop_front() {
            Some(Candidate::Known(named)) => Some(named),
            _ => None,
        };
        left.extend([Candidate::Helpers, Candidate::Netrc]);
        HostCredentials { current, left }
    }
}

fn named(of: &str, credential: Credential) -> NamedCredential {
    let of = of.to_owned();
    NamedCredential { of, credential }
}

fn authority(url: &Url) -> String {
    format!(
        "{}://{}:{}",
        url.scheme(),
        url.host_str().unwrap_or_default(),
        url.port_or_known_default().unwrap_or_default()
    )
}

/// Returns whether a credential may be sent to an address: by plain http everyone on the path could
/// read it, so only to this machine.
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
        .utf8_variable(env::GITHUB_SERVER_URL)
        .unwrap_or("https://github.com");
    Url::parse(server).is_ok_and(|server| authority(&server) == authority(url))
}

async fn query_helpers(run: &Run, url: &Url) -> Option<Credential> {
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
        let answer = tokio::time::timeout(HELPER_TIMEOUT, run_helper(run, helper, &question)).await;
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
    // A helper is the user's own program. It gets the user's environment, but no git repository, no
    // way to prompt, and none of our tokens.
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
    // A helper that needs no input may have exited already.
    _ = stdin.write_all(question.as_bytes()).await;
    drop(stdin);
    let mut answer = String::new();
    stdout.read_to_string(&mut answer).await.ok()?;
    child.wait().await.ok()?.success().then_some(answer)
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_STANDARD};

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn keyring(variables: &[(&str, &str)]) -> Keyring {
        let mut options = Options::new("unused");
        // Nothing of this machine's git.
        options
            .environment
            .insert("GIT_CONFIG_NOSYSTEM".into(), "1".into());
        for (name, value) in variables {
            options.environment.insert(name.into(), value.into());
        }
        Keyring::new(Arc::new(Run::new(options)), None)
    }

    #[test]
    fn a_token_is_sent_to_its_own_host_only() {
        let keyring = keyring(&[
            ("BITOPS_COMPOSE_TOKEN_GIT_EXAMPLE__CORP_COM", "t"),
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
    fn a_tokens_variable_name_stands_for_one_host_only() {
        let keyring = keyring(&[("BITOPS_COMPOSE_TOKEN_DEV_AZURE_COM", "t")]);
        let sent = |text: &str| keyring.authorization(&url(text)).is_some();
        assert!(
            sent("https://dev.azure.com/x") && sent("https://dev.azure.com:8443/x"),
            "any port"
        );
        for other in [
            "dev-azure.com",
            "dev-azure-com",
            "dev.azure-com",
            "dev_azure.com",
            "dev.azure.com.evil",
        ] {
            assert!(!sent(&format!("https://{other}/x")), "{other}");
        }
    }

    #[test]
    fn a_tokens_value_may_name_a_login_and_is_trimmed() {
        for (value, login) in [
            ("t", "x-access-token:t"),
            (" t\r\n", "x-access-token:t"),
            ("me:t\n", "me:t"),
            ("oauth2: t", "oauth2:t"),
            (":t", ":t"),
        ] {
            let keyring = keyring(&[("BITOPS_COMPOSE_TOKEN_HOST", value), ("GITHUB_TOKEN", " \n")]);
            let sent = keyring.authorization(&url("https://host/x")).unwrap();
            assert_eq!(
                sent,
                format!("Basic {}", BASE64_STANDARD.encode(login)),
                "{value:?}"
            );
            assert!(keyring.authorization(&url("https://github.com/x")).is_none());
        }
    }

    #[test]
    fn github_token_goes_to_the_host_of_github_server_url() {
        let keyring = keyring(&[("GITHUB_TOKEN", "g"), ("GITHUB_SERVER_URL", "https://ghe.corp")]);
        assert!(keyring.authorization(&url("https://ghe.corp/x")).is_some());
        assert!(keyring.authorization(&url("https://github.com/x")).is_none());
    }

    #[test]
    fn plain_http_sends_credentials_to_this_machine_only() {
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
    fn a_secret_is_never_shown() {
        let credential = Credential::token("s3cret");
        let shown = format!(
            "{credential:?} {:?} {:?}",
            credential.0,
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
