"""The native engine: a plan written as C, compiled, cached, and run.

Where to read on, from a plan to numbers:

- `emit.py`: a plan as a source file, its step one function or, by `scheduled.py`, a list of calls.
- `operations.py`: what each operation is written by.
- `kernels.py`: operations in groups, each a piece of C; which of them are one kernel.
- `writer.py`, `layout.py`, `c_text.py`: lines, names, arrays; all that others write with.
- `elementwise.py` with `formulas.py`: loops over elements, and what is in them.
- `products.py` over `product_calls.py`, `product.py`, `tiles.py`, `dots.py`, `blas.py`: matrix
  products, by tiles of our own or by the library; `convolutions.py`
  with `columns.py` makes products of images.
- `reductions.py`, `indexing.py`, `pooling.py`, `copying.py`: the other operations.
- `entry.py`: the function around a step; `*.h`: what every source file begins with.
- `compile.py` over `cache.py` and `child.py`: from C to a library; `addresses.py`: of the BLAS.
- `compiled.py`: a library bound to memory, run; `segmented.py`: with calls of torch in between;
  `engine.py`: the engine, which puts all together.
- `measured.py`: what products and calls cost on this machine.
"""

from backhand.program.engines.native.compile import counted_compilation
from backhand.program.engines.native.engine import Native
from backhand.program.engines.native.writer import NotNative

__all__ = ["Native", "NotNative", "counted_compilation"]
