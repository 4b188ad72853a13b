//! The log on stderr: `tracing` carries the lines, as text for people or as JSON for programs.

use std::fmt;
use std::io::IsTerminal;

use tracing::field::{Field, Visit};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::event::{Event, Level};
use super::{json, text};

/// Form of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// One line for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Target of the journal's own events; everything else comes from libraries.
const TARGET: &str = "bootlace::journal";

/// Starts the log of this process: warnings of libraries and everything of ours at info and above;
/// `BOOTLACE_LOG` takes a filter such as `debug` or `bootlace=debug`.
pub fn start(format: LogFormat) {
    let filter = std::env::var("BOOTLACE_LOG").unwrap_or_else(|_| "warn,bootlace=info".to_owned());
    let filter = tracing_subscriber::EnvFilter::new(filter);
    let colour = format == LogFormat::Text
        && std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none();
    // A second start in one process (tests) keeps the first.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .event_format(Lines { format })
        .try_init();
}

/// Writes one event.
pub(super) fn emit(event: &Event) {
    let (level, name, fields) = json::of(event);
    let line = text::of(event);
    let json = serde_json::Value::Object(fields).to_string();
    match level {
        Level::Debug => tracing::debug!(target: TARGET, name, json, line),
        Level::Info => tracing::info!(target: TARGET, name, json, line),
        Level::Warn => tracing::warn!(target: TARGET, name, json, line),
        Level::Error => tracing::error!(target: TARGET, name, json, line),
    }
}

struct Lines {
    format: LogFormat,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    #[allow(clippy::disallowed_methods, reason = "the log's edge: lines are stamped here")]
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let now = jiff::Timestamp::now();
        let level = *event.metadata().level();
        match self.format {
            LogFormat::Json => {
                let level = level.as_str().to_ascii_lowercase();
                let rest = fields.json.unwrap_or_else(|| {
                    serde_json::json!({"text": fields.message, "target": event.metadata().target()})
                        .to_string()
                });
                let name = fields.name.as_deref().unwrap_or("library");
                let rest = rest.trim_start_matches('{');
                let comma = if rest == "}" { "" } else { "," };
                writeln!(
                    out,
                    "{{\"time\":\"{now:.6}\",\"level\":\"{level}\",\"event\":\"{name}\"{comma}{rest}"
                )
            }
            LogFormat::Text => {
                let line = fields.line.unwrap_or(fields.message);
                let local = now.to_zoned(jiff::tz::TimeZone::system());
                let (mark, colour) = match level {
                    tracing::Level::ERROR => ("error: ", "\x1b[31m"),
                    tracing::Level::WARN => ("warning: ", "\x1b[33m"),
                    _ => ("", ""),
                };
                let stamp = local.strftime("%H:%M:%S%.6f");
                if out.has_ansi_escapes() {
                    let reset = if colour.is_empty() { "" } else { "\x1b[0m" };
                    writeln!(out, "\x1b[2m{stamp}\x1b[0m {colour}{mark}{reset}{line}")
                } else {
                    writeln!(out, "{stamp} {mark}{line}")
                }
            }
        }
    }
}

#[derive(Default)]
struct Fields {
    name: Option<String>,
    json: Option<String>,
    line: Option<String>,
    message: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "name" => self.name = Some(value.to_owned()),
            "json" => self.json = Some(value.to_owned()),
            "line" => self.line = Some(value.to_owned()),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = crate::dhcp::catalogue::print::escaped(format!("{value:?}").as_bytes());
        }
    }
}
