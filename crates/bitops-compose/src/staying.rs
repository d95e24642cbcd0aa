//! The parent of the pipeline: how it replaces this program, and what it does once the copy is
//! done.
//!
//! The program execs itself anew, so that neither memory of the composing nor any of its own tokens
//! remains: every hook can read `/proc/1/environ`. Everything that the parent has to know is in its
//! words.

use std::{
    convert::Infallible,
    ffi::OsString,
    fmt::Write as _,
    io::ErrorKind,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use compose_model::{Diagnostic, ExitCode, env, file_name, settings};
use compose_parent::{Host, Note, Program, Watch, temporary_directories};
use compose_plan::config::decode_lossy;
use compose_tree::{Sweep, Switched, SwitchedBack};

use crate::{
    build_config::BuildConfig,
    environment,
    launch::{cannot_start, leave_tokens},
    own_config,
    report::{self, Masks, Printer},
    signals,
};

/// The first word of the parent. It is not a command for people.
pub(crate) const PARENT: &str = "--parent-of-the-pipeline";
/// The first word of the process that is replaced by the pipeline and dies with its parent.
pub(crate) const TIED: &str = "--tied-to-its-parent";
/// This program, even where its file has been replaced.
const ITSELF: &str = "/proc/self/exe";
/// The number of paths that a message shows.
const SHOWN: usize = 10;

/// Returns the grace period if the parent is wanted even with nothing to compose.
pub(crate) fn asked_for() -> Result<Option<Duration>, Diagnostic> {
    let lookup = |name: &str| std::env::var_os(name);
    let read = || {
        let wanted = settings::supervise(&lookup)? == Some(true) && !settings::is_off(&lookup)?;
        wanted.then(|| settings::grace(&lookup)).transpose()
    };
    Ok(read()?)
}

/// Replaces this process by the parent, which starts the pipeline.
///
/// Returns only when that fails, with everything as it was before.
pub(crate) fn become_parent(
    pipeline: crate::launch::Pipeline,
    grace: Duration,
    switched: Option<Switched>,
) -> Result<Infallible, Diagnostic> {
    let program = pipeline.program();
    let manifest = switched.as_ref().map(|switched| switched.manifest().to_owned());
    let state = switched
        .map(Switched::into_words)
        .transpose()?
        .unwrap_or_default();
    let mut command = Command::new(ITSELF);
    command
        .arg0("bitops-compose")
        .arg(PARENT)
        .arg(grace.as_millis().to_string())
        .arg(state.len().to_string())
        .args(&state)
        .arg(&program.dir)
        .arg(&program.path)
        .args(&program.words);
    leave_tokens(&mut command);
    if let Some(manifest) = manifest {
        command.env(env::MANIFEST, manifest);
    }
    signals::reset_ignored();
    // A signal that comes from here on waits for the parent.
    let held = compose_parent::hold_signals();
    let problem = match (held, signals::stopped()) {
        (_, Some(stopped)) => stopped,
        (Err(error), None) => error.into(),
        (Ok(()), None) => {
            let error = command.exec();
            Diagnostic::new(ExitCode::CannotExec, "bitops-compose cannot start itself anew")
                .because(error)
                .hint(format!(
                    "{ITSELF} must be there; {}=false does without",
                    env::SUPERVISE
                ))
        }
    };
    if !state.is_empty() {
        // It is dropped at once, which switches back.
        drop(Switched::from_words(&state)?);
    }
    Err(problem)
}

/// Runs the parent from its words, and returns the exit code.
pub(crate) fn run(words: &[OsString]) -> u8 {
    report::hurry();
    let mut parent = Parent {
        printer: Printer::plain(),
        logging: None,
        switched: None,
        back: None,
    };
    match parent.run(words) {
        Ok(code) => code,
        Err(problem) => {
            // What is switched in is switched back before anything is reported.
            drop(parent.switched.take());
            parent.print(&problem);
            problem.code.code()
        }
    }
}

/// Replaces this process by the pipeline, tied to its parent. Returns only when that fails.
pub(crate) fn run_tied(words: &[OsString]) -> u8 {
    let tied = || {
        let (parent, rest) = words.split_first()?;
        Some((parent.to_str()?.parse().ok()?, program(rest)?))
    };
    let problem = match tied() {
        Some((parent, program)) => cannot_start(&program.path, compose_parent::exec_tied(parent, &program)),
        None => garbled(),
    };
    Printer::plain().problems([&problem]);
    problem.code.code()
}

/// Parses `DIR FILE WORDS...`.
fn program(words: &[OsString]) -> Option<Program> {
    let (dir, rest) = words.split_first()?;
    let (path, words) = rest.split_first()?;
    Some(Program {
        path: path.into(),
        words: words.to_vec(),
        dir: dir.into(),
    })
}

fn garbled() -> Diagnostic {
    Diagnostic::new(
        ExitCode::Usage,
        "this is how bitops-compose starts itself, not a command",
    )
}

struct Parent {
    printer: Printer,
    /// The configs whose masks the printer gets with its first message.
    logging: Option<Configs>,
    /// The switch, until the copy is done.
    switched: Option<Switched>,
    /// The switch after it is switched back, from then on.
    back: Option<SwitchedBack>,
}

impl Parent {
    fn run(&mut self, words: &[OsString]) -> Result<u8, Diagnostic> {
        let number = |word: Option<&OsString>| word?.to_str()?.parse::<u64>().ok();
        let count = number(words.get(1)).and_then(|count| usize::try_from(count).ok());
        let (state, rest) = count
            .and_then(|count| words[2..].split_at_checked(count))
            .ok_or_else(garbled)?;
        // This comes before anything else can fail: what is known of the switch is what undoes it.
        if !state.is_empty() {
            self.switched = Some(Switched::from_words(state)?);
        }
        let grace = number(words.first()).ok_or_else(garbled)?;
        let program = program(rest).ok_or_else(garbled)?;
        self.logging = Some(Configs::read(&program.words));
        let watch = self.switched.as_ref().map(|switched| Watch {
            original: switched.tree(),
            marker: switched.marker(),
            directories: temporary_directories(&program.dir),
        });
        let ended = compose_parent::run(&tie(program), watch.as_ref(), Duration::from_millis(grace), self)?;
        if let (false, Some(signal)) = (ended.started, ended.stopped_by) {
            self.print(&signals::stopped_by(signal, ExitCode::Terminated));
        }
        // A pipeline that failed may have ended before its copy, which says nothing about whether it makes one.
        let has_ended_well = ended.stopped_by.is_none() && ended.code == 0;
        if self.switched.is_some() && has_ended_well && !ended.may_have_copied {
            self.stayed_until_the_end();
        }
        if self.switched.is_some() {
            self.switch_back();
            self.sweep();
        }
        if let Some(back) = self.back.take() {
            back.forget();
        }
        ended.die_of_interrupt();
        Ok(ended.code)
    }

    /// Warns that the pipeline has ended and no copy was seen.
    fn stayed_until_the_end(&mut self) {
        self.warn(
            Diagnostic::new(
                ExitCode::CannotWrite,
                format!(
                    "{} was the composition until the pipeline's end: no copy of it was seen",
                    ops_repo()
                ),
            )
            .hint("BitOps copies it to a new directory in TMPDIR or /tmp first; what another pipeline writes to it is moved to the operations repo now"),
        );
    }

    fn switch_back(&mut self) {
        let Some(switched) = self.switched.take() else {
            return;
        };
        match switched.switch_back() {
            Ok(back) => self.back = Some(back),
            Err(error) => self.warn(
                Diagnostic::from(error)
                    .hint(format!("until the next deploy {} is the composition", ops_repo())),
            ),
        }
    }

    /// Moves what was written into the composition to the user's repo.
    fn sweep(&mut self) {
        let problems = self.back.as_mut().map(|back| swept(&back.sweep()));
        for problem in problems.into_iter().flatten() {
            self.warn(problem);
        }
    }

    fn warn(&mut self, problem: Diagnostic) {
        self.print(&problem.into_warning());
    }

    fn print(&mut self, problem: &Diagnostic) {
        if let Some(configs) = self.logging.take() {
            self.printer.masks = configs.masks();
        }
        self.printer.problems([problem]);
    }
}

/// The texts of the configs that hold BitOps' masks, as they were when the pipeline started.
///
/// They are parsed with the first message, because most parents print none and are small.
struct Configs {
    /// The environment's; `None` if it cannot be read.
    environment: Option<String>,
    image: Option<String>,
}

impl Configs {
    /// Reads the configs that the pipeline reads. `words` are its words.
    fn read(words: &[OsString]) -> Self {
        let config = environment::from_variables()
            .map(|name| Path::new(&ops_repo()).join(name).join(file_name::CONFIG));
        let environment = config.map_or(Ok(Vec::new()), |config| own_config::read_config(&config));
        let environment = match environment {
            Ok(text) => Some(decode_lossy(&text).into_owned()),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Some(String::new())
            }
            Err(_) => None,
        };
        let settings = crate::settings::read().ok();
        let image = settings.and_then(|settings| BuildConfig::find(&settings, words).into_text());
        Self { environment, image }
    }

    fn masks(self) -> Arc<Masks> {
        match self.environment {
            Some(text) => report::adopt_logging(&Printer::plain(), &[&text], self.image.as_deref()).1,
            None => Masks::Unreadable.adopt(),
        }
    }
}

impl Host for Parent {
    fn copied(&mut self) {
        self.switch_back();
    }

    fn before_next_process(&mut self) {
        self.sweep();
    }

    fn after_release(&mut self) {
        if let Some(back) = &self.back {
            back.empty();
        }
    }

    fn say(&mut self, note: &Note) {
        self.warn(described(note));
    }
}

/// Ties the pipeline to its parent.
///
/// As a child of PID 1, the pipeline dies with its parent anyway; elsewhere this takes one step
/// more.
fn tie(program: Program) -> Program {
    if std::process::id() == 1 {
        return program;
    }
    let words = [
        "bitops-compose".into(),
        TIED.into(),
        std::process::id().to_string().into(),
    ];
    let rest = [
        program.dir.clone().into_os_string(),
        program.path.into_os_string(),
    ];
    Program {
        path: PathBuf::from(ITSELF),
        words: words.into_iter().chain(rest).chain(program.words).collect(),
        dir: program.dir,
    }
}

fn described(note: &Note) -> Diagnostic {
    let new = |message: String| Diagnostic::new(ExitCode::Terminated, message);
    let seconds = |grace: &Duration| format!("{} s", grace.as_secs_f32());
    match note {
        Note::NotWatched(error) => new(format!(
            "the end of the pipeline's copy cannot be seen: {} is the composition until the pipeline ends",
            ops_repo()
        ))
        .reason(error.to_string()),
        Note::Stopping { signal, tools, .. } if tools.is_empty() => new(format!(
            "{signal}: nothing more is started, and the pipeline ends"
        )),
        Note::Stopping { signal, tools, grace } => new(format!(
            "{signal}: what runs is interrupted and has {} to finish, nothing more is started: {}",
            seconds(grace),
            list(tools)
        ))
        .hint(format!(
            "the pipeline may say that it has too many open files; {} is the time to finish",
            env::GRACE
        )),
        Note::Waiting { tools, grace } => new(format!(
            "the pipeline was interrupted; what still runs has {} to finish: {}",
            seconds(grace),
            list(tools)
        )),
        Note::Terminating(tools) => new(format!("still running, and terminated: {}", list(tools))),
        Note::Killing(tools) => new(format!("still running, and killed: {}", list(tools))),
    }
}

/// Describes what happened to things that were written into the composition.
fn swept(sweep: &Sweep) -> Vec<Diagnostic> {
    let described = |(message, hint): (String, Option<String>)| {
        let mut diagnostic = Diagnostic::new(ExitCode::CannotWrite, message);
        diagnostic.hints.extend(hint);
        diagnostic
    };
    sweep.notes().into_iter().map(described).collect()
}

fn list(names: &[String]) -> String {
    let mut shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        let _ = write!(shown, " and {} more", names.len() - SHOWN);
    }
    shown
}

fn ops_repo() -> String {
    let set = std::env::var_os(env::OPS_REPO).filter(|value| !value.is_empty());
    let path = set.unwrap_or_else(|| settings::DEFAULT_OPS_REPO.into());
    Path::new(&path).display().to_string()
}
