"""lua/examples/nginx, started by its own command: sessions and the limiter, on both stores."""
import http.client
import os
import signal
import subprocess

from world import HERE, WAIT, children, equal, free_port, true, wait_for

EXAMPLE = HERE.parents[1] / "lua" / "examples" / "nginx"


class Example:
    def __init__(self, world):
        self.port = free_port()
        self.folder = world.folder / "example"
        environment = dict(world.environment, PORT=str(self.port))
        for name in ("KIVI_REDIS", "KIVI_LMDB"):
            environment.pop(name)
        self.process = subprocess.Popen([str(EXAMPLE / "start"), str(self.folder)],
                                        env=environment, stdout=subprocess.DEVNULL)
        wait_for("the example", self.answers)

    def __enter__(self):
        return self

    def __exit__(self, *reason):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(WAIT)

    def log(self):
        """The end of what nginx said, where it tells why a call failed."""
        return "".join((self.folder / "logs" / "error.log").read_text().splitlines(keepends=True)[-5:])

    def answers(self):
        true(self.process.poll() is None, "the example ended")
        try:
            return self.get("/health")[0] == 200
        except OSError:
            return False

    def get(self, path, cookie=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)
        connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response.status, body, dict(response.getheaders())


def case_sessions(world):
    with Example(world) as example:
        for store in ("redis", "lmdb"):
            status, body, headers = example.get(f"/{store}/login?user=ann")
            equal((status, body), (200, "hello ann\n"), f"login on {store}")
            cookie = headers["Set-Cookie"].split(";")[0]
            for visit in range(1, 7):
                status, body, _ = example.get(f"/{store}/me", cookie)
                equal(status, 200, f"visit {visit} on {store}")
                true(body.startswith(f"ann, visit {visit}, worker "), f"visit {visit} on {store}: {body}")
            equal(example.get(f"/{store}/me")[0], 401, "without a cookie")
            equal(example.get(f"/{store}/me", "session=" + "0" * 32)[0], 401, "with a false one")
            equal(example.get(f"/{store}/logout", cookie)[1], "bye\n", "logout")
            equal(example.get(f"/{store}/me", cookie)[0], 401, "after logout")
            equal(example.get(f"/{store}/login")[0], 400, "login of nobody")


def case_the_limiter(world):
    with Example(world) as example:
        for store in ("redis", "lmdb"):
            statuses = [example.get(f"/{store}/me")[0] for _ in range(25)]
            equal(statuses, [401] * 20 + [429] * 5, f"25 requests on {store}")
            status, _, headers = example.get(f"/{store}/login?user=ann")
            equal((status, headers["Retry-After"]), (429, "10"), "a login over the limit")


def case_the_limiter_under_64_connections(world):
    """Within one window exactly twenty pass, however many workers and connections there are."""
    with Example(world) as example:
        for store in ("redis", "lmdb"):
            load = world.wrk(f"/{store}/me", 2, port=example.port)
            statuses = load.end()
            equal(set(statuses), {401, 429}, f"statuses on {store}: {statuses}\n{example.log()}")
            equal(statuses[401], 20, f"requests that passed on {store}")
            true(statuses[429] > 100, f"hardly any request: {statuses}")


def case_nothing_of_it_is_left(world):
    with Example(world) as example:
        pid = example.process.pid
        started = children(pid)
        equal(len(started), 2, "children: nginx and Redis")
    wait_for("its children to end", lambda: not any(os.path.exists(f"/proc/{child}") for child in started))
