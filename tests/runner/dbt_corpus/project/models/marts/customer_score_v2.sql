select customer_id, paid / orders as score from {{ ref('customer_orders') }} where orders > 0
