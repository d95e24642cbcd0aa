//! A built catalog, to which objects can be added that git itself would refuse.

use std::path::{Path, PathBuf};

use crate::git;

/// A bare repo on disk.
#[derive(Debug, Clone)]
pub struct Repo {
    name: String,
    path: PathBuf,
}

/// An entry of a raw tree, written exactly as it is.
#[derive(Debug, Clone)]
pub struct RawEntry {
    /// The mode as it stands in the tree object, so `40000` for a tree.
    pub mode: String,
    /// Any bytes except NUL.
    pub name: Vec<u8>,
    /// 40 hexadecimal digits, the id of any object or of none.
    pub id: String,
}

impl RawEntry {
    /// Creates an entry with any mode, name and id.
    pub fn new(mode: &str, name: impl AsRef<[u8]>, id: &str) -> Self {
        Self {
            mode: mode.to_owned(),
            name: name.as_ref().to_vec(),
            id: id.to_owned(),
        }
    }
}

impl Repo {
    /// Opens the bare repo at `path`; `name` is its name on a server.
    pub fn open(name: &str, path: &Path) -> Self {
        Self {
            name: name.to_owned(),
            path: path.to_owned(),
        }
    }

    /// Returns the name, without `.git`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the commit id of a tag, branch or abbreviated id.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn commit(&self, revision: &str) -> String {
        self.git([
            "rev-parse",
            "--verify",
            "--end-of-options",
            &format!("{revision}^{{commit}}"),
        ])
    }

    /// Returns the id of anything that `git rev-parse` understands, such as `1.0.0:eks` for a tree.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn id(&self, revision: &str) -> String {
        self.git(["rev-parse", "--verify", "--end-of-options", revision])
    }

    /// Runs git in the repo and returns its output.
    ///
    /// # Panics
    ///
    /// If git fails.
    pub fn git<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> String {
        git::run(&self.path, args)
    }

    /// Writes a blob, and returns its id.
    pub fn write_blob(&self, content: impl AsRef<[u8]>) -> String {
        self.write("blob", content.as_ref())
    }

    /// Writes a tree of exactly these entries in this order, without checks, and returns its id.
    pub fn write_tree(&self, entries: &[RawEntry]) -> String {
        let mut content = Vec::new();
        for entry in entries {
            content.extend_from_slice(entry.mode.as_bytes());
            content.push(b' ');
            content.extend_from_slice(&entry.name);
            content.push(0);
            content.extend((0..entry.id.len()).step_by(2).map(|digit| {
                u8::from_str_radix(&entry.id[digit..digit + 2], 16)
                    .unwrap_or_else(|_| panic!("{} is not hexadecimal", entry.id))
            }));
        }
        self.write("tree", &content)
    }

    /// Writes a commit of a tree, without parents, and returns its id.
    pub fn write_commit(&self, tree: &str, message: &str) -> String {
        let who = "Catalog <catalog@example.com> 1700000000 +0000";
        self.write(
            "commit",
            format!("tree {tree}\nauthor {who}\ncommitter {who}\n\n{message}\n").as_bytes(),
        )
    }

    /// Writes an annotated tag object that points to any object (`kind` is `commit`, `tag`, `blob`
    /// or `tree`), without a ref, and returns its id.
    pub fn write_tag(&self, name: &str, kind: &str, target: &str) -> String {
        let who = "Catalog <catalog@example.com> 1700000000 +0000";
        let text = format!("object {target}\ntype {kind}\ntag {name}\ntagger {who}\n\n{name}\n");
        self.write("tag", text.as_bytes())
    }

    /// Writes an object of any bytes, without checks, and returns its id.
    pub fn write(&self, kind: &str, content: &[u8]) -> String {
        git::run_with_input(
            &self.path,
            ["hash-object", "-t", kind, "--literally", "-w", "--stdin"],
            content,
        )
    }

    /// Points a full ref name at an existing object.
    pub fn set_ref(&self, name: &str, id: &str) {
        self.git(["update-ref", name, id]);
    }

    /// Points a full ref name at anything, by writing the file directly.
    ///
    /// # Panics
    ///
    /// If the file cannot be written.
    pub fn set_ref_unchecked(&self, name: &str, content: &str) {
        let path = self.path.join(name);
        let parent = path.parent().expect("a ref is in a directory");
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, format!("{content}\n")))
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    }

    /// Tags a new commit with the root tree `tree`, and returns the commit's id.
    pub fn tag_tree(&self, tag: &str, tree: &str) -> String {
        let commit = self.write_commit(tree, tag);
        self.set_ref(&format!("refs/tags/{tag}"), &commit);
        commit
    }

    /// Tags a new commit whose only directory `environment` is `tree`, and returns the commit's id.
    pub fn tag_environment(&self, tag: &str, environment: &str, tree: &str) -> String {
        let root = self.write_tree(&[RawEntry::new("40000", environment, tree)]);
        self.tag_tree(tag, &root)
    }
}
