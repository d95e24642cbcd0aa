//! Writes `tracing` events to stderr, at BitOps' own level.

use std::{
    borrow::Cow,
    io::{self, Write},
    sync::Arc,
};

use compose_model::env;
use tracing_subscriber::{
    filter::LevelFilter,
    fmt::{self, MakeWriter},
    prelude::*,
};

use crate::flags;

use super::{github::guard, log_settings::LogSettings, mask::Masks, pipe::write_stderr};

/// Starts logging. [`env::BITOPS_LOGGING_LEVEL`] takes precedence over the configs.
///
/// With `runner`, a runner of a CI reads the log and must not take anything in it for a command.
pub(crate) fn init(settings: &LogSettings, json: bool, colour: bool, runner: bool, masks: &Arc<Masks>) {
    let level = std::env::var(env::BITOPS_LOGGING_LEVEL)
        .ok()
        .or_else(|| settings.level.clone());
    let flags = flags::get();
    let level = match level.as_deref() {
        _ if flags.quiet => LevelFilter::ERROR,
        _ if flags.verbose => LevelFilter::DEBUG,
        Some(level) => filter(level),
        None => LevelFilter::INFO,
    };
    let layer = fmt::layer()
        .with_writer(MaskedStderr {
            masks: Arc::clone(masks),
            json,
            runner,
        })
        .with_target(false);
    let registry = tracing_subscriber::registry();
    // A second call, as in tests, keeps the first subscriber.
    let _ = if json {
        registry
            .with(layer.json().flatten_event(true).with_filter(level))
            .try_init()
    } else {
        registry
            // Styles within a text would keep a mask from matching it.
            .with(
                layer
                    .without_time()
                    .with_ansi(colour && masks.is_empty())
                    .with_filter(level),
            )
            .try_init()
    };
}

/// A writer that applies the masks before it writes to stderr. The formatter writes an event in one
/// piece, so that a mask sees whole lines.
#[derive(Clone, Debug)]
struct MaskedStderr {
    masks: Arc<Masks>,
    /// Whether events are JSON objects.
    json: bool,
    /// Whether a runner reads the log.
    runner: bool,
}

impl MaskedStderr {
    fn mask<'a>(&self, event: &'a str) -> Cow<'a, str> {
        if self.masks.is_unreadable() {
            return Cow::Borrowed("");
        }
        if !self.json || self.masks.is_empty() {
            return self.masks.apply(event);
        }
        let masked = serde_json::from_str::<serde_json::Value>(event)
            .and_then(|event| self.masks.to_json_line(&event));
        Cow::Owned(masked.map_or_else(|_| String::new(), |line| line + "\n"))
    }
}

impl Write for MaskedStderr {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let event_text = String::from_utf8_lossy(event);
        let masked = self.mask(&event_text);
        if self.runner {
            write_stderr(guard(&masked, self.json).as_bytes())?;
        } else {
            write_stderr(masked.as_bytes())?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for MaskedStderr {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Converts the name of a Python log level, in any case. Any other name means this program's
/// default, `INFO`.
fn filter(name: &str) -> LevelFilter {
    match name.to_uppercase().as_str() {
        "DEBUG" => LevelFilter::DEBUG,
        "WARN" | "WARNING" => LevelFilter::WARN,
        "ERROR" | "CRITICAL" | "FATAL" => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    }
}
