//! What would stop a dispatcher on this machine.

use node::{DispatcherOptions, Listen};

use super::port::{self, Protocol};
use super::{Finding, limits, report};
use crate::failure::Failure;
use crate::global::Global;

/// Looks at its configuration, its ports and what the kernel grants.
pub(crate) fn run(global: &Global, options: &DispatcherOptions) -> Result<(), Failure> {
    let running = options.data.join("admin.json").exists();
    let mut findings = vec![configuration(options)];
    findings.extend(options.listen.iter().map(|listen| socket(listen, running)));
    let api = options.api;
    findings.push(port::one(
        Protocol::Tcp,
        api.ip(),
        api.port(),
        "the API",
        running,
    ));
    findings.extend(limits::buffers());
    report(global, &findings)
}

fn configuration(options: &DispatcherOptions) -> Finding {
    const SUBJECT: &str = "settings";
    match node::dispatcher_targets(options) {
        Ok(0) => Finding::warn(
            SUBJECT,
            "there is no target: every call gets 503",
            "name one by --target or in the file of --config, or add one when it runs",
        ),
        Ok(count) => Finding::ok(SUBJECT, format!("understood; targets: {count}")),
        Err(error) => Finding::fail(
            SUBJECT,
            format!("{error:#}"),
            "docs/dispatcher.md has all settings",
        ),
    }
}

fn socket(listen: &Listen, running: bool) -> Finding {
    let protocol = match listen.transport_name() {
        "udp" => Protocol::Udp,
        _ => Protocol::Tcp,
    };
    let purpose = format!("SIP over {}", listen.transport_name());
    let address = listen.address;
    port::one(protocol, address.ip(), address.port(), &purpose, running)
}
