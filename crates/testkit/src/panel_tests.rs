//! The tests of the control panel, which Playwright runs in Chromium (`tests/panel`).

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

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
