//! A program under test or beside it: started, logged, and ended with its value.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::family::family;
use crate::wait::wait_for_within;

/// A running program. Killed when dropped; when a test panics, the end of its log is shown.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts it with standard output and error going to `NAME.log` in `directory`.
    ///
    /// # Errors
    /// If it cannot be started, for example because it is not installed.
    pub fn start(name: &str, command: &mut Command, directory: &Path) -> Result<Self> {
        Self::start_fed(name, command.stdin(Stdio::null()), directory)
    }

    /// The same, with standard input as the command says.
    ///
    /// # Errors
    /// As [`Program::start`].
    pub fn start_fed(name: &str, command: &mut Command, directory: &Path) -> Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let out = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .context("opening the log")?;
        let err = out.try_clone().context("sharing the log")?;
        let child =
            command.stdout(out).stderr(err).spawn().with_context(|| {
                format!("starting {name} ({})", command.get_program().display())
            })?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// What it reads from, if that was piped and not taken yet.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All it has printed.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The last lines it has printed.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    /// How it ended; `None` while it runs.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it does not end with success.
    ///
    /// # Panics
    /// If it does not end in time.
    #[track_caller]
    pub fn finish(&mut self, patience: Duration) -> Result<()> {
        let what = format!("the end of {}", self.name);
        let status = wait_for_within(patience, &what, || self.exit_status());
        if !status.success() {
            bail!("{} ended with {status}:\n{}", self.name, self.log_tail());
        }
        Ok(())
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// If it does not end with success.
    #[track_caller]
    pub fn terminate(&mut self) -> Result<()> {
        let pid = self.pid().to_string();
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .context("sending SIGTERM")?;
        self.finish(crate::PATIENCE)
    }

    /// Has it do nothing any more until [`Program::go_on`] (SIGSTOP).
    ///
    /// # Errors
    /// If it is not there.
    #[track_caller]
    pub fn hang(&self) -> Result<()> {
        self.signal("-STOP")?;
        // One of its threads gets the signal, and the others run on until that one has had its turn.
        crate::wait_for("all its threads to stop", || {
            self.is_stopped().then_some(())
        });
        Ok(())
    }

    /// Whether none of its threads does anything (proc_pid_stat(5), the field after the name).
    fn is_stopped(&self) -> bool {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid()));
        tasks.is_ok_and(|mut tasks| {
            tasks.all(|task| {
                let stat = task.map(|task| task.path().join("stat"));
                let text = stat.and_then(std::fs::read_to_string).unwrap_or_default();
                let state = text.rsplit_once(") ");
                state.is_some_and(|(_, state)| state.starts_with('T'))
            })
        })
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// If it is not there.
    pub fn go_on(&self) -> Result<()> {
        self.signal("-CONT")
    }

    /// Has its thread of this name do nothing any more, while all others go on, until what comes back
    /// is dropped (ptrace(2), by python3: root may).
    ///
    /// # Errors
    /// If there is no such thread, or it cannot be stopped.
    pub fn hang_thread(&self, name: &str) -> Result<HungThread> {
        let tasks = format!("/proc/{}/task", self.pid());
        let is_it = |task: &PathBuf| {
            std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim_end() == name)
        };
        let tasks = std::fs::read_dir(&tasks).context("looking at its threads")?;
        let found = tasks.flatten().map(|task| task.path()).find(is_it);
        let found = found.with_context(|| format!("{} has no thread {name}", self.name))?;
        let id = found.file_name().context("a thread without a number")?;
        let mut tracer = Command::new("python3");
        tracer.args(["-c", STOP_THREAD]).arg(id);
        let mut tracer = tracer.stdout(Stdio::piped()).spawn().context("python3")?;
        let mut told = [0; 2];
        let output = tracer.stdout.as_mut().context("its output")?;
        let is_stopped = output.read_exact(&mut told).is_ok() && told == *b"ok";
        let hung = HungThread(tracer);
        if !is_stopped {
            bail!("the thread {name} of {} cannot be stopped", self.name);
        }
        Ok(hung)
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status();
        if !sent.context("sending a signal")?.success() {
            bail!("{} takes no {signal}", self.name);
        }
        Ok(())
    }

    /// Ends it at once (SIGKILL), as a crash would, and what it has started with it: nobody
    /// else would end that.
    pub fn kill_9(&mut self) {
        if self.exit_status().is_none() {
            let family = family(self.pid());
            let ids = family.iter().skip(1).map(u32::to_string);
            let mut kill = Command::new("kill");
            kill.arg("-KILL").args(ids).stderr(Stdio::null());
            if family.len() > 1 {
                // Fails only for those that have ended already.
                let _ = kill.status();
            }
        }
        // Fails only if it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill_9();
        if std::thread::panicking() {
            eprintln!(
                "--- the end of {}'s log\n{}\n---",
                self.name,
                self.log_tail()
            );
        }
    }
}

/// A thread that does nothing; goes on when this is dropped.
#[derive(Debug)]
pub struct HungThread(Child);

impl Drop for HungThread {
    fn drop(&mut self) {
        // What it holds goes on when it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Stops a thread for as long as it runs: `PTRACE_SEIZE` and `PTRACE_INTERRUPT`.
const STOP_THREAD: &str = "\
import ctypes, os, sys, time
trace = ctypes.CDLL(None, use_errno=True).ptrace
thread = int(sys.argv[1])
if trace(0x4206, thread, 0, 0) or trace(0x4207, thread, 0, 0):
    sys.exit(os.strerror(ctypes.get_errno()))
os.waitpid(thread, 0x40000000)
sys.stdout.write('ok')
sys.stdout.flush()
time.sleep(600)
";
const TAIL_LINES: usize = 60;
