"""The register tile, a small matrix that lives in the CPU's vector registers; and calls by address.

This is the only file that writes LLVM.

A CPU does arithmetic on vectors: one instruction multiplies and adds `lanes` floats at once (8 with
AVX2). Its registers are few (16 or 32) but have no delay, while memory has. A kernel is therefore fast
when it keeps its running sums in registers and reads few numbers for each multiplication. A tile is such
a set of running sums, `rows` × `vectors` registers of `lanes` floats:

                      lanes     lanes
                  ┌─────────┬─────────┐
          row 0   │ ymm0    │ ymm1    │        x[0] ──┐
          row 1   │ ymm2    │ ymm3    │        x[1]   │  rank1:  tile[p, :] += x[p] · w[:]
          row 2   │ ymm4    │ ymm5    │        x[2]   │
          row 3   │ ymm6    │ ymm7    │        x[3] ──┘
                  └─────────┴─────────┘
                  w[0 .. 2·lanes)

One `rank1` on this tile reads 4 + 16 floats and does 64 multiplications and additions. A matrix product,
every pass of a convolution included, is a loop of `rank1`; the loops are in `conv.py` and `linear.py`.

Numba compiles Python through LLVM, a language of simple typed instructions. An `@intrinsic` below is a
function whose body writes those instructions instead of Python: its first half states the types of the
arguments and of the result, `emit` appends instructions to the program through the builder `b`.
Vectors are LLVM values like any other; LLVM gives each its register.

The shape of a tile must be known when the code is compiled. It is passed as an argument of which only
the *type* counts: a tuple with an int for every row, a float for every vector, a bool for every lane. (A
closure over constants would do too, but misses Numba's cache.)

The functions at the end serve `parallel.for_each`, which has its loop's body called by other threads: they
make a body callable by its address alone, whatever its arguments are, and hand out its turns.

With PSGD_REF_CHECK=1 every access to memory below first compares its place with the array's size, and an
access outside, or an error in a loop's body, which runs where nobody could catch it, is counted in `FAULTS`.

The multiply and the add carry LLVM's flag `contract`: the two may become one instruction that rounds
once (fused multiply-add). The flag allows nothing else: NaN, infinity and the order of sums are kept.
"""

import ctypes
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.compiler import compile_internal
from numba.core.targetconfig import ConfigStack
from numba.extending import intrinsic, models, register_model
from numba.np.arrayobj import make_array

from psgd_ref.kernels.compile import CHECK

Shape = tuple[float, ...]

_FLOAT, _INDEX = ir.FloatType(), ir.IntType(64)
_CONTRACT = ("contract",)


def shape(rows: int, vectors: int, lanes: int) -> Shape:
    """The shape of a tile as a value whose type carries the three sizes; other shapes are not equal to it."""
    return (1,) * rows + (2.0,) * vectors + (False,) * lanes


class TileType(types.Type):
    """Numba's name for a tile of one shape."""

    def __init__(self, rows: int, vectors: int, lanes: int) -> None:
        self.rows, self.vectors, self.lanes = rows, vectors, lanes
        super().__init__(name=f"Tile({rows}, {vectors}, {lanes})")


@register_model(TileType)
class TileModel(models.PrimitiveModel):
    """To LLVM a tile is an array of vectors, row after row."""

    def __init__(self, manager: Any, tile: TileType) -> None:
        vector = ir.VectorType(_FLOAT, tile.lanes)
        super().__init__(manager, tile, ir.ArrayType(vector, tile.rows * tile.vectors))


def _tile_type(shape: Any) -> TileType:
    kinds = (types.Integer, types.Float, types.Boolean)
    return TileType(*(sum(isinstance(t, kind) for t in shape.types) for kind in kinds))


@intrinsic
def tile_rows(typing: Any, shape: Any) -> Any:
    """Number of rows of a shape. Emits a constant."""
    rows = _tile_type(shape).rows
    return types.intp(shape), lambda context, b, signature, args: _INDEX(rows)


@intrinsic
def tile_columns(typing: Any, shape: Any) -> Any:
    """Number of columns of a shape, vectors × lanes. Emits a constant."""
    tile = _tile_type(shape)
    return types.intp(shape), lambda context, b, signature, args: _INDEX(tile.vectors * tile.lanes)


@intrinsic
def tile_load(typing: Any, shape: Any, a: Any, offset: Any, rows: Any) -> Any:
    """tile[p, :] = a[offset + row p : … + columns]. Emits a load a register.

    Parameters
    ----------
    rows
        Where the rows lie; an array with the offset of each; or a pair, such an array for many tiles and the
        place of this one's first row in it; or one number, the distance from each to the next (0 repeats one
        row), which None in place of the array says is 1, and a number in place of the array is 2.
    """
    tile = _tile_type(shape)

    def emit(context: Any, b: Any, signature: Any, args: Any) -> Any:
        pointers = _pointers(context, b, tile, signature.args[1:4], args[1:4])
        return _as_tile(context, b, tile, _plain_loads(b, pointers))

    return tile(shape, a, types.intp, rows), emit


@intrinsic
def tile_load_part(typing: Any, shape: Any, a: Any, offset: Any, rows: Any, columns: Any) -> Any:
    """As `tile_load`, but only the first `columns` of every row; the others are 0, their memory is not read.

    Emits a branch: for whole rows plain loads; else a comparison of every lane's number with `columns`,
    and masked loads.
    """
    tile = _tile_type(shape)

    def emit(context: Any, b: Any, signature: Any, args: Any) -> Any:
        pointers = _pointers(context, b, tile, signature.args[1:4], args[1:4], args[4])
        with b.if_else(_whole(b, args[4], tile)) as (whole, part):
            with whole:
                loaded, whole_end = _plain_loads(b, pointers), b.block
            with part:
                masks, zeros = _masks(b, args[4], tile), ir.Constant(pointers[0].type.pointee, None)
                load = _masked(b, "load", zeros.type, [pointers[0].type, _MASKED, masks[0].type, zeros.type])
                some = [
                    b.call(load, [pointer, _MASKED(_FLOAT_BYTES), masks[i % tile.vectors], zeros])
                    for i, pointer in enumerate(pointers)
                ]
                part_end = b.block
        registers = []
        for one, other in zip(loaded, some, strict=True):
            register = b.phi(one.type)
            register.add_incoming(one, whole_end)
            register.add_incoming(other, part_end)
            registers.append(register)
        return _as_tile(context, b, tile, registers)

    return tile(shape, a, types.intp, rows, types.intp), emit


@intrinsic
def tile_full(typing: Any, shape: Any, value: Any) -> Any:
    """A tile with one number everywhere. Emits a copy to every lane of one register."""
    tile = _tile_type(shape)

    def emit(context: Any, b: Any, signature: Any, args: Any) -> Any:
        register = _every_lane(b, args[1], tile.lanes)
        return _as_tile(context, b, tile, [register] * (tile.rows * tile.vectors))

    return tile(shape, types.float32), emit


@intrinsic
def tile_store(typing: Any, tile: Any, a: Any, offset: Any, rows: Any) -> Any:
    """a[offset + row p : … + columns] = tile[p, :]; rows as in `tile_load`. Emits a store a register."""

    def emit(context: Any, b: Any, signature: Any, args: Any) -> Any:
        pointers = _pointers(context, b, tile, signature.args[1:4], args[1:4])
        _plain_stores(b, args[0], pointers)
        return context.get_dummy_value()

    return types.void(tile, a, types.intp, rows), emit


@intrinsic
def tile_store_part(typing: Any, tile: Any, a: Any, offset: Any, rows: Any, columns: Any) -> Any:
    """As `tile_store`, but only the first `columns` of every row.

    Emits a branch: for whole rows plain stores; else a comparison of every lane's number with `columns`,
    and masked stores: lanes whose bit is not set leave memory alone.
    """

    def emit(context: Any, b: Any, signature: Any, args: Any) -> Any:
        pointers = _pointers(context, b, tile, signature.args[1:4], args[1:4], args[4])
        with b.if_else(_whole(b, args[4], tile)) as (whole, part):
            with whole:
                _plain_stores(b, args[0], pointers)
            with part:
                masks, kind = _masks(b, args[4], tile), pointers[0].type
                store = _masked(b, "store", ir.VoidType(), [kind.pointee, kind, _MASKED, masks[0].type])
                for i, pointer in enumerate(pointers):
                    mask = masks[i % tile.vectors]
                    b.call(store, [b.extract_value(args[0], i), pointer, _MASKED(_FLOAT_BYTES), mask])
        return context.get_dummy_value()

    return types.void(tile, a, types.intp, rows, types.intp), emit


@intrinsic
def tile_rank1(typing: Any, tile: Any, x: Any, x_offset: Any, rows: Any, w: Any, w_offset: Any) -> Any:
    """tile[p, :] + x[x_offset + row p] · w[w_offset : … + columns], as a new tile; rows as in `tile_load`.

    Where rows are a pair with a number in place of the array, each has two factors side by side, x[at] in its
    even columns and x[at + 1] in its odd ones.

    Emits the loads of w, then for each row: load one float or two, copy them to every lane, and a fused
    multiply-add a register. The new tile takes the registers of the old.
    """
    two = isinstance(rows, types.UniTuple)

    def emit(context: Any, b: Any, signature: Any, args: Any) -> Any:
        result = args[0]
        x_start = _address(context, b, signature.args[1], args[1], args[2])
        w_start = _address(context, b, signature.args[4], args[4], args[5])
        _check(context, b, signature.args[4], args[4], args[5], _INDEX(tile.vectors * tile.lanes))
        columns = [
            b.load(_vector_pointer(b, w_start, _INDEX(0), vector, tile), align=_FLOAT_BYTES)
            for vector in range(tile.vectors)
        ]
        for row, row_offset in enumerate(_row_offsets(context, b, signature.args[3], args[3], tile)):
            _check(context, b, signature.args[1], args[1], b.add(args[2], row_offset), _INDEX(1 + two))
            factor = _factors(b, b.gep(x_start, [row_offset]), tile.lanes, two)
            for vector in range(tile.vectors):
                index = row * tile.vectors + vector
                product = b.fmul(factor, columns[vector], flags=_CONTRACT)
                total = b.fadd(b.extract_value(result, index), product, flags=_CONTRACT)
                result = b.insert_value(result, total, index)
        return result

    return tile(tile, x, types.intp, rows, w, types.intp), emit


def _factors(b: Any, place: Any, lanes: int, two: bool) -> Any:
    """A vector of the float at that place; or of the two there, in turns."""
    if not two:
        return _every_lane(b, b.load(place, align=_FLOAT_BYTES), lanes)
    both = ir.VectorType(_FLOAT, 2)
    pair = b.load(b.bitcast(place, both.as_pointer()), align=_FLOAT_BYTES)
    return _shuffled(b, pair, [lane % 2 for lane in range(lanes)])


@intrinsic
def tile_twice(typing: Any, tile: Any) -> Any:
    """The first half of a register with each number twice, side by side, as a new tile. Emits a shuffle."""
    if (tile.rows, tile.vectors) != (1, 1):
        raise TypeError(f"only a tile of one register can be spread out; got {tile}")

    def emit(context: Any, b: Any, signature: Any, args: Any) -> Any:
        spread = _shuffled(b, b.extract_value(args[0], 0), [lane // 2 for lane in range(tile.lanes)])
        return b.insert_value(args[0], spread, 0)

    return tile(tile), emit


def _each_register(count: int, operation: Any) -> Any:
    """An intrinsic of so many tiles of one shape: a new tile, made register by register.

    operation : (builder, one vector of every tile) → vector
    """

    def of_tiles(tiles: Any) -> Any:
        def emit(context: Any, b: Any, signature: Any, args: Any) -> Any:
            result = args[0]
            for index in range(tiles[0].rows * tiles[0].vectors):
                vectors = [b.extract_value(tile, index) for tile in args]
                result = b.insert_value(result, operation(b, *vectors), index)
            return result

        return tiles[0](*tiles), emit

    takes = {
        2: lambda typing, one, other: of_tiles((one, other)),
        3: lambda typing, one, other, third: of_tiles((one, other, third)),
        4: lambda typing, one, other, third, fourth: of_tiles((one, other, third, fourth)),
    }
    return intrinsic(takes[count])


def _multiply_add(b: Any, x: Any, y: Any, z: Any) -> Any:
    return b.fadd(b.fmul(x, y, flags=_CONTRACT), z, flags=_CONTRACT)


def _where(condition: Any) -> Any:
    return _each_register(4, lambda b, x, y, yes, no: b.select(condition(b, x, y), yes, no))


def _larger(b: Any, x: Any, y: Any) -> Any:
    first_nan = b.and_(b.fcmp_unordered("uno", x, x), b.fcmp_ordered("ord", y, y))
    return b.or_(b.fcmp_ordered(">", x, y), first_nan)


def _same_bits(b: Any, x: Any, y: Any) -> Any:
    whole = ir.VectorType(ir.IntType(32), x.type.count)
    return b.icmp_signed("==", b.bitcast(x, whole), b.bitcast(y, whole))


# New tiles from tiles of one shape, register by register: x + y, x − y, x · y and x · y + z, the last rounded
# once where the CPU can. They emit an instruction a register.
tile_add = _each_register(2, lambda b, x, y: b.fadd(x, y))
tile_subtract = _each_register(2, lambda b, x, y: b.fsub(x, y))
tile_multiply = _each_register(2, lambda b, x, y: b.fmul(x, y))
tile_multiply_add = _each_register(3, _multiply_add)


@intrinsic
def tile_add_times(typing: Any, tile: Any, factor: Any, other: Any) -> Any:
    """tile + factor · other for a number, rounded once where the CPU can, as a new tile."""

    def emit(context: Any, b: Any, signature: Any, args: Any) -> Any:
        result, factor = args[0], _every_lane(b, args[1], tile.lanes)
        for index in range(tile.rows * tile.vectors):
            total = _multiply_add(b, factor, b.extract_value(args[2], index), b.extract_value(args[0], index))
            result = b.insert_value(result, total, index)
        return result

    return tile(tile, types.float32, other), emit


@intrinsic
def tile_times(typing: Any, factor: Any, tile: Any) -> Any:
    """factor · tile for a number, as a new tile."""

    def emit(context: Any, b: Any, signature: Any, args: Any) -> Any:
        result, factor = args[1], _every_lane(b, args[0], tile.lanes)
        for index in range(tile.rows * tile.vectors):
            result = b.insert_value(result, b.fmul(factor, b.extract_value(args[1], index)), index)
        return result

    return tile(types.float32, tile), emit


# where(x, y, yes, no): the lanes of `yes` where x and y are so, of `no` elsewhere. Nothing is less than NaN;
# NaN is larger than any number; bits are compared as whole numbers. They emit comparisons and a selection.
tile_where_less = _where(lambda b, x, y: b.fcmp_ordered("<", x, y))
tile_where_at_most = _where(lambda b, x, y: b.fcmp_ordered("<=", x, y))
tile_where_larger = _where(_larger)
tile_where_same_bits = _where(_same_bits)


@intrinsic
def tile_sum_rows(typing: Any, total: Any, tile: Any) -> Any:
    """total[0, :] + Σ_p tile[p, :] in the order of p, as a new tile of one row. Emits the additions."""

    def emit(context: Any, b: Any, signature: Any, args: Any) -> Any:
        result = args[0]
        for row in range(tile.rows):
            for vector in range(tile.vectors):
                more = b.extract_value(args[1], row * tile.vectors + vector)
                result = b.insert_value(result, b.fadd(b.extract_value(result, vector), more), vector)
        return result

    return total(total, tile), emit


@intrinsic
def tile_sum_products(typing: Any, total: Any, one: Any, other: Any) -> Any:
    """total[0, :] + Σ_p one[p, :] · other[p, :], as `tile_sum_rows`. Emits fused multiply-adds."""

    def emit(context: Any, b: Any, signature: Any, args: Any) -> Any:
        result = args[0]
        for row in range(one.rows):
            for vector in range(one.vectors):
                x, y = (b.extract_value(tile, row * one.vectors + vector) for tile in args[1:])
                added = _multiply_add(b, x, y, b.extract_value(result, vector))
                result = b.insert_value(result, added, vector)
        return result

    return total(total, one, other), emit


@intrinsic
def tile_total(typing: Any, tile: Any) -> Any:
    """Σ of all numbers of a tile, register by register and then lane by lane. Emits the additions."""

    def emit(context: Any, b: Any, signature: Any, args: Any) -> Any:
        vector = b.extract_value(args[0], 0)
        for index in range(1, tile.rows * tile.vectors):
            vector = b.fadd(vector, b.extract_value(args[0], index))
        total = b.extract_element(vector, ir.IntType(32)(0))
        for lane in range(1, tile.lanes):
            total = b.fadd(total, b.extract_element(vector, ir.IntType(32)(lane)))
        return total

    return types.float32(tile), emit


@intrinsic
def tile_add_to_doubles(typing: Any, tile: Any, sums: Any, offset: Any) -> Any:
    """sums[offset : … + columns] += tile[0, :] for an array of float64.

    Emits for each register of the row a conversion, a load, an addition and a store.
    """

    def emit(context: Any, b: Any, signature: Any, args: Any) -> Any:
        doubles = ir.VectorType(ir.DoubleType(), tile.lanes)
        start = _address(context, b, signature.args[1], args[1], args[2])
        _check(context, b, signature.args[1], args[1], args[2], _INDEX(tile.vectors * tile.lanes))
        for vector in range(tile.vectors):
            place = b.bitcast(b.gep(start, [_INDEX(vector * tile.lanes)]), doubles.as_pointer())
            more = b.fpext(b.extract_value(args[0], vector), doubles)
            b.store(b.fadd(b.load(place, align=8), more), place, align=8)
        return context.get_dummy_value()

    return types.void(tile, sums, types.intp), emit


# Arrays promise the alignment of one float only: rows of a tile start anywhere.
_FLOAT_BYTES = 4


# How many accesses to memory were outside their arrays, or errors in bodies; compiled code knows it by name.
FAULTS = ctypes.c_int64(0)
llvm.add_symbol("psgd_ref_faults", ctypes.addressof(FAULTS))


def raise_faults(name: str) -> None:
    """Raise IndexError when a kernel of this name has just counted faults, and forget them."""
    count, FAULTS.value = FAULTS.value, 0
    if count:
        raise IndexError(f"{name} read or wrote outside its arrays {count} times")


def _count_fault(b: Any) -> None:
    name = "psgd_ref_faults"
    counter = b.module.globals.get(name) or ir.GlobalVariable(b.module, _INDEX, name)
    b.atomic_rmw("add", counter, _INDEX(1), "monotonic")


def _check(context: Any, b: Any, array_type: Any, array: Any, first: Any, count: Any) -> None:
    """Count a fault unless `count` entries of a flat array from `first` on are in it; with PSGD_REF_CHECK."""
    if CHECK:
        size = make_array(array_type)(context, b, array).nitems
        outside = b.or_(b.icmp_signed("<", first, _INDEX(0)), b.icmp_signed(">", b.add(first, count), size))
        with b.if_then(b.and_(outside, b.icmp_signed(">", count, _INDEX(0)))):
            _count_fault(b)


def _address(context: Any, b: Any, array_type: Any, array: Any, offset: Any) -> Any:
    """Pointer to the float at `offset` of a flat array."""
    return b.gep(make_array(array_type)(context, b, array).data, [offset])


def _row_offsets(context: Any, b: Any, kind: Any, rows: Any, tile: TileType) -> list[Any]:
    """Offset of every row: p times the distance, or read from the array."""
    if isinstance(kind, types.Integer):
        return [b.mul(rows, _INDEX(row)) for row in range(tile.rows)]
    first = _INDEX(0)
    if isinstance(kind, types.UniTuple):
        # A constant: as many products would each take a register.
        return [_INDEX(2 * row) for row in range(tile.rows)]
    if isinstance(kind, types.Tuple):
        kind, (rows, first) = kind.types[0], cgutils.unpack_tuple(b, rows, 2)
        if isinstance(kind, types.NoneType):
            return [_INDEX(row) for row in range(tile.rows)]
    offsets = b.gep(make_array(kind)(context, b, rows).data, [first])
    return [b.load(b.gep(offsets, [_INDEX(row)])) for row in range(tile.rows)]


def _vector_pointer(b: Any, start: Any, row_offset: Any, vector: int, tile: TileType) -> Any:
    """Pointer to one register's floats in the row at that offset."""
    offset = b.add(row_offset, _INDEX(vector * tile.lanes))
    return b.bitcast(b.gep(start, [offset]), ir.VectorType(_FLOAT, tile.lanes).as_pointer())


def _pointers(context: Any, b: Any, tile: TileType, kinds: Any, args: Any, columns: Any = None) -> list[Any]:
    """Pointers to the floats of every register, for an array, an offset in it and its rows.

    columns : how many of every row are read or written, all by default
    """
    start = _address(context, b, kinds[0], args[0], args[1])
    offsets = _row_offsets(context, b, kinds[2], args[2], tile)
    whole = _INDEX(tile.vectors * tile.lanes)
    for offset in offsets:
        count = whole if columns is None else b.select(b.icmp_signed("<", columns, whole), columns, whole)
        _check(context, b, kinds[0], args[0], b.add(args[1], offset), count)
    return [
        _vector_pointer(b, start, offset, vector, tile)
        for offset in offsets
        for vector in range(tile.vectors)
    ]


def _plain_loads(b: Any, pointers: list[Any]) -> list[Any]:
    return [b.load(pointer, align=_FLOAT_BYTES) for pointer in pointers]


def _plain_stores(b: Any, tile: Any, pointers: list[Any]) -> None:
    for i, pointer in enumerate(pointers):
        b.store(b.extract_value(tile, i), pointer, align=_FLOAT_BYTES)


def _as_tile(context: Any, b: Any, tile: TileType, registers: list[Any]) -> Any:
    result = ir.Constant(context.get_value_type(tile), ir.Undefined)
    for i, register in enumerate(registers):
        result = b.insert_value(result, register, i)
    return result


def _whole(b: Any, columns: Any, tile: TileType) -> Any:
    """Whether so many columns are all that a row has."""
    return b.icmp_signed(">=", columns, _INDEX(tile.vectors * tile.lanes))


# The type in which masked loads and stores are told the alignment.
_MASKED = ir.IntType(32)


def _masked(b: Any, operation: str, result: Any, kinds: list[Any]) -> Any:
    """LLVM's masked load or store of one register."""
    vector = result if operation == "load" else kinds[0]
    name = f"llvm.masked.{operation}.v{vector.count}f32.p0"
    return cgutils.get_or_insert_function(b.module, ir.FunctionType(result, kinds), name)


def _masks(b: Any, columns: Any, tile: TileType) -> list[Any]:
    """Of every register of a row, which lanes lie in the first `columns` columns."""
    kind = ir.VectorType(_INDEX, tile.lanes)
    limit = _every_lane(b, columns, tile.lanes)
    numbers = [range(v * tile.lanes, (v + 1) * tile.lanes) for v in range(tile.vectors)]
    return [b.icmp_signed("<", ir.Constant(kind, list(lanes)), limit) for lanes in numbers]


def _every_lane(b: Any, value: Any, lanes: int) -> Any:
    """A vector with one number in every lane: put it in lane 0, then shuffle lane 0 everywhere."""
    undefined = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    return _shuffled(b, b.insert_element(undefined, value, ir.IntType(32)(0)), [0] * lanes)


def _shuffled(b: Any, vector: Any, places: list[int]) -> Any:
    """A vector of the numbers in these lanes of another."""
    undefined = ir.Constant(vector.type, ir.Undefined)
    kind = ir.VectorType(ir.IntType(32), len(places))
    return b.shuffle_vector(vector, undefined, ir.Constant(kind, places))


# A function (index, worker, address of the arguments) that does one turn of a loop.
_TASK = ir.FunctionType(ir.VoidType(), [_INDEX, _INDEX, _INDEX])


@intrinsic
def task_address(typing: Any, body: Any, arguments: Any) -> Any:
    """Address of a function of fixed type, (index, worker, address of a tuple), that calls `body`.

    `body(index, worker, *arguments)` returns nothing; of `arguments` only the types count.
    Emits that function, and the body itself beside it: compiled as a function of its own and then linked,
    it would pass through the compiler twice.
    """
    turn = types.void(types.intp, types.intp, *arguments.types)

    def emit(context: Any, b: Any, _: Any, args: Any) -> Any:
        flags = ConfigStack().top().copy()
        flags.no_compile = flags.no_cpython_wrapper = True
        library, function = context.active_code_library, body.dispatcher.py_func
        compiled = compile_internal(
            context.typing_context, context, library, function, turn.args, turn.return_type, flags, {}
        )
        task = ir.Function(b.module, _TASK, b.module.get_unique_name("task"))
        task.linkage = "internal"
        inside = ir.IRBuilder(task.append_basic_block())
        index, worker, address = task.args
        tuple_pointer = inside.inttoptr(address, context.get_value_type(arguments).as_pointer())
        values = cgutils.unpack_tuple(inside, inside.load(tuple_pointer))
        status, _ = context.call_internal_no_propagate(
            inside, compiled.fndesc, turn, [index, worker, *values]
        )
        if CHECK:
            with inside.if_then(status.is_error):
                _count_fault(inside)
        inside.ret_void()
        return b.ptrtoint(task, _INDEX)

    return types.intp(body, arguments), emit


@intrinsic
def stack_address(typing: Any, value: Any) -> Any:
    """Address of a copy of `value` that lives until the caller returns. Emits a store."""

    def emit(context: Any, b: Any, signature: Any, args: Any) -> Any:
        return b.ptrtoint(cgutils.alloca_once_value(b, args[0]), _INDEX)

    return types.intp(value), emit


@intrinsic
def call_task(typing: Any, task: Any, index: Any, worker: Any, arguments: Any) -> Any:
    """Call the function at the address `task`. Emits a call."""

    def emit(context: Any, b: Any, signature: Any, args: Any) -> Any:
        b.call(b.inttoptr(args[0], _TASK.as_pointer()), args[1:])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp, types.intp), emit


@intrinsic
def thread_count(typing: Any) -> Any:
    """How many threads run a parallel loop (`numba.set_num_threads`). Emits a call of Numba's function."""

    def emit(context: Any, b: Any, signature: Any, args: Any) -> Any:
        count = cgutils.get_or_insert_function(b.module, ir.FunctionType(_INDEX, []), "get_num_threads")
        return b.call(count, [])

    return types.intp(), emit


@intrinsic
def stack_zeros(typing: Any, size: Any) -> Any:
    """Address of `size` bytes of zeros that live until the caller returns. Emits a memset."""

    def emit(context: Any, b: Any, signature: Any, args: Any) -> Any:
        room = b.alloca(ir.IntType(8), args[0])
        room.align = 8
        cgutils.memset(b, room, args[0], 0)
        return b.ptrtoint(room, _INDEX)

    return types.intp(types.intp), emit


@intrinsic
def take(typing: Any, counter: Any) -> Any:
    """The number at the address `counter`, which then grows by 1: no two threads are given the same.

    Emits an atomic addition.
    """

    def emit(context: Any, b: Any, signature: Any, args: Any) -> Any:
        return b.atomic_rmw("add", b.inttoptr(args[0], _INDEX.as_pointer()), _INDEX(1), "monotonic")

    return types.intp(types.intp), emit
