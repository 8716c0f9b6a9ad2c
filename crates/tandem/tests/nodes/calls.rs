//! Calls of joined nodes as control shows and ends them, and what happens there as control tells it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testkit::{Platform, Rest, Sipp, wait_for};

use crate::control::{BINARY, Control};

/// Calls that go on until they are ended here.
fn talkers(calls: u32, towards: SocketAddr) -> Result<Sipp> {
    let sipp = Sipp::new("uac")?.service("493012345");
    let sipp = sipp.set("TALK_MS", "600000").calls(calls, 50, calls);
    sipp.start_towards(towards)
}

/// A platform with two calls at control and three at the node, all answered.
struct Talking {
    control: Control,
    node: Platform,
    berlin: String,
    _peers: [Sipp; 3],
}

impl Talking {
    fn start() -> Result<Self> {
        let control = Control::start()?;
        let callee = Sipp::new("uas")?.calls(1_000, 100, 1_000).start()?;
        control.route_to(&callee)?;
        let node = control.node("berlin")?;
        let health = control.wait_for_state("berlin", "up");
        let berlin = health["server"].as_str().context("no server")?.to_owned();
        let at_control = talkers(2, control.platform.ready().sip.udp)?;
        let at_node = talkers(3, node.ready().sip.udp)?;
        let talking = Self {
            control,
            node,
            berlin,
            _peers: [callee, at_control, at_node],
        };
        wait_for("five answered calls", || {
            let page = talking.rest().read("/v1/calls?state=answered").ok()?;
            (page["total"] == 5).then_some(())
        });
        Ok(talking)
    }

    fn rest(&self) -> Rest {
        self.control.platform.rest()
    }

    /// The calls of the node, as control lists them.
    fn at_node(&self) -> Result<Vec<Value>> {
        self.rest()
            .list(&format!("/v1/calls?server={}", self.berlin))
    }
}

fn ids(calls: &[Value]) -> Vec<&str> {
    calls
        .iter()
        .filter_map(|call| call["id"].as_str())
        .collect()
}

#[test]
fn calls_of_all_servers_are_one_list_at_control_and_end_there() -> Result<()> {
    let talking = Talking::start()?;
    let rest = talking.rest();
    // Pages go through both servers in one order, and have each call once.
    let all = rest.list("/v1/calls?limit=2")?;
    let mut in_order = ids(&all);
    in_order.sort_unstable();
    in_order.dedup();
    assert_eq!((ids(&all), all.len()), (in_order, 5));
    let first = rest.read("/v1/calls?limit=2")?;
    assert_eq!(
        (&first["total"], &first["unheard"]),
        (&json!(5), &json!([]))
    );
    let mut by_name: BTreeMap<&str, usize> = BTreeMap::new();
    for call in &all {
        *by_name
            .entry(call["server_name"].as_str().unwrap_or(""))
            .or_default() += 1;
    }
    assert_eq!((by_name.len(), by_name["berlin"]), (2, 3), "{by_name:?}");
    let own = talking.control.own_server()?;
    assert_eq!(rest.list(&format!("/v1/calls?server={own}"))?.len(), 2);
    assert_eq!(rest.list("/v1/calls?called=nobody")?.len(), 0);
    let at_node = talking.at_node()?;
    assert!(at_node.iter().all(|call| call["server"] == *talking.berlin));

    let call = at_node[0]["id"].as_str().context("no id")?.to_owned();
    let shown = rest.read(&format!("/v1/calls/{call}"))?;
    assert_eq!(shown["server_name"], "berlin");
    assert_eq!(shown["legs"].as_array().map(Vec::len), Some(2));
    let control = &talking.control.platform;
    let table = control.command_line(&["call", "list", "--server", "berlin"])?;
    assert_eq!(
        table.stdout.matches("berlin").count(),
        3,
        "{}",
        table.stdout
    );

    let ended = control.command_line(&["call", "hangup", &call])?;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    wait_for("the call to end at the node", || {
        let left = talking.node.rest().list("/v1/calls").ok()?;
        (left.len() == 2 && !ids(&left).contains(&&*call)).then_some(())
    });
    assert_eq!(rest.list("/v1/calls")?.len(), 4);
    let (status, _) = rest.send("POST", &format!("/v1/calls/{call}/hangup"), None)?;
    assert_eq!(status, 404, "it is over");
    Ok(())
}

#[test]
fn the_messages_of_a_call_elsewhere_are_drawn_at_control() -> Result<()> {
    let talking = Talking::start()?;
    let rest = talking.rest();
    let call = talking.at_node()?[0]["id"].clone();
    let call = call.as_str().context("no id")?;
    let ladder = wait_for("the answer in the ladder", || {
        let ladder = rest.read(&format!("/v1/calls/{call}/ladder")).ok()?;
        let legs = ladder["legs"].as_array()?;
        let answered = legs.iter().filter(|leg| !leg["answer_delay_us"].is_null());
        (answered.count() == 2).then_some(ladder)
    });
    let invite = ladder["rungs"][0]["id"].as_str().context("no message")?;
    let message = rest.read(&format!("/v1/traces/{invite}"))?;
    let text = message["text"].as_str().context("no text")?;
    assert!(text.starts_with("INVITE sip:493012345@"), "{text}");
    assert_eq!(message["id"], invite);
    // When it has ended the messages are still where they were.
    rest.send("POST", &format!("/v1/calls/{call}/hangup"), None)?;
    wait_for("the record of the call", || {
        rest.read(&format!("/v1/cdrs/{call}")).ok()
    });
    let ladder = rest.read(&format!("/v1/calls/{call}/ladder"))?;
    let has_bye = ladder.to_string().contains("BYE");
    assert!(has_bye, "{ladder}");
    Ok(())
}

#[test]
fn who_is_confined_to_an_account_sees_and_ends_no_calls_of_others_anywhere() -> Result<()> {
    let talking = Talking::start()?;
    let rest = talking.rest();
    let other = rest.create("/v1/accounts", &json!({ "name": "other" }))?;
    let token = |account: &Value| -> Result<Rest> {
        let wanted = json!({ "name": "confined", "role": "operator", "account": account });
        let made = rest.create("/v1/tokens", &wanted)?;
        Ok(rest.with_token(made["token"].as_str().context("no token")?))
    };
    let stranger = token(&other["id"])?;
    let page = stranger.read("/v1/calls")?;
    assert_eq!((&page["items"], &page["total"]), (&json!([]), &json!(0)));
    let call = talking.at_node()?[0].clone();
    let path = format!("/v1/calls/{}", call["id"].as_str().context("no id")?);
    let asked = |rest: &Rest, method: &str, path: &str| -> Result<u16> {
        Ok(rest.send(method, path, None)?.0)
    };
    let hangup = format!("{path}/hangup");
    assert_eq!(asked(&stranger, "GET", &path)?, 404);
    assert_eq!(asked(&stranger, "POST", &hangup)?, 404);
    assert_eq!(asked(&stranger, "GET", &format!("{path}/ladder"))?, 403);
    assert_eq!(talking.at_node()?.len(), 3, "none of them has ended");

    assert!(call["account"].is_string(), "{call}");
    let owner = token(&call["account"])?;
    assert_eq!(owner.read("/v1/calls")?["total"], 5);
    assert_eq!(asked(&owner, "POST", &hangup)?, 204);
    wait_for("the call to end", || {
        (talking.at_node().ok()?.len() == 2).then_some(())
    });
    Ok(())
}

#[test]
fn a_server_that_does_not_answer_is_named_and_keeps_nobody_from_the_others() -> Result<()> {
    let mut talking = Talking::start()?;
    // It has a line, and says nothing by it.
    talking.node.program().hang()?;
    let page = wait_for("the hung server to be named", || {
        let page = talking.rest().read("/v1/calls").ok()?;
        Some(page).filter(|page| page["unheard"][0]["name"] == "berlin")
    });
    assert_eq!(
        (&page["total"], &page["unheard"][1]),
        (&json!(2), &Value::Null)
    );
    assert_eq!(page["items"].as_array().map(Vec::len), Some(2));
    assert!(page["unheard"][0]["heard_us"].is_u64(), "{page}");
    talking.node.kill_9();
    wait_for("the line to be over", || {
        let page = talking.rest().read("/v1/calls").ok()?;
        let why = page["unheard"][0]["why"].as_str()?.to_owned();
        why.contains("no line").then_some(())
    });
    let control = &talking.control.platform;
    let table = control.command_line(&["call", "list"])?;
    assert_eq!(table.code, 0, "{}", table.stderr);
    let said = "The calls of berlin are missing: it has no line to control.";
    assert!(table.stderr.contains(said), "{}", table.stderr);
    let gone = "/v1/calls/call_01M7Y27XAH1N5K52CP36TC7MCB";
    let (status, problem) = talking.rest().send("GET", gone, None)?;
    assert_eq!(status, 404);
    assert!(
        problem["detail"]
            .as_str()
            .is_some_and(|d| d.contains("berlin")),
        "{problem}"
    );
    let (status, _) = talking.rest().send("DELETE", gone, None)?;
    assert_eq!(status, 503, "nobody knows whether it is over");
    Ok(())
}

/// Somebody who watches what happens, until this is dropped.
struct Watcher(Child);

impl Watcher {
    fn of(control: &Control) -> Result<Self> {
        let mut command = Command::new(BINARY);
        command.arg("--data").arg(control.platform.data());
        command.args(["event", "follow"]);
        Ok(Self(command.stdout(Stdio::null()).spawn()?))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How often each call of a server was said to have begun.
fn begun(rest: &Rest, server: &str) -> Option<BTreeMap<String, usize>> {
    let path = format!("/v1/events/recent?limit=500&topics=calls&server={server}");
    let page = rest.read(&path).ok()?;
    let mut begun = BTreeMap::new();
    for event in page["items"].as_array()? {
        assert_eq!(event["server_name"], "berlin", "{event}");
        if event["name"] == "call.started" {
            let id = event["data"]["id"].as_str()?.to_owned();
            *begun.entry(id).or_default() += 1;
        }
    }
    Some(begun)
}

#[test]
fn what_happens_at_a_node_arrives_at_control_once_though_control_was_away() -> Result<()> {
    let mut control = Control::start()?;
    let callee = Sipp::new("uas")?.calls(1_000, 100, 1_000).start()?;
    control.route_to(&callee)?;
    let node = control.node("berlin")?;
    let health = control.wait_for_state("berlin", "up");
    let berlin = health["server"].as_str().context("no server")?.to_owned();
    let watcher = Watcher::of(&control)?;
    let callers = |calls: u32| -> Result<()> {
        let sipp = Sipp::new("uac")?.service("493012345").set("TALK_MS", "50");
        sipp.calls(calls, 50, calls).run(node.ready().sip.udp)?;
        Ok(())
    };
    // From when on the node tells is its own affair.
    wait_for("the first event of the node", || {
        callers(1).ok()?;
        let begun = begun(&control.platform.rest(), &berlin)?;
        (!begun.is_empty()).then_some(())
    });
    control.platform.kill_9();
    callers(20)?;
    control.platform.restart()?;
    let begun = wait_for("the events of when control was away", || {
        let begun = begun(&control.platform.rest(), &berlin)?;
        (begun.len() >= 20).then_some(begun)
    });
    assert!(begun.values().all(|times| *times == 1), "{begun:?}");
    let of_control = control.own_server()?;
    let path = format!("/v1/events/recent?topics=calls&server={of_control}");
    assert_eq!(control.platform.rest().list(&path)?.len(), 0);
    drop(watcher);
    Ok(())
}
