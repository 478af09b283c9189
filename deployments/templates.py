"""
Fills `{{ $NAME }}` in what is deployed (prefect.yaml, the work pools' templates) with the operator's settings.

Unlike Prefect's own templating it takes the values as an argument, and keeps their types. Placeholders of other kinds
(`{{ env }}`, `{{ prefect.blocks... }}`) are left to the worker.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from shopsync.errors import SettingsError

PLACEHOLDER = re.compile(r"{{\s*\$(\w+)\s*}}")


def filled(template: Any, values: Mapping[str, Any]) -> Any:
    """
    Return the template with its placeholders replaced; one that stands alone and has no value drops its key.

    Raises:
        SettingsError: A placeholder is none of `values`.
    """
    match template:
        case dict():
            pairs = ((key, filled(value, values)) for key, value in template.items())
            return {key: new for key, new in pairs if new is not None or template[key] is None}
        case list():
            return [filled(each, values) for each in template]
        case str():
            alone = PLACEHOLDER.fullmatch(template)
            if alone:
                return _value(alone[1], values)
            return PLACEHOLDER.sub(lambda found: str(_value(found[1], values) or ""), template)
        case _:
            return template


def _value(name: str, values: Mapping[str, Any]) -> Any:
    if name not in values:
        raise SettingsError(name, "is named by a file of the deployments, and is no setting")
    return values[name]
