//! The HTTP clients: one with TLS, one without, each made when it is first needed.

use std::{error::Error as _, io, path::Path, sync::OnceLock};

use compose_model::{RepoUrl, text::escape};
use reqwest::{Client, NoProxy, Proxy, redirect};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use crate::{error::Error, options::Options};

/// The clients, and why one could not be made.
#[derive(Default)]
pub(crate) struct Net {
    plain: OnceLock<Result<Client, String>>,
    tls: OnceLock<Result<Client, String>>,
}

impl Net {
    /// The client for an address. Certificates are read only when one is needed: that takes milliseconds.
    pub(crate) fn client(&self, options: &Options, repo: &RepoUrl, https: bool) -> Result<Client, Error> {
        let proxied = PROXIES.iter().any(|name| options.variable(name).is_some());
        let made = if https || proxied {
            self.tls.get_or_init(|| build(options, Some(tls(options)?)))
        } else {
            self.plain.get_or_init(|| build(options, None))
        };
        made.clone().map_err(|why| Error::Setting {
            repo: repo.clone(),
            why,
        })
    }

    /// Was any client made? A run that finds everything in the cache makes none.
    pub(crate) fn is_used(&self) -> bool {
        self.plain.get().is_some() || self.tls.get().is_some()
    }
}

const PROXIES: [&str; 6] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
];

fn build(options: &Options, tls: Option<ClientConfig>) -> Result<Client, String> {
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
    let first = |names: &[&str]| names.iter().find_map(|name| options.text(name));
    let exempt = first(&["NO_PROXY", "no_proxy"]).and_then(NoProxy::from_string);
    let https = first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]).map(Proxy::https);
    let http = first(&["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"]).map(Proxy::http);
    for proxy in [https, http].into_iter().flatten() {
        // The value may hold a login: it is not shown.
        let proxy = proxy.map_err(|_| "the value of a *_PROXY variable is no proxy address".to_owned())?;
        builder = builder.proxy(proxy.no_proxy(exempt.clone()));
    }
    let tls = match tls {
        Some(tls) => tls,
        None => config(RootCertStore::empty())?,
    };
    builder
        .tls_backend_preconfigured(tls)
        .build()
        .map_err(|error| chain(&error))
}

fn tls(options: &Options) -> Result<ClientConfig, String> {
    config(roots(options)?)
}

fn config(roots: RootCertStore) -> Result<ClientConfig, String> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// `GIT_SSL_CAINFO` and `SSL_CERT_FILE` replace the machine's certificates, as they do for git and OpenSSL; without
/// either, the machine's; on a machine without any (slim images), Mozilla's.
fn roots(options: &Options) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let named: Vec<_> = ["GIT_SSL_CAINFO", "SSL_CERT_FILE"]
        .iter()
        .filter_map(|name| Some((*name, options.variable(name)?)))
        .collect();
    for (name, path) in &named {
        let path = Path::new(path);
        let unusable = |why: &dyn std::fmt::Display| {
            format!("{name} is {}, which cannot be used: {why}", path.display())
        };
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| unusable(&error))?;
        let found: Vec<_> = certificates
            .collect::<Result<_, _>>()
            .map_err(|error| unusable(&error))?;
        if roots.add_parsable_certificates(found).0 == 0 {
            return Err(unusable(&"it holds no certificate"));
        }
    }
    if named.is_empty() {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() {
        tracing::debug!("no certificates on this machine: Mozilla's are used");
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Ok(roots)
}

/// What a failed request means: bad TLS is final, the rest may pass.
pub(crate) fn explain(repo: &RepoUrl, error: &reqwest::Error) -> Error {
    let repo = repo.clone();
    let text = escape(&chain(error), super::SAID);
    if is_certificate(error) {
        Error::Untrusted { repo, why: text }
    } else {
        Error::Network { repo, why: text }
    }
}

/// Is a TLS refusal among the causes? A connection that just ends during the handshake is none.
fn is_certificate(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(current) = cause {
        if current.is::<rustls::Error>() {
            return true;
        }
        // What an I/O error wraps is not its source: that is the wrapped one's.
        let wrapped = current.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = wrapped
            .map(|wrapped| wrapped as &(dyn std::error::Error + 'static))
            .or_else(|| current.source());
    }
    false
}

/// The causes in one line, without the address (its query is ours, and the error names the repo anyway).
fn chain(error: &reqwest::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(current) = cause {
        let text = current.to_string();
        if parts.last() != Some(&text) {
            parts.push(text);
        }
        cause = current.source();
    }
    if error.is_timeout() && parts.is_empty() {
        parts.push("timed out".to_owned());
    }
    if parts.is_empty() {
        error.to_string()
    } else {
        parts.join(": ")
    }
}
