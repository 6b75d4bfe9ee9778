-- product_id.not_null: must not be missing
coalesce((`product_id` IS NOT NULL), false)
-- product_id.range: must be at least 1
coalesce((`product_id` IS NULL OR (`product_id` >= 1)), false)
-- name.not_null: must not be missing
coalesce((`name` IS NOT NULL), false)
-- price.not_null: must not be missing
coalesce((`price` IS NOT NULL), false)
-- price.range: must be at least 0
coalesce((`price` IS NULL OR (`price` >= 0)), false)
-- revision.not_null: must not be missing
coalesce((`revision` IS NOT NULL), false)
-- revision.range: must be at least 1
coalesce((`revision` IS NULL OR (`revision` >= 1)), false)
-- key_unique: no two rows may have the same product_id
SELECT count(1) FROM (SELECT count(1) AS n FROM judged WHERE `product_id` IS NOT NULL GROUP BY `product_id` HAVING count(1) > 1)
