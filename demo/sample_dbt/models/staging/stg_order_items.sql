select
    items.item_id,
    items.order_id,
    items.product_id,
    products.product_name,
    products.category,
    items.quantity,
    items.unit_price,
    items.discount
from {{ ref('order_items') }} as items
join {{ ref('products') }} as products on products.product_id = items.product_id
