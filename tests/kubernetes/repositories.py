"""Serves git repositories by https from this machine, for clusters that share no folder with it."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class HttpsRepositories:
    """Repositories below ``https://address:port/NAME.git``, and a page for each that says whether its gate is open.

    :param folder: Holds links to the repositories.
    :param address: IP address or name by which pods reach this machine.
    """

    def __init__(self, folder: Path, address: str, port: int, certificate: str) -> None:
        self.folder, self.address, self.port, self.certificate = folder, address, port, certificate
        self._open: set[str] = set()

    def serve(self, name: str, repository: Path) -> None:
        """Serve a repository."""
        (self.folder / f"{name}.git").symlink_to(repository / ".git")

    def url(self, name: str) -> str:
        return f"https://{self.address}:{self.port}/{name}.git"

    def gate_url(self, name: str) -> str:
        return f"https://{self.address}:{self.port}/gate/{name}"

    def open_gate(self, name: str) -> None:
        self._open.add(name)

    def is_open(self, name: str) -> bool:
        return name in self._open

    @classmethod
    @contextmanager
    def running(cls, data: Path, address: str) -> Iterator[HttpsRepositories]:
        """Serve while the block lasts, on a free port of all addresses."""
        folder = data / "served"
        folder.mkdir()
        certificate = _make_certificate(folder, address)
        server = ThreadingHTTPServer(("0.0.0.0", 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        made = cls(folder, address, server.server_address[1], certificate)
        server.repositories = made  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """``git http-backend`` as a CGI program, and gates."""

    protocol_version = "HTTP/1.0"

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        repositories: HttpsRepositories = self.server.repositories  # type: ignore[attr-defined]
        if self.path.startswith("/gate/"):
            body = b"open" if repositories.is_open(self.path.removeprefix("/gate/")) else b"closed"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        else:
            self._git(repositories.folder)

    do_POST = do_GET

    def finish(self) -> None:
        """End TLS as well: a git with GnuTLS takes a connection that is just closed for one that was cut."""
        super().finish()
        with contextlib.suppress(OSError):
            self.connection.unwrap()  # type: ignore[attr-defined]

    def _git(self, folder: Path) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "GIT_CONFIG_KEY_1": "uploadpack.allowAnySHA1InWant",
            "GIT_CONFIG_VALUE_1": "true",
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "CONTENT_LENGTH": str(len(body)),
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = [line.partition(": ")[::2] for line in head.decode().split("\r\n") if line]
        status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200)
        with contextlib.suppress(ConnectionError):
            self.send_response(status)
            for name, value in headers:
                if name not in ("Status", "Content-Length"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)


def _make_certificate(folder: Path, address: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dagctl test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    try:
        alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        alternative = x509.DNSName(address)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    text = certificate.public_bytes(serialization.Encoding.PEM)
    (folder / "cert.pem").write_bytes(text)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(private)
    (folder / "key.pem").chmod(0o600)
    return text.decode()
