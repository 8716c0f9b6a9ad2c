//! Messages of calls that several machines have seen: found, drawn and exported at control.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testkit::{Dispatcher, Platform, Rest, Sipp, wait_for};

use crate::control::{BINARY, Control};

/// A dispatcher before two switches, of which control is one; all have calls.
struct Watched {
    control: Control,
    berlin: Platform,
    edge: Dispatcher,
    _peers: [Sipp; 2],
}

impl Watched {
    fn start() -> Result<Self> {
        let control = Control::start()?;
        let callee = Sipp::new("uas")?.calls(1_000, 100, 1_000).start()?;
        control.route_to(&callee)?;
        let berlin = control.node("berlin")?;
        control.wait_for_state("berlin", "up");
        let directory = control.joined("edge", "dispatcher")?;
        let target = |name: &str, platform: &Platform| {
            format!("--target={name}=udp:{}", platform.ready().sip.udp)
        };
        let targets = [target("here", &control.platform), target("there", &berlin)];
        let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
        let edge = Dispatcher::start_with(directory.path(), BINARY, &targets)?;
        control.wait_for_state("edge", "up");
        let callers = Sipp::new("uac")?.service("493012345");
        let callers = callers.set("TALK_MS", "600000").calls(6, 50, 6);
        let callers = callers.start_towards(edge.sip().udp)?;
        wait_for("calls at both switches", || {
            let all = control.platform.rest();
            let all = all.list("/v1/calls?state=answered").ok()?;
            let at: BTreeSet<&str> = all.iter().filter_map(|c| c["server"].as_str()).collect();
            (all.len() == 6 && at.len() == 2).then_some(())
        });
        Ok(Self {
            control,
            berlin,
            edge,
            _peers: [callee, callers],
        })
    }

    fn rest(&self) -> Rest {
        self.control.platform.rest()
    }

    /// A call of the server that is called so.
    fn call_at(&self, name: &str) -> Result<String> {
        let all = self.rest().list("/v1/calls")?;
        let mut all = all.iter();
        let call = all.find(|call| call["server_name"] == name);
        let call = call.with_context(|| format!("no call at {name}"))?;
        Ok(call["id"].as_str().context("an identifier")?.to_owned())
    }

    /// What control calls its own switch.
    fn own_name(&self) -> Result<String> {
        let own = self.control.own_server()?;
        let all = self.rest().list("/v1/calls")?;
        let mut all = all.iter();
        let call = all.find(|call| call["server"] == *own).context("a call")?;
        Ok(call["server_name"].as_str().context("a name")?.to_owned())
    }

    /// The ladder of a call once it has this message, sent by the one and received by the other.
    #[track_caller]
    fn ladder_with(&self, call: &str, (title, from, to): (&str, &str, &str)) -> Value {
        wait_for(&format!("{title} from {from} to {to}"), || {
            let ladder = self.rest().read(&format!("/v1/calls/{call}/ladder")).ok()?;
            let is_it = |rung: &Value| {
                rung["title"] == title && rung["node"] == from && rung["received_by"] == to
            };
            rungs(&ladder).iter().any(is_it).then_some(ladder)
        })
    }
}

fn rungs(ladder: &Value) -> &[Value] {
    ladder["rungs"].as_array().map_or(&[], Vec::as_slice)
}

fn names<'a>(items: &'a [Value], field: &str) -> BTreeSet<&'a str> {
    items
        .iter()
        .filter_map(|item| item[field].as_str())
        .collect()
}

/// SIP messages in a capture file, as tshark counts them.
fn packets(file: &str) -> Result<usize> {
    let words = ["-r", file, "-Y", "sip", "-T", "fields", "-e", "sip.Call-ID"];
    let tshark = Command::new("tshark").args(words).output()?;
    Ok(String::from_utf8(tshark.stdout)?.lines().count())
}

#[test]
fn a_call_through_a_dispatcher_is_one_ladder_of_all_that_have_seen_it() -> Result<()> {
    let watched = Watched::start()?;
    let rest = watched.rest();
    let call = watched.call_at("berlin")?;
    let ladder = watched.ladder_with(&call, ("ACK", "edge", "berlin"));
    let legs = ladder["legs"].as_array().map(Vec::len);
    assert_eq!(legs, Some(2), "{ladder:#}");
    assert_eq!(ladder["unheard"], json!([]));
    // The phone, the dispatcher, the switch, the gateway.
    let lanes = ladder["lanes"].as_array().context("lanes")?;
    let of = |lane: &Value| (lane["node"].clone(), lane["address"].clone());
    let addresses = [watched.edge.sip().udp, watched.berlin.ready().sip.udp];
    assert_eq!(lanes.len(), 4, "{lanes:#?}");
    assert_eq!(of(&lanes[1]), (json!("edge"), json!(addresses[0])));
    assert_eq!(of(&lanes[2]), (json!("berlin"), json!(addresses[1])));
    assert_eq!(
        (&lanes[0]["node"], &lanes[3]["node"]),
        (&json!(""), &json!(""))
    );
    // What both have seen stands there once.
    let invites = rungs(&ladder)
        .iter()
        .filter(|rung| rung["title"] == "INVITE" && rung["repeats"].is_null());
    let invites: Vec<_> = invites
        .map(|rung| (rung["from"].clone(), rung["to"].clone()))
        .collect();
    let wanted = [(0, 1), (1, 2), (2, 3)].map(|(from, to)| (json!(from), json!(to)));
    assert_eq!(invites, wanted, "{ladder:#}");
    let times: Vec<_> = rungs(&ladder)
        .iter()
        .map(|rung| rung["at_us"].as_u64())
        .collect();
    assert!(times.is_sorted(), "{times:?}");

    let first = rungs(&ladder)[0]["id"].as_str().context("a message")?;
    let message = rest.read(&format!("/v1/traces/{first}"))?;
    assert_eq!(
        (&message["id"], &message["server_name"]),
        (&json!(first), &json!("edge"))
    );
    let text = message["text"].as_str().context("its text")?;
    assert!(text.starts_with("INVITE sip:493012345@"), "{text}");
    // The one that control has itself is drawn alike.
    let own = watched.own_name()?;
    let here = watched.call_at(&own)?;
    let ladder = watched.ladder_with(&here, ("ACK", "edge", &own));
    assert_eq!(ladder["lanes"][2]["node"], *own);
    Ok(())
}

#[test]
fn messages_of_all_machines_are_one_list_by_number_call_id_and_machine() -> Result<()> {
    let watched = Watched::start()?;
    let rest = watched.rest();
    let call = watched.call_at("berlin")?;
    let ladder = watched.ladder_with(&call, ("ACK", "edge", "berlin"));
    let id = ladder["legs"][0]["sip_call_id"]
        .as_str()
        .context("a Call-ID")?;
    let path = format!("/v1/traces?sip_call_id={id}");
    let whole = rest.read(&format!("{path}&limit=500"))?;
    let whole = whole["items"].as_array().context("messages")?;
    assert_eq!(
        names(whole, "server_name"),
        BTreeSet::from(["berlin", "edge"])
    );
    // Pages go through all machines in one order, and have each message once.
    let in_pages = rest.list(&format!("{path}&limit=3"))?;
    let ids = |all: &[Value]| all.iter().map(|one| one["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&in_pages), ids(whole));
    let times: Vec<_> = whole.iter().map(|one| one["at_us"].as_u64()).collect();
    assert!(
        times.iter().rev().is_sorted(),
        "the latest first: {times:?}"
    );

    let own = watched.own_name()?;
    let by_number = rest.list("/v1/traces?party=493012345&limit=20")?;
    let wanted = BTreeSet::from(["berlin", "edge", own.as_str()]);
    assert_eq!(names(&by_number, "server_name"), wanted);
    assert!(rest.list("/v1/traces?party=nobody")?.is_empty());
    let edge = watched.control.health("edge")["server"].clone();
    let edge = edge.as_str().context("a server")?;
    let at_edge = rest.list(&format!("{path}&server={edge}"))?;
    assert_eq!(names(&at_edge, "server_name"), BTreeSet::from(["edge"]));
    // The other leg has another Call-ID, which the dispatcher does not know.
    let with_legs = rest.list(&format!("{path}&legs=all"))?;
    assert!(with_legs.len() > whole.len(), "{}", with_legs.len());
    let words = ["trace", "list", "--sip-call-id", id, "--server", "edge"];
    let table = watched.control.platform.command_line(&words)?;
    assert_eq!(table.code, 0, "{}", table.stderr);
    assert!(table.stdout.contains("edge") && !table.stdout.contains("berlin"));
    Ok(())
}

#[test]
fn an_ended_call_is_exported_whole_and_who_is_silent_is_named() -> Result<()> {
    let watched = Watched::start()?;
    let rest = watched.rest();
    let call = watched.call_at("berlin")?;
    let (status, why) = rest.send("POST", &format!("/v1/calls/{call}/hangup"), None)?;
    assert_eq!(status, 204, "{why}");
    wait_for("the record of the call", || {
        rest.read(&format!("/v1/cdrs/{call}")).ok()
    });
    let ladder = watched.ladder_with(&call, ("BYE", "berlin", "edge"));
    let id = ladder["legs"][0]["sip_call_id"]
        .as_str()
        .context("a Call-ID")?;
    let directory = tempfile::tempdir()?;
    let control = &watched.control.platform;
    let export = |name: &str, words: &[&str]| -> Result<(String, String)> {
        let file = directory.path().join(name);
        let file = file.to_string_lossy().into_owned();
        let words = [&["trace", "export", "--file", &file], words].concat();
        let output = control.command_line(&words)?;
        assert_eq!(output.code, 0, "{}", output.stderr);
        Ok((file, output.stderr))
    };
    // As many packets as arrows: a message that two have seen is one.
    wait_for("the whole call in the capture file", || {
        let (file, _) = export("call.pcap", &["--call", &call]).ok()?;
        let packets = packets(&file).ok()?;
        let ladder = rest.read(&format!("/v1/calls/{call}/ladder")).ok()?;
        (packets > 10 && packets == rungs(&ladder).len()).then_some(())
    });
    let (file, _) = export("call.txt", &["--sip-call-id", id, "--legs"])?;
    let text = std::fs::read_to_string(file)?;
    for said in [
        " sent at edge\n",
        " received at berlin\n",
        " sent at berlin\n",
        "\nBYE ",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }

    drop(watched.edge);
    let ladder = wait_for("the dispatcher to be named", || {
        let ladder = rest.read(&format!("/v1/calls/{call}/ladder")).ok()?;
        (ladder["unheard"][0]["name"] == "edge").then_some(ladder)
    });
    assert_eq!(names(rungs(&ladder), "node"), BTreeSet::from(["berlin"]));
    let drawn = control.command_line(&["call", "trace", &call])?;
    assert_eq!(drawn.code, 0, "{}", drawn.stderr);
    assert!(
        drawn.stderr.contains("The messages of edge are missing"),
        "{}",
        drawn.stderr
    );
    assert!(drawn.stdout.contains("berlin"), "{}", drawn.stdout);
    let (_, said) = export("rest.txt", &["--call", &call])?;
    assert!(
        said.contains("The messages of edge are missing in it."),
        "{said}"
    );
    Ok(())
}
