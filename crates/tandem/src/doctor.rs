//! `tandem doctor`: what would stop calls on this machine, and what to do about it.
//!
//! Everything is looked up locally; no platform has to run, nothing is changed, no packet is sent. A
//! platform that runs on this data directory is asked what it knows of other clocks.

mod address;
mod clock;
pub(crate) mod dispatcher;
mod limits;
mod port;

use clap::Args;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::global::{Format, Global};
use crate::output;
use crate::ports::PortFlags;

/// What the platform would be started with.
#[derive(Args, Debug)]
pub(crate) struct DoctorFlags {
    #[command(flatten)]
    ports: PortFlags,
}

/// Looks, and prints a line for each thing. Fails if anything stops calls for certain.
pub(crate) fn run(global: &Global, flags: &DoctorFlags) -> Result<(), Failure> {
    let mut findings = port::check(&flags.ports, &global.data);
    findings.extend(address::check(&flags.ports));
    findings.extend(clock::check());
    findings.extend(clock::compare(global));
    findings.extend(limits::check(&flags.ports));
    report(global, &findings)
}

/// Prints the findings; fails if anything stops calls for certain.
fn report(global: &Global, findings: &[Finding]) -> Result<(), Failure> {
    if global.output == Format::Table {
        output::print(&findings.iter().map(Finding::line).collect::<String>())?;
    } else {
        let items: Vec<Value> = findings.iter().map(Finding::value).collect();
        output::list(global, &items, &[])?;
    }
    match findings
        .iter()
        .filter(|finding| finding.level == Level::Fail)
        .count()
    {
        0 => Ok(()),
        1 => Err(Failure::Failed(
            "one thing stops calls; the line that begins with FAIL says what to do".into(),
        )),
        n => Err(Failure::Failed(format!(
            "{n} things stop calls; the lines that begin with FAIL say what to do"
        ))),
    }
}

/// What was found about one thing.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    level: Level,
    subject: &'static str,
    message: String,
    /// What to do; empty if nothing.
    advice: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// As it should be.
    Ok,
    /// Calls work, but not all, or not well.
    Warn,
    /// Calls do not work.
    Fail,
}

impl Finding {
    fn ok(subject: &'static str, message: impl Into<String>) -> Self {
        Self {
            level: Level::Ok,
            subject,
            message: message.into(),
            advice: String::new(),
        }
    }

    fn warn(subject: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            level: Level::Warn,
            subject,
            message: message.into(),
            advice: advice.into(),
        }
    }

    fn fail(subject: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            level: Level::Fail,
            subject,
            message: message.into(),
            advice: advice.into(),
        }
    }

    fn line(&self) -> String {
        let level = match self.level {
            Level::Ok => "OK  ",
            Level::Warn => "WARN",
            Level::Fail => "FAIL",
        };
        let advice = if self.advice.is_empty() {
            String::new()
        } else {
            format!("\n{:15}-> {}", "", self.advice)
        };
        format!("{level}  {:8} {}{advice}\n", self.subject, self.message)
    }

    fn value(&self) -> Value {
        let level = match self.level {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "fail",
        };
        json!({ "level": level, "subject": self.subject, "message": self.message, "advice": self.advice })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_to_do() {
        assert_eq!(
            Finding::ok("clock", "it is right").line(),
            "OK    clock    it is right\n"
        );
        assert_eq!(
            Finding::fail("ports", "udp 5060 is taken", "stop it").line(),
            "FAIL  ports    udp 5060 is taken\n               -> stop it\n"
        );
    }
}
