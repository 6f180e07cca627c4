"""A grpcio server and client without a schema: `grpcio.py serve ADDR`, `grpcio.py client ADDR`."""
import sys
from concurrent import futures

import grpc

SERVICE = "rpcshark.test.Echo"


def echo(request, context):
    return request


def repeat(request, context):
    for _ in range(25):
        yield request


def serve(addr):
    server = grpc.server(futures.ThreadPoolExecutor(16))
    handlers = {
        "Echo": grpc.unary_unary_rpc_method_handler(echo),
        "Repeat": grpc.unary_stream_rpc_method_handler(repeat),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_insecure_port(addr)
    server.start()
    print("ready", flush=True)
    server.wait_for_termination()


def client(addr):
    with grpc.insecure_channel(addr) as channel:
        one = channel.unary_unary(f"/{SERVICE}/Echo")
        for size in range(12):
            assert one(bytes(size * 100)) == bytes(size * 100)
        many = channel.unary_stream(f"/{SERVICE}/Repeat")
        for _ in range(12):
            assert len(list(many(b"x" * 500))) == 25
        together = [one.future(bytes(3000)) for _ in range(50)]
        for answer in together:
            assert len(answer.result()) == 3000


if __name__ == "__main__":
    {"serve": serve, "client": client}[sys.argv[1]](sys.argv[2])
