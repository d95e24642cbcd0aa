//! The right to switch, and the last look at what a run was made from.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use compose_model::{Cause, Diagnostic, ExitCode, Failure, file_name};
use compose_tree::{Attempt, Mount, SwitchLock};

use crate::{
    job::Job,
    own_config,
    shown_path::shown_path,
    wait::{POLL, Wait},
};

/// Waits for the right to switch, and ends early with the run.
pub(crate) async fn lock(job: &Job, mount: &Mount) -> Result<SwitchLock, Failure> {
    let mut wait = Wait::new(&job.printer, job.settings.timeout);
    loop {
        job.cancel.check()?;
        match mount.try_lock()? {
            Attempt::Locked(lock) => return Ok(lock),
            Attempt::Busy(busy) => wait.again(&busy)?,
        }
        tokio::time::sleep(POLL).await;
    }
}

/// What a composition is made from, as it was when the run began.
pub(crate) struct Inputs {
    config: PathBuf,
    text: Arc<str>,
    lock: Option<Vec<u8>>,
    dirs: Vec<(PathBuf, Identity)>,
}

/// The identity of a directory. A file system that makes up its inode numbers as it goes keeps
/// at least the time of the last change.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity {
    inode: (u64, u64),
    changed: (i64, i64),
}

impl Inputs {
    /// Reads the inputs as they are now.
    pub(crate) fn of(job: &Job) -> Result<Self, Failure> {
        let environment = job.root.join(job.environment.as_str());
        let dirs = [job.root.clone(), environment.clone()];
        let dirs = dirs.into_iter().map(|dir| {
            let identity = identity(&dir).map_err(|error| gone(&dir, error))?;
            Ok((dir, identity))
        });
        Ok(Self {
            config: environment.join(file_name::CONFIG),
            text: Arc::clone(&job.text),
            lock: job.lock_file().bytes()?,
            dirs: dirs.collect::<Result<_, Diagnostic>>()?,
        })
    }

    /// Checks that the inputs are still the same.
    ///
    /// Otherwise the composition would be of two states of the user's repo.
    pub(crate) fn check(&self, job: &Job) -> Result<(), Failure> {
        for (dir, before) in &self.dirs {
            let now = identity(dir).map_err(|error| gone(dir, error))?;
            if now.inode != before.inode && now.changed != before.changed {
                return Err(changed(dir, "is another directory now").into());
            }
        }
        let text = own_config::read_config(&self.config).map_err(|error| gone(&self.config, error))?;
        if text != self.text.as_bytes() {
            return Err(changed(&self.config, "has another text now").into());
        }
        let lock = job.lock_file();
        let what = match (&self.lock, lock.bytes()?) {
            (before, now) if *before == now => return Ok(()),
            (Some(_), None) => "is gone",
            (None, Some(_)) => "is new",
            (Some(_), Some(_)) | (None, None) => "has another text now",
        };
        Err(changed(lock.path(), what).into())
    }
}

fn identity(dir: &Path) -> io::Result<Identity> {
    let meta = fs::metadata(dir)?;
    Ok(Identity {
        inode: (meta.dev(), meta.ino()),
        changed: (meta.ctime(), meta.ctime_nsec()),
    })
}

/// Describes an input that can no longer be read.
///
/// A missing file was changed; one that cannot be read is the machine's fault.
fn gone(path: &Path, error: io::Error) -> Diagnostic {
    let mut diagnostic = changed(path, "cannot be read any more");
    diagnostic.code = error.exit_code();
    diagnostic.because(error)
}

fn changed(path: &Path, what: &str) -> Diagnostic {
    Diagnostic::new(
        ExitCode::Config,
        format!(
            "the operations repo changed during the run: {} {what}",
            shown_path(path).display()
        ),
    )
    .hint("run it again, once nothing changes the operations repo (a checkout, a clean-up) any more")
}
