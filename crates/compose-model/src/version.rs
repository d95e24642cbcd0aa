//! The parsing of `version:` requests.
//!
//! A bare version is exact, as in Terraform and Helm (and unlike Cargo, where `1.0.0` means `^1.0.0`).

use semver::{Version, VersionReq};

use crate::text::escape;

/// The characters that comparators start with.
const OPERATORS: &str = "<>=~^";

/// The longest request that is read, in bytes.
const LONGEST: usize = 1_000;

/// A parsed version request. It keeps the text as written (`1.10` stays `1.10`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRequest {
    text: String,
    kind: VersionKind,
}

/// The types of requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionKind {
    /// `1.0.0`: the tag `1.0.0` or `v1.0.0`.
    Exact(Version),
    /// `1.0`, `2025.01.15`, `1.2.3.4`, `V1.0.0`: a tag with exactly this name. By semver's rules it is not a whole
    /// version.
    Partial,
    /// `^1.2`, `1.x`, `*`, `latest`: the highest matching tag.
    Range(VersionReq),
}

/// Why a text is not a version request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVersion {
    /// The text is empty.
    #[error("the version is empty")]
    Empty,
    /// The text is neither a version nor a range.
    #[error("`{0}` is neither a version nor a range")]
    Unknown(String),
    /// A version without an operator among comparators, which Cargo treats as `^`, npm as `=`, and
    /// users as either.
    #[error("`{bare}` has no operator in the range `{range}`")]
    Bare {
        /// The version without an operator.
        bare: String,
        /// The whole text.
        range: String,
    },
}

impl InvalidVersion {
    /// Returns what to write instead.
    pub fn hint(&self) -> String {
        match self {
            Self::Bare { bare, .. } => {
                format!("write `={bare}` or `^{bare}` there; alone, `{bare}` is exact")
            }
            Self::Unknown(text) if text.contains("~>") => explain_terraform_operator(text),
            Self::Unknown(text) if text.contains("||") => {
                "`||` is not supported: a range has one lower and one upper bound, such as `>=1.0, <3`"
                    .to_owned()
            }
            Self::Unknown(text) if text.contains(" - ") => {
                "write both bounds with operators, such as `>=1.0, <=2.0`".to_owned()
            }
            Self::Unknown(_) | Self::Empty => {
                let text = if let Self::Unknown(text) = self { text } else { "" };
                match operator_of_a_program(text) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => "such as `1.0.0`, `^1.2`, `>=1.0, <2` or `latest`; use `ref` for a branch or any other tag"
                        .to_owned(),
                }
            }
        }
    }
}

/// Returns the request for one that is spelt as in a programming language: `==1.0.0`, `=>1.0`, `≥1.0`, `LATEST`.
fn operator_of_a_program(text: &str) -> Option<String> {
    const MEANT: [(&str, &str); 5] = [("==", ""), ("=>", ">="), ("=<", "<="), ("≥", ">="), ("≤", "<=")];
    let spelt = MEANT.iter().fold(text.to_lowercase(), |text, (found, meant)| {
        text.replace(found, meant)
    });
    let spelt = spelt.trim_start_matches('=').trim();
    (spelt != text && VersionRequest::parse(spelt).is_ok()).then(|| spelt.to_owned())
}

/// Explains Terraform's pessimistic operator: `~> 1.2` allows a higher minor version, `~> 1.2.3` a
/// higher patch version.
fn explain_terraform_operator(text: &str) -> String {
    let version = text.rsplit("~>").next().unwrap_or_default().trim();
    let parts: Vec<&str> = version.split('.').collect();
    let known = |text: &str| VersionReq::parse(text).is_ok();
    let same = match parts.as_slice() {
        [major, _] if *major == "0" => format!(">={version}, <1"),
        [_, _, _] => format!("~{version}"),
        _ => format!("^{version}"),
    };
    if known(&same) {
        format!("`~>` is Terraform's: `{same}` is the same")
    } else {
        "`~>` is Terraform's: write `^1.2` for `~> 1.2`, and `~1.2.3` for `~> 1.2.3`".to_owned()
    }
}

impl VersionRequest {
    /// Parses a request.
    pub fn parse(text: &str) -> Result<Self, InvalidVersion> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(InvalidVersion::Empty);
        }
        if trimmed.len() > LONGEST {
            return Err(InvalidVersion::Unknown(escape(trimmed, 80)));
        }
        let kind = kind_of(trimmed)?;
        Ok(Self {
            text: trimmed.to_owned(),
            kind,
        })
    }

    /// Returns the text as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the type of the request.
    pub fn kind(&self) -> &VersionKind {
        &self.kind
    }
}

fn kind_of(text: &str) -> Result<VersionKind, InvalidVersion> {
    if text == "latest" || text == "*" {
        return Ok(VersionKind::Range(VersionReq::STAR));
    }
    let bare = text.strip_prefix('v').unwrap_or(text);
    if let Ok(version) = Version::parse(bare) {
        return Ok(VersionKind::Exact(version));
    }
    let parts: Vec<&str> = text.strip_prefix(['v', 'V']).unwrap_or(text).split('.').collect();
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if parts.len() <= 4 && parts.iter().all(is_number) {
        return Ok(VersionKind::Partial);
    }
    let unknown = || InvalidVersion::Unknown(escape(text, 80));
    // Comparators may be separated by commas, as in semver, or by spaces.
    let comparators: Vec<String> = text.split(',').flat_map(comparators).collect();
    let range = VersionReq::parse(&comparators.join(",")).map_err(|_| unknown())?;
    if text.split(',').any(|part| part.trim().is_empty()) {
        return Err(unknown());
    }
    // A comparator with neither an operator nor a wildcard.
    let is_bare = |text: &&String| text.starts_with(|c: char| c.is_ascii_digit()) && !is_wildcard(text);
    match comparators.iter().find(is_bare) {
        Some(bare) => Err(InvalidVersion::Bare {
            bare: escape(bare, 80),
            range: escape(text, 80),
        }),
        None => Ok(VersionKind::Range(range)),
    }
}

/// Returns whether a comparator has a wildcard (`1.x`, `1.2.*`). A pre-release may contain an `x`
/// of its own.
fn is_wildcard(comparator: &str) -> bool {
    comparator
        .split('.')
        .take(3)
        .any(|part| matches!(part, "x" | "X" | "*"))
}

/// Splits a text into comparators: `>=1.0 <2` has two, `>= 1.0` has one.
fn comparators(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let (operator, version) = word.split_at(word.find(|c| !OPERATORS.contains(c)).unwrap_or(word.len()));
        let comparator = format!("{operator}{}", version.strip_prefix('v').unwrap_or(version));
        match out
            .last_mut()
            .filter(|last| last.ends_with(|c| OPERATORS.contains(c)))
        {
            Some(open) => open.push_str(&comparator),
            None => out.push(comparator),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Option<VersionKind> {
        VersionRequest::parse(text).ok().map(|request| request.kind)
    }

    #[test]
    fn a_bare_version_is_exact_and_a_partial_one_is_a_name() {
        assert_eq!(kind("1.0.0"), Some(VersionKind::Exact(Version::new(1, 0, 0))));
        assert_eq!(kind("v1.0.0"), Some(VersionKind::Exact(Version::new(1, 0, 0))));
        assert_eq!(kind("1.10"), Some(VersionKind::Partial));
        assert_eq!(VersionRequest::parse("1.10").unwrap().as_str(), "1.10");
        for name in ["1", "2025.01.15", "1.2.3.4", "V1.0.0", "V2", "01.0.0", "1.09.0"] {
            assert_eq!(kind(name), Some(VersionKind::Partial), "{name}");
        }
    }

    #[test]
    fn ranges_accept_commas_and_spaces() {
        let wanted = Some(VersionKind::Range(VersionReq::parse(">=1.0, <2").unwrap()));
        for text in [">=1.0, <2", ">=1.0 <2", ">= 1.0 < 2", ">=v1.0,<v2"] {
            assert_eq!(kind(text), wanted, "{text}");
        }
        for range in [
            "1.x",
            "1.2.X",
            "1.*",
            "v1.x",
            "x",
            ">=1.0",
            "= 1.2.3",
            "=1",
            ">=1.0.0-rc.x, <2",
        ] {
            assert!(matches!(kind(range), Some(VersionKind::Range(_))), "{range}");
        }
        assert_eq!(kind("latest"), kind("*"));
    }

    #[test]
    fn a_bare_version_among_comparators_is_refused() {
        for (text, bare) in [
            ("1.2.3, <2", "1.2.3"),
            ("1.2.3 <2", "1.2.3"),
            (">=1.0 2.0.0", "2.0.0"),
            ("1.0 1.1", "1.0"),
            ("v1.0.0,v1.1.0", "1.0.0"),
            ("1.0.0-x 2.0.0", "1.0.0-x"),
        ] {
            let error = VersionRequest::parse(text).unwrap_err();
            let range = text.to_owned();
            assert_eq!(
                error,
                InvalidVersion::Bare {
                    bare: bare.to_owned(),
                    range
                },
                "{text}"
            );
        }
    }

    /// The texts include what YAML, other tools and calendars treat as numbers or versions.
    #[test]
    fn invalid_versions_are_refused_with_a_hint() {
        for text in [
            "main",
            "^^1",
            "1e3",
            "0x10",
            "1_0",
            "1_000",
            "2024-01-01",
            "1.2.3.4.5",
            "01.0.0-rc.1",
            "vV1.0.0",
            "12:30",
            "0o17",
            "yes",
            ".5",
            "5.",
            "1..0",
            "-1",
            "+1.0",
            ".inf",
            "1.0.0 ,",
            ", 1.x",
            ">=1,,<2",
            ">",
            "1.0.0-",
            "１.0.0",
            "1.0.0\u{200b}",
            "release-1.0.0",
            "*, >1",
            "!=1.0",
            "1.*.3",
        ] {
            let error = VersionRequest::parse(text).unwrap_err();
            assert!(matches!(error, InvalidVersion::Unknown(_)), "{text}: {error}");
            assert!(error.hint().contains("use `ref` for"), "{text}");
        }
        for (text, hint) in [
            ("~> 1.2", "`^1.2` is the same"),
            ("~>1.2.3", "`~1.2.3` is the same"),
            ("~> 0.2", "`>=0.2, <1` is the same"),
            ("~> 1", "`^1` is the same"),
            ("~> x.y.z!", "write `^1.2` for `~> 1.2`"),
            ("^1 || ^2", "`||` is not supported"),
            ("1.0 - 2.0", "`>=1.0, <=2.0`"),
        ] {
            let error = VersionRequest::parse(text).unwrap_err();
            assert!(error.hint().contains(hint), "{text}: {}", error.hint());
        }
        assert_eq!(VersionRequest::parse(" \n"), Err(InvalidVersion::Empty));
        let shown = VersionRequest::parse("1.0\u{1b}[31m").unwrap_err().to_string();
        assert!(!shown.contains('\u{1b}'), "{shown}");
    }
}
