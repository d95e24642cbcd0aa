//! `plan --against LOCK|REF`: what changes in the composition between two states of the operations repo.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use compose_model::{Diagnostic, ExitCode, Failure, Nesting, file_name, text};
use compose_plan::lock::Lock;
use compose_sources::{Pins, blocking, local_file};
use serde_json::json;

use super::{DONE, each::Answer, update::as_locked};
use crate::{
    cli::Format,
    diff::{self, FileDiff, State},
    job::Job,
    own_config,
    pipeline::{self, Local, Planned},
};

/// The greatest lock that is read, in bytes.
const MAX_LOCK: u64 = 16 << 20;

/// The exit code of `--exit-code` if the composition differs from the user's own files, as with `terraform plan`.
pub(super) const DIFFERS: u8 = 2;

/// The other state.
enum Other {
    /// The sources of another lock, under the operations repo as it is.
    Lock(Lock),
    /// The operations repo at a commit, in a directory of its own.
    Commit {
        root: PathBuf,
        /// Removes the directory.
        _dir: tempfile::TempDir,
    },
}

/// Composes both states, and shows how the composed files differ.
pub(super) async fn answer(
    job: Arc<Job>,
    against: String,
    format: Format,
    exit_code: bool,
) -> Result<Answer, Failure> {
    let other = {
        let (job, against) = (Arc::clone(&job), against.clone());
        blocking(move || other(&job, &against)).await?
    };
    let new = pipeline::plan(Arc::clone(&job)).await?;
    let (old_job, old) = match &other {
        Other::Lock(lock) => {
            let specs = as_locked(pipeline::config(&job)?, lock);
            let gathered = job.gatherer()?.gather(specs, &Pins::to(lock.clone())).await?;
            (Arc::clone(&job), composed(&job, gathered).await?)
        }
        Other::Commit { root, .. } => {
            let job = job.in_state(root, config_at(root, &job)?);
            let specs = compose_plan::config::parse(&job.file, &job.text, Nesting::Root)?;
            let pins = Pins::read(&job.lock_file(), false)?;
            let gathered = job.gatherer()?.gather(specs, &pins).await?;
            let old = composed(&job, gathered).await?;
            (job, old)
        }
    };
    blocking(move || {
        let files = files(&job, &against, (&old_job, &old), &new)?;
        drop(other);
        let code = if exit_code && !files.is_empty() {
            DIFFERS
        } else {
            DONE
        };
        let conflicts = conflicts(&new);
        job.printer.problems(&conflicts);
        let code = if conflicts.is_empty() {
            code
        } else {
            ExitCode::Config.code()
        };
        match format {
            Format::Text => Ok(Answer::for_people(describe(&job, &against, &files), code)),
            Format::Json => {
                let files: Vec<_> = files
                    .iter()
                    .map(|file| json!({ "path": file.path, "diff": file.text }))
                    .collect();
                let value =
                    json!({ "environment": job.environment.as_str(), "against": against, "files": files });
                Answer::json(&job, &value, code)
            }
        }
    })
    .await
}

async fn composed(job: &Arc<Job>, gathered: compose_sources::Gathered) -> Result<Planned, Failure> {
    let job = Arc::clone(job);
    blocking(move || {
        let composition = pipeline::compose(&job, &gathered, Local::Listed)?;
        Ok(Planned {
            gathered,
            composition,
        })
    })
    .await
}

/// Returns the files that differ. Locks are compared by what they bring, and not themselves.
fn files(
    job: &Job,
    against: &str,
    (old_job, old): (&Job, &Planned),
    new: &Planned,
) -> Result<Vec<FileDiff>, Failure> {
    let before = State {
        job: old_job,
        composition: &old.composition,
        gathered: &old.gathered,
        name: against,
    };
    let after = State {
        job,
        composition: &new.composition,
        gathered: &new.gathered,
        name: "now",
    };
    let lock = format!("{}/{}", job.environment, file_name::LOCK);
    let mut files = diff::files(&before, &after)?;
    files.retain(|file| file.path != lock);
    Ok(files)
}

fn describe(job: &Job, against: &str, files: &[FileDiff]) -> String {
    let mut out = format!(
        "{}: {} against {}\n",
        job.environment,
        match files.len() {
            0 => "nothing changes".to_owned(),
            1 => "1 file changes".to_owned(),
            count => format!("{count} files change"),
        },
        text::escape(against, 120)
    );
    for file in files {
        out.push_str(&format!("\n{}", file.text));
    }
    out
}

/// Finds what the person means: an existing file is a lock, anything else a commit.
fn other(job: &Job, against: &str) -> Result<Other, Failure> {
    let path = Path::new(against);
    if path.is_file() {
        let unreadable = |error| {
            let problem = format!("cannot read {}", path.display());
            Diagnostic::because_of(problem, error)
        };
        let bytes = local_file::read(path, MAX_LOCK).map_err(unreadable)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        return Ok(Other::Lock(Lock::parse(&against.into(), &text.into())?));
    }
    let dir = tempfile::tempdir().map_err(|error| {
        Diagnostic::new(ExitCode::CannotWrite, "a temporary directory cannot be made").because(error)
    })?;
    let below = checkout(&job.root, against, dir.path())?;
    let root = dir.path().join("tree").join(below);
    Ok(Other::Commit { root, _dir: dir })
}

/// Writes the files of a commit below `dir/tree`, without touching the user's work tree or index. Returns where the
/// operations repo is in it.
fn checkout(root: &Path, commit: &str, dir: &Path) -> Result<PathBuf, Diagnostic> {
    let index = dir.join("index");
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command
            .arg("-C")
            .arg(root)
            .args(args)
            .env("GIT_INDEX_FILE", &index);
        let output = command.output().map_err(|error| {
            Diagnostic::new(
                ExitCode::CannotWrite,
                "git cannot be started, which reads the operations repo at a commit",
            )
            .because(error)
            .hint("install git")
        })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let said = text::escape(String::from_utf8_lossy(&output.stderr).trim(), 400);
        let problem = format!(
            "`{}` is neither a lock file nor a commit of the operations repo",
            text::escape(commit, 120)
        );
        let mut problem = Diagnostic::new(ExitCode::Usage, problem).hint(
            "name a file, or a commit, branch or tag of the operations repo, such as `main` or `HEAD~1`",
        );
        if !said.is_empty() {
            problem = problem.hint(format!("git says: {said}"));
        }
        Err(problem)
    };
    let wanted = format!("{commit}^{{tree}}");
    let tree = git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted])?;
    let below = git(&["rev-parse", "--show-prefix"])?;
    git(&["read-tree", &tree])?;
    let prefix = format!("--prefix={}/", dir.join("tree").display());
    let top = git(&["rev-parse", "--show-cdup"])?;
    let top = if top.is_empty() { "." } else { &top };
    git(&["-C", top, "checkout-index", "--all", "--force", &prefix])?;
    Ok(below.into())
}

/// Reads the environment's config at a commit; the environment may not have been there.
fn config_at(root: &Path, job: &Job) -> Result<String, Diagnostic> {
    let config = root.join(job.environment.as_str()).join(file_name::CONFIG);
    match own_config::read_config(&config) {
        Ok(bytes) => own_config::text_of(&config, bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(own_config::unreadable(&config, error)),
    }
}

/// Returns the conflicts of a plan.
pub(super) fn conflicts(planned: &Planned) -> Vec<Diagnostic> {
    pipeline::conflicts(&planned.composition, &planned.gathered)
}
