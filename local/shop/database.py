"""Rows of the shop's database: the first ones, days of changes, and what gold has to hold in the end, by SQL over the source alone."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

TABLES = ("customers", "products", "orders")
"""Tables of the schema `public`."""

DAYS = 9
"""Days of changes that can be played."""

CUSTOMERS, PRODUCTS, ORDERS = 200, 40, 3000
"""Rows of the first day."""

_CREATE = """
DROP TABLE IF EXISTS orders, products, customers;
DROP SEQUENCE IF EXISTS product_revisions;
CREATE TABLE customers (customer_id bigint PRIMARY KEY, name text NOT NULL, segment text NOT NULL, since date);
CREATE SEQUENCE product_revisions;
CREATE TABLE products (product_id bigint PRIMARY KEY, name text NOT NULL, price numeric(12, 2) NOT NULL,
    revision bigint NOT NULL DEFAULT nextval('product_revisions'));
CREATE TABLE orders (order_id bigint PRIMARY KEY, customer_id bigint NOT NULL, product_id bigint NOT NULL, quantity integer NOT NULL,
    amount numeric(14, 2) NOT NULL, status text NOT NULL, ordered_on date NOT NULL, updated_at timestamptz);
CREATE INDEX ON orders (updated_at);
"""

_SEED = f"""
INSERT INTO customers SELECT i, 'Customer ' || lpad(i::text, 5, '0'), CASE WHEN i % 4 = 0 THEN 'business' ELSE 'private' END, DATE '2024-01-01' + (i * 7 % 700)::int
    FROM generate_series(1, {CUSTOMERS}) i;
INSERT INTO products SELECT i, 'Product ' || lpad(i::text, 3, '0'), (100 + i * 37 % 900) / 10.0 FROM generate_series(1, {PRODUCTS}) i;
INSERT INTO orders SELECT i, 1 + i * 13 % {CUSTOMERS}, 1 + i * 7 % {PRODUCTS}, 1 + i % 5, 0, (ARRAY['open', 'paid', 'shipped', 'cancelled'])[1 + i % 4],
    DATE '2026-01-01' + (i % 90), TIMESTAMPTZ '2026-01-01 08:00:00+00' + i * interval '1 minute' FROM generate_series(1, {ORDERS}) i;
UPDATE orders o SET amount = o.quantity * p.price FROM products p WHERE p.product_id = o.product_id;
"""  # noqa: S608 - numbers of our own

# Every statement tells by %(day)s which day it is: another day changes other rows. The clock of changes goes on where the first rows end.
_CHANGE = """
INSERT INTO customers SELECT 100000 + %(day)s * 10 + i, 'Customer of day ' || %(day)s, 'private', DATE '2026-04-01' + %(day)s::int FROM generate_series(1, 3) i;
UPDATE customers SET segment = 'business' WHERE customer_id %% 50 = %(day)s;
DELETE FROM customers WHERE customer_id %% 97 = %(day)s;
UPDATE products SET price = price + 1, revision = nextval('product_revisions') WHERE product_id %% 10 = %(day)s;
DELETE FROM products WHERE product_id = 40 - %(day)s;
INSERT INTO orders SELECT 1000000 + %(day)s * 1000 + i, 1 + i, 1 + i %% 20, 2, 20.50, 'open', DATE '2026-04-01' + %(day)s::int,
    TIMESTAMPTZ '2026-02-01 00:00:00+00' + %(day)s * interval '1 day' + i * interval '1 second' FROM generate_series(1, 100) i;
UPDATE orders SET status = 'cancelled', updated_at = TIMESTAMPTZ '2026-02-01 12:00:00+00' + %(day)s * interval '1 day' WHERE order_id %% 101 = %(day)s;
DELETE FROM orders WHERE order_id %% 103 = %(day)s;
INSERT INTO orders VALUES (2000000 + %(day)s, 1, 1, 1, 9.99, 'paid', DATE '2026-01-15', TIMESTAMPTZ '2026-01-15 00:00:00+00'),
    (2100000 + %(day)s, 2, 2, 1, 5.00, 'paid', DATE '2026-01-16', NULL);
"""

SALES = """
SELECT o.ordered_on, c.segment, o.product_id, p.name, count(*), sum(o.quantity), sum(o.amount)
FROM orders o JOIN customers c USING (customer_id) JOIN products p USING (product_id)
WHERE o.status <> 'cancelled' GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3
"""
"""What `gold.shop.daily_sales` has to hold, over the source."""


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Rows of the source's tables now."""

    customers: int
    products: int
    orders: int


def seed(connection: Any) -> Counted:
    """Make the tables anew, with the first rows.

    Args:
        connection: A psycopg connection of somebody who may create tables.
    """
    with connection.transaction():
        connection.execute(_CREATE)
        connection.execute(_SEED)
    return counted(connection)


def change(connection: Any, *, day: int) -> Counted:
    """Insert, update and delete rows, as a day in the shop does: some late, one dated back, one without a date.

    Args:
        connection: A psycopg connection of somebody who may write.
        day: From 1; each day changes other rows.

    Raises:
        ValueError: There is no such day.
    """
    if not 1 <= day <= DAYS:
        raise ValueError(f"there are changes for the days 1 to {DAYS}, not for day {day}")
    with connection.transaction():
        for statement in _CHANGE.split(";"):
            if statement.strip():
                connection.execute(statement, {"day": day} if "%(day)s" in statement else None)
    return counted(connection)


def day_of(connection: Any) -> int | None:
    """The last day that was played: 0 before the first one, None if there are no tables yet."""
    if connection.execute("SELECT to_regclass('public.orders')").fetchone()[0] is None:
        return None
    marker = connection.execute("SELECT max(order_id) - 2000000 FROM orders WHERE order_id BETWEEN 2000001 AND 2000099").fetchone()[0]
    return int(marker or 0)


def counted(connection: Any) -> Counted:
    """Rows of the tables now."""
    numbers = {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES}  # noqa: S608 - names of our own
    return Counted(**numbers)


def sales(connection: Any) -> list[tuple[str, str, int, str, int, int, Decimal]]:
    """What gold has to hold, by the source alone; days as text."""
    return [(str(row[0]), *row[1:]) for row in connection.execute(SALES).fetchall()]
