"""Receives uploads: the files of a form are hashed while they are written to a temporary folder."""

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from python_multipart.multipart import MultipartParser, parse_options_header

from morula.common.disk_space import telling_full
from morula.common.errors import Busy, InvalidArgument, StorageFull, TooLarge

FILE_COUNT_LIMIT = 4096
FIELD_COUNT_LIMIT = 16
FIELD_BYTES_LIMIT = 4096
NAME_LIMIT = 255
SPARE_BYTES = 256 * 1024**2
CHECK_BYTES = 64 * 1024**2
BUSY_S = 10.0
REMEDY = "free some there, or set MORULA_SCRATCH to another folder"


@dataclass
class IncomingFile:
    """One file of a slide: a temporary file of an upload, or one named by reference with its state when hashed."""

    name: str
    path: Path
    sha256: str = ""
    size_bytes: int = 0
    state: tuple[int, ...] = ()


@dataclass
class Upload:
    """A form as it was received."""

    folder: Path
    parts: list[IncomingFile] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)


class _Form:
    """Receives what the parser finds: fields to memory, files to disk, both bounded."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self._headers: dict[bytes, bytes] = {}
        self._header_name = b""
        self._header_value = b""
        self._sink: BinaryIO | None = None
        self._hash = hashlib.sha256()
        self._field = ""
        self._value = b""

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._headers.clear,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
        }

    def close(self) -> None:
        if self._sink is not None:
            self._sink.close()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        filename = options.get(b"filename")
        if filename is None:
            self._begin_field(name)
        elif name != "file":
            raise InvalidArgument(f"The form has a file under the name {name!r}; slides go under 'file'.")
        else:
            self._begin_file(safe_name(filename.decode("utf-8", "replace")))

    def _begin_field(self, name: str) -> None:
        if len(self._upload.fields) >= FIELD_COUNT_LIMIT:
            raise TooLarge(f"The form has more than {FIELD_COUNT_LIMIT} fields.")
        self._field, self._value = name, b""

    def _begin_file(self, name: str) -> None:
        parts = self._upload.parts
        if len(parts) >= FILE_COUNT_LIMIT:
            raise TooLarge(f"The slide has more than {FILE_COUNT_LIMIT} files.")
        path = self._upload.folder / str(len(parts))
        parts.append(IncomingFile(name, path))
        self._hash = hashlib.sha256()
        self._sink = path.open("xb")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        chunk = data[start:end]
        if self._sink is not None:
            self._sink.write(chunk)
            self._hash.update(chunk)
            self._upload.parts[-1].size_bytes += len(chunk)
            return
        self._value += chunk
        if len(self._value) > FIELD_BYTES_LIMIT:
            raise TooLarge(f"The field {self._field!r} is longer than {FIELD_BYTES_LIMIT} bytes.")

    def _on_part_end(self) -> None:
        if self._sink is not None:
            self._sink.close()
            self._sink = None
            self._upload.parts[-1].sha256 = self._hash.hexdigest()
        else:
            self._upload.fields[self._field] = self._value.decode("utf-8", "replace")


class Uploads:
    """Receives forms. Disk space is reserved for an upload of known length before it is read, or the upload is refused;
    so none that was admitted fails because another came later."""

    def __init__(self, scratch: Path | None, *, store_is_local: bool) -> None:
        self._scratch = scratch or Path(tempfile.gettempdir())
        # While an upload is copied to a store on the same disk, its bytes lie there twice.
        self._copy_count = 2 if store_is_local else 1
        self._promised: dict[Path, int] = {}
        """Bytes that are still to be written, by the folder of the upload."""

    async def receive(self, chunks: AsyncIterator[bytes], content_type: str, length: int) -> Upload:
        """Read a form as it comes in. `length` is its size in bytes; if it is 0, the size is not known and the form may
        fill the free disk space. The caller has to discard the upload."""
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or b"boundary" not in options:
            raise InvalidArgument("Send the slide as multipart/form-data under 'file', or name it by reference.")
        with telling_full(self._scratch, "take the upload in", REMEDY):
            self._check_space(self._copy_count * length)
            upload = Upload(Path(tempfile.mkdtemp(prefix="morula-upload-", dir=self._scratch)))
        self._promised[upload.folder] = self._copy_count * length
        form = _Form(upload)
        try:
            with telling_full(self._scratch, "take the upload in", REMEDY):
                await self._fill(upload, MultipartParser(options[b"boundary"], form.callbacks()), chunks, length)  # type: ignore[arg-type]
            _check(upload)
        except BaseException as error:
            form.close()
            self.discard(upload)
            if isinstance(error, ValueError):
                raise InvalidArgument(f"The form cannot be read: {error}") from error
            raise
        return upload

    def write(self, name: str, content: bytes) -> Upload:
        """A form of one file with this content, as if somebody had sent it. The caller has to discard it."""
        with telling_full(self._scratch, "write the file", REMEDY):
            self._check_space(self._copy_count * len(content))
            upload = Upload(Path(tempfile.mkdtemp(prefix="morula-upload-", dir=self._scratch)))
            path = upload.folder / "0"
            try:
                path.write_bytes(content)
            except BaseException:
                self.discard(upload)
                raise
        upload.parts.append(IncomingFile(name, path, hashlib.sha256(content).hexdigest(), len(content)))
        return upload

    def discard(self, upload: Upload) -> None:
        """Delete the temporary files."""
        shutil.rmtree(upload.folder, ignore_errors=True)
        self._promised.pop(upload.folder, None)

    async def _fill(self, upload: Upload, parser: MultipartParser, chunks: AsyncIterator[bytes], length: int) -> None:
        taken = checked = 0
        async for chunk in chunks:
            # On a thread, because a disk may be slow and other requests must not wait for it.
            await asyncio.to_thread(parser.write, chunk)
            taken += len(chunk)
            self._promised[upload.folder] = self._copy_count * max(length, taken) - taken
            if taken > length and taken - checked >= CHECK_BYTES:
                checked = taken
                self._check_space(self._promised[upload.folder], upload.folder)
        parser.finalize()

    def _check_space(self, wanted: int, folder: Path | None = None) -> None:
        """Raise StorageFull if the disk has too little space, Busy if it has too little beside other uploads."""
        free = shutil.disk_usage(self._scratch).free - SPARE_BYTES
        if free < wanted:
            raise StorageFull(f"There is not enough disk space for this slide in {self._scratch}; {REMEDY}.")
        if free < wanted + sum(left for other, left in self._promised.items() if other != folder):
            raise Busy("Other uploads need the free disk space; try again soon.", retry_after_s=BUSY_S)


def _check(upload: Upload) -> None:
    if not upload.parts:
        raise InvalidArgument("The form has no file under 'file'.")
    if any(not part.sha256 for part in upload.parts):
        raise InvalidArgument("The form ends in the middle of a file.")


def safe_name(name: str) -> str:
    """A file's name or relative path inside the slide, if it stays inside."""
    parts = name.replace("\\", "/").split("/")
    if len(name) > NAME_LIMIT or any(part in ("", ".", "..") or part.startswith(".") for part in parts):
        raise InvalidArgument(f"{name[:80]!r} is not a valid name for a slide's file.")
    if any(ord(letter) < 32 or letter == "\x7f" for letter in name):
        raise InvalidArgument("A file's name has characters that cannot be shown.")
    return "/".join(parts)
