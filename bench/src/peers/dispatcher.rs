//! Our dispatcher.

use std::net::{SocketAddr, SocketAddrV4};
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::peers::SERVER_CPU;

/// A running dispatcher; ends with the value.
pub(crate) struct Dispatcher {
    dispatcher: testkit::Dispatcher,
    pub(crate) address: SocketAddrV4,
}

impl Dispatcher {
    /// Starts it on the server's processor, with these targets.
    pub(crate) fn start(callees: &[SocketAddrV4]) -> Result<Self> {
        let binary = std::env::current_exe().context("finding this program")?;
        let binary = binary.parent().unwrap_or(Path::new(".")).join("tandem");
        let wrapper = ["taskset", "-c", SERVER_CPU];
        // The called side of the benchmark answers no OPTIONS that are worth counting,
        // and a pause of the machine must not take it down.
        let config = tempfile::NamedTempFile::new().context("making a file")?;
        std::fs::write(config.path(), SETTINGS).context("writing the settings")?;
        let config = config.path().display().to_string();
        let target = |(at, callee): (usize, &SocketAddrV4)| format!("--target=t{at}=udp:{callee}");
        let targets: Vec<String> = callees.iter().enumerate().map(target).collect();
        let mut arguments = vec!["--config", &config];
        arguments.extend(targets.iter().map(String::as_str));
        let dispatcher = testkit::Dispatcher::start_under(&wrapper, binary, &arguments)?;
        let SocketAddr::V4(address) = dispatcher.sip().udp else {
            bail!("the dispatcher does not listen on IPv4");
        };
        Ok(Self {
            dispatcher,
            address,
        })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.dispatcher.program().pid()
    }
}

const SETTINGS: &str = "[probing]\ninterval_ms = 0\n";
