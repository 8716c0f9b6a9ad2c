//! What a server is asked when somebody looks at it: the last lines of its log, and who is registered
//! there. Nothing of it is kept at control.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use model::{RegistrationView, Server, ServerId, ServerRole};
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::extract::{Id, Params};
use crate::log_lines::{LogLevel, LogLine, LogQuery};
use crate::paging::{self, Page};
use crate::questions::{Answer, Question};
use crate::{Control, Problem, RegistrationFilter, problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(log))
        .routes(routes!(registrations))
}

/// Which lines are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LogParams {
    /// How many items at most: 1 to 500, 50 if left out.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// As grave as this, or graver.
    level: Option<LogLevel>,
    /// With this in the line, whatever its case.
    text: Option<String>,
}

/// The last lines of the log of a server
///
/// Its node is asked for them; it keeps the last 2,000 in memory, without what looks like a secret.
#[utoipa::path(
    get,
    path = "/v1/servers/{id}/log",
    tag = "servers",
    params(("id" = String, Path, description = "The server."), LogParams),
    responses((status = 200, description = "The newest first.", body = Page<LogLine>)),
)]
async fn log(
    State(control): State<Control>,
    Id(id): Id<ServerId>,
    Params(params): Params<LogParams>,
) -> Result<Json<Page<LogLine>>, Problem> {
    let limit = paging::limit(params.limit)?;
    let before = params.cursor.map(|cursor| {
        cursor.parse().map_err(|_| {
            Problem::malformed_field("cursor", "next_cursor of the page before is accepted")
        })
    });
    let query = LogQuery {
        level: params.level,
        text: params.text,
        before: before.transpose()?,
        limit: limit + 1,
    };
    let pick = |answer| match answer {
        Answer::Log(lines) => Some(lines),
        _ => None,
    };
    let lines = control.ask_server(id, &Question::Log(query), pick).await?;
    let place = |line: &LogLine| line.number.to_string();
    Ok(Json(Page::cut(lines, limit, place)))
}

/// Which registrations are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RegisteredParams {
    /// How many items at most: 1 to 500, 50 if left out.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Contacts with this in address of record, URI or User-Agent, whatever its case.
    text: Option<String>,
}

/// Who is registered at a server
///
/// Its node is asked for it, when somebody looks.
#[utoipa::path(
    get,
    path = "/v1/servers/{id}/registrations",
    tag = "servers",
    params(("id" = String, Path, description = "The server."), RegisteredParams),
    responses((status = 200, description = "In the order of their ids.", body = Page<RegistrationView>)),
)]
async fn registrations(
    State(control): State<Control>,
    Id(id): Id<ServerId>,
    Params(params): Params<RegisteredParams>,
) -> Result<Json<Page<RegistrationView>>, Problem> {
    let limit = paging::limit(params.limit)?;
    let filter = RegistrationFilter {
        text: params.text,
        ..RegistrationFilter::default()
    };
    let question = Question::Registrations {
        filter,
        limit: limit + 1,
        after: params.cursor,
    };
    let found = control.records(move |records| records.read::<Server>(id));
    if found.await?.record.role != ServerRole::Switch {
        let why = "nobody registers at it: ask a server that takes calls";
        return Err(Problem::new(&problem::ELSEWHERE, why));
    }
    let pick = |answer| match answer {
        Answer::Registrations(found) => Some(found),
        _ => None,
    };
    let found = control.ask_server(id, &question, pick).await?;
    let place = |registration: &RegistrationView| registration.id.clone();
    Ok(Json(Page::cut(found, limit, place)))
}

impl Control {
    /// Asks the node of a server. Errors: there is none, it does not answer in time, or something that
    /// `pick` makes nothing of.
    async fn ask_server<T>(
        &self,
        id: ServerId,
        question: &Question,
        pick: impl FnOnce(Answer) -> Option<T>,
    ) -> Result<T, Problem> {
        let found = self.records(move |records| records.read::<Server>(id));
        let name = found.await?.record.name;
        let silent = |why: String| Problem::unavailable(format!("{name} does not answer: {why}"));
        let answer = if self.own_server() == Some(id) {
            self.answer(question.clone()).await
        } else {
            self.expect_answer(id).map_err(&silent)?;
            let until = Instant::now() + ANSWER_TIME;
            let asked = self.asking().ask(id, question, until).await;
            asked.map_err(|silence| silent(silence.to_string()))?
        };
        match answer {
            Answer::Failed(why) => Err(silent(why)),
            answer => pick(answer).ok_or_else(|| Problem::unavailable(OTHER_ANSWER)),
        }
    }
}

/// How long a node has.
const ANSWER_TIME: Duration = Duration::from_secs(3);
const OTHER_ANSWER: &str = "its node answers something else: is it of another version?";
