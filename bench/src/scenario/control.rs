//! A control with everything that a large platform has: servers that report, calls in progress and
//! millions of CDRs. What it costs, and how long who asks it waits.

mod cdrs;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use store::Sqlite;
use testkit::{GatewaySpec, PanelTests, Platform, PlatformOptions, ports};

use self::cdrs::Kinds;
use crate::load::calls::{CallLoad, CallPlan, Pace};
use crate::load::nodes::Nodes;
use crate::peers::SERVER_CPU;
use crate::scenario::Effort;
use crate::table::{Row, Series, Table};
use crate::usage;

/// Fills a control, then asks it.
pub(crate) fn run(effort: &Effort) -> Result<Table> {
    let mut platform = start()?;
    let port = node_port(&platform)?;
    platform.kill_9();
    let kinds = Kinds::new();
    let began = Instant::now();
    kinds.fill(
        &Sqlite::open(&platform.data().join("tandem.db"))?,
        effort.cdrs,
    )?;
    let filling = began.elapsed();
    platform.restart()?;
    let pid = platform.program().pid();
    std::thread::sleep(effort.settle);
    let mut rows = vec![
        one(
            "CDR stored in a batch of 5,000, us",
            filling.as_secs_f64() * 1e6 / effort.cdrs as f64,
        ),
        one(
            "memory of control without nodes and calls, MB",
            memory_mb(pid)?,
        ),
    ];
    let idle = cpu_ms_per_s(pid, effort.window);
    let nodes = join(&platform, port, effort.servers)?;
    std::thread::sleep(effort.warm_up);
    let reporting = cpu_ms_per_s(pid, effort.window);
    rows.push(one(
        "CPU of control per node that reports, us per second",
        (reporting - idle) * 1e3 / effort.servers as f64,
    ));
    let load = hold_calls(&platform, effort)?;
    rows.push(one("memory of control with them, MB", memory_mb(pid)?));
    for (work, path) in kinds.questions() {
        rows.push(ask(&platform, &work, &path)?);
    }
    drop(load);
    rows.extend(paint(&platform)?);
    drop(nodes);
    Ok(Table {
        title: format!(
            "Control: {} servers that report each second, {} calls in progress, {} CDRs (SQLite)",
            effort.servers, effort.held_calls, effort.cdrs
        ),
        peer: "none. Questions to the API one after the other, each on a connection of its own; median and range \
            of 20, the first included; pages in Chromium on the other processor"
            .to_owned(),
        rows,
    })
}

fn start() -> Result<Platform> {
    let binary = std::env::current_exe().context("finding this program")?;
    let binary = binary.parent().unwrap_or(Path::new(".")).join("tandem");
    PlatformOptions::new(binary)
        .wrapper(&["taskset", "-c", SERVER_CPU])
        .argument("--node-port")
        .argument(&ports::one().to_string())
        .start()
}

/// The port that machines join at.
fn node_port(platform: &Platform) -> Result<u16> {
    let token = platform.rest().create("/v1/join-tokens", &json!({}))?;
    let port = token["port"].as_u64().context("no port to join at")?;
    u16::try_from(port).context("no port")
}

fn join(platform: &Platform, port: u16, count: usize) -> Result<Nodes> {
    let nodes = Nodes::new()?;
    for number in 0..count {
        let wanted = json!({ "name": format!("node-{number:03}") });
        let made = platform.rest().create("/v1/join-tokens", &wanted)?;
        let token = made["token"].as_str().context("no token")?;
        nodes.join(&format!("127.0.0.1:{port}"), token)?;
    }
    Ok(nodes)
}

fn hold_calls(platform: &Platform, effort: &Effort) -> Result<CallLoad> {
    let callee = SocketAddrV4::new(Ipv4Addr::LOCALHOST, ports::one());
    let std::net::SocketAddr::V4(server) = platform.ready().sip.udp else {
        anyhow::bail!("the platform does not listen on IPv4");
    };
    let plan = CallPlan::new(server, callee);
    let rest = platform.rest();
    rest.change("/v1/settings", &json!({ "media": "bypass" }))?;
    rest.add_customer(&format!("{}/32", plan.caller.ip()), &json!({}))?;
    let gateway = GatewaySpec {
        address: callee.into(),
        priority: 0,
    };
    rest.add_carrier("", &[gateway], &json!({}))?;
    let mut load = CallLoad::new(CallPlan { talk: None, ..plan })?;
    let pace = Pace::Open {
        per_second: PER_SECOND,
    };
    load.run_until_begun(pace, effort.held_calls);
    load.run_for(Pace::Stopped, effort.warm_up);
    ensure!(
        load.counts().lost == 0,
        "not all calls are up: {:?}",
        load.counts()
    );
    Ok(load)
}

/// How long a question takes, in milliseconds.
fn ask(platform: &Platform, work: &str, path: &str) -> Result<Row> {
    let rest = platform.rest();
    let mut took = Series::default();
    let mut items = 0;
    for _ in 0..QUESTIONS {
        let began = Instant::now();
        let answer = rest.read(path)?;
        took.push(began.elapsed().as_secs_f64() * 1e3);
        items = answer["items"].as_array().map_or(1, Vec::len);
    }
    eprintln!("control: {work}: {took} ms, {items} items");
    Ok(Row {
        work: format!("{work}, ms"),
        peer: Series::default(),
        ours: took,
        remarks: format!("{items} items"),
    })
}

/// How long pages take until something is painted, and until what they are about is there.
fn paint(platform: &Platform) -> Result<Vec<Row>> {
    let printed = PanelTests::run_script(platform, include_str!("../../panel/paint.mjs"))?;
    let mut rows = Vec::new();
    for line in printed.lines() {
        let page: Value = serde_json::from_str(line).context("what the script prints")?;
        let path = page["path"].as_str().unwrap_or_default();
        for (what, key) in [("first paint", "paints"), ("its content is there", "fills")] {
            let mut took = Series::default();
            for figure in page[key].as_array().into_iter().flatten() {
                took.push(figure.as_f64().unwrap_or_default());
            }
            eprintln!("control: page {path}: {what} {took} ms");
            rows.push(Row {
                work: format!("page {path}: {what}, ms"),
                peer: Series::default(),
                ours: took,
                remarks: String::new(),
            });
        }
    }
    Ok(rows)
}

fn one(work: &str, figure: f64) -> Row {
    eprintln!("control: {work}: {figure:.1}");
    let mut ours = Series::default();
    ours.push(figure);
    Row {
        work: work.to_owned(),
        peer: Series::default(),
        ours,
        remarks: String::new(),
    }
}

fn memory_mb(pid: u32) -> Result<f64> {
    Ok(usage::memory_bytes(pid)? as f64 / 1e6)
}

fn cpu_ms_per_s(pid: u32, window: Duration) -> f64 {
    let before = usage::cpu(pid);
    std::thread::sleep(window);
    (usage::cpu(pid) - before).as_secs_f64() * 1e3 / window.as_secs_f64()
}

const QUESTIONS: usize = 20;
const PER_SECOND: u32 = 500;
