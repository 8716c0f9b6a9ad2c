//! A browser that is signed in.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::fixture::{Answer, Api};

/// A browser that keeps the cookie it was given.
pub(crate) struct Tab<'a> {
    api: &'a Api,
    cookie: String,
    pub(crate) csrf: String,
}

impl<'a> Tab<'a> {
    pub(crate) async fn with_token(api: &'a Api, token: &str) -> Self {
        Self::sign_in(api, &json!({ "token": token })).await
    }

    pub(crate) async fn with_password(api: &'a Api, name: &str, password: &str) -> Self {
        Self::sign_in(api, &json!({ "name": name, "password": password })).await
    }

    pub(crate) async fn sign_in(api: &'a Api, shown: &Value) -> Self {
        let answer = sign_in(api, shown).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let mut tab = Self::of_cookie(api, "");
        tab.take_cookie(&answer);
        tab.csrf = answer.body["csrf_token"].as_str().unwrap().to_owned();
        tab
    }

    pub(crate) fn of_cookie(api: &'a Api, cookie: &str) -> Self {
        Self {
            api,
            cookie: cookie.into(),
            csrf: String::new(),
        }
    }

    /// Keeps the cookie of an answer.
    pub(crate) fn take_cookie(&mut self, answer: &Answer) {
        let set = answer.header("set-cookie");
        assert!(set.contains("; HttpOnly; SameSite=Strict"), "{set}");
        self.cookie = set.split(';').next().unwrap().to_owned();
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, csrf: &str, body: &Value) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", HOST)
            .header("cookie", &self.cookie)
            .header("x-csrf-token", csrf)
            .header("if-match", "*")
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()));
        self.api.ask(request.unwrap()).await
    }

    pub(crate) async fn change(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.ask(method, path, &self.csrf, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", &Value::Null).await
    }
}

pub(crate) async fn sign_in(api: &Api, shown: &Value) -> Answer {
    let request = Request::builder()
        .method("POST")
        .uri("/v1/session")
        .header("host", HOST)
        .header("user-agent", "a browser")
        .header("content-type", "application/json")
        .body(Body::from(shown.to_string()));
    api.ask(request.unwrap()).await
}

const HOST: &str = "platform.example:8080";
