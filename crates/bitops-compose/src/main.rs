//! `bitops-compose`: composes a BitOps environment from other repos' environments, then becomes BitOps.
//!
//! | module | holds |
//! |---|---|
//! | [`arguments`] | what the image's arguments mean |
//! | [`bypass`] | stage 0: is there anything to compose? |
//! | [`ignored`] | lists of sources that would have no effect |
//! | [`pipeline`] | the stages of a run, in order |
//! | [`gather`] | resolve and fetch, repo by repo, sources of sources included |
//! | [`lockfile`], [`pins`] | the environment's lock: the file, and what it answers |
//! | [`verify`] | which signatures a source needs |
//! | [`diff`] | two compositions compared |
//! | [`switching`] | waiting for another run, and the last look before the switch |
//! | [`launch`] | BitOps, found and exec'd |
//! | [`staying`] | the parent of BitOps |
//! | [`workspace`] | the operations repo in a CI's checkout |
//! | [`job`], [`environment`], [`build_config`] | what a run works on, and what the image's own config says |
//! | [`runtime`], [`signals`] | tokio, and the signals that end a run |
//! | [`commands`] | the commands for people |
//! | [`report`] | what is printed |

mod arguments;
mod build_config;
mod bypass;
mod cli;
mod commands;
mod diff;
mod environment;
mod gather;
mod ignored;
mod job;
mod launch;
mod local;
mod lockfile;
mod pins;
mod pipeline;
mod report;
mod runtime;
mod signals;
mod staying;
mod switching;
mod verify;
mod workspace;

use std::ffi::OsString;

use clap::{Parser, error::ErrorKind};
use compose_model::{Diagnostic, ExitCode, Failure, env};

use crate::{
    arguments::Meant,
    cli::{Cli, Command},
    report::Printer,
};

fn main() -> std::process::ExitCode {
    let mut args = std::env::args_os().skip(1);
    // The entrypoint first: with nothing to compose not even the command line is parsed.
    let first = args.next().unwrap_or_default();
    let code = if first == "deploy" {
        entrypoint(args.collect())
    } else if first == staying::PARENT {
        staying::run(&args.collect::<Vec<OsString>>())
    } else if first == staying::TIED {
        staying::run_tied(&args.collect::<Vec<OsString>>())
    } else {
        command(std::env::args_os())
    };
    code.into()
}

/// The image's entrypoint, with what follows `deploy`.
fn entrypoint(args: Vec<OsString>) -> u8 {
    match arguments::meant(args) {
        Meant::Deploy(args) => commands::deploy::run(args),
        Meant::Command(words) => command(words),
        Meant::Program(words) => {
            let Err(problem) = arguments::exec(&words);
            plain_printer().problems([&problem]);
            problem.code.code()
        }
    }
}

/// A command line for people; its first word is the program's name.
fn command(words: impl IntoIterator<Item = OsString>) -> u8 {
    match Cli::try_parse_from(words) {
        Ok(cli) => run(cli.command),
        Err(error) => usage(&error),
    }
}

fn run(command: Command) -> u8 {
    let done: Result<u8, Failure> = match command {
        Command::Deploy { args } => return commands::deploy::run(args),
        Command::Plan(plan) => commands::plan::run(&plan),
        Command::Explain(explain) => commands::explain::run(&explain),
        Command::Vendor(vendor) => commands::vendor::run(&vendor),
        Command::Cache(cache) => commands::cache::run(&cache),
        Command::Check(target) => commands::check::run(&target),
        Command::Lock(args) => commands::lock::run(&args),
        Command::Update(args) => commands::update::run(&args),
        Command::Outdated(args) => commands::outdated::run(&args),
        Command::Schema(_) => commands::schema(),
        Command::Completions { shell, unused } => commands::completions(shell, unused.format),
        Command::Image(cli::Image::Install { root }) => commands::install(&root),
    };
    done.unwrap_or_else(|failure| {
        plain_printer().problems(failure.diagnostics());
        failure.code().code()
    })
}

/// Help and version are results; everything else is a mistake, which a program may be listening for.
fn usage(error: &clap::Error) -> u8 {
    let printer = plain_printer();
    if !error.use_stderr() || !printer.json {
        error.exit();
    }
    let text = error.render().to_string();
    let mut parts = text.split("\n\n").map(str::trim).filter(|part| !part.is_empty());
    let message = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "no command is named",
        _ => parts.next().unwrap_or_default(),
    };
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let mut problem = Diagnostic::new(ExitCode::Usage, message);
    problem.hints.extend(parts.next().map(str::to_owned));
    printer.problems([&problem]);
    ExitCode::Usage.code()
}

/// A printer for what is said before any config is read.
fn plain_printer() -> Printer {
    let set = |name: &str, value: &str| {
        std::env::var_os(name).is_some_and(|found| found.eq_ignore_ascii_case(value))
    };
    Printer {
        json: set(env::LOG_FORMAT, "json"),
        colour: report::stderr_has_colour(),
        stdout_colour: report::stdout_has_colour(),
        masks: std::sync::Arc::default(),
        github: set(env::GITHUB_ACTIONS, "true").then(report::Checkout::default),
    }
}

/// The code of a run that did what it should.
const DONE: u8 = 0;

/// Turns wrong settings into problems.
fn settings() -> Result<compose_model::Settings, Failure> {
    compose_model::Settings::from_env(&|name| std::env::var_os(name))
        .map_err(|errors| Failure::from(errors.into_iter().map(Diagnostic::from).collect::<Vec<_>>()))
}
