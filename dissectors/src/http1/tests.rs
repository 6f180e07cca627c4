//! Requests and responses of HTTP/1.1, from bytes to calls.

use rpcshark_captures::Direction::{ToClient, ToServer};
use rpcshark_captures::connection::Close;

use super::head::{body_of, offers_h2c, request_fields};
use super::reader::State;
use crate::testing::{Fed, Outcome, Step, fed, message};

fn request(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc-web+proto\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// The trailers in the body of gRPC-Web.
fn trailers(status: u8) -> Vec<u8> {
    let lines = format!("grpc-status: {status}\r\n");
    [&[0x80, 0, 0, 0, lines.len() as u8], lines.as_bytes()].concat()
}

/// A response whose body is in chunks of `size` bytes.
fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc-web+proto\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks = body.chunks(size).map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    let chunks: Vec<u8> = chunks.flatten().collect();
    [&head[..], &chunks, b"0\r\n\r\n"].concat()
}

fn answer(text: &str) -> Vec<u8> {
    [message(text), trailers(0)].concat()
}

const CALLS: [&str; 2] = ["1 /a.B/One ↑3\"one\" ↓5\"first\" trailers", "2 /a.B/Two ↑3\"two\" ↓6\"second\" trailers"];

/// Two calls, one after the other.
fn two_calls() -> [Vec<u8>; 2] {
    let requests = [request("/a.B/One", &message("one")), request("/a.B/Two", &message("two"))].concat();
    let responses = [chunked(&answer("first"), 7), chunked(&answer("second"), 100)].concat();
    [requests, responses]
}

#[test]
fn calls_of_grpc_web_are_found_wherever_their_bytes_are_cut() {
    let [requests, responses] = two_calls();
    for cut in 0..requests.len().max(responses.len()) {
        let parts = |direction, bytes: &[u8]| {
            let (head, rest) = bytes.split_at(cut.min(bytes.len()));
            [head, rest].map(<[u8]>::to_vec).map(|part| Step::Bytes(direction, part))
        };
        let steps: Vec<Step> = parts(ToServer, &requests).into_iter().chain(parts(ToClient, &responses)).collect();
        let steps: Vec<Step> =
            steps.into_iter().filter(|step| !matches!(step, Step::Bytes(_, bytes) if bytes.is_empty())).collect();
        assert_eq!(fed(false, &steps).calls, CALLS, "cut at {cut}");
    }
}

#[test]
fn an_answer_that_comes_before_the_request_is_complete_belongs_to_it() {
    let [requests, responses] = two_calls();
    let first = requests.len() / 2 - 1;
    let half = responses.len() / 2 - 4;
    let steps = [
        Step::Bytes(ToServer, requests[..first].to_vec()),
        Step::Bytes(ToClient, responses[..half].to_vec()),
        Step::Bytes(ToServer, requests[first..].to_vec()),
        Step::Bytes(ToClient, responses[half..].to_vec()),
    ];
    assert_eq!(fed(false, &steps).calls, CALLS);
}

#[test]
fn preflights_and_pages_are_not_calls() {
    let preflight = b"OPTIONS /a.B/One HTTP/1.1\r\nAccess-Control-Request-Method: POST\r\n\r\n";
    let page = b"GET /index.html HTTP/1.1\r\n\r\n";
    let answers = [
        &b"HTTP/1.1 204 No Content\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage",
        &chunked(&answer("first"), 3),
    ];
    let requests = [&preflight[..], page, &request("/a.B/One", &message("one"))].concat();
    let outcome = fed(false, &[Step::Bytes(ToServer, requests), Step::Bytes(ToClient, answers.concat())]);
    assert_eq!(outcome.calls, ["3 /a.B/One ↑3\"one\" ↓5\"first\" trailers"]);
}

#[test]
fn an_error_of_a_proxy_and_a_body_that_ends_with_the_connection() {
    let refused = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy".to_vec();
    let open = [&b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc-web+proto\r\n\r\n"[..], &answer("first")].concat();
    let requests = [request("/a.B/One", &message("one")), request("/a.B/Two", &message("two"))].concat();
    let mut this = Fed::new(false);
    this.step(&Step::Bytes(ToServer, requests));
    this.step(&Step::Bytes(ToClient, [refused, open].concat()));
    this.close(ToClient, Close::Fin);
    let calls = this.finish().calls;
    assert_eq!(calls, ["1 /a.B/One ↑3\"one\" data", "2 /a.B/Two ↑3\"two\" ↓5\"first\" trailers"]);
}

#[test]
fn what_is_lost_of_a_body_does_not_cost_the_next_call() {
    let [requests, responses] = two_calls();
    let long = request("/a.B/One", &message(&"x".repeat(200)));
    let (begin, end) = (long.len() - 150, long.len() - 50);
    let second = requests[requests.len() / 2..].to_vec();
    assert!(second.starts_with(b"POST /a.B/Two"));
    let steps = [
        Step::Bytes(ToServer, long[..begin].to_vec()),
        Step::Lost(ToServer, long[begin..end].to_vec()),
        Step::Bytes(ToServer, [&long[end..], &second].concat()),
        Step::Bytes(ToClient, responses),
    ];
    let calls = fed(false, &steps).calls;
    assert!(calls[0].starts_with("1 /a.B/One"), "{calls:?}");
    assert_eq!(calls[1], CALLS[1]);
}

#[test]
fn a_request_becomes_the_header_list_of_stream_1() {
    let head = b"POST /a.B/C HTTP/1.1\r\nHost: x:80\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
        HTTP2-Settings: AAMAAABk\r\nContent-Type: application/grpc\r\nContent-Length: 7\r\n\r\n";
    assert!(offers_h2c(head));
    assert_eq!(body_of(head), Some(State::Body(7)));
    let fields = request_fields(head);
    let names: Vec<_> = fields.iter().filter_map(|field| field.name.as_str()).collect();
    assert_eq!(names, [":method", ":scheme", ":path", ":authority", "content-type", "content-length"]);
    assert_eq!(fields[2].value, *b"/a.B/C");
    assert_eq!(fields[3].value, *b"x:80");
}

#[test]
fn h2c_is_found_in_a_list_of_protocols() {
    let head = |value: &str| format!("GET / HTTP/1.1\r\nUpgrade: {value}\r\n\r\n").into_bytes();
    assert!(offers_h2c(&head("websocket, h2c")));
    assert!(offers_h2c(&head("H2C")));
    assert!(!offers_h2c(&head("websocket")));
    assert!(!offers_h2c(&head("h2c-14, h2")));
}

/// An exchange after another, as a client does that waits for each answer. Both sides acknowledge all that they have.
fn conversation(exchanges: &[(Vec<u8>, Vec<u8>)], segment: usize) -> Vec<Step> {
    let (mut asked, mut answered) = (0, 0);
    let mut steps = Vec::new();
    for (request, response) in exchanges {
        for part in request.chunks(segment) {
            steps.push(Step::Acking(ToServer, part.to_vec(), answered));
        }
        asked += request.len() as u64;
        for part in response.chunks(segment) {
            steps.push(Step::Acking(ToClient, part.to_vec(), asked));
        }
        answered += response.len() as u64;
    }
    steps
}

/// Calls whose requests and answers have the same digit, of several lengths and framings.
fn numbered(count: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let exchange = |number: usize| {
        let text = number.to_string().repeat(20 + number * 7 % 60);
        let body = [message(&text), trailers(0)].concat();
        let response = match number % 3 {
            0 => chunked(&body, 16),
            1 => chunked(&body, 1000),
            _ => {
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/grpc-web+proto\r\nContent-Length:";
                [format!("{head} {}\r\n\r\n", body.len()).as_bytes(), &body].concat()
            }
        };
        (request(&format!("/a.B/M{number}"), &message(&text)), response)
    };
    (0..count).map(exchange).collect()
}

/// Fails if a call has something of another one: the digit of its path is in all of its messages.
fn check(outcome: &Outcome, what: &str) {
    for call in &outcome.calls {
        let digit = call.split("/a.B/M").nth(1).and_then(|rest| rest.chars().next()).expect("a known path");
        let texts = call.split('"').skip(1).step_by(2);
        for text in texts {
            assert!(text.chars().all(|c| c == digit), "{what}: {call}");
        }
    }
}

/// The calls of which nothing is missing.
fn whole(outcome: &Outcome) -> usize {
    outcome.calls.iter().filter(|call| call.contains('↑') && call.contains('↓') && call.ends_with(" trailers")).count()
}

fn lost(steps: &[Step], is_lost: impl Fn(usize) -> bool) -> Vec<Step> {
    let lose = |(at, step): (usize, &Step)| match step {
        Step::Acking(direction, bytes, _) if is_lost(at) => Step::Lost(*direction, bytes.clone()),
        step => step.clone(),
    };
    steps.iter().enumerate().map(lose).collect()
}

#[test]
fn nothing_is_mixed_up_whichever_segment_is_lost() {
    for segment in [13, 50, 120] {
        let steps = conversation(&numbered(8), segment);
        assert_eq!(whole(&fed(false, &steps)), 8);
        for missing in 0..steps.len() {
            let outcome = fed(false, &lost(&steps, |at| at == missing));
            let what = format!("segments of {segment}, {missing} lost");
            check(&outcome, &what);
            // At most one exchange and its neighbour are touched.
            assert!(whole(&outcome) >= 6, "{what}: {:#?}", outcome.calls);
        }
    }
}

#[test]
fn nothing_is_mixed_up_where_several_segments_are_lost() {
    let steps = conversation(&numbered(9), 60);
    let mut state = 7_u64;
    for round in 0..3000 {
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let (from, many) = (random() as usize % steps.len(), 1 + random() as usize % 12);
        let other = random() as usize % steps.len();
        let outcome = fed(false, &lost(&steps, |at| (from..from + many).contains(&at) || at == other));
        check(&outcome, &format!("round {round}"));
    }
}

#[test]
fn nothing_is_mixed_up_where_a_capture_begins_in_the_middle() {
    let steps = conversation(&numbered(6), 40);
    for begin in 1..steps.len() {
        let outcome = fed(true, &steps[begin..]);
        check(&outcome, &format!("without the first {begin}"));
        let rest = conversation(&numbered(6), 40).len() - begin;
        assert!(rest < 40 || whole(&outcome) >= 1, "without the first {begin}: {:?}", outcome.calls);
    }
}

#[test]
fn the_rest_of_a_chunked_body_is_found_after_a_gap() {
    let messages: Vec<u8> = (0..9).flat_map(|n| message(&"1".repeat(20 + n))).collect();
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc-web+proto\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut steps =
        vec![Step::Bytes(ToServer, request("/a.B/M1", &message("1"))), Step::Bytes(ToClient, head.to_vec())];
    // Each message in a chunk and a segment of its own.
    let mut rest = &messages[..];
    let mut nth = 0;
    while !rest.is_empty() {
        let (one, after) = rest.split_at(5 + 20 + nth);
        let chunk = [format!("{:x}\r\n", one.len()).as_bytes(), one, b"\r\n"].concat();
        steps.push(if nth == 3 { Step::Lost(ToClient, chunk) } else { Step::Bytes(ToClient, chunk) });
        rest = after;
        nth += 1;
    }
    let end = trailers(0);
    steps.push(Step::Bytes(ToClient, [format!("{:x}\r\n", end.len()).as_bytes(), &end, b"\r\n0\r\n\r\n"].concat()));
    let outcome = fed(false, &steps);
    assert_eq!(outcome.calls[0].matches('↓').count(), 8, "{:?}", outcome.calls);
    assert!(outcome.calls[0].ends_with(" trailers"), "{:?}", outcome.calls);
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let exchanges = numbered(5);
    let requests: Vec<u8> = exchanges.iter().flat_map(|(request, _)| request.clone()).collect();
    let responses: Vec<u8> = exchanges.iter().flat_map(|(_, response)| response.clone()).collect();
    let acked = requests.len() as u64;
    let outcome = fed(false, &[Step::Acking(ToServer, requests, 0), Step::Acking(ToClient, responses, acked)]);
    check(&outcome, "pipelined");
    assert_eq!(whole(&outcome), 5);
}

#[test]
fn an_answer_that_is_delivered_before_its_request_waits_for_it() {
    let exchanges = numbered(2);
    let steps = conversation(&exchanges, 10_000);
    // The first request is late.
    let order = [1, 0, 2, 3].map(|at: usize| steps[at].clone());
    let outcome = fed(false, &order);
    check(&outcome, "late");
    assert_eq!(whole(&outcome), 2, "{:?}", outcome.calls);
}

#[test]
fn an_interim_response_is_kept_and_is_not_the_answer() {
    let (request, response) = numbered(1).remove(0);
    let answer = [&b"HTTP/1.1 100 Continue\r\n\r\n"[..], &response].concat();
    let outcome = fed(false, &[Step::Bytes(ToServer, request), Step::Bytes(ToClient, answer)]);
    assert_eq!(whole(&outcome), 1);
    let call = outcome.store.call(outcome.store.calls()[0]);
    assert_eq!(call.rare.as_ref().map(|rare| rare.interim.len()), Some(1));
}

#[test]
fn requests_that_are_not_calls_are_counted() {
    let page = b"GET /index.html HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
    let (request, _) = numbered(1).remove(0);
    let outcome = fed(false, &[Step::Bytes(ToServer, [page.clone(), request, page].concat())]);
    assert_eq!(outcome.calls.len(), 1);
    assert_eq!(outcome.lane().connection(outcome.connection).other_requests, 2);
}

#[test]
fn what_follows_connect_or_another_upgrade_is_not_http() {
    let (request, response) = numbered(1).remove(0);
    for (asked, answer) in [
        ("CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"),
        (
            "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        ),
    ] {
        let steps = [
            Step::Bytes(ToServer, asked.into()),
            Step::Bytes(ToClient, answer.into()),
            Step::Bytes(ToServer, request.clone()),
            Step::Bytes(ToClient, response.clone()),
        ];
        assert!(fed(false, &steps).calls.is_empty(), "{asked}");
    }
}

#[test]
fn lengths_are_digits() {
    let length = |value: &str| body_of(format!("POST / HTTP/1.1\r\nContent-Length: {value}\r\n\r\n").as_bytes());
    assert_eq!(length("7"), Some(State::Body(7)));
    assert_eq!(length("7, 7"), Some(State::Body(7)));
    for wrong in ["+7", "-7", "7, 8", "0x7", "", "99999999999999999999"] {
        assert_eq!(length(wrong), None, "{wrong}");
    }
}

/// Damages exchanges of all forms in many ways. `RPCSHARK_ROUNDS` sets how many.
#[test]
fn damaged_exchanges_end_and_hold_little() {
    const TYPES: [&str; 6] = [
        "application/grpc-web+proto",
        "application/grpc-web-text",
        "application/connect+json",
        "application/connect+proto",
        "application/proto",
        "application/json\r\nConnect-Protocol-Version: 1",
    ];
    let rounds = std::env::var("RPCSHARK_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3000);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize % below.max(1)
    };
    for _ in 0..rounds {
        let kind = TYPES[random(TYPES.len())];
        let status = [200, 200, 200, 400, 503, 100][random(6)];
        let end = [trailers(0), b"\x02\0\0\0\x02{}".to_vec(), br#"{"code":"internal","message":"m"}"#.to_vec()];
        let body = [message("some text"), end[random(3)].clone()].concat();
        let head = format!("HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n");
        let response = match random(3) {
            0 => [head.as_bytes(), format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat(),
            1 => [head.as_bytes(), b"\r\n", &body].concat(),
            _ => [head.as_bytes(), b"Transfer-Encoding: chunked\r\n\r\n5\r\n", &body[..5], b"\r\n0\r\n\r\n"].concat(),
        };
        let asked = format!("POST /a.B/C HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: 14\r\n\r\n");
        let get = "GET /a.B/C?connect=v1&encoding=proto&base64=1&message=CAE HTTP/1.1\r\nHost: x\r\n\r\n";
        let request = match random(4) {
            0 => get.as_bytes().to_vec(),
            _ => [asked.as_bytes(), &message("some text")].concat(),
        };
        let mut exchanges = vec![(request.clone(), response.clone()), (request, response)];
        for (request, response) in &mut exchanges {
            for bytes in [request, response] {
                for _ in 0..random(4) {
                    if bytes.is_empty() {
                        break;
                    }
                    let at = random(bytes.len());
                    match random(4) {
                        0 => bytes[at] = random(256) as u8,
                        1 => drop(bytes.drain(at..bytes.len().min(at + random(9)))),
                        2 => bytes.insert(at, b"0123456789abcdef\r\n\0\x80{}:"[random(23)]),
                        _ => bytes.truncate(at.max(1)),
                    }
                }
                if bytes.is_empty() {
                    bytes.push(b'\n');
                }
            }
        }
        let steps = conversation(&exchanges, 1 + random(90));
        let lose = random(12);
        let steps = lost(&steps, |at| lose < 3 && at % 5 == lose);
        let joined = random(5) == 0;
        let mut this = Fed::new(joined);
        steps.iter().for_each(|step| this.step(step));
        assert!(this.session().0.held().bytes < 1 << 20);
        this.close(ToClient, Close::Fin);
        let calls = this.finish().calls;
        assert!(calls.len() <= 2, "{calls:?}");
    }
}
