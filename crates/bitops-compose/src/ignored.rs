//! Finds lists of sources that would be ignored: under a misspelt key, or in a config whose list has no effect.
//!
//! Before a pipeline starts, this is part of stage 0. An environment of the usual size is looked at without a watch,
//! which would cost the start a thread; what takes longer is looked at under the watch.

use std::{ffi::OsString, fs, io, path::Path, sync::Arc};

use compose_model::{Diagnostic, Failure, env, file_name};
use compose_plan::config::{
    decode_lossy, deployments_below_directories, has_deployments, misplaced, misspelt, seems_to_name_sources,
};

use crate::{
    build_config::BuildConfig,
    own_config,
    report::{Checkout, Printer, adopt_logging},
    settings, signals,
    watch::watched,
};

/// Warns of such lists before a pipeline starts without their sources. If a lock is required, the
/// pipeline does not start.
///
/// `args` are the pipeline's arguments.
pub(crate) fn at_deploy(
    root: &Path,
    environment: &str,
    text: &[u8],
    args: &[OsString],
) -> Result<(), Failure> {
    let quick = look(root, environment, text, &mut Allowance::quick());
    if quick.is_ok_and(|found| found.is_empty()) {
        return Ok(());
    }
    let (root, environment) = (root.to_owned(), environment.to_owned());
    let (text, args) = (text.to_owned(), args.to_owned());
    watched(move || report(&root, &environment, &text, &args))?;
    signals::stopped().map_or(Ok(()), |stopped| Err(stopped.into()))
}

fn report(root: &Path, environment: &str, text: &[u8], args: &[OsString]) -> Result<(), Failure> {
    let found = lists(root, environment, text);
    if found.is_empty() {
        return Ok(());
    }
    let settings = settings::read()?;
    let image = BuildConfig::find(&settings, args);
    adopt_logging(&Printer::plain(), &[&decode_lossy(text)], image.text());
    let locked = settings.locked;
    let reported = |mut found: Diagnostic| {
        if locked {
            found.message.push_str(&format!(", and {} is set", env::LOCKED));
        } else {
            found = found.into_warning();
        }
        found
    };
    let problems: Vec<Diagnostic> = found.into_iter().map(reported).collect();
    if locked {
        return Err(problems.into());
    }
    let mut printer = Printer::plain();
    printer.github = printer.github.map(|_| Checkout::of(root));
    printer.problems(&problems);
    Ok(())
}

/// What may still be looked at.
struct Allowance {
    /// The bytes of configs.
    bytes: u64,
    /// The entries of the environment's directory.
    entries: usize,
}

/// There is more to look at than is allowed.
struct Exceeded;

impl Allowance {
    /// Returns what takes no time to speak of: some milliseconds if it is all used.
    fn quick() -> Self {
        Self {
            bytes: 64 << 10,
            entries: 256,
        }
    }

    fn everything() -> Self {
        Self {
            bytes: u64::MAX,
            entries: usize::MAX,
        }
    }

    fn take(&mut self, bytes: usize) -> Result<(), Exceeded> {
        let left = self.bytes.checked_sub(bytes as u64).ok_or(Exceeded)?;
        self.bytes = left;
        Ok(())
    }
}

/// Returns all such lists of an environment, each as an error. `text` is the text of its config.
pub(crate) fn lists(root: &Path, environment: &str, text: &[u8]) -> Vec<Diagnostic> {
    look(root, environment, text, &mut Allowance::everything()).unwrap_or_default()
}

fn look(
    root: &Path,
    environment: &str,
    text: &[u8],
    allowance: &mut Allowance,
) -> Result<Vec<Diagnostic>, Exceeded> {
    allowance.take(text.len())?;
    let environment = environment.trim_end_matches('/');
    let config = format!("{environment}/{}", file_name::CONFIG);
    let mut found = Vec::new();
    if seems_to_name_sources(text) {
        let text: Arc<str> = decode_lossy(text).into();
        found.extend(misspelt(&config.as_str().into(), &text));
    }
    let dir = root.join(environment);
    if let Some(text) = alike(&dir.join(file_name::CONFIG_MISNAMED), allowance)? {
        let hint = if dir.join(file_name::CONFIG).exists() {
            format!("move it to {config}")
        } else {
            format!(
                "rename the file to {}: BitOps reads no other name",
                file_name::CONFIG
            )
        };
        found.extend(misplaced(
            &format!("{environment}/{}", file_name::CONFIG_MISNAMED).into(),
            &text,
            &hint,
        ));
    }
    let hint = format!("move it to {config}");
    // An environment that is the root itself has its config there.
    let is_root = || fs::canonicalize(&dir).ok() == fs::canonicalize(root).ok();
    for name in [file_name::CONFIG, file_name::CONFIG_MISNAMED] {
        if let Some(text) = alike(&root.join(name), allowance)?.filter(|_| !is_root()) {
            found.extend(misplaced(&name.into(), &text, &hint));
        }
    }
    let mut names = directories(&dir, allowance)?;
    names.extend(deployments_below_directories(text));
    for name in names {
        for file in [file_name::CONFIG, file_name::CONFIG_MISNAMED] {
            // A directory with deployments is an environment below this one.
            let path = dir.join(&name);
            let text = alike(&path.join(file), allowance)?.filter(|text| !has_deployments(text));
            if let Some(text) = text.filter(|_| !leads_to_an_environment(&path, &dir, root)) {
                found.extend(misplaced(
                    &format!("{environment}/{name}/{file}").into(),
                    &text,
                    &hint,
                ));
            }
        }
    }
    Ok(found)
}

/// Returns whether `link` is a link to the environment itself, to a directory that holds it, or to
/// another environment.
///
/// The list there has an effect of its own.
fn leads_to_an_environment(link: &Path, environment: &Path, root: &Path) -> bool {
    if !fs::symlink_metadata(link).is_ok_and(|meta| meta.is_symlink()) {
        return false;
    }
    let real = |path: &Path| fs::canonicalize(path).ok();
    let (Some(target), Some(environment), Some(root)) = (real(link), real(environment), real(root)) else {
        return false;
    };
    environment.starts_with(&target) || target.parent() == Some(&root)
}

/// Returns the text of a file that seems to name sources.
fn alike(file: &Path, allowance: &mut Allowance) -> Result<Option<Arc<str>>, Exceeded> {
    // Reading a pipe or a device of that name would never end.
    let text = match own_config::read_within(file, allowance.bytes) {
        Ok(text) => text,
        Err(error) => {
            let is_large = || fs::metadata(file).is_ok_and(|file| file.len() > allowance.bytes);
            let exceeds = error.kind() == io::ErrorKind::InvalidInput && is_large();
            return if exceeds { Err(Exceeded) } else { Ok(None) };
        }
    };
    allowance.take(text.len())?;
    Ok(seems_to_name_sources(&text).then(|| decode_lossy(&text).into()))
}

/// Returns the directories that may be deployments, sorted by name.
fn directories(dir: &Path, allowance: &Allowance) -> Result<Vec<String>, Exceeded> {
    let mut names = Vec::new();
    for (count, entry) in fs::read_dir(dir).into_iter().flatten().flatten().enumerate() {
        if count >= allowance.entries {
            return Err(Exceeded);
        }
        let kind = entry.file_type();
        if kind.is_ok_and(|kind| kind.is_dir() || kind.is_symlink()) {
            names.extend(entry.file_name().into_string().ok());
        }
    }
    names.sort();
    Ok(names)
}
