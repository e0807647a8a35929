"""The yardstick: a bare Flask view with one INSERT … ON CONFLICT DO NOTHING, and no more.

On PostgreSQL the table has the exclusion constraint that refuses overlaps; on SQLite a unique start.
"""

import os
from datetime import datetime

from flask import Flask, jsonify, request
from sqlalchemy import text

from booking.db import make_engine

app = Flask(__name__)
engine = make_engine(os.environ["YIQI_DATABASE_URL"])
WRITE = engine.execution_options(write=True)
INSERT = text(
    "INSERT INTO thin (instrument, starts_at, ends_at) VALUES (:instrument, :start, :end) ON CONFLICT DO NOTHING"
)


@app.get("/healthz")
def healthz():
    """Answer that it runs."""
    return "ok"


@app.post("/api/v1/bookings")
def insert():
    """Insert one row."""
    body = request.get_json()
    values = {
        "instrument": body["instrument_id"],
        "start": datetime.fromisoformat(body["start"]),
        "end": datetime.fromisoformat(body["end"]),
    }
    if engine.dialect.name == "sqlite":
        values |= {"start": body["start"], "end": body["end"]}
    with WRITE.begin() as connection:
        done = connection.execute(INSERT, values).rowcount
    return jsonify({"done": done}), 201 if done else 409


@app.get("/api/v1/read")
def read():
    """Read the rows of one instrument in a window, as JSON."""
    query = text(
        "SELECT starts_at, ends_at FROM thin WHERE instrument = :i AND starts_at >= :a AND starts_at < :b"
    )
    start, end = request.args["from"], request.args["to"]
    values = {"i": request.args["instrument"], "a": start, "b": end}
    if engine.dialect.name == "postgresql":
        values |= {"a": datetime.fromisoformat(start), "b": datetime.fromisoformat(end)}
    with engine.connect() as connection:
        rows = connection.execute(query, values).all()
    return jsonify([{"start": str(a), "end": str(b)} for a, b in rows])
