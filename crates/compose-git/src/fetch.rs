//! Fetches the objects that the tree walk finds missing, in as few requests as the server allows.
//!
//! The first request asks for the commits at depth 1 and leaves out what a filter can leave out.
//! The second one asks for the wanted directories by their tree ids, which brings everything below
//! them and nothing else. The table was measured with `git http-backend` for one wanted environment
//! of 12 files (25 KB), without handshake and refs:
//!
//! | first request | requests | bytes of 1,000 environments | of 100 | of 5 |
//! |---|---|---|---|---|
//! | `tree:<depth of the wanted directories>` | 2 | 32,142 | 10,962 | 8,768 |
//! | `blob:none` | 2 | 544,937 | 68,046 | 11,936 |
//! | no filter | 1 | 6,557,870 | 662,542 | 38,632 |
//!
//! The tree filter is therefore tried first. Servers that refuse it get the next one, which costs
//! the refused request and another handshake, once per host and run. Servers without filters send
//! the whole commit. Without any filter a small repo would take one round trip less, but small and
//! large repos cannot be told apart in advance: that round trip bounds the cost of a large one.
//!
//! After each answer the walk runs again, and the objects that are still missing (targets of
//! symlinks) are requested until none is. If a server refuses ids that it did not advertise, the
//! commit is requested by the id of a ref that points to it, without a filter.

mod restart;

use std::{collections::HashSet, path::PathBuf, sync::Arc};

use compose_model::{ObjectId, RefEntry, Stage, text::escape};
use tokio::runtime::Handle;

use crate::{
    cache::{Compacted, FetchLock, KeepAlive, OpenEntry, check_present},
    error::{Error, Excess},
    list_tree::{ListError, Listing, Missing, TreeLister},
    session::{PackRequest, Session},
    shared::{Shared, Work},
    snapshot::{Listed, Snapshot},
    store::{PeelError, ReadError, Store},
    strategy::Strategy,
    want::{Root, Want},
};

/// The most requests for one call. Each hop of a chain of symlinks takes one, and a path may pass
/// 40 links.
const MOST_ROUNDS: usize = 64;

/// The objects that the store holds of the wants, and those that it lacks.
#[derive(Default)]
struct Survey {
    /// The indices of wants whose commit is missing.
    commits: Vec<usize>,
    /// The indices of wants with anything missing.
    incomplete: Vec<usize>,
    missing: Missing,
    /// The files of the wanted directories, want by want, as far as they are known.
    listings: Vec<Vec<Listed>>,
}

/// The outcome of surveying the store.
enum SurveyOutcome {
    /// All objects that are there could be read.
    Readable(Survey),
    /// The object with this id is damaged, for this reason.
    Damaged(ObjectId, String),
}

/// See [`crate::Repo::fetch`]. If the cache changes under the fetch or its disk is full, the fetch
/// starts again.
pub(crate) fn fetch(
    shared: &Arc<Shared>,
    work: &mut Work,
    runtime: &Handle,
    wants: &[Want],
) -> Result<Vec<Snapshot>, Error> {
    let mut restarts = 0;
    loop {
        let fetched = fetch_once(shared, work, runtime, wants);
        match fetched {
            Err(error) if !shared.is_offline() && restart::prepare(shared, work, &error, restarts) => {
                tracing::debug!(repo = %shared.url, %error, "the fetch starts again");
                restarts += 1;
            }
            fetched => return fetched,
        }
    }
}

fn fetch_once(
    shared: &Arc<Shared>,
    work: &mut Work,
    runtime: &Handle,
    wants: &[Want],
) -> Result<Vec<Snapshot>, Error> {
    let entry = shared.entry()?;
    let store = shared.store(&entry)?;
    match survey_store(shared, &store, wants)? {
        SurveyOutcome::Readable(survey) if survey.incomplete.is_empty() => {
            tracing::debug!("all there");
            work.has_readers = true;
            return snapshots(shared, &entry, &store, wants, survey);
        }
        first if shared.is_offline() => return Err(offline(shared, &first, wants)),
        _ => {}
    }
    let entry = shared.entry_to_fetch()?;
    let lock = entry.lock_for_fetch(&shared.run, &shared.url)?;
    let (mut store, survey) = complete(shared, work, runtime, wants, &entry, &lock)?;
    if !work.has_readers {
        let commits: Vec<_> = wants.iter().map(|want| want.commit).collect();
        match entry.compact(&shared.run, &lock, &store, &commits)? {
            Compacted::No => {}
            Compacted::Yes => store = shared.store(&entry)?,
            Compacted::Gone => {
                shared.forget_entry();
                return fetch(shared, work, runtime, wants);
            }
        }
    }
    work.has_readers = true;
    snapshots(shared, &entry, &store, wants, survey)
}

// Fetches until the store holds everything that is wanted. A damaged store is emptied once and
// fetched again.
fn complete(
    shared: &Arc<Shared>,
    work: &mut Work,
    runtime: &Handle,
    wants: &[Want],
    entry: &OpenEntry,
    lock: &FetchLock,
) -> Result<(Store, Survey), Error> {
    let mut asked = HashSet::new();
    let mut received = Vec::new();
    let mut has_reset = false;
    for _ in 0..MOST_ROUNDS {
        shared.run.check(&shared.url)?;
        // Another process may have fetched everything while this one waited for the lock.
        let store = shared.store(entry)?;
        let survey = match survey_store(shared, &store, wants)? {
            SurveyOutcome::Readable(survey) => survey,
            SurveyOutcome::Damaged(id, why) if !has_reset => {
                tracing::warn!(%id, why, path = %entry.path().display(), "the cache is damaged; it is fetched again");
                entry.reset(lock)?;
                shared.objects.clear();
                (has_reset, asked) = (true, HashSet::new());
                continue;
            }
            SurveyOutcome::Damaged(id, why) => {
                let why = format!("object {id}: {why}");
                return Err(Error::Nonsense {
                    at: shared.failed_at(),
                    why,
                });
            }
        };
        if survey.incomplete.is_empty() {
            return Ok((store, survey));
        }
        let progress = (&mut asked, &mut received);
        request(shared, work, runtime, wants, &survey, entry, progress)?;
    }
    Err(Error::TooMuch {
        at: shared.failed_at(),
        what: Excess::Symlinks,
        limit: format!("{MOST_ROUNDS} requests"),
    })
}

/// Sends one request for the missing objects. After a refusal it switches to the next strategy, and
/// returns an error only if none is left.
fn request(
    shared: &Arc<Shared>,
    work: &mut Work,
    runtime: &Handle,
    wants: &[Want],
    survey: &Survey,
    entry: &OpenEntry,
    (asked, received): (&mut HashSet<ObjectId>, &mut Vec<PathBuf>),
) -> Result<(), Error> {
    if work.strategy == Strategy::Trees && shared.run.has_refused_trees(&shared.url) {
        work.strategy = Strategy::Blobs;
    }
    let strategy = work.strategy;
    let session = shared.session(work, runtime)?;
    let can_filter = session.can_filter();
    let of_commits = !survey.commits.is_empty() || strategy == Strategy::Advertised;
    let (ids, filter) = if of_commits {
        let whole = strategy == Strategy::Advertised;
        let which = if whole {
            &survey.incomplete
        } else {
            &survey.commits
        };
        let ids = commit_ids(shared, session, wants, which, whole)?;
        (ids, strategy.filter(wants, which).filter(|_| can_filter))
    } else {
        let filter = (!survey.missing.trees.is_empty() && can_filter).then(|| "blob:none".to_owned());
        (survey.missing.all().collect(), filter)
    };
    let ids: Vec<ObjectId> = ids.into_iter().filter(|id| !asked.contains(id)).collect();
    if ids.is_empty() {
        check_present(received)?;
        return Err(not_sent(shared, wants, survey));
    }
    tracing::debug!(
        ?strategy,
        filter,
        wants = ids.len(),
        commits = of_commits,
        "asking"
    );
    let incoming = entry.incoming()?;
    let ask = PackRequest {
        ids: &ids,
        filter,
        shallow: of_commits,
    };
    let stage = if of_commits {
        Stage::Fetching
    } else {
        Stage::FetchingFiles
    };
    match session.fetch(&ask, incoming.path(), stage) {
        Ok(pack) => {
            asked.extend(ids);
            let Some(pack) = pack else { return Ok(()) };
            tracing::debug!(objects = pack.objects, "received");
            received.extend(entry.adopt(&shared.run, &pack.pack, &pack.index)?);
            Ok(())
        }
        Err(Error::Remote { at, said }) => {
            let next = strategy.after_refusal(&said);
            let Some(next) = next else {
                return Err(Error::Remote { at, said });
            };
            tracing::debug!(?strategy, ?next, said, "the server refuses");
            if next == Strategy::Blobs {
                shared.run.record_tree_refusal(&shared.url);
            }
            (work.strategy, work.session) = (next, None);
            asked.clear();
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Returns the ids to request for the commits of the wants at the indices `which`: the commits'
/// own, or, if only advertised ids are served (or all refs are known anyway, as in protocol 0),
/// those of refs that point to them. For an annotated tag that is the tag's id.
fn commit_ids(
    shared: &Shared,
    session: &mut Session,
    wants: &[Want],
    which: &[usize],
    advertised_only: bool,
) -> Result<Vec<ObjectId>, Error> {
    let mut ids = Vec::new();
    let refs = if advertised_only || session.has_all_refs() {
        let mut prefixes: Vec<String> = which
            .iter()
            .filter_map(|index| wants[*index].refname.clone())
            .collect();
        prefixes.extend(["refs/heads/", "refs/tags/"].map(str::to_owned));
        session.refs(&prefixes)?
    } else {
        Vec::new()
    };
    for want in which.iter().map(|index| &wants[*index]) {
        let named = refs
            .iter()
            .find(|entry| Some(&entry.name) == want.refname.as_ref() && entry.target == want.commit);
        let is_wanted = |entry: &&RefEntry| entry.target == want.commit || entry.object == want.commit.0;
        let any = || refs.iter().find(is_wanted);
        let id = match named.or_else(any) {
            Some(entry) => entry.object,
            None if advertised_only => return Err(no_commit(shared, want)),
            None => want.commit.0,
        };
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

fn no_commit(shared: &Shared, want: &Want) -> Error {
    let reference = want.refname.as_deref().map(ref_name);
    Error::NoCommit {
        repo: shared.url.clone(),
        commit: want.commit,
        reference,
    }
}

fn not_sent(shared: &Shared, wants: &[Want], survey: &Survey) -> Error {
    let what = match survey.commits.first() {
        Some(index) => format!("commit {}", wants[*index].commit),
        None => format!(
            "object {}",
            survey
                .missing
                .all()
                .next()
                .map(|id| id.to_string())
                .unwrap_or_default()
        ),
    };
    Error::Nonsense {
        at: shared.failed_at(),
        why: format!("{what} was requested but not sent"),
    }
}

/// Walks the wanted directories in the store and records what is missing.
fn survey_store(shared: &Shared, store: &Store, wants: &[Want]) -> Result<SurveyOutcome, Error> {
    let mut survey = Survey::default();
    for (index, want) in wants.iter().enumerate() {
        let root = match store.peel(&want.commit.0) {
            Ok(peeled) => peeled.root,
            Err(PeelError {
                error: ReadError::Missing,
                ..
            }) => {
                survey.commits.push(index);
                survey.incomplete.push(index);
                survey.listings.push(Vec::new());
                continue;
            }
            Err(PeelError {
                id,
                error: ReadError::Kind(kind),
            }) => {
                let of = if id == want.commit.0 { "" } else { "tag of a " };
                return Err(Error::NotACommit {
                    repo: shared.url.clone(),
                    id: want.commit,
                    kind: format!("{of}{kind}"),
                });
            }
            Err(PeelError {
                id,
                error: ReadError::Damaged(why),
            }) => return Ok(SurveyOutcome::Damaged(id, why)),
        };
        let lister = TreeLister::new(store, root, shared.run.options.budget, true);
        let mut complete = lister.is_present(&mut survey.missing);
        let mut listed = Vec::new();
        for root in &want.roots {
            match lister.list(root) {
                Ok(Listing {
                    files,
                    left_out,
                    missing,
                }) => {
                    complete &= missing.is_empty();
                    survey.missing.add(missing);
                    listed.push(Listed {
                        root: root.clone(),
                        files: files.into(),
                        left_out,
                    });
                }
                Err(ListError::Damaged(id, why)) => return Ok(SurveyOutcome::Damaged(id, why)),
                // The listing is incomplete; [`Snapshot::files`] reports the error.
                Err(ListError::Refused(refused)) => {
                    complete &= refused.missing.is_empty();
                    survey.missing.add(refused.missing);
                }
                Err(ListError::Tree(..) | ListError::Budget(_)) => {}
            }
        }
        if !complete {
            survey.incomplete.push(index);
        }
        survey.listings.push(listed);
    }
    Ok(SurveyOutcome::Readable(survey))
}

fn snapshots(
    shared: &Shared,
    entry: &Arc<OpenEntry>,
    store: &Store,
    wants: &[Want],
    survey: Survey,
) -> Result<Vec<Snapshot>, Error> {
    let snapshots = wants
        .iter()
        .zip(survey.listings)
        .map(|(want, listed)| {
            let peeled = store.peel(&want.commit.0).map_err(|found| Error::Damaged {
                repo: shared.url.clone(),
                id: found.id.to_string(),
                path: entry.path().to_owned(),
                why: found.error.to_string(),
            })?;
            let reference = want
                .refname
                .as_deref()
                .map_or_else(|| want.commit.abbreviated(), ref_name);
            let keep: KeepAlive = Arc::new((Arc::clone(entry), Arc::clone(&shared.run)));
            let place = (store.clone(), entry.path().to_owned(), keep);
            let is_listed = |root: &Root| listed.iter().any(|listed| listed.root == *root);
            let refused = want
                .roots
                .iter()
                .filter(|root| !is_listed(root))
                .cloned()
                .collect();
            Ok(Snapshot::new(
                shared.url.clone(),
                reference,
                (peeled.commit, peeled.root),
                shared.run.options.budget,
                place,
                (listed, refused),
            ))
        })
        .collect();
    store.drop_readers();
    snapshots
}

fn offline(shared: &Shared, survey_store: &SurveyOutcome, wants: &[Want]) -> Error {
    let missing = match survey_store {
        SurveyOutcome::Damaged(id, why) => format!("object {id} ({why})"),
        SurveyOutcome::Readable(survey) => {
            let want = survey.incomplete.first().map(|index| &wants[*index]);
            let whole = !survey.commits.is_empty();
            want.map_or_else(String::new, |want| {
                let name = want
                    .refname
                    .as_deref()
                    .map(|name| format!("{} ", ref_name(name)))
                    .unwrap_or_default();
                let commit = format!("{name}(commit {})", want.commit.abbreviated());
                let dirs: Vec<&str> = want.roots.iter().map(|root| root.dir.as_str()).collect();
                if whole || dirs.is_empty() {
                    commit
                } else {
                    format!("{} of {commit}", dirs.join(", "))
                }
            })
        }
    };
    Error::Offline {
        repo: shared.url.clone(),
        missing,
    }
}

/// Strips `refs/tags/` or `refs/heads/` (`refs/tags/1.0.0` → `1.0.0`) and escapes the rest.
fn ref_name(refname: &str) -> String {
    let name = ["refs/tags/", "refs/heads/"]
        .iter()
        .find_map(|prefix| refname.strip_prefix(prefix));
    escape(name.unwrap_or(refname), 200)
}
