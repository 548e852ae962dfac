"""The interoperability service on grpcio."""

import asyncio
import threading
import time

import grpc

import interop_pb2
import interop_pb2_grpc

MAX_MESSAGE_BYTES = 17 * 1024 * 1024
MAX_METADATA_BYTES = 256 * 1024
OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
]


class Hub:
    """Where hanging handlers meet those who watch and release them."""

    def __init__(self):
        self._changed = threading.Condition()
        self._reached = set()

    def reach(self, key, phase):
        with self._changed:
            self._reached.add((key, phase))
            self._changed.notify_all()

    def wait(self, key, *phases):
        """The first of the phases that is reached; fails after 30 seconds."""
        deadline = time.monotonic() + 30
        with self._changed:
            while True:
                for phase in phases:
                    if (key, phase) in self._reached:
                        return phase
                if not self._changed.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"{key}: none of {phases} reached")


class Interop(interop_pb2_grpc.InteropServicer):
    def __init__(self):
        self._hub = Hub()

    def Unary(self, request, context):
        self._echo_metadata(context)
        self._hang_or_fail(request, context)
        return self._answer(request)

    def ServerStream(self, request, context):
        self._echo_metadata(context)
        response = self._answer(request)
        for i in range(request.count):
            response.count = i
            yield response
        self._hang_or_fail(request, context)

    def ClientStream(self, request_iterator, context):
        self._echo_metadata(context)
        response = interop_pb2.Response()
        for request in request_iterator:
            response.count += 1
            response.total_bytes += len(request.payload)
            self._hang_or_fail(request, context)
        return response

    def Bidi(self, request_iterator, context):
        self._echo_metadata(context)
        for request in request_iterator:
            self._hang_or_fail(request, context)
            yield self._answer(request)

    def Control(self, request, context):
        if request.action == interop_pb2.ControlRequest.RELEASE:
            self._hub.reach(request.key, "released")
        elif request.action == interop_pb2.ControlRequest.AWAIT_STARTED:
            self._hub.wait(request.key, "started")
        else:
            self._hub.wait(request.key, "cancelled")
        return interop_pb2.ControlResponse()

    @staticmethod
    def _answer(request):
        payload = b"r" * request.response_bytes if request.response_bytes else request.payload
        return interop_pb2.Response(payload=payload)

    @staticmethod
    def _echo_metadata(context):
        metadata = [(key, value) for key, value in context.invocation_metadata()]
        context.send_initial_metadata([entry for entry in metadata if entry[0].startswith("x-initial-")])
        context.set_trailing_metadata([entry for entry in metadata if entry[0].startswith("x-trailing-")])

    def _hang_or_fail(self, request, context):
        if request.hang_key:
            if not context.add_callback(lambda: self._hub.reach(request.hang_key, "cancelled")):
                self._hub.reach(request.hang_key, "cancelled")
            self._hub.reach(request.hang_key, "started")
            self._hub.wait(request.hang_key, "released", "cancelled")
        if request.HasField("failure"):
            if request.failure.details:
                context.set_trailing_metadata([("grpc-status-details-bin", request.failure.details)])
            codes = {code.value[0]: code for code in grpc.StatusCode}
            context.abort(codes[request.failure.code], request.failure.message)


class AsyncStreams(interop_pb2_grpc.InteropServicer):
    """Server streams by the thousand, on grpcio's event loop."""

    def __init__(self):
        self._released = asyncio.Event()

    async def ServerStream(self, request, context):
        for i in range(request.count):
            yield interop_pb2.Response(count=i)
        await asyncio.wait_for(self._released.wait(), 60)

    async def Control(self, request, context):
        assert request.action == interop_pb2.ControlRequest.RELEASE
        self._released.set()
        return interop_pb2.ControlResponse()
