//! Zones and clusters of machines that have joined: what they may carry together, and what remains.

use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testkit::{GatewaySpec, Platform, PlatformOptions, Sipp, ports, wait_for};

const BINARY: &str = env!("CARGO_BIN_EXE_tandem");

struct Control {
    platform: Platform,
    port: u16,
}

impl Control {
    fn start() -> Result<Self> {
        let port = ports::one();
        let platform = PlatformOptions::new(BINARY)
            .argument("--node-port")
            .argument(&port.to_string())
            .start()?;
        Ok(Self { platform, port })
    }

    /// By the command line; what it prints.
    fn run(&self, words: &[&str]) -> Result<String> {
        let done = self.platform.command_line(words)?;
        anyhow::ensure!(done.code == 0, "{words:?}: {}", done.stderr);
        Ok(done.stdout)
    }

    /// What it is refused with.
    fn refusal(&self, words: &[&str]) -> Result<String> {
        let done = self.platform.command_line(words)?;
        anyhow::ensure!(done.code != 0, "{words:?}: {}", done.stdout);
        Ok(done.stderr)
    }

    /// A machine joins, and takes calls.
    fn node(&self, name: &str, more: &[&str]) -> Result<Platform> {
        let words = [&["-o", "json", "node", "token", "--name", name], more].concat();
        let made: Value = serde_json::from_str(&self.run(&words)?)?;
        let directory = tempfile::tempdir()?;
        let joined = Command::new(BINARY)
            .arg("--data")
            .arg(directory.path())
            .args(["node", "join", &format!("127.0.0.1:{}", self.port)])
            .arg(made["token"].as_str().context("no token")?)
            .output()?;
        anyhow::ensure!(joined.status.success(), "{joined:?}");
        let mut options = PlatformOptions::new(BINARY);
        for name in ["node.json", "snapshot.json", "cluster.key"] {
            let file = std::fs::read(directory.path().join(name))?;
            options = options.data_file(name, &file);
        }
        options.start()
    }

    fn capacity(&self, path: &str, name: &str) -> Value {
        let all = self.platform.rest().list(path).unwrap_or_default();
        let one = all.into_iter().find(|one| one["name"] == name);
        one.unwrap_or_default()["capacity"].clone()
    }

    /// Waits until each member of a cluster may use so many channels of its limit.
    #[track_caller]
    fn wait_for_shares(&self, cluster: &str, wanted: &[(&str, u64)]) {
        wait_for(&format!("shares {wanted:?}"), || {
            let capacity = self.capacity("/v1/cluster-health", cluster);
            let members = capacity["members"].as_array()?;
            let has = |(name, share): &(&str, u64)| {
                let mut members = members.iter();
                members.any(|m| m["name"] == *name && m["channels_share"] == *share)
            };
            (members.len() == wanted.len() && wanted.iter().all(has)).then_some(())
        });
    }
}

/// Offers calls that go on, and says how many of them were taken.
fn offer(node: &Platform, calls: u32) -> Result<(Sipp, u64)> {
    let sipp = Sipp::new("uac_or_503")?.service("493012345");
    let sipp = sipp.set("TALK_MS", "170000").calls(calls, 50, calls);
    let sipp = sipp.start_towards(node.ready().sip.udp)?;
    let taken = wait_for("all calls to be taken or refused", || {
        let (_, page) = node.rest().send("GET", "/metrics", None).ok()?;
        let metrics = page.as_str()?;
        let of = |name: &str| -> u64 {
            let mut lines = metrics.lines();
            let line = lines.find_map(|line| line.strip_prefix(&format!("{name} ")));
            line.and_then(|figure| figure.parse().ok()).unwrap_or(0)
        };
        let (answered, failed) = (
            of("tandem_calls_answered_total"),
            of("tandem_calls_failed_total"),
        );
        (answered + failed == u64::from(calls)).then_some(answered)
    });
    Ok((sipp, taken))
}

#[test]
fn servers_of_a_cluster_carry_its_limit_together_and_what_remains_is_shown() -> Result<()> {
    let mut control = Control::start()?;
    let callee = Sipp::new("uas")?.calls(1_000, 100, 1_000).start()?;
    let rest = control.platform.rest();
    rest.change("/v1/settings", &json!({ "media": "bypass" }))?;
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    rest.add_carrier("", &[GatewaySpec::at(callee.address())], &json!({}))?;
    control.run(&[
        "zone",
        "create",
        "Germany",
        "--latitude",
        "50.1",
        "--longitude",
        "8.7",
    ])?;
    control.run(&["cluster", "create", "north", "--channels", "5"])?;
    let inside = ["--zone", "Germany", "--cluster", "north"];
    let berlin = control.node("berlin", &inside)?;
    let mut bonn = control.node("bonn", &inside)?;
    control.wait_for_shares("north", &[("berlin", 3), ("bonn", 2)]);

    // Five calls in total, however many are offered, and wherever.
    let (_at_berlin, first) = offer(&berlin, 8)?;
    let (_at_bonn, second) = offer(&bonn, 8)?;
    assert_eq!((first, second), (3, 2));
    for name in ["berlin", "bonn"] {
        control.run(&["server", "resize", name, "--channels", "10"])?;
    }
    let capacity = wait_for("the calls at control", || {
        let capacity = control.capacity("/v1/zone-health", "Germany");
        (capacity["channels"] == 5 && capacity["channels_allowed"] == 20).then_some(capacity)
    });
    assert_eq!(capacity["standing"], "good", "{capacity}");
    assert_eq!(capacity["used_after_loss_percent"], 50);
    assert_eq!(capacity["channels_allowed_after_loss"], 10);

    // Names are followed, and what is in use stays.
    let table = control.run(&["cluster", "members", "north"])?;
    assert!(
        table.contains("berlin") && table.contains("bonn"),
        "{table}"
    );
    let refused = control.refusal(&["--yes", "zone", "delete", "Germany"])?;
    assert!(
        refused.contains("berlin") || refused.contains("bonn"),
        "{refused}"
    );
    control.run(&["zone", "update", "Germany", "--name", "DE"])?;
    assert!(control.run(&["server", "show", "berlin"])?.contains("DE"));
    let lost = control.refusal(&["server", "update", "bonn", "--zone", "Germany"])?;
    assert!(lost.contains("does not exist"), "{lost}");

    // A server that moves out takes its part with it; one that dies is no room any more.
    control.run(&["server", "update", "bonn", "--cluster", ""])?;
    control.wait_for_shares("north", &[("berlin", 5)]);
    bonn.kill_9();
    let capacity = wait_for("bonn to be missed", || {
        let capacity = control.capacity("/v1/zone-health", "DE");
        (capacity["standing"] == "single").then_some(capacity)
    });
    assert_eq!(
        (&capacity["channels"], &capacity["taking"]),
        (&json!(3), &json!(1))
    );
    let members = capacity["members"].as_array().context("no members")?;
    let gone = members.iter().find(|member| member["name"] == "bonn");
    assert_eq!(
        gone.context("no bonn")?["channels"],
        Value::Null,
        "not known is not 0"
    );
    // All of it is there after a restart of control.
    control.platform.kill_9();
    control.platform.restart()?;
    control.wait_for_shares("north", &[("berlin", 5)]);
    Ok(())
}
