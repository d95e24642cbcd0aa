//! One credential, which nothing shows.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::header::HeaderValue;

/// What GitHub takes beside a token; GitLab, Gitea and Bitbucket take anything.
pub(super) const TOKEN_LOGIN: &str = "x-access-token";

/// What goes into `Authorization`. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credential(pub(super) HeaderValue);

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

impl Credential {
    pub(crate) fn new(login: impl fmt::Display, secret: impl fmt::Display) -> Self {
        let text = format!("Basic {}", BASE64_STANDARD.encode(format!("{login}:{secret}")));
        // Base64 is fit for a header.
        Self::header(&text).unwrap_or_else(|| Self(HeaderValue::from_static("Basic")))
    }

    /// A token in the place of a password.
    pub(super) fn token(secret: &str) -> Self {
        Self::new(TOKEN_LOGIN, secret)
    }

    /// What a variable holds: `TOKEN`, or `USER:TOKEN` for a host that wants a certain login.
    pub(super) fn of_variable(value: &str) -> Self {
        match value.split_once(':') {
            Some((login, token)) => Self::new(login.trim(), token.trim()),
            None => Self::token(value),
        }
    }

    /// As it is; `None` for what no header may hold.
    pub(super) fn header(text: &str) -> Option<Self> {
        let mut header = HeaderValue::from_str(text).ok()?;
        header.set_sensitive(true);
        Some(Self(header))
    }
}
