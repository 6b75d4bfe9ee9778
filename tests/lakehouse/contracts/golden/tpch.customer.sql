-- c_custkey.not_null: must not be missing
coalesce((`c_custkey` IS NOT NULL), false)
-- c_custkey.range: must be at least 1
coalesce((`c_custkey` IS NULL OR (`c_custkey` >= 1)), false)
-- c_name.not_null: must not be missing
coalesce((`c_name` IS NOT NULL), false)
-- c_name.length: must have 1 to 25 characters
coalesce((`c_name` IS NULL OR (char_length(`c_name`) >= 1 AND char_length(`c_name`) <= 25)), false)
-- c_address.length: must have at most 40 characters
coalesce((`c_address` IS NULL OR (char_length(`c_address`) <= 40)), false)
-- c_nationkey.not_null: must not be missing
coalesce((`c_nationkey` IS NOT NULL), false)
-- c_nationkey.range: must be at least 0 and at most 24
coalesce((`c_nationkey` IS NULL OR (`c_nationkey` >= 0 AND `c_nationkey` <= 24)), false)
-- c_phone.pattern: must match ^[0-9]{2}-[0-9]{3}-[0-9]{3}-[0-9]{4}$
coalesce((`c_phone` IS NULL OR `c_phone` RLIKE '(?s)\\A(?:[0-9]{2}-[0-9]{3}-[0-9]{3}-[0-9]{4})\\z'), false)
-- c_phone.phone_known: missing values must be < 5 percent
SELECT coalesce(100.0D * count_if(NOT (`c_phone` IS NOT NULL)) / nullif(count(1), 0), 0.0D) FROM judged
-- c_mktsegment.not_null: must not be missing
coalesce((`c_mktsegment` IS NOT NULL), false)
-- c_mktsegment.in_set: must be one of AUTOMOBILE, BUILDING, FURNITURE, HOUSEHOLD, MACHINERY
coalesce((`c_mktsegment` IS NULL OR `c_mktsegment` IN ('AUTOMOBILE', 'BUILDING', 'FURNITURE', 'HOUSEHOLD', 'MACHINERY')), false)
-- c_comment.length: must have at most 117 characters
coalesce((`c_comment` IS NULL OR (char_length(`c_comment`) <= 117)), false)
-- some_rows: rows must be > 0
SELECT count(1) FROM judged
-- key_unique: no two rows may have the same c_custkey
SELECT count(1) FROM (SELECT count(1) AS n FROM judged WHERE `c_custkey` IS NOT NULL GROUP BY `c_custkey` HAVING count(1) > 1)
