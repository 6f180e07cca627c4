//! Clients of others: grpcio, grpc-js, grpcurl, etcdctl, the crate `ttrpc`; TLS.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use ttrpc::r#async::Client as TtrpcClient;
use ttrpc::proto::Request;

use crate::rig::{Server, case, nothing_differs, replay};
use crate::support::environment::{captures, python_with_grpcio, temporary, tool};
use crate::support::run::{run, text};
use crate::support::skip::skip;

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn shop(more: &[&str]) -> (Server, Vec<String>) {
    let shop = case("shop", "shop.pcap", Some("shop.proto"));
    (Server::start(&[&[&*shop[0], &*shop[1], &*shop[2], "--delays", "none"], more].concat()), shop)
}

#[test]
fn grpcio_is_answered_as_by_the_recorded_server() {
    let Some(python) = python_with_grpcio() else { return };
    let (server, _) = shop(&[]);
    let script = r#"
import sys, time, grpc
sys.path.insert(0, ".")
pb, rpc = grpc.protos_and_services("shop.proto")
channel = grpc.insecure_channel(sys.argv[1])
orders = rpc.OrdersStub(channel)
for i in range(12):
    order, call = orders.GetOrder.with_call(pb.GetOrderRequest(id=f"order-{i}", fields=["a", "b"]), timeout=20,
        metadata=(("tenant", f"t{i}"), ("blob-bin", bytes([i, 255, 0]))))
    assert order.id == f"order-{i}" and order.labels["tenant"] == f"t{i}", order
    assert dict(call.initial_metadata())["x-served-by"] == "py" and dict(call.trailing_metadata())["x-cost"] == "3"
    assert dict(call.initial_metadata())["trace-bin"] == b"\x00\x01\xff"
assert len(list(orders.ListOrders(pb.ListOrdersRequest(count=25, status=2)))) == 25
summary = orders.UploadItems(iter([pb.Item(sku="u%d" % i, quantity=i) for i in range(40)]))
assert (summary.items, summary.total) == (40, 780), summary
def lines():
    for i in range(8):
        yield pb.ChatLine(who="me", text="line %d" % i, seq=i)
assert sum(1 for _ in orders.Chat(lines())) == 11
for i in range(3):
    try:
        orders.Fail(pb.GetOrderRequest(id="order-%d" % i)); assert False
    except grpc.RpcError as e:
        assert e.code() == grpc.StatusCode.FAILED_PRECONDITION and e.details() == "out of stöck: order-%d" % i, e
        assert any(name == "grpc-status-details-bin" for name, _ in e.trailing_metadata())
try:
    orders.Slow(pb.GetOrderRequest(id="x"), timeout=0.3); assert False
except grpc.RpcError as e:
    assert e.code() == grpc.StatusCode.DEADLINE_EXCEEDED, e
later = orders.Slow.future(pb.GetOrderRequest(id="x")); time.sleep(0.05); later.cancel()
assert orders.GetOrder(pb.GetOrderRequest(id="order-5"), compression=grpc.Compression.Gzip).id == "order-5"
many = [orders.GetOrder.future(pb.GetOrderRequest(id=f"order-{i}")) for i in range(50)]
assert [one.result().id for one in many] == [f"order-{i}" for i in range(50)]
try:
    orders.GetOrder(pb.GetOrderRequest(id="never")); assert False
except grpc.RpcError as e:
    assert e.code() == grpc.StatusCode.UNIMPLEMENTED and "the nearest is call" in e.details(), e
print("done")
"#;
    let directory = captures().join("shop");
    let output = Command::new(python).args(["-c", script, &server.address]).current_dir(directory).output().unwrap();
    assert!(output.status.success() && said(&output).contains("done"), "{}", said(&output));
    let printed = server.stop();
    assert_eq!((printed.outcomes("miss"), printed.outcomes("failed")), (1, 0), "{:?}", printed.lines);
}

#[test]
fn grpcio_learns_the_schema_by_reflection_and_asks_for_health() {
    let Some(python) = python_with_grpcio() else { return };
    let (server, _) = shop(&[]);
    let script = r#"
import sys, grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf import message_factory
channel = grpc.insecure_channel(sys.argv[1])
known = ProtoReflectionDescriptorDatabase(channel)
assert "acme.shop.v1.Orders" in known.get_services(), known.get_services()
pool = DescriptorPool(known)
orders = pool.FindServiceByName("acme.shop.v1.Orders")
assert orders.methods_by_name["Chat"].client_streaming and orders.methods_by_name["Chat"].server_streaming
method = orders.methods_by_name["GetOrder"]
Ask, Order = message_factory.GetMessageClass(method.input_type), message_factory.GetMessageClass(method.output_type)
get = channel.unary_unary("/acme.shop.v1.Orders/GetOrder", request_serializer=Ask.SerializeToString, response_deserializer=Order.FromString)
assert get(Ask(id="order-5")).labels["tenant"] == "t5"
assert pool.FindServiceByName("grpc.reflection.v1.ServerReflection").methods[0].name == "ServerReflectionInfo"
check = channel.unary_unary("/grpc.health.v1.Health/Check")
assert check(b"") == b"\x08\x01" and check(b"\x0a\x13acme.shop.v1.Orders") == b"\x08\x01"
try:
    check(b"\x0a\x04nope"); assert False
except grpc.RpcError as e:
    assert e.code() == grpc.StatusCode.NOT_FOUND, e
watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"\x0a\x04nope", timeout=5)
assert next(watch) == b"\x08\x03"
watch.cancel()
print("done")
"#;
    let output = Command::new(python).args(["-c", script, &server.address]).output().unwrap();
    assert!(output.status.success() && said(&output).contains("done"), "{}", said(&output));
    // By v1.
    let done = run(&["call", &server.address, "acme.shop.v1.Orders/GetOrder", "-d", r#"{"id": "order-5"}"#, "--json"]);
    assert_eq!(done.status, Some(0), "{done:?}");
    assert!(server.stop().outcomes("built-in") > 4);
}

#[test]
fn without_a_schema_there_is_no_reflection() {
    let server = Server::start(&[&case("shop", "shop.pcap", None)[0]]);
    let done = run(&["call", &server.address, "acme.shop.v1.Orders/GetOrder", "-d", "{}"]);
    assert_eq!(done.status, Some(2), "{done:?}");
    assert!(done.stderr.contains("has no reflection"), "{done:?}");
}

/// A directory in which node finds grpc-js: the one that `RPCSHARK_NODE_MODULES` names, else where it looks anyway.
fn node_with_grpc_js() -> Option<Command> {
    let mut node = Command::new("node");
    if let Some(modules) = std::env::var_os("RPCSHARK_NODE_MODULES") {
        node.env("NODE_PATH", modules);
    }
    let mut probe = Command::new("node");
    node.get_envs().for_each(|(name, value)| _ = probe.env(name, value.unwrap_or_default()));
    let found = probe.args(["-e", "require('@grpc/grpc-js'); require('@grpc/proto-loader')"]).output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(node);
    }
    skip(format_args!(
        "node with @grpc/grpc-js and @grpc/proto-loader is not installed (RPCSHARK_NODE_MODULES names it)"
    ));
    None
}

#[test]
fn grpc_js_is_answered_as_by_the_recorded_server() {
    let Some(mut node) = node_with_grpc_js() else { return };
    let (server, _) = shop(&[]);
    let script = r#"
const grpc = require('@grpc/grpc-js'), loader = require('@grpc/proto-loader'), assert = require('assert');
const shop = grpc.loadPackageDefinition(loader.loadSync('shop.proto', {keepCase: true, longs: String})).acme.shop.v1;
const orders = new shop.Orders(process.argv[1], grpc.credentials.createInsecure());
const unary = (name, request) => new Promise((done, fail) => orders[name](request, (error, answer) => error ? fail(error) : done(answer)));
const all = call => new Promise((done, fail) => { const got = []; call.on('data', m => got.push(m)); call.on('end', () => done(got)); call.on('error', fail); });
(async () => {
  assert.equal((await unary('GetOrder', {id: 'order-3', fields: ['a', 'b']})).id, 'order-3');
  assert.equal((await all(orders.ListOrders({count: 25, status: 2}))).length, 25);
  const chat = orders.Chat();
  const lines = all(chat);
  for (let i = 0; i < 8; i++) chat.write({who: 'me', text: 'line ' + i, seq: i});
  chat.end();
  assert.equal((await lines).length, 11);
  await assert.rejects(unary('Fail', {id: 'order-1'}), e => e.code === 9 && e.details === 'out of stöck: order-1');
  await assert.rejects(unary('GetOrder', {id: 'never'}), e => e.code === 12 && e.details.includes('the nearest is call'));
  const summary = await new Promise((done, fail) => {
    const upload = orders.UploadItems((error, answer) => error ? fail(error) : done(answer));
    for (let i = 0; i < 40; i++) upload.write({sku: 'u' + i, quantity: i});
    upload.end();
  });
  assert.equal(summary.items, 40);
  orders.close();
  console.log('done');
})().catch(error => { console.error(error); process.exit(1); });
"#;
    let output = node.args(["-e", script, &server.address]).current_dir(captures().join("shop")).output().unwrap();
    assert!(output.status.success() && said(&output).contains("done"), "{}", said(&output));
}

#[test]
fn grpcurl_lists_describes_and_calls_by_reflection() {
    if tool("grpcurl", &["-version"]).is_none() {
        return;
    }
    let (server, _) = shop(&[]);
    let grpcurl = |arguments: &[&str]| {
        let output = Command::new("grpcurl").arg("-plaintext").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(grpcurl(&[&server.address, "list"]).contains("acme.shop.v1.Orders"));
    assert!(grpcurl(&[&server.address, "describe", "acme.shop.v1.Orders"]).contains("rpc Chat"));
    let order = grpcurl(&["-d", r#"{"id": "order-5"}"#, &server.address, "acme.shop.v1.Orders/GetOrder"]);
    assert!(order.contains("order-5"), "{order}");
}

#[test]
fn etcdctl_is_answered_as_by_the_recorded_etcd() {
    if tool("etcdctl", &["--help"]).is_none() {
        return;
    }
    let server = Server::start(&[&text(&captures().join("etcd").join("etcd.pcap"))]);
    let etcdctl = |arguments: &[&str]| {
        let output = Command::new("etcdctl")
            .args(["--endpoints", &server.address, "--dial-timeout", "10s", "--command-timeout", "20s"])
            .args(arguments)
            .env("ETCDCTL_API", "3")
            .output()
            .unwrap();
        (output.status.success(), said(&output))
    };
    let (done, values) = etcdctl(&["get", "--prefix", "k/"]);
    assert!(done && values.contains("k/5\nvalue-5"), "{values}");
    let (done, members) = etcdctl(&["member", "list"]);
    assert!(done && members.contains("started"), "{members}");
    assert_eq!(etcdctl(&["put", "k/1", "value-1"]), (true, "OK\n".to_owned()));
    let (done, refused) = etcdctl(&["put", "k/1", "other"]);
    assert!(!done && refused.contains("the nearest is call 1"), "{refused}");
    server.stop();
}

#[test]
fn the_crate_ttrpc_is_answered_as_by_the_recorded_shim() {
    let directory = temporary();
    let path = text(&directory.path().join("shim.sock"));
    let containerd = case("containerd", "containerd.strace", Some("schema"));
    let own = ["--listen", &format!("unix:{path}"), "--delays", "none"];
    let server = Server::start(&[&[&*containerd[0], &*containerd[1], &*containerd[2]][..], &own].concat());
    let shown =
        run(&["calls", &containerd[0], &containerd[1], &containerd[2], "--json", "-Y", "rpc.method == \"State\""])
            .done();
    let id = shown[0]["request"]["messages"][0]["body"]["id"].as_str().unwrap().to_owned();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = TtrpcClient::connect(&format!("unix://{path}")).await.unwrap();
        let request = |payload: Vec<u8>| Request {
            service: "containerd.task.v2.Task".to_owned(),
            method: "State".to_owned(),
            payload,
            ..Request::default()
        };
        let asked = [&[0x0a, id.len() as u8][..], id.as_bytes()].concat();
        let answered = client.request(request(asked)).await.unwrap();
        // StateResponse { string id = 1; … }
        assert!(answered.payload.windows(id.len()).any(|window| window == id.as_bytes()), "{answered:?}");
        let refused = client.request(request(b"\x0a\x04none".to_vec())).await.unwrap_err().to_string();
        assert!(refused.contains("the nearest is call") && refused.contains("request.id"), "{refused}");
        let mut other = request(Vec::new());
        other.method = "Nothing".to_owned();
        let refused = client.request(other).await.unwrap_err().to_string();
        assert!(refused.contains("the recording has no call of /containerd.task.v2.Task/Nothing"), "{refused}");
    });
    assert_eq!(server.stop().outcomes("miss"), 2);
}

/// A certification authority, a certificate for `localhost`, and its key, as PEM files.
fn identity(directory: &Path) -> [PathBuf; 3] {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    [("ca", issuer.pem()), ("cert", certificate.pem()), ("key", key.serialize_pem())].map(|(name, pem)| {
        let path = directory.join(name);
        std::fs::write(&path, pem).unwrap();
        path
    })
}

#[test]
fn tls_is_served_and_client_certificates_are_demanded() {
    let directory = temporary();
    let [ca, cert, key] = identity(directory.path()).map(|path| text(&path));
    let shop = case("shop", "shop.pcap", Some("shop.proto"));
    let own = ["--listen", "https://localhost:0", "--cert", &cert, "--key", &key, "--delays", "none"];
    let server = Server::start(&[&[&*shop[0], &*shop[1], &*shop[2]][..], &own].concat());
    let port = server.address.rsplit_once(':').unwrap().1.to_owned();
    let address = format!("https://localhost:{port}");
    assert!(server.address.starts_with("https://"), "{}", server.address);
    nothing_differs(&replay(&shop, &address, &["--pace", "asap", "--cacert", &ca]), 74);
    let plain = format!("localhost:{port}");
    let method = "acme.shop.v1.Orders/GetOrder";
    let data = ["-d", r#"{"id": "order-5"}"#, "--proto", &shop[2], "--max-time", "10s"];
    assert_eq!(run(&[&["call", &plain, method][..], &data].concat()).status, Some(3), "without TLS");
    server.stop();

    let strict = [&own[..], &["--cacert", &ca]].concat();
    let server = Server::start(&[&[&*shop[0], &*shop[1], &*shop[2]][..], &strict].concat());
    let address = format!("https://localhost:{}", server.address.rsplit_once(':').unwrap().1);
    let call = |more: &[&str]| run(&[&["call", &address, method, "--cacert", &ca][..], &data, more].concat()).status;
    assert_eq!(call(&[]), Some(3));
    assert_eq!(call(&["--cert", &cert, "--key", &key]), Some(0));
    server.stop();
}
