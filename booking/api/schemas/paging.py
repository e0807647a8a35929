"""Pages of lists."""

from marshmallow import fields

from booking.api.schemas.fields import In, Out, Whole

MOST_PAGES = 10_000
MOST_ON_PAGE = 100


class PageIn(In):
    """Which page of a list."""

    page = Whole(least=1, most=MOST_PAGES, in_query=True, load_default=1)
    page_size = Whole(least=1, most=MOST_ON_PAGE, in_query=True, load_default=50)


class PageOut(Out):
    """A page of a list; a child names the type of its items."""

    total = fields.Integer(required=True, metadata={"description": "How many there are on all pages."})
    next = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The address of the next page, null on the last."},
    )
