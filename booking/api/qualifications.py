"""Qualifications: what facilities teach and want, and who holds it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from flask import Response

from booking.api.base import Blueprint, problems
from booking.api.schemas.bookings import NothingIn
from booking.api.schemas.qualifications import (
    CertificateIn,
    CertificateOut,
    CertificatesIn,
    CertificatesOut,
    NeedIn,
    NeedOut,
    NeedsOut,
    QualificationChangeIn,
    QualificationIn,
    QualificationOut,
    QualificationsIn,
    QualificationsOut,
    SeatIn,
    TrainingIn,
    TrainingOut,
    TrainingsOut,
    Verdict,
    VerdictIn,
)
from booking.db import reading, transaction
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.http.paging import next_url
from booking.services import acting, facilities, instruments, qualifications
from booking.services.qualifications import Place, Seats
from models import Certificate, Facility, Qualification

blp = Blueprint("api-qualifications", __name__, description="What people must have learnt.")


@blp.get("/qualifications")
@needs("qualification.read")
@blp.arguments(QualificationsIn, location="query")
@blp.response(200, QualificationsOut)
@problems(404)
def listing(wanted: dict[str, Any]) -> dict[str, Any]:
    """List qualifications"""
    with reading() as session:
        place = facilities.by_code(session, code=wanted["facility"]).id if wanted["facility"] else None
        found = qualifications.listing(session, facility_id=place)
        told = _told(found, facilities.listing(session))
    return {"items": told, "total": len(told)}


@blp.post("/qualifications")
@needs("qualification.define")
@blp.arguments(QualificationIn)
@blp.response(201, QualificationOut)
@problems(404)
def define(wanted: dict[str, Any]) -> dict[str, Any]:
    """Define a qualification

    That the facility teaches and grants; for its managers.
    """
    with transaction() as session:
        place = facilities.by_code(session, code=wanted.pop("facility_id"))
        row = qualifications.define(session, actor=actor(), facility_id=place.id, **wanted, now=utc_now())
        return _told([row], [place])[0]


@blp.route("/qualifications/<code:qualification_id>", methods=["PUT"])
@needs("qualification.define")
@blp.arguments(QualificationChangeIn)
@blp.response(200, QualificationOut)
@problems(404)
def redefine(wanted: dict[str, Any], qualification_id: str) -> dict[str, Any]:
    """Change a qualification

    What was granted before keeps its end.
    """
    with transaction() as session:
        row = qualifications.redefine(session, actor=actor(), code=qualification_id, **wanted, now=utc_now())
        return _told([row], facilities.listing(session))[0]


@blp.route("/qualifications/<code:qualification_id>", methods=["DELETE"])
@needs("qualification.define")
@blp.response(204)
@problems(404)
def retire(qualification_id: str) -> Response:
    """Retire a qualification

    Nothing needs it any more; requests for it are refused.
    """
    with transaction() as session:
        qualifications.retire(session, actor=actor(), code=qualification_id, now=utc_now())
    return Response(status=204)


@blp.get("/qualifications/<code:qualification_id>/needs")
@needs("qualification.read")
@blp.response(200, NeedsOut)
@problems(404)
def needed(qualification_id: str) -> dict[str, Any]:
    """List where a qualification is needed"""
    with reading() as session:
        found = qualifications.needed_at(session, code=qualification_id, now=utc_now())
    return {"items": [_needed(place) for place in found], "total": len(found)}


@blp.post("/qualifications/<code:qualification_id>/needs")
@needs("qualification.define")
@blp.arguments(NeedIn)
@blp.response(201, NeedOut)
@problems(404)
def need(wanted: dict[str, Any], qualification_id: str) -> dict[str, Any]:
    """Want a qualification

    Of those who use one instrument, a category of the facility's, or any of them. `waived` lifts at a nearer
    place what is wanted at a wider one. It counts from today on.
    """
    who, code, now = actor(), wanted["instrument_id"], utc_now()
    with transaction() as session:
        place = instruments.by_codes(session, actor=who, codes=[code])[code] if code else None
        made = qualifications.need(
            session,
            actor=who,
            code=qualification_id,
            instrument_id=place,
            category=wanted["category"],
            mode=wanted["mode"],
            now=now,
        )
        found = qualifications.needed_at(session, code=qualification_id, now=now)
    return next(_needed(one) for one in found if one.rule_id == made)


@blp.route("/qualifications/<code:qualification_id>/needs/<int:rule_id>", methods=["DELETE"])
@needs("qualification.define")
@blp.response(204)
@problems(404)
def need_no_more(qualification_id: str, rule_id: int) -> Response:
    """Want a qualification no more"""
    with transaction() as session:
        qualifications.need_no_more(
            session, actor=actor(), code=qualification_id, rule_id=rule_id, now=utc_now()
        )
    return Response(status=204)


@blp.get("/qualifications/<code:qualification_id>/sessions")
@needs("qualification.own")
@blp.response(200, TrainingsOut)
@problems(404)
def sessions(qualification_id: str) -> dict[str, Any]:
    """List training sessions

    Those to come, with the seats that are free.
    """
    with reading() as session:
        row = qualifications.by_code(session, code=qualification_id)
        found = qualifications.sessions(session, qualification_ids=[row.id], now=utc_now())
    return {"items": [_training(one, qualification_id) for one in found], "total": len(found)}


@blp.post("/qualifications/<code:qualification_id>/sessions")
@needs("qualification.train")
@blp.arguments(TrainingIn)
@blp.response(201, TrainingOut)
@problems(404)
def plan(wanted: dict[str, Any], qualification_id: str) -> dict[str, Any]:
    """Plan a training session"""
    who = actor()
    with transaction() as session:
        made = qualifications.plan(session, actor=who, code=qualification_id, **wanted, now=utc_now())
    return _training(Seats(made, who.name, 0), qualification_id)


@blp.route("/training-sessions/<uuid:session_id>", methods=["DELETE"])
@needs("qualification.train")
@blp.response(204)
@problems(404)
def call_off(session_id: UUID) -> Response:
    """Call a training session off

    Those who meant to come wait for another.
    """
    with transaction() as session:
        qualifications.call_off(session, actor=actor(), session_id=session_id, now=utc_now())
    return Response(status=204)


@blp.get("/certificates")
@needs("qualification.own")
@blp.arguments(CertificatesIn, location="query")
@blp.response(200, CertificatesOut)
@problems(404)
def certificates(wanted: dict[str, Any]) -> dict[str, Any]:
    """List certificates

    One's own; with a facility, all of its qualifications, for its staff.
    """
    who, page, page_size = actor(), wanted["page"], wanted["page_size"]
    code, steps = wanted["qualification"], set(wanted["state"])
    with reading() as session:
        if wanted["facility"]:
            place = facilities.by_code(session, code=wanted["facility"])
            found, total = qualifications.of_facility(
                session,
                actor=who,
                facility_id=place.id,
                steps=steps,
                code=code or None,
                page=page,
                page_size=page_size,
            )
        else:
            own = [
                row
                for row in qualifications.own(session, actor=who)
                if (not code or row.qualification.code == code) and (not steps or row.state in steps)
            ]
            found, total = own[(page - 1) * page_size : page * page_size], len(own)
    return {"items": found, "total": total, "next": next_url(total, page, page_size)}


@blp.post("/certificates")
@needs("qualification.ask")
@blp.arguments(CertificateIn)
@blp.response(201, CertificateOut)
@problems(404, 409)
def ask(wanted: dict[str, Any]) -> Certificate:
    """Ask for a qualification

    With a training session one takes a seat in it. The facility's staff name a person, to whom it is granted
    at once.
    """
    who, now, code = actor(), utc_now(), wanted["qualification_id"]
    with transaction() as session:
        if wanted["person"]:
            # Asked first, so that nobody learns of whom there is an account.
            qualifications.require_staff(session, actor=who, code=code)
            return qualifications.award(
                session,
                actor=who,
                code=code,
                person_id=acting.person_called(session, wanted["person"], field="person"),
                granted_on=wanted["granted_on"],
                expires_on=wanted["expires_on"],
                note=wanted["note"],
                now=now,
            )
        return qualifications.ask(
            session, actor=who, code=code, session_id=wanted["session_id"], note=wanted["note"], now=now
        )


@blp.get("/certificates/<uuid:certificate_id>")
@needs("qualification.own")
@blp.response(200, CertificateOut)
@problems(404)
def certificate(certificate_id: UUID) -> Certificate:
    """Read a certificate"""
    with reading() as session:
        return qualifications.get(session, actor=actor(), certificate_id=certificate_id)


@blp.post("/certificates/<uuid:certificate_id>/seat")
@needs("qualification.ask")
@blp.arguments(SeatIn)
@blp.response(200, CertificateOut)
@problems(404, 409)
def seat(wanted: dict[str, Any], certificate_id: UUID) -> Certificate:
    """Take a seat in a training session

    For one's own request, and for the facility's staff.
    """
    with transaction() as session:
        return qualifications.schedule(
            session,
            actor=actor(),
            certificate_id=certificate_id,
            session_id=wanted["session_id"],
            now=utc_now(),
        )


@blp.post("/certificates/<uuid:certificate_id>/withdrawal")
@needs("qualification.ask")
@blp.arguments(NothingIn, required=False)
@blp.response(200, CertificateOut)
@problems(404, 409)
def withdraw(_nothing: dict[str, Any], certificate_id: UUID) -> Certificate:
    """Withdraw one's request"""
    with transaction() as session:
        return qualifications.withdraw(session, actor=actor(), certificate_id=certificate_id, now=utc_now())


@blp.post("/certificates/<uuid:certificate_id>/decision")
@needs("qualification.train")
@blp.arguments(VerdictIn)
@blp.response(200, CertificateOut)
@problems(404, 409)
def decide(wanted: dict[str, Any], certificate_id: UUID) -> Certificate:
    """Grant, refuse or revoke

    Staff grant and refuse; to revoke is for the facility's managers.
    """
    same: dict[str, Any] = {"actor": actor(), "certificate_id": certificate_id, "now": utc_now()}
    with transaction() as session:
        match wanted["decision"]:
            case Verdict.GRANT:
                return qualifications.grant(
                    session,
                    granted_on=wanted["granted_on"],
                    expires_on=wanted["expires_on"],
                    note=wanted["reason"],
                    **same,
                )
            case Verdict.REFUSE:
                return qualifications.refuse(session, reason=wanted["reason"], **same)
            case _:
                return qualifications.revoke(
                    session, reason=wanted["reason"], expires_on=wanted["expires_on"], **same
                )


def _told(rows: Iterable[Qualification], places: Sequence[Facility]) -> list[dict[str, Any]]:
    codes: Mapping[int, str] = {place.id: place.code for place in places}
    return [
        {
            "code": row.code,
            "facility_id": codes[row.facility_id],
            "name_zh": row.name_zh,
            "name_en": row.name_en,
            "about_zh": row.about_zh,
            "about_en": row.about_en,
            "months": row.months,
        }
        for row in rows
    ]


def _needed(place: Place) -> dict[str, Any]:
    return {
        "id": place.rule_id,
        "instrument_id": place.instrument.code if place.instrument else None,
        "category": place.category,
        "mode": place.mode,
        "since": place.since,
    }


def _training(found: Seats, code: str) -> dict[str, Any]:
    row = found.row
    return {
        "id": row.id,
        "qualification_id": code,
        "start": row.starts_at,
        "end": row.ends_at,
        "place": row.place,
        "trainer": found.trainer,
        "seats": row.seats,
        "free": found.free,
    }
