"""A page taken apart, to compare it with what it was made from."""

from html.parser import HTMLParser

VOID = {"img", "meta", "br", "col"}
Rows = list[list[str]]


class Page(HTMLParser):
    """What is in a page: text of each section, cells of its tables, and every address."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text: dict[str, str] = {}
        self.tables: dict[str, list[Rows]] = {}
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self._open: list[str] = []
        self._part = ""
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.addresses += [given[name] for name in ("src", "href", "xlink:href", "data") if name in given]
        self.ids += [given["id"]] if "id" in given else []
        if tag not in VOID:
            self._open.append(tag)
        if tag == "section" and "id" in given:
            self._part = given["id"]
        if tag == "table":
            self.tables.setdefault(self._part, []).append([])
        elif tag == "tr":
            self.tables[self._part][-1].append([])
        elif tag in ("td", "th"):
            self.tables[self._part][-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        self.text[self._part] = self.text.get(self._part, "") + data
        if {"td", "th"} & set(self._open):
            self.tables[self._part][-1][-1][-1] += data
