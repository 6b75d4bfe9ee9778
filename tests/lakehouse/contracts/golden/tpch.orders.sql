-- o_orderkey.not_null: must not be missing
coalesce((`o_orderkey` IS NOT NULL), false)
-- o_orderkey.range: must be at least 1
coalesce((`o_orderkey` IS NULL OR (`o_orderkey` >= 1)), false)
-- o_custkey.not_null: must not be missing
coalesce((`o_custkey` IS NOT NULL), false)
-- o_custkey.range: must be at least 1
coalesce((`o_custkey` IS NULL OR (`o_custkey` >= 1)), false)
-- o_orderstatus.not_null: must not be missing
coalesce((`o_orderstatus` IS NOT NULL), false)
-- o_orderstatus.in_set: must be one of F, O, P
coalesce((`o_orderstatus` IS NULL OR `o_orderstatus` IN ('F', 'O', 'P')), false)
-- o_totalprice.not_null: must not be missing
coalesce((`o_totalprice` IS NOT NULL), false)
-- o_totalprice.range: must be at least 0
coalesce((`o_totalprice` IS NULL OR (`o_totalprice` >= 0)), false)
-- o_orderdate.not_null: must not be missing
coalesce((`o_orderdate` IS NOT NULL), false)
-- o_orderdate.range: must be at least 1992-01-01
coalesce((`o_orderdate` IS NULL OR (`o_orderdate` >= DATE '1992-01-01')), false)
-- o_orderpriority.in_set: must be one of 1-URGENT, 2-HIGH, 3-MEDIUM, 4-NOT SPECIFIED, 5-LOW
coalesce((`o_orderpriority` IS NULL OR `o_orderpriority` IN ('1-URGENT', '2-HIGH', '3-MEDIUM', '4-NOT SPECIFIED', '5-LOW')), false)
-- o_clerk.pattern: must match ^Clerk#[0-9]{9}$
coalesce((`o_clerk` IS NULL OR `o_clerk` RLIKE '(?s)\\A(?:Clerk#[0-9]{9})\\z'), false)
-- o_clerk.length: must have at most 15 characters
coalesce((`o_clerk` IS NULL OR (char_length(`o_clerk`) <= 15)), false)
-- o_clerk.clerk_known: missing values must be < 5 percent
SELECT coalesce(100.0D * count_if(NOT (`o_clerk` IS NOT NULL)) / nullif(count(1), 0), 0.0D) FROM judged
-- o_shippriority.range: must be at least 0
coalesce((`o_shippriority` IS NULL OR (`o_shippriority` >= 0)), false)
-- o_comment.length: must have at most 79 characters
coalesce((`o_comment` IS NULL OR (char_length(`o_comment`) <= 79)), false)
-- some_rows: rows must be > 0
SELECT count(1) FROM judged
-- key_unique: no two rows may have the same o_orderkey
SELECT count(1) FROM (SELECT count(1) AS n FROM judged WHERE `o_orderkey` IS NOT NULL GROUP BY `o_orderkey` HAVING count(1) > 1)
-- fulfilled_is_priced: must keep o_orderstatus <> 'F' OR o_totalprice > 0
coalesce((o_orderstatus <> 'F' OR o_totalprice > 0), false)
-- o_custkey.relationship: must exist in silver.tpch.customer.c_custkey
SELECT count(1) FROM (SELECT * FROM judged AS mine WHERE mine.`o_custkey` IS NOT NULL) AS mine LEFT ANTI JOIN other_table AS theirs ON mine.`o_custkey` = theirs.`c_custkey`
