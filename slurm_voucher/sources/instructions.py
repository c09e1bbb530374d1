"""What a processor does in a few instructions and no loop of ours comes down to.

Beside each stands what it means in plain Python; that is what runs where nothing is compiled.
Kernels that are kept on disk do not notice an edit here: change `scan` with it.
"""

from collections.abc import Callable
from typing import Any

import numba
import numba.extending
import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

WIDTH = 64
"""So many bytes are compared at once."""


def _marked(text: Bytes, at: np.uint64, letter: np.uint8) -> np.uint64:
    """Mark which of WIDTH bytes are a letter, a bit for each, the lowest for the first."""
    same = text[int(at) : int(at) + WIDTH] == letter
    return np.uint64(int.from_bytes(np.packbits(same, bitorder="little").tobytes(), "little"))


def _lowest(bits: np.uint64) -> np.uint64:
    """Return the place of the lowest bit that is set; one is."""
    return np.uint64((int(bits) & -int(bits)).bit_length() - 1)


def _compiled_marked(typing: Any, text: Any, at: Any, letter: Any) -> Any:
    from llvmlite import ir

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        bytes_ = ir.VectorType(ir.IntType(8), WIDTH)
        where = builder.bitcast(builder.gep(array.data, [args[1]]), bytes_.as_pointer())
        first = builder.insert_element(
            ir.Constant(bytes_, ir.Undefined), args[2], ir.Constant(ir.IntType(32), 0)
        )
        places = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
        letters = builder.shuffle_vector(first, ir.Constant(bytes_, ir.Undefined), places)
        same = builder.icmp_unsigned("==", builder.load(where, align=1), letters)
        return builder.bitcast(same, ir.IntType(WIDTH))

    return numba.types.uint64(text, numba.types.uint64, numba.types.uint8), generate


def _compiled_lowest(typing: Any, bits: Any) -> Any:
    from llvmlite import ir

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return numba.types.uint64(numba.types.uint64), generate


def _chosen(plain: Any, compiled: Any) -> Any:
    off = getattr(numba.config, "DISABLE_JIT")  # noqa: B009 - made when it is loaded
    return plain if off else numba.extending.intrinsic(compiled)


marked: Callable[[Bytes, np.uint64, np.uint8], np.uint64] = _chosen(_marked, _compiled_marked)
lowest: Callable[[np.uint64], np.uint64] = _chosen(_lowest, _compiled_lowest)
