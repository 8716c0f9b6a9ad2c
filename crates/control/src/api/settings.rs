//! `/v1/settings`: what applies where no record says otherwise.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use model::{Settings, Validate};
use serde_json::{Value, json};
use store::Stored;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::certificates::DNS_KEY_OWNER;
use crate::control::Caller;
use crate::etag::{self, IfMatch};
use crate::extract::Body;
use crate::{Control, Problem, draft};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(read, replace, change))
}

/// The settings
#[utoipa::path(
    get,
    path = "/v1/settings",
    tag = "settings",
    responses((status = 200, description = "The settings, with their ETag.", body = Settings)),
)]
async fn read(State(control): State<Control>) -> Result<Response, Problem> {
    Ok(answer(
        &control.records(|records| records.settings()).await?,
    ))
}

/// Replaces the settings; what is left out becomes the default
#[utoipa::path(
    put,
    path = "/v1/settings",
    tag = "settings",
    params(("If-Match" = String, Header, description = "The ETag of the settings as they were read.")),
    request_body = Settings,
    responses((status = 200, description = "The settings as they are now.", body = Settings)),
)]
async fn replace(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(body): Body<Value>,
) -> Result<Response, Problem> {
    let condition = IfMatch::required(&headers)?;
    let current = control.records(|records| records.settings()).await?;
    update(
        &control,
        caller,
        condition.expected(current.revision)?,
        body,
    )
    .await
}

/// Changes some settings: a JSON merge patch (RFC 7396)
#[utoipa::path(
    patch,
    path = "/v1/settings",
    tag = "settings",
    params(("If-Match" = String, Header, description = "The ETag of the settings as they were read.")),
    request_body = Settings,
    responses((status = 200, description = "The settings as they are now.", body = Settings)),
)]
async fn change(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(patch): Body<Value>,
) -> Result<Response, Problem> {
    let condition = IfMatch::required(&headers)?;
    let current = control.records(|records| records.settings()).await?;
    let mut body = json!(current.record);
    draft::merge(&mut body, patch);
    update(
        &control,
        caller,
        condition.expected(current.revision)?,
        body,
    )
    .await
}

async fn update(
    control: &Control,
    caller: Caller,
    expected: u64,
    mut body: Value,
) -> Result<Response, Problem> {
    draft::write_whole_numbers(&mut body);
    let before = control.records(|records| records.settings()).await?;
    seal_dns_key(control, &mut body, &before.record.acme.dns.secret)?;
    let settings: Settings = draft::parse(&body)?;
    draft::refuse_unknown(&body, &settings)?;
    let complaints = settings.validate();
    if !complaints.is_empty() {
        return Err(Problem::invalid(complaints));
    }
    let stored = control
        .change(move |records| {
            let revision = records.set_settings(&caller.actor(), &settings, expected)?;
            Ok((
                revision,
                Stored {
                    revision,
                    record: settings,
                },
            ))
        })
        .await?;
    control
        .ring()
        .announce("settings", "settings.changed", json!({}));
    Ok(answer(&stored))
}

/// Turns the key for the name server, as it was sent, into what is kept of it. Left out, it stays.
fn seal_dns_key(control: &Control, body: &mut Value, before: &str) -> Result<(), Problem> {
    let acme = body.get_mut("acme").and_then(Value::as_object_mut);
    let dns = acme.map(|acme| acme.entry("dns").or_insert_with(|| json!({})));
    let Some(dns) = dns.and_then(Value::as_object_mut) else {
        // Whatever it is, it does not become settings; or all of it becomes the default.
        return Ok(());
    };
    let said = dns.insert("secret".into(), json!(before));
    if said.is_some_and(|said| said != before) {
        let message = "there is no such field; send key_secret";
        return Err(Problem::invalid_field("acme.dns.secret", message));
    }
    let key = match dns.remove("key_secret") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::String(key)) => key,
        Some(_) => {
            let message = "text is accepted";
            return Err(Problem::malformed_field("acme.dns.key_secret", message));
        }
    };
    let sealed = match key.trim() {
        "" => String::new(),
        key => {
            let bytes = BASE64_STANDARD.decode(key).ok();
            let bytes = bytes.filter(|bytes| KEY_BYTES.contains(&bytes.len()));
            let bytes = bytes.ok_or_else(|| {
                let message =
                    "16 to 512 bytes in base64 are accepted: what tsig-keygen writes after secret";
                Problem::invalid_field("acme.dns.key_secret", message)
            })?;
            let sealed = control.vault().seal(DNS_KEY_OWNER, &bytes);
            sealed.map_err(|error| Problem::unavailable(error.to_string()))?
        }
    };
    dns.insert("secret".into(), json!(sealed));
    Ok(())
}

fn answer(stored: &Stored<Settings>) -> Response {
    let mut shown = json!(stored.record);
    if let Some(dns) = shown["acme"]["dns"].as_object_mut() {
        dns.remove("secret");
    }
    ([(header::ETAG, etag::of(stored.revision))], Json(shown)).into_response()
}

/// Bytes of a key for a name server.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=512;
