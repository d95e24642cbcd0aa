//! The HTTP clients. There is one for each combination of TLS, proxy and certificates, made on
//! first use. Nearly every run has one, so that all repos of a host share its connections.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use reqwest::{Client, NoProxy, Proxy, Url, redirect};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use crate::{
    error::{Error, FailedAt, SettingProblem},
    gitconfig::GitConfig,
    options::Options,
    sync::lock_unpoisoned,
};

/// The clients, or the reason why one could not be made.
#[derive(Default)]
pub(crate) struct HttpClients(Mutex<HashMap<ClientKey, Result<Client, SettingProblem>>>);

/// The settings that a client is made for.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct ClientKey {
    /// Whether the client loads certificates, which takes milliseconds.
    tls: bool,
    /// The proxy from git's configuration; an empty one means no proxy. May hold a login.
    proxy: Option<String>,
    /// The file of CA certificates from git's configuration.
    authorities: Option<PathBuf>,
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
        let proxy = config.proxy(url);
        let way = if url.scheme() == "https" || proxy.is_some() || has_proxy(options) {
            ClientKey {
                tls: true,
                proxy,
                authorities: config.authorities(url),
            }
        } else {
            ClientKey::default()
        };
        let mut clients = lock_unpoisoned(&self.0);
        let made = clients.entry(way.clone()).or_insert_with(|| build(options, &way));
        made.clone().map_err(|source| Error::Setting {
            repo: at.repo,
            source,
        })
    }

    /// Returns whether any client was made. A run that finds everything in the cache makes none.
    pub(crate) fn is_used(&self) -> bool {
        !lock_unpoisoned(&self.0).is_empty()
    }
}

/// Both spellings, as in curl. (curl reads `http_proxy` in lower case only, to protect CGI
/// programs.)
const HTTPS_PROXY: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const HTTP_PROXY: [&str; 4] = ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"];
const SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

fn has_proxy(options: &Options) -> bool {
    let mut names = HTTPS_PROXY.iter().chain(&HTTP_PROXY);
    names.any(|name| options.variable(name).is_some())
}

/// Returns the proxies. git's configuration takes precedence over the variables, and hosts in
/// `NO_PROXY` are exempt from both.
fn proxies(options: &Options, configured: Option<&str>) -> Result<Vec<Proxy>, SettingProblem> {
    let first = |names: &[&'static str]| {
        let mut set = names
            .iter()
            .filter_map(|name| Some((*name, options.utf8_variable(name)?)));
        set.next()
    };
    let named = match configured {
        Some("") => Vec::new(),
        Some(address) => vec![Proxy::all(proxy_address(
            "http.proxy of git's configuration",
            address,
        )?)],
        None => {
            let https =
                first(&HTTPS_PROXY).map(|(name, address)| proxy_address(name, address).map(Proxy::https));
            let http =
                first(&HTTP_PROXY).map(|(name, address)| proxy_address(name, address).map(Proxy::http));
            [https, http].into_iter().flatten().collect::<Result<_, _>>()?
        }
    };
    let exempt = first(&["NO_PROXY", "no_proxy"]).and_then(|(_, hosts)| NoProxy::from_string(hosts));
    named
        .into_iter()
        .map(|proxy| proxy.map(|proxy| proxy.no_proxy(exempt.clone())))
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
    Url::parse(&whole)
        .ok()
        .filter(|url| SCHEMES.contains(&url.scheme()) && url.host_str().is_some_and(|host| !host.is_empty()))
        .ok_or(SettingProblem::Proxy { name })
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
        .no_proxy();
    for proxy in proxies(options, way.proxy.as_deref())? {
        builder = builder.proxy(proxy);
    }
    let roots = if way.tls {
        roots(options, way.authorities.as_deref())?
    } else {
        RootCertStore::empty()
    };
    builder
        .tls_backend_preconfigured(tls(roots)?)
        .build()
        .map_err(|error| SettingProblem::Client(super::net_error::chain(&error)))
}

fn tls(roots: RootCertStore) -> Result<ClientConfig, SettingProblem> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Arc::new)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Returns the trusted certificates. `GIT_SSL_CAINFO` (or `http.sslCAInfo`, over which it takes
/// precedence) and `SSL_CERT_FILE` replace the machine's certificates, as for git and OpenSSL.
/// Without them the machine's are used, and on a machine without any (slim images) Mozilla's.
/// Verification cannot be switched off, neither by `GIT_SSL_NO_VERIFY` nor by `http.sslVerify`.
fn roots(options: &Options, configured: Option<&Path>) -> Result<RootCertStore, SettingProblem> {
    let mut roots = RootCertStore::empty();
    let variable = |name: &'static str| Some((name, options.variable(name).map(Path::new)?));
    let for_git = variable("GIT_SSL_CAINFO")
        .or_else(|| configured.map(|path| ("http.sslCAInfo of git's configuration", path)));
    let named = [for_git, variable("SSL_CERT_FILE")];
    for (name, path) in named.iter().flatten() {
        let unusable = |error| SettingProblem::Certificates {
            name,
            path: path.to_path_buf(),
            source: Arc::new(error),
        };
        let certificates = CertificateDer::pem_file_iter(path).map_err(unusable)?;
        let found: Vec<_> = certificates.collect::<Result<_, _>>().map_err(unusable)?;
        if roots.add_parsable_certificates(found).0 == 0 {
            return Err(SettingProblem::NoCertificate {
                name,
                path: path.to_path_buf(),
            });
        }
    }
    if named.iter().all(Option::is_none) {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() {
        tracing::debug!("no certificates on this machine: Mozilla's are used");
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Ok(roots)
}
