//! `plan --format json` and the manifest for hooks. Section 10 of the design names the fields.
//!
//! Paths of files are relative to the environment they stand in, `../` for what stands beside it; the same holds for
//! `from` and the source's own environment. Names that a remote chose are escaped.

use compose_model::{Diagnostic, TreePath, text};
use serde::Serialize;

use crate::{
    compose::{
        composition::{Action, Composition, Conflict, ConflictKind, Party, Provenance},
        wording,
    },
    layer::{Origin, Source, SourceId},
};

/// What `plan --format json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The local environment.
    pub environment: String,
    /// The sources, lowest first.
    pub sources: Vec<PlanSource>,
    /// Every composed file, sorted by its path in the operations repo.
    pub files: Vec<PlanFile>,
    /// What the pipeline will run, in order.
    pub deployments: Vec<PlanDeployment>,
    /// Every reason not to deploy.
    pub conflicts: Vec<PlanConflict>,
    /// What a reader should know of.
    pub warnings: Vec<PlanWarning>,
}

/// What `$BITOPS_COMPOSE_MANIFEST` names.
#[derive(Clone, Debug, Serialize)]
pub struct Manifest {
    /// The version of this format.
    pub version: u32,
    /// The local environment.
    pub environment: String,
    /// The sources, lowest first.
    pub sources: Vec<PlanSource>,
    /// Every composed file, as in [`Plan::files`].
    pub files: Vec<PlanFile>,
    /// What the pipeline will run, in order.
    pub deployments: Vec<PlanDeployment>,
}

/// A source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanSource {
    /// Its repo, without credentials.
    pub repo: String,
    /// Its environment.
    pub environment: String,
    /// The `version` or `ref` that was asked for.
    pub requested: String,
    /// The tag or branch it resolved to.
    pub resolved: String,
    /// The commit.
    pub commit: String,
    /// The environment's tree.
    pub tree: String,
    /// The sources whose own configs led here, outermost first.
    pub via: Vec<PlanVia>,
    /// What it has and its entry leaves out; absent when there is nothing, and in the manifest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<PlanLeftOut>,
}

/// A file that takes no part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanLeftOut {
    /// Where it stands in the source, relative to its environment.
    pub path: String,
    /// The key of the source's entry that says so: `include`, `exclude` or `hooks`.
    pub by: &'static str,
}

/// A source that led to another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanVia {
    /// Its repo.
    pub repo: String,
    /// Its environment.
    pub environment: String,
}

/// A composed file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanFile {
    /// Relative to the environment.
    pub path: String,
    /// How it came to be.
    pub action: &'static str,
    /// Who contributed, lowest first; the last one decides.
    pub from: Vec<PlanFrom>,
    /// What was lost on the way, or why it was not merged; absent when there is nothing to say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// `plan --diff`: unified diffs of a merged or overridden file; absent where nobody asked, or nothing differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diffs: Option<Vec<String>>,
}

/// A contribution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanFrom {
    /// The source's repo; `null`: the operations repo itself.
    pub repo: Option<String>,
    /// The environment in that repo.
    pub environment: String,
    /// The source's commit; `null`: the operations repo itself.
    pub commit: Option<String>,
    /// Relative to that environment.
    pub path: String,
}

/// A deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanDeployment {
    /// Its name.
    pub name: String,
    /// Its plugin.
    pub plugin: String,
}

/// A reason not to deploy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanConflict {
    /// Relative to the environment.
    pub path: String,
    /// `content`, `mode`, `key`, `defined-twice`, `file-against-directory`, `name-collision`, `plugin`,
    /// `deployments-unknown`, `config`, `shared-inside` or `name`.
    pub kind: &'static str,
    /// The key path of a `key` conflict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// One sentence.
    pub message: String,
    /// Who disagrees, lowest first.
    pub between: Vec<PlanParty>,
    /// What to do about it: any one of these.
    pub remedies: Vec<String>,
}

/// One side of a conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanParty {
    /// Who and which file.
    #[serde(flatten)]
    pub from: PlanFrom,
    /// Line in that file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
}

/// A warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanWarning {
    /// One sentence.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The file it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in it, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
}

/// The plan; `sources` are those of the layers that were composed.
pub fn plan(composition: &Composition, sources: &[Source]) -> Plan {
    let reader = Reader::new(&composition.environment, sources);
    Plan {
        environment: composition.environment.to_string(),
        sources: reader.sources(composition),
        files: reader.files(composition),
        deployments: deployments(composition),
        conflicts: composition
            .conflicts
            .iter()
            .map(|conflict| reader.conflict(conflict))
            .collect(),
        warnings: composition.warnings.iter().map(warning).collect(),
    }
}

/// The manifest; `sources` are those of the layers that were composed.
pub fn manifest(composition: &Composition, sources: &[Source]) -> Manifest {
    let reader = Reader::new(&composition.environment, sources);
    Manifest {
        version: 1,
        environment: composition.environment.to_string(),
        sources: reader.sources(composition),
        files: reader.files(composition),
        deployments: deployments(composition),
    }
}

impl Action {
    /// The word for it in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Add => "add",
            Action::Merge => "merge",
            Action::Override => "override",
            Action::KeepBoth => "keep-both",
            Action::Local => "local",
        }
    }
}

struct Reader<'a> {
    environment: &'a TreePath,
    sources: &'a [Source],
    /// Each source as a contribution that still lacks its path: what thousands of files have in common is made once.
    common: Vec<PlanFrom>,
}

impl<'a> Reader<'a> {
    fn new(environment: &'a TreePath, sources: &'a [Source]) -> Self {
        let common = |source: &Source| PlanFrom {
            repo: Some(source.repo.to_string()),
            environment: source.environment.to_string(),
            commit: Some(source.commit.to_string()),
            path: String::new(),
        };
        Self {
            environment,
            sources,
            common: sources.iter().map(common).collect(),
        }
    }

    fn sources(&self, composition: &Composition) -> Vec<PlanSource> {
        let via = |source: &Source| PlanVia {
            repo: source.repo.to_string(),
            environment: source.environment.to_string(),
        };
        let left_out = |id: SourceId, source: &Source| {
            let own = composition.left_out.iter().filter(|file| file.source == id);
            own.map(|file| PlanLeftOut {
                path: file.repo_path.relative_to(&source.environment),
                by: file.by,
            })
            .collect()
        };
        let one = |(index, source): (usize, &Source)| PlanSource {
            left_out: left_out(SourceId(index), source),
            repo: source.repo.to_string(),
            environment: source.environment.to_string(),
            requested: text::escape(source.requested.as_str(), 200),
            resolved: text::escape(&source.resolved, 200),
            commit: source.commit.to_string(),
            tree: source.tree.to_string(),
            via: source.via.iter().map(|id| via(&self.sources[id.0])).collect(),
        };
        self.sources.iter().enumerate().map(one).collect()
    }

    fn files(&self, composition: &Composition) -> Vec<PlanFile> {
        let from = |from: &Provenance| self.from(from.origin, &from.path);
        let files = composition.files.iter().map(|file| PlanFile {
            path: file.path.relative_to(self.environment),
            action: file.action.as_str(),
            from: file.from.iter().map(from).collect(),
            notes: file.notes.clone(),
            diffs: None,
        });
        files.collect()
    }

    fn from(&self, origin: Origin, path: &TreePath) -> PlanFrom {
        match origin {
            Origin::Local => PlanFrom {
                repo: None,
                environment: self.environment.to_string(),
                commit: None,
                path: path.relative_to(self.environment),
            },
            Origin::Source(id) => PlanFrom {
                path: path.relative_to(&self.sources[id.0].environment),
                ..self.common[id.0].clone()
            },
        }
    }

    fn conflict(&self, conflict: &Conflict) -> PlanConflict {
        let party = |party: &Party| PlanParty {
            from: self.from(party.origin, &party.path),
            line: party.line,
        };
        let key = match &conflict.kind {
            ConflictKind::Key { key } => Some(text::escape(key, 1000)),
            _ => None,
        };
        PlanConflict {
            path: conflict.path.relative_to(self.environment),
            kind: kind(&conflict.kind),
            key,
            message: wording::message(conflict),
            between: conflict.parties.iter().map(party).collect(),
            remedies: conflict.remedies.clone(),
        }
    }
}

fn kind(kind: &ConflictKind) -> &'static str {
    match kind {
        ConflictKind::Content { .. } => "content",
        ConflictKind::Mode => "mode",
        ConflictKind::Key { .. } => "key",
        ConflictKind::DefinedTwice { .. } => "defined-twice",
        ConflictKind::FileAgainstDirectory => "file-against-directory",
        ConflictKind::NameCollision => "name-collision",
        ConflictKind::Plugin { .. } => "plugin",
        ConflictKind::DeploymentsUnknown => "deployments-unknown",
        ConflictKind::Config { .. } => "config",
        ConflictKind::SharedInside => "shared-inside",
        ConflictKind::Name { .. } => "name",
    }
}

fn deployments(composition: &Composition) -> Vec<PlanDeployment> {
    let one = |deployment: &crate::compose::Deployment| PlanDeployment {
        name: deployment.name.clone(),
        plugin: deployment.plugin.clone(),
    };
    composition.deployments.iter().map(one).collect()
}

fn warning(warning: &Diagnostic) -> PlanWarning {
    PlanWarning {
        message: warning.message.clone(),
        hint: warning.hint.clone(),
        file: warning.place.as_ref().map(|place| place.file.to_string()),
        line: warning.place.as_ref().map(|place| place.line_column().0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::testing::{World, path};
    use crate::layer::Part;

    #[test]
    fn the_plan_has_the_fields_of_the_contract() {
        let world = World::new(&[("dev/terraform/a.sh", "local")])
            .source_with(
                "base",
                |source| source.via = vec![SourceId(1)],
                &[("terraform/b.sh", "b")],
            )
            .source("stacks/eks", &[("terraform/a.sh", "remote")])
            .part(Part::Shared(path("_scripts")), &[("x.sh", "x")])
            .image(&[("terraform", "terraform")]);
        let composition = world.composed();
        let value = serde_json::to_value(plan(&composition, &world.layers.sources)).unwrap();

        let keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            [
                "conflicts",
                "deployments",
                "environment",
                "files",
                "sources",
                "warnings"
            ]
        );
        let base = &value["sources"][0];
        assert_eq!(base["repo"], "https://host/org/base-repo");
        assert_eq!(base["requested"], "1.0.0");
        assert_eq!(base["resolved"], "v1.0.0");
        assert_eq!(base["commit"].as_str().unwrap().len(), 40);
        assert_eq!(base["tree"].as_str().unwrap().len(), 40);
        assert_eq!(base["via"][0]["environment"], "stacks/eks");
        let told: Vec<(String, String, String)> = value["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| {
                let last = file["from"].as_array().unwrap().last().unwrap();
                let text = |value: &serde_json::Value| value.as_str().unwrap_or("null").to_owned();
                (
                    text(&file["path"]),
                    text(&file["action"]),
                    format!("{} {}", text(&last["repo"]), text(&last["path"])),
                )
            })
            .collect();
        let told: Vec<_> = told
            .iter()
            .map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (
                    "../_scripts/x.sh",
                    "add",
                    "https://host/org/stacks/eks-repo ../../_scripts/x.sh"
                ),
                ("terraform/a.sh", "override", "null terraform/a.sh"),
                (
                    "terraform/b.sh",
                    "add",
                    "https://host/org/base-repo terraform/b.sh"
                ),
            ]
        );
        assert_eq!(
            value["deployments"],
            serde_json::json!([{"name": "terraform", "plugin": "terraform"}])
        );
        let manifest = serde_json::to_value(manifest(&composition, &world.layers.sources)).unwrap();
        assert_eq!(manifest["files"], value["files"]);
        assert_eq!(manifest["version"], 1);
    }

    #[test]
    fn conflicts_carry_who_what_and_the_way_out() {
        let world = World::new(&[])
            .source("a", &[("x.kv", "k=1\n")])
            .source("b", &[("x.kv", "j=0\nk=2\n")]);
        let value = serde_json::to_value(plan(&world.compose(), &world.layers.sources)).unwrap();
        let conflict = &value["conflicts"][0];
        assert_eq!(
            (conflict["path"].as_str(), conflict["kind"].as_str()),
            (Some("x.kv"), Some("key"))
        );
        assert_eq!(conflict["key"], "k");
        assert_eq!(conflict["between"][1]["line"], 2);
        assert_eq!(conflict["between"][1]["environment"], "b");
        assert!(conflict["remedies"].as_array().unwrap().len() >= 3);
        assert_eq!(value["files"], serde_json::json!([]));
    }
}
