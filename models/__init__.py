"""All tables of Yiqi; importing this module knows every one."""

from models import guards
from models.account import Membership, MembershipRequest, Person, PersonState
from models.base import Base
from models.booking import Booking, BookingItem, RequestKey, Usage
from models.calendar import CalendarLink, CalendarScope, Privacy
from models.closure import Closure, ClosureKind
from models.delivery import Channel, Delivery, Reminder
from models.event import Event
from models.facility import Facility, OpeningRule
from models.instrument import (
    Capability,
    Category,
    Document,
    Instrument,
    InstrumentKind,
    InstrumentPrice,
    InstrumentText,
    OperatorNeed,
    Part,
)
from models.job import JobLease, JobRun
from models.network import Network, NetworkFacility
from models.occupation import Occupation
from models.organisation import Organisation, OrganisationKind
from models.project import Project, ProjectMember
from models.sign_in import OneTimeLink, Purpose, RateLimit, SignIn
from models.token import ApiToken

__all__ = [
    "ApiToken",
    "Base",
    "Booking",
    "BookingItem",
    "CalendarLink",
    "CalendarScope",
    "Capability",
    "Category",
    "Channel",
    "Closure",
    "ClosureKind",
    "Delivery",
    "Document",
    "Event",
    "Facility",
    "Instrument",
    "InstrumentKind",
    "InstrumentPrice",
    "InstrumentText",
    "JobLease",
    "JobRun",
    "Membership",
    "MembershipRequest",
    "Network",
    "NetworkFacility",
    "Occupation",
    "OneTimeLink",
    "OpeningRule",
    "OperatorNeed",
    "Organisation",
    "OrganisationKind",
    "Part",
    "Person",
    "PersonState",
    "Privacy",
    "Project",
    "ProjectMember",
    "Purpose",
    "RateLimit",
    "Reminder",
    "RequestKey",
    "SignIn",
    "Usage",
    "guards",
]
