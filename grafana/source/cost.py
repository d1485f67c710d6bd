"""What requests cost, whose money it was, what is left of budgets, and what was saved."""

from grafana import (BLUE, GREEN, J, ORANGE, R, RED, RU, U, dashboard, gauge, graph, growth, now, quantile, rate, row, stat,
                     table)

COST = "mainstay_cost_nano_usd_total"
SPEND = "mainstay_spend_nano_usd_total"
DOLLARS = "currencyUSD"
# Seconds of a month of 365.25 / 12 days.
MONTH = 2_629_800
KINDS, INPUT, CACHED = ', kind=~"input|output"', ', kind="input"', ', kind="cache_read"'
HITS, LOOKED_UP = ', result=~"hit|stale"', ', result=~"hit|stale|miss"'
LEFT = [(RED, None), (ORANGE, 0.1), (GREEN, 0.25)]


def spent(series=COST, labels="", matchers=RU):
    """US dollars in the chosen time."""
    return f"{growth(series, labels, matchers, '', '$__range')} / 1e9"


def hourly(series=COST, labels="", matchers=RU):
    """US dollars an hour."""
    return f"3600 * {rate(series, labels, matchers)} / 1e9"


def monthly(labels=""):
    """US dollars a month, at the pace of the chosen time."""
    return f"{spent(COST, labels)} / $__range_s * {MONTH}"


COSTS = dashboard(
    "Cost", "What requests cost, whose money it was, what is left of budgets, and what was saved.",
    row("How much?",
        stat("Spent", "What attempts cost by the catalog's prices in the chosen time, in US dollars: those that nobody heard are in "
             "it, those of unknown price are not.", DOLLARS, spent(), steps=[(BLUE, None)]),
        stat("An hour", "At the present pace.", DOLLARS, hourly(), steps=[(BLUE, None)]),
        stat("A month at this pace", "If it went on as in the chosen time, for a month of 30.4 days. Choose a week or more for "
             "a forecast that weekends do not bend.", DOLLARS, monthly(), steps=[(BLUE, None)]),
        stat("Least left of a budget", "The share of the budget of which least is left, as the replica knows that knows of most "
             "spending.", "percentunit", now("min", "mainstay_budget_left_ratio"), steps=LEFT, decimals=1),
        stat("Of unknown cost", "Share of attempts whose price the catalog does not have, or of which nobody knows what they used. "
             "They are in no figure here.", "percentunit",
             f'{rate("mainstay_cost_unknown_total", "", RU)} / {rate("mainstay_attempts_total", "", RU)}',
             steps=[(GREEN, None), (ORANGE, 0.001), (RED, 0.01)], decimals=2),
        stat("Answers not paid for", "Requests in the chosen time that got a kept answer, or shared another's.", "short",
             growth("mainstay_cache_total", "", R, ', result=~"hit|stale"', "$__range") + " + "
             + growth("mainstay_coalesced_total", "", R, "", "$__range"), steps=[(BLUE, None)], decimals=0),
        graph("Cost by upstream and model", "US dollars an hour.", DOLLARS, (hourly(COST, "upstream model"), "{{upstream}} {{model}}"),
              size=(12, 8), stacked=True),
        graph("Cost by route", "US dollars an hour.", DOLLARS, (hourly(COST, "route"), "{{route}}"), size=(12, 8), stacked=True),
        table("What each channel cost", "In the chosen time, in US dollars; and what a month costs at its pace.",
              [("Spent", spent(COST, "route upstream model"), DOLLARS), ("A month", monthly("route upstream model"), DOLLARS),
               ("Attempts", growth("mainstay_attempts_total", "route upstream model", RU, "", "$__range"), "short")],
              size=(12, 9)),
        graph("Cost of a thousand tokens", "US dollars for a thousand tokens of prompts and answers together, per channel.", DOLLARS,
              (f'1000 * {rate(COST, "upstream model", U)} / 1e9 / {rate("mainstay_tokens_total", "upstream model", U, KINDS)}',
               "{{upstream}} {{model}}"), size=(12, 9))),
    row("Whose money?",
        graph("Cost by team, organisation, user and key", "US dollars an hour, by those who have a name in routing.yaml or among the "
              "managed keys; an issuer's callers all together: ISSUER:*.", DOLLARS,
              (hourly(SPEND, "level name", J), "{{level}} {{name}}"), size=(12, 8)),
        table("Who spent what", "In the chosen time, in US dollars. One request counts for its key, its user, its team and its "
              "organisation: add up within one level only. A key's tokens are beside it.",
              [("Spent", spent(SPEND, "level name", J), DOLLARS),
               ("Tokens", growth("mainstay_spend_tokens_total", "level name", J, "", "$__range"), "short")], size=(12, 8))),
    row("Budgets",
        gauge("Left of budgets", "Share of each budget that is not spent, by the replica that knows of most spending.", "percentunit",
              (now("min", "mainstay_budget_left_ratio", "level name per"), "{{level}} {{name}}, {{per}}"), steps=LEFT),
        graph("Left of budgets in a day, at this pace", "Continued from the chosen time in a straight line: below 0 is spent by then. "
              "A budget that begins anew within the chosen time bends it.", "percentunit",
              (f"min by (level, name, per) (predict_linear(mainstay_budget_left_ratio{{{J}}}[$__range], 86400))",
               "{{level}} {{name}}, {{per}}"), low=None, high=1, steps=[(RED, None), (GREEN, 0)]),
        graph("Spent of budgets", "What was spent in the present day, week or month, or altogether, and what may be.", DOLLARS,
              (now("max", "mainstay_budget_spent_nano_usd", "level name per") + " / 1e9", "{{level}} {{name}}, {{per}}"),
              (now("max", "mainstay_budget_limit_nano_usd", "level name per") + " / 1e9", "limit of {{level}} {{name}}, {{per}}")),
        graph("Until budgets begin anew", "Seconds left of the present day, week or month.", "s",
              (now("min", "mainstay_budget_window_left_seconds", "level name per"), "{{level}} {{name}}, {{per}}")),
        graph("Refused by budgets", "Requests for which too little was left (spent), or whose cost nobody knows where a budget lets in "
              "no such request (unpriced).", "reqps",
              (rate("mainstay_budget_refusals_total", "level per reason"), "{{level}}, {{per}}: {{reason}}")),
        graph("Served by a cheaper route", "Requests that another route served because a budget was spent.", "reqps",
              (rate("mainstay_budget_downgrades_total", "route to", R), "{{route}} to {{to}}")),
        graph("Too dear for max_cost", "Requests refused because they could cost more than max_cost at every channel.", "reqps",
              (rate("mainstay_too_dear_total", "route", R), "{{route}}")),
        graph("Attempts that no budget heard of", "Attempts of requests with budgets whose cost nobody knows: the catalog has no price "
              "for their model. Budgets are blind to them.", "reqps", (rate("mainstay_budget_unpriced_total", "instance"), "{{instance}}")),
        graph("Budgets without Redis", "Requests that a replica held against its own part of what was left of their budgets, since Redis "
              "or Valkey did not answer in time. A few when a replica starts; else look at Redis.", "reqps",
              (rate("mainstay_budgets_alone_total", "instance"), "{{instance}}"))),
    row("What is paid for",
        graph("Tokens", "Per second, as the providers counted them. `input` contains the cached ones, `output` the reasoning.", "short",
              (rate("mainstay_tokens_total", "kind", U), "{{kind}}")),
        graph("Tokens by channel", "Per second, of prompts and answers.", "short",
              (rate("mainstay_tokens_total", "upstream model kind", U, KINDS), "{{upstream}} {{model}} {{kind}}")),
        graph("Prompts read from providers' caches", "Share of the tokens of prompts that the provider had kept, and charges less for.",
              "percentunit", (f'{rate("mainstay_tokens_total", "upstream model", U, CACHED)} / '
                              f'{rate("mainstay_tokens_total", "upstream model", U, INPUT)}', "{{upstream}} {{model}}"), high=1),
        graph("Other things that are paid for", "Images, searches, characters, milliseconds of sound, per second.", "short",
              (rate("mainstay_units_total", "upstream model unit", U), "{{upstream}} {{model}} {{unit}}")),
        graph("Tokens of one attempt, p95", "How large prompts and answers are, per upstream and model.", "short",
              (quantile(0.95, "mainstay_attempt_tokens", "upstream model kind", U), "{{upstream}} {{model}} {{kind}}")),
        graph("Attempts of unknown cost", "The catalog has no price for what they used, or nobody knows what that was. A file of prices "
              "(`catalog: {file: ...}`) mends the first.", "reqps",
              (rate("mainstay_cost_unknown_total", "upstream model", RU), "{{upstream}} {{model}}")),
        graph("Attempts cancelled", "Because another one answered (hedges): they may be charged all the same, and nobody says how many "
              "tokens.", "reqps", (rate("mainstay_attempts_unpriced_total", "upstream model", RU), "{{upstream}} {{model}}"))),
    row("What was saved",
        graph("Tokens not paid for again", "Per second, of answers that were said again to the same request, or shared by several.",
              "short", (rate("mainstay_tokens_saved_total", "kind", R), "{{kind}}"),
              (rate("mainstay_coalesced_total", "", R), "shared requests")),
        graph("Answers said again", "Requests that were looked up among kept answers; a stale one stands in for an error. And "
              "Idempotency-Keys that were repeated.", "reqps", (rate("mainstay_cache_total", "result", R), "{{result}}"),
              (rate("mainstay_idempotent_replays_total"), "repeated key")),
        graph("Hits", "Share of the requests that were looked up among kept answers and got one.", "percentunit",
              (f'{rate("mainstay_cache_total", "route", R, HITS)} / {rate("mainstay_cache_total", "route", R, LOOKED_UP)}', "{{route}}"),
              high=1)),
    span="now-24h",
)
