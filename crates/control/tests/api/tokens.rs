//! Tokens, roles, and the bound on guessing.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use model::Role;
use serde_json::json;

use crate::fixture::{Answer, Api};

#[tokio::test]
async fn without_a_valid_token_nothing_is_told() {
    let api = Api::new();
    let bare = api.get_as("", "/v1/users").await;
    bare.is_problem(401, "unauthorised");
    assert_eq!(bare.header("www-authenticate"), "Bearer");
    api.get_as("tdm_guess", "/v1/users")
        .await
        .is_problem(401, "unauthorised");
    let expired = api.token(Role::Admin, Some(2));
    api.get_as(&expired, "/v1/users")
        .await
        .is_problem(401, "unauthorised");
}

#[tokio::test]
async fn roles_grow_from_reading_to_everything() {
    let api = Api::new();
    let viewer = api.token(Role::Viewer, None);
    let operator = api.token(Role::Operator, None);
    let account = json!({ "name": "acme" });
    let settings = json!({ "ring_timeout_s": 30 });
    let if_match = [("if-match", "*")];

    assert_eq!(api.get_as(&viewer, "/v1/calls").await.status, 200);
    assert_eq!(
        api.send_as(
            &viewer,
            "POST",
            "/v1/routes/simulate",
            &[],
            &json!({ "called": "1" })
        )
        .await
        .status,
        200
    );
    api.send_as(&viewer, "POST", "/v1/accounts", &[], &account)
        .await
        .is_problem(403, "forbidden");
    api.get_as(&viewer, "/v1/audit")
        .await
        .is_problem(403, "forbidden");

    assert_eq!(
        api.send_as(&operator, "POST", "/v1/accounts", &[], &account)
            .await
            .status,
        201
    );
    api.send_as(&operator, "PATCH", "/v1/settings", &if_match, &settings)
        .await
        .is_problem(403, "forbidden");
    api.get_as(&operator, "/v1/tokens")
        .await
        .is_problem(403, "forbidden");

    assert_eq!(
        api.send("PATCH", "/v1/settings", &if_match, &settings)
            .await
            .status,
        200
    );
    assert_eq!(api.get("/v1/tokens").await.status, 200);
}

#[tokio::test]
async fn a_token_is_shown_once_works_and_is_refused_after_its_deletion() {
    let api = Api::new();
    let made = api
        .made("/v1/tokens", json!({ "name": "ci", "role": "viewer" }))
        .await;
    let token = made["token"].as_str().unwrap();
    assert_eq!(api.get_as(token, "/v1/users").await.status, 200);
    let listed = api.get("/v1/tokens").await;
    assert!(!listed.text.contains(token) && !listed.text.contains(&control::token_hash(token)));
    let kept = listed.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|t| t["name"] == "ci")
        .unwrap()
        .clone();
    assert!(kept["last_used_us"].is_u64(), "{kept}");
    assert_eq!(
        api.delete(&format!("/v1/tokens/{}", made["id"].as_str().unwrap()))
            .await
            .status,
        204
    );
    api.get_as(token, "/v1/users")
        .await
        .is_problem(401, "unauthorised");
    api.post("/v1/tokens", &json!({ "name": "", "role": "viewer" }))
        .await
        .is_problem(422, "invalid")
        .at_field("name");
    api.post("/v1/tokens", &json!({ "name": "x", "role": "root" }))
        .await
        .is_problem(400, "malformed")
        .at_field("role");
}

#[tokio::test]
async fn a_source_that_guesses_is_slowed_down_and_others_are_not() {
    let api = Api::new();
    let from = async |source: [u8; 4], token: &str| -> Answer {
        let mut request = Request::get("/v1/users")
            .header("authorization", format!("Bearer {token}"))
            .body(Body::empty())
            .unwrap();
        request
            .extensions_mut()
            .insert(ConnectInfo(SocketAddr::from((source, 40_000))));
        api.ask(request).await
    };
    for _ in 0..10 {
        from([192, 0, 2, 1], "tdm_guess")
            .await
            .is_problem(401, "unauthorised");
    }
    let slowed = from([192, 0, 2, 1], api.admin()).await;
    slowed.is_problem(429, "too-many-requests");
    assert!(slowed.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(from([192, 0, 2, 2], api.admin()).await.status, 200);
}

#[tokio::test]
async fn metrics_need_a_token_from_elsewhere_only() {
    let api = Api::new();
    let from = async |source: [u8; 4], token: Option<&str>| -> Answer {
        let mut request = Request::get("/metrics").body(Body::empty()).unwrap();
        if let Some(token) = token {
            request
                .headers_mut()
                .insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        request
            .extensions_mut()
            .insert(ConnectInfo(SocketAddr::from((source, 40_000))));
        api.ask(request).await
    };
    let local = from([127, 0, 0, 1], None).await;
    assert_eq!(local.status.as_u16(), 200);
    assert!(local.text.starts_with("tandem_calls 0\n"), "{}", local.text);
    assert!(
        local
            .header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    from([192, 0, 2, 1], None)
        .await
        .is_problem(401, "unauthorised");
    assert_eq!(from([192, 0, 2, 1], Some(api.admin())).await.status, 200);
}
