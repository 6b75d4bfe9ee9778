-- order_id.not_null: must not be missing
coalesce((`order_id` IS NOT NULL), false)
-- order_id.range: must be at least 1
coalesce((`order_id` IS NULL OR (`order_id` >= 1)), false)
-- customer_id.not_null: must not be missing
coalesce((`customer_id` IS NOT NULL), false)
-- status.not_null: must not be missing
coalesce((`order_status` IS NOT NULL), false)
-- status.in_set: must be one of F, O, P
coalesce((`order_status` IS NULL OR `order_status` IN ('F', 'O', 'P')), false)
-- status.length: must have at most 1 characters
coalesce((`order_status` IS NULL OR (char_length(`order_status`) <= 1)), false)
-- total_price.range: must be at least 0 and less than 1000000000.5
coalesce((`total_price` IS NULL OR (`total_price` >= 0 AND `total_price` < 1000000000.5)), false)
-- total_price.price_nulls: missing values must be < 1 percent
SELECT coalesce(100.0D * count_if(NOT (`total_price` IS NOT NULL)) / nullif(count(1), 0), 0.0D) FROM judged
-- total_price.price_odd: invalid values must be >= 0
SELECT count_if(NOT (`total_price` IS NULL OR `total_price` IN (1, 2.5))) FROM judged
-- order_date.not_null: must not be missing
coalesce((`order_date` IS NOT NULL), false)
-- order_date.range: must be at least 1992-01-01
coalesce((`order_date` IS NULL OR (`order_date` >= DATE '1992-01-01')), false)
-- clerk_email.pattern: must match ^[^@\s]+@[^@\s]+$
coalesce((`clerk_email` IS NULL OR `clerk_email` RLIKE '(?s)\\A(?:[^@\\s]+@[^@\\s]+)\\z'), false)
-- clerk_email.length: must have 3 to 254 characters
coalesce((`clerk_email` IS NULL OR (char_length(`clerk_email`) >= 3 AND char_length(`clerk_email`) <= 254)), false)
-- clerk_email.clerk_given: must not be missing or one of n/a@n/a
coalesce((`clerk_email` IS NOT NULL AND `clerk_email` NOT IN ('n/a@n/a')), false)
-- weight.range: must be at least 0.5 and at most 1000
coalesce((`weight` IS NULL OR (NOT isnan(`weight`) AND `weight` >= 0.5 AND `weight` <= 1000)), false)
-- parcels.range: must be at least 0 and at most 255
coalesce((`parcels` IS NULL OR (`parcels` >= 0 AND `parcels` <= 255)), false)
-- token.range: must be at least 0 and at most 18446744073709551615
coalesce((`token` IS NULL OR (`token` >= 0 AND `token` <= 18446744073709551615)), false)
-- token.unique: no two rows may have the same token
SELECT count(1) FROM (SELECT count(1) AS n FROM judged WHERE `token` IS NOT NULL GROUP BY `token` HAVING count(1) > 1)
-- shipping.nested_not_null: must keep `shipping` IS NULL OR (`shipping`.`zip` IS NOT NULL)
coalesce((`shipping` IS NULL OR (`shipping`.`zip` IS NOT NULL)), false)
-- lines.nested_not_null: must keep `lines` IS NULL OR (forall(`lines`, x0 -> x0 IS NOT NULL AND x0.`sku` IS NOT NULL))
coalesce((`lines` IS NULL OR (forall(`lines`, x0 -> x0 IS NOT NULL AND x0.`sku` IS NOT NULL))), false)
-- updated_at.not_null: must not be missing
coalesce((`updated_at` IS NOT NULL), false)
-- updated_at.range: must be at least 1992-01-01T00:00:00Z
coalesce((`updated_at` IS NULL OR (`updated_at` >= TIMESTAMP_LTZ '1992-01-01T00:00:00Z')), false)
-- rows: rows must be > 0
SELECT count(1) FROM judged
-- not_ten_rows: rows must be <> 10
SELECT count(1) FROM judged
-- key_unique: no two rows may have the same order_id
SELECT count(1) FROM (SELECT count(1) AS n FROM judged WHERE `order_id` IS NOT NULL GROUP BY `order_id` HAVING count(1) > 1)
-- few_repeats: repeated keys must be <= 50 percent
SELECT coalesce(100.0D * sum(n) / nullif((SELECT count(1) FROM judged), 0), 0.0D) FROM (SELECT count(1) AS n FROM judged WHERE `customer_id` IS NOT NULL AND `order_date` IS NOT NULL GROUP BY `customer_id`, `order_date` HAVING count(1) > 1)
-- fulfilled_priced: must keep order_status <> 'F' OR total_price IS NOT NULL
coalesce((order_status <> 'F' OR total_price IS NOT NULL), false)
-- stale_open: result of the query must be = 0
SELECT count(*) FROM judged WHERE order_status = 'O' AND order_date < date '1995-01-01'
-- customer_exists: must exist in silver.sales.customers.customer_id
SELECT count(1) FROM (SELECT * FROM judged AS mine WHERE mine.`customer_id` IS NOT NULL) AS mine LEFT ANTI JOIN other_table AS theirs ON mine.`customer_id` = theirs.`customer_id`
