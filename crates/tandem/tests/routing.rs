//! Where calls go, as customers and carriers see it.

use anyhow::Result;
use serde_json::{Value, json};
use testkit::{Credentials, GatewaySpec, Peer, Platform, record_path, session, wait_for};

fn platform() -> Result<Platform> {
    Platform::start(env!("CARGO_BIN_EXE_tandem"))
}

fn peer(platform: &Platform) -> Result<Peer> {
    Peer::new(platform.ready().sip.udp)
}

#[test]
fn a_number_called_by_a_carrier_rings_its_user() -> Result<()> {
    let platform = platform()?;
    let rest = platform.rest();
    let (carrier, alice) = (peer(&platform)?, peer(&platform)?);
    rest.add_carrier("", &[GatewaySpec::at(carrier.address())], &json!({}))?;
    let record = rest.first("gateways")?;
    rest.change(
        &record_path("gateways", &record),
        &json!({ "inbound": true }),
    )?;
    let users = rest.list("/v1/users")?;
    let owner = users.iter().find(|u| u["name"] == "alice");
    let number = json!({
        "account": rest.account()?,
        "number": "+493012345",
        "target": { "kind": "user", "user": owner.map(|u| &u["id"]) },
    });
    rest.create("/v1/numbers", &number)?;
    alice.register_routable(&platform, "alice")?;
    for dialled in ["+493012345", "%2B493012345"] {
        let call = carrier.invite(dialled)?;
        alice.refuse("486 Busy Here")?;
        assert_eq!(carrier.refused(&call)?.status(), Some(486));
    }
    let call = carrier.invite("+493099999")?;
    assert_eq!(carrier.refused(&call)?.status(), Some(404));
    Ok(())
}

#[test]
fn a_customer_proves_itself_by_digest_and_its_numbers_are_rewritten() -> Result<()> {
    let platform = platform()?;
    let rest = platform.rest();
    let carrier = peer(&platform)?;
    let plus = json!({ "rewrite": { "strip_digits": 2, "prepend": "+" } });
    rest.add_carrier("", &[GatewaySpec::at(carrier.address())], &plus)?;
    let customer = json!({
        "account": rest.account()?,
        "name": "pbx",
        "auth": { "kind": "digest", "auth_name": "pbx-1", "password": "a long enough secret" },
    });
    rest.create("/v1/customers", &customer)?;
    let pbx = Credentials {
        username: "pbx-1".into(),
        password: "a long enough secret".into(),
    };
    let caller = peer(&platform)?;
    let offer = session("127.0.0.1:40000".parse()?);
    let call = caller.send_with_digest(&pbx, "INVITE", "sip:0049301@127.0.0.1", &[], &offer)?;
    let invited = carrier.refuse("486 Busy Here")?;
    assert!(invited.start.contains("sip:+49301@"), "{}", invited.start);
    assert_eq!(invited.header("Authorization"), None, "secrets stay here");
    assert_eq!(caller.refused(&call)?.status(), Some(486));
    Ok(())
}

#[test]
fn lower_priority_first_and_weights_share_the_rest() -> Result<()> {
    let platform = platform()?;
    let rest = platform.rest();
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    let (caller, best) = (peer(&platform)?, peer(&platform)?);
    let (heavy, light) = (peer(&platform)?, peer(&platform)?);
    let specs = [
        GatewaySpec::at(best.address()),
        GatewaySpec {
            address: heavy.address(),
            priority: 5,
        },
        GatewaySpec {
            address: light.address(),
            priority: 5,
        },
    ];
    rest.add_carrier("", &specs, &json!({}))?;
    for record in rest.list("/v1/gateways")? {
        if record["port"] == heavy.address().port() {
            rest.change(&record_path("gateways", &record), &json!({ "weight": 3 }))?;
        }
    }
    let mut heavies = 0;
    for _ in 0..60 {
        let call = caller.invite("49301")?;
        best.refuse("480 Temporarily Unavailable")?;
        assert_eq!(caller.refused(&call)?.status(), Some(480));
    }
    let record = rest.list("/v1/gateways")?;
    let best_record = record.iter().find(|g| g["priority"] == 0);
    let off = json!({ "enabled": false });
    rest.change(
        &record_path("gateways", best_record.unwrap_or(&Value::Null)),
        &off,
    )?;
    for _ in 0..60 {
        let call = caller.invite("49301")?;
        let taker = wait_for("one of both gateways", || {
            [&heavy, &light].into_iter().find(|g| g.has_received())
        });
        heavies += usize::from(std::ptr::eq(taker, &raw const heavy));
        taker.refuse("486 Busy Here")?;
        assert_eq!(caller.refused(&call)?.status(), Some(486));
    }
    assert!((30..58).contains(&heavies), "{heavies} of 60, 45 expected");
    Ok(())
}

#[test]
fn the_longest_prefix_wins_and_the_simulation_says_so() -> Result<()> {
    let platform = platform()?;
    let rest = platform.rest();
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    let (caller, world, berlin) = (peer(&platform)?, peer(&platform)?, peer(&platform)?);
    rest.add_carrier("49", &[GatewaySpec::at(world.address())], &json!({}))?;
    rest.add_carrier("4930", &[GatewaySpec::at(berlin.address())], &json!({}))?;
    for (number, taker) in [("493012345", &berlin), ("498912345", &world)] {
        let question = json!({ "called": number, "caller": "1", "source": "127.0.0.1" });
        let said = rest.create("/v1/routes/simulate", &question)?;
        let uri = said["targets"][0]["uri"].as_str().unwrap_or_default();
        assert!(uri.contains(&taker.address().to_string()), "{said}");
        let call = caller.invite(number)?;
        let invited = taker.refuse("486 Busy Here")?;
        assert_eq!(invited.start, format!("INVITE {uri} SIP/2.0"));
        assert_eq!(caller.refused(&call)?.status(), Some(486));
    }
    let call = caller.invite("3312345")?;
    assert_eq!(caller.refused(&call)?.status(), Some(404));
    Ok(())
}

#[test]
fn a_call_that_goes_round_between_two_platforms_ends() -> Result<()> {
    let (one, other) = (platform()?, platform()?);
    for (here, there) in [(&one, &other), (&other, &one)] {
        let rest = here.rest();
        rest.change("/v1/settings", &json!({ "media": "bypass" }))?;
        rest.add_customer("127.0.0.1/32", &json!({}))?;
        let spec = GatewaySpec::at(there.ready().sip.udp);
        rest.add_carrier("", &[spec], &json!({}))?;
    }
    let caller = peer(&one)?;
    let call = caller.invite("493012345")?;
    let end = caller.refused(&call)?;
    assert_eq!(end.status(), Some(483), "{end:?}");
    let legs = one.rest().list("/v1/cdrs")?.len() + other.rest().list("/v1/cdrs")?.len();
    assert!(legs <= 71, "{legs} legs");
    for platform in [&one, &other] {
        platform.wait_until_idle();
    }
    Ok(())
}
