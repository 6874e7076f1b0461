"""Our Helm chart, rendered without helm: values merged and checked as helm does, each template's YAML documents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import jsonschema
import yaml

from tests.deploy.go_template import Templates
from tests.deploy.places import DEPLOY

CHART = DEPLOY / "helm" / "switchboard"


def default_values() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    return values


def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
    return found


def merged(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged, all else is replaced."""
    result = dict(defaults)
    for name, value in given.items():
        before = result.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            value = merged(before, value)
        result[name] = value
    return result


def render(given: Mapping[str, Any], release: str = "phone") -> dict[str, str]:
    """Each template's text by its path. Raises `TemplateError`, or `ValidationError` for bad values."""
    values = merged(default_values(), given)
    jsonschema.validate(values, schema())
    sources = {
        f"switchboard/{path.relative_to(CHART).as_posix()}": path.read_text()
        for path in sorted((CHART / "templates").rglob("*"))
        if path.is_file()
    }
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    dot = {
        "Values": values,
        "Chart": {"Name": chart["name"], "Version": chart["version"], "AppVersion": chart["appVersion"]},
        "Release": {"Name": release, "Namespace": "voice", "Service": "Helm"},
        "Template": {"BasePath": "switchboard/templates"},
        "Files": {"Get": lambda path: (CHART / path).read_text()},
    }
    templates = Templates(sources)
    return {name: templates.render(name, dot) for name in sources if not name.endswith(".tpl")}


def objects(given: Mapping[str, Any], release: str = "phone") -> list[dict[str, Any]]:
    """What would be sent to Kubernetes."""
    return [
        document
        for name, text in render(given, release).items()
        if not name.endswith(".txt")
        for document in yaml.safe_load_all(text)
        if document is not None
    ]
