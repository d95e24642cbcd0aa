//! The one table of a source's keys. The parser reads by it, and the JSON Schema is made from it.

use compose_model::FilterKey;

use super::forms::Form;

/// One key of a mapping.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// The schema's description for people, in Markdown.
    pub(crate) about: &'static str,
    pub(crate) shape: Shape,
    /// The form of the texts (or of a list's items), for the schema.
    pub(crate) form: &'static Form,
    pub(crate) required: bool,
    pub(crate) examples: &'static [&'static str],
}

/// The values that a key accepts.
pub(crate) enum Shape {
    /// Text on one line. A YAML number or boolean is read as the text that was written.
    Text,
    /// A list of texts.
    Texts,
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A mapping with these keys.
    Mapping(&'static [Key]),
    /// A list of such mappings.
    Mappings(&'static [Key]),
}

impl Key {
    /// Returns a key with a text value in a file that only this program writes.
    pub(crate) const fn described(name: &'static str, required: bool, about: &'static str) -> Self {
        Self {
            name,
            about,
            shape: Shape::Text,
            form: &Form::ANY,
            required,
            examples: &[],
        }
    }
}

/// The bytes that all globs of a config may have together.
pub(super) const MAX_GLOBS: usize = 64 << 10;

pub(crate) const REPO: &str = "repo";
pub(crate) const ENVIRONMENT: &str = "environment";
pub(crate) const VERSION: &str = "version";
pub(crate) const REF: &str = "ref";
pub(crate) const INCLUDE: &str = FilterKey::Include.as_str();
pub(crate) const EXCLUDE: &str = FilterKey::Exclude.as_str();
pub(crate) const AS: &str = "as";
pub(crate) const SHARED: &str = "shared";
pub(crate) const DEFAULT_FOLDER: &str = "default-folder";
pub(crate) const ON_CONFLICT: &str = "on-conflict";
pub(crate) const HOOKS: &str = FilterKey::Hooks.as_str();
pub(crate) const VERIFY: &str = "verify";
pub(crate) const MODE: &str = "mode";
pub(crate) const KEYS: &str = "keys";
pub(crate) const UPGRADE: &str = "upgrade";
pub(crate) const IGNORE: &str = "ignore";

/// The keys of one entry of `default-environments`.
pub(crate) static SOURCE: &[Key] = &[
    Key {
        name: REPO,
        about: "The operations repo: `https://`, `http://`, `ssh://`, `user@host:path`; in the local config also \
                `file://` or an absolute path. Never with a password in it.",
        shape: Shape::Text,
        form: &Form::ADDRESS,
        required: true,
        examples: &[
            "https://github.com/bitops-operations-repos/kubernetes",
            "git@github.com:org/repo",
        ],
    },
    Key {
        name: ENVIRONMENT,
        about: "The environment: a directory of that repo, which may be nested (`stacks/eks`).",
        shape: Shape::Text,
        form: &Form::DIRECTORY,
        required: true,
        examples: &["eks", "stacks/eks"],
    },
    Key {
        name: VERSION,
        about: "An exact version (`1.0.0` is the tag `1.0.0` or `v1.0.0`), a range (`^1.2`, `~1.2.3`, `>=1.0, <2`, `1.x`) or \
                `latest`. Exactly one of `version` and `ref`.",
        shape: Shape::Text,
        form: &Form::VERSION,
        required: false,
        examples: &["1.0.0", "^1.2", "latest"],
    },
    Key {
        name: REF,
        about: "A branch, a tag, a full commit id, another ref by its full name (`refs/pull/7/head`), or `HEAD` for the \
                default branch. Exactly one of `version` and `ref`.",
        shape: Shape::Text,
        form: &Form::REF,
        required: false,
        examples: &["main", "refs/tags/stable", "refs/pull/7/head"],
    },
    Key {
        name: INCLUDE,
        about: "gitignore-style globs relative to the environment: only what one of them matches is composed.",
        shape: Shape::Texts,
        form: &Form::GLOB,
        required: false,
        examples: &["terraform/"],
    },
    Key {
        name: EXCLUDE,
        about: "gitignore-style globs relative to the environment: what one of them matches is left out.",
        shape: Shape::Texts,
        form: &Form::GLOB,
        required: false,
        examples: &["README.md"],
    },
    Key {
        name: AS,
        about: "A name: the source's deployments become `<as>-<deployment>` and run on their own.",
        shape: Shape::Text,
        form: &Form::NAME,
        required: false,
        examples: &["monitoring"],
    },
    Key {
        name: SHARED,
        about: "Top-level directories of that repo to compose beside the environment.",
        shape: Shape::Texts,
        form: &Form::TOP_DIRECTORY,
        required: false,
        examples: &["_scripts"],
    },
    Key {
        name: DEFAULT_FOLDER,
        about: "A directory of that repo (BitOps' `_default`) that is layered below the environment.",
        shape: Shape::Text,
        form: &Form::DIRECTORY,
        required: false,
        examples: &["_default"],
    },
    Key {
        name: ON_CONFLICT,
        about: "What happens when this and another source bring different content for one path: `error` (the default), \
                `first` (the lower one stays) or `last` (the higher one wins). A local file always wins.",
        shape: Shape::Choice(&["error", "first", "last"]),
        form: &Form::ANY,
        required: false,
        examples: &[],
    },
    Key {
        name: HOOKS,
        about: "`false` leaves out the source's `bitops.before-deploy.d` and `bitops.after-deploy.d`, and those of the \
                sources that it names itself.",
        shape: Shape::Flag,
        form: &Form::ANY,
        required: false,
        examples: &[],
    },
    Key {
        name: VERIFY,
        about: "Use the source only when it carries a good signature.",
        shape: Shape::Mapping(SIGNATURE),
        form: &Form::ANY,
        required: false,
        examples: &[],
    },
    Key {
        name: UPGRADE,
        about: "What `bitops-compose upgrade` does with this source. It has no effect in a source's own config.",
        shape: Shape::Mapping(UPGRADES),
        form: &Form::ANY,
        required: false,
        examples: &[],
    },
];

static UPGRADES: &[Key] = &[Key {
    name: IGNORE,
    about: "Versions and ranges that `upgrade` never takes (`>=3`, `2.1.0`); `*` leaves the source alone.",
    shape: Shape::Texts,
    form: &Form::VERSION,
    required: true,
    examples: &[">=3", "2.1.0", "*"],
}];

static SIGNATURE: &[Key] = &[
    Key {
        name: MODE,
        about: "What must be signed: the `commit`, the annotated `tag`, or `both`.",
        shape: Shape::Choice(&["commit", "tag", "both"]),
        form: &Form::ANY,
        required: true,
        examples: &[],
    },
    Key {
        name: KEYS,
        about: "A file of trusted keys in the image, a mount or the operations repo (a relative path starts there). \
                Not allowed in a source's own config. Default: the file that BITOPS_COMPOSE_VERIFY_KEYS names.",
        shape: Shape::Text,
        form: &Form::ANY,
        required: false,
        examples: &["/etc/bitops-compose/allowed_signers"],
    },
];
