#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Python's grpcio as a client of libcrisvc: the example server, with stubs made from cri.proto.

usage: interop_grpcio.py ECHO_SERVER CRI.PROTO
"""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

SKIP = 77

try:
    import grpc
    import grpc_tools  # noqa: F401
except ImportError as e:
    print(f'skipped: {e} (Debian: python3-grpcio, python3-grpc-tools)')
    sys.exit(SKIP)

SERVER, PROTO = sys.argv[1:3]
DIR = tempfile.mkdtemp(prefix='crisvc-interop-')
SOCKET = os.path.join(DIR, 'sock')
OPTIONS = [('grpc.max_receive_message_length', 90 << 20), ('grpc.max_send_message_length', 90 << 20)]

subprocess.check_call([sys.executable, '-m', 'grpc_tools.protoc', '-I' + os.path.dirname(PROTO),
                       '--python_out=' + DIR, '--grpc_python_out=' + DIR, PROTO])
sys.path.insert(0, DIR)
import cri_pb2 as cri  # noqa: E402
import cri_pb2_grpc as cri_grpc  # noqa: E402


def start_server():
    process = subprocess.Popen([SERVER, SOCKET], stdout=subprocess.PIPE, text=True)
    if not process.stdout.readline().startswith('listening'):
        sys.exit('the server did not start')
    process.stdout.close()
    return process


class Interop(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.process = start_server()

    @classmethod
    def tearDownClass(cls):
        cls.process.terminate()
        assert cls.process.wait(20) == 0

    def setUp(self):
        self.channel = grpc.insecure_channel('unix://' + SOCKET, options=OPTIONS)
        self.runtime = cri_grpc.RuntimeServiceStub(self.channel)
        self.images = cri_grpc.ImageServiceStub(self.channel)

    def tearDown(self):
        self.channel.close()

    def run_cmd(self, *cmd, **kwargs):
        return self.runtime.ExecSync(cri.ExecSyncRequest(cmd=list(cmd)), **kwargs).stdout

    def assert_fails(self, code, fn, *args, **kwargs):
        with self.assertRaises(grpc.RpcError) as caught:
            fn(*args, **kwargs)
        self.assertEqual(caught.exception.code(), code, caught.exception.details())
        return caught.exception.details()

    def test_version(self):
        version = self.runtime.Version(cri.VersionRequest(version='0.1.0'))
        self.assertEqual(version.runtime_name, 'echo')
        self.assertEqual(version.runtime_api_version, 'v1')

    def test_answer_from_a_thread(self):
        status = self.runtime.Status(cri.StatusRequest())
        self.assertEqual([(c.type, c.status) for c in status.status.conditions], [('RuntimeReady', True)])

    def test_text_survives(self):
        text = 'grüße, 日本, 𝄞 %41'
        self.assertEqual(self.run_cmd('echo', text).decode(), text)

    def test_replies_of_many_sizes(self):
        for n in 0, 1, 16379, 16380, 65535, 65536, 1 << 20, 16 << 20, (80 << 20) - 5:
            out = self.run_cmd('bytes', str(n))
            self.assertEqual(len(out), n)
            self.assertEqual(out[:1000], bytes(i % 251 for i in range(min(n, 1000))))
            if n > 10:
                self.assertEqual(out[-10:], bytes(i % 251 for i in range(n - 10, n)))

    def test_requests_of_many_sizes(self):
        for n in 1, 16370, 65536, 1 << 20, 16 << 20, (80 << 20) - 20:
            self.assertEqual(self.run_cmd('count', 'x' * n), str(n).encode())

    def test_messages_beyond_the_limit(self):
        details = self.assert_fails(grpc.StatusCode.RESOURCE_EXHAUSTED, self.run_cmd, 'count', 'x' * (80 << 20))
        self.assertIn('larger than max', details)
        self.assert_fails(grpc.StatusCode.RESOURCE_EXHAUSTED, self.run_cmd, 'bytes', str(80 << 20))
        self.test_version()

    def test_every_status_code(self):
        for code in grpc.StatusCode:
            if code is not grpc.StatusCode.OK:
                self.assertEqual(self.assert_fails(code, self.run_cmd, 'fail', str(code.value[0]), 'why'), 'why')

    def test_error_messages(self):
        for text in '', 'plain', 'grüße', '日本 𝄞', '100%', '%41', 'two\nlines', ' spaces ', 'tab\t':
            self.assertEqual(self.assert_fails(grpc.StatusCode.NOT_FOUND, self.run_cmd, 'fail', '5', text), text)

    def test_long_error_message_is_cut(self):
        details = self.assert_fails(grpc.StatusCode.INTERNAL, self.run_cmd, 'fail', '13', 'é' * 20000)
        self.assertEqual(details, 'é' * 1024)

    def test_unknown_methods(self):
        self.assert_fails(grpc.StatusCode.UNIMPLEMENTED, self.images.ListImages, cri.ListImagesRequest())
        pods = self.runtime.StreamPodSandboxes(cri.StreamPodSandboxesRequest())
        self.assert_fails(grpc.StatusCode.UNIMPLEMENTED, next, pods)

    def sent(self):
        """Events that the server made so far; over HTTP/1 on the same socket."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(SOCKET)
            s.sendall(b'GET /sent HTTP/1.0\r\n\r\n')
            return int(s.makefile('rb').read().split(b'\r\n\r\n')[1])

    def test_stream_is_the_list(self):
        listed = self.runtime.ListContainers(cri.ListContainersRequest()).containers
        self.assertEqual(len(listed), 1000)
        streamed = [c for r in self.runtime.StreamContainers(cri.StreamContainersRequest()) for c in r.containers]
        self.assertEqual(streamed, list(listed))

    def test_stream_of_events_ends(self):
        before = self.sent()
        events = self.runtime.GetContainerEvents(cri.GetEventsRequest(), metadata=[('x-events', '20000')])
        self.assertEqual([e.created_at for e in events], list(range(20000)))
        self.assertEqual(events.code(), grpc.StatusCode.OK)
        self.assertEqual(self.sent() - before, 20000)

    def test_stream_waits_for_a_slow_reader_and_is_cancelled(self):
        cancelled, before = int(self.run_cmd('cancelled')), self.sent()
        events = self.runtime.GetContainerEvents(cri.GetEventsRequest())
        self.assertEqual(next(events).created_at, 0)
        sent = 0
        while sent != self.sent() - before:     # until the server waits
            sent = self.sent() - before
            self.test_version()                 # which others need not
        self.assertLess(sent, 10 * (1 << 20) // 75)     # its window, our 1 MiB, 75 bytes each
        for n in range(1, sent + sent // 2):
            self.assertEqual(next(events).created_at, n)
        events.cancel()
        end = time.monotonic() + 10
        while int(self.run_cmd('cancelled')) != cancelled + 1 and time.monotonic() < end:
            time.sleep(0.01)
        self.assertEqual(int(self.run_cmd('cancelled')), cancelled + 1)

    def test_stream_ends_with_its_deadline(self):
        cancelled = int(self.run_cmd('cancelled'))
        events = self.runtime.GetContainerEvents(cri.GetEventsRequest(), timeout=0.3)
        self.assert_fails(grpc.StatusCode.DEADLINE_EXCEEDED, list, events)
        while int(self.run_cmd('cancelled')) != cancelled + 1:
            time.sleep(0.01)

    def test_many_streams_at_once(self):
        streams = [self.runtime.GetContainerEvents(cri.GetEventsRequest(), metadata=[('x-events', str(100 + i))])
                   for i in range(100)]
        self.assertEqual([sum(1 for _ in s) for s in streams], list(range(100, 200)))

    def test_metadata_comes_back(self):
        sent = [('x-echo-a', 'two words'), ('x-echo-bin', bytes(range(256))), ('x-echo-a', 'again'), ('x-other', 'x')]
        response, call = self.runtime.Version.with_call(cri.VersionRequest(), metadata=sent)
        self.assertEqual(response.runtime_name, 'echo')
        self.assertEqual([(k, v) for k, v in call.trailing_metadata() if k.startswith('x-')], sent[:3])

    def test_client_that_asks_for_signs_of_life(self):
        options = [('grpc.keepalive_time_ms', 1000), ('grpc.keepalive_timeout_ms', 500), ('grpc.use_local_subchannel_pool', 1),
                   ('grpc.keepalive_permit_without_calls', 1), ('grpc.http2.max_pings_without_data', 0)]
        with grpc.insecure_channel('unix://' + SOCKET, options=options) as channel:
            call = cri_grpc.RuntimeServiceStub(channel).ExecSync(cri.ExecSyncRequest(cmd=['sleep', '1600']))
            self.assertEqual(call.stdout, b'slept')

    def test_text_that_is_no_utf8_is_refused(self):
        raw = self.channel.unary_unary('/runtime.v1.RuntimeService/ExecSync')
        for value in b'\xff', b'a\0b', b'\xed\xa0\x80':
            details = self.assert_fails(grpc.StatusCode.INVALID_ARGUMENT, raw, b'\x12' + bytes([len(value)]) + value)
            self.assertIn('field cmd', details)

    def test_bytes_that_are_no_message_are_refused(self):
        raw = self.channel.unary_unary('/runtime.v1.RuntimeService/ListContainers')
        nested = b''
        for _ in range(200):    # filter in filter: unknown to ContainerFilter beyond the second
            nested = b'\x0a' + bytes([len(nested) & 127 | 128, len(nested) >> 7]) + nested
        for data in b'\xff' * 20, b'\x0a\x7f', b'\x0b\x0c', b'\x0a\x02\x12\x7f', b'\x0a\x01\x08', nested + b'\x0a':
            self.assert_fails(grpc.StatusCode.INVALID_ARGUMENT, raw, data)
        self.test_version()

    def test_compression_is_refused(self):
        self.assert_fails(grpc.StatusCode.UNIMPLEMENTED, self.run_cmd, 'echo', 'a' * 1000,
                          compression=grpc.Compression.Gzip)
        self.test_version()

    def test_deadline_is_known_to_the_server(self):
        self.assertEqual(self.run_cmd('deadline'), b'none')
        self.assertIn(int(self.run_cmd('deadline', timeout=100)), range(90000, 102000))

    def test_deadline_and_cancel_reach_the_server(self):
        before = int(self.run_cmd('cancelled'))
        start = time.monotonic()
        self.assert_fails(grpc.StatusCode.DEADLINE_EXCEEDED, self.run_cmd, 'never', timeout=0.3)
        self.assertLess(time.monotonic() - start, 5)
        call = self.runtime.ExecSync.future(cri.ExecSyncRequest(cmd=['never']))
        self.test_version()     # on the same connection: the call before it has arrived
        call.cancel()
        other = grpc.insecure_channel('unix://' + SOCKET, options=[('grpc.use_local_subchannel_pool', 1)])
        lost = cri_grpc.RuntimeServiceStub(other).ExecSync.future(cri.ExecSyncRequest(cmd=['never']))
        cri_grpc.RuntimeServiceStub(other).Version(cri.VersionRequest())
        other.close()
        self.assertTrue(lost.cancelled() or lost.exception())
        end = time.monotonic() + 10
        while int(self.run_cmd('cancelled')) != before + 3 and time.monotonic() < end:
            time.sleep(0.01)
        self.assertEqual(int(self.run_cmd('cancelled')), before + 3)

    def test_many_calls_at_once(self):
        calls = [self.runtime.ExecSync.future(cri.ExecSyncRequest(cmd=['sleep', str(i % 50)])) for i in range(1500)]
        self.assertEqual({c.result().stdout for c in calls}, {b'slept'})

    def test_many_connections_at_once(self):
        errors = []

        def work(i):
            with grpc.insecure_channel('unix://' + SOCKET,
                                       options=OPTIONS + [('grpc.use_local_subchannel_pool', 1)]) as channel:
                stub = cri_grpc.RuntimeServiceStub(channel)
                for n in range(20):
                    text = f'{i} {n} ' + 'x' * (n * 3000)
                    if stub.ExecSync(cri.ExecSyncRequest(cmd=['echo', text])).stdout.decode() != text:
                        errors.append((i, n))

        threads = [threading.Thread(target=work, args=(i,)) for i in range(16)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(errors, [])


class Goodbye(unittest.TestCase):
    def test_running_call_is_answered_while_draining(self):
        process = start_server()
        with grpc.insecure_channel('unix://' + SOCKET) as channel:
            stub = cri_grpc.RuntimeServiceStub(channel)
            call = stub.ExecSync.future(cri.ExecSyncRequest(cmd=['sleep', '500']))
            stub.Version(cri.VersionRequest())
            process.send_signal(signal.SIGTERM)
            self.assertEqual(call.result().stdout, b'slept')
        self.assertEqual(process.wait(10), 0)


try:
    result = unittest.main(argv=sys.argv[:1], exit=False, verbosity=1).result
finally:
    shutil.rmtree(DIR)
sys.exit(0 if result.wasSuccessful() else 1)
