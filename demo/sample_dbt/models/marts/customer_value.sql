select
    customers.customer_id,
    customers.customer_name,
    customers.city,
    count(orders.order_id) as orders,
    round(coalesce(sum(orders.revenue), 0), 2) as revenue
from {{ ref('customers') }} as customers
left join {{ ref('order_revenue') }} as orders on orders.customer_id = customers.customer_id
group by customers.customer_id, customers.customer_name, customers.city
