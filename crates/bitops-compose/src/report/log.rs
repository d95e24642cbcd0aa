//! `tracing` on stderr, at BitOps' own level.

use std::{
    io::{self, Write},
    sync::Arc,
};

use compose_model::env;
use compose_yaml::{NodeId, Scalar, Tree};
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
    /// Reads what BitOps reads. A config that does not parse sets nothing.
    pub(crate) fn read(config: &str) -> Self {
        let settings = Tree::parse(config).ok().and_then(|tree| {
            let logging = tree.find(&["bitops", "logging"])?;
            let text = |map, key: &str| match tree.scalar(tree.get(map, key)?)? {
                Scalar::String(text) => Some(text.into_string()),
                _ => None,
            };
            let masks = tree
                .get(logging, "masks")
                .map(|masks| tree.items(masks).collect());
            let masks: Vec<NodeId> = masks.unwrap_or_default();
            Some(Self {
                level: text(logging, "level"),
                colour: tree.get(logging, "color").and_then(|color| {
                    match tree.scalar(tree.get(color, "enabled")?)? {
                        Scalar::Bool(enabled) => Some(enabled),
                        _ => None,
                    }
                }),
                masks: masks
                    .into_iter()
                    .filter_map(|mask| Some((text(mask, "search")?, text(mask, "replace")?)))
                    .collect(),
            })
        });
        settings.unwrap_or_default()
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

    #[test]
    fn settings_are_read_as_pyyaml_reads_them() {
        let settings = LogSettings::read(
            "x: 1\nx: [\n  2\n]\nbase: &base {color: {enabled: on}, level: 10}\nbitops:\n  logging:\n    \
             <<: *base\n    masks: []\n    masks:\n    - {search: &secret s, replace: '***'}\n    \
             - {search: *secret, replace: x}\n    - {search: 1, replace: y}\n",
        );
        let masks =
            [("s", "***"), ("s", "x")].map(|(search, replace)| (search.to_owned(), replace.to_owned()));
        assert_eq!((settings.level, settings.colour), (None, Some(true)));
        assert_eq!(settings.masks, masks);
    }

    #[test]
    fn a_hostile_config_is_read_soon() {
        let started = std::time::Instant::now();
        let text = format!(
            "bitops: {{logging: {{level: DEBUG}}}}\nx: {}",
            "[".repeat(100_000)
        );
        assert_eq!(LogSettings::read(&text), LogSettings::default());
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    }
}
