//! File descriptors through a recorder.

use std::io::{IoSlice, IoSliceMut, Read, Seek, Write};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

use crate::recording::{Rig, socket_path};

fn send(to: &UnixStream, bytes: &[u8], files: &[std::fs::File]) {
    let descriptors: Vec<_> = files.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    let sent = sendmsg(to, &[IoSlice::new(bytes)], &mut control, SendFlags::empty()).expect("sent");
    assert_eq!(sent, bytes.len());
}

fn receive(from: &UnixStream, bytes: &mut [u8]) -> Vec<std::fs::File> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let len = bytes.len();
    let received = recvmsg(from, &mut [IoSliceMut::new(bytes)], &mut control, RecvFlags::empty()).expect("received");
    assert_eq!(received.bytes, len);
    let mut files = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            files.extend(descriptors.map(|fd: OwnedFd| std::fs::File::from(fd)));
        }
    }
    files
}

fn file(text: &str) -> std::fs::File {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    file
}

fn text(file: &mut std::fs::File) -> String {
    let mut text = String::new();
    file.rewind().expect("rewound");
    file.read_to_string(&mut text).expect("read");
    text
}

#[test]
fn descriptors_arrive_with_their_bytes() {
    let directory = tempfile::tempdir().expect("a directory");
    let (server_path, server_address) = socket_path(&directory, "server.sock");
    let (path, address) = socket_path(&directory, "recorder.sock");
    let listener = UnixListener::bind(server_path).expect("bound");
    let rig = Rig::new(&address, &server_address);
    let client = UnixStream::connect(&path).expect("connected");
    let server = listener.accept().expect("accepted").0;

    send(&client, b"two", &[file("first"), file("second")]);
    let mut files = receive(&server, &mut [0; 3]);
    assert_eq!(files.iter_mut().map(text).collect::<Vec<_>>(), ["first", "second"]);

    send(&server, b"and back", &[file("third")]);
    assert_eq!(receive(&client, &mut [0; 8]).iter_mut().map(text).collect::<Vec<_>>(), ["third"]);

    let many: Vec<_> = (0..253).map(|no| file(&no.to_string())).collect();
    send(&client, b"m", &many);
    let files = receive(&server, &mut [0; 1]);
    assert_eq!(files.len(), 253);
    assert_eq!(text(&mut files.into_iter().last().expect("one")), "252");

    // Messages sent at once, each with its own: none is lost, and each comes with its bytes.
    for no in 0..20 {
        send(&client, b"x", &[file(&no.to_string())]);
    }
    for no in 0..20 {
        let mut files = receive(&server, &mut [0; 1]);
        assert_eq!(files.iter_mut().map(text).collect::<Vec<_>>(), [no.to_string()]);
    }
    drop((client, server));
    let (recording, connections) = rig.finish_and_read("connections");
    assert!(recording.comments.contains(&"rpcshark: 253 file descriptors passed".into()));
    let notes = connections[0]["notes"].as_array().expect("notes");
    let texts: Vec<_> = notes.iter().map(|note| note["text"].as_str().expect("text")).collect();
    let said = "the recorder says: 1 file descriptor passed";
    assert_eq!(texts.len(), 23, "{texts:?}");
    assert_eq!(texts.iter().filter(|text| **text == said).count(), 21, "{texts:?}");
    assert!(texts.contains(&"the recorder says: 253 file descriptors passed"), "{texts:?}");
    assert!(notes.iter().all(|note| note["kind"] == "recorder" && note["packet"].is_u64()), "{notes:?}");
    assert_eq!(recording.connections[0].flows[0].bytes, [b"twom".as_slice(), &[b'x'; 20]].concat());
}

#[test]
fn bytes_before_a_descriptor_do_not_take_it_with_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let (server_path, server_address) = socket_path(&directory, "server.sock");
    let (path, address) = socket_path(&directory, "recorder.sock");
    let listener = UnixListener::bind(server_path).expect("bound");
    let rig = Rig::new(&address, &server_address);
    let mut client = UnixStream::connect(&path).expect("connected");
    let mut server = listener.accept().expect("accepted").0;
    for no in 0..50 {
        client.write_all(b"passfd\n").expect("written");
        client.write_all(b"to port").expect("written");
        send(&client, b" 1024", &[file(&no.to_string())]);
    }
    for no in 0..50 {
        // Read without room for descriptors: one that came along would be lost.
        let mut plain = [0; 14];
        server.read_exact(&mut plain).expect("read");
        assert_eq!(&plain, b"passfd\nto port");
        let mut files = receive(&server, &mut [0; 5]);
        assert_eq!(files.iter_mut().map(text).collect::<Vec<_>>(), [no.to_string()]);
    }
    drop((client, server, rig));
}

#[test]
fn descriptors_that_cannot_go_on_leave_the_bytes_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, address) = socket_path(&directory, "recorder.sock");
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let rig = Rig::new(&address, &listener.local_addr().expect("bound").to_string());
    let client = UnixStream::connect(&path).expect("connected");
    let mut server: TcpStream = listener.accept().expect("accepted").0;
    send(&client, b"hello", &[file("first")]);
    let mut heard = [0; 5];
    server.read_exact(&mut heard).expect("read");
    assert_eq!(&heard, b"hello");
    drop(rig);
}
