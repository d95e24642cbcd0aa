//! The HTTP clients. There is one for each combination of TLS, proxy and certificates, made on
//! first use. Nearly every run has one, so that all repos of a host share its connections.

use std::{collections::HashMap, sync::Mutex};

use reqwest::{Client, Proxy, Url, redirect};
use rustls::RootCertStore;

use crate::{
    error::{Error, FailedAt, SettingProblem},
    gitconfig::GitConfig,
    options::Options,
    sync::lock_unpoisoned,
    wire::{
        no_proxy::is_exempt,
        reuse::{Connections, PreferFree},
        tls::{self, TlsSettings},
    },
};

/// The clients, or the reason why one could not be made.
#[derive(Default)]
pub(crate) struct HttpClients {
    clients: Mutex<HashMap<ClientKey, Result<Client, SettingProblem>>>,
    pub(super) connections: Connections,
}

/// The settings that a client is made for.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct ClientKey {
    /// The client's certificates, if it needs any: to load them takes milliseconds.
    tls: Option<TlsSettings>,
    /// The proxy from git's configuration; an empty one means no proxy. May hold a login.
    proxy: Option<String>,
}

impl HttpClients {
    /// Returns the client for an address.
    pub(crate) fn client(
        &self,
        options: &Options,
        config: &GitConfig,
        at: FailedAt,
        url: &Url,
    ) -> Result<Client, Error> {
        let proxy = configured_proxy(options, config, url);
        let through_proxy = match &proxy {
            Some(address) => !address.is_empty(),
            None => has_proxy(options),
        };
        let way = if url.scheme() == "https" || through_proxy {
            ClientKey {
                tls: Some(TlsSettings::of(options, config, url)),
                proxy,
            }
        } else {
            ClientKey { tls: None, proxy }
        };
        let mut clients = lock_unpoisoned(&self.clients);
        let made = clients.entry(way.clone()).or_insert_with(|| build(options, &way));
        made.clone().map_err(|source| Error::Setting {
            repo: at.repo,
            source,
        })
    }

    /// Returns whether any client was made. A run that finds everything in the cache makes none.
    pub(crate) fn is_used(&self) -> bool {
        !lock_unpoisoned(&self.clients).is_empty()
    }
}

/// Both spellings, in curl's order. (curl reads `http_proxy` in lower case only, to protect CGI
/// programs.)
const HTTPS_PROXY: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
const HTTP_PROXY: [&str; 4] = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
const NO_PROXY: [&str; 2] = ["no_proxy", "NO_PROXY"];
const SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

/// The name of git's setting in messages.
const CONFIGURED: &str = "http.proxy of git's configuration";

/// Returns the proxy of an address that does not come from the variables; an empty one means no proxy.
fn configured_proxy(options: &Options, config: &GitConfig, url: &Url) -> Option<String> {
    match exempt(options) {
        Some((_, hosts)) if is_exempt(hosts, url) => Some(String::new()),
        _ => config.proxy(url),
    }
}

/// Returns the name of the setting whose proxy an address is contacted through.
pub(super) fn proxy_setting(options: &Options, config: &GitConfig, url: &Url) -> Option<&'static str> {
    match configured_proxy(options, config, url) {
        Some(address) => (!address.is_empty()).then_some(CONFIGURED),
        None if url.scheme() == "https" => first_set(options, &HTTPS_PROXY).map(|(name, _)| name),
        None => first_set(options, &HTTP_PROXY).map(|(name, _)| name),
    }
}

/// Returns the proxies of all settings, each with its name and its address without a login. `url` is any address.
pub(super) fn proxy_settings(
    options: &Options,
    config: &GitConfig,
    url: &Url,
) -> Vec<(&'static str, Result<String, SettingProblem>)> {
    let configured = config.proxy(url).filter(|address| !address.is_empty());
    let mut set: Vec<(&'static str, String)> = configured
        .map(|address| (CONFIGURED, address))
        .into_iter()
        .collect();
    for names in [&HTTPS_PROXY, &HTTP_PROXY] {
        set.extend(first_set(options, names).map(|(name, address)| (name, address.to_owned())));
    }
    set.dedup_by_key(|(name, _)| *name);
    let shown = |(name, address): (&'static str, String)| {
        let address = proxy_address(name, &address).map(|url| {
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
        });
        (name, address)
    };
    set.into_iter().map(shown).collect()
}

fn first_set<'a>(options: &'a Options, names: &[&'static str]) -> Option<(&'static str, &'a str)> {
    names
        .iter()
        .find_map(|name| Some((*name, options.utf8_variable(name)?)))
}

fn has_proxy(options: &Options) -> bool {
    let mut names = HTTPS_PROXY.iter().chain(&HTTP_PROXY);
    names.any(|name| options.variable(name).is_some())
}

/// Returns the variable with the hosts that are contacted without a proxy, and its value.
pub(super) fn exempt(options: &Options) -> Option<(&'static str, &str)> {
    first_set(options, &NO_PROXY)
}

/// Returns the proxies. git's configuration takes precedence over the variables.
fn proxies(options: &Options, configured: Option<&str>) -> Result<Vec<Proxy>, SettingProblem> {
    let named = match configured {
        Some("") => Vec::new(),
        Some(address) => vec![Proxy::all(proxy_address(CONFIGURED, address)?)],
        None => {
            let https = first_set(options, &HTTPS_PROXY)
                .map(|(name, address)| proxy_address(name, address).map(Proxy::https));
            let http = first_set(options, &HTTP_PROXY)
                .map(|(name, address)| proxy_address(name, address).map(Proxy::http));
            [https, http].into_iter().flatten().collect::<Result<_, _>>()?
        }
    };
    named
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(|error| SettingProblem::Client(super::net_error::chain(&error)))
}

/// Parses a proxy's address. It is checked here because reqwest connects directly if it does not
/// understand the proxy.
fn proxy_address(name: &'static str, text: &str) -> Result<Url, SettingProblem> {
    let whole = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    Url::parse(&with_plain_login(&whole))
        .ok()
        .filter(|url| SCHEMES.contains(&url.scheme()) && url.host_str().is_some_and(|host| !host.is_empty()))
        .ok_or(SettingProblem::Proxy { name })
}

/// Encodes the characters of a login that would end it in a URL, such as the backslash of
/// `DOMAIN\\user`. As for curl, the login ends at the last `@`.
fn with_plain_login(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let Some((login, host)) = rest.rsplit_once('@') else {
        return address.to_owned();
    };
    let mut plain = String::new();
    for c in login.chars() {
        match c {
            '\\' => plain.push_str("%5C"),
            '/' => plain.push_str("%2F"),
            '#' => plain.push_str("%23"),
            '?' => plain.push_str("%3F"),
            '@' => plain.push_str("%40"),
            c => plain.push(c),
        }
    }
    format!("{scheme}://{plain}@{host}")
}

fn build(options: &Options, way: &ClientKey) -> Result<Client, SettingProblem> {
    let mut builder = Client::builder()
        // Some hosts choose the smart protocol by this prefix.
        .user_agent(concat!(
            "git/2.40 (bitops-compose ",
            env!("CARGO_PKG_VERSION"),
            ")"
        ))
        .connect_timeout(options.tuning.connect_timeout)
        .redirect(redirect::Policy::none())
        .tcp_nodelay(true)
        .connector_layer(PreferFree)
        .no_proxy();
    for proxy in proxies(options, way.proxy.as_deref())? {
        builder = builder.proxy(proxy);
    }
    let config = match &way.tls {
        Some(settings) => settings.client()?,
        None => tls::base(RootCertStore::empty(), Vec::new())?,
    };
    builder
        .tls_backend_preconfigured(config)
        .build()
        .map_err(|error| SettingProblem::Client(super::net_error::chain(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spelling_in_lower_case_goes_first_as_in_curl() {
        let mut options = Options::new("unused");
        for name in ["https_proxy", "http_proxy", "no_proxy"] {
            for (name, value) in [
                (name.to_uppercase(), "http://upper/"),
                (name.to_owned(), "http://lower/"),
            ] {
                options.environment.insert(name.into(), value.into());
            }
        }
        assert_eq!(exempt(&options), Some(("no_proxy", "http://lower/")));
        let shown = format!("{:?}", proxies(&options, None).unwrap());
        assert!(shown.contains("lower") && !shown.contains("upper"), "{shown}");
    }

    #[test]
    fn a_proxys_login_may_hold_any_character() {
        let parsed = |text: &str| {
            let url = proxy_address("HTTPS_PROXY", text).unwrap();
            (
                url.username().to_owned(),
                url.password().map(str::to_owned),
                url.host_str().unwrap().to_owned(),
            )
        };
        let login = |user: &str, secret: &str| (user.to_owned(), Some(secret.to_owned()), "proxy".to_owned());
        assert_eq!(
            parsed("http://CORP\\me:s3cret@proxy:3128"),
            login("CORP%5Cme", "s3cret")
        );
        assert_eq!(
            parsed("CORP\\me:a/b#c?d@e@proxy:3128"),
            login("CORP%5Cme", "a%2Fb%23c%3Fd%40e")
        );
        assert_eq!(parsed("http://me:p%40@proxy"), login("me", "p%40"));
        assert_eq!(parsed("proxy:3128").2, "proxy");
    }
}
