//! Hosts of a test's own, on a network of its own: namespaces joined by a bridge.
//!
//! Needs root, `ip`, `ethtool` and `clang`. Each host has one interface, `eth0`, that behaves like a
//! network card: frames carry whole checksums, and its other end takes what XDP sends.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;

use crate::program::Program;
use crate::wait::wait_for;

/// A network; gone with its value.
#[derive(Debug)]
pub struct Network {
    switch: Namespace,
    hosts: u32,
    directory: TempDir,
}

/// Two hosts joined by a cable and nothing between.
///
/// # Errors
/// If the rights for it are missing, or a program.
pub fn cable(addresses: [Ipv4Addr; 2]) -> Result<[Host; 2]> {
    let directory = tempfile::tempdir().context("making a directory")?;
    compile(PASS, &directory.path().join("pass.o"))?;
    let [a, b] = [Namespace::new()?, Namespace::new()?];
    a.run(&format!(
        "ip link add eth0 type veth peer name eth0 netns {}",
        b.name
    ))?;
    let pass = directory.path().join("pass.o");
    a.run(&format!(
        "ip link set eth0 xdpdrv obj {} sec xdp",
        pass.display()
    ))?;
    let hosts = [(a, addresses[0]), (b, addresses[1])];
    let hosts = hosts.map(|(namespace, address)| Host {
        namespace,
        address,
        _cable: None,
    });
    for Host {
        namespace, address, ..
    } in &hosts
    {
        namespace.run("ethtool -K eth0 tx off")?;
        namespace.run(&format!("ip address add {address}/24 dev eth0"))?;
        namespace.run("ip link set lo up")?;
        namespace.run("ip link set eth0 up")?;
    }
    Ok(hosts)
}

/// A host on a [`Network`]; gone with its value.
#[derive(Debug)]
pub struct Host {
    namespace: Namespace,
    /// Its address, in a network of 24 bits.
    pub address: Ipv4Addr,
    /// What holds its frames, if it is far.
    _cable: Option<Program>,
}

impl Network {
    /// A network without hosts.
    ///
    /// # Errors
    /// If the rights for it are missing, or a program.
    pub fn new() -> Result<Self> {
        let switch = Namespace::new()?;
        switch.run("ip link add bridge type bridge")?;
        switch.run("ip link set bridge up")?;
        let directory = tempfile::tempdir().context("making a directory")?;
        compile(PASS, &directory.path().join("pass.o"))?;
        Ok(Self {
            switch,
            hosts: 0,
            directory,
        })
    }

    /// One more host.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn host(&mut self, address: Ipv4Addr) -> Result<Host> {
        let namespace = Namespace::new()?;
        let port = format!("port{}", self.hosts);
        self.hosts += 1;
        let (switch, host) = (&self.switch, &namespace.name);
        switch.run(&format!(
            "ip link add {port} type veth peer name eth0 netns {host}"
        ))?;
        switch.run(&format!("ip link set {port} master bridge up"))?;
        let pass = self.directory.path().join("pass.o");
        let pass = pass.display();
        switch.run(&format!("ip link set {port} xdpdrv obj {pass} sec xdp"))?;
        namespace.run("ethtool -K eth0 tx off")?;
        namespace.run(&format!("ip address add {address}/24 dev eth0"))?;
        namespace.run("ip link set lo up")?;
        namespace.run("ip link set eth0 up")?;
        Ok(Host {
            namespace,
            address,
            _cable: None,
        })
    }

    /// One more host, so far from the others that whatever comes or goes takes `delay`.
    ///
    /// # Errors
    /// If the kernel refuses, or there is no `clang`.
    pub fn far_host(&mut self, address: Ipv4Addr, delay: Duration) -> Result<Host> {
        let namespace = Namespace::new()?;
        let (port, far) = (format!("port{}", self.hosts), format!("far{}", self.hosts));
        self.hosts += 1;
        let (switch, host) = (&self.switch, &namespace.name);
        let program = self.slow_cable()?;
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &switch.name]).arg(program);
        command
            .args([&port, &far])
            .arg(delay.as_millis().to_string());
        let directory = self.directory.path();
        let cable = Program::start(&format!("cable-{port}"), &mut command, directory)?;
        wait_for("a slow cable", || {
            cable.log().contains("ready").then_some(())
        });
        switch.run(&format!("ip link set {far} netns {host} name eth0"))?;
        switch.run(&format!("ip link set {port} master bridge up"))?;
        namespace.run(&format!("ip address add {address}/24 dev eth0"))?;
        namespace.run("ip link set lo up")?;
        namespace.run("ip link set eth0 up")?;
        Ok(Host {
            namespace,
            address,
            _cable: Some(cable),
        })
    }

    /// The program that holds frames.
    fn slow_cable(&self) -> Result<PathBuf> {
        let directory = self.directory.path();
        let (source, program) = (directory.join("cable.c"), directory.join("cable"));
        fs::write(&source, SLOW_CABLE).context("writing a program")?;
        let (from, to) = (source.display().to_string(), program.display().to_string());
        run(&["clang", "-O2", &from, "-o", &to])?;
        Ok(program)
    }
}

impl Host {
    /// Does something on this host, on a thread of its own: sockets and threads made by it stay
    /// there.
    ///
    /// # Panics
    /// If `act` does.
    pub fn enter<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        self.namespace.enter(act)
    }

    /// Runs a program on this host; its words are parted by blanks.
    ///
    /// # Errors
    /// If it fails.
    pub fn run(&self, command: &str) -> Result<()> {
        self.namespace.run(command)
    }

    /// What to put before a command for it to run on this host.
    #[must_use]
    pub fn wrapper(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.namespace.name]
    }
}

/// A network namespace; gone with its value.
#[derive(Debug)]
struct Namespace {
    name: String,
}

impl Namespace {
    fn new() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        let name = format!("tandem-{}-{number}", std::process::id());
        run(&["ip", "netns", "add", &name])?;
        Ok(Self { name })
    }

    fn run(&self, command: &str) -> Result<()> {
        let prefix = ["ip", "netns", "exec", &self.name];
        run(&prefix
            .into_iter()
            .chain(command.split(' '))
            .collect::<Vec<_>>())
    }

    fn enter<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let path = format!("/run/netns/{}", self.name);
        let act = || {
            let file = File::open(path).expect("a namespace");
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), kind)
                .expect("entering a namespace");
            act()
        };
        thread::scope(|scope| match scope.spawn(act).join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // One that cannot be removed holds nobody up.
        let _ = run(&["ip", "netns", "delete", &self.name]);
    }
}

/// Compiles a program for the kernel.
fn compile(source: &str, to: &Path) -> Result<()> {
    let from = to.with_extension("c");
    fs::write(&from, source).context("writing a program")?;
    let (from, to) = (from.display().to_string(), to.display().to_string());
    run(&["clang", "-target", "bpf", "-O2", "-c", &from, "-o", &to])
}

fn run(command: &[&str]) -> Result<()> {
    let output = Command::new(command[0])
        .args(&command[1..])
        .output()
        .with_context(|| format!("running {}", command[0]))?;
    ensure!(
        output.status.success(),
        "{}: {}",
        command.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// The kernels that tests run on have no netem.
const SLOW_CABLE: &str = include_str!("netns/slow_cable.c");

/// Lets everything pass. A virtual interface takes what XDP sends from its other end only if it
/// has a program of its own.
const PASS: &str = r#"
__attribute__((section("xdp"), used)) int pass(void *context) { return 2; }
char LICENSE[] __attribute__((section("license"), used)) = "GPL";
"#;
