//! Finds credentials, sends each only to the host it is for, and never shows them.
//!
//! They are tried in this order: `BITOPS_COMPOSE_TOKEN_<HOST>`; `GITHUB_TOKEN` for the host of
//! `GITHUB_SERVER_URL`, `CI_JOB_TOKEN` for that of `CI_SERVER_URL`; a login that `url.*.insteadOf`
//! put into the address; an `Authorization` header of `http.<address>.extraHeader`. The first of
//! these is sent with the first request, which saves the round trip of a 401. If the server refuses
//! it or still asks for credentials, the others follow, then git's credential helpers, `~/.netrc`
//! and git's askpass program; in the end no credential at all, because a stale token must not shut
//! out a public repo. Helpers are only queried: credentials are neither stored in them nor erased
//! from them. Over plain `http://`, credentials are only sent to this machine.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use compose_model::env;
use reqwest::{
    Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
};

use crate::{
    error::{Access, token_of},
    options::Options,
    run::Run,
    sync::lock_unpoisoned,
};
use netrc::netrc;

mod credential;
mod helpers;
mod names;
mod netrc;

pub(crate) use credential::Credential;
pub(crate) use helpers::environment as programs_environment;

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
/// The login that GitLab expects with the token of a job.
const JOB_LOGIN: &str = "gitlab-ci-token";

/// What a repo's address says of the login.
#[derive(Clone, Default)]
pub(crate) struct AddressLogin {
    /// A user name, which belongs to the credential for its host.
    pub(crate) user: Option<String>,
    /// A whole credential, which only git's own configuration can put into an address.
    pub(crate) credential: Option<Credential>,
}

/// The credentials of one repo's connection, per host and port.
pub(crate) struct Keyring {
    run: Arc<Run>,
    /// The address, after git's configuration rewrote it, and the login in it.
    address: Option<(Url, AddressLogin)>,
    slots: Mutex<HashMap<String, HostCredentials>>,
}

#[derive(Clone, Default)]
struct HostCredentials {
    current: Option<NamedCredential>,
    /// All credentials that were sent, the current one included.
    sent: Vec<NamedCredential>,
    /// Whether a request without a credential was sent.
    sent_none: bool,
    left: VecDeque<Candidate>,
}

impl HostCredentials {
    /// Takes a credential as the current one. Returns `false` if it was sent before.
    fn take(&mut self, found: NamedCredential) -> bool {
        if self.sent.iter().any(|sent| sent.credential == found.credential) {
            return false;
        }
        self.sent.push(found.clone());
        self.current = Some(found);
        true
    }
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
    Askpass,
    /// No credential.
    Nothing,
}

impl Keyring {
    pub(crate) fn new(run: Arc<Run>, address: Option<(Url, AddressLogin)>) -> Self {
        Self {
            run,
            address,
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

    /// Returns whether the last request to the host carried a credential.
    pub(crate) fn has_credential(&self, url: &Url) -> bool {
        lock_unpoisoned(&self.slots)
            .get(&authority(url))
            .is_some_and(|slot| slot.current.is_some())
    }

    /// Describes the access that was tried, for error messages.
    pub(crate) fn access(&self, url: &Url) -> Access {
        let slots = lock_unpoisoned(&self.slots);
        let sent = slots.get(&authority(url)).map(|slot| &slot.sent);
        Access {
            sent: sent.into_iter().flatten().map(|sent| sent.of.clone()).collect(),
            is_github: is_github(&self.run.options, url),
            variable: env::token_variable(url.host_str().unwrap_or_default()),
        }
    }

    /// Warns once per run of credentials that the host refused although the repo can be read
    /// without them.
    pub(crate) fn report_refused(&self, url: &Url) {
        let slots = lock_unpoisoned(&self.slots);
        let Some(slot) = slots.get(&authority(url)) else {
            return;
        };
        let current = slot.current.as_ref().map(|current| &current.credential);
        let host = url.host_str().unwrap_or_default();
        for refused in slot.sent.iter().filter(|sent| Some(&sent.credential) != current) {
            let of = &refused.of;
            if self.run.is_first(format!("{of} at {}", authority(url))) {
                let used = slot
                    .current
                    .as_ref()
                    .map_or("no credential", |current| &current.of);
                tracing::warn!("{host} refused {of}; {used} was used instead");
            }
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
            let user = self.user(url);
            let found = match candidate {
                None => return false,
                Some(Candidate::Known(named)) => Some(named),
                Some(Candidate::Helpers) => helpers::query(run, url, user.as_deref())
                    .await
                    .map(|credential| named("the login from git's credential helper", credential)),
                Some(Candidate::Netrc) => netrc(&run.options, url, user.as_deref())
                    .map(|credential| named("the login from ~/.netrc", credential)),
                Some(Candidate::Askpass) => helpers::ask(run, url, user.as_deref())
                    .await
                    .map(|credential| named("the login from git's askpass program", credential)),
                Some(Candidate::Nothing) => {
                    let mut slots = lock_unpoisoned(&self.slots);
                    let Some(slot) = slots.get_mut(&authority).filter(|slot| !slot.sent_none) else {
                        return false;
                    };
                    slot.sent_none = true;
                    slot.current = None;
                    return true;
                }
            };
            let mut slots = lock_unpoisoned(&self.slots);
            let slot = slots.entry(authority.clone()).or_default();
            if found.is_some_and(|found| slot.take(found)) {
                return true;
            }
        }
    }

    /// Returns the user name in the repo's address, if `url` is on the same host.
    fn user(&self, url: &Url) -> Option<String> {
        let (address, login) = self.address.as_ref()?;
        login
            .user
            .clone()
            .filter(|_| authority(address) == authority(url))
    }

    fn slot(&self, url: &Url) -> HostCredentials {
        let mut slot = HostCredentials::default();
        if !may_carry(url) {
            slot.sent_none = true;
            return slot;
        }
        let host = url.host_str().unwrap_or_default();
        let options = &self.run.options;
        let config = self.run.git_config();
        let value = |name: &str| {
            let value = options.utf8_variable(name)?.trim();
            (!value.is_empty()).then(|| value.to_owned())
        };
        let token = env::token_variable(host).and_then(|name| {
            let user = self.user(url).or_else(|| config.credential(url, None).username);
            let credential = Credential::of_variable(&value(&name)?, user.as_deref());
            Some(named(&token_of(&name), credential))
        });
        let github = value(env::GITHUB_TOKEN)
            .filter(|_| is_github(options, url))
            .map(|value| {
                named(
                    &token_of(env::GITHUB_TOKEN),
                    Credential::of_variable(&value, None),
                )
            });
        let gitlab = value(env::CI_JOB_TOKEN)
            .filter(|_| is_jobs_gitlab(options, url))
            .map(|value| named(&token_of(env::CI_JOB_TOKEN), Credential::new(JOB_LOGIN, value)));
        let given = self
            .address
            .as_ref()
            .filter(|(address, _)| authority(address) == authority(url))
            .and_then(|(_, login)| login.credential.clone())
            .map(|given| named("the login from git's url.*.insteadOf", given));
        let configured = config
            .extra_headers(url)
            .into_iter()
            .rfind(|(name, _)| name == AUTHORIZATION.as_str())
            .and_then(|(_, value)| Credential::header(&value))
            .map(|credential| named("git's http.extraHeader", credential));
        slot.left = [token, github, gitlab, given, configured]
            .into_iter()
            .flatten()
            .map(Candidate::Known)
            .collect();
        match slot.left.pop_front() {
            Some(Candidate::Known(first)) => _ = slot.take(first),
            _ => slot.sent_none = true,
        }
        slot.left.extend([
            Candidate::Helpers,
            Candidate::Netrc,
            Candidate::Askpass,
            Candidate::Nothing,
        ]);
        slot
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
    url.scheme() == "https" || url.host_str().is_some_and(compose_model::is_loopback)
}

fn is_github(options: &Options, url: &Url) -> bool {
    let server = options
        .utf8_variable(env::GITHUB_SERVER_URL)
        .unwrap_or("https://github.com");
    Url::parse(server).is_ok_and(|server| authority(&server) == authority(url))
}

/// Returns whether the URL is on the GitLab server whose job this is.
fn is_jobs_gitlab(options: &Options, url: &Url) -> bool {
    let server = options.utf8_variable(env::CI_SERVER_URL).map(str::to_owned);
    let server = server.or_else(|| Some(format!("https://{}", options.utf8_variable(env::CI_SERVER_HOST)?)));
    server
        .and_then(|server| Url::parse(server.trim()).ok())
        .is_some_and(|server| authority(&server) == authority(url))
}

#[cfg(fuzzing)]
pub(crate) fn look_into_netrc(text: &str) {
    let _ = netrc::from_netrc(text, "host", Some("user"));
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
    fn the_token_of_a_gitlab_job_goes_to_its_server_only() {
        let login = Some(format!("Basic {}", BASE64_STANDARD.encode("gitlab-ci-token:j")));
        for variable in [
            ("CI_SERVER_URL", "https://gitlab.corp"),
            ("CI_SERVER_HOST", "gitlab.corp"),
        ] {
            let keyring = keyring(&[("CI_JOB_TOKEN", "j\n"), variable]);
            let sent = |text: &str| {
                let value = keyring.authorization(&url(text))?;
                Some(value.to_str().unwrap().to_owned())
            };
            assert_eq!(sent("https://gitlab.corp/x"), login, "{variable:?}");
            for other in [
                "https://gitlab.com/x",
                "https://gitlab.corp:8443/x",
                "https://x.gitlab.corp/x",
            ] {
                assert_eq!(sent(other), None, "{variable:?} {other}");
            }
        }
        assert!(
            keyring(&[("CI_JOB_TOKEN", "j")])
                .authorization(&url("https://gitlab.com/x"))
                .is_none()
        );
    }

    #[test]
    fn the_user_of_an_address_is_the_login_of_its_hosts_token() {
        let address = url("https://dev.azure.com/org/_git/x");
        let sent = |value: &str| {
            let mut keyring = keyring(&[("BITOPS_COMPOSE_TOKEN_DEV_AZURE_COM", value)]);
            let login = AddressLogin {
                user: Some("org".to_owned()),
                credential: None,
            };
            keyring.address = Some((address.clone(), login));
            keyring.authorization(&address).unwrap()
        };
        let basic = |login: &str| format!("Basic {}", BASE64_STANDARD.encode(login));
        assert_eq!(sent("t"), basic("org:t"));
        assert_eq!(sent("me:t"), basic("me:t"));
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
        let credential = Credential::of_variable("s3cret", None);
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
