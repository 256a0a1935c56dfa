"""Django's own BaseCacheTests on kivi.contrib.django, in the place that KIVI_DJANGO_LOCATION names."""
import os

from cache.tests import BaseCacheTests, caches_setting_for_tests
from django.core.cache import cache, caches
from django.test import TestCase, override_settings

import kivi

PARAMS = {
    "BACKEND": "kivi.contrib.django.KiviCache",
    "LOCATION": os.environ["KIVI_DJANGO_LOCATION"],
    "OPTIONS": {"namespace": f"django-{os.getpid()}"},
}


# Nothing is culled: keys go when their time is over.
@override_settings(CACHES=caches_setting_for_tests(base=PARAMS, exclude={"cull", "zero_cull"}))
class KiviCacheTests(BaseCacheTests, TestCase):
    def tearDown(self):
        super().tearDown()
        caches["default"].clear()

    def test_it_is_kivi(self):
        self.assertIsInstance(cache.store, kivi.Store)
        cache.set("n", 5)
        self.assertEqual(cache.store.get(cache.make_key("n")), 5)

    def test_a_store_is_shared_and_opened_again(self):
        store = cache.store
        self.assertIs(caches["prefix"].store, store)
        store.close()
        self.assertIsNot(caches["default"].store, store)
