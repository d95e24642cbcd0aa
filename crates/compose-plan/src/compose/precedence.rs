//! The rules for composing one path, contribution by contribution.

use std::sync::Arc;

use compose_merge::{
    Class, KeyConflict, KeyPlace, LostComment, MergeOutcome, Merged, Merger, Precedence, Refusal,
};
use compose_model::{Diagnostic, FileMode, Place, TreePath};
use compose_yaml::Lines;

use super::{
    ComposeError, Request,
    clashes::Clashes,
    composition::{Action, Clash, ComposedFile, ConflictKind, KeyTrace, Party, Provenance, Write},
    contributions::Contribution,
    edit::original_line,
    held::{self, Held},
    party::local_party,
    problem::NotMerged,
    rank,
    var_files::NamedFiles,
};
use crate::layer::{ContentsError, LocalKind, Origin};

/// The number of lost comments of one contribution that are reported with their text. If there are
/// more, only their lines are reported.
const MOST_COMMENTS: usize = 5;
/// The number of lines that are reported of them.
const MOST_LINES: usize = 50;

/// A settler of paths. Everything it needs comes from the request, so it settles paths in any
/// order.
#[derive(Clone, Copy)]
pub(super) struct Settler<'a> {
    pub(super) request: &'a Request<'a>,
    /// The function that returns the class of a path: [`compose_merge::class`], except in tests.
    pub(super) classify: fn(&TreePath) -> Class,
    /// The files that are variables because a deployment names them.
    pub(super) named: &'a NamedFiles,
    /// The memory that merged files take.
    pub(super) held: &'a Held,
}

/// A settled path, or every reason why it cannot be settled.
pub(super) type Settled = Result<SettledFile, Clashes>;

/// A file of the composition.
#[derive(Debug)]
pub(super) struct SettledFile {
    pub(super) file: ComposedFile,
    /// A warning for the user to read before the file is deployed.
    pub(super) warning: Option<Diagnostic>,
}

impl From<ComposedFile> for SettledFile {
    fn from(file: ComposedFile) -> Self {
        Self { file, warning: None }
    }
}

/// A file that is not merged although its class is to merge.
struct Unmerged {
    /// The contribution that prevents the merge.
    party: Party,
    /// The reason, with the place in the file as it stands in its repo.
    refusal: Arc<Refusal>,
    /// The text of that contribution.
    bytes: Arc<[u8]>,
}

impl<'a> Settler<'a> {
    /// Returns the class of a path that is relative to the operations repo's root.
    pub(super) fn class(&self, path: &TreePath) -> Class {
        if let Some(class) = self.named.class(path) {
            return class;
        }
        match path.strip_prefix(self.request.environment) {
            Some(relative) => (self.classify)(&relative),
            None => (self.classify)(path),
        }
    }

    /// Settles one path. `files` are lowest first, and `local` is not a directory. At least one of
    /// the two exists.
    pub(super) fn settle(
        &self,
        path: &TreePath,
        files: &[Contribution<'a>],
        local: Option<LocalKind>,
    ) -> Result<Settled, ComposeError> {
        let mut settled = self.settle_content(path, files, local)?;
        if let Ok(settled) = &mut settled {
            let notes = files.iter().flat_map(|file| file.notes.iter().cloned());
            settled.file.notes.extend(notes);
        }
        Ok(settled)
    }

    fn settle_content(
        &self,
        path: &TreePath,
        files: &[Contribution<'a>],
        local: Option<LocalKind>,
    ) -> Result<Settled, ComposeError> {
        let Some(highest) = files.last() else {
            return Ok(Ok(local_file(path, Action::Local, files).into()));
        };
        let one_content = self.all_same(files)?;
        match local {
            None if one_content => return Ok(Ok(source_file(path, Action::Add, files, highest).into())),
            Some(LocalKind::File(mode)) if one_content && self.is_local(path, mode, highest)? => {
                return Ok(Ok(local_file(path, Action::Local, files).into()));
            }
            _ => {}
        }
        let mut unmerged = None;
        if let (Class::Merge(merger), None | Some(LocalKind::File(_))) = (self.class(path), local) {
            match self.merge(path, files, local, merger)? {
                Ok(settled) => return Ok(settled),
                Err(found) => unmerged = Some(found),
            }
        }
        if local.is_some() {
            let file = local_file(path, Action::Override, files);
            let lost: Vec<Party> = files.iter().map(Contribution::party).collect();
            return Ok(self.unmerged_file(path, file, unmerged.as_ref(), &lost));
        }
        Ok(self.whole(path, files, unmerged.as_ref())?)
    }

    /// Applies rule 5 among sources: a single content stays, and contents that are left standing
    /// beside each other are in conflict.
    fn whole(
        &self,
        path: &TreePath,
        files: &[Contribution<'a>],
        unmerged: Option<&Unmerged>,
    ) -> Result<Settled, ContentsError> {
        let mut standing: Vec<&Contribution<'a>> = Vec::new();
        for file in files {
            let (mut stays, mut is_beaten) = (Vec::new(), false);
            for lower in &standing {
                let precedence = match self.same(lower, file)? {
                    true => Precedence::Conflict,
                    false => self.precedence(file, lower),
                };
                is_beaten |= precedence == Precedence::LowerStays;
                if precedence != Precedence::HigherWins {
                    stays.push(*lower);
                }
            }
            if !is_beaten {
                stays.push(file);
                standing = stays;
            }
        }
        let remaining: Vec<Contribution<'a>> = standing.into_iter().cloned().collect();
        if self.all_same(&remaining)? {
            let stands = |file: &Contribution<'_>| remaining.iter().any(|other| other.layer == file.layer);
            let mut from: Vec<Contribution<'a>> =
                files.iter().filter(|file| !stands(file)).cloned().collect();
            from.extend(remaining.iter().cloned());
            let lost: Vec<Party> = from[..from.len() - remaining.len()]
                .iter()
                .map(Contribution::party)
                .collect();
            let file = source_file(path, Action::Override, &from, &remaining[remaining.len() - 1]);
            return Ok(self.unmerged_file(path, file, unmerged, &lost));
        }
        let same_bytes = remaining
            .windows(2)
            .all(|pair| pair[0].file.blob == pair[1].file.blob);
        let kind = if same_bytes {
            ConflictKind::Mode
        } else {
            let unmerged = unmerged.map(|unmerged| self.why(unmerged));
            ConflictKind::Content { unmerged }
        };
        let parties = remaining.iter().map(Contribution::party).collect();
        Ok(Err(Clashes::from(vec![Clash {
            path: path.clone(),
            kind,
            parties,
        }])))
    }

    /// Uses a file as a whole although its class is to merge. If the file has a problem, the user
    /// is warned of what is lost; nothing of the environment's own config may be lost.
    fn unmerged_file(
        &self,
        path: &TreePath,
        mut file: ComposedFile,
        unmerged: Option<&Unmerged>,
        lost: &[Party],
    ) -> Settled {
        let Some(unmerged) = unmerged else {
            return Ok(file.into());
        };
        let why = self.why(unmerged);
        file.notes.push(why.to_string());
        if unmerged.refusal.reason.is_by_design() || lost.is_empty() {
            return Ok(file.into());
        }
        if *path == self.request.environment.environment_config() {
            return Err(Clashes::from(vec![Clash {
                path: path.clone(),
                kind: ConflictKind::Config { problem: why.into() },
                parties: vec![unmerged.party.clone()],
            }]));
        }
        let lost: Vec<String> = lost.iter().map(|party| self.describe(party)).collect();
        let message = format!(
            "{path}: nothing of {} is deployed, because {why}",
            lost.join(" and ")
        );
        let warning = Diagnostic::warning(message).hint(format!(
            "correct the file, or exclude {path} from the source if nothing of it is wanted"
        ));
        let warning = match self.place(unmerged) {
            Some(place) => warning.with_place(place),
            None => warning,
        };
        Ok(SettledFile {
            file,
            warning: Some(warning),
        })
    }

    /// Returns the place where the user can look: in their own file, or at the entry of the source.
    fn place(&self, unmerged: &Unmerged) -> Option<Place> {
        let Origin::Source(source) = unmerged.party.origin else {
            let text: Arc<str> = compose_yaml::decode(&unmerged.bytes).ok()?.text.into();
            let position = unmerged.refusal.position?;
            let start = Lines::new(&text).at_line_column(&text, position.line, position.column);
            return Some(Place {
                file: unmerged.party.path.as_str().into(),
                span: start..start,
                text,
            });
        };
        Some(self.request.layers.sources[source.0].place.clone())
    }

    /// Returns the reason why a path is not merged.
    fn why(&self, unmerged: &Unmerged) -> NotMerged {
        NotMerged {
            file: self.describe(&unmerged.party),
            refusal: Arc::clone(&unmerged.refusal),
        }
    }

    /// Merges the contributions to a path. `Err` holds the reason why the path is not merged.
    fn merge(
        &self,
        path: &TreePath,
        files: &[Contribution<'a>],
        local: Option<LocalKind>,
        merger: &dyn Merger,
    ) -> Result<Result<Settled, Unmerged>, ComposeError> {
        let texts = self.texts(path, files, local)?;
        let contributions: Vec<_> = texts
            .iter()
            .map(|bytes| compose_merge::Contribution { bytes })
            .collect();
        let precedence = |a: usize, b: usize| match files.get(a.max(b)) {
            Some(higher) => self.precedence(higher, &files[a.min(b)]),
            None => Precedence::HigherWins,
        };
        let input = compose_merge::Input {
            path,
            contributions: &contributions,
            precedence: &precedence,
        };
        let parties: Vec<Party> = (0..texts.len())
            .map(|index| {
                files
                    .get(index)
                    .map_or_else(|| local_party(path), Contribution::party)
            })
            .collect();
        match merger.merge(&input) {
            Ok(MergeOutcome::Conflicts(conflicts)) => {
                Ok(Ok(Err(key_conflicts(path, files, conflicts, &parties))))
            }
            Ok(MergeOutcome::Merged(merged)) => {
                self.held.hold(&merged)?;
                let mode = match (local, files.last()) {
                    (Some(LocalKind::File(mode)), _) => mode,
                    (_, Some(highest)) => highest.file.mode,
                    (_, None) => FileMode::Regular,
                };
                let local_text = local.and_then(|_| texts.last());
                let notes = self.lost(&merged.lost, files, &parties);
                let file = merged_file(path, files, merged, parties, mode, local_text);
                Ok(Ok(Ok(ComposedFile { notes, ..file }.into())))
            }
            Err(unmergeable) => {
                let index = unmergeable.index.min(parties.len() - 1);
                let mut refusal = unmergeable.refusal;
                if let Some(position) = &mut refusal.position {
                    position.line = source_line(files, index, position.line);
                }
                Ok(Err(Unmerged {
                    party: parties[index].clone(),
                    refusal: Arc::new(refusal),
                    bytes: texts[index].clone(),
                }))
            }
        }
    }

    /// Returns the texts of all contributions to a path, the user's own last.
    fn texts(
        &self,
        path: &TreePath,
        files: &[Contribution<'a>],
        local: Option<LocalKind>,
    ) -> Result<Vec<Arc<[u8]>>, ComposeError> {
        let (mut texts, mut sum) = (Vec::new(), 0);
        for file in files {
            let text = self.bytes(file)?;
            held::add_text(&mut sum, path, text.len())?;
            texts.push(text);
        }
        if local.is_some() {
            let text = self.request.local.read(path)?;
            held::add_text(&mut sum, path, text.len())?;
            texts.push(text);
        }
        Ok(texts)
    }

    /// Returns the precedence between two contributions of sources.
    pub(super) fn precedence(&self, higher: &Contribution<'_>, lower: &Contribution<'_>) -> Precedence {
        if higher.layer == lower.layer {
            // `as` moved one directory of the source onto another, so neither is above the other.
            return Precedence::Conflict;
        }
        rank::between(
            self.request,
            Origin::Source(higher.source),
            Origin::Source(lower.source),
        )
    }

    /// Returns whether two contributions have the same bytes and mode (rule 1).
    pub(super) fn same(&self, a: &Contribution<'_>, b: &Contribution<'_>) -> Result<bool, ContentsError> {
        if a.file.mode != b.file.mode {
            return Ok(false);
        }
        if a.rewritten.is_none() && b.rewritten.is_none() {
            return Ok(a.file.blob == b.file.blob);
        }
        Ok(self.bytes(a)? == self.bytes(b)?)
    }

    fn all_same(&self, files: &[Contribution<'_>]) -> Result<bool, ContentsError> {
        for pair in files.windows(2) {
            if !self.same(&pair[0], &pair[1])? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns whether the contribution has the bytes and the mode of the user's own file.
    pub(super) fn is_local(
        &self,
        path: &TreePath,
        mode: FileMode,
        file: &Contribution<'_>,
    ) -> Result<bool, ContentsError> {
        Ok(mode == file.file.mode && self.request.local.read(path)? == self.bytes(file)?)
    }

    /// Returns the bytes with which a contribution takes part.
    pub(super) fn bytes(&self, file: &Contribution<'_>) -> Result<Arc<[u8]>, ContentsError> {
        match &file.rewritten {
            Some(rewritten) => Ok(rewritten.bytes.clone()),
            None => self.request.contents.read(file.source, file.file),
        }
    }

    /// Returns notes about comments that have no place in a merged file: one note for each comment
    /// if they are few, otherwise one note with the lines of all.
    fn lost(&self, lost: &[LostComment], files: &[Contribution<'_>], parties: &[Party]) -> Vec<String> {
        let mut notes = Vec::new();
        for (index, party) in parties.iter().enumerate() {
            let own = lost.iter().filter(|comment| comment.contribution == index);
            let own: Vec<(usize, &str)> = own
                .map(|comment| (source_line(files, index, comment.line), comment.text.as_str()))
                .collect();
            let whose = self.describe(party);
            if own.len() > MOST_COMMENTS {
                let lines = own.iter().take(MOST_LINES).map(|(line, _)| line.to_string());
                let lines = lines.collect::<Vec<_>>().join(", ");
                let more = match own.len().saturating_sub(MOST_LINES) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                notes.push(format!(
                    "{} comments of {whose} have no place in the merged file: lines {lines}{more}",
                    own.len(),
                ));
                continue;
            }
            notes.extend(own.iter().map(|(line, text)| {
                let text = compose_model::text::escape(text, 60);
                format!("the comment `{text}` of {whose}, line {line}, has no place in the merged file")
            }));
        }
        notes
    }

    /// Returns a party as part of a sentence.
    pub(super) fn describe(&self, party: &Party) -> String {
        match party.origin {
            Origin::Local => format!("your own {}", party.path),
            Origin::Source(source) => {
                format!("{} of {}", party.path, self.request.layers.sources[source.0].repo)
            }
        }
    }
}

/// Returns the line number in the repo's file for a line of a contribution's text.
fn source_line(files: &[Contribution<'_>], index: usize, line: usize) -> usize {
    match files.get(index).and_then(|file| file.rewritten.as_ref()) {
        Some(rewritten) => original_line(&rewritten.cuts, line),
        None => line,
    }
}

/// Returns the conflicts that a merger found on a path's keys. `parties` stand for its
/// contributions.
fn key_conflicts(
    path: &TreePath,
    files: &[Contribution<'_>],
    conflicts: Vec<KeyConflict>,
    parties: &[Party],
) -> Clashes {
    let side = |place: KeyPlace| Party {
        line: Some(source_line(files, place.contribution, place.line)),
        ..parties[place.contribution].clone()
    };
    let conflict = |conflict: KeyConflict| Clash {
        path: path.clone(),
        kind: ConflictKind::Key { key: conflict.key },
        parties: vec![side(conflict.lower), side(conflict.higher)],
    };
    Clashes::of(conflicts, conflict)
}

/// Returns the file that a merger made for a path. `parties` stand for its contributions.
fn merged_file(
    path: &TreePath,
    files: &[Contribution<'_>],
    merged: Merged,
    parties: Vec<Party>,
    mode: FileMode,
    local_text: Option<&Arc<[u8]>>,
) -> ComposedFile {
    let keys = merged.keys.into_iter().map(|key| KeyTrace {
        line: source_line(files, key.winner, key.line),
        key: key.key,
        winner: key.winner,
        overridden: key.overridden,
    });
    let unchanged = local_text.is_some_and(|text| **text == *merged.bytes);
    ComposedFile {
        path: path.clone(),
        action: Action::Merge,
        keys: keys.collect(),
        from: parties
            .into_iter()
            .map(|party| Provenance {
                origin: party.origin,
                path: party.path,
            })
            .collect(),
        write: if unchanged {
            Write::Local
        } else {
            Write::Bytes {
                bytes: merged.bytes,
                mode,
            }
        },
        notes: Vec::new(),
    }
}

fn local_file(path: &TreePath, action: Action, below: &[Contribution<'_>]) -> ComposedFile {
    let mut from: Vec<Provenance> = below.iter().map(provenance).collect();
    from.push(Provenance {
        origin: Origin::Local,
        path: path.clone(),
    });
    composed(path, action, from, Write::Local)
}

fn source_file(
    path: &TreePath,
    action: Action,
    from: &[Contribution<'_>],
    decides: &Contribution<'_>,
) -> ComposedFile {
    let write = match &decides.rewritten {
        Some(rewritten) => Write::Bytes {
            bytes: rewritten.bytes.to_vec(),
            mode: decides.file.mode,
        },
        None => Write::Blob {
            source: decides.source,
            file: decides.file.clone(),
        },
    };
    composed(path, action, from.iter().map(provenance).collect(), write)
}

fn composed(path: &TreePath, action: Action, from: Vec<Provenance>, write: Write) -> ComposedFile {
    ComposedFile {
        path: path.clone(),
        action,
        from,
        write,
        keys: Vec::new(),
        notes: Vec::new(),
    }
}

fn provenance(file: &Contribution<'_>) -> Provenance {
    Provenance {
        origin: Origin::Source(file.source),
        path: file.file.repo_path.clone(),
    }
}
