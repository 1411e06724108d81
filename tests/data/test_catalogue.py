import gzip
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from limpid.core.errors import LimpidError
from limpid.data.catalogue import CATALOGUE, Entry, RemoteFile, download_folder, find_entry, tang_poem
from limpid.data.corpus import resolve
from limpid.data.fetch import fetch, is_fetched
from limpid.data.origins import ENTAILMENT, SENTIMENT
from limpid.data.tasks import Columns, task_splits

CONTENT = bytes(range(256)) * 1000


@dataclass
class Site:
    """A loopback server of one file, as good or as bad as a test wants it."""

    url: str = ""
    content: bytes = CONTENT
    honours_range: bool = True
    cut_after: list[int] = field(default_factory=list)  # bytes of body before the connection drops, a request each
    asked: list[str | None] = field(default_factory=list)  # the Range header of each request


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Site]:
    monkeypatch.setenv("LIMPID_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("LIMPID_DATA_DIR", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            site.asked.append(wanted)
            if self.path != "/file":
                self.send_error(404)
                return
            begin = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and site.honours_range else 0
            if begin >= len(site.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(site.content)}")
                self.end_headers()
                return
            self.send_response(206 if begin else 200)
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{len(site.content) - 1}/{len(site.content)}")
            body = site.content[begin:]
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: site.cut_after.pop(0)] if site.cut_after else body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site.url = f"http://127.0.0.1:{server.server_address[1]}/file"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield site
        server.shutdown()
        thread.join()


def entry_of(site: Site, *, content: bytes = CONTENT, gzipped: bool = False) -> Entry:
    file = RemoteFile(site.url, "set/file", hashlib.sha256(content).hexdigest(), len(content), gzipped)
    return Entry("set", "a set", ("en",), len(content), "none", (file,), ({"train": ("set/file",)},))


def kept() -> list[str]:
    return sorted(p.name for p in (download_folder() / "set").iterdir())


def test_fetch_reports_and_does_nothing_the_second_time(site: Site) -> None:
    entry = entry_of(site)
    assert not is_fetched(entry)
    seen: list[tuple[int, int | None]] = []
    assert fetch(entry, lambda file, done, total: seen.append((done, total))) == [download_folder() / "set/file"]
    assert (download_folder() / "set/file").read_bytes() == CONTENT
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert is_fetched(entry)
    fetch(entry)
    assert site.asked == [None]
    assert kept() == ["file"]


def test_a_cut_connection_is_taken_up_where_it_ended(site: Site) -> None:
    site.cut_after = [1000, 500]
    fetch(entry_of(site))
    assert site.asked == [None, "bytes=1000-", "bytes=1500-"]
    assert (download_folder() / "set/file").read_bytes() == CONTENT


def test_after_too_many_cuts_the_next_call_resumes(site: Site) -> None:
    site.cut_after = [10, 10, 10]
    with pytest.raises(LimpidError, match="was cut after 30 bytes .* run 'limpid data fetch set' again"):
        fetch(entry_of(site))
    assert kept() == ["file.part"]
    fetch(entry_of(site))
    assert site.asked[-1] == "bytes=30-"
    assert kept() == ["file"]


def test_a_server_that_ignores_range(site: Site) -> None:
    site.honours_range = False
    site.cut_after = [1000]
    fetch(entry_of(site))
    assert site.asked == [None, "bytes=1000-"]
    assert (download_folder() / "set/file").read_bytes() == CONTENT


def test_a_part_that_is_already_whole(site: Site) -> None:
    part = download_folder() / "set/file.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT)
    fetch(entry_of(site))
    assert kept() == ["file"]


def test_a_part_that_is_too_long_is_dropped(site: Site) -> None:
    part = download_folder() / "set/file.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT + b"more")
    fetch(entry_of(site))
    assert site.asked == [f"bytes={len(CONTENT) + 4}-", None]
    assert (download_folder() / "set/file").read_bytes() == CONTENT


def test_gzipped_files_are_kept_unpacked_and_checked_so(site: Site) -> None:
    site.content = gzip.compress(CONTENT)
    fetch(entry_of(site, gzipped=True))
    assert (download_folder() / "set/file").read_bytes() == CONTENT
    assert kept() == ["file"]


def test_an_archive_made_to_fill_a_disk_is_left_as_soon_as_it_holds_too_much(site: Site) -> None:
    content = b"0" * 5_000_000
    site.content = gzip.compress(content)
    entry = entry_of(site, content=content[:-1], gzipped=True)
    with pytest.raises(LimpidError, match="it holds more than 4,999,999 bytes.*it was removed"):
        fetch(entry)
    table = replace(entry.files[0], bytes=None, sha256=None, path="set/train.tsv", table=SENTIMENT)
    with pytest.raises(LimpidError, match=f"it holds more than {100 * len(site.content):,} bytes"):
        fetch(replace(entry, files=(table,)))
    assert kept() == []


@pytest.mark.parametrize("gzipped", [False, True])
def test_labelled_sentences_are_kept_as_the_table_they_are_read_as(site: Site, gzipped: bool) -> None:
    """What the address gives is the origin's form; size and digest are those of what is kept."""
    kept_as = b"sentence\tlabel\na fine film .\t1\ndull .\t0\n"
    given = b"1 a fine film .\n0 dull .\n"
    site.content = gzip.compress(given) if gzipped else given
    entry = entry_of(site, content=kept_as, gzipped=gzipped)
    entry = replace(entry, files=(replace(entry.files[0], path="set/train.tsv", table=SENTIMENT),))
    fetch(entry)
    assert (download_folder() / "set/train.tsv").read_bytes() == kept_as
    assert kept() == ["train.tsv"]
    assert is_fetched(entry)


def test_what_is_no_such_table_is_removed(site: Site) -> None:
    site.content = b"index\tsentence1\n1\tonly one\n"
    entry = entry_of(site)
    entry = replace(entry, files=(replace(entry.files[0], table=ENTAILMENT),))
    with pytest.raises(LimpidError, match="is not the table it should be .row 1 has 1 fields, not 3.*it was removed"):
        fetch(entry)
    assert kept() == []


@pytest.mark.parametrize("name", ["sst2", "trec", "rte", "stsb"])
def test_the_labelled_tables_go_where_the_tasks_look_for_them(name: str, site: Site) -> None:
    entry = find_entry(name)
    assert all(file.table is not None and file.path.endswith(".tsv") for file in entry.files)
    with pytest.raises(LimpidError, match=f"run limpid data fetch {name} first"):
        task_splits(name, Columns("single", "text", None, None, "label", False))


@pytest.mark.parametrize("gzipped", [False, True])
def test_a_wrong_digest_removes_the_file(site: Site, gzipped: bool) -> None:
    wrong = CONTENT[:-1] + b"x"
    site.content = gzip.compress(wrong) if gzipped else wrong
    with pytest.raises(LimpidError, match="is not the file it should be .sha256 .* it was removed"):
        fetch(entry_of(site, gzipped=gzipped))
    assert kept() == []


def test_a_wrong_size_counts_where_no_digest_is_known(site: Site) -> None:
    entry = entry_of(site)
    entry = replace(entry, files=(replace(entry.files[0], sha256=None, bytes=5),))
    with pytest.raises(LimpidError, match="256,000 bytes instead of 5"):
        fetch(entry)


def test_not_found_and_refused_say_what_to_do(site: Site) -> None:
    entry = entry_of(site)
    missing = replace(entry, files=(replace(entry.files[0], url=site.url + "/not"),))
    with pytest.raises(LimpidError, match=r"answered 404 .* put it at .*set/file, or give a text .*data.path="):
        fetch(missing)
    nobody = replace(entry, files=(replace(entry.files[0], url="http://127.0.0.1:9/file"),))
    with pytest.raises(LimpidError, match=r"Cannot reach http://127.0.0.1:9/file .*refused.* put it at"):
        fetch(nobody)


def test_entries_are_consistent() -> None:
    assert len({entry.name for entry in CATALOGUE}) == len(CATALOGUE)
    for entry in CATALOGUE:
        paths = {file.path for file in entry.files}
        assert all(file.url.startswith("https://") and file.url.isascii() for file in entry.files)
        assert all(file.sha256 is None or len(file.sha256) == 64 for file in entry.files)
        # What is fetched is enough for one of the layouts.
        assert not entry.files or any(
            {name for names in layout.values() for name in names} == paths for layout in entry.layouts
        )
        known = [file.bytes for file in entry.files if file.bytes is not None]
        assert len(known) < len(entry.files) or sum(known) == entry.size_bytes


def test_unknown_name() -> None:
    with pytest.raises(LimpidError, match="Did you mean 'tang-poems'"):
        find_entry("tang-poem")


def test_a_corpus_that_is_not_here_says_how_to_get_it(site: Site) -> None:
    with pytest.raises(LimpidError, match=r"run 'limpid data fetch tinyshakespeare' \(1.1 MB\)"):
        resolve("tinyshakespeare")


def test_tang_poems_as_the_origin_gives_them(site: Site) -> None:
    import json

    folder = download_folder()
    (folder / "tang-poems").mkdir(parents=True)

    def poem(number: int, lines: list[str]) -> dict[str, object]:
        return {"title": f"第{number}首", "author": "某人", "paragraphs": lines, "id": str(number)}

    def body(number: int) -> str:  # 24 characters, the first twelve its own
        return f"{chr(0x5000 + number)}{chr(0x5001 + number)}山不見人，但聞人語響。返景入深林，復照青苔上。"

    test = [poem(0, [body(0)])]
    rows = [poem(0, [body(0)]), poem(1, ["（缺）"]), poem(2, ["短。"]), poem(3, [body(7), "□□"])]
    rows += [poem(n, [body(10 * n)]) for n in range(10, 50)]
    for index, file in enumerate(find_entry("tang-poems").files):
        own = test if file.path.endswith("tang300.json") else rows if index == 0 else []
        (folder / file.path).write_text(json.dumps(own), encoding="utf-8")
    parts = {split: [document.text for document in part] for split, part in resolve("tang-poems").items()}
    assert parts["test"] == [f"第0首\n某人\n{body(0)}"]
    assert len(parts["train"]) + len(parts["validation"]) == 40
    assert parts["validation"]
    assert not set(parts["train"]) & set(parts["validation"])


@pytest.mark.parametrize(
    "body", ["", "床前明月光，", "床前明月光，疑是地上霜。[舉]頭望山月，低頭思故鄉。", "（一作）" + "月" * 30]
)
def test_unclean_poems_are_left_out(body: str) -> None:
    assert tang_poem({"title": "t", "author": "a", "text": body}) is None
