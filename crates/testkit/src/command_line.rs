//! The program as a client of a running platform.

use std::process::Command;

use anyhow::{Context, Result};

use crate::platform::Platform;

/// What a command printed, and how it ended.
#[derive(Clone, Debug)]
pub struct CommandOutput {
    /// The exit code; -1 if a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Platform {
    /// Runs `tandem --data DIR WORDS...` on the platform's data directory.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn command_line(&self, words: &[&str]) -> Result<CommandOutput> {
        let output = Command::new(self.binary())
            .arg("--data")
            .arg(self.data())
            .args(words)
            .output()
            .context("starting the command line")?;
        Ok(CommandOutput {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}
