//! Finished recordings and the store they are taken to: a real one, that is away or refuses, too.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testkit::{
    Authority, GatewaySpec, MediaServer, Platform, PlatformOptions, Program, S3Server, Talkers,
    Tunnel, wait_for,
};

fn platform() -> Result<Platform> {
    Platform::start(env!("CARGO_BIN_EXE_tandem"))
}

/// A recording as an earlier call may have left it, of 8,000 samples a second.
fn leave(platform: &Platform, name: &str, samples: usize) -> Result<Vec<u8>> {
    let path = recordings(platform).join(name);
    let samples: Vec<i16> = (0..samples).map(|n| (n % 997) as i16).collect();
    testkit::write_wav(&path, &samples)?;
    Ok(fs::read(path)?)
}

fn recordings(platform: &Platform) -> PathBuf {
    let dir = platform.data().join("recordings");
    fs::create_dir_all(&dir).expect("a directory");
    dir
}

fn write_keys(platform: &Platform, keys: &Value) -> Result<()> {
    Ok(fs::write(
        platform.data().join("s3-keys.json"),
        keys.to_string(),
    )?)
}

/// A counter of uploads, by how they ended.
fn uploads(platform: &Platform, outcome: &str) -> u64 {
    let page = platform.rest().send("GET", "/metrics", None);
    let page = page.expect("metrics").1;
    let name = format!("tandem_recording_uploads_total{{outcome=\"{outcome}\"}} ");
    let lines = page.as_str().unwrap_or_default().lines();
    let mut found = lines.filter_map(|line| line.strip_prefix(&name));
    found
        .next()
        .and_then(|count| count.parse().ok())
        .unwrap_or(0)
}

fn listed(platform: &Platform) -> Vec<Value> {
    platform.rest().list("/v1/recordings").unwrap_or_default()
}

#[test]
fn a_store_that_is_away_gets_the_file_when_it_comes() -> Result<()> {
    let mut server = S3Server::absent()?;
    let platform = platform()?;
    write_keys(&platform, &server.keys())?;
    let first = leave(&platform, "call_1-1.wav", 8_000)?;
    platform
        .rest()
        .change("/v1/settings", &server.settings("keep"))?;
    wait_for("two attempts", || {
        (uploads(&platform, "failed") >= 2).then_some(())
    });
    let found = listed(&platform);
    assert_eq!(found[0]["location"], Value::Null, "{found:?}");
    server.come()?;
    let object = wait_for("the object", || server.object("calls/call_1-1.wav"));
    assert!(object == first, "another file");
    let found = wait_for("its location", || {
        let found = listed(&platform);
        found.first()?["location"].is_string().then_some(found)
    });
    let location = format!("s3://{}/calls/call_1-1.wav", server.bucket());
    assert_eq!(found[0]["location"], location);
    assert_eq!(
        (&found[0]["here"], &found[0]["length_ms"]),
        (&json!(true), &json!(1_000))
    );

    // It goes away again, and what comes meanwhile waits.
    server.go();
    leave(&platform, "call_2-1.wav", 800)?;
    let delete = server.settings("delete");
    platform.rest().change("/v1/settings", &delete)?;
    wait_for("another attempt", || {
        (uploads(&platform, "failed") >= 3).then_some(())
    });
    assert!(recordings(&platform).join("call_2-1.wav").exists());
    server.come()?;
    wait_for("the object", || server.object("calls/call_2-1.wav"));
    wait_for("its end here", || {
        let gone = !recordings(&platform).join("call_2-1.wav").exists();
        gone.then_some(())
    });
    let found = listed(&platform);
    let second = found.iter().find(|r| r["file"] == "call_2-1.wav");
    let second = second.context("a recording that is elsewhere")?;
    assert_eq!(
        (&second["here"], &second["length_ms"]),
        (&json!(false), &json!(100))
    );
    // What was to be kept when it was uploaded stays.
    assert!(recordings(&platform).join("call_1-1.wav").exists());
    assert_eq!(uploads(&platform, "uploaded"), 2);
    Ok(())
}

/// Somebody who watches what becomes of recordings.
fn watch(platform: &Platform) -> Result<Program> {
    let mut follow = Command::new(platform.binary());
    follow.arg("--data").arg(platform.data());
    follow.args(["event", "follow", "--topics", "recordings"]);
    Program::start("events", &mut follow, &platform.data())
}

#[test]
fn wrong_keys_are_said_and_right_ones_need_no_restart() -> Result<()> {
    let server = S3Server::start()?;
    let platform = platform()?;
    leave(&platform, "call_1-1.wav", 800)?;
    platform
        .rest()
        .change("/v1/settings", &server.settings("delete"))?;
    let says = |words: &str| {
        wait_for(words, || {
            platform.program().log().contains(words).then_some(())
        })
    };
    says("no keys");
    let mut keys = server.keys();
    keys["secret_access_key"] = json!("wrong");
    write_keys(&platform, &keys)?;
    says("403 SignatureDoesNotMatch");
    assert!(recordings(&platform).join("call_1-1.wav").exists());
    assert_eq!(server.object("calls/call_1-1.wav"), None);
    let watch = watch(&platform)?;
    let hears = |words: &str| wait_for(words, || watch.log().contains(words).then_some(()));
    hears("recording.upload_failed");
    write_keys(&platform, &server.keys())?;
    wait_for("the object", || server.object("calls/call_1-1.wav"));
    hears("recording.uploaded");
    // No key and no signature is in the log.
    let log = platform.program().log();
    assert!(
        !log.contains("X-Amz") && !log.contains("a secret for the tests"),
        "{log}"
    );
    Ok(())
}

/// The store over TLS, with a certificate of this authority.
fn over_tls(server: &S3Server, authority: &Authority) -> Result<Tunnel> {
    Tunnel::before(server.address(), &authority.issue(&["127.0.0.1"])?)
}

#[test]
fn a_store_over_tls_is_believed_by_the_authority_that_was_named_and_no_other() -> Result<()> {
    let server = S3Server::start()?;
    let (ours, others) = (Authority::new("ours")?, Authority::new("others")?);
    let tunnel = over_tls(&server, &ours)?;
    let platform = platform()?;
    write_keys(&platform, &server.keys())?;
    let file = leave(&platform, "call_1-1.wav", 8_000)?;
    let mut settings = server.settings("delete");
    let endpoint = format!("https://{}", tunnel.address());
    settings["recording_store"]["endpoint"] = json!(endpoint);
    platform.rest().change("/v1/settings", &settings)?;
    let refusals = || uploads(&platform, "failed");
    let says = |what: &str, words: &str, count: usize| {
        wait_for(what, || {
            let log = platform.program().log();
            (log.matches(words).count() >= count).then_some(())
        });
    };
    // The system's authorities have never heard of it.
    says("no authority", "UnknownIssuer", 1);
    // Neither has another one; and what is none is said to be none.
    let authorities = platform.data().join("s3-ca.pem");
    let before = refusals();
    fs::write(&authorities, others.certificate())?;
    wait_for("a refusal", || (refusals() > before).then_some(()));
    says("another authority", "UnknownIssuer", 2);
    fs::write(&authorities, "nonsense")?;
    says("no authority at all", "s3-ca.pem: it has no certificate", 1);
    assert!(recordings(&platform).join("call_1-1.wav").exists());
    assert_eq!(server.object("calls/call_1-1.wav"), None);

    fs::write(&authorities, ours.certificate())?;
    let object = wait_for("the object", || server.object("calls/call_1-1.wav"));
    assert!(object == file, "another file");
    Ok(())
}

#[test]
fn a_media_server_alone_takes_its_recordings_to_a_store_over_tls_and_counts_them() -> Result<()> {
    let server = S3Server::start()?;
    let ours = Authority::new("ours")?;
    let tunnel = over_tls(&server, &ours)?;
    let directory = tempfile::tempdir()?;
    let path = |name: &str| directory.path().join(name);
    fs::write(path("ca.pem"), ours.certificate())?;
    fs::write(path("keys.json"), server.keys().to_string())?;
    let text = |name: &str| path(name).display().to_string();
    let endpoint = format!("https://{}", tunnel.address());
    let media_server = MediaServer::start(
        env!("CARGO_BIN_EXE_tandem"),
        &[
            "--recording-store",
            &endpoint,
            "--recording-bucket",
            server.bucket(),
            "--recording-keys",
            &text("keys.json"),
            "--recording-ca",
            &text("ca.pem"),
        ],
    )?;
    let recording = media_server.recordings().join("call_1-1.wav");
    fs::create_dir_all(media_server.recordings())?;
    testkit::write_wav(&recording, &[1; 800])?;
    let file = fs::read(recording)?;
    let object = wait_for("the object", || server.object("call_1-1.wav"));
    assert!(object == file, "another file");
    let uploaded = "tandem_recording_uploads_total{outcome=\"uploaded\"}";
    wait_for("its count", || {
        (media_server.metric(uploaded) == 1).then_some(())
    });
    assert_eq!(media_server.metric("tandem_recordings_waiting"), 0);
    Ok(())
}

#[test]
fn where_a_media_server_took_a_recording_is_told_and_stays_known() -> Result<()> {
    let mut server = S3Server::absent()?;
    let directory = tempfile::tempdir()?;
    let keys = directory.path().join("keys.json");
    fs::write(&keys, server.keys().to_string())?;
    let (endpoint, keys) = (server.endpoint(), keys.display().to_string());
    let flags = [
        ["--recording-store", &endpoint],
        ["--recording-bucket", server.bucket()],
        ["--recording-after-upload", "delete"],
        ["--recording-keys", &keys],
    ];
    let media_server = MediaServer::start(env!("CARGO_BIN_EXE_tandem"), &flags.concat())?;
    let mut platform = platform()?;
    let rest = platform.rest();
    rest.add_media_server("apart", &media_server.control(), &json!({}))?;
    let talkers = Talkers::new(platform.ready().sip.udp)?;
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    let gateway = GatewaySpec::at(talkers.gateway());
    rest.add_carrier("", &[gateway], &json!({ "record": true }))?;
    let watch = watch(&platform)?;
    let hears = |words: &str| wait_for(words, || watch.log().contains(words).then_some(()));
    talkers.call(1, "493012345")?;
    talkers.wait_for_packets(100);
    talkers.hang_up()?;
    hears("recording.upload_failed");
    let one = |platform: &Platform| {
        wait_for("a recording", || {
            let found = listed(platform);
            (found.len() == 1).then(|| found[0].clone())
        })
    };
    let before = one(&platform);
    assert_eq!(before["server"], "apart");
    assert_eq!(before["location"], Value::Null);
    server.come()?;
    hears("recording.uploaded");
    let path = before["file"].as_str().context("a file")?.to_owned();
    let name = path
        .rsplit_once('/')
        .map_or(path.as_str(), |(_, name)| name);
    let location = format!("s3://{}/{name}", server.bucket());
    let size = server.object(name).context("the object")?.len();
    let is_known = |platform: &Platform| {
        let found = one(platform);
        assert_eq!(found["location"], location, "{found}");
        assert_eq!(found["bytes"], size);
        assert!(found["length_ms"].as_u64() > Some(500), "{found}");
        assert_eq!(found["here"], false);
    };
    is_known(&platform);
    // Whoever comes later hears of it again, and tells nobody twice.
    platform.kill_9();
    platform.restart()?;
    platform.rest().wait_for_media_server("apart", "up");
    is_known(&platform);
    let printed = platform
        .command_line(&["-o", "json", "recording", "list", "--limit", "1"])?
        .stdout;
    assert!(printed.contains(&location), "{printed}");
    assert_eq!(watch.log().matches("recording.uploaded").count(), 1);
    Ok(())
}

#[test]
fn a_killed_platform_loses_no_file_and_sends_the_rest_when_it_is_back() -> Result<()> {
    let server = S3Server::start()?;
    let mut platform = PlatformOptions::new(env!("CARGO_BIN_EXE_tandem")).start()?;
    write_keys(&platform, &server.keys())?;
    let names: Vec<String> = (0..150).map(|n| format!("call_{n}-1.wav")).collect();
    let mut files = Vec::new();
    for (n, name) in names.iter().enumerate() {
        files.push(leave(&platform, name, 8_000 + n)?);
    }
    platform
        .rest()
        .change("/v1/settings", &server.settings("delete"))?;
    let object = |name: &String| server.object(&format!("calls/{name}"));
    for kill_after in [10, 60] {
        wait_for("some objects", || {
            let there = names.iter().filter(|name| object(name).is_some());
            (there.count() >= kill_after).then_some(())
        });
        platform.kill_9();
        for (name, file) in names.iter().zip(&files) {
            let here = fs::read(recordings(&platform).join(name)).ok();
            let there = object(name);
            assert!(here.or(there).as_ref() == Some(file), "{name} is lost");
        }
        platform.restart()?;
    }
    wait_for("all objects", || {
        names
            .iter()
            .all(|name| object(name).is_some())
            .then_some(())
    });
    wait_for("their end here", || {
        let left = names
            .iter()
            .filter(|name| recordings(&platform).join(name).exists());
        (left.count() == 0).then_some(())
    });
    for (name, file) in names.iter().zip(&files) {
        assert!(
            object(name).as_ref() == Some(file),
            "{name} is another file"
        );
    }
    assert_eq!(listed(&platform).len(), names.len());
    Ok(())
}
