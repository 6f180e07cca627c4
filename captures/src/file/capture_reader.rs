//! All inputs of a reading, as one sequence of packets.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::batch::Batch;
use super::error::Error;
use super::info::{DecryptionSecrets, FileInfo};
use super::merge::Merge;
use super::open::{OpenInput, OpenOptions, captures_in};
use super::reader::{Pace, Reader};
use super::record::{Log, Metadata, RecordList};
use crate::source::Sources;
use crate::{Direction, SourceNo};

/// As many files as can be read together: each needs a number, and spill files need some too.
const MAX_FILES: usize = 60_000;

/// So many packets of each file are looked at in advance when several are merged.
const AHEAD: usize = 1024;

/// One or several inputs, read as one: packets in the order of their times, those of one input in the order in which
/// they are there whatever their times, those of the same time in the order of the inputs.
///
/// ```no_run
/// use rpcshark_captures::file::{OpenOptions, CaptureReader};
///
/// let mut reading = CaptureReader::open(&["a.pcap".into(), "b.pcapng.gz".into()], &OpenOptions::default())?;
/// while let Some(batch) = reading.next_batch(4096)? {
///     for index in 0..batch.len() {
///         println!("{:?}", batch.packet(index).packet);
///     }
/// }
/// # Ok::<(), rpcshark_captures::file::Error>(())
/// ```
pub struct CaptureReader {
    readers: Vec<Reader>,
    files: Vec<FileInfo>,
    known: Metadata,
    sources: Arc<Sources>,
    /// How many packets were handed out.
    handed_out: u64,
    merge: Merge,
    found: RecordList,
}

impl CaptureReader {
    /// Opens `paths` to be read together: files, `-` for standard input, directories for the captures in them (not in
    /// directories in them), sorted by name.
    ///
    /// Of a pipe this waits for the first bytes.
    ///
    /// # Errors
    ///
    /// If one of them is missing, may not be read, or is not a capture, or if a directory has no capture.
    pub fn open(paths: &[PathBuf], options: &OpenOptions) -> Result<Self, Error> {
        let mut inputs = Vec::new();
        for path in paths {
            if path.as_os_str() != "-" && path.is_dir() {
                inputs.extend(captures_in(path)?);
            } else {
                inputs.push(path.clone());
            }
        }
        if inputs.len() > MAX_FILES {
            return Err(Error::TooManyFiles { count: inputs.len(), limit: MAX_FILES });
        }
        let mut parts = Vec::new();
        for (path, number) in inputs.iter().zip(0..) {
            parts.push(match path.as_os_str() == "-" {
                true => OpenInput::standard_input(options)?,
                false => OpenInput::open(path, SourceNo(number), options)?,
            });
        }
        Ok(Self::new(parts))
    }

    /// Opens what a client sent and what its server sent, without anything around it, as one connection.
    ///
    /// # Errors
    ///
    /// If one of the files is missing or may not be read.
    pub fn open_raw_pair(client: &Path, server: &Path, options: &OpenOptions) -> Result<Self, Error> {
        let sides = [(client, Direction::ToServer), (server, Direction::ToClient)];
        let mut parts = Vec::new();
        for ((path, direction), number) in sides.into_iter().zip(0..) {
            parts.push(OpenInput::open_raw(path, direction, SourceNo(number), options)?);
        }
        Ok(Self::new(parts))
    }

    /// Reads what `input` gives, as soon as it gives it.
    ///
    /// # Errors
    ///
    /// If it cannot be read or is not a capture.
    pub fn from_reader(input: Box<dyn Read + Send>, name: impl Into<String>) -> Result<Self, Error> {
        Ok(Self::new(vec![OpenInput::stream(input, name.into(), Pace::Live)?]))
    }

    fn new(parts: Vec<OpenInput>) -> Self {
        let mut readers = Vec::new();
        let mut files = Vec::new();
        let mut sources = Vec::new();
        for part in parts {
            readers.push(part.reader);
            files.push(part.info);
            sources.push(part.source);
        }
        Self {
            merge: Merge::new(readers.len()),
            readers,
            files,
            known: Metadata::default(),
            sources: Arc::new(Sources::new(sources)),
            handed_out: 0,
            found: RecordList::default(),
        }
    }

    /// The next packets, at most `max_packets` of them and at least one; `None` at the end.
    ///
    /// Regular files give as many as are asked for, or some megabytes. Pipes give what has come: as soon as there is a whole
    /// packet it is handed out.
    ///
    /// # Errors
    ///
    /// None at present: an input that cannot be read any further says so in its [`FileInfo`], and the others continue.
    pub fn next_batch(&mut self, max_packets: usize) -> Result<Option<Batch>, Error> {
        let mut batch = Batch::default();
        Ok(self.next_batch_into(max_packets, &mut batch)?.then_some(batch))
    }

    /// As [`CaptureReader::next_batch`], into a batch that is not needed any more, to spare its memory; `false` at the end.
    ///
    /// # Errors
    ///
    /// As for [`CaptureReader::next_batch`].
    pub fn next_batch_into(&mut self, max_packets: usize, batch: &mut Batch) -> Result<bool, Error> {
        batch.clear();
        batch.first = self.handed_out;
        let most = max_packets.clamp(1, u32::MAX as usize);
        match self.readers.len() {
            1 => self.fill_from_one(most, batch),
            _ => self.fill_merged(most, batch),
        }
        self.handed_out += batch.len() as u64;
        Ok(!batch.is_empty())
    }

    /// The inputs in their order, as far as they have been read.
    pub fn files(&self) -> &[FileInfo] {
        &self.files
    }

    /// Names that the captures themselves give to addresses, as far as they have been read.
    pub fn names(&self) -> &BTreeMap<IpAddr, Box<str>> {
        &self.known.names
    }

    /// Key material that the captures themselves carry, as far as they have been read.
    pub fn secrets(&self) -> &[DecryptionSecrets] {
        &self.known.secrets
    }

    /// What the places of this reading lie in, to read bytes back.
    pub fn sources(&self) -> Arc<Sources> {
        Arc::clone(&self.sources)
    }

    /// How many bytes have been read, and of how many where that is known.
    pub fn progress(&self) -> (u64, Option<u64>) {
        let consumed = self.files.iter().map(|file| file.consumed).sum();
        (consumed, self.files.iter().map(|file| file.size).sum())
    }

    fn fill_from_one(&mut self, most: usize, batch: &mut Batch) {
        let (Some(reader), Some(info)) = (self.readers.first_mut(), self.files.first_mut()) else { return };
        if reader.is_ended() {
            return;
        }
        std::mem::swap(&mut self.found.records, &mut batch.records);
        std::mem::swap(&mut self.found.comments, &mut batch.comments);
        let mut log = Log { file: 0, info, known: &mut self.known };
        let holder = reader.fill(most, &mut self.found, &mut log);
        std::mem::swap(&mut self.found.records, &mut batch.records);
        std::mem::swap(&mut self.found.comments, &mut batch.comments);
        batch.holders.push(holder);
    }

    fn fill_merged(&mut self, most: usize, batch: &mut Batch) {
        for file in std::mem::take(&mut self.merge.wanting) {
            self.look_ahead(file);
        }
        while batch.len() < most && batch.holders.len() < usize::from(u16::MAX) {
            let Some(Reverse((_, file))) = self.merge.heads.pop() else { return };
            let until = self.merge.heads.peek().map(|Reverse(head)| *head);
            if self.merge.hand_out(file, until, most, batch) {
                continue;
            }
            // Its packets were all handed out, and which one is next is unknown until it has been read further.
            // If it may have to be waited for, packets that are there must not wait with it.
            let live = self.readers.get(usize::from(file)).is_some_and(Reader::is_live);
            if live && !batch.is_empty() {
                self.merge.wanting.push(file);
                return;
            }
            self.look_ahead(file);
        }
    }

    /// Reads on in a file of which no packet is at hand.
    fn look_ahead(&mut self, file: u16) {
        let index = usize::from(file);
        let (Some(reader), Some(info)) = (self.readers.get_mut(index), self.files.get_mut(index)) else { return };
        let Some(ahead) = self.merge.ahead.get_mut(index) else { return };
        ahead.found.clear();
        ahead.next = 0;
        ahead.next_comment = 0;
        ahead.holder = None;
        ahead.entered = None;
        if reader.is_ended() {
            return;
        }
        let mut log = Log { file, info, known: &mut self.known };
        ahead.holder = Some(reader.fill(AHEAD, &mut ahead.found, &mut log));
        if let Some(first) = ahead.found.records.first() {
            self.merge.heads.push(Reverse((first.time, file)));
        }
    }
}

impl std::fmt::Debug for CaptureReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CaptureReader").field("files", &self.files).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::{self, Cursor, Write};
    use std::os::fd::OwnedFd;

    use super::super::testing::{Dribble, Outcome, finish, read, read_by, seen};
    use super::*;
    use crate::{Packet, Place};

    /// A pcap with packets of these times (in seconds) that hold their own number and what cannot be made shorter.
    fn pcap(seconds: &[u32]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend([0xd4, 0xc3, 0xb2, 0xa1]); // magic
        bytes.extend([2, 0, 4, 0]); // version
        bytes.extend([0; 8]); // reserved
        bytes.extend([0, 0, 4, 0]); // snap length
        bytes.extend([1, 0, 0, 0]); // Ethernet
        for (number, seconds) in seconds.iter().enumerate() {
            let mut random = number as u64;
            let noise = std::iter::repeat_with(|| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                char::from(b'!' + (random >> 33) as u8 % 90)
            });
            let data = format!("packet {number} {}", noise.take(number * 7 % 100).collect::<String>());
            bytes.extend(seconds.to_le_bytes()); // seconds
            bytes.extend(5_u32.to_le_bytes()); // microseconds
            bytes.extend((data.len() as u32).to_le_bytes()); // captured length
            bytes.extend((data.len() as u32).to_le_bytes()); // original length
            bytes.extend(data.bytes());
        }
        bytes
    }

    /// Enough that every method of compression cuts it into several blocks.
    const MANY: u32 = 20_000;

    fn many() -> Vec<u8> {
        pcap(&(0..MANY).collect::<Vec<_>>())
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn lz4(bytes: &[u8], block: lz4_flex::frame::BlockSize) -> Vec<u8> {
        let info = lz4_flex::frame::FrameInfo::new().block_size(block).block_checksums(true);
        let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// One stream made of several, as `cat a.gz b.gz` makes it.
    fn packed() -> [(&'static str, Vec<u8>); 4] {
        use lz4_flex::frame::BlockSize::{Max64KB, Max256KB};
        let bytes = many();
        let (a, b) = bytes.split_at(bytes.len() / 3);
        let nested = gzip(&zstd(&bytes));
        [
            ("gzip", [gzip(a), gzip(b)].concat()),
            ("zstd", [zstd(a), zstd(b"").clone(), zstd(b)].concat()),
            ("lz4", [lz4(a, Max256KB), lz4(b"", Max64KB), lz4(b, Max64KB)].concat()),
            ("zstd in gzip", nested),
        ]
    }

    #[test]
    fn compression_of_every_kind_is_taken_off() {
        let plain = read(&many());
        assert_eq!(plain.packets.len(), MANY as usize);
        assert_eq!(plain.info.format, "pcap");
        for (method, bytes) in packed() {
            for step in [11, usize::MAX] {
                let outcome = read_by(&bytes, step);
                assert!(outcome.packets == plain.packets, "{method}");
                assert_eq!(outcome.info.format, format!("pcap in {method}"));
                assert_eq!((outcome.notes(), outcome.info.partial), (vec![], false), "{method}");
                assert_eq!(outcome.info.consumed, bytes.len() as u64, "{method}");
            }
        }
    }

    #[test]
    fn a_cut_compressed_stream_gives_what_comes_before() {
        let plain = read(&many());
        for (method, bytes) in packed() {
            for part in [3, 5, 9] {
                let outcome = read(&bytes[..bytes.len() * part / 10]);
                let packets = outcome.packets.len();
                assert!(outcome.packets == plain.packets[..packets] && packets < MANY as usize, "{method}: {packets}");
                assert!(outcome.info.partial, "{method} {part}");
                assert!(outcome.notes()[0].contains("what follows cannot be read"), "{method}: {:?}", outcome.notes());
            }
        }
    }

    #[test]
    fn a_damaged_compressed_stream_gives_what_comes_before() {
        for (method, mut bytes) in packed() {
            let middle = bytes.len() * 2 / 3;
            bytes[middle..middle + 40].fill(0xff);
            assert!(read(&bytes).info.partial, "{method}");
        }
        let mut bytes = gzip(&many());
        bytes.extend(b"this is not gzip");
        let outcome = read(&bytes);
        assert_eq!((outcome.packets.len(), outcome.info.partial), (MANY as usize, true));
    }

    #[test]
    fn packets_are_handed_out_as_soon_as_they_have_come() {
        struct Sent(std::sync::mpsc::Receiver<Vec<u8>>);
        impl Read for Sent {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                // It fails where it would have to be waited for.
                let bytes = self.0.try_recv().map_err(|_| io::Error::other("waited"))?;
                into[..bytes.len()].copy_from_slice(&bytes);
                Ok(bytes.len())
            }
        }
        let (sender, receiver) = std::sync::mpsc::channel();
        let bytes = pcap(&[1, 2, 3]);
        let first = 24 + 16 + 9;
        for byte in &bytes[..first] {
            sender.send(vec![*byte]).unwrap();
        }
        let mut reading = CaptureReader::from_reader(Box::new(Sent(receiver)), "pipe").unwrap();
        let batch = reading.next_batch(1_000).unwrap().unwrap();
        assert_eq!((batch.len(), batch.packet(0).data), (1, &b"packet 0 "[..]));
        assert_eq!(batch.packet(0).at, Place::NOWHERE);
        sender.send(bytes[first..].to_vec()).unwrap();
        let batch = reading.next_batch(1_000).unwrap().unwrap();
        assert_eq!((batch.len(), batch.packet(0).packet.order), (2, 1));
        assert_eq!(reading.files()[0].notes, []);
        // What cannot be read is reported, and is not an error.
        assert!(reading.next_batch(1_000).unwrap().is_none());
        assert_eq!(reading.files()[0].notes[0].text, "what follows cannot be read: waited");
        assert!(reading.files()[0].partial);
    }

    #[test]
    fn a_pipe_gives_all_that_has_come() {
        let (reader, mut writer) = io::pipe().unwrap();
        let bytes = pcap(&[1, 2, 3, 4]);
        let end = bytes.len() - 10;
        writer.write_all(&bytes[..end - 60]).unwrap();
        writer.write_all(&bytes[end - 60..end]).unwrap();
        let part =
            OpenInput::pipe(File::from(OwnedFd::from(reader)), "pipe".to_owned(), &OpenOptions::default()).unwrap();
        let mut reading = CaptureReader::new(vec![part]);
        let batch = reading.next_batch(1_000).unwrap().unwrap();
        assert_eq!(batch.len(), 3, "the writer is still open, and the last packet is not whole");
        writer.write_all(&bytes[end..]).unwrap();
        drop(writer);
        assert_eq!(reading.next_batch(1_000).unwrap().map(|batch| batch.len()), Some(1));
        assert!(reading.next_batch(1_000).unwrap().is_none());
    }

    #[test]
    fn a_file_is_read_in_full_batches_and_can_be_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("many.pcap");
        fs::write(&path, many()).unwrap();
        let mut reading = CaptureReader::open(std::slice::from_ref(&path), &OpenOptions::default()).unwrap();
        let sources = reading.sources();
        let mut batch = Batch::default();
        let mut bytes = Vec::new();
        let mut sizes = Vec::new();
        let mut packets = Vec::new();
        while reading.next_batch_into(8_000, &mut batch).unwrap() {
            sizes.push(batch.len());
            packets.extend(seen(&batch));
            for index in 0..batch.len() {
                let packet = batch.packet(index);
                assert_eq!(sources.get(packet.at, packet.data.len(), &mut bytes).unwrap(), packet.data);
            }
        }
        assert_eq!(sizes, [8_000, 8_000, 4_000]);
        assert!(packets == read(&many()).packets);
        let size = many().len() as u64;
        assert_eq!(reading.progress(), (size, Some(size)));
    }

    #[test]
    fn a_file_that_becomes_shorter_while_it_is_read_is_reported_wherever_it_is_cut() {
        // Between two packets as well: there the bytes alone do not show that any are missing.
        let whole = pcap(&[1; 2_000]);
        let between = pcap(&[1; 1_900]).len();
        for cut in [between, between + 7] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("cut.pcap");
            fs::write(&path, &whole).unwrap();
            let mut reading = CaptureReader::open(std::slice::from_ref(&path), &OpenOptions::default()).unwrap();
            assert_eq!(reading.next_batch(1).unwrap().unwrap().len(), 1);
            File::options().write(true).open(&path).unwrap().set_len(cut as u64).unwrap();
            let mut count = 1;
            while let Some(batch) = reading.next_batch(1_000).unwrap() {
                count += batch.len();
            }
            assert_eq!(count, 1_900);
            let info = &reading.files()[0];
            assert!(info.partial);
            let note = info.notes[0].to_string();
            assert!(
                note.contains(&format!("became shorter while it was read: {cut} of its {}", whole.len())),
                "{note}"
            );
        }
    }

    #[test]
    fn files_are_merged_by_time_and_keep_their_own_order() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("a"), pcap(&[1, 5, 3, 9])).unwrap();
        fs::write(path("b"), pcap(&[])).unwrap();
        fs::write(path("c"), gzip(&pcap(&[2, 5, 5, 8, 20]))).unwrap();
        fs::write(path("d"), pcap(&[0; 3_000])).unwrap();
        let order = |most: usize| {
            let paths = [path("a"), path("b"), path("c"), path("d")];
            let mut reading = CaptureReader::open(&paths, &OpenOptions::default()).unwrap();
            let mut packets: Vec<Packet> = Vec::new();
            while let Some(batch) = reading.next_batch(most).unwrap() {
                assert!(batch.len() <= most);
                packets.extend((0..batch.len()).map(|index| batch.packet(index).packet));
            }
            assert!(packets.iter().zip(0..).all(|(packet, order)| packet.order == order));
            packets.iter().map(|packet| (packet.no.file(), packet.no.number())).collect::<Vec<_>>()
        };
        let all = order(10_000);
        assert!(all[..3_000].iter().zip(1..).all(|(no, number)| *no == (3, number)));
        assert_eq!(all[3_000..], [(0, 1), (2, 1), (0, 2), (0, 3), (2, 2), (2, 3), (2, 4), (0, 4), (2, 5)]);
        assert_eq!(order(1), all);
        assert_eq!(order(1_025), all);
    }

    #[test]
    fn comments_stay_with_their_packets_when_files_are_merged() {
        let directory = tempfile::tempdir().unwrap();
        let (a, b) = (directory.path().join("a"), directory.path().join("b"));
        fs::write(&a, pcap(&[1, 3, 5])).unwrap();
        let mut bytes = Vec::new();
        for (kind, body) in [
            (0x0a0d_0d0a_u32, &b"\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"[..]),
            // Ethernet, resolution 1 s.
            (1, b"\x01\0\0\0\0\0\0\0\x09\0\x01\0\0\0\0\0"),
            // Interface 0, times 2 and 4, no data; the second with a comment.
            (6, b"\0\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0"),
            (6, b"\0\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\x01\0\x02\0hi\0\0"),
        ] {
            let len = (body.len() as u32 + 12).to_le_bytes();
            bytes.extend([&kind.to_le_bytes()[..], &len, body, &len].concat());
        }
        fs::write(&b, bytes).unwrap();
        for most in [1, 100] {
            let mut reading = CaptureReader::open(&[a.clone(), b.clone()], &OpenOptions::default()).unwrap();
            let mut comments = Vec::new();
            while let Some(batch) = reading.next_batch(most).unwrap() {
                comments.extend(seen(&batch).into_iter().map(|packet| packet.comment));
            }
            assert_eq!(comments, [None, None, None, Some("hi".to_owned()), None]);
        }
    }

    #[test]
    fn a_directory_gives_the_captures_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let open = || CaptureReader::open(&[directory.path().to_owned()], &OpenOptions::default());
        fs::write(path("notes.txt"), "no capture").unwrap();
        fs::write(path("empty.pcap"), "").unwrap();
        fs::write(path("broken.gz"), [0x1f, 0x8b, 0, 0]).unwrap();
        fs::create_dir(path("deeper")).unwrap();
        fs::write(path("deeper/c.pcap"), pcap(&[1])).unwrap();
        let none = open().unwrap_err();
        assert_eq!(none.to_string(), format!("no captures in {}", directory.path().display()));
        fs::write(path("b"), gzip(&pcap(&[1]))).unwrap();
        fs::write(path("a.pcap"), pcap(&[1])).unwrap();
        let names: Vec<_> = open().unwrap().files().iter().filter_map(|file| file.path.clone()).collect();
        assert_eq!(names, [path("a.pcap"), path("b")]);
    }

    #[test]
    fn what_is_no_capture_is_refused_with_a_reason() {
        let missing = CaptureReader::open(&["/nowhere/x.pcap".into()], &OpenOptions::default()).unwrap_err();
        assert_eq!(missing.to_string(), "/nowhere/x.pcap: no such file or directory");
        let refused = |bytes: &[u8]| {
            CaptureReader::from_reader(Box::new(Cursor::new(bytes.to_vec())), "x").unwrap_err().to_string()
        };
        assert_eq!(refused(b""), "x is not a capture: it is empty");
        let known = "known are pcap, pcapng, strace logs and the dumps of socat and \
             sockdump, plain or in gzip, zstd or lz4";
        assert_eq!(refused(b"{}\n"), format!("x is not a capture: it begins with 7b 7d 0a (\"{{}}\\n\"); {known}"));
        let inside = refused(&gzip(b"{}\n"));
        assert_eq!(inside, format!("x is not a capture: it begins with 7b 7d 0a (\"{{}}\\n\"); {known}"));
        assert!(refused(&[0x1f, 0x8b, 8, 0]).starts_with("x: nothing of it can be decompressed (gzip): "));
        let mut layers = pcap(&[1]);
        for _ in 0..5 {
            layers = gzip(&layers);
        }
        assert!(refused(&layers).contains("begins with 1f 8b"));
    }

    #[test]
    fn no_compressed_bytes_do_harm() {
        for (_, bytes) in packed() {
            let Outcome { packets: truth, .. } = read(&bytes);
            for n in 0..50 {
                let mut bytes = bytes.clone();
                let at = n * 7_919 % bytes.len();
                bytes[at] ^= 1 << (n % 8);
                if let Ok(reading) = CaptureReader::from_reader(Box::new(Dribble::new(&bytes, 4_096)), "x") {
                    assert!(finish(reading).packets.len() <= truth.len() + 10);
                }
            }
        }
    }
}
