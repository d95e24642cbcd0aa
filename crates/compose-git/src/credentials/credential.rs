//! One credential, which is never shown.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::header::HeaderValue;

/// The login that GitHub expects with a token; GitLab, Gitea and Bitbucket accept any.
pub(super) const TOKEN_LOGIN: &str = "x-access-token";

/// The value of an `Authorization` header. Its `Debug` output hides it.
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
        // Base64 is always valid in a header.
        Self::header(&text).unwrap_or_else(|| Self(HeaderValue::from_static("Basic")))
    }

    /// Reads a variable's value: `TOKEN`, or `USER:TOKEN` for a host that expects a certain login.
    /// `user` is the login of a token alone, if one is known.
    pub(super) fn of_variable(value: &str, user: Option<&str>) -> Self {
        match value.split_once(':') {
            Some((login, token)) => Self::new(login.trim(), token.trim()),
            None => Self::new(user.unwrap_or(TOKEN_LOGIN), value.trim()),
        }
    }

    /// Uses the text as the header's value. Returns `None` if it is not valid in a header.
    pub(super) fn header(text: &str) -> Option<Self> {
        let mut header = HeaderValue::from_str(text).ok()?;
        header.set_sensitive(true);
        Some(Self(header))
    }
}
