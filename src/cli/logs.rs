//! Where log lines go: to the journal under systemd, else to standard error. `RUST_LOG` chooses how much.

use std::fmt;
use std::io::IsTerminal;

use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, layer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Alarms are written field by field, so that `journalctl RULE=...` finds them.
const ALARMS: &str = "emissiond::daemon::alarms";

pub(crate) fn logs() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,rumqttd=warn"));
    let registry = tracing_subscriber::registry().with(filter);
    let journald = std::env::var_os("JOURNAL_STREAM").and_then(|_| tracing_journald::layer().ok());
    let is_alarm = |of: &Metadata<'_>| of.target() == ALARMS;
    // A second call, as in tests, leaves the first in place.
    let _ = match journald {
        Some(fields) => {
            let fields = fields.with_field_prefix(None).with_filter(filter_fn(is_alarm));
            let lines = layer().event_format(Prefixed).with_writer(std::io::stderr);
            registry.with(fields).with(lines.with_filter(filter_fn(move |of| !is_alarm(of)))).try_init()
        }
        None => {
            registry.with(layer().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr)).try_init()
        }
    };
}

/// As the journal reads it from standard error: the priority first, then all there is to say; it has the time itself.
struct Prefixed;

impl<S, N> FormatEvent<S, N> for Prefixed
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(writer, "<{priority}>")?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
