//! Drafts, as who runs calls sees them: what is prepared changes no call, and applied it changes all
//! that come after, until it is rolled back.

use anyhow::Result;
use serde_json::{Value, json};
use testkit::{GatewaySpec, Peer, Platform, wait_for};

/// A platform with a customer whose calls to 49 go to one of two carriers.
struct Site {
    platform: Platform,
    caller: Peer,
    /// Gateways of the carrier that has the route, and of the other.
    old: Peer,
    new: Peer,
}

impl Site {
    fn new() -> Result<Self> {
        let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
        let peer = || Peer::new(platform.ready().sip.udp);
        let (caller, old, new) = (peer()?, peer()?, peer()?);
        let rest = platform.rest();
        rest.add_customer("127.0.0.1/32", &json!({}))?;
        rest.add_carrier("49", &[GatewaySpec::at(old.address())], &json!({}))?;
        Ok(Self {
            platform,
            caller,
            old,
            new,
        })
    }

    /// A command whose result is read.
    fn run(&self, words: &[&str]) -> Result<Value> {
        let all: Vec<&str> = words.iter().copied().chain(["-o", "json"]).collect();
        let done = self.platform.command_line(&all)?;
        assert_eq!(done.code, 0, "{words:?}: {}", done.stderr);
        Ok(serde_json::from_str(&done.stdout).unwrap_or(Value::Null))
    }

    /// A call to 4930 that `callee` refuses.
    fn call_rings(&self, callee: &Peer) -> Result<()> {
        let call = self.caller.invite("4930")?;
        callee.refuse("486 Busy Here")?;
        assert_eq!(self.caller.refused(&call)?.status(), Some(486));
        Ok(())
    }

    /// The first attempt of a call to 4930, as things are or in the draft.
    fn first_way(&self, draft: &[&str]) -> Result<String> {
        let words = ["route", "simulate", "4930", "--source", "127.0.0.1"];
        let simulated = self.run(&[&words, draft].concat())?;
        Ok(simulated["targets"][0]["uri"].to_string())
    }
}

#[test]
fn a_draft_changes_no_call_before_it_is_applied_and_none_after_it_is_rolled_back() -> Result<()> {
    let mut site = Site::new()?;
    for _ in 0..3 {
        site.call_rings(&site.old)?;
    }
    wait_for("the records", || {
        let stored = site.platform.rest().list("/v1/cdrs").ok()?;
        (stored.len() == 3).then_some(())
    });
    site.run(&["draft", "create", "spring"])?;
    let draft = ["--draft", "spring"];
    let within = |words: &[&str]| site.run(&[words, &draft].concat());
    within(&["carrier", "create", "north"])?;
    let host = site.new.address().ip().to_string();
    let port = site.new.address().port().to_string();
    let gateway = ["gateway", "create", "north-1", "--carrier", "north"];
    within(&[&gateway[..], &["--host", &host, "--port", &port]].concat())?;
    within(&["route", "update", "49", "--carrier", "north"])?;

    // Nothing of it is in force, and it says what it would do.
    site.call_rings(&site.old)?;
    assert!(
        site.first_way(&[])?
            .contains(&site.old.address().port().to_string())
    );
    assert!(site.first_way(&draft)?.contains(&port));
    let shown = site
        .platform
        .command_line(&["draft", "show", "spring"])?
        .stdout;
    assert!(shown.contains("~ routes 49"), "{shown}");
    assert!(shown.contains("+ gateways north-1"), "{shown}");
    wait_for("the record", || {
        let stored = site.platform.rest().list("/v1/cdrs").ok()?;
        (stored.len() == 4).then_some(())
    });
    let replayed = site.run(&["draft", "replay", "spring"])?;
    assert_eq!(replayed["calls"], 4, "{replayed}");
    assert_eq!(replayed["elsewhere"], 4, "{replayed}");
    assert_eq!(replayed["not_as_recorded"], 0, "{replayed}");
    let load = |name: &str| {
        let gateways = replayed["gateways"].as_array().cloned().unwrap_or_default();
        let found = gateways
            .into_iter()
            .find(|load| load["gateway_name"] == name);
        found.map(|load| (load["calls"].clone(), load["draft_calls"].clone()))
    };
    assert_eq!(load("north-1"), Some((json!(0), json!(4))), "{replayed}");

    // It outlives the program, before it is applied and after.
    site.platform.kill_9();
    site.platform.restart()?;
    site.run(&["draft", "apply", "spring"])?;
    site.call_rings(&site.new)?;
    site.platform.kill_9();
    site.platform.restart()?;
    site.run(&["draft", "rollback", "spring"])?;
    site.call_rings(&site.old)?;
    let carriers = site.platform.command_line(&["carrier", "list"])?.stdout;
    assert!(!carriers.contains("north"), "{carriers}");
    Ok(())
}

#[test]
fn what_takes_effect_at_once_is_refused_in_a_draft() -> Result<()> {
    let site = Site::new()?;
    site.run(&["draft", "create", "spring"])?;
    let words = ["person", "create", "eve", "--draft", "spring"];
    let done = site.platform.command_line(&words)?;
    assert_ne!(done.code, 0);
    assert!(
        done.stderr.contains("takes effect at once"),
        "{}",
        done.stderr
    );
    let words = ["carrier", "list", "--draft", "autumn"];
    let done = site.platform.command_line(&words)?;
    assert!(
        done.stderr.contains("there is no draft autumn"),
        "{}",
        done.stderr
    );
    Ok(())
}
