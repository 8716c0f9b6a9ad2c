//! A media server that has joined is one of those that switches use.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testkit::{MediaServer, wait_for};

use crate::control::{BINARY, Control};
use crate::edges::server_of;

fn records(control: &Control) -> Vec<Value> {
    let all = control.platform.rest().list("/v1/media-servers");
    all.unwrap_or_default()
}

#[track_caller]
fn wait_for_record(control: &Control, what: &str, fits: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    wait_for(&format!("the media servers of switches: {what}"), || {
        Some(records(control)).filter(|all| fits(all))
    })
}

#[test]
fn a_joined_media_server_is_used_until_it_is_removed() -> Result<()> {
    let control = Control::start()?;
    let directory = control.joined("rtp-1", "media")?;
    let data = directory.path().to_str().context("a path")?;
    let server = MediaServer::start(BINARY, &["--data", data, "--alias", "mini-fs"])?;
    let all = wait_for_record(&control, "the joined one", |all| all.len() == 1);
    assert_eq!(all[0]["control"], server.control());
    assert_eq!(all[0]["name"], "rtp-1");
    assert_eq!(all[0]["aliases"], json!(["mini-fs"]));
    wait_for("the switch to use it, though nobody began it anew", || {
        let rest = control.platform.rest();
        let health = rest.list("/v1/media-server-health").ok()?;
        (health.len() == 1 && health[0]["state"] == "up").then_some(())
    });
    let id = server_of(&control, "rtp-1")?;
    let rest = control.platform.rest();
    rest.remove(&format!("/v1/servers/{id}"))?;
    wait_for_record(&control, "none", <[Value]>::is_empty);
    Ok(())
}

#[test]
fn an_operators_record_of_a_joined_media_server_stays_his() -> Result<()> {
    let control = Control::start()?;
    let rest = control.platform.rest();
    let directory = control.joined("rtp-1", "media")?;
    let data = directory.path().to_str().context("a path")?;
    let server = MediaServer::start(BINARY, &["--data", data])?;
    let made = wait_for_record(&control, "the joined one", |all| all.len() == 1);
    let made = made[0]["id"].as_str().context("an id")?.to_owned();
    // What an operator sets in it is kept.
    rest.change(
        &format!("/v1/media-servers/{made}"),
        &json!({ "weight": 7 }),
    )?;
    rest.change(
        &format!("/v1/servers/{}", server_of(&control, "rtp-1")?),
        &json!({ "name": "rtp-north" }),
    )?;
    let all = wait_for_record(&control, "under its new name", |all| {
        all.len() == 1 && all[0]["name"] == "rtp-north"
    });
    assert_eq!(all[0]["weight"], 7);
    // One of his own for the same address is the only one.
    rest.remove(&format!("/v1/media-servers/{made}"))?;
    let own = json!({ "name": "mine", "control": server.control() });
    let own = rest.create("/v1/media-servers", &own)?;
    rest.remove(&format!(
        "/v1/servers/{}",
        server_of(&control, "rtp-north")?
    ))?;
    let all = records(&control);
    assert!(all.iter().any(|one| one["id"] == own["id"]), "{all:?}");
    Ok(())
}
