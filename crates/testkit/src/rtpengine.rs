//! A media server of the field: rtpengine in user space, controlled by `ng` over UDP.

use std::net::UdpSocket;
use std::ops::RangeInclusive;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::program::Program;
use crate::{ports, request, wait_for};

/// A running rtpengine; ends with the value.
#[derive(Debug)]
pub struct Rtpengine {
    control: u16,
    media: (u16, u16),
    program: Program,
    directory: TempDir,
}

impl Rtpengine {
    /// Starts it with ports for 25 calls at least, and waits until it answers.
    ///
    /// # Errors
    /// If it is not installed.
    pub fn start() -> Result<Self> {
        Self::with_ports(100)
    }

    /// The same with as many ports for media: each call takes four.
    ///
    /// # Errors
    /// If it is not installed.
    pub fn with_ports(count: u16) -> Result<Self> {
        let control = ports::one();
        let first = ports::run_of(count);
        let media = (first, first + count - 1);
        let directory = tempfile::tempdir().context("making a directory")?;
        let program = launch(control, media, &directory)?;
        Ok(Self {
            control,
            media,
            program,
            directory,
        })
    }

    /// Where it is controlled, as a record of the platform says it.
    #[must_use]
    pub fn control(&self) -> String {
        format!("udp:127.0.0.1:{}", self.control)
    }

    /// The ports it relays media on.
    #[must_use]
    pub fn media_ports(&self) -> RangeInclusive<u16> {
        self.media.0..=self.media.1
    }

    /// Crashes it.
    pub fn kill_9(&mut self) {
        self.program.kill_9();
    }

    /// Stops its process without ending it, as if it hung.
    ///
    /// # Errors
    /// If there is no `kill`.
    #[track_caller]
    pub fn freeze(&self) -> Result<()> {
        self.program.hang()
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// If there is no `kill`.
    pub fn thaw(&self) -> Result<()> {
        self.signal("-CONT")
    }

    /// Starts it again on the same ports, without its sessions.
    ///
    /// # Errors
    /// If it does not start.
    pub fn restart(&mut self) -> Result<()> {
        self.program.kill_9();
        self.program = launch(self.control, self.media, &self.directory)?;
        Ok(())
    }

    /// How many sessions it has.
    #[must_use]
    pub fn sessions(&self) -> Option<usize> {
        let answer = ask(self.control, "d7:command4:list5:limiti10000ee")?;
        let calls = answer.split_once("5:callsl")?.1;
        // Each name in the list is preceded by its length and a colon.
        let names = calls
            .split_once("e6:result")
            .map_or(calls, |(names, _)| names);
        Some(names.matches(':').count())
    }

    /// Asks it over UDP in JSON; what it answers.
    ///
    /// # Panics
    /// If it does not answer.
    #[track_caller]
    #[must_use]
    pub fn ask(&self, request: &Value) -> Value {
        let answer = wait_for("an answer of rtpengine", || {
            ask(self.control, &request.to_string())
        });
        serde_json::from_str(&answer).expect("JSON")
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let pid = self.program.pid().to_string();
        let done = Command::new("kill").args([signal, &pid]).status();
        done.context("sending a signal")?;
        Ok(())
    }
}

fn launch(control: u16, media: (u16, u16), directory: &TempDir) -> Result<Program> {
    let mut command = Command::new("rtpengine");
    command.args(OPTIONS);
    command.arg(format!("--listen-ng=127.0.0.1:{control}"));
    command.arg(format!("--listen-cli=127.0.0.1:{}", ports::one()));
    command.arg(format!("--port-min={}", media.0));
    command.arg(format!("--port-max={}", media.1));
    let pid = directory.path().join("pid");
    command.arg(format!("--pidfile={}", pid.display()));
    let program = Program::start("rtpengine", &mut command, directory.path())?;
    wait_for("an answer of rtpengine", || {
        ask(control, "d7:command4:pinge")
    });
    Ok(program)
}

/// Gives a bencoded command and hands over the answer.
fn ask(control: u16, dictionary: &str) -> Option<String> {
    let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
    socket.connect(("127.0.0.1", control)).ok()?;
    socket.set_read_timeout(Some(ANSWER_TIME)).ok()?;
    // A cookie of its own: the answer to one that is known is repeated.
    let cookie = format!("testkit-{} ", request::next_number());
    socket
        .send(format!("{cookie}{dictionary}").as_bytes())
        .ok()?;
    let mut buffer = vec![0; 65_536];
    let size = socket.recv(&mut buffer).ok()?;
    let text = String::from_utf8_lossy(&buffer[..size]);
    text.strip_prefix(&cookie).map(str::to_owned)
}

// Without the configuration of the machine, which names ports of its own.
const OPTIONS: [&str; 7] = [
    "--config-file=none",
    "--foreground",
    "--log-stderr",
    "--log-level=5",
    "--table=-1",
    "--interface=127.0.0.1",
    "--num-threads=2",
];

const ANSWER_TIME: Duration = Duration::from_millis(200);
