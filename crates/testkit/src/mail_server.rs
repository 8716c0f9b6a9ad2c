//! A mail server (RFC 5321) that keeps what it is given, without TLS and passwords.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};

/// A running mail server; it ends with the process.
#[derive(Debug)]
pub struct MailServer {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<Mail>>>,
}

/// A mail that was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mail {
    /// MAIL FROM.
    pub from: String,
    /// Each RCPT TO.
    pub to: Vec<String>,
    /// Headers and body.
    pub text: String,
}

impl MailServer {
    /// Starts one on a free port of this machine.
    ///
    /// # Errors
    /// If there is no socket or no thread to be had.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("a port for mail")?;
        let address = listener.local_addr()?;
        let taken = Arc::<Mutex<Vec<Mail>>>::default();
        let place = Arc::clone(&taken);
        thread::Builder::new()
            .name("mail".into())
            .spawn(move || {
                for stream in listener.incoming().flatten() {
                    // Who hangs up has sent nothing.
                    let _ = serve(&stream, &place);
                }
            })
            .context("a thread for mail")?;
        Ok(Self { address, taken })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was given so far.
    #[must_use]
    pub fn mails(&self) -> Vec<Mail> {
        let taken = self.taken.lock();
        taken.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(stream: &TcpStream, place: &Mutex<Vec<Mail>>) -> io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let mut out = stream;
    let mut say = |line: &str| out.write_all(format!("{line}\r\n").as_bytes());
    let mut mail = Mail::default();
    say("220 mail.example")?;
    while let Some(line) = lines.next().transpose()? {
        let (word, rest) = line.split_at(line.len().min(4));
        match word.to_ascii_uppercase().as_str() {
            "EHLO" | "HELO" => say("250 mail.example")?,
            "MAIL" => {
                mail.from = address_of(rest);
                say("250 OK")?;
            }
            "RCPT" => {
                mail.to.push(address_of(rest));
                say("250 OK")?;
            }
            "DATA" => {
                say("354 go on")?;
                for line in lines.by_ref() {
                    let line = line?;
                    if line == "." {
                        break;
                    }
                    mail.text.push_str(line.strip_prefix('.').unwrap_or(&line));
                    mail.text.push('\n');
                }
                let taken = std::mem::take(&mut mail);
                place
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(taken);
                say("250 taken")?;
            }
            "QUIT" => return say("221 bye"),
            _ => say("250 OK")?,
        }
    }
    Ok(())
}

/// What stands between angle brackets.
fn address_of(text: &str) -> String {
    let inside = text
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    inside.map_or("", |(address, _)| address).to_owned()
}
