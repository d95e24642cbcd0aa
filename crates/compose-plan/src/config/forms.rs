//! What the JSON Schema can say of a text before anybody runs the program.
//!
//! The parser alone decides. A form is as strict as patterns without look-ahead can be, so that every engine takes them, and never
//! stricter than the parser (`tests/schema.rs` holds both against one corpus). `.` stands for no line's end in all of them.

/// The texts that a key takes.
pub(crate) struct Form {
    /// JSON types: a number or boolean of YAML is the text that was written.
    pub(crate) types: &'static [&'static str],
    /// Numbers must not be negative.
    pub(crate) unsigned: bool,
    /// What it must match.
    pub(crate) pattern: Option<&'static str>,
    /// What it must not match.
    pub(crate) not: Option<&'static str>,
    /// In characters.
    pub(crate) longest: Option<usize>,
    /// Of a list: none of them twice.
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
        longest: None,
        distinct: false,
    };

    /// A repo's address: see `RepoUrl`.
    pub(crate) const ADDRESS: Form = Form {
        types: &["string"],
        pattern: Some(concat!(
            "^(?:",
            // https://host:port/path
            r"https?://(?:[A-Za-z0-9._][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?/+[^/?#-][^?#]*",
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
        // Spaces, control characters, and those that a server would decode.
        not: Some(r"[\s\\\x00-\x1f\x7f]|%[01][0-9A-Fa-f]|%7[Ff]|%5[Cc]"),
        ..Form::ANY
    };

    /// A directory of a repo: see `TreePath`.
    pub(crate) const DIRECTORY: Form = Form {
        pattern: Some(r"^[^/\\\x00-\x1f\x7f]+(?:/[^/\\\x00-\x1f\x7f]+)*/?$"),
        not: Some(NO_COMPONENT),
        ..Form::ANY
    };

    /// A directory at a repo's top.
    pub(crate) const TOP_DIRECTORY: Form = Form {
        pattern: Some(r"^[^/\\\x00-\x1f\x7f]+/?$"),
        not: Some(NO_COMPONENT),
        distinct: true,
        ..Form::ANY
    };

    /// A version or a range: see `VersionRequest`.
    pub(crate) const VERSION: Form = Form {
        types: &["string", "number"],
        unsigned: true,
        pattern: Some(concat!(
            r"^\s*(?:latest",
            // 1.0.0, v1.0.0-rc.1+build
            r"|v?[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?",
            // 1.0, 2025.01.15, 1.2.3.4: a tag of this name
            r"|[vV]?[0-9]+(?:\.[0-9]+){0,3}",
            // Parts with an operator or a wildcard, by commas or spaces.
            r"|(?:(?:[<>]=?|[=~^])\s*v?[0-9xX*][0-9A-Za-z.*+-]*|v?[0-9.]*[xX*][.xX*]*)",
            r"(?:(?:\s*,\s*|\s+)(?:(?:[<>]=?|[=~^])\s*v?[0-9xX*][0-9A-Za-z.*+-]*|v?[0-9.]*[xX*][.xX*]*))*",
            r")\s*$"
        )),
        // Leading zeros and four parts of what is not the name of a tag, numbers behind a wildcard.
        not: Some(concat!(
            r"[<>=~^]\s*v?0[0-9]|^\s*v?0[0-9]+\.[0-9]+\.[0-9]+[-+]|(?:^|[^0-9.])0[0-9]+\.(?:[0-9]+\.)?[xX*]",
            r"|[<>=~^]\s*v?[0-9xX*]+(?:\.[0-9xX*]+){3}|[0-9xX*]+\.[0-9xX*]+\.[0-9xX*]+\.[xX*]+\s*$",
            r"|[xX*]\.[0-9]|(?:^|[^0-9xX*.])[xX*]\.|\.\.|[-.+]\s*$",
        )),
        ..Form::ANY
    };

    /// A branch, a tag or a commit: what `git check-ref-format` takes.
    pub(crate) const REF: Form = Form {
        not: Some(concat!(
            r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|^@$|^-|//|^/|/$|\.$|(?:^|/)\.|\.lock(?:/|$)",
            r"|^(?:FETCH_)?HEAD$|^refs/[^ht]"
        )),
        longest: Some(1024),
        ..Form::ANY
    };

    /// A glob of `.gitignore`: no comment, no blank line, no class that stays open.
    pub(crate) const GLOB: Form = Form {
        pattern: Some(r"^(?:[^\[\\]|\\.|\[[!^]?\]?[^\]]*\])*$"),
        not: Some(r"^#|^\s*$"),
        ..Form::ANY
    };

    /// A name that begins other names.
    pub(crate) const NAME: Form = Form {
        unsigned: true,
        pattern: Some("^[A-Za-z0-9_][A-Za-z0-9._-]*$"),
        longest: Some(100),
        ..Form::ANY
    };
}

/// `.`, `..` and `.git`.
const NO_COMPONENT: &str = r"(?:^|/)(?:\.\.?|\.[gG][iI][tT])(?:/|$)";
