//! An API with an empty store, a node that remembers what it was asked, and an admin's token.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use clock::Time;
use control::{
    ArrayView, Ban, CallFilter, CallsFound, Control, Deployment, LimitUsage, LimitedKind,
    ListenerSpec, ListenerStatus, Platform, PlatformError, PlatformEvent, PresentedCertificate,
    Readiness, Recording, RecordingPlace, RegistrationFilter, Reply, RouteQuery, Simulation,
    SimulationOutcome, Site, TraceStatus, Vault,
};
use model::{
    AccountId, ApiToken, CallId, CallState, CallView, GatewayHealth, MediaServerHealth,
    RegistrationView, Role, ServerId, Snapshot, TokenId, TraceMode, ZoneId,
};
use serde_json::Value;
use store::{
    Actor, CdrStore, Records, Sqlite, TraceId, TraceOrder, TracePart, TracePlace, TraceQuery,
};
use tokio::sync::broadcast;
use tower::ServiceExt;
use trace::Seen;

pub(crate) struct Api {
    pub(crate) control: Control,
    pub(crate) node: Arc<Node>,
    pub(crate) store: Arc<Sqlite>,
    router: Router,
    admin: String,
    _dir: tempfile::TempDir,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// Null if the text is no JSON.
    pub(crate) body: Value,
}

impl Api {
    pub(crate) fn new() -> Self {
        Self::build(None, |store| store)
    }

    /// With CDRs in another store than the records, around that one.
    pub(crate) fn with_cdr_store(of: impl FnOnce(Arc<Sqlite>) -> Arc<dyn CdrStore>) -> Self {
        Self::build(None, of)
    }

    /// The same with files beside it.
    pub(crate) fn with_site(site: impl Site) -> Self {
        Self::build(Some(Arc::new(site)), |store| store)
    }

    fn build(
        site: Option<Arc<dyn Site>>,
        cdr_store: impl FnOnce(Arc<Sqlite>) -> Arc<dyn CdrStore>,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::open(&dir.path().join("tandem.db")).unwrap());
        let node = Arc::new(Node::new());
        let records: Arc<dyn Records> = store.clone();
        let cdrs = cdr_store(store.clone());
        let vault = Vault::new(&[7; 32]);
        let control = match site {
            Some(site) => Control::with_site(records, cdrs, node.clone(), vault, site),
            None => Control::new(records, cdrs, node.clone(), vault),
        };
        control.has_history(store.clone(), ServerId::from_parts(1, 0));
        let router = control::router(control.clone());
        let mut api = Self {
            control,
            node,
            store,
            router,
            admin: String::new(),
            _dir: dir,
        };
        api.admin = api.token(Role::Admin, None);
        api
    }

    /// A new token, made in the store as the node does at its first start.
    pub(crate) fn token(&self, role: Role, expires_us: Option<u64>) -> String {
        self.token_for(role, None, expires_us)
    }

    /// A new token, for one account if there is one.
    pub(crate) fn token_for(
        &self,
        role: Role,
        account: Option<AccountId>,
        expires_us: Option<u64>,
    ) -> String {
        self.keep(|kept| ApiToken {
            role,
            expires_us,
            account,
            ..kept
        })
    }

    /// A new token, for these zones alone.
    pub(crate) fn token_for_zones(&self, role: Role, zones: &[ZoneId]) -> String {
        self.keep(|kept| ApiToken {
            role,
            zones: zones.to_vec(),
            ..kept
        })
    }

    fn keep(&self, describe: impl FnOnce(ApiToken) -> ApiToken) -> String {
        let token = control::generate_token().unwrap();
        let kept = describe(ApiToken {
            id: TokenId::from_parts(1, rand_bits(&token)),
            name: "test".into(),
            role: Role::Viewer,
            created_us: 1,
            last_used_us: None,
            expires_us: None,
            account: None,
            zones: Vec::new(),
            scopes: Vec::new(),
        });
        let actor = Actor {
            name: "test".into(),
            at: Time::from_secs(1),
        };
        self.store
            .create_token(&actor, &kept, &control::token_hash(&token))
            .unwrap();
        token
    }

    /// The body of an answer, which may break off.
    pub(crate) async fn read(&self, path: &str) -> Result<Vec<u8>, axum::Error> {
        let request = request("GET", path, &self.admin, &[]).body(Body::empty());
        let asked = self.router.clone().oneshot(request.unwrap());
        let body = asked.await.unwrap().into_body();
        to_bytes(body, usize::MAX).await.map(|bytes| bytes.to_vec())
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(
            request("GET", path, &self.admin, &[])
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }

    pub(crate) async fn get_as(&self, token: &str, path: &str) -> Answer {
        self.ask(
            request("GET", path, token, &[])
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.ask(
            request("DELETE", path, &self.admin, &[])
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[], body).await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        self.send_as(&self.admin, method, path, headers, body).await
    }

    pub(crate) async fn send_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let request =
            request(method, path, token, headers).header("content-type", "application/json");
        self.ask(request.body(Body::from(body.to_string())).unwrap())
            .await
    }

    /// The answer's status, without its body, which may never end.
    pub(crate) async fn status_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> StatusCode {
        let request = request(method, path, token, &[]).header("content-type", "application/json");
        let request = request.body(Body::from(body.to_string())).unwrap();
        self.router.clone().oneshot(request).await.unwrap().status()
    }

    /// A request as it is, without anything added.
    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 20).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer {
            status: parts.status,
            headers: parts.headers,
            text,
            body,
        }
    }

    pub(crate) fn admin(&self) -> &str {
        &self.admin
    }

    /// Makes a record; its body as shown.
    pub(crate) async fn made(&self, path: &str, body: Value) -> Value {
        let answer = self.post(path, &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.body
    }

    /// Makes an account; its identifier.
    pub(crate) async fn account(&self) -> Value {
        self.made("/v1/accounts", serde_json::json!({ "name": "acme" }))
            .await["id"]
            .clone()
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts that this is a problem of this kind.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str) -> &Self {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.body["code"], code);
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["type"], format!("urn:tandem:problem:{code}"));
        self
    }

    /// Asserts that the problem is about this field.
    #[track_caller]
    pub(crate) fn at_field(&self, field: &str) -> &Self {
        assert_eq!(self.body["errors"][0]["field"], field, "{}", self.text);
        self
    }
}

fn request(
    method: &str,
    path: &str,
    token: &str,
    headers: &[(&str, &str)],
) -> axum::http::request::Builder {
    let mut request = Request::builder().method(method).uri(path);
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    })
}

fn rand_bits(token: &str) -> u128 {
    u128::from_str_radix(&control::token_hash(token)[..20], 16).unwrap()
}

/// What stands in for the node.
pub(crate) struct Node {
    pub(crate) state: Mutex<State>,
    pub(crate) events: broadcast::Sender<PlatformEvent>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) calls: Vec<CallView>,
    pub(crate) recordings: Vec<Recording>,
    pub(crate) listeners: Vec<ListenerStatus>,
    pub(crate) applied: Vec<Snapshot>,
    /// Messages that are kept, the oldest first, and what was asked of them.
    pub(crate) traced: Vec<(TraceId, Seen)>,
    pub(crate) searches: Vec<TraceQuery>,
    pub(crate) silent: bool,
}

impl Node {
    fn new() -> Self {
        Self {
            state: Mutex::default(),
            events: broadcast::Sender::new(64),
        }
    }

    fn answer<T: Send + 'static>(
        &self,
        answer: impl FnOnce(&mut State) -> Result<T, PlatformError>,
    ) -> Reply<'_, T> {
        let mut state = self.state.lock().unwrap();
        let answer = if state.silent {
            Err(PlatformError::Unavailable("it is starting".into()))
        } else {
            answer(&mut state)
        };
        Box::pin(std::future::ready(answer))
    }
}

pub(crate) fn call(number: u64) -> CallView {
    CallView {
        id: CallId::from_parts(number, 1),
        server: None,
        server_name: String::new(),
        account: None,
        state: CallState::Answered,
        caller: format!("caller-{number}"),
        called: "600".into(),
        start_us: number,
        answer_us: None,
        legs: Vec::new(),
        explanation: Vec::new(),
    }
}

impl Platform for Node {
    fn calls(
        &self,
        filter: CallFilter,
        limit: usize,
        after: Option<CallId>,
    ) -> Reply<'_, CallsFound> {
        self.answer(|state| {
            let matching = |call: &&CallView| {
                filter.account.is_none_or(|a| call.account == Some(a))
                    && filter.caller.as_ref().is_none_or(|c| call.caller == *c)
            };
            let all = state.calls.iter().filter(matching);
            let later = all.clone().filter(|c| after.is_none_or(|a| c.id > a));
            Ok(CallsFound {
                items: later.take(limit).cloned().collect(),
                total: all.count(),
            })
        })
    }

    fn call(&self, id: CallId) -> Reply<'_, Option<CallView>> {
        self.answer(|state| Ok(state.calls.iter().find(|call| call.id == id).cloned()))
    }

    fn hang_up(&self, id: CallId) -> Reply<'_, bool> {
        self.answer(|state| {
            let before = state.calls.len();
            state.calls.retain(|call| call.id != id);
            Ok(state.calls.len() < before)
        })
    }

    fn registrations(
        &self,
        _filter: RegistrationFilter,
        _limit: usize,
        _after: Option<String>,
    ) -> Reply<'_, Vec<RegistrationView>> {
        self.answer(|_| Ok(Vec::new()))
    }

    fn remove_registration(&self, id: String) -> Reply<'_, bool> {
        self.answer(move |_| Ok(id == "known"))
    }

    fn media_server_health(&self) -> Reply<'_, Vec<MediaServerHealth>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn gateway_health(&self) -> Reply<'_, Vec<GatewayHealth>> {
        self.answer(|_| Ok(Vec::new()))
    }

    fn array(&self) -> Reply<'_, ArrayView> {
        self.answer(|_| Ok(ArrayView::default()))
    }

    fn deployment(&self) -> Reply<'_, Deployment> {
        self.answer(|_| Ok(Deployment::default()))
    }

    fn limit_usage(&self) -> Reply<'_, Vec<LimitUsage>> {
        self.answer(|_| {
            Ok(vec![LimitUsage {
                kind: LimitedKind::Server,
                id: String::new(),
                name: "server".into(),
                cps_limit: None,
                cps_share: None,
                cps_elsewhere: None,
                cps: 3,
                channels_limit: Some(10),
                channels_share: None,
                channels_elsewhere: None,
                channels: 2,
            }])
        })
    }

    fn simulate(
        &self,
        query: RouteQuery,
        configuration: Option<Arc<Snapshot>>,
    ) -> Reply<'_, Simulation> {
        let routes = configuration.map_or(0, |configuration| configuration.routes.len());
        self.answer(move |_| {
            Ok(Simulation {
                outcome: SimulationOutcome::Refused,
                status: Some(404),
                steps: vec![format!("nobody takes {} by {routes} routes", query.called)],
                targets: Vec::new(),
            })
        })
    }

    fn metrics(&self) -> Reply<'_, String> {
        self.answer(|_| Ok("tandem_calls 0\n".into()))
    }

    fn readiness(&self) -> Reply<'_, Readiness> {
        self.answer(|_| {
            Ok(Readiness {
                ready: true,
                problems: Vec::new(),
            })
        })
    }

    fn listeners(&self) -> Reply<'_, Vec<ListenerStatus>> {
        self.answer(|state| Ok(state.listeners.clone()))
    }

    fn presented_certificates(&self) -> Reply<'_, Vec<PresentedCertificate>> {
        self.answer(|_| Ok(Vec::new()))
    }

    fn add_listener(&self, spec: ListenerSpec) -> Reply<'_, ListenerStatus> {
        self.answer(|state| {
            if state
                .listeners
                .iter()
                .any(|listener| listener.address == spec.address)
            {
                let message = "it is taken; choose another port".into();
                return Err(PlatformError::Refused {
                    field: "address".into(),
                    message,
                });
            }
            let status = ListenerStatus {
                id: format!("{}", state.listeners.len()),
                transport: spec.transport,
                address: spec.address,
                advertised: None,
                receive_buffer_asked_bytes: 0,
                receive_buffer_bytes: 0,
                send_buffer_asked_bytes: 0,
                send_buffer_bytes: 0,
                connections: 0,
                client_certificates: spec.client_certificates,
            };
            state.listeners.push(status.clone());
            Ok(status)
        })
    }

    fn remove_listener(&self, id: String) -> Reply<'_, bool> {
        self.answer(move |state| {
            let before = state.listeners.len();
            state.listeners.retain(|listener| listener.id != id);
            Ok(state.listeners.len() < before)
        })
    }

    fn bans(&self) -> Reply<'_, Vec<Ban>> {
        self.answer(|_| Ok(Vec::new()))
    }

    fn recordings(&self, after: Option<RecordingPlace>, limit: usize) -> Reply<'_, Vec<Recording>> {
        self.answer(move |state| {
            let mut found = state.recordings.clone();
            found.retain(|recording| {
                after
                    .as_ref()
                    .is_none_or(|after| recording.place() < *after)
            });
            Recording::sort(&mut found);
            found.truncate(limit);
            Ok(found)
        })
    }

    fn locate(&self, mut recordings: Vec<Recording>) -> Reply<'_, Vec<Recording>> {
        self.answer(|_| {
            recordings.retain(|recording| recording.node.as_deref() != Some("n1"));
            for recording in recordings.iter_mut().filter(|r| r.server.is_some()) {
                recording.location = Some(format!("s3://calls{}", recording.file));
            }
            Ok(recordings)
        })
    }

    fn traced(&self, query: TraceQuery) -> Reply<'_, TracePart> {
        self.answer(move |state| {
            let mut found: Vec<_> = state.traced.clone();
            if query.order == TraceOrder::NewestFirst {
                found.reverse();
            }
            let place = |(id, seen): &(TraceId, Seen)| TracePlace {
                at_us: seen.at_us,
                id: *id,
            };
            let beyond = |one: &(TraceId, Seen)| {
                query.beyond.is_none_or(|beyond| match query.order {
                    TraceOrder::NewestFirst => place(one) < beyond,
                    TraceOrder::OldestFirst => place(one) > beyond,
                })
            };
            found.retain(beyond);
            let more = found.len() > query.limit;
            found.truncate(query.limit);
            let next = found.last().filter(|_| more).map(place);
            state.searches.push(query);
            Ok(TracePart {
                messages: found,
                next,
                is_partial: false,
            })
        })
    }

    fn node(&self) -> String {
        "n1".into()
    }

    fn traced_message(&self, id: TraceId) -> Reply<'_, Option<Seen>> {
        self.answer(move |state| {
            let found = state.traced.iter().find(|(known, _)| *known == id);
            Ok(found.map(|(_, seen)| seen.clone()))
        })
    }

    fn trace_status(&self) -> Reply<'_, TraceStatus> {
        self.answer(|_| {
            Ok(TraceStatus {
                mode: TraceMode::Full,
                kept: 3,
                dropped: 2,
                failed: 1,
                heard: 0,
                bytes: 900,
                oldest_us: None,
            })
        })
    }

    fn remove_ban(&self, address: IpAddr) -> Reply<'_, bool> {
        self.answer(move |_| Ok(address.is_ipv6()))
    }

    fn apply(&self, snapshot: Snapshot) -> Reply<'_, ()> {
        self.answer(|state| {
            state.applied.push(snapshot);
            Ok(())
        })
    }

    fn subscribe(&self) -> broadcast::Receiver<PlatformEvent> {
        self.events.subscribe()
    }
}
