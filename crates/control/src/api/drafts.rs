//! `/v1/drafts`: changes that are prepared, looked at and made together.

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use model::{Account, Carrier, Customer, Device, DraftId, Gateway, Number, Route, User};
use serde::Deserialize;
use serde_json::json;
use store::{Kind, Records};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::control::{Caller, now};
use crate::drafts::{
    self, ChangeSet, DraftDetail, DraftView, NAME_MAX, ReplayView, ReplayWish, State as DraftState,
    noun_of,
};
use crate::extract::{Body, Id};
use crate::paging::Page;
use crate::resource::Resource;
use crate::secret::id_bits;
use crate::{Control, Problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(list_drafts, begin_draft))
        .routes(routes!(show_draft, remove_draft))
        .routes(routes!(take_out))
        .routes(routes!(apply_draft))
        .routes(routes!(roll_back_draft))
        .routes(routes!(replay_calls))
}

/// A draft that is to be begun.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewDraft {
    /// What people call it.
    #[schema(min_length = 1, max_length = 64, pattern = r"\S")]
    name: String,
}

/// Drafts of changes
#[utoipa::path(
    get,
    path = "/v1/drafts",
    tag = "drafts",
    responses((status = 200, description = "All, those that were changed last at the front.", body = Page<DraftView>)),
)]
async fn list_drafts(State(control): State<Control>) -> Result<Json<Page<DraftView>>, Problem> {
    let sets = control
        .records(|records| Ok(drafts::all(records)))
        .await??;
    Ok(Json(Page {
        items: sets.iter().map(DraftView::from).collect(),
        next_cursor: None,
    }))
}

/// Begins a draft
///
/// Requests for accounts, users, devices, customers, numbers, carriers, gateways and routes that name it in
/// a header, `Tandem-Draft: dft_...`, see the records as they would be with it; what they change is added
/// to it and not in force before it is applied. `POST /v1/routes/simulate` with the header decides by it.
#[utoipa::path(
    post,
    path = "/v1/drafts",
    tag = "drafts",
    request_body = NewDraft,
    responses((status = 201, description = "It is there, and empty.", body = DraftDetail)),
)]
async fn begin_draft(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Body(wanted): Body<NewDraft>,
) -> Result<Response, Problem> {
    let name = wanted.name.trim();
    if name.is_empty() || name.chars().count() > NAME_MAX {
        let message = format!("1 to {NAME_MAX} characters are accepted");
        return Err(Problem::invalid_field("name", message));
    }
    let random = id_bits().map_err(|e| Problem::unavailable(e.to_string()))?;
    let at = now();
    let set = ChangeSet {
        id: DraftId::from_parts(at.as_millis(), random),
        name: name.to_owned(),
        by: caller.name().to_owned(),
        created_us: at.as_micros(),
        changed_us: at.as_micros(),
        version: 0,
        state: DraftState::Open,
        changes: Vec::new(),
    };
    let id = set.id;
    let begun = control.records(move |records| Ok(begin(records, set, &caller)));
    let begun = begun.await??;
    announce(&control, id);
    Ok((StatusCode::CREATED, Json(begun)).into_response())
}

fn begin(
    records: &dyn Records,
    mut set: ChangeSet,
    caller: &Caller,
) -> Result<DraftDetail, Problem> {
    drafts::write(records, &mut set)?;
    DraftDetail::of(&set, records, &caller.actor())
}

/// One draft, with what it changes
#[utoipa::path(
    get,
    path = "/v1/drafts/{id}",
    tag = "drafts",
    params(("id" = String, Path, description = "The draft.")),
    responses((status = 200, description = "Each record before and after, and whether it can be applied as things are.", body = DraftDetail)),
)]
async fn show_draft(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<DraftId>,
) -> Result<Json<DraftDetail>, Problem> {
    let look = move |records: &dyn Records| {
        let set = drafts::find(records, id)?;
        set.may_be_seen(&caller)?;
        DraftDetail::of(&set, records, &caller.actor())
    };
    let shown = control.records(move |records| Ok(look(records))).await??;
    Ok(Json(shown))
}

/// Forgets a draft
///
/// Nothing that is in force changes; one that was applied cannot be rolled back any more.
#[utoipa::path(
    delete,
    path = "/v1/drafts/{id}",
    tag = "drafts",
    params(("id" = String, Path, description = "The draft.")),
    responses((status = 204, description = "There is nothing of it any more.")),
)]
async fn remove_draft(
    State(control): State<Control>,
    Id(id): Id<DraftId>,
) -> Result<StatusCode, Problem> {
    let removed = control.records(move |records| Ok(drafts::remove(records, id)));
    removed.await??;
    announce(&control, id);
    Ok(StatusCode::NO_CONTENT)
}

/// Takes the changes of one record out of a draft
#[utoipa::path(
    delete,
    path = "/v1/drafts/{id}/changes/{record}",
    tag = "drafts",
    params(
        ("id" = String, Path, description = "The draft."),
        ("record" = String, Path, description = "The record that is not to be changed by it."),
    ),
    responses((status = 200, description = "The draft without them.", body = DraftDetail)),
)]
async fn take_out(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Path((id, record)): Path<(String, String)>,
) -> Result<Json<DraftDetail>, Problem> {
    let id: DraftId = id
        .parse()
        .map_err(|_| Problem::not_found(format!("there is no draft {id}")))?;
    let change = move |records: &dyn Records| {
        let mut set = drafts::find(records, id)?;
        set.still_open()?;
        let before = set.changes.len();
        set.changes.retain(|staged| staged.record != record);
        if set.changes.len() == before {
            let detail = format!("the draft does not change {record}");
            return Err(Problem::not_found(detail));
        }
        drafts::write(records, &mut set)?;
        DraftDetail::of(&set, records, &caller.actor())
    };
    let left = control
        .records(move |records| Ok(change(records)))
        .await??;
    announce(&control, id);
    Ok(Json(left))
}

/// Makes all changes of a draft, at once
///
/// Refused, with the record that is in the way, if one of the changes cannot be made; then none is.
#[utoipa::path(
    post,
    path = "/v1/drafts/{id}/apply",
    tag = "drafts",
    params(("id" = String, Path, description = "The draft.")),
    responses((status = 200, description = "They are in force.", body = DraftDetail)),
)]
async fn apply_draft(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<DraftId>,
) -> Result<Json<DraftDetail>, Problem> {
    put_in_force(&control, caller, id, ChangeSet::apply).await
}

/// Puts back what applying a draft has replaced, at once
///
/// Refused, with the record that is in the way, if somebody has changed one of its records since.
#[utoipa::path(
    post,
    path = "/v1/drafts/{id}/rollback",
    tag = "drafts",
    params(("id" = String, Path, description = "The draft.")),
    responses((status = 200, description = "What was before is in force.", body = DraftDetail)),
)]
async fn roll_back_draft(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<DraftId>,
) -> Result<Json<DraftDetail>, Problem> {
    put_in_force(&control, caller, id, ChangeSet::roll_back).await
}

/// Decides past calls as things are and as they would be with a draft
///
/// The latest calls are taken, and decided twice with what their CDRs tell; what those lack is assumed alike
/// for both: all gateways are up. Nothing is changed.
#[utoipa::path(
    post,
    path = "/v1/drafts/{id}/replay",
    tag = "drafts",
    params(("id" = String, Path, description = "The draft.")),
    request_body = ReplayWish,
    responses((status = 200, description = "What would become of them.", body = ReplayView)),
)]
async fn replay_calls(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<DraftId>,
    Body(wish): Body<ReplayWish>,
) -> Result<Json<ReplayView>, Problem> {
    drafts::replay(&control, &caller, id, wish).await.map(Json)
}

/// How a draft gets in force, or out of it.
type Step = fn(&mut ChangeSet, &dyn Records, &Caller) -> Result<u64, Problem>;

async fn put_in_force(
    control: &Control,
    caller: Caller,
    id: DraftId,
    step: Step,
) -> Result<Json<DraftDetail>, Problem> {
    let change = move |records: &dyn Records| -> Result<_, Problem> {
        let mut set = drafts::find(records, id)?;
        let revision = step(&mut set, records, &caller)?;
        // It is in force from here on, and the node is to have it whatever becomes of the note of it.
        let noted = note(records, &mut set, &caller);
        Ok((revision, noted.map(|detail| (set, detail))))
    };
    let changed = control.change(move |records| match change(records) {
        Ok((revision, noted)) => Ok((revision, noted)),
        Err(problem) => Ok((0, Err(problem))),
    });
    let (set, detail) = changed.await??;
    announce(control, id);
    for staged in &set.changes {
        tell(control, staged.kind()?, &staged.record);
    }
    Ok(Json(detail))
}

/// Keeps what has become of a draft; nobody else writes it meanwhile, so that what fails is the store.
fn note(
    records: &dyn Records,
    set: &mut ChangeSet,
    caller: &Caller,
) -> Result<DraftDetail, Problem> {
    let version = set.version;
    let mut written = drafts::write(records, set);
    for _ in 1..NOTES_MAX {
        if written.is_ok() {
            break;
        }
        set.version = version;
        written = drafts::write(records, set);
    }
    written?;
    DraftDetail::of(set, records, &caller.actor())
}

fn announce(control: &Control, id: DraftId) {
    let data = json!({ "id": id.to_string() });
    control.ring().announce("drafts", "draft.changed", data);
}

/// What follows from a change of a record, whoever made it.
fn tell(control: &Control, kind: Kind, id: &str) {
    let name = format!("{kind}.changed");
    let data = json!({ "id": id });
    control.ring().announce(noun_of(kind), &name, data);
    match kind {
        Kind::Account => Account::follow_up(control),
        Kind::User => User::follow_up(control),
        Kind::Device => Device::follow_up(control),
        Kind::Customer => Customer::follow_up(control),
        Kind::Number => Number::follow_up(control),
        Kind::Carrier => Carrier::follow_up(control),
        Kind::Gateway => Gateway::follow_up(control),
        Kind::Route => Route::follow_up(control),
        _ => {}
    }
}

/// How often it is tried to note what is in force.
const NOTES_MAX: usize = 3;
