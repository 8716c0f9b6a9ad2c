//! What servers have done, over restarts and lines that break.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use store::{HistoryStore as _, Span, Sqlite};
use testkit::{GatewaySpec, Platform, PlatformOptions, Sipp, ports, wait_for_within};

const BINARY: &str = env!("CARGO_BIN_EXE_tandem");
/// What was seen is kept every ten seconds.
const PATIENCE: Duration = Duration::from_secs(90);

fn route_to(platform: &Platform, callee: &Sipp) -> Result<()> {
    let rest = platform.rest();
    rest.change("/v1/settings", &json!({ "media": "bypass" }))?;
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    let gateway = GatewaySpec::at(callee.address());
    rest.add_carrier("", &[gateway], &json!({})).map(|_| ())
}

fn call(platform: &Platform, calls: u32) -> Result<()> {
    // Channels are looked at once a second.
    let sipp = Sipp::new("uac")?
        .service("493012345")
        .set("TALK_MS", "2500");
    sipp.calls(calls, 50, calls).run(platform.ready().sip.udp)?;
    platform.wait_until_idle();
    Ok(())
}

fn history(platform: &Platform, query: &str) -> Result<Value> {
    let (status, body) = platform
        .rest()
        .send("GET", &format!("/v1/history{query}"), None)?;
    anyhow::ensure!(status == 200, "{status} {body}");
    Ok(body)
}

fn values(history: &Value, figure: &str) -> Vec<Option<f64>> {
    let values = history["figures"][figure].as_array();
    values.into_iter().flatten().map(Value::as_f64).collect()
}

fn sum(history: &Value, figure: &str) -> f64 {
    values(history, figure).into_iter().flatten().sum()
}

/// Waits until so many calls are in the history that is kept.
#[track_caller]
fn wait_for_attempts(platform: &Platform, query: &str, attempts: u32) -> Value {
    wait_for_within(
        PATIENCE,
        &format!("{attempts} attempts in the history"),
        || {
            let history = history(platform, query).ok()?;
            let found = sum(&history, "attempts");
            assert!(
                found <= f64::from(attempts),
                "{found} of {attempts}: {history}"
            );
            (found == f64::from(attempts)).then_some(history)
        },
    )
}

/// As if all that was measured had been measured so much earlier: the process was away since.
fn long_ago(platform: &Platform, minutes: u64) -> Result<()> {
    let store = Sqlite::open(&platform.data().join("tandem.db"))?;
    let whole = Span {
        to_us: u64::MAX,
        ..Span::default()
    };
    let kept = store.samples(&whole, None, usize::MAX)?;
    store.forget_samples(u64::MAX)?;
    for (server, mut sample) in kept {
        sample.at_us -= minutes * model::SAMPLE_US;
        store.keep_samples(server, &[sample])?;
    }
    Ok(())
}

/// What is kept of twenty calls, all answered.
fn assert_has_twenty_calls(before: &Value) {
    assert_eq!(sum(before, "answered"), 20.0);
    assert_eq!(sum(before, "failed"), 0.0);
    let ratios: Vec<f64> = values(before, "asr").into_iter().flatten().collect();
    assert!(ratios.iter().all(|asr| *asr == 100.0), "{ratios:?}");
    assert!(
        values(before, "pdd_p50_ms")
            .iter()
            .flatten()
            .next()
            .is_some()
    );
    assert!(
        values(before, "channels_peak")
            .iter()
            .flatten()
            .any(|most| *most >= 1.0)
    );
    assert!(
        values(before, "memory_bytes")
            .iter()
            .flatten()
            .all(|bytes| *bytes > 1e6)
    );
}

#[test]
fn what_was_measured_outlives_a_crash_and_the_time_between_is_a_gap() -> Result<()> {
    let mut platform = Platform::start(BINARY)?;
    let callee = Sipp::new("uas")?.calls(1_000, 100, 1_000).start()?;
    route_to(&platform, &callee)?;
    call(&platform, 20)?;
    let before = wait_for_attempts(&platform, "", 20);
    assert_has_twenty_calls(&before);

    platform.kill_9();
    long_ago(&platform, 30)?;
    platform.restart()?;
    call(&platform, 3)?;
    let after = wait_for_attempts(&platform, "", 23);
    let attempts = values(&after, "attempts");
    let known: Vec<usize> = (0..attempts.len())
        .filter(|n| attempts[*n].is_some())
        .collect();
    let (first, last) = (
        *known.first().context("none")?,
        *known.last().context("none")?,
    );
    let gap = attempts[first..last].iter().filter(|v| v.is_none()).count();
    assert!((20..=31).contains(&gap), "{attempts:?}");
    for figure in ["channels", "cps", "registrations", "asr", "servers"] {
        let values = values(&after, figure);
        for place in (first..last).filter(|place| attempts[*place].is_none()) {
            assert_eq!(
                values[place], None,
                "{figure} of a time in which nothing ran"
            );
        }
    }

    let words = [
        "history",
        "show",
        "--within",
        "2h",
        "--figures",
        "attempts,asr",
    ];
    let table = platform.command_line(&words)?;
    assert_eq!(table.code, 0, "{}", table.stderr);
    assert!(
        table.stdout.contains("ATTEMPTS") && table.stdout.contains("ASR"),
        "{}",
        table.stdout
    );
    let words = ["history", "show", "--within", "1h", "--step", "90s"];
    let refused = platform.command_line(&words)?;
    assert!(
        refused.stderr.contains("a multiple of 60"),
        "{}",
        refused.stderr
    );
    Ok(())
}

/// A machine joins the platform.
fn join(platform: &Platform, port: u16) -> Result<Platform> {
    let words = ["-o", "json", "node", "token", "--name", "berlin"];
    let made: Value = serde_json::from_str(&platform.command_line(&words)?.stdout)?;
    let directory = tempfile::tempdir()?;
    let joined = Command::new(BINARY)
        .arg("--data")
        .arg(directory.path())
        .args(["node", "join", &format!("127.0.0.1:{port}")])
        .arg(made["token"].as_str().context("no token")?)
        .output()?;
    anyhow::ensure!(joined.status.success(), "{joined:?}");
    let mut options = PlatformOptions::new(BINARY);
    for name in ["node.json", "snapshot.json", "cluster.key"] {
        options = options.data_file(name, &std::fs::read(directory.path().join(name))?);
    }
    options.start()
}

#[test]
fn control_has_what_nodes_measured_also_while_it_was_away() -> Result<()> {
    let port = ports::one();
    let mut control = PlatformOptions::new(BINARY)
        .argument("--node-port")
        .argument(&port.to_string())
        .start()?;
    let callee = Sipp::new("uas")?.calls(1_000, 100, 1_000).start()?;
    route_to(&control, &callee)?;
    let node = join(&control, port)?;
    call(&node, 10)?;
    let servers = control.rest().list("/v1/servers")?;
    let berlin = servers.iter().find(|server| server["name"] == "berlin");
    let id = berlin
        .and_then(|server| server["id"].as_str())
        .context("no berlin")?;
    let of_berlin = format!("?server={id}");
    let history = wait_for_attempts(&control, &of_berlin, 10);
    assert_eq!(
        history["servers"],
        json!([{ "server": id, "name": "berlin" }])
    );
    let both = self::history(&control, "")?;
    assert_eq!(both["servers"].as_array().map(Vec::len), Some(2), "{both}");

    control.kill_9();
    call(&node, 5)?;
    wait_for_attempts(&node, "", 15);
    control.restart()?;
    wait_for_attempts(&control, &of_berlin, 15);
    Ok(())
}
