//! `tandem`: the platform and its command line.
//!
//! `tandem up` runs a platform; every other command but `doctor`, `completion` and `version` is
//! a client of its API. One file per noun, with the same name as in the API.

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::failure::{EXIT_CODES, Failure};
use crate::global::Global;
use crate::records::RecordCommand;

mod account;
mod alert;
mod api;
mod array;
mod audit;
mod ban;
mod call;
mod carrier;
mod cdr;
mod certificate;
mod check;
mod client;
mod cluster;
mod customer;
mod device;
mod dispatcher;
mod doctor;
mod draft;
mod duty;
mod event;
mod failure;
mod flags;
mod gateway;
mod global;
mod history;
mod keepalived;
mod ladder;
mod limit;
mod listener;
mod log;
mod media;
mod media_server;
mod moment;
mod ng;
mod node;
mod number;
mod output;
mod person;
mod ports;
mod posture;
mod recording;
mod recording_flags;
mod records;
mod registration;
mod route;
mod server;
mod session;
mod settings;
mod store;
mod task;
mod token;
mod trace;
mod trust;
mod unheard;
mod up;
mod user;
mod user_import;
mod zone;

/// The system's allocator keeps the memory of a burst of calls; this one gives it back.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A SIP platform in one program.
#[derive(Parser, Debug)]
#[command(name = "tandem", version, about, after_help = EXIT_CODES, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Runs a platform on this machine
    Up(up::UpFlags),
    /// Runs a media server alone, for proxies and switches that ask over rtpengine's ng protocol
    Media(media::MediaFlags),
    /// Runs a SIP load balancer alone, or steers one
    Dispatcher(Box<dispatcher::DispatcherCommand>),
    /// Machines join the platform
    #[command(subcommand)]
    Node(node::NodeCommand),
    /// Machines that take calls
    #[command(subcommand)]
    Server(server::ServerCommand),
    /// Regions in which servers stand
    #[command(subcommand)]
    Zone(zone::ZoneCommand),
    /// Servers that belong together
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    /// What was begun and takes a while
    #[command(subcommand)]
    Task(task::TaskCommand),
    /// Asks a media server over the ng protocol
    Ng(ng::NgFlags),
    /// Calls in progress
    #[command(subcommand)]
    Call(call::CallCommand),
    /// Registered contacts
    #[command(subcommand)]
    Registration(registration::RegistrationCommand),
    /// Records of calls that have ended
    #[command(subcommand)]
    Cdr(cdr::CdrCommand),
    /// Tenants
    #[command(subcommand)]
    Account(RecordCommand<account::AccountFields>),
    /// Who registers devices and is called by name
    #[command(subcommand)]
    User(user::UserCommand),
    /// Devices with secrets of their own
    #[command(subcommand)]
    Device(RecordCommand<device::DeviceFields>),
    /// What carriers and customers can call
    #[command(subcommand)]
    Number(RecordCommand<number::NumberFields>),
    /// Who sends us calls
    #[command(subcommand)]
    Customer(RecordCommand<customer::CustomerFields>),
    /// Whom we send calls to
    #[command(subcommand)]
    Carrier(RecordCommand<carrier::CarrierFields>),
    /// Addresses of carriers
    #[command(subcommand)]
    Gateway(gateway::GatewayCommand),
    /// Where RTP is relayed
    #[command(subcommand)]
    MediaServer(media_server::MediaServerCommand),
    /// Which carrier takes which numbers
    #[command(subcommand)]
    Route(route::RouteCommand),
    /// Where records and CDRs are kept
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// What applies where no record says otherwise
    #[command(subcommand)]
    Settings(settings::SettingsCommand),
    /// Registrations shared with servers outside a cluster
    #[command(subcommand)]
    Array(array::ArrayCommand),
    /// What was measured, over time
    #[command(subcommand)]
    History(history::HistoryCommand),
    /// Changes that are prepared and then made together
    #[command(subcommand)]
    Draft(draft::DraftCommand),
    /// Which of several controls does what only one of them does
    #[command(subcommand)]
    Duty(duty::DutyCommand),
    /// Parts of the deployment that have no second
    #[command(subcommand)]
    Posture(posture::PostureCommand),
    /// What the limits allow and what of it is in use
    #[command(subcommand)]
    Limit(limit::LimitCommand),
    /// Who may ask the API for what
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Who signs in to the panel
    #[command(subcommand)]
    Person(person::PersonCommand),
    /// Browsers that are signed in
    #[command(subcommand)]
    Session(session::SessionCommand),
    /// Sockets that are open for SIP
    #[command(subcommand)]
    Listener(listener::ListenerCommand),
    /// What is shown in TLS handshakes, and until when
    #[command(subcommand)]
    Certificate(certificate::CertificateCommand),
    /// Sources whose packets are dropped
    #[command(subcommand)]
    Ban(ban::BanCommand),
    /// Files of recorded calls
    #[command(subcommand)]
    Recording(recording::RecordingCommand),
    /// SIP messages as this server has seen them
    #[command(subcommand)]
    Trace(trace::TraceCommand),
    /// What went wrong, and who was told
    #[command(subcommand)]
    Alert(alert::AlertCommand),
    /// Who changed what
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// What happens, as it happens
    #[command(subcommand)]
    Event(event::EventCommand),
    /// Whether the node of this machine takes calls, for keepalived and scripts
    Check(check::CheckFlags),
    /// Writes keepalived's configuration for a virtual address
    Keepalived(keepalived::KeepalivedFlags),
    /// Asks the API anything
    Api(api::ApiFlags),
    /// Looks for what would stop calls on this machine
    Doctor(doctor::DoctorFlags),
    /// Prints what makes a shell complete commands
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Prints the version
    Version,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "tandem: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let global = &cli.global;
    match cli.command {
        Command::Up(flags) => up::run(global, &flags),
        Command::Media(flags) => media::run(global, &flags),
        Command::Dispatcher(command) => dispatcher::run(global, *command),
        Command::Ng(flags) => ng::run(&flags),
        Command::Node(command) => node::run(global, command),
        Command::Server(command) => server::run(global, command),
        Command::Zone(command) => zone::run(global, command),
        Command::Cluster(command) => cluster::run(global, command),
        Command::Task(command) => task::run(global, command),
        Command::Call(command) => call::run(global, command),
        Command::Registration(command) => registration::run(global, command),
        Command::Cdr(command) => cdr::run(global, command),
        Command::Account(command) => records::run(global, command),
        Command::User(command) => user::run(global, command),
        Command::Device(command) => records::run(global, command),
        Command::Number(command) => records::run(global, command),
        Command::Customer(command) => records::run(global, command),
        Command::Carrier(command) => records::run(global, command),
        Command::Gateway(command) => gateway::run(global, command),
        Command::MediaServer(command) => media_server::run(global, command),
        Command::Route(command) => route::run(global, command),
        Command::Store(command) => store::run(global, command),
        Command::Settings(command) => settings::run(global, command),
        Command::Array(command) => array::run(global, command),
        Command::History(command) => history::run(global, command),
        Command::Draft(command) => draft::run(global, command),
        Command::Duty(command) => duty::run(global, command),
        Command::Posture(command) => posture::run(global, command),
        Command::Limit(command) => limit::run(global, command),
        Command::Token(command) => token::run(global, command),
        Command::Person(command) => person::run(global, command),
        Command::Session(command) => session::run(global, command),
        Command::Listener(command) => listener::run(global, command),
        Command::Certificate(command) => certificate::run(global, command),
        Command::Ban(command) => ban::run(global, command),
        Command::Recording(command) => recording::run(global, &command),
        Command::Trace(command) => trace::run(global, &command),
        Command::Alert(command) => alert::run(global, &command),
        Command::Audit(command) => audit::run(global, command),
        Command::Event(command) => event::run(global, command),
        Command::Check(flags) => check::run(global, &flags),
        Command::Keepalived(flags) => keepalived::run(global, &flags),
        Command::Api(flags) => api::run(global, &flags),
        Command::Doctor(flags) => doctor::run(global, &flags),
        Command::Completion { shell } => completion(shell),
        Command::Version => output::print(concat!("tandem ", env!("CARGO_PKG_VERSION"), "\n")),
    }
}

fn completion(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tandem", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}

#[cfg(test)]
mod tests;
