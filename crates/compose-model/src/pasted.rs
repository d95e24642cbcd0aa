//! The addresses of repos as people paste them: from a browser, from Terraform's sources, from other tools.

use crate::{InvalidUrl, RepoUrl};

/// A repo, with what else its address says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastedAddress {
    /// The repo.
    pub repo: RepoUrl,
    /// A branch, tag or commit in the address.
    pub reference: Option<String>,
    /// A directory in the address.
    pub directory: Option<String>,
}

impl PastedAddress {
    /// Reads an address.
    ///
    /// | form | from |
    /// |---|---|
    /// | `ORG/REPO` | GitHub's short form |
    /// | `https://github.com/ORG/REPO/tree/REF/DIR`, `…/blob/…`, `…/releases/tag/REF` | GitHub's pages |
    /// | `https://gitlab.com/GROUP/REPO/-/tree/REF/DIR` | GitLab's pages |
    /// | `https://bitbucket.org/ORG/REPO/src/REF/DIR` | Bitbucket's pages |
    /// | `https://HOST/ORG/REPO/src/tag/REF/DIR` | Gitea's and Forgejo's pages |
    /// | `git::https://HOST/REPO.git//DIR?ref=REF` | Terraform's and go-getter's sources |
    /// | any address of a repo | |
    ///
    /// A ref in a page's address ends at the first slash, since the address does not say where it ends.
    ///
    /// # Errors
    ///
    /// If what remains is not a repo's address.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let text = text.trim();
        if let Some(short) = github_short(text) {
            return Self::of(&short, None, None);
        }
        let text = text.strip_prefix("git::").unwrap_or(text);
        let (text, query) = match text.split_once('?') {
            Some((text, query)) => (text, Some(query)),
            None => (text, None),
        };
        let by_query = query.and_then(|query| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == "ref").map(|(_, value)| value)
        });
        let (text, below) = split_double_slash(text);
        let page = if below.is_some() { None } else { page(text) };
        match page {
            Some((repo, reference, directory)) => Self::of(repo, by_query.or(reference), directory),
            None => Self::of(text, by_query, below),
        }
    }

    /// Returns whether an address is certainly that of a page in a browser, and not of a repo: repos
    /// of the well-known hosts have paths of two parts, and GitLab reserves `/-/`.
    pub fn is_page(text: &str) -> bool {
        let Some((repo, ..)) = page(text) else {
            return false;
        };
        let of_known_host = ["github.com", "bitbucket.org", "codeberg.org"]
            .into_iter()
            .any(|host| {
                text.strip_prefix("https://")
                    .is_some_and(|rest| rest.strip_prefix(host).is_some_and(|rest| rest.starts_with('/')))
            });
        of_known_host || text[repo.len()..].starts_with("/-/")
    }

    fn of(repo: &str, reference: Option<&str>, directory: Option<&str>) -> Result<Self, InvalidUrl> {
        let named = |text: Option<&str>| {
            let text = text?.trim_matches('/');
            (!text.is_empty()).then(|| text.to_owned())
        };
        Ok(Self {
            repo: RepoUrl::parse(repo.trim_end_matches('/'))?,
            reference: named(reference),
            directory: named(directory),
        })
    }
}

/// Returns GitHub's address for `ORG/REPO`.
fn github_short(text: &str) -> Option<String> {
    let (org, repo) = text.split_once('/')?;
    let is_name = |name: &str| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !name.is_empty() && !name.starts_with(['.', '-']) && name.chars().all(is_part)
    };
    (is_name(org) && is_name(repo)).then(|| format!("https://github.com/{org}/{repo}"))
}

/// Splits `https://host/repo//dir` as go-getter does: at the first `//` after the scheme.
fn split_double_slash(text: &str) -> (&str, Option<&str>) {
    let start = text.find("://").map_or(0, |at| at + 3);
    match text[start..].split_once("//") {
        Some((repo, dir)) if !repo.is_empty() => (&text[..start + repo.len()], Some(dir)),
        _ => (text, None),
    }
}

/// Splits the address of a page into the repo, the ref and the directory.
fn page(text: &str) -> Option<(&str, Option<&str>, Option<&str>)> {
    let start = text.strip_prefix("https://").map(|_| "https://".len())?;
    // A repo's own path has at least two parts behind the host.
    let host_end = start + text[start..].find('/')?;
    let org_end = host_end + 1 + text[host_end + 1..].find('/')?;
    let marks = [
        "/-/tree/",
        "/-/blob/",
        "/-/tags/",
        "/tree/",
        "/blob/",
        "/releases/tag/",
        "/src/branch/",
        "/src/tag/",
        "/src/commit/",
        "/src/",
    ];
    let (at, mark) = marks
        .iter()
        .find_map(|mark| Some((org_end + 1 + text.get(org_end + 1..)?.find(mark)?, mark)))?;
    let rest = &text[at + mark.len()..];
    let (reference, directory) = match rest.split_once('/') {
        Some((reference, directory)) => (reference, Some(directory)),
        None => (rest, None),
    };
    Some((&text[..at], Some(reference), directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_paste_them() {
        for (text, repo, reference, directory) in [
            (
                "bitops-operations-repos/kubernetes",
                "https://github.com/bitops-operations-repos/kubernetes",
                "",
                "",
            ),
            ("https://github.com/o/r", "https://github.com/o/r", "", ""),
            ("https://github.com/o/r/", "https://github.com/o/r", "", ""),
            ("https://github.com/o/r.git", "https://github.com/o/r.git", "", ""),
            (
                " https://github.com/o/r/tree/v1.2.0/stacks/eks/ ",
                "https://github.com/o/r",
                "v1.2.0",
                "stacks/eks",
            ),
            (
                "https://github.com/o/r/tree/main",
                "https://github.com/o/r",
                "main",
                "",
            ),
            (
                "https://github.com/o/r/releases/tag/v1.2.0",
                "https://github.com/o/r",
                "v1.2.0",
                "",
            ),
            (
                "https://gitlab.com/g/sub/r/-/tree/main/eks?ref_type=heads",
                "https://gitlab.com/g/sub/r",
                "main",
                "eks",
            ),
            (
                "https://bitbucket.org/o/r/src/1.0.0/eks/",
                "https://bitbucket.org/o/r",
                "1.0.0",
                "eks",
            ),
            (
                "https://codeberg.org/o/r/src/tag/v1/eks",
                "https://codeberg.org/o/r",
                "v1",
                "eks",
            ),
            (
                "git::https://host/o/r.git//eks?ref=v1",
                "https://host/o/r.git",
                "v1",
                "eks",
            ),
            (
                "git::ssh://git@host/o/r//stacks/eks?depth=1&ref=main",
                "ssh://git@host/o/r",
                "main",
                "stacks/eks",
            ),
            ("git@github.com:o/r.git", "git@github.com:o/r.git", "", ""),
            ("/srv/catalogs/r", "/srv/catalogs/r", "", ""),
            // A group and a repo whose names are marks.
            ("https://host/tree/blob", "https://host/tree/blob", "", ""),
        ] {
            let found = PastedAddress::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let or_none = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            assert_eq!(found.repo.as_str(), repo, "{text}");
            assert_eq!(
                (found.reference, found.directory),
                (or_none(reference), or_none(directory)),
                "{text}"
            );
        }
        for text in ["", "eks", "./r", "../o/r", "https://user:secret@host/o/r"] {
            assert!(PastedAddress::parse(text).is_err(), "{text}");
        }
    }
}
