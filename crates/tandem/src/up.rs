//! `tandem up`: runs a platform on this machine until it is told to stop.

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;
use crate::global::Global;
use crate::ports::PortFlags;

/// What the platform runs with.
#[derive(Args, Debug)]
pub(crate) struct UpFlags {
    #[command(flatten)]
    ports: PortFlags,
    /// The SIP domain of a new platform; a running one keeps its own (`tandem settings set`)
    #[arg(long)]
    domain: Option<String>,
    /// Prints one line of JSON with every address, user and token when the platform is ready
    #[arg(long)]
    json: bool,
    /// How the log on standard error is written
    #[arg(long, value_enum, default_value_t = LogFormat::Logfmt)]
    log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace, or a filter such as info,call=debug
    #[arg(long, env = "TANDEM_LOG", default_value = "info")]
    log_level: String,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// A line of text with key=value pairs.
    Logfmt,
    /// An object for each line.
    Json,
}

/// Runs the platform; returns when it has stopped.
pub(crate) fn run(global: &Global, flags: &UpFlags) -> Result<(), Failure> {
    log(flags)?;
    let ports = &flags.ports;
    let options = node::UpOptions {
        data: global.data.clone(),
        bind: ports.bind,
        advertise: ports.advertise,
        sip_port: ports.sip_port,
        tls_port: ports.tls_port,
        ws_port: ports.ws_port,
        wss_port: ports.wss_port,
        http_port: ports.http_port,
        rtp_ports: ports.rtp_ports,
        domain: flags.domain.clone(),
        json: flags.json,
    };
    node::up(options).map_err(|error| Failure::Failed(format!("{error:#}")))
}

fn log(flags: &UpFlags) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&flags.log_level)
        .map_err(|e| Failure::Usage(format!("--log-level {}: {e}", flags.log_level)))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match flags.log_format {
        LogFormat::Logfmt => log.with_ansi(false).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    started.map_err(|e| Failure::Failed(format!("the log cannot be written: {e}")))
}
