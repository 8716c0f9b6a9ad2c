//! The way out: routes, carriers, and their gateways by priority, weight and health.

use std::sync::Arc;

use clock::Time;
use model::{AccountId, Carrier, Gateway, Route};

use crate::decide::trace_rewrite;
use crate::dialled::rewrite;
use crate::{
    Attempt, Availability, Health, Refusal, Rewriter, SkipReason, Step, Table, Target, Trace,
};

/// The most gateways one call is offered to; routes and gateways beyond are left out.
pub const ATTEMPTS_MAX: usize = 16;

/// A call that leaves the platform.
pub(crate) struct Outbound<'a> {
    /// Whose routes.
    pub(crate) account: AccountId,
    /// The number, without `+`.
    pub(crate) digits: &'a str,
    /// The caller's number.
    pub(crate) shown: &'a str,
    /// Draws among gateways of one priority.
    pub(crate) random: u64,
}

/// Lists the attempts: the routes of the longest prefix, the tenant's first, each by priority
/// and cost; the gateways of each by priority and drawn by weight. A shorter prefix is no
/// reserve: who routes a prefix apart wants it so.
pub(crate) fn attempts(
    table: &Table,
    now: Time,
    outbound: &Outbound<'_>,
    health: &Health,
    trace: &mut impl Trace,
) -> Target {
    let Some(found) = table.routes(outbound.account, outbound.digits) else {
        trace.step(|| Step::NotOurs(outbound.digits.into()));
        return Target::Refuse(Refusal::NoRoute);
    };
    trace.step(|| Step::Prefix {
        number: outbound.digits.into(),
        length: found.length,
        own: found.own.len(),
        shared: found.shared.len(),
    });
    let mut list = List {
        table,
        now,
        health,
        attempts: Vec::new(),
        retry_after_s: None,
        draw: Draw(outbound.random),
    };
    for route in found.own.iter().chain(found.shared) {
        if let Err(reason) = list.add_route(route, outbound, trace) {
            let route = route.clone();
            trace.step(|| Step::RouteSkipped { route, reason });
        }
    }
    if list.attempts.is_empty() {
        let retry_after_s = list.retry_after_s;
        return Target::Refuse(Refusal::NoGateway { retry_after_s });
    }
    Target::Gateways(list.attempts)
}

/// The attempts found so far.
struct List<'t> {
    table: &'t Table,
    now: Time,
    health: &'t Health,
    attempts: Vec<Attempt>,
    /// When the first of the gateways left out is back.
    retry_after_s: Option<u32>,
    draw: Draw,
}

impl List<'_> {
    fn add_route(
        &mut self,
        route: &Arc<Route>,
        outbound: &Outbound<'_>,
        trace: &mut impl Trace,
    ) -> Result<(), SkipReason> {
        if self.attempts.len() == ATTEMPTS_MAX {
            return Err(SkipReason::EnoughAttempts);
        }
        let (carrier, gateways) = self
            .table
            .lines(route.carrier)
            .filter(|(carrier, _)| carrier.enabled)
            .ok_or(SkipReason::CarrierDisabled)?;
        if carrier.account.is_some_and(|a| a != outbound.account) {
            return Err(SkipReason::OtherAccount);
        }
        if gateways.is_empty() {
            return Err(SkipReason::NoGateways);
        }
        let number =
            destination(route, carrier, outbound.digits, trace).ok_or(SkipReason::NothingToDial)?;
        for gateway in order(gateways, &mut self.draw) {
            match self.add_gateway(route, carrier, gateway, &number, outbound.shown) {
                Ok(()) => trace.step(|| Step::Attempt {
                    place: self.attempts.len(),
                    attempt: Box::new(self.attempts[self.attempts.len() - 1].clone()),
                }),
                Err(reason) => {
                    let gateway = gateway.clone();
                    trace.step(|| Step::GatewaySkipped { gateway, reason });
                }
            }
        }
        Ok(())
    }

    fn add_gateway(
        &mut self,
        route: &Route,
        carrier: &Arc<Carrier>,
        gateway: &Arc<Gateway>,
        number: &str,
        shown: &str,
    ) -> Result<(), SkipReason> {
        if self.attempts.len() == ATTEMPTS_MAX {
            return Err(SkipReason::EnoughAttempts);
        }
        let same = |a: &Attempt| a.gateway.id == gateway.id && &*a.destination == number;
        if self.attempts.iter().any(same) {
            return Err(SkipReason::Repeated);
        }
        if let Availability::Down { until } = self.health.availability(self.now, gateway.id) {
            let retry_after_s = until.map(|at| {
                let wait_us = at.since(self.now).as_micros();
                u32::try_from(wait_us.div_ceil(1_000_000)).unwrap_or(u32::MAX)
            });
            let sooner = [self.retry_after_s, retry_after_s].into_iter().flatten();
            self.retry_after_s = sooner.min();
            return Err(SkipReason::Down { retry_after_s });
        }
        self.attempts.push(Attempt {
            route: route.id,
            carrier: carrier.clone(),
            gateway: gateway.clone(),
            destination: number.into(),
            caller: shown.into(),
            cost_per_minute_micros: route.cost_per_minute_micros,
        });
        Ok(())
    }
}

/// The number as the carrier wants it: the route's rewriting, then the carrier's.
fn destination(
    route: &Arc<Route>,
    carrier: &Arc<Carrier>,
    digits: &str,
    trace: &mut impl Trace,
) -> Option<String> {
    let routed = rewrite(&route.rewrite, digits);
    let by_route = || Rewriter::Route(route.clone());
    trace_rewrite(trace, digits, routed.as_deref(), by_route);
    let routed = routed?;
    let sent = rewrite(&carrier.rewrite, &routed);
    let by_carrier = || Rewriter::Carrier(carrier.clone());
    trace_rewrite(trace, &routed, sent.as_deref(), by_carrier);
    sent
}

/// Orders gateways, which come by priority, as RFC 2782 orders targets: within a priority each
/// is drawn with a chance of its share of the weights left. Those of weight 0 come last,
/// a little stricter than RFC 2782, which gives them a small chance.
fn order<'g>(gateways: &'g [Arc<Gateway>], draw: &mut Draw) -> Vec<&'g Arc<Gateway>> {
    let mut ordered = Vec::with_capacity(gateways.len());
    for equals in gateways.chunk_by(|a, b| a.priority == b.priority) {
        let mut left: Vec<&Arc<Gateway>> = equals.iter().collect();
        while !left.is_empty() {
            let sum: u64 = left.iter().map(|g| u64::from(g.weight)).sum();
            let mut drawn = draw.below(sum.max(1));
            let at = left.iter().position(|gateway| {
                let weight = u64::from(gateway.weight);
                let hit = drawn < weight;
                drawn = drawn.saturating_sub(weight);
                hit
            });
            // With all weights 0 nothing is hit: the order of configuration holds.
            ordered.push(left.remove(at.unwrap_or(0)));
        }
    }
    ordered
}

/// Numbers derived from one random number by SplitMix64.
struct Draw(u64);

impl Draw {
    /// A number below `bound`, which is far smaller than 2^64: the bias does not count.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

#[cfg(test)]
mod tests;
