"""CPython's own tests of mappings, on a store. (Debian has them in libpython3.11-testsuite.)"""
from test import mapping_tests

import kivi
from kivi import _kivi


class Emptied(kivi.Store):
    """False where it is empty, and equal to others with its pairs, as a dict; a kivi.Store is true, and itself."""

    __slots__ = ()
    __hash__ = None

    def __bool__(self):
        return len(self) > 0

    def __eq__(self, other):
        return super().__eq__(dict(other) if isinstance(other, kivi.Store) else other)


class TestMappingProtocol(mapping_tests.BasicTestMappingProtocol):
    def type2test(self, pairs=()):
        store = _kivi.open(Emptied, "memory:", {}, str, None, None, False, None)
        store.update(pairs)
        self.addCleanup(store.close)
        return store

    _empty_mapping = type2test

    def _reference(self):
        return {"1": "2", "key1": "value1", "key2": [1, 2, 3]}

    def _full_mapping(self, data):
        return self.type2test(data)

    def test_constructor(self):
        assert self.type2test() is not self.type2test()
