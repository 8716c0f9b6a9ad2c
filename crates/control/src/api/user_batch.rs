//! `/v1/users:batch`: many users in one change.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{DefaultBodyLimit, Extension, State};
use model::{FieldError, User, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::{Bad, Record, StoreError};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::control::{Caller, now};
use crate::draft::{self, Draft};
use crate::extract::Body;
use crate::resource::Resource;
use crate::secret::id_bits;
use crate::{Control, Problem, problem};

/// Users in one request; more get 422.
const USERS_MAX: usize = 100_000;
/// Bytes of such a request.
const BATCH_MAX_BYTES: usize = 64 * 1024 * 1024;
/// Complaints in one answer; the first ones are told.
const ERRORS_MAX: usize = 1_000;

/// The route.
pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(create_batch))
        .layer(DefaultBodyLimit::max(BATCH_MAX_BYTES))
}

/// Users that are wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserBatch {
    /// Each as `POST /v1/users` takes it; at most 100,000.
    #[schema(value_type = Vec<Object>, min_items = 1, max_items = 100_000)]
    users: Vec<Map<String, Value>>,
    /// What becomes of the others if some are not acceptable.
    #[serde(default)]
    bad: BadUsers,
}

/// What becomes of good users beside bad ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BadUsers {
    /// None is made.
    #[default]
    Refuse,
    /// They are made.
    Skip,
}

/// What was made.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserBatchReport {
    /// The users that were made, in the order of the request.
    users: Vec<NewUser>,
    /// What is wrong with the others: `users[17].name`. The first 1,000 complaints.
    errors: Vec<FieldError>,
}

/// A user that was made.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewUser {
    /// Its identifier.
    #[schema(value_type = String)]
    id: UserId,
    /// Its name.
    name: String,
    /// The password that was made for it, if none was given; it is shown only now.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

/// Makes many users in one change: all, or none if one is not acceptable
#[utoipa::path(
    post,
    path = "/v1/users:batch",
    tag = "users",
    request_body = UserBatch,
    responses((status = 200, description = "What was made, and what was left out.", body = UserBatchReport)),
)]
async fn create_batch(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Body(batch): Body<UserBatch>,
) -> Result<Json<UserBatchReport>, Problem> {
    if !(1..=USERS_MAX).contains(&batch.users.len()) {
        return Err(Problem::invalid_field(
            "users",
            format!("1 to {USERS_MAX} are accepted"),
        ));
    }
    let domain = control
        .records(|records| records.settings())
        .await?
        .record
        .domain;
    let bad = batch.bad;
    let drafted = tokio::task::spawn_blocking(move || Drafts::of(batch.users, &domain))
        .await
        .map_err(|e| Problem::new(&problem::INTERNAL, e.to_string()))??;
    let Drafts { drafts, mut errors } = drafted;
    let policy = match bad {
        BadUsers::Skip => Bad::Skip,
        BadUsers::Refuse if errors.is_empty() => Bad::RefuseAll,
        BadUsers::Refuse => Bad::Rehearse,
    };
    let users: Vec<Record> = drafts.iter().map(|d| d.user.clone().into()).collect();
    let refused = control
        .change(move |records| {
            let inserted = records.insert_all(&caller.actor(), &users, policy)?;
            Ok((inserted.revision, inserted.refused))
        })
        .await?;
    let mut refused: HashMap<usize, StoreError> = refused.into_iter().collect();
    let mut made = Vec::with_capacity(drafts.len());
    for (index, draft) in drafts.into_iter().enumerate() {
        match refused.remove(&index) {
            Some(error) => errors.push((draft.place, error.into())),
            None => made.push(NewUser {
                id: draft.user.id,
                name: draft.user.name,
                password: draft.generated,
            }),
        }
    }
    let errors = told(errors);
    if bad == BadUsers::Refuse && !errors.is_empty() {
        return Err(Problem::invalid(errors).with_detail("no user was made"));
    }
    if !made.is_empty() {
        let count = made.len();
        let data = serde_json::json!({ "count": count });
        control
            .ring()
            .announce(User::NOUN, "user.batch-created", data);
    }
    Ok(Json(UserBatchReport {
        users: made,
        errors,
    }))
}

/// What is wrong, in the order of the request.
fn told(mut errors: Vec<(usize, Problem)>) -> Vec<FieldError> {
    errors.sort_by_key(|(place, _)| *place);
    let each = errors
        .into_iter()
        .flat_map(|(place, problem)| problem.into_errors(&format!("users[{place}]")));
    each.take(ERRORS_MAX).collect()
}

/// Users as they would be stored, and why others cannot be.
struct Drafts {
    drafts: Vec<UserDraft>,
    errors: Vec<(usize, Problem)>,
}

struct UserDraft {
    /// Its place in the request.
    place: usize,
    user: User,
    generated: Option<String>,
}

impl Drafts {
    fn of(users: Vec<Map<String, Value>>, domain: &str) -> Result<Self, Problem> {
        let random = id_bits().map_err(|e| Problem::unavailable(e.to_string()))?;
        let at_ms = now().as_millis();
        let mut all = Self {
            drafts: Vec::with_capacity(users.len()),
            errors: Vec::new(),
        };
        for (place, fields) in users.into_iter().enumerate() {
            // One after the other, so that lists show them in the order of the request.
            let id = User::new_id(at_ms, random.wrapping_add(place as u128) & ID_BITS);
            match UserDraft::of(place, fields, id, domain) {
                Ok(draft) => all.drafts.push(draft),
                Err(problem) => all.errors.push((place, problem)),
            }
        }
        Ok(all)
    }
}

impl UserDraft {
    fn of(
        place: usize,
        fields: Map<String, Value>,
        id: UserId,
        domain: &str,
    ) -> Result<Self, Problem> {
        if fields.contains_key("id") {
            return Err(Problem::invalid_field(
                "id",
                "the platform chooses it; leave it out",
            ));
        }
        let mut draft = Draft::new(fields, domain);
        User::seal(&mut draft, None)?;
        let generated = draft.generated.take();
        let user = draft::finish(draft.fields, &id.to_string())?;
        Ok(Self {
            place,
            user,
            generated,
        })
    }
}

/// The random part of an identifier.
const ID_BITS: u128 = (1 << 80) - 1;
