//! `deploy`: the image's entrypoint.

use std::{convert::Infallible, ffi::OsString, sync::Arc};

use compose_model::{Diagnostic, Failure};

use crate::{
    bypass::{self, Found, Start},
    job::Job,
    launch::{Pipeline, pipeline_words},
    pipeline::{self, Prepared},
    report::Printer,
    runtime, signals, staying,
    watch::watched,
};

/// Composes if there is something to compose, then replaces this process by the pipeline or its
/// parent.
///
/// Returns only the exit code of a failure.
pub(crate) fn run(args: Vec<OsString>) -> u8 {
    let failed = match bypass::decide(&args) {
        Ok(Start::Bypass) => {
            // A signal that was heard while something was looked at ends the run; a later one does so by itself.
            signals::leave_at_once();
            let stopped = signals::stopped().map_or(Ok(()), Err);
            stopped.and_then(|()| start(args)).map_err(Failure::from)
        }
        Ok(Start::Compose(found)) => return compose(&Arc::new(found), args),
        Err(failure) => Err(failure),
    };
    let Err(failure) = failed;
    Printer::plain().problems(failure.diagnostics());
    failure.code().code()
}

fn start(args: Vec<OsString>) -> Result<Infallible, Diagnostic> {
    let (words, dir) = pipeline_words();
    start_with(Pipeline::find(&words, &dir, args)?)
}

/// Starts the pipeline with nothing to compose.
fn start_with(pipeline: Pipeline) -> Result<Infallible, Diagnostic> {
    match staying::asked_for()? {
        Some(grace) => staying::become_parent(pipeline, grace, None),
        None => pipeline.exec(None),
    }
}

fn compose(found: &Arc<Found>, args: Vec<OsString>) -> u8 {
    let found = Arc::clone(found);
    let job = {
        let (found, args) = (Arc::clone(&found), args.clone());
        watched(move || Job::deploy(&found, &args))
    };
    let failure = match job {
        Ok(job) => {
            let job = Arc::new(job);
            let Err(failure) = compose_and_start(&job, &found, args);
            // Nothing is left to clean up.
            signals::leave_at_once();
            job.printer.problems(failure.diagnostics());
            failure
        }
        Err(failure) => {
            Printer::plain().problems(failure.diagnostics());
            failure
        }
    };
    failure.code().code()
}

fn compose_and_start(job: &Arc<Job>, found: &Found, args: Vec<OsString>) -> Result<Infallible, Failure> {
    let (words, dir) = pipeline_words();
    // What would fail at the end should fail at the start.
    let pipeline = Pipeline::find(&words, &dir, args)?;
    found.mount.check_switchable()?;
    let work = {
        let (job, mount) = (Arc::clone(job), found.mount.clone());
        move || runtime::run_before_launch(job.settings.jobs, pipeline::prepare(Arc::clone(&job), mount))
    };
    let prepared = watched(work)?;
    if let Some(stopped) = signals::stopped() {
        return Err(stopped.into());
    }
    let Some(Prepared { staged, lock }) = prepared else {
        bypass::settle(&found.mount)?;
        return Ok(start_with(pipeline)?);
    };
    // If the exec fails, this is dropped: the mount is switched back and the composition removed.
    let switched = staged.switch(&found.mount, lock)?;
    if job.settings.supervise != Some(false) {
        return Ok(staying::become_parent(
            pipeline,
            job.settings.grace,
            Some(switched),
        )?);
    }
    switched.hold_through_exec()?;
    Ok(pipeline.exec(Some(switched.manifest()))?)
}
