//! `/v1/tokens`: who may ask the API for what.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::{Account, AccountId, ApiToken, Role, TokenId, Validate, ZoneId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::control::{Caller, now};
use crate::extract::{Body, Id};
use crate::paging::Page;
use crate::reach::check_zones;
use crate::secret::{generate_token, id_bits, token_hash};
use crate::{Control, Problem, access};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(remove))
}

/// A token that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TokenDraft {
    /// What people call it; 1 to 64 characters.
    name: String,
    /// What it may do.
    role: Role,
    /// The account it is confined to; the whole platform if left out.
    #[serde(default)]
    account: Option<AccountId>,
    /// The zones it is confined to; all if left out.
    #[serde(default)]
    #[schema(max_items = 64)]
    zones: Vec<ZoneId>,
    /// The areas it may use, such as `cdrs` or `users:read`; all that the role may, if left out.
    #[serde(default)]
    #[schema(max_items = 64)]
    scopes: Vec<String>,
    /// From then on it is refused; microseconds since the Unix epoch. Never if left out.
    #[serde(default)]
    expires_us: Option<u64>,
}

/// A token that was just made.
#[derive(Debug, Serialize, ToSchema)]
struct NewToken {
    /// What is kept of it.
    #[serde(flatten)]
    kept: ApiToken,
    /// The token itself. It is shown only now.
    token: String,
}

/// All tokens
#[utoipa::path(
    get,
    path = "/v1/tokens",
    tag = "tokens",
    responses((status = 200, description = "All of them; there are few.", body = Page<ApiToken>)),
)]
async fn list(State(control): State<Control>) -> Result<Json<Page<ApiToken>>, Problem> {
    let items = control.records(|records| records.tokens()).await?;
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}

/// Makes a token, and shows it this once
#[utoipa::path(
    post,
    path = "/v1/tokens",
    tag = "tokens",
    request_body = TokenDraft,
    responses((status = 201, description = "The token.", body = NewToken)),
)]
async fn create(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Body(draft): Body<TokenDraft>,
) -> Result<Response, Problem> {
    let no_randomness = |e: getrandom::Error| Problem::unavailable(e.to_string());
    let token = generate_token().map_err(no_randomness)?;
    let created = now();
    let kept = ApiToken {
        id: TokenId::from_parts(created.as_millis(), id_bits().map_err(no_randomness)?),
        name: draft.name,
        role: draft.role,
        created_us: created.as_micros(),
        last_used_us: None,
        expires_us: draft.expires_us,
        account: draft.account,
        zones: draft.zones,
        scopes: draft.scopes,
    };
    let complaints = kept.validate();
    if !complaints.is_empty() {
        return Err(Problem::invalid(complaints));
    }
    let unknown = access::unknown_scopes(&kept.scopes);
    if !unknown.is_empty() {
        let message = format!("there is no area {}", unknown.join(", "));
        return Err(Problem::invalid_field("scopes", message));
    }
    if let Some(account) = kept.account {
        let there = control.records(move |records| records.read::<Account>(account));
        let no_such = |_| Problem::invalid_field("account", "there is no such account");
        there.await.map_err(no_such)?;
    }
    let zones = kept.zones.clone();
    let there = control.records(move |records| check_zones(records, &zones));
    let no_such = |_| Problem::invalid_field("zones", "there is no such zone");
    there.await.map_err(no_such)?;
    let (stored, hash) = (kept.clone(), token_hash(&token));
    control
        .records(move |records| records.create_token(&caller.actor(), &stored, &hash))
        .await?;
    control.ring().announce(
        "tokens",
        "token.created",
        json!({ "id": kept.id.to_string() }),
    );
    let location = format!("/v1/tokens/{}", kept.id);
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(NewToken { kept, token }),
    )
        .into_response())
}

/// Deletes a token; it is refused from now on
#[utoipa::path(
    delete,
    path = "/v1/tokens/{id}",
    tag = "tokens",
    params(("id" = String, Path, description = "The token.")),
    responses((status = 204, description = "It is gone.")),
)]
async fn remove(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<TokenId>,
) -> Result<StatusCode, Problem> {
    control
        .records(move |records| records.delete_token(&caller.actor(), id))
        .await?;
    control
        .ring()
        .announce("tokens", "token.deleted", json!({ "id": id.to_string() }));
    Ok(StatusCode::NO_CONTENT)
}
