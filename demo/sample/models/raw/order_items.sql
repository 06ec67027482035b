MODEL (
  name raw.order_items,
  kind SEED (
    path '../../seeds/order_items.csv'
  ),
  description 'Lines of orders; discount is a share of the price',
  columns (
    item_id INT,
    order_id INT,
    product_id INT,
    quantity INT,
    unit_price DOUBLE,
    discount DOUBLE
  ),
  grain (
    item_id
  )
)