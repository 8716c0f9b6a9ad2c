//! `/v1/registrations`: contacts that users have registered.

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use model::{RegistrationView, User, UserId};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::control::Caller;
use crate::extract::Params;
use crate::paging::{self, Page};
use crate::resource::find;
use crate::{Control, Problem, RegistrationFilter, problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(remove))
}

/// Which registrations are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RegistrationParams {
    /// How many items at most: 1 to 500, 50 if left out.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Contacts of this user.
    #[param(value_type = Option<String>)]
    user: Option<UserId>,
    /// Contacts of this address of record, `name` or `name@domain`.
    aor: Option<String>,
    /// Contacts with this in address of record, URI or User-Agent, whatever its case.
    text: Option<String>,
}

/// Registered contacts
#[utoipa::path(
    get,
    path = "/v1/registrations",
    tag = "registrations",
    params(RegistrationParams),
    responses((status = 200, description = "In the order of their ids.", body = Page<RegistrationView>)),
)]
async fn list(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Params(params): Params<RegistrationParams>,
) -> Result<Json<Page<RegistrationView>>, Problem> {
    let limit = paging::limit(params.limit)?;
    if caller.account.is_some() {
        let Some(user) = params.user else {
            let detail = "you are confined to an account: say which user of it, with user=";
            return Err(Problem::new(&problem::FORBIDDEN, detail));
        };
        find::<User>(&control, &caller, user).await?;
    }
    let filter = RegistrationFilter {
        user: params.user,
        aor: params.aor,
        text: params.text,
    };
    let found = control
        .platform()
        .registrations(filter, limit + 1, params.cursor)
        .await?;
    Ok(Json(Page::cut(found, limit, |registration| {
        registration.id.clone()
    })))
}

/// Removes a registered contact; it may register again
#[utoipa::path(
    delete,
    path = "/v1/registrations/{id}",
    tag = "registrations",
    params(("id" = String, Path, description = "The registration.")),
    responses((status = 204, description = "It is gone.")),
)]
async fn remove(
    State(control): State<Control>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    if control.platform().remove_registration(id.clone()).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::not_found(format!("there is no registration {id}")))
}
