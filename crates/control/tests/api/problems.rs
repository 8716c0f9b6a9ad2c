//! Every refusal is a problem with a stable code.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::fixture::{Answer, Api};

async fn raw(api: &Api, content_type: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post("/v1/accounts")
        .header("authorization", format!("Bearer {}", api.admin()))
        .header("content-type", content_type);
    api.ask(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods() {
    let api = Api::new();
    api.get("/v1/nothing").await.is_problem(404, "not-found");
    api.get_as("", "/nothing")
        .await
        .is_problem(404, "not-found");
    let wrong = api.delete("/v1/accounts").await;
    wrong.is_problem(405, "wrong-method");
    let allowed = wrong.header("allow");
    assert!(
        allowed.contains("GET") && allowed.contains("POST"),
        "{allowed}"
    );
}

#[tokio::test]
async fn bodies_that_cannot_be_read() {
    let api = Api::new();
    raw(&api, "application/json", "{\"name\":")
        .await
        .is_problem(400, "malformed");
    raw(&api, "application/json", "{} {}")
        .await
        .is_problem(400, "malformed");
    raw(&api, "application/json", "")
        .await
        .is_problem(400, "malformed");
    raw(&api, "application/json", "[1]")
        .await
        .is_problem(400, "malformed");
    // Not even where a list of fields would do for what they make up.
    api.post("/v1/join-tokens", &json!([]))
        .await
        .is_problem(400, "malformed");
    raw(&api, "text/plain", "{}")
        .await
        .is_problem(415, "unsupported-media-type");
    raw(&api, "application/json", vec![b' '; 300 * 1024])
        .await
        .is_problem(413, "too-large");
}

#[tokio::test]
async fn fields_of_the_wrong_type_or_missing_are_named() {
    let api = Api::new();
    let post = async |body| api.post("/v1/accounts", &body).await;
    post(json!({ "name": 5 }))
        .await
        .is_problem(400, "malformed")
        .at_field("name");
    post(json!({}))
        .await
        .is_problem(400, "malformed")
        .at_field("name");
    post(json!({ "name": "a", "limits": { "cps": -1 } }))
        .await
        .is_problem(400, "malformed")
        .at_field("limits.cps");
    post(json!({ "name": "a", "enabled": "yes" }))
        .await
        .is_problem(400, "malformed")
        .at_field("enabled");
}

#[tokio::test]
async fn values_that_are_not_acceptable_are_named() {
    let api = Api::new();
    let post = async |body| api.post("/v1/accounts", &body).await;
    post(json!({ "name": "" }))
        .await
        .is_problem(422, "invalid")
        .at_field("name");
    post(json!({ "name": "a", "colour": 1 }))
        .await
        .is_problem(422, "invalid")
        .at_field("colour");
    post(json!({ "name": "a", "limits": { "cpm": 1 } }))
        .await
        .is_problem(422, "invalid")
        .at_field("limits.cpm");
    post(json!({ "name": "a", "id": "acc_01ARZ3NDEKTSV4RRFFQ69G5FAV" }))
        .await
        .is_problem(422, "invalid")
        .at_field("id");
}

#[tokio::test]
async fn identifiers_that_are_none_name_nothing() {
    let api = Api::new();
    for id in [
        "x",
        "usr_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "acc_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "acc_%00",
    ] {
        api.get(&format!("/v1/accounts/{id}"))
            .await
            .is_problem(404, "not-found");
    }
    api.get("/v1/accounts/%ff")
        .await
        .is_problem(400, "malformed");
}

#[tokio::test]
async fn hostile_values_in_every_field_are_refused_and_never_a_fault_of_ours() {
    let api = Api::new();
    let hostile = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!("\u{0}"),
        json!("'; DROP TABLE users; --"),
        json!("x".repeat(10_000)),
        json!([[[]]]),
        json!({ "a": {} }),
        json!("\r\nVia: SIP/2.0/UDP evil"),
    ];
    for noun in [
        "accounts",
        "users",
        "devices",
        "numbers",
        "customers",
        "carriers",
        "gateways",
        "routes",
        "tokens",
        "listeners",
        "certificates",
        "certificates/check",
        "routes/simulate",
    ] {
        for value in &hostile {
            for field in [
                "name",
                "account",
                "auth",
                "auth_name",
                "target",
                "number",
                "prefix",
                "host",
                "port",
                "limits",
                "rewrite",
                "password",
                "secret",
                "called",
                "source",
                "address",
                "role",
                "kind",
                "chain",
                "key",
                "domains",
            ] {
                let answer = api
                    .post(&format!("/v1/{noun}"), &json!({ field: value }))
                    .await;
                let fine = answer.status.is_client_error() || answer.status.is_success();
                assert!(
                    fine,
                    "{noun} {field}={value}: {} {}",
                    answer.status, answer.text
                );
            }
        }
    }
    assert_eq!(api.get("/healthz").await.text, "ok\n");
}

#[tokio::test]
async fn a_silent_node_is_503_and_its_switch_hangs() {
    let api = Api::new();
    api.node.state.lock().unwrap().silent = true;
    let answer = api.get("/v1/calls").await;
    answer.is_problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), "1");
    let ready = api.get_as("", "/readyz").await;
    assert_eq!(
        (ready.status.as_u16(), &ready.body["ready"]),
        (504, &json!(false)),
        "other nodes go by it"
    );
    api.node.state.lock().unwrap().silent = false;
    assert_eq!(api.get_as("", "/readyz").await.status, 200);
}

#[tokio::test]
async fn answers_are_not_to_be_kept_by_others() {
    let answer = Api::new().get("/v1/users").await;
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
}
