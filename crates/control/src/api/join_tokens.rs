//! `/v1/join-tokens`: by what machines join the platform.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::{JoinToken, JoinTokenId, Server, ServerId, ServerRole, Validate};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Page as Span, Stored};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::control::{Caller, now};
use crate::extract::{Body, Id};
use crate::paging::Page;
use crate::secret::{generate_secret, id_bits, token_hash};
use crate::{Control, Problem, problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(remove))
}

/// A token that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct JoinTokenDraft {
    /// What the server will be called; as the machine is called, if left out.
    #[serde(default)]
    name: String,
    /// The zone it will stand in.
    #[serde(default)]
    zone: String,
    /// The cluster it will belong to.
    #[serde(default)]
    cluster: String,
    /// The server that the machine will be; a new one, if left out.
    #[serde(default)]
    server: Option<ServerId>,
    /// What a new server will do; `switch`, if left out. With `server` it is what that one does.
    #[serde(default)]
    role: Option<ServerRole>,
    /// How long it is good, in seconds: up to 7 days, an hour if left out.
    #[serde(default = "an_hour")]
    valid_s: u32,
}

/// A token as it is shown.
#[derive(Debug, Serialize, ToSchema)]
struct JoinTokenView {
    /// Which it is.
    id: JoinTokenId,
    /// What the server will be called; empty: as the machine is called.
    name: String,
    /// The zone it will stand in.
    zone: String,
    /// The cluster it will belong to.
    cluster: String,
    /// The server that the machine will be; `None`: a new one.
    server: Option<ServerId>,
    /// What the server will do.
    role: ServerRole,
    /// It was made; microseconds since the Unix epoch.
    created_us: u64,
    /// It is refused from then on; microseconds since the Unix epoch.
    expires_us: u64,
}

/// A token that was just made.
#[derive(Debug, Serialize, ToSchema)]
struct NewJoinToken {
    /// What is kept of it.
    #[serde(flatten)]
    kept: JoinTokenView,
    /// The token itself. It is shown only now.
    token: String,
    /// The port of control that the machine has to reach.
    port: u16,
}

/// All tokens that were not used yet
#[utoipa::path(
    get,
    path = "/v1/join-tokens",
    tag = "join-tokens",
    responses((status = 200, description = "All of them; there are few.", body = Page<JoinTokenView>)),
)]
async fn list(State(control): State<Control>) -> Result<Json<Page<JoinTokenView>>, Problem> {
    let all = control
        .records(|records| records.list::<JoinToken>(&ALL))
        .await?;
    let items = all.into_iter().map(|stored| stored.record.into()).collect();
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}

/// Makes a token by which one machine joins, and shows it this once
#[utoipa::path(
    post,
    path = "/v1/join-tokens",
    tag = "join-tokens",
    request_body = JoinTokenDraft,
    responses((status = 201, description = "The token.", body = NewJoinToken)),
)]
async fn create(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Body(draft): Body<JoinTokenDraft>,
) -> Result<Response, Problem> {
    let joining = control.joining().ok_or_else(|| {
        let detail = "no machine can join: start control with --node-port";
        Problem::new(&problem::ELSEWHERE, detail)
    })?;
    if draft.server.is_some() && draft.server == control.own_server() {
        let why = "this is control itself: no other machine can be it";
        return Err(Problem::invalid_field("server", why));
    }
    let role = role_of(&control, draft.server, draft.role).await?;
    let no_randomness = |e: getrandom::Error| Problem::unavailable(e.to_string());
    let secret = generate_secret().map_err(no_randomness)?;
    let made = now();
    let record = JoinToken {
        id: JoinTokenId::from_parts(made.as_millis(), id_bits().map_err(no_randomness)?),
        name: draft.name,
        zone: draft.zone,
        cluster: draft.cluster,
        server: draft.server,
        role,
        secret: token_hash(&secret),
        created_us: made.as_micros(),
        expires_us: made.as_micros() + u64::from(draft.valid_s) * 1_000_000,
    };
    let complaints = record.validate();
    if !complaints.is_empty() {
        return Err(Problem::invalid(complaints));
    }
    let kept = record.clone();
    control
        .records(move |records| {
            let actor = caller.actor();
            for old in records.list::<JoinToken>(&ALL)? {
                if old.record.expires_us <= made.as_micros() {
                    // Another request may have done so.
                    let _ = records.delete::<JoinToken>(&actor, old.record.id, None);
                }
            }
            records
                .create(&actor, record)
                .map(|_: Stored<JoinToken>| ())
        })
        .await?;
    let token = link::Token {
        id: kept.id.to_string(),
        secret,
        authority: joining.authority.fingerprint(),
    };
    let (topic, name) = ("join-tokens", "join-token.created");
    let id = kept.id.to_string();
    control.ring().announce(topic, name, json!({ "id": id }));
    let location = format!("/v1/join-tokens/{id}");
    let made = NewJoinToken {
        kept: kept.into(),
        token: token.to_string(),
        port: joining.port,
    };
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(made),
    )
        .into_response())
}

/// What the machine will do: what the server does that it will be, if there is one.
async fn role_of(
    control: &Control,
    server: Option<ServerId>,
    wanted: Option<ServerRole>,
) -> Result<ServerRole, Problem> {
    let Some(server) = server else {
        return Ok(wanted.unwrap_or_default());
    };
    let found = control.records(move |records| records.read::<Server>(server));
    let has = found.await?.record.role;
    if wanted.is_some_and(|wanted| wanted != has) {
        let why = format!("the server is a {} and stays one", has.name());
        return Err(Problem::invalid_field("role", why));
    }
    Ok(has)
}

/// Deletes a token; it is refused from now on
#[utoipa::path(
    delete,
    path = "/v1/join-tokens/{id}",
    tag = "join-tokens",
    params(("id" = String, Path, description = "The token.")),
    responses((status = 204, description = "It is gone.")),
)]
async fn remove(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<JoinTokenId>,
) -> Result<StatusCode, Problem> {
    control
        .records(move |records| records.delete::<JoinToken>(&caller.actor(), id, None))
        .await?;
    let (topic, name) = ("join-tokens", "join-token.deleted");
    let data = json!({ "id": id.to_string() });
    control.ring().announce(topic, name, data);
    Ok(StatusCode::NO_CONTENT)
}

impl From<JoinToken> for JoinTokenView {
    fn from(token: JoinToken) -> Self {
        Self {
            id: token.id,
            name: token.name,
            zone: token.zone,
            cluster: token.cluster,
            server: token.server,
            role: token.role,
            created_us: token.created_us,
            expires_us: token.expires_us,
        }
    }
}

fn an_hour() -> u32 {
    3_600
}

/// More than anybody has open.
const ALL: Span<'static> = Span {
    after: None,
    limit: 1_000,
};
