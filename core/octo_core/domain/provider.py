"""OctoProvider: where files come from, how they are opened, and where they go."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from octo_core.domain.job import RunOptions
from octo_core.domain.model import Model, Time
from octo_core.domain.schedule import Schedule, ScheduleStatus
from octo_core.domain.selection import Refetch, SelectionPolicy
from octo_core.domain.status import Condition
from octo_core.domain.text import storable

MAX_REFETCH = 64
"""Files that may wait to be fetched again: with the longest paths they still fit into a pod's annotations."""

Name = Annotated[str, Field(min_length=1, max_length=253)]
Glob = Annotated[str, Field(min_length=1, max_length=256)]
RemotePath = Annotated[str, Field(min_length=1, max_length=1024)]


class SecretRef(Model):
    """A Secret in the namespace of the provider."""

    name: Name = Field(description="Name of the Secret.")


class SecretKeyRef(Model):
    """One key of a Secret in the namespace of the provider."""

    name: Name = Field(description="Name of the Secret.")
    key: str = Field(min_length=1, max_length=253, description="Key within the Secret.")


class DispositionAction(StrEnum):
    """What is done with a source file once all of it is stored: left, moved, or deleted."""

    NONE = "None"
    MOVE = "Move"
    DELETE = "Delete"


class Disposition(Model):
    """What is done with a source file on the server, only after its objects are visible and while it is unchanged."""

    action: DispositionAction = DispositionAction.NONE
    move_to: RemotePath | None = Field(
        default=None,
        description=(
            "For Move: the folder that files go to, under their path, on the same file system. It is not listed. "
            "Nothing is replaced there: a file of the same name makes this one `<name>.1`, and so on."
        ),
    )

    @model_validator(mode="after")
    def _move_has_a_place(self) -> Disposition:
        if (self.action is DispositionAction.MOVE) != (self.move_to is not None):
            raise ValueError("source.sftp.disposition.moveTo goes with action Move, and only with it")
        return self


class SftpSource(Model):
    """An SFTP server and what to take from it."""

    host: str = Field(min_length=1, max_length=253, description="Host name or address.")
    port: int = Field(default=22, ge=1, le=65535)
    username: str = Field(min_length=1, max_length=256)
    paths: tuple[RemotePath, ...] = Field(
        default=(".",), min_length=1, max_length=64, description="Folders to list, with all below them."
    )
    include: tuple[Glob, ...] = Field(
        default=(), max_length=64, description="Globs on the path below its folder; empty takes all."
    )
    exclude: tuple[Glob, ...] = Field(default=(), max_length=64, description="Globs that win over include.")
    credentials_secret_ref: SecretRef = Field(
        description=(
            "Secret with `password` (also given to keyboard-interactive prompts), or `privateKey` and, where the key "
            "has them, `passphrase` and `certificate` (OpenSSH)."
        )
    )
    host_keys: tuple[Annotated[str, Field(min_length=1, max_length=2048)], ...] = Field(
        min_length=1,
        max_length=16,
        description=(
            "known_hosts lines of the server, or its fingerprints as `ssh-keygen -l` shows them (`SHA256:…`). "
            "Required: a key is never trusted on first use."
        ),
    )
    max_connections: int = Field(
        default=4, ge=1, le=16, description="SSH connections of one worker; more help where the way is long."
    )
    disposition: Disposition = Disposition()


class Source(Model):
    """The one place files come from."""

    sftp: SftpSource


class OpenPgpMode(StrEnum):
    """When a file is decrypted: by its ending, always, or never."""

    AUTO = "Auto"
    REQUIRED = "Required"
    NEVER = "Never"


class OpenPgpKey(Model):
    """One more private key."""

    key_secret_ref: SecretKeyRef = Field(description="The private key, armored or binary.")
    passphrase_secret_ref: SecretKeyRef | None = Field(default=None, description="Its passphrase, if it has one.")


class OpenPgp(Model):
    """How OpenPGP messages are opened."""

    mode: OpenPgpMode = Field(
        default=OpenPgpMode.AUTO,
        description="Auto decrypts .gpg, .pgp and .asc; Required refuses any other file; Never stores as is.",
    )
    key_secret_ref: SecretKeyRef | None = Field(default=None, description="The private key, armored or binary.")
    passphrase_secret_ref: SecretKeyRef | None = Field(
        default=None, description="The key's passphrase, or that of symmetric messages."
    )
    additional_keys: tuple[OpenPgpKey, ...] = Field(
        default=(), max_length=8, description="Keys that messages may also be encrypted to, such as rotated ones."
    )
    require_signature: bool = Field(
        default=False,
        description=(
            "Refuse a file without a good signature of a signer key: inside the message, or detached beside the file "
            "as `<file>.sig` or `<file>.asc`."
        ),
    )
    signer_keys_secret_ref: SecretKeyRef | None = Field(
        default=None, description="The signers' public keys, armored or binary, one after the other."
    )

    @model_validator(mode="after")
    def _signers_are_known(self) -> OpenPgp:
        if self.require_signature and self.signer_keys_secret_ref is None:
            raise ValueError("decrypt.openpgp.requireSignature needs signerKeysSecretRef")
        return self


class Decrypt(Model):
    """How files are decrypted."""

    openpgp: OpenPgp


class UnpackMode(StrEnum):
    """Whether compression and archives are undone."""

    AUTO = "Auto"
    NEVER = "Never"


class Unpack(Model):
    """How files are unpacked, and the limits against archive bombs."""

    mode: UnpackMode = Field(
        default=UnpackMode.AUTO,
        description=(
            "Auto undoes .gz, .bz2, .xz, .zst and .zip, and .tar alone or in any of the first four (.tgz, .tbz2, .txz, "
            ".tzst). An archive inside an archive is stored as it is."
        ),
    )
    max_entries: int = Field(default=10_000, ge=1, le=1_000_000, description="Members of one archive.")
    max_expanded_bytes: int = Field(
        default=1 << 40, ge=1, le=5 << 40, description="Bytes that one source file may expand to."
    )
    max_ratio: int = Field(
        default=200,
        ge=1,
        le=100_000,
        description="Expanded bytes per byte of source file, past the first 64 MiB.",
    )
    max_depth: int = Field(default=32, ge=1, le=256, description="Folders in the path of a member of an archive.")
    max_name_bytes: int = Field(default=512, ge=1, le=1024, description="Bytes in the path of a member, as UTF-8.")


class SseAlgorithm(StrEnum):
    """S3's own names."""

    AES256 = "AES256"
    KMS = "aws:kms"


class ServerSideEncryption(Model):
    """How the object store encrypts what it keeps."""

    algorithm: SseAlgorithm
    kms_key_id: str | None = Field(
        default=None, min_length=1, max_length=2048, description="For aws:kms: the key's id or ARN; else the default."
    )
    bucket_key_enabled: bool = Field(default=False, description="For aws:kms: use an S3 Bucket Key.")

    @model_validator(mode="after")
    def _key_is_for_kms(self) -> ServerSideEncryption:
        if self.algorithm is not SseAlgorithm.KMS and (self.kms_key_id or self.bucket_key_enabled):
            raise ValueError("serverSideEncryption.kmsKeyId and bucketKeyEnabled go with algorithm aws:kms")
        return self


class S3Destination(Model):
    """A bucket and a prefix in it."""

    bucket: str = Field(min_length=3, max_length=63)
    prefix: str = Field(default="", max_length=512, description="Put before every key, without a slash at either end.")
    endpoint: str | None = Field(
        default=None, max_length=2048, description="URL of an S3-compatible store; empty means AWS."
    )
    region: str = Field(default="us-east-1", min_length=1, max_length=64)
    path_style: bool = Field(default=False, description="Address the bucket in the path, not in the host name.")
    credentials_secret_ref: SecretRef | None = Field(
        default=None,
        description=(
            "Secret with `accessKeyId` and `secretAccessKey` (and `sessionToken`); without it the pod's own "
            "workload identity is used."
        ),
    )
    server_side_encryption: ServerSideEncryption | None = Field(
        default=None, description="Empty leaves it to the bucket's default."
    )

    @model_validator(mode="after")
    def _prefix_is_bare(self) -> S3Destination:
        if self.prefix.startswith("/") or self.prefix.endswith("/"):
            raise ValueError("destination.s3.prefix must not begin or end with a slash")
        return self


class Destination(Model):
    """The one place files go to."""

    s3: S3Destination


class ProviderSelection(Model):
    """Which of the listed files a run takes."""

    policy: SelectionPolicy = Field(
        default=SelectionPolicy.NEW_ONLY,
        description=(
            "NewOnly takes files that are not stored yet, ChangedOrNew also those whose size or time differ from what "
            "was stored, All takes all. Explicit takes what the OctoJob's selection.files names."
        ),
    )
    min_age_seconds: int = Field(
        default=0, ge=0, le=86_400, description="Leave files younger than this to a later run."
    )
    stability_seconds: int = Field(
        default=0,
        ge=0,
        le=300,
        description="Look at each file again this long after it was listed; one that changed is left to a later run.",
    )
    max_files: int | None = Field(
        default=None, ge=1, description="Take at most this many files in one run, the oldest first."
    )
    max_bytes: int | None = Field(
        default=None, ge=1, description="Take files up to this many bytes in one run, the oldest first, at least one."
    )


OpenObject = Annotated[
    dict[str, Any],
    AfterValidator(storable),
    Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True}),
]
"""A part of the Kubernetes pod API, passed through and checked by the API server when the pod is made."""


class Container(Model):
    """The user's own main logic: any image, under the same control as the built-in one."""

    image: str = Field(min_length=1, max_length=1024)
    command: tuple[str, ...] = Field(default=(), max_length=64)
    args: tuple[str, ...] = Field(default=(), max_length=256)
    env: tuple[OpenObject, ...] = Field(default=(), max_length=256, description="As in a pod's container.")
    env_from: tuple[OpenObject, ...] = Field(default=(), max_length=64, description="As in a pod's container.")
    volumes: tuple[OpenObject, ...] = Field(default=(), max_length=64, description="As in a pod.")
    volume_mounts: tuple[OpenObject, ...] = Field(default=(), max_length=64, description="As in a pod's container.")


class PodTemplate(Model):
    """Changes to the pod of a run."""

    image: str | None = Field(default=None, max_length=1024, description="Another worker image.")
    image_pull_secrets: tuple[SecretRef, ...] = Field(default=(), max_length=8)
    resources: OpenObject | None = Field(default=None, description="As in a pod's container.")
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: tuple[OpenObject, ...] = Field(default=(), max_length=32, description="As in a pod.")
    service_account_name: str | None = Field(default=None, max_length=253)


class OctoProviderSpec(Model):
    """What to run: the built-in main logic (source and destination), or a container of one's own."""

    source: Source | None = None
    decrypt: Decrypt | None = None
    unpack: Unpack = Unpack()
    destination: Destination | None = None
    selection: ProviderSelection = ProviderSelection()
    container: Container | None = None
    schedule: Schedule | None = Field(default=None, description="Runs by the clock.")
    refetch: tuple[Refetch, ...] = Field(
        default=(),
        max_length=MAX_REFETCH,
        description="Files that the next run fetches again although they are stored; taken out when that is done.",
    )
    job_defaults: RunOptions = Field(
        default=RunOptions(), description="Run options for jobs of this provider that do not set their own."
    )
    pod_template: PodTemplate = PodTemplate()

    @model_validator(mode="after")
    def _one_kind(self) -> OctoProviderSpec:
        if (self.source is None) == (self.container is None):
            raise ValueError("exactly one of source and container must be set")
        if (self.source is None) != (self.destination is None):
            raise ValueError("source and destination go together")
        return self


class OctoProviderStatus(Model):
    """What the controller last saw of the provider."""

    observed_generation: int | None = None
    conditions: tuple[Condition, ...] = Field(default=(), max_length=8)
    last_success_time: Time | None = None
    last_job: str | None = Field(default=None, max_length=253, description="Name of the OctoJob that ended last.")
    schedule: ScheduleStatus | None = Field(default=None, description="Of spec.schedule; none without one.")
