//! Decides which repos may be contacted at all, from `BITOPS_COMPOSE_ALLOW`.

use compose_model::{Cause, ExitCode, RepoUrl, env};

/// Globs over a repo's whole URL, one of which must match. An empty list allows everything.
///
/// `*` matches any text, including `/`; no other character is special.
/// `https://github.com/my-org/*` allows the repos of one organisation. The slash matters:
/// `https://github.com*` would also allow `https://github.com.evil.example/x`. A glob is compared
/// with the URL as written and with its normal form (no default port, no `.git`, ssh addresses as
/// `ssh://user@host/path`). The case of the host does not matter in either form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow(Vec<String>);

/// A repo that the policy refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{repo} is not among the repos that {} allows", env::ALLOW)]
pub struct NotAllowed {
    /// The repo's address.
    pub repo: RepoUrl,
}

impl Cause for NotAllowed {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Refused
    }

    fn hint(&self) -> Option<String> {
        Some(format!(
            "add a glob for it to {}, or remove the source",
            env::ALLOW
        ))
    }
}

impl Allow {
    /// Returns the policy of these globs.
    pub fn new(globs: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let globs = globs.into_iter().map(Into::into);
        Self(globs.map(|glob| with_lower_case_host(&glob)).collect())
    }

    /// Returns whether this repo may be contacted.
    pub fn allows(&self, repo: &RepoUrl) -> bool {
        let written = with_lower_case_host(repo.as_str());
        let matches = |glob: &String| matches(glob, &written) || matches(glob, repo.key());
        self.0.is_empty() || (!climbs(repo.path()) && self.0.iter().any(matches))
    }

    /// Returns an error for a repo that may not be contacted.
    pub fn check(&self, repo: &RepoUrl) -> Result<(), NotAllowed> {
        if self.allows(repo) {
            return Ok(());
        }
        Err(NotAllowed { repo: repo.clone() })
    }
}

/// Returns whether a path climbs with `..` or `.`. `https://host/org/../other/repo` reaches
/// `other/repo`, because both HTTP clients and servers resolve such paths.
fn climbs(path: &str) -> bool {
    let dots = |part: &str| matches!(part.to_lowercase().replace("%2e", ".").as_str(), "." | "..");
    path.to_lowercase().replace("%2f", "/").split('/').any(dots)
}

/// Returns an address, or a glob for addresses, with its host in lower case.
fn with_lower_case_host(text: &str) -> String {
    let (start, end) = match text.split_once("://") {
        Some((scheme, rest)) => {
            let start = scheme.len() + "://".len();
            (start, start + rest.find('/').unwrap_or(rest.len()))
        }
        None => (0, text.find(['/', ':']).unwrap_or(0)),
    };
    let host = start + text[start..end].rfind('@').map_or(0, |at| at + 1);
    let mut lower = text.to_owned();
    lower[host..end].make_ascii_lowercase();
    lower
}

fn matches(glob: &str, text: &str) -> bool {
    let Some((start, rest)) = glob.split_once('*') else {
        return glob == text;
    };
    let Some(mut text) = text.strip_prefix(start) else {
        return false;
    };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    // The leftmost match of each part leaves the most text for the others.
    for part in middle.split('*') {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(globs: &str, url: &str) -> bool {
        Allow::new(globs.split(',').filter(|glob| !glob.is_empty())).allows(&RepoUrl::parse(url).unwrap())
    }

    #[test]
    fn a_glob_is_held_against_the_whole_url() {
        for (globs, url, allowed) in [
            ("", "https://anywhere/x", true),
            ("https://host/org/*", "https://host/org/repo", true),
            ("https://host/org/*", "https://host/org/group/repo.git", true),
            ("https://host/org/*", "https://HOST:443/org/repo", true),
            ("https://Host/org/*", "https://host/org/repo", true),
            ("https://host/org/repo.git", "https://HOST/org/repo.git", true),
            ("https://host/org/*", "https://host/Org/repo", false),
            ("git@Work:org/*", "git@Work:org/repo", true),
            ("ssh://git@work/*", "git@Work:org/repo", true),
            ("git@work:*", "Git@work:org/repo", false),
            ("https://host/org/*", "https://host/organisation/repo", false),
            ("https://host/org/*", "https://host.evil/org/repo", false),
            ("https://host/org/*", "http://host/org/repo", false),
            ("https://host/org/*", "https://evil/https://host/org/x", false),
            ("https://host/org/repo", "https://host/org/repo.git", true),
            ("https://host/org/repo", "https://host/org/repo2", false),
            ("ssh://git@host/*", "git@host:org/repo", true),
            ("git@host:org/*", "git@host:org/repo", true),
            ("a,https://host/*-catalog", "https://host/x/eks-catalog", true),
            ("https://*/org/*/a*", "https://host/org/b/abc", true),
            ("https://*/org/*/a*", "https://host/org/abc", false),
            ("https://h/ab*b", "https://h/ab", false),
            ("https://h*", "https://h/x", true),
            ("*", "/srv/catalog", true),
        ] {
            assert_eq!(allows(globs, url), allowed, "{globs} {url}");
        }
    }

    #[test]
    fn a_path_that_climbs_out_of_the_glob_is_refused() {
        for path in [
            "org/../evil/repo",
            "org/%2e%2E/evil",
            "org/.%2e/evil",
            "org/..%2fevil/x",
            "org/./repo",
            "org/..",
        ] {
            assert!(
                !allows("https://host/org/*", &format!("https://host/{path}")),
                "{path}"
            );
            assert!(!allows("git@host:org/*", &format!("git@host:{path}")), "{path}");
        }
        assert!(allows("https://host/org/*", "https://host/org/..repo"));
    }
}
