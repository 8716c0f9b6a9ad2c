//! `tandem person`: who signs in to the panel.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;

use crate::account::ACCOUNT;
use crate::client::Client;
use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::records::{self, Fields, Noun, RecordCommand, path_of};
use crate::zone::ZONE;

/// What can be done with people.
#[derive(Subcommand, Debug)]
pub(crate) enum PersonCommand {
    #[command(flatten)]
    Record(Box<RecordCommand<PersonFields>>),
    /// Lets somebody try again whose name rests after too many wrong passwords
    Unlock {
        /// The name or identifier
        person: String,
    },
    /// Takes away the second factor of somebody who has lost their app and their recovery codes
    ResetSecondFactor {
        /// The name or identifier
        person: String,
    },
}

/// Fields of a person.
#[derive(Args, Serialize, Debug)]
pub(crate) struct PersonFields {
    /// What they sign in with
    #[arg(long)]
    name: Option<String>,
    /// What others call them
    #[arg(long)]
    display_name: Option<String>,
    /// What they may do: viewer, operator, admin
    #[arg(long)]
    role: Option<String>,
    /// The account they are confined to; an empty value: the whole platform
    #[arg(long)]
    account: Option<String>,
    /// A zone they are confined to; may be repeated; an empty value: all zones
    #[arg(long = "zone", value_name = "ZONE")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    zones: Vec<String>,
    /// By what they sign in: password, or oidc, the provider of the settings
    #[arg(long, value_name = "WAY")]
    sign_in: Option<String>,
    /// Whether they may sign in
    #[arg(long)]
    enabled: Option<bool>,
    /// The password; a new person gets one that is shown once
    #[arg(long)]
    password: Option<String>,
}

impl Fields for PersonFields {
    const NOUN: &'static Noun = &PERSON;
}

/// People.
static PERSON: Noun = Noun {
    singular: "person",
    plural: "people",
    prefix: "per_",
    label: "name",
    columns: &[
        ("ID", "id"),
        ("NAME", "name"),
        ("ROLE", "role"),
        ("ACCOUNT", "account"),
        ("ZONES", "zones"),
        ("SIGNS IN BY", "sign_in"),
        ("ENABLED", "enabled"),
        ("SECOND FACTOR", "second_factor.since_us"),
    ],
    references: &[("account", &ACCOUNT), ("zones", &ZONE)],
    owner: None,
};

/// Does it.
pub(crate) fn run(global: &Global, command: PersonCommand) -> Result<(), Failure> {
    match command {
        PersonCommand::Record(command) => records::run(global, *command),
        PersonCommand::Unlock { person } => {
            let client = Client::of(global)?;
            let path = path_of(&client, &PERSON, &person)?;
            client.create(&format!("{path}/unlock"), &Value::Null)?;
            output::say(&format!("{person} may try again"));
            Ok(())
        }
        PersonCommand::ResetSecondFactor { person } => {
            let client = Client::of(global)?;
            let path = path_of(&client, &PERSON, &person)?;
            let question = format!("Let {person} sign in with the password alone?");
            output::confirm(global, &question)?;
            let patch = serde_json::json!({ "second_factor": null });
            client.change(&path, Some("*"), &patch)?;
            output::say(&format!("{person} has no second factor any more"));
            Ok(())
        }
    }
}
