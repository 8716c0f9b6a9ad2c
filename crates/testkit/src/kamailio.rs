//! A registrar and proxy of the field: Kamailio, as a peer to compare with, and to prove that
//! the drivers of this crate work.

use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::program::Program;
use crate::{Peer, ports};

/// A running Kamailio: a registrar with one password for everybody, which routes calls to
/// registered contacts. Ends with the value.
#[derive(Debug)]
pub struct Kamailio {
    address: SocketAddr,
    _program: Program,
    directory: TempDir,
}

impl Kamailio {
    /// Starts it for users of `domain`, all with this password.
    ///
    /// # Errors
    /// If it is not installed or does not start.
    pub fn registrar(domain: &str, password: &str) -> Result<Self> {
        let template = include_str!("kamailio/registrar.cfg");
        Self::start(
            &template
                .replace("@DOMAIN@", domain)
                .replace("@PASSWORD@", password),
        )
    }

    /// Starts it for users of `domain`, registered without a password, with its rtpengine module:
    /// all media of its calls goes through the server that takes `ng` requests at this address.
    /// `flags` are those of the module's functions.
    ///
    /// # Errors
    /// If it is not installed or does not start.
    pub fn with_media_server(domain: &str, ng: SocketAddr, flags: &str) -> Result<Self> {
        let template = include_str!("kamailio/media.cfg");
        Self::start(
            &template
                .replace("@DOMAIN@", domain)
                .replace("@NG@", &ng.to_string())
                .replace("@FLAGS@", flags),
        )
    }

    /// Starts it as a proxy that sends all requests on to an address, and tells a collector of all
    /// messages by HEP, as agent 77, with its `siptrace` module.
    ///
    /// # Errors
    /// If it is not installed or does not start.
    pub fn traced(next: SocketAddr, collector: SocketAddr) -> Result<Self> {
        Self::tracing(next, &collector.to_string())
    }

    /// The same over TCP.
    ///
    /// # Errors
    /// As [`Self::traced`].
    pub fn traced_over_tcp(next: SocketAddr, collector: SocketAddr) -> Result<Self> {
        Self::tracing(next, &format!("{collector};transport=tcp"))
    }

    fn tracing(next: SocketAddr, collector: &str) -> Result<Self> {
        let template = include_str!("kamailio/traced.cfg");
        Self::start(
            &template
                .replace("@NEXT@", &next.to_string())
                .replace("@COLLECTOR@", collector),
        )
    }

    /// The contacts that a registrar has of all its users.
    ///
    /// # Errors
    /// If it does not say.
    pub fn contacts(&self) -> Result<Vec<String>> {
        let socket = format!("unix:{}", self.directory.path().join("ctl").display());
        let output = Command::new("kamcmd")
            .args(["-s", &socket, "ul.dump"])
            .output()
            .context("starting kamcmd")?;
        if !output.status.success() {
            bail!("kamcmd: {}", String::from_utf8_lossy(&output.stderr));
        }
        let text = String::from_utf8(output.stdout).context("what kamcmd printed")?;
        let lines = text.lines().map(str::trim);
        let addresses = lines.filter_map(|line| line.strip_prefix("Address: "));
        Ok(addresses.map(str::to_owned).collect())
    }

    /// Starts it as a collector of HEP, with its `sipcapture` module, which writes SIP messages and
    /// RTCP by itself: see [`Self::captured`].
    ///
    /// # Errors
    /// If it, its SQLite module or `sqlite3` is not installed, or it does not start.
    pub fn collector() -> Result<Self> {
        Self::capture("0")
    }

    /// The same for RTCP and reports of quality, which its configuration has written: with that
    /// hook, version 5.6 takes no SIP over UDP. Over TCP it takes all, and nothing without it.
    ///
    /// # Errors
    /// As [`Self::collector`].
    pub fn collector_of_reports() -> Result<Self> {
        Self::capture("1")
    }

    fn capture(hook: &str) -> Result<Self> {
        let directory = tempfile::tempdir().context("making a directory")?;
        sqlite(&directory, include_str!("kamailio/capture.sql"))?;
        let config = include_str!("kamailio/capture.cfg");
        Self::start_in(directory, &config.replace("@HOOK@", hook))
    }

    /// What a collector has written of these messages, the oldest first: `columns` of one of the
    /// tables `sip_capture`, `rtcp_capture` and `report_capture`.
    ///
    /// # Errors
    /// If the table cannot be read.
    pub fn captured(&self, table: &str, columns: &str) -> Result<Vec<Value>> {
        let question = format!("SELECT {columns} FROM {table} ORDER BY micro_ts;");
        let rows = sqlite(&self.directory, &question)?;
        if rows.trim().is_empty() {
            return Ok(Vec::new());
        }
        serde_json::from_str(&rows).context("what sqlite3 printed")
    }

    fn start(config: &str) -> Result<Self> {
        let directory = tempfile::tempdir().context("making a directory")?;
        Self::start_in(directory, config)
    }

    /// `@PORT@` and `@DIRECTORY@` in the configuration are filled in here.
    fn start_in(directory: TempDir, config: &str) -> Result<Self> {
        let port = ports::one();
        let path = directory.path().join("kamailio.cfg");
        let config = config
            .replace("@PORT@", &port.to_string())
            .replace("@DIRECTORY@", &directory.path().to_string_lossy());
        std::fs::write(&path, &config).context("writing the configuration")?;
        let mut command = Command::new("kamailio");
        command.args([
            "-DD", "-E", "-m", "64", "-M", "8", "-x", "fm", "-X", "fm", "-f",
        ]);
        command.arg(&path).arg("-Y").arg(directory.path());
        let mut program = Program::start("kamailio", &mut command, directory.path())?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        match config.contains("sipcapture.so") || config.contains("siptrace.so") {
            true => wait_until_it_listens(address, &mut program)?,
            false => wait_until_it_answers(address, &mut program)?,
        }
        Ok(Self {
            address,
            _program: program,
            directory,
        })
    }

    /// Where it speaks SIP over UDP and TCP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Has the database of a collector carry this out; rows come as JSON.
fn sqlite(directory: &TempDir, statement: &str) -> Result<String> {
    let output = Command::new("sqlite3")
        .args(["-json", "-cmd", ".timeout 5000"])
        .arg(directory.path().join("capture.db"))
        .arg(statement)
        .output()
        .context("starting sqlite3")?;
    if !output.status.success() {
        bail!("sqlite3: {}", String::from_utf8_lossy(&output.stderr));
    }
    String::from_utf8(output.stdout).context("what sqlite3 printed")
}

/// A collector answers nobody: its port for TCP opens with that for UDP.
fn wait_until_it_listens(address: SocketAddr, program: &mut Program) -> Result<()> {
    let alive = crate::wait_for("the port of Kamailio", || {
        if program.exit_status().is_some() {
            return Some(false);
        }
        TcpStream::connect(address).is_ok().then_some(true)
    });
    if !alive {
        bail!("Kamailio ended:\n{}", program.log_tail());
    }
    Ok(())
}

/// Asks with OPTIONS until there is an answer.
fn wait_until_it_answers(address: SocketAddr, program: &mut Program) -> Result<()> {
    let peer = Peer::new(address)?;
    let uri = format!("sip:{address}");
    let alive = crate::wait_for("an answer of Kamailio", || {
        if program.exit_status().is_some() {
            return Some(false);
        }
        peer.send(peer.request("OPTIONS", &uri, &[], "")).ok()?;
        peer.answers_soon().then_some(true)
    });
    if !alive {
        bail!("Kamailio ended:\n{}", program.log_tail());
    }
    Ok(())
}
