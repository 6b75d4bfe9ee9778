-- ordered_on.not_null: must not be missing
coalesce((`ordered_on` IS NOT NULL), false)
-- segment.not_null: must not be missing
coalesce((`segment` IS NOT NULL), false)
-- product_id.not_null: must not be missing
coalesce((`product_id` IS NOT NULL), false)
-- product.not_null: must not be missing
coalesce((`product` IS NOT NULL), false)
-- orders.not_null: must not be missing
coalesce((`orders` IS NOT NULL), false)
-- quantity.not_null: must not be missing
coalesce((`quantity` IS NOT NULL), false)
-- revenue.not_null: must not be missing
coalesce((`revenue` IS NOT NULL), false)
-- key_unique: no two rows may have the same ordered_on, segment, product_id
SELECT count(1) FROM (SELECT count(1) AS n FROM judged WHERE `ordered_on` IS NOT NULL AND `segment` IS NOT NULL AND `product_id` IS NOT NULL GROUP BY `ordered_on`, `segment`, `product_id` HAVING count(1) > 1)
