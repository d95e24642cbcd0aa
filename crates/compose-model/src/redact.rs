//! Hides the credentials in the addresses of a text, and keeps every byte in its place.
//!
//! Diagnostics show the line that they are about, and the lines around it. Every
//! [`Place`](crate::Place) of a config therefore holds the redacted text, and a line is redacted
//! again when it is printed.

use std::{ops::Range, sync::Arc};

/// What the tokens of hosts begin with.
pub(crate) const TOKENS: [&str; 11] = [
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "gldt-",
    "glcbt-",
    "ATCTT",
    "ATBB",
];
/// The fewest characters of a token behind its beginning.
const SHORTEST_TOKEN: usize = 16;

/// Returns the text with each byte of a credential replaced by `*`: the login of an address, with
/// or without its scheme, and the tokens of hosts anywhere.
pub fn redact(text: &Arc<str>) -> Arc<str> {
    let secrets = secrets(text);
    if secrets.is_empty() {
        return Arc::clone(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for secret in secrets {
        out.push_str(&text[done..secret.start]);
        out.extend(std::iter::repeat_n('*', secret.len()));
        done = secret.end;
    }
    out.push_str(&text[done..]);
    out.into()
}

fn secrets(text: &str) -> Vec<Range<usize>> {
    let mut all: Vec<Range<usize>> = logins(text)
        .chain(logins_without_scheme(text))
        .chain(tokens(text))
        .collect();
    all.sort_by_key(|found| (found.start, std::cmp::Reverse(found.end)));
    // `a://b://c@d`: the second find lies inside the first.
    all.into_iter()
        .scan(0, |done, found| {
            let fresh = found.start >= *done;
            *done = (*done).max(found.end);
            Some(fresh.then_some(found))
        })
        .flatten()
        .collect()
}

fn logins(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices("://").filter_map(|(at, separator)| {
        let start = at + separator.len();
        let address = &text[start..];
        let address = &address[..address
            .find(|c: char| c.is_whitespace() || "\"'`,<>".contains(c))
            .unwrap_or(address.len())];
        let end = start + userinfo(address)?;
        let is_user_of_ssh = text[..at].ends_with("ssh") && !text[start..end].contains([':', '%']);
        (!is_user_of_ssh).then_some(start..end)
    })
}

/// Finds the login of `user:password@host/path`.
fn logins_without_scheme(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices('@').filter_map(|(at, _)| {
        let is_end = |c: char| c.is_whitespace() || "\"'`,<>/{}[]()".contains(c);
        let start = text[..at].rfind(is_end).map_or(0, |before| {
            before + text[before..].chars().next().map_or(1, char::len_utf8)
        });
        let host = text[at + 1..].split(is_end).next().unwrap_or_default();
        let is_host = host.contains('.') && text[at + 1 + host.len()..].starts_with('/');
        (is_host && text[start..at].contains(':')).then_some(start..at)
    })
}

fn tokens(text: &str) -> impl Iterator<Item = Range<usize>> {
    TOKENS.iter().flat_map(|beginning| {
        text.match_indices(beginning).filter_map(|(start, _)| {
            let rest = &text[start + beginning.len()..];
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            (length >= SHORTEST_TOKEN).then_some(start..start + beginning.len() + length)
        })
    })
}

/// Returns the length of the login before the `@` of an address without its scheme.
fn userinfo(address: &str) -> Option<usize> {
    let authority = &address[..address.find(['/', '?', '#']).unwrap_or(address.len())];
    if let Some(at) = authority.rfind('@') {
        return Some(at);
    }
    // In `user:pass/word@host` there is no port. `host/org/repo@1.0` is not a credential.
    let (_, port) = authority.rsplit_once(':')?;
    if port.bytes().all(|b| b.is_ascii_digit()) && !port.is_empty() {
        None
    } else {
        address.rfind('@')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_hidden_and_nothing_else_moves() {
        for (text, shown) in [
            ("repo: https://user:pw@host/x", "repo: https://*******@host/x"),
            (
                "repo: \"https://ghp_token@host/x\" # y@z",
                "repo: \"https://*********@host/x\" # y@z",
            ),
            (
                "{repo: https://a@b@host/x, ref: a}",
                "{repo: https://***@host/x, ref: a}",
            ),
            ("repo: https://user:p/w@host/x", "repo: https://********@host/x"),
            ("repo: ssh://git:pw@host/x", "repo: ssh://******@host/x"),
            ("repo: ssh://git@host/x", "repo: ssh://git@host/x"),
            (
                "repo: https://host:8443/org/repo@1.0",
                "repo: https://host:8443/org/repo@1.0",
            ),
            ("repo: https://pä:ß@host/x", "repo: https://******@host/x"),
            ("a://b:c://d@e", "a://*******@e"),
            ("repo: user:pw@host.example/o/r", "repo: *******@host.example/o/r"),
            ("repo: git@host.example:o/r", "repo: git@host.example:o/r"),
            ("image: a/b:1@sha256:00", "image: a/b:1@sha256:00"),
            (
                "repo: ghp_0123456789abcdefghij@host/x",
                "repo: ************************@host/x",
            ),
            (
                "version: glpat-0123456789_bcdefghij",
                "version: **************************",
            ),
            ("ghp_is_no_token", "ghp_is_no_token"),
        ] {
            let redacted = redact(&Arc::from(text));
            assert_eq!(&*redacted, shown);
            assert_eq!(redacted.len(), text.len());
        }
    }
}
