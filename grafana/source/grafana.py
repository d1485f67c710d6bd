"""Panels, rows and dashboards in the form in which Grafana keeps them (schema 39, Grafana 10.4 and newer).

Whoever describes a dashboard says what differs; what is alike everywhere is said here.
"""

import zlib

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
SCHEMA = 39
GRID = 24

# What narrows a series down to what was chosen at the top of the dashboard.
J = 'job=~"$job", instance=~"$instance"'
R = J + ', route=~"$route"'
U = J + ', upstream=~"$upstream"'
RU = R + ', upstream=~"$upstream"'
MATCHERS = {"J": J, "R": R, "U": U, "RU": RU}

# Good, bad and neither, alike on every dashboard.
GREEN, ORANGE, RED, BLUE, PURPLE, GREY = "green", "orange", "red", "blue", "purple", "#808080"


def _by(labels):
    return f"by ({', '.join(labels.split())}) " if labels else ""


def rate(series, labels="", matchers=J, more=""):
    """Per second, summed up by `labels` (words with spaces between)."""
    return f"sum {_by(labels)}(rate({series}{{{matchers}{more}}}[$__rate_interval]))"


def growth(series, labels="", matchers=J, more="", over="$__rate_interval"):
    """How many more, summed up by `labels`."""
    return f"sum {_by(labels)}(increase({series}{{{matchers}{more}}}[{over}]))"


def now(how, series, labels="", matchers=J, more=""):
    """A gauge, put together by `how`: sum, max, min, count."""
    return f"{how} {_by(labels)}({series}{{{matchers}{more}}})"


def quantile(share, histogram, labels="", matchers=J, more=""):
    """The value that `share` of what was observed does not exceed."""
    inside = rate(f"{histogram}_bucket", f"le {labels}".strip(), matchers, more)
    return f"histogram_quantile({share}, {inside})"


def ours(series, matchers=J):
    """Of gateways only: others export series of this name, too."""
    return f"({series} and on (job, instance) mainstay_build_info{{{matchers}}})"


def worst(series, states, labels, matchers):
    """The place in `states` (best first) of the worst state that any chosen instance has."""
    terms = [f'{place} * {series}{{{matchers}, state="{state}"}}' for place, state in enumerate(states)]
    return f"max {_by(labels)}({' or '.join(terms)})"


def _target(place, query, **more):
    expression, legend = query if isinstance(query, tuple) else (query, "")
    return {
        "datasource": SOURCE, "editorMode": "code", "expr": expression, "legendFormat": legend,
        "range": True, "instant": False, "refId": chr(ord("A") + place), **more,
    }


def _steps(steps):
    """`(colour, from)` in rising order; the first holds from the very bottom."""
    steps = steps or [(GREEN, None)]
    return {"mode": "absolute", "steps": [{"color": colour, "value": value} for colour, value in steps]}


def _named(states):
    """What stands for the numbers 0, 1, …: `(text, colour)` each."""
    options = {str(n): {"text": text, "color": colour, "index": n} for n, (text, colour) in enumerate(states)}
    return [{"type": "value", "options": options}]


def _panel(kind, title, says, unit, queries, size, defaults, options, overrides=(), links=(), **target):
    width, height = size
    return {
        "type": kind, "title": title, "description": says, "datasource": SOURCE,
        "gridPos": {"w": width, "h": height},
        "fieldConfig": {"defaults": {"unit": unit, "links": list(links), **defaults}, "overrides": list(overrides)},
        "options": options,
        "targets": [_target(place, query, **target) for place, query in enumerate(queries)],
    }


def graph(title, says, unit, *queries, size=(8, 8), stacked=False, colours=None, low=0, high=None, steps=None, links=()):
    """Lines over time. `steps` are drawn as lines, too; `colours` go by a line's name."""
    custom = {
        "drawStyle": "line", "lineWidth": 1, "fillOpacity": 25 if stacked else 8, "showPoints": "never",
        "spanNulls": False, "stacking": {"group": "A", "mode": "normal" if stacked else "none"},
        "thresholdsStyle": {"mode": "line" if steps else "off"},
    }
    defaults = {"color": {"mode": "palette-classic"}, "custom": custom, "thresholds": _steps(steps)}
    if low is not None:
        defaults["min"] = low
    if high is not None:
        defaults["max"] = high
    overrides = [
        {"matcher": {"id": "byName", "options": name},
         "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}]}
        for name, colour in (colours or {}).items()
    ]
    options = {
        "legend": {"calcs": ["lastNotNull", "max"], "displayMode": "table", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return _panel("timeseries", title, says, unit, queries, size, defaults, options, overrides, links)


def stat(title, says, unit, *queries, size=(4, 4), steps=None, decimals=None, text="auto", links=()):
    """One figure, or one for each line."""
    defaults = {"color": {"mode": "thresholds"}, "thresholds": _steps(steps), "noValue": "–"}
    if decimals is not None:
        defaults["decimals"] = decimals
    options = {
        "colorMode": "value", "graphMode": "area" if text == "auto" else "none", "justifyMode": "auto",
        "orientation": "auto", "textMode": text,
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return _panel("stat", title, says, unit, queries, size, defaults, options, links=links)


def gauge(title, says, unit, *queries, size=(8, 8), steps=None, low=0, high=1, links=()):
    """Bars between two ends, the worst at a glance."""
    defaults = {"color": {"mode": "thresholds"}, "thresholds": _steps(steps), "min": low, "max": high}
    options = {
        "displayMode": "gradient", "orientation": "horizontal", "showUnfilled": True, "valueMode": "color",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return _panel("bargauge", title, says, unit, queries, size, defaults, options, links=links)


def timeline(title, says, states, *queries, size=(12, 9), links=()):
    """A bar for each series, coloured by the state that its value numbers."""
    defaults = {
        "color": {"mode": "thresholds"}, "thresholds": _steps([(GREY, None)]), "mappings": _named(states),
        "custom": {"fillOpacity": 80, "lineWidth": 0, "spanNulls": False, "insertNulls": False},
    }
    options = {
        "alignValue": "left", "mergeValues": True, "rowHeight": 0.85, "showValue": "auto",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return _panel("state-timeline", title, says, "none", queries, size, defaults, options, links=links)


def heatmap(title, says, unit, histogram, size=(12, 9), matchers=J):
    """How many took how long, over time."""
    defaults = {"custom": {"hideFrom": {"legend": False, "tooltip": False, "viz": False}, "scaleDistribution": {"type": "linear"}}}
    options = {
        "calculate": False, "cellGap": 1, "cellValues": {"unit": "short", "decimals": 1},
        "color": {"mode": "scheme", "scheme": "Oranges", "exponent": 0.5, "steps": 64, "fill": "dark-orange",
                  "scale": "exponential", "reverse": False},
        "exemplars": {"color": "rgba(255,0,255,0.7)"}, "filterValues": {"le": 1e-9}, "legend": {"show": True},
        "rowsFrame": {"layout": "auto"}, "showValue": "never",
        "tooltip": {"mode": "single", "showColorScale": False, "yHistogram": False},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit},
    }
    query = (growth(f"{histogram}_bucket", "le", matchers), "{{le}}")
    return _panel("heatmap", title, says, unit, [query], size, defaults, options, format="heatmap")


def table(title, says, columns, size=(24, 9), links=()):
    """A row for each set of labels. `columns` are `(name, expression, unit, extra properties)`; labels come first."""
    names = {f"Value #{chr(ord('A') + place)}" if len(columns) > 1 else "Value": column[0]
             for place, column in enumerate(columns)}
    overrides = []
    for name, _, unit, *properties in columns:
        said = [{"id": "unit", "value": unit}]
        for extra in properties:
            said += [{"id": key, "value": value} for key, value in extra.items()]
        overrides.append({"matcher": {"id": "byName", "options": name}, "properties": said})
    defaults = {"color": {"mode": "thresholds"}, "thresholds": _steps(None), "custom": {"align": "auto", "filterable": True}}
    options = {"showHeader": True, "cellHeight": "sm", "footer": {"show": False, "reducer": ["sum"], "fields": ""}}
    made = _panel("table", title, says, "short", [column[1] for column in columns], size, defaults, options, overrides,
                  links, format="table", range=False, instant=True)
    made["transformations"] = [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {
            "excludeByName": {"Time": True}, "indexByName": {}, "renameByName": names}},
    ]
    return made


def coloured(states):
    """A table's column whose numbers name states."""
    return {"mappings": _named(states), "custom.cellOptions": {"type": "color-background", "mode": "basic"}}


def stepped(*steps):
    """A table's column whose text is coloured by its value."""
    return {"thresholds": _steps(steps), "custom.cellOptions": {"type": "color-text"}}


def row(title, *panels, collapsed=False):
    """A row that is folded up holds details: nothing in it is asked for until somebody unfolds it."""
    return {"title": title, "collapsed": collapsed, "panels": list(panels)}


def to(dashboard, label):
    """A link from a line to another dashboard, narrowed down to what the line is about."""
    return {
        "title": f"{dashboard} of ${{__field.labels.{label}}}",
        "url": f"/d/mainstay-{dashboard.lower()}?${{__url_time_range}}&${{datasource:queryparam}}&${{job:queryparam}}"
               f"&${{instance:queryparam}}&var-{label}=${{__field.labels.{label}}}",
    }


def _identity(title):
    """A panel's number, which links contain: it stays when panels around it come and go."""
    return zlib.crc32(title.encode()) % 1_000_000 + 1


def _lay_out(panels, y):
    """Puts panels from left to right and top to bottom; returns where the next line begins."""
    x = height = 0
    for panel in panels:
        place = panel["gridPos"]
        if x + place["w"] > GRID:
            x, y, height = 0, y + height, 0
        panel["gridPos"] = {"h": place["h"], "w": place["w"], "x": x, "y": y}
        panel["id"] = _identity(panel["title"])
        x, height = x + place["w"], max(height, place["h"])
    return y + height


def _rows(rows):
    all_panels, y = [], 0
    for said in rows:
        head = {"type": "row", "id": _identity(f"row {said['title']}"), "title": said["title"],
                "collapsed": said["collapsed"], "gridPos": {"h": 1, "w": GRID, "x": 0, "y": y}, "panels": []}
        y += 1
        after = _lay_out(said["panels"], y)
        all_panels.append(head)
        if said["collapsed"]:
            head["panels"] = said["panels"]
        else:
            all_panels += said["panels"]
            y = after
    return all_panels


def _variable(name, label, definition):
    return {
        "name": name, "label": label, "type": "query", "datasource": SOURCE, "definition": definition,
        "query": {"query": definition, "refId": "StandardVariableQuery"}, "refresh": 2, "sort": 1, "multi": True,
        "includeAll": True, "allValue": ".+", "hide": 0, "regex": "", "skipUrlSync": False, "options": [],
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


VARIABLES = [
    {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1, "regex": "",
     "hide": 0, "multi": False, "includeAll": False, "skipUrlSync": False, "options": [],
     "current": {"selected": False, "text": "default", "value": "default"}},
    _variable("job", "Job", "label_values(mainstay_build_info, job)"),
    _variable("instance", "Instance", 'label_values(mainstay_build_info{job=~"$job"}, instance)'),
    _variable("route", "Route", f"label_values(mainstay_requests_in_flight{{{J}}}, route)"),
    _variable("upstream", "Upstream", f"label_values(mainstay_upstream_health{{{J}}}, upstream)"),
]


def _mark(name, colour, expression, title, text, shown=True):
    return {"name": name, "iconColor": colour, "datasource": SOURCE, "enable": shown, "hide": False, "expr": expression,
            "titleFormat": title, "textFormat": text, "step": "30s"}


def _turned(state):
    """Breakers that have come to be in this state. A gauge tells: a counter hides its first event from `increase`."""
    series = f'mainstay_breaker_state{{{U}, state="{state}"}}'
    return f"max by (upstream, model) (changes({series}[$__rate_interval]) > 0 and {series} == 1)"


ANNOTATIONS = [
    {"builtIn": 1, "name": "Annotations & Alerts", "type": "dashboard", "enable": True, "hide": True,
     "iconColor": "rgba(0, 211, 255, 1)", "datasource": {"type": "grafana", "uid": "-- Grafana --"}},
    _mark("Reloads", BLUE, f"changes(mainstay_config_applied_timestamp_seconds{{{J}}}[$__rate_interval]) > 0",
          "New routing table", "{{instance}}"),
    _mark("Refused files", ORANGE, f'sum by (instance) (increase(mainstay_reloads_total{{{J}, result="refused"}}[$__rate_interval])) > 0',
          "File refused", "{{instance}}"),
    _mark("Breakers opened", RED, _turned("open"), "Breaker opened", "{{upstream}} {{model}}"),
    _mark("Breakers closed", GREEN, _turned("closed"), "Breaker closed", "{{upstream}} {{model}}", shown=False),
]


def dashboard(name, says, *rows, span="now-1h"):
    """All of a dashboard; its address is `/d/mainstay-` and its name."""
    links = [{
        "title": "Mainstay", "type": "dashboards", "tags": ["mainstay"], "asDropdown": False, "icon": "external link",
        "includeVars": True, "keepTime": True, "targetBlank": False, "tooltip": "", "url": "",
    }]
    return {
        "id": None, "uid": f"mainstay-{name.lower()}", "title": f"Mainstay: {name}", "description": says,
        "tags": ["mainstay"], "schemaVersion": SCHEMA, "version": 1, "editable": False, "graphTooltip": 1,
        "refresh": "30s", "time": {"from": span, "to": "now"}, "timezone": "", "links": links,
        "annotations": {"list": ANNOTATIONS}, "templating": {"list": VARIABLES}, "panels": _rows(rows),
    }
