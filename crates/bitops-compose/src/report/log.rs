//! `tracing` on stderr, at BitOps' own level.

use std::{
    io::{self, Write},
    sync::Arc,
};

use compose_model::env;
use tracing_subscriber::{
    filter::LevelFilter,
    fmt::{self, MakeWriter},
    prelude::*,
};

use super::{github::guard, mask::Masks, pipe::write_stderr};

/// `bitops.logging` of the environment's config, else of the image's.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LogSettings {
    pub(crate) level: Option<String>,
    pub(crate) colour: Option<bool>,
    pub(crate) masks: Vec<(String, String)>,
}

impl LogSettings {
    /// Reads what BitOps reads. A config that does not parse has no say.
    pub(crate) fn read(config: &str) -> Self {
        let logging = serde_yaml::from_str::<serde_yaml::Value>(config)
            .ok()
            .and_then(|value| value.get("bitops")?.get("logging").cloned())
            .unwrap_or_default();
        let masks = logging
            .get("masks")
            .and_then(serde_yaml::Value::as_sequence)
            .into_iter()
            .flatten();
        Self {
            level: logging
                .get("level")
                .and_then(serde_yaml::Value::as_str)
                .map(ToOwned::to_owned),
            colour: logging
                .get("color")
                .and_then(|color| color.get("enabled")?.as_bool()),
            masks: masks
                .filter_map(|mask| {
                    Some((
                        mask.get("search")?.as_str()?.to_owned(),
                        mask.get("replace")?.as_str()?.to_owned(),
                    ))
                })
                .collect(),
        }
    }

    /// Takes from `image` what this one leaves open.
    pub(crate) fn or(self, image: Self) -> Self {
        Self {
            level: self.level.or(image.level),
            colour: self.colour.or(image.colour),
            masks: if self.masks.is_empty() {
                image.masks
            } else {
                self.masks
            },
        }
    }
}

/// Starts logging. [`env::BITOPS_LOGGING_LEVEL`] comes before the configs.
/// `github`: a runner reads the log, and must not take anything in it for a command.
pub(crate) fn init(settings: &LogSettings, json: bool, colour: bool, github: bool, masks: &Arc<Masks>) {
    let level = std::env::var(env::BITOPS_LOGGING_LEVEL)
        .ok()
        .or_else(|| settings.level.clone());
    let level = level.as_deref().map_or(LevelFilter::INFO, filter);
    let layer = fmt::layer()
        .with_writer(MaskedStderr {
            masks: Arc::clone(masks),
            guard: github.then_some(json),
        })
        .with_target(false);
    let registry = tracing_subscriber::registry();
    // A second call (tests) keeps the first subscriber.
    let _ = if json {
        registry
            .with(layer.json().flatten_event(true).with_filter(level))
            .try_init()
    } else {
        registry
            .with(layer.without_time().with_ansi(colour).with_filter(level))
            .try_init()
    };
}

/// Stderr behind the masks. The formatter writes an event in one piece, so that a mask sees whole lines.
#[derive(Clone, Debug)]
struct MaskedStderr {
    masks: Arc<Masks>,
    /// Behind the guard of a runner's log, too; is the event JSON?
    guard: Option<bool>,
}

impl Write for MaskedStderr {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let event_text = String::from_utf8_lossy(event);
        let masked = self.masks.apply(&event_text);
        match self.guard {
            Some(json) => write_stderr(guard(&masked, json).as_bytes())?,
            None => write_stderr(masked.as_bytes())?,
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

/// Python's level names, in any case; anything else counts as BitOps' default of this program: `INFO`.
fn filter(name: &str) -> LevelFilter {
    match name.to_uppercase().as_str() {
        "DEBUG" => LevelFilter::DEBUG,
        "WARN" | "WARNING" => LevelFilter::WARN,
        "ERROR" | "CRITICAL" | "FATAL" => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environments_logging_comes_before_the_images() {
        let user = LogSettings::read("bitops:\n  logging:\n    level: DEBUG\n");
        let image = LogSettings::read(
            "bitops:\n  logging:\n    level: WARNING\n    color: {enabled: true}\n    masks: [{search: a, replace: b}]\n",
        );
        let both = user.or(image);
        assert_eq!(both.level.as_deref(), Some("DEBUG"));
        assert_eq!(both.colour, Some(true));
        assert_eq!(both.masks, [("a".to_owned(), "b".to_owned())]);
        assert_eq!(LogSettings::read("{"), LogSettings::default());
    }
}
