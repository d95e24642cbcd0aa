//! Builds packs whose objects and checksums are right, so that the input reaches what reads them.

use compose_git::fuzzing::{Kind, object_id, sealed};

const MODES: [&str; 12] = [
    "100644", "100644", "100755", "40000", "40000", "40000", "120000", "120000", "160000", "040000",
    "140000", "0",
];
const NAMES: [&[u8]; 16] = [
    b"env",
    b"a",
    b"main.tf",
    b"link",
    b"A",
    b"a.b",
    b"terraform",
    b"bitops.config.yaml",
    b".git",
    b".gitmodules",
    b"..",
    b"a/b",
    b"\xff",
    b"e\xcc\x81",
    b"\xc3\xa9",
    b"con",
];
const MOST_OBJECTS: usize = 64;
const OFS_DELTA: u8 = 6;
const REF_DELTA: u8 = 7;

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        let [byte] = self.0.split_off(..1).map_or([0], |byte| [byte[0]]);
        byte
    }

    fn take(&mut self, length: u8) -> &'a [u8] {
        let length = usize::from(length).min(self.0.len());
        self.0.split_off(..length).unwrap_or_default()
    }
}

struct Object {
    kind: Kind,
    bytes: Vec<u8>,
    id: [u8; 20],
    start: usize,
}

#[derive(Default)]
struct Builder {
    /// The entries of the pack, without its header.
    pack: Vec<u8>,
    count: u32,
    objects: Vec<Object>,
}

/// Returns a pack that the input describes: each operation adds an object or a delta.
pub fn build(input: &[u8]) -> Vec<u8> {
    let mut input = Input(input);
    let mut builder = Builder::default();
    let off_by = input.byte();
    while !input.0.is_empty() && builder.objects.len() < MOST_OBJECTS {
        builder.step(&mut input);
    }
    let count = match off_by {
        0xf0.. => builder.count.wrapping_add(u32::from(off_by & 15)),
        _ => builder.count,
    };
    sealed([&b"PACK\0\0\0\x02"[..], &count.to_be_bytes(), &builder.pack].concat())
}

impl Builder {
    fn step(&mut self, input: &mut Input<'_>) {
        let operation = input.byte();
        match operation & 15 {
            0..=2 => {
                let length = input.byte();
                let times = if operation & 0x80 == 0 { 1 } else { 64 };
                let bytes = input.take(length).repeat(times);
                self.add(Kind::Blob, &bytes);
            }
            3..=6 => {
                let bytes = self.tree(input, operation & 0x80 == 0);
                self.add(Kind::Tree, &bytes);
            }
            7 | 8 => {
                let tree = hex(&self.id(input));
                let who = "x <x@x> 1 +0000";
                let text = format!("tree {tree}\nauthor {who}\ncommitter {who}\n\nx\n");
                self.add(Kind::Commit, text.as_bytes());
            }
            9 => {
                let (kind, id) = self
                    .pick(input)
                    .map_or((Kind::Commit, [0; 20]), |of| (of.kind, of.id));
                let text = format!(
                    "object {}\ntype {kind}\ntag 1.0.0\ntagger x <x@x> 1 +0000\n\nx\n",
                    hex(&id)
                );
                self.add(Kind::Tag, text.as_bytes());
            }
            10 => {
                let kind = [Kind::Commit, Kind::Tree, Kind::Blob, Kind::Tag][usize::from(input.byte() & 3)];
                let length = input.byte();
                let bytes = input.take(length);
                self.add(kind, bytes);
            }
            11..=13 => self.delta(input, operation & 0x80 == 0),
            // A delta of any bytes, and an entry of any type and size.
            14 => {
                let start = self.start_of_picked(input);
                let length = input.byte();
                let bytes = input.take(length);
                self.head(OFS_DELTA, bytes.len());
                self.offset_to(start);
                self.pack.extend(stored(bytes));
            }
            _ => {
                let kind = input.byte() & 7;
                let size = usize::from(input.byte()) << (input.byte() & 31);
                let length = input.byte();
                let bytes = input.take(length);
                self.head(kind, size);
                self.pack.extend(stored(bytes));
            }
        }
    }

    /// Returns an earlier object, counted from the last one.
    fn pick(&self, input: &mut Input<'_>) -> Option<&Object> {
        let back = usize::from(input.byte());
        let last = self.objects.len().checked_sub(1)?;
        self.objects.get(last - back % self.objects.len())
    }

    fn id(&self, input: &mut Input<'_>) -> [u8; 20] {
        self.pick(input).map_or([0; 20], |object| object.id)
    }

    fn start_of_picked(&self, input: &mut Input<'_>) -> usize {
        self.pick(input).map_or(0, |object| object.start)
    }

    fn tree(&self, input: &mut Input<'_>, sorts: bool) -> Vec<u8> {
        let mut entries = Vec::new();
        for _ in 0..input.byte() & 15 {
            let mode = MODES[usize::from(input.byte()) % MODES.len()];
            let name = match input.byte() {
                length @ 0xe0.. => input.take(length & 31),
                index => NAMES[usize::from(index) % NAMES.len()],
            };
            entries.push((name, mode, self.id(input)));
        }
        if sorts {
            let end = |mode: &str| if mode.ends_with("40000") { &b"/"[..] } else { b"" };
            entries.sort_by_key(|(name, mode, _)| [name, end(mode)].concat());
            entries.dedup_by(|one, two| one.0 == two.0);
        }
        let entries = entries.into_iter();
        entries
            .flat_map(|(name, mode, id)| [mode.as_bytes(), b" ", name, b"\0", &id].concat())
            .collect()
    }

    /// Adds a delta that copies parts of an earlier object and inserts bytes between them.
    fn delta(&mut self, input: &mut Input<'_>, by_offset: bool) {
        let Some(base) = self.pick(input) else { return };
        let (kind, base_id, start, base) = (base.kind, base.id, base.start, base.bytes.clone());
        let mut made = Vec::new();
        let mut code = Vec::new();
        for _ in 0..input.byte() & 7 {
            match input.byte() {
                count @ 0x80.. => {
                    let from = usize::from(input.byte()).min(base.len());
                    let length = usize::from(count & 127).min(base.len() - from);
                    if length > 0 {
                        made.extend(&base[from..from + length]);
                        // One byte of offset and one of length.
                        code.extend([0x91, narrow(from), narrow(length)]);
                    }
                }
                count => {
                    let bytes = input.take(count);
                    if !bytes.is_empty() {
                        made.extend(bytes);
                        code.push(narrow(bytes.len()));
                        code.extend(bytes);
                    }
                }
            }
        }
        let delta = [varint(base.len()), varint(made.len()), code].concat();
        let own_start = self.pack.len();
        self.head(if by_offset { OFS_DELTA } else { REF_DELTA }, delta.len());
        if by_offset {
            self.pack.extend(offset(own_start - start));
        } else {
            self.pack.extend(base_id);
        }
        self.pack.extend(stored(&delta));
        let id = object_id(kind, &made);
        self.objects.push(Object {
            kind,
            bytes: made,
            id,
            start: own_start,
        });
    }

    fn add(&mut self, kind: Kind, bytes: &[u8]) {
        let start = self.pack.len();
        let number = match kind {
            Kind::Commit => 1,
            Kind::Tree => 2,
            Kind::Blob => 3,
            Kind::Tag => 4,
        };
        self.head(number, bytes.len());
        self.pack.extend(stored(bytes));
        let id = object_id(kind, bytes);
        self.objects.push(Object {
            kind,
            bytes: bytes.to_vec(),
            id,
            start,
        });
    }

    /// Begins an entry: the first byte of its variable-length size holds the type and four bits.
    fn head(&mut self, kind: u8, size: usize) {
        self.count += 1;
        let mut byte = kind << 4 | (size & 15) as u8;
        let mut size = size >> 4;
        while size > 0 {
            self.pack.push(byte | 0x80);
            byte = (size & 127) as u8;
            size >>= 7;
        }
        self.pack.push(byte);
    }

    /// Writes the distance to a base. It counts from the start of an entry whose head takes one byte.
    fn offset_to(&mut self, start: usize) {
        let distance = (self.pack.len() - 1).saturating_sub(start);
        self.pack.extend(offset(distance));
    }
}

fn narrow(number: usize) -> u8 {
    u8::try_from(number).expect("it came from one byte")
}

fn hex(id: &[u8; 20]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 127 {
        bytes.push((number & 127) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// The distance to a base, as `OFS_DELTA` writes it.
fn offset(mut back: usize) -> Vec<u8> {
    let mut bytes = vec![(back & 127) as u8];
    while back >> 7 > 0 {
        back = (back >> 7) - 1;
        bytes.insert(0, (back & 127) as u8 | 0x80);
    }
    bytes
}

/// Zlib's format without compression, which leaves the input visible to the fuzzer.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let mut parts = bytes.chunks(0xffff).peekable();
    if parts.peek().is_none() {
        out.extend([1, 0, 0, 0xff, 0xff]);
    }
    while let Some(part) = parts.next() {
        let length = part.len() as u16;
        out.push(u8::from(parts.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(part);
    }
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in bytes {
        low = (low + u32::from(*byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    out.extend((high << 16 | low).to_be_bytes());
    out
}
