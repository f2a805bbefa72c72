from django.db import migrations, models

# The end of the first billing period to end after each entry of these accounts, a day early: the report's time zone may
# begin its day before or after UTC does.
ENTRIES = """
CREATE FUNCTION crm_entry_renews(ids bigint[]) RETURNS void LANGUAGE sql AS $$
    UPDATE crm_entry kept SET renewed_on = told.renewed_on
    FROM (
        SELECT entry.id, entry.renewed_on AS before, (
            SELECT min(period_end) FROM crm_bill bill WHERE bill.account_id = entry.account_id AND status <> 'void'
            AND period_end >= (entry.at AT TIME ZONE 'UTC')::date - 1) AS renewed_on
        FROM crm_entry entry WHERE entry.account_id = ANY(ids)
    ) told
    WHERE kept.id = told.id AND told.renewed_on IS DISTINCT FROM told.before
$$;
"""

# What the bills of accounts come to for the numbers the team is run by, kept: how many rows were another before. The
# accounts are locked first, so that of two reports at once the second sees what the first has told.
BILLED = """
DROP FUNCTION crm_billed_keep;
CREATE FUNCTION crm_billed_keep(ids bigint[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE changed bigint;
BEGIN
    PERFORM FROM crm_account WHERE id = ANY(ids) ORDER BY id FOR NO KEY UPDATE;
    WITH dated AS (
        SELECT bill.id, account_id, amount, currency, status IN ('open', 'paid', 'uncollectible') AS made,
               date_trunc('month', COALESCE(GREATEST(period_end - 1, period_start), due_on)::timestamp)::date AS month
        FROM crm_bill bill WHERE account_id = ANY(ids) AND status <> 'void'
    ), firsts AS (
        SELECT DISTINCT ON (account_id) account_id, month, currency FROM dated
        WHERE amount >= COALESCE((SELECT value::numeric FROM crm_policy WHERE name = 'retention_first_bill'
                                  AND starts_on <= dated.month ORDER BY starts_on DESC LIMIT 1), 100)
          AND month IS NOT NULL
        ORDER BY account_id, month, currency <> 'USD', id
    ), counted AS (
        SELECT account.id, firsts.month, firsts.currency,
               COALESCE(sum(amount) FILTER (
                   WHERE made AND dated.month = firsts.month AND dated.currency = firsts.currency), 0) AS billed,
               COALESCE(sum(amount) FILTER (
                   WHERE made AND dated.month = firsts.month + interval '3 months'
                     AND dated.currency = firsts.currency), 0) AS kept_billed,
               COALESCE(bool_or(made AND dated.month = firsts.month + interval '3 months' AND amount > 0), FALSE) AS kept,
               COALESCE(bool_or(made AND dated.month = firsts.month + interval '3 months' AND amount = 0), FALSE) AS at_zero
        FROM crm_account account
        LEFT JOIN dated ON dated.account_id = account.id
        LEFT JOIN firsts ON firsts.account_id = account.id
        WHERE account.id = ANY(ids)
        GROUP BY account.id, firsts.month, firsts.currency
    )
    INSERT INTO crm_billed AS kept (account_id, cohort_on, currency, cohort_billed, kept_billed, kept, at_zero)
    SELECT id, month, COALESCE(currency, ''), billed, counted.kept_billed, counted.kept, counted.at_zero
    FROM counted
    -- An account without bills says as much by having no row, until it has had one.
    WHERE month IS NOT NULL OR EXISTS (SELECT FROM crm_billed WHERE account_id = counted.id)
       OR EXISTS (SELECT FROM crm_bill WHERE account_id = counted.id)
    ON CONFLICT (account_id) DO UPDATE
        SET (cohort_on, currency, cohort_billed, kept_billed, kept, at_zero) =
            (excluded.cohort_on, excluded.currency, excluded.cohort_billed, excluded.kept_billed, excluded.kept,
             excluded.at_zero)
        WHERE (kept.cohort_on, kept.currency, kept.cohort_billed, kept.kept_billed, kept.kept, kept.at_zero)
              IS DISTINCT FROM
              (excluded.cohort_on, excluded.currency, excluded.cohort_billed, excluded.kept_billed, excluded.kept,
               excluded.at_zero);
    GET DIAGNOSTICS changed = ROW_COUNT;
    PERFORM crm_entry_renews(ids);
    RETURN changed;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("crm", "0002_promises")]

    operations = [
        migrations.RemoveField("billed", "renewed_on"),
        migrations.AddField(
            "entry",
            "renewed_on",
            models.DateField(
                help_text="The end of the first period to end since the day before, which is UTC's.", null=True
            ),
        ),
        migrations.AddIndex(
            "account",
            models.Index(
                condition=models.Q(("payment_risk", ""), _negated=True),
                fields=["id"],
                include=("payment_risk",),
                name="account_assessed",
            ),
        ),
        migrations.RunSQL(ENTRIES + BILLED, migrations.RunSQL.noop),
        migrations.RunSQL("SELECT crm_entry_renews(array_agg(id)) FROM crm_account", migrations.RunSQL.noop),
    ]
