//! Catalogs behind a server, and the sources to fetch from them.

use std::path::Path;
use std::time::Duration;

use compose_testkit::{Catalog, GitServer, example};

/// The files of each padding environment; scenarios choose the number of environments.
pub(crate) const FILES_EACH: usize = 12;

/// The tag of repos outside of the example.
const VERSION: &str = "1.0.0";

/// One entry of `default-environments`.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) url: String,
    pub(crate) environment: String,
    pub(crate) version: String,
}

/// A server, and the sources to fetch from it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) server: GitServer,
    pub(crate) sources: Vec<Source>,
    /// Removed when the world is dropped.
    _root: tempfile::TempDir,
}

/// The example's sources: repo, environment and version.
const SIX: [(&str, &str, &str); 6] = [
    ("kubernetes", "eks", "1.0.0"),
    ("observability", "promStack", "1.2.0"),
    ("observability", "grafanaStack", "1.1.0"),
    ("k8s-ingress", "nginx", "1.0.0"),
    ("k8s-service-mesh", "istio", "1.0.5"),
    ("stackstorm", "ha-k8s", "1.0.0"),
];

impl World {
    /// The six-source example, with `environments` more environments in each of its five repos.
    pub(crate) fn six_sources(environments: usize, latency: Duration) -> Self {
        let root = root();
        let mut catalogs = example::catalogs();
        let mut commits = Vec::new();
        for (repo, environment, version) in SIX {
            let name = format!("{}/{repo}", example::ORGANISATION);
            commits.push((name, environment, version));
        }
        for (catalog, repo) in catalogs.iter_mut().zip([
            "kubernetes",
            "observability",
            "k8s-ingress",
            "k8s-service-mesh",
            "stackstorm",
        ]) {
            catalog.padding(environments, FILES_EACH);
            let mut versions: Vec<_> = SIX.iter().filter(|six| six.0 == repo).map(|six| six.2).collect();
            versions.sort_unstable();
            for version in versions {
                // Moves the tags to commits with the padding.
                catalog
                    .file("CHANGELOG.md", format!("## {version}, padded\n"))
                    .tag(version);
            }
            catalog.build(root.path());
        }
        Self::serve(root, latency, |server| {
            commits
                .iter()
                .map(|(name, environment, version)| Source {
                    url: server.url(name),
                    environment: (*environment).to_owned(),
                    version: (*version).to_owned(),
                })
                .collect()
        })
    }

    /// One source of a repo with `environments` environments.
    pub(crate) fn one_of(environments: usize, latency: Duration) -> Self {
        let root = root();
        let mut catalog = Catalog::new("catalog");
        let repo = catalog
            .padding(environments, FILES_EACH)
            .tag(VERSION)
            .build(root.path());
        Self::serve(root, latency, |server| {
            vec![Source {
                url: server.url(repo.name()),
                environment: format!("env-{:04}", environments / 2),
                version: VERSION.to_owned(),
            }]
        })
    }

    /// `each` sources in each of `count` repos, which have `environments` other environments.
    pub(crate) fn of_many_repos(count: usize, each: usize, environments: usize, latency: Duration) -> Self {
        Self::repos(count, each, environments, latency, VERSION, |catalog| {
            catalog.tag(VERSION);
        })
    }

    /// Like [`World::of_many_repos`], with `tags` tags in each repo; each source requests the highest
    /// version below 6.
    pub(crate) fn tags(count: usize, each: usize, tags: usize, latency: Duration) -> Self {
        Self::repos(count, each, each, latency, ">=0.0.1, <6", |catalog| {
            for tag in 0..tags {
                catalog.tag(&format!("{}.{}.{}", tag / 100, tag / 10 % 10, tag % 10));
            }
        })
    }

    fn repos(
        count: usize,
        each: usize,
        environments: usize,
        latency: Duration,
        version: &str,
        tag: impl Fn(&mut Catalog),
    ) -> Self {
        let root = root();
        let repos: Vec<_> = (0..count)
            .map(|number| {
                let mut catalog = Catalog::new(&format!("catalog-{number:02}"));
                catalog.padding(environments, FILES_EACH);
                for one in 0..each {
                    // No other source has these paths: only fetching is measured here.
                    for file in 0..FILES_EACH {
                        let text = text_like(&catalog, one, file);
                        catalog.file(
                            &format!("stack-{one}/helm/app-{number:02}-{one}/templates/{file:02}.yaml"),
                            text,
                        );
                    }
                }
                tag(&mut catalog);
                let repo = catalog.build(root.path());
                // Packed refs, as on a server.
                repo.git(["pack-refs", "--all"]);
                repo
            })
            .collect();
        Self::serve(root, latency, |server| {
            let source = |repo: &compose_testkit::Repo, one: usize| Source {
                url: server.url(repo.name()),
                environment: format!("stack-{one}"),
                version: version.to_owned(),
            };
            repos
                .iter()
                .flat_map(|repo| (0..each).map(move |one| source(repo, one)))
                .collect()
        })
    }

    fn serve(
        root: tempfile::TempDir,
        latency: Duration,
        sources: impl FnOnce(&GitServer) -> Vec<Source>,
    ) -> Self {
        let server = GitServer::start(root.path());
        server.set_latency(latency);
        let sources = sources(&server);
        Self {
            server,
            sources,
            _root: root,
        }
    }
}

/// Returns the text of a padding file of the catalog.
fn text_like(catalog: &Catalog, environment: usize, file: usize) -> String {
    let path = format!(
        "env-{environment:04}/helm/chart-{}/values-{file:02}.yaml",
        file % 3
    );
    catalog.text(&path).expect("the padding has it").to_owned()
}

fn root() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("compose-bench-")
        .tempdir()
        .unwrap_or_else(|error| panic!("cannot make a temporary directory: {error}"))
}

/// Returns an environment config with the sources.
pub(crate) fn config(sources: &[Source]) -> String {
    let mut text = String::from("default-environments:\n");
    for source in sources {
        let Source {
            url,
            environment,
            version,
        } = source;
        text.push_str(&format!(
            "- {{repo: \"{url}\", environment: {environment}, version: \"{version}\"}}\n"
        ));
    }
    text
}

/// Creates a directory for one run.
pub(crate) fn scratch() -> tempfile::TempDir {
    root()
}

/// Returns whether a directory has any entries.
pub(crate) fn holds_files(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some())
}
