//! `tandem ng`: asks a media server, ours or rtpengine, over UDP.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use clap::{Args, Subcommand};
use ng::{Command, Encoding, Frame, Request, Selection};
use serde_json::Value;

use crate::failure::Failure;
use crate::output;

/// What a media server is asked.
#[derive(Args, Debug)]
pub(crate) struct NgFlags {
    /// Where it takes requests over UDP
    #[arg(long, default_value = "127.0.0.1:2223", value_name = "ADDRESS:PORT")]
    at: SocketAddr,
    #[command(subcommand)]
    question: Question,
}

#[derive(Subcommand, Debug)]
enum Question {
    /// Whether it is there, and what it says of itself
    Ping,
    /// The Call-IDs of its calls
    List {
        /// At most so many
        #[arg(long, default_value_t = 32)]
        limit: usize,
    },
    /// What is known of a call
    Query {
        /// Its Call-ID
        call_id: String,
    },
    /// Ends a call
    Delete {
        /// Its Call-ID
        call_id: String,
    },
    /// What the server has counted
    Statistics,
    /// Has it take no new calls; those it has go on
    Drain,
    /// Has it take new calls again
    Resume,
}

/// Asks and prints the answer as JSON.
pub(crate) fn run(flags: &NgFlags) -> Result<(), Failure> {
    let command = match &flags.question {
        Question::Ping => Command::Ping,
        Question::List { limit } => Command::List { limit: *limit },
        Question::Query { call_id } => Command::Query(Box::new(Selection::call(call_id))),
        Question::Delete { call_id } => Command::Delete(Box::new(ng::Deletion {
            selection: Selection::call(call_id),
            ..ng::Deletion::default()
        })),
        Question::Statistics => Command::Statistics,
        Question::Drain => Command::Drain,
        Question::Resume => Command::Resume,
    };
    let answer = ask(flags.at, &Request::new(command))?;
    let text = serde_json::to_string_pretty(&answer);
    let text = text.map_err(|error| Failure::Failed(error.to_string()))?;
    match answer["result"].as_str() {
        Some("error") => Err(Failure::Failed(
            answer["error-reason"].as_str().unwrap_or("refused").into(),
        )),
        _ => output::print(&format!("{text}\n")),
    }
}

fn ask(at: SocketAddr, request: &Request) -> Result<Value, Failure> {
    let unreachable = |error: std::io::Error| {
        Failure::Unreachable(format!("no media server answers at {at}: {error}"))
    };
    let bind = if at.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(bind).map_err(unreachable)?;
    socket.connect(at).map_err(unreachable)?;
    socket.set_read_timeout(Some(WAIT)).map_err(unreachable)?;
    let cookie = format!("tandem{}", std::process::id());
    let message = request.encode(&cookie, Encoding::Json);
    let mut buffer = vec![0; REPLY_BYTES_MAX];
    let mut last = std::io::Error::from(std::io::ErrorKind::TimedOut);
    for _ in 0..TRIES {
        socket.send(&message).map_err(unreachable)?;
        match socket.recv(&mut buffer) {
            Ok(length) => {
                let frame = Frame::split(&buffer[..length]).ok();
                if let Some(frame) = frame.filter(|frame| frame.cookie == cookie.as_bytes()) {
                    let answer = serde_json::from_slice(frame.body);
                    return answer.map_err(|error| Failure::Failed(error.to_string()));
                }
            }
            Err(error) => last = error,
        }
    }
    Err(unreachable(last))
}

/// How long an answer may take before the question is asked again.
const WAIT: Duration = Duration::from_secs(1);
const TRIES: u32 = 3;
/// The longest datagram there is.
const REPLY_BYTES_MAX: usize = 65_535;
