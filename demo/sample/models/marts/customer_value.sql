MODEL (
  name marts.customer_value,
  kind FULL,
  description 'What each customer has spent',
  grain (
    customer_id
  ),
  audits (
    UNIQUE_VALUES(columns := (
      customer_id
    ))
  )
);

SELECT
  customers.customer_id,
  customers.customer_name,
  customers.city,
  COUNT(orders.order_id) AS orders,
  ROUND(COALESCE(SUM(orders.revenue), 0), 2) AS revenue
FROM raw.customers AS customers
LEFT JOIN marts.order_revenue AS orders
  ON orders.customer_id = customers.customer_id
GROUP BY
  customers.customer_id,
  customers.customer_name,
  customers.city