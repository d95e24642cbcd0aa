//! The signatures of sources: which are required, and whether they are valid.

use std::{
    collections::{HashMap, HashSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use compose_git::{Repo, Snapshot};
use compose_model::{Diagnostic, Failure, ObjectId, SourceSpec, VerifyMode};
use compose_plan::{
    layer::Signature,
    resolve::{Kind, Resolved},
};
use compose_signatures::{Keys, Object, Signer, Unverified, verify_commit, verify_tag, verify_tag_by_id};

use crate::{
    local_file::{self, resolve_below},
    wording,
};

/// The greatest file of keys that is read, in bytes.
const MAX_KEYS_SIZE: u64 = 4 << 20;

/// Checks signatures with the trusted keys of a run. Each file of keys is read once.
pub struct Verifier {
    /// The operations repo's root, to which the `keys` of entries are relative.
    root: PathBuf,
    /// `BITOPS_COMPOSE_VERIFY_KEYS`
    for_all: Option<PathBuf>,
    read: Mutex<HashMap<PathBuf, Result<Arc<Keys>, Failure>>>,
}

/// The objects that must be signed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// The objects that the entry's `verify` names.
    These(VerifyMode),
    /// The tag or the commit. A signed tag vouches for its commit, and `BITOPS_COMPOSE_VERIFY_KEYS` serves
    /// catalogs that sign either.
    Either,
}

impl Verifier {
    /// Returns a verifier for the operations repo at `root`. With `for_all`, a file of trusted keys, every source
    /// must be signed. No file is read yet.
    pub fn new(root: &Path, for_all: Option<&Path>) -> Self {
        Self {
            root: root.to_owned(),
            for_all: for_all.map(Path::to_owned),
            read: Mutex::default(),
        }
    }

    /// Reads the keys that these sources need, so that a run with missing or bad keys fails before it contacts
    /// any repo.
    pub fn prepare(&self, specs: &[SourceSpec]) -> Result<(), Failure> {
        let mut problems = Vec::new();
        let mut prepared = HashSet::new();
        for spec in specs {
            match self
                .keys_for(spec)
                .map_err(|problem| problem.with_place(spec.place.clone()))
            {
                Err(problem) => problems.push(problem),
                Ok((_, Some(path))) if prepared.insert(path.clone()) => {
                    let wrong = self
                        .keys(&path)
                        .err()
                        .into_iter()
                        .flat_map(Failure::into_diagnostics);
                    let named = spec.verify.as_ref().is_some_and(|verify| verify.keys.is_some());
                    problems.extend(wrong.map(|problem| match problem.place {
                        None if named => problem.with_place(spec.place.clone()),
                        _ => problem,
                    }));
                }
                Ok(_) => {}
            }
        }
        Failure::new(problems).map_or(Ok(()), Err)
    }

    /// Returns which objects must be signed, and the file of trusted keys; no file if no signature is required.
    fn keys_for(&self, spec: &SourceSpec) -> Result<(Needs, Option<PathBuf>), Diagnostic> {
        let Some(verify) = &spec.verify else {
            return Ok((Needs::Either, self.for_all.clone()));
        };
        let own = match &verify.keys {
            Some(keys) => Some(self.own_keys(keys)?),
            None => None,
        };
        match own.or_else(|| self.for_all.clone()) {
            Some(keys) => Ok((Needs::These(verify.mode), Some(keys))),
            None => Err(wording::no_keys(spec)),
        }
    }

    /// Returns the path of the file that an entry's `keys` names. A relative one stays in the operations repo.
    fn own_keys(&self, keys: &Path) -> Result<PathBuf, Diagnostic> {
        let path = self.root.join(keys);
        if keys.is_absolute() {
            return Ok(path);
        }
        match resolve_below(&path, &[&self.root]) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                Err(wording::keys_outside(&path, error))
            }
            // What else is wrong with it shows when it is read.
            _ => Ok(path),
        }
    }

    /// Verifies a source; `None` if it needs no signature.
    ///
    /// # Errors
    ///
    /// If a required signature is missing, invalid, or not made by a trusted key.
    pub async fn verify(
        &self,
        repo: &Repo,
        spec: &SourceSpec,
        resolved: &Resolved,
        is_locked: bool,
        snapshot: &Snapshot,
    ) -> Result<Option<Signature>, Failure> {
        let (needs, Some(path)) = self.keys_for(spec)? else {
            return Ok(None);
        };
        let keys = self.keys(&path)?;
        let source = Candidate {
            repo,
            spec,
            resolved,
            is_locked,
            snapshot,
            keys: &keys,
        };
        let (signers, tag) = source.signers(needs).await?;
        let mut fingerprints: Vec<&str> = signers.iter().map(|signer| signer.fingerprint.as_str()).collect();
        fingerprints.dedup();
        let signer = fingerprints.join(", ");
        tracing::info!(
            repo = %spec.repo,
            environment = %spec.environment,
            commit = %resolved.commit,
            %signer,
            principal = signers.iter().find_map(|signer| signer.principal.as_deref()),
            "the signature is good"
        );
        Ok(Some(Signature { signer, tag }))
    }

    fn keys(&self, path: &Path) -> Result<Arc<Keys>, Failure> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.entry(path.to_owned())
            .or_insert_with(|| read_keys(path).map(Arc::new))
            .clone()
    }
}

fn read_keys(path: &Path) -> Result<Keys, Failure> {
    let bytes =
        local_file::read(path, MAX_KEYS_SIZE).map_err(|error| wording::unreadable_keys(path, error))?;
    Ok(Keys::parse(&path.display().to_string(), &bytes)?)
}

/// A fetched source that is not verified yet.
struct Candidate<'a> {
    repo: &'a Repo,
    spec: &'a SourceSpec,
    resolved: &'a Resolved,
    is_locked: bool,
    snapshot: &'a Snapshot,
    keys: &'a Keys,
}

impl Candidate<'_> {
    /// Returns the signers of the required objects, and the tag object if it was verified.
    async fn signers(&self, needs: Needs) -> Result<(Vec<Signer>, Option<ObjectId>), Failure> {
        match needs {
            Needs::These(VerifyMode::Commit) => Ok((vec![self.commit()?], None)),
            Needs::These(VerifyMode::Tag) => {
                let (signer, tag) = self.tag().await?;
                Ok((vec![signer], Some(tag)))
            }
            Needs::These(VerifyMode::Both) => {
                let commit = self.commit()?;
                let (signer, tag) = self.tag().await?;
                Ok((vec![commit, signer], Some(tag)))
            }
            Needs::Either => match self.commit() {
                Ok(signer) => Ok((vec![signer], None)),
                Err(of_commit) => match self.tag().await {
                    Ok((signer, tag)) => Ok((vec![signer], Some(tag))),
                    Err(of_tag) if self.resolved.kind == Kind::Tag || self.resolved.tag_object.is_some() => {
                        Err([of_commit, of_tag].map(Failure::into_diagnostics).concat().into())
                    }
                    Err(_) => Err(of_commit),
                },
            },
        }
    }

    fn commit(&self) -> Result<Signer, Failure> {
        let raw = self.snapshot.raw_commit()?;
        verify_commit(&raw, self.keys).map_err(|error| self.refused(error))
    }

    async fn tag(&self) -> Result<(Signer, ObjectId), Failure> {
        let unsigned = || self.refused(Unverified::Unsigned { object: Object::Tag });
        let commit = self.resolved.commit;
        let (tag, signer) = match (self.resolved.kind, self.resolved.refname.as_deref()) {
            (Kind::Tag, Some(refname)) => {
                let tag = self.tag_object(refname).await?.ok_or_else(unsigned)?;
                let raw = self.repo.raw_tag(tag, refname).await?;
                (tag, verify_tag(&raw, &self.resolved.name, commit, self.keys))
            }
            (Kind::Commit, _) => {
                let tag = self.resolved.tag_object.ok_or_else(unsigned)?;
                let raw = self.repo.raw_tag(tag, &tag.to_string()).await?;
                (tag, verify_tag_by_id(&raw, commit, self.keys))
            }
            _ => return Err(unsigned()),
        };
        Ok((signer.map_err(|error| self.refused(error))?, tag))
    }

    /// Returns the annotated tag. A lock that was written before signatures were required does not contain it;
    /// then it is looked up in the repo's refs.
    async fn tag_object(&self, refname: &str) -> Result<Option<ObjectId>, Failure> {
        if self.resolved.tag_object.is_some() || !self.is_locked {
            return Ok(self.resolved.tag_object);
        }
        let refs = self.repo.refs(&[refname.to_owned()]).await?;
        Ok(refs
            .get(refname)
            .filter(|entry| entry.target == self.resolved.commit && entry.object != entry.target.0)
            .map(|entry| entry.object))
    }

    fn refused(&self, error: Unverified) -> Failure {
        wording::unverified(self.spec, self.resolved, error).into()
    }
}
