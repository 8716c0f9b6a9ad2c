//! POST twice, done once.

use serde_json::json;

use crate::fixture::Api;

#[tokio::test]
async fn the_same_key_with_the_same_request_is_done_once() {
    let api = Api::new();
    let body = json!({ "name": "acme" });
    let first = api
        .send("POST", "/v1/accounts", &[("idempotency-key", "k1")], &body)
        .await;
    let again = api
        .send("POST", "/v1/accounts", &[("idempotency-key", "k1")], &body)
        .await;
    assert_eq!(
        (again.status.as_u16(), again.text.as_str()),
        (201, first.text.as_str())
    );
    assert_eq!(
        (
            first.header("idempotency-replayed"),
            again.header("idempotency-replayed")
        ),
        ("", "true")
    );
    assert_eq!(again.header("etag"), first.header("etag"));
    assert_eq!(
        api.get("/v1/accounts").await.body["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    api.send("POST", "/v1/accounts", &[("idempotency-key", "k2")], &body)
        .await;
    assert_eq!(
        api.get("/v1/accounts").await.body["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn the_same_key_with_another_request_is_refused() {
    let api = Api::new();
    api.send(
        "POST",
        "/v1/accounts",
        &[("idempotency-key", "k")],
        &json!({ "name": "a" }),
    )
    .await;
    let other = api
        .send(
            "POST",
            "/v1/accounts",
            &[("idempotency-key", "k")],
            &json!({ "name": "b" }),
        )
        .await;
    other.is_problem(422, "invalid").at_field("Idempotency-Key");
    let elsewhere = api
        .send(
            "POST",
            "/v1/carriers",
            &[("idempotency-key", "k")],
            &json!({ "name": "a" }),
        )
        .await;
    elsewhere.is_problem(422, "invalid");
    let long = "k".repeat(200);
    let long = api
        .send(
            "POST",
            "/v1/accounts",
            &[("idempotency-key", &long)],
            &json!({ "name": "a" }),
        )
        .await;
    long.is_problem(400, "malformed");
}

#[tokio::test]
async fn keys_of_different_tokens_are_different() {
    let api = Api::new();
    let other = api.token(model::Role::Admin, None);
    let body = json!({ "name": "acme" });
    api.send("POST", "/v1/accounts", &[("idempotency-key", "k")], &body)
        .await;
    let answer = api
        .send_as(
            &other,
            "POST",
            "/v1/accounts",
            &[("idempotency-key", "k")],
            &body,
        )
        .await;
    assert_eq!(
        (
            answer.status.as_u16(),
            answer.header("idempotency-replayed")
        ),
        (201, "")
    );
}

#[tokio::test]
async fn a_failure_that_may_pass_is_tried_again() {
    let api = Api::new();
    let query = json!({ "called": "1" });
    api.node.state.lock().unwrap().silent = true;
    let first = api
        .send(
            "POST",
            "/v1/routes/simulate",
            &[("idempotency-key", "k")],
            &query,
        )
        .await;
    first.is_problem(503, "unavailable");
    api.node.state.lock().unwrap().silent = false;
    let again = api
        .send(
            "POST",
            "/v1/routes/simulate",
            &[("idempotency-key", "k")],
            &query,
        )
        .await;
    assert_eq!(again.status, 200);
}
