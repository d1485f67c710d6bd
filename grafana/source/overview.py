"""Is everything served, by whom, and what was it that callers did not notice?"""

from grafana import (BLUE, GREEN, GREY, ORANGE, PURPLE, R, RED, RU, U, dashboard, graph, growth, now, quantile, rate, row,
                     stat, table, timeline, to, worst)

# In the order in which they are bad.
BREAKERS = ["closed", "forced_closed", "metrics_only", "half_open", "open", "forced_open"]
BREAKER_STATES = [("closed", GREEN), ("forced closed", "super-light-green"), ("metrics only", BLUE),
                  ("half open", "yellow"), ("open", RED), ("forced open", PURPLE)]
OUTCOMES = {"ok": GREEN, "client_fault": BLUE, "refused": PURPLE, "cancelled": GREY, "failed": RED, "broken": "dark-red"}
STATUSES = {"2xx": GREEN, "3xx": "super-light-green", "4xx": BLUE, "5xx": RED, "none": GREY}
SERVED = [(RED, None), (ORANGE, 0.99), (GREEN, 0.999)]
BURN = [(GREEN, None), ("yellow", 1), (ORANGE, 6), (RED, 14.4)]
SOME = [(GREEN, None), (ORANGE, 1)]
JUDGED = ', outcome=~"ok|failed|broken"'
FIRING = ('max by (alertname, severity, route, upstream, model, credential, instance) '
          '(ALERTS{job=~"$job", alertname=~"Mainstay.+", alertstate="firing"})')
RECORDED = 'job=~"$job", route=~"$route"'


def served(labels=""):
    good = rate("mainstay_requests_total", labels, R, ', outcome="ok"')
    return f'{good} / {rate("mainstay_requests_total", labels, R, JUDGED)}'


def burn(window):
    """How many times faster than the objective allows: the rules count it, of all instances together."""
    allowed = f"(1 - job_route:mainstay_availability:objective{{{RECORDED}}})"
    return f"max by (route) (job_route:mainstay_requests_failed:ratio_rate{window}{{{RECORDED}}} / {allowed})", f"{{{{route}}}} {window}"


OVERVIEW = dashboard(
    "Overview", "Is everything served, by whom, and what was it that callers did not notice?",
    row("Is everything served?",
        stat("Served well", "Share of requests answered well, of those that an upstream should have answered. What callers got "
             "wrong, what was refused before any attempt and what they cancelled does not count.",
             "percentunit", served(), steps=SERVED, decimals=2),
        stat("Requests", "Finished requests of callers per second.", "reqps", rate("mainstay_requests_total", "", R)),
        stat("Failures that callers saw", "Requests in the chosen time that ended without a good answer because of an upstream: "
             "failed before, or broken after, the first byte.",
             "short", growth("mainstay_requests_total", "", R, ', outcome=~"failed|broken"', "$__range"),
             steps=[(GREEN, None), (RED, 1)], decimals=0),
        stat("Failures that no caller saw", "Requests in the chosen time that were answered well after at least one failed attempt.",
             "short", growth("mainstay_failovers_total", "", R, "", "$__range"), steps=[(BLUE, None)], decimals=0),
        stat("Channels not closed", "Upstreams and models that get no normal traffic now: their breaker is open, forced open, or "
             "trying them out.", "short",
             f'count(max by (upstream, model) (mainstay_breaker_state{{{U}, state=~"open|half_open|forced_open"}}) == 1) '
             f"or 0 * {now('count', 'mainstay_build_info')}", steps=SOME),
        stat("Requests in flight", "Requests of callers that are being served at this moment, open streams included.", "short",
             now("sum", "mainstay_requests_in_flight", "", R)),
        graph("Error budget burn", "How many times faster than its objective allows a route fails, over an hour and over three "
              "days: at 1 the budget lasts for its 30 days, at 14.4 for two. Of all instances together; the recording rules "
              "of grafana/rules.yml have to be loaded, and say what the objective is.",
              "none", burn("1h"), burn("3d"), size=(12, 8), steps=BURN),
        graph("Requests by outcome", "What callers saw. `client_fault`: the upstream says that the request is wrong. `refused`: we "
              "say so, or a limit does. `failed`: no channel could answer. `broken`: the answer had begun. `cancelled`: the "
              "caller hung up.",
              "reqps", (rate("mainstay_requests_total", "outcome", R), "{{outcome}}"), size=(12, 8), stacked=True, colours=OUTCOMES)),
    row("What is broken now?",
        table("Alerts that fire in Prometheus", "Of grafana/alerts.yml, where Prometheus has loaded it. docs/runbooks.md has a "
              "section for each.", [("Firing", FIRING, "bool_yes_no")], size=(12, 8)),
        timeline("Channels not closed, over time", "Only those whose breaker was not closed: nothing here is good news. A line "
                 "without a model is a whole upstream: host, network, TLS.", BREAKER_STATES,
                 (worst("mainstay_breaker_state", BREAKERS, "upstream model", U) + " > 2", "{{upstream}} {{model}}"),
                 size=(12, 8), links=[to("Channels", "upstream")]),
        graph("Channels that could take a request", "The share of each route's channels that are available: not kept out by "
              "breakers, probes or resting keys. At 0 the route has nowhere to go.", "percentunit",
              (now("sum", "mainstay_route_channels", "route", R, ', state="available"') + " / "
               + now("sum", "mainstay_route_channels", "route", R), "{{route}}"), high=1),
        graph("Nothing eligible", "Requests that met a route without one eligible channel: `admitted` to the best of them at a "
              "bounded rate, or `refused`.", "reqps", (rate("mainstay_panic_total", "route result", R), "{{route}}: {{result}}")),
        graph("Alerts that Mainstay itself raised", "What operators are told of by webhook and is not over, by kind. GET "
              "/admin/alerts says what each is about.", "short", (now("sum", "mainstay_alerts_firing", "kind"), "{{kind}}"))),
    row("Traffic",
        graph("Served by", "Attempts that ended well, by upstream and model: who is doing the work.", "reqps",
              (rate("mainstay_attempts_total", "upstream model", RU, ', outcome="success"'), "{{upstream}} {{model}}"),
              stacked=True, links=[to("Channels", "upstream")]),
        graph("Requests by route", "Finished requests per second, whatever their outcome.", "reqps",
              (rate("mainstay_requests_total", "route", R), "{{route}}"), stacked=True),
        graph("Served well by route", "The share of requests answered well, route by route. No line: no traffic.", "percentunit",
              (served("route"), "{{route}}"), low=None, high=1),
        graph("Whole request", "From a request's arrival to the end of its answer, all attempts, streams included.", "s",
              (quantile(0.5, "mainstay_request_duration_seconds", "route", R), "{{route}} p50"),
              (quantile(0.95, "mainstay_request_duration_seconds", "route", R), "{{route}} p95")),
        graph("First byte of the answer", "From a request's arrival to the first byte that its caller got: failed attempts, "
              "waits and hedges are in it.", "s",
              (quantile(0.5, "mainstay_first_byte_seconds", "route", R), "{{route}} p50"),
              (quantile(0.95, "mainstay_first_byte_seconds", "route", R), "{{route}} p95")),
        graph("Answers by status", "HTTP status as callers saw it; `none` had hung up before.", "reqps",
              (rate("mainstay_answers_total", "status", R), "{{status}}"), stacked=True, colours=STATUSES),
        graph("Callers by key", "Keys that callers proved to hold (of an issuer's callers all together: ISSUER:*), and why others "
              "were turned away. Nobody known has no key's name.", "reqps",
              (rate("mainstay_access_total", "key result"), "{{key}} {{result}}")),
        graph("Refused before any attempt", "By reason: bad requests, unknown models, limits. No upstream heard of them.", "reqps",
              (rate("mainstay_rejected_total", "reason"), "{{reason}}")),
        graph("Requests in flight by route", "What is being served at this moment, open streams included.", "short",
              (now("sum", "mainstay_requests_in_flight", "route", R), "{{route}}"), stacked=True)),
    row("What callers did not notice",
        graph("Failovers and fallbacks", "`saved`: answered well after a failed attempt. `→`: handed to another route.", "reqps",
              (rate("mainstay_failovers_total", "route", R), "{{route}} saved"),
              (rate("mainstay_fallbacks_total", "route to", R), "{{route}} → {{to}}"), size=(12, 8)),
        graph("Requests that no channel could take", "What they got instead of an error, or why they waited in vain; and how many wait.",
              "short", (rate("mainstay_degraded_total", "how", R), "{{how}} per second"),
              (now("sum", "mainstay_requests_waiting", "", R), "waiting"), size=(12, 8))),
    row("Rules, splits, mirrors and conversations",
        graph("Sent elsewhere by rules", "Requests of a route that one of its rules sent to another one, or kept.", "reqps",
              (rate("mainstay_ruled_total", "route to", R), "{{route}} to {{to}}")),
        graph("Requests by arm", "Requests of split routes by arm and by what callers saw.", "reqps",
              (rate("mainstay_arm_requests_total", "route arm outcome", R), "{{route}} {{arm}} {{outcome}}")),
        graph("Whole request by arm, p95", "To the end of the answer, of each arm of split routes.", "s",
              (quantile(0.95, "mainstay_arm_duration_seconds", "route arm", R), "{{route}} {{arm}}")),
        graph("Tokens by arm", "Tokens of split routes per second, as callers were told.", "short",
              (rate("mainstay_arm_tokens_total", "route arm kind", R), "{{route}} {{arm}} {{kind}}")),
        graph("Mirrored requests", "What became of requests that were asked of another route as well; and how many are under way.",
              "short", (rate("mainstay_mirrored_total", "route to result", R), "{{route}} to {{to}} {{result}}, per second"),
              (now("sum", "mainstay_mirrors_in_flight", "route", R), "{{route}} under way")),
        graph("Mirrored requests, p95", "To the end of the answer, of those that went well.", "s",
              (quantile(0.95, "mainstay_mirror_duration_seconds", "route to", R), "{{route}} to {{to}}")),
        graph("Conversations", "Conversations of routes with `select: sticky`: kept where they were served last, moved since that "
              "channel could not be picked, new.", "reqps",
              (rate("mainstay_sessions_total", "route result", R), "{{route}} {{result}}")),
        collapsed=True),
)
