"""How streams begin, go on and end."""

from grafana import (BLUE, GREEN, GREY, ORANGE, R, RED, RU, U, dashboard, graph, growth, heatmap, quantile, rate, row, stat)

ENDS = {"complete": GREEN, "unterminated": BLUE, "cancelled": GREY, "error": ORANGE, "stalled": "dark-orange", "cut": RED}
TTFT = "mainstay_time_to_first_token_seconds"
BROKEN = ', outcome=~"error|cut|stalled"'
HEARD = ', outcome!="cancelled"'


def broken(labels=""):
    return f'{rate("mainstay_streams_total", labels, R, BROKEN)} / {rate("mainstay_streams_total", labels, R, HEARD)}'


STREAMS = dashboard(
    "Streams", "How streams begin, go on and end.",
    row("Do streams go well?",
        stat("Streams", "Streams that ended, per second.", "reqps", rate("mainstay_streams_total", "", R)),
        stat("Broken", "Share of streams that ended with an error after their first content, of those whose caller stayed.",
             "percentunit", broken(), steps=[(GREEN, None), (ORANGE, 0.005), (RED, 0.02)], decimals=2),
        stat("Continued", "Streams in the chosen time that broke and that another channel continued, so that their callers saw "
             "one whole stream.", "short", growth("mainstay_continuations_total", "", R, ', result="continued"', "$__range"),
             steps=[(BLUE, None)], decimals=0),
        stat("First token, p95", "From sending a request upstream to its first content (streams) or its whole answer.", "s",
             quantile(0.95, TTFT, "", RU)),
        stat("Longest silence, p95", "Within a stream: the gap that 95 of 100 streams stay below.", "s",
             quantile(0.95, "mainstay_stream_longest_gap_seconds", "", RU)),
        stat("Pace, p50", "Tokens per second of an answer, once it has begun.", "none",
             quantile(0.5, "mainstay_output_tokens_per_second", "", RU), decimals=0),
        graph("Stream outcomes", "How streams ended after their first content. `unterminated`: whole, but the provider left out "
              "the end, which was added. `stalled`: silence beyond `timeouts.idle`. `error`: the provider said so.", "reqps",
              (rate("mainstay_streams_total", "outcome", R), "{{outcome}}"), stacked=True, colours=ENDS),
        graph("Broken streams by route", "Share of a route's streams that ended with an error which failover cannot hide.",
              "percentunit", (broken("route"), "{{route}}"), steps=[(GREEN, None), (RED, 0.02)]),
        graph("Continued streams", "Streams that broke after their first content and were given to another channel, by how that ended.",
              "reqps", (rate("mainstay_continuations_total", "result method", R), "{{result}} {{method}}")),
        graph("Held back streams", "Behind their first content, since streams of their upstream break. `broke`: as expected, and somebody "
              "else was asked. `let_go`: it went on, up to two seconds late.", "reqps",
              (rate("mainstay_streams_held_total", "upstream result", R), "{{upstream}} {{result}}"))),
    row("The beginning",
        heatmap("Time to first token", "From sending a request upstream to its first content (streams) or its whole answer.", "s",
                TTFT, matchers=RU),
        graph("Time to first token by route", "Over all channels of a route, of attempts that ended well.", "s",
              (quantile(0.5, TTFT, "route", RU), "{{route}} p50"), (quantile(0.95, TTFT, "route", RU), "{{route}} p95"),
              (quantile(0.99, TTFT, "route", RU), "{{route}} p99"), size=(12, 9))),
    row("The middle",
        heatmap("Longest silence within a stream", "One for each stream, since providers put several tokens into one event. Silence "
                "beyond `timeouts.idle` ends a stream.", "s", "mainstay_stream_longest_gap_seconds", matchers=RU),
        graph("Longest silence by channel, p95", "Within a stream, per upstream and model.", "s",
              (quantile(0.95, "mainstay_stream_longest_gap_seconds", "upstream model", RU), "{{upstream}} {{model}}"), size=(12, 9)),
        graph("Pace by channel", "Tokens per second of half of the answers, once they have begun.", "none",
              (quantile(0.5, "mainstay_output_tokens_per_second", "upstream model", RU), "{{upstream}} {{model}}")),
        graph("Slow channels", "Tokens per second that nine of ten answers exceed.", "none",
              (quantile(0.1, "mainstay_output_tokens_per_second", "upstream model", RU), "{{upstream}} {{model}}")),
        graph("Time per token, p95", "After the first one, per upstream and model.", "s",
              (quantile(0.95, "mainstay_time_per_output_token_seconds", "upstream model", RU), "{{upstream}} {{model}}"))),
    row("The end",
        graph("From first content to the end, p50 and p95", "How long streams last, per route.", "s",
              (quantile(0.5, "mainstay_stream_duration_seconds", "route", RU), "{{route}} p50"),
              (quantile(0.95, "mainstay_stream_duration_seconds", "route", RU), "{{route}} p95"), size=(12, 8)),
        graph("Unreadable stream events", "Events inside streams that went on: a provider sends something that its own dialect does "
              "not allow.", "ops", (rate("mainstay_stream_broken_events_total", "upstream", U), "{{upstream}}"), size=(12, 8))),
)
