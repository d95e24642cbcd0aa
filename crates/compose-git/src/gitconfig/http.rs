//! `http.*` and `http.<address>.*`: proxy, certificates, headers, and when a line is too slow.

use std::path::{Path, PathBuf};

use gix::bstr::{BStr, ByteSlice as _};
use reqwest::Url;

use super::pattern::matches;

/// In the order of the files: the address they are for, and what is set.
#[derive(Debug, Default)]
pub(super) struct HttpConfig(Vec<(Option<String>, Key)>);

enum Key {
    Proxy(String),
    Authorities(PathBuf),
    /// `Name: value`; empty: forget the ones before.
    Header(String),
    LowSpeedTime(u64),
    LowSpeedLimit(u64),
}

impl std::fmt::Debug for Key {
    /// Proxies and headers hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

impl HttpConfig {
    pub(super) fn take(&mut self, file: &gix::config::File, home: Option<&Path>) {
        let text = |value: &BStr| value.to_str_lossy().into_owned();
        let http = |name: &BStr| name.eq_ignore_ascii_case(b"http");
        for section in file.sections().filter(|section| http(section.header().name())) {
            let of = section.header().subsection_name().map(text);
            let last = |key: &str| section.value(key).map(|value| text(value.as_ref()));
            let number = |key: &str| last(key)?.trim().parse().ok();
            let one = [
                last("proxy").map(Key::Proxy),
                last("sslCAInfo").map(|path| Key::Authorities(expanded(&path, home))),
                number("lowSpeedTime").map(Key::LowSpeedTime),
                number("lowSpeedLimit").map(Key::LowSpeedLimit),
            ];
            self.0
                .extend(one.into_iter().flatten().map(|key| (of.clone(), key)));
            for header in section.values("extraHeader") {
                let header = text(header.as_ref());
                if of.is_none() && !header.is_empty() {
                    // It would go to every host: most hold a login.
                    tracing::warn!(
                        "http.extraHeader of git's configuration is for no address, and is not sent: \
                         write it as http.https://HOST/.extraHeader"
                    );
                } else {
                    self.0.push((of.clone(), Key::Header(header)));
                }
            }
        }
    }

    /// Of those that match an address, the one that is meant for it most of all; of equals the last.
    fn best<T>(&self, url: Option<&Url>, pick: impl Fn(&Key) -> Option<T>) -> Option<T> {
        let of = |pattern: &Option<String>| match (pattern, url) {
            (None, _) => Some(0),
            (Some(pattern), Some(url)) if matches(pattern, url) => Some(pattern.len()),
            _ => None,
        };
        let found = self
            .0
            .iter()
            .filter_map(|(pattern, key)| Some((of(pattern)?, pick(key)?)));
        found
            .max_by_key(|(closeness, _)| *closeness)
            .map(|(_, value)| value)
    }

    pub(super) fn proxy(&self, url: &Url) -> Option<String> {
        self.best(Some(url), |key| match key {
            Key::Proxy(address) => Some(address.clone()),
            _ => None,
        })
    }

    pub(super) fn authorities(&self, url: &Url) -> Option<PathBuf> {
        self.best(Some(url), |key| match key {
            Key::Authorities(path) => Some(path.clone()),
            _ => None,
        })
    }

    pub(super) fn low_speed(&self) -> (Option<u64>, Option<u64>) {
        let time = |key: &Key| match key {
            Key::LowSpeedTime(seconds) => Some(*seconds),
            _ => None,
        };
        let limit = |key: &Key| match key {
            Key::LowSpeedLimit(rate) => Some(*rate),
            _ => None,
        };
        (self.best(None, time), self.best(None, limit))
    }

    pub(super) fn extra_headers(&self, url: &Url) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        for (pattern, key) in &self.0 {
            let Key::Header(header) = key else { continue };
            if !pattern.as_deref().is_none_or(|pattern| matches(pattern, url)) {
                continue;
            }
            match header.split_once(':') {
                None if header.is_empty() => headers.clear(),
                // git sends what is no header as well; nobody misses it.
                None => {}
                Some((name, value)) => {
                    headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
                }
            }
        }
        headers
    }
}

fn expanded(path: &str, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => path.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gitconfig::tests::in_home;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn the_closest_setting_of_an_address_counts() {
        let (dir, config) = in_home(
            "[http \"https://git.corp/org\"]\n proxy = org:1\n[http \"https://git.corp\"]\n proxy =\n\
             [http]\n proxy = http://me:secret@all:3128\n sslCAInfo = ~/ca.pem\n lowSpeedTime = 5\n",
        );
        let of = |text: &str| config.proxy(&url(text));
        assert_eq!(of("https://git.corp/org/repo").as_deref(), Some("org:1"));
        assert_eq!(of("https://git.corp/repo").as_deref(), Some(""), "none at all");
        assert_eq!(
            of("https://elsewhere/repo").as_deref(),
            Some("http://me:secret@all:3128")
        );
        assert_eq!(
            config.authorities(&url("https://git.corp/x")),
            Some(dir.path().join("ca.pem"))
        );
        assert_eq!(config.low_speed(), (Some(5), None));
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn headers_are_those_of_an_address_and_none_goes_everywhere() {
        let (_dir, config) = in_home(
            "[http]\n extraHeader = Authorization: bearer all\n[http \"https://git.corp/\"]\n\
             extraHeader = AUTHORIZATION: basic one\n extraHeader = X-Team: a: b\n\
             [http \"https://git.corp/other\"]\n extraHeader =\n extraHeader = X-Team: c\n",
        );
        let of = |text: &str| config.extra_headers(&url(text));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            of("https://git.corp/repo"),
            [pair("authorization", "basic one"), pair("x-team", "a: b")]
        );
        assert_eq!(of("https://git.corp/other/repo"), [pair("x-team", "c")]);
        assert_eq!(of("https://elsewhere/repo"), []);
        assert_eq!(of("http://git.corp/repo"), []);
    }
}
