//! Records over HTTP: list, create, read, replace, change, delete, alike for all kinds.
//!
//! A file of [`api`](crate::api) names a kind as a [`Resource`] and gets its routes and its part
//! of the OpenAPI document from here. What clients send and see is the record's JSON with two
//! differences: the identifier is chosen by the platform, and secrets are taken as passwords
//! and never shown.

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use axum::{Json, Router};
use model::AccountId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use store::{Records, StoreError, Stored};
use utoipa::ToSchema;

use crate::control::{Caller, now};
use crate::draft::{self, Draft};
use crate::drafts::Place;
use crate::etag::{self, IfMatch};
use crate::extract::{Body, Id, Params};
use crate::paging::{self, Page};
use crate::secret::id_bits;
use crate::{Control, Problem, problem};

/// A kind of record over HTTP.
pub(crate) trait Resource:
    store::Resource<Id: Send + Sync + std::str::FromStr<Err = model::IdError>>
    + Serialize
    + DeserializeOwned
    + ToSchema
    + Send
    + Sync
    + 'static
{
    /// The plural noun of its path: `users`.
    const NOUN: &'static str;
    /// What it is, for the OpenAPI document.
    const SUMMARY: &'static str;
    /// Fields that lists can be filtered by, compared exactly; nested ones with dots.
    const FILTERS: &'static [&'static str];
    /// Where the document's schema of it differs from the record, if it has secrets.
    const SECRET: Option<SecretField> = None;

    /// Whether a new one gets the account that its maker is confined to, if it names none.
    const OWNED: bool = false;

    /// The account that it and all that it names belong to; `None`: it is the platform's.
    fn account(&self, records: &dyn Records) -> Result<Option<AccountId>, StoreError> {
        let _ = records;
        Ok(None)
    }

    /// The zone that it is in, by its name; `None`: it is in none, and nothing of who is confined to zones.
    fn zone(&self) -> Option<&str> {
        None
    }

    /// A new identifier, from a time in milliseconds and 80 random bits.
    fn new_id(time_ms: u64, random: u128) -> Self::Id;

    /// Turns passwords of a draft into what is stored; `previous` is the record as it is.
    fn seal(draft: &mut Draft<'_>, previous: Option<&Self>) -> Result<(), Problem> {
        let _ = (draft, previous);
        Ok(())
    }

    /// Has done what follows from one that was made, changed or deleted.
    fn follow_up(control: &Control) {
        let _ = control;
    }

    /// Takes secrets out of what is shown.
    fn redact(shown: &mut Value) {
        let _ = shown;
    }
}

/// Where the schemas of a kind differ from those of its record.
pub(crate) struct SecretField {
    /// The schema that has the secret.
    pub(crate) schema: &'static str,
    /// Its field that is never shown.
    pub(crate) hidden: &'static str,
    /// The field that it is made from, which is only written.
    pub(crate) written: &'static str,
}

/// The routes of a kind, below `/v1`.
pub(crate) fn routes<R: Resource>() -> Router<Control> {
    let collection: MethodRouter<Control> = get(list::<R>).post(create::<R>);
    let item = get(read::<R>)
        .put(replace::<R>)
        .patch(change::<R>)
        .delete(remove::<R>);
    Router::new()
        .route(&format!("/v1/{}", R::NOUN), collection)
        .route(&format!("/v1/{}/{{id}}", R::NOUN), item)
}

async fn list<R: Resource>(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    place: Place,
    Params(mut params): Params<Map<String, Value>>,
) -> Result<Json<Page<Value>>, Problem> {
    let text = |value: Option<Value>| value.and_then(|v| v.as_str().map(str::to_owned));
    let asked = text(params.remove("limit"));
    let asked = asked
        .map(|limit| {
            limit
                .parse()
                .map_err(|_| Problem::malformed_field("limit", "a number is accepted"))
        })
        .transpose()?;
    let limit = paging::limit(asked)?;
    let after: Option<R::Id> = paging::cursor(text(params.remove("cursor")).as_deref())?;
    let mut filters = Vec::new();
    for (name, value) in params {
        if !R::FILTERS.contains(&name.as_str()) {
            let accepted = format!("limit, cursor, {} are accepted", R::FILTERS.join(", "));
            return Err(Problem::malformed_field(name, accepted));
        }
        filters.push((name, value));
    }
    let whose = caller.clone();
    let found = place.records(&control, &caller, move |records| {
        let wanted = (&*filters, &whose);
        search::<R>(records, wanted, after, limit + 1)
    });
    let found = found.await?;
    Ok(Json(Page::cut(found, limit, |item| {
        item["id"].as_str().unwrap_or("").to_owned()
    })))
}

/// Reads on until enough records match, or there are no more.
fn search<R: Resource>(
    records: &dyn Records,
    (filters, caller): (&[(String, Value)], &Caller),
    after: Option<R::Id>,
    wanted: usize,
) -> Result<Vec<Value>, StoreError> {
    let mut found = Vec::new();
    let mut after = after.map(|id| id.to_string());
    loop {
        let step = if filters.is_empty() && !caller.is_confined() {
            wanted
        } else {
            SEARCH_STEP
        };
        let page = store::Page {
            after: after.as_deref(),
            limit: step,
        };
        let batch = records.list::<R>(&page)?;
        let complete = batch.len() < step;
        after = batch.last().map(|stored| stored.record.id().to_string());
        for Stored { record, .. } in &batch {
            let item = show(record);
            if matches(&item, filters) && is_theirs(records, caller, record)? {
                found.push(item);
            }
        }
        if complete || found.len() >= wanted {
            found.truncate(wanted);
            return Ok(found);
        }
    }
}

/// Whether a record is shown to somebody.
fn is_theirs<R: Resource>(
    records: &dyn Records,
    caller: &Caller,
    record: &R,
) -> Result<bool, StoreError> {
    if !caller.reach.has(record.zone()) {
        return Ok(false);
    }
    match caller.account {
        None => Ok(true),
        own => Ok(record.account(records)? == own),
    }
}

/// A record as it is, if the caller may see it; what they may not see does not exist for them.
pub(crate) async fn find<R: Resource>(
    control: &Control,
    caller: &Caller,
    id: R::Id,
) -> Result<Stored<R>, Problem> {
    find_in(Place::Live, control, caller, id).await
}

/// The same where the request is made.
async fn find_in<R: Resource>(
    place: Place,
    control: &Control,
    caller: &Caller,
    id: R::Id,
) -> Result<Stored<R>, Problem> {
    let whose = caller.clone();
    let found = move |records: &dyn Records| {
        let stored = records.read::<R>(id)?;
        if is_theirs(records, &whose, &stored.record)? {
            return Ok(stored);
        }
        Err(StoreError::NotFound {
            kind: R::KIND,
            id: id.to_string(),
        })
    };
    place.records(control, caller, found).await
}

/// Refuses a record that would belong to others than its maker's account and zones.
async fn keep_within<R: Resource>(
    control: &Control,
    caller: &Caller,
    record: &R,
) -> Result<(), Problem> {
    if !caller.reach.has(record.zone()) {
        let detail = "it would be in none of the zones that you are confined to";
        return Err(Problem::new(&problem::FORBIDDEN, detail));
    }
    let Some(account) = caller.account else {
        return Ok(());
    };
    let record = record.clone();
    let theirs = move |records: &dyn Records| record.account(records);
    // What it names may not be there.
    if control.records(theirs).await? == Some(account) {
        return Ok(());
    }
    let detail = format!("it would not be, with all it names, of your account {account}");
    Err(Problem::new(&problem::FORBIDDEN, detail))
}

fn matches(item: &Value, filters: &[(String, Value)]) -> bool {
    filters.iter().all(|(path, wanted)| {
        let field = path.split('.').fold(item, |value, key| &value[key]);
        field == wanted
            || field
                .as_bool()
                .is_some_and(|b| wanted == if b { "true" } else { "false" })
    })
}

async fn create<R: Resource>(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    place: Place,
    Body(body): Body<Map<String, Value>>,
) -> Result<Response, Problem> {
    let domain = control
        .records(|records| records.settings())
        .await?
        .record
        .domain;
    let random = id_bits().map_err(|e| Problem::unavailable(e.to_string()))?;
    let id = R::new_id(now().as_millis(), random);
    let mut draft = Draft::new(body, &domain).with_vault(control.vault(), &id);
    if let Some(account) = caller.account.filter(|_| R::OWNED) {
        let named = draft.fields.entry("account").or_insert(Value::Null);
        if named.is_null() {
            *named = json!(account);
        }
    }
    if draft.fields.contains_key("id") {
        return Err(Problem::invalid_field(
            "id",
            "the platform chooses it; leave it out",
        ));
    }
    R::seal(&mut draft, None)?;
    let generated = draft.generated.take();
    let record: R = draft::finish(draft.fields, &id.to_string())?;
    keep_within(&control, &caller, &record).await?;
    let actor = caller.actor();
    let stored = place.change(&control, &caller, move |records| {
        let stored = records.create(&actor, record)?;
        Ok((stored.revision, stored))
    });
    let stored = stored.await?;
    announce::<R>(&control, place, "created", stored.record.id());
    let location = format!("/v1/{}/{}", R::NOUN, stored.record.id());
    let mut response = answer(&stored, generated);
    *response.status_mut() = StatusCode::CREATED;
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::from_str(&location) {
        headers.insert(header::LOCATION, location);
    }
    Ok(response)
}

async fn read<R: Resource>(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    place: Place,
    Id(id): Id<R::Id>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let stored = find_in::<R>(place, &control, &caller, id).await?;
    if etag::is_known(&headers, stored.revision) {
        let tag = [(header::ETAG, etag::of(stored.revision))];
        return Ok((StatusCode::NOT_MODIFIED, tag).into_response());
    }
    Ok(answer(&stored, None))
}

async fn replace<R: Resource>(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    place: Place,
    Id(id): Id<R::Id>,
    headers: HeaderMap,
    Body(body): Body<Map<String, Value>>,
) -> Result<Response, Problem> {
    let condition = IfMatch::required(&headers)?;
    let previous = find_in::<R>(place, &control, &caller, id).await?;
    let expected = condition.expected(previous.revision)?;
    update((&control, place), caller, expected, previous.record, body).await
}

/// Changes some fields: a JSON merge patch (RFC 7396) of what is shown.
async fn change<R: Resource>(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    place: Place,
    Id(id): Id<R::Id>,
    headers: HeaderMap,
    Body(patch): Body<Map<String, Value>>,
) -> Result<Response, Problem> {
    let condition = IfMatch::required(&headers)?;
    let previous = find_in::<R>(place, &control, &caller, id).await?;
    let expected = condition.expected(previous.revision)?;
    let mut shown = show(&previous.record);
    // What is to be taken out and is not shown is refused with other unknown fields, if there is none.
    let hidden = patch
        .iter()
        .filter(|(name, value)| value.is_null() && shown.get(name).is_none());
    let hidden: Vec<String> = hidden.map(|(name, _)| name.clone()).collect();
    draft::merge(&mut shown, Value::Object(patch));
    let mut body = match shown {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    body.extend(hidden.into_iter().map(|name| (name, Value::Null)));
    update((&control, place), caller, expected, previous.record, body).await
}

async fn update<R: Resource>(
    (control, place): (&Control, Place),
    caller: Caller,
    expected: u64,
    previous: R,
    mut body: Map<String, Value>,
) -> Result<Response, Problem> {
    let id = previous.id();
    if body
        .remove("id")
        .is_some_and(|named| named != id.to_string())
    {
        return Err(Problem::invalid_field(
            "id",
            format!("it is {id} and stays so"),
        ));
    }
    let domain = control
        .records(|records| records.settings())
        .await?
        .record
        .domain;
    let mut draft = Draft::new(body, &domain).with_vault(control.vault(), &id);
    R::seal(&mut draft, Some(&previous))?;
    let generated = draft.generated.take();
    let record: R = draft::finish(draft.fields, &id.to_string())?;
    keep_within(control, &caller, &record).await?;
    let actor = caller.actor();
    let stored = place.change(control, &caller, move |records| {
        let stored = records.update(&actor, record, expected)?;
        Ok((stored.revision, stored))
    });
    let stored = stored.await?;
    announce::<R>(control, place, "changed", id);
    Ok(answer(&stored, generated))
}

async fn remove<R: Resource>(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    place: Place,
    Id(id): Id<R::Id>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let expected = match IfMatch::parse(&headers) {
        Some(IfMatch::Revision(revision)) => Some(revision),
        Some(IfMatch::Any) | None => None,
    };
    if caller.is_confined() {
        find::<R>(&control, &caller, id).await?;
    }
    let actor = caller.actor();
    let removed = place.change(&control, &caller, move |records| {
        records.delete::<R>(&actor, id, expected)?;
        Ok((records.revision()?, ()))
    });
    removed.await?;
    announce::<R>(&control, place, "deleted", id);
    Ok(StatusCode::NO_CONTENT)
}

fn show<R: Resource>(record: &R) -> Value {
    // A record is plain data with text keys: it always has a JSON form.
    let mut shown = serde_json::to_value(record).unwrap_or(Value::Null);
    R::redact(&mut shown);
    shown
}

/// A record with its revision, and the password that was made for it, which is shown only now.
fn answer<R: Resource>(stored: &Stored<R>, generated: Option<String>) -> Response {
    let mut shown = show(&stored.record);
    if let Some(password) = generated {
        shown["password"] = json!(password);
    }
    ([(header::ETAG, etag::of(stored.revision))], Json(shown)).into_response()
}

fn announce<R: Resource>(control: &Control, place: Place, what: &str, id: R::Id) {
    if !place.is_live() {
        return;
    }
    let name = format!("{}.{what}", R::KIND);
    R::follow_up(control);
    control
        .ring()
        .announce(R::NOUN, &name, json!({ "id": id.to_string() }));
}

/// Records looked at in one step of a filtered list.
const SEARCH_STEP: usize = 500;
