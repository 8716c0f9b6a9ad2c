//! A real PostgreSQL server in a directory of its own.

use std::fs::Permissions;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::authority::Pair;
use crate::ports;
use crate::program::Program;
use crate::wait::wait_for;

/// A PostgreSQL server. It may be away for a while; what it holds stays as long as the value.
#[derive(Debug)]
pub struct PostgresServer {
    /// `None` while it is away.
    program: Option<Program>,
    port: u16,
    schemas: AtomicU64,
    directory: TempDir,
}

impl PostgresServer {
    /// One that runs, with an empty database.
    ///
    /// # Errors
    /// If it is not installed or does not start.
    pub fn start() -> Result<Self> {
        let directory = tempfile::tempdir().context("making a directory")?;
        give_away(directory.path())?;
        let mut init = as_its_user("initdb")?;
        init.args(["-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"])
            .args(["--no-sync", "-D"])
            .arg(directory.path().join("data"));
        let made = init.output().context("running initdb")?;
        if !made.status.success() {
            bail!("initdb: {}", String::from_utf8_lossy(&made.stderr));
        }
        let mut server = Self {
            program: None,
            port: ports::one(),
            schemas: AtomicU64::new(0),
            directory,
        };
        server.come()?;
        Ok(server)
    }

    /// One that speaks TLS, with this certificate.
    ///
    /// # Errors
    /// As [`PostgresServer::start`].
    pub fn start_with_tls(pair: &Pair) -> Result<Self> {
        let mut server = Self::start()?;
        server.go();
        pair.write(server.directory.path())?;
        let key = server.directory.path().join(KEY);
        std::fs::set_permissions(&key, Permissions::from_mode(0o600))?;
        give_away(&key)?;
        server.come()?;
        Ok(server)
    }

    /// Starts it, where it was before.
    ///
    /// # Errors
    /// If it does not start.
    pub fn come(&mut self) -> Result<()> {
        // What is left of a server that was killed ends a moment later, and until then keeps the
        // next one out.
        let program = wait_for("PostgreSQL to start", || self.try_to_come().transpose())?;
        self.program = Some(program);
        Ok(())
    }

    /// `None` if it has ended at once.
    fn try_to_come(&self) -> Result<Option<Program>> {
        let mut command = as_its_user("postgres")?;
        command
            .arg("-D")
            .arg(self.directory.path().join("data"))
            .args(["-p", &self.port.to_string(), "-k", ""])
            .args(["-c", "listen_addresses=127.0.0.1"]);
        let (certificate, key) = (
            self.directory.path().join(CERTIFICATE),
            self.directory.path().join(KEY),
        );
        if key.exists() {
            command.args(["-c", "ssl=on", "-c"]);
            command.arg(format!("ssl_cert_file={}", certificate.display()));
            command
                .arg("-c")
                .arg(format!("ssl_key_file={}", key.display()));
        }
        let mut program = Program::start("postgres", &mut command, self.directory.path())?;
        let answers = wait_for("PostgreSQL", || {
            if program.exit_status().is_some() {
                return Some(false);
            }
            self.is_ready().then_some(true)
        });
        Ok(answers.then_some(program))
    }

    fn is_ready(&self) -> bool {
        let Ok(path) = program_path("pg_isready") else {
            return false;
        };
        let mut ask = Command::new(path);
        ask.args(["-q", "-h", "127.0.0.1", "-U", USER, "-p"])
            .arg(self.port.to_string());
        ask.status().is_ok_and(|status| status.success())
    }

    /// Kills it with all its connections (SIGKILL).
    pub fn go(&mut self) {
        self.program = None;
        // Its processes do not end at once, and until then nobody may follow.
        wait_for("PostgreSQL to be gone", || {
            TcpStream::connect(("127.0.0.1", self.port))
                .is_err()
                .then_some(())
        });
    }

    /// Where it takes connections.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The database, as programs are told of it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{DATABASE}", self.port)
    }

    /// A part of the database that nobody else uses and that has no tables yet.
    ///
    /// # Panics
    /// If the server does not answer.
    #[must_use]
    pub fn fresh_url(&self) -> String {
        let number = self.schemas.fetch_add(1, Ordering::Relaxed);
        let schema = format!("test_{}_{number}", std::process::id());
        self.sql(&format!("CREATE SCHEMA {schema}"));
        format!("{}?options=-csearch_path%3D{schema}", self.url())
    }

    /// Runs SQL; what it answers, a row in a line.
    ///
    /// # Panics
    /// If the server refuses it.
    pub fn sql(&self, sql: &str) -> String {
        let mut psql = Command::new(program_path("psql").expect("PostgreSQL is installed"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .arg(self.url())
            .stdin(Stdio::null());
        let output = psql.output().expect("psql runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

/// A program of the server. It refuses to run as root: then it runs as the user its package made.
fn as_its_user(program: &str) -> Result<Command> {
    let path = program_path(program)?;
    if !rustix::process::geteuid().is_root() {
        return Ok(Command::new(path));
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", USER, "--regid", USER, "--init-groups", "--"])
        .arg(path)
        // The directory a test runs in is not the server's to read.
        .current_dir("/");
    Ok(command)
}

fn give_away(directory: &Path) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let mut chown = Command::new("chown");
    let given = chown.arg(format!("{USER}:{USER}")).arg(directory).status();
    let given = given.context("running chown")?;
    if !given.success() {
        bail!("there is no user {USER}: is the package postgresql installed?");
    }
    Ok(())
}

/// Debian keeps the server's programs off the PATH, in a directory for each version.
fn program_path(name: &str) -> Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").context("PostgreSQL is missing")?;
    let newest = versions
        .filter_map(|version| Some(version.ok()?.path().join("bin").join(name)))
        .filter(|path| path.exists())
        .max();
    newest.with_context(|| format!("{name} of PostgreSQL is missing"))
}

/// As [`Pair::write`] names them.
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";
/// The user of the operating system and of the database.
const USER: &str = "postgres";
const DATABASE: &str = "postgres";
