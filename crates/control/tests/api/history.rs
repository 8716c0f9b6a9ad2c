//! `/v1/history`, over a store with a few minutes of two servers.

use model::{Role, SAMPLE_US, Sample, ServerId};
use serde_json::{Value, json};
use store::HistoryStore;

use crate::fixture::Api;

/// Minutes since the Unix epoch of which the first is the beginning of an hour; so long ago that
/// nothing is kept for real.
const FIRST: u64 = 28_000_020;

fn sample(minute: u64, attempts: u64) -> Sample {
    Sample {
        at_us: (FIRST + minute) * SAMPLE_US,
        covered_ms: 60_000,
        host: "north".into(),
        attempts,
        answered: attempts / 2,
        failed: attempts - attempts / 2,
        ..Sample::default()
    }
}

fn server(n: u64) -> ServerId {
    ServerId::from_parts(n, 7)
}

fn api() -> Api {
    let api = Api::new();
    let keep = |n, samples: &[Sample]| api.store.keep_samples(server(n), samples).unwrap();
    keep(1, &[sample(0, 6), sample(1, 0), sample(3, 2)]);
    keep(2, &[sample(0, 4)]);
    api
}

fn path(minutes: u64, more: &str) -> String {
    let (from_us, to_us) = (FIRST * SAMPLE_US, (FIRST + minutes) * SAMPLE_US);
    format!("/v1/history?from_us={from_us}&to_us={to_us}{more}")
}

fn figure<'a>(body: &'a Value, name: &str) -> &'a Value {
    &body["figures"][name]
}

#[tokio::test]
async fn a_minute_that_nobody_measured_is_null_and_one_without_calls_is_0() {
    let api = api();
    let answer = api.get(&path(5, "")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = &answer.body;
    assert_eq!(body["step_s"], 60);
    assert_eq!(body["at_us"].as_array().unwrap().len(), 5);
    assert_eq!(
        figure(body, "attempts"),
        &json!([10.0, 0.0, null, 2.0, null])
    );
    assert_eq!(figure(body, "servers"), &json!([2.0, 1.0, null, 1.0, null]));
    assert_eq!(figure(body, "asr"), &json!([50.0, null, null, 50.0, null]));
    assert_eq!(
        figure(body, "memory_bytes"),
        &json!([null, null, null, null, null])
    );
}

#[tokio::test]
async fn a_server_has_its_own_and_is_called_what_the_list_calls_it() {
    let api = api();
    let listed = api.made("/v1/servers", json!({ "name": "berlin" })).await;
    let listed = listed["id"].as_str().unwrap();
    let of_it = path(5, &format!("&server={listed}"));
    assert_eq!(api.get(&of_it).await.body["servers"], json!([]));
    let id: ServerId = listed.parse().unwrap();
    api.store.keep_samples(id, &[sample(4, 9)]).unwrap();
    let body = api.get(&of_it).await.body;
    assert_eq!(
        figure(&body, "attempts"),
        &json!([null, null, null, null, 9.0])
    );
    assert_eq!(
        body["servers"],
        json!([{ "server": listed, "name": "berlin" }])
    );
    let body = api
        .get(&path(5, &format!("&server={}", server(2))))
        .await
        .body;
    assert_eq!(
        figure(&body, "attempts"),
        &json!([4.0, null, null, null, null])
    );
    assert_eq!(body["servers"][0]["name"], "north", "its machine's name");
}

#[tokio::test]
async fn steps_are_as_long_as_asked_and_never_too_many() {
    let api = api();
    let body = api
        .get(&path(6, "&step_s=180&figures=attempts,asr"))
        .await
        .body;
    assert_eq!(
        body["figures"],
        json!({ "attempts": [10.0, 2.0], "asr": [50.0, 50.0] })
    );
    api.get(&path(6, "&step_s=90"))
        .await
        .is_problem(400, "malformed")
        .at_field("step_s");
    let long = path(60 * 24 * 7, "&step_s=60");
    api.get(&long)
        .await
        .is_problem(400, "malformed")
        .at_field("step_s");
    let whole = api.get(&path(60 * 24 * 7, "")).await.body;
    assert_eq!(whole["step_s"], 1_800);
    assert!(whole["at_us"].as_array().unwrap().len() <= 502);
    api.get(&path(0, ""))
        .await
        .is_problem(400, "malformed")
        .at_field("from_us");
    api.get(&path(6, "&figures=luck"))
        .await
        .is_problem(400, "malformed")
        .at_field("figures");
}

#[tokio::test]
async fn who_may_look_at_the_platform_may_look_at_its_history() {
    let api = api();
    let viewer = api.token(Role::Viewer, None);
    assert_eq!(api.get_as(&viewer, &path(1, "")).await.status, 200);
    let account = api.account().await.as_str().unwrap().parse().unwrap();
    let confined = api.token_for(Role::Admin, Some(account), None);
    api.get_as(&confined, &path(1, ""))
        .await
        .is_problem(403, "forbidden");
}
