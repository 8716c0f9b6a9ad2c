//! Pebble: a small authority that speaks ACME (RFC 8555), made for tests by those who run a large one.

use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::json;
use tempfile::TempDir;

use crate::authority::Authority;
use crate::ports;
use crate::program::Program;
use crate::wait::wait_for;

/// A running authority; ends with the value, and forgets all accounts.
#[derive(Debug)]
pub struct Pebble {
    program: Program,
    port: u16,
    authority: Authority,
    /// Removed last.
    _directory: TempDir,
}

impl Pebble {
    /// One that comes to this port of each name it is asked for, and issues certificates that are
    /// valid for so long, in seconds.
    ///
    /// # Errors
    /// If it is not installed or does not start.
    pub fn start(challenge_port: u16, valid_s: u64) -> Result<Self> {
        Self::start_with(challenge_port, valid_s, None)
    }

    /// One that asks this name server for all names, and issues certificates that are valid for so long,
    /// in seconds.
    ///
    /// # Errors
    /// As [`Pebble::start`].
    pub fn asking(name_server: SocketAddr, valid_s: u64) -> Result<Self> {
        Self::start_with(ports::one(), valid_s, Some(name_server))
    }

    fn start_with(
        challenge_port: u16,
        valid_s: u64,
        name_server: Option<SocketAddr>,
    ) -> Result<Self> {
        let directory = tempfile::tempdir().context("a directory for Pebble")?;
        let (port, management) = (ports::one(), ports::one());
        let authority = Authority::new("of the authority's own servers")?;
        let pair = authority.issue(&["localhost", "127.0.0.1"])?;
        pair.write(directory.path())?;
        let file = |name| directory.path().join(name).display().to_string();
        let config = json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": file("certificate.pem"),
            "privateKey": file("key.pem"),
            "httpPort": challenge_port,
            // Nobody listens there.
            "tlsPort": 1,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "certificateValidityPeriod": valid_s,
        }});
        std::fs::write(file("config.json"), config.to_string())?;
        let mut command = Command::new("pebble");
        command
            .args(["-strict", "-config", &file("config.json")])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_AUTHZREUSE", "0");
        if let Some(name_server) = name_server {
            command.args(["-dnsserver", &name_server.to_string()]);
        }
        let mut program = Program::start("pebble", &mut command, directory.path())?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let listens = wait_for("Pebble", || {
            if program.exit_status().is_some() {
                return Some(false);
            }
            TcpStream::connect(address).ok().map(|_| true)
        });
        if !listens {
            bail!("Pebble ended:\n{}", program.log_tail());
        }
        Ok(Self {
            program,
            port,
            authority,
            _directory: directory,
        })
    }

    /// Where a client begins.
    #[must_use]
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.port)
    }

    /// The authority that its own servers are to be believed by, in PEM.
    #[must_use]
    pub fn authority(&self) -> String {
        self.authority.certificate()
    }

    /// What it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.program.log()
    }
}
