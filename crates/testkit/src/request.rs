//! The text of requests that peers written by hand send.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

/// A request outside of any dialog with its mandatory headers; `extra` are whole header lines
/// without line ends, and stand in place of the mandatory ones of the same name.
pub(crate) fn outside_dialog(
    transport: &str,
    local: SocketAddr,
    method: &str,
    uri: &str,
    extra: &[&str],
    body: &str,
) -> String {
    let number = next_number();
    let has = |name: &str| {
        let name = name.to_ascii_lowercase();
        extra
            .iter()
            .any(|line| line.to_ascii_lowercase().starts_with(&name))
    };
    let mut lines = vec![format!("{method} {uri} SIP/2.0")];
    let defaults = [
        (
            "Via:",
            format!("Via: SIP/2.0/{transport} {local};branch=z9hG4bK-peer-{number};rport"),
        ),
        ("Max-Forwards:", "Max-Forwards: 70".to_owned()),
        (
            "From:",
            format!("From: <sip:peer@{local}>;tag=peer-{number}"),
        ),
        ("To:", format!("To: <{uri}>")),
        (
            "Call-ID:",
            format!("Call-ID: peer-{number}-{}@{local}", std::process::id()),
        ),
        ("CSeq:", format!("CSeq: 1 {method}")),
        ("Contact:", contact(transport, local)),
    ];
    lines.extend(
        defaults
            .into_iter()
            .filter(|(name, _)| !has(name))
            .map(|(_, line)| line),
    );
    finish(lines, extra, body)
}

/// The lines with their ends, and the body.
pub(crate) fn finish(mut lines: Vec<String>, extra: &[&str], body: &str) -> String {
    lines.extend(extra.iter().map(|&line| line.to_owned()));
    let typed = extra.iter().any(|line| line.starts_with("Content-Type:"));
    if !body.is_empty() && !typed {
        lines.push("Content-Type: application/sdp".to_owned());
    }
    lines.push(format!("Content-Length: {}", body.len()));
    format!("{}\r\n\r\n{body}", lines.join("\r\n"))
}

/// A number no other request of this process has.
pub(crate) fn next_number() -> u32 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn contact(transport: &str, local: SocketAddr) -> String {
    match transport {
        "UDP" => format!("Contact: <sip:peer@{local}>"),
        _ => format!(
            "Contact: <sip:peer@{local};transport={}>",
            transport.to_ascii_lowercase()
        ),
    }
}

static NEXT: AtomicU32 = AtomicU32::new(1);
