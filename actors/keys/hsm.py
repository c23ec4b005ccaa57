"""Keys in a hardware token: Ed25519 behind the Signer port, over PKCS#11 (OASIS PKCS #11 v3.0, section 2.3).

The private key is made in the token and never leaves it. What stands in the data directory is a reference: the
purpose, the object's id, the public key. A token that is asked signs with that object, or nothing is signed: every
signature is checked under the public key before anyone sees it, and a token that is lost ends the kernel.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NoReturn, TypeVar

import attrs
import trio

from actors.keys import keyfile
from actors.process import durable
from helm.contracts.errors import Broken, Invalid
from helm.crypto.domains import KeyPurpose, check_may_sign
from helm.crypto.ed25519 import PublicKey, SignatureInvalid, Signer

T = TypeVar("T")

INSTALL: Final = "pip install 'helm-kernel[pkcs11]'"

CURVE: Final = "1.3.101.112"
"""id-Ed25519 (RFC 8410 section 3), as CKA_EC_PARAMS names the curve."""

POINT_BYTES: Final = 32
ID_BYTES: Final = 16

ATTEMPTS: Final = 2
"""A session that was lost is opened once more; a token that fails again is lost."""

OBJECT_LINE: Final = "HELM-Token-Object: "
KEY_LINE: Final = "HELM-Public-Key: "

MAX_PIN_BYTES: Final = 256


class TokenLost(Broken):
    """The token did not sign. Nothing else signs in its place."""


@attrs.frozen(kw_only=True)
class TokenPlace:
    """Which token: the vendor's module, the token's label, and the PIN that opens it."""

    module: str
    label: str
    pin: str = attrs.field(repr=False)


@attrs.define(eq=False)
class Token:
    """One token, logged in to. Sessions are not for two threads at once, so one signs at a time."""

    place: TokenPlace
    _session: Any = attrs.field(default=None, init=False, repr=False)
    _found: dict[bytes, Any] = attrs.field(factory=dict, init=False, repr=False)
    """Private keys that were looked for in this session, by id."""
    _turn: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    def generate(self, purpose: KeyPurpose) -> tuple[bytes, str]:
        """Make a key pair in the token, and return its id and public key. Raises Invalid."""
        with self._turn:
            return self._asked(lambda: self._generate(purpose), f"key for {purpose}")

    def public_key(self, object_id: bytes) -> str:
        """Return the public key of the object. Raises Invalid where there is none."""
        with self._turn:
            return self._asked(lambda: point_of(self._find(object_id, "PUBLIC_KEY")), f"object {object_id.hex()}")

    def sign(self, object_id: bytes, key: PublicKey, domain: bytes, message: bytes) -> str:
        """Return the object's signature, checked under `key`. Raises TokenLost."""
        with self._turn:
            for attempt in range(ATTEMPTS):
                try:
                    raw = self._private(object_id).sign(domain + message, mechanism=library().Mechanism.EDDSA)
                    key.verify(domain, message, bytes(raw).hex())
                except (library().PKCS11Error, RuntimeError, OSError, Invalid, SignatureInvalid) as problem:
                    self._hang_up()
                    if attempt + 1 == ATTEMPTS:
                        raise TokenLost(f"token {self.place.label} does not sign: {told(problem)}") from problem
                else:
                    return bytes(raw).hex()
        raise TokenLost(f"token {self.place.label} was not asked")

    def _generate(self, purpose: KeyPurpose) -> tuple[bytes, str]:
        pkcs11 = library()
        object_id = secrets.token_bytes(ID_BYTES)
        parameters = {pkcs11.Attribute.EC_PARAMS: pkcs11.util.ec.encode_named_curve_parameters(CURVE)}
        domain = self._opened().create_domain_parameters(pkcs11.KeyType.EC_EDWARDS, parameters, local=True)
        kept = {pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False}
        public, _ = domain.generate_keypair(
            mechanism=pkcs11.Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
            store=True,
            id=object_id,
            label=f"helm-{purpose}",
            private_template=kept,
        )
        return object_id, point_of(public)

    def _private(self, object_id: bytes) -> Any:
        if object_id not in self._found:
            self._found[object_id] = self._find(object_id, "PRIVATE_KEY")
        return self._found[object_id]

    def _find(self, object_id: bytes, kind: str) -> Any:
        pkcs11 = library()
        return self._opened().get_key(object_class=pkcs11.ObjectClass[kind], id=object_id)

    def _opened(self) -> Any:
        if self._session is None:
            lib = library().lib(self.place.module)
            token = lib.get_token(token_label=self.place.label)
            self._session = token.open(rw=True, user_pin=self.place.pin)
        return self._session

    def _hang_up(self) -> None:
        """Forget the session, and have the module look for its tokens anew."""
        session, self._session = self._session, None
        self._found.clear()
        for end in (getattr(session, "close", None), reopener(self.place.module)):
            try:
                if end is not None:
                    end()
            except (library().PKCS11Error, RuntimeError, OSError):
                continue  # it was lost already: the next attempt finds out whether it comes back

    def _asked(self, ask: Callable[[], T], where: str) -> T:
        try:
            return ask()
        except (library().PKCS11Error, RuntimeError, OSError) as problem:
            self._hang_up()
            hint = "look at pkcs11_module, pkcs11_token and the PIN; the token must be there"
            raise Invalid(f"the token says: {told(problem)}", f"token {self.place.label}: {where}", hint) from problem


@attrs.frozen(kw_only=True, eq=False)
class TokenKey:
    """A private key in a token, behind the Signer port."""

    key_id: str
    purpose: KeyPurpose
    public_key: str
    _token: Token = attrs.field(repr=False)
    _object_id: bytes = attrs.field(repr=False)
    _checked: PublicKey = attrs.field(repr=False)

    def sign(self, domain: bytes, message: bytes) -> str:
        """Return 128 hex digits over domain and message. Raises PurposeMismatch, and TokenLost. Blocks."""
        check_may_sign(self.purpose, domain)
        return self._token.sign(self._object_id, self._checked, domain, message)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a signing key does not leave the process it was opened in")


async def sign_aside(pen: Signer, sign: Callable[[], T]) -> T:
    """Return what `sign` makes with `pen`: in a thread where that is a token's key, so that the loop goes on."""
    if isinstance(pen, TokenKey):
        return await trio.to_thread.run_sync(sign, abandon_on_cancel=True)
    return sign()


def write_new(path: Path, purpose: KeyPurpose, place: TokenPlace) -> TokenKey:
    """Make a key in the token, and write the reference to it to a new file. Raises Invalid."""
    if os.path.lexists(path):
        raise Invalid("a file stands here and is not overwritten", str(path), "name another file")
    object_id, public_key = token_at(place).generate(purpose)
    lines = (f"{keyfile.PURPOSE_LINE}{purpose}", f"{OBJECT_LINE}{object_id.hex()}", f"{KEY_LINE}{public_key}", "")
    durable.replace(path, "\n".join(lines).encode())
    return read(path, purpose, place)


def read(path: Path, purpose: KeyPurpose, place: TokenPlace) -> TokenKey:
    """Return the key that a reference is to; the token must hold it under that public key. Raises Invalid."""
    object_id, public_key = reference(path, purpose)
    token = token_at(place)
    if token.public_key(object_id) != public_key:
        raise Invalid("the token holds another key under this id", str(path), "restore the reference from a copy")
    try:
        checked = PublicKey.from_hex(public_key)
    except SignatureInvalid as problem:
        raise Invalid(str(problem), str(path)) from problem
    return TokenKey(
        key_id=checked.key_id,
        purpose=purpose,
        public_key=public_key,
        token=token,
        object_id=object_id,
        checked=checked,
    )


def reference(path: Path, purpose: KeyPurpose) -> tuple[bytes, str]:
    """Return object id and public key of a reference for `purpose`. Raises Invalid."""
    text = keyfile.read_private(path).decode("ascii", "replace")
    lines = text.splitlines()
    if len(lines) != 3 or lines[0] != f"{keyfile.PURPOSE_LINE}{purpose}":
        raise Invalid(f"no reference to a token's key for {purpose}", str(path), "restore it from a copy")
    object_id, public_key = lines[1].removeprefix(OBJECT_LINE), lines[2].removeprefix(KEY_LINE)
    try:
        return bytes.fromhex(object_id), public_key
    except ValueError:
        raise Invalid("the object's id is not hexadecimal", str(path), "restore it from a copy") from None


def read_pin(path: Path) -> str:
    """Return the PIN in a file that only its owner can read. Raises Invalid, never quoting it."""
    pin = keyfile.read_private(path).decode("utf-8", "replace").strip()
    if not 0 < len(pin) <= MAX_PIN_BYTES:
        raise Invalid("no PIN stands here", str(path), "one line, the PIN of the token's user")
    return pin


@lru_cache(maxsize=8)
def token_at(place: TokenPlace) -> Token:
    """Return the token at `place`: one login for all the keys in it."""
    return Token(place)


def library() -> ModuleType:
    """Return python-pkcs11. Raises Invalid where it is not installed."""
    try:
        import pkcs11
        import pkcs11.util.ec
    except ImportError:
        raise Invalid("python-pkcs11 is not installed", "pkcs11_module", INSTALL) from None
    return pkcs11


def reopener(module: str) -> Callable[[], None]:
    """Return what makes the module look for its tokens anew."""

    def reopen() -> None:
        library().lib(module).reinitialize()

    return reopen


def point_of(public: Any) -> str:
    """Return a public object's key: CKA_EC_POINT is the point, alone or as a DER OCTET STRING (section 2.3.5)."""
    raw = bytes(public[library().Attribute.EC_POINT])
    if len(raw) == POINT_BYTES + 2 and raw[:2] == bytes((4, POINT_BYTES)):
        raw = raw[2:]
    if len(raw) != POINT_BYTES:
        raise Invalid(f"a point of {len(raw)} bytes", "token", "HELM signs with Ed25519 only")
    return raw.hex()


def told(problem: BaseException) -> str:
    """Return what went wrong, by name: the library's errors carry no words, and never a PIN."""
    return problem.what if isinstance(problem, Invalid) else type(problem).__name__
