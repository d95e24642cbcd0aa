//! The meaning of the image's arguments.
//!
//! The entrypoint is `bitops-compose deploy`, followed by whatever stands behind the image's name
//! in `docker run`. BitOps takes only options and passes over words, so a first word can mean more:
//! a command of this program, or a program of the image, as when a runner starts a shell.

use std::{
    convert::Infallible,
    ffi::{OsStr, OsString},
    io,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt, process::CommandExt},
    path::Path,
    process,
};

use clap::CommandFactory;
use compose_model::{Diagnostic, ExitCode};

use crate::{cli::Cli, signals};

/// This program's own name.
const OWN: &str = "bitops-compose";
/// The entrypoint's own word.
const DEPLOY: &str = "deploy";
/// Programs that can be started by their name alone. Any other program needs its absolute path,
/// because a word might be meant for BitOps.
const SHELLS: [&str; 2] = ["sh", "bash"];

/// What the arguments ask for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meant {
    /// Deploy, with these arguments for the pipeline.
    Deploy(Vec<OsString>),
    /// Run this program instead of the pipeline.
    Program(Vec<OsString>),
    /// Run this command line of the program; its first word is the program's name.
    Command(Vec<OsString>),
}

/// Reads the arguments that follow `deploy`.
///
/// Only a first argument that is a word costs anything.
pub(crate) fn meant(args: Vec<OsString>) -> Meant {
    let Some(first) = args.first().map(|first| first.as_bytes()) else {
        return Meant::Deploy(args);
    };
    // `--help` alone asks for this program's own help, which says what the entrypoint does and
    // where the pipeline's help begins.
    if first == b"--help" && args.len() == 1 {
        return Meant::Command([OWN, "help", DEPLOY].map(OsString::from).to_vec());
    }
    if first.is_empty() || first.starts_with(b"-") {
        return Meant::Deploy(args);
    }
    let word = args[0].as_os_str();
    if word == DEPLOY {
        return Meant::Deploy(args.into_iter().skip(1).collect());
    }
    if word == OWN {
        return match args.get(1) {
            Some(second) if second == DEPLOY => Meant::Deploy(args.into_iter().skip(2).collect()),
            _ => Meant::Command(args),
        };
    }
    if SHELLS.iter().any(|shell| word == *shell) || is_program(word) {
        return Meant::Program(args);
    }
    if is_command(word) {
        let own = std::iter::once(OsString::from(OWN));
        return Meant::Command(own.chain(args).collect());
    }
    Meant::Deploy(args)
}

/// Returns whether the word is a command, `help` included.
fn is_command(word: &OsStr) -> bool {
    let mut cli = Cli::command();
    cli.build();
    word.to_str()
        .is_some_and(|word| cli.find_subcommand(word).is_some())
}

fn is_program(word: &OsStr) -> bool {
    let path = Path::new(word);
    let executable = || {
        path.metadata()
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    path.is_absolute() && executable()
}

/// Replaces this process by the program. Returns only when that fails.
///
/// The program gets the whole environment, including this program's own tokens: it belongs to the
/// user, who may run this program from it.
pub(crate) fn exec(words: &[OsString]) -> Result<Infallible, Diagnostic> {
    let (program, args) = words
        .split_first()
        .map_or((OsStr::new("sh"), &[][..]), |(program, args)| {
            (program.as_os_str(), args)
        });
    signals::reset_ignored();
    let error = process::Command::new(program).args(args).exec();
    let code = if error.kind() == io::ErrorKind::NotFound {
        ExitCode::NotFound
    } else {
        ExitCode::CannotExec
    };
    Err(Diagnostic::new(code, format!("`{}` cannot be started", program.display())).because(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    fn of(args: &[&str]) -> Meant {
        meant(words(args))
    }

    #[test]
    fn options_and_unknown_words_are_the_pipelines() {
        let dir = tempfile::tempdir().unwrap();
        let text = dir.path().join("text");
        std::fs::write(&text, "no program").unwrap();
        for args in [
            &[][..],
            &[""],
            &["-c", "plan"],
            &["-h"],
            &["--help", "-c"],
            &["--version"],
            &["--", "plan"],
            &["word"],
            &["word", "plan"],
            &["Plan"],
            &["pla"],
            &["./sh"],
            &["bin/sh"],
            &["zsh"],
            // A directory, a file that is not executable, and a missing file.
            &[dir.path().to_str().unwrap()],
            &[text.to_str().unwrap()],
            &[dir.path().join("absent").to_str().unwrap()],
        ] {
            assert_eq!(of(args), Meant::Deploy(words(args)), "{args:?}");
        }
        assert_eq!(of(&["deploy", "-c", "x"]), Meant::Deploy(words(&["-c", "x"])));
        assert_eq!(
            of(&["bitops-compose", "deploy", "x"]),
            Meant::Deploy(words(&["x"]))
        );
    }

    #[test]
    fn help_alone_is_the_entrypoints_own() {
        assert_eq!(
            of(&["--help"]),
            Meant::Command(words(&["bitops-compose", "help", "deploy"]))
        );
    }

    #[test]
    fn every_command_of_the_program_is_one_here() {
        let mut commands = 0;
        for command in Cli::command()
            .get_subcommands()
            .filter(|one| one.get_name() != DEPLOY)
        {
            let name = command.get_name();
            assert_eq!(
                of(&[name, "-x"]),
                Meant::Command(words(&["bitops-compose", name, "-x"]))
            );
            commands += 1;
        }
        assert!(commands > 8, "{commands}");
        assert_eq!(
            of(&["help", "plan"]),
            Meant::Command(words(&["bitops-compose", "help", "plan"]))
        );
        for args in [&["bitops-compose"][..], &["bitops-compose", "--version"]] {
            assert_eq!(of(args), Meant::Command(words(args)));
        }
    }

    #[test]
    fn shells_and_absolute_paths_of_programs_are_started() {
        for args in [&["sh", "-c", "x"][..], &["bash"], &["/bin/sh", "-c", "x"]] {
            assert_eq!(of(args), Meant::Program(words(args)));
        }
    }
}
