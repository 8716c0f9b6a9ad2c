//! A registrar and proxy of the field: Kamailio, as a peer to compare with, and to prove that
//! the drivers of this crate work.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::program::Program;
use crate::{Peer, ports};

/// A running Kamailio: a registrar with one password for everybody, which routes calls to
/// registered contacts. Ends with the value.
#[derive(Debug)]
pub struct Kamailio {
    address: SocketAddr,
    _program: Program,
    _directory: TempDir,
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

    /// `@PORT@` in the configuration is filled in here.
    fn start(config: &str) -> Result<Self> {
        let port = ports::one();
        let directory = tempfile::tempdir().context("making a directory")?;
        let path = directory.path().join("kamailio.cfg");
        let config = config.replace("@PORT@", &port.to_string());
        std::fs::write(&path, config).context("writing the configuration")?;
        let mut command = Command::new("kamailio");
        command.args([
            "-DD", "-E", "-m", "64", "-M", "8", "-x", "fm", "-X", "fm", "-f",
        ]);
        command.arg(&path).arg("-Y").arg(directory.path());
        let mut program = Program::start("kamailio", &mut command, directory.path())?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        wait_until_it_answers(address, &mut program)?;
        Ok(Self {
            address,
            _program: program,
            _directory: directory,
        })
    }

    /// Where it speaks SIP over UDP and TCP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
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
