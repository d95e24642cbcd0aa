//! `help TOPIC`: what is about no single command.

use std::{ffi::OsString, fmt::Write};

use clap::{
    CommandFactory,
    error::{ContextKind, ContextValue},
};
use compose_model::{Diagnostic, ExitCode, Failure, exit, text, variables};

use super::DONE;
use crate::{
    cli::Cli,
    report::{table::columns, to_stdout, wrap::wrapped},
    topic::Topic,
};

/// The most columns of a text. Longer lines are hard to read.
const MOST_COLUMNS: usize = 100;

fn text_of(topic: Topic, columns: usize) -> String {
    match topic {
        Topic::Environment => environment(columns),
        Topic::ExitCodes => exit_codes(columns),
    }
}

/// Prints a topic, if that is what the words ask for: `help` followed by what clap takes for an unknown command.
pub(crate) fn asked(words: &[OsString], error: &clap::Error) -> Option<Result<u8, Failure>> {
    let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    let at = words.iter().position(|word| word == unknown.as_str())?;
    if words[..at].last()? != "help" {
        return None;
    }
    let topic = Topic::ALL.into_iter().find(|topic| topic.name() == unknown);
    Some(match topic {
        Some(topic) => {
            let text = text_of(topic, columns(&std::io::stdout()).min(MOST_COLUMNS));
            to_stdout(text.as_bytes()).map(|()| DONE)
        }
        None => Err(no_such_topic(unknown).into()),
    })
}

fn environment(columns: usize) -> String {
    let mut out = String::new();
    for group in variables::GROUPS {
        if !out.is_empty() {
            out.push('\n');
        }
        let _ = writeln!(out, "{}", wrapped(&format!("{}:", group.title), "", "", columns));
        for variable in group.variables {
            let _ = writeln!(out, "  {}", variable.name);
            let indent = " ".repeat(10);
            let meaning = wrapped(&with_default(variable), &indent, &indent, columns);
            let _ = writeln!(out, "{meaning}");
        }
    }
    out
}

/// Returns the meaning of a variable, followed by its default.
pub(crate) fn with_default(variable: &variables::Variable) -> String {
    match variable.default {
        "" => variable.meaning.to_owned(),
        default => format!("{} [default: {}]", variable.meaning, default.replace('`', "")),
    }
}

/// What the exit codes of a deployment are besides the program's own.
pub(crate) const PIPELINES_OWN: &str = "`deploy` ends with the pipeline's own exit code once that was started. Of several problems, the one that can be mended \
     by its user alone decides.";

fn exit_codes(columns: usize) -> String {
    let mut out = String::from("Exit codes:\n");
    for status in exit::STATUSES {
        let first = format!("{:5}  ", status.code);
        let rest = " ".repeat(first.len());
        let _ = writeln!(out, "{}", wrapped(status.meaning, &first, &rest, columns));
    }
    let _ = writeln!(out, "\n{}", wrapped(PIPELINES_OWN, "", "", columns));
    out
}

fn no_such_topic(word: &str) -> Diagnostic {
    let shown = text::escape(word, 200);
    let problem = Diagnostic::new(ExitCode::Usage, format!("there is no command or topic `{shown}`"));
    let topics = Topic::ALL.map(Topic::name);
    let cli = Cli::command();
    let commands = cli.get_subcommands().filter(|command| !command.is_hide_set());
    let known = commands.map(clap::Command::get_name).chain(topics);
    let problem = match text::did_you_mean(word, known) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem,
    };
    problem.hint(format!(
        "the topics are {}; `bitops-compose help` lists the commands",
        topics.map(|topic| format!("`{topic}`")).join(" and ")
    ))
}
