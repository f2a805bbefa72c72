"""What an import reads from a file, and the files, lines and columns it refuses in words."""

import csv
import io
from decimal import Decimal

import pytest

from apps.crm.models import Account, AccountLabel, Contact
from apps.intake import files
from apps.intake.columns import COLUMNS, mapping_refusal, suggested
from apps.intake.files import Table, Unusable
from tests.factories import account
from tests.importing import SAMPLE, XLSX, counts, everything, told, took

# Files that cannot be read as a whole


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("file", "words", "line"),
    [
        (b"", "is empty", 0),
        (b"\xef\xbb\xbf\r\n", "is empty", 0),
        (b"external_id,name\n", "a header and no rows", 0),
        (b"external_id,name\n\n,\n", "a header and no rows", 0),
        (b"external_id,name,NAME \n1,2,3\n", "stands in the header twice", 1),
        ("external_id,name\n1,A\n".encode("utf-16"), "UTF-16", 0),
        ("external_id,name\n1,A\n".encode("utf-16-le"), "UTF-16", 0),
        (b"external_id,name\n1,\xff\xfe\n", "not UTF-8", 2),
        (b"external_id,name\n" + b"1,A\n" * 9000 + b"1,a\xed\xa0\x80b\n", "not UTF-8", 9002),
        (XLSX, ".xlsx", 0),
        (b'external_id,name\n1,"A\n2,B\n', "never closed", 3),
        (b'external_id,name\n1,"A" x\n', "middle of a cell", 2),
        (b"external_id,name\n1," + b"x" * 140_000 + b"\n", "131,072", 2),
        (b'external_id,name\n1,"' + b"A\n" * 90_000, "131,072", None),
        (b"external_id,name\x00\n1,A\n", "NUL", 1),
        (b"name\nA\n", "No column is imported as “External id”", 0),
        (
            b"external_id," + b",".join(b"c%d" % n for n in range(200)) + b"\n1" + b"," * 200,
            "more than 200",
            1,
        ),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "",
)
def test_a_file_that_is_no_table_is_refused_whole(file, words, line):
    before = everything()
    with pytest.raises(Unusable) as refused:
        took(file)
    assert words in refused.value.sentence
    assert line in (None, refused.value.line)
    assert everything() == before


@pytest.mark.django_db
def test_50_001_rows_are_too_many_and_50_000_are_read(monkeypatch):
    rows = [f"a-{n},A" for n in range(50_001)]
    with pytest.raises(Unusable, match="more than 50,000 rows"):
        Table(told(*rows)).count()
    assert Table(told(*rows[:-1])).count() == 50_000
    monkeypatch.setattr(files, "MOST_ROWS", 3)
    with pytest.raises(Unusable):
        took(told(*rows[:4]))
    assert Account.objects.count() == 0
    assert counts(took(told(*rows[:3]))) == (3, 0, 0, 0)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "file",
    [
        b"\xef\xbb\xbfexternal_id,name\r\na-1,One\r\na-2,\"Two, or\r\ntwo\"\r\n",
        b"external_id;name\na-1;One\na-2;\"Two, or\r\ntwo\"",
        b"external_id\tname\na-1\tOne\na-2\t\"Two, or\r\ntwo\"\n\n",
        b"external_id,name\ra-1,One\ra-2,\"Two, or\r\ntwo\"\r",
        b" External ID , Account Name \na-1,One\n,\na-2,\"Two, or\r\ntwo\"\n",
    ],
    ids=["BOM and CRLF", "semicolon", "tab", "CR", "blank lines"],
)  # fmt: skip
def test_every_common_writing_of_a_table_is_read(file):
    assert counts(took(file)) == (2, 0, 0, 0)
    assert [*Account.objects.order_by("external_id").values_list("external_id", "name")] == [
        ("a-1", "One"), ("a-2", "Two, or\r\ntwo"),
    ]  # fmt: skip


# Lines that cannot be read


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("header", "cell", "words"),
    [
        ("next_renewal_on", "2026-02-30", "is not a day of the calendar"),
        ("next_renewal_on", "31/12/26", "is not a date like"),
        ("next_renewal_on", "=TODAY()", "is not a date like"),
        ("next_renewal_on", "1999-12-31", "is not between the years"),
        ("mrr", '"1,234.50"', "is not a plain number"),
        ("mrr", "NaN", "is not a plain number"),
        ("mrr", "\uff11\uff12", "is not a plain number"),
        ("mrr", "=1+1", "is not a plain number"),
        ("stage", "8. Something Else", "is no stage"),
        ("stage_since", "2026-02-30", "is not a day of the calendar"),
        ("plan", "Gold", "is not a plan we know"),
        ("payment_risk", "Huge", "is not a payment risk"),
        ("contacts", "nobody", "has an entry without an e-mail"),
        ("ae", "a@b", "is not an e-mail address"),
        ("sales_contact", "CEO: Ann", "needs a kind"),
        ("labels", "x" * 81, "is longer than 80"),
        ("domain", "a\x00b", "holds a NUL character"),
        ("mrr", "1,2", "has 4 cells where the header has 3"),
    ],
)
def test_one_bad_cell_keeps_the_whole_file_out_and_is_named(header, cell, words):
    account(external_id="here", name="Here")
    before = everything()
    outcome = took(told("a-1,One,", f"a-2,Two,{cell}", "here,Changed,", header=f"external_id,name,{header}"))
    assert counts(outcome) == (1, 1, 0, 1)
    assert [(error.row, error.field) for error in outcome.errors] in (
        [(3, header)], [(3, "")],
    )  # fmt: skip
    assert words in outcome.errors[0].sentence
    assert everything() == before


@pytest.mark.django_db
def test_ids_used_twice_and_customers_of_others_are_named_by_line():
    account(external_id="here", stripe_customer_id="cus_1")
    before = everything()
    outcome = took(
        told("a-1,One,", "a-1,One,", "a-2,,", "a-3,C,cus_1", "a-4,D,", header="External ID,name,Stripe ID")
    )
    assert [(error.row, error.field, error.value) for error in outcome.errors] == [
        (3, "External ID", "a-1"), (4, "name", ""), (5, "Stripe ID", "cus_1"),
    ]  # fmt: skip
    assert counts(outcome) == (2, 0, 0, 3)
    assert everything() == before


@pytest.mark.django_db
def test_text_is_kept_as_typed_and_empty_cells_change_nothing():
    odd = '=HYPERLINK("http://x","y") \u202e<script>'
    buffer = io.StringIO()
    csv.writer(buffer).writerows([["external_id", "name", "mrr", "Mood"], ["a-1", odd, "1", "sunny"]])
    assert counts(took(buffer.getvalue().encode())) == (1, 0, 0, 0)
    assert Account.objects.get().name == odd
    assert counts(took(told("a-1,,", header="external_id,name,mrr"))) == (0, 0, 1, 0)
    assert Account.objects.get().mrr == Decimal("1.00")


@pytest.mark.django_db
def test_contacts_labels_and_people_at_sales_are_read_from_cells():
    took(told('a-1,One,"Kim <KIM@x.example>; lee@x.example",Hype; VIP,AE: Ann <ann@onramp.example>',
              header="external_id,name,contacts,labels,sales_contact"))  # fmt: skip
    took(told("a-2,Two,Bob,", "a-3,Three,,bea@onramp.example", "a-4,Four,Bob,bea@onramp.example",
              header="external_id,name,CSM,Account Executive"))  # fmt: skip
    assert [*Contact.objects.values_list("email", "name")] == [
        ("kim@x.example", "Kim"),
        ("lee@x.example", ""),
    ]
    assert {*AccountLabel.objects.values_list("label__name", flat=True)} == {"Hype", "VIP"}
    sales = ("sales_contact_kind", "sales_contact_name", "sales_contact_email")
    assert [*Account.objects.order_by("external_id").values_list(*sales)] == [
        ("AE", "Ann", "ann@onramp.example"),
        ("CSM", "Bob", ""),
        ("AE", "", "bea@onramp.example"),
        ("CSM", "Bob", ""),
    ]


# Columns


def test_headers_are_suggested_once_and_unknown_ones_not_at_all():
    with SAMPLE.open(encoding="utf-8") as sample:
        header = next(csv.reader(sample))
    assert "" not in suggested(header).values()
    assert suggested(["name", "Account Name", "Mood"]) == {"name": "name", "Account Name": "", "Mood": ""}
    assert suggested(COLUMNS) == {name: name for name in COLUMNS}


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"a": "name"}, "No column is imported as “External id”"),
        ({"a": "external_id", "b": "name", "c": "name"}, "Two columns are imported as “Name”"),
        ({"a": "external_id", "b": "version"}, "something nobody knows"),
        ({"a": "external_id", "b": ""}, ""),
    ],
)
def test_a_mapping_is_refused_in_words(mapping, words):
    assert words in mapping_refusal(mapping)
    assert bool(words) == bool(mapping_refusal(mapping))
