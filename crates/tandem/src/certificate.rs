//! `tandem certificate`: what we show in handshakes, and what each socket really shows.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::failure::Failure;
use crate::global::Global;
use crate::moment;
use crate::output;
use crate::records::{self, Fields, Noun, RecordCommand};
use crate::server::SERVER;

/// What can be done with certificates.
#[derive(Subcommand, Debug)]
pub(crate) enum CertificateCommand {
    #[command(flatten)]
    Record(Box<RecordCommand<CertificateFields>>),
    /// Uploads a chain with its key: a new one, or in place of what a certificate of this name has
    Upload {
        /// What it is called
        name: String,
        /// The chain in PEM, its own certificate first
        #[arg(long, value_name = "FILE")]
        chain: PathBuf,
        /// Its private key in PEM, without a passphrase; for a certificate that has one, its own
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// To whom a new one is shown: those who connect to us, or those we connect to
        #[arg(long, value_parser = ["server", "client"])]
        kind: Option<String>,
        /// Shows it at once
        #[arg(long)]
        apply: bool,
    },
    /// Shows one in handshakes from now on; connections stay up
    Apply {
        /// Its name or identifier
        certificate: String,
        /// On these servers alone, by name or identifier
        #[arg(long = "server", value_name = "SERVER")]
        servers: Vec<String>,
    },
    /// Shows one no more; connections stay up
    Withdraw {
        /// Its name or identifier
        certificate: String,
    },
    /// Has an authority issue one for host names, and renew it (ACME)
    Request {
        /// What it is called
        name: String,
        /// The host names; several with commas between
        #[arg(long = "domain", value_delimiter = ',', required = true)]
        domains: Vec<String>,
        /// How they are shown to be ours: at port 80 of each, or by records of the name server in the
        /// settings acme.dns, the one way for wildcards
        #[arg(long, value_parser = ["http-01", "dns-01"], default_value = "http-01")]
        challenge: String,
        /// Shows it as soon as it is there
        #[arg(long)]
        apply: bool,
    },
    /// Has the authority issue one now, whatever became of the last attempt
    Renew {
        /// Its name or identifier
        certificate: String,
    },
    /// Looks whether host names lead to this node; asks no authority
    Check {
        /// The host names
        #[arg(required = true)]
        domains: Vec<String>,
    },
    /// Connects to each socket of the node, and lists what it shows
    Presented,
}

/// Does it.
#[expect(clippy::too_many_lines, reason = "one arm for each command")]
pub(crate) fn run(global: &Global, command: CertificateCommand) -> Result<(), Failure> {
    match command {
        CertificateCommand::Record(command) => records::run(global, *command),
        CertificateCommand::Upload {
            name,
            chain,
            key,
            kind,
            apply,
        } => {
            let mut body = Map::new();
            body.insert("chain".into(), json!(read(&chain)?));
            if let Some(key) = key {
                body.insert("key".into(), json!(read(&key)?));
            }
            body.extend(kind.map(|kind| ("kind".to_owned(), json!(kind))));
            if apply {
                body.insert("applied".into(), json!(true));
            }
            upload(global, &name, body)
        }
        CertificateCommand::Apply {
            certificate,
            servers,
        } => {
            let client = Client::of(global)?;
            let mut patch = json!({ "applied": true });
            if !servers.is_empty() {
                let ids = servers
                    .iter()
                    .map(|one| records::id_of(&client, &SERVER, one));
                patch["servers"] = json!(ids.collect::<Result<Vec<_>, _>>()?);
            }
            change(global, &client, &certificate, &patch)
        }
        CertificateCommand::Withdraw { certificate } => {
            let client = Client::of(global)?;
            change(global, &client, &certificate, &json!({ "applied": false }))
        }
        CertificateCommand::Request {
            name,
            domains,
            challenge,
            apply,
        } => {
            let source = json!({ "kind": "acme", "domains": domains, "challenge": challenge });
            let body = json!({ "name": name, "source": source, "applied": apply });
            let made = Client::of(global)?.create("/v1/certificates", &body)?;
            output::say("What becomes of it: `tandem certificate show`, field renewal.");
            output::object(global, &made.body)
        }
        CertificateCommand::Renew { certificate } => {
            let client = Client::of(global)?;
            let path = records::path_of(&client, &CERTIFICATE, &certificate)?;
            client.ask("POST", &format!("{path}/renew"), &[], None, None)?;
            output::say("It is being tried: `tandem certificate show`, field renewal.");
            Ok(())
        }
        CertificateCommand::Check { domains } => check(global, &domains),
        CertificateCommand::Presented => {
            let client = Client::of(global)?;
            let answer = client.read("/v1/presented-certificates", &[])?.body;
            let mut items = answer["items"].as_array().cloned().unwrap_or_default();
            for item in &mut items {
                item["days_left"] = days_left(&item["shown"]);
            }
            let columns = [
                ("LISTENER", "listener"),
                ("TRANSPORT", "transport"),
                ("ADDRESS", "address"),
                ("ASKED FOR", "server_name"),
                ("SUBJECT", "shown.subject"),
                ("ISSUER", "shown.issuer"),
                ("DAYS LEFT", "days_left"),
                ("CERTIFICATE", "certificate"),
                ("ERROR", "error"),
            ];
            output::list(global, &items, &columns)
        }
    }
}

fn check(global: &Global, domains: &[String]) -> Result<(), Failure> {
    let client = Client::of(global)?;
    let looked = client.create("/v1/certificates/check", &json!({ "domains": domains }))?;
    let items = looked.body.as_array().cloned().unwrap_or_default();
    let columns = [
        ("NAME", "domain"),
        ("LEADS TO", "addresses"),
        ("STANDING", "standing"),
        ("WHY", "reason"),
    ];
    output::list(global, &items, &columns)?;
    match items.iter().any(|one| one["standing"] == "wrong") {
        true => Err(Failure::Failed("an authority would refuse".into())),
        false => Ok(()),
    }
}

fn upload(global: &Global, name: &str, mut body: Map<String, Value>) -> Result<(), Failure> {
    let client = Client::of(global)?;
    let stored = match records::path_of(&client, &CERTIFICATE, name) {
        Ok(path) => {
            let etag = client.read(&path, &[])?.etag;
            client.change(&path, etag.as_deref(), &Value::Object(body))?
        }
        Err(Failure::NotFound(_)) => {
            body.insert("name".into(), json!(name));
            client.create("/v1/certificates", &Value::Object(body))?
        }
        Err(other) => return Err(other),
    };
    output::object(global, &stored.body)
}

fn change(
    global: &Global,
    client: &Client,
    certificate: &str,
    patch: &Value,
) -> Result<(), Failure> {
    let path = records::path_of(client, &CERTIFICATE, certificate)?;
    let etag = client.read(&path, &[])?.etag;
    output::object(global, &client.change(&path, etag.as_deref(), patch)?.body)
}

fn read(file: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file);
    text.map_err(|error| Failure::Usage(format!("{} cannot be read: {error}", file.display())))
}

/// Whole days that a certificate is valid for; less than 0 if it has ended.
fn days_left(facts: &Value) -> Value {
    let Some(until_us) = facts["not_after_us"].as_i64() else {
        return Value::Null;
    };
    let now_us = i64::try_from(moment::now_us()).unwrap_or(i64::MAX);
    json!(until_us.saturating_sub(now_us).div_euclid(86_400_000_000))
}

/// Fields of a certificate.
#[derive(Args, Serialize, Debug)]
pub(crate) struct CertificateFields {
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// To whom it is shown: those who connect to us, or those we connect to
    #[arg(long, value_parser = ["server", "client"])]
    kind: Option<String>,
    /// Whether it is shown
    #[arg(long)]
    applied: Option<bool>,
}

impl Fields for CertificateFields {
    const NOUN: &'static Noun = &CERTIFICATE;

    fn attend(_: &Client, records: &mut [Value]) -> Result<(), Failure> {
        for record in records {
            record["days_left"] = days_left(&record["facts"]);
        }
        Ok(())
    }
}

/// Certificates.
pub(crate) static CERTIFICATE: Noun = Noun {
    singular: "certificate",
    plural: "certificates",
    prefix: "crt_",
    label: "name",
    columns: &[
        ("ID", "id"),
        ("NAME", "name"),
        ("KIND", "kind"),
        ("SOURCE", "source.kind"),
        ("APPLIED", "applied"),
        ("NAMES", "facts.names"),
        ("ISSUER", "facts.issuer"),
        ("DAYS LEFT", "days_left"),
        ("LAST ERROR", "renewal.error"),
    ],
    references: &[],
    owner: None,
};
