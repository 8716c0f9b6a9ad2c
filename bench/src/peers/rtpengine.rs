//! rtpengine in user space.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, UdpSocket};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;
use testkit::{Host, Program, ports};

use crate::peers::SERVER_CPU;
use crate::peers::ng::NgClient;

/// A running rtpengine; ends with the value.
pub(crate) struct Rtpengine {
    program: Program,
    client: NgClient,
    _directory: TempDir,
}

impl Rtpengine {
    /// On loopback.
    pub(crate) fn start() -> Result<Self> {
        let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
        Self::launch(&[], Ipv4Addr::LOCALHOST, &[], bind()?)
    }

    /// On a host of its own, with `more` addresses for media there.
    pub(crate) fn start_on(host: &Host, more: &[IpAddr]) -> Result<Self> {
        let socket = host.enter(|| UdpSocket::bind((host.address, 0)))?;
        Self::launch(&host.wrapper(), host.address, more, socket)
    }

    /// `socket` is to talk to it from.
    fn launch(
        wrapper: &[&str],
        local: Ipv4Addr,
        more: &[IpAddr],
        socket: UdpSocket,
    ) -> Result<Self> {
        let address = SocketAddrV4::new(local, ports::one());
        let directory = tempfile::tempdir().context("making a directory")?;
        let words: Vec<&str> = wrapper.iter().copied().chain(["taskset"]).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        command.args([
            "-c",
            SERVER_CPU,
            "rtpengine",
            "--foreground",
            "--log-stderr",
        ]);
        command.args(OPTIONS);
        for address in [IpAddr::from(local)].iter().chain(more) {
            command.arg(format!("--interface={address}"));
        }
        command.arg(format!("--listen-ng={address}"));
        command.arg(format!("--port-min={RTP_FIRST_PORT}"));
        command.arg(format!("--port-max={RTP_LAST_PORT}"));
        command.arg(format!(
            "--pidfile={}",
            directory.path().join("pid").display()
        ));
        Ok(Self {
            program: Program::start("rtpengine", &mut command, directory.path())?,
            client: NgClient::over(socket, address.into())?,
            _directory: directory,
        })
    }

    /// The way to ask it.
    pub(crate) fn client(&mut self) -> &mut NgClient {
        &mut self.client
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.program.pid()
    }
}

/// User space only, one thread for one processor, no log of each call.
pub(crate) const OPTIONS: [&str; 3] = ["--table=-1", "--num-threads=1", "--log-level=3"];

const RTP_FIRST_PORT: u16 = 50_000;
const RTP_LAST_PORT: u16 = 59_999;
