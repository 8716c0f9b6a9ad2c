//! A dispatcher of the simulated cluster.

use std::net::SocketAddr;
use std::time::Duration;

use balancer::{Algorithm, Policy, TargetSpec};
use clock::Time;
use dispatcher::{Config, Dispatcher, HashOn, Listener, Redirects, Target};
use sip::{ListenerId, Transport};

use super::platform::{dispatcher_address, switch_address};
use crate::dice::Dice;
use crate::platform::DOMAIN;

/// A dispatcher.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) address: SocketAddr,
    /// Whether its process runs.
    pub(super) is_up: bool,
    pub(super) dispatcher: Dispatcher,
    /// The policy, with the number of its switches.
    policy: (Policy, usize),
}

impl Front {
    pub(super) fn new(at: usize, switches: usize, now: Time, dice: &mut Dice) -> Self {
        let address = dispatcher_address(at);
        let mut policy = Policy {
            algorithm: dice.pick(&[Algorithm::RoundRobin, Algorithm::Hash]),
            ..Policy::default()
        };
        policy.probing.interval = Duration::from_secs(1);
        policy.probing.timeout = Duration::from_secs(1);
        policy.slow_start = Duration::ZERO;
        let seed = dice.below(u64::MAX);
        let mut front = Self {
            address,
            is_up: true,
            dispatcher: Dispatcher::new(config(seed, &policy)),
            policy: (policy, switches),
        };
        front.start(now, seed);
        front
    }

    /// The process is started; it knows nothing of what was before.
    pub(super) fn start(&mut self, now: Time, seed: u64) {
        let (policy, switches) = &self.policy;
        self.is_up = true;
        self.dispatcher = Dispatcher::new(config(seed, policy));
        self.dispatcher.set_listener(&Listener {
            id: ListenerId(0),
            transport: Transport::Udp,
            advertised: self.address,
        });
        let target = |at: usize| Target {
            spec: TargetSpec::new(super::node::NAMES[at]),
            transport: Transport::Udp,
            remote: switch_address(at),
            host: "".into(),
            name: "".into(),
        };
        let targets: Vec<Target> = (0..*switches).map(target).collect();
        // Names that differ, and nothing else that could be refused.
        let _ = self.dispatcher.set_targets(now, &targets);
    }

    /// When it wants to be called next.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.dispatcher.poll_timeout().filter(|_| self.is_up)
    }
}

fn config(seed: u64, policy: &Policy) -> Config {
    Config {
        product: "sim".into(),
        cluster_key: super::CLUSTER_KEY,
        seed,
        policy: policy.clone(),
        hash_on: HashOn::CallId,
        redirects: Redirects::Pass,
        names: vec![DOMAIN.into()],
        route_name: None,
        answer_timeout: Duration::from_secs(2),
        cps_max: 0,
    }
}
