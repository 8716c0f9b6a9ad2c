//! `/v1/people`: who signs in to the panel, and what they may do.

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use model::{AccountId, Person, PersonId, SignInBy};
use serde_json::{Value, json};
use store::{Records, StoreError};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::control::Caller;
use crate::draft::Draft;
use crate::extract::Id;
use crate::password::{self, password_hash};
use crate::resource::{Resource, SecretField, find};
use crate::secret::generate_password;
use crate::{Control, Problem};

/// Routes that only people have.
pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(unlock))
}

/// Lets a person try again whose name rests after too many wrong passwords
#[utoipa::path(
    post,
    path = "/v1/people/{id}/unlock",
    tag = "people",
    params(("id" = String, Path, description = "The person.")),
    responses((status = 204, description = "They may sign in at once, on this node.")),
)]
async fn unlock(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<PersonId>,
) -> Result<StatusCode, Problem> {
    let person = find::<Person>(&control, &caller, id).await?.record;
    if control.lockouts().forget(&person.name) {
        tracing::info!(person = %id, by = caller.id(), "may try again");
    }
    Ok(StatusCode::NO_CONTENT)
}

impl Resource for Person {
    const NOUN: &'static str = "people";
    const SUMMARY: &'static str = "somebody who signs in";
    const FILTERS: &'static [&'static str] = &["name", "role", "account", "enabled", "sign_in"];
    const SECRET: Option<SecretField> = Some(SecretField {
        schema: "Person",
        hidden: "password_hash",
        written: "password",
    });
    const OWNED: bool = true;

    fn account(&self, _: &dyn Records) -> Result<Option<AccountId>, StoreError> {
        Ok(self.account)
    }

    fn new_id(time_ms: u64, random: u128) -> PersonId {
        PersonId::from_parts(time_ms, random)
    }

    /// A password that is left out stays; a new person who signs in by one gets one that is shown once. A
    /// second factor, and who somebody is to the provider, can be taken away here; it is set by signing in
    /// or by whoever has it alone.
    fn seal(draft: &mut Draft<'_>, previous: Option<&Self>) -> Result<(), Problem> {
        if draft.fields.contains_key("password_hash") {
            let message = "there is no such field; send password";
            return Err(Problem::invalid_field("password_hash", message));
        }
        let password = match (draft.fields.remove("password"), previous) {
            (Some(Value::String(password)), _) => {
                password::check("password", &password)?;
                Some(password)
            }
            (Some(Value::Null) | None, Some(_)) => None,
            (Some(Value::Null) | None, None)
                if draft.fields.get("sign_in") == Some(&json!(SignInBy::Oidc)) =>
            {
                None
            }
            (Some(Value::Null) | None, None) => {
                let made = generate_password();
                let made = made.map_err(|e| Problem::unavailable(e.to_string()))?;
                draft.generated = Some(made.clone());
                Some(made)
            }
            (Some(_), _) => {
                return Err(Problem::malformed_field("password", "text is accepted"));
            }
        };
        let hash = match password {
            Some(password) => {
                let hash = password_hash(&password);
                Some(hash.map_err(|e| Problem::unavailable(e.to_string()))?)
            }
            None => previous.and_then(|person| person.password_hash.clone()),
        };
        draft.fields.insert("password_hash".into(), json!(hash));
        let stays = match draft.fields.remove("second_factor") {
            Some(Value::Null) | None => None,
            Some(shown) if is_moment(&shown["since_us"]) => {
                previous.and_then(|person| person.second_factor.as_ref())
            }
            Some(_) => {
                let message = "what was read is accepted, or null to take it away";
                return Err(Problem::malformed_field("second_factor", message));
            }
        };
        draft.fields.insert("second_factor".into(), json!(stays));
        let known = previous.and_then(|person| person.oidc.as_ref());
        let stays = match draft.fields.remove("oidc") {
            Some(Value::Null) | None => None,
            Some(shown) if shown == json!(known) => known,
            Some(_) => {
                let message = "what was read is accepted, or null for who signs in next to be them";
                return Err(Problem::invalid_field("oidc", message));
            }
        };
        draft.fields.insert("oidc".into(), json!(stays));
        Ok(())
    }

    fn redact(shown: &mut Value) {
        if let Some(fields) = shown.as_object_mut() {
            fields.remove("password_hash");
        }
        if let Some(factor) = shown["second_factor"].as_object_mut() {
            factor.remove("secret");
            factor.remove("recovery");
        }
    }
}

/// Whether a value is a time, as JSON has integers.
fn is_moment(value: &Value) -> bool {
    let number = value.as_f64();
    number.is_some_and(|n| n >= 0.0 && n.fract() == 0.0)
}
