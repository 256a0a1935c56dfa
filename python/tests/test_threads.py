"""Threads, forks, signals: what happens around a call that waits."""
import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
import rows

import kivi
import kivi.aio


def run_threads(count, work):
    raised = []

    def guarded(i):
        try:
            work(i)
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not raised, raised
    assert not any(thread.is_alive() for thread in threads)


def test_threads_share_a_store(store):
    def work(i):
        for n in range(100):
            store[f"k{i}"] = {"n": n}
            assert store[f"k{i}"] == {"n": n}
            store.increment("count")
            store.get_many([f"k{j}" for j in range(8)])

    run_threads(8, work)
    assert store["count"] == 800 and len(store) == 9


def test_update_key_by_many_threads(store):
    run_threads(6, lambda i: [store.update_key("k", lambda now: (now or 0) + 1, timeout=30) for _ in range(30)])
    assert store["k"] == 180


def test_get_or_set_computes_once(store):
    calls, answers = [], []

    def compute():
        calls.append(1)
        time.sleep(0.1)
        return len(calls)

    run_threads(8, lambda i: answers.append(store.get_or_set("k", compute)))
    assert calls == [1] and answers == [1] * 8


def test_get_or_set_that_fails_fails_for_those_who_waited(store):
    calls, failures = [], []

    def compute():
        calls.append(1)
        time.sleep(0.5)
        raise LookupError("first")

    def work(i):
        try:
            store.get_or_set("k", compute)
        except LookupError as error:
            failures.append(error)

    run_threads(6, work)
    assert len(failures) == 6 and len(calls) < 6
    assert len(set(map(id, failures))) == len(calls) and all(error.args == ("first",) for error in failures)
    assert store.get_or_set("k", lambda: 7) == 7


def test_a_slow_store_delays_no_other(silent, tmp_path):
    """A thread waits for a server that is silent; the others go on."""
    slow, fast = kivi.open(silent), kivi.open(f"lmdb:{tmp_path}/fast.mdb?sync=false")
    began, done = time.monotonic(), []

    def wait():
        with pytest.raises(kivi.Timeout):
            slow.get("k", timeout=2)
        done.append(time.monotonic() - began)

    waiting = threading.Thread(target=wait)
    waiting.start()
    for i in range(2000):
        fast[f"k{i}"] = i
        assert fast[f"k{i}"] == i
    assert not done
    waiting.join()
    assert done and done[0] >= 1.9


def test_close_ends_calls_in_flight(silent):
    store, ended = kivi.open(silent), []

    def work():
        try:
            store.get("k", timeout=30)
        except kivi.Closed as error:
            ended.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    store.close()
    for thread in threads:
        thread.join(5)
    assert len(ended) == 4


# ---- signals


def script(text, *arguments, **how):
    # Whoever runs the tests in the background may have SIGINT ignored, which children inherit.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n" + textwrap.dedent(text)
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how
    )


WAITS = {
    "get": "store.get('k', timeout=30)",
    "set": "store.set('k', 1, timeout=30)",
    "get_many": "store.get_many(['a', 'b'], timeout=30)",
    "scan": "list(store.scan(timeout=30))",
    "update": "store.update_key('k', lambda now: 1, timeout=30)",
}


@pytest.mark.parametrize("call", WAITS)
def test_ctrl_c_ends_a_waiting_call(silent, call):
    child = script(
        f"""
        import sys, time, kivi
        store = kivi.open(sys.argv[1])
        print("waiting", flush=True)
        began = time.monotonic()
        try:
            {WAITS[call]}
        except KeyboardInterrupt:
            print("interrupted")
        """,
        silent,
    )
    assert child.stdout.readline() == "waiting\n"
    time.sleep(0.3)
    began = time.monotonic()
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=20)
    assert out == "interrupted\n", err
    assert time.monotonic() - began < 5 and child.returncode == 0


@pytest.fixture
def held_file(tmp_path):
    """A path where an LMDB store cannot be made for the moment: as if another process were opening it."""
    path = tmp_path / "held.mdb"
    with open(f"{path}-kivi", "wb") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        yield path


OPENINGS = {
    "kivi": "kivi.open('lmdb:' + sys.argv[1], timeout=60)",
    "aio": "asyncio.run(aio_open('lmdb:' + sys.argv[1], timeout=60))",
}


@pytest.mark.parametrize("opening", OPENINGS)
def test_ctrl_c_ends_an_opening_that_waits(held_file, opening):
    child = script(
        f"""
        import asyncio, sys, kivi, kivi.aio

        async def aio_open(*arguments, **options):
            await kivi.aio.open(*arguments, **options)

        try:
            {OPENINGS[opening]}
        except KeyboardInterrupt:
            print("interrupted")
        """,
        str(held_file),
    )
    while not held_file.exists() and child.poll() is None:
        time.sleep(0.01)
    began = time.monotonic()
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=90)
    assert out == "interrupted\n", err
    assert time.monotonic() - began < 20 and child.returncode == 0
    assert not held_file.exists()  # what the opening made is taken back


def test_an_opening_that_nobody_awaits_any_more_ends(held_file):
    async def run():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(kivi.aio.open(f"lmdb:{held_file}", timeout=60), 0.2)

    began = time.monotonic()
    asyncio.run(run())  # waits for the thread that opens
    assert time.monotonic() - began < 20


def test_a_signal_handler_runs_and_the_opening_goes_on(held_file):
    seen = []
    old = signal.signal(signal.SIGALRM, lambda *_: seen.append(time.monotonic()))
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
    try:
        began = time.monotonic()
        # The lock is this process's own: it stands in the way of its own opening as well.
        with pytest.raises(kivi.Timeout):
            kivi.open(f"lmdb:{held_file}", timeout=0.6)
        assert time.monotonic() - began >= 0.59 and len(seen) >= 3
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def test_a_signal_handler_runs_and_the_call_goes_on(silent):
    seen = []
    store = kivi.open(silent)
    old = signal.signal(signal.SIGALRM, lambda *_: seen.append(time.monotonic()))
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
    try:
        began = time.monotonic()
        with pytest.raises(kivi.Timeout):
            store.get("k", timeout=0.6)
        assert time.monotonic() - began >= 0.59 and len(seen) >= 3
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def test_what_a_signal_handler_raises_ends_the_call(silent):
    class Enough(Exception):
        pass

    def enough(*_):
        raise Enough

    store = kivi.open(silent)
    old = signal.signal(signal.SIGALRM, enough)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with pytest.raises(Enough):
            store.get("k", timeout=30)
    finally:
        signal.signal(signal.SIGALRM, old)


# ---- forks


def in_child(work):
    """The exit status of a forked child: 0 where `work` returned."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def expect_forked(store, url):
    """A child is told at once, whatever it opens; its parent notices nothing."""

    def child():
        with pytest.raises(kivi.Forked):
            store.get("k")
        with pytest.raises(kivi.Forked), kivi.open(url) as own:
            own.get("k")

    store["k"] = 1
    assert in_child(child) == 0 and in_child(child) == 0
    store["k"] = 2
    assert store["k"] == 2


def test_a_forked_child_uses_the_store(store, url):
    if store.scheme in rows.CHILDLESS:
        expect_forked(store, url)
        return
    store["k"] = {"from": "parent"}
    private = store.scheme == "memory"

    def child():
        assert store["k"] == {"from": "parent"}
        for i in range(50):
            store[f"c{i}"] = i
        assert store.get_many([f"c{i}" for i in range(50)])["c49"] == 49

    assert in_child(child) == 0 and in_child(child) == 0
    assert store["k"] == {"from": "parent"} and len(store) == (1 if private else 51)


def test_forking_while_threads_call(store):
    stop, raised = threading.Event(), []

    def work():
        try:
            while not stop.is_set():
                store.increment("n")
                store.get("n")
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()

    def child():
        if store.scheme in rows.CHILDLESS:
            with pytest.raises(kivi.Forked):
                store.get("n")
            return
        for _ in range(20):
            store["child"] = store.get("n")

    try:
        assert [in_child(child) for _ in range(5)] == [0] * 5
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not raised


def test_preforked_workers(url):
    """As gunicorn does: opened before the fork, used by workers at the same time."""
    childless = url.partition(":")[0] in rows.CHILDLESS
    if url == "memory:":
        url = "memory:?sweep=0"  # private to each worker: they only must not disturb one another
    child = script(
        """
        import multiprocessing, sys, kivi
        store = kivi.open(sys.argv[1])
        store["n"] = 0

        def work(i):
            try:
                for _ in range(100):
                    store.increment("n")
                return store["n"]
            except kivi.Forked:
                return 100 if store.scheme in sys.argv[2:] else 0

        with multiprocessing.get_context("fork").Pool(4) as pool:
            counts = pool.map(work, range(4), chunksize=1)
        print(store["n"], store.scheme, all(count >= 100 for count in counts))
        store.clear(all=True)
        """,
        url,
        *rows.CHILDLESS,
    )
    out, err = child.communicate(timeout=60)
    count = "0" if childless or url.startswith("memory") else "400"
    assert out.split()[0] == count and out.split()[2] == "True", (out, err)


# ---- the interpreter


def test_ends_with_a_thread_waiting(silent):
    """A daemon thread that waits when the interpreter ends does not hold it up."""
    child = script(
        """
        import sys, threading, time, kivi
        store = kivi.open(sys.argv[1])
        threading.Thread(target=lambda: store.get("k", timeout=30), daemon=True).start()
        time.sleep(0.3)
        print("done")
        """,
        silent,
    )
    out, err = child.communicate(timeout=20)
    assert out == "done\n" and child.returncode == 0, err


def test_a_second_interpreter_is_refused():
    child = script(
        """
        import sys
        try:
            import _xxsubinterpreters as interpreters
        except ImportError:
            import _interpreters as interpreters
        if "first" in sys.argv:
            import kivi
        made = interpreters.create()
        said = None
        code = f"import sys; sys.path[:] = {sys.path!r}\\ntry:\\n import kivi\\nexcept ImportError as e:\\n print('refused:', e)"
        said = interpreters.run_string(made, code)
        print("said", said, flush=True)
        """,
        "alone",
    )
    out, err = child.communicate(timeout=20)
    assert "refused:" in out, (out, err)


def test_a_second_interpreter_is_refused_after_the_first():
    child = script(
        """
        import kivi, sys
        try:
            import _xxsubinterpreters as interpreters
        except ImportError:
            import _interpreters as interpreters
        made = interpreters.create()
        code = f"import sys; sys.path[:] = {sys.path!r}\\ntry:\\n import kivi\\nexcept ImportError as e:\\n print('refused:', e)"
        interpreters.run_string(made, code)
        store = kivi.open("memory:")
        store["a"] = 1
        print("first goes on", store["a"], flush=True)
        """
    )
    out, err = child.communicate(timeout=20)
    assert "refused:" in out and "first goes on 1" in out, (out, err)
