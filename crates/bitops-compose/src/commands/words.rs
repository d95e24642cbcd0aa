//! The words of `update` and `upgrade`: environments first, then sources.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use compose_model::{Diagnostic, Failure};

use super::DONE;
use crate::{
    cli::{self, Asked},
    job::Job,
    target,
};

/// What the words name.
pub(super) struct Named {
    environments: Vec<String>,
    all: bool,
    pub(super) sources: Sources,
}

/// The sources that are named.
#[derive(Clone)]
pub(super) struct Sources {
    /// All sources are meant without any name.
    pub(super) names: Vec<String>,
    /// Those of the names that some environment has.
    known: Arc<Mutex<BTreeSet<String>>>,
    /// Whether there are several environments, of which one may lack a source.
    are_several: bool,
}

impl Named {
    /// Reads the words.
    ///
    /// As with every command, the first words may be environments. A word is one unless `--environment` or `--all` says
    /// which there are, or it is a source of the variable's environment.
    pub(super) fn of(args: &cli::Sources, is_source: fn(&Job, &str) -> bool) -> Result<Self, Failure> {
        let (environments, names) = split(args, is_source)?;
        Ok(Self {
            sources: Sources {
                names: names.to_vec(),
                known: Arc::default(),
                are_several: args.all || environments.len() > 1,
            },
            all: args.all,
            environments,
        })
    }

    /// Returns which environments are meant.
    pub(super) fn asked(&self) -> Asked<'_> {
        if self.all {
            Asked::All
        } else {
            Asked::Words(&self.environments)
        }
    }
}

fn split(
    args: &cli::Sources,
    is_source: fn(&Job, &str) -> bool,
) -> Result<(Vec<String>, &[String]), Failure> {
    if args.all || !args.environments.is_empty() || args.words.is_empty() {
        return Ok((args.environments.clone(), &args.words));
    }
    let root = target::root(&args.place, None)?;
    let is_environment = |word: &&String| {
        let named = target::select(&args.place, Asked::Words(std::slice::from_ref(word)));
        let is_one = named.is_ok_and(|found| target::is_environment(&found.root, &found.environments[0]));
        // A problem of the variable's environment is reported when it turns out to be the one that is meant.
        let has_source = || Job::of(&args.place, None).is_ok_and(|job| is_source(&job, word));
        (is_one || target::is_environment(&root, word)) && !has_source()
    };
    let count = args.words.iter().take_while(is_environment).count();
    let (environments, sources) = args.words.split_at(count);
    Ok((environments.to_vec(), sources))
}

impl Sources {
    /// Returns whether a source is meant, by any of the names that fit it.
    pub(super) fn mean(&self, fits: impl Fn(&str) -> bool) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| fits(name))
    }

    /// Notes which of the names an environment has.
    ///
    /// # Errors
    ///
    /// The problem of the first name that the only environment lacks.
    pub(super) fn check(
        &self,
        is_there: impl Fn(&str) -> bool,
        missing: impl Fn(&str) -> Diagnostic,
    ) -> Result<(), Diagnostic> {
        for name in &self.names {
            if is_there(name) {
                let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                known.insert(name.clone());
            } else if !self.are_several {
                return Err(missing(name));
            }
        }
        Ok(())
    }

    /// Returns the exit code of all environments, which must have each name at least once.
    pub(super) fn settle(&self, code: u8, missing: impl Fn(&str) -> Diagnostic) -> Result<u8, Failure> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match self.names.iter().find(|name| !known.contains(*name)) {
            Some(name) if code == DONE => Err(missing(name).into()),
            _ => Ok(code),
        }
    }
}
