//! `/v1/sessions`: browsers that are signed in.

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use model::{Person, Role};
use serde::Serialize;
use store::{Records, StoreError};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::control::{Caller, Who, now};
use crate::paging::Page;
use crate::session::{Open, SessionOf};
use crate::{Control, Problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(remove))
}

/// A browser that is signed in.
#[derive(Debug, Serialize, ToSchema)]
struct OpenSession {
    /// Which it is.
    id: String,
    /// Who signed in: the person, or the token that was shown.
    who: String,
    /// The name of the person or token.
    name: String,
    /// It began then; microseconds since the Unix epoch.
    begun_us: u64,
    /// It ends then; microseconds since the Unix epoch.
    ends_us: u64,
    /// The address it began from.
    source: String,
    /// What the browser said it is.
    agent: String,
}

/// Sessions that go on: one's own, for admins of the platform all
#[utoipa::path(
    get,
    path = "/v1/sessions",
    tag = "sessions",
    responses((status = 200, description = "Those that end first at the front.", body = Page<OpenSession>)),
)]
async fn list(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Page<OpenSession>>, Problem> {
    let items = control
        .records(move |records| visible(records, &caller))
        .await?;
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}

/// Ends a session: who has its cookie is signed out
#[utoipa::path(
    delete,
    path = "/v1/sessions/{id}",
    tag = "sessions",
    params(("id" = String, Path, description = "The session.")),
    responses((status = 204, description = "It has ended.")),
)]
async fn remove(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let wanted = id.clone();
    let ended = control
        .records(move |records| {
            let seen = visible(records, &caller)?;
            let found = seen.iter().any(|session| session.id == wanted);
            Ok(found && Open::end(records, &wanted, now())?)
        })
        .await?;
    if ended {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::not_found(format!("there is no session {id}")))
}

/// The sessions that the caller may see and end.
fn visible(records: &dyn Records, caller: &Caller) -> Result<Vec<OpenSession>, StoreError> {
    let sees_all = caller.role == Role::Admin && !caller.is_confined();
    let mut found = Vec::new();
    for open in Open::all(records, now())? {
        let Some(who) = open.session.of.find(records)? else {
            continue;
        };
        if sees_all || is_own(&open.session.of, &who, caller) {
            found.push(view(open, &who));
        }
    }
    Ok(found)
}

fn is_own(of: &SessionOf, who: &Who, caller: &Caller) -> bool {
    match (of, who, &caller.who) {
        (SessionOf::Person { id, .. } | SessionOf::Oidc { id, .. }, _, Who::Person(person)) => {
            *id == person.id
        }
        (_, Who::Token(token), Who::Token(own)) => token.id == own.id,
        _ => false,
    }
}

fn view(open: Open, who: &Who) -> OpenSession {
    let (who, name) = match who {
        Who::Token(token) => (token.id.to_string(), token.name.clone()),
        Who::Person(person) => {
            let Person { id, name, .. } = &**person;
            (id.to_string(), name.clone())
        }
    };
    OpenSession {
        id: open.id,
        who,
        name,
        begun_us: open.session.begun_us,
        ends_us: open.ends_us,
        source: open.session.source,
        agent: open.session.agent,
    }
}
