//! Output for the user. Results go to stdout, everything else goes to stderr.

mod github;
mod log;
mod log_settings;
mod mask;
mod panics;
mod pipe;
mod progress;
mod python_re;
mod render;
mod shown;
pub(crate) mod table;
pub(crate) mod wrap;

pub(crate) use github::{Checkout, Group, deliver};
use github::{annotate, guard};
pub(crate) use log::init;
pub(crate) use log_settings::LogSettings;
pub(crate) use mask::Masks;
pub(crate) use panics::report_panics;
pub(crate) use pipe::hurry;
pub(crate) use progress::{end_progress, reporter};

use std::{
    borrow::Cow,
    io::{ErrorKind, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
};

use compose_model::{Diagnostic, ExitCode, Failure, Severity, StyledText, env};
use shown::{Shown, ShownOverview};

use crate::{cli::Color, flags};

/// The number of problems that are printed at once. Further ones are only counted.
const MOST_PROBLEMS: usize = 200;

/// Reads BitOps' settings of logging from the configs of environments, or else from the image's, and
/// makes their masks those of everything that this process prints from now on. There is at least one
/// result.
///
/// Masks that cannot be read are a warning. It quotes nothing of the configs, and is the last text
/// that is shown without masks.
pub(crate) fn adopt_logging(
    printer: &Printer,
    configs: &[&str],
    image: Option<&str>,
) -> (Vec<LogSettings>, Arc<Masks>) {
    let image = image.map(LogSettings::read).unwrap_or_default();
    let configs = configs.iter().map(|text| LogSettings::read(text));
    let mut logging: Vec<LogSettings> = configs.map(|own| own.or(image.clone())).collect();
    if logging.is_empty() {
        logging.push(image);
    }
    let mut masks = Masks::default();
    for settings in &logging {
        masks = masks.and(Masks::of(settings).unwrap_or_else(|invalid| {
            printer.problems([&invalid.warning()]);
            Masks::Unreadable
        }));
    }
    (logging, masks.adopt())
}

/// The settings for what this run prints.
#[derive(Clone, Debug, Default)]
pub(crate) struct Printer {
    /// Whether problems are printed as JSON lines.
    pub(crate) json: bool,
    /// Whether stderr has colours.
    pub(crate) colour: bool,
    /// Whether stdout has colours.
    pub(crate) stdout_colour: bool,
    /// The columns of stderr, if it is a terminal: the lines of problems fit it. A log keeps long lines.
    columns: Option<usize>,
    /// The masks of BitOps' own `bitops.logging.masks`.
    pub(crate) masks: Arc<Masks>,
    /// The location of the operations repo in the checkout, if `GITHUB_ACTIONS` is set. Problems
    /// are also annotations then, and stages are log groups.
    pub(crate) github: Option<Checkout>,
    /// Whether a CI's runner reads the output, and takes some lines for commands.
    pub(crate) runner: bool,
    /// The words that a command in a hint needs to be about this run's environment.
    pub(crate) about: Option<String>,
    /// What is held back from stderr, so that the problems of several environments stay apart.
    held: Option<Arc<Mutex<String>>>,
}

impl Printer {
    /// Returns a printer without the settings of a config, except for the masks of a config that
    /// was already read.
    pub(crate) fn plain() -> Self {
        let set = |name: &str, value: &str| {
            std::env::var_os(name).is_some_and(|found| found.eq_ignore_ascii_case(value))
        };
        Self {
            json: set(env::LOG_FORMAT, "json"),
            colour: has_colour(&std::io::stderr()),
            stdout_colour: has_colour(&std::io::stdout()),
            columns: table::columns_of(&std::io::stderr()),
            masks: Masks::current(),
            github: set(env::GITHUB_ACTIONS, "true").then(Checkout::default),
            runner: env::COMMANDED_BY_OUTPUT
                .iter()
                .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty())),
            about: None,
            held: None,
        }
    }

    /// Returns a printer that holds problems back until [`Printer::release`].
    pub(crate) fn holding(&self) -> Self {
        Self {
            held: Some(Arc::default()),
            ..self.clone()
        }
    }

    /// Prints the problems that were held back.
    pub(crate) fn release(&self) {
        if let Some(held) = &self.held {
            let text = std::mem::take(&mut *held.lock().unwrap_or_else(PoisonError::into_inner));
            let _ = pipe::write_stderr(text.as_bytes());
        }
    }

    /// Writes to stderr. If stderr is closed, the exit code still reports a failure.
    fn write_problems(&self, text: &str) {
        match &self.held {
            Some(held) => held.lock().unwrap_or_else(PoisonError::into_inner).push_str(text),
            None => drop(pipe::write_stderr(text.as_bytes())),
        }
    }

    /// Prints a result to stdout.
    pub(crate) fn result(&self, text: &str) -> Result<(), Failure> {
        self.check_masks()?;
        let mut text = StyledText::from(self.masks.apply(text).into_owned());
        fit(&mut text);
        to_stdout(self.shown(text.as_str(), false).as_bytes())
    }

    /// Returns an error if no result may be shown.
    fn check_masks(&self) -> Result<(), Diagnostic> {
        if !self.masks.is_unreadable() {
            return Ok(());
        }
        Err(Diagnostic::error(
            "the result is not shown, because bitops.logging.masks cannot be read",
        ))
    }

    /// Prints a result for people to stdout, with its styles if stdout has colours.
    pub(crate) fn styled(&self, mut text: StyledText) -> Result<(), Failure> {
        self.check_masks()?;
        self.masks.apply_to_styled(&mut text);
        fit(&mut text);
        self.write_styled(text)
    }

    /// Prints a styled text whose lines are not the report's own, such as a diff or the source of a graph. They are never
    /// broken.
    pub(crate) fn verbatim(&self, mut text: StyledText) -> Result<(), Failure> {
        self.check_masks()?;
        self.masks.apply_to_styled(&mut text);
        self.write_styled(text)
    }

    fn write_styled(&self, text: StyledText) -> Result<(), Failure> {
        let text = if self.stdout_colour {
            text.to_ansi()
        } else {
            text.into_string()
        };
        to_stdout(self.shown(&text, false).as_bytes())
    }

    /// Prints a result for programs to stdout, as indented JSON. The masks are applied to its
    /// texts, so that it remains valid JSON.
    pub(crate) fn json(&self, value: &impl serde::Serialize) -> Result<(), Failure> {
        self.masked_json_result(self.masked_json(value)?)
    }

    /// Returns a value as indented JSON without a final newline. The masks are applied to its texts.
    pub(crate) fn masked_json(&self, value: &impl serde::Serialize) -> Result<String, Failure> {
        self.check_masks()?;
        Ok(self.masks.to_json(value).map_err(not_json)?)
    }

    /// Prints a result of [`Printer::masked_json`] to stdout.
    pub(crate) fn masked_json_result(&self, text: String) -> Result<(), Failure> {
        to_stdout(self.shown(&(text + "\n"), true).as_bytes())
    }

    /// Returns the text as it is printed to stdout. A runner that reads it must not take it for
    /// commands; a file receives it unchanged.
    fn shown<'a>(&self, text: &'a str, json: bool) -> Cow<'a, str> {
        if self.runner && !stdout_is_a_file() {
            guard(text, json)
        } else {
            Cow::Borrowed(text)
        }
    }

    /// Opens a group for the messages of a stage. Only the log of a runner has groups, and a log in
    /// JSON has none.
    pub(crate) fn group(&self, title: &str) -> Option<Group> {
        let wanted = self.github.is_some() && !self.json && tracing::enabled!(tracing::Level::INFO);
        wanted.then(|| Group::open(title))
    }

    /// Writes text within a group. Writes nothing without a group.
    pub(crate) fn tell(&self, group: Option<&Group>, text: impl FnOnce() -> String) {
        if group.is_some() {
            let text = text();
            let _ = pipe::write_stderr(guard(&self.masks.apply(&text), false).as_bytes());
        }
    }

    /// Prints problems to stderr. Errors close the group of the stage, which would hide them when
    /// folded, and are also added to the run's page.
    pub(crate) fn problems<'a>(&self, problems: impl IntoIterator<Item = &'a Diagnostic>) {
        let quiet = flags::get().quiet;
        let problems = problems.into_iter();
        let problems = self.cut(problems.filter(|problem| !quiet || problem.severity != Severity::Warning));
        let mut out = String::new();
        for chunk in problems.chunk_by(Shown::is_beside) {
            let text = match chunk.first().and_then(|problem| problem.overview.as_ref()) {
                _ if self.json => chunk.iter().map(render::json).collect(),
                None => render::for_people(chunk, self.colour, self.columns),
                Some(overview) => {
                    let shown = ShownOverview::of(overview, &self.masks, self.about.as_deref());
                    render::overview(&shown, self.colour)
                }
            };
            if self.runner {
                out.push_str(&guard(&text, self.json));
            } else {
                out.push_str(&text);
            }
            if let Some(checkout) = &self.github {
                out.extend(
                    chunk
                        .iter()
                        .map(|problem| annotate(problem, checkout, &self.masks)),
                );
            }
        }
        if problems.iter().any(Shown::is_error) {
            github::close();
        }
        self.write_problems(&out);
        let elsewhere = Checkout::default();
        github::failures(&self.masks, self.github.as_ref().unwrap_or(&elsewhere), &problems);
    }

    /// Returns the first problems as they are shown, and one that counts the others.
    fn cut<'a>(&self, problems: impl IntoIterator<Item = &'a Diagnostic>) -> Vec<Shown> {
        let mut problems = problems.into_iter();
        let shown = problems.by_ref().take(MOST_PROBLEMS);
        let mut shown: Vec<Shown> = shown
            .map(|problem| Shown::of(problem, &self.masks, self.about.as_deref()))
            .collect();
        let (mut errors, mut warnings) = (0, 0);
        let mut code = ExitCode::Config;
        for problem in problems {
            match problem.severity {
                Severity::Error => (errors, code) = (errors + 1, problem.code),
                Severity::Warning => warnings += 1,
            }
        }
        for (count, what) in [(errors, "errors"), (warnings, "warnings")] {
            let more = Diagnostic::new(code, format!("and {count} more {what}"));
            match (count, what) {
                (0, _) => {}
                (_, "errors") => shown.push(Shown::of(&more, &self.masks, None)),
                _ => shown.push(Shown::of(&more.into_warning(), &self.masks, None)),
            }
        }
        shown
    }

    /// Prints only the annotations of problems, to stderr. The result itself reports these
    /// problems.
    pub(crate) fn annotations(&self, problems: &[Diagnostic]) {
        if let Some(checkout) = &self.github {
            let problems = self.cut(problems);
            let out: String = problems
                .iter()
                .map(|problem| annotate(problem, checkout, &self.masks))
                .collect();
            self.write_problems(&out);
        }
    }

    /// Returns the hints of a problem, with commands that work when they are pasted.
    pub(crate) fn hints(&self, problem: &Diagnostic) -> Vec<String> {
        Shown::of(problem, &self.masks, self.about.as_deref()).hints
    }

    /// Returns problems as values for programs, with the masks applied.
    pub(crate) fn problems_as_json(&self, problems: &[Diagnostic]) -> Vec<serde_json::Value> {
        let value = |problem| {
            serde_json::from_str(&render::json(&Shown::of(
                problem,
                &self.masks,
                self.about.as_deref(),
            )))
        };
        problems
            .iter()
            .filter_map(|problem| value(problem).ok())
            .collect()
    }
}

/// Breaks the lines of a report that do not fit the terminal on stdout.
fn fit(text: &mut StyledText) {
    if let Some(columns) = table::columns_of(&std::io::stdout()) {
        text.replace(&wrap::breaks(text.as_str(), columns));
    }
}

fn stdout_is_a_file() -> bool {
    rustix::fs::fstat(std::io::stdout()).is_ok_and(|stat| {
        rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile
    })
}

/// Writes a result to stdout. A closed pipe (`plan | head`) is not an error, because the reader
/// does not want the rest. A full disk is an error, because half a result must not pass for a whole
/// one.
pub(crate) fn to_stdout(bytes: &[u8]) -> Result<(), Failure> {
    crate::watch::result_is_complete();
    let write = || {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush())
    };
    match progress::without_bars(write) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Diagnostic::new(
            ExitCode::CannotWrite,
            "the result cannot be written to standard output",
        )
        .because(error)
        .into()),
        _ => Ok(()),
    }
}

/// Returns a result for programs: indented JSON with a final newline.
pub(crate) fn json_document(value: &impl serde::Serialize) -> Result<String, Diagnostic> {
    let text = serde_json::to_string_pretty(value).map_err(not_json)?;
    Ok(text + "\n")
}

fn not_json(error: serde_json::Error) -> Diagnostic {
    Diagnostic::new(ExitCode::Bug, "a result cannot be written as JSON").because(error)
}

/// Writes a result for programs to a file, where it may be long. The format is that of
/// [`json_document`].
pub(crate) fn write_json(
    value: &impl serde::Serialize,
    out: &mut impl std::io::Write,
) -> std::io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    out.write_all(b"\n")
}

/// Returns whether a stream has colours, as `--color` says; otherwise as the variables of
/// <https://no-color.org>, <https://force-color.org> and <https://bixense.com/clicolors> say; otherwise if it is a
/// terminal that is not `dumb`.
fn has_colour(stream: &impl IsTerminal) -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let forced = |name: &str| set(name).is_some_and(|value| value != "0");
    match flags::get().color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if set("NO_COLOR").is_some() => false,
        Color::Auto if forced("FORCE_COLOR") || forced("CLICOLOR_FORCE") => true,
        Color::Auto => stream.is_terminal() && set("TERM").is_none_or(|term| term != "dumb"),
    }
}
