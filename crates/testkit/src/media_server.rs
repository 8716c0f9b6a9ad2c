//! The media server under test: `tandem media` as a process of its own.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::program::Program;
use crate::wait::wait_for;
use crate::{PATIENCE, ports, request};

/// What a media server keeps in its directory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeps {
    Recordings,
    Nothing,
}

/// A running media server; ends with the value.
#[derive(Debug)]
pub struct MediaServer {
    program: Program,
    udp: SocketAddr,
    tcp: SocketAddr,
    http: SocketAddr,
    media: RangeInclusive<u16>,
    directory: TempDir,
}

impl MediaServer {
    /// Starts the program at `binary` on this machine's loopback, with further arguments.
    ///
    /// # Errors
    /// If it cannot be started or ends at once.
    pub fn start(binary: impl AsRef<Path>, arguments: &[&str]) -> Result<Self> {
        Self::launch(
            Ipv4Addr::LOCALHOST,
            binary.as_ref(),
            RTP_PORT_COUNT,
            Keeps::Recordings,
            arguments,
        )
    }

    /// The same with no place for recordings.
    ///
    /// # Errors
    /// As [`MediaServer::start`].
    pub fn without_recordings(binary: impl AsRef<Path>) -> Result<Self> {
        Self::launch(
            Ipv4Addr::LOCALHOST,
            binary.as_ref(),
            RTP_PORT_COUNT,
            Keeps::Nothing,
            &[],
        )
    }

    /// The same with as many ports for media: each call takes four.
    ///
    /// # Errors
    /// As [`MediaServer::start`].
    pub fn with_ports(binary: impl AsRef<Path>, count: u16, arguments: &[&str]) -> Result<Self> {
        let binary = binary.as_ref();
        Self::launch(
            Ipv4Addr::LOCALHOST,
            binary,
            count,
            Keeps::Recordings,
            arguments,
        )
    }

    /// The same at another address.
    ///
    /// # Errors
    /// As [`MediaServer::start`].
    pub fn start_at(
        address: Ipv4Addr,
        binary: impl AsRef<Path>,
        arguments: &[&str],
    ) -> Result<Self> {
        let binary = binary.as_ref();
        Self::launch(
            address,
            binary,
            RTP_PORT_COUNT,
            Keeps::Recordings,
            arguments,
        )
    }

    fn launch(
        address: Ipv4Addr,
        binary: &Path,
        count: u16,
        keeps: Keeps,
        arguments: &[&str],
    ) -> Result<Self> {
        let directory = tempfile::tempdir().context("making a directory")?;
        let first = ports::run_of(count + 1).next_multiple_of(2);
        let media = first..=first + count - 1;
        let mut command = Command::new(binary);
        command
            .args(["media", "--json", "--ng-udp"])
            .arg(format!("{address}:0"))
            .args(["--ng-tcp", "127.0.0.1:0", "--ng-http", "127.0.0.1:0"])
            .arg("--rtp")
            .arg(address.to_string())
            .arg("--rtp-ports")
            .arg(format!("{}-{}", media.start(), media.end()))
            .args(arguments);
        if keeps == Keeps::Recordings && !arguments.contains(&"--recordings") {
            let recordings = directory.path().join(RECORDINGS);
            command.arg("--recordings").arg(recordings);
        }
        let mut program = Program::start("tandem-media", &mut command, directory.path())?;
        let ready = wait_for("the media server's ready line", || {
            if program.exit_status().is_some() {
                return Some(None);
            }
            let log = program.log();
            let mut lines = log.lines().filter(|line| line.starts_with('{'));
            lines
                .find_map(|line| serde_json::from_str::<Value>(line).ok())
                .map(Some)
        });
        let Some(ready) = ready else {
            bail!("the media server ended:\n{}", program.log_tail());
        };
        let address = |key: &str| -> Result<SocketAddr> {
            let text = ready[key][0].as_str().context("an address")?;
            text.parse().context("an address")
        };
        Ok(Self {
            udp: address("udp")?,
            tcp: address("tcp")?,
            http: address("http")?,
            media,
            program,
            directory,
        })
    }

    /// Where it takes requests over UDP.
    #[must_use]
    pub fn udp(&self) -> SocketAddr {
        self.udp
    }

    /// Where it takes requests over TCP.
    #[must_use]
    pub fn tcp(&self) -> SocketAddr {
        self.tcp
    }

    /// Where it takes requests over HTTP and WebSocket.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where it is controlled, as a record of the platform says it.
    #[must_use]
    pub fn control(&self) -> String {
        format!("udp:{}", self.udp)
    }

    /// The ports it relays media on.
    #[must_use]
    pub fn media_ports(&self) -> RangeInclusive<u16> {
        self.media.clone()
    }

    /// How many sessions it has.
    #[must_use]
    pub fn sessions(&self) -> usize {
        usize::try_from(self.metric("tandem_media_sessions")).unwrap_or(usize::MAX)
    }

    /// Crashes it.
    pub fn kill_9(&mut self) {
        self.program.kill_9();
    }

    /// A folder of its own.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The folder of its recordings.
    #[must_use]
    pub fn recordings(&self) -> PathBuf {
        self.directory.path().join(RECORDINGS)
    }

    /// Its process.
    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Asks it over UDP in JSON; what it answers.
    ///
    /// # Panics
    /// If it does not answer.
    #[track_caller]
    #[must_use]
    pub fn ask(&self, request: &Value) -> Value {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(self.udp).expect("an address");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time");
        // A cookie of its own: the answer to one that is known is repeated.
        let message = format!("c{} {request}", request::next_number());
        socket.send(message.as_bytes()).expect("sent");
        let mut buffer = vec![0; 65_535];
        let length = socket.recv(&mut buffer).expect("an answer");
        let at = buffer
            .iter()
            .position(|byte| *byte == b' ')
            .expect("a cookie");
        serde_json::from_slice(&buffer[at + 1..length]).expect("JSON")
    }

    /// The value of one of its metrics.
    ///
    /// # Panics
    /// If there is no such metric.
    #[track_caller]
    #[must_use]
    pub fn metric(&self, name: &str) -> u64 {
        let url = format!("http://{}/metrics", self.http);
        let text = ureq::get(&url)
            .config()
            .timeout_global(Some(Duration::from_secs(10)))
            .build()
            .call()
            .and_then(|mut response| response.body_mut().read_to_string())
            .expect("metrics");
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.expect("the metric").parse().expect("a number")
    }
}

const RECORDINGS: &str = "recordings";
/// Enough for some dozens of calls: each takes four.
const RTP_PORT_COUNT: u16 = 260;
