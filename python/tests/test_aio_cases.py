"""The cases of every call, through kivi.aio: the same functions, on stores that answer to an event loop."""
import asyncio
import inspect

import pytest

import aio_adapter
import kivi
import kivi.aio
import test_calls

# Cases of their own in test_aio.py: kivi.aio.copy(), and a function that itself calls the store.
_OWN_WAY = {"test_copy", "test_copy_that_is_ended_goes_on", "test_update_key_again_after_another_write"}

for _name, _case in vars(test_calls).items():
    if _name.startswith("test_") and _name not in _OWN_WAY and "store" in inspect.signature(_case).parameters:
        globals()[_name] = _case


def test_all_cases_are_here():
    shared = [name for name in globals() if name.startswith("test_") and hasattr(test_calls, name)]
    assert len(shared) >= 20 and {"test_apply", "test_increment", "test_versions"} <= set(shared)


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request):
    if request.param == "uvloop":
        import uvloop

        loop = uvloop.new_event_loop()
    else:
        loop = asyncio.new_event_loop()
    yield loop
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


@pytest.fixture
def store(url, loop):
    async def start():
        return await kivi.aio.open(url)

    store = aio_adapter.Store(loop, loop.run_until_complete(start()))
    yield store
    try:
        store.clear(all=True)
    except kivi.Closed:
        pass
    store.close()
