//! The OpenAPI 3.1 document, made from the code.
//!
//! Single endpoints document themselves by their attributes. Those of records are alike, so
//! their part is made here from `Resource`. The copy in `docs/openapi.json` lets a review see
//! what a change does to clients.

mod bounds;
mod fields;

use std::sync::OnceLock;

use model::{
    Account, Carrier, Certificate, Cluster, Customer, Device, Gateway, MediaServer, Number, Person,
    Route, Server, User, Zone,
};
use serde_json::{Map, Value, json};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Components, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, SecurityRequirement,
};
use utoipa::{PartialSchema, ToSchema};

use crate::api::alerts::AlertState;
use crate::api::traces::{Legs, TraceKind};
use crate::problem::ProblemBody;
use crate::resource::Resource;
use crate::{api, server};

/// The document as served: JSON, indented, with a line end.
#[must_use]
pub fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| format!("{:#}\n", document()))
}

/// What the document begins with.
pub(crate) fn base() -> OpenApi {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token of /v1/tokens. Viewers read, operators change records and calls, admins change settings, tokens and people; who is confined to an account sees and changes that alone."))
        .build();
    let mut components = Components::new();
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Tandem")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(DESCRIPTION))
                .license(Some(
                    LicenseBuilder::new()
                        .name("Apache-2.0")
                        .identifier(Some("Apache-2.0"))
                        .build(),
                ))
                .build(),
        )
        .components(Some(components))
        .security(Some([SecurityRequirement::new(
            "token",
            Vec::<String>::new(),
        )]))
        .build()
}

fn document() -> Value {
    let single = server::guarded()
        .merge(server::open())
        .merge(api::system::metrics_routes())
        .into_openapi();
    // What utoipa builds always has a JSON form.
    let mut document = serde_json::to_value(single).unwrap_or(Value::Null);
    name_operations(&mut document);
    add_schema::<ProblemBody<'_>>(&mut document);
    add_schema::<TraceKind>(&mut document);
    add_schema::<Legs>(&mut document);
    add_schema::<AlertState>(&mut document);
    add::<Account>(&mut document);
    add::<User>(&mut document);
    add::<Device>(&mut document);
    add::<Number>(&mut document);
    add::<Customer>(&mut document);
    add::<Carrier>(&mut document);
    add::<Gateway>(&mut document);
    add::<Route>(&mut document);
    add::<MediaServer>(&mut document);
    add::<Person>(&mut document);
    add::<Server>(&mut document);
    add::<Certificate>(&mut document);
    add::<Zone>(&mut document);
    add::<Cluster>(&mut document);
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.remove("DigestSecret");
    }
    let dns = &mut document["components"]["schemas"]["AcmeDns"];
    hide(dns, ("secret", "key_secret"));
    refuse_everywhere(&mut document);
    bounds::say(&mut document);
    fields::say(&mut document);
    describe_changes(&mut document);
    document
}

/// Adds the paths and schemas of a kind of record.
fn add<R: Resource>(document: &mut Value) {
    add_schema::<R>(document);
    let name = R::name();
    if let Some(secret) = R::SECRET {
        let schema = &mut document["components"]["schemas"][secret.schema];
        hide(schema, (secret.hidden, secret.written));
    }
    let schema = &mut document["components"]["schemas"][&*name];
    schema["properties"]["id"]["readOnly"] = json!(true);
    document["paths"][format!("/v1/{}", R::NOUN)] = collection::<R>(&name);
    document["paths"][format!("/v1/{}/{{id}}", R::NOUN)] = item::<R>(&name);
}

fn collection<R: Resource>(name: &str) -> Value {
    let mut parameters = vec![
        query(
            "limit",
            "How many items at most: 1 to 500, 50 if left out.",
            "integer",
        ),
        query("cursor", "`next_cursor` of the page before.", "string"),
    ];
    parameters.extend(R::FILTERS.iter().map(|f| {
        query(
            f,
            "Only records in which this field is exactly so.",
            "string",
        )
    }));
    let noun = R::NOUN;
    let page = json!({
        "type": "object",
        "required": ["items", "next_cursor"],
        "properties": {
            "items": { "type": "array", "items": reference(name) },
            "next_cursor": { "type": ["string", "null"] },
        },
    });
    json!({
        "get": {
            "tags": [noun], "summary": format!("Records of {}", R::SUMMARY),
            "operationId": format!("{noun}_list"), "parameters": parameters,
            "responses": { "200": answer("In the order in which they were made.", &page) },
        },
        "post": {
            "tags": [noun], "summary": format!("Makes a record of {}", R::SUMMARY),
            "operationId": format!("{noun}_create"),
            "parameters": [header("Idempotency-Key", "The same key with the same request is done once within 24 hours.", false)],
            "requestBody": body(name, "application/json"),
            "responses": { "201": answer("The record. A password that was made is shown only now.", &reference(name)) },
        },
    })
}

fn item<R: Resource>(name: &str) -> Value {
    let noun = R::NOUN;
    let one = answer("The record, with its ETag.", &reference(name));
    let if_match = |required| {
        header(
            "If-Match",
            "The ETag of the record as it was read.",
            required,
        )
    };
    json!({
        "parameters": [{
            "name": "id", "in": "path", "required": true, "schema": { "type": "string" },
            "description": "The record's identifier.",
        }],
        "get": {
            "tags": [noun], "summary": format!("One record of {}", R::SUMMARY),
            "operationId": format!("{noun}_read"), "responses": { "200": one },
        },
        "put": {
            "tags": [noun], "summary": format!("Replaces a record of {}", R::SUMMARY),
            "operationId": format!("{noun}_replace"), "parameters": [if_match(true)],
            "requestBody": body(name, "application/json"), "responses": { "200": one },
        },
        "patch": {
            "tags": [noun], "summary": format!("Changes some fields of a record of {}", R::SUMMARY),
            "description": "A JSON merge patch (RFC 7396): null takes a field out.",
            "operationId": format!("{noun}_change"), "parameters": [if_match(true)],
            "requestBody": body(name, "application/merge-patch+json"), "responses": { "200": one },
        },
        "delete": {
            "tags": [noun], "summary": format!("Deletes a record of {}", R::SUMMARY),
            "operationId": format!("{noun}_delete"), "parameters": [if_match(false)],
            "responses": { "204": { "description": "It is gone." } },
        },
    })
}

/// A change of a record needs none of its fields.
fn describe_changes(document: &mut Value) {
    let schemas = document["components"]["schemas"].as_object().cloned();
    let schemas = schemas.unwrap_or_default();
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (_, operations) in paths {
        let Some(body) = operations.pointer_mut(CHANGE) else {
            continue;
        };
        let reference = body["schema"]["$ref"].as_str().unwrap_or_default();
        let name = reference.rsplit('/').next().unwrap_or_default();
        let mut change = schemas.get(name).cloned().unwrap_or_default();
        if let Some(change) = change.as_object_mut() {
            change.remove("required");
        }
        body["schema"] = change;
    }
}

fn add_schema<T: ToSchema>(document: &mut Value) {
    let mut schemas = vec![(T::name().into_owned(), <T as PartialSchema>::schema())];
    T::schemas(&mut schemas);
    for (name, schema) in schemas {
        document["components"]["schemas"][name] = json!(schema);
    }
}

/// Takes a secret out of a schema, wherever in it, and puts a password in that is only written.
fn hide(schema: &mut Value, (secret, written): (&str, &str)) {
    match schema {
        Value::Object(fields) => {
            if let Some(required) = fields.get_mut("required").and_then(Value::as_array_mut) {
                required.retain(|name| name != secret);
            }
            let properties = fields.get_mut("properties").and_then(Value::as_object_mut);
            if let Some(properties) = properties.filter(|p| p.contains_key(secret)) {
                properties.remove(secret);
                properties.insert(written.into(), self::written(written));
            }
            let hide = |value| hide(value, (secret, written));
            fields.values_mut().for_each(hide);
        }
        Value::Array(values) => {
            let hide = |value| hide(value, (secret, written));
            values.iter_mut().for_each(hide);
        }
        _ => {}
    }
}

fn written(field: &str) -> Value {
    match field {
        "key" => json!({
            "type": "string", "writeOnly": true,
            "description": "The private key of the chain, in PEM without a passphrase. It is never shown. Left out, it stays.",
        }),
        "key_secret" => json!({
            "type": "string", "writeOnly": true,
            "description": "The key that the server shares with us, in base64. It is never shown. Left out, it stays; empty, there is none.",
        }),
        _ => password(),
    }
}

fn password() -> Value {
    json!({
        "type": "string",
        "description": "Shown only in the answer to the request that made it. Left out, it stays; for a new digest secret one is made and shown once.",
    })
}

/// Operations are named after their functions, which only the tag makes unambiguous.
fn name_operations(document: &mut Value) {
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (_, operations) in paths {
        for (_, operation) in operations.as_object_mut().into_iter().flatten() {
            let (tag, name) = (
                operation["tags"][0].as_str(),
                operation["operationId"].as_str(),
            );
            operation["operationId"] =
                json!(format!("{}_{}", tag.unwrap_or(""), name.unwrap_or("")));
        }
    }
}

/// Every operation may answer with a problem.
fn refuse_everywhere(document: &mut Value) {
    let problem = json!({
        "description": "A problem, RFC 9457.",
        "content": { "application/problem+json": { "schema": reference("Problem") } },
    });
    let Some(paths) = document["paths"].as_object_mut() else {
        return;
    };
    for operations in paths.values_mut().filter_map(Value::as_object_mut) {
        for operation in operations.values_mut().filter(|o| o.is_object()) {
            operation["responses"]["default"] = problem.clone();
        }
    }
}

fn query(name: &str, description: &str, kind: &str) -> Value {
    json!({ "name": name, "in": "query", "description": description, "schema": { "type": kind } })
}

fn header(name: &str, description: &str, required: bool) -> Value {
    json!({ "name": name, "in": "header", "required": required, "description": description, "schema": { "type": "string" } })
}

fn body(name: &str, media_type: &str) -> Value {
    let content = Map::from_iter([(media_type.to_owned(), json!({ "schema": reference(name) }))]);
    json!({ "required": true, "content": content })
}

fn answer(description: &str, schema: &Value) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Where an operation on a record says what a change of it is.
const CHANGE: &str = "/patch/requestBody/content/application~1merge-patch+json";
const DESCRIPTION: &str = "The management API of Tandem. Times are integers in microseconds since \
the Unix epoch. Lists come in pages: give `next_cursor` as `cursor` for the next. Changes need \
If-Match with the ETag of the object as it was read. Every refusal is a problem (RFC 9457).";
