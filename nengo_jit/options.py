"""The options of a simulator, given by keyword or in the environment."""

from __future__ import annotations

import os
from dataclasses import Field, dataclass, field, fields
from typing import Any

from nengo.exceptions import ValidationError

REPORT = "report"
NENGO, FAST = "nengo", "fast"
WORDS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
    REPORT: REPORT,
}


@dataclass(frozen=True)
class Options:
    """The options of a simulator. None stands for an option that was not given.

    Parameters
    ----------
    engine : str, optional
        Name of the engine; the fastest by default.
    threads : int, optional
        Number of threads to use at most; the number of cores by default.
    compile_python : bool or "report"
        Whether Python functions may be compiled. With "report", the simulator prints which ones
        are.
    noise : {"nengo", "fast"}
        Whether random numbers are nengo's, or those that are fastest on the engine.
    given : frozenset of str
        Names of the options that were given by keyword, see `chosen`.

    Raises
    ------
    ValidationError
        If the value of an option is invalid. The error names the option.
    """

    engine: str | None = None
    threads: int | None = None
    compile_python: bool | str = True
    noise: str = NENGO
    given: frozenset[str] = field(default=frozenset(), compare=False)

    def __post_init__(self) -> None:
        checked = {
            "engine": _engine(self.engine),
            "threads": _threads(self.threads),
            "compile_python": _compile_python(self.compile_python),
            "noise": _noise(self.noise),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @classmethod
    def chosen(cls, **given: Any) -> Options:
        """Return options from keywords or else from the environment; defaults fill in the rest.

        A keyword that is None counts as not given. The environment variable of ``threads`` is
        ``NENGO_JIT_THREADS``, and so on; an empty variable counts as not set.

        Raises
        ------
        ValidationError
            If a value is invalid. The error names the environment variable if it comes from one.
        """
        values = {name: value for name, value in given.items() if value is not None}
        options = cls(**values, given=frozenset(values))
        for option in fields(cls):
            variable = f"NENGO_JIT_{option.name.upper()}"
            text = os.environ.get(variable)
            if option.name == "given" or option.name in values or not text:
                continue
            values[option.name] = WORDS.get(text.lower(), text) if _is_switch(option) else text
            try:
                options = cls(**values, given=options.given)
            except ValidationError as error:
                reason = f"{error.args[0]} in the environment variable {variable}"
                raise ValidationError(reason, attr=option.name) from None
        return options


def _is_switch(option: Field[object]) -> bool:
    return option.default is True or option.default is False


def _engine(value: object) -> str | None:
    if not (value is None or isinstance(value, str)):
        raise ValidationError(f"Must be the name of an engine (got {value!r})", attr="engine")
    return value or None


def _threads(value: object) -> int | None:
    if value is None:
        return None
    try:
        number = int(str(value))  # rejects 2.5 and True
    except ValueError:
        number = 0
    if number < 1:
        raise ValidationError(f"Must be a positive whole number (got {value!r})", attr="threads")
    return number


def _compile_python(value: object) -> bool | str:
    if isinstance(value, str) and value == REPORT:
        return REPORT
    if value not in (True, False):
        raise ValidationError(
            f"Must be True, False or 'report' (got {value!r})", attr="compile_python"
        )
    return bool(value)


def _noise(value: object) -> str:
    if value not in (NENGO, FAST):
        raise ValidationError(f"Must be 'nengo' or 'fast' (got {value!r})", attr="noise")
    return str(value)
