-- l_orderkey.not_null: must not be missing
coalesce((`l_orderkey` IS NOT NULL), false)
-- l_orderkey.range: must be at least 1
coalesce((`l_orderkey` IS NULL OR (`l_orderkey` >= 1)), false)
-- l_partkey.not_null: must not be missing
coalesce((`l_partkey` IS NOT NULL), false)
-- l_partkey.range: must be at least 1
coalesce((`l_partkey` IS NULL OR (`l_partkey` >= 1)), false)
-- l_suppkey.not_null: must not be missing
coalesce((`l_suppkey` IS NOT NULL), false)
-- l_suppkey.range: must be at least 1
coalesce((`l_suppkey` IS NULL OR (`l_suppkey` >= 1)), false)
-- l_linenumber.not_null: must not be missing
coalesce((`l_linenumber` IS NOT NULL), false)
-- l_linenumber.range: must be at least 1
coalesce((`l_linenumber` IS NULL OR (`l_linenumber` >= 1)), false)
-- l_quantity.not_null: must not be missing
coalesce((`l_quantity` IS NOT NULL), false)
-- l_quantity.range: must be more than 0
coalesce((`l_quantity` IS NULL OR (`l_quantity` > 0)), false)
-- l_extendedprice.not_null: must not be missing
coalesce((`l_extendedprice` IS NOT NULL), false)
-- l_extendedprice.range: must be at least 0
coalesce((`l_extendedprice` IS NULL OR (`l_extendedprice` >= 0)), false)
-- l_discount.not_null: must not be missing
coalesce((`l_discount` IS NOT NULL), false)
-- l_discount.range: must be at least 0 and at most 1
coalesce((`l_discount` IS NULL OR (`l_discount` >= 0 AND `l_discount` <= 1)), false)
-- l_tax.not_null: must not be missing
coalesce((`l_tax` IS NOT NULL), false)
-- l_tax.range: must be at least 0 and at most 1
coalesce((`l_tax` IS NULL OR (`l_tax` >= 0 AND `l_tax` <= 1)), false)
-- l_returnflag.not_null: must not be missing
coalesce((`l_returnflag` IS NOT NULL), false)
-- l_returnflag.in_set: must be one of A, N, R
coalesce((`l_returnflag` IS NULL OR `l_returnflag` IN ('A', 'N', 'R')), false)
-- l_linestatus.not_null: must not be missing
coalesce((`l_linestatus` IS NOT NULL), false)
-- l_linestatus.in_set: must be one of F, O
coalesce((`l_linestatus` IS NULL OR `l_linestatus` IN ('F', 'O')), false)
-- l_shipdate.not_null: must not be missing
coalesce((`l_shipdate` IS NOT NULL), false)
-- l_shipdate.range: must be at least 1992-01-01
coalesce((`l_shipdate` IS NULL OR (`l_shipdate` >= DATE '1992-01-01')), false)
-- l_commitdate.range: must be at least 1992-01-01
coalesce((`l_commitdate` IS NULL OR (`l_commitdate` >= DATE '1992-01-01')), false)
-- l_receiptdate.range: must be at least 1992-01-01
coalesce((`l_receiptdate` IS NULL OR (`l_receiptdate` >= DATE '1992-01-01')), false)
-- l_shipinstruct.length: must have at most 25 characters
coalesce((`l_shipinstruct` IS NULL OR (char_length(`l_shipinstruct`) <= 25)), false)
-- l_shipmode.length: must have at most 10 characters
coalesce((`l_shipmode` IS NULL OR (char_length(`l_shipmode`) <= 10)), false)
-- l_comment.length: must have at most 44 characters
coalesce((`l_comment` IS NULL OR (char_length(`l_comment`) <= 44)), false)
-- some_rows: rows must be > 0
SELECT count(1) FROM judged
-- key_unique: no two rows may have the same l_orderkey, l_linenumber
SELECT count(1) FROM (SELECT count(1) AS n FROM judged WHERE `l_orderkey` IS NOT NULL AND `l_linenumber` IS NOT NULL GROUP BY `l_orderkey`, `l_linenumber` HAVING count(1) > 1)
-- received_after_shipping: must keep l_receiptdate IS NULL OR l_receiptdate > l_shipdate
coalesce((l_receiptdate IS NULL OR l_receiptdate > l_shipdate), false)
-- discount_level: result of the query must be <= 0.1
SELECT coalesce(max(l_discount), 0) FROM judged
-- l_orderkey.relationship: must exist in silver.tpch.orders.o_orderkey
SELECT count(1) FROM (SELECT * FROM judged AS mine WHERE mine.`l_orderkey` IS NOT NULL) AS mine LEFT ANTI JOIN other_table AS theirs ON mine.`l_orderkey` = theirs.`o_orderkey`
