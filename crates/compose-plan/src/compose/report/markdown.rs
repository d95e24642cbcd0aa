//! Renders the plan for the page of a CI run.
//!
//! All text that is not this file's own goes through [`code`] or [`plain`], because names come from
//! remotes and the page renders Markdown and HTML.

use compose_model::{
    filter::is_hook,
    text::{self, counted},
};

use super::{graph, overview};
use crate::{
    compose::{Action, ComposedFile, Composition, Write, wording},
    layer::{Origin, Source, SourceId},
};

/// The number of lines in one list; further lines are only counted. A page has room for a mebibyte.
const MOST: usize = 200;
/// The columns of the conflicts on a page.
const PAGE_COLUMNS: usize = 100;
/// The number of sources and deployments in one picture. GitHub does not draw larger ones.
const MOST_DRAWN: usize = 100;

/// The content of a page.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// The composition, which may have conflicts.
    pub composition: &'a Composition,
    /// The sources of the layers that were composed.
    pub sources: &'a [Source],
}

impl Page<'_> {
    /// Renders sources with versions and commits, hooks, changes, conflicts and warnings, and the
    /// picture.
    pub fn render(&self) -> String {
        let written = self.written().count();
        let mut out = format!(
            "### bitops-compose: {}\n\n{}, {} composed\n\n",
            code(self.composition.environment.as_str()),
            counted(self.sources.len(), "source"),
            counted(written, "file")
        );
        self.table(&mut out);
        self.conflicts(&mut out);
        self.hooks(&mut out);
        self.changes(&mut out, written);
        self.warnings(&mut out);
        self.picture(&mut out);
        out
    }

    fn written(&self) -> impl Iterator<Item = &ComposedFile> {
        let files = self.composition.files.iter();
        files.filter(|file| file.write != Write::Local)
    }

    fn table(&self, out: &mut String) {
        out.push_str("| source | repo | requested | resolved | commit | locked | files |\n");
        out.push_str("|---|---|---|---|---|---|---:|\n");
        for (index, source) in self.sources.iter().enumerate().take(MOST) {
            let files = self
                .written()
                .filter(|file| decides(file, Origin::Source(SourceId(index))));
            out.push_str(&format!(
                "| {} | {} | {} | {} | {} | {} | {} |\n",
                code(source.environment.as_str()),
                code(source.repo.as_str()),
                code(source.requested.as_str()),
                code(&source.resolved.name),
                code(&source.resolved.commit.abbreviated()),
                wording::locked(source),
                files.count(),
            ));
        }
        if self.sources.len() > MOST {
            out.push_str(&format!("\nand {} more\n", self.sources.len() - MOST));
        }
        out.push('\n');
    }

    fn hooks(&self, out: &mut String) {
        let hooks: Vec<String> = self
            .written()
            .filter(|file| {
                is_hook(&file.path) || file.write.mode() == Some(compose_model::FileMode::Executable)
            })
            .filter(|file| !decides(file, Origin::Local))
            .map(|file| format!("{}{}", self.path(file), self.from(file)))
            .collect();
        if !hooks.is_empty() {
            let head = "Hooks and executables of sources: they run with the deployment's credentials";
            list(out, &format!("**{head}**\n\n"), &hooks);
        }
    }

    fn changes(&self, out: &mut String, count: usize) {
        if count == 0 {
            return;
        }
        let changes: Vec<String> = self
            .written()
            .map(|file| format!("{} {}{}", file.action.as_str(), self.path(file), self.from(file)))
            .collect();
        let head = format!(
            "<details><summary>{} composed</summary>\n\n",
            counted(count, "file")
        );
        list(out, &head, &changes);
        out.push_str("</details>\n\n");
    }

    fn conflicts(&self, out: &mut String) {
        let Some(count) = overview::count(self.composition) else {
            return;
        };
        let conflicts = overview::conflicts(self.composition, self.sources, PAGE_COLUMNS);
        out.push_str(&format!("**{count}**\n\n{}", preformatted(conflicts.as_str())));
    }

    fn warnings(&self, out: &mut String) {
        let warnings = self.composition.warnings.iter();
        let warnings: Vec<String> = warnings.map(|warning| plain(&warning.message)).collect();
        if !warnings.is_empty() {
            list(out, "**Warnings**\n\n", &warnings);
        }
    }

    fn picture(&self, out: &mut String) {
        if self.sources.len() + self.composition.deployments.len() > MOST_DRAWN {
            return;
        }
        out.push_str("<details><summary>Graph</summary>\n\n```mermaid\n");
        out.push_str(&graph::mermaid(self.composition, self.sources));
        out.push_str("```\n\n</details>\n\n");
    }

    fn path(&self, file: &ComposedFile) -> String {
        code(&file.path.relative_to(&self.composition.environment))
    }

    /// Names the owners of a file: all of them if the file is merged, else the one that decides.
    fn from(&self, file: &ComposedFile) -> String {
        let mut names: Vec<String> = Vec::new();
        for from in &file.from {
            let name = match from.origin {
                Origin::Source(id) => wording::short_label(&self.sources[id.0], self.sources),
                Origin::Local => "your own".to_owned(),
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let names: Vec<String> = match file.action {
            Action::Merge => names.iter().map(|name| code(name)).collect(),
            // The last one decides.
            _ => names.last().map(|name| code(name)).into_iter().collect(),
        };
        format!(" of {}", names.join(", "))
    }
}

fn decides(file: &ComposedFile, origin: Origin) -> bool {
    file.from.last().is_some_and(|from| from.origin == origin)
}

fn list(out: &mut String, head: &str, items: &[String]) {
    out.push_str(head);
    for item in items.iter().take(MOST) {
        out.push_str(&format!("- {item}\n"));
    }
    if items.len() > MOST {
        out.push_str(&format!("- and {} more\n", items.len() - MOST));
    }
    out.push('\n');
}

/// Formats a name in the page's fixed-width letters, in which GitHub does not look for mentions or
/// links.
pub fn code(name: &str) -> String {
    format!("<code>{}</code>", plain(&text::escape(name, 200)))
}

/// Formats lines that keep their line breaks and spaces.
pub fn preformatted(text: &str) -> String {
    let lines: Vec<String> = text.trim_matches('\n').lines().map(plain).collect();
    format!("<pre>\n{}\n</pre>\n\n", lines.join("\n"))
}

/// Formats a sentence. Everything that Markdown, HTML or a table could take for more than text is
/// replaced by an entity, which always renders as text.
pub fn plain(sentence: &str) -> String {
    let mut out = String::with_capacity(sentence.len());
    for c in text::escape(sentence, 2000).chars() {
        if c.is_alphanumeric() || " .,/()-".contains(c) {
            out.push(c);
        } else {
            out.push_str(&format!("&#{};", u32::from(c)));
        }
    }
    out
}

/// Reverses [`plain`] in a page. Returns the text and, for each byte of it and for its end, the
/// place in the page.
pub fn unescape(page: &str) -> (String, Vec<usize>) {
    let (mut text, mut places) = (String::with_capacity(page.len()), Vec::new());
    let mut rest = page;
    while let Some(first) = rest.chars().next() {
        let entity = rest.strip_prefix("&#").and_then(|after| after.split_once(';'));
        let escaped =
            entity.and_then(|(code, _)| Some((char::from_u32(code.parse().ok()?)?, code.len() + 3)));
        let (c, length) = escaped.unwrap_or((first, first.len_utf8()));
        places.resize(places.len() + c.len_utf8(), page.len() - rest.len());
        text.push(c);
        rest = &rest[length..];
    }
    places.push(page.len());
    (text, places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::testing::World;

    fn world() -> World {
        World::new(&[("dev/a/x.kv", "k=local\n")])
            .source(
                "eks",
                &[
                    ("a/x.kv", "k=theirs\nl=1\n"),
                    ("a/bitops.before-deploy.d/x.sh*", "true"),
                ],
            )
            .source("web", &[("b/run.sh*", "true"), ("b/y.txt", "y")])
            .image(&[("a", "terraform")])
    }

    #[test]
    fn the_page_shows_versions_hooks_changes_and_the_picture() {
        let mut world = world();
        world.layers.sources[0].is_locked = true;
        let page = Page {
            composition: &world.composed(),
            sources: &world.layers.sources,
        };
        let page = page.render();
        for expected in [
            "### bitops-compose: <code>dev</code>\n\n2 sources, 4 files composed\n",
            "| <code>eks</code> | <code>https&#58;//host/org/eks-repo</code> | <code>1.0.0</code> | <code>v1.0.0</code> | <code>",
            " | locked | 1 |\n",
            " | not locked | 2 |\n",
            "- <code>a/bitops.before-deploy.d/x.sh</code> of <code>eks</code>\n- <code>b/run.sh</code> of <code>web</code>\n\n",
            "<details><summary>4 files composed</summary>\n\n- add <code>a/bitops",
            "- merge <code>a/x.kv</code> of <code>eks</code>, <code>your own</code>\n",
            "- add <code>b/y.txt</code> of <code>web</code>\n",
            "```mermaid\nflowchart LR\n",
        ] {
            assert!(page.contains(expected), "{expected}\n{page}");
        }
    }

    #[test]
    fn conflicts_are_on_the_page_with_their_remedies() {
        let world = World::new(&[])
            .source("eks", &[("x.bin", "a")])
            .source("web", &[("x.bin", "b")]);
        let page = Page {
            composition: &world.compose(),
            sources: &world.layers.sources,
        };
        let page = page.render();
        assert!(
            page.contains("**1 conflict**\n\n<pre>\ndev/&#58; 1 conflict between\n  A  eks v1.0.0"),
            "{page}"
        );
        assert!(page.contains("\n       on-conflict&#58; last\n"), "{page}");
    }

    #[test]
    fn hostile_names_are_text() {
        let hostile = "a|b\n<img>`*_~[x](y)@me#1\\&amp;";
        assert!(
            plain(hostile)
                .chars()
                .all(|c| c.is_alphanumeric() || " .,/()-&#;".contains(c))
        );
        assert!(plain(hostile).starts_with("a&#124;b&#92;n&#60;img&#62;"));
        assert_eq!(code("x"), "<code>x</code>");
        let (text, places) = unescape("<b>&#58;é&#;&#58;");
        assert_eq!(text, "<b>:é&#;:");
        assert_eq!(places, [0, 1, 2, 3, 8, 8, 10, 11, 12, 13, 18]);
    }

    #[test]
    fn long_lists_are_cut() {
        let mut out = String::new();
        list(&mut out, "", &vec!["x".to_owned(); MOST + 3]);
        assert!(out.ends_with("- x\n- and 3 more\n\n"));
        assert_eq!(out.matches("- x\n").count(), MOST);
    }
}
