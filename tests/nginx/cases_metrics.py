"""What stores count, as Prometheus reads it."""
import re

from world import equal, true, wait_for

LINE = re.compile(r'([a-z_]+)\{((?:[a-z]+="(?:[^"\\]|\\.)*",?)+)\} ([0-9.e+-]+)')


def read(world):
    """Samples by name and labels; everything else of the text is checked."""
    text, samples, kinds, family = world.good("/metrics") + "\n", {}, {}, None
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, family, kind = line.split(" ")
            true(family not in kinds, f"{family} stands in two places")
            kinds[family] = kind
        elif not line.startswith("# HELP "):
            match = LINE.fullmatch(line)
            true(match, f"a line that Prometheus does not read: {line}")
            true(re.sub("_(bucket|count)$", "", match[1]) == family, f"{match[1]} stands under {family}")
            labels = dict(re.findall(r'([a-z]+)="((?:[^"\\]|\\.)*)"', match[2]))
            samples[match[1], labels["store"], labels["worker"], labels.get("outcome"), labels.get("le")] = float(match[3])
    equal(kinds["kivi_call_duration_seconds"], "histogram", "the kind of latencies")
    equal(kinds["kivi_lanes"], "gauge", "the kind of lanes")
    return samples


def total(samples, name, store, outcome=None, le=None):
    return sum(value for key, value in samples.items() if (key[0], key[1], *key[3:]) == (name, store, outcome, le))


def case_metrics_count_what_is_done(world):
    world.start()
    before = read(world)
    for _ in range(30):
        world.good("/set/redis")
        world.get("/get/redis")
    world.good("/leave_many/redis")
    wait_for("their end", lambda: world.waiting() == 0)
    after = read(world)

    def grew(*what):
        return total(after, *what) - total(before, *what)
    equal(grew("kivi_keys_written_total", "redis"), 40, "keys written")
    equal(grew("kivi_keys_read_total", "redis"), 30, "keys read")
    equal(grew("kivi_unwaited_total", "redis", "done"), 10, "writes that nobody waited for")
    equal(grew("kivi_call_duration_seconds_count", "redis"), 70, "latencies")
    equal(total(after, "kivi_call_duration_seconds_bucket", "redis", None, "+Inf"),
          total(after, "kivi_call_duration_seconds_count", "redis"), "the last bucket")
    steps = [value for key, value in after.items() if key[:2] == ("kivi_call_duration_seconds_bucket", "redis")]
    equal(steps, sorted(steps), "buckets, which count up")
    equal(grew("kivi_keys_written_total", "lmdb"), 0, "keys written to another store")
    true(total(after, "kivi_calls_total", 'a \\"b\\"') > 0, "a store whose name is escaped")


def case_metrics_of_all_workers(world):
    world.start(workers=3)
    wait_for("all of them", lambda: {key[2] for key in read(world)} == {"0", "1", "2"})
    before = total(read(world), "kivi_keys_written_total", "redis")
    for _ in range(60):
        world.good("/set/redis")
    wait_for("what was done, whoever did it",
             lambda: total(read(world), "kivi_keys_written_total", "redis") == before + 60)
