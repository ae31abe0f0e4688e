//! An archive that a tester has sent, unpacked: what was asked for and nothing else, under names that are harmless
//! everywhere, and no more bytes than there is room for. Whatever stands in it, it costs no more than that; what is
//! left out is said.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use tar::{Archive, Entry, EntryType};

use crate::secret::Redactor;

/// A longer name is shortened, in bytes. File systems take 255, and a second file of the name needs a few more.
const LONGEST_NAME: usize = 200;

/// A path on a tester is shorter than this, in bytes.
const LONGEST_PATH: usize = 16 * 1024;

/// What an archive has beside the files: a header for each and its padding, the path of a long one, and the end.
const FRAME: u64 = 16 * 1024;

/// So many names are said of what was left out.
const NAMED: usize = 10;

/// What the first bytes of a compressed file are: gzip, xz, zstd, bzip2, lz4, ZIP, 7z.
const COMPRESSED: [&[u8]; 7] = [
    b"\x1f\x8b",
    b"\xfd7zXZ\0",
    b"\x28\xb5\x2f\xfd",
    b"BZh",
    b"\x04\x22\x4d\x18",
    b"PK\x03\x04",
    b"7z\xbc\xaf\x27\x1c",
];

/// A file that was asked for.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) path: Vec<u8>,
    /// Its size as the tester has listed it.
    pub(super) size: u64,
}

/// Where the files go, and what of them.
pub(super) struct Target<'a> {
    /// For logs; captures go into `captures` beside it.
    pub(super) folder: &'a Path,
    /// The most that all files may have together, in bytes.
    pub(super) limit: u64,
    pub(super) redactor: &'a Redactor,
    pub(super) create: &'a dyn Fn(&Path) -> io::Result<File>,
}

/// A file that was unpacked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unpacked {
    /// Its bare name as the tester has it: compared with the names of cases, and shown nowhere.
    pub(super) name: String,
    pub(super) path: PathBuf,
}

/// What came of an archive.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) files: Vec<Unpacked>,
    pub(super) bytes: u64,
    /// What was not taken, or not whole, and why.
    pub(super) left_out: LeftOut,
    /// Files that are as they came, because they are no text.
    pub(super) not_redacted: usize,
}

/// What was left out: some of it by name, the rest as a number.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    said: Vec<String>,
    more: usize,
}

impl LeftOut {
    pub(super) fn push(&mut self, name: &str, why: &str) {
        if self.said.len() < NAMED {
            self.said.push(format!("`{name}` ({why})"));
        } else {
            self.more += 1;
        }
    }

    /// All of it on one line; none where nothing was left out.
    pub(super) fn line(&self) -> Option<String> {
        let more = if self.more > 0 { format!(", and {} more", self.more) } else { String::new() };
        (!self.said.is_empty()).then(|| format!("{}{more}", self.said.join(", ")))
    }
}

/// Unpacks an archive as far as it can be read. What is wrong with an entry costs that entry; an end before its time,
/// what would have followed. Only what this machine cannot keep is an error.
pub(super) fn unpack(packed: impl Read, wanted: &[Wanted], target: &Target<'_>) -> io::Result<Contents> {
    let asked: u64 = wanted.iter().map(|file| file.size).sum();
    let unpacking = Unpacking {
        wanted: wanted.iter().map(|file| (bare(&file.path).to_vec(), file.size)).collect(),
        // What nobody asked for yet: files grow while they are packed.
        spare: target.limit.saturating_sub(asked),
        taken: HashSet::new(),
        contents: Contents::default(),
        target,
    };
    let frames = (wanted.len() as u64 + 1).saturating_mul(FRAME);
    let most = target.limit.saturating_add(frames);
    unpacking.all(GzDecoder::new(packed).take(most))
}

struct Unpacking<'a> {
    /// What is still to come, with its size.
    wanted: HashMap<Vec<u8>, u64>,
    spare: u64,
    /// The paths that were written.
    taken: HashSet<PathBuf>,
    contents: Contents,
    target: &'a Target<'a>,
}

impl Unpacking<'_> {
    fn all(mut self, archive: impl Read) -> io::Result<Contents> {
        let mut archive = Archive::new(archive);
        let mut long_path = None;
        // Raw: what the entries say of each other is read here, within limits.
        let entries = archive.entries().map(|entries| entries.raw(true));
        for entry in entries.into_iter().flatten() {
            let mut entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.leave_out("the rest of the archive", &error.to_string());
                    break;
                }
            };
            if entry.header().entry_type() == EntryType::GNULongName {
                long_path = Some(read_path(&mut entry));
                continue;
            }
            let path = long_path.take().unwrap_or_else(|| entry.path_bytes().into_owned());
            self.one(&path, &mut entry)?;
        }
        let mut missing: Vec<Vec<u8>> = self.wanted.keys().cloned().collect();
        missing.sort();
        for path in missing {
            self.leave_out(&self.safe(&path), "it did not come");
        }
        Ok(self.contents)
    }

    fn one(&mut self, path: &[u8], entry: &mut Entry<'_, impl Read>) -> io::Result<()> {
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XHeader | EntryType::XGlobalHeader) {
            return Ok(());
        }
        let Some(&size) = self.wanted.get(bare(path)) else {
            self.leave_out(&self.safe(path), "it was not asked for");
            return Ok(());
        };
        if kind != EntryType::Regular {
            self.leave_out(&self.safe(path), "it is no plain file");
            return Ok(());
        }
        self.wanted.remove(bare(path));
        self.write(path, size, entry)
    }

    /// Writes a file of this size, or one that has grown since it was listed as far as there is room.
    fn write(&mut self, path: &[u8], size: u64, entry: &mut impl Read) -> io::Result<()> {
        let name = self.safe(path);
        let is_capture = [".pcap", ".pcapng"].iter().any(|end| name.ends_with(end));
        let folder = self.target.folder;
        let into = if is_capture { folder.with_file_name("captures") } else { folder.to_owned() };
        fs::create_dir_all(&into)?;
        let place = self.free_place(&into, &name);
        let mut file = (self.target.create)(&place)?;
        let mut stream = self.target.redactor.stream();
        let left = self.target.limit.saturating_sub(self.contents.bytes);
        let room = size.saturating_add(self.spare).min(left);
        let (mut count, mut is_text) = (0, !is_capture);
        let mut piece = vec![0; 64 * 1024];
        let mut kept = || -> io::Result<Option<&str>> {
            loop {
                let length = match entry.read(&mut piece) {
                    Ok(0) => return Ok(None),
                    Ok(length) => length,
                    Err(_) => return Ok(Some("the archive ends in it")),
                };
                if count == 0 && COMPRESSED.iter().any(|magic| piece[..length].starts_with(magic)) {
                    is_text = false;
                }
                let fits = usize::try_from(room - count).unwrap_or(usize::MAX).min(length);
                count += fits as u64;
                if is_text {
                    file.write_all(&stream.push(&piece[..fits]))?;
                } else {
                    file.write_all(&piece[..fits])?;
                }
                if fits < length {
                    return Ok(Some("cut: it is larger than it was"));
                }
            }
        };
        let cut = kept()?;
        file.write_all(&stream.finish())?;
        if let Some(why) = cut {
            self.leave_out(&name, why);
        }
        self.spare -= count.saturating_sub(size);
        self.contents.bytes += count;
        self.contents.not_redacted += usize::from(!is_text);
        self.contents.files.push(Unpacked { name: bare_name(path), path: place });
        Ok(())
    }

    /// A path that no other file has.
    fn free_place(&mut self, folder: &Path, name: &str) -> PathBuf {
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
        let numbered = |number: u32| match (number, extension) {
            (1, _) => name.to_owned(),
            (_, "") => format!("{stem}.{number}"),
            (_, extension) => format!("{stem}.{number}.{extension}"),
        };
        let place = (1..).map(|number| folder.join(numbered(number))).find(|place| !self.taken.contains(place));
        let place = place.expect("there are more numbers than files");
        self.taken.insert(place.clone());
        place
    }

    fn leave_out(&mut self, name: &str, why: &str) {
        self.contents.left_out.push(name, why);
    }

    fn safe(&self, path: &[u8]) -> String {
        safe_name(path, self.target.redactor)
    }
}

/// Reads the path that an entry of its own says for the next one. One that is too long names nothing that was asked
/// for.
fn read_path(entry: &mut impl Read) -> Vec<u8> {
    let mut path = Vec::new();
    if entry.take(LONGEST_PATH as u64).read_to_end(&mut path).is_err() {
        path.clear();
    }
    path.truncate(path.iter().position(|&byte| byte == 0).unwrap_or(path.len()));
    path
}

/// The path as it is compared: `tar` takes away what leads to the root, or adds the folder that it begins in.
fn bare(path: &[u8]) -> &[u8] {
    path.strip_prefix(b"./").unwrap_or(path)
}

fn bare_name(path: &[u8]) -> String {
    String::from_utf8_lossy(path.rsplit(|&byte| byte == b'/').next().unwrap_or_default()).into_owned()
}

/// A file's bare name as it is harmless on a terminal, in a page, and in every file system: letters, digits and few
/// signs, no secret.
pub(super) fn safe_name(path: &[u8], redactor: &Redactor) -> String {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let mut stream = redactor.stream();
    let mut clean = stream.push(name);
    clean.extend(stream.finish());
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "._-+=@,#".contains(char);
    let mut name: String =
        String::from_utf8_lossy(&clean).chars().map(|char| if is_plain(char) { char } else { '_' }).collect();
    if name.len() > LONGEST_NAME {
        // The end tells what kind of file it is, and which of several.
        name = format!("{}..{}", &name[..LONGEST_NAME / 2], &name[name.len() - (LONGEST_NAME / 2 - 2)..]);
    }
    // Nothing that a shell or a listing treats in a way of its own.
    if name.is_empty() || name.starts_with(['.', '-', '#']) {
        name.insert(0, '_');
    }
    name
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tar::{Builder, Header};

    use super::*;
    use crate::secret::Secret;

    const LIMIT: u64 = 1024 * 1024;

    fn header(kind: EntryType, path: &str, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.as_gnu_mut().expect("GNU").name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        header
    }

    fn plain(path: &str, text: &[u8]) -> (Header, Vec<u8>) {
        (header(EntryType::Regular, path, text.len() as u64), text.to_vec())
    }

    fn packed(entries: &[(Header, Vec<u8>)]) -> Vec<u8> {
        let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
        entries.iter().for_each(|(header, text)| builder.append(header, text.as_slice()).expect("memory"));
        builder.into_inner().and_then(GzEncoder::finish).expect("memory")
    }

    fn wanted(files: &[(&str, u64)]) -> Vec<Wanted> {
        files.iter().map(|(path, size)| Wanted { path: path.as_bytes().to_vec(), size: *size }).collect()
    }

    /// What came, and all files below the folder with what they hold.
    fn unpacked(packed: &[u8], wanted: &[Wanted], limit: u64) -> (Contents, Vec<(String, Vec<u8>)>) {
        let folder = tempfile::tempdir().expect("a folder");
        let redactor = Redactor::default();
        redactor.learn(&Secret::new("topsecret"));
        let target = Target {
            folder: &folder.path().join("logs"),
            limit,
            redactor: &redactor,
            create: &|path| File::create(path),
        };
        let contents = unpack(packed, wanted, &target).expect("the disk has room");
        let mut files = Vec::new();
        for sub in ["logs", "captures"] {
            for entry in fs::read_dir(folder.path().join(sub)).into_iter().flatten().flatten() {
                let name = entry.file_name().into_string().expect("a plain name");
                files.push((format!("{sub}/{name}"), fs::read(entry.path()).expect("it was written")));
            }
        }
        files.sort();
        (contents, files)
    }

    fn names(files: &[(String, Vec<u8>)]) -> Vec<&str> {
        files.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn what_was_asked_for_comes_without_secrets_and_captures_lie_apart() {
        let archive = packed(&[
            plain("./a/log/attach_1.log", b"password topsecret\n"),
            plain("./a/pcap/attach_1.pcap", b"topsecret"),
            plain("./a/log/old.log", b"\x1f\x8b topsecret"),
        ]);
        let asked = wanted(&[("./a/log/attach_1.log", 19), ("./a/pcap/attach_1.pcap", 9), ("./a/log/old.log", 12)]);
        let (contents, files) = unpacked(&archive, &asked, LIMIT);
        let expected = [
            ("captures/attach_1.pcap".to_owned(), b"topsecret".to_vec()),
            ("logs/attach_1.log".to_owned(), b"password ***\n".to_vec()),
            ("logs/old.log".to_owned(), b"\x1f\x8b topsecret".to_vec()),
        ];
        assert_eq!(files, expected);
        assert_eq!((contents.bytes, contents.not_redacted, contents.left_out.line()), (40, 2, None));
    }

    #[test]
    fn nothing_but_plain_files_that_were_asked_for_is_taken_and_the_rest_of_the_archive_comes() {
        let mut sparse = header(EntryType::GNUSparse, "./log/a.log", 512);
        {
            let gnu = sparse.as_gnu_mut().expect("GNU");
            // One PB of nothing, and a block at its end.
            gnu.realsize.copy_from_slice(b"\x80\0\0\0\0\x03\x8d\x7e\xa4\xc6\x80\0");
        }
        sparse.set_cksum();
        let archive = packed(&[
            (sparse, vec![0; 512]),
            (header(EntryType::Symlink, "./log/b.log", 0), Vec::new()),
            (header(EntryType::Char, "./log/b.log", 0), Vec::new()),
            plain("./log/evil.log", b"not asked for"),
            plain("../../etc/passwd", b"not asked for"),
            plain("./log/c.log", b"good\n"),
            plain("./log/c.log", b"again\n"),
        ]);
        let asked = wanted(&[("./log/a.log", 10), ("./log/b.log", 10), ("./log/c.log", 5)]);
        let (contents, files) = unpacked(&archive, &asked, LIMIT);
        assert_eq!(files, [("logs/c.log".to_owned(), b"good\n".to_vec())]);
        let said = contents.left_out.line().expect("much was left out");
        assert_eq!(
            said,
            "`a.log` (it is no plain file), `b.log` (it is no plain file), `b.log` (it is no plain file), `evil.log` \
             (it was not asked for), `passwd` (it was not asked for), `c.log` (it was not asked for), `a.log` (it did not \
             come), `b.log` (it did not come)"
        );
    }

    #[test]
    fn a_bomb_costs_no_more_than_the_limit_and_takes_no_room_from_the_others() {
        let bomb = vec![0; 8 * 1024 * 1024];
        let archive = packed(&[plain("./log/a.log", &bomb), plain("./log/b.log", b"good\n")]);
        let asked = wanted(&[("./log/a.log", 100), ("./log/b.log", 5)]);
        let (contents, files) = unpacked(&archive, &asked, 64 * 1024);
        assert!(contents.bytes <= 64 * 1024, "{} bytes", contents.bytes);
        assert_eq!(names(&files)[0], "logs/a.log");
        let said = contents.left_out.line().expect("it was cut");
        assert!(said.starts_with("`a.log` (cut: it is larger than it was)"), "{said}");

        // What follows a file that has grown within the limit comes.
        let archive = packed(&[plain("./log/a.log", &[b'x'; 60_000]), plain("./log/b.log", &[b'y'; 30_000])]);
        let (contents, files) = unpacked(&archive, &wanted(&[("./log/a.log", 100), ("./log/b.log", 30_000)]), 50_000);
        let sizes: Vec<usize> = files.iter().map(|(_, bytes)| bytes.len()).collect();
        assert_eq!((sizes, contents.bytes), (vec![20_000, 30_000], 50_000));
    }

    #[test]
    fn names_are_harmless_and_those_of_two_folders_distinct() {
        let long = format!("./log/{}.log", "n".repeat(300));
        let mut entries = Vec::new();
        let paths = [
            "./a/log/x_1.log",
            "./b/log/x_1.log",
            "./a/log/\x1b[2J\nevil\u{202e}.log",
            "./a/log/-rf",
            "./a/log/.bashrc",
            "./a/log/of-topsecret.log",
            "./a/log/..",
            "./c/log/x_1.log",
        ];
        for path in paths {
            entries.push(plain(path, path.as_bytes()));
        }
        // As GNU tar has a path that no header has room for.
        let mut path = long.clone().into_bytes();
        path.push(0);
        entries.push((header(EntryType::GNULongName, "././@LongLink", path.len() as u64), path));
        entries.push(plain("./log/nnn", b"long"));
        let mut asked = wanted(&paths.map(|path| (path, path.len() as u64)));
        asked.extend(wanted(&[(long.as_str(), 4)]));
        let (contents, files) = unpacked(&packed(&entries), &asked, LIMIT);
        let shortened = format!("logs/{}..{}.log", "n".repeat(100), "n".repeat(94));
        let expected = [
            "logs/_-rf",
            "logs/_..",
            "logs/_.bashrc",
            "logs/__2J_evil_.log",
            shortened.as_str(),
            "logs/of-___.log",
            "logs/x_1.2.log",
            "logs/x_1.3.log",
            "logs/x_1.log",
        ];
        assert_eq!(names(&files), expected);
        assert_eq!(contents.left_out.line(), None);
        let of_one_name = contents.files.iter().filter(|file| file.name == "x_1.log").count();
        assert_eq!(of_one_name, 3, "{:?}", contents.files);
    }

    #[test]
    fn an_archive_that_ends_before_its_time_leaves_what_came() {
        let archive = packed(&[plain("./log/a.log", b"good\n"), plain("./log/b.log", &[b'y'; 9000])]);
        let asked = wanted(&[("./log/a.log", 5), ("./log/b.log", 9000)]);
        for cut in 0..archive.len() {
            let (contents, _) = unpacked(&archive[..cut], &asked, LIMIT);
            // The end itself may be missing, when all that was asked for has come.
            assert!(contents.left_out.line().is_some() || contents.bytes == 9005, "cut at {cut}");
        }
        let nothing = unpacked(b"no archive at all", &asked, LIMIT).0;
        assert_eq!(nothing.files, []);
    }

    #[test]
    fn a_path_without_end_takes_no_memory() {
        let path = vec![b'p'; 4 * 1024 * 1024];
        let archive = packed(&[
            (header(EntryType::GNULongName, "././@LongLink", path.len() as u64), path),
            plain("./log/a.log", b"nobody asked for it by that name"),
            plain("./log/b.log", b"good\n"),
        ]);
        let (contents, files) = unpacked(&archive, &wanted(&[("./log/b.log", 5)]), 8 * LIMIT);
        assert_eq!(names(&files), ["logs/b.log"]);
        assert!(contents.left_out.line().is_some_and(|said| said.len() < 300), "{:?}", contents.left_out);
    }

    proptest::proptest! {
        /// The property of the fuzzer, for archives made at random.
        #[test]
        fn nothing_but_what_may_come_comes_of_any_archive(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600),
        ) {
            fuzz::archive(&bytes);
        }
    }
}
