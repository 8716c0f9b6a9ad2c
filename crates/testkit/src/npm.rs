//! Programs of tests that npm brings what they need.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Where the files of `tests/NAME` lie with all they need, which npm brings there the first time.
/// Tests that run beside each other wait for the one that does.
pub(crate) fn prepare(name: &str) -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (source, home) = (
        root.join("tests").join(name),
        root.join("target").join(name),
    );
    std::fs::create_dir_all(&home).with_context(|| format!("a place for {name}"))?;
    let lock = File::create(home.join("lock")).context("a lock")?;
    lock.lock().context("waiting for the lock")?;
    let mut changed = false;
    for entry in std::fs::read_dir(&source).with_context(|| format!("reading tests/{name}"))? {
        let entry = entry.context("reading what there is")?;
        if !entry.path().is_file() {
            continue;
        }
        let place = home.join(entry.file_name());
        let wanted = std::fs::read(entry.path()).context("reading a file")?;
        if std::fs::read(&place).ok().as_ref() != Some(&wanted) {
            std::fs::write(&place, wanted).context("copying a file")?;
            changed |= place.extension().is_some_and(|kind| kind == "json");
        }
    }
    let done = home.join("installed");
    if changed || !done.exists() {
        // Nothing that a package wants to run at its installation is needed.
        let status = Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(&home)
            .stdout(Stdio::null())
            .status()
            .context("starting npm")?;
        if !status.success() {
            bail!("npm could not bring what tests/{name} needs");
        }
        std::fs::write(done, "").context("taking note of the installation")?;
    }
    Ok(home)
}
