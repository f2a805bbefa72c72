"""What the database itself holds to, whoever writes: the triggers behind the pipeline, and the roles."""

from django.db import migrations

ROLES = ("viewer", "specialist", "revenue", "lead", "admin")

# A stage changes only together with the next version and with the ledger row of exactly that move, which is
# written first. A new account stands outside. There is no flag to set that would let anything else through.
STAGE = """
CREATE FUNCTION crm_account_stage_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.stage <> '' OR NEW.version <> 0 THEN
            RAISE EXCEPTION 'A new account stands outside the pipeline: insert it, then move it.'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    ELSIF NEW.version IS DISTINCT FROM OLD.version + 1 OR NOT EXISTS (
        SELECT FROM crm_stagetransition row
        WHERE row.account_id = NEW.id AND row.version = NEW.version
          AND row.from_stage = OLD.stage AND row.to_stage = NEW.stage
    ) THEN
        RAISE EXCEPTION 'Account % changes its stage only by a move: version % needs its row in the ledger.',
            NEW.id, OLD.version + 1 USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER account_stage_guard_insert BEFORE INSERT ON crm_account
    FOR EACH ROW EXECUTE FUNCTION crm_account_stage_guard();
CREATE TRIGGER account_stage_guard_update BEFORE UPDATE ON crm_account
    FOR EACH ROW WHEN (OLD.stage IS DISTINCT FROM NEW.stage OR OLD.version IS DISTINCT FROM NEW.version)
    EXECUTE FUNCTION crm_account_stage_guard();
"""

# The ledger only grows. Its rows go with an erased account, which is gone when the cascade reaches them, and a
# reason can be blanked when the person it names is erased.
LEDGER = """
CREATE FUNCTION crm_stagetransition_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF NOT EXISTS (SELECT FROM crm_account WHERE id = OLD.account_id) THEN
            RETURN OLD;
        END IF;
    ELSIF NEW.reason = '' AND to_jsonb(NEW) - 'reason' = to_jsonb(OLD) - 'reason' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'The history of account % is never changed.', OLD.account_id
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER stagetransition_immutable BEFORE UPDATE OR DELETE ON crm_stagetransition
    FOR EACH ROW EXECUTE FUNCTION crm_stagetransition_immutable();
"""

# A renewal date that moves by less than 15 days is still the same renewal, so that a playbook that acted on it
# does not act again.
RENEWAL = """
CREATE FUNCTION crm_account_renewal_anchor() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    -- Generated columns are not computed yet in a BEFORE trigger: the rule of renewal_on stands here again.
    renews date := CASE WHEN NEW.plan = 'annual' THEN COALESCE(NEW.contract_renewal_on, NEW.next_renewal_on)
                        ELSE NEW.next_renewal_on END;
    last_seen date;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        last_seen := COALESCE(OLD.renewal_on, OLD.renewal_anchor_on);
        NEW.renewal_anchor_on := OLD.renewal_anchor_on;
        IF renews IS DISTINCT FROM OLD.renewal_on THEN
            NEW.renewal_moved_at := now();
        END IF;
    END IF;
    IF renews IS NOT NULL AND (last_seen IS NULL OR abs(renews - last_seen) >= 15) THEN
        NEW.renewal_anchor_on := renews;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER account_renewal_anchor
    BEFORE INSERT OR UPDATE OF plan, contract_renewal_on, next_renewal_on ON crm_account
    FOR EACH ROW EXECUTE FUNCTION crm_account_renewal_anchor();
"""

# A scope decision is only as good as the facts it saw: 0 is the edition of no table.
SCOPE = """
CREATE FUNCTION crm_account_undecided() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.decided_under := 0;
    RETURN NEW;
END $$;

CREATE TRIGGER account_undecided BEFORE UPDATE ON crm_account
    FOR EACH ROW WHEN (
        (OLD.plan, OLD.forecast, OLD.first_bill, OLD.bills_reported, OLD.bills_held, OLD.credit_use, OLD.plan_ends_on,
         OLD.sales_contact_kind, OLD.sales_contact_name, OLD.sales_contact_email, OLD.contacted_sales,
         OLD.hand_picked)
        IS DISTINCT FROM
        (NEW.plan, NEW.forecast, NEW.first_bill, NEW.bills_reported, NEW.bills_held, NEW.credit_use, NEW.plan_ends_on,
         NEW.sales_contact_kind, NEW.sales_contact_name, NEW.sales_contact_email, NEW.contacted_sales,
         NEW.hand_picked)
    ) EXECUTE FUNCTION crm_account_undecided();
"""

# What open pages ask for every few seconds: whose row has changed in what they show.
TOUCHED = """
CREATE FUNCTION crm_account_touched() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.touched := pg_current_xact_id()::text::bigint;
    RETURN NEW;
END $$;

CREATE TRIGGER account_touched_insert BEFORE INSERT ON crm_account
    FOR EACH ROW EXECUTE FUNCTION crm_account_touched();
CREATE TRIGGER account_touched_update BEFORE UPDATE ON crm_account
    FOR EACH ROW WHEN (
        (OLD.version, OLD.name, OLD.plan, OLD.forecast, OLD.next_renewal_on, OLD.contract_renewal_on, OLD.owner_id,
         OLD.users_count, OLD.payment_risk, OLD.last_outreach_at, OLD.last_reply_at, OLD.extended_until,
         OLD.notes_count, OLD.next_task_on, OLD.open_alerts, OLD.sales_contact_kind, OLD.changed_at,
         OLD.claimed_by_id, OLD.claimed_at, OLD.snoozed_until)
        IS DISTINCT FROM
        (NEW.version, NEW.name, NEW.plan, NEW.forecast, NEW.next_renewal_on, NEW.contract_renewal_on, NEW.owner_id,
         NEW.users_count, NEW.payment_risk, NEW.last_outreach_at, NEW.last_reply_at, NEW.extended_until,
         NEW.notes_count, NEW.next_task_on, NEW.open_alerts, NEW.sales_contact_kind, NEW.changed_at,
         NEW.claimed_by_id, NEW.claimed_at, NEW.snoozed_until)
    ) EXECUTE FUNCTION crm_account_touched();
"""

# The end of the first billing period to end after each entry of these accounts, a day early: the report's time zone may
# begin its day before or after UTC does.
ENTRIES = """
CREATE FUNCTION crm_entry_renews(ids bigint[]) RETURNS void LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    UPDATE crm_entry kept SET renewed_on = told.renewed_on
    FROM (
        SELECT entry.id, entry.renewed_on AS before, (
            SELECT min(period_end) FROM crm_bill bill WHERE bill.account_id = entry.account_id AND status <> 'void'
            AND period_end >= (entry.at AT TIME ZONE 'UTC')::date - 1) AS renewed_on
        FROM crm_entry entry WHERE entry.account_id = ANY(ids)
    ) told
    WHERE kept.id = told.id AND told.renewed_on IS DISTINCT FROM told.before;
END $$;
"""

# What the bills of accounts come to for the numbers the team is run by, kept: how many rows were another before. The
# accounts are locked first, so that of two reports at once the second sees what the first has told. The best way to do
# it is thought out once a connection: for one account that takes longer than to go it.
BILLED = """
CREATE FUNCTION crm_billed_keep(ids bigint[]) RETURNS bigint LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan AS $$
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
        ORDER BY account_id, month, currency <> 'USD', currency
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

CREATE FUNCTION crm_bill_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM crm_billed_keep(ids) FROM (SELECT array_agg(DISTINCT account_id) AS ids FROM told) AS of WHERE ids <> '{}';
    RETURN NULL;
END $$;

CREATE TRIGGER bill_told_insert AFTER INSERT ON crm_bill REFERENCING NEW TABLE AS told
    FOR EACH STATEMENT EXECUTE FUNCTION crm_bill_told();
CREATE TRIGGER bill_told_update AFTER UPDATE ON crm_bill REFERENCING NEW TABLE AS told
    FOR EACH STATEMENT EXECUTE FUNCTION crm_bill_told();
CREATE TRIGGER bill_told_delete AFTER DELETE ON crm_bill REFERENCING OLD TABLE AS told
    FOR EACH STATEMENT EXECUTE FUNCTION crm_bill_told();
"""

# What was given to customers only grows, as the ledger of moves does. A correction is the exact opposite of an entry
# of the same account that gives.
CREDITS = """
CREATE FUNCTION crm_credit_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF NOT EXISTS (SELECT FROM crm_account WHERE id = OLD.account_id) THEN
            RETURN OLD;
        END IF;
    ELSIF NEW.why = '' AND to_jsonb(NEW) - 'why' = to_jsonb(OLD) - 'why' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'What was given to account % is never changed: correct it by another entry.', OLD.account_id
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER credit_immutable BEFORE UPDATE OR DELETE ON crm_credit
    FOR EACH ROW EXECUTE FUNCTION crm_credit_immutable();

CREATE FUNCTION crm_credit_corrects() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM crm_credit given
        WHERE given.id = NEW.corrects_id AND given.corrects_id IS NULL
          AND (given.account_id, given.kind, given.amount, given.currency)
              = (NEW.account_id, NEW.kind, -NEW.amount, NEW.currency)
    ) THEN
        RAISE EXCEPTION 'A correction is the exact opposite of an entry of its account.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER credit_corrects BEFORE INSERT ON crm_credit
    FOR EACH ROW WHEN (NEW.corrects_id IS NOT NULL) EXECUTE FUNCTION crm_credit_corrects();
"""

# Every assessment of the payment risk is kept, whoever writes it: a person, a file, the admin.
RISKS = """
CREATE FUNCTION crm_account_risk_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO crm_riskassessment (account_id, risk, reason, by_id, at)
    VALUES (NEW.id, NEW.payment_risk, NEW.payment_risk_reason, NEW.payment_risk_by_id,
            COALESCE(NEW.payment_risk_at, now()));
    RETURN NULL;
END $$;

CREATE TRIGGER account_risk_kept_insert AFTER INSERT ON crm_account
    FOR EACH ROW WHEN (NEW.payment_risk <> '') EXECUTE FUNCTION crm_account_risk_kept();
CREATE TRIGGER account_risk_kept_update AFTER UPDATE OF payment_risk, payment_risk_at ON crm_account
    FOR EACH ROW WHEN ((OLD.payment_risk, OLD.payment_risk_at) IS DISTINCT FROM (NEW.payment_risk, NEW.payment_risk_at))
    EXECUTE FUNCTION crm_account_risk_kept();
"""

UNDONE = """
DROP FUNCTION crm_account_risk_kept CASCADE;
DROP FUNCTION crm_credit_corrects CASCADE;
DROP FUNCTION crm_credit_immutable CASCADE;
DROP FUNCTION crm_bill_told CASCADE;
DROP FUNCTION crm_billed_keep CASCADE;
DROP FUNCTION crm_entry_renews CASCADE;
DROP FUNCTION crm_account_touched CASCADE;
DROP FUNCTION crm_account_undecided CASCADE;
DROP FUNCTION crm_account_stage_guard CASCADE;
DROP FUNCTION crm_stagetransition_immutable CASCADE;
DROP FUNCTION crm_account_renewal_anchor CASCADE;
"""


def add_roles(apps, schema_editor):
    group = apps.get_model("auth", "Group")
    for name in ROLES:
        group.objects.get_or_create(name=name)


class Migration(migrations.Migration):
    dependencies = [("crm", "0001_initial"), ("auth", "0012_alter_user_first_name_max_length")]

    operations = [
        migrations.RunSQL(STAGE + LEDGER + RENEWAL + SCOPE + TOUCHED + ENTRIES + BILLED + CREDITS + RISKS, UNDONE),
        migrations.RunPython(add_roles, migrations.RunPython.noop),
    ]
