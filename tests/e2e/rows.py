"""Good rows of each dataset, for scenarios that ask what becomes of a file and not of its values."""

from __future__ import annotations

from collections.abc import Iterable

_COLUMNS = {
    "customer": "c_custkey,c_name,c_address,c_nationkey,c_phone,c_acctbal,c_mktsegment,c_comment",
    "orders": "o_orderkey,o_custkey,o_orderstatus,o_totalprice,o_orderdate,o_orderpriority,o_clerk,o_shippriority,o_comment",
}

KEYS = {name: columns.split(",", 1)[0] for name, columns in _COLUMNS.items()}
"""Column with the key of each dataset."""


def csv(dataset: str, keys: Iterable[int], *, text: str = "fine") -> str:
    """A file of a dataset.

    Args:
        dataset: `customer` or `orders`.
        keys: Keys of its rows.
        text: Free text of every row.
    """
    line = {
        "customer": f"{{key}},Customer#{{key:09d}},{text},1,11-111-111-1111,1.00,BUILDING,",
        "orders": f"{{key}},1,O,100.00,1998-08-04,5-LOW,Clerk#000000001,0,{text}",
    }[dataset]
    return "".join(f"{row}\n" for row in (_COLUMNS[dataset], *(line.format(key=key) for key in keys)))
