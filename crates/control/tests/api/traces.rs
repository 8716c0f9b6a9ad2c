//! `/v1/traces`, over a node with three messages.

use store::CdrStore as _;
use trace::{Direction, Seen, Transport};

use crate::fixture::{Api, call};

fn seen(number: u64, payload: &str) -> (store::TraceId, Seen) {
    let seen = Seen {
        at_us: 1_700_000_000_000_000 + number,
        transport: Transport::Tls,
        direction: Direction::Received,
        from: "192.0.2.1:5061".parse().unwrap(),
        to: "192.0.2.2:5061".parse().unwrap(),
        node: "".into(),
        correlation: [].into(),
        left_out_bytes: 0,
        payload: payload.as_bytes().to_vec(),
    };
    (format!("0-{number:x}").parse().unwrap(), seen)
}

fn api() -> Api {
    let api = Api::new();
    let head =
        "From: <sip:alice@a>;tag=1\r\nTo: <sip:bob@b>\r\nCall-ID: id@a\r\nCSeq: 1 INVITE\r\n\r\n";
    let mut state = api.node.state.lock().unwrap();
    state
        .traced
        .push(seen(1, &format!("INVITE sip:bob@b SIP/2.0\r\n{head}")));
    state
        .traced
        .push(seen(2, &format!("SIP/2.0 100 Trying\r\n{head}")));
    state
        .traced
        .push(seen(3, &format!("SIP/2.0 486 Busy Here\r\n{head}")));
    drop(state);
    api
}

#[tokio::test]
async fn messages_are_listed_the_latest_first_and_shown_with_their_text() {
    let api = api();
    let answer = api.get("/v1/traces?limit=2&party=alice&kind=calls").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.body["items"][0]["title"], "486 Busy Here");
    assert_eq!(answer.body["items"][0]["caller"], "alice");
    assert_eq!(answer.body["items"][0]["transport"], "tls");
    assert_eq!(answer.body["unheard"], serde_json::json!([]));
    let asked = api.node.state.lock().unwrap().searches[0].clone();
    assert_eq!(asked.wanted.party.as_deref(), Some("alice"));
    let cursor = answer.body["next_cursor"].as_str().unwrap();
    let rest = api
        .get(&format!("/v1/traces?limit=2&cursor={cursor}"))
        .await;
    assert_eq!(rest.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(rest.body["items"][0]["title"], "INVITE");
    assert_eq!(rest.body["next_cursor"], serde_json::Value::Null);
    let nowhere = api.get("/v1/traces?cursor=0-2").await;
    nowhere.is_problem(400, "malformed");
    let one = api.get("/v1/traces/0-1").await;
    assert!(
        one.body["text"]
            .as_str()
            .unwrap()
            .starts_with("INVITE sip:bob@b")
    );
    api.get("/v1/traces/0-9").await.is_problem(404, "not-found");
    api.get("/v1/traces?address=nowhere")
        .await
        .is_problem(400, "malformed");
}

#[tokio::test]
async fn a_call_is_a_ladder_from_a_little_before_it_began() {
    let api = api();
    let mut live = call(1);
    live.start_us = 1_700_000_000_000_000;
    live.legs.push(model::LegView {
        sip_call_id: "id@a".into(),
        remote: "udp:192.0.2.1:5060".into(),
        uri: "sip:alice@a".into(),
        held: false,
    });
    let id = live.id;
    api.node.state.lock().unwrap().calls.push(live);
    let answer = api.get(&format!("/v1/calls/{id}/ladder")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.body["rungs"].as_array().unwrap().len(), 3);
    assert_eq!(answer.body["legs"][0]["sip_call_id"], "id@a");
    assert_eq!(answer.body["lanes"][1]["is_ours"], true);
    let asked = api.node.state.lock().unwrap().searches[0].clone();
    assert_eq!(asked.wanted.call_ids, ["id@a"]);
    assert_eq!(asked.wanted.from_us, Some(1_699_999_990_000_000));
    assert_eq!(asked.legs, store::TraceLegs::All);
    let listed = api.get(&format!("/v1/traces?call={id}")).await;
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 3);
    let unknown = "/v1/calls/call_00000000000000000000000000/ladder";
    api.get(unknown).await.is_problem(404, "not-found");
}

#[tokio::test]
async fn an_ended_call_of_another_node_is_said_to_be_there() {
    let api = api();
    let mut there = crate::cdrs::cdr(1);
    there.node = "n2".into();
    let here = crate::cdrs::cdr(2);
    api.store
        .insert_batch(&[there.clone(), here.clone()])
        .unwrap();
    api.node.state.lock().unwrap().traced.clear();
    let path = |call| format!("/v1/calls/{call}/ladder");
    let answer = api.get(&path(there.call)).await;
    answer.is_problem(409, "elsewhere");
    assert!(
        answer.text.contains("n2: tandem trace ladder a,1"),
        "{}",
        answer.text
    );
    let answer = api.get(&path(here.call)).await;
    assert_eq!(
        answer.body["rungs"],
        serde_json::json!([]),
        "nothing is kept of it"
    );
}

#[tokio::test]
async fn exports_are_in_the_order_of_time() {
    let api = api();
    let text = api.get("/v1/traces/export.txt?sip_call_id=id%40a").await;
    let starts: Vec<_> = ["INVITE", "100 Trying", "486 Busy"]
        .iter()
        .map(|start| text.text.find(start).unwrap())
        .collect();
    assert!(starts.is_sorted(), "{}", text.text);
    assert!(text.header("content-disposition").contains("trace.txt"));
    let status = api.get("/v1/traces/status").await;
    assert_eq!(
        (&status.body["kept"], &status.body["dropped"]),
        (&3.into(), &2.into())
    );
}
