//! `/v1/session/password` and `/v1/session/second-factor`: what people change of themselves.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::{Person, SecondFactor};
use serde::{Deserialize, Serialize};
use store::Ticket;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::control::{Caller, now};
use crate::extract::Body;
use crate::password::{self, password_hash, password_matches};
use crate::second_factor::{AppSecret, picture, recovery_codes};
use crate::session::Way;
use crate::session::{Session, SessionOf};
use crate::{Control, Problem, problem, sign_in};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(change_password))
        .routes(routes!(offer, confirm))
        .routes(routes!(give_up))
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    /// The one that is good now.
    password: String,
    /// The one to come; 10 to 128 characters.
    #[schema(min_length = 10, max_length = 128)]
    new_password: String,
}

/// What an authenticator app is to be told.
#[derive(Serialize, ToSchema)]
struct FactorOffer {
    /// What the app and the platform will share, as people type it.
    secret: String,
    /// The same for apps, with the names of platform and person.
    uri: String,
    /// The same as a picture (QR code) for the app to scan: rows of `#` and blanks.
    picture: Vec<String>,
}

/// A code of the app.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FactorCode {
    /// Six digits, as the app shows them now.
    code: String,
}

/// What is needed when the app is lost.
#[derive(Serialize, ToSchema)]
struct RecoveryCodes {
    /// Each is good once, in place of a code of the app. They are shown only now.
    recovery_codes: Vec<String>,
}

/// Proof that it is oneself who asks.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OwnPassword {
    /// The password.
    password: String,
}

/// Changes one's own password; all other sessions of oneself end
#[utoipa::path(
    put,
    path = "/v1/session/password",
    tag = "session",
    request_body = NewPassword,
    responses((status = 204, description = "With a new cookie.")),
)]
async fn change_password(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    way: Way,
    headers: HeaderMap,
    Body(wanted): Body<NewPassword>,
) -> Result<Response, Problem> {
    let person = caller.person()?.clone();
    demand_password(&control, &person, wanted.password).await?;
    password::check("new_password", &wanted.new_password)?;
    let hash = control.hash(move || password_hash(&wanted.new_password));
    let hash = hash.await?;
    let hash = hash.map_err(|e| Problem::unavailable(e.to_string()))?;
    let changed = change(&control, &caller, move |person| {
        person.password_hash = Some(hash);
    });
    let session = Session {
        of: SessionOf::person(&changed.await?),
        begun_us: now().as_micros(),
        source: caller.source.to_string(),
        agent: super::session::agent(&headers),
    };
    let cookie = control
        .records(move |records| session.begin(records, now()))
        .await?;
    let set = cookie.set(&headers, way);
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, set)]).into_response())
}

/// Offers a second factor: what to tell an authenticator app
///
/// It is good for ten minutes, and nothing changes before a code of the app has been shown.
#[utoipa::path(
    post,
    path = "/v1/session/second-factor",
    tag = "session",
    responses((status = 200, description = "The app's secret, three times.", body = FactorOffer)),
)]
async fn offer(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<Json<FactorOffer>, Problem> {
    let person = caller.person()?;
    let secret = AppSecret::generate().map_err(|e| Problem::unavailable(e.to_string()))?;
    let owner = person.id.to_string();
    let sealed = control.vault().seal(&owner, secret.bytes());
    let now = now();
    let ticket = Ticket {
        space: OFFERS.into(),
        key: owner,
        ends_us: now.as_micros() + OFFER_KEPT_US,
        body: sealed.map_err(|e| Problem::unavailable(e.to_string()))?,
    };
    control
        .records(move |records| {
            records.remove_ticket(OFFERS, &ticket.key)?;
            records.add_ticket(&ticket, now)
        })
        .await?;
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok());
    let uri = secret.uri(host.unwrap_or("platform"), &person.name);
    Ok(Json(FactorOffer {
        secret: secret.text(),
        picture: picture(&uri),
        uri,
    }))
}

/// Sets up the second factor that was offered, by a code of the app
#[utoipa::path(
    put,
    path = "/v1/session/second-factor",
    tag = "session",
    request_body = FactorCode,
    responses((status = 200, description = "Codes for when the app is lost.", body = RecoveryCodes)),
)]
async fn confirm(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Body(shown): Body<FactorCode>,
) -> Result<Json<RecoveryCodes>, Problem> {
    let person = caller.person()?.clone();
    let (key, now) = (person.id.to_string(), now());
    let asked = key.clone();
    let offered = control
        .records(move |records| records.ticket(OFFERS, &asked, now))
        .await?;
    let Some(offered) = offered else {
        let detail = "nothing was offered within ten minutes: begin anew";
        return Err(Problem::new(&problem::NOT_FOUND, detail));
    };
    let secret = sign_in::app_secret(&control, &person, &offered.body)?;
    let step = secret.step_of(&shown.code, now.as_micros() / 1_000_000);
    let Some(step) = step else {
        let message = "it is not the code that the app shows now; are both clocks right?";
        return Err(Problem::invalid_field("code", message));
    };
    sign_in::use_step(&control, &person, step).await?;
    let made = recovery_codes().map_err(|e| Problem::unavailable(e.to_string()))?;
    let (recovery_codes, recovery) = made;
    let factor = SecondFactor {
        since_us: now.as_micros(),
        secret: offered.body,
        recovery,
    };
    change(&control, &caller, move |person| {
        person.second_factor = Some(factor);
    })
    .await?;
    control
        .records(move |records| records.remove_ticket(OFFERS, &key))
        .await?;
    Ok(Json(RecoveryCodes { recovery_codes }))
}

/// Does without one's second factor from now on
#[utoipa::path(
    post,
    path = "/v1/session/second-factor/remove",
    tag = "session",
    request_body = OwnPassword,
    responses((status = 204, description = "The password alone is enough.")),
)]
async fn give_up(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Body(shown): Body<OwnPassword>,
) -> Result<StatusCode, Problem> {
    let person = caller.person()?.clone();
    demand_password(&control, &person, shown.password).await?;
    change(&control, &caller, |person| person.second_factor = None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses who does not know the person's password, however they got the session.
async fn demand_password(
    control: &Control,
    person: &Person,
    password: String,
) -> Result<(), Problem> {
    let hash = person.password_hash.clone();
    let lockouts = control.lockouts();
    let now = std::time::Instant::now();
    let rests = |wait_s| Problem::too_many("too many wrong passwords", wait_s);
    lockouts.check(&person.name, now).map_err(rests)?;
    let matches = control.hash(move || password_matches(hash.as_deref(), &password));
    if matches.await? {
        return Ok(());
    }
    lockouts.fail(&person.name, now);
    let message = "it is not the password that is good now";
    Err(Problem::invalid_field("password", message))
}

/// Changes the caller's own record.
async fn change(
    control: &Control,
    caller: &Caller,
    change: impl FnOnce(&mut Person) + Send + 'static,
) -> Result<Person, Problem> {
    let (id, actor) = (caller.person()?.id, caller.actor());
    control
        .change(move |records| {
            let stored = records.read::<Person>(id)?;
            let mut person = stored.record;
            change(&mut person);
            let stored = records.update(&actor, person, stored.revision)?;
            Ok((stored.revision, stored.record))
        })
        .await
}

/// What the store keeps offers under.
const OFFERS: &str = "second-factor-offer";
/// How long an offer is good.
const OFFER_KEPT_US: u64 = 10 * 60 * 1_000_000;
