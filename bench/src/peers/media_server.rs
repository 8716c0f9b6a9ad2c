//! Our media server as a process of its own.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;
use testkit::{Program, ports};

use crate::peers::SERVER_CPU;
use crate::peers::ng::NgClient;

/// A running `tandem media`; ends with the value.
pub(crate) struct MediaServer {
    program: Program,
    client: NgClient,
    _directory: TempDir,
}

impl MediaServer {
    /// Starts it on the server's processor.
    pub(crate) fn start() -> Result<Self> {
        let binary = std::env::current_exe().context("finding this program")?;
        let binary = binary.parent().unwrap_or(Path::new(".")).join("tandem");
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, ports::one());
        let directory = tempfile::tempdir().context("making a directory")?;
        let mut command = Command::new("taskset");
        command.args(["-c", SERVER_CPU]).arg(binary);
        command.args(["media", "--log-level", "error", "--rtp", "127.0.0.1"]);
        command.args(["--rtp-ports", RTP_PORTS]);
        command.arg(format!("--ng-udp={address}"));
        let program = Program::start("tandem-media", &mut command, directory.path())?;
        Ok(Self {
            program,
            client: NgClient::connect(address.into())?,
            _directory: directory,
        })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.program.pid()
    }

    /// The way to ask it.
    pub(crate) fn client(&mut self) -> &mut NgClient {
        &mut self.client
    }
}

const RTP_PORTS: &str = "40000-49999";
