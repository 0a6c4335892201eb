"""Other UIDs and patient IDs for those of DICOM files, the same wherever the secret is the same."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import platformdirs

from napari_medai.core.errors import InputError, RunError

LEAST_BYTES = 16
_DICOM_ROOT = "1.2.840.10008."


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Names made from real ones by a keyed hash: without the secret there is no way back."""

    secret: bytes = field(repr=False)

    def uid(self, uid: str, *, general: bool = False) -> str:
        """Another UID, ``2.25.`` and a number; UIDs that DICOM itself defines stay.

        With ``general``, all of DICOM's own root stay: SOP classes newer than the list known here.
        """
        from pydicom.uid import UID

        if not uid or UID(uid).type or (general and uid.startswith(_DICOM_ROOT)):
            return uid
        return f"2.25.{UUID(bytes=self._digest('uid', uid)[:16], version=4).int}"

    def patient(self, identity: str) -> str:
        """Another patient ID."""
        return f"P{self._digest('patient', identity).hex()[:12].upper()}"

    def _digest(self, kind: str, text: str) -> bytes:
        return hmac.new(self.secret, f"{kind}\0{text}".encode(), hashlib.sha256).digest()


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A file with a secret, which only its owner may read."""

    path: Path

    def read(self) -> bytes:
        """The secret.

        Raises
        ------
        InputError
            If the file cannot be read, or is too short to be a secret.
        """
        try:
            secret = self.path.read_bytes().strip()
        except OSError as error:
            raise InputError(
                f"the key {self.path} cannot be read ({error.strerror or error}); check the path"
            ) from error
        if len(secret) < LEAST_BYTES:
            raise InputError(
                f"the key {self.path} holds {len(secret)} bytes, but {LEAST_BYTES} are needed; "
                "name a file that does not exist, and a key is made there"
            )
        return secret

    def made(self) -> bytes:
        """A new secret, written to the file, which must not exist."""
        secret = secrets.token_hex(32).encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(secret + b"\n")
        except OSError as error:
            raise RunError(
                f"the key {self.path} could not be written ({error.strerror or error}); "
                "choose another file with --key"
            ) from error
        return secret

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)


def run_secret(folder: Path) -> SecretFile:
    """Where the secret of a run that writes to ``folder`` is kept until the run is complete.

    It lies with the user's own files and not in the folder, which is made to be passed on.
    """
    state = Path(platformdirs.user_state_dir("napari-medai", appauthor=False))
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:24]
    return SecretFile(state / "deidentify" / f"{name}.key")
