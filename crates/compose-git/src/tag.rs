//! Fetches annotated tags in their signed form.

use std::sync::Arc;

use compose_model::{ObjectId, Stage, text::escape};
use gix::objs::Kind;
use tokio::runtime::Handle;

use crate::{
    error::Error,
    repo::Repo,
    session::PackRequest,
    shared::{Shared, Work},
    store::ReadError,
};

impl Repo {
    /// Returns an annotated tag's raw content (without the `tag <size>\0` that is hashed with it),
    /// verified against its id. Takes one request unless the cache holds it. `refname` is used in
    /// messages only.
    pub async fn raw_tag(&self, tag: ObjectId, refname: &str) -> Result<Vec<u8>, Error> {
        let refname = refname.to_owned();
        self.step(move |shared, work, runtime| fetch_tag(shared, work, runtime, tag, &refname))
            .await
    }
}

fn fetch_tag(
    shared: &Arc<Shared>,
    work: &mut Work,
    runtime: &Handle,
    tag: ObjectId,
    refname: &str,
) -> Result<Vec<u8>, Error> {
    let entry = shared.entry()?;
    match shared.store(&entry)?.read(&tag, Kind::Tag) {
        Ok(raw) => return Ok(raw),
        Err(ReadError::Missing) => {}
        Err(ReadError::Damaged(why)) => {
            return Err(Error::Damaged {
                repo: shared.url.clone(),
                id: tag.to_string(),
                path: entry.path().to_owned(),
                why,
            });
        }
        Err(ReadError::Kind(kind)) => return Err(no_tag(shared, tag, refname, &format!("it is a {kind}"))),
    }
    if shared.is_offline() {
        return Err(Error::Offline {
            repo: shared.url.clone(),
            missing: format!("the tag object of {}", escape(refname, 200)),
        });
    }
    let entry = shared.entry_to_fetch()?;
    let _guard = entry.lock_for_fetch(&shared.run, &shared.url)?;
    let session = shared.session(work, runtime)?;
    let incoming = entry.incoming()?;
    let ask = PackRequest {
        ids: &[tag],
        // The tag and its commit, without trees.
        filter: session.can_filter().then(|| "tree:0".to_owned()),
        shallow: true,
    };
    if let Some(pack) = session.fetch(&ask, incoming.path(), Stage::Fetching)? {
        entry.adopt(&shared.run, &pack.pack, &pack.index)?;
    }
    shared
        .store(&entry)?
        .read(&tag, Kind::Tag)
        .map_err(|error| no_tag(shared, tag, refname, &error.to_string()))
}

fn no_tag(shared: &Shared, tag: ObjectId, refname: &str, why: &str) -> Error {
    Error::Nonsense {
        at: shared.failed_at(),
        why: format!("the tag object {tag} of {}: {why}", escape(refname, 200)),
    }
}
