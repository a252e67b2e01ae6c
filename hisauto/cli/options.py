"""Options that stand before a command as well as behind it, and what they come to: a ``Session``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hisauto.cli.language import LANGUAGES

if TYPE_CHECKING:
    from hisauto.cli.session import Session

F = TypeVar("F", bound=Callable[..., Any])


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """The word nearest to the command wins."""
    if value not in (None, False):
        ctx.ensure_object(dict)[param.name] = value


def _option(*names: str, **more: Any) -> Callable[[F], F]:
    return click.option(*names, callback=_remember, expose_value=False, **more)


site_option = _option(
    "--site", type=click.Path(path_type=Path), metavar="DIR", help="The site's folder; else the nearest hisauto.yml."
)
lang_option = _option(
    "--lang", type=click.Choice(LANGUAGES), help="The language; else by LC_ALL, LC_MESSAGES, LANG, else the site's."
)
json_option = _option("--json", is_flag=True, help="JSON, for machines.")
no_color_option = _option("--no-color", is_flag=True, help="No colour; NO_COLOR does the same.")


def _people(ctx: click.Context, param: click.Parameter, incomplete: str) -> Any:
    from hisauto.cli.completing import people

    return people(ctx, param, incomplete)


_person = _option(
    "--as", "person", metavar="PERSON", shell_complete=_people,
    help="Who you are; else HISAUTO_PERSON, else by the key.",
)  # fmt: skip
_key = _option(
    "--key", type=click.Path(path_type=Path), metavar="FILE", help="Your key; else HISAUTO_KEY, the agent, ~/.ssh."
)


def person_options(command: F) -> F:
    """``--as`` and ``--key``: for what is signed."""
    return _person(_key(command))


def reading(command: Callable[..., Any]) -> Callable[..., Any]:
    """For a command that looks at a site and may print JSON. It is called with the session first."""
    return site_option(lang_option(json_option(no_color_option(pass_session(command)))))


def signing(command: Callable[..., Any]) -> Callable[..., Any]:
    """For a command by which a person speaks; else like ``reading``."""
    return person_options(reading(command))


def pass_session(command: Callable[..., Any]) -> Callable[..., Any]:
    """Hand the command its session as the first argument."""
    from functools import update_wrapper

    def call(*args: Any, **kwargs: Any) -> Any:
        return command(session(), *args, **kwargs)

    return update_wrapper(call, command)


def session() -> Session:
    """Of the command that runs."""
    from hisauto.cli.session import Session

    given = click.get_current_context().ensure_object(dict)
    if "session" not in given:
        given["session"] = Session(
            site=given.get("site"),
            person=given.get("person"),
            key=given.get("key"),
            json=given.get("json", False),
            plain=given.get("no_color", False),
        )
    opened: Session = given["session"]
    return opened
