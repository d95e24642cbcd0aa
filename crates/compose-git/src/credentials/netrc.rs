//! Reads `~/.netrc` as curl does.

use std::path::PathBuf;

use reqwest::Url;

use super::credential::Credential;
use crate::{bounded::read_bounded, options::Options};

/// The greatest file that is read, in bytes.
const MAX_SIZE: u64 = 1 << 20;

/// Returns the login of the host's entry in `~/.netrc`, or else that of the `default` entry. Of
/// several, the first with the login `user` is taken, or else the first.
pub(super) fn netrc(options: &Options, url: &Url, user: Option<&str>) -> Option<Credential> {
    let path = PathBuf::from(options.variable("HOME")?).join(".netrc");
    let text = String::from_utf8(read_bounded(&path, MAX_SIZE).ok()?).ok()?;
    from_netrc(&text, url.host_str()?, user)
}

pub(super) fn from_netrc(text: &str, host: &str, user: Option<&str>) -> Option<Credential> {
    let mut words = words_of(text).into_iter();
    let (mut default, mut of_user) = (None, None);
    let mut entry: Option<(bool, Option<String>, Option<String>)> = None;
    let mut found = None;
    let mut close = |entry: Option<(bool, Option<String>, Option<String>)>| {
        if let Some((of_host, login, Some(secret))) = entry {
            let is_users = of_host && user.is_some() && login.as_deref().or(user) == user;
            let slot = match (is_users, of_host) {
                (true, _) => &mut of_user,
                (false, true) => &mut found,
                (false, false) => &mut default,
            };
            let login = login.as_deref().or(user).unwrap_or_default();
            slot.get_or_insert(Credential::new(login, secret));
        }
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "machine" => {
                close(entry.take());
                // Entries of other hosts are skipped.
                entry = words
                    .next()
                    .is_some_and(|name| name.eq_ignore_ascii_case(host))
                    .then_some((true, None, None));
            }
            "default" => close(entry.replace((false, None, None))),
            "login" => {
                let value = words.next();
                if let Some(entry) = &mut entry {
                    entry.1 = value;
                }
            }
            "password" => {
                let value = words.next();
                if let Some(entry) = &mut entry {
                    entry.2 = value;
                }
            }
            _ => {}
        }
    }
    close(entry);
    of_user.or(found).or(default)
}

/// Splits the text into words, quoted ones included, without comments and macros.
fn words_of(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with("macdef") {
            // A macro ends at an empty line.
            lines.by_ref().find(|line| line.trim().is_empty());
            continue;
        }
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                c if c.is_whitespace() => {}
                '#' => break,
                '"' => {
                    let mut word = String::new();
                    while let Some(c) = chars.next() {
                        match c {
                            '"' => break,
                            '\\' => word.extend(chars.next()),
                            c => word.push(c),
                        }
                    }
                    words.push(word);
                }
                c => {
                    let mut word = String::from(c);
                    while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
                        word.push(c);
                    }
                    words.push(word);
                }
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use compose_testkit::fuzz::feed;

    use super::*;

    #[test]
    fn netrc_is_read_as_by_curl() {
        let text = "# mine\nmachine a login me password one\nmacdef init\n machine b password no\n\n\
                    machine b\n  login you\n  password \"two \\\"words\"\ndefault login any password rest";
        let of = |host: &str| from_netrc(text, host, None);
        let pair = |login: &str, secret: &str| Some(Credential::new(login, secret));
        assert_eq!(of("a"), pair("me", "one"));
        assert_eq!(of("b"), pair("you", "two \"words"));
        assert_eq!(of("c"), pair("any", "rest"));
        assert_eq!(from_netrc("machine a login x password y", "b", None), None);
        // The parser of addresses has made the host's letters small.
        let capitals = "machine Git.Example.com login x password y";
        assert_eq!(from_netrc(capitals, "git.example.com", None), pair("x", "y"));
        let two = "machine a login x password one machine a login y password two machine a password three";
        let of = |user: &str| from_netrc(two, "a", Some(user));
        assert_eq!(of("y"), pair("y", "two"));
        assert_eq!(of("z"), pair("z", "three"));
        assert_eq!(from_netrc(two, "a", None), pair("x", "one"));
        // Some hosts take any login with a token, and their addresses name an organisation.
        let one = "machine a login x password one";
        assert_eq!(from_netrc(one, "a", Some("org")), pair("x", "one"));
    }
    #[test]
    fn damaged_files_are_read_without_inventing_words() {
        let seeds = [
            "machine a login me password one\nmacdef init\n machine b password no\n\nmachine b login you password two\n",
            "# mine\nmachine \"a\" login \"m e\" password \"t\\\"wo\" account x\ndefault login any password rest",
        ];
        let pieces = [
            "machine ",
            "default ",
            "login ",
            "password ",
            "macdef x\n",
            "\"",
            "\\",
            "#",
            "\n",
            "\n\n",
            " ",
            "\0",
            "\r",
            "\u{85}",
            "\u{1f600}",
        ];
        feed(500, &seeds, &pieces, |text, _| {
            let text = String::from_utf8_lossy(text);
            let words = words_of(&text);
            // All words that are read occur in the text, in this order.
            let mut rest = text.chars();
            assert!(
                words
                    .iter()
                    .flat_map(|word| word.chars())
                    .all(|c| rest.any(|other| other == c))
            );
            for host in ["a", "b", ""] {
                let found = from_netrc(&text, host, None);
                assert!(found.is_none() || words.iter().any(|word| word == "password"));
            }
        });
    }
}
