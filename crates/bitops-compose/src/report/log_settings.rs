//! BitOps' own settings of logging, `bitops.logging`.

use compose_model::Diagnostic;
use compose_yaml::{Kind, Scalar, Tree};

/// The settings in `bitops.logging` of the environment's config, or else of the image's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogSettings {
    pub(crate) level: Option<String>,
    pub(crate) colour: Option<bool>,
    /// The pairs of `search` and `replace`, in order.
    pub(crate) masks: Result<Vec<(String, String)>, InvalidMask>,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            level: None,
            colour: None,
            masks: Ok(Vec::new()),
        }
    }
}

/// Why `bitops.logging.masks` cannot be applied. The texts of the masks are not shown, because they
/// may contain what they hide. Masks are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidMask {
    /// The config mentions masks and cannot be read. The line and the column are counted from 1.
    #[error(
        "bitops.logging.masks cannot be read, because the config is not valid YAML at line {0}, column {1}"
    )]
    Config(usize, usize),
    /// The value of the key is not a list.
    #[error("bitops.logging.masks is not a list")]
    NoList,
    /// A mask is not a mapping with two texts.
    #[error("bitops.logging.masks[{0}] is not a mapping whose `search` and `replace` are texts")]
    Form(usize),
    /// There are more masks than are read.
    #[error("bitops.logging.masks has more than 256 masks")]
    TooMany,
    /// The regular expression is invalid or not supported.
    #[error("`search` of bitops.logging.masks[{0}] is not a supported regular expression")]
    Pattern(usize),
    /// The template is invalid.
    #[error("`replace` of bitops.logging.masks[{0}] is not a valid template")]
    Template(usize),
}

impl InvalidMask {
    /// Returns the warning that explains why everything else is withheld.
    pub(crate) fn warning(self) -> Diagnostic {
        Diagnostic::warning(format!(
            "{self}, so nothing is shown that it may be meant to hide"
        ))
        .hint(match self {
            Self::Config(..) => "correct the config",
            _ => "correct it or remove it; quote texts that look like numbers, dates or booleans",
        })
    }
}

impl LogSettings {
    /// Reads the settings that BitOps reads. A config that does not parse sets nothing, and has masks
    /// that cannot be read if it mentions any.
    pub(crate) fn read(config: &str) -> Self {
        let tree = match Tree::parse(config) {
            Ok(tree) => tree,
            Err(error) => {
                let (line, column) = error.line_column(config);
                let masks = if config.contains("masks") {
                    Err(InvalidMask::Config(line, column))
                } else {
                    Ok(Vec::new())
                };
                return Self {
                    masks,
                    ..Self::default()
                };
            }
        };
        Self::of(&tree).unwrap_or_default()
    }

    fn of(tree: &Tree) -> Option<Self> {
        let logging = tree.find(&["bitops", "logging"])?;
        let text = |map, key: &str| match tree.scalar(tree.get(map, key)?)? {
            Scalar::String(text) => Some(text.into_string()),
            _ => None,
        };
        let masks = match tree.get(logging, "masks") {
            None => Ok(Vec::new()),
            Some(masks) if tree.node(tree.resolve(masks)).is_null() => Ok(Vec::new()),
            Some(masks) if matches!(tree.node(tree.resolve(masks)).kind, Kind::Sequence { .. }) => {
                let pair = |(index, mask)| {
                    let pair = text(mask, "search").zip(text(mask, "replace"));
                    pair.ok_or(InvalidMask::Form(index))
                };
                tree.items(masks).enumerate().map(pair).collect()
            }
            Some(_) => Err(InvalidMask::NoList),
        };
        Some(Self {
            level: text(logging, "level"),
            colour: tree.get(logging, "color").and_then(|color| {
                match tree.scalar(tree.get(color, "enabled")?)? {
                    Scalar::Bool(enabled) => Some(enabled),
                    _ => None,
                }
            }),
            masks,
        })
    }

    /// Returns these settings, with those of `image` where they are not set.
    pub(crate) fn or(self, image: Self) -> Self {
        Self {
            level: self.level.or(image.level),
            colour: self.colour.or(image.colour),
            masks: match self.masks {
                Ok(masks) if masks.is_empty() => image.masks,
                masks => masks,
            },
        }
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
        assert_eq!(both.masks, Ok(vec![("a".to_owned(), "b".to_owned())]));
        assert_eq!(LogSettings::read("{"), LogSettings::default());
    }

    #[test]
    fn settings_are_read_as_pyyaml_reads_them() {
        let settings = LogSettings::read(
            "x: 1\nx: [\n  2\n]\nbase: &base {color: {enabled: on}, level: 10}\nbitops:\n  logging:\n    \
             <<: *base\n    masks: []\n    masks:\n    - {search: &secret s, replace: '***'}\n    \
             - {search: *secret, replace: x}\n",
        );
        let masks =
            [("s", "***"), ("s", "x")].map(|(search, replace)| (search.to_owned(), replace.to_owned()));
        assert_eq!((settings.level, settings.colour), (None, Some(true)));
        assert_eq!(settings.masks, Ok(masks.to_vec()));
    }

    #[test]
    fn masks_are_found_however_they_are_written() {
        let masks = Ok(vec![("s".to_owned(), "x".to_owned())]);
        for text in [
            "\u{feff}bitops: {logging: {masks: [{search: s, replace: x}]}}\n",
            "base: &base {masks: [{search: s, replace: x}]}\nbitops: {logging: {<<: *base}}\n",
            "base: &base {search: s}\nbitops: {logging: {masks: [{<<: *base, replace: x}]}}\n",
            "base: &base {logging: {masks: [{search: s, replace: x}]}}\nbitops:\n  <<: *base\n",
            "bitops: {}\nbitops: {logging: {masks: [{search: s, search: s, replace: y, replace: x}]}}\n",
        ] {
            assert_eq!(LogSettings::read(text).masks, masks, "{text}");
        }
    }

    #[test]
    fn a_mask_that_cannot_be_read_is_not_left_out() {
        for (text, why) in [
            (
                "[{search: s, replace: x}, {search: a, replace: 0}]",
                InvalidMask::Form(1),
            ),
            ("[{search: 1, replace: y}]", InvalidMask::Form(0)),
            ("[{search: s}]", InvalidMask::Form(0)),
            ("[secret]", InvalidMask::Form(0)),
            ("{search: s, replace: x}", InvalidMask::NoList),
        ] {
            let text = format!("bitops: {{logging: {{masks: {text}}}}}\n");
            assert_eq!(LogSettings::read(&text).masks, Err(why), "{text}");
        }
        let broken = LogSettings::read("bitops: {logging: {masks: [{search: s, replace: x}]}}\nx: @\n");
        assert_eq!(broken.masks, Err(InvalidMask::Config(2, 4)));
        let none = LogSettings::read("bitops: {logging: {masks: }}\n");
        assert_eq!(none.masks, Ok(Vec::new()));
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
