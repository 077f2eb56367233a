"""Small pieces of HTML; every text from outside is escaped here."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from tuning.htmlreport.charts import Figure


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        content: Text, or Html.
        sort: What the column is sorted by; default: the text. NaN: nothing, but in a column of numbers.
        kind: CSS class; default: number where sort is given.
    """

    content: str
    sort: float | None = None
    kind: str = ""


@dataclass
class Figures:
    """The figures of a page, drawn by report.js once they come into view."""

    figures: dict[str, Figure] = field(default_factory=dict)

    def place(self, figure: Figure | None, says: str, why_not: str = "") -> Html:
        """The figure's place in the page.

        Args:
            figure: What is drawn; None: nothing.
            says: What it shows, in words, also for those who cannot see it.
            why_not: Shown instead of a missing figure.
        """
        if figure is None:
            return note(why_not)
        key = f"figure-{len(self.figures)}"
        self.figures[key] = figure
        style = f"height:{figure['layout']['height']}px"
        if "min_width" in figure:
            style += f";min-width:{figure['min_width']}px"
        plot = f'<div class="plot" id="{key}" role="img" aria-label="{escape(says)}" style="{style}"></div>'
        return Html(
            f'<figure><div class="scroll">{plot}</div><figcaption>{escape(says)}</figcaption></figure>'
        )


def tag(name: str, content: str, **attributes: str) -> Html:
    """An element; its content is escaped unless it is Html. `class_` stands for `class`."""
    given = "".join(f' {k.rstrip("_")}="{escape(v)}"' for k, v in attributes.items())
    return Html(f"<{name}{given}>{_html(content)}</{name}>")


def join(parts: Iterable[str]) -> Html:
    """Parts one after the other, texts among them escaped."""
    return Html("\n".join(_html(part) for part in parts))


def note(text: str) -> Html:
    """A short remark."""
    return tag("p", text, class_="note") if text else Html("")


def fold(title: str, content: str, opened: bool = False) -> Html:
    """Content behind a title that is clicked."""
    return Html(f"<details{' open' if opened else ''}>{tag('summary', title)}\n{_html(content)}\n</details>")


def section(key: str, title: str, *parts: str) -> Html:
    """A section of the page."""
    heading = tag("h2", title, id=f"{key}-title")
    return Html(f'<section id="{key}" aria-labelledby="{key}-title">{heading}\n{join(parts)}\n</section>')


def table(
    caption: str, titles: Sequence[str], rows: Iterable[Sequence[Cell]], sortable: bool = False, key: str = ""
) -> Html:
    """A table in a box of its own, so that a narrow screen scrolls the table and not the page.

    Args:
        caption: What it shows.
        titles: Column titles.
        rows: Cells; the first of a row names the row.
        sortable: Whether a click on a title sorts.
        key: Its id.
    """
    listed = list(rows)
    kinds = [_kind(cell) for cell in listed[0]] if listed else [""] * len(titles)
    heads = "".join(_head(title, kind, sortable) for title, kind in zip(titles, kinds, strict=True))
    body = "\n".join(f"<tr>{''.join(_cell(i, cell) for i, cell in enumerate(row))}</tr>" for row in listed)
    marks = (f' id="{key}"' if key else "") + (' class="sortable"' if sortable else "")
    return Html(
        f'<div class="scroll tall" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"<table{marks}><caption>{escape(caption)}</caption>"
        f"<thead><tr>{heads}</tr></thead>\n<tbody>{body}</tbody></table></div>"
    )


def _head(title: str, kind: str, sortable: bool) -> str:
    inner = f'<button type="button">{escape(title)}</button>' if sortable else escape(title)
    return f'<th scope="col"{kind}>{inner}</th>'


def _kind(cell: Cell) -> str:
    kind = cell.kind or ("number" if cell.sort is not None else "")
    return f' class="{kind}"' if kind else ""


def _cell(index: int, cell: Cell) -> str:
    sort = "" if cell.sort is None or math.isnan(cell.sort) else f' data-sort="{cell.sort!r}"'
    name, scope = ("th", ' scope="row"') if index == 0 else ("td", "")
    return f"<{name}{scope}{_kind(cell)}{sort}>{_html(cell.content)}</{name}>"


def embed_json(value: Any) -> str:
    """JSON that can stand inside a script element: no NaN, and nothing that could end the element."""
    text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), default=str)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def script_hash(script: str) -> str:
    """A script as the page's Content-Security-Policy names it; no other script runs."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"


def _html(content: str) -> str:
    return content if isinstance(content, Html) else escape(content)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
