//! A node and the keepalived beside it, on a host of its own.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use testkit::{Host, Platform, PlatformOptions, Program, wait_for, wait_for_within};

const TANDEM: &str = env!("CARGO_BIN_EXE_tandem");
pub(crate) const VIRTUAL: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 100);
pub(crate) const FIRST: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);
pub(crate) const SECOND: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 2);
pub(crate) const PHONE: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 3);
/// Two checks that fail, a second each, and what it takes to move on a busy machine.
pub(crate) const MOVE_PATIENCE: Duration = Duration::from_secs(20);

/// A node and the keepalived beside it.
pub(crate) struct Node {
    pub(crate) host: Host,
    pub(crate) platform: Platform,
    _keepalived: Program,
    _directory: TempDir,
}

impl Node {
    /// Starts both; the node with more options than it needs for the address.
    pub(crate) fn start(
        host: Host,
        (peer, priority): (Ipv4Addr, u8),
        more: impl FnOnce(PlatformOptions) -> PlatformOptions,
    ) -> Result<Self> {
        let options = PlatformOptions::new(TANDEM)
            .wrapper(&host.wrapper())
            .bind(&host.address.to_string())
            .argument("--sip-port")
            .argument("5060")
            .argument("--virtual-address")
            .argument(&VIRTUAL.to_string());
        let platform = more(options).start()?;
        let virtual_address = format!("{VIRTUAL}/24");
        let (own, peer) = (host.address.to_string(), peer.to_string());
        let made = platform.command_line(&[
            "keepalived",
            "--virtual-address",
            &virtual_address,
            "--address",
            &own,
            "--peer",
            &peer,
            "--priority",
            &priority.to_string(),
        ])?;
        ensure!(made.code == 0, "{}", made.stderr);
        let directory = tempfile::tempdir().context("making a directory")?;
        let config = directory.path().join("keepalived.conf");
        std::fs::write(&config, made.stdout).context("writing a configuration")?;
        let node = Self {
            _keepalived: keepalived(&host, &config, directory.path())?,
            host,
            platform,
            _directory: directory,
        };
        wait_for("a node that takes calls", || {
            node.takes_calls().then_some(())
        });
        Ok(node)
    }

    pub(crate) fn takes_calls(&self) -> bool {
        let mut check = on(&self.host);
        check.arg(TANDEM).arg("--data").arg(self.platform.data());
        let check = check.args(["check", "--within-ms", "5000"]).output();
        check.is_ok_and(|done| done.status.success())
    }

    pub(crate) fn has_address(&self) -> bool {
        let shown = on(&self.host)
            .args(["ip", "-4", "address", "show", "to"])
            .arg(format!("{VIRTUAL}/32"))
            .output();
        shown.is_ok_and(|shown| !shown.stdout.is_empty())
    }

    /// Does something with the node where it is reached: its API is at an address of its host.
    pub(crate) fn with<T: Send>(&self, act: impl FnOnce(&Platform) -> T + Send) -> T {
        self.host.enter(|| act(&self.platform))
    }
}

fn on(host: &Host) -> Command {
    let [program, arguments @ ..] = host.wrapper();
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

fn keepalived(host: &Host, config: &Path, at: &Path) -> Result<Program> {
    let file = |name: &str| -> PathBuf { at.join(name) };
    let mut command = on(host);
    // In the foreground, with a log on standard error, and with files of its own.
    command.args(["keepalived", "--dont-fork", "--log-console", "--vrrp"]);
    command.arg("--use-file").arg(config);
    command.arg("--pid").arg(file("keepalived.pid"));
    command.arg("--vrrp_pid").arg(file("vrrp.pid"));
    Program::start("keepalived", &mut command, at)
}

/// Waits until the one has the address and the other does not; at no moment have both.
pub(crate) fn wait_for_move(to: &Node, from: &Node) {
    wait_for_within(MOVE_PATIENCE, "the address to move", || {
        // In this order: whoever takes it in between has it alone.
        let (old, new) = (from.has_address(), to.has_address());
        assert!(
            !(old && new && from.has_address()),
            "two machines have the address"
        );
        (new && !old).then_some(())
    });
}
