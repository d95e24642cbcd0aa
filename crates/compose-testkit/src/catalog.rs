//! Catalogs: real git repos that are created quickly and always have the same commit ids.
//!
//! ```no_run
//! # use compose_testkit::Catalog;
//! let mut catalog = Catalog::new("kubernetes");
//! catalog.file("eks/terraform/main.tf", "# one").tag("1.0.0");
//! catalog.file("eks/terraform/main.tf", "# two").executable("eks/hook.sh", "true").annotated_tag("v1.1.0");
//! let repo = catalog.build(std::path::Path::new("/tmp/catalogs"));
//! assert_ne!(repo.commit("1.0.0"), repo.commit("v1.1.0"));
//! ```

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use crate::git;
use crate::repo::Repo;

/// The time of the first commit, in seconds since 1970; each further commit is a minute later.
const EPOCH: u64 = 1_700_000_000;

/// The builder of a catalog: its current files and its history so far.
#[derive(Debug, Clone)]
pub struct Catalog {
    name: String,
    object_format: &'static str,
    branch: String,
    files: BTreeMap<String, CatalogEntry>,
    changed: bool,
    steps: Vec<Step>,
    config: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
struct CatalogEntry {
    mode: &'static str,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Blob(Vec<u8>),
    Commit(String),
}

#[derive(Debug, Clone)]
enum Step {
    Branch(String),
    Commit {
        message: String,
        files: BTreeMap<String, CatalogEntry>,
    },
    LightweightTag(String),
    AnnotatedTag(String),
}

impl Catalog {
    /// Creates an empty catalog on branch `main`. The name may contain slashes:
    /// `organisation/repo`.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            object_format: "sha1",
            branch: "main".to_owned(),
            files: BTreeMap::new(),
            changed: false,
            steps: vec![Step::Branch("main".to_owned())],
            config: Vec::new(),
        }
    }

    /// Uses SHA-256 object ids.
    pub fn sha256(&mut self) -> &mut Self {
        self.object_format = "sha256";
        self
    }

    /// Sets a git configuration of the repo, such as `uploadpack.allowFilter`. By default
    /// `allowFilter` and `allowAnySHA1InWant` are on, as on GitHub.
    pub fn config(&mut self, key: &str, value: &str) -> &mut Self {
        self.config.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Adds or replaces a file of mode 100644.
    pub fn file(&mut self, path: &str, content: impl AsRef<[u8]>) -> &mut Self {
        self.insert(path, "100644", Content::Blob(content.as_ref().to_vec()))
    }

    /// Adds or replaces a file of mode 100755.
    pub fn executable(&mut self, path: &str, content: impl AsRef<[u8]>) -> &mut Self {
        self.insert(path, "100755", Content::Blob(content.as_ref().to_vec()))
    }

    /// Adds or replaces a symlink.
    pub fn symlink(&mut self, path: &str, target: impl AsRef<[u8]>) -> &mut Self {
        self.insert(path, "120000", Content::Blob(target.as_ref().to_vec()))
    }

    /// Adds or replaces a submodule at `commit`, given as 40 hexadecimal digits.
    pub fn submodule(&mut self, path: &str, commit: &str) -> &mut Self {
        self.insert(path, "160000", Content::Commit(commit.to_owned()))
    }

    /// Adds every file below a directory of this machine, with its executable bit; symlinks stay
    /// symlinks.
    ///
    /// # Panics
    ///
    /// If the directory cannot be read.
    pub fn directory(&mut self, path: &str, from: &Path) -> &mut Self {
        let entries =
            std::fs::read_dir(from).unwrap_or_else(|error| panic!("cannot read {}: {error}", from.display()));
        for entry in entries {
            let entry = entry.unwrap_or_else(|error| panic!("cannot read {}: {error}", from.display()));
            let name = entry.file_name();
            let name = name
                .to_str()
                .unwrap_or_else(|| panic!("{} is not UTF-8", entry.path().display()));
            let inside = if path.is_empty() {
                name.to_owned()
            } else {
                format!("{path}/{name}")
            };
            self.copy(&inside, &entry.path());
        }
        self
    }

    fn copy(&mut self, path: &str, from: &Path) {
        use std::os::unix::ffi::OsStrExt as _;
        use std::os::unix::fs::PermissionsExt as _;
        let fail = |error: std::io::Error| -> ! { panic!("cannot read {}: {error}", from.display()) };
        let metadata = from.symlink_metadata().unwrap_or_else(|error| fail(error));
        if metadata.is_dir() {
            self.directory(path, from);
        } else if metadata.is_symlink() {
            let target = std::fs::read_link(from).unwrap_or_else(|error| fail(error));
            self.symlink(path, target.as_os_str().as_bytes());
        } else {
            let content = std::fs::read(from).unwrap_or_else(|error| fail(error));
            let mode = if metadata.permissions().mode() & 0o111 == 0 {
                "100644"
            } else {
                "100755"
            };
            self.insert(path, mode, Content::Blob(content));
        }
    }

    /// Removes a file, or a directory with its content.
    pub fn remove(&mut self, path: &str) -> &mut Self {
        let below = format!("{path}/");
        self.files
            .retain(|known, _| known != path && !known.starts_with(&below));
        self.changed = true;
        self
    }

    /// Returns the current text of a file.
    pub fn text(&self, path: &str) -> Option<&str> {
        match self.files.get(path).map(|entry| &entry.content) {
            Some(Content::Blob(content)) => std::str::from_utf8(content).ok(),
            _ => None,
        }
    }

    /// Returns the paths of the current files, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Adds environments `env-0000`, `env-0001`, … with `files_each` files of 2 to 3 KB each, for
    /// benchmarks. The text compresses about as well as YAML, and no two files are alike.
    pub fn padding(&mut self, environments: usize, files_each: usize) -> &mut Self {
        for environment in 0..environments {
            for file in 0..files_each {
                let path = format!(
                    "env-{environment:04}/helm/chart-{}/values-{file:02}.yaml",
                    file % 3
                );
                let text = padding_text((environment as u64) << 32 | file as u64);
                self.file(&path, text);
            }
        }
        self
    }

    fn insert(&mut self, path: &str, mode: &'static str, content: Content) -> &mut Self {
        self.files.insert(path.to_owned(), CatalogEntry { mode, content });
        self.changed = true;
        self
    }

    /// Commits the current files, changed or not.
    pub fn commit(&mut self, message: &str) -> &mut Self {
        self.steps.push(Step::Commit {
            message: message.to_owned(),
            files: self.files.clone(),
        });
        self.changed = false;
        self
    }

    fn commit_if_changed(&mut self, message: &str) {
        if self.changed {
            self.commit(message);
        }
    }

    /// Commits changes, and sets a lightweight tag.
    pub fn tag(&mut self, name: &str) -> &mut Self {
        self.commit_if_changed(name);
        self.steps.push(Step::LightweightTag(name.to_owned()));
        self
    }

    /// Commits changes, and sets an annotated tag.
    pub fn annotated_tag(&mut self, name: &str) -> &mut Self {
        self.commit_if_changed(name);
        self.steps.push(Step::AnnotatedTag(name.to_owned()));
        self
    }

    /// Commits changes, and continues on a new branch from here.
    pub fn branch(&mut self, name: &str) -> &mut Self {
        let message = format!("before {name}");
        self.commit_if_changed(&message);
        self.branch = name.to_owned();
        self.steps.push(Step::Branch(name.to_owned()));
        self
    }

    /// Commits changes, and writes the repo to `<root>/<name>.git`, replacing an existing one.
    ///
    /// # Panics
    ///
    /// If git fails, or the directory cannot be written.
    pub fn build(&mut self, root: &Path) -> Repo {
        let message = format!("the state of {}", self.branch);
        self.commit_if_changed(&message);
        let path = root.join(format!("{}.git", self.name));
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                panic!("cannot replace {}: {error}", path.display())
            }
            _ => {}
        }
        std::fs::create_dir_all(&path)
            .unwrap_or_else(|error| panic!("cannot make {}: {error}", path.display()));
        let format = format!("--object-format={}", self.object_format);
        git::run(
            &path,
            [
                "init",
                "--quiet",
                "--bare",
                "--initial-branch=main",
                "--template=",
                &format,
                ".",
            ],
        );
        self.write_config(&path);
        git::run_with_input(&path, ["fast-import", "--quiet", "--force"], &self.fast_import());
        Repo::open(&self.name, &path)
    }

    /// Appends to the configuration file directly: one `git config` per key would take as long as
    /// everything else.
    fn write_config(&self, path: &Path) {
        let defaults = [
            ("uploadpack.allowFilter", "true"),
            ("uploadpack.allowAnySHA1InWant", "true"),
            ("gc.auto", "0"),
            ("fastimport.unpackLimit", "0"),
        ];
        let own = self
            .config
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        let mut text = String::new();
        for (key, value) in defaults.into_iter().chain(own) {
            let (section, name) = key
                .split_once('.')
                .unwrap_or_else(|| panic!("{key} has no section"));
            text.push_str(&format!("[{section}]\n\t{name} = {value}\n"));
        }
        let mut file = std::fs::File::options()
            .append(true)
            .open(path.join("config"))
            .unwrap_or_else(|error| panic!("cannot configure {}: {error}", path.display()));
        file.write_all(text.as_bytes())
            .unwrap_or_else(|error| panic!("cannot configure {}: {error}", path.display()));
    }

    /// Returns the history as input for `git fast-import`. Equal blobs are written once and
    /// referred to by marks.
    fn fast_import(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut blobs: BTreeMap<&[u8], usize> = BTreeMap::new();
        for step in &self.steps {
            let Step::Commit { files, .. } = step else {
                continue;
            };
            for entry in files.values() {
                let Content::Blob(content) = &entry.content else {
                    continue;
                };
                let mark = blobs.len() + 1;
                blobs.entry(content).or_insert_with(|| {
                    out.extend_from_slice(format!("blob\nmark :{mark}\n").as_bytes());
                    write_data(&mut out, content);
                    mark
                });
            }
        }

        let mut next_mark = blobs.len();
        let mut time = EPOCH;
        let mut branch = "main";
        let mut head: Option<usize> = None;
        for step in &self.steps {
            match step {
                Step::Branch(name) => {
                    branch = name;
                    if let Some(head) = head {
                        out.extend_from_slice(
                            format!("reset refs/heads/{branch}\nfrom :{head}\n\n").as_bytes(),
                        );
                    }
                }
                Step::Commit { message, files } => {
                    next_mark += 1;
                    let who = format!("Catalog <catalog@example.com> {time} +0000");
                    out.extend_from_slice(
                        format!(
                            "commit refs/heads/{branch}\nmark :{next_mark}\nauthor {who}\ncommitter {who}\n"
                        )
                        .as_bytes(),
                    );
                    write_data(&mut out, message.as_bytes());
                    if let Some(head) = head {
                        out.extend_from_slice(format!("from :{head}\n").as_bytes());
                    }
                    out.extend_from_slice(b"deleteall\n");
                    for (path, entry) in files {
                        let object = match &entry.content {
                            Content::Blob(content) => format!(":{}", blobs[content.as_slice()]),
                            Content::Commit(id) => id.clone(),
                        };
                        out.extend_from_slice(
                            format!("M {} {object} {}\n", entry.mode, quoted(path)).as_bytes(),
                        );
                    }
                    head = Some(next_mark);
                    time += 60;
                }
                Step::LightweightTag(name) => {
                    let head = head.unwrap_or_else(|| panic!("the tag {name} has no commit"));
                    out.extend_from_slice(format!("reset refs/tags/{name}\nfrom :{head}\n\n").as_bytes());
                }
                Step::AnnotatedTag(name) => {
                    let head = head.unwrap_or_else(|| panic!("the tag {name} has no commit"));
                    let who = format!("Catalog <catalog@example.com> {time} +0000");
                    out.extend_from_slice(format!("tag {name}\nfrom :{head}\ntagger {who}\n").as_bytes());
                    write_data(&mut out, name.as_bytes());
                }
            }
        }
        out
    }
}

fn write_data(out: &mut Vec<u8>, content: &[u8]) {
    out.extend_from_slice(format!("data {}\n", content.len()).as_bytes());
    out.extend_from_slice(content);
    out.push(b'\n');
}

/// Quotes a path for fast-import.
fn quoted(path: &str) -> String {
    let mut quoted = String::from("\"");
    for byte in path.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            b' '..=b'~' => quoted.push(char::from(byte)),
            _ => quoted.push_str(&format!("\\{byte:03o}")),
        }
    }
    quoted.push('"');
    quoted
}

/// Returns 2 to 3 KB of YAML, which depends on the seed alone (xorshift64*).
fn padding_text(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    };
    let length = 2_048 + usize::try_from(random() % 1_024).expect("less than 1,024");
    let mut text = format!("# values {seed:x}\n");
    while text.len() < length {
        text.push_str(&format!(
            "setting-{:04x}: \"{:016x}\"\n",
            random() % 0x1_0000,
            random()
        ));
    }
    text.truncate(length);
    text
}
