//! What a platform says when it is ready.

use serde_json::json;

use super::node::Node;
use crate::data::{Admin, FirstAdmin};
use crate::first_start::FirstUsers;
use crate::{UpOptions, listeners};

/// Who signs in to the panel, as it is said at the start.
pub(super) enum SignsIn {
    /// The first administrator, with the password that was made.
    First(FirstAdmin),
    /// Whoever did.
    AsBefore,
    /// Nobody here: the panel of the platform is at control.
    At(String),
}

/// Where the API is asked.
pub(super) struct Urls {
    pub(super) http: Option<String>,
    pub(super) https: Option<String>,
}

impl Urls {
    /// Where this machine's command line asks.
    pub(super) fn usual(&self) -> &str {
        let usual = self.http.as_deref().or(self.https.as_deref());
        usual.unwrap_or_default()
    }
}

pub(super) fn print_ready(
    options: &UpOptions,
    node: &Node,
    (admin, urls, signs_in): (&Admin, &Urls, &SignsIn),
    users: &FirstUsers,
) {
    let domain = &*node.domain;
    let first = match signs_in {
        SignsIn::First(first) => Some(first),
        SignsIn::AsBefore | SignsIn::At(_) => None,
    };
    let mut sip = serde_json::Map::new();
    for status in node.net.listeners() {
        let name = status.spec.transport.param_name();
        let address = listeners::for_switch(&status).advertised.to_string();
        sip.entry(name).or_insert(json!(address));
    }
    if options.json {
        let line = json!({
            "sip": sip,
            "http": urls.http,
            "https": urls.https,
            "users": users.known,
            "domain": domain,
            "token": admin.token,
            "sign_in": first,
            "pid": std::process::id(),
        });
        println!("{line}");
        return;
    }
    println!("Tandem is up.\n");
    for (transport, address) in &sip {
        println!(
            "  SIP {transport:<4} {}",
            address.as_str().unwrap_or_default()
        );
    }
    let program = program();
    for url in [&urls.http, &urls.https].into_iter().flatten() {
        if !matches!(signs_in, SignsIn::At(_)) {
            println!("  panel    {url}/");
        }
        if let Some(FirstAdmin { name, password }) = first {
            println!("           sign in as {name}, password {password}");
        }
        println!("  API      {url}");
    }
    println!("  domain   {domain}\n");
    for user in &users.known {
        println!("  user {:<8} password {}", user.name, user.password);
    }
    for name in &users.unknown {
        println!("  user {name:<8} set a new password: {program} user update {name} --password …");
    }
    let list = format!("{program} --data {} call list", options.data.display());
    if let SignsIn::At(control) = signs_in {
        println!("A node of the platform whose control is {control}: records and panel are there.");
        println!("{list}");
        return;
    }
    println!("\nPut these into two softphones and call each other, or 600 for the echo.");
    println!("{list}");
    if first.is_none() {
        println!("A password for the panel: {program} person update NAME --password …");
    }
}

/// How this program was called: a reader can type it again, installed or not.
fn program() -> String {
    let called = std::env::args().next();
    called.unwrap_or_else(|| "tandem".into())
}
