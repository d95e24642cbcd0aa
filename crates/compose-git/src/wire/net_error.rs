//! Describes failed requests for users. TLS failures are final; others may be retried.

use std::{error::Error as StdError, io};

use compose_model::text::escape;
use rustls::CertificateError;

use super::packets::MAX_SHOWN_MESSAGE;
use crate::error::{Distrust, Error, FailedAt, exhausted};

type Cause<'e> = &'e (dyn StdError + 'static);

/// Returns the error for a request that got no answer or only a part of one. `trust` is the setting
/// that names trusted certificates, if there is one.
pub(crate) fn explain(at: FailedAt, error: &reqwest::Error, trust: Option<&'static str>) -> Error {
    let causes = causes(error);
    if let Some(tls) = causes
        .iter()
        .find_map(|cause| cause.downcast_ref::<rustls::Error>())
    {
        return untrusted(at, tls, trust);
    }
    // This machine has no file or thread left for a connection, whatever the server would have
    // answered.
    let own = causes
        .iter()
        .filter_map(|cause| cause.downcast_ref::<io::Error>());
    if let Some(number) = own.filter_map(exhausted).next() {
        return Error::Cache {
            doing: "connect to",
            path: at.repo.to_string().into(),
            source: io::Error::from_raw_os_error(number),
        };
    }
    let mentions = |words: &[&str]| {
        let mut texts = causes.iter().map(ToString::to_string);
        texts.any(|text| words.iter().any(|word| text.contains(word)))
    };
    if mentions(&[
        "proxy authorization required",
        "credentials not accepted",
        "does not support user/pass authentication",
    ]) {
        let said = String::new();
        return Error::ProxyLogin { at, said };
    }
    // hyper's message for an answer that does not start like HTTP.
    if mentions(&["invalid HTTP version"]) {
        let why =
            "the answer is not HTTP; if the server uses TLS, the address must start with https://".to_owned();
        return Error::NotGit { at, why };
    }
    let plain = describe(error, &causes);
    let why = if mentions(&["tunnel error: unsuccessful"]) {
        "the proxy could not, or would not, connect to the host".to_owned()
    } else if mentions(&["tunnel error", "error connecting to socks proxy"]) {
        format!("the connection to the proxy failed: {plain}")
    } else {
        plain
    };
    Error::Network {
        at,
        why: escape(&why, MAX_SHOWN_MESSAGE),
    }
}

fn untrusted(at: FailedAt, error: &rustls::Error, trust: Option<&'static str>) -> Error {
    use rustls::{AlertDescription, Error as Tls};
    let shown = || escape(&error.to_string(), MAX_SHOWN_MESSAGE);
    let why = match error {
        Tls::InvalidCertificate(problem) => match problem {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Distrust::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Distrust::NotYetValid
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Distrust::OtherName(shown())
            }
            CertificateError::UnknownIssuer => Distrust::UnknownIssuer(trust),
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Distrust::Purpose(shown())
            }
            CertificateError::BadSignature
            | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                Distrust::WeakKey(shown())
            }
            _ => Distrust::Invalid(shown()),
        },
        Tls::InvalidMessage(_) => Distrust::NoTls,
        Tls::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown,
        ) => Distrust::ClientCertificate,
        _ => Distrust::Handshake(shown()),
    };
    Error::Untrusted { at, why }
}

fn describe(error: &reqwest::Error, causes: &[Cause<'_>]) -> String {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable,
        NetworkUnreachable, TimedOut, UnexpectedEof,
    };
    let texts: Vec<String> = causes.iter().map(ToString::to_string).collect();
    if texts.iter().any(|text| text.starts_with("dns error")) {
        let last = texts.last().map(String::as_str).unwrap_or_default();
        return format!("the host was not found ({last})");
    }
    let mut kinds = causes
        .iter()
        .filter_map(|cause| cause.downcast_ref::<io::Error>().map(io::Error::kind));
    match kinds.find(|kind| *kind != io::ErrorKind::Other) {
        Some(ConnectionRefused) => "the connection was refused".to_owned(),
        Some(ConnectionReset | ConnectionAborted | BrokenPipe) => "the connection was reset".to_owned(),
        Some(HostUnreachable | NetworkUnreachable) => "there is no route to the host".to_owned(),
        Some(TimedOut) => "the connection timed out".to_owned(),
        Some(UnexpectedEof) => "the connection was closed before the answer was complete".to_owned(),
        _ if error.is_timeout() => "the connection timed out".to_owned(),
        _ if texts
            .iter()
            .any(|text| text.starts_with("connection closed before")) =>
        {
            "the connection was closed before the answer was complete".to_owned()
        }
        _ => chain(error),
    }
}

/// Returns all causes. The error that an I/O error wraps is not its `source` (which skips to that
/// one's cause), so it is added.
fn causes(error: &reqwest::Error) -> Vec<Cause<'_>> {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause);
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped
            .map(|wrapped| wrapped as Cause<'_>)
            .or_else(|| cause.source());
    }
    causes
}

/// Returns the causes in one line, without the address: its query is internal, and the error names
/// the repo anyway.
pub(crate) fn chain(error: &reqwest::Error) -> String {
    let mut parts: Vec<String> = causes(error).iter().map(ToString::to_string).collect();
    parts.dedup();
    if parts.is_empty() {
        error.to_string()
    } else {
        parts.join(": ")
    }
}
