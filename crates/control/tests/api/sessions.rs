//! Browsers: signing in with a token, and what a cookie may do.

use model::Role;
use serde_json::{Value, json};

use crate::fixture::Api;
use crate::tab::{Tab, sign_in};

#[tokio::test]
async fn who_shows_a_token_may_do_with_the_cookie_what_the_token_may() {
    let api = Api::new();
    let viewer = api.token(Role::Viewer, None);
    let tab = Tab::with_token(&api, &viewer).await;
    let who = tab.get("/v1/session").await;
    assert_eq!(who.body["role"], "viewer");
    assert_eq!(who.body["csrf_token"], json!(tab.csrf));
    assert_eq!(tab.get("/v1/users").await.status, 200);
    tab.get("/v1/tokens").await.is_problem(403, "forbidden");
}

#[tokio::test]
async fn a_change_needs_what_only_our_own_pages_can_have_read() {
    let api = Api::new();
    let tab = Tab::with_token(&api, api.admin()).await;
    let account = json!({ "name": "acme" });
    for wrong in ["", "guess"] {
        tab.ask("POST", "/v1/accounts", wrong, &account)
            .await
            .is_problem(403, "forbidden");
    }
    let made = tab.ask("POST", "/v1/accounts", &tab.csrf, &account).await;
    assert_eq!(made.status, 201, "{}", made.text);
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let api = Api::new();
    let tab = Tab::with_token(&api, api.admin()).await;
    let out = tab.ask("DELETE", "/v1/session", "", &Value::Null).await;
    assert_eq!(out.status, 204);
    assert!(out.header("set-cookie").contains("=; Path=/; Max-Age=0;"));
    tab.get("/v1/users").await.is_problem(401, "unauthorised");
}

#[tokio::test]
async fn a_deleted_token_takes_its_sessions_along() {
    let api = Api::new();
    let made = json!({ "name": "ops", "role": "operator" });
    let made = api.made("/v1/tokens", made).await;
    let tab = Tab::with_token(&api, made["token"].as_str().unwrap()).await;
    assert_eq!(tab.get("/v1/users").await.status, 200);
    let path = format!("/v1/tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(api.delete(&path).await.status, 204);
    tab.get("/v1/users").await.is_problem(401, "unauthorised");
}

#[tokio::test]
async fn wrong_tokens_are_counted_and_old_cookies_are_not() {
    let api = Api::new();
    let stale = Tab::of_cookie(&api, "tandem_session_8080=tdm_of_long_ago");
    for _ in 0..20 {
        stale.get("/v1/users").await.is_problem(401, "unauthorised");
    }
    let tab = Tab::with_token(&api, api.admin()).await;
    for _ in 0..10 {
        sign_in(&api, &json!({ "token": "guess" }))
            .await
            .is_problem(401, "unauthorised");
    }
    sign_in(&api, &json!({ "token": "guess" }))
        .await
        .is_problem(429, "too-many-requests");
    // Who is signed in goes on.
    assert_eq!(tab.get("/v1/users").await.status, 200);
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one() {
    let api = Api::new();
    let viewer = api.token(Role::Viewer, None);
    let own = Tab::with_token(&api, &viewer).await;
    let others = Tab::with_token(&api, api.admin()).await;
    let sessions = |answer: &crate::fixture::Answer| -> Vec<String> {
        let items = answer.body["items"].as_array().unwrap().iter();
        items
            .map(|s| s["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let seen = own.get("/v1/sessions").await;
    let mine = sessions(&seen);
    assert_eq!(mine.len(), 1);
    assert_eq!(seen.body["items"][0]["agent"], "a browser");
    assert_eq!(seen.body["items"][0]["source"], "127.0.0.1");
    let all = sessions(&others.get("/v1/sessions").await);
    assert_eq!(all.len(), 2);
    let their = all.iter().find(|id| **id != mine[0]).unwrap();
    let end = async |tab: &Tab<'_>, id: &str| {
        let path = format!("/v1/sessions/{id}");
        tab.ask("DELETE", &path, &tab.csrf, &Value::Null).await
    };
    end(&own, their).await.is_problem(404, "not-found");
    assert_eq!(end(&others, &mine[0]).await.status, 204);
    own.get("/v1/users").await.is_problem(401, "unauthorised");
    assert_eq!(others.get("/v1/users").await.status, 200);
}
