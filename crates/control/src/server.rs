//! The router, and serving it.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header;
use axum::middleware::{from_fn, from_fn_with_state, map_request, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use model::{
    Account, Carrier, Certificate, Cluster, Customer, Device, Gateway, MediaServer, Number, Person,
    Route, Server, User, Zone,
};
use tokio::net::TcpListener;
use utoipa_axum::router::OpenApiRouter;

use crate::api;
use crate::extract::BODY_MAX_BYTES;
use crate::secure::{SecureSocket, Secured, Source, name_source};
use crate::{
    Control, Problem, auth, drafts, duties, events, exports, idempotency, openapi, problem,
    resource, site, tasks,
};

/// Where the API is served.
#[derive(Debug)]
pub struct Sockets {
    /// Over plain HTTP, if it is wanted.
    pub plain: Option<TcpListener>,
    /// Over TLS, if it is wanted.
    pub secure: Option<SecureSocket>,
}

impl From<TcpListener> for Sockets {
    fn from(plain: TcpListener) -> Self {
        Self {
            plain: Some(plain),
            secure: None,
        }
    }
}

/// Serves the API until `stop` is ready, then finishes what is being answered, for at most five
/// seconds.
///
/// # Errors
/// If a socket fails for good.
pub async fn serve(
    sockets: impl Into<Sockets>,
    control: Control,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let Sockets { plain, secure } = sockets.into();
    let secure = secure.map(Secured::new).transpose()?;
    let pump = tokio::spawn(events::pump(control.clone()));
    let kept = tokio::spawn(tasks::keep(control.clone()));
    let exports = tokio::spawn(exports::keep(control.clone()));
    let held = tokio::spawn(duties::keep(control.clone()));
    let ending = control.clone();
    let stopped = {
        let control = control.clone();
        move || {
            let mut stopping = control.stopping();
            async move {
                // The sender lives in `control`, which the caller of this holds.
                let _ = stopping.wait_for(|stopping| *stopping).await;
            }
        }
    };
    let service = router(control.clone());
    let over_tls = service
        .clone()
        .into_make_service_with_connect_info::<Source>();
    let service = service.into_make_service_with_connect_info::<SocketAddr>();
    let plain = async {
        match plain {
            Some(plain) => {
                let server = axum::serve(plain, service);
                server.with_graceful_shutdown(stopped()).await
            }
            None => Ok(()),
        }
    };
    let secure = async {
        match secure {
            Some(secure) => {
                let server = axum::serve(secure, over_tls);
                server.with_graceful_shutdown(stopped()).await
            }
            None => Ok(()),
        }
    };
    let overdue = async {
        stop.await;
        control.stop();
        control.halt_exports();
        tokio::time::sleep(STOP_TIME).await;
    };
    let result = tokio::select! {
        result = async { tokio::try_join!(plain, secure) } => result.map(|_| ()),
        () = overdue => Ok(()),
    };
    pump.abort();
    kept.abort();
    exports.abort();
    held.abort();
    let _ = held.await;
    duties::release(&ending).await;
    result
}

/// The API as a service. Requests without `ConnectInfo<SocketAddr>` count as the machine's own.
pub fn router(control: Control) -> Router {
    let (guarded, _) = guarded().split_for_parts();
    let (open, _) = open().split_for_parts();
    let (metrics, _) = api::system::metrics_routes().split_for_parts();
    let with = || control.clone();
    let guarded = guarded
        .merge(records())
        .route_layer(from_fn_with_state(with(), idempotency::once))
        .route_layer(from_fn(drafts::refuse_elsewhere))
        .route_layer(from_fn_with_state(with(), auth::authorise));
    let metrics = metrics.route_layer(from_fn_with_state(with(), auth::authorise_or_local));
    Router::new()
        .merge(guarded)
        .merge(metrics)
        .merge(open)
        .route("/v1/openapi.json", get(document))
        .fallback(site::serve)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .layer(from_fn_with_state(with(), auth::throttle))
        .layer(map_request(name_source::<Body>))
        .layer(map_response(harden))
        .with_state(control)
}

/// Routes that need a token and document themselves.
pub(crate) fn guarded() -> OpenApiRouter<Control> {
    OpenApiRouter::with_openapi(openapi::base())
        .merge(api::gateways::routes())
        .merge(api::routes::routes())
        .merge(api::drafts::routes())
        .merge(api::media_servers::routes())
        .merge(api::servers::routes())
        .merge(api::certificates::routes())
        .merge(api::zones::routes())
        .merge(api::clusters::routes())
        .merge(api::server_actions::routes())
        .merge(api::targets::routes())
        .merge(api::server_view::routes())
        .merge(api::tasks::routes())
        .merge(api::join_tokens::routes())
        .merge(api::settings::routes())
        .merge(api::user_batch::routes())
        .merge(api::history::routes())
        .merge(api::array::routes())
        .merge(api::posture::routes())
        .merge(api::duties::routes())
        .merge(api::limits::routes())
        .merge(api::tokens::routes())
        .merge(api::calls::routes())
        .merge(api::registrations::routes())
        .merge(api::cdr_export::routes())
        .merge(api::cdr_exports::routes())
        .merge(api::cdrs::routes())
        .merge(api::listeners::routes())
        .merge(api::bans::routes())
        .merge(api::recordings::routes())
        .merge(api::audit::routes())
        .merge(api::traces::routes())
        .merge(api::ladders::routes())
        .merge(api::alerts::routes())
        .merge(api::events::routes())
        .merge(api::people::routes())
        .merge(api::session::routes())
        .merge(api::sessions::routes())
        .merge(api::own::routes())
}

/// Routes that need none.
pub(crate) fn open() -> OpenApiRouter<Control> {
    api::system::open_routes()
        .merge(api::session::open_routes())
        .merge(api::oidc::open_routes())
}

fn records() -> Router<Control> {
    Router::new()
        .merge(resource::routes::<Account>())
        .merge(resource::routes::<User>())
        .merge(resource::routes::<Device>())
        .merge(resource::routes::<Number>())
        .merge(resource::routes::<Customer>())
        .merge(resource::routes::<Carrier>())
        .merge(resource::routes::<Gateway>())
        .merge(resource::routes::<Route>())
        .merge(resource::routes::<MediaServer>())
        .merge(resource::routes::<Person>())
        .merge(resource::routes::<Server>())
        .merge(resource::routes::<Certificate>())
        .merge(resource::routes::<Zone>())
        .merge(resource::routes::<Cluster>())
}

async fn document(State(_): State<Control>) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        openapi::text(),
    )
        .into_response()
}

async fn wrong_method() -> Problem {
    Problem::new(
        &problem::WRONG_METHOD,
        "the methods in the Allow header are accepted",
    )
}

/// Answers hold what others may not see: nothing in between may keep or reinterpret them.
async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(header::HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        header::HeaderValue::from_static("nosniff"),
    );
    response
}

/// How long open requests may go on after the API was told to stop.
const STOP_TIME: Duration = Duration::from_secs(5);
