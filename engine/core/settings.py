"""Settings from environment variables: read and validated once."""

from __future__ import annotations

import os
import re
import shlex
from functools import lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from engine.core.parameters import ParameterError, explain

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds the packages: the checkout, or site-packages where Maskloom is installed."""
LAUNCHERS = REPOSITORY_ROOT / "engine" / "work" / "launchers"
TAG = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""That of `db.workers`, which this module cannot import."""


def default_data_root(code: Path) -> Path:
    """Return `data/` in the checkout whose packages are in `code`, or in the current folder if that is no checkout."""
    # A file that no package installs: others do put a README.md or a pyproject.toml into site-packages.
    return (code if (code / "constraints.txt").is_file() else Path.cwd()) / "data"


def sqlite_url(path: Path) -> str:
    """Return the SQLAlchemy URL of a SQLite file; its path may hold what means something in a URL, such as "?"."""
    return "sqlite:///" + quote(str(path), safe="/:\\ ")


class Settings(BaseSettings):
    """Settings of one installation. Every field is an environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    data_root: Path = Field(
        default_data_root(REPOSITORY_ROOT), description="Folder for images, masks, models and the database."
    )
    database_url: str = Field("", repr=False, description="SQLAlchemy URL; empty means SQLite in DATA_ROOT/app.db.")
    store_url: str = Field(
        "",
        repr=False,
        description="URL of an object store, such as s3://bucket/prefix; empty means the folder DATA_ROOT.",
    )
    store_cache_mb: int = Field(
        20_000, ge=100, description="Maximum size of the cache of an object store in DATA_ROOT/cache of each machine."
    )
    launcher: str = Field("local", description="How workers are started: local, command or ray.")
    launch_command: str = Field(
        "",
        description="With LAUNCHER=command: starts a worker elsewhere, such as sbatch --wrap '{worker}'; see add "
        "machines.",
    )
    launch_limit: int = Field(
        4, ge=1, le=1000, description="Workers that a launcher starts elsewhere, at most so many at once."
    )
    launch_timeout_s: float = Field(
        900.0,
        ge=1,
        le=86_400,
        description="Seconds for which a requested worker may queue; then it is given up and another is requested.",
    )
    launch_idle_s: float = Field(
        300.0, ge=1, description="Seconds without a job after which a worker that a launcher started ends."
    )
    launch_tags: str = Field(
        "", description="Tags that workers have which a launcher starts, separated by commas; jobs can ask for them."
    )
    launch_cpus: int = Field(1, ge=1, le=1024, description="With LAUNCHER=ray: cores that each worker reserves.")
    ray_address: str = Field("", description="With LAUNCHER=ray: HOST:PORT of the cluster; empty: one on this machine.")
    max_workers: int = Field(
        2,
        ge=0,
        le=64,
        description="Jobs that run at the same time on this machine; 0 leaves all to joined ones.",
    )
    heartbeat_s: float = Field(5.0, gt=0, le=30, description="Seconds between two heartbeats of a worker.")
    lost_after_s: float = Field(60.0, ge=1, description="Seconds without a heartbeat until a job counts as lost.")
    warm_worker_s: float = Field(
        300.0,
        ge=0,
        description="Seconds for which a worker keeps networks in memory for the Predict page; 0 switches this off.",
    )
    upload_limit_mb: int = Field(4096, ge=1, description="Maximum total size of one upload.")
    image_limit_megapixels: float = Field(100.0, gt=0, description="Images with more pixels are refused.")
    import_limit_files: int = Field(100_000, ge=1, description="Maximum number of files in one import.")
    free_disk_floor_mb: int = Field(500, ge=0, description="No job starts with less free disk space.")
    memory_per_job_mb: int = Field(
        0, ge=0, description="A job that uses more memory is ended, and its results so far are kept; 0 sets no limit."
    )
    log_limit_mb: int = Field(
        100, ge=1, description="Maximum size of the logs in DATA_ROOT/logs; the oldest are deleted first."
    )
    allow_remote: bool = Field(False, description="Allows other machines without a login; needs an ACCESS_TOKEN.")
    access_token: SecretStr = Field(
        SecretStr(""), description="Token that everybody enters once, if there is no login; at least 20 characters."
    )
    allowed_hosts: str = Field("", description="More host names of the app in browsers, separated by commas.")
    login_hours: float = Field(24.0, gt=0, le=720, description="Hours after which a person has to log in again.")
    new_people: Literal["none", "viewer", "editor"] = Field(
        "viewer",
        description="Role of a person who logs in for the first time; with none, an admin has to grant access.",
    )
    admin_emails: str = Field("", description="Email addresses of the admins, with commas; if empty, the first person.")

    @field_validator("data_root")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        try:
            str(value).encode()  # the database keeps it as text
            return value.expanduser().resolve()
        except UnicodeEncodeError:
            raise ValueError("its name is no UTF-8") from None
        except RuntimeError as error:  # a link to itself, or no home folder
            raise ValueError(f"it leads nowhere ({error})") from None

    @field_validator("launcher")
    @classmethod
    def _known_launcher(cls, value: str) -> str:
        known = sorted(file.stem for file in LAUNCHERS.glob("[a-z]*.py") if file.stem != "base")
        if value not in known:
            raise ValueError(f"it must be {' or '.join(map(repr, known))}")
        return value

    @field_validator("launch_command")
    @classmethod
    def _can_be_split(cls, value: str) -> str:
        try:
            shlex.split(value)
        except ValueError as error:
            raise ValueError(f"its quotes do not match ({error})") from None
        return value

    @field_validator("launch_tags")
    @classmethod
    def _valid_tags(cls, value: str) -> str:
        if not all(TAG.fullmatch(part) for part in _parts(value)):
            raise ValueError("a tag has up to 64 letters, digits, '.', '_' and '-'")
        return value

    @model_validator(mode="after")
    def _command_names_worker(self) -> Settings:
        if self.launcher == "command" and not ("{worker}" in self.launch_command or "{options}" in self.launch_command):
            raise ValueError("LAUNCHER=command needs a LAUNCH_COMMAND with {worker}, such as: sbatch --wrap '{worker}'")
        return self

    @field_validator("store_url")
    @classmethod
    def _object_store(cls, value: str) -> str:
        # No key may be in it: it is shown, logged and part of messages.
        if value and not re.fullmatch(r"(s3|gs|az)://[^/?#@:]+(/[^?#@]*)?", value):
            raise ValueError("it must be s3://, gs:// or az:// with a bucket and no key, such as s3://bucket/prefix")
        return value.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _absolute_sqlite(cls, value: str) -> str:
        # A worker starts in another folder than the app: a relative file would be two databases.
        scheme, separator, path = value.partition("sqlite:///")
        if scheme or not separator or not path or path == ":memory:" or Path(path).is_absolute():
            return value
        return separator + str(Path(path).resolve())

    @property
    def resolved_database_url(self) -> str:
        """The URL to open: DATABASE_URL, or SQLite beside the files."""
        return self.database_url or sqlite_url(self.data_root / "app.db")

    @property
    def other_hosts(self) -> frozenset[str]:
        """The names of ALLOWED_HOSTS, in lower case."""
        return _listed(self.allowed_hosts)

    @property
    def admins(self) -> frozenset[str]:
        """The addresses of ADMIN_EMAILS, in lower case."""
        return _listed(self.admin_emails)

    @property
    def tags_elsewhere(self) -> tuple[str, ...]:
        """The tags of LAUNCH_TAGS."""
        return _parts(self.launch_tags)

    def as_environment(self) -> dict[str, str]:
        """The environment in which a worker process sees these same settings, but no secret: it needs none."""
        values = {name.upper(): getattr(self, name) for name in type(self).model_fields}
        secret = {name for name, value in values.items() if isinstance(value, SecretStr)}
        return {name: str(value) for name, value in {**os.environ, **values}.items() if name.upper() not in secret}


def _listed(text: str) -> frozenset[str]:
    return frozenset(part.lower() for part in _parts(text))


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings of this process.

    Raises:
        ParameterError: an environment variable breaks its rule; the sentence names it.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise ParameterError(explain(error, Settings)) from None
