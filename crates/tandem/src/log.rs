//! The log of a running platform, on standard error: logfmt or JSON, one line for each event.

use std::fmt;

use clap::ValueEnum;
use node::{LogLevel, LogRing};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use crate::failure::Failure;
use crate::moment;

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// A line of key=value pairs.
    Logfmt,
    /// A line with an object.
    Json,
}

/// Starts the log; `level` is a level or a filter as `info,call=debug`.
pub(crate) fn start(format: LogFormat, level: &str) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(level)
        .map_err(|e| Failure::Usage(format!("--log-level {level}: {e}")))?;
    let log = tracing_subscriber::registry().with(filter).with(Kept);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Logfmt => log.with(lines.event_format(Logfmt)).try_init(),
        LogFormat::Json => log.with(lines.json().flatten_event(true)).try_init(),
    };
    started.map_err(|e| Failure::Failed(format!("the log cannot be started: {e}")))
}

/// Keeps the last lines in memory, for whoever looks at the server in the panel.
struct Kept;

impl<S: Subscriber> Layer<S> for Kept {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let level = match *metadata.level() {
            Level::ERROR => LogLevel::Error,
            Level::WARN => LogLevel::Warn,
            Level::INFO => LogLevel::Info,
            Level::DEBUG => LogLevel::Debug,
            Level::TRACE => LogLevel::Trace,
        };
        let mut text = Text::default();
        event.record(&mut text);
        let Text { message, fields } = text;
        let text = message + &fields.line;
        LogRing::of_process().keep(
            moment::now_us(),
            level,
            metadata.target(),
            text.trim_start(),
        );
    }
}

/// What an event says, and its fields behind it.
#[derive(Default)]
struct Text {
    message: String,
    fields: Pairs,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            _ => self.fields.push(field, value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// Events as logfmt: `ts=… level=… target=… msg="…" key=value`.
struct Logfmt;

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let level = metadata.level().as_str().to_ascii_lowercase();
        let at = moment::exact_text(moment::now_us());
        write!(writer, "ts={at} level={level} target={}", metadata.target())?;
        let mut pairs = Pairs::default();
        event.record(&mut pairs);
        writeln!(writer, "{}", pairs.line)
    }
}

#[derive(Default)]
struct Pairs {
    line: String,
}

impl Pairs {
    fn push(&mut self, field: &Field, value: &str) {
        let key = if field.name() == "message" {
            "msg"
        } else {
            field.name()
        };
        let plain = !value.is_empty()
            && value
                .chars()
                .all(|c| c.is_ascii_graphic() && c != '"' && c != '=');
        let pair = if plain {
            format!(" {key}={value}")
        } else {
            format!(" {key}={value:?}")
        };
        self.line.push_str(&pair);
    }
}

impl Visit for Pairs {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let sink = Sink::default();
        let writer = sink.clone();
        let log = tracing_subscriber::fmt()
            .event_format(Logfmt)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(log, || {
            tracing::warn!(port = 5060, peer = "a=b\nlevel=error", "the port is taken");
        });
        let line = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        let (ts, rest) = line.split_once(' ').unwrap();
        assert!(ts.starts_with("ts=20") && ts.ends_with('Z'), "{ts}");
        assert_eq!(
            rest,
            "level=warn target=tandem::log::tests msg=\"the port is taken\" port=5060 peer=\"a=b\\nlevel=error\"\n"
        );
    }
}
