"""How each upstream, model and key is: breakers, probes, errors, latency, quotas, retries, connections."""

from grafana import (BLUE, GREEN, GREY, J, ORANGE, R, RED, RU, U, coloured, dashboard, graph, growth, heatmap, now, quantile,
                     rate, row, stepped, table, timeline, worst)
from overview import BREAKER_STATES, BREAKERS

HEALTH = ["up", "unknown", "down"]
HEALTH_STATES = [("up", GREEN), ("unknown", GREY), ("down", RED)]
KEYS = ["ready", "cooling", "dead"]
KEY_STATES = [("ready", GREEN), ("cooling", "yellow"), ("dead", RED)]
OUTCOMES = {"success": GREEN, "client_fault": BLUE}
TTFT = "mainstay_time_to_first_token_seconds"
GOOD = ', outcome="success"'


CHANNELS = dashboard(
    "Channels", "How each upstream, model and key is: state, errors, latency, quotas, retries, connections.",
    row("State",
        table("Channels now", "Each upstream and model: its breaker (the worst of the chosen instances), attempts per second, "
              "the share that went well, the time to the first token that 95 of 100 stay below, and what is in flight. A line "
              "without a model is the upstream's transport breaker.",
              [("Breaker", worst("mainstay_breaker_state", BREAKERS, "upstream model", U), "none", coloured(BREAKER_STATES)),
               ("Next trial in", now("max", "mainstay_breaker_next_trial_seconds", "upstream model", U), "s"),
               ("Attempts", rate("mainstay_attempts_total", "upstream model", RU), "reqps"),
               ("Went well", f'{rate("mainstay_attempts_total", "upstream model", RU, GOOD)} / '
                f'{rate("mainstay_attempts_total", "upstream model", RU)}', "percentunit",
                stepped((RED, None), (ORANGE, 0.95), (GREEN, 0.99))),
               ("First token, p95", quantile(0.95, TTFT, "upstream model", RU), "s"),
               ("In flight", now("sum", "mainstay_attempts_in_flight", "upstream model", U), "short")]),
        timeline("Breakers", "The worst state among the chosen instances, per upstream and model. A line without a model is the "
                 "upstream's transport breaker: host, network, TLS.", BREAKER_STATES,
                 (worst("mainstay_breaker_state", BREAKERS, "upstream model", U), "{{upstream}} {{model}}")),
        timeline("Active probes", "The worst of what active probes say among the chosen instances. They may be overruled by live "
                 "traffic, and never close a breaker.", HEALTH_STATES,
                 (worst("mainstay_upstream_health", HEALTH, "upstream", U), "{{upstream}}")),
        graph("Breaker transitions", "How often, where to and why breakers moved. What a channel does for the first time is a new series, of "
              "which Prometheus sees no increase: the timelines above have it.", "short",
              (growth("mainstay_breaker_transitions_total", "upstream model to reason", U), "{{upstream}} {{model}} → {{to}} ({{reason}})")),
        graph("Time to recovery", "How long breakers were not closed, of those that closed: nine of ten were back sooner.", "s",
              (quantile(0.9, "mainstay_breaker_open_seconds", "upstream model", U), "{{upstream}} {{model}}")),
        graph("Until the next trial", "Seconds until an open breaker lets a request through again to see; 0 where none is open.", "s",
              (now("max", "mainstay_breaker_next_trial_seconds", "upstream model", U), "{{upstream}} {{model}}")),
        graph("Said by operators", "What operators have said of upstreams and models, and still holds: disabled, draining, forced_open, forced_closed.", "short",
              (now("max", "mainstay_overrides", "upstream model kind", U), "{{upstream}} {{model}}: {{kind}}")),
        graph("Probes", "Active probes by result. Healthy traffic makes them needless: `skipped`.", "ops",
              (rate("mainstay_probes_total", "result", U), "{{result}}"),
              (rate("mainstay_active_passive_conflicts_total", "", U), "overruled by traffic")),
        graph("Groups that fail together", "Times that several upstreams of a group failed alike and its others were picked after "
              "the rest; and whether the network here is blamed instead of upstreams.", "short",
              (growth("mainstay_fate_demotions_total", "group"), "{{group}}"),
              (now("max", "mainstay_network_suspected"), "network suspected")),
        graph("Attempts in flight", "Attempts that hold a permit now, per upstream and model.", "short",
              (now("sum", "mainstay_attempts_in_flight", "upstream model", U), "{{upstream}} {{model}}"))),
    row("Errors",
        graph("Error mix", "Failed attempts by exact fault, whether or not a caller saw anything of them.", "reqps",
              (rate("mainstay_faults_total", "fault", U), "{{fault}}"), stacked=True),
        graph("Faults by upstream", "Who has which fault.", "reqps", (rate("mainstay_faults_total", "upstream fault", U), "{{upstream}}: {{fault}}")),
        graph("How far failed attempts had got", "`not_sent` is always safe to repeat; after `committed` nothing is.", "reqps",
              (rate("mainstay_faults_total", "upstream stage", U), "{{upstream}}: {{stage}}")),
        graph("Attempts by outcome", "How attempts ended, by the class that decides what is done next.", "reqps",
              (rate("mainstay_attempts_total", "outcome", RU), "{{outcome}}"), stacked=True, colours=OUTCOMES),
        graph("Failed attempts by channel", "Whose failures they are, and how they count: `client_fault` blames nobody but the request.",
              "reqps", (rate("mainstay_attempts_total", "upstream model outcome", RU, ', outcome!="success"'),
                        "{{upstream}} {{model}}: {{outcome}}")),
        graph("Late results", "Results that came after their breaker had moved on, and were ignored.", "ops",
              (rate("mainstay_late_outcomes_total", "upstream", U), "{{upstream}}"))),
    row("Latency",
        heatmap("Time to first token, all channels", "From sending a request upstream to its first content (streams) or its whole "
                "answer: how many attempts took how long. Two bands are two kinds of requests, or one channel that is slow.",
                "s", TTFT, matchers=RU),
        heatmap("Attempts, all channels", "From sending a request upstream to the end of the attempt, failed ones included.", "s",
                "mainstay_attempt_duration_seconds", matchers=U),
        graph("Time to first token, p50", "Per channel, of attempts that ended well.", "s",
              (quantile(0.5, TTFT, "upstream model", RU), "{{upstream}} {{model}}")),
        graph("Time to first token, p95", "Per channel, of attempts that ended well.", "s",
              (quantile(0.95, TTFT, "upstream model", RU), "{{upstream}} {{model}}")),
        graph("Attempts that failed, p95", "How long failures take, by class: those that are slow cost callers most.", "s",
              (quantile(0.95, "mainstay_attempt_duration_seconds", "upstream outcome", U, ', outcome!="success"'), "{{upstream}} {{outcome}}"))),
    row("Keys and quotas",
        timeline("Keys", "The worst state of each key among the chosen instances: resting after a rate limit or an empty quota "
                 "(cooling), or refused by its provider (dead).", KEY_STATES,
                 (worst("mainstay_credential_state", KEYS, "credential", J), "{{credential}}"),
                 size=(12, 8)),
        graph("Cooldown remaining", "Until a key is tried again. 0: it is ready.", "s",
              (now("max", "mainstay_cooldown_remaining_seconds", "credential"), "{{credential}}"), size=(12, 8)),
        graph("Cooldowns begun", "`short`: a rate limit. `long`: a quota is used up. `auth`: the key is refused.", "short",
              (growth("mainstay_cooldowns_total", "credential kind"), "{{credential}}: {{kind}}")),
        graph("Quota left", "What each key is believed to have left at a model, of what its provider said and of its `quota`. "
              "Nothing is shown where nothing is known.", "short",
              (now("min", "mainstay_quota_left", "credential model kind"), "{{credential}} {{model}} {{kind}}")),
        graph("What keys take", "Requests that each key is believed to take at the same moment, by model.", "short",
              (now("sum", "mainstay_concurrency_limit", "credential model"), "{{credential}} {{model}}")),
        graph("Cooldowns shared with other replicas", "`told`: found out here and written where the others read it. `taken`: found "
              "out by another replica, so that this one spends no request on it. `healed`: a refused key works again. Without "
              "`server.redis` there is nothing here.", "short",
              (growth("mainstay_shared_cooldowns_total", "kind how"), "{{kind}}: {{how}}"))),
    row("Retries and hedges",
        graph("Retries made", "Further attempts, by the class of the failure before.", "reqps",
              (rate("mainstay_retries_total", "reason", R), "{{reason}}"), stacked=True),
        graph("Retries not made", "`nothing_eligible` and `attempts`: nobody was left to ask. `budget`: retrying more would have "
              "made an outage worse.", "reqps", (rate("mainstay_retries_refused_total", "reason", R), "{{reason}}")),
        graph("Retry budget", "Retries that each route may make now, on the tightest instance.", "short",
              (now("min", "mainstay_retry_budget_tokens", "route", R), "{{route}}")),
        graph("Hedges", "Second channels asked while the first was silent, by what came of it, and those that were not asked for "
              "want of budget, share or room.", "ops", (rate("mainstay_hedges_total", "result", R), "{{result}}"))),
    row("Connections",
        graph("Connections to upstreams", "The pools: `in_use` holds a request, `idle` waits for one, `opening` is being made.", "short",
              (now("sum", "mainstay_pool_connections", "upstream state", U), "{{upstream}}: {{state}}")),
        graph("HTTP/2 streams", "Open now: several share one connection.", "short",
              (now("sum", "mainstay_pool_streams", "upstream", U), "{{upstream}}")),
        graph("Connections that attempts got", "`kept` from before, `shared` with others (HTTP/2), newly `opened`, or `failed`.", "ops",
              (rate("mainstay_pool_lines_total", "upstream way", U), "{{upstream}}: {{way}}")),
        graph("Opening a connection, p95", "`dial` is the name's resolution and TCP, `tls` the handshake.", "s",
              (quantile(0.95, "mainstay_connect_seconds", "upstream phase", U), "{{upstream}}: {{phase}}")),
        graph("Waiting for a connection, p95", "Of those who waited because `pool.max_connections` were in use.", "s",
              (quantile(0.95, "mainstay_pool_wait_seconds", "upstream", U), "{{upstream}}")),
        collapsed=True),
)
