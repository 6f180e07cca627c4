"""A gRPC server whose method a.B/C answers with one message of 200,000 bytes. Prints its port; ends with standard input."""
import concurrent.futures
import sys

import grpc

ANSWER = bytes(200_000)
method = grpc.unary_unary_rpc_method_handler(lambda request, context: ANSWER)
server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a.B", {"C": method}),))
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
sys.stdin.read()
server.stop(None)
