"""Renders the part of Go's text/template, with Helm's functions, that our chart is written in.

For machines without helm. Strict where Go is not: what is not known is refused, and a missing value is never
printed. The rules: https://pkg.go.dev/text/template and https://helm.sh/docs/chart_template_guide/function_list/.
Knows nothing of charts: `chart.py` hands in the templates.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

ACTION = re.compile(r'\{\{(- )?((?:/\*.*?\*/)|(?:"(?:\\.|[^"\\])*"|[^}"])*?)( -)?\}\}', re.DOTALL)
TERM = re.compile(
    r'"(?:\\.|[^"\\])*"|:=|[()|,=]|-?[0-9]+|\$?[A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)+|\$[a-z]*|\.|[A-Za-z]\w*'
)
CONTROL = {"if", "with", "range", "define", "else", "end"}


class TemplateError(Exception):
    """A template that cannot be rendered, with what is wrong about it; also what `fail` says."""


@dataclass(slots=True)
class Action:
    """What stands between braces and prints: a pipeline, its value perhaps kept in a variable."""

    terms: list[str]


@dataclass(slots=True)
class Block:
    """`if`, `with`, `range` or `define`: each branch has its own words (none: `else`) and what it holds."""

    kind: str
    branches: list[tuple[list[str], list[Node]]] = field(default_factory=list)


Node = str | Action | Block


def terms_of(source: str) -> list[str]:
    found = TERM.findall(source)
    if "".join(found) != re.sub(r'\s+(?=(?:[^"]*"[^"]*")*[^"]*$)', "", source):
        raise TemplateError(f"cannot read {{{{ {source} }}}}")
    return found


def parse(text: str) -> list[Node]:
    """The nodes of a template."""
    pieces = _pieces(text)
    nodes, last = _nodes(pieces)
    if last:
        raise TemplateError(f"{last} without a beginning")
    return nodes


def _pieces(text: str) -> Iterator[str | list[str]]:
    """Literal text and the terms of actions, with the white space gone that `{{-` and `-}}` take away."""
    at, trims = 0, False
    for action in ACTION.finditer(text):
        literal = text[at : action.start()]
        literal = literal.lstrip() if trims else literal
        yield literal.rstrip() if action[1] else literal
        if not action[2].startswith("/*"):
            yield terms_of(action[2].strip())
        at, trims = action.end(), bool(action[3])
    yield text[at:].lstrip() if trims else text[at:]


def _nodes(pieces: Iterator[str | list[str]]) -> tuple[list[Node], list[str]]:
    """What comes up to an `else` or `end`, and that; nothing at the end of the text."""
    nodes: list[Node] = []
    for piece in pieces:
        if isinstance(piece, str):
            nodes.append(piece)
        elif piece[0] in ("else", "end"):
            return nodes, piece
        elif piece[0] in CONTROL:
            nodes.append(_block(piece, pieces))
        else:
            nodes.append(Action(piece))
    return nodes, []


def _block(opening: list[str], pieces: Iterator[str | list[str]]) -> Block:
    block, words = Block(opening[0]), opening[1:]
    while True:
        body, last = _nodes(pieces)
        if not last:
            raise TemplateError(f"{opening} has no end")
        block.branches.append((words, body))
        if last == ["end"]:
            return block
        words = last[2:]  # `else`, or `else if …`


@dataclass(frozen=True, slots=True)
class Scope:
    """Where an action stands: the dot, and the variables with those around them."""

    dot: Any
    variables: dict[str, Any]
    around: Scope | None = None

    def inner(self, dot: Any, **variables: Any) -> Scope:
        return Scope(dot, variables, self)

    def holder(self, name: str) -> dict[str, Any]:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.variables:
                return scope.variables
            scope = scope.around
        raise TemplateError(f"undefined variable ${name}")


class Templates:
    """Named templates that may include each other."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._named: dict[str, list[Node]] = {}
        for name, text in sources.items():
            nodes = parse(text)
            self._named[name] = nodes
            for node in nodes:
                if isinstance(node, Block) and node.kind == "define":
                    (words, body) = node.branches[0]
                    self._named[words[0].strip('"')] = body
        self._functions: dict[str, Callable[..., Any]] = {**FUNCTIONS, "include": self.render}

    def render(self, name: str, dot: Any) -> str:
        if name not in self._named:
            raise TemplateError(f"there is no template {name!r}")
        return self._text(self._named[name], Scope(dot, {"": dot}))

    def _text(self, nodes: list[Node], scope: Scope) -> str:
        return "".join(self._node(node, scope) for node in nodes)

    def _node(self, node: Node, scope: Scope) -> str:
        match node:
            case str():
                return node
            case Action(terms=[name, ":=" | "=" as sign, *terms]):
                variables = scope.variables if sign == ":=" else scope.holder(name[1:])
                variables[name[1:]] = self._value(terms, scope)
                return ""
            case Action(terms=terms):
                return printed(self._value(terms, scope), terms)
            case Block(kind="define"):
                return ""
            case Block(kind="range", branches=[(words, body)]):
                return self._each(words, body, scope)
            case Block(kind="if" | "with" as kind):
                return self._chosen(kind, node.branches, scope)
        raise TemplateError(f"not in the subset: {node}")

    def _chosen(self, kind: str, branches: list[tuple[list[str], list[Node]]], scope: Scope) -> str:
        for words, body in branches:
            value = self._value(words, scope) if words else True
            if value:
                return self._text(body, scope.inner(value if kind == "with" and words else scope.dot))
        return ""

    def _each(self, words: list[str], body: list[Node], scope: Scope) -> str:
        """`range $key, $value := pipeline` over a mapping, in the order of its keys, as Go does."""
        match words:
            case [key, ",", value, ":=", *terms]:
                items = sorted(self._value(terms, scope).items())
                return "".join(
                    self._text(body, scope.inner(each, **{key[1:]: name, value[1:]: each})) for name, each in items
                )
        raise TemplateError(f"not in the subset: range {words}")

    def _value(self, terms: list[str], scope: Scope) -> Any:
        """The value of a pipeline: what one command makes is the last argument of the next."""
        piped: list[Any] = []
        for command in _split(terms):
            arguments = [self._term(term, scope) for term in command]
            first, rest = arguments[0], [*arguments[1:], *piped]
            if callable(first):
                piped = [first(*rest)]
            elif rest:
                raise TemplateError(f"{command} is given arguments, and is no function")
            else:
                piped = [first]
        return piped[0]

    def _term(self, term: str | list[str], scope: Scope) -> Any:
        if isinstance(term, list):
            return self._value(term, scope)
        if term.startswith('"'):
            return yaml.safe_load(term)
        if term.lstrip("-").isdigit():
            return int(term)
        if term in ("true", "false"):
            return term == "true"
        if term.startswith(("$", ".")):
            start, *names = term.split(".")
            value = scope.holder(start[1:])[start[1:]] if start.startswith("$") else scope.dot
            return walked(value, [name for name in names if name], term)
        if term not in self._functions:
            raise TemplateError(f"no function {term!r} in the subset")
        return self._functions[term]


def _split(terms: list[str]) -> Iterator[list[str | list[str]]]:
    """The commands of a pipeline; what stands in parentheses is one term of its own."""
    command: list[str | list[str]] = []
    inside: list[str] = []
    depth = 0
    for term in terms:
        depth += (term == "(") - (term == ")")
        if depth > 1 or (depth == 1 and term != "("):
            inside.append(term)
        elif depth == 1:
            inside = []
        elif term == ")":
            command.append(inside)
        elif term == "|":
            yield command
            command = []
        else:
            command.append(term)
    yield command


def walked(value: Any, names: list[str], term: str) -> Any:
    """A field of a field …; the last may be missing, as in Go, one before it may not."""
    for name in names:
        if not isinstance(value, Mapping):
            raise TemplateError(f"{term}: there is nothing that could have {name!r}")
        value = value.get(name)
    return value


def printed(value: Any, terms: list[str]) -> str:
    if value is None:
        raise TemplateError(f"{{{{ {' '.join(terms)} }}}} has no value")
    return text_of(value)


def text_of(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _fail(message: str) -> str:
    raise TemplateError(message)


def _quote(value: Any) -> str:
    return '"' + text_of(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _indent(width: int, text: str) -> str:
    return "\n".join(" " * width + line for line in text.split("\n"))


def _all_of(*values: Any) -> Any:
    return next((value for value in values if not value), values[-1])


def _any_of(*values: Any) -> Any:
    return next((value for value in values if value), values[-1])


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": lambda *numbers: sum(numbers),
    "and": _all_of,
    "contains": lambda part, text: part in text,
    "default": lambda otherwise, value: value or otherwise,
    "eq": lambda first, second: first == second,
    "fail": _fail,
    "gt": lambda first, second: first > second,
    "int": int,
    "le": lambda first, second: first <= second,
    "nindent": lambda width, text: "\n" + _indent(width, text),
    "not": lambda value: not value,
    "or": _any_of,
    "print": lambda *parts: "".join(map(text_of, parts)),
    "printf": lambda form, *parts: form % parts,
    "quote": _quote,
    "sha256sum": lambda text: hashlib.sha256(text.encode()).hexdigest(),
    "toYaml": lambda value: yaml.safe_dump(value, default_flow_style=False, sort_keys=True, width=10_000).rstrip(
        "\n"
    ),
    "trimSuffix": lambda suffix, text: text.removesuffix(suffix),
    "trunc": lambda length, text: text[:length],
}
"""Arguments in Helm's order: what is piped comes last."""
