//! A running program, with its output collected.

use std::fmt;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process, kill_process_group};

use crate::redact::Redactor;
use crate::run::Run;

pub use rustix::process::Signal;

/// A program in its own process group. Dropping this value kills the group's remaining processes.
#[derive(Debug)]
pub struct Spawned {
    pid: Pid,
    shown: String,
    status: Receiver<io::Result<ExitStatus>>,
    ended: bool,
    output: Output,
    redactor: Redactor,
    started: Instant,
}

impl Spawned {
    pub(crate) fn start(mut command: Command, redactor: Redactor) -> Self {
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let started = Instant::now();
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let pid = i32::try_from(child.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a process has an id");
        let output = Output::default();
        output.collect(child.stdout.take().expect("stdout is piped"), |read| {
            &mut read.stdout
        });
        output.collect(child.stderr.take().expect("stderr is piped"), |read| {
            &mut read.stderr
        });
        let (sender, status) = mpsc::channel();
        std::thread::spawn(move || {
            // This fails only if the receiver is gone.
            let _ = sender.send(child.wait());
        });
        Self {
            pid,
            shown: format!("{command:?}"),
            status,
            ended: false,
            output,
            redactor,
            started,
        }
    }

    /// Returns the process id.
    pub fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Sends a signal to the process, but not to its group.
    ///
    /// # Panics
    ///
    /// If the process is gone.
    pub fn signal(&self, signal: Signal) {
        self.try_signal(signal)
            .unwrap_or_else(|error| panic!("cannot signal {}: {error}", self.shown));
    }

    /// Sends a signal to the process, which may have ended by now.
    ///
    /// # Errors
    ///
    /// If the process is gone.
    pub fn try_signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(self.pid, signal)?)
    }

    /// Waits until the standard output or error contains `text`.
    ///
    /// # Panics
    ///
    /// If it does not within `limit`.
    pub fn wait_for_output(&self, text: &str, limit: Duration) {
        let found = self.output.wait_for(text, limit);
        assert!(
            found,
            "{} did not say {text:?} within {limit:?}\n{}",
            self.shown, self.output
        );
    }

    /// Waits for the end of the process.
    ///
    /// # Panics
    ///
    /// If the process runs longer than `limit` from now. It is then killed, and the message
    /// contains its output.
    pub fn wait(mut self, limit: Duration) -> Run {
        let status = match self.status.recv_timeout(limit) {
            Ok(status) => status.unwrap_or_else(|error| panic!("cannot wait for {}: {error}", self.shown)),
            Err(_) => panic!("{} still runs after {limit:?}\n{}", self.shown, self.output),
        };
        self.ended = true;
        let duration = self.started.elapsed();
        // A background child would keep the pipes open, so the whole group is killed.
        self.kill_group();
        let (stdout, stderr) = self.output.to_end();
        Run {
            code: status.code(),
            signal: status.signal(),
            stdout,
            stderr,
            duration,
            redactor: self.redactor.clone(),
        }
    }

    fn kill_group(&self) {
        // This fails if the group is empty.
        let _ = kill_process_group(self.pid, Signal::KILL);
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        if !self.ended {
            self.kill_group();
        }
    }
}

/// Runs any command to its end.
///
/// # Panics
///
/// If it cannot be started, or takes longer than ten minutes.
pub fn wait(command: Command) -> Run {
    Spawned::start(command, Redactor::new(None)).wait(Duration::from_secs(600))
}

/// The bytes read from both pipes so far.
#[derive(Debug, Clone, Default)]
struct Output(Arc<(Mutex<CollectedOutput>, Condvar)>);

#[derive(Debug, Default)]
struct CollectedOutput {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    ended: u8,
}

impl Output {
    /// Reads `pipe` in a thread, into the buffer that `part` selects.
    fn collect(
        &self,
        mut pipe: impl io::Read + Send + 'static,
        part: fn(&mut CollectedOutput) -> &mut Vec<u8>,
    ) {
        let shared = Arc::clone(&self.0);
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            loop {
                let count = pipe.read(&mut buffer).unwrap_or(0);
                let mut read = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
                part(&mut read).extend_from_slice(&buffer[..count]);
                read.ended += u8::from(count == 0);
                shared.1.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
    }

    /// Waits until one of the outputs contains `text`. Returns false after `limit`, or if both
    /// pipes end first.
    fn wait_for(&self, text: &str, limit: Duration) -> bool {
        let found = |read: &CollectedOutput| {
            let contains = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(text);
            contains(&read.stdout) || contains(&read.stderr)
        };
        let read = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (read, _) = self
            .0
            .1
            .wait_timeout_while(read, limit, |read| !found(read) && read.ended < 2)
            .unwrap_or_else(PoisonError::into_inner);
        found(&read)
    }

    /// Returns both outputs, once both pipes have ended.
    fn to_end(&self) -> (String, String) {
        let read = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let read = self
            .0
            .1
            .wait_while(read, |read| read.ended < 2)
            .unwrap_or_else(PoisonError::into_inner);
        (
            String::from_utf8_lossy(&read.stdout).into_owned(),
            String::from_utf8_lossy(&read.stderr).into_owned(),
        )
    }
}

impl fmt::Display for Output {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let read = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (stdout, stderr) = (
            String::from_utf8_lossy(&read.stdout),
            String::from_utf8_lossy(&read.stderr),
        );
        write!(
            formatter,
            "----- stdout -----\n{stdout}\n----- stderr -----\n{stderr}"
        )
    }
}
