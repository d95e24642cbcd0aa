//! The pages of GitHub and GitLab that compare two tags of a repo.

use compose_model::{RepoUrl, env, url::Scheme};

/// The hosts that are known to have such pages.
pub(crate) struct Hosts(Vec<Host>);

struct Host {
    /// The address up to the path: `https://github.com`.
    base: String,
    /// Any address on it.
    example: RepoUrl,
    /// What stands between the repo and the tags.
    infix: &'static str,
}

const GITHUB: &str = "/compare/";
const GITLAB: &str = "/-/compare/";

impl Hosts {
    /// Returns github.com and gitlab.com, and the hosts that the variables of the two services' runners name.
    pub(crate) fn from_env(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let named = [(env::GITHUB_SERVER_URL, GITHUB), (env::CI_SERVER_URL, GITLAB)];
        let named = named
            .into_iter()
            .filter_map(|(name, infix)| Host::of(&variable(name)?, infix));
        let fixed = [("https://github.com", GITHUB), ("https://gitlab.com", GITLAB)];
        let fixed = fixed.into_iter().filter_map(|(url, infix)| Host::of(url, infix));
        Self(fixed.chain(named).collect())
    }

    /// Returns the page that compares two tags, if the repo's host has one.
    pub(crate) fn page(&self, repo: &RepoUrl, from: &str, to: &str) -> Option<String> {
        let host = self.0.iter().find(|host| host.has(repo))?;
        let path = repo.path().trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        let is_repo = path.contains('/') && path.split('/').all(|part| !part.is_empty() && !is_dots(part));
        let (path, from, to) = (encoded(path), encoded(from), encoded(to));
        is_repo.then(|| format!("{}/{path}{}{from}...{to}", host.base, host.infix))
    }
}

impl Host {
    fn of(url: &str, infix: &'static str) -> Option<Self> {
        let example = RepoUrl::parse(&format!("{}/x", url.trim_end_matches('/'))).ok()?;
        let scheme = match example.scheme() {
            Scheme::Https => "https",
            Scheme::Http => "http",
            Scheme::Ssh | Scheme::File => return None,
        };
        let port = example.port().map_or_else(String::new, |port| format!(":{port}"));
        Some(Self {
            base: format!("{scheme}://{}{port}", example.host()?),
            example,
            infix,
        })
    }

    /// Returns whether a repo is there. The port of ssh says nothing about that of the pages.
    fn has(&self, repo: &RepoUrl) -> bool {
        let is_same = match repo.scheme() {
            Scheme::Ssh => true,
            scheme => scheme == self.example.scheme() && repo.port() == self.example.port(),
        };
        is_same && repo.host().is_some() && repo.host() == self.example.host()
    }
}

fn is_dots(part: &str) -> bool {
    matches!(part, "." | "..")
}

/// Encodes everything that could end an address or a link of Markdown.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' | b'/' | b'-' | b'.' | b'@' | b'+' | b'~' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_those_of_hosts_that_are_known() {
        let variable = |name: &str| match name {
            "GITHUB_SERVER_URL" => Some("https://ghe.corp:8443/".to_owned()),
            "CI_SERVER_URL" => Some("http://gitlab.corp".to_owned()),
            _ => None,
        };
        let hosts = Hosts::from_env(&variable);
        for (repo, page) in [
            (
                "https://github.com/o/r",
                Some("https://github.com/o/r/compare/1.0.0...eks/v1.1.0"),
            ),
            (
                "https://me@GitHub.com/o/r.git/",
                Some("https://github.com/o/r/compare/1.0.0...eks/v1.1.0"),
            ),
            (
                "git@github.com:o/r.git",
                Some("https://github.com/o/r/compare/1.0.0...eks/v1.1.0"),
            ),
            (
                "ssh://git@ghe.corp:2222/o/r",
                Some("https://ghe.corp:8443/o/r/compare/1.0.0...eks/v1.1.0"),
            ),
            (
                "https://gitlab.com/g/h/r",
                Some("https://gitlab.com/g/h/r/-/compare/1.0.0...eks/v1.1.0"),
            ),
            (
                "http://gitlab.corp/g/r",
                Some("http://gitlab.corp/g/r/-/compare/1.0.0...eks/v1.1.0"),
            ),
            ("https://ghe.corp/o/r", None),
            ("https://github.com/o", None),
            ("https://github.com/o/../r", None),
            ("https://github.com.evil/o/r", None),
            ("https://bitbucket.org/o/r", None),
            ("/github.com/o/r", None),
        ] {
            let repo = RepoUrl::parse(repo).unwrap();
            assert_eq!(
                hosts.page(&repo, "1.0.0", "eks/v1.1.0").as_deref(),
                page,
                "{repo}"
            );
        }
        let repo = RepoUrl::parse("https://github.com/o/r)").unwrap();
        let page = hosts.page(&repo, "a|b", "x)](y)<é").unwrap();
        assert_eq!(
            page,
            "https://github.com/o/r%29/compare/a%7Cb...x%29%5D%28y%29%3C%C3%A9"
        );
    }
}
