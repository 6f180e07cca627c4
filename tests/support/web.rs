//! A server of HTTP/1.1 for gRPC-Web and Connect: `Unary`, `Up`, `Down` and `Both` of `t.S` answer with what they were sent, `Fail` with
//! NOT_FOUND.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The requests that a server has read: each its head and its body.
pub(crate) type Requests = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// Starts a server.
pub(crate) fn server() -> (SocketAddr, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Requests::default();
    let seen = Arc::clone(&requests);
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let seen = Arc::clone(&seen);
            std::thread::spawn(move || while_open(socket.unwrap(), &seen));
        }
    });
    (address, requests)
}

fn while_open(mut socket: TcpStream, seen: &Requests) {
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    while let Some((head, body)) = request(&mut reader) {
        seen.lock().unwrap().push((head.clone(), body.clone()));
        if socket.write_all(&answer(&head, &body)).is_err() {
            return;
        }
    }
}

/// A head in lower case, but for its first line, and a body without its framing.
fn request(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&if head.is_empty() { line } else { line.to_lowercase() });
    }
    let mut body = Vec::new();
    if let Some(length) = field(&head, "content-length") {
        body.resize(length.parse().ok()?, 0);
        reader.read_exact(&mut body).ok()?;
    } else if field(&head, "transfer-encoding").is_some() {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let size = usize::from_str_radix(line.trim(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).ok()?;
            if size == 0 {
                break;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }
    Some((head, body))
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::trim))
}

fn prefixed(flag: u8, message: &[u8]) -> Vec<u8> {
    [&[flag][..], &(message.len() as u32).to_be_bytes(), message].concat()
}

fn messages(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while bytes.len() >= 5 {
        let length = u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize;
        messages.push(bytes[5..5 + length].to_vec());
        bytes = &bytes[5 + length..];
    }
    messages
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    let content_type = field(head, "content-type").unwrap_or_default();
    let method = head.split(' ').nth(1).unwrap_or_default().rsplit('/').next().unwrap_or_default();
    let is_unary = !content_type.contains("grpc-web") && !content_type.contains("connect");
    let asked = if is_unary { vec![body.to_vec()] } else { messages(body) };
    let answers: Vec<Vec<u8>> = match method {
        "Unary" | "Both" => asked,
        "Up" => asked.last().cloned().into_iter().collect(),
        "Down" => vec![asked[0].clone(), asked[0].clone()],
        _ => Vec::new(),
    };
    let has_failed = method == "Fail";
    let response = |status: &str, content_type: &str, body: &[u8]| {
        // One chunk, and the last one.
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunk = if body.is_empty() {
            Vec::new()
        } else {
            [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n"].concat()
        };
        [head.as_bytes(), &chunk, b"0\r\n\r\n"].concat()
    };
    let framed = answers.iter().flat_map(|answer| prefixed(0, answer));
    match (is_unary, content_type.contains("grpc-web")) {
        (true, _) if has_failed => {
            response("404 Not Found", "application/json", br#"{"code":"not_found","message":"no such thing"}"#)
        }
        (true, _) => response("200 OK", content_type, &answers.concat()),
        (false, true) => {
            let status = if has_failed { "grpc-status: 5\r\n" } else { "grpc-status: 0\r\n" };
            response("200 OK", content_type, &framed.chain(prefixed(0x80, status.as_bytes())).collect::<Vec<_>>())
        }
        (false, false) => {
            let end = if has_failed { r#"{"error":{"code":"not_found"}}"# } else { "{}" };
            response("200 OK", content_type, &framed.chain(prefixed(2, end.as_bytes())).collect::<Vec<_>>())
        }
    }
}
