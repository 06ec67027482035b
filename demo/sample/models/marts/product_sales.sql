MODEL (
  name marts.product_sales,
  kind FULL,
  description 'How often each product was sold',
  grain (
    product_id
  )
);

SELECT
  items.product_id,
  items.product_name,
  items.category,
  SUM(items.quantity) AS sold
FROM staging.order_items AS items
JOIN staging.orders AS orders
  ON orders.order_id = items.order_id
GROUP BY
  items.product_id,
  items.product_name,
  items.category