//! What must hold for any archive.

use std::fs;
use std::path::Path;

use arbitrary::{Result, Unstructured};
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::{LONGEST_NAME, Target, Wanted, unpack};
use crate::secret::{Redactor, Secret};

const SECRET: &str = "hunter22";

/// More entries reach nothing new.
const MOST_ENTRIES: usize = 12;

const LIMIT: u64 = 10_000;

/// Paths that are asked for, and some that mean harm.
const PATHS: [&[u8]; 9] = [
    b"./a/log/x_210201_070626-1.log",
    b"./b/log/x_210201_070626-1.log",
    b"./a/pcap/x.pcap",
    b"./a/log/\x1b[2J\nhunter22\xff.log",
    b"./a/log/nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
    b"../../../up",
    b"/etc/root",
    b"./a/log/..",
    b"",
];

/// An entry as a hostile tester may send it: whatever it is, its checksum is right.
#[derive(Debug)]
struct Sent<'a> {
    path: u8,
    kind: u8,
    /// What its header says that it has, where that is not what it has.
    size: Option<u64>,
    text: &'a [u8],
    /// How often the text stands in it.
    times: u8,
}

impl<'a> Sent<'a> {
    fn choose(input: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Sent {
            path: input.arbitrary()?,
            kind: input.arbitrary()?,
            size: input.arbitrary()?,
            text: input.arbitrary()?,
            times: input.arbitrary()?,
        })
    }

    fn kind(&self) -> EntryType {
        match self.kind % 12 {
            0 => EntryType::GNULongName,
            1 => EntryType::GNUSparse,
            2 => EntryType::Symlink,
            3 => EntryType::XHeader,
            4 => EntryType::Directory,
            5 => EntryType::new(self.kind),
            _ => EntryType::Regular,
        }
    }

    fn append(&self, builder: &mut Builder<impl std::io::Write>) {
        let path = PATHS[usize::from(self.path) % PATHS.len()];
        let content =
            if self.kind() == EntryType::GNULongName { path.to_vec() } else { self.text.repeat(self.times.into()) };
        let mut header = Header::new_gnu();
        let name = &mut header.as_gnu_mut().expect("it is GNU's").name;
        let length = path.len().min(name.len());
        name[..length].copy_from_slice(&path[..length]);
        header.set_entry_type(self.kind());
        header.set_size(self.size.unwrap_or(content.len() as u64));
        header.set_cksum();
        builder.append(&header, content.as_slice()).expect("memory");
    }
}

/// The property of archives: whatever stands in one, only plain files come of it, below their two folders, with
/// harmless names that say no secret, and together no larger than the limit.
pub fn archive(bytes: &[u8]) {
    let mut input = Unstructured::new(bytes);
    let Ok((packed, wanted)) = choose(&mut input) else { return };
    let place = tempfile::tempdir().expect("a folder");
    let redactor = Redactor::default();
    redactor.learn(&Secret::new(SECRET));
    let folder = place.path().join("results/suite/logs");
    let create = |path: &Path| fs::File::create(path);
    let target = Target { folder: &folder, limit: LIMIT, redactor: &redactor, create: &create };
    let contents = unpack(packed.as_slice(), &wanted, &target);
    let contents = contents.expect("this machine has room");
    let mut found = Vec::new();
    files(place.path(), &mut found);
    let mut total = 0;
    for (path, size) in &found {
        let below = path.strip_prefix(place.path().join("results/suite")).expect("it lies where the suite's files do");
        let (folder, name) = below.to_str().and_then(|path| path.split_once('/')).expect("a folder and a name");
        assert!(["logs", "captures"].contains(&folder), "{below:?}");
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+=@,#".contains(&byte));
        assert!(is_plain && name.len() <= LONGEST_NAME + 20 && !name.starts_with(['.', '-']), "{name:?}");
        assert!(!name.contains(SECRET), "{name:?}");
        total += size;
    }
    assert!(total <= LIMIT && contents.bytes <= LIMIT, "{total} bytes, said to be {}", contents.bytes);
    let mut known: Vec<_> = contents.files.iter().map(|file| file.path.clone()).collect();
    known.sort();
    found.sort();
    assert!(found.iter().map(|(path, _)| path).eq(&known), "{found:?} are not {known:?}");
    assert!(known.len() <= wanted.len(), "more came than was asked for");
    assert!(contents.left_out.line().is_none_or(|line| line.len() < 10_000));
}

fn choose(input: &mut Unstructured<'_>) -> Result<(Vec<u8>, Vec<Wanted>)> {
    let mut wanted = Vec::new();
    for path in PATHS {
        if input.arbitrary()? {
            wanted.push(Wanted { path: path.to_vec(), size: input.int_in_range(0..=LIMIT)? });
        }
    }
    let flip: Option<(u16, u8)> = input.arbitrary()?;
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for _ in 0..MOST_ENTRIES {
        if input.is_empty() {
            break;
        }
        Sent::choose(input)?.append(&mut builder);
    }
    let mut packed = builder.into_inner().and_then(GzEncoder::finish).expect("memory");
    // What is wrong with the compression, or where it is cut.
    if let Some((at, flip)) = flip {
        let at = usize::from(at) % packed.len();
        if flip == 0 {
            packed.truncate(at);
        } else {
            packed[at] ^= flip;
        }
    }
    Ok((packed, wanted))
}

fn files(folder: &Path, found: &mut Vec<(std::path::PathBuf, u64)>) {
    for entry in fs::read_dir(folder).expect("it is ours").flatten() {
        let kind = entry.file_type().expect("it is there");
        if kind.is_dir() {
            files(&entry.path(), found);
        } else {
            assert!(kind.is_file(), "{:?} is no plain file", entry.path());
            found.push((entry.path(), entry.metadata().expect("it is there").len()));
        }
    }
}
