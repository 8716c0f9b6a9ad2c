//! Registrations that three nodes share through Redis: what they cost in memory, how soon they are
//! everywhere, and how long a call takes to find one.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use testkit::{Peer, Platform, RedisServer, ports, wait_for_within};

use crate::load::latency::Latencies;
use crate::load::register::{RegisterLoad, RegisterPlan, user_name};
use crate::peers::tandem::Tandem;
use crate::scenario::Effort;
use crate::table::{Row, Series, Table};
use crate::usage;

/// One run; there is no peer that does the same.
pub(crate) fn run(effort: &Effort) -> Result<Table> {
    let mut cluster = Cluster::start(effort.bindings)?;
    let mut rows = Vec::new();
    let mut row = |work: String, ours: f64, remarks: String| {
        eprintln!("locations: {work}: {ours:.2} {remarks}");
        let mut series = Series::default();
        series.push(ours);
        rows.push(Row {
            work,
            peer: Series::default(),
            ours: series,
            remarks,
        });
    };
    std::thread::sleep(effort.settle);
    let before = cluster.memory()?;
    let filled = cluster.fill()?;
    let rate = format!("{:.0} registrations/s", filled.per_second);
    row(
        "until all nodes have the last, ms".into(),
        ms(filled.lag),
        rate,
    );
    std::thread::sleep(effort.settle);
    let after = cluster.memory()?;
    let count = cluster.bindings as f64;
    let per_binding = |at: usize| after[at].saturating_sub(before[at]) as f64 / count;
    for (at, name) in ["node 1", "node 2", "node 3"].into_iter().enumerate() {
        row(
            format!("bytes per binding, {name}"),
            per_binding(at),
            String::new(),
        );
    }
    row(
        "bytes per binding, Redis".into(),
        per_binding(NODES),
        String::new(),
    );
    for (what, phones) in [("own phone", 0..1), ("phone of another node", 1..NODES)] {
        let found = cluster.call(phones)?;
        row(found_by(what), ms(found.quantile(0.99)), p50_of(&found));
    }
    let refilled = cluster.restart()?;
    row(
        "a killed node has all again, s after it is ready".into(),
        refilled.refill.as_secs_f64(),
        format!(
            "ready {:.1} s after its start",
            refilled.start.as_secs_f64()
        ),
    );
    let (found, calls) = (&refilled.found, refilled.calls);
    row(
        found_by("phone of that node meanwhile"),
        ms(found.quantile(0.99)),
        format!("{}, {calls} calls", p50_of(found)),
    );
    let again = cluster.forget()?;
    row(
        "an empty Redis has all again, s".into(),
        again.as_secs_f64(),
        String::new(),
    );
    Ok(Table {
        title: format!("{} registrations shared by {NODES} nodes", cluster.bindings),
        peer: "none".to_owned(),
        rows,
    })
}

fn found_by(what: &str) -> String {
    format!("INVITE in to INVITE out, {what}, p99 ms")
}

fn p50_of(found: &Latencies) -> String {
    format!("p50 {:.2}", ms(found.quantile(0.5)))
}

struct Cluster {
    nodes: Vec<Tandem>,
    redis: RedisServer,
    bindings: usize,
    phones_per_user: usize,
    /// Of the phones.
    port: u16,
}

/// How registrations came in.
struct Filled {
    per_second: f64,
    /// From the last answer to a phone until all nodes had all.
    lag: Duration,
}

/// How a node came back.
struct Refilled {
    /// Until it was ready.
    start: Duration,
    /// From then on until it knew all.
    refill: Duration,
    /// Calls to its phones all the while, by another node.
    found: Latencies,
    calls: usize,
}

/// Who calls users by a node, and their phones, all of which are busy.
struct Caller<'a> {
    platform: &'a Platform,
    phone: Peer,
    users: std::ops::Range<usize>,
    phones_per_user: usize,
}

impl Caller<'_> {
    /// The call of this number, to any of the users: from the INVITE with credentials until a phone has it.
    fn call(&self, number: usize, found: &mut Latencies) -> Result<()> {
        // Spread over all of them, in no order.
        let user = self.users.start + number * LARGE_PRIME % self.users.len();
        let (caller, invite) = self.platform.call("alice", &user_name(user))?;
        let sent = Instant::now();
        let mut invited = self.phone.expect_request("INVITE");
        found.add(sent.elapsed());
        for _ in 1..self.phones_per_user {
            refuse(&self.phone, &invited)?;
            invited = self.phone.expect_request("INVITE");
        }
        refuse(&self.phone, &invited)?;
        caller.refused(&invite)?;
        Ok(())
    }
}

impl Cluster {
    fn start(bindings: usize) -> Result<Self> {
        let redis = RedisServer::start()?;
        let phones_per_user = bindings.div_ceil(USERS_MAX);
        let contacts_max = u16::try_from(phones_per_user).context("so many phones per user")?;
        let mut first = Tandem::start_node(&redis, None)?;
        first.add_users_with(bindings.div_ceil(phones_per_user), contacts_max)?;
        let mut nodes = vec![first];
        while nodes.len() < NODES {
            nodes.push(Tandem::start_node(&redis, nodes.first())?);
        }
        let mut cluster = Self {
            nodes,
            redis,
            bindings,
            phones_per_user,
            port: ports::one(),
        };
        cluster.wait_until_complete(0)?;
        Ok(cluster)
    }

    /// Of each node, and what Redis says of itself.
    fn memory(&self) -> Result<Vec<u64>> {
        let nodes = self
            .nodes
            .iter()
            .map(|node| usage::memory_bytes(node.pid()));
        let mut all = nodes.collect::<Result<Vec<_>>>()?;
        let used = "return string.match(redis.call('INFO', 'memory'), 'used_memory:(%d+)') + 0";
        let used = self.redis.ask(&format!("EVAL \"{used}\" 0"))?;
        all.push(
            used.trim_start_matches(':')
                .parse()
                .context("the memory of Redis")?,
        );
        Ok(all)
    }

    /// Each node gets its part, one after the other.
    fn fill(&mut self) -> Result<Filled> {
        let began = Instant::now();
        for node in 0..NODES {
            let phones = self.phones_of(node);
            let count = phones.len() as u64;
            let mut load = RegisterLoad::new(RegisterPlan {
                server: self.nodes[node].address,
                port: self.port,
                domain: self.nodes[node].domain().to_owned(),
                phones,
                phones_per_user: self.phones_per_user,
            })?;
            load.run_until(AT_ONCE, count);
            load.drain();
            ensure!(
                load.counts.lost == 0,
                "not all are registered: {:?}",
                load.counts
            );
        }
        let filled = Instant::now();
        let took = filled.duration_since(began);
        self.wait_until_complete(self.bindings)?;
        Ok(Filled {
            per_second: self.bindings as f64 / took.as_secs_f64(),
            lag: filled.elapsed(),
        })
    }

    fn phones_of(&self, node: usize) -> std::ops::Range<usize> {
        let first = |node: usize| self.bindings * node / NODES;
        first(node)..first(node + 1)
    }

    /// Who calls users with phones at these nodes by the first node, and the last node.
    fn caller(&mut self, nodes: std::ops::Range<usize>) -> Result<(Caller<'_>, &mut Platform)> {
        let phones = self.phones_of(nodes.start).start..self.phones_of(nodes.end - 1).end;
        let local = format!("0.0.0.0:{}", self.port);
        let phone = Peer::bound(&local, self.nodes[0].address.into())?;
        let phones_per_user = self.phones_per_user;
        let (first, others) = self.nodes.split_at_mut(1);
        let last = others.last_mut().context("a cluster of one")?;
        let caller = Caller {
            platform: first[0].platform(),
            phone,
            users: phones.start.div_ceil(phones_per_user)..phones.end / phones_per_user,
            phones_per_user,
        };
        Ok((caller, last.platform()))
    }

    /// Calls by the first node to users with a phone at one of these nodes.
    fn call(&mut self, nodes: std::ops::Range<usize>) -> Result<Latencies> {
        let (caller, _) = self.caller(nodes)?;
        let mut latencies = Latencies::new();
        for number in 0..CALLS {
            caller.call(number, &mut latencies)?;
        }
        Ok(latencies)
    }

    /// The last node is killed and started again, while its users are called by the first.
    fn restart(&mut self) -> Result<Refilled> {
        let bindings = self.bindings;
        let (caller, last) = self.caller(NODES - 1..NODES)?;
        let is_over = AtomicBool::new(false);
        let mut found = Latencies::new();
        let (start, refill, calls) = std::thread::scope(|scope| {
            let calling = scope.spawn(|| {
                let mut calls = 0;
                while !is_over.load(Ordering::Relaxed) {
                    caller.call(calls, &mut found)?;
                    calls += 1;
                }
                Ok::<_, anyhow::Error>(calls)
            });
            last.kill_9();
            let began = Instant::now();
            let started = last.restart();
            let start = began.elapsed();
            if started.is_ok() {
                wait_until_complete(last, bindings);
            }
            let refill = began.elapsed().saturating_sub(start);
            is_over.store(true, Ordering::Relaxed);
            let calls = calling.join().map_err(|_| anyhow!("a call failed"))?;
            started?;
            Ok::<_, anyhow::Error>((start, refill, calls?))
        })?;
        self.wait_until_complete(bindings)?;
        Ok(Refilled {
            start,
            refill,
            found,
            calls,
        })
    }

    /// Redis forgets everything: how long it takes to have all again.
    fn forget(&mut self) -> Result<Duration> {
        let began = Instant::now();
        self.redis.ask("FLUSHALL")?;
        let shelves = "local n = 0 for _, k in ipairs(redis.call('KEYS', 'tandem:locations:of:*')) do \
                       n = n + redis.call('HLEN', k) end return n";
        let all = format!(":{}", self.bindings);
        wait_for_within(PATIENCE, "all on the shelves", || {
            let found = self.redis.ask(&format!("EVAL \"{shelves}\" 0")).ok()?;
            (found == all).then_some(())
        });
        let filled = began.elapsed();
        self.wait_until_complete(self.bindings)?;
        Ok(filled)
    }

    /// Until each node has all, and says so.
    fn wait_until_complete(&mut self, bindings: usize) -> Result<()> {
        for node in &mut self.nodes {
            wait_until_complete(node.platform(), bindings);
        }
        Ok(())
    }
}

/// Until a node knows so many, and that these are all.
fn wait_until_complete(node: &Platform, bindings: usize) {
    let rest = node.rest();
    wait_for_within(PATIENCE, "a node to know all", || {
        let page = rest.read("/metrics").ok()?;
        let sum = |name: &str| {
            let lines = page.as_str()?.lines().filter(|line| line.starts_with(name));
            let values = lines.filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok());
            Some(values.sum::<f64>())
        };
        let known = sum("tandem_registrations{")? + sum("tandem_registrations_elsewhere ")?;
        let is_all = known == bindings as f64;
        (is_all && sum("tandem_locations_complete ")? == 1.0).then_some(())
    });
}

/// The phone is busy.
fn refuse(phone: &Peer, invited: &testkit::Message) -> Result<()> {
    let via = invited.header("Via").unwrap_or_default();
    let place = via.split([' ', ';']).nth(1).unwrap_or_default();
    let to: SocketAddr = place.parse().context("a Via with an address")?;
    phone.send_to(to, phone.response(invited, "486 Busy Here", "r", &[], ""))
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

const NODES: usize = 3;
/// Beyond it, users have several phones each.
const USERS_MAX: usize = 100_000;
const AT_ONCE: usize = 100;
const CALLS: usize = 2_000;
const LARGE_PRIME: usize = 15_485_863;
const PATIENCE: Duration = Duration::from_secs(300);
