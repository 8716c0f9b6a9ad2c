//! What values may look like beyond their type, where clients would otherwise have to try.

use model::{
    AccountId, CallId, CarrierId, ClusterId, CustomerId, DeviceId, DraftId, ExportId, GatewayId,
    JoinTokenId, MediaServerId, NumberId, PersonId, RouteId, ServerId, TaskId, TokenId, UserId,
    ZoneId,
};
use serde_json::{Value, json};

use crate::paging::LIMIT_MAX;

/// Says it for identifiers and for the sizes of pages.
pub(super) fn say(document: &mut Value) {
    for (name, prefix) in IDENTIFIERS {
        let schema = &mut document["components"]["schemas"][name];
        if schema.is_object() {
            schema["pattern"] = json!(format!(
                "^{prefix}_[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{{25}}$"
            ));
        }
    }
    for schema in ["ExportFilter", "ReplayWish"] {
        for name in TIMES {
            unsigned(&mut document["components"]["schemas"][schema]["properties"][name]);
        }
    }
    let paths = document["paths"].as_object_mut();
    for (path, operations) in paths.into_iter().flatten() {
        let operations = operations.as_object_mut().into_iter().flatten();
        for (_, operation) in operations {
            let parameters = operation.get_mut("parameters");
            let parameters = parameters.and_then(Value::as_array_mut);
            for parameter in parameters.into_iter().flatten() {
                describe(path, parameter);
            }
        }
    }
}

/// Unsigned: beyond what a signed number of 64 bits holds is in the far future.
fn unsigned(schema: &mut Value) {
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("format");
    }
}

/// What a parameter accepts beyond its type.
fn describe(path: &str, parameter: &mut Value) {
    let name = parameter["name"].as_str().unwrap_or_default().to_owned();
    let schema = &mut parameter["schema"];
    match name.as_str() {
        "limit" if path == EXPORT => schema["minimum"] = json!(0),
        "limit" if schema["type"] == "integer" => {
            schema["minimum"] = json!(1);
            schema["maximum"] = json!(LIMIT_MAX);
        }
        name if TIMES.contains(&name) => unsigned(schema),
        "address" if path.starts_with("/v1/traces") => {
            *schema =
                json!({ "anyOf": [{ "format": "ipv4" }, { "format": "ipv6" }], "type": "string" })
        }
        "Idempotency-Key" => schema["pattern"] = json!("^[!-~]{1,128}$"),
        // Records name them by name.
        "zone" | "cluster" => {}
        // Lists of records compare texts, whatever they are.
        name if TYPED.contains(&path) => {
            let mut known = IDENTIFIERS.iter();
            let known = known.find(|(known, _)| known.to_lowercase() == format!("{name}id"));
            if let Some((known, _)) = known {
                *schema = json!({ "$ref": format!("#/components/schemas/{known}") });
            }
        }
        _ => {}
    }
}

/// Between these times, in microseconds since the Unix epoch.
const TIMES: [&str; 2] = ["from_us", "to_us"];
/// It is no page: it brings as many as are wanted.
const EXPORT: &str = "/v1/cdrs/export.csv";
/// Lists whose parameters are identifiers where they are called so.
const TYPED: [&str; 10] = [
    "/v1/calls",
    "/v1/cdrs",
    EXPORT,
    "/v1/history",
    "/v1/registrations",
    "/v1/server-health",
    "/v1/tasks",
    "/v1/traces",
    "/v1/traces/export.pcap",
    "/v1/traces/export.txt",
];

const IDENTIFIERS: [(&str, &str); 19] = [
    ("AccountId", AccountId::PREFIX),
    ("CallId", CallId::PREFIX),
    ("CarrierId", CarrierId::PREFIX),
    ("ClusterId", ClusterId::PREFIX),
    ("CustomerId", CustomerId::PREFIX),
    ("DeviceId", DeviceId::PREFIX),
    ("DraftId", DraftId::PREFIX),
    ("ExportId", ExportId::PREFIX),
    ("GatewayId", GatewayId::PREFIX),
    ("JoinTokenId", JoinTokenId::PREFIX),
    ("MediaServerId", MediaServerId::PREFIX),
    ("NumberId", NumberId::PREFIX),
    ("PersonId", PersonId::PREFIX),
    ("RouteId", RouteId::PREFIX),
    ("ServerId", ServerId::PREFIX),
    ("TaskId", TaskId::PREFIX),
    ("TokenId", TokenId::PREFIX),
    ("UserId", UserId::PREFIX),
    ("ZoneId", ZoneId::PREFIX),
];
