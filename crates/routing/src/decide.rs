//! The decision on one call.

use std::sync::Arc;

use clock::Time;
use limits::EntityId;
use model::{AccountId, Customer, CustomerAuth, Number, NumberTarget, Rewrite};

use crate::attempts::{Outbound, attempts};
use crate::caller::identify;
use crate::dialled::rewrite;
use crate::{
    Caller, Decision, Dialled, GatewayMatch, Health, Refusal, Rewriter, Source, Step, Table,
    Target, Trace, entities,
};

/// What a decision is made of.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Where it came from, and whom it proved to be.
    pub source: Source,
    /// The user part of the request URI, escapes undone.
    pub called: &'a str,
    /// The user part of From, escapes undone.
    pub caller: &'a str,
    /// Whose domain From names.
    pub caller_domain: Domain,
    /// Draws among gateways of one priority.
    pub random: u64,
}

/// Whose domain an address names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Domain {
    /// Ours: the configured domain, or one of our own addresses.
    Ours,
    /// Another's.
    Foreign,
}

impl Table {
    /// Decides where a call goes. `trace` hears each step: a `Vec<Step>` keeps them, `()` costs
    /// nothing.
    #[must_use]
    pub fn decide(
        &self,
        now: Time,
        request: &Request<'_>,
        health: &Health,
        trace: &mut impl Trace,
    ) -> Decision {
        let mut decider = Decider {
            table: self,
            now,
            request,
            health,
            trace,
        };
        let caller = identify(self, request, decider.trace);
        let decision = decider.decide(caller);
        match &decision.target {
            Target::Refuse(refusal) => trace.step(|| Step::Refused(*refusal)),
            Target::Challenge => trace.step(|| Step::Challenged),
            _ => {}
        }
        decision
    }
}

struct Decider<'d, T> {
    table: &'d Table,
    now: Time,
    request: &'d Request<'d>,
    health: &'d Health,
    trace: &'d mut T,
}

impl<T: Trace> Decider<'_, T> {
    fn decide(&mut self, caller: Caller) -> Decision {
        let account = match &caller {
            Caller::User(user) => Some(user.account),
            Caller::Customer(customer) => Some(customer.account),
            Caller::Carrier { .. } | Caller::Unknown => None,
        };
        let mut decision = Decision {
            caller,
            account,
            number: None,
            target: Target::Challenge,
            entities: Vec::new(),
        };
        decision.target = self.target(&mut decision);
        if !matches!(decision.target, Target::Challenge | Target::Refuse(_)) {
            decision.entities = entities_of(self.table.cluster, &decision);
        }
        decision
    }

    fn target(&mut self, decision: &mut Decision) -> Target {
        let caller = decision.caller.clone();
        let enabled = match &caller {
            Caller::Unknown => return Target::Challenge,
            Caller::User(user) => user.enabled,
            Caller::Customer(customer) => customer.enabled,
            Caller::Carrier { carrier, .. } => carrier.enabled,
        };
        if !enabled || !self.account_enabled(decision.account) {
            return Target::Refuse(Refusal::CallerDisabled);
        }
        match &caller {
            Caller::User(user) => {
                let shown = user.caller_number.as_deref().unwrap_or(&user.name);
                let dialled = Dialled::parse(self.request.called);
                self.user_calls(decision, shown, &dialled)
            }
            Caller::Customer(customer) => self.customer_calls(decision, customer),
            Caller::Carrier {
                carrier, matched, ..
            } => self.carrier_calls(decision, carrier.account, *matched),
            Caller::Unknown => Target::Challenge,
        }
    }

    fn user_calls(&mut self, decision: &mut Decision, shown: &str, dialled: &Dialled) -> Target {
        let name = match dialled {
            Dialled::Name(name) => name,
            // A user may be called 1001; what was dialled then counts as it was written.
            Dialled::Number(_) => self.request.called,
        };
        if let Some(user) = self.table.user_named(name) {
            self.trace.step(|| Step::User(user.clone()));
            if user.enabled && self.account_enabled(Some(user.account)) {
                return Target::User(user.clone());
            }
            return Target::Refuse(Refusal::CalleeUnavailable);
        }
        self.service_or_number(decision, shown, dialled)
    }

    fn customer_calls(&mut self, decision: &mut Decision, customer: &Arc<Customer>) -> Target {
        let dialled = match Dialled::parse(self.request.called) {
            Dialled::Number(digits) => {
                let by = || Rewriter::Customer(customer.clone());
                let Some(rewritten) = self.rewritten(&customer.rewrite, &digits, by) else {
                    return Target::Refuse(Refusal::NotFound);
                };
                Dialled::parse(&rewritten)
            }
            name @ Dialled::Name(_) => name,
        };
        self.service_or_number(decision, self.request.caller, &dialled)
    }

    fn service_or_number(
        &mut self,
        decision: &mut Decision,
        shown: &str,
        dialled: &Dialled,
    ) -> Target {
        if let Some(service) = self.table.service(dialled.as_str()) {
            let number = dialled.as_str().into();
            self.trace.step(|| Step::Service { number, service });
            return Target::Service(service);
        }
        let Dialled::Number(digits) = dialled else {
            self.trace.step(|| Step::NotOurs(dialled.as_str().into()));
            return Target::Refuse(Refusal::NotFound);
        };
        if let Some(number) = self.table.number(digits) {
            return self.ring_number(decision, number);
        }
        let Some(account) = decision.account else {
            return Target::Refuse(Refusal::NotOurs);
        };
        let outbound = Outbound {
            account,
            digits,
            shown,
            random: self.request.random,
        };
        attempts(self.table, self.now, &outbound, self.health, self.trace)
    }

    /// A carrier reaches our numbers only. One that fits by its address alone and asks for
    /// anything else is treated like any stranger: it may be a phone behind that address.
    fn carrier_calls(
        &mut self,
        decision: &mut Decision,
        carrier_of: Option<AccountId>,
        matched: GatewayMatch,
    ) -> Target {
        let dialled = Dialled::parse(self.request.called);
        let number = self.table.number(dialled.as_str());
        let ours = number.filter(|n| carrier_of.is_none_or(|account| account == n.account));
        match ours {
            Some(number) => {
                decision.account = Some(number.account);
                self.ring_number(decision, number)
            }
            None => {
                self.trace.step(|| Step::NotOurs(dialled.as_str().into()));
                match matched {
                    GatewayMatch::AddressAndPort | GatewayMatch::Certificate => {
                        Target::Refuse(Refusal::NotOurs)
                    }
                    GatewayMatch::Address => {
                        decision.caller = Caller::Unknown;
                        Target::Challenge
                    }
                }
            }
        }
    }

    fn ring_number(&mut self, decision: &mut Decision, number: &Arc<Number>) -> Target {
        self.trace.step(|| Step::Number(number.clone()));
        decision.number = Some(number.clone());
        if !number.enabled || !self.account_enabled(Some(number.account)) {
            return Target::Refuse(Refusal::NotFound);
        }
        let target = match &number.target {
            NumberTarget::Echo => Some(Target::Service(crate::Service::Echo)),
            NumberTarget::User { user } => {
                let user = self.table.user(*user).filter(|user| user.enabled);
                user.map(|user| {
                    self.trace.step(|| Step::User(user.clone()));
                    Target::User(user.clone())
                })
            }
            NumberTarget::Customer { customer } => {
                let customer = self.table.customer(*customer).filter(|c| c.enabled);
                customer.and_then(|customer| to_customer(customer, number))
            }
        };
        target.unwrap_or(Target::Refuse(Refusal::CalleeUnavailable))
    }

    fn account_enabled(&mut self, account: Option<AccountId>) -> bool {
        let Some(id) = account else {
            return true;
        };
        match self.table.account(id) {
            Some(account) if account.enabled => true,
            Some(account) => {
                self.trace.step(|| Step::AccountDisabled(account.clone()));
                false
            }
            None => false,
        }
    }

    fn rewritten(
        &mut self,
        rule: &Rewrite,
        from: &str,
        by: impl FnOnce() -> Rewriter,
    ) -> Option<String> {
        let to = rewrite(rule, from);
        trace_rewrite(self.trace, from, to.as_deref(), by);
        to
    }
}

/// Tells of a rewriting that changed something.
pub(crate) fn trace_rewrite(
    trace: &mut impl Trace,
    from: &str,
    to: Option<&str>,
    by: impl FnOnce() -> Rewriter,
) {
    if to != Some(from) {
        trace.step(|| Step::Rewritten {
            by: by(),
            from: from.into(),
            to: to.unwrap_or_default().into(),
        });
    }
}

/// A customer's switch: its host, else its first network if that is a single address.
fn to_customer(customer: &Arc<Customer>, number: &Number) -> Option<Target> {
    let first = match &customer.auth {
        CustomerAuth::Address { networks } => networks
            .first()
            .filter(|network| network.prefix_len() == network.max_prefix_len()),
        CustomerAuth::Digest { .. } | CustomerAuth::Certificate { .. } => None,
    };
    let host = match (&customer.host, first) {
        (Some(host), _) => host.clone(),
        (None, Some(network)) if network.addr().is_ipv6() => format!("[{}]", network.addr()),
        (None, Some(network)) => network.addr().to_string(),
        (None, None) => return None,
    };
    Some(Target::Customer {
        customer: customer.clone(),
        host: host.into(),
        destination: number.number.as_str().into(),
    })
}

fn entities_of(cluster: Option<EntityId>, decision: &Decision) -> Vec<EntityId> {
    let caller = match &decision.caller {
        Caller::User(user) => Some(entities::user(user.id)),
        Caller::Customer(customer) => Some(entities::customer(customer.id)),
        Caller::Carrier { .. } | Caller::Unknown => None,
    };
    let number = decision.number.as_ref().map(|n| entities::number(n.id));
    [
        cluster,
        Some(EntityId::SERVER),
        decision.account.map(entities::account),
        caller,
        number,
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests;
