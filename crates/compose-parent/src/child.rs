//! Starts the pipeline and interprets its exit status.

use std::{
    env,
    ffi::{CString, OsString},
    io,
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::PathBuf,
    process::Command,
};

use nix::{
    spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn},
    sys::signal::SigSet,
    unistd::Pid as NixPid,
};
use rustix::process::{Pid, Signal, WaitStatus};

use crate::{
    Error,
    error::{self},
};

/// The program to start.
#[derive(Clone, Debug)]
pub struct Program {
    /// The executable file.
    pub path: PathBuf,
    /// The program's arguments, starting with its own name.
    pub words: Vec<OsString>,
    /// The working directory, which the parent changes to as well.
    pub dir: PathBuf,
}

/// Starts the program with the parent's environment and standard streams, in a process group of its
/// own, with no signal blocked or ignored.
pub(crate) fn start(program: &Program) -> Result<Pid, Error> {
    env::set_current_dir(&program.dir).map_err(|source| Error::Directory {
        dir: program.dir.clone(),
        source,
    })?;
    spawn(program).map_err(|source| Error::Start {
        program: program.path.clone(),
        source,
    })
}

fn spawn(program: &Program) -> io::Result<Pid> {
    let words: Vec<CString> = program.words.iter().map(c_string).collect::<Result<_, _>>()?;
    let environment: Vec<CString> = env::vars_os()
        .map(|(mut variable, value)| {
            variable.push("=");
            variable.push(value);
            c_string(&variable)
        })
        .collect::<Result<_, _>>()?;
    let pid = attributes()
        .and_then(|attributes| {
            let actions = PosixSpawnFileActions::init()?;
            posix_spawn(
                program.path.as_path(),
                &actions,
                &attributes,
                &words,
                &environment,
            )
        })
        .map_err(error::io)?;
    Pid::from_raw(pid.as_raw()).ok_or_else(|| io::ErrorKind::Other.into())
}

/// Returns the attributes of the new process. The standard library cannot set the signal mask,
/// which blocks everything in the parent.
fn attributes() -> nix::Result<PosixSpawnAttr> {
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_flags(
        PosixSpawnFlags::POSIX_SPAWN_SETPGROUP
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF,
    )?;
    attributes.set_pgroup(NixPid::from_raw(0))?;
    attributes.set_sigmask(&SigSet::empty())?;
    attributes.set_sigdefault(&SigSet::all())?;
    Ok(attributes)
}

fn c_string(text: &OsString) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// Execs the program so that the kernel kills it when the process `parent` dies. In a container the
/// whole pipeline dies with PID 1; elsewhere it would survive a killed parent.
///
/// Must be called in a child of `parent`. Returns only on failure.
pub fn exec_tied(parent: i32, program: &Program) -> io::Error {
    // If this fails, the pipeline still runs.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    // The parent may have died before the call.
    if rustix::process::getppid().map(Pid::as_raw_pid) != Some(parent) {
        return io::ErrorKind::BrokenPipe.into();
    }
    let mut command = Command::new(&program.path);
    if let Some((name, words)) = program.words.split_first() {
        command.arg0(name).args(words);
    }
    command.current_dir(&program.dir).exec()
}

/// Returns the parent's exit code: the child's own, or 128 plus the number of the signal that
/// killed it.
pub(crate) fn code(status: WaitStatus) -> u8 {
    let code = status
        .exit_status()
        .or_else(|| status.terminating_signal().map(|number| 128 + number));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
