//! Several controls on one PostgreSQL: what only one of them does is done once, and goes on at another
//! when that one is killed.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testkit::{
    MailServer, MediaServer, Platform, PlatformOptions, PostgresServer, wait_for, wait_for_within,
};

const BINARY: &str = env!("CARGO_BIN_EXE_tandem");

/// Two controls on one database.
fn two(postgres: &PostgresServer) -> Result<[Platform; 2]> {
    let options = || {
        let options = PlatformOptions::new(BINARY);
        options.argument("--store").argument(&postgres.url())
    };
    let first = options().start()?;
    let key = std::fs::read(first.data().join("cluster.key"))?;
    let second = options().data_file("cluster.key", &key).start()?;
    Ok([first, second])
}

/// The server that has a duty, by what one control says, and whether that is the one asked.
fn holder(platform: &Platform, duty: &str) -> Option<(String, bool)> {
    let duties = platform.rest().list("/v1/duties").ok()?;
    let one = duties.iter().find(|one| one["duty"] == duty)?;
    Some((one["server"].as_str()?.to_owned(), one["here"].as_bool()?))
}

fn incidents(platform: &Platform, state: &str) -> Vec<(Value, Value)> {
    let listed = platform.rest().list(&format!("/v1/alerts?state={state}"));
    let listed = listed.unwrap_or_default();
    listed
        .iter()
        .map(|one| (one["id"].clone(), one["subject"].clone()))
        .collect()
}

fn page(platform: &Platform) -> Result<String> {
    let (_, page) = platform.rest().send("GET", "/metrics", None)?;
    Ok(page.as_str().unwrap_or_default().to_owned())
}

fn wait_for_media_server(platform: &Platform, wanted: &str) {
    wait_for(&format!("the media server {wanted}"), || {
        let health = platform.rest().list("/v1/media-server-health").ok()?;
        let is_so = health.iter().any(|one| one["state"] == wanted);
        is_so.then_some(())
    });
}

/// Has a mail written a second after the media server dies; the path of its record.
fn configure(platform: &Platform, mail: &MailServer, media: &MediaServer) -> Result<String> {
    let email = json!({
        "server": mail.address().to_string(),
        "security": "none",
        "from": "tandem@example.com",
        "to": ["night@example.com"],
    });
    let rest = platform.rest();
    let settings = json!({ "alerts": { "down_s": 1, "email": email } });
    rest.change("/v1/settings", &settings)?;
    let record = json!({ "name": "apart", "control": media.control() });
    let record = rest.create("/v1/media-servers", &record)?;
    let id = record["id"].as_str().context("an identifier")?;
    Ok(format!("/v1/media-servers/{id}"))
}

#[test]
fn an_incident_is_told_once_and_its_end_by_the_control_that_survives() -> Result<()> {
    let postgres = PostgresServer::start()?;
    let mut controls = two(&postgres)?;
    let mail = MailServer::start()?;
    let mut media = MediaServer::with_ports(BINARY, 20, &[])?;
    let path = configure(&controls[0], &mail, &media)?;
    for duty in ["alerts", "acme", "retention"] {
        wait_for("one that has the duty", || {
            let told = [holder(&controls[0], duty)?, holder(&controls[1], duty)?];
            let is_one = told[0].0 == told[1].0 && told[0].1 != told[1].1;
            is_one.then_some(())
        });
    }
    let (holds, _) = holder(&controls[0], "alerts").context("a holder")?;
    let holding = usize::from(holder(&controls[1], "alerts") == Some((holds, true)));
    for control in &controls {
        wait_for_media_server(control, "up");
    }

    media.kill_9();
    let told = wait_for("a mail", || mail.mails().into_iter().next());
    assert!(
        told.text.contains("media server apart is down"),
        "{}",
        told.text
    );
    for control in &controls {
        wait_for_media_server(control, "down");
    }
    let open = incidents(&controls[holding], "open");
    assert_eq!(open.len(), 1, "{open:?}");
    assert_eq!(incidents(&controls[1 - holding], "open"), open);
    wait_for("the log of who was told", || {
        let listed = controls[1 - holding].rest().list("/v1/alerts").ok()?;
        let told = listed.first()?["deliveries"].as_array()?.first()?.clone();
        told["error"].is_null().then_some(())
    });

    controls[holding].kill_9();
    let survivor = &controls[1 - holding];
    let patience = testkit::PATIENCE * 2;
    for duty in ["alerts", "acme", "retention"] {
        wait_for_within(patience, "the survivor to have the duty", || {
            holder(survivor, duty)?.1.then_some(())
        });
    }
    let media = MediaServer::with_ports(BINARY, 20, &[])?;
    survivor
        .rest()
        .change(&path, &json!({ "control": media.control() }))?;
    let over = wait_for_within(patience, "another mail", || mail.mails().into_iter().nth(1));
    assert!(
        over.text.contains("Over:") && over.text.contains("media server apart is down"),
        "{}",
        over.text
    );
    assert!(incidents(survivor, "open").is_empty());
    assert_eq!(incidents(survivor, "over"), open);

    // Who comes back does not take it away, and tells nothing again.
    controls[holding].restart()?;
    let back = &controls[holding];
    wait_for("the incident at who came back", || {
        (incidents(back, "over") == open).then_some(())
    });
    let page = page(&controls[1 - holding])?;
    assert!(page.contains("tandem_duty{duty=\"alerts\"} 1"), "{page}");
    let (_, is_here) = holder(back, "alerts").context("a holder")?;
    assert!(!is_here);
    let listed = back.command_line(&["duty", "list"])?;
    assert_eq!(listed.code, 0, "{}", listed.stderr);
    assert!(listed.stdout.contains("retention"), "{}", listed.stdout);
    assert_eq!(mail.mails().len(), 2, "each moment was told once");
    Ok(())
}
