MODEL (
  name raw.products,
  kind SEED (
    path '../../seeds/products.csv'
  ),
  description 'What is sold',
  columns (
    product_id INT,
    product_name TEXT,
    category TEXT,
    list_price DOUBLE
  ),
  grain (
    product_id
  )
)