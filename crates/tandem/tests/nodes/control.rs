//! A platform that machines join, and the machines.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use testkit::{GatewaySpec, Platform, PlatformOptions, Sipp, ports, wait_for};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_tandem");

/// A platform that machines can join, at an address.
pub(crate) struct Control {
    pub(crate) platform: Platform,
    port: u16,
}

impl Control {
    pub(crate) fn start() -> Result<Self> {
        let port = ports::one();
        let platform = PlatformOptions::new(BINARY)
            .argument("--node-port")
            .argument(&port.to_string())
            .start()?;
        Ok(Self { platform, port })
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A token by the command line.
    pub(crate) fn token(&self, words: &[&str]) -> Result<String> {
        let words = [&["-o", "json", "node", "token"], words].concat();
        let output = self.platform.command_line(&words)?;
        let made: Value = serde_json::from_str(&output.stdout)
            .with_context(|| format!("no token: {}", output.stderr))?;
        Ok(made["token"].as_str().context("no token")?.to_owned())
    }

    /// Which of the servers it is itself.
    pub(crate) fn own_server(&self) -> Result<String> {
        let note = std::fs::read(self.platform.data().join("server.json"))?;
        let note: Value = serde_json::from_slice(&note)?;
        Ok(note["server"].as_str().context("no server")?.to_owned())
    }

    pub(crate) fn health(&self, name: &str) -> Value {
        let all = self.platform.rest().list("/v1/server-health");
        let mut all = all.unwrap_or_default().into_iter();
        all.find(|server| server["name"] == name)
            .unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn wait_for_state(&self, name: &str, state: &str) -> Value {
        wait_for(&format!("server {name} to be {state}"), || {
            Some(self.health(name)).filter(|health| health["state"] == state)
        })
    }

    /// A machine that is called so joins, and takes calls.
    pub(crate) fn node(&self, name: &str) -> Result<Platform> {
        let token = self.token(&["--name", name])?;
        let directory = tempfile::tempdir()?;
        join(directory.path(), &self.address(), &token)?;
        let options = on_machine(PlatformOptions::new(BINARY), name);
        filled(options, directory.path())?.start()
    }

    /// A machine that is called so joins in a role; its directory.
    pub(crate) fn joined(&self, name: &str, role: &str) -> Result<tempfile::TempDir> {
        let token = self.token(&["--name", name, "--role", role])?;
        let directory = tempfile::tempdir()?;
        join(directory.path(), &self.address(), &token)?;
        Ok(directory)
    }

    /// Calls of anybody go to this server of sipp's.
    pub(crate) fn route_to(&self, callee: &Sipp) -> Result<()> {
        let rest = self.platform.rest();
        rest.change("/v1/settings", &json!({ "media": "bypass" }))?;
        rest.add_customer("127.0.0.1/32", &json!({}))?;
        let gateway = GatewaySpec::at(callee.address());
        rest.add_carrier("", &[gateway], &json!({})).map(|_| ())
    }

    #[track_caller]
    pub(crate) fn wait_for_cdrs(&self, count: usize) {
        wait_for(&format!("{count} CDRs at control"), || {
            let all = self.platform.rest().list("/v1/cdrs?limit=500").ok()?;
            assert!(all.len() <= count, "{} CDRs, not {count}", all.len());
            (all.len() == count).then_some(())
        });
    }
}

/// Joins; an error is what it says.
pub(crate) fn join(directory: &Path, control: &str, token: &str) -> Result<()> {
    let output = Command::new(BINARY)
        .arg("--data")
        .arg(directory)
        .args(["node", "join", control, token])
        .output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// Starts the node of a directory, in another one.
pub(crate) fn start(directory: &Path) -> Result<Platform> {
    filled(PlatformOptions::new(BINARY), directory)?.start()
}

/// The same with a program that is somewhere else.
pub(crate) fn start_program(program: &str, directory: &Path) -> Result<Platform> {
    filled(PlatformOptions::new(program), directory)?.start()
}

/// The same on a machine that is called so.
pub(crate) fn on_machine(options: PlatformOptions, name: &str) -> PlatformOptions {
    options.wrapper(&["unshare", "--uts", "sh", "-c", SET_HOST_NAME, name])
}

/// Options with the files of a directory.
fn filled(mut options: PlatformOptions, directory: &Path) -> Result<PlatformOptions> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_file() {
            options = options.data_file(&name, &std::fs::read(&path)?);
        }
    }
    Ok(options)
}

/// Becomes the program in the arguments on a machine that is called as the first of them says.
const SET_HOST_NAME: &str = "hostname \"$0\" && exec \"$@\"";
