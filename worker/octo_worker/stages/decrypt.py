"""Opens OpenPGP messages, and checks signatures, with a key ring of the run's own.

gpg gives out plaintext before it knows that a message is whole, so what ``decrypt`` yields must not become visible
until it has ended well.

A small message goes through a gpg that stays (``openpgp.small``), whose word counts only if it says nothing but what
good messages come with. Everything else, and every large message, goes through a gpg of its own, by pipes. That one
gives the verdict; the other is merely a fast way to the same plaintext.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from octo_core.domain.failure import Category
from octo_core.domain.provider import OpenPgp
from octo_worker.credentials import Secrets
from octo_worker.failure import Failed
from octo_worker.limits import ExpansionMeter
from octo_worker.stages.openpgp import armor
from octo_worker.stages.openpgp.gpg import Gpg, gpg, start
from octo_worker.stages.openpgp.home import Home, home
from octo_worker.stages.openpgp.small import MAX_MESSAGE, SUPPORTED, SmallMessages
from octo_worker.stages.openpgp.verdict import good_beyond_doubt, judge_detached, judge_message, passphrase_fits

CHUNK = 1 << 20
MAX_SIGNATURE = 256 << 10
"""Of a detached signature; a common one has less than 1 KiB."""
_PROBE = 64 << 10
"""As much of a message as is needed to see whether a passphrase opens it."""


class KeyRing:
    """The run's keys. Thread-safe: any number of files may be opened at once."""

    def __init__(self, ring: Home, settings: OpenPgp, small: SmallMessages | None) -> None:
        self._home = ring
        self._signature_required = settings.require_signature
        self._small = small
        self._passphrase = ring.passphrases[0] if ring.passphrases else None
        # Without signers' keys there is nothing to check, and a signature by a key that is not here is no failure.
        verify = () if ring.signers.primaries else ("--skip-verify",)
        self._arguments = (*verify, "--decrypt")

    def decrypt(
        self, chunks: Iterator[bytes], meter: ExpansionMeter, *, signed_beside: bool = False
    ) -> Generator[bytes]:
        """The plaintext. Ends well only if the message is whole, was protected, is alone in its file, and is signed as
        the settings require. ``signed_beside``: the caller checks a detached signature over the file instead.

        ``chunks`` is read to its end, also when gpg gives up before; what it raises is raised as it is.
        """
        signed = self._signature_required and not signed_beside
        chunks = armor.whole(chunks)
        head = _head(chunks, MAX_MESSAGE)
        size = sum(map(len, head))
        if self._small is not None and size <= MAX_MESSAGE:
            done = self._small.open(b"".join(head))
            if done is not None and good_beyond_doubt(done[0], self._home.signers, signed=signed):
                yield from _metered(done[1], meter)
                return
        yield from self._stream(itertools.chain(head, chunks), self._pick_passphrase(head), meter, signed=signed)

    def verify_detached(self, signature: bytes, chunks: Iterator[bytes]) -> Generator[bytes]:
        """The chunks as they are; raises at their end unless the detached signature over them is good and by a signer.

        It is over the file's bytes as they are on the server, so it is checked before anything is made of them: that is
        what anyone can check who has the two files, and what gpg, sq and rnp make when told to sign a finished file. A
        signature over the plaintext belongs into the message.
        """
        if not 0 < len(signature) <= MAX_SIGNATURE:
            raise Failed(Category.INTEGRITY, "OpenPGP: the file beside it is not a detached signature")
        path = self._home.new_work_file()
        try:
            path.write_bytes(signature)
            with gpg(self._home.folder, None, "--verify", "--", str(path), "-", output=False) as child:
                yield from child.beside(chunks)
                code = child.process.wait()
        finally:
            path.unlink(missing_ok=True)
        judge_detached(code, child.status, self._home.signers)

    def _stream(
        self, chunks: Iterator[bytes], passphrase: bytes | None, meter: ExpansionMeter, *, signed: bool
    ) -> Generator[bytes]:
        with gpg(self._home.folder, passphrase, *self._arguments) as child:
            yield from child.through(chunks, meter)
            code = child.process.wait()
        judge_message(code, child.status, self._home.signers, signed=signed)

    def _pick_passphrase(self, head: list[bytes]) -> bytes | None:
        """The passphrase that opens the message. If none does, or it wants none, the first: its verdict is as good."""
        if len(self._home.passphrases) < 2:
            return self._passphrase
        start_of_message = b"".join(head)[:_PROBE]
        for passphrase in self._home.passphrases:
            with gpg(self._home.folder, passphrase, "--skip-verify", "--decrypt", output=False) as child:
                for _ in child.beside(iter((start_of_message,))):
                    pass
            fits = passphrase_fits(child.status)
            if fits is None:
                break
            if fits:
                return passphrase
        return self._passphrase


@contextmanager
def key_ring(memory_dir: Path, secrets: Secrets, settings: OpenPgp) -> Iterator[KeyRing]:
    """The key ring of a run, made from its secrets; gone afterwards, with all its processes.

    Raises ``Failed`` if a key cannot be used at all, as then no file could be opened.
    """
    with home(memory_dir, secrets, settings) as ring:
        if not SUPPORTED:
            yield KeyRing(ring, settings, None)
            return
        small = SmallMessages(ring.new_work_file, lambda: _resident(ring))
        try:
            yield KeyRing(ring, settings, small)
        finally:
            small.close()


def _resident(ring: Home) -> Gpg:
    verify = () if ring.signers.primaries else ("--skip-verify",)
    passphrase = ring.passphrases[0] if ring.passphrases else None
    # Never an agent by itself: it would take the place of the relay.
    arguments = ("--no-autostart", *verify, "--multifile", "--decrypt")
    return start(ring.relayed or ring.folder, passphrase, *arguments, output=False)


def _head(chunks: Iterator[bytes], size: int) -> list[bytes]:
    """The first chunks: all of them, or more than ``size`` bytes."""
    head: list[bytes] = []
    total = 0
    while total <= size and (chunk := next(chunks, None)) is not None:
        head.append(chunk)
        total += len(chunk)
    return head


def _metered(plaintext: bytes, meter: ExpansionMeter) -> Generator[bytes]:
    for start_at in range(0, len(plaintext), CHUNK):
        chunk = plaintext[start_at : start_at + CHUNK]
        meter.add(len(chunk))
        yield chunk
