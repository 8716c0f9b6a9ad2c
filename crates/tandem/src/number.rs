//! `tandem number`: what carriers and customers can call.

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::account::ACCOUNT;
use crate::customer::CUSTOMER;
use crate::flags::LimitFlags;
use crate::records::{Fields, Noun};
use crate::user::USER;

/// Fields of a number.
#[derive(Args, Serialize, Debug)]
pub(crate) struct NumberFields {
    /// The digits, in E.164 with or without +
    #[arg(long)]
    number: Option<String>,
    /// The account it belongs to; the only one there is, if left out
    #[arg(long)]
    account: Option<String>,
    /// What it reaches: user:NAME, customer:NAME or echo
    #[arg(long, value_parser = target)]
    #[serde(skip)]
    target: Option<Target>,
    /// Whether it is reachable
    #[arg(long)]
    enabled: Option<bool>,
    #[command(flatten)]
    limits: LimitFlags,
}

/// What a number reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    User(String),
    Customer(String),
    Echo,
}

impl Fields for NumberFields {
    const NOUN: &'static Noun = &NUMBER;

    /// The fields of the other targets are named, so that an update takes them away.
    fn complete(&self, body: &mut Map<String, Value>) {
        let target = match &self.target {
            None => return,
            Some(Target::User(user)) => json!({ "kind": "user", "user": user, "customer": null }),
            Some(Target::Customer(customer)) => {
                json!({ "kind": "customer", "customer": customer, "user": null })
            }
            Some(Target::Echo) => json!({ "kind": "echo", "user": null, "customer": null }),
        };
        body.insert("target".into(), target);
    }
}

fn target(text: &str) -> Result<Target, String> {
    match text.split_once(':') {
        Some(("user", user)) if !user.is_empty() => Ok(Target::User(user.into())),
        Some(("customer", customer)) if !customer.is_empty() => {
            Ok(Target::Customer(customer.into()))
        }
        None if text == "echo" => Ok(Target::Echo),
        _ => Err("user:NAME, customer:NAME or echo is wanted".into()),
    }
}

/// Numbers.
pub(crate) static NUMBER: Noun = Noun {
    singular: "number",
    plural: "numbers",
    prefix: "num_",
    label: "number",
    columns: &[
        ("ID", "id"),
        ("NUMBER", "number"),
        ("REACHES", "target.kind"),
        ("USER", "target.user"),
        ("CUSTOMER", "target.customer"),
        ("ENABLED", "enabled"),
    ],
    references: &[
        ("account", &ACCOUNT),
        ("target.user", &USER),
        ("target.customer", &CUSTOMER),
    ],
    owner: Some(("account", &ACCOUNT)),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_names_its_kind() {
        assert_eq!(target("user:alice"), Ok(Target::User("alice".into())));
        assert_eq!(target("echo"), Ok(Target::Echo));
        assert!(target("alice").is_err() && target("user:").is_err());
    }
}
