MODEL (
  name marts.order_revenue,
  kind INCREMENTAL_BY_TIME_RANGE (
    time_column ordered_on
  ),
  description 'Revenue of each order, discounts taken off',
  grain (
    order_id
  ),
  audits (NOT_NULL(columns := (order_id, customer_id)), revenue_is_positive)
);

SELECT
  orders.order_id,
  orders.customer_id,
  orders.ordered_on,
  COUNT(*) AS item_count,
  ROUND(SUM(items.quantity * items.unit_price * (
    1 - items.discount
  )), 2) AS revenue
FROM staging.orders AS orders
JOIN staging.order_items AS items
  ON items.order_id = orders.order_id
WHERE
  orders.ordered_on BETWEEN @start_date AND @end_date
GROUP BY
  orders.order_id,
  orders.customer_id,
  orders.ordered_on