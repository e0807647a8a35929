"""All tables of Yiqi; importing this module knows every one."""

from booking.domain.approvals import Need, StepState
from booking.domain.policy import RuleKind
from booking.domain.replanning import Cause, IfSilent, ProposalKind, ProposalState, ReplanState
from booking.domain.rounds import PinKind, RoundState, WishState
from booking.domain.working_days import DayKind
from models import guards, stamp
from models.account import Membership, MembershipRequest, Person, PersonState
from models.announcement import Announcement, AnnouncementSeen
from models.approval import (
    ApprovalStep,
    Approver,
    BookingPaper,
    Chemical,
    Delegation,
    PaperKind,
)
from models.base import Base
from models.booking import Booking, BookingItem, RequestKey, Usage
from models.calendar import CalendarLink, CalendarLinkInstrument, CalendarScope, CameFree, Privacy
from models.calendar_source import CalendarSource, CalendarSourceInstrument, ImportedEvent, OutsideEvent
from models.closure import Closure, ClosureKind
from models.dav import DavCollection, DavObject
from models.day import Appeal, Badge, Ban, CreditEntry, CreditRule, Fault, FaultState, Kiosk, KioskKind, Look
from models.delivery import Delivery, Reminder
from models.desk import Favourite, UtilisationTarget
from models.event import Event
from models.facility import Facility, OpeningRule
from models.instrument import (
    Capability,
    Category,
    Document,
    FileSort,
    Instrument,
    InstrumentFile,
    InstrumentKind,
    InstrumentPrice,
    InstrumentText,
    OperatorNeed,
    Part,
    Readership,
)
from models.invitation import (
    CalendarQuestion,
    InboundMail,
    Invitation,
    MailSecret,
    Meeting,
    QuestionKind,
    QuestionState,
)
from models.job import JobLease, JobRun
from models.network import JoinState, Network, NetworkFacility, NetworkLogo, NetworkRequest
from models.notice import HookKind, NoticeWish, QuietHours, Webhook
from models.occupation import Occupation
from models.organisation import Organisation, OrganisationKind
from models.permit import InstrumentPermit
from models.process import Changeover, Utility
from models.project import Project, ProjectMember
from models.qualification import Certificate, CertificateState, Qualification, TrainingSession
from models.replan import Proposal, Replan
from models.round import (
    Round,
    RoundPin,
    RoundShare,
    RoundStepInstrument,
    RoundWish,
    RoundWishInstrument,
    RoundWishStep,
)
from models.rule import CalendarDay, QuotaLock, Rule
from models.series import Series
from models.sign_in import OneTimeLink, Purpose, RateLimit, SignIn
from models.solver_run import RunKind, RunState, SolverRun
from models.stamp import Stamp
from models.token import ApiToken
from models.transfer import Transfer, TransferState
from models.waitlist import (
    EntryState,
    Freed,
    Hold,
    OfferState,
    WaitlistEntry,
    WaitlistInstrument,
    WaitlistOffer,
)

__all__ = [
    "Announcement",
    "AnnouncementSeen",
    "ApiToken",
    "Appeal",
    "ApprovalStep",
    "Approver",
    "Badge",
    "Ban",
    "Base",
    "Booking",
    "BookingItem",
    "BookingPaper",
    "CalendarDay",
    "CalendarLink",
    "CalendarLinkInstrument",
    "CalendarQuestion",
    "CalendarScope",
    "CalendarSource",
    "CalendarSourceInstrument",
    "CameFree",
    "Capability",
    "Category",
    "Cause",
    "Certificate",
    "CertificateState",
    "Changeover",
    "Chemical",
    "Closure",
    "ClosureKind",
    "CreditEntry",
    "CreditRule",
    "DavCollection",
    "DavObject",
    "DayKind",
    "Delegation",
    "Delivery",
    "Document",
    "EntryState",
    "Event",
    "Facility",
    "Fault",
    "FaultState",
    "Favourite",
    "FileSort",
    "Freed",
    "Hold",
    "HookKind",
    "IfSilent",
    "ImportedEvent",
    "InboundMail",
    "Instrument",
    "InstrumentFile",
    "InstrumentKind",
    "InstrumentPermit",
    "InstrumentPrice",
    "InstrumentText",
    "Invitation",
    "JobLease",
    "JobRun",
    "JoinState",
    "Kiosk",
    "KioskKind",
    "Look",
    "MailSecret",
    "Meeting",
    "Membership",
    "MembershipRequest",
    "Need",
    "Network",
    "NetworkFacility",
    "NetworkLogo",
    "NetworkRequest",
    "NoticeWish",
    "Occupation",
    "OfferState",
    "OneTimeLink",
    "OpeningRule",
    "OperatorNeed",
    "Organisation",
    "OrganisationKind",
    "OutsideEvent",
    "PaperKind",
    "Part",
    "Person",
    "PersonState",
    "PinKind",
    "Privacy",
    "Project",
    "ProjectMember",
    "Proposal",
    "ProposalKind",
    "ProposalState",
    "Purpose",
    "Qualification",
    "QuestionKind",
    "QuestionState",
    "QuietHours",
    "QuotaLock",
    "RateLimit",
    "Readership",
    "Reminder",
    "Replan",
    "ReplanState",
    "RequestKey",
    "Round",
    "RoundPin",
    "RoundShare",
    "RoundState",
    "RoundStepInstrument",
    "RoundWish",
    "RoundWishInstrument",
    "RoundWishStep",
    "Rule",
    "RuleKind",
    "RunKind",
    "RunState",
    "Series",
    "SignIn",
    "SolverRun",
    "Stamp",
    "StepState",
    "TrainingSession",
    "Transfer",
    "TransferState",
    "Usage",
    "UtilisationTarget",
    "Utility",
    "WaitlistEntry",
    "WaitlistInstrument",
    "WaitlistOffer",
    "Webhook",
    "WishState",
    "guards",
    "stamp",
]
