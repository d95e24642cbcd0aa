//! Finds lists of sources that would be ignored: under a misspelt key, or in a config whose list has no effect.

use std::{ffi::OsString, fs, path::Path, sync::Arc};

use compose_model::{Diagnostic, Failure, env, file_name};
use compose_plan::config::{
    decode_lossy, deployments_below_directories, has_deployments, misplaced, misspelt, seems_to_name_sources,
};

use crate::{
    build_config::BuildConfig,
    own_config,
    report::{Checkout, Printer, adopt_logging},
    settings,
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

/// Returns all such lists of an environment, each as an error. `text` is the text of its config.
pub(crate) fn lists(root: &Path, environment: &str, text: &[u8]) -> Vec<Diagnostic> {
    let environment = environment.trim_end_matches('/');
    let config = format!("{environment}/{}", file_name::CONFIG);
    let mut found = Vec::new();
    if seems_to_name_sources(text) {
        let text: Arc<str> = decode_lossy(text).into();
        found.extend(misspelt(&config.as_str().into(), &text));
    }
    let dir = root.join(environment);
    if let Some(text) = alike(&dir.join(file_name::CONFIG_MISNAMED)) {
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
        if let Some(text) = alike(&root.join(name)).filter(|_| !is_root()) {
            found.extend(misplaced(&name.into(), &text, &hint));
        }
    }
    let mut names = directories(&dir);
    names.extend(deployments_below_directories(text));
    for name in names {
        for file in [file_name::CONFIG, file_name::CONFIG_MISNAMED] {
            // A directory with deployments is an environment below this one.
            let path = dir.join(&name);
            let text = alike(&path.join(file)).filter(|text| !has_deployments(text));
            if let Some(text) = text.filter(|_| !leads_to_an_environment(&path, &dir, root)) {
                found.extend(misplaced(
                    &format!("{environment}/{name}/{file}").into(),
                    &text,
                    &hint,
                ));
            }
        }
    }
    found
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
fn alike(file: &Path) -> Option<Arc<str>> {
    // Reading a pipe or a device of that name would never end.
    let text = own_config::read_config(file).ok()?;
    seems_to_name_sources(&text).then(|| decode_lossy(&text).into())
}

/// Returns the directories that may be deployments, sorted by name.
fn directories(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| {
            entry
                .file_type()
                .is_ok_and(|kind| kind.is_dir() || kind.is_symlink())
        })
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}
