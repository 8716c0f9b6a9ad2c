//! Certificates for nodes: the first for a token, each further one for the one before it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use link::proto::{Enrolled, Enrolment, Renewed};
use link::{Issued, Shown};
use model::{JoinToken, JoinTokenId, Server, ServerCertificate, ServerId, ServerRole};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use store::{Actor, Records, StoreError, Stored};
use tonic::Status;

use crate::Control;
use crate::control::now;
use crate::secret::{id_bits, token_hash};

/// Takes a token for a certificate. The token is gone before the certificate is given: of two who
/// show it at once, one is refused.
pub(super) async fn enrol(
    control: &Control,
    asked: Enrolment,
    from: SocketAddr,
) -> Result<Enrolled, Status> {
    let Some(joining) = control.joining() else {
        return Err(Status::unavailable("control is starting"));
    };
    let at = now();
    let authority = joining.authority.clone();
    let done = control
        .change(move |records| {
            let actor = |token: &str| Actor {
                name: format!("join token {token} from {}", from.ip()),
                at,
            };
            let join = || -> Result<(Server, Issued), Refused> {
                let token = check(records, &asked, at.as_micros())?;
                let actor = actor(&token.record.id.to_string());
                let mut server = wanted(records, &token.record, &asked.host)?;
                let issued = authority
                    .issue(
                        &asked.signing_request,
                        (&server.record.id.to_string(), &token.record.id.to_string()),
                        at.as_micros(),
                        NODE_VALID,
                    )
                    .map_err(|error| Refused::Why(error.to_string()))?;
                spend(records, &actor, &token)?;
                let given = certificate(&issued, token.record.id, at.as_micros());
                server.record.certificate = Some(given);
                server.record.revoked_us = None;
                let server = put(records, &actor, server)?;
                Ok((server, issued))
            };
            let result = join();
            // The answer to the node is not an error of the store.
            match result {
                Err(Refused::Store(error)) => Err(error),
                result => Ok((records.revision()?, result)),
            }
        })
        .await;
    let (server, issued) = done?.map_err(|refused| refused.into_status(from))?;
    let id = server.id.to_string();
    tracing::info!(server = id, name = server.name, %from, "a machine has joined");
    let (topic, name) = ("servers", "server.joined");
    control.ring().announce(topic, name, json!({ "id": id }));
    Ok(Enrolled {
        server: id,
        name: server.name,
        certificate: issued.certificate.to_vec(),
        authority: joining.authority.certificate().to_vec(),
        certificate_expires_us: issued.expires_us,
        cluster_key: match server.role {
            ServerRole::Switch => joining.cluster_key.to_vec(),
            ServerRole::Dispatcher => edge_key(&joining.cluster_key).to_vec(),
            // It seals nothing.
            ServerRole::Media => Vec::new(),
        },
        role: server.role.name().to_owned(),
    })
}

/// The key of all dispatchers that join: by it they read each other's routes. The platform's own does not
/// follow from it, for that opens what is sealed in the database and lets its holder pass for a switch.
fn edge_key(cluster_key: &[u8; 32]) -> [u8; 32] {
    let digest = Sha256::new().chain_update(EDGE).chain_update(cluster_key);
    digest.finalize().into()
}

/// The next certificate of a node.
pub(super) async fn renew(
    control: &Control,
    (id, shown): (ServerId, Arc<Shown>),
    signing_request: Vec<u8>,
) -> Result<Renewed, Status> {
    let Some(joining) = control.joining() else {
        return Err(Status::unavailable("control is starting"));
    };
    let at = now();
    if !control.fleet().may_renew(id, at.as_micros()) {
        let why = "it has a certificate of this hour: is the node's clock right?";
        return Err(Status::failed_precondition(why));
    }
    let actor = Actor {
        name: format!("node {id} (certificate {})", shown.serial),
        at,
    };
    let done = control
        .change(move |records| {
            let mut server = records.read::<Server>(id)?;
            let issued = joining.authority.issue(
                &signing_request,
                (&id.to_string(), &shown.enrolment),
                at.as_micros(),
                NODE_VALID,
            );
            let issued = match issued {
                Ok(issued) => issued,
                Err(error) => return Ok((records.revision()?, Err(error.to_string()))),
            };
            let enrolment = server.record.certificate.as_ref().map(|c| c.enrolment);
            let Some(enrolment) = enrolment.filter(|e| e.to_string() == shown.enrolment) else {
                let why = "another machine has joined as this server".to_owned();
                return Ok((records.revision()?, Err(why)));
            };
            server.record.certificate = Some(certificate(&issued, enrolment, at.as_micros()));
            let stored = records.update(&actor, server.record, server.revision)?;
            Ok((stored.revision, Ok(issued)))
        })
        .await;
    let issued = done?.map_err(Status::invalid_argument)?;
    control.fleet().renewed(id, at.as_micros());
    tracing::info!(server = %id, serial = issued.serial, "a node has another certificate");
    Ok(Renewed {
        certificate: issued.certificate.to_vec(),
        certificate_expires_us: issued.expires_us,
    })
}

/// Why nobody joins.
enum Refused {
    /// In words for the machine.
    Why(String),
    /// The store was at fault.
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Refused {
    fn into_status(self, from: SocketAddr) -> Status {
        let why = match self {
            Self::Why(why) => why,
            Self::Store(error) => error.to_string(),
        };
        tracing::warn!(%from, why, "a machine was not let in");
        Status::unauthenticated(why)
    }
}

fn check(
    records: &dyn Records,
    asked: &Enrolment,
    now_us: u64,
) -> Result<Stored<JoinToken>, Refused> {
    let unknown =
        || Refused::Why("the token is not known: it was used, deleted, or never made".into());
    let id: JoinTokenId = asked.token.parse().map_err(|_| unknown())?;
    let token = match records.read::<JoinToken>(id) {
        Err(StoreError::NotFound { .. }) => return Err(unknown()),
        found => found?,
    };
    if token.record.secret != token_hash(&asked.secret) {
        return Err(unknown());
    }
    if token.record.expires_us <= now_us {
        let ago_s = (now_us - token.record.expires_us) / 1_000_000;
        return Err(Refused::Why(format!("the token expired {ago_s} s ago")));
    }
    Ok(token)
}

fn spend(records: &dyn Records, actor: &Actor, token: &Stored<JoinToken>) -> Result<(), Refused> {
    let id = token.record.id;
    match records.delete::<JoinToken>(actor, id, Some(token.revision)) {
        Err(StoreError::NotFound { .. } | StoreError::Conflict { .. }) => {
            Err(Refused::Why("the token was used in between".into()))
        }
        spent => Ok(spent?),
    }
}

/// Writes the server down. The token is spent: what another has changed in between is no reason to
/// send the machine away.
fn put(
    records: &dyn Records,
    actor: &Actor,
    mut server: Stored<Server>,
) -> Result<Server, StoreError> {
    let mut attempts = PUT_ATTEMPTS;
    loop {
        attempts -= 1;
        let record = server.record.clone();
        let put = match server.revision {
            NEW => records.create(actor, record),
            revision => records.update(actor, record, revision),
        };
        match put {
            Ok(stored) => return Ok(stored.record),
            Err(StoreError::Duplicate { .. }) if server.revision == NEW && attempts > 0 => {
                // A machine of the same image has joined at the same moment.
                server.record.name = with_id(&server.record.name, server.record.id);
            }
            Err(StoreError::Conflict { .. }) if attempts > 0 => {
                let changed = records.read::<Server>(server.record.id)?;
                let given = server.record.certificate.take();
                server = changed;
                server.record.certificate = given;
                server.record.revoked_us = None;
            }
            Err(error) => return Err(error),
        }
    }
}

/// A name that no other server has.
fn with_id(name: &str, id: ServerId) -> String {
    format!("{name} {}", id.to_string().get(26..).unwrap_or_default())
}

/// The server that a token is for, or a new one.
fn wanted(records: &dyn Records, token: &JoinToken, host: &str) -> Result<Stored<Server>, Refused> {
    if let Some(id) = token.server {
        return Ok(records.read::<Server>(id)?);
    }
    let random = id_bits().map_err(|error| Refused::Why(error.to_string()))?;
    let id = ServerId::from_parts(now().as_millis(), random);
    let called: String = match token.name.as_str() {
        "" => host
            .chars()
            .filter(|c| !c.is_control())
            .take(NAME_MAX)
            .collect(),
        name => name.to_owned(),
    };
    let taken = taken_names(records)?;
    let name = match called.trim() {
        "" => id.to_string(),
        name if !taken.iter().any(|taken| taken == name) => name.to_owned(),
        name if !token.name.is_empty() => {
            return Err(Refused::Why(format!("a server is called {name} already")));
        }
        // Machines of one image have one name.
        name => with_id(name, id),
    };
    Ok(Stored {
        revision: NEW,
        record: Server {
            id,
            name,
            role: token.role,
            zone: token.zone.clone(),
            cluster: token.cluster.clone(),
            draining: false,
            limits: model::LimitSpec::default(),
            dispatching: None,
            certificate: None,
            stopped: None,
            revoked_us: None,
        },
    })
}

fn taken_names(records: &dyn Records) -> Result<Vec<String>, StoreError> {
    let snapshot = records.snapshot()?;
    Ok(snapshot.servers.iter().map(|s| s.name.clone()).collect())
}

fn certificate(issued: &Issued, enrolment: JoinTokenId, issued_us: u64) -> ServerCertificate {
    ServerCertificate {
        serial: issued.serial.clone(),
        enrolment,
        issued_us,
        expires_us: issued.expires_us,
    }
}

/// How long a node's certificate is valid; it asks for another when a third of that is left.
const NODE_VALID: Duration = Duration::from_secs(30 * 86_400);
/// The revision of a record that is not stored.
const NEW: u64 = 0;
/// How often a server is written before that is given up.
const PUT_ATTEMPTS: u32 = 4;
/// Characters of a machine's name that become a server's.
const NAME_MAX: usize = 40;
/// What the key of dispatchers is derived with.
const EDGE: &[u8] = b"tandem dispatchers";
