//! `vendor`: the composition as real files, which BitOps runs without this program.

mod write;

use std::{path::Path, sync::Arc};

use compose_model::{Diagnostic, ExitCode, Failure, FileMode, TreePath, file_name, text::counted};
use compose_plan::{
    compose::{self, ComposedFile, Composition, Write, bytes::Bytes},
    layer::{ContentsError, LocalKind, LocalTree},
};

use super::DONE;
use crate::{
    cli::{Format, Vendor},
    job::Job,
    local::DiskTree,
    pipeline::{self, Planned},
};

/// The new text of an environment's config whose only content was its sources. BitOps needs no
/// content in it.
const EMPTY_CONFIG: &str =
    "# The sources that stood here are vendored: their files are beside this one.\n{}\n";

/// A file to write.
struct Entry {
    /// The path, relative to the output directory.
    path: TreePath,
    what: What,
}

/// Where the bytes of an entry are.
enum What {
    Composed(ComposedFile),
    Config(String),
}

/// Composes and writes all of it, or reports what is in the way.
pub(crate) fn run(args: &Vendor) -> Result<u8, Failure> {
    let (output, force, format) = (args.output.clone(), args.force, args.target.format);
    super::composed(&args.target, move |job, planned| {
        let Planned {
            gathered,
            composition,
        } = planned;
        let composition = pipeline::refuse_conflicts(job, &gathered, composition)?;
        let local = DiskTree::of(job);
        let bytes = Bytes::new(&gathered.layers, &gathered, &local);
        if composition.local_is_cut {
            return Err(Diagnostic::new(
                ExitCode::Config,
                format!(
                    "{} holds too many files to copy; nothing was written",
                    job.environment
                ),
            )
            .hint("is there a symlink that leads back to a directory above it?")
            .into());
        }
        let entries = entries(job, &composition, &local, &bytes)?;
        let read = |entry: &Entry| -> Result<(Arc<[u8]>, FileMode), ContentsError> {
            match &entry.what {
                What::Composed(file) => bytes.composed(file),
                What::Config(text) => Ok((text.as_bytes().into(), FileMode::Regular)),
            }
        };
        let written = write::all(&output, &entries, &read, force, &job.cancel)?;
        tell(job, format, &output, &written)?;
        Ok(DONE)
    })
}

/// Returns every file of the environment and of the shared directories, sorted by path.
fn entries(
    job: &Job,
    composition: &Composition,
    local: &DiskTree,
    bytes: &Bytes<'_>,
) -> Result<Vec<Entry>, Failure> {
    let named = |name: &str| TreePath::new(format!("{}/{name}", job.environment)).ok();
    let (config, lock) = (named(file_name::CONFIG), named(file_name::LOCK));
    let mut entries = Vec::new();
    for file in &composition.files {
        let path = Some(&file.path);
        if path == lock.as_ref() {
            continue;
        }
        if file.write == Write::Local && !matches!(kind(local, &file.path)?, Some(LocalKind::File(_))) {
            tracing::warn!(path = %file.path, "left out: it is no file, or a symlink that leads nowhere");
            continue;
        }
        let what = if path == config.as_ref() {
            What::Config(config_text(job, file, bytes)?)
        } else {
            What::Composed(file.clone())
        };
        entries.push(Entry {
            path: file.path.clone(),
            what,
        });
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

/// Returns the composed config without its sources, which are files now.
fn config_text(job: &Job, file: &ComposedFile, bytes: &Bytes<'_>) -> Result<String, Failure> {
    let (text, _) = bytes.composed(file)?;
    let text = std::str::from_utf8(&text)
        .map_err(|error| Diagnostic::error(format!("{} is not valid UTF-8", job.file)).because(error))?;
    match compose::without_sources(text) {
        Ok(text) => Ok(text.unwrap_or_else(|| EMPTY_CONFIG.to_owned())),
        Err(error) => Err(Diagnostic::new(
            ExitCode::Config,
            format!("the sources cannot be taken out of {}", job.file),
        )
        .because(error)
        .hint("write `default-environments` as a plain block list at the document's root")
        .into()),
    }
}

fn kind(local: &DiskTree, path: &TreePath) -> Result<Option<LocalKind>, Failure> {
    Ok(local.kind(path)?)
}

fn tell(job: &Job, format: Format, output: &Path, written: &write::Written) -> Result<(), Failure> {
    let paths = |paths: &[TreePath]| paths.iter().map(ToString::to_string).collect::<Vec<_>>();
    match format {
        Format::Json => job.printer.json(&serde_json::json!({
            "environment": job.environment.as_str(),
            "output": output.display().to_string(),
            "written": paths(&written.written),
            "unchanged": paths(&written.unchanged),
        })),
        Format::Text => {
            let there = match written.unchanged.len() {
                0 => String::new(),
                1 => ", 1 was there already".to_owned(),
                many => format!(", {many} were there already"),
            };
            let files = counted(written.written.len(), "file");
            job.printer.result(&format!(
                "{}: {files} written to {}{there}\n",
                job.environment,
                output.display()
            ))
        }
    }
}
