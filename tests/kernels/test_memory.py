"""Buffers come back when nobody holds them, never before, from any thread."""

import threading

import numpy as np

from psgd_ref.kernels.memory import Pool


def address(a):
    return a.__array_interface__["data"][0]


def test_memory_is_used_again_when_the_last_view_dies():
    pool = Pool()
    a = pool.empty((300, 300))
    view, first = a[3:, ::2].T, address(a)
    del a
    assert address(pool.empty((300, 300))) != first  # a view still holds it
    del view
    assert address(pool.empty((299, 301))) == first
    assert pool.created_bytes < 3 * 300 * 300 * 4


def test_arrays_are_aligned_and_of_the_asked_kind():
    pool = Pool()
    held = [
        pool.empty((n, 7), dtype)
        for n in (1, 10, 1000, 50_000)
        for dtype in (np.float32, np.int32, np.float64)
    ]
    for a in held:
        assert a.flags.c_contiguous
        assert a.flags.writeable
        assert a.nbytes < 1 << 17 or address(a) % 64 == 0
    for i, a in enumerate(held):
        a.fill(i)
    assert all((a == i).all() for i, a in enumerate(held))


def test_no_two_threads_get_the_same_memory():
    pool, wrong = Pool(), []

    def work(mark):
        for _ in range(300):
            a = pool.empty((50_000,))
            a.fill(mark)
            b = pool.empty((50_000,))
            b.fill(-mark)
            if not ((a == mark).all() and (b == -mark).all()):
                wrong.append(mark)

    threads = [threading.Thread(target=work, args=(mark,)) for mark in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert pool.created_bytes <= 8 * 262_144 * 2


def test_buffers_that_nobody_asks_for_are_let_go():
    pool = Pool()
    pool.empty((1 << 20,))
    for _ in range(5000):
        pool.empty((100_000,))
    pool.empty((60_000,))
    assert sum(len(buffers) for buffers in pool.buffers.values()) == 2
    pool.clear()
    assert not pool.buffers
