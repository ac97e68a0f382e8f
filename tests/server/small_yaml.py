"""The part of YAML that docs/openapi.yaml is written in: block mappings and lists by indentation, flow mappings and lists on one line,
plain and double-quoted scalars, comments on lines of their own."""
import json
import re

TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[\[\]{},:]|(?:[^\[\]{},:"]|:(?! ))(?:[^\[\]{},:]|:(?! ))*)')


def scalar(text):
    text = text.strip()
    if text.startswith('"'):
        return json.loads(text)
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    return {"true": True, "false": False, "null": None, "": None}.get(text, text)


def flow(text):
    tokens = [t for t in TOKEN.findall(text) if t.strip()]
    value, rest = flow_value(tokens)
    assert not rest, text
    return value


def flow_value(t):
    if t[0] == "{":
        out, t = {}, t[1:]
        while t[0] != "}":
            key = scalar(t[0])
            assert t[1] == ":", t[:4]
            out[key], t = flow_value(t[2:])
            t = t[1:] if t[0] == "," else t
        return out, t[1:]
    if t[0] == "[":
        out, t = [], t[1:]
        while t[0] != "]":
            value, t = flow_value(t)
            out.append(value)
            t = t[1:] if t[0] == "," else t
        return out, t[1:]
    return scalar(t[0]), t[1:]


def value_of(text):
    return flow(text) if text[0] in "[{" else scalar(text)


def split_key(text):
    m = re.match(r'("(?:[^"\\]|\\.)*"|[^"\s].*?):(?: +(.*))?$', text)
    assert m, f"no key: {text}"
    key = m[1]
    return (json.loads(key) if key.startswith('"') else key), (m[2] or "").strip()


def load(text):
    lines = [(len(s) - len(s.lstrip()), s.strip()) for s in text.splitlines() if s.strip() and not s.lstrip().startswith("#")]
    value, rest = block(lines, 0)
    assert not rest, rest[:1]
    return value


def block(lines, indent):
    """The value whose lines are indented by `indent`; the lines after it."""
    if lines[0][1].startswith("- "):
        out = []
        while lines and lines[0][0] == indent and lines[0][1].startswith("- "):
            item = lines[0][1][2:].strip()
            if item[0] in "[{" or not re.match(r'("[^"]*"|[\w$.-]+):( |$)', item):
                out.append(value_of(item))
                lines = lines[1:]
            else:
                value, lines = block([(indent + 2, item)] + lines[1:], indent + 2)
                out.append(value)
        return out, lines
    out = {}
    while lines and lines[0][0] == indent:
        key, rest = split_key(lines[0][1])
        assert key not in out, f"{key} twice"
        lines = lines[1:]
        if rest:
            out[key] = value_of(rest)
        elif lines and lines[0][0] > indent:
            out[key], lines = block(lines, lines[0][0])
        else:
            out[key] = None
    return out, lines
