BEGIN TRANSACTION;
CREATE TABLE anchor (
	seq INTEGER NOT NULL, 
	day TEXT NOT NULL, 
	head_seq BIGINT NOT NULL, 
	head_hash TEXT NOT NULL, 
	key_id TEXT NOT NULL, 
	signature TEXT NOT NULL, 
	PRIMARY KEY (day), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO "anchor" VALUES(24,'2024-10-08',23,'81d064259225f50dc9a1da916a2b1a794eeb2325570dcb03631f6863ba69b9d0','4d8b6501d4abe627','e8815a3eb5dbd9fc565583f4eab832787c926b40f866c61bf1b246a91508a40b38c42024ee7ed81144b06d2eb3981f262c4cdad28d55f150295d1fec198c870e');
CREATE TABLE application (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	contract TEXT NOT NULL, 
	category TEXT NOT NULL, 
	channel TEXT NOT NULL CONSTRAINT channel_known CHECK (channel IN ('online', 'offline')), 
	paper_sha256 TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (contract), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED, 
	FOREIGN KEY(contract) REFERENCES contract (id)
);
INSERT INTO "application" VALUES(10,'A-CD24-0001','2024-AI-001','general','online','218a6a472e63aaafff46613df6ce328d37a5c80730d902716af15fd1328be9dd');
CREATE TABLE book (
	seq INTEGER NOT NULL, 
	book_id TEXT NOT NULL, 
	schema_version BIGINT NOT NULL, 
	rehearsal BIGINT NOT NULL CONSTRAINT rehearsal_bool CHECK (rehearsal IN (0, 1)), 
	policy TEXT NOT NULL, 
	PRIMARY KEY (book_id), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO "book" VALUES(1,'fb9cc5aa05fe2bd7de81d3877b00183d',1,0,'chengdu-2023');
CREATE TABLE charge (
	seq INTEGER NOT NULL, 
	path TEXT NOT NULL, 
	account TEXT NOT NULL, 
	month TEXT NOT NULL, 
	charge_micro BIGINT NOT NULL, 
	eligible_micro BIGINT NOT NULL, 
	PRIMARY KEY (path, account, month), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED, 
	FOREIGN KEY(path) REFERENCES segment (path), 
	FOREIGN KEY(account) REFERENCES contract (account)
);
INSERT INTO "charge" VALUES(14,'usage/cluster=chengdu/month=2024-09/c094611ecb1733ed.parquet','CD24-0001','2024-09',133000000,133000000);
INSERT INTO "charge" VALUES(25,'usage/cluster=chengdu/month=2024-11/b9d41e359a5bafa4.parquet','CD24-0001','2024-11',68000000,68000000);
INSERT INTO "charge" VALUES(28,'usage/cluster=chengdu/month=2024-12/a308a79dc84def47.parquet','CD24-0001','2024-12',12000000,12000000);
CREATE TABLE claim (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	quarter TEXT NOT NULL, 
	amount_fen BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED, 
	FOREIGN KEY(provider) REFERENCES provider (id)
);
INSERT INTO "claim" VALUES(20,'C-cdaicc-2024-Q3-1','cdaicc','2024-Q3',6650);
CREATE TABLE claim_line (
	seq INTEGER NOT NULL, 
	claim TEXT NOT NULL, 
	line TEXT NOT NULL, 
	amount_fen BIGINT NOT NULL, 
	PRIMARY KEY (claim, line), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED, 
	FOREIGN KEY(claim) REFERENCES claim (id), 
	FOREIGN KEY(line) REFERENCES statement_line (id)
);
INSERT INTO "claim_line" VALUES(20,'C-cdaicc-2024-Q3-1','S-CD24-0001-2024-09/1',1650);
INSERT INTO "claim_line" VALUES(20,'C-cdaicc-2024-Q3-1','S-CD24-0001-2024-09/2',5000);
CREATE TABLE claim_review (
	seq INTEGER NOT NULL, 
	claim TEXT NOT NULL, 
	line TEXT NOT NULL, 
	approved_fen BIGINT NOT NULL, 
	reason TEXT NOT NULL, 
	act_sha256 TEXT NOT NULL, 
	PRIMARY KEY (claim, line), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED, 
	FOREIGN KEY(claim) REFERENCES claim (id), 
	FOREIGN KEY(line) REFERENCES statement_line (id), 
	FOREIGN KEY(act_sha256) REFERENCES signed_act (sha256)
);
INSERT INTO "claim_review" VALUES(22,'C-cdaicc-2024-Q3-1','S-CD24-0001-2024-09/1',1650,'checked','dd6d151f26ba5483c23e9b57315969c309e770e7309c413ab1307000615cbefd');
INSERT INTO "claim_review" VALUES(22,'C-cdaicc-2024-Q3-1','S-CD24-0001-2024-09/2',0,'no proof','dd6d151f26ba5483c23e9b57315969c309e770e7309c413ab1307000615cbefd');
CREATE TABLE claim_submission (
	seq INTEGER NOT NULL, 
	claim TEXT NOT NULL, 
	packet_sha256 TEXT NOT NULL, 
	PRIMARY KEY (claim), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED, 
	FOREIGN KEY(claim) REFERENCES claim (id)
);
INSERT INTO "claim_submission" VALUES(21,'C-cdaicc-2024-Q3-1','ef216babfadd61f2747b136a2a16f158d4507ee5c016998575d597f395490723');
CREATE TABLE closing (
	seq INTEGER NOT NULL, 
	provider TEXT NOT NULL, 
	month TEXT NOT NULL, 
	at_s BIGINT NOT NULL, 
	upto_seq BIGINT NOT NULL, 
	PRIMARY KEY (provider, month), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED, 
	FOREIGN KEY(provider) REFERENCES provider (id)
);
INSERT INTO "closing" VALUES(16,'cdaicc','2024-09',1728349200,15);
INSERT INTO "closing" VALUES(27,'cdaicc','2024-11',1733360400,26);
CREATE TABLE contract (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	account TEXT NOT NULL, 
	unit TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	signed_on TEXT NOT NULL, 
	from_s BIGINT NOT NULL, 
	until_s BIGINT NOT NULL, 
	fee_fen BIGINT NOT NULL CONSTRAINT fee_positive CHECK (fee_fen > 0), 
	PRIMARY KEY (id), 
	UNIQUE (account), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED, 
	FOREIGN KEY(unit) REFERENCES unit (id), 
	FOREIGN KEY(provider) REFERENCES provider (id)
);
INSERT INTO "contract" VALUES(9,'2024-AI-001','CD24-0001','sichuan-vision','cdaicc','2024-06-01',1717171200,1735660800,10000000);
CREATE TABLE deduction (
	seq INTEGER NOT NULL, 
	statement TEXT NOT NULL, 
	voucher TEXT NOT NULL, 
	amount_fen BIGINT NOT NULL, 
	PRIMARY KEY (statement, voucher), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED, 
	FOREIGN KEY(statement) REFERENCES statement (id), 
	FOREIGN KEY(voucher) REFERENCES voucher (id)
);
INSERT INTO "deduction" VALUES(15,'S-CD24-0001-2024-09','CD24-0001-1',6650);
INSERT INTO "deduction" VALUES(26,'S-CD24-0001-2024-11','CD24-0001-1',3400);
CREATE TABLE document (
	seq INTEGER NOT NULL, 
	kind TEXT NOT NULL CONSTRAINT kind_known CHECK (kind IN ('policy', 'tariff', 'chips')), 
	version TEXT NOT NULL, 
	sha256 TEXT NOT NULL, 
	text TEXT NOT NULL, 
	PRIMARY KEY (kind, version), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO "document" VALUES(1,'policy','chengdu-2023','8c515c85a3b9f20d7ee23b9092310785eb538a3e833b99d0f0f0844bbe341e08','# The rules of Chengdu''s compute vouchers, as this program applies them.
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
INSERT INTO "document" VALUES(1,'tariff','cd-2024-1','e8e6f4ebad62c954683300bc956b720d2ed285213d36a5c264e02c3c725d65d0','# The price list of the worked examples: round prices, and a few that do not divide.
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
INSERT INTO "document" VALUES(13,'tariff','round-1','e9fb179ce53cdf5cee7c66d7014755a51edc826cedff52a1a85dc136d8d7b323','
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
CREATE TABLE hold (
	id TEXT NOT NULL, 
	cluster TEXT NOT NULL, 
	account TEXT NOT NULL, 
	uid BIGINT NOT NULL, 
	asked_s BIGINT NOT NULL, 
	expires_s BIGINT NOT NULL, 
	tasks BIGINT NOT NULL CONSTRAINT tasks_positive CHECK (tasks > 0), 
	task_micro BIGINT NOT NULL CONSTRAINT task_not_negative CHECK (task_micro >= 0), 
	task_eligible_micro BIGINT NOT NULL, 
	request TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "hold" VALUES('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','chengdu','CD24-0001',1001,1731211200,1731211320,1,1000000,500000,'{}');
INSERT INTO "hold" VALUES('bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','chengdu','CD24-0001',1001,1731211200,1731211320,3,1000000,500000,'{}');
INSERT INTO "hold" VALUES('cccccccccccccccccccccccccccccccc','chengdu','CD24-0001',1001,1731211200,1731211320,2,1000000,500000,'{}');
CREATE TABLE hold_bind (
	hold TEXT NOT NULL, 
	cluster TEXT NOT NULL, 
	job_id BIGINT NOT NULL, 
	submit_s BIGINT NOT NULL, 
	seen_s BIGINT NOT NULL, 
	PRIMARY KEY (hold), 
	FOREIGN KEY(hold) REFERENCES hold (id)
);
CREATE TABLE hold_end (
	hold TEXT NOT NULL, 
	task TEXT NOT NULL, 
	kind TEXT NOT NULL CONSTRAINT kind_known CHECK (kind IN ('posted', 'voided', 'expired')), 
	tasks BIGINT NOT NULL CONSTRAINT tasks_positive CHECK (tasks > 0), 
	at_s BIGINT NOT NULL, 
	evidence TEXT NOT NULL, 
	PRIMARY KEY (hold, task), 
	FOREIGN KEY(hold) REFERENCES hold (id)
);
INSERT INTO "hold_end" VALUES('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','3','posted',1,1731211200,'COMPLETED in slurmdbd');
INSERT INTO "hold_end" VALUES('bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','4','posted',1,1731211200,'COMPLETED in slurmdbd');
CREATE TABLE hold_missing (
	hold TEXT NOT NULL, 
	snapshot_s BIGINT NOT NULL, 
	PRIMARY KEY (hold, snapshot_s), 
	FOREIGN KEY(hold) REFERENCES hold (id)
);
CREATE TABLE invoice (
	seq INTEGER NOT NULL, 
	number TEXT NOT NULL, 
	statement TEXT NOT NULL, 
	gross_fen BIGINT NOT NULL, 
	net_fen BIGINT NOT NULL, 
	tax_fen BIGINT NOT NULL, 
	recorded_on TEXT NOT NULL, 
	PRIMARY KEY (number), 
	UNIQUE (statement), 
	CONSTRAINT tax_adds_up CHECK (net_fen + tax_fen = gross_fen), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED, 
	FOREIGN KEY(statement) REFERENCES statement (id)
);
INSERT INTO "invoice" VALUES(17,'F-1','S-CD24-0001-2024-09',6650,6274,376,'2024-10-08');
CREATE TABLE journal (
	seq INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	code TEXT NOT NULL, 
	actor TEXT NOT NULL, 
	role TEXT NOT NULL CONSTRAINT role_known CHECK (role IN ('unit', 'operator', 'regulator', 'treasury', 'auditor', 'system')), 
	at_s BIGINT NOT NULL, 
	effective_s BIGINT NOT NULL, 
	reverses INTEGER, 
	content TEXT NOT NULL, 
	prev_hash TEXT NOT NULL, 
	hash TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE ("key"), 
	UNIQUE (hash), 
	UNIQUE (reverses), 
	FOREIGN KEY(reverses) REFERENCES journal (seq)
);
INSERT INTO "journal" VALUES(1,'book','book.init','operations','operator',1719799200,1719799200,NULL,'{"postings":[],"rows":{"book":[{"book_id":"fb9cc5aa05fe2bd7de81d3877b00183d","policy":"chengdu-2023","rehearsal":0,"schema_version":1}],"document":[{"kind":"policy","sha256":"8c515c85a3b9f20d7ee23b9092310785eb538a3e833b99d0f0f0844bbe341e08","text":"# The rules of Chengdu''s compute vouchers, as this program applies them.\n# Source: 《算力券管理办法》 成经信办〔2023〕20号, 2023-06-16, as reported on 2024-07-30.\n# [S] stands in the source; [D] is decided here, where the source is silent.\npolicy: chengdu-2023\nsource: 成经信办〔2023〕20号\ntimezone: Asia/Shanghai        # [D] year, quarter and month are calendar periods here\naccount_prefix: CD             # voucher accounts are named CD26-0001\n\ncontract:\n  signed_in_year: true         # [S] 当年签订: signed in the year of the application\n\ncategories:\n  general:\n    ratio: 50%                 # [S] voucher: 50 % of the contract fee\n    revenue_min: \"10,000,000\"  # [S] prior-year main-business revenue, inclusive\n    revenue_test_applies_to: [enterprise]   # [D] institutes and universities have no revenue\n\nissue:\n  min: \"10,000\"                # [S] inclusive\n  min_test: before_caps        # [D] below the floor before caps: refused; trimmed by a cap: may be smaller\n  caps:\n    - {scope: unit, per: year, max: \"1,000,000\", categories: [general]}    # [S]\n    - {scope: programme, per: year, max: \"10,000,000\", categories: [general]}   # [S] [D] general only\n\nvoucher:\n  months_max: 12               # [D] to the contract''s end, at most 12 months\n  settle_days: 45              # [D] how long after expiry late runs may still be deducted\n\ndeduct:\n  ratio: 50%                   # [S] 每次抵扣额为结算费用的50%\n\npayment:\n  mode: prepaid                # [D] cash is paid in first; a job holds its full fee\n  vat: 6%                      # [D] prices include it; split once, on the cash part\n\nholds:\n  unseen_s: 120                # a hold that the queue never showed lapses after this\n\nrating:\n  states:                      # [D] POLICY: which runs are free\n    charged: [COMPLETED, FAILED, TIMEOUT, CANCELLED, OUT_OF_MEMORY, DEADLINE, REQUEUED, RESIZING]\n    free: [NODE_FAIL, BOOT_FAIL, LAUNCH_FAILED, PREEMPTED]\n    no_run: [REVOKED]\n","version":"chengdu-2023"},{"kind":"tariff","sha256":"e8e6f4ebad62c954683300bc956b720d2ed285213d36a5c264e02c3c725d65d0","text":"# The price list of the worked examples: round prices, and a few that do not divide.\ntariff: cd-2024-1\nchips: 2024-07\ntimezone: Asia/Shanghai\nclusters:\n  chengdu:\n    partitions:\n      ai:\n        provider: cdaicc\n        gres: {\"gpu:ascend_910b\": ascend_910b2}\n        capacity: [{from: 2023-07-01, cards: {\"gpu:ascend_910b\": 16}}]\n        prices:\n          - {from: 2023-07-01, yuan_per_pflops_hour: \"24.00\"}\n          - {from: 2024-01-01, yuan_per_pflops_hour: \"30.00\"}\n          - {from: 2023-10-01, qos: urgent, yuan_per_pflops_hour: \"90.00\"}\n      dcu:\n        provider: nscc-cd\n        gres: {\"dcu:k100\": dcu_k100, \"dcu:z100\": dcu_z100, \"gpu\": dcu_z100}\n        prices: [{from: 2023-07-01, yuan_per_pflops_hour: \"7.654321\"}]\n      cheap:\n        provider: nscc-cd\n        gres: {\"dcu:k100\": dcu_k100}\n        prices: [{from: 2023-07-01, yuan_per_pflops_hour: \"0.018\"}]\n      dear:\n        provider: nscc-cd\n        gres: {\"dcu:z100\": dcu_z100}\n        prices: [{from: 2023-07-01, yuan_per_pflops_hour: \"390,000.00\"}]\n      cpu:\n        provider: nscc-cd\n        prices: [{from: 2023-07-01, yuan_per_core_hour: \"0.03\"}]\n      night:\n        provider: nscc-cd\n        prices: [{from: 2023-07-01, qos: night, yuan_per_core_hour: \"0.02\"}]\n      mixed:\n        provider: nscc-cd\n        gres: {\"dcu:k100\": dcu_k100}\n        prices:\n          - {from: 2023-07-01, yuan_per_core_hour: \"0.03\"}\n          - {from: 2024-01-01, yuan_per_pflops_hour: \"7.00\"}\n","version":"cd-2024-1"}]}}','0000000000000000000000000000000000000000000000000000000000000000','e9756dd12b9a5448770aafb8ddc36a8bffaaf515492811a41f39dc052fe22f0f');
INSERT INTO "journal" VALUES(2,'provider:cdaicc','provider.add','operations','operator',1719799200,1719799200,NULL,'{"postings":[],"rows":{"provider":[{"id":"cdaicc","name":"成都智算中心"}]}}','e9756dd12b9a5448770aafb8ddc36a8bffaaf515492811a41f39dc052fe22f0f','f88ab9dbc7e7e2ffc6e82825d4da4eadd7ded7df9d0f4bf62c591c51141506cf');
INSERT INTO "journal" VALUES(3,'provider:nscc-cd','provider.add','operations','operator',1719799200,1719799200,NULL,'{"postings":[],"rows":{"provider":[{"id":"nscc-cd","name":"国家超级计算成都中心"}]}}','f88ab9dbc7e7e2ffc6e82825d4da4eadd7ded7df9d0f4bf62c591c51141506cf','ae28c151476c700bebd16c9976fc8b37351d6e5cf1e265d57c6189a9d885c9f0');
INSERT INTO "journal" VALUES(4,'key:6854ce74a37b4a9d','key.trust','operations','operator',1719799200,1719799200,NULL,'{"postings":[],"rows":{"signing_key":[{"actor":"eic-review","key_id":"6854ce74a37b4a9d","public_hex":"bbcb1920b03cf3d2c93e36af16556c62debdaee15a553444989652cfecffdb76","role":"regulator"}]}}','ae28c151476c700bebd16c9976fc8b37351d6e5cf1e265d57c6189a9d885c9f0','b78dc6cb2731c8851bc91418a6385ede62dd310035d6ad8882d24508e42133c5');
INSERT INTO "journal" VALUES(5,'key:02ba6479b745f68d','key.trust','operations','operator',1719799200,1719799200,NULL,'{"postings":[],"rows":{"signing_key":[{"actor":"finance","key_id":"02ba6479b745f68d","public_hex":"cb0bfa8e9e8c2ba824d9044204920fe9721d247875c76bcab2c2f7544e83f9fd","role":"treasury"}]}}','b78dc6cb2731c8851bc91418a6385ede62dd310035d6ad8882d24508e42133c5','a5d6be64dffd00843bae075ea2fdd15ce5ca3603842a86e960de37d5a8623e98');
INSERT INTO "journal" VALUES(6,'key:4d8b6501d4abe627','key.trust','operations','operator',1719799200,1719799200,NULL,'{"postings":[],"rows":{"signing_key":[{"actor":"book-head","key_id":"4d8b6501d4abe627","public_hex":"74018afa598132083bae4e4cee88dbb260fc31024ee76090d538d60c3192d45f","role":"system"}]}}','a5d6be64dffd00843bae075ea2fdd15ce5ca3603842a86e960de37d5a8623e98','80829a473fd4feaacb109693851d246d4af21410930540a219d16d628d551db2');
INSERT INTO "journal" VALUES(7,'unit:sichuan-vision','unit.register','operations','operator',1719799200,1719799200,NULL,'{"postings":[],"rows":{"revenue":[{"amount_fen":2000000000,"unit":"sichuan-vision","year":2023}],"unit":[{"credit_code":"91510100MA2632625N","id":"sichuan-vision","kind":"enterprise","name":"sichuan-vision 有限公司"}]}}','80829a473fd4feaacb109693851d246d4af21410930540a219d16d628d551db2','de14e3d2be11daf9903488ad1b4ec3b7189203310ddc1e5a4b7def0ba8b79d14');
INSERT INTO "journal" VALUES(8,'member:sichuan-vision:chengdu:1001:1719799200','member.add','operations','operator',1719799200,1719799200,NULL,'{"postings":[],"rows":{"member":[{"cluster":"chengdu","from_s":1719799200,"uid":1001,"unit":"sichuan-vision","until_s":null}]}}','de14e3d2be11daf9903488ad1b4ec3b7189203310ddc1e5a4b7def0ba8b79d14','4be4446fcdfce8acc4b9b31a7b5c31232dd5fb164e8d1a99ce94f63d41aafcb7');
INSERT INTO "journal" VALUES(9,'contract:2024-AI-001','contract.sign','operations','operator',1719799200,1719799200,NULL,'{"postings":[],"rows":{"contract":[{"account":"CD24-0001","fee_fen":10000000,"from_s":1717171200,"id":"2024-AI-001","provider":"cdaicc","signed_on":"2024-06-01","unit":"sichuan-vision","until_s":1735660800}]}}','4be4446fcdfce8acc4b9b31a7b5c31232dd5fb164e8d1a99ce94f63d41aafcb7','21bca8d955d112bf21d4d013c006b7420f288ad05b7286373ce04b536e80de28');
INSERT INTO "journal" VALUES(10,'application:2024-AI-001','application.submit','operations','operator',1719799200,1719799200,NULL,'{"postings":[],"rows":{"application":[{"category":"general","channel":"online","contract":"2024-AI-001","id":"A-CD24-0001","paper_sha256":"218a6a472e63aaafff46613df6ce328d37a5c80730d902716af15fd1328be9dd"}]}}','21bca8d955d112bf21d4d013c006b7420f288ad05b7286373ce04b536e80de28','48ab5f362897cba1989be1f50957cd33e419b2e6b4ff580c5339117c52620e4a');
INSERT INTO "journal" VALUES(11,'review:A-CD24-0001','application.confirm','eic-review','regulator',1719799200,1719799200,NULL,'{"postings":[["voucher.left","CD24-0001-1",50000000000],["programme","chengdu-2023",-50000000000]],"rows":{"review":[{"act_sha256":"8586fa335cb64d3b045b1d95dd0f2aaa65e4f9e16e9605ce0eff3f39dbfeb842","application":"A-CD24-0001","reason":"complete","verdict":"confirmed"}],"signed_act":[{"key_id":"6854ce74a37b4a9d","sha256":"8586fa335cb64d3b045b1d95dd0f2aaa65e4f9e16e9605ce0eff3f39dbfeb842","subject":"A-CD24-0001","text":"{\"act\":\"application.confirm\",\"actor\":\"eic-review\",\"body\":{\"reason\":\"complete\",\"voucher_fen\":5000000},\"book\":\"fb9cc5aa05fe2bd7de81d3877b00183d\",\"key\":\"6854ce74a37b4a9d\",\"role\":\"regulator\",\"signature\":\"a980b5f20ba6ea6e810d0d3f96de6922ba8de59ae471cfd04023d606f6cd4716ab57c1af9bd2716de48517f91889c31a662b49644c69937f8c7217a9e73de70e\",\"subject\":\"A-CD24-0001\",\"subject_hash\":\"48ab5f362897cba1989be1f50957cd33e419b2e6b4ff580c5339117c52620e4a\"}","verb":"application.confirm"}],"voucher":[{"account":"CD24-0001","amount_fen":5000000,"application":"A-CD24-0001","category":"general","from_s":1719763200,"id":"CD24-0001-1","issued_on":"2024-07-01","trimmed":0,"until_s":1735660800}]}}','48ab5f362897cba1989be1f50957cd33e419b2e6b4ff580c5339117c52620e4a','917654d99d0c751d2ce3b91284197dea1d63b70a8584c1eba32e42c3cfc9fadc');
INSERT INTO "journal" VALUES(12,'payment:BANK-1','payment','operations','operator',1719799200,1719799200,NULL,'{"postings":[["bank","cdaicc",50000000000],["cash","CD24-0001",-50000000000]],"rows":{"payment":[{"account":"CD24-0001","amount_fen":5000000,"paid_on":"2024-07-01","reference":"BANK-1"}]}}','917654d99d0c751d2ce3b91284197dea1d63b70a8584c1eba32e42c3cfc9fadc','5d034b0d11ff4f5ebdad33700745e88103878fa9c0015ec87bbf70f2812fdeea');
INSERT INTO "journal" VALUES(13,'document:tariff:round-1','tariff.load','operations','operator',1719799200,1719799200,NULL,'{"postings":[],"rows":{"document":[{"kind":"tariff","sha256":"e9fb179ce53cdf5cee7c66d7014755a51edc826cedff52a1a85dc136d8d7b323","text":"\ntariff: round-1\nchips: 2024-07\ntimezone: Asia/Shanghai\nclusters:\n  chengdu:\n    partitions:\n      core:\n        provider: cdaicc\n        prices: [{from: 2023-07-01, yuan_per_core_hour: \"1.00\"}]\n      dear:\n        provider: cdaicc\n        prices: [{from: 2023-07-01, yuan_per_core_hour: \"200.00\"}]\n      cards:\n        provider: cdaicc\n        gres: {\"gpu:ascend_910b\": ascend_910b2}\n        capacity: [{from: 2023-07-01, cards: {\"gpu:ascend_910b\": 16}}]\n        prices: [{from: 2023-07-01, yuan_per_pflops_hour: \"1.00\"}]\n      other:\n        provider: nscc-cd\n        prices: [{from: 2023-07-01, yuan_per_core_hour: \"1.00\"}]\n","version":"round-1"}]}}','5d034b0d11ff4f5ebdad33700745e88103878fa9c0015ec87bbf70f2812fdeea','0c7f99ad9cb664a224a20bb09709e2409d476a847358b0007e1d2c82b07cd5ab');
INSERT INTO "journal" VALUES(14,'usage:adf1cdaa0a531949d48a9c045eb32aae9851df2e371f2f42c1d1a8ce6b5dda5a','charge','operations','operator',1725940800,1725940800,NULL,'{"postings":[["accrued","CD24-0001",133000000],["revenue","cdaicc",-133000000]],"rows":{"charge":[{"account":"CD24-0001","charge_micro":133000000,"eligible_micro":133000000,"month":"2024-09","path":"usage/cluster=chengdu/month=2024-09/c094611ecb1733ed.parquet"}],"segment":[{"charge_micro":133000000,"cluster":"chengdu","eligible_micro":133000000,"gflops_s":0,"month":"2024-09","path":"usage/cluster=chengdu/month=2024-09/c094611ecb1733ed.parquet","rows":2,"sha256":"c094611ecb1733eda2ffcab8796fdfc802a9e88c4715853d6624cddbbbd2178d","size_bytes":9879,"submit_max_s":1725937140,"submit_min_s":1725937140,"unrated":0}]}}','0c7f99ad9cb664a224a20bb09709e2409d476a847358b0007e1d2c82b07cd5ab','12fd8e1affe4f719cdafb65e72881569f7d7e8381fa7934994847d7741f20c0f');
INSERT INTO "journal" VALUES(15,'statement:CD24-0001:2024-09','statement','operations','operator',1728349200,1728349200,NULL,'{"postings":[["accrued","CD24-0001",-133000000],["claim.unclaimed","cdaicc",66500000],["cash","CD24-0001",66500000],["voucher.left","CD24-0001-1",-66500000],["voucher.deducted","CD24-0001-1",66500000]],"rows":{"deduction":[{"amount_fen":6650,"statement":"S-CD24-0001-2024-09","voucher":"CD24-0001-1"}],"statement":[{"account":"CD24-0001","cash_fen":6650,"charge_micro":133000000,"deduction_fen":6650,"eligible_micro":133000000,"fee_fen":13300,"id":"S-CD24-0001-2024-09","month":"2024-09","receivable_fen":0,"upto_seq":14}],"statement_line":[{"cash_fen":1650,"charge_micro":33000000,"chip":"","cluster":"chengdu","deduction_fen":1650,"eligible_micro":33000000,"fee_fen":3300,"gflops_s":0,"id":"S-CD24-0001-2024-09/1","partition":"core","qos":"high","runs":1,"statement":"S-CD24-0001-2024-09","tariff":"round-1","usage_month":"2024-09"},{"cash_fen":5000,"charge_micro":100000000,"chip":"","cluster":"chengdu","deduction_fen":5000,"eligible_micro":100000000,"fee_fen":10000,"gflops_s":0,"id":"S-CD24-0001-2024-09/2","partition":"core","qos":"normal","runs":1,"statement":"S-CD24-0001-2024-09","tariff":"round-1","usage_month":"2024-09"}]}}','12fd8e1affe4f719cdafb65e72881569f7d7e8381fa7934994847d7741f20c0f','5288324488a865b304bb083355ff4d870427762ee2967a5f09df5280648b8465');
INSERT INTO "journal" VALUES(16,'closing:cdaicc:2024-09','month.close','operations','operator',1728349200,1728349200,NULL,'{"postings":[],"rows":{"closing":[{"at_s":1728349200,"month":"2024-09","provider":"cdaicc","upto_seq":15}]}}','5288324488a865b304bb083355ff4d870427762ee2967a5f09df5280648b8465','f7b376c8fb14810c4fe564cfada4114acc4c9d9b1e91c6aa5705d67703ffa8cc');
INSERT INTO "journal" VALUES(17,'invoice:F-1','invoice.record','operations','operator',1728349200,1728349200,NULL,'{"postings":[],"rows":{"invoice":[{"gross_fen":6650,"net_fen":6274,"number":"F-1","recorded_on":"2024-10-08","statement":"S-CD24-0001-2024-09","tax_fen":376}]}}','f7b376c8fb14810c4fe564cfada4114acc4c9d9b1e91c6aa5705d67703ffa8cc','4dfce27f1c722ba89ae930d9d0853867554f937588005eaf8140f1bd43283cfa');
INSERT INTO "journal" VALUES(18,'reserve.grant:R-1','reserve.grant','finance','treasury',1719799200,1719799200,NULL,'{"postings":[["reserve.fund","cdaicc",1000000000],["reserve.owed","cdaicc",-1000000000]],"rows":{"reserve_grant":[{"act_sha256":"acd6bd139bfeacf6272d1619d5ade2a1b22521b64b889fdb191040cbe7437800","amount_fen":100000,"provider":"cdaicc","reference":"R-1"}],"signed_act":[{"key_id":"02ba6479b745f68d","sha256":"acd6bd139bfeacf6272d1619d5ade2a1b22521b64b889fdb191040cbe7437800","subject":"cdaicc","text":"{\"act\":\"reserve.grant\",\"actor\":\"finance\",\"body\":{\"amount_fen\":100000,\"reference\":\"R-1\"},\"book\":\"fb9cc5aa05fe2bd7de81d3877b00183d\",\"key\":\"02ba6479b745f68d\",\"role\":\"treasury\",\"signature\":\"71b32613f3a83707bdeec82f6a2a026f1e7d905989e7702900847531561f6d73f3287bb9b485aa44b1449323b7ef20f19fcabafd6cb35b626380408b82d4dc05\",\"subject\":\"cdaicc\",\"subject_hash\":\"f88ab9dbc7e7e2ffc6e82825d4da4eadd7ded7df9d0f4bf62c591c51141506cf\"}","verb":"reserve.grant"}]}}','4dfce27f1c722ba89ae930d9d0853867554f937588005eaf8140f1bd43283cfa','b18ef40e21742795c47aeae0887c444d15fdc85ddcca7a85f15cdadef391137a');
INSERT INTO "journal" VALUES(19,'reserve.draw:S-CD24-0001-2024-09/1','reserve.draw','operations','operator',1736481600,1736481600,NULL,'{"postings":[["reserve.fund","cdaicc",-16500000],["bank","cdaicc",16500000]],"rows":{"reserve_draw":[{"amount_fen":1650,"line":"S-CD24-0001-2024-09/1","provider":"cdaicc"}]}}','b18ef40e21742795c47aeae0887c444d15fdc85ddcca7a85f15cdadef391137a','8af00372b2a3e1bd6fcd2b9ba391808232025798c136e668a0bb6e2cc2b4712e');
INSERT INTO "journal" VALUES(20,'claim:C-cdaicc-2024-Q3-1','claim.open','operations','operator',1728349200,1728349200,NULL,'{"postings":[],"rows":{"claim":[{"amount_fen":6650,"id":"C-cdaicc-2024-Q3-1","provider":"cdaicc","quarter":"2024-Q3"}],"claim_line":[{"amount_fen":1650,"claim":"C-cdaicc-2024-Q3-1","line":"S-CD24-0001-2024-09/1"},{"amount_fen":5000,"claim":"C-cdaicc-2024-Q3-1","line":"S-CD24-0001-2024-09/2"}]}}','8af00372b2a3e1bd6fcd2b9ba391808232025798c136e668a0bb6e2cc2b4712e','15028d9069bd1172d6cb5664459aea3fe74654228d269cc1bba739c67fb1509c');
INSERT INTO "journal" VALUES(21,'claim.submit:C-cdaicc-2024-Q3-1','claim.submit','operations','operator',1728349200,1728349200,NULL,'{"postings":[["claim.unclaimed","cdaicc",-66500000],["claim.review","cdaicc",66500000]],"rows":{"claim_submission":[{"claim":"C-cdaicc-2024-Q3-1","packet_sha256":"ef216babfadd61f2747b136a2a16f158d4507ee5c016998575d597f395490723"}]}}','15028d9069bd1172d6cb5664459aea3fe74654228d269cc1bba739c67fb1509c','d29e9f3c45b2d93e238759b6a9fbf8a3f7b6f0e41ac331ebe62deec49fd5cfa1');
INSERT INTO "journal" VALUES(22,'claim.review:C-cdaicc-2024-Q3-1','claim.review','eic-review','regulator',1736481600,1736481600,NULL,'{"postings":[["claim.review","cdaicc",-66500000],["claim.approved","cdaicc",16500000],["claim.disputed","cdaicc",50000000]],"rows":{"claim_review":[{"act_sha256":"dd6d151f26ba5483c23e9b57315969c309e770e7309c413ab1307000615cbefd","approved_fen":1650,"claim":"C-cdaicc-2024-Q3-1","line":"S-CD24-0001-2024-09/1","reason":"checked"},{"act_sha256":"dd6d151f26ba5483c23e9b57315969c309e770e7309c413ab1307000615cbefd","approved_fen":0,"claim":"C-cdaicc-2024-Q3-1","line":"S-CD24-0001-2024-09/2","reason":"no proof"}],"signed_act":[{"key_id":"6854ce74a37b4a9d","sha256":"dd6d151f26ba5483c23e9b57315969c309e770e7309c413ab1307000615cbefd","subject":"C-cdaicc-2024-Q3-1","text":"{\"act\":\"claim.review\",\"actor\":\"eic-review\",\"body\":{\"approved_fen\":{\"S-CD24-0001-2024-09/1\":1650,\"S-CD24-0001-2024-09/2\":0},\"reasons\":{\"S-CD24-0001-2024-09/1\":\"checked\",\"S-CD24-0001-2024-09/2\":\"no proof\"}},\"book\":\"fb9cc5aa05fe2bd7de81d3877b00183d\",\"key\":\"6854ce74a37b4a9d\",\"role\":\"regulator\",\"signature\":\"c60d8aac3b95c5fd71fca718d624ed991eceaf424667069b994d7186a657c40f890a7d95166522232949205f26355b410a03130ff0a44ff83c5d6a844bdc7d07\",\"subject\":\"C-cdaicc-2024-Q3-1\",\"subject_hash\":\"15028d9069bd1172d6cb5664459aea3fe74654228d269cc1bba739c67fb1509c\"}","verb":"claim.review"}]}}','d29e9f3c45b2d93e238759b6a9fbf8a3f7b6f0e41ac331ebe62deec49fd5cfa1','f68e6691db79d7239bd39ea7447d8cdb68cf5fbba8d34ff0dd4adb03d63eb6fd');
INSERT INTO "journal" VALUES(23,'claim.pay:C-cdaicc-2024-Q3-1','claim.pay','finance','treasury',1736481600,1736481600,NULL,'{"postings":[["claim.approved","cdaicc",-16500000],["reserve.fund","cdaicc",16500000]],"rows":{"payout":[{"act_sha256":"8e15ccffd72478d05bb06089854992878fd5532735335f5f6e9cb371b462279d","amount_fen":1650,"claim":"C-cdaicc-2024-Q3-1","paid_on":"2025-01-10","reference":"P-C-cdaicc-2024-Q3-1","repaid_fen":1650}],"signed_act":[{"key_id":"02ba6479b745f68d","sha256":"8e15ccffd72478d05bb06089854992878fd5532735335f5f6e9cb371b462279d","subject":"C-cdaicc-2024-Q3-1","text":"{\"act\":\"claim.pay\",\"actor\":\"finance\",\"body\":{\"amount_fen\":1650,\"paid_on\":\"2025-01-10\",\"reference\":\"P-C-cdaicc-2024-Q3-1\"},\"book\":\"fb9cc5aa05fe2bd7de81d3877b00183d\",\"key\":\"02ba6479b745f68d\",\"role\":\"treasury\",\"signature\":\"497ae0f4d7a9411a23a3fd782847ff0ea2112044522a221d323ba76c74f46cc46e02f95cd979d54857348f3d0fcb7004cb4418dce03b440ee0401dee3929640c\",\"subject\":\"C-cdaicc-2024-Q3-1\",\"subject_hash\":\"15028d9069bd1172d6cb5664459aea3fe74654228d269cc1bba739c67fb1509c\"}","verb":"claim.pay"}]}}','f68e6691db79d7239bd39ea7447d8cdb68cf5fbba8d34ff0dd4adb03d63eb6fd','81d064259225f50dc9a1da916a2b1a794eeb2325570dcb03631f6863ba69b9d0');
INSERT INTO "journal" VALUES(24,'anchor:2024-10-08','anchor','operations','operator',1728349200,1728349200,NULL,'{"postings":[],"rows":{"anchor":[{"day":"2024-10-08","head_hash":"81d064259225f50dc9a1da916a2b1a794eeb2325570dcb03631f6863ba69b9d0","head_seq":23,"key_id":"4d8b6501d4abe627","signature":"e8815a3eb5dbd9fc565583f4eab832787c926b40f866c61bf1b246a91508a40b38c42024ee7ed81144b06d2eb3981f262c4cdad28d55f150295d1fec198c870e"}]}}','81d064259225f50dc9a1da916a2b1a794eeb2325570dcb03631f6863ba69b9d0','c52705b11c19f21817eae198e893628e0b3319436335f431547d04e20650cd13');
INSERT INTO "journal" VALUES(25,'usage:6beec820f67c5b7c78cadd5573469e75c1b9f5ad6bfab8dc34f82a55b435d1c0','charge','operations','operator',1731211200,1731211200,NULL,'{"postings":[["accrued","CD24-0001",68000000],["revenue","cdaicc",-68000000]],"rows":{"charge":[{"account":"CD24-0001","charge_micro":68000000,"eligible_micro":68000000,"month":"2024-11","path":"usage/cluster=chengdu/month=2024-11/b9d41e359a5bafa4.parquet"}],"segment":[{"charge_micro":68000000,"cluster":"chengdu","eligible_micro":68000000,"gflops_s":0,"month":"2024-11","path":"usage/cluster=chengdu/month=2024-11/b9d41e359a5bafa4.parquet","rows":2,"sha256":"b9d41e359a5bafa4a14a802c4e2b0df264a9780ebff9d001d428e56fee26f37e","size_bytes":10039,"submit_max_s":1731207540,"submit_min_s":1731207540,"unrated":0}]}}','c52705b11c19f21817eae198e893628e0b3319436335f431547d04e20650cd13','d64d002ae10020835f6a640cf23147b1523110c589fd07c7194cfe8ed05ee056');
INSERT INTO "journal" VALUES(26,'statement:CD24-0001:2024-11','statement','operations','operator',1733360400,1733360400,NULL,'{"postings":[["accrued","CD24-0001",-68000000],["claim.unclaimed","cdaicc",34000000],["cash","CD24-0001",34000000],["voucher.left","CD24-0001-1",-34000000],["voucher.deducted","CD24-0001-1",34000000]],"rows":{"deduction":[{"amount_fen":3400,"statement":"S-CD24-0001-2024-11","voucher":"CD24-0001-1"}],"statement":[{"account":"CD24-0001","cash_fen":3400,"charge_micro":68000000,"deduction_fen":3400,"eligible_micro":68000000,"fee_fen":6800,"id":"S-CD24-0001-2024-11","month":"2024-11","receivable_fen":0,"upto_seq":25}],"statement_line":[{"cash_fen":3400,"charge_micro":68000000,"chip":"","cluster":"chengdu","deduction_fen":3400,"eligible_micro":68000000,"fee_fen":6800,"gflops_s":0,"id":"S-CD24-0001-2024-11/1","partition":"core","qos":"normal","runs":2,"statement":"S-CD24-0001-2024-11","tariff":"round-1","usage_month":"2024-11"}]}}','d64d002ae10020835f6a640cf23147b1523110c589fd07c7194cfe8ed05ee056','aa4a7b93379277dcf373255f0ad11d349157d41530c02fdb26f0360feced0531');
INSERT INTO "journal" VALUES(27,'closing:cdaicc:2024-11','month.close','operations','operator',1733360400,1733360400,NULL,'{"postings":[],"rows":{"closing":[{"at_s":1733360400,"month":"2024-11","provider":"cdaicc","upto_seq":26}]}}','aa4a7b93379277dcf373255f0ad11d349157d41530c02fdb26f0360feced0531','c4d08d5d9481eeb17100ae60ece69fb54523d63e5c9e8953f60c57ce7b23a154');
INSERT INTO "journal" VALUES(28,'usage:56c7e93b88f64de0927e2cbf87d22da59c75e4667c3e49e30ff66b56a66a0ad1','charge','operations','operator',1733803200,1733803200,NULL,'{"postings":[["accrued","CD24-0001",12000000],["revenue","cdaicc",-12000000]],"rows":{"charge":[{"account":"CD24-0001","charge_micro":12000000,"eligible_micro":12000000,"month":"2024-12","path":"usage/cluster=chengdu/month=2024-12/a308a79dc84def47.parquet"}],"segment":[{"charge_micro":12000000,"cluster":"chengdu","eligible_micro":12000000,"gflops_s":0,"month":"2024-12","path":"usage/cluster=chengdu/month=2024-12/a308a79dc84def47.parquet","rows":1,"sha256":"a308a79dc84def47f1d0b71ffae1c056a363aa2af752b540552aa48140307f4d","size_bytes":9842,"submit_max_s":1733799540,"submit_min_s":1733799540,"unrated":0}]}}','c4d08d5d9481eeb17100ae60ece69fb54523d63e5c9e8953f60c57ce7b23a154','20928d05d5d411900020071692ebc26355e7782fbaf0ec578aff6d09bd60473a');
CREATE TABLE member (
	seq INTEGER NOT NULL, 
	unit TEXT NOT NULL, 
	cluster TEXT NOT NULL, 
	uid BIGINT NOT NULL, 
	from_s BIGINT NOT NULL, 
	until_s BIGINT, 
	PRIMARY KEY (unit, cluster, uid, from_s), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED, 
	FOREIGN KEY(unit) REFERENCES unit (id)
);
INSERT INTO "member" VALUES(8,'sichuan-vision','chengdu',1001,1719799200,NULL);
CREATE TABLE member_end (
	seq INTEGER NOT NULL, 
	unit TEXT NOT NULL, 
	cluster TEXT NOT NULL, 
	uid BIGINT NOT NULL, 
	from_s BIGINT NOT NULL, 
	until_s BIGINT NOT NULL, 
	PRIMARY KEY (unit, cluster, uid, from_s), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED, 
	FOREIGN KEY(unit) REFERENCES unit (id)
);
CREATE TABLE payment (
	seq INTEGER NOT NULL, 
	reference TEXT NOT NULL, 
	account TEXT NOT NULL, 
	amount_fen BIGINT NOT NULL CONSTRAINT amount_positive CHECK (amount_fen > 0), 
	paid_on TEXT NOT NULL, 
	PRIMARY KEY (reference), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED, 
	FOREIGN KEY(account) REFERENCES contract (account)
);
INSERT INTO "payment" VALUES(12,'BANK-1','CD24-0001',5000000,'2024-07-01');
CREATE TABLE payout (
	seq INTEGER NOT NULL, 
	claim TEXT NOT NULL, 
	reference TEXT NOT NULL, 
	amount_fen BIGINT NOT NULL, 
	repaid_fen BIGINT NOT NULL CONSTRAINT repaid_not_negative CHECK (repaid_fen >= 0), 
	paid_on TEXT NOT NULL, 
	act_sha256 TEXT NOT NULL, 
	PRIMARY KEY (claim), 
	UNIQUE (reference), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED, 
	FOREIGN KEY(claim) REFERENCES claim (id), 
	FOREIGN KEY(act_sha256) REFERENCES signed_act (sha256)
);
INSERT INTO "payout" VALUES(23,'C-cdaicc-2024-Q3-1','P-C-cdaicc-2024-Q3-1',1650,1650,'2025-01-10','8e15ccffd72478d05bb06089854992878fd5532735335f5f6e9cb371b462279d');
CREATE TABLE posting (
	seq INTEGER NOT NULL, 
	line INTEGER NOT NULL, 
	account TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	amount_micro BIGINT NOT NULL CONSTRAINT amount_not_zero CHECK (amount_micro <> 0), 
	PRIMARY KEY (seq, line), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO "posting" VALUES(11,0,'voucher.left','CD24-0001-1',50000000000);
INSERT INTO "posting" VALUES(11,1,'programme','chengdu-2023',-50000000000);
INSERT INTO "posting" VALUES(12,0,'bank','cdaicc',50000000000);
INSERT INTO "posting" VALUES(12,1,'cash','CD24-0001',-50000000000);
INSERT INTO "posting" VALUES(14,0,'accrued','CD24-0001',133000000);
INSERT INTO "posting" VALUES(14,1,'revenue','cdaicc',-133000000);
INSERT INTO "posting" VALUES(15,0,'accrued','CD24-0001',-133000000);
INSERT INTO "posting" VALUES(15,1,'claim.unclaimed','cdaicc',66500000);
INSERT INTO "posting" VALUES(15,2,'cash','CD24-0001',66500000);
INSERT INTO "posting" VALUES(15,3,'voucher.left','CD24-0001-1',-66500000);
INSERT INTO "posting" VALUES(15,4,'voucher.deducted','CD24-0001-1',66500000);
INSERT INTO "posting" VALUES(18,0,'reserve.fund','cdaicc',1000000000);
INSERT INTO "posting" VALUES(18,1,'reserve.owed','cdaicc',-1000000000);
INSERT INTO "posting" VALUES(19,0,'reserve.fund','cdaicc',-16500000);
INSERT INTO "posting" VALUES(19,1,'bank','cdaicc',16500000);
INSERT INTO "posting" VALUES(21,0,'claim.unclaimed','cdaicc',-66500000);
INSERT INTO "posting" VALUES(21,1,'claim.review','cdaicc',66500000);
INSERT INTO "posting" VALUES(22,0,'claim.review','cdaicc',-66500000);
INSERT INTO "posting" VALUES(22,1,'claim.approved','cdaicc',16500000);
INSERT INTO "posting" VALUES(22,2,'claim.disputed','cdaicc',50000000);
INSERT INTO "posting" VALUES(23,0,'claim.approved','cdaicc',-16500000);
INSERT INTO "posting" VALUES(23,1,'reserve.fund','cdaicc',16500000);
INSERT INTO "posting" VALUES(25,0,'accrued','CD24-0001',68000000);
INSERT INTO "posting" VALUES(25,1,'revenue','cdaicc',-68000000);
INSERT INTO "posting" VALUES(26,0,'accrued','CD24-0001',-68000000);
INSERT INTO "posting" VALUES(26,1,'claim.unclaimed','cdaicc',34000000);
INSERT INTO "posting" VALUES(26,2,'cash','CD24-0001',34000000);
INSERT INTO "posting" VALUES(26,3,'voucher.left','CD24-0001-1',-34000000);
INSERT INTO "posting" VALUES(26,4,'voucher.deducted','CD24-0001-1',34000000);
INSERT INTO "posting" VALUES(28,0,'accrued','CD24-0001',12000000);
INSERT INTO "posting" VALUES(28,1,'revenue','cdaicc',-12000000);
CREATE TABLE provider (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO "provider" VALUES(2,'cdaicc','成都智算中心');
INSERT INTO "provider" VALUES(3,'nscc-cd','国家超级计算成都中心');
CREATE TABLE reserve_draw (
	seq INTEGER NOT NULL, 
	line TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	amount_fen BIGINT NOT NULL CONSTRAINT amount_positive CHECK (amount_fen > 0), 
	PRIMARY KEY (line), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED, 
	FOREIGN KEY(line) REFERENCES statement_line (id), 
	FOREIGN KEY(provider) REFERENCES provider (id)
);
INSERT INTO "reserve_draw" VALUES(19,'S-CD24-0001-2024-09/1','cdaicc',1650);
CREATE TABLE reserve_grant (
	seq INTEGER NOT NULL, 
	reference TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	amount_fen BIGINT NOT NULL CONSTRAINT amount_positive CHECK (amount_fen > 0), 
	act_sha256 TEXT NOT NULL, 
	PRIMARY KEY (reference), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED, 
	FOREIGN KEY(provider) REFERENCES provider (id), 
	FOREIGN KEY(act_sha256) REFERENCES signed_act (sha256)
);
INSERT INTO "reserve_grant" VALUES(18,'R-1','cdaicc',100000,'acd6bd139bfeacf6272d1619d5ade2a1b22521b64b889fdb191040cbe7437800');
CREATE TABLE revenue (
	seq INTEGER NOT NULL, 
	unit TEXT NOT NULL, 
	year BIGINT NOT NULL, 
	amount_fen BIGINT NOT NULL CONSTRAINT amount_not_negative CHECK (amount_fen >= 0), 
	PRIMARY KEY (unit, year), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED, 
	FOREIGN KEY(unit) REFERENCES unit (id)
);
INSERT INTO "revenue" VALUES(7,'sichuan-vision',2023,2000000000);
CREATE TABLE review (
	seq INTEGER NOT NULL, 
	application TEXT NOT NULL, 
	verdict TEXT NOT NULL CONSTRAINT verdict_known CHECK (verdict IN ('confirmed', 'refused')), 
	reason TEXT NOT NULL, 
	act_sha256 TEXT NOT NULL, 
	PRIMARY KEY (application), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED, 
	FOREIGN KEY(application) REFERENCES application (id), 
	FOREIGN KEY(act_sha256) REFERENCES signed_act (sha256)
);
INSERT INTO "review" VALUES(11,'A-CD24-0001','confirmed','complete','8586fa335cb64d3b045b1d95dd0f2aaa65e4f9e16e9605ce0eff3f39dbfeb842');
CREATE TABLE segment (
	seq INTEGER NOT NULL, 
	path TEXT NOT NULL, 
	cluster TEXT NOT NULL, 
	month TEXT NOT NULL, 
	rows BIGINT NOT NULL, 
	sha256 TEXT NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	submit_min_s BIGINT NOT NULL, 
	submit_max_s BIGINT NOT NULL, 
	gflops_s BIGINT NOT NULL, 
	charge_micro BIGINT NOT NULL, 
	eligible_micro BIGINT NOT NULL, 
	unrated BIGINT NOT NULL, 
	PRIMARY KEY (path), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO "segment" VALUES(14,'usage/cluster=chengdu/month=2024-09/c094611ecb1733ed.parquet','chengdu','2024-09',2,'c094611ecb1733eda2ffcab8796fdfc802a9e88c4715853d6624cddbbbd2178d',9879,1725937140,1725937140,0,133000000,133000000,0);
INSERT INTO "segment" VALUES(25,'usage/cluster=chengdu/month=2024-11/b9d41e359a5bafa4.parquet','chengdu','2024-11',2,'b9d41e359a5bafa4a14a802c4e2b0df264a9780ebff9d001d428e56fee26f37e',10039,1731207540,1731207540,0,68000000,68000000,0);
INSERT INTO "segment" VALUES(28,'usage/cluster=chengdu/month=2024-12/a308a79dc84def47.parquet','chengdu','2024-12',1,'a308a79dc84def47f1d0b71ffae1c056a363aa2af752b540552aa48140307f4d',9842,1733799540,1733799540,0,12000000,12000000,0);
CREATE TABLE signed_act (
	seq INTEGER NOT NULL, 
	sha256 TEXT NOT NULL, 
	verb TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	key_id TEXT NOT NULL, 
	text TEXT NOT NULL, 
	PRIMARY KEY (sha256), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED, 
	FOREIGN KEY(key_id) REFERENCES signing_key (key_id)
);
INSERT INTO "signed_act" VALUES(11,'8586fa335cb64d3b045b1d95dd0f2aaa65e4f9e16e9605ce0eff3f39dbfeb842','application.confirm','A-CD24-0001','6854ce74a37b4a9d','{"act":"application.confirm","actor":"eic-review","body":{"reason":"complete","voucher_fen":5000000},"book":"fb9cc5aa05fe2bd7de81d3877b00183d","key":"6854ce74a37b4a9d","role":"regulator","signature":"a980b5f20ba6ea6e810d0d3f96de6922ba8de59ae471cfd04023d606f6cd4716ab57c1af9bd2716de48517f91889c31a662b49644c69937f8c7217a9e73de70e","subject":"A-CD24-0001","subject_hash":"48ab5f362897cba1989be1f50957cd33e419b2e6b4ff580c5339117c52620e4a"}');
INSERT INTO "signed_act" VALUES(18,'acd6bd139bfeacf6272d1619d5ade2a1b22521b64b889fdb191040cbe7437800','reserve.grant','cdaicc','02ba6479b745f68d','{"act":"reserve.grant","actor":"finance","body":{"amount_fen":100000,"reference":"R-1"},"book":"fb9cc5aa05fe2bd7de81d3877b00183d","key":"02ba6479b745f68d","role":"treasury","signature":"71b32613f3a83707bdeec82f6a2a026f1e7d905989e7702900847531561f6d73f3287bb9b485aa44b1449323b7ef20f19fcabafd6cb35b626380408b82d4dc05","subject":"cdaicc","subject_hash":"f88ab9dbc7e7e2ffc6e82825d4da4eadd7ded7df9d0f4bf62c591c51141506cf"}');
INSERT INTO "signed_act" VALUES(22,'dd6d151f26ba5483c23e9b57315969c309e770e7309c413ab1307000615cbefd','claim.review','C-cdaicc-2024-Q3-1','6854ce74a37b4a9d','{"act":"claim.review","actor":"eic-review","body":{"approved_fen":{"S-CD24-0001-2024-09/1":1650,"S-CD24-0001-2024-09/2":0},"reasons":{"S-CD24-0001-2024-09/1":"checked","S-CD24-0001-2024-09/2":"no proof"}},"book":"fb9cc5aa05fe2bd7de81d3877b00183d","key":"6854ce74a37b4a9d","role":"regulator","signature":"c60d8aac3b95c5fd71fca718d624ed991eceaf424667069b994d7186a657c40f890a7d95166522232949205f26355b410a03130ff0a44ff83c5d6a844bdc7d07","subject":"C-cdaicc-2024-Q3-1","subject_hash":"15028d9069bd1172d6cb5664459aea3fe74654228d269cc1bba739c67fb1509c"}');
INSERT INTO "signed_act" VALUES(23,'8e15ccffd72478d05bb06089854992878fd5532735335f5f6e9cb371b462279d','claim.pay','C-cdaicc-2024-Q3-1','02ba6479b745f68d','{"act":"claim.pay","actor":"finance","body":{"amount_fen":1650,"paid_on":"2025-01-10","reference":"P-C-cdaicc-2024-Q3-1"},"book":"fb9cc5aa05fe2bd7de81d3877b00183d","key":"02ba6479b745f68d","role":"treasury","signature":"497ae0f4d7a9411a23a3fd782847ff0ea2112044522a221d323ba76c74f46cc46e02f95cd979d54857348f3d0fcb7004cb4418dce03b440ee0401dee3929640c","subject":"C-cdaicc-2024-Q3-1","subject_hash":"15028d9069bd1172d6cb5664459aea3fe74654228d269cc1bba739c67fb1509c"}');
CREATE TABLE signing_key (
	seq INTEGER NOT NULL, 
	key_id TEXT NOT NULL, 
	role TEXT NOT NULL, 
	actor TEXT NOT NULL, 
	public_hex TEXT NOT NULL, 
	PRIMARY KEY (key_id), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO "signing_key" VALUES(4,'6854ce74a37b4a9d','regulator','eic-review','bbcb1920b03cf3d2c93e36af16556c62debdaee15a553444989652cfecffdb76');
INSERT INTO "signing_key" VALUES(5,'02ba6479b745f68d','treasury','finance','cb0bfa8e9e8c2ba824d9044204920fe9721d247875c76bcab2c2f7544e83f9fd');
INSERT INTO "signing_key" VALUES(6,'4d8b6501d4abe627','system','book-head','74018afa598132083bae4e4cee88dbb260fc31024ee76090d538d60c3192d45f');
CREATE TABLE statement (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	account TEXT NOT NULL, 
	month TEXT NOT NULL, 
	upto_seq BIGINT NOT NULL, 
	charge_micro BIGINT NOT NULL, 
	eligible_micro BIGINT NOT NULL, 
	fee_fen BIGINT NOT NULL, 
	deduction_fen BIGINT NOT NULL, 
	cash_fen BIGINT NOT NULL, 
	receivable_fen BIGINT NOT NULL CONSTRAINT receivable_not_negative CHECK (receivable_fen >= 0), 
	PRIMARY KEY (id), 
	UNIQUE (account, month), 
	CONSTRAINT shares_add_up CHECK (deduction_fen + cash_fen = fee_fen), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED, 
	FOREIGN KEY(account) REFERENCES contract (account)
);
INSERT INTO "statement" VALUES(15,'S-CD24-0001-2024-09','CD24-0001','2024-09',14,133000000,133000000,13300,6650,6650,0);
INSERT INTO "statement" VALUES(26,'S-CD24-0001-2024-11','CD24-0001','2024-11',25,68000000,68000000,6800,3400,3400,0);
CREATE TABLE statement_line (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	statement TEXT NOT NULL, 
	usage_month TEXT NOT NULL, 
	cluster TEXT NOT NULL, 
	partition TEXT NOT NULL, 
	qos TEXT NOT NULL, 
	chip TEXT NOT NULL, 
	tariff TEXT NOT NULL, 
	runs BIGINT NOT NULL, 
	gflops_s BIGINT NOT NULL, 
	charge_micro BIGINT NOT NULL, 
	eligible_micro BIGINT NOT NULL, 
	fee_fen BIGINT NOT NULL, 
	deduction_fen BIGINT NOT NULL, 
	cash_fen BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT shares_add_up CHECK (deduction_fen + cash_fen = fee_fen), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED, 
	FOREIGN KEY(statement) REFERENCES statement (id)
);
INSERT INTO "statement_line" VALUES(15,'S-CD24-0001-2024-09/1','S-CD24-0001-2024-09','2024-09','chengdu','core','high','','round-1',1,0,33000000,33000000,3300,1650,1650);
INSERT INTO "statement_line" VALUES(15,'S-CD24-0001-2024-09/2','S-CD24-0001-2024-09','2024-09','chengdu','core','normal','','round-1',1,0,100000000,100000000,10000,5000,5000);
INSERT INTO "statement_line" VALUES(26,'S-CD24-0001-2024-11/1','S-CD24-0001-2024-11','2024-11','chengdu','core','normal','','round-1',2,0,68000000,68000000,6800,3400,3400);
CREATE TABLE unit (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	credit_code TEXT NOT NULL, 
	kind TEXT NOT NULL CONSTRAINT kind_known CHECK (kind IN ('enterprise', 'research_institute', 'university')), 
	PRIMARY KEY (id), 
	UNIQUE (credit_code), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO "unit" VALUES(7,'sichuan-vision','sichuan-vision 有限公司','91510100MA2632625N','enterprise');
CREATE TABLE voucher (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	account TEXT NOT NULL, 
	application TEXT NOT NULL, 
	category TEXT NOT NULL, 
	issued_on TEXT NOT NULL, 
	amount_fen BIGINT NOT NULL CONSTRAINT amount_positive CHECK (amount_fen > 0), 
	trimmed BIGINT NOT NULL CONSTRAINT trimmed_bool CHECK (trimmed IN (0, 1)), 
	from_s BIGINT NOT NULL, 
	until_s BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (application), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED, 
	FOREIGN KEY(account) REFERENCES contract (account), 
	FOREIGN KEY(application) REFERENCES application (id)
);
INSERT INTO "voucher" VALUES(11,'CD24-0001-1','CD24-0001','A-CD24-0001','general','2024-07-01',5000000,0,1719763200,1735660800);
CREATE TABLE voucher_end (
	seq INTEGER NOT NULL, 
	voucher TEXT NOT NULL, 
	kind TEXT NOT NULL CONSTRAINT kind_known CHECK (kind IN ('expired', 'cancelled')), 
	at_s BIGINT NOT NULL, 
	amount_fen BIGINT NOT NULL CONSTRAINT amount_positive CHECK (amount_fen > 0), 
	PRIMARY KEY (voucher, kind, at_s), 
	FOREIGN KEY(seq) REFERENCES journal (seq) DEFERRABLE INITIALLY DEFERRED, 
	FOREIGN KEY(voucher) REFERENCES voucher (id)
);
CREATE TABLE watermark (
	cluster TEXT NOT NULL, 
	sweep TEXT NOT NULL, 
	until_s BIGINT NOT NULL, 
	PRIMARY KEY (cluster, sweep)
);
CREATE INDEX hold_account ON hold (account);
CREATE INDEX posting_owner ON posting (owner, account);
CREATE INDEX anchor_seq ON anchor (seq);
CREATE INDEX book_seq ON book (seq);
CREATE INDEX document_seq ON document (seq);
CREATE INDEX signing_key_seq ON signing_key (seq);
CREATE INDEX provider_seq ON provider (seq);
CREATE INDEX unit_seq ON unit (seq);
CREATE INDEX segment_cluster ON segment (cluster, month);
CREATE INDEX segment_seq ON segment (seq);
CREATE INDEX hold_bind_job ON hold_bind (cluster, job_id);
CREATE INDEX signed_act_seq ON signed_act (seq);
CREATE INDEX revenue_seq ON revenue (seq);
CREATE INDEX contract_seq ON contract (seq);
CREATE INDEX member_seq ON member (seq);
CREATE INDEX member_end_seq ON member_end (seq);
CREATE INDEX closing_seq ON closing (seq);
CREATE INDEX claim_seq ON claim (seq);
CREATE INDEX application_seq ON application (seq);
CREATE INDEX payment_seq ON payment (seq);
CREATE INDEX charge_seq ON charge (seq);
CREATE INDEX charge_account ON charge (account, month);
CREATE INDEX statement_seq ON statement (seq);
CREATE INDEX claim_submission_seq ON claim_submission (seq);
CREATE INDEX payout_seq ON payout (seq);
CREATE INDEX reserve_grant_seq ON reserve_grant (seq);
CREATE INDEX review_seq ON review (seq);
CREATE INDEX voucher_seq ON voucher (seq);
CREATE INDEX statement_line_seq ON statement_line (seq);
CREATE INDEX invoice_seq ON invoice (seq);
CREATE INDEX voucher_end_seq ON voucher_end (seq);
CREATE INDEX deduction_seq ON deduction (seq);
CREATE INDEX claim_line_seq ON claim_line (seq);
CREATE INDEX claim_review_seq ON claim_review (seq);
CREATE INDEX reserve_draw_seq ON reserve_draw (seq);
CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'journal is append-only'); END;
CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'journal is append-only'); END;
CREATE TRIGGER posting_no_update BEFORE UPDATE ON posting BEGIN SELECT RAISE(ABORT, 'posting is append-only'); END;
CREATE TRIGGER posting_no_delete BEFORE DELETE ON posting BEGIN SELECT RAISE(ABORT, 'posting is append-only'); END;
CREATE TRIGGER anchor_no_update BEFORE UPDATE ON anchor BEGIN SELECT RAISE(ABORT, 'anchor is append-only'); END;
CREATE TRIGGER anchor_no_delete BEFORE DELETE ON anchor BEGIN SELECT RAISE(ABORT, 'anchor is append-only'); END;
CREATE TRIGGER book_no_update BEFORE UPDATE ON book BEGIN SELECT RAISE(ABORT, 'book is append-only'); END;
CREATE TRIGGER book_no_delete BEFORE DELETE ON book BEGIN SELECT RAISE(ABORT, 'book is append-only'); END;
CREATE TRIGGER document_no_update BEFORE UPDATE ON document BEGIN SELECT RAISE(ABORT, 'document is append-only'); END;
CREATE TRIGGER document_no_delete BEFORE DELETE ON document BEGIN SELECT RAISE(ABORT, 'document is append-only'); END;
CREATE TRIGGER signing_key_no_update BEFORE UPDATE ON signing_key BEGIN SELECT RAISE(ABORT, 'signing_key is append-only'); END;
CREATE TRIGGER signing_key_no_delete BEFORE DELETE ON signing_key BEGIN SELECT RAISE(ABORT, 'signing_key is append-only'); END;
CREATE TRIGGER signed_act_no_update BEFORE UPDATE ON signed_act BEGIN SELECT RAISE(ABORT, 'signed_act is append-only'); END;
CREATE TRIGGER signed_act_no_delete BEFORE DELETE ON signed_act BEGIN SELECT RAISE(ABORT, 'signed_act is append-only'); END;
CREATE TRIGGER provider_no_update BEFORE UPDATE ON provider BEGIN SELECT RAISE(ABORT, 'provider is append-only'); END;
CREATE TRIGGER provider_no_delete BEFORE DELETE ON provider BEGIN SELECT RAISE(ABORT, 'provider is append-only'); END;
CREATE TRIGGER unit_no_update BEFORE UPDATE ON unit BEGIN SELECT RAISE(ABORT, 'unit is append-only'); END;
CREATE TRIGGER unit_no_delete BEFORE DELETE ON unit BEGIN SELECT RAISE(ABORT, 'unit is append-only'); END;
CREATE TRIGGER revenue_no_update BEFORE UPDATE ON revenue BEGIN SELECT RAISE(ABORT, 'revenue is append-only'); END;
CREATE TRIGGER revenue_no_delete BEFORE DELETE ON revenue BEGIN SELECT RAISE(ABORT, 'revenue is append-only'); END;
CREATE TRIGGER contract_no_update BEFORE UPDATE ON contract BEGIN SELECT RAISE(ABORT, 'contract is append-only'); END;
CREATE TRIGGER contract_no_delete BEFORE DELETE ON contract BEGIN SELECT RAISE(ABORT, 'contract is append-only'); END;
CREATE TRIGGER member_no_update BEFORE UPDATE ON member BEGIN SELECT RAISE(ABORT, 'member is append-only'); END;
CREATE TRIGGER member_no_delete BEFORE DELETE ON member BEGIN SELECT RAISE(ABORT, 'member is append-only'); END;
CREATE TRIGGER member_end_no_update BEFORE UPDATE ON member_end BEGIN SELECT RAISE(ABORT, 'member_end is append-only'); END;
CREATE TRIGGER member_end_no_delete BEFORE DELETE ON member_end BEGIN SELECT RAISE(ABORT, 'member_end is append-only'); END;
CREATE TRIGGER application_no_update BEFORE UPDATE ON application BEGIN SELECT RAISE(ABORT, 'application is append-only'); END;
CREATE TRIGGER application_no_delete BEFORE DELETE ON application BEGIN SELECT RAISE(ABORT, 'application is append-only'); END;
CREATE TRIGGER review_no_update BEFORE UPDATE ON review BEGIN SELECT RAISE(ABORT, 'review is append-only'); END;
CREATE TRIGGER review_no_delete BEFORE DELETE ON review BEGIN SELECT RAISE(ABORT, 'review is append-only'); END;
CREATE TRIGGER voucher_no_update BEFORE UPDATE ON voucher BEGIN SELECT RAISE(ABORT, 'voucher is append-only'); END;
CREATE TRIGGER voucher_no_delete BEFORE DELETE ON voucher BEGIN SELECT RAISE(ABORT, 'voucher is append-only'); END;
CREATE TRIGGER voucher_end_no_update BEFORE UPDATE ON voucher_end BEGIN SELECT RAISE(ABORT, 'voucher_end is append-only'); END;
CREATE TRIGGER voucher_end_no_delete BEFORE DELETE ON voucher_end BEGIN SELECT RAISE(ABORT, 'voucher_end is append-only'); END;
CREATE TRIGGER payment_no_update BEFORE UPDATE ON payment BEGIN SELECT RAISE(ABORT, 'payment is append-only'); END;
CREATE TRIGGER payment_no_delete BEFORE DELETE ON payment BEGIN SELECT RAISE(ABORT, 'payment is append-only'); END;
CREATE TRIGGER segment_no_update BEFORE UPDATE ON segment BEGIN SELECT RAISE(ABORT, 'segment is append-only'); END;
CREATE TRIGGER segment_no_delete BEFORE DELETE ON segment BEGIN SELECT RAISE(ABORT, 'segment is append-only'); END;
CREATE TRIGGER charge_no_update BEFORE UPDATE ON charge BEGIN SELECT RAISE(ABORT, 'charge is append-only'); END;
CREATE TRIGGER charge_no_delete BEFORE DELETE ON charge BEGIN SELECT RAISE(ABORT, 'charge is append-only'); END;
CREATE TRIGGER closing_no_update BEFORE UPDATE ON closing BEGIN SELECT RAISE(ABORT, 'closing is append-only'); END;
CREATE TRIGGER closing_no_delete BEFORE DELETE ON closing BEGIN SELECT RAISE(ABORT, 'closing is append-only'); END;
CREATE TRIGGER statement_no_update BEFORE UPDATE ON statement BEGIN SELECT RAISE(ABORT, 'statement is append-only'); END;
CREATE TRIGGER statement_no_delete BEFORE DELETE ON statement BEGIN SELECT RAISE(ABORT, 'statement is append-only'); END;
CREATE TRIGGER statement_line_no_update BEFORE UPDATE ON statement_line BEGIN SELECT RAISE(ABORT, 'statement_line is append-only'); END;
CREATE TRIGGER statement_line_no_delete BEFORE DELETE ON statement_line BEGIN SELECT RAISE(ABORT, 'statement_line is append-only'); END;
CREATE TRIGGER deduction_no_update BEFORE UPDATE ON deduction BEGIN SELECT RAISE(ABORT, 'deduction is append-only'); END;
CREATE TRIGGER deduction_no_delete BEFORE DELETE ON deduction BEGIN SELECT RAISE(ABORT, 'deduction is append-only'); END;
CREATE TRIGGER invoice_no_update BEFORE UPDATE ON invoice BEGIN SELECT RAISE(ABORT, 'invoice is append-only'); END;
CREATE TRIGGER invoice_no_delete BEFORE DELETE ON invoice BEGIN SELECT RAISE(ABORT, 'invoice is append-only'); END;
CREATE TRIGGER claim_no_update BEFORE UPDATE ON claim BEGIN SELECT RAISE(ABORT, 'claim is append-only'); END;
CREATE TRIGGER claim_no_delete BEFORE DELETE ON claim BEGIN SELECT RAISE(ABORT, 'claim is append-only'); END;
CREATE TRIGGER claim_line_no_update BEFORE UPDATE ON claim_line BEGIN SELECT RAISE(ABORT, 'claim_line is append-only'); END;
CREATE TRIGGER claim_line_no_delete BEFORE DELETE ON claim_line BEGIN SELECT RAISE(ABORT, 'claim_line is append-only'); END;
CREATE TRIGGER claim_submission_no_update BEFORE UPDATE ON claim_submission BEGIN SELECT RAISE(ABORT, 'claim_submission is append-only'); END;
CREATE TRIGGER claim_submission_no_delete BEFORE DELETE ON claim_submission BEGIN SELECT RAISE(ABORT, 'claim_submission is append-only'); END;
CREATE TRIGGER claim_review_no_update BEFORE UPDATE ON claim_review BEGIN SELECT RAISE(ABORT, 'claim_review is append-only'); END;
CREATE TRIGGER claim_review_no_delete BEFORE DELETE ON claim_review BEGIN SELECT RAISE(ABORT, 'claim_review is append-only'); END;
CREATE TRIGGER payout_no_update BEFORE UPDATE ON payout BEGIN SELECT RAISE(ABORT, 'payout is append-only'); END;
CREATE TRIGGER payout_no_delete BEFORE DELETE ON payout BEGIN SELECT RAISE(ABORT, 'payout is append-only'); END;
CREATE TRIGGER reserve_grant_no_update BEFORE UPDATE ON reserve_grant BEGIN SELECT RAISE(ABORT, 'reserve_grant is append-only'); END;
CREATE TRIGGER reserve_grant_no_delete BEFORE DELETE ON reserve_grant BEGIN SELECT RAISE(ABORT, 'reserve_grant is append-only'); END;
CREATE TRIGGER reserve_draw_no_update BEFORE UPDATE ON reserve_draw BEGIN SELECT RAISE(ABORT, 'reserve_draw is append-only'); END;
CREATE TRIGGER reserve_draw_no_delete BEFORE DELETE ON reserve_draw BEGIN SELECT RAISE(ABORT, 'reserve_draw is append-only'); END;
CREATE TRIGGER journal_no_replace BEFORE INSERT ON journal WHEN EXISTS (SELECT 1 FROM journal WHERE "seq" = NEW."seq" OR "reverses" = NEW."reverses" OR "hash" = NEW."hash" OR "key" = NEW."key" OR "reverses" = NEW."reverses") BEGIN SELECT RAISE(ABORT, 'journal is append-only'); END;
CREATE TRIGGER posting_no_replace BEFORE INSERT ON posting WHEN EXISTS (SELECT 1 FROM posting WHERE "seq" = NEW."seq" AND "line" = NEW."line") BEGIN SELECT RAISE(ABORT, 'posting is append-only'); END;
CREATE TRIGGER anchor_no_replace BEFORE INSERT ON anchor WHEN EXISTS (SELECT 1 FROM anchor WHERE "day" = NEW."day") BEGIN SELECT RAISE(ABORT, 'anchor is append-only'); END;
CREATE TRIGGER book_no_replace BEFORE INSERT ON book WHEN EXISTS (SELECT 1 FROM book WHERE "book_id" = NEW."book_id") BEGIN SELECT RAISE(ABORT, 'book is append-only'); END;
CREATE TRIGGER document_no_replace BEFORE INSERT ON document WHEN EXISTS (SELECT 1 FROM document WHERE "kind" = NEW."kind" AND "version" = NEW."version") BEGIN SELECT RAISE(ABORT, 'document is append-only'); END;
CREATE TRIGGER signing_key_no_replace BEFORE INSERT ON signing_key WHEN EXISTS (SELECT 1 FROM signing_key WHERE "key_id" = NEW."key_id") BEGIN SELECT RAISE(ABORT, 'signing_key is append-only'); END;
CREATE TRIGGER signed_act_no_replace BEFORE INSERT ON signed_act WHEN EXISTS (SELECT 1 FROM signed_act WHERE "sha256" = NEW."sha256") BEGIN SELECT RAISE(ABORT, 'signed_act is append-only'); END;
CREATE TRIGGER provider_no_replace BEFORE INSERT ON provider WHEN EXISTS (SELECT 1 FROM provider WHERE "id" = NEW."id") BEGIN SELECT RAISE(ABORT, 'provider is append-only'); END;
CREATE TRIGGER unit_no_replace BEFORE INSERT ON unit WHEN EXISTS (SELECT 1 FROM unit WHERE "id" = NEW."id" OR "credit_code" = NEW."credit_code") BEGIN SELECT RAISE(ABORT, 'unit is append-only'); END;
CREATE TRIGGER revenue_no_replace BEFORE INSERT ON revenue WHEN EXISTS (SELECT 1 FROM revenue WHERE "unit" = NEW."unit" AND "year" = NEW."year") BEGIN SELECT RAISE(ABORT, 'revenue is append-only'); END;
CREATE TRIGGER contract_no_replace BEFORE INSERT ON contract WHEN EXISTS (SELECT 1 FROM contract WHERE "id" = NEW."id" OR "account" = NEW."account") BEGIN SELECT RAISE(ABORT, 'contract is append-only'); END;
CREATE TRIGGER member_no_replace BEFORE INSERT ON member WHEN EXISTS (SELECT 1 FROM member WHERE "unit" = NEW."unit" AND "cluster" = NEW."cluster" AND "uid" = NEW."uid" AND "from_s" = NEW."from_s") BEGIN SELECT RAISE(ABORT, 'member is append-only'); END;
CREATE TRIGGER member_end_no_replace BEFORE INSERT ON member_end WHEN EXISTS (SELECT 1 FROM member_end WHERE "unit" = NEW."unit" AND "cluster" = NEW."cluster" AND "uid" = NEW."uid" AND "from_s" = NEW."from_s") BEGIN SELECT RAISE(ABORT, 'member_end is append-only'); END;
CREATE TRIGGER application_no_replace BEFORE INSERT ON application WHEN EXISTS (SELECT 1 FROM application WHERE "id" = NEW."id" OR "contract" = NEW."contract") BEGIN SELECT RAISE(ABORT, 'application is append-only'); END;
CREATE TRIGGER review_no_replace BEFORE INSERT ON review WHEN EXISTS (SELECT 1 FROM review WHERE "application" = NEW."application") BEGIN SELECT RAISE(ABORT, 'review is append-only'); END;
CREATE TRIGGER voucher_no_replace BEFORE INSERT ON voucher WHEN EXISTS (SELECT 1 FROM voucher WHERE "id" = NEW."id" OR "application" = NEW."application") BEGIN SELECT RAISE(ABORT, 'voucher is append-only'); END;
CREATE TRIGGER voucher_end_no_replace BEFORE INSERT ON voucher_end WHEN EXISTS (SELECT 1 FROM voucher_end WHERE "voucher" = NEW."voucher" AND "kind" = NEW."kind" AND "at_s" = NEW."at_s") BEGIN SELECT RAISE(ABORT, 'voucher_end is append-only'); END;
CREATE TRIGGER payment_no_replace BEFORE INSERT ON payment WHEN EXISTS (SELECT 1 FROM payment WHERE "reference" = NEW."reference") BEGIN SELECT RAISE(ABORT, 'payment is append-only'); END;
CREATE TRIGGER segment_no_replace BEFORE INSERT ON segment WHEN EXISTS (SELECT 1 FROM segment WHERE "path" = NEW."path") BEGIN SELECT RAISE(ABORT, 'segment is append-only'); END;
CREATE TRIGGER charge_no_replace BEFORE INSERT ON charge WHEN EXISTS (SELECT 1 FROM charge WHERE "path" = NEW."path" AND "account" = NEW."account" AND "month" = NEW."month") BEGIN SELECT RAISE(ABORT, 'charge is append-only'); END;
CREATE TRIGGER closing_no_replace BEFORE INSERT ON closing WHEN EXISTS (SELECT 1 FROM closing WHERE "provider" = NEW."provider" AND "month" = NEW."month") BEGIN SELECT RAISE(ABORT, 'closing is append-only'); END;
CREATE TRIGGER statement_no_replace BEFORE INSERT ON statement WHEN EXISTS (SELECT 1 FROM statement WHERE "id" = NEW."id" OR "account" = NEW."account" AND "month" = NEW."month") BEGIN SELECT RAISE(ABORT, 'statement is append-only'); END;
CREATE TRIGGER statement_line_no_replace BEFORE INSERT ON statement_line WHEN EXISTS (SELECT 1 FROM statement_line WHERE "id" = NEW."id") BEGIN SELECT RAISE(ABORT, 'statement_line is append-only'); END;
CREATE TRIGGER deduction_no_replace BEFORE INSERT ON deduction WHEN EXISTS (SELECT 1 FROM deduction WHERE "statement" = NEW."statement" AND "voucher" = NEW."voucher") BEGIN SELECT RAISE(ABORT, 'deduction is append-only'); END;
CREATE TRIGGER invoice_no_replace BEFORE INSERT ON invoice WHEN EXISTS (SELECT 1 FROM invoice WHERE "number" = NEW."number" OR "statement" = NEW."statement") BEGIN SELECT RAISE(ABORT, 'invoice is append-only'); END;
CREATE TRIGGER claim_no_replace BEFORE INSERT ON claim WHEN EXISTS (SELECT 1 FROM claim WHERE "id" = NEW."id") BEGIN SELECT RAISE(ABORT, 'claim is append-only'); END;
CREATE TRIGGER claim_line_no_replace BEFORE INSERT ON claim_line WHEN EXISTS (SELECT 1 FROM claim_line WHERE "claim" = NEW."claim" AND "line" = NEW."line") BEGIN SELECT RAISE(ABORT, 'claim_line is append-only'); END;
CREATE TRIGGER claim_submission_no_replace BEFORE INSERT ON claim_submission WHEN EXISTS (SELECT 1 FROM claim_submission WHERE "claim" = NEW."claim") BEGIN SELECT RAISE(ABORT, 'claim_submission is append-only'); END;
CREATE TRIGGER claim_review_no_replace BEFORE INSERT ON claim_review WHEN EXISTS (SELECT 1 FROM claim_review WHERE "claim" = NEW."claim" AND "line" = NEW."line") BEGIN SELECT RAISE(ABORT, 'claim_review is append-only'); END;
CREATE TRIGGER payout_no_replace BEFORE INSERT ON payout WHEN EXISTS (SELECT 1 FROM payout WHERE "claim" = NEW."claim" OR "reference" = NEW."reference") BEGIN SELECT RAISE(ABORT, 'payout is append-only'); END;
CREATE TRIGGER reserve_grant_no_replace BEFORE INSERT ON reserve_grant WHEN EXISTS (SELECT 1 FROM reserve_grant WHERE "reference" = NEW."reference") BEGIN SELECT RAISE(ABORT, 'reserve_grant is append-only'); END;
CREATE TRIGGER reserve_draw_no_replace BEFORE INSERT ON reserve_draw WHEN EXISTS (SELECT 1 FROM reserve_draw WHERE "line" = NEW."line") BEGIN SELECT RAISE(ABORT, 'reserve_draw is append-only'); END;
CREATE TRIGGER journal_balanced BEFORE INSERT ON journal WHEN (SELECT COALESCE(SUM(amount_micro), 0) FROM posting WHERE seq = NEW.seq) <> 0 BEGIN SELECT RAISE(ABORT, 'postings do not sum to zero'); END;
CREATE TRIGGER posting_sealed BEFORE INSERT ON posting WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this posting row is sealed'); END;
CREATE TRIGGER anchor_sealed BEFORE INSERT ON anchor WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this anchor row is sealed'); END;
CREATE TRIGGER book_sealed BEFORE INSERT ON book WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this book row is sealed'); END;
CREATE TRIGGER document_sealed BEFORE INSERT ON document WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this document row is sealed'); END;
CREATE TRIGGER signing_key_sealed BEFORE INSERT ON signing_key WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this signing_key row is sealed'); END;
CREATE TRIGGER signed_act_sealed BEFORE INSERT ON signed_act WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this signed_act row is sealed'); END;
CREATE TRIGGER provider_sealed BEFORE INSERT ON provider WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this provider row is sealed'); END;
CREATE TRIGGER unit_sealed BEFORE INSERT ON unit WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this unit row is sealed'); END;
CREATE TRIGGER revenue_sealed BEFORE INSERT ON revenue WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this revenue row is sealed'); END;
CREATE TRIGGER contract_sealed BEFORE INSERT ON contract WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this contract row is sealed'); END;
CREATE TRIGGER member_sealed BEFORE INSERT ON member WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this member row is sealed'); END;
CREATE TRIGGER member_end_sealed BEFORE INSERT ON member_end WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this member_end row is sealed'); END;
CREATE TRIGGER application_sealed BEFORE INSERT ON application WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this application row is sealed'); END;
CREATE TRIGGER review_sealed BEFORE INSERT ON review WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this review row is sealed'); END;
CREATE TRIGGER voucher_sealed BEFORE INSERT ON voucher WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this voucher row is sealed'); END;
CREATE TRIGGER voucher_end_sealed BEFORE INSERT ON voucher_end WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this voucher_end row is sealed'); END;
CREATE TRIGGER payment_sealed BEFORE INSERT ON payment WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this payment row is sealed'); END;
CREATE TRIGGER segment_sealed BEFORE INSERT ON segment WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this segment row is sealed'); END;
CREATE TRIGGER charge_sealed BEFORE INSERT ON charge WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this charge row is sealed'); END;
CREATE TRIGGER closing_sealed BEFORE INSERT ON closing WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this closing row is sealed'); END;
CREATE TRIGGER statement_sealed BEFORE INSERT ON statement WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this statement row is sealed'); END;
CREATE TRIGGER statement_line_sealed BEFORE INSERT ON statement_line WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this statement_line row is sealed'); END;
CREATE TRIGGER deduction_sealed BEFORE INSERT ON deduction WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this deduction row is sealed'); END;
CREATE TRIGGER invoice_sealed BEFORE INSERT ON invoice WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this invoice row is sealed'); END;
CREATE TRIGGER claim_sealed BEFORE INSERT ON claim WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this claim row is sealed'); END;
CREATE TRIGGER claim_line_sealed BEFORE INSERT ON claim_line WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this claim_line row is sealed'); END;
CREATE TRIGGER claim_submission_sealed BEFORE INSERT ON claim_submission WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this claim_submission row is sealed'); END;
CREATE TRIGGER claim_review_sealed BEFORE INSERT ON claim_review WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this claim_review row is sealed'); END;
CREATE TRIGGER payout_sealed BEFORE INSERT ON payout WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this payout row is sealed'); END;
CREATE TRIGGER reserve_grant_sealed BEFORE INSERT ON reserve_grant WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this reserve_grant row is sealed'); END;
CREATE TRIGGER reserve_draw_sealed BEFORE INSERT ON reserve_draw WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the entry of this reserve_draw row is sealed'); END;
COMMIT;
