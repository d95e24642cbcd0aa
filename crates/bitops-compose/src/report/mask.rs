//! BitOps' `bitops.logging.masks`: what they hide in BitOps' output is also hidden in this
//! program's.
//!
//! Masks are applied to texts before the texts are quoted, escaped or styled, because a quoted text
//! may no longer match. If a mask cannot be applied, the text is withheld.

use std::{
    borrow::Cow,
    io,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use compose_model::{Span, StyledText};
use compose_plan::compose::report::markdown::{plain, unescape};
use fancy_regex::{Captures, Regex, RegexBuilder};
use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, PrettyFormatter};

use super::{
    log_settings::{InvalidMask, LogSettings},
    python_re,
};

/// The number of masks that are read.
const MAX_MASKS: usize = 256;
/// The most bytes that a compiled mask takes.
const MAX_COMPILED: usize = 512 << 10;

/// The text that replaces one to which the masks cannot be applied.
const WITHHELD: &str = "[withheld: a mask of bitops.logging.masks could not be applied]\n";

/// The masks of the config that this process has read.
static CURRENT: Mutex<Option<Arc<Masks>>> = Mutex::new(None);

/// The masks of a config.
#[derive(Debug)]
pub(crate) enum Masks {
    /// Pairs of a regular expression and its replacement, applied in order.
    Rules(Vec<(Regex, String)>),
    /// At least one mask cannot be read, so every text is withheld.
    Unreadable,
}

impl Default for Masks {
    fn default() -> Self {
        Self::Rules(Vec::new())
    }
}

/// A part of a text and its replacement.
type Replaced = (Range<usize>, String);

impl Masks {
    /// Compiles the masks, whose `search` is a Python regular expression and whose `replace` is a
    /// Python template.
    pub(crate) fn of(settings: &LogSettings) -> Result<Self, InvalidMask> {
        let mut rules = Vec::new();
        let masks = settings.masks.clone()?;
        if masks.len() > MAX_MASKS {
            return Err(InvalidMask::TooMany);
        }
        for (index, (search, replace)) in masks.iter().enumerate() {
            let compiled = |pattern: String| {
                let mut builder = RegexBuilder::new(&pattern);
                builder.delegate_size_limit(MAX_COMPILED).build().ok()
            };
            let regex = python_re::pattern(search).and_then(compiled);
            let regex = regex.ok_or(InvalidMask::Pattern(index))?;
            let with = python_re::template(replace).ok_or(InvalidMask::Template(index))?;
            rules.push((regex, with));
        }
        Ok(Self::Rules(rules))
    }

    /// Adds the masks of another config.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Rules(mut rules), Self::Rules(others)) => {
                rules.extend(others);
                Self::Rules(rules)
            }
            _ => Self::Unreadable,
        }
    }

    /// Makes these the masks of everything that this process prints from now on.
    pub(crate) fn adopt(self) -> Arc<Self> {
        let masks = Arc::new(self);
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Some(Arc::clone(&masks));
        masks
    }

    /// Returns the masks that were adopted last. There are none before a config is read.
    pub(super) fn current() -> Arc<Self> {
        let current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        current.clone().unwrap_or_default()
    }

    /// Returns whether texts are shown as they are.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Rules(rules) if rules.is_empty())
    }

    /// Returns whether every text is withheld.
    pub(super) fn is_unreadable(&self) -> bool {
        matches!(self, Self::Unreadable)
    }

    fn rules(&self) -> &[(Regex, String)] {
        match self {
            Self::Rules(rules) => rules,
            Self::Unreadable => &[],
        }
    }

    pub(crate) fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.is_unreadable() {
            return Cow::Borrowed(WITHHELD.trim_end());
        }
        self.rules()
            .iter()
            .fold(Cow::Borrowed(text), |text, (regex, with)| {
                match regex.try_replacen(&text, 0, with.as_str()) {
                    Ok(Cow::Owned(masked)) => Cow::Owned(masked),
                    Ok(Cow::Borrowed(_)) => text,
                    // Backtracking exceeded its limit.
                    Err(_) => Cow::Borrowed(WITHHELD),
                }
            })
    }

    /// Applies the masks to a text with styles. A mask sees only the text.
    pub(crate) fn apply_to_styled(&self, text: &mut StyledText) {
        if self.is_unreadable() {
            *text = WITHHELD.to_owned().into();
        }
        for (regex, with) in self.rules() {
            match replacements(regex, with, text.as_str()) {
                Some(parts) => text.replace(&parts),
                None => *text = WITHHELD.to_owned().into(),
            }
        }
    }

    /// Applies the masks to a text in which a part is marked. Returns `None` if the text is withheld,
    /// or if its lines are no longer those of the original.
    pub(super) fn apply_to_marked(&self, text: &str, span: &Span) -> Option<(String, Span)> {
        if self.is_unreadable() {
            return None;
        }
        let mut text = text.to_owned();
        let mut span = span.start.min(text.len())..span.end.min(text.len());
        for (regex, with) in self.rules() {
            let parts = replacements(regex, with, &text)?;
            for (part, new) in parts.iter().rev() {
                let breaks = |text: &str| text.matches('\n').count();
                if breaks(&text[part.clone()]) != breaks(new) {
                    return None;
                }
                // A mark that begins or ends in a hidden part includes the replacement.
                let moved = |at: usize, inside: usize| match at {
                    at if at <= part.start => at,
                    at if at >= part.end => at - part.len() + new.len(),
                    _ => inside,
                };
                span = moved(span.start, part.start)..moved(span.end, part.start + new.len());
                text.replace_range(part.clone(), new);
            }
        }
        Some((text, span))
    }

    /// Applies the masks to a page whose texts were escaped by [`plain`].
    pub(super) fn apply_to_markdown(&self, page: &str) -> String {
        let mut page = page.to_owned();
        for (regex, with) in self.rules() {
            let (text, places) = unescape(&page);
            let Some(parts) = replacements(regex, with, &text) else {
                return WITHHELD.to_owned();
            };
            for (part, new) in parts.iter().rev() {
                page.replace_range(places[part.start]..places[part.end], &plain(new));
            }
        }
        page
    }

    /// Returns a value as indented JSON, in which the masks are applied to every text but the keys.
    pub(super) fn to_json(&self, value: &impl Serialize) -> serde_json::Result<String> {
        self.serialize(value, PrettyFormatter::new())
    }

    /// Returns a value as JSON on one line, in which the masks are applied to every text but the
    /// keys.
    pub(super) fn to_json_line(&self, value: &impl Serialize) -> serde_json::Result<String> {
        self.serialize(value, CompactFormatter)
    }

    fn serialize(&self, value: &impl Serialize, formatter: impl Formatter) -> serde_json::Result<String> {
        let mut out = Vec::new();
        let formatter = MaskingFormatter {
            inner: formatter,
            masks: self,
            text: String::new(),
            is_key: false,
        };
        value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, formatter))?;
        String::from_utf8(out).map_err(serde::ser::Error::custom)
    }
}

/// Returns the parts of a text that a mask replaces, or `None` if matching takes too long.
fn replacements(regex: &Regex, with: &str, text: &str) -> Option<Vec<Replaced>> {
    let mut parts = Vec::new();
    let replaced = regex.try_replacen(text, 0, |found: &Captures<'_, str>| {
        let mut new = String::new();
        found.expand(with, &mut new);
        parts.extend(found.get(0).map(|whole| (whole.range(), new.clone())));
        new
    });
    replaced.is_ok().then_some(parts)
}

/// A formatter of JSON that collects each text, applies the masks once it is complete, and writes
/// it.
struct MaskingFormatter<'m, F> {
    inner: F,
    masks: &'m Masks,
    text: String,
    is_key: bool,
}

impl<F: Formatter> Formatter for MaskingFormatter<'_, F> {
    fn begin_string<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.text.clear();
        Ok(())
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, _: &mut W, text: &str) -> io::Result<()> {
        self.text.push_str(text);
        Ok(())
    }

    fn write_char_escape<W: ?Sized + io::Write>(&mut self, _: &mut W, escape: CharEscape) -> io::Result<()> {
        self.text.push(match escape {
            CharEscape::Quote => '"',
            CharEscape::ReverseSolidus => '\\',
            CharEscape::Solidus => '/',
            CharEscape::Backspace => '\u{8}',
            CharEscape::FormFeed => '\u{c}',
            CharEscape::LineFeed => '\n',
            CharEscape::CarriageReturn => '\r',
            CharEscape::Tab => '\t',
            CharEscape::AsciiControl(byte) => char::from(byte),
        });
        Ok(())
    }

    fn end_string<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        let shown = if self.is_key {
            Cow::Borrowed(self.text.as_str())
        } else {
            self.masks.apply(&self.text)
        };
        Ok(serde_json::to_writer(out, &*shown)?)
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.inner.begin_array(out)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.inner.end_array(out)
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.inner.begin_array_value(out, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.inner.end_array_value(out)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.inner.begin_object(out)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.inner.end_object(out)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.is_key = true;
        self.inner.begin_object_key(out, first)
    }

    fn end_object_key<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.is_key = false;
        self.inner.end_object_key(out)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.inner.begin_object_value(out)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.inner.end_object_value(out)
    }
}

#[cfg(test)]
mod tests {
    use compose_model::styled;

    use super::*;

    fn masks<const N: usize>(pairs: [(&str, &str); N]) -> Masks {
        let masks = pairs.map(|(search, replace)| (search.to_owned(), replace.to_owned()));
        Masks::of(&LogSettings {
            masks: Ok(masks.to_vec()),
            ..LogSettings::default()
        })
        .unwrap()
    }

    #[test]
    fn masks_are_pythons() {
        let masks = masks([(r"(?<=token=)\w+", "***"), (r"(user)-(\w+)", r"\1-\g<1>$")]);
        assert_eq!(masks.apply("token=abc user-bob"), "token=*** user-user$");
    }

    #[test]
    fn one_unreadable_mask_withholds_everything() {
        let settings = LogSettings {
            masks: Ok(vec![("a".into(), "b".into()), ("(".into(), "x".into())]),
            ..LogSettings::default()
        };
        assert_eq!(Masks::of(&settings).unwrap_err(), InvalidMask::Pattern(1));
        let masks = Masks::Unreadable;
        assert_eq!(masks.apply("secret"), WITHHELD.trim_end());
        assert_eq!(masks.apply_to_marked("secret", &(0..6)), None);
        let json = masks.to_json_line(&["secret"]).unwrap();
        assert!(!json.contains("secret"), "{json}");
        let mut text = StyledText::from("secret".to_owned());
        masks.apply_to_styled(&mut text);
        assert_eq!(text.as_str(), WITHHELD);
    }

    #[test]
    fn styles_hide_nothing_from_a_mask() {
        let hiding = masks([(r"(token)=\w+", r"\1=***"), (r"\*+ b", "* b")]);
        let mut text = StyledText::new();
        text.push("token=");
        text.push_styled(styled::ADDED, "secret");
        text.push(" b ");
        text.push_styled(styled::ERROR, "token=x");
        let plain = hiding.apply(text.as_str()).into_owned();
        hiding.apply_to_styled(&mut text);
        assert_eq!(text.as_str(), plain);
        assert_eq!(plain, "token=* b token=***");
        assert!(text.to_ansi().ends_with("\u{1b}[31mtoken=***\u{1b}[0m"));
        // Backtracking exceeds its limit.
        let hiding = masks([("(?:(?=x)x+(?=x)x+)+(?=y)", "")]);
        let mut text = StyledText::from("x".repeat(200));
        hiding.apply_to_styled(&mut text);
        assert_eq!(text.as_str(), WITHHELD);
    }

    #[test]
    fn masked_json_is_json_with_the_same_keys() {
        let masks = masks([("(?s)token=.*", "\"hidden\""), ("\"b\"", "c:\\\\")]);
        let value = serde_json::json!({"token=": ["a \"b\" token=abc\n", "\\", 1], "x": {"y": null}});
        let expected = serde_json::json!({"token=": ["a c:\\ \"hidden\"", "\\", 1], "x": {"y": null}});
        let masked = masks.to_json(&value).unwrap();
        assert_eq!(masked, serde_json::to_string_pretty(&expected).unwrap());
        let masked = masks.to_json_line(&value).unwrap();
        assert_eq!(masked, expected.to_string());
    }

    #[test]
    fn a_mark_stays_on_its_text() {
        let masks = masks([("secret", "*"), ("(?s)one.*two", "three")]);
        let marked = |text: &str, span: Span| {
            let (text, span) = masks.apply_to_marked(text, &span)?;
            Some(format!(
                "{}<{}>{}",
                &text[..span.start],
                &text[span.clone()],
                &text[span.end..]
            ))
        };
        assert_eq!(marked("a: secret # secret", 3..9).unwrap(), "a: <*> # *");
        assert_eq!(marked("secret: b # secret", 8..9).unwrap(), "*: <b> # *");
        assert_eq!(marked("a: secretary", 5..12).unwrap(), "a: <*ary>");
        assert_eq!(marked("one, two: x", 10..11).unwrap(), "three: <x>");
        assert_eq!(marked("one\ntwo: x", 9..10), None);
    }

    #[test]
    fn escaped_markdown_hides_nothing_from_a_mask() {
        let masks = masks([(r"password: \w+", "*|*")]);
        let page = format!("| {} |\n", plain("x password: hunter2!"));
        assert_eq!(
            masks.apply_to_markdown(&page),
            format!("| {} |\n", plain("x *|*!"))
        );
    }
}
