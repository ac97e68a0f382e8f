"""As much of JSON Schema (2020-12) as docs/openapi.yaml uses; an unknown keyword is an error, so that nothing is silently let through."""
import re

KNOWN = {"type", "properties", "required", "additionalProperties", "items", "prefixItems", "minItems", "maxItems", "enum", "anyOf", "minimum", "maximum",
         "pattern", "description", "examples", "$ref"}
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


class Checker:
    def __init__(self, document):
        self.document = document

    def follow(self, schema):
        while "$ref" in schema:
            node = self.document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                node = node[part]
            schema = node
        return schema

    def is_type(self, value, name):
        if name == "number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        if name == "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        return isinstance(value, TYPES[name])

    def faults(self, value, schema, at="$"):
        """What is wrong, as lines."""
        schema = self.follow(schema)
        unknown = set(schema) - KNOWN
        assert not unknown, f"{at}: keywords {unknown}"
        types = schema.get("type")
        if types and not any(self.is_type(value, t) for t in ([types] if isinstance(types, str) else types)):
            return [f"{at}: {value!r:.60} is no {types}"]
        out = []
        if "anyOf" in schema and all(self.faults(value, s, at) for s in schema["anyOf"]):
            out.append(f"{at}: none of anyOf")
        if "enum" in schema and value not in schema["enum"]:
            out.append(f"{at}: {value!r} is none of {schema['enum']}")
        if isinstance(value, (int, float)) and (value < schema.get("minimum", value) or value > schema.get("maximum", value)):
            out.append(f"{at}: {value} is out of range")
        if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
            out.append(f"{at}: {value!r} does not match")
        if isinstance(value, dict):
            out += self.object_faults(value, schema, at)
        if isinstance(value, list):
            out += self.array_faults(value, schema, at)
        return out

    def object_faults(self, value, schema, at):
        out = [f"{at}.{k}: missing" for k in schema.get("required", ()) if k not in value]
        properties, more = schema.get("properties", {}), schema.get("additionalProperties", True)
        for key, member in value.items():
            if key in properties:
                out += self.faults(member, properties[key], f"{at}.{key}")
            elif more is False:
                out.append(f"{at}.{key}: not described")
            elif isinstance(more, dict):
                out += self.faults(member, more, f"{at}.{key}")
        return out

    def array_faults(self, value, schema, at):
        out = []
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            out.append(f"{at}: {len(value)} items")
        for i, (item, s) in enumerate(zip(value, schema.get("prefixItems", ()))):
            out += self.faults(item, s, f"{at}[{i}]")
        for i, item in enumerate(value[len(schema.get("prefixItems", ())):] if "items" in schema else ()):
            out += self.faults(item, schema["items"], f"{at}[{i}]")
        return out
