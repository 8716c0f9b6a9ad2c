//! The tests of the control panel, which Playwright runs in Chromium (`tests/panel`).

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::npm;
use crate::platform::Platform;
use crate::program::Program;

/// Tests of the panel of a platform, running.
#[derive(Debug)]
pub struct PanelTests {
    program: Program,
    directory: PathBuf,
}

impl PanelTests {
    /// Starts the tests of one file: `calls.spec.ts`. Wishes and pictures go to `directory`.
    ///
    /// # Errors
    /// If they or what they need cannot be started.
    pub fn start(platform: &Platform, file: &str, directory: &Path) -> Result<Self> {
        let home = npm::prepare("panel")?;
        let ready = platform.ready();
        std::fs::create_dir_all(directory).context("a place for pictures")?;
        let mut command = Command::new("npx");
        command
            .args(["playwright", "test", file])
            .arg("--output")
            .arg(directory.join("results"))
            .current_dir(home)
            .env("PANEL_URL", &ready.http)
            .env("PANEL_TOKEN", &ready.token)
            .env("PANEL_PASSWORD", &ready.admin.password)
            .env("PANEL_DIRECTORY", directory);
        Ok(Self {
            program: Program::start(file, &mut command, directory)?,
            directory: directory.to_owned(),
        })
    }

    /// Runs a script that drives Chromium by Playwright, which finds the platform in its environment;
    /// returns what it prints.
    ///
    /// # Errors
    /// If it or what it needs cannot be started, or it fails.
    pub fn run_script(platform: &Platform, script: &str) -> Result<String> {
        let home = npm::prepare("panel")?;
        let ready = platform.ready();
        let mut child = Command::new("node")
            .args(["--input-type=module", "-"])
            .current_dir(home)
            .env("PANEL_URL", &ready.http)
            .env("PANEL_TOKEN", &ready.token)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting node")?;
        let mut stdin = child.stdin.take().context("the script's way in")?;
        stdin
            .write_all(script.as_bytes())
            .context("handing over the script")?;
        drop(stdin);
        let output = child.wait_with_output().context("waiting for the script")?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Whether the tests have asked the phone for this since they were asked last.
    #[must_use]
    pub fn wishes(&self, wish: &str) -> bool {
        let file = self.directory.join(format!("wish {wish}"));
        std::fs::remove_file(file).is_ok()
    }

    /// Whether they have passed, once they have ended.
    ///
    /// # Panics
    /// If one has failed, with what Playwright says of it.
    #[track_caller]
    pub fn passed(&mut self) -> bool {
        let Some(status) = self.program.exit_status() else {
            return false;
        };
        assert!(status.success(), "{}", self.program.log());
        true
    }
}
