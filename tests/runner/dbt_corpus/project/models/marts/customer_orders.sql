select c.customer_id, c.name, count(o.order_id) as orders, sum(o.paid) as paid
from {{ ref('dim_customers') }} as c
left join {{ ref('fct_orders') }} as o on c.customer_id = o.customer_id
group by c.customer_id, c.name
