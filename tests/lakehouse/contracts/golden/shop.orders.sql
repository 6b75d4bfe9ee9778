-- order_id.not_null: must not be missing
coalesce((`order_id` IS NOT NULL), false)
-- order_id.range: must be at least 1
coalesce((`order_id` IS NULL OR (`order_id` >= 1)), false)
-- customer_id.not_null: must not be missing
coalesce((`customer_id` IS NOT NULL), false)
-- customer_id.range: must be at least 1
coalesce((`customer_id` IS NULL OR (`customer_id` >= 1)), false)
-- product_id.not_null: must not be missing
coalesce((`product_id` IS NOT NULL), false)
-- product_id.range: must be at least 1
coalesce((`product_id` IS NULL OR (`product_id` >= 1)), false)
-- quantity.not_null: must not be missing
coalesce((`quantity` IS NOT NULL), false)
-- quantity.range: must be at least 1
coalesce((`quantity` IS NULL OR (`quantity` >= 1)), false)
-- amount.not_null: must not be missing
coalesce((`amount` IS NOT NULL), false)
-- amount.range: must be at least 0
coalesce((`amount` IS NULL OR (`amount` >= 0)), false)
-- status.not_null: must not be missing
coalesce((`status` IS NOT NULL), false)
-- status.in_set: must be one of open, paid, shipped, cancelled
coalesce((`status` IS NULL OR `status` IN ('open', 'paid', 'shipped', 'cancelled')), false)
-- ordered_on.not_null: must not be missing
coalesce((`ordered_on` IS NOT NULL), false)
-- key_unique: no two rows may have the same order_id
SELECT count(1) FROM (SELECT count(1) AS n FROM judged WHERE `order_id` IS NOT NULL GROUP BY `order_id` HAVING count(1) > 1)
