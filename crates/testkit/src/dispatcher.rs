//! The load balancer under test: `tandem dispatcher` as a process of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::command_line::CommandOutput;
use crate::platform::ReadySip;
use crate::ports;
use crate::program::Program;
use crate::rest::Rest;
use crate::wait::wait_for;

/// A running dispatcher; ends with the value.
#[derive(Debug)]
pub struct Dispatcher {
    binary: PathBuf,
    /// What starts the program, and its arguments.
    words: Vec<String>,
    program: Program,
    sip: ReadySip,
    rest: Rest,
    starts: u32,
    // Last, so that it is removed when nobody writes into it any more.
    directory: TempDir,
}

impl Dispatcher {
    /// Starts the program at `binary` on loopback, over all transports, with further arguments.
    ///
    /// # Errors
    /// If it cannot be started or ends at once.
    pub fn start(binary: impl AsRef<Path>, arguments: &[&str]) -> Result<Self> {
        Self::start_under(&[], binary, arguments)
    }

    /// The same with the files of a directory in its data directory.
    ///
    /// # Errors
    /// As [`Dispatcher::start`], and if they cannot be copied.
    pub fn start_with(files: &Path, binary: impl AsRef<Path>, arguments: &[&str]) -> Result<Self> {
        let directory = tempfile::tempdir().context("making a directory")?;
        let data = directory.path().join("data");
        std::fs::create_dir_all(&data).context("making a data directory")?;
        for entry in std::fs::read_dir(files)? {
            let path = entry?.path();
            if let Some(name) = path.file_name().filter(|_| path.is_file()) {
                std::fs::copy(&path, data.join(name)).context("copying a file")?;
            }
        }
        Self::start_in(directory, &[], binary.as_ref(), arguments)
    }

    /// The same started by another program: `["taskset", "-c", "1"]`. It must become the
    /// dispatcher (exec), not stay its parent.
    ///
    /// # Errors
    /// As [`Dispatcher::start`].
    pub fn start_under(
        wrapper: &[&str],
        binary: impl AsRef<Path>,
        arguments: &[&str],
    ) -> Result<Self> {
        let directory = tempfile::tempdir().context("making a directory")?;
        Self::start_in(directory, wrapper, binary.as_ref(), arguments)
    }

    fn start_in(
        directory: TempDir,
        wrapper: &[&str],
        binary: &Path,
        arguments: &[&str],
    ) -> Result<Self> {
        let binary = binary.to_owned();
        let (plain, tls, ws, wss) = (ports::one(), ports::one(), ports::one(), ports::one());
        let mut all: Vec<String> = wrapper.iter().map(|&word| word.to_owned()).collect();
        all.push(binary.display().to_string());
        all.push("--data".to_owned());
        all.push(directory.path().join("data").display().to_string());
        all.extend(["dispatcher", "--json", "--api", "127.0.0.1:0"].map(str::to_owned));
        for (transport, port) in [
            ("udp", plain),
            ("tcp", plain),
            ("tls", tls),
            ("ws", ws),
            ("wss", wss),
        ] {
            all.push("--listen".to_owned());
            all.push(format!("{transport}:127.0.0.1:{port}"));
        }
        all.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let (program, sip, rest) = launch(&all, directory.path(), 0)?;
        Ok(Self {
            binary,
            words: all,
            program,
            sip,
            rest,
            starts: 1,
            directory,
        })
    }

    /// Where it speaks SIP.
    #[must_use]
    pub fn sip(&self) -> ReadySip {
        self.sip
    }

    /// A client of its API.
    #[must_use]
    pub fn rest(&self) -> &Rest {
        &self.rest
    }

    /// Its process.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// A folder of its own.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Crashes it and starts it again, on the same ports.
    ///
    /// # Errors
    /// As [`Dispatcher::start`].
    pub fn crash_and_restart(&mut self) -> Result<()> {
        self.program.kill_9();
        let at = self.directory.path();
        let (program, sip, rest) = launch(&self.words, at, self.starts)?;
        self.starts += 1;
        (self.program, self.sip, self.rest) = (program, sip, rest);
        Ok(())
    }

    /// Runs `tandem --data DIR dispatcher WORDS...` on its data directory.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn command_line(&self, words: &[&str]) -> Result<CommandOutput> {
        let output = Command::new(&self.binary)
            .arg("--data")
            .arg(self.directory.path().join("data"))
            .arg("dispatcher")
            .args(words)
            .output()
            .context("starting the command line")?;
        Ok(CommandOutput {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// One of its targets, as its API shows it.
    ///
    /// # Panics
    /// If the API does not show it.
    #[must_use]
    #[track_caller]
    pub fn target(&self, name: &str) -> Value {
        let shown = self.rest.read(&format!("/v1/targets/{name}"));
        shown.expect("the API shows its targets")
    }

    /// The value of one of its metrics without labels.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.rest.send("GET", "/metrics", None).ok()?;
        let mut lines = text.as_str()?.lines();
        lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }
}

/// Starts the program and reads its first line of JSON.
fn launch(words: &[String], directory: &Path, run: u32) -> Result<(Program, ReadySip, Rest)> {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    let name = format!("tandem-dispatcher-{run}");
    let mut program = Program::start(&name, &mut command, directory)?;
    let ready = wait_for("the dispatcher's ready line", || {
        if program.exit_status().is_some() {
            return Some(None);
        }
        let log = program.log();
        let mut lines = log.lines().filter(|line| line.starts_with('{'));
        lines
            .find_map(|line| serde_json::from_str::<Value>(line).ok())
            .map(Some)
    });
    let Some(ready) = ready else {
        bail!("the dispatcher ended:\n{}", program.log_tail());
    };
    let sip = |name: &str| -> Result<SocketAddr> {
        let text = ready["sip"][name].as_str().context("an address")?;
        text.parse().context("an address")
    };
    let sip = ReadySip {
        udp: sip("udp")?,
        tcp: sip("tcp")?,
        tls: sip("tls")?,
        ws: sip("ws")?,
        wss: sip("wss")?,
    };
    let text = |key: &str| ready[key].as_str().unwrap_or_default().to_owned();
    let rest = Rest::new(&text("http"), &text("token"));
    Ok((program, sip, rest))
}
