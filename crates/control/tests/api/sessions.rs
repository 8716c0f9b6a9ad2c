//! Browsers: signing in with a token, and what a cookie may do.

use axum::body::Body;
use axum::http::Request;
use model::Role;
use serde_json::{Value, json};

use crate::fixture::{Answer, Api};

/// A browser that keeps the cookie it was given.
struct Tab<'a> {
    api: &'a Api,
    cookie: String,
    csrf: String,
}

impl<'a> Tab<'a> {
    async fn sign_in(api: &'a Api, token: &str) -> Self {
        let answer = sign_in(api, token).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let set = answer.header("set-cookie");
        assert!(set.contains("; HttpOnly; SameSite=Strict"), "{set}");
        Self {
            api,
            cookie: set.split(';').next().unwrap().to_owned(),
            csrf: answer.body["csrf_token"].as_str().unwrap().to_owned(),
        }
    }

    async fn ask(&self, method: &str, path: &str, csrf: &str, body: &Value) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", HOST)
            .header("cookie", &self.cookie)
            .header("x-csrf-token", csrf)
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()));
        self.api.ask(request.unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", &Value::Null).await
    }
}

async fn sign_in(api: &Api, token: &str) -> Answer {
    let request = Request::builder()
        .method("POST")
        .uri("/v1/session")
        .header("host", HOST)
        .header("content-type", "application/json")
        .body(Body::from(json!({ "token": token }).to_string()));
    api.ask(request.unwrap()).await
}

const HOST: &str = "platform.example:8080";

#[tokio::test]
async fn who_shows_a_token_may_do_with_the_cookie_what_the_token_may() {
    let api = Api::new();
    let viewer = api.token(Role::Viewer, None);
    let tab = Tab::sign_in(&api, &viewer).await;
    let who = tab.get("/v1/session").await;
    assert_eq!(who.body["role"], "viewer");
    assert_eq!(who.body["csrf_token"], json!(tab.csrf));
    assert_eq!(tab.get("/v1/users").await.status, 200);
    tab.get("/v1/tokens").await.is_problem(403, "forbidden");
}

#[tokio::test]
async fn a_change_needs_what_only_our_own_pages_can_have_read() {
    let api = Api::new();
    let tab = Tab::sign_in(&api, api.admin()).await;
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
    let tab = Tab::sign_in(&api, api.admin()).await;
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
    let tab = Tab::sign_in(&api, made["token"].as_str().unwrap()).await;
    assert_eq!(tab.get("/v1/users").await.status, 200);
    let path = format!("/v1/tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(api.delete(&path).await.status, 204);
    tab.get("/v1/users").await.is_problem(401, "unauthorised");
}

#[tokio::test]
async fn wrong_tokens_are_counted_and_old_cookies_are_not() {
    let api = Api::new();
    let stale = Tab {
        api: &api,
        cookie: "tandem_session_8080=tdm_before_the_restart".into(),
        csrf: String::new(),
    };
    for _ in 0..20 {
        stale.get("/v1/users").await.is_problem(401, "unauthorised");
    }
    let tab = Tab::sign_in(&api, api.admin()).await;
    for _ in 0..10 {
        sign_in(&api, "guess").await.is_problem(401, "unauthorised");
    }
    sign_in(&api, "guess")
        .await
        .is_problem(429, "too-many-requests");
    // Who is signed in goes on.
    assert_eq!(tab.get("/v1/users").await.status, 200);
}
