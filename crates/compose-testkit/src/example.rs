//! The examples of the project's documentation, as catalogs and configs.
//!
//! They are plain files in `docs/examples`, where users can read them; this module gives them a
//! history.

use std::path::{Path, PathBuf};

use crate::catalog::Catalog;
use crate::repo::Repo;

/// The organization in the examples' URLs.
pub const ORGANISATION: &str = "bitops-operations-repos";

/// The start of the examples' URLs.
pub const ADDRESS: &str = "https://github.com";

/// The history of a catalog.
struct History {
    repo: &'static str,
    /// The tags, oldest first.
    tags: &'static [&'static str],
    /// The environments, each with the tag that added it.
    environments: &'static [(&'static str, &'static str)],
}

const HISTORIES: [History; 5] = [
    History {
        repo: "kubernetes",
        tags: &["0.9.0", "1.0.0"],
        environments: &[("eks", "0.9.0")],
    },
    History {
        repo: "observability",
        tags: &["1.0.0", "1.1.0", "1.2.0"],
        environments: &[("promStack", "1.0.0"), ("grafanaStack", "1.1.0")],
    },
    History {
        repo: "k8s-ingress",
        tags: &["1.0.0"],
        environments: &[("nginx", "1.0.0")],
    },
    History {
        repo: "k8s-service-mesh",
        tags: &["1.0.4", "1.0.5"],
        environments: &[("istio", "1.0.4")],
    },
    History {
        repo: "stackstorm",
        tags: &["1.0.0"],
        environments: &[("ha-k8s", "1.0.0"), ("ha-vm-aws", "1.0.0")],
    },
];

/// Returns `docs/examples` in the source tree from which the kit was compiled.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples")
}

/// Returns the five catalogs of the six-source example before they are built, so that a test or a
/// benchmark can extend them.
///
/// Each is named `bitops-operations-repos/<repo>`. Charts have the version of their catalog, so
/// every tag has different content.
pub fn catalogs() -> Vec<Catalog> {
    HISTORIES
        .iter()
        .map(
            |History {
                 repo,
                 tags,
                 environments,
             }| {
                let from = directory().join("catalogs").join(repo);
                let mut catalog = Catalog::new(&format!("{ORGANISATION}/{repo}"));
                catalog.file("README.md", read(&from.join("README.md")));
                for tag in *tags {
                    for (environment, _) in environments.iter().filter(|(_, since)| since == tag) {
                        catalog.directory(environment, &from.join(environment));
                    }
                    catalog.file("CHANGELOG.md", format!("## {tag}\n"));
                    set_chart_versions(&mut catalog, tag);
                    catalog.tag(tag);
                }
                catalog
            },
        )
        .collect()
}

/// Builds the [`catalogs`] below `root`.
pub fn six_sources(root: &Path) -> Vec<Repo> {
    catalogs().iter_mut().map(|catalog| catalog.build(root)).collect()
}

/// Returns the environment config of an example (`six-sources`, `five-sources`, `ha-vm-aws`), with
/// its repos at `address` (such as a server's, without a trailing slash) instead of [`ADDRESS`].
pub fn config(example: &str, address: &str) -> String {
    read(&directory().join(example).join("dev/bitops.config.yaml")).replace(ADDRESS, address)
}

fn set_chart_versions(catalog: &mut Catalog, version: &str) {
    let charts: Vec<String> = catalog
        .paths()
        .filter(|path| path.ends_with("/Chart.yaml"))
        .map(str::to_owned)
        .collect();
    for path in charts {
        let text = catalog.text(&path).unwrap_or_default();
        let lines = text.lines().map(|line| match line.strip_prefix("version: ") {
            Some(_) => format!("version: {version}\n"),
            None => format!("{line}\n"),
        });
        let text: String = lines.collect();
        catalog.file(&path, text);
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}
