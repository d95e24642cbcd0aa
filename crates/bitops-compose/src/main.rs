//! `bitops-compose`: composes a BitOps environment from other repos' environments, then starts BitOps
//! unchanged.
//!
//! ```sh
//! cargo run -p bitops-compose -- check dev --ops-repo docs/examples/six-sources
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`arguments`] | the meaning of the image's arguments |
//! | [`bypass`] | stage 0: whether there is anything to compose |
//! | [`ignored`] | lists of sources that would have no effect |
//! | [`pipeline`] | the stages of a run, in order |
//! | [`diff`] | the comparison of two compositions |
//! | [`compare`] | the pages of GitHub and GitLab that compare two tags |
//! | [`wait`] | waiting for another run |
//! | [`switching`] | the right to switch, and the last look before the switch |
//! | [`launch`] | finding BitOps, and its exec |
//! | [`staying`] | the parent of BitOps |
//! | [`workspace`] | the operations repo in a CI's checkout |
//! | [`flags`] | the flags of all commands |
//! | [`settings`] | the variables' values, and what follows from them on this machine |
//! | [`target`], [`environment`] | which operations repo and which environment is meant |
//! | [`job`], [`hidden`] | what a run works on, and what it is about to change |
//! | [`own_config`], [`build_config`] | the texts of configs, and what the image's own says |
//! | [`watch`], [`signals`] | what ends a run: signals, its deadline, the memory that it may take |
//! | [`runtime`] | tokio |
//! | [`commands`] | the commands for people |
//! | [`completing`] | what can follow on a command line, for shells |
//! | [`report`] | what is printed |
//!
//! Most messages come from the libraries, each of which names its room for them. A message of this crate stands
//! at the end of the module whose step fails, in a function that makes the diagnostic.

mod arguments;
mod build_config;
mod bypass;
mod cli;
mod commands;
mod compare;
mod completing;
mod diff;
mod environment;
mod flags;
mod hidden;
mod ignored;
mod job;
mod launch;
mod local;
mod own_config;
mod pipeline;
mod report;
mod runtime;
mod settings;
mod shown_path;
mod signals;
mod staying;
mod switching;
mod target;
mod topic;
mod wait;
mod watch;
mod workspace;

use std::ffi::OsString;

use clap::{Parser, error::ErrorKind};
use compose_model::{Diagnostic, ExitCode, Failure};

use crate::{
    arguments::Meant,
    cli::{Cli, Command},
    report::Printer,
};

fn main() -> std::process::ExitCode {
    report::report_panics();
    let mut args = std::env::args_os().skip(1);
    // The entrypoint comes first: with nothing to compose, not even the command line is parsed.
    let first = args.next().unwrap_or_default();
    let code = if first == "deploy" {
        entrypoint(args.collect())
    } else if first == staying::PARENT {
        staying::run(&args.collect::<Vec<OsString>>())
    } else if first == staying::TIED {
        staying::run_tied(&args.collect::<Vec<OsString>>())
    } else if first == completing::COMPLETE {
        completing::run(args)
    } else {
        command(std::env::args_os())
    };
    code.into()
}

/// Runs the image's entrypoint with what follows `deploy`.
fn entrypoint(args: Vec<OsString>) -> u8 {
    match arguments::meant(args) {
        Meant::Deploy(args) => commands::deploy::run(args),
        Meant::Command(words) => command(words),
        Meant::Program(words) => {
            let Err(problem) = arguments::exec(&words);
            Printer::plain().problems([&problem]);
            problem.code.code()
        }
    }
}

/// Runs a command line for people; its first word is the program's name.
fn command(words: impl IntoIterator<Item = OsString>) -> u8 {
    let words: Vec<OsString> = words.into_iter().collect();
    match Cli::try_parse_from(&words) {
        Ok(cli) => {
            let done = flags::adopt(&cli.flags).map_err(Failure::from);
            code_of(done.and_then(|()| run(cli.command)))
        }
        Err(error) => match commands::help::asked(&words, &error) {
            Some(done) => code_of(done),
            None => usage(&error),
        },
    }
}

fn run(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Deploy { args } => Ok(commands::deploy::run(args)),
        Command::Cache(cache) => commands::cache::run(&cache),
        Command::Schema { lock, unused: _ } => commands::schema(lock),
        Command::Completions { shell, unused } => commands::completions(shell, unused.format),
        Command::Man(man) => commands::man::run(&man),
        Command::Image(cli::Image::Install { root }) => commands::install(&root),
        // What is left reads configs and sources.
        command => watch::watched(move || run_watched(command)),
    }
}

fn run_watched(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Add(add) => commands::add::run(&add),
        Command::Adopt(adopt) => commands::adopt::run(&adopt),
        Command::Search(search) => commands::search::run(&search),
        Command::Remove(remove) => commands::remove::run(&remove),
        Command::Plan(plan) => commands::plan::run(&plan),
        Command::Explain(explain) => commands::explain::run(&explain),
        Command::Vendor(vendor) => commands::vendor::run(&vendor),
        Command::Check(target) => commands::check::run(&target),
        Command::Doctor(targets) => commands::doctor::run(&targets),
        Command::Lock(args) => commands::lock::run(&args),
        Command::Update(args) => commands::update::run(&args),
        Command::Upgrade(args) => commands::upgrade::run(&args),
        Command::Outdated(args) => commands::outdated::run(&args),
        Command::Deploy { .. }
        | Command::Cache(_)
        | Command::Schema { .. }
        | Command::Completions { .. }
        | Command::Man(_)
        | Command::Image(_) => run(command),
    }
}

/// Returns the exit code, after a failure was reported.
fn code_of(done: Result<u8, Failure>) -> u8 {
    done.unwrap_or_else(|failure| {
        Printer::plain().problems(failure.diagnostics());
        failure.code().code()
    })
}

/// Prints what clap reports. Help and version are results; anything else is a mistake, which a
/// program may be listening for.
fn usage(error: &clap::Error) -> u8 {
    let printer = Printer::plain();
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
