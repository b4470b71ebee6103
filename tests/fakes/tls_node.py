"""A Lightning node's HTTPS side for tests: threads, a throw-away certificate, and answers that break in every way that a
line can break. `lnd.py`, `cln.py` and `electrum.py` in this folder put their paths and books behind it."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
import struct
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CREDENTIAL = "0201036c6e64"  # a macaroon in hex, and a rune that will do


class Fault(StrEnum):
    """What befalls one request. `*_BEFORE`: nothing is done; the others: it is done, and then the answer suffers."""

    ERROR_BEFORE = "500_before"
    ERROR_AFTER = "500_after"
    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    SILENT_AFTER = "silent_after"
    HALF_BODY = "half_body"
    HALF_LINE = "half_line"  # the connection ends in order, in the middle of the JSON
    HTML = "html"
    NOTHING = "nothing"  # 200 or 201, and no byte
    GARBAGE = "garbage"  # JSON of another shape
    WRONG_HASH = "wrong_hash"
    WRONG_PREIMAGE = "wrong_preimage"
    ENDLESS = "endless"


BEFORE = frozenset({Fault.ERROR_BEFORE, Fault.RESET_BEFORE})
HTML_PAGE = b"<html><head><title>502 Bad Gateway</title></head>\n<body>nginx</body></html>\n"


def make_certificate(folder: Path) -> Path:
    """A self-signed certificate for a name that is not ours, like lnd's; `<folder>/tls.cert` and `tls.key`."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somewhere.invalid")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("192.0.2.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    (folder / "tls.cert").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "tls.cert"


class Request(msgspec.Struct, frozen=True):
    method: str
    path: str
    body: dict[str, Any]
    credential: str


class Reply(msgspec.Struct, frozen=True):
    """`lines` come one by one when it streams; else there is one."""

    status: int
    lines: Iterator[bytes]


class TlsNode(ABC):
    """A server on a free port from construction to `close()`. `faults` befall the paying requests in turn,
    `look_up_faults` the look-ups."""

    pay_status = 200

    def __init__(self, folder: Path):
        self.certificate = make_certificate(folder)
        self.faults: deque[Fault] = deque()
        self.look_up_faults: deque[Fault] = deque()
        self.requests: list[Request] = []
        self.closing = threading.Event()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, folder / "tls.key")
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()  # joins the threads of open requests
        self._thread.join()

    @abstractmethod
    def answer(self, request: Request) -> Reply: ...
    @abstractmethod
    def is_payment(self, request: Request) -> bool: ...
    @abstractmethod
    def is_look_up(self, request: Request) -> bool: ...
    @abstractmethod
    def twist(self, line: bytes, fault: Fault) -> bytes:
        """The same answer with a wrong hash or a wrong preimage in it."""
        ...

    def next_fault(self, request: Request) -> Fault | None:
        queue = (
            self.faults
            if self.is_payment(request)
            else self.look_up_faults
            if self.is_look_up(request)
            else None
        )
        return queue.popleft() if queue else None


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no error here."""


def _handler_of(node: TlsNode) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 20

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

        def _serve(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = ("Grpc-Metadata-macaroon", "Rune", "Authorization")
            credential = next((self.headers[name] for name in headers if name in self.headers), "")
            request = Request(self.command, self.path, msgspec.json.decode(raw) if raw else {}, credential)
            node.requests.append(request)
            fault = node.next_fault(request)
            if fault is Fault.RESET_BEFORE:
                return self._reset()
            if fault is Fault.ERROR_BEFORE:
                return self._send(500, [b"Internal Server Error"])
            reply = node.answer(request)
            if fault is None:
                return self._send(reply.status, reply.lines)
            return self._suffer(fault, reply, list(reply.lines))

        def _suffer(self, fault: Fault, reply: Reply, lines: list[bytes]) -> None:
            whole = b"".join(lines)
            match fault:
                case Fault.ERROR_AFTER:
                    self._send(500, [b"Internal Server Error"])
                case Fault.RESET_AFTER:
                    self._reset()
                case Fault.SILENT_AFTER:
                    node.closing.wait(10)
                    self._reset()
                case Fault.HALF_BODY:
                    self._head(reply.status, len(whole))
                    self.wfile.write(whole[: len(whole) // 2])
                    self._reset()
                case Fault.HALF_LINE:
                    self._send(reply.status, [whole[: len(whole) // 2]])
                case Fault.HTML:
                    self._send(reply.status, [HTML_PAGE])
                case Fault.NOTHING:
                    self._send(reply.status, [])
                case Fault.GARBAGE:
                    self._send(reply.status, [b'{"result": [], "pays": 7, "payment_preimage": null}\n'])
                case Fault.ENDLESS:
                    self._send(reply.status, (b"x" * 65_536 for _ in range(400)))
                case _:
                    self._send(reply.status, [node.twist(line, fault) for line in lines])

        def _send(self, status: int, lines: Any) -> None:
            self._head(status, None)
            with contextlib.suppress(OSError):
                for line in lines:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                    self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")

        def _head(self, status: int, length: int | None) -> None:
            self.close_connection = True
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Connection", "close")
            if length is None:
                self.send_header("Transfer-Encoding", "chunked")
            else:
                self.send_header("Content-Length", str(length))
            self.end_headers()

        def _reset(self) -> None:
            """SO_LINGER with zero seconds turns the close into a RST (socket(7))."""
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.wfile.flush()
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

    return Handler
