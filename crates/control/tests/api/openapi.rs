//! The OpenAPI document: complete, without secrets, and the committed copy is the current one.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::fixture::Api;

fn document() -> Value {
    serde_json::from_str(control::openapi::text()).unwrap()
}

#[test]
fn the_committed_copy_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&path, control::openapi::text()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == control::openapi::text(),
        "the API has changed: look at the difference after `UPDATE_OPENAPI=1 cargo nextest run -p control openapi`"
    );
}

#[tokio::test]
async fn it_is_served_without_a_token() {
    let answer = Api::new().get_as("", "/v1/openapi.json").await;
    assert_eq!(
        (answer.status.as_u16(), answer.text.as_str()),
        (200, control::openapi::text())
    );
}

/// What is no record.
const PATHS: &[&str] = &[
    "/healthz",
    "/metrics",
    "/readyz",
    "/v1/audit",
    "/v1/array",
    "/v1/audit/{id}/revert",
    "/v1/bans",
    "/v1/bans/{address}",
    "/v1/calls",
    "/v1/calls/{id}",
    "/v1/calls/{id}/hangup",
    "/v1/cdrs",
    "/v1/cdrs/exports",
    "/v1/drafts",
    "/v1/drafts/{id}",
    "/v1/drafts/{id}/apply",
    "/v1/drafts/{id}/changes/{record}",
    "/v1/drafts/{id}/replay",
    "/v1/drafts/{id}/rollback",
    "/v1/cdrs/exports/{id}",
    "/v1/cdrs/exports/{id}/file",
    "/v1/certificates/check",
    "/v1/certificates/{id}/renew",
    "/v1/presented-certificates",
    "/v1/cdrs/export.csv",
    "/v1/cdrs/{id}",
    "/v1/events",
    "/v1/events/recent",
    "/v1/gateway-health",
    "/v1/history",
    "/v1/users:batch",
    "/v1/people/{id}/unlock",
    "/v1/session/oidc",
    "/v1/session/oidc/begin",
    "/v1/session/oidc/callback",
    "/v1/session/password",
    "/v1/session/second-factor",
    "/v1/session/second-factor/remove",
    "/v1/sessions",
    "/v1/sessions/{id}",
    "/v1/join-tokens",
    "/v1/join-tokens/{id}",
    "/v1/media-server-health",
    "/v1/limits",
    "/v1/listeners",
    "/v1/listeners/{id}",
    "/v1/duties",
    "/v1/posture",
    "/v1/recordings",
    "/v1/registrations",
    "/v1/registrations/{id}",
    "/v1/routes/simulate",
    "/v1/server-health",
    "/v1/servers/{id}/drain",
    "/v1/servers/{id}/flush",
    "/v1/servers/{id}/resize",
    "/v1/servers/{id}/restart",
    "/v1/servers/{id}/resume",
    "/v1/servers/{id}/start",
    "/v1/servers/{id}/stop",
    "/v1/servers/{id}/update",
    "/v1/servers/{id}/log",
    "/v1/servers/{id}/registrations",
    "/v1/servers/{id}/targets/{target}",
    "/v1/servers/{id}/targets/{target}/drain",
    "/v1/servers/{id}/targets/{target}/resume",
    "/v1/servers/{id}/revoke",
    "/v1/session",
    "/v1/settings",
    "/v1/tasks",
    "/v1/tasks/{id}",
    "/v1/tasks/{id}/cancel",
    "/v1/tokens",
    "/v1/tokens/{id}",
    "/v1/alerts",
    "/v1/alerts/test",
    "/v1/calls/{id}/ladder",
    "/v1/traces",
    "/v1/traces/export.pcap",
    "/v1/traces/export.txt",
    "/v1/traces/ladder",
    "/v1/traces/status",
    "/v1/traces/{id}",
    "/v1/version",
    "/v1/cluster-health",
    "/v1/zone-health",
    "/v1/zones/latency",
];

/// Kinds of records.
const NOUNS: [&str; 14] = [
    "accounts",
    "users",
    "devices",
    "numbers",
    "customers",
    "carriers",
    "gateways",
    "media-servers",
    "people",
    "routes",
    "servers",
    "certificates",
    "zones",
    "clusters",
];

#[test]
fn it_is_openapi_3_1_and_names_every_path() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let paths: BTreeSet<&str> = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let mut wanted = BTreeSet::from_iter(PATHS.iter().copied());
    let records: Vec<String> = NOUNS
        .iter()
        .flat_map(|noun| [format!("/v1/{noun}"), format!("/v1/{noun}/{{id}}")])
        .collect();
    wanted.extend(records.iter().map(String::as_str));
    assert_eq!(paths, wanted);
}

#[test]
fn every_reference_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 50);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn operations_have_distinct_names_and_no_secret_is_in_any_schema() {
    let document = document();
    let mut names = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, o)| o.is_object())
        {
            let name = operation["operationId"]
                .as_str()
                .unwrap_or_else(|| panic!("{method} {path} has no name"));
            assert!(names.insert(name), "{name} names two operations");
        }
    }
    let schemas = &document["components"]["schemas"];
    assert!(schemas["User"]["properties"]["secret"].is_null());
    assert_eq!(schemas["User"]["properties"]["password"]["type"], "string");
    let person = &schemas["Person"]["properties"];
    assert!(person["password_hash"].is_null(), "{person}");
    assert_eq!(person["password"]["type"], "string");
    let factor = &schemas["SecondFactor"]["properties"];
    assert!(
        factor["since_us"].is_object() && factor["secret"].is_null(),
        "{factor}"
    );
    // A property; an algorithm may be called so.
    assert!(!schemas.to_string().contains("sha256\":"));
}
