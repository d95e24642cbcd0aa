//! The values of the program's variables, and what follows from them on this machine.

use std::path::{Path, PathBuf};

use compose_model::{Diagnostic, ExitCode, Failure, Settings, settings};

use crate::flags;

/// Reads the settings; every wrong value is an error. A flag of the command line holds beside its variable.
pub(crate) fn read() -> Result<Settings, Failure> {
    let (settings, invalid) = with_defaults();
    Failure::check(invalid)?;
    Ok(settings)
}

/// Reads the settings, with defaults in the place of wrong values, which are returned as errors.
pub(crate) fn with_defaults() -> (Settings, Vec<Diagnostic>) {
    let flags = flags::get();
    let (settings, invalid) = Settings::with_defaults(&|name| std::env::var_os(name));
    let settings = Settings {
        locked: settings.locked || flags.locked,
        offline: settings.offline || flags.offline,
        ..settings
    };
    (settings, invalid.into_iter().map(Diagnostic::from).collect())
}

/// Returns a warning for each variable of this program's prefix that is unknown.
///
/// # Errors
///
/// If one of them is probably meant to restrict what may be deployed.
pub(crate) fn unknown_variables() -> Result<Vec<Diagnostic>, Failure> {
    let (mut warnings, mut errors) = (Vec::new(), Vec::new());
    for unknown in settings::unknown_variables(std::env::vars_os().map(|(name, _)| name)) {
        let problem = Diagnostic::new(
            ExitCode::Usage,
            format!("{} is not a variable of bitops-compose", unknown.name),
        );
        let problem = match unknown.meant {
            Some(meant) => problem.hint(format!("did you mean {meant}?")),
            None => problem.hint("unset it"),
        };
        if unknown.is_policy {
            errors.push(problem);
        } else {
            warnings.push(problem.into_warning());
        }
    }
    Failure::check(errors)?;
    Ok(warnings)
}

/// Returns a warning for each policy that is set to nothing, and so restricts nothing.
pub(crate) fn empty_policies() -> Vec<Diagnostic> {
    let warning = |name: &'static str| {
        Diagnostic::warning(format!("{name} is set, but empty, so it restricts nothing"))
            .hint("give it a value, or unset it; in CI, check that the variable which it is set from exists")
    };
    settings::empty_policies(&|name| std::env::var_os(name))
        .into_iter()
        .map(warning)
        .collect()
}

/// Returns where objects are kept: the setting, the image's directory where it exists, else the XDG
/// cache.
pub(crate) fn cache_dir(settings: &Settings) -> PathBuf {
    let image = Path::new("/var/cache/bitops-compose");
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    settings.cache.clone().unwrap_or_else(|| {
        if image.is_dir() {
            return image.to_owned();
        }
        set("XDG_CACHE_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| set("HOME").map(|home| home.join(".cache")))
            .map_or_else(
                || std::env::temp_dir().join("bitops-compose-cache"),
                |base| base.join("bitops-compose"),
            )
    })
}
