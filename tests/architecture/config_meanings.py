"""What each setting means, with its unit: one sentence for every field of the Structs in `config_forms.py`. It becomes
`config/README.md` and the hover text of the JSON Schemas; `test_config_docs.py` wants exactly one for each field."""

from __future__ import annotations

from tests.architecture.connector_meanings import CONNECTORS
from tests.architecture.task_type_meanings import TASK_TYPES

MEANINGS: dict[str, str] = {
    # hub.yaml
    "Settings.data_dir": "folder of everything that the hub keeps itself: SQLite, the embedded Valkey, its own key",
    "Settings.server": "where the web process listens",
    "Settings.database": "where everything is kept",
    "Settings.queue": "the alarm clock of the jobs; what it loses, the database still has",
    "Settings.secret_keys": (
        "keys that seal webhook secrets in the database: the first seals, all open; empty: a key file in `data_dir`"
    ),
    "Settings.jobs": "how jobs are worked off",
    "Settings.limits": "what one organisation may ask of one web process",
    "Settings.targets": "where callbacks and payments may go",
    "Settings.rates": "what a bitcoin costs in dollars: live sources, or the fixed test rate that a real rail refuses",
    "Settings.rails": "what pays",
    "Settings.payouts": "how much may leave",
    "Settings.billing": "how organisations pay in over Lightning (`POST /v1/top-ups`, the operator's page)",
    "Billing.top_up_rail": (
        "rail that makes the invoices of top-ups; empty: the first of `rails.use` that can be paid (all but Strike and bank)"
    ),
    "Billing.top_up_least_sats": "least amount of one top-up",
    "Billing.top_up_most_sats": "largest amount of one top-up",
    "Billing.top_up_minutes": "minutes for which its invoice can be paid",
    "Settings.log": "form of the log; `auto`: human on a terminal, else one JSON object a line",
    "Settings.workers": "how people become workers",
    "Workers.signup": "`open`: anybody may ask for an invitation under /join, which an operator sends; `closed`: operators invite",
    "Workers.asks_per_minute": "such requests a minute from one network address to one web process",
    "Server.host": "address to listen on",
    "Server.port": "TCP port to listen on",
    "Server.public_url": "how browsers and vendors reach the hub, without a slash at its end; empty: http://host:port",
    "Server.client_ip_header": (
        "header in which the proxy in front puts the peer's address, such as `X-Forwarded-For` (its last value "
        "counts); empty: no proxy, the connection's own address counts"
    ),
    "DatabaseSettings.url": "`postgresql://user:password@host/name`; empty: SQLite in `data_dir`",
    "DatabaseSettings.pool_size": "connections that one process keeps open",
    "QueueSettings.url": "`redis://host:6379/0` of a Redis or Valkey; empty: a Valkey of our own in `data_dir`",
    "Jobs.lease_seconds": (
        "seconds for which a worker holds a job before another may take it over: what a crash costs at most; "
        "longer than any call to the outside (15 s for a callback, 20 s for a payment)"
    ),
    "Limits.requests_per_minute": (
        "API requests a minute, of one organisation to one web process; more is a 429 with `Retry-After`; 0: no limit"
    ),
    "Targets.allow": (
        "private addresses that callbacks and Lightning addresses may reach all the same, as CIDR or host:port; "
        "every other private, loopback, link-local and metadata address is refused"
    ),
    "Rates.sources": (
        "live sources: `kraken`, `coinbase`, `coinbase_exchange`, `bitstamp`, `strike` (needs a key), `mempool`; real money "
        "needs three; empty: the test rate"
    ),
    "Rates.min_sources": "sources that must answer and agree; with real money 2 or more",
    "Rates.max_age_seconds": "age at which a price, and the rate itself, is no longer used for paying",
    "Rates.max_spread_percent": "how far the sources that count may lie apart; above it there is no rate",
    "Rates.outlier_percent": "a source further than this from the median does not count",
    "Rates.every_seconds": "seconds between two looks at a source; one that fails is left alone for 5 s to 5 min",
    "Rates.spread_percent": "part of a payout in dollars that the hub keeps for the exchange, from the organisation",
    "Rates.options": "options of sources, by source; each one's own are below",
    "SourceOptions.url": "another address: one's own mempool (`https://mempool.example`), or a mirror; none: the source's own",
    "StrikeRateOptions.api_key": "`env:NAME` or `file:/path` of a Strike API key with the scope `partner.rates.ticker`",
    "StrikeRateOptions.url": "another address; none: Strike's own",
    "Rates.usd_per_btc": "US dollars for one bitcoin, as a quoted decimal",
    "Rates.set_on": "day on which that rate was written down, YYYY-MM-DD",
    "RailSettings.use": "the rails that pay, in order of preference; the sandbox and a real rail must not share a hub",
    "RailSettings.order": "which rail is tried first, and which after it has failed for good",
    "RailOrder.default": "names of rails, the first choice first; empty: the order of `use`",
    "RailOrder.plans": "plan -> its own order, for payouts of tasks of organisations on that plan",
    "RailOrder.workers": "worker, by id or e-mail address -> their own order; comes before the plan's",
    "RailSettings.options": "options of each rail under its name",
    "RailSettings.address_domains": (
        "domain of a Lightning address -> base URL that answers for it, for wallets without a public name"
    ),
    "PayoutCaps.paused": (
        "kill switch: nothing new leaves, look-ups go on; read when a process starts, `hub payouts pause` works at once"
    ),
    "PayoutCaps.least_sats": "fewest satoshis of one payout; a smaller one waits",
    "PayoutCaps.address_hold_hours": (
        "hours for which a changed payout address or bank account waits before it is paid, so that its owner can see a "
        "change that was not theirs; a worker's first one does not wait; 0: no hold"
    ),
    "BankOptions.test": "the batch files are for show: test money, and no bank ever gets them",
    "PayoutCaps.per_payout_sats": "most satoshis of one payout; a larger one waits for the operator",
    "PayoutCaps.per_worker_day_sats": "most satoshis to one worker within the last 24 hours; more waits",
    "PayoutCaps.per_hub_hour_sats": "most satoshis of one environment within the last 60 minutes; more waits",
    "PayoutCaps.per_hub_day_sats": "most satoshis of one environment within the last 24 hours; more waits",
    "PayoutCaps.max_attempts": "invoices that may fail for good, over all rails, before an operator decides",
    "PayoutCaps.attempts_per_rail": "of them, how many in a row on one rail before the next of the order is tried",
    "PayoutCaps.max_fee_sats": (
        "satoshis that a rail may take for any payout; with `max_fee_percent`, whichever is more. A payout of up to 10 "
        "satoshis may cost as much as itself. phoenixd takes 4 satoshis and 0.4 %"
    ),
    "PayoutCaps.max_fee_percent": "percent of the payout that a rail may take, rounded down to the millisatoshi",
    "PayoutCaps.breaker": "when a rail that keeps us in doubt is not used for new payouts",
    "PayoutCaps.stuck_minutes": "minutes for which a payment may be in doubt before an operator is told",
    "PayoutCaps.slow_stuck_days": "the same for banks, in days",
    "PayoutCaps.low_balance_sats": (
        "rail -> satoshis below which an operator is told to fill it up; a rail that is not named: `per_payout_sats`"
    ),
    "Breaker.unknowns": "payments in doubt at once that stop a rail until they are cleared up",
    "Breaker.minutes": "minutes within which those must have been sent",
    "SandboxOptions.funds_msat": "play money of the simulated node, in millisatoshi",
    "SandboxOptions.fee_base_msat": "network fee of every simulated payment, in millisatoshi",
    "SandboxOptions.fee_ppm": "network fee in millionths of the amount, rounded down",
    "SandboxOptions.answer_timeout": "seconds that `pay` waits for a hanging payment before it answers IN_FLIGHT",
    "PhoenixdOptions.password": "`http-password` of phoenixd, not the limited one, which cannot pay",
    "PhoenixdOptions.url": "where phoenixd listens; https, or http on this machine and in the private network",
    "PhoenixdOptions.network": "the chain it runs on, as an invoice writes it after `ln`; every other invoice is refused",
    "PhoenixdOptions.fee_base_msat": "fixed part of what its LSP takes for every payment, in millisatoshi",
    "PhoenixdOptions.fee_ppm": "part that grows with the amount, in millionths",
    "PhoenixdOptions.answer_timeout": "seconds that `pay` waits for the end of a payment before it is in doubt",
    "LnbitsOptions.admin_key": "the Admin key of the wallet that pays; its Invoice key cannot pay",
    "LnbitsOptions.url": "where LNbits listens; https, or http on this machine and in the private network",
    "LnbitsOptions.network": "the chain of its funding source, as an invoice writes it after `ln`",
    "LnbitsOptions.answer_timeout": "seconds that `pay` waits for LNbits' answer before the payment is in doubt",
    "LndOptions.url": "where lnd's REST listens, such as https://10.0.0.5:8080; http only on this machine",
    "LndOptions.macaroon": "`env:NAME` or `file:/path` of the macaroon in hex",
    "LndOptions.tls_cert": "path of lnd's `tls.cert`: exactly this certificate is taken; empty: a public authority vouches",
    "LndOptions.network": "the chain it runs on, as an invoice writes it after `ln`; compared with what the node says",
    "LndOptions.node_id": "public key (hex) of the node that is meant, compared with what it says; empty: not compared",
    "LndOptions.timeout_seconds": "seconds that lnd may look for a route",
    "LndOptions.answer_timeout": "seconds that `pay` waits for the end of a payment before it is looked up",
    "LndOptions.cltv_limit": "most blocks for which a payee may hold a payment",
    "LndOptions.max_parts": "most parts into which a payment may be split",
    "ClnOptions.url": "where clnrest listens, such as https://10.0.0.5:3010; http only on this machine",
    "ClnOptions.rune": "`env:NAME` or `file:/path` of the rune",
    "ClnOptions.tls_cert": (
        "path of clnrest's `server.pem`: exactly this certificate is taken; empty: a public authority vouches"
    ),
    "ClnOptions.network": "the chain it runs on, as an invoice writes it after `ln`; compared with what the node says",
    "ClnOptions.node_id": "public key (hex) of the node that is meant, compared with what it says; empty: not compared",
    "ClnOptions.retry_seconds": "seconds that the node may go on trying (`retry_for`)",
    "ClnOptions.answer_timeout": "seconds that `pay` waits for the end of a payment before it is looked up",
    "ClnOptions.max_delay": "most blocks for which a payee may hold a payment (`maxdelay`)",
    "ElectrumOptions.url": "where the daemon's JSON-RPC listens, such as http://127.0.0.1:7777; http only on this machine",
    "ElectrumOptions.password": "`env:NAME` or `file:/path` of the daemon's `rpcpassword`",
    "ElectrumOptions.user": "the daemon's `rpcuser`",
    "ElectrumOptions.tls_cert": (
        "path of the certificate of what stands before the daemon: exactly this one is taken; empty: a public authority vouches"
    ),
    "ElectrumOptions.network": "the chain it runs on, as an invoice writes it after `ln`; compared with what the daemon says",
    "ElectrumOptions.node_id": "public key (hex) of the node that is meant, compared with what it says; empty: not compared",
    "ElectrumOptions.wallet": "path of the wallet's file on the daemon's machine; empty: the daemon's default wallet",
    "ElectrumOptions.answer_timeout": "seconds that `pay` waits for the end of a payment before it is looked up",
    "StrikeOptions.api_key": "an API key of the account that pays, with the scopes in connectors/rails/README.md",
    "StrikeOptions.url": "where Strike's API is; its sandbox has another address",
    "StrikeOptions.network": "the chain of its invoices, as an invoice writes it after `ln`; other than `bc` for a sandbox",
    "StrikeOptions.source_currency": "the balance that pays",
    "StrikeOptions.answer_timeout": "seconds that `pay` waits for Strike's answer before the payment is in doubt",
    "StrikeOptions.requests_per_10_minutes": "most requests of each process; Strike shuts out at 1,000 in all, its sandbox at 350",
    "StrikeOptions.payment_list_complete": (
        "true when you have seen `GET /v1/payments` show every payment at once: only then is an absence there believed"
    ),
    "StrikeOptions.webhook_secrets": "what Strike signs its events with; without it `/webhooks/rails/strike` is not there",
    "StrikeBankOptions.api_key": "an API key of the account that pays, with the scopes in connectors/rails/README.md",
    "StrikeBankOptions.url": "where Strike's API is; its sandbox has another address",
    "StrikeBankOptions.sandbox": "true when the account is one of Strike's sandbox: play money",
    "StrikeBankOptions.originator_id": "an approved payout originator; empty when the owner of the account is the sender",
    "StrikeBankOptions.answer_timeout": "seconds that `pay` waits for Strike's answer before the payout is in doubt",
    "StrikeBankOptions.requests_per_10_minutes": "most requests of each process; Strike shuts out at 1,000 in all, its sandbox at 350",
    "StrikeBankOptions.webhook_secrets": "what Strike signs its events with; without it `/webhooks/rails/strike` is not there",
    # plans.yaml
    "PlansFile.plans": "every plan that an organisation may be on",
    "Plan.name": "what `hub organisations create --plan` takes",
    "Plan.fee_percent": "the hub's fee in percent of the payout, rounded up to a satoshi; this or `fee_tiers`",
    "Plan.fee_tiers": "the fee by volume: how many live tasks were verified in the calendar month (UTC) before this one",
    "Plan.redundancy": "how many people answer each task at least; so many payouts are reserved",
    "Plan.expert_pool": "true: tasks of organisations on this plan go to the pool of experts alone: who is marked as one, or has the trust of `expert_tier` in `routing.yaml`",
    "Plan.monthly_statement": "true: a statement of each month is closed and kept on the first of the next",
    "FeeTier.from_tasks": "verified live tasks of the month from which on this fee holds; the first tier begins with 0",
    "FeeTier.fee_percent": "the hub's fee in percent of the payout, rounded up to a satoshi",
    "Plan.fee_minimum_usd": "least fee of a task, in US dollars",
    "Plan.free_tasks": "how many verified tasks of an organisation carry no fee, counted from its first",
    # verification.yaml
    "Checks.risk": "the checks of each risk; one that is left out keeps its built-in level",
    "Checks.plans": "what a plan has different, by plan; its `redundancy` counts in any case",
    "Checks.task_types": "what a task type has different, by task type; the last word",
    "Level.answers_min": "people who are asked at once, blind to each other",
    "Level.answers_max": "people who are asked at most; so many payouts are reserved",
    "Level.confidence": "agreement (0 to 1) at which no further answer is bought",
    "Level.rho": "share of wrong answers that may be given out; the upper bound of the type's audits is held against it",
    "Level.stages": "stages after those that the task type names",
    "Level.uncertified": "while the audits do not prove `rho`: `release`, `qa` (a reviewer first) or `refuse`",
    "Level.undecided": "when the answers do not agree after the last one: `release` the likeliest, `qa` or `refuse`",
    "Level.unsure": "when a stage could not tell: `release`, `qa` or `refuse`",
    "Level.short": "when the time is over with fewer than `answers_min` answers: `release` what is there, `qa` or `refuse`",
    "Level.always_qa": "a reviewer decides on every answer",
    "Level.spot_check": "share of the answers given out that a reviewer looks at afterwards",
    **{
        f"Override.{name}": f"as in `risk`: {what}"
        for name, what in {
            "answers_min": "people who are asked at once",
            "answers_max": "people who are asked at most",
            "confidence": "agreement at which no further answer is bought",
            "rho": "share of wrong answers that may be given out",
            "stages": "stages after those that the task type names",
            "uncertified": "what happens while the audits do not prove `rho`",
            "undecided": "what happens when the answers do not agree",
            "unsure": "what happens when a stage could not tell",
            "short": "what happens when too few answered in time",
            "always_qa": "a reviewer decides on every answer",
            "spot_check": "share of the answers that a reviewer looks at afterwards",
            "gold_floor": "least share of a worker's turns that are gold",
        }.items()
    },
    "Checks.review": "what people decide: QA, spot checks, appeals",
    "Review.hours": "hours in which QA decides; then the answer is not given out",
    "Review.appeal_hours": "hours in which an appeal or a dispute is decided",
    "Review.appeal_window_hours": "hours after a refusal in which a worker may appeal",
    "Review.reviewer_tier": "trust tier from which a worker may review",
    "Checks.marks": "what an open mark does to its worker",
    "Marks.gold_rate": "least share of a marked worker's turns that are gold",
    "Marks.hold_pay": (
        "environments in which the pay of a marked worker waits: what no reviewer has judged, and what was not sent yet, "
        "until an operator clears the mark (it is sent) or confirms it (the answers are refused and may be appealed)"
    ),
    "Marks.hold_hours": "hours after which held pay is sent all the same when nobody has looked",
    "Checks.gold": "questions whose answer is known, mixed in among the others",
    "Level.gold_floor": "least share of a worker's turns that are gold",
    "Gold.highest": "largest share of a worker's turns that are gold",
    "Gold.slope": "how fast that share falls with the lower bound of the worker's reliability",
    "Gold.early": "gold items for each option of the type's widest choice that a new worker sees at three of four turns, before the rate falls",
    "Gold.longest_gap": "answers after which a worker gets gold for sure",
    "Gold.most_exposures": "people who are shown one gold item before it is retired",
    "Gold.reveal_hours": "hours after which a worker is told of a gold item that they missed, and may dispute it",
    "Gold.harvest": "make gold of tasks whose answer a reviewer has confirmed",
    # routing.yaml
    "Policy.weights": "what each part of a worker's score counts (`core/routing/score.py`)",
    "Policy.sla": "what is done about a task that runs late",
    "Sla.late_answers": (
        "an answer after the task was taken back at 100 % of its SLA: `paid`, it is judged like any other as long as nobody's "
        "has passed, and paid in full if it is the first that does; `refused`, it is not taken. The worker reads it before"
    ),
    "Sla.late_percent": (
        "a backup is wanted as soon as the chance to be late is above so many percent, and at 80 % of the SLA in any case"
    ),
    "Sla.backups": "what backups may spend; without a limit they take the hands that other tasks wait for",
    "Backups.share_percent": "of a skill's assignments in the window so many percent may be backups",
    "Backups.window_seconds": "the window, in seconds",
    "Backups.burst": "so many backups of a skill in the window in any case",
    "Backups.busy_percent": "no backup while more of the capacity of a skill's people is taken",
    "Policy.minimum_tier": "least trust tier that a task of each risk asks for",
    "Policy.expert_tier": "trust tier from which on a worker belongs to the pool of experts, whom plans with `expert_pool` ask for",
    "Policy.retry_seconds": "seconds after which a task that nobody could take is tried again",
    "Policy.candidates": "workers that are scored for one task",
    "Policy.claims": "of them, how many are tried in the database, best first",
    "Policy.waiting_batch": "waiting tasks that one job offers when somebody becomes free",
    "Policy.cool_off_seconds": "seconds for which a worker gets no offer after one that they did not answer; 0: none",
    "Policy.decisions_days": "days for which it is kept why a task was offered to whom (`hub task why`)",
    "Weights.quality_in_time": "weight of the chance of a right answer in time",
    "Weights.price": "weight of the share of the payout that a worker insists on; it counts against",
    "Weights.idle": "weight of having waited long, in full after `idle_full_seconds`",
    "Weights.turns": "share of the tasks for which waiting counts without an end, so that nobody able starves",
    "Weights.exploration": "weight of a small draw by task and worker, larger for who has given few answers",
    "Weights.stakes": "risk -> times what a right answer in time is worth",
    "Weights.late": "part of its worth that an answer still has which comes after its time",
    "Weights.second_try": "share of its worth that a task keeps when an offer is lost",
    "Weights.takes": "share of offers that are taken, believed of a worker until their own are counted",
    "Weights.response_seconds": "seconds that people take to respond to an offer",
    "Weights.typical_seconds": "seconds that one answer takes, the middle one, for workers of whom nothing is known",
    "Weights.spread": "how much that varies: the standard deviation of its natural logarithm",
    "Weights.newcomer_answers": "answers after which `exploration` is down to six tenths",
    "Weights.idle_full_seconds": "seconds of waiting that earn the full `idle`",
    # quizzes/*.yaml
    "Quiz.skill": "the skill that passing grants, as task types name it; the file is called after it",
    "Quiz.title": "what the quiz is called on the worker's page",
    "Quiz.about": "what a worker should know before they begin",
    "Quiz.draw": "how many questions are drawn of the bank for one try",
    "Quiz.needed": "how many of them must be right",
    "Quiz.minutes": "minutes for one try",
    "Quiz.cooldown_hours": "hours between a try that failed and the next one",
    "Quiz.tries": "tries there are, since the skill was last passed; after them an operator may grant it",
    "Quiz.valid_days": "days after which the skill lapses and the quiz is to be passed again; 0: never",
    "Quiz.questions": "the bank: as many as are drawn, better twice as many or more",
    "Question.id": "name of the question within the bank; kept with each attempt",
    "Question.text": "what is asked",
    "Question.options": "what can be chosen, 2 to 8; the order is drawn anew for each try",
    "Question.right": "the one option that is right, to the letter; it never leaves the hub",
    # trust.yaml
    "Trust.tiers": "the tiers from 0 up, 2 to 5 of them",
    "Trust.promotion_hours": "hours between two steps up of one worker, at least",
    "Trust.alarm_days": "days after a sudden run of wrong answers, or after an operator lowered the tier, in which a worker does not rise",
    "Trust.restored_days": "days in which no rule touches the tier that an appeal restored",
    "Trust.appeal_hours": "hours in which another operator decides an appeal; after them it is a repair item",
    "Trust.declines_to_pause": "offers refused in a row that pause a worker; 0: never",
    "Tier.name": "what the tier is called on the pages",
    "Tier.may": "a sentence on who its workers are, for their page; what they may do stands beside it there, by `minimum_tier` of routing.yaml",
    "Tier.usual": "chance, 0 to 1, that an answer of this tier is right: what a worker's own evidence is shrunk to",
    "Tier.auto_assign": "true: its workers may switch on that a question is in their hands at once, without accepting it",
    "Tier.enter": "what a worker must have shown to come in, all of it",
    "Tier.leave": "what makes a worker fall one tier, any of it",
    "Enter.lower": "least lower bound (5 %) of the chance of a right answer, over all task types",
    "Enter.gold": "answers to questions whose answer was known",
    "Enter.evidence": "weight of all evidence there ever was of the worker",
    "Enter.days": "days since the person was added",
    "Enter.qa_seen": "answers that a reviewer has judged",
    "Enter.qa_agreed": "least share of those with which the reviewer agreed, 0 to 1",
    "Enter.by_person": "only an operator lets somebody in",
    "Leave.lower": "lower bound (5 %) below which the worker falls",
    "Leave.evidence": "weight of evidence, not forgotten, from which that bound counts",
    "Leave.qa_seen": "judged answers from which the share below counts",
    "Leave.qa_agreed": "share of agreement with reviewers below which the worker falls",
    "Leave.alarm": "whether a sudden run of wrong answers (CUSUM) makes the worker fall",
    **TASK_TYPES,
    **CONNECTORS,
}

# Variables of the environment that are not settings by path.
VARIABLES: dict[str, str] = {
    "HUB_CONFIG_DIR": "folder of these files; else `./config`, else the copy inside the package",
    "HUB_DATA_DIR": "`data_dir`",
    "HUB_DATABASE_URL": "`database.url`",
    "HUB_REDIS_URL": "`queue.url`",
    "HUB_PUBLIC_URL": "`server.public_url`",
    "HUB_SECRET_KEYS": "`secret_keys`, separated by commas",
    "HUB_LOG": "`log` of one process",
    "HUB_CRASH_AT": "for tests: `name:n` ends the process when that point of `core/crash.py` is passed the n-th time",
    "HUB_CRASH_BY": "for tests: `stop` freezes the process at that point instead, until somebody wakes it",
    "HUB_SIMULATOR_URL": "set by `hub demo` for its processes: where the simulated vendors answer",
    "HUB_SIMULATOR_SOCKET": "set by `hub demo` for its processes: the simulator's socket",
}
