//! Our media engine alone, in a process of its own on a host of its own: no signalling.
//!
//! The program starts itself again for it. Both talk in lines: two media addresses ask for a
//! call, and the answer is the relay's ports for them; `counters` asks how many packets were
//! relayed, and how many of them by the kernel.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use media::{
    AddressFamily, Engine, EngineConfig, Interface, KernelPath, Negotiation, Options, Side,
};
use testkit::Host;

use crate::load::message::Message;
use crate::load::uac;
use crate::peers::SERVER_CPU;
use crate::usage;

/// A running engine; ends with the value.
pub(crate) struct EngineHost {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl EngineHost {
    /// With `more` addresses for media; `kernel` is `off`, `xdp` or `tc`.
    pub(crate) fn start(host: &Host, more: &[IpAddr], kernel: &str) -> Result<Self> {
        let addresses = [IpAddr::from(host.address)];
        let addresses = addresses.iter().chain(more).map(IpAddr::to_string);
        let addresses = addresses.collect::<Vec<_>>().join(",");
        let [ip, wrapper @ ..] = host.wrapper();
        let program = std::env::current_exe().context("finding this program")?;
        let mut child = Command::new(ip)
            .args(wrapper)
            .args([
                "prlimit",
                &format!("--nofile={}", usage::files_max()),
                "taskset",
                "-c",
            ])
            .arg(SERVER_CPU)
            .arg(program)
            .args([MODE, &addresses, kernel])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the engine")?;
        let input = child.stdin.take().context("no input")?;
        let output = BufReader::new(child.stdout.take().context("no output")?);
        Ok(Self {
            child,
            input,
            output,
        })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sets up a call between two media addresses; gives the relay's ports for caller and callee.
    pub(crate) fn call(&mut self, phones: [SocketAddr; 2]) -> Result<(u16, u16)> {
        let (caller, callee) = self.ask(&format!("{} {}", phones[0], phones[1]))?;
        Ok((u16::try_from(caller)?, u16::try_from(callee)?))
    }

    /// Packets relayed, and those of them by the kernel.
    pub(crate) fn counters(&mut self) -> Result<(u64, u64)> {
        self.ask("counters")
    }

    fn ask(&mut self, line: &str) -> Result<(u64, u64)> {
        writeln!(self.input, "{line}").context("asking the engine")?;
        let mut answer = String::new();
        self.output
            .read_line(&mut answer)
            .context("no answer of the engine")?;
        let (a, b) = answer
            .trim()
            .split_once(' ')
            .context("the engine is gone")?;
        Ok((a.parse()?, b.parse()?))
    }
}

impl Drop for EngineHost {
    fn drop(&mut self) {
        // One that has ended by itself has said why.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The engine's side.
pub(crate) fn serve(addresses: &str, kernel: &str) -> Result<()> {
    let mut config = EngineConfig::new(10_000..=65_535);
    for address in addresses.split(',') {
        let address: IpAddr = address.parse().context("an address")?;
        let place = match address {
            IpAddr::V4(_) => &mut config.v4,
            IpAddr::V6(_) => &mut config.v6,
        };
        *place = Some(Interface::same(address));
    }
    config.kernel = match kernel {
        "off" => KernelPath::Off,
        "xdp" => KernelPath::Xdp,
        "tc" => KernelPath::Tc,
        other => bail!("no such path: {other}"),
    };
    let mut engine = Engine::new(config, || {})?;
    for (number, line) in io::stdin().lines().enumerate() {
        let line = line.context("reading")?;
        let (a, b) = match line.split_once(' ') {
            Some((caller, callee)) => connect(&mut engine, number as u64, caller, callee)?,
            None => {
                let counters = engine.counters();
                (counters.relayed_packets, counters.kernel_packets)
            }
        };
        println!("{a} {b}");
    }
    Ok(())
}

fn connect(engine: &mut Engine, number: u64, caller: &str, callee: &str) -> Result<(u64, u64)> {
    let phone = |text: &str| text.parse::<SocketAddr>().context("a media address");
    let (caller, callee) = (phone(caller)?, phone(callee)?);
    let toward = match callee {
        SocketAddr::V4(_) => AddressFamily::V4,
        SocketAddr::V6(_) => AddressFamily::V6,
    };
    let [caller, callee] =
        [caller, callee].map(|phone| uac::multiplexed_session(phone.ip(), phone.port()));
    let from = |from, sdp| Negotiation {
        from,
        sdp,
        signalling: None,
        options: Options::relay(),
    };
    let offer = engine.offer(number, from(Side::A, caller.as_bytes()), toward)?;
    let answer = engine.answer(number, from(Side::B, callee.as_bytes()))?;
    Ok((port(&answer)?, port(&offer)?))
}

fn port(sdp: &[u8]) -> Result<u64> {
    let message = Message {
        body: sdp,
        ..Message::default()
    };
    Ok(message.audio_port().context("no audio")?.into())
}

/// The argument that makes this program the engine.
pub(crate) const MODE: &str = "engine";
