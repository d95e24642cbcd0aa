//! What a run would use to reach a repo, and whether the repo answers.
//!
//! This is for people who look for the reason why it does not. Nothing here touches the cache, and no text holds a
//! secret.

use std::sync::Arc;

use compose_model::{Refs, RepoUrl, url::Scheme};
use reqwest::Url;

use crate::{
    credentials::{self, Keyring},
    error::{Error, SettingProblem},
    git::Git,
    repo::Repo,
    session::{self, Session},
    wire::{described, process::ssh_names::ssh_credentials},
};

/// What a run would use to reach a repo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approach {
    /// The address that is contacted, if git's configuration rewrites the repo's.
    pub rewritten: Option<RepoUrl>,
    /// The host with its port, if that is an unusual one; `None` for a repo on this machine's disk.
    pub host: Option<String>,
    /// Whether the host is reached by ssh.
    pub is_ssh: bool,
    /// The names of the credentials, in the order in which they are tried. Programs among them were not asked whether
    /// they have one for the host.
    pub credentials: Vec<String>,
    /// Whether credentials are withheld, because the connection is not encrypted.
    pub is_unprotected: bool,
    /// The name of the setting whose proxy is used.
    pub proxy: Option<&'static str>,
}

/// The answer of a repo to a request for its refs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The number of tags.
    pub tags: usize,
    /// The number of branches.
    pub branches: usize,
    /// The name of the credential that the host accepted; `None` if none was sent, and for ssh.
    pub credential: Option<String>,
}

/// A proxy that a setting names.
#[derive(Clone, Debug)]
pub struct ProxySetting {
    /// The variable, or the key of git's configuration.
    pub name: &'static str,
    /// The proxy's address without its login.
    pub address: Result<String, SettingProblem>,
}

/// The certificates by which servers are verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificates {
    /// Where they come from.
    pub origin: String,
    /// Their number.
    pub count: usize,
}

impl Git {
    /// Returns what would be used to reach a repo. Reads git's configuration and asks ssh for its own, but connects to
    /// nothing.
    ///
    /// # Errors
    ///
    /// If git's configuration rewrites the address to an invalid one, or to one that [`crate::Options::allow`] refuses.
    pub fn approach(&self, repo: &RepoUrl) -> Result<Approach, Error> {
        let run = &self.0.run;
        let (url, login) = session::route(run, repo)?;
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let mut approach = Approach {
            rewritten: self.rewritten(repo),
            host: url.host().map(|host| format!("{host}{port}")),
            is_ssh: url.scheme() == Scheme::Ssh,
            credentials: Vec::new(),
            is_unprotected: false,
            proxy: None,
        };
        match url.scheme() {
            Scheme::Http | Scheme::Https => {
                if let Ok(parsed) = Url::parse(url.as_str()) {
                    let keyring = Keyring::new(Arc::clone(run), Some((parsed.clone(), login)));
                    approach.is_unprotected = !credentials::may_carry(&parsed);
                    if !approach.is_unprotected {
                        approach.credentials = keyring.names(&parsed);
                    }
                    approach.proxy = described::proxy_setting(run, &parsed);
                }
            }
            Scheme::Ssh => approach.credentials = ssh_credentials(run, &url),
            Scheme::File => {}
        }
        Ok(approach)
    }

    /// Returns the proxies that settings name for all hosts.
    pub fn proxies(&self) -> Vec<ProxySetting> {
        let set = described::proxies(&self.0.run).into_iter();
        set.map(|(name, address)| ProxySetting { name, address })
            .collect()
    }

    /// Returns the variable with the hosts that are contacted without a proxy, and its value.
    pub fn no_proxy(&self) -> Option<(&'static str, String)> {
        described::exempt(&self.0.run).map(|(name, hosts)| (name, hosts.to_owned()))
    }

    /// Returns the certificates by which servers are verified, unless a setting is for certain hosts only.
    pub fn certificates(&self) -> Result<Certificates, SettingProblem> {
        let (origin, count) = described::certificates(&self.0.run)?;
        Ok(Certificates { origin, count })
    }
}

impl Repo {
    /// Asks the repo for its refs, whatever the cache holds, and records nothing. It is tried again as other requests are.
    pub async fn answer(&self) -> Result<Answer, Error> {
        let asked = self.step(|shared, _, runtime| {
            if shared.is_offline() {
                return Err(Error::Offline {
                    repo: shared.url.clone(),
                    missing: "the repo's answer".to_owned(),
                });
            }
            let mut session = Session::open(&shared.run, &shared.url, &shared.traffic, runtime, || ())?;
            let found = session.refs(&["refs/tags/".to_owned(), "refs/heads/".to_owned()])?;
            Ok(Refs::new(found))
        });
        let refs = asked.await;
        self.done("asked", refs.is_ok());
        let refs = refs?;
        Ok(Answer {
            tags: refs.tags().count(),
            branches: refs.branches().count(),
            credential: self.shared.run.accepted(&self.shared.url),
        })
    }
}
