//! What was decided.

use core::fmt;
use std::sync::Arc;

use limits::EntityId;
use model::{AccountId, Carrier, Customer, Gateway, Number, RouteId, User};

use crate::Caller;
use crate::entities;

/// The decision on one call.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Who calls.
    pub caller: Caller,
    /// Who pays: the caller's tenant; for calls from carriers the number's. `None` if nobody
    /// was recognised.
    pub account: Option<AccountId>,
    /// The number that was called, if it is one of ours.
    pub number: Option<Arc<Number>>,
    /// Where the call goes.
    pub target: Target,
    /// Whom the call must be admitted by before anything is tried: server, account, customer or
    /// user, number. Empty if the call is refused.
    pub entities: Vec<EntityId>,
}

/// Where a call goes.
#[derive(Clone, Debug)]
pub enum Target {
    /// To the contacts of a user.
    User(Arc<User>),
    /// To a customer's own switch.
    Customer {
        /// Whose.
        customer: Arc<Customer>,
        /// `host[:port]`, an IPv6 address in brackets.
        host: Box<str>,
        /// The user part of the request URI there.
        destination: Box<str>,
    },
    /// To gateways of carriers, one after the other; at least one, at most
    /// [`crate::ATTEMPTS_MAX`].
    Gateways(Vec<Attempt>),
    /// To an application of ours.
    Service(Service),
    /// Nowhere, before the caller has proved who it is (401); 403 if it may not try.
    Challenge,
    /// Nowhere.
    Refuse(Refusal),
}

/// One attempt to send a call out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The route that led here.
    pub route: RouteId,
    /// To whom.
    pub carrier: Arc<Carrier>,
    /// By which of its addresses.
    pub gateway: Arc<Gateway>,
    /// The called number as this carrier wants it.
    pub destination: Box<str>,
    /// The caller's number as this carrier sees it.
    pub caller: Box<str>,
    /// What a minute costs us, in millionths of the platform's currency.
    pub cost_per_minute_micros: u64,
}

impl Attempt {
    /// Whom the attempt must be admitted by: carrier and gateway.
    #[must_use]
    pub fn entities(&self) -> [EntityId; 2] {
        [
            entities::carrier(self.carrier.id),
            entities::gateway(self.gateway.id),
        ]
    }
}

/// The applications that a number can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Sends back what it hears.
    Echo,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Echo => f.write_str("echo"),
        }
    }
}

/// Why a call goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The caller, or its tenant, is switched off.
    CallerDisabled,
    /// A carrier sends a number that is not ours: nobody pays for sending it on.
    NotOurs,
    /// No user, number or service is called so.
    NotFound,
    /// No route begins like the number.
    NoRoute,
    /// The callee is switched off, or has no address.
    CalleeUnavailable,
    /// Routes match, but none of their gateways can be used.
    NoGateway {
        /// When the first is back, in seconds, if that is known.
        retry_after_s: Option<u32>,
    },
}

impl Refusal {
    /// The SIP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::CallerDisabled => 403,
            Self::NotOurs | Self::NotFound | Self::NoRoute => 404,
            Self::CalleeUnavailable => 480,
            Self::NoGateway { .. } => 503,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CallerDisabled => f.write_str("the caller is disabled"),
            Self::NotOurs => f.write_str("a carrier reaches our numbers only"),
            Self::NotFound => f.write_str("nobody is called so"),
            Self::NoRoute => f.write_str("no route matches the number"),
            Self::CalleeUnavailable => f.write_str("the callee cannot be reached"),
            Self::NoGateway { retry_after_s } => {
                f.write_str("no gateway can be used")?;
                match retry_after_s {
                    Some(s) => write!(f, ", the first is back in {s} s"),
                    None => Ok(()),
                }
            }
        }
    }
}
