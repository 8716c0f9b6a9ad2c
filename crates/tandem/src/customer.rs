//! `tandem customer`: who sends us calls.

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::account::ACCOUNT;
use crate::flags::{LimitFlags, RewriteFlags};
use crate::records::{Fields, Noun};

/// Fields of a customer.
#[derive(Args, Serialize, Debug)]
pub(crate) struct CustomerFields {
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// The account it belongs to; the only one there is, if left out
    #[arg(long)]
    account: Option<String>,
    /// It is recognised by these addresses or networks, separated by commas
    #[arg(long, value_delimiter = ',', conflicts_with = "auth_name")]
    #[serde(skip)]
    networks: Vec<String>,
    /// It is recognised by digest with this user name
    #[arg(long)]
    #[serde(skip)]
    auth_name: Option<String>,
    /// It is recognised by a certificate for one of these host names, separated by commas
    #[arg(long, value_delimiter = ',', conflicts_with_all = ["networks", "auth_name", "password"])]
    #[serde(skip)]
    certificate_names: Vec<String>,
    /// Its digest password; one is made and shown if it needs one and gets none
    #[arg(long, conflicts_with = "networks")]
    #[serde(skip)]
    password: Option<String>,
    /// Where its own switch takes calls to its numbers: host or host:port
    #[arg(long)]
    host: Option<String>,
    /// How its media travels
    #[arg(long, value_parser = ["relay", "bypass", ""])]
    media: Option<String>,
    /// The media zone its calls are served in
    #[arg(long)]
    media_zone: Option<String>,
    /// Whether its calls are accepted
    #[arg(long)]
    enabled: Option<bool>,
    #[command(flatten)]
    rewrite: RewriteFlags,
    #[command(flatten)]
    limits: LimitFlags,
}

impl Fields for CustomerFields {
    const NOUN: &'static Noun = &CUSTOMER;

    /// The fields of the other ways are named, so that an update takes them away.
    fn complete(&self, body: &mut Map<String, Value>) {
        if !self.networks.is_empty() {
            let networks: Vec<String> = self.networks.iter().map(|text| network(text)).collect();
            body.insert(
                "auth".into(),
                json!({ "kind": "address", "networks": networks, "auth_name": null, "names": null }),
            );
        }
        if !self.certificate_names.is_empty() {
            let names = &self.certificate_names;
            body.insert(
                "auth".into(),
                json!({ "kind": "certificate", "names": names, "auth_name": null, "networks": null }),
            );
        }
        if self.auth_name.is_some() || self.password.is_some() {
            let mut auth = json!({ "kind": "digest", "networks": null, "names": null });
            if let Some(auth_name) = &self.auth_name {
                auth["auth_name"] = json!(auth_name);
            }
            if let Some(password) = &self.password {
                auth["password"] = json!(password);
            }
            body.insert("auth".into(), auth);
        }
    }
}

/// An address as the network that holds nothing else.
fn network(text: &str) -> String {
    match text.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(v4)) => format!("{v4}/32"),
        Ok(std::net::IpAddr::V6(v6)) => format!("{v6}/128"),
        Err(_) => text.to_owned(),
    }
}

/// Customers.
pub(crate) static CUSTOMER: Noun = Noun {
    singular: "customer",
    plural: "customers",
    prefix: "cus_",
    label: "name",
    columns: &[
        ("ID", "id"),
        ("NAME", "name"),
        ("KNOWN BY", "auth.kind"),
        ("NETWORKS", "auth.networks"),
        ("NAMES", "auth.names"),
        ("AUTH NAME", "auth.auth_name"),
        ("ENABLED", "enabled"),
        ("CPS", "limits.cps"),
        ("CHANNELS", "limits.channels"),
    ],
    references: &[("account", &ACCOUNT)],
    owner: Some(("account", &ACCOUNT)),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_a_network() {
        assert_eq!(network("192.0.2.1"), "192.0.2.1/32");
        assert_eq!(network("2001:db8::1"), "2001:db8::1/128");
        assert_eq!(network("192.0.2.0/24"), "192.0.2.0/24");
    }
}
