//! Certificates: what is sealed, what is looked at, and what is never shown.

use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use crate::fixture::{Answer, Api};

/// A self-signed pair for a name.
fn pair(name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn uploaded(name: &str) -> (Value, String) {
    let (chain, key) = pair(name);
    let body = json!({ "name": name, "chain": chain, "key": key, "applied": true });
    (body, key)
}

async fn patch(api: &Api, path: &str, body: &Value) -> Answer {
    api.send("PATCH", path, &[("if-match", "*")], body).await
}

/// What the node was given.
fn applied(api: &Api) -> model::Snapshot {
    let state = api.node.state.lock().unwrap();
    state.applied.last().unwrap().clone()
}

#[tokio::test]
async fn a_key_goes_in_and_only_the_node_can_open_it() {
    let api = Api::new();
    let (body, key) = uploaded("a.example");
    let made = api.made("/v1/certificates", body).await;
    assert_eq!(made["facts"]["names"], json!(["a.example"]));
    assert!(
        made.get("key").is_none() && made.get("secret").is_none(),
        "{made}"
    );
    let given = applied(&api).certificates[0].clone();
    assert!(!given.secret.is_empty() && !given.secret.contains("PRIVATE"));
    let vault = control::Vault::new(&[7; 32]);
    let opened = control::open_key(&vault, given.id, &given.secret).unwrap();
    assert_eq!(opened, key.as_bytes());
    for path in ["/v1/certificates", "/v1/audit"] {
        let text = api.get(path).await.text;
        assert!(
            !text.contains(&given.secret) && !text.contains("PRIVATE"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_change_of_the_name_keeps_the_pair_and_a_change_of_half_of_it_is_looked_at() {
    let api = Api::new();
    let (body, _) = uploaded("a.example");
    let made = api.made("/v1/certificates", body).await;
    let path = format!("/v1/certificates/{}", made["id"].as_str().unwrap());
    let before = applied(&api).certificates[0].secret.clone();
    let renamed = patch(&api, &path, &json!({ "name": "renamed" })).await;
    assert_eq!(renamed.body["name"], "renamed", "{}", renamed.text);
    assert_eq!(applied(&api).certificates[0].secret, before);

    let (chain, key) = pair("b.example");
    let half = patch(&api, &path, &json!({ "chain": chain })).await;
    half.is_problem(422, "invalid").at_field("key");
    let taken = patch(&api, &path, &json!({ "chain": chain, "key": key })).await;
    assert_eq!(
        taken.body["facts"]["names"],
        json!(["b.example"]),
        "{}",
        taken.text
    );

    // The log has the earlier chain, and no key for it.
    let log = api.get("/v1/audit").await.body;
    let last = log["items"][0]["revision"].as_u64().unwrap();
    let taken_back = api
        .post(&format!("/v1/audit/{last}/revert"), &json!({}))
        .await;
    taken_back.is_problem(409, "not-revertible");
}

#[tokio::test]
async fn what_only_the_platform_says_is_refused() {
    let api = Api::new();
    let (body, _) = uploaded("a.example");
    let facts = json!({ "names": ["everything.example"] });
    for (field, value) in [
        ("facts", facts),
        ("renewal", json!({})),
        ("secret", json!("v1:x")),
    ] {
        let mut body = body.clone();
        body[field] = value;
        let refused = api.post("/v1/certificates", &body).await;
        refused.is_problem(422, "invalid").at_field(field);
    }
    let acme = json!({ "kind": "acme", "domains": ["sip.example.com"] });
    let (_, key) = pair("a.example");
    let with_key = json!({ "name": "b", "source": acme, "key": key });
    let refused = api.post("/v1/certificates", &with_key).await;
    refused.is_problem(422, "invalid").at_field("key");
    let ordered = api
        .made("/v1/certificates", json!({ "name": "b", "source": acme }))
        .await;
    assert!(ordered["facts"].is_null() && ordered["renewal"].is_null());
    // Where it comes from stays.
    let path = format!("/v1/certificates/{}", ordered["id"].as_str().unwrap());
    let refused = patch(&api, &path, &json!({ "source": { "kind": "upload" } })).await;
    refused.is_problem(422, "invalid").at_field("source.kind");
}
