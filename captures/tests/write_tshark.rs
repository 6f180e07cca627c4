//! Written files as another program reads them: `tshark`, where it is installed.

#[path = "../../tests/support/skip.rs"]
mod skip;

use std::path::PathBuf;
use std::process::Command;

use rpcshark_captures::write::{About, Ends, Party, Process, StreamWriter};
use rpcshark_captures::{Direction, Endpoint, Timestamp};
use skip::skip;

fn tshark(file: &PathBuf, arguments: &[&str]) -> Option<String> {
    let checks = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"];
    let output = Command::new("tshark").arg("-r").arg(file).args(checks).args(arguments).output();
    let Ok(output) = output else {
        skip("tshark is not installed");
        return None;
    };
    let errors = String::from_utf8_lossy(&output.stderr).replace(ROOT_WARNING, "");
    assert!(output.status.success() && errors.trim().is_empty(), "{errors}");
    Some(String::from_utf8(output.stdout).expect("text"))
}

const ROOT_WARNING: &str = "Running as user \"root\" and group \"root\". This could be dangerous.";

fn ends(no: u32, endpoint: Endpoint) -> Ends {
    let process = Process { pid: Some(812 + no), uid: Some(0), gid: Some(0), name: Some("ctr".into()) };
    Ends::new(Party { endpoint: Endpoint::UnixInode(4711), process }, Party::of(endpoint))
}

/// Many connections of every kind, interleaved, with data both ways, half-closes and a lot of one-way data.
fn written() -> tempfile::NamedTempFile {
    let tcp = |address: &str| Endpoint::Tcp(address.parse().expect("an address"));
    let file = tempfile::NamedTempFile::new().expect("a file");
    let out = std::io::BufWriter::new(file.reopen().expect("the file"));
    let mut writer = StreamWriter::new(out, &About { seed: 42, ..About::default() }).expect("written");
    let mut clock = 1_700_000_000_123_456_789;
    let mut now = || {
        clock += 1_001;
        Timestamp::from_nanos(clock)
    };
    let mut streams = Vec::new();
    for no in 0..20 {
        let ends = match no % 5 {
            0 => ends(no, Endpoint::UnixPath(b"/run/containerd/containerd.sock".as_slice().into())),
            1 => ends(no, Endpoint::UnixAbstract(b"name".as_slice().into())),
            2 => ends(no, Endpoint::Vsock { cid: 3, port: 1024 }),
            3 => Ends::new(Party::of(tcp(&format!("10.0.0.7:{}", 40_000 + no))), Party::of(tcp("10.0.0.8:50051"))),
            _ => Ends::new(Party::of(tcp(&format!("10.0.0.7:{}", 40_000 + no))), Party::of(tcp("[::1]:50051"))),
        };
        streams.push(writer.open(&ends, now()).expect("written"));
    }
    for round in 0..10 {
        for stream in &mut streams {
            writer.data(stream, Direction::ToServer, &vec![round; 1_000], now(), None).expect("written");
            writer.data(stream, Direction::ToServer, &vec![round; 70_001], now(), Some("again")).expect("written");
            writer.data(stream, Direction::ToClient, &vec![round; 300_000], now(), None).expect("written");
        }
    }
    for (no, stream) in streams.iter_mut().enumerate() {
        let first = Direction::BOTH[no % 2];
        writer.close(stream, first, now()).expect("written");
        writer.data(stream, first.reverse(), b"after the half-close", now(), None).expect("written");
        if no % 3 > 0 {
            writer.close(stream, first.reverse(), now()).expect("written");
        }
    }
    writer.finish().expect("written").into_inner().expect("written");
    file
}

#[test]
fn nothing_looks_wrong() {
    let file = written();
    let path = file.path().to_path_buf();
    let Some(experts) = tshark(&path, &["-q", "-z", "expert,warn"]) else { return };
    assert_eq!(experts.trim(), "");
    let lost = "tcp.analysis.flags || tcp.checksum.status != 1 || _ws.malformed";
    assert_eq!(tshark(&path, &["-Y", lost]).as_deref(), Some(""));
}

#[test]
fn every_byte_comes_back() {
    let file = written();
    let path = file.path().to_path_buf();
    let Some(conversations) = tshark(&path, &["-T", "fields", "-e", "tcp.stream", "-e", "tcp.len"]) else { return };
    let mut bytes = [0u64; 20];
    for line in conversations.lines() {
        let (stream, len) = line.split_once('\t').expect("two fields");
        bytes[stream.parse::<usize>().expect("a number")] += len.parse::<u64>().expect("a number");
    }
    assert_eq!(bytes, [10 * 371_001 + 20; 20]);
}

#[test]
fn names_comments_and_times_are_seen() {
    let file = written();
    let path = file.path().to_path_buf();
    let fields = ["-N", "n", "-Y", "frame.number==1", "-T", "fields", "-e", "frame.time_epoch", "-e", "ipv6.src_host"];
    let more = ["-e", "ipv6.dst_host", "-e", "frame.comment"];
    let Some(first) = tshark(&path, &[fields.as_slice(), &more].concat()) else { return };
    let expected = "1700000000.123457790\tctr[812]\tunix:/run/containerd/containerd.sock\trpcshark: \
                    client=unix:#4711 pid=812 uid=0 gid=0 comm=ctr server=unix:/run/containerd/containerd.sock\n";
    assert_eq!(first, expected);
}

#[test]
fn a_loss_is_seen_as_one() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let mut writer = StreamWriter::new(file.reopen().expect("the file"), &About::default()).expect("written");
    let ends = ends(1, Endpoint::UnixPath(b"/run/x.sock".as_slice().into()));
    let mut stream = writer.open(&ends, Timestamp::from_nanos(1)).expect("written");
    writer.lost(&mut stream, Direction::ToServer, 100, Timestamp::from_nanos(2)).expect("written");
    writer.data(&mut stream, Direction::ToServer, b"hello", Timestamp::from_nanos(3), None).expect("written");
    writer.finish().expect("written");
    let filter = "tcp.analysis.lost_segment && tcp.seq==101";
    let Some(lines) = tshark(&file.path().to_path_buf(), &["-Y", filter]) else { return };
    assert_eq!(lines.lines().count(), 1);
}

#[test]
fn http2_is_recognised_and_ttrpc_is_not_taken_for_something_else() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let mut writer = StreamWriter::new(file.reopen().expect("the file"), &About::default()).expect("written");
    let mut clock = 0;
    let mut now = || {
        clock += 1_000;
        Timestamp::from_nanos(clock)
    };
    let ends = ends(1, Endpoint::UnixPath(b"/run/x.sock".as_slice().into()));

    let mut http2 = writer.open(&ends, now()).expect("written");
    writer.data(&mut http2, Direction::ToServer, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", now(), None).expect("written");
    writer.data(&mut http2, Direction::ToServer, &[0, 0, 0, 4, 0, 0, 0, 0, 0], now(), None).expect("written");

    // Go's servers speak first.
    let mut other = writer.open(&ends, now()).expect("written");
    writer.data(&mut other, Direction::ToClient, &[0, 0, 0, 4, 0, 0, 0, 0, 0], now(), None).expect("written");
    writer.data(&mut other, Direction::ToServer, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", now(), None).expect("written");

    writer.data(&mut other, Direction::ToServer, &[0, 0, 0, 4, 0, 0, 0, 0, 0], now(), None).expect("written");
    for _ in 0..3 {
        writer.data(&mut other, Direction::ToClient, &[0, 0, 0, 4, 1, 0, 0, 0, 0], now(), None).expect("written");
    }

    let mut ttrpc = writer.open(&ends, now()).expect("written");
    for stream in [1, 3, 5, 7] {
        let service = b"containerd.services.events.ttrpc.v1.Events";
        let data = [&[0x0a, service.len() as u8], service.as_slice(), b"\x12\x07Forward\x1a\x02\x0a\x00"].concat();
        let head = [0, 0, 0, data.len() as u8, 0, 0, 0, stream, 1, 0];
        writer.data(&mut ttrpc, Direction::ToServer, &[&head, data.as_slice()].concat(), now(), None).expect("written");
        let answer = [0, 0, 0, 2, 0, 0, 0, stream, 2, 0, 0x12, 0];
        writer.data(&mut ttrpc, Direction::ToClient, &answer, now(), None).expect("written");
    }
    writer.finish().expect("written");
    let path = file.path().to_path_buf();
    let Some(protocols) =
        tshark(&path, &["-Y", "tcp.len>0", "-T", "fields", "-e", "tcp.stream", "-e", "frame.protocols"])
    else {
        return;
    };
    let layers: Vec<_> = protocols.lines().map(|line| line.rsplit(':').next().unwrap_or_default()).collect();
    assert_eq!(layers[..2], ["http2"; 2]);
    // The server's first frame waits for the second.
    assert_eq!(layers[2..8], ["tcp", "http2", "http2", "http2", "http2", "http2"]);
    assert_eq!(layers[8..], ["ftp-data"; 8]);
    assert_eq!(tshark(&path, &["-q", "-z", "expert,warn"]).as_deref().map(str::trim), Some(""));
}
