//! Wrong values in each field of each record, and wrong requests to the API.

use anyhow::Result;
use serde_json::{Map, Value, json};
use testkit::{Platform, Rest};

fn platform() -> Result<Platform> {
    Platform::start(env!("CARGO_BIN_EXE_tandem"))
}

/// A record of each kind with all its fields, good as it stands.
fn records(rest: &Rest) -> Result<Vec<(&'static str, Value)>> {
    let account = rest.account()?;
    let user = rest.list("/v1/users")?[0]["id"].clone();
    let carrier = rest.create("/v1/carriers", &json!({ "name": "base" }))?["id"].clone();
    let rewrite = json!({ "strip_digits": 1, "prepend": "0" });
    let limits = json!({ "cps": 5, "channels": 7 });
    Ok(vec![
        (
            "accounts",
            json!({ "name": "n", "enabled": true, "limits": limits }),
        ),
        (
            "users",
            json!({
                "account": account, "name": "carol", "display_name": "Carol",
                "caller_number": "+4930", "password": "long enough for all", "enabled": true,
                "contacts_max": 3, "forking": "parallel", "ring_timeout_s": 20, "limits": limits,
            }),
        ),
        (
            "devices",
            json!({
                "user": user, "name": "desk", "auth_name": "desk1",
                "password": "long enough for all", "enabled": true,
            }),
        ),
        (
            "numbers",
            json!({
                "account": account, "number": "+49301", "enabled": true, "limits": limits,
                "target": { "kind": "echo" },
            }),
        ),
        (
            "customers",
            json!({
                "account": account, "name": "c", "host": "192.0.2.7", "media": "relay",
                "auth": { "kind": "address", "networks": ["192.0.2.0/24"] },
                "rewrite": rewrite, "enabled": true, "limits": limits,
            }),
        ),
        (
            "carriers",
            json!({
                "account": account, "name": "d", "media": "bypass", "rewrite": rewrite,
                "enabled": true, "limits": limits,
            }),
        ),
        (
            "gateways",
            json!({
                "carrier": carrier, "name": "g", "host": "192.0.2.9", "port": 5070,
                "transport": "tcp", "priority": 2, "weight": 3, "ping_interval_s": 30,
                "no_answer_timeout_ms": 500, "inbound": true, "enabled": true, "limits": limits,
            }),
        ),
        (
            "routes",
            json!({ "prefix": "49", "carrier": carrier, "rewrite": rewrite, "enabled": true }),
        ),
        ("tokens", json!({ "name": "t", "role": "viewer" })),
        (
            "listeners",
            json!({ "transport": "udp", "address": "127.0.0.1:1" }),
        ),
    ])
}

/// Values that no field like this one takes.
fn wrong(good: &Value) -> Vec<Value> {
    let long = "x".repeat(10_000);
    let mut all = vec![
        json!([[]]),
        json!({ "a": { "b": [] } }),
        json!([1, "2", null]),
    ];
    match good {
        Value::String(_) => all.extend([
            json!(7),
            json!(true),
            json!(long),
            json!("a\u{0}b"),
            json!("\r\nVia: x"),
            json!("\u{1b}[31m"),
        ]),
        Value::Number(_) => all.extend([
            json!(-1),
            json!(1.5),
            json!(1e300),
            json!(u64::MAX),
            json!("1"),
            json!(false),
        ]),
        Value::Bool(_) => all.extend([json!(0), json!("true"), json!(long), json!(null)]),
        Value::Object(fields) => {
            all.extend([json!(3), json!("x")]);
            all.extend(fields.keys().map(|name| json!({ name: [[]] })));
        }
        _ => {}
    }
    all
}

/// The same record with one field changed.
fn with(record: &Value, field: &str, value: Value) -> Value {
    let mut fields: Map<String, Value> = record.as_object().cloned().unwrap_or_default();
    fields.insert(field.to_owned(), value);
    Value::Object(fields)
}

fn assert_refused(status: u16, answer: &Value, what: &str) {
    assert!(
        matches!(status, 400 | 404 | 409 | 413 | 422),
        "{what}: {status} {answer}"
    );
    assert_eq!(
        answer["status"], status,
        "{what}: a problem document, {answer}"
    );
}

#[test]
fn each_field_refuses_what_it_cannot_be() -> Result<()> {
    let platform = platform()?;
    let rest = platform.rest();
    for (kind, record) in records(&rest)? {
        let path = format!("/v1/{kind}");
        let count = rest.list(&path)?.len();
        for (field, good) in record.as_object().into_iter().flatten() {
            for value in wrong(good) {
                let body = with(&record, field, value.clone());
                let shown: String = value.to_string().chars().take(60).collect();
                let what = format!("{kind}.{field} = {shown}");
                let (status, answer) = rest.send("POST", &path, Some(&body))?;
                assert_refused(status, &answer, &what);
                if status == 422 {
                    let named = answer["errors"].to_string();
                    assert!(named.contains(field.as_str()), "{what}: {answer}");
                }
            }
        }
        assert_eq!(rest.list(&path)?.len(), count, "{kind}: nothing was made");
        if kind != "listeners" {
            rest.create(&path, &record)?;
        }
    }
    let log = platform.program().log();
    assert!(!log.contains("panicked"), "{log}");
    Ok(())
}

#[test]
fn each_setting_refuses_what_it_cannot_be() -> Result<()> {
    let platform = platform()?;
    let rest = platform.rest();
    let before = rest.read("/v1/settings")?;
    let settings = before.as_object().expect("settings are a record");
    for (field, good) in settings {
        // In a merge patch, null takes a field back to its default (RFC 7396).
        for value in wrong(good).into_iter().filter(|v| !v.is_null()) {
            let change = json!({ field: value });
            let any = [("If-Match", "*")];
            let (status, answer) = rest.send_with("PATCH", "/v1/settings", &any, Some(&change))?;
            let shown: String = value.to_string().chars().take(60).collect();
            assert_refused(status, &answer, &format!("{field} = {shown}"));
        }
    }
    assert_eq!(rest.read("/v1/settings")?, before);
    Ok(())
}

#[test]
fn wrong_requests_get_the_status_that_says_why() -> Result<()> {
    let platform = platform()?;
    let rest = platform.rest();
    let http = platform.ready().http.clone();
    let huge = json!({ "name": "x".repeat(300_000) });
    let cases: [(&str, &str, Option<&Value>, &[u16]); 9] = [
        ("GET", "/v1/nothing", None, &[404]),
        ("GET", "/v1/users/00000000000000000000000000", None, &[404]),
        ("GET", "/v1/users/%00%ff%0d%0a", None, &[400, 404]),
        ("DELETE", "/v1/users", None, &[405]),
        ("PUT", "/v1/cdrs", None, &[405]),
        ("GET", "/v1/cdrs?limit=minus", None, &[400, 422]),
        ("GET", "/v1/cdrs?cursor=forged", None, &[400, 422]),
        ("POST", "/v1/accounts", Some(&huge), &[413]),
        ("POST", "/v1/accounts", None, &[400, 422]),
    ];
    for (method, path, body, expected) in cases {
        let (status, answer) = rest.send(method, path, body)?;
        assert!(
            expected.contains(&status),
            "{method} {path}: {status} {answer}"
        );
    }
    let token = format!("Bearer {}", platform.ready().token);
    for (kind, body, expected) in [
        ("application/json", "{\"name\":", 400),
        ("application/json", "\u{fffd}", 400),
        ("application/json", "[]", 422),
        ("text/plain", "{\"name\":\"x\"}", 415),
    ] {
        let deep = "[".repeat(100_000);
        for body in [body, if kind == "text/plain" { body } else { &deep }] {
            let answer = post_raw(&http, &token, kind, body)?;
            let allowed = [expected, 400, 422];
            assert!(allowed.contains(&answer), "{kind} {:.40}: {answer}", body);
        }
    }
    Ok(())
}

/// Posts bytes as they are.
fn post_raw(http: &str, token: &str, kind: &str, body: &str) -> Result<u16> {
    use std::io::{Read as _, Write as _};
    let host = http.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(host)?;
    let length = body.len();
    write!(
        stream,
        "POST /v1/accounts HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\n\
         Content-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    let status = text.split(' ').nth(1).unwrap_or_default();
    Ok(status.parse().unwrap_or_default())
}
