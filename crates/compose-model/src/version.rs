//! What `version:` asks for.
//!
//! A bare version is exact, as in Terraform and Helm (and unlike Cargo, where `1.0.0` means `^1.0.0`).

use semver::{Version, VersionReq};

/// A version request, parsed; keeps the text as written (`1.10` stays `1.10`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRequest {
    text: String,
    kind: Kind,
}

/// The three ways to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `1.0.0`: the tag `1.0.0` or `v1.0.0`.
    Exact(Version),
    /// `1.0`: a tag of exactly that name.
    Partial,
    /// `^1.2`, `1.x`, `*`, `latest`: the highest tag that matches.
    Range(VersionReq),
}

/// Why a text asks for nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVersion {
    /// An empty text.
    #[error("the version is empty")]
    Empty,
    /// Neither a version nor a range.
    #[error("`{0}` is neither a version nor a range")]
    Unknown(String),
}

impl VersionRequest {
    /// Parses a request.
    pub fn parse(text: &str) -> Result<Self, InvalidVersion> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(InvalidVersion::Empty);
        }
        let kind =
            kind_of(trimmed).ok_or_else(|| InvalidVersion::Unknown(crate::text::escape(trimmed, 80)))?;
        Ok(Self {
            text: trimmed.to_owned(),
            kind,
        })
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it asks for.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }
}

fn kind_of(text: &str) -> Option<Kind> {
    if text == "latest" || text == "*" {
        return Some(Kind::Range(VersionReq::STAR));
    }
    let bare = text.strip_prefix('v').unwrap_or(text);
    if let Ok(version) = Version::parse(bare) {
        return Some(Kind::Exact(version));
    }
    let parts: Vec<&str> = bare.split('.').collect();
    let numeric = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if parts.len() <= 2 && parts.iter().all(numeric) {
        return Some(Kind::Partial);
    }
    // Comparators may be separated by commas, as semver wants them, or by spaces, as people write them.
    let spaced = text.split(',').map(comparators).collect::<Vec<_>>().join(",");
    VersionReq::parse(&spaced).ok().map(Kind::Range)
}

/// `>=1.0 <2` becomes `>=1.0,<2`; `>= 1.0` stays one comparator.
fn comparators(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_whitespace() {
        let joins = out.is_empty() || out.ends_with(['<', '>', '=', '~', '^']);
        if !joins {
            out.push(',');
        }
        let (operator, version) = word.split_at(word.find(|c| !"<>=~^".contains(c)).unwrap_or(word.len()));
        out.push_str(operator);
        out.push_str(version.strip_prefix('v').unwrap_or(version));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Option<Kind> {
        VersionRequest::parse(text).ok().map(|request| request.kind)
    }

    #[test]
    fn a_bare_version_is_exact_and_a_short_one_is_a_name() {
        assert_eq!(kind("1.0.0"), Some(Kind::Exact(Version::new(1, 0, 0))));
        assert_eq!(kind("v1.0.0"), Some(Kind::Exact(Version::new(1, 0, 0))));
        assert_eq!(kind("1.10"), Some(Kind::Partial));
        assert_eq!(VersionRequest::parse("1.10").unwrap().as_str(), "1.10");
        assert_eq!(kind("1"), Some(Kind::Partial));
    }

    #[test]
    fn ranges_take_commas_and_spaces() {
        let wanted = Some(Kind::Range(VersionReq::parse(">=1.0, <2").unwrap()));
        for text in [">=1.0, <2", ">=1.0 <2", ">= 1.0 < 2", ">=v1.0,<v2"] {
            assert_eq!(kind(text), wanted, "{text}");
        }
        assert!(matches!(kind("1.x"), Some(Kind::Range(_))));
        assert_eq!(kind("latest"), kind("*"));
        for bad in ["", "main", "1.2.3.4", "^^1"] {
            assert_eq!(kind(bad), None, "{bad}");
        }
    }
}
