//! A real S3 server: s3s-fs, which checks signatures and keeps each object as a file.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::ports;
use crate::program::Program;
use crate::wait::wait_for;

/// A server with one bucket. It may be away for a while; its objects stay as long as the value.
#[derive(Debug)]
pub struct S3Server {
    /// `None` while it is away.
    program: Option<Program>,
    port: u16,
    directory: TempDir,
}

impl S3Server {
    /// One that is not there yet, at a port that is its own.
    ///
    /// # Errors
    /// If there is no room for its objects.
    pub fn absent() -> Result<Self> {
        let directory = tempfile::tempdir().context("a place for objects")?;
        std::fs::create_dir_all(directory.path().join("objects").join(BUCKET))?;
        Ok(Self {
            program: None,
            port: ports::one(),
            directory,
        })
    }

    /// One that runs.
    ///
    /// # Errors
    /// If it cannot be had.
    pub fn start() -> Result<Self> {
        let mut server = Self::absent()?;
        server.come()?;
        Ok(server)
    }

    /// Starts it, where it was before.
    ///
    /// # Errors
    /// If it cannot be had.
    pub fn come(&mut self) -> Result<()> {
        let mut command = Command::new(prepare()?);
        command
            .args(["--host", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY])
            .arg(self.directory.path().join("objects"));
        let mut program = Program::start("s3s-fs", &mut command, self.directory.path())?;
        let port = self.port;
        let answers = wait_for("the S3 server", || {
            if program.exit_status().is_some() {
                return Some(false);
            }
            TcpStream::connect(("127.0.0.1", port))
                .is_ok()
                .then_some(true)
        });
        if !answers {
            bail!("the S3 server ended:\n{}", program.log_tail());
        }
        self.program = Some(program);
        Ok(())
    }

    /// Kills it.
    pub fn go(&mut self) {
        self.program = None;
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Where it takes requests.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The settings of a store of recordings that lead here, with names that begin with `calls/`.
    #[must_use]
    pub fn settings(&self, after_upload: &str) -> Value {
        json!({ "recording_store": {
            "endpoint": self.endpoint(),
            "bucket": BUCKET,
            "prefix": "calls/",
            "after_upload": after_upload,
        } })
    }

    /// The keys that it takes, as a platform reads them from a file.
    #[must_use]
    pub fn keys(&self) -> Value {
        json!({ "access_key_id": ACCESS_KEY, "secret_access_key": SECRET_KEY })
    }

    /// Its bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        BUCKET
    }

    /// An object, if it has it.
    #[must_use]
    pub fn object(&self, name: &str) -> Option<Vec<u8>> {
        let objects = self.directory.path().join("objects").join(BUCKET);
        std::fs::read(objects.join(name)).ok()
    }
}

/// Where the program is, which is built the first time. Tests that run beside each other wait
/// for the one that does.
fn prepare() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let home = root.join("target/s3");
    std::fs::create_dir_all(&home).context("a place for the S3 server")?;
    let lock = File::create(home.join("lock")).context("a lock")?;
    lock.lock().context("waiting for the lock")?;
    let status = Command::new(root.join("tests/install-s3-server"))
        .status()
        .context("starting the installation of the S3 server")?;
    if !status.success() {
        bail!("the S3 server cannot be installed");
    }
    Ok(home.join("bin/s3s-fs"))
}

const BUCKET: &str = "recordings";
const ACCESS_KEY: &str = "TESTACCESSKEY";
const SECRET_KEY: &str = "a secret for the tests";
