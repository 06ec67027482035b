select
    orders.order_id,
    orders.customer_id,
    orders.ordered_on,
    count(*) as item_count,
    round(sum(items.quantity * items.unit_price * (1 - items.discount)), 2) as revenue
from {{ ref('stg_orders') }} as orders
join {{ ref('stg_order_items') }} as items on items.order_id = orders.order_id
group by orders.order_id, orders.customer_id, orders.ordered_on
