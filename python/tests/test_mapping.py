"""A store as a MutableMapping."""
import collections.abc
import copy
import gc
import pickle
import weakref

import pytest

import kivi


def test_is_a_mutable_mapping(store):
    assert isinstance(store, collections.abc.MutableMapping)
    names = [name for name in dir(collections.abc.MutableMapping) if not name.startswith("_")]
    names += ["__getitem__", "__setitem__", "__delitem__", "__iter__", "__len__", "__contains__", "__eq__"]
    assert [name for name in names if not callable(getattr(store, name))] == []


def test_items_of_a_dict(store):
    store["a"] = 1
    store[b"b"] = 2
    assert store["a"] == 1 and store[b"a"] == 1 and store["b"] == 2
    assert "a" in store and b"b" in store and "c" not in store
    assert len(store) == 2
    assert sorted(store) == ["a", "b"]
    assert dict(store) == {"a": 1, "b": 2}
    del store["a"]
    assert sorted(store.items()) == [("b", 2)]
    assert list(store.values()) == [2]


def test_missing_keys_raise_key_error(store):
    with pytest.raises(KeyError) as caught:
        store["nobody"]
    assert isinstance(caught.value, kivi.NotFound)
    assert str(caught.value) == "no key 'nobody'"
    assert caught.value.args == ("nobody",) and caught.value.status == "NOT_FOUND"
    with pytest.raises(kivi.NotFound):
        del store["nobody"]
    with pytest.raises(KeyError):
        store.pop("nobody")
    with pytest.raises(KeyError):
        store.popitem()


def test_get_and_its_default(store):
    store["none"] = None
    default = object()
    assert store.get("none", default) is None
    assert store.get("nobody", default) is default
    assert store.get("nobody") is None
    assert store.get(key="nobody", default=3) == 3


def test_pop_popitem_setdefault_update(store):
    store.update({"a": 1}, b=2)
    store.update([("c", 3)])
    store.update()
    assert store.pop("a") == 1 and store.pop("a", 7) == 7
    assert store.setdefault("b", 9) == 2 and store.setdefault("d", 4) == 4
    taken = dict(store.popitem() for _ in range(3))
    assert taken == {"b": 2, "c": 3, "d": 4} and len(store) == 0


def test_is_true_and_itself(store, open_store):
    other = open_store()
    assert store and not len(store)
    assert store == store and store != other and store == {}
    assert len({store, other}) == 2


def test_keys_come_back_as_text_or_bytes(store):
    for key in ["plain", "ключ", b"\xff\x00", "new\nline", " "]:
        store[key] = 1
    assert set(store) == {"plain", "ключ", b"\xff\x00", "new\nline", " "}


def test_key_type_bytes(open_store):
    store = open_store(key_type=bytes)
    store["plain"] = 1
    assert list(store) == [b"plain"]
    with pytest.raises(KeyError) as caught:
        store["x"]
    assert caught.value.args == (b"x",)


@pytest.mark.parametrize("key", [1, True, None, 1.5, ("a",), bytearray(b"a")])
def test_other_keys_are_type_errors(memory, key):
    for call in (memory.get, memory.exists, memory.delete, memory.increment, memory.__getitem__):
        with pytest.raises(TypeError, match="a key is str or bytes, not"):
            call(key)
    with pytest.raises(TypeError):
        memory[key] = 1
    with pytest.raises(TypeError):
        key in memory


def test_keys_that_are_no_keys(store):
    for key in ("", b""):
        with pytest.raises(kivi.Invalid):
            store[key]
    with pytest.raises(ValueError, match="surrogates"):
        store["\ud800"]
    with pytest.raises(kivi.TooLarge):
        store["\0" * (store.capabilities()["max_key_plain"] + 1)] = 1


def test_subclasses_of_text_are_keys(memory):
    class Name(str):
        pass

    memory[Name("a")] = 1
    assert memory["a"] == 1


def test_context_manager_closes(url):
    with kivi.open(url) as store:
        store["a"] = 1
        store.clear(all=True)
    with pytest.raises(kivi.Closed) as caught:
        store["a"]
    assert isinstance(caught.value, ValueError)
    store.close()


def test_weak_references_and_garbage(memory):
    store = kivi.open("memory:", default=lambda value: holder)
    holder = [store]
    gone = weakref.ref(store)
    del store
    holder.append(holder)
    del holder
    gc.collect()
    assert gone() is None


def test_repr_without_secrets():
    store = kivi.open("redis://user:secret-word@localhost:1/0")
    assert "secret-word" not in repr(store) and "redis://" in repr(store)
    assert repr(kivi.open("memory:")) == "<kivi.Store memory:>"


def test_pickling_and_copying_are_refused(memory):
    for refuse in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="open its URL where it is needed"):
            refuse(memory)


def test_a_store_comes_from_open():
    with pytest.raises(TypeError, match="open"):
        kivi.Store()


def test_no_attributes_by_mistake(memory):
    with pytest.raises(AttributeError):
        memory.timeout = 5


def test_argument_errors_are_those_of_python(memory):
    for call, text in [
        (lambda: memory.set("a"), "missing required argument: 'value'"),
        (lambda: memory.get("a", 1, 2), "at most 2 positional"),
        (lambda: memory.get("a", wrong=2), "unexpected keyword argument 'wrong'"),
        (lambda: memory.get("a", key="a"), "multiple values for argument 'key'"),
        (lambda: memory.set("a", 1, 5), "at most 2 positional"),
        (lambda: memory.delete_many("abc"), "keys are needed, not one str"),
        (lambda: memory.set_many(["ab"]), "a key is str|pairs"),
        (lambda: memory.increment("a", 1.5), "an int is needed"),
        (lambda: memory.increment("a", True), "an int is needed"),
        (lambda: memory.set("a", 1, ttl="5"), "ttl is a number of seconds"),
        (lambda: memory.set("a", 1, ttl=True), "ttl is a number of seconds"),
        (lambda: memory.get("a", timeout=[]), "timeout is a number of seconds"),
        (lambda: memory.update_key("a", 5), "a function is needed"),
        (lambda: kivi.open("memory:", default=5), "default= is a function"),
        (lambda: kivi.open("memory:", key_type=int), "key_type= is str or bytes"),
        (lambda: kivi.open("memory:", timeout=[]), "option timeout"),
        (lambda: kivi.copy(memory, 5), "a kivi.Store is needed"),
    ]:
        if text == "a key is str|pairs":
            assert call() is None and memory["a"] == "b"  # a pair like any other iterable of two
            continue
        with pytest.raises(TypeError, match=text):
            call()
