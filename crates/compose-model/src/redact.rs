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
/// The most bytes of an address that are looked at.
const LONGEST_ADDRESS: usize = 4 << 10;

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
    let is_end = |c: char| c.is_whitespace() || "\"'`,<>".contains(c);
    text.split(is_end).flat_map(move |word| {
        let before = word.as_ptr() as usize - text.as_ptr() as usize;
        word.match_indices("://").filter_map(move |(at, separator)| {
            let start = at + separator.len();
            let end = start + userinfo(start_of(&word[start..]))?;
            let is_user_of_ssh = word[..at].ends_with("ssh") && !word[start..end].contains([':', '%']);
            (!is_user_of_ssh).then_some(before + start..before + end)
        })
    })
}

/// Returns as much of a text as an address may have: what is looked at for each of many addresses is
/// bounded.
fn start_of(text: &str) -> &str {
    let mut end = text.len().min(LONGEST_ADDRESS);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Finds the login of `user:password@host/path`, one in each word.
fn logins_without_scheme(text: &str) -> impl Iterator<Item = Range<usize>> {
    let is_end = |c: char| c.is_whitespace() || "\"'`,<>/{}[]()".contains(c);
    text.split(is_end).filter_map(move |word| {
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        let at = word.rfind('@')?;
        let is_host = word[at..].contains('.') && text[start + word.len()..].starts_with('/');
        (is_host && word[..at].contains(':')).then_some(start..start + at)
    })
}

fn tokens(text: &str) -> impl Iterator<Item = Range<usize>> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    TOKENS.iter().flat_map(move |beginning| {
        let mut end = 0;
        text.match_indices(beginning).filter_map(move |(start, _)| {
            // The rest of the last one is looked at once.
            if start < end {
                return None;
            }
            let rest = &text[start + beginning.len()..];
            let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            end = start + beginning.len() + length;
            (length >= SHORTEST_TOKEN).then_some(start..end)
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

    /// What is looked at again for each find would take hours.
    #[test]
    fn long_texts_are_read_once() {
        for part in ["ghp_", "@", "://", "a:@b./", "x://1:2@"] {
            let text: Arc<str> = part.repeat((1 << 20) / part.len()).into();
            assert_eq!(redact(&text).len(), text.len());
        }
    }
}
