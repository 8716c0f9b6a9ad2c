//! Whether names lead here, looked at before an authority is asked: it would find out the same, and
//! counts its failures.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use control::{DomainCheck, DomainStanding};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::responder::{PATH, Responder};
use crate::{UpOptions, addresses};

/// Looks at each name: whether it has addresses, whether they are ours, and whether the port of the
/// challenges is reached there.
pub(super) async fn all(options: &UpOptions, domains: &[String], port: u16) -> Vec<DomainCheck> {
    let responder = Responder::open(options, port).await;
    let mut found = Vec::new();
    // Beside each other: name servers that do not answer take their time for each.
    let asked: Vec<JoinHandle<_>> = domains
        .iter()
        .map(|domain| tokio::spawn(resolve(domain.clone(), port)))
        .collect();
    for (domain, asked) in domains.iter().zip(asked) {
        let resolved = asked.await.unwrap_or_else(|error| Err(error.to_string()));
        let addresses = match resolved {
            Ok(addresses) => addresses,
            Err(error) => {
                let advice = format!(
                    "{domain} has no address ({error}): add a record for it that leads to {}",
                    own_words(options)
                );
                found.push(said(domain, &[], DomainStanding::Wrong, advice));
                continue;
            }
        };
        let (standing, reason) = match &responder {
            Err(error) => (DomainStanding::Wrong, error.clone()),
            Ok(responder) => look(options, (domain, &addresses), port, responder).await,
        };
        found.push(said(domain, &addresses, standing, reason));
    }
    if let Ok(responder) = responder {
        responder.close().await;
    }
    found
}

async fn look(
    options: &UpOptions,
    (domain, addresses): (&str, &[IpAddr]),
    port: u16,
    responder: &Responder,
) -> (DomainStanding, String) {
    // The authority goes to any one of them.
    if let Some(other) = addresses
        .iter()
        .find(|address| !is_ours(options, **address))
    {
        let reason = format!(
            "{domain} leads to {other}, which is no address of this machine: have its record lead to \
             {}, or say with --advertise that {other} is forwarded here",
            own_words(options)
        );
        return (DomainStanding::Wrong, reason);
    }
    responder.answer(TRIAL, domain);
    for address in addresses {
        let is_here = addresses::can_bind(*address);
        // Where a router stands in between, it takes port 80 for whatever we have.
        let port = if is_here { port } else { PUBLIC_PORT };
        let place = SocketAddr::new(*address, port);
        let Err(error) = ask(place, domain).await else {
            continue;
        };
        return match is_here {
            true => (
                DomainStanding::Wrong,
                format!("{domain} is not reached at {place}: {error}; is there a firewall?"),
            ),
            false => (
                DomainStanding::Doubtful,
                format!(
                    "{domain} is not reached at {place} from this machine: {error}; others may \
                     reach it, if the router forwards port {PUBLIC_PORT} for them alone"
                ),
            ),
        };
    }
    let reason = format!("{domain} leads here, and its challenges would be answered");
    (DomainStanding::Good, reason)
}

async fn resolve(domain: String, port: u16) -> Result<Vec<IpAddr>, String> {
    let ask = async {
        // It is never closed.
        let turn = RESOLVING.acquire().await;
        let ask = move || {
            let found = (domain.as_str(), port).to_socket_addrs();
            // Held until the system has answered, whoever waits for that.
            drop(turn);
            found
        };
        tokio::task::spawn_blocking(ask).await
    };
    let asked = timeout(RESOLVE_PATIENCE, ask).await;
    let asked = asked.map_err(|_| "the name servers do not answer in time".to_owned())?;
    let asked = asked.map_err(|error| error.to_string())?;
    let found = asked.map_err(|error| error.to_string())?;
    let found: BTreeSet<IpAddr> = found.map(|address| address.ip()).collect();
    match found.is_empty() {
        true => Err("there is no record".to_owned()),
        false => Ok(found.into_iter().take(ADDRESSES_MAX).collect()),
    }
}

fn is_ours(options: &UpOptions, address: IpAddr) -> bool {
    options.advertise == Some(address) || addresses::can_bind(address)
}

/// Where a name should lead, in words.
fn own_words(options: &UpOptions) -> String {
    let families = [IpAddr::from([0; 4]), IpAddr::from([0; 16])];
    let found: BTreeSet<IpAddr> = match options.bind {
        bind if bind.is_unspecified() => families
            .into_iter()
            .filter_map(addresses::outgoing)
            .collect(),
        bind => BTreeSet::from([bind]),
    };
    let found = options.advertise.into_iter().chain(found);
    let words: Vec<String> = found.map(|address| address.to_string()).collect();
    match words.is_empty() {
        true => "an address of this machine".to_owned(),
        false => words.join(" or "),
    }
}

/// Asks for what only we answer so.
async fn ask(place: SocketAddr, domain: &str) -> Result<(), String> {
    let ask = async {
        let mut stream = TcpStream::connect(place).await?;
        let request = format!("GET {PATH}{TRIAL} HTTP/1.0\r\nHost: {domain}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        let mut limited = stream.take(ANSWER_MAX_BYTES);
        limited.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = timeout(ASK_PATIENCE, ask).await;
    let answer = answer.map_err(|_| "nobody answers".to_owned())?;
    let answer = answer.map_err(|error| error.to_string())?;
    let answer = String::from_utf8_lossy(&answer);
    match answer.ends_with(&format!("\r\n\r\n{domain}")) {
        true => Ok(()),
        false => {
            let first = answer.lines().next().unwrap_or("nothing").to_owned();
            Err(format!("another program answers: {first}"))
        }
    }
}

fn said(
    domain: &str,
    addresses: &[IpAddr],
    standing: DomainStanding,
    reason: String,
) -> DomainCheck {
    DomainCheck {
        domain: domain.to_owned(),
        addresses: addresses.iter().map(ToString::to_string).collect(),
        standing,
        reason,
    }
}

/// What is asked for to find out who answers.
const TRIAL: &str = "is-it-us";
/// Where an authority of the public comes to.
const PUBLIC_PORT: u16 = 80;
/// For each name, all at once.
const RESOLVE_PATIENCE: Duration = Duration::from_secs(5);
/// Names that the system is asked for at a time: each takes one of the threads that also read the
/// store.
static RESOLVING: Semaphore = Semaphore::const_new(16);
const ASK_PATIENCE: Duration = Duration::from_secs(3);
/// Addresses of one name that are looked at.
const ADDRESSES_MAX: usize = 8;
/// Bytes of an answer to the trial.
const ANSWER_MAX_BYTES: u64 = 4_096;
