"""Photos and documents of instruments: listed for all who may read them, kept by managers."""

from typing import Any
from uuid import UUID

from flask import Response, request

from booking.api.base import Blueprint, problems
from booking.api.schemas.keeping import FileChangeIn, FileIn, FileOut, FilesOut
from booking.db import reading, transaction
from booking.http import downloads
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import instrument_files, instruments
from models import InstrumentFile

blp = Blueprint("api-instrument-files", __name__, description="Photos and documents of instruments.")

FILE = {
    "required": True,
    "description": "The file: a photo of at most 5 MB, a document of at most 10 MB; what it is, is found by its"
    " content. Plain text is sent as `application/octet-stream`.",
    "content": {
        media: {"schema": {"type": "string", "format": "binary"}} for media in sorted(downloads.UPLOADS)
    },
}


@blp.get("/instruments/<code:instrument_id>/files")
@needs("catalogue.read")
@blp.response(200, FilesOut)
@problems(404)
def listing(instrument_id: str) -> dict[str, Any]:
    """List photos and documents

    Those that the reader may read.
    """
    with reading() as session:
        row = instruments.by_code(session, actor=actor(), code=instrument_id)
        found = instrument_files.listing(session, actor=actor(), instrument=row)
    return {"items": found, "total": len(found)}


@blp.post("/instruments/<code:instrument_id>/files")
@needs("instrument.edit")
@blp.arguments(FileIn, location="query")
@blp.response(201, FileOut)
@blp.doc(requestBody=FILE)
@problems(404, 409)
def add(wanted: dict[str, Any], instrument_id: str) -> InstrumentFile:
    """Add a photo or a document"""
    content = request.get_data(cache=False)
    with transaction() as session:
        return instrument_files.add(
            session, actor=actor(), code=instrument_id, content=content, now=utc_now(), **wanted
        )


@blp.get("/instruments/<code:instrument_id>/files/<uuid:file_id>")
@needs("catalogue.read")
@blp.response(
    200,
    {"type": "string", "format": "binary"},
    content_type="application/octet-stream",
    description="The file as an attachment, in the type that was found by its content.",
)
@problems(404)
def one(instrument_id: str, file_id: UUID) -> Response:
    """Read a photo or a document"""
    with reading() as session:
        _row, file, content = instrument_files.read(
            session, actor=actor(), code=instrument_id, file_id=file_id
        )
    return downloads.paper(file.title_en or file.title_zh, file.media_type, content)


@blp.patch("/instruments/<code:instrument_id>/files/<uuid:file_id>")
@needs("instrument.edit")
@blp.arguments(FileChangeIn)
@blp.response(200, FileOut)
@problems(404)
def change(wanted: dict[str, Any], instrument_id: str, file_id: UUID) -> InstrumentFile:
    """Change the words of a file, or who may read it"""
    with transaction() as session:
        return instrument_files.change(
            session, actor=actor(), code=instrument_id, file_id=file_id, now=utc_now(), **wanted
        )


@blp.delete("/instruments/<code:instrument_id>/files/<uuid:file_id>")
@needs("instrument.edit")
@blp.response(204)
@problems(404)
def remove(instrument_id: str, file_id: UUID) -> Response:
    """Remove a photo or a document

    That it was there stays in the history.
    """
    with transaction() as session:
        instrument_files.remove(session, actor=actor(), code=instrument_id, file_id=file_id, now=utc_now())
    return Response(status=204)
