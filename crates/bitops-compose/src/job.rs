//! What a run works on.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use compose_model::{
    Cancel, Cause, Diagnostic, ExitCode, Failure, Reporter, Settings, TreePath, env, settings,
};
use compose_plan::compose::ImageDeployments;

use crate::{
    build_config::BuildConfig,
    bypass,
    cli::Target,
    environment::Environment,
    report::{self, LogSettings, Masks, Printer},
    workspace::Workspaces,
};

/// One environment of one operations repo, and how to work on it.
pub(crate) struct Job {
    pub(crate) settings: Settings,
    pub(crate) environment: TreePath,
    /// Directories that its name passes and leaves again.
    pub(crate) passed: Vec<TreePath>,
    /// The user's operations repo.
    pub(crate) root: PathBuf,
    /// The config as the user would name it: `dev/bitops.config.yaml`.
    pub(crate) file: Arc<str>,
    pub(crate) text: Arc<str>,
    /// The image's own deployments; `None` where they are not known.
    pub(crate) image: Option<ImageDeployments>,
    /// Are they assumed to be those of BitOps' omnibus image, as there is no image here?
    pub(crate) image_assumed: bool,
    /// Why they are not known, though there should be some.
    pub(crate) image_warning: Option<Diagnostic>,
    pub(crate) cancel: Cancel,
    pub(crate) reporter: Arc<dyn Reporter>,
    pub(crate) printer: Printer,
}

impl Job {
    /// The job of `deploy`, from what stage 0 found.
    pub(crate) fn deploy(found: &bypass::Found, args: &[std::ffi::OsString]) -> Result<Self, Failure> {
        let settings = crate::settings()?;
        Self::new(
            settings,
            found.mount.root(),
            &found.environment,
            found.text.clone(),
            |settings| Ok(BuildConfig::find(settings, args)),
        )
    }

    /// The job of a command for people.
    pub(crate) fn of(target: &Target) -> Result<Self, Failure> {
        let settings = crate::settings()?;
        let root = root(target)?;
        let environment = named_environment(target).ok_or_else(|| no_environment(&root))?;
        if let Some(problem) = nowhere(target, &environment)? {
            return Err(problem.into());
        }
        let config = root.join(&environment).join("bitops.config.yaml");
        let text = fs::read_to_string(&config).map_err(|error| {
            let is_missing = error.exit_code() == ExitCode::Config;
            let problem = bypass::unreadable(&config, error);
            if !is_missing {
                return problem;
            }
            let misnamed = config.with_extension("yml");
            if misnamed.is_file() {
                return problem.hint(format!(
                    "rename {} to bitops.config.yaml: BitOps reads no other name",
                    misnamed.display()
                ));
            }
            match environments(&root).as_slice() {
                _ if !root.is_dir() => problem.hint(format!("{} is not a directory", root.display())),
                [] if target.ops_repo.is_some() => problem.hint(format!(
                    "{} has no directory with a bitops.config.yaml",
                    root.display()
                )),
                [] => problem.hint("name the operations repo with --ops-repo DIR"),
                names => problem.hint(format!(
                    "environments of {}: {}",
                    root.display(),
                    names.join(", ")
                )),
            }
        })?;
        let mut job = Self::new(settings, &root, &environment, text, |settings| {
            let file = target.image.file.as_deref();
            file.map_or_else(|| Ok(BuildConfig::find(settings, &[])), BuildConfig::named)
        })?;
        // A plan outside of the image is then what the image does.
        if job.image.is_none() && job.image_warning.is_none() {
            job.image = Some(ImageDeployments::omnibus());
            job.image_assumed = true;
        }
        Ok(job)
    }

    fn new(
        settings: Settings,
        root: &Path,
        environment: &str,
        text: String,
        build_config: impl FnOnce(&Settings) -> Result<BuildConfig, Diagnostic>,
    ) -> Result<Self, Failure> {
        let build_config = build_config(&settings)?;
        let Environment {
            path: environment,
            passed,
        } = Environment::named(root, environment)?;
        let mut printer = crate::plain_printer();
        let logging =
            LogSettings::read(&text).or(build_config.text().map(LogSettings::read).unwrap_or_default());
        let (masks, failed) = Masks::new(
            logging
                .masks
                .iter()
                .map(|(search, replace)| (search.as_str(), replace.as_str())),
        );
        printer.masks = Arc::new(masks);
        printer.json = settings.log_json;
        // BitOps' switch for colours, where nobody looks at a terminal (CI); a terminal decides for itself.
        printer.colour = printer.colour && logging.colour != Some(false);
        printer.stdout_colour = printer.stdout_colour && logging.colour != Some(false);
        printer.github = printer.github.map(|_| report::Checkout::of(root));
        report::init(
            &logging,
            settings.log_json,
            printer.colour,
            printer.github.is_some(),
            &printer.masks,
        );
        for mask in failed {
            tracing::warn!(mask, "a mask of bitops.logging.masks cannot be read");
        }
        let (image, image_warning) = build_config.deployments();
        Ok(Self {
            file: format!("{environment}/bitops.config.yaml").into(),
            environment,
            passed,
            root: root.to_owned(),
            text: text.into(),
            image,
            image_warning,
            image_assumed: false,
            cancel: Cancel::new(),
            reporter: report::reporter(),
            printer,
            settings,
        })
    }

    /// Tells what is wrong without being an error.
    pub(crate) fn warn(&self, warnings: &[Diagnostic]) {
        self.printer.problems(warnings);
    }

    /// Where objects are kept: the setting, the image's directory where it exists, else the XDG cache.
    pub(crate) fn cache_dir(&self) -> PathBuf {
        cache_dir(&self.settings)
    }
}

/// The operations repo of a command for people. A place in a composition means the user's own repo below it.
pub(crate) fn root(target: &Target) -> Result<PathBuf, Diagnostic> {
    if let Some(dir) = &target.ops_repo {
        return Ok(compose_tree::users_path(dir));
    }
    let environment = named_environment(target);
    let workspaces = workspaces();
    let places = workspaces.as_ref().map(Workspaces::places).unwrap_or_default();
    if let Some(mount) = bypass::locate_only(environment.as_deref().map(OsStr::new), &places)? {
        return Ok(mount.root().to_owned());
    }
    let dir = std::env::current_dir()
        .map_err(|error| Diagnostic::because_of("the current directory cannot be found", error))?;
    Ok(compose_tree::users_path(&dir))
}

/// Where the operations repo is for a command in the image, where nothing is mounted. On a runner itself the current
/// directory says it.
fn workspaces() -> Option<Workspaces> {
    let workspaces = Workspaces::from_env(&|name| std::env::var_os(name))?;
    (workspaces.are_asked_for() || bypass::in_image()).then_some(workspaces)
}

/// That nothing is mounted, and that no workspace has the environment.
fn nowhere(target: &Target, environment: &str) -> Result<Option<Diagnostic>, Diagnostic> {
    let Some(workspaces) = workspaces().filter(|workspaces| !workspaces.have(environment.as_ref())) else {
        return Ok(None);
    };
    if target.ops_repo.is_some() {
        return Ok(None);
    }
    let mount = bypass::locate_only(Some(environment.as_ref()), &workspaces.places())?;
    let is_mounted = mount.is_some_and(|mount| !workspaces.hold(&mount));
    Ok((!is_mounted).then(|| workspaces.nowhere(environment)))
}

/// The environment that a command for people is about.
fn named_environment(target: &Target) -> Option<String> {
    let of_bitops = || bypass::environment().map(|name| name.to_string_lossy().into_owned());
    let named = target.environment.clone().or_else(of_bitops);
    named.filter(|name| !name.is_empty())
}

/// Does the operations repo have an environment of that name, which has a config?
pub(crate) fn is_environment(root: &Path, name: &str) -> bool {
    root.join(name).join("bitops.config.yaml").is_file()
}

/// See [`Job::cache_dir`].
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

fn no_environment(root: &Path) -> Diagnostic {
    let problem = Diagnostic::new(ExitCode::Usage, "no environment is named");
    match environments(root).as_slice() {
        [] => problem.hint("name one as an argument, or set BITOPS_ENVIRONMENT"),
        names => problem.hint(format!(
            "name one as an argument, or set BITOPS_ENVIRONMENT; there are: {}",
            names.join(", ")
        )),
    }
}

/// Directories of an operations repo that hold a `bitops.config.yaml`.
fn environments(root: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().join("bitops.config.yaml").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The settings' defaults are the image's; a test or a person names others.
pub(crate) fn pipeline_words() -> (String, PathBuf) {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let words = set(env::PIPELINE).map_or_else(
        || settings::DEFAULT_PIPELINE.to_owned(),
        |words| words.to_string_lossy().into_owned(),
    );
    (
        words,
        set(env::PIPELINE_DIR).map_or_else(|| settings::DEFAULT_PIPELINE_DIR.into(), PathBuf::from),
    )
}
