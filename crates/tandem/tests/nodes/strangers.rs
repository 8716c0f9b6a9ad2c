//! Who is no node and wants nothing but to be in the way.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use anyhow::Result;
use testkit::{Platform, wait_for};

use crate::control::Control;

/// More than wait in the kernel and are looked at together.
const SILENT: usize = 300;
const STOPPED: usize = 100;
/// What control may have open of them at once.
const FILES_MAX: usize = 100;

/// The beginning of a `ClientHello` of 512 bytes (RFC 8446 §5.1).
const HALF_A_HELLO: [u8; 8] = [22, 3, 1, 2, 0, 1, 0, 1];
/// A record longer than any may be, of a kind that there is not.
const RUBBISH: [u8; 5] = [99, 3, 3, 255, 255];

/// How many strangers were refused for this cause.
fn refused(platform: &Platform, cause: &str) -> u64 {
    let page = platform.rest().send("GET", "/metrics", None);
    let page = page.map(|(_, page)| page).unwrap_or_default();
    let name = format!("tandem_node_lines_refused_total{{cause=\"{cause}\"}} ");
    let mut lines = page.as_str().unwrap_or_default().lines();
    let value = lines.find_map(|line| line.strip_prefix(&name)?.parse().ok());
    value.unwrap_or(0)
}

fn open_files(platform: &Platform) -> Result<usize> {
    let files = fs::read_dir(format!("/proc/{}/fd", platform.program().pid()))?;
    Ok(files.count())
}

#[test]
fn strangers_who_say_nothing_or_stop_keep_no_machine_out() -> Result<()> {
    let control = Control::start()?;
    let before = open_files(&control.platform)?;
    let mut strangers = Vec::new();
    for number in 0..SILENT + STOPPED {
        let mut stranger = TcpStream::connect(control.address())?;
        if number >= SILENT {
            stranger.write_all(&HALF_A_HELLO)?;
        }
        strangers.push(stranger);
    }
    // A machine joins although they are all before it, and has its line.
    let node = control.node("berlin")?;
    control.wait_for_state("berlin", "up");
    assert!(open_files(&control.platform)? < before + FILES_MAX);
    // Those who were there longest have gone for others, and that is counted.
    wait_for("the first stranger to be sent away", || {
        let first = &mut strangers[0];
        first.set_nonblocking(true).ok()?;
        matches!(first.read(&mut [0]), Ok(0)).then_some(())
    });
    let crowded = refused(&control.platform, "crowded");
    assert!(crowded as usize >= SILENT, "{crowded}");
    let rubbish = refused(&control.platform, "handshake");
    let mut stranger = TcpStream::connect(control.address())?;
    stranger.write_all(&RUBBISH)?;
    wait_for("rubbish to be counted", || {
        (refused(&control.platform, "handshake") > rubbish).then_some(())
    });
    // The log has a few lines of all that.
    let log = control.platform.program().log();
    let lines = log.matches("a node's").count();
    assert!(lines < LINES_MAX, "{lines} lines");
    drop(node);
    Ok(())
}

/// Of strangers in the log of one who had hundreds.
const LINES_MAX: usize = 40;
