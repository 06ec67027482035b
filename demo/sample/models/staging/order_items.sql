MODEL (
  name staging.order_items,
  kind VIEW,
  description 'Lines of orders with their product',
  grain (
    item_id
  )
);

SELECT
  items.item_id,
  items.order_id,
  items.product_id,
  products.product_name,
  products.category,
  items.quantity,
  items.unit_price,
  items.discount
FROM raw.order_items AS items
JOIN raw.products AS products
  ON products.product_id = items.product_id