"""What the examples promise, each over memory and LMDB. Run by tests/python-package/check against the installed wheel."""
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import cache
import jobs
import links
import pytest
import sessions
import telemetry
from starlette.testclient import TestClient

import kivi

FOLDER = Path(__file__).parent


@pytest.fixture(params=["memory", "lmdb"])
def url(request, tmp_path):
    return "memory:" if request.param == "memory" else f"lmdb:{tmp_path}/data.mdb?sync=false"


@pytest.fixture
def store(url):
    with kivi.open(url) as store:
        yield store


def let_end(store, key):
    """Ends the time of a key now."""
    assert store.expire(key, 0.001)
    while key in store:
        time.sleep(0.001)


def test_hello_says_what_it_wrote(url):
    done = subprocess.run([sys.executable, FOLDER / "hello.py", url], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "Ada speaks en and fr",
        "the session ends in 60 seconds; visits: 1",
        "keys: session:9 user:1 visits",
    ]


def test_points_come_back_as_what_they_were(url):
    done = subprocess.run([sys.executable, FOLDER / "points.py", url], capture_output=True, text=True)
    assert done.stderr == ""
    *told, refused = done.stdout.splitlines()
    assert told == [
        "{'x': 1, 'y': 2}",
        "Point(x=1, y=2)",
        "[Point(x=1, y=2), Point(x=3, y=4)]",
    ]
    assert refused.startswith('key "here": value: not a Point')


# -- the cache decorator


def test_a_result_is_computed_once_and_expires(store):
    calls = []

    @cache.cached(store, ttl=60)
    def square(number, *, note=None):
        """Squares."""
        calls.append(number)
        return {"square": number * number}

    assert [square(3), square(3), square(4), square(3, note="other")] == [
        {"square": 9},
        {"square": 9},
        {"square": 16},
        {"square": 9},
    ]
    assert calls == [3, 4, 3]
    assert square.__name__ == "square" and square.__doc__ == "Squares."
    assert 0 < store.ttl(square.key(3)) <= 60
    let_end(store, square.key(3))
    assert square(3) == {"square": 9} and calls == [3, 4, 3, 3]


def test_a_forgotten_result_is_computed_again(store):
    @cache.cached(store, ttl=60)
    def now():
        return time.time_ns()

    first = now()
    assert now() == first
    assert now.forget() is True and now.forget() is False
    assert now() != first


def test_what_a_function_raises_is_not_kept(store):
    answers = [ZeroDivisionError("no"), "yes"]

    @cache.cached(store, ttl=60)
    def ask():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(ZeroDivisionError):
        ask()
    assert ask() == ask() == "yes"


def test_one_caller_computes_and_the_others_wait(store):
    calls = []

    @cache.cached(store, ttl=60)
    def slow():
        calls.append(1)
        time.sleep(0.1)
        return len(calls)

    threads = [threading.Thread(target=slow) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1] and slow() == 1


# -- sessions of a WSGI application


class Browser:
    """Calls a WSGI application and keeps its cookie."""

    def __init__(self, application, scheme="http"):
        self.application = validator(application)
        self.scheme = scheme
        self.cookie = ""
        self.set_cookie = None

    def get(self, path):
        environ = {
            "PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": "", "wsgi.url_scheme": self.scheme
        }  # fmt: skip
        if self.cookie:
            environ["HTTP_COOKIE"] = self.cookie
        setup_testing_defaults(environ)
        answer = {}

        def start_response(status, headers, exc_info=None):
            answer.update(status=status, headers=headers)
            return lambda data: None

        body = self.application(environ, start_response)
        text = b"".join(body).decode()
        body.close()
        cookies = [value for name, value in answer["headers"] if name == "Set-Cookie"]
        self.set_cookie = cookies[0] if cookies else None
        if cookies:
            self.cookie = cookies[0].partition(";")[0]
        return text


def application(environ, start_response):
    session = environ["kivi.session"]
    if environ["PATH_INFO"] == "/login":
        session["user"] = {"name": "ada", "cart": []}
    elif environ["PATH_INFO"] == "/buy":
        session["user"]["cart"].append("tea")
    elif environ["PATH_INFO"] == "/logout":
        session.clear()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr(session.get("user")).encode()]


def test_a_session_lives_from_login_to_logout(store):
    browser = Browser(sessions.Sessions(application, store))
    assert browser.get("/") == "None" and browser.set_cookie is None and len(store) == 0
    browser.get("/login")
    assert "HttpOnly" in browser.set_cookie and "Secure" not in browser.set_cookie
    assert browser.get("/") == "{'name': 'ada', 'cart': []}" and browser.set_cookie is None
    browser.get("/buy")
    assert browser.get("/") == "{'name': 'ada', 'cart': ['tea']}"
    assert Browser(sessions.Sessions(application, store)).get("/") == "None"
    browser.get("/logout")
    assert "Max-Age=0" in browser.set_cookie and len(store) == 0


def test_a_request_lets_the_time_begin_anew_and_idleness_ends_it(store):
    browser = Browser(sessions.Sessions(application, store, idle=1000), "https")
    browser.get("/login")
    assert "; Secure" in browser.set_cookie
    (key,) = store.keys()
    store.expire(key, 100)
    assert browser.get("/") != "None" and 100 < store.ttl(key) <= 1000
    let_end(store, key)
    assert browser.get("/") == "None"


def test_a_token_that_nobody_gave_is_not_taken_up(store):
    browser = Browser(sessions.Sessions(application, store))
    for cookie in ("session=chosen", "session=", "=;;", "a b=c; session"):
        browser.cookie = cookie
        assert browser.get("/") == "None"
    browser.cookie = "session=chosen"
    browser.get("/login")
    assert browser.cookie != "session=chosen" and list(store.keys()) == [
        "session:" + browser.cookie.partition("=")[2]
    ]


# -- the work queue


def test_each_job_is_done_once_by_many_workers(store):
    tasks = [{"number": number} for number in range(60)]
    for task in tasks:
        jobs.Jobs(store).put(task)
    done = []

    def work():
        worker = jobs.Jobs(store)
        while True:
            job = worker.claim()
            if job is None:
                return
            assert worker.finish(job) is True
            done.append(job.task["number"])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == list(range(60))
    assert len(store) == 0


def test_a_job_of_a_dead_worker_goes_to_another(store):
    dead, living = jobs.Jobs(store), jobs.Jobs(store)
    dead.put("report")
    lost = dead.claim()
    assert lost.task == "report" and living.claim() is None
    let_end(store, f"claim:{lost.name}")
    found = living.claim()
    assert found == lost
    assert dead.finish(lost) is False and dead.renew(lost) is False and dead.give_up(lost) is False
    assert living.finish(found) is True and living.finish(found) is False
    assert len(store) == 0


def test_a_lease_is_renewed_and_a_job_given_up(store):
    slow, other = jobs.Jobs(store, lease=1000), jobs.Jobs(store)
    slow.put("first")
    job = slow.claim()
    store.expire(f"claim:{job.name}", 100)
    assert slow.renew(job) is True and 100 < store.ttl(f"claim:{job.name}") <= 1000
    assert other.claim() is None
    assert slow.give_up(job) is True
    assert other.claim() == job


# -- the link shortener on asyncio


@pytest.fixture
def client(url, monkeypatch):
    monkeypatch.setenv("KIVI_URL", url)
    with TestClient(links.app, follow_redirects=False) as client:
        yield client


def test_links_are_followed_and_counted(client):
    made = client.post("/", json={"url": "https://example.org/", "ttl": 3600})
    assert made.status_code == 201
    name = made.json()["name"]
    other = client.post("/", json={"url": "https://example.com/"}).json()["name"]
    for _ in range(3):
        followed = client.get(f"/{name}")
        assert followed.is_redirect and followed.headers["location"] == "https://example.org/"
    assert client.get("/nobody").status_code == 404
    assert sorted(client.get("/").json(), key=lambda link: link["url"]) == [
        {"name": other, "url": "https://example.com/", "followed": 0},
        {"name": name, "url": "https://example.org/", "followed": 3},
    ]


def test_bad_requests_are_told_so(client):
    for body in ("", "[]", "7", '{"link": 1}'):
        assert client.post("/", content=body).status_code == 400
    for ttl in (-1, 0, "soon", [], True):
        assert client.post("/", json={"url": "https://example.org/", "ttl": ttl}).status_code == 400
    assert client.get("/").json() == []


def test_a_store_that_is_away_is_no_fault_of_the_visitor(monkeypatch):
    monkeypatch.setenv("KIVI_URL", "redis://127.0.0.1:1")
    with TestClient(links.app) as client:
        assert client.get("/any").status_code == 503


class Recorder:
    """As much of OpenTelemetry's tracer and meter as the example asks for: what it is told, in lists."""

    def __init__(self):
        self.spans, self.durations, self.repeats = [], [], []

    def start_span(self, name, attributes, start_time):
        def end(end_time):
            self.spans.append((name, attributes, start_time, end_time, threading.get_ident()))

        return SimpleNamespace(end=end)

    def create_histogram(self, name, unit, description):
        assert (name, unit) == ("db.client.operation.duration", "s")
        return SimpleNamespace(record=lambda *told: self.durations.append(told))

    def create_counter(self, name, description):
        return SimpleNamespace(add=lambda *told: self.repeats.append(told))


def test_calls_are_spans_and_durations(url):
    recorder = Recorder()
    before = time.time_ns()
    with kivi.open(url, on_event=telemetry.watch(recorder, recorder)) as store:
        store.set_many({"a": 1, "b": "text"})
        with pytest.raises(kivi.WrongType):
            store.increment("b")
    system = {"db.system.name": store.scheme}
    assert [(name, about) for name, about, *_ in recorder.spans] == [
        (f"set_many {store.scheme}", system | {"db.operation.name": "set_many", "db.operation.batch.size": 2}),
        (f"increment {store.scheme}", system | {"db.operation.name": "increment", "error.type": "WrongType"}),
    ]
    assert all(before <= start <= end <= time.time_ns() for _, _, start, end, _ in recorder.spans)
    assert {thread for *_, thread in recorder.spans} == {threading.get_ident()}
    assert len(recorder.durations) == 2 and all(seconds > 0 for seconds, _ in recorder.durations)


def test_retries_are_counted():
    recorder = Recorder()
    with kivi.open("memory:?fail_rate=0.3&seed=7", on_event=telemetry.watch(recorder, recorder)) as store:
        for i in range(50):
            store[f"k{i}"] = i
    assert {about["kind"] for _, about in recorder.repeats} == {"retry", "reconnect"}
    assert len(recorder.spans) == 50
