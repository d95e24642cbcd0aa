//! What a run works on.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use compose_model::{Cancel, Diagnostic, Failure, Reporter, Settings, TreePath, file_name, text};
use compose_plan::{compose::ImageDeployments, resolve::Allow};
use compose_sources::{Gatherer, LockFile, Verifier};

use crate::{
    build_config::BuildConfig,
    bypass,
    cli::{Asked, Place},
    environment::Environment,
    hidden::Hidden,
    ignored, own_config,
    report::{self, Printer},
    settings,
    shown_path::shown_path,
    target::{self, Selection},
    watch,
};

/// One environment of one operations repo, and how to work on it.
#[derive(Clone)]
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
    /// Files of the user's that are looked past, because they are about to be removed.
    pub(crate) hidden: Arc<Hidden>,
    /// The image's own deployments; `None` where they are not known.
    pub(crate) image: Option<ImageDeployments>,
    /// Whether they are assumed to be those of BitOps' omnibus image, because there is no image
    /// here.
    pub(crate) image_assumed: bool,
    /// Why they are not known, though there should be some.
    pub(crate) image_warning: Option<Diagnostic>,
    pub(crate) cancel: Cancel,
    pub(crate) reporter: Arc<dyn Reporter>,
    pub(crate) printer: Printer,
    gatherer: SharedGatherer,
}

/// The gatherer of all environments of a run, once one of them needed it. Each repo is then asked once.
type SharedGatherer = Arc<Mutex<Option<Arc<Gatherer>>>>;

/// What the environments of a run share.
#[derive(Clone)]
struct Session {
    settings: Settings,
    root: PathBuf,
    image: Option<ImageDeployments>,
    image_assumed: bool,
    image_warning: Option<Diagnostic>,
    cancel: Cancel,
    reporter: Arc<dyn Reporter>,
    printer: Printer,
    gatherer: SharedGatherer,
    /// The operations repo as the command line names it.
    ops_repo: Option<PathBuf>,
}

/// The jobs of a command for people.
pub(crate) struct Jobs {
    /// A job for each environment that is meant, or the reason why there is none; with the environment's name.
    pub(crate) jobs: Vec<(String, Result<Arc<Job>, Failure>)>,
    pub(crate) settings: Settings,
    /// Prints what is not about a single environment, with the masks of all configs.
    pub(crate) printer: Printer,
}

/// What a config that does not exist means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Absent {
    /// There is no such environment.
    Mistake,
    /// The command makes it.
    Empty,
}

impl Jobs {
    /// Creates the jobs of the environments that the command line means.
    pub(crate) fn of(place: &Place, asked: Asked<'_>) -> Result<Self, Failure> {
        Self::new(place, asked, Absent::Mistake)
    }

    fn new(place: &Place, asked: Asked<'_>, absent: Absent) -> Result<Self, Failure> {
        let settings = settings::read()?;
        let Selection { root, environments } = match absent {
            Absent::Mistake => target::select(place, asked)?,
            Absent::Empty => target::select_new(place, asked)?,
        };
        let texts = config_texts(place, &root, &environments, absent);
        let read: Vec<&str> = texts.iter().flatten().map(String::as_str).collect();
        let file = place.image.file.as_deref();
        let mut session = Session::new(settings, &root, &read, |settings| {
            file.map_or_else(|| Ok(BuildConfig::find(settings, &[])), BuildConfig::named)
        })?;
        session.ops_repo.clone_from(&place.ops_repo);
        // Outside of the image, a plan then shows what the image would do.
        if session.image.is_none() && session.image_warning.is_none() {
            session.image = Some(ImageDeployments::omnibus());
            session.image_assumed = true;
        }
        let are_several = environments.len() > 1;
        let job = |(environment, text): (String, Result<String, Diagnostic>)| {
            let mut session = session.clone();
            if are_several {
                session.printer = session.printer.holding();
            }
            let job = text
                .map_err(Failure::from)
                .and_then(|text| Ok(Arc::new(session.job(&environment, text)?)));
            (environment, job)
        };
        Ok(Self {
            jobs: environments.into_iter().zip(texts).map(job).collect(),
            settings: session.settings,
            printer: session.printer,
        })
    }
}

/// What `doctor` looks at: what can be read of the environments, and a gatherer even without any.
pub(crate) struct Examined {
    /// A job for each environment, or the reason why there is none; with the environment's name.
    pub(crate) jobs: Vec<(String, Result<Arc<Job>, Failure>)>,
    pub(crate) gatherer: Arc<Gatherer>,
    pub(crate) printer: Printer,
}

impl Examined {
    /// Reads what is selected. Nothing is printed about variables, which `doctor` reports itself.
    pub(crate) fn of(
        settings: &Settings,
        place: &Place,
        selection: &Selection,
        build_config: &BuildConfig,
    ) -> Result<Self, Failure> {
        let Selection { root, environments } = selection;
        let texts = config_texts(place, root, environments, Absent::Mistake);
        let read: Vec<&str> = texts.iter().flatten().map(String::as_str).collect();
        let mut session = Session::silent(settings.clone(), root, &read, build_config);
        session.ops_repo.clone_from(&place.ops_repo);
        let gatherer = gatherer(settings, root, &session.cancel, &session.reporter)?;
        let job = |(environment, text): (&String, Result<String, Diagnostic>)| {
            let job = text.and_then(|text| Ok(Arc::new(session.clone().job(environment, text)?)));
            (environment.clone(), job.map_err(Failure::from))
        };
        Ok(Self {
            jobs: environments.iter().zip(texts).map(job).collect(),
            gatherer: Arc::new(gatherer),
            printer: session.printer.clone(),
        })
    }
}

/// An operations repo without any environment of it, for commands about catalogs.
pub(crate) struct Ops {
    pub(crate) settings: Settings,
    pub(crate) root: PathBuf,
    pub(crate) cancel: Cancel,
    pub(crate) printer: Printer,
    reporter: Arc<dyn Reporter>,
}

impl Ops {
    /// Returns the operations repo that a command line means.
    pub(crate) fn of(place: &Place) -> Result<Self, Failure> {
        let (settings, root) = (settings::read()?, target::root(place, None)?);
        let session = Session::new(settings, &root, &[], |settings| {
            Ok(BuildConfig::find(settings, &[]))
        })?;
        Ok(Self {
            settings: session.settings,
            root: session.root,
            cancel: session.cancel,
            printer: session.printer,
            reporter: session.reporter,
        })
    }

    /// Returns a gatherer.
    pub(crate) fn gatherer(&self) -> Result<Gatherer, Failure> {
        gatherer(&self.settings, &self.root, &self.cancel, &self.reporter)
    }
}

fn gatherer(
    settings: &Settings,
    root: &Path,
    cancel: &Cancel,
    reporter: &Arc<dyn Reporter>,
) -> Result<Gatherer, Failure> {
    let options = compose_git::Options {
        cache_limit: settings.cache_limit,
        offline: settings.offline,
        timeout: settings.timeout,
        started: Some(watch::started()),
        jobs: settings.jobs,
        budget: settings.budget,
        environment: std::env::vars_os().collect(),
        cancel: cancel.clone(),
        reporter: Arc::clone(reporter),
        ..compose_git::Options::new(settings::cache_dir(settings))
    };
    let verifier = Verifier::new(root, settings.verify_keys.as_deref());
    Gatherer::new(options, Allow::new(&settings.allow), verifier)
}

/// Reads the configs of environments.
fn config_texts(
    place: &Place,
    root: &Path,
    environments: &[String],
    absent: Absent,
) -> Vec<Result<String, Diagnostic>> {
    let text = |environment: &String| {
        let config = root.join(environment).join(file_name::CONFIG);
        if absent == Absent::Empty && !config.exists() && !config.is_symlink() {
            return Ok(String::new());
        }
        config_text(place, root, environment)
    };
    environments.iter().map(text).collect()
}

/// Reads the config of an environment that a command for people is about.
fn config_text(place: &Place, root: &Path, environment: &str) -> Result<String, Diagnostic> {
    if let Some(problem) = target::nowhere(place, environment)? {
        return Err(problem);
    }
    let config = root.join(environment).join(file_name::CONFIG);
    let bytes = own_config::read_config(&config).map_err(|error| {
        let is_missing = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
        if is_missing && root.is_dir() && !root.join(environment).exists() {
            let (repo, name) = (shown_path(root), text::escape(environment, 100));
            let problem =
                Diagnostic::error(format!("there is no environment `{name}` in {}", repo.display()));
            return missing(problem, place, root, &config);
        }
        let problem = own_config::unreadable(&config, error);
        if is_missing {
            missing(problem, place, root, &config)
        } else {
            problem
        }
    })?;
    own_config::text_of(&config, bytes)
}

/// Adds to the problem that a config is missing what is there instead.
fn missing(problem: Diagnostic, place: &Place, root: &Path, config: &Path) -> Diagnostic {
    let shown = shown_path(root);
    let misnamed = config.with_file_name(file_name::CONFIG_MISNAMED);
    if misnamed.is_file() {
        return problem.hint(format!(
            "rename {} to bitops.config.yaml: BitOps reads no other name",
            shown_path(&misnamed).display()
        ));
    }
    let environments = target::environments(root);
    let name = config
        .parent()
        .and_then(|dir| dir.strip_prefix(root).ok())
        .and_then(Path::to_str);
    let near = text::nearest(
        name.unwrap_or_default(),
        environments.iter().map(String::as_str),
        1,
    );
    match environments.as_slice() {
        _ if !near.is_empty() => problem.hint(format!("did you mean `{}`?", near.join(", "))),
        _ if !root.is_dir() => problem.hint(format!("{} is not a directory", shown.display())),
        [] if place.ops_repo.is_some() => problem.hint(format!(
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
}

impl Session {
    /// Creates the session of environments whose configs have these texts.
    fn new(
        settings: Settings,
        root: &Path,
        texts: &[&str],
        build_config: impl FnOnce(&Settings) -> Result<BuildConfig, Diagnostic>,
    ) -> Result<Self, Failure> {
        let build_config = build_config(&settings)?;
        let session = Self::silent(settings, root, texts, &build_config);
        session.printer.problems(&settings::empty_policies());
        session.printer.problems(&settings::unknown_variables()?);
        Ok(session)
    }

    /// Creates the session without a word about variables.
    fn silent(settings: Settings, root: &Path, texts: &[&str], build_config: &BuildConfig) -> Self {
        let mut printer = Printer::plain();
        printer.json = settings.log_json;
        let (logging, masks) = report::adopt_logging(&printer, texts, build_config.text());
        printer.masks = masks;
        // BitOps' switch for colours applies where nobody looks at a terminal (CI); a terminal
        // decides for itself.
        let is_colour_off = logging.iter().any(|one| one.colour == Some(false));
        printer.colour = printer.colour && !is_colour_off;
        printer.stdout_colour = printer.stdout_colour && !is_colour_off;
        printer.github = printer.github.map(|_| report::Checkout::of(root));
        report::init(
            &logging[0],
            settings.log_json,
            printer.colour,
            printer.runner,
            &printer.masks,
        );
        let (image, image_warning) = build_config.deployments();
        Self {
            root: root.to_owned(),
            image,
            image_assumed: false,
            image_warning,
            cancel: watch::cancel(),
            reporter: report::reporter(&printer.masks),
            printer,
            settings,
            gatherer: SharedGatherer::default(),
            ops_repo: None,
        }
    }

    fn job(mut self, environment: &str, text: String) -> Result<Job, Diagnostic> {
        let mut about = vec![environment.to_owned()];
        if let Some(dir) = &self.ops_repo {
            about.extend(["--ops-repo".to_owned(), dir.to_string_lossy().into_owned()]);
        }
        self.printer.about = Some(shell_words::join(&about));
        let Environment {
            path: environment,
            passed,
        } = Environment::named(&self.root, environment)?;
        Ok(Job {
            file: format!("{environment}/{}", file_name::CONFIG).into(),
            environment,
            passed,
            text: text.into(),
            hidden: Arc::default(),
            root: self.root,
            image: self.image,
            image_warning: self.image_warning,
            image_assumed: self.image_assumed,
            cancel: self.cancel,
            reporter: self.reporter,
            printer: self.printer,
            settings: self.settings,
            gatherer: self.gatherer,
        })
    }
}

impl Job {
    /// Creates the job of `deploy` from what stage 0 found.
    pub(crate) fn deploy(found: &bypass::Found, args: &[std::ffi::OsString]) -> Result<Self, Failure> {
        let settings = settings::read()?;
        let session = Session::new(settings, found.mount.root(), &[&found.text], |settings| {
            Ok(BuildConfig::find(settings, args))
        })?;
        Ok(session.job(&found.environment, found.text.clone())?)
    }

    /// Creates the job of a command for people about one environment.
    pub(crate) fn of(place: &Place, environment: Option<&str>) -> Result<Arc<Self>, Failure> {
        Self::only(place, environment, Absent::Mistake)
    }

    /// Creates the job of an environment whose config need not exist yet; its text is then empty.
    pub(crate) fn of_any(place: &Place, environment: Option<&str>) -> Result<Arc<Self>, Failure> {
        Self::only(place, environment, Absent::Empty)
    }

    fn only(place: &Place, environment: Option<&str>, absent: Absent) -> Result<Arc<Self>, Failure> {
        let words: Vec<String> = environment.map(ToOwned::to_owned).into_iter().collect();
        let mut jobs = Jobs::new(place, Asked::Words(&words), absent)?.jobs;
        let (_, job) = jobs.remove(0);
        job
    }

    /// Returns the job for another state of the operations repo.
    pub(crate) fn in_state(&self, root: &Path, text: String) -> Arc<Self> {
        Arc::new(Self {
            root: root.to_owned(),
            text: text.into(),
            ..self.clone()
        })
    }

    /// Returns the job with another text of its config, as it will be written.
    pub(crate) fn edited(&self, text: &str) -> Arc<Self> {
        Arc::new(Self {
            text: text.into(),
            ..self.clone()
        })
    }

    /// Returns the job as if files of the user's were removed.
    pub(crate) fn hiding(&self, hidden: Hidden) -> Arc<Self> {
        Arc::new(Self {
            hidden: Arc::new(hidden),
            ..self.clone()
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

    /// Returns the gatherer, which decides about the sources of all environments of the run.
    pub(crate) fn gatherer(&self) -> Result<Arc<Gatherer>, Failure> {
        // Whatever asks for it is about to fetch.
        watch::enter(watch::Stage::Fetch);
        let mut shared = self.gatherer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gatherer) = &*shared {
            return Ok(Arc::clone(gatherer));
        }
        let gatherer = Arc::new(gatherer(
            &self.settings,
            &self.root,
            &self.cancel,
            &self.reporter,
        )?);
        *shared = Some(Arc::clone(&gatherer));
        Ok(gatherer)
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
