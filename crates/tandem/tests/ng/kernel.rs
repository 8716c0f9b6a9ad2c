//! Who relays plain RTP, and what the server says of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use anyhow::Result;
use testkit::MediaServer;

const BINARY: &str = env!("CARGO_BIN_EXE_tandem");

/// What the server said of the kernel path.
fn said(mut server: MediaServer) -> Vec<String> {
    let log = server.program().log();
    let lines = log
        .lines()
        .filter(|line| line.contains("RTP is relayed in"));
    lines.map(str::to_owned).collect()
}

#[test]
fn a_server_without_rights_says_why_the_kernel_does_not_relay() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let without_rights: PathBuf = directory.path().join("tandem");
    let script =
        format!("#!/bin/sh\nexec setpriv --bounding-set=-all --inh-caps=-all -- {BINARY} \"$@\"\n");
    fs::write(&without_rights, script)?;
    fs::set_permissions(&without_rights, fs::Permissions::from_mode(0o700))?;
    let server = MediaServer::start(&without_rights, &["--kernel", "tc"])?;
    let said = said(server);
    assert_eq!(said.len(), 1, "one line: {said:?}");
    assert!(
        said[0].contains("RTP is relayed in user space: "),
        "{said:?}"
    );
    let reason = said[0].to_lowercase();
    let understood = ["not permitted", "permission", "without clang"];
    assert!(
        understood.iter().any(|why| reason.contains(why)),
        "{said:?}"
    );
    Ok(())
}

#[test]
fn a_server_says_nothing_of_the_kernel_if_it_is_off_and_why_not_on_loopback() -> Result<()> {
    let off = MediaServer::start(BINARY, &["--kernel", "off"])?;
    assert!(said(off).is_empty());
    let auto = said(MediaServer::start(BINARY, &[])?);
    assert_eq!(auto.len(), 1, "{auto:?}");
    let reasons = ["for this host alone", "without clang"];
    assert!(reasons.iter().any(|why| auto[0].contains(why)), "{auto:?}");
    Ok(())
}
