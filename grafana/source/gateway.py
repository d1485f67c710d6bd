"""The gateway itself: what it adds, what it takes, what it remembers, and what it stands on."""

from grafana import (BLUE, GREEN, J, ORANGE, R, RED, dashboard, graph, growth, heatmap, now, ours, quantile, rate, row, stat)

OVERHEAD = "mainstay_gateway_overhead_seconds"
NONE = [(GREEN, None), (RED, 1)]


def process(gauge):
    return f"max by (instance) {ours(f'{gauge}{{{J}}}')}"


def three(histogram, labels="", matchers=J):
    """Lines for half, 95 and 99 of 100."""
    said = " ".join(f"{{{{{label}}}}}" for label in labels.split())
    return [(quantile(q, histogram, labels, matchers), f"{said} p{round(q * 100)}".strip()) for q in (0.5, 0.95, 0.99)]


GATEWAY = dashboard(
    "Gateway", "The gateway itself: what it adds, what it takes, what it remembers, and what it stands on.",
    row("Is it well?",
        stat("Instances", "Gateways that were scraped, by version.", "short", (now("count", "mainstay_build_info", "version"), "{{version}}"),
             text="value_and_name"),
        stat("Overhead, p99", "Our own time in a request up to the first byte to the caller.", "s", quantile(0.99, OVERHEAD, "", R),
             steps=[(GREEN, None), (ORANGE, 0.01), (RED, 0.05)]),
        stat("File refused", "Instances on which the file on disk is refused and an older table serves.", "short",
             now("sum", "mainstay_config_last_reload_failed"), steps=NONE),
        stat("State file failed", "Instances that could not write their state file at the last try, or not read or believe it at the "
             "start: a restart would forget what they know.", "short", now("sum", "mainstay_state_file_failed"), steps=NONE),
        stat("Store away", "Instances whose database is away or refuses to write. No request waits for it. Without `store` there is "
             "nothing here.", "short", f"{now('count', 'mainstay_store_up')} - {now('sum', 'mainstay_store_up')}", steps=NONE),
        stat("Redis away", "Instances without an answer from Redis or Valkey: they learn for themselves. Without `server.redis` there "
             "is nothing here.", "short", f"{now('count', 'mainstay_shared_connected')} - {now('sum', 'mainstay_shared_connected')}",
             steps=NONE),
        graph("Overhead", "Our own time in a request up to the first byte to the caller; waiting for upstreams and for the caller's "
              "body does not count.", "s", *three(OVERHEAD, "", R), steps=[(GREEN, None), (RED, 0.05)]),
        graph("CPU", "Cores that the process keeps busy.", "none", (f"sum by (instance) {ours(f'rate(process_cpu_seconds_total{{{J}}}[$__rate_interval])')}", "{{instance}}")),
        graph("Memory", "Resident memory of the process.", "bytes",
              (process("process_resident_memory_bytes"), "{{instance}}")),
        graph("Callers' connections", "Open connections from callers.", "short", (now("sum", "mainstay_connections", "instance"), "{{instance}}")),
        graph("Connections closed for others", "Idle connections of callers that were closed to make room: more come than "
              "`server.limits.max_connections`, or the open files, have room for.", "ops",
              (rate("mainstay_connections_evicted_total", "instance", J), "{{instance}}")),
        graph("Files and sockets", "Share of the open files that the process may have; at 1 nobody can connect any more.", "percentunit",
              (f'{process("process_open_fds")} / {process("process_max_fds")}', "{{instance}}"), high=1, steps=[(GREEN, None), (RED, 0.8)]),
        graph("Running since", "Start of each process.", "dateTimeAsIso",
              (f'1000 * {process("process_start_time_seconds")}', "{{instance}}"), low=None)),
    row("Room",
        graph("Memory held for requests", "Bodies and held-back answers of all requests, as a share of `server.limits.memory`. From 0.8 on "
              "requests are refused.", "percentunit", (now("max", "mainstay_memory_held_bytes", "instance") + " / " + now("max", "mainstay_memory_limit_bytes", "instance"),
               "{{instance}}"),
              high=1, steps=[(GREEN, None), (RED, 0.8)]),
        graph("Refused for want of room", "Requests answered 503 because a queue was full, the wait too long, or the gateway near its own "
              "limits. Without a route: before their bodies were read.", "reqps",
              (rate("mainstay_shed_total", "route reason priority", J), "{{route}} {{reason}} {{priority}}")),
        graph("Requests that wait", "Requests in the queues of routes whose channels are all busy.", "short",
              (now("sum", "mainstay_queue_depth", "route", R), "{{route}}")),
        graph("How long requests wait, p95", "Of those who waited for room, served in the end or not.", "s",
              (quantile(0.95, "mainstay_queue_seconds", "route", R), "{{route}}")),
        graph("Draining", "1 while an instance refuses new connections and finishes open requests.", "short",
              (now("max", "mainstay_draining", "instance"), "{{instance}}"))),
    row("Limits of callers",
        graph("Refused by limits", "Requests refused because their caller, or their route, had used what it may: 429, or 400 where a "
              "request is larger than the limit itself. By whose limit, and which.", "reqps",
              (rate("mainstay_limit_refusals_total", "level limit"), "{{level}}: {{limit}}")),
        graph("Left of limits", "What is left of limits now, as far as the replica knows that knows of most use; of the first 256 holders.",
              "short", (now("min", "mainstay_limit_left", "level name limit"), "{{level}} {{name}}: {{limit}}")),
        graph("Limits without Redis", "Requests that a replica held against its own part of their limits, since Redis or Valkey did not "
              "answer in time. A few when a replica starts; else look at Redis.", "reqps",
              (rate("mainstay_limits_alone_total", "instance"), "{{instance}}"))),
    row("Configuration",
        stat("Routing table", "The revision that serves, and on how many instances. More than one revision for long: some instance did "
             "not take the file.", "short", (f"count by (revision) (mainstay_config_info{{{J}}} == 1)", "{{revision}}"), size=(6, 4),
             text="value_and_name"),
        stat("Table applied", "When the serving table was applied, on the instance that did so last.", "dateTimeFromNow",
             f"1000 * {now('max', 'mainstay_config_applied_timestamp_seconds')}", size=(6, 4), steps=[(BLUE, None)]),
        stat("State file written", "When the state file was written last, on the instance where that is longest ago. It is written every "
             "five minutes at least.", "dateTimeFromNow", f"1000 * {now('min', 'mainstay_state_file_written_timestamp_seconds')}",
             size=(6, 4), steps=[(BLUE, None)]),
        stat("Models known", "Models in the catalog, those of the operator's file included.", "short", now("max", "mainstay_catalog_models"),
             size=(3, 4), steps=[(BLUE, None)]),
        stat("Catalog's age", "Since the day on which the catalog of models was true, on the instance with the oldest.", "s",
             now("max", "mainstay_catalog_age_seconds"), size=(3, 4), steps=[(GREEN, None), (ORANGE, 60 * 86400), (RED, 90 * 86400)]),
        graph("Certificates end", "In how long the certificate that a listener shows, or the first of its chain, ends. Its files are looked at "
              "every ten seconds.", "s", (f"min by (instance, listener) (mainstay_certificate_expiry_timestamp_seconds{{{J}}}) - time()", "{{instance}}: {{listener}}"),
              (now("max", "mainstay_certificate_refused", "instance listener"), "{{instance}}: the files of {{listener}} are refused")),
        graph("Reloads", "Reloads of routing.yaml by result.", "short", (growth("mainstay_reloads_total", "result"), "{{result}}")),
        graph("Managed keys, since the store was read", "How old what is known of the store's keys is. Two seconds are usual; beyond that "
              "the store is away, and what was changed there does not hold here. -1 where it was never read.", "s",
              (now("max", "mainstay_managed_keys_age_seconds", "instance"), "{{instance}}"), low=None),
        graph("Issuers' keys, since they came", "How old an issuer's public keys are. Ten minutes are usual; beyond that it does not "
              "answer, and new ones of its are not known. -1 where they never came.", "s",
              (now("max", "mainstay_issuer_keys_age_seconds", "issuer"), "{{issuer}}"), low=None),
        graph("Issuers' keys fetched", "Fetches of issuers' public keys, well or in vain.", "reqps",
              (rate("mainstay_issuer_fetches_total", "issuer result"), "{{issuer}} {{result}}"))),
    row("Ledger and store",
        graph("Rows of the ledger", "Rows of requests and attempts that were kept, by way, and those that could not be kept at all.", "ops",
              (rate("mainstay_ledger_rows_total", "way"), "{{way}}"), (rate("mainstay_ledger_lost_rows_total", "reason"), "lost: {{reason}}"),
              (rate("mainstay_audit_lost_rows_total"), "lost of the audit trail")),
        graph("How far the store is behind", "Age of the oldest rows that it has not taken.", "s",
              (now("max", "mainstay_ledger_lag_seconds", "instance"), "{{instance}}")),
        graph("Rows that the store has not taken yet", "On disk, while the store is away or behind, and what they may be: `ledger.spool.max_bytes`.", "bytes",
              (now("max", "mainstay_ledger_spool_bytes", "instance"), "{{instance}}"),
              (now("max", "mainstay_ledger_spool_limit_bytes"), "limit")),
        graph("Batches that the store has not taken yet", "The same, and requests that have just ended.", "short",
              (now("sum", "mainstay_ledger_spool_batches"), "batches on disk"), (now("sum", "mainstay_ledger_queue"), "requests in memory")),
        graph("Whether the disk takes what the store does not", "1 while neither the store nor the disk takes rows, so that they wait in "
              "memory: the disk is full, broken or hangs. Rows are lost once too many wait.", "short",
              (now("max", "mainstay_ledger_spool_failed", "instance"), "{{instance}}")),
        graph("Store", "1 while the database does what it is asked, 0 while it is away or refuses to write.", "short",
              (now("min", "mainstay_store_up", "instance"), "{{instance}}"), high=1),
        graph("Writes to the store", "From being asked for to being done, of batches of rows and of all else that is changed.", "s",
              *three("mainstay_store_seconds")),
        graph("Asked of the store in vain", "`away`: nobody is there. `late`: no answer in time. `refused`: an error, such as a full disk or "
              "a missing right; `/admin/status` says which.", "ops", (rate("mainstay_store_errors_total", "kind"), "{{kind}}"))),
    row("Redis or Valkey",
        graph("Asked of Redis or Valkey", "Commands by what came of them. No request waits for it: while it is away every replica learns "
              "for itself. `unreadable`: what somebody else wrote there is ignored.", "ops",
              (rate("mainstay_shared_operations_total", "operation result"), "{{operation}}: {{result}}"),
              (rate("mainstay_shared_unreadable_total"), "unreadable")),
        graph("How long Redis or Valkey takes, p99", "Of the answers that came in time.", "s",
              (quantile(0.99, "mainstay_shared_operation_seconds", "operation"), "{{operation}}")),
        graph("Replicas that count together", "How many replicas share limits, as each of them knows. All should agree, within seconds.",
              "short", (now("max", "mainstay_limits_replicas", "instance"), "{{instance}}")), collapsed=True),
    row("Alerts by webhook and telemetry",
        graph("Deliveries of alerts", "Tries to deliver a message, by webhook: delivered; failed, and tried again; given up after the "
              "fifth; refused; gone (410), so that nothing is sent there until the configuration changes.", "ops",
              (rate("mainstay_alert_deliveries_total", "webhook result"), "{{webhook}}: {{result}}")),
        graph("Alerts that nobody got", "Messages that were dropped: more waited for a webhook than may, or it wants nothing any more; and "
              "alerts beyond what is kept at once.", "ops", (rate("mainstay_alerts_dropped_total", "webhook reason"), "{{webhook}} {{reason}}")),
        graph("Series", "Series that are held for Prometheus, and new ones that `telemetry.metrics.max_series` did not allow, per second.",
              "short", (now("max", "mainstay_metrics_series", "instance"), "{{instance}}"),
              (rate("mainstay_metrics_overflow_total", "metric"), "too many: {{metric}}")),
        graph("Batches for the collector", "What became of batches of telemetry (`telemetry.otlp`). No request waits for them.", "ops",
              (rate("mainstay_otlp_batches_total", "signal result"), "{{signal}}: {{result}}")),
        graph("Batches that wait for the collector", "At most as many as the queue holds; then the oldest go.", "short",
              (now("max", "mainstay_otlp_queue", "signal"), "{{signal}}")), collapsed=True),
    row("What is remembered",
        graph("Last requests at hand", "Ended requests that `GET /admin/requests` finds.", "short",
              (now("sum", "mainstay_journal_requests", "instance"), "{{instance}}")),
        graph("Requests that nobody can look up", "Ended requests a second that neither the journal nor the log has, because too many ended "
              "at once; and lines of the log that nobody took in time.", "ops",
              (rate("mainstay_journal_lost_total"), "neither kept nor logged"), (rate("mainstay_log_lost_lines_total"), "lines not logged")),
        graph("Captures", "Requests a second that were to be captured (`telemetry.capture`), by what became of them. None of them waits for the disk.",
              "ops", (rate("mainstay_captures_total", "result"), "{{result}}")),
        graph("Captures on disk", "Bytes of requests and answers on disk, at most telemetry.capture.max_total.", "bytes",
              (now("sum", "mainstay_capture_bytes", "instance"), "{{instance}}")),
        graph("Memory of kept answers", "Bytes of answers that are kept, at most server.cache_memory and server.idempotency.memory.", "bytes",
              (now("sum", "mainstay_cache_bytes", "store"), "{{store}}")),
        graph("Kept answers", "How many answers are kept.", "short", (now("sum", "mainstay_cache_entries", "store"), "{{store}}")),
        graph("Memory of remembered responses", "Translated responses that callers may refer to, at most server.responses.memory on each "
              "instance.", "bytes", (now("sum", "mainstay_responses_remembered_bytes", "instance"), "{{instance}}")),
        graph("Responses remembered", "Translated responses that callers may refer to.", "short",
              (now("sum", "mainstay_responses_remembered", "instance"), "{{instance}}")),
        graph("References to responses", "References to responses and items of ours. A miss was forgotten: more memory or a longer ttl in "
              "server.responses would have kept it.", "ops", (rate("mainstay_responses_recalled_total", "result"), "{{result}}")),
        graph("Encrypted reasoning", "Requests that bring encrypted reasoning back. Kept goes to the account that made it; left_out went "
              "elsewhere without it, because that account could not be asked; refused could not be read and was sent again without.", "ops",
              (rate("mainstay_encrypted_reasoning_total", "result"), "{{result}}")),
        graph("Files and batches", "References to files and batches that callers left at an upstream. Unknown ones are looked for at each "
              "account, or refused where callers have keys; foreign ones are another caller's.", "ops",
              (rate("mainstay_left_references_total", "operation result"), "{{operation}} {{result}}")),
        graph("Callers' URLs fetched", "Pictures and documents that callers gave as URLs and that were fetched for channels that take only "
              "the content; whatever is not `ok` was a 400, or another channel's.", "reqps",
              (rate("mainstay_media_fetches_total", "result"), "{{result}}")), collapsed=True),
    row("The process",
        heatmap("Overhead, all requests", "How many requests lost how much time here.", "s", OVERHEAD, matchers=R),
        graph("How late timers fire, p99", "Of a timer that is set for 100 ms: what requests wait for a worker.", "s",
              (quantile(0.99, "mainstay_runtime_lag_seconds", "instance"), "{{instance}}"), size=(12, 9)),
        graph("Workers' time", "The share of their time that worker threads are busy.", "percentunit",
              (f"{rate('mainstay_runtime_busy_seconds_total', 'instance')} / {now('max', 'mainstay_runtime_workers', 'instance')}",
               "{{instance}}"), high=1),
        graph("Tasks", "Alive, those that wait for a worker, and those of the gateway's own that have panicked and are gone.", "short", (now("max", "mainstay_runtime_tasks", "instance"), "{{instance}}"),
              (now("max", "mainstay_runtime_queue", "instance"), "{{instance}} waiting"),
              (now("max", "mainstay_tasks_panicked", "instance task"), "{{instance}} {{task}} panicked")),
        graph("Threads", "Of the process.", "short", (process("process_threads"), "{{instance}}")),
        graph("Address space", "Virtual memory of the process: reserved, and mostly not used.", "bytes",
              (process("process_virtual_memory_bytes"), "{{instance}}")), collapsed=True),
)
