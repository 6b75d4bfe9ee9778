-- How many rows of orders each arrival brought, and when.
-- reads everything: batches are not known before.
SELECT _batch_id, min(_ingested_at) AS ingested_at, count(*) AS rows
FROM silver_tpch.orders
GROUP BY _batch_id
ORDER BY ingested_at
