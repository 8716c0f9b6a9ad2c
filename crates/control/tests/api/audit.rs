//! The audit log, and taking back what it tells of.

use serde_json::{Value, json};

use crate::fixture::{Answer, Api};

/// The newest entry of the log.
async fn newest(api: &Api) -> Value {
    api.get("/v1/audit?limit=1").await.body["items"][0].clone()
}

async fn revert(api: &Api, entry: &Value) -> Answer {
    let path = format!("/v1/audit/{}/revert", entry["revision"]);
    api.post(&path, &Value::Null).await
}

async fn change(api: &Api, path: &str, body: &Value) {
    let changed = api.send("PATCH", path, &[("if-match", "*")], body).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
}

#[tokio::test]
async fn a_change_is_taken_back_and_that_in_turn() {
    let api = Api::new();
    let account = api.account().await;
    let path = format!("/v1/accounts/{}", account.as_str().unwrap());
    change(
        &api,
        &path,
        &json!({ "name": "renamed", "limits": { "cps": 5 } }),
    )
    .await;
    assert_eq!(revert(&api, &newest(&api).await).await.status, 204);
    let now = api.get(&path).await.body;
    assert_eq!(
        (&now["name"], &now["limits"]["cps"]),
        (&json!("acme"), &Value::Null)
    );
    let entry = newest(&api).await;
    assert_eq!(
        (&entry["before"]["name"], &entry["after"]["name"]),
        (&json!("renamed"), &json!("acme"))
    );
    assert_eq!(revert(&api, &entry).await.status, 204);
    assert_eq!(api.get(&path).await.body["name"], "renamed");
    // The node works with it.
    let state = api.node.state.lock().unwrap();
    assert_eq!(state.applied.last().unwrap().accounts[0].name, "renamed");
}

#[tokio::test]
async fn what_was_made_goes_and_what_was_deleted_comes_back() {
    let api = Api::new();
    let account = api.account().await;
    let path = format!("/v1/accounts/{}", account.as_str().unwrap());
    let made = newest(&api).await;
    assert_eq!(revert(&api, &made).await.status, 204);
    api.get(&path).await.is_problem(404, "not-found");
    let deleted = newest(&api).await;
    assert_eq!(revert(&api, &deleted).await.status, 204);
    assert_eq!(api.get(&path).await.body["name"], "acme");
    // Nobody takes back what is over.
    revert(&api, &made).await.is_problem(409, "not-revertible");
    revert(&api, &deleted)
        .await
        .is_problem(409, "not-revertible");
}

#[tokio::test]
async fn only_the_last_change_of_a_record_is_taken_back() {
    let api = Api::new();
    let account = api.account().await;
    let path = format!("/v1/accounts/{}", account.as_str().unwrap());
    change(&api, &path, &json!({ "name": "first" })).await;
    let first = newest(&api).await;
    change(&api, &path, &json!({ "name": "second" })).await;
    revert(&api, &first).await.is_problem(409, "not-revertible");
    assert_eq!(api.get(&path).await.body["name"], "second");
    let nothing = json!({ "revision": 999_999 });
    revert(&api, &nothing).await.is_problem(404, "not-found");
}

#[tokio::test]
async fn secrets_stay_and_what_is_lost_with_them_is_said() {
    let api = Api::new();
    let account = api.account().await;
    let user = json!({ "name": "ann", "account": account, "password": "secret words" });
    let user = api.made("/v1/users", user).await["id"].clone();
    let path = format!("/v1/users/{}", user.as_str().unwrap());
    let secret = || {
        let id: model::UserId = serde_json::from_value(user.clone()).unwrap();
        let records: &dyn store::Records = &*api.store;
        records.read::<model::User>(id).unwrap().record.secret
    };
    let before = secret();
    change(&api, &path, &json!({ "display_name": "Ann" })).await;
    assert_eq!(revert(&api, &newest(&api).await).await.status, 204);
    assert_eq!(api.get(&path).await.body["display_name"], "");
    assert_eq!(secret(), before);
    change(&api, &path, &json!({ "password": "other words" })).await;
    let hidden = revert(&api, &newest(&api).await).await;
    hidden.is_problem(409, "not-revertible");
    assert_eq!(api.delete(&path).await.status, 204);
    let lost = revert(&api, &newest(&api).await).await;
    lost.is_problem(409, "not-revertible");
    assert!(lost.text.contains("secret"), "{}", lost.text);
}

#[tokio::test]
async fn settings_are_taken_back_and_tokens_are_not() {
    let api = Api::new();
    change(&api, "/v1/settings", &json!({ "ring_timeout_s": 33 })).await;
    let before = newest(&api).await["before"]["ring_timeout_s"].clone();
    assert_eq!(revert(&api, &newest(&api).await).await.status, 204);
    assert_eq!(api.get("/v1/settings").await.body["ring_timeout_s"], before);
    api.made("/v1/tokens", json!({ "name": "t", "role": "viewer" }))
        .await;
    let token = revert(&api, &newest(&api).await).await;
    token.is_problem(409, "not-revertible");
}

#[tokio::test]
async fn a_gateway_is_taken_back_with_all_that_calls_by_it_need() {
    let api = Api::new();
    let carrier = json!({ "name": "acme", "limits": { "channels": 10 } });
    let carrier = api.made("/v1/carriers", carrier).await["id"].clone();
    let gateway = json!({
        "name": "first", "carrier": carrier, "host": "192.0.2.1", "port": 5070, "transport": "tcp",
        "priority": 2, "weight": 3, "ping_interval_s": 30, "no_answer_timeout_ms": 900,
        "auth": { "username": "u", "password": "secret words" },
        "registration": { "user": "493012345" },
        "limits": { "cps": 5, "channels": 7 },
    });
    let made = api.made("/v1/gateways", gateway).await;
    let path = format!("/v1/gateways/{}", made["id"].as_str().unwrap());
    let works = || {
        let state = api.node.state.lock().unwrap();
        state.applied.last().unwrap().gateways.clone()
    };
    let before = works();
    // All at once, as a form sends it; the address goes, and calls would go elsewhere.
    let changed = json!({
        "host": "192.0.2.2", "port": null, "transport": null, "enabled": false,
        "limits": { "channels": 1 }, "registration": null,
    });
    change(&api, &path, &changed).await;
    assert_ne!(works(), before);
    let reverted = revert(&api, &newest(&api).await).await;
    assert_eq!(reverted.status, 204, "{}", reverted.text);
    // The node works with what it had, the password included.
    assert_eq!(works(), before);
    assert_eq!(api.get(&path).await.body, made);
    // Without its credentials the log cannot bring it back: they are named.
    change(&api, &path, &json!({ "auth": null, "registration": null })).await;
    let lost = revert(&api, &newest(&api).await).await;
    lost.is_problem(409, "not-revertible");
    assert!(lost.text.contains("secret"), "{}", lost.text);
    // One that was deleted and had none comes back under the same identifier.
    let plain = json!({ "name": "second", "carrier": carrier, "host": "192.0.2.3" });
    let plain = api.made("/v1/gateways", plain).await;
    let path = format!("/v1/gateways/{}", plain["id"].as_str().unwrap());
    assert_eq!(api.delete(&path).await.status, 204);
    assert_eq!(revert(&api, &newest(&api).await).await.status, 204);
    assert_eq!(api.get(&path).await.body, plain);
}
