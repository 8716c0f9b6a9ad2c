//! A real Redis server in a directory of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::ports;
use crate::program::Program;
use crate::wait::wait_for;

/// A Redis server that keeps nothing on disk. It may be away for a while, and comes back empty.
#[derive(Debug)]
pub struct RedisServer {
    /// `None` while it is away.
    program: Option<Program>,
    port: u16,
    directory: TempDir,
}

impl RedisServer {
    /// One that runs.
    ///
    /// # Errors
    /// If it is not installed or does not start.
    pub fn start() -> Result<Self> {
        let mut server = Self {
            program: None,
            port: ports::one(),
            directory: tempfile::tempdir().context("making a directory")?,
        };
        server.come()?;
        Ok(server)
    }

    /// Starts it, where it was before and with nothing in it.
    ///
    /// # Errors
    /// If it does not start.
    pub fn come(&mut self) -> Result<()> {
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(self.directory.path());
        let mut program = Program::start("redis", &mut command, self.directory.path())?;
        let answers = wait_for("Redis", || {
            if program.exit_status().is_some() {
                return Some(false);
            }
            (self.ask("PING").ok()? == "+PONG").then_some(true)
        });
        if !answers {
            bail!("Redis ended:\n{}", program.log_tail());
        }
        self.program = Some(program);
        Ok(())
    }

    /// Kills it.
    pub fn go(&mut self) {
        self.program = None;
    }

    /// Where it takes connections.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// It, as programs are told of it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Sends a command; the first line of what it answers.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn ask(&self, command: &str) -> Result<String> {
        let mut stream = TcpStream::connect(self.address()).context("connecting to Redis")?;
        stream.write_all(format!("{command}\r\n").as_bytes())?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}
