//! What values may look like beyond their type, where clients would otherwise have to try.

use model::{
    AccountId, CallId, CarrierId, CustomerId, DeviceId, GatewayId, MediaServerId, NumberId,
    RouteId, TokenId, UserId,
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
    let paths = document["paths"].as_object_mut();
    let operations = paths
        .into_iter()
        .flat_map(|paths| paths.values_mut())
        .flat_map(|path| {
            path.as_object_mut()
                .into_iter()
                .flat_map(|p| p.values_mut())
        });
    for operation in operations {
        let parameters = operation
            .get_mut("parameters")
            .and_then(Value::as_array_mut);
        for parameter in parameters.into_iter().flatten() {
            let integer = parameter["schema"]["type"] == "integer";
            if parameter["name"] == "limit" && integer {
                parameter["schema"]["minimum"] = json!(1);
                parameter["schema"]["maximum"] = json!(LIMIT_MAX);
            }
        }
    }
}

const IDENTIFIERS: [(&str, &str); 11] = [
    ("AccountId", AccountId::PREFIX),
    ("CallId", CallId::PREFIX),
    ("CarrierId", CarrierId::PREFIX),
    ("CustomerId", CustomerId::PREFIX),
    ("DeviceId", DeviceId::PREFIX),
    ("GatewayId", GatewayId::PREFIX),
    ("MediaServerId", MediaServerId::PREFIX),
    ("NumberId", NumberId::PREFIX),
    ("RouteId", RouteId::PREFIX),
    ("TokenId", TokenId::PREFIX),
    ("UserId", UserId::PREFIX),
];
