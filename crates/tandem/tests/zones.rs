//! Zones and clusters of machines that have joined: what they may carry together, what remains, and
//! how far they are from each other.

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testkit::{
    GatewaySpec, Host, MailServer, Network, Platform, PlatformOptions, Sipp, ports, wait_for,
    wait_for_within,
};

const BINARY: &str = env!("CARGO_BIN_EXE_tandem");
const NEAR: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 2);
/// What everything takes that goes to the far host or comes from there.
const DELAY: Duration = Duration::from_millis(40);
/// New calls per second waver: it is told after thirty seconds.
const TOLD: Duration = Duration::from_secs(150);
/// Nodes ask every five seconds, and what is older than twenty is stale.
const MEASURED: Duration = Duration::from_secs(120);

struct Control {
    platform: Platform,
    port: u16,
}

impl Control {
    fn start() -> Result<Self> {
        Self::start_with(PlatformOptions::new(BINARY))
    }

    fn start_with(options: PlatformOptions) -> Result<Self> {
        let port = ports::one();
        let platform = options
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

    /// A token by which a machine joins.
    fn token(&self, name: &str, more: &[&str]) -> Result<String> {
        let words = [&["-o", "json", "node", "token", "--name", name], more].concat();
        let made: Value = serde_json::from_str(&self.run(&words)?)?;
        Ok(made["token"].as_str().context("no token")?.to_owned())
    }

    /// A machine joins, and takes calls.
    fn node(&self, name: &str, more: &[&str]) -> Result<Platform> {
        let token = self.token(name, more)?;
        self.joined(Ipv4Addr::LOCALHOST, &token, PlatformOptions::new(BINARY))
    }

    /// The same with a token, where control is at an address.
    fn joined(&self, at: Ipv4Addr, token: &str, mut options: PlatformOptions) -> Result<Platform> {
        let directory = tempfile::tempdir()?;
        let joined = Command::new(BINARY)
            .arg("--data")
            .arg(directory.path())
            .args(["node", "join", &format!("{at}:{}", self.port)])
            .arg(token)
            .output()?;
        anyhow::ensure!(joined.status.success(), "{joined:?}");
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

/// Mails about the headroom of a zone: each server tells of its own as well.
fn about_zone(mail: &MailServer, zone: &str) -> Vec<String> {
    let words = format!("of the zone {zone} is in use");
    let texts = mail.mails().into_iter().map(|mail| mail.text);
    texts.filter(|text| text.contains(&words)).collect()
}

#[test]
fn a_zone_that_gets_full_is_told_by_mail_once_and_once_when_there_is_room_again() -> Result<()> {
    let (control, mail) = (Control::start()?, MailServer::start()?);
    let callee = Sipp::new("uas")?.calls(1_000, 100, 1_000).start()?;
    let email = json!({
        "server": mail.address().to_string(),
        "security": "none",
        "from": "tandem@example.com",
        "to": ["night@example.com"],
    });
    let rest = control.platform.rest();
    let alerts = json!({ "headroom_percent": 50, "email": email });
    let settings = json!({ "media": "bypass", "alerts": alerts });
    rest.change("/v1/settings", &settings)?;
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    rest.add_carrier("", &[GatewaySpec::at(callee.address())], &json!({}))?;
    control.run(&["zone", "create", "Germany"])?;
    let berlin = control.node("berlin", &["--zone", "Germany"])?;
    let bonn = control.node("bonn", &["--zone", "Germany"])?;
    let (_at_berlin, first) = offer(&berlin, 3)?;
    let (_at_bonn, second) = offer(&bonn, 3)?;
    assert_eq!((first, second), (3, 3));
    for name in ["berlin", "bonn"] {
        control.run(&["server", "resize", name, "--channels", "4"])?;
    }

    let told = wait_for_within(TOLD, "a mail", || about_zone(&mail, "Germany").pop());
    for words in ["75 % of the zone", "more than 50 %", "server dies, 150 %"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let listed = control.run(&["alert", "list"])?;
    assert!(listed.contains("zone-headroom"), "{listed}");

    for name in ["berlin", "bonn"] {
        control.run(&["server", "resize", name, "--channels", "40"])?;
    }
    let told = wait_for_within(TOLD, "another mail", || {
        about_zone(&mail, "Germany").into_iter().nth(1)
    });
    assert!(told.contains("It is over after"), "{told}");
    let open = rest.list("/v1/alerts?state=open")?;
    let of_zone = open.iter().find(|one| one["rule"] == "zone-headroom");
    assert_eq!(of_zone, None);
    assert_eq!(about_zone(&mail, "Germany").len(), 2, "each once");
    Ok(())
}

/// From one zone to another, as control has it.
fn latency(near: &Host, control: &Control, from: &str, to: &str) -> Option<Value> {
    let all = near.enter(|| control.platform.rest().list("/v1/zones/latency"));
    let mut all = all.ok()?.into_iter();
    all.find(|pair| pair["from"] == from && pair["to"] == to)
}

#[test]
fn zones_know_how_far_they_are_from_each_other_by_sip_and_by_icmp() -> Result<()> {
    let mut network = Network::new()?;
    let near = network.host(NEAR)?;
    let far = network.far_host(FAR, DELAY)?;
    let control =
        near.enter(|| Control::start_with(PlatformOptions::new(BINARY).bind(&NEAR.to_string())))?;
    let token = near.enter(|| -> Result<String> {
        for zone in ["Near", "Far", "Nowhere"] {
            control.run(&["zone", "create", zone])?;
        }
        let servers = control.platform.rest().list("/v1/servers")?;
        let own = servers[0]["id"].as_str().context("no server")?;
        control.run(&["server", "update", own, "--zone", "Near"])?;
        control.token("far", &["--zone", "Far"])
    })?;
    let node = far.enter(|| {
        let options = PlatformOptions::new(BINARY).bind(&FAR.to_string());
        control.joined(NEAR, &token, options)
    })?;

    let way_there_and_back_us = 2 * DELAY.as_micros() as u64;
    let mut seen = Vec::new();
    for (from, to) in [("Near", "Far"), ("Far", "Near")] {
        let pair = wait_for_within(MEASURED, &format!("{from} to {to} by SIP and ICMP"), || {
            latency(&near, &control, from, to).filter(|pair| {
                pair["sip"]["state"] == "measured" && pair["icmp"]["state"] == "measured"
            })
        });
        for way in ["sip", "icmp"] {
            let median_us = pair[way]["median_us"].as_u64().context("no median")?;
            assert!(median_us >= way_there_and_back_us, "{way}: {pair}");
            assert!(pair[way]["worst_us"].as_u64() >= Some(median_us), "{pair}");
        }
        seen.push(pair);
    }
    // A zone without servers is nobody's neighbour, and one server has nobody to ask in its own.
    let all = near.enter(|| control.platform.rest().list("/v1/zones/latency"))?;
    assert_eq!(all.len(), seen.len(), "{all:?}");
    let health = near.enter(|| control.platform.rest().list("/v1/server-health"))?;
    let of_far = health.iter().find(|server| server["name"] == "far");
    let of_far = of_far.context("no far")?;
    assert!(of_far["sip"]["median_us"].as_u64() >= Some(way_there_and_back_us));
    assert!(of_far["icmp"]["median_us"].as_u64() >= Some(way_there_and_back_us));
    let table = near.enter(|| control.run(&["zone", "latency"]))?;
    assert!(
        table.contains("Near") && table.contains("measured"),
        "{table}"
    );

    // A firewall that holds SIP up and nothing else parts the two; what was measured says how old it is.
    let port = node.ready().sip.udp.port();
    far.run(&format!("iptables -I INPUT -p udp --dport {port} -j DROP"))?;
    let pair = wait_for_within(MEASURED, "SIP to grow stale", || {
        latency(&near, &control, "Near", "Far").filter(|pair| pair["sip"]["state"] == "stale")
    });
    assert_eq!(pair["icmp"]["state"], "measured", "{pair}");
    assert!(pair["sip"]["age_s"].as_u64() >= Some(20), "{pair}");
    assert!(pair["sip"]["lost"].as_u64() >= Some(1), "{pair}");
    assert!(pair["sip"]["median_us"].as_u64() >= Some(way_there_and_back_us));
    far.run(&format!("iptables -D INPUT -p udp --dport {port} -j DROP"))?;
    wait_for_within(MEASURED, "SIP to be measured again", || {
        latency(&near, &control, "Near", "Far").filter(|pair| pair["sip"]["state"] == "measured")
    });
    Ok(())
}
