//! `/v1/gateways`: addresses of carriers, and how they are.

use axum::Json;
use axum::extract::State;
use model::GatewayHealth;
use model::{Gateway, GatewayId};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::draft::Draft;
use crate::paging::Page;
use crate::resource::{Resource, SecretField};
use crate::{Control, Problem};

/// Routes that only gateways have.
pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(health))
}

/// How every gateway is
#[utoipa::path(
    get,
    path = "/v1/gateway-health",
    tag = "gateways",
    responses((status = 200, description = "One entry for each gateway.", body = Page<GatewayHealth>)),
)]
async fn health(State(control): State<Control>) -> Result<Json<Page<GatewayHealth>>, Problem> {
    let items = control.platform().gateway_health().await?;
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}

impl Resource for Gateway {
    const NOUN: &'static str = "gateways";
    const SUMMARY: &'static str = "one address of a carrier";
    const FILTERS: &'static [&'static str] = &["name", "carrier", "host", "enabled"];
    const SECRET: Option<SecretField> = Some(SecretField {
        schema: "OutboundAuth",
        hidden: "password",
        written: "password",
    });

    fn new_id(time_ms: u64, random: u128) -> GatewayId {
        GatewayId::from_parts(time_ms, random)
    }

    /// The password towards a gateway is kept in clear, because digest towards any realm needs
    /// it; one that is left out stays.
    fn seal(draft: &mut Draft<'_>, previous: Option<&Self>) -> Result<(), Problem> {
        let stays = previous
            .and_then(|gateway| gateway.auth.as_ref())
            .map(|auth| &auth.password);
        let auth = draft.fields.get_mut("auth").and_then(Value::as_object_mut);
        if let (Some(auth), Some(password)) = (auth, stays) {
            auth.entry("password").or_insert_with(|| json!(password));
        }
        Ok(())
    }

    fn redact(shown: &mut Value) {
        if let Some(auth) = shown["auth"].as_object_mut() {
            auth.remove("password");
        }
    }
}
