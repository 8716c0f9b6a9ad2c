//! Replies have the shapes of a stock rtpengine's, so that scripts written for it find what they look
//! for.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testkit::{MediaServer, Rtpengine};

use crate::call::Phone;

/// The same questions to both, and their answers.
struct Pair {
    ours: MediaServer,
    stock: Rtpengine,
}

impl Pair {
    fn ask(&self, command: &str, more: &Value) -> [Value; 2] {
        let mut request = json!({"command": command, "call-id": "c"});
        for (key, value) in more.as_object().into_iter().flatten() {
            request[key] = value.clone();
        }
        [self.ours.ask(&request), self.stock.ask(&request)]
    }

    /// Asks both; their answers say the same keys, and the same as result.
    #[track_caller]
    fn same(&self, command: &str, more: &Value) -> [Value; 2] {
        let [ours, stock] = self.ask(command, more);
        assert_eq!(ours["result"], stock["result"], "{command}: {ours} {stock}");
        assert_eq!(keys(&ours), keys(&stock), "{command}: {ours} {stock}");
        [ours, stock]
    }
}

fn keys(value: &Value) -> Vec<&str> {
    let keys = value
        .as_object()
        .into_iter()
        .flat_map(|object| object.keys());
    let mut keys: Vec<&str> = keys.map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// The lines of a description, less ports, addresses and what is each server's own.
fn media_lines(answer: &Value) -> Vec<String> {
    let sdp = answer["sdp"].as_str().unwrap_or_default();
    let lines = sdp.lines().skip_while(|line| !line.starts_with("m="));
    let kept = lines.filter(|line| !line.starts_with("c=") && !line.starts_with("a=rtcp:"));
    let mut lines: Vec<String> = kept
        .map(|line| match line.strip_prefix("m=audio ") {
            Some(rest) => rest.split_once(' ').map_or("", |(_, rest)| rest).to_owned(),
            None => line.to_owned(),
        })
        .collect();
    lines.sort_unstable();
    lines
}

/// The keys of one value that the other lacks.
fn missing<'a>(ours: &Value, stock: &'a Value) -> Vec<&'a str> {
    let own = keys(ours);
    let mut all = keys(stock);
    all.retain(|key| !own.contains(key));
    all
}

fn pair() -> Result<Pair> {
    Ok(Pair {
        ours: MediaServer::start(env!("CARGO_BIN_EXE_tandem"), &[])?,
        stock: Rtpengine::start()?,
    })
}

#[test]
fn subscriptions_are_answered_as_rtpengine_answers_them() -> Result<()> {
    let pair = pair()?;
    let (a, b, listener) = (Phone::new()?, Phone::new()?, Phone::new()?);
    pair.same("offer", &json!({"from-tag": "a", "sdp": a.sdp()}));
    pair.same(
        "answer",
        &json!({"from-tag": "a", "to-tag": "b", "sdp": b.sdp()}),
    );
    let [ours, stock] = pair.same(
        "subscribe request",
        &json!({"from-tag": "a", "to-tag": "s"}),
    );
    for key in ["from-tag", "from-tags", "to-tag"] {
        assert_eq!(ours[key], stock[key], "{key}");
    }
    assert_eq!(media_lines(&ours), media_lines(&stock));
    let sdp = listener.sdp_with("recvonly", "");
    pair.same("subscribe answer", &json!({"to-tag": "s", "sdp": sdp}));
    let [ours, stock] = pair.same(
        "subscribe request",
        &json!({"flags": ["all"], "to-tag": "all"}),
    );
    assert_eq!(ours["from-tags"], stock["from-tags"]);
    assert_eq!(media_lines(&ours), media_lines(&stock));
    pair.same("unsubscribe", &json!({"to-tag": "s"}));
    let [ours, stock] = pair.ask("subscribe answer", &json!({"to-tag": "x", "sdp": a.sdp()}));
    assert_eq!(
        (&ours["result"], &stock["result"]),
        (&json!("error"), &json!("error"))
    );
    let unknown = json!({"call-id": "nobody", "from-tag": "a"});
    let [ours, stock] = pair.same("subscribe request", &unknown);
    assert_eq!(ours["error-reason"], stock["error-reason"]);
    Ok(())
}

#[test]
fn what_is_published_is_answered_as_rtpengine_answers_it() -> Result<()> {
    let pair = pair()?;
    let author = Phone::new()?;
    let request = json!({"from-tag": "p", "sdp": author.sdp_with("sendonly", "")});
    let [ours, stock] = pair.ask("publish", &request);
    assert_eq!(
        (&ours["result"], &stock["result"]),
        (&json!("ok"), &json!("ok"))
    );
    assert_eq!(media_lines(&ours), media_lines(&stock));
    Ok(())
}

#[test]
fn a_query_has_all_that_rtpengine_says() -> Result<()> {
    let pair = pair()?;
    let (a, b) = (Phone::new()?, Phone::new()?);
    pair.same("offer", &json!({"from-tag": "a", "sdp": a.sdp()}));
    pair.same(
        "answer",
        &json!({"from-tag": "a", "to-tag": "b", "sdp": b.sdp()}),
    );
    let [ours, stock] = pair.ask("query", &json!({}));
    let none: [&str; 0] = [];
    assert_eq!(missing(&ours, &stock), none);
    let at = |path: &str| -> Result<[&Value; 2]> {
        let ours = ours.pointer(path).context("ours")?;
        Ok([ours, stock.pointer(path).context("the stock one's")?])
    };
    for path in [
        "/totals",
        "/totals/RTP",
        "/tags",
        "/tags/a",
        "/tags/a/subscriptions/0",
        "/tags/a/medias/0",
        "/tags/a/medias/0/streams/0",
        "/tags/a/medias/0/streams/0/endpoint",
        "/tags/a/medias/0/streams/0/stats",
        "/tags/a/medias/0/streams/1",
    ] {
        let [ours, stock] = at(path)?;
        let stock_alone = missing(ours, stock);
        // No codec is said before a packet has come.
        let stock_alone: Vec<&str> = stock_alone.into_iter().filter(|k| *k != "codec").collect();
        assert_eq!(stock_alone, none, "{path}: {ours} {stock}");
    }
    Ok(())
}

#[test]
fn ice_is_offered_where_rtpengine_offers_it() -> Result<()> {
    let pair = pair()?;
    let phone = Phone::new()?;
    let ice = "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n\
        a=candidate:1 1 UDP 2130706431 127.0.0.1 4000 typ host\r\n";
    let sdps = [phone.sdp(), phone.sdp_with("sendrecv", ice)];
    for said in [None, Some("default"), Some("remove"), Some("force")] {
        for (came, sdp) in [false, true].into_iter().zip(&sdps) {
            let mut asked = json!({"from-tag": "a", "call-id": format!("{said:?} {came}")});
            asked["sdp"] = json!(sdp);
            if let Some(said) = said {
                asked["ICE"] = json!(said);
            }
            let offers = pair.ask("offer", &asked).map(|answer| {
                let sdp = answer["sdp"].as_str().unwrap_or_default();
                assert!(!sdp.contains("ice-ufrag:abcd"), "{answer}");
                assert!(!sdp.contains(" 4000 typ host"), "{answer}");
                sdp.contains("a=ice-ufrag:") && sdp.contains("a=candidate:")
            });
            assert_eq!(offers[0], offers[1], "ICE={said:?}, came: {came}");
            let expected = said == Some("force") || came && said != Some("remove");
            assert_eq!(offers[0], expected, "ICE={said:?}, came: {came}");
        }
    }
    Ok(())
}
