//! BIND's `named` as the primary server of a zone that takes signed updates (RFC 2136).

use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::ports;
use crate::program::Program;
use crate::wait::wait_for;

/// The zone that it is the primary server of.
pub const ZONE: &str = "tandem.test";
/// What it calls the key that may change TXT records there.
pub const KEY_NAME: &str = "tandem-key";

/// A running name server; ends with the value.
#[derive(Debug)]
pub struct NameServer {
    /// Ends before its files are removed.
    _program: Program,
    address: SocketAddr,
    /// Removed last.
    _directory: TempDir,
}

impl NameServer {
    /// One that has [`ZONE`], where `_acme-challenge.sip.led` is an alias of `led.answers`, and takes
    /// changes of TXT records that are signed by this key, in base64.
    ///
    /// # Errors
    /// If it is not installed or does not start.
    pub fn start(key: &str) -> Result<Self> {
        let directory = tempfile::tempdir().context("a directory for named")?;
        let port = ports::one();
        let file = |name| directory.path().join(name).display().to_string();
        let zone = "$TTL 30\n\
            @ IN SOA ns hostmaster 1 3600 600 86400 30\n\
            @ IN NS ns\n\
            ns IN A 127.0.0.1\n\
            _acme-challenge.sip.led IN CNAME led.answers\n";
        std::fs::write(file("zone"), zone)?;
        let config = format!(
            "options {{ directory \"{}\"; pid-file none; session-keyfile none; lock-file none;\n\
             listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n\
             recursion no; dnssec-validation no; allow-query {{ any; }}; notify no; }};\n\
             controls {{ }};\n\
             key \"{KEY_NAME}\" {{ algorithm hmac-sha256; secret \"{}\"; }};\n\
             zone \"{ZONE}\" {{ type primary; file \"{}\";\n\
             update-policy {{ grant {KEY_NAME} zonesub TXT; }}; }};\n",
            directory.path().display(),
            key,
            file("zone"),
        );
        std::fs::write(file("named.conf"), config)?;
        let mut command = Command::new("named");
        command.args(["-g", "-4", "-n", "1", "-c", &file("named.conf")]);
        let mut program = Program::start("named", &mut command, directory.path())?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let listens = wait_for("named", || {
            if program.exit_status().is_some() {
                return Some(false);
            }
            TcpStream::connect(address).ok().map(|_| true)
        });
        if !listens {
            bail!("named ended:\n{}", program.log_tail());
        }
        Ok(Self {
            _program: program,
            address,
            _directory: directory,
        })
    }

    /// Where it is asked, over UDP and TCP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The TXT records of a name, each in a line.
    ///
    /// # Errors
    /// If `dig` is not installed or gets no answer.
    pub fn texts(&self, name: &str) -> Result<String> {
        let port = self.address.port().to_string();
        let mut dig = Command::new("dig");
        let asked = dig.args(["@127.0.0.1", "-p", &port, "+short", name, "TXT"]);
        let said = asked.output().context("starting dig")?;
        ensure!(said.status.success(), "dig: {said:?}");
        Ok(String::from_utf8(said.stdout)?)
    }
}
