//! What a composition knows of itself: a file beside its tree.
//!
//! It tells whose operations repo lies below (a path that leads into a composition means that one), and what was staged, so that
//! what a pipeline wrote there can be told apart.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs,
    io::{self, Write},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::PermissionsExt,
    },
    path::{Component, Path, PathBuf},
};

/// What the names of compositions below a home start with.
pub(crate) const COMPOSITION: &str = "composition.";
/// The composed operations repo below a composition's directory.
pub(crate) const TREE: &str = "tree";
/// The record's name beside the tree.
const RECORD: &str = "staged";
/// Its first field: another layout would have another number.
const MAGIC: &[u8] = b"bitops-compose composition 1";

/// Whose a composition is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The environment that was composed.
    pub(crate) environment: String,
    /// The user's operations repo below it.
    pub(crate) root: PathBuf,
    /// What the link names when it shows the user's repo.
    pub(crate) back: PathBuf,
}

/// What was staged at a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A real directory.
    Directory,
    /// A composed file.
    File,
    /// A link to what the user has there, or the user's own link once more.
    Users,
}

impl Kind {
    fn byte(self) -> u8 {
        match self {
            Kind::Directory => b'd',
            Kind::File => b'f',
            Kind::Users => b'u',
        }
    }

    fn of(byte: u8) -> Option<Self> {
        [Kind::Directory, Kind::File, Kind::Users]
            .into_iter()
            .find(|kind| kind.byte() == byte)
    }
}

/// What was staged: the names of each real directory, by its path below the tree ("" is the tree).
pub(crate) type Listing = BTreeMap<PathBuf, BTreeMap<OsString, Kind>>;

impl Record {
    /// Writes the record and the names of each directory.
    pub(crate) fn write<'a, N: Iterator<Item = (&'a OsStr, Kind)>>(
        &self,
        composition: &Path,
        dirs: impl Iterator<Item = (&'a Path, N)>,
    ) -> io::Result<()> {
        let mut out = io::BufWriter::new(fs::File::create(composition.join(RECORD))?);
        for field in [
            MAGIC,
            self.environment.as_bytes(),
            self.root.as_os_str().as_bytes(),
            self.back.as_os_str().as_bytes(),
        ] {
            out.write_all(field)?;
            out.write_all(b"\0")?;
        }
        for (dir, names) in dirs {
            // No name holds a slash, so that a directory is known by it.
            out.write_all(b"/")?;
            out.write_all(dir.as_os_str().as_bytes())?;
            out.write_all(b"\0")?;
            for (name, kind) in names {
                out.write_all(&[kind.byte()])?;
                out.write_all(name.as_bytes())?;
                out.write_all(b"\0")?;
            }
        }
        // Another user's run reads it, too.
        out.into_inner()?
            .set_permissions(fs::Permissions::from_mode(0o644))
    }

    /// `None`: it is no composition, or not a whole one.
    pub(crate) fn read(composition: &Path) -> Option<Self> {
        let bytes = fs::read(composition.join(RECORD)).ok()?;
        Self::parse(&bytes).map(|(record, _)| record)
    }

    /// With what was staged.
    pub(crate) fn read_all(composition: &Path) -> io::Result<(Self, Listing)> {
        let bytes = fs::read(composition.join(RECORD))?;
        let (record, rest) = Self::parse(&bytes).ok_or(io::ErrorKind::InvalidData)?;
        Ok((record, listing(rest)))
    }

    fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let mut rest = bytes;
        let mut field = || {
            let end = rest.iter().position(|byte| *byte == 0)?;
            let (field, after) = rest.split_at(end);
            rest = &after[1..];
            Some(field)
        };
        if field()? != MAGIC {
            return None;
        }
        let environment = String::from_utf8(field()?.to_vec()).ok()?;
        let root = path(field()?);
        let back = path(field()?);
        let record = Self {
            environment,
            root,
            back,
        };
        Some((record, rest))
    }
}

fn path(bytes: &[u8]) -> PathBuf {
    OsString::from_vec(bytes.to_vec()).into()
}

fn listing(bytes: &[u8]) -> Listing {
    let mut listing = Listing::new();
    let mut dir = PathBuf::new();
    for field in bytes.split(|byte| *byte == 0) {
        match field.split_first() {
            Some((b'/', name)) => {
                dir = path(name);
                listing.entry(dir.clone()).or_default();
            }
            Some((byte, name)) => {
                if let Some(kind) = Kind::of(*byte) {
                    let names = listing.entry(dir.clone()).or_default();
                    names.insert(OsStr::from_bytes(name).to_owned(), kind);
                }
            }
            None => {}
        }
    }
    listing
}

/// The composition that a path leads into by its names, and what follows below its tree.
pub(crate) fn composition_above(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let mut above = PathBuf::new();
    let mut components = path.components().peekable();
    while let Some(component) = components.next() {
        above.push(component);
        let starts = matches!(component, Component::Normal(name) if name.as_bytes().starts_with(COMPOSITION.as_bytes()));
        if starts && components.peek() == Some(&Component::Normal(TREE.as_ref())) {
            components.next();
            return Some((above, components.collect()));
        }
    }
    None
}

/// The user's own path where `path` leads into a composition; `None`: it does not.
pub(crate) fn users_path(path: &Path) -> Option<PathBuf> {
    let (composition, below) = composition_above(path)?;
    let record = Record::read(&composition)?;
    // Joining "" would add a slash.
    Some(if below.as_os_str().is_empty() {
        record.root
    } else {
        record.root.join(below)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_again_whatever_the_names_are() {
        let dir = tempfile::tempdir().unwrap();
        let record = Record {
            environment: "dev".into(),
            root: OsString::from_vec(b"/home/\xff\n".to_vec()).into(),
            back: "mount".into(),
        };
        let names = |names: &[(&[u8], Kind)]| {
            let owned = |(name, kind): &(&[u8], Kind)| (OsStr::from_bytes(name).to_owned(), *kind);
            names.iter().map(owned).collect::<BTreeMap<_, _>>()
        };
        let listing: Listing = [
            (
                PathBuf::new(),
                names(&[(b"dev", Kind::Directory), (b"\xff\n", Kind::Users)]),
            ),
            (
                PathBuf::from("dev"),
                names(&[(b"f", Kind::File), (b"u", Kind::Users)]),
            ),
            (PathBuf::from("empty"), BTreeMap::new()),
        ]
        .into();
        let names = |names: &'_ BTreeMap<OsString, Kind>| {
            let pairs = names.iter().map(|(name, kind)| (name.clone(), *kind));
            pairs.collect::<Vec<_>>()
        };
        let owned: Vec<_> = listing
            .iter()
            .map(|(dir, all)| (dir.clone(), names(all)))
            .collect();
        let dirs = owned.iter().map(|(dir, all)| {
            let names = all.iter().map(|(name, kind)| (name.as_os_str(), *kind));
            (dir.as_path(), names)
        });
        record.write(dir.path(), dirs).unwrap();
        assert_eq!(Record::read(dir.path()), Some(record.clone()));
        assert_eq!(Record::read_all(dir.path()).unwrap(), (record, listing));
        fs::write(dir.path().join(RECORD), "something else\0dev\0/\0mount\0").unwrap();
        assert_eq!(Record::read(dir.path()), None);
    }

    #[test]
    fn a_path_leads_into_a_composition_by_its_names() {
        let above = |path: &str| {
            composition_above(Path::new(path))
                .map(|(composition, below)| (composition.display().to_string(), below.display().to_string()))
        };
        let found = |composition: &str, below: &str| Some((composition.to_owned(), below.to_owned()));
        assert_eq!(
            above("/home/composition.x/tree"),
            found("/home/composition.x", "")
        );
        assert_eq!(above("composition.x/tree/dev/a"), found("composition.x", "dev/a"));
        assert_eq!(above("/home/composition.x/other"), None);
        assert_eq!(above("/home/composition.x"), None);
        assert_eq!(above("/home/mount"), None);
    }
}
