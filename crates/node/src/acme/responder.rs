//! What answers the challenges of an authority (RFC 8555 §8.3), for as long as there are some.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::{UpOptions, addresses, listeners};

/// Listens; ends with the value.
pub(super) struct Responder {
    answers: Answers,
    tasks: Vec<JoinHandle<()>>,
}

/// What is answered, by token.
type Answers = Arc<Mutex<BTreeMap<String, String>>>;

impl Responder {
    /// One at all addresses that this node is bound to. The error says what to do.
    pub(super) async fn open(options: &UpOptions, port: u16) -> Result<Self, String> {
        let mut responder = Self {
            answers: Answers::default(),
            tasks: Vec::new(),
        };
        responder.serve(options.bind, port).map_err(|error| {
            format!(
                "cannot listen on {} for the authority's challenges: {error}; stop who has the port, \
                 give the program the right to it (CAP_NET_BIND_SERVICE), or set acme.http_port to \
                 one that port 80 is forwarded to",
                SocketAddr::new(options.bind, port)
            )
        })?;
        if let Some(other) =
            listeners::other_family(options).or_else(|| other_loopback(options.bind))
            && let Err(error) = responder.serve(other, port)
        {
            tracing::warn!(%error, address = %other, port, "challenges are not answered there");
        }
        Ok(responder)
    }

    /// Answers a token so from now on.
    pub(super) fn answer(&self, token: &str, answer: &str) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(token.to_owned(), answer.to_owned());
    }

    /// Ends it; the port is free then. Dropped, it is free a moment later.
    pub(super) async fn close(mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
            // That it was aborted is what is wanted.
            let _ = task.await;
        }
    }

    fn serve(&mut self, bind: IpAddr, port: u16) -> io::Result<()> {
        let listener = listen(SocketAddr::new(bind, port))?;
        let router = Router::new()
            .route(&format!("{PATH}{{token}}"), get(answer))
            .with_state(self.answers.clone());
        self.tasks.push(tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "challenges are not answered any more");
            }
        }));
        Ok(())
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// The loopback address of the other family: `localhost` may be either.
fn other_loopback(bind: IpAddr) -> Option<IpAddr> {
    let other = match bind {
        IpAddr::V4(_) => IpAddr::from(Ipv6Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::from(Ipv4Addr::LOCALHOST),
    };
    (bind.is_loopback() && addresses::can_bind(other)).then_some(other)
}

async fn answer(
    State(answers): State<Answers>,
    Path(token): Path<String>,
) -> Result<String, StatusCode> {
    let answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
    answers.get(&token).cloned().ok_or(StatusCode::NOT_FOUND)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

/// Where challenges are asked for.
pub(super) const PATH: &str = "/.well-known/acme-challenge/";
/// Connections that wait to be taken.
const BACKLOG: i32 = 64;
