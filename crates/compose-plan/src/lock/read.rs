//! Reads the lock, and reports every mistake with its place.

use std::{ops::Range, sync::Arc};

use compose_model::{
    CommitId, Diagnostic, ObjectId, RepoUrl, Requested, TreeId, TreePath, VersionRequest, redact,
    text::escape,
};
use compose_yaml::{Kind, NodeId, Tree};

use super::{
    locked::{FORMAT, Lock, Locked, LockedRef, Via},
    write::END_KEY,
};
use crate::config::{
    fields::{self, Fields, Mistakes, Spanned},
    keys::{Key, Shape},
};
use crate::resolve::is_other_ref;

/// The greatest size of a lock that is read, in bytes. A thousand sources need half a megabyte.
const MAX_SIZE: usize = 4 << 20;

/// The last line of locks that were written before [`END_KEY`].
const END_MARK: &str = "...";

/// The remedy for a lock that a person or a tool has changed.
pub const RESTORE: &str = "restore it from your version control, or remove it and run `bitops-compose lock`";

static SOURCE: &[Key] = &[
    Key::described("repo", true, "The repo."),
    Key::described("environment", true, "The directory of the repo."),
    Key::described("version", false, "The version that the config asks for."),
    Key::described("ref", false, "The ref that the config asks for."),
    Key::described("tag", false, "The tag that it stood for."),
    Key::described("branch", false, "The branch that it stood for."),
    Key::described("commit", true, "The commit that is deployed."),
    Key::described("tree", true, "The environment's tree in that commit."),
    Key::described(
        "signer",
        false,
        "The fingerprint of the key that signed it, if the config asks for a signature.",
    ),
    Key::described(
        "tag-object",
        false,
        "The annotated tag whose signature was verified, or that the config names by its id.",
    ),
    Key {
        shape: Shape::Mappings(VIA),
        ..Key::described(
            "via",
            false,
            "The sources whose own configs led to this one, outermost first.",
        )
    },
];
static VIA: &[Key] = &[
    Key::described("repo", true, "The repo."),
    Key::described("environment", true, "The directory of the repo."),
];

/// Returns the JSON Schema of a lock.
pub fn schema() -> String {
    crate::config::lock_schema(SOURCE, FORMAT, END_KEY)
}

impl Lock {
    /// Reads a lock, or reports every mistake in it.
    ///
    /// `file` is the lock as the user would name it.
    pub fn parse(file: &Arc<str>, text: &Arc<str>) -> Result<Self, Vec<Diagnostic>> {
        let mut mistakes = Mistakes::new(file, redact(text));
        let lock = read(text, &mut mistakes);
        let mut mistakes = mistakes.finish();
        if mistakes.is_empty() {
            return Ok(lock);
        }
        for mistake in &mut mistakes {
            mistake.message = format!("the lock is not usable: {}", mistake.message);
            if mistake.hints.is_empty() {
                mistake.hints.push(RESTORE.to_owned());
            }
        }
        Err(mistakes)
    }
}

fn read(text: &str, mistakes: &mut Mistakes) -> Lock {
    let mut lock = Lock::default();
    if text.len() > MAX_SIZE {
        mistakes.add(
            &(0..0),
            format!("it has {} bytes, more than {MAX_SIZE}", text.len()),
            None,
        );
        return lock;
    }
    if let Some(line) = lines(text).find(|line| is_merge_mark(&text[line.clone()])) {
        let hint = "take either side of the merge, then run `bitops-compose lock`";
        mistakes.add(
            &line,
            "it holds the marks of a merge that was not finished",
            Some(hint.into()),
        );
        return lock;
    }
    let tree = match Tree::parse(text) {
        Ok(tree) => tree,
        Err(error) => {
            mistakes.add(&(error.at..error.at), error.to_string(), None);
            return lock;
        }
    };
    let Some(list) = sources(text, &tree, mistakes) else {
        return lock;
    };
    for id in list {
        let Some((source, head)) = source(&tree, id, mistakes) else {
            continue;
        };
        if lock.get(&source.repo, &source.environment).is_some() {
            let message = format!("it holds `{}` of {} twice", source.environment, source.repo);
            mistakes.add(&head, message, None);
        }
        lock.sources.push(source);
    }
    if tree.is_exhausted() {
        mistakes.only(
            "it holds more than any lock would, counting what aliases repeat",
            RESTORE,
        );
    }
    lock
}

/// Returns the lines of a text, without their ends.
fn lines(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.split_inclusive('\n').scan(0, |start, line| {
        let range = *start..*start + line.trim_end().len();
        *start += line.len();
        Some(range)
    })
}

fn is_merge_mark(line: &str) -> bool {
    ["<<<<<<<", "=======", ">>>>>>>", "|||||||"]
        .iter()
        .any(|mark| line.starts_with(mark))
}

/// Returns the items of `sources`, after checking everything around them.
fn sources(text: &str, tree: &Tree, mistakes: &mut Mistakes) -> Option<Vec<NodeId>> {
    let pairs = tree.root().and_then(|root| tree.pairs(root)).unwrap_or_default();
    let find = |name: &str| {
        pairs
            .iter()
            .find(|(key, _)| tree.value(*key) == Some(name))
            .copied()
    };
    let first = lines(text).next().unwrap_or_default();
    let Some((_, format)) = find("format") else {
        mistakes.add(
            &first,
            "it has no `format`, so this program did not write it",
            None,
        );
        return None;
    };
    let place = tree.node(format).span();
    match tree.value(format).and_then(|text| text.parse::<u64>().ok()) {
        Some(FORMAT) => {}
        Some(newer) if newer > FORMAT => {
            let message = format!("it has format {newer}, and this program reads format {FORMAT}");
            let hint = "a newer bitops-compose wrote it: use that version, or remove it and run `bitops-compose lock`";
            mistakes.add(&place, message, Some(hint.into()));
            return None;
        }
        _ => {
            mistakes.add(&place, "its `format` does not exist", None);
            return None;
        }
    }
    check_end(text, tree, &pairs, mistakes);
    for (key, _) in pairs
        .iter()
        .filter(|(key, _)| !matches!(tree.value(*key), Some("format" | "sources" | END_KEY)))
    {
        mistakes.add(
            &tree.node(*key).span(),
            format!("a lock has the keys `format`, `sources` and `{END_KEY}` only"),
            None,
        );
    }
    match find("sources").map(|(_, list)| tree.resolve(list)) {
        Some(list) if matches!(tree.nodes[list].kind, Kind::Sequence { .. }) => {
            Some(tree.items(list).collect())
        }
        Some(list) => {
            mistakes.add(&tree.nodes[list].span(), "`sources` must be a list", None);
            None
        }
        None => {
            mistakes.add(&first, "it has no `sources`", None);
            None
        }
    }
}

/// Reports a truncated lock. Locks that were written before [`END_KEY`] end with YAML's
/// end-of-document mark.
fn check_end(text: &str, tree: &Tree, pairs: &[(NodeId, NodeId)], mistakes: &mut Mistakes) {
    let is_end = |(key, value): &(NodeId, NodeId)| {
        tree.value(*key) == Some(END_KEY) && tree.value(*value) == Some("true")
    };
    if pairs.last().is_some_and(is_end) {
        return;
    }
    let last = lines(text)
        .filter(|line| !text[line.clone()].trim().is_empty())
        .last()
        .unwrap_or_default();
    if text[last.clone()] != *END_MARK {
        let message = format!("its end is missing: the last key is not `{END_KEY}: true`");
        mistakes.add(&last, message, None);
    }
}

/// Reads one source, and returns it with the place of its head.
fn source(tree: &Tree, id: NodeId, mistakes: &mut Mistakes) -> Option<(Locked, Range<usize>)> {
    let fields = fields::read(tree, id, SOURCE, "a source", mistakes)?;
    let repo = parsed(&fields, "repo", mistakes, RepoUrl::parse);
    let environment = parsed(&fields, "environment", mistakes, |text| TreePath::new(text));
    let commit = parsed(&fields, "commit", mistakes, str::parse::<CommitId>);
    let tree_id = parsed(&fields, "tree", mistakes, str::parse::<TreeId>);
    let tag_object = parsed(&fields, "tag-object", mistakes, str::parse::<ObjectId>);
    let signer = parsed(&fields, "signer", mistakes, signer);
    let via: Vec<Option<Via>> = fields
        .mappings("via")
        .iter()
        .map(|fields| via(fields, mistakes))
        .collect();
    let requested = match (fields.has("version"), fields.text("ref")) {
        (true, None) => parsed(&fields, "version", mistakes, VersionRequest::parse).map(Requested::Version),
        (false, Some(name)) => Some(Requested::Ref(name.value.to_owned())),
        _ => {
            mistakes.add(
                &fields.head,
                "a source has exactly one of `version` and `ref`",
                None,
            );
            None
        }
    };
    let (requested, commit) = (requested?, commit?);
    let resolved = match (fields.text("tag"), fields.text("branch")) {
        (Some(tag), None) => LockedRef::Tag(tag.value.to_owned()),
        (None, Some(branch)) => LockedRef::Branch(branch.value.to_owned()),
        (None, None) if is_commit(&requested, commit, tag_object) => LockedRef::Commit,
        (None, None) if fields.has("ref") && is_other_ref(requested.as_str()) => {
            LockedRef::Other(requested.as_str().to_owned())
        }
        _ => {
            let message = "a source has exactly one of `tag` and `branch`, unless its `ref` is the commit, the `tag-object` or the full name of another ref";
            mistakes.add(&fields.head, message, None);
            return None;
        }
    };
    let environment = environment?;
    if !resolved.can_answer(&environment, &requested) {
        let (asked, found) = (
            escape(requested.as_str(), 80),
            escape(&resolved.name(commit), 120),
        );
        let message = format!("`{found}` is not what `{asked}` asks for");
        mistakes.add(&fields.head, message, None);
        return None;
    }
    let locked = Locked {
        repo: repo?,
        environment,
        requested,
        resolved,
        commit,
        tree: tree_id?,
        via: via.into_iter().collect::<Option<_>>()?,
        signer,
        tag_object,
    };
    Some((locked, fields.head))
}

/// Checks the fingerprints of a source's signers: `SHA256:…` of an ssh key, or the hexadecimal digits of an
/// OpenPGP key. Where commit and tag were signed by different keys, there are two.
fn signer(text: &str) -> Result<String, &'static str> {
    let is_ssh = |hash: &str| {
        let is_digit = |c: u8| c.is_ascii_alphanumeric() || c == b'+' || c == b'/';
        hash.len() == 43 && hash.bytes().all(is_digit)
    };
    let is_openpgp = |text: &str| {
        let is_digit = |c: u8| c.is_ascii_digit() || (b'A'..=b'F').contains(&c);
        matches!(text.len(), 40 | 64) && text.bytes().all(is_digit)
    };
    let is_fingerprint = |text: &str| {
        text.strip_prefix("SHA256:")
            .map_or_else(|| is_openpgp(text), is_ssh)
    };
    if text.split(", ").all(is_fingerprint) {
        Ok(text.to_owned())
    } else {
        Err("it is not the fingerprint of a key")
    }
}

/// Returns whether a request is the id of the locked commit, or of the tag object that stands for it.
fn is_commit(requested: &Requested, commit: CommitId, tag_object: Option<ObjectId>) -> bool {
    match requested {
        Requested::Version(_) => false,
        Requested::Ref(name) => {
            let id = name.parse::<ObjectId>().ok();
            id == Some(commit.0) || id.is_some() && id == tag_object
        }
    }
}

fn via(fields: &Fields, mistakes: &mut Mistakes) -> Option<Via> {
    let repo = parsed(fields, "repo", mistakes, RepoUrl::parse);
    let environment = parsed(fields, "environment", mistakes, |text| TreePath::new(text));
    Some(Via {
        repo: repo?,
        environment: environment?,
    })
}

/// Returns the parsed value of a text that must be valid. The errors of all these types omit the
/// text, which may hold a secret, or escape it.
fn parsed<T, E: std::fmt::Display>(
    fields: &Fields,
    key: &str,
    mistakes: &mut Mistakes,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Option<T> {
    let Spanned { value: text, span } = fields.text(key)?;
    match parse(text) {
        Ok(value) => Some(value),
        Err(error) => {
            let why = escape(&error.to_string(), 200);
            mistakes.add(&span, format!("`{key}` is wrong: {why}"), None);
            None
        }
    }
}
