//! A server whose answers are damaged at random, and a cache whose files are: a fetch ends with the right files or with an
//! error, nothing panics, and afterwards the cache serves an honest run as if nothing had been.
//!
//! For longer, and from elsewhere: see `compose_testkit::fuzz`.

mod support;

use std::{
    collections::HashMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use compose_git::{Cache, Error, Git, Options};
use compose_testkit::fuzz::{Random, rounds};
use flate2::{Compression, write::ZlibEncoder};
use gix::objs::Find as _;
use support::{
    Lab, contents,
    server::{Action, Request, Server, backend},
    url, want,
};

const FILES: [&str; 3] = ["deep/note.md=three", "link.tf=one", "main.tf=one"];
/// What pkt-lines, packs and indices are made of.
const PIECES: [&[u8]; 20] = [
    b"0000",
    b"0001",
    b"0002",
    b"0004",
    b"ffff",
    b"0005\x01",
    b"0005\x03",
    b"ERR ",
    b"\n",
    b"\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"PACK\0\0\0\x02",
    b"packfile\n",
    b"shallow-info\n",
    b"shallow ",
    b"version 2\n",
    b"object-format=sha256",
    b"refs/tags/1.0.0",
    b"\xfftOc\0\0\0\x02",
];

/// A request as far as answers depend on it, and what git answered.
type Recorded = HashMap<(String, Vec<u8>), (String, Vec<(String, String)>, Vec<u8>)>;
type Damage = Box<dyn Fn(&[u8]) -> Vec<u8> + Send>;

/// What is done to the answers to requests of a kind.
#[derive(Default)]
struct Spite(Option<(Kind, Damage)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Handshake,
    Refs,
    Commit,
    Files,
}

impl Kind {
    fn of(request: &Request) -> Self {
        let holds = |text: &str| request.body.windows(text.len()).any(|at| at == text.as_bytes());
        match request.method.as_str() {
            "GET" => Self::Handshake,
            _ if holds("command=ls-refs") => Self::Refs,
            _ if holds("deepen 1") => Self::Commit,
            _ => Self::Files,
        }
    }
}

struct Scene {
    lab: Lab,
    server: Server,
    commit: String,
    spite: Arc<Mutex<Spite>>,
    /// A good pack of each fetch, for others to be made of.
    packs: Vec<Vec<u8>>,
}

impl Scene {
    async fn new() -> Self {
        let lab = Lab::new();
        let catalog = lab.catalog("repo");
        catalog.git(&["config", "uploadpack.allowFilter", "true"]);
        catalog
            .write("env/main.tf", "one")
            .link("env/link.tf", "main.tf")
            .write("env/deep/note.md", "three")
            .write("other/x", "x");
        let commit = catalog.commit();
        catalog.git(&["tag", "-a", "-m", "x", "1.0.0"]);
        let spite = Arc::<Mutex<Spite>>::default();
        let recorded = Arc::<Mutex<Recorded>>::default();
        let root = lab.dir.path().join("srv");
        let (answers, damage) = (Arc::clone(&recorded), Arc::clone(&spite));
        let server = Server::with(&root.clone(), move |request| {
            let key = (request.target.clone(), request.body.clone());
            let mut answers = answers.lock().unwrap();
            let (status, headers, body) = answers.entry(key).or_insert_with(|| backend(&root, request, &[]));
            if status != "200 OK" {
                return Action::Serve;
            }
            let kind = headers.iter().find(|(name, _)| name == "Content-Type").unwrap();
            let body = match &damage.lock().unwrap().0 {
                Some((of, damage)) if *of == Kind::of(request) => damage(body),
                _ => body.clone(),
            };
            Action::Answer("200 OK", vec![("Content-Type", kind.1.clone())], body)
        });
        let mut scene = Self {
            lab,
            server,
            commit,
            spite,
            packs: Vec::new(),
        };
        assert_eq!(scene.run(&scene.options()).await.unwrap(), FILES);
        let recorded = recorded.lock().unwrap();
        let packs = recorded.values().filter_map(|(_, _, body)| pack_of(body));
        scene.packs = packs.collect();
        scene.packs.sort();
        drop(recorded);
        assert_eq!(scene.packs.len(), 2);
        scene
    }

    fn options(&self) -> Options {
        let mut options = self.lab.options();
        options.timeout = Duration::from_secs(20);
        options.tuning.retry.attempts = 2;
        options
    }

    /// Refs and files, as a run of the program asks for them.
    async fn run(&self, options: &Options) -> Result<Vec<String>, Error> {
        let git = Git::new(options.clone()).unwrap();
        let repo = git.repo(&url(self.server.url("repo")));
        repo.refs(&["refs/tags/1.0.0".to_owned()]).await?;
        let got = repo.fetch(&[want(&self.commit, &["env"])]).await?;
        Ok(contents(&got[0], "env"))
    }

    fn entry(&self) -> PathBuf {
        Cache::at(self.lab.cache()).list().unwrap()[0].path.clone()
    }

    fn set(&self, kind: Kind, damage: Damage) {
        self.spite.lock().unwrap().0 = Some((kind, damage));
    }

    fn relent(&self) {
        self.spite.lock().unwrap().0 = None;
    }
}

/// Panics of any thread: one on the runtime is otherwise an error like others.
fn panics() -> &'static AtomicUsize {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    static HOOK: std::sync::Once = std::sync::Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            COUNT.fetch_add(1, Ordering::SeqCst);
            before(info);
        }));
    });
    &COUNT
}

/// The right files, or an error that is no bug and no hang.
#[track_caller]
fn judge(done: &Result<Vec<String>, Error>, told: &str) {
    assert_eq!(panics().load(Ordering::SeqCst), 0, "a panic: {told}");
    match done {
        Ok(files) => assert_eq!(files, &FILES, "{told}"),
        Err(error) => {
            assert!(
                !matches!(error, Error::Bug { .. } | Error::TimedOut { .. }),
                "{error:?}: {told}"
            );
            let text = error.to_string();
            assert!(!text.chars().any(char::is_control), "{text:?}: {told}");
        }
    }
}

fn lines_of(mut stream: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    while stream.len() >= 4 {
        let length = usize::from_str_radix(std::str::from_utf8(&stream[..4]).unwrap(), 16).unwrap();
        let (line, rest) = stream.split_at(length.max(4));
        lines.push(line.to_vec());
        stream = rest;
    }
    lines
}

fn framed(payload: &[u8]) -> Vec<u8> {
    [format!("{:04x}", payload.len() + 4).as_bytes(), payload].concat()
}

/// The pack in an answer, out of its side-band.
fn pack_of(body: &[u8]) -> Option<Vec<u8>> {
    let lines = lines_of(body);
    let start = lines.iter().position(|line| line == &framed(b"packfile\n"))?;
    let bands = lines[start + 1..].iter().filter(|line| line.get(4) == Some(&1));
    Some(bands.flat_map(|line| line[5..].iter().copied()).collect())
}

/// An answer with another pack in the place of its own.
fn with_pack(body: &[u8], pack: &[u8]) -> Vec<u8> {
    let mut lines = lines_of(body);
    lines.retain(|line| line.get(4) != Some(&1));
    let end = lines.pop().unwrap();
    lines.extend(
        pack.chunks(60_000)
            .map(|chunk| framed(&[b"\x01", chunk].concat())),
    );
    lines.push(end);
    lines.concat()
}

/// The same with the checksum that belongs to it.
fn sealed(mut pack: Vec<u8>) -> Vec<u8> {
    let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
    hasher.update(&pack);
    pack.extend_from_slice(hasher.try_finalize().unwrap().as_slice());
    pack
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A variable number as packs have them, the first byte with a type and four bits.
fn entry_head(kind: u8, mut size: usize) -> Vec<u8> {
    let mut head = vec![(kind << 4) | u8::try_from(size & 15).unwrap()];
    size >>= 4;
    while size > 0 {
        *head.last_mut().unwrap() |= 0x80;
        head.push(u8::try_from(size & 127).unwrap());
        size >>= 7;
    }
    head
}

/// A pack of a few objects and of deltas on them, each with a wrong place now and then, and a right checksum.
fn odd_pack(random: &mut Random) -> Vec<u8> {
    let mut pack = Vec::new();
    let mut starts = Vec::new();
    let count = 1 + random.below(6);
    for _ in 0..count {
        let start = pack.len();
        let kind = *random.pick(&[1, 2, 3, 4, 6, 6, 6, 7, 0, 5]);
        let mut bytes = match kind {
            // The base's size, the result's, a copy of three bytes, two new ones.
            6 | 7 => vec![3, 5, 0x90, 3, 2, b'x', b'y'],
            _ => b"one".to_vec(),
        };
        if random.below(3) == 0 {
            bytes = random.damaged(&bytes, b"\x80\x91\x7f\xb1\xff", &PIECES);
        }
        let size = if random.below(8) == 0 {
            random.below(1 << 31)
        } else {
            bytes.len()
        };
        pack.extend(entry_head(kind, size));
        match kind {
            6 => {
                let back = match starts.last() {
                    Some(before) if random.below(4) != 0 => start - before,
                    _ => random.below(1 << 20),
                };
                let mut back = back;
                let mut offset = vec![u8::try_from(back & 127).unwrap()];
                while back >> 7 > 0 {
                    back = (back >> 7) - 1;
                    offset.insert(0, u8::try_from(back & 127).unwrap() | 0x80);
                }
                pack.extend(offset);
            }
            7 => {
                let base =
                    gix::objs::compute_hash(gix::hash::Kind::Sha1, gix::objs::Kind::Blob, b"one").unwrap();
                pack.extend_from_slice(base.as_slice());
            }
            _ => {}
        }
        starts.push(start);
        pack.extend(deflated(&bytes));
    }
    let announced = if random.below(6) == 0 {
        random.below(1 << 31)
    } else {
        count
    };
    let head = [
        &b"PACK\0\0\0\x02"[..],
        &u32::try_from(announced).unwrap().to_be_bytes(),
    ]
    .concat();
    for start in &mut starts {
        *start += head.len();
    }
    sealed([head, pack].concat())
}

/// What to do to the next round's answers.
fn spite(random: &mut Random, packs: &[Vec<u8>]) -> (Kind, Damage) {
    let kind = *random.pick(&[
        Kind::Handshake,
        Kind::Refs,
        Kind::Commit,
        Kind::Files,
        Kind::Commit,
        Kind::Files,
    ]);
    let of_pack = matches!(kind, Kind::Commit | Kind::Files);
    let way = random.below(if of_pack { 5 } else { 2 });
    let random = Mutex::new(Random::new(random.below(1 << 31)));
    let other = packs[0].clone();
    let damage = move |body: &[u8]| {
        let random = &mut *random.lock().unwrap();
        match way {
            0 => random.damaged(body, &other, &PIECES),
            // Its lines, with true lengths.
            1 => {
                let mut lines = lines_of(body);
                for _ in 0..=random.below(3) {
                    let at = random.below(lines.len());
                    match random.below(5) {
                        0 => drop(lines.remove(at)),
                        1 => lines.insert(at, lines[random.below(lines.len())].clone()),
                        // An error, in the server's own words.
                        2 => {
                            let words = random.damaged(b"go \x1b[31maway\n", body, &PIECES);
                            let start: &[u8] = if random.below(2) == 0 { b"ERR " } else { b"\x03" };
                            lines[at] = framed(&[start, &words].concat());
                        }
                        _ => {
                            let payload = lines[at].get(4..).unwrap_or_default();
                            lines[at] = framed(&random.damaged(payload, body, &PIECES));
                        }
                    }
                    if lines.is_empty() {
                        break;
                    }
                }
                lines.concat()
            }
            2 => {
                let pack = pack_of(body).unwrap();
                let inner = &pack[..pack.len() - 20];
                with_pack(body, &sealed(random.damaged(inner, &other, &PIECES)))
            }
            3 => with_pack(body, &other),
            _ => with_pack(body, &odd_pack(random)),
        }
    };
    (kind, Box::new(damage))
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_server_answers_the_cache_holds_nothing_wrong() {
    panics();
    let scene = Scene::new().await;
    let mut random = Random::seeded();
    let (mut refused, mut fetched) = (0, 0);
    for round in 0..rounds(25) {
        Cache::at(scene.lab.cache()).clear().unwrap();
        let (kind, damage) = spite(&mut random, &scene.packs);
        scene.set(kind, damage);
        let told = format!("round {round}, {kind:?}");
        let done = scene.run(&scene.options()).await;
        judge(&done, &told);
        *(if done.is_ok() { &mut fetched } else { &mut refused }) += 1;
        scene.relent();
        for _ in ["with what is left", "warm"] {
            let honest = scene.run(&scene.options()).await;
            assert_eq!(
                honest.as_deref().ok(),
                Some(&FILES.map(str::to_owned)[..]),
                "{honest:?}: {told}"
            );
        }
        verify(&scene.entry(), &told);
    }
    assert!(
        refused > fetched && fetched > 0,
        "{refused} refused, {fetched} fetched"
    );
}

/// Every object that the cache can be asked for is what it is called. (What a server sends behind a whole pack stays in its file,
/// where no index leads to it.)
#[track_caller]
fn verify(entry: &Path, told: &str) {
    let objects = gix::odb::at(entry.join("objects"), gix::hash::Kind::Sha1).unwrap();
    let mut buffer = Vec::new();
    for id in objects.iter().unwrap() {
        let id = id.unwrap();
        let found = objects.try_find(&id, &mut buffer);
        let object = found
            .unwrap_or_else(|error| panic!("{id}: {error}: {told}"))
            .unwrap();
        let actual = gix::objs::compute_hash(gix::hash::Kind::Sha1, object.kind, object.data).unwrap();
        assert_eq!(actual, id, "{told}");
    }
    assert_eq!(fs::read_dir(entry.join("incoming")).unwrap().count(), 0, "{told}");
}

/// All files below a directory, sorted.
fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for found in fs::read_dir(dir).unwrap() {
        let found = found.unwrap().path();
        if found.is_dir() {
            files.extend(files_below(&found));
        } else {
            files.push(found);
        }
    }
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_damaged_in_a_cache_it_heals() {
    panics();
    let scene = Scene::new().await;
    let good: Vec<_> = files_below(&scene.entry())
        .into_iter()
        .map(|path| (fs::read(&path).unwrap(), path))
        .collect();
    let mut offline = scene.options();
    offline.offline = true;
    let mut random = Random::seeded();
    let (mut served, mut lost) = (0, 0);
    for round in 0..rounds(25) {
        let mut told = format!("round {round}");
        for file in files_below(&scene.entry()) {
            fs::remove_file(file).unwrap();
        }
        for (bytes, path) in &good {
            fs::write(path, bytes).unwrap();
        }
        for _ in 0..=random.below(3) {
            let (bytes, path) = random.pick(&good);
            let (other, _) = random.pick(&good);
            let bytes = match random.below(8) {
                0 => other.clone(),
                1 => bytes[..random.below(bytes.len() + 1)].to_vec(),
                2 => reindexed(bytes, &mut random),
                3 => misled(bytes, &mut random),
                _ => random.damaged(bytes, other, &PIECES),
            };
            fs::write(path, bytes).unwrap();
            told.push_str(&format!(", {}", path.file_name().unwrap().display()));
        }
        let alone = scene.run(&offline).await;
        judge(&alone, &told);
        *(if alone.is_ok() { &mut served } else { &mut lost }) += 1;
        for _ in ["healing", "warm"] {
            let honest = scene.run(&scene.options()).await;
            assert_eq!(
                honest.as_deref().ok(),
                Some(&FILES.map(str::to_owned)[..]),
                "{honest:?}: {told}"
            );
        }
    }
    assert!(served > 0 && lost > 0, "{served} served, {lost} lost");
}

/// An index that leads from one id to another one's object: all is whole but what it is called.
fn misled(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let count = |bytes: &[u8]| Some(u32::from_be_bytes(bytes.get(1028..1032)?.try_into().ok()?) as usize);
    let Some(count) = count(&bytes).filter(|count| bytes.len() == 8 + 1024 + count * 28 + 40) else {
        return bytes;
    };
    // After the header, the fan-out, the ids and the checksums.
    let offset = |number: usize| 8 + 1024 + count * 24 + 4 * number;
    let (one, other) = (offset(random.below(count)), offset(random.below(count)));
    for at in 0..4 {
        bytes.swap(one + at, other + at);
    }
    bytes.truncate(bytes.len() - 20);
    sealed(bytes)
}

/// An index whose tables are damaged, with the checksum that belongs to it.
fn reindexed(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes[..bytes.len().saturating_sub(20)].to_vec();
    for _ in 0..=random.below(4) {
        // The header, the fan-out of 256 numbers, ids, checksums, offsets.
        let at = 4 * random.below(bytes.len() / 4 + 1);
        let number = [
            0,
            1,
            2,
            255,
            0x7fff_ffff,
            0x8000_0000,
            0x8000_0001,
            0xffff_ffff_u32,
        ];
        if let Some(place) = bytes.get_mut(at..at + 4) {
            place.copy_from_slice(&random.pick(&number).to_be_bytes());
        }
    }
    sealed(bytes)
}
