//! What a run works on.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use compose_model::{Diagnostic, Failure, Reporter, Settings, TreePath, file_name};
use compose_plan::{compose::ImageDeployments, resolve::Allow};
use compose_sources::{Gatherer, LockFile, Verifier};

use crate::{
    build_config::BuildConfig,
    bypass,
    cli::Target,
    environment::Environment,
    ignored,
    report::{self, LogSettings, Masks, Printer},
    settings,
    shown_path::shown_path,
    target,
    watch::{Limits, watched},
};

/// One environment of one operations repo, and how to work on it.
pub(crate) struct Job {
    pub(crate) settings: Settings,
    pub(crate) environment: TreePath,
    /// Directories that its name enters and leaves again.
    pub(crate) passed: Vec<TreePath>,
    /// The user's operations repo.
    pub(crate) root: PathBuf,
    /// The config as the user would name it: `dev/bitops.config.yaml`.
    pub(crate) file: Arc<str>,
    pub(crate) text: Arc<str>,
    /// The image's own deployments; `None` where they are not known.
    pub(crate) image: Option<ImageDeployments>,
    /// Whether they are assumed to be those of BitOps' omnibus image, because there is no image
    /// here.
    pub(crate) image_assumed: bool,
    /// Why they are not known, though there should be some.
    pub(crate) image_warning: Option<Diagnostic>,
    pub(crate) limits: Limits,
    pub(crate) reporter: Arc<dyn Reporter>,
    pub(crate) printer: Printer,
}

impl Job {
    /// Creates the job of `deploy` from what stage 0 found.
    pub(crate) fn deploy(found: &bypass::Found, args: &[std::ffi::OsString]) -> Result<Self, Failure> {
        let settings = settings::read()?;
        let limits = Limits::new(&settings);
        let (root, environment) = (found.mount.root().to_owned(), found.environment.clone());
        let (text, args) = (found.text.clone(), args.to_vec());
        watched(&limits.clone(), move || {
            Self::new(settings, limits, &root, &environment, text, |settings| {
                Ok(BuildConfig::find(settings, &args))
            })
        })
    }

    /// Creates the job of a command for people.
    pub(crate) fn of(target: &Target) -> Result<Self, Failure> {
        let settings = settings::read()?;
        let limits = Limits::new(&settings);
        let target = target.clone();
        watched(&limits.clone(), move || Self::read(settings, limits, &target))
    }

    fn read(settings: Settings, limits: Limits, target: &Target) -> Result<Self, Failure> {
        let root = target::root(target)?;
        let environment = target::named_environment(target).ok_or_else(|| target::no_environment(&root))?;
        if let Some(problem) = target::nowhere(target, &environment)? {
            return Err(problem.into());
        }
        let config = root.join(&environment).join(file_name::CONFIG);
        let shown = shown_path(&root);
        let bytes = bypass::read_config(&config).map_err(|error| {
            let is_missing = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
            let problem = bypass::unreadable(&config, error);
            if !is_missing {
                return problem;
            }
            let misnamed = config.with_file_name(file_name::CONFIG_MISNAMED);
            if misnamed.is_file() {
                return problem.hint(format!(
                    "rename {} to bitops.config.yaml: BitOps reads no other name",
                    shown_path(&misnamed).display()
                ));
            }
            match target::environments(&root).as_slice() {
                _ if !root.is_dir() => problem.hint(format!("{} is not a directory", shown.display())),
                [] if target.ops_repo.is_some() => problem.hint(format!(
                    "{} has no directory with a bitops.config.yaml",
                    shown.display()
                )),
                [] => problem.hint("name the operations repo with --ops-repo DIR"),
                names => problem.hint(format!(
                    "environments of {}: {}",
                    shown.display(),
                    names.join(", ")
                )),
            }
        })?;
        let text = bypass::text_of(&config, bytes)?;
        let mut job = Self::new(settings, limits, &root, &environment, text, |settings| {
            let file = target.image.file.as_deref();
            file.map_or_else(|| Ok(BuildConfig::find(settings, &[])), BuildConfig::named)
        })?;
        // Outside of the image, a plan then shows what the image would do.
        if job.image.is_none() && job.image_warning.is_none() {
            job.image = Some(ImageDeployments::omnibus());
            job.image_assumed = true;
        }
        Ok(job)
    }

    fn new(
        settings: Settings,
        limits: Limits,
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
        let mut printer = Printer::plain();
        let logging =
            LogSettings::read(&text).or(build_config.text().map(LogSettings::read).unwrap_or_default());
        let masks = Masks::of(&logging);
        let invalid = masks.as_ref().err().map(|invalid| invalid.warning());
        if let Some(warning) = &invalid {
            // The warning quotes nothing of the config, and is the last text that is shown without
            // masks.
            printer.json = settings.log_json;
            printer.problems([warning]);
        }
        printer.masks = masks.unwrap_or(Masks::Unreadable).adopt();
        printer.json = settings.log_json;
        // BitOps' switch for colours applies where nobody looks at a terminal (CI); a terminal
        // decides for itself.
        printer.colour = printer.colour && logging.colour != Some(false);
        printer.stdout_colour = printer.stdout_colour && logging.colour != Some(false);
        printer.github = printer.github.map(|_| report::Checkout::of(root));
        report::init(
            &logging,
            settings.log_json,
            printer.colour,
            printer.runner,
            &printer.masks,
        );
        printer.problems(&crate::settings::empty_policies());
        let (image, image_warning) = build_config.deployments();
        Ok(Self {
            file: format!("{environment}/{}", file_name::CONFIG).into(),
            environment,
            passed,
            root: root.to_owned(),
            text: text.into(),
            image,
            image_warning,
            image_assumed: false,
            limits,
            reporter: report::reporter(&printer.masks),
            printer,
            settings,
        })
    }

    /// Reports what is wrong without being an error.
    pub(crate) fn warn(&self, warnings: &[Diagnostic]) {
        self.printer.problems(warnings);
    }

    /// Returns the lists of sources that would have no effect, each as an error.
    pub(crate) fn ignored_lists(&self) -> Vec<Diagnostic> {
        ignored::lists(&self.root, self.environment.as_str(), self.text.as_bytes())
    }

    /// Creates the gatherer, which decides about the job's sources.
    pub(crate) fn gatherer(&self) -> Result<Gatherer, Failure> {
        let settings = &self.settings;
        let options = compose_git::Options {
            cache_limit: settings.cache_limit,
            offline: settings.offline,
            timeout: settings.timeout,
            started: Some(self.limits.started),
            jobs: settings.jobs,
            budget: settings.budget,
            environment: std::env::vars_os().collect(),
            cancel: self.limits.cancel.clone(),
            reporter: Arc::clone(&self.reporter),
            ..compose_git::Options::new(self.cache_dir())
        };
        let verifier = Verifier::new(&self.root, settings.verify_keys.as_deref());
        Gatherer::new(options, Allow::new(&settings.allow), verifier)
    }

    /// Returns the environment's lock.
    pub(crate) fn lock_file(&self) -> LockFile {
        LockFile::of(&self.root, &self.environment)
    }

    /// Returns where objects are kept: the setting, the image's directory where it exists, else the
    /// XDG cache.
    pub(crate) fn cache_dir(&self) -> PathBuf {
        settings::cache_dir(&self.settings)
    }
}
