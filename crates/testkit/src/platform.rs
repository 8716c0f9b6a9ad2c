//! The platform itself: the real program, on ports and in a directory of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::baresip::{PhoneOptions, PhoneTransport};
use crate::peer::{Peer, session};
use crate::ports;
use crate::program::Program;
use crate::rest::Rest;
use crate::wait::wait_for;

/// How to start a [`Platform`].
#[derive(Clone, Debug)]
pub struct PlatformOptions {
    binary: PathBuf,
    rtp_ports: Option<(u16, u16)>,
    bind: String,
    arguments: Vec<String>,
    wrapper: Vec<String>,
    environment: Vec<(String, String)>,
    files: Vec<(String, Vec<u8>)>,
}

impl PlatformOptions {
    /// For the program at `binary`: `env!("CARGO_BIN_EXE_tandem")` in its integration tests.
    #[must_use]
    pub fn new(binary: impl AsRef<Path>) -> Self {
        Self {
            binary: binary.as_ref().to_owned(),
            rtp_ports: None,
            bind: "127.0.0.1".to_owned(),
            arguments: Vec::new(),
            wrapper: Vec::new(),
            environment: Vec::new(),
            files: Vec::new(),
        }
    }

    /// Its first and last RTP port; 300 free ones if not said.
    #[must_use]
    pub fn rtp_ports(mut self, first: u16, last: u16) -> Self {
        self.rtp_ports = Some((first, last));
        self
    }

    /// The address it listens on; 127.0.0.1 if not said.
    #[must_use]
    pub fn bind(mut self, address: &str) -> Self {
        address.clone_into(&mut self.bind);
        self
    }

    /// One more argument for `tandem up`.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// A program that starts it, with its arguments: `["taskset", "-c", "1"]`. It must become
    /// the platform (exec), not stay its parent.
    #[must_use]
    pub fn wrapper(mut self, words: &[&str]) -> Self {
        self.wrapper = words.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// An environment variable for it.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A file that is in its data directory before it starts for the first time.
    #[must_use]
    pub fn data_file(mut self, name: &str, content: &[u8]) -> Self {
        self.files.push((name.to_owned(), content.to_owned()));
        self
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// If it cannot be started, ends at once, or says something else than expected.
    pub fn start(self) -> Result<Platform> {
        let directory = tempfile::tempdir().context("making a directory")?;
        let data = directory.path().join("data");
        for (name, content) in &self.files {
            std::fs::create_dir_all(&data).context("making the data directory")?;
            std::fs::write(data.join(name), content).context("filling the data directory")?;
        }
        let arguments = arguments(&self, directory.path());
        let (program, ready) = launch(&self, &arguments, directory.path())?;
        Ok(Platform {
            options: self,
            arguments,
            directory,
            program,
            ready,
        })
    }
}

/// A running platform; ends with the value.
#[derive(Debug)]
pub struct Platform {
    options: PlatformOptions,
    arguments: Vec<String>,
    program: Program,
    ready: Ready,
    // Last, so that it is removed when nobody writes into it any more.
    directory: TempDir,
}

impl Platform {
    /// Starts the program at `binary` as [`PlatformOptions::new`] has it.
    ///
    /// # Errors
    /// As [`PlatformOptions::start`].
    pub fn start(binary: impl AsRef<Path>) -> Result<Self> {
        PlatformOptions::new(binary).start()
    }

    /// What it said when it was ready.
    #[must_use]
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// A client of its API, with the token it was born with.
    #[must_use]
    pub fn rest(&self) -> Rest {
        Rest::new(&self.ready.http, &self.ready.token)
    }

    /// The program.
    #[must_use]
    pub fn binary(&self) -> &Path {
        &self.options.binary
    }

    /// Where it keeps its data.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Its process.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Its process, to be looked at while it ends.
    pub fn program_mut(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Crashes it.
    pub fn kill_9(&mut self) {
        self.program.kill_9();
    }

    /// One more argument for the next start.
    pub fn add_argument(&mut self, argument: &str) {
        self.arguments.push(argument.to_owned());
    }

    /// Starts it again on the same data and ports, after ending it in order if it runs.
    ///
    /// # Errors
    /// As [`PlatformOptions::start`], or if it does not end in order.
    pub fn restart(&mut self) -> Result<()> {
        if self.program.exit_status().is_none() {
            self.program.terminate()?;
        }
        let (program, ready) = launch(&self.options, &self.arguments, self.directory.path())?;
        self.program = program;
        self.ready = ready;
        Ok(())
    }

    /// The registrations it has.
    ///
    /// # Panics
    /// If its API does not list them.
    #[must_use]
    pub fn registrations(&self) -> Vec<Value> {
        let listed = self.rest().list("/v1/registrations");
        listed.expect("the API lists registrations")
    }

    /// A softphone of a user of the first start, over UDP.
    #[must_use]
    pub fn phone(&self, name: &str, tone_hz: u32) -> PhoneOptions {
        PhoneOptions::new(name, &self.ready.domain)
            .password(&self.ready.user(name).password)
            .server(self.ready.sip.udp, PhoneTransport::Udp)
            .tone_hz(tone_hz)
    }

    /// Waits until so many contacts can be called.
    ///
    /// # Panics
    /// If it never comes to that.
    #[track_caller]
    pub fn wait_for_routable(&self, count: usize) {
        wait_for(&format!("{count} routable registrations"), || {
            let registrations = self.rest().list("/v1/registrations").ok()?;
            let routable = registrations.iter().filter(|r| r["routable"] == true);
            (routable.count() == count).then_some(())
        });
    }

    /// A user who is not registered calls another from a new socket: the caller, and its INVITE
    /// with credentials.
    ///
    /// # Errors
    /// If the socket fails.
    pub fn call(&self, caller: &str, callee: &str) -> Result<(Peer, String)> {
        let Ready { sip, domain, .. } = &self.ready;
        let peer = Peer::new(sip.udp)?;
        let uri = format!("sip:{callee}@{domain}");
        let offer = session("127.0.0.1:40000".parse()?);
        let port = peer.address().port();
        let from = format!("From: <sip:{caller}@{domain}>;tag=b{port}");
        let first = peer.request("INVITE", &uri, &[&from], &offer);
        peer.send(&first)?;
        let refusal = peer.expect_status(407, "INVITE");
        peer.send(peer.ack(&first, &refusal))?;
        let credentials = self.ready.credentials(caller);
        let invite = peer.answer_challenge(&credentials, &first, &refusal, &[], &offer);
        peer.send(&invite)?;
        Ok((peer, invite))
    }

    /// Waits until it holds no call any more.
    ///
    /// # Panics
    /// If calls stay.
    #[track_caller]
    pub fn wait_until_idle(&self) {
        let rest = self.rest();
        wait_for("no call in progress", || {
            rest.list("/v1/calls")
                .ok()
                .filter(Vec::is_empty)
                .map(|_| ())
        });
    }
}

/// The line `tandem up --json` prints.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Where it speaks SIP.
    pub sip: ReadySip,
    /// The address of the API, `http://host:port`.
    pub http: String,
    /// The users made at the first start, with their passwords.
    pub users: Vec<ReadyUser>,
    /// The domain of its addresses of record.
    pub domain: String,
    /// An API token.
    pub token: String,
    /// Who signs in to the panel first.
    pub admin: ReadyUser,
}

/// SIP addresses by transport.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "each is the transport it names")]
pub struct ReadySip {
    pub udp: SocketAddr,
    pub tcp: SocketAddr,
    pub tls: SocketAddr,
    pub ws: SocketAddr,
    pub wss: SocketAddr,
}

/// A user or person made at the first start.
#[derive(Clone, Debug)]
pub struct ReadyUser {
    /// The name, also for digest.
    pub name: String,
    /// The password.
    pub password: String,
}

impl Ready {
    /// A user by name.
    ///
    /// # Panics
    /// If there is none of that name.
    #[must_use]
    #[track_caller]
    pub fn user(&self, name: &str) -> &ReadyUser {
        self.users
            .iter()
            .find(|user| user.name == name)
            .expect("the platform has this user")
    }

    fn parse(line: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(line).context("it is no JSON")?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let sip = |name: &str| -> Result<SocketAddr> {
            let address = value["sip"][name]
                .as_str()
                .with_context(|| format!("no sip.{name}"))?;
            address
                .parse()
                .with_context(|| format!("sip.{name} is \"{address}\""))
        };
        let users = value["users"].as_array().context("no users")?;
        Ok(Self {
            sip: ReadySip {
                udp: sip("udp")?,
                tcp: sip("tcp")?,
                tls: sip("tls")?,
                ws: sip("ws")?,
                wss: sip("wss")?,
            },
            http: text(&value["http"])
                .or_else(|| text(&value["https"]))
                .context("neither http nor https")?,
            users: users
                .iter()
                .map(|user| ReadyUser {
                    name: text(&user["name"]).unwrap_or_default(),
                    password: text(&user["password"]).unwrap_or_default(),
                })
                .collect(),
            domain: text(&value["domain"]).context("no domain")?,
            token: text(&value["token"]).context("no token")?,
            admin: ReadyUser {
                name: text(&value["sign_in"]["name"]).unwrap_or_default(),
                password: text(&value["sign_in"]["password"]).unwrap_or_default(),
            },
        })
    }
}

fn arguments(options: &PlatformOptions, directory: &Path) -> Vec<String> {
    let (rtp_first, rtp_last) = options.rtp_ports.unwrap_or_else(|| {
        let first = ports::run_of(RTP_PORT_COUNT);
        (first, first + RTP_PORT_COUNT - 1)
    });
    let data = directory.join("data");
    let mut arguments: Vec<String> = ["up", "--json", "--bind", &options.bind, "--data"]
        .map(str::to_owned)
        .into();
    arguments.push(data.display().to_string());
    for flag in [
        "--sip-port",
        "--tls-port",
        "--ws-port",
        "--wss-port",
        "--http-port",
    ] {
        if options.arguments.iter().any(|own| own == flag) {
            continue;
        }
        arguments.push(flag.to_owned());
        arguments.push(ports::one().to_string());
    }
    arguments.push("--rtp-ports".to_owned());
    arguments.push(format!("{rtp_first}-{rtp_last}"));
    arguments.extend(options.arguments.iter().cloned());
    arguments
}

/// Starts the program and reads its first line of JSON.
fn launch(
    options: &PlatformOptions,
    arguments: &[String],
    directory: &Path,
) -> Result<(Program, Ready)> {
    let mut words = options.wrapper.clone();
    words.push(options.binary.display().to_string());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args(arguments).envs(
        options
            .environment
            .iter()
            .map(|(name, value)| (name, value)),
    );
    // A log of its own for each start: the line of an earlier one must not be taken for ours.
    let run = std::fs::read_dir(directory)
        .map(Iterator::count)
        .unwrap_or_default();
    let mut program = Program::start(&format!("tandem-{run}"), &mut command, directory)?;
    let line = wait_for("the platform to be ready", || {
        if let Some(status) = program.exit_status() {
            return Some(Err(status));
        }
        let log = program.log();
        let line = log
            .lines()
            .find(|line| line.starts_with("{\"") && line.contains("\"token\""));
        line.map(|line| Ok(line.to_owned()))
    });
    match line {
        Ok(line) => {
            let ready = Ready::parse(&line).with_context(|| format!("reading the line {line}"))?;
            Ok((program, ready))
        }
        Err(status) => bail!("the platform ended with {status}:\n{}", program.log_tail()),
    }
}

/// How many RTP ports a platform gets if a test does not say.
const RTP_PORT_COUNT: u16 = 300;
