"""The administrator's page of organisations."""

import re

import pytest
from flask import Flask
from sqlalchemy import select

from booking import db
from models import Organisation
from tests.web.lab import Lab, text_of


@pytest.fixture
def lab(app: Flask) -> Lab:
    return Lab(app)


def test_an_administrator_says_where_an_organisation_is_registered(lab):
    assert lab.get("ada", "/organisations").status_code == 403
    page = lab.get("root", "/organisations").text
    assert "universities" in text_of(page)
    where = re.search(r'action="(/organisations/UNI/region)"', page)[1]
    assert lab.send("root", where, region="450000").status_code == 303
    with db.reading() as session:
        row = session.scalars(select(Organisation).where(Organisation.code == "UNI")).one()
        assert row.region_code == "450000"
    assert re.search(r'value="450000" selected', lab.get("root", "/organisations").text)
    assert lab.send("ada", where, region="").status_code == 403
