MODEL (
  name raw.orders,
  kind SEED (
    path '../../seeds/orders.csv'
  ),
  description 'Orders, one row each',
  columns (
    order_id INT,
    customer_id INT,
    ordered_on TEXT,
    status TEXT
  ),
  grain (
    order_id
  )
)