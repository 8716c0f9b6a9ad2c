//! What the fields of records accept beyond their type: the checks of `model`, as JSON Schema.
//!
//! What depends on another field, or on another record, is left to the answer: 422, 404 or 409.

use serde_json::{Value, json};

/// Says it in the schemas of a document.
pub(super) fn say(document: &mut Value) {
    for (schema, field, bound) in bounds() {
        let schema = &mut document["components"]["schemas"][schema];
        each_property(schema, field, &mut |property| extend(property, &bound));
    }
    for name in CLOSED {
        close(&mut document["components"]["schemas"][name]);
    }
}

/// Refuses other properties than those a schema names, in each of its variants.
fn close(schema: &mut Value) {
    if schema.get("properties").is_some() {
        schema["additionalProperties"] = json!(false);
    }
    let variants = schema.get_mut("oneOf").and_then(Value::as_array_mut);
    variants.into_iter().flatten().for_each(close);
}

/// Of which schema, which field, and what it accepts.
fn bounds() -> Vec<(&'static str, &'static str, Value)> {
    let mut all = records();
    all.extend(acme());
    all.extend(settings());
    all.extend(oidc());
    all
}

#[expect(clippy::too_many_lines, reason = "one line for each field")]
fn records() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("Account", "name", name()),
        ("ApiToken", "name", name()),
        ("Carrier", "media_zone", name()),
        ("Carrier", "name", name()),
        ("Certificate", "name", name()),
        ("Certificate", "servers", json!({ "maxItems": 256 })),
        ("CertificateSource", "domains", wildcards_too(domains())),
        ("Cluster", "name", name()),
        ("Customer", "host", host_port()),
        ("Customer", "media_zone", name()),
        ("Customer", "name", name()),
        ("CustomerAuth", "auth_name", user_name()),
        ("CustomerAuth", "names", certificate_names()),
        ("CustomerAuth", "networks", networks(1)),
        ("CustomerAuth", "password", password()),
        ("Device", "auth_name", user_name()),
        ("Device", "name", name()),
        ("Device", "password", password()),
        ("DispatchTarget", "address", target_address()),
        ("DispatchTarget", "calls_max", range(0, 4_294_967_295)),
        ("DispatchTarget", "cps_max", range(0, 4_294_967_295)),
        ("DispatchTarget", "name", target_name()),
        ("DispatchTarget", "priority", range(0, 65_535)),
        ("DispatchTarget", "weight", range(1, 1_000)),
        ("Dispatching", "targets", json!({ "maxItems": 256 })),
        ("Domains", "domains", domains()),
        ("Gateway", "host", host()),
        ("Gateway", "name", name()),
        ("Gateway", "no_answer_timeout_ms", zero_or(200, 60_000)),
        ("Gateway", "ping_interval_s", zero_or(5, 3_600)),
        ("Gateway", "port", range(1, 65_535)),
        ("Gateway", "priority", range(0, 65_535)),
        ("Gateway", "weight", range(0, 65_535)),
        ("GatewayRegistration", "contact", host_port()),
        ("GatewayRegistration", "domain", host()),
        ("GatewayRegistration", "expiry_s", range(60, 86_400)),
        ("GatewayRegistration", "user", secret_text("")),
        ("JoinTokenDraft", "cluster", text(0)),
        ("JoinTokenDraft", "name", text(0)),
        ("JoinTokenDraft", "valid_s", range(1, 604_800)),
        ("JoinTokenDraft", "zone", text(0)),
        ("LimitSpec", "channels", range(0, 100_000_000)),
        ("LimitSpec", "cps", range(0, 1_000_000)),
        ("ListenerSpec", "address", listener()),
        (
            "MediaServer",
            "aliases",
            json!({ "maxItems": 16, "items": host() }),
        ),
        ("MediaServer", "control", control()),
        ("MediaServer", "name", name()),
        ("MediaServer", "public_address", address()),
        ("MediaServer", "weight", range(0, 65_535)),
        ("MediaServer", "zone", text(0)),
        ("Number", "number", number()),
        ("OutboundAuth", "password", secret_text("")),
        ("OutboundAuth", "username", secret_text(r#""\\"#)),
        ("Person", "display_name", text(0)),
        ("Person", "name", pattern("^[a-z0-9._@-]{1,64}$")),
        ("Person", "password", long_password()),
        ("Person", "zones", json!({ "maxItems": 64 })),
        ("Rewrite", "prepend", pattern(r"^\+?[0-9*#]{0,32}$")),
        ("Rewrite", "strip_digits", range(0, 32)),
        ("RouteQuery", "at_us", any_number()),
        ("RouteQuery", "source", source()),
        ("RouteQuery", "called", json!({ "minLength": 1 })),
        ("Route", "priority", range(0, 65_535)),
        ("Route", "prefix", pattern("^[0-9]{0,32}$")),
        ("Route", "media_zone", name()),
        ("Server", "cluster", text(0)),
        ("Server", "name", name()),
        ("Server", "zone", text(0)),
        ("Size", "channels", range(0, 100_000_000)),
        ("Size", "cps", range(0, 1_000_000)),
        ("TokenDraft", "name", name()),
        ("User", "caller_number", number()),
        ("User", "contacts_max", range(0, 100)),
        ("User", "display_name", text(0)),
        ("User", "name", user_name()),
        ("User", "password", password()),
        ("User", "ring_timeout_s", zero_or(5, 600)),
        ("Zone", "name", name()),
    ]
}

fn settings() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("AlertEmail", "from", mailbox_or_nothing()),
        ("AlertEmail", "server", with_port("", ":PORT")),
        (
            "AlertEmail",
            "to",
            json!({ "maxItems": 20, "items": mailbox() }),
        ),
        ("AlertSettings", "carrier_asr_percent", range(0, 100)),
        ("AlertSettings", "certificate_days", range(0, 365)),
        ("AlertSettings", "down_s", range(0, 86_400)),
        ("AlertSettings", "headroom_percent", range(0, 100)),
        ("AlertSettings", "media_loss_percent", range(0, 100)),
        (
            "AlertSettings",
            "webhook",
            json!({ "maxLength": 2_000, "pattern": "^https?://[!-~]+$" }),
        ),
        (
            "Overflow",
            "peers",
            json!({ "maxItems": 16, "items": host_port() }),
        ),
        ("Overflow", "retry_after_s", range(0, 3_600)),
        (
            "RecordingStore",
            "bucket",
            pattern(r"^$|^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"),
        ),
        ("RecordingStore", "endpoint", endpoint()),
        (
            "RecordingStore",
            "prefix",
            pattern("^$|^[A-Za-z0-9_.=-][A-Za-z0-9_./=-]{0,511}$"),
        ),
        ("RecordingStore", "region", pattern("^[A-Za-z0-9_-]{1,64}$")),
        ("Settings", "call_duration_max_s", range(1, 7 * 86_400)),
        ("Settings", "cdr_retention_days", range(0, 36_500)),
        ("Settings", "contacts_max", range(1, 100)),
        ("Settings", "dispatchers", networks(0)),
        ("Settings", "domain", host()),
        ("Settings", "gateway_timeout_ms", range(200, 60_000)),
        (
            "Settings",
            "hep_node_id",
            json!({ "format": null, "maximum": u32::MAX }),
        ),
        ("Settings", "keep_alive_interval_s", zero_or(5, 3_600)),
        ("Settings", "media_timeout_s", zero_or(5, 86_400)),
        ("Settings", "registration_default_s", range(1, 604_800)),
        ("Settings", "registration_max_s", range(60, 604_800)),
        ("Settings", "registration_min_s", range(1, 3_600)),
        ("Settings", "ring_timeout_s", range(5, 600)),
        ("Settings", "session_expires_min_s", range(90, 86_400)),
        ("Settings", "session_expires_s", zero_or(90, 86_400)),
        ("TraceSettings", "days", range(1, 365)),
        ("TraceSettings", "hep_listen", listener()),
        ("TraceSettings", "hep_sources", few_networks()),
        ("TraceSettings", "megabytes", range(4, 65_536)),
    ]
}

fn acme() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        (
            "AcmeSettings",
            "directory",
            json!({ "maxLength": 2_000, "pattern": "^https://[!-.0-~][!-~]*$" }),
        ),
        ("AcmeDns", "server", with_port("", ":PORT")),
        (
            "AcmeDns",
            "key_name",
            json!({ "maxLength": 253, "pattern": r"^(?:[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?)?$" }),
        ),
        ("AcmeDns", "settle_s", range(0, 600)),
        ("AcmeDns", "zone", certificate_names()["items"].clone()),
        ("AcmeSettings", "contact", mailbox()),
        ("AcmeSettings", "http_port", range(1, 65_535)),
    ]
}

fn oidc() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("OidcRule", "claim", pattern(WORD)),
        (
            "OidcRule",
            "value",
            json!({ "minLength": 1, "maxLength": 255 }),
        ),
        ("OidcRule", "zones", json!({ "maxItems": 64 })),
        ("OidcSettings", "name", name()),
        ("OidcSettings", "name_claim", pattern(WORD)),
        ("OidcSettings", "rules", json!({ "maxItems": 100 })),
        (
            "OidcSettings",
            "scopes",
            json!({ "maxItems": 20, "items": pattern(WORD) }),
        ),
    ]
}

/// Calls `act` for a property of a schema, in each of its variants that has it.
fn each_property(schema: &mut Value, field: &str, act: &mut impl FnMut(&mut Value)) {
    if let Some(property) = schema
        .get_mut("properties")
        .and_then(|all| all.get_mut(field))
    {
        act(property);
    }
    for list in ["oneOf", "allOf"] {
        let variants = schema.get_mut(list).and_then(Value::as_array_mut);
        for variant in variants.into_iter().flatten() {
            each_property(variant, field, act);
        }
    }
}

/// Adds the words of one schema to another; null takes one out.
fn extend(property: &mut Value, bound: &Value) {
    let words = bound.as_object().into_iter().flatten();
    for (word, value) in words {
        match (property.get_mut(word), value) {
            (Some(before), Value::Object(_)) if before.is_object() => extend(before, value),
            (_, Value::Null) => {
                if let Some(property) = property.as_object_mut() {
                    property.remove(word);
                }
            }
            _ => property[word] = value.clone(),
        }
    }
}

fn range(least: u64, most: u64) -> Value {
    json!({ "minimum": least, "maximum": most })
}

/// Unsigned: OpenAPI has no name for 64 bits of that.
fn any_number() -> Value {
    json!({ "minimum": 0, "format": null })
}

/// An address, or an address and a port.
fn source() -> Value {
    let ipv6 = ipv6();
    pattern(&format!(
        r"^(?:{IPV4}(?::{PORT})?|{ipv6}|\[{ipv6}\]:{PORT})$"
    ))
}

fn zero_or(least: u64, most: u64) -> Value {
    json!({ "maximum": most, "anyOf": [{ "maximum": 0 }, { "minimum": least }] })
}

fn pattern(pattern: &str) -> Value {
    json!({ "pattern": pattern })
}

/// What people read.
fn name() -> Value {
    let seen = format!(r"^[^{CONTROL}]*[^\s{CONTROL}][^{CONTROL}]*$");
    json!({ "minLength": 1, "maxLength": 64, "pattern": seen })
}

/// The same, or nothing.
fn text(least: u64) -> Value {
    json!({ "minLength": least, "maxLength": 64, "pattern": format!("^[^{CONTROL}]*$") })
}

fn password() -> Value {
    json!({ "minLength": 8, "maxLength": 128, "pattern": format!("^[^{CONTROL}]*$") })
}

/// A person's.
fn long_password() -> Value {
    json!({ "minLength": 10, "maxLength": 128, "pattern": format!("^[^{CONTROL}]*$") })
}

/// A word of credentials, without some characters.
fn secret_text(without: &str) -> Value {
    json!({ "minLength": 1, "maxLength": 128, "pattern": format!("^[^{without}{CONTROL}]*$") })
}

fn user_name() -> Value {
    pattern("^[A-Za-z0-9_.!~*'()+-]{1,64}$")
}

fn number() -> Value {
    pattern(r"^\+?[0-9]{1,32}$")
}

/// A host name or an address without brackets.
fn host() -> Value {
    json!({ "anyOf": [{ "format": "ipv4" }, { "format": "ipv6" }, host_name()] })
}

fn host_name() -> Value {
    json!({ "maxLength": 253, "pattern": format!("^{HOST_NAME}$") })
}

fn address() -> Value {
    json!({ "anyOf": [{ "format": "ipv4" }, { "format": "ipv6" }] })
}

/// A host name or an address, IPv6 in brackets, and a port or none.
fn host_port() -> Value {
    with_port("", "(?::PORT)?")
}

fn endpoint() -> Value {
    with_port("https?://", "(?::PORT)?")
}

fn control() -> Value {
    with_port("udp:", ":PORT")
}

/// Where a dispatcher's target is. What else an address must be depends on its parts.
fn target_address() -> Value {
    with_port("(?:udp|tcp|tls):", "(?::PORT)?")
}

fn target_name() -> Value {
    pattern("^[A-Za-z0-9._-]{1,64}$")
}

/// An address of this machine and a port.
fn listener() -> Value {
    pattern(&format!(r"^(?:{IPV4}|\[{}\]):(?:0|{PORT})$", ipv6()))
}

fn with_port(scheme: &str, port: &str) -> Value {
    let port = port.replace("PORT", PORT);
    let ipv6 = ipv6();
    json!({
        "maxLength": 253,
        "pattern": format!(r"^{scheme}(?:{HOST_NAME}|{IPV4}|\[{ipv6}\]){port}$"),
    })
}

/// RFC 5952 and its longer forms, less those that end like IPv4.
fn ipv6() -> String {
    const GROUP: &str = "[0-9A-Fa-f]{1,4}";
    let mut forms = vec![format!("(?:{GROUP}:){{7}}{GROUP}")];
    for before in 1..=6 {
        let after = 7 - before;
        forms.push(format!("(?:{GROUP}:){{{before}}}(?::{GROUP}){{1,{after}}}"));
        forms.push(format!("(?:{GROUP}:){{{before}}}:"));
    }
    forms.push(format!("(?:{GROUP}:){{7}}:"));
    forms.push(format!(":(?::{GROUP}){{1,7}}"));
    forms.push("::".to_owned());
    format!("(?:{})", forms.join("|"))
}

fn networks(least: u32) -> Value {
    let v4 = format!("{IPV4}/(?:[1-9]|[12][0-9]|3[0-2])");
    let v6 = format!("{}/(?:[1-9][0-9]?|1[01][0-9]|12[0-8])", ipv6());
    json!({
        "minItems": least, "maxItems": 256,
        "items": { "pattern": format!("^(?:{v4}|{v6})$") },
    })
}

fn few_networks() -> Value {
    let mut networks = networks(0);
    networks["maxItems"] = json!(64);
    networks
}

/// A bare address of mail.
fn mailbox() -> Value {
    json!({ "maxLength": 254, "pattern": format!("^{MAILBOX}$") })
}

fn mailbox_or_nothing() -> Value {
    json!({ "maxLength": 254, "pattern": format!("^$|^{MAILBOX}$") })
}

/// Those of a certificate of an authority.
fn domains() -> Value {
    let mut names = certificate_names();
    names["maxItems"] = json!(100);
    names
}

/// Which challenge takes them is said when a certificate is made.
fn wildcards_too(mut names: Value) -> Value {
    let pattern = names["items"]["pattern"].as_str().unwrap_or_default();
    names["items"]["pattern"] = json!(pattern.replacen('^', "^(?:\\*\\.)?", 1));
    names
}

fn certificate_names() -> Value {
    // Host names in small letters, without a dot at the end.
    let name = HOST_NAME.replace("A-Z", "");
    let name = name.strip_suffix("\\.?").unwrap_or(&name);
    json!({
        "minItems": 1, "maxItems": 16, "uniqueItems": true,
        "items": { "maxLength": 253, "pattern": format!("^{name}$") },
    })
}

/// What is sent, and whose unknown fields are refused. A customer's are, too; but the answer that
/// made one shows its password beside its fields.
const CLOSED: [&str; 36] = [
    "Account",
    "AcmeDns",
    "AcmeSettings",
    "AlertEmail",
    "AlertSettings",
    "Carrier",
    "Certificate",
    "CertificateSource",
    "CustomerAuth",
    "Device",
    "DispatchTarget",
    "Dispatching",
    "Domains",
    "Gateway",
    "GatewayRegistration",
    "JoinTokenDraft",
    "LimitSpec",
    "MediaServer",
    "Number",
    "NumberTarget",
    "OidcIdentity",
    "OidcRule",
    "OidcSettings",
    "OutboundAuth",
    "Overflow",
    "Person",
    "RecordingStore",
    "Rewrite",
    "Route",
    "Server",
    "Settings",
    "Size",
    "TargetChange",
    "TokenDraft",
    "TraceSettings",
    "User",
];
/// A word of OAuth and OpenID Connect.
const WORD: &str = "^[!-~]{1,255}$";
/// As a class of characters, for the inside of brackets.
const CONTROL: &str = r"\u0000-\u001f\u007f-\u009f";
/// RFC 1123 §2.1 with underscores; the last label is no number.
const HOST_NAME: &str = "(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\\.)*\
    (?:[A-Za-z_]|[0-9][A-Za-z0-9_-]{0,60}[A-Za-z_]|[A-Za-z_][A-Za-z0-9_-]{0,61}[A-Za-z0-9_])\\.?";
/// A name and a host, without anything that would have to be quoted.
const MAILBOX: &str = "[A-Za-z0-9._%+-]+@[A-Za-z0-9._%+-]+";
const IPV4: &str = "(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\\.){3}\
    (?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
/// 1 to 65535.
const PORT: &str =
    "(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_there() {
        let document: Value = serde_json::from_str(super::super::text()).unwrap();
        for (schema, field, bound) in bounds() {
            let mut found = 0;
            let mut schema_there = document["components"]["schemas"][schema].clone();
            each_property(&mut schema_there, field, &mut |property| {
                let words = bound.as_object().unwrap();
                for (word, value) in words {
                    let there = property.get(word).is_some();
                    assert_eq!(there, !value.is_null(), "{schema}.{field}: {word}");
                }
                found += 1;
            });
            assert!(found > 0, "{schema}.{field} is no field");
        }
    }
}
