//! The address of a repo, which never prints a credential.

use std::fmt;

/// The ways to reach a repo. Others are not allowed: `ext::`, `fd::` and git's remote helpers run
/// programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// `https://`
    Https,
    /// `http://`
    Http,
    /// `ssh://` and `user@host:path`
    Ssh,
    /// `file://` and absolute paths
    File,
}

/// A checked address of a repo. Equality and order are those of [`RepoUrl::key`].
#[derive(Clone)]
pub struct RepoUrl {
    scheme: Scheme,
    /// The address as the user wrote it, which git accepts: `https://host/path`, `user@host:path`
    /// or `/path`. It never contains a password.
    text: String,
    user: Option<String>,
    host: Option<Host>,
    port: Option<u16>,
    path: String,
    key: String,
}

/// A host's name in both spellings.
#[derive(Clone)]
struct Host {
    /// For comparisons: DNS ignores case.
    lower: String,
    /// For ssh, whose configuration distinguishes `Host Work` from `Host work`.
    written: String,
}

/// Why a text is not a repo's address. No variant carries the text, which may hold a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// The text is empty.
    #[error("the repo's address is empty")]
    Empty,
    /// The scheme is not allowed.
    #[error(
        "the scheme is not one of https://, http://, ssh://, user@host:path, file:// or an absolute path"
    )]
    Scheme,
    /// The scheme is not in lower case.
    #[error("the scheme must be written in lower case")]
    UpperCaseScheme,
    /// The address is a relative path.
    #[error("a relative path is not allowed; write an absolute path or a URL")]
    Relative,
    /// The address contains a space, a backslash or a control character, possibly encoded as `%0a`.
    #[error("the address contains a space, a backslash or a control character")]
    Character,
    /// A part of the address could be taken for an option.
    #[error("a part of the address starts with `-`")]
    LeadingDash,
    /// The address contains a password or token.
    #[error("the address contains a password")]
    Secret,
    /// The host is missing or invalid.
    #[error("the address has no valid host")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// The path is missing.
    #[error("the address has no path to a repo")]
    Path,
    /// The address contains `?` or `#`.
    #[error("the address contains a query or a fragment")]
    Query,
}

impl InvalidUrl {
    /// Returns the advice to the user.
    pub fn hint(self) -> Option<&'static str> {
        match self {
            InvalidUrl::Secret => Some(
                "remove and rotate it; set BITOPS_COMPOSE_TOKEN_<HOST>, or use a git credential helper or ~/.netrc",
            ),
            InvalidUrl::Scheme | InvalidUrl::Relative | InvalidUrl::Empty => {
                Some("for example https://github.com/ORG/REPO or git@github.com:ORG/REPO")
            }
            InvalidUrl::Query => Some("use `version` or `ref` to request a version"),
            _ => None,
        }
    }
}

impl RepoUrl {
    /// Parses and checks an address.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        if text.is_empty() {
            return Err(InvalidUrl::Empty);
        }
        if text
            .chars()
            .any(|c| c.is_whitespace() || c == '\\' || crate::text::is_unprintable(c))
            || encodes_control(text)
        {
            return Err(InvalidUrl::Character);
        }
        if text.starts_with('-') {
            return Err(InvalidUrl::LeadingDash);
        }
        if text.starts_with('/') {
            return Self::file(text, text);
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return match scheme {
                "https" => Self::network(Scheme::Https, text, rest),
                "http" => Self::network(Scheme::Http, text, rest),
                "ssh" => Self::network(Scheme::Ssh, text, rest),
                "file" if rest.starts_with('/') => Self::file(text, rest),
                "file" => Err(InvalidUrl::Host),
                _ if ["https", "http", "ssh", "file"]
                    .iter()
                    .any(|known| scheme.eq_ignore_ascii_case(known)) =>
                {
                    Err(InvalidUrl::UpperCaseScheme)
                }
                _ => Err(InvalidUrl::Scheme),
            };
        }
        if text.contains("::") {
            return Err(InvalidUrl::Scheme);
        }
        match text.split_once(':') {
            Some((login, path)) if login.contains('@') && !login.contains('/') => {
                Self::scp(text, login, path)
            }
            Some(_) => Err(InvalidUrl::Scheme),
            None => Err(InvalidUrl::Relative),
        }
    }

    fn file(text: &str, path: &str) -> Result<Self, InvalidUrl> {
        let trimmed = path.trim_end_matches('/');
        if trimmed.is_empty() {
            return Err(InvalidUrl::Path);
        }
        Ok(Self {
            scheme: Scheme::File,
            text: text.to_owned(),
            user: None,
            host: None,
            port: None,
            path: path.to_owned(),
            key: format!("file://{}", trimmed.strip_suffix("/.git").unwrap_or(trimmed)),
        })
    }

    fn scp(text: &str, login: &str, path: &str) -> Result<Self, InvalidUrl> {
        let (user, host) = login.rsplit_once('@').ok_or(InvalidUrl::Host)?;
        check_user(user)?;
        let host = check_host(host)?;
        if path.starts_with('-') {
            return Err(InvalidUrl::LeadingDash);
        }
        if path.trim_matches('/').is_empty() {
            return Err(InvalidUrl::Path);
        }
        let key = key(Scheme::Ssh, Some(user), &host.lower, None, path);
        Ok(Self {
            scheme: Scheme::Ssh,
            text: text.to_owned(),
            user: Some(user.to_owned()),
            host: Some(host),
            port: None,
            path: path.to_owned(),
            key,
        })
    }

    fn network(scheme: Scheme, text: &str, rest: &str) -> Result<Self, InvalidUrl> {
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if path.contains(['?', '#']) {
            return Err(InvalidUrl::Query);
        }
        let (user, host_port) = match authority.rsplit_once('@') {
            Some((user, _)) if user.contains([':', '@']) => return Err(InvalidUrl::Secret),
            // `https://org@dev.azure.com` names a login, `https://ghp_…@github.com` is a token.
            Some((user, _)) if scheme != Scheme::Ssh && resembles_token(user) => {
                return Err(InvalidUrl::Secret);
            }
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        if let Some(user) = user {
            check_user(user)?;
        }
        let (host, port) = split_port(host_port)?;
        let host = check_host(host)?;
        if path.trim_matches('/').is_empty() {
            return Err(InvalidUrl::Path);
        }
        if path.trim_start_matches('/').starts_with('-') {
            return Err(InvalidUrl::LeadingDash);
        }
        // The login of an http address decides who asks, not which repo is meant.
        let user_of_repo = user.filter(|_| scheme == Scheme::Ssh);
        let key = key(scheme, user_of_repo, &host.lower, port, path);
        Ok(Self {
            scheme,
            text: text.to_owned(),
            user: user.map(str::to_owned),
            host: Some(host),
            port,
            path: path.to_owned(),
            key,
        })
    }

    /// Returns how the repo is reached.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns whether the repo is on this machine's disk, which only the root config may name.
    pub fn is_local(&self) -> bool {
        self.scheme == Scheme::File
    }

    /// Returns whether anybody on the way to the repo can read and change what it sends: it is reached
    /// by plain `http://`, and on another machine.
    pub fn is_unprotected(&self) -> bool {
        self.scheme == Scheme::Http && !self.host().is_some_and(is_loopback)
    }

    /// Returns the address as the user wrote it. It contains no password, because those are refused.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the user name in the address, which may be percent-encoded.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Returns the address without its user name.
    pub fn without_user(&self) -> String {
        match &self.user {
            Some(user) => self.text.replacen(&format!("{user}@"), "", 1),
            None => self.text.clone(),
        }
    }

    /// Returns the host in lower case, or `None` for files. IPv6 addresses keep their brackets.
    pub fn host(&self) -> Option<&str> {
        self.host.as_ref().map(|host| host.lower.as_str())
    }

    /// Returns the host as the user wrote it, which is what ssh's configuration is compared with.
    pub fn written_host(&self) -> Option<&str> {
        self.host.as_ref().map(|host| host.written.as_str())
    }

    /// Returns the port, if the address names one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Returns the path on the host or on this machine.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns a text that is the same for all spellings of an address: host in lower case, no
    /// default port, no `.git`, no trailing slash.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns the last component of the repo's path without `.git`, for messages. For a checkout's
    /// `…/name/.git` it is `name`.
    pub fn name(&self) -> &str {
        let repo = self.key.trim_end_matches('/');
        let last = repo.rsplit(['/', ':']).next().unwrap_or(repo);
        last.strip_suffix(".git").unwrap_or(last)
    }
}

fn name(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Https => "https",
        Scheme::Http => "http",
        Scheme::Ssh => "ssh",
        Scheme::File => "file",
    }
}

fn key(scheme: Scheme, user: Option<&str>, host: &str, port: Option<u16>, path: &str) -> String {
    let default = match scheme {
        Scheme::Https => 443,
        Scheme::Http => 80,
        Scheme::Ssh | Scheme::File => 22,
    };
    let port = port
        .filter(|port| *port != default)
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let user = user.map(|user| format!("{user}@")).unwrap_or_default();
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    format!("{}://{user}{host}{port}/{path}", name(scheme))
}

/// Returns whether a user name in an http address is rather a token: by the prefixes of the hosts,
/// or because it is a long text of letters and digits without a separator. git accepts a token
/// there, and then writes it into every log.
fn resembles_token(user: &str) -> bool {
    /// Longer than any login that a person chose; the shortest tokens of hosts have 20.
    const LONGEST_LOGIN: usize = 19;
    let is_random = user.len() > LONGEST_LOGIN
        && user.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && user.bytes().any(|byte| byte.is_ascii_digit());
    is_random
        || crate::redact::TOKENS
            .iter()
            .any(|prefix| user.starts_with(prefix))
}

fn check_user(user: &str) -> Result<(), InvalidUrl> {
    if user.starts_with('-') {
        return Err(InvalidUrl::LeadingDash);
    }
    if user.contains(':') {
        return Err(InvalidUrl::Secret);
    }
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"-._~%+".contains(&b);
    if user.is_empty() || !user.bytes().all(fine) {
        Err(InvalidUrl::Character)
    } else {
        Ok(())
    }
}

fn check_host(host: &str) -> Result<Host, InvalidUrl> {
    if host.starts_with('-') {
        return Err(InvalidUrl::LeadingDash);
    }
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let fine = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        }
    };
    if fine {
        Ok(Host {
            lower: host.to_ascii_lowercase(),
            written: host.to_owned(),
        })
    } else {
        Err(InvalidUrl::Host)
    }
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), InvalidUrl> {
    let after_bracket = text.rfind(']').map_or(0, |bracket| bracket + 1);
    match text[after_bracket..].find(':') {
        None => Ok((text, None)),
        Some(colon) => {
            let (host, port) = text.split_at(after_bracket + colon);
            let digits = &port[1..];
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Err(InvalidUrl::Port);
            }
            match digits.parse() {
                Ok(0) | Err(_) => Err(InvalidUrl::Port),
                Ok(port) => Ok((host, Some(port))),
            }
        }
    }
}

/// Returns whether the text encodes a control character or a backslash (`%0a`, `%00`, `%1b`, …)
/// that a server or a helper would decode.
fn encodes_control(text: &str) -> bool {
    text.as_bytes().windows(3).any(|w| {
        w[0] == b'%'
            && std::str::from_utf8(&w[1..])
                .ok()
                .and_then(|hex| u8::from_str_radix(hex, 16).ok())
                .is_some_and(|byte| byte < 0x20 || byte == 0x7f || byte == b'\\')
    })
}

impl fmt::Display for RepoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for RepoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl PartialEq for RepoUrl {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for RepoUrl {}

impl std::hash::Hash for RepoUrl {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl PartialOrd for RepoUrl {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RepoUrl {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

/// Returns whether a host, as it stands in an address, is this machine: `localhost`, or an address such as
/// `127.0.0.1` or `[::1]`.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
