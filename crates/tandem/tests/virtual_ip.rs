//! Two nodes with a virtual address that keepalived moves: whoever takes calls has it, never both.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use testkit::{Host, Network, Program, wait_for, wait_for_within};

const TANDEM: &str = env!("CARGO_BIN_EXE_tandem");
const VIRTUAL: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 100);
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);
const SECOND: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 2);
const PHONE: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 3);
/// Two checks that fail, a second each, and what it takes to move on a busy machine.
const MOVE_PATIENCE: Duration = Duration::from_secs(20);

/// A node and the keepalived beside it.
struct Node {
    host: Host,
    tandem: Program,
    _keepalived: Program,
    directory: TempDir,
}

impl Node {
    fn start(host: Host, peer: Ipv4Addr, priority: u8) -> Result<Self> {
        let directory = tempfile::tempdir().context("making a directory")?;
        let at = directory.path();
        let tandem = launch(&host, at)?;
        let made = Command::new(TANDEM)
            .arg("--data")
            .arg(at.join("data"))
            .args(["keepalived", "--virtual-address"])
            .arg(format!("{VIRTUAL}/24"))
            .args(["--address", &host.address.to_string()])
            .args(["--peer", &peer.to_string()])
            .args(["--priority", &priority.to_string()])
            .output()
            .context("asking for a configuration")?;
        ensure!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let config = at.join("keepalived.conf");
        std::fs::write(&config, made.stdout).context("writing a configuration")?;
        let node = Self {
            _keepalived: keepalived(&host, &config, at)?,
            host,
            tandem,
            directory,
        };
        wait_for("a node that takes calls", || {
            node.takes_calls().then_some(())
        });
        Ok(node)
    }

    fn takes_calls(&self) -> bool {
        let mut check = on(&self.host);
        check.arg(TANDEM).arg("--data");
        check.arg(self.directory.path().join("data"));
        let check = check.args(["check", "--within-ms", "5000"]).output();
        check.is_ok_and(|done| done.status.success())
    }

    fn has_address(&self) -> bool {
        let shown = on(&self.host)
            .args(["ip", "-4", "address", "show", "to"])
            .arg(format!("{VIRTUAL}/32"))
            .output();
        shown.is_ok_and(|shown| !shown.stdout.is_empty())
    }

    /// Sends a signal to the node: STOP, CONT, KILL.
    fn signal(&self, name: &str) -> Result<()> {
        let mut kill = Command::new("kill");
        kill.arg(format!("-{name}"))
            .arg(self.tandem.pid().to_string());
        ensure!(kill.status().context("running kill")?.success());
        Ok(())
    }
}

fn on(host: &Host) -> Command {
    let [program, arguments @ ..] = host.wrapper();
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

fn launch(host: &Host, at: &Path) -> Result<Program> {
    let mut command = on(host);
    command.arg(TANDEM).args(["up", "--bind"]);
    command.arg(host.address.to_string()).arg("--data");
    command.arg(at.join("data"));
    command.args(["--virtual-address", &VIRTUAL.to_string()]);
    Program::start("tandem", &mut command, at)
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
fn wait_for_move(to: &Node, from: &Node) {
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

/// Whether OPTIONS to the virtual address gets an answer from there.
fn answers(phone: &Host) -> Result<()> {
    phone.enter(|| -> Result<()> {
        let socket = UdpSocket::bind((PHONE, 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(500)))?;
        let local = socket.local_addr()?;
        let to = SocketAddr::from((VIRTUAL, 5060));
        let request = format!(
            "OPTIONS sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKv;rport\r\n\
             From: <sip:p@{local}>;tag=1\r\nTo: <sip:{to}>\r\nCall-ID: v@{local}\r\n\
             CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        );
        let mut buffer = [0; 2_048];
        // The network may learn a moment later who has the address: SIP asks again.
        let (len, from) = wait_for("an answer from the virtual address", || {
            socket.send_to(request.as_bytes(), to).ok()?;
            socket.recv_from(&mut buffer).ok()
        });
        ensure!(from == to, "the answer comes from {from}");
        ensure!(buffer[..len].starts_with(b"SIP/2.0 200"));
        Ok(())
    })
}

#[test]
fn the_virtual_address_is_where_calls_are_taken() -> Result<()> {
    let mut network = Network::new()?;
    let (first, second) = (network.host(FIRST)?, network.host(SECOND)?);
    let phone = network.host(PHONE)?;
    let first = Node::start(first, SECOND, 150)?;
    wait_for_within(MOVE_PATIENCE, "somebody to have the address", || {
        first.has_address().then_some(())
    });
    let second = Node::start(second, FIRST, 100)?;
    answers(&phone)?;
    assert!(!second.has_address());

    // It hangs: its ports are open, and nobody is served.
    first.signal("STOP")?;
    wait_for_move(&second, &first);
    answers(&phone)?;
    // It goes on, and leaves the address where it is.
    first.signal("CONT")?;
    wait_for("it to take calls again", || {
        first.takes_calls().then_some(())
    });
    assert!(second.has_address() && !first.has_address());

    // The other dies, and this one takes over.
    second.signal("KILL")?;
    wait_for_move(&first, &second);
    answers(&phone)?;
    Ok(())
}
