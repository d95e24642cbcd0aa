//! Names for files that are kept side by side.
//!
//! `main.tf` of a lower layer becomes `main.<environment>.tf`, the environment's path with `-` for
//! `/`. If that name is taken it becomes `main.<repo>-<environment>.tf`, then
//! `main.<repo>-<environment>-2.tf` and so on. None of these names makes the file an override file,
//! whatever the name of the environment. The names of override files, whose order matters, come
//! from [`overrides`](super::overrides).

use compose_merge::DefinitionsFile;

use crate::layer::Source;

/// Returns the names for a lower file, best first. The iterator does not end.
pub(super) fn names(name: &str, source: &Source) -> impl Iterator<Item = String> {
    let (stem, extension) = split(name);
    let environment = label(source);
    let long = format!("{}-{environment}", component(source.repo.name()));
    let numbered = (2..).map({
        let long = long.clone();
        move |number| format!("{long}-{number}")
    });
    let (stem, extension) = (stem.to_owned(), extension.to_owned());
    [environment, long]
        .into_iter()
        .chain(numbered)
        .map(move |middle| format!("{stem}.{middle}{extension}"))
        .filter(|name| !DefinitionsFile::of_name(name).is_some_and(|file| file.is_override()))
}

/// Returns a source's environment as part of a file name.
pub(super) fn label(source: &Source) -> String {
    source.environment.as_str().replace('/', "-")
}

/// Splits a name into the stem and the extension with its dot; `.tf.json` is one extension.
fn split(name: &str) -> (&str, &str) {
    let stem = DefinitionsFile::of_name(name).map(|file| file.stem.len());
    name.split_at(stem.unwrap_or_else(|| name.rfind('.').unwrap_or(name.len())))
}

/// Returns a repo's name as part of a file name.
fn component(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::testing::source;

    #[test]
    fn the_environment_stands_before_the_extension() {
        let source = source("https://host/org/kubernetes", "stacks/eks");
        for (name, first) in [
            ("main.tf", "main.stacks-eks.tf"),
            ("main.tf.json", "main.stacks-eks.tf.json"),
            ("a.b.tf", "a.b.stacks-eks.tf"),
            ("main.tofu", "main.stacks-eks.tofu"),
            ("nooverride.tf", "nooverride.stacks-eks.tf"),
        ] {
            assert_eq!(names(name, &source).next().as_deref(), Some(first), "{name}");
        }
        let all: Vec<_> = names("main.tf", &source).take(4).collect();
        assert_eq!(
            all[1..],
            [
                "main.kubernetes-stacks-eks.tf",
                "main.kubernetes-stacks-eks-2.tf",
                "main.kubernetes-stacks-eks-3.tf"
            ]
        );
    }

    #[test]
    fn no_file_becomes_an_override_file_by_its_environments_name() {
        let source = source("https://host/org/kubernetes", "eks_override");
        let first = names("main.tf", &source).next();
        assert_eq!(first.as_deref(), Some("main.kubernetes-eks_override-2.tf"));
    }
}
