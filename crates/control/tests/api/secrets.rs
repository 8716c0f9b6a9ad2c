//! Secrets go in as passwords and never come out.

use serde_json::json;

use crate::fixture::Api;

#[tokio::test]
async fn a_password_becomes_a_digest_secret_for_the_platforms_domain() {
    let api = Api::new();
    let account = api.account().await;
    let body = json!({ "account": account, "name": "alice", "password": "correct horse" });
    let user = api.made("/v1/users", body).await;
    assert!(
        user.get("secret").is_none() && user.get("password").is_none(),
        "{user}"
    );
    let stored = api.node.state.lock().unwrap().applied.last().unwrap().users[0]
        .secret
        .clone();
    assert_eq!(
        stored,
        control::digest_secret("alice", "tandem.local", "correct horse")
    );
    assert!(!api.get("/v1/users").await.text.contains(&stored.md5));
    assert!(!api.get("/v1/audit").await.text.contains(&stored.md5));
}

#[tokio::test]
async fn a_password_that_was_not_given_is_made_and_shown_once() {
    let api = Api::new();
    let account = api.account().await;
    let user = api
        .made("/v1/users", json!({ "account": account, "name": "alice" }))
        .await;
    let password = user["password"].as_str().unwrap();
    let stored = api.node.state.lock().unwrap().applied.last().unwrap().users[0]
        .secret
        .clone();
    assert_eq!(
        stored,
        control::digest_secret("alice", "tandem.local", password)
    );
    let path = format!("/v1/users/{}", user["id"].as_str().unwrap());
    assert!(api.get(&path).await.body.get("password").is_none());
}

#[tokio::test]
async fn a_secret_stays_until_a_new_password_or_name_comes() {
    let api = Api::new();
    let account = api.account().await;
    let user = api
        .made("/v1/users", json!({ "account": account, "name": "alice" }))
        .await;
    let path = format!("/v1/users/{}", user["id"].as_str().unwrap());
    let secret = || {
        api.node.state.lock().unwrap().applied.last().unwrap().users[0]
            .secret
            .clone()
    };
    let first = secret();
    api.send(
        "PATCH",
        &path,
        &[("if-match", "*")],
        &json!({ "display_name": "Alice" }),
    )
    .await;
    assert_eq!(secret(), first);

    let renamed = api
        .send(
            "PATCH",
            &path,
            &[("if-match", "*")],
            &json!({ "name": "bob" }),
        )
        .await;
    renamed.is_problem(422, "invalid").at_field("password");
    let renamed = json!({ "name": "bob", "password": "battery staple" });
    assert_eq!(
        api.send("PATCH", &path, &[("if-match", "*")], &renamed)
            .await
            .status,
        200
    );
    assert_eq!(
        secret(),
        control::digest_secret("bob", "tandem.local", "battery staple")
    );
}

#[tokio::test]
async fn secrets_cannot_be_set_directly_and_passwords_have_bounds() {
    let api = Api::new();
    let account = api.account().await;
    let with = |name: &str, value| {
        let mut body = json!({ "account": account, "name": "alice" });
        body[name] = value;
        body
    };
    let forged = with("secret", json!({ "md5": "0", "sha256": "0" }));
    api.post("/v1/users", &forged)
        .await
        .is_problem(422, "invalid")
        .at_field("secret");
    for short in ["", "1234567", &"x".repeat(129), "with\ncontrol"] {
        let body = with("password", json!(short));
        api.post("/v1/users", &body)
            .await
            .is_problem(422, "invalid")
            .at_field("password");
    }
    api.post("/v1/users", &with("password", json!(5)))
        .await
        .is_problem(400, "malformed")
        .at_field("password");
}

#[tokio::test]
async fn a_customers_digest_password_and_a_gateways_password_are_hidden_too() {
    let api = Api::new();
    let account = api.account().await;
    let auth = json!({ "kind": "digest", "auth_name": "acme", "password": "correct horse" });
    let customer = api
        .made(
            "/v1/customers",
            json!({ "account": account, "name": "acme", "auth": auth }),
        )
        .await;
    assert_eq!(
        customer["auth"],
        json!({ "kind": "digest", "auth_name": "acme" })
    );

    let path = format!("/v1/customers/{}", customer["id"].as_str().unwrap());
    let address = json!({ "kind": "address", "networks": ["192.0.2.1/32"], "auth_name": null });
    let changed = api
        .send(
            "PATCH",
            &path,
            &[("if-match", "*")],
            &json!({ "auth": address }),
        )
        .await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let digest = json!({ "kind": "digest", "auth_name": "acme", "networks": null });
    let changed = api
        .send(
            "PATCH",
            &path,
            &[("if-match", "*")],
            &json!({ "auth": digest }),
        )
        .await;
    assert!(
        changed.body["password"].is_string(),
        "a password that is made is shown: {}",
        changed.text
    );

    let carrier = api.made("/v1/carriers", json!({ "name": "telco" })).await;
    let auth = json!({ "username": "us", "password": "hidden!" });
    let gateway =
        json!({ "carrier": carrier["id"], "name": "gw", "host": "gw.example", "auth": auth });
    let gateway = api.made("/v1/gateways", gateway).await;
    assert_eq!(gateway["auth"], json!({ "username": "us" }));
    let path = format!("/v1/gateways/{}", gateway["id"].as_str().unwrap());
    let changed = api
        .send(
            "PATCH",
            &path,
            &[("if-match", "*")],
            &json!({ "priority": 5 }),
        )
        .await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let stored = api
        .node
        .state
        .lock()
        .unwrap()
        .applied
        .last()
        .unwrap()
        .gateways[0]
        .auth
        .clone()
        .unwrap();
    assert_eq!(
        (stored.username.as_str(), stored.password.as_str()),
        ("us", "hidden!")
    );
}
