from apps.crm.models.account import Account
from apps.crm.models.alert import Alert
from apps.crm.models.audit import AuditPoint
from apps.crm.models.bill import Bill
from apps.crm.models.billed import Billed
from apps.crm.models.bulk import Bulk
from apps.crm.models.call import Call, CallHost
from apps.crm.models.closedmonth import ClosedMonth
from apps.crm.models.contact import Contact
from apps.crm.models.credit import Credit
from apps.crm.models.entry import Entry, Walked
from apps.crm.models.erasure import Erasure
from apps.crm.models.label import AccountLabel, Label
from apps.crm.models.note import Note
from apps.crm.models.notice import Notice
from apps.crm.models.outlink import OutLink
from apps.crm.models.outreach import Outreach
from apps.crm.models.purchase import Purchase
from apps.crm.models.risk import RiskAssessment
from apps.crm.models.scoping import ScopeDecision
from apps.crm.models.signal import Signal
from apps.crm.models.survey import Survey
from apps.crm.models.task import Task
from apps.crm.models.template import Template
from apps.crm.models.theirs import TheirStage
from apps.crm.models.transition import StageTransition
from apps.crm.models.user import User
from apps.crm.models.view import SavedView
from apps.crm.policy import Policy

__all__ = [
    "Account",
    "AccountLabel",
    "Alert",
    "AuditPoint",
    "Bill",
    "Billed",
    "Bulk",
    "Call",
    "CallHost",
    "ClosedMonth",
    "Contact",
    "Credit",
    "Entry",
    "Erasure",
    "Label",
    "Note",
    "Notice",
    "OutLink",
    "Outreach",
    "Policy",
    "Purchase",
    "RiskAssessment",
    "SavedView",
    "ScopeDecision",
    "Signal",
    "StageTransition",
    "Survey",
    "Task",
    "Template",
    "TheirStage",
    "User",
    "Walked",
]
