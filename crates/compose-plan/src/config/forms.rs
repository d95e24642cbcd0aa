//! The forms of a config's texts that the JSON Schema can check before anyone runs the program.
//!
//! The parser alone decides. A form is as strict as patterns without look-ahead can be, so that
//! every engine accepts them, and never stricter than the parser (`tests/schema.rs` checks both
//! against one corpus). In all of them, `.` does not match the end of a line.

/// The texts that a key accepts.
pub(crate) struct Form {
    /// The JSON types. A YAML number or boolean is the text that was written.
    pub(crate) types: &'static [&'static str],
    /// Whether numbers must not be negative.
    pub(crate) unsigned: bool,
    /// The pattern that the text must match.
    pub(crate) pattern: Option<&'static str>,
    /// The pattern that the text must not match.
    pub(crate) not: Option<&'static str>,
    /// What an editor says of any other text, instead of showing the patterns.
    pub(crate) expected: Option<&'static str>,
    /// The greatest length, in characters.
    pub(crate) longest: Option<usize>,
    /// Whether the items of a list must be distinct.
    pub(crate) distinct: bool,
}

const SCALAR: &[&str] = &["string", "number", "boolean"];

impl Form {
    /// Any text.
    pub(crate) const ANY: Form = Form {
        types: SCALAR,
        unsigned: false,
        pattern: None,
        not: None,
        expected: None,
        longest: None,
        distinct: false,
    };

    /// A repo's address (see `RepoUrl`).
    pub(crate) const ADDRESS: Form = Form {
        types: &["string"],
        pattern: Some(concat!(
            "^(?:",
            // https://user@host:port/path
            r"https?://(?:[A-Za-z0-9._~%+][A-Za-z0-9._~%+-]*@)?",
            r"(?:[A-Za-z0-9._][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?/+[^/?#-][^?#]*",
            // ssh://user@host:port/path
            r"|ssh://(?:[A-Za-z0-9._~%+][A-Za-z0-9._~%+-]*@)?",
            r"(?:[A-Za-z0-9._][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?/+[^/?#-][^?#]*",
            // file:///path and /path
            "|(?:file://)?/+[^/].*",
            // user@host:path
            r"|[A-Za-z0-9._~%+][A-Za-z0-9._~%+-]*@",
            r"(?:[A-Za-z0-9._][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\]):(?:/+[^/]|[^/:-]).*",
            ")$"
        )),
        // Excludes spaces, control characters, and encoded ones that a server would decode.
        not: Some(r"[\s\\\x00-\x1f\x7f]|%[01][0-9A-Fa-f]|%7[Ff]|%5[Cc]"),
        expected: Some(
            "The address of a repo is https://HOST/ORG/REPO, git@HOST:ORG/REPO, ssh://, http://, or an absolute path.",
        ),
        ..Form::ANY
    };

    /// A directory of a repo (see `TreePath`).
    pub(crate) const DIRECTORY: Form = Form {
        pattern: Some(r"^[^/\\\x00-\x1f\x7f]+(?:/[^/\\\x00-\x1f\x7f]+)*/?$"),
        not: Some(NO_COMPONENT),
        expected: Some("A directory is written from the repo's root, such as eks or stacks/eks."),
        ..Form::ANY
    };

    /// A directory at the top of a repo.
    pub(crate) const TOP_DIRECTORY: Form = Form {
        pattern: Some(r"^[^/\\\x00-\x1f\x7f]+/?$"),
        not: Some(NO_COMPONENT),
        distinct: true,
        expected: Some("A directory at the top of the repo is written by its name, such as _scripts."),
        ..Form::ANY
    };

    /// A version or a range (see `VersionRequest`).
    pub(crate) const VERSION: Form = Form {
        types: &["string", "number"],
        unsigned: true,
        pattern: Some(concat!(
            r"^\s*(?:latest",
            // 1.0.0, v1.0.0-rc.1+build
            r"|v?[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?",
            // 1.0, 2025.01.15, 1.2.3.4 (the name of a tag)
            r"|[vV]?[0-9]+(?:\.[0-9]+){0,3}",
            // Parts with an operator or a wildcard, separated by commas or spaces.
            r"|(?:(?:[<>]=?|[=~^])\s*v?[0-9xX*][0-9A-Za-z.*+-]*|v?[0-9.]*[xX*][.xX*]*)",
            r"(?:(?:\s*,\s*|\s+)(?:(?:[<>]=?|[=~^])\s*v?[0-9xX*][0-9A-Za-z.*+-]*|v?[0-9.]*[xX*][.xX*]*))*",
            r")\s*$"
        )),
        // Excludes leading zeros and four parts in anything that is not the name of a tag, and
        // numbers after a wildcard.
        not: Some(concat!(
            r"[<>=~^]\s*v?0[0-9]|^\s*v?0[0-9]+\.[0-9]+\.[0-9]+[-+]|(?:^|[^0-9.])0[0-9]+\.(?:[0-9]+\.)?[xX*]",
            r"|[<>=~^]\s*v?[0-9xX*]+(?:\.[0-9xX*]+){3}|[0-9xX*]+\.[0-9xX*]+\.[0-9xX*]+\.[xX*]+\s*$",
            r"|[xX*]\.[0-9]|(?:^|[^0-9xX*.])[xX*]\.|\.\.|[-.+]\s*$",
        )),
        expected: Some(
            "A version is 1.0.0, a range such as ^1.2 or \">=1.0, <2\", or latest; a branch or another tag belongs in ref.",
        ),
        ..Form::ANY
    };

    /// A ref, short or full, that `git check-ref-format` accepts, or a commit.
    pub(crate) const REF: Form = Form {
        not: Some(concat!(
            r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|^@$|^-|//|^/|/$|\.$|(?:^|/)\.|\.lock(?:/|$)",
            r"|^FETCH_HEAD$"
        )),
        longest: Some(1024),
        expected: Some("A ref is a branch, a tag, a full commit id, or a full ref such as refs/pull/7/head."),
        ..Form::ANY
    };

    /// A glob of `.gitignore` that is not a comment or a blank line and closes all its classes.
    pub(crate) const GLOB: Form = Form {
        pattern: Some(r"^(?:[^\[\\]|\\.|\[[!^]?\]?[^\]]*\])*$"),
        not: Some(r"^#|^\s*$"),
        expected: Some("Globs are those of .gitignore: *.md, /docs/, **/test_*."),
        ..Form::ANY
    };

    /// A name that other names begin with.
    pub(crate) const NAME: Form = Form {
        unsigned: true,
        pattern: Some("^[A-Za-z0-9_][A-Za-z0-9._-]*$"),
        longest: Some(100),
        expected: Some("A name has letters, digits, -, _ and ., and begins with a letter, a digit or _."),
        ..Form::ANY
    };
}

/// Matches paths with a component `.`, `..` or `.git`.
const NO_COMPONENT: &str = r"(?:^|/)(?:\.\.?|\.[gG][iI][tT])(?:/|$)";
