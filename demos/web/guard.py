"""Who may speak to the server: addresses and tokens, checked by parsing and in constant time."""

import hmac
import secrets
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


EVERYWHERE = ("0.0.0.0", "::", "")  # addresses to answer on, and none to open
PORTS = {"http": 80, "https": 443}  # what an address without a port means


class Guard:
    """Knows the server's own names, and the secret that its address holds."""

    def __init__(self, host: str, port: int, *, encrypted: bool = False, token: str | None = None) -> None:
        """For a server at an address; the token is drawn if none is given."""
        self._names = {*LOOPBACK, host.lower()} if host in LOOPBACK else {host.lower()}
        self._host, self._port = host, port
        self._scheme = "https" if encrypted else "http"
        self.token = token or secrets.token_urlsafe(24)

    @property
    def address(self) -> str:
        """Where a browser finds the page."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{self._scheme}://{host}:{self._port}/{self.token}/"

    def token_fits(self, given: str) -> bool:
        """Compared in a time that tells nothing."""
        return hmac.compare_digest(given.encode(), self.token.encode())

    def host_fits(self, header: str | None) -> bool:
        """Whether a Host header names this server: another name is a foreign page that was led here."""
        return header is not None and self._fits(f"{self._scheme}://{header}")

    def origin_fits(self, header: str | None) -> bool:
        """Whether an Origin header is this server's page; a browser sends it with every WebSocket."""
        return header is not None and header.startswith(f"{self._scheme}://") and self._fits(header)

    def _fits(self, address: str) -> bool:
        try:
            parts = urlsplit(address)
            port = parts.port or PORTS[self._scheme]
        except ValueError:
            return False
        plain = not (parts.username or parts.password or parts.path or parts.query or parts.fragment)
        return plain and (parts.hostname or "") in self._names and port == self._port


def check_address(host: str, certificate: object, key: object) -> None:
    """Refuses to be reached from other machines without encryption.

    Raises:
        ValueError: For an address that is not this machine's own, without a certificate and its key; or one
            that no browser can open.
    """
    if host in EVERYWHERE:
        raise ValueError(
            f"host {host!r} is no address that a browser can open; say the one name or address by which this "
            "machine is reached, such as its own in the local network"
        )
    if host not in LOOPBACK and not (certificate and key):
        raise ValueError(
            f"host {host!r} can be reached from other machines, where anyone in between could do as you do; "
            f"say --certificate and --key, or stay with {LOOPBACK[0]} and reach it through "
            "`ssh -L 8765:127.0.0.1:8765 <this machine>`"
        )
    if bool(certificate) != bool(key):
        raise ValueError("--certificate and --key go together")
