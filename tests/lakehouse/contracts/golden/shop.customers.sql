-- customer_id.not_null: must not be missing
coalesce((`customer_id` IS NOT NULL), false)
-- customer_id.range: must be at least 1
coalesce((`customer_id` IS NULL OR (`customer_id` >= 1)), false)
-- name.not_null: must not be missing
coalesce((`name` IS NOT NULL), false)
-- segment.not_null: must not be missing
coalesce((`segment` IS NOT NULL), false)
-- segment.in_set: must be one of private, business
coalesce((`segment` IS NULL OR `segment` IN ('private', 'business')), false)
-- key_unique: no two rows may have the same customer_id
SELECT count(1) FROM (SELECT count(1) AS n FROM judged WHERE `customer_id` IS NOT NULL GROUP BY `customer_id` HAVING count(1) > 1)
