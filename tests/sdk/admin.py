"""The admin side against its own document: the document is sound, and nothing that it allows, or forbids, is answered
other than it says. Everything is asked for, what destroys included, so the gateway has to be the test's own.

Schemathesis makes the questions: https://schemathesis.readthedocs.io/
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request

import jsonschema
from openapi_spec_validator import OpenAPIV31SpecValidator

# Seconds for all questions together: many times what they take. How many there are does not depend on it: were it time
# that ends them, some operations' turn would not come on a slow machine.
LONGEST = 400
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
]

# The document is asked for before all questions, and nobody guesses the id of a request, or what the console is made of.
UNGUESSED = {"get_admin_openapi_json", "get_admin_requests_id", "get_admin_requests_id_capture", "get_console_file"}
# Nobody guesses a whole routing.yaml; tests/it/operators.rs sends some.
UNGUESSED |= {"put_admin_config", "post_admin_config_diff", "post_admin_config_validate"}
# Its answer has no end.
ENDLESS = {"get_admin_live"}

url = os.environ["MAINSTAY_ADMIN_URL"]
token = os.environ["MAINSTAY_ADMIN_TOKEN"]


def ask(path, method="GET", body=None):
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data=data, method=method, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


document = ask("/admin/openapi.json")
OpenAPIV31SpecValidator(document).validate()

# So that there is something to see, to change and to end.
ask("/admin/keys", "POST", {"name": "shop"})

# What a request said is there under an id that nobody guesses.
came = ask("/admin/try", "POST", {"model": "demo", "prompt": "I am ada@example.com"})
capture = ask(f"/admin/requests/{came['said']['request-id']}/capture")
form = document["paths"]["/admin/requests/{id}/capture"]["get"]["responses"]["200"]["content"]["application/json"]
jsonschema.validate(capture, form["schema"] | {"components": document["components"]})
assert "I am [EMAIL]" in json.dumps(capture), capture


def answered(har):
    """How often each operation was answered as it is when all is well."""
    patterns = {
        (method.upper(), re.compile(re.sub(r"\\{[^/]+\\}", "[^/]+", re.escape(path)))): operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    well = dict.fromkeys((operation["operationId"] for operation in patterns.values()), 0)
    for entry in har["log"]["entries"]:
        asked, path = entry["request"], urllib.parse.urlsplit(entry["request"]["url"]).path
        for (method, pattern), operation in patterns.items():
            if asked["method"] == method and pattern.fullmatch(path):
                well[operation["operationId"]] += entry["response"]["status"] < 300
    return well


with tempfile.TemporaryDirectory() as directory:
    words = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/admin/openapi.json"]
    words += ["--header", f"Authorization: Bearer {token}", "--checks", ",".join(CHECKS)]
    words += ["--max-examples", "50", "--seed", "1", "--generation-database", "none"]
    words += ["--suppress-health-check", "all", "--request-timeout", "70", "--warnings", "off", "--no-color"]
    words += [word for name in ENDLESS for word in ("--exclude-operation-id", name)]
    words += ["--report", "har", "--report-har-path", "asked.har"]
    subprocess.run(words, cwd=directory, check=True, timeout=LONGEST)
    with open(os.path.join(directory, "asked.har")) as har:
        well = answered(json.load(har))

never = [name for name, times in well.items() if not times and name not in UNGUESSED | ENDLESS]
assert not never, f"only ever refused: {never}"
changed = {row["action"] for row in ask("/admin/audit")["audit"]}
assert changed, "nothing that changes something was asked for"
print(f"{len(well)} operations answer as their document says")
