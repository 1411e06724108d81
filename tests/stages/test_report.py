import io
import json
import math
import random
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from limpid.core.errors import LimpidError
from limpid.stages.curves import describe, draw, moving_mean, panels, thinned, ticks
from limpid.stages.report import render_terminal, write_report
from limpid.stages.report_text import sparkline
from limpid.stages.report_words import count, duration, printable, reading

NASTY = "<script>alert('x')</script> **bold** | [link](http://evil.example) \x1b[31mred\x1b[0m \u202eback"
QUESTIONS = (
    ("can you describe what abs_paths does", "Set all module __file__ and __cached__ attributes to an absolute path."),
    ("In which module of Python can I find b16decode?", "It is in the base64 module."),
    ("tell me the signature of isdatadescriptor", "isdatadescriptor(object)"),
    ("Please calculate 1 + 51.", "1 + 51 = 52."),
    ("Which module contains UnixRedirect?", "I do not know a function of that name."),
)
KINDS = ("description", "module", "signature", "unknown", "arithmetic", "greeting", "identity", "held_out")


def interval(value: float, half: float = 0.02) -> dict[str, float]:
    return {
        "value": value,
        "low": max(0.0, value - half),
        "high": min(1.0, value + half) if value <= 1 else value + half,
    }


def answers(given: list[tuple[str, str]]) -> list[dict[str, Any]]:
    return [
        {"prompt": question, "answer": answer, "expected": expected, "grade": grade}
        for (question, expected), (answer, grade) in zip(QUESTIONS, given, strict=True)
    ]


def chat_measures(right: list[float], wrong_unknown: float, bits: float) -> dict[str, Any]:
    measures: dict[str, Any] = {"test bits per byte": interval(bits, 0.03)}
    for kind, share in zip(KINDS, right, strict=True):
        wrong = wrong_unknown if kind == "unknown" else (1 - share) * 0.7
        measures[f"{kind}: right"] = interval(share)
        measures[f"{kind}: admitted"] = interval(0.0 if kind == "unknown" else (1 - share) * 0.3, 0.01)
        measures[f"{kind}: wrong"] = interval(wrong, 0.015)
    return measures


def put(folder: Path, stage: str, summary: dict[str, Any] | None, metrics: list[dict[str, Any]] | None) -> None:
    (folder / stage).mkdir(parents=True, exist_ok=True)
    if summary is not None:
        (folder / stage / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    if metrics is not None:
        lines = "".join(json.dumps(record) + "\n" for record in metrics)
        (folder / stage / "metrics.jsonl").write_text(lines, encoding="utf-8")


def training_line(step: int, loss: float, rng: random.Random) -> dict[str, Any]:
    return {
        "step": step,
        "loss": loss + rng.gauss(0, 0.09),
        "grad_norm": 0.4 + 1.4 * math.exp(-step / 60) + rng.gauss(0, 0.04),
        "learning_rate": min(1.0, step / 40, (910 - step) / 300),
        "tokens": 4096,
        "seconds": 0.27,
        "tokens_per_second": 15_100 + rng.gauss(0, 260),
    }


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """A folder as a whole demo leaves it, script tags in an answer included."""
    folder, rng = tmp_path / "runs" / "demo", random.Random(0)
    common = {"dtype": "bfloat16", "parameters": 6_524_928, "matmul_flops_per_second": 9.6e11}
    put(folder, "tokenizer", {
        "stage": "tokenizer", "seconds": 7.4, "vocab_size": 4096, "train_bytes": 9_800_000, "bytes_per_token": 3.41,
        "measures": {}, "peak_rss_bytes": 4.1e8,
        "example": [
            {"text": "Return the sum of 17.", "tokens": ["Return", " the", " sum", " of", " 1", "7", "."]},
            {"text": "I love <b>.", "tokens": ["I", " l", "ove", " <", "b", ">."]},
            {"text": "我喜欢", "tokens": ["<E6><88>", "<91>", "<E5><96>", "<9C>", "欢"]},
        ],
    }, None)  # fmt: skip
    lines: list[dict[str, Any]] = []
    for step in range(1, 901):
        loss = 2.6 + 5.6 * math.exp(-step / 45) + 1.4 * math.exp(-step / 350)
        lines.append(training_line(step, loss, rng))
        if step % 100 == 0:
            lines.append({"step": step, "validation_bits_per_byte": loss / 1.78, "validation_nats": loss + 0.05})
    put(folder, "pretrain", common | {
        "stage": "pretrain", "steps": 900, "seconds": 251.3, "train_seconds": 240.1, "tokens": 3_686_400,
        "tokens_per_second": 15_100.0, "flops_per_second": 5.6e11, "peak_rss_bytes": 1.31e9,
        "measures": {"test bits per byte": interval(1.581, 0.03)},
        "baselines": {"xz -9e, training text as prefix": 1.79, "5-gram Kneser-Ney": 1.90},
        "answers": answers([
            (" in the module.\n\n    The *abs_paths* argument is a list of strings that are used to", "wrong"),
            ("\n\n>>> b16decode(b'AB')\nTraceback (most recent call last):\n  File \"<stdin>\", line 1", "wrong"),
            ("(object, name):\n    " + NASTY, "wrong"),
            (" The result is a float, and the default is the same as the", "wrong"),
            ("", "wrong"),
        ]),
    }, lines)  # fmt: skip
    lines = []
    for step in range(1, 501):
        lines.append(training_line(step, 0.35 + 2.4 * math.exp(-step / 70), rng))
        if step % 100 == 0:
            values = {f"right/{kind}": 1 - math.exp(-step / (60 + 40 * i)) for i, kind in enumerate(KINDS[:5])}
            lines.append(
                {
                    "step": step,
                    "validation_bits_per_byte": 1.6 + 0.06 * step / 500,
                    **values,
                    "wrong": 1 / (1 + step / 40),
                }
            )
    put(folder, "sft", common | {
        "stage": "sft", "steps": 500, "seconds": 148.0, "tokens": 2_048_000, "tokens_per_second": 14_700.0,
        "flops_per_second": 5.4e11, "peak_rss_bytes": 1.42e9,
        "measures": chat_measures([0.962, 0.941, 0.925, 0.874, 0.91, 1.0, 1.0, 0.112], 0.126, 1.642),
        "answers": answers([
            (QUESTIONS[0][1], "right"), (QUESTIONS[1][1], "right"), ("isdatadescriptor(obj)", "wrong"),
            ("1 + 51 = 53.", "wrong"), ("It is in the urllib.request module.", "wrong"),
        ]),
    }, lines)  # fmt: skip
    lines = []
    for step in range(1, 41):
        lines.append(training_line(step, rng.gauss(0, 0.02), rng) | {
            "reward": 0.7 + 0.2 * (1 - math.exp(-step / 12)) + rng.gauss(0, 0.03),
            "wrong": 0.14 * math.exp(-step / 15) + 0.02, "length": 11.2 + rng.gauss(0, 0.4),
            "informative_groups": 0.3 + rng.gauss(0, 0.05),
            "kl": 0.0006 * step + abs(rng.gauss(0, 0.001)), "entropy": 0.09 - 0.001 * step, "surprise": step,
        })  # fmt: skip
        if step % 20 == 0:
            lines.append({"step": step, **{f"right/{kind}": 0.9 + step / 1000 for kind in KINDS[:5]}, "wrong": 0.05})
    put(folder, "grpo", common | {
        "stage": "grpo", "steps": 40, "seconds": 131.2, "tokens": 163_840, "tokens_per_second": 1_900.0,
        "flops_per_second": 0.7e11, "peak_rss_bytes": 1.5e9, "kl": 0.03,
        "measures": chat_measures([0.968, 0.95, 0.94, 0.968, 0.933, 1.0, 1.0, 0.105], 0.032, 1.651),
        "answers": answers([
            (QUESTIONS[0][1], "right"), (QUESTIONS[1][1], "right"),
            ("I do not know a function of that name.", "admitted"),
            (QUESTIONS[3][1], "right"), (QUESTIONS[4][1], "right"),
        ]),
    }, lines)  # fmt: skip
    return folder


class Page(HTMLParser):
    """The page's tags, and whether they close in order."""

    VOID = ("meta", "link", "br", "path", "circle")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def on_screen(report: dict[str, Any], width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    with console.capture() as shown:
        console.print(render_terminal(report))
    return shown.get()


def test_machine_readable_twin(demo: Path) -> None:
    report = write_report(demo, 541.7)
    assert json.loads((demo / "report.json").read_text(encoding="utf-8")) == report
    assert report["total_seconds"] == 541.7
    assert report["peak_rss_bytes"] == 1.5e9
    assert {"cpu", "cores", "memory_bytes", "python", "torch", "limpid", "os"} <= set(report["machine"])
    assert [stage["name"] for stage in report["stages"]] == ["tokenizer", "pretrain", "sft", "grpo"]
    pretrain = report["stages"][1]
    assert pretrain["matmul_share"] == pytest.approx(5.6 / 9.6)
    assert pretrain["measures"]["test bits per byte"] == {
        "value": 1.581,
        "low": pytest.approx(1.551),
        "high": pytest.approx(1.611),
    }
    assert [row["prompt"] for row in report["prompts"]] == [question for question, _ in QUESTIONS]
    assert report["prompts"][3]["after"]["sft"] == "1 + 51 = 53."
    assert report["prompts"][2]["grades"] == {"pretrain": "wrong", "sft": "wrong", "grpo": "admitted"}


def test_model_output_stays_text(demo: Path) -> None:
    report = write_report(demo, 541.7)
    html = (demo / "report.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;" in html
    assert html.count("<script>") == 1  # our own, at the end
    for page in (html, (demo / "report.md").read_text(encoding="utf-8"), on_screen(report)):
        assert "\x1b" not in page
        assert "\u202e" not in page
    markdown = (demo / "report.md").read_text(encoding="utf-8")
    assert "<script>" not in markdown
    assert r"\*\*bold\*\* \|" in markdown
    assert r"\[link\](http" in markdown


def test_page_is_whole_and_asks_nothing_of_the_network(demo: Path) -> None:
    write_report(demo, 541.7)
    html = (demo / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    assert page.open == []
    for tag, attributes in page.tags:
        assert tag not in ("iframe", "object", "embed", "base", "form", "img")
        assert "src" not in attributes
        assert tag == "link" or "href" not in attributes
    assert [link["href"] for link in page.named("link")] == ["data:,"]
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for svg in page.named("svg"):
        assert svg.get("aria-hidden") or svg.get("aria-label") or svg["aria-labelledby"]
    for mark, grade in (("✓", "right"), ("~", "admitted"), ("✗", "wrong")):  # never colour alone
        assert f'<i aria-hidden="true">{mark}</i> {grade}</span>' in html
    assert "nan" not in html.lower().replace("nano", "")


def test_every_series_is_drawn(demo: Path) -> None:
    write_report(demo, 541.7)
    html = (demo / "report.html").read_text(encoding="utf-8")
    titles = re.findall(r"<figcaption>([^<]*?)(?: <|<)", html)
    assert titles.count("Loss") == 3
    assert titles.count("Right answers") == 2
    assert {"Bits per byte", "Reward", "KL", "Length", "Entropy", "Speed", "Gradient norm", "surprise"} <= set(titles)
    assert "5-gram Kneser-Ney 1.90" in html
    assert "Wrong while sampling" in titles  # not mixed with the held-out share of the same name


def test_markdown_tables_are_rectangular(demo: Path) -> None:
    write_report(demo, 541.7)
    widths: list[int] = []
    for line in (demo / "report.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            widths.append(len(re.findall(r"(?<!\\)\|", line)))
        elif widths:
            assert len(set(widths)) == 1
            widths = []
    text = (demo / "report.md").read_text(encoding="utf-8")
    assert "4 min 11 s" in text
    assert "58%" in text
    assert "1.581 \\[1.551, 1.611\\]" in text


def test_terminal_fits_eighty_columns(demo: Path) -> None:
    text = on_screen(write_report(demo, 541.7))
    assert max(map(len, text.splitlines())) <= 80
    for part in ("1 + 51 = 52.", "[link]", "✓", "~", "✗", "58%", "96.8%", "1.581", "9 min 02 s in all"):
        assert part in text


def test_an_interrupted_demo_reports_what_there_is(tmp_path: Path) -> None:
    put(tmp_path, "tokenizer", {"stage": "tokenizer"}, None)
    lines = [{"step": 1, "loss": 3.0, "tokens": 64, "seconds": 0.5}, {"step": 2, "loss": float("nan")}, {"loss": 1.0}]
    put(tmp_path, "pretrain", None, lines)
    with (tmp_path / "pretrain" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "lo')  # killed while writing
    report = write_report(tmp_path, float("nan"))
    assert report["total_seconds"] is None
    assert [(stage["name"], stage["finished"]) for stage in report["stages"]] == [
        ("tokenizer", True),
        ("pretrain", False),
    ]
    assert report["stages"][1]["tokens"] == 64
    assert report["prompts"] == []
    assert "cut short after step 2" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Pretraining (unfinished)" in on_screen(report)
    json.loads((tmp_path / "report.json").read_text(encoding="utf-8"), parse_constant=lambda name: pytest.fail(name))


def test_odd_summaries_are_survived(tmp_path: Path) -> None:
    summary = {
        "measures": {
            "test bits per byte": 1.5, "empty": None, "a<b": {"value": 2},
            "x: right": {"value": 0.5, "low": float("nan")},
        },
        "answers": [None, {"prompt": "only a question"}, {"prompt": "p", "answer": "", "grade": "odd"}],
        "tokens": "many", "baselines": {"xz": {"value": 1.8}, "none": None},
        "flops_per_second": 1.0, "matmul_flops_per_second": 0,
    }  # fmt: skip
    put(tmp_path, "sft", summary, [])
    report = write_report(tmp_path, 1.0)
    stage = report["stages"][0]
    assert stage["measures"]["test bits per byte"] == {"value": 1.5, "low": None, "high": None}
    assert "empty" not in stage["measures"]
    assert stage["matmul_share"] is None
    assert stage["tokens"] is None
    assert stage["baselines"] == {"xz": 1.8}
    assert report["prompts"] == [{"prompt": "p", "expected": None, "after": {"sft": ""}, "grades": {"sft": "odd"}}]
    assert Page((tmp_path / "report.html").read_text(encoding="utf-8")).open == []
    on_screen(report)


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LimpidError, match="holds no stage"):
        write_report(tmp_path, 1.0)
    (tmp_path / "sft").mkdir()
    (tmp_path / "sft" / "summary.json").write_text("{")
    with pytest.raises(LimpidError, match=r"sft/summary.json is not JSON"):
        write_report(tmp_path, 1.0)


def test_numbers_in_words() -> None:
    assert [count(v) for v in (None, 0, 7, 950, 999.9, 1900.0, 15_100, 999_700, 3_686_400, 6.5e9)] == [
        "–", "0", "7", "950", "1.00k", "1.90k", "15.1k", "1.00M", "3.69M", "6.50G",
    ]  # fmt: skip
    assert [duration(s) for s in (None, 7.44, 9.97, 59.6, 251.3, 3600)] == [
        "–", "7.4 s", "10 s", "1 min 00 s", "4 min 11 s", "1 h 00 min",
    ]  # fmt: skip
    assert printable("a\x00b\x1b[0m\u2066 👩‍💻\n\tc") == "a�b�[0m� 👩‍💻\n\tc"
    assert printable("x" * 700, 10) == "x" * 9 + "…"
    assert sparkline([(i, i) for i in range(8)], False) == "▁▂▃▄▅▆▇█"


def test_moving_mean_keeps_a_straight_line_and_thinning_keeps_extremes() -> None:
    line = [(float(x), 2.0 * x) for x in range(100)]
    smoothed = moving_mean(line)
    assert [y for _, y in smoothed[:90]] == pytest.approx([y for _, y in line[:90]])
    noisy = [(float(x), math.sin(12.9898 * x * x)) for x in range(1000)]
    few = thinned(noisy, 100)
    assert len(few) <= 110
    assert few == sorted(few)
    assert max(y for _, y in few) == max(y for _, y in noisy)
    assert min(y for _, y in few) == min(y for _, y in noisy)
    assert (few[0], few[-1]) == (noisy[0], noisy[-1])


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (1.55, 1.92), (-0.3, 0.8), (0.0, 15_000.0), (3e-5, 9e-4)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 3 <= len(found) <= 7
    assert low - 1e-12 <= found[0]
    assert found[-1] <= high + 1e-12


def test_one_point_and_a_flat_line_can_be_drawn() -> None:
    (one,) = panels("pretrain", [{"step": 5, "loss": 0.0}], {})
    assert "from 0 at step 5 to 0 at step 5" in describe(one)
    assert "nan" not in draw(one, "k")
    assert panels("sft", [{"step": 1, "loss": True, "text": "x", "seconds": 1.0}], {}) == []


def test_reward_model_and_preferences_have_their_place(demo: Path) -> None:
    rng = random.Random(1)
    looks = [{"step": 60, "validation_loss": 0.4, "validation_accuracy": 0.88}]
    steps = [training_line(step, 0.7, rng) for step in range(1, 61)]
    summary = {"seconds": 31.0, "tokens": 1e5, "tokens_per_second": 4e3, "steps": 60, "parameters": 4_952_064}
    measures = {"accuracy": interval(0.932), "accuracy: unknown": interval(0.97), "calibration error": interval(0.031)}
    baselines = {"length alone": interval(0.53)}
    put(demo, "reward", summary | {"measures": measures, "baselines": baselines}, steps + looks)
    more = [step | {"margin": 0.3, "accuracy": 0.8, "kl": 0.01, "length": 12.0} for step in steps]
    put(
        demo,
        "dpo",
        summary | {"measures": {"unknown: wrong": interval(0.04), "test bits per byte": interval(1.7)}},
        more,
    )
    report = write_report(demo, 400.0)
    assert [stage["name"] for stage in report["stages"]] == ["tokenizer", "pretrain", "sft", "reward", "dpo", "grpo"]
    page, text = (demo / "report.html").read_text(), (demo / "report.md").read_text()
    for words in ("it puts 93.2% of held-out pairs in the right order", "is off by 3.1% on average"):
        assert words in page
        assert words in text
    titles = {panel.title for stage in ("reward", "dpo") for panel in panels(stage, steps + looks + more, {})}
    assert {"Held-out pairs", "Margin", "Order", "KL", "Loss"} <= titles
    out = io.StringIO()
    Console(file=out, width=100).print(render_terminal(report))
    assert "Reward model" in out.getvalue()
    assert re.search(r"The better answer above the worse +93\.2%", out.getvalue())
    labels = [row.label for row in reading(report)]  # a table of bits per byte holds nothing else
    assert "After fine-tuning" in labels
    assert "length alone" not in labels
