"""Whom a connector trusts over TLS: never more than the machine does, and nobody where it speaks plain HTTP."""

import ssl

import pytest

from actors.connectors.once import trusted_over


@pytest.mark.parametrize("scheme", ["http", "https", ""])
def test_a_stranger_is_never_trusted(scheme: str) -> None:
    context = trusted_over(scheme)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_where_plain_http_is_spoken_no_certificate_of_the_machine_is_read() -> None:
    assert trusted_over("http").cert_store_stats()["x509"] == 0
