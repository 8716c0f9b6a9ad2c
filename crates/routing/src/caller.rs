//! Who calls.

use std::net::SocketAddr;
use std::sync::Arc;

use model::{Carrier, Customer, CustomerId, DigestSecret, Gateway, GatewayId, User, UserId};

use crate::table::Table;
use crate::{Domain, GatewayMatch, Request, Step, Trace};

/// What is known of the sender of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Where it came from.
    pub address: SocketAddr,
    /// Whom its digest proved it to be, if it had a valid one.
    pub identity: Option<Identity>,
    /// Whom the certificate of its connection is for, if it has shown one.
    pub certificate: Option<Certified>,
    /// The gateway whose host name resolves to that address, if the platform has looked it up.
    /// Gateways given by IP address are found by the table itself.
    pub gateway: Option<GatewayId>,
    /// The gateway at that address whose registration of ours the request was sent to: it comes
    /// before every other one there.
    pub line: Option<GatewayId>,
}

/// Who a digest user name belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// A user, by its own name or by one of its devices.
    User(UserId),
    /// A customer.
    Customer(CustomerId),
}

/// Whom a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Certified {
    /// A user, by its address of record.
    User(UserId),
    /// A customer, by one of the names it is known by.
    Customer(CustomerId),
    /// A gateway, by its host name.
    Gateway(GatewayId),
}

/// What is needed to check a digest.
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'t> {
    /// Whose they are.
    pub identity: Identity,
    /// The user, if they are the user's own and not a device's.
    pub user: Option<&'t Arc<User>>,
    /// The secret.
    pub secret: &'t DigestSecret,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A user, by digest.
    User(Arc<User>),
    /// A customer, by digest or network.
    Customer(Arc<Customer>),
    /// A carrier, by the address of a gateway.
    Carrier {
        /// Who.
        carrier: Arc<Carrier>,
        /// By which address.
        gateway: Arc<Gateway>,
        /// How well it fits.
        matched: GatewayMatch,
    },
    /// Nobody we know.
    Unknown,
}

/// Finds out who calls: by digest; else by certificate; else, unless the caller claims to be a user of ours, by the
/// narrowest of customer networks and gateway addresses. A customer whose network is a single
/// address comes before a gateway at that address, but not before one at that very port.
pub(crate) fn identify(table: &Table, request: &Request<'_>, trace: &mut impl Trace) -> Caller {
    match request.source.identity {
        Some(Identity::User(id)) => {
            if let Some(user) = table.user(id) {
                trace.step(|| Step::CallerUser(user.clone()));
                return Caller::User(user.clone());
            }
        }
        Some(Identity::Customer(id)) => {
            if let Some(customer) = table.customer(id) {
                trace.step(|| Step::CallerCustomer(customer.clone()));
                return Caller::Customer(customer.clone());
            }
        }
        None => {}
    }
    let certificate = request.source.certificate;
    if let Some(caller) = certificate.and_then(|whose| by_certificate(table, whose, request, trace))
    {
        return caller;
    }
    if let Some(user) = claimed_user(table, request) {
        trace.step(|| Step::CallerClaims(user.clone()));
        return Caller::Unknown;
    }
    by_address(table, request.source, trace)
}

fn by_certificate(
    table: &Table,
    whose: Certified,
    request: &Request<'_>,
    trace: &mut impl Trace,
) -> Option<Caller> {
    match whose {
        Certified::User(id) => {
            let user = table.user(id)?.clone();
            trace.step(|| Step::CertifiedUser(user.clone()));
            Some(Caller::User(user))
        }
        Certified::Customer(id) => {
            let customer = table.customer(id)?.clone();
            trace.step(|| Step::CertifiedCustomer(customer.clone()));
            Some(Caller::Customer(customer))
        }
        Certified::Gateway(id) => {
            let gateway = table.gateway(id)?.clone();
            let carrier = table.carrier(gateway.carrier)?.clone();
            let matched = GatewayMatch::Certificate;
            trace.step(|| Step::CallerGateway {
                carrier: carrier.clone(),
                gateway: gateway.clone(),
                source: request.source.address,
                matched,
            });
            Some(Caller::Carrier {
                carrier,
                gateway,
                matched,
            })
        }
    }
}

/// The user of ours in From. Whoever uses it without digest is a phone that wants to be
/// challenged, even behind the address of a customer, or somebody who pretends. Only at the
/// very port of a gateway there is no phone: it may be a platform like us, with a domain and
/// users of the same names.
fn claimed_user<'t>(table: &'t Table, request: &Request<'_>) -> Option<&'t Arc<User>> {
    let source = request.source;
    let gateway = table.gateway_of(source);
    let is_gateway = gateway.is_some_and(|(_, how)| how == GatewayMatch::AddressAndPort);
    let ours = request.caller_domain == Domain::Ours && !is_gateway;
    let user = table.user_named(request.caller);
    user.filter(|user| ours && user.enabled)
}

fn by_address(table: &Table, source: Source, trace: &mut impl Trace) -> Caller {
    let address = source.address;
    let customer = table.customer_at(address.ip());
    let gateway = table.gateway_of(source);
    let gateway_first = match (&customer, &gateway) {
        (Some((network, _)), Some((_, matched))) => {
            let single = network.prefix_len() == network.max_prefix_len();
            !single || *matched == GatewayMatch::AddressAndPort
        }
        (None, Some(_)) => true,
        (_, None) => false,
    };
    if let Some((gateway, matched)) = gateway.filter(|_| gateway_first)
        && let Some(carrier) = table.carrier(gateway.carrier)
    {
        trace.step(|| Step::CallerGateway {
            carrier: carrier.clone(),
            gateway: gateway.clone(),
            source: address,
            matched,
        });
        return Caller::Carrier {
            carrier: carrier.clone(),
            gateway: gateway.clone(),
            matched,
        };
    }
    if let Some((network, customer)) = customer {
        trace.step(|| Step::CallerNetwork {
            customer: customer.clone(),
            source: address,
            network,
        });
        return Caller::Customer(customer.clone());
    }
    trace.step(|| Step::CallerUnknown(address));
    Caller::Unknown
}
