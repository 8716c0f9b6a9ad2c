//! Scripted peers: sipp with the scenarios of `tests/sipp`.
//!
//! A scenario is a file of sipp's with words in it (`@STATUS@`) that a test fills in.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::program::Program;
use crate::wait::wait_for_within;
use crate::{audio, ports};

/// A run of a scenario: options first, then [`Self::start`] (a server) or [`Self::run`].
#[derive(Debug)]
pub struct Sipp {
    scenario: String,
    words: Vec<(String, String)>,
    arguments: Vec<String>,
    port: u16,
    calls: u32,
    patience: Duration,
    directory: TempDir,
    program: Option<Program>,
}

/// How the calls of a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SippCounts {
    /// Calls that went through the whole scenario.
    pub succeeded: u64,
    /// Calls that did not.
    pub failed: u64,
    /// Requests and responses sent again.
    pub retransmissions: u64,
}

impl Sipp {
    /// The scenario `tests/sipp/NAME.xml`, for one call, on a port of its own.
    ///
    /// # Errors
    /// If there is no directory to be had.
    pub fn new(name: &str) -> Result<Self> {
        let directory = tempfile::tempdir().context("making a directory")?;
        // The tone scenarios play: raw A-law, found in the working directory.
        let tone = audio::tone(f64::from(SIPP_TONE_HZ), 1.0);
        audio::write_alaw(&directory.path().join("tone.al"), &tone)?;
        let media = ports::run_of(MEDIA_PORT_COUNT);
        let sipp = Self {
            scenario: name.to_owned(),
            words: DEFAULTS
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            arguments: Vec::new(),
            port: ports::one(),
            calls: 1,
            patience: Duration::from_secs(60),
            directory,
            program: None,
        };
        Ok(sipp
            .argument("-mi", "127.0.0.1")
            .argument("-mp", &media.to_string()))
    }

    /// How many calls it makes or takes before it ends, at `rate` per second, at most
    /// `at_once` at a time.
    #[must_use]
    pub fn calls(mut self, calls: u32, rate: u32, at_once: u32) -> Self {
        self.calls = calls;
        self.argument("-r", &rate.to_string())
            .argument("-l", &at_once.to_string())
    }

    /// The user it calls, `[service]` in a scenario.
    #[must_use]
    pub fn service(self, user: &str) -> Self {
        self.argument("-s", user)
    }

    /// The name and password it answers a challenge with.
    #[must_use]
    pub fn credentials(self, username: &str, password: &str) -> Self {
        self.argument("-au", username).argument("-ap", password)
    }

    /// What stands for `@NAME@` in the scenario.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.words.retain(|(known, _)| known != name);
        self.words.push((name.to_owned(), value.to_owned()));
        self
    }

    /// One more header line, where the scenario has `@EXTRA@`.
    #[must_use]
    pub fn header(self, line: &str) -> Self {
        self.set("EXTRA", &format!("      {line}\n"))
    }

    /// Speaks TCP, one connection for all calls.
    #[must_use]
    pub fn over_tcp(self) -> Self {
        self.argument("-t", "t1")
    }

    /// Sends back the audio it gets.
    #[must_use]
    pub fn echo(mut self) -> Self {
        self.arguments.push("-rtp_echo".to_owned());
        self
    }

    /// How long the whole run may take; a minute if not said.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// One more option of sipp with its value.
    #[must_use]
    pub fn argument(mut self, name: &str, value: &str) -> Self {
        self.arguments.extend([name, value].map(str::to_owned));
        self
    }

    /// One more option of sipp without a value.
    #[must_use]
    pub fn flag(mut self, name: &str) -> Self {
        self.arguments.push(name.to_owned());
        self
    }

    /// What it has written into a file of this name until now.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        let bytes = std::fs::read(self.directory.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Where it listens, or sends from.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Starts it as a server and waits until it listens.
    ///
    /// # Errors
    /// If sipp is not installed or does not start.
    pub fn start(mut self) -> Result<Self> {
        self.launch(None)?;
        self.wait_until_listening()?;
        Ok(self)
    }

    /// Starts it as a client of `remote` and leaves it running.
    ///
    /// # Errors
    /// If sipp is not installed.
    pub fn start_towards(mut self, remote: SocketAddr) -> Result<Self> {
        self.launch(Some(remote))?;
        Ok(self)
    }

    /// Runs it to its end as a client of `remote`; every call must go through the scenario.
    ///
    /// # Errors
    /// If one does not; the error holds what sipp says about it.
    #[track_caller]
    pub fn run(mut self, remote: SocketAddr) -> Result<SippCounts> {
        self.launch(Some(remote))?;
        self.finish()
    }

    /// Waits until a started run has had all its calls.
    ///
    /// # Errors
    /// If one of them failed.
    #[track_caller]
    pub fn finish(mut self) -> Result<SippCounts> {
        let mut program = self.program.take().context("it was not started")?;
        let status = wait_for_within(self.patience, "the end of sipp", || program.exit_status());
        let counts = self.counts();
        if !status.success() || counts.failed > 0 {
            bail!(
                "{}: sipp ended with {status}, {counts:?}\n{}\n{}",
                self.scenario,
                self.errors(),
                program.log_tail(),
            );
        }
        Ok(counts)
    }

    /// How the calls have ended until now (written every second, and at the end).
    #[must_use]
    pub fn counts(&self) -> SippCounts {
        let text = std::fs::read_to_string(self.statistics()).unwrap_or_default();
        let mut lines = text.lines();
        let names = lines.next().unwrap_or_default().split(';');
        let values = lines.next_back().unwrap_or_default().split(';');
        let row: HashMap<&str, &str> = names.zip(values).collect();
        let number = |name| {
            row.get(name)
                .and_then(|value| value.parse().ok())
                .unwrap_or(0)
        };
        SippCounts {
            succeeded: number("SuccessfulCall(C)"),
            failed: number("FailedCall(C)"),
            retransmissions: number("Retransmissions(C)"),
        }
    }

    /// What it complained of.
    #[must_use]
    pub fn errors(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("errors")).unwrap_or_default()
    }

    fn launch(&mut self, remote: Option<SocketAddr>) -> Result<()> {
        let mut command = Command::new("sipp");
        command
            .current_dir(self.directory.path())
            .arg("-sf")
            .arg(self.write_scenario()?);
        command.args(["-nostdin", "-i", "127.0.0.1", "-p", &self.port.to_string()]);
        command.args(["-m", &self.calls.to_string()]);
        command.args([
            "-trace_err",
            "-error_file",
            "errors",
            "-error_overwrite",
            "1",
        ]);
        command
            .args(["-trace_stat", "-fd", "1", "-stf"])
            .arg(self.statistics());
        command.args(&self.arguments);
        if let Some(remote) = remote {
            command.arg(remote.to_string());
        }
        self.program = Some(Program::start("sipp", &mut command, self.directory.path())?);
        Ok(())
    }

    /// Fills in the words; `tests/sipp` holds the scenarios.
    fn write_scenario(&self) -> Result<PathBuf> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let source = root
            .join("tests/sipp")
            .join(&self.scenario)
            .with_extension("xml");
        let mut text = std::fs::read_to_string(&source)
            .with_context(|| format!("reading {}", source.display()))?;
        for (name, value) in &self.words {
            text = text.replace(&format!("@{name}@"), value);
        }
        let path = self.directory.path().join("scenario.xml");
        std::fs::write(&path, text).context("writing the scenario")?;
        Ok(path)
    }

    fn wait_until_listening(&mut self) -> Result<()> {
        let port = self.port;
        let ended = crate::wait_for("sipp to listen", || {
            let status = self.program.as_mut().and_then(Program::exit_status);
            if status.is_some() {
                return Some(status);
            }
            let udp_taken = std::net::UdpSocket::bind(("127.0.0.1", port)).is_err();
            let tcp_taken = std::net::TcpListener::bind(("127.0.0.1", port)).is_err();
            (udp_taken || tcp_taken).then_some(None)
        });
        if let Some(status) = ended {
            bail!("sipp ended with {status}:\n{}", self.errors());
        }
        Ok(())
    }

    fn statistics(&self) -> PathBuf {
        self.directory.path().join("statistics.csv")
    }
}

/// The frequency of `tone.al`, which scenarios play.
pub const SIPP_TONE_HZ: u32 = 600;

/// What stands for the words of a scenario that nobody sets.
const DEFAULTS: [(&str, &str); 8] = [
    ("FROM", "sipp"),
    ("DOMAIN", "127.0.0.1"),
    ("TALK_MS", "500"),
    ("RING_MS", "200"),
    ("WAIT_MS", "20000"),
    ("CHALLENGE", "407"),
    ("STATUS", "486"),
    ("EXTRA", ""),
];

const MEDIA_PORT_COUNT: u16 = 60;
