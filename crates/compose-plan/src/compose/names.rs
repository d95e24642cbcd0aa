//! Short names of sources, and the places of their entries.

use compose_model::{RepoUrl, TreePath, text, url::Scheme};

use crate::{
    layer::{Origin, Source, SourceId},
    resolve::Kind,
};

/// Returns the tag, the branch or the commit of a source, and its commit.
pub(super) fn version(source: &Source) -> String {
    let resolved = text::escape(&source.resolved.name, 80);
    let short = source.resolved.commit.abbreviated();
    if resolved == source.resolved.commit.to_string() {
        short
    } else {
        format!("{resolved} ({short})")
    }
}

/// Names the sources of a composition.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) environment: &'a TreePath,
    pub(super) sources: &'a [Source],
}

impl Names<'_> {
    /// Returns a side as `environment version (org/repo)`.
    pub(super) fn side(self, origin: Origin) -> String {
        match origin {
            Origin::Source(source) => self.source(source),
            Origin::Local => format!("{} (your own)", self.environment),
        }
    }

    pub(super) fn source(self, id: SourceId) -> String {
        let source = &self.sources[id.0];
        let version = match source.resolved.kind {
            Kind::Tag => text::escape(&source.resolved.name, 80),
            _ => version(source),
        };
        format!("{} {version} ({})", source.environment, self.repo(source))
    }

    /// Returns the place of a source's entry, as `file:line`.
    pub(super) fn entry(self, id: SourceId) -> String {
        let place = &self.sources[id.0].place;
        format!("{}:{}", place.file, place.line_column().0)
    }

    /// Returns `org/repo`, or the whole URL if that does not say which repo is meant.
    fn repo(self, source: &Source) -> String {
        let Some(name) = org_and_repo(&source.repo) else {
            return source.repo.to_string();
        };
        let is_another = |other: &&Source| {
            other.environment == source.environment
                && other.repo != source.repo
                && org_and_repo(&other.repo).as_ref() == Some(&name)
        };
        if self.sources.iter().any(|other| is_another(&other)) {
            source.repo.to_string()
        } else {
            name
        }
    }
}

/// Returns the last two components of a URL's path.
fn org_and_repo(repo: &RepoUrl) -> Option<String> {
    if repo.scheme() == Scheme::File {
        return None;
    }
    let path = repo.path().trim_end_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let mut parts = path.rsplit('/').filter(|part| !part.is_empty());
    let (name, org) = (parts.next()?, parts.next()?);
    Some(format!("{org}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::testing::{path, source};

    #[test]
    fn a_name_is_as_short_as_it_is_clear() {
        for (url, name) in [
            ("https://github.com/org/catalog", "org/catalog"),
            ("https://gitlab.com/group/sub/catalog.git/", "sub/catalog"),
            ("git@github.com:org/catalog.git", "org/catalog"),
            ("ssh://git@host:2222/org/catalog", "org/catalog"),
            ("https://host/catalog", "https://host/catalog"),
            ("file:///srv/git/catalog", "file:///srv/git/catalog"),
            ("/srv/git/catalog", "/srv/git/catalog"),
        ] {
            let sources = [source(url, "eks"), source("https://other/x/y", "eks")];
            let names = Names {
                environment: &path("dev"),
                sources: &sources,
            };
            assert_eq!(names.source(SourceId(0)), format!("eks v1.0.0 ({name})"));
        }
        let alike = ["https://a/org/catalog", "https://b/org/catalog.git"];
        let mut sources = alike.map(|url| source(url, "eks")).to_vec();
        sources.push(source("https://c/org/catalog", "web"));
        sources[1].resolved.kind = Kind::Branch;
        sources[1].resolved.name = "main".to_owned();
        let names = Names {
            environment: &path("dev"),
            sources: &sources,
        };
        assert_eq!(names.source(SourceId(0)), "eks v1.0.0 (https://a/org/catalog)");
        let commit = sources[1].resolved.commit.abbreviated();
        assert_eq!(
            names.source(SourceId(1)),
            format!("eks main ({commit}) (https://b/org/catalog.git)")
        );
        assert_eq!(names.source(SourceId(2)), "web v1.0.0 (org/catalog)");
        assert_eq!(names.side(Origin::Local), "dev (your own)");
        assert_eq!(names.entry(SourceId(0)), "dev/bitops.config.yaml:1");
    }
}
