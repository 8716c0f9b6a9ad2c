//! `/metrics` of a dispatcher.

use balancer::{Admission, State};
use clock::Time;
use dispatcher::{Dispatcher, METHODS};
use net::{DropReason, Net};

use crate::metrics::Page;
use crate::trace::TraceCounts;

/// The text, in Prometheus' format 0.0.4.
pub(super) fn text(
    now: Time,
    dispatcher: &Dispatcher,
    net: &Net,
    traces: Option<&TraceCounts>,
) -> String {
    let mut out = Page(String::with_capacity(4_096));
    let version = env!("CARGO_PKG_VERSION");
    out.head("tandem_build_info", "gauge", "The program that runs");
    out.line("tandem_build_info", &[("version", version)], 1);
    messages(&mut out, dispatcher, net);
    refusals(&mut out, dispatcher);
    admission(&mut out, dispatcher);
    targets(&mut out, now, dispatcher);
    if let Some(counts) = traces {
        crate::metrics::kept(&mut out, counts);
    }
    out.0
}

fn messages(out: &mut Page, dispatcher: &Dispatcher, net: &Net) {
    let counters = dispatcher.counters();
    out.messages(&METHODS, &counters.requests, &counters.responses);
    out.connections(net);
    let name = "tandem_sip_dropped_total";
    out.head(name, "counter", "Dropped by the network side");
    for reason in DropReason::ALL {
        let count = net.counters().dropped(reason);
        out.line(name, &[("reason", reason.name())], count);
    }
    let (name, help) = (
        "tandem_sip_transactions",
        "Requests that are kept at the moment",
    );
    out.one(name, "gauge", help, dispatcher.pending_count());
    let (name, help) = (
        "tandem_dispatcher_flows",
        "Phones on UDP that are kept alive",
    );
    out.one(name, "gauge", help, dispatcher.flow_count());
    let (name, help) = ("tandem_calls", "Calls known to be up");
    out.one(name, "gauge", help, dispatcher.call_count());
}

fn refusals(out: &mut Page, dispatcher: &Dispatcher) {
    let counters = dispatcher.counters();
    let name = "tandem_sip_refused_total";
    out.head(name, "counter", "Messages not served");
    for (reason, count) in [
        ("malformed", counters.malformed),
        ("forged", counters.forged),
        ("loop", counters.loops),
        ("stray", counters.strays),
        ("no_target", counters.refused_down),
        ("overload", counters.refused_overloaded),
        ("draining", counters.refused_draining),
        ("flow_gone", counters.flows_gone),
    ] {
        out.line(name, &[("reason", reason)], count);
    }
    for (name, help, count) in [
        (
            "tandem_dispatcher_failovers_total",
            "Requests sent to another target after one failed",
            counters.failovers,
        ),
        (
            "tandem_dispatcher_redirects_total",
            "Redirections followed",
            counters.redirects,
        ),
        (
            "tandem_dispatcher_stand_ins_total",
            "Requests inside dialogs sent to another target, theirs being down",
            counters.stand_ins,
        ),
    ] {
        out.one(name, "counter", help, count);
    }
}

/// Whether calls are taken at all.
fn admission(out: &mut Page, dispatcher: &Dispatcher) {
    let (name, help) = ("tandem_draining", "Whether new calls are refused");
    let is_draining = dispatcher.admission() == Admission::Draining;
    out.one(name, "gauge", help, u8::from(is_draining));
}

fn targets(out: &mut Page, now: Time, dispatcher: &Dispatcher) {
    let statuses: Vec<_> = dispatcher.statuses(now).map(|(_, status)| status).collect();
    let mut all = |name: &str, kind, help, value: fn(&balancer::TargetStatus) -> f64| {
        out.head(name, kind, help);
        for status in &statuses {
            out.line(name, &[("target", &status.spec.name)], value(status));
        }
    };
    all(
        "tandem_dispatcher_target_up",
        "gauge",
        "Whether the target answers",
        |status| f64::from(u8::from(status.state == State::Up)),
    );
    all(
        "tandem_dispatcher_target_calls",
        "gauge",
        "Calls of the target that came through us",
        |status| f64::from(status.calls),
    );
    all(
        "tandem_dispatcher_target_chosen_total",
        "counter",
        "How often the target was chosen",
        |status| status.chosen as f64,
    );
    all(
        "tandem_dispatcher_target_latency_seconds",
        "gauge",
        "Average time to the first response",
        |status| status.latency.as_secs_f64(),
    );
    all(
        "tandem_dispatcher_target_loss_percent",
        "gauge",
        "How much the target wants to be spared",
        |status| f64::from(status.loss_percent),
    );
}
