//! A real Redis server in a directory of its own.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::authority::{Authority, Pair};
use crate::ports;
use crate::program::Program;
use crate::wait::wait_for;

/// A Redis server that keeps nothing on disk. It may be away for a while, and comes back empty.
#[derive(Debug)]
pub struct RedisServer {
    /// `None` while it is away.
    program: Option<Program>,
    port: u16,
    /// Where it speaks TLS besides.
    tls: Option<Tls>,
    /// Whose replica it is, and where it finds that one.
    master: Option<u16>,
    /// Further options.
    more: Vec<&'static str>,
    directory: TempDir,
}

/// How a server speaks TLS.
#[derive(Clone, Debug)]
struct Tls {
    port: u16,
    pair: Pair,
    /// The authority that it believes, in PEM. With it, it speaks TLS wherever it is the one that
    /// connects; without it, it does not.
    authority: Option<String>,
}

impl Tls {
    /// Writes what the options name into a directory.
    fn write(&self, directory: &Path) -> Result<()> {
        self.pair.write(directory)?;
        if let Some(authority) = &self.authority {
            std::fs::write(directory.join(AUTHORITY), authority)?;
        }
        Ok(())
    }

    /// Names and values, as in a configuration.
    fn options(&self, directory: &Path) -> Vec<(&'static str, String)> {
        let file = |name: &str| directory.join(name).display().to_string();
        let mut options = vec![
            ("tls-port", self.port.to_string()),
            ("tls-auth-clients", "no".to_owned()),
            ("tls-cert-file", file("certificate.pem")),
            ("tls-key-file", file("key.pem")),
        ];
        if self.authority.is_some() {
            options.push(("tls-ca-cert-file", file(AUTHORITY)));
            options.push(("tls-replication", "yes".to_owned()));
        }
        options
    }
}

impl RedisServer {
    /// One that runs.
    ///
    /// # Errors
    /// If it is not installed or does not start.
    pub fn start() -> Result<Self> {
        Self::start_with(None, None, Vec::new())
    }

    /// One that copies all that another holds.
    ///
    /// # Errors
    /// As [`RedisServer::start`].
    pub fn replica_of(master: &Self) -> Result<Self> {
        let tls = master.tls.clone().map(|tls| Tls {
            port: ports::one(),
            ..tls
        });
        let port = master.tls.as_ref().filter(|tls| tls.authority.is_some());
        let port = port.map_or(master.port, |tls| tls.port);
        Self::start_with(Some(port), tls, Vec::new())
    }

    /// One of a Redis Cluster, alone in it.
    ///
    /// # Errors
    /// As [`RedisServer::start`].
    pub fn start_of_cluster() -> Result<Self> {
        Self::start_with(None, None, vec!["--cluster-enabled", "yes"])
    }

    /// One that speaks TLS besides, with a certificate of this authority, as do its replicas and
    /// Sentinels with it.
    ///
    /// # Errors
    /// As [`RedisServer::start`].
    pub fn start_among(authority: &Authority) -> Result<Self> {
        let tls = Tls {
            port: ports::one(),
            pair: authority.issue(&["127.0.0.1"])?,
            authority: Some(authority.certificate()),
        };
        Self::start_with(None, Some(tls), Vec::new())
    }

    /// One that speaks TLS besides, with this certificate.
    ///
    /// # Errors
    /// As [`RedisServer::start`].
    pub fn start_with_tls(pair: &Pair) -> Result<Self> {
        let tls = Tls {
            port: ports::one(),
            pair: pair.clone(),
            authority: None,
        };
        Self::start_with(None, Some(tls), Vec::new())
    }

    fn start_with(master: Option<u16>, tls: Option<Tls>, more: Vec<&'static str>) -> Result<Self> {
        let mut server = Self {
            program: None,
            port: ports::one(),
            tls,
            master,
            more,
            directory: tempfile::tempdir().context("making a directory")?,
        };
        server.come()?;
        Ok(server)
    }

    /// Starts it, where it was before and with nothing in it.
    ///
    /// # Errors
    /// If it does not start.
    pub fn come(&mut self) -> Result<()> {
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(self.directory.path());
        if let Some(tls) = &self.tls {
            tls.write(self.directory.path())?;
            for (name, value) in tls.options(self.directory.path()) {
                command.arg(format!("--{name}")).arg(value);
            }
        }
        command.args(&self.more);
        if let Some(master) = self.master {
            command.args(["--replicaof", "127.0.0.1", &master.to_string()]);
        }
        let mut program = Program::start("redis", &mut command, self.directory.path())?;
        let answers = wait_for("Redis", || {
            if program.exit_status().is_some() {
                return Some(false);
            }
            (self.ask("PING").ok()? == "+PONG").then_some(true)
        });
        if !answers {
            bail!("Redis ended:\n{}", program.log_tail());
        }
        self.program = Some(program);
        Ok(())
    }

    /// Kills it.
    pub fn go(&mut self) {
        self.program = None;
    }

    /// Has it do nothing any more until [`RedisServer::go_on`].
    ///
    /// # Errors
    /// If it does not run.
    pub fn hang(&self) -> Result<()> {
        self.program.as_ref().context("it does not run")?.hang()
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// If it does not run.
    pub fn go_on(&self) -> Result<()> {
        self.program.as_ref().context("it does not run")?.go_on()
    }

    /// Where it takes connections.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// It, as programs are told of it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// It over TLS, as programs are told of it.
    #[must_use]
    pub fn tls_url(&self) -> String {
        let port = self.tls.as_ref().map_or(0, |tls| tls.port);
        format!("rediss://127.0.0.1:{port}")
    }

    /// Sends a command; the first line of what it answers.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn ask(&self, command: &str) -> Result<String> {
        ask(self.address(), command)
    }

    /// How often each command was carried out since it started, those inside of scripts included.
    ///
    /// # Errors
    /// If it does not say.
    pub fn commands(&self) -> Result<BTreeMap<String, u64>> {
        let mut stream = TcpStream::connect(self.address()).context("connecting to Redis")?;
        stream.write_all(b"INFO commandstats\r\n")?;
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = line.trim_end().strip_prefix('$').context("an odd answer")?;
        let mut text = vec![0; length.parse().context("an odd length")?];
        reader.read_exact(&mut text)?;
        let text = String::from_utf8(text).context("an odd text")?;
        let count = |line: &str| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
        };
        Ok(text.lines().filter_map(count).collect())
    }

    /// Watches all that it does from now on.
    ///
    /// # Errors
    /// If it takes no connection.
    pub fn monitor(&self) -> Result<RedisMonitor> {
        let mut stream = TcpStream::connect(self.address()).context("connecting to Redis")?;
        stream.write_all(b"MONITOR\r\n")?;
        let mut reader = BufReader::new(stream.try_clone()?);
        reader.read_line(&mut String::new())?;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let seeing = Arc::clone(&seen);
        std::thread::spawn(move || {
            for line in reader.lines().map_while(Result::ok) {
                seeing
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(line);
            }
        });
        Ok(RedisMonitor { seen, stream })
    }
}

/// What a server does, a line each; ends with the value.
#[derive(Debug)]
pub struct RedisMonitor {
    seen: Arc<Mutex<Vec<String>>>,
    stream: TcpStream,
}

impl RedisMonitor {
    /// How many lines say all of this.
    #[must_use]
    pub fn count(&self, texts: &[&str]) -> usize {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let says = |line: &&String| texts.iter().all(|text| line.contains(text));
        seen.iter().filter(says).count()
    }
}

impl Drop for RedisMonitor {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// A Redis Sentinel that watches over one master, and makes a replica the next one half a second after
/// it has died.
#[derive(Debug)]
pub struct RedisSentinel {
    port: u16,
    /// Where it speaks TLS besides.
    tls_port: Option<u16>,
    _program: Program,
    _directory: TempDir,
}

impl RedisSentinel {
    /// One that runs and knows the master and its replicas.
    ///
    /// # Errors
    /// If it does not start.
    pub fn of(master: &RedisServer) -> Result<Self> {
        let port = ports::one();
        let directory = tempfile::tempdir().context("making a directory")?;
        let config = directory.path().join("sentinel.conf");
        let tls = master.tls.clone().filter(|tls| tls.authority.is_some());
        let watched = tls.as_ref().map_or(master.port, |tls| tls.port);
        let mut text = format!("port {port}\nbind 127.0.0.1\n");
        let tls = tls.map(|tls| Tls {
            port: ports::one(),
            ..tls
        });
        if let Some(tls) = &tls {
            tls.write(directory.path())?;
            for (name, value) in tls.options(directory.path()) {
                text.push_str(&format!("{name} {value}\n"));
            }
        }
        text.push_str(&format!(
            "sentinel monitor {MASTER} 127.0.0.1 {watched} 1\n\
             sentinel down-after-milliseconds {MASTER} 500\n\
             sentinel failover-timeout {MASTER} 2000\n"
        ));
        std::fs::write(&config, text).context("writing the configuration")?;
        let mut command = Command::new("redis-server");
        command.arg(&config).arg("--sentinel");
        let mut program = Program::start("sentinel", &mut command, directory.path())?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let knows = wait_for("the Sentinel", || {
            if program.exit_status().is_some() {
                return Some(false);
            }
            let answer = ask(address, &format!("SENTINEL REPLICAS {MASTER}")).ok()?;
            (answer.starts_with('*') && answer != "*0").then_some(true)
        });
        if !knows {
            bail!("the Sentinel ended:\n{}", program.log_tail());
        }
        Ok(Self {
            port,
            tls_port: tls.map(|tls| tls.port),
            _program: program,
            _directory: directory,
        })
    }

    /// The master it knows, as programs are told of it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis+sentinel://127.0.0.1:{}/{MASTER}", self.port)
    }

    /// The same over TLS.
    #[must_use]
    pub fn tls_url(&self) -> String {
        let port = self.tls_port.unwrap_or_default();
        format!("rediss+sentinel://127.0.0.1:{port}/{MASTER}")
    }
}

fn ask(address: SocketAddr, command: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).context("connecting to Redis")?;
    stream.write_all(format!("{command}\r\n").as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

/// What Sentinels call the master.
const MASTER: &str = "tandem";
/// The file of the authority that a server believes.
const AUTHORITY: &str = "authority.pem";
