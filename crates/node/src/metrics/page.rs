//! A page of metrics in the making, in Prometheus' text format 0.0.4.

use std::fmt::{Display, Write as _};

use net::Net;
use sip::Transport;
use switch::{BUCKETS_MS, Histogram};

use crate::quality::Spread;

/// The page being written.
pub(crate) struct Page(pub(crate) String);

impl Page {
    pub(crate) fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    pub(crate) fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect();
        let _ = writeln!(self.0, "{name}{{{}}} {value}", labels.join(","));
    }

    pub(crate) fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.head(name, kind, help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    /// Messages received: requests by these methods, responses by the first digit of their status.
    pub(crate) fn messages(&mut self, methods: &[&str], requests: &[u64], responses: &[u64]) {
        let name = "tandem_sip_requests_total";
        self.head(name, "counter", "Requests received");
        for (method, count) in methods.iter().zip(requests) {
            self.line(name, &[("method", method), ("direction", "in")], count);
        }
        let name = "tandem_sip_responses_total";
        self.head(name, "counter", "Responses received, by class");
        for (class, count) in responses.iter().enumerate().skip(1) {
            let label = format!("{class}xx");
            let labels = [("code", label.as_str()), ("direction", "in")];
            self.line(name, &labels, count);
        }
    }

    /// Connections by transport.
    pub(crate) fn connections(&mut self, net: &Net) {
        let name = "tandem_sip_connections";
        self.head(name, "gauge", "Open connections");
        for transport in TRANSPORTS.into_iter().filter(|t| t.is_reliable()) {
            let count = net.counters().connections(transport);
            self.line(name, &[("transport", transport.param_name())], count);
        }
    }

    /// A histogram of values that are `unit` times what is shown.
    pub(super) fn spread<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        bounds: &[u64; N],
        unit: f64,
        spread: &Spread<N>,
    ) {
        self.head(name, "histogram", help);
        let bucket = format!("{name}_bucket");
        let mut below = 0;
        for (bound, count) in bounds.iter().zip(spread.counts) {
            below += count;
            let bound = (*bound as f64 / unit).to_string();
            self.line(&bucket, &[("le", &bound)], below);
        }
        self.line(&bucket, &[("le", "+Inf")], spread.count);
        let (sum, count) = (spread.sum as f64 / unit, spread.count);
        let _ = writeln!(self.0, "{name}_sum {sum}\n{name}_count {count}");
    }

    pub(super) fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.head(name, "histogram", help);
        let bucket = format!("{name}_bucket");
        let mut sum = 0;
        for (bound_ms, count) in BUCKETS_MS.iter().zip(histogram.counts) {
            sum += count;
            let bound = format!("{}", *bound_ms as f64 / 1_000.0);
            self.line(&bucket, &[("le", &bound)], sum);
        }
        self.line(&bucket, &[("le", "+Inf")], histogram.count());
        let sum_s = histogram.sum_us as f64 / 1_000_000.0;
        let _ = writeln!(
            self.0,
            "{name}_sum {sum_s}\n{name}_count {}",
            histogram.count()
        );
    }
}

/// In the order of their metrics.
pub(crate) const TRANSPORTS: [Transport; 5] = [
    Transport::Udp,
    Transport::Tcp,
    Transport::Tls,
    Transport::Ws,
    Transport::Wss,
];
