"""The recorded shop as a grpcio server.

use: shop.py DIRECTORY ADDRESS [FIELD=VALUE]

DIRECTORY holds shop.proto and shop.expected.jsonl, the recorded calls with their messages as JSON. Orders, lists and sums are
looked up there; conversations, failures and slow calls are made anew. With FIELD=VALUE each single order has another value in
a field. ADDRESS is host:port (0 for any) or unix:path. Prints the address when it listens; ends when its standard input does.
"""
import json
import pathlib
import sys
import tempfile
import time
from concurrent import futures

import grpc
from google.protobuf import any_pb2, json_format
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from grpc_tools import protoc

directory, address = pathlib.Path(sys.argv[1]), sys.argv[2]
change = sys.argv[3].split("=") if len(sys.argv) > 3 else None

generated = tempfile.mkdtemp()
well_known = pathlib.Path(protoc.__file__).parent / "_proto"
assert protoc.main(["protoc", f"-I{directory}", f"-I{well_known}", f"--python_out={generated}", "shop.proto"]) == 0
sys.path.insert(0, generated)
import shop_pb2 as shop

REQUESTS = {"GetOrder": shop.GetOrderRequest, "ListOrders": shop.ListOrdersRequest, "UploadItems": shop.Item}
RESPONSES = {"GetOrder": shop.Order, "ListOrders": shop.Order, "UploadItems": shop.UploadSummary}


def parsed(kind, value):
    return json_format.ParseDict(value, kind())


def key(messages):
    return b"".join(message.SerializeToString(deterministic=True) + b"|" for message in messages)


answers = {}
for line in (directory / "shop.expected.jsonl").open():
    call = json.loads(line)
    method = call["method"].rpartition("/")[2]
    if method in REQUESTS:
        found = answers.setdefault((method, key(parsed(REQUESTS[method], value) for value in call["requests"])), [])
        # Of calls that were cut short others have more.
        if len(call["responses"]) > len(found):
            found[:] = [parsed(RESPONSES[method], value) for value in call["responses"]]


def get_order(request, context):
    context.send_initial_metadata((("x-served-by", "py"), ("trace-bin", b"\x00\x01\xff")))
    context.set_trailing_metadata((("x-cost", "3"),))
    order = shop.Order()
    order.CopyFrom(answers["GetOrder", key([request])][0])
    if change:
        setattr(order, *change)
    return order


def chat(lines, context):
    for line in lines:
        yield shop.ChatLine(who="server", text="re: " + line.text, seq=line.seq)
        if line.seq % 3 == 0:
            yield shop.ChatLine(who="server", text="and more", seq=line.seq)


def fail(request, context):
    status = status_pb2.Status(code=code_pb2.FAILED_PRECONDITION, message="out of stöck: " + request.id)
    violation = error_details_pb2.BadRequest.FieldViolation(field="id", description="bad: ünïcode")
    for detail in [
        error_details_pb2.ErrorInfo(reason="STOCKOUT", domain="shop.acme", metadata={"sku": request.id}),
        error_details_pb2.BadRequest(field_violations=[violation]),
    ]:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    context.abort_with_status(rpc_status.to_status(status))


def slow(request, context):
    time.sleep(2)
    return shop.Order(id="late")


def list_orders(request, context):
    # A long list ends with its caller.
    for order in answers.get(("ListOrders", key([request])), []):
        yield order
    while request.count > 25 and context.is_active():
        time.sleep(0.01)


def upload(items, context):
    return answers["UploadItems", key(items)][0]


def of(kind):
    return {"request_deserializer": kind.FromString, "response_serializer": lambda message: message.SerializeToString()}


handlers = {
    "GetOrder": grpc.unary_unary_rpc_method_handler(get_order, **of(shop.GetOrderRequest)),
    "ListOrders": grpc.unary_stream_rpc_method_handler(list_orders, **of(shop.ListOrdersRequest)),
    "UploadItems": grpc.stream_unary_rpc_method_handler(upload, **of(shop.Item)),
    "Chat": grpc.stream_stream_rpc_method_handler(chat, **of(shop.ChatLine)),
    "Fail": grpc.unary_unary_rpc_method_handler(fail, **of(shop.GetOrderRequest)),
    "Slow": grpc.unary_unary_rpc_method_handler(slow, **of(shop.GetOrderRequest)),
}
server = grpc.server(futures.ThreadPoolExecutor(16))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("acme.shop.v1.Orders", handlers),))
port = server.add_insecure_port(address)
server.start()
print(address if address.startswith("unix:") else f"127.0.0.1:{port}", flush=True)
sys.stdin.read()
