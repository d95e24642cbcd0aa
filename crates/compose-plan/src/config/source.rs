//! Reads one entry of `default-environments`, from its keys to a checked [`SourceSpec`].

use std::{collections::HashSet, path::PathBuf};

use compose_model::{
    Filter, Globs, Nesting, OnConflict, PastedAddress, RepoUrl, Requested, SourceSpec, TreePath, ValueSpans,
    Verify, VerifyMode, VersionRequest, redact, text::escape, version::VersionKind,
};
use compose_yaml::{NodeId, Tree};

use super::{
    fields::{self, Fields, Mistakes, Spanned},
    keys::{self, MAX_GLOBS},
};

/// The longest glob that is read, in bytes. A compiled glob takes some hundred times its length.
const LONGEST_GLOB: usize = 1_000;

/// Reads one entry. Returns `None` if it contains a mistake.
pub(super) fn read(tree: &Tree, id: NodeId, nesting: Nesting, mistakes: &mut Mistakes) -> Option<SourceSpec> {
    let fields = fields::read(tree, id, keys::SOURCE, "a source", mistakes)?;
    // Each key is checked, even if others are wrong.
    let repo = repo(&fields, nesting, mistakes);
    let environment = path(&fields, keys::ENVIRONMENT, mistakes);
    let requested = requested(&fields, mistakes);
    let include = globs(&fields, keys::INCLUDE, mistakes);
    let exclude = globs(&fields, keys::EXCLUDE, mistakes);
    let rename = rename(&fields, mistakes);
    let shared = shared(&fields, mistakes);
    let default_folder = path(&fields, keys::DEFAULT_FOLDER, mistakes);
    let verify = verify(&fields, nesting, mistakes);
    let ignored_versions = ignored_versions(&fields, mistakes);
    Some(SourceSpec {
        repo: repo?,
        environment: environment?,
        requested: requested?,
        filter: Filter::new(include, exclude, fields.flag(keys::HOOKS).unwrap_or(true)),
        rename,
        shared,
        default_folder,
        on_conflict: match fields.choice(keys::ON_CONFLICT) {
            Some("first") => OnConflict::First,
            Some("last") => OnConflict::Last,
            _ => OnConflict::Error,
        },
        verify,
        ignored_versions,
        place: mistakes.place(&fields.head),
        spans: spans(&fields),
    })
}

fn spans(fields: &Fields) -> ValueSpans {
    let span = |key: &str| fields.text(key).map(|text| text.span);
    ValueSpans {
        environment: span(keys::ENVIRONMENT).unwrap_or_default(),
        requested: span(keys::VERSION)
            .or_else(|| span(keys::REF))
            .unwrap_or_default(),
        default_folder: span(keys::DEFAULT_FOLDER).unwrap_or_default(),
        // An entry with an invalid item is not used.
        shared: fields
            .texts(keys::SHARED)
            .iter()
            .map(|text| text.span.clone())
            .collect(),
    }
}

fn repo(fields: &Fields, nesting: Nesting, mistakes: &mut Mistakes) -> Option<RepoUrl> {
    let Spanned { value: text, span } = fields.text(keys::REPO)?;
    match RepoUrl::parse(text) {
        Ok(url) if url.is_local() && nesting == Nesting::Nested => {
            let hint =
                "local paths are for the config of the run itself; name a repo that can be reached by URL";
            mistakes.add(
                &span,
                "a source's own config cannot name a local path as `repo`",
                Some(hint.into()),
            );
            None
        }
        Ok(_) if PastedAddress::is_page(text) => {
            let message = "`repo` is the address of a page, not of a repo";
            mistakes.add(&span, message, meant(text));
            None
        }
        Ok(url) => Some(url),
        // The message does not include the text, which may hold a secret.
        Err(error) => {
            let hint = meant(text).or_else(|| error.hint().map(str::to_owned));
            mistakes.add(&span, format!("`repo` is not usable: {error}"), hint);
            None
        }
    }
}

/// Returns a hint with the keys that an address stands for, if it is one that people use elsewhere.
fn meant(text: &str) -> Option<String> {
    let pasted = PastedAddress::parse(text).ok().or_else(|| {
        // `github.com/org/repo`
        let (host, _) = text.split_once('/')?;
        let with_scheme = format!("https://{text}");
        (host.contains('.') && !host.contains([':', '@'])).then(|| PastedAddress::parse(&with_scheme).ok())?
    })?;
    let mut keys = vec![format!("`repo: {}`", pasted.repo)];
    if let Some(directory) = &pasted.directory {
        keys.push(format!("`environment: {}`", escape(directory, 100)));
    }
    if let Some(reference) = &pasted.reference {
        let is_version = VersionRequest::parse(reference)
            .is_ok_and(|version| matches!(version.kind(), VersionKind::Exact(_)));
        let key = if is_version { keys::VERSION } else { keys::REF };
        keys.push(format!("`{key}: {}`", escape(reference, 100)));
    }
    Some(redact(&format!("write {}", keys.join(", ")).into()).to_string())
}

fn path(fields: &Fields, key: &str, mistakes: &mut Mistakes) -> Option<TreePath> {
    let Spanned { value: text, span } = fields.text(key)?;
    match TreePath::new(text.strip_suffix('/').unwrap_or(text)) {
        Ok(path) => Some(path),
        Err(error) => {
            let message = format!("`{key}` is not a directory of the repo: {error}");
            mistakes.add(
                &span,
                message,
                Some("write it from the repo's root, such as `eks` or `stacks/eks`".into()),
            );
            None
        }
    }
}

fn requested(fields: &Fields, mistakes: &mut Mistakes) -> Option<Requested> {
    match (fields.has(keys::VERSION), fields.has(keys::REF)) {
        (true, true) => {
            let hint = "keep `version` for a release, or `ref` for a branch, a tag, a commit or another ref";
            mistakes.add(
                &fields.head,
                "a source has both `version` and `ref`",
                Some(hint.into()),
            );
            None
        }
        (false, false) => {
            let hint =
                "add `version: 1.0.0` (a release), or `ref: main` (a branch, a tag or a full commit id)";
            let outside = [keys::VERSION, keys::REF].map(|key| mistakes.outside(key, &fields.head));
            let hint = outside.into_iter().flatten().next().unwrap_or(hint.into());
            mistakes.add(
                &fields.head,
                "a source has neither `version` nor `ref`",
                Some(hint),
            );
            None
        }
        (true, false) => {
            let Spanned { value: text, span } = fields.text(keys::VERSION)?;
            match VersionRequest::parse(text) {
                Ok(version) => Some(Requested::Version(version)),
                Err(error) => {
                    let hint = error.hint();
                    mistakes.add(&span, format!("`version` is not usable: {error}"), Some(hint));
                    None
                }
            }
        }
        (false, true) => {
            let Spanned { value: text, span } = fields.text(keys::REF)?;
            if let Some((why, hint)) = refused_ref(text) {
                mistakes.add(&span, format!("`ref` is not usable: {why}"), Some(hint.into()));
                return None;
            }
            Some(Requested::Ref(text.to_owned()))
        }
    }
}

/// Returns why a text cannot be the name of a ref, as `git check-ref-format` decides.
fn refused_ref(name: &str) -> Option<(&'static str, &'static str)> {
    const NAME: &str = "write a branch, a tag, a full commit id, a full ref such as `refs/pull/7/head`, or `HEAD` for the default branch";
    if name == "FETCH_HEAD" {
        return Some((
            "it is a name of a clone, which the repo itself does not have",
            NAME,
        ));
    }
    let bad_part = |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with(".lock");
    let bad_character = |c: char| " ~^:?*[\\".contains(c) || compose_model::text::is_unprintable(c);
    let bad = name.chars().any(bad_character)
        || name.split('/').any(bad_part)
        || name.contains("..")
        || name.contains("@{")
        || name.ends_with('.')
        || name.starts_with('-')
        || name == "@"
        || name.len() > 1024;
    bad.then_some(("git allows no ref of this name", NAME))
}

fn globs(fields: &Fields, key: &str, mistakes: &mut Mistakes) -> Globs {
    const FEWER: &str = "match the same files by fewer or shorter globs, such as their directory";
    const HINT: &str = "globs are those of .gitignore: `*.md`, `/docs/`, `**/test_*`";
    let mut all = Vec::new();
    for Spanned { value: glob, span } in fields.texts(key) {
        if glob.len() > LONGEST_GLOB {
            let message = format!(
                "a glob in `{key}` has {} bytes; at most {LONGEST_GLOB} are read",
                glob.len()
            );
            mistakes.add(&(span.start..span.start), message, Some(HINT.into()));
        } else if !mistakes.spend_globs(glob.len()) {
            let message = format!("the globs of the config have more than {MAX_GLOBS} bytes in all");
            mistakes.add(&(span.start..span.start), message, Some(FEWER.into()));
            return Globs::default();
        } else if glob.starts_with('#') || glob.trim().is_empty() {
            mistakes.add(
                span,
                format!("`{}` in `{key}` matches nothing", escape(glob, 60)),
                None,
            );
        } else if let Err(why) = Globs::check(glob) {
            let message = format!("`{}` in `{key}` is not a glob: {why}", escape(glob, 60));
            mistakes.add(span, message, Some(HINT.into()));
        } else {
            all.push(glob.clone());
        }
    }
    // Each glob is valid, so together they are too large.
    Globs::new(all).unwrap_or_else(|_| {
        let message = format!("the globs in `{key}` are too many or too long to be used together");
        let texts = fields.texts(key);
        let span = match (texts.first(), texts.last()) {
            (Some(first), Some(last)) => first.span.start..last.span.end,
            _ => fields.head.clone(),
        };
        mistakes.add(&span, message, Some(FEWER.into()));
        Globs::default()
    })
}

fn rename(fields: &Fields, mistakes: &mut Mistakes) -> Option<String> {
    let Spanned { value: name, span } = fields.text(keys::AS)?;
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if name.bytes().all(fine) && !name.starts_with(['.', '-']) && name.len() <= 100 {
        return Some(name.to_owned());
    }
    let hint = "letters, digits, `-`, `_` and `.`, beginning with a letter, a digit or `_`; at most 100";
    mistakes.add(
        &span,
        "`as` is not a name that a directory could have",
        Some(hint.into()),
    );
    None
}

fn shared(fields: &Fields, mistakes: &mut Mistakes) -> Vec<TreePath> {
    let mut all: Vec<TreePath> = Vec::new();
    let mut known = HashSet::new();
    for Spanned { value: text, span } in fields.texts(keys::SHARED) {
        match TreePath::new(text.strip_suffix('/').unwrap_or(text)) {
            Ok(path) if path.parent().is_some() => {
                let hint = format!(
                    "write `{}`, or leave it out",
                    escape(path.components().next().unwrap_or_default(), 60)
                );
                mistakes.add(span, "`shared` takes top-level directories only", Some(hint));
            }
            Ok(path) if !known.insert(path.clone()) => {
                mistakes.add(
                    span,
                    format!("`{path}` stands twice in `shared`"),
                    Some("keep one of the two".into()),
                );
            }
            Ok(path) => all.push(path),
            Err(error) => {
                let hint = "write the directory's name, such as `_scripts`";
                mistakes.add(
                    span,
                    format!("`shared` names no directory of the repo: {error}"),
                    Some(hint.into()),
                );
            }
        }
    }
    all
}

fn verify(fields: &Fields, nesting: Nesting, mistakes: &mut Mistakes) -> Option<Verify> {
    let verify = fields.mapping(keys::VERIFY)?;
    let named = verify.text(keys::KEYS);
    if let Some(Spanned { span, .. }) = named.as_ref().filter(|_| nesting == Nesting::Nested) {
        let hint =
            "keys come from the one who deploys: from the image, a mount or BITOPS_COMPOSE_VERIFY_KEYS";
        mistakes.add(
            span,
            "a source's own config cannot choose the keys it is verified with",
            Some(hint.into()),
        );
    }
    let mode = match verify.choice(keys::MODE)? {
        "commit" => VerifyMode::Commit,
        "tag" => VerifyMode::Tag,
        _ => VerifyMode::Both,
    };
    Some(Verify {
        mode,
        keys: named.map(|keys| PathBuf::from(keys.value)),
    })
}

fn ignored_versions(fields: &Fields, mistakes: &mut Mistakes) -> Vec<VersionRequest> {
    let texts = fields
        .mapping(keys::UPGRADE)
        .map(|upgrade| upgrade.texts(keys::IGNORE));
    let mut all = Vec::new();
    for Spanned { value: text, span } in texts.unwrap_or_default() {
        match VersionRequest::parse(text) {
            Ok(version) => all.push(version),
            Err(error) => {
                let message = format!("an item of `{}` is not usable: {error}", keys::IGNORE);
                mistakes.add(span, message, Some(error.hint()));
            }
        }
    }
    all
}
