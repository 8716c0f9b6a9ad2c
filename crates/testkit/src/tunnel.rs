//! Connections with something between their ends: socat, which can add TLS for a peer that does
//! not speak it, and can break them.

use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::authority::{Authority, Pair};
use crate::family::family;
use crate::ports;
use crate::program::Program;
use crate::wait::wait_for;

/// A tunnel; ends with the value, and its connections with it.
#[derive(Debug)]
pub struct Tunnel {
    address: SocketAddr,
    program: Program,
    /// Removed last.
    _directory: TempDir,
}

impl Tunnel {
    /// Takes connections and carries each to `remote` as it is.
    ///
    /// # Errors
    /// If socat is not installed.
    pub fn plain(remote: SocketAddr) -> Result<Self> {
        let directory = tempfile::tempdir().context("a directory for the tunnel")?;
        Self::run(directory, |port| {
            [
                format!("TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr"),
                format!("TCP:{remote}"),
            ]
        })
    }

    /// Breaks all connections of this moment; new ones are taken.
    pub fn cut(&self) {
        let own = self.program.pid();
        for pid in family(own).into_iter().filter(|pid| *pid != own) {
            if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
                // One that has ended meanwhile is broken, too.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }

    /// Takes plain connections and carries each to `remote` over TLS, where it shows a
    /// certificate. Whose certificate is at the other end is not looked at.
    ///
    /// # Errors
    /// If socat is not installed.
    pub fn towards(remote: SocketAddr, shown: &Pair) -> Result<Self> {
        Self::start(shown, |port, pair| {
            [
                format!("TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr"),
                format!("OPENSSL:{remote},verify=0,{pair}"),
            ]
        })
    }

    /// Takes TLS connections, to whom it shows a certificate, and carries each to `remote`
    /// without.
    ///
    /// # Errors
    /// If socat is not installed.
    pub fn before(remote: SocketAddr, shown: &Pair) -> Result<Self> {
        Self::start(shown, |port, pair| {
            [
                format!("OPENSSL-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr,verify=0,{pair}"),
                format!("TCP:{remote}"),
            ]
        })
    }

    /// As [`before`](Self::before), but only from who shows a certificate of this authority.
    ///
    /// # Errors
    /// If socat is not installed.
    pub fn demanding(remote: SocketAddr, shown: &Pair, of: &Authority) -> Result<Self> {
        let directory = tempfile::tempdir().context("a directory for the tunnel")?;
        shown.write(directory.path())?;
        let path = |name: &str| directory.path().join(name).display().to_string();
        std::fs::write(directory.path().join("clients.pem"), of.certificate())?;
        let (clients, certificate, key) = (
            path("clients.pem"),
            path("certificate.pem"),
            path("key.pem"),
        );
        Self::run(directory, |port| {
            [
                format!(
                    "OPENSSL-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr,verify=1,\
                     cafile={clients},cert={certificate},key={key}"
                ),
                format!("TCP:{remote}"),
            ]
        })
    }

    /// Where it takes connections.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn start(shown: &Pair, ends: impl Fn(u16, &str) -> [String; 2]) -> Result<Self> {
        let directory = tempfile::tempdir().context("a directory for the tunnel")?;
        shown.write(directory.path())?;
        let path = |name: &str| directory.path().join(name).display().to_string();
        let pair = format!("cert={},key={}", path("certificate.pem"), path("key.pem"));
        Self::run(directory, |port| ends(port, &pair))
    }

    fn run(directory: TempDir, ends: impl Fn(u16) -> [String; 2]) -> Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], ports::one()));
        let mut command = Command::new("socat");
        command.args(ends(address.port()));
        let mut program = Program::start("socat", &mut command, directory.path())?;
        let listens = wait_for("the tunnel", || {
            if program.exit_status().is_some() {
                return Some(false);
            }
            TcpStream::connect(address).is_ok().then_some(true)
        });
        if !listens {
            bail!("socat ended:\n{}", program.log_tail());
        }
        Ok(Self {
            address,
            program,
            _directory: directory,
        })
    }
}
