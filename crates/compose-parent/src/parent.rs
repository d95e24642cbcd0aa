//! The main loop: waits for a signal or the end of the copy, acts on it, and reaps processes.

use std::{ffi::CStr, fs::File, time::Duration};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::AsFd,
    process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, set_child_subreaper},
};

use crate::{
    Error, Note, Program, Watch, child,
    copy::Watching,
    hold::{self, Held, Hold},
    processes,
    signals::{self, ReceivedSignal, Signals},
    stop::Stop,
    terminal::Terminal,
};

/// The process's name in `ps`, whatever the executable file is called.
const NAME: &CStr = c"bitops-compose";

/// The caller's side of the parent.
pub trait Host {
    /// Called as soon as the pipeline's copy is complete, when the pipeline reads no more of the
    /// original; once at most. If the pipeline's main process can be held, it stands still until
    /// this returns.
    fn copied(&mut self);
    /// Called next. The main process goes on, and nothing that it starts runs before this returns, if
    /// the main process can be held.
    fn before_next_process(&mut self) {}
    /// Called last, when the pipeline runs freely: the place for slow work.
    fn after_release(&mut self) {}
    /// Reports a note for the user.
    fn say(&mut self, note: &Note);
}

/// The outcome of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The exit code: the pipeline's own, or 128 plus the number of a signal (one that killed the
    /// pipeline, or one that asked for the end).
    pub code: u8,
    /// Whether the end of the copy was detected.
    pub copied: bool,
    /// Whether a copy may have been made and removed before it was examined. A pipeline that starts
    /// no process is not held, and can end at once.
    pub may_have_copied: bool,
    /// Whether the program was started; a signal may have come before.
    pub started: bool,
    /// The name of the signal that asked for the end.
    pub stopped_by: Option<&'static str>,
    /// Whether Ctrl-C was pressed at the terminal. A shell stops its script only if its child
    /// *dies* of the interrupt.
    pub interrupted_at_terminal: bool,
}

impl Ended {
    /// Kills this process by SIGINT if the run ended by Ctrl-C and the system allows it (not for
    /// PID 1).
    pub fn die_of_interrupt(&self) {
        if self.interrupted_at_terminal {
            signals::take_default(Signal::INT);
        }
    }
}

/// Starts the program and stays until it has ended, or a signal has ended the run.
///
/// The process must have one thread and no children. After SIGTERM, SIGINT, SIGHUP or SIGQUIT, the
/// tools have the time `grace` to finish.
pub fn run(
    program: &Program,
    watch: Option<&Watch>,
    grace: Duration,
    host: &mut dyn Host,
) -> Result<Ended, Error> {
    let signals = Signals::block()?;
    // Makes orphans children of this process, so that they are found and reaped; PID 1 adopts them
    // anyway.
    let _ = set_child_subreaper(Some(getpid()));
    let _ = rustix::thread::set_name(NAME);
    let mut watching = watch.and_then(|watch| match Watching::begin(watch) {
        Ok(watching) => Some(watching),
        Err(error) => {
            host.say(&Note::NotWatched(error));
            None
        }
    });
    // A signal may have come before there was anything to interrupt.
    while let Some(arrived) = signals.next() {
        if signals::stops(arrived.signal) {
            return Ok(ended_by(arrived.signal));
        }
    }
    let main = child::start(program)?;
    let hold = watching.as_ref().and_then(|_| Hold::begin(main));
    leave_streams();
    if let Some(watching) = &mut watching {
        watching.measure();
    }
    let mut parent = Parent {
        main: Some(main),
        status: None,
        terminal: Terminal::new(main),
        signals,
        watching,
        hold,
        copied: false,
        grace,
        stop: None,
        interrupted_at_terminal: false,
        host,
    };
    let code = parent.stay();
    parent.terminal.take_back();
    Ok(Ended {
        code,
        copied: parent.copied,
        may_have_copied: parent.copied || parent.watching.as_ref().is_some_and(Watching::may_have_missed_it),
        started: true,
        stopped_by: parent.stop.as_ref().map(|stop| signals::name(stop.signal)),
        interrupted_at_terminal: parent.interrupted_at_terminal,
    })
}

/// Closes standard input and output, which only the pipeline uses: when it closes them, the other
/// side must notice.
fn leave_streams() {
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
    }
}

fn ended_by(signal: Signal) -> Ended {
    Ended {
        code: code_of(signal),
        copied: false,
        may_have_copied: false,
        started: false,
        stopped_by: Some(signals::name(signal)),
        interrupted_at_terminal: false,
    }
}

fn code_of(signal: Signal) -> u8 {
    u8::try_from(128 + signal.as_raw()).unwrap_or(u8::MAX)
}

struct Parent<'a> {
    /// The main process, until it is reaped.
    main: Option<Pid>,
    status: Option<WaitStatus>,
    terminal: Terminal,
    signals: Signals,
    /// Set until the end of the copy is detected.
    watching: Option<Watching>,
    /// The tracing, if allowed, until the end of the copy is detected.
    hold: Option<Hold>,
    copied: bool,
    grace: Duration,
    stop: Option<Stop>,
    interrupted_at_terminal: bool,
    host: &'a mut dyn Host,
}

impl Parent<'_> {
    fn stay(&mut self) -> u8 {
        loop {
            self.wait();
            self.look_at_copy();
            while let Some(arrived) = self.signals.next() {
                self.on_signal(arrived);
            }
            self.reap();
            if let Some(code) = self.code() {
                // The pipeline may have ended right after the copy.
                self.look_at_copy();
                return code;
            }
        }
    }

    fn wait(&self) {
        let look = self.stop.as_ref().map(|stop| Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(stop.poll_interval.subsec_nanos()),
        });
        let signals = PollFd::new(&self.signals, PollFlags::IN);
        // If poll fails, the loop checks everything anyway.
        let _ = match &self.watching {
            Some(watching) => {
                let copy = PollFd::from_borrowed_fd(watching.as_fd(), PollFlags::IN);
                poll(&mut [signals, copy], look.as_ref())
            }
            None => poll(&mut [signals], look.as_ref()),
        };
    }

    fn look_at_copy(&mut self) {
        let main = self.main;
        if self
            .watching
            .as_mut()
            .is_some_and(|watching| watching.is_copied(main))
        {
            // The main process is stopped during the switch: on some file systems (FUSE) a rename
            // is not atomic, and a reader may find no link.
            let others = self.hold.as_mut().map(Hold::stop).unwrap_or_default();
            self.host.copied();
            self.copied = true;
            if let Some(hold) = &mut self.hold {
                hold.go_on();
            }
            self.host.before_next_process();
            // The kernel takes 10 ms and more to close an inotify descriptor: not while the pipeline waits.
            let watching = self.watching.take();
            self.let_go();
            drop(watching);
            self.host.after_release();
            self.on_statuses(others);
        }
    }

    /// Stops tracing the main process.
    fn let_go(&mut self) {
        let others = self.hold.take().map(Hold::release).unwrap_or_default();
        self.on_statuses(others);
    }

    fn on_statuses(&mut self, statuses: Vec<(Pid, WaitStatus)>) {
        for (pid, status) in statuses {
            self.on_status(pid, status);
        }
    }

    fn on_signal(&mut self, arrived: ReceivedSignal) {
        let ReceivedSignal { signal, by_kernel } = arrived;
        match signal {
            Signal::CHILD => {}
            _ if signals::stops(signal) => self.on_stop(signal, by_kernel),
            // While the run is being ended, the pipeline is not suspended or resumed.
            Signal::TSTP | Signal::CONT if self.stop.is_some() => {}
            Signal::TSTP => self.terminal.suspend(by_kernel),
            Signal::CONT => self.terminal.resume(),
            Signal::WINCH => self.terminal.signal(signal),
            // The kernel's signals about the parent itself are ignored.
            _ if by_kernel => {}
            _ => {
                if let Some(main) = self.main {
                    let _ = kill_process(main, signal);
                }
            }
        }
    }

    fn on_stop(&mut self, signal: Signal, by_kernel: bool) {
        match (&mut self.stop, self.main) {
            (Some(stop), main) => stop.on_further_signal(signal, main, self.host),
            (None, Some(main)) => {
                self.let_go();
                self.interrupted_at_terminal = by_kernel && signal == Signal::INT;
                self.stop = Some(Stop::begin(signal, self.grace, main, self.host));
            }
            (None, None) => {}
        }
    }

    /// Handles every child that has ended or stopped, own and adopted ones.
    fn reap(&mut self) {
        let options = WaitOptions::NOHANG | WaitOptions::UNTRACED;
        while let Ok(Some((pid, status))) = rustix::process::wait(options) {
            match self.tracing_status(pid, status) {
                Held::Starting => self.on_start(),
                Held::Done => {}
                Held::Other => self.on_status(pid, status),
            }
        }
    }

    /// Returns what a status means for the tracing. The status of a process that was forked just
    /// before the tracing ended may come later.
    fn tracing_status(&mut self, pid: Pid, status: WaitStatus) -> Held {
        match &mut self.hold {
            Some(hold) => hold.on_status(pid, status),
            None if Some(pid) != self.main && status.stopped() => {
                hold::let_go_of_new(pid, status.as_raw() >> 16)
            }
            None => Held::Other,
        }
    }

    /// Handles the main process being stopped before a new process runs. All events of its earlier
    /// actions are in inotify's queue.
    fn on_start(&mut self) {
        self.look_at_copy();
        if let Some(hold) = &mut self.hold {
            hold.go_on();
        }
    }

    fn on_status(&mut self, pid: Pid, status: WaitStatus) {
        if Some(pid) != self.main {
            return;
        }
        if let Some(signal) = status.stopping_signal() {
            // It stays stopped, so it is no longer traced.
            self.let_go();
            if self.stop.is_none() {
                self.terminal.stopped(signal);
            }
        } else {
            self.status = Some(status);
            self.main = None;
            self.hold = None;
            self.terminal.take_back();
        }
    }

    /// Returns the exit code once the run is over.
    fn code(&mut self) -> Option<u8> {
        if let Some(stop) = &mut self.stop {
            return stop.is_over(self.main, self.host).then(|| code_of(stop.signal));
        }
        let status = self.status?;
        let code = child::code(status);
        let by = [Signal::INT, Signal::QUIT]
            .into_iter()
            .find(|signal| code == code_of(*signal));
        match by {
            Some(signal) if self.terminal.was_given() && !processes::descendants(getpid()).is_empty() => {
                self.stop = Some(Stop::after_main(signal, self.grace, self.host));
                None
            }
            _ => Some(code),
        }
    }
}
