//! Catalogs and an operations repo in memory, for tests.

use std::{
    cell::RefCell,
    collections::{BTreeMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    io,
    sync::Arc,
};

use compose_merge::{
    Class, DefinitionsFile, KeyConflict, KeyOrigin, KeyPlace, KeyProblem, MergeOutcome, Merged, Merger,
    Position, Precedence, Reason, Refusal, Unmergeable,
};
use compose_model::{
    BlobId, Cancel, CommitId, FileMode, ObjectId, OnConflict, Place, RepoUrl, Requested, TreeFile, TreeId,
    TreePath, VersionRequest, file_name::CONFIG,
};

use super::{
    ComposeError, Composition, Conflict, ImageDeployments, Request, names::Names, remedy_words::sentence,
};
use crate::{
    config::EnvironmentConfig,
    layer::{
        Contents, ContentsError, Layer, LayerConfig, Layers, LocalKind, LocalTree, Part, Source, SourceId,
    },
    resolve::{Kind, Resolved},
};

pub(super) fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

fn place() -> Place {
    Place {
        file: "dev/bitops.config.yaml".into(),
        text: "default-environments: []\n".into(),
        span: 0..20,
    }
}

fn id(text: &str) -> ObjectId {
    let mut bytes = [0; 20];
    for (salt, chunk) in bytes.chunks_mut(8).enumerate() {
        let mut hasher = DefaultHasher::new();
        (salt, text).hash(&mut hasher);
        chunk.copy_from_slice(&hasher.finish().to_be_bytes()[..chunk.len()]);
    }
    ObjectId::from_bytes(bytes)
}

pub(super) fn source(repo: &str, environment: &str) -> Source {
    Source {
        repo: RepoUrl::parse(repo).unwrap(),
        environment: path(environment),
        requested: Requested::Version(VersionRequest::parse("1.0.0").unwrap()),
        resolved: Resolved {
            name: "v1.0.0".to_owned(),
            refname: Some("refs/tags/v1.0.0".to_owned()),
            kind: Kind::Tag,
            commit: CommitId(id(&format!("{repo} {environment}"))),
            tag_object: None,
            warning: None,
        },
        is_locked: false,
        signature: None,
        tree: TreeId(id(&format!("tree {repo} {environment}"))),
        below: Vec::new(),
        via: Vec::new(),
        rename: None,
        on_conflict: OnConflict::Error,
        place: place(),
        top: Vec::new(),
    }
}

/// A world to compose, given as `(path, text)` pairs. A path that ends with `*` is executable.
#[derive(Clone)]
pub(super) struct World {
    pub(super) environment: TreePath,
    pub(super) layers: Layers,
    pub(super) image: Option<ImageDeployments>,
    pub(super) list_local: bool,
    pub(super) blobs: BTreeMap<BlobId, Arc<[u8]>>,
    pub(super) local: BTreeMap<TreePath, (LocalKind, Arc<[u8]>)>,
    /// Every call on the local tree, in order.
    pub(super) calls: RefCell<Vec<String>>,
    /// Every blob that was read.
    pub(super) reads: RefCell<Vec<String>>,
}

impl World {
    /// Creates an operations repo with these files and the environment `dev`.
    pub(super) fn new(local: &[(&str, &str)]) -> Self {
        let mut world = Self {
            environment: path("dev"),
            layers: Layers::default(),
            image: None,
            list_local: false,
            blobs: BTreeMap::new(),
            local: BTreeMap::new(),
            calls: RefCell::default(),
            reads: RefCell::default(),
        };
        for (path, text) in local {
            world = world.with_local(path, text);
        }
        world
    }

    pub(super) fn with_local(mut self, name: &str, text: &str) -> Self {
        let (name, mode) = mode_of(name);
        self.local
            .insert(path(name), (LocalKind::File(mode), text.as_bytes().into()));
        for dir in path(name).ancestors() {
            self.local.insert(dir, (LocalKind::Directory, Vec::new().into()));
        }
        self
    }

    /// Adds an entry that is neither a file nor a directory, such as a dangling symlink or a
    /// socket.
    pub(super) fn with_other(mut self, name: &str) -> Self {
        self.local
            .insert(path(name), (LocalKind::Other, Vec::new().into()));
        self
    }

    /// Adds a source above the others, from a repo with the environment's name.
    pub(super) fn source(self, environment: &str, files: &[(&str, &str)]) -> Self {
        self.source_with(environment, |_| {}, files)
    }

    pub(super) fn source_with(
        mut self,
        environment: &str,
        set: impl FnOnce(&mut Source),
        files: &[(&str, &str)],
    ) -> Self {
        let mut source = source(&format!("https://host/org/{environment}-repo"), environment);
        set(&mut source);
        self.layers.sources.push(source);
        self.part(Part::Environment, files)
    }

    /// Adds a part to the highest source.
    pub(super) fn part(mut self, part: Part, files: &[(&str, &str)]) -> Self {
        let source = SourceId(self.layers.sources.len() - 1);
        let base = match &part {
            Part::Environment => self.layers.sources[source.0].environment.clone(),
            Part::DefaultFolder(dir) | Part::Shared(dir) => dir.clone(),
        };
        let mut all: Vec<TreeFile> = files
            .iter()
            .map(|(name, text)| {
                let (name, mode) = mode_of(name);
                let blob = BlobId(id(text));
                self.blobs.insert(blob, text.as_bytes().into());
                TreeFile {
                    path: path(name),
                    repo_path: base.join(&path(name)),
                    mode,
                    blob,
                }
            })
            .collect();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        let config = all
            .iter()
            .find(|file| file.path.as_str() == CONFIG && !matches!(part, Part::Shared(_)));
        let config = config.map(|file| LayerConfig {
            file: file.clone(),
            parsed: EnvironmentConfig::parse(&self.blobs[&file.blob]),
        });
        self.layers.layers.push(Layer {
            source,
            part,
            files: all.into(),
            left_out: Vec::new(),
            config,
        });
        self
    }

    pub(super) fn image(mut self, deployments: &[(&str, &str)]) -> Self {
        let own = |(name, plugin): &(&str, &str)| ((*name).to_owned(), (*plugin).to_owned());
        self.image = Some(ImageDeployments(deployments.iter().map(own).collect()));
        self
    }

    pub(super) fn try_compose(&self, cancel: &Cancel) -> Result<Composition, ComposeError> {
        self.compose_from(self, cancel)
    }

    /// Composes with the bytes of other contents than the world's own.
    pub(super) fn compose_from(
        &self,
        contents: &dyn Contents,
        cancel: &Cancel,
    ) -> Result<Composition, ComposeError> {
        let request = Request {
            environment: &self.environment,
            layers: &self.layers,
            contents,
            local: self,
            image_config: self.image.as_ref(),
            list_local: self.list_local,
            cancel,
        };
        super::compose_with(&request, classify)
    }

    pub(super) fn compose(&self) -> Composition {
        self.try_compose(&Cancel::new()).unwrap()
    }

    /// Returns the composition, which must be free of conflicts.
    pub(super) fn composed(&self) -> Composition {
        let composition = self.compose();
        assert_eq!(composition.conflicts, []);
        composition
    }

    /// Returns the conflict, which must be the only one.
    pub(super) fn conflict(&self) -> Conflict {
        let mut conflicts = self.compose().conflicts;
        assert_eq!(conflicts.len(), 1, "{conflicts:#?}");
        conflicts.remove(0)
    }

    /// Returns the sentences about the remedies of a conflict.
    pub(super) fn remedies(&self, conflict: &Conflict) -> Vec<String> {
        let names = Names {
            environment: &self.environment,
            sources: &self.layers.sources,
        };
        let remedies = conflict.remedies.iter();
        remedies.map(|remedy| sentence(remedy, names)).collect()
    }

    /// Returns whether the operations repo has a file at a path.
    pub(super) fn has_local(&self, at: &str) -> bool {
        self.local.contains_key(&path(at))
    }

    /// Returns the bytes that end up at a path of the composed repo.
    pub(super) fn text(&self, composition: &Composition, at: &str) -> String {
        let local = || self.local[&path(at)].1.clone();
        let bytes = match composition.file(&path(at)).map(|file| &file.write) {
            Some(super::Write::Bytes { bytes, .. }) => bytes.as_slice().into(),
            Some(super::Write::Blob { file, .. }) => self.blobs[&file.blob].clone(),
            Some(super::Write::Local) | None => local(),
        };
        String::from_utf8(bytes.to_vec()).unwrap()
    }
}

fn mode_of(name: &str) -> (&str, FileMode) {
    name.strip_suffix('*')
        .map_or((name, FileMode::Regular), |name| (name, FileMode::Executable))
}

fn gone(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, why)
}

impl Contents for World {
    fn read(&self, source: SourceId, file: &TreeFile) -> Result<Arc<[u8]>, ContentsError> {
        self.reads
            .borrow_mut()
            .push(format!("{} {}", source.0, file.repo_path));
        let missing = || ContentsError::new(file.repo_path.to_string(), gone("no such blob"));
        self.blobs.get(&file.blob).cloned().ok_or_else(missing)
    }
}

impl LocalTree for World {
    fn kind(&self, path: &TreePath) -> Result<Option<LocalKind>, ContentsError> {
        self.calls.borrow_mut().push(format!("kind {path}"));
        Ok(self.local.get(path).map(|(kind, _)| *kind))
    }

    fn list(&self, dir: Option<&TreePath>) -> Result<Vec<(String, LocalKind)>, ContentsError> {
        self.calls
            .borrow_mut()
            .push(format!("list {}", dir.map_or(".", TreePath::as_str)));
        let below = dir.map(|dir| format!("{dir}/")).unwrap_or_default();
        let candidates: Box<dyn Iterator<Item = _>> = match dir {
            None => Box::new(self.local.iter()),
            Some(dir) => {
                let sorted = self
                    .local
                    .range(dir.clone()..)
                    .skip_while(|(path, _)| path.as_str() < below.as_str());
                Box::new(sorted.take_while(|(path, _)| path.as_str().starts_with(&below)))
            }
        };
        let mut names: Vec<_> = candidates
            .filter_map(|(path, (kind, _))| Some((path.as_str().strip_prefix(&below)?.to_owned(), *kind)))
            .filter(|(name, _)| !name.contains('/'))
            .collect();
        names.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(names)
    }

    fn read(&self, path: &TreePath) -> Result<Arc<[u8]>, ContentsError> {
        self.calls.borrow_mut().push(format!("read {path}"));
        match self.local.get(path) {
            Some((LocalKind::File(_), bytes)) => Ok(bytes.clone()),
            _ => Err(ContentsError::new(path.to_string(), gone("no such file"))),
        }
    }
}

/// Returns the class of a path: `.tf` and `.tf.json` files stay side by side, `.kv` files and
/// Terraform's variables merge, and all others are whole. The tests here cover what composing does
/// with a class, so they do not depend on the actual classes.
fn classify(path: &TreePath) -> Class {
    let name = path.file_name();
    if DefinitionsFile::of_name(name).is_some() {
        Class::KeepBoth
    } else if name.ends_with(".kv") {
        Class::Merge(&KeyValues)
    } else if name.ends_with(".tfvars") || name.ends_with(".tfvars.json") {
        compose_merge::class(path)
    } else {
        Class::Whole
    }
}

/// A merger for lines of `key=value`.
struct KeyValues;

impl Merger for KeyValues {
    fn merge(&self, input: &compose_merge::Input<'_>) -> Result<MergeOutcome, Unmergeable> {
        let mut keys: Vec<(String, String, KeyOrigin)> = Vec::new();
        let mut conflicts = Vec::new();
        for (index, contribution) in input.contributions.iter().enumerate() {
            for (number, line) in std::str::from_utf8(contribution.bytes)
                .unwrap()
                .lines()
                .enumerate()
            {
                let why = || Unmergeable {
                    index,
                    refusal: Refusal {
                        reason: Reason::Key(KeyProblem::Empty),
                        position: Some(Position {
                            line: number + 1,
                            column: 1,
                        }),
                    },
                };
                let (key, value) = line.split_once('=').ok_or_else(why)?;
                let origin = KeyOrigin {
                    key: key.to_owned(),
                    winner: index,
                    line: number + 1,
                    overridden: vec![],
                };
                let Some(known) = keys.iter_mut().find(|(known, ..)| known == key) else {
                    keys.push((key.to_owned(), value.to_owned(), origin));
                    continue;
                };
                if known.1 == value {
                    continue;
                }
                let (lower, line) = (known.2.winner, known.2.line);
                match (input.precedence)(lower, index) {
                    Precedence::HigherWins => {
                        let overridden = std::iter::once(lower).chain(known.2.overridden.clone()).collect();
                        // A contribution that wins over both sides of a conflict settles it.
                        conflicts.retain(|conflict: &KeyConflict| conflict.key != key);
                        *known = (
                            key.to_owned(),
                            value.to_owned(),
                            KeyOrigin { overridden, ..origin },
                        );
                    }
                    Precedence::LowerStays => known.2.overridden.insert(0, index),
                    Precedence::Conflict => conflicts.push(KeyConflict {
                        key: key.to_owned(),
                        lower: KeyPlace {
                            contribution: lower,
                            line,
                        },
                        higher: KeyPlace {
                            contribution: index,
                            line: number + 1,
                        },
                    }),
                }
            }
        }
        if !conflicts.is_empty() {
            return Ok(MergeOutcome::Conflicts(conflicts));
        }
        let text: String = keys
            .iter()
            .map(|(key, value, _)| format!("{key}={value}\n"))
            .collect();
        let keys = keys.into_iter().map(|(.., origin)| origin).collect();
        Ok(MergeOutcome::Merged(Merged {
            bytes: text.into_bytes(),
            keys,
            lost: Vec::new(),
        }))
    }
}

impl Source {
    /// Marks the source as named by `parent`'s own config.
    pub(super) fn nest_below(&mut self, parent: SourceId) {
        self.via = vec![parent];
        self.below = vec![parent];
        self.place.file = "https://host/org/parent @ 1.0.0 : parent/bitops.config.yaml".into();
    }
}
