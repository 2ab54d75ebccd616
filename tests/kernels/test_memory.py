"""Memory comes back when nobody holds it, never before, from any thread."""

import gc
import random
import threading
from itertools import pairwise

import numpy as np

from psgd_ref.kernels import memory
from psgd_ref.kernels.memory import Pool

# So many floats take a quarter of the first slab.
QUARTER = memory._FIRST // 16


def address(a):
    return a.__array_interface__["data"][0]


def test_memory_is_used_again_when_the_last_view_dies():
    pool = Pool()
    a = pool.empty((300, 300))
    view, first = a[3:, ::2].T, address(a)
    del a
    assert address(pool.empty((300, 300))) != first  # a view still holds it
    del view
    assert address(pool.empty((100, 900))) == first
    assert pool.created_bytes == memory._FIRST


def test_free_memory_side_by_side_serves_a_larger_array():
    pool = Pool()
    small = [pool.empty((QUARTER,)) for _ in range(4)]
    first = address(small[1])
    other = pool.empty((2 * QUARTER,))
    assert address(other) != first
    del small[1:3]
    assert address(pool.empty((2 * QUARTER,))) == first


def test_what_came_back_last_goes_out_first():
    pool = Pool()
    a, b = pool.empty((50_000,)), pool.empty((50_000,))
    first, second = address(a), address(b)
    del a
    del b
    again = pool.empty((50_000,))
    assert (address(again), address(pool.empty((50_000,)))) == (second, first)


def test_room_is_made_of_no_more_than_it_takes():
    pool = Pool()
    held = [pool.empty((QUARTER,)) for _ in range(4)]
    places = [address(a) for a in held]
    held[2:] = []
    held[0:1] = []
    larger = pool.empty((2 * QUARTER,))
    assert address(larger) == places[2]
    assert address(pool.empty((QUARTER,))) == places[0]
    assert pool.created_bytes == memory._FIRST


def test_forgotten_pieces_are_no_garbage():
    pool = Pool()
    gc.collect()
    for size in range(QUARTER, 2 * QUARTER, QUARTER // 16):
        pool.empty((size,))
    assert gc.collect() == 0


def test_arrays_in_use_never_overlap():
    pool, rng, held = Pool(), random.Random(0), []
    for step in range(2000):
        a = pool.empty((rng.randrange(1, 400_000),), np.int32)
        a[[0, -1]] = step
        held.append((step, a))
        del a  # the list alone holds it
        if rng.random() < 0.5 or len(held) > 60:
            del held[rng.randrange(len(held))]
    assert all(a[0] == a[-1] == step for step, a in held)
    spans = sorted((address(a), address(a) + a.nbytes) for _, a in held)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    assert pool.created_bytes < 4 * 61 * 4 * 400_000


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
    assert pool.created_bytes == memory._FIRST


def test_slabs_that_nobody_asks_of_are_let_go():
    pool = Pool()
    held = pool.empty((QUARTER,))
    pool.empty((4 * QUARTER,))  # does not fit beside it
    assert len(pool.slabs) == 2
    for _ in range(5000):
        pool.empty((100_000,))
    larger = pool.empty((16 * QUARTER,))
    assert [slab.size for slab in pool.slabs] == [memory._FIRST, 4 * memory._FIRST]
    pool.clear()
    assert not pool.slabs
    held.fill(1)
    larger.fill(2)
    assert held.all()


def test_scratch_is_the_same_memory_every_time():
    memory.scratch(40_000)
    one, other = memory.scratch(1000, 2000)
    again = memory.scratch(500)[0]
    assert (one.size, other.size, again.size) == (1000, 2000, 500)
    assert address(one) == address(again)
    assert address(other) >= address(one) + one.nbytes
    assert address(one) % 64 == address(other) % 64 == 0


def test_scratch_that_is_too_large_to_keep_is_given_back():
    before = address(memory.scratch(1000)[0])
    huge = memory.scratch(memory._KEPT + 1)[0]
    assert huge.size == memory._KEPT + 1
    assert address(huge) != before
    assert address(memory.scratch(1000)[0]) == before


def test_every_thread_has_scratch_of_its_own():
    found = []
    mine = memory.scratch(1000)[0]
    thread = threading.Thread(target=lambda: found.append(memory.scratch(1000)[0]))
    thread.start()
    thread.join()
    assert abs(address(found[0]) - address(mine)) >= mine.nbytes
