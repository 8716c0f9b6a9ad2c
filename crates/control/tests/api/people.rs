//! People: names and passwords, one-time codes, recovery codes, and what is counted.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use totp_rs::{Builder, Secret};

use crate::fixture::Api;
use crate::tab::{Tab, sign_in};

const PASSWORD: &str = "correct horse battery";

async fn person(api: &Api, name: &str, role: &str) -> String {
    let body = json!({ "name": name, "role": role, "password": PASSWORD });
    let made = api.made("/v1/people", body).await;
    assert!(made.get("password").is_none(), "{made}");
    made["id"].as_str().unwrap().to_owned()
}

fn shown(name: &str, password: &str) -> Value {
    json!({ "name": name, "password": password })
}

#[tokio::test]
async fn a_name_and_a_password_open_what_the_role_may() {
    let api = Api::new();
    person(&api, "ann", "viewer").await;
    let tab = Tab::with_password(&api, " Ann ", PASSWORD).await;
    let who = tab.get("/v1/session").await.body;
    assert_eq!(
        (&who["name"], &who["role"]),
        (&json!("ann"), &json!("viewer"))
    );
    assert_eq!(tab.get("/v1/users").await.status, 200);
    tab.get("/v1/people").await.is_problem(403, "forbidden");
    let account = json!({ "name": "a" });
    let made = tab.change("POST", "/v1/accounts", &account).await;
    made.is_problem(403, "forbidden");
}

#[tokio::test]
async fn a_wrong_name_and_a_wrong_password_are_the_same() {
    let api = Api::new();
    person(&api, "ann", "viewer").await;
    let wrong = sign_in(&api, &shown("ann", "wrong")).await;
    let nobody = sign_in(&api, &shown("bob", "wrong")).await;
    wrong.is_problem(401, "unauthorised");
    assert_eq!(wrong.text, nobody.text);
    let nothing = sign_in(&api, &json!({ "name": "ann" })).await;
    nothing.is_problem(401, "unauthorised");
}

#[tokio::test]
async fn a_name_rests_after_five_wrong_passwords_and_an_admin_can_end_that() {
    let api = Api::new();
    let ann = person(&api, "ann", "viewer").await;
    person(&api, "bob", "viewer").await;
    for _ in 0..5 {
        let wrong = sign_in(&api, &shown("ann", "wrong")).await;
        wrong.is_problem(401, "unauthorised");
    }
    let rests = sign_in(&api, &shown("ann", PASSWORD)).await;
    rests.is_problem(429, "too-many-requests");
    let wait_s: u64 = rests.header("retry-after").parse().unwrap();
    assert!((1..=31).contains(&wait_s), "{wait_s}");
    Tab::with_password(&api, "bob", PASSWORD).await;
    let unlock = format!("/v1/people/{ann}/unlock");
    assert_eq!(api.post(&unlock, &Value::Null).await.status, 204);
    Tab::with_password(&api, "ann", PASSWORD).await;
}

#[tokio::test]
async fn a_source_that_tries_many_names_is_slowed_down() {
    let api = Api::new();
    // On a machine that takes its time some are forgotten meanwhile.
    for n in 0..40 {
        let wrong = sign_in(&api, &shown(&format!("name{n}"), "wrong")).await;
        if n >= 10 && wrong.status == 429 {
            wrong.is_problem(429, "too-many-requests");
            return;
        }
        wrong.is_problem(401, "unauthorised");
    }
    panic!("forty names were tried");
}

#[tokio::test]
async fn no_hash_is_ever_shown_and_a_made_password_is_shown_once() {
    let api = Api::new();
    let made = json!({ "name": "ann", "role": "admin" });
    let made = api.made("/v1/people", made).await;
    let password = made["password"].as_str().unwrap().to_owned();
    Tab::with_password(&api, "ann", &password).await;
    let path = format!("/v1/people/{}", made["id"].as_str().unwrap());
    for place in [&*path, "/v1/people", "/v1/audit"] {
        let text = api.get(place).await.text;
        assert!(
            !text.contains("argon2") && !text.contains(&password),
            "{text}"
        );
    }
    let short = json!({ "name": "bob", "role": "admin", "password": "short" });
    let short = api.post("/v1/people", &short).await;
    short.is_problem(422, "invalid").at_field("password");
    let named = json!({ "name": "Bob B", "role": "admin" });
    let named = api.post("/v1/people", &named).await;
    named.is_problem(422, "invalid").at_field("name");
    let twice = json!({ "name": "ann", "role": "viewer" });
    let twice = api.post("/v1/people", &twice).await;
    twice.is_problem(409, "duplicate");
}

#[tokio::test]
async fn a_new_password_ends_the_sessions_of_the_old_one() {
    let api = Api::new();
    person(&api, "ann", "viewer").await;
    let other = Tab::with_password(&api, "ann", PASSWORD).await;
    let mut tab = Tab::with_password(&api, "ann", PASSWORD).await;
    let path = "/v1/session/password";
    let wish = |password: &str| json!({ "password": password, "new_password": "another one" });
    let wrong = tab.change("PUT", path, &wish("wrong")).await;
    wrong.is_problem(422, "invalid").at_field("password");
    let changed = tab.change("PUT", path, &wish(PASSWORD)).await;
    assert_eq!(changed.status, 204, "{}", changed.text);
    let old = tab.get("/v1/users").await;
    old.is_problem(401, "unauthorised");
    tab.take_cookie(&changed);
    assert_eq!(tab.get("/v1/users").await.status, 200);
    let other = other.get("/v1/users").await;
    other.is_problem(401, "unauthorised");
    let old = sign_in(&api, &shown("ann", PASSWORD)).await;
    old.is_problem(401, "unauthorised");
    Tab::with_password(&api, "ann", "another one").await;
}

#[tokio::test]
async fn who_is_disabled_or_deleted_is_signed_out() {
    let api = Api::new();
    let ann = person(&api, "ann", "viewer").await;
    let tab = Tab::with_password(&api, "ann", PASSWORD).await;
    let path = format!("/v1/people/{ann}");
    let patch = async |body: Value| api.send("PATCH", &path, &[("if-match", "*")], &body).await;
    assert_eq!(patch(json!({ "enabled": false })).await.status, 200);
    let out = tab.get("/v1/users").await;
    out.is_problem(401, "unauthorised");
    let refused = sign_in(&api, &shown("ann", PASSWORD)).await;
    refused.is_problem(401, "unauthorised");
    assert_eq!(patch(json!({ "enabled": true })).await.status, 200);
    // The password is the one it was.
    let tab = Tab::with_password(&api, "ann", PASSWORD).await;
    assert_eq!(api.delete(&path).await.status, 204);
    let out = tab.get("/v1/users").await;
    out.is_problem(401, "unauthorised");
}

/// What the app of a secret shows at a time, in seconds since the Unix epoch.
fn code_at(secret: &str, at_s: u64) -> String {
    let secret = Secret::try_from_base32(secret).unwrap();
    let app = Builder::new().with_secret(secret).build().unwrap();
    app.generate(at_s).to_string()
}

fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs()
}

#[tokio::test]
async fn a_second_factor_is_asked_for_once_it_is_set_up() {
    let api = Api::new();
    person(&api, "ann", "viewer").await;
    let tab = Tab::with_password(&api, "ann", PASSWORD).await;
    let path = "/v1/session/second-factor";
    let early = tab.change("PUT", path, &json!({ "code": "123456" })).await;
    early.is_problem(404, "not-found");
    let offer = tab.change("POST", path, &Value::Null).await.body;
    let secret = offer["secret"].as_str().unwrap().to_owned();
    assert!(offer["uri"].as_str().unwrap().contains(&secret), "{offer}");
    assert!(offer["picture"].as_array().unwrap().len() > 20);
    // An offer alone changes nothing.
    Tab::with_password(&api, "ann", PASSWORD).await;
    let wrong = tab.change("PUT", path, &json!({ "code": "000000x" })).await;
    wrong.is_problem(422, "invalid").at_field("code");
    let now = now_s();
    let used = code_at(&secret, now);
    let made = tab.change("PUT", path, &json!({ "code": used })).await;
    assert_eq!(made.status, 200, "{}", made.text);
    let codes = made.body["recovery_codes"].as_array().unwrap().clone();
    assert_eq!(codes.len(), 10);
    assert!(tab.get("/v1/session").await.body["second_factor_us"].is_u64());

    let with = |code: &str| json!({ "name": "ann", "password": PASSWORD, "code": code });
    let asked = sign_in(&api, &shown("ann", PASSWORD)).await;
    asked.is_problem(401, "second-factor");
    // Each code is good once, also the one that set it up.
    let again = sign_in(&api, &with(&used)).await;
    again.is_problem(401, "unauthorised");
    let next = code_at(&secret, now + 30);
    Tab::sign_in(&api, &with(&next)).await;
    let again = sign_in(&api, &with(&next)).await;
    again.is_problem(401, "unauthorised");
    let recovery = codes[3].as_str().unwrap();
    Tab::sign_in(&api, &with(&recovery.to_uppercase())).await;
    let again = sign_in(&api, &with(recovery)).await;
    again.is_problem(401, "unauthorised");
    // Nothing of it is told.
    for place in ["/v1/people", "/v1/audit"] {
        let text = api.get(place).await.text;
        assert!(!text.contains(&secret) && !text.contains("v1:"), "{text}");
    }
    let remove = format!("{path}/remove");
    let wrong = json!({ "password": "wrong" });
    let wrong = tab.change("POST", &remove, &wrong).await;
    wrong.is_problem(422, "invalid").at_field("password");
    let own = json!({ "password": PASSWORD });
    let gone = tab.change("POST", &remove, &own).await;
    assert_eq!(gone.status, 204);
    Tab::with_password(&api, "ann", PASSWORD).await;
}

#[tokio::test]
async fn an_admin_takes_a_lost_second_factor_away_and_cannot_make_one() {
    let api = Api::new();
    let ann = person(&api, "ann", "viewer").await;
    let tab = Tab::with_password(&api, "ann", PASSWORD).await;
    let path = "/v1/session/second-factor";
    let offer = tab.change("POST", path, &Value::Null).await.body;
    let code = code_at(offer["secret"].as_str().unwrap(), now_s());
    let made = tab.change("PUT", path, &json!({ "code": code })).await;
    assert_eq!(made.status, 200, "{}", made.text);
    let path = format!("/v1/people/{ann}");
    let patch = async |body: Value| api.send("PATCH", &path, &[("if-match", "*")], &body).await;
    assert_eq!(patch(json!({ "display_name": "Ann" })).await.status, 200);
    let asked = sign_in(&api, &shown("ann", PASSWORD)).await;
    asked.is_problem(401, "second-factor");
    let gone = patch(json!({ "second_factor": null })).await;
    assert_eq!(gone.status, 200, "{}", gone.text);
    Tab::with_password(&api, "ann", PASSWORD).await;
    let made = patch(json!({ "second_factor": { "since_us": 1 } })).await;
    assert_eq!(made.body["second_factor"], Value::Null);
    for wrong in [json!("on"), json!({}), json!({ "since_us": -1 })] {
        let wrong = patch(json!({ "second_factor": wrong })).await;
        wrong.is_problem(400, "malformed").at_field("second_factor");
    }
    Tab::with_password(&api, "ann", PASSWORD).await;
}

#[tokio::test]
async fn a_token_has_no_password_of_its_own() {
    let api = Api::new();
    let wish = json!({ "password": PASSWORD, "new_password": "another one" });
    let refused = api.send("PUT", "/v1/session/password", &[], &wish).await;
    refused.is_problem(403, "forbidden");
    let refused = api.post("/v1/session/second-factor", &Value::Null).await;
    refused.is_problem(403, "forbidden");
}
