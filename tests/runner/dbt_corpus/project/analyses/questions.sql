select count(*) from {{ ref('customer_orders') }}
