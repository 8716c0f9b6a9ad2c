//! `tandem dispatcher`: runs a SIP load balancer alone until it is told to stop; its commands
//! steer a running one.

pub(crate) mod target;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use node::{DispatcherOptions, Listen, Ready, TargetRecord};

use crate::client::Client;
use crate::failure::Failure;
use crate::global::Global;
use crate::log::{self, LogFormat};
use crate::output;

/// Runs a dispatcher, or steers one.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct DispatcherCommand {
    #[command(subcommand)]
    steer: Option<Steer>,
    #[command(flatten)]
    flags: DispatcherFlags,
}

/// What can be asked of a running dispatcher.
#[derive(Subcommand, Debug)]
enum Steer {
    /// Where calls go, and how each target is
    #[command(subcommand)]
    Target(target::TargetCommand),
    /// Looks for what would stop a dispatcher with these flags on this machine
    Doctor(Box<DispatcherFlags>),
    /// Applies the configuration again, calls staying up; what was changed at run time is given up
    Flush,
}

/// What a dispatcher runs with.
#[derive(Args, Debug)]
struct DispatcherFlags {
    /// Where it speaks SIP; may be given again: udp, tcp, tls, ws or wss
    #[arg(long, value_name = "TRANSPORT:ADDRESS:PORT", default_values = ["udp:0.0.0.0:5060", "tcp:0.0.0.0:5060"])]
    listen: Vec<Listen>,
    /// The address that peers are told, where another one leads here (NAT)
    #[arg(long, value_name = "ADDRESS")]
    advertise: Option<IpAddr>,
    /// A host name it is reached by; may be given again. The certificate is made for the first
    #[arg(long, value_name = "HOST")]
    name: Vec<String>,
    /// A file with settings and targets
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A target besides those of the file, as `NAME=TRANSPORT:ADDRESS:PORT[,weight=N][,priority=N][,calls=N][,cps=N]`; may be given again
    #[arg(long, value_name = "TARGET", value_parser = target::parse)]
    target: Vec<TargetRecord>,
    /// How targets are chosen
    #[arg(long, value_enum)]
    algorithm: Option<Algorithm>,
    /// What becomes of a redirection by a full target
    #[arg(long, value_enum)]
    redirects: Option<Redirects>,
    /// The key that all dispatchers of a cluster share, 32 bytes; made if there is none
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Where its API is
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8090")]
    api: SocketAddr,
    /// How long calls may go on after SIGTERM, in seconds; it stops when the last has ended
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    drain: u32,
    /// Prints one line of JSON with every address and the token when it is ready
    #[arg(long)]
    json: bool,
    /// How the log on standard error is written
    #[arg(long, value_enum, default_value_t = LogFormat::Logfmt)]
    log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace, or a filter such as info,net=debug
    #[arg(long, env = "TANDEM_LOG", default_value = "info")]
    log_level: String,
}

/// How targets are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Algorithm {
    /// One after the other
    RoundRobin,
    /// One after the other, in proportion to their weights
    Weighted,
    /// The one with the fewest calls for its weight
    LeastCalls,
    /// The less loaded of two drawn at random
    TwoChoices,
    /// By Call-ID, or what the file says
    Hash,
}

/// What becomes of a redirection to another target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Redirects {
    /// It is followed
    Follow,
    /// The caller gets it
    Pass,
}

/// Does it; as a dispatcher, returns when it has stopped.
pub(crate) fn run(global: &Global, command: DispatcherCommand) -> Result<(), Failure> {
    match command.steer {
        None => serve(global, command.flags),
        Some(Steer::Doctor(flags)) => {
            crate::doctor::dispatcher::run(global, &options(global, *flags))
        }
        Some(Steer::Target(command)) => target::run(global, command),
        Some(Steer::Flush) => {
            let client = Client::of(global)?;
            let reply = client.ask("POST", "/v1/flush", &[], None, None)?;
            let items = reply.body["items"].as_array();
            output::list(global, items.map_or(&[], Vec::as_slice), &target::COLUMNS)
        }
    }
}

fn serve(global: &Global, flags: DispatcherFlags) -> Result<(), Failure> {
    log::start(flags.log_format, &flags.log_level)?;
    let options = options(global, flags);
    crate::up::end(node::dispatcher(options))
}

fn options(global: &Global, flags: DispatcherFlags) -> DispatcherOptions {
    DispatcherOptions {
        data: global.data.clone(),
        listen: flags.listen,
        advertise: flags.advertise,
        names: flags.name,
        config: flags.config,
        targets: flags.target,
        algorithm: flags.algorithm.and_then(|value| word(&value)),
        redirects: flags.redirects.and_then(|value| word(&value)),
        key: flags.key,
        api: flags.api,
        drain: Duration::from_secs(flags.drain.into()),
        ready: if flags.json {
            Ready::Said
        } else {
            Ready::Unsaid
        },
    }
}

/// A choice as the file has it.
fn word(value: &impl ValueEnum) -> Option<String> {
    let value = value.to_possible_value()?;
    Some(value.get_name().to_owned())
}
