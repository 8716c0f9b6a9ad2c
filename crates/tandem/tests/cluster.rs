//! Two nodes that share a PostgreSQL and a Redis: what they allow together, and what is left when
//! one of them dies, or Redis does.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde_json::{Value, json};
use testkit::{
    FaultProxy, GatewaySpec, Line, Platform, PlatformOptions, PostgresServer, RedisServer, Sipp,
    record_path, wait_for, wait_for_within,
};

const BINARY: &str = env!("CARGO_BIN_EXE_tandem");
/// How many calls of its first owner Redis has.
const CALLS_KNOWN: &str = "EVAL \"local o = redis.call('SMEMBERS', 'tandem:call-owners')[1] \
    return o and redis.call('HLEN', 'tandem:calls:' .. o) or 0\" 0";

/// What a carrier takes in any second.
const CPS_LIMIT: u64 = 50;
/// Three times as many: where the caller is held up for a while, demand is still there.
const ATTEMPTS_PER_S: u32 = 150;
const ATTEMPTS: u32 = 1_200;
const SECOND_US: u64 = 1_000_000;

/// Two nodes with one carrier, which sipp plays.
struct Cluster {
    nodes: [Platform; 2],
    redis: RedisServer,
    /// Between the second node and Redis.
    line: FaultProxy,
    _callee: Sipp,
    _postgres: PostgresServer,
}

impl Cluster {
    fn start() -> Result<Self> {
        let (postgres, redis) = (PostgresServer::start()?, RedisServer::start()?);
        let line = FaultProxy::to(redis.address())?;
        let through = format!("redis://{}", line.address());
        let node = |live: &str| {
            let options = PlatformOptions::new(BINARY);
            let options = options.argument("--store").argument(&postgres.url());
            options.argument("--live").argument(live)
        };
        let first = node(&redis.url()).start()?;
        let key = std::fs::read(first.data().join("cluster.key"))?;
        let second = node(&through).data_file("cluster.key", &key).start()?;
        let callee = Sipp::new("uas")?.calls(100_000, 1, 100_000).start()?;
        let rest = first.rest();
        rest.change("/v1/settings", &json!({ "media": "bypass" }))?;
        rest.add_customer("127.0.0.1/32", &json!({}))?;
        let gateway = GatewaySpec::at(callee.address());
        rest.add_carrier("", &[gateway], &json!({}))?;
        Ok(Self {
            nodes: [first, second],
            _callee: callee,
            redis,
            line,
            _postgres: postgres,
        })
    }

    /// Limits the carrier, and waits until both nodes have shares of it.
    fn limit(&self, limits: &Value) -> Result<()> {
        let rest = self.nodes[0].rest();
        let carrier = record_path("carriers", &rest.first("carriers")?);
        rest.change(&carrier, &json!({ "limits": limits }))?;
        let wanted = limits["channels"].as_u64().or(limits["cps"].as_u64());
        wait_for("shares on both nodes", || {
            let shares = [0, 1].map(|node| self.share(node));
            let [Some(one), Some(other)] = shares else {
                return None;
            };
            (Some(one + other) == wanted && one > 0 && other > 0).then_some(())
        });
        Ok(())
    }

    /// What a node has of the carrier's limit.
    fn share(&self, node: usize) -> Option<u64> {
        let carrier = usage(&self.nodes[node])?;
        let share = carrier["channels_share"].as_u64();
        share.or(carrier["cps_share"].as_u64())
    }

    /// Calls that the carrier takes or a limit refuses, many more than are allowed.
    fn burst(&self, node: usize, calls: u32, rate: u32, talk_ms: u32) -> Result<Sipp> {
        Sipp::new("uac_or_503")?
            .service("493012345")
            .set("TALK_MS", &talk_ms.to_string())
            .calls(calls, rate, calls)
            .start_towards(self.nodes[node].ready().sip.udp)
    }

    /// All calls, when they have ended.
    fn cdrs(&self, calls: usize) -> Vec<Value> {
        wait_for(&format!("{calls} CDRs"), || {
            let all = self.nodes[0].rest().list("/v1/cdrs?limit=500").ok()?;
            (all.len() >= calls).then_some(all)
        })
    }

    /// The calls that went through, when all have ended.
    fn answered(&self, calls: usize) -> Vec<Value> {
        let answered = |cdr: &Value| cdr["outcome"] == "answered";
        self.cdrs(calls).into_iter().filter(answered).collect()
    }

    /// When all calls came, in that order, and whether they went through.
    fn attempts(&self, calls: usize) -> Vec<Attempt> {
        let mut attempts: Vec<Attempt> = self
            .cdrs(calls)
            .iter()
            .map(|cdr| Attempt {
                at_us: cdr["start_us"].as_u64().expect("a start"),
                accepted: cdr["outcome"] == "answered",
            })
            .collect();
        attempts.sort_unstable_by_key(|attempt| attempt.at_us);
        attempts
    }
}

/// A call that came, and whether the limits let it through.
#[derive(Clone, Copy)]
struct Attempt {
    at_us: u64,
    accepted: bool,
}

/// How many calls a limiter that never errs would take of these attempts, after those it has taken
/// before; all are in the order of their times.
fn most_acceptable(history: impl Iterator<Item = u64>, attempts: &[Attempt]) -> usize {
    let mut taken: Vec<u64> = history.collect();
    let before = taken.len();
    for attempt in attempts {
        if in_second_before(&taken, attempt.at_us) < CPS_LIMIT as usize {
            taken.push(attempt.at_us);
        }
    }
    taken.len() - before
}

/// How many of these moments, which are in order, lie within the second that ends at one.
fn in_second_before(moments_us: &[u64], end_us: u64) -> usize {
    let gone = moments_us.partition_point(|at| *at + SECOND_US <= end_us);
    moments_us.partition_point(|at| *at <= end_us) - gone
}

fn usage(node: &Platform) -> Option<Value> {
    let limits = node.rest().list("/v1/limits").ok()?;
    limits.into_iter().find(|limit| limit["kind"] == "carrier")
}

/// The most calls at one moment, by their CDRs.
fn most_at_once(cdrs: &[Value]) -> usize {
    let times = |field: &str| -> Vec<u64> {
        let mut times: Vec<u64> = cdrs.iter().filter_map(|c| c[field].as_u64()).collect();
        times.sort_unstable();
        times
    };
    let (starts, ends) = (times("start_us"), times("end_us"));
    let during = |at: &u64| starts.partition_point(|s| s <= at) - ends.partition_point(|e| e <= at);
    starts.iter().map(during).max().unwrap_or(0)
}

#[test]
fn ten_channels_are_ten_on_two_nodes() -> Result<()> {
    let cluster = Cluster::start()?;
    cluster.limit(&json!({ "channels": 10 }))?;
    // Ten times as many at both, for a few seconds; half of them at a bad line to Redis.
    cluster.line.set(Line::Slow(Duration::from_millis(50)));
    let bursts = [
        cluster.burst(0, 200, 50, 1_000)?,
        cluster.burst(1, 200, 50, 1_000)?,
    ];
    for burst in bursts {
        burst.finish()?;
    }
    let answered = cluster.answered(400);
    let most = most_at_once(&answered);
    assert_eq!(most, 10, "all of them are used, and no more");
    // Each node shows what it has, and what the other has.
    for node in &cluster.nodes {
        let shown = usage(node).unwrap_or_default();
        let share = shown["channels_share"].as_u64();
        let elsewhere = shown["channels_elsewhere"].as_u64();
        assert!(
            share.zip(elsewhere).is_some_and(|(a, b)| a + b <= 10),
            "{shown}"
        );
        assert_eq!(shown["channels_limit"], 10);
        assert_eq!(shown["channels"], 0);
    }
    Ok(())
}

#[test]
fn demand_at_one_node_gets_the_whole_rate() -> Result<()> {
    let cluster = Cluster::start()?;
    cluster.limit(&json!({ "cps": CPS_LIMIT }))?;
    let callers = cluster.burst(1, ATTEMPTS, ATTEMPTS_PER_S, 10)?;
    wait_for("the other node to give up its part", || {
        (cluster.share(1) == Some(CPS_LIMIT)).then_some(())
    });
    let whole_us = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64;
    callers.finish()?;
    let attempts = cluster.attempts(ATTEMPTS as usize);
    let accepted: Vec<u64> = attempts
        .iter()
        .filter(|attempt| attempt.accepted)
        .map(|attempt| attempt.at_us)
        .collect();
    for at in &accepted {
        let second = in_second_before(&accepted, *at + SECOND_US);
        assert!(second <= CPS_LIMIT as usize, "never more than allowed");
    }
    // From then on, what could be accepted was: of the calls that really came, in the rhythm in
    // which they came.
    let (before, since): (Vec<Attempt>, Vec<Attempt>) = attempts
        .into_iter()
        .partition(|attempt| attempt.at_us < whole_us);
    let history = before.iter().filter(|attempt| attempt.accepted);
    let best = most_acceptable(history.map(|attempt| attempt.at_us), &since);
    let taken = since.iter().filter(|attempt| attempt.accepted).count();
    eprintln!("{taken} of {best} in {} attempts", since.len());
    assert!(best >= 2 * CPS_LIMIT as usize, "only {best} to look at");
    assert!(taken * 100 >= best * 98, "{taken} of {best}");
    Ok(())
}

#[test]
fn the_channels_of_a_killed_node_are_back_soon() -> Result<()> {
    let mut cluster = Cluster::start()?;
    cluster.limit(&json!({ "channels": 10 }))?;
    let callers = cluster.burst(0, 100, 50, 60_000)?;
    wait_for("all channels in use at one node", || {
        (usage(&cluster.nodes[0])?["channels"] == 10).then_some(())
    });
    assert_eq!(cluster.share(1), Some(0));
    wait_for("the other to be able to know of the calls", || {
        let known = cluster.redis.ask(CALLS_KNOWN).ok()?;
        (known == ":10").then_some(())
    });
    let killed = Instant::now();
    cluster.nodes[0].kill_9();
    drop(callers);
    wait_for_within(Duration::from_secs(5), "its channels", || {
        (cluster.share(1) == Some(10)).then_some(())
    });
    eprintln!("back after {:?}", killed.elapsed());
    wait_for("its calls, which go on there and count", || {
        (usage(&cluster.nodes[1])?["channels"] == 10).then_some(())
    });
    let rest = cluster.nodes[1].rest();
    for call in rest.list("/v1/calls")? {
        rest.remove(&record_path("calls", &call))?;
    }
    wait_for("their end", || {
        (usage(&cluster.nodes[1])?["channels"] == 0).then_some(())
    });
    let callers = cluster.burst(1, 20, 50, 2_000)?;
    wait_for("all channels at the other", || {
        (usage(&cluster.nodes[1])?["channels"] == 10).then_some(())
    });
    callers.finish()?;
    // It comes back, and its own calls are gone.
    cluster.nodes[0].restart()?;
    wait_for("its part", || {
        let (one, other) = (cluster.share(0)?, cluster.share(1)?);
        (one == 5 && other == 5).then_some(())
    });
    Ok(())
}

#[test]
fn without_redis_each_node_goes_on_with_what_it_has() -> Result<()> {
    let mut cluster = Cluster::start()?;
    cluster.limit(&json!({ "channels": 10 }))?;
    let callers = cluster.burst(0, 3, 50, 15_000)?;
    wait_for("three calls", || {
        (usage(&cluster.nodes[0])?["channels"] == 3).then_some(())
    });
    let before = [cluster.share(0), cluster.share(1)];
    cluster.redis.go();
    // Longer than a node that was stopped would be trusted.
    let away = Instant::now();
    wait_for("some time without it", || {
        (away.elapsed() > Duration::from_secs(3)).then_some(())
    });
    assert_eq!([cluster.share(0), cluster.share(1)], before);
    let more = cluster.burst(1, 50, 50, 1_000)?;
    more.finish()?;
    assert_eq!(usage(&cluster.nodes[0]).unwrap_or_default()["channels"], 3);
    // It comes back, and knows nothing.
    cluster.redis.come()?;
    let bursts = [
        cluster.burst(0, 100, 50, 1_000)?,
        cluster.burst(1, 100, 50, 1_000)?,
    ];
    for burst in bursts {
        burst.finish()?;
    }
    wait_for("both to be known again", || {
        let known = cluster.redis.ask("HLEN tandem:members").ok()?;
        (known == ":2").then_some(())
    });
    callers.finish()?;
    let most = most_at_once(&cluster.answered(253));
    assert!((8..=10).contains(&most), "{most}");
    Ok(())
}

/// Nothing comes back, and nobody says so: each question takes as long as it may.
#[test]
fn with_a_line_to_redis_that_swallows_everything_a_node_goes_on() -> Result<()> {
    let cluster = Cluster::start()?;
    cluster.limit(&json!({ "channels": 10 }))?;
    cluster.line.set(Line::Dead);
    // For eight seconds: four times what a node would be trusted that was stopped.
    cluster.burst(1, 40, 5, 100)?.finish()?;
    let answered = cluster.answered(40);
    assert_eq!(answered.len(), 40, "there was room for each of them");
    Ok(())
}
