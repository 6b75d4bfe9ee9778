-- o_orderdate.not_null: must not be missing
coalesce((`o_orderdate` IS NOT NULL), false)
-- c_mktsegment.not_null: must not be missing
coalesce((`c_mktsegment` IS NOT NULL), false)
-- revenue.not_null: must not be missing
coalesce((`revenue` IS NOT NULL), false)
-- revenue.range: must be at least 0
coalesce((`revenue` IS NULL OR (`revenue` >= 0)), false)
-- orders.not_null: must not be missing
coalesce((`orders` IS NOT NULL), false)
-- orders.range: must be at least 1
coalesce((`orders` IS NULL OR (`orders` >= 1)), false)
-- key_unique: no two rows may have the same o_orderdate, c_mktsegment
SELECT count(1) FROM (SELECT count(1) AS n FROM judged WHERE `o_orderdate` IS NOT NULL AND `c_mktsegment` IS NOT NULL GROUP BY `o_orderdate`, `c_mktsegment` HAVING count(1) > 1)
