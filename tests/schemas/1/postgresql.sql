--
-- PostgreSQL database dump
--

\restrict COyJf5c7F7HrubrzgtCh0KVOvmvKwqIKelE9gWZMnvC1YriKBdXcgFb9Ld4m3Co

-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: append_only(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$;


--
-- Name: entry_sealed(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.entry_sealed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN IF EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) THEN RAISE EXCEPTION 'the entry of this % row is sealed', TG_TABLE_NAME; END IF; RETURN NEW; END $$;


--
-- Name: journal_balanced(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.journal_balanced() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN IF (SELECT COALESCE(SUM(amount_micro), 0) FROM posting WHERE seq = NEW.seq) <> 0 THEN RAISE EXCEPTION 'postings do not sum to zero'; END IF; RETURN NEW; END $$;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: anchor; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.anchor (
    seq integer NOT NULL,
    day text NOT NULL,
    head_seq bigint NOT NULL,
    head_hash text NOT NULL,
    key_id text NOT NULL,
    signature text NOT NULL
);


--
-- Name: application; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.application (
    seq integer NOT NULL,
    id text NOT NULL,
    contract text NOT NULL,
    category text NOT NULL,
    channel text NOT NULL,
    paper_sha256 text NOT NULL,
    CONSTRAINT channel_known CHECK ((channel = ANY (ARRAY['online'::text, 'offline'::text])))
);


--
-- Name: book; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.book (
    seq integer NOT NULL,
    book_id text NOT NULL,
    schema_version bigint NOT NULL,
    rehearsal bigint NOT NULL,
    policy text NOT NULL,
    CONSTRAINT rehearsal_bool CHECK ((rehearsal = ANY (ARRAY[(0)::bigint, (1)::bigint])))
);


--
-- Name: charge; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.charge (
    seq integer NOT NULL,
    path text NOT NULL,
    account text NOT NULL,
    month text NOT NULL,
    charge_micro bigint NOT NULL,
    eligible_micro bigint NOT NULL
);


--
-- Name: claim; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.claim (
    seq integer NOT NULL,
    id text NOT NULL,
    provider text NOT NULL,
    quarter text NOT NULL,
    amount_fen bigint NOT NULL
);


--
-- Name: claim_line; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.claim_line (
    seq integer NOT NULL,
    claim text NOT NULL,
    line text NOT NULL,
    amount_fen bigint NOT NULL
);


--
-- Name: claim_review; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.claim_review (
    seq integer NOT NULL,
    claim text NOT NULL,
    line text NOT NULL,
    approved_fen bigint NOT NULL,
    reason text NOT NULL,
    act_sha256 text NOT NULL
);


--
-- Name: claim_submission; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.claim_submission (
    seq integer NOT NULL,
    claim text NOT NULL,
    packet_sha256 text NOT NULL
);


--
-- Name: closing; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.closing (
    seq integer NOT NULL,
    provider text NOT NULL,
    month text NOT NULL,
    at_s bigint NOT NULL,
    upto_seq bigint NOT NULL
);


--
-- Name: contract; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.contract (
    seq integer NOT NULL,
    id text NOT NULL,
    account text NOT NULL,
    unit text NOT NULL,
    provider text NOT NULL,
    signed_on text NOT NULL,
    from_s bigint NOT NULL,
    until_s bigint NOT NULL,
    fee_fen bigint NOT NULL,
    CONSTRAINT fee_positive CHECK ((fee_fen > 0))
);


--
-- Name: deduction; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.deduction (
    seq integer NOT NULL,
    statement text NOT NULL,
    voucher text NOT NULL,
    amount_fen bigint NOT NULL
);


--
-- Name: document; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.document (
    seq integer NOT NULL,
    kind text NOT NULL,
    version text NOT NULL,
    sha256 text NOT NULL,
    text text NOT NULL,
    CONSTRAINT kind_known CHECK ((kind = ANY (ARRAY['policy'::text, 'tariff'::text, 'chips'::text])))
);


--
-- Name: hold; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.hold (
    id text NOT NULL,
    cluster text NOT NULL,
    account text NOT NULL,
    uid bigint NOT NULL,
    asked_s bigint NOT NULL,
    expires_s bigint NOT NULL,
    tasks bigint NOT NULL,
    task_micro bigint NOT NULL,
    task_eligible_micro bigint NOT NULL,
    request text NOT NULL,
    CONSTRAINT task_not_negative CHECK ((task_micro >= 0)),
    CONSTRAINT tasks_positive CHECK ((tasks > 0))
);


--
-- Name: hold_bind; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.hold_bind (
    hold text NOT NULL,
    cluster text NOT NULL,
    job_id bigint NOT NULL,
    submit_s bigint NOT NULL,
    seen_s bigint NOT NULL
);


--
-- Name: hold_end; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.hold_end (
    hold text NOT NULL,
    task text NOT NULL,
    kind text NOT NULL,
    tasks bigint NOT NULL,
    at_s bigint NOT NULL,
    evidence text NOT NULL,
    CONSTRAINT kind_known CHECK ((kind = ANY (ARRAY['posted'::text, 'voided'::text, 'expired'::text]))),
    CONSTRAINT tasks_positive CHECK ((tasks > 0))
);


--
-- Name: hold_missing; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.hold_missing (
    hold text NOT NULL,
    snapshot_s bigint NOT NULL
);


--
-- Name: invoice; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.invoice (
    seq integer NOT NULL,
    number text NOT NULL,
    statement text NOT NULL,
    gross_fen bigint NOT NULL,
    net_fen bigint NOT NULL,
    tax_fen bigint NOT NULL,
    recorded_on text NOT NULL,
    CONSTRAINT tax_adds_up CHECK (((net_fen + tax_fen) = gross_fen))
);


--
-- Name: journal; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.journal (
    seq integer NOT NULL,
    key text NOT NULL,
    code text NOT NULL,
    actor text NOT NULL,
    role text NOT NULL,
    at_s bigint NOT NULL,
    effective_s bigint NOT NULL,
    reverses integer,
    content text NOT NULL,
    prev_hash text NOT NULL,
    hash text NOT NULL,
    CONSTRAINT role_known CHECK ((role = ANY (ARRAY['unit'::text, 'operator'::text, 'regulator'::text, 'treasury'::text, 'auditor'::text, 'system'::text])))
);


--
-- Name: member; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.member (
    seq integer NOT NULL,
    unit text NOT NULL,
    cluster text NOT NULL,
    uid bigint NOT NULL,
    from_s bigint NOT NULL,
    until_s bigint
);


--
-- Name: member_end; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.member_end (
    seq integer NOT NULL,
    unit text NOT NULL,
    cluster text NOT NULL,
    uid bigint NOT NULL,
    from_s bigint NOT NULL,
    until_s bigint NOT NULL
);


--
-- Name: payment; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.payment (
    seq integer NOT NULL,
    reference text NOT NULL,
    account text NOT NULL,
    amount_fen bigint NOT NULL,
    paid_on text NOT NULL,
    CONSTRAINT amount_positive CHECK ((amount_fen > 0))
);


--
-- Name: payout; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.payout (
    seq integer NOT NULL,
    claim text NOT NULL,
    reference text NOT NULL,
    amount_fen bigint NOT NULL,
    repaid_fen bigint NOT NULL,
    paid_on text NOT NULL,
    act_sha256 text NOT NULL,
    CONSTRAINT repaid_not_negative CHECK ((repaid_fen >= 0))
);


--
-- Name: posting; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.posting (
    seq integer NOT NULL,
    line integer NOT NULL,
    account text NOT NULL,
    owner text NOT NULL,
    amount_micro bigint NOT NULL,
    CONSTRAINT amount_not_zero CHECK ((amount_micro <> 0))
);


--
-- Name: provider; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.provider (
    seq integer NOT NULL,
    id text NOT NULL,
    name text NOT NULL
);


--
-- Name: reserve_draw; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.reserve_draw (
    seq integer NOT NULL,
    line text NOT NULL,
    provider text NOT NULL,
    amount_fen bigint NOT NULL,
    CONSTRAINT amount_positive CHECK ((amount_fen > 0))
);


--
-- Name: reserve_grant; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.reserve_grant (
    seq integer NOT NULL,
    reference text NOT NULL,
    provider text NOT NULL,
    amount_fen bigint NOT NULL,
    act_sha256 text NOT NULL,
    CONSTRAINT amount_positive CHECK ((amount_fen > 0))
);


--
-- Name: revenue; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.revenue (
    seq integer NOT NULL,
    unit text NOT NULL,
    year bigint NOT NULL,
    amount_fen bigint NOT NULL,
    CONSTRAINT amount_not_negative CHECK ((amount_fen >= 0))
);


--
-- Name: review; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.review (
    seq integer NOT NULL,
    application text NOT NULL,
    verdict text NOT NULL,
    reason text NOT NULL,
    act_sha256 text NOT NULL,
    CONSTRAINT verdict_known CHECK ((verdict = ANY (ARRAY['confirmed'::text, 'refused'::text])))
);


--
-- Name: segment; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.segment (
    seq integer NOT NULL,
    path text NOT NULL,
    cluster text NOT NULL,
    month text NOT NULL,
    rows bigint NOT NULL,
    sha256 text NOT NULL,
    size_bytes bigint NOT NULL,
    submit_min_s bigint NOT NULL,
    submit_max_s bigint NOT NULL,
    gflops_s bigint NOT NULL,
    charge_micro bigint NOT NULL,
    eligible_micro bigint NOT NULL,
    unrated bigint NOT NULL
);


--
-- Name: signed_act; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.signed_act (
    seq integer NOT NULL,
    sha256 text NOT NULL,
    verb text NOT NULL,
    subject text NOT NULL,
    key_id text NOT NULL,
    text text NOT NULL
);


--
-- Name: signing_key; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.signing_key (
    seq integer NOT NULL,
    key_id text NOT NULL,
    role text NOT NULL,
    actor text NOT NULL,
    public_hex text NOT NULL
);


--
-- Name: statement; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.statement (
    seq integer NOT NULL,
    id text NOT NULL,
    account text NOT NULL,
    month text NOT NULL,
    upto_seq bigint NOT NULL,
    charge_micro bigint NOT NULL,
    eligible_micro bigint NOT NULL,
    fee_fen bigint NOT NULL,
    deduction_fen bigint NOT NULL,
    cash_fen bigint NOT NULL,
    receivable_fen bigint NOT NULL,
    CONSTRAINT receivable_not_negative CHECK ((receivable_fen >= 0)),
    CONSTRAINT shares_add_up CHECK (((deduction_fen + cash_fen) = fee_fen))
);


--
-- Name: statement_line; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.statement_line (
    seq integer NOT NULL,
    id text NOT NULL,
    statement text NOT NULL,
    usage_month text NOT NULL,
    cluster text NOT NULL,
    partition text NOT NULL,
    qos text NOT NULL,
    chip text NOT NULL,
    tariff text NOT NULL,
    runs bigint NOT NULL,
    gflops_s bigint NOT NULL,
    charge_micro bigint NOT NULL,
    eligible_micro bigint NOT NULL,
    fee_fen bigint NOT NULL,
    deduction_fen bigint NOT NULL,
    cash_fen bigint NOT NULL,
    CONSTRAINT shares_add_up CHECK (((deduction_fen + cash_fen) = fee_fen))
);


--
-- Name: unit; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.unit (
    seq integer NOT NULL,
    id text NOT NULL,
    name text NOT NULL,
    credit_code text NOT NULL,
    kind text NOT NULL,
    CONSTRAINT kind_known CHECK ((kind = ANY (ARRAY['enterprise'::text, 'research_institute'::text, 'university'::text])))
);


--
-- Name: voucher; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.voucher (
    seq integer NOT NULL,
    id text NOT NULL,
    account text NOT NULL,
    application text NOT NULL,
    category text NOT NULL,
    issued_on text NOT NULL,
    amount_fen bigint NOT NULL,
    trimmed bigint NOT NULL,
    from_s bigint NOT NULL,
    until_s bigint NOT NULL,
    CONSTRAINT amount_positive CHECK ((amount_fen > 0)),
    CONSTRAINT trimmed_bool CHECK ((trimmed = ANY (ARRAY[(0)::bigint, (1)::bigint])))
);


--
-- Name: voucher_end; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.voucher_end (
    seq integer NOT NULL,
    voucher text NOT NULL,
    kind text NOT NULL,
    at_s bigint NOT NULL,
    amount_fen bigint NOT NULL,
    CONSTRAINT amount_positive CHECK ((amount_fen > 0)),
    CONSTRAINT kind_known CHECK ((kind = ANY (ARRAY['expired'::text, 'cancelled'::text])))
);


--
-- Name: watermark; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.watermark (
    cluster text NOT NULL,
    sweep text NOT NULL,
    until_s bigint NOT NULL
);


--
-- Data for Name: anchor; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.anchor VALUES (24, '2024-10-08', 23, '3a8d9c6f5c1ee7ce22a5a946c0a60d123871f429e0e97c61f178cafd6187b396', '4d8b6501d4abe627', 'c0c2074e38fb22b8fbf4fe43a8eb05c9d1333ea32841db03a81dc063989be4855261aea660780e05c120c19dcc15543858f54bc61fda55d37fe55312d1c4ad02');


--
-- Data for Name: application; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.application VALUES (10, 'A-CD24-0001', '2024-AI-001', 'general', 'online', '218a6a472e63aaafff46613df6ce328d37a5c80730d902716af15fd1328be9dd');


--
-- Data for Name: book; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.book VALUES (1, 'c1db9542565fb141fefa1e0467144df1', 1, 0, 'chengdu-2023');


--
-- Data for Name: charge; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.charge VALUES (14, 'usage/cluster=chengdu/month=2024-09/c094611ecb1733ed.parquet', 'CD24-0001', '2024-09', 133000000, 133000000);
INSERT INTO public.charge VALUES (25, 'usage/cluster=chengdu/month=2024-11/b9d41e359a5bafa4.parquet', 'CD24-0001', '2024-11', 68000000, 68000000);
INSERT INTO public.charge VALUES (28, 'usage/cluster=chengdu/month=2024-12/a308a79dc84def47.parquet', 'CD24-0001', '2024-12', 12000000, 12000000);


--
-- Data for Name: claim; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.claim VALUES (20, 'C-cdaicc-2024-Q3-1', 'cdaicc', '2024-Q3', 6650);


--
-- Data for Name: claim_line; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.claim_line VALUES (20, 'C-cdaicc-2024-Q3-1', 'S-CD24-0001-2024-09/1', 1650);
INSERT INTO public.claim_line VALUES (20, 'C-cdaicc-2024-Q3-1', 'S-CD24-0001-2024-09/2', 5000);


--
-- Data for Name: claim_review; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.claim_review VALUES (22, 'C-cdaicc-2024-Q3-1', 'S-CD24-0001-2024-09/1', 1650, 'checked', 'fcaeeeb6195f288b7877d1f340042290c80099e2edf7d611449721c9291c4591');
INSERT INTO public.claim_review VALUES (22, 'C-cdaicc-2024-Q3-1', 'S-CD24-0001-2024-09/2', 0, 'no proof', 'fcaeeeb6195f288b7877d1f340042290c80099e2edf7d611449721c9291c4591');


--
-- Data for Name: claim_submission; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.claim_submission VALUES (21, 'C-cdaicc-2024-Q3-1', 'ef216babfadd61f2747b136a2a16f158d4507ee5c016998575d597f395490723');


--
-- Data for Name: closing; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.closing VALUES (16, 'cdaicc', '2024-09', 1728349200, 15);
INSERT INTO public.closing VALUES (27, 'cdaicc', '2024-11', 1733360400, 26);


--
-- Data for Name: contract; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.contract VALUES (9, '2024-AI-001', 'CD24-0001', 'sichuan-vision', 'cdaicc', '2024-06-01', 1717171200, 1735660800, 10000000);


--
-- Data for Name: deduction; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.deduction VALUES (15, 'S-CD24-0001-2024-09', 'CD24-0001-1', 6650);
INSERT INTO public.deduction VALUES (26, 'S-CD24-0001-2024-11', 'CD24-0001-1', 3400);


--
-- Data for Name: document; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.document VALUES (1, 'policy', 'chengdu-2023', '8c515c85a3b9f20d7ee23b9092310785eb538a3e833b99d0f0f0844bbe341e08', '# The rules of Chengdu''s compute vouchers, as this program applies them.
# Source: 《算力券管理办法》 成经信办〔2023〕20号, 2023-06-16, as reported on 2024-07-30.
# [S] stands in the source; [D] is decided here, where the source is silent.
policy: chengdu-2023
source: 成经信办〔2023〕20号
timezone: Asia/Shanghai        # [D] year, quarter and month are calendar periods here
account_prefix: CD             # voucher accounts are named CD26-0001

contract:
  signed_in_year: true         # [S] 当年签订: signed in the year of the application

categories:
  general:
    ratio: 50%                 # [S] voucher: 50 % of the contract fee
    revenue_min: "10,000,000"  # [S] prior-year main-business revenue, inclusive
    revenue_test_applies_to: [enterprise]   # [D] institutes and universities have no revenue

issue:
  min: "10,000"                # [S] inclusive
  min_test: before_caps        # [D] below the floor before caps: refused; trimmed by a cap: may be smaller
  caps:
    - {scope: unit, per: year, max: "1,000,000", categories: [general]}    # [S]
    - {scope: programme, per: year, max: "10,000,000", categories: [general]}   # [S] [D] general only

voucher:
  months_max: 12               # [D] to the contract''s end, at most 12 months
  settle_days: 45              # [D] how long after expiry late runs may still be deducted

deduct:
  ratio: 50%                   # [S] 每次抵扣额为结算费用的50%

payment:
  mode: prepaid                # [D] cash is paid in first; a job holds its full fee
  vat: 6%                      # [D] prices include it; split once, on the cash part

holds:
  unseen_s: 120                # a hold that the queue never showed lapses after this

rating:
  states:                      # [D] POLICY: which runs are free
    charged: [COMPLETED, FAILED, TIMEOUT, CANCELLED, OUT_OF_MEMORY, DEADLINE, REQUEUED, RESIZING]
    free: [NODE_FAIL, BOOT_FAIL, LAUNCH_FAILED, PREEMPTED]
    no_run: [REVOKED]
');
INSERT INTO public.document VALUES (1, 'tariff', 'cd-2024-1', 'e8e6f4ebad62c954683300bc956b720d2ed285213d36a5c264e02c3c725d65d0', '# The price list of the worked examples: round prices, and a few that do not divide.
tariff: cd-2024-1
chips: 2024-07
timezone: Asia/Shanghai
clusters:
  chengdu:
    partitions:
      ai:
        provider: cdaicc
        gres: {"gpu:ascend_910b": ascend_910b2}
        capacity: [{from: 2023-07-01, cards: {"gpu:ascend_910b": 16}}]
        prices:
          - {from: 2023-07-01, yuan_per_pflops_hour: "24.00"}
          - {from: 2024-01-01, yuan_per_pflops_hour: "30.00"}
          - {from: 2023-10-01, qos: urgent, yuan_per_pflops_hour: "90.00"}
      dcu:
        provider: nscc-cd
        gres: {"dcu:k100": dcu_k100, "dcu:z100": dcu_z100, "gpu": dcu_z100}
        prices: [{from: 2023-07-01, yuan_per_pflops_hour: "7.654321"}]
      cheap:
        provider: nscc-cd
        gres: {"dcu:k100": dcu_k100}
        prices: [{from: 2023-07-01, yuan_per_pflops_hour: "0.018"}]
      dear:
        provider: nscc-cd
        gres: {"dcu:z100": dcu_z100}
        prices: [{from: 2023-07-01, yuan_per_pflops_hour: "390,000.00"}]
      cpu:
        provider: nscc-cd
        prices: [{from: 2023-07-01, yuan_per_core_hour: "0.03"}]
      night:
        provider: nscc-cd
        prices: [{from: 2023-07-01, qos: night, yuan_per_core_hour: "0.02"}]
      mixed:
        provider: nscc-cd
        gres: {"dcu:k100": dcu_k100}
        prices:
          - {from: 2023-07-01, yuan_per_core_hour: "0.03"}
          - {from: 2024-01-01, yuan_per_pflops_hour: "7.00"}
');
INSERT INTO public.document VALUES (13, 'tariff', 'round-1', 'e9fb179ce53cdf5cee7c66d7014755a51edc826cedff52a1a85dc136d8d7b323', '
tariff: round-1
chips: 2024-07
timezone: Asia/Shanghai
clusters:
  chengdu:
    partitions:
      core:
        provider: cdaicc
        prices: [{from: 2023-07-01, yuan_per_core_hour: "1.00"}]
      dear:
        provider: cdaicc
        prices: [{from: 2023-07-01, yuan_per_core_hour: "200.00"}]
      cards:
        provider: cdaicc
        gres: {"gpu:ascend_910b": ascend_910b2}
        capacity: [{from: 2023-07-01, cards: {"gpu:ascend_910b": 16}}]
        prices: [{from: 2023-07-01, yuan_per_pflops_hour: "1.00"}]
      other:
        provider: nscc-cd
        prices: [{from: 2023-07-01, yuan_per_core_hour: "1.00"}]
');


--
-- Data for Name: hold; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.hold VALUES ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'chengdu', 'CD24-0001', 1001, 1731211200, 1731211320, 1, 1000000, 500000, '{}');
INSERT INTO public.hold VALUES ('bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 'chengdu', 'CD24-0001', 1001, 1731211200, 1731211320, 3, 1000000, 500000, '{}');
INSERT INTO public.hold VALUES ('cccccccccccccccccccccccccccccccc', 'chengdu', 'CD24-0001', 1001, 1731211200, 1731211320, 2, 1000000, 500000, '{}');


--
-- Data for Name: hold_bind; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: hold_end; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.hold_end VALUES ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', '3', 'posted', 1, 1731211200, 'COMPLETED in slurmdbd');
INSERT INTO public.hold_end VALUES ('bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', '4', 'posted', 1, 1731211200, 'COMPLETED in slurmdbd');


--
-- Data for Name: hold_missing; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: invoice; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.invoice VALUES (17, 'F-1', 'S-CD24-0001-2024-09', 6650, 6274, 376, '2024-10-08');


--
-- Data for Name: journal; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.journal VALUES (1, 'book', 'book.init', 'operations', 'operator', 1719799200, 1719799200, NULL, '{"postings":[],"rows":{"book":[{"book_id":"c1db9542565fb141fefa1e0467144df1","policy":"chengdu-2023","rehearsal":0,"schema_version":1}],"document":[{"kind":"policy","sha256":"8c515c85a3b9f20d7ee23b9092310785eb538a3e833b99d0f0f0844bbe341e08","text":"# The rules of Chengdu''s compute vouchers, as this program applies them.\n# Source: 《算力券管理办法》 成经信办〔2023〕20号, 2023-06-16, as reported on 2024-07-30.\n# [S] stands in the source; [D] is decided here, where the source is silent.\npolicy: chengdu-2023\nsource: 成经信办〔2023〕20号\ntimezone: Asia/Shanghai        # [D] year, quarter and month are calendar periods here\naccount_prefix: CD             # voucher accounts are named CD26-0001\n\ncontract:\n  signed_in_year: true         # [S] 当年签订: signed in the year of the application\n\ncategories:\n  general:\n    ratio: 50%                 # [S] voucher: 50 % of the contract fee\n    revenue_min: \"10,000,000\"  # [S] prior-year main-business revenue, inclusive\n    revenue_test_applies_to: [enterprise]   # [D] institutes and universities have no revenue\n\nissue:\n  min: \"10,000\"                # [S] inclusive\n  min_test: before_caps        # [D] below the floor before caps: refused; trimmed by a cap: may be smaller\n  caps:\n    - {scope: unit, per: year, max: \"1,000,000\", categories: [general]}    # [S]\n    - {scope: programme, per: year, max: \"10,000,000\", categories: [general]}   # [S] [D] general only\n\nvoucher:\n  months_max: 12               # [D] to the contract''s end, at most 12 months\n  settle_days: 45              # [D] how long after expiry late runs may still be deducted\n\ndeduct:\n  ratio: 50%                   # [S] 每次抵扣额为结算费用的50%\n\npayment:\n  mode: prepaid                # [D] cash is paid in first; a job holds its full fee\n  vat: 6%                      # [D] prices include it; split once, on the cash part\n\nholds:\n  unseen_s: 120                # a hold that the queue never showed lapses after this\n\nrating:\n  states:                      # [D] POLICY: which runs are free\n    charged: [COMPLETED, FAILED, TIMEOUT, CANCELLED, OUT_OF_MEMORY, DEADLINE, REQUEUED, RESIZING]\n    free: [NODE_FAIL, BOOT_FAIL, LAUNCH_FAILED, PREEMPTED]\n    no_run: [REVOKED]\n","version":"chengdu-2023"},{"kind":"tariff","sha256":"e8e6f4ebad62c954683300bc956b720d2ed285213d36a5c264e02c3c725d65d0","text":"# The price list of the worked examples: round prices, and a few that do not divide.\ntariff: cd-2024-1\nchips: 2024-07\ntimezone: Asia/Shanghai\nclusters:\n  chengdu:\n    partitions:\n      ai:\n        provider: cdaicc\n        gres: {\"gpu:ascend_910b\": ascend_910b2}\n        capacity: [{from: 2023-07-01, cards: {\"gpu:ascend_910b\": 16}}]\n        prices:\n          - {from: 2023-07-01, yuan_per_pflops_hour: \"24.00\"}\n          - {from: 2024-01-01, yuan_per_pflops_hour: \"30.00\"}\n          - {from: 2023-10-01, qos: urgent, yuan_per_pflops_hour: \"90.00\"}\n      dcu:\n        provider: nscc-cd\n        gres: {\"dcu:k100\": dcu_k100, \"dcu:z100\": dcu_z100, \"gpu\": dcu_z100}\n        prices: [{from: 2023-07-01, yuan_per_pflops_hour: \"7.654321\"}]\n      cheap:\n        provider: nscc-cd\n        gres: {\"dcu:k100\": dcu_k100}\n        prices: [{from: 2023-07-01, yuan_per_pflops_hour: \"0.018\"}]\n      dear:\n        provider: nscc-cd\n        gres: {\"dcu:z100\": dcu_z100}\n        prices: [{from: 2023-07-01, yuan_per_pflops_hour: \"390,000.00\"}]\n      cpu:\n        provider: nscc-cd\n        prices: [{from: 2023-07-01, yuan_per_core_hour: \"0.03\"}]\n      night:\n        provider: nscc-cd\n        prices: [{from: 2023-07-01, qos: night, yuan_per_core_hour: \"0.02\"}]\n      mixed:\n        provider: nscc-cd\n        gres: {\"dcu:k100\": dcu_k100}\n        prices:\n          - {from: 2023-07-01, yuan_per_core_hour: \"0.03\"}\n          - {from: 2024-01-01, yuan_per_pflops_hour: \"7.00\"}\n","version":"cd-2024-1"}]}}', '0000000000000000000000000000000000000000000000000000000000000000', '988aac044dc6350a1e3de60ebc83f9e71d350325264c434fe4db04f1a84b177c');
INSERT INTO public.journal VALUES (2, 'provider:cdaicc', 'provider.add', 'operations', 'operator', 1719799200, 1719799200, NULL, '{"postings":[],"rows":{"provider":[{"id":"cdaicc","name":"成都智算中心"}]}}', '988aac044dc6350a1e3de60ebc83f9e71d350325264c434fe4db04f1a84b177c', 'bf26f5b27dc371f27630c8a86d11107518685a6f03f287d3fabfd4fa809bc798');
INSERT INTO public.journal VALUES (3, 'provider:nscc-cd', 'provider.add', 'operations', 'operator', 1719799200, 1719799200, NULL, '{"postings":[],"rows":{"provider":[{"id":"nscc-cd","name":"国家超级计算成都中心"}]}}', 'bf26f5b27dc371f27630c8a86d11107518685a6f03f287d3fabfd4fa809bc798', '06f235edd4ca157cbf86c2c68fa05052a14860029a7b25711368cd707f9a223c');
INSERT INTO public.journal VALUES (4, 'key:6854ce74a37b4a9d', 'key.trust', 'operations', 'operator', 1719799200, 1719799200, NULL, '{"postings":[],"rows":{"signing_key":[{"actor":"eic-review","key_id":"6854ce74a37b4a9d","public_hex":"bbcb1920b03cf3d2c93e36af16556c62debdaee15a553444989652cfecffdb76","role":"regulator"}]}}', '06f235edd4ca157cbf86c2c68fa05052a14860029a7b25711368cd707f9a223c', '61bb4a56bd9e4b53549ced81fbda803d233e2a697b0f386545e84cfe741490a8');
INSERT INTO public.journal VALUES (5, 'key:02ba6479b745f68d', 'key.trust', 'operations', 'operator', 1719799200, 1719799200, NULL, '{"postings":[],"rows":{"signing_key":[{"actor":"finance","key_id":"02ba6479b745f68d","public_hex":"cb0bfa8e9e8c2ba824d9044204920fe9721d247875c76bcab2c2f7544e83f9fd","role":"treasury"}]}}', '61bb4a56bd9e4b53549ced81fbda803d233e2a697b0f386545e84cfe741490a8', 'f08c6f5e81d11bbc1a22f28e70ff108ff847d0ec7f9e65aa60c05693cea16c4e');
INSERT INTO public.journal VALUES (6, 'key:4d8b6501d4abe627', 'key.trust', 'operations', 'operator', 1719799200, 1719799200, NULL, '{"postings":[],"rows":{"signing_key":[{"actor":"book-head","key_id":"4d8b6501d4abe627","public_hex":"74018afa598132083bae4e4cee88dbb260fc31024ee76090d538d60c3192d45f","role":"system"}]}}', 'f08c6f5e81d11bbc1a22f28e70ff108ff847d0ec7f9e65aa60c05693cea16c4e', '93eb5a438a9d5e3fc268c2158d235ebeaac89482ce6e30cd112a2222992fc562');
INSERT INTO public.journal VALUES (7, 'unit:sichuan-vision', 'unit.register', 'operations', 'operator', 1719799200, 1719799200, NULL, '{"postings":[],"rows":{"revenue":[{"amount_fen":2000000000,"unit":"sichuan-vision","year":2023}],"unit":[{"credit_code":"91510100MA2632625N","id":"sichuan-vision","kind":"enterprise","name":"sichuan-vision 有限公司"}]}}', '93eb5a438a9d5e3fc268c2158d235ebeaac89482ce6e30cd112a2222992fc562', '6b4cf8278142c1287b0547beed154ca2451c477e9c7cdf0ceb50a28bc08ffd3b');
INSERT INTO public.journal VALUES (8, 'member:sichuan-vision:chengdu:1001:1719799200', 'member.add', 'operations', 'operator', 1719799200, 1719799200, NULL, '{"postings":[],"rows":{"member":[{"cluster":"chengdu","from_s":1719799200,"uid":1001,"unit":"sichuan-vision","until_s":null}]}}', '6b4cf8278142c1287b0547beed154ca2451c477e9c7cdf0ceb50a28bc08ffd3b', 'c619420384a6fed782401812805b681f0e390628000cd4de7dafb882e7325f2c');
INSERT INTO public.journal VALUES (9, 'contract:2024-AI-001', 'contract.sign', 'operations', 'operator', 1719799200, 1719799200, NULL, '{"postings":[],"rows":{"contract":[{"account":"CD24-0001","fee_fen":10000000,"from_s":1717171200,"id":"2024-AI-001","provider":"cdaicc","signed_on":"2024-06-01","unit":"sichuan-vision","until_s":1735660800}]}}', 'c619420384a6fed782401812805b681f0e390628000cd4de7dafb882e7325f2c', 'a4b8a7d63c29b6c30b4e608a2dd68d0a4a1597f51e083d9435c82d261be27c19');
INSERT INTO public.journal VALUES (10, 'application:2024-AI-001', 'application.submit', 'operations', 'operator', 1719799200, 1719799200, NULL, '{"postings":[],"rows":{"application":[{"category":"general","channel":"online","contract":"2024-AI-001","id":"A-CD24-0001","paper_sha256":"218a6a472e63aaafff46613df6ce328d37a5c80730d902716af15fd1328be9dd"}]}}', 'a4b8a7d63c29b6c30b4e608a2dd68d0a4a1597f51e083d9435c82d261be27c19', 'c43f6ec278a6a3c86be3f9c09f36a4cc8a2d3b83ea74307c78332c2746e71f7c');
INSERT INTO public.journal VALUES (11, 'review:A-CD24-0001', 'application.confirm', 'eic-review', 'regulator', 1719799200, 1719799200, NULL, '{"postings":[["voucher.left","CD24-0001-1",50000000000],["programme","chengdu-2023",-50000000000]],"rows":{"review":[{"act_sha256":"8aa1e528fda5377aa2e790fb715039f3d44c4032a51036534c7da896e096478d","application":"A-CD24-0001","reason":"complete","verdict":"confirmed"}],"signed_act":[{"key_id":"6854ce74a37b4a9d","sha256":"8aa1e528fda5377aa2e790fb715039f3d44c4032a51036534c7da896e096478d","subject":"A-CD24-0001","text":"{\"act\":\"application.confirm\",\"actor\":\"eic-review\",\"body\":{\"reason\":\"complete\",\"voucher_fen\":5000000},\"book\":\"c1db9542565fb141fefa1e0467144df1\",\"key\":\"6854ce74a37b4a9d\",\"role\":\"regulator\",\"signature\":\"5575736380da34482153bb0a9e5123ad4b963036c5690155d180fd4f27ac41f0744bed00fbca1483fb47d87378ac9f1f87888c1c687c1328cd082c8cc1af5603\",\"subject\":\"A-CD24-0001\",\"subject_hash\":\"c43f6ec278a6a3c86be3f9c09f36a4cc8a2d3b83ea74307c78332c2746e71f7c\"}","verb":"application.confirm"}],"voucher":[{"account":"CD24-0001","amount_fen":5000000,"application":"A-CD24-0001","category":"general","from_s":1719763200,"id":"CD24-0001-1","issued_on":"2024-07-01","trimmed":0,"until_s":1735660800}]}}', 'c43f6ec278a6a3c86be3f9c09f36a4cc8a2d3b83ea74307c78332c2746e71f7c', '8626e5faf7065bc3572018423175ebe4c9a1945548075fcdb4a980fedf2dabf7');
INSERT INTO public.journal VALUES (12, 'payment:BANK-1', 'payment', 'operations', 'operator', 1719799200, 1719799200, NULL, '{"postings":[["bank","cdaicc",50000000000],["cash","CD24-0001",-50000000000]],"rows":{"payment":[{"account":"CD24-0001","amount_fen":5000000,"paid_on":"2024-07-01","reference":"BANK-1"}]}}', '8626e5faf7065bc3572018423175ebe4c9a1945548075fcdb4a980fedf2dabf7', 'c4d09d079bcbbdb61761f878a6d517aad80b2250a7635648ba9bb3a45fa52a42');
INSERT INTO public.journal VALUES (13, 'document:tariff:round-1', 'tariff.load', 'operations', 'operator', 1719799200, 1719799200, NULL, '{"postings":[],"rows":{"document":[{"kind":"tariff","sha256":"e9fb179ce53cdf5cee7c66d7014755a51edc826cedff52a1a85dc136d8d7b323","text":"\ntariff: round-1\nchips: 2024-07\ntimezone: Asia/Shanghai\nclusters:\n  chengdu:\n    partitions:\n      core:\n        provider: cdaicc\n        prices: [{from: 2023-07-01, yuan_per_core_hour: \"1.00\"}]\n      dear:\n        provider: cdaicc\n        prices: [{from: 2023-07-01, yuan_per_core_hour: \"200.00\"}]\n      cards:\n        provider: cdaicc\n        gres: {\"gpu:ascend_910b\": ascend_910b2}\n        capacity: [{from: 2023-07-01, cards: {\"gpu:ascend_910b\": 16}}]\n        prices: [{from: 2023-07-01, yuan_per_pflops_hour: \"1.00\"}]\n      other:\n        provider: nscc-cd\n        prices: [{from: 2023-07-01, yuan_per_core_hour: \"1.00\"}]\n","version":"round-1"}]}}', 'c4d09d079bcbbdb61761f878a6d517aad80b2250a7635648ba9bb3a45fa52a42', 'b1e3647b31ea5bce20945a69292f847c7e75f624fd21424efdd38b6c7271b8b2');
INSERT INTO public.journal VALUES (14, 'usage:adf1cdaa0a531949d48a9c045eb32aae9851df2e371f2f42c1d1a8ce6b5dda5a', 'charge', 'operations', 'operator', 1725940800, 1725940800, NULL, '{"postings":[["accrued","CD24-0001",133000000],["revenue","cdaicc",-133000000]],"rows":{"charge":[{"account":"CD24-0001","charge_micro":133000000,"eligible_micro":133000000,"month":"2024-09","path":"usage/cluster=chengdu/month=2024-09/c094611ecb1733ed.parquet"}],"segment":[{"charge_micro":133000000,"cluster":"chengdu","eligible_micro":133000000,"gflops_s":0,"month":"2024-09","path":"usage/cluster=chengdu/month=2024-09/c094611ecb1733ed.parquet","rows":2,"sha256":"c094611ecb1733eda2ffcab8796fdfc802a9e88c4715853d6624cddbbbd2178d","size_bytes":9879,"submit_max_s":1725937140,"submit_min_s":1725937140,"unrated":0}]}}', 'b1e3647b31ea5bce20945a69292f847c7e75f624fd21424efdd38b6c7271b8b2', '62bcfd558e6cdb2100bfaa848845866cf1ffa8b55a590f774cfe21cc5f621fde');
INSERT INTO public.journal VALUES (15, 'statement:CD24-0001:2024-09', 'statement', 'operations', 'operator', 1728349200, 1728349200, NULL, '{"postings":[["accrued","CD24-0001",-133000000],["claim.unclaimed","cdaicc",66500000],["cash","CD24-0001",66500000],["voucher.left","CD24-0001-1",-66500000],["voucher.deducted","CD24-0001-1",66500000]],"rows":{"deduction":[{"amount_fen":6650,"statement":"S-CD24-0001-2024-09","voucher":"CD24-0001-1"}],"statement":[{"account":"CD24-0001","cash_fen":6650,"charge_micro":133000000,"deduction_fen":6650,"eligible_micro":133000000,"fee_fen":13300,"id":"S-CD24-0001-2024-09","month":"2024-09","receivable_fen":0,"upto_seq":14}],"statement_line":[{"cash_fen":1650,"charge_micro":33000000,"chip":"","cluster":"chengdu","deduction_fen":1650,"eligible_micro":33000000,"fee_fen":3300,"gflops_s":0,"id":"S-CD24-0001-2024-09/1","partition":"core","qos":"high","runs":1,"statement":"S-CD24-0001-2024-09","tariff":"round-1","usage_month":"2024-09"},{"cash_fen":5000,"charge_micro":100000000,"chip":"","cluster":"chengdu","deduction_fen":5000,"eligible_micro":100000000,"fee_fen":10000,"gflops_s":0,"id":"S-CD24-0001-2024-09/2","partition":"core","qos":"normal","runs":1,"statement":"S-CD24-0001-2024-09","tariff":"round-1","usage_month":"2024-09"}]}}', '62bcfd558e6cdb2100bfaa848845866cf1ffa8b55a590f774cfe21cc5f621fde', '05c973536c1258911c04113807186f7ec5f5cc2611fc7a768592693bd6e7417f');
INSERT INTO public.journal VALUES (16, 'closing:cdaicc:2024-09', 'month.close', 'operations', 'operator', 1728349200, 1728349200, NULL, '{"postings":[],"rows":{"closing":[{"at_s":1728349200,"month":"2024-09","provider":"cdaicc","upto_seq":15}]}}', '05c973536c1258911c04113807186f7ec5f5cc2611fc7a768592693bd6e7417f', '61041e90c00c5afae2e8bb371987c12e10704b392a4fa725b9cdb75d78405f5b');
INSERT INTO public.journal VALUES (17, 'invoice:F-1', 'invoice.record', 'operations', 'operator', 1728349200, 1728349200, NULL, '{"postings":[],"rows":{"invoice":[{"gross_fen":6650,"net_fen":6274,"number":"F-1","recorded_on":"2024-10-08","statement":"S-CD24-0001-2024-09","tax_fen":376}]}}', '61041e90c00c5afae2e8bb371987c12e10704b392a4fa725b9cdb75d78405f5b', 'a25332417d8a80cd257bcae967f8e87a48d19028ba9633a50d64aaf2bc1a2402');
INSERT INTO public.journal VALUES (18, 'reserve.grant:R-1', 'reserve.grant', 'finance', 'treasury', 1719799200, 1719799200, NULL, '{"postings":[["reserve.fund","cdaicc",1000000000],["reserve.owed","cdaicc",-1000000000]],"rows":{"reserve_grant":[{"act_sha256":"f1213499c8693231b8d40f610886a6629fb9cb518cc0c7cf4c1775a89fc0b909","amount_fen":100000,"provider":"cdaicc","reference":"R-1"}],"signed_act":[{"key_id":"02ba6479b745f68d","sha256":"f1213499c8693231b8d40f610886a6629fb9cb518cc0c7cf4c1775a89fc0b909","subject":"cdaicc","text":"{\"act\":\"reserve.grant\",\"actor\":\"finance\",\"body\":{\"amount_fen\":100000,\"reference\":\"R-1\"},\"book\":\"c1db9542565fb141fefa1e0467144df1\",\"key\":\"02ba6479b745f68d\",\"role\":\"treasury\",\"signature\":\"99c9d7e118dea568980b02cb933e332766b186515b4350e0e6bc8f7b0e6a6ab6f6c028f58fb77cc96ed7101b9054dfa25e84fd78d99cc8c563e1db7088e76304\",\"subject\":\"cdaicc\",\"subject_hash\":\"bf26f5b27dc371f27630c8a86d11107518685a6f03f287d3fabfd4fa809bc798\"}","verb":"reserve.grant"}]}}', 'a25332417d8a80cd257bcae967f8e87a48d19028ba9633a50d64aaf2bc1a2402', '4af8e105340f73d9afe6c2633858d37004367fc3d8f0c2116edff3d24118fd65');
INSERT INTO public.journal VALUES (19, 'reserve.draw:S-CD24-0001-2024-09/1', 'reserve.draw', 'operations', 'operator', 1736481600, 1736481600, NULL, '{"postings":[["reserve.fund","cdaicc",-16500000],["bank","cdaicc",16500000]],"rows":{"reserve_draw":[{"amount_fen":1650,"line":"S-CD24-0001-2024-09/1","provider":"cdaicc"}]}}', '4af8e105340f73d9afe6c2633858d37004367fc3d8f0c2116edff3d24118fd65', 'db98338643dde057a441e0dd305a2cd38cb8a423ccc055089478696acc12290a');
INSERT INTO public.journal VALUES (20, 'claim:C-cdaicc-2024-Q3-1', 'claim.open', 'operations', 'operator', 1728349200, 1728349200, NULL, '{"postings":[],"rows":{"claim":[{"amount_fen":6650,"id":"C-cdaicc-2024-Q3-1","provider":"cdaicc","quarter":"2024-Q3"}],"claim_line":[{"amount_fen":1650,"claim":"C-cdaicc-2024-Q3-1","line":"S-CD24-0001-2024-09/1"},{"amount_fen":5000,"claim":"C-cdaicc-2024-Q3-1","line":"S-CD24-0001-2024-09/2"}]}}', 'db98338643dde057a441e0dd305a2cd38cb8a423ccc055089478696acc12290a', 'd4bbcd1d5d06900adcf90f5097dab146872e6da25b32e7246c2ce48dd498c793');
INSERT INTO public.journal VALUES (21, 'claim.submit:C-cdaicc-2024-Q3-1', 'claim.submit', 'operations', 'operator', 1728349200, 1728349200, NULL, '{"postings":[["claim.unclaimed","cdaicc",-66500000],["claim.review","cdaicc",66500000]],"rows":{"claim_submission":[{"claim":"C-cdaicc-2024-Q3-1","packet_sha256":"ef216babfadd61f2747b136a2a16f158d4507ee5c016998575d597f395490723"}]}}', 'd4bbcd1d5d06900adcf90f5097dab146872e6da25b32e7246c2ce48dd498c793', '5f2b2c7ac9c7bd6fb0fa0b01b933ccdb3353707f1a6a450947a7936ee0a40f3d');
INSERT INTO public.journal VALUES (22, 'claim.review:C-cdaicc-2024-Q3-1', 'claim.review', 'eic-review', 'regulator', 1736481600, 1736481600, NULL, '{"postings":[["claim.review","cdaicc",-66500000],["claim.approved","cdaicc",16500000],["claim.disputed","cdaicc",50000000]],"rows":{"claim_review":[{"act_sha256":"fcaeeeb6195f288b7877d1f340042290c80099e2edf7d611449721c9291c4591","approved_fen":1650,"claim":"C-cdaicc-2024-Q3-1","line":"S-CD24-0001-2024-09/1","reason":"checked"},{"act_sha256":"fcaeeeb6195f288b7877d1f340042290c80099e2edf7d611449721c9291c4591","approved_fen":0,"claim":"C-cdaicc-2024-Q3-1","line":"S-CD24-0001-2024-09/2","reason":"no proof"}],"signed_act":[{"key_id":"6854ce74a37b4a9d","sha256":"fcaeeeb6195f288b7877d1f340042290c80099e2edf7d611449721c9291c4591","subject":"C-cdaicc-2024-Q3-1","text":"{\"act\":\"claim.review\",\"actor\":\"eic-review\",\"body\":{\"approved_fen\":{\"S-CD24-0001-2024-09/1\":1650,\"S-CD24-0001-2024-09/2\":0},\"reasons\":{\"S-CD24-0001-2024-09/1\":\"checked\",\"S-CD24-0001-2024-09/2\":\"no proof\"}},\"book\":\"c1db9542565fb141fefa1e0467144df1\",\"key\":\"6854ce74a37b4a9d\",\"role\":\"regulator\",\"signature\":\"8ef762ff317261211fe6b2f1caecd7809b7dbb989b704ac75125e73e46d8375348e1bfc621e19b5d8b0a69cb1f883bfb3ecfc9d6b69c43896d165f9993976a08\",\"subject\":\"C-cdaicc-2024-Q3-1\",\"subject_hash\":\"d4bbcd1d5d06900adcf90f5097dab146872e6da25b32e7246c2ce48dd498c793\"}","verb":"claim.review"}]}}', '5f2b2c7ac9c7bd6fb0fa0b01b933ccdb3353707f1a6a450947a7936ee0a40f3d', '9e8db76b673d84fcc29726c1757bcc5d36188ca40b23f4e2f8ac546f17115526');
INSERT INTO public.journal VALUES (23, 'claim.pay:C-cdaicc-2024-Q3-1', 'claim.pay', 'finance', 'treasury', 1736481600, 1736481600, NULL, '{"postings":[["claim.approved","cdaicc",-16500000],["reserve.fund","cdaicc",16500000]],"rows":{"payout":[{"act_sha256":"8bbefc90b4eace8f737ece2e5b93a702ca5233b787f299887288f653f3d09079","amount_fen":1650,"claim":"C-cdaicc-2024-Q3-1","paid_on":"2025-01-10","reference":"P-C-cdaicc-2024-Q3-1","repaid_fen":1650}],"signed_act":[{"key_id":"02ba6479b745f68d","sha256":"8bbefc90b4eace8f737ece2e5b93a702ca5233b787f299887288f653f3d09079","subject":"C-cdaicc-2024-Q3-1","text":"{\"act\":\"claim.pay\",\"actor\":\"finance\",\"body\":{\"amount_fen\":1650,\"paid_on\":\"2025-01-10\",\"reference\":\"P-C-cdaicc-2024-Q3-1\"},\"book\":\"c1db9542565fb141fefa1e0467144df1\",\"key\":\"02ba6479b745f68d\",\"role\":\"treasury\",\"signature\":\"86c61a34a44115598e62ebca7c8af8d23b58bfc8356ce36a52ef33ed42a7aab3b6e0f2d70cc50e89d2acdc3c5aaa76262d22d2bfe5b5f9b70d1100eabc7e0305\",\"subject\":\"C-cdaicc-2024-Q3-1\",\"subject_hash\":\"d4bbcd1d5d06900adcf90f5097dab146872e6da25b32e7246c2ce48dd498c793\"}","verb":"claim.pay"}]}}', '9e8db76b673d84fcc29726c1757bcc5d36188ca40b23f4e2f8ac546f17115526', '3a8d9c6f5c1ee7ce22a5a946c0a60d123871f429e0e97c61f178cafd6187b396');
INSERT INTO public.journal VALUES (24, 'anchor:2024-10-08', 'anchor', 'operations', 'operator', 1728349200, 1728349200, NULL, '{"postings":[],"rows":{"anchor":[{"day":"2024-10-08","head_hash":"3a8d9c6f5c1ee7ce22a5a946c0a60d123871f429e0e97c61f178cafd6187b396","head_seq":23,"key_id":"4d8b6501d4abe627","signature":"c0c2074e38fb22b8fbf4fe43a8eb05c9d1333ea32841db03a81dc063989be4855261aea660780e05c120c19dcc15543858f54bc61fda55d37fe55312d1c4ad02"}]}}', '3a8d9c6f5c1ee7ce22a5a946c0a60d123871f429e0e97c61f178cafd6187b396', '601f7d27993780b570546fe21d2b3f448fe4d9984ac25008a272b3c07febec72');
INSERT INTO public.journal VALUES (25, 'usage:6beec820f67c5b7c78cadd5573469e75c1b9f5ad6bfab8dc34f82a55b435d1c0', 'charge', 'operations', 'operator', 1731211200, 1731211200, NULL, '{"postings":[["accrued","CD24-0001",68000000],["revenue","cdaicc",-68000000]],"rows":{"charge":[{"account":"CD24-0001","charge_micro":68000000,"eligible_micro":68000000,"month":"2024-11","path":"usage/cluster=chengdu/month=2024-11/b9d41e359a5bafa4.parquet"}],"segment":[{"charge_micro":68000000,"cluster":"chengdu","eligible_micro":68000000,"gflops_s":0,"month":"2024-11","path":"usage/cluster=chengdu/month=2024-11/b9d41e359a5bafa4.parquet","rows":2,"sha256":"b9d41e359a5bafa4a14a802c4e2b0df264a9780ebff9d001d428e56fee26f37e","size_bytes":10039,"submit_max_s":1731207540,"submit_min_s":1731207540,"unrated":0}]}}', '601f7d27993780b570546fe21d2b3f448fe4d9984ac25008a272b3c07febec72', 'ec4decef8cb829aeb20f7679dbb4563e65bfd695fb08fc89ad0e7161843ece0e');
INSERT INTO public.journal VALUES (26, 'statement:CD24-0001:2024-11', 'statement', 'operations', 'operator', 1733360400, 1733360400, NULL, '{"postings":[["accrued","CD24-0001",-68000000],["claim.unclaimed","cdaicc",34000000],["cash","CD24-0001",34000000],["voucher.left","CD24-0001-1",-34000000],["voucher.deducted","CD24-0001-1",34000000]],"rows":{"deduction":[{"amount_fen":3400,"statement":"S-CD24-0001-2024-11","voucher":"CD24-0001-1"}],"statement":[{"account":"CD24-0001","cash_fen":3400,"charge_micro":68000000,"deduction_fen":3400,"eligible_micro":68000000,"fee_fen":6800,"id":"S-CD24-0001-2024-11","month":"2024-11","receivable_fen":0,"upto_seq":25}],"statement_line":[{"cash_fen":3400,"charge_micro":68000000,"chip":"","cluster":"chengdu","deduction_fen":3400,"eligible_micro":68000000,"fee_fen":6800,"gflops_s":0,"id":"S-CD24-0001-2024-11/1","partition":"core","qos":"normal","runs":2,"statement":"S-CD24-0001-2024-11","tariff":"round-1","usage_month":"2024-11"}]}}', 'ec4decef8cb829aeb20f7679dbb4563e65bfd695fb08fc89ad0e7161843ece0e', 'c5124e8e2e326a821261c511b0e3b5356327082f36884cca670efd1c0977917f');
INSERT INTO public.journal VALUES (27, 'closing:cdaicc:2024-11', 'month.close', 'operations', 'operator', 1733360400, 1733360400, NULL, '{"postings":[],"rows":{"closing":[{"at_s":1733360400,"month":"2024-11","provider":"cdaicc","upto_seq":26}]}}', 'c5124e8e2e326a821261c511b0e3b5356327082f36884cca670efd1c0977917f', 'c445c9c174a8f43b496f6e316f984ddafe68b4a00af3896205950574d967f689');
INSERT INTO public.journal VALUES (28, 'usage:56c7e93b88f64de0927e2cbf87d22da59c75e4667c3e49e30ff66b56a66a0ad1', 'charge', 'operations', 'operator', 1733803200, 1733803200, NULL, '{"postings":[["accrued","CD24-0001",12000000],["revenue","cdaicc",-12000000]],"rows":{"charge":[{"account":"CD24-0001","charge_micro":12000000,"eligible_micro":12000000,"month":"2024-12","path":"usage/cluster=chengdu/month=2024-12/a308a79dc84def47.parquet"}],"segment":[{"charge_micro":12000000,"cluster":"chengdu","eligible_micro":12000000,"gflops_s":0,"month":"2024-12","path":"usage/cluster=chengdu/month=2024-12/a308a79dc84def47.parquet","rows":1,"sha256":"a308a79dc84def47f1d0b71ffae1c056a363aa2af752b540552aa48140307f4d","size_bytes":9842,"submit_max_s":1733799540,"submit_min_s":1733799540,"unrated":0}]}}', 'c445c9c174a8f43b496f6e316f984ddafe68b4a00af3896205950574d967f689', 'df366e475e3bbbc30ec8bae039acf72fc44fbbee0439aadb2c229a163f6c0dd1');


--
-- Data for Name: member; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.member VALUES (8, 'sichuan-vision', 'chengdu', 1001, 1719799200, NULL);


--
-- Data for Name: member_end; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: payment; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.payment VALUES (12, 'BANK-1', 'CD24-0001', 5000000, '2024-07-01');


--
-- Data for Name: payout; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.payout VALUES (23, 'C-cdaicc-2024-Q3-1', 'P-C-cdaicc-2024-Q3-1', 1650, 1650, '2025-01-10', '8bbefc90b4eace8f737ece2e5b93a702ca5233b787f299887288f653f3d09079');


--
-- Data for Name: posting; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.posting VALUES (11, 0, 'voucher.left', 'CD24-0001-1', 50000000000);
INSERT INTO public.posting VALUES (11, 1, 'programme', 'chengdu-2023', -50000000000);
INSERT INTO public.posting VALUES (12, 0, 'bank', 'cdaicc', 50000000000);
INSERT INTO public.posting VALUES (12, 1, 'cash', 'CD24-0001', -50000000000);
INSERT INTO public.posting VALUES (14, 0, 'accrued', 'CD24-0001', 133000000);
INSERT INTO public.posting VALUES (14, 1, 'revenue', 'cdaicc', -133000000);
INSERT INTO public.posting VALUES (15, 0, 'accrued', 'CD24-0001', -133000000);
INSERT INTO public.posting VALUES (15, 1, 'claim.unclaimed', 'cdaicc', 66500000);
INSERT INTO public.posting VALUES (15, 2, 'cash', 'CD24-0001', 66500000);
INSERT INTO public.posting VALUES (15, 3, 'voucher.left', 'CD24-0001-1', -66500000);
INSERT INTO public.posting VALUES (15, 4, 'voucher.deducted', 'CD24-0001-1', 66500000);
INSERT INTO public.posting VALUES (18, 0, 'reserve.fund', 'cdaicc', 1000000000);
INSERT INTO public.posting VALUES (18, 1, 'reserve.owed', 'cdaicc', -1000000000);
INSERT INTO public.posting VALUES (19, 0, 'reserve.fund', 'cdaicc', -16500000);
INSERT INTO public.posting VALUES (19, 1, 'bank', 'cdaicc', 16500000);
INSERT INTO public.posting VALUES (21, 0, 'claim.unclaimed', 'cdaicc', -66500000);
INSERT INTO public.posting VALUES (21, 1, 'claim.review', 'cdaicc', 66500000);
INSERT INTO public.posting VALUES (22, 0, 'claim.review', 'cdaicc', -66500000);
INSERT INTO public.posting VALUES (22, 1, 'claim.approved', 'cdaicc', 16500000);
INSERT INTO public.posting VALUES (22, 2, 'claim.disputed', 'cdaicc', 50000000);
INSERT INTO public.posting VALUES (23, 0, 'claim.approved', 'cdaicc', -16500000);
INSERT INTO public.posting VALUES (23, 1, 'reserve.fund', 'cdaicc', 16500000);
INSERT INTO public.posting VALUES (25, 0, 'accrued', 'CD24-0001', 68000000);
INSERT INTO public.posting VALUES (25, 1, 'revenue', 'cdaicc', -68000000);
INSERT INTO public.posting VALUES (26, 0, 'accrued', 'CD24-0001', -68000000);
INSERT INTO public.posting VALUES (26, 1, 'claim.unclaimed', 'cdaicc', 34000000);
INSERT INTO public.posting VALUES (26, 2, 'cash', 'CD24-0001', 34000000);
INSERT INTO public.posting VALUES (26, 3, 'voucher.left', 'CD24-0001-1', -34000000);
INSERT INTO public.posting VALUES (26, 4, 'voucher.deducted', 'CD24-0001-1', 34000000);
INSERT INTO public.posting VALUES (28, 0, 'accrued', 'CD24-0001', 12000000);
INSERT INTO public.posting VALUES (28, 1, 'revenue', 'cdaicc', -12000000);


--
-- Data for Name: provider; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.provider VALUES (2, 'cdaicc', '成都智算中心');
INSERT INTO public.provider VALUES (3, 'nscc-cd', '国家超级计算成都中心');


--
-- Data for Name: reserve_draw; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.reserve_draw VALUES (19, 'S-CD24-0001-2024-09/1', 'cdaicc', 1650);


--
-- Data for Name: reserve_grant; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.reserve_grant VALUES (18, 'R-1', 'cdaicc', 100000, 'f1213499c8693231b8d40f610886a6629fb9cb518cc0c7cf4c1775a89fc0b909');


--
-- Data for Name: revenue; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.revenue VALUES (7, 'sichuan-vision', 2023, 2000000000);


--
-- Data for Name: review; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.review VALUES (11, 'A-CD24-0001', 'confirmed', 'complete', '8aa1e528fda5377aa2e790fb715039f3d44c4032a51036534c7da896e096478d');


--
-- Data for Name: segment; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.segment VALUES (14, 'usage/cluster=chengdu/month=2024-09/c094611ecb1733ed.parquet', 'chengdu', '2024-09', 2, 'c094611ecb1733eda2ffcab8796fdfc802a9e88c4715853d6624cddbbbd2178d', 9879, 1725937140, 1725937140, 0, 133000000, 133000000, 0);
INSERT INTO public.segment VALUES (25, 'usage/cluster=chengdu/month=2024-11/b9d41e359a5bafa4.parquet', 'chengdu', '2024-11', 2, 'b9d41e359a5bafa4a14a802c4e2b0df264a9780ebff9d001d428e56fee26f37e', 10039, 1731207540, 1731207540, 0, 68000000, 68000000, 0);
INSERT INTO public.segment VALUES (28, 'usage/cluster=chengdu/month=2024-12/a308a79dc84def47.parquet', 'chengdu', '2024-12', 1, 'a308a79dc84def47f1d0b71ffae1c056a363aa2af752b540552aa48140307f4d', 9842, 1733799540, 1733799540, 0, 12000000, 12000000, 0);


--
-- Data for Name: signed_act; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.signed_act VALUES (11, '8aa1e528fda5377aa2e790fb715039f3d44c4032a51036534c7da896e096478d', 'application.confirm', 'A-CD24-0001', '6854ce74a37b4a9d', '{"act":"application.confirm","actor":"eic-review","body":{"reason":"complete","voucher_fen":5000000},"book":"c1db9542565fb141fefa1e0467144df1","key":"6854ce74a37b4a9d","role":"regulator","signature":"5575736380da34482153bb0a9e5123ad4b963036c5690155d180fd4f27ac41f0744bed00fbca1483fb47d87378ac9f1f87888c1c687c1328cd082c8cc1af5603","subject":"A-CD24-0001","subject_hash":"c43f6ec278a6a3c86be3f9c09f36a4cc8a2d3b83ea74307c78332c2746e71f7c"}');
INSERT INTO public.signed_act VALUES (18, 'f1213499c8693231b8d40f610886a6629fb9cb518cc0c7cf4c1775a89fc0b909', 'reserve.grant', 'cdaicc', '02ba6479b745f68d', '{"act":"reserve.grant","actor":"finance","body":{"amount_fen":100000,"reference":"R-1"},"book":"c1db9542565fb141fefa1e0467144df1","key":"02ba6479b745f68d","role":"treasury","signature":"99c9d7e118dea568980b02cb933e332766b186515b4350e0e6bc8f7b0e6a6ab6f6c028f58fb77cc96ed7101b9054dfa25e84fd78d99cc8c563e1db7088e76304","subject":"cdaicc","subject_hash":"bf26f5b27dc371f27630c8a86d11107518685a6f03f287d3fabfd4fa809bc798"}');
INSERT INTO public.signed_act VALUES (22, 'fcaeeeb6195f288b7877d1f340042290c80099e2edf7d611449721c9291c4591', 'claim.review', 'C-cdaicc-2024-Q3-1', '6854ce74a37b4a9d', '{"act":"claim.review","actor":"eic-review","body":{"approved_fen":{"S-CD24-0001-2024-09/1":1650,"S-CD24-0001-2024-09/2":0},"reasons":{"S-CD24-0001-2024-09/1":"checked","S-CD24-0001-2024-09/2":"no proof"}},"book":"c1db9542565fb141fefa1e0467144df1","key":"6854ce74a37b4a9d","role":"regulator","signature":"8ef762ff317261211fe6b2f1caecd7809b7dbb989b704ac75125e73e46d8375348e1bfc621e19b5d8b0a69cb1f883bfb3ecfc9d6b69c43896d165f9993976a08","subject":"C-cdaicc-2024-Q3-1","subject_hash":"d4bbcd1d5d06900adcf90f5097dab146872e6da25b32e7246c2ce48dd498c793"}');
INSERT INTO public.signed_act VALUES (23, '8bbefc90b4eace8f737ece2e5b93a702ca5233b787f299887288f653f3d09079', 'claim.pay', 'C-cdaicc-2024-Q3-1', '02ba6479b745f68d', '{"act":"claim.pay","actor":"finance","body":{"amount_fen":1650,"paid_on":"2025-01-10","reference":"P-C-cdaicc-2024-Q3-1"},"book":"c1db9542565fb141fefa1e0467144df1","key":"02ba6479b745f68d","role":"treasury","signature":"86c61a34a44115598e62ebca7c8af8d23b58bfc8356ce36a52ef33ed42a7aab3b6e0f2d70cc50e89d2acdc3c5aaa76262d22d2bfe5b5f9b70d1100eabc7e0305","subject":"C-cdaicc-2024-Q3-1","subject_hash":"d4bbcd1d5d06900adcf90f5097dab146872e6da25b32e7246c2ce48dd498c793"}');


--
-- Data for Name: signing_key; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.signing_key VALUES (4, '6854ce74a37b4a9d', 'regulator', 'eic-review', 'bbcb1920b03cf3d2c93e36af16556c62debdaee15a553444989652cfecffdb76');
INSERT INTO public.signing_key VALUES (5, '02ba6479b745f68d', 'treasury', 'finance', 'cb0bfa8e9e8c2ba824d9044204920fe9721d247875c76bcab2c2f7544e83f9fd');
INSERT INTO public.signing_key VALUES (6, '4d8b6501d4abe627', 'system', 'book-head', '74018afa598132083bae4e4cee88dbb260fc31024ee76090d538d60c3192d45f');


--
-- Data for Name: statement; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.statement VALUES (15, 'S-CD24-0001-2024-09', 'CD24-0001', '2024-09', 14, 133000000, 133000000, 13300, 6650, 6650, 0);
INSERT INTO public.statement VALUES (26, 'S-CD24-0001-2024-11', 'CD24-0001', '2024-11', 25, 68000000, 68000000, 6800, 3400, 3400, 0);


--
-- Data for Name: statement_line; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.statement_line VALUES (15, 'S-CD24-0001-2024-09/1', 'S-CD24-0001-2024-09', '2024-09', 'chengdu', 'core', 'high', '', 'round-1', 1, 0, 33000000, 33000000, 3300, 1650, 1650);
INSERT INTO public.statement_line VALUES (15, 'S-CD24-0001-2024-09/2', 'S-CD24-0001-2024-09', '2024-09', 'chengdu', 'core', 'normal', '', 'round-1', 1, 0, 100000000, 100000000, 10000, 5000, 5000);
INSERT INTO public.statement_line VALUES (26, 'S-CD24-0001-2024-11/1', 'S-CD24-0001-2024-11', '2024-11', 'chengdu', 'core', 'normal', '', 'round-1', 2, 0, 68000000, 68000000, 6800, 3400, 3400);


--
-- Data for Name: unit; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.unit VALUES (7, 'sichuan-vision', 'sichuan-vision 有限公司', '91510100MA2632625N', 'enterprise');


--
-- Data for Name: voucher; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.voucher VALUES (11, 'CD24-0001-1', 'CD24-0001', 'A-CD24-0001', 'general', '2024-07-01', 5000000, 0, 1719763200, 1735660800);


--
-- Data for Name: voucher_end; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: watermark; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Name: anchor anchor_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.anchor
    ADD CONSTRAINT anchor_pkey PRIMARY KEY (day);


--
-- Name: application application_contract_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.application
    ADD CONSTRAINT application_contract_key UNIQUE (contract);


--
-- Name: application application_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.application
    ADD CONSTRAINT application_pkey PRIMARY KEY (id);


--
-- Name: book book_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.book
    ADD CONSTRAINT book_pkey PRIMARY KEY (book_id);


--
-- Name: charge charge_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.charge
    ADD CONSTRAINT charge_pkey PRIMARY KEY (path, account, month);


--
-- Name: claim_line claim_line_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.claim_line
    ADD CONSTRAINT claim_line_pkey PRIMARY KEY (claim, line);


--
-- Name: claim claim_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.claim
    ADD CONSTRAINT claim_pkey PRIMARY KEY (id);


--
-- Name: claim_review claim_review_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.claim_review
    ADD CONSTRAINT claim_review_pkey PRIMARY KEY (claim, line);


--
-- Name: claim_submission claim_submission_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.claim_submission
    ADD CONSTRAINT claim_submission_pkey PRIMARY KEY (claim);


--
-- Name: closing closing_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.closing
    ADD CONSTRAINT closing_pkey PRIMARY KEY (provider, month);


--
-- Name: contract contract_account_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.contract
    ADD CONSTRAINT contract_account_key UNIQUE (account);


--
-- Name: contract contract_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.contract
    ADD CONSTRAINT contract_pkey PRIMARY KEY (id);


--
-- Name: deduction deduction_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.deduction
    ADD CONSTRAINT deduction_pkey PRIMARY KEY (statement, voucher);


--
-- Name: document document_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.document
    ADD CONSTRAINT document_pkey PRIMARY KEY (kind, version);


--
-- Name: hold_bind hold_bind_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.hold_bind
    ADD CONSTRAINT hold_bind_pkey PRIMARY KEY (hold);


--
-- Name: hold_end hold_end_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.hold_end
    ADD CONSTRAINT hold_end_pkey PRIMARY KEY (hold, task);


--
-- Name: hold_missing hold_missing_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.hold_missing
    ADD CONSTRAINT hold_missing_pkey PRIMARY KEY (hold, snapshot_s);


--
-- Name: hold hold_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.hold
    ADD CONSTRAINT hold_pkey PRIMARY KEY (id);


--
-- Name: invoice invoice_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.invoice
    ADD CONSTRAINT invoice_pkey PRIMARY KEY (number);


--
-- Name: invoice invoice_statement_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.invoice
    ADD CONSTRAINT invoice_statement_key UNIQUE (statement);


--
-- Name: journal journal_hash_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.journal
    ADD CONSTRAINT journal_hash_key UNIQUE (hash);


--
-- Name: journal journal_key_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.journal
    ADD CONSTRAINT journal_key_key UNIQUE (key);


--
-- Name: journal journal_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.journal
    ADD CONSTRAINT journal_pkey PRIMARY KEY (seq);


--
-- Name: journal journal_reverses_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.journal
    ADD CONSTRAINT journal_reverses_key UNIQUE (reverses);


--
-- Name: member_end member_end_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.member_end
    ADD CONSTRAINT member_end_pkey PRIMARY KEY (unit, cluster, uid, from_s);


--
-- Name: member member_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.member
    ADD CONSTRAINT member_pkey PRIMARY KEY (unit, cluster, uid, from_s);


--
-- Name: payment payment_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.payment
    ADD CONSTRAINT payment_pkey PRIMARY KEY (reference);


--
-- Name: payout payout_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.payout
    ADD CONSTRAINT payout_pkey PRIMARY KEY (claim);


--
-- Name: payout payout_reference_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.payout
    ADD CONSTRAINT payout_reference_key UNIQUE (reference);


--
-- Name: posting posting_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.posting
    ADD CONSTRAINT posting_pkey PRIMARY KEY (seq, line);


--
-- Name: provider provider_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.provider
    ADD CONSTRAINT provider_pkey PRIMARY KEY (id);


--
-- Name: reserve_draw reserve_draw_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.reserve_draw
    ADD CONSTRAINT reserve_draw_pkey PRIMARY KEY (line);


--
-- Name: reserve_grant reserve_grant_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.reserve_grant
    ADD CONSTRAINT reserve_grant_pkey PRIMARY KEY (reference);


--
-- Name: revenue revenue_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.revenue
    ADD CONSTRAINT revenue_pkey PRIMARY KEY (unit, year);


--
-- Name: review review_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.review
    ADD CONSTRAINT review_pkey PRIMARY KEY (application);


--
-- Name: segment segment_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.segment
    ADD CONSTRAINT segment_pkey PRIMARY KEY (path);


--
-- Name: signed_act signed_act_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.signed_act
    ADD CONSTRAINT signed_act_pkey PRIMARY KEY (sha256);


--
-- Name: signing_key signing_key_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.signing_key
    ADD CONSTRAINT signing_key_pkey PRIMARY KEY (key_id);


--
-- Name: statement statement_account_month_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.statement
    ADD CONSTRAINT statement_account_month_key UNIQUE (account, month);


--
-- Name: statement_line statement_line_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.statement_line
    ADD CONSTRAINT statement_line_pkey PRIMARY KEY (id);


--
-- Name: statement statement_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.statement
    ADD CONSTRAINT statement_pkey PRIMARY KEY (id);


--
-- Name: unit unit_credit_code_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.unit
    ADD CONSTRAINT unit_credit_code_key UNIQUE (credit_code);


--
-- Name: unit unit_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.unit
    ADD CONSTRAINT unit_pkey PRIMARY KEY (id);


--
-- Name: voucher voucher_application_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.voucher
    ADD CONSTRAINT voucher_application_key UNIQUE (application);


--
-- Name: voucher_end voucher_end_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.voucher_end
    ADD CONSTRAINT voucher_end_pkey PRIMARY KEY (voucher, kind, at_s);


--
-- Name: voucher voucher_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.voucher
    ADD CONSTRAINT voucher_pkey PRIMARY KEY (id);


--
-- Name: watermark watermark_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.watermark
    ADD CONSTRAINT watermark_pkey PRIMARY KEY (cluster, sweep);


--
-- Name: anchor_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX anchor_seq ON public.anchor USING btree (seq);


--
-- Name: application_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX application_seq ON public.application USING btree (seq);


--
-- Name: book_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX book_seq ON public.book USING btree (seq);


--
-- Name: charge_account; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX charge_account ON public.charge USING btree (account, month);


--
-- Name: charge_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX charge_seq ON public.charge USING btree (seq);


--
-- Name: claim_line_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX claim_line_seq ON public.claim_line USING btree (seq);


--
-- Name: claim_review_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX claim_review_seq ON public.claim_review USING btree (seq);


--
-- Name: claim_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX claim_seq ON public.claim USING btree (seq);


--
-- Name: claim_submission_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX claim_submission_seq ON public.claim_submission USING btree (seq);


--
-- Name: closing_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX closing_seq ON public.closing USING btree (seq);


--
-- Name: contract_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX contract_seq ON public.contract USING btree (seq);


--
-- Name: deduction_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX deduction_seq ON public.deduction USING btree (seq);


--
-- Name: document_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX document_seq ON public.document USING btree (seq);


--
-- Name: hold_account; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX hold_account ON public.hold USING btree (account);


--
-- Name: hold_bind_job; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX hold_bind_job ON public.hold_bind USING btree (cluster, job_id);


--
-- Name: invoice_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX invoice_seq ON public.invoice USING btree (seq);


--
-- Name: member_end_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX member_end_seq ON public.member_end USING btree (seq);


--
-- Name: member_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX member_seq ON public.member USING btree (seq);


--
-- Name: payment_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX payment_seq ON public.payment USING btree (seq);


--
-- Name: payout_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX payout_seq ON public.payout USING btree (seq);


--
-- Name: posting_owner; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX posting_owner ON public.posting USING btree (owner, account);


--
-- Name: provider_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX provider_seq ON public.provider USING btree (seq);


--
-- Name: reserve_draw_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX reserve_draw_seq ON public.reserve_draw USING btree (seq);


--
-- Name: reserve_grant_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX reserve_grant_seq ON public.reserve_grant USING btree (seq);


--
-- Name: revenue_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX revenue_seq ON public.revenue USING btree (seq);


--
-- Name: review_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX review_seq ON public.review USING btree (seq);


--
-- Name: segment_cluster; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX segment_cluster ON public.segment USING btree (cluster, month);


--
-- Name: segment_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX segment_seq ON public.segment USING btree (seq);


--
-- Name: signed_act_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX signed_act_seq ON public.signed_act USING btree (seq);


--
-- Name: signing_key_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX signing_key_seq ON public.signing_key USING btree (seq);


--
-- Name: statement_line_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX statement_line_seq ON public.statement_line USING btree (seq);


--
-- Name: statement_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX statement_seq ON public.statement USING btree (seq);


--
-- Name: unit_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX unit_seq ON public.unit USING btree (seq);


--
-- Name: voucher_end_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX voucher_end_seq ON public.voucher_end USING btree (seq);


--
-- Name: voucher_seq; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX voucher_seq ON public.voucher USING btree (seq);


--
-- Name: anchor anchor_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER anchor_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.anchor FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: anchor anchor_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER anchor_sealed BEFORE INSERT ON public.anchor FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: application application_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER application_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.application FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: application application_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER application_sealed BEFORE INSERT ON public.application FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: book book_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER book_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.book FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: book book_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER book_sealed BEFORE INSERT ON public.book FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: charge charge_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER charge_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.charge FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: charge charge_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER charge_sealed BEFORE INSERT ON public.charge FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: claim claim_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER claim_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.claim FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: claim_line claim_line_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER claim_line_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.claim_line FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: claim_line claim_line_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER claim_line_sealed BEFORE INSERT ON public.claim_line FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: claim_review claim_review_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER claim_review_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.claim_review FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: claim_review claim_review_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER claim_review_sealed BEFORE INSERT ON public.claim_review FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: claim claim_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER claim_sealed BEFORE INSERT ON public.claim FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: claim_submission claim_submission_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER claim_submission_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.claim_submission FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: claim_submission claim_submission_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER claim_submission_sealed BEFORE INSERT ON public.claim_submission FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: closing closing_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER closing_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.closing FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: closing closing_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER closing_sealed BEFORE INSERT ON public.closing FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: contract contract_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER contract_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.contract FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: contract contract_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER contract_sealed BEFORE INSERT ON public.contract FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: deduction deduction_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER deduction_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.deduction FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: deduction deduction_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER deduction_sealed BEFORE INSERT ON public.deduction FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: document document_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER document_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.document FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: document document_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER document_sealed BEFORE INSERT ON public.document FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: invoice invoice_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER invoice_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.invoice FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: invoice invoice_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER invoice_sealed BEFORE INSERT ON public.invoice FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: journal journal_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER journal_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.journal FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: journal journal_balanced; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER journal_balanced BEFORE INSERT ON public.journal FOR EACH ROW EXECUTE FUNCTION public.journal_balanced();


--
-- Name: member member_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER member_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.member FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: member_end member_end_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER member_end_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.member_end FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: member_end member_end_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER member_end_sealed BEFORE INSERT ON public.member_end FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: member member_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER member_sealed BEFORE INSERT ON public.member FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: payment payment_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER payment_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.payment FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: payment payment_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER payment_sealed BEFORE INSERT ON public.payment FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: payout payout_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER payout_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.payout FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: payout payout_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER payout_sealed BEFORE INSERT ON public.payout FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: posting posting_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER posting_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.posting FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: posting posting_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER posting_sealed BEFORE INSERT ON public.posting FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: provider provider_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER provider_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.provider FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: provider provider_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER provider_sealed BEFORE INSERT ON public.provider FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: reserve_draw reserve_draw_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER reserve_draw_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.reserve_draw FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: reserve_draw reserve_draw_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER reserve_draw_sealed BEFORE INSERT ON public.reserve_draw FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: reserve_grant reserve_grant_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER reserve_grant_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.reserve_grant FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: reserve_grant reserve_grant_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER reserve_grant_sealed BEFORE INSERT ON public.reserve_grant FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: revenue revenue_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER revenue_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.revenue FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: revenue revenue_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER revenue_sealed BEFORE INSERT ON public.revenue FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: review review_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER review_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.review FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: review review_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER review_sealed BEFORE INSERT ON public.review FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: segment segment_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER segment_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.segment FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: segment segment_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER segment_sealed BEFORE INSERT ON public.segment FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: signed_act signed_act_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER signed_act_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.signed_act FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: signed_act signed_act_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER signed_act_sealed BEFORE INSERT ON public.signed_act FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: signing_key signing_key_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER signing_key_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.signing_key FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: signing_key signing_key_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER signing_key_sealed BEFORE INSERT ON public.signing_key FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: statement statement_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER statement_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.statement FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: statement_line statement_line_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER statement_line_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.statement_line FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: statement_line statement_line_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER statement_line_sealed BEFORE INSERT ON public.statement_line FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: statement statement_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER statement_sealed BEFORE INSERT ON public.statement FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: unit unit_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER unit_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.unit FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: unit unit_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER unit_sealed BEFORE INSERT ON public.unit FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: voucher voucher_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER voucher_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.voucher FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: voucher_end voucher_end_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER voucher_end_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.voucher_end FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: voucher_end voucher_end_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER voucher_end_sealed BEFORE INSERT ON public.voucher_end FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: voucher voucher_sealed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER voucher_sealed BEFORE INSERT ON public.voucher FOR EACH ROW EXECUTE FUNCTION public.entry_sealed();


--
-- Name: anchor anchor_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.anchor
    ADD CONSTRAINT anchor_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: application application_contract_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.application
    ADD CONSTRAINT application_contract_fkey FOREIGN KEY (contract) REFERENCES public.contract(id);


--
-- Name: application application_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.application
    ADD CONSTRAINT application_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: book book_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.book
    ADD CONSTRAINT book_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: charge charge_account_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.charge
    ADD CONSTRAINT charge_account_fkey FOREIGN KEY (account) REFERENCES public.contract(account);


--
-- Name: charge charge_path_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.charge
    ADD CONSTRAINT charge_path_fkey FOREIGN KEY (path) REFERENCES public.segment(path);


--
-- Name: charge charge_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.charge
    ADD CONSTRAINT charge_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: claim_line claim_line_claim_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.claim_line
    ADD CONSTRAINT claim_line_claim_fkey FOREIGN KEY (claim) REFERENCES public.claim(id);


--
-- Name: claim_line claim_line_line_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.claim_line
    ADD CONSTRAINT claim_line_line_fkey FOREIGN KEY (line) REFERENCES public.statement_line(id);


--
-- Name: claim_line claim_line_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.claim_line
    ADD CONSTRAINT claim_line_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: claim claim_provider_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.claim
    ADD CONSTRAINT claim_provider_fkey FOREIGN KEY (provider) REFERENCES public.provider(id);


--
-- Name: claim_review claim_review_act_sha256_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.claim_review
    ADD CONSTRAINT claim_review_act_sha256_fkey FOREIGN KEY (act_sha256) REFERENCES public.signed_act(sha256);


--
-- Name: claim_review claim_review_claim_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.claim_review
    ADD CONSTRAINT claim_review_claim_fkey FOREIGN KEY (claim) REFERENCES public.claim(id);


--
-- Name: claim_review claim_review_line_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.claim_review
    ADD CONSTRAINT claim_review_line_fkey FOREIGN KEY (line) REFERENCES public.statement_line(id);


--
-- Name: claim_review claim_review_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.claim_review
    ADD CONSTRAINT claim_review_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: claim claim_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.claim
    ADD CONSTRAINT claim_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: claim_submission claim_submission_claim_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.claim_submission
    ADD CONSTRAINT claim_submission_claim_fkey FOREIGN KEY (claim) REFERENCES public.claim(id);


--
-- Name: claim_submission claim_submission_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.claim_submission
    ADD CONSTRAINT claim_submission_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: closing closing_provider_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.closing
    ADD CONSTRAINT closing_provider_fkey FOREIGN KEY (provider) REFERENCES public.provider(id);


--
-- Name: closing closing_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.closing
    ADD CONSTRAINT closing_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: contract contract_provider_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.contract
    ADD CONSTRAINT contract_provider_fkey FOREIGN KEY (provider) REFERENCES public.provider(id);


--
-- Name: contract contract_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.contract
    ADD CONSTRAINT contract_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: contract contract_unit_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.contract
    ADD CONSTRAINT contract_unit_fkey FOREIGN KEY (unit) REFERENCES public.unit(id);


--
-- Name: deduction deduction_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.deduction
    ADD CONSTRAINT deduction_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: deduction deduction_statement_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.deduction
    ADD CONSTRAINT deduction_statement_fkey FOREIGN KEY (statement) REFERENCES public.statement(id);


--
-- Name: deduction deduction_voucher_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.deduction
    ADD CONSTRAINT deduction_voucher_fkey FOREIGN KEY (voucher) REFERENCES public.voucher(id);


--
-- Name: document document_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.document
    ADD CONSTRAINT document_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: hold_bind hold_bind_hold_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.hold_bind
    ADD CONSTRAINT hold_bind_hold_fkey FOREIGN KEY (hold) REFERENCES public.hold(id);


--
-- Name: hold_end hold_end_hold_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.hold_end
    ADD CONSTRAINT hold_end_hold_fkey FOREIGN KEY (hold) REFERENCES public.hold(id);


--
-- Name: hold_missing hold_missing_hold_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.hold_missing
    ADD CONSTRAINT hold_missing_hold_fkey FOREIGN KEY (hold) REFERENCES public.hold(id);


--
-- Name: invoice invoice_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.invoice
    ADD CONSTRAINT invoice_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: invoice invoice_statement_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.invoice
    ADD CONSTRAINT invoice_statement_fkey FOREIGN KEY (statement) REFERENCES public.statement(id);


--
-- Name: journal journal_reverses_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.journal
    ADD CONSTRAINT journal_reverses_fkey FOREIGN KEY (reverses) REFERENCES public.journal(seq);


--
-- Name: member_end member_end_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.member_end
    ADD CONSTRAINT member_end_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: member_end member_end_unit_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.member_end
    ADD CONSTRAINT member_end_unit_fkey FOREIGN KEY (unit) REFERENCES public.unit(id);


--
-- Name: member member_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.member
    ADD CONSTRAINT member_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: member member_unit_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.member
    ADD CONSTRAINT member_unit_fkey FOREIGN KEY (unit) REFERENCES public.unit(id);


--
-- Name: payment payment_account_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.payment
    ADD CONSTRAINT payment_account_fkey FOREIGN KEY (account) REFERENCES public.contract(account);


--
-- Name: payment payment_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.payment
    ADD CONSTRAINT payment_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: payout payout_act_sha256_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.payout
    ADD CONSTRAINT payout_act_sha256_fkey FOREIGN KEY (act_sha256) REFERENCES public.signed_act(sha256);


--
-- Name: payout payout_claim_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.payout
    ADD CONSTRAINT payout_claim_fkey FOREIGN KEY (claim) REFERENCES public.claim(id);


--
-- Name: payout payout_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.payout
    ADD CONSTRAINT payout_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: posting posting_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.posting
    ADD CONSTRAINT posting_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: provider provider_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.provider
    ADD CONSTRAINT provider_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: reserve_draw reserve_draw_line_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.reserve_draw
    ADD CONSTRAINT reserve_draw_line_fkey FOREIGN KEY (line) REFERENCES public.statement_line(id);


--
-- Name: reserve_draw reserve_draw_provider_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.reserve_draw
    ADD CONSTRAINT reserve_draw_provider_fkey FOREIGN KEY (provider) REFERENCES public.provider(id);


--
-- Name: reserve_draw reserve_draw_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.reserve_draw
    ADD CONSTRAINT reserve_draw_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: reserve_grant reserve_grant_act_sha256_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.reserve_grant
    ADD CONSTRAINT reserve_grant_act_sha256_fkey FOREIGN KEY (act_sha256) REFERENCES public.signed_act(sha256);


--
-- Name: reserve_grant reserve_grant_provider_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.reserve_grant
    ADD CONSTRAINT reserve_grant_provider_fkey FOREIGN KEY (provider) REFERENCES public.provider(id);


--
-- Name: reserve_grant reserve_grant_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.reserve_grant
    ADD CONSTRAINT reserve_grant_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: revenue revenue_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.revenue
    ADD CONSTRAINT revenue_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: revenue revenue_unit_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.revenue
    ADD CONSTRAINT revenue_unit_fkey FOREIGN KEY (unit) REFERENCES public.unit(id);


--
-- Name: review review_act_sha256_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.review
    ADD CONSTRAINT review_act_sha256_fkey FOREIGN KEY (act_sha256) REFERENCES public.signed_act(sha256);


--
-- Name: review review_application_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.review
    ADD CONSTRAINT review_application_fkey FOREIGN KEY (application) REFERENCES public.application(id);


--
-- Name: review review_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.review
    ADD CONSTRAINT review_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: segment segment_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.segment
    ADD CONSTRAINT segment_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: signed_act signed_act_key_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.signed_act
    ADD CONSTRAINT signed_act_key_id_fkey FOREIGN KEY (key_id) REFERENCES public.signing_key(key_id);


--
-- Name: signed_act signed_act_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.signed_act
    ADD CONSTRAINT signed_act_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: signing_key signing_key_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.signing_key
    ADD CONSTRAINT signing_key_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: statement statement_account_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.statement
    ADD CONSTRAINT statement_account_fkey FOREIGN KEY (account) REFERENCES public.contract(account);


--
-- Name: statement_line statement_line_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.statement_line
    ADD CONSTRAINT statement_line_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: statement_line statement_line_statement_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.statement_line
    ADD CONSTRAINT statement_line_statement_fkey FOREIGN KEY (statement) REFERENCES public.statement(id);


--
-- Name: statement statement_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.statement
    ADD CONSTRAINT statement_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: unit unit_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.unit
    ADD CONSTRAINT unit_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: voucher voucher_account_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.voucher
    ADD CONSTRAINT voucher_account_fkey FOREIGN KEY (account) REFERENCES public.contract(account);


--
-- Name: voucher voucher_application_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.voucher
    ADD CONSTRAINT voucher_application_fkey FOREIGN KEY (application) REFERENCES public.application(id);


--
-- Name: voucher_end voucher_end_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.voucher_end
    ADD CONSTRAINT voucher_end_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- Name: voucher_end voucher_end_voucher_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.voucher_end
    ADD CONSTRAINT voucher_end_voucher_fkey FOREIGN KEY (voucher) REFERENCES public.voucher(id);


--
-- Name: voucher voucher_seq_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.voucher
    ADD CONSTRAINT voucher_seq_fkey FOREIGN KEY (seq) REFERENCES public.journal(seq) DEFERRABLE INITIALLY DEFERRED;


--
-- PostgreSQL database dump complete
--

\unrestrict COyJf5c7F7HrubrzgtCh0KVOvmvKwqIKelE9gWZMnvC1YriKBdXcgFb9Ld4m3Co

