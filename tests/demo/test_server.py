# ruff: noqa: F401, F811
import importlib.util
import io
import re
import signal
import socket
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fake_classifier import CATEGORIES, FakeClassifier, tone

from auricle.cli import main
from auricle.demo import server
from auricle.demo.guard import Guard
from auricle.demo.page import Shown
from auricle.demo.sources import Example
from auricle.demo.verdict import detections_over_time
from auricle.errors import MachineError, ModelRefusedError, RefusedError
from auricle.predict.classifier import Classifier
from auricle.predict.formats import short_time
from auricle.predict.stream import predict_windows
from auricle.predict.stretches import Pooling
from bundle_fixtures import bundle, cell, transformer_bundle, transformer_cell
from in_browser import chromium, needs_axe, needs_browser, violations

SHOWN = (
    Shown("cnn", "#0072b2", FakeClassifier(), "90 % of 80 test clips right"),
    Shown("transformer-h2", "#d55e00", FakeClassifier(num_heads=2)),
)
EXAMPLES = (Example("flute", tone(900), 16_000), Example("bass_drum", tone(80), 16_000))
NUM_CLIENTS = 20

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio")
needs_gradio = pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason="Gradio is not installed")


def wav(path: Path, waveform: np.ndarray, rate_hz: int = 16_000) -> Path:
    soundfile.write(path, waveform, rate_hz, subtype="PCM_16")
    return path


def not_a_sound(path: Path) -> None:
    path.write_text("Dear diary, today I renamed a text.\n" * 20)


def truncated(path: Path) -> None:
    whole = wav(path, tone(900)).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


BAD = {
    "renamed": (not_a_sound, "cannot be decoded"),
    "empty": (Path.touch, "empty"),
    "truncated": (truncated, "cut off"),
    "silent": (lambda path: wav(path, np.zeros(16_000)), "silent"),
    "long": (lambda path: wav(path, np.zeros(301 * 8_000), 8_000), "301 s long; at most 5 minutes"),
}


def test_a_verdict_comes_at_once_and_where_the_models_looked_a_moment_later(tmp_path):
    first, second = server.answer(SHOWN, str(wav(tmp_path / "a.wav", tone(900))))
    verdict, details, looked = first
    assert "flute <small>90 %" in verdict
    assert "Both models agree." in verdict
    assert (details.count("<article"), looked) == (2, "")
    assert second[:2] == first[:2]
    assert second[2].count("au-track au-saliency") == 2


def test_a_long_sound_gets_a_time_line_that_says_what_predict_says(bundle, transformer_bundle, tmp_path):
    generator = np.random.default_rng(0)
    sound = np.concatenate([tone(700, 3.0, 4_000), generator.standard_normal(12_000) * 0.1, np.zeros(8_000)])
    path = wav(tmp_path / "a.wav", sound, 4_000)
    one, two = (Shown(str(folder), "#0072b2", Classifier.load(folder)) for folder in (bundle, transformer_bundle))
    ((verdict, details, looked),) = server.answer([one], str(path))
    assert looked == ""
    assert "0:08.0; the table says when" in verdict
    classifier = one.classifier
    pooling = Pooling(
        classifier.categories, classifier.thresholds, classifier.window_s, classifier.model.windowing.hop_s
    )
    expected = pooling.stretches(predict_windows(classifier, path))
    rows = re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td><td>(?:<i [^>]*></i>)?(.*?)</td>", details)
    assert rows == [(short_time(each.start_s), short_time(each.end_s), each.label) for each in expected]
    together, models = detections_over_time([one, two], sound, 4_000)
    assert models == [one, two]
    assert together[-1].end_s == 8.0


def test_a_sound_that_is_taken_away_leaves_the_invitation():
    assert list(server.answer(SHOWN, None)) == [(server.page.render("placeholder"), "", "")]


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_gives_one_message_with_its_name_and_the_reason(kind, tmp_path):
    make, reason = BAD[kind]
    make(tmp_path / f"{kind}.wav")
    ((said, *rest),) = server.answer(SHOWN, str(tmp_path / f"{kind}.wav"))
    assert rest == ["", ""]
    assert 'role="alert"' in said
    assert f"This file cannot be used. {kind}.wav: " in said
    assert reason in said
    assert str(tmp_path) not in said


def test_a_model_that_fails_says_nothing_of_this_computer_to_a_visitor(tmp_path, monkeypatch, capfd):
    def fails(*words):
        raise ModelRefusedError(f"{tmp_path}/network.onnx: no answer")

    monkeypatch.setattr(FakeClassifier, "predict", fails)
    ((said, *_),) = server.answer(SHOWN, str(wav(tmp_path / "a.wav", tone(900))))
    assert "A model failed on this sound" in said
    assert str(tmp_path) not in said
    assert "no answer" in capfd.readouterr().err


def test_a_large_file_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "large.wav").open("wb") as file:
        file.truncate(51_000_000)
    with pytest.raises(RefusedError, match="51 MB; at most 50 MB"):
        server.load_upload(tmp_path / "large.wav")


def test_a_port_in_use_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(MachineError, match=f"127.0.0.1 port {port}: .*in use; choose another with --port"):
            server.free_port("127.0.0.1", port)


def test_a_host_that_is_not_this_machine_is_refused():
    with pytest.raises(MachineError, match=r"192\.0\.2\.1"):
        server.free_port("192.0.2.1", 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def reached(folder):
    """Every address that this process opened a connection to, other than on loopback."""
    outside: list[str] = []
    connect = socket.socket.connect

    def watched(self, address):
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            outside.append(str(address))
        return connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", watched)
        yield outside


@pytest.fixture(scope="module")
def address(folder, reached):
    with server.serving(server.build_demo(SHOWN, EXAMPLES, folder), folder) as address:
        yield address


def ask(address: str, sound: bytes, name: str = "sound.wav") -> str:
    """Upload a sound as a browser does, and return the last answer."""
    import httpx

    with httpx.Client(base_url=f"{address}gradio_api", timeout=60) as client:
        (path,) = client.post("/upload", files={"files": (name, sound)}).raise_for_status().json()
        value = {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": name}
        event = client.post("/call/answer", json={"data": [value]}).raise_for_status().json()["event_id"]
        lines = client.get(f"/call/answer/{event}").raise_for_status().text.splitlines()
    assert "event: complete" in lines
    assert "event: error" not in lines
    return lines[max(place for place, line in enumerate(lines) if line.startswith("data: ["))]


def sound_of(frequency_hz: float) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, tone(frequency_hz), 16_000, format="WAV")
    return file.getvalue()


@needs_gradio
def test_twenty_people_at_once_each_get_their_own_answer(address):
    start = threading.Barrier(NUM_CLIENTS)
    pitches_hz = [(90.0, 900.0, 4_000.0)[place % 3] for place in range(NUM_CLIENTS)]

    def visit(pitch_hz: float) -> str:
        start.wait(timeout=30)
        return ask(address, sound_of(pitch_hz))

    with ThreadPoolExecutor(NUM_CLIENTS) as people:
        answers = list(people.map(visit, pitches_hz))
    for place, answer in enumerate(answers):
        assert f"{CATEGORIES[place % 3].replace('_', ' ')} <small>90 %" in answer
        assert answer.count("au-track au-saliency") == 2


@needs_gradio
def test_the_page_asks_only_its_own_server_and_says_so_to_the_browser(address):
    import httpx

    answer = httpx.get(address)
    assert "connect-src 'self'" in answer.headers["content-security-policy"]


@needs_gradio
def test_uploads_lie_in_the_folder_that_is_removed(address, folder):
    ask(address, sound_of(555.0), "secret.wav")
    assert list((folder / "uploads").rglob("secret.wav"))


@needs_gradio
def test_when_the_demo_ends_nothing_of_it_is_left(monkeypatch, tmp_path, capsys):
    left = []

    def visit():
        ask(capsys.readouterr().out.strip(), sound_of(555.0), "secret.wav")
        left.extend(tmp_path.rglob("secret.wav"))

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("GRADIO_TEMP_DIR", "restored at the end")
    monkeypatch.setattr(server, "wait_until_stopped", visit)
    monkeypatch.setattr("auricle.demo.sources.load_models", lambda *words: list(SHOWN))
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert main(["demo", "bundle", "--port", "0"]) == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    assert left
    assert list(tmp_path.iterdir()) == []


def naming(path: object) -> dict[str, object]:
    return {"data": [{"path": path, "meta": {"_type": "gradio.FileData"}}]}


@needs_gradio
@pytest.mark.parametrize("route", ["call/answer", "queue/join", "run/answer"])
@pytest.mark.parametrize(
    "path",
    ["https://example.com/a.wav", "//example.com/a.wav", "file:///etc/passwd", "/etc/passwd", r"\\host\share",
     "data:audio/wav;base64,UklGRg==", "a.wav", "uploads/../../../etc/passwd", "a\0b", "", None, 5, ["https://a"]],
    ids=str,
)  # fmt: skip
def test_only_files_that_were_uploaded_here_can_be_named(address, route, path, monkeypatch, capfd):
    import httpx

    asked: list[object] = []
    look_up = socket.getaddrinfo

    def watched(host, *words, **options):
        asked.append(host)
        return look_up(host, *words, **options)

    monkeypatch.setattr(socket, "getaddrinfo", watched)
    with httpx.Client(base_url=f"{address}gradio_api/") as client:
        answer = client.post(route, json={**naming(path), "fn_index": 0, "session_hash": "x"})
    assert answer.status_code == 403
    assert "uploaded here" in answer.json()["detail"]
    assert set(asked) <= {"127.0.0.1"}
    assert capfd.readouterr().err == ""


@needs_gradio
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:1"}, 200),
        ({"host": "[::1]:7860"}, 200),
        ({"host": "evil.example"}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"host": "192.168.1.5"}, 403),
        ({"host": ""}, 403),
        ({"host": "localhost", "origin": "http://localhost"}, 200),
        ({"host": "localhost", "origin": "http://localhost:3000"}, 403),
        ({"host": "localhost", "origin": "https://evil.example"}, 403),
        ({"host": "localhost", "origin": "null"}, 403),
    ],
)
def test_a_request_names_this_server_and_comes_from_its_own_page(address, headers, status):
    import httpx

    answer = httpx.get(f"{address}config", headers=headers)
    assert answer.status_code == status
    assert "connect-src 'self'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("host", "names", "asked", "is_ours"),
    [
        ("0.0.0.0", (), "192.168.1.5:7860", True),
        ("0.0.0.0", (), "evil.example", False),
        ("0.0.0.0", ("Lab.example",), "lab.EXAMPLE:80", True),
        ("0.0.0.0", ("lab.example:7860",), "lab.example:7860", True),
        ("0.0.0.0", ("",), "", False),
        ("lab.example", (), "lab.example", True),
        ("127.0.0.1", (), "[", False),
    ],
)
def test_on_a_network_an_address_or_a_name_that_the_user_gives_is_ours(host, names, asked, is_ours, tmp_path):
    guard = Guard(print, (host, *names), host in server.LOOPBACK, tmp_path)
    assert guard._is_ours(asked) == is_ours


@needs_gradio
@pytest.mark.parametrize(
    "body",
    [{"data": []}, {"data": [5]}, {"data": ["https://example.com"]}, {"data": [[]]}, {}, [], {"data": {}}],
    ids=str,
)  # fmt: skip
def test_no_traceback_reaches_client_or_terminal(address, body, capfd):
    import httpx

    with httpx.Client(base_url=f"{address}gradio_api/", timeout=30) as client:
        answer = client.post("call/answer", json=body)
        shown = answer.text
        if "event_id" in shown:
            shown += client.get(f"call/answer/{answer.json()['event_id']}").text
        for route in ("call/no-such", "queue/join", "run/no-such"):
            shown += client.post(route, json={"data": [], "fn_index": 99, "session_hash": "x"}).text
        shown += client.get("call/answer/no-such").text
        shown += client.post("call/answer", content=b"[" * 100_000).text
    err = capfd.readouterr().err
    assert "Traceback" not in shown + err
    assert all(line.startswith("auricle: a request could not be answered: ") for line in err.splitlines())


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def seen():
    return {"requests": [], "complaints": []}


@pytest.fixture(scope="module")
def web_page(browser, address, seen):
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(60_000)
    page.on("request", lambda request: seen["requests"].append(request.url))
    page.on("console", lambda said: seen["complaints"].append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: seen["complaints"].append(str(error)))
    page.goto(address)
    page.wait_for_selector("#verdict .au-empty")
    return page


@needs_gradio
@needs_browser
class TestInABrowser:
    def test_it_loads_without_an_error(self, web_page, seen):
        assert "bass drum, flute, whistle" in web_page.inner_text(".au-head")
        assert seen["complaints"] == []

    def test_an_uploaded_clip_gives_the_right_class_and_its_pictures(self, web_page, tmp_path):
        web_page.set_input_files("input[type=file]", wav(tmp_path / "high.wav", tone(4_000)))
        web_page.wait_for_selector(".au-saliency", state="attached")
        assert web_page.inner_text("#verdict .au-verdict") == "whistle 90 %"
        assert web_page.get_attribute("#verdict", "aria-live") == "polite"
        assert [fold.is_visible() for fold in web_page.locator("article, .au-saliency").all()] == [False] * 4
        for fold in web_page.locator("summary").all():
            fold.click()
        assert web_page.locator("article .au-verdict").all_inner_texts() == ["whistle 90 %"] * 2
        left = {
            kind: web_page.locator(f".au-{kind}").first.bounding_box()
            for kind in ("wave", "spectrum", "saliency", "strip")
        }
        assert len({(box["x"], box["width"]) for box in left.values()}) == 1, "tracks share one axis of time"
        assert min(box["height"] for box in left.values()) > 5

    @pytest.mark.parametrize("kind", ["renamed", "empty", "silent"])
    def test_a_bad_file_gives_a_message_and_the_page_lives_on(self, web_page, kind, tmp_path):
        bad = tmp_path / f"{kind}.wav"
        BAD[kind][0](bad)
        clear(web_page)
        web_page.set_input_files("input[type=file]", bad)
        web_page.wait_for_selector("#verdict .au-message")
        assert BAD[kind][1] in web_page.inner_text("#verdict")
        web_page.get_by_text("flute", exact=True).first.click()
        web_page.wait_for_selector(".au-saliency", state="attached")
        assert "flute" in web_page.inner_text("#verdict")

    @needs_axe
    def test_it_is_accessible_with_all_that_is_folded_open(self, web_page):
        web_page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
        assert violations(web_page) == []

    def test_a_narrow_page_does_not_scroll_sideways(self, web_page):
        web_page.set_viewport_size({"width": 390, "height": 844})
        assert web_page.evaluate("document.documentElement.scrollWidth") <= 390

    def test_nothing_left_this_machine(self, web_page, address, seen, reached):
        assert len(seen["requests"]) > 5
        assert [url for url in seen["requests"] if not url.startswith((address, "data:", f"blob:{address}"))] == []
        assert reached == []


def clear(web_page):
    if web_page.get_by_label("Clear").count():  # a file is there
        web_page.get_by_label("Clear").first.click()
    web_page.wait_for_selector("#verdict .au-empty")


@needs_gradio
@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_an_ipv6_address_is_served(tmp_path):
    with server.serving(server.build_demo(SHOWN, (), tmp_path), tmp_path, host="::1") as address:
        assert address.startswith("http://[::1]:")
