//! Looks at the names in commits without fetching a file: which directories there are, and the ids of their files.
//!
//! Many commits are looked at with two requests: one for the commits and the trees on the way to the directory, one
//! for the distinct trees of the directory itself. Commits that share a directory's tree share its outline, too.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use compose_model::{
    BlobId, CommitId, ObjectId, OutlineEntry, OutlineKind, Stage, TreeId, TreePath, env, text::escape,
};
use gix::{bstr::BStr, objs::Kind};
use tokio::runtime::Handle;

use crate::{
    error::Error,
    fetch::{self, Ids},
    names,
    repo::Repo,
    session::PackRequest,
    shared::{Shared, Work},
    store::{ReadError, Store},
    strategy::Strategy,
    tree_object::{self, EntryKind},
    want::{Root, Want},
};

/// The most ids that one request names. A hundred take about 5 KB.
const MOST_WANTS: usize = 400;
/// The most rounds of requests: deep directories take one for each level if a server refuses the filter by depth.
const MOST_ROUNDS: usize = 256;
/// The deepest directory that is looked at.
const DEEPEST: usize = 128;

/// A commit to look at.
#[derive(Clone, Debug)]
pub struct Glance {
    /// The commit, or an annotated tag that stands for it.
    pub commit: CommitId,
    /// The full name of a ref that points to it, for servers that serve only such commits.
    pub refname: Option<String>,
    /// The directory to look at; `None` means all of the commit.
    pub dir: Option<TreePath>,
}

/// What a directory of a commit holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// The tree of the directory.
    pub tree: TreeId,
    /// Everything below the directory but the directories themselves, sorted by path. Names that no file can have here are left out.
    pub entries: Arc<[OutlineEntry]>,
}

impl Repo {
    /// Looks at directories of commits, and fetches no file. Returns an outline for each glance, in order; `None` if the
    /// commit has no such directory.
    pub async fn outlines(&self, glances: &[Glance]) -> Result<Vec<Option<Outline>>, Error> {
        let glances: Arc<[Glance]> = glances.into();
        let done = self
            .step(move |shared, work, runtime| outlines(shared, work, runtime, &glances))
            .await;
        self.done("looked at", done.is_ok());
        done
    }

    /// Fetches blobs by their ids, all with one request. Returns the bytes of each, in order; `None` for one that the
    /// server does not give.
    pub async fn blobs(&self, ids: &[BlobId]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let ids: Arc<[BlobId]> = ids.into();
        let done = self
            .step(move |shared, work, runtime| blobs(shared, work, runtime, &ids))
            .await;
        self.done("fetched files", done.is_ok());
        done
    }
}

/// What the store lacks of the glances.
#[derive(Default)]
struct Lacks {
    /// The indices of glances whose commit is missing.
    commits: Vec<usize>,
    /// The indices of glances with anything missing.
    incomplete: Vec<usize>,
    trees: BTreeSet<ObjectId>,
}

/// What the store has of one glance.
enum Found {
    Nothing,
    Tree(ObjectId),
    Missing,
}

fn outlines(
    shared: &Arc<Shared>,
    work: &mut Work,
    runtime: &Handle,
    glances: &[Glance],
) -> Result<Vec<Option<Outline>>, Error> {
    let entry = shared.entry()?;
    let looker = Looker::new(shared, shared.store(&entry)?);
    let (found, lacks) = looker.look(glances)?;
    if lacks.incomplete.is_empty() {
        return looker.read(&found);
    }
    if shared.is_offline() {
        return Err(offline(shared, glances, &lacks));
    }
    let wants: Vec<Want> = glances.iter().map(want).collect();
    let depth_is_known = glances.iter().all(|glance| glance.dir.is_some());
    let entry = shared.entry_to_fetch()?;
    let lock = entry.lock_for_fetch(&shared.run, &shared.url)?;
    let (mut asked, mut was_reset) = (HashSet::new(), false);
    for _ in 0..MOST_ROUNDS {
        shared.run.check(&shared.url)?;
        let looker = Looker::new(shared, shared.store(&entry)?);
        let (found, lacks) = match looker.look(glances) {
            Ok(looked) => looked,
            Err(Error::Damaged { id, why, .. }) if !was_reset => {
                tracing::warn!(%id, why, path = %entry.path().display(), "the cache is damaged; it is fetched again");
                entry.reset(&lock)?;
                shared.objects.clear();
                (was_reset, asked) = (true, HashSet::new());
                continue;
            }
            Err(error) => return Err(error),
        };
        if lacks.incomplete.is_empty() {
            return looker.read(&found);
        }
        if work.strategy == Strategy::Trees && shared.run.has_refused_trees(&shared.url) {
            work.strategy = Strategy::Blobs;
        }
        let strategy = work.strategy;
        let session = shared.session(work, runtime)?;
        let can_filter = session.can_filter();
        let of_commits = !lacks.commits.is_empty() || strategy == Strategy::Advertised;
        let (ids, filter) = if of_commits {
            let whole = strategy == Strategy::Advertised;
            let which = if whole { &lacks.incomplete } else { &lacks.commits };
            let which: Vec<usize> = which.iter().copied().take(MOST_WANTS).collect();
            let filter = match strategy {
                Strategy::Trees if !depth_is_known => Some("blob:none".to_owned()),
                other => other.filter(&wants, &which),
            };
            (fetch::commit_ids(shared, session, &wants, &which, whole)?, filter)
        } else {
            let trees = lacks.trees.iter().copied().take(MOST_WANTS).collect();
            (trees, Some("blob:none".to_owned()))
        };
        let ids: Vec<ObjectId> = ids.into_iter().filter(|id| !asked.contains(id)).collect();
        if ids.is_empty() {
            return Err(not_sent(shared, "a tree or a commit"));
        }
        let ask = PackRequest {
            ids: &ids,
            filter: filter.filter(|_| can_filter),
            shallow: of_commits,
        };
        match fetch::send(shared, work, runtime, &ask, Stage::Fetching, &entry)? {
            Ids::Sent(_) => asked.extend(ids),
            Ids::Refused => asked.clear(),
        }
    }
    Err(not_sent(shared, "all of the trees"))
}

fn want(glance: &Glance) -> Want {
    Want {
        commit: glance.commit,
        refname: glance.refname.clone(),
        roots: glance.dir.iter().cloned().map(Root::whole).collect(),
    }
}

fn not_sent(shared: &Shared, what: &str) -> Error {
    Error::Nonsense {
        at: shared.failed_at(),
        why: format!("{what} was requested but not sent"),
    }
}

fn offline(shared: &Shared, glances: &[Glance], lacks: &Lacks) -> Error {
    let first = lacks.incomplete.first().map(|index| &glances[*index]);
    let missing = first.map_or_else(String::new, |glance| {
        let commit = format!("commit {}", glance.commit.abbreviated());
        match &glance.dir {
            Some(dir) => format!("{dir} of {commit}"),
            None => commit,
        }
    });
    Error::Offline {
        repo: shared.url.clone(),
        missing,
    }
}

fn blobs(
    shared: &Arc<Shared>,
    work: &mut Work,
    runtime: &Handle,
    ids: &[BlobId],
) -> Result<Vec<Option<Vec<u8>>>, Error> {
    let entry = shared.entry()?;
    let store = shared.store(&entry)?;
    let mut missing: Vec<ObjectId> = ids.iter().map(|id| id.0).collect();
    missing.sort();
    missing.dedup();
    missing.retain(|id| matches!(store.header(id), Ok(None)));
    let read = |store: &Store| {
        let one = |id: &BlobId| store.read(&id.0, Kind::Blob).ok();
        Ok(ids.iter().map(one).collect())
    };
    if missing.is_empty() || shared.is_offline() {
        return read(&store);
    }
    let entry = shared.entry_to_fetch()?;
    let _lock = entry.lock_for_fetch(&shared.run, &shared.url)?;
    let ask = PackRequest {
        ids: &missing,
        filter: None,
        shallow: false,
    };
    // A server that refuses blobs has sent them with their commits.
    let (strategy, sent) = (
        work.strategy,
        fetch::send(shared, work, runtime, &ask, Stage::FetchingFiles, &entry)?,
    );
    if matches!(sent, Ids::Refused) {
        tracing::debug!(?strategy, "the server refuses blobs");
    }
    read(&shared.store(&entry)?)
}

/// Looks at the trees of a store.
struct Looker<'a> {
    shared: &'a Shared,
    store: Store,
}

type Trees = HashMap<ObjectId, Arc<[OutlineEntry]>>;

impl<'a> Looker<'a> {
    fn new(shared: &'a Shared, store: Store) -> Self {
        Self { shared, store }
    }

    /// Finds the directory of each glance, and what is missing there.
    fn look(&self, glances: &[Glance]) -> Result<(Vec<Found>, Lacks), Error> {
        let (mut lacks, mut seen) = (Lacks::default(), HashMap::new());
        let mut all = Vec::new();
        for (index, glance) in glances.iter().enumerate() {
            let found = match self.store.peel(&glance.commit.0) {
                Ok(peeled) => self.find(peeled.root, glance.dir.as_ref(), &mut lacks.trees)?,
                Err(unread) if matches!(unread.error, ReadError::Missing) => {
                    lacks.commits.push(index);
                    Found::Missing
                }
                Err(unread) => match unread.error {
                    ReadError::Kind(kind) => {
                        return Err(Error::NotACommit {
                            repo: self.shared.url.clone(),
                            id: glance.commit,
                            kind: kind.to_string(),
                        });
                    }
                    error => return Err(self.damaged(&unread.id, &error)),
                },
            };
            let is_complete = match &found {
                Found::Nothing => true,
                Found::Missing => false,
                Found::Tree(tree) => self.is_complete(*tree, 0, &mut seen, &mut lacks.trees)?,
            };
            if !is_complete {
                lacks.incomplete.push(index);
            }
            all.push(found);
        }
        Ok((all, lacks))
    }

    fn find(
        &self,
        root: ObjectId,
        dir: Option<&TreePath>,
        missing: &mut BTreeSet<ObjectId>,
    ) -> Result<Found, Error> {
        let mut id = root;
        for name in dir.iter().flat_map(|dir| dir.components()) {
            let Some(entries) = self.entries(&id)? else {
                missing.insert(id);
                return Ok(Found::Missing);
            };
            let below = entries
                .iter()
                .find(|entry| entry.name == name.as_bytes() && entry.kind == EntryKind::Tree);
            match below {
                Some(below) => id = below.id,
                None => return Ok(Found::Nothing),
            }
        }
        Ok(Found::Tree(id))
    }

    /// Returns whether all trees below one are there, and adds those that are not.
    fn is_complete(
        &self,
        tree: ObjectId,
        depth: usize,
        seen: &mut HashMap<ObjectId, bool>,
        missing: &mut BTreeSet<ObjectId>,
    ) -> Result<bool, Error> {
        if let Some(known) = seen.get(&tree) {
            return Ok(*known);
        }
        let mut is_complete = true;
        match self.entries(&tree)? {
            None => {
                missing.insert(tree);
                is_complete = false;
            }
            Some(_) if depth == DEEPEST => return Err(self.too_much()),
            Some(entries) => {
                for entry in entries.iter().filter(|entry| entry.kind == EntryKind::Tree) {
                    is_complete &= self.is_complete(entry.id, depth + 1, seen, missing)?;
                }
            }
        }
        seen.insert(tree, is_complete);
        Ok(is_complete)
    }

    fn read(&self, found: &[Found]) -> Result<Vec<Option<Outline>>, Error> {
        let mut known = Trees::new();
        let one = |found: &Found| match found {
            Found::Tree(tree) => Ok(Some(Outline {
                tree: TreeId(*tree),
                entries: self.outline(*tree, &mut known)?,
            })),
            Found::Nothing | Found::Missing => Ok(None),
        };
        found.iter().map(one).collect()
    }

    fn outline(&self, tree: ObjectId, known: &mut Trees) -> Result<Arc<[OutlineEntry]>, Error> {
        if let Some(known) = known.get(&tree) {
            return Ok(Arc::clone(known));
        }
        let mut all = Vec::new();
        self.list(&tree, "", &mut 0, &mut all)?;
        all.sort_by(|a, b| a.path.cmp(&b.path));
        let all: Arc<[OutlineEntry]> = all.into();
        known.insert(tree, Arc::clone(&all));
        Ok(all)
    }

    /// Lists what is below a tree. `steps` counts directories as well: a tree may name the same one many times.
    fn list(
        &self,
        tree: &ObjectId,
        dir: &str,
        steps: &mut u64,
        all: &mut Vec<OutlineEntry>,
    ) -> Result<(), Error> {
        for entry in self.entries(tree)?.unwrap_or_default() {
            *steps += 1;
            if *steps > self.shared.run.options.budget.files.saturating_mul(2) {
                return Err(self.too_much());
            }
            let Ok(name) = names::check(BStr::new(&entry.name), false) else {
                continue;
            };
            let path = if dir.is_empty() {
                name.to_owned()
            } else {
                format!("{dir}/{name}")
            };
            let kind = match entry.kind {
                EntryKind::Tree => {
                    self.list(&entry.id, &path, steps, all)?;
                    continue;
                }
                EntryKind::File(mode) => OutlineKind::File(mode),
                EntryKind::Link => OutlineKind::Link,
                EntryKind::Submodule | EntryKind::Unknown(_) => OutlineKind::Other,
            };
            if let Ok(path) = TreePath::new(path) {
                let id = BlobId(entry.id);
                all.push(OutlineEntry { path, kind, id });
            }
        }
        Ok(())
    }

    fn entries(&self, id: &ObjectId) -> Result<Option<Vec<tree_object::TreeEntry>>, Error> {
        match self.store.with(id, Kind::Tree, tree_object::parse) {
            Ok(Ok(entries)) => Ok(Some(entries)),
            Ok(Err(problem)) => Err(Error::Nonsense {
                at: self.shared.failed_at(),
                why: format!("tree {id}: {}", escape(&problem.to_string(), 200)),
            }),
            Err(ReadError::Missing) => Ok(None),
            Err(error) => Err(self.damaged(id, &error)),
        }
    }

    fn damaged(&self, id: &ObjectId, error: &ReadError) -> Error {
        let entry = self.shared.entry();
        Error::Damaged {
            repo: self.shared.url.clone(),
            id: id.to_string(),
            path: entry.map(|entry| entry.path().to_owned()).unwrap_or_default(),
            why: error.to_string(),
        }
    }

    fn too_much(&self) -> Error {
        Error::Budget {
            repo: self.shared.url.clone(),
            reference: "looked at".to_owned(),
            path: ".".to_owned(),
            what: format!("{} files", self.shared.run.options.budget.files),
            variable: env::MAX_FILES,
        }
    }
}
