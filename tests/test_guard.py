"""Who may speak to the server of a page."""

import pytest

from demos.web.guard import LOOPBACK, Guard, check_address

GUARD = Guard("127.0.0.1", 8765, token="secret")


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765", "LOCALHOST:8765", "[::1]:8765"])
def test_own_names_are_let_in(host: str) -> None:
    assert GUARD.host_fits(host)
    assert GUARD.origin_fits(f"http://{host}")


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "127.0.0.1",
        "127.0.0.1:80",
        "evil.example:8765",
        "127.0.0.1.evil.example:8765",
        "evil.example@127.0.0.1:8765",
        "127.0.0.1:8765/x",
        "127.0.0.1:8765@evil.example",
        "127.0.0.1:notaport",
        "[::1:8765",
    ],
)
def test_other_names_are_not(host: str | None) -> None:
    assert not GUARD.host_fits(host)
    assert not GUARD.origin_fits(None if host is None else f"http://{host}")


@pytest.mark.parametrize(
    "origin",
    ["null", "file://127.0.0.1:8765", "127.0.0.1:8765", "ws://127.0.0.1:8765", "https://127.0.0.1:8765"],
)
def test_pages_from_elsewhere_are_not(origin: str) -> None:
    assert not GUARD.origin_fits(origin)


def test_the_token_is_long_and_drawn_anew() -> None:
    tokens = {Guard(LOOPBACK[0], 1).token for _ in range(50)}
    assert len(tokens) == 50 and min(map(len, tokens)) >= 32
    assert GUARD.token_fits("secret") and not GUARD.token_fits("secre") and not GUARD.token_fits("é")


def test_other_machines_need_encryption() -> None:
    for host in LOOPBACK:
        check_address(host, None, None)
    check_address("192.168.1.5", "certificate.pem", "key.pem")
    for nowhere in ("0.0.0.0", "::", ""):
        with pytest.raises(ValueError, match="no address that a browser can open"):
            check_address(nowhere, "certificate.pem", "key.pem")
    for certificate, key in ((None, None), ("certificate.pem", None)):
        with pytest.raises(ValueError, match="--certificate and --key"):
            check_address("192.168.1.5", certificate, key)
    with pytest.raises(ValueError, match="go together"):
        check_address("localhost", "certificate.pem", None)


def test_an_encrypted_server_at_the_usual_port_is_known_without_it() -> None:
    guard = Guard("arm.example", 443, encrypted=True, token="secret")
    assert guard.address == "https://arm.example:443/secret/"
    assert guard.host_fits("arm.example") and guard.origin_fits("https://arm.example")
    assert not guard.host_fits("arm.example:80") and not guard.origin_fits("http://arm.example")
    assert not guard.host_fits("127.0.0.1")


def test_the_address_can_be_opened() -> None:
    assert Guard("::1", 8765, token="secret").address == "http://[::1]:8765/secret/"
