//! The deployments that run, their order, and the names under which their directories appear.

use std::collections::{BTreeMap, BTreeSet};

use compose_model::{TreeFile, TreePath, file_name::CONFIG};

use super::{
    Request,
    composition::{Clash, ConflictKind, DeclaredBy, Holds, Party, Rename},
    configs::Configs,
    contributions::Names,
    party::{local_party, source_party},
};
use crate::config::Declared;
use crate::layer::{ContentsError, LocalKind, Origin, Part, SourceId};

/// The plan that section 8 of the design derives from the declared deployments and from `as`.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The deployments, in order.
    pub(super) deployments: Vec<PlannedDeployment>,
    /// Whether `deployments` must be written into the config.
    pub(super) generated: bool,
    /// The new names of top-level directories.
    pub(super) names: Names,
    /// The same new names, in the form in which they are reported.
    pub(super) renames: Vec<Rename>,
    pub(super) conflicts: Vec<Clash>,
}

/// A name in `bitops.deployments`, before it is known whether its directory exists.
#[derive(Clone, Debug)]
pub(super) struct PlannedDeployment {
    pub(super) name: String,
    pub(super) plugin: String,
    pub(super) by: DeclaredBy,
}

/// A deployment of a source, before it is known whether another one has its name.
#[derive(Clone, Debug)]
struct Item {
    name: String,
    plugin: String,
    by: DeclaredBy,
    /// The place where it is declared, or `None` if it comes from the image's sequence.
    party: Option<Party>,
}

/// Plans the deployments.
pub(super) fn plan(request: &Request<'_>, configs: &Configs<'_>) -> Result<Plan, ContentsError> {
    let sources = &request.layers.sources;
    let declared =
        !configs.own().is_empty() || configs.declared.values().any(|declared| !declared.is_empty());
    let mut plan = Plan {
        generated: declared || sources.iter().any(|s| s.rename.is_some()),
        ..Plan::default()
    };
    let image = request.image_config.map(|image| image.0.as_slice());
    // A local list replaces the image's list, even if it is empty. None of the image's deployments
    // run then.
    let unlisted = image.filter(|_| configs.local.is_none()).unwrap_or_default();
    if !plan.generated {
        let items = image_items(unlisted, DeclaredBy::Image, |_| true);
        plan.deployments = items.map(deployment).collect();
        return Ok(plan);
    }
    let items = Sources::new(request, configs, image, &mut plan).all();
    let path = request.environment.environment_config();
    let local = configs.own().iter().map(|one| Item {
        name: one.name.clone(),
        plugin: one.plugin.clone(),
        by: DeclaredBy::Local,
        party: Some(Party {
            holds: Holds::Plugin(one.plugin.clone()),
            line: Some(one.line),
            ..local_party(&path)
        }),
    });
    let all = items
        .into_iter()
        .chain(local)
        .chain(image_items(unlisted, DeclaredBy::Image, |_| true));
    let standing = without_covered(request, &plan.renames, all.collect())?;
    let united = plan.unite(&path, standing);
    plan.deployments = in_local_order(united, configs)
        .into_iter()
        .map(deployment)
        .collect();
    Ok(plan)
}

/// Leaves out directories that only the image's list makes a deployment, if a declared list names
/// deployments below them, such as `terraform/aws`. Such a directory holds deployments, and running
/// it would fail. It stays if it is a deployment of its own as well ([`stands_alone`]), or if a
/// list names it.
fn without_covered(
    request: &Request<'_>,
    renames: &[Rename],
    items: Vec<Item>,
) -> Result<Vec<Item>, ContentsError> {
    let declared: BTreeSet<String> = items
        .iter()
        .filter(|item| item.party.is_some())
        .map(|item| item.name.clone())
        .collect();
    let mut standing = Vec::with_capacity(items.len());
    for item in items {
        let below = format!("{}/", item.name);
        let covered = item.party.is_none()
            && !declared.contains(&item.name)
            && declared
                .range(below.clone()..)
                .next()
                .is_some_and(|name| name.starts_with(&below));
        if !covered || stands_alone(request, renames, &declared, &item)? {
            standing.push(item);
        }
    }
    Ok(standing)
}

/// Returns whether the content of the directory makes it a deployment. It does if the directory has
/// a plugin's config and, for a directory of a source, holds nothing of the deployments that the
/// lists name below it.
fn stands_alone(
    request: &Request<'_>,
    renames: &[Rename],
    declared: &BTreeSet<String>,
    item: &Item,
) -> Result<bool, ContentsError> {
    let DeclaredBy::Source(source) = item.by else {
        let config = TreePath::new(format!("{}/{}/{CONFIG}", request.environment, item.name));
        let kind = config.map_or(Ok(None), |path| request.local.kind(&path))?;
        return Ok(matches!(kind, Some(LocalKind::File(_))));
    };
    let own = |name: &str| {
        let (top, rest) = name.split_at(top(name).len());
        let renamed = renames.iter().find(|one| one.source == source && one.to == top);
        format!("{}{rest}", renamed.map_or(top, |one| one.from.as_str()))
    };
    let below = format!("{}/", item.name);
    let named = || {
        declared
            .range(below.clone()..)
            .take_while(|name| name.starts_with(&below))
    };
    Ok(has(request, source, &format!("{}/{CONFIG}", own(&item.name)))
        && !named().any(|name| has(request, source, &format!("{}/", own(name)))))
}

/// Returns whether the source has this file or, for a path that ends with a slash, anything in this
/// directory. The path is the source's own.
fn has(request: &Request<'_>, source: SourceId, path: &str) -> bool {
    let mut layers = request
        .layers
        .layers
        .iter()
        .filter(|layer| layer.source == source && !matches!(layer.part, Part::Shared(_)));
    layers.any(|layer| {
        let at = layer.files.partition_point(|file| file.path.as_str() < path);
        let found = layer.files.get(at).map(|file| file.path.as_str());
        found.is_some_and(|found| {
            if path.ends_with('/') {
                found.starts_with(path)
            } else {
                found == path
            }
        })
    })
}

fn deployment(item: Item) -> PlannedDeployment {
    PlannedDeployment {
        name: item.name,
        plugin: item.plugin,
        by: item.by,
    }
}

fn image_items(
    image: &[(String, String)],
    by: DeclaredBy,
    has: impl Fn(&str) -> bool,
) -> impl Iterator<Item = Item> {
    let known = image.iter().filter(move |(name, _)| has(name));
    known.map(move |(name, plugin)| Item {
        name: name.clone(),
        plugin: plugin.clone(),
        by,
        party: None,
    })
}

/// Returns the top-level directory of a deployment, which may be a nested directory.
fn top(name: &str) -> &str {
    name.split('/').next().unwrap_or(name)
}

impl Plan {
    /// Keeps each name once, at its first place.
    fn unite(&mut self, path: &TreePath, items: Vec<Item>) -> Vec<Item> {
        let mut united: Vec<Item> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        let mut clashes: BTreeMap<usize, Vec<Item>> = BTreeMap::new();
        for item in items {
            match places.get(&item.name) {
                None => {
                    places.insert(item.name.clone(), united.len());
                    united.push(item);
                }
                Some(at) if united[*at].plugin != item.plugin => clashes.entry(*at).or_default().push(item),
                Some(_) => {}
            }
        }
        for (at, others) in clashes {
            let parties = std::iter::once(&united[at])
                .chain(&others)
                .filter_map(|item| item.party.clone())
                .collect();
            self.conflicts.push(Clash {
                path: path.clone(),
                kind: ConflictKind::Plugin {
                    deployment: united[at].name.clone(),
                    plugins: std::iter::once(&united[at])
                        .chain(&others)
                        .map(|item| item.plugin.clone())
                        .collect(),
                },
                parties,
            });
        }
        united
    }
}

/// Puts the names that the local config lists in the order of that list. They keep the places that
/// they have together among all names.
fn in_local_order(mut items: Vec<Item>, configs: &Configs<'_>) -> Vec<Item> {
    let order: BTreeMap<&str, usize> = configs
        .own()
        .iter()
        .enumerate()
        .map(|(at, one)| (one.name.as_str(), at))
        .collect();
    let places: Vec<usize> = (0..items.len())
        .filter(|at| order.contains_key(items[*at].name.as_str()))
        .collect();
    let mut listed: Vec<Item> = places.iter().map(|at| items[*at].clone()).collect();
    listed.sort_by_key(|item| order.get(item.name.as_str()).copied());
    for (at, item) in places.into_iter().zip(listed) {
        items[at] = item;
    }
    items
}

/// A walk through the sources, lowest first. Each source comes after those that it nests, and its
/// `as` applies to them too.
struct Sources<'r, 'a> {
    request: &'r Request<'a>,
    configs: &'r Configs<'a>,
    image: Option<&'r [(String, String)]>,
    plan: &'r mut Plan,
    /// The top-level directories of each source, with their current names.
    dirs: Vec<BTreeMap<String, String>>,
    /// The deployments of each source, after those of the sources that it nests.
    items: Vec<Vec<Item>>,
}

impl<'r, 'a> Sources<'r, 'a> {
    fn new(
        request: &'r Request<'a>,
        configs: &'r Configs<'a>,
        image: Option<&'r [(String, String)]>,
        plan: &'r mut Plan,
    ) -> Self {
        let count = request.layers.sources.len();
        let mut dirs = vec![BTreeMap::new(); count];
        for layer in &request.layers.layers {
            if let Part::Shared(_) = layer.part {
                continue;
            }
            let mut last = "";
            for file in layer.files.iter() {
                if let Some((top, _)) = file.path.as_str().split_once('/').filter(|(top, _)| *top != last) {
                    last = top;
                    dirs[layer.source.0].insert(top.to_owned(), top.to_owned());
                }
            }
        }
        Self {
            request,
            configs,
            image,
            plan,
            dirs,
            items: vec![Vec::new(); count],
        }
    }

    /// Returns the deployments of all sources that the root config names, in its order.
    fn all(mut self) -> Vec<Item> {
        let sources = &self.request.layers.sources;
        let mut all = Vec::new();
        for (index, source) in sources.iter().enumerate() {
            let own = self.own(SourceId(index));
            self.items[index].extend(own);
            if let Some(prefix) = &source.rename {
                self.rename(SourceId(index), prefix);
            }
            let items = std::mem::take(&mut self.items[index]);
            match source.via.last() {
                Some(parent) => self.items[parent.0].extend(items),
                None => all.extend(items),
            }
        }
        for (index, dirs) in self.dirs.iter().enumerate() {
            for (from, to) in dirs.iter().filter(|(from, to)| from != to) {
                let source = SourceId(index);
                self.plan.names.insert((source, from.clone()), to.clone());
                self.plan.renames.push(Rename {
                    source,
                    from: from.clone(),
                    to: to.clone(),
                });
            }
        }
        all
    }

    /// Returns the deployments that the source declares. If it declares none, returns those of the
    /// image for which it has a directory, and those that the local config lists by the names that
    /// `as` will give them.
    fn own(&self, source: SourceId) -> Vec<Item> {
        let by = DeclaredBy::Source(source);
        let declared = self
            .configs
            .declared
            .get(&source)
            .map(Vec::as_slice)
            .unwrap_or_default();
        if declared.is_empty() {
            let image = image_items(self.image.unwrap_or_default(), by, |name| {
                has(self.request, source, &format!("{name}/"))
            });
            let mut items: Vec<Item> = image.collect();
            items.extend(self.listed_renamed(source, &items));
            return items;
        }
        let item = |(one, file): &(Declared, &TreeFile)| Item {
            name: one.name.clone(),
            plugin: one.plugin.clone(),
            by,
            party: Some(Party {
                holds: Holds::Plugin(one.plugin.clone()),
                line: Some(one.line),
                ..source_party(source, file)
            }),
        };
        declared.iter().map(item).collect()
    }

    fn declares(&self, source: SourceId) -> bool {
        self.configs
            .declared
            .get(&source)
            .is_some_and(|declared| !declared.is_empty())
    }

    /// Returns the directories of a renamed source that are deployments because the local config
    /// lists `<as>-<directory>`. A name that the image has as well stays the image's.
    fn listed_renamed(&self, source: SourceId, known: &[Item]) -> Vec<Item> {
        let sources = &self.request.layers.sources;
        let chain = sources[source.0].via.iter().chain(std::iter::once(&source));
        let prefix: String = chain
            .filter_map(|id| sources[id.0].rename.as_deref())
            .map(|name| format!("{name}-"))
            .collect();
        if prefix.is_empty() {
            return Vec::new();
        }
        let item = |one: &Declared| {
            let name = one.name.strip_prefix(&prefix)?;
            let new =
                self.dirs[source.0].contains_key(top(name)) && known.iter().all(|item| item.name != name);
            new.then(|| Item {
                name: name.to_owned(),
                plugin: one.plugin.clone(),
                by: DeclaredBy::Source(source),
                party: None,
            })
        };
        self.configs.own().iter().filter_map(item).collect()
    }

    /// Applies `as`: prefixes the names of the source's deployments, of those of all sources below
    /// it, and of their directories.
    fn rename(&mut self, source: SourceId, prefix: &str) {
        let members: Vec<usize> = (0..=source.0)
            .filter(|index| *index == source.0 || self.request.layers.sources[*index].via.contains(&source))
            .collect();
        let renamed: BTreeSet<String> = self.items[source.0]
            .iter()
            .map(|item| top(&item.name).to_owned())
            .collect();
        // If the image's deployments are not known, any other directory may be a deployment too,
        // and the plan would differ from what runs.
        let mut directories = members.iter().flat_map(|member| self.dirs[*member].values());
        let declares = members.iter().any(|member| self.declares(SourceId(*member)));
        if self.image.is_none() && !declares && directories.any(|name| !renamed.contains(name)) {
            self.plan.conflicts.push(Clash {
                path: self.request.environment.environment_config(),
                kind: ConflictKind::DeploymentsUnknown,
                parties: vec![Party {
                    origin: Origin::Source(source),
                    path: self.request.layers.sources[source.0]
                        .environment
                        .environment_config(),
                    holds: Holds::File,
                    line: None,
                }],
            });
        }
        for member in members {
            for name in self.dirs[member]
                .values_mut()
                .filter(|name| renamed.contains(*name))
            {
                *name = format!("{prefix}-{name}");
            }
        }
        for item in &mut self.items[source.0] {
            item.name = format!("{prefix}-{}", item.name);
        }
    }
}
