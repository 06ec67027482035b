MODEL (
  name raw.customers,
  kind SEED (
    path '../../seeds/customers.csv'
  ),
  description 'Who buys, as the shop exports it',
  columns (
    customer_id INT,
    customer_name TEXT,
    city TEXT,
    signed_up_on TEXT
  ),
  grain (
    customer_id
  )
)