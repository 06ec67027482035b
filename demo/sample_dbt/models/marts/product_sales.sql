select
    items.product_id,
    items.product_name,
    items.category,
    sum(items.quantity) as sold
from {{ ref('stg_order_items') }} as items
join {{ ref('stg_orders') }} as orders on orders.order_id = items.order_id
group by items.product_id, items.product_name, items.category
