"""A real https git server on this machine, and its certificate: for tests of whoever asks git."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import os
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from dagctl_provider.domain.repository import RepositoryAddress, parse_repository_url

TOKEN = "ghp_s3cret/with:odd@characters"


class GitHandler(BaseHTTPRequestHandler):
    """`git http-backend` behind https; what stands first in the path decides how it behaves."""

    protocol_version = "HTTP/1.1"
    root: Path
    seen: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        self.answer()

    do_POST = do_GET

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.append((self.path, self.headers.get("Authorization")))
        first = self.path.split("/")[1]
        if first == "moved":
            self.reply(301, {"Location": f"https://127.0.0.1:{self.server.server_port}/open/{self.path[7:]}"})
        elif first.isdigit():
            self.reply(int(first), {}, b"Hello!")
        elif first == "private" and not self.is_authorised():
            self.reply(401, {"WWW-Authenticate": 'Basic realm="git"'})
        else:
            self.run_backend(body)

    def is_authorised(self) -> bool:
        expected = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
        return self.headers.get("Authorization") == f"Basic {expected}"

    def run_backend(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            check=False,
            env={
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(self.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_CONFIG_GLOBAL": "/dev/null",
                "PATH_INFO": "/" + path.split("/", 2)[2],
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            },
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.reply(int(headers.pop("Status", "200").split()[0]), headers, content)

    def reply(self, status: int, headers: dict[str, str], content: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test output quiet."""


class GitServer:
    """Serves the repositories below a directory over https."""

    def __init__(
        self, root: Path, certificate: Path, kind: type[GitHandler] = GitHandler, place: tuple[str, int] = ("127.0.0.1", 0)
    ) -> None:
        self.seen: list[tuple[str, str | None]] = []
        handler = type("Handler", (kind,), {"root": root, "seen": self.seen})
        self._server = ThreadingHTTPServer(place, handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def address(self, path: str, host: str = "localhost") -> RepositoryAddress:
        return parse_repository_url(f"https://{host}:{self.port}/{path}", allow_private=True)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def make_certificate(path: Path, first_day: datetime.timedelta = datetime.timedelta(days=-1)) -> Path:
    """A certificate for localhost and git.example.com that signs itself, with its key, in one file.

    :param first_day: When its two days begin, from now on.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "dagctl tests")])
    names = [x509.DNSName("localhost"), x509.DNSName("git.example.com")]
    now = datetime.datetime.now(datetime.timezone.utc)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now + first_day)
        .not_valid_after(now + first_day + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([*names, x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path
