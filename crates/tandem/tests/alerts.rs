//! Operators are called when something dies, once, and once when it lives again.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testkit::{GatewaySpec, MailServer, MediaServer, Platform, Sipp, wait_for, wait_for_within};

/// A request that somebody posted: its headers and its body.
struct Posted {
    headers: Vec<String>,
    body: String,
}

impl Posted {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

type Posts = mpsc::Receiver<Posted>;

/// An HTTP server that refuses its first request and takes the others.
fn hook() -> Result<(String, Posts)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/alerts", listener.local_addr()?);
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let mut reader = BufReader::new(&stream);
            let mut headers = Vec::new();
            loop {
                let mut line = String::new();
                match reader.read_line(&mut line) {
                    Ok(size) if size > 2 => headers.push(line.trim().to_owned()),
                    _ => break,
                }
            }
            let mut posted = Posted {
                headers,
                body: String::new(),
            };
            let length = posted
                .header("content-length")
                .and_then(|text| text.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            let is_whole = reader.read_exact(&mut body).is_ok();
            posted.body = String::from_utf8_lossy(&body).into_owned();
            let status = if number == 0 {
                "503 Not Now"
            } else {
                "204 No Content"
            };
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = (&stream).write_all(answer.as_bytes());
            if is_whole && sender.send(posted).is_err() {
                return;
            }
        }
    });
    Ok((url, receiver))
}

/// What openssl makes of a text and a secret.
fn signature(secret: &str, text: &str) -> Result<String> {
    let mut openssl = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", secret])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting openssl")?;
    let mut input = openssl.stdin.take().context("its input")?;
    input.write_all(text.as_bytes())?;
    drop(input);
    let output = openssl.wait_with_output()?;
    let text = String::from_utf8(output.stdout)?;
    let hex = text.trim().rsplit(' ').next();
    Ok(hex.context("a signature")?.to_owned())
}

fn check_signature(platform: &Platform, posted: &Posted) -> Result<()> {
    let keys = std::fs::read(platform.data().join("alert-keys.json"))?;
    let keys: Value = serde_json::from_slice(&keys)?;
    let secret = keys["webhook_secret"].as_str().context("a secret")?;
    let at = posted.header("x-tandem-timestamp").context("a time")?;
    let expected = format!(
        "v1={}",
        signature(secret, &format!("{at}.{}", posted.body))?
    );
    assert_eq!(posted.header("x-tandem-signature"), Some(expected.as_str()));
    Ok(())
}

fn alerts(platform: &Platform, state: &str) -> Vec<Value> {
    let listed = platform.rest().list(&format!("/v1/alerts?state={state}"));
    listed.unwrap_or_default()
}

/// Has a platform call two people and a hook, a second after something dies.
fn configure(platform: &Platform, mail: &MailServer, url: &str) -> Result<()> {
    let email = json!({
        "server": mail.address().to_string(),
        "security": "none",
        "from": "tandem@example.com",
        "to": ["night@example.com", "day@example.com"],
    });
    let settings = json!({ "alerts": { "down_s": 1, "email": email, "webhook": url } });
    platform.rest().change("/v1/settings", &settings)?;
    Ok(())
}

fn wait_for_media_server(platform: &Platform, wanted: &str) {
    wait_for(&format!("the media server {wanted}"), || {
        let health = platform.rest().list("/v1/media-server-health").ok()?;
        health
            .iter()
            .any(|one| one["state"] == wanted)
            .then_some(())
    });
}

/// The mail and the call of the hook, which refuses the first; what the hook was told.
fn check_begun(platform: &Platform, mail: &MailServer, posts: &Posts) -> Result<Value> {
    let begun = wait_for("a mail", || mail.mails().into_iter().next());
    assert_eq!(begun.from, "tandem@example.com");
    assert_eq!(begun.to, ["night@example.com", "day@example.com"]);
    assert!(
        begun.text.contains("media server apart is down"),
        "{}",
        begun.text
    );
    assert!(begun.text.contains("Subject: ["), "{}", begun.text);
    let refused = posts.recv_timeout(testkit::PATIENCE)?;
    let taken = posts.recv_timeout(testkit::PATIENCE)?;
    assert_eq!(
        taken.body, refused.body,
        "it is told again until it is taken"
    );
    check_signature(platform, &taken)?;
    let told: Value = serde_json::from_str(&taken.body)?;
    assert_eq!(told["event"], "alert.begun");
    assert_eq!(told["subject"], "apart");
    let open = alerts(platform, "open");
    assert_eq!(open.len(), 1, "{open:?}");
    wait_for("the log of who was told", || {
        let open = alerts(platform, "open");
        let told = open.first()?["deliveries"].as_array()?;
        let is_taken = |way: &str| {
            told.iter()
                .any(|one| one["way"] == way && one["error"].is_null())
        };
        (is_taken("email") && is_taken("webhook")).then_some(())
    });
    Ok(told)
}

#[test]
fn a_media_server_that_dies_is_told_once_and_its_return_once() -> Result<()> {
    let binary = env!("CARGO_BIN_EXE_tandem");
    let platform = Platform::start(binary)?;
    let (mail, (url, posts)) = (MailServer::start()?, hook()?);
    configure(&platform, &mail, &url)?;
    let mut server = MediaServer::with_ports(binary, 20, &[])?;
    let record = json!({ "name": "apart", "control": server.control() });
    let record = platform.rest().create("/v1/media-servers", &record)?;
    let id = record["id"].as_str().context("an identifier")?;
    wait_for_media_server(&platform, "up");
    server.kill_9();
    let told = check_begun(&platform, &mail, &posts)?;

    // Another takes its place.
    let server = MediaServer::with_ports(binary, 20, &[])?;
    let change = json!({ "control": server.control() });
    platform
        .rest()
        .change(&format!("/v1/media-servers/{id}"), &change)?;
    wait_for_media_server(&platform, "up");
    let patience = testkit::PATIENCE * 2;
    let ended = wait_for_within(patience, "another mail", || mail.mails().into_iter().nth(1));
    assert!(
        ended.text.contains("s: media server apart is down") && ended.text.contains("Over:"),
        "{}",
        ended.text
    );
    let ended: Value = serde_json::from_str(&posts.recv_timeout(patience)?.body)?;
    assert_eq!(ended["event"], "alert.ended");
    assert_eq!(ended["id"], told["id"]);
    assert!(alerts(&platform, "open").is_empty());
    assert_eq!(alerts(&platform, "over").len(), 1);
    assert_eq!(mail.mails().len(), 2, "each moment is told once");

    let listed = platform.command_line(&["alert", "list"])?;
    assert!(
        listed.stdout.contains("media-server-down"),
        "{}",
        listed.stdout
    );
    let tried = platform.command_line(&["alert", "test"])?;
    assert_eq!(tried.code, 0, "{}", tried.stderr);
    assert_eq!(mail.mails().len(), 3);
    Ok(())
}

#[test]
fn a_carrier_that_answers_no_calls_is_told_by_its_name() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let mail = MailServer::start()?;
    let email = json!({
        "server": mail.address().to_string(),
        "security": "none",
        "from": "tandem@example.com",
        "to": ["night@example.com"],
    });
    let settings = json!({ "alerts": { "carrier_asr_percent": 40, "email": email } });
    let rest = platform.rest();
    rest.change("/v1/settings", &settings)?;
    let callee = Sipp::new("uas_refuse")?.calls(CALLS, 100, CALLS).start()?;
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    rest.add_carrier("493", &[GatewaySpec::at(callee.address())], &json!({}))?;
    let caller = Sipp::new("uac_refused")?.service("493012345");
    let caller = caller
        .calls(CALLS, 50, CALLS)
        .run(platform.ready().sip.udp)?;
    assert_eq!(caller.succeeded, u64::from(CALLS));
    let told = wait_for_within(ROUNDS, "a mail", || mail.mails().into_iter().next());
    let words = format!("0 of the last {CALLS} calls of carrier carrier 493 were answered");
    assert!(told.text.contains(&words), "{}", told.text);
    let open = alerts(&platform, "open");
    assert_eq!(open.len(), 1, "{open:?}");
    assert_eq!(open[0]["rule"], "carrier-asr");
    Ok(())
}

/// More than fewer of which say nothing.
const CALLS: u32 = 25;
/// Calls are looked at three times a minute.
const ROUNDS: Duration = Duration::from_secs(90);
