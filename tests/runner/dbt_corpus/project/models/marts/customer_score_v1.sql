select customer_id, paid as score from {{ ref('customer_orders') }}
