"""Settings: the later source wins, nothing is guessed, and no port is opened to others by accident."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

import attrs
import pytest

from helm.config import EVERY_SETTING, Config, misspelt, read_config
from helm.contracts.errors import Invalid

ADMIN_KEY = "0123456789abcdef0123456789abcdef"


def test_flags_outweigh_the_environment_and_that_the_file() -> None:
    toml = "port = 1\nplaces = 100\nplaces_per_principal = 10"
    config = read_config(toml, environment={"HELM_PORT": "2", "HELM_PLACES": "200"}, flags={"port": 3})
    assert (config.port, config.places, config.places_per_principal) == (3, 200, 10)


def test_what_was_not_given_takes_nothing_away() -> None:
    config = read_config("port = 1", environment={"HELM_PORT": ""}, flags={"port": None})
    assert config.port == 1
    assert read_config() == Config()


@pytest.mark.parametrize(
    ("toml", "place"),
    [
        ("# The gateway\nprot = 1", "helm.toml:2"),
        ("places = 9\n[server]\nport = 1", "helm.toml:2"),
        ("places = 9\n[[server]]\nport = 1", "helm.toml:2"),
        ("places = 9\nserver.port = 1", "helm.toml:2"),
        ("places = 9\n'prot' = 1", "helm.toml:2"),
        ("places = 9\nport = '1'", "helm.toml:2: port"),
        ("port = true", "helm.toml:1: port"),
        ("port = 1.0", "helm.toml:1: port"),
        ("insecure_bind = 1", "helm.toml:1: insecure_bind"),
        ("bind = 7", "helm.toml:1: bind"),
        ("port = 1\nport = 2", "helm.toml:2"),
        ("port =\n", "helm.toml:1:7"),
        ("data_dir = '/elsewhere'", "helm.toml:1"),
        (f"admin_api_key = '{ADMIN_KEY}'", "helm.toml:1"),
        (r'"po\u0072ts" = 1', "helm.toml"),
    ],
)
def test_a_file_that_says_something_else_is_refused_with_its_place(toml: str, place: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_config(toml)
    assert refused.value.where == place
    assert ADMIN_KEY not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("HELM_PORT", "tcp://10.0.0.1:8420"),
        ("HELM_PORT", "8420.0"),
        ("HELM_GRACE_S", "soon"),
        ("HELM_INSECURE_BIND", "maybe"),
    ],
)
def test_an_environment_that_spells_nothing_is_refused(variable: str, text: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_config(environment={variable: text})
    assert refused.value.where == variable


@pytest.mark.parametrize(
    ("toml", "what", "hint"),
    [
        ("prot = 8421", "no setting is called 'prot'", "did you mean port?"),
        ("tropical = 1", "no setting is called 'tropical'", EVERY_SETTING),
        ('port = "8421"', "expected a whole number, not a text", "write it in digits, without quotation marks"),
        ('grace_s = "5"', "expected a number, not a text", "write it in digits, without quotation marks"),
        ('log_calls = "true"', "expected true or false, not a text", "write true or false, without quotation marks"),
        ("bind = 7", "expected a text, not a whole number", "write it in quotation marks"),
        ("port = []", "expected a whole number, not a list", ""),
        ("port = 2026-01-01", "expected a whole number, not a date", ""),
    ],
)
def test_a_mistake_in_the_file_is_told_in_words_with_what_was_meant(toml: str, what: str, hint: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_config(toml)
    assert (refused.value.what, refused.value.hint) == (what, hint)


def test_a_variable_that_spells_no_number_is_told_what_one_is() -> None:
    with pytest.raises(Invalid) as refused:
        read_config(environment={"HELM_PORT": "abc"})
    assert str(refused.value) == "HELM_PORT: expected a whole number, not 'abc'"


def test_a_variable_that_looks_like_a_setting_is_told_of_and_another_program_s_is_not() -> None:
    environment = {"HELM_PROT": "1", "HELM_ISLAND_MOD": "true", "HELM_PORT": "1", "PROT": "1"}
    assert list(misspelt(environment)) == [("HELM_ISLAND_MOD", "HELM_ISLAND_MODE"), ("HELM_PROT", "HELM_PORT")]
    assert list(misspelt(dict.fromkeys(OTHERS_VARIABLES.split() + OWN_VARIABLES.split(), "x"))) == []


OTHERS_VARIABLES = """
HELM_BIN HELM_BURST_LIMIT HELM_CACHE_HOME HELM_CONFIG_HOME HELM_CONTENT_CACHE HELM_DATA_HOME HELM_DEBUG HELM_DRIVER
HELM_DRIVER_SQL_CONNECTION_STRING HELM_KUBEAPISERVER HELM_KUBEASGROUPS HELM_KUBEASUSER HELM_KUBECAFILE HELM_KUBECONTEXT
HELM_KUBEINSECURE_SKIP_TLS_VERIFY HELM_KUBETLS_SERVER_NAME HELM_KUBETOKEN HELM_MAX_HISTORY HELM_NAMESPACE
HELM_NO_PLUGINS HELM_PLUGINS HELM_PLUGIN_DIR HELM_PLUGIN_NAME HELM_QPS HELM_REGISTRY_CONFIG HELM_REPOSITORY_CACHE
HELM_REPOSITORY_CONFIG HELM_COLOR HELM_SERVICE_HOST HELM_SERVICE_PORT HELM_PORT_8420_TCP HELM_PORT_8420_TCP_ADDR
HELM_PORT_8420_TCP_PORT HELM_PORT_8420_TCP_PROTO
"""
"""Those of the package manager of Kubernetes and its plugins, and those that Kubernetes makes of a service `helm`."""

OWN_VARIABLES = """
HELM_API_KEY HELM_ADMIN_KEY HELM_METRICS_KEY HELM_CLIENT_CERT HELM_CLIENT_KEY HELM_PROGRAM HELM_COUNTERPARTS
HELM_DATA_DIR
"""
"""Those of ours that are no settings, and one that is."""


def test_other_programs_may_use_the_same_prefix() -> None:
    assert read_config(environment={"HELM_CACHE_HOME": "/c", "PATH": "/bin"}) == Config()


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("TRUE", True), ("false", False), ("0", False)]
)
def test_the_environment_spells_yes_and_no(text: str, value: bool) -> None:
    assert read_config(environment={"HELM_INSECURE_BIND": text}).insecure_bind is value


def test_flags_may_come_as_text() -> None:
    config = read_config(flags={"port": "0", "grace_s": 2, "insecure_bind": True})
    assert (config.port, config.grace_s, config.insecure_bind) == (0, 2.0, True)


def test_a_flag_nobody_knows_is_refused() -> None:
    with pytest.raises(Invalid, match="--colour-me"):
        read_config(flags={"colour_me": None})


def test_a_secret_never_stands_on_a_command_line() -> None:
    with pytest.raises(Invalid, match="command line"):
        read_config(flags={"admin_api_key": ADMIN_KEY})


@pytest.mark.parametrize(
    "flags",
    [
        {"port": -1},
        {"port": 65_536},
        {"places": 0},
        {"places": 100_000},
        {"places": 10, "places_per_principal": 11},
        {"grace_s": -0.1},
        {"grace_s": float("nan")},
        {"grace_s": float("inf")},
        {"max_body_bytes": 0},
        {"max_body_bytes": 2**40},
        {"session_max_age_s": 0},
        {"free_space_reserve_bytes": -1},
        {"tls_cert": "cert.pem"},
        {"tls_key": "key.pem"},
    ],
)
def test_a_setting_beyond_its_bounds_is_refused(flags: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        read_config(flags=flags)


@pytest.mark.parametrize("key", ["short", "x" * 31, "x" * 31 + " ", "x" * 31 + "\n", "ü" * 32])
def test_an_admin_key_that_is_guessed_or_not_sent_is_refused(key: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_config(environment={"HELM_ADMIN_API_KEY": key})
    assert key not in str(refused.value)


def test_the_admin_key_is_never_shown_or_hashed() -> None:
    config = read_config(environment={"HELM_ADMIN_API_KEY": ADMIN_KEY})
    assert config.admin_api_key == ADMIN_KEY
    assert ADMIN_KEY not in repr(config)
    assert config.hash == Config().hash
    assert config.hash != Config(port=1).hash


@pytest.mark.parametrize("bind", ["127.0.0.1", "127.0.0.2", "::1"])
def test_loopback_needs_no_more(bind: str) -> None:
    Config(bind=bind).check_exposure()


@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "10.0.0.1", "192.0.2.1", "8.8.8.8", "localhost", "host", ""])
def test_no_other_address_is_served_without_tls_and_an_admin_key(bind: str) -> None:
    tls: dict[str, Any] = {"tls_cert": "cert.pem", "tls_key": "key.pem"}
    settings: dict[str, Any]
    for settings in ({}, {"insecure_bind": True}, tls, {"admin_api_key": ADMIN_KEY}):
        with pytest.raises(Invalid):
            Config(bind=bind, **settings).check_exposure()
    with pytest.raises(Invalid):
        Config(bind=bind).check_exposure(admin_key_issued=True)
    Config(bind=bind, insecure_bind=True, admin_api_key=ADMIN_KEY).check_exposure()
    Config(bind=bind, **tls).check_exposure(admin_key_issued=True)


def test_the_starter_file_names_every_setting_with_its_default() -> None:
    text = files("actors").joinpath("cli", "starter_helm.toml").read_text(encoding="utf-8")
    assert read_config(text) == Config()
    spoken = "\n".join(line.removeprefix("#") for line in text.splitlines() if not line.startswith("# "))
    assert read_config(spoken) == Config()
    assert tomllib.loads(spoken).keys() == {
        field.name for field in attrs.fields(Config) if field.name not in {"data_dir", "admin_api_key", "pkcs11_pin"}
    }


def test_a_pin_is_no_part_of_what_is_told() -> None:
    token = {"HELM_PKCS11_MODULE": "m.so", "HELM_PKCS11_TOKEN": "t"}
    one = read_config(environment={**token, "HELM_PKCS11_PIN": "913748"})
    assert one.pkcs11_pin == "913748"
    assert "913748" not in repr(one)
    assert one.hash == read_config(environment=token).hash
    places: list[dict[str, Any]] = [{"toml": "pkcs11_pin = '913748'"}, {"flags": {"pkcs11_pin": "913748"}}]
    for place in places:
        with pytest.raises(Invalid) as refused:
            read_config(**place)
        assert "913748" not in str(refused.value)
    with pytest.raises(Invalid, match="go together"):
        read_config("pkcs11_module = 'm.so'")
