"""A destination has one spelling, or it is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.guardian.destination import MAX_TEXT_CHARS, Pattern, check_destination, normalise

ONE_SPELLING = {
    "https://api.example.com": "https://api.example.com:443",
    "HTTPS://API.Example.COM:443/v1?q=1#f": "https://api.example.com:443",
    "http://api.example.com./": "http://api.example.com:80",
    "https://api.example.com?q": "https://api.example.com:443",
    "wss://stream.example.com": "wss://stream.example.com:443",
    "postgres://db.internal:5432/app": "postgres://db.internal:5432",
    "api.example.com": "api.example.com",
    "API.example.com.:8443": "api.example.com:8443",
    "localhost:80": "localhost:80",
    "xn--bcher-kva.example": "xn--bcher-kva.example",
    "my_service:9000": "my_service:9000",
    "127.0.0.1:80": "127.0.0.1:80",
    "http://[2001:DB8:0:0::1]/": "http://[2001:db8::1]:80",
    "http://[::ffff:127.0.0.1]/": "http://127.0.0.1:80",
    "http://[::ffff:7f00:1]/": "http://127.0.0.1:80",
    "http://[64:ff9b::169.254.169.254]/": "http://169.254.169.254:80",
    "https://example.com/a%20path/ü": "https://example.com:443",
    "https://example.com/@other.example/": "https://example.com:443",
}

UNCLEAR = {
    "empty": "",
    "no host": "https://",
    "three slashes": "https:///evil.example",
    "one slash": "https:/evil.example",
    "no slash": "https:evil.example",
    "scheme-relative": "//evil.example",
    "no network": "file:///etc/passwd",
    "opaque": "javascript:alert(1)",
    "mail": "mailto:a@evil.example",
    "user": "https://good.example@evil.example/",
    "user and password": "https://a:b@evil.example",
    "empty user": "https://@evil.example",
    "two users": "https://a@b@evil.example",
    "backslash host": "https://good.example\\@evil.example",
    "backslash path": "https://evil.example/\\good",
    "backslashes": "\\\\evil.example\\share",
    "space": "https://good.example evil.example",
    "leading space": " https://good.example",
    "tab in host": "https://go\tod.example",
    "new line at end": "https://good.example\n",
    "null": "https://good.example\x00.evil.example",
    "delete": "https://good\x7f.example",
    "next line": "https://good.example/\x85",
    "line separator": "https://good.example/\u2028",
    "ideographic space": "https://good.example/\u3000",
    "soft hyphen": "https://go\u00adod.example",
    "zero width": "https://good\u200b.example",
    "right to left": "https://good.example/\u202egpj.exe",
    "lone surrogate": "https://good.example/\ud800",
    "ideographic full stop": "https://good。example",
    "full-width slash": "https://good.example／.evil.example",
    "full-width digits": "http://１２７.０.０.１",
    "enclosed letters": "https://ⓔⓥⓘⓛ.example",
    "look-alike": "https://gооd.example",
    "not punycode": "https://bücher.example",
    "escaped host": "https://%65vil.example",
    "empty label": "https://good..example",
    "leading dot": "https://.example",
    "two trailing dots": "https://good.example..",
    "only dot": "https://./",
    "label of 64": "https://" + "a" * 64 + ".example",
    "host of 254": ".".join(["a" * 49] * 5) + ".abcd",
    "hyphen first": "https://-good.example",
    "hyphen last": "https://good-.example",
    "decimal address": "http://2130706433/",
    "hex address": "http://0x7f000001/",
    "hex octet": "http://0x7f.0.0.1/",
    "hex last octet": "http://127.0.0.0x1/",
    "bare hex mark": "http://127.0.0.0x/",
    "octal octet": "http://0177.0.0.1/",
    "padded octet": "http://127.0.0.01/",
    "short address": "http://127.1/",
    "zero": "http://0/",
    "three octets": "http://192.168.1/",
    "five octets": "http://1.2.3.4.5/",
    "octet of 256": "http://127.0.0.256/",
    "name that ends in a number": "http://good.example.7/",
    "address with root dot": "http://127.0.0.1./",
    "zone": "http://[fe80::1%25eth0]/",
    "bare zone": "http://[fe80::1%eth0]/",
    "no brackets": "http://2001:db8::1/",
    "bare IPv6": "::1",
    "bracketed IPv4": "http://[127.0.0.1]/",
    "bracketed name": "http://[evil.example]/",
    "future address": "http://[v1.fe80::a]/",
    "open bracket": "http://[::1/",
    "text after bracket": "http://[::1]evil.example/",
    "bad IPv6": "http://[::1::2]/",
    "empty port": "https://good.example:/",
    "port zero": "https://good.example:0",
    "padded port": "https://good.example:0443",
    "port too high": "https://good.example:65536",
    "negative port": "https://good.example:-1",
    "two ports": "https://good.example:80:443",
    "full-width port": "https://good.example:４４３",
    "scheme without known port": "gopher://good.example/",
    "scheme begins with digit": "1https://good.example",
    "path without scheme": "good.example/path",
    "wildcard": "*.example",
    "sub-delimiter": "https://good.example,evil.example",
    "too long": "https://good.example/" + "a" * MAX_TEXT_CHARS,
}


@pytest.mark.parametrize(("written", "read"), ONE_SPELLING.items())
def test_one_place_has_one_spelling(written: str, read: str) -> None:
    assert str(normalise(written)) == read


@pytest.mark.parametrize("read", ONE_SPELLING.values())
def test_the_spelling_reads_back_as_itself(read: str) -> None:
    assert str(normalise(read)) == read


@pytest.mark.parametrize("text", UNCLEAR.values(), ids=UNCLEAR.keys())
def test_what_two_readers_could_read_differently_is_refused(text: str) -> None:
    with pytest.raises(Refused) as refused:
        normalise(text)
    assert refused.value.code is ReasonCode.DATA_EGRESS_BLOCKED
    assert len(refused.value.reason) < 400 and refused.value.reason.isascii()


@given(st.text(alphabet=st.sampled_from("aA1x0.-_:/?#@[]%*\\ \t\n\x00é。／") | st.characters(), max_size=40))
def test_any_text_is_read_stably_or_refused(text: str) -> None:
    try:
        destination = normalise(text)
    except Refused:
        return
    assert normalise(str(destination)) == destination
    assert destination.host.isascii() and destination.host == destination.host.lower()


def test_what_was_written_is_known_to_be_an_address() -> None:
    assert normalise("http://127.0.0.1").is_ip
    assert normalise("http://[::1]").is_ip
    assert not normalise("http://localhost").is_ip


MATCHES = [
    ("api.example.com", "https://api.example.com/x", True),
    ("api.example.com", "http://api.example.com:8080", True),
    ("api.example.com", "https://xapi.example.com", False),
    ("api.example.com", "https://api.example.com.evil.example", False),
    ("API.Example.com.", "https://api.example.com", True),
    ("api.example.com:443", "https://api.example.com", True),
    ("api.example.com:443", "https://api.example.com:8443", False),
    ("api.example.com:443", "api.example.com", False),
    ("https://api.example.com", "https://api.example.com/x", True),
    ("https://api.example.com", "http://api.example.com", False),
    ("https://api.example.com", "http://api.example.com:443", False),
    ("https://api.example.com", "https://api.example.com:8443", False),
    ("https://api.example.com", "api.example.com:443", False),
    ("https://api.example.com:8443", "https://api.example.com:8443", True),
    ("*.example.com", "https://a.example.com", True),
    ("*.example.com", "https://a.b.example.com", True),
    ("*.example.com", "https://example.com", False),
    ("*.example.com", "https://evilexample.com", False),
    ("*.example.com", "https://a.example.com.evil.example", False),
    ("https://*.example.com", "https://a.example.com", True),
    ("https://*.example.com", "http://a.example.com", False),
    ("*.example.com:8443", "https://a.example.com:8443", True),
    ("10.0.0.0/8", "http://10.255.0.1", True),
    ("10.0.0.0/8", "http://[::ffff:10.0.0.1]", True),
    ("10.0.0.0/8", "http://11.0.0.1", False),
    ("10.0.0.0/8", "http://10.example.com", False),
    ("10.0.0.0/8", "http://[fd00::1]", False),
    ("192.0.2.7", "http://192.0.2.7:99", True),
    ("192.0.2.7", "http://192.0.2.8", False),
    ("http://192.0.2.7", "http://192.0.2.7:99", False),
    ("192.0.2.7:99", "http://192.0.2.7:99", True),
    ("::1", "http://[0::1]", True),
    ("fd00::/8", "http://[fd12::1]", True),
    ("[fd12::1]:80", "http://[fd12:0::1]", True),
]


@pytest.mark.parametrize(("pattern", "text", "matches"), MATCHES)
def test_a_pattern_matches_exactly_what_it_says(pattern: str, text: str, matches: bool) -> None:
    assert Pattern.parse(pattern).matches(normalise(text)) is matches


def test_a_destination_that_leaves_out_its_port_does_not_slip_past_a_deny() -> None:
    vague = normalise("db.example.com")
    assert not Pattern.parse("https://db.example.com").matches(vague)
    assert Pattern.parse("https://db.example.com").touches(vague)
    assert not Pattern.parse("https://db.example.com").touches(normalise("http://db.example.com"))
    assert not Pattern.parse("other.example.com").touches(vague)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "*.",
        "*.*.example.com",
        "a.*.example.com",
        "a*.example.com",
        "https://*",
        "*.127.0.0.1",
        "*.[::1]",
        "https://api.example.com/",
        "https://api.example.com/v1",
        "https://u@api.example.com",
        "10.0.0.1/8",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/８",
        "10.0/8",
        "::ffff:10.0.0.0/104",
        "fe80::1%eth0",
        "https://10.0.0.0/8",
    ],
)
def test_an_unclear_pattern_is_refused_at_load(text: str) -> None:
    with pytest.raises(Refused):
        Pattern.parse(text)


def _patterns(*texts: str) -> tuple[Pattern, ...]:
    return tuple(map(Pattern.parse, texts))


def test_nothing_declared_means_nothing_reached() -> None:
    with pytest.raises(Refused, match="not among"):
        check_destination(normalise("https://api.example.com"), allow=(), deny=())


def test_deny_beats_allow() -> None:
    allow, deny = _patterns("*.example.com"), _patterns("secret.example.com")
    check_destination(normalise("https://api.example.com"), allow=allow, deny=deny)
    with pytest.raises(Refused, match="denied"):
        check_destination(normalise("https://SECRET.example.com.:8443"), allow=allow, deny=deny)
