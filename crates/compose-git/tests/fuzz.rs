//! Damages a server's answers or the cache's files at random. A fetch must return the right files
//! or an error, nothing may panic, and afterwards the cache must serve an honest run.
//!
//! See `compose_testkit::fuzz` for longer runs and other seeds.

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
/// Byte sequences that occur in pkt-lines, packs and indices.
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

/// The answers of git by request target and body.
type Recorded = HashMap<(String, Vec<u8>), (String, Vec<(String, String)>, Vec<u8>)>;
type Damage = Box<dyn Fn(&[u8]) -> Vec<u8> + Send>;

/// The damage that is done to the answers of one kind of request.
#[derive(Default)]
struct AnswerDamage(Option<(RequestKind, Damage)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestKind {
    Handshake,
    Refs,
    Commit,
    Files,
}

impl RequestKind {
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
    damage: Arc<Mutex<AnswerDamage>>,
    /// The good pack of each fetch, from which damaged ones are made.
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
        let answer_damage = Arc::<Mutex<AnswerDamage>>::default();
        let recorded = Arc::<Mutex<Recorded>>::default();
        let root = lab.dir.path().join("srv");
        let (answers, damage) = (Arc::clone(&recorded), Arc::clone(&answer_damage));
        let server = Server::with(&root.clone(), move |request| {
            let key = (request.target.clone(), request.body.clone());
            let mut answers = answers.lock().unwrap();
            let (status, headers, body) = answers.entry(key).or_insert_with(|| backend(&root, request, &[]));
            if status != "200 OK" {
                return Action::Serve;
            }
            let kind = headers.iter().find(|(name, _)| name == "Content-Type").unwrap();
            let body = match &damage.lock().unwrap().0 {
                Some((of, damage)) if *of == RequestKind::of(request) => damage(body),
                _ => body.clone(),
            };
            Action::Answer("200 OK", vec![("Content-Type", kind.1.clone())], body)
        });
        let mut scene = Self {
            lab,
            server,
            commit,
            damage: answer_damage,
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

    /// Requests refs and files as a run of the program does.
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

    fn damage_answers(&self, kind: RequestKind, damage: Damage) {
        self.damage.lock().unwrap().0 = Some((kind, damage));
    }

    fn stop_damage(&self) {
        self.damage.lock().unwrap().0 = None;
    }
}

/// Counts the panics of all threads; otherwise a panic on the runtime would look like any error.
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

/// Asserts that a run returned the right files, or an error that is neither a bug nor a timeout.
#[track_caller]
fn assert_right_or_refused(done: &Result<Vec<String>, Error>, context: &str) {
    assert_eq!(panics().load(Ordering::SeqCst), 0, "a panic: {context}");
    match done {
        Ok(files) => assert_eq!(files, &FILES, "{context}"),
        Err(error) => {
            assert!(
                !matches!(error, Error::Bug { .. } | Error::TimedOut { .. }),
                "{error:?}: {context}"
            );
            let text = error.to_string();
            assert!(!text.chars().any(char::is_control), "{text:?}: {context}");
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

/// Extracts the pack from the side-band of an answer.
fn pack_of(body: &[u8]) -> Option<Vec<u8>> {
    let lines = lines_of(body);
    let start = lines.iter().position(|line| line == &framed(b"packfile\n"))?;
    let bands = lines[start + 1..].iter().filter(|line| line.get(4) == Some(&1));
    Some(bands.flat_map(|line| line[5..].iter().copied()).collect())
}

/// Replaces the pack in an answer.
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

/// Appends the checksum of a pack or index.
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

/// The head of a pack's entry: a variable-length size whose first byte holds the type and four
/// bits.
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

/// A pack of a few objects and deltas with occasional errors and a valid checksum.
fn odd_pack(random: &mut Random) -> Vec<u8> {
    let mut pack = Vec::new();
    let mut starts = Vec::new();
    let count = 1 + random.below(6);
    for _ in 0..count {
        let start = pack.len();
        let kind = *random.pick(&[1, 2, 3, 4, 6, 6, 6, 7, 0, 5]);
        let mut bytes = match kind {
            // The sizes of the base and the result, a copy of three bytes, and two new bytes.
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

/// Chooses the damage to the answers of the next round.
fn random_damage(random: &mut Random, packs: &[Vec<u8>]) -> (RequestKind, Damage) {
    let kind = *random.pick(&[
        RequestKind::Handshake,
        RequestKind::Refs,
        RequestKind::Commit,
        RequestKind::Files,
        RequestKind::Commit,
        RequestKind::Files,
    ]);
    let of_pack = matches!(kind, RequestKind::Commit | RequestKind::Files);
    let way = random.below(if of_pack { 5 } else { 2 });
    let random = Mutex::new(Random::new(random.below(1 << 31)));
    let other = packs[0].clone();
    let damage = move |body: &[u8]| {
        let random = &mut *random.lock().unwrap();
        match way {
            0 => random.damaged(body, &other, &PIECES),
            // Damages its lines but keeps their lengths valid.
            1 => {
                let mut lines = lines_of(body);
                for _ in 0..=random.below(3) {
                    let index = random.below(lines.len());
                    match random.below(5) {
                        0 => drop(lines.remove(index)),
                        1 => lines.insert(index, lines[random.below(lines.len())].clone()),
                        // An error message of the server.
                        2 => {
                            let words = random.damaged(b"go \x1b[31maway\n", body, &PIECES);
                            let start: &[u8] = if random.below(2) == 0 { b"ERR " } else { b"\x03" };
                            lines[index] = framed(&[start, &words].concat());
                        }
                        _ => {
                            let payload = lines[index].get(4..).unwrap_or_default();
                            lines[index] = framed(&random.damaged(payload, body, &PIECES));
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
async fn damaged_answers_never_leave_wrong_objects_in_the_cache() {
    panics();
    let scene = Scene::new().await;
    let mut random = Random::seeded();
    let (mut refused, mut fetched) = (0, 0);
    for round in 0..rounds(25) {
        Cache::at(scene.lab.cache()).clear().unwrap();
        let (kind, damage) = random_damage(&mut random, &scene.packs);
        scene.damage_answers(kind, damage);
        let context = format!("round {round}, {kind:?}");
        let done = scene.run(&scene.options()).await;
        assert_right_or_refused(&done, &context);
        *(if done.is_ok() { &mut fetched } else { &mut refused }) += 1;
        scene.stop_damage();
        for _ in ["with what is left", "warm"] {
            let honest = scene.run(&scene.options()).await;
            assert_eq!(
                honest.as_deref().ok(),
                Some(&FILES.map(str::to_owned)[..]),
                "{honest:?}: {context}"
            );
        }
        verify(&scene.entry(), &context);
    }
    assert!(
        refused > fetched && fetched > 0,
        "{refused} refused, {fetched} fetched"
    );
}

/// Asserts that every object that the cache's indices lead to has the content of its id. (Bytes
/// that a server sends after a complete pack stay in its file, but no index leads to them.)
#[track_caller]
fn verify(entry: &Path, context: &str) {
    let objects = gix::odb::at(entry.join("objects"), gix::hash::Kind::Sha1).unwrap();
    let mut buffer = Vec::new();
    for id in objects.iter().unwrap() {
        let id = id.unwrap();
        let found = objects.try_find(&id, &mut buffer);
        let object = found
            .unwrap_or_else(|error| panic!("{id}: {error}: {context}"))
            .unwrap();
        let actual = gix::objs::compute_hash(gix::hash::Kind::Sha1, object.kind, object.data).unwrap();
        assert_eq!(actual, id, "{context}");
    }
    assert_eq!(
        fs::read_dir(entry.join("incoming")).unwrap().count(),
        0,
        "{context}"
    );
}

/// Returns all files below a directory, sorted.
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
async fn a_cache_with_any_damage_is_repaired() {
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
        let mut context = format!("round {round}");
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
            context.push_str(&format!(", {}", path.file_name().unwrap().display()));
        }
        let alone = scene.run(&offline).await;
        assert_right_or_refused(&alone, &context);
        *(if alone.is_ok() { &mut served } else { &mut lost }) += 1;
        for _ in ["healing", "warm"] {
            let honest = scene.run(&scene.options()).await;
            assert_eq!(
                honest.as_deref().ok(),
                Some(&FILES.map(str::to_owned)[..]),
                "{honest:?}: {context}"
            );
        }
    }
    assert!(served > 0 && lost > 0, "{served} served, {lost} lost");
}

/// Swaps two offsets of an index, so that one id leads to another id's object.
fn misled(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let count = |bytes: &[u8]| Some(u32::from_be_bytes(bytes.get(1028..1032)?.try_into().ok()?) as usize);
    let Some(count) = count(&bytes).filter(|count| bytes.len() == 8 + 1024 + count * 28 + 40) else {
        return bytes;
    };
    // The offsets follow the header, the fan-out, the ids and the checksums.
    let offset = |number: usize| 8 + 1024 + count * 24 + 4 * number;
    let (one, other) = (offset(random.below(count)), offset(random.below(count)));
    for byte in 0..4 {
        bytes.swap(one + byte, other + byte);
    }
    bytes.truncate(bytes.len() - 20);
    sealed(bytes)
}

/// Damages an index's tables and updates its checksum.
fn reindexed(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes[..bytes.len().saturating_sub(20)].to_vec();
    for _ in 0..=random.below(4) {
        // The position is in the header, the fan-out of 256 numbers, the ids, the checksums or the
        // offsets.
        let position = 4 * random.below(bytes.len() / 4 + 1);
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
        if let Some(place) = bytes.get_mut(position..position + 4) {
            place.copy_from_slice(&random.pick(&number).to_be_bytes());
        }
    }
    sealed(bytes)
}
