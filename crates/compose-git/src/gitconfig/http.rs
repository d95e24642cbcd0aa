//! The settings of `http.*` and `http.<address>.*`: proxy, certificates, headers and the lowest
//! speed.

use std::path::{Path, PathBuf};

use gix::{
    bstr::{BStr, ByteSlice as _},
    config::file::SectionRef,
};
use reqwest::Url;

use super::pattern::matches;

/// The files of certificates for one address.
pub(crate) struct TlsFiles {
    /// Trusted certificates.
    pub(crate) authorities: Option<PathBuf>,
    /// A directory of trusted certificates.
    pub(crate) directory: Option<PathBuf>,
    /// The client's certificate.
    pub(crate) certificate: Option<PathBuf>,
    /// Its key.
    pub(crate) key: Option<PathBuf>,
}

/// The settings in the order of the files, each with the address that it is for.
#[derive(Debug, Default)]
pub(super) struct HttpConfig(Vec<(Option<String>, HttpSetting)>);

enum HttpSetting {
    Proxy(String),
    Authorities(PathBuf),
    Directory(PathBuf),
    Certificate(PathBuf),
    Key(PathBuf),
    /// `Name: value`; an empty header clears the list so far.
    Header(String),
    LowSpeedTime(u64),
    LowSpeedLimit(u64),
}

impl std::fmt::Debug for HttpSetting {
    /// Hides the values: proxies and headers may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HttpSetting(…)")
    }
}

impl HttpConfig {
    pub(super) fn take(&mut self, section: &SectionRef<'_>, home: Option<&Path>) {
        let text = |value: &BStr| value.to_str_lossy().into_owned();
        if !section.header().name().eq_ignore_ascii_case(b"http") {
            return;
        }
        let of = section.header().subsection_name().map(text);
        let last = |key: &str| section.value(key).map(|value| text(value.as_ref()));
        let number = |key: &str| last(key)?.trim().parse().ok();
        let one = [
            last("proxy").map(HttpSetting::Proxy),
            last("sslCAInfo").map(|path| HttpSetting::Authorities(expanded(&path, home))),
            last("sslCAPath").map(|path| HttpSetting::Directory(expanded(&path, home))),
            last("sslCert").map(|path| HttpSetting::Certificate(expanded(&path, home))),
            last("sslKey").map(|path| HttpSetting::Key(expanded(&path, home))),
            number("lowSpeedTime").map(HttpSetting::LowSpeedTime),
            number("lowSpeedLimit").map(HttpSetting::LowSpeedLimit),
        ];
        self.0
            .extend(one.into_iter().flatten().map(|key| (of.clone(), key)));
        for header in section.values("extraHeader") {
            let header = text(header.as_ref());
            if of.is_none() && !header.is_empty() {
                // It would be sent to every host, and most such headers hold a login.
                tracing::warn!(
                    "http.extraHeader of git's configuration is for no address, and is not sent: \
                         write it as http.https://HOST/.extraHeader"
                );
            } else {
                self.0.push((of.clone(), HttpSetting::Header(header)));
            }
        }
    }

    /// Returns the setting with the longest pattern that matches the address; of several, the last
    /// one.
    fn best<T>(&self, url: Option<&Url>, pick: impl Fn(&HttpSetting) -> Option<T>) -> Option<T> {
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
            HttpSetting::Proxy(address) => Some(address.clone()),
            _ => None,
        })
    }

    pub(super) fn tls(&self, url: &Url) -> TlsFiles {
        let path = |pick: fn(&HttpSetting) -> Option<&PathBuf>| {
            self.best(Some(url), |key| pick(key).cloned())
                .filter(|path| !path.as_os_str().is_empty())
        };
        TlsFiles {
            authorities: path(|key| match key {
                HttpSetting::Authorities(path) => Some(path),
                _ => None,
            }),
            directory: path(|key| match key {
                HttpSetting::Directory(path) => Some(path),
                _ => None,
            }),
            certificate: path(|key| match key {
                HttpSetting::Certificate(path) => Some(path),
                _ => None,
            }),
            key: path(|key| match key {
                HttpSetting::Key(path) => Some(path),
                _ => None,
            }),
        }
    }

    pub(super) fn low_speed(&self) -> (Option<u64>, Option<u64>) {
        let time = |key: &HttpSetting| match key {
            HttpSetting::LowSpeedTime(seconds) => Some(*seconds),
            _ => None,
        };
        let limit = |key: &HttpSetting| match key {
            HttpSetting::LowSpeedLimit(rate) => Some(*rate),
            _ => None,
        };
        (self.best(None, time), self.best(None, limit))
    }

    pub(super) fn extra_headers(&self, url: &Url) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        for (pattern, key) in &self.0 {
            let HttpSetting::Header(header) = key else {
                continue;
            };
            if !pattern.as_deref().is_none_or(|pattern| matches(pattern, url)) {
                continue;
            }
            match header.split_once(':') {
                None if header.is_empty() => headers.clear(),
                // git would send a line that is not a header; it is skipped here.
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
    fn the_longest_matching_pattern_wins() {
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
            config.tls(&url("https://git.corp/x")).authorities,
            Some(dir.path().join("ca.pem"))
        );
        assert_eq!(config.low_speed(), (Some(5), None));
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn headers_are_sent_to_their_address_and_never_to_all() {
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
