//! Kamailio with its fast allocator: as a proxy that counts calls, and as a registrar.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use testkit::{Peer, Program, ports, wait_for_within};

use crate::peers::SERVER_CPU;

/// A running Kamailio; ends with the value.
pub(crate) struct Kamailio {
    program: Program,
    pub(crate) address: SocketAddrV4,
    _directory: TempDir,
}

impl Kamailio {
    /// Sends all calls to `callee`.
    pub(crate) fn proxy(callee: SocketAddrV4) -> Result<Self> {
        let config = include_str!("../../peers/proxy.cfg");
        Self::start(&config.replace("@CALLEE@", &callee.port().to_string()))
    }

    /// Spreads calls over targets, and keeps nothing of them.
    pub(crate) fn dispatcher(callees: &[SocketAddrV4]) -> Result<Self> {
        let config = include_str!("../../peers/dispatcher.cfg");
        let line = |callee: &SocketAddrV4| format!("1 sip:{callee}\n");
        let list: String = callees.iter().map(line).collect();
        Self::start_with(config, &[("dispatcher.list", &list)])
    }

    /// Knows so many users of [`REGISTRAR_DOMAIN`].
    pub(crate) fn registrar(users: usize) -> Result<Self> {
        let config = include_str!("../../peers/registrar.cfg");
        Self::start(&config.replace("@USERS@", &users.to_string()))
    }

    /// Its first process, above all others.
    pub(crate) fn pid(&self) -> u32 {
        self.program.pid()
    }

    fn start(config: &str) -> Result<Self> {
        Self::start_with(config, &[])
    }

    /// With further files in its directory, `@DIR@` in the configuration.
    fn start_with(config: &str, files: &[(&str, &str)]) -> Result<Self> {
        let port = ports::one();
        let directory = tempfile::tempdir().context("making a directory")?;
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).context("writing a file")?;
        }
        let path = directory.path().join("kamailio.cfg");
        let config = config
            .replace("@PORT@", &port.to_string())
            .replace("@DIR@", &directory.path().display().to_string());
        std::fs::write(&path, config).context("writing the configuration")?;
        let mut command = Command::new("taskset");
        command.args(["-c", SERVER_CPU, "kamailio"]).args(OPTIONS);
        command.arg("-f").arg(&path).arg("-Y").arg(directory.path());
        let mut program = Program::start("kamailio", &mut command, directory.path())?;
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let peer = Peer::new(address.into())?;
        let answered = wait_for_within(START_PATIENCE, "an answer of Kamailio", || {
            if program.exit_status().is_some() {
                return Some(false);
            }
            // Max-Forwards 0 is refused before anything else happens.
            let uri = format!("sip:{address}");
            let probe = peer.request("OPTIONS", &uri, &[], "");
            peer.send(probe.replace("Max-Forwards: 70", "Max-Forwards: 0"))
                .ok()?;
            peer.answers_soon().then_some(true)
        });
        if !answered {
            bail!("Kamailio ended:\n{}", program.log_tail());
        }
        Ok(Self {
            program,
            address,
            _directory: directory,
        })
    }
}

/// The realm in the registrar's configuration.
pub(crate) const REGISTRAR_DOMAIN: &str = "example.com";

/// `-x fm -X fm`: the fast allocator for shared and private memory. Debian's default is three
/// to six times slower and would flatter us.
pub(crate) const OPTIONS: [&str; 10] = [
    "-DD", "-E", "-m", "1024", "-M", "16", "-x", "fm", "-X", "fm",
];

const START_PATIENCE: Duration = Duration::from_secs(60);
