//! `search REPO [WORD]`: the environments that a repo offers.

use std::{io::stdout, sync::Arc};

use compose_git::{Glance, Outline};
use compose_model::{
    BlobId, Diagnostic, ExitCode, Failure, RefEntry, Refs, RepoUrl, refs::HEAD, text::escape,
};
use compose_plan::{
    catalog::{self, Environment},
    resolve::{Resolver, all_tags_prefix},
};
use compose_sources::Gatherer;
use serde_json::json;

use super::{DONE, pasted};
use crate::{
    cli::{Format, Place, Search},
    flags,
    job::Ops,
    report::table::{columns_before_masks, table},
    runtime,
};

/// The most characters of a tag's name.
const LONGEST_TAG: usize = 60;

/// Lists the environments of a repo.
pub(crate) fn run(args: &Search) -> Result<u8, Failure> {
    let pasted = pasted(&args.repo)?;
    let ops = Ops::of(&args.place)?;
    let work = async {
        let gatherer = ops.gatherer()?;
        let offer = look(&gatherer, &pasted.repo, pasted.reference.as_deref()).await?;
        offer.described(&gatherer).await
    };
    let found = runtime::run(ops.settings.jobs, work);
    let done = found.and_then(|found| {
        let word = args.word.as_deref().unwrap_or_default();
        match args.format {
            Format::Text => ops.printer.result(&found.describe(word, &args.repo)),
            Format::Json => ops.printer.json(&found.json(word)),
        }
    });
    done.map(|()| DONE).or_else(|failure| {
        ops.printer.problems(failure.diagnostics());
        Ok(failure.code().code())
    })
}

/// Returns the environments of a repo as far as the cache has them; the flags say that there is no network. `cached` are
/// the addresses of the repos in the cache.
pub(crate) fn cached_environments(place: &Place, repo: &str, cached: &[String]) -> Vec<String> {
    let Some(pasted) = pasted(repo).ok().filter(|pasted| {
        let is_it = |address: &String| RepoUrl::parse(address).is_ok_and(|one| one == pasted.repo);
        flags::get().offline && cached.iter().any(is_it)
    }) else {
        return Vec::new();
    };
    let found = Ops::of(place).and_then(|ops| {
        let work = async {
            let gatherer = ops.gatherer()?;
            look(&gatherer, &pasted.repo, pasted.reference.as_deref()).await
        };
        runtime::run(ops.settings.jobs, work)
    });
    let names = |offer: Offer| {
        let environments = offer.environments().into_iter();
        environments.map(|(one, _)| one.path.to_string()).collect()
    };
    found.map(names).unwrap_or_default()
}

/// What a repo offers, at the state that people look at.
pub(super) struct Offer {
    pub(super) repo: RepoUrl,
    pub(super) refs: Arc<Refs>,
    /// The tag or branch.
    name: String,
    entry: RefEntry,
    /// The state itself, and the default branch for environments that have tags of their own.
    states: Vec<(Outline, Vec<Environment>)>,
}

impl Offer {
    /// Returns the environments, sorted by path, each with the files of the state that has it.
    pub(super) fn environments(&self) -> Vec<(&Environment, &Outline)> {
        let resolver = Resolver::new(&self.refs);
        let mut all: Vec<(&Environment, &Outline)> = Vec::new();
        for (index, (outline, environments)) in self.states.iter().enumerate() {
            for one in environments {
                let is_new = all.iter().all(|(known, _)| known.path != one.path);
                if is_new && (index == 0 || resolver.count(&one.path).1) {
                    all.push((one, outline));
                }
            }
        }
        all.sort_by(|a, b| a.0.path.cmp(&b.0.path));
        all
    }

    /// Adds the versions and the READMEs, which take one request.
    async fn described(self, gatherer: &Gatherer) -> Result<Found, Failure> {
        let environments: Vec<Environment> = self
            .environments()
            .into_iter()
            .map(|(one, _)| one.clone())
            .collect();
        let ids: Vec<BlobId> = environments.iter().filter_map(|one| one.readme).collect();
        let mut readmes = gatherer.blobs(&self.repo, &ids).await?.into_iter();
        let resolver = Resolver::new(&self.refs);
        let describe = |one: Environment| {
            let readme = one.readme.and_then(|_| readmes.next().flatten());
            let newest = resolver.newest(&one.path, false);
            Offered {
                newest: newest.or_else(|| resolver.newest(&one.path, true)),
                versions: resolver.count(&one.path).0,
                about: readme
                    .map(|bytes| catalog::first_line(&bytes))
                    .unwrap_or_default(),
                environment: one,
            }
        };
        let all = environments.into_iter().map(describe).collect();
        Ok(Found { offer: self, all })
    }
}

/// Looks at the names in a repo: at a ref, else at its newest version, else at its default branch.
pub(super) async fn look(
    gatherer: &Gatherer,
    repo: &RepoUrl,
    reference: Option<&str>,
) -> Result<Offer, Failure> {
    let mut prefixes = vec![all_tags_prefix().to_owned(), HEAD.to_owned()];
    prefixes.extend(reference.map(|name| format!("refs/heads/{name}")));
    let refs = gatherer.refs_of(repo, &prefixes).await?;
    let head = refs.get(HEAD).map(|entry| {
        let name = refs.default_branch().unwrap_or(HEAD);
        (name.to_owned(), entry.clone())
    });
    let tagged = |name: String| refs.tag(&name).cloned().map(|entry| (name, entry));
    let first = match reference {
        Some(name) => tagged(name.to_owned()).or_else(|| Some((name.to_owned(), refs.branch(name)?.clone()))),
        None => Resolver::new(&refs)
            .newest_plain()
            .and_then(tagged)
            .or_else(|| head.clone()),
    };
    let (name, entry) = first.ok_or_else(|| match reference {
        Some(name) => {
            let name = escape(name, LONGEST_TAG);
            Diagnostic::new(
                ExitCode::Config,
                format!("{repo} has no tag and no branch `{name}`"),
            )
            .hint(format!("leave it out: `bitops-compose search {repo}`"))
        }
        None => Diagnostic::new(
            ExitCode::Config,
            format!("{repo} is empty: it has no version and no default branch"),
        )
        .hint("push a branch to it first"),
    })?;
    let head = head.filter(|(_, head)| reference.is_none() && head.target != entry.target);
    let glance = |entry: &RefEntry| Glance {
        commit: entry.target,
        refname: Some(entry.name.clone()),
        dir: None,
    };
    let glances: Vec<Glance> = [&entry]
        .into_iter()
        .chain(head.iter().map(|(_, head)| head))
        .map(glance)
        .collect();
    let outlines = gatherer.outlines(repo, &glances).await?;
    let states = outlines.into_iter().flatten().map(|outline| {
        let environments = catalog::environments(&outline.entries);
        (outline, environments)
    });
    Ok(Offer {
        repo: repo.clone(),
        name,
        entry,
        states: states.collect(),
        refs,
    })
}

/// An environment with what people want to know of it.
struct Offered {
    environment: Environment,
    newest: Option<String>,
    versions: usize,
    about: String,
}

impl Offered {
    fn has(&self, word: &str) -> bool {
        let word = word.to_lowercase();
        let has = |text: &str| text.to_lowercase().contains(&word);
        has(self.environment.path.as_str())
            || has(&self.about)
            || self.environment.tools.iter().any(|tool| has(tool))
    }
}

struct Found {
    offer: Offer,
    all: Vec<Offered>,
}

impl Found {
    fn matching<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'a Offered> {
        self.all.iter().filter(move |one| one.has(word))
    }

    fn describe(&self, word: &str, asked: &str) -> String {
        let count = match self.all.len() {
            1 => "1 environment".to_owned(),
            count => format!("{count} environments"),
        };
        let (repo, name) = (&self.offer.repo, escape(&self.offer.name, LONGEST_TAG));
        let mut out = format!(
            "{repo} has {count} in `{name}` ({})\n",
            self.offer.entry.target.abbreviated()
        );
        let row = |one: &Offered| {
            let newest = one
                .newest
                .as_deref()
                .map_or_else(|| "-".to_owned(), |tag| escape(tag, LONGEST_TAG));
            vec![
                one.environment.path.to_string(),
                newest,
                one.versions.to_string(),
                one.environment.tools.join(", "),
                one.about.clone(),
            ]
        };
        let rows: Vec<Vec<String>> = self.matching(word).map(row).collect();
        let asked = shell_words::quote(asked);
        let Some(first) = self.matching(word).next() else {
            if !self.all.is_empty() {
                let word = escape(word, LONGEST_TAG);
                out.push_str(&format!(
                    "none has `{word}`; all: `bitops-compose search {asked}`\n"
                ));
            }
            return out;
        };
        out.push('\n');
        out.push_str(&table(
            &["ENVIRONMENT", "NEWEST", "VERSIONS", "TOOLS", "README"],
            &rows,
            columns_before_masks(&stdout()),
        ));
        out.push_str(&format!(
            "\nnext: `bitops-compose add {asked} {}`",
            shell_words::quote(first.environment.path.as_str())
        ));
        out + "\n"
    }

    fn json(&self, word: &str) -> serde_json::Value {
        let one = |one: &Offered| {
            json!({
                "environment": one.environment.path.as_str(),
                "newest": one.newest,
                "versions": one.versions,
                "tools": one.environment.tools,
                "readme": one.about,
            })
        };
        json!({
            "repo": self.offer.repo.as_str(),
            "ref": self.offer.name,
            "commit": self.offer.entry.target.to_string(),
            "environments": self.matching(word).map(one).collect::<Vec<_>>(),
        })
    }
}
