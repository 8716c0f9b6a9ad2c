//! The data directory: what is in it, and who may read it.
//!
//! `tandem.db` records and CDRs, or `snapshot.json` the last known records where they are elsewhere ·
//! `moved.json` says where they went · `journal/` CDRs on their way · `bindings.log` registrations ·
//! `tls/` certificate and key (`self-signed.json` says which is our own) · `cluster.key` the secret of nonces · `admin.json` where the API
//! is and a token for it · `first-admin.json` who signs in to the panel first · `demo-users.json` the passwords of the first two users · `recordings/`, and `s3-keys.json` the keys
//! of the store they are taken to, `s3-ca.pem` its authorities · `authority/` the authority of the platform's nodes, `server.json`
//! which of the servers control itself is · `node.json` and `node.db` where the node has joined a platform · `traces/` SIP messages.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A data directory.
#[derive(Clone, Debug)]
pub(crate) struct Data(PathBuf);

/// Where the API is, for the command line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Admin {
    pub(crate) http: String,
    pub(crate) token: String,
}

/// The person of the first start, with the password.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FirstAdmin {
    pub(crate) name: String,
    pub(crate) password: String,
}

/// A user of the first start, with its password.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DemoUser {
    pub(crate) name: String,
    pub(crate) password: String,
}

impl Data {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("cannot make the data directory {}", path.display()))?;
        let tls = path.join("tls");
        if tls.exists() {
            private_directory(&tls).context("cannot make the tls directory private")?;
        }
        Ok(Self(path.to_owned()))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The cluster key; made on the first start.
    pub(crate) fn cluster_key(&self) -> Result<[u8; 32]> {
        let path = self.path("cluster.key");
        if let Ok(bytes) = fs::read(&path) {
            return bytes
                .try_into()
                .map_err(|_| anyhow::anyhow!("{} is not 32 bytes long", path.display()));
        }
        let mut key = [0; 32];
        getrandom::fill(&mut key).context("the system gives no random numbers")?;
        write_secret(&path, &key)?;
        Ok(key)
    }

    /// Tells the cluster key from others, and nothing about it.
    pub(crate) fn cluster_key_print(&self) -> Result<String> {
        let digest: [u8; 32] = Sha256::new()
            .chain_update(b"tandem cluster key\0")
            .chain_update(self.cluster_key()?)
            .finalize()
            .into();
        let [a, b, c, d, ..] = digest;
        Ok(format!("{:08x}", u32::from_be_bytes([a, b, c, d])))
    }

    pub(crate) fn read<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Option<T> {
        let text = fs::read(self.path(name)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    pub(crate) fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        let text = serde_json::to_vec_pretty(value)?;
        write_secret(&self.path(name), &text)
    }
}

/// Makes a directory that only its owner may look into, or makes it one.
pub(crate) fn private_directory(path: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

/// Writes a file that only its owner may read: beside the old one, then in its place.
pub(crate) fn write_secret(path: &Path, bytes: &[u8]) -> Result<()> {
    let fresh = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
