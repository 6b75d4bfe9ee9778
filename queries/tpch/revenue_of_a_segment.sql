-- Daily revenue of one market segment between two days.
SELECT o_orderdate, revenue, orders
FROM gold_tpch.daily_revenue
WHERE c_mktsegment = ? AND o_orderdate BETWEEN ? AND ?
ORDER BY o_orderdate
