//! The image's own config, found as the pipeline finds it.
//!
//! BitOps takes `BITOPS_BUILD_CONFIG_YAML`, even if it is empty, then `-c`, then
//! `bitops.config.yaml`, relative to its working directory. It reads `-c` with Python's argparse,
//! whose rules this module follows: `-cFILE`, `-c=FILE`, abbreviations.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use compose_model::{Diagnostic, ExitCode, Settings, env, file_name};
use compose_plan::compose::ImageDeployments;

use crate::own_config;

/// The long options that BitOps has; only the first one matters here.
const LONG: [&str; 2] = ["--bitops_config_file", "--help"];

/// The config that the pipeline will read, if it is readable.
#[derive(Debug)]
pub(crate) struct BuildConfig {
    path: PathBuf,
    /// Whether it was asked for. BitOps' own default is missing wherever BitOps is.
    named: bool,
    text: io::Result<String>,
}

impl BuildConfig {
    /// Finds and reads the config. `args` are the pipeline's arguments, besides those that
    /// [`env::PIPELINE`] holds.
    pub(crate) fn find(settings: &Settings, args: &[OsString]) -> Self {
        let named = std::env::var_os(env::BITOPS_BUILD_CONFIG_YAML).or_else(|| {
            let own = own_args(&settings.pipeline);
            argument(own.iter().chain(args).map(OsString::as_os_str))
        });
        let is_named = named.is_some();
        let path = settings
            .pipeline_dir
            .join(named.unwrap_or_else(|| file_name::CONFIG.into()));
        Self {
            text: read(&path),
            named: is_named,
            path,
        }
    }

    /// Reads a config that was named for a command for people; it must exist.
    pub(crate) fn named(path: &Path) -> Result<Self, Diagnostic> {
        let unreadable = |reason: String| {
            Diagnostic::new(
                ExitCode::Config,
                format!("the deployments of {} cannot be read", path.display()),
            )
            .reason(compose_model::text::escape(&reason, 200))
            .hint("`--image-config` names the bitops.config.yaml that a BitOps image was built with")
        };
        let text = read(path).map_err(|error| unreadable(error.to_string()))?;
        ImageDeployments::parse(&text).map_err(|error| unreadable(error.to_string()))?;
        Ok(Self {
            path: path.to_owned(),
            named: true,
            text: Ok(text),
        })
    }

    /// Returns whether there is no image here and no config was asked for. What runs is then not
    /// known.
    pub(crate) fn is_elsewhere(&self) -> bool {
        let missing = self
            .text
            .as_ref()
            .is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        missing && !self.named
    }

    /// Returns the config's path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the config's text, if it was readable.
    pub(crate) fn text(&self) -> Option<&str> {
        self.text.as_deref().ok()
    }

    /// Returns the config's text, if it was readable.
    pub(crate) fn into_text(self) -> Option<String> {
        self.text.ok()
    }

    /// Returns the deployments that the config names.
    ///
    /// `None` means that they are not known; a warning says why where something is wrong.
    pub(crate) fn deployments(&self) -> (Option<ImageDeployments>, Option<Diagnostic>) {
        let path = self.path.display();
        let why = match &self.text {
            Ok(text) => match ImageDeployments::parse(text) {
                Ok(deployments) => return (Some(deployments), None),
                Err(error) => error.to_string(),
            },
            Err(_) if self.is_elsewhere() => return (None, None),
            Err(error) => error.to_string(),
        };
        let warning = Diagnostic::warning(format!(
            "the deployments of the pipeline's own config {path} are not known: {}",
            compose_model::text::escape(&why, 200)
        ))
        .hint(format!(
            "BitOps reads it before anything else; {} names another one, and so does `-c FILE` behind the image's name",
            env::BITOPS_BUILD_CONFIG_YAML
        ));
        (None, Some(warning))
    }
}

/// Reads a config within a bound, like that of an environment.
fn read(path: &Path) -> io::Result<String> {
    let bytes = own_config::read_config(path)?;
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Returns the arguments behind the script of a Python pipeline's shell words. The arguments of any
/// other program are left to it.
fn own_args(words: &str) -> Vec<OsString> {
    let words = shell_words::split(words).unwrap_or_default();
    let script = words.iter().position(|word| word.ends_with(".py"));
    let args = script.map(|at| &words[at + 1..]).unwrap_or_default();
    args.iter().map(OsString::from).collect()
}

/// An argument as argparse sees it.
enum Word<'a> {
    /// A value, and not an option.
    Value,
    /// `-c`, with the value in the same argument if there is one.
    Config(Option<&'a [u8]>),
    /// An option that BitOps does not know, which it passes over.
    Unknown,
    /// Help, or an abbreviation of two options, at which BitOps ends.
    Ends,
}

/// Returns the file that `-c` names, the last one if there are several.
///
/// `None` means that there is none, or that BitOps ends before it reads any.
fn argument<'a>(args: impl Iterator<Item = &'a OsStr>) -> Option<OsString> {
    let mut args = args.map(OsStr::as_bytes).peekable();
    let mut named = None;
    while let Some(arg) = args.next() {
        // Nothing that follows is an option.
        if arg == b"--" {
            break;
        }
        match word(arg) {
            Word::Value | Word::Unknown => {}
            Word::Ends => return None,
            Word::Config(Some(value)) => named = Some(value),
            Word::Config(None) => {
                let next = args.next_if(|next| *next != b"--" && matches!(word(next), Word::Value));
                named = Some(next?);
            }
        }
    }
    named.map(|value| OsString::from_vec(value.to_vec()))
}

/// Classifies an argument, with argparse's tests in argparse's order.
fn word(arg: &[u8]) -> Word<'_> {
    match arg {
        [b'-'] => return Word::Value,
        b"-c" => return Word::Config(None),
        b"-h" => return Word::Ends,
        [b'-', ..] => {}
        _ => return Word::Value,
    }
    let (name, value) = match arg.iter().position(|byte| *byte == b'=') {
        Some(at) => (&arg[..at], Some(&arg[at + 1..])),
        None => (arg, None),
    };
    if name.starts_with(b"--") {
        let mut meant = LONG.iter().filter(|long| long.as_bytes() == name);
        let exact = meant.next();
        let mut meant = LONG.iter().filter(|long| long.as_bytes().starts_with(name));
        match (exact.or(meant.next()), meant.next()) {
            (Some(long), None) if *long == LONG[0] => return Word::Config(value),
            (None, _) => {}
            _ => return Word::Ends,
        }
    } else if let [b'-', b'c', rest @ ..] = arg {
        return Word::Config(Some(if name == b"-c" {
            value.unwrap_or(rest)
        } else {
            rest
        }));
    } else if arg.starts_with(b"-h") {
        return Word::Ends;
    }
    if is_number(&arg[1..]) || arg.contains(&b' ') {
        return Word::Value;
    }
    Word::Unknown
}

/// Returns whether the text is a number such as `1`, `1.5` or `.5`, which is not an option behind a
/// minus sign.
fn is_number(text: &[u8]) -> bool {
    let digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    match text.iter().position(|byte| *byte == b'.') {
        Some(at) => digits(&text[..at]) && at + 1 < text.len() && digits(&text[at + 1..]),
        None => !text.is_empty() && digits(text),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use compose_testkit::standin;

    use super::*;

    /// Compares each answer with Python's own; it is `None` where argparse ends the program.
    #[test]
    fn arguments_are_read_as_argparse_reads_them() {
        let cases: &[&[&str]] = &[
            &[],
            &["-c", "f"],
            &["-cf"],
            &["-c=f"],
            &["-c==f"],
            &["-cf=x"],
            &["-c", ""],
            &["-c="],
            &["--bitops_config_file", "f"],
            &["--bitops_config_file=f"],
            &["--bitops_config_file==f"],
            &["--bitops_config_file="],
            &["--bitops", "f"],
            &["--b=f"],
            &["-c", "f", "--b", "last"],
            &["--b", "last", "-c", "f", "more"],
            &["-c", "-"],
            &["-c", "-1"],
            &["-c", "-.5"],
            &["-c", "-1.5"],
            &["-c", "-a b"],
            &["-c", "a b"],
            &["é", "-cé"],
            // No value follows, but nothing, an option, or the end of the options.
            &["-c"],
            &["--b"],
            &["-c", "--unknown"],
            &["-c", "-x"],
            &["-c", "-1x"],
            &["-c", "-c"],
            &["-c", "--", "f"],
            // Unknown options, and words that are no longer options.
            &["--unknown", "-c", "f"],
            &["--unknown=-c", "f"],
            &["-xc", "f"],
            &["--", "-c", "f"],
            &["-c", "f", "--", "-c", "last"],
            &["--bitops_config_files=f"],
            &["--bitops_config_file ", "f"],
            &["---c", "f"],
            &["--c", "f"],
            // Help, and an abbreviation of two options.
            &["-c", "f", "-h"],
            &["--he", "-c", "f"],
            &["--help=x"],
            &["-hc", "f"],
            &["--=f"],
        ];
        let script = "import argparse, json, sys\n\
            def read(args):\n    \
                parser = argparse.ArgumentParser()\n    \
                parser.add_argument('--bitops_config_file', '-c')\n    \
                try: return parser.parse_known_args(['deploy'] + args)[0].bitops_config_file\n    \
                except SystemExit: return None\n\
            answers = [read(args) for args in json.loads(sys.argv[1])]\n\
            print('\\n' + json.dumps(answers))";
        let output = Command::new(standin::python())
            .args(["-c", script, &serde_json::to_string(cases).unwrap()])
            .output()
            .unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        let answers: Vec<Option<String>> = serde_json::from_str(output.lines().last().unwrap()).unwrap();
        assert_eq!(answers.len(), cases.len());
        for (case, answer) in cases.iter().zip(&answers) {
            let found = argument(
                std::iter::once("deploy")
                    .chain(case.iter().copied())
                    .map(OsStr::new),
            );
            assert_eq!(found.as_deref(), answer.as_deref().map(OsStr::new), "{case:?}");
        }
        assert!(answers.iter().flatten().count() > 20, "{answers:?}");
    }

    #[test]
    fn only_the_words_behind_the_script_are_the_pipelines() {
        let args = |words: &str| own_args(words).join(OsStr::new("|"));
        assert_eq!(
            args("python3 -c x '/opt/my bitops/main.py' deploy -c f"),
            "deploy|-c|f"
        );
        assert_eq!(args("/bin/sh -c 'exec bitops'"), "");
        assert_eq!(args("'"), "");
    }
}
