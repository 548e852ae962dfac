"""Our RPC runtime against Python's grpcio: its client on our server, our client on its server."""

import asyncio
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

import grpc
from google.protobuf import descriptor_pb2

HERE = pathlib.Path(__file__).resolve().parent
BIN = pathlib.Path(os.environ["MULTIGRES_BIN_DIR"])
PROTO = HERE.parent.parent / "proto"
PLUGIN = shutil.which("grpc_python_plugin")
STUBS = tempfile.TemporaryDirectory()


def generate(folder, name):
    """Stubs of one proto file, as <name>_pb2 and <name>_pb2_grpc."""
    subprocess.run(["protoc", f"-I{folder}", f"--plugin=protoc-gen-grpc_python={PLUGIN}", f"--python_out={STUBS.name}",
                    f"--grpc_python_out={STUBS.name}", f"{name}.proto"], check=True)


# By their folders, because a module grpc.health would hide behind the library's own grpc.
generate(HERE, "interop")
generate(PROTO / "grpc/health/v1", "health")
generate(PROTO / "grpc/reflection/v1alpha", "reflection")
sys.path[:0] = [STUBS.name, str(HERE)]

import health_pb2  # noqa: E402
import health_pb2_grpc  # noqa: E402
import interop_pb2  # noqa: E402
import interop_pb2_grpc  # noqa: E402
import python_service  # noqa: E402
import reflection_pb2  # noqa: E402
import reflection_pb2_grpc  # noqa: E402

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
TIMEOUT_S = 30


class PythonClientOnOurServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.process = subprocess.Popen([BIN / "interop_server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       text=True)
        port = int(cls.process.stdout.readline())
        cls.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=python_service.OPTIONS)
        cls.stub = interop_pb2_grpc.InteropStub(cls.channel)

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        cls.process.stdin.close()
        assert cls.process.wait(TIMEOUT_S) == 0, "the server did not end in order"
        cls.process.stdout.close()

    def control(self, key, action):
        self.stub.Control(interop_pb2.ControlRequest(key=key, action=action), timeout=TIMEOUT_S)

    def assert_fails(self, code, call):
        with self.assertRaises(grpc.RpcError) as raised:
            call()
        self.assertEqual(raised.exception.code(), code)
        return raised.exception

    def test_unary_echoes(self):
        self.assertEqual(self.stub.Unary(interop_pb2.Request(payload=b"ping"), timeout=TIMEOUT_S).payload, b"ping")

    def test_server_stream_comes_in_order_and_ends(self):
        request = interop_pb2.Request(count=1000, response_bytes=100)
        counts = [response.count for response in self.stub.ServerStream(request, timeout=TIMEOUT_S)]
        self.assertEqual(counts, list(range(1000)))

    def test_client_stream_is_counted(self):
        requests = (interop_pb2.Request(payload=b"x" * 1000) for _ in range(1000))
        response = self.stub.ClientStream(requests, timeout=TIMEOUT_S)
        self.assertEqual((response.count, response.total_bytes), (1000, 1_000_000))

    def test_bidi_answers_each_request_in_turn(self):
        requests = (interop_pb2.Request(payload=str(i).encode()) for i in range(200))
        payloads = [int(response.payload) for response in self.stub.Bidi(requests, timeout=TIMEOUT_S)]
        self.assertEqual(payloads, list(range(200)))

    def test_deadline_ends_the_handler(self):
        request = interop_pb2.Request(hang_key="deadline")
        cancelled = interop_pb2.ControlRequest(key="deadline", action=interop_pb2.ControlRequest.AWAIT_CANCELLED)
        # On a busy machine a short deadline can pass before the handler runs; then a longer one is tried.
        for timeout in (0.1, 0.3, 0.9, 2.7):
            self.assert_fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: self.stub.Unary(request, timeout=timeout))
            try:
                self.stub.Control(cancelled, timeout=1)
                return
            except grpc.RpcError as error:
                self.assertEqual(error.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
        self.fail("the handler was not cancelled")

    def test_cancel_reaches_the_handler(self):
        stream = self.stub.ServerStream(interop_pb2.Request(hang_key="cancel", count=1), timeout=TIMEOUT_S)
        next(stream)
        self.control("cancel", interop_pb2.ControlRequest.AWAIT_STARTED)
        stream.cancel()
        self.control("cancel", interop_pb2.ControlRequest.AWAIT_CANCELLED)

    def test_status_message_and_details_come(self):
        failure = interop_pb2.Failure(code=9, message="100% déjà vu\n", details=b"\xfe" * 20_000)
        error = self.assert_fails(
            grpc.StatusCode.FAILED_PRECONDITION,
            lambda: self.stub.Unary(interop_pb2.Request(failure=failure), timeout=TIMEOUT_S))
        self.assertEqual(error.details(), failure.message)
        self.assertEqual(dict(error.trailing_metadata())["grpc-status-details-bin"], failure.details)

    def test_large_metadata_passes(self):
        binary = bytes(i % 256 for i in range(9_000))
        sent = [(f"x-initial-{i}", "t" * 10_000) for i in range(3)]
        sent += [(f"x-trailing-{i}", "t" * 10_000) for i in range(3)]
        sent += [(f"x-trailing-{i}-bin", binary) for i in range(3)]
        _, call = self.stub.Unary.with_call(interop_pb2.Request(), timeout=TIMEOUT_S, metadata=sent)
        received = dict(call.initial_metadata()) | dict(call.trailing_metadata())
        for key, value in sent:
            self.assertEqual(received[key], value)

    def test_messages_of_16_mib_pass_both_ways(self):
        request = interop_pb2.Request(payload=b"p" * (MAX_MESSAGE_BYTES - 5))
        self.assertEqual(request.ByteSize(), MAX_MESSAGE_BYTES)
        self.assertEqual(self.stub.Unary(request, timeout=TIMEOUT_S).payload, request.payload)

    def test_longer_request_is_resource_exhausted(self):
        request = interop_pb2.Request(payload=b"p" * MAX_MESSAGE_BYTES)
        self.assert_fails(grpc.StatusCode.RESOURCE_EXHAUSTED, lambda: self.stub.Unary(request, timeout=TIMEOUT_S))

    def test_unknown_method_is_unimplemented(self):
        call = self.channel.unary_unary("/interop.Interop/Nothing")
        self.assert_fails(grpc.StatusCode.UNIMPLEMENTED, lambda: call(b"", timeout=TIMEOUT_S))

    def test_compressed_request_is_unimplemented(self):
        request = interop_pb2.Request(payload=b"z" * 10_000)
        self.assert_fails(
            grpc.StatusCode.UNIMPLEMENTED,
            lambda: self.stub.Unary(request, timeout=TIMEOUT_S, compression=grpc.Compression.Gzip))

    def test_ten_thousand_streams_at_once(self):
        request = interop_pb2.Request(hang_key="many", count=1)
        streams = [self.stub.ServerStream(request, timeout=2 * TIMEOUT_S) for _ in range(10_000)]
        for stream in streams:
            next(stream)
        self.control("many", interop_pb2.ControlRequest.RELEASE)
        for stream in streams:
            self.assertEqual(list(stream), [])

    def test_health_answers(self):
        stub = health_pb2_grpc.HealthStub(self.channel)
        check = stub.Check(health_pb2.HealthCheckRequest(service="interop.Interop"), timeout=TIMEOUT_S)
        self.assertEqual(check.status, health_pb2.HealthCheckResponse.SERVING)
        watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        self.assertEqual(next(watch).status, health_pb2.HealthCheckResponse.SERVING)
        watch.cancel()

    def test_reflection_describes_the_service(self):
        stub = reflection_pb2_grpc.ServerReflectionStub(self.channel)
        Request = reflection_pb2.ServerReflectionRequest
        asked = iter([Request(list_services=""), Request(file_containing_symbol="interop.Interop")])
        services, files = list(stub.ServerReflectionInfo(asked, timeout=TIMEOUT_S))
        self.assertIn("interop.Interop", [service.name for service in services.list_services_response.service])
        described = [descriptor_pb2.FileDescriptorProto.FromString(file)
                     for file in files.file_descriptor_response.file_descriptor_proto]
        methods = {method.name for file in described for service in file.service for method in service.method}
        self.assertIn("ServerStream", methods)


class Health(health_pb2_grpc.HealthServicer):
    """The server as a whole serves; no service is known by name."""

    def Check(self, request, context):
        if request.service:
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)

    def Watch(self, request, context):
        ended = threading.Event()
        context.add_callback(ended.set)
        yield health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)
        ended.wait(TIMEOUT_S)


class OurClientOnPythonServer(unittest.TestCase):
    def run_client_tests(self, port, which):
        result = subprocess.run([BIN / "test_interop_test", f"--gtest_filter={which}", "--gtest_brief=1"],
                                env=os.environ | {"MULTIGRES_INTEROP_SERVER": f"127.0.0.1:{port}"}, timeout=90,
                                check=False)
        self.assertEqual(result.returncode, 0)

    # A thread a stream is too much for these, so they have a server of coroutines.
    def test_ten_thousand_streams_at_once(self):
        async def serve():
            server = grpc.aio.server(options=python_service.OPTIONS)
            interop_pb2_grpc.add_InteropServicer_to_server(python_service.AsyncStreams(), server)
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            await asyncio.to_thread(self.run_client_tests, port, "Peer/Client.TenThousandStreamsAtOnce/*")
            await server.stop(None)

        asyncio.run(serve())

    def test_all_client_tests_pass(self):
        server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=32), options=python_service.OPTIONS)
        interop_pb2_grpc.add_InteropServicer_to_server(python_service.Interop(), server)
        health_pb2_grpc.add_HealthServicer_to_server(Health(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self.run_client_tests(port, "Peer/Client.*-*ReflectionListsServices*:*TenThousandStreams*")
        server.stop(None)


if __name__ == "__main__":
    unittest.main(verbosity=2)
