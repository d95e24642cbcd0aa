//! Finds the pipeline before anything is composed, and execs it.

use std::{
    convert::Infallible,
    ffi::{OsStr, OsString},
    io,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

use compose_model::{Diagnostic, ExitCode, env, settings};
use compose_parent::Program;

use crate::signals;

/// The program to exec, found before anything is composed for it.
#[derive(Clone, Debug)]
pub(crate) struct Pipeline {
    program: PathBuf,
    args: Vec<OsString>,
    dir: PathBuf,
}

impl Pipeline {
    /// Reads [`env::PIPELINE`] (shell words) and [`env::PIPELINE_DIR`] and looks the program up.
    ///
    /// `args` are the user's own, appended untouched.
    pub(crate) fn find(words: &str, dir: &Path, args: Vec<OsString>) -> Result<Self, Diagnostic> {
        let split = shell_words::split(words).map_err(|error| {
            Diagnostic::new(
                ExitCode::Usage,
                format!("{} cannot be split into words", env::PIPELINE),
            )
            .because(error)
            .hint("quote it as a shell would need it, for example: python3 '/opt/my bitops/main.py' deploy")
        })?;
        let Some((program, own)) = split.split_first().filter(|(program, _)| !program.is_empty()) else {
            return Err(Diagnostic::new(
                ExitCode::Usage,
                format!("{} names no program", env::PIPELINE),
            ));
        };
        if !dir.is_dir() {
            return Err(Diagnostic::new(
                ExitCode::NotFound,
                format!(
                    "the pipeline's working directory {} does not exist",
                    dir.display()
                ),
            )
            .hint(format!(
                "this is where BitOps' image keeps it; set {} for another place",
                env::PIPELINE_DIR
            )));
        }
        let program = look_up(program, dir).map_err(|code| {
            let what = if code == ExitCode::NotFound {
                "was not found"
            } else {
                "is not executable"
            };
            Diagnostic::new(code, format!("the pipeline's program `{program}` {what}")).hint(format!(
                "is this a BitOps image? {} says what is run",
                env::PIPELINE
            ))
        })?;
        let args = own.iter().map(OsString::from).chain(args).collect();
        Ok(Self {
            program,
            args,
            dir: dir.to_owned(),
        })
    }

    /// Returns the program's path.
    pub(crate) fn path(&self) -> &Path {
        &self.program
    }

    /// Returns the script that the pipeline's own words name for Python, if it is missing.
    pub(crate) fn missing_script(&self) -> Option<PathBuf> {
        let named = self.args.iter().find(|word| word.as_bytes().ends_with(b".py"))?;
        let script = self.dir.join(named);
        (!script.is_file()).then_some(script)
    }

    /// Replaces this process by the pipeline. Returns only when that fails.
    ///
    /// The pipeline gets this program's environment without its tokens, which are not meant for it.
    ///
    /// The standard library resets `SIGPIPE`, exec itself puts installed handlers back to their
    /// defaults, and signals that were ignored or blocked when this program was started no longer
    /// are.
    pub(crate) fn exec(&self, manifest: Option<&Path>) -> Result<Infallible, Diagnostic> {
        let mut command = Command::new(&self.program);
        command.args(&self.args).current_dir(&self.dir);
        leave_tokens(&mut command);
        if let Some(manifest) = manifest {
            command.env(env::MANIFEST, manifest);
        }
        signals::reset_ignored();
        // If this fails, the pipeline gets the mask that this program was started with.
        let _ = compose_parent::release_signals();
        let error = command.exec();
        Err(cannot_start(&self.program, error))
    }

    /// Returns the program for the parent to start.
    pub(crate) fn program(self) -> Program {
        let name = self.program.clone().into_os_string();
        Program {
            path: self.program,
            words: std::iter::once(name).chain(self.args).collect(),
            dir: self.dir,
        }
    }
}

/// Returns the pipeline's words and its working directory.
///
/// The defaults of the settings are the image's; a test or a person names others.
pub(crate) fn pipeline_words() -> (String, PathBuf) {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let words = set(env::PIPELINE).map_or_else(
        || settings::DEFAULT_PIPELINE.to_owned(),
        |words| words.to_string_lossy().into_owned(),
    );
    (
        words,
        set(env::PIPELINE_DIR).map_or_else(|| settings::DEFAULT_PIPELINE_DIR.into(), PathBuf::from),
    )
}

/// Removes the program's own tokens (`BITOPS_COMPOSE_TOKEN_*`) from the environment that a command gets.
pub(crate) fn leave_tokens(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.as_bytes().starts_with(env::TOKEN_PREFIX.as_bytes()) {
            command.env_remove(name);
        }
    }
}

/// Describes a program that was found but cannot be started.
pub(crate) fn cannot_start(program: &Path, error: io::Error) -> Diagnostic {
    let code = if error.kind() == io::ErrorKind::NotFound {
        ExitCode::NotFound
    } else {
        ExitCode::CannotExec
    };
    let message = format!("the pipeline `{}` cannot be started", program.display());
    Diagnostic::new(code, message).because(error)
}

/// Finds a program as `execvp` does, from the pipeline's working directory.
pub(crate) fn look_up(program: &str, dir: &Path) -> Result<PathBuf, ExitCode> {
    let candidates: Vec<PathBuf> = if program.contains('/') {
        vec![dir.join(program)]
    } else {
        let path =
            std::env::var_os("PATH").unwrap_or_else(|| OsStr::new("/usr/local/bin:/usr/bin:/bin").into());
        std::env::split_paths(&path)
            .map(|entry| dir.join(entry).join(program))
            .collect()
    };
    let mut found = false;
    for candidate in candidates {
        let Ok(meta) = candidate.metadata() else { continue };
        found = true;
        if meta.is_file() && meta.permissions().mode() & 0o111 != 0 {
            return Ok(candidate);
        }
    }
    Err(if found {
        ExitCode::CannotExec
    } else {
        ExitCode::NotFound
    })
}
