//! Every metric that Mainstay exports: name, kind, labels, help. One row each.
//!
//! Label sets are closed: a label value is a configured name or a word of our own, never a string
//! that a caller sent. Units follow Prometheus: seconds, bytes, `_total` for counters.

use Kind::{Counter, Gauge, Histogram};

/// One row of the catalogue.
#[derive(Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub help: &'static str,
    /// Its place in [`ALL`].
    pub index: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Counter,
    Gauge,
    /// With these upper bounds, in the metric's unit.
    Histogram(&'static [f64]),
}

/// Model latencies: 50 ms to 5 minutes.
const MODEL_SECONDS: &[f64] =
    &[0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0];
/// Our own time within a request: 20 µs to 100 ms.
const OVERHEAD_SECONDS: &[f64] =
    &[0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1];

/// Waits for room, which are short or given up.
const QUEUE_WAITS: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// A batch into a database: on the same machine to one that is nearly stuck.
const STORE_WRITES: &[f64] = &[0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// Silences within a stream: between two pieces of a quick model to what patience ends at.
const GAPS: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// As OpenTelemetry has them for `gen_ai.server.time_per_output_token`.
const TOKEN_SECONDS: &[f64] = &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];

/// Tokens a second: a slow model on a slow machine to hardware made for it.
const TOKEN_RATES: &[f64] = &[5.0, 10.0, 20.0, 30.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 500.0, 1_000.0];

/// As OpenTelemetry has them for `gen_ai.client.token.usage`.
const TOKEN_COUNTS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// How long breakers are not closed: one short trip to an hour's outage.
const OUTAGES: &[f64] = &[1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0];

/// Opening a connection: in this room to a lost packet or two far away.
const CONNECTS: &[f64] = &[0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Answers of Redis.
const SHARED_WAITS: &[f64] = &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];

/// How late timers are; tokio's own are exact to a millisecond.
const LAGS: &[f64] = &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0];

macro_rules! catalogue {
    ($([$group:literal] $($id:ident = $name:literal $kind:expr, [$($label:literal),*], $help:literal;)*)*) => {
        #[expect(clippy::upper_case_acronyms, non_camel_case_types, reason = "named as the constants are")]
        enum Place { $($($id,)*)* }
        $($(pub const $id: Metric = Metric {
            name: $name, kind: $kind, labels: &[$($label),*], help: $help, index: Place::$id as usize,
        };)*)*
        /// The whole catalogue, in the order of the file.
        pub const ALL: &[&Metric] = &[$($(&$id),*),*];
        /// The same by what it is about.
        pub const GROUPS: &[(&str, &[&Metric])] = &[$(($group, &[$(&$id),*])),*];
    };
}

catalogue! {
    ["The gateway"]
    BUILD_INFO = "mainstay_build_info" Gauge, ["version"], "1, labelled with the running version.";
    CONFIG_INFO = "mainstay_config_info" Gauge, ["revision"], "1 for the applied routing table, labelled with its revision; 0 for earlier ones.";
    RELOADS = "mainstay_reloads_total" Counter, ["result"], "Reloads of routing.yaml by result: applied, unchanged, refused.";
    RELOAD_FAILED = "mainstay_config_last_reload_failed" Gauge, [], "1 while the file on disk is refused and an older table serves, else 0.";
    RELOAD_SECONDS = "mainstay_config_applied_timestamp_seconds" Gauge, [], "Unix time at which the serving table was applied.";
    STATE_FILE_WRITTEN = "mainstay_state_file_written_timestamp_seconds" Gauge, [], "Unix time at which the state file was written last, by the process before where this one has not written it yet; absent without server.state_file, and until there is one.";
    STATE_FILE_FAILED = "mainstay_state_file_failed" Gauge, [], "1 while the state file could not be written at the last try, or not be read or believed at the start, else 0; absent without server.state_file.";
    CERTIFICATE_ENDS = "mainstay_certificate_expiry_timestamp_seconds" Gauge, ["listener"], "Unix time at which the certificate that a listener shows, or the first of its chain, ends; absent without TLS.";
    CERTIFICATE_REFUSED = "mainstay_certificate_refused" Gauge, ["listener"], "1 while the files of a listener's certificate cannot be used and it shows what was in them before, else 0; absent without TLS.";
    CATALOG_AGE = "mainstay_catalog_age_seconds" Gauge, [], "Since the day on which the catalog of models was true.";
    CATALOG_MODELS = "mainstay_catalog_models" Gauge, [], "Models in the catalog, those of the operator's file included.";
    OVERRIDES = "mainstay_overrides" Gauge, ["upstream", "model", "kind"], "What operators have said of an upstream, or of a model of it: 1 while it is disabled, draining, forced_open or forced_closed. An empty model is the upstream as a whole; `other` counts the models that only callers name.";
    DRAINING = "mainstay_draining" Gauge, [], "1 while this process refuses new connections and finishes open requests.";
    CONNECTIONS = "mainstay_connections" Gauge, [], "Open connections from callers.";
    CONNECTIONS_EVICTED = "mainstay_connections_evicted_total" Counter, [], "Idle connections of callers that were closed to make room for others, as happens where fewer than a sixteenth of server.limits.max_connections, or of the open files that are left for them, is free.";

    ["Its process"]
    CPU_SECONDS = "process_cpu_seconds_total" Counter, [], "CPU time of this process, user and system; absent where there is no /proc.";
    RESIDENT_BYTES = "process_resident_memory_bytes" Gauge, [], "Memory of this process that is in RAM.";
    VIRTUAL_BYTES = "process_virtual_memory_bytes" Gauge, [], "Address space of this process.";
    OPEN_FILES = "process_open_fds" Gauge, [], "Open file descriptors of this process, sockets included.";
    MOST_FILES = "process_max_fds" Gauge, [], "File descriptors that it may have open.";
    STARTED = "process_start_time_seconds" Gauge, [], "Unix time at which this process started.";
    THREADS = "process_threads" Gauge, [], "Threads of this process.";
    RUNTIME_WORKERS = "mainstay_runtime_workers" Gauge, [], "Threads that serve requests.";
    RUNTIME_BUSY = "mainstay_runtime_busy_seconds_total" Counter, [], "Time for which those threads had work, all together: its rate by mainstay_runtime_workers is how busy they are.";
    RUNTIME_TASKS = "mainstay_runtime_tasks" Gauge, [], "Tasks that have not ended: connections, and work in the background.";
    RUNTIME_QUEUE = "mainstay_runtime_queue" Gauge, [], "Tasks that wait for any of those threads.";
    TASKS_PANICKED = "mainstay_tasks_panicked" Gauge, ["task"], "1 for work in the background that has panicked: a mistake of ours. What it did is not done any more until the process is started again.";
    RUNTIME_LAG = "mainstay_runtime_lag_seconds" Histogram(LAGS), [], "How late a timer of 100 ms fires: what everything here waits for CPU.";
    SERIES = "mainstay_metrics_series" Gauge, [], "Series that this process exports; a histogram is one.";
    OVERFLOWS = "mainstay_metrics_overflow_total" Counter, ["metric"], "Times that a series was asked for which telemetry.metrics.max_series does not allow: what is counted goes to labels `__overflow__` instead, gauges are left out.";
    CAPTURES = "mainstay_captures_total" Counter, ["result"], "Requests that were to be captured: written; no_room (more than 64 MiB of them were under way, or waited to be written); failed (the disk did not take them); opted_out (their callers refused).";
    CAPTURE_BYTES = "mainstay_capture_bytes" Gauge, [], "Captures on disk, at most telemetry.capture.max_total.";
    OTLP_BATCHES = "mainstay_otlp_batches_total" Counter, ["signal", "result"], "Batches for the OpenTelemetry collector: sent; retried (a try failed); or lost: refused (the collector does not want it), given_up (the last try failed), queue_full (more waited than may). Absent without telemetry.otlp.";
    OTLP_QUEUE = "mainstay_otlp_queue" Gauge, ["signal"], "Batches that wait for the collector; absent without telemetry.otlp.";

    ["Requests"]
    REQUESTS = "mainstay_requests_total" Counter, ["route", "dialect", "outcome"], "Finished requests of callers by what they saw: ok, client_fault, refused, failed, broken, cancelled.";
    REQUEST_SECONDS = "mainstay_request_duration_seconds" Histogram(MODEL_SECONDS), ["route"], "From a request's arrival to the end of its answer.";
    ANSWERS = "mainstay_answers_total" Counter, ["route", "status"], "Answers by the class of their HTTP status, as callers saw it; none is a caller who hung up before there was one. The route is empty where the request was refused before it had one.";
    FIRST_BYTE = "mainstay_first_byte_seconds" Histogram(MODEL_SECONDS), ["route"], "From a request's arrival to the first byte of its answer.";
    OVERHEAD = "mainstay_gateway_overhead_seconds" Histogram(OVERHEAD_SECONDS), ["route"], "Our own time in a request up to the first byte to the caller, waiting for upstreams and for the caller's body excluded.";
    IN_FLIGHT = "mainstay_requests_in_flight" Gauge, ["route"], "Requests of callers that are being served.";
    SAVED = "mainstay_failovers_total" Counter, ["route"], "Requests that were answered well after at least one failed attempt: failures that no caller saw.";
    FALLBACKS = "mainstay_fallbacks_total" Counter, ["route", "to"], "Requests handed to a fallback route.";
    RULED = "mainstay_ruled_total" Counter, ["route", "to"], "Requests that a rule of a route sent to another one, or kept.";
    ARM_REQUESTS = "mainstay_arm_requests_total" Counter, ["route", "arm", "outcome"], "Finished requests of a split route by arm and by what callers saw: ok, client_fault, refused, failed, broken, cancelled.";
    ARM_SECONDS = "mainstay_arm_duration_seconds" Histogram(MODEL_SECONDS), ["route", "arm"], "From the arrival of a split route's request to the end of its answer.";
    ARM_TOKENS = "mainstay_arm_tokens_total" Counter, ["route", "arm", "kind"], "Tokens of a split route's answers as callers were told: input (cached ones included), output (reasoning included).";
    MIRRORED = "mainstay_mirrored_total" Counter, ["route", "to", "result"], "Requests that were drawn to be mirrored: ok, failed, broken, late, cancelled (the drain); or not sent: no_channel, unsuitable, full (max_in_flight), crowded (the gateway).";
    MIRROR_SECONDS = "mainstay_mirror_duration_seconds" Histogram(MODEL_SECONDS), ["route", "to"], "Of mirrored requests that went well, to the end of the answer.";
    MIRRORS = "mainstay_mirrors_in_flight" Gauge, ["route"], "Mirrored requests of a route that have not ended.";
    SESSIONS = "mainstay_sessions_total" Counter, ["route", "result"], "Picks for a conversation under `select: sticky`: kept where it was served last, moved from there, new.";

    ["Who is let in"]
    REJECTED = "mainstay_rejected_total" Counter, ["reason"], "Requests refused before any attempt, by reason.";
    SHED = "mainstay_shed_total" Counter, ["route", "reason", "priority"], "Requests refused because there was no room: queue_full, queue_timeout, priority and memory, while the gateway is near its own limits, or background, where as many responses are made there as can be followed. The route is empty where the body was not read.";
    MEMORY_HELD = "mainstay_memory_held_bytes" Gauge, [], "Bytes that are held for requests: bodies from their announcement on, what is fetched or translated for them, answers that are held back or written down.";
    MEMORY_LIMIT = "mainstay_memory_limit_bytes" Gauge, [], "What of them may be held, server.limits.memory; requests are refused from 80 % of it on.";
    QUEUE_DEPTH = "mainstay_queue_depth" Gauge, ["route"], "Requests that wait until a channel has room for them.";
    QUEUE_SECONDS = "mainstay_queue_seconds" Histogram(QUEUE_WAITS), ["route"], "Time that requests waited for room, served in the end or not; those who did not wait are not in it.";
    ACCESS = "mainstay_access_total" Counter, ["key", "result"], "Callers by what they proved: allowed, or with a needed key missing, unknown_key, disagreeing, bad_signature, stale, over (expired or disabled), or with a token of an issuer (`ISSUER:*` for all its callers) expired, early, other_audience, nameless, unplaced, barred, keys_unknown; out_of_reach are those of the allowed who asked for more than they may. An empty key is nobody known.";
    KEYS_AGE = "mainstay_managed_keys_age_seconds" Gauge, [], "Since the store's keys were read last: what was changed meanwhile does not hold here. -1 while they never were; absent without server.key_hash_secret.";
    ISSUER_AGE = "mainstay_issuer_keys_age_seconds" Gauge, ["issuer"], "Since an issuer's public keys came last; -1 while they never have.";
    ISSUER_FETCHES = "mainstay_issuer_fetches_total" Counter, ["issuer", "result"], "Fetches of an issuer's public keys: ok, failed.";

    ["Attempts"]
    ATTEMPTS = "mainstay_attempts_total" Counter, ["route", "upstream", "model", "outcome"], "Attempts on a channel by outcome class.";
    ATTEMPT_SECONDS = "mainstay_attempt_duration_seconds" Histogram(MODEL_SECONDS), ["upstream", "model", "outcome"], "From the begin of an attempt to its end, by outcome class.";
    ATTEMPT_TOKENS = "mainstay_attempt_tokens" Histogram(TOKEN_COUNTS), ["upstream", "model", "kind"], "Tokens of an attempt, as the provider counted them: input (cached ones included), output (reasoning included).";
    ROUTE_CHANNELS = "mainstay_route_channels" Gauge, ["route", "state"], "Channels of a route by whether a request could be given to one now: available; unavailable, by breaker, probes or credentials, or unconfigured.";
    FAULTS = "mainstay_faults_total" Counter, ["upstream", "fault", "stage"], "Failed attempts by exact fault and by how far they had got.";
    ATTEMPTS_IN_FLIGHT = "mainstay_attempts_in_flight" Gauge, ["upstream", "model"], "Attempts that hold a permit now.";
    TTFT = "mainstay_time_to_first_token_seconds" Histogram(MODEL_SECONDS), ["route", "upstream", "model"], "From sending a request upstream to its first content (streams) or whole answer (else).";
    RETRIES = "mainstay_retries_total" Counter, ["route", "reason"], "Further attempts made, by the class of the failure before.";
    RETRIES_REFUSED = "mainstay_retries_refused_total" Counter, ["route", "reason"], "Further attempts not made: budget, attempts, deadline, not_replayable, nothing_eligible.";
    HEDGES = "mainstay_hedges_total" Counter, ["route", "result"], "Second channels that were asked, or would have been, while the first let a request wait: won, lost (the first answered after all), failed, refused_budget, refused_cap, refused_saturated.";
    UNPRICED = "mainstay_attempts_unpriced_total" Counter, ["route", "upstream", "model"], "Attempts cancelled because another one answered: they may be charged, and nobody says how many tokens.";
    COST = "mainstay_cost_nano_usd_total" Counter, ["route", "upstream", "model"], "What attempts cost by the catalog's prices, in thousand-millionths of a US dollar; those whose tokens nobody said are estimated.";
    COST_UNKNOWN = "mainstay_cost_unknown_total" Counter, ["route", "upstream", "model"], "Attempts that used something that the catalog has no price for, or of which nobody knows what they used.";
    SPEND = "mainstay_spend_nano_usd_total" Counter, ["level", "name"], "What attempts cost, in thousand-millionths of a US dollar, by the key that asked and by everybody above it; callers with tokens are `ISSUER:*` together.";
    SPEND_TOKENS = "mainstay_spend_tokens_total" Counter, ["level", "name", "kind"], "Tokens of attempts by the key that asked and by everybody above it: input, output.";

    ["The ledger"]
    LEDGER_ROWS = "mainstay_ledger_rows_total" Counter, ["way"], "Rows of requests and attempts that were kept: direct (in the store at once), spooled (on disk first, while the store is away), replayed (from there into the store).";
    LEDGER_LOST = "mainstay_ledger_lost_rows_total" Counter, ["reason"], "Rows of requests and attempts that could be kept nowhere: queue_full (neither the store nor the disk took any for too long), spool_full (ledger.spool.max_bytes), unreadable (damaged or removed on disk, a batch at a time), too_old (spooled for longer than store.retention.requests, so that nobody can tell whether they were counted).";
    AUDIT_LOST = "mainstay_audit_lost_rows_total" Counter, [], "Rows of the audit trail that are in the log only: the store was away for longer than 1000 of them.";
    JOURNAL_HELD = "mainstay_journal_requests" Gauge, [], "Ended requests that are at hand (GET /admin/requests), at most telemetry.journal.requests.";
    JOURNAL_LOST = "mainstay_journal_lost_total" Counter, [], "Ended requests that are neither in the journal nor in the log, since too many ended at once.";
    LOG_LOST = "mainstay_log_lost_lines_total" Counter, [], "Lines about requests that nobody took from standard error in time.";
    LEDGER_QUEUE = "mainstay_ledger_queue" Gauge, [], "Ended requests that nobody has written yet; absent without a store.";
    LEDGER_LAG = "mainstay_ledger_lag_seconds" Gauge, [], "Age of the oldest rows that are not in the store but spooled, 0 without any; absent without a store.";
    LEDGER_SPOOL_BYTES = "mainstay_ledger_spool_bytes" Gauge, [], "Bytes on disk of rows that the store has still to take, at most ledger.spool.max_bytes; absent without a store.";
    LEDGER_SPOOL_LIMIT = "mainstay_ledger_spool_limit_bytes" Gauge, [], "What they may be, ledger.spool.max_bytes; absent without a store.";
    LEDGER_SPOOL_FAILED = "mainstay_ledger_spool_failed" Gauge, [], "1 while the disk takes no rows that the store does not take either, so that they wait in memory; absent without a store.";
    LEDGER_SPOOL_BATCHES = "mainstay_ledger_spool_batches" Gauge, [], "The same in batches on disk; absent without a store.";

    ["Attempts that are not made"]
    RETRY_TOKENS = "mainstay_retry_budget_tokens" Gauge, ["route"], "Retries that the route's budget allows now.";
    PANIC = "mainstay_panic_total" Counter, ["route", "result"], "Requests that met a route with nothing eligible: admitted to its best channel, or refused.";

    ["Health"]
    BREAKER_STATE = "mainstay_breaker_state" Gauge, ["upstream", "model", "state"], "1 for the breaker's present state, 0 for the others. An empty model is the upstream's transport breaker.";
    BREAKER_TRANSITIONS = "mainstay_breaker_transitions_total" Counter, ["upstream", "model", "to", "reason"], "Breaker transitions.";
    BREAKER_SECONDS = "mainstay_breaker_open_seconds" Histogram(OUTAGES), ["upstream", "model"], "For how long a breaker was not closed, when it closes: the time to recovery.";
    BREAKER_TRIAL = "mainstay_breaker_next_trial_seconds" Gauge, ["upstream", "model"], "Seconds until an open breaker lets a trial pass; 0 where it is not open.";
    LATE_OUTCOMES = "mainstay_late_outcomes_total" Counter, ["upstream"], "Results that came after their breaker had moved on, and were ignored.";
    UPSTREAM_HEALTH = "mainstay_upstream_health" Gauge, ["upstream", "state"], "1 for what active probes say: unknown, up, down.";
    PROBES = "mainstay_probes_total" Counter, ["upstream", "result"], "Active probes: pass, fail, skipped (healthy traffic says enough).";
    CONFLICTS = "mainstay_active_passive_conflicts_total" Counter, ["upstream"], "Probes that failed while live traffic succeeded, and were overruled.";
    FATE_DEMOTIONS = "mainstay_fate_demotions_total" Counter, ["group"], "Times that several upstreams of a group failed alike, so that the others of it were picked after the rest.";
    NETWORK_SUSPECTED = "mainstay_network_suspected" Gauge, [], "1 while no provider can be reached and the network here is blamed instead of upstreams, else 0.";

    ["Keys to providers"]
    COOLDOWNS = "mainstay_cooldowns_total" Counter, ["credential", "kind"], "Cooldowns begun: short (rate limit), long (quota), auth.";
    CREDENTIAL_STATE = "mainstay_credential_state" Gauge, ["credential", "state"], "1 for the state of a key, 0 for the others: ready, cooling (it rests), dead (its provider refuses it).";
    QUOTA_LEFT = "mainstay_quota_left" Gauge, ["credential", "model", "kind"], "What a key is believed to have left at a model, of what its provider said and of its `quota`: requests; tokens of prompts (input) and of answers (output), where they are counted apart; tokens.";
    CONCURRENCY_LIMIT = "mainstay_concurrency_limit" Gauge, ["credential", "model"], "Requests that a key is believed to take at the same moment; an upstream's name where it has no keys.";
    COOLDOWN_SECONDS = "mainstay_cooldown_remaining_seconds" Gauge, ["credential"], "Seconds until the credential is tried again; 0 when it is ready.";

    ["What replicas share"]
    SHARED_CONNECTED = "mainstay_shared_connected" Gauge, [], "1 while Redis or Valkey answers in time, 0 while this replica learns by itself; absent without server.redis.";
    SHARED_OPERATIONS = "mainstay_shared_operations_total" Counter, ["operation", "result"], "What was asked of Redis or Valkey: post (cooldowns), read (those of others), take (a request within limits), tell (what it has used), beat (that this replica is there), spend (a request within budgets, and what it has cost); ok, timeout (server.redis.timeout), failed (the connection broke), refused (an error).";
    SHARED_SECONDS = "mainstay_shared_operation_seconds" Histogram(SHARED_WAITS), ["operation"], "How long Redis or Valkey took to answer, or was waited for in vain.";
    SHARED_COOLDOWNS = "mainstay_shared_cooldowns_total" Counter, ["kind", "how"], "Cooldowns told to other replicas and taken over from them: short (rate limit), long (quota), auth, healed (a refused key works again).";
    SHARED_UNREADABLE = "mainstay_shared_unreadable_total" Counter, [], "Shared cooldowns that could not be read and were ignored, each time that they were met.";

    ["Limits"]
    LIMIT_REFUSALS = "mainstay_limit_refusals_total" Counter, ["level", "limit"], "Requests refused because their caller, or their route, has used its limit: key, user, team, organisation, route; rpm, rpd, tpm, tpd, concurrency.";
    LIMIT_LEFT = "mainstay_limit_left" Gauge, ["level", "name", "limit"], "What is left of a limit now, as far as this replica knows; of the first 256 holders that it has met.";
    LIMITS_ALONE = "mainstay_limits_alone_total" Counter, [], "Requests that this replica held against its own part of their limits, since Redis or Valkey did not answer; absent without server.redis.";
    LIMITS_REPLICAS = "mainstay_limits_replicas" Gauge, [], "Replicas that share limits, as far as this one knows; absent without server.redis.";

    ["Alerts"]
    ALERTS_FIRING = "mainstay_alerts_firing" Gauge, ["kind"], "Alerts that fire now: budget, spend_spike, error_spike, channel_down, credential_dead, store_away.";
    ALERT_DELIVERIES = "mainstay_alert_deliveries_total" Counter, ["webhook", "result"], "Tries to deliver a message: delivered, failed (and tried again), given_up (the last try failed), refused (the receiver does not want it), gone (nor anything else, 410).";
    ALERTS_DROPPED = "mainstay_alerts_dropped_total" Counter, ["webhook", "reason"], "Messages that nobody got: queue_full (more waited than may), gone (the webhook wants nothing); and, without a webhook, overflow: alerts that came at once, or fire, beyond what is kept.";

    ["Budgets"]
    BUDGET_LEFT = "mainstay_budget_left_ratio" Gauge, ["level", "name", "per"], "Share of a budget that is not spent, as far as this replica knows; of the first 256 holders that it has met.";
    BUDGET_SPENT = "mainstay_budget_spent_nano_usd" Gauge, ["level", "name", "per"], "What was spent in a budget's present window by everybody, as far as this replica knows, in thousand-millionths of a US dollar.";
    BUDGET_LIMIT = "mainstay_budget_limit_nano_usd" Gauge, ["level", "name", "per"], "What may be spent in a window of a budget, in thousand-millionths of a US dollar.";
    BUDGET_ENDS = "mainstay_budget_window_left_seconds" Gauge, ["level", "name", "per"], "Seconds until a budget's present window ends; absent for those that never begin anew.";
    BUDGET_REFUSALS = "mainstay_budget_refusals_total" Counter, ["level", "per", "reason"], "Requests refused because of the budget of their key, user, team, organisation or route: spent (nothing is left), reserved (what is left may be spent by requests under way), unpriced (nobody knows what they would cost).";
    BUDGET_DOWNGRADES = "mainstay_budget_downgrades_total" Counter, ["route", "to"], "Requests that another route served because a budget was spent.";
    BUDGETS_ALONE = "mainstay_budgets_alone_total" Counter, [], "Requests that this replica held against its own part of what was left of their budgets, since Redis or Valkey did not answer; absent without server.redis.";
    BUDGET_UNPRICED = "mainstay_budget_unpriced_total" Counter, [], "Attempts of requests with budgets whose cost nobody knows, so that nothing was booked for them.";
    TOO_DEAR = "mainstay_too_dear_total" Counter, ["route"], "Requests refused because they could cost more than max_cost everywhere.";

    ["The store"]
    STORE_UP = "mainstay_store_up" Gauge, [], "1 while the store (SQLite or PostgreSQL) does what it is asked, 0 while it is away or refuses to write; absent without `store`.";
    STORE_SECONDS = "mainstay_store_seconds" Histogram(STORE_WRITES), [], "Writes to the store, from being asked for to being done.";
    STORE_ERRORS = "mainstay_store_errors_total" Counter, ["kind"], "What the store was asked for in vain: away (nobody is there), late (no answer in time), refused (an error: a full disk, a missing right).";

    ["Streams and answers"]
    STREAMS = "mainstay_streams_total" Counter, ["route", "outcome"], "Streams after their first content: complete, unterminated (whole, terminator added), error, cut, stalled, cancelled.";
    STREAMS_HELD = "mainstay_streams_held_total" Counter, ["route", "upstream", "result"], "Streams that were held back behind their first content, since streams of their upstream break: let_go (well past that), broke (somebody else is asked, and the caller sees nothing of it).";
    STREAM_SECONDS = "mainstay_stream_duration_seconds" Histogram(MODEL_SECONDS), ["route", "upstream", "model"], "From a stream's first content to its last.";
    STREAM_GAP = "mainstay_stream_longest_gap_seconds" Histogram(GAPS), ["route", "upstream", "model"], "The longest silence between two pieces of content within a stream; one sample a stream.";
    TOKEN_TIME = "mainstay_time_per_output_token_seconds" Histogram(TOKEN_SECONDS), ["route", "upstream", "model"], "Time per token of a stream after its first content, hidden reasoning excluded; one sample a stream, since providers put several tokens into a piece.";
    TOKEN_RATE = "mainstay_output_tokens_per_second" Histogram(TOKEN_RATES), ["route", "upstream", "model"], "The same the other way round: tokens per second of a stream.";
    CONTINUATIONS = "mainstay_continuations_total" Counter, ["route", "result", "method"], "Streams that broke after their first content and were given to another channel: continued, mismatch (its text does not continue the old one), prefill_refused, failed, exhausted (three legs, attempts, budget or deadline), no_channel, barred (tool calls, prescribed forms and the like); by prefill, instruction, anew, none.";
    STREAM_BROKEN_EVENTS = "mainstay_stream_broken_events_total" Counter, ["upstream"], "Unreadable events inside streams that went on.";
    TOKENS = "mainstay_tokens_total" Counter, ["upstream", "model", "kind"], "Tokens as the providers counted them: input (cached ones included), cache_read, cache_write, output (reasoning included), reasoning; and, of these, from the first one on, input_audio, cache_read_audio, output_audio, input_image, output_image.";
    UNITS = "mainstay_units_total" Counter, ["upstream", "model", "unit"], "What providers charge for beside tokens, from the first one on: images, searches, characters, audio_milliseconds.";
    MEDIA_FETCHES = "mainstay_media_fetches_total" Counter, ["result"], "Callers' URLs fetched for channels that take only the content: ok, refused, status, too_large, no_room, kind, timeout, failed.";
    RESPONSES_HELD = "mainstay_responses_remembered" Gauge, [], "Translated responses that callers may refer to.";
    RESPONSES_BYTES = "mainstay_responses_remembered_bytes" Gauge, [], "Memory that remembered responses take, at most server.responses.memory.";
    RECALLS = "mainstay_responses_recalled_total" Counter, ["result"], "References to responses and items of ours: hit, or miss where it was forgotten.";
    THOUGHTS = "mainstay_encrypted_reasoning_total" Counter, ["result"], "Requests with encrypted reasoning: kept (went to whoever made it), unknown, left_out (elsewhere, without it), refused (sent again without it).";
    LEFT = "mainstay_left_references_total" Counter, ["operation", "result"], "References to files, batches, responses and conversations that are kept at an upstream: known, unknown, foreign (another caller's, refused).";
    CACHE = "mainstay_cache_total" Counter, ["route", "result"], "Kept answers: hit, stale (said in place of an error), miss, stored, too_large.";
    CACHE_HELD = "mainstay_cache_entries" Gauge, ["store"], "Answers that are kept: cache, idempotency.";
    CACHE_BYTES = "mainstay_cache_bytes" Gauge, ["store"], "Memory that kept answers take, at most server.cache_memory and server.idempotency.memory.";
    TOKENS_SAVED = "mainstay_tokens_saved_total" Counter, ["route", "kind"], "Tokens of answers that were said again and not paid for again: input, output.";
    DEGRADED = "mainstay_degraded_total" Counter, ["route", "how"], "Requests that no channel could take: stale, answer, wait (one came back in time), wait_vain, wait_full.";
    WAITING = "mainstay_requests_waiting" Gauge, ["route"], "Requests that wait for a channel to come back.";
    COALESCED = "mainstay_coalesced_total" Counter, ["route"], "Requests that shared the attempt of another one that was under way.";
    IDEMPOTENT_REPLAYS = "mainstay_idempotent_replays_total" Counter, [], "Repeated Idempotency-Keys that got the first answer.";

    ["Connections to upstreams"]
    POOL = "mainstay_pool_connections" Gauge, ["upstream", "state"], "Upstream connections: idle, in_use, opening.";
    POOL_STREAMS = "mainstay_pool_streams" Gauge, ["upstream"], "HTTP/2 streams that are open.";
    POOL_LINES = "mainstay_pool_lines_total" Counter, ["upstream", "way"], "Connections that calls got: kept from earlier, shared with others, opened; or failed.";
    POOL_WAIT = "mainstay_pool_wait_seconds" Histogram(QUEUE_WAITS), ["upstream"], "Time that calls waited for one of pool.max_connections, in vain or not; those who did not wait are not in it.";
    CONNECT_SECONDS = "mainstay_connect_seconds" Histogram(CONNECTS), ["upstream", "phase"], "Time to open a connection, where it came about: dial (its name's resolution included), tls.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_prometheus_conventions() {
        let mut seen = std::collections::BTreeSet::new();
        for metric in ALL {
            let of_any_process = metric.name.starts_with("process_");
            assert!(metric.name.starts_with("mainstay_") || of_any_process, "{}", metric.name);
            assert!(seen.insert(metric.name), "{} is listed twice", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Counter, "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}: help is a sentence", metric.name);
            assert_eq!(ALL[metric.index].name, metric.name);
            if let Histogram(bounds) = metric.kind {
                let units = ["_seconds", "_tokens", "_per_second"];
                assert!(units.iter().any(|unit| metric.name.ends_with(unit)), "{}", metric.name);
                assert!(bounds.is_sorted(), "{}", metric.name);
            }
        }
    }
}
