//! ttrpc calls, replayed to a server of the crate `ttrpc` on a Unix socket.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rpcshark_captures::Endpoint;
use rpcshark_dissectors::DecodeAs;
use rpcshark_dissectors::compare::Verdict;
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio::time::sleep;
use ttrpc::r#async::{MethodHandler, Server, Service, StreamHandler, StreamInner, TtrpcContext};
use ttrpc::proto::{Code, Request, Response, Status};

use super::harness::{Recorder, now, replay};
use crate::replay::{How, Live};
use crate::rpc::{Observed, TtrpcConnection, TtrpcRequest};

const SERVICE: &str = "t.Task";

fn answer(payload: Vec<u8>) -> Response {
    let mut response = Response { payload, ..Response::default() };
    response.set_status(Status::default());
    response
}

/// A task: `Wait` is answered when `Kill` has come.
#[derive(Clone)]
struct Task {
    method: &'static str,
    killed: Arc<Notify>,
    log: Arc<parking_lot::Mutex<Vec<&'static str>>>,
}

#[async_trait]
impl MethodHandler for Task {
    async fn handler(&self, _: TtrpcContext, request: Request) -> ttrpc::Result<Response> {
        self.log.lock().push(self.method);
        match self.method {
            "Wait" => self.killed.notified().await,
            "Kill" => self.killed.notify_one(),
            "Fail" => {
                let mut response = Response::default();
                response.set_status(ttrpc::get_status(Code::NOT_FOUND, "no such thing"));
                return Ok(response);
            }
            _ => sleep(Duration::from_millis(10)).await,
        }
        Ok(answer(request.payload))
    }
}

/// Answers each message of a stream.
struct Chat;

#[async_trait]
impl StreamHandler for Chat {
    async fn handler(&self, _: TtrpcContext, mut stream: StreamInner) -> ttrpc::Result<Option<Response>> {
        while let Ok(message) = stream.recv().await {
            stream.send(message).await?;
        }
        Ok(None)
    }
}

type Log = Arc<parking_lot::Mutex<Vec<&'static str>>>;

/// Runs `work` while a server listens at `path`.
fn with_server<T>(path: &Path, work: impl FnOnce(&Log) -> T) -> T {
    let log = Log::default();
    let killed = Arc::new(Notify::new());
    let methods = ["Create", "Start", "Wait", "Kill", "Fail"].map(|method| {
        let task = Task { method, killed: Arc::clone(&killed), log: Arc::clone(&log) };
        (method.to_owned(), Box::new(task) as Box<dyn MethodHandler + Send + Sync>)
    });
    let streams: HashMap<String, Arc<dyn StreamHandler + Send + Sync>> =
        HashMap::from([("Chat".to_owned(), Arc::new(Chat) as _)]);
    let service = Service { methods: HashMap::from(methods), streams };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let address = format!("unix://{}", path.display());
    let server = runtime.block_on(async {
        let server = Server::new().bind(&address).expect("bound");
        let mut server = server.register_service(HashMap::from([(SERVICE.to_owned(), service)]));
        server.start().await.expect("started");
        server
    });
    let result = work(&log);
    runtime.block_on(async move {
        let mut server = server;
        server.disconnect().await;
    });
    result
}

/// Records what `script` does with the server at `path`.
fn record<F: Future<Output = ()>>(path: &Path, to: &Path, script: impl FnOnce(Rc<TtrpcConnection>) -> F) {
    let file = File::create(to).expect("a file");
    let live = Rc::new(RefCell::new(Live::new(Some(file), 1).expect("a capture")));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        let stream = tokio::net::UnixStream::connect(path).await.expect("the server");
        let server = Endpoint::UnixPath(path.as_os_str().as_encoded_bytes().into());
        let no = live.borrow_mut().open(Endpoint::UnixInode(1), server, DecodeAs::Ttrpc, now());
        let recorder = Recorder { live: Rc::clone(&live), no };
        let (connection, reading) = TtrpcConnection::new(Box::new(Observed::new(stream, recorder)));
        let reading = tokio::task::spawn_local(reading);
        script(Rc::new(connection)).await;
        reading.abort();
    });
    assert!(live.borrow_mut().finish_capture().is_none());
}

async fn call(connection: &TtrpcConnection, method: &str, flags: u8) -> u32 {
    let request = TtrpcRequest { service: SERVICE.into(), method: method.into(), ..TtrpcRequest::default() };
    let mut id = 0;
    connection.request(&request, b"\x0a\x01x", flags, |stream| id = stream).await.expect("written");
    id
}

const A_MOMENT: Duration = Duration::from_millis(40);

#[test]
fn a_wait_gates_nothing_and_ends_when_the_task_is_killed() {
    let directory = tempfile::tempdir().expect("a directory");
    let (socket, file) = (directory.path().join("s.sock"), directory.path().join("recorded.pcapng"));
    let to = format!("unix:{}", socket.display());
    with_server(&socket, |log| {
        record(&socket, &file, |connection| async move {
            for method in ["Create", "Start", "Wait", "Fail", "Kill"] {
                call(&connection, method, 0).await;
                sleep(A_MOMENT).await;
            }
        });
        log.lock().clear();
        let outcome = replay(&file, &to, directory.path(), |_| {});
        assert_eq!(outcome.calls.len(), 5, "{outcome:?}");
        outcome.all_same();
        assert_eq!(*log.lock(), ["Create", "Start", "Wait", "Fail", "Kill"]);
    });
}

#[test]
fn streams_are_replayed_where_the_recorded_server_took_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let (socket, file) = (directory.path().join("s.sock"), directory.path().join("recorded.pcapng"));
    let to = format!("unix:{}", socket.display());
    with_server(&socket, |_| {
        record(&socket, &file, |connection| async move {
            // Request without a message, more to come.
            let request = TtrpcRequest { service: SERVICE.into(), method: "Chat".into(), ..TtrpcRequest::default() };
            let mut chat = 0;
            connection.request(&request, &[], 6, |stream| chat = stream).await.expect("written");
            for message in [&b"\x0a\x01a"[..], b"", b"\x0a\x01b"] {
                connection.data(chat, message).await.expect("written");
                sleep(A_MOMENT).await;
            }
            connection.half_close(chat).await.expect("written");
            sleep(A_MOMENT).await;
        });
        let outcome = replay(&file, &to, directory.path(), |_| {});
        outcome.all_same();
        let hows: Vec<_> = outcome.calls.iter().map(|(_, ended, _)| ended.how.clone()).collect();
        assert!(hows.iter().all(|how| *how == How::Answered), "{hows:?}");
        assert_eq!(outcome.verdicts().first(), Some(&Verdict::Same));
    });
}
