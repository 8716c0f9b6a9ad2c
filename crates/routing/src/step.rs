//! The steps of a decision, kept as data and put into words only when somebody reads them.

use core::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;
use model::{Account, Carrier, Customer, Gateway, Number, Route, User};

use crate::{Attempt, Refusal, Service};

/// Listens to the steps of a decision.
pub trait Trace {
    /// Takes note of a step; one that does not listen never makes it.
    fn step(&mut self, step: impl FnOnce() -> Step);
}

impl Trace for () {
    fn step(&mut self, _: impl FnOnce() -> Step) {}
}

/// Keeps the first [`STEPS_MAX`] steps.
impl Trace for Vec<Step> {
    fn step(&mut self, step: impl FnOnce() -> Step) {
        if self.len() < STEPS_MAX {
            self.push(step());
        }
    }
}

/// One step of a decision; `Display` says it in a sentence.
#[derive(Clone, Debug)]
pub enum Step {
    /// The call was sent here by servers that had no room for it.
    Overflow(Box<str>),
    /// A user proved who it is.
    CallerUser(Arc<User>),
    /// A customer proved who it is.
    CallerCustomer(Arc<Customer>),
    /// A customer is known by its network.
    CallerNetwork {
        /// Who.
        customer: Arc<Customer>,
        /// Where the call came from.
        source: SocketAddr,
        /// Which of its networks.
        network: IpNet,
    },
    /// A user proved who it is by the certificate of its connection.
    CertifiedUser(Arc<User>),
    /// A customer proved who it is by the certificate of its connection.
    CertifiedCustomer(Arc<Customer>),
    /// A carrier is known by a gateway's address, or by its certificate.
    CallerGateway {
        /// Who.
        carrier: Arc<Carrier>,
        /// Which address.
        gateway: Arc<Gateway>,
        /// Where the call came from.
        source: SocketAddr,
        /// How well it fits.
        matched: GatewayMatch,
    },
    /// The caller uses the address of a user of ours without having proved to be that user.
    CallerClaims(Arc<User>),
    /// Nobody is known by this address.
    CallerUnknown(SocketAddr),
    /// The caller's tenant is switched off.
    AccountDisabled(Arc<Account>),
    /// The called number was rewritten.
    Rewritten {
        /// By whose rule.
        by: Rewriter,
        /// What it was.
        from: Box<str>,
        /// What it is; empty if nothing was left.
        to: Box<str>,
    },
    /// A service number.
    Service {
        /// The number.
        number: Box<str>,
        /// What it reaches.
        service: Service,
    },
    /// A user's name.
    User(Arc<User>),
    /// A number of ours.
    Number(Arc<Number>),
    /// Nothing of ours has this name or number.
    NotOurs(Box<str>),
    /// Routes match a prefix of the number.
    Prefix {
        /// The number.
        number: Box<str>,
        /// How many digits of it matched.
        length: usize,
        /// How many routes of the tenant begin so.
        own: usize,
        /// How many routes for all begin so.
        shared: usize,
    },
    /// A route was left out.
    RouteSkipped {
        /// Which.
        route: Arc<Route>,
        /// Why.
        reason: SkipReason,
    },
    /// A gateway was left out.
    GatewaySkipped {
        /// Which.
        gateway: Arc<Gateway>,
        /// Why.
        reason: SkipReason,
    },
    /// An attempt, counted from 1.
    Attempt {
        /// Its place.
        place: usize,
        /// To whom, and how.
        attempt: Box<Attempt>,
    },
    /// The call goes nowhere.
    Refused(Refusal),
    /// Which media server was chosen, in words.
    Media(Box<str>),
    /// The caller must prove who it is.
    Challenged,
}

/// Whose rewriting rule was applied.
#[derive(Clone, Debug)]
pub enum Rewriter {
    /// The customer's.
    Customer(Arc<Customer>),
    /// The route's.
    Route(Arc<Route>),
    /// The carrier's.
    Carrier(Arc<Carrier>),
}

/// How well a source fits a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayMatch {
    /// The certificate of the connection is for the gateway's host name.
    Certificate,
    /// Address and port.
    AddressAndPort,
    /// The address alone: carriers may call from another port than they are called at, but so
    /// may anybody else behind that address.
    Address,
}

/// Why a route or a gateway was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// The carrier is switched off or does not exist.
    CarrierDisabled,
    /// The carrier belongs to another tenant.
    OtherAccount,
    /// The carrier has no gateway.
    NoGateways,
    /// Rewriting left nothing of the number.
    NothingToDial,
    /// It does not answer, or asked to be left alone, for so many seconds more if known.
    Down {
        /// Seconds until it is tried again.
        retry_after_s: Option<u32>,
    },
    /// The same gateway was listed before with the same number.
    Repeated,
    /// There are [`crate::ATTEMPTS_MAX`] attempts already.
    EnoughAttempts,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CallerUser(user) => write!(f, "the caller is user {}, by digest", user.name),
            Self::CallerCustomer(customer) => {
                write!(f, "the caller is customer {}, by digest", customer.name)
            }
            Self::CertifiedUser(user) => {
                write!(f, "the caller is user {}, by certificate", user.name)
            }
            Self::CertifiedCustomer(customer) => {
                write!(
                    f,
                    "the caller is customer {}, by certificate",
                    customer.name
                )
            }
            Self::CallerNetwork {
                customer,
                source,
                network,
            } => {
                let (name, ip) = (&customer.name, source.ip());
                write!(f, "the caller is customer {name}: {ip} is in {network}")
            }
            Self::CallerGateway {
                carrier,
                gateway,
                source,
                matched,
            } => {
                let (carrier, gateway) = (&carrier.name, &gateway.name);
                write!(
                    f,
                    "the caller is carrier {carrier}: {source} is gateway {gateway}, "
                )?;
                write!(f, "by {matched}")
            }
            Self::CallerClaims(user) => {
                write!(
                    f,
                    "the caller claims to be user {} without digest",
                    user.name
                )
            }
            Self::CallerUnknown(source) => write!(f, "nobody is known by the address {source}"),
            Self::AccountDisabled(account) => write!(f, "account {} is disabled", account.name),
            Self::Rewritten { by, from, to } => write!(f, "{by} rewrites {from} to \"{to}\""),
            Self::Overflow(asked) => write!(f, "sent on for want of room: {asked}"),
            Self::Service { number, service } => write!(f, "{number} is the {service} service"),
            Self::User(user) => write!(f, "{} is a user", user.name),
            Self::Number(number) => write!(f, "{} is a number of ours", number.number),
            Self::NotOurs(called) => write!(f, "{called} is no user, number or service of ours"),
            Self::Prefix { .. } => self.fmt_prefix(f),
            Self::RouteSkipped { route, reason } => {
                let (prefix, priority) = (&route.prefix, route.priority);
                write!(
                    f,
                    "route \"{prefix}\" of priority {priority} skipped: {reason}"
                )
            }
            Self::GatewaySkipped { gateway, reason } => {
                write!(f, "gateway {} skipped: {reason}", gateway.name)
            }
            Self::Attempt { place, attempt } => fmt_attempt(f, *place, attempt),
            Self::Refused(refusal) => write!(f, "refused with {}: {refusal}", refusal.status()),
            Self::Media(why) => f.write_str(why),
            Self::Challenged => f.write_str("the caller must prove who it is"),
        }
    }
}

impl Step {
    fn fmt_prefix(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Prefix {
            number,
            length,
            own,
            shared,
        } = self
        else {
            return Ok(());
        };
        let prefix = number.get(..*length).unwrap_or(number);
        write!(
            f,
            "the longest matching prefix of {number} is \"{prefix}\": "
        )?;
        write!(f, "{own} routes of the account, {shared} for all")
    }
}

fn fmt_attempt(f: &mut fmt::Formatter<'_>, place: usize, attempt: &Attempt) -> fmt::Result {
    let Attempt {
        carrier,
        gateway,
        destination,
        cost_per_minute_micros: cost,
        ..
    } = attempt;
    let (priority, weight) = (gateway.priority, gateway.weight);
    write!(
        f,
        "attempt {place}: {destination} by gateway {} ",
        gateway.name
    )?;
    write!(f, "of carrier {}, priority {priority}, ", carrier.name)?;
    let (whole, millionths) = (cost / 1_000_000, cost % 1_000_000);
    write!(f, "weight {weight}, {whole}.{millionths:06} per minute")
}

impl fmt::Display for Rewriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Customer(customer) => write!(f, "customer {}", customer.name),
            Self::Route(route) => write!(f, "route \"{}\"", route.prefix),
            Self::Carrier(carrier) => write!(f, "carrier {}", carrier.name),
        }
    }
}

impl fmt::Display for GatewayMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "certificate",
            Self::AddressAndPort => "address and port",
            Self::Address => "address",
        })
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CarrierDisabled => f.write_str("its carrier is disabled"),
            Self::OtherAccount => f.write_str("its carrier belongs to another account"),
            Self::NoGateways => f.write_str("its carrier has no gateway"),
            Self::NothingToDial => f.write_str("rewriting leaves no number"),
            Self::Down {
                retry_after_s: Some(s),
            } => write!(f, "it is down for {s} s more"),
            Self::Down {
                retry_after_s: None,
            } => f.write_str("it is down"),
            Self::Repeated => f.write_str("it is listed already"),
            Self::EnoughAttempts => write!(f, "{} attempts are enough", crate::ATTEMPTS_MAX),
        }
    }
}

/// The most steps that are kept of one decision; later ones are left out.
pub const STEPS_MAX: usize = 128;
