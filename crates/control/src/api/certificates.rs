//! `/v1/certificates`: what we show in handshakes, and what each socket really shows.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use model::{
    AcmeChallenge, Certificate, CertificateId, CertificateKind, CertificateSource, FieldError,
    Validate as _,
};
use serde::Deserialize;
use serde_json::{Value, json};
use store::Records;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::certificates::{DomainCheck, PairError, PresentedCertificate, inspect};
use crate::control::{Caller, now};
use crate::draft::Draft;
use crate::extract::{Body, Id};
use crate::paging::Page;
use crate::resource::{Resource, SecretField, find};
use crate::{Control, Problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(presented))
        .routes(routes!(check))
        .routes(routes!(renew))
}

/// Names that an authority would be asked for.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Domains {
    /// Host names.
    domains: Vec<String>,
}

/// Whether names lead to this node
///
/// Each is resolved, and the port of the challenges is opened and asked for a moment. No authority is
/// asked.
#[utoipa::path(
    post,
    path = "/v1/certificates/check",
    tag = "certificates",
    request_body = Domains,
    responses((status = 200, description = "One for each name.", body = Vec<DomainCheck>)),
)]
async fn check(
    State(control): State<Control>,
    Body(Domains { domains }): Body<Domains>,
) -> Result<Json<Vec<DomainCheck>>, Problem> {
    // What is accepted of a certificate is accepted here.
    let wanted = Certificate::ordered("check", domains.clone(), AcmeChallenge::Http01);
    let errors = wanted.validate().into_iter().map(|error| FieldError {
        field: error.field.replace("source.", ""),
        ..error
    });
    let errors: Vec<_> = errors.collect();
    if !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    let acme = control.records(|records| Ok(records.settings()?.record.acme));
    let acme = acme.await?;
    let port = control.certificate_port();
    let port = port.ok_or_else(|| Problem::unavailable("this node gets no certificates"))?;
    Ok(Json(port.check(domains, acme).await?))
}

/// Has the authority issue a certificate now, whatever became of the last attempt
///
/// What becomes of it stands in `renewal` of the certificate.
#[utoipa::path(
    post,
    path = "/v1/certificates/{id}/renew",
    tag = "certificates",
    params(("id" = String, Path, description = "The certificate.")),
    responses((status = 202, description = "It is being tried.")),
)]
async fn renew(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<CertificateId>,
) -> Result<StatusCode, Problem> {
    let found = find::<Certificate>(&control, &caller, id).await?;
    if !found.record.is_acme() {
        let message = "no authority renews it: upload the renewed chain";
        return Err(Problem::invalid_field("source.kind", message));
    }
    let change = move |records: &dyn Records| {
        let mut stored = records.read::<Certificate>(id)?;
        if let Some(renewal) = &mut stored.record.renewal {
            renewal.next_us = 0;
        }
        let stored = records.update(&caller.actor(), stored.record, stored.revision)?;
        Ok((stored.revision, ()))
    };
    control.change(change).await?;
    control.certificates_due().notify_one();
    Ok(StatusCode::ACCEPTED)
}

/// What each socket of this node shows
///
/// Found out by connecting to each, once for every name that it has a certificate for and once
/// without a name.
#[utoipa::path(
    get,
    path = "/v1/presented-certificates",
    tag = "certificates",
    responses((status = 200, description = "All of them; there are few.", body = Page<PresentedCertificate>)),
)]
async fn presented(
    State(control): State<Control>,
) -> Result<Json<Page<PresentedCertificate>>, Problem> {
    let items = control.platform().presented_certificates().await?;
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}

impl Resource for Certificate {
    const NOUN: &'static str = "certificates";
    const SUMMARY: &'static str = "a certificate with its key";
    const FILTERS: &'static [&'static str] = &["name", "kind", "source.kind", "applied"];
    const SECRET: Option<SecretField> = Some(SecretField {
        schema: "Certificate",
        hidden: "secret",
        written: "key",
    });

    fn new_id(time_ms: u64, random: u128) -> CertificateId {
        CertificateId::from_parts(time_ms, random)
    }

    /// Chain and key are looked at whenever one of them, or what they are for, is another.
    fn seal(draft: &mut Draft<'_>, previous: Option<&Self>) -> Result<(), Problem> {
        keep_to_ourselves(draft, previous)?;
        if draft.fields.contains_key("secret") {
            let message = "there is no such field; send key";
            return Err(Problem::invalid_field("secret", message));
        }
        let key = match draft.fields.remove("key") {
            Some(Value::String(key)) => Some(key),
            Some(Value::Null) | None => None,
            Some(_) => return Err(Problem::malformed_field("key", "text is accepted")),
        };
        let source = draft.fields.get("source").map(|source| &source["kind"]);
        let is_acme = source.is_some_and(|kind| kind == "acme");
        if previous.is_some_and(|previous| previous.is_acme() != is_acme) {
            let message = "where a certificate comes from stays: make another one";
            return Err(Problem::invalid_field("source.kind", message));
        }
        match is_acme {
            true => seal_issued(draft, previous, key.as_deref()),
            false => seal_uploaded(draft, previous, key),
        }
    }

    fn follow_up(control: &Control) {
        control.certificates_due().notify_one();
    }

    fn redact(shown: &mut Value) {
        if let Some(fields) = shown.as_object_mut() {
            fields.remove("secret");
        }
    }
}

/// What the platform alone says of a certificate.
fn keep_to_ourselves(draft: &mut Draft<'_>, previous: Option<&Certificate>) -> Result<(), Problem> {
    let facts = json!(previous.and_then(|one| one.facts.as_ref()));
    let renewal = json!(previous.and_then(|one| one.renewal.as_ref()));
    for (field, value) in [("facts", facts), ("renewal", renewal)] {
        let said = draft.fields.insert(field.into(), value.clone());
        if said.is_some_and(|said| said != value && !said.is_null()) {
            let message = "the platform sets it; leave it out";
            return Err(Problem::invalid_field(field, message));
        }
    }
    Ok(())
}

/// An authority gives the chain, and the key is made here.
fn seal_issued(
    draft: &mut Draft<'_>,
    previous: Option<&Certificate>,
    key: Option<&str>,
) -> Result<(), Problem> {
    if key.is_some() {
        let message = "the platform makes it; leave it out, or choose the source upload";
        return Err(Problem::invalid_field("key", message));
    }
    let chain = previous.map_or("", |one| &one.chain);
    let said = draft.fields.insert("chain".into(), json!(chain));
    if said.is_some_and(|said| said != chain && !said.is_null()) {
        let message = "the authority issues it; leave it out, or choose the source upload";
        return Err(Problem::invalid_field("chain", message));
    }
    let secret = previous.map_or("", |one| &one.secret);
    draft.fields.insert("secret".into(), json!(secret));
    // Other names: an order for them is due, whatever became of the last one.
    let source = draft.fields.get("source").cloned().unwrap_or_default();
    let source: Option<CertificateSource> = serde_json::from_value(source).ok();
    if previous.is_some_and(|one| source.as_ref() != Some(&one.source)) {
        draft.fields.insert("renewal".into(), Value::Null);
    }
    Ok(())
}

fn seal_uploaded(
    draft: &mut Draft<'_>,
    previous: Option<&Certificate>,
    key: Option<String>,
) -> Result<(), Problem> {
    let chain = match draft.fields.get("chain") {
        Some(Value::String(chain)) => chain.clone(),
        Some(Value::Null) | None => String::new(),
        Some(_) => return Err(Problem::malformed_field("chain", "text is accepted")),
    };
    let kind = draft.fields.get("kind").cloned();
    let kind = kind.map_or(Ok(CertificateKind::default()), serde_json::from_value);
    let Ok(kind) = kind else {
        // What is none is told when the record is made.
        draft.fields.insert("secret".into(), json!(""));
        return Ok(());
    };
    if let Some(previous) = previous
        && key.is_none()
        && (&previous.chain, previous.kind) == (&chain, kind)
    {
        draft.fields.insert("secret".into(), json!(previous.secret));
        return Ok(());
    }
    let given = key.is_some();
    let key = match (key, previous) {
        (Some(key), _) => key,
        (None, Some(previous)) => draft.open(&previous.secret)?,
        (None, None) => String::new(),
    };
    let facts = inspect(&chain, &key, kind, now().as_micros()).map_err(|error| {
        let other_key = error == PairError::KeyMismatch && !given;
        let message = match other_key {
            true => "the private key there is does not belong to it: send its own, too".to_owned(),
            false => error.to_string(),
        };
        Problem::invalid_field(error.field(), message)
    })?;
    let sealed = draft.seal(key.as_bytes())?;
    draft.fields.insert("secret".into(), json!(sealed));
    draft.fields.insert("facts".into(), json!(facts));
    Ok(())
}
