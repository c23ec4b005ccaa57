"""What an exchange costs: a table of prices in cents per million tokens, and whole-number arithmetic (T9.2).

One token at one cent per million costs one microcent, a millionth of a cent: nothing is ever rounded.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from helm.contracts.errors import Invalid, Refused
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode

MICROCENTS: Final = 1_000_000
"""In a cent."""

MAX_CENTS: Final = 10**7
"""Dearest price of a million tokens: times the tokens of any one exchange it stays within what a record holds."""

MAX_TOKENS: Final = 2**22
"""More tokens than any one exchange has."""

MEMBERS: Final = {"input_cents", "output_cents"}
HINT: Final = '[models."NAME"] with input_cents and output_cents, whole cents per million tokens'


@attrs.frozen(kw_only=True)
class Price:
    """Of one model, in cents per million tokens."""

    input_cents: int
    output_cents: int

    def of(self, input_tokens: int, output_tokens: int) -> int:
        """Return what so many tokens cost, in microcents."""
        return input_tokens * self.input_cents + output_tokens * self.output_cents


@attrs.frozen
class Prices:
    """What every known model costs."""

    models: Mapping[str, Price] = MappingProxyType({})

    def price(self, model: str) -> Price:
        """Return a model's price. Raises Refused: what costs nobody knows how much has no room in any budget."""
        found = self.models.get(model)
        if found is None:
            raise Refused(ReasonCode.BUDGET_ERROR, "a spend ceiling is set, and the price table has no such model")
        return found


def read_prices(text: str, place: str) -> Prices:
    """Return the table of a TOML text. Raises Invalid."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise Invalid(f"not TOML: {problem}", place, HINT) from problem
    models = table.get("models")
    if table.keys() != {"models"} or type(models) is not dict or not models:
        raise Invalid("a price table is a table of models and nothing else", place, HINT)
    return Prices(MappingProxyType({name: read_price(price, f"{place}: {name}") for name, price in models.items()}))


def read_price(given: Any, place: str) -> Price:
    """Return one model's price. Raises Invalid."""
    if type(given) is not dict or given.keys() != MEMBERS:
        raise Invalid("a price has exactly input_cents and output_cents", place, HINT)
    for name, cents in given.items():
        if type(cents) is not int or not 0 <= cents <= MAX_CENTS:
            raise Invalid(f"{name} is no whole number from 0 to {MAX_CENTS}", place, HINT)
    return Price(**given)


def used(usage: JSONValue) -> tuple[int, int] | None:
    """Return the input and output tokens of a usage object, None where it does not say both."""
    if type(usage) is not dict:
        return None
    for ins, outs in (("prompt_tokens", "completion_tokens"), ("input_tokens", "output_tokens")):
        said, answered = usage.get(ins), usage.get(outs)
        if type(said) is type(answered) is int and 0 <= said <= MAX_TOKENS and 0 <= answered <= MAX_TOKENS:
            return said, answered
    return None
