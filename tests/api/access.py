"""Cloudflare Access of a few lines: a team with real RSA keys, which signs tokens and serves its public keys."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

AUDIENCE = "a7c1" * 16


def carrying(token: str) -> dict[str, str]:
    """Return the header that Cloudflare's edge puts a token into."""
    return {"Cf-Access-Jwt-Assertion": token}


@cache
def private_key(name: str) -> RSAPrivateKey:
    """Return the private key of a name, the same each time."""
    return generate_private_key(public_exponent=65537, key_size=2048)


class Team:
    """What the team's domain answers, and what its edge signs."""

    def __init__(self) -> None:
        self.url = ""
        self.keys = ["first"]
        self.asked = 0
        self.is_down = False
        self.hangs_s = 0.0
        self.body: bytes | None = None
        """What is served in place of the keys."""

    def token(self, *, key: str = "first", kid: str | None = None, **changes: Any) -> str:
        """Return a token for vera; a claim that is changed to None is left out."""
        claims = {
            "iss": self.url,
            "aud": [AUDIENCE],
            "email": "vera@shop.example",
            "type": "app",
            "sub": "7335d417",
            "iat": int(time.time()),
            "exp": int(time.time()) + 300,
        } | changes
        given = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(given, private_key(key), "RS256", headers={"kid": kid or key})

    def certs(self) -> bytes:
        """Return the public keys, as Cloudflare writes them."""
        if self.body is not None:
            return self.body
        common = {"alg": "RS256", "use": "sig"}
        public = [(name, RSAAlgorithm.to_jwk(private_key(name).public_key(), as_dict=True)) for name in self.keys]
        return json.dumps({"keys": [{**jwk, **common, "kid": name} for name, jwk in public]}).encode()


@contextmanager
def serving_team() -> Generator[Team]:
    """Serve a team's keys on a free port of 127.0.0.1."""
    team = Team()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            team.asked += 1
            time.sleep(team.hangs_s)
            is_found = self.path == "/cdn-cgi/access/certs" and not team.is_down
            self.send_response(200 if is_found else 503)
            self.end_headers()
            with suppress(ConnectionError):  # nobody waits for it any more
                self.wfile.write(team.certs() if is_found else b"")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base class
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.daemon_threads = True
        team.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield team
        finally:
            server.shutdown()
            thread.join()
