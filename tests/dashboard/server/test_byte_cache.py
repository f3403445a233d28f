"""The bounded store of bytes."""

from __future__ import annotations

from dashboard.server.byte_cache import ByteCache


def test_what_was_used_longest_ago_goes_first():
    cache = ByteCache(limit_bytes=30)
    first, second = cache.put(b"1" * 10), cache.put(b"2" * 10)
    cache.get(first)
    third = cache.put(b"3" * 15)
    assert cache.get(second) is None and cache.get(first) and cache.get(third)


def test_what_alone_is_too_large_is_kept_until_the_next():
    cache = ByteCache(limit_bytes=10)
    large = cache.put(b"x" * 50)
    assert cache.get(large) is not None
    cache.put(b"y")
    assert cache.get(large) is None


def test_things_are_made_once():
    cache, made = ByteCache(100), []
    for _ in range(3):
        assert cache.get_or_make("k", lambda: made.append(1) or b"v") == b"v"
    assert made == [1]


def test_keys_of_two_caches_differ_for_the_same_bytes():
    assert ByteCache(10).put(b"same") != ByteCache(10).put(b"same")
