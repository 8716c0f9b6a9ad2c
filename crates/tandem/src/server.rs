//! `tandem server`: machines of the platform, how each is, and what can be done to it.

mod target;

use clap::{Args, Subcommand, ValueEnum as _};
use serde::Serialize;
use serde_json::{Value, json};

use crate::client::Client;
use crate::failure::Failure;
use crate::flags::LimitFlags;
use crate::global::Global;
use crate::node::Role;
use crate::output;
use crate::records::{self, Fields, Noun, RecordCommand};
use crate::task;

/// What can be done with servers.
#[derive(Subcommand, Debug)]
pub(crate) enum ServerCommand {
    #[command(flatten)]
    Record(Box<RecordCommand<ServerFields>>),
    /// Shows how every server is
    Health {
        /// Only those of which a field is so: role, zone, cluster, state, name
        #[arg(long, value_name = "FIELD=VALUE")]
        filter: Vec<String>,
    },
    /// Has one take no new calls, or a media server no new sessions; those it has go on
    Drain {
        /// Its name or identifier
        server: String,
        /// Waits until no call is left
        #[arg(long)]
        wait: bool,
    },
    /// Has a drained one take calls again
    Resume {
        /// Its name or identifier
        server: String,
    },
    /// Shows the last lines of the log of one, the newest last
    Log {
        /// Its name or identifier
        server: String,
        /// As grave as this, or graver
        #[arg(long, default_value = "info", value_parser = ["error", "warn", "info", "debug", "trace"])]
        level: String,
        /// With this in the line
        #[arg(long)]
        text: Option<String>,
        /// How many at most
        #[arg(long, default_value_t = records::LIST_LIMIT)]
        limit: usize,
    },
    /// Where a dispatcher sends calls
    #[command(subcommand)]
    Target(target::TargetCommand),
    /// Changes what one may carry, at once; what is left out stays
    Resize {
        /// Its name or identifier
        server: String,
        /// Calls it may have in progress
        #[arg(long)]
        channels: Option<u32>,
        /// New calls per second
        #[arg(long)]
        cps: Option<u32>,
    },
    /// Pushes the configuration to one once more; calls stay up
    Flush {
        /// Its name or identifier
        server: String,
    },
    /// Has the node of one begin anew: the calls that it has end, unless it is drained first
    Restart {
        /// Its name or identifier
        server: String,
        #[command(flatten)]
        first: CallsFirst,
    },
    /// Goes on with the program that was put on the disk of one, once its calls have ended
    Upgrade {
        /// Its name or identifier
        server: String,
        /// Ends calls that still go on after so many seconds, 1 to 86400
        #[arg(long, value_name = "SECONDS")]
        longest_wait: Option<u32>,
    },
    /// Closes the SIP of one until it is started: its calls end, unless it is drained first
    Stop {
        /// Its name or identifier
        server: String,
        #[command(flatten)]
        first: CallsFirst,
    },
    /// Opens the SIP of one that is stopped
    Start {
        /// Its name or identifier
        server: String,
    },
    /// Refuses the certificates of a server's node from now on
    Revoke {
        /// Its name or identifier
        server: String,
    },
}

/// What becomes of the calls of one that is restarted or stopped.
#[derive(Args, Serialize, Clone, Copy, Debug)]
pub(crate) struct CallsFirst {
    /// Takes no new calls first, and waits for those that it has
    #[arg(long)]
    drain: bool,
    /// Ends calls that still go on after so many seconds, 1 to 86400
    #[arg(long = "longest-wait", value_name = "SECONDS", requires = "drain")]
    longest_wait_s: Option<u32>,
}

/// Does it.
pub(crate) fn run(global: &Global, command: ServerCommand) -> Result<(), Failure> {
    match command {
        ServerCommand::Record(command) => records::run(global, *command),
        ServerCommand::Health { filter } => health(global, &filter),
        ServerCommand::Drain { server, wait } => {
            let client = Client::of(global)?;
            let id = records::id_of(&client, &SERVER, &server)?;
            let calls = calls_of(&client, &id)?;
            output::say(&format!("{server} has {calls} calls; they go on"));
            let task = act(&client, &id, "drain", None)?;
            match wait {
                true => task::wait(global, &client, &task),
                false => output::object(global, &task),
            }
        }
        ServerCommand::Log {
            server,
            level,
            text,
            limit,
        } => {
            let client = Client::of(global)?;
            let id = records::id_of(&client, &SERVER, &server)?;
            let mut query = vec![("level", level.as_str())];
            query.extend(text.as_deref().map(|text| ("text", text)));
            let path = format!("/v1/servers/{id}/log");
            let mut lines = records::pages(&client, &path, &query, limit)?;
            lines.reverse();
            let columns = [
                ("AT", "at_us"),
                ("LEVEL", "level"),
                ("PART", "part"),
                ("LINE", "text"),
            ];
            output::list(global, &lines, &columns)
        }
        ServerCommand::Target(command) => target::run(global, command),
        ServerCommand::Resume { server } => at_once(global, &server, "resume", None),
        ServerCommand::Resize {
            server,
            channels,
            cps,
        } => {
            let client = Client::of(global)?;
            let id = records::id_of(&client, &SERVER, &server)?;
            let limits = client.read(&format!("/v1/servers/{id}"), &[])?.body["limits"].clone();
            let size = json!({
                "channels": channels.map_or(limits["channels"].clone(), Value::from),
                "cps": cps.map_or(limits["cps"].clone(), Value::from),
            });
            at_once(global, &server, "resize", Some(&size))
        }
        ServerCommand::Flush { server } => at_once(global, &server, "flush", None),
        ServerCommand::Restart { server, first } => take_out(global, &server, "restart", first),
        ServerCommand::Upgrade {
            server,
            longest_wait,
        } => upgrade(global, &server, longest_wait),
        ServerCommand::Stop { server, first } => take_out(global, &server, "stop", first),
        ServerCommand::Start { server } => at_once(global, &server, "start", None),
        ServerCommand::Revoke { server } => {
            let client = Client::of(global)?;
            let id = records::id_of(&client, &SERVER, &server)?;
            output::confirm(global, &format!("Refuse the node of {server} from now on?"))?;
            client.ask("POST", &format!("/v1/servers/{id}/revoke"), &[], None, None)?;
            output::say(&format!("the certificates of {server} are refused"));
            Ok(())
        }
    }
}

fn upgrade(global: &Global, server: &str, longest_wait: Option<u32>) -> Result<(), Failure> {
    let wish = json!({ "longest_wait_s": longest_wait });
    at_once(global, server, "update", Some(&wish))
}

/// Restarts or stops one, once it is said how many calls that concerns.
fn take_out(global: &Global, server: &str, action: &str, first: CallsFirst) -> Result<(), Failure> {
    let client = Client::of(global)?;
    let id = records::id_of(&client, &SERVER, server)?;
    let calls = calls_of(&client, &id)?;
    let fate = match (first.drain, first.longest_wait_s) {
        (false, _) => "which end".to_owned(),
        (true, None) => "which are waited for".to_owned(),
        (true, Some(wait)) => format!("which are waited for, {wait} s at most"),
    };
    let question = format!("Do you want to {action} {server}? It has {calls} calls, {fate}.");
    output::confirm(global, &question)?;
    let task = act(&client, &id, action, Some(&json!(first)))?;
    if first.drain
        && let Some(id) = task["id"].as_str()
    {
        output::say(&format!(
            "while it waits for calls, `tandem task cancel {id}` has it take calls again"
        ));
    }
    task::wait(global, &client, &task)
}

fn health(global: &Global, filter: &[String]) -> Result<(), Failure> {
    let client = Client::of(global)?;
    let query: Vec<(&str, &str)> = filter
        .iter()
        .map(|f| records::pair(f))
        .collect::<Result<_, _>>()?;
    let answer = client.read("/v1/server-health", &query)?.body;
    let items = answer["items"].as_array().cloned().unwrap_or_default();
    let columns = [
        ("NAME", "name"),
        ("ROLE", "role"),
        ("ZONE", "zone"),
        ("CLUSTER", "cluster"),
        ("STATE", "state"),
        ("CHANNELS", "report.channels"),
        ("OF", "report.channels_limit"),
        ("CPS", "report.cps"),
        ("OF", "report.cps_limit"),
        ("CPU %", "report.cpu_percent"),
        ("RTT", "report.rtt_us"),
        ("SIP", "sip.median_us"),
        ("ICMP", "icmp.median_us"),
        ("VERSION", "report.version"),
        ("PENDING", "report.update.version"),
        ("REVISION", "report.revision"),
        ("CAUSE", "cause"),
    ];
    output::list(global, &items, &columns)
}

/// How many calls a server has, in words.
fn calls_of(client: &Client, id: &str) -> Result<String, Failure> {
    let path = format!("/v1/server-health?server={id}");
    let calls = client.read(&path, &[])?.body["items"][0]["report"]["channels"].clone();
    let calls = calls.as_u64();
    Ok(calls.map_or("an unknown number of".into(), |n| n.to_string()))
}

/// Begins what needs no question, and waits for it.
fn at_once(
    global: &Global,
    server: &str,
    action: &str,
    body: Option<&Value>,
) -> Result<(), Failure> {
    let client = Client::of(global)?;
    let id = records::id_of(&client, &SERVER, server)?;
    let begun = act(&client, &id, action, body)?;
    task::wait(global, &client, &begun)
}

fn act(client: &Client, id: &str, action: &str, body: Option<&Value>) -> Result<Value, Failure> {
    let path = format!("/v1/servers/{id}/{action}");
    Ok(client.ask("POST", &path, &[], body, None)?.body)
}

/// Fields of a server.
#[derive(Args, Serialize, Debug)]
pub(crate) struct ServerFields {
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// What it does, if no machine has joined as it yet
    #[arg(long, value_parser = role)]
    role: Option<String>,
    /// The zone it stands in
    #[arg(long)]
    zone: Option<String>,
    /// The cluster it belongs to
    #[arg(long)]
    cluster: Option<String>,
    /// Whether it takes no new calls
    #[arg(long)]
    draining: Option<bool>,
    #[command(flatten)]
    limits: LimitFlags,
}

fn role(text: &str) -> Result<String, String> {
    Role::from_str(text, false).map(|_| text.to_owned())
}

impl Fields for ServerFields {
    const NOUN: &'static Noun = &SERVER;
}

/// Servers.
pub(crate) static SERVER: Noun = Noun {
    singular: "server",
    plural: "servers",
    prefix: "srv_",
    label: "name",
    columns: &[
        ("ID", "id"),
        ("NAME", "name"),
        ("ROLE", "role"),
        ("ZONE", "zone"),
        ("CLUSTER", "cluster"),
        ("DRAINING", "draining"),
        ("CPS", "limits.cps"),
        ("CHANNELS", "limits.channels"),
    ],
    references: &[],
    owner: None,
};
