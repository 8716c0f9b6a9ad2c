//! `tandem api`: any request, for what has no command of its own.

use clap::Args;
use serde_json::Value;

use crate::client::Client;
use crate::failure::Failure;
use crate::global::{Format, Global};
use crate::output;
use crate::records::read_json;

/// Any request.
#[derive(Args, Debug)]
pub(crate) struct ApiFlags {
    /// The method
    #[arg(value_parser = ["GET", "POST", "PUT", "PATCH", "DELETE"], ignore_case = true)]
    method: String,
    /// The path with its query: /v1/users?name=alice
    path: String,
    /// The body as JSON, from a file or - for standard input
    #[arg(long, value_name = "FILE|-")]
    json: Option<String>,
    /// The ETag of the object that is to be changed
    #[arg(long)]
    if_match: Option<String>,
}

/// Does it.
pub(crate) fn run(global: &Global, flags: &ApiFlags) -> Result<(), Failure> {
    if !flags.path.starts_with('/') {
        return Err(Failure::Usage(
            "a path that begins with / is wanted, as /v1/users".into(),
        ));
    }
    let method = flags.method.to_ascii_uppercase();
    let body = flags.json.as_deref().map(read_json).transpose()?;
    let client = Client::of(global)?;
    let reply = client.ask(
        &method,
        &flags.path,
        &[],
        body.as_ref(),
        flags.if_match.as_deref(),
    )?;
    if let Some(etag) = &reply.etag {
        output::say(&format!("ETag: {etag}"));
    }
    match (reply.body, global.output) {
        (Value::Null, _) => Ok(()),
        (Value::String(text), _) => output::print(&text),
        (body, Format::Table) => output::print(&format!("{body:#}\n")),
        (body, _) => output::object(global, &body),
    }
}
