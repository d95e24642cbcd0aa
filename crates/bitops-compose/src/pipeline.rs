//! The stages of a run, in order: config, resolve, fetch, compose, materialise; `launch` is the exec that follows.
//!
//! Each stage is a function whose output is the input of the next one. Resolve and fetch are one
//! call of [`Gatherer::gather`](compose_sources::Gatherer::gather): what a source itself names is
//! known only once it is fetched. Work on the disk or the processor alone runs on the blocking
//! pool, so that signals are still heard.

use std::{
    io::stderr,
    path::{Path, PathBuf},
    sync::Arc,
};

use compose_model::{Diagnostic, Failure, FileMode, Nesting, SourceSpec, TreePath, filter::is_hook, text};
use compose_plan::{
    compose::{self, ComposedFile, Composition, Request, Write, report},
    lock::Locked,
};
use compose_sources::{Gathered, Pins, blocking};
use compose_tree::{Links, Mount, NewFile, Put, Staged, Staging, SwitchLock};

use crate::{
    job::Job,
    local::DiskTree,
    report::table,
    switching::{self, Inputs},
    watch::Stage,
};

/// What would be deployed. It may hold conflicts, which only a plan shows.
pub(crate) struct Planned {
    pub(crate) gathered: Gathered,
    pub(crate) composition: Composition,
}

/// Runs stages 1 to 4.
pub(crate) async fn plan(job: Arc<Job>) -> Result<Planned, Failure> {
    let sources = config(&job)?;
    job.warn(job.image_warning.as_slice());
    let gathered = gathered(&job, sources).await?;
    crate::watch::enter(Stage::Compose);
    blocking(move || {
        let composition = compose(&job, &gathered, Local::Listed)?;
        Ok(Planned {
            gathered,
            composition,
        })
    })
    .await
}

/// Runs stages 1 to 5, everything but the launch. `None` means that the config names no sources.
pub(crate) async fn prepare(job: Arc<Job>, mount: Mount) -> Result<Option<Prepared>, Failure> {
    let sources = declared(&job)?;
    if sources.is_empty() {
        return Ok(None);
    }
    let inputs = Inputs::of(&job)?;
    let links = links(&job);
    job.warn(job.image_warning.as_slice());
    let group = job.printer.group("bitops-compose: resolve and fetch");
    let gathered = gathered(&job, sources).await?;
    job.printer
        .tell(group.as_ref(), || report::text::sources(&gathered.layers.sources));
    drop(group);
    crate::watch::enter(Stage::Compose);
    let (composition, gathered) = {
        let job = Arc::clone(&job);
        let composed = move || {
            let group = job.printer.group("bitops-compose: compose");
            let composition = compose(&job, &gathered, Local::WhereTouched)?;
            let composition = refuse_conflicts(&job, &gathered, composition)?;
            job.printer.tell(group.as_ref(), || {
                report::text::plan(&composition, &gathered.layers.sources).into_string()
            });
            Ok((composition, gathered))
        };
        blocking(composed).await?
    };
    let links = links.await?;
    crate::watch::enter(Stage::Write);
    let (staged, composition, gathered) = {
        let (job, mount) = (Arc::clone(&job), mount.clone());
        blocking(move || {
            let group = job.printer.group("bitops-compose: materialise");
            let staged = materialise(&job, &mount, &gathered, &composition, links)?;
            drop(group);
            Ok((staged, composition, gathered))
        })
        .await?
    };
    crate::watch::enter(Stage::Wait);
    let lock = switching::lock(&job, &mount).await?;
    inputs.check(&job)?;
    crate::report::deliver(
        &job.printer.masks,
        &composition,
        &gathered,
        Some(&staged.manifest()),
    );
    log(&job, &gathered, &composition);
    // The exec that follows frees all memory at once.
    std::mem::forget(composition);
    gathered.leave();
    Ok(Some(Prepared { staged, lock }))
}

/// Logs what is about to run: the sources, the lock, and how long composing took.
fn log(job: &Job, gathered: &Gathered, composition: &Composition) {
    if !tracing::enabled!(tracing::Level::INFO) {
        return;
    }
    for (index, source) in gathered.layers.sources.iter().enumerate() {
        let own = gathered
            .layers
            .layers
            .iter()
            .filter(|layer| layer.source.0 == index);
        let (mut files, mut hooks) = (0, 0);
        for layer in own {
            files += layer.files.len();
            hooks += layer.files.iter().filter(|file| is_hook(&file.path)).count();
        }
        tracing::info!(
            environment = %source.environment,
            requested = text::escape(source.requested.as_str(), 80),
            resolved = text::escape(&source.resolved.name, 80),
            commit = %source.resolved.commit.abbreviated(),
            repo = %source.repo,
            files,
            hooks,
            locked = source.is_locked,
            signer = source.signature.as_ref().map(|signature| signature.signer.as_str()),
            signed = source.signature.as_ref().map(|one| if one.tag.is_some() { "tag" } else { "commit" }),
            "source"
        );
    }
    let lock = job.lock_file();
    let changed = composition
        .files
        .iter()
        .filter(|file| file.write != Write::Local)
        .count();
    tracing::info!(
        environment = %composition.environment,
        sources = gathered.layers.sources.len(),
        files = changed,
        lock = if lock.path().exists() { lock.name() } else { "none" },
        seconds = %format_args!("{:.1}", crate::watch::started().elapsed().as_secs_f64()),
        "composed; BitOps starts"
    );
}

/// Looks for the user's symlinks while other work waits for the network.
fn links(job: &Job) -> impl Future<Output = Result<Links, Failure>> + use<> {
    let (root, skipped) = (job.root.clone(), cache_in(&job.cache_dir(), &job.root));
    let skipped: Vec<PathBuf> = skipped.iter().map(|cache| cache.as_str().into()).collect();
    blocking(move || Ok(Links::of(&root, &skipped)))
}

/// A composition that only has to be switched in.
pub(crate) struct Prepared {
    pub(crate) staged: Staged,
    /// The right to switch, held since before the last look at the user's config.
    pub(crate) lock: SwitchLock,
}

/// Runs stage 1: reads the sources that the environment's config names.
fn declared(job: &Job) -> Result<Vec<SourceSpec>, Failure> {
    let (sources, warning) = parsed(job)?;
    job.warn(warning.as_slice());
    Ok(sources)
}

/// Returns the sources that the config names, or a warning that it names none.
fn parsed(job: &Job) -> Result<(Vec<SourceSpec>, Option<Diagnostic>), Failure> {
    let sources = compose_plan::config::parse(&job.file, &job.text, Nesting::Root)?;
    let is_empty = sources.is_empty();
    let warning = is_empty.then(|| compose_plan::config::empty(&job.file, &job.text));
    Ok((sources, warning.flatten()))
}

/// Runs stage 1 for people, who also learn of lists that would be ignored. A deployment looks for
/// those in stage 0.
pub(crate) fn config(job: &Job) -> Result<Vec<SourceSpec>, Failure> {
    without_ignored_lists(job, declared(job))
}

/// Runs stage 1 as [`config`] does, but returns the warning instead of reporting it.
pub(crate) fn examined_config(job: &Job) -> Result<(Vec<SourceSpec>, Option<Diagnostic>), Failure> {
    without_ignored_lists(job, parsed(job))
}

fn without_ignored_lists<T: Default>(job: &Job, read: Result<T, Failure>) -> Result<T, Failure> {
    let (read, mut problems) = match read {
        Ok(read) => (read, Vec::new()),
        Err(failure) => (T::default(), failure.into_diagnostics()),
    };
    problems.extend(job.ignored_lists());
    Failure::new(problems).map_or(Ok(read), Err)
}

/// Runs stages 1 to 4 of a job whose config is being changed. A lock answers all but the requests that have changed, and
/// those that are to be `resolved` in any case.
pub(crate) async fn plan_edited(
    job: &Arc<Job>,
    resolved: &(dyn Fn(&Locked) -> bool + Sync),
) -> Result<Planned, Failure> {
    let sources = declared(job)?;
    let mut lock = job.lock_file().read()?.unwrap_or_default();
    lock.sources.retain(|locked| {
        let is_changed = |spec: &SourceSpec| {
            spec.repo == locked.repo
                && spec.environment == locked.environment
                && spec.requested != locked.requested
        };
        !sources.iter().any(is_changed) && !resolved(locked)
    });
    let pins = if lock.sources.is_empty() {
        Pins::default()
    } else {
        Pins::to(lock)
    };
    let gathered = job.gatherer()?.gather(sources, &pins).await?;
    crate::watch::enter(Stage::Compose);
    let job = Arc::clone(job);
    blocking(move || {
        let composition = compose(&job, &gathered, Local::WhereTouched)?;
        Ok(Planned {
            gathered,
            composition,
        })
    })
    .await
}

/// Runs stages 2 and 3, following the lock where there is one.
async fn gathered(job: &Job, sources: Vec<SourceSpec>) -> Result<Gathered, Failure> {
    crate::watch::enter(Stage::Fetch);
    let pins = Pins::read(&job.lock_file(), job.settings.locked)?;
    let gathered = job.gatherer()?.gather(sources, &pins).await?.without_files();
    job.warn(&gathered.warnings);
    Ok(gathered)
}

/// How much of the user's environment a composition lists.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Local {
    /// All files, for people.
    Listed,
    /// Only the files that a source touches: the cost of a deployment does not grow with the
    /// operations repo.
    WhereTouched,
}

/// Runs stage 4: turns layers into files.
pub(crate) fn compose(job: &Job, gathered: &Gathered, local: Local) -> Result<Composition, Failure> {
    let request = Request {
        environment: &job.environment,
        layers: &gathered.layers,
        contents: gathered,
        local: &DiskTree::of(job),
        image_config: job.image.as_ref(),
        list_local: local == Local::Listed,
        cancel: &job.cancel,
    };
    Ok(compose::compose(&request)?)
}

/// Returns the conflicts of a composition.
pub(crate) fn conflicts(composition: &Composition, gathered: &Gathered) -> Vec<Diagnostic> {
    report::conflicts(
        composition,
        &gathered.layers.sources,
        table::columns_before_masks(&stderr()),
    )
}

/// Returns the composition if it has no conflicts, or all of them as an error.
pub(crate) fn refuse_conflicts(
    job: &Job,
    gathered: &Gathered,
    composition: Composition,
) -> Result<Composition, Failure> {
    job.warn(&composition.warnings);
    Failure::check(conflicts(&composition, gathered)).map(|()| composition)
}

/// Runs stage 5: creates a directory beside the mount. Nothing is written below the user's
/// operations repo.
fn materialise(
    job: &Job,
    mount: &Mount,
    gathered: &Gathered,
    composition: &Composition,
    links: Links,
) -> Result<Staged, Failure> {
    mount.remove_old();
    let mut staging = Staging::begin(mount, &job.environment)?;
    if let Some(cache) = cache_in(&job.cache_dir(), mount.root()) {
        staging.leave_out(&cache);
    }
    job.passed.iter().for_each(|dir| staging.make_real(dir));
    let changed: Vec<(&ComposedFile, FileMode)> = composition
        .files
        .iter()
        .filter_map(|file| Some((file, file.write.mode()?)))
        .collect();
    let files: Vec<NewFile<'_>> = changed.iter().map(|(file, mode)| (&file.path, *mode)).collect();
    let content = |at: usize, put: &mut Put<'_>| -> Result<(), Failure> {
        job.cancel.check()?;
        match &changed[at].0.write {
            Write::Blob { source, file } => gathered.with(*source, file, put)??,
            Write::Bytes { bytes, .. } => put(bytes)?,
            Write::Local => {}
        }
        Ok(())
    };
    let manifest = report::json::manifest(composition, &gathered.layers.sources);
    let staged = staging.write(&files, links, content, |out| {
        crate::report::write_json(&manifest, out)
    })?;
    Ok(staged)
}

/// Returns the cache's place in the operations repo, if it has one there.
///
/// In a container step of GitHub Actions, only the workspace lasts. BitOps copies everything it
/// sees of the repo, and has no use for the cache.
fn cache_in(cache: &Path, root: &Path) -> Option<TreePath> {
    let (cache, root) = (cache.canonicalize().ok()?, root.canonicalize().ok()?);
    TreePath::new(cache.strip_prefix(root).ok()?.to_str()?).ok()
}
