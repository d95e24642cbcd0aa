//! The output of `plan --format json` and the manifest for hooks. Section 10 of the design names
//! the fields.
//!
//! File paths are relative to the environment that contains them, with `../` for files beside it.
//! The same holds for `from` and the source's own environment. Names that a remote chose are
//! escaped.

use std::{borrow::Cow, collections::BTreeMap};

use compose_model::{Diagnostic, TreePath, text};
use serde::{Serialize, Serializer};

use super::remedies::{PlanRemedy, remedy};
use crate::{
    compose::{
        composition::{Action, ComposedFile, Composition, Conflict, ConflictKind, Party},
        names::Names,
        wording,
    },
    layer::{Origin, Source, SourceId},
};

/// The output of `plan --format json`.
#[derive(Clone, Debug, Serialize)]
pub struct Plan<'a> {
    /// The local environment.
    pub environment: &'a str,
    /// The sources, lowest first.
    pub sources: Vec<PlanSource>,
    /// Every composed file, sorted by its path in the operations repo.
    pub files: PlanFiles<'a>,
    /// The deployments that the pipeline will run, in order.
    pub deployments: Vec<PlanDeployment<'a>>,
    /// The reasons not to deploy.
    pub conflicts: PlanConflicts<'a>,
    /// The number of conflicts besides those that are listed. Absent when there are none.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_conflicts: usize,
    /// The warnings for the reader.
    pub warnings: Vec<PlanWarning>,
}

/// The manifest that `$BITOPS_COMPOSE_MANIFEST` names.
#[derive(Clone, Debug, Serialize)]
pub struct Manifest<'a> {
    /// The version of this format.
    pub version: u32,
    /// The local environment.
    pub environment: &'a str,
    /// The sources, lowest first.
    pub sources: Vec<PlanSource>,
    /// Every composed file, as in [`Plan::files`].
    pub files: PlanFiles<'a>,
    /// The deployments that the pipeline will run, in order.
    pub deployments: Vec<PlanDeployment<'a>>,
}

/// A source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanSource {
    /// Its repo, without credentials.
    pub repo: String,
    /// Its environment.
    pub environment: String,
    /// The requested `version` or `ref`.
    pub requested: String,
    /// The tag or branch it resolved to.
    pub resolved: String,
    /// The commit.
    pub commit: String,
    /// The environment's tree.
    pub tree: String,
    /// Whether the commit is the lock's.
    pub locked: bool,
    /// What is signed and by which key. Absent if no signature was required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed: Option<String>,
    /// The sources whose own configs led to this one, outermost first.
    pub via: Vec<PlanVia>,
    /// The files that the source has and its entry leaves out. Absent in the manifest, and when
    /// there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<PlanLeftOut>,
}

/// A file that is left out of the composition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanLeftOut {
    /// The file's path in the source, relative to its environment.
    pub path: String,
    /// The key of the source's entry that leaves the file out: `include`, `exclude` or `hooks`.
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

/// All composed files: a list of [`PlanFile`]. Each item is made when it is written, because there
/// may be many thousands.
#[derive(Clone, Debug)]
pub struct PlanFiles<'a> {
    reader: Reader<'a>,
    files: &'a [ComposedFile],
    diffs: BTreeMap<String, Vec<String>>,
}

/// A composed file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanFile<'a> {
    /// The path, relative to the environment.
    pub path: Cow<'a, str>,
    /// How the file was composed.
    pub action: &'static str,
    /// The contributors, lowest first; the last one decides.
    pub from: Vec<PlanFrom<'a>>,
    /// What was lost in the merge, or why the file was not merged. Absent when there is nothing to
    /// report.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub notes: &'a [String],
    /// The unified diffs of a merged or overridden file, for `plan --diff`. Absent when no diff was
    /// requested, or when nothing differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diffs: Option<&'a [String]>,
}

/// A contribution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanFrom<'a> {
    /// The source's repo; `null` for the operations repo itself.
    pub repo: Option<&'a str>,
    /// The environment in that repo.
    pub environment: &'a str,
    /// The source's commit; `null` for the operations repo itself.
    pub commit: Option<&'a str>,
    /// The path, relative to that environment.
    pub path: Cow<'a, str>,
}

/// A deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanDeployment<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its plugin.
    pub plugin: &'a str,
}

/// All conflicts: a list of [`PlanConflict`]. Each item is made when it is written.
#[derive(Clone, Debug)]
pub struct PlanConflicts<'a> {
    reader: Reader<'a>,
    conflicts: &'a [Conflict],
}

/// A reason not to deploy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanConflict<'a> {
    /// The path, relative to the environment.
    pub path: Cow<'a, str>,
    /// `content`, `mode`, `key`, `defined-twice`, `file-against-directory`, `name-collision`, `plugin`,
    /// `deployments-unknown`, `config`, `shared-inside` or `name`.
    pub kind: &'static str,
    /// The key path of a `key` conflict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The message, in one sentence.
    pub message: String,
    /// The contributors that disagree, lowest first.
    pub between: Vec<PlanParty<'a>>,
    /// The conflicts with the same number are in the same directory and between the same sides.
    pub group: usize,
    /// The remedies, any one of which resolves the conflict.
    pub remedies: Vec<PlanRemedy>,
}

/// One side of a conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanParty<'a> {
    /// The contributor and its file.
    #[serde(flatten)]
    pub from: PlanFrom<'a>,
    /// The line in that file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
}

/// A warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanWarning {
    /// The message, in one sentence.
    pub message: String,
    /// The remedy, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The file that the warning is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in that file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
}

/// Returns the plan. `sources` holds the sources of the composed layers.
pub fn plan<'a>(composition: &'a Composition, sources: &'a [Source]) -> Plan<'a> {
    let reader = Reader::new(&composition.environment, sources);
    Plan {
        environment: composition.environment.as_str(),
        sources: reader.sources(composition),
        deployments: deployments(composition),
        conflicts: PlanConflicts {
            reader: reader.clone(),
            conflicts: &composition.conflicts,
        },
        more_conflicts: composition.more_conflicts,
        files: reader.files(composition),
        warnings: composition.warnings.iter().map(warning).collect(),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Plan<'_> {
    /// Adds the diffs of the plan's files, keyed by their paths as the plan shows them.
    pub fn with_diffs(mut self, diffs: BTreeMap<String, Vec<String>>) -> Self {
        self.files.diffs = diffs;
        self
    }
}

/// Returns the manifest. `sources` holds the sources of the composed layers.
pub fn manifest<'a>(composition: &'a Composition, sources: &'a [Source]) -> Manifest<'a> {
    let reader = Reader::new(&composition.environment, sources);
    Manifest {
        version: 1,
        environment: composition.environment.as_str(),
        sources: reader.sources(composition),
        deployments: deployments(composition),
        files: reader.files(composition),
    }
}

impl Serialize for PlanFiles<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.files.iter().map(|file| self.file(file)))
    }
}

impl PlanFiles<'_> {
    fn file<'r>(&'r self, file: &'r ComposedFile) -> PlanFile<'r> {
        let path = file.path.relative_to(self.reader.environment);
        PlanFile {
            diffs: self.diffs.get(path.as_ref()).map(Vec::as_slice),
            path,
            action: file.action.as_str(),
            from: file
                .from
                .iter()
                .map(|from| self.reader.from(from.origin, &from.path))
                .collect(),
            notes: &file.notes,
        }
    }
}

impl Serialize for PlanConflicts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.conflicts.iter().map(|one| self.reader.conflict(one)))
    }
}

impl Action {
    /// Returns the word for this action in reports.
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

#[derive(Clone, Debug)]
struct Reader<'a> {
    environment: &'a TreePath,
    sources: &'a [Source],
    /// The fields that the files of each source share, made once.
    common: Vec<Common>,
}

#[derive(Clone, Debug)]
struct Common {
    repo: String,
    commit: String,
}

impl<'a> Reader<'a> {
    fn new(environment: &'a TreePath, sources: &'a [Source]) -> Self {
        let common = |source: &Source| Common {
            repo: source.repo.to_string(),
            commit: source.resolved.commit.to_string(),
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
                path: file.repo_path.relative_to(&source.environment).into_owned(),
                by: file.by.as_str(),
            })
            .collect()
        };
        let one = |(index, source): (usize, &Source)| PlanSource {
            left_out: left_out(SourceId(index), source),
            repo: source.repo.to_string(),
            environment: source.environment.to_string(),
            requested: text::escape(source.requested.as_str(), 200),
            resolved: text::escape(&source.resolved.name, 200),
            commit: source.resolved.commit.to_string(),
            tree: source.tree.to_string(),
            locked: source.is_locked,
            signed: wording::signed(source),
            via: source.via.iter().map(|id| via(&self.sources[id.0])).collect(),
        };
        self.sources.iter().enumerate().map(one).collect()
    }

    fn files(self, composition: &'a Composition) -> PlanFiles<'a> {
        PlanFiles {
            reader: self,
            files: &composition.files,
            diffs: BTreeMap::new(),
        }
    }

    fn from<'r>(&'r self, origin: Origin, path: &'r TreePath) -> PlanFrom<'r> {
        let Origin::Source(id) = origin else {
            return PlanFrom {
                repo: None,
                environment: self.environment.as_str(),
                commit: None,
                path: path.relative_to(self.environment),
            };
        };
        let (common, environment) = (&self.common[id.0], &self.sources[id.0].environment);
        PlanFrom {
            repo: Some(&common.repo),
            environment: environment.as_str(),
            commit: Some(&common.commit),
            path: path.relative_to(environment),
        }
    }

    fn conflict<'r>(&'r self, conflict: &'r Conflict) -> PlanConflict<'r> {
        let party = |party: &'r Party| PlanParty {
            from: self.from(party.origin, &party.path),
            line: party.line,
        };
        let key = match &conflict.kind {
            ConflictKind::Key { key } => Some(text::escape(key, 1000)),
            ConflictKind::Variable { variable } | ConflictKind::VariableOrder { variable, .. } => {
                Some(text::escape(variable, 1000))
            }
            _ => None,
        };
        let names = Names {
            environment: self.environment,
            sources: self.sources,
        };
        PlanConflict {
            path: conflict.path.relative_to(self.environment),
            kind: conflict.kind.as_str(),
            key,
            message: wording::message(conflict),
            between: conflict.parties.iter().map(party).collect(),
            group: conflict.group,
            remedies: conflict.remedies.iter().map(|one| remedy(one, names)).collect(),
        }
    }
}

fn deployments(composition: &Composition) -> Vec<PlanDeployment<'_>> {
    let deployments = composition.deployments.iter();
    let all = deployments.map(|deployment| PlanDeployment {
        name: &deployment.name,
        plugin: &deployment.plugin,
    });
    all.collect()
}

fn warning(warning: &Diagnostic) -> PlanWarning {
    PlanWarning {
        message: warning.message.clone(),
        hint: (!warning.hints.is_empty()).then(|| warning.hints.join("; ")),
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
        let files: Vec<(String, String, String)> = value["files"]
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
        let files: Vec<_> = files
            .iter()
            .map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str()))
            .collect();
        assert_eq!(
            files,
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
    fn conflicts_name_their_parties_and_remedies() {
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
        assert_eq!(conflict["group"], 0);
        let remedies = conflict["remedies"].as_array().unwrap();
        assert_eq!(remedies.len(), 4);
        let entries = ["a", "b"].map(|name| {
            serde_json::json!({
                "change": "entry",
                "file": "dev/bitops.config.yaml",
                "line": 1,
                "own": true,
                "repo": format!("https://host/org/{name}-repo"),
                "environment": name,
                "add": {"exclude": ["/x.kv"]},
            })
        });
        assert_eq!(
            remedies[0],
            serde_json::json!({
                "text": "exclude: [\"/x.kv\"] at dev/bitops.config.yaml:1 (a v1.0.0 (org/a-repo)), or at dev/bitops.config.yaml:1 (b v1.0.0 (org/b-repo)): what the other one has is used then",
                "settles": 1,
                "needs": "one",
                "changes": entries,
            })
        );
        assert_eq!(
            remedies[1]["changes"][0]["set"],
            serde_json::json!({"on-conflict": "last"})
        );
        assert_eq!(
            remedies[3]["changes"],
            serde_json::json!([{"change": "set-key", "file": "dev/x.kv", "key": "k"}])
        );
        assert_eq!(value["files"], serde_json::json!([]));
    }
}
