//! What can follow on a command line, for the completions of shells.
//!
//! The scripts that `completions` prints run the program at each completion, with the line before the cursor. clap_complete
//! knows commands and options; what the machine has (environments, sources, repos) is added here.
//!
//! | module | holds |
//! |---|---|
//! | `line` | the words before the cursor |
//! | `values` | what the machine has |
//!
//! Nothing is printed but candidates: a problem means that there are none. No network is used, and the process ends by
//! itself if a disk does not answer.

mod line;
mod values;

use std::{ffi::OsString, sync::Arc, time::Duration};

use clap::{Arg, Command, CommandFactory};
use clap_complete::{
    CompletionCandidate, Shell,
    engine::{ArgValueCompleter, complete},
};
use compose_model::text;

use crate::{
    cli::{Cli, Flags},
    flags,
    report::to_stdout,
    topic::Topic,
};
use line::Line;
use values::{Value, Values};

/// The first word of the command line of a completion, before anything that is parsed.
pub(crate) const COMPLETE: &str = "__complete";

/// The time after which no candidates are better than late ones.
const LIMIT: Duration = Duration::from_secs(1);
/// The most candidates. More are of no use to a person.
const MOST: usize = 1_000;
/// The longest candidate, in characters.
const LONGEST: usize = 500;

/// Returns the script for a shell, if its completions ask the program.
pub(crate) fn script(shell: Shell) -> Option<&'static str> {
    match shell {
        Shell::Bash => Some(include_str!("complete.bash")),
        Shell::Zsh => Some(include_str!("complete.zsh")),
        Shell::Fish => Some(include_str!("complete.fish")),
        _ => None,
    }
}

/// Prints what can follow; `args` are what the script of a shell gives. Always succeeds.
pub(crate) fn run(mut args: impl Iterator<Item = OsString>) -> u8 {
    std::thread::spawn(|| {
        std::thread::sleep(LIMIT);
        std::process::exit(0);
    });
    let shell = args.next().unwrap_or_default();
    let args: Vec<OsString> = args.collect();
    let asked = match shell.to_str() {
        Some("bash") => Asked::of_bash(&args),
        Some("fish") => Asked::of_fish(args),
        _ => Asked::of_words(args),
    };
    let candidates = asked.as_ref().map(|asked| candidates(&asked.words));
    let mut out = String::new();
    if let (Some(asked), Some(candidates)) = (&asked, candidates) {
        for candidate in candidates.iter().take(MOST) {
            if let Some(line) = asked.show(candidate) {
                out.push_str(&line);
                out.push('\n');
            }
        }
    }
    // The shell may have closed the pipe, which is not an error.
    _ = to_stdout(out.as_bytes());
    0
}

/// What a shell asks for, and how it wants its answer.
struct Asked {
    /// The words of the line, the last of which is completed. There are at least two.
    words: Vec<OsString>,
    style: Style,
}

enum Style {
    /// A value, and after a tab what it is about. The shell quotes.
    Described,
    /// The value as it is typed, without what stands on the line already.
    Typed { begun: line::Begun },
}

impl Asked {
    /// zsh gives the words without quotes.
    fn of_words(words: Vec<OsString>) -> Option<Self> {
        let style = Style::Described;
        (words.len() > 1).then_some(Self { words, style })
    }

    /// fish gives the words without quotes, but the last one as it is typed.
    fn of_fish(mut words: Vec<OsString>) -> Option<Self> {
        let last = words.pop()?;
        words.push(line::unquoted(last.to_str()?).into());
        Self::of_words(words)
    }

    /// bash gives the line up to the cursor, and the characters at which it splits words.
    fn of_bash(args: &[OsString]) -> Option<Self> {
        let [line, breaks] = args else { return None };
        let (words, begun) = line::split(line.to_str()?, breaks.to_str()?);
        let style = Style::Typed { begun };
        (words.len() > 1).then_some(Self {
            words: words.into_iter().map(OsString::from).collect(),
            style,
        })
    }

    /// Returns the line for a candidate. `None` for one that would need more than a line, or could deceive.
    fn show(&self, candidate: &CompletionCandidate) -> Option<String> {
        let value = candidate.get_value().to_str()?;
        if text::escape(value, LONGEST) != value {
            return None;
        }
        match &self.style {
            Style::Typed { begun } => begun.rest(value),
            Style::Described => {
                let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
                let about = text::escape(help.lines().next().unwrap_or_default(), LONGEST);
                Some(match about.as_str() {
                    "" => value.to_owned(),
                    about => format!("{value}\t{about}"),
                })
            }
        }
    }
}

/// Returns what can stand in the place of the last word.
fn candidates(words: &[OsString]) -> Vec<CompletionCandidate> {
    let mut cli = Cli::command();
    cli.build();
    let line = Line::read(&cli, &words[..words.len() - 1]);
    let directory = line.value("directory").map(Into::into);
    // The directory of -C may not be there; then nothing is.
    if flags::adopt(&Flags {
        directory,
        offline: true,
        quiet: true,
        ..Flags::default()
    })
    .is_err()
    {
        return Vec::new();
    }
    let mut cli = with_values(cli, &Arc::new(Values::of(&line)));
    let here = std::env::current_dir().ok();
    let index = words.len() - 1;
    let mut found = complete(&mut cli, words.to_vec(), index, here.as_deref()).unwrap_or_default();
    // Options come when they are asked for, or when there is nothing else.
    let is_option = |one: &CompletionCandidate| one.get_value().as_encoded_bytes().starts_with(b"-");
    if words[index].is_empty() && found.iter().any(|one| !is_option(one)) {
        found.retain(|one| !is_option(one));
    }
    found
}

/// Returns the command line with arguments that know what the machine has.
fn with_values(cli: Command, values: &Arc<Values>) -> Command {
    let names: Vec<String> = cli
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    let topics = Topic::ALL.map(|topic| Command::new(topic.name()).about(topic.about()));
    names
        .into_iter()
        .fold(cli, |cli, name| {
            cli.mut_subcommand(&name, |command| {
                command.mut_args(|argument| with_values_of(&name, argument, values))
            })
        })
        .mut_subcommand("help", |help| help.subcommands(topics))
}

fn with_values_of(command: &str, argument: Arg, values: &Arc<Values>) -> Arg {
    let find: fn(&Values) -> Vec<Value> = match (command, argument.get_id().as_str()) {
        ("add" | "adopt", "environment") => Values::environments_of_repo,
        ("upgrade", "to") => return argument,
        (_, "environment" | "environments" | "to" | "from") => Values::environments,
        (_, "words") => Values::environments_and_sources,
        (_, "source") => Values::sources,
        (_, "repo") => Values::repos,
        _ => return argument,
    };
    let values = Arc::clone(values);
    argument.add(ArgValueCompleter::new(move |typed: &std::ffi::OsStr| {
        let Some(typed) = typed.to_str() else {
            return Vec::new();
        };
        let found = find(&values).into_iter();
        found
            .filter(|value| value.text.starts_with(typed))
            .map(|value| CompletionCandidate::new(value.text).help(value.about.map(Into::into)))
            .collect()
    }))
}
