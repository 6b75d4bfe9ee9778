-- customer_id.not_null: must not be missing
coalesce((`customer_id` IS NOT NULL), false)
