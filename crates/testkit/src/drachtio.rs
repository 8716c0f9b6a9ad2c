//! drachtio's own client of `ng`, `rtpengine-client` from npm, driven by a test (`tests/drachtio`).

use std::io::Write as _;
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::media_server::MediaServer;
use crate::npm;
use crate::program::Program;
use crate::wait::wait_for_within;

/// Which of its clients asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrachtioClient {
    /// `Client`: datagrams.
    Udp,
    /// `TcpClient`: a stream.
    Tcp,
    /// `WsClient`: a WebSocket.
    WebSocket,
}

/// An application with that client; ends with the value.
#[derive(Debug)]
pub struct Drachtio {
    program: Program,
    requests: ChildStdin,
    /// The number of the last request.
    asked: u64,
    /// Removed last.
    _directory: TempDir,
}

impl Drachtio {
    /// Starts it as a client of this media server.
    ///
    /// # Errors
    /// If npm cannot bring the client, or it does not start.
    ///
    /// # Panics
    /// If it is not ready in time.
    #[track_caller]
    pub fn start(client: DrachtioClient, server: &MediaServer) -> Result<Self> {
        let home = npm::prepare("drachtio")?;
        let directory = tempfile::tempdir().context("a directory for the client")?;
        let (transport, address) = match client {
            DrachtioClient::Udp => ("udp", server.udp()),
            DrachtioClient::Tcp => ("tcp", server.tcp()),
            DrachtioClient::WebSocket => ("ws", server.http()),
        };
        let mut command = Command::new("node");
        command
            .arg(home.join(SCRIPT))
            .args([transport, &address.ip().to_string()])
            .arg(address.port().to_string())
            .stdin(Stdio::piped());
        let mut program = Program::start_fed("drachtio", &mut command, directory.path())?;
        let requests = program.take_stdin().context("its standard input")?;
        let mut started = Self {
            program,
            requests,
            asked: 0,
            _directory: directory,
        };
        started.wait_for("drachtio's client", |event| event["kind"] == "ready")?;
        Ok(started)
    }

    /// Has it call one of its methods (`offer`, `blockMedia`); what that promises.
    ///
    /// # Errors
    /// If the promise is broken.
    ///
    /// # Panics
    /// If nothing comes of it in time.
    #[track_caller]
    pub fn ask(&mut self, method: &str, options: &Value) -> Result<Value> {
        self.asked += 1;
        let number = self.asked;
        let request = json!({ "number": number, "verb": method, "options": options });
        writeln!(self.requests, "{request}").context("asking drachtio's client")?;
        let mut event = self.wait_for(method, |event| event["number"] == number)?;
        if let Some(failure) = event["failure"].as_str() {
            bail!("{method}: {failure}");
        }
        Ok(event["reply"].take())
    }

    #[track_caller]
    fn wait_for(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let program = &mut self.program;
        let event = wait_for_within(CLIENT_PATIENCE, what, || {
            let log = program.log();
            let whole = log.rfind('\n').map_or("", |end| &log[..end]);
            // The client itself prints lines of other kinds.
            let mut events = whole
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let found = events.find(&wanted);
            match (found, program.exit_status()) {
                (Some(event), _) => Some(Some(event)),
                (None, Some(_)) => Some(None),
                (None, None) => None,
            }
        });
        event.with_context(|| format!("drachtio's client ended:\n{}", program.log_tail()))
    }
}

const SCRIPT: &str = "client.cjs";
/// Node is slow to start beside other tests.
const CLIENT_PATIENCE: Duration = Duration::from_secs(60);
